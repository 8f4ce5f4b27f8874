#include "net_harness.h"

#include "disk/secret.h"
#include "net/sockaddr.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { FOLDERS_OPEN_MAX = 8 };

uint64_t net_now_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void net_sleep_ms(unsigned ms) {
  nanosleep(&(struct timespec){.tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000}, NULL);
}

/* ---- Sockets ---- */

static int new_socket(int type) {
  struct timeval timeout = {.tv_sec = NET_TIMEOUT_MS / 1000};
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  assert_true(fd >= 0);
  assert_return_code(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout), errno);
  assert_return_code(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof timeout), errno);
  return fd;
}

int net_connect(const struct address *to) {
  struct sockaddr_storage sockaddr;
  socklen_t n = sockaddr_from_address(to, &sockaddr);
  int fd = new_socket(SOCK_STREAM);
  assert_return_code(connect(fd, (struct sockaddr *)&sockaddr, n), errno);
  return fd;
}

void net_say(int fd, const char *line) {
  char text[512];
  int n = snprintf(text, sizeof text, "%s\n", line);
  assert_int_equal(send(fd, text, (size_t)n, MSG_NOSIGNAL), n);
}

const char *net_hear(int fd) {
  static char line[1024];
  size_t n = 0;
  while (n < sizeof line - 1 && recv(fd, line + n, 1, 0) == 1 && line[n] != '\n') n++;
  line[n] = '\0';
  return line;
}

void net_expect(int fd, const char *line) {
  assert_string_equal(net_hear(fd), line);
}

void net_expect_end(int fd) {
  char byte;
  assert_int_equal(recv(fd, &byte, 1, 0), 0);
}

int net_udp(const struct address *bind_to) {
  struct address any = {.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}};
  struct sockaddr_storage sockaddr;
  socklen_t n = sockaddr_from_address(bind_to != NULL ? bind_to : &any, &sockaddr);
  int fd = new_socket(SOCK_DGRAM);
  assert_return_code(bind(fd, (struct sockaddr *)&sockaddr, n), errno);
  return fd;
}

struct address net_address_of(int fd) {
  struct sockaddr_storage sockaddr;
  socklen_t n = sizeof sockaddr;
  assert_return_code(getsockname(fd, (struct sockaddr *)&sockaddr, &n), errno);
  return sockaddr_to_address((const struct sockaddr *)&sockaddr);
}

struct address net_free_udp_address(void) {
  int fd = net_udp(NULL);
  struct address address = net_address_of(fd);
  close(fd);
  return address;
}

void net_send(int fd, const struct address *to, const void *data, size_t n) {
  struct sockaddr_storage sockaddr;
  socklen_t sockaddr_n = sockaddr_from_address(to, &sockaddr);
  assert_int_equal(sendto(fd, data, n, 0, (struct sockaddr *)&sockaddr, sockaddr_n), n);
}

/* ---- Servers ---- */

static void make_secret(struct server *server) {
  static const uint8_t secret[SECRET_FILE_BYTES] = "the secret of a test's servers";
  char why[256];
  snprintf(server->secret_file, sizeof server->secret_file, "%s.secret", server->data_dir);
  assert_int_equal(secret_make(server->secret_file, secret, why, sizeof why), 0);
}

struct serve_options net_options(struct server *server, const char *name) {
  *server = (struct server){.election = net_free_udp_address()};
  snprintf(server->data_dir, sizeof server->data_dir, "/tmp/coracle-test-net-XXXXXX");
  assert_non_null(mkdtemp(server->data_dir));
  make_secret(server);
  return (struct serve_options){
      .election = server->election,
      .http = {.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}},
      .name = name,
      .data_dir = server->data_dir,
      .storage = SERVE_MEMORY,
      .secret_file = server->secret_file,
      .heartbeat_ms = 50,
      .election_timeout_ms = 500,
      .document_bytes_max = 1024 * 1024,
      .connections_max = 500,
      .log_level = NODE_LOG_INFO,
  };
}

static void run_child(const struct server *server, const struct serve_options *options, int stderr_fd) {
  struct rlimit limit = {.rlim_cur = server->descriptors_max, .rlim_max = server->descriptors_max};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  dup2(stderr_fd, STDERR_FILENO);
  for (int fd = 3; fd < 64; fd++)
    close(fd); /* so that the test's own sockets end when the test closes them */
  if (server->descriptors_max > 0) setrlimit(RLIMIT_NOFILE, &limit);
  exit(serve(options));
}

void server_read_log(struct server *server) {
  ssize_t n;
  do {
    uint8_t *at = bytes_reserve(&server->log, 4096);
    n = read(server->stderr_fd, at, 4095);
    if (n > 0) server->log.n += (size_t)n;
    server->log.data[server->log.n] = '\0';
  } while (n > 0);
}

static bool read_http_address(struct server *server) {
  char text[ADDRESS_TEXT_MAX];
  server_read_log(server);
  const char *at = strstr((const char *)server->log.data, ": http ");
  if (at == NULL) return false;
  assert_int_equal(sscanf(at, ": http %55[^,]", text), 1);
  assert_int_equal(address_parse(text, &server->http), 0);
  return true;
}

static bool has_ended(pid_t pid) {
  siginfo_t info = {0};
  return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == pid;
}

void server_start(struct server *server, const struct serve_options *options) {
  int ends[2];
  uint64_t deadline_ms = net_now_ms() + NET_TIMEOUT_MS;
  assert_return_code(pipe2(ends, O_CLOEXEC), errno);
  server->pid = fork();
  assert_true(server->pid >= 0);
  if (server->pid == 0) run_child(server, options, ends[1]);
  close(ends[1]);
  server->stderr_fd = ends[0];
  fcntl(server->stderr_fd, F_SETFL, O_NONBLOCK);
  while (!read_http_address(server) && !has_ended(server->pid)) {
    assert_true(net_now_ms() < deadline_ms);
    net_sleep_ms(1);
  }
  server_read_log(server);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place) {
  (void)status, (void)type, (void)place;
  return remove(path);
}

int server_wait(struct server *server) {
  uint64_t deadline_ms = net_now_ms() + NET_TIMEOUT_MS;
  int status;
  while (!has_ended(server->pid)) {
    if (net_now_ms() > deadline_ms) kill(server->pid, SIGKILL);
    net_sleep_ms(1);
  }
  assert_int_equal(waitpid(server->pid, &status, 0), server->pid);
  server_read_log(server);
  if (WIFSIGNALED(status) || strstr((const char *)server->log.data, "Sanitizer") != NULL)
    print_message("%s", (const char *)server->log.data);
  close(server->stderr_fd);
  if (!server->keeps_data) {
    nftw(server->data_dir, remove_one, FOLDERS_OPEN_MAX, FTW_DEPTH | FTW_PHYS);
    unlink(server->secret_file);
  }
  return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

void server_stop(struct server *server) {
  assert_return_code(kill(server->pid, SIGTERM), errno);
  assert_int_equal(server_wait(server), 0);
  bytes_close(&server->log);
}
