/* Raft as a pure state machine: no input or output, no clock, no callbacks, no global state.
 *
 * Everything that happens to a server is an event, everything it wants done is an effect:
 *
 *     struct coracle_raft *raft;
 *     coracle_raft_new(&options, &raft);
 *     for (;;) {
 *       struct coracle_raft_event event = ...;            // what happened, and when
 *       struct coracle_raft_effects effects;
 *       int error = coracle_raft_step(raft, &event, &effects);
 *       // write effects.persist to disk, later report CORACLE_RAFT_PERSISTED with its sequence;
 *       // send effects.messages (each once what it rests on is durable);
 *       // apply the log up to effects.commit_index;
 *       // send CORACLE_RAFT_TIMEOUT at effects.wakeup_ms
 *     }
 *
 * Rules cite the sections of Ongaro's dissertation, "Consensus: Bridging Theory and Practice" (2014).
 *
 * Ids are non-zero 64-bit numbers; the core knows no addresses. Times are milliseconds of a clock that never
 * goes back; its origin does not matter. Two kinds of path carry messages, with no order between them:
 * datagrams (may be lost, doubled, late) for votes and heartbeats, and one stream per pair (in order while it
 * lasts) for the log.
 *
 * Functions that return int give 0 or a negative enum coracle_raft_error. A step that fails has changed
 * nothing. A struct coracle_raft is used by one thread at a time, and so are all servers that share entries:
 * references are counted without locks. Pointers that are given must not be NULL, unless it says so.
 *
 * docs/library.md tells how to embed it; docs/examples/counter.c does. */
#ifndef CORACLE_RAFT_H
#define CORACLE_RAFT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#pragma GCC visibility push(default) /* the library exports these, and nothing else */

struct coracle_raft; /* one server; opaque */

#define CORACLE_RAFT_MUST_CHECK __attribute__((warn_unused_result))

#define CORACLE_RAFT_ERRORS(X)                                                                               \
  X(ENOMEM, -1, "out of memory")                                                                             \
  X(EINVALID, -2, "invalid argument or event")                                                               \
  X(ENOTLEADER, -3, "not the leader")                                                                        \
  X(EBUSY, -4, "another change is pending, or too much is uncommitted")

enum coracle_raft_error {
#define X(name, code, text) CORACLE_RAFT_##name = (code),
  CORACLE_RAFT_ERRORS(X)
#undef X
};

/* The text of a code above, of 0 ("success") or of any other number ("unknown error"). Never NULL; static,
 * not to be released. */
const char *coracle_raft_strerror(int code);

/* ---- Entries ---- */

enum coracle_raft_entry_type {
  CORACLE_RAFT_NOOP = 1,          /* opens a leader's term (section 6.4) */
  CORACLE_RAFT_CONFIGURATION = 2, /* the members, in force as soon as it is in a log (section 4.1) */
  CORACLE_RAFT_COMMAND = 3,       /* bytes for the state machine, opaque here */
};

/* One allocation, shared by counting references; immutable once it has been proposed or received. */
struct coracle_raft_entry {
  uint64_t index;      /* position in the log, from 1 */
  uint64_t term;       /* of the leader that appended it */
  uint32_t references; /* use the functions below */
  uint32_t bytes;      /* of data */
  uint8_t type;        /* enum coracle_raft_entry_type */
  uint8_t data[];      /* payload */
};

enum { CORACLE_RAFT_ENTRY_BYTES_MAX = 4 * 1024 * 1024 };

/* A new entry (section 3.5) with room for `bytes` of data, at most CORACLE_RAFT_ENTRY_BYTES_MAX (asserted).
 * The data is uninitialised, index and term are 0: proposing sets them; whoever decodes a message or reads a
 * log sets them itself. The caller owns the one reference. NULL without memory. */
struct coracle_raft_entry *coracle_raft_entry_new(enum coracle_raft_entry_type type, size_t bytes);
/* One more reference, which the caller owns and releases with coracle_raft_entry_unref(). Returns the entry;
 * cannot fail. */
struct coracle_raft_entry *coracle_raft_entry_ref(struct coracle_raft_entry *);
/* Gives up one reference of the caller's; the last one frees the entry. */
void coracle_raft_entry_unref(struct coracle_raft_entry *);

