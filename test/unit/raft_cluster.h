/* Consensus cores in memory, for tests, and what a network, disks and a clock do to them, event by event.
 *
 *     struct cluster *c = cluster_of(3, 1);    // three voters; server 1 leads; all is quiet
 *     cluster_isolate(c, 1);
 *     cluster_run(c, 3 * ELECTION_TIMEOUT_MS); // the network delivers, time passes
 *     assert_int_not_equal(cluster_leader(c), 1);
 *     cluster_free(c);
 *
 * Between cluster_settle() and cluster_run(), which let everything happen that can, a test picks what happens
 * next: which message arrives, which disk is done, which stream ends. Datagrams lie in a bag, may arrive in
 * any order, twice or never. A stream is a connection between a leader and a follower; each direction keeps
 * its order, and when it was cut each side hears of its end. A server's disk keeps what the core gave it in
 * the order it was given, and is done when the test says so; a message leaves only when what it rests on is
 * durable. A server that crashed has lost what was not durable; it may be started again with the rest.
 *
 * After every step and before every message leaves, raft_history.h holds the cluster against Raft's
 * invariants. */
#ifndef CORACLE_TEST_RAFT_CLUSTER_H
#define CORACLE_TEST_RAFT_CLUSTER_H

#include "base/queue.h"
#include "base/random.h"
#include "coracle/raft.h"
#include "raft_machine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

enum { SERVERS_MAX = 48, HEARTBEAT_MS = 50, ELECTION_TIMEOUT_MS = 500 };

/* A message on its way. Its entries, or its snapshot and chunk, are copies, as if they had been bytes. */
struct letter {
  struct coracle_raft_message message;
  uint64_t stream;                        /* serial number of its stream; 0: a datagram */
  struct coracle_raft_snapshot *snapshot; /* owned, the chunk behind it; NULL: none */
};

struct letters {
  struct letter **at; /* oldest first */
  size_t n, capacity;
};

enum side { AT_LEADER, AT_FOLLOWER };

struct stream {
  uint64_t serial;
  uint64_t leader, follower; /* ids */
  bool cut;     /* nothing enters any more; each side hears of the end when what was underway to it is gone */
  bool told[2]; /* by side: it was told LINK_UP, and not yet LINK_DOWN */
  struct letters to[2]; /* by the side it goes to */
};

/* What one step asked the disk for. */
struct disk_write {
  uint64_t sequence;
  bool vote_changed;
  uint64_t term, voted_for;
  uint64_t truncate_from;
  struct coracle_raft_entry **entries; /* one reference each */
  size_t entries_n;
  struct coracle_raft_snapshot *snapshot; /* NULL: none */
  uint64_t snapshot_bytes;                /* that are there with this chunk */
  bool installs, keep_log;
  struct machine_state installed; /* installs: the image's */
};

struct server {
  uint64_t id;
  struct coracle_raft *raft;         /* NULL: crashed */
  struct coracle_raft_status status; /* after its last step */
  uint64_t wakeup_ms;
  bool asked_to_lead;  /* its last requests for votes were for a transfer of leadership */
  bool disk_held;      /* the disk hangs: only cluster_sync() completes its writes */
  struct queue writes; /* of struct disk_write: not durable */
  struct letters held; /* rest on writes that are not durable */

  /* What is durable. Kept after a crash. Sequences begin again with a restart. */
  uint64_t durable_sequence, durable_term, durable_vote;
  struct coracle_raft_entry **durable; /* [i] has index durable_first + i; one reference each */
  uint64_t durable_first;
  size_t durable_n, durable_capacity;
  struct coracle_raft_snapshot durable_snapshot; /* index 0: none */
  struct machine_state durable_state;            /* its image's */
  uint64_t incoming_index, incoming_bytes;       /* of an image that is not complete */

  struct machine machine;
  uint64_t snapshot_seen; /* by raft_history.c: the index of its newest */
  uint64_t own_term; /* of the entry at the index of the snapshot that the current step brings; 0: none */
};

/* What became of a READ. */
enum read_outcome {
  READ_WAITING,
  READ_READY,
  READ_FAILED,
  READ_FORGOTTEN, /* its server crashed */
};

