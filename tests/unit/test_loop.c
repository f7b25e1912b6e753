/* SPDX-License-Identifier: MIT */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "replay/loop.h"

/* A source of a few batches of heartbeats, and sinks that write down what they were called for. */
struct scene {
    uint32_t batches, batch_size;
    uint32_t read_count;
    uint64_t next_ms;
    bool fails_reading;
    char trace[512];         /* one letter a stage: a f w c d, upper case from the second sink */
    char fails_at;           /* the letter of the stage that fails; 0: none */
    uint64_t folded_ordinal; /* what the fold stage saw last */
    bool saw_caught_up;
};

static struct span heartbeat(struct batch *batch)
{
    struct buffer raw = {0};
    struct span names[] = {SPAN("type"), SPAN("worker")};
    struct span values[] = {SPAN("worker.heartbeat"), SPAN("w1")};
    codec_put_raw(&raw, names, values, 2);
    struct span copy = arena_copy(&batch->arena, buffer_span(&raw));
    buffer_fini(&raw);
    return copy;
}

static enum source_next scene_read(void *self, const struct state *state, struct batch *batch,
                                   struct error *error)
{
    struct scene *scene = self;
    assert_int_equal(batch->count, 0);
    assert_false(batch->is_caught_up);
    assert_int_equal(state_summary(state).ordinal, (uint64_t)scene->read_count * scene->batch_size);
    if (scene->fails_reading) {
        error_set(error, ERROR_FENCED, "somebody else leads");
        return SOURCE_ERROR;
    }
    if (scene->read_count == scene->batches) {
        return SOURCE_END;
    }
    scene->read_count++;
    for (uint32_t i = 0; i < scene->batch_size; i++) {
        batch_add(batch, (struct stream_id){++scene->next_ms, 0}, heartbeat(batch));
    }
    batch->is_caught_up = scene->read_count == scene->batches;
    return SOURCE_BATCH;
}

static bool scene_note(struct scene *scene, char letter, struct error *error)
{
    size_t size = strlen(scene->trace);
    assert_true(size + 1 < sizeof(scene->trace));
    scene->trace[size] = letter;
    return letter != scene->fails_at || error_set(error, ERROR_IO, "as asked");
}

static bool first_append(void *self, const struct batch *batch, struct error *error)
{
    assert_int_equal(batch->count, ((struct scene *)self)->batch_size);
    return scene_note(self, 'a', error);
}

static bool first_fold(void *self, const struct entry *entry, const struct state *state,
                       const struct fold_output *output, struct error *error)
{
    struct scene *scene = self;
    assert_int_equal(output->decision_count, 0);
    assert_int_equal(stream_id_compare(state_summary(state).position, entry->id), 0);
    scene->folded_ordinal = state_summary(state).ordinal;
    return scene_note(self, 'f', error);
}

static bool first_write(void *self, struct error *error)
{
    return scene_note(self, 'w', error);
}

static bool first_commit(void *self, const struct state *state, bool is_caught_up,
                         struct error *error)
{
    (void)state;
    ((struct scene *)self)->saw_caught_up = is_caught_up;
    return scene_note(self, 'c', error);
}

static bool first_dispatch(void *self, const struct state *state, struct error *error)
{
    (void)state;
    return scene_note(self, 'd', error);
}

static bool second_fold(void *self, const struct entry *entry, const struct state *state,
                        const struct fold_output *output, struct error *error)
{
    (void)entry, (void)state, (void)output;
    return scene_note(self, 'F', error);
}

static bool second_dispatch(void *self, const struct state *state, struct error *error)
{
    (void)state;
    return scene_note(self, 'D', error);
}

static bool scene_run(struct scene *scene, bool has_crash_points, struct error *error)
{
    struct state *state = state_create(0);
    struct loop loop = {
        .state = state,
        .source = {.name = "scene", .self = scene, .read = scene_read},
        .sinks =
            {{.name = "first",
              .self = scene,
              .append = first_append,
              .fold = first_fold,
              .write = first_write,
              .commit = first_commit,
              .dispatch = first_dispatch},
             {.name = "second", .self = scene, .fold = second_fold, .dispatch = second_dispatch}},
        .sink_count = 2,
        .has_crash_points = has_crash_points,
    };
    *error = (struct error){0};
    bool is_fine = loop_run(&loop, error);
    state_destroy(state);
    return is_fine;
}

