/* SPDX-License-Identifier: MIT
 * Other names for ids. Under one key an id has one name, in every capture; without the key nobody
 * can tell which id a name stands for. */
#ifndef SALVOR_REPLAY_PSEUDONYMS_H
#define SALVOR_REPLAY_PSEUDONYMS_H

#include "reducers/event.h"

struct pseudonyms;

/* The caller owns the result. It remembers each id that it is asked for: about 300 bytes. */
struct pseudonyms *pseudonyms_open(struct span key);
/* The name that stands for `id`, a value of such a field: "job-3f9a2c1b70d4e5f6". No two ids of a
 * field get the same one, and that of a job has the job's lot. Lives until pseudonyms_close. */
struct span pseudonyms_name(struct pseudonyms *pseudonyms, enum event_field field, struct span id);
/* True when the text has the form of such a name of the field. */
bool pseudonym_is(enum event_field field, struct span text);
/* Ids that have a name. */
uint64_t pseudonyms_count(const struct pseudonyms *pseudonyms);
/* Accepts NULL. */
void pseudonyms_close(struct pseudonyms *pseudonyms);

#endif
