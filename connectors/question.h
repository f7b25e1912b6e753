/* SPDX-License-Identifier: MIT
 * One question to a service: the probes of its profile, asked in order until one decides. */
#ifndef SALVOR_CONNECTORS_QUESTION_H
#define SALVOR_CONNECTORS_QUESTION_H

#include <sys/queue.h>

#include "base/sha256.h"
#include "connectors/connectors.h"
#include "connectors/profile.h"
#include "connectors/transport.h"

#define ANSWER_WORD_MAX   128
#define ANSWER_RESULT_MAX 1024

struct service {
    char *name;                    /* owned */
    char *base;                    /* owned; without a slash at its end; NULL: none configured */
    const struct profile *profile; /* NULL: none; the connectors own it */
    struct allow allow;
};

struct question {
    TAILQ_ENTRY(question) links;
    struct effect_request request; /* texts are the question's own */
    char *texts;                   /* owned */
    const struct service *service; /* NULL: not configured */
    struct span authority; /* of where it goes: "http://10.0.0.7:8188", borrowed from texts */
    uint64_t queued_ms, started_ms;
    size_t probe;      /* the one under way */
    struct buffer url; /* of that probe */
    struct service_report answer;
    char flags_text[64], word_text[ANSWER_WORD_MAX + 1];
    struct sha256_text sha256_text;
    struct buffer result;
    unsigned flags;
};

TAILQ_HEAD(question_list, question);

/* Result: a copy, the caller's. `service` is borrowed, NULL when there is none. */
struct question *question_create(const struct effect_request *request,
                                 const struct service *service);
void question_destroy(struct question *question);
/* Sends the probe that is due, which may last until `question_ms` after the start. False: nothing
 * can be sent, and the answer is settled. */
__attribute__((warn_unused_result)) bool
question_send(struct question *question, struct transport *transport, uint64_t question_ms);
/* Takes the probe's reply. True when the answer is settled, else the next probe is due. */
__attribute__((warn_unused_result)) bool question_reply(struct question *question,
                                                        const struct transport_reply *reply);
/* Settles the answer with a verdict that rests on no reply. */
void question_settle(struct question *question, enum answer_verdict verdict, const char *word);

#endif
