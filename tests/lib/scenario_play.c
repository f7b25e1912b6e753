/* SPDX-License-Identifier: MIT */
#include "tests/lib/scenario_play.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "reducers/codec.h"
#include "reducers/state.h"

#define PAIRS_MAX 32
#define FILE_MAX  (1 << 20)

struct pairs {
    struct span names[PAIRS_MAX], values[PAIRS_MAX];
    uint32_t count;
};

_Noreturn void scenario_fail(const struct scenario *scenario, const char *what, struct span word)
{
    fprintf(stderr, "%s:%d: %s: %.*s\n", scenario->path, scenario->line, what, SPAN_FORMAT(word));
    exit(2);
}

static struct span keep_number(struct scenario *scenario, uint64_t number)
{
    struct buffer text = {0};
    buffer_put_decimal(&text, number);
    struct span kept = arena_copy(&scenario->arena, buffer_span(&text));
    buffer_fini(&text);
    return kept;
}

static void add_pair(struct pairs *pairs, const char *name, struct span value)
{
    CHECK(pairs->count < PAIRS_MAX);
    pairs->names[pairs->count] = span_of(name);
    pairs->values[pairs->count++] = value;
}

/* What is written down comes back as the same state. */
static void check_round_trip(struct scenario *scenario)
{
    struct buffer first = {0};
    struct buffer second = {0};
    state_encode(scenario->state, &first);
    struct state *copy = state_decode(buffer_span(&first));
    CHECK(copy != NULL);
    state_encode(copy, &second);
    CHECK(span_equal(buffer_span(&first), buffer_span(&second)));
    state_destroy(scenario->state);
    scenario->state = copy; /* From here on the copy is folded: a restart after every entry. */
    buffer_fini(&second);
    buffer_fini(&first);
}

static void fold_pairs(struct scenario *scenario, const struct pairs *pairs)
{
    struct buffer raw = {0};
    codec_put_raw(&raw, pairs->names, pairs->values, pairs->count);
    struct entry entry = {.id = {++scenario->entry_count, 0}, .raw = buffer_span(&raw)};
    fold_entry(scenario->state, &entry, &scenario->output);
    check_round_trip(scenario);
    scenario->entry = &entry;
    scenario->on_rows(scenario);
    scenario->entry = NULL;
    buffer_fini(&raw);
}

/* `name=value`, the value perhaps in double quotes; false at the end of the line. */
static bool next_pair(struct scenario *scenario, struct span *rest, struct span *name,
                      struct span *value)
{
    while (rest->size > 0 && rest->data[0] == ' ') {
        (void)span_cut(rest, ' ');
    }
    if (rest->size == 0) {
        return false;
    }
    *name = span_cut(rest, '=');
    if (rest->size > 0 && rest->data[0] == '"') {
        rest->data++;
        rest->size--;
        *value = span_cut(rest, '"');
    } else {
        *value = span_cut(rest, ' ');
    }
    struct buffer text = {0};
    for (size_t i = 0; i < value->size; i++) {
        if (value->data[i] == '\\' && i + 1 < value->size && value->data[i + 1] == 'n') {
            buffer_put_byte(&text, '\n');
            i++;
        } else {
            buffer_put_byte(&text, (uint8_t)value->data[i]);
        }
    }
    *value = arena_copy(&scenario->arena, buffer_span(&text));
    buffer_fini(&text);
    return true;
}

static void add_rest(struct scenario *scenario, struct pairs *pairs, struct span rest)
{
    struct span name, value;
    while (next_pair(scenario, &rest, &name, &value)) {
        CHECK(pairs->count < PAIRS_MAX);
        pairs->names[pairs->count] = name;
        pairs->values[pairs->count++] = value;
    }
}

static bool has_name(const struct pairs *pairs, const char *name)
{
    for (uint32_t i = 0; i < pairs->count; i++) {
        if (span_is(pairs->names[i], name)) {
            return true;
        }
    }
    return false;
}

static void add_default(struct pairs *pairs, const char *name, struct span value)
{
    if (!has_name(pairs, name)) {
        add_pair(pairs, name, value);
    }
}

