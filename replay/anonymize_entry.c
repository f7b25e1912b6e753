/* SPDX-License-Identifier: MIT
 * What of an entry is kept, what gets another name and what is dropped: one table, by field, for
 * entries and snapshots alike. A field without a row is dropped; numbers are kept. */
#include <string.h>

#include "base/check.h"
#include "reducers/codec.h"
#include "reducers/effect.h"
#include "reducers/policy.h"
#include "replay/anonymize_parts.h"

#define DIGEST_SIZE      64            /* a SHA-256, hexadecimal */
#define OTHER            SPAN("other") /* for a word that is none of the protocol */
#define SERVICE_KEPT_MAX 32
#define DROPPED_NUMBERS  F(HASH_ORDINAL) /* told with state_hash alone */

typedef struct span (*treat_fn)(struct anonymizer *anonymizer, enum event_field field,
                                struct span text);

static struct span change_name(struct anonymizer *anonymizer, enum event_field field,
                               struct span text)
{
    if (anonymizer->names != NULL) {
        return pseudonyms_name(anonymizer->names, field, text);
    }
    return pseudonym_is(field, text) ? text : SPAN_NONE;
}

/* --- the protocol's own words --- */

#define X(name, text) text " "
static const char *const words[EVENT_FIELD_COUNT] = {
    [FIELD_ORIGIN] = "file operator",
    [FIELD_VERDICT] = ANSWER_VERDICTS(X),
    [FIELD_OUTCOME] = EFFECT_OUTCOMES(X),
    [FIELD_FLAGS] = ANSWER_FLAGS(X),
    [FIELD_CAPABILITIES] = "status cancel result",
    [FIELD_BREAKER] = "closed open half_open",
    /* Of a job, then of a worker, as queues have them. */
    [FIELD_STATUS] = "pending assigned accepted in_progress completed failed cancelled timeout "
                     "idle busy offline",
};
#undef X

static bool is_word(enum event_field field, struct span text)
{
    struct span list = span_of(words[field]);
    while (list.size > 0) {
        if (span_equal(span_cut(&list, ' '), text)) {
            return text.size > 0;
        }
    }
    return false;
}

static struct span keep_word(struct anonymizer *anonymizer, enum event_field field,
                             struct span text)
{
    (void)anonymizer;
    return is_word(field, text) ? text : OTHER;
}

static void put_part(struct buffer *list, char between, struct span part)
{
    if (list->size > 0) {
        buffer_put_byte(list, (uint8_t)between);
    }
    buffer_put_span(list, part);
}

static struct span take(struct anonymizer *anonymizer, struct buffer *text)
{
    struct span taken =
        text->size == 0 ? SPAN_NONE : arena_copy(&anonymizer->arena, buffer_span(text));
    buffer_fini(text);
    return taken;
}

static struct span keep_words(struct anonymizer *anonymizer, enum event_field field,
                              struct span text)
{
    struct buffer kept = {0};
    while (text.size > 0) {
        struct span word = span_cut(&text, ' ');
        if (is_word(field, word)) {
            put_part(&kept, ' ', word);
        }
    }
    return take(anonymizer, &kept);
}

/* --- texts with a form of their own --- */

static bool is_made_of(struct span text, const char *bytes)
{
    for (size_t i = 0; i < text.size; i++) {
        if (strchr(bytes, text.data[i]) == NULL || text.data[i] == '\0') {
            return false;
        }
    }
    return text.size > 0;
}

/* The kind of name that profiles have; a producer may have put an address or a secret there. */
static bool is_service_kept(struct span name)
{
    return name.size <= SERVICE_KEPT_MAX &&
           is_made_of(name, "abcdefghijklmnopqrstuvwxyz0123456789_-");
}

static struct span keep_service(struct anonymizer *anonymizer, enum event_field field,
                                struct span text)
{
    (void)field;
    return is_service_kept(text) ? text : change_name(anonymizer, FIELD_SERVICE, text);
}

