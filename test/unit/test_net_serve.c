/* Goal: a start that cannot succeed ends with status 1 and one line before anything was sent; HTTP waits
 * until it is opened; signals end the process in order; the log holds nobody up; without descriptors
 * accepting goes on later. Method: serve() in child processes with the fake node. */
#include "net_harness.h"

#include "disk/data_dir.h"
#include "net/sockaddr.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static void expect_failure(struct server *server, const struct serve_options *options, const char *line) {
  server_start(server, options);
  assert_int_equal(server_wait(server), 1);
  assert_string_equal((const char *)server->log.data, line);
  bytes_close(&server->log);
}

static void test_taken_http_port(void **state) {
  (void)state;
  struct server a, b;
  char line[128], text[ADDRESS_TEXT_MAX];
  struct serve_options options = net_options(&a, "a");
  server_start(&a, &options);
  int election = net_udp(&a.election); /* would hear a datagram, had one been sent */

  struct serve_options same = net_options(&b, "b");
  same.http = a.http;
  same.election = a.election;
  snprintf(line, sizeof line, "coracle serve: HTTP address %s is taken by another process\n",
           address_format(&a.http, text));
  expect_failure(&b, &same, line);
  struct pollfd readable = {.fd = election, .events = POLLIN};
  assert_int_equal(poll(&readable, 1, 0), 0);
  close(election);
  server_stop(&a);
}

static void test_first_free_port(void **state) {
  (void)state;
  struct server a, b;
  struct serve_options options = net_options(&a, "a");
  options.http = (struct address){0};
  server_start(&a, &options);
  options = net_options(&b, "b");
  options.http = (struct address){0};
  server_start(&b, &options);
  assert_in_range(a.http.port, 8001, 8998);
  assert_in_range(b.http.port, a.http.port + 1, 8999);
  server_stop(&a);
  server_stop(&b);
}

static void test_locked_data_dir(void **state) {
  (void)state;
  struct server a;
  char why[256], line[256];
  struct serve_options options = net_options(&a, "a");
  int lock = data_dir_open(a.data_dir, why, sizeof why);
  assert_true(lock >= 0);
  snprintf(line, sizeof line, "coracle serve: data directory %s is in use by another process\n", a.data_dir);
  expect_failure(&a, &options, line);
  data_dir_close(lock);
}

static void test_no_home(void **state) {
  (void)state;
  struct server a;
  struct serve_options options = net_options(&a, "a");
  options.data_dir = NULL;
  unsetenv("HOME");
  setenv("XDG_DATA_HOME", "relative", 1);
  expect_failure(&a, &options, "coracle serve: neither XDG_DATA_HOME nor HOME is set: pass --data-dir\n");
  unsetenv("XDG_DATA_HOME");
}

/* The default name is of the host and the port, and the default directory is of the name. */
static void test_default_name_and_directory(void **state) {
  (void)state;
  struct server a;
  char host[64] = "", line[400], base[64], path[256];
  struct serve_options options = net_options(&a, NULL);
  snprintf(base, sizeof base, "%s", a.data_dir);
  setenv("XDG_DATA_HOME", base, 1);
  options.data_dir = NULL;
  server_start(&a, &options);
  unsetenv("XDG_DATA_HOME");
  assert_return_code(gethostname(host, sizeof host - 1), errno);
  snprintf(path, sizeof path, "%s/coracle/%.50s-%u", base, host, a.http.port);
  snprintf(line, sizeof line, " INFO  %.50s-%u: data directory %s, not used: ", host, a.http.port, path);
  assert_non_null(strstr((const char *)a.log.data, line));
  /* Memory storage leaves nothing there but the lock. */
  snprintf(line, sizeof line, "%s/lock", path);
  assert_return_code(unlink(line), errno);
  assert_return_code(rmdir(path), errno);
  server_stop(&a);
}

/* Before the node opens HTTP, connections are taken by the kernel and wait; afterwards they are served. */
static void test_connections_wait_until_http_is_open(void **state) {
  (void)state;
  struct server a;
  int fds[100];
  struct serve_options options = net_options(&a, "late");
  uint64_t start_ms = net_now_ms();
  server_start(&a, &options);
  for (size_t i = 0; i < 100; i++) {
    fds[i] = net_connect(&a.http);
    net_say(fds[i], "echo hello");
  }
  for (size_t i = 0; i < 100; i++) {
    net_expect(fds[i], "hello");
    close(fds[i]);
  }
  assert_in_range(net_now_ms() - start_ms, 300, 5000);
  server_stop(&a);
}

/* ---- The end ---- */

static void test_sigterm_lets_answers_leave(void **state) {
  (void)state;
  struct server a;
  struct serve_options options = net_options(&a, "a");
  static char buffer[65536];
  server_start(&a, &options);
  int fd = net_connect(&a.http), idle = net_connect(&a.http);
  net_say(fd, "big 8388608\necho done");
  net_sleep_ms(100);
  assert_return_code(kill(a.pid, SIGTERM), errno);
  size_t total = 0;
  for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) total += (size_t)n;
  assert_int_equal(total, 8388608 + 5);
  net_expect_end(idle);
  close(fd);
  close(idle);
  assert_int_equal(server_wait(&a), 0);
  bytes_close(&a.log);
}

