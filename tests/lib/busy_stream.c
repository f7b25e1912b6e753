/* SPDX-License-Identifier: MIT */
#include "tests/lib/busy_stream.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"
#include "base/hash.h"

#define LINE_MAX 4096
#define LEADER   "owner=secret-owner epoch=1"
#define JOBS     60
#define WORKERS  7

static uint64_t roll(struct busy_stream *stream, uint64_t sides)
{
    return hash_number(5, stream->dice++) % sides;
}

/* The same event as one field of msgpack; what is no event stays flat. */
static void pack(struct buffer *raw)
{
    struct event event;
    struct span field;
    struct buffer packed = {0};
    if (codec_decode(&(struct entry){{1, 0}, buffer_span(raw)}, &event, &field) == CODEC_NONE) {
        codec_put_packed(&packed, &event);
        struct span value = buffer_span(&packed);
        struct buffer whole = {0};
        codec_put_raw(&whole, &SPAN("e"), &value, 1);
        buffer_fini(raw);
        *raw = whole;
    }
    buffer_fini(&packed);
}

static void add_raw(struct busy_stream *stream, struct span raw)
{
    struct history *history = &stream->history;
    struct stream_id id = {1700000000000 + history->entry_count++ * 20, 0};
    batch_add(&stream->batch, id, arena_copy(&stream->batch.arena, raw));
    fold_entry(history->state, &stream->batch.entries[stream->batch.count - 1], &history->output);
    for (uint32_t i = 0; i < history->output.decision_count; i++) {
        stream->actions[history->output.decisions[i].action]++;
    }
}

void busy_stream_add(struct busy_stream *stream, const char *line)
{
    struct buffer raw = {0};
    history_put_raw(&raw, line);
    if (roll(stream, 2) == 0) {
        pack(&raw);
    }
    add_raw(stream, buffer_span(&raw));
    buffer_fini(&raw);
}

