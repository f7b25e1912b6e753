/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "base/json.h"
#include "replay/replay.h"
#include "replay/why.h"
#include "store/audit_prune.h"
#include "tests/lib/story_draft.h"
#include "tests/lib/tree.h"

static char root[TREE_PATH_SIZE];
static char audit_path[128], capture_path[128];

/* Job j1 is lost with w1, asked about, runs again with w2, and overruns; j1-held is held. */
static const char *const lines[] = {
    "+0 epoch",
    "+1 policy backoff_ms=500 ask_backoff_ms=500 mass_loss_percent=0",
    "+9 worker.registered worker=w1 heartbeat_ms=1000",
    "+90 job.submitted job=j1 service=comfyui timeout_ms=10000 idempotent=true",
    "+100 job.claimed job=j1 worker=w1 attempt=1 claim=c1",
    "+100 job.handed_off job=j1 worker=w1 attempt=1 service=comfyui service_job=p1",
    "+50 worker.heartbeat worker=w1",
    "+50 job.progress job=j1 worker=w1 attempt=many progress=10",
    "+0 job.burnt job=j1",
    "+100 worker.heartbeat worker=w1",
    "+500 tick elapsed_ms=500 wall_ms=1",
    "+1000 tick elapsed_ms=1000 wall_ms=1",
    "+1000 tick elapsed_ms=1000 wall_ms=1",
    "+1000 tick elapsed_ms=1000 wall_ms=1",
    "+10 answer verdict=inconclusive word=odd",
    "+1000 tick elapsed_ms=1000 wall_ms=1",
    "+10 answer verdict=not_found",
    "+1000 tick elapsed_ms=1000 wall_ms=1",
    "+10 settle requeue applied",
    "+10 settle release gone",
    "+10 job.claimed job=j1 worker=w2 attempt=2 claim=c2",
    "+10 job.started job=j1 worker=w2 attempt=2 claim=c2",
    "+0 job.started job=j1 worker=w2 attempt=2 claim=c2",
    "+10 job.claimed job=j1-held worker=w2 attempt=1",
    "+10 operator.hold job=j1-held who=ada why=look",
    "+9000 tick elapsed_ms=9000 wall_ms=1",
    "+2000 tick elapsed_ms=2000 wall_ms=1",
};

static int make_history(void **fixture)
{
    (void)fixture;
    struct story_draft draft;
    tree_make(root);
    snprintf(audit_path, sizeof(audit_path), "%s/audit-0.db", root);
    snprintf(capture_path, sizeof(capture_path), "%s/capture-0", root);
    story_draft_begin(&draft, root);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        story_draft_line(&draft, span_of(lines[i]));
    }
    story_draft_end(&draft);
    return 0;
}

static int remove_history(void **fixture)
{
    (void)fixture;
    tree_remove(root);
    return 0;
}

static struct why_config asked(const char *job)
{
    return (struct why_config){.job = span_of(job),
                               .audit = audit_path,
                               .capture = capture_path,
                               .palette = &palette_plain};
}

/* True when the job is known; else `out` holds what comes near. Ends with a 0 byte. */
static bool tell(const struct why_config *config, struct buffer *out)
{
    struct error error = {0};
    struct buffer near = {0};
    bool is_known;
    buffer_reset(out);
    if (!why_tell(config, out, &near, &is_known, &error)) {
        fail_msg("%s", error.message);
    }
    assert_true(is_known || out->size == 0);
    buffer_put_span(out, buffer_span(&near));
    buffer_put_byte(out, '\0');
    buffer_fini(&near);
    return is_known;
}

/* Each text stands in the story, behind the one before. */
static void assert_in_order(const char *story, const char *const *texts)
{
    for (; *texts != NULL; texts++) {
        const char *found = strstr(story, *texts);
        if (found == NULL) {
            fail_msg("\"%s\" is missing or out of order", *texts);
            return;
        }
        story = found + strlen(*texts);
    }
}

