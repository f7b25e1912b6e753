/* SPDX-License-Identifier: MIT
 * Outside services: one thread asks them about jobs and tells what they say. It knows nothing of
 * Redis or of decisions; whoever owns it appends the answers to the stream. */
#ifndef SALVOR_CONNECTORS_CONNECTORS_H
#define SALVOR_CONNECTORS_CONNECTORS_H

#include "base/error.h"
#include "reducers/effect.h"

struct connectors;

/* One configured service; all texts are copied. */
struct service_config {
    const char *name;
    const char *profile;      /* name of a loaded profile; NULL: nobody knows how to ask it */
    const char *base;         /* "http://127.0.0.1:8188"; NULL: only where workers say it is */
    const char *const *allow; /* host names, addresses or CIDR blocks; the base's host always is */
    size_t allow_count;
};

struct connectors_config {
    uint64_t question_ms; /* from sending to the end: 5000 */
    uint64_t body_max;    /* bytes: 4 MiB */
    uint64_t per_host;    /* at the same time: 16 */
    uint64_t wait_ms;     /* in our own queue, before sending; 0: 60000 */
};

/* One answer. Texts live until the next connectors_take_answer. */
struct service_answer {
    struct span question; /* the effect id of the ask */
    struct span job;
    uint64_t attempt;
    enum answer_verdict verdict;
    struct span flags;       /* words parted by blanks: expired partial result_lost lagging */
    uint64_t http;           /* last status code; 0: none */
    uint64_t latency_ms;     /* all requests of this question together */
    struct span word;        /* the service's own status word, or what went wrong; may be empty */
    struct span body_sha256; /* hexadecimal, of the deciding body; empty without one */
    struct span result; /* at most 1,024 bytes: a text as it is, else JSON; larger: where it is */
};

/* The profiles that Salvor ships (comfyui) are loaded already. The caller owns the result. */
struct connectors *connectors_create(const struct connectors_config *config);
/* Loads a profile from YAML text; `name` is for messages ("profiles/comfyui.yaml"). On failure the
 * error names file, line, and what was allowed. A later profile of the same name takes the place of
 * an earlier one. Profiles first, then services, then the start. */
__attribute__((warn_unused_result)) bool connectors_add_profile(struct connectors *connectors,
                                                                const char *name, struct span yaml,
                                                                struct error *error);
__attribute__((warn_unused_result)) bool
connectors_add_service(struct connectors *connectors, const struct service_config *service,
                       struct error *error);
/* True when the service's profile says that a restart makes it forget its jobs. */
bool connectors_service_is_volatile(const struct connectors *connectors, const char *service);

/* Starts the thread. `wake_fd`: an eventfd of the caller's, written once for each answer. */
__attribute__((warn_unused_result)) bool connectors_start(struct connectors *connectors,
                                                          int wake_fd, struct error *error);
/* Copies the request and queues it; any thread. A question that is already under way under the same
 * id is not asked twice. Every question gets exactly one answer, in bounded time, unless the
 * connectors are destroyed first. */
void connectors_ask(struct connectors *connectors, const struct effect_request *request);
/* False when no answer waits. One taker. */
bool connectors_take_answer(struct connectors *connectors, struct service_answer *out);
/* Stops the thread, drops what is under way. Accepts NULL. */
void connectors_destroy(struct connectors *connectors);

#endif
