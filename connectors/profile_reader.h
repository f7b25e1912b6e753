/* SPDX-License-Identifier: MIT
 * Inside the profiles: what their files share while a profile is read. A mistake is noted and the
 * reading goes on, so that all are told at once. */
#ifndef SALVOR_CONNECTORS_PROFILE_READER_H
#define SALVOR_CONNECTORS_PROFILE_READER_H

#include "base/yaml.h"
#include "connectors/profile.h"

struct profile_reader {
    struct profile *profile;
    const char *file;
    struct buffer problems; /* owned; a line each */
    size_t problem_count;
};

/* Notes a mistake of this line. */
__attribute__((format(printf, 3, 4))) void profile_problem(struct profile_reader *reader,
                                                           const struct yaml_node *node,
                                                           const char *format, ...);
/* Every key of the mapping must be one of `allowed`, which is a list "a, b, c". False, noted, when
 * the node is no mapping. */
bool profile_check_keys(struct profile_reader *reader, const struct yaml_node *node,
                        const char *allowed);
/* The child of this kind; NULL when there is none, noted when it is of another kind, or empty.
 * `allowed` says what it must be. */
const struct yaml_node *profile_child(struct profile_reader *reader, const struct yaml_node *node,
                                      const char *key, enum yaml_kind kind, const char *allowed);
/* The same, and noted when there is none. */
const struct yaml_node *profile_need(struct profile_reader *reader, const struct yaml_node *node,
                                     const char *key, enum yaml_kind kind, const char *allowed);
/* A whole number; `*out` alone when there is none of this key. */
void profile_read_number(struct profile_reader *reader, const struct yaml_node *node,
                         const char *key, uint64_t least, uint64_t most, uint64_t *out);
/* A text that is checked as a template and copied. */
void profile_read_template(struct profile_reader *reader, const struct yaml_node *node,
                           struct span text, enum template_place place, struct span *out);

/* One request, which is a mapping. */
void profile_read_request(struct profile_reader *reader, const struct yaml_node *node,
                          enum rule_purpose purpose, struct profile_request *out);
/* The list of them under `key`; nothing when there is none. */
void profile_read_requests(struct profile_reader *reader, const struct yaml_node *node,
                           const char *key, enum rule_purpose purpose,
                           struct profile_requests *out);

#endif
