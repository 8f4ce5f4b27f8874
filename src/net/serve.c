#include "net/serve.h"

#include "base/memory.h"
#include "coracle/version.h"
#include "disk/data_dir.h"
#include "disk/secret.h"
#include "net/durable.h"
#include "net/listener.h"
#include "net/memory_limit.h"
#include "net/place.h"
#include "net/recovery.h"
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
  STATUS_REFUSED = 2, /* as a bad option is */
  DESCRIPTORS_SPARE =
      64, /* beside HTTP connections: sockets, streams to peers, the loop's own, the lock, stderr */
  WHY_BYTES = 8 * 1024, /* a sentence with two paths */
};

/* What serve() holds, to be released in the order that it was got. */
struct start {
  const struct serve_options *options;
  char name[NODE_NAME_BYTES_MAX + 1];
  struct bytes data_dir; /* path with its NUL */
  struct bytes secret_file;
  bool secret_made; /* by this process, just now */
  uint8_t secret[NODE_SECRET_BYTES];
  struct address http;       /* as bound */
  struct address advertised; /* as others reach it */
  struct log log;            /* until the shell has its own */
  struct recovery recovery;  /* disk storage */
  char why[WHY_BYTES];       /* one sentence, when something failed */
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

static void choose_advertised(struct start *start) {
  start->advertised = start->http;
  if (start->options->advertise.family == ADDRESS_NONE) return;
  start->advertised = start->options->advertise;
  if (start->advertised.port == 0) start->advertised.port = start->http.port;
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

/* 0 or the status to exit with. Of several processes that begin at once without a file one makes it. */
static int find_secret(struct start *start) {
  uint8_t fresh[SECRET_FILE_BYTES];
  const char *given = start->options->secret_file;
  int error;
  if (given != NULL) {
    bytes_append(&start->secret_file, given, strlen(given) + 1);
    error = secret_read(given, start->secret, start->why, sizeof start->why);
  } else if (place_default_secret_file(&start->secret_file) == 0) {
    randombytes_buf(fresh, sizeof fresh);
    error = secret_read_or_make((const char *)start->secret_file.data, fresh, start->secret,
                                &start->secret_made, start->why, sizeof start->why);
    sodium_memzero(fresh, sizeof fresh);
  } else {
    snprintf(start->why, sizeof start->why, "neither XDG_CONFIG_HOME nor HOME is set: pass --secret-file");
    error = CORACLE_ENOTFOUND;
  }
  if (error == 0) {
    start->why[0] = '\0'; /* why there was none before */
    return 0;
  }
  return error == CORACLE_EIO ? STATUS_FAILED : STATUS_REFUSED;
}

static bool is_durable(const struct start *start) {
  return start->options->storage == SERVE_DISK;
}

/* The rest is for what is kept beside the documents: indexes, the log, connections. */
static uint64_t data_bytes_max(const struct serve_options *options) {
  return options->data_bytes_max != 0 ? options->data_bytes_max : memory_limit_bytes() / 4 * 3;
}

/* Memory storage is a new node at every start; on disk it is the one that the directory tells of. */
static void choose_identity(struct start *start, struct node_options *node) {
  if (is_durable(start)) {
    node->durable = true;
    node->id = start->recovery.found.id;
    node->start = start->recovery.found.start;
    node->restored = &start->recovery.restored;
    return;
  }
  node->start = shell_wall_ms();
  do randombytes_buf(&node->id, sizeof node->id);
  while (node->id == 0);
}

static struct node *new_node(struct start *start, const struct shell *shell) {
  const struct serve_options *options = start->options;
  struct node_options node = {
      .name = start->name,
      .election = options->election,
      .peers = options->peers,
      .expect = (uint32_t)options->expect,
      .udp = udp_address(shell),
      .http = start->advertised,
      .heartbeat_ms = (uint32_t)options->heartbeat_ms,
      .election_timeout_ms = (uint32_t)options->election_timeout_ms,
      .document_bytes_max = options->document_bytes_max,
      .data_bytes_max = data_bytes_max(options),
      .compact_bytes = options->compact_bytes,
      .connections_max = options->connections_max,
      .follower_writes = options->follower_writes,
      .loopback = address_is_loopback(&start->http),
      .cors_origins = options->cors_origins,
      .wall_ms = shell_wall_ms(),
  };
  choose_identity(start, &node);
  randombytes_buf(&node.seed, sizeof node.seed);
  randombytes_buf(node.token, sizeof node.token);
  randombytes_buf(node.store_key, sizeof node.store_key);
  randombytes_buf(node.entropy, sizeof node.entropy);
  memcpy(node.secret, start->secret, sizeof node.secret);
  struct node *made = node_new(&node, shell_now_ms());
  sodium_memzero(&node, sizeof node); /* the token gives write access, the secret everything */
  return made;
}

static void log_start(struct shell *shell, const struct start *start) {
  char http[ADDRESS_TEXT_MAX], election[ADDRESS_TEXT_MAX], udp[ADDRESS_TEXT_MAX];
  struct address own = udp_address(shell);
  log_printf(&shell->log, NODE_LOG_INFO, "coracle %s: http %s, election %s, own udp %s", CORACLE_VERSION,
             address_format(&start->http, http), address_format(&shell->election, election),
             address_format(&own, udp));
  if (!address_equal(&start->http, &start->advertised))
    log_printf(&shell->log, NODE_LOG_INFO, "others reach this node's http at %s",
               address_format(&start->advertised, http));
  log_printf(&shell->log, NODE_LOG_INFO, "data directory %s%s", (const char *)start->data_dir.data,
             is_durable(start) ? "" : ", not used: storage is memory, which ends with the process");
  log_printf(&shell->log, NODE_LOG_INFO, "secret file %s%s", (const char *)start->secret_file.data,
             start->secret_made ? ", made just now" : "");
  if (is_durable(start)) recovery_log(&start->recovery, &shell->log);
}

static void explain_udp_failure(struct start *start, int error) {
  const struct serve_options *options = start->options;
  char text[ADDRESS_TEXT_MAX], reason[REASON_BYTES];
  address_format(&options->election, text);
  if (error == UV_EADDRINUSE && options->peers.n > 0)
    snprintf(start->why, sizeof start->why,
             "election address %s (udp) is taken by another process: with --peers it is this node's alone",
             text);
  else if (error == UV_EADDRNOTAVAIL && options->peers.n == 0)
    snprintf(start->why, sizeof start->why,
             "election address %s is not an address of this host: nodes on several hosts need --peers", text);
  else if (error == UV_EADDRNOTAVAIL)
    snprintf(start->why, sizeof start->why, "election address %s is not an address of this host", text);
  else
    snprintf(start->why, sizeof start->why, "cannot open a UDP socket on the host of %s: %s", text,
             uv_strerror_r(error, reason, sizeof reason));
}

/* With the port and the directory its own: runs the node. */
static int run(struct start *start, int listener) {
  struct shell *shell = memory_zalloc(sizeof *shell);
  char reason[REASON_BYTES];
  int status = STATUS_FAILED;
  int error = shell_open(shell, start->options->log_level, start->name);
  if (error != 0) {
    snprintf(start->why, sizeof start->why, "cannot start the event loop: %s",
             uv_strerror_r(error, reason, sizeof reason));
    close(listener);
    goto free_shell;
  }
  shell->listener = listener;
  error = udp_open(shell, &start->options->election, start->options->peers.n > 0);
  if (error != 0) {
    explain_udp_failure(start, error);
    goto close_shell;
  }
  raise_descriptor_limit(shell, start->options->connections_max);
  log_start(shell, start);
  shell->node = new_node(start, shell);
  if (is_durable(start)) {
    recovery_done(&start->recovery);
    if (durable_start(shell, start->recovery.disk) != 0) {
      snprintf(start->why, sizeof start->why, "cannot start a thread for the disk");
      goto close_shell;
    }
  }
  status = shell_run(shell);
close_shell:
  shell_close(shell);
free_shell:
  free(shell);
  return status;
}

/* The same, and before that what the directory holds. */
static int recover_and_run(struct start *start, int listener) {
  const char *data_dir = (const char *)start->data_dir.data;
  if (!is_durable(start)) return run(start, listener);
  log_init(&start->log, start->options->log_level, start->name);
  int status = STATUS_FAILED;
  if (recovery_open(&start->recovery, data_dir, &start->log, start->why, sizeof start->why) == 0) {
    status = run(start, listener);
    recovery_close(&start->recovery);
  } else {
    close(listener);
  }
  log_close(&start->log);
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
  int refused = find_secret(&start);
  if (refused != 0) {
    status = refused;
    goto done;
  }
  /* Then the port: the default name, and with it the default directory, is made of it. */
  int listener = listener_bind(&options->http, &start.http, start.why, sizeof start.why);
  if (listener < 0) goto done;
  choose_advertised(&start);
  if (choose_place(&start))
    lock = data_dir_open((const char *)start.data_dir.data, start.why, sizeof start.why);
  if (lock < 0) {
    close(listener);
    goto done;
  }
  status = recover_and_run(&start, listener);
  data_dir_close(lock);
done:
  if (start.why[0] != '\0') fprintf(stderr, "coracle serve: %s\n", start.why);
  sodium_memzero(start.secret, sizeof start.secret);
  bytes_close(&start.secret_file);
  bytes_close(&start.data_dir);
  return status;
}