static void add_leader(struct scenario *scenario, struct pairs *pairs)
{
    add_default(pairs, "owner", SPAN("leader"));
    add_default(pairs, "epoch", keep_number(scenario, scenario->epoch));
}

static void run_event(struct scenario *scenario, struct span type, struct span rest)
{
    struct pairs pairs = {.count = 0};
    add_pair(&pairs, "type", type);
    add_rest(scenario, &pairs, rest);
    enum event_type known = event_type_named(type);
    if (known != EVENT_NONE && event_type_rule(known)->reach == REACH_LEADER) {
        add_leader(scenario, &pairs);
    }
    fold_pairs(scenario, &pairs);
}

static void run_epoch(struct scenario *scenario, struct span type, struct span rest)
{
    struct pairs pairs = {.count = 0};
    scenario->epoch++;
    add_pair(&pairs, "type", type);
    add_rest(scenario, &pairs, rest);
    add_leader(scenario, &pairs);
    add_default(&pairs, "timeline", SPAN("1"));
    add_default(&pairs, "reducers", SPAN("1"));
    add_default(&pairs, "ordinal", keep_number(scenario, scenario->entry_count));
    add_default(&pairs, "wall_ms", SPAN("1000"));
    fold_pairs(scenario, &pairs);
}

/* "service.<name>.<key>": a line of the policy's text as it is. */
static bool take_service_line(struct buffer *lines, struct span name, struct span value)
{
    struct span head = name;
    if (!span_is(span_cut(&head, '.'), "service")) {
        return false;
    }
    buffer_put_span(lines, name);
    buffer_put_byte(lines, '=');
    buffer_put_span(lines, value);
    buffer_put_byte(lines, '\n');
    return true;
}

static void run_policy(struct scenario *scenario, struct span type, struct span rest)
{
    struct pairs pairs = {.count = 0};
    struct pairs told = {.count = 0};
    struct policy policy;
    struct buffer text = {0};
    struct buffer service_lines = {0};
    add_rest(scenario, &told, rest);
    bool is_told = told.count > 0 && span_is(told.names[0], "preset");
    policy_preset(is_told ? PRESET_SEED : scenario->preset, &policy);
    add_pair(&pairs, "type", type);
    for (uint32_t i = is_told ? 1 : 0; i < told.count; i++) {
        enum policy_key key = policy_key_named(told.names[i]);
        if (take_service_line(&service_lines, told.names[i], told.values[i])) {
            continue;
        }
        if (span_is(told.names[i], "volatile")) {
            policy_set_facts(&policy, told.values[i], (struct policy_facts){.is_volatile = true});
        } else if (key == POLICY_KEY_COUNT &&
                   event_field_named(told.names[i]) != EVENT_FIELD_COUNT) {
            pairs.names[pairs.count] = told.names[i];
            pairs.values[pairs.count++] = told.values[i];
        } else if (key == POLICY_KEY_COUNT ||
                   !policy_value_parse(key, told.values[i], &policy.value[key])) {
            scenario_fail(scenario, "no such policy key or value", told.names[i]);
        }
    }
    policy_put_text(&text, &policy);
    buffer_put_span(&text, buffer_span(&service_lines));
    add_default(&pairs, "text", buffer_span(&text));
    add_default(&pairs, "origin", SPAN("file"));
    add_default(&pairs, "hash", SPAN("cafe"));
    add_leader(scenario, &pairs);
    fold_pairs(scenario, &pairs);
    buffer_fini(&service_lines);
    buffer_fini(&text);
}

static void run_ticks(struct scenario *scenario, struct span type, struct span rest)
{
    uint64_t left_ms;
    (void)type;
    if (!span_to_number(rest, MS_MAX, &left_ms)) {
        scenario_fail(scenario, "run takes milliseconds", rest);
    }
    while (left_ms > 0) {
        uint64_t elapsed_ms = left_ms < 250 ? left_ms : 250;
        struct pairs pairs = {.count = 0};
        add_pair(&pairs, "type", SPAN("tick"));
        add_pair(&pairs, "elapsed_ms", keep_number(scenario, elapsed_ms));
        add_pair(&pairs, "wall_ms", SPAN("1000"));
        add_leader(scenario, &pairs);
        fold_pairs(scenario, &pairs);
        left_ms -= elapsed_ms;
    }
}

