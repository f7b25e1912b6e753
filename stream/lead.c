/* SPDX-License-Identifier: MIT */
#include "stream/lead.h"

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/log.h"
#include "stream/names.h"
#include "stream/redis.h"

#include "append_lua.h"
#include "lease_lua.h"
#include "take_over_lua.h"

#define NUMBER_SIZE 24
#define APPEND_HEAD 6 /* control hash, stream, owner, epoch, k, lease */
#define APPEND_MAX  ((uint32_t)(APPEND_HEAD + 2 * ENTRY_FIELDS_MAX))

static const struct redis_script take_over_script = {take_over_lua, take_over_lua_size};
static const struct redis_script append_script = {append_lua, append_lua_size};
static const struct redis_script lease_script = {lease_lua, lease_lua_size};

struct lead {
    struct lead_config config;
    struct redis *redis; /* owned; NULL without a connection */
    struct key_name stream, control, meta;
    char group[KEY_NAME_SIZE];
    uint64_t epoch, connection;
    struct stream_id epoch_id;
    char epoch_text[NUMBER_SIZE];
    /* The append under way: its arguments, sized, as they are sent each time. */
    struct buffer append;
    uint32_t append_count;
    uint64_t k; /* of the append under way, or of the last one */
    bool is_append_kept;
};

struct lead *lead_create(const struct lead_config *config)
{
    struct lead *lead = mem_zero(sizeof(*lead));
    lead->config = *config;
    lead->stream = names_stream(config->prefix, config->partition);
    lead->control = names_control(config->prefix, config->partition);
    lead->meta = names_meta(config->prefix);
    return lead;
}

void lead_destroy(struct lead *lead)
{
    if (lead == NULL) {
        return;
    }
    redis_close(lead->redis);
    buffer_fini(&lead->append);
    mem_free(lead);
}

const char *lead_stream(const struct lead *lead)
{
    return lead->stream.text;
}

const char *lead_control(const struct lead *lead)
{
    return lead->control.text;
}

const char *lead_group(const struct lead *lead)
{
    return lead->group;
}

uint64_t lead_epoch(const struct lead *lead)
{
    return lead->epoch;
}

struct stream_id lead_epoch_id(const struct lead *lead)
{
    return lead->epoch_id;
}

static bool connect_lead(struct lead *lead, struct error *error)
{
    if (lead->redis != NULL && redis_is_broken(lead->redis)) {
        redis_close(lead->redis);
        lead->redis = NULL;
    }
    if (lead->redis == NULL) {
        lead->redis = redis_open(lead->config.url, REDIS_COMMAND_MS, error);
    }
    return lead->redis != NULL;
}

struct id_text {
    char text[STREAM_ID_TEXT_MAX + 1];
};

static struct id_text text_of_id(struct stream_id id)
{
    struct id_text text;
    snprintf(text.text, sizeof(text.text), "%llu-%llu", (unsigned long long)id.ms,
             (unsigned long long)id.seq);
    return text;
}

static uint64_t number_at(const struct redis_reply *reply, uint32_t index)
{
    uint64_t number = 0;
    span_to_number(redis_reply_text(redis_reply_at(reply, index)), UINT64_MAX, &number);
    return number;
}

/* The canonical raw form of a reply's fields. */
static void put_raw(struct buffer *raw, const struct redis_reply *fields)
{
    uint32_t count = redis_reply_count(fields);
    buffer_put_varint(raw, count / 2);
    for (uint32_t i = 0; i < count; i++) {
        buffer_put_sized(raw, redis_reply_text(redis_reply_at(fields, i)));
    }
}

/* The entry at the folded position, as the arguments that the script holds it against once more. */
struct anchor_fields {
    struct buffer bytes; /* sized texts */
    uint32_t count;
};

