/* Goal: what a follower does with writes: it names the leader, refuses, or sends them on; what it sends on is
 * answered once, in order, with the leader's own answer, and when the leader vanishes, with what is known:
 * 504 and an unknown outcome if it was sent, 503 if it was not. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/core.h"

#include <stdio.h>

static struct world *formed_with(uint64_t seed, enum api_follower_writes writes) {
  struct world *w = world_new(&(struct world_options){.seed = seed, .nodes = 3, .follower_writes = writes});
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 3000);
  return w;
}

static int a_follower(struct world *w) {
  return (world_leader(w) + 1) % 3;
}

static void ask_put(struct client *client, int key) {
  char target[64], body[64];
  snprintf(target, sizeof target, "/v1/collections/c/k%d", key);
  snprintf(body, sizeof body, "{\"id\":\"k%d\"}", key);
  client_ask(client, "PUT", target, body);
}

static void assert_unknown(const struct answer_seen *answer) {
  assert_int_equal(answer->status, 504);
  assert_non_null(strstr((const char *)answer->body.data, "\"outcome\":\"unknown\""));
}

/* ---- The three ways ---- */

static void it_names_the_leader(void **state) {
  (void)state;
  struct world *w = formed_with(1, API_REDIRECT);
  char location[64];
  struct answer_seen answer = world_ask(w, a_follower(w), "PUT", "/v1/collections/c/x?y=1", "{}", 100);
  assert_int_equal(answer.status, 400); /* what is wrong with it is said at once */
  answer_close(&answer);
  answer = world_ask(w, a_follower(w), "PUT", "/v1/collections/c/x", "{}", 100);
  snprintf(location, sizeof location, "http://127.0.0.1:%d/v1/collections/c/x", 8001 + world_leader(w));
  assert_int_equal(answer.status, 307);
  assert_string_equal(answer_header(&answer, "Location"), location);
  answer_close(&answer);
  world_free(w);
}

static void it_refuses(void **state) {
  (void)state;
  struct world *w = formed_with(1, API_REJECT);
  char leader[64];
  snprintf(leader, sizeof leader, "http://127.0.0.1:%d", 8001 + world_leader(w));
  assert_answer(w, a_follower(w), "PUT", "/v1/collections/c/x", "{}", 403, leader);
  world_free(w);
}

static void it_sends_on(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct world *w = formed_with(seed, API_FORWARD_WRITES);
    struct client client;
    char expected[64];
    client_open(&client, w, a_follower(w));
    for (int key = 0; key < 60; key++) ask_put(&client, key);
    client_ask(&client, "PUT", "/v1/collections/c/bad", "{");
    client_ask(&client, "DELETE", "/v1/collections/c/k0", NULL);
    client_ask(&client, "DELETE", "/v1/collections/c/k0", NULL);
    WORLD_UNTIL(w, client_answers(&client) == 63, 500);
    for (int key = 0; key < 60; key++) {
      const struct answer_seen *answer = client_answer(&client, (size_t)key);
      snprintf(expected, sizeof expected, "{\"id\":\"k%d\"}", key);
      assert_int_equal(answer->status, 201);
      assert_string_equal((const char *)answer->body.data, expected);
    }
    assert_int_equal(client_answer(&client, 60)->status, 400);
    assert_int_equal(client_answer(&client, 61)->status, 204);
    assert_int_equal(client_answer(&client, 62)->status, 404);
    WORLD_UNTIL(w, world_is_formed(w), 200);
    client_close(&client);
    world_free(w);
  }
}

/* A client of two followers, with reads between: a read waits for the writes before it on its connection. */
static void it_answers_in_order(void **state) {
  (void)state;
  struct world *w = formed_with(1, API_FORWARD_WRITES);
  struct client client;
  client_open(&client, w, a_follower(w));
  for (int i = 0; i < 20; i++) {
    ask_put(&client, i);
    client_ask(&client, "GET", "/livez", NULL);
  }
  WORLD_UNTIL(w, client_answers(&client) == 40, 1000);
  for (size_t i = 0; i < 40; i++) assert_int_equal(client_answer(&client, i)->status, i % 2 == 0 ? 201 : 200);
  client_close(&client);
  world_free(w);
}

