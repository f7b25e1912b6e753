/* SPDX-License-Identifier: MIT
 * What becomes of texts and entries when they are anonymized. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "reducers/fold.h"
#include "reducers/state.h"
#include "replay/anonymize_parts.h"
#include "tests/lib/event_draft.h"
#include "tests/lib/history.h"

static int begin(void **fixture)
{
    static struct anonymizer anonymizer;
    anonymizer = (struct anonymizer){.names = pseudonyms_open(SPAN("sixteen bytes do"))};
    *fixture = &anonymizer;
    return 0;
}

static int end(void **fixture)
{
    struct anonymizer *anonymizer = *fixture;
    pseudonyms_close(anonymizer->names);
    anonymizer_fini(anonymizer);
    return 0;
}

static void assert_span(struct span given, struct span wanted)
{
    assert_int_equal(given.size, wanted.size);
    assert_memory_equal(given.data, wanted.data, given.size);
}

static void test_anonymize__keeps_changes_and_drops_texts_by_field(void **fixture)
{
    static const struct {
        enum event_field field;
        const char *text, *wanted; /* NULL: a pseudonym */
    } rows[] = {
        {FIELD_JOB, "job-4711", NULL},
        {FIELD_WORKER, "gpu-7.example.com", NULL},
        {FIELD_MACHINE, "gpu-7", NULL},
        {FIELD_WORKFLOW, "wf", NULL},
        {FIELD_CLAIM, "2026-11-23T11:58:41Z", NULL},
        {FIELD_SERVICE_JOB, "prompt", NULL},
        {FIELD_TAG, "t", NULL},
        {FIELD_WHO, "ada", NULL},
        {FIELD_ID, "17", NULL},
        {FIELD_OWNER, "0123456789abcdef", NULL},
        {FIELD_RESULT, "s3://bucket/secret", ""},
        {FIELD_ERROR, "secret", ""},
        {FIELD_REASON, "secret", ""},
        {FIELD_WHY, "secret", ""},
        {FIELD_STATUS_URL, "http://h/secret", ""},
        {FIELD_CANCEL_URL, "http://h/secret", ""},
        {FIELD_RESULT_URL, "http://h/secret", ""},
        {FIELD_ENDPOINT, "http://h/secret", ""},
        {FIELD_WORD, "secret", ""},
        {FIELD_BODY_SHA256, "cafe", ""},
        {FIELD_TRACE, "00-1", ""},
        {FIELD_STATE_HASH, "cafe", ""},
        {FIELD_SERVICE, "comfyui", "comfyui"},
        {FIELD_SERVICES, "comfyui=http://10.0.0.7:8188 openai", "comfyui openai"},
        {FIELD_SERVICE, "rest-async_2", "rest-async_2"},
        {FIELD_SERVICE, "http://alice:hunter2@10.0.0.9:8188/?key=SECRETKEY", NULL},
        {FIELD_SERVICE, "secret-host.corp.internal", NULL},
        {FIELD_SERVICE, "Comfyui", NULL},
        {FIELD_SERVICE, "abcdefghijklmnopqrstuvwxyz0123456", NULL},
        {FIELD_SERVICES, " a=http://secret  =http://secret b", "a b"},
        {FIELD_VERDICT, "not_found", "not_found"},
        {FIELD_VERDICT, "a secret", "other"},
        {FIELD_VERDICT, "completed secret", "other"},
        {FIELD_VERDICT, " ", "other"},
        {FIELD_OUTCOME, "already_final", "already_final"},
        {FIELD_OUTCOME, "secret", "other"},
        {FIELD_ORIGIN, "file", "file"},
        {FIELD_ORIGIN, "secret", "other"},
        {FIELD_BREAKER, "half_open", "half_open"},
        {FIELD_STATUS, "in_progress", "in_progress"},
        {FIELD_STATUS, "secret", "other"},
        {FIELD_FLAGS, "partial secret  lagging", "partial lagging"},
        {FIELD_FLAGS, "secret", ""},
        {FIELD_CAPABILITIES, "status cancel variant=secret", "status cancel"},
        {FIELD_EFFECT, "0.1.1700000000000-0.1.1", "0.1.1700000000000-0.1.1"},
        {FIELD_QUESTION, "0.1.1-0.1.1 secret", "other"},
        {FIELD_TEXT, "backoff_ms=5\nservice.my.backoff_ms=7\n",
         "backoff_ms=5\nservice.my.backoff_ms=7\n"},
        {FIELD_TEXT, "secret=5\n", "?"},
        {FIELD_HASH, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
         "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {FIELD_HASH, "cafe", NULL},
        {FIELD_HASH, "B0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7", NULL},
    };
    struct anonymizer check = {0};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct span text = anonymize_text(*fixture, rows[i].field, span_of(rows[i].text));
        if (rows[i].wanted != NULL) {
            assert_span(text, span_of(rows[i].wanted));
        } else {
            assert_true(pseudonym_is(rows[i].field, text));
        }
        /* What is anonymized is left alone; what is not, is not. */
        bool was_clean = span_equal(text, span_of(rows[i].text));
        assert_span(anonymize_text(&check, rows[i].field, text), text);
        struct span raw = anonymize_text(&check, rows[i].field, span_of(rows[i].text));
        assert_int_equal(span_equal(raw, span_of(rows[i].text)), was_clean);
    }
    anonymizer_fini(&check);
}

