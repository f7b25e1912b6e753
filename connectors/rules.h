/* SPDX-License-Identifier: MIT
 * Rules: what a service's reply says about a job. One rule is a line `HTTP [& term]... => VERDICT
 * [flags]`; the first that matches decides, and what no rule maps proves nothing. */
#ifndef SALVOR_CONNECTORS_RULES_H
#define SALVOR_CONNECTORS_RULES_H

#include "base/arena.h"
#include "base/error.h"
#include "base/json.h"
#include "connectors/template.h"
#include "reducers/effect.h"

#define RULE_STATUSES_MAX 8
#define RULE_TERMS_MAX    8
#define RULE_VALUES_MAX   16

/* Appends the words of a set of 1 << ANSWER_FLAG_…, parted by blanks. */
void answer_flags_put(struct buffer *out, unsigned flags);

enum term_kind {
    TERM_NONE,
    TERM_EQUALS,
    TERM_DIFFERS,
    TERM_IN,
    TERM_CONTAINS,
    TERM_EXISTS,
    TERM_ABSENT,
    TERM_NONEMPTY,
    TERM_EMPTY,
    TERM_LIST,
    TERM_OBJECT,
};

enum value_kind { VALUE_NONE, VALUE_TEXT, VALUE_NUMBER, VALUE_BOOLEAN, VALUE_NULL };

struct rule_value {
    enum value_kind kind;
    struct span text; /* a template */
    int64_t number;   /* a boolean: 0 or 1 */
};

struct rule_term {
    enum term_kind kind;
    struct span pointer; /* a template */
    struct rule_value *values;
    size_t value_count;
};

/* What a rule judges, and so which verdicts it may have. */
enum rule_purpose {
    RULE_PURPOSE_NONE,
    RULE_OF_STATUS, /* pending running completed failed cancelled not_found inconclusive retry auth
                     */
    RULE_OF_CANCEL, /* accepted already_final refused unsupported unknown */
    RULE_OF_PROBE,  /* ok absent */
};

/* Texts and terms belong to the arena that rule_parse was given. */
struct rule {
    struct rule_status {
        uint16_t least, most;
    } statuses[RULE_STATUSES_MAX];
    size_t status_count;
    const struct rule_term *terms;
    size_t term_count;
    enum answer_verdict verdict; /* of a status rule */
    enum effect_outcome outcome; /* of a cancel rule */
    bool is_absent;              /* of a probe rule */
    unsigned flags;              /* set of 1 << ANSWER_FLAG_… */
    const char *word;            /* static; NULL when the verdict says it all */
};

/* On failure the error says what was found and what is allowed there. */
__attribute__((warn_unused_result)) bool rule_parse(struct arena *arena, enum rule_purpose purpose,
                                                    struct span text, struct rule *out,
                                                    struct error *error);
/* One term on its own, as an identity is. */
__attribute__((warn_unused_result)) bool
rule_parse_term(struct arena *arena, struct span text, struct rule_term *out, struct error *error);
/* True when the term can hold only in a reply about just this job: it asks for {id} or {tag}, or,
 * where ids come back as other jobs', for {tag}. */
bool rule_term_proves(const struct rule_term *term, bool are_ids_reused);
/* True when one of its terms does. */
bool rule_proves(const struct rule *rule, bool are_ids_reused);

/* A pointer as a rule writes it (`body` is the whole reply, as the pointer ""), copied. */
__attribute__((warn_unused_result)) bool rule_parse_pointer(struct arena *arena, struct span text,
                                                            struct span *out, struct error *error);

enum reply_form {
    REPLY_FORM_NONE,
    REPLY_EMPTY,
    REPLY_JSON,
    REPLY_BAD_JSON,  /* said to be JSON, and is not */
    REPLY_TOO_LARGE, /* JSON of more values than are read */
    REPLY_HTML,      /* a page for people: some proxy's, not the service's */
    REPLY_OTHER,     /* some other kind of content; a text/plain that is an object is JSON */
};

/* A reply made ready for rules; the body stays the caller's. */
struct reply {
    uint64_t http;
    enum reply_form form;
    struct json *json; /* owned; NULL unless REPLY_JSON */
};

struct reply reply_open(uint64_t http, struct span content_type, struct span body);
void reply_close(struct reply *reply);
/* The value at a profile's pointer, filled in; NULL when there is none. Borrowed from the reply. */
const struct json *reply_find(const struct reply *reply, struct span pointer,
                              const struct template_variables *variables);

struct judgement {
    enum answer_verdict verdict;
    enum effect_outcome outcome;
    bool is_ok, is_absent; /* of a probe; neither: it says nothing, ask again later */
    unsigned flags;
    const char *word; /* static; NULL, or why nothing is proved */
};

/* The first of the rules that matches, else the built-in meaning. Of a status: 401 and 403 are
 * `auth`; 408, 425, 429, 502, 503, 504 unreachable; everything else proves nothing. Of a cancel:
 * 401 and 403 refused, everything else unknown. Of a probe: nothing. A page of HTML or broken JSON
 * is no reply of the service, so no rule sees it. */
struct judgement rules_judge(enum rule_purpose purpose, const struct rule *rules, size_t count,
                             const struct reply *reply, const struct template_variables *variables);
/* Whose job a reply is about. */
enum reply_owner {
    REPLY_OWNER_NONE,
    REPLY_OURS,
    REPLY_ANOTHERS, /* the value that would name our job is a text or a whole number, and differs */
    REPLY_NOBODYS,  /* our job's variables were not told, or no such value is there */
};
enum reply_owner reply_owner(const struct reply *reply, const struct rule_term *identity,
                             const struct template_variables *variables);

#endif
