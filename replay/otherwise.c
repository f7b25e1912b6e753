/* SPDX-License-Identifier: MIT
 * A sentence that needs a number nobody told is left out. */
#include "replay/otherwise.h"

#include <string.h>

#include "replay/otherwise_rules.h"
#include "replay/phrase.h"

static bool holds(const struct sentence *sentence, const struct story *story,
                  const struct told_decision *told)
{
    const struct decision *row = &told->row;
    if ((sentence->action != ACTION_NONE && sentence->action != row->action) ||
        (sentence->reason != REASON_NONE && sentence->reason != row->reason)) {
        return false;
    }
    if (sentence->value != 0 &&
        (told->policy == NULL ||
         policy_value(told->policy, row->service, sentence->key) != sentence->value)) {
        return false;
    }
    return (sentence->when == NULL || sentence->when(story, told)) &&
           (sentence->and == NULL || sentence->and (story, told));
}

/* --- their blanks --- */

static bool ends_in_ms(struct span name)
{
    return name.size > 3 && memcmp(name.data + name.size - 3, "_ms", 3) == 0;
}

/* "above" it is what was missing, so what a span does not show is rounded up. */
static void put_edge(uint64_t ms, struct buffer *out)
{
    uint64_t part_ms = ms >= 2 * 86400000 ? 3600000 : ms >= 2 * 3600000 ? 60000 : 1000;
    uint64_t shown_ms = ms < 2 * 60000 ? ms : (ms + part_ms - 1) / part_ms * part_ms;
    phrase_put_span(out, shown_ms);
}

static void put_number(struct span name, uint64_t number, struct buffer *out)
{
    if (ends_in_ms(name)) {
        phrase_put_span(out, number);
    } else {
        buffer_put_decimal(out, number);
    }
}

static bool put_text(struct span text, struct buffer *out)
{
    phrase_put_printable(out, text);
    return text.size > 0;
}

static bool put_measure(const struct told_decision *told, struct span name, struct buffer *out)
{
    const struct evidence *evidence = &told->evidence;
    if (span_is(name, "limit_ms") && told->silent_limit_ms > 0) {
        phrase_put_span(out, told->silent_limit_ms);
        return true;
    }
    for (enum measure measure = 0; measure < MEASURE_COUNT; measure++) {
        if (span_is(name, measure_text(measure)) && evidence_has(evidence, measure)) {
            put_number(name, evidence->measure[measure], out);
            return true;
        }
    }
    return false;
}

static bool put_policy_value(const struct told_decision *told, struct span name, struct buffer *out)
{
    enum policy_key key = policy_key_named(name);
    if (told->policy == NULL || key == POLICY_KEY_COUNT) {
        return false;
    }
    policy_value_put(out, key, policy_value(told->policy, told->row.service, key));
    return true;
}

static bool put_blank(const struct told_decision *told, struct span name, struct buffer *out)
{
    const struct evidence *evidence = &told->evidence;
    if (name.size > 0 && name.data[0] == '=') {
        return put_policy_value(told, (struct span){name.data + 1, name.size - 1}, out);
    }
    if (span_is(name, "worker")) {
        return put_text(told->row.worker, out);
    }
    if (span_is(name, "service")) {
        return put_text(told->row.service, out);
    }
    if (span_is(name, "held")) {
        return evidence->held != EFFECT_NONE &&
               put_text(span_of(effect_kind_text(evidence->held)), out);
    }
    if (span_is(name, "counted")) {
        buffer_put_decimal(out, otherwise_counted(told));
        return evidence_has(evidence, MEASURE_LOSSES);
    }
    if (span_is(name, "ran")) {
        put_edge(evidence->measure[MEASURE_TIMEOUT_MS] + evidence->measure[MEASURE_OVERDUE_MS],
                 out);
        return evidence_has(evidence, MEASURE_TIMEOUT_MS);
    }
    if (span_is(name, "held_ms")) {
        put_edge(evidence->measure[MEASURE_HELD_MS], out);
        return evidence_has(evidence, MEASURE_HELD_MS);
    }
    if (span_is(name, "retention_ms") && told->policy != NULL) {
        phrase_put_span(out, policy_facts(told->policy, told->row.service).retention_ms);
        return true;
    }
    return put_measure(told, name, out);
}

/* False, nothing said, when a blank cannot be filled. */
static bool fill(const struct told_decision *told, struct span text, struct buffer *out)
{
    struct buffer filled = {0};
    bool is_full = true;
    while (text.size > 0) {
        buffer_put_span(&filled, span_cut(&text, '{'));
        if (text.size > 0) {
            is_full = put_blank(told, span_cut(&text, '}'), &filled) && is_full;
        }
    }
    if (is_full) {
        buffer_put_span(out, buffer_span(&filled));
    }
    buffer_fini(&filled);
    return is_full;
}

bool otherwise_put(const struct story *story, const struct told_decision *told, uint32_t index,
                   struct buffer *out)
{
    uint32_t found = 0;
    for (size_t i = 0; i < otherwise_sentence_count && index < OTHERWISE_MAX; i++) {
        const struct sentence *sentence = &otherwise_sentences[i];
        struct buffer text = {0};
        bool is_it = holds(sentence, story, told) && fill(told, span_of(sentence->text), &text) &&
                     found++ == index;
        if (is_it) {
            buffer_put_span(out, buffer_span(&text));
        }
        buffer_fini(&text);
        if (is_it) {
            return true;
        }
    }
    return false;
}