/* ---- Configurations (chapter 4) ---- */

enum { CORACLE_RAFT_MEMBERS_MAX = 16, CORACLE_RAFT_MEMBER_DATA_MAX = 400 };

struct coracle_raft_member {
  uint64_t id;                                /* non-zero, unique in a configuration */
  bool voter;                                 /* false: a learner; it receives the log and becomes a voter */
  uint16_t data_bytes;                        /* <= CORACLE_RAFT_MEMBER_DATA_MAX */
  uint8_t data[CORACLE_RAFT_MEMBER_DATA_MAX]; /* the application's, opaque here (names, addresses) */
};

struct coracle_raft_configuration {
  uint32_t members_n; /* <= CORACLE_RAFT_MEMBERS_MAX */
  struct coracle_raft_member members[CORACLE_RAFT_MEMBERS_MAX];
};

/* The member with that id, or NULL if there is none. Points into the configuration, lives as long, and is to
 * be changed only by whoever may change the configuration. */
struct coracle_raft_member *coracle_raft_configuration_find(const struct coracle_raft_configuration *,
                                                            uint64_t id);
/* How many of the members are voters: a majority of these elects and commits (sections 3.4 and 3.5; learners
 * are section 4.2.1's non-voting members). */
uint32_t coracle_raft_configuration_voters(const struct coracle_raft_configuration *);
/* Reads the payload of a CORACLE_RAFT_CONFIGURATION entry, `bytes` of it, into the caller's configuration
 * (section 4.1). The bytes may be anybody's: EINVALID if they are not exactly one configuration that has a
 * voter, and then nothing was written. */
CORACLE_RAFT_MUST_CHECK int coracle_raft_configuration_decode(const void *data, size_t bytes,
                                                              struct coracle_raft_configuration *);
/* A new entry that holds the configuration (section 4.1), for a log that is made by hand: CONF_CHANGE makes
 * its own. Owned by the caller, with one reference; index and term are 0. NULL without memory. */
struct coracle_raft_entry *coracle_raft_configuration_entry(const struct coracle_raft_configuration *);

/* ---- Messages ---- */

enum coracle_raft_channel { CORACLE_RAFT_DATAGRAM, CORACLE_RAFT_STREAM };

enum coracle_raft_message_type {
  CORACLE_RAFT_VOTE_REQUEST = 1,    /* DATAGRAM; pre-votes too (section 9.6) */
  CORACLE_RAFT_VOTE_REPLY = 2,      /* DATAGRAM */
  CORACLE_RAFT_HEARTBEAT = 3,       /* DATAGRAM */
  CORACLE_RAFT_HEARTBEAT_REPLY = 4, /* DATAGRAM */
  CORACLE_RAFT_APPEND = 5,          /* STREAM, leader to follower: AppendEntries (section 3.5) */
  CORACLE_RAFT_APPEND_REPLY = 6,    /* STREAM, follower to leader */
  CORACLE_RAFT_READ_REQUEST = 7,    /* STREAM, follower to leader: asks for a read index (section 6.4) */
  CORACLE_RAFT_READ_REPLY = 8,      /* STREAM, leader to follower */
  CORACLE_RAFT_TIMEOUT_NOW = 9,     /* STREAM, leader to follower: campaign at once (section 3.10) */
  CORACLE_RAFT_SNAPSHOT = 10,       /* STREAM, leader to follower: a chunk of an image (chapter 5) */
  CORACLE_RAFT_SNAPSHOT_REPLY = 11, /* STREAM, follower to leader */
};

/* An image of the state machine as of one index, and what of the log it stands for (section 5.1). */
struct coracle_raft_snapshot {
  uint64_t index; /* the last entry it includes; 0: there is no snapshot */
  uint64_t term;  /* of that entry */
  uint64_t bytes; /* of the whole image */
  uint64_t tag;   /* the application's: equal for equal images, so that a transfer can be resumed */
  uint64_t configuration_index; /* of the configuration in force at `index` */
  struct coracle_raft_configuration configuration;
};

