/* SPDX-License-Identifier: MIT
 * The proof: both captures are read again and folded side by side. What is written must be what
 * anonymizing leaves alone, each decision that of the original under other names, and so must be
 * the states before the first entry and behind the last. */
#include <inttypes.h>

#include "base/check.h"
#include "reducers/fold.h"
#include "reducers/state.h"
#include "replay/anonymize_parts.h"
#include "replay/capture_source.h"
#include "replay/loop.h"

struct side {
    struct capture_reader *reader;
    struct state *state;
    struct fold_output output;
    struct entry entry;
};

struct proof {
    struct side before, after;
    struct anonymizer anonymizer; /* gives what must stand for a text of `before` */
    struct anonymizer check;      /* leaves alone what is anonymized already */
    struct buffer expected, found;
};

/* --- both sides --- */

static bool side_open(struct side *side, const char *path, struct error *error)
{
    side->reader = capture_open(path, error);
    if (side->reader == NULL) {
        return false;
    }
    side->state = capture_state(capture_reader_header(side->reader), error);
    return side->state != NULL || error_wrap(error, "%s", path);
}

static void side_close(struct side *side)
{
    fold_output_fini(&side->output);
    state_destroy(side->state);
    capture_reader_close(side->reader);
}

static bool differ(const struct proof *proof, const char *what, struct error *error)
{
    struct buffer id = {0};
    stream_id_put(&id, proof->before.entry.id);
    error_set(error, ERROR_DIFFERENT,
              "not the same under other names: entry %.*s, ordinal %" PRIu64 ": %s", (int)id.size,
              id.data, state_summary(proof->before.state).ordinal, what);
    buffer_fini(&id);
    return false;
}

/* --- what is written --- */

/* The state that a side stands at, its texts replaced. */
static void encode_renamed(struct anonymizer *anonymizer, const struct state *state,
                           struct buffer *bytes)
{
    buffer_reset(bytes);
    arena_reset(&anonymizer->arena);
    state_encode_mapped(state, anonymize_text, anonymizer, bytes);
}

static bool prove_states(struct proof *proof, const char *what, struct error *error)
{
    encode_renamed(&proof->anonymizer, proof->before.state, &proof->expected);
    encode_renamed(&proof->check, proof->after.state, &proof->found);
    if (!span_equal(buffer_span(&proof->expected), buffer_span(&proof->found))) {
        return differ(proof, what, error);
    }
    buffer_reset(&proof->found);
    state_encode(proof->after.state, &proof->found);
    return span_equal(buffer_span(&proof->expected), buffer_span(&proof->found)) ||
           differ(proof, what, error);
}

static bool prove_header(struct proof *proof, struct error *error)
{
    const struct capture_header *before = capture_reader_header(proof->before.reader);
    const struct capture_header *after = capture_reader_header(proof->after.reader);
    struct span policy = before->policy.size == 0
                             ? SPAN_NONE
                             : anonymize_text(&proof->anonymizer, FIELD_TEXT, before->policy);
    bool is_equal = after->partition == before->partition && after->timeline == before->timeline &&
                    after->ordinal == before->ordinal && after->reducers == before->reducers &&
                    stream_id_compare(after->position, before->position) == 0 &&
                    span_equal(after->policy, policy) && after->audit_head.size == 0;
    return is_equal || differ(proof, "the capture's header", error);
}

static bool prove_entry(struct proof *proof, struct error *error)
{
    struct span raw = proof->after.entry.raw;
    buffer_reset(&proof->expected);
    buffer_reset(&proof->found);
    bool is_event = anonymize_entry(&proof->anonymizer, &proof->before.entry, &proof->expected);
    (void)anonymize_entry(&proof->check, &proof->after.entry, &proof->found);
    bool is_equal = span_equal(buffer_span(&proof->expected), raw) &&
                    (!is_event || span_equal(buffer_span(&proof->found), raw)) &&
                    stream_id_compare(proof->before.entry.id, proof->after.entry.id) == 0;
    return is_equal || differ(proof, "the entry itself", error);
}

/* --- what was decided --- */

/* The part of an evidence that no producer's text is in: facts, measures and rules come first, then
 * who ordered it and what was said; a quarantine tells of bytes that are not there any more. */
static struct span own_part(struct span evidence)
{
    CHECK(evidence.size > 0);
    static const char *const marks[] = {",\"who\":", ",\"said\":", "{\"problem\":"};
    for (size_t at = 0; at < evidence.size; at++) {
        for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++) {
            struct span mark = span_of(marks[i]);
            struct span here = {evidence.data + at, mark.size};
            if (mark.size <= evidence.size - at && span_equal(here, mark)) {
                return (struct span){evidence.data, at};
            }
        }
    }
    return (struct span){evidence.data, evidence.size - 1}; /* without the closing brace */
}

/* The value that a column must have under other names. */
static struct span column_renamed(struct proof *proof, enum decision_column column,
                                  struct span text)
{
    static const struct {
        enum decision_column column;
        enum event_field field;
    } renamed[] = {
        {DECISION_COLUMN_JOB, FIELD_JOB},         {DECISION_COLUMN_WORKER, FIELD_WORKER},
        {DECISION_COLUMN_SERVICE, FIELD_SERVICE}, {DECISION_COLUMN_POLICY, FIELD_HASH},
        {DECISION_COLUMN_TRACE, FIELD_TRACE},
    };
    for (size_t i = 0; i < sizeof renamed / sizeof renamed[0] && text.size > 0; i++) {
        if (renamed[i].column == column) {
            return anonymize_text(&proof->anonymizer, renamed[i].field, text);
        }
    }
    return column == DECISION_COLUMN_EVIDENCE ? own_part(text) : text;
}

