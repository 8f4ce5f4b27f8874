/* The replicated state machine as one thing: the consensus core, the store it feeds, and the requests that
 * wait for an index.
 *
 * Commands proposed in one turn are gathered and enter the log together in replica_flush(): one batch, one
 * frame to each follower. What is committed is applied in log order at the end of the step that committed it,
 * or, where it is very much, some of it in each turn. Each waiter gets exactly one result: those in the log
 * in the order of their proposals, those refused at once.
 *
 * Reads that must not be stale are gathered in the same way: those of one turn share one question to the core
 * (section 6.4 of the dissertation) in replica_flush_reads(), and each gets its result at the moment when the
 * store may be read for it. */
#ifndef CORACLE_REPLICA_REPLICA_H
#define CORACLE_REPLICA_REPLICA_H

#include "base/error.h"
#include "base/list.h"
#include "coracle/raft.h"
#include "store/store.h"
#include "store/view.h"

struct replica;

struct replica_options {
  struct coracle_raft_options raft;
  uint8_t store_key[STORE_HASH_KEY_BYTES]; /* random */
  /* A log of more payload bytes than this, and than an image of the store would have, is compacted to a
   * quarter of this. 0: 64 MiB; UINT64_MAX: never. */
  uint64_t compact_bytes;
  size_t operations_per_turn; /* that are applied, to one document each; 0: 512 */
  bool durable; /* an image goes to storage before the log is compacted: replica_store_image() */
};

/* Released with replica_free(). The first event is CORACLE_RAFT_START. */
struct replica *replica_new(const struct replica_options *);
void replica_free(struct replica *); /* NULL is fine; waiters get no result */

/* Gives the core an event and carries out what is the replica's of its effects: committed entries to the
 * store. *effects (never NULL on success) is for the caller's part: what is to be made durable, messages,
 * wake-up, role; it lives until the next call. Errors are coracle_raft_error codes. */
CORACLE_RAFT_MUST_CHECK int replica_step(struct replica *, const struct coracle_raft_event *,
                                         const struct coracle_raft_effects **effects);

/* Where the image of a snapshot is read from, once, piece by piece, so that it is never in memory beside the
 * store that is made of it. */
struct replica_image {
  bool (*next)(void *context, struct slice *piece); /* an empty one at the end; false: it cannot be read */
  void *context;
};

/* The first event, with what was durable, the image of its snapshot too (not asked for without one). The
 * errors of replica_step(). Ends the process over an image that cannot be read, or not by this version. */
CORACLE_RAFT_MUST_CHECK int replica_restore(struct replica *, const struct coracle_raft_restored *,
                                            const struct replica_image *, uint64_t now_ms,
                                            const struct coracle_raft_effects **effects);

/* Once in a turn: goes on with a collection that is being dropped, then with what is committed and not
 * applied yet, takes an image of the store, if the log
 * has grown enough, and releases some of what earlier ones have left behind. */
void replica_begin_turn(struct replica *);
/* There is something committed that is not applied yet, or not to its end: another turn should begin at once.
 */
bool replica_is_behind(const struct replica *);
/* Once in a turn, as often as *effects is not NULL then: does one thing that is due about snapshots. Gives
 * the core bytes of an image that a peer needs, or compacts the log up to an image; *effects is as
 * replica_step()'s. */
void replica_tend(struct replica *, uint64_t now_ms, const struct coracle_raft_effects **effects);
/* Durable storage: the next chunk of an image for it to take in, as it does those that come from a leader
 * (without a sequence of the core's); false: none. To be called again when the one before is durable. Lives
 * until the next call. */
bool replica_store_image(struct replica *, struct coracle_raft_persist *);
/* Storage had no room for that image, and has nothing of it. Another is taken when the log has grown by as
 * much again as it has to at least, or when storage has room. False: it was given up already. */
bool replica_image_refused(struct replica *);
void replica_storage_has_room(struct replica *);

/* Queues a command for the next replica_flush(). Takes over the entry. `growth_bytes` is how much larger
 * store_bytes() may be with it. `waiter` (not NULL) comes back in one result. */
void replica_propose(struct replica *, struct coracle_raft_entry *entry, uint64_t growth_bytes, void *waiter);
/* The growth of all that was proposed and is not applied yet. */
uint64_t replica_pending_bytes(const struct replica *);
/* True when replica_flush() has something to do. */
bool replica_has_proposals(const struct replica *);
/* Proposes all that was queued, as replica_step() does. When the core refuses, each waiter's result says why
 * and *effects is NULL. */
