/* SPDX-License-Identifier: MIT */
#include "replay/what_if.h"

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "replay/capture_source.h"
#include "replay/loop.h"
#include "replay/policy_facts.h"
#include "replay/what_if_side.h"

#define STEP_ENTRIES 4096
#define BATCH_SIZE   1000

static const struct {
    const char *name, *label;
} totals[WHAT_IF_TOTAL_COUNT] = {
#define X(id, text, label_) [WHAT_IF_##id] = {.name = (text), .label = (label_)},
    WHAT_IF_TOTALS(X)
#undef X
};

static const char *const ends[WHAT_IF_END_COUNT] = {
#define X(id, text) [WHAT_IF_END_##id] = (text),
    WHAT_IF_ENDS(X)
#undef X
};

const char *what_if_total_name(enum what_if_total total)
{
    CHECK(total < WHAT_IF_TOTAL_COUNT);
    return totals[total].name;
}

const char *what_if_total_label(enum what_if_total total)
{
    CHECK(total < WHAT_IF_TOTAL_COUNT);
    return totals[total].label;
}

const char *what_if_end_text(enum what_if_end end)
{
    CHECK(end < WHAT_IF_END_COUNT);
    return ends[end];
}

/* What a report's texts are borrowed from, and all that made it. */
struct what_if {
    const struct what_if_config *config;
    struct what_if_report *report;
    struct answers answers;
    struct what_if_compare compare;
    struct side sides[WHAT_IF_SIDE_COUNT];
};

static bool step(const struct what_if *whole, uint64_t done, uint64_t total, struct error *error)
{
    const struct what_if_config *config = whole->config;
    return config->step == NULL || config->step(config->payload, done, total) ||
           error_set(error, ERROR_STOPPED, "stopped before its end");
}

/* --- the capture as it is --- */

static bool answers_fold(void *self, const struct entry *entry, const struct state *state,
                         const struct fold_output *output, struct error *error)
{
    struct what_if *whole = self;
    answers_take(&whole->answers, entry, state, output);
    return whole->answers.entries % STEP_ENTRIES != 0 ||
           step(whole, whole->answers.entries, 0, error);
}

static bool find_answers(struct what_if *whole, struct capture_reader *reader, struct error *error)
{
    struct state *state = capture_state(capture_reader_header(reader), error);
    if (state == NULL) {
        return false;
    }
    struct capture_source source = capture_source_init(reader, BATCH_SIZE);
    struct loop loop = {
        .state = state,
        .source = capture_source_source(&source),
        .sinks = {{.name = "what-if", .self = whole, .fold = answers_fold}},
        .sink_count = 1,
    };
    answers_begin(&whole->answers, state);
    bool is_fine = loop_run(&loop, error);
    whole->report->is_torn = source.is_torn;
    state_destroy(state);
    return is_fine;
}

/* --- both sides --- */

static bool fold_sides(struct what_if *whole, struct capture_reader *reader, struct error *error)
{
    const struct answers *answers = &whole->answers;
    uint64_t ordinal = capture_reader_header(reader)->ordinal, done = 0, answer = 0;
    struct entry entry;
    enum capture_next next;
    while ((next = capture_next(reader, &entry, error)) == CAPTURE_ENTRY) {
        struct event event;
        struct span field;
        ordinal++;
        done++;
        bool is_event = codec_decode(&entry, &event, &field) == CODEC_NONE;
        const struct answers_subject *subject = NULL;
        if (answer < answers->count && answers->list[answer].ordinal == ordinal) {
            subject = answers->list[answer++].subject;
        }
        for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
            side_take(&whole->sides[side], &entry, is_event ? &event : NULL, subject);
        }
        if (is_event && (event.type == EVENT_JOB_COMPLETED || event.type == EVENT_JOB_CLAIMED)) {
            what_if_compare_worker(&whole->compare, &event, ordinal);
        }
        if (done % STEP_ENTRIES == 0 && !step(whole, done, answers->entries, error)) {
            return false;
        }
    }
    return next != CAPTURE_ERROR;
}

