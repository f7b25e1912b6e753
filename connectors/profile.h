/* SPDX-License-Identifier: MIT
 * Profiles: how one kind of service is asked about a job and how its replies are read. The format
 * is described at the head of connectors/comfyui.yaml. */
#ifndef SALVOR_CONNECTORS_PROFILE_H
#define SALVOR_CONNECTORS_PROFILE_H

#include "connectors/rules.h"

#define PROFILE_PROBES_MAX 8
#define PROFILE_RULES_MAX  64 /* of one probe */

/* One request that is asked for a job's status. All texts are templates. */
struct probe {
    bool is_post;
    struct span target; /* a path, or what begins with {status_url} or {result_url} */
    bool is_absolute;   /* begins so: nothing is put before it */
    struct span body;
    struct rule *rules;
    size_t rule_count;
};

/* Everything belongs to the profile's arena. */
struct profile {
    struct arena arena;
    struct span name;
    bool is_volatile; /* a restart makes the service forget its jobs */
    struct probe *probes;
    size_t probe_count;
    bool has_result, has_word;
    struct span result; /* pointer to the result in the deciding reply */
    struct span word;   /* pointer to the service's own status word */
};

/* `file` is for messages alone. NULL on error (USAGE), whose message names the file, the line, what
 * is wrong and what is allowed; the caller owns the profile. */
struct profile *profile_load(const char *file, struct span yaml, struct error *error);
/* Accepts NULL. */
void profile_destroy(struct profile *profile);

#endif
