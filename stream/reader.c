/* SPDX-License-Identifier: MIT */
#include "stream/reader.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <string.h>

#include "base/alloc.h"
#include "base/check.h"
#include "base/clock.h"
#include "stream/redis.h"

/* Where the parts of a reply to XREADGROUP or XREAD stand: streams, one stream, its name and its
 * entries, an entry, its id and its fields, a field's name or value. */
enum reply_depth {
    DEPTH_NAME = 2,
    DEPTH_ENTRIES = 2,
    DEPTH_ENTRY = 3,
    DEPTH_FIELDS = 4,
    DEPTH_ID = 4,
    DEPTH_FIELD = 5,
};

struct read_entry {
    struct stream_id id;
    size_t begin;           /* of its raw form in `raw` */
    uint64_t fields_wanted; /* names and values still to come */
};

struct stream_reader {
    struct stream_reader_config config;
    struct buffer group;     /* 0-terminated; empty: nobody's */
    struct stream_id behind; /* without a group: the last entry read */
    struct redis *redis;     /* owned; NULL without a connection */
    struct redis_visitor visitor;
    uint64_t deadline_ms; /* by when the reply must have come */
    uint32_t asked;       /* entries the read under way asked for */
    uint32_t count;       /* entries the next one asks for */
    /* The reply as far as it came: entries in their canonical form. */
    struct buffer raw;
    struct read_entry *entries; /* owned */
    uint32_t entry_count, entry_capacity;
    bool is_malformed;
};

static void visit_array(void *self, uint32_t depth, uint32_t index, uint64_t count)
{
    struct stream_reader *reader = self;
    (void)index;
    if (depth == DEPTH_ENTRY) {
        if (reader->entry_count == reader->entry_capacity) {
            reader->entry_capacity = reader->entry_capacity == 0 ? 64 : reader->entry_capacity * 2;
            reader->entries =
                mem_resize(reader->entries, reader->entry_capacity * sizeof(*reader->entries));
        }
        reader->entries[reader->entry_count++] = (struct read_entry){.begin = reader->raw.size};
        reader->is_malformed =
            reader->is_malformed || count != 2 || reader->entry_count > reader->asked;
    } else if (depth == DEPTH_FIELDS && reader->entry_count > 0) {
        reader->is_malformed = reader->is_malformed || index != 1 || count % 2 != 0;
        reader->entries[reader->entry_count - 1].fields_wanted = count;
        buffer_put_varint(&reader->raw, count / 2);
    } else {
        reader->is_malformed = reader->is_malformed || depth > DEPTH_ENTRIES;
    }
}

/* Bytes behind what is kept of an entry are not even copied. */
static void put_field(struct stream_reader *reader, const struct read_entry *entry,
                      struct span text)
{
    if (reader->raw.size - entry->begin < ENTRY_KEPT_MAX) {
        buffer_put_varint(&reader->raw, text.size);
        buffer_put_span(&reader->raw, entry_kept(text));
    }
}

static void visit_text(void *self, uint32_t depth, uint32_t index, struct span text)
{
    struct stream_reader *reader = self;
    struct read_entry *entry =
        reader->entry_count == 0 ? NULL : &reader->entries[reader->entry_count - 1];
    if (depth == DEPTH_FIELD && entry != NULL && entry->fields_wanted > 0) {
        entry->fields_wanted--;
        put_field(reader, entry, text);
    } else if (depth == DEPTH_ID && entry != NULL && index == 0) {
        reader->is_malformed = reader->is_malformed || !stream_id_parse(text, &entry->id);
    } else {
        reader->is_malformed = reader->is_malformed || depth != DEPTH_NAME;
    }
}

static void visit_nil(void *self, uint32_t depth, uint32_t index)
{
    /* A reply of nil: nothing came within block_ms. */
    struct stream_reader *reader = self;
    (void)index;
    reader->is_malformed = reader->is_malformed || depth != 0;
}

struct stream_reader *stream_reader_create(const struct stream_reader_config *config)
{
    CHECK(config->count_max > 0);
    struct stream_reader *reader = mem_zero(sizeof(*reader));
    reader->config = *config;
    reader->count = config->count_max;
    reader->visitor = (struct redis_visitor){
        .self = reader, .array = visit_array, .text = visit_text, .nil = visit_nil};
    return reader;
}

static void drop_connection(struct stream_reader *reader)
{
    redis_close(reader->redis);
    reader->redis = NULL;
    buffer_fini(&reader->raw);
}

void stream_reader_destroy(struct stream_reader *reader)
{
    if (reader == NULL) {
        return;
    }
    drop_connection(reader);
    buffer_fini(&reader->group);
    buffer_fini(&reader->raw);
    mem_free(reader->entries);
    mem_free(reader);
}

static bool send_read(struct stream_reader *reader, struct error *error)
{
    struct number_text count = number_text(reader->count);
    struct number_text block = number_text(reader->config.block_ms);
    struct buffer behind = {0};
    bool has_group = reader->group.size > 0;
    struct span arguments[12];
    uint32_t used = 0;
    if (has_group) {
        arguments[used++] = SPAN("XREADGROUP");
        arguments[used++] = SPAN("GROUP");
        arguments[used++] = span_of(reader->group.data);
        arguments[used++] = SPAN("leader");
    } else {
        arguments[used++] = SPAN("XREAD");
        stream_id_put(&behind, reader->behind);
    }
    arguments[used++] = SPAN("COUNT");
    arguments[used++] = span_of(count.text);
    arguments[used++] = SPAN("BLOCK");
    arguments[used++] = span_of(block.text);
    if (has_group) {
        arguments[used++] = SPAN("NOACK");
    }
    arguments[used++] = SPAN("STREAMS");
    arguments[used++] = span_of(reader->config.stream);
    arguments[used++] = has_group ? SPAN(">") : buffer_span(&behind);
    CHECK(used <= sizeof(arguments) / sizeof(arguments[0]));
    reader->asked = reader->count;
    reader->entry_count = 0;
    buffer_reset(&reader->raw);
    reader->is_malformed = false;
    reader->deadline_ms = clock_boot_ms() + reader->config.block_ms + READER_PATIENCE_MS;
    bool is_sent = redis_send(reader->redis, arguments, used, error);
    buffer_fini(&behind);
    return is_sent;
}

