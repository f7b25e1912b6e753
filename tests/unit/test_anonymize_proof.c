/* SPDX-License-Identifier: MIT
 * Whole captures: what is written holds nothing of the original but what decides, and the proof
 * finds whatever is not so. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "replay/anonymize_parts.h"
#include "replay/capture_source.h"
#include "store/capture.h"
#include "tests/lib/busy_stream.h"
#include "tests/lib/folder.h"

#define KEY     SPAN("sixteen bytes do")
#define ENTRIES 1600

struct scene {
    char *before, *out; /* folders; `out` may not be there */
    struct busy_stream stream;
    uint32_t second; /* the ordinal of the second file */
};

static int begin(void **fixture)
{
    static struct scene scene;
    scene = (struct scene){.before = folder_make(), .out = folder_make()};
    assert_int_equal(rmdir(scene.out), 0);
    *fixture = &scene;
    return 0;
}

static int end(void **fixture)
{
    struct scene *scene = *fixture;
    busy_stream_fini(&scene->stream);
    folder_remove(scene->before);
    (void)mkdir(scene->out, 0700);
    folder_remove(scene->out);
    return 0;
}

static struct capture_writer *create(const char *folder, const struct capture_header *header)
{
    struct error error = {0};
    struct capture_writer *writer = capture_create(folder, header, &error);
    assert_string_equal(error.message, "");
    return writer;
}

static void finish(struct capture_writer *writer)
{
    struct error error = {0};
    assert_true(capture_flush(writer, &error));
    capture_close(writer);
}

/* Two files of a busy stream, the second with a snapshot. */
static void write_busy(struct scene *scene)
{
    struct busy_stream *stream = &scene->stream;
    struct capture_header header = {.partition = 3, .timeline = 1, .reducers = 2};
    struct capture_writer *writer = NULL;
    struct buffer snapshot = {0};
    busy_stream_grow(stream, ENTRIES / 2);
    uint32_t second = scene->second = stream->batch.count;
    state_encode(stream->history.state, &snapshot);
    struct state_summary summary = state_summary(stream->history.state);
    writer = create(scene->before, &header);
    for (uint32_t i = 0; i < second; i++) {
        capture_append(writer, &stream->batch.entries[i]);
    }
    finish(writer);
    header.ordinal = second;
    header.position = stream->batch.entries[second - 1].id;
    header.policy = summary.policy_text;
    header.snapshot = buffer_span(&snapshot);
    header.audit_head = SPAN("secret-head");
    writer = create(scene->before, &header);
    buffer_fini(&snapshot);
    busy_stream_grow(stream, ENTRIES / 2);
    for (uint32_t i = second; i < stream->batch.count; i++) {
        capture_append(writer, &stream->batch.entries[i]);
    }
    finish(writer);
}

static const char *const small_stream[] = {
    "worker.registered worker=secret-w1",
    "job.claimed job=secret-j1 worker=secret-w1 attempt=1",
    "job.progress job=secret-j1 worker=secret-w1 attempt=1 progress=secret",
    "job.completed job=secret-j2 attempt=1 result=secret",
    "worker.lost worker=secret-w1",
};
#define SMALL (sizeof small_stream / sizeof small_stream[0])

static void put_entry(struct capture_writer *writer, size_t number, struct span raw)
{
    capture_append(writer, &(struct entry){{1000 + number, 0}, raw});
}

static void put_snapshot(struct buffer *out, struct anonymizer *anonymizer, const char *worker)
{
    struct history history = {.state = state_create(0)};
    char line[128];
    snprintf(line, sizeof line, "worker.registered worker=%s", worker);
    history_fold(&history, line);
    state_encode_mapped(history.state, anonymizer == NULL ? NULL : anonymize_text, anonymizer, out);
    history_fini(&history);
}

