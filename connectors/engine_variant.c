/* SPDX-License-Identifier: MIT
 * Which form of its interface an endpoint speaks: each form's probe is sent in order until one says
 * that it is there. The probe's reply says nothing of jobs, so that whoever comes while it is under
 * way waits for the same one. */
#include "base/check.h"
#include "base/clock.h"
#include "connectors/engine_parts.h"

/* The next form with a probe, from `index` on; the form without one when there is no other, NULL
 * when that is missing too. */
static const struct profile_variant *candidate(const struct profile *profile, size_t index)
{
    for (; index < profile->variant_count; index++) {
        if (profile->variants[index].probe != NULL) {
            return &profile->variants[index];
        }
    }
    for (size_t i = 0; i < profile->variant_count; i++) {
        if (profile->variants[i].probe == NULL) {
            return &profile->variants[i];
        }
    }
    return NULL;
}

/* Fills in the form's probe: what is sent is left in the question's URL and in `body`. The endpoint
 * that it goes to; NULL with a word in `error` when that can not be probed. */
static struct endpoint *prepare_probe(struct engine *engine, struct question *question,
                                      const struct profile_variant *variant, struct buffer *body,
                                      struct error *error)
{
    if (!question_write(question, variant->probe, body, error)) {
        return NULL;
    }
    struct endpoint *endpoint =
        engine_endpoint(engine, question->service, url_authority(buffer_span(&question->url)));
    const char *refusal =
        endpoint != NULL ? engine_admission(engine, endpoint) : "too_many_endpoints";
    if (refusal != NULL) {
        error_set(error, ERROR_REFUSED, "%s", refusal);
        return NULL;
    }
    return endpoint;
}

static struct task *create_probe(struct engine *engine, struct endpoint *endpoint,
                                 const struct question *question,
                                 const struct profile_variant *variant, const struct buffer *body)
{
    endpoint->probe = task_create(engine, endpoint, variant->probe, variant,
                                  buffer_span(&question->url), buffer_span(body));
    return endpoint->probe;
}

enum question_next variant_begin(struct engine *engine, struct question *question)
{
    const struct profile *profile = question->service->profile;
    const struct profile_variant *first = candidate(profile, 0);
    struct buffer body = {0};
    struct error error = {0};
    CHECK(first != NULL);
    if (profile->variant_count == 1 || first->probe == NULL) {
        return question_begin(question, first);
    }
    enum question_next next = QUESTION_NEXT_NONE;
    struct endpoint *endpoint = prepare_probe(engine, question, first, &body, &error);
    const struct profile_variant *known =
        endpoint != NULL ? endpoint_variant(endpoint, clock_boot_ms()) : NULL;
    if (endpoint == NULL) {
        question_fail(question, error.message);
        next = QUESTION_OVER;
    } else if (known != NULL) {
        next = question_begin(question, known);
    } else {
        struct task *probe = endpoint->probe != NULL
                                 ? endpoint->probe
                                 : create_probe(engine, endpoint, question, first, &body);
        task_join(engine, probe, question);
    }
    buffer_fini(&body);
    return next;
}

static void keep_choice(struct engine *engine, struct endpoint *endpoint,
                        const struct profile_variant *variant)
{
    endpoint->variant = variant;
    endpoint->variant_until = clock_boot_ms() + VARIANT_TTL_MS;
    endpoint->doubts = 0;
    if (endpoint->told != variant) {
        endpoint->told = variant;
        engine_tell(engine, endpoint);
    }
}

/* What the probe says: the chosen form, the one to be probed next, or neither, with a word. */
struct choice {
    const struct profile_variant *chosen, *next;
    const char *word; /* static */
};

static struct choice judge_probe(const struct task *task, const struct question *question,
                                 const struct transport_reply *reply)
{
    const struct profile *profile = task->endpoint->service->profile;
    struct judgement judgement = {.word = reply->word};
    if (reply->end == TRANSPORT_REPLIED) {
        const struct template_variables variables = question_variables(question);
        struct reply opened = reply_open(reply->http, reply->content_type, reply->body);
        judgement = rules_judge(RULE_OF_PROBE, task->request->rules, task->request->rule_count,
                                &opened, &variables);
        reply_close(&opened);
    }
    if (judgement.is_ok) {
        return (struct choice){.chosen = task->probed};
    }
    if (!judgement.is_absent) {
        bool is_throttled = http_is_unwilling(reply->http) && reply->retry_after_ms > 0;
        return (struct choice){.word = is_throttled             ? "throttled"
                                       : judgement.word != NULL ? judgement.word
                                                                : "no_variant"};
    }
    const struct profile_variant *next =
        candidate(profile, (size_t)(task->probed - profile->variants) + 1);
    return next == NULL          ? (struct choice){.word = "no_variant"}
           : next->probe != NULL ? (struct choice){.next = next}
                                 : (struct choice){.chosen = next};
}

void variant_probed(struct engine *engine, struct task *task, const struct transport_reply *reply)
{
    struct endpoint *endpoint = task->endpoint;
    struct question *question = TAILQ_FIRST(&task->questions);
    struct choice choice = {.word = "timeout"};
    struct error error = {0};
    struct buffer body = {0};
    struct task *further = NULL;
    endpoint->probe = NULL;
    if (question != NULL) { /* else nobody waits any more */
        choice = judge_probe(task, question, reply);
    }
    engine_judge_endpoint(engine, task, reply, http_is_unwilling(reply->http));
    if (choice.chosen != NULL) {
        keep_choice(engine, endpoint, choice.chosen);
    } else if (choice.next != NULL) {
        struct endpoint *same = prepare_probe(engine, question, choice.next, &body, &error);
        further = same != NULL ? create_probe(engine, same, question, choice.next, &body) : NULL;
    }
    while ((question = task_take_question(engine, task)) != NULL) {
        if (choice.chosen != NULL) {
            engine_advance(engine, question, question_begin(question, choice.chosen));
        } else if (further != NULL) {
            task_join(engine, further, question);
        } else {
            engine_fail(engine, question, choice.word != NULL ? choice.word : error.message);
        }
    }
    buffer_fini(&body);
}
