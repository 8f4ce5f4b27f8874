/* Goal: bytes go both ways whole and in order, whatever the client does; a stream that closes lets what was
 * written leave; the node hears of every end once, and of nothing else. Method: serve() in a child process
 * with the fake node, and real TCP clients. */
#include "net_harness.h"

#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct server server;

static int start_server(void **state) {
  (void)state;
  struct serve_options options = net_options(&server, "a");
  server_start(&server, &options);
  return server.http.family == ADDRESS_NONE;
}

static int stop_server(void **state) {
  (void)state;
  server_stop(&server);
  return 0;
}

/* The node counts streams itself: they are gone when it was told of their end. */
static void expect_streams(int fd, const char *n) {
  uint64_t deadline_ms = net_now_ms() + NET_TIMEOUT_MS;
  do {
    net_say(fd, "streams");
    if (strcmp(net_hear(fd), n) == 0) return;
    net_sleep_ms(5);
  } while (net_now_ms() < deadline_ms);
  fail_msg("there are not %s streams", n);
}

static void test_many_at_a_time(void **state) {
  (void)state;
  int fds[300];
  char line[32];
  for (size_t i = 0; i < 300; i++) fds[i] = net_connect(&server.http);
  for (int turn = 0; turn < 3; turn++) {
    for (size_t i = 0; i < 300; i++) {
      snprintf(line, sizeof line, "echo %zu-%d", i, turn);
      net_say(fds[i], line);
    }
    for (size_t i = 0; i < 300; i++) {
      snprintf(line, sizeof line, "%zu-%d", i, turn);
      net_expect(fds[i], line);
    }
  }
  for (size_t i = 1; i < 300; i++) close(fds[i]);
  expect_streams(fds[0], "1");
  close(fds[0]);
}

static void test_commands_in_one_packet_are_answered_in_order(void **state) {
  (void)state;
  int fd = net_connect(&server.http);
  net_say(fd, "echo a\ntwice b\necho c\nstreams");
  net_expect(fd, "a");
  net_expect(fd, "bb");
  net_expect(fd, "c");
  net_expect(fd, "1");
  close(fd);
}

enum { BIG = 16 * 1024 * 1024 };

static void expect_pattern(int fd, size_t n) {
  static char buffer[64 * 1024];
  for (size_t at = 0; at < n;) {
    ssize_t got = recv(fd, buffer, n - at < sizeof buffer ? n - at : sizeof buffer, 0);
    assert_true(got > 0);
    for (size_t i = 0; i < (size_t)got; i++, at++) assert_int_equal(buffer[i], 'a' + at % 23);
  }
}

/* A slow reader gets all of it, in order, while others are served; DRAINED comes when all has left and not
 * before. */
static void test_slow_reader(void **state) {
  (void)state;
  int slow = net_connect(&server.http), other = net_connect(&server.http);
  char line[64];
  snprintf(line, sizeof line, "big %d\nbig %d\ndrained", BIG, BIG);
  net_say(slow, line);
  net_sleep_ms(100);
  net_say(other, "echo meanwhile");
  net_expect(other, "meanwhile");
  expect_pattern(slow, BIG);
  expect_pattern(slow, BIG);
  net_expect(slow, "0");
  net_sleep_ms(50);
  net_say(slow, "drained");
  net_expect(slow, "1");
  close(slow);
  close(other);
}

/* A stream that writes again whenever it is drained, and a client that reads as fast as it can: the others
 * are served all the same. */
static void test_endless_stream_leaves_the_others_their_turn(void **state) {
  (void)state;
  static char buffer[256 * 1024];
  int endless = net_connect(&server.http), other = net_connect(&server.http);
  net_say(endless, "endless");
  uint64_t until_ms = net_now_ms() + 300;
  size_t total = 0;
  while (net_now_ms() < until_ms) {
    ssize_t n = recv(endless, buffer, sizeof buffer, 0);
    assert_true(n > 0);
    total += (size_t)n;
    net_say(other, "echo here");
    net_expect(other, "here");
  }
  assert_true(total > 1024 * 1024);
  close(endless);
  expect_streams(other, "1");
  close(other);
}

static void test_close_lets_writes_leave(void **state) {
  (void)state;
  char line[64];
  int fd = net_connect(&server.http), other = net_connect(&server.http);
  snprintf(line, sizeof line, "big %d\nclose", BIG);
  net_say(fd, line);
  net_sleep_ms(100);
  expect_pattern(fd, BIG);
  net_expect(fd, "bye");
  net_expect_end(fd);
  close(fd);
  expect_streams(other, "1");
  close(other);
}

/* RFC 9112, 9.6: closing while the client still sends would reset the connection and may lose the answer. */
static void test_close_does_not_reset_a_client_that_still_sends(void **state) {
  (void)state;
  static char body[1024 * 1024];
  memset(body, 'x', sizeof body);
  for (int i = 0; i < 5; i++) {
    int fd = net_connect(&server.http);
    net_say(fd, "close");
    for (int j = 0; j < 8; j++) assert_int_equal(send(fd, body, sizeof body, MSG_NOSIGNAL), sizeof body);
    net_expect(fd, "bye");
    net_expect_end(fd);
    close(fd);
  }
}

/* ... however long it goes on sending, within half a minute. */
static void test_close_waits_for_a_client_that_sends_for_long(void **state) {
  (void)state;
  static char body[64 * 1024];
  memset(body, 'x', sizeof body);
  int fd = net_connect(&server.http);
  net_say(fd, "close");
  for (int i = 0; i < 8; i++) {
    assert_int_equal(send(fd, body, sizeof body, MSG_NOSIGNAL), sizeof body);
    net_sleep_ms(500);
  }
  net_expect(fd, "bye");
  net_expect_end(fd);
  close(fd);
}

