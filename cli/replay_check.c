/* SPDX-License-Identifier: MIT
 * `salvor replay --check DIR`: every capture of a regression corpus gives the decisions that are
 * kept beside it, or a reviewer sees which changed. */
#include "cli/replay_check.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/json.h"
#include "replay/corpus.h"

static const char *const words[] = {
    [CORPUS_NONE] = "none",     [CORPUS_OK] = "ok",           [CORPUS_DIFFERENT] = "FAIL",
    [CORPUS_BROKEN] = "BROKEN", [CORPUS_WRITTEN] = "written",
};

struct printing {
    uint64_t cases;
    struct buffer json; /* the array's elements; unused in text */
};

static void print_case(void *payload, const struct corpus_case *one)
{
    struct printing *printing = payload;
    printing->cases++;
    printf("%-7s %.*s: entries=%" PRIu64 " decisions=%" PRIu64 "\n", words[one->verdict],
           SPAN_FORMAT(one->name), one->entries, one->decisions);
    if (one->verdict == CORPUS_BROKEN) {
        printf("  %.*s\n", SPAN_FORMAT(one->difference));
    } else if (one->difference.size > 0) {
        printf("--- %.*s.expected\n+++ %.*s.capture, replayed\n", SPAN_FORMAT(one->name),
               SPAN_FORMAT(one->name));
        fwrite(one->difference.data, 1, one->difference.size, stdout);
    }
}

static void put_case(void *payload, const struct corpus_case *one)
{
    struct printing *printing = payload;
    struct buffer *out = &printing->json;
    buffer_put_text(out, printing->cases++ > 0 ? ",{" : "{");
    json_put_text(out, "name", one->name);
    json_put_text(out, "verdict", span_of(words[one->verdict]));
    json_put_number(out, "entries", one->entries);
    json_put_number(out, "decisions", one->decisions);
    json_put_text(out, "difference", one->difference);
    buffer_put_byte(out, '}');
}

enum status replay_check(const char *directory, bool is_rewriting, bool is_json)
{
    struct printing printing = {0};
    struct corpus_config config = {
        .directory = directory,
        .is_rewriting = is_rewriting,
        .each = is_json ? put_case : print_case,
        .payload = &printing,
    };
    uint64_t failed = 0;
    struct error error = {0};
    enum status status = STATUS_FINE;
    if (!corpus_run(&config, &failed, &error)) {
        status = verb_fail(&verb_replay, &error);
    } else if (is_json) {
        printf("{\"cases\":[%.*s],\"failed\":%" PRIu64 "}\n",
               SPAN_FORMAT(buffer_span(&printing.json)), failed);
    } else {
        printf("%" PRIu64 " case%s, %" PRIu64 " failed\n", printing.cases,
               printing.cases == 1 ? "" : "s", failed);
    }
    buffer_fini(&printing.json);
    return status == STATUS_FINE && failed > 0 ? STATUS_DIFFERENT : status;
}
