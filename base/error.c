/* SPDX-License-Identifier: MIT */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/check.h"

bool error_set(struct error *error, enum error_code code, const char *format, ...)
{
    CHECK(code != ERROR_NONE);
    error->code = code;
    va_list values;
    va_start(values, format);
    vsnprintf(error->message, sizeof(error->message), format, values);
    va_end(values);
    return false;
}

bool error_wrap(struct error *error, const char *format, ...)
{
    CHECK(error->code != ERROR_NONE);
    char prefix[sizeof(error->message)];
    va_list values;
    va_start(values, format);
    vsnprintf(prefix, sizeof(prefix), format, values);
    va_end(values);

    /* What does not fit is cut: the outermost words say what was attempted, so they stay. */
    char joined[2 * sizeof(error->message) + sizeof(": ")];
    snprintf(joined, sizeof(joined), "%s: %s", prefix, error->message);
    snprintf(error->message, sizeof(error->message), "%.*s", (int)sizeof(error->message) - 1,
             joined);
    return false;
}

const char *error_code_text(enum error_code code)
{
#define X(name, text) [ERROR_##name] = text,
    static const char *const texts[] = { ERROR_CODES(X) };
#undef X
    CHECK((size_t)code < sizeof(texts) / sizeof(texts[0]));
    return texts[code];
}