static struct effect_request open_effect(struct scenario *scenario, struct span subject,
                                         bool is_question)
{
    struct effect_request request;
    const struct effect *cursor = NULL;
    while (state_next_open_effect(scenario->state, &cursor, &request)) {
        bool is_subject = request.kind == EFFECT_RELEASE ? span_equal(request.worker, subject)
                                                         : span_equal(request.job, subject);
        if (is_subject && is_question == (request.kind == EFFECT_ASK)) {
            return request;
        }
    }
    scenario_fail(scenario, "nothing is open for", subject);
}

static void run_answer(struct scenario *scenario, struct span type, struct span rest)
{
    struct pairs pairs = {.count = 0};
    (void)type;
    struct span job = span_cut(&rest, ' ');
    struct effect_request question = open_effect(scenario, job, true);
    add_pair(&pairs, "type", SPAN("service.answered"));
    add_pair(&pairs, "question", arena_copy(&scenario->arena, question.id));
    add_pair(&pairs, "job", job);
    add_pair(&pairs, "attempt", keep_number(scenario, question.attempt));
    add_rest(scenario, &pairs, rest);
    add_leader(scenario, &pairs);
    fold_pairs(scenario, &pairs);
}

static void run_settle(struct scenario *scenario, struct span type, struct span rest)
{
    struct pairs pairs = {.count = 0};
    (void)type;
    struct span subject = span_cut(&rest, ' ');
    struct effect_request effect = open_effect(scenario, subject, false);
    add_pair(&pairs, "type", SPAN("effect.settled"));
    add_pair(&pairs, "effect", arena_copy(&scenario->arena, effect.id));
    add_pair(&pairs, "outcome", span_cut(&rest, ' '));
    add_rest(scenario, &pairs, rest);
    add_leader(scenario, &pairs);
    fold_pairs(scenario, &pairs);
}

static void run_wrong_bytes(struct scenario *scenario, struct span type, struct span rest)
{
    struct pairs pairs = {.count = 0};
    struct buffer bytes = {0};
    (void)type;
    for (size_t i = 0; i + 1 < rest.size; i += 2) {
        char digits[3] = {rest.data[i], rest.data[i + 1], 0};
        buffer_put_byte(&bytes, (uint8_t)strtoul(digits, NULL, 16));
    }
    add_pair(&pairs, "e", buffer_span(&bytes));
    fold_pairs(scenario, &pairs);
    buffer_fini(&bytes);
}

static const struct {
    const char *word;
    void (*run)(struct scenario *scenario, struct span type, struct span rest);
} words[] = {
    {"epoch", run_epoch},   {"policy", run_policy}, {"run", run_ticks},
    {"answer", run_answer}, {"settle", run_settle}, {"wrong_bytes", run_wrong_bytes},
};

void scenario_run_line(struct scenario *scenario, struct span line)
{
    struct span rest = line;
    struct span word = span_cut(&rest, ' ');
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_is(word, words[i].word)) {
            words[i].run(scenario, word, rest);
            return;
        }
    }
    run_event(scenario, word, rest);
}

void scenario_read_file(const char *path, struct buffer *out)
{
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        fprintf(stderr, "%s: %s\n", path, strerror(errno));
        exit(2);
    }
    char chunk[4096];
    size_t size;
    while ((size = fread(chunk, 1, sizeof chunk, file)) > 0 && out->size < FILE_MAX) {
        buffer_put(out, chunk, size);
    }
    fclose(file);
}

void scenario_init(struct scenario *scenario, const char *path, scenario_rows_fn on_rows)
{
    *scenario = (struct scenario){
        .path = path, .state = state_create(0), .on_rows = on_rows, .preset = PRESET_SAFE};
}

void scenario_fini(struct scenario *scenario)
{
    state_destroy(scenario->state);
    fold_output_fini(&scenario->output);
    arena_fini(&scenario->arena);
}