static bool read_anchor(struct lead *lead, const struct lead_standing *standing,
                        struct anchor_fields *out, struct error *error)
{
    if (stream_id_is_zero(standing->position)) {
        return true;
    }
    struct id_text id = text_of_id(standing->position);
    const struct redis_reply *reply =
        redis_ask(lead->redis, error, "XRANGE", lead->stream.text, id.text, id.text, NULL);
    if (reply == NULL) {
        return false;
    }
    if (redis_reply_count(reply) == 0) {
        return true; /* whether it may be gone is for the script to say */
    }
    const struct redis_reply *fields = redis_reply_at(redis_reply_at(reply, 0), 1);
    struct buffer raw = {0};
    put_raw(&raw, fields);
    out->count = redis_reply_count(fields);
    for (uint32_t i = 0; i < out->count; i++) {
        buffer_put_sized(&out->bytes, redis_reply_text(redis_reply_at(fields, i)));
    }
    struct sha256 found = sha256_of(entry_kept(buffer_span(&raw)));
    buffer_fini(&raw);
    return sha256_equal(&found, standing->anchor) ||
           error_set(error, ERROR_HISTORY,
                     "the entry at the folded position %s holds other bytes than were folded",
                     id.text);
}

bool lead_read_again(struct lead *lead, const struct lead_standing *standing, uint32_t count,
                     struct batch *batch, struct error *error)
{
    struct anchor_fields anchor = {0};
    bool is_anchored = connect_lead(lead, error) && read_anchor(lead, standing, &anchor, error);
    buffer_fini(&anchor.bytes);
    if (!is_anchored) {
        return false;
    }
    struct number_text limit = number_text(count);
    char from[STREAM_ID_TEXT_MAX + 2];
    snprintf(from, sizeof(from), "(%s", text_of_id(standing->position).text);
    const struct redis_reply *reply = redis_ask(lead->redis, error, "XRANGE", lead->stream.text,
                                                from, "+", "COUNT", limit.text, NULL);
    if (reply == NULL) {
        return false;
    }
    for (uint32_t i = 0; i < redis_reply_count(reply); i++) {
        const struct redis_reply *entry = redis_reply_at(reply, i);
        struct stream_id id;
        struct buffer raw = {0};
        put_raw(&raw, redis_reply_at(entry, 1));
        CHECK(stream_id_parse(redis_reply_text(redis_reply_at(entry, 0)), &id));
        batch_add(batch, id, arena_copy(&batch->arena, entry_kept(buffer_span(&raw))));
        buffer_fini(&raw);
    }
    return batch->count > 0 ||
           error_set(error, ERROR_HISTORY,
                     "entries behind %s that were folded before are not in the stream any more",
                     from + 1);
}

/* Runs the take-over script; `head` are the arguments before the anchor's fields. */
static const struct redis_reply *run_take_over(struct lead *lead, const struct span *head,
                                               uint32_t head_count,
                                               const struct lead_standing *standing,
                                               struct error *error)
{
    const struct redis_reply *reply = NULL;
    struct anchor_fields anchor = {0};
    struct span *arguments = NULL;
    if (!read_anchor(lead, standing, &anchor, error)) {
        goto free_anchor;
    }
    arguments = mem_zero((head_count + anchor.count) * sizeof(*arguments));
    memcpy(arguments, head, head_count * sizeof(*head));
    struct reader fields = {.rest = buffer_span(&anchor.bytes)};
    for (uint32_t i = 0; i < anchor.count; i++) {
        arguments[head_count + i] = reader_sized(&fields);
    }
    reply =
        redis_run(lead->redis, &take_over_script, 3, arguments, head_count + anchor.count, error);
    mem_free(arguments);
free_anchor:
    buffer_fini(&anchor.bytes);
    return reply;
}

static void name_group(struct lead *lead)
{
    snprintf(lead->group, sizeof(lead->group), "%s.%llu.%llu", lead->config.prefix,
             (unsigned long long)lead->epoch, (unsigned long long)lead->connection);
}