struct coracle_raft_message {
  uint8_t type;   /* enum coracle_raft_message_type; decides the channel */
  uint64_t from;  /* sender's id */
  uint64_t to;    /* receiver's id */
  uint64_t term;  /* sender's term; of a pre-vote request and its grant, the term that would be started */
  uint64_t round; /* fresh for every election and heartbeat; replies echo it, others are dropped */
  uint64_t after_sequence; /* what must be persisted before this may leave; 0: nothing. Not on the wire */
  union {
    struct {
      bool pre;            /* a pre-vote: changes nobody's term (section 9.6) */
      bool transfer;       /* the leader asked for it (TIMEOUT_NOW): granted though the leader is heard */
      uint64_t last_index; /* of the candidate's log */
      uint64_t last_term;
    } vote_request;
    struct {
      bool pre;
      bool granted;
    } vote_reply;
    struct {
      uint64_t commit;        /* min(match of this peer, commit): safe to commit there */
      uint64_t leader_commit; /* the leader's own, to judge staleness only */
    } heartbeat;
    struct {
      uint64_t previous_index;
      uint64_t previous_term;
      uint64_t commit;                     /* the leader's */
      struct coracle_raft_entry **entries; /* consecutive from previous_index + 1 */
      size_t entries_n;
    } append;
    struct {
      bool success;
      uint64_t match;          /* success: the last index known equal to the leader's log */
      uint64_t previous_index; /* refusal: the request's, to tell which it answers */
      uint64_t conflict_index; /* refusal: where the leader should try next (section 3.5) */
      uint64_t conflict_term;  /* refusal: term of the conflicting entry; 0: the log is too short */
    } append_reply;
    struct {
      uint64_t request; /* the follower's number for it, echoed in the reply */
    } read_request;
    struct {
      uint64_t request;
      uint64_t index; /* reads may be answered by a state machine that has applied this */
    } read_reply;
    struct {
      const struct coracle_raft_snapshot *snapshot;
      uint64_t offset; /* of the chunk in the image */
      const uint8_t *data;
      size_t n; /* 0: an offer, which asks how much of it is there already; or an empty image */
    } snapshot;
    struct {
      uint64_t index, term, tag; /* which snapshot */
      uint64_t offset;           /* so many bytes are there and durable; all of them: it is installed */
    } snapshot_reply;
  };
};

/* ---- Events ---- */

enum coracle_raft_event_type {
  CORACLE_RAFT_START = 1,   /* once, first */
  CORACLE_RAFT_TIMEOUT,     /* the time of effects.wakeup_ms has come (early or late is harmless) */
  CORACLE_RAFT_RECEIVE,     /* a message arrived; hostile or stale ones are dropped and counted */
  CORACLE_RAFT_PROPOSE,     /* leader: append commands */
  CORACLE_RAFT_PERSISTED,   /* everything up to a persist sequence is durable */
  CORACLE_RAFT_CONF_CHANGE, /* leader: append a configuration */
  CORACLE_RAFT_LINK_UP,     /* a stream to or from a peer was opened */
  CORACLE_RAFT_LINK_DOWN,   /* it ended */
  CORACLE_RAFT_CAMPAIGN,    /* this server may ask for votes now, if it hears no leader and does not rest */
  CORACLE_RAFT_READ,        /* asks from which index on a read is linearizable */
  CORACLE_RAFT_TRANSFER,    /* leader: hand leadership to a voter */
  CORACLE_RAFT_SNAPSHOT_TAKEN, /* an image of the state machine is there, and durable */
  CORACLE_RAFT_SNAPSHOT_CHUNK, /* leader: the bytes that effects.chunk_requests asked for */
};

/* What a server had durably when it ended, to be started with again. */
struct coracle_raft_restored {
  uint64_t term, voted_for;
  const struct coracle_raft_snapshot *snapshot; /* NULL: none. Copied */
  /* Consecutive, of which the first is at most one after the snapshot's index (without one: index 1). The
   * core takes references of its own. */
  struct coracle_raft_entry *const *entries;
  size_t entries_n;
};

