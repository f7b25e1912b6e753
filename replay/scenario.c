/* SPDX-License-Identifier: MIT */
#include "replay/scenario.h"

#include "base/check.h"
#include "base/sha256.h"
#include "reducers/codec.h"
#include "reducers/state.h"
#include "replay/scenario_parts.h"

/* What is written down comes back as the same state. */
static void restart(struct scenario *scenario)
{
    struct buffer first = {0};
    struct buffer second = {0};
    state_encode(scenario->state, &first);
    struct state *copy = state_decode(buffer_span(&first));
    CHECK(copy != NULL);
    state_encode(copy, &second);
    CHECK(span_equal(buffer_span(&first), buffer_span(&second)));
    state_destroy(scenario->state);
    scenario->state = copy;
    buffer_fini(&second);
    buffer_fini(&first);
}

static bool fold_raw(struct scenario *scenario, struct span raw, struct error *error)
{
    if (scenario->entry_count >= scenario->entry_max) {
        return scenario_fail(scenario, error, SPAN_NONE, "too many entries; allowed: up to %llu",
                             (unsigned long long)scenario->entry_max);
    }
    struct entry entry = {.id = {++scenario->entry_count, 0}, .raw = entry_kept(raw)};
    fold_entry(scenario->state, &entry, &scenario->output);
    if (scenario->restarts) {
        restart(scenario);
    }
    scenario->entry = &entry;
    scenario->on_rows(scenario);
    scenario->entry = NULL;
    return true;
}

static bool fold_pairs(struct scenario *scenario, const struct scenario_pairs *pairs,
                       struct error *error)
{
    struct buffer raw = {0};
    codec_put_raw(&raw, pairs->names, pairs->values, pairs->count);
    bool is_folded = fold_raw(scenario, buffer_span(&raw), error);
    buffer_fini(&raw);
    return is_folded;
}

static void put_leader(struct scenario *scenario, struct scenario_pairs *pairs)
{
    scenario_put_default(pairs, "owner", SPAN("leader"));
    scenario_put_default(pairs, "epoch", scenario_keep_number(scenario, scenario->epoch));
}

/* --- what a line may be --- */

static bool run_event(struct scenario *scenario, struct span type, struct span rest,
                      struct error *error)
{
    struct scenario_pairs pairs = {.count = 0};
    scenario_put_pair(&pairs, "type", type);
    if (!scenario_add_rest(scenario, &pairs, rest, error)) {
        return false;
    }
    enum event_type known = event_type_named(type);
    if (known != EVENT_NONE && event_type_rule(known)->reach == REACH_LEADER) {
        put_leader(scenario, &pairs);
    }
    return fold_pairs(scenario, &pairs, error);
}

static bool run_epoch(struct scenario *scenario, struct span type, struct span rest,
                      struct error *error)
{
    struct scenario_pairs pairs = {.count = 0};
    scenario->epoch++;
    scenario_put_pair(&pairs, "type", type);
    if (!scenario_add_rest(scenario, &pairs, rest, error)) {
        return false;
    }
    put_leader(scenario, &pairs);
    scenario_put_default(&pairs, "timeline", SPAN("1"));
    scenario_put_default(&pairs, "reducers", scenario_keep_number(scenario, REDUCERS_VERSION));
    scenario_put_default(&pairs, "ordinal", scenario_keep_number(scenario, scenario->entry_count));
    scenario_put_default(&pairs, "wall_ms", SPAN("1000"));
    return fold_pairs(scenario, &pairs, error);
}

/* The policy under construction: its values, and lines of the text that are taken as they are. */
struct policy_draft {
    struct policy policy;
    struct buffer lines;
    struct scenario_pairs pairs; /* fields of the event itself */
};

static bool take_policy_pair(struct scenario *scenario, struct policy_draft *draft,
                             struct span name, struct span value, struct error *error)
{
    struct span head = name;
    if (span_is(span_cut(&head, '.'), "service")) {
        buffer_put_span(&draft->lines, name);
        buffer_put_byte(&draft->lines, '=');
        buffer_put_span(&draft->lines, value);
        buffer_put_byte(&draft->lines, '\n');
        return true;
    }
    if (span_is(name, "volatile")) {
        struct policy_facts facts = {.is_volatile = true};
        return policy_set_facts(&draft->policy, value, facts) ||
               scenario_fail(scenario, error, value, "allowed: volatile=NAME, of up to %d services",
                             POLICY_SERVICES_MAX);
    }
    enum policy_key key = policy_key_named(name);
    if (key == POLICY_KEY_COUNT && event_field_named(name) != EVENT_FIELD_COUNT) {
        return scenario_add_pair(scenario, &draft->pairs, name, value, error);
    }
    if (key == POLICY_KEY_COUNT) {
        return scenario_fail(
            scenario, error, name,
            "no such key; allowed: preset=safe, preset=seed (the first), volatile=NAME, "
            "the policy's keys (docs/policy.md), those of a service as "
            "service.NAME.KEY=VALUE");
    }
    const struct policy_key_rule *rule = policy_key_rule(key);
    return policy_value_parse(key, value, &draft->policy.value[key]) ||
           scenario_fail(scenario, error, value, "no value of %s; allowed: %s%s", rule->key,
                         rule->words == NULL ? "a number up to " : rule->words,
                         rule->words == NULL ? number_text(rule->max).text : "");
}

