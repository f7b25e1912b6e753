/* SPDX-License-Identifier: MIT
 * For the test of docs/events.md: tells the vocabulary, and decodes what stands in a stream.
 *   decode_stream types | fields | problems
 *   decode_stream entries SOCKET KEY     one line an entry: type, problem, the field it is about */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/check.h"
#include "reducers/codec.h"

#define ENTRIES_MAX "10000"

static void print_set(const char *separator, uint64_t fields)
{
    printf("%s", separator);
    const char *comma = "";
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        if ((fields >> i & 1) != 0) {
            printf("%s%s", comma, event_field_rule(i)->name);
            comma = ",";
        }
    }
    if (fields == 0) {
        printf("-");
    }
}

static void print_types(void)
{
    static const char *const reaches[] = {[REACH_ANYONE] = "anyone",
                                          [REACH_LEADER] = "leader",
                                          [REACH_LEADER_OR_OPERATOR] = "leader_or_operator"};
    for (unsigned i = EVENT_NONE + 1; i < EVENT_TYPE_COUNT; i++) {
        const struct type_rule *rule = event_type_rule(i);
        printf("%s %s", rule->name, reaches[rule->reach]);
        print_set(" ", rule->required);
        print_set(" ", rule->optional);
        printf("\n");
    }
}

static void print_fields(void)
{
    static const char *const kinds[] = {[FIELD_KIND_ID] = "id",
                                        [FIELD_KIND_TEXT] = "text",
                                        [FIELD_KIND_URL] = "url",
                                        [FIELD_KIND_NUMBER] = "number",
                                        [FIELD_KIND_BOOLEAN] = "boolean"};
    for (unsigned i = 0; i < EVENT_FIELD_COUNT; i++) {
        const struct field_rule *rule = event_field_rule(i);
        printf("%s %s %llu\n", rule->name, kinds[rule->kind], (unsigned long long)rule->max);
    }
}

static void print_problems(void)
{
    for (unsigned i = CODEC_NONE + 1; i <= CODEC_UNKNOWN_TYPE; i++) {
        printf("%s\n", codec_problem_text(i));
    }
}

/* The canonical raw form of what XRANGE tells of one entry. */
static void put_fields(struct buffer *raw, const redisReply *fields)
{
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    CHECK(fields->elements / 2 <= ENTRY_FIELDS_MAX);
    for (size_t i = 0; i < fields->elements / 2; i++) {
        const redisReply *name = fields->element[2 * i];
        const redisReply *value = fields->element[2 * i + 1];
        names[i] = (struct span){name->str, name->len};
        values[i] = (struct span){value->str, value->len};
    }
    buffer_reset(raw);
    codec_put_raw(raw, names, values, (uint32_t)(fields->elements / 2));
}

static void print_entry(const redisReply *reply, struct buffer *raw)
{
    struct entry entry = {0};
    CHECK(stream_id_parse(span_of(reply->element[0]->str), &entry.id));
    put_fields(raw, reply->element[1]);
    entry.raw = buffer_span(raw);
    struct event event;
    struct span field;
    enum codec_problem problem = codec_decode(&entry, &event, &field);
    if (problem == CODEC_NONE) {
        printf("%s none\n", event_type_rule(event.type)->name);
    } else {
        printf("- %s %.*s\n", codec_problem_text(problem), SPAN_FORMAT(field));
    }
}

static int print_entries(const char *socket, const char *key)
{
    redisContext *context = redisConnectUnix(socket);
    CHECK(context != NULL);
    redisReply *reply =
        context->err ? NULL : redisCommand(context, "XRANGE %s - + COUNT " ENTRIES_MAX, key);
    if (reply == NULL || reply->type != REDIS_REPLY_ARRAY) {
        fprintf(stderr, "decode_stream: cannot read %s: %s\n", key,
                reply == NULL ? context->errstr : reply->str);
        return 3;
    }
    struct buffer raw = {0};
    for (size_t i = 0; i < reply->elements; i++) {
        print_entry(reply->element[i], &raw);
    }
    buffer_fini(&raw);
    freeReplyObject(reply);
    redisFree(context);
    return 0;
}

int main(int argc, char **argv)
{
    if (argc == 4 && strcmp(argv[1], "entries") == 0) {
        return print_entries(argv[2], argv[3]);
    }
    if (argc == 2 && strcmp(argv[1], "types") == 0) {
        print_types();
    } else if (argc == 2 && strcmp(argv[1], "fields") == 0) {
        print_fields();
    } else if (argc == 2 && strcmp(argv[1], "problems") == 0) {
        print_problems();
    } else {
        fprintf(stderr, "usage: decode_stream types | fields | problems | entries SOCKET KEY\n");
        return 2;
    }
    return 0;
}