static void write_small_original(const char *folder)
{
    struct buffer snapshot = {0}, raw = {0};
    put_snapshot(&snapshot, NULL, "secret-w0");
    struct capture_header header = {.ordinal = 1,
                                    .position = {1, 0},
                                    .snapshot = buffer_span(&snapshot),
                                    .audit_head = SPAN("cafe")};
    struct capture_writer *writer = create(folder, &header);
    for (size_t i = 0; i < SMALL; i++) {
        buffer_reset(&raw);
        history_put_raw(&raw, small_stream[i]);
        put_entry(writer, i, buffer_span(&raw));
    }
    finish(writer);
    buffer_fini(&snapshot);
    buffer_fini(&raw);
}

static struct anonymize_config config_of(const struct scene *scene)
{
    return (struct anonymize_config){.capture = scene->before, .out = scene->out, .key = KEY};
}

static void run(const struct anonymize_config *config, struct anonymize_report *report)
{
    struct error error = {0};
    bool is_fine = anonymize_run(config, report, &error);
    assert_string_equal(error.message, "");
    assert_true(is_fine);
}

/* Appends all that a capture holds, decompressed. */
static void load_capture(const char *path, struct buffer *out)
{
    struct error error = {0};
    struct capture_reader *reader = capture_open(path, &error);
    assert_non_null(reader);
    const struct capture_header *header = capture_reader_header(reader);
    buffer_put_span(out, header->policy);
    buffer_put_span(out, header->snapshot);
    buffer_put_span(out, header->audit_head);
    struct entry entry;
    enum capture_next next;
    while ((next = capture_next(reader, &entry, &error)) == CAPTURE_ENTRY) {
        stream_id_put(out, entry.id);
        buffer_put_span(out, entry.raw);
    }
    assert_int_equal(next, CAPTURE_END);
    capture_reader_close(reader);
}

static bool is_there(const char *path)
{
    return access(path, F_OK) == 0;
}

static void assert_nothing_left(const struct scene *scene)
{
    char pattern[512];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s*", scene->out);
    assert_int_equal(glob(pattern, 0, NULL, &found), GLOB_NOMATCH);
    globfree(&found);
}

static void test_anonymize_proof__a_busy_capture_is_proved_and_holds_no_secret(void **fixture)
{
    struct scene *scene = *fixture;
    struct anonymize_config config = config_of(scene);
    struct anonymize_report report;
    struct buffer before = {0}, after = {0};
    write_busy(scene);
    static const enum action wanted[] = {ACTION_ASK,      ACTION_WAIT,    ACTION_REQUEUE,
                                         ACTION_COMPLETE, ACTION_FAIL,    ACTION_TIME_OUT,
                                         ACTION_PARK,     ACTION_RELEASE, ACTION_IGNORE,
                                         ACTION_CANCEL,   ACTION_HOLD,    ACTION_QUARANTINE};
    uint64_t decisions = 0;
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        assert_in_range(scene->stream.actions[wanted[i]], 3, ENTRIES);
    }
    for (enum action action = 0; action < ACTION_COUNT; action++) {
        decisions += scene->stream.actions[action];
    }
    run(&config, &report);
    assert_int_equal(report.entries, scene->stream.batch.count);
    assert_int_equal(report.decisions, decisions);
    assert_in_range(report.ids, 100, 1000);
    assert_in_range(report.undecodable, 10, ENTRIES / 10);
    assert_false(report.is_torn);
    load_capture(scene->before, &before);
    load_capture(scene->out, &after);
    assert_true(span_holds(buffer_span(&before), SPAN("secret")));
    assert_false(span_holds(buffer_span(&after), SPAN("secret")));
    assert_false(span_holds(buffer_span(&after), SPAN("http:")));
    assert_true(span_holds(buffer_span(&after), SPAN("comfyui")));
    buffer_fini(&before);
    buffer_fini(&after);
}

