/* What the files of node/ share:
 *
 *   node.c         the calls of node.h: events in, the end of a turn
 *   effects.c      the queue of effects, and each stream's output
 *   consensus.c    drives replica/ and join/ and carries out what they want
 *   storage.c      what has to be durable, and what waits for it
 *   snapshots.c    images of the store to storage and to followers
 *   datagrams.c    envelopes in and out
 *   replays.c      which of them are copies
 *   links.c        replication streams, to followers and from the leader
 *   reports.c      what nodes tell each other over them beside Raft's messages
 *   clients.c      HTTP connections: requests in, one after another; bodies that are streamed; deadlines
 *   calls.c        requests under way: results, works in slices, answers in order
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
#include "wire/replay.h"
#include "wire/report.h"

enum {
  PIPELINE_MAX = 256,               /* requests of one connection not yet answered */
  UNDRAINED_BYTES_MAX = 256 * 1024, /* written to one client and not yet gone: no more requests are read */
  IMPORT_UNDRAINED_BYTES_MAX = 8 * 1024 * 1024, /* the same while the body of its request is streamed here */
  ANSWER_KEPT_BYTES = 2 * API_STREAM_BYTES,
  WORK_TURN_UNITS = 256 * 1024, /* of api_work(), for all in one turn: some 2 ms */
  WORK_SLICE_UNITS = 64 * 1024, /* for one, before the next has its turn */
  WORK_CALL_UNITS = 1024,       /* what a call of it costs at least */
  LARGE_BYTES = 64 * 1024, /* a body or an answer larger than this takes a while: a mebibyte to check, 5 ms */
  LARGE_TURN_BYTES =
      512 * 1024,       /* when there were so many bytes of such in a turn, all else waits for the next */
  FORWARDED_MAX = 1024, /* requests at the leader, not yet answered */
  UPGRADE_ANSWER_BYTES_MAX = 4096,
  FIRST_FRAME_BYTES_MAX = 256, /* of a stream: until it opens, its sender may be anybody */
  HEAD_DEADLINE_MS = 10000,
  BODY_DEADLINE_MS = 30000,
  STREAMED_DEADLINE_MS = 30000,        /* for so much of a body that is streamed, or for its end: ... */
  STREAMED_PROGRESS_BYTES = 64 * 1024, /* ... whatever there was of it before */
  STREAMED_PIECE_BYTES = 64 * 1024,    /* at most, and then it is seen whether more of it fits */
  IDLE_DEADLINE_MS = 120000,
  DRAIN_DEADLINE_MS = 30000, /* a client that reads nothing for so long */
  LINK_DEADLINE_MS = 5000,   /* from connecting to the first frame */
  DEADLINE_CHECK_MS = 500,
  STOP_MS = 1000,             /* what SIGTERM gives connections to end */
  DISK_FULL_BYTES_MAX = 1536, /* the sentence for clients: names of 16 members, and a little */
  SLEPT_HEARTBEATS = 2,       /* between two steps: this process was stopped, or had no processor */
  READING_MS = 10,            /* what it then takes to read its sockets before it looks at the clock */
  STORAGE_HANGS_MS = 5000,    /* with something on its way there, and nothing durable meanwhile */
  EXIT_STATUS_DIFFERENT = 3,  /* of the process, when its documents are not the leader's */
};

enum call_state {
  CALL_WAITS,   /* for a result, of the replica or of the leader */
  CALL_IS_DUE,  /* a read whose result is here: it is answered when those before it have been, and fit */
  CALL_WORKS,   /* is worked at in slices */
  CALL_STARVES, /* likewise, when more of its body is here */
  CALL_IS_DONE, /* the rest of its answer is in `answer` */
};

/* A request that is being answered. */
struct call {
  struct list_link link;      /* in stream->calls, in order of arrival */
  struct node_stream *stream; /* NULL: the client has gone; released when the answer comes */
  struct api_call api;
  enum call_state state;
  struct list_link runnable; /* in node->runnable: it can be worked at */
  bool is_write;
  bool body_streams;            /* of its request */
  bool begun;                   /* some of its answer is in stream->out, or has left */
  enum replica_verdict verdict; /* of one that is due */
  size_t starved_bytes;         /* of api.body, that were not enough for one that starves */
  struct bytes answer;          /* what is not in stream->out yet */
};

enum stream_kind {
  STREAM_CLIENT,   /* inbound HTTP */
  STREAM_LEADER,   /* inbound, upgraded: frames from the leader */
  STREAM_FOLLOWER, /* outbound: frames to a follower */
  STREAM_FORWARD,  /* outbound HTTP, to the leader */
};

