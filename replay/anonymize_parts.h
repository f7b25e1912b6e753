/* SPDX-License-Identifier: MIT
 * What the anonymizing of captures is made of: texts and entries by value, and the proof. */
#ifndef SALVOR_REPLAY_ANONYMIZE_PARTS_H
#define SALVOR_REPLAY_ANONYMIZE_PARTS_H

#include "base/arena.h"
#include "replay/anonymize.h"
#include "replay/pseudonyms.h"

/* Zero-initialise with {0}, then set `names`. */
struct anonymizer {
    /* Borrowed. NULL: ids that have the form of a pseudonym stay, others become empty. What is
     * anonymized already is then what comes out again, and nothing else is. */
    struct pseudonyms *names;
    struct arena arena;        /* of the texts given */
    struct buffer bad_service; /* a name in a policy that can be neither kept nor changed */
};

/* What stands for a value of the field, empty: nothing does. A state_map_fn, `payload` is the
 * anonymizer; the result lives until its next entry. */
struct span anonymize_text(void *payload, enum event_field field, struct span text);
/* Appends the raw form of what stands for the entry. Result: whether that is an event of a known
 * type; of any other entry nothing is kept. */
bool anonymize_entry(struct anonymizer *anonymizer, const struct entry *entry, struct buffer *raw);
/* False with ERROR_REFUSED when a text was given that stands for none: what holds it must not be
 * kept. */
__attribute__((warn_unused_result)) bool anonymizer_is_fine(const struct anonymizer *anonymizer,
                                                            struct error *error);
void anonymizer_fini(struct anonymizer *anonymizer);

/* Takes the step when it is due; false with ERROR_STOPPED. */
__attribute__((warn_unused_result)) bool anonymize_goes_on(const struct anonymize_config *config,
                                                           uint64_t passed, struct error *error);
/* Reads both captures and folds them side by side: true when they hold the same but for names, and
 * the second nothing else. ERROR_DIFFERENT names the first difference. */
__attribute__((warn_unused_result)) bool
anonymize_prove(const struct anonymize_config *config, const char *capture,
                struct pseudonyms *names, struct anonymize_report *report, struct error *error);

#endif
