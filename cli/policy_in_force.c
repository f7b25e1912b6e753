/* SPDX-License-Identifier: MIT */
#include "cli/policy_in_force.h"

#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "reducers/codec.h"
#include "store/audit_policy.h"
#include "stream/names.h"

#define LOOK_COUNT 500 /* entries a request */

/* What the local audit knows: everything up to `position`, where it belongs to this stream. */
struct audit_word {
    bool is_there;
    struct stream_id position, stream_id;
    struct buffer text;
};

/* An audit that is not there or can not be read is none: the stream tells. */
static void ask_audit(const struct config *config, struct audit_word *word)
{
    char path[PATH_MAX];
    struct error error = {0};
    int size = snprintf(path, sizeof(path), "%s/audit-0.db", config->data);
    if (size < 0 || (size_t)size >= sizeof(path) || access(path, R_OK) != 0) {
        return;
    }
    struct audit *audit = audit_open(path, AUDIT_READ, 0, &error);
    struct audit_position position = {0};
    word->is_there = audit != NULL && audit_load_position(audit, &position, &error) &&
                     audit_load_policy(audit, &word->stream_id, &word->text, &error);
    word->position = position.stream_id;
    audit_close(audit);
}

/* True when the text is a policy that the fold takes. */
static bool take(struct policy_in_force *out, struct span text, struct stream_id stream_id)
{
    struct policy policy;
    struct span bad;
    if (!policy_parse_text(text, &policy, &bad)) {
        return false;
    }
    out->is_known = true;
    out->text = policy_text_make(&policy);
    out->stream_id = stream_id;
    return true;
}

/* One entry of XREVRANGE's reply; true when it is a policy. */
static bool take_entry(struct policy_in_force *out, const struct redis_reply *reply,
                       struct stream_id stream_id)
{
    const struct redis_reply *fields = redis_reply_at(reply, 1);
    struct span names[ENTRY_FIELDS_MAX], values[ENTRY_FIELDS_MAX];
    uint32_t count = redis_reply_count(fields) / 2;
    if (count > ENTRY_FIELDS_MAX) {
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        names[i] = redis_reply_text(redis_reply_at(fields, 2 * i));
        values[i] = redis_reply_text(redis_reply_at(fields, 2 * i + 1));
    }
    struct buffer raw = {0};
    struct event event;
    struct span field;
    codec_put_raw(&raw, names, values, count);
    struct entry entry = {.id = stream_id, .raw = buffer_span(&raw)};
    bool is_policy = codec_decode(&entry, &event, &field) == CODEC_NONE &&
                     event.type == EVENT_POLICY &&
                     take(out, event_text(&event, FIELD_TEXT), stream_id);
    buffer_fini(&raw);
    return is_policy;
}

/* A walk back through the stream. */
struct look {
    struct policy_in_force *out;
    const struct audit_word *word;
    struct stream_id last; /* looked at */
    uint32_t count;
    bool is_over;
};

static void look_at(struct look *look, const struct redis_reply *reply)
{
    struct policy_in_force *out = look->out;
    const struct audit_word *word = look->word;
    if (!stream_id_parse(redis_reply_text(redis_reply_at(reply, 0)), &look->last)) {
        snprintf(out->why_not, sizeof(out->why_not), "XREVRANGE gave no stream id");
        look->is_over = true;
    } else if (take_entry(out, reply, look->last)) {
        look->is_over = true;
    } else if (word->is_there && stream_id_compare(look->last, word->position) == 0) {
        look->is_over = take(out, buffer_span(&word->text), word->stream_id);
    }
    look->count++;
}

/* One request. */
static bool look_back(struct look *look, struct redis *redis, const char *stream,
                      struct error *error)
{
    char count[16];
    struct buffer from = {0};
    snprintf(count, sizeof(count), "%d", LOOK_COUNT);
    if (look->count > 0) {
        buffer_put_byte(&from, '(');
        stream_id_put(&from, look->last);
    } else {
        buffer_put_byte(&from, '+');
    }
    buffer_put_byte(&from, '\0');
    const struct redis_reply *reply =
        redis_ask(redis, error, "XREVRANGE", stream, from.data, "-", "COUNT", count, NULL);
    buffer_fini(&from);
    uint32_t got = redis_reply_count(reply);
    for (uint32_t i = 0; i < got && !look->is_over; i++) {
        look_at(look, redis_reply_at(reply, i));
    }
    if (reply != NULL && got < LOOK_COUNT && !look->is_over) {
        snprintf(look->out->why_not, sizeof(look->out->why_not), "the stream holds no policy");
        look->is_over = true;
    }
    return reply != NULL;
}

bool policy_in_force_read(const struct config *config, struct redis *redis,
                          struct policy_in_force *out, struct error *error)
{
    struct key_name stream = names_stream(config->prefix, 0);
    struct audit_word word = {0};
    struct look look = {.out = out, .word = &word};
    bool is_read = true;
    ask_audit(config, &word);
    while (is_read && !look.is_over && look.count < POLICY_LOOK_MAX) {
        is_read = look_back(&look, redis, stream.text, error);
    }
    if (!look.is_over) {
        snprintf(out->why_not, sizeof(out->why_not),
                 "none among the last %d entries of the stream, and no audit of it in %.80s",
                 POLICY_LOOK_MAX, config->data);
    }
    buffer_fini(&word.text);
    return is_read;
}

void policy_in_force_fini(struct policy_in_force *in_force)
{
    policy_text_fini(&in_force->text);
}
