/* SPDX-License-Identifier: MIT */
#include "replay/what_if_answers.h"

#include "base/alloc.h"
#include "base/check.h"
#include "replay/policy_facts.h"

/* Ids are printable, so that a line feed parts them. */
#define KEY_PART '\n'

/* A question or cancel of the capture, from its sending to what came back. */
struct question {
    struct table_node node; /* key: the effect's id */
    struct answers_subject *subject;
    uint32_t time; /* which of the subject's */
};

void answers_put_subject(struct buffer *key, enum effect_kind kind, struct span job,
                         uint64_t attempt, struct span service_job)
{
    buffer_put_decimal(key, kind);
    buffer_put_byte(key, KEY_PART);
    buffer_put_span(key, job);
    buffer_put_byte(key, KEY_PART);
    buffer_put_decimal(key, attempt);
    buffer_put_byte(key, KEY_PART);
    buffer_put_span(key, service_job);
}

bool answers_is_awaited(enum effect_kind kind)
{
    return kind == EFFECT_ASK || kind == EFFECT_CANCEL;
}

struct span answers_service_job(struct span target, struct span service)
{
    CHECK(target.size > service.size);
    return (struct span){target.data + service.size + 1, target.size - service.size - 1};
}

void answers_init(struct answers *answers)
{
    *answers = (struct answers){.captured = mem_zero(sizeof(*answers->captured))};
    table_init(&answers->subjects, sizeof(struct answers_subject));
    table_init(&answers->questions, sizeof(struct question));
    policy_preset(PRESET_SAFE, answers->captured);
    answers->captured->value[POLICY_EFFECTS] = EFFECTS_OBSERVE;
}

/* Result: the entity of this key, added where it is new; `arrival` breaks no tie here. */
static void *find_or_add(struct table *table, struct span key)
{
    void *entity = table_find(table, key);
    return entity != NULL ? entity : table_add(table, key, table->arrivals.count);
}

static void note_question(struct answers *answers, struct span id, struct span key,
                          uint64_t ordinal)
{
    struct answers_subject *subject = find_or_add(&answers->subjects, key);
    if (subject->count == subject->capacity) {
        subject->capacity = subject->capacity == 0 ? 1 : subject->capacity * 2;
        subject->times = mem_resize(subject->times, subject->capacity * sizeof(*subject->times));
    }
    struct question *question = find_or_add(&answers->questions, id);
    question->subject = subject;
    question->time = subject->count;
    subject->times[subject->count++] =
        (struct answers_time){.asked = ordinal, .closed = UINT64_MAX};
}

static void note_policy(struct answers *answers, const struct state *state)
{
    struct span text = state_summary(state).policy_text;
    struct policy *before = mem_zero(sizeof(*before));
    struct span bad;
    *before = *answers->captured;
    CHECK(policy_parse_text(text, answers->captured, &bad));
    buffer_reset(&answers->captured_text);
    policy_put_text(&answers->captured_text, answers->captured);
    /* What does not fit is not kept. */
    (void)policy_keep_facts(answers->captured, before, NULL, NULL);
    mem_free(before);
    answers->policies++;
}

void answers_begin(struct answers *answers, const struct state *state)
{
    struct state_summary summary = state_summary(state);
    const struct effect *cursor = NULL;
    struct effect_request request;
    struct buffer key = {0};
    while (state_next_open_effect(state, &cursor, &request)) {
        if (answers_is_awaited(request.kind)) {
            buffer_reset(&key);
            answers_put_subject(&key, request.kind, request.job, request.attempt,
                                request.service_job);
            note_question(answers, request.id, buffer_span(&key), summary.ordinal);
        }
    }
    buffer_fini(&key);
    answers->has_policy_at_start = summary.policy_text.size > 0;
    if (answers->has_policy_at_start) {
        note_policy(answers, state);
    }
}

