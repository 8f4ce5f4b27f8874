/* One whole node, without a socket, a clock or a thread: what happens goes in as events, what is to be done
 * comes out as effects. The libuv shell (net/) drives it in the real world, and a simulator can drive many in
 * one process.
 *
 *     node_step(node, &event);            // any number of them: one turn
 *     while (node_next_effect(node, now_ms, &effect)) carry_out(&effect);   // may cause further events
 *
 * node_step() only notes and computes; node_next_effect() ends the turn when it has given out all effects:
 * what was proposed in the turn goes into the log as one batch, and each connection's answers leave as one
 * WRITE. Carrying out an effect must not call node_step() from inside; feed what it caused (a bind that
 * succeeded) as the next event. */
#ifndef CORACLE_NODE_NODE_H
#define CORACLE_NODE_NODE_H

#include "api/api.h"
#include "base/address.h"
#include "join/message.h"

enum { NODE_NAME_BYTES_MAX = 64, NODE_SECRET_BYTES = 32, NODE_ENTROPY_BYTES = 32 };

struct node;

/* A TCP connection, either way. Made by node_accept() or by a CONNECT effect, and released inside node_step()
 * of its NODE_CLOSED, which the shell must report exactly once for each. */
struct node_stream;
/* The shell's own pointer for a stream; NULL until set. */
void *node_stream_user(const struct node_stream *);
void node_stream_set_user(struct node_stream *, void *user);

/* What a node with durable storage had when it ended. Borrowed during node_new(). */
struct node_restored {
  uint8_t cluster[JOIN_CLUSTER_BYTES]; /* zero: it belonged to none */
  struct coracle_raft_restored raft;
  /* Reads the image of raft.snapshot, piece by piece: an empty one at the end; each is borrowed until the
   * next call. False when it cannot be read. NULL without a snapshot. */
  bool (*next_image)(void *image, struct slice *piece);
  void *image;
};

/* One thing for storage to make durable. They are done in the order given, none is left out, and a crash
 * loses only a tail of them. Lives like any effect. */
struct node_persist {
  uint64_t sequence; /* greater than any before in this process */
  /* The node's id and cluster have changed, and everything durable of before is to be discarded first, all in
   * one. (A node that founds or joins a cluster, or leaves one.) */
  bool identity;
  uint64_t id;
  uint8_t cluster[JOIN_CLUSTER_BYTES];
  /* The image in it is one that this node has taken: where there is no room for it, it is left out, and
   * PERSISTED says so. For any other, storage waits until there is room. */
  bool own_image;
  const struct coracle_raft_persist *raft; /* NULL: nothing. Its own `sequence` is of no interest here */
};

struct node_options {
  const char *name; /* 1 to NODE_NAME_BYTES_MAX bytes; copied */
  uint64_t id;      /* random, not zero */
  uint64_t start;   /* grows with every start under one id: others drop what is of an older one as replayed */
  uint64_t seed;    /* random: of everything in the node that draws lots */
  uint8_t token[WRITE_TOKEN_BYTES];        /* random: this start's write token */
  uint8_t store_key[STORE_HASH_KEY_BYTES]; /* random */
  uint8_t secret[NODE_SECRET_BYTES];       /* the cluster's: the same on all nodes */
  uint8_t entropy[NODE_ENTROPY_BYTES];     /* random and never used before: what is sealed rests on that */
  struct address election;                 /* the well-known UDP address */
  /* Across hosts: the election addresses of all nodes, each its node's own and only UDP socket. `election` is
   * this node's, one of them, and is bound as `udp` already: there is no BIND, RELEASE, BOUND or TAKEN.
   * Empty: all nodes share one election address. */
  struct address_list peers;
  uint32_t expect; /* the leader takes no writes before so many voters were in; 0: as many as peers, or 1 */
  struct address udp;  /* of this node's own UDP socket, bound */
  struct address http; /* where others reach its HTTP port, bound and listening */
  uint32_t heartbeat_ms;
  uint32_t election_timeout_ms;
  size_t document_bytes_max;
  size_t connections_max;
  enum api_follower_writes follower_writes;
  bool loopback;            /* see struct api_options; likewise */
  const char *cors_origins; /* copied */
  uint64_t data_bytes_max;  /* of all documents (collections, ids and bodies): beyond it only deletes are
                               taken; 0: no  limit */
  uint64_t wall_ms;         /* now, since 1970 */
  uint64_t compact_bytes;   /* see struct replica_options; 0: 64 MiB */
  uint32_t chunk_bytes_max; /* of an image in one frame; 0: 128 KiB */
  size_t operations_per_turn; /* see struct replica_options */
  bool durable; /* storage is PERSIST effects and PERSISTED events; false: memory, which ends with the node */
  const struct node_restored *restored; /* durable: what it had under options.id; NULL: it is new */
};

