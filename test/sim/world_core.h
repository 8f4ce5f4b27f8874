/* What the files of the world share:
 *
 *   world.c           time: one thing after the other; the trace
 *   world_process.c   processes and their turns
 *   world_disk.c      what a process has on its disk, and on the way there
 *   world_directory.c the files that hold it
 *   world_trial.c     what if it ended now, or were damaged
 *   world_net.c       datagrams, and who can reach whom
 *   world_stream.c    connections
 *   world_letter.c    datagrams in words, and what a node may say in them
 *   world_check.c     what must be true after every turn
 *   world_record.c    what must be true over all that has happened in a cluster
 *   world_model.c     ... and of its documents
 *   world_durable.c   ... and of its disks
 *   world_ask.c       questions to all nodes
 *   world_client.c    HTTP from outside */
#ifndef CORACLE_SIM_WORLD_CORE_H
#define CORACLE_SIM_WORLD_CORE_H

#include "base/list.h"
#include "base/queue.h"
#include "base/random.h"
#include "node/core.h"
#include "world.h"
#include "world_directory.h"
#include "world_ledger.h"

enum {
  OWNER_TEST = -1, /* of an end: the test */
  HOLDER_NOBODY = -1,
  HOLDER_DYING = -2,      /* its process is gone, its port not yet free */
  HOLDER_OTHER = -3,      /* world_occupy() */
  PIPE_BYTES = 64 * 1024, /* the kernel's buffers, of each direction */
  READ_BYTES = 64 * 1024, /* at most, at a time */
  INBOX_MAX = 256,        /* datagrams in the kernel for one process; further ones are lost */
  INPUTS_PER_TURN_MAX = 6,
};

/* ---- Time ---- */

enum event_type {
  EVENT_TURN,      /* a process runs */
  EVENT_WAKE,      /* the time that a process asked for */
  EVENT_DATAGRAM,  /* one arrives */
  EVENT_CONNECT,   /* a connection arrives, or the news of it at who made it */
  EVENT_ARRIVAL,   /* bytes of a stream arrive, or its end */
  EVENT_DEADLINE,  /* a closing connection has waited long enough */
  EVENT_PORT_FREE, /* of a killed process: the election address */
  EVENT_DISK,      /* a disk has done what it was asked for */
};

struct world_event {
  uint64_t at_us, sequence; /* in this order */
  enum event_type type;
  int node;
  uint64_t incarnation; /* of the process; a later one is another */
  struct letter *letter;
  struct world_connection *connection;
  int side;
  uint64_t upto; /* ARRIVAL: so many bytes of the direction, in all; DISK: which batch */
  bool fin;
};

/* ---- The network ---- */

struct letter {
  int from_node; /* OWNER_TEST: not a node's */
  struct address from, to;
  size_t n;
  uint8_t data[];
};

enum end_state {
  END_CONNECTING,
  END_BACKLOG, /* waits to be accepted */
  END_OPEN,
  END_CLOSING, /* closed here; the owner has yet to hear that it is over */
  END_CLOSED,
};

struct end {
  struct world_connection *connection; /* that it is an end of */
  int side;
  int owner; /* a node, or OWNER_TEST */
  enum end_state state;
  struct node_stream *stream; /* a node's, while it knows of it */
  struct wire *wire;          /* the test's */
  bool connected, drained;    /* news for the owner */
  bool ended;                 /* the owner knows that nothing more will come */
  bool paused;                /* reads nothing */
  bool vanished;              /* its process ended without a word */
  uint64_t deadline_us;       /* CLOSING */
};

/* One direction: bytes are written, arrive, are read. */
struct pipe {
  struct bytes data; /* written and not read */
  uint64_t written, arrived, read;
  uint64_t last_arrival_us; /* nothing overtakes */
  bool fin, fin_arrived;    /* the writer is done */
  bool stalled;             /* what arrived at the wrong time waits until the way is open again */
  bool reset;               /* it ended by a reset: nothing can be sent the other way either */
  bool over;                /* the reader is gone: what is written is lost */
};

struct world_connection {
  struct list_link link; /* in world->connections, or world->ended */
  struct end ends[2];    /* who connected, who is connected to */
  struct pipe to[2];     /* by the side that reads */
  bool stalled;          /* it waits to be tried again */
  struct address address;
  uint64_t incarnation; /* of the process that it is for; 0: whoever is there */
};

struct listener {
  struct list_link link;
  struct address address;
};

/* ---- Disks ---- */

