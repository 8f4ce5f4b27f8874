/* Preconditions (RFC 9110, section 13): If-Match and If-None-Match against a document's ETag, which is its
 * revision in quotes. A read's are judged here. A write's become the condition of its command, so that they
 * are judged when it is applied, on the document as it then is.
 *
 * Documents have no modification date, so If-Modified-Since and If-Unmodified-Since are ignored, as
 * section 13.1.3 and 13.1.4 have it. */
#ifndef CORACLE_API_CONDITIONS_H
#define CORACLE_API_CONDITIONS_H

#include "api/exchange.h"

enum conditions {
  CONDITIONS_HOLD,
  CONDITIONS_NOT_MODIFIED, /* 304: If-None-Match names what is there */
  CONDITIONS_FAILED,       /* 412: If-Match does not */
  CONDITIONS_ANSWERED,     /* they are malformed, and 400 has been answered */
};

/* Of GET and HEAD on a document of that revision. */
enum conditions conditions_of_read(struct exchange *, uint64_t revision);

/* Sets the command's condition, which must hold the default; `revision` is the document's as this node has
 * it, 0 if it has none. False: they are malformed, or not possible on a write; answered with 400. */
bool conditions_of_write(struct exchange *, uint64_t revision, struct command *);

/* The same of an operation in a transaction, whose conditions are given as strings (at == NULL: not given).
 * NULL, or a sentence about what is wrong with them. */
const char *conditions_of_operation(struct slice if_match, struct slice if_none_match, struct command *);

/* For what has no ETag: false and 400 with the detail if there is one of the headers. */
bool conditions_refuse(struct exchange *, const char *detail);

#endif
