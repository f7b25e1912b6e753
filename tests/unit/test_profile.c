/* SPDX-License-Identifier: MIT */
#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "connectors/profile.h"

static struct profile *load(const char *yaml)
{
    struct error error = {0};
    struct profile *profile = profile_load("p.yaml", span_of(yaml), NULL, &error);
    if (profile == NULL) {
        fail_msg("%s", error.message);
    }
    return profile;
}

static void test_profile__the_shipped_ones_load_under_the_names_of_their_files(void **fixture)
{
    (void)fixture;
    size_t count;
    glob_t files;
    const struct profile_shipped *all = profile_shipped(&count);
    assert_int_equal(glob("connectors/*.yaml", 0, NULL, &files), 0);
    assert_int_equal(files.gl_pathc, count);
    for (size_t i = 0; i < count; i++) {
        struct error error = {0};
        char file[64];
        struct profile *profile = profile_load(all[i].file, all[i].yaml, NULL, &error);
        if (profile == NULL) {
            fail_msg("%s", error.message);
            return;
        }
        snprintf(file, sizeof(file), "%.*s.yaml", SPAN_FORMAT(profile->name));
        assert_string_equal(file, all[i].file);
        assert_string_equal(files.gl_pathv[i] + strlen("connectors/"), all[i].file);
        profile_destroy(profile);
    }
    globfree(&files);
}

static void test_profile__reads_every_key_of_the_head(void **fixture)
{
    (void)fixture;
    struct profile *profile = load("profile: mine\n"
                                   "volatile: true\n"
                                   "ids: reused\n"
                                   "id_characters: '-_'\n"
                                   "retention_ms: 60000\n"
                                   "rate_per_s: 5\n"
                                   "max_body: 1048576\n"
                                   "headers:\n"
                                   "  Authorization: Bearer {token}\n"
                                   "  X-Key: '{env:KEY}'\n"
                                   "health:\n"
                                   "  request: GET /health\n"
                                   "  rules: [200 => ok, 404 => absent]\n"
                                   "status:\n"
                                   "- {request: GET /x, rules: [200 => failed]}\n"
                                   "result: body\n"
                                   "word: /status\n");
    assert_true(span_is(profile->name, "mine"));
    assert_true(profile->is_volatile);
    assert_true(profile->are_ids_reused);
    assert_true(span_is(profile->id_characters, "-_"));
    assert_int_equal(profile->retention_ms, 60000);
    assert_int_equal(profile->rate_per_s, 5);
    assert_int_equal(profile->body_max, 1048576);
    assert_int_equal(profile->header_count, 2);
    assert_true(span_is(profile->headers[0], "Authorization: Bearer {token}"));
    assert_true(span_is(profile->headers[1], "X-Key: {env:KEY}"));
    assert_non_null(profile->health);
    assert_int_equal(profile->health->rule_count, 2);
    assert_true(profile->health->rules[1].is_absent);
    assert_int_equal(profile->variant_count, 1);
    const struct profile_variant *variant = &profile->variants[0];
    assert_int_equal(variant->name.size, 0);
    assert_null(variant->probe);
    assert_true(variant->has_result);
    assert_int_equal(variant->result.size, 0);
    assert_true(span_is(variant->word, "/status"));
    assert_int_equal(variant->cancel.count, 0);
    profile_destroy(profile);
    profile = load("profile: x\nvolatile: false\nstatus:\n- {request: GET /x, rules: [200 => "
                   "failed]}\n");
    assert_false(profile->is_volatile);
    assert_false(profile->are_ids_reused);
    assert_null(profile->id_characters.data);
    assert_int_equal(profile->retention_ms, 0);
    assert_null(profile->health);
    assert_false(profile->variants[0].has_result);
    profile_destroy(profile);
}

