/* SPDX-License-Identifier: MIT
 * What a state is held against before it is believed: each rule alone, by a state that is sound but
 * for one value. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "reducers/tables.h"
#include "tests/lib/history.h"

/* A job in every phase that a history of this length can leave it in. */
static struct history make_history(void)
{
    static const char *const lines[] = {
        "job.submitted job=queued id=7",
        "job.claimed job=claimed worker=w1 attempt=1",
        "job.started job=started worker=w1 attempt=1",
        "job.claimed job=completed worker=w1 attempt=1",
        "job.completed job=completed worker=w1 attempt=1",
        "job.handed_off job=asked worker=w2 attempt=1 service=s service_job=p1",
        "job.started job=backing worker=w2 attempt=1 service=slow",
        "job.handed_off job=cancelling worker=w1 attempt=1 service=s service_job=p2",
        "job.submitted job=ordered",
        "operator.requeue job=ordered who=ann why=look",
        "operator.hold job=ordered who=ann why=look",
        "job.submitted job=requested",
        "operator.requeue job=requested who=ann why=look",
        "worker.heartbeat worker=w1 job=claimed",
        "worker.heartbeat worker=idle",
        "worker.stopped worker=idle",
        "operator.hold who=ann why=look",
        "worker.registered worker=w3 heartbeat_ms=100",
        "job.started job=held worker=w3 attempt=1",
        "tick owner=leader epoch=1 elapsed_ms=1000 wall_ms=10",
        "worker.lost worker=w2",
        "operator.cancel job=cancelling who=ann why=look",
    };
    struct history history = {.state = state_create(0)};
    history_begin(&history, "");
    history_fold(&history, "policy owner=leader epoch=1 text=backoff_ms=0 origin=file hash=aa");
    history_policy(&history, "backoff_ms=0\nservice.slow.backoff_ms=1000\n");
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        history_fold(&history, lines[i]);
    }
    return history;
}

static enum job_phase phase_of(const struct history *history, const char *id)
{
    const struct job *job = table_find(&history->state->jobs, span_of(id));
    assert_non_null(job);
    return job->core.phase;
}

static void test_sound__a_history_is(void **fixture)
{
    (void)fixture;
    struct history history = make_history();
    assert_true(state_is_sound(history.state));
    assert_int_equal(phase_of(&history, "queued"), JOB_QUEUED);
    assert_int_equal(phase_of(&history, "claimed"), JOB_CLAIMED);
    assert_int_equal(phase_of(&history, "started"), JOB_STARTED);
    assert_int_equal(phase_of(&history, "completed"), JOB_COMPLETED);
    assert_int_equal(phase_of(&history, "asked"), JOB_ASKING);
    assert_int_equal(phase_of(&history, "backing"), JOB_BACKING_OFF);
    assert_int_equal(phase_of(&history, "cancelling"), JOB_CANCELLING);
    assert_int_equal(phase_of(&history, "ordered"), JOB_PARKED);
    assert_int_equal(phase_of(&history, "requested"), JOB_REQUESTED);
    assert_int_equal(phase_of(&history, "held"), JOB_HELD);
    history_fini(&history);
}

enum whose { STATE, JOB, WORKER, EFFECT_OF_JOB };

/* One value that no history leaves there. */
struct spoiled {
    const char *what;
    enum whose whose;
    const char *id;
    size_t offset, size;
    uint64_t value;
};

#define OF_STATE(member_, value_)                                                  \
    {                                                                              \
        .what = #member_ " = " #value_, .offset = offsetof(struct state, member_), \
        .size = sizeof(((struct state *)NULL)->member_), .value = (value_)         \
    }
#define OF(whose_, type_, id_, member_, value_)                                       \
    {                                                                                 \
        .what = id_ ": " #member_ " = " #value_, .whose = whose_, .id = id_,          \
        .offset = offsetof(type_, member_), .size = sizeof(((type_ *)NULL)->member_), \
        .value = (value_)                                                             \
    }
#define OF_JOB(id_, member_, value_)    OF(JOB, struct job, id_, member_, value_)
#define OF_WORKER(id_, member_, value_) OF(WORKER, struct worker, id_, member_, value_)
#define OF_EFFECT(id_, member_, value_) OF(EFFECT_OF_JOB, struct effect, id_, member_, value_)

