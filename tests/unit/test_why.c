/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/json.h"
#include "replay/journal.h"
#include "replay/why.h"
#include "replay/why_parts.h"
#include "tests/lib/small_stream.h"
#include "tests/lib/tree.h"

#define ENTRIES 42 /* five rounds */

static char root[TREE_PATH_SIZE];
static char audit_path[128], capture_path[128];

/* An audit and a capture of the small stream, made once for all tests. */
static int make_history(void **fixture)
{
    (void)fixture;
    tree_make(root);
    snprintf(audit_path, sizeof(audit_path), "%s/audit-0.db", root);
    snprintf(capture_path, sizeof(capture_path), "%s/capture-0", root);
    struct journal_config config = {.data = root,
                                    .snapshot_entries = JOURNAL_SNAPSHOT_ENTRIES,
                                    .snapshot_ms = JOURNAL_SNAPSHOT_MS};
    struct error error = {0};
    struct state *state;
    struct journal *journal = journal_open(&config, &state, &error);
    assert_non_null(journal);
    struct small_stream stream = {.end = ENTRIES, .batch_size = 10};
    struct loop loop = {
        .state = state,
        .source = small_stream_source(&stream),
        .sinks = {journal_sink(journal)},
        .sink_count = 1,
    };
    assert_true(loop_run(&loop, &error));
    assert_true(journal_stop(journal, state, &error));
    journal_close(journal);
    state_destroy(state);
    return 0;
}

static int remove_history(void **fixture)
{
    (void)fixture;
    tree_remove(root);
    return 0;
}

static bool tell(const char *job, bool has_capture, bool is_json, struct buffer *story)
{
    struct why_config config = {
        .job = span_of(job),
        .audit = audit_path,
        .capture = has_capture ? capture_path : NULL,
        .is_json = is_json,
    };
    struct error error = {0};
    bool is_known;
    if (!why_tell(&config, story, &is_known, &error)) {
        fail_msg("%s", error.message);
    }
    buffer_put_byte(story, '\0');
    return is_known;
}

/* Each text stands in the story, behind the one before. */
static void assert_in_order(const char *story, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        story = strstr(story, *texts);
        if (story == NULL) {
            fail_msg("\"%s\" is missing or out of order", *texts);
            return;
        }
        story += strlen(*texts);
    }
}

static void test_why__tells_events_and_decisions_in_the_order_of_the_stream(void **fixture)
{
    (void)fixture;
    struct buffer story = {0};
    assert_true(tell("j2", true, false, &story));
    assert_in_order(
        story.data,
        (const char *const[]){
            "job j2\n",
            "2023-11-14T22:13:20.019Z  1700000000019-1  job.claimed\n    worker: w2\n    job: j2",
            "1700000000020-2  job.started",
            "1700000000021-0  worker.heartbeat\n    worker: w2",
            "1700000000023-2  worker.lost\n    worker: w2",
            "1700000000023-2  DECIDED ",
            "DECIDED wait: somebody declared the worker lost (worker_lost)",
            "\n      attempt: 1\n      worker: w2\n",
            "\n      evidence:\n        event: \"worker.lost\"",
            "\n          worker_heard_last: \"1700000000021-0\"",
            "1700000000024-0  tick",
            "1700000000024-0  DECIDED requeue: ",
            "effect 0.1.1700000000024-0.1.1: requeue job:j2 -> still open",
            "1700000000025-1  job.claimed",
            "DECIDED ignore: ",
            NULL,
        });
    assert_null(strstr(story.data, "w1"));
    assert_null(strstr(story.data, "j3"));
    buffer_fini(&story);
}

static void test_why__tells_decisions_without_a_capture(void **fixture)
{
    (void)fixture;
    struct buffer story = {0};
    assert_true(tell("j2", false, false, &story));
    assert_in_order(story.data, (const char *const[]){"DECIDED wait: ", "DECIDED requeue: ",
                                                      "DECIDED ignore: ", NULL});
    assert_null(strstr(story.data, "job.started\n"));
    buffer_fini(&story);
}

