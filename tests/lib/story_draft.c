/* SPDX-License-Identifier: MIT */
#include "tests/lib/story_draft.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/check.h"
#include "reducers/policy.h"
#include "reducers/state.h"
#include "replay/record.h"

#define PAIRS_MAX 32

struct pairs {
    struct span names[PAIRS_MAX], values[PAIRS_MAX];
    uint32_t count;
};

static void create_capture(struct story_draft *draft, struct span snapshot)
{
    char path[256];
    struct error error = {0};
    struct state_summary summary = state_summary(draft->state);
    struct capture_header header = {.reducers = REDUCERS_VERSION,
                                    .ordinal = summary.ordinal,
                                    .position = summary.position,
                                    .timeline = summary.timeline,
                                    .policy = summary.policy_text,
                                    .snapshot = snapshot};
    snprintf(path, sizeof(path), "%s/capture-0", draft->folder);
    draft->capture = capture_create(path, &header, &error);
    assert_non_null(draft->capture);
}

void story_draft_rotate(struct story_draft *draft)
{
    struct error error = {0};
    struct buffer snapshot = {0};
    assert_true(capture_flush(draft->capture, &error));
    capture_close(draft->capture);
    state_encode(draft->state, &snapshot);
    create_capture(draft, buffer_span(&snapshot));
    buffer_fini(&snapshot);
}

void story_draft_begin(struct story_draft *draft, const char *folder)
{
    char path[256];
    struct error error = {0};
    *draft = (struct story_draft){
        .state = state_create(0), .ms = STORY_DRAFT_BEGIN_MS, .folder = folder};
    create_capture(draft, SPAN_NONE);
    snprintf(path, sizeof(path), "%s/audit-0.db", folder);
    draft->audit = audit_open(path, AUDIT_WRITE, 0, &error);
    assert_non_null(draft->audit);
    assert_true(audit_begin(draft->audit, &error));
}

static void add_pair(struct pairs *pairs, const char *name, struct span value)
{
    CHECK(pairs->count < PAIRS_MAX);
    pairs->names[pairs->count] = span_of(name);
    pairs->values[pairs->count++] = value;
}

/* The value up to the next blank, or in quotes; "\n" becomes a line feed. */
static struct span take_value(struct story_draft *draft, struct span *rest)
{
    bool is_quoted = rest->size > 0 && rest->data[0] == '"';
    struct buffer text = {0};
    if (is_quoted) {
        (void)span_cut(rest, '"');
    }
    struct span value = span_cut(rest, is_quoted ? '"' : ' ');
    for (size_t i = 0; i < value.size; i++) {
        bool is_feed = value.data[i] == '\\' && i + 1 < value.size && value.data[i + 1] == 'n';
        buffer_put_byte(&text, is_feed ? '\n' : (uint8_t)value.data[i]);
        i += is_feed;
    }
    struct span kept = arena_copy(&draft->arena, buffer_span(&text));
    buffer_fini(&text);
    return kept;
}

static void add_rest(struct story_draft *draft, struct pairs *pairs, struct span rest)
{
    while (rest.size > 0) {
        if (rest.data[0] == ' ') {
            (void)span_cut(&rest, ' ');
            continue;
        }
        CHECK(pairs->count < PAIRS_MAX);
        pairs->names[pairs->count] = span_cut(&rest, '=');
        pairs->values[pairs->count++] = take_value(draft, &rest);
    }
}

static void add_leader(struct pairs *pairs)
{
    add_pair(pairs, "owner", SPAN("leader"));
    add_pair(pairs, "epoch", SPAN("1"));
}

static struct effect_request open_effect(const struct story_draft *draft, struct span kind)
{
    struct effect_request request;
    const struct effect *cursor = NULL;
    while (state_next_open_effect(draft->state, &cursor, &request)) {
        if (span_is(kind, effect_kind_text(request.kind))) {
            return request;
        }
    }
    fail_msg("no %.*s is open", SPAN_FORMAT(kind));
    return request;
}