/* Whatever a producer puts into any text: nothing of it is told. */
static void test_anonymize__no_field_tells_a_secret(void **fixture)
{
    static const char *const secrets[] = {
        "http://alice:Hunter2@10.0.0.9:8188/?key=Hunter2",
        "comfyui=http://Hunter2 host.Hunter2.corp ghp_HUNTER2Hunter2",
        "status=Hunter2\nworker=Hunter2\nclaim=Hunter2\nattempt=Hunter2\njob=Hunter2",
        "Bearer Hunter2",
    };
    for (enum event_field field = 0; field < EVENT_FIELD_COUNT; field++) {
        for (size_t i = 0; event_draft_is_text(field) && i < sizeof secrets / sizeof secrets[0];
             i++) {
            struct span text = anonymize_text(*fixture, field, span_of(secrets[i]));
            assert_false(span_holds(text, SPAN("Hunter2")));
        }
    }
}

static void test_anonymize__a_service_has_one_name_wherever_it_stands(void **fixture)
{
    struct span secret = SPAN("secret.corp");
    struct span name = anonymize_text(*fixture, FIELD_SERVICE, secret);
    struct buffer wanted = {0}, many = {0};
    buffer_put_text(&wanted, "comfyui ");
    buffer_put_span(&wanted, name);
    assert_span(anonymize_text(*fixture, FIELD_SERVICES, SPAN("comfyui=http://h secret.corp=x")),
                buffer_span(&wanted));
    /* Longer names than they were are no reason to lose the event. */
    while (many.size + 2 <= TEXT_SIZE_MAX) {
        buffer_put_text(&many, "A ");
    }
    struct span kept = anonymize_text(*fixture, FIELD_SERVICES, buffer_span(&many));
    assert_in_range(kept.size, TEXT_SIZE_MAX / 2, TEXT_SIZE_MAX);
    buffer_fini(&wanted);
    buffer_fini(&many);
}

static void test_anonymize__a_policy_that_names_a_secret_is_refused(void **fixture)
{
    static const char *const texts[] = {
        "service.alice:hunter2@10.0.0.9/SECRET.job_timeout_ms=5000\n",
        "backoff_ms=5\nservice.a.backoff_ms=7\nservice.secret.corp.volatile=true\n",
    };
    struct anonymizer *anonymizer = *fixture;
    struct error error = {0};
    assert_true(anonymizer_is_fine(anonymizer, &error));
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_span(anonymize_text(anonymizer, FIELD_TEXT, span_of(texts[i])), SPAN("?"));
        assert_false(anonymizer_is_fine(anonymizer, &error));
        assert_int_equal(error.code, ERROR_REFUSED);
    }
    assert_true(span_holds(span_of(error.message), SPAN("the service \"secret.corp\"")));
}

