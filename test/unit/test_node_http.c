/* Goal: what a whole node does with its HTTP connections: requests are answered in order and once each, a
 * pipeline is bounded, deadlines hold whatever trickles in, a slow reader costs nobody anything, and a node
 * that stops answers what waits. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/core.h"

#include <stdio.h>
#include <stdlib.h>

static struct world *formed(uint64_t seed, int nodes) {
  struct world *w = world_new(&(struct world_options){.seed = seed, .nodes = nodes});
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 3000);
  return w;
}

static void ask_put(struct client *client, int key) {
  char target[64], body[64];
  snprintf(target, sizeof target, "/v1/collections/c/k%d", key);
  snprintf(body, sizeof body, "{\"id\":\"k%d\"}", key);
  client_ask(client, "PUT", target, body);
}

static void ask_get(struct client *client, int key) {
  char target[64];
  snprintf(target, sizeof target, "/v1/collections/c/k%d", key);
  client_ask(client, "GET", target, NULL);
}

static int status_of(struct client *client, size_t i) {
  return client_answer(client, i)->status;
}

/* ---- In order ---- */

/* Writes go into the log together, a read waits for the writes before it. */
static void a_pipeline_is_answered_in_order(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct world *w = formed(seed, 3);
    struct client client;
    char expected[64];
    client_open(&client, w, world_leader(w));
    for (int key = 0; key < 40; key++) {
      ask_put(&client, key);
      if (key % 3 == 0) ask_get(&client, key);
      if (key % 7 == 0) client_ask(&client, "GET", "/livez", NULL);
    }
    WORLD_UNTIL(w, client_answers(&client) == 40 + 14 + 6, 200);
    size_t i = 0;
    for (int key = 0; key < 40; key++) {
      snprintf(expected, sizeof expected, "{\"id\":\"k%d\"}", key);
      assert_int_equal(status_of(&client, i), 201);
      assert_string_equal((const char *)client_answer(&client, i++)->body.data, expected);
      if (key % 3 == 0) assert_string_equal((const char *)client_answer(&client, i++)->body.data, expected);
      if (key % 7 == 0) assert_int_equal(status_of(&client, i++), 200);
    }
    client_close(&client);
    world_free(w);
  }
}

/* What is committed at once is applied in several turns, of which many may fall into one millisecond: what
 * answers say of the node goes along, or they would show more than the revision they say they are of. */
static void what_is_said_keeps_up_with_what_is_applied(void **state) {
  (void)state;
  struct world *w = world_new(&(struct world_options){.seed = 1, .nodes = 3, .operations_per_turn = 1});
  struct client client;
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 3000);
  struct node *node = world_node(w, (world_leader(w) + 1) % 3);
  client_open(&client, w, world_leader(w));
  for (int key = 0; key < 40; key++) ask_put(&client, key);
  WORLD_UNTIL(w, replica_is_behind(node->replica), 200);
  const uint64_t applied = node_view(node)->applied;
  node_step(node, &(struct node_event){.type = NODE_TICK, .now_ms = node->now_ms});
  assert_true(replica_applied(node->replica) > applied);
  assert_int_equal(node_view(node)->applied, replica_applied(node->replica));
  client_close(&client);
  world_free(w);
}

/* The most requests of one connection that a node ever had to answer at a time. */
static size_t calls_of(struct world *w, int node) {
  const struct list *streams = &world_node(w, node)->streams;
  size_t most = 0;
  for (struct list_link *at = list_first(streams); at != NULL; at = list_next(streams, at)) {
    const struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    if (stream->calls_n > most) most = stream->calls_n;
  }
  return most;
}

static void a_pipeline_is_bounded(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct client client;
  size_t most = 0;
  for (int i = 0; i < 3; i++)
    if (i != leader) world_pause(w, i); /* so that nothing is committed */
  client_open(&client, w, leader);
  for (int key = 0; key < 1000; key++) ask_put(&client, key);
  for (int ms = 0; ms < 200; ms++) {
    world_run(w, 1);
    if (calls_of(w, leader) > most) most = calls_of(w, leader);
  }
  assert_int_equal(most, PIPELINE_MAX);
  assert_int_equal(client_answers(&client), 0);
  for (int i = 0; i < 3; i++)
    if (i != leader) world_resume(w, i);
  WORLD_UNTIL(w, client_answers(&client) == 1000, 1000);
  for (size_t i = 0; i < 1000; i++) assert_int_equal(status_of(&client, i), 201);
  client_close(&client);
  world_free(w);
}

