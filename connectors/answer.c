/* SPDX-License-Identifier: MIT
 * What is told of a question or a cancel. */
#include "connectors/answer.h"

#include <string.h>

#include "base/check.h"

void answer_fini(struct answer *answer)
{
    buffer_fini(&answer->result);
}

void answer_set_word(struct answer *answer, struct span word)
{
    size_t size = word.size < ANSWER_WORD_MAX ? word.size : ANSWER_WORD_MAX;
    for (size_t i = 0; i < size; i++) {
        bool is_printable = word.data[i] >= ' ' && word.data[i] <= '~';
        answer->word_text[i] = is_printable ? word.data[i] : '?';
    }
    answer->report.word = (struct span){answer->word_text, size};
}

void answer_set_flags(struct answer *answer, unsigned flags)
{
    struct buffer text = {0};
    answer_flags_put(&text, flags);
    CHECK(text.size <= sizeof(answer->flags_text));
    if (text.size > 0) {
        memcpy(answer->flags_text, text.data, text.size);
    }
    answer->flags = flags;
    answer->report.flags = (struct span){answer->flags_text, text.size};
    buffer_fini(&text);
}

void answer_set_sha256(struct answer *answer, const struct sha256_text *digest)
{
    answer->report.body_sha256 = SPAN_NONE;
    if (digest != NULL) {
        answer->sha256_text = *digest;
        answer->report.body_sha256 = span_of(answer->sha256_text.text);
    }
}

static void put_reference(struct buffer *out, struct span url, struct span pointer, bool with_place,
                          struct span value)
{
    struct sha256 digest = sha256_of(value);
    struct sha256_text hexadecimal = sha256_text(&digest);
    buffer_reset(out);
    buffer_put_byte(out, '{');
    if (with_place && url.size > 0) {
        json_put_text(out, "url", url);
    }
    if (with_place) {
        json_put_text(out, "pointer", pointer);
    }
    json_put_number(out, "bytes", value.size);
    json_put_text(out, "sha256", span_of(hexadecimal.text));
    buffer_put_byte(out, '}');
}

void answer_set_result(struct answer *answer, const struct json *value, struct span url,
                       struct span pointer)
{
    struct buffer text = {0};
    if (json_kind(value) == JSON_KIND_TEXT) {
        buffer_put_span(&text, json_text(value));
    } else {
        json_write(value, &text);
    }
    buffer_reset(&answer->result);
    if (text.size <= ANSWER_RESULT_MAX) {
        buffer_put_span(&answer->result, buffer_span(&text));
    } else {
        put_reference(&answer->result, url, pointer, true, buffer_span(&text));
        if (answer->result.size > ANSWER_RESULT_MAX) { /* even the place is too long to be told */
            put_reference(&answer->result, url, pointer, false, buffer_span(&text));
        }
    }
    answer->report.result = buffer_span(&answer->result);
    buffer_fini(&text);
}

void answer_set_result_url(struct answer *answer, struct span url)
{
    buffer_reset(&answer->result);
    buffer_put_byte(&answer->result, '{');
    json_put_text(&answer->result, "url", url);
    buffer_put_byte(&answer->result, '}');
    if (answer->result.size > ANSWER_RESULT_MAX) {
        buffer_reset(&answer->result);
    }
    answer->report.result = buffer_span(&answer->result);
}

void answer_copy(struct answer *to, const struct answer *from)
{
    to->report.http = from->report.http;
    to->report.verdict = from->report.verdict;
    answer_set_word(to, from->report.word);
    answer_set_flags(to, from->flags);
    answer_set_sha256(to, from->report.body_sha256.size > 0 ? &from->sha256_text : NULL);
    buffer_reset(&to->result);
    buffer_put_span(&to->result, buffer_span(&from->result));
    to->report.result = buffer_span(&to->result);
}

bool verdict_is_decisive(enum answer_verdict verdict)
{
    return verdict == ANSWER_PENDING || verdict == ANSWER_RUNNING || verdict_is_final(verdict);
}

bool verdict_is_final(enum answer_verdict verdict)
{
    return verdict == ANSWER_COMPLETED || verdict == ANSWER_FAILED || verdict == ANSWER_CANCELLED;
}
