/* SPDX-License-Identifier: MIT
 * A stage for live work: a real server, the loop with live work as its source and sink, and a
 * second sink through which a test watches and disturbs. What goes wrong fails the test. */
#ifndef SALVOR_TESTS_LIB_LIVE_SCENE_H
#define SALVOR_TESTS_LIB_LIVE_SCENE_H

#include "reducers/policy.h"
#include "stream/live.h"
#include "stream/redis.h"
#include "tests/lib/redis_server.h"

#define STREAM   "salvor:{0}:events"
#define CONTROL  "salvor:{0}:ctl"
#define TICK_MS  20
#define LEASE_MS 5000
#define TEST_MS  20000

struct scene {
    struct redis_server *server;
    struct redis *admin;
    struct state *state;
    struct sha256 anchor; /* of the last entry folded, as the journal would keep it */
    uint64_t committed;
    struct buffer policy_text;
    struct sha256_text policy_hash;
    const char *owner;
    volatile sig_atomic_t stop;
    int wake_fd;
    uint64_t deadline_ms;
    uint32_t seen[EVENT_TYPE_COUNT]; /* entries folded, by type */
    uint32_t batches, looks;         /* batches begun; times that the leader looked for an answer */
    struct buffer asked;             /* kinds and ids of what was asked, one a line */
    uint32_t refusals;               /* times that a question finds no room, from here on */
    struct service_report report;    /* given once when it has a kind */
    /* Called after each entry and each look for an answer; sets `stop` when all has been seen. */
    void (*watch)(struct scene *scene);
    int step; /* for watch */
};

extern struct error scene_failure; /* of the last run or command */

#define DO(scene, ...) scene_do(redis_ask((scene)->admin, &scene_failure, __VA_ARGS__, NULL))

/* The reply as it is; none fails the test. */
const struct redis_reply *scene_do(const struct redis_reply *reply);
/* For cmocka: the fixture is the scene. */
int scene_set_up(void **fixture);
int scene_tear_down(void **fixture);
/* A new connection, where the server was started anew. */
void scene_open_admin(struct scene *scene);
/* The file's policy: `safe` with these two. */
void scene_set_policy(struct scene *scene, enum policy_effects effects, uint64_t backoff_ms);
struct live_config scene_config(struct scene *scene);

/* Runs until the watcher stops it (true) or live work ends by itself (false, `scene_failure`). */
bool scene_run(struct scene *scene, void (*watch)(struct scene *scene));
void scene_run_clean(struct scene *scene, void (*watch)(struct scene *scene));
void assert_scene_ends(struct scene *scene, void (*watch)(struct scene *scene),
                       enum error_code code);

/* The type of the n-th entry of the stream. */
struct span scene_type_at(struct scene *scene, uint32_t index);
void assert_scene_field(struct scene *scene, const char *key, const char *field,
                        const char *wanted);

/* Watchers that several tests share, and a job that w1 holds, for the worker to be lost. */
void until_three_ticks(struct scene *scene);
void until_nothing_open(struct scene *scene);
void lay_out_job(struct scene *scene);
void stop_worker(struct scene *scene);

#endif
