/* Goal: one process holds the election address at a time, and gives it up at once when told; datagrams come
 * in on both sockets and go out from the node's own; a flood of them delays nothing else. Method: serve() in
 * child processes with the fake node, and plain UDP sockets. */
#include "net_harness.h"

#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void start(struct server *server, const struct address *election) {
  struct serve_options options = net_options(server, "a");
  if (election != NULL) server->election = options.election = *election;
  server_start(server, &options);
  assert_int_not_equal(server->http.family, ADDRESS_NONE);
}

static struct address own_udp_address(int fd) {
  struct address address;
  net_say(fd, "udp");
  assert_int_equal(address_parse(net_hear(fd), &address), 0);
  return address;
}

static void test_one_holds_the_election_address(void **state) {
  (void)state;
  struct server a, b;
  start(&a, NULL);
  start(&b, &a.election);
  int to_a = net_connect(&a.http), to_b = net_connect(&b.http);
  net_say(to_a, "bind");
  net_expect(to_a, "bound");
  net_say(to_b, "bind");
  net_expect(to_b, "taken");
  net_say(to_b, "bind");
  net_expect(to_b, "taken");
  for (int i = 0; i < 50; i++) {
    net_say(to_a, "release");
    net_expect(to_a, "released");
    net_say(to_b, "bind");
    net_expect(to_b, "bound"); /* at the first attempt */
    net_say(to_a, "bind");
    net_expect(to_a, "taken");
    net_say(to_b, "release");
    net_expect(to_b, "released");
    net_say(to_a, "bind");
    net_expect(to_a, "bound");
  }
  close(to_a);
  close(to_b);
  server_stop(&a);
  server_stop(&b);
}

/* With SO_REUSEADDR on both sides Linux would let a second socket bind, and give it the datagrams. */
static void test_the_election_address_is_not_shared(void **state) {
  (void)state;
  struct server a;
  int yes = 1;
  start(&a, NULL);
  int to_a = net_connect(&a.http);
  net_say(to_a, "bind");
  net_expect(to_a, "bound");
  int thief = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  assert_return_code(setsockopt(thief, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes), errno);
  struct sockaddr_in in = {
      .sin_family = AF_INET, .sin_port = htons(a.election.port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
  assert_int_equal(bind(thief, (struct sockaddr *)&in, sizeof in), -1);
  assert_int_equal(errno, EADDRINUSE);
  in.sin_port = htons(own_udp_address(to_a).port);
  assert_int_equal(bind(thief, (struct sockaddr *)&in, sizeof in), -1);
  assert_int_equal(errno, EADDRINUSE);
  close(thief);
  close(to_a);
  server_stop(&a);
}

static void test_datagrams(void **state) {
  (void)state;
  struct server a;
  char line[ADDRESS_TEXT_MAX + 32], text[ADDRESS_TEXT_MAX], received[64];
  start(&a, NULL);
  int to_a = net_connect(&a.http), udp = net_udp(NULL);
  struct address own = own_udp_address(to_a), mine = net_address_of(udp);
  net_say(to_a, "listen\nbind");
  net_expect(to_a, "listening");
  net_expect(to_a, "bound");
  assert_int_not_equal(own.port, a.election.port);

  net_send(udp, &a.election, "one", 3);
  snprintf(line, sizeof line, "datagram %s one", address_format(&mine, text));
  net_expect(to_a, line);
  net_send(udp, &own, "two", 3);
  snprintf(line, sizeof line, "datagram %s two", text);
  net_expect(to_a, line);
  net_send(udp, &own, "", 0);
  snprintf(line, sizeof line, "datagram %s ", text);
  net_expect(to_a, line);

  snprintf(line, sizeof line, "send %s hello", text);
  net_say(to_a, line);
  struct sockaddr_in from;
  socklen_t from_n = sizeof from;
  assert_int_equal(recvfrom(udp, received, sizeof received, 0, (struct sockaddr *)&from, &from_n), 5);
  assert_int_equal(ntohs(from.sin_port), own.port);

  /* To a port that nobody has, and to a family that the socket has not: lost, and nothing worse. */
  net_say(to_a, "send 127.0.0.1:1 x\nsend [::1]:1 x\nsend 127.0.0.1:0 x\necho still here");
  net_expect(to_a, "still here");
  close(to_a);
  close(udp);
  server_stop(&a);
}

static void test_flood(void **state) {
  (void)state;
  struct server a;
  static char junk[1400];
  int late_ms;
  start(&a, NULL);
  int to_a = net_connect(&a.http), udp = net_udp(NULL);
  struct address own = own_udp_address(to_a);
  net_say(to_a, "bind");
  net_expect(to_a, "bound");
  for (int round = 0; round < 10; round++) {
    net_say(to_a, "wake 10");
    for (int i = 0; i < 2000; i++) {
      net_send(udp, &own, junk, (size_t)i % sizeof junk);
      net_send(udp, &a.election, junk, (size_t)i % sizeof junk);
    }
    assert_int_equal(sscanf(net_hear(to_a), "tick %d", &late_ms), 1);
    assert_in_range(late_ms, 0, 2000);
  }
  close(to_a);
  close(udp);
  server_stop(&a);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_one_holds_the_election_address),
      cmocka_unit_test(test_the_election_address_is_not_shared),
      cmocka_unit_test(test_datagrams),
      cmocka_unit_test(test_flood),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