/* "comfyui=http://10.0.0.7:8188 openai": the names without the urls, as many as the field takes. */
static struct span keep_services(struct anonymizer *anonymizer, enum event_field field,
                                 struct span text)
{
    struct buffer kept = {0};
    while (text.size > 0) {
        struct span service = span_cut(&text, ' ');
        struct span name = span_cut(&service, '=');
        name = name.size > 0 ? keep_service(anonymizer, field, name) : SPAN_NONE;
        if (name.size > 0 && kept.size + 1 + name.size <= TEXT_SIZE_MAX) {
            put_part(&kept, ' ', name);
        }
    }
    return take(anonymizer, &kept);
}

/* A policy holds names of services, words and numbers; what is none is refused as before. Under
 * another name of a service the text would not have its hash any more, which tells of the text as
 * it was: such a name is told to the caller, who gives up. */
static struct span keep_policy(struct anonymizer *anonymizer, enum event_field field,
                               struct span text)
{
    (void)field;
    struct policy policy;
    struct span bad;
    if (!policy_parse_text(text, &policy, &bad)) {
        return SPAN("?");
    }
    for (uint32_t i = 0; i < policy.service_count; i++) {
        struct span name = {policy.services[i].name, policy.services[i].name_size};
        if (!is_service_kept(name)) {
            buffer_reset(&anonymizer->bad_service);
            buffer_put_span(&anonymizer->bad_service, name);
            return SPAN("?");
        }
    }
    return text;
}

bool anonymizer_is_fine(const struct anonymizer *anonymizer, struct error *error)
{
    struct span name = buffer_span(&anonymizer->bad_service);
    return name.size == 0 ||
           error_set(
               error, ERROR_REFUSED,
               "a policy in it names the service \"%.*s\", which would be told; allowed: 1 to "
               "%d of a-z, 0-9, _ and -",
               SPAN_FORMAT(name), SERVICE_KEPT_MAX);
}

static struct span keep_digest(struct anonymizer *anonymizer, enum event_field field,
                               struct span text)
{
    bool is_digest = text.size == DIGEST_SIZE && is_made_of(text, "0123456789abcdef");
    return is_digest ? text : change_name(anonymizer, field, text);
}

/* partition.timeline.ms-seq.n.k; what is not made so was never the id of an effect. */
static struct span keep_effect(struct anonymizer *anonymizer, enum event_field field,
                               struct span text)
{
    (void)anonymizer, (void)field;
    return is_made_of(text, "0123456789.-") ? text : OTHER;
}

/* What the queue's script found, `key=value` lines; of each key the first counts. */
static const struct {
    const char *key;
    enum event_field field;
} found_keys[] = {
    {"status", FIELD_STATUS}, {"attempt", FIELD_ATTEMPT}, {"worker", FIELD_WORKER},
    {"claim", FIELD_CLAIM},   {"job", FIELD_JOB},
};
#define FOUND_KEYS (sizeof found_keys / sizeof found_keys[0])

static struct span found_value(struct anonymizer *anonymizer, enum event_field field,
                               struct span value)
{
    uint64_t number;
    if (value.size == 0 || (field == FIELD_WORKER && value.size > ID_SIZE_MAX)) {
        return SPAN_NONE; /* is no worker's id to the reducers either */
    }
    if (field == FIELD_ATTEMPT) {
        return span_to_number(value, COUNT_MAX, &number) ? value : SPAN_NONE;
    }
    return anonymize_text(anonymizer, field, value);
}

static struct span keep_found(struct anonymizer *anonymizer, enum event_field field,
                              struct span text)
{
    (void)field;
    struct buffer kept = {0};
    bool is_seen[FOUND_KEYS] = {false};
    while (text.size > 0) {
        struct span value = span_cut(&text, '\n');
        struct span key = span_cut(&value, '=');
        for (size_t i = 0; i < FOUND_KEYS; i++) {
            if (is_seen[i] || !span_is(key, found_keys[i].key)) {
                continue;
            }
            is_seen[i] = true;
            value = found_value(anonymizer, found_keys[i].field, value);
            if (value.size > 0) {
                put_part(&kept, '\n', key);
                buffer_put_byte(&kept, '=');
                buffer_put_span(&kept, value);
            }
        }
    }
    return take(anonymizer, &kept);
}