/* After what is no request nothing more is one, but what came before is answered. */
static void a_malformed_request_ends_the_connection(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  struct client client;
  client_open(&client, w, world_leader(w));
  ask_put(&client, 1);
  client_ask(&client, "BAD METHOD", "/x", NULL); /* counts as asked */
  wire_send_text(w, client.wire, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  WORLD_UNTIL(w, client.wire->ended, 100);
  assert_int_equal(client_answers(&client), 2);
  assert_int_equal(status_of(&client, 0), 201);
  assert_int_equal(status_of(&client, 1), 400);
  client_close(&client);
  world_free(w);
}

static void the_client_asks_for_the_end(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  struct client client;
  client_open(&client, w, world_leader(w));
  ask_put(&client, 1);
  client_ask(&client, "GET", "/livez HTTP/1.1\r\nConnection: close\r\nX: y", NULL);
  wire_send_text(w, client.wire, "GET /livez HTTP/1.1\r\nHost: x\r\n\r\n");
  WORLD_UNTIL(w, client.wire->ended, 100);
  assert_int_equal(client_answers(&client), 2);
  assert_true(wire_has(client.wire, "Connection: close\r\n"));
  client_close(&client);
  world_free(w);
}

/* It closes its side behind the last request, as `nc -N` does: it is owed the answers all the same. */
static void a_client_that_sends_no_more_gets_its_answers(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct world *w = formed(seed, 3);
    struct client client;
    client_open(&client, w, world_leader(w));
    for (int key = 0; key < 300; key++) ask_put(&client, key);
    ask_get(&client, 0);
    wire_end(w, client.wire);
    WORLD_UNTIL(w, client.wire->ended, 200);
    assert_int_equal(client_answers(&client), 301);
    world_run(w, 5);
    assert_int_equal(world_node(w, client.node)->clients_n, 0);
    client_close(&client);
    /* Half a request is none. */
    client_open(&client, w, world_leader(w));
    wire_send_text(w, client.wire, "GET /livez HTTP/1.1\r\nHost: ");
    wire_end(w, client.wire);
    WORLD_UNTIL(w, client.wire->ended, 100);
    assert_int_equal(client.wire->received.n, 0);
    client_close(&client);
    world_free(w);
  }
}