struct coracle_raft_event {
  enum coracle_raft_event_type type;
  uint64_t now_ms; /* when it happened; never less than before */
  union {
    /* START, with at most one of these two; with neither: an empty log that waits for a leader.
     * founding: the configuration to found a cluster with, whose only voter is this server: it leads term 1
     * at once. Copied. restored: what was durable when this server last ended (section 3.8). Commit and apply
     * begin after the snapshot; entries that end before it are of no use any more. EINVALID if it is not
     * consistent. Borrowed during the step. */
    struct {
      const struct coracle_raft_configuration *founding;
      const struct coracle_raft_restored *restored;
    } start;
    /* RECEIVE: the caller's; the core takes references of its own to entries it keeps. The data of a SNAPSHOT
     * comes back in effects.persist.chunk: it must outlive those effects. */
    const struct coracle_raft_message *message;
    /* PROPOSE: on success the core takes over the caller's references and sets term and index; the first
     * index is effects.persist.entries[0]->index. EBUSY beyond options.uncommitted_bytes_max, and while
     * leadership is being transferred. Unchanged on error. */
    struct {
      struct coracle_raft_entry **entries;
      size_t entries_n;
    } propose;
    uint64_t persisted; /* PERSISTED: a sequence; completes all up to it */
    /* CONF_CHANGE: copied. It may differ from the latest configuration in one voter (section 4.1), in any
     * number of learners and in members' data. Learners become voters by themselves (see
     * coracle_raft_member), so a change adds learners and removes members. EBUSY while a configuration is
     * uncommitted or the leader has committed nothing in its own term (Ongaro's 2015 correction), or while
     * leadership is being transferred. Without this leader in it, it leads on until that is committed, not
     * counting itself, and then hands over to the most advanced voter (section 4.2.2). EINVALID for anything
     * else. */
    const struct coracle_raft_configuration *configuration;
    uint64_t peer; /* LINK_UP, LINK_DOWN, TRANSFER: its id. TRANSFER (section 3.10): EINVALID unless it is
                      another voter, EBUSY while one is under way; given up after an election timeout, as
                      status.transferring_to tells. Until it has succeeded or was given up nothing is proposed
                      or changed (EBUSY) */
    /* READ (section 6.4): a number of the caller's, which comes back once in effects.reads, perhaps in this
     * very step. All reads of one turn can share one. ENOTLEADER when there is no leader with an open stream
     * to ask, EBUSY when too many wait; nothing comes back then. */
    uint64_t read;
    /* SNAPSHOT_TAKEN: its index is applied, its bytes and tag are set; the core fills in the rest (ask
     * coracle_raft_snapshot(), or coracle_raft_describe_snapshot() before). The log before it is dropped but
     * for options.trailing_bytes, kept for followers that are a little behind. EINVALID for an index not
     * committed, EBUSY for one not newer than the last, and while the log up to it is not durable here (a log
     * that is older than the snapshot could not be told from one that goes on from it). */
    struct {
      uint64_t index, bytes, tag;
    } snapshot_taken;
    /* SNAPSHOT_CHUNK: answers one request of effects.chunk_requests. data is the caller's until the next
     * step. n == 0: that image is gone, the core begins again with the newest. */
    struct {
      uint64_t peer, index, offset;
      const uint8_t *data;
      size_t n;
    } chunk;
  };
};

/* ---- Effects ---- */

/* What is to be made durable, in the order of the sequences. Arrays belong to the core and live until the
 * next step. */
struct coracle_raft_persist {
  uint64_t sequence; /* 0: nothing to persist; else greater than any before */
  bool vote_changed; /* term and voted_for below are to be persisted */
  uint64_t term;
  uint64_t voted_for;                        /* 0: none in this term */
  uint64_t truncate_from;                    /* discard entries from this index on first; 0: none */
  struct coracle_raft_entry *const *entries; /* then append these. Borrowed: take a reference to keep one */
  size_t entries_n;
  /* A chunk of the leader's image to be written at chunk.offset of an image under way (offset 0 begins it
   * anew; a commit index that has reached its index ends it: it will not be gone on with). When
   * `chunk.installs` it is the last one: the image now takes the place of the state machine and of the log up
   * to its index, durably and all at once; entries after it stay if keep_log, else go. NULL snapshot: none.
   * Borrowed until the next step. */
  struct {
    const struct coracle_raft_snapshot *snapshot;
    uint64_t offset;
    const uint8_t *data;
    size_t n;
    bool installs, keep_log;
  } chunk;
};

