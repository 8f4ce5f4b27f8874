/* Several whole nodes in one process, and the host they run on: processes, one clock, a network, all driven
 * by one seed. The same seed gives the same run, to the byte.
 *
 *     struct world *w = world_new(&(struct world_options){.seed = 1, .nodes = 3});
 *     world_start_all(w);
 *     WORLD_UNTIL(w, world_is_formed(w), 2000);
 *     world_kill(w, world_leader(w));
 *     WORLD_UNTIL(w, world_leader(w) >= 0, 100);
 *     world_free(w);
 *
 * Things happen one at a time (world_step), in the order of their times. Between two of them a test may
 * start, kill, stop and go on with processes, change the weather on the network, and play the other end of
 * sockets. After every turn of a node world_check.c holds all of them against what must always be true;
 * a failure names the seed and prints the end of the trace. WORLD_TRACE=1 in the environment prints all of it
 * as it happens, WORLD_TRACE=2 every datagram too.
 *
 * What the host is like:
 *   - Datagrams take some ten microseconds, or are lost, doubled or late as the weather is. One process at
 *     a time has the election address; a killed one's comes free up to four milliseconds after its
 *     connections have ended.
 *   - Streams keep the order of their bytes, which arrive in pieces of any size. A writer hears that it is
 *     drained while no more than the kernel's buffers hold is unread. A killed process's streams end after
 *     any part of what it had sent, in order or reset; so do both ends of one that is cut.
 *   - A listening socket takes connections from the start of its process on; they wait until they are
 *     accepted.
 *   - A process does as the shell in src/net/ does: any of what is ready is told in one turn, then the
 *     effects of the turn are carried out, then what they caused is told. A stopped one (SIGSTOP) does
 *     nothing, while its sockets fill.
 *   - A started process has a new token and a new UDP port, and its old HTTP port unless it is given another.
 *     With memory storage it has a new id as well. With disks it has what was durable when it ended: all that
 *     it had been told of, and some first part of what was under way. Its files are written and read by the
 *     code that real ones are (disk/), on a disk that loses whatever was not synced (fake_files.h). */
#ifndef CORACLE_TEST_NODE_WORLD_H
#define CORACLE_TEST_NODE_WORLD_H

#include "base/queue.h"
#include "http/response.h"
#include "node/node.h"

#include <stdint.h>

enum { WORLD_NODES_MAX = 8, HEARTBEAT_MS = 50, ELECTION_TIMEOUT_MS = 500, DOCUMENT_BYTES_MAX = 64 * 1024 };

struct world_options {
  uint64_t seed;
  int nodes;
  enum api_follower_writes follower_writes;
  size_t connections_max; /* 0: 64 */
  uint64_t compact_bytes; /* of log, as in node_options */
  uint32_t chunk_bytes_max;
  size_t operations_per_turn; /* likewise */
  bool durable;               /* nodes have disks */
  bool disk_faults; /* ... on which processes end while they read, too, and which power cuts are tried on */
  uint64_t segment_bytes; /* of their logs; 0: 32 KiB */
  bool one_cluster;       /* a second one that anybody may count on is a failure */
  unsigned disk_us;       /* what it takes one to make things durable, on average; 0: 300 */
  bool peers;       /* as on several hosts: each has an election address of its own, node 0 the lowest */
  uint32_t expect;  /* voters before writes are taken, as in node_options */
  bool values_once; /* the test's clients never write a value twice: no command that does may take effect */
  bool broken; /* the test changes documents behind a node's back: the nodes are to find out, not the world */
};

struct world;
/* What is done about a failure, after the report: each program that uses the world has one of its own. Does
 * not return. */
__attribute__((noreturn)) void world_failed(struct world *);
struct world *world_new(const struct world_options *);
void world_free(struct world *);

/* ---- Time ---- */

