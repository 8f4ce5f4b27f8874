/* What the files of join/ share:
 *
 *   join.c       the calls of join.h, the order of things in a tick
 *   bind.c       who holds the election address, founding and yielding
 *   orphan.c     learners whose founder is gone: when they start afresh
 *   peers.c      the same across hosts: probes before the founding, and who asks for votes when
 *   handshake.c  ACCEPT, CREDENTIALS, SAVED: the follower's side and the leader's
 *   members.c    what the leader changes in the configuration
 *   book.c       where nodes were last heard */
#ifndef CORACLE_JOIN_CORE_H
#define CORACLE_JOIN_CORE_H

#include "base/random.h"
#include "join/join.h"

enum {
  BOOK_MAX = 64,         /* nodes remembered by address */
  TABLE_MAX = 32,        /* nodes whose credentials a leader keeps, members and those that would be */
  LISTEN_HEARTBEATS = 4, /* how long a fresh holder of the address listens for a cluster before it founds */
  LATE_HEARTBEATS = 2,   /* without a word from the leader */
  SLEPT_HEARTBEATS = 2,  /* between two ticks: this process was stopped, or had no processor */
  BIND_EAGER_MS = 1,     /* between attempts in the first heartbeat after a stream ended */
  RIVAL_MS = 10000,      /* how long another established cluster is remembered; between complaints about it */
  REASON_BYTES_MAX = 2048, /* of a reason with its NUL: room for every member's name */
  SENTENCE_BYTES_MAX = 256,
};

struct book_entry {
  uint64_t id; /* 0: free */
  struct address source;
  uint64_t start, counter; /* of the newest datagram */
  uint64_t heard_ms;
};

/* Where the configuration says that a member is. */
struct configured {
  uint64_t id;
  struct address udp;
};

/* A node that has sent this leader its ACCEPT, and its credentials: step 7. */
struct table_entry {
  uint64_t id; /* 0: free */
  struct join_card card;
  bool has_token; /* false: it has sent its ACCEPT only */
  uint8_t token[JOIN_TOKEN_BYTES];
  uint64_t heard_ms;
};

enum peer_answer {
  PEER_SILENT,
  PEER_FRESH,
  PEER_MEMBER, /* it belongs to a cluster */
  PEER_OTHER_LIST,
};

/* One of options.peers, as a fresh node that may found knows it. */
struct peer {
  enum peer_answer answer;            /* the last one */
  uint64_t round;                     /* of it */
  uint64_t answered_ms;               /* 0: never */
  char name[JOIN_NAME_BYTES_MAX + 1]; /* as of that answer */
  uint64_t other_list_logged_ms;      /* 0: never */
};

enum handshake_state {
  HANDSHAKE_NONE,
  HANDSHAKE_ACCEPT,      /* ACCEPT sent, waiting for the leader's credentials */
  HANDSHAKE_CREDENTIALS, /* they came and ours were sent, waiting for SAVED */
  HANDSHAKE_SAVED,
};

struct join {
  struct join_options options; /* id changes when the node starts afresh */
  char name[JOIN_NAME_BYTES_MAX + 1];
  struct random random;
  uint64_t now_ms;
  uint64_t ticked_ms; /* of the last join_tick() */
  uint64_t started_ms;
  uint64_t awake_ms; /* since when it has been awake: the silence of others counts from then on */
  uint8_t cluster[JOIN_CLUSTER_BYTES]; /* zero: fresh */

  /* The election address. */
  bool holding;
  bool bind_pending;   /* asked for, not answered */
  bool bind_announced; /* the attempt was logged in this leaderless spell */
  bool taken_announced;
  uint64_t bind_next_ms;        /* no attempt before */
  uint64_t bind_eager_until_ms; /* until then every BIND_EAGER_MS */
  uint64_t rest_until_ms;       /* a candidate that could not win leaves the address to others until then */
  uint64_t holding_since_ms;    /* holder */
  bool campaign_pending;        /* CAMPAIGN is queued: the role will show it a moment later */
  uint64_t taken_since_ms;      /* somebody else has had it since, 0: not known to be taken */
  uint64_t answered_ms;         /* when its holder last answered anything */

