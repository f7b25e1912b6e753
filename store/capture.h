/* SPDX-License-Identifier: MIT
 * Capture files: the raw entries that were folded, in order. The process's own write-ahead log, the
 * source for a restart, and what `salvor replay` reads. The format is the first comment of
 * capture_format.c. */
#ifndef SALVOR_STORE_CAPTURE_H
#define SALVOR_STORE_CAPTURE_H

#include "base/arena.h"
#include "base/error.h"
#include "reducers/event.h"

/* The largest entry that a capture takes: the source of entries bounds them before. */
#define CAPTURE_ENTRY_MAX ((size_t)60 << 20)
/* The largest snapshot that a header takes. */
#define CAPTURE_SNAPSHOT_MAX ((size_t)512 << 20)

/* What makes a file self-contained. Texts are borrowed from the caller (writing) or from the reader
 * (reading, until it is closed). */
struct capture_header {
    uint32_t partition;
    uint64_t timeline;
    uint64_t ordinal;          /* entries before the first of this file */
    struct stream_id position; /* id of the entry before it; zero for none */
    uint64_t reducers;         /* version that wrote it */
    struct span policy;        /* the policy's text in force there; may be empty */
    struct span snapshot;      /* state_encode's bytes at `ordinal`; empty only at ordinal 0 */
    struct span audit_head;    /* head of the audit chain there, hexadecimal; may be empty */
};

/* --- writing --- */
struct capture_writer;

/* Makes DIR/<ordinal, 16 digits>.capture, and DIR where absent, with this header; both are synced.
 * An existing file of that name is replaced only when it is a capture without an entry, else
 * ERROR_REFUSED. The caller owns the result; NULL on error. */
struct capture_writer *capture_create(const char *directory, const struct capture_header *header,
                                      struct error *error);
/* Opens the newest file of DIR for appending: cuts a torn tail, after checking every frame,
 * and removes what a crash left of files that were being made. NULL
 * with error.code NONE when there is no file. `*ordinal`, `*position`: behind its last entry. What
 * earlier files hold is not looked at: reading them is. */
struct capture_writer *capture_resume(const char *directory, uint64_t *ordinal,
                                      struct stream_id *position, struct error *error);
/* Buffers one entry. */
void capture_append(struct capture_writer *writer, const struct entry *entry);
/* Writes everything appended, as one frame of at most 4 MiB or several (order contract, 5); nothing
 * when nothing was appended. Survives the process, not the machine, until capture_sync. On failure
 * (ERROR_DISK_FULL, ERROR_IO) the file is cut back to its last whole frame and the entries are
 * kept: the next flush writes them too. */
__attribute__((warn_unused_result)) bool capture_flush(struct capture_writer *writer,
                                                       struct error *error);
__attribute__((warn_unused_result)) bool capture_sync(struct capture_writer *writer,
                                                      struct error *error);
/* Bytes of the file behind its header, as far as they are flushed. */
uint64_t capture_writer_size(const struct capture_writer *writer);
/* Drops what was not flushed; closes without syncing. Accepts NULL. */
void capture_close(struct capture_writer *writer);

/* --- keeping --- */
/* What of a directory must stay, and what may. */
struct capture_keep {
    uint64_t ordinal;   /* the entries behind it stay */
    uint64_t before_ms; /* a file whose ids all lie before it is too old; 0: none is */
    uint64_t bytes;     /* that all files together may have; 0: any number */
    uint64_t files;     /* so many at most; 0: any number */
};
enum capture_excess { CAPTURE_WITHIN, CAPTURE_TOO_OLD, CAPTURE_TOO_LARGE, CAPTURE_TOO_MANY };
typedef void (*capture_removed_fn)(void *payload, const char *name, uint64_t bytes,
                                   enum capture_excess excess);
/* Removes whole files that are too old, too large together or too many, the oldest first, each one
 * for good before the next, so that what is left is contiguous whenever the machine stops; `tell`
 * hears of each. False: one could not be looked at or removed, and it and all behind it are still
 * there. */
__attribute__((warn_unused_result)) bool capture_remove_old(const char *directory,
                                                            const struct capture_keep *keep,
                                                            capture_removed_fn tell, void *payload,
                                                            struct error *error);

/* --- reading --- */
struct capture_reader;

/* `path`: one file, or a directory whose files are read in order as one capture (a later file must
 * begin where the one before it ended). The header is that of the first file. NULL on error. */
struct capture_reader *capture_open(const char *path, struct error *error);
const struct capture_header *capture_reader_header(const struct capture_reader *reader);
/* Entries of the partition before the next one that is read. */
uint64_t capture_reader_ordinal(const struct capture_reader *reader);

/* Where to fold from: at the beginning of the last file whose header stands at or before the place,
 * so that its snapshot is a state from which the place is reached; its header is then the reader's.
 * By ordinal (ERROR_USAGE when the capture begins behind it), or before the first entry whose id's
 * ms is not before `ms` (the first file when the capture begins behind it). Files between are not
 * looked at. */
bool capture_seek(struct capture_reader *reader, uint64_t ordinal, struct error *error);
bool capture_seek_ms(struct capture_reader *reader, uint64_t ms, struct error *error);
/* For who only reads entries, from where the reader stands forward: hops over the frames that lie
 * wholly before the entry behind `ordinal`, or before the first entry whose id's ms is not before
 * `ms`, by their heads alone. The next entries are those of the frame that holds it, the entries
 * before it in that frame first. What is hopped over is not checked. Behind a seek it is cheap
 * everywhere. Times are looked for as ids rise. */
bool capture_skip(struct capture_reader *reader, uint64_t ordinal, struct error *error);
bool capture_skip_ms(struct capture_reader *reader, uint64_t ms, struct error *error);

enum capture_next { CAPTURE_ENTRY, CAPTURE_END, CAPTURE_TORN, CAPTURE_ERROR };
/* The next entry, borrowed until the next call. TORN: the last file ends in an incomplete frame,
 * which a reader of a crashed process's capture treats as the end. ERROR: a checksum or a length is
 * wrong, or an id does not rise above those before it, as a stream's do; the error names file,
 * frame and offset. */
enum capture_next capture_next(struct capture_reader *reader, struct entry *out,
                               struct error *error);
/* So many entries that follow stand in the same frame: all of them stay borrowed together, until
 * the call behind them. */
uint32_t capture_frame_left(const struct capture_reader *reader);
void capture_reader_close(struct capture_reader *reader);

/* What a capture covers. */
struct capture_range {
    uint64_t files, bytes;
    uint64_t first_ordinal;     /* entries of the partition before its first one */
    uint64_t entries;           /* in it, as far as it is whole */
    uint64_t first_ms, last_ms; /* of its first and last entry's ids; 0 without entries */
    bool is_torn;               /* the last file ends in an incomplete frame */
};
/* Tells it by the heads of the first and of the last file alone: nothing is decompressed, and what
 * lies between is not checked. `path` as for capture_open. False where a head is damaged: files and
 * bytes are told even so. */
bool capture_range(const char *path, struct capture_range *out, struct error *error);

#endif