/* Arrays belong to the core and live until the next step. */
struct coracle_raft_effects {
  struct coracle_raft_persist persist;
  const struct coracle_raft_message *messages;
  size_t messages_n;
  /* Reads whose outcome is known, each once. A failed one may be asked again. */
  const struct coracle_raft_read {
    uint64_t read;  /* the READ event's number */
    uint64_t index; /* linearizable in a state machine that has applied this */
    bool failed;    /* leadership, or the leader, was lost before it was known */
  } * reads;
  size_t reads_n;
  /* Leader: bytes of an image that a peer needs; answer each with a SNAPSHOT_CHUNK, in order, of at most
   * bytes_max. */
  const struct coracle_raft_chunk_request { uint64_t peer, index, tag, offset, bytes_max; } * chunk_requests;
  size_t chunk_requests_n;
  uint64_t commit_index; /* entries up to here may be applied; after an installation, that image first */
  uint64_t wakeup_ms;    /* when to send TIMEOUT */
  bool role_changed;     /* role, term or leader differ from before the step: ask coracle_raft_status() */
};

/* ---- The server ---- */

enum coracle_raft_role {
  CORACLE_RAFT_FOLLOWER,
  CORACLE_RAFT_PRE_CANDIDATE, /* asking whether an election could be won (section 9.6) */
  CORACLE_RAFT_CANDIDATE,
  CORACLE_RAFT_LEADER,
};

struct coracle_raft_options {
  uint64_t id;                    /* this server; non-zero */
  uint64_t seed;                  /* of the random election time-outs */
  uint32_t heartbeat_ms;          /* > 0 */
  uint32_t election_timeout_ms;   /* > heartbeat_ms; each wait is drawn from this to twice this */
  uint32_t append_bytes_max;      /* payload of one APPEND (at least one entry goes); 0: 1 MiB */
  uint32_t inflight_bytes_max;    /* sent to one peer and not acknowledged; 0: 8 MiB */
  uint32_t uncommitted_bytes_max; /* proposed and not committed; 0: 64 MiB */
  uint32_t trailing_bytes;        /* of entries kept behind a snapshot; 0: 16 MiB */
  uint32_t chunk_bytes_max;       /* of an image in one message; 0: 256 KiB */
  uint32_t stall_timeout_ms; /* leader: its disk, or what a majority of the voters has, has not moved for so
                                long with entries pending: it steps down, and rests for ten election timeouts;
                                0: 5000 */
};

/* Why a server last ceased to lead. */
enum coracle_raft_step_down {
  CORACLE_RAFT_NOT_STEPPED_DOWN = 0,
  CORACLE_RAFT_NEWER_TERM,     /* another election */
  CORACLE_RAFT_NO_QUORUM,      /* a majority of the voters did not answer (section 6.2) */
  CORACLE_RAFT_DISK_STALLED,   /* its own disk hangs */
  CORACLE_RAFT_COMMIT_STALLED, /* voters answer, but acknowledge nothing */
  CORACLE_RAFT_REMOVED,        /* it removed itself (section 4.2.2) */
};

/* A new server (section 3.3), to be released with coracle_raft_free(); its first event is START. The options
 * are copied. EINVALID if one of them is out of its range, ENOMEM; *result is then unchanged. */
CORACLE_RAFT_MUST_CHECK int coracle_raft_new(const struct coracle_raft_options *,
                                             struct coracle_raft **result);
/* Releases a server, its references to entries, and all that was borrowed from it; NULL is fine. To the other
 * servers this is a crash (section 3.8): what it had persisted is what it can be started with again. */
void coracle_raft_free(struct coracle_raft *);

/* The one function (Figure 3.1): what happened goes in, at event->now_ms. The event is the caller's and read
 * during the step only, but for what its comments say. On success *effects, the caller's, describes what to
 * do now; its arrays are the core's and live until the next step, one that fails included.
 *
 * On error the state has not changed, no reference was taken over, and *effects was not written:
 *   EINVALID    an argument, or an event that its comments rule out; anything before START, a second START
 *   ENOTLEADER  PROPOSE, CONF_CHANGE, TRANSFER: not the leader; READ: nobody to ask
 *   EBUSY       not now: see the event
 *   ENOMEM      without memory; the same event may be given again
 * Messages from others are never an error: bad ones are dropped and counted in the status. */
CORACLE_RAFT_MUST_CHECK int coracle_raft_step(struct coracle_raft *, const struct coracle_raft_event *,
                                              struct coracle_raft_effects *effects);

