/* Goal: whatever datagrams come, a cluster goes on as if they had not: what is invalid is dropped, counted,
 * logged now and then and never answered; what is valid and comes from nobody, or in masses, costs bounded
 * memory and no leader its place. (Who has the cluster's secret can speak in a member's name: not tested
 * here. What those get who have not is in test_node_seal.c.) */
#include "node_impostor.h"

#include "world_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static struct world *formed(uint64_t seed) {
  struct world *w = world_new(&(struct world_options){.seed = seed, .nodes = 3});
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 3000);
  assert_answer(w, world_leader(w), "PUT", "/v1/collections/c/x", "{}", 201, NULL);
  WORLD_UNTIL(w, world_is_formed(w), 100);
  return w;
}

static uint64_t term_of(struct world *w, int node) {
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(world_node(w, node)->replica), world_node(w, node)->now_ms, &status);
  return status.term;
}

static uint64_t faults_of(struct world *w) {
  uint64_t n = 0;
  for (int node = 0; node < 3; node++)
    for (int fault = 0; fault < DATAGRAM_FAULTS_N; fault++) n += world_node(w, node)->faults[fault];
  return n;
}

/* The cluster is as it was: the same leader in the same term, who never lost its place. */
static void assert_untouched(struct world *w, int leader) {
  WORLD_UNTIL(w, world_is_formed(w), 100);
  assert_int_equal(world_leader(w), leader);
  for (int i = 0; i < 3; i++) assert_int_equal(term_of(w, i), 1);
  assert_false(world_has_logged(w, leader, "no longer leading"));
}

static struct address target(struct world *w, int i) {
  return i < 3 ? world_udp(w, i) : world_election();
}

static void garbage_of_every_length(void **state) {
  (void)state;
  struct world *w = formed(1);
  struct tap *tap =
      world_tap(w, (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = 15000});
  const int leader = world_leader(w);
  size_t sent = 0;
  for (size_t n = 0; n <= 1300; n++) {
    uint8_t bytes[1300];
    for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)world_dice(w, 256);
    if (n >= 4 && n % 2 == 0) memcpy(bytes, "CRCL\1", n >= 5 ? 5 : 4);
    if (n >= 48 && n % 4 == 0) memset(bytes + 5, 0, 43);
    for (int i = 0; i < 4; i++, sent++) world_send(w, tap->address, target(w, i), bytes, n);
    world_run(w, 2);
  }
  assert_int_equal(faults_of(w), sent);
  assert_int_equal(tap->received_n, 0);
  assert_untouched(w, leader);
  world_free(w);
}

/* It is said that there are such, and how many, but not each time. */
static void drops_are_logged_now_and_then(void **state) {
  (void)state;
  struct world *w = formed(1);
  struct tap *tap =
      world_tap(w, (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = 15000});
  world_run(w, 10000);
  const size_t before = w->trace.n;
  for (int i = 0; i < 250; i++) {
    world_send(w, tap->address, world_udp(w, 0), "?", 1);
    world_run(w, 100);
  }
  world_run(w, 1);
  unsigned lines = 0;
  const char *at = (const char *)w->trace.data + before, *end = (const char *)w->trace.data + w->trace.n;
  while ((at = memmem(at, (size_t)(end - at), "dropped a datagram from 127.0.0.1:15000: bad short", 50)) !=
         NULL)
    at++, lines++;
  assert_int_equal(lines, 3); /* in 25 seconds */
  world_free(w);
}

/* Every type of Raft's, well formed: from a stranger, for another node, from the node itself, of another
 * cluster. */
static void raft_messages_that_are_none_of_its_business(void **state) {
  (void)state;
  static const struct coracle_raft_message messages[] = {
      {.type = CORACLE_RAFT_VOTE_REQUEST,
       .vote_request = {.last_index = UINT64_MAX, .last_term = UINT64_MAX}},
      {.type = CORACLE_RAFT_VOTE_REQUEST, .vote_request = {true, UINT64_MAX, UINT64_MAX}},
      {.type = CORACLE_RAFT_VOTE_REPLY, .vote_reply = {.granted = true}},
      {.type = CORACLE_RAFT_VOTE_REPLY, .vote_reply = {.pre = true}},
      {.type = CORACLE_RAFT_HEARTBEAT, .heartbeat = {UINT64_MAX, UINT64_MAX}},
      {.type = CORACLE_RAFT_HEARTBEAT_REPLY},
  };
  static const uint64_t terms[] = {0,         1, 2, 1000, UINT64_MAX / 2, UINT64_MAX / 2 + 1, UINT64_MAX - 1,
                                   UINT64_MAX};
  struct world *w = formed(1);
  const int leader = world_leader(w);
  struct impostor stranger, twin, foreigner;
  uint64_t sent = 0, receiver = 0, sender = 0, cluster = 0;
  impostor_open(&stranger, w, 1);
  impostor_open(&twin, w, 2);
  impostor_open(&foreigner, w, 3);
  memcpy(stranger.cluster, join_cluster(world_node(w, 0)->join), sizeof stranger.cluster);
  memcpy(twin.cluster, stranger.cluster, sizeof twin.cluster);
  foreigner.id = world_id(w, leader); /* a member's id, but another cluster */
  for (size_t i = 0; i < sizeof messages / sizeof *messages; i++) {
    for (size_t j = 0; j < sizeof terms / sizeof *terms; j++) {
      for (int node = 0; node < 3; node++) {
        struct coracle_raft_message message = messages[i];
        message.term = terms[j];
        message.round = world_dice(w, UINT64_MAX);
        const bool is_leaders =
            message.type == CORACLE_RAFT_HEARTBEAT && terms[j] > 1 && terms[j] <= UINT64_MAX / 2;
        twin.id = world_id(w, node);
        if (!is_leaders) impostor_send_raft(&stranger, world_udp(w, node), world_id(w, node), &message);
        impostor_send_raft(&stranger, world_udp(w, node), world_id(w, (node + 1) % 3), &message);
        impostor_send_raft(&stranger, world_udp(w, node), 0, &message);
        impostor_send_raft(&twin, world_udp(w, node), world_id(w, node), &message);
        impostor_send_raft(&foreigner, world_udp(w, node), world_id(w, node), &message);
        sent++;
      }
      world_run(w, 20);
    }
  }
  /* So for the handshake. */
  impostor_say(&stranger, world_udp(w, leader), 12345, JOIN_ACCEPT);
  twin.id = world_id(w, leader);
  impostor_say(&twin, world_election(), 0, JOIN_ACCEPT);
  world_run(w, 20);
  for (int node = 0; node < 3; node++) {
    receiver += world_node(w, node)->faults[DATAGRAM_RECEIVER];
    sender += world_node(w, node)->faults[DATAGRAM_SENDER];
    cluster += world_node(w, node)->faults[DATAGRAM_CLUSTER];
  }
  assert_int_equal(receiver, 2 * sent + 1);
  assert_int_equal(sender, sent + sent / 3 + 1); /* to the leader its namesake is itself */
  assert_int_equal(cluster, sent - sent / 3);
  assert_int_equal(twin.tap->received_n, 0);
  assert_int_equal(foreigner.tap->received_n, 0);
  assert_untouched(w, leader);
  world_free(w);
}