/* What the leader takes several turns for is sent on like any other write. */
static void it_sends_on_what_takes_long(void **state) {
  (void)state;
  struct world *w = formed_with(1, API_FORWARD_WRITES);
  const int node = a_follower(w);
  assert_answer(w, node, "PUT", "/v1/collections/c/x", "{\"a\":1,\"b\":0.10}", 201, NULL);
  assert_answer(w, node, "PATCH", "/v1/collections/c/x", "{\"a\":null,\"c\":2}", 200, "\"b\":0.10");
  assert_answer(w, node, "POST", "/v1/transactions",
                "{\"operations\":[{\"method\":\"patch\",\"path\":\"c/x\",\"body\":{\"c\":3}},"
                "{\"method\":\"put\",\"path\":\"c/y\",\"body\":{}}]}",
                200, "results");
  assert_answer(w, node, "GET", "/v1/collections/c/x", NULL, 200, "\"c\":3");
  assert_answer(w, node, "GET", "/v1/collections/c/y", NULL, 200, NULL);
  world_free(w);
}

/* The leader closes what was idle for long; the next write opens another connection. */
static void an_idle_connection_to_the_leader_ends(void **state) {
  (void)state;
  struct world *w = formed_with(1, API_FORWARD_WRITES);
  const int follower = a_follower(w);
  assert_answer(w, follower, "PUT", "/v1/collections/c/x", "{}", 201, NULL);
  assert_non_null(world_node(w, follower)->forward_stream);
  world_run(w, IDLE_DEADLINE_MS + 5000);
  assert_null(world_node(w, follower)->forward_stream);
  assert_answer(w, follower, "PUT", "/v1/collections/c/x", "{}", 200, NULL);
  world_free(w);
}

/* Right after an election the follower has no token of the new leader; a moment later it has. */
static void it_sends_on_to_every_new_leader(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct world *w = formed_with(seed, API_FORWARD_WRITES);
    const int killed = world_leader(w);
    assert_answer(w, a_follower(w), "PUT", "/v1/collections/c/x", "{}", 201, NULL);
    world_kill(w, killed);
    WORLD_UNTIL(w, world_leader(w) >= 0, 100);
    const int follower = 3 - killed - world_leader(w);
    const uint64_t end_ms = world_now_ms(w) + 3 * HEARTBEAT_MS;
    while (world_status(w, follower, "PUT", "/v1/collections/c/x", "{}") != 200)
      WORLD_CHECK(w, world_now_ms(w) < end_ms);
    world_free(w);
  }
}

/* ---- The leader vanishes ---- */

/* It is killed while the connection to it is being made: nothing was sent. */
static void what_was_not_sent_has_no_effect(void **state) {
  (void)state;
  unsigned unsent = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct world *w = formed_with(seed, API_FORWARD_WRITES);
    const int follower = a_follower(w);
    struct client client;
    client_open(&client, w, follower);
    ask_put(&client, 1);
    WORLD_UNTIL(w, world_node(w, follower)->forward_stream != NULL, 10);
    assert_false(world_node(w, follower)->forward_stream->connected);
    world_kill(w, world_leader(w));
    WORLD_UNTIL(w, client_answers(&client) == 1, 100);
    assert_int_equal(client_answer(&client, 0)->status, 503);
    unsent += strstr((const char *)client_answer(&client, 0)->body.data, "has not taken effect") != NULL;
    WORLD_UNTIL(w, world_leader(w) >= 0, 100);
    world_run(w, 100);
    assert_answer(w, world_leader(w), "GET", "/v1/collections/c/k1", NULL, 404, NULL);
    client_close(&client);
    world_free(w);
  }
  assert_true(unsent > 0);
}

static void what_was_sent_has_an_unknown_outcome(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct world *w = formed_with(seed, API_FORWARD_WRITES);
    const int leader = world_leader(w), follower = a_follower(w);
    struct client client;
    assert_answer(w, follower, "PUT", "/v1/collections/c/x", "{}", 201, NULL); /* the connection is there */
    world_pause(w, leader);
    client_open(&client, w, follower);
    for (int key = 0; key < 10; key++) ask_put(&client, key);
    world_run(w, 20);
    assert_int_equal(client_answers(&client), 0);
    world_kill(w, leader);
    WORLD_UNTIL(w, client_answers(&client) == 10, 10); /* at once, not when the next leader is there */
    for (size_t i = 0; i < 10; i++) assert_unknown(client_answer(&client, i));
    client_close(&client);
    world_free(w);
  }
}

