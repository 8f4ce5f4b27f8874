/* What a cluster's documents and idempotency keys must be, from its committed commands alone. See
 * world_model.c. */
#ifndef CORACLE_SIM_WORLD_MODEL_H
#define CORACLE_SIM_WORLD_MODEL_H

#include "base/queue.h"
#include "coracle/raft.h"
#include "store/store.h"
#include "world_ledger.h"

struct world;

/* All zero but for the queues: of a cluster in which nothing was committed. */
struct model {
  uint64_t applied;         /* index of the last entry that it has */
  struct queue documents;   /* of struct model_document, in the order of their first being */
  struct ledger places;     /* of a document's name: where it stands in that queue, from 1 */
  uint64_t documents_n;     /* those that exist */
  struct queue keys;        /* of struct store_key, oldest first */
  struct ledger key_places; /* of a key's digest: where it stands in that queue, from 1 */
  struct ledger values;     /* of a document and the value that was written to it: the index of the command */
  struct ledger effects;    /* of an index: 1, if its command changed something */
  size_t compared_keys_n;   /* of the queue */
  struct queue
      touched; /* of size_t: documents that changed since a store was last compared, by their places */
};

void model_init(struct model *);
void model_close(struct model *);
/* The next committed entry. */
void model_apply(struct world *, struct model *, const struct coracle_raft_entry *);
/* That node's store has applied as much as the model. */
void model_compare(struct world *, int node, struct model *, const struct store *);
/* The command of that index changed something. */
bool model_took_effect(const struct model *, uint64_t index);

#endif