static void test_anonymize__keeps_of_what_was_found_what_decides(void **fixture)
{
    struct span found = SPAN("key=jobs:secret\nworker\nstatus=in_progress\nattempt=2\n"
                             "claim=2026-11-23\nworker=w1\nclaim=other\njob=j9\nstatus=failed");
    struct buffer wanted = {0};
    buffer_put_text(&wanted, "status=in_progress\nattempt=2\nclaim=");
    buffer_put_span(&wanted, pseudonyms_name(((struct anonymizer *)*fixture)->names, FIELD_CLAIM,
                                             SPAN("2026-11-23")));
    buffer_put_text(&wanted, "\njob=");
    buffer_put_span(&wanted,
                    pseudonyms_name(((struct anonymizer *)*fixture)->names, FIELD_JOB, SPAN("j9")));
    /* "worker" stood before without a value: to the reducers too there is none. */
    assert_span(anonymize_text(*fixture, FIELD_FOUND, found), buffer_span(&wanted));
    assert_span(anonymize_text(*fixture, FIELD_FOUND, SPAN("worker=\nattempt=many\nattempt=1")),
                SPAN_NONE);
    buffer_reset(&wanted);
    buffer_put_text(&wanted, "worker=");
    buffer_put_span(&wanted, event_draft_filler(ID_SIZE_MAX + 1));
    assert_span(anonymize_text(*fixture, FIELD_FOUND, buffer_span(&wanted)), SPAN_NONE);
    wanted.size--;
    assert_true(anonymize_text(*fixture, FIELD_FOUND, buffer_span(&wanted)).size > 0);
    assert_span(anonymize_text(*fixture, FIELD_FOUND, SPAN("status=secret")), SPAN("status=other"));
    buffer_fini(&wanted);
}

/* Decodes what stands for the draft's entry. */
static void decode_result(void **fixture, struct event_draft *draft, struct buffer *raw,
                          struct event *out)
{
    struct event before;
    struct span field;
    buffer_reset(raw);
    event_draft_assert_decodes(draft, &before);
    assert_true(anonymize_entry(*fixture, &(struct entry){{17, 4}, buffer_span(&draft->raw)}, raw));
    assert_int_equal(event_draft_decode_raw(buffer_span(raw), out, &field), CODEC_NONE);
    assert_int_equal(out->type, before.type);
    for (enum event_field i = 0; i < EVENT_FIELD_COUNT; i++) {
        bool is_kept = event_has(&before, i) && !event_draft_is_text(i) && i != FIELD_HASH_ORDINAL;
        assert_true(is_kept || !event_has(out, i) || event_draft_is_text(i));
        if (is_kept) {
            assert_true(event_has(out, i));
            assert_int_equal(event_number(out, i), event_number(&before, i));
        }
    }
    struct anonymizer check = {0};
    struct buffer again = {0};
    assert_true(anonymize_entry(&check, &(struct entry){{17, 4}, buffer_span(raw)}, &again));
    assert_span(buffer_span(&again), buffer_span(raw));
    anonymizer_fini(&check);
    buffer_fini(&again);
}

static void test_anonymize__every_type_with_every_field_stays_an_event(void **fixture)
{
    struct event_draft draft = {0};
    struct buffer raw = {0};
    struct event event;
    for (enum event_type type = EVENT_NONE + 1; type < EVENT_TYPE_COUNT; type++) {
        uint64_t fields = event_draft_fields_of(type);
        for (int form = 0; form < 2; form++) {
            event_draft_start_type(&draft, form == 1, type, fields, EXTREME_LARGEST);
            event_draft_put_text(&draft, "secret", SPAN("secret"));
            decode_result(fixture, &draft, &raw, &event);
            assert_false(span_holds(buffer_span(&raw), SPAN("secret")));
            uint64_t required = event_type_rule(type)->required;
            assert_int_equal(event.present & required, required);
            event_draft_start_type(&draft, form == 1, type, fields, EXTREME_LEAST);
            decode_result(fixture, &draft, &raw, &event);
            event_draft_start_type(&draft, form == 1, type, required, EXTREME_LEAST);
            decode_result(fixture, &draft, &raw, &event);
            assert_int_equal(event.present, required);
        }
    }
    buffer_fini(&raw);
    event_draft_fini(&draft);
}

