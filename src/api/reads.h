/* When a read is answered, and from how old a state (docs/api.md, "Consistency").
 *
 * A read is answered from the store of this node at once if it may be stale and asks for no revision that is
 * not here yet. Else it waits: what its endpoint will need of the request is kept, and the endpoint runs at
 * the moment when the replica says that the store is as it has to be. */
#ifndef CORACLE_API_READS_H
#define CORACLE_API_READS_H

#include "api/exchange.h"

enum { WAIT_DEFAULT_MS = 5000, WAIT_MAX_MS = 60000 };

/* Answers with the endpoint now, or has the request wait. */
enum api_action reads_begin(struct exchange *, endpoint *);
/* Its time has come, or is over. What the exchange lacks, of a request that waited, is filled in. The endpoint may
 * go on to be a work (api/work.h). */
enum api_action reads_complete(struct exchange *, enum replica_verdict);
/* Answers with why a read could not be had, from a verdict other than READABLE. */
void reads_refuse(const struct exchange *, enum replica_verdict);

#endif