void replica_flush(struct replica *, uint64_t now_ms, const struct coracle_raft_effects **effects);

enum replica_verdict {
  REPLICA_APPLIED,    /* committed and applied: `store` says with which outcome */
  REPLICA_UNKNOWN,    /* proposed, then leadership was lost: it may take effect at any later time, or never */
  REPLICA_NOT_LEADER, /* not proposed */
  REPLICA_BUSY,       /* not proposed: too much is uncommitted; or too many reads wait */
  REPLICA_READABLE,   /* a read: the store is now as it has to be; read it before the next call */
  REPLICA_TOO_LATE,   /* a read: its time was up before that */
};

struct replica_result {
  void *waiter;
  enum replica_verdict verdict;
  struct store_result store; /* APPLIED only; to be closed by the receiver */
  uint64_t index;            /* APPLIED: the revision */
};

enum { REPLICA_READS_MAX = 16 * 1024 }; /* waiting; beyond them REPLICA_BUSY */

/* A read that waits. The caller's; it stays where it is until its result was taken or it was cancelled. */
struct replica_read {
  void *waiter;          /* comes back in the result */
  bool linearizable;     /* it must see everything that was acknowledged anywhere before it came */
  uint64_t min_revision; /* and this log index; 0: none */
  uint64_t deadline_ms;  /* after that it is too late */
  /* The replica's own. */
  struct list_link link;
  uint64_t number, index;
  bool is_done;
  enum replica_verdict verdict;
};

/* It gets one result: READABLE, TOO_LATE, BUSY, or NOT_LEADER when it was abandoned. While no leader can be
 * asked, or when the one that was is lost, it is asked again until its time is up. */
void replica_read(struct replica *, struct replica_read *);
/* Nobody wants it any more: it gets no result. It must be waiting, or its result not yet taken. */
void replica_cancel_read(struct replica *, struct replica_read *);
/* True when replica_flush_reads() has something to do. */
bool replica_has_reads(const struct replica *, uint64_t now_ms);
/* Asks for all that were queued, as replica_step() does; *effects is NULL when the core refuses. */
void replica_flush_reads(struct replica *, uint64_t now_ms, const struct coracle_raft_effects **effects);
/* Ends those whose time is up. */
void replica_expire_reads(struct replica *, uint64_t now_ms);
/* When to call the two above at the latest; UINT64_MAX: no need to. */
uint64_t replica_reads_wakeup_ms(const struct replica *);

/* What the store is like once this index is applied: the same on every node. Noted at every index that is a
 * multiple of this, to be compared between nodes: what applies differently on one of them, or was changed by
 * a broken machine, is found there at the latest. Some of them are kept. */
enum { REPLICA_STATE_EVERY = 1024 };
struct replica_state {
  uint64_t index;
  struct state_hash hash;
};
/* The oldest that is kept of those after the index; false: there is none. */
bool replica_state_after(const struct replica *, uint64_t index, struct replica_state *);
/* Index of the newest that was noted; 0: none was. */
uint64_t replica_newest_state(const struct replica *);
/* The leader's: it is compared with that of this node now, or when this node has applied as much. What is not
 * kept here any more is not compared. */
void replica_expect_state(struct replica *, const struct replica_state *);
/* The first index at which the two differed: this node must serve no more. 0: at none. */
uint64_t replica_differs_at(const struct replica *);
/* The last one at which they were the same; 0: none was compared. */
uint64_t replica_agrees_at(const struct replica *);

/* The next result that is due, oldest first; false when there is none. */
bool replica_next_result(struct replica *, struct replica_result *);
/* The disk takes no more: what is queued is not proposed. */
void replica_refuse(struct replica *);
/* The node stops, or leaves its cluster: every waiter gets its result now, unknown where it was proposed. A
 * read's is NOT_LEADER. */
void replica_abandon(struct replica *);
/* Proposals queued or in the log that wait for their result, and reads. */
size_t replica_waiting(const struct replica *);

/* Takes over a view of the store that is done with, and releases a little of it in each turn. */
void replica_retire_view(struct replica *, struct store_view *);

const struct store *replica_store(const struct replica *);
const struct coracle_raft *replica_raft(const struct replica *);
uint64_t replica_applied(const struct replica *); /* index of the last entry applied */
/* Its log holds a client's command or a configuration of two voters or more, or it has a snapshot. */
bool replica_is_established(const struct replica *);

#endif