  /* Across hosts. */
  bool peers_announced;                         /* the first step was logged, since it was fresh last */
  uint64_t probe_round;                         /* 0: none is under way */
  uint64_t probe_round_ms;                      /* its beginning */
  uint64_t probe_next_ms;                       /* when to ask again who has not answered */
  uint64_t witnessed[CORACLE_RAFT_MEMBERS_MAX]; /* an orphan's: the round in which that member was found to
                                                   know nothing more, or to be gone */
  struct peer peers[ADDRESS_LIST_MAX];
  uint64_t strangers_list_logged_ms; /* the list of somebody who is none of them; 0: never */
  uint64_t other_list_ms;            /* another list was heard of; 0: never */
  char other_list[SENTENCE_BYTES_MAX];
  uint64_t lowest_said_ms; /* why the node that may found does not yet; 0: it has said nothing */
  char lowest_said[JOIN_TEXT_BYTES_MAX + 1];
  uint64_t campaign_at_ms; /* when to ask for votes; 0: not planned */

  /* Other clusters, as a fresh node hears of them. */
  uint64_t foreign_heard_ms; /* 0: never */
  char foreign[SENTENCE_BYTES_MAX];
  uint64_t rival_heard_ms;  /* another established cluster; 0: never */
  uint64_t rival_logged_ms; /* 0: never */

  /* Following. */
  enum handshake_state handshake;
  uint64_t handshake_leader, handshake_term;
  struct address handshake_address;
  char handshake_name[JOIN_NAME_BYTES_MAX + 1];
  uint8_t leader_token[JOIN_TOKEN_BYTES];
  uint64_t accept_next_ms; /* when to send again */
  bool accept_announced;   /* logged for this leader */
  uint64_t leaderless_since_ms;
  uint64_t cluster_heard_ms; /* when this node's own cluster last gave a sign of life: somebody in it who may
                                lead it, or knows that it is established */
  bool http_open;
  bool removed; /* the cluster has told so: it stays out until it is started with another data directory */
  char refused[JOIN_TEXT_BYTES_MAX +
               1]; /* why the leader will not have this node; empty: it has not said so */

  /* Leading. */
  uint64_t leading_term; /* 0: not leading */
  uint64_t announce_next_ms;
  struct table_entry table[TABLE_MAX];
  uint64_t blocked_logged; /* the voter last named as blocking a promotion */

  struct book_entry book[BOOK_MAX];
  struct configured configured[CORACLE_RAFT_MEMBERS_MAX]; /* by the configuration of this index */
  uint64_t configured_index;

  struct join_action *actions;
  size_t actions_n, actions_next, actions_capacity;
  char reason[REASON_BYTES_MAX];
  char writes_stopped[SENTENCE_BYTES_MAX];
};

static inline bool join_is_fresh(const struct join *j) {
  static const uint8_t zero[JOIN_CLUSTER_BYTES];
  return memcmp(j->cluster, zero, sizeof zero) == 0;
}
/* It has just founded, adopted or yielded: the situation is still that of the core before. */
static inline bool join_is_between_cores(const struct join *j, const struct join_situation *s) {
  return join_is_fresh(j) == s->member;
}
static inline bool join_leads(const struct join_situation *s) {
  return s->member && s->raft.role == CORACLE_RAFT_LEADER;
}
static inline bool join_hears_leader(const struct join_situation *s) {
  return s->member && s->raft.hears_leader;
}
static inline bool join_has_peers(const struct join *j) {
  return j->options.peers.n > 0;
}
static inline bool join_elapsed(const struct join *j, uint64_t since_ms, uint64_t span_ms) {
  return j->now_ms >= since_ms && j->now_ms - since_ms >= span_ms;
}