__attribute__((format(printf, 2, 3))) static void add(struct busy_stream *stream,
                                                      const char *format, ...)
{
    char line[LINE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    CHECK(size > 0 && size < LINE_MAX);
    busy_stream_add(stream, line);
}

static void put_begin(struct busy_stream *stream)
{
    stream->history.state = state_create(3);
    add(stream, "epoch " LEADER " timeline=1 reducers=2 ordinal=0 wall_ms=1");
    add(stream, "policy " LEADER
                " text=effects=apply\nbackoff_ms=2000\nrequeue_percent=50\ntimeouts_percent=50\n"
                "service_check_percent=50\njob_timeout_ms=90000\nclaim_timeout_ms=20000\n"
                "max_retries=2\nask_backoff_ms=500\nqueue.failures=salvor\n"
                "service.comfyui.on_running=cancel\nservice.comfyui.service_check_percent=100\n"
                "service.openai.requeue_percent=100\nservice.openai.on_not_found=park\n"
                "service.openai.timeouts_percent=100\n"
                " origin=file hash=secret-hash");
}

/* Tells what came of one open effect. */
static void settle(struct busy_stream *stream)
{
    static const char *const verdicts[] = {"pending",   "running",   "completed",    "failed",
                                           "cancelled", "not_found", "inconclusive", "unreachable",
                                           "secret",    "no_profile"};
    static const char *const cancels[] = {"accepted", "accepted",    "already_final",
                                          "refused",  "unsupported", "unknown"};
    static const char *const outcomes[] = {"applied", "applied",  "applied",
                                           "gone",    "observed", "failed"};
    static const char *const found[] = {
        "status=in_progress\nattempt=%" PRIu64 "\nworker=secret-worker-%" PRIu64
        "\nclaim=secret-claim-%" PRIu64,
        "status=pending\nattempt=%" PRIu64 "\nworker=%.0" PRIu64 "\nclaim=%.0" PRIu64,
        "status=completed\nattempt=%" PRIu64 "\nworker=secret-worker-%" PRIu64
        "\nclaim=secret-claim-%" PRIu64,
        "key=secret\nattempt=%" PRIu64 "\nworker=%.0" PRIu64 "\nclaim=%.0" PRIu64};
    struct effect_request effect;
    const struct effect *cursor = NULL;
    for (uint64_t skip = roll(stream, 4) + 1; skip > 0; skip--) {
        if (!state_next_open_effect(stream->history.state, &cursor, &effect)) {
            return;
        }
    }
    char text[LINE_MAX / 2];
    if (effect.kind == EFFECT_ASK) {
        add(stream,
            "service.answered " LEADER " question=%.*s job=%.*s attempt=%" PRIu64
            " verdict=%s flags=%s http=200 word=secret-word body_sha256=secret result=secret",
            SPAN_FORMAT(effect.id), SPAN_FORMAT(effect.job), effect.attempt,
            verdicts[roll(stream, sizeof verdicts / sizeof verdicts[0])],
            roll(stream, 4) == 0 ? "expired" : "secret");
    } else if (effect.kind == EFFECT_CANCEL) {
        add(stream, "effect.settled " LEADER " effect=%.*s outcome=%s found=secret-found",
            SPAN_FORMAT(effect.id), cancels[roll(stream, sizeof cancels / sizeof cancels[0])]);
    } else if (roll(stream, 3) > 0) {
        add(stream, "effect.settled " LEADER " effect=%.*s outcome=%s", SPAN_FORMAT(effect.id),
            outcomes[roll(stream, sizeof outcomes / sizeof outcomes[0])]);
    } else {
        snprintf(text, sizeof text, found[roll(stream, 4)], effect.attempt + roll(stream, 2),
                 roll(stream, WORKERS), roll(stream, JOBS));
        add(stream, "effect.settled " LEADER " effect=%.*s outcome=stale found=%s",
            SPAN_FORMAT(effect.id), text);
    }
}

/* The last is none of the policy's, and no name that profiles have. */
static const char *service_of(uint64_t job)
{
    return job % 3 == 0 ? "openai" : job % 5 == 0 ? "http://secret:8188/?key" : "comfyui";
}

/* What a producer tells of one job. */
static void tell_job(struct busy_stream *stream, uint64_t job, uint64_t worker, uint64_t attempt)
{
    static const char *const ends[] = {"completed", "completed", "failed", "cancelled"};
    uint64_t way = roll(stream, 9);
    if (way == 0) {
        add(stream,
            "job.submitted job=secret-job-%" PRIu64
            " service=%s workflow=secret-flow trace=secret-trace id=secret-id-%" PRIu64,
            job, service_of(job), roll(stream, 40));
    } else if (way <= 2) {
        add(stream,
            "job.claimed job=secret-job-%" PRIu64 " worker=secret-worker-%" PRIu64
            " attempt=%" PRIu64 " claim=secret-claim-%" PRIu64 " service=%s",
            job, worker, attempt, job, service_of(job));
    } else if (way <= 4) {
        add(stream,
            "job.started job=secret-job-%" PRIu64 " worker=secret-worker-%" PRIu64
            " attempt=%" PRIu64,
            job, worker, attempt);
    } else if (way == 5) {
        add(stream,
            "job.handed_off job=secret-job-%" PRIu64 " worker=secret-worker-%" PRIu64
            " attempt=%" PRIu64 " service=%s service_job=secret-task-%" PRIu64
            " tag=secret-tag status_url=http://secret/s cancel_url=http://secret/c"
            " result_url=http://secret/r",
            job, worker, attempt, service_of(job), job);
    } else if (way == 6) {
        add(stream,
            "job.progress job=secret-job-%" PRIu64 " worker=secret-worker-%" PRIu64
            " attempt=%" PRIu64 " progress=50",
            job, worker, attempt);
    } else if (roll(stream, 3) == 0) {
        const char *end = ends[roll(stream, sizeof ends / sizeof ends[0])];
        add(stream,
            "job.%s job=secret-job-%" PRIu64 " worker=secret-worker-%" PRIu64 " attempt=%" PRIu64
            " result=secret error=secret retryable=%s",
            end, job, worker, attempt, roll(stream, 4) == 0 ? "false" : "true");
    }
}

static void tell_worker(struct busy_stream *stream, uint64_t worker)
{
    static const char *const ways[] = {"heartbeat", "heartbeat", "heartbeat",
                                       "lost",      "stopped",   "stopping"};
    if (roll(stream, 3) == 0) {
        add(stream,
            "worker.registered worker=secret-worker-%" PRIu64
            " machine=secret-machine services=comfyui=http://secret:8188 incarnation=%" PRIu64,
            worker, stream->dice / 100);
    } else {
        add(stream, "worker.%s worker=secret-worker-%" PRIu64 " reason=secret-reason",
            ways[roll(stream, sizeof ways / sizeof ways[0])], worker);
    }
}

static void tell_rubbish(struct busy_stream *stream)
{
    switch (roll(stream, 5)) {
    case 0:
        add(stream, "secret.type job=secret");
        break;
    case 1:
        add(stream, "job.progress job=secret worker=secret attempt=1 progress=secret");
        break;
    case 2:
        add_raw(stream, SPAN("\x01\x01"
                             "e\x06secret"));
        break;
    case 3:
        add(stream, "tick owner=secret-other epoch=1 elapsed_ms=5 wall_ms=5");
        break;
    default:
        add(stream, "policy text=secret=5 origin=operator hash=secret");
        break;
    }
}

static void order(struct busy_stream *stream, uint64_t job)
{
    static const char *const orders[] = {"requeue", "complete", "fail", "cancel", "hold", "resume"};
    add(stream, "operator.%s job=secret-job-%" PRIu64 " who=secret-ada why=secret-why",
        orders[roll(stream, sizeof orders / sizeof orders[0])], job);
}

static void pass_time(struct busy_stream *stream)
{
    bool is_long = roll(stream, 12) == 0;
    add(stream,
        "tick " LEADER " elapsed_ms=%d wall_ms=5 hash_ordinal=5 state_hash=secret-state gap_ms=%d",
        is_long ? 61000 : 700, is_long ? 3000 : 0);
}

void busy_stream_grow(struct busy_stream *stream, uint32_t count)
{
    if (stream->batch.count == 0) {
        put_begin(stream);
    }
    for (uint32_t end = stream->batch.count + count; stream->batch.count < end;) {
        uint64_t job = stream->dice / 400 % JOBS + roll(stream, 4);
        uint64_t worker = (job + roll(stream, 8) / 7) % WORKERS;
        switch (roll(stream, 12)) {
        case 0:
        case 1:
            pass_time(stream);
            break;
        case 2:
        case 3:
            settle(stream);
            break;
        case 4:
            tell_worker(stream, worker);
            break;
        case 5:
            if (roll(stream, 4) == 0) {
                tell_rubbish(stream);
            } else if (roll(stream, 4) == 0) {
                order(stream, job);
            }
            break;
        default:
            tell_job(stream, job, worker, 1 + roll(stream, 8) / 6 + roll(stream, 8) / 7);
            break;
        }
    }
}

void busy_stream_fini(struct busy_stream *stream)
{
    batch_fini(&stream->batch);
    history_fini(&stream->history);
}
