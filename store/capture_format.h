/* SPDX-License-Identifier: MIT
 * What the writer and the reader of captures share: the format's parts as bytes. The format is
 * described in capture_format.c. */
#ifndef SALVOR_STORE_CAPTURE_FORMAT_H
#define SALVOR_STORE_CAPTURE_FORMAT_H

#include "store/capture.h"

#define CAPTURE_VERSION        1
#define CAPTURE_PRELUDE_SIZE   16
#define CAPTURE_HEAD_SIZE      64
#define CAPTURE_HEADER_RAW_MAX ((uint32_t)1 << 30) /* frame 0: policy and snapshot */
#define CAPTURE_FRAME_RAW_MAX  ((uint32_t)64 << 20)
#define CAPTURE_FRAME_SPLIT    ((uint32_t)4 << 20) /* the writer begins a new frame here */

/* What a frame's head says of its body. */
struct capture_frame {
    uint32_t body_size; /* as stored */
    uint32_t raw_size;  /* decompressed */
    uint32_t count;     /* entries */
    uint64_t ordinal;   /* entries of the partition before its first one */
    uint64_t first_ms;  /* of its first entry's id; frame 0: of the header's position */
    uint64_t last_ms;   /* of its last entry's id; frame 0: the same as first_ms */
};

void capture_put_prelude(struct buffer *buffer);
/* `bytes`: the file's first CAPTURE_PRELUDE_SIZE bytes. */
bool capture_check_prelude(const char *bytes, const char *name, struct error *error);

/* Writes CAPTURE_HEAD_SIZE bytes to `head`; `body` is frame->body_size bytes. */
void capture_put_head(char *head, const struct capture_frame *frame, const char *body);
/* False: these bytes are no head that was ever written. */
bool capture_read_head(const char *head, struct capture_frame *out);
bool capture_body_is_whole(const char *head, struct span body);

/* The raw content of frame 0. */
void capture_put_header(struct buffer *buffer, const struct capture_header *header);
/* The header's texts borrow from `raw`. */
bool capture_read_header(struct span raw, struct capture_header *out);

/* Where the last whole frame ends. */
uint64_t capture_reader_offset(const struct capture_reader *reader);

/* The frame whose entries are being read. */
struct capture_stand {
    const char *path; /* of its file; borrowed from the reader */
    uint64_t number;  /* the header is 0 */
    uint64_t offset;  /* where it begins */
    struct capture_frame frame;
};
/* After a capture_next that gave an entry; behind the last one, the path alone is of use. */
struct capture_stand capture_reader_stand(const struct capture_reader *reader);

#endif
