/* SPDX-License-Identifier: MIT
 * Outside services: one thread asks them about jobs, has jobs cancelled, and tells what they say.
 * It knows nothing of Redis or of decisions; whoever owns it appends the answers to the stream. */
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
    const char *token;   /* {token} of the profile: "env:NAME" or "file:PATH", read anew for each
                            request; NULL: none */
    const char *ca_file; /* certificates to trust, PEM; NULL: the system's */
    const char *unix_socket; /* path to connect to instead of the base's host; NULL: none */
    bool is_exclusive;       /* nobody else's jobs run there: cancels that hit all may be sent */
    uint64_t answer_ttl_ms;  /* how long an answer that is not final serves further questions */
    uint64_t rate_per_s;     /* requests a second; 0: as many as the hosts take */
};

struct connectors_config {
    uint64_t question_ms; /* for all requests of a question: 5000; it stands still while the
                             question waits in our own queue, which request.wait_ms bounds */
    uint64_t body_max;    /* bytes: 4 MiB */
    uint64_t per_host;    /* requests at the same time, to one endpoint of a service: 16 */
};

/* The profiles that Salvor ships (comfyui) are loaded already. The caller owns the result. */
struct connectors *connectors_create(const struct connectors_config *config);
struct profile;
/* Loads a profile from YAML text; `name` is for messages ("profiles/comfyui.yaml"). NULL on
 * failure, which one of a name that is there already is too: the error names file, line, and what
 * was allowed, and `problems`, unless NULL, gets all mistakes of the text, a line each. The result
 * is the connectors'. Profiles first, then services, then the start. */
__attribute__((warn_unused_result)) const struct profile *
connectors_add_profile(struct connectors *connectors, const char *name, struct span yaml,
                       struct buffer *problems, struct error *error);
__attribute__((warn_unused_result)) bool
connectors_add_service(struct connectors *connectors, const struct service_config *service,
                       struct error *error);
/* What the service's profile says of it; all false and 0 when there is none. */
struct service_facts {
    bool is_volatile;      /* a restart makes it forget its jobs */
    uint64_t retention_ms; /* how long it remembers a job that ended; 0: not told */
    bool needs_token;      /* a header of every request holds {token} */
};
struct service_facts connectors_service_facts(const struct connectors *connectors,
                                              const char *service);

/* How a service looks from here. Texts live until the next call. */
struct service_check {
    struct span endpoint; /* its base; empty: only where workers say it is, nothing was sent */
    struct span variant;  /* of the profile, as chosen by its probe; empty: it has one form */
    bool is_reachable;    /* the health request, else the status request, was replied to */
    uint64_t http, latency_ms;
    struct span word; /* what went wrong; empty: nothing, and if it is not reachable either, nothing
                         was sent */
    enum answer_verdict stranger; /* what it says of a job that cannot exist: should be not_found;
                                     NONE: it is asked only where its jobs or workers say */
};
/* Asks the service about itself, for `salvor check`: blocks for at most twice question_ms; not
 * while the thread runs. False when there is no such service. */
bool connectors_check(struct connectors *connectors, const char *service,
                      struct service_check *out);

/* Starts the thread. `wake_fd`: an eventfd of the caller's, written once for each report. */
__attribute__((warn_unused_result)) bool connectors_start(struct connectors *connectors,
                                                          int wake_fd, struct error *error);
/* Copies the request, an ask or a cancel, and queues it; any thread. A question that is already
 * under way under the same id is not asked twice. Every question gets exactly one report, in
 * bounded time, unless the connectors are destroyed first. False, and nothing was taken: as many
 * questions as they hold have not been reported yet; ask again in a moment. */
bool connectors_ask(struct connectors *connectors, const struct effect_request *request);
/* False when no report waits. One taker; the texts live until the next call. */
bool connectors_take_report(struct connectors *connectors, struct service_report *out);
/* Stops the thread, drops what is under way. Accepts NULL. */
void connectors_destroy(struct connectors *connectors);

#endif