static void test_anonymize_proof__a_snapshot_is_renamed_like_the_entries(void **fixture)
{
    struct scene *scene = *fixture;
    struct anonymize_config config = config_of(scene);
    struct anonymize_report report;
    struct buffer before = {0}, after = {0};
    char file[64];
    write_busy(scene);
    snprintf(file, sizeof file, "%016u.capture", scene->second);
    config.capture = folder_path(scene->before, file);
    struct error error = {0};
    struct capture_reader *reader = capture_open(config.capture, &error);
    assert_non_null(reader);
    assert_true(span_holds(capture_reader_header(reader)->snapshot, SPAN("secret-worker-1")));
    assert_true(span_holds(capture_reader_header(reader)->snapshot, SPAN("http://secret/s")));
    capture_reader_close(reader);
    run(&config, &report);
    load_capture(config.capture, &before);
    load_capture(scene->out, &after);
    assert_false(span_holds(buffer_span(&after), SPAN("secret")));
    assert_false(span_holds(buffer_span(&after), SPAN("http:")));
    reader = capture_open(scene->out, &error);
    const struct capture_header *header = capture_reader_header(reader);
    assert_int_equal(header->partition, 3);
    assert_int_equal(header->ordinal, scene->second);
    assert_true(header->position.ms > 0);
    assert_int_equal(header->reducers, 2);
    assert_true(header->snapshot.size > 1000);
    assert_true(span_holds(header->policy, SPAN("requeue_percent=50")));
    capture_reader_close(reader);
    buffer_fini(&before);
    buffer_fini(&after);
}

static void test_anonymize_proof__the_key_alone_chooses_the_names(void **fixture)
{
    struct scene *scene = *fixture;
    struct anonymize_config config = config_of(scene);
    struct anonymize_report report;
    struct buffer first = {0}, again = {0}, other = {0};
    write_busy(scene);
    assert_int_equal(mkdir(scene->out, 0700), 0); /* An empty folder is taken too. */
    run(&config, &report);
    load_capture(scene->out, &first);
    folder_remove(scene->out);
    scene->out = folder_make();
    config.out = scene->out;
    run(&config, &report);
    load_capture(scene->out, &again);
    assert_true(span_equal(buffer_span(&first), buffer_span(&again)));
    folder_remove(scene->out);
    scene->out = folder_make();
    config.out = scene->out;
    config.key = SPAN("another key, 16 and more");
    run(&config, &report);
    load_capture(scene->out, &other);
    assert_int_equal(first.size, other.size);
    assert_false(span_equal(buffer_span(&first), buffer_span(&other)));
    buffer_fini(&first);
    buffer_fini(&again);
    buffer_fini(&other);
}

/* --- what fails leaves nothing behind --- */

/* Does its deed once so many entries have passed. */
struct deed {
    const struct scene *scene;
    uint64_t at;
    bool is_stop;
};

/* Another entry where the stream had one: what was written is not this capture's any more. */
static void exchange_last(const struct scene *scene)
{
    const struct batch *batch = &scene->stream.batch;
    const char *first = folder_path(scene->before, "0000000000000000.capture");
    assert_int_equal(unlink(first), 0);
    struct capture_header header = {.partition = 3, .timeline = 1, .reducers = 2};
    struct capture_writer *writer = create(scene->before, &header);
    for (uint32_t i = 0; i < scene->second; i++) {
        struct entry entry = batch->entries[i];
        entry.raw = i + 1 == scene->second ? SPAN("\x01\x04type\x07unknown") : entry.raw;
        capture_append(writer, &entry);
    }
    finish(writer);
}

static bool do_deed(void *payload, uint64_t passed)
{
    const struct deed *deed = payload;
    if (passed == deed->at && !deed->is_stop) {
        exchange_last(deed->scene);
    }
    return passed < deed->at || !deed->is_stop;
}

static void assert_fails(const struct anonymize_config *config, enum error_code code)
{
    struct anonymize_report report;
    struct error error = {0};
    assert_false(anonymize_run(config, &report, &error));
    assert_string_equal(error_code_text(error.code), error_code_text(code));
}

