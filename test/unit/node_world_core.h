/* What the files of the world share:
 *
 *   node_world.c          time, processes and their turns
 *   node_world_net.c      datagrams, connections, what a node's effects do to them
 *   node_world_check.c    what must be true after every turn, and questions to all nodes
 *   node_world_client.c   HTTP from outside */
#ifndef CORACLE_TEST_NODE_WORLD_CORE_H
#define CORACLE_TEST_NODE_WORLD_CORE_H

#include "base/list.h"
#include "base/queue.h"
#include "base/random.h"
#include "node/core.h"
#include "node_world.h"

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
};

struct world_event {
  uint64_t at_us, sequence; /* in this order */
  enum event_type type;
  int node;
  uint64_t incarnation; /* of the process; a later one is another */
  struct letter *letter;
  struct world_connection *connection;
  int side;
  uint64_t upto; /* ARRIVAL: so many bytes of the direction, in all */
  bool fin;
};

/* ---- The network ---- */

struct letter {
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
  uint64_t deadline_us;       /* CLOSING */
};

/* One direction: bytes are written, arrive, are read. */
struct pipe {
  struct bytes data; /* written and not read */
  uint64_t written, arrived, read;
  uint64_t last_arrival_us; /* nothing overtakes */
  bool fin, fin_arrived;    /* the writer is done */
  bool reset;               /* it ended by a reset: nothing can be sent the other way either */
  bool over;                /* the reader is gone: what is written is lost */
};

struct world_connection {
  struct list_link link; /* in world->connections, or world->ended */
  struct end ends[2];    /* who connected, who is connected to */
  struct pipe to[2];     /* by the side that reads */
  struct address address;
};

struct listener {
  struct list_link link;
  struct address address;
};

/* ---- Processes ---- */

enum bind_report { BIND_NOTHING, BIND_WON, BIND_TAKEN };

/* What was true of a node after its last turn. */
struct checked {
  uint64_t id, term, commit, applied, leading_term;
  bool established; /* it had a configuration of two voters in its log */
};

struct process {
  struct node *node; /* NULL: not running */
  uint64_t incarnation;
  uint64_t id; /* at its start */
  uint8_t token[WRITE_TOKEN_BYTES];
  struct address http, udp;
  bool paused, stopping, http_open, turn_due, exited;
  struct queue inbox; /* of struct letter * */
  uint64_t wake_ms;
  enum bind_report bind_report;
  struct bytes log;
  struct checked checked;
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
  struct list connections, ended, listeners;
  struct queue taps, wires; /* of pointers */
  struct queue clusters;    /* of struct cluster_record */
  struct queue reads;       /* of struct read_record */
  struct bytes trace;
  uint64_t trace_hash;
  bool trace_at_once;
};

/* node_world.c */
struct world_event *world_schedule(struct world *, enum event_type, uint64_t after_us);
uint64_t world_node_ms(const struct world *);                   /* the nodes' clock */
void process_step(struct world *, int node, struct node_event); /* its times are filled in */
void process_poke(struct world *, int node);                    /* something is ready for it */
__attribute__((format(printf, 3, 4))) void world_trace(struct world *, int node, const char *format, ...);
void world_hash(struct world *, const void *data, size_t n);
uint64_t hash_bytes(uint64_t hash, const void *data, size_t n);

/* node_world_net.c */
void net_send(struct world *, struct address from, struct address to, const void *data, size_t n);
void net_datagram_arrives(struct world *, struct letter *);
struct end *net_connect(struct world *, int owner, struct address to);
void net_connection_arrives(struct world *, struct world_event *);
void net_bytes_arrive(struct world *, struct world_event *);
void net_deadline(struct world *, struct world_event *);
void net_write(struct world *, struct end *, const void *data, size_t n);
void net_close(struct world *, struct end *);
void net_pause(struct world *, struct end *, bool pause);
/* The process is gone: its sockets close. */
void net_process_ended(struct world *, int node, bool killed);
void net_stop_listening(struct world *, int node);
/* Is there anything for the node that owns that end? */
bool net_end_is_ready(const struct world *, const struct end *);
/* Tells it, or a part of it. */
void net_end_feed(struct world *, struct end *);
struct end *net_end_of(const struct node_stream *);
void net_wire_readable(struct world *, struct wire *);
void net_free(struct world *);

/* node_world_check.c */
void check_process(struct world *, int node);
void check_free(struct world *);
/* An answer to GET of that target, from a node of that cluster: the same as every other from the same
 * revision. */
void check_read(struct world *, const uint8_t cluster[CLUSTER_ID_BYTES], const char *target,
                const struct answer_seen *);
/* The revision is that of a command that was committed in that cluster. */
void check_acknowledged(struct world *, const uint8_t cluster[CLUSTER_ID_BYTES], uint64_t revision);

#endif