static void a_body_that_waits_to_be_asked_for(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct client client;
  client_open(&client, w, 0);
  wire_send_text(w, client.wire,
                 "PUT /v1/collections/c/x HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                 "Content-Type: application/json\r\nContent-Length: 2\r\n\r\n");
  world_run(w, 100);
  assert_int_equal(client.wire->received.n, 25);
  assert_memory_equal(client.wire->received.data, "HTTP/1.1 100 Continue\r\n\r\n", 25);
  wire_send_text(w, client.wire, "{}");
  world_run(w, 100);
  assert_true(wire_has(client.wire, "HTTP/1.1 201 "));
  client_close(&client);
  world_free(w);
}

/* Its write is on its way when it leaves: nobody is there to be answered, and the write counts all the same.
 */
static void a_client_that_has_gone(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct client client;
  world_pause(w, (leader + 1) % 3);
  world_pause(w, (leader + 2) % 3);
  client_open(&client, w, leader);
  for (int key = 0; key < 10; key++) ask_put(&client, key);
  world_run(w, 20);
  client_close(&client);
  world_run(w, 20);
  world_resume(w, (leader + 1) % 3);
  world_resume(w, (leader + 2) % 3);
  WORLD_UNTIL(w, world_is_formed(w), 1000);
  assert_answer(w, leader, "GET", "/v1/collections/c/k9", NULL, 200, "k9");
  world_free(w);
}

/* ---- Deadlines ---- */

/* A byte each second renews nothing. Returns when the connection ended, in ms since it was made. */
static uint64_t trickle(struct world *w, struct client *client, const char *head, const char *bytes) {
  const uint64_t start_ms = world_now_ms(w);
  client_open(client, w, 0);
  client_ask(client, "GET", "/livez", NULL); /* in time */
  queue_push(&client->asked);                /* and one that is not */
  world_run(w, 1000);
  wire_send_text(w, client->wire, head);
  for (; !client->wire->ended && world_now_ms(w) - start_ms < 200000; world_run(w, 1000))
    if (*bytes != '\0') wire_send(w, client->wire, bytes++, 1);
  return world_now_ms(w) - start_ms;
}

static void a_slow_head_is_408(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct client client;
  const uint64_t ended_ms = trickle(w, &client, "G", "ET /livez HTTP/1.1\r\nHost: x\r\nX-Slow: yes\r\n");
  assert_in_range(ended_ms, 1000 + HEAD_DEADLINE_MS, 1000 + HEAD_DEADLINE_MS + 2000);
  assert_int_equal(client_answers(&client), 2);
  assert_int_equal(status_of(&client, 1), 408);
  client_close(&client);
  world_free(w);
}

static void a_slow_body_is_408(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct client client;
  const uint64_t ended_ms = trickle(w, &client,
                                    "PUT /v1/collections/c/x HTTP/1.1\r\nHost: x\r\n"
                                    "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n",
                                    "{\"a\":\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb");
  assert_in_range(ended_ms, 1000 + BODY_DEADLINE_MS, 1000 + BODY_DEADLINE_MS + 2000);
  assert_int_equal(client_answers(&client), 2);
  assert_int_equal(status_of(&client, 1), 408);
  assert_int_equal(world_status(w, 0, "GET", "/v1/collections/c/x", NULL), 404);
  client_close(&client);
  world_free(w);
}

/* Who asks for nothing more is not told anything either. */
static void an_idle_connection_is_closed(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct client client;
  const uint64_t ended_ms = trickle(w, &client, "", "");
  assert_in_range(ended_ms, IDLE_DEADLINE_MS, IDLE_DEADLINE_MS + 2000);
  assert_int_equal(client_answers(&client), 1);
  client_close(&client);
  world_free(w);
}

/* One that never sends anything, and one that asks now and then. */
static void a_used_connection_stays(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct client client;
  struct wire *silent = world_connect(w, 0);
  client_open(&client, w, 0);
  for (int i = 0; i < 5; i++) {
    client_ask(&client, "GET", "/livez", NULL);
    world_run(w, IDLE_DEADLINE_MS - 2000);
  }
  assert_true(silent->ended);
  assert_false(client.wire->ended);
  assert_int_equal(client_answers(&client), 5);
  client_close(&client);
  world_free(w);
}

/* Fills the collection, so that a listing is some megabytes. */
static void fill(struct world *w, int documents) {
  struct bytes body = {0};
  struct client client;
  bytes_append_string(&body, "{\"x\":\"");
  for (int i = 0; i < 60000; i++) bytes_append_string(&body, "y");
  bytes_append(&body, "\"}", 3);
  client_open(&client, w, world_leader(w));
  for (int i = 0; i < documents; i++)
    client_ask(&client, "POST", "/v1/collections/big", (const char *)body.data);
  WORLD_UNTIL(w, client_answers(&client) == (size_t)documents, 5000);
  client_close(&client);
  bytes_close(&body);
}

static void who_reads_nothing_is_cut_off(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct client client;
  fill(w, 20);
  client_open(&client, w, 0);
  world_run(w, 10);
  wire_read(w, client.wire, false);
  client_ask(&client, "GET", "/v1/collections/big?limit=20", NULL);
  world_run(w, DRAIN_DEADLINE_MS - 1000);
  assert_int_equal(world_node(w, 0)->clients_n, 1);
  world_run(w, 2000 + 5000); /* and what a closing connection is given to send the rest */
  assert_int_equal(world_node(w, 0)->clients_n, 0);
  client_close(&client);
  world_free(w);
}

/* A client that pipelines requests for a lot and does not read makes the node keep a bounded number of
 * answers. */
static void a_slow_reader_costs_bounded_memory(void **state) {
  (void)state;
  enum { ASKED = PIPELINE_MAX + 50 };
  struct world *w = formed(1, 1);
  struct client client;
  fill(w, 4);
  client_open(&client, w, 0);
  world_run(w, 10);
  wire_read(w, client.wire, false);
  for (int i = 0; i < ASKED; i++) client_ask(&client, "GET", "/v1/collections/big?limit=4", NULL);
  world_run(w, 1000);
  const struct node *node = world_node(w, 0);
  const struct node_stream *stream = CONTAINER_OF(list_first(&node->streams), struct node_stream, link);
  assert_int_equal(stream->kind, STREAM_CLIENT);
  assert_true(stream->paused);
  assert_true(stream->undrained_bytes + stream->out.n < UNDRAINED_BYTES_MAX + 300000); /* and one answer */
  assert_true(stream->in.n < UNDRAINED_BYTES_MAX);
  /* Meanwhile others are served, and when it reads, it gets all of it. */
  assert_int_equal(world_status(w, 0, "GET", "/livez", NULL), 200);
  wire_read(w, client.wire, true);
  WORLD_UNTIL(w, client_answers(&client) == ASKED, 15000);
  for (size_t i = 0; i < ASKED; i++) assert_int_equal(status_of(&client, i), 200);
  client_close(&client);
  world_free(w);
}

static void connections_are_bounded(void **state) {
  (void)state;
  enum { CONNECTIONS_MAX = 5 };
  struct world *w =
      world_new(&(struct world_options){.seed = 1, .nodes = 1, .connections_max = CONNECTIONS_MAX});
  struct wire *wires[CONNECTIONS_MAX];
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 1000);
  for (int i = 0; i < CONNECTIONS_MAX; i++) wires[i] = world_connect(w, 0);
  world_run(w, 10);
  struct wire *further = world_connect(w, 0);
  WORLD_UNTIL(w, further->ended, 10);
  wire_close(w, wires[2]);
  world_run(w, 10);
  assert_int_equal(world_status(w, 0, "GET", "/livez", NULL), 200);
  for (int i = 0; i < CONNECTIONS_MAX; i++) assert_false(wires[i]->ended);
  world_free(w);
}

