/* SPDX-License-Identifier: MIT */
#include "replay/evidence.h"

#include "base/json.h"

static const struct json *member(const struct json *object, const char *name)
{
    struct buffer pointer = {0};
    buffer_put_byte(&pointer, '/');
    json_put_pointer_text(&pointer, span_of(name));
    const struct json *found = json_find(object, buffer_span(&pointer));
    buffer_fini(&pointer);
    return found;
}

static struct span keep(struct arena *arena, const struct json *object, const char *name)
{
    struct span text = json_text(member(object, name));
    return text.size == 0 ? SPAN_NONE : arena_copy(arena, text);
}

static void read_facts(const struct json *facts, struct evidence *out)
{
    for (enum job_fact fact = 0; facts != NULL && fact < JOB_FACT_COUNT; fact++) {
        struct stream_id id;
        if (stream_id_parse(json_text(member(facts, job_fact_text(fact))), &id)) {
            out->fact[fact] = id;
        }
    }
}

static void read_measures(const struct json *measures, struct evidence *out)
{
    for (enum measure measure = 0; measures != NULL && measure < MEASURE_COUNT; measure++) {
        int64_t number;
        if (json_number(member(measures, measure_text(measure)), &number)) {
            out->measures |= UINT32_C(1) << measure;
            out->measure[measure] = (uint64_t)number;
        }
    }
}

static void read_tried(const struct json *tried, struct evidence *out)
{
    for (size_t i = 0; i < json_count(tried); i++) {
        struct number_text place = number_text(i);
        struct span told = json_text(member(tried, place.text));
        for (enum rule rule = 0; rule < RULE_COUNT; rule++) {
            out->tried |= span_is(told, rule_text(rule)) ? UINT32_C(1) << rule : 0;
        }
    }
}

static void read_words(const struct json *document, struct evidence *out)
{
    struct span cancel = json_text(member(document, "cancel"));
    for (enum job_cancel word = JOB_CANCEL_NONE; word < JOB_CANCEL_COUNT; word++) {
        out->cancel = span_is(cancel, job_cancel_text(word)) ? word : out->cancel;
    }
    struct span held = json_text(member(document, "held"));
    for (enum effect_kind kind = EFFECT_NONE; kind < EFFECT_KIND_COUNT; kind++) {
        out->held = span_is(held, effect_kind_text(kind)) ? kind : out->held;
    }
}

bool evidence_read(struct span json, struct arena *arena, struct evidence *out)
{
    struct error error = {0};
    struct json *document = json_parse(json, &error);
    *out = (struct evidence){0};
    if (json_kind(document) != JSON_KIND_OBJECT) {
        json_destroy(document);
        return false;
    }
    read_facts(member(document, "facts"), out);
    read_measures(member(document, "measures"), out);
    read_tried(member(document, "did_not_match"), out);
    read_words(document, out);
    out->event = keep(arena, document, "event");
    out->who = keep(arena, document, "who");
    out->said = keep(arena, document, "said");
    json_destroy(document);
    return true;
}

bool evidence_has(const struct evidence *evidence, enum measure measure)
{
    return (evidence->measures & (UINT32_C(1) << measure)) != 0;
}

bool evidence_is_ended_by_worker(const struct evidence *evidence)
{
    return evidence->cancel == JOB_CANCEL_CONFIRMED &&
           stream_id_compare(evidence->fact[JOB_FACT_ENDED], evidence->fact[JOB_FACT_ANSWERED]) > 0;
}
