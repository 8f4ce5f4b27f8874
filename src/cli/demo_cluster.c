#include "cli/demo_cluster.h"

#include "base/memory.h"
#include "cli/free_port.h"

#include <assert.h>
#include <errno.h>
#include <ftw.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum {
  START_RETRIES_MAX = 2, /* when a node finds its port taken */
  STOP_GRACE_MS = 5000,  /* from SIGTERM to SIGKILL */
  REAP_POLL_MS = 10,     /* a process closes its pipe a little before it can be reaped */
  TRANSFER_POLL_MS = 100,
  READ_BYTES = 16384,
  WATCHED_MAX = DEMO_NODES_MAX + 1,
  REMOVE_DESCRIPTORS = 16, /* that nftw(3) may hold open */
};

uint64_t demo_now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static uint64_t now_ms(void) {
  return demo_now_us() / 1000;
}

bool demo_cluster_is_stopped(const struct demo_cluster *cluster) {
  return cluster->stop_signal != 0 || cluster->narrator->gone;
}

/* ---- Starting and ending nodes ---- */

static void set_port(struct demo_node *node, uint16_t port) {
  node->port = port;
  snprintf(node->url, sizeof node->url, "http://127.0.0.1:%u", port);
}

static bool launch(struct demo_cluster *cluster, struct demo_node *node) {
  const char *http = node->url + strlen("http://");
  const char *argv[] = {cluster->program, "serve",    "--election", cluster->election, "--http", http,
                        "--name",         node->name, "--data-dir", node->data_dir,    NULL};
  process_close(&node->process);
  node->answered = false;
  node->wanted = process_start(&node->process, argv, cluster->environment) == 0;
  if (!node->wanted) narrator_problem(cluster->narrator, "cannot start %s: %s", node->name, strerror(errno));
  return node->wanted;
}

bool demo_cluster_start(struct demo_cluster *cluster, size_t i) {
  cluster->nodes[i].retries = 0;
  return launch(cluster, &cluster->nodes[i]);
}

void demo_cluster_kill(struct demo_cluster *cluster, size_t i) {
  cluster->nodes[i].wanted = false;
  process_signal(&cluster->nodes[i].process, SIGKILL);
}

/* Another program can take a port between our finding it free and the node's binding it. A node that is met
 * at its port already has to keep it. */
static bool retry(struct demo_cluster *cluster, struct demo_node *node) {
  bool taken =
      !node->answered && WIFEXITED(node->process.status) && !free_port_is_free(FREE_PORT_TCP, node->port);
  uint16_t port;
  if (!taken || node->retries == START_RETRIES_MAX || free_ports_pick(FREE_PORT_TCP, &port, 1) != 0)
    return false;
  node->retries++;
  narrator_say(cluster->narrator, "%s found its port %u taken by another program; starting it on %u",
               node->name, node->port, port);
  set_port(node, port);
  return launch(cluster, node);
}

static void node_ended(struct demo_cluster *cluster, struct demo_node *node) {
  char how[PROCESS_END_TEXT_MAX];
  if (!node->wanted || retry(cluster, node)) return;
  node->wanted = false;
  cluster->surprises++;
  process_describe_end(&node->process, how, sizeof how);
  narrator_problem(cluster->narrator, "%s (pid %d) ended unexpectedly: %s", node->name,
                   (int)node->process.pid, how);
}

/* ---- What goes on meanwhile ---- */

static void collect_signals(struct demo_cluster *cluster) {
  struct signalfd_siginfo info;
  while (read(cluster->stop_fd, &info, sizeof info) == sizeof info) {
    cluster->stop_signal = (int)info.ssi_signo;
    cluster->stop_requests++;
    cluster->narrator->hurried = true;
  }
}

static void collect_output(struct demo_cluster *cluster, size_t i) {
  char data[READ_BYTES];
  struct demo_node *node = &cluster->nodes[i];
  for (size_t n; (n = process_read(&node->process, data, sizeof data)) > 0;)
    demo_log_feed(&cluster->log, i, node->name, data, n, now_ms());
}