static void test_why__tells_what_happened_in_order(void **fixture)
{
    (void)fixture;
    struct buffer story = {0};
    struct why_config config = asked("j1");
    assert_true(tell(&config, &story));
    assert_in_order(story.data,
                    (const char *const[]){"job j1\n  ",
                                          "2 attempts, ",
                                          "2026-11-23 (UTC)\n",
                                          "job.submitted ",
                                          "now  claimed, not started yet, w1, attempt 1",
                                          "job.handed_off ",
                                          "quarantined       ill_typed attempt",
                                          "unknown type      ",
                                          "RELEASE the worker: ",
                                          "effect  release worker:w1 -> gone after",
                                          "ASK the service: ",
                                          "WAIT: the answer proves nothing",
                                          "1 answer that proved nothing, ask_limit is 3",
                                          "WAIT: ",
                                          "back to the queue in",
                                          "REQUEUE: ",
                                          "now  in the queue",
                                          "worker=w2 attempt=2",
                                          "IGNORE the event: this was told before (duplicate)",
                                          "TIME OUT: ",
                                          "still open",
                                          NULL});
    assert_null(strstr(story.data, "j1-held"));
    assert_null(strstr(story.data, "tick  "));
    buffer_fini(&story);
}

static void test_why__needs_no_capture_and_no_audit(void **fixture)
{
    (void)fixture;
    struct buffer story = {0};
    struct why_config config = asked("j1");
    config.capture = NULL;
    assert_true(tell(&config, &story));
    assert_in_order(story.data,
                    (const char *const[]){"decided last: TIME OUT: the job ran longer than it may; "
                                          "no outcome yet",
                                          "decisions alone: --capture", "RELEASE", "ASK",
                                          "at tick 17", "WAIT", "REQUEUE", "TIME OUT", NULL});
    assert_null(strstr(story.data, "job.claimed  "));
    config = asked("j1");
    config.audit = NULL;
    assert_true(tell(&config, &story));
    assert_non_null(strstr(story.data, "REQUEUE"));
    config.capture = NULL;
    assert_false(tell(&config, &story));
    buffer_fini(&story);
}

static struct json *parsed(const struct why_config *config)
{
    struct buffer story = {0};
    struct error error = {0};
    assert_true(tell(config, &story));
    struct json *document = json_parse((struct span){story.data, story.size - 1}, &error);
    assert_non_null(document);
    buffer_fini(&story);
    return document;
}

static bool is_text(const struct json *document, const char *pointer, const char *text)
{
    return span_is(json_text(json_find(document, span_of(pointer))), text);
}

static void test_why__writes_json_that_holds_the_same(void **fixture)
{
    (void)fixture;
    struct why_config config = asked("j1");
    config.is_json = true;
    struct json *document = parsed(&config);
    int64_t partition = 7;
    assert_true(is_text(document, "/job", "j1"));
    assert_true(json_number(json_find(document, SPAN("/partition")), &partition));
    assert_int_equal(partition, 0);
    assert_true(is_text(document, "/story/0/type", "job.submitted"));
    assert_true(is_text(document, "/story/0/fields/service", "comfyui"));
    assert_true(is_text(document, "/story/1/phase", "queued"));
    assert_true(is_text(document, "/story/[problem=ill_typed]/field", "attempt"));
    const struct json *decision = json_find(document, SPAN("/story/[action=requeue]"));
    assert_true(is_text(decision, "/reason", "service_not_found"));
    assert_true(is_text(decision, "/evidence/event", "tick"));
    assert_true(is_text(decision, "/effects/0/outcome", "applied"));
    assert_true(json_count(json_find(decision, SPAN("/otherwise"))) > 0);
    assert_true(is_text(document, "/state/phase", "requested"));
    assert_int_equal(json_kind(json_find(document, SPAN("/is_cut"))), JSON_KIND_BOOLEAN);
    json_destroy(document);
    config.capture = NULL;
    document = parsed(&config);
    assert_int_equal(json_kind(json_find(document, SPAN("/state"))), JSON_KIND_NULL);
    json_destroy(document);
}

static struct why_config asked_at(const char *job, uint64_t ms_after)
{
    struct why_config config = asked(job);
    config.at = (struct place){.kind = PLACE_TIME, .time_ms = STORY_DRAFT_BEGIN_MS + ms_after};
    return config;
}