/* join.c */
/* A new action at the end of the queue, to be completed in place before the next is made. */
struct join_action *join_act(struct join *, enum join_action_type);
__attribute__((format(printf, 3, 4))) void join_log(struct join *, enum join_log_level, const char *format,
                                                    ...);
void join_send(struct join *, const struct address *to, uint64_t to_id, const struct join_message *);
struct join_card join_card(const struct join *, const struct join_situation *);
/* The cluster has never had the voters it expects. */
bool join_is_waiting(const struct join_situation *);
const char *join_hex(const uint8_t cluster[JOIN_CLUSTER_BYTES], char text[2 * JOIN_CLUSTER_BYTES + 1]);

/* bind.c */
void bind_found(struct join *);
/* A cluster that nobody leads just now will come back to life: while it is heard of, a fresh node founds
 * nothing. */
bool bind_hears_foreign_cluster(const struct join *);
void bind_tick(struct join *, const struct join_situation *);
void bind_release(struct join *);
void bind_hear_card(struct join *, const struct join_situation *, const struct join_datagram *,
                    const struct join_card *);
void bind_yield(struct join *, const char *why);

/* orphan.c */
void orphan_tick(struct join *, const struct join_situation *);
void orphan_receive_probed(struct join *, const struct join_situation *, const struct join_datagram *);
/* A learner whose founder is away with its disk: it, and others, may count on this node. */
bool orphan_waits(const struct join *, const struct join_situation *);
/* A learner to which there is still a stream: what it says of itself may be out of date in a moment. */
bool orphan_may_yet_learn(const struct join_situation *, uint64_t self);
void orphan_reason(struct join *, const struct join_situation *);

/* peers.c */
/* A round of probes: answers count together only where they are of one round. */
bool peers_round_is_over(const struct join *);
void peers_begin_round(struct join *);
void peers_probe(struct join *, const struct join_situation *, const struct address *);
void peers_tick(struct join *, const struct join_situation *);
void peers_stream_ended(struct join *);
/* It may found, and wants to hear from this one, which has just spoken. */
void peers_meet(struct join *, const struct join_situation *, const struct join_datagram *);
void peers_receive_probe(struct join *, const struct join_situation *, const struct join_datagram *);
void peers_receive_probed(struct join *, const struct join_situation *, const struct join_datagram *);
/* Why the founder does not found yet. */
void peers_receive_not_yet(struct join *, const struct join_datagram *);
/* Of a fresh node, into j->reason: why there is no cluster yet. */
void peers_reason(struct join *);

/* handshake.c */
void handshake_tick(struct join *, const struct join_situation *);
void handshake_receive(struct join *, const struct join_situation *, const struct join_datagram *);
void handshake_reset(struct join *);
/* An ACCEPT that came when this node did not lead yet. */
void handshake_answer_late(struct join *, const struct join_situation *, const struct table_entry *asked);

/* members.c */
void members_tick(struct join *, const struct join_situation *);
/* An ACCEPT came: true if its sender was not known before in this term or, while nobody leads, at all. */
bool members_meet(struct join *, const struct join_situation *, const struct join_datagram *);
/* Step 7: keeps the follower's credentials. */
void members_save(struct join *, const struct join_situation *, const struct join_datagram *);
/* Is that name or HTTP address a live member's? Then `who` says whose. */
bool members_taken(const struct join *, const struct join_situation *, uint64_t id, const struct join_card *,
                   struct join_member *who);

/* Node `id`, which says `card` of itself, is where that member was: under its name, at its HTTP address or,
 * across hosts, at its election address. */
bool members_is_same_node(const struct join *, const struct join_member *member, uint64_t id,
                          const struct join_card *card);

/* book.c */
/* To be called when the configuration may have changed. */
void book_read_configuration(struct join *, const struct join_situation *);
uint64_t book_heard_ms(const struct join *, uint64_t id);             /* 0: never */
const struct address *book_address(const struct join *, uint64_t id); /* NULL: never heard */

#endif