static const struct spoiled spoiled[] = {
    OF_STATE(liveness_ms, UINT64_MAX),
    OF_STATE(deadline_ms, UINT64_MAX),
    OF_STATE(fleet.held_since_ms, 1001),
    OF_STATE(fleet.held_for, REASON_NONE),
    OF_STATE(next_arrival, 0),
    OF_STATE(position.ms, 1),
    OF_JOB("queued", core.phase, JOB_NONE),
    OF_JOB("queued", core.phase, JOB_ASKING),
    OF_JOB("queued", core.phase, JOB_HELD),
    OF_JOB("queued", core.phase, JOB_FAILED),
    OF_JOB("queued", core.phase, JOB_STARTED),
    OF_JOB("queued", core.cause, REASON_WORKER_LOST),
    OF_JOB("queued", core.ordered, EFFECT_RELEASE),
    OF_JOB("queued", core.wanted, EFFECT_REQUEUE),
    OF_JOB("queued", core.next_due, 5),
    OF_JOB("queued", core.is_held_by_operator, true),
    OF_JOB("queued", core.handed_off_ms, 1001),
    OF_JOB("queued", core.deadline_from_ms, 1001),
    OF_JOB("queued", node.arrival, UINT64_MAX),
    OF_JOB("started", core.phase, JOB_QUEUED),
    OF_JOB("started", core.ending, ENDING_FAIL),
    OF_JOB("started", core.counted, JOB_COUNT_LOSS),
    OF_JOB("started", node.arrival, 0),
    OF_JOB("claimed", core.is_at_work, true),
    OF_JOB("claimed", core.counted, JOB_COUNT_FAILURE),
    OF_JOB("completed", core.phase, JOB_QUEUED),
    OF_JOB("asked", core.next_due, 5),
    OF_JOB("asked", core.cause, REASON_NONE),
    OF_JOB("asked", core.cause, REASON_CLAIM_TIMED_OUT),
    OF_JOB("asked", core.wanted, EFFECT_REQUEUE),
    OF_JOB("asked", core.is_at_work, false),
    OF_JOB("asked", core.ending, ENDING_FAIL),
    OF_JOB("backing", core.next_reason, REASON_NONE),
    OF_JOB("backing", core.next_due, 0),
    OF_JOB("cancelling", core.ending, ENDING_NONE),
    OF_JOB("cancelling", core.cancel_due, 0),
    OF_JOB("cancelling", core.next_reason, REASON_NONE),
    OF_JOB("held", core.phase, JOB_PARKED),
    OF_JOB("held", core.wanted, EFFECT_COMPLETE),
    OF_JOB("held", core.counted, JOB_COUNT_FAILURE),
    OF_JOB("ordered", core.ordered, EFFECT_NONE),
    OF_JOB("ordered", core.ordered, EFFECT_CANCEL),
    OF_JOB("ordered", core.cause, REASON_WORKER_LOST),
    OF_JOB("requested", core.wanted, EFFECT_FAIL),
    OF_WORKER("w1", core.phase, WORKER_NONE),
    OF_WORKER("w1", core.heard_ms, 1001),
    OF_WORKER("w1", core.fallen_ms, 1001),
    OF_WORKER("w1", gone.is_linked, true),
    OF_WORKER("w2", gone.is_linked, true),
    OF_WORKER("w3", core.phase, WORKER_GONE),
    OF_WORKER("idle", core.phase, WORKER_ACTIVE),
    OF_WORKER("idle", core.phase, WORKER_STOPPING),
    OF_WORKER("idle", unfreed.is_linked, true),
    OF_WORKER("idle", jobs.count, 1),
    OF_WORKER("idle", open, 1),
    OF_EFFECT("asked", kind, EFFECT_CANCEL),
    OF_EFFECT("asked", worker.size, 1),
    OF_EFFECT("asked", node.key.size, 3),
    OF_EFFECT("requested", kind, EFFECT_NONE),
    OF_EFFECT("requested", is_withdrawn, true),
};

static void *entity_of(const struct state *state, const struct spoiled *what)
{
    const struct job *job;
    switch (what->whose) {
    case JOB:
        return table_find(&state->jobs, span_of(what->id));
    case WORKER:
        return table_find(&state->workers, span_of(what->id));
    case EFFECT_OF_JOB:
        job = table_find(&state->jobs, span_of(what->id));
        return job->open;
    default:
        return (void *)state;
    }
}

static void test_sound__one_wrong_value_is_seen(void **fixture)
{
    (void)fixture;
    struct history history = make_history();
    for (size_t i = 0; i < sizeof spoiled / sizeof spoiled[0]; i++) {
        char *entity = entity_of(history.state, &spoiled[i]);
        char kept[sizeof(uint64_t)];
        assert_non_null(entity);
        memcpy(kept, entity + spoiled[i].offset, spoiled[i].size);
        memcpy(entity + spoiled[i].offset, &spoiled[i].value, spoiled[i].size);
        if (state_is_sound(history.state)) {
            fail_msg("not seen: %s", spoiled[i].what);
        }
        memcpy(entity + spoiled[i].offset, kept, spoiled[i].size);
        assert_true(state_is_sound(history.state));
    }
    history_fini(&history);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound__a_history_is),
        cmocka_unit_test(test_sound__one_wrong_value_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