/* Of a stream between nodes, in this order; a leader's begins with GREETING. */
enum link_state {
  LINK_CONNECTING,
  LINK_UPGRADING, /* the answer to the upgrade is waited for */
  LINK_GREETING,  /* the other side's random number is */
  LINK_PROVING,   /* its HELLO is: frames are sealed and opened from here on */
  LINK_OPEN,
};

struct node_stream {
  uint64_t serial;        /* of all streams of this node */
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
  bool deferred;               /* `request` waits until what is before it is answered, or for another turn */
  struct list_link put_off;    /* in node->put_off: for that */
  bool last_request;           /* what comes after is not read */
  bool ended;                  /* nothing more will come */
  struct list calls;           /* of struct call */
  size_t calls_n;
  struct call *receiving; /* the last one, while its body is streamed; NULL: none */
  size_t progress_bytes;  /* of that body, since the deadline was set */
  uint64_t paused_ms;     /* since when it is, if it is */

  /* STREAM_LEADER, STREAM_FOLLOWER */
  uint64_t peer;      /* LEADER: 0 until its HELLO */
  uint64_t peer_term; /* LEADER: of its HELLO */
  uint64_t opened_ms; /* FOLLOWER */
  enum link_state state;
  uint8_t random[SEAL_RANDOM_BYTES]; /* this side's, for the keys */
  struct seal_stream seal_out, seal_in;
  size_t out_ready; /* bytes of `out` that leave as they are; plain frames follow, to be sealed */
  uint8_t token[WRITE_TOKEN_BYTES];    /* FOLLOWER: what it is to be shown */
  struct address peer_http;            /* FOLLOWER, FORWARD */
  bool told_storage;                   /* LEADER: how this node's storage does, ... */
  enum storage_condition storage_told; /* ... namely so */

  /* STREAM_FORWARD */
  bool connected;
  struct http_response_parser *responses;
  struct queue forwarded; /* of struct call *, in order */
};

/* A message that waits for what it rests on to be durable. It is sealed when it leaves: datagrams are counted
 * and frames are numbered in that order. */
struct held {
  uint64_t after_sequence;  /* the node's */
  struct address to;        /* datagram */
  struct datagram datagram; /* all but what datagram_send() fills in; its body is `bytes` */
  uint64_t peer; /* frame: to this peer's stream of this kind, if it is still that one; 0: a datagram */
  enum stream_kind kind;
  uint64_t stream_serial;
  struct bytes bytes; /* plain: a frame, or a datagram's body */
};

/* Which datagrams of a node have come. */
enum { SENDERS_MAX = 64 };
struct sender {
  uint64_t id; /* 0: free */
  uint64_t heard_ms;
  struct replay_window window;
};

/* On its way to the disk. */
struct persisting {
  uint64_t sequence;      /* the node's */
  uint64_t core_sequence; /* the core's; 0: an identity, or of a core before */
  size_t bytes;
};

struct storage {
  uint64_t sequence;       /* the last one given out */
  uint64_t persisted;      /* the last one that is durable */
  uint64_t persisted_core; /* the core's, of the same; 0: none of this core's is */
  uint64_t identity; /* the one that brought the identity of now: nothing leaves before it; 0: it was there */
  bool identity_due; /* the next one brings an identity */
  uint64_t id;       /* the identity as last given out: join/ may be ahead of it */
  uint8_t cluster[JOIN_CLUSTER_BYTES];
  struct queue persisting; /* of struct persisting, oldest first */
  size_t unstored_bytes;   /* of what is on its way to the disk, and of what waits for it */
  uint64_t moved_ms;       /* when something last became durable, or began to wait for it */
  bool full;               /* there is no room on it for more than that */
};

/* An effect as queued: bytes and text lie in node->arena. */
struct queued_effect {
  struct node_effect effect;
  size_t arena_at;
  bool has_bytes;
  bool dropped;                  /* its stream has ended meanwhile */
  struct persist_copy *persists; /* what effect.persist points to, owned; NULL: no PERSIST */
};

/* What the follower over whose open stream it came has said of its storage. */
struct peer_storage {
  uint64_t id;
  enum storage_condition condition;
};

/* What view.c prepares of each member; rebuilt when the configuration changes. */
struct member_text {
  uint64_t id;
  char name[JOIN_NAME_BYTES_MAX + 1];
  char http[ADDRESS_TEXT_MAX];
  bool memory_storage;
};