static void test_sigint_too(void **state) {
  (void)state;
  struct server a;
  struct serve_options options = net_options(&a, "a");
  server_start(&a, &options);
  assert_return_code(kill(a.pid, SIGINT), errno);
  assert_int_equal(server_wait(&a), 0);
  bytes_close(&a.log);
}

static void expect_refused(const struct address *address) {
  struct sockaddr_storage sockaddr;
  socklen_t n = sockaddr_from_address(address, &sockaddr);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&sockaddr, n), -1);
  assert_int_equal(errno, ECONNREFUSED);
  close(fd);
}

static void test_a_second_signal_ends_at_once(void **state) {
  (void)state;
  struct server a;
  struct serve_options options = net_options(&a, "stubborn");
  server_start(&a, &options);
  int fd = net_connect(&a.http);
  net_say(fd, "echo here");
  net_expect(fd, "here");
  assert_return_code(kill(a.pid, SIGTERM), errno);
  net_sleep_ms(50);
  net_say(fd, "echo still here");
  net_expect(fd, "still here");
  expect_refused(&a.http); /* whoever comes now goes to another node at once */
  assert_return_code(kill(a.pid, SIGTERM), errno);
  assert_int_equal(server_wait(&a), 128 + SIGTERM);
  bytes_close(&a.log);
  close(fd);
}

/* With streams in every state: nothing may leak. */
static void test_exit_with_everything_open(void **state) {
  (void)state;
  struct server a;
  int fds[10];
  char line[ADDRESS_TEXT_MAX + 16], text[ADDRESS_TEXT_MAX];
  struct serve_options options = net_options(&a, "a");
  server_start(&a, &options);
  for (size_t i = 0; i < 10; i++) fds[i] = net_connect(&a.http);
  net_say(fds[0], "big 8388608");
  net_say(fds[1], "big 8388608\nclose");
  net_say(fds[2], "close");
  snprintf(line, sizeof line, "connect %s", address_format(&a.http, text));
  net_say(fds[3], line);
  net_say(fds[4], "bind");
  net_say(fds[5], "pause 10000");
  net_say(fds[6], "endless");
  net_sleep_ms(100);
  net_say(fds[9], "exit 3");
  assert_int_equal(server_wait(&a), 3);
  bytes_close(&a.log);
  for (size_t i = 0; i < 10; i++) close(fds[i]);
}

/* ---- Durable storage ---- */

static int ask(const struct server *server, const char *line, const char *answer) {
  int fd = net_connect(&server->http);
  net_say(fd, line);
  net_expect(fd, answer);
  return fd;
}

/* What the node wants on the disk is there at the next start, whichever way the process ended. */
static void test_what_was_persisted_is_restored(void **state) {
  (void)state;
  struct server a;
  struct serve_options options = net_options(&a, "a");
  options.storage = SERVE_DISK;
  a.keeps_data = true;
  server_start(&a, &options);
  close(ask(&a, "restored", "nothing"));
  close(ask(&a, "identity 77 1", "persisted 1"));
  close(ask(&a, "persist 5", "persisted 2"));
  kill(a.pid, SIGKILL);
  assert_int_equal(server_wait(&a), 128 + SIGKILL);
  bytes_close(&a.log);

  server_start(&a, &options);
  int fd = ask(&a, "restored", "77 5");
  net_say(fd, "persist 6\nexit 0"); /* in one turn */
  assert_int_equal(server_wait(&a), 0);
  close(fd);
  assert_non_null(strstr((const char *)a.log.data, " INFO  a: node 000000000000004d of cluster "
                                                   "6120636c7573746572206f66206f6e65 again, in term 5\n"));
  bytes_close(&a.log);

  a.keeps_data = false;
  server_start(&a, &options);
  close(ask(&a, "restored", "77 6"));
  server_stop(&a);
}

/* A directory that cannot be trusted: one line, before anything is sent. */
static void test_refused_data_dir(void **state) {
  (void)state;
  struct server a;
  char path[96], line[256];
  struct serve_options options = net_options(&a, "a");
  options.storage = SERVE_DISK;
  a.keeps_data = true;
  server_start(&a, &options);
  server_stop(&a);
  snprintf(path, sizeof path, "%s/meta-1", a.data_dir);
  assert_return_code(unlink(path), errno);
  assert_return_code(mkfifo(path, 0600), errno);

  a.keeps_data = false;
  server_start(&a, &options);
  assert_int_equal(server_wait(&a), 1);
  snprintf(line, sizeof line, "coracle serve: data directory %s: ", a.data_dir);
  assert_int_equal(strncmp((const char *)a.log.data, line, strlen(line)), 0);
  assert_non_null(strstr((const char *)a.log.data, "meta-1"));
  assert_ptr_equal(strchr((const char *)a.log.data, '\n'), a.log.data + a.log.n - 1);
  bytes_close(&a.log);
}