static void test_profile__reads_every_key_of_a_request(void **fixture)
{
    (void)fixture;
    struct profile *profile = load("profile: x\n"
                                   "volatile: true\n"
                                   "status:\n"
                                   "- request: POST /job/status\n"
                                   "  body: '{\"jobid\": {id}}'\n"
                                   "  identity: /group = \"{tag}\"\n"
                                   "  confirm: {times: 3, after_ms: 250}\n"
                                   "  rules: ['200 & /finished = true => completed']\n"
                                   "- request: GET {status_url}/more\n"
                                   "  rules: [404 => not_found expired]\n"
                                   "- request: GET /queue\n"
                                   "  rules: ['200 & /{id} exists => running']\n"
                                   "cancel:\n"
                                   "- request: PUT {cancel_url}\n"
                                   "  rules: [200 => accepted]\n"
                                   "  only_if: pending\n"
                                   "- request: DELETE /jobs\n"
                                   "  rules: [200 => already_final]\n"
                                   "  only_if: running\n"
                                   "  scope: global\n");
    const struct profile_requests *status = &profile->variants[0].status;
    assert_int_equal(status->count, 3);
    assert_int_equal(status->list[0].method, HTTP_POST);
    assert_true(span_is(status->list[0].body, "{\"jobid\": {id}}"));
    assert_non_null(status->list[0].identity);
    assert_int_equal(status->list[0].confirm_count, 3);
    assert_int_equal(status->list[0].confirm_ms, 250);
    assert_false(status->list[0].is_shared);
    assert_true(status->list[1].is_absolute);
    assert_false(status->list[1].is_shared);
    assert_int_equal(status->list[1].confirm_count, 0);
    assert_null(status->list[1].identity);
    assert_int_equal(status->list[1].rules[0].flags, 1u << ANSWER_FLAG_EXPIRED);
    assert_int_equal(status->list[2].method, HTTP_GET);
    assert_true(status->list[2].is_shared); /* the target names no job, only a rule does */
    const struct profile_requests *cancel = &profile->variants[0].cancel;
    assert_int_equal(cancel->count, 2);
    assert_int_equal(cancel->list[0].method, HTTP_PUT);
    assert_true(cancel->list[0].is_absolute);
    assert_true(cancel->list[0].only_pending);
    assert_false(cancel->list[0].only_running);
    assert_false(cancel->list[0].is_global);
    assert_int_equal(cancel->list[0].rules[0].outcome, OUTCOME_ACCEPTED);
    assert_int_equal(cancel->list[1].method, HTTP_DELETE);
    assert_false(cancel->list[1].is_shared);
    assert_true(cancel->list[1].only_running);
    assert_true(cancel->list[1].is_global);
    profile_destroy(profile);
}

/* What the first status request says of a reply with this status and body. */
static enum answer_verdict judge(const struct profile *profile, uint64_t http, const char *body,
                                 unsigned *flags)
{
    const struct profile_request *request = &profile->variants[0].status.list[0];
    struct template_variables variables = {.id = SPAN("7")};
    struct reply reply = reply_open(http, SPAN("application/json"), span_of(body));
    struct judgement judgement =
        rules_judge(RULE_OF_STATUS, request->rules, request->rule_count, &reply, &variables);
    *flags = judgement.flags;
    reply_close(&reply);
    return judgement.verdict;
}

static void test_profile__words_stand_behind_the_rules(void **fixture)
{
    (void)fixture;
    unsigned flags;
    struct profile *profile = load("profile: x\n"
                                   "volatile: false\n"
                                   "status:\n"
                                   "- request: GET /x/{id}\n"
                                   "  rules: ['200 & /s = \"done\" & /error nonempty => failed']\n"
                                   "  pointer: /s\n"
                                   "  words:\n"
                                   "    queued: pending\n"
                                   "    done: completed partial\n"
                                   "    'say \"hi\\': running\n"
                                   "    true: cancelled\n");
    assert_int_equal(judge(profile, 200, "{\"s\":\"queued\"}", &flags), ANSWER_PENDING);
    assert_int_equal(judge(profile, 202, "{\"s\":\"queued\"}", &flags), ANSWER_PENDING);
    assert_int_equal(judge(profile, 200, "{\"s\":\"done\",\"error\":\"x\"}", &flags),
                     ANSWER_FAILED);
    assert_int_equal(judge(profile, 200, "{\"s\":\"done\"}", &flags), ANSWER_COMPLETED);
    assert_int_equal(flags, 1u << ANSWER_FLAG_PARTIAL);
    assert_int_equal(judge(profile, 200, "{\"s\":\"say \\\"hi\\\\\"}", &flags), ANSWER_RUNNING);
    assert_int_equal(judge(profile, 200, "{\"s\":\"true\"}", &flags), ANSWER_CANCELLED);
    assert_int_equal(judge(profile, 200, "{\"s\":true}", &flags), ANSWER_INCONCLUSIVE);
    assert_int_equal(judge(profile, 200, "{\"s\":\"DONE\"}", &flags), ANSWER_INCONCLUSIVE);
    assert_int_equal(judge(profile, 404, "{\"s\":\"done\"}", &flags), ANSWER_INCONCLUSIVE);
    profile_destroy(profile);
}

#define HEAD   "profile: x\nvolatile: true\n"
#define KEEPS  "profile: x\nvolatile: false\n"
#define STATUS "status:\n- {request: 'GET /x/{id}', rules: [200 => failed]}\n"

static void test_profile__variants_are_chosen_by_their_probes(void **fixture)
{
    (void)fixture;
    struct profile *profile =
        load(HEAD "result: /r\n"
                  "variants:\n"
                  "- name: new\n"
                  "  probe: {request: GET /v2, rules: [404 => absent]}\n"
                  "  status: [{request: GET /v2/x, rules: [200 => failed]}]\n"
                  "  cancel: [{request: POST /v2, rules: [200 => accepted]}]\n"
                  "  result: /v2\n"
                  "  word: /w\n"
                  "- name: old\n"
                  "  status: [{request: GET /x, rules: [200 => failed]}]\n");
    assert_int_equal(profile->variant_count, 2);
    const struct profile_variant *fresh = &profile->variants[0], *old = &profile->variants[1];
    assert_true(span_is(fresh->name, "new"));
    assert_non_null(fresh->probe);
    assert_int_equal(fresh->cancel.count, 1);
    assert_true(span_is(fresh->result, "/v2"));
    assert_true(span_is(fresh->word, "/w"));
    assert_null(old->probe);
    assert_int_equal(old->cancel.count, 0);
    assert_true(span_is(old->result, "/r"));
    assert_false(old->has_word);
    profile_destroy(profile);
}

