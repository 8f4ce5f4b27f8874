/* What the files of node/ share:
 *
 *   node.c         the calls of node.h: events in, the end of a turn
 *   effects.c      the queue of effects, and each stream's output
 *   consensus.c    drives replica/ and join/ and carries out what they want
 *   datagrams.c    envelopes in and out
 *   links.c        replication streams, to followers and from the leader
 *   clients.c      HTTP connections: requests in order, answers in order, deadlines
 *   forward.c      a follower's connection to the leader, for --follower-writes=forward
 *   view.c         what the endpoints show of the node */
#ifndef CORACLE_NODE_CORE_H
#define CORACLE_NODE_CORE_H

#include "base/list.h"
#include "base/queue.h"
#include "base/random.h"
#include "http/response.h"
#include "join/join.h"
#include "node/node.h"
#include "wire/datagram.h"
#include "wire/raft_message.h"

enum {
  PIPELINE_MAX = 256,               /* requests of one connection not yet answered */
  UNDRAINED_BYTES_MAX = 256 * 1024, /* written to one client and not yet gone: no more requests are read */
  FORWARDED_MAX = 1024,             /* requests at the leader, not yet answered */
  UPGRADE_ANSWER_BYTES_MAX = 4096,
  HEAD_DEADLINE_MS = 10000,
  BODY_DEADLINE_MS = 30000,
  IDLE_DEADLINE_MS = 120000,
  DRAIN_DEADLINE_MS = 30000, /* a client that reads nothing for so long */
  LINK_DEADLINE_MS = 5000,   /* from connecting to the first frame */
  DEADLINE_CHECK_MS = 500,
  STOP_MS = 1000,       /* what SIGTERM gives connections to end */
  SLEPT_HEARTBEATS = 2, /* between two steps: this process was stopped, or had no processor */
  READING_MS = 10,      /* what it then takes to read its sockets before it looks at the clock */
};

/* A request that is being answered. */
struct call {
  struct list_link link;      /* in stream->calls, in order of arrival */
  struct node_stream *stream; /* NULL: the client has gone; released when the answer comes */
  struct api_call api;
  bool done; /* `answer` is complete */
  struct bytes answer;
};

enum stream_kind {
  STREAM_CLIENT,   /* inbound HTTP */
  STREAM_LEADER,   /* inbound, upgraded: frames from the leader */
  STREAM_FOLLOWER, /* outbound: frames to a follower */
  STREAM_FORWARD,  /* outbound HTTP, to the leader */
};

enum follower_link_state { LINK_CONNECTING, LINK_UPGRADING, LINK_OPEN };

struct node_stream {
  struct list_link link;  /* in node->streams */
  struct list_link dirty; /* in node->dirty: has output for the end of the turn */
  void *user;             /* the shell's */
  enum stream_kind kind;
  bool closing;            /* CLOSE is queued or given: nothing more is read or written */
  bool close_when_flushed; /* after the output of this turn */
  bool paused;
  struct bytes out;       /* for the next WRITE */
  struct bytes in;        /* received, not yet used */
  size_t undrained_bytes; /* given out, not yet reported DRAINED */
  uint64_t undrained_since_ms;
  uint64_t deadline_ms; /* by when something must have come; UINT64_MAX: no hurry */

  /* STREAM_CLIENT */
  struct http_parser *parser;
  enum http_waiting waiting;
  bool request_began;          /* since the deadline was set */
  struct http_request request; /* deferred: kept by the parser until the next execute */
  bool deferred;               /* `request` waits until the writes before it are answered */
  bool last_request;           /* what comes after is not read */
  bool ended;                  /* nothing more will come */
  struct list calls;           /* of struct call */
  size_t calls_n;

  /* STREAM_LEADER, STREAM_FOLLOWER */
  uint64_t peer;      /* LEADER: 0 until its HELLO */
  uint64_t peer_term; /* LEADER: of its HELLO */
  enum follower_link_state state;
  uint8_t token[WRITE_TOKEN_BYTES]; /* FOLLOWER: what it is to be shown */
  struct address peer_http;         /* FOLLOWER, FORWARD */

  /* STREAM_FORWARD */
  bool connected;
  struct http_response_parser *responses;
  struct queue forwarded; /* of struct call *, in order */
};

/* A message that waits for what it rests on to be durable. */
struct held {
  uint64_t after_sequence;
  struct address to; /* datagram */
  uint64_t peer; /* frame: to this peer's stream of this kind, if it is still `stream` (which may be gone) */
  enum stream_kind kind;
  struct node_stream *stream;
  struct bytes bytes;
};

/* An effect as queued: bytes and text lie in node->arena. */
struct queued_effect {
  struct node_effect effect;
  size_t arena_at;
  bool has_bytes;
  bool dropped; /* its stream has ended meanwhile */
};

/* What view.c prepares of each member; rebuilt when the configuration changes. */
struct member_text {
  uint64_t id;
  char name[JOIN_NAME_BYTES_MAX + 1];
  char http[ADDRESS_TEXT_MAX];
};