/* ---- Losing the leader, and stopping ---- */

/* What was proposed by a leader that lost its place may take effect or not. */
static void the_outcome_is_unknown_when_the_leader_steps_down(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct client client;
  world_pause(w, (leader + 1) % 3);
  world_pause(w, (leader + 2) % 3);
  client_open(&client, w, leader);
  ask_put(&client, 1);
  ask_put(&client, 2);
  ask_get(&client, 1);
  WORLD_UNTIL(w, client_answers(&client) == 3, 4 * ELECTION_TIMEOUT_MS);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(status_of(&client, i), 504);
    assert_non_null(strstr((const char *)client_answer(&client, i)->body.data, "\"outcome\":\"unknown\""));
  }
  assert_int_equal(status_of(&client, 2), 503);
  client_close(&client);
  world_free(w);
}

static void a_node_that_stops_answers_what_waits(void **state) {
  (void)state;
  unsigned last_answered = 0;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w);
    struct client client, idle;
    world_pause(w, (leader + 1) % 3);
    world_pause(w, (leader + 2) % 3);
    client_open(&client, w, leader);
    client_open(&idle, w, leader);
    ask_put(&client, 1);
    ask_put(&client, 2);
    ask_get(&client, 1);
    ask_put(&client, 3);
    world_run(w, 20);
    assert_int_equal(client_answers(&client), 0);
    world_terminate(w, leader);
    WORLD_UNTIL(w, !world_is_running(w, leader), 1000 + 1);
    world_run(w, 10);
    assert_true(client.wire->ended && idle.wire->ended);
    assert_in_range(client_answers(&client), 3, 4); /* the last may not have been read */
    assert_int_equal(status_of(&client, 0), 504);
    assert_int_equal(status_of(&client, 1), 504);
    assert_int_equal(status_of(&client, 2), 503); /* a read that nobody can confirm any more */
    if (client_answers(&client) == 4) {           /* it never entered the log */
      assert_int_equal(status_of(&client, 3), 503);
      assert_non_null(strstr((const char *)client_answer(&client, 3)->body.data, "this node is stopping"));
      last_answered++;
    }
    client_close(&client);
    client_close(&idle);
    world_free(w);
  }
  assert_true(last_answered > 0);
}

/* It does not wait for ever for somebody to read its last words. */
static void a_node_that_stops_does_so_in_time(void **state) {
  (void)state;
  struct world *w = formed(1, 1);
  struct client client;
  fill(w, 20);
  client_open(&client, w, 0);
  world_run(w, 10);
  wire_read(w, client.wire, false);
  client_ask(&client, "GET", "/v1/collections/big?limit=20", NULL);
  world_run(w, 100);
  world_terminate(w, 0);
  WORLD_UNTIL(w, !world_is_running(w, 0), STOP_MS + 10);
  client_close(&client);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_pipeline_is_answered_in_order),
      cmocka_unit_test(what_is_said_keeps_up_with_what_is_applied),
      cmocka_unit_test(a_pipeline_is_bounded),
      cmocka_unit_test(a_malformed_request_ends_the_connection),
      cmocka_unit_test(the_client_asks_for_the_end),
      cmocka_unit_test(a_client_that_sends_no_more_gets_its_answers),
      cmocka_unit_test(a_body_that_waits_to_be_asked_for),
      cmocka_unit_test(a_client_that_has_gone),
      cmocka_unit_test(a_slow_head_is_408),
      cmocka_unit_test(a_slow_body_is_408),
      cmocka_unit_test(an_idle_connection_is_closed),
      cmocka_unit_test(a_used_connection_stays),
      cmocka_unit_test(who_reads_nothing_is_cut_off),
      cmocka_unit_test(a_slow_reader_costs_bounded_memory),
      cmocka_unit_test(connections_are_bounded),
      cmocka_unit_test(the_outcome_is_unknown_when_the_leader_steps_down),
      cmocka_unit_test(a_node_that_stops_answers_what_waits),
      cmocka_unit_test(a_node_that_stops_does_so_in_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
