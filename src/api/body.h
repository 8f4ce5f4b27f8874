/* JSON as a client sends it: checked, and otherwise left as it is.
 *
 * A document is checked once, to see that it is a JSON object this store takes, and to find its id. What is
 * stored are the client's own bytes, without white space around the object, and with "id" put in front where
 * it is missing. */
#ifndef CORACLE_API_BODY_H
#define CORACLE_API_BODY_H

#include "api/exchange.h"

struct body {
  struct slice object; /* not owned: within the text */
  bool has_id;         /* there is a member "id" */
  struct bytes id; /* what a string says, or the digits of an integer; empty, which is no valid id, when it is
                      neither; owned */
};

/* What is wrong with a text. */
struct body_fault {
  enum problem problem; /* 400 */
  bool has_offset;
  size_t offset;    /* within the text, of the byte that is wrong */
  char detail[160]; /* a sentence */
};

/* Any JSON text. */
bool body_check(const struct api *, struct slice text, struct body_fault *);
/* A document; or a value, without white space around it, of a text that was checked. False: there is nothing
 * to close. */
bool body_take(struct slice value, struct body *, struct body_fault *);
bool body_judge(const struct api *, struct slice text, struct body *, struct body_fault *);
void body_close(struct body *);
void body_refuse(const struct answer *, const struct body_fault *);

/* The request's Content-Type is application/json. False: answered with 415. */
bool body_is_json(struct exchange *);
/* The request's body is JSON, declared as such, and a document. False: answered, and there is nothing to
 * close. */
bool body_read(struct exchange *, struct body *);

/* The document's bytes: the object itself, or (in `storage`) with that id in front if it has none. */
struct slice body_document(const struct body *, struct slice id, struct bytes *storage);

#endif