static void test_why__tells_how_a_job_stood(void **fixture)
{
    (void)fixture;
    struct buffer state = {0};
    struct why_config config = asked_at("j1", 1000);
    assert_true(tell(&config, &state));
    assert_in_order(state.data,
                    (const char *const[]){
                        "claimed, not started yet (w1, attempt 1)",
                        "at          2026-11-23T17:55:50.000Z, behind entry 17",
                        "worker      w1, active, heard last 500 ms ago by the ticks (limit 3 s)",
                        "losses 0, failures 0 of max_retries 3", "idempotent",
                        "comfyui, which has it as p1", "its deadline passes in 9.5 s",
                        "if it is not heard, in 2.5 s", "nothing: no question, no effect",
                        "nothing yet", NULL});
    config = asked_at("j1", 4005); /* asked, and not answered yet */
    assert_true(tell(&config, &state));
    assert_in_order(state.data, (const char *const[]){
                                    "its service is being asked about it", "nothing but silence",
                                    "open        release worker:w1, asked 5 ms before",
                                    "ask comfyui/p1, asked ", "ASK", NULL});
    config.audit = NULL;
    struct buffer again = {0};
    assert_true(tell(&config, &again));
    assert_string_equal(state.data, again.data);
    config = asked_at("j1", 4500);
    assert_true(tell(&config, &state));
    assert_non_null(strstr(state.data, "its service is asked again in 500 ms"));
    assert_non_null(strstr(state.data, "answers that proved nothing: 1"));
    config = asked_at("j1", 5021);
    assert_true(tell(&config, &state));
    assert_non_null(strstr(state.data, "it goes back to the queue in "));
    config = asked_at("j1-held", 7000);
    assert_true(tell(&config, &state));
    assert_non_null(strstr(state.data, "parked, waiting for an operator"));
    assert_non_null(strstr(state.data, "HOLD: an operator's command (operator)"));
    buffer_fini(&again);
    buffer_fini(&state);
}

static void test_why__tells_how_a_job_stood_by_id_ordinal_and_audit_alone(void **fixture)
{
    (void)fixture;
    struct buffer state = {0};
    struct why_config config = asked("j1");
    config.at = (struct place){.kind = PLACE_ORDINAL, .ordinal = 5};
    assert_true(tell(&config, &state));
    assert_non_null(strstr(state.data, "behind entry 1795456549200-0, ordinal 5"));
    assert_non_null(strstr(state.data, "claimed, not started yet"));
    config.at = (struct place){.kind = PLACE_ID, .id = {STORY_DRAFT_BEGIN_MS + 100, 0}};
    assert_true(tell(&config, &state));
    assert_non_null(strstr(state.data, "in the queue"));
    assert_non_null(strstr(state.data, "nobody holds it"));
    config = asked_at("j1", 4005);
    config.capture = NULL;
    assert_true(tell(&config, &state));
    assert_in_order(state.data, (const char *const[]){"decided last: ASK", "decisions alone",
                                                      "open        ", "decided     ASK", NULL});
    config = asked_at("j1", 50); /* not told of yet */
    assert_false(tell(&config, &state));
    buffer_fini(&state);
}

static void test_why__writes_how_a_job_stood_as_json(void **fixture)
{
    (void)fixture;
    struct why_config config = asked_at("j1", 4005);
    config.is_json = true;
    struct json *document = parsed(&config);
    int64_t number = 0;
    assert_true(is_text(document, "/state/phase", "asking"));
    assert_true(is_text(document, "/state/worker_phase", "silent"));
    assert_true(is_text(document, "/state/facts/job.submitted", "1795456549100-0"));
    assert_true(json_number(json_find(document, SPAN("/state/due_in_ms/deadline")), &number));
    assert_int_equal(number, 6500);
    assert_int_equal(json_count(json_find(document, SPAN("/open_effects"))), 2);
    assert_true(is_text(document, "/last_decision/action", "ask"));
    json_destroy(document);
    config = asked_at("j1", 1000);
    config.is_json = true;
    config.capture = NULL;
    struct buffer out = {0};
    assert_false(tell(&config, &out));
    buffer_fini(&out);
}

static void test_why__names_the_ids_that_come_near(void **fixture)
{
    (void)fixture;
    struct buffer near = {0};
    struct why_config config = asked("j1-");
    assert_false(tell(&config, &near));
    assert_string_equal(near.data, "j1-held\nj1\n");
    config.capture = NULL;
    assert_false(tell(&config, &near));
    assert_string_equal(near.data, "j1-held\nj1\n");
    config = asked("j1-");
    config.audit = NULL;
    assert_false(tell(&config, &near));
    assert_string_equal(near.data, "j1-held\nj1\n");
    config = asked("J1-H"); /* whatever its case */
    config.audit = NULL;
    assert_false(tell(&config, &near));
    assert_string_equal(near.data, "j1-held\nj1\n");
    config = asked("x");
    assert_false(tell(&config, &near));
    assert_string_equal(near.data, "");
    buffer_fini(&near);
}

