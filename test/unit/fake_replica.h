/* A replica for tests of what stands above it: the sole leader of a cluster of one. A proposal waits until
 * the test says with which verdict it ends; REPLICA_APPLIED applies it to a real store. So does a read.
 *
 * It defines the replica_* functions that src/api/ calls, in place of the real ones. */
#ifndef TEST_FAKE_REPLICA_H
#define TEST_FAKE_REPLICA_H

#include "replica/replica.h"

struct replica *fake_replica_new(void);
void fake_replica_free(struct replica *); /* what still waits is dropped */

/* Ends the oldest proposal; false when none waits. */
bool fake_replica_finish(struct replica *, enum replica_verdict, struct replica_result *);
size_t fake_replica_waiting(const struct replica *);

/* As if so much more waited to be applied, until something is. */
void fake_replica_burden(struct replica *, uint64_t growth_bytes);

/* Ends the oldest read; false when none waits. */
bool fake_replica_finish_read(struct replica *, enum replica_verdict, struct replica_result *);
/* The oldest read that waits, or NULL. */
const struct replica_read *fake_replica_read(const struct replica *);
/* Applies so many entries that are no commands. */
void fake_replica_advance(struct replica *, uint64_t entries);

#endif