struct cluster;
typedef void cluster_watch(void *watcher, const struct cluster *, const struct server *,
                           const struct coracle_raft_event *, const struct coracle_raft_status *before,
                           const struct coracle_raft_effects *);

struct cluster_options {
  uint64_t seed;
  uint32_t append_bytes_max, inflight_bytes_max, uncommitted_bytes_max; /* 0: the core's default */
  uint32_t trailing_bytes, chunk_bytes_max;                             /* 0: the core's default */
  uint32_t image_bytes_max;                                             /* beyond the state itself */
};

struct cluster {
  struct cluster_options options;
  struct random random;
  struct history *history;
  struct machine_history machines;
  uint64_t now_ms;
  uint64_t steps;                                /* taken so far: where a failure was */
  uint64_t truncations;                          /* of logs, so far */
  uint64_t installations;                        /* of snapshots, so far */
  uint64_t reads_ready;                          /* so far */
  uint64_t transfers;                            /* of leadership that succeeded, so far */
  uint64_t step_downs[CORACLE_RAFT_REMOVED + 1]; /* of leaders, by reason, so far */
  struct server *servers[SERVERS_MAX];           /* server id is servers[id - 1] */
  size_t servers_n;
  struct letters datagrams;
  struct stream **streams;
  size_t streams_n;
  uint64_t streams_opened;
  bool blocked[SERVERS_MAX + 1][SERVERS_MAX + 1]; /* [from][to] */
  bool no_datagrams;                              /* all are lost; the streams go on */
  bool links_by_hand;                             /* leaders open no streams by themselves */
  cluster_watch *watch;                           /* told of every step, before its messages leave; or NULL */
  void *watcher;
};

/* A failed test says which run it was and where. */
__attribute__((format(printf, 2, 3), noreturn)) void cluster_fail(const struct cluster *, const char *format,
                                                                  ...);
#define CLUSTER_CHECK(cluster, condition, ...)                                                               \
  do {                                                                                                       \
    if (!(condition)) cluster_fail(cluster, __VA_ARGS__);                                                    \
  } while (0)

/* ---- Making one ---- */

struct cluster *cluster_new(const struct cluster_options *);
void cluster_free(struct cluster *);
/* A new server with the next id, started with an empty log; returns its id. The first is 1. */
uint64_t cluster_add(struct cluster *);
/* The same, but founding a cluster of itself. */
uint64_t cluster_found(struct cluster *);
/* Founded by server 1, the others joined and became voters; quiet, everything committed everywhere. */
struct cluster *cluster_of(size_t servers, uint64_t seed);
struct cluster *cluster_with(size_t servers, const struct cluster_options *);

/* ---- Servers ---- */

struct server *cluster_server(const struct cluster *, uint64_t id);
static inline const struct coracle_raft_status *status_of(const struct cluster *c, uint64_t id) {
  return &cluster_server(c, id)->status;
}
static inline bool leads(const struct cluster *c, uint64_t id) {
  return status_of(c, id)->role == CORACLE_RAFT_LEADER;
}
/* Gives a server the event, at the cluster's time. A step that fails must have changed nothing (checked). */
int cluster_step(struct cluster *, uint64_t id, struct coracle_raft_event *);
bool cluster_same_status(const struct coracle_raft_status *, const struct coracle_raft_status *);
int cluster_timeout(struct cluster *, uint64_t id); /* the time of its wake-up may or may not have come */
int cluster_campaign(struct cluster *, uint64_t id);
int cluster_receive(struct cluster *, uint64_t id, const struct coracle_raft_message *);
int cluster_propose(struct cluster *, uint64_t id, size_t bytes);
int cluster_change(struct cluster *, uint64_t id, const struct coracle_raft_configuration *);
int cluster_transfer(struct cluster *, uint64_t id, uint64_t target);
/* A read begins there; *read is its number. What became of it, and from which index on it may be answered. */
int cluster_read(struct cluster *, uint64_t id, uint64_t *read);
enum read_outcome cluster_read_outcome(const struct cluster *, uint64_t read, uint64_t *index);
size_t cluster_reads_waiting(const struct cluster *);
/* Adds a learner to the leader's configuration, or takes a member out of it. */
int cluster_add_member(struct cluster *, uint64_t leader, uint64_t id);
int cluster_remove_member(struct cluster *, uint64_t leader, uint64_t id);
void cluster_crash(struct cluster *, uint64_t id);
/* The same, but its disk completes that many of its writes before, and nobody hears of it. */
void cluster_crash_after(struct cluster *, uint64_t id, size_t writes);
/* Starts a server that crashed, with what is durable there. */
void cluster_restart(struct cluster *, uint64_t id);
/* The server that leads the newest term; 0: none does. */
uint64_t cluster_leader(const struct cluster *);
/* The term of the entry at that index of its log; 0: there is none. */
uint64_t cluster_term_at(const struct cluster *, uint64_t id, uint64_t index);
bool cluster_is_voter(const struct cluster *, uint64_t id, uint64_t member); /* as `id` knows it */