struct node {
  struct node_options options;
  char name[NODE_NAME_BYTES_MAX + 1];
  uint64_t now_ms, wall_ms, started_ms;
  uint64_t stepped_ms;       /* of the last node_step() */
  uint64_t reading_until_ms; /* until then nothing is judged by the clock */
  bool started, stopping, exited;
  bool in_turn;
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
  uint64_t committed_configuration; /* the last one known to be: the next change may begin */

  struct seal_keys keys;
  struct seal_source source; /* of nonces, and of random numbers for streams */
  uint64_t counter;          /* of datagrams sent */
  struct sender senders[SENDERS_MAX];
  uint64_t faults[DATAGRAM_FAULTS_N];
  uint64_t faults_logged_ms;

  struct storage storage;
  enum storage_condition storage_logged; /* how it does, as the log has it */
  struct peer_storage peers_storage[CORACLE_RAFT_MEMBERS_MAX];
  size_t peers_storage_n;
  uint64_t states_told;    /* index of the newest state that followers were told; 0: none */
  uint64_t image_sequence; /* of the last chunk of an own image; the node's */
  struct queue held;       /* of struct held */

  struct list streams; /* of struct node_stream */
  uint64_t streams_made;
  struct list dirty;
  struct list runnable; /* of struct call, in the order in which they are worked at */
  size_t work_units;    /* left in this turn */
  struct list
      put_off;        /* of struct node_stream, that have a request or an answer to be made in another turn */
  size_t large_bytes; /* of such as are large, that may still be in this turn */
  size_t clients_n;
  struct node_stream *leader_stream;  /* from the leader, after its HELLO */
  struct node_stream *forward_stream; /* to the leader; NULL: none */
  uint64_t deadline_check_ms;
  bool http_open;

  struct queue effects; /* of struct queued_effect */
  struct bytes arena;
  struct node_stream *lent;          /* its `out` was given out by the last effect */
  struct persist_copy *lent_persist; /* was given out by the last effect; NULL: none */
  uint64_t wake_ms;                  /* as last told the shell */