static void keep_term(struct lead *lead, const struct redis_reply *reply)
{
    lead->epoch = number_at(reply, 0);
    lead->connection = 1;
    lead->k = 0;
    lead->is_append_kept = false;
    CHECK(lead->epoch > 0);
    CHECK(stream_id_parse(redis_reply_text(redis_reply_at(reply, 4)), &lead->epoch_id));
    snprintf(lead->epoch_text, sizeof(lead->epoch_text), "%llu", (unsigned long long)lead->epoch);
    name_group(lead);
    struct span whole_gap = redis_reply_text(redis_reply_at(reply, 3));
    char whole_gap_text[NUMBER_SIZE];
    snprintf(whole_gap_text, sizeof(whole_gap_text), "%.*s", SPAN_FORMAT(whole_gap));
    if (!span_is(whole_gap, number_text(number_at(reply, 2)).text)) {
        log_fact(LOG_WARNING, "gap_cut", "partition", log_number(lead->config.partition),
                 "measured_ms", whole_gap_text, "taken_ms", log_number(number_at(reply, 2)), NULL);
    }
}

bool lead_take_over(struct lead *lead, const struct lead_standing *standing, struct error *error)
{
    if (!connect_lead(lead, error)) {
        return false;
    }
    const struct redis_reply *reply =
        redis_ask(lead->redis, error, "HGET", lead->control.text, "epoch", NULL);
    if (reply == NULL) {
        return error_wrap(error, "%s", lead->control.text);
    }
    char stored_epoch[NUMBER_SIZE];
    snprintf(stored_epoch, sizeof(stored_epoch), "%.*s", SPAN_FORMAT(redis_reply_text(reply)));
    struct id_text position = text_of_id(standing->position);
    struct number_text ordinal = number_text(standing->ordinal);
    struct number_text gap_max = number_text(LEAD_GAP_MAX_MS);
    struct number_text lease = number_text(lead->config.lease_ms);
    struct number_text epoch = number_text(standing->epoch);
    struct number_text timeline = number_text(standing->timeline);
    struct number_text reducers = number_text(lead->config.reducers);
    struct number_text partitions = number_text(lead->config.partitions);
    const struct span head[] = {span_of(lead->control.text), span_of(lead->stream.text),
                                span_of(lead->meta.text),    SPAN("claim"),
                                span_of(lead->config.owner), span_of(lead->config.prefix),
                                span_of(position.text),      span_of(ordinal.text),
                                span_of(gap_max.text),       span_of(lease.text),
                                span_of(stored_epoch),       span_of(epoch.text),
                                span_of(timeline.text),      span_of(reducers.text),
                                span_of(partitions.text)};
    reply = run_take_over(lead, head, sizeof(head) / sizeof(head[0]), standing, error);
    if (reply == NULL) {
        return error_wrap(error, "taking over partition %u", lead->config.partition);
    }
    keep_term(lead, reply);
    return true;
}

bool lead_replace_group(struct lead *lead, const struct lead_standing *standing,
                        struct error *error)
{
    CHECK(lead->epoch > 0);
    if (!connect_lead(lead, error)) {
        return false;
    }
    struct id_text position = text_of_id(standing->position);
    struct number_text ordinal = number_text(standing->ordinal);
    /* Also after an attempt whose outcome is unknown: its group is not this one. */
    lead->connection++;
    name_group(lead);
    struct number_text connection = number_text(lead->connection);
    const struct span head[] = {span_of(lead->control.text),
                                span_of(lead->stream.text),
                                span_of(lead->meta.text),
                                SPAN("mend"),
                                span_of(lead->config.owner),
                                span_of(lead->config.prefix),
                                span_of(position.text),
                                span_of(ordinal.text),
                                SPAN(""),
                                SPAN(""),
                                span_of(lead->epoch_text),
                                span_of(connection.text)};
    return run_take_over(lead, head, sizeof(head) / sizeof(head[0]), standing, error) != NULL ||
           error_wrap(error, "partition %u", lead->config.partition);
}

static bool send_append(struct lead *lead, struct lead_witness *witness, struct error *error)
{
    struct span arguments[APPEND_MAX];
    struct reader rest = {.rest = buffer_span(&lead->append)};
    for (uint32_t i = 0; i < lead->append_count; i++) {
        arguments[i] = reader_sized(&rest);
    }
    CHECK(!rest.is_bad && rest.rest.size == 0);
    const struct redis_reply *reply =
        redis_run(lead->redis, &append_script, 2, arguments, lead->append_count, error);
    if (reply == NULL) {
        return false;
    }
    *witness = (struct lead_witness){.added = number_at(reply, 1)};
    stream_id_parse(redis_reply_text(redis_reply_at(reply, 0)), &witness->id);
    CHECK(stream_id_parse(redis_reply_text(redis_reply_at(reply, 2)), &witness->last));
    return true;
}