static void test_why__writes_json_that_holds_the_same(void **fixture)
{
    (void)fixture;
    struct buffer story = {0};
    struct error error = {0};
    assert_true(tell("j2", true, true, &story));
    struct json *document = json_parse((struct span){story.data, story.size - 1}, &error);
    assert_non_null(document);
    assert_true(span_is(json_text(json_find(document, SPAN("/job"))), "j2"));
    assert_int_equal(json_kind(json_find(document, SPAN("/is_cut"))), JSON_KIND_BOOLEAN);
    assert_int_equal(json_count(json_find(document, SPAN("/story"))), 10);
    assert_true(span_is(json_text(json_find(document, SPAN("/story/0/type"))), "job.claimed"));
    assert_true(span_is(json_text(json_find(document, SPAN("/story/0/fields/worker"))), "w2"));
    const struct json *decision = json_find(document, SPAN("/story/[action=requeue]"));
    assert_true(span_is(json_text(json_find(decision, SPAN("/reason"))), "worker_lost"));
    assert_true(span_is(json_text(json_find(decision, SPAN("/evidence/event"))), "tick"));
    assert_true(span_is(json_text(json_find(decision, SPAN("/effects/0/kind"))), "requeue"));
    json_destroy(document);
    buffer_fini(&story);
}

static void test_why__does_not_know_a_job_that_nobody_named(void **fixture)
{
    (void)fixture;
    struct buffer story = {0};
    assert_false(tell("j99", true, false, &story));
    assert_int_equal(story.size, 1);
    buffer_fini(&story);
}

static void test_why__fails_on_files_that_are_not_there(void **fixture)
{
    (void)fixture;
    struct buffer story = {0};
    struct error error = {0};
    bool is_known;
    struct why_config config = {.job = SPAN("j2"), .audit = "/nowhere/audit.db"};
    assert_false(why_tell(&config, &story, &is_known, &error));
    config = (struct why_config){
        .job = SPAN("j2"), .audit = audit_path, .capture = "/nowhere/capture-0"};
    assert_false(why_tell(&config, &story, &is_known, &error));
    buffer_fini(&story);
}

static void test_why__evidence_becomes_lines(void **fixture)
{
    (void)fixture;
    struct buffer out = {0};
    why_put_evidence(&out,
                     SPAN("{\"a\":{\"b\":\"x: {y}\",\"c\":7},\"d\":[\"e\",1],\"f\":{},"
                          "\"g\":[{\"h\":true},{\"h\":\"\\\"\"}]}"),
                     2);
    buffer_put_byte(&out, '\0');
    assert_string_equal(out.data, "\n  a:\n    b: \"x: {y}\"\n    c: 7\n  d: [\"e\",1]\n  f: none"
                                  "\n  g:\n    -\n      h: true\n    -\n      h: \"\\\"\"");
    buffer_reset(&out);
    why_put_evidence(&out, SPAN("{\"cut\":[[\"\\"), 0); /* no JSON: shown, never read past */
    buffer_put_byte(&out, '\0');
    assert_string_equal(out.data, "\ncut:\n  -[\"\\");
    buffer_fini(&out);
}

static void test_why__times_are_utc(void **fixture)
{
    (void)fixture;
    struct buffer out = {0};
    setenv("TZ", "Asia/Kolkata", 1);
    why_put_time(&out, 1700000000007);
    buffer_put_byte(&out, '\0');
    assert_string_equal(out.data, "2023-11-14T22:13:20.007Z");
    buffer_reset(&out);
    why_put_time(&out, UINT64_MAX);
    assert_true(out.size > 0);
    buffer_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_why__tells_events_and_decisions_in_the_order_of_the_stream),
        cmocka_unit_test(test_why__tells_decisions_without_a_capture),
        cmocka_unit_test(test_why__writes_json_that_holds_the_same),
        cmocka_unit_test(test_why__does_not_know_a_job_that_nobody_named),
        cmocka_unit_test(test_why__fails_on_files_that_are_not_there),
        cmocka_unit_test(test_why__evidence_becomes_lines),
        cmocka_unit_test(test_why__times_are_utc),
    };
    return cmocka_run_group_tests(tests, make_history, remove_history);
}
