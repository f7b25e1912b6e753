/* SPDX-License-Identifier: MIT
 * An endpoint: one host and port of one service, with the requests that wait for it. It sends as
 * many at a time as the host may bear, none while the breaker is open or the host asked for a
 * pause. */
#ifndef SALVOR_CONNECTORS_ENDPOINT_H
#define SALVOR_CONNECTORS_ENDPOINT_H

#include "connectors/breaker.h"
#include "connectors/question.h"

#define ENDPOINTS_MAX      16384
#define ENDPOINT_IDLE_MS   UINT64_C(600000) /* unused for so long, it is forgotten */
#define RETRY_AFTER_MS_MAX UINT64_C(30000)
#define VARIANT_TTL_MS     UINT64_C(600000) /* then it is probed again */
#define VARIANT_DOUBTS_MAX 3 /* inconclusive replies in a row, after which it is, too */

/* One request, and who waits for its reply. */
struct task {
    TAILQ_ENTRY(task) links; /* in its endpoint's queue, then among those under way */
    struct endpoint *endpoint;
    const struct profile_request *request; /* borrowed from the profile */
    const struct profile_variant *probed;  /* whose probe it is; NULL: about jobs */
    struct question_list questions;        /* owned by the engine; none: all gave up waiting */
    size_t question_count;
    struct buffer url, body;
    struct lookup_entry by_url; /* while others may join */
    struct buffer shared_key;   /* its key; empty: nobody may */
    bool is_sent, is_trial, is_cancel;
};

TAILQ_HEAD(task_list, task);

struct endpoint {
    TAILQ_ENTRY(endpoint) turn; /* in its service's ready list */
    TAILQ_ENTRY(endpoint) uses; /* among all, least lately used first */
    struct lookup_entry by_key;
    struct buffer key;
    struct span authority;
    struct service *service;
    struct task_list queue; /* owned; first in, first out */
    size_t active;          /* requests under way */
    bool is_ready;
    enum endpoint_standing standing;
    struct breaker breaker;
    struct alarm alarm;    /* of the pause's end */
    uint64_t paused_until; /* boot ms */
    uint64_t used_ms;      /* boot ms */
    /* The form of the interface that it speaks. */
    const struct profile_variant *variant; /* NULL: not known */
    const struct profile_variant *told;    /* reported last */
    struct task *probe;                    /* under way or queued; NULL: none */
    uint64_t variant_until;
    unsigned doubts;
};

/* "http://host:port" of a URL. */
struct span url_authority(struct span url);

/* Appends what it is found by. */
void endpoint_put_key(struct buffer *out, const struct service *service, struct span authority);
/* The result is the caller's. */
struct endpoint *endpoint_create(struct service *service, struct span authority);
/* It must be idle. */
void endpoint_destroy(struct endpoint *endpoint);
/* Nothing waits for it and nothing is under way. */
bool endpoint_is_idle(const struct endpoint *endpoint);
/* Puts it into its service's ready list or takes it out: after everything that may matter. One that
 * stays ready keeps its turn. */
void endpoint_review(struct endpoint *endpoint, uint64_t per_host, uint64_t now_ms);
/* Out of that list, until the next review. */
void endpoint_unready(struct endpoint *endpoint);
/* A review is due then. */
void endpoint_set_standing(struct endpoint *endpoint, enum endpoint_standing standing);
/* Nothing is sent for so long, within bounds. */
void endpoint_pause(struct endpoint *endpoint, uint64_t pause_ms, uint64_t now_ms);
/* The form that is to be used; NULL: it must be probed. */
const struct profile_variant *endpoint_variant(const struct endpoint *endpoint, uint64_t now_ms);
/* What its service can do there: "status cancel result variant=jobs". */
void endpoint_put_capabilities(const struct endpoint *endpoint, struct buffer *out);

#endif
