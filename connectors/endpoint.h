/* SPDX-License-Identifier: MIT
 * An endpoint: one host and port of one service, with the requests that wait for it. It sends as
 * many at a time as the host may bear, none while the breaker is open or the host asked for a
 * pause. */
#ifndef SALVOR_CONNECTORS_ENDPOINT_H
#define SALVOR_CONNECTORS_ENDPOINT_H

#include "connectors/alarms.h"
#include "connectors/breaker.h"
#include "connectors/bucket.h"
#include "connectors/question.h"

#define ENDPOINTS_MAX      16384
#define ENDPOINT_IDLE_MS   UINT64_C(600000) /* unused for so long, it is forgotten */
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
    bool is_sent, is_cancel;
    bool is_judged;                      /* the endpoint by the reply */
    uint32_t trial;                      /* of the breaker; 0: none */
    const struct transport_reply *reply; /* the transport's, or `refusal`; NULL: none yet */
    struct transport_reply refusal;      /* why it was not sent */
    char refusal_word[32];
};

TAILQ_HEAD(task_list, task);
TAILQ_HEAD(endpoint_list, endpoint);

/* Endpoints that have answered lately are proven; the others may hold half of the requests that are
 * under way at most, so that many dead hosts hold nobody up. */
enum endpoint_standing { ENDPOINT_UNPROVEN, ENDPOINT_PROVEN, ENDPOINT_STANDINGS };

/* What one service has of the engine. */
struct share {
    struct service *service;
    struct bucket bucket;
    struct alarm alarm;                             /* of the next token */
    struct endpoint_list ready[ENDPOINT_STANDINGS]; /* endpoints that can send, in turn */
    struct task_list replied; /* owned; their replies are heard in this order */
    size_t active;            /* requests under way, or replied to and not heard */
    uint64_t rests_until;     /* boot ms: until then no reply is heard */
    uint64_t bodies;          /* bytes of replies, for the transport */
    bool is_provens_turn;
};

struct endpoint {
    TAILQ_ENTRY(endpoint) turn; /* in its service's ready list */
    TAILQ_ENTRY(endpoint) uses; /* among all, least lately used first */
    struct lookup_entry by_key;
    struct buffer key;
    struct span authority;
    struct service *service;
    struct task_list queue; /* owned; first in, first out */
    size_t active;          /* requests under way, or replied to and not heard */
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

/* The result is the caller's. */
struct share *share_create(struct service *service, uint64_t now_ms);
void share_destroy(struct share *share);

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
/* Nothing is sent for so long. */
void endpoint_pause(struct endpoint *endpoint, uint64_t pause_ms, uint64_t now_ms);
/* The form that is to be used; NULL: it must be probed. */
const struct profile_variant *endpoint_variant(const struct endpoint *endpoint, uint64_t now_ms);
/* What its service can do there: "status cancel result variant=jobs". */
void endpoint_put_capabilities(const struct endpoint *endpoint, struct buffer *out);

#endif