uint64_t world_now_ms(const struct world *); /* since it was made */
/* The next thing happens; false when nothing will, or not before the limit. */
bool world_step(struct world *, uint64_t limit_ms);
void world_run(struct world *, uint64_t ms);
/* Fails the test, with the seed and the trace. */
__attribute__((format(printf, 2, 3), noreturn)) void world_fail(struct world *, const char *format, ...);
#define WORLD_CHECK(world, condition)                                                                        \
  do {                                                                                                       \
    if (!(condition)) world_fail(world, "%s:%d: %s", __FILE__, __LINE__, #condition);                        \
  } while (0)
/* Lets things happen until the condition holds, for at most so long. */
#define WORLD_UNTIL(world, condition, limit_ms)                                                              \
  do {                                                                                                       \
    const uint64_t world_until_end_ms = world_now_ms(world) + (limit_ms);                                    \
    while (!(condition))                                                                                     \
      if (!world_step(world, world_until_end_ms))                                                            \
        world_fail(world, "%s:%d: not within %d ms: %s", __FILE__, __LINE__, (int)(limit_ms), #condition);   \
  } while (0)
/* A random number below `limit`, for the test's own dice. */
uint64_t world_dice(struct world *, uint64_t limit);
/* The same for the same seed and the same actions. */
uint64_t world_trace_hash(const struct world *);

/* ---- Processes, from 0 ---- */

void world_start(struct world *, int node);
void world_start_all(struct world *); /* at the same instant */
void world_kill(struct world *, int node);
/* The same, but its peers do not see its connections end, until it is back. */
void world_cut_power(struct world *, int node);
void world_terminate(struct world *, int node); /* SIGTERM */
void world_pause(struct world *, int node);     /* SIGSTOP */
void world_resume(struct world *, int node);
/* The same, in the middle of what its disk does next. */
void world_kill_writing(struct world *, int node, bool power);
/* Its data is gone: it starts as a new node, under its old name and HTTP address. It must not be running. */
void world_wipe(struct world *, int node);
/* Its disk does nothing for so long. */
void world_hang_disk(struct world *, int node, uint64_t ms);
/* It has room for so many bytes more; UINT64_MAX: for all. */
void world_limit_disk(struct world *, int node, uint64_t bytes);
/* One of its next operations fails; then its process ends itself, or does not start. */
void world_fail_disk(struct world *, int node);
/* Some bytes on it change. It must not be running. False: there are none. */
bool world_harm_disk(struct world *, int node);
/* Its process would not start on it, since it is damaged. */
bool world_is_refused(const struct world *, int node);
/* All have all room; none hangs, none is about to fail. */
void world_heal_disks(struct world *);
/* Somebody has put the disk of a node of another, established cluster of so many voters into it. It must not
 * be running, and its disk be empty. */
void world_make_foreign(struct world *, int node, int voters);
/* Its clock runs fast by so many parts of a million. It must not have been started yet. */
void world_set_drift(struct world *, int node, int ppm);
bool world_is_running(const struct world *, int node); /* stopped or not */
bool world_is_paused(const struct world *, int node);
/* The next start of it is on this HTTP port. It must not be running. */
void world_set_port(struct world *, int node, uint16_t port);
struct node *world_node(struct world *, int node);
const uint8_t *world_token(struct world *, int node); /* WRITE_TOKEN_BYTES */
uint64_t world_id(struct world *, int node);
struct address world_http(struct world *, int node);
struct address world_udp(struct world *, int node);
struct address world_election(void);
const uint8_t *world_secret(void);      /* NODE_SECRET_BYTES: of every node */
int world_holder(const struct world *); /* who has the election address; -1: none of the nodes */
/* Another program takes the election address, or lets go of it; it must be free. A tap there hears what is
 * sent to it. */
void world_occupy(struct world *, bool occupy);
bool world_http_is_open(const struct world *, int node);
/* It has logged such a line since it was started. */
bool world_has_logged(const struct world *, int node, const char *text);

/* ---- What the nodes know ---- */

/* The running one that leads the newest term of an established cluster, else of any; -1: nobody. */
int world_leader(struct world *);
/* Every running node is a voter of one cluster, follows its leader and has applied all of its log. */
bool world_is_formed(struct world *);
/* Killing that one leaves every established cluster with a majority of voters that can still meet: the rest
 * can elect without it. With memory storage a dead voter never comes back under its id. */
bool world_can_spare(struct world *, int node);
/* Without that one (which is stopped, or killed) somebody of the established cluster is awake to tell fresh
 * nodes of it, or keeps the election address from them; or there is none yet. Else they would found another,
 * not knowing better. */
bool world_has_witness(struct world *, int without, bool stopped);

/* The one takes the other, or itself, out of the cluster, if it leads and can. */
bool world_remove(struct world *, int leader, int node);
/* The one hands leadership to the other, if it leads and can. */
bool world_transfer(struct world *, int from, int to);
/* The one proposes once more some command with an idempotency key that is in its log already, if it leads and
 * has one: as a client's retry would be, for which it had not been looked up, or too early. */
bool world_propose_again(struct world *, int leader);

/* ---- The network ---- */

struct world_weather {
  unsigned loss_percent, double_percent, late_percent; /* of datagrams */
  unsigned late_ms;                                    /* how late those are, at most; 0: 100 */
  unsigned delay_us;                                   /* of everything, on average, beyond the host's own */
};
void world_set_weather(struct world *, struct world_weather);
/* Nothing (of datagrams, of streams) gets from the one process to the other any more, until it does again. */
void world_block(struct world *, int from, int to, bool udp, bool tcp);
void world_unblock_all(struct world *);
/* Cuts every stream between two nodes; what is underway is lost. */
void world_cut(struct world *, int a, int b);
/* A datagram from anywhere. */
void world_send(struct world *, struct address from, struct address to, const void *data, size_t n);

/* A UDP socket of the test's. */
struct tap {
  struct address address;
  struct address from; /* of the newest datagram */
  struct bytes last;   /* itself */
  size_t received_n;
};
struct tap *world_tap(struct world *, struct address); /* lives as long as the world */

/* The test's end of a stream. Lives as long as the world. */
struct wire {
  struct end *end; /* the world's */
  bool connected;  /* the other end has the connection in its backlog, or took it */
  bool ended;      /* the other end has closed it */
  bool reading;    /* true unless wire_read(false) */
  struct bytes received;
  void *user; /* the test's; released with free() when the world is */
};
struct wire *world_connect(struct world *, int node);
void wire_send(struct world *, struct wire *, const void *data, size_t n);
void wire_send_text(struct world *, struct wire *, const char *text);
void wire_read(struct world *, struct wire *, bool on);
void wire_end(struct world *, struct wire *); /* closes its side only: it still reads */
void wire_close(struct world *, struct wire *);
bool wire_has(const struct wire *, const char *text); /* it has received that */
/* The test listens there; NULL while nobody has connected. */
void world_listen(struct world *, struct address);
struct wire *world_accept(struct world *, struct address);

/* ---- An HTTP client ---- */

/* What an answer was. */
struct answer_seen {
  int status;
  struct bytes head, body; /* owned by the client */
};

struct client {
  struct world *world;
  struct wire *wire;
  int node;
  struct http_response_parser *parser;
  size_t parsed;        /* bytes of wire->received */
  struct queue asked;   /* of struct asked, in order; private to world_client.c */
  struct queue answers; /* of struct answer_seen, in order */
};

void client_open(struct client *, struct world *, int node);
void client_close(struct client *);
/* Sends METHOD TARGET with a JSON body (NULL: none) and does not wait. */
void client_ask(struct client *, const char *method, const char *target, const char *body);
/* With more header lines, each with its end. */
void client_ask_if(struct client *, const char *method, const char *target, const char *body,
                   const char *headers);
/* The answers that have come so far. Fails the test if there are more than requests, and checks each against
 * its request and against what others have been answered. */
size_t client_answers(struct client *);
/* The i-th; it must have come. The body ends in a NUL that does not count. */
const struct answer_seen *client_answer(struct client *, size_t i);
/* Of its head; NULL: it has none such. Lives until the next call. */
const char *answer_header(const struct answer_seen *, const char *name);
/* One request on a connection of its own, and its answer, which must come within the time. Closed by the
 * caller. */
struct answer_seen world_ask(struct world *, int node, const char *method, const char *target,
                             const char *body, uint64_t limit_ms);
void answer_close(struct answer_seen *);
/* The same, within a second, and only the status. */
int world_status(struct world *, int node, const char *method, const char *target, const char *body);
/* The same; the body must have `has` in it (NULL: anything). */
void assert_answer(struct world *, int node, const char *method, const char *target, const char *body,
                   int status, const char *has);

#endif
