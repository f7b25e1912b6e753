/* SPDX-License-Identifier: MIT
 * The words of the tables in reason.h, effect.h and decision.h. */
#include "base/check.h"
#include "reducers/decision.h"
#include "reducers/effect.h"
#include "reducers/reason.h"

#define X(name, code, text) code,
static const char *const reason_codes[REASON_COUNT] = {REASONS(X)};
#undef X

#define X(name, code, text) text,
static const char *const reason_texts[REASON_COUNT] = {REASONS(X)};
#undef X

#define X(name, text) text,
static const char *const effect_kinds[EFFECT_KIND_COUNT] = {EFFECT_KINDS(X)};
static const char *const effect_outcomes[EFFECT_OUTCOME_COUNT] = {EFFECT_OUTCOMES(X)};
static const char *const answer_verdicts[ANSWER_VERDICT_COUNT] = {ANSWER_VERDICTS(X)};
static const char *const answer_flags[ANSWER_FLAG_COUNT] = {ANSWER_FLAGS(X)};
static const char *const actions[ACTION_COUNT] = {ACTIONS(X)};
#undef X

/* The index of `text` among `words`; 0, the NONE member, when it is not there. */
static unsigned word_named(const char *const *words, unsigned count, struct span text)
{
    for (unsigned i = 1; i < count; i++) {
        if (span_is(text, words[i])) {
            return i;
        }
    }
    return 0;
}

const char *reason_code(enum reason reason)
{
    CHECK(reason < REASON_COUNT);
    return reason_codes[reason];
}

const char *reason_text(enum reason reason)
{
    CHECK(reason < REASON_COUNT);
    return reason_texts[reason];
}

const char *effect_kind_text(enum effect_kind kind)
{
    CHECK(kind < EFFECT_KIND_COUNT);
    return effect_kinds[kind];
}

const char *effect_outcome_text(enum effect_outcome outcome)
{
    CHECK(outcome < EFFECT_OUTCOME_COUNT);
    return effect_outcomes[outcome];
}

enum effect_outcome effect_outcome_named(struct span text)
{
    return (enum effect_outcome)word_named(effect_outcomes, EFFECT_OUTCOME_COUNT, text);
}

const char *answer_verdict_text(enum answer_verdict verdict)
{
    CHECK(verdict < ANSWER_VERDICT_COUNT);
    return answer_verdicts[verdict];
}

enum answer_verdict answer_verdict_named(struct span text)
{
    return (enum answer_verdict)word_named(answer_verdicts, ANSWER_VERDICT_COUNT, text);
}

const char *answer_flag_text(enum answer_flag flag)
{
    CHECK(flag < ANSWER_FLAG_COUNT);
    return answer_flags[flag];
}

const char *action_text(enum action action)
{
    CHECK(action < ACTION_COUNT);
    return actions[action];
}