/* It is not waited for forever: a client that does not close is closed, one that does not read too. */
static void test_close_has_deadlines(void **state) {
  (void)state;
  char line[64];
  int lingering = net_connect(&server.http), stuck = net_connect(&server.http),
      other = net_connect(&server.http);
  snprintf(line, sizeof line, "big %d\nclose", BIG);
  net_say(stuck, line);
  net_say(lingering, "close");
  net_expect(lingering, "bye");
  expect_streams(other, "3");
  uint64_t start_ms = net_now_ms();
  expect_streams(other, "2");
  assert_in_range(net_now_ms() - start_ms, 1500, 10000);
  expect_streams(other, "1");
  assert_in_range(net_now_ms() - start_ms, 4500, 15000);
  close(lingering);
  close(stuck);
  close(other);
}

/* The client closes its side while its answer still leaves. */
static void test_half_close(void **state) {
  (void)state;
  char line[64];
  int fd = net_connect(&server.http), other = net_connect(&server.http);
  snprintf(line, sizeof line, "big %d", BIG);
  net_say(fd, line);
  assert_return_code(shutdown(fd, SHUT_WR), errno);
  net_sleep_ms(100);
  expect_pattern(fd, BIG);
  net_expect_end(fd);
  expect_streams(other, "1");
  close(fd);
  close(other);
}

/* A reset in the middle of a write, and during a close. */
static void test_reset(void **state) {
  (void)state;
  struct linger reset = {.l_onoff = 1};
  char line[64];
  int other = net_connect(&server.http);
  snprintf(line, sizeof line, "big %d", BIG);
  for (int i = 0; i < 20; i++) {
    int fd = net_connect(&server.http);
    net_say(fd, line);
    if (i % 2 == 0) net_say(fd, "close");
    net_sleep_ms(2);
    assert_return_code(setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset), errno);
    close(fd);
  }
  expect_streams(other, "1");
  close(other);
}

static void test_pause_and_resume(void **state) {
  (void)state;
  int fd = net_connect(&server.http);
  net_say(fd, "pause 200");
  net_sleep_ms(50);
  uint64_t start_ms = net_now_ms();
  net_say(fd, "echo after");
  net_expect(fd, "resumed");
  net_expect(fd, "after");
  assert_in_range(net_now_ms() - start_ms, 100, 5000);
  close(fd);
}

static void test_wake_is_on_time(void **state) {
  (void)state;
  int fd = net_connect(&server.http);
  static const char *const lines[] = {"wake 0", "wake 1", "wake 20", "wake 150"};
  for (size_t i = 0; i < 4; i++) {
    int late_ms;
    net_say(fd, lines[i]);
    assert_int_equal(sscanf(net_hear(fd), "tick %d", &late_ms), 1);
    assert_in_range(late_ms, 0, 2000);
  }
  close(fd);
}

static void test_outbound(void **state) {
  (void)state;
  char line[ADDRESS_TEXT_MAX + 16], text[ADDRESS_TEXT_MAX];
  struct address nobody = net_free_udp_address();
  int fd = net_connect(&server.http);

  /* To itself: both ends are the fake node's. */
  snprintf(line, sizeof line, "connect %s", address_format(&server.http, text));
  net_say(fd, line);
  net_expect(fd, "connected");
  net_say(fd, "streams\nwrite echo hello");
  net_expect(fd, "3");
  net_expect(fd, "received hello");
  net_say(fd, "write hangup");
  net_expect(fd, "ended");
  expect_streams(fd, "1");

  /* Refused: its end is all that is told. */
  snprintf(line, sizeof line, "connect %s", address_format(&nobody, text));
  net_say(fd, line);
  net_expect(fd, "ended");
  expect_streams(fd, "1");
  close(fd);
}

/* node_accept() says no: the connection is closed, and the next is taken when there is room again. */
static void test_more_than_the_node_takes(void **state) {
  (void)state;
  int fds[500];
  char byte;
  for (size_t i = 0; i < 500; i++) fds[i] = net_connect(&server.http);
  expect_streams(fds[0], "500");
  int refused = net_connect(&server.http);
  assert_true(recv(refused, &byte, 1, 0) <= 0);
  close(refused);
  for (size_t i = 1; i < 500; i++) close(fds[i]);
  expect_streams(fds[0], "1");
  int fd = net_connect(&server.http);
  net_say(fd, "echo again");
  net_expect(fd, "again");
  close(fd);
  close(fds[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_many_at_a_time, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_commands_in_one_packet_are_answered_in_order, start_server,
                                      stop_server),
      cmocka_unit_test_setup_teardown(test_slow_reader, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_endless_stream_leaves_the_others_their_turn, start_server,
                                      stop_server),
      cmocka_unit_test_setup_teardown(test_close_lets_writes_leave, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_close_does_not_reset_a_client_that_still_sends, start_server,
                                      stop_server),
      cmocka_unit_test_setup_teardown(test_close_waits_for_a_client_that_sends_for_long, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_close_has_deadlines, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_half_close, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_reset, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_pause_and_resume, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_wake_is_on_time, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_outbound, start_server, stop_server),
      cmocka_unit_test_setup_teardown(test_more_than_the_node_takes, start_server, stop_server),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