static void note_answer(struct answers *answers, const struct entry *entry, uint64_t ordinal)
{
    struct event event;
    struct span field;
    if (codec_decode(entry, &event, &field) != CODEC_NONE ||
        (event.type != EVENT_SERVICE_ANSWERED && event.type != EVENT_EFFECT_SETTLED)) {
        return;
    }
    enum event_field name = event.type == EVENT_SERVICE_ANSWERED ? FIELD_QUESTION : FIELD_EFFECT;
    struct question *question = table_find(&answers->questions, event_text(&event, name));
    if (question == NULL) {
        return;
    }
    struct answers_subject *subject = question->subject;
    if (answers->count == answers->capacity) {
        answers->capacity = answers->capacity == 0 ? 64 : answers->capacity * 2;
        answers->list = mem_resize(answers->list, answers->capacity * sizeof(*answers->list));
    }
    answers->list[answers->count++] = (struct answer){.ordinal = ordinal, .subject = subject};
    subject->last_answer = ordinal;
    subject->last_ms = entry->id.ms;
    subject->times[question->time].closed = ordinal;
    table_remove(&answers->questions, question);
    if (event.type == EVENT_SERVICE_ANSWERED) {
        subject->last_verdict = answer_verdict_named(event_text(&event, FIELD_VERDICT));
        bool is_first = subject->last_verdict == ANSWER_COMPLETED && subject->completed_ms == 0;
        subject->completed_ms = is_first ? entry->id.ms : subject->completed_ms;
    }
}

/* Its id ends with its number among the entry's decisions. */
static const struct decision *decision_of(const struct fold_output *output,
                                          const struct effect_change *change)
{
    struct span rest = change->decision, last = SPAN_NONE;
    uint64_t number;
    while (rest.data != NULL) {
        last = span_cut(&rest, '.');
    }
    CHECK(span_to_number(last, output->decision_count, &number) && number > 0);
    return &output->decisions[number - 1];
}

static void note_request(struct answers *answers, const struct fold_output *output,
                         const struct effect_change *change, uint64_t ordinal)
{
    const struct decision *decision = decision_of(output, change);
    struct buffer key = {0};
    answers_put_subject(&key, change->kind, decision->job, decision->attempt,
                        answers_service_job(change->target, decision->service));
    note_question(answers, change->id, buffer_span(&key), ordinal);
    buffer_fini(&key);
}

static void note_changes(struct answers *answers, const struct fold_output *output,
                         uint64_t ordinal)
{
    for (uint32_t i = 0; i < output->change_count; i++) {
        const struct effect_change *change = &output->changes[i];
        bool is_request = change->decision.size > 0;
        if (change->kind != EFFECT_ASK) {
            answers->reality.outcomes[change->outcome]++;
        }
        if (!answers_is_awaited(change->kind) || change->outcome == OUTCOME_OBSERVED) {
            continue;
        }
        if (is_request) {
            note_request(answers, output, change, ordinal);
        } else {
            struct question *question = table_find(&answers->questions, change->id);
            if (question != NULL) { /* Taken back; its answer may still come. */
                question->subject->times[question->time].closed = ordinal;
            }
        }
    }
}

void answers_take(struct answers *answers, const struct entry *entry, const struct state *state,
                  const struct fold_output *output)
{
    uint64_t ordinal = state_summary(state).ordinal;
    bool is_believed =
        output->decision_count == 0 || output->decisions[0].action != ACTION_QUARANTINE;
    if (answers->entries == 0) {
        answers->begin_ms = entry->id.ms;
    }
    answers->entries++;
    answers->end_ms = entry->id.ms;
    if (is_believed && answers->questions.arrivals.count > 0) {
        note_answer(answers, entry, ordinal);
    }
    note_changes(answers, output, ordinal);
    if (output->is_policy_new) {
        note_policy(answers, state);
    }
}

void answers_fini(struct answers *answers)
{
    struct answers_subject *subject = table_oldest(&answers->subjects);
    for (; subject != NULL; subject = table_next(subject)) {
        mem_free(subject->times);
    }
    table_fini(&answers->subjects);
    table_fini(&answers->questions);
    mem_free(answers->list);
    mem_free(answers->captured);
    buffer_fini(&answers->captured_text);
}

enum answers_fate answers_fate(const struct answers *answers, struct span subject, uint64_t ordinal)
{
    const struct answers_subject *known = table_find(&answers->subjects, subject);
    if (known == NULL) {
        return ANSWERS_UNKNOWN;
    }
    if (known->last_answer > ordinal) {
        return ANSWERS_COMING;
    }
    for (uint32_t i = 0; i < known->count; i++) {
        const struct answers_time *time = &known->times[i];
        if (time->asked == ordinal || (time->asked < ordinal && ordinal < time->closed)) {
            return ANSWERS_PENDING;
        }
    }
    return ANSWERS_UNKNOWN;
}

uint64_t answers_completed_ms(const struct answers *answers, struct span job, uint64_t attempt,
                              struct span service_job)
{
    struct buffer key = {0};
    answers_put_subject(&key, EFFECT_ASK, job, attempt, service_job);
    const struct answers_subject *known = table_find(&answers->subjects, buffer_span(&key));
    buffer_fini(&key);
    return known == NULL ? 0 : known->completed_ms;
}
