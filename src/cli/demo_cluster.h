/* The demo's nodes: `coracle serve` processes on free ports, with their data under one temporary directory.
 *
 *     demo_cluster_open(&cluster, 3, &narrator, stop_fd);
 *     ... demo_cluster_request(), demo_cluster_kill(), demo_cluster_start() ...
 *     demo_cluster_close(&cluster);
 *
 * Whatever waits here also reads the nodes' log lines, notices those that die, and listens for the user's
 * wish to stop (stop_fd); it then returns at once, and demo_cluster_is_stopped() is true from then on. */
#ifndef CORACLE_CLI_DEMO_CLUSTER_H
#define CORACLE_CLI_DEMO_CLUSTER_H

#include "base/address.h"
#include "cli/demo_log.h"
#include "cli/http_client.h"
#include "cli/narrator.h"
#include "cli/process.h"

enum { DEMO_PATH_MAX = 1024 }; /* bytes, with the NUL */

struct demo_node {
  char name[2];  /* a, b, c, ... */
  uint16_t port; /* TCP; kept when the node is restarted */
  char url[sizeof "http://" + ADDRESS_TEXT_MAX];
  char data_dir[DEMO_PATH_MAX + 4];
  struct process process;
  bool wanted;      /* to run: when it ends all the same, that is a surprise */
  bool answered;    /* a request since its last start */
  unsigned retries; /* starts since demo_cluster_start() because the port was taken */
};

struct demo_cluster {
  char program[DEMO_PATH_MAX];   /* this binary */
  char directory[DEMO_PATH_MAX]; /* of the nodes' data; empty until it is made */
  char secret_file[DEMO_PATH_MAX + sizeof "/coracle/secret"];
  char config_home[DEMO_PATH_MAX + sizeof "XDG_CONFIG_HOME="]; /* in `environment` */
  char election[ADDRESS_TEXT_MAX];                             /* UDP */
  struct demo_node nodes[DEMO_NODES_MAX];
  size_t nodes_n;
  char **environment; /* of the nodes; owned, the strings are not */
  struct demo_log log;
  struct http_client *http;  /* owned */
  struct narrator *narrator; /* not owned */
  int stop_fd;               /* a signalfd, not owned */
  int stop_signal;           /* the last signal that came through it, or 0 */
  unsigned stop_requests;    /* how many came */
  uint64_t opened_us;        /* when the first node was started, demo_now_us() */
  unsigned surprises;        /* nodes that ended and should not have */
};

/* Makes the directory and starts all nodes at once. False when that fails; it was then said why. To be closed
 * either way. */
bool demo_cluster_open(struct demo_cluster *, size_t nodes_n, struct narrator *, int stop_fd);
/* Ends the nodes in order, or with SIGKILL those that take too long or when the user asks once more; removes
 * the directory. False when a node did not end as it should; it was then said which. */
bool demo_cluster_close(struct demo_cluster *);

/* The user asked for it, or nobody reads what is written any more. */
bool demo_cluster_is_stopped(const struct demo_cluster *);

/* Starts a node (again), on its own port and data. False when that fails; it was then said why. */
bool demo_cluster_start(struct demo_cluster *, size_t node);
/* SIGKILL. */
void demo_cluster_kill(struct demo_cluster *, size_t node);

/* Sends the request to a node and waits for the reply. False only when stopped meanwhile. */
bool demo_cluster_request(struct demo_cluster *, size_t node, const struct http_client_call *,
                          struct http_client_reply *);

/* Lets time pass. */
void demo_cluster_pause(struct demo_cluster *, int pause_ms);
/* Shows the nodes' news up to now. */
void demo_cluster_relay(struct demo_cluster *);
/* Shows the nodes' news about one step (0: about none) up to now. Returns how many lines there were. */
size_t demo_cluster_show_step(struct demo_cluster *, int step);
/* Shows the nodes' news as they come, until stopped. */
void demo_cluster_watch(struct demo_cluster *);
/* Shows each running node's last lines, whatever they are about. */
void demo_cluster_show_tails(struct demo_cluster *);

uint64_t demo_now_us(void); /* monotonic */

#endif