  struct api_view view;
  bool view_valid;
  struct api_member members[CORACLE_RAFT_MEMBERS_MAX];
  struct member_text texts[CORACLE_RAFT_MEMBERS_MAX];
  uint64_t texts_index, texts_term; /* of the configuration entry they were made from */
  char disk_full[DISK_FULL_BYTES_MAX];
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
/* It is a member from the start, with what was durable. */
void consensus_restore(struct node *, const struct node_restored *);
void consensus_tick(struct node *);
/* What a step of the core wants, but for what is the replica's. */
void consensus_carry_out(struct node *, const struct coracle_raft_effects *);
/* Gives the core an event and carries out its effects; false when the core refused it. */
bool consensus_step(struct node *, struct coracle_raft_event *);
void consensus_flush(struct node *);
/* There is something to flush. */
bool consensus_has_queued(const struct node *);
/* Gives every request that waits for the log its answer now. */
void consensus_abandon(struct node *);
/* Until nothing is left to do: storage, results, join's actions. True if there was anything. */
bool consensus_settle(struct node *);
void consensus_situation(struct node *, struct join_situation *);
/* Something changed that join/ judges by: a link, a role. */
void consensus_changed(struct node *);
/* NULL when the configuration does not have it; else in *info. */
const char *consensus_member_name(struct node *, uint64_t id, struct join_member *info);
void consensus_role_changed(struct node *);

/* storage.c */
void storage_start(struct node *);
/* One step's wishes of the core; before its messages, which may rest on them. */
void storage_persist(struct node *, const struct coracle_raft_persist *);
/* A chunk of an image of the replica's own. Returns the node's sequence for it. */
uint64_t storage_persist_image(struct node *, const struct coracle_raft_persist *);
/* Founding, adopting, yielding: a new identity begins, and is given to the disk together with what the new
 * core wants first, or alone. */
void storage_begin_identity(struct node *);
void storage_end_identity(struct node *);
/* False: join/ has taken another identity already, and nothing of the one before is to be said any more. */
bool storage_identity_is_current(const struct node *);
/* The node's sequence for one of the core's; for 0 too: nothing leaves before the identity it bears. */
uint64_t storage_sequence_of(const struct node *, uint64_t core_sequence);
bool storage_has(const struct node *, uint64_t sequence);
/* Takes over held->bytes, and sends them when what they rest on is durable. */
void storage_send(struct node *, struct held *);
void storage_persisted(struct node *, uint64_t sequence);
/* There is no room on it any more, or there is again. */
void storage_has_room(struct node *, bool room);
/* Memory storage: it has everything at once. True if there was anything. */
bool storage_settle(struct node *);
/* The disk is so far behind that nothing more is to be taken in. */
bool storage_is_behind(const struct node *);
enum storage_condition storage_condition(const struct node *);
uint64_t storage_wakeup_ms(const struct node *); /* when that may change by itself */
void storage_copy_free(struct persist_copy *);   /* NULL is fine */
void storage_free(struct node *);

/* snapshots.c */
/* Before anything else happens in a turn. */
void snapshots_begin_turn(struct node *);
/* Does some of what is due about them; true if there was anything. */
bool snapshots_tend(struct node *);
void snapshots_log(struct node *, const struct coracle_raft_persist *);
/* Storage had no room for the image whose chunk it has just had. */
void snapshots_refused(struct node *);

/* datagrams.c */
void datagram_receive(struct node *, const struct address *from, const uint8_t *data, size_t n);
void datagram_send_join(struct node *, const struct address *to, uint64_t to_id, const struct join_message *);
/* What there is to say, and the body; to be sent when what it rests on is durable. */
void datagram_of_raft(const struct coracle_raft_message *, struct datagram *, struct bytes *body);
/* Seals it as from this node, in its cluster, and sends it. */
void datagram_send(struct node *, const struct address *to, struct datagram *, const struct bytes *body);

/* replays.c */
/* True the first time for each datagram of a sender. */
bool replays_take(struct node *, const struct datagram *);

/* links.c */
void link_open(struct node *, uint64_t peer, const struct address *http,
               const uint8_t token[WRITE_TOKEN_BYTES]);
void link_connected(struct node *, struct node_stream *);
void link_receive(struct node *, struct node_stream *);
/* There is room again for what the leader sends. */
void link_continue(struct node *);
void link_closed(struct node *, struct node_stream *);
/* Closes it; the core does not count on it any more. */
void link_end(struct node *, struct node_stream *);
/* A granted upgrade: the connection is a leader's from here on. */
void link_upgraded(struct node *, struct node_stream *);
/* The open stream that carries messages to that peer: a follower's if this node leads, else the leader's. */
struct node_stream *link_find(struct node *, uint64_t peer, enum stream_kind);
void link_close_followers(struct node *);
/* The output is about to leave: seals the frames in it. */
void link_seal(struct node_stream *);

/* reports.c */
/* Says what is new; true if there was anything. Ends the node when its documents are not the leader's. */
bool reports_tend(struct node *);
/* A frame from a peer over its stream; false: it is malformed. */
bool reports_receive(struct node *, const struct node_stream *, const struct frame *);
/* One to a follower. */
void reports_stream_opened(struct node *, const struct node_stream *);
/* What the peer last said of its storage; false: nothing, over the stream of now. */
bool reports_storage_of(struct node *, uint64_t peer, enum storage_condition *);
void reports_forget(struct node *, uint64_t peer);

/* clients.c */
void client_receive(struct node *, struct node_stream *, const uint8_t *data, size_t n);
void client_ended(struct node *, struct node_stream *);
void client_closed(struct node *, struct node_stream *);
/* Goes on with what it can: after an answer, or when output has left. */
void client_continue(struct node *, struct node_stream *);
/* Answers were put out; `idle`: the last that there was to give. */
void client_answered(struct node *, struct node_stream *, bool idle);
void client_deadline(struct node *, struct node_stream *);

/* calls.c */
struct call *call_new(struct node_stream *);
/* It may have become possible to work at it. */
void call_wake(struct node *, struct call *);
void call_went_on(struct call *, enum api_action);
/* call->answer has the rest of its answer. */
void call_done(struct call *);
/* Ends it where it stands, and with it the connection. True: nothing of its answer has left, so call->answer,
 * which is empty, may get another. */
bool call_stop(struct node *, struct call *);
/* Moves the answers that are ready, in order, to the connection's output. */
void calls_release(struct node *, struct node_stream *);
/* The connection has gone. */
void calls_close(struct node *, struct node_stream *);
/* The leader's answer to it is in call->answer. */
void client_complete(struct node *, struct call *);
/* A result of the replica came for it. */
void client_result(struct node *, struct call *, struct replica_result *);
/* Ends all works, and answers all reads that are due at once, with the reason why this node does not answer
 * them. */
void clients_abandon(struct node *);
void works_begin_turn(struct node *);
/* A body or an answer of so many bytes was in this turn. */
void turn_spend(struct node *, size_t bytes);
/* There was so much of that that the stream is put off to another turn: client_continue() is called then. */
bool turn_is_spent(struct node *, struct node_stream *);
/* Goes on with what was put off, and works at what can be worked at, as far as this turn has room; true if
 * there was anything. */
bool works_tend(struct node *);
/* There is more to do in another turn. */
bool works_are_left(const struct node *);

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