/* It hangs, and is replaced: no reason to wait for it any longer. */
static void a_hanging_leader_is_not_waited_for(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct world *w = formed_with(seed, API_FORWARD_WRITES);
    const int leader = world_leader(w), follower = a_follower(w);
    struct client client;
    assert_answer(w, follower, "PUT", "/v1/collections/c/x", "{}", 201, NULL);
    world_pause(w, leader);
    client_open(&client, w, follower);
    ask_put(&client, 1);
    ask_put(&client, 2);
    WORLD_UNTIL(w, client_answers(&client) == 2, 4 * ELECTION_TIMEOUT_MS);
    assert_unknown(client_answer(&client, 0));
    assert_unknown(client_answer(&client, 1));
    WORLD_UNTIL(w, world_leader(w) >= 0, 4 * ELECTION_TIMEOUT_MS);
    world_resume(w, leader);
    WORLD_UNTIL(w, world_is_formed(w), 3000);
    client_close(&client);
    world_free(w);
  }
}

/* What waits at the leader is bounded, over all clients. */
static void what_is_sent_on_is_bounded(void **state) {
  (void)state;
  enum { CLIENTS = 6 };
  struct world *w = formed_with(1, API_FORWARD_WRITES);
  const int leader = world_leader(w), follower = a_follower(w);
  struct client clients[CLIENTS];
  size_t refused = 0, unknown = 0;
  assert_answer(w, follower, "PUT", "/v1/collections/c/x", "{}", 201, NULL);
  world_pause(w, leader);
  for (int i = 0; i < CLIENTS; i++) {
    client_open(&clients[i], w, follower);
    for (int key = 0; key < PIPELINE_MAX; key++) ask_put(&clients[i], key);
  }
  world_run(w, 200);
  assert_int_equal(world_node(w, follower)->forward_stream->forwarded.n, FORWARDED_MAX);
  world_kill(w, leader);
  for (int i = 0; i < CLIENTS; i++) {
    WORLD_UNTIL(w, client_answers(&clients[i]) == PIPELINE_MAX, 100);
    for (size_t j = 0; j < PIPELINE_MAX; j++) {
      refused += client_answer(&clients[i], j)->status == 503;
      unknown += client_answer(&clients[i], j)->status == 504;
    }
    client_close(&clients[i]);
  }
  assert_int_equal(unknown, FORWARDED_MAX);
  assert_int_equal(refused, CLIENTS * PIPELINE_MAX - FORWARDED_MAX);
  world_free(w);
}

/* The client has gone; the answer that comes back is nobody's. */
static void a_client_that_has_gone(void **state) {
  (void)state;
  struct world *w = formed_with(1, API_FORWARD_WRITES);
  const int leader = world_leader(w), follower = a_follower(w);
  struct client client;
  assert_answer(w, follower, "PUT", "/v1/collections/c/x", "{}", 201, NULL);
  world_pause(w, leader);
  client_open(&client, w, follower);
  for (int key = 0; key < 10; key++) ask_put(&client, key);
  world_run(w, 20);
  client_close(&client);
  world_run(w, 20);
  world_resume(w, leader);
  world_run(w, 100);
  assert_answer(w, follower, "PUT", "/v1/collections/c/y", "{}", 201, NULL);
  assert_answer(w, leader, "GET", "/v1/collections/c/k9", NULL, 200, NULL);
  world_free(w);
}

static void a_follower_that_stops_answers_what_it_sent_on(void **state) {
  (void)state;
  struct world *w = formed_with(1, API_FORWARD_WRITES);
  const int follower = a_follower(w);
  struct client client;
  assert_answer(w, follower, "PUT", "/v1/collections/c/x", "{}", 201, NULL);
  world_pause(w, world_leader(w));
  client_open(&client, w, follower);
  for (int key = 0; key < 10; key++) ask_put(&client, key);
  world_run(w, 20);
  world_terminate(w, follower);
  WORLD_UNTIL(w, client.wire->ended, 1000);
  assert_int_equal(client_answers(&client), 10);
  for (size_t i = 0; i < 10; i++) assert_unknown(client_answer(&client, i));
  client_close(&client);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_names_the_leader),
      cmocka_unit_test(it_refuses),
      cmocka_unit_test(it_sends_on),
      cmocka_unit_test(it_answers_in_order),
      cmocka_unit_test(it_sends_on_what_takes_long),
      cmocka_unit_test(an_idle_connection_to_the_leader_ends),
      cmocka_unit_test(it_sends_on_to_every_new_leader),
      cmocka_unit_test(what_was_not_sent_has_no_effect),
      cmocka_unit_test(what_was_sent_has_an_unknown_outcome),
      cmocka_unit_test(a_hanging_leader_is_not_waited_for),
      cmocka_unit_test(what_is_sent_on_is_bounded),
      cmocka_unit_test(a_client_that_has_gone),
      cmocka_unit_test(a_follower_that_stops_answers_what_it_sent_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
