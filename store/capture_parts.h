/* SPDX-License-Identifier: MIT
 * What capture_read.c and capture_seek.c share: the reader, and its steps from frame to frame. */
#ifndef SALVOR_STORE_CAPTURE_PARTS_H
#define SALVOR_STORE_CAPTURE_PARTS_H

#include "store/capture_files.h"
#include "store/capture_format.h"

struct capture_reader {
    struct capture_files files;   /* owned; at least one */
    size_t file_index;            /* of the open one */
    int fd;                       /* of that file; -1: none */
    bool is_gone;                 /* it could not be opened because there is no such file */
    uint64_t offset;              /* where its next frame begins */
    uint64_t frame_number;        /* of that frame; the header is 0 */
    uint64_t ordinal;             /* entries of the partition before the next one */
    struct capture_header header; /* its texts borrow from header_raw */
    struct buffer header_raw;
    char head[CAPTURE_HEAD_SIZE]; /* of the frame that was looked at last */
    struct capture_frame frame;   /* what it says */
    struct ZSTD_DCtx_s *context;  /* owned; NULL while only heads are looked at */
    struct buffer body;           /* of the frame being loaded */
    struct buffer raw;            /* its content */
    struct reader entries;        /* walks `raw` */
    uint32_t entries_left;
    uint64_t previous_ms;    /* of the entry before, within the frame */
    struct stream_id passed; /* all that follows has a higher id */
    bool has_position;       /* it is the id of the entry before `ordinal`: that was read */
    uint64_t timeline;       /* of the file's header */
    struct error failure;    /* once reading failed, every later call fails alike */
};

/* Lists the files of `path` and opens none: enough to look at heads. NULL on error. */
struct capture_reader *capture_reader_make(const char *path, struct error *error);
/* Opens the file and checks its prelude: the reader stands before its frame 0. */
bool capture_reader_enter(struct capture_reader *reader, size_t index, struct error *error);
/* The same, and reads its header, which becomes the reader's. */
bool capture_reader_start(struct capture_reader *reader, size_t index, struct error *error);
/* Goes from the end of one file to the first entry of the next. */
enum capture_next capture_reader_enter_next(struct capture_reader *reader, struct error *error);
/* Reads and checks the head of the frame at the reader's place, into `head` and `frame`. ENTRY: all
 * of the frame is there, its body not looked at. */
enum capture_next capture_reader_look(struct capture_reader *reader, struct error *error);
/* Enters the file and looks at its frame 0, the header. */
bool capture_reader_look_at(struct capture_reader *reader, size_t index, struct error *error);
/* Moves behind the frame looked at; `ordinal` is the caller's to move. */
void capture_reader_pass(struct capture_reader *reader);
bool capture_reader_is_last(const struct capture_reader *reader);

#endif