struct node {
  struct node_options options;
  char name[NODE_NAME_BYTES_MAX + 1];
  uint64_t now_ms, wall_ms, started_ms;
  uint64_t stepped_ms;       /* of the last node_step() */
  uint64_t reading_until_ms; /* until then nothing is judged by the clock */
  bool started, stopping, exited;
  uint64_t stop_deadline_ms;

  struct api *api;
  struct join *join;
  struct replica *replica;
  bool member;              /* the replica's core was started: this node belongs to a cluster */
  uint64_t founded_wall_ms; /* of its cluster, where this node founded it; else 0 */
  uint64_t raft_wakeup_ms;
  uint64_t node_ids; /* how often it started afresh */
  struct random random;

  /* What was logged last, so that each change is said once. */
  enum coracle_raft_role logged_role;
  uint64_t logged_term, logged_leader;
  uint64_t logged_configuration;

  uint64_t counter; /* of datagrams sent */
  uint64_t faults[DATAGRAM_FAULTS_N];
  uint64_t faults_logged_ms;
  struct queue held; /* of struct held */

  struct list streams; /* of struct node_stream */
  struct list dirty;
  size_t clients_n;
  struct node_stream *leader_stream;  /* from the leader, after its HELLO */
  struct node_stream *forward_stream; /* to the leader; NULL: none */
  uint64_t deadline_check_ms;
  bool http_open;

  struct queue effects; /* of struct queued_effect */
  struct bytes arena;
  struct node_stream *lent; /* its `out` was given out by the last effect */
  uint64_t wake_ms;         /* as last told the shell */

  struct api_view view;
  bool view_valid;
  struct api_member members[CORACLE_RAFT_MEMBERS_MAX];
  struct member_text texts[CORACLE_RAFT_MEMBERS_MAX];
  uint64_t texts_index, texts_term; /* of the configuration entry they were made from */
};

/* effects.c */
struct node_effect *effect_push(struct node *, enum node_effect_type, struct node_stream *);
void effect_send(struct node *, const struct address *to, const struct bytes *datagram);
__attribute__((format(printf, 3, 4))) void effect_log(struct node *, enum node_log_level, const char *format,
                                                      ...);
bool effect_pop(struct node *, struct node_effect *);
/* The stream has output: it leaves at the end of the turn. */
void node_stream_touch(struct node *, struct node_stream *);
void node_stream_close(struct node *, struct node_stream *);
/* Closes it after the output of this turn. */
void node_stream_close_after_flush(struct node *, struct node_stream *);
void node_stream_pause(struct node *, struct node_stream *, bool pause);
struct node_stream *node_stream_new(struct node *, enum stream_kind);
void node_stream_free(struct node *, struct node_stream *);

/* consensus.c */
void consensus_start(struct node *);
void consensus_tick(struct node *);
/* Gives the core an event and carries out its effects; false when the core refused it. */
bool consensus_step(struct node *, struct coracle_raft_event *);
void consensus_flush(struct node *);
/* Gives every request that waits for the log its answer now. */
void consensus_abandon(struct node *);
/* Until nothing is left to do: storage, results, join's actions. True if there was anything. */
bool consensus_settle(struct node *);
void consensus_situation(struct node *, struct join_situation *);
/* Something changed that join/ judges by: a link, a role. */
void consensus_changed(struct node *);
void consensus_role_changed(struct node *);

/* datagrams.c */
void datagram_receive(struct node *, const struct address *from, const uint8_t *data, size_t n);
void datagram_send_join(struct node *, const struct address *to, uint64_t to_id, const struct join_message *);
void datagram_build_raft(struct node *, const struct coracle_raft_message *, struct bytes *out);

/* links.c */
void link_open(struct node *, uint64_t peer, const struct address *http,
               const uint8_t token[WRITE_TOKEN_BYTES]);
void link_connected(struct node *, struct node_stream *);
void link_receive(struct node *, struct node_stream *);
void link_closed(struct node *, struct node_stream *);
/* Closes it; the core does not count on it any more. */
void link_end(struct node *, struct node_stream *);
/* A granted upgrade: the connection is a leader's from here on. */
void link_upgraded(struct node *, struct node_stream *);
/* The open stream that carries messages to that peer: a follower's if this node leads, else the leader's. */
struct node_stream *link_find(struct node *, uint64_t peer, enum stream_kind);
void link_close_followers(struct node *);

/* clients.c */
void client_receive(struct node *, struct node_stream *, const uint8_t *data, size_t n);
void client_ended(struct node *, struct node_stream *);
void client_closed(struct node *, struct node_stream *);
void client_complete(struct node *, struct call *);
void client_continue(struct node *, struct node_stream *);
void client_deadline(struct node *, struct node_stream *);

/* forward.c */
/* False when it cannot be: call->answer then says why. */
bool forward_submit(struct node *, struct call *, const struct http_request *);
void forward_connected(struct node *, struct node_stream *);
void forward_receive(struct node *, struct node_stream *);
void forward_closed(struct node *, struct node_stream *);
/* Closes it, and answers at once what waits for answers over it. */
void forward_end(struct node *, struct node_stream *);
void forward_leader_changed(struct node *);

/* view.c */
const struct api_view *node_view(struct node *);

#endif
