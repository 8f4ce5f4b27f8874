/* The operations of a transaction, as a client writes them:
 *
 *     {"method": "put", "path": "items/1", "if_match": "17", "body": {...}}
 *
 * Each becomes a command, but that the document of a patch has to be calculated yet. */
#ifndef CORACLE_API_OPERATIONS_H
#define CORACLE_API_OPERATIONS_H

#include "api/body.h"
#include "json/patch.h"

struct operation {
  struct command command; /* its slices are of the text and of the two below; of a patch without a body */
  bool is_patch; /* its condition is then the client's, and is to be judged on what the patch is made for */
  enum json_patch_kind kind; /* of a patch */
  struct slice patch;        /* not owned: within the text */
  struct bytes names;        /* collection and id; owned */
  struct bytes document;     /* where it is not as it was sent; owned */
};

/* Reads one from its JSON value, within a text that body_check() has found right. False: *fault says what is
 * wrong. To be closed in either case. */
bool operation_read(struct exchange *, struct slice value, struct operation *, struct body_fault *fault);
void operation_close(struct operation *);

/* Are both on the same document? */
bool operation_is_on(const struct operation *, const struct operation *);

#endif