static void test_why__fails_on_files_that_are_not_there(void **fixture)
{
    (void)fixture;
    struct buffer out = {0}, near = {0};
    struct error error = {0};
    bool is_known;
    struct why_config config = {.job = SPAN("j1"), .audit = "/nowhere/audit.db"};
    assert_false(why_tell(&config, &out, &near, &is_known, &error));
    config = asked("j1");
    config.capture = "/nowhere/capture-0";
    assert_false(why_tell(&config, &out, &near, &is_known, &error));
    assert_int_equal(out.size, 0);
    buffer_fini(&near);
    buffer_fini(&out);
}

/* A second history, whose capture goes on in another file while the service is being asked. */
static void test_why__begins_where_the_capture_does(void **fixture)
{
    (void)fixture;
    struct story_draft draft;
    char other[TREE_PATH_SIZE], capture[128], second[160];
    struct buffer story = {0}, near = {0};
    struct error error = {0};
    bool is_known;
    tree_make(other);
    story_draft_begin(&draft, other);
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
        if (span_holds(span_of(lines[i]), SPAN("answer verdict=inconclusive"))) {
            snprintf(second, sizeof(second), "%s/capture-0/%016u.capture", other, (unsigned)i);
            story_draft_rotate(&draft);
        }
        story_draft_line(&draft, span_of(lines[i]));
    }
    story_draft_end(&draft);
    snprintf(capture, sizeof(capture), "%s/capture-0", other);

    struct why_config config = {.job = SPAN("j1"), .capture = second, .palette = &palette_plain};
    assert_true(tell(&config, &story));
    assert_in_order(story.data, (const char *const[]){"of events and decisions only", "(UTC)",
                                                      "now  its service is being asked about it",
                                                      "service.answered", "REQUEUE", NULL});
    assert_null(strstr(story.data, "job.submitted"));
    config = asked_at("j1", 4000); /* the file before has to be read for it */
    config.audit = NULL;
    config.capture = capture;
    assert_true(tell(&config, &story));
    assert_non_null(strstr(story.data, "decided     ASK"));
    assert_non_null(strstr(story.data, "1 attempt, 2 decisions"));
    config.at.time_ms = STORY_DRAFT_BEGIN_MS + 4012; /* behind what the snapshot holds */
    assert_true(tell(&config, &story));
    assert_in_order(story.data,
                    (const char *const[]){"its service will be asked again",
                                          "1 attempt, 3 decisions, ", "decided     WAIT", NULL});
    config.capture = second;
    config.at.time_ms = STORY_DRAFT_BEGIN_MS + 1000;
    assert_false(why_tell(&config, &story, &near, &is_known, &error));
    assert_int_equal(error.code, ERROR_USAGE);
    config.at = (struct place){.kind = PLACE_ID, .id = {STORY_DRAFT_BEGIN_MS + 4000, 0}};
    assert_true(tell(&config, &story)); /* just what the snapshot holds */
    assert_in_order(story.data,
                    (const char *const[]){
                        "open        ask 0.1.",
                        "nothing in what was read: the capture begins behind ordinal ", NULL});
    tree_remove(other);
    buffer_fini(&near);
    buffer_fini(&story);
}

static void test_why__tells_what_a_prune_left_and_the_rest_from_the_capture(void **fixture)
{
    (void)fixture;
    struct buffer whole = {0}, story = {0};
    struct error error = {0};
    struct audit_prune_plan plan;
    struct audit_prune_counts counts = {0};
    char pruned[160];
    bool is_done = false;
    struct why_config config = asked("j1");
    assert_true(tell(&config, &whole));

    snprintf(pruned, sizeof(pruned), "%s/pruned.db", root);
    struct replay_config again = {.capture = capture_path, .database = pruned, .batch_size = 100};
    struct replay_report report = {0};
    assert_true(replay_run(&again, &report, &error));
    replay_report_fini(&report);
    struct audit *audit = audit_open(pruned, AUDIT_WRITE, 0, &error);
    struct audit_prune_place place = {{UINT64_MAX, 0}, 22, SPAN("#22")};
    assert_true(audit_prune_begin(audit, &place, &plan, &error));
    while (!is_done) {
        assert_true(audit_prune_step(audit, &is_done, &counts, &error));
    }
    audit_close(audit);
    assert_int_equal(counts.decisions, 7);
    config.audit = pruned;
    assert_true(tell(&config, &story));
    assert_string_equal(whole.data, story.data);
    config.capture = NULL;
    assert_true(tell(&config, &story));
    assert_in_order(story.data,
                    (const char *const[]){"of decisions only what", "pruned up to", NULL});
    assert_null(strstr(story.data, "REQUEUE"));
    buffer_fini(&story);
    buffer_fini(&whole);
}

