/* SPDX-License-Identifier: MIT
 * The state's bytes: what is cut or flipped is refused, or is a state that can be written again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/lib/history.h"

/* A state with something in every table and list. */
static void encode_rich_state(struct buffer *out)
{
    static const char *const lines[] = {
        "worker.registered worker=w1 heartbeat_ms=1000 incarnation=1 services=comfyui=http://h",
        "worker.registered worker=w2 id=7",
        "job.submitted job=j0 max_retries=1 timeout_ms=5000 idempotent=true trace=00-1 id=9",
        "job.claimed job=j1 worker=w1 attempt=1 claim=c1",
        "job.claimed job=j2 worker=w1 attempt=1 claim=c2",
        "job.handed_off job=j2 worker=w1 attempt=1 service=comfyui service_job=p2 tag=t",
        "job.claimed job=j3 worker=w2 attempt=1 claim=c3",
        "job.completed job=j3 worker=w2 attempt=1",
        "tick owner=leader epoch=1 elapsed_ms=3000 wall_ms=9",
        "worker.heartbeat worker=w1",
        "worker.lost worker=w1",
        "worker.stopped worker=w2",
        "job.claimed job=j4 worker=w3 attempt=1 claim=c4",
        "policy owner=leader epoch=1 text=backoff_ms=0 origin=file hash=aa",
        "job.claimed job=j5 worker=w4 attempt=1 claim=c5",
        "worker.lost worker=w4",
        "operator.hold who=ann why=look",
        "job.started job=j6 worker=w5 attempt=1 claim=c6",
        "tick owner=leader epoch=1 elapsed_ms=61000 wall_ms=10",
    };
    struct history history = {.state = state_create(2)};
    history_begin(&history, "backoff_ms=0\n");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        history_fold(&history, lines[i]);
        assert_true(history.output.decision_count == 0 ||
                    history.output.decisions[0].action != ACTION_QUARANTINE);
    }
    state_encode(history.state, out);
    history_fini(&history);
}

static void test_snapshot__what_was_written_is_read(void **fixture)
{
    (void)fixture;
    struct buffer bytes = {0}, again = {0};
    encode_rich_state(&bytes);
    struct state *state = state_decode(buffer_span(&bytes));
    assert_non_null(state);
    state_encode(state, &again);
    assert_true(span_equal(buffer_span(&bytes), buffer_span(&again)));
    state_destroy(state);
    buffer_fini(&again);
    buffer_fini(&bytes);
}

static void test_snapshot__cut_anywhere_it_is_refused(void **fixture)
{
    (void)fixture;
    struct buffer bytes = {0};
    encode_rich_state(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        assert_null(state_decode((struct span){bytes.data, size}));
    }
    buffer_put_byte(&bytes, 0);
    assert_null(state_decode(buffer_span(&bytes)));
    buffer_fini(&bytes);
}

static void test_snapshot__a_changed_byte_is_refused_or_gives_another_state(void **fixture)
{
    (void)fixture;
    struct buffer bytes = {0};
    unsigned refused = 0;
    encode_rich_state(&bytes);
    for (size_t i = 0; i < bytes.size; i++) {
        char before = bytes.data[i];
        for (unsigned way = 0; way < 16; way++) { /* one bit flipped, or a small number */
            unsigned value = way < 8 ? (unsigned char)before ^ 1U << way : way - 8;
            bytes.data[i] = (char)value;
            struct state *state = state_decode(buffer_span(&bytes));
            refused += state == NULL;
            if (state != NULL) {
                struct buffer first = {0}, second = {0};
                state_encode(state, &first);
                struct state *again = state_decode(buffer_span(&first));
                assert_non_null(again);
                state_encode(again, &second);
                assert_true(span_equal(buffer_span(&first), buffer_span(&second)));
                state_destroy(again);
                buffer_fini(&second);
                buffer_fini(&first);
            }
            state_destroy(state);
        }
        bytes.data[i] = before;
    }
    assert_true(refused > bytes.size); /* The walk does look at what it reads. */
    buffer_fini(&bytes);
}

static void test_snapshot__another_version_is_refused(void **fixture)
{
    (void)fixture;
    struct buffer bytes = {0};
    encode_rich_state(&bytes);
    bytes.data[1]++;
    assert_null(state_decode(buffer_span(&bytes)));
    buffer_fini(&bytes);
}

/* What each field's texts are to begin with; NULL: they stay. */
static const char *const marks[EVENT_FIELD_COUNT] = {
    [FIELD_WORKER] = "W",  [FIELD_JOB] = "J",         [FIELD_OWNER] = "O", [FIELD_ID] = "I",
    [FIELD_CLAIM] = "C",   [FIELD_SERVICE_JOB] = "P", [FIELD_TAG] = "T",   [FIELD_SERVICES] = "S",
    [FIELD_SERVICE] = "V", [FIELD_TRACE] = "R",       [FIELD_EFFECT] = "E"};

struct marking {
    bool takes_away;
    uint64_t asked; /* set of F(…) */
    struct buffer text;
};

static struct span mark(void *payload, enum event_field field, struct span text)
{
    struct marking *marking = payload;
    marking->asked |= UINT64_C(1) << field;
    assert_true(text.size > 0);
    if (marks[field] == NULL) {
        return text;
    }
    if (marking->takes_away) {
        assert_int_equal(text.data[0], marks[field][0]);
        return (struct span){text.data + 1, text.size - 1};
    }
    buffer_reset(&marking->text);
    buffer_put_text(&marking->text, marks[field]);
    buffer_put_span(&marking->text, text);
    return buffer_span(&marking->text);
}

static void test_snapshot__every_text_can_be_mapped_and_mapped_back(void **fixture)
{
    (void)fixture;
    struct buffer bytes = {0}, marked = {0}, again = {0};
    struct marking marking = {0};
    encode_rich_state(&bytes);
    struct state *state = state_decode(buffer_span(&bytes));
    state_encode_mapped(state, mark, &marking, &marked);
    state_destroy(state);
    assert_false(span_equal(buffer_span(&bytes), buffer_span(&marked)));
    assert_true(span_holds(buffer_span(&marked), SPAN("Ww2\nI7")));
    assert_true(span_holds(buffer_span(&marked), SPAN("\nI9")));
    state = state_decode(buffer_span(&marked));
    assert_non_null(state);
    assert_int_equal(marking.asked, F(WORKER) | F(JOB) | F(OWNER) | F(ID) | F(CLAIM) |
                                        F(SERVICE_JOB) | F(TAG) | F(SERVICES) | F(SERVICE) |
                                        F(TRACE) | F(EFFECT) | F(TEXT) | F(HASH));
    marking.takes_away = true;
    state_encode_mapped(state, mark, &marking, &again);
    assert_true(span_equal(buffer_span(&bytes), buffer_span(&again)));
    state_destroy(state);
    buffer_fini(&marking.text);
    buffer_fini(&again);
    buffer_fini(&marked);
    buffer_fini(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_snapshot__what_was_written_is_read),
        cmocka_unit_test(test_snapshot__cut_anywhere_it_is_refused),
        cmocka_unit_test(test_snapshot__a_changed_byte_is_refused_or_gives_another_state),
        cmocka_unit_test(test_snapshot__another_version_is_refused),
        cmocka_unit_test(test_snapshot__every_text_can_be_mapped_and_mapped_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
