/* SPDX-License-Identifier: MIT */
#include "base/check.h"
#include "replay/scenario_parts.h"

struct scenario_number {
    struct table_node node; /* key: "ms-seq" */
    uint64_t number;
};

void scenario_ids_init(struct scenario_writing *writing)
{
    table_init(&writing->numbers, sizeof(struct scenario_number));
}

void scenario_ids_fini(struct scenario_writing *writing)
{
    table_fini(&writing->numbers);
}

void scenario_ids_add(struct scenario_writing *writing, struct stream_id id)
{
    struct buffer key = {0};
    stream_id_put(&key, id);
    struct scenario_number *number = table_find(&writing->numbers, buffer_span(&key));
    if (number == NULL) { /* ids rise, but behind a fork */
        number = table_add(&writing->numbers, buffer_span(&key), writing->entry_count);
    }
    number->number = writing->entry_count;
    buffer_fini(&key);
}

static bool is_digit(char byte)
{
    return byte >= '0' && byte <= '9';
}

/* Behind the digits that stand at `at`; `at` itself where there are none. */
static size_t skip_digits(struct span text, size_t at)
{
    while (at < text.size && is_digit(text.data[at])) {
        at++;
    }
    return at;
}

/* The size of "digits, separator" at `at`; 0: it is not there. */
static size_t size_of_part(struct span text, size_t at, char separator)
{
    size_t end = skip_digits(text, at);
    return end > at && end < text.size && text.data[end] == separator ? end + 1 - at : 0;
}

/* Puts the number of the id at `at`, and returns its size; 0: none that is known stands there. */
static size_t put_known(const struct scenario_writing *writing, struct buffer *out,
                        struct span text, size_t at)
{
    size_t ms_size = size_of_part(text, at, '-');
    size_t end = skip_digits(text, at + ms_size);
    if (ms_size == 0 || end == at + ms_size) {
        return 0;
    }
    struct span key = {text.data + at, end - at};
    const struct scenario_number *number = table_find(&writing->numbers, key);
    if (number == NULL) {
        return 0;
    }
    buffer_put_decimal(out, number->number);
    buffer_put_text(out, "-0");
    return key.size;
}

/* "partition.timeline.ms-seq", as decisions and effects are named: a scenario has partition 0. */
static size_t put_known_decision(const struct scenario_writing *writing, struct buffer *out,
                                 struct span text, size_t at)
{
    size_t partition = size_of_part(text, at, '.');
    size_t timeline = partition == 0 ? 0 : size_of_part(text, at + partition, '.');
    if (timeline == 0) {
        return 0;
    }
    struct buffer id = {0};
    size_t size = put_known(writing, &id, text, at + partition + timeline);
    if (size > 0) {
        buffer_put_text(out, "0.");
        buffer_put(out, text.data + at + partition, timeline);
        buffer_put_span(out, buffer_span(&id));
        size += partition + timeline;
    }
    buffer_fini(&id);
    return size;
}

/* True where a number that stands there may be an id: not in the middle of a word. */
static bool is_beginning(struct span text, size_t at)
{
    char before = at == 0 ? ' ' : text.data[at - 1];
    return is_digit(text.data[at]) &&
           (before == ' ' || before == '"' || before == '=' || before == '\n');
}

void scenario_ids_put(const struct scenario_writing *writing, struct buffer *out, struct span text)
{
    size_t at = 0;
    while (at < text.size) {
        size_t size = 0;
        if (is_beginning(text, at)) {
            size = put_known_decision(writing, out, text, at);
            size = size > 0 ? size : put_known(writing, out, text, at);
        }
        if (size == 0) {
            buffer_put_byte(out, (uint8_t)text.data[at]);
            size = 1;
        }
        at += size;
    }
}
