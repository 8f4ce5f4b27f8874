/* The replicated state machine as one thing: the consensus core, the store it feeds, and the requests that
 * wait for an index.
 *
 * Commands proposed in one turn are gathered and enter the log together in replica_flush(): one batch, one
 * frame to each follower. What is committed is applied in log order at the end of the step that committed it.
 * Each waiter gets exactly one result: those in the log in the order of their proposals, those refused at
 * once. */
#ifndef CORACLE_REPLICA_REPLICA_H
#define CORACLE_REPLICA_REPLICA_H

#include "base/error.h"
#include "coracle/raft.h"
#include "store/store.h"

struct replica;

struct replica_options {
  struct coracle_raft_options raft;
  uint8_t store_key[STORE_HASH_KEY_BYTES]; /* random */
};

/* Released with replica_free(). The first event is CORACLE_RAFT_START. */
struct replica *replica_new(const struct replica_options *);
void replica_free(struct replica *); /* NULL is fine; waiters get no result */

/* Gives the core an event and carries out what is the replica's of its effects: entries to storage, committed
 * entries to the store. *effects (never NULL on success) is for the caller's part: messages, wake-up, role;
 * it lives until the next call. Errors are coracle_raft_error codes. */
CORACLE_RAFT_MUST_CHECK int replica_step(struct replica *, const struct coracle_raft_event *,
                                         const struct coracle_raft_effects **effects);

/* True, and *event filled (but for now_ms), while storage has finished what the core must be told. */
bool replica_persisted(struct replica *, struct coracle_raft_event *event);
/* Everything up to this persist sequence is durable. */
uint64_t replica_persisted_sequence(const struct replica *);

/* Queues a command for the next replica_flush(). Takes over the entry. `waiter` (not NULL) comes back in one
 * result. */
void replica_propose(struct replica *, struct coracle_raft_entry *entry, void *waiter);
/* True when replica_flush() has something to do. */
bool replica_has_proposals(const struct replica *);
/* Proposes all that was queued, as replica_step() does. When the core refuses, each waiter's result says why
 * and *effects is NULL. */
void replica_flush(struct replica *, uint64_t now_ms, const struct coracle_raft_effects **effects);

enum replica_verdict {
  REPLICA_APPLIED,    /* committed and applied: `store` says with which outcome */
  REPLICA_UNKNOWN,    /* proposed, then leadership was lost: it may take effect at any later time, or never */
  REPLICA_NOT_LEADER, /* not proposed */
  REPLICA_BUSY,       /* not proposed: too much is uncommitted */
};

struct replica_result {
  void *waiter;
  enum replica_verdict verdict;
  struct store_result store; /* APPLIED only; store.record's reference is the receiver's */
  uint64_t index;            /* APPLIED: the revision */
};

/* The next result that is due, oldest first; false when there is none. */
bool replica_next_result(struct replica *, struct replica_result *);
/* The node stops, or leaves its cluster: every waiter gets its result now, unknown where it was proposed. */
void replica_abandon(struct replica *);
/* Proposals queued or in the log that wait for their result. */
size_t replica_waiting(const struct replica *);

const struct store *replica_store(const struct replica *);
const struct coracle_raft *replica_raft(const struct replica *);
uint64_t replica_applied(const struct replica *); /* index of the last entry applied */
/* Its log holds a client's command or a configuration of two voters or more. */
bool replica_is_established(const struct replica *);

#endif