/* One NODE_PERSIST, not yet durable. */
struct world_write {
  unsigned parts_done; /* see world_disk_write_part() */
  struct node_persist persist;
  struct coracle_raft_persist raft; /* persist.raft, if that is not NULL */
  struct coracle_raft_snapshot *snapshot;
  uint8_t *chunk;
  struct coracle_raft_entry **entries;
};

enum { ASKED_CONFIGURATIONS_MAX = 32 };

struct asked_configuration {
  uint64_t index;
  size_t n;
  uint64_t ids[CORACLE_RAFT_MEMBERS_MAX]; /* of its voters */
};

/* The log as it will be when all that was asked for is done. */
struct asked_log {
  uint64_t first;  /* index of terms[0] */
  uint64_t *terms; /* of its entries */
  size_t n, capacity;
  struct asked_configuration configurations[ASKED_CONFIGURATIONS_MAX]; /* the newest last */
  size_t configurations_n;
};

struct world_disk {
  uint64_t id; /* 0: an empty data directory */
  uint8_t cluster[JOIN_CLUSTER_BYTES];
  uint64_t term, voted_for;
  struct coracle_raft_entry **entries; /* consecutive */
  size_t entries_n, entries_capacity;
  struct coracle_raft_snapshot snapshot; /* index 0: none */
  struct bytes image;                    /* of it */
  struct coracle_raft_snapshot arriving; /* an image under way */
  struct bytes arrived;

  struct queue writes; /* of struct world_write, oldest first; the process's */
  size_t writing_n;    /* that many of them are on their way to the platter together */
  uint64_t batch;      /* which of all that is */
  uint64_t done, told; /* sequences, of the process of now */
  bool full, full_told;
  enum {
    ENDS_NOT,
    ENDS_KILLED,
    ENDS_WITHOUT_POWER
  } ends; /* with the batch that is next: world_kill_writing() */
  uint64_t hangs_until_us;
  struct asked_log asked;
  struct world_directory directory;
};

/* ---- Processes ---- */

enum bind_report { BIND_NOTHING, BIND_WON, BIND_TAKEN };

/* What was true of a node after its last turn. */
struct checked {
  uint64_t id, term, commit, applied, leading_term;
  bool established; /* it had a configuration of two voters in its log */
  uint64_t match[CORACLE_RAFT_MEMBERS_MAX],
      match_id[CORACLE_RAFT_MEMBERS_MAX]; /* of its peers, as a leader */
  uint64_t match_term;
};

struct process {
  struct node *node; /* NULL: not running */
  uint64_t incarnation;
  uint64_t id; /* at its start */
  uint8_t token[WRITE_TOKEN_BYTES];
  struct address http, udp;
  bool paused, stopping, http_open, turn_due, exited, powerless;
  struct queue inbox; /* of struct letter * */
  uint64_t wake_ms;
  enum bind_report bind_report;
  struct bytes log;
  struct checked checked;
  struct world_disk disk;
  int64_t drift_ppm; /* of its clock */
};

struct world {
  struct world_options options;
  struct random random;
  uint64_t now_us;
  struct world_event *events; /* a heap, the next first */
  size_t events_n, events_capacity;
  uint64_t events_made;
  struct process processes[WORLD_NODES_MAX];
  uint64_t processes_made;
  int holder;
  uint64_t holder_incarnation;
  struct world_weather weather;
  uint16_t blocked_udp[WORLD_NODES_MAX], blocked_tcp[WORLD_NODES_MAX]; /* from: a bit for each to */
  uint64_t happened; /* events that came from outside of a process */
  struct list connections, ended, listeners;
  struct queue taps, wires; /* of pointers */
  struct queue clusters;    /* of struct cluster_record * */
  struct ledger votes;      /* of id and term: who has got the vote */
  struct ledger reads;      /* of cluster, revision and target: the answer */
  struct bytes trace;
  uint64_t trace_hash;
  bool trace_at_once, spells;
};

/* world.c */
struct address world_local(uint16_t port);
struct world_event *world_schedule(struct world *, enum event_type, uint64_t after_us);
__attribute__((format(printf, 3, 4))) void world_trace(struct world *, int node, const char *format, ...);
void world_hash(struct world *, const void *data, size_t n);
uint64_t hash_bytes(uint64_t hash, const void *data, size_t n);

/* world_process.c */
uint64_t process_ms(const struct world *, int node);            /* its clock */
void process_step(struct world *, int node, struct node_event); /* its times are filled in */
void process_poke(struct world *, int node);                    /* something is ready for it */
void process_turn(struct world *, int node);
void process_free(struct process *);
/* It ends itself, since its disk has failed. */
void process_disk_failed(struct world *, int node);
uint64_t world_wall_ms(const struct world *);