/* --- the table --- */

static const treat_fn treatments[EVENT_FIELD_COUNT] = {
    [FIELD_WORKER] = change_name,   [FIELD_MACHINE] = change_name,
    [FIELD_JOB] = change_name,      [FIELD_WORKFLOW] = change_name,
    [FIELD_CLAIM] = change_name,    [FIELD_SERVICE_JOB] = change_name,
    [FIELD_TAG] = change_name,      [FIELD_OWNER] = change_name,
    [FIELD_WHO] = change_name,      [FIELD_ID] = change_name,
    [FIELD_SERVICE] = keep_service, [FIELD_SERVICES] = keep_services,
    [FIELD_TEXT] = keep_policy,     [FIELD_HASH] = keep_digest,
    [FIELD_QUESTION] = keep_effect, [FIELD_EFFECT] = keep_effect,
    [FIELD_FOUND] = keep_found,     [FIELD_ORIGIN] = keep_word,
    [FIELD_VERDICT] = keep_word,    [FIELD_OUTCOME] = keep_word,
    [FIELD_BREAKER] = keep_word,    [FIELD_STATUS] = keep_word,
    [FIELD_FLAGS] = keep_words,     [FIELD_CAPABILITIES] = keep_words,
};

struct span anonymize_text(void *payload, enum event_field field, struct span text)
{
    CHECK(field < EVENT_FIELD_COUNT);
    treat_fn treat = treatments[field];
    return treat == NULL ? SPAN_NONE : treat(payload, field, text);
}

/* --- entries --- */

static void anonymize_event(struct anonymizer *anonymizer, struct event *event)
{
    uint64_t required = event_type_rule(event->type)->required;
    event->present &= ~DROPPED_NUMBERS;
    for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
        enum field_kind kind = event_field_rule(field)->kind;
        bool is_number = kind == FIELD_KIND_NUMBER || kind == FIELD_KIND_BOOLEAN;
        if (!event_has(event, field) || is_number) {
            continue;
        }
        struct span text = anonymize_text(anonymizer, field, event->value[field].text);
        event->value[field].text = text;
        if (text.size == 0 && (required & UINT64_C(1) << field) == 0) {
            event->present &= ~(UINT64_C(1) << field);
        }
    }
}

/* An entry that is none, and tells which way: without a type it is quarantined like the one it
 * stands for. */
static void put_problem(struct buffer *raw, enum codec_problem problem, struct span field)
{
    bool is_ours = span_is(field, "e") || span_is(field, "type") ||
                   event_field_named(field) != EVENT_FIELD_COUNT;
    const struct span names[] = {SPAN("problem"), SPAN("field")};
    const struct span values[] = {span_of(codec_problem_text(problem)), field};
    codec_put_raw(raw, names, values, is_ours ? 2 : 1);
}

bool anonymize_entry(struct anonymizer *anonymizer, const struct entry *entry, struct buffer *raw)
{
    struct event event;
    struct span field;
    arena_reset(&anonymizer->arena);
    enum codec_problem problem = codec_decode(entry, &event, &field);
    if (problem == CODEC_UNKNOWN_TYPE) {
        codec_put_raw(raw, &SPAN("type"), &SPAN("unknown"), 1);
    } else if (problem != CODEC_NONE) {
        put_problem(raw, problem, field);
    } else {
        struct buffer packed = {0};
        anonymize_event(anonymizer, &event);
        codec_put_packed(&packed, &event);
        struct span value = buffer_span(&packed);
        codec_put_raw(raw, &SPAN("e"), &value, 1);
        buffer_fini(&packed);
    }
    return problem == CODEC_NONE;
}

void anonymizer_fini(struct anonymizer *anonymizer)
{
    arena_fini(&anonymizer->arena);
    buffer_fini(&anonymizer->bad_service);
}