static void test_anonymize_proof__what_is_stopped_or_not_proved_leaves_nothing(void **fixture)
{
    struct scene *scene = *fixture;
    struct anonymize_config config = config_of(scene);
    struct deed deed = {.scene = scene, .at = 1000, .is_stop = true};
    config.step = do_deed;
    config.payload = &deed;
    write_busy(scene);
    assert_fails(&config, ERROR_STOPPED); /* while it is written */
    assert_nothing_left(scene);
    deed.at = 3000;
    assert_fails(&config, ERROR_STOPPED); /* while it is proved */
    assert_nothing_left(scene);
    deed = (struct deed){.scene = scene, .at = 1000};
    assert_fails(&config, ERROR_DIFFERENT);
    assert_nothing_left(scene);
}

static void flip_byte(const char *path, off_t from_end)
{
    struct buffer bytes = {0};
    file_load(path, &bytes);
    bytes.data[(off_t)bytes.size - from_end] ^= 1;
    file_store(path, buffer_span(&bytes));
    buffer_fini(&bytes);
}

static void test_anonymize_proof__a_damaged_capture_gives_none(void **fixture)
{
    struct scene *scene = *fixture;
    struct anonymize_config config = config_of(scene);
    write_busy(scene);
    flip_byte(folder_path(scene->before, "0000000000000000.capture"), 100);
    assert_fails(&config, ERROR_CORRUPT);
    assert_nothing_left(scene);
    config.capture = "/no/such/capture";
    assert_fails(&config, ERROR_IO);
    assert_nothing_left(scene);
}

