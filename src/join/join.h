/* How processes that know nothing of each other but one UDP address become a cluster, and stay one: who binds
 * the election address, who may found, the handshake with the leader (ACCEPT, CREDENTIALS, SAVED), and which
 * nodes the leader takes in and lets go. Pure: events in, actions out.
 *
 *     struct join *join = join_new(&options, now_ms);
 *     join_tick(join, &situation, now_ms);                    // at start, and when join_wakeup_ms() says
 *     join_receive(join, &situation, &datagram, now_ms);      // a datagram of the handshake
 *     while (join_next_action(join, &action)) ...             // carry out, in order
 *
 * The bind picks who asks; Raft's vote decides. Winning the address lets a fresh node found after listening
 * for a cluster, and a voter campaign; whoever follows a leader lets go of it. Across hosts (options.peers)
 * every node has an election address of its own for life, and there is nothing to bind: one node alone may
 * found, when all others have said in one round that they are fresh. docs/election.md tells the whole story.
 *
 * `situation` is what the consensus core knows at the moment of the call; after anything that may have
 * changed it (a role, a configuration, a link) call join_tick(). */
#ifndef CORACLE_JOIN_JOIN_H
#define CORACLE_JOIN_JOIN_H

#include "join/message.h"

struct join_options {
  const char *name; /* of this node; copied */
  uint64_t id;      /* of this node, until it starts afresh */
  uint64_t start;   /* of this node: grows with every start, and the token is of this one */
  uint64_t seed;
  struct address election;
  /* Across hosts: the election addresses of all nodes, this one's included, each of which is its node's own
   * and only UDP socket. Empty: all nodes share one election address. */
  struct address_list peers;
  uint32_t expect; /* the leader takes no writes before so many voters were in; 0: as many as peers, or 1 */
  struct address udp;  /* of this node's own socket */
  struct address http; /* where others reach its HTTP port */
  uint8_t token[JOIN_TOKEN_BYTES];
  uint8_t cluster[JOIN_CLUSTER_BYTES]; /* to which it belonged when it ended; zero: it starts fresh */
  bool memory_storage;                 /* what it knows ends with it: it never comes back under this id */
  uint32_t heartbeat_ms;
  uint32_t election_timeout_ms;
};

struct join_situation {
  bool member;      /* it belongs to a cluster: the rest means something */
  bool established; /* its log holds a client's command or a configuration of two voters or more */
  struct coracle_raft_status raft;
  const struct coracle_raft_configuration *configuration;
};

struct join_datagram {
  struct address source;
  uint8_t cluster[JOIN_CLUSTER_BYTES]; /* the sender's; zero: none */
  uint64_t from;                       /* the sender's id */
  uint64_t start;                      /* the sender's */
  uint64_t term;
  const struct join_message *message;
};

enum join_action_type {
  JOIN_DO_SEND,     /* message to `to_id` (0: whoever holds the address) at `to` */
  JOIN_DO_BIND,     /* try to bind the election address; answer with join_bound() or join_taken() */
  JOIN_DO_RELEASE,  /* let go of it */
  JOIN_DO_FOUND,    /* start a consensus core that founds cluster `cluster` with `configuration` */
  JOIN_DO_ADOPT,    /* start an empty one that waits for the leader of `cluster` */
  JOIN_DO_YIELD,    /* drop the core and its log, take the id join_id() and be fresh */
  JOIN_DO_CAMPAIGN, /* the address was won, or across hosts the leader's stream has ended: ask for votes */
  JOIN_DO_CHANGE,   /* leader: change to `configuration`, provided that the latest one is still that of
                       `base_index`; `text` says what changes, to be logged if it does */
  JOIN_DO_LINK,     /* leader: open a replication stream to member `to_id` at `to` with `token`, unless one is
                       open */
  JOIN_DO_OPEN_HTTP,
  JOIN_DO_LOG, /* `text` */
};

enum join_log_level { JOIN_LOG_WARN, JOIN_LOG_INFO, JOIN_LOG_DEBUG };

struct join_action {
  enum join_action_type type;
  struct address to;
  uint64_t to_id;
  struct join_message message;
  uint8_t cluster[JOIN_CLUSTER_BYTES];
  uint8_t token[JOIN_TOKEN_BYTES];
  struct coracle_raft_configuration configuration;
  uint64_t base_index; /* CHANGE: of the configuration entry that `configuration` was made from */
  enum join_log_level level;
  char text[256];
};

struct join;
struct join *join_new(const struct join_options *, uint64_t now_ms);
void join_free(struct join *); /* NULL is fine */

void join_tick(struct join *, const struct join_situation *, uint64_t now_ms);
void join_bound(struct join *, const struct join_situation *, uint64_t now_ms);
void join_taken(struct join *, const struct join_situation *, uint64_t now_ms);
void join_receive(struct join *, const struct join_situation *, const struct join_datagram *,
                  uint64_t now_ms);
/* The leader's stream to this node has ended: the address may come free any moment. */
void join_stream_ended(struct join *, const struct join_situation *, uint64_t now_ms);
/* The member refused the token it was shown: a new handshake is needed. */
void join_token_refused(struct join *, uint64_t id, const uint8_t token[JOIN_TOKEN_BYTES]);

/* Any valid datagram from that node: where it is. Only a newer (start, counter) moves it. `raft`: one of
 * Raft's, in this node's cluster. */
void join_heard(struct join *, uint64_t id, const struct address *source, uint64_t start, uint64_t counter,
                bool raft, uint64_t now_ms);
/* Where that node's UDP socket is: as last heard, else as the configuration says. False when not known. */
bool join_find_address(const struct join *, const struct join_situation *, uint64_t id, struct address *);

bool join_next_action(struct join *, struct join_action *);
/* When join_tick() is due, whatever else happens. */
uint64_t join_wakeup_ms(const struct join *);

uint64_t join_id(const struct join *);
const uint8_t *join_cluster(const struct join *); /* JOIN_CLUSTER_BYTES; all zero: fresh */
/* The write token of the leader whose credentials this node has; NULL when it has none. */
const uint8_t *join_leader_token(const struct join *, uint64_t leader);
/* One sentence on why there is no leader, for people. Valid until the next call on this join. */
const char *join_no_leader_reason(struct join *, const struct join_situation *, uint64_t now_ms);
/* NULL, or one sentence on why a leader must not take writes: another established cluster is about, or not
 * all the voters that are expected have come yet. Valid until the next call on this join. */
const char *join_writes_stopped(struct join *, const struct join_situation *);
/* The cluster has removed this node, which is not to campaign any more. */
bool join_is_removed(const struct join *);

#endif