/* world_disk.c */
void world_disk_init(struct world_disk *);
void world_disk_persist(struct world *, int node, const struct node_persist *);
void world_disk_is_done(struct world *, int node, uint64_t batch);
/* The next part of the oldest write under way that can be there without the rest. False: there is none. */
bool world_disk_write_part(struct world *, int node);
/* What is still under way will never be there. */
void world_disk_forget(struct world *, int node);
/* A process begins with what is there; false: it cannot. */
bool world_disk_start(struct world *, int node);
/* The process is gone, and the power perhaps: of what was under way some first part is there. */
void world_disk_crash(struct world *, int node, bool power);
/* Is there news for the process? */
bool world_disk_is_ready(const struct world_disk *);
void world_disk_feed(struct world *, int node);
void world_disk_wipe(struct world_disk *);
void world_disk_free(struct world_disk *);
uint64_t world_disk_last_index(const struct world_disk *);
/* Of the entry at that index; 0: it has none there that is not in its snapshot. */
uint64_t world_disk_term_at(const struct world_disk *, uint64_t index);

/* world_net.c */
uint64_t net_latency_us(struct world *);
bool net_is_blocked(const struct world *, int from, int to, bool tcp);
void net_send(struct world *, int from, const struct address *to, const void *data, size_t n);
void net_datagram_arrives(struct world *, struct letter *);
void net_free(struct world *);

/* world_letter.c */
/* Into the trace, where every datagram is wanted there. */
void letter_spell(struct world *, int node, const struct letter *);
/* That node sends it. */
void letter_check(struct world *, int node, const void *data, size_t n);

/* world_stream.c */
struct end *stream_connect(struct world *, int owner, struct address to);
void stream_connection_arrives(struct world *, struct world_event *);
void stream_bytes_arrive(struct world *, struct world_event *);
void stream_deadline(struct world *, struct world_event *);
void stream_write(struct world *, struct end *, const void *data, size_t n);
void stream_close(struct world *, struct end *);
void stream_pause(struct world *, struct end *, bool pause);
/* The process is gone: its sockets close. */
void stream_process_ended(struct world *, int node, bool killed);
/* ... without a word to anybody, until it is back. */
void stream_process_vanished(struct world *, int node);
void stream_process_is_back(struct world *, int node);
void stream_stop_listening(struct world *, int node);
/* Is there anything for the node that owns that end? */
bool stream_is_ready(const struct world *, const struct end *);
/* Tells it, or a part of it. */
void stream_feed(struct world *, struct end *);
struct end *stream_end_of(const struct node_stream *);
void stream_wire_readable(struct world *, struct wire *);
/* The way may be open again: what waited goes on. */
void stream_go_on(struct world *);
void stream_free(struct world *);

/* world_check.c */
void check_process(struct world *, int node);

/* world_record.c */
struct cluster_record *record_of(struct world *, const uint8_t id[CLUSTER_ID_BYTES]);
void record_free(struct world *);
/* A node has begun to lead. */
void record_leader(struct world *, int node, struct cluster_record *, const struct coracle_raft_status *);
/* A node has applied that entry, and all before it. */
void record_applied(struct world *, int node, struct cluster_record *, uint64_t index);
void record_documents(struct world *, int node, struct cluster_record *, uint64_t applied);
void record_established(struct world *, int node, struct cluster_record *);
/* An answer to GET of that target, from a node of that cluster: the same as every other from the same
 * revision. */
void check_read(struct world *, const uint8_t cluster[CLUSTER_ID_BYTES], const char *target,
                const struct answer_seen *);
/* The revision is that of a command that was committed in that cluster. */
void check_acknowledged(struct world *, const uint8_t cluster[CLUSTER_ID_BYTES], uint64_t revision);

/* world_durable.c */
/* A process begins with what is on its disk. */
void durable_begin(struct world *, int node);
/* A node wants this on its disk; it is not there yet. */
void durable_write(struct world *, int node, const struct node_persist *);
/* A vote gets to its disk. */
void durable_vote(struct world *, int node, uint64_t term, uint64_t voted_for);
/* That vote is on its disk. */
void durable_given(struct world *, int node, uint64_t term, uint64_t to);
/* The configuration that it acts by is the newest in its log. */
void durable_configuration(struct world *, int node, const struct coracle_raft_status *);
/* A node has begun to lead; it counts on that much being on the disk of another; it has committed. */
void durable_votes(struct world *, int node, const struct coracle_raft_status *);
void durable_match(struct world *, int leader, uint64_t id, uint64_t match);
void durable_commit(struct world *, int leader, const struct coracle_raft_status *);

#endif