/* The entry of the log at that index (section 3.5), or NULL if the log has none there: beyond its end, or
 * dropped after a snapshot. Borrowed until the next step: take a reference to keep it. Not every entry is
 * committed: effects.commit_index tells. */
struct coracle_raft_entry *coracle_raft_entry_at(const struct coracle_raft *, uint64_t index);

/* What a server knows of a member of its latest configuration. */
struct coracle_raft_peer_status {
  uint64_t id;
  bool voter;
  bool link;                /* a stream is open (this server itself: true) */
  uint64_t match;           /* leader only: known to be in its log; else 0 */
  uint64_t snapshot_index;  /* leader only: of the image that is on its way to it; 0: none */
  uint64_t snapshot_bytes;  /* of that image that it has */
  uint64_t last_contact_ms; /* when a valid message last came; 0: never */
};

struct coracle_raft_counters { /* since START; what was dropped, by reason */
  uint64_t dropped_invalid;    /* impossible fields: a commit beyond the log, entries out of order, ... */
  uint64_t dropped_stale;      /* an old term or round */
  uint64_t dropped_stranger;   /* not from a member, not for this server */
  uint64_t elections;          /* campaigns begun, pre-votes included */
};

struct coracle_raft_status {
  enum coracle_raft_role role;
  bool voter; /* in the latest configuration */
  uint64_t term;
  uint64_t voted_for; /* 0: nobody */
  uint64_t leader;    /* 0: unknown */
  bool hears_leader; /* it leads itself, or was heard within an election timeout and since its stream ended */
  uint64_t leader_since_ms; /* leader only */
  uint64_t first_index;     /* of the log; last_index + 1 when empty */
  uint64_t last_index;
  uint64_t commit_index;
  uint64_t leader_commit; /* the leader's, as last heard */
  /* As of then it had everything that was committed: the last heartbeat whose leader's commit index it has;
   * for a leader, when a majority last answered it (now, while they do). As good as clocks and datagrams
   * are, so only for those who do not need to know. 0: never. */
  uint64_t fresh_ms;
  uint64_t configuration_index; /* of the latest configuration entry; 0: none */
  bool configuration_committed;
  bool committed_own_term; /* leader only: an entry of its own term is committed */
  uint64_t
      blocked_by; /* leader only: the voter out of contact that keeps a learner from promotion; 0: none */
  uint64_t transferring_to; /* leader only: a transfer is under way; 0: none */
  enum coracle_raft_step_down stepped_down;
  uint64_t resting_until_ms;  /* it campaigns no earlier than that; 0: it does not rest */
  uint64_t uncommitted_bytes; /* payload of the entries not known to be committed */
  uint64_t log_bytes;         /* payload of the entries in the log */
  struct coracle_raft_counters counters;
  size_t peers_n;
  struct coracle_raft_peer_status peers[CORACLE_RAFT_MEMBERS_MAX];
};

/* Writes what the server knows of itself and its peers (Figure 3.1's state) into the caller's status, as of
 * now_ms, on the clock of the events. Changes nothing; cannot fail. For people and their tools: to be the
 * leader in it is no proof that there is no newer one (section 6.4), READ is. */
void coracle_raft_status(const struct coracle_raft *, uint64_t now_ms, struct coracle_raft_status *);
/* The newest snapshot, taken or installed (section 5.1); never NULL, its index is 0 when there is none.
 * Borrowed until the next step. */
const struct coracle_raft_snapshot *coracle_raft_snapshot(const struct coracle_raft *);
/* What a snapshot of a committed index stands for (section 5.1), to be made durable with its image before
 * SNAPSHOT_TAKEN: everything but bytes and tag, which are the application's and 0 here. Copied to the
 * caller's. EINVALID and EBUSY as for that event; then nothing was written. */
CORACLE_RAFT_MUST_CHECK int coracle_raft_describe_snapshot(const struct coracle_raft *, uint64_t index,
                                                           struct coracle_raft_snapshot *);
/* The latest configuration in the log, committed or not: the one in force (section 4.1). Never NULL;
 * members_n is 0 when there is none. Borrowed until the next step. */
const struct coracle_raft_configuration *coracle_raft_latest_configuration(const struct coracle_raft *);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif

#endif
