/* SPDX-License-Identifier: MIT
 * What the parts of a survey share: the list (survey.c), settings and rights. */
#ifndef SALVOR_STREAM_SURVEY_PARTS_H
#define SALVOR_STREAM_SURVEY_PARTS_H

#include "base/bytes.h"
#include "stream/names.h"
#include "stream/survey.h"

enum survey_key {
    KEY_CONTROL,
    KEY_STREAM,
    KEY_META,
    KEY_PENDING,
    KEY_COMPLETED,
    KEY_FAILED,
    KEY_COUNT
};

struct surveyor {
    struct redis *redis;         /* borrowed */
    const struct survey *survey; /* borrowed */
    struct key_name control, stream, meta;
    struct buffer info;       /* the reply of INFO */
    bool is_there[KEY_COUNT]; /* and of the right type */
    bool is_over;             /* the connection is gone, or Redis answers nothing for now */
    struct error *error;      /* borrowed; the first that forbids, or what broke it off */
};

/* What a setting's value means. */
struct setting_rule {
    const char *name;  /* as people know it */
    const char *value; /* NULL: any; with a '*' at its end, any that begins so */
    enum finding_level level;
    const char *means;
    enum error_code forbids;
};

/* Tells a finding about `rule->name` at the rule's level. */
__attribute__((format(printf, 3, 4))) void
surveyor_tell(struct surveyor *surveyor, const struct setting_rule *rule, const char *format, ...);
/* A command failed. What the lack of a right hides was told when rights were looked at. */
void surveyor_fail(struct surveyor *surveyor, const char *command, const struct error *error);
/* Appends `word`, with the key's name for the mark it may begin with: @ctl @stream @meta are ours,
 * @queue stands before the queue's. */
void surveyor_put_key(const struct surveyor *surveyor, struct span word, struct buffer *out);

/* Server, memory, durability, replication. */
void survey_server(struct surveyor *surveyor);
void survey_memory(struct surveyor *surveyor);
void survey_durability(struct surveyor *surveyor);
void survey_replication(struct surveyor *surveyor);
/* Every command that live work and effects send. */
void survey_rights(struct surveyor *surveyor);

#endif
