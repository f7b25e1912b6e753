/* SPDX-License-Identifier: MIT
 * `salvor check`: says in one run all that is wrong or weak, and changes nothing: no entry, no
 * lease, no file. */
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "cli/check_areas.h"
#include "cli/config_rules.h"
#include "cli/services.h"
#include "cli/verb.h"
#include "stream/redis_url.h"

extern char **environ;

enum { CONFIG, JSON };

static const struct option_rule rules[] = {
    [CONFIG] = {.name = "--config",
                .brief = "-c",
                .value = "FILE",
                .help = "configuration (salvor.yaml if it is there)"},
    [JSON] = {.name = "--json", .help = "print the findings as one JSON object"},
};

static enum status check_verb(const struct options *options);

const struct verb verb_check = {
    .name = "check",
    .arguments = "",
    .summary = "Look at configuration, Redis, data directory and services; change nothing.",
    .options = rules,
    .option_count = sizeof(rules) / sizeof(rules[0]),
    .run = check_verb,
};

/* --- configuration --- */

/* What the problems of a configuration leave to be looked at. */
struct readiness {
    bool is_read;        /* there is a configuration at all */
    bool is_place_known; /* Redis and data directory are those that the user means */
};

/* A line is "where: what". */
static struct span cut_where(struct span *line)
{
    struct span where = *line;
    for (size_t i = 0; i + 1 < line->size; i++) {
        if (line->data[i] == ':' && line->data[i + 1] == ' ') {
            where.size = i;
            *line = (struct span){line->data + i + 2, line->size - i - 2};
            break;
        }
    }
    return where;
}

static void tell_line(struct span line, enum finding_level level, const char *means,
                      struct check_report *report)
{
    char subject[512];
    struct span where = cut_where(&line);
    snprintf(subject, sizeof(subject), "%.*s", SPAN_FORMAT(where));
    struct finding finding = {
        .area = "configuration", .subject = subject, .level = level, .means = means};
    check_report_tell(report, &finding, "%.*s", SPAN_FORMAT(line));
}

static struct readiness check_configuration(const struct config *config, const char *path,
                                            struct check_report *report)
{
    const char *file = path != NULL ? path : CONFIG_FILE;
    struct readiness ready = {.is_read = true, .is_place_known = true};
    for (struct span rest = buffer_span(&config->problems); rest.size > 0;) {
        struct span line = span_cut(&rest, '\n');
        tell_line(line, FINDING_PROBLEM, "", report);
        struct span where = cut_where(&line);
        struct span section = span_cut(&line, '.');
        bool is_section = section_exists(section);
        /* A default must not stand in for what was not understood: another Redis, another
         * directory. */
        if (!is_section || span_is(section, "salvor") || span_is(section, "redis")) {
            ready.is_place_known = false;
        }
        ready.is_read = ready.is_read && (is_section || !span_is(where, file));
    }
    for (struct span rest = buffer_span(&config->notes); rest.size > 0;) {
        tell_line(span_cut(&rest, '\n'), FINDING_WARNING, "nothing in this build reads it", report);
    }
    if (config->problems.size == 0) {
        bool is_default = path == NULL && access(file, F_OK) != 0;
        struct finding finding = {.area = "configuration",
                                  .subject = is_default ? "defaults" : file,
                                  .level = FINDING_OK};
        check_report_tell(report, &finding, "partitions %llu, effects %s, services %u",
                          (unsigned long long)config->partitions,
                          config->policy.value[POLICY_EFFECTS] == EFFECTS_APPLY ? "apply"
                                                                                : "observe",
                          config->service_count);
    }
    return ready;
}

/* --- Redis --- */

void check_redis(const struct config *config, struct check_report *report)
{
    struct finding finding = {.area = "redis", .subject = "connection", .level = FINDING_OK};
    struct error error = {0};
    struct redis_url url;
    if (!redis_url_parse(config->redis_url, &url, &error)) {
        return; /* a problem of the configuration */
    }
    struct redis *redis = redis_open(config->redis_url, REDIS_COMMAND_MS, &error);
    if (redis == NULL) {
        finding.level = FINDING_PROBLEM;
        finding.means = "`salvor run` waits until it answers; wrong passwords and rights end it";
        check_report_tell(report, &finding, "%s%s: %s", url.host, url.path, error.message);
        return;
    }
    check_report_tell(report, &finding, "%s%s, database %s", url.host, url.path, url.database);
    struct survey survey = {
        .prefix = config->prefix,
        .queue_prefix = config->queue_prefix,
        .partition = 0,
        .partitions = (uint32_t)config->partitions,
        .applies = config->policy.value[POLICY_EFFECTS] == EFFECTS_APPLY,
        .sink = check_report_sink(report),
    };
    /* What forbids live work was told as a finding. */
    (void)!survey_redis(redis, &survey, &error);
    redis_close(redis);
}

/* --- the verb --- */

static void tell_skipped(const char *area, struct check_report *report)
{
    struct finding finding = {.area = area,
                              .subject = "skipped",
                              .level = FINDING_WARNING,
                              .means = "mend the configuration first"};
    check_report_tell(report, &finding, "not looked at");
}

static enum status check_verb(const struct options *options)
{
    log_configure(LOG_ERROR, LOG_FORMAT_LOGFMT);
    struct check_report report = {.is_json = options->value[JSON] != NULL};
    const char *path = options->value[CONFIG];
    struct config config;
    struct connectors *connectors = NULL;
    /* Both, so that every problem is named at once. */
    bool is_sound = config_load(&config, path, environ);
    is_sound = services_open(&config, &connectors) && is_sound;
    struct readiness ready = check_configuration(&config, path, &report);
    if (ready.is_place_known) {
        check_redis(&config, &report);
        check_data(config.data, &report);
    } else {
        tell_skipped("redis", &report);
        tell_skipped("data", &report);
    }
    if (is_sound) {
        check_services(&config, connectors, &report);
    } else {
        tell_skipped("services", &report);
    }
    bool is_fine = report.counts[FINDING_PROBLEM] == 0;
    check_report_end(&report);
    connectors_destroy(connectors);
    config_fini(&config);
    enum status worst = ready.is_read ? STATUS_DIFFERENT : STATUS_USAGE;
    return is_fine ? STATUS_FINE : worst;
}