static void collect(struct demo_cluster *cluster) {
  collect_signals(cluster);
  for (size_t i = 0; i < cluster->nodes_n; i++) {
    struct demo_node *node = &cluster->nodes[i];
    bool ended = node->process.running && process_reap(&node->process);
    collect_output(cluster, i); /* after reaping: the last words of a dead node are then all there */
    if (ended) node_ended(cluster, node);
  }
}

static size_t watched(const struct demo_cluster *cluster, int fds[WATCHED_MAX]) {
  size_t n = 0;
  fds[n++] = cluster->stop_fd;
  for (size_t i = 0; i < cluster->nodes_n; i++)
    if (cluster->nodes[i].process.output >= 0) fds[n++] = cluster->nodes[i].process.output;
  return n;
}

static bool awaits_reaping(const struct demo_cluster *cluster) {
  for (size_t i = 0; i < cluster->nodes_n; i++)
    if (cluster->nodes[i].process.running && cluster->nodes[i].process.output < 0) return true;
  return false;
}

/* Waits for anything to happen, at most `wait_ms` (-1: for ever). */
static void wait_for_news(struct demo_cluster *cluster, int wait_ms) {
  int fds[WATCHED_MAX];
  struct pollfd polled[WATCHED_MAX + 1];
  size_t n = watched(cluster, fds);

  for (size_t i = 0; i < n; i++) polled[i] = (struct pollfd){.fd = fds[i], .events = POLLIN};
  /* No event is asked of the output: poll(2) tells of a reader who has gone all the same. */
  polled[n] = (struct pollfd){.fd = cluster->narrator->gone ? -1 : cluster->narrator->fd};
  if (awaits_reaping(cluster) && (wait_ms < 0 || wait_ms > REAP_POLL_MS)) wait_ms = REAP_POLL_MS;
  if (poll(polled, n + 1, wait_ms) > 0 && polled[n].revents != 0) cluster->narrator->gone = true;
  collect(cluster);
}

void demo_cluster_pause(struct demo_cluster *cluster, int pause_ms) {
  uint64_t end_ms = now_ms() + (uint64_t)pause_ms;
  for (uint64_t now = now_ms(); now < end_ms && !demo_cluster_is_stopped(cluster); now = now_ms())
    wait_for_news(cluster, (int)(end_ms - now));
}

bool demo_cluster_request(struct demo_cluster *cluster, size_t i, const struct http_client_call *call,
                          struct http_client_reply *reply) {
  int fds[WATCHED_MAX];
  bool done = false;

  http_client_start(cluster->http, call, reply);
  while (!done) {
    if (demo_cluster_is_stopped(cluster)) return false;
    size_t n = watched(cluster, fds);
    done = http_client_turn(cluster->http, fds, n, TRANSFER_POLL_MS);
    collect(cluster);
  }
  if (reply->status != 0) cluster->nodes[i].answered = true;
  return true;
}

static void show(struct demo_cluster *cluster, struct demo_line *line) {
  narrator_node_line(cluster->narrator, cluster->nodes[line->node].name, line);
  demo_line_free(line);
}

static void show_due(struct demo_cluster *cluster, uint64_t now) {
  for (struct demo_line *line; (line = demo_log_next(&cluster->log, now)) != NULL;) show(cluster, line);
  if (cluster->log.dropped > 0)
    narrator_say(cluster->narrator, "... and %" PRIu64 " lines before, too many to show",
                 cluster->log.dropped);
  cluster->log.dropped = 0;
}

void demo_cluster_relay(struct demo_cluster *cluster) {
  demo_cluster_pause(cluster, DEMO_NEWS_HOLD_MS);
  show_due(cluster, now_ms());
}