static bool take_preset(struct scenario *scenario, struct span value, struct policy *out,
                        struct error *error)
{
    bool is_seed = span_is(value, "seed");
    policy_preset(is_seed ? PRESET_SEED : PRESET_SAFE, out);
    return is_seed || span_is(value, "safe") ||
           scenario_fail(scenario, error, value, "no such preset; allowed: safe, seed");
}

static bool run_policy(struct scenario *scenario, struct span type, struct span rest,
                       struct error *error)
{
    struct policy_draft draft = {.pairs = {.count = 0}};
    struct scenario_pairs told = {.count = 0};
    policy_preset(scenario->preset, &draft.policy);
    scenario_put_pair(&draft.pairs, "type", type);
    bool is_fine = scenario_add_rest(scenario, &told, rest, error);
    for (uint32_t i = 0; is_fine && i < told.count; i++) {
        bool is_preset = i == 0 && span_is(told.names[0], "preset");
        is_fine = is_preset
                      ? take_preset(scenario, told.values[0], &draft.policy, error)
                      : take_policy_pair(scenario, &draft, told.names[i], told.values[i], error);
    }
    if (is_fine) {
        struct buffer text = {0};
        policy_put_text(&text, &draft.policy);
        buffer_put_span(&text, buffer_span(&draft.lines));
        scenario_put_default(&draft.pairs, "text", buffer_span(&text));
        scenario_put_default(&draft.pairs, "origin", SPAN("file"));
        struct sha256 hash = sha256_of(buffer_span(&text));
        struct sha256_text hash_text = sha256_text(&hash);
        scenario_put_default(&draft.pairs, "hash", span_of(hash_text.text));
        put_leader(scenario, &draft.pairs);
        is_fine = fold_pairs(scenario, &draft.pairs, error);
        buffer_fini(&text);
    }
    buffer_fini(&draft.lines);
    return is_fine;
}

static bool run_ticks(struct scenario *scenario, struct span type, struct span rest,
                      struct error *error)
{
    uint64_t left_ms;
    (void)type;
    if (!span_to_number(rest, SCENARIO_RUN_MAX, &left_ms)) {
        return scenario_fail(scenario, error, rest, "allowed: run MS, up to %d", SCENARIO_RUN_MAX);
    }
    bool is_fine = true;
    struct number_text epoch = number_text(scenario->epoch);
    while (is_fine && left_ms > 0) {
        uint64_t elapsed_ms = left_ms < SCENARIO_TICK_MS ? left_ms : SCENARIO_TICK_MS;
        struct number_text elapsed = number_text(elapsed_ms);
        struct scenario_pairs pairs = {.count = 0};
        scenario_put_pair(&pairs, "type", SPAN("tick"));
        scenario_put_pair(&pairs, "elapsed_ms", span_of(elapsed.text));
        scenario_put_pair(&pairs, "wall_ms", SPAN("1000"));
        scenario_put_pair(&pairs, "owner", SPAN("leader"));
        scenario_put_pair(&pairs, "epoch", span_of(epoch.text));
        is_fine = fold_pairs(scenario, &pairs, error);
        left_ms -= elapsed_ms;
    }
    return is_fine;
}

bool scenario_open_effect(const struct state *state, struct span subject, bool is_question,
                          struct effect_request *out)
{
    const struct effect *cursor = NULL;
    while (state_next_open_effect(state, &cursor, out)) {
        bool is_subject = out->kind == EFFECT_RELEASE ? span_equal(out->worker, subject)
                                                      : span_equal(out->job, subject);
        if (is_subject && is_question == (out->kind == EFFECT_ASK)) {
            return true;
        }
    }
    return false;
}

static bool open_effect(struct scenario *scenario, struct span subject, bool is_question,
                        struct effect_request *out, struct error *error)
{
    return scenario_open_effect(scenario->state, subject, is_question, out) ||
           scenario_fail(scenario, error, subject, "no %s is open about it here",
                         is_question ? "question" : "effect");
}

