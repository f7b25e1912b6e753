/* SPDX-License-Identifier: MIT */
#include "cli/check_report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "base/json.h"

#define WHAT_SIZE 2048

static const struct {
    const char *one, *many;
} levels[FINDING_LEVEL_COUNT] = {
    [FINDING_OK] = {"ok", "ok"},
    [FINDING_WARNING] = {"warning", "warnings"},
    [FINDING_PROBLEM] = {"problem", "problems"},
};

/* Others' words, in one line, without what a terminal would obey. */
static void print_words(const char *text)
{
    for (; *text != '\0'; text++) {
        bool is_control = (unsigned char)*text < ' ' || *text == 0x7f;
        putchar(is_control ? '?' : *text);
    }
}

static void print_finding(struct check_report *report, const struct finding *finding)
{
    if (strcmp(report->area, finding->area) != 0) {
        snprintf(report->area, sizeof(report->area), "%s", finding->area);
        printf("%s\n", finding->area);
    }
    printf("  %-8s ", levels[finding->level].one);
    print_words(finding->subject);
    printf(": ");
    print_words(finding->what);
    if (finding->means[0] != '\0') {
        printf("; ");
        print_words(finding->means);
    }
    putchar('\n');
    fflush(stdout);
}

static void put_finding(struct buffer *json, const struct finding *finding)
{
    buffer_put_byte(json, json->size > 0 ? ',' : '[');
    buffer_put_byte(json, '{');
    json_put_text(json, "area", span_of(finding->area));
    json_put_text(json, "subject", span_of(finding->subject));
    json_put_text(json, "level", span_of(levels[finding->level].one));
    json_put_text(json, "what", span_of(finding->what));
    json_put_text(json, "means", span_of(finding->means));
    buffer_put_byte(json, '}');
}

static void take_finding(void *self, const struct finding *finding)
{
    struct check_report *report = self;
    CHECK(finding->level > FINDING_NONE && finding->level < FINDING_LEVEL_COUNT);
    report->counts[finding->level]++;
    if (report->is_json) {
        put_finding(&report->json, finding);
    } else {
        print_finding(report, finding);
    }
}

struct finding_sink check_report_sink(struct check_report *report)
{
    return (struct finding_sink){.self = report, .take = take_finding};
}

void check_report_tell(struct check_report *report, const struct finding *finding,
                       const char *format, ...)
{
    char what[WHAT_SIZE];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof(what), format, values);
    va_end(values);
    struct finding told = *finding;
    told.what = what;
    told.means = finding->means != NULL ? finding->means : "";
    take_finding(report, &told);
}

void check_report_end(struct check_report *report)
{
    struct buffer out = {0};
    if (report->is_json) {
        buffer_put_byte(&out, '{');
        for (int level = FINDING_OK; level < FINDING_LEVEL_COUNT; level++) {
            json_put_number(&out, levels[level].many, report->counts[level]);
        }
        json_put_key(&out, "findings");
        buffer_put_text(&out, report->json.size > 0 ? "" : "[");
        buffer_put_span(&out, buffer_span(&report->json));
        buffer_put_text(&out, "]}\n");
    } else {
        for (int level = FINDING_PROBLEM; level >= FINDING_OK; level--) {
            uint32_t count = report->counts[level];
            buffer_put_decimal(&out, count);
            buffer_put_byte(&out, ' ');
            buffer_put_text(&out, count == 1 ? levels[level].one : levels[level].many);
            buffer_put_text(&out, level > FINDING_OK ? ", " : "\n");
        }
    }
    fwrite(out.data, 1, out.size, stdout);
    buffer_fini(&out);
    buffer_fini(&report->json);
}