size_t demo_cluster_show_step(struct demo_cluster *cluster, int step) {
  size_t n = 0;
  for (struct demo_line *line; (line = demo_log_take_step(&cluster->log, step)) != NULL; n++)
    show(cluster, line);
  return n;
}

void demo_cluster_watch(struct demo_cluster *cluster) {
  while (!demo_cluster_is_stopped(cluster)) {
    wait_for_news(cluster, demo_log_wait_ms(&cluster->log, now_ms()));
    show_due(cluster, now_ms());
  }
}

void demo_cluster_show_tails(struct demo_cluster *cluster) {
  const char *line;
  for (size_t i = 0; i < cluster->nodes_n; i++) {
    narrator_say(cluster->narrator, "the last lines of %s:", cluster->nodes[i].name);
    for (size_t j = 0; (line = demo_log_tail(&cluster->log, i, j)) != NULL; j++)
      narrator_say(cluster->narrator, "   %s", line);
  }
}

/* ---- Setting up and clearing away ---- */

/* Whatever CORACLE_... variables the user has set are for servers of his own, and so is his cluster secret:
 * the demo's nodes make themselves one in the demo's directory, as they do in the user's by default. */
static void set_node_environment(struct demo_cluster *cluster) {
  size_t n = 0, kept = 0;
  while (environ[n] != NULL) n++;
  char **copy = memory_alloc((n + 2) * sizeof *copy);
  for (size_t i = 0; i < n; i++)
    if (strncmp(environ[i], "CORACLE_", strlen("CORACLE_")) != 0 &&
        strncmp(environ[i], "XDG_CONFIG_HOME=", strlen("XDG_CONFIG_HOME=")) != 0)
      copy[kept++] = environ[i];
  snprintf(cluster->config_home, sizeof cluster->config_home, "XDG_CONFIG_HOME=%s", cluster->directory);
  snprintf(cluster->secret_file, sizeof cluster->secret_file, "%s/coracle/secret", cluster->directory);
  copy[kept++] = cluster->config_home;
  copy[kept] = NULL;
  cluster->environment = copy;
}

static bool find_program(struct demo_cluster *cluster) {
  ssize_t n = readlink("/proc/self/exe", cluster->program, sizeof cluster->program - 1);
  if (n < 0 || (size_t)n == sizeof cluster->program - 1) return false;
  cluster->program[n] = '\0';
  return true;
}

static bool make_directory(struct demo_cluster *cluster) {
  const char *base = getenv("TMPDIR");
  char path[DEMO_PATH_MAX];
  /* A relative path would not do for XDG_CONFIG_HOME. */
  int n = snprintf(path, sizeof path, "%s/coracle-demo-XXXXXX", base != NULL && *base == '/' ? base : "/tmp");
  if ((size_t)n >= sizeof path) {
    errno = ENAMETOOLONG;
    return false;
  }
  if (mkdtemp(path) == NULL) return false;
  memcpy(cluster->directory, path, (size_t)n + 1);
  return true;
}

static bool choose_ports(struct demo_cluster *cluster) {
  uint16_t election, ports[DEMO_NODES_MAX];
  if (free_ports_pick(FREE_PORT_UDP, &election, 1) != 0) return false;
  if (free_ports_pick(FREE_PORT_TCP, ports, cluster->nodes_n) != 0) return false;
  snprintf(cluster->election, sizeof cluster->election, "127.0.0.1:%u", election);
  for (size_t i = 0; i < cluster->nodes_n; i++) set_port(&cluster->nodes[i], ports[i]);
  return true;
}

static bool start_all(struct demo_cluster *cluster) {
  cluster->opened_us = demo_now_us();
  for (size_t i = 0; i < cluster->nodes_n; i++) {
    struct demo_node *node = &cluster->nodes[i];
    node->name[0] = (char)('a' + i);
    snprintf(node->data_dir, sizeof node->data_dir, "%s/%s", cluster->directory, node->name);
    if (!demo_cluster_start(cluster, i)) return false;
  }
  return true;
}