static bool prove_decision(struct proof *proof, const struct decision *before,
                           const struct decision *after, struct error *error)
{
    for (enum decision_column column = 0; column < DECISION_COLUMN_COUNT; column++) {
        struct column_value wanted = decision_column(before, column, &proof->expected);
        struct column_value given = decision_column(after, column, &proof->found);
        bool is_evidence = column == DECISION_COLUMN_EVIDENCE;
        struct span text =
            is_evidence ? own_part(wanted.text) : column_renamed(proof, column, wanted.text);
        struct span told = is_evidence ? own_part(given.text) : given.text;
        if (wanted.number != given.number || !span_equal(text, told)) {
            return differ(proof, decision_column_name(column), error);
        }
    }
    return true;
}

/* The target that an effect must have: "job:<id>", "worker:<id>" or "<service>/<service_job>", the
 * service being that of the decision which wants it. */
static void put_target(struct proof *proof, const struct effect_change *change)
{
    const struct fold_output *output = &proof->before.output;
    bool is_asked = change->kind == EFFECT_ASK || change->kind == EFFECT_CANCEL;
    enum event_field field = is_asked                         ? FIELD_SERVICE_JOB
                             : change->kind == EFFECT_RELEASE ? FIELD_WORKER
                                                              : FIELD_JOB;
    size_t prefix = span_of(event_field_rule(field)->name).size;
    for (uint32_t i = 0; is_asked && i < output->decision_count; i++) {
        if (span_equal(output->decisions[i].id, change->decision)) {
            prefix = output->decisions[i].service.size;
        }
    }
    struct span name = {change->target.data, prefix};
    prefix++; /* the mark between */
    CHECK(change->target.size > prefix);
    struct span id = {change->target.data + prefix, change->target.size - prefix};
    buffer_put_span(&proof->expected,
                    is_asked ? anonymize_text(&proof->anonymizer, FIELD_SERVICE, name) : name);
    buffer_put_byte(&proof->expected, (uint8_t)change->target.data[name.size]);
    buffer_put_span(&proof->expected, anonymize_text(&proof->anonymizer, field, id));
}

static bool prove_change(struct proof *proof, const struct effect_change *before,
                         const struct effect_change *after, struct error *error)
{
    buffer_reset(&proof->expected);
    if (before->target.size > 0) {
        put_target(proof, before);
    }
    bool is_equal = span_equal(before->id, after->id) &&
                    span_equal(before->decision, after->decision) && before->kind == after->kind &&
                    before->outcome == after->outcome && before->at_ms == after->at_ms &&
                    span_equal(buffer_span(&proof->expected), after->target);
    return is_equal || differ(proof, "an effect", error);
}

static bool prove_output(struct proof *proof, struct error *error)
{
    const struct fold_output *before = &proof->before.output, *after = &proof->after.output;
    arena_reset(&proof->anonymizer.arena);
    if (before->decision_count != after->decision_count ||
        before->change_count != after->change_count ||
        before->is_policy_new != after->is_policy_new ||
        before->is_epoch_new != after->is_epoch_new) {
        return differ(proof, "the number of decisions", error);
    }
    for (uint32_t i = 0; i < before->decision_count; i++) {
        if (!prove_decision(proof, &before->decisions[i], &after->decisions[i], error)) {
            return false;
        }
    }
    for (uint32_t i = 0; i < before->change_count; i++) {
        if (!prove_change(proof, &before->changes[i], &after->changes[i], error)) {
            return false;
        }
    }
    return true;
}

/* --- the run over both --- */

static enum capture_next side_next(struct side *side, struct error *error)
{
    enum capture_next next = capture_next(side->reader, &side->entry, error);
    if (next == CAPTURE_ENTRY &&
        !loop_fold_entry(side->state, &side->entry, &side->output, error)) {
        return CAPTURE_ERROR;
    }
    return next;
}

/* Of a capture that is still being written what was read first counts. */
static bool prove_entries(struct proof *proof, const struct anonymize_config *config,
                          struct anonymize_report *report, struct error *error)
{
    for (uint64_t proved = 0; proved < report->entries; proved++) {
        enum capture_next before = side_next(&proof->before, error);
        enum capture_next after =
            before == CAPTURE_ERROR ? CAPTURE_ERROR : side_next(&proof->after, error);
        if (after == CAPTURE_ERROR) {
            return false;
        }
        if (before != CAPTURE_ENTRY || after != CAPTURE_ENTRY) {
            return differ(proof, "the number of entries", error);
        }
        if (!prove_output(proof, error) || !prove_entry(proof, error) ||
            !anonymize_goes_on(config, report->entries + proved, error)) {
            return false;
        }
        report->decisions += proof->before.output.decision_count;
    }
    enum capture_next end = capture_next(proof->after.reader, &proof->after.entry, error);
    return end == CAPTURE_END ||
           (end != CAPTURE_ERROR && differ(proof, "the number of entries", error));
}

bool anonymize_prove(const struct anonymize_config *config, const char *capture,
                     struct pseudonyms *names, struct anonymize_report *report, struct error *error)
{
    struct proof proof = {.anonymizer = {.names = names}};
    bool is_proved = side_open(&proof.before, config->capture, error) &&
                     side_open(&proof.after, capture, error) && prove_header(&proof, error) &&
                     prove_states(&proof, "the state at the beginning", error) &&
                     prove_entries(&proof, config, report, error) &&
                     prove_states(&proof, "the state at the end", error);
    side_close(&proof.before);
    side_close(&proof.after);
    anonymizer_fini(&proof.anonymizer);
    anonymizer_fini(&proof.check);
    buffer_fini(&proof.expected);
    buffer_fini(&proof.found);
    return is_proved;
}