enum lead_result lead_settle(struct lead *lead, struct lead_witness *witness, struct error *error)
{
    *witness = (struct lead_witness){0};
    if (!connect_lead(lead, error)) {
        return LEAD_NOT_NOW;
    }
    if (!lead->is_append_kept || send_append(lead, witness, error)) {
        lead->is_append_kept = false;
        return LEAD_APPENDED;
    }
    return redis_is_for_now(error) ? LEAD_NOT_NOW : LEAD_FAILED;
}

static void put_pair(struct lead *lead, struct span name, struct span value)
{
    CHECK(lead->append_count + 2 <= APPEND_MAX);
    buffer_put_sized(&lead->append, name);
    buffer_put_sized(&lead->append, value);
    lead->append_count += 2;
}

static enum lead_result append_entry(struct lead *lead, const char *lease, const struct span *names,
                                     const struct span *values, uint32_t count,
                                     struct lead_witness *witness, struct error *error)
{
    CHECK(lead->epoch > 0);
    enum lead_result before = lead_settle(lead, witness, error);
    if (before != LEAD_APPENDED) {
        return before;
    }
    struct number_text k = number_text(lead->k + 1);
    buffer_reset(&lead->append);
    lead->append_count = 0;
    put_pair(lead, span_of(lead->control.text), span_of(lead->stream.text));
    put_pair(lead, span_of(lead->config.owner), span_of(lead->epoch_text));
    put_pair(lead, span_of(k.text), span_of(lease));
    for (uint32_t i = 0; i < count; i++) {
        put_pair(lead, names[i], values[i]);
    }
    put_pair(lead, SPAN("owner"), span_of(lead->config.owner));
    put_pair(lead, SPAN("epoch"), span_of(lead->epoch_text));
    if (send_append(lead, witness, error)) {
        lead->k++;
        return LEAD_APPENDED;
    }
    if (error->code == ERROR_UNREACHABLE) {
        lead->k++;
        lead->is_append_kept = true;
        return LEAD_KEPT;
    }
    return redis_is_for_now(error) ? LEAD_NOT_NOW : LEAD_FAILED;
}

enum lead_result lead_append(struct lead *lead, const struct span *names, const struct span *values,
                             uint32_t count, struct lead_witness *witness, struct error *error)
{
    return append_entry(lead, "", names, values, count, witness, error);
}

enum lead_result lead_tick(struct lead *lead, uint64_t elapsed_ms, uint64_t gap_ms,
                           struct lead_witness *witness, struct error *error)
{
    struct number_text lease = number_text(lead->config.lease_ms);
    struct number_text elapsed = number_text(elapsed_ms);
    struct number_text gap = number_text(gap_ms);
    const struct span names[] = {SPAN("type"), SPAN("elapsed_ms"), SPAN("gap_ms")};
    const struct span values[] = {SPAN("tick"), span_of(elapsed.text), span_of(gap.text)};
    return append_entry(lead, lease.text, names, values, 3, witness, error);
}

static bool set_lease(struct lead *lead, uint64_t lease_ms, struct error *error)
{
    CHECK(lead->epoch > 0);
    struct number_text lease = number_text(lease_ms);
    const struct span arguments[] = {span_of(lead->control.text), span_of(lead->config.owner),
                                     span_of(lead->epoch_text), span_of(lease.text)};
    return connect_lead(lead, error) &&
           redis_run(lead->redis, &lease_script, 1, arguments, 4, error) != NULL;
}

bool lead_renew(struct lead *lead, struct error *error)
{
    return set_lease(lead, lead->config.lease_ms, error);
}

bool lead_give_back(struct lead *lead, struct error *error)
{
    return set_lease(lead, 0, error);
}
