/* SPDX-License-Identifier: MIT
 * Texts of a profile with variables in them, filled in for one question. What is filled in comes
 * from events and secrets; it can never leave the place that the profile gave it. */
#ifndef SALVOR_CONNECTORS_TEMPLATE_H
#define SALVOR_CONNECTORS_TEMPLATE_H

#include "base/bytes.h"
#include "base/error.h"

/* Borrowed; an empty span, 0 or NULL is a value that nobody told. */
struct template_variables {
    struct span id;            /* {id}: the service's job id */
    struct span id_characters; /* the profile's: what an id may hold beyond letters and digits;
                                  data NULL: anything */
    struct span tag;           /* {tag}: what we chose at the submit */
    uint64_t submitted_at;     /* Unix ms: {submitted:unix}, {submitted:rfc3339}, in seconds */
    struct span status_url, cancel_url, result_url;
    const char *token; /* {token}: where it is, "env:NAME" or "file:/PATH" */
};

enum template_place {
    TEMPLATE_NONE,
    TEMPLATE_URL,     /* {id} is percent-encoded; {…_url} at the very start only */
    TEMPLATE_HEADER,  /* {token}, {env:NAME}, {file:/PATH}: the place for secrets, no variable of
                         the job */
    TEMPLATE_BODY,    /* JSON: {id:json} inside quotes; a bare {id} must be a number */
    TEMPLATE_POINTER, /* a JSON pointer: {id} is one token, or the value in `[K={id}]` */
    TEMPLATE_TEXT,    /* as it is: for comparisons, where nothing is parsed afterwards */
    TEMPLATE_PLACE_COUNT,
};

#define TEMPLATE_URL_MAX  2048 /* of all places but these: */
#define TEMPLATE_BODY_MAX 8192 /* of a body, of a header */

/* What ids may hold beyond letters and digits is chosen from these; {id:raw} puts them into a path
 * as they are. */
#define TEMPLATE_ID_CHARACTERS "-._~:/@!$&'()*+,;="

/* A profile's text: every {…} of it must be a variable that this place allows. */
__attribute__((warn_unused_result)) bool template_check(struct span text, enum template_place place,
                                                        struct error *error);
/* True when the text asks for this variable, by its name without braces. */
bool template_uses(struct span text, const char *variable);
/* True when the text asks for anything of the job. */
bool template_names_job(struct span text);
/* Appends the filled-in text. False with a one-word reason in `error` when a value is missing
 * (no_id, no_tag, no_submitted_at, no_status_url, no_cancel_url, no_result_url, no_token), would
 * leave its place (bad_id, bad_tag, bad_url, bad_token) or makes the text too long (too_long); the
 * text has passed template_check. */
__attribute__((warn_unused_result)) bool template_render(struct span text,
                                                         enum template_place place,
                                                         const struct template_variables *variables,
                                                         struct buffer *out, struct error *error);

#endif