static bool run_answer(struct scenario *scenario, struct span type, struct span rest,
                       struct error *error)
{
    struct scenario_pairs pairs = {.count = 0};
    struct effect_request question;
    struct span job;
    (void)type;
    scenario_skip_blanks(&rest);
    if (!scenario_take_word(scenario, &rest, &job, error) ||
        !open_effect(scenario, job, true, &question, error)) {
        return false;
    }
    scenario_put_pair(&pairs, "type", SPAN("service.answered"));
    scenario_put_pair(&pairs, "question", question.id);
    scenario_put_pair(&pairs, "job", job);
    scenario_put_pair(&pairs, "attempt", scenario_keep_number(scenario, question.attempt));
    if (!scenario_add_rest(scenario, &pairs, rest, error)) {
        return false;
    }
    put_leader(scenario, &pairs);
    return fold_pairs(scenario, &pairs, error);
}

static bool run_settle(struct scenario *scenario, struct span type, struct span rest,
                       struct error *error)
{
    struct scenario_pairs pairs = {.count = 0};
    struct effect_request effect;
    struct span subject, outcome;
    (void)type;
    scenario_skip_blanks(&rest);
    if (!scenario_take_word(scenario, &rest, &subject, error) ||
        !open_effect(scenario, subject, false, &effect, error)) {
        return false;
    }
    scenario_skip_blanks(&rest);
    if (!scenario_take_word(scenario, &rest, &outcome, error)) {
        return false;
    }
    scenario_put_pair(&pairs, "type", SPAN("effect.settled"));
    scenario_put_pair(&pairs, "effect", effect.id);
    scenario_put_pair(&pairs, "outcome", outcome);
    if (!scenario_add_rest(scenario, &pairs, rest, error)) {
        return false;
    }
    put_leader(scenario, &pairs);
    return fold_pairs(scenario, &pairs, error);
}

static bool run_wrong_bytes(struct scenario *scenario, struct span type, struct span rest,
                            struct error *error)
{
    struct scenario_pairs pairs = {.count = 0};
    struct buffer bytes = {0};
    (void)type;
    bool is_fine = scenario_read_bytes(scenario, rest, &bytes, error);
    if (is_fine) {
        scenario_put_pair(&pairs, "e", buffer_span(&bytes));
        is_fine = fold_pairs(scenario, &pairs, error);
    }
    buffer_fini(&bytes);
    return is_fine;
}

static bool run_wrong_entry(struct scenario *scenario, struct span type, struct span rest,
                            struct error *error)
{
    struct buffer raw = {0};
    (void)type;
    bool is_fine = scenario_read_bytes(scenario, rest, &raw, error) &&
                   fold_raw(scenario, buffer_span(&raw), error);
    buffer_fini(&raw);
    return is_fine;
}

static const struct {
    const char *word;
    bool (*run)(struct scenario *scenario, struct span type, struct span rest, struct error *error);
} words[] = {
    {"epoch", run_epoch},
    {"policy", run_policy},
    {"run", run_ticks},
    {"answer", run_answer},
    {"settle", run_settle},
    {"wrong_bytes", run_wrong_bytes},
    {"wrong_entry", run_wrong_entry},
};

bool scenario_run_line(struct scenario *scenario, struct span line, struct error *error)
{
    struct span rest = line;
    struct span word = span_cut(&rest, ' ');
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (span_is(word, words[i].word)) {
            return words[i].run(scenario, word, rest, error);
        }
    }
    return run_event(scenario, word, rest, error);
}

bool scenario_play(struct scenario *scenario, struct span text, struct span *events,
                   struct span *rows, struct error *error)
{
    struct span rest = text;
    size_t played = text.size;
    while (rest.size > 0) {
        struct span line = span_cut(&rest, '\n');
        scenario->line++;
        if (span_is(line, "----")) {
            played = (size_t)(line.data - text.data);
            break;
        }
        if (line.size > 0 && line.data[0] != '#' && !scenario_run_line(scenario, line, error)) {
            return false;
        }
    }
    if (events != NULL) {
        *events = (struct span){text.data, played};
    }
    if (rows != NULL) {
        *rows = rest;
    }
    return true;
}

void scenario_init(struct scenario *scenario, const char *path, scenario_rows_fn on_rows)
{
    *scenario = (struct scenario){.path = path,
                                  .state = state_create(0),
                                  .on_rows = on_rows,
                                  .preset = PRESET_SAFE,
                                  .entry_max = SCENARIO_ENTRIES_MAX};
}

void scenario_fini(struct scenario *scenario)
{
    state_destroy(scenario->state);
    fold_output_fini(&scenario->output);
    arena_fini(&scenario->arena);
}