/* Bodies that are none, under a true envelope. */
static void bodies_that_do_not_fit(void **state) {
  (void)state;
  struct world *w = formed(1);
  struct impostor stranger;
  const int leader = world_leader(w);
  impostor_open(&stranger, w, 1);
  for (unsigned type = 1; type <= 255; type++) {
    uint8_t body[600];
    for (size_t i = 0; i < sizeof body; i++) body[i] = (uint8_t)world_dice(w, 256);
    for (int i = 0; i < 4; i++)
      impostor_send(&stranger, target(w, i), 0, (uint8_t)type, body, world_dice(w, sizeof body));
    world_run(w, 2);
  }
  assert_untouched(w, leader);
  assert_int_equal(stranger.tap->received_n, 0);
  world_free(w);
}

/* More than the socket holds, from as many ids. Heartbeats go on. */
static void a_flood(void **state) {
  (void)state;
  struct world *w = formed(1);
  const int leader = world_leader(w);
  struct impostor crowd;
  impostor_open(&crowd, w, 1);
  for (int ms = 0; ms < 1500; ms++) {
    for (int i = 0; i < 20; i++) {
      crowd.id = 0x10000 + world_dice(w, 1000000);
      impostor_say(&crowd, target(w, (int)world_dice(w, 4)), 0,
                   world_dice(w, 2) == 0 ? JOIN_ACCEPT : JOIN_NOT_YET);
    }
    world_run(w, 1);
  }
  assert_untouched(w, leader);
  world_free(w);
}

/* Strangers that go all the way to step 7 and are no nodes: they take what room there is in the
 * configuration, are dead an election timeout later, and leave it to those who are. */
static void strangers_that_never_serve(void **state) {
  (void)state;
  struct world *w = formed(1);
  const int leader = world_leader(w), victim = (leader + 1) % 3;
  struct impostor crowd;
  impostor_open(&crowd, w, 1);
  for (unsigned i = 0; i < 40; i++) {
    crowd.id = 0x10000 + i;
    crowd.http.port = (uint16_t)(17000 + i);
    memset(crowd.cluster, 0, sizeof crowd.cluster);
    impostor_say(&crowd, world_election(), 0, JOIN_ACCEPT);
    memcpy(crowd.cluster, join_cluster(world_node(w, 0)->join), sizeof crowd.cluster);
    impostor_say(&crowd, world_election(), 0, JOIN_CREDENTIALS);
  }
  world_run(w, 100);
  assert_answer(w, leader, "PUT", "/v1/collections/c/x", "{}", 200, NULL);
  assert_answer(w, leader, "GET", "/v1/cluster", NULL, 200, "\"name\":\"impostor");
  world_run(w, 3 * ELECTION_TIMEOUT_MS);
  assert_untouched(w, leader);
  world_kill(w, victim);
  world_start(w, victim);
  WORLD_UNTIL(w, world_is_formed(w), 3000);
  world_free(w);
}

/* Each datagram twice, or late: it is as if it had come once. */
static void copies_do_no_harm(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct world *w = world_new(&(struct world_options){.seed = seed, .nodes = 3});
    world_set_weather(w, (struct world_weather){.double_percent = 100, .late_percent = 20});
    world_start_all(w);
    WORLD_UNTIL(w, world_is_formed(w), 3000);
    const int leader = world_leader(w);
    world_run(w, 5000);
    assert_untouched(w, leader);
    world_kill(w, leader);
    WORLD_UNTIL(w, world_leader(w) >= 0, 3 * ELECTION_TIMEOUT_MS);
    world_free(w);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(garbage_of_every_length),
      cmocka_unit_test(drops_are_logged_now_and_then),
      cmocka_unit_test(raft_messages_that_are_none_of_its_business),
      cmocka_unit_test(bodies_that_do_not_fit),
      cmocka_unit_test(a_flood),
      cmocka_unit_test(strangers_that_never_serve),
      cmocka_unit_test(copies_do_no_harm),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
