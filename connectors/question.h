/* SPDX-License-Identifier: MIT
 * One question to a service, or one cancel: the requests of its profile, in order until one
 * decides, and what the replies mean together. It sends nothing itself. */
#ifndef SALVOR_CONNECTORS_QUESTION_H
#define SALVOR_CONNECTORS_QUESTION_H

#include <sys/queue.h>

#include "connectors/alarms.h"
#include "connectors/answer.h"
#include "connectors/service.h"
#include "connectors/transport.h"

#define QUESTION_WAIT_MS_MAX UINT64_C(86400000)
/* With less time left, a further request would end as a time-out that is not its service's fault.
 */
#define QUESTION_LEAST_MS UINT64_C(100)

enum question_phase {
    QUESTION_PHASE_NONE,
    QUESTION_OF_STATUS, /* an ask; or the first part of a cancel that depends on the status */
    QUESTION_OF_CANCEL,
    QUESTION_OF_HEALTH, /* of the service, not of a job */
};

enum question_next {
    QUESTION_NEXT_NONE,
    QUESTION_GO_ON, /* question_due tells the next request */
    QUESTION_PAUSE, /* the same once more, in question_pause_ms */
    QUESTION_OVER,  /* the answer is settled */
};

struct task;

struct question {
    TAILQ_ENTRY(question) links; /* of the one list it is in */
    TAILQ_ENTRY(question) lives; /* of the engine's list of all that it holds */
    struct lookup_entry by_id;
    struct effect_request request; /* texts are the question's own; kind NONE: health */
    char *texts;                   /* owned */
    struct service *service;       /* NULL: not configured */
    const struct profile_variant *variant;
    enum question_phase phase;
    size_t step;        /* index of the request that is due */
    uint32_t confirmed; /* how often the request that is due has said `confirmed_verdict` */
    enum answer_verdict confirmed_verdict;
    struct buffer url; /* of that request */
    struct answer answer;
    /* The engine's: where it is, and its times. */
    struct task *task; /* whose reply it waits for; NULL: none */
    struct alarm alarm;
    uint64_t queued_ms;    /* since when it waits in the present queue */
    uint64_t wait_left_ms; /* of request.wait_ms */
    uint64_t time_left_ms; /* of the time for all its requests */
    uint64_t time_since;   /* since when that time runs; 0: it stands still */
    uint64_t time_used_ms;
};

TAILQ_HEAD(question_list, question);

/* A reply, made ready for all questions that wait for it. */
struct heard {
    const struct transport_reply *raw; /* borrowed */
    struct reply opened;
    struct sha256_text digest; /* of the body; empty until somebody needs it */
    /* What some question was told. */
    bool is_unwilling;         /* to come again later */
    bool is_sure, is_doubtful; /* what the job's status is; something that proves nothing */
};

struct heard heard_open(const struct transport_reply *raw);
void heard_close(struct heard *heard);

/* Result: a copy of the request, the caller's. `service` is borrowed, NULL when there is none. */
struct question *question_create(const struct effect_request *request, struct service *service,
                                 uint64_t question_ms);
void question_destroy(struct question *question);

/* Its time runs from here, and stands still again. */
void question_start_clock(struct question *question, uint64_t now_ms);
void question_stop_clock(struct question *question, uint64_t now_ms);
uint64_t question_time_left(const struct question *question, uint64_t now_ms);
/* Its time is nearly over: nothing is to be sent for it any more. */
bool question_is_late(const struct question *question);

/* GO_ON, or OVER when there is nothing to ask. Before question_due, unless it is about health. */
enum question_next question_begin(struct question *question, const struct profile_variant *variant);
/* The request that is due. */
const struct profile_request *question_due(const struct question *question);
uint64_t question_pause_ms(const struct question *question);
/* Fills in what that request needs: question->url, and `body`. False with a word in `error`. */
__attribute__((warn_unused_result)) bool question_write(struct question *question,
                                                        const struct profile_request *request,
                                                        struct buffer *body, struct error *error);
/* Values of the profile's variables; borrowed from the question and its service. */
struct template_variables question_variables(const struct question *question);
/* The request that is due can not be sent. GO_ON or OVER. */
enum question_next question_skip(struct question *question, const char *word);
/* Takes the reply to the request that was due. */
enum question_next question_hear(struct question *question, struct heard *heard, uint64_t now_ms);
/* Ends it without a reply. */
void question_fail(struct question *question, const char *word);
/* 408, 425, 429, 502, 503, 504: come again later. */
bool http_is_unwilling(uint64_t http);
/* Where the requests of its profile go that name no URL of their own; empty: nobody told. */
struct span question_base(const struct question *question);

#endif
