#include "net/serve.h"

#include "base/memory.h"
#include "coracle/version.h"
#include "disk/data_dir.h"
#include "net/listener.h"
#include "net/place.h"
#include "net/udp.h"

#include <inttypes.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
  STATUS_FAILED = 1,
  DESCRIPTORS_SPARE =
      64, /* beside HTTP connections: sockets, streams to peers, the loop's own, the lock, stderr */
  WHY_BYTES = 8 * 1024, /* a sentence with two paths */
};

/* What serve() holds, to be released in the order that it was got. */
struct start {
  const struct serve_options *options;
  char name[NODE_NAME_BYTES_MAX + 1];
  struct bytes data_dir; /* path with its NUL */
  struct address http;   /* as bound */
  char why[WHY_BYTES];   /* one sentence, when something failed */
};

/* The soft limit of descriptors is often 1024, below the default of connections; the hard one is far above.
 */
static void raise_descriptor_limit(struct shell *shell, uint64_t connections_max) {
  struct rlimit limit;
  rlim_t wanted = connections_max + DESCRIPTORS_SPARE;
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  limit.rlim_cur = limit.rlim_max < wanted ? limit.rlim_max : wanted;
  if (setrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur >= wanted) return;
  log_printf(&shell->log, NODE_LOG_WARN,
             "open files are limited to %" PRIu64 ", too few for %" PRIu64 " connections (ulimit -n)",
             (uint64_t)limit.rlim_cur, connections_max);
}

static bool choose_place(struct start *start) {
  if (start->options->name != NULL)
    snprintf(start->name, sizeof start->name, "%s", start->options->name);
  else
    place_default_name(start->http.port, start->name);

  if (start->options->data_dir != NULL) {
    bytes_append(&start->data_dir, start->options->data_dir, strlen(start->options->data_dir) + 1);
    return true;
  }
  if (place_default_data_dir(start->name, &start->data_dir) == 0) return true;
  snprintf(start->why, sizeof start->why, "neither XDG_DATA_HOME nor HOME is set: pass --data-dir");
  return false;
}

static struct node *new_node(const struct start *start, const struct shell *shell) {
  const struct serve_options *options = start->options;
  struct node_options node = {
      .name = start->name,
      .start = shell_wall_ms(),
      .election = options->election,
      .udp = udp_address(shell),
      .http = start->http,
      .heartbeat_ms = (uint32_t)options->heartbeat_ms,
      .election_timeout_ms = (uint32_t)options->election_timeout_ms,
      .document_bytes_max = options->document_bytes_max,
      .connections_max = options->connections_max,
      .follower_writes = options->follower_writes,
      .wall_ms = shell_wall_ms(),
  };
  do randombytes_buf(&node.id, sizeof node.id);
  while (node.id == 0);
  randombytes_buf(&node.seed, sizeof node.seed);
  randombytes_buf(node.token, sizeof node.token);
  randombytes_buf(node.store_key, sizeof node.store_key);
  struct node *made = node_new(&node, shell_now_ms());
  sodium_memzero(&node, sizeof node); /* the token gives write access */
  return made;
}

static void log_start(struct shell *shell, const struct start *start) {
  char http[ADDRESS_TEXT_MAX], election[ADDRESS_TEXT_MAX], udp[ADDRESS_TEXT_MAX];
  struct address own = udp_address(shell);
  log_printf(&shell->log, NODE_LOG_INFO, "coracle %s: http %s, election %s, own udp %s", CORACLE_VERSION,
             address_format(&start->http, http), address_format(&shell->election, election),
             address_format(&own, udp));
  log_printf(&shell->log, NODE_LOG_INFO, "data directory %s", (const char *)start->data_dir.data);
}

/* With the port and the directory its own: runs the node. */
static int run(struct start *start, int listener) {
  struct shell *shell = memory_zalloc(sizeof *shell);
  char text[ADDRESS_TEXT_MAX], reason[REASON_BYTES];
  int status = STATUS_FAILED;
  int error = shell_open(shell, start->options->log_level, start->name);
  if (error != 0) {
    snprintf(start->why, sizeof start->why, "cannot start the event loop: %s",
             uv_strerror_r(error, reason, sizeof reason));
    close(listener);
    goto free_shell;
  }
  shell->listener = listener;
  error = udp_open(shell, &start->options->election);
  if (error != 0) {
    snprintf(start->why, sizeof start->why, "cannot open a UDP socket on the host of %s: %s",
             address_format(&start->options->election, text), uv_strerror_r(error, reason, sizeof reason));
    goto close_shell;
  }
  raise_descriptor_limit(shell, start->options->connections_max);
  log_start(shell, start);
  shell->node = new_node(start, shell);
  status = shell_run(shell);
close_shell:
  shell_close(shell);
free_shell:
  free(shell);
  return status;
}

int serve(const struct serve_options *options) {
  struct start start = {.options = options};
  int status = STATUS_FAILED;
  int lock = -1;
  signal(SIGPIPE, SIG_IGN);

  if (sodium_init() < 0) {
    snprintf(start.why, sizeof start.why, "cannot start libsodium");
    goto done;
  }
  /* The port comes first: the default name, and with it the default directory, is made of it. */
  int listener = listener_bind(&options->http, &start.http, start.why, sizeof start.why);
  if (listener < 0) goto done;
  if (choose_place(&start))
    lock = data_dir_open((const char *)start.data_dir.data, start.why, sizeof start.why);
  if (lock < 0) {
    close(listener);
    goto done;
  }
  status = run(&start, listener);
  data_dir_close(lock);
done:
  if (start.why[0] != '\0') fprintf(stderr, "coracle serve: %s\n", start.why);
  bytes_close(&start.data_dir);
  return status;
}