static void add_policy(struct story_draft *draft, struct pairs *pairs, struct span rest)
{
    struct policy policy;
    struct buffer text = {0};
    struct pairs told = {.count = 0};
    policy_preset(PRESET_SAFE, &policy);
    add_rest(draft, &told, rest);
    for (uint32_t i = 0; i < told.count; i++) {
        if (span_is(told.names[i], "volatile")) {
            struct policy_facts facts = {.is_volatile = true};
            assert_true(policy_set_facts(&policy, told.values[i], facts));
            continue;
        }
        enum policy_key key = policy_key_named(told.names[i]);
        assert_int_not_equal(key, POLICY_KEY_COUNT);
        assert_true(policy_value_parse(key, told.values[i], &policy.value[key]));
    }
    policy_put_text(&text, &policy);
    add_pair(pairs, "text", arena_copy(&draft->arena, buffer_span(&text)));
    add_pair(pairs, "origin", SPAN("file"));
    struct number_text number = number_text(++draft->policies);
    add_pair(pairs, "hash", arena_copy(&draft->arena, span_of(number.text)));
    add_leader(pairs);
    buffer_fini(&text);
}

static void fill_pairs(struct story_draft *draft, struct pairs *pairs, struct span type,
                       struct span rest)
{
    if (span_is(type, "epoch")) {
        add_leader(pairs);
        struct number_text version = number_text(REDUCERS_VERSION);
        add_pair(pairs, "reducers", arena_copy(&draft->arena, span_of(version.text)));
        add_rest(draft, pairs, SPAN("timeline=1 ordinal=0 wall_ms=1"));
    } else if (span_is(type, "policy")) {
        add_policy(draft, pairs, rest);
    } else if (span_is(type, "answer")) {
        struct effect_request request = open_effect(draft, SPAN("ask"));
        pairs->values[0] = SPAN("service.answered");
        add_leader(pairs);
        add_pair(pairs, "question", arena_copy(&draft->arena, request.id));
        add_pair(pairs, "job", arena_copy(&draft->arena, request.job));
        add_pair(pairs, "attempt", SPAN("1"));
        add_rest(draft, pairs, rest);
    } else if (span_is(type, "settle")) {
        struct effect_request request = open_effect(draft, span_cut(&rest, ' '));
        pairs->values[0] = SPAN("effect.settled");
        add_leader(pairs);
        add_pair(pairs, "effect", arena_copy(&draft->arena, request.id));
        add_pair(pairs, "outcome", span_cut(&rest, ' '));
        add_rest(draft, pairs, rest);
    } else {
        enum event_type known = event_type_named(type);
        add_rest(draft, pairs, rest);
        if (known != EVENT_NONE && event_type_rule(known)->reach == REACH_LEADER) {
            add_leader(pairs);
        }
    }
}

void story_draft_line(struct story_draft *draft, struct span line)
{
    uint64_t after_ms = 0;
    struct error error = {0};
    struct buffer raw = {0};
    struct pairs pairs = {.count = 0};
    if (line.size == 0 || line.data[0] != '+') {
        return;
    }
    (void)span_cut(&line, '+');
    assert_true(span_to_number(span_cut(&line, ' '), 1000000000, &after_ms));
    struct span type = span_cut(&line, ' ');
    add_pair(&pairs, "type", type);
    fill_pairs(draft, &pairs, type, line);
    codec_put_raw(&raw, pairs.names, pairs.values, pairs.count);
    draft->ms += after_ms;
    draft->seq = after_ms > 0 ? 0 : draft->seq + 1;
    struct entry entry = {.id = {draft->ms, draft->seq}, .raw = buffer_span(&raw)};
    fold_entry(draft->state, &entry, &draft->output);
    capture_append(draft->capture, &entry);
    assert_true(record_entry(draft->audit, &entry, draft->state, &draft->output, &error));
    buffer_fini(&raw);
}

void story_draft_end(struct story_draft *draft)
{
    struct error error = {0};
    struct state_summary summary = state_summary(draft->state);
    struct audit_position position = {
        .timeline = summary.timeline,
        .stream_id = summary.position,
        .ordinal = summary.ordinal,
        .epoch = summary.epoch,
    };
    assert_true(audit_put_position(draft->audit, &position, &error));
    assert_true(audit_commit(draft->audit, &error));
    assert_true(capture_flush(draft->capture, &error));
    capture_close(draft->capture);
    audit_close(draft->audit);
    state_destroy(draft->state);
    fold_output_fini(&draft->output);
    arena_fini(&draft->arena);
}