static void test_profile__an_echo_of_the_tag_proves_where_ids_are_reused(void **fixture)
{
    (void)fixture;
    profile_destroy(load(KEEPS "ids: reused\nstatus:\n- request: POST /x\n  body: '{id}'\n"
                               "  rules: ['200 & /group = \"{tag}\" => completed']\n"));
    profile_destroy(load(KEEPS "ids: reused\nstatus:\n- request: POST /x\n  body: '{id}'\n"
                               "  identity: /group = \"{tag}\"\n  rules: [200 => completed]\n"
                               "cancel:\n- request: DELETE /groups/{tag}\n"
                               "  rules: [200 => accepted]\n"));
    profile_destroy(load(HEAD "status:\n- request: GET /x/{id}\n  identity: /id = \"{id}\"\n"
                              "  rules: [200 => completed]\n"));
    profile_destroy(load(KEEPS "status:\n- {request: 'GET /x/{id}', rules: [200 => completed]}\n"));
}

/* --- the page for people: its example is loaded as it stands there --- */

/* The block of YAML behind `heading`, and that of JSON behind it. */
static void read_block(const char *text, const char *heading, const char *fence, char *out,
                       size_t size)
{
    const char *from = strstr(text, heading);
    from = from == NULL ? NULL : strstr(from, fence);
    from = from == NULL ? NULL : from + strlen(fence);
    const char *to = from == NULL ? NULL : strstr(from, "```");
    if (to == NULL) {
        fail_msg("docs/connectors.md has no block %s behind %s", fence, heading);
        return;
    }
    assert_true((size_t)(to - from) < size);
    memcpy(out, from, (size_t)(to - from));
    out[to - from] = 0;
}

static void test_profile__the_documented_example_is_true(void **fixture)
{
    static char text[65536], yaml[4096], reply[4096];
    (void)fixture;
    unsigned flags;
    FILE *page = fopen("docs/connectors.md", "r");
    assert_non_null(page);
    size_t size = fread(text, 1, sizeof(text) - 1, page);
    text[size] = 0;
    fclose(page);
    read_block(text, "### The profile", "```yaml\n", yaml, sizeof(yaml));
    struct profile *profile = load(yaml);
    assert_true(span_is(profile->name, "renderer"));
    read_block(text, "### What it answers", "```json\n", reply, sizeof(reply));
    assert_int_equal(judge(profile, 200, reply, &flags), ANSWER_COMPLETED);
    const struct profile_request *request = &profile->variants[0].status.list[0];
    struct reply opened = reply_open(200, SPAN("application/json"), span_of(reply));
    struct template_variables own = {.id = SPAN("7")}, other = {.id = SPAN("8")};
    assert_int_equal(reply_owner(&opened, request->identity, &own), REPLY_OURS);
    assert_int_equal(reply_owner(&opened, request->identity, &other), REPLY_ANOTHERS);
    reply_close(&opened);
    profile_destroy(profile);
}

/* Every key that a profile may have has its line on the page. */
static void test_profile__the_page_knows_every_key(void **fixture)
{
    static const char *const keys[] = {
        "profile", "volatile", "ids",    "id_characters", "retention_ms", "rate_per_s", "max_body",
        "headers", "health",   "status", "cancel",        "variants",     "result",     "word",
        "request", "body",     "rules",  "pointer",       "words",        "identity",   "confirm",
        "scope",   "only_if",  "name",   "probe",
    };
    static char text[65536];
    (void)fixture;
    FILE *page = fopen("docs/connectors.md", "r");
    assert_non_null(page);
    text[fread(text, 1, sizeof(text) - 1, page)] = 0;
    fclose(page);
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char row[64];
        snprintf(row, sizeof(row), "| `%s`", keys[i]);
        if (strstr(text, row) == NULL) {
            fail_msg("docs/connectors.md has no row %s", row);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_profile__the_shipped_ones_load_under_the_names_of_their_files),
        cmocka_unit_test(test_profile__reads_every_key_of_the_head),
        cmocka_unit_test(test_profile__reads_every_key_of_a_request),
        cmocka_unit_test(test_profile__words_stand_behind_the_rules),
        cmocka_unit_test(test_profile__variants_are_chosen_by_their_probes),
        cmocka_unit_test(test_profile__an_echo_of_the_tag_proves_where_ids_are_reused),
        cmocka_unit_test(test_profile__the_documented_example_is_true),
        cmocka_unit_test(test_profile__the_page_knows_every_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
