/* What the store was like at certain indexes, as hashes: here, and with the leader. Private to replica/.
 *
 * Both are kept by their number modulo a fixed many, so a comparison that one side comes to much later than
 * the other is left out, and the next one is made. */
#ifndef CORACLE_REPLICA_STATES_H
#define CORACLE_REPLICA_STATES_H

#include "replica/replica.h"

enum { STATES_KEPT = 64 };

struct states {
  struct replica_state noted[STATES_KEPT];    /* index 0: none */
  struct replica_state expected[STATES_KEPT]; /* the leader's, of indexes not yet applied here */
  uint64_t newest;                            /* index of the newest that is noted; 0: none is */
  uint64_t differs_at;                        /* 0: nowhere, as far as they were compared */
  uint64_t agrees_at;                         /* the last one at which they were the same */
};

/* The store, as of that index exactly, which is greater than any before. */
void states_note(struct states *, uint64_t index, const struct store *);
void states_expect(struct states *, const struct replica_state *);
bool states_after(const struct states *, uint64_t index, struct replica_state *);

#endif
