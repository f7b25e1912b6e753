/* SPDX-License-Identifier: MIT
 * The first line is a pointer, the rest a text: whatever is accepted can be written, and what was
 * written is accepted again and written the same. */
#include <stdint.h>

#include "base/check.h"
#include "base/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span text = {(const char *)data, size};
    struct span pointer = span_cut(&text, '\n');
    struct error error = {0};
    struct json *document = json_parse(text, &error);
    if (document == NULL) {
        CHECK(error.code == ERROR_CORRUPT);
        return 0;
    }
    struct buffer once = {0}, twice = {0};
    json_count(json_find(document, pointer));
    json_write(document, &once);
    struct json *again = json_parse(buffer_span(&once), &error);
    CHECK(again != NULL);
    json_write(again, &twice);
    CHECK(span_equal(buffer_span(&once), buffer_span(&twice)));
    buffer_fini(&twice);
    buffer_fini(&once);
    json_destroy(again);
    json_destroy(document);
    return 0;
}
