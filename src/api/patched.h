/* What a document comes to by a patch (json/patch.h), for PATCH and for the patches of a transaction alike.
 *
 *     if (!patched_is_open(&p) && !patched_open(&p, api, kind, document, patch, budget)) ...   // a later
 * turn switch (patched_go_on(&p, budget, &fault)) ... patched_take(&p, id, &storage, &document, &fault)
 *     patched_close(&p);
 *
 * A patch may take many times the memory of its texts while it is calculated, so a node calculates a few at a
 * time. */
#ifndef CORACLE_API_PATCHED_H
#define CORACLE_API_PATCHED_H

#include "api/body.h"
#include "json/patch.h"

enum {
  PATCH_ATTEMPTS_MAX = 16, /* how often one is calculated because another write came in between; then 409 */
  PATCHED_MAX = 16,        /* at a time in a node */
};

struct patched_fault {
  enum problem problem;
  const char *detail; /* static: a sentence */
  bool has_operation;
  size_t operation; /* of a JSON patch: its index */
};

/* All zero: not open. */
struct patched {
  struct api *api; /* not owned */
  enum json_patch_kind kind;
  struct json_patch *patch; /* owned */
};

/* Both texts have passed json_check(), without white space around, and stay until it is closed. False: the
 * node calculates as many as it may; to be tried again later. */
bool patched_open(struct patched *, struct api *, enum json_patch_kind, struct slice document,
                  struct slice patch, size_t *budget);
bool patched_is_open(const struct patched *);
void patched_close(struct patched *); /* fine if it is not open */

/* As json_patch_go_on(). FAILED: *fault says why. */
enum json_patch_progress patched_go_on(struct patched *, size_t *budget, struct patched_fault *fault);

/* After DONE, the document, in `storage` or the patch's: "id" is put in front where the patch has taken it
 * out. False: it is none that can be stored, or has another id; *fault says what is wrong. */
bool patched_take(const struct patched *, struct slice id, struct bytes *storage, struct slice *document,
                  struct patched_fault *fault);

#endif
