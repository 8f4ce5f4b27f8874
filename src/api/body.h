/* A document as a client sends it: checked, and otherwise left as it is.
 *
 * It is parsed once to see that it is a JSON object this store takes, and to find its id. What is stored are
 * the client's own bytes, without white space around the object, and with "id" put in front where it is
 * missing. */
#ifndef CORACLE_API_BODY_H
#define CORACLE_API_BODY_H

#include "api/exchange.h"

enum {
  DOCUMENT_DEPTH_MAX = 64,  /* the object itself is the first level */
  DOCUMENT_KEYS_MAX = 4096, /* members of any one object: bounds what colliding keys can cost to parse */
};

struct body {
  struct slice object; /* not owned: within the request's body */
  bool has_id;         /* there is a member "id" */
  struct bytes id;     /* it decoded; empty, which is no valid id, when it is not a string; owned */
};

/* Checks the content type and the bytes. False: answered with what is wrong, and nothing to close. */
bool body_read(struct exchange *, struct body *);
void body_close(struct body *);

/* The document's bytes: the object itself, or (in `storage`) with that id in front if it has none. */
struct slice body_document(const struct body *, struct slice id, struct bytes *storage);

#endif
