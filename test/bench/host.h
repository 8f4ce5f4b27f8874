/* A host for whole nodes in one process, for benchmarks: its network loses nothing and takes a millisecond,
 * its disks take everything in as long, and its clock goes as fast as it can. What is measured is the
 * processor time that a node takes in a turn: all that is told to it, and all that it then wants. */
#ifndef CORACLE_BENCH_HOST_H
#define CORACLE_BENCH_HOST_H

#include "base/list.h"
#include "base/queue.h"
#include "node/node.h"

enum {
  HOST_NODES_MAX = 3,
  HOST_READ_BYTES = 256 * 1024, /* of one stream in a turn */
  HOST_NOBODY = -1,
};

struct host_end {
  struct list_link link; /* in host->ends */
  struct host_end *peer; /* NULL: it is gone */
  int node;              /* HOST_NOBODY: the benchmark's own */
  struct node_stream *stream;
  struct bytes in; /* on its way, or not yet read */
  bool connected, drained, ended, closed, paused, unread;
};

/* Turns of one node since host_measure(). */
struct host_turns {
  uint64_t n, ns, longest_ns, longest_at_ms;
  uint64_t over_1_ms, over_5_ms;
};

struct host_node {
  struct node *node; /* NULL: not started */
  struct address http, udp;
  uint64_t wake_ms;
  bool has_bound, has_lost; /* the election address: to be told */
  uint64_t given, told;     /* persist sequences */
  uint64_t image_bytes;     /* that went to its disk */
  struct queue letters;     /* of struct letter *, for the next turn */
  struct host_turns turns;
};

struct host {
  uint64_t now_ms;
  int holder; /* of the election address */
  struct host_node nodes[HOST_NODES_MAX];
  struct list ends;
  bool verbose; /* what nodes log goes to stderr */
};

void host_open(struct host *);
void host_close(struct host *);
/* With durable storage. */
void host_start(struct host *, int node, uint64_t compact_bytes);
/* A millisecond goes by. */
void host_turn(struct host *);
/* From now on turns are counted anew. */
void host_measure(struct host *);

/* A connection to the HTTP port of a node. What comes over it is in end->in. */
struct host_end *host_connect(struct host *, int node);
void host_send(struct host_end *, const void *data, size_t n);
/* What was sent and is not read yet. */
size_t host_unread(const struct host_end *);
/* What the node writes is not taken from now on: it does not hear that it has left. */
void host_stop_reading(struct host_end *);
/* Closes it; the pointer is dead after this. */
void host_hang_up(struct host_end *);

#endif