static void test_loop__runs_the_stages_in_order(void **fixture)
{
    (void)fixture;
    struct scene scene = {.batches = 2, .batch_size = 2};
    struct error error;
    assert_true(scene_run(&scene, false, &error));
    assert_string_equal(scene.trace, "afFfFwcdD"
                                     "afFfFwcdD");
    assert_int_equal(scene.folded_ordinal, 4);
    assert_true(scene.saw_caught_up);
}

static void test_loop__passes_empty_batches_through_all_stages(void **fixture)
{
    (void)fixture;
    struct scene scene = {.batches = 1, .batch_size = 0};
    struct error error;
    assert_true(scene_run(&scene, false, &error));
    assert_string_equal(scene.trace, "awcdD");
}

static void test_loop__stops_at_the_failing_stage(void **fixture)
{
    (void)fixture;
    static const struct {
        char stage;
        const char *trace, *message;
    } cases[] = {
        {'a', "a", "first: as asked"},          {'f', "af", "first: as asked"},
        {'F', "afF", "second: as asked"},       {'w', "afFfFw", "first: as asked"},
        {'c', "afFfFwc", "first: as asked"},    {'d', "afFfFwcd", "first: as asked"},
        {'D', "afFfFwcdD", "second: as asked"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct scene scene = {.batches = 2, .batch_size = 2, .fails_at = cases[i].stage};
        struct error error;
        assert_false(scene_run(&scene, false, &error));
        assert_string_equal(scene.trace, cases[i].trace);
        assert_int_equal(error.code, ERROR_IO);
        assert_string_equal(error.message, cases[i].message);
    }
}

static void test_loop__ends_with_the_error_of_the_source(void **fixture)
{
    (void)fixture;
    struct scene scene = {.fails_reading = true};
    struct error error;
    assert_false(scene_run(&scene, false, &error));
    assert_int_equal(error.code, ERROR_FENCED);
    assert_string_equal(error.message, "scene: somebody else leads");
    assert_string_equal(scene.trace, "");
}

/* --- versions of the reducers --- */

/* One batch: a heartbeat, an epoch by `reducers`, a heartbeat. */
struct epochs {
    const char *reducers;
    bool is_given;
    uint32_t folded, commits;
};

static struct span epoch_by(struct batch *batch, const char *reducers)
{
    struct buffer raw = {0};
    const struct span names[] = {SPAN("type"),     SPAN("epoch"),    SPAN("owner"),
                                 SPAN("timeline"), SPAN("reducers"), SPAN("ordinal"),
                                 SPAN("wall_ms")};
    const struct span values[] = {SPAN("epoch"),     SPAN("7"), SPAN("me"), SPAN("1"),
                                  span_of(reducers), SPAN("0"), SPAN("1")};
    codec_put_raw(&raw, names, values, sizeof(names) / sizeof(names[0]));
    struct span copy = arena_copy(&batch->arena, buffer_span(&raw));
    buffer_fini(&raw);
    return copy;
}

static enum source_next epochs_read(void *self, const struct state *state, struct batch *batch,
                                    struct error *error)
{
    struct epochs *epochs = self;
    (void)state, (void)error;
    if (epochs->is_given) {
        return SOURCE_END;
    }
    epochs->is_given = true;
    batch_add(batch, (struct stream_id){1, 0}, heartbeat(batch));
    batch_add(batch, (struct stream_id){2, 5}, epoch_by(batch, epochs->reducers));
    batch_add(batch, (struct stream_id){3, 0}, heartbeat(batch));
    return SOURCE_BATCH;
}

static bool epochs_fold(void *self, const struct entry *entry, const struct state *state,
                        const struct fold_output *output, struct error *error)
{
    (void)entry, (void)state, (void)output, (void)error;
    ((struct epochs *)self)->folded++;
    return true;
}

static bool epochs_commit(void *self, const struct state *state, bool is_caught_up,
                          struct error *error)
{
    (void)state, (void)is_caught_up, (void)error;
    ((struct epochs *)self)->commits++;
    return true;
}

static bool epochs_run(struct epochs *epochs, struct state *state, struct error *error)
{
    struct loop loop = {
        .state = state,
        .source = {.name = "epochs", .self = epochs, .read = epochs_read},
        .sinks = {{.name = "sink", .self = epochs, .fold = epochs_fold, .commit = epochs_commit}},
        .sink_count = 1,
    };
    *error = (struct error){0};
    return loop_run(&loop, error);
}

static void test_loop__an_epoch_chooses_the_version_of_the_reducers(void **fixture)
{
    (void)fixture;
    for (uint64_t version = REDUCERS_OLDEST; version <= REDUCERS_VERSION; version++) {
        char text[24];
        snprintf(text, sizeof(text), "%llu", (unsigned long long)version);
        struct epochs epochs = {.reducers = text};
        struct error error;
        struct state *state = state_create(0);
        assert_int_equal(state_summary(state).reducers, REDUCERS_OLDEST);
        assert_true(epochs_run(&epochs, state, &error));
        assert_int_equal(epochs.folded, 3);
        assert_int_equal(state_summary(state).reducers, version);
        state_destroy(state);
    }
}

static void test_loop__an_epoch_of_an_unknown_version_ends_it(void **fixture)
{
    (void)fixture;
    char range[64], later[24];
    snprintf(range, sizeof(range), "; this program knows %d to %d", REDUCERS_OLDEST,
             REDUCERS_VERSION);
    snprintf(later, sizeof(later), "%d", REDUCERS_VERSION + 1);
    const struct {
        const char *reducers, *wanted;
    } cases[] = {
        {later, "a newer salvor"}, {"1000000", "a newer salvor"}, {"1", "an older salvor"}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct epochs epochs = {.reducers = cases[i].reducers};
        struct error error;
        struct state *state = state_create(0);
        assert_false(epochs_run(&epochs, state, &error));
        assert_int_equal(error.code, ERROR_REFUSED);
        assert_non_null(strstr(error.message, "entry 2-5: epoch 7 was opened by reducers "));
        assert_non_null(strstr(error.message, range));
        assert_non_null(strstr(error.message, cases[i].wanted));
        assert_int_equal(epochs.folded, 1);
        assert_int_equal(epochs.commits, 0);

        /* A state brought back from such an epoch goes no further either. */
        epochs = (struct epochs){.reducers = "2"};
        assert_false(epochs_run(&epochs, state, &error));
        assert_int_equal(error.code, ERROR_REFUSED);
        assert_false(epochs.is_given);
        state_destroy(state);
    }
}

/* Runs two batches in a child that is to die at a pass of a point. True when it was killed; `scene`
 * is shared with it and tells what had been done by then. */
static bool dies_at(const char *point, bool has_crash_points, struct scene *scene)
{
    *scene = (struct scene){.batches = 2, .batch_size = 1};
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct error error;
        setenv("SALVOR_CRASH_POINT", point, 1);
        _exit(scene_run(scene, has_crash_points, &error) ? 0 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
}

/* The points in the order of the contract, with what is done of a batch when they are passed.
 * Number 6 lies inside the journal. */
static const struct {
    const char *name, *done;
} loop_points[] = {
    {"read", ""},
    {"decoded", ""},
    {"capture_appended", "a"},
    {"reduced", "afF"},
    {"capture_written", "afFw"},
    {"committed", "afFwc"},
    {"dispatched", "afFwcdD"},
};

static void test_loop__can_be_killed_at_each_crash_point(void **fixture)
{
    (void)fixture;
    struct scene *scene =
        mmap(NULL, sizeof(*scene), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_ptr_not_equal(scene, MAP_FAILED);
    for (size_t i = 0; i < sizeof(loop_points) / sizeof(loop_points[0]); i++) {
        for (int turn = 1; turn <= 3; turn++) {
            char point[64], done[64];
            snprintf(point, sizeof(point), "%s:%d", loop_points[i].name, turn);
            snprintf(done, sizeof(done), "%s%s", turn == 1 ? "" : "afFwcdD",
                     turn == 3 ? "afFwcdD" : loop_points[i].done);
            /* Two batches: a third pass does not come. */
            assert_int_equal(dies_at(point, true, scene), turn <= 2);
            assert_string_equal(scene->trace, done);
            assert_false(dies_at(point, false, scene));
        }
    }
    munmap(scene, sizeof(*scene));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loop__runs_the_stages_in_order),
        cmocka_unit_test(test_loop__passes_empty_batches_through_all_stages),
        cmocka_unit_test(test_loop__stops_at_the_failing_stage),
        cmocka_unit_test(test_loop__ends_with_the_error_of_the_source),
        cmocka_unit_test(test_loop__an_epoch_chooses_the_version_of_the_reducers),
        cmocka_unit_test(test_loop__an_epoch_of_an_unknown_version_ends_it),
        cmocka_unit_test(test_loop__can_be_killed_at_each_crash_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
