/* SPDX-License-Identifier: MIT */
#include "connectors/secret.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SOURCE_SIZE_MAX 1024

static bool is_name(struct span text)
{
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
        if (!is_letter && (i == 0 || c < '0' || c > '9')) {
            return false;
        }
    }
    return text.size > 0;
}

static bool is_path(struct span text)
{
    return text.size > 1 && text.data[0] == '/' && memchr(text.data, 0, text.size) == NULL;
}

bool secret_is_source(struct span source)
{
    struct span rest = source;
    struct span kind = span_cut(&rest, ':');
    return source.size <= SOURCE_SIZE_MAX &&
           ((span_is(kind, "env") && is_name(rest)) || (span_is(kind, "file") && is_path(rest)));
}

/* Up to one byte more than a secret may have. A file that is none, such as a pipe, could hold up
 * the thread that reads it. */
static bool read_file(const char *path, struct buffer *out)
{
    struct stat facts;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    bool is_read = fd >= 0 && fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode);
    size_t start = out->size;
    while (is_read && out->size - start <= SECRET_SIZE_MAX) {
        size_t room = SECRET_SIZE_MAX + 1 - (out->size - start);
        ssize_t size = read(fd, buffer_reserve(out, room), room);
        if (size <= 0) {
            is_read = size == 0;
            break;
        }
        out->size += (size_t)size;
    }
    if (fd >= 0) {
        close(fd);
    }
    return is_read;
}

bool secret_read(struct span source, struct buffer *out, const char **word)
{
    char name[SOURCE_SIZE_MAX + 1];
    size_t start = out->size;
    *word = "bad_token";
    if (!secret_is_source(source)) {
        return false;
    }
    struct span rest = source;
    struct span kind = span_cut(&rest, ':');
    memcpy(name, rest.data, rest.size);
    name[rest.size] = 0;
    bool is_found;
    if (span_is(kind, "env")) {
        const char *value = getenv(name);
        is_found = value != NULL;
        buffer_put_text(out, is_found ? value : "");
    } else {
        is_found = read_file(name, out);
    }
    if (out->size > start && out->data[out->size - 1] == '\n') {
        out->size--;
        out->size -= out->size > start && out->data[out->size - 1] == '\r';
    }
    struct span value = {out->data == NULL ? "" : out->data + start, out->size - start};
    if (!is_found || value.size == 0) {
        *word = "no_token";
        return false;
    }
    if (value.size > SECRET_SIZE_MAX || !span_is_line(value)) {
        return false;
    }
    *word = NULL;
    return true;
}
