/* What the clients' files share: workload.c (when they ask, and whom), workload_ask.c (what),
 * workload_answer.c (what it was answered). */
#ifndef CORACLE_SIM_WORKLOAD_H
#define CORACLE_SIM_WORKLOAD_H

#include "sim.h"

/* Draws what the worker asks for next, and writes the request. */
void workload_draw(struct sim *, struct worker *);
/* The same bytes each time. */
void workload_send(struct worker *);

enum workload_verdict {
  WORKLOAD_DECIDED, /* the results say what came of it */
  WORKLOAD_REFUSED, /* this time it had no effect, and will have none */
  WORKLOAD_UNKNOWN, /* it may have had one, or may yet */
};
/* What the answer to all that the worker asked for says of each part. What cannot be fails the seed. */
enum workload_verdict workload_read(struct sim *, const struct worker *, const struct answer_seen *,
                                    struct client_result results[PARTS_MAX]);

#endif
