/* The reads that wait: for an index from the leader, for the store to have applied it, for a revision.
 * Private to replica/.
 *
 * A linearizable read is unasked, then asked (a READ event is under way, with a number that all reads of one
 * turn share), then it knows its index and waits until that is applied. What fails on the way (the leader
 * was lost) begins anew, until the read's time is up. */
#ifndef CORACLE_REPLICA_READS_H
#define CORACLE_REPLICA_READS_H

#include "replica/replica.h"

/* Reads that wait for something to be applied. */
struct reads_until {
  struct list list;
  uint64_t index_min; /* none of them waits for less */
};

struct reads {
  struct list unasked;
  struct list asked;           /* in the order of their numbers */
  struct reads_until index;    /* linearizable ones, for their index */
  struct reads_until revision; /* for their min_revision, when nothing else is missing */
  struct list done;            /* their results have not been taken yet */
  size_t waiting;              /* in all of these but `done` */
  uint64_t number;             /* of the last READ event */
  uint64_t retry_ms;           /* the unasked ones are not asked before */
  uint64_t deadline_min_ms;    /* none of them has less time */
};

void reads_init(struct reads *);
void reads_add(struct reads *, struct replica_read *, uint64_t applied);
void reads_remove(struct reads *, struct replica_read *);
/* There are some to be asked for. */
bool reads_are_due(const struct reads *, uint64_t now_ms);
/* READ event `number`, one more than the last, was taken by the core; or it was not. */
void reads_asked(struct reads *, uint64_t number);
void reads_refused(struct reads *, uint64_t now_ms);
/* What became of one. */
void reads_outcome(struct reads *, const struct coracle_raft_read *, uint64_t applied);
void reads_applied(struct reads *, uint64_t applied);
void reads_expire(struct reads *, uint64_t now_ms);
/* Ends all of them. */
void reads_abandon(struct reads *);
uint64_t reads_wakeup_ms(const struct reads *);
/* The next that is done, oldest first, or NULL. It is the caller's again. */
struct replica_read *reads_take(struct reads *);

#endif
