/* SPDX-License-Identifier: MIT
 * What is told of a question or a cancel, with the texts it needs. */
#ifndef SALVOR_CONNECTORS_ANSWER_H
#define SALVOR_CONNECTORS_ANSWER_H

#include "base/sha256.h"
#include "connectors/rules.h"

#define ANSWER_WORD_MAX   128
#define ANSWER_RESULT_MAX 1024

/* Zero-initialise with {0}. It holds spans of itself: it is copied by answer_copy alone. */
struct answer {
    struct service_report report; /* its texts are below, but for effect and job */
    unsigned flags;               /* set of 1 << ANSWER_FLAG_… */
    char flags_text[64], word_text[ANSWER_WORD_MAX];
    struct sha256_text sha256_text;
    struct buffer result;
};

void answer_fini(struct answer *answer);
/* Words come from outside: cut, and what is not printable is shown as a question mark. */
void answer_set_word(struct answer *answer, struct span word);
void answer_set_flags(struct answer *answer, unsigned flags);
/* NULL: no body. */
void answer_set_sha256(struct answer *answer, const struct sha256_text *digest);
/* The result itself where it is short, else where it is and what it was. A text as it is, any other
 * value as JSON: UTF-8 both, since the reply was parsed as JSON. `url` (may be empty) and
 * `pointer` tell where. */
void answer_set_result(struct answer *answer, const struct json *value, struct span url,
                       struct span pointer);
/* {"url":…}; none when that would be too long. */
void answer_set_result_url(struct answer *answer, struct span url);
/* Copies what was said, not of whom: effect, job and attempt stay. `to` is {0} or an answer. */
void answer_copy(struct answer *to, const struct answer *from);
/* pending, running, completed, failed, cancelled: they say what became of the job. */
bool verdict_is_decisive(enum answer_verdict verdict);
/* completed, failed, cancelled. */
bool verdict_is_final(enum answer_verdict verdict);

#endif