/* ---- Snapshots ---- */

/* It takes one of what it has applied, if its log up to there is durable, and keeps the one before too. */
int cluster_snapshot(struct cluster *, uint64_t id);
/* The core has taken it, and it is durable. */
void cluster_snapshot_durable(struct cluster *, struct server *, const struct coracle_raft_snapshot *,
                              const struct machine_state *);
/* It has lost all its images but the newest ones: chunks of others that are asked for are gone. */
void cluster_forget_images(struct cluster *, uint64_t id, size_t kept);
/* Answers the oldest of its core's requests for a chunk; false when there is none. */
bool cluster_answer_chunk(struct cluster *, uint64_t id);
/* The last index that is durable there, in the log or by a snapshot; and whether that entry is, of that
 * term. */
uint64_t cluster_durable_last(const struct server *);
bool cluster_is_durable(const struct cluster *, const struct server *, uint64_t index, uint64_t term);

/* ---- Disks ---- */

/* Its disk completes the writes up to that sequence, or all of them. */
void cluster_sync_to(struct cluster *, uint64_t id, uint64_t sequence);
void cluster_sync(struct cluster *, uint64_t id);
void cluster_hold_disk(struct cluster *, uint64_t id, bool hold);

/* ---- The network ---- */

/* Nothing goes from one to the other; a stream between them is cut. */
void cluster_block(struct cluster *, uint64_t from, uint64_t to, bool block);
void cluster_isolate(struct cluster *, uint64_t id); /* from all, both ways */
void cluster_heal(struct cluster *);
void cluster_open(struct cluster *, uint64_t leader, uint64_t follower);
/* Some leader opens a stream that it can open; false when there is none. */
bool cluster_open_any(struct cluster *);
/* Ends the stream, what is underway on it is lost; the sides are told one by one or by settling. */
void cluster_cut(struct cluster *, uint64_t leader, uint64_t follower);
void cluster_tell(struct cluster *, uint64_t leader, uint64_t follower, enum side);
/* The oldest message of that kind underway, or NULL. */
const struct coracle_raft_message *cluster_find(struct cluster *, uint64_t from, uint64_t to,
                                                enum coracle_raft_message_type);
/* It arrives, or is lost. There must be one. */
void cluster_deliver(struct cluster *, uint64_t from, uint64_t to, enum coracle_raft_message_type);
void cluster_drop(struct cluster *, uint64_t from, uint64_t to, enum coracle_raft_message_type);
/* Any datagram, or the first of any stream's direction, by position. */
void cluster_deliver_datagram(struct cluster *, size_t i, bool keep);
void cluster_drop_datagram(struct cluster *, size_t i);
void cluster_deliver_stream(struct cluster *, struct stream *, enum side to);
void cluster_tell_end(struct cluster *, struct stream *, enum side);
/* Streams that both sides have heard the end of go away. Moves the streams. */
void cluster_sweep_streams(struct cluster *);

/* ---- Letting things happen ---- */

/* Everything but the passing of time. */
void cluster_settle(struct cluster *);
void cluster_run(struct cluster *, uint64_t ms);
/* Runs until one server leads and every live member of its configuration has and has committed all of its
 * log; fails after that many election timeouts. Returns the leader. */
uint64_t cluster_converge(struct cluster *, uint64_t election_timeouts);

#endif