static void test_why__tells_no_more_than_the_end(void **fixture)
{
    (void)fixture;
    struct buffer state = {0}, later = {0};
    struct why_config config = asked_at("j1", 17000);
    config.at = (struct place){.kind = PLACE_ORDINAL, .ordinal = 27};
    assert_true(tell(&config, &state));
    assert_null(strstr(state.data, "ends at"));
    config = asked_at("j1", 1000000000);
    assert_true(tell(&config, &later));
    assert_in_order(later.data, (const char *const[]){"at          the capture ends at 2026-11-23T",
                                                      "; this is its last state", NULL});
    /* All but that sentence is the same. */
    assert_string_equal(strstr(state.data, "worker   "), strstr(later.data, "worker   "));
    config.capture = NULL;
    assert_true(tell(&config, &later));
    assert_non_null(strstr(later.data, "at          the audit ends at 2026-11-23T"));
    buffer_fini(&later);
    buffer_fini(&state);
}

static bool refuse(void *payload, uint64_t entries)
{
    *(uint64_t *)payload = entries;
    return false;
}

static void test_why__ends_when_it_is_asked_to(void **fixture)
{
    (void)fixture;
    struct buffer out = {0}, near = {0};
    struct error error = {0};
    bool is_known;
    uint64_t entries = 7;
    struct why_config config = asked("j1");
    config.step = refuse;
    config.payload = &entries;
    assert_false(why_tell(&config, &out, &near, &is_known, &error));
    assert_int_equal(error.code, ERROR_STOPPED);
    assert_int_equal(entries, 0);
    buffer_fini(&near);
    buffer_fini(&out);
}

static void test_why__colours_are_only_put_around(void **fixture)
{
    (void)fixture;
    struct buffer plain = {0}, coloured = {0}, stripped = {0};
    struct why_config config = asked("j1");
    assert_true(tell(&config, &plain));
    config.palette = &palette_coloured;
    assert_true(tell(&config, &coloured));
    assert_null(memchr(plain.data, '\033', plain.size));
    assert_true(coloured.size > plain.size);
    for (size_t i = 0; i < coloured.size; i++) {
        if (coloured.data[i] == '\033') {
            i += strcspn(coloured.data + i, "m");
        } else {
            buffer_put_byte(&stripped, (uint8_t)coloured.data[i]);
        }
    }
    assert_string_equal(plain.data, stripped.data);
    buffer_fini(&stripped);
    buffer_fini(&coloured);
    buffer_fini(&plain);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_why__tells_what_happened_in_order),
        cmocka_unit_test(test_why__needs_no_capture_and_no_audit),
        cmocka_unit_test(test_why__writes_json_that_holds_the_same),
        cmocka_unit_test(test_why__tells_how_a_job_stood),
        cmocka_unit_test(test_why__tells_how_a_job_stood_by_id_ordinal_and_audit_alone),
        cmocka_unit_test(test_why__writes_how_a_job_stood_as_json),
        cmocka_unit_test(test_why__names_the_ids_that_come_near),
        cmocka_unit_test(test_why__fails_on_files_that_are_not_there),
        cmocka_unit_test(test_why__begins_where_the_capture_does),
        cmocka_unit_test(test_why__tells_what_a_prune_left_and_the_rest_from_the_capture),
        cmocka_unit_test(test_why__tells_no_more_than_the_end),
        cmocka_unit_test(test_why__ends_when_it_is_asked_to),
        cmocka_unit_test(test_why__colours_are_only_put_around),
    };
    return cmocka_run_group_tests(tests, make_history, remove_history);
}