static bool connect_and_read(struct stream_reader *reader, struct error *error)
{
    drop_connection(reader);
    reader->redis = redis_open(reader->config.url, REDIS_COMMAND_MS, error);
    if (reader->redis == NULL) {
        return false;
    }
    redis_set_visitor(reader->redis, &reader->visitor);
    if (!send_read(reader, error)) {
        drop_connection(reader);
        return false;
    }
    return true;
}

bool stream_reader_start(struct stream_reader *reader, const char *group, struct error *error)
{
    buffer_reset(&reader->group);
    buffer_put(&reader->group, group, strlen(group) + 1);
    return connect_and_read(reader, error);
}

bool stream_reader_follow(struct stream_reader *reader, struct stream_id behind,
                          struct error *error)
{
    buffer_reset(&reader->group);
    reader->behind = behind;
    return connect_and_read(reader, error);
}

/* Large entries are read few at a time, small ones many. */
static void adapt_count(struct stream_reader *reader)
{
    size_t goal = reader->config.reply_goal;
    if (reader->raw.size > goal && reader->count > 1) {
        reader->count /= 2;
    } else if (reader->raw.size <= goal / 4 && reader->count < reader->config.count_max) {
        reader->count = reader->count > reader->config.count_max / 2 ? reader->config.count_max
                                                                     : reader->count * 2;
    }
}

static void fill_batch(struct stream_reader *reader, struct batch *batch)
{
    char *bytes = arena_take(&batch->arena, reader->raw.size);
    if (reader->raw.size > 0) {
        memcpy(bytes, reader->raw.data, reader->raw.size);
    }
    for (uint32_t i = 0; i < reader->entry_count; i++) {
        const struct read_entry *entry = &reader->entries[i];
        size_t end = i + 1 < reader->entry_count ? reader->entries[i + 1].begin : reader->raw.size;
        batch_add(batch, entry->id,
                  entry_kept((struct span){bytes + entry->begin, end - entry->begin}));
    }
    batch->is_caught_up = reader->entry_count < reader->asked;
}

/* The reply is whole: the batch is filled from it and the next read sent. */
static bool take_reply(struct stream_reader *reader, struct batch *batch, struct error *error)
{
    for (uint32_t i = 0; i < reader->entry_count; i++) {
        reader->is_malformed = reader->is_malformed || reader->entries[i].fields_wanted != 0;
    }
    if (reader->is_malformed) {
        return error_set(error, ERROR_UNREACHABLE, "the reply to a read makes no sense");
    }
    adapt_count(reader);
    fill_batch(reader, batch);
    if (reader->entry_count > 0) {
        reader->behind = reader->entries[reader->entry_count - 1].id;
    }
    struct error unsent;
    if (!send_read(reader, &unsent)) {
        /* What was read is good; the next wait finds no connection. */
        drop_connection(reader);
    }
    return true;
}

static enum stream_reader_next fail(struct stream_reader *reader)
{
    drop_connection(reader);
    return READER_FAILED;
}

/* How long poll() may wait for the nearer of the two. */
static int patience_ms(const struct stream_reader *reader, uint64_t until_ms, uint64_t now_ms)
{
    uint64_t end_ms = until_ms < reader->deadline_ms ? until_ms : reader->deadline_ms;
    uint64_t wait_ms = end_ms > now_ms ? end_ms - now_ms : 0;
    return wait_ms > INT_MAX ? INT_MAX : (int)wait_ms;
}

enum stream_reader_next stream_reader_wait(struct stream_reader *reader, int wake_fd,
                                           uint64_t until_ms, struct batch *batch,
                                           struct error *error)
{
    if (reader->redis == NULL) {
        error_set(error, ERROR_UNREACHABLE, "redis: not connected");
        return READER_FAILED;
    }
    for (;;) {
        uint64_t now_ms = clock_boot_ms();
        struct pollfd waits[] = {{.fd = redis_descriptor(reader->redis), .events = POLLIN},
                                 {.fd = wake_fd, .events = POLLIN}};
        int ready = poll(waits, 2, patience_ms(reader, until_ms, now_ms));
        CHECK(ready >= 0 || errno == EINTR);
        if (ready > 0 && waits[1].revents != 0) {
            return READER_WOKEN;
        }
        if (ready > 0 && waits[0].revents != 0) {
            bool is_whole = false;
            if (!redis_receive(reader->redis, &is_whole, error)) {
                return fail(reader);
            }
            if (is_whole) {
                return take_reply(reader, batch, error) ? READER_BATCH : fail(reader);
            }
            reader->deadline_ms = clock_boot_ms() + READER_PATIENCE_MS;
        }
        now_ms = clock_boot_ms();
        if (now_ms >= until_ms) {
            return READER_TIME;
        }
        if (now_ms >= reader->deadline_ms) {
            error_set(error, ERROR_UNREACHABLE, "redis: no reply in time");
            return fail(reader);
        }
    }
}