/* ---- Shortages ---- */

/* Forty descriptors and more clients than that: those beyond wait, and are served when others have gone. */
static void test_accepts_again_after_running_out_of_descriptors(void **state) {
  (void)state;
  struct server a;
  int fds[60];
  struct serve_options options = net_options(&a, "a");
  a.descriptors_max = 40;
  server_start(&a, &options);
  for (size_t i = 0; i < 60; i++) fds[i] = net_connect(&a.http);
  net_sleep_ms(300);
  net_say(fds[0], "echo here");
  net_expect(fds[0], "here");
  for (size_t i = 1; i < 50; i++) close(fds[i]);
  for (size_t i = 50; i < 60; i++) {
    net_say(fds[i], "echo late");
    net_expect(fds[i], "late");
    close(fds[i]);
  }
  close(fds[0]);
  server_read_log(&a);
  const char *said = strstr((const char *)a.log.data,
                            "WARN  a: cannot accept HTTP connections for now: Too many open files");
  assert_non_null(said);
  assert_non_null(
      strstr((const char *)a.log.data, "WARN  a: open files are limited to 40, too few for 500 connections"));
  server_stop(&a);
}

/* Nobody reads stderr: lines are dropped, nobody waits, and the loss is told when it is read again. */
static void test_log_that_nobody_reads(void **state) {
  (void)state;
  struct server a;
  struct serve_options options = net_options(&a, "a");
  char line[300] = "log ";
  memset(line + 4, 'x', 200);
  server_start(&a, &options);
  int fd = net_connect(&a.http);
  for (int i = 0; i < 1000; i++) net_say(fd, line); /* 200 KB into a pipe of 64 */
  net_say(fd, "echo here");
  net_expect(fd, "here");
  server_read_log(&a);
  net_say(fd, "log once more\necho done");
  net_expect(fd, "done");
  server_read_log(&a);
  const char *log = (const char *)a.log.data;
  const char *dropped = strstr(log, " log lines dropped");
  assert_non_null(dropped);
  assert_non_null(strstr(dropped, " INFO  a: once more\n"));

  /* What got through and what was dropped is all there was. */
  unsigned through = 0, counted = 0;
  for (const char *at = log; (at = strstr(at, "INFO  a: xxx")) != NULL; at++) through++;
  assert_int_equal(sscanf(strstr(log, "WARN  a: ") + 9, "%u", &counted), 1);
  assert_int_equal(through + counted, 1000);
  assert_true(through > 100 && counted > 100);
  close(fd);
  server_stop(&a);
}

static void test_log_whose_reader_is_gone(void **state) {
  (void)state;
  struct server a;
  struct serve_options options = net_options(&a, "a");
  server_start(&a, &options);
  close(a.stderr_fd);
  a.stderr_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
  int fd = net_connect(&a.http);
  net_say(fd, "log x\nlog y\necho here");
  net_expect(fd, "here");
  close(fd);
  server_stop(&a);
}

static void test_log_lines(void **state) {
  (void)state;
  struct server a;
  struct serve_options options = net_options(&a, "a");
  server_start(&a, &options);
  int fd = net_connect(&a.http);
  net_say(fd, "log one\ttab \x1b[31m\necho here");
  net_expect(fd, "here");
  server_read_log(&a);
  unsigned year, month, day, hour, minute, second, ms;
  int n = 0;
  sscanf((const char *)a.log.data, "%4u-%2u-%2uT%2u:%2u:%2u.%3uZ INFO  a: coracle %n", &year, &month, &day,
         &hour, &minute, &second, &ms, &n);
  assert_int_equal(n, 42);
  assert_non_null(strstr((const char *)a.log.data, "Z INFO  a: one?tab ?[31m\n"));
  close(fd);
  server_stop(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_taken_http_port),
      cmocka_unit_test(test_first_free_port),
      cmocka_unit_test(test_locked_data_dir),
      cmocka_unit_test(test_no_home),
      cmocka_unit_test(test_default_name_and_directory),
      cmocka_unit_test(test_connections_wait_until_http_is_open),
      cmocka_unit_test(test_sigterm_lets_answers_leave),
      cmocka_unit_test(test_sigint_too),
      cmocka_unit_test(test_a_second_signal_ends_at_once),
      cmocka_unit_test(test_exit_with_everything_open),
      cmocka_unit_test(test_what_was_persisted_is_restored),
      cmocka_unit_test(test_refused_data_dir),
      cmocka_unit_test(test_accepts_again_after_running_out_of_descriptors),
      cmocka_unit_test(test_log_that_nobody_reads),
      cmocka_unit_test(test_log_whose_reader_is_gone),
      cmocka_unit_test(test_log_lines),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
