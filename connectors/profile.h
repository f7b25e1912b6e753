/* SPDX-License-Identifier: MIT
 * Profiles: how one kind of service is asked about a job and how its replies are read. The format
 * is described in docs/connectors.md. */
#ifndef SALVOR_CONNECTORS_PROFILE_H
#define SALVOR_CONNECTORS_PROFILE_H

#include "connectors/rules.h"
#include "connectors/transport.h"

#define PROFILE_VARIANTS_MAX 4
#define PROFILE_REQUESTS_MAX 8  /* of one list */
#define PROFILE_RULES_MAX    64 /* of one request */
#define PROFILE_HEADERS_MAX  8
#define PROFILE_CONFIRM_MAX  5
#define PROFILE_CONFIRM_MS   5000
#define PROFILE_BODY_MAX     ((uint64_t)64 << 20)
#define PROFILE_PROBLEMS_MAX 20 /* told of one profile */

/* One request and what its reply means. All texts are templates. */
struct profile_request {
    enum http_method method;
    struct span target; /* a path, or what begins with {status_url}, {cancel_url} or {result_url} */
    bool is_absolute;   /* begins so: nothing is put before it */
    bool is_shared;     /* a GET that names no job: one reply serves every question of its moment */
    struct span body;
    struct rule *rules;
    size_t rule_count;
    const struct rule_term *identity; /* must hold in a reply about the job, else the reply is about
                                         another one; NULL: none */
    uint32_t confirm_count;           /* status: that the job ended, or is not there, must be said
                                         so often; 0: once */
    uint64_t confirm_ms;              /* between two of them */
    bool is_global;                   /* cancel: it may hit other jobs too */
    bool only_pending, only_running;  /* cancel: sent only while the status says so */
};

struct profile_requests {
    struct profile_request *list;
    size_t count;
};

/* One form of the service's interface. */
struct profile_variant {
    struct span name;              /* empty: the only one */
    struct profile_request *probe; /* rules say `ok` or `absent`; NULL: taken when no other is */
    struct profile_requests status, cancel;
    bool has_result, has_word;
    struct span result; /* pointer to the result in the deciding reply */
    struct span word;   /* pointer to the service's own status word */
};

/* Everything belongs to the profile's arena. */
struct profile {
    struct arena arena;
    struct span name;
    bool is_volatile;      /* a restart makes the service forget its jobs */
    bool are_ids_reused;   /* an id may come back as another job's: {tag} alone proves */
    uint64_t retention_ms; /* how long a job that ended is remembered; 0: not told */
    uint64_t rate_per_s;   /* what the service bears; 0: not told */
    uint64_t body_max;     /* bytes of one reply; 0: the connectors' */
    struct span headers[PROFILE_HEADERS_MAX]; /* "Name: value" */
    size_t header_count;
    struct span id_characters; /* what ids hold beyond letters and digits; data NULL: anything */
    struct profile_variant *variants;
    size_t variant_count;
    struct profile_request *health; /* rules say `ok` or `absent`; NULL: none */
};

/* `file` is for messages alone. NULL on error (USAGE), whose message names the file, the line, what
 * is wrong and what is allowed, of the first mistake, and how many more there are; `problems`,
 * unless NULL, then gets a line for each, up to PROFILE_PROBLEMS_MAX. The caller owns the profile.
 */
struct profile *profile_load(const char *file, struct span yaml, struct buffer *problems,
                             struct error *error);
/* Accepts NULL. */
void profile_destroy(struct profile *profile);

/* The profiles that Salvor ships. */
struct profile_shipped {
    const char *file; /* "comfyui.yaml" */
    struct span yaml;
};
const struct profile_shipped *profile_shipped(size_t *count);

#endif
