/* What has happened in each cluster of the world, for good. */
#ifndef CORACLE_SIM_WORLD_RECORD_H
#define CORACLE_SIM_WORLD_RECORD_H

#include "world_core.h"
#include "world_model.h"

struct committed {
  uint64_t term, hash; /* with `type`: 0 until somebody who applied it still had it at the end of the turn */
  uint64_t in_term;    /* of whoever was the first to commit it: who leads a later one has it */
  uint8_t type;
  bool has_state;
  struct state_hash state;          /* of the store after it */
  uint64_t keys;                    /* idempotency keys in it */
  struct coracle_raft_entry *entry; /* until the model has it; NULL: it has, or nobody has told what it was */
};

struct led {
  uint64_t term, id;
};

struct cluster_record {
  uint8_t id[CLUSTER_ID_BYTES];
  bool established;        /* some node of it was */
  bool foreign;            /* made by world_make_foreign() */
  uint64_t established_by; /* the first committed entry that establishes it; 0: none */
  struct queue committed;  /* of struct committed: index 1 first */
  struct queue led;        /* of struct led */
  struct ledger entries; /* every entry that ever was in a log, (index, term): a hash of it and of the term of
                           the one before */
  struct model model;
};

#endif