/* A header that tells otherwise than its snapshot. */
static void test_anonymize_proof__a_header_that_contradicts_its_state_gives_none(void **fixture)
{
    (void)fixture;
    struct state *state = state_create(0);
    struct buffer snapshot = {0};
    struct error error = {0};
    state_encode(state, &snapshot);
    state_destroy(state);
    const struct {
        struct capture_header header;
        const char *told;
    } rows[] = {{{.partition = 1}, "another partition"},
                {{.timeline = 1}, "another timeline"},
                {{.ordinal = 1}, "another ordinal"},
                {{.position = {1, 0}}, "another position"},
                {{.policy = SPAN("effects=apply\n")}, "another policy"},
                {{.snapshot = SPAN("?")}, "not readable by this program"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct capture_header header = rows[i].header;
        header.snapshot = header.snapshot.size > 0 ? header.snapshot : buffer_span(&snapshot);
        assert_null(capture_state(&header, &error));
        assert_int_equal(error.code, ERROR_CORRUPT);
        assert_true(span_holds(span_of(error.message), span_of(rows[i].told)));
    }
    buffer_fini(&snapshot);
}

static void test_anonymize_proof__a_torn_capture_is_taken_up_to_there(void **fixture)
{
    struct scene *scene = *fixture;
    struct anonymize_config config = config_of(scene);
    struct anonymize_report report;
    char file[64];
    write_busy(scene);
    snprintf(file, sizeof file, "%016u.capture", scene->second);
    struct stat status;
    assert_int_equal(stat(folder_path(scene->before, file), &status), 0);
    assert_int_equal(truncate(folder_path(scene->before, file), status.st_size - 1), 0);
    run(&config, &report);
    assert_true(report.is_torn);
    assert_int_equal(report.entries, scene->second);
}

static void test_anonymize_proof__takes_a_long_key_and_a_place_of_its_own(void **fixture)
{
    struct scene *scene = *fixture;
    struct anonymize_config config = config_of(scene);
    struct anonymize_report report;
    char beside[512], slashes[512];
    write_small_original(scene->before);
    config.key = SPAN("fifteen bytes..");
    assert_fails(&config, ERROR_USAGE);
    config.key = KEY;
    config.out = scene->before;
    assert_fails(&config, ERROR_USAGE);
    config.out = folder_path(scene->before, "0000000000000001.capture");
    assert_fails(&config, ERROR_USAGE);
    config.out = "/no/such/folder/out";
    assert_fails(&config, ERROR_IO);
    /* What others have beside it is theirs. */
    snprintf(beside, sizeof beside, "%s.unproved", scene->out);
    snprintf(slashes, sizeof slashes, "%s//", scene->out);
    assert_int_equal(mkdir(beside, 0700), 0);
    file_store(folder_path(beside, "0000000000000000.capture"), SPAN("theirs"));
    config.out = slashes;
    run(&config, &report);
    assert_int_equal(report.entries, SMALL);
    assert_true(is_there(folder_path(beside, "0000000000000000.capture")));
    assert_int_equal(unlink(folder_path(beside, "0000000000000000.capture")), 0);
    assert_int_equal(rmdir(beside), 0);
}

/* --- what the proof finds --- */

/* Each makes a capture that is not what anonymizing gives. */
enum forgery {
    FORGERY_NONE,
    FORGERY_PSEUDONYM, /* that of another job */
    FORGERY_NUMBER,    /* another attempt */
    FORGERY_NAME,      /* a job's own id */
    FORGERY_TYPE,      /* of an event */
    FORGERY_RAW,       /* an unknown field */
    FORGERY_TEXT,      /* ids and a result that are still there */
    FORGERY_RUBBISH,   /* bytes of what could not be decoded */
    FORGERY_MISSING,   /* the last entry */
    FORGERY_FURTHER,   /* one entry more */
    FORGERY_ID,        /* another stream id */
    FORGERY_HEAD,      /* of the audit, in the header */
    FORGERY_SNAPSHOT,  /* with a name of its own */
    FORGERY_COUNT
};

/* The last but one, as it must not be. */
static void forge_line(struct anonymizer *anonymizer, struct buffer *line, enum forgery forgery)
{
    struct span job = anonymize_text(anonymizer, FIELD_JOB, SPAN("secret-j2"));
    char text[256];
    job = forgery == FORGERY_NAME        ? SPAN("secret-j2")
          : forgery == FORGERY_PSEUDONYM ? SPAN("job-0123456789abcdef")
                                         : job;
    snprintf(text, sizeof text, "job.%s job=%.*s attempt=%d%s",
             forgery == FORGERY_TYPE ? "failed" : "completed", SPAN_FORMAT(job),
             forgery == FORGERY_NUMBER ? 2 : 1, forgery == FORGERY_RAW ? " secret=1" : "");
    history_put_raw(line, text);
}

/* The same event packed, as the anonymizer writes it. */
static void put_packed(struct buffer *out, struct span raw)
{
    struct event event;
    struct span field;
    struct buffer packed = {0};
    assert_int_equal(codec_decode(&(struct entry){{1, 0}, raw}, &event, &field), CODEC_NONE);
    codec_put_packed(&packed, &event);
    struct span value = buffer_span(&packed);
    codec_put_raw(out, &SPAN("e"), &value, 1);
    buffer_fini(&packed);
}

static void forge_entry(struct capture_writer *writer, struct anonymizer *anonymizer, size_t number,
                        enum forgery forgery)
{
    struct buffer before = {0}, after = {0}, forged = {0}, packed = {0};
    history_put_raw(&before, small_stream[number]);
    (void)anonymize_entry(anonymizer, &(struct entry){{1, 0}, buffer_span(&before)}, &after);
    struct span raw = buffer_span(&after);
    if (number == 3 && forgery >= FORGERY_PSEUDONYM && forgery <= FORGERY_RAW) {
        forge_line(anonymizer, &forged, forgery);
        put_packed(&packed, buffer_span(&forged));
        raw = forgery == FORGERY_RAW ? buffer_span(&forged) : buffer_span(&packed);
    } else if ((forgery == FORGERY_RUBBISH && number == 2) ||
               (forgery == FORGERY_TEXT && number == 3)) {
        raw = buffer_span(&before);
    }
    put_entry(writer, number + (forgery == FORGERY_ID && number == 4 ? 1 : 0), raw);
    buffer_fini(&forged);
    buffer_fini(&packed);
    buffer_fini(&before);
    buffer_fini(&after);
}

static void write_small(const char *folder, struct anonymizer *anonymizer, enum forgery forgery)
{
    struct buffer snapshot = {0};
    bool is_own_name = forgery == FORGERY_SNAPSHOT;
    put_snapshot(&snapshot, is_own_name ? NULL : anonymizer,
                 is_own_name ? "worker-0123456789abcdef" : "secret-w0");
    struct capture_header header = {
        .ordinal = 1,
        .position = {1, 0},
        .snapshot = buffer_span(&snapshot),
        .audit_head = forgery == FORGERY_HEAD ? SPAN("cafe") : SPAN_NONE,
    };
    struct capture_writer *writer = create(folder, &header);
    for (size_t i = 0; i < SMALL - (forgery == FORGERY_MISSING ? 1 : 0); i++) {
        forge_entry(writer, anonymizer, i, forgery);
    }
    if (forgery == FORGERY_FURTHER) {
        put_entry(writer, SMALL, SPAN("\x01\x04type\x07unknown"));
    }
    finish(writer);
    buffer_fini(&snapshot);
}

static void test_anonymize_proof__finds_what_is_not_the_same_under_other_names(void **fixture)
{
    static const char *const told[FORGERY_COUNT] = {
        [FORGERY_PSEUDONYM] = "ordinal 5: job",
        [FORGERY_NUMBER] = "ordinal 5: attempt",
        [FORGERY_NAME] = "ordinal 5: job",
        [FORGERY_TYPE] = "ordinal 5: evidence",
        [FORGERY_RAW] = "ordinal 5: the entry itself",
        [FORGERY_TEXT] = "ordinal 5: job",
        [FORGERY_RUBBISH] = "ordinal 4: the entry itself",
        [FORGERY_MISSING] = "the number of entries",
        [FORGERY_FURTHER] = "the number of entries",
        [FORGERY_ID] = "ordinal 6: id",
        [FORGERY_HEAD] = "the capture's header",
        [FORGERY_SNAPSHOT] = "the state at the beginning",
    };
    struct scene *scene = *fixture;
    struct anonymize_config config = config_of(scene);
    write_small_original(scene->before);
    for (enum forgery forgery = FORGERY_NONE; forgery < FORGERY_COUNT; forgery++) {
        char *folder = folder_make();
        struct anonymizer anonymizer = {.names = pseudonyms_open(KEY)};
        struct anonymize_report report = {.entries = SMALL};
        struct error error = {0};
        write_small(folder, &anonymizer, forgery);
        bool is_proved = anonymize_prove(&config, folder, anonymizer.names, &report, &error);
        if (forgery == FORGERY_NONE) {
            assert_string_equal(error.message, "");
            assert_true(is_proved);
        } else {
            assert_false(is_proved);
            assert_int_equal(error.code, ERROR_DIFFERENT);
            assert_true(span_holds(span_of(error.message), span_of(told[forgery])));
        }
        pseudonyms_close(anonymizer.names);
        anonymizer_fini(&anonymizer);
        folder_remove(folder);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
        TEST(test_anonymize_proof__a_busy_capture_is_proved_and_holds_no_secret),
        TEST(test_anonymize_proof__a_snapshot_is_renamed_like_the_entries),
        TEST(test_anonymize_proof__the_key_alone_chooses_the_names),
        TEST(test_anonymize_proof__what_is_stopped_or_not_proved_leaves_nothing),
        TEST(test_anonymize_proof__a_damaged_capture_gives_none),
        TEST(test_anonymize_proof__a_header_that_contradicts_its_state_gives_none),
        TEST(test_anonymize_proof__a_torn_capture_is_taken_up_to_there),
        TEST(test_anonymize_proof__takes_a_long_key_and_a_place_of_its_own),
        TEST(test_anonymize_proof__finds_what_is_not_the_same_under_other_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