/* Folds the entry into a fresh state; true when it is quarantined. */
static bool is_quarantined(struct span raw)
{
    struct state *state = state_create(0);
    struct fold_output output = {0};
    fold_entry(state, &(struct entry){{1, 0}, raw}, &output);
    bool is = output.decision_count == 1 && output.decisions[0].action == ACTION_QUARANTINE;
    fold_output_fini(&output);
    state_destroy(state);
    return is;
}

static void test_anonymize__keeps_nothing_of_what_is_no_event(void **fixture)
{
    struct buffer line = {0}, large = {0}, raw = {0};
    history_put_raw(&line, "job.progress job=secret worker=secret attempt=1 progress=secret");
    struct span names[2] = {SPAN("type"), SPAN("secret")};
    struct span values[2] = {SPAN("worker.heartbeat"), event_draft_filler(POLICY_SIZE_MAX)};
    codec_put_raw(&large, names, values, 2);
    buffer_put_span(&large, event_draft_filler(POLICY_SIZE_MAX));
    static const struct {
        struct span raw;
        const char *wanted;
    } rows[] = {
        {{NULL, 0}, "\x01\x07problem\x09malformed"},
        {{"secret", 6}, "\x01\x07problem\x0ftoo_many_fields"},
        {{"\x01\x01"
          "e\x06secret",
          10},
         "\x02\x07problem\x09malformed\x05"
         "field\x01"
         "e"},
        {{"\x01\x06secret\x06secret", 15},
         "\x02\x07problem\x07missing\x05"
         "field\x04type"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        buffer_reset(&raw);
        assert_false(anonymize_entry(*fixture, &(struct entry){{1, 0}, rows[i].raw}, &raw));
        assert_span(buffer_span(&raw), span_of(rows[i].wanted));
        assert_true(is_quarantined(rows[i].raw) && is_quarantined(buffer_span(&raw)));
    }
    buffer_reset(&raw);
    assert_false(anonymize_entry(*fixture, &(struct entry){{1, 0}, buffer_span(&line)}, &raw));
    assert_span(buffer_span(&raw), SPAN("\x02\x07problem\x09ill_typed\x05"
                                        "field\x08progress"));
    assert_true(is_quarantined(buffer_span(&line)) && is_quarantined(buffer_span(&raw)));
    buffer_reset(&raw);
    assert_false(anonymize_entry(*fixture, &(struct entry){{1, 0}, buffer_span(&large)}, &raw));
    assert_span(buffer_span(&raw), SPAN("\x01\x07problem\x09oversized"));
    assert_true(is_quarantined(buffer_span(&large)) && is_quarantined(buffer_span(&raw)));
    buffer_fini(&raw);
    buffer_fini(&large);
    buffer_fini(&line);
}

static void test_anonymize__an_unknown_type_stays_one(void **fixture)
{
    struct buffer line = {0}, raw = {0};
    history_put_raw(&line, "secret.type job=secret");
    assert_false(anonymize_entry(*fixture, &(struct entry){{1, 0}, buffer_span(&line)}, &raw));
    assert_span(buffer_span(&raw), SPAN("\x01\x04type\x07unknown"));
    struct event event;
    struct span field;
    assert_int_equal(event_draft_decode_raw(buffer_span(&raw), &event, &field), CODEC_UNKNOWN_TYPE);
    buffer_fini(&raw);
    buffer_fini(&line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(test_anonymize__keeps_changes_and_drops_texts_by_field),
        TEST(test_anonymize__no_field_tells_a_secret),
        TEST(test_anonymize__a_service_has_one_name_wherever_it_stands),
        TEST(test_anonymize__a_policy_that_names_a_secret_is_refused),
        TEST(test_anonymize__keeps_of_what_was_found_what_decides),
        TEST(test_anonymize__every_type_with_every_field_stays_an_event),
        TEST(test_anonymize__keeps_nothing_of_what_is_no_event),
        TEST(test_anonymize__an_unknown_type_stays_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