static bool compare_sides(struct what_if *whole, struct capture_reader *reader, struct error *error)
{
    const struct capture_header *header = capture_reader_header(reader);
    for (enum what_if_side name = 0; name < WHAT_IF_SIDE_COUNT; name++) {
        struct side *side = &whole->sides[name];
        struct state *state = capture_state(header, error);
        if (state == NULL) {
            return false;
        }
        side->name = name;
        side->answers = &whole->answers;
        side->compare = &whole->compare;
        if (name == WHAT_IF_OTHER) {
            side->policy = buffer_span(&whole->report->other_text);
            side->captured = &whole->sides[WHAT_IF_CAPTURED];
        }
        side_begin(side, state, header->position);
    }
    if (!fold_sides(whole, reader, error)) {
        return false;
    }
    for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
        side_end(&whole->sides[side]);
    }
    what_if_compare_finish(&whole->compare);
    return true;
}

/* --- the whole --- */

static void tell_kept(void *payload, const struct policy_service *service)
{
    struct buffer *kept = payload;
    buffer_put_text(kept, kept->size > 0 ? " " : "");
    buffer_put(kept, service->name, service->name_size);
}

/* The other policy, with what is no choice of it: facts of services, and who retries failures. */
static bool make_text(struct what_if *whole, struct error *error)
{
    struct what_if_report *report = whole->report;
    struct policy *policy = mem_zero(sizeof(*policy));
    const struct policy *captured = whole->answers.captured;
    *policy = *whole->config->policy;
    bool is_fine = policy_keep_facts(policy, captured, tell_kept, &report->kept) ||
                   error_set(error, ERROR_USAGE,
                             "one service too many with those whose volatile and retention_ms are "
                             "kept from the capture");
    if (!whole->config->has_queue_failures) {
        policy->value[POLICY_QUEUE_FAILURES] = captured->value[POLICY_QUEUE_FAILURES];
    }
    policy_put_text(&report->other_text, policy);
    mem_free(policy);
    buffer_put_span(&report->captured_text, buffer_span(&whole->answers.captured_text));
    if (is_fine && report->other_text.size > POLICY_SIZE_MAX) {
        error_set(error, ERROR_USAGE, "the policy's text has %zu bytes; allowed: %d",
                  report->other_text.size, POLICY_SIZE_MAX);
        is_fine = false;
    }
    return is_fine;
}

static void tell_capture(struct what_if *whole, const struct capture_header *header)
{
    struct what_if_report *report = whole->report;
    const struct answers *answers = &whole->answers;
    report->partition = header->partition;
    report->first_ordinal = header->ordinal;
    report->entries = answers->entries;
    report->begin_ms = answers->begin_ms;
    report->end_ms = answers->end_ms;
    report->policies = answers->policies;
    report->reality = answers->reality;
}

typedef bool (*pass_fn)(struct what_if *whole, struct capture_reader *reader, struct error *error);

static bool find_all(struct what_if *whole, struct capture_reader *reader, struct error *error)
{
    if (!find_answers(whole, reader, error)) {
        return false;
    }
    tell_capture(whole, capture_reader_header(reader));
    return true;
}

static bool pass(struct what_if *whole, pass_fn run, struct error *error)
{
    struct capture_reader *reader = capture_open(whole->config->capture, error);
    if (reader == NULL) {
        return false;
    }
    bool is_fine = run(whole, reader, error);
    capture_reader_close(reader);
    return is_fine || (error->code == ERROR_STOPPED || error->code == ERROR_USAGE
                           ? false
                           : error_wrap(error, "%s", whole->config->capture));
}

bool what_if_run(const struct what_if_config *config, struct what_if_report *report,
                 struct error *error)
{
    CHECK(report->inside == NULL);
    uint64_t start_ns = clock_boot_ns();
    struct what_if *whole = report->inside = mem_zero(sizeof(*whole));
    whole->config = config;
    whole->report = report;
    answers_init(&whole->answers);
    what_if_compare_init(&whole->compare, &whole->answers, report);
    bool is_fine = pass(whole, find_all, error) && make_text(whole, error) &&
                   pass(whole, compare_sides, error);
    report->elapsed_ns = clock_boot_ns() - start_ns;
    return is_fine;
}

void what_if_report_fini(struct what_if_report *report)
{
    if (report->inside != NULL) {
        for (enum what_if_side side = 0; side < WHAT_IF_SIDE_COUNT; side++) {
            side_fini(&report->inside->sides[side]);
        }
        what_if_compare_fini(&report->inside->compare);
        answers_fini(&report->inside->answers);
        mem_free(report->inside);
    }
    buffer_fini(&report->captured_text);
    buffer_fini(&report->other_text);
    buffer_fini(&report->kept);
    mem_free(report->jobs);
    *report = (struct what_if_report){0};
}