static bool cannot(struct demo_cluster *cluster, const char *what) {
  narrator_problem(cluster->narrator, "cannot %s: %s", what, strerror(errno));
  return false;
}

bool demo_cluster_open(struct demo_cluster *cluster, size_t nodes_n, struct narrator *narrator, int stop_fd) {
  assert(nodes_n >= DEMO_NODES_MIN && nodes_n <= DEMO_NODES_MAX);
  *cluster = (struct demo_cluster){.nodes_n = nodes_n, .narrator = narrator, .stop_fd = stop_fd};
  for (size_t i = 0; i < nodes_n; i++) cluster->nodes[i].process.output = -1;
  cluster->http = http_client_new();
  if (cluster->http == NULL) return cannot(cluster, "set up the HTTP client");
  if (!find_program(cluster)) return cannot(cluster, "find the path of this program");
  if (!choose_ports(cluster)) return cannot(cluster, "find free ports on 127.0.0.1");
  if (!make_directory(cluster)) return cannot(cluster, "make a directory for the nodes' data");
  set_node_environment(cluster);
  return start_all(cluster);
}

/* Removes what nftw(3) walks past. A file that has gone already is fine. */
static int remove_one(const char *path, const struct stat *about, int type, struct FTW *where) {
  (void)about;
  (void)type;
  (void)where;
  return remove(path) == 0 || errno == ENOENT ? 0 : -1;
}

static bool remove_directory(struct demo_cluster *cluster) {
  if (cluster->directory[0] == '\0') return true;
  return nftw(cluster->directory, remove_one, REMOVE_DESCRIPTORS, FTW_DEPTH | FTW_PHYS) == 0 ||
         cannot(cluster, "remove the nodes' data");
}

static bool any_running(const struct demo_cluster *cluster) {
  for (size_t i = 0; i < cluster->nodes_n; i++)
    if (cluster->nodes[i].process.running) return true;
  return false;
}

/* One that has only just started dies of SIGTERM itself. */
static bool ended_well(const struct process *process) {
  int status = process->status;
  return WIFSIGNALED(status) ? WTERMSIG(status) == SIGTERM : WEXITSTATUS(status) == 0;
}

/* Asks all nodes to end and waits for them. False when some had to be killed or ended badly. */
static bool end_nodes(struct demo_cluster *cluster) {
  unsigned requests = cluster->stop_requests;
  uint64_t end_ms = now_ms() + STOP_GRACE_MS;
  char how[PROCESS_END_TEXT_MAX];
  bool asked[DEMO_NODES_MAX], fine = true;

  for (size_t i = 0; i < cluster->nodes_n; i++) {
    struct demo_node *node = &cluster->nodes[i];
    asked[i] = node->process.running && node->wanted;
    node->wanted = false;
    process_signal(&node->process, SIGTERM);
  }
  for (uint64_t now = now_ms(); any_running(cluster) && now < end_ms; now = now_ms()) {
    wait_for_news(cluster, (int)(end_ms - now));
    if (cluster->stop_requests > requests) break;
  }
  for (size_t i = 0; i < cluster->nodes_n; i++) {
    struct process *process = &cluster->nodes[i].process;
    bool hangs = process->running;
    process_close(process);
    if (!asked[i] || ended_well(process)) continue;
    process_describe_end(process, how, sizeof how);
    narrator_problem(cluster->narrator, "%s did not end as SIGTERM asked it to%s: %s", cluster->nodes[i].name,
                     hangs ? " in time" : "", how);
    fine = false;
  }
  /* A sanitizer's report, say. When all went well, what nodes say of each other's going is of no interest. */
  if (!fine) show_due(cluster, UINT64_MAX);
  return fine;
}

bool demo_cluster_close(struct demo_cluster *cluster) {
  bool fine = end_nodes(cluster);
  fine = remove_directory(cluster) && fine;
  http_client_free(cluster->http);
  demo_log_close(&cluster->log);
  free(cluster->environment);
  return fine;
}