struct node *node_new(const struct node_options *, uint64_t now_ms);
void node_free(struct node *); /* NULL is fine. Streams not yet closed are released too */

enum node_event_type {
  NODE_START,     /* once, first */
  NODE_TICK,      /* the time asked for has come */
  NODE_DATAGRAM,  /* on either UDP socket: from, data */
  NODE_BOUND,     /* the election address is this node's now */
  NODE_TAKEN,     /* somebody else has it */
  NODE_CONNECTED, /* stream: an outbound connection is established */
  NODE_RECEIVED,  /* stream, data */
  NODE_DRAINED,   /* stream: all that was written has left */
  NODE_ENDED,     /* stream: the other side will send no more; it may still read. The node will CLOSE it */
  NODE_CLOSED, /* stream: it has ended, failed, or could not be established; the pointer is dead after this,
                  and no effect names it any more */
  NODE_PERSISTED, /* everything up to persist sequence `sequence` is durable */
  NODE_STORAGE,   /* `full`: storage has no room for more than what is under way; or it has room again */
  NODE_STOP,      /* SIGTERM: answer what waits and close; NODE_EXIT comes when done */
};

struct node_event {
  enum node_event_type type;
  uint64_t now_ms;  /* monotonic */
  uint64_t wall_ms; /* since 1970, UTC: for ids and timestamps in answers only */
  struct node_stream *stream;
  struct address from; /* DATAGRAM */
  const uint8_t *data; /* DATAGRAM, RECEIVED: the caller's */
  size_t n;
  uint64_t sequence;  /* PERSISTED */
  bool image_refused; /* PERSISTED: there was no room for an image of this node's own; nothing of it is stored
                       */
  bool full;          /* STORAGE */
};

/* A client connected to the HTTP port. NULL when there are too many: close it. */
struct node_stream *node_accept(struct node *, uint64_t now_ms);

void node_step(struct node *, const struct node_event *);

enum node_effect_type {
  NODE_SEND,      /* a datagram from the node's own UDP socket: to, data, n */
  NODE_BIND,      /* try to bind the election address, exclusively; answer with BOUND or TAKEN */
  NODE_RELEASE,   /* close the election socket */
  NODE_OPEN_HTTP, /* from now on accept connections */
  NODE_CONNECT,   /* stream: connect it to `to`; answer with CONNECTED or CLOSED */
  NODE_WRITE,     /* stream: data, n; in order. Report DRAINED when all writes so far have left */
  NODE_PAUSE,     /* stream: read no more */
  NODE_RESUME,    /* stream: read again */
  NODE_CLOSE,     /* stream: let what was written leave (for at most five seconds), then close; answer CLOSED.
                     Nothing more is     received from it */
  NODE_LOG,       /* level, text */
  NODE_WAKE,      /* TICK no later than at_ms; replaces the one before */
  NODE_PERSIST,   /* persist; answer with PERSISTED. Only with options.durable */
  NODE_EXIT,      /* end the process with `status` */
};

enum node_log_level { NODE_LOG_ERROR, NODE_LOG_WARN, NODE_LOG_INFO, NODE_LOG_DEBUG };

/* Pointers live until the next call of node_step(), node_accept() or node_next_effect(). */
struct node_effect {
  enum node_effect_type type;
  struct node_stream *stream;
  struct address to;
  const uint8_t *data;
  size_t n;
  uint64_t at_ms;
  enum node_log_level level;
  const char *text; /* one line, no newline */
  const struct node_persist *persist;
  int status;
};

bool node_next_effect(struct node *, uint64_t now_ms, struct node_effect *);

#endif
