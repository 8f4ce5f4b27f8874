/* Goal: what a read sees, on whichever node it is asked: by default everything that anybody was answered
 * before it came, also while leaders are cut off, stopped or killed; else how old it may be, truly. A read
 * waits no longer than it says, leaves nothing behind, and costs little in company. Whole nodes in the world
 * of test/sim/world.h. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/core.h"

#include <stdio.h>
#include <stdlib.h>

#define DOCUMENT "/v1/collections/c/x"

static struct world *formed(uint64_t seed, int nodes) {
  struct world *w = world_new(&(struct world_options){.seed = seed, .nodes = nodes});
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 3000);
  return w;
}

/* The answer, and from the document the number in it; -1: none. */
struct seen {
  int status;
  long value;
  unsigned long long revision; /* of the ETag; 0: none */
  long staleness_ms;           /* -1: not said */
};

static struct seen seen_in(const struct answer_seen *answer) {
  struct seen seen = {.status = answer->status, .value = -1, .staleness_ms = -1};
  const char *n = strstr((const char *)answer->body.data, "\"n\":");
  const char *tag = answer_header(answer, "ETag");
  if (n != NULL && answer->status < 300) seen.value = strtol(n + 4, NULL, 10);
  if (tag != NULL) seen.revision = strtoull(tag + 1, NULL, 10);
  const char *staleness = answer_header(answer, "Coracle-Staleness-Ms");
  if (staleness != NULL) seen.staleness_ms = strtol(staleness, NULL, 10);
  return seen;
}

static struct seen ask(struct world *w, int node, const char *method, const char *target, const char *body,
                       uint64_t limit_ms) {
  struct answer_seen answer = world_ask(w, node, method, target, body, limit_ms);
  struct seen seen = seen_in(&answer);
  answer_close(&answer);
  return seen;
}

static struct seen read_at(struct world *w, int node, const char *query, uint64_t limit_ms) {
  char target[128];
  snprintf(target, sizeof target, DOCUMENT "%s", query);
  return ask(w, node, "GET", target, NULL, limit_ms);
}

/* Writes that number at the leader, trying again until it is taken. Returns the revision. */
static unsigned long long write_number(struct world *w, long n) {
  char body[64];
  snprintf(body, sizeof body, "{\"id\":\"x\",\"n\":%ld}", n);
  for (int i = 0; i < 100; i++) {
    const int leader = world_leader(w);
    if (leader >= 0 && !world_is_paused(w, leader)) {
      struct seen seen = ask(w, leader, "PUT", DOCUMENT, body, 15000);
      if (seen.status == 200 || seen.status == 201) return seen.revision;
    }
    world_run(w, 50);
  }
  world_fail(w, "the number was never taken");
}

/* Whether another node has taken over from that one. */
static bool is_succeeded(struct world *w, int old) {
  const int leader = world_leader(w);
  struct coracle_raft_status status;
  if (leader < 0 || leader == old || world_is_paused(w, leader)) return false;
  coracle_raft_status(replica_raft(world_node(w, leader)->replica), world_node(w, leader)->now_ms, &status);
  return status.committed_own_term;
}

static void cut_off(struct world *w, int node, int nodes) {
  for (int i = 0; i < nodes; i++) {
    if (i == node) continue;
    world_block(w, node, i, true, true);
    world_block(w, i, node, true, true);
  }
}

/* ---- Linearizable ---- */

static void a_read_sees_what_was_answered_before_on_every_node(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct world *w = formed(seed, 3);
    if (seed % 2 == 0)
      world_set_weather(w,
                        (struct world_weather){.loss_percent = 20, .double_percent = 20, .delay_us = 3000});
    for (long n = 1; n <= 20; n++) {
      write_number(w, n);
      for (int node = 0; node < 3; node++) {
        struct seen seen = read_at(w, node, "", 6000);
        assert_int_equal(seen.status, 200);
        assert_int_equal(seen.value, n);
        assert_int_equal(seen.staleness_ms, -1);
      }
      struct answer_seen list = world_ask(w, (int)(n % 3), "GET", "/v1/collections/c", NULL, 6000);
      assert_int_equal(seen_in(&list).value, n);
      answer_close(&list);
    }
    world_free(w);
  }
}

/* The old leader goes on believing that it leads for a while. Asked in all of that time, it never answers
 * with what was overwritten elsewhere. */
static void a_leader_that_is_cut_off_answers_nothing_old(void **state) {
  (void)state;
  unsigned while_leading = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct world *w = formed(seed, 3);
    const int old = world_leader(w);
    struct client clients[8];
    write_number(w, 1);
    cut_off(w, old, 3);
    WORLD_UNTIL(w, is_succeeded(w, old), 5000);
    write_number(w, 2);
    const struct node *node = world_node(w, old);
    struct coracle_raft_status status;
    for (size_t i = 0; i < 8; i++) {
      coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
      while_leading += status.role == CORACLE_RAFT_LEADER;
      client_open(&clients[i], w, old);
      client_ask(&clients[i], i % 2 == 0 ? "GET" : "HEAD", DOCUMENT, NULL);
      world_run(w, 97);
    }
    for (size_t i = 0; i < 8; i++) {
      WORLD_UNTIL(w, client_answers(&clients[i]) == 1, 6000);
      struct seen seen = seen_in(client_answer(&clients[i], 0));
      assert_int_equal(seen.status, 503);
      if (i % 2 == 0)
        assert_non_null(strstr((const char *)client_answer(&clients[i], 0)->body.data, "\"no_leader\""));
      client_close(&clients[i]);
    }
    struct seen stale = read_at(w, old, "?consistency=stale", 1000);
    assert_int_equal(stale.value, 1);
    assert_true(stale.staleness_ms > ELECTION_TIMEOUT_MS);
    world_unblock_all(w);
    WORLD_UNTIL(w, world_is_formed(w), 10000);
    assert_int_equal(read_at(w, old, "", 6000).value, 2);
    world_free(w);
  }
  assert_true(while_leading > 0);
}

/* The same for one that was stopped: its sockets are full of what was said to it before and meanwhile. */
static void a_leader_that_was_stopped_answers_nothing_old(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 40; seed++) {
    struct world *w = formed(seed, 3);
    const int old = world_leader(w);
    struct client before, after;
    write_number(w, 1);
    world_run(w, seed);
    world_pause(w, old);
    client_open(&before, w, old);
    client_ask(&before, "GET", DOCUMENT, NULL); /* lies in its socket */
    WORLD_UNTIL(w, is_succeeded(w, old), 5000);
    write_number(w, 2);
    client_open(&after, w, old);
    client_ask(&after, "GET", DOCUMENT, NULL);
    world_resume(w, old);
    WORLD_UNTIL(w, client_answers(&after) == 1, 6000);
    WORLD_UNTIL(w, client_answers(&before) == 1, 6000);
    struct seen seen = seen_in(client_answer(&after, 0));
    assert_true(seen.value == 2 || (seen.status >= 503 && seen.value == -1));
    assert_true(seen_in(client_answer(&before, 0)).status != 200 ||
                seen_in(client_answer(&before, 0)).value == 2);
    client_close(&before);
    client_close(&after);
    world_free(w);
  }
}

/* What waits for a leader that dies is answered by the next one; only what comes when its end has been seen
 * is refused. */
static void a_read_outlives_its_leader(void **state) {
  (void)state;
  unsigned waited = 0;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w), follower = (leader + 1) % 3;
    struct client client;
    write_number(w, 7);
    client_open(&client, w, follower);
    world_run(w, 5);
    const uint64_t began_ms = world_now_ms(w);
    client_ask(&client, "GET", DOCUMENT, NULL);
    (seed % 2 == 0 ? world_kill : world_pause)(w, leader);
    WORLD_UNTIL(w, client_answers(&client) == 1, 5000 + 100);
    struct seen seen = seen_in(client_answer(&client, 0));
    if (seed % 2 != 0 || seen.status == 200) {
      assert_int_equal(seen.value, 7);
      if (world_now_ms(w) > began_ms + 1) waited++;
    } else {
      assert_int_equal(seen.status, 503);
      assert_int_equal(world_now_ms(w), began_ms);
    }
    client_close(&client);
    world_free(w);
  }
  assert_in_range(waited, 11, 20);
}

static void without_a_majority_a_read_ends_with_the_reason(void **state) {
  (void)state;
  struct world *w = formed(3, 3);
  const int leader = world_leader(w);
  write_number(w, 1);
  world_kill(w, (leader + 1) % 3);
  world_kill(w, (leader + 2) % 3);
  struct client quick, slow;
  client_open(&quick, w, leader);
  client_open(&slow, w, leader);
  client_ask(&quick, "GET", DOCUMENT "?wait_ms=100", NULL);
  client_ask(&slow, "GET", DOCUMENT "?wait_ms=3000", NULL);
  WORLD_UNTIL(w, client_answers(&quick) == 1, 120);
  assert_int_equal(client_answer(&quick, 0)->status, 504);
  assert_non_null(strstr((const char *)client_answer(&quick, 0)->body.data, "\"read_timed_out\""));
  world_run(w, 2000);
  assert_int_equal(client_answers(&slow), 0);
  assert_int_equal(read_at(w, leader, "", 50).status, 503); /* nobody leads any more: at once */
  WORLD_UNTIL(w, client_answers(&slow) == 1, 1000);
  assert_int_equal(client_answer(&slow, 0)->status, 503);
  assert_non_null(strstr((const char *)client_answer(&slow, 0)->body.data, "need 2 of 3 voters"));
  assert_string_equal(answer_header(client_answer(&slow, 0), "Retry-After"), "1");
  assert_int_equal(read_at(w, leader, "?consistency=stale", 50).value, 1);
  assert_int_equal(world_status(w, leader, "GET", "/readyz", NULL), 503);
  assert_int_equal(world_status(w, leader, "GET", "/readyz?consistency=stale", NULL), 200);
  client_close(&quick);
  client_close(&slow);
  world_free(w);
}

/* ---- A revision ---- */

static void a_follower_waits_for_what_a_client_has_written(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10; seed++) {
    struct world *w = formed(seed, 3);
    const int follower = (world_leader(w) + 1) % 3;
    world_set_weather(w, (struct world_weather){.delay_us = 5000});
    for (long n = 1; n <= 10; n++) {
      char query[96];
      unsigned long long revision = write_number(w, n);
      snprintf(query, sizeof query, "?consistency=stale&min_revision=%llu", revision);
      struct seen seen = read_at(w, follower, query, 1000);
      assert_int_equal(seen.value, n);
      assert_true(seen.staleness_ms >= 0);
    }
    world_free(w);
  }
}

static void a_revision_that_does_not_come_is_not_waited_for_longer(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  for (int node = 0; node < 3; node++) {
    const uint64_t began_ms = world_now_ms(w);
    const char *query = node == leader ? "?min_revision=1000&wait_ms=300"
                                       : "?consistency=stale&min_revision=1000&wait_ms=300";
    assert_int_equal(read_at(w, node, query, 320).status, 504);
    assert_true(world_now_ms(w) - began_ms >= 300);
  }
  world_free(w);
}

/* ---- How old ---- */

/* Goal: the age that an answer claims is true: it includes all that was answered before then. (But for the
 * time that a heartbeat takes to come.) */
static void the_age_is_true(void **state) {
  (void)state;
  enum { WRITES = 300, LATE_MS = 40 };
  for (uint64_t seed = 1; seed <= 5; seed++) {
    struct world *w = formed(seed, 3);
    uint64_t answered_ms[WRITES + 1] = {0};
    long known = 0, oldest_ms = 0;
    world_set_weather(w, (struct world_weather){
                             .loss_percent = 30, .late_percent = 30, .late_ms = LATE_MS, .delay_us = 1000});
    for (long n = 1; n <= WRITES; n++) {
      write_number(w, n);
      answered_ms[n] = world_now_ms(w);
      const int node = (int)world_dice(w, 3);
      struct seen seen = read_at(w, node, "?consistency=stale", 1000);
      if (seen.staleness_ms < 0) continue;
      const uint64_t then_ms = world_now_ms(w) - (uint64_t)seen.staleness_ms;
      long newest = 0;
      for (long i = 1; i <= n; i++)
        if (answered_ms[i] + LATE_MS + 20 < then_ms) newest = i;
      if (newest > 0 && seen.value < newest)
        world_fail(w, "%ld is older than it says: %ld", seen.value, newest);
      known++;
      if (seen.staleness_ms > oldest_ms) oldest_ms = seen.staleness_ms;
    }
    assert_true(known > WRITES / 2);
    assert_true(oldest_ms > 0 && oldest_ms < 3000);
    world_free(w);
  }
}

static void what_is_too_old_is_refused(void **state) {
  (void)state;
  struct world *w = formed(2, 3);
  const int leader = world_leader(w), follower = (leader + 1) % 3;
  write_number(w, 1);
  world_run(w, 200);
  assert_int_equal(read_at(w, leader, "?consistency=stale", 100).staleness_ms, 0);
  assert_true(read_at(w, follower, "?consistency=stale&max_stale_ms=100", 100).value == 1);
  cut_off(w, follower, 3);
  world_run(w, 150);
  assert_int_equal(read_at(w, follower, "?consistency=stale&max_stale_ms=100", 100).status, 503);
  world_run(w, 5000);
  struct seen seen = read_at(w, follower, "?consistency=stale", 100);
  assert_int_equal(seen.value, 1);
  assert_in_range(seen.staleness_ms, 5000, 5500);
  world_unblock_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 10000);
  world_run(w, 200);
  assert_in_range(read_at(w, follower, "?consistency=stale", 100).staleness_ms, 0, 100);
  world_free(w);
}

/* A leader that lost its majority grows old too, while it still leads and after. */
static void a_leader_without_answers_grows_old(void **state) {
  (void)state;
  struct world *w = formed(4, 3);
  const int leader = world_leader(w);
  write_number(w, 1);
  world_run(w, 100);
  cut_off(w, leader, 3);
  for (uint64_t ms = 400; ms <= 2000; ms += 400) {
    world_run(w, 400);
    struct seen seen = read_at(w, leader, "?consistency=stale", 1);
    assert_in_range(seen.staleness_ms, ms - 60, ms + 60);
  }
  world_free(w);
}

/* ---- Connections ---- */

/* Reads that come together share the question to the leader, and the leader's to the voters. */
static void reads_in_company_cost_little(void **state) {
  (void)state;
  enum { READS = 200, CLIENTS = 10 };
  struct world *w = formed(1, 3);
  struct client clients[CLIENTS];
  const int leader = world_leader(w);
  write_number(w, 5);
  for (int i = 0; i < CLIENTS; i++) client_open(&clients[i], w, i % 3);
  world_run(w, 100);
  const uint64_t before = world_node(w, leader)->counter;
  const uint64_t began_ms = world_now_ms(w);
  for (int i = 0; i < CLIENTS; i++)
    for (int n = 0; n < READS; n++) client_ask(&clients[i], "GET", DOCUMENT, NULL);
  for (int i = 0; i < CLIENTS; i++) {
    WORLD_UNTIL(w, client_answers(&clients[i]) == READS, 1000);
    for (size_t n = 0; n < READS; n++) assert_int_equal(seen_in(client_answer(&clients[i], n)).value, 5);
  }
  const uint64_t datagrams = world_node(w, leader)->counter - before;
  const uint64_t heartbeats = (world_now_ms(w) - began_ms) / HEARTBEAT_MS * 2 + 2;
  print_message("%d reads, %d datagrams\n", CLIENTS * READS, (int)datagrams);
  assert_in_range(datagrams, 1, heartbeats + CLIENTS * READS / 10);
  for (int i = 0; i < CLIENTS; i++) client_close(&clients[i]);
  world_free(w);
}

/* What waits holds back what comes behind it on the connection: answers are in order, and a write behind a
 * read is not made before it. */
static void nothing_overtakes_a_read_that_waits(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct client client;
  write_number(w, 1);
  client_open(&client, w, leader);
  client_ask(&client, "GET", DOCUMENT "?consistency=stale&min_revision=1000000&wait_ms=200", NULL);
  client_ask(&client, "GET", "/livez", NULL);
  client_ask(&client, "GET", DOCUMENT "?consistency=stale", NULL);
  client_ask(&client, "GET", DOCUMENT, NULL);
  client_ask(&client, "PUT", DOCUMENT, "{\"id\":\"x\",\"n\":2}");
  client_ask(&client, "GET", DOCUMENT, NULL);
  world_run(w, 190);
  assert_int_equal(client_answers(&client), 0);
  assert_int_equal(read_at(w, leader, "?consistency=stale", 5).value, 1);
  WORLD_UNTIL(w, client_answers(&client) == 6, 100);
  static const struct {
    int status;
    long value;
  } expected[] = {{504, -1}, {200, -1}, {200, 1}, {200, 1}, {200, 2}, {200, 2}};
  for (size_t i = 0; i < 6; i++) {
    assert_int_equal(client_answer(&client, i)->status, expected[i].status);
    assert_int_equal(seen_in(client_answer(&client, i)).value, expected[i].value);
  }
  client_close(&client);
  world_free(w);
}

/* An upgrade behind a read that waits is not granted before that is answered: what came after it would be
 * frames. */
static void an_upgrade_waits_its_turn(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  struct bytes text = {0};
  struct wire *wire = world_connect(w, 0);
  bytes_append_string(&text,
                      "GET " DOCUMENT "?consistency=stale&min_revision=1000000&wait_ms=100 HTTP/1.1\r\n"
                      "Host: x\r\n\r\nGET /v1/replication HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                      "Upgrade: coracle-replication/1\r\nAuthorization: Bearer ");
  for (size_t i = 0; i < WRITE_TOKEN_BYTES; i++) bytes_printf(&text, "%02x", world_token(w, 0)[i]);
  bytes_append_string(&text, "\r\n\r\n");
  wire_send(w, wire, text.data, text.n);
  bytes_close(&text);
  world_run(w, 90);
  assert_int_equal(wire->received.n, 0);
  assert_int_equal(world_node(w, 0)->clients_n, 1);
  WORLD_UNTIL(w, wire_has(wire, "HTTP/1.1 101 "), 100);
  assert_memory_equal(wire->received.data, "HTTP/1.1 504 ", 13);
  assert_int_equal(world_node(w, 0)->clients_n, 0);
  world_free(w);
}

/* One that closes its side is owed its answers; then nothing is left of it. One that is there in the end is
 * released with the node. */
static void a_client_that_goes_leaves_nothing_behind(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w);
  struct client clients[20];
  const struct replica *replica = world_node(w, leader)->replica;
  cut_off(w, leader, 3);
  for (int i = 0; i < 20; i++) {
    const char *revision = i < 10 ? DOCUMENT "?consistency=stale&min_revision=77777&wait_ms=700"
                                  : DOCUMENT "?consistency=stale&min_revision=77777&wait_ms=60000";
    client_open(&clients[i], w, leader);
    client_ask(&clients[i], "GET", i < 10 ? DOCUMENT "?wait_ms=700" : DOCUMENT "?wait_ms=60000", NULL);
    client_ask(&clients[i], "GET", revision, NULL);
  }
  world_run(w, 20);
  assert_int_equal(replica_waiting(replica), 40);
  assert_int_equal(world_node(w, leader)->clients_n, 20);
  for (int i = 0; i < 10; i++) client_close(&clients[i]);
  world_run(w, 1000);
  assert_int_equal(replica_waiting(replica), 20);
  assert_int_equal(world_node(w, leader)->clients_n, 10);
  world_terminate(w, leader); /* what waits is told so */
  for (int i = 10; i < 20; i++) {
    WORLD_UNTIL(w, client_answers(&clients[i]) == 2, 1000);
    assert_int_equal(client_answer(&clients[i], 0)->status, 503);
    assert_int_equal(client_answer(&clients[i], 1)->status, 503);
    client_close(&clients[i]);
  }
  world_free(w);

  w = formed(2, 3);
  client_open(&clients[0], w, 1);
  for (int n = 0; n < 10; n++)
    client_ask(&clients[0], "GET", DOCUMENT "?consistency=stale&min_revision=77777&wait_ms=60000", NULL);
  world_run(w, 20);
  assert_int_equal(replica_waiting(world_node(w, 1)->replica), 10);
  if (world_leader(w) != 1) world_kill(w, 1);
  client_close(&clients[0]);
  world_free(w);
}

/* A client that asks for much and reads nothing. */
static struct client slow_reader(struct world *w, int node, size_t asked) {
  enum { BODY_BYTES = 60000 };
  struct client client;
  char *body = malloc(BODY_BYTES + 1);
  assert_non_null(body);
  const int n = snprintf(body, BODY_BYTES, "{\"id\":\"big\",\"s\":\"");
  memset(body + n, 'x', (size_t)(BODY_BYTES - n));
  memcpy(body + BODY_BYTES - 2, "\"}", 3);
  assert_int_equal(world_status(w, world_leader(w), "PUT", "/v1/collections/c/big", body), 201);
  free(body);
  client_open(&client, w, node);
  world_run(w, 10);
  wire_read(w, client.wire, false);
  for (size_t i = 0; i < asked; i++) client_ask(&client, "GET", "/v1/collections/c/big", NULL);
  world_run(w, 100);
  return client;
}

static void what_waits_goes_with_a_client_that_is_given_up(void **state) {
  (void)state;
  enum { CLOSING_MS = 6000 }; /* what a closing connection is given to send the rest, and more */
  struct world *w = formed(1, 3);
  struct client client = slow_reader(w, 0, 4);
  const struct replica *replica = world_node(w, 0)->replica;
  client_ask(&client, "GET", DOCUMENT "?consistency=stale&min_revision=1000000&wait_ms=60000", NULL);
  world_run(w, 10000);
  assert_int_equal(replica_waiting(replica), 1);
  assert_int_equal(world_node(w, 0)->clients_n, 1);
  world_run(w, DRAIN_DEADLINE_MS - 10000 + CLOSING_MS);
  assert_int_equal(world_node(w, 0)->clients_n, 0);
  assert_int_equal(replica_waiting(replica), 0);
  client_close(&client);
  world_free(w);
}

/* Confirmed reads that there was no room for are not answered from a state that has been given up. */
static void a_node_that_stops_answers_no_late_reads(void **state) {
  (void)state;
  enum { ASKED = 60 };
  struct world *w = formed(1, 3);
  struct client client = slow_reader(w, 0, ASKED);
  unsigned refused = 0;
  world_terminate(w, 0);
  world_run(w, 10);
  wire_read(w, client.wire, true);
  WORLD_UNTIL(w, client_answers(&client) == ASKED, 900);
  for (size_t i = 0; i < ASKED; i++) {
    const int status = client_answer(&client, i)->status;
    assert_true(status == (refused > 0 ? 503 : 200) || (status == 503 && refused == 0));
    refused += status == 503;
  }
  assert_in_range(refused, ASKED / 2, ASKED - 4);
  client_close(&client);
  world_free(w);
}

/* Everything that waits for its time goes on in the world's own time: no busy loop, no missed deadline. */
static void waiting_costs_no_turns(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int follower = (world_leader(w) + 1) % 3;
  struct client client;
  client_open(&client, w, follower);
  client_ask(&client, "GET", DOCUMENT "?consistency=stale&min_revision=77777&wait_ms=2000", NULL);
  world_run(w, 10);
  unsigned steps = 0;
  const uint64_t until_ms = world_now_ms(w) + 1900;
  while (world_step(w, until_ms)) steps++;
  print_message("%u steps\n", steps);
  assert_in_range(steps, 1, 4000);
  assert_int_equal(client_answers(&client), 0);
  WORLD_UNTIL(w, client_answers(&client) == 1, 110);
  client_close(&client);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_read_sees_what_was_answered_before_on_every_node),
      cmocka_unit_test(a_leader_that_is_cut_off_answers_nothing_old),
      cmocka_unit_test(a_leader_that_was_stopped_answers_nothing_old),
      cmocka_unit_test(a_read_outlives_its_leader),
      cmocka_unit_test(without_a_majority_a_read_ends_with_the_reason),
      cmocka_unit_test(a_follower_waits_for_what_a_client_has_written),
      cmocka_unit_test(a_revision_that_does_not_come_is_not_waited_for_longer),
      cmocka_unit_test(the_age_is_true),
      cmocka_unit_test(what_is_too_old_is_refused),
      cmocka_unit_test(a_leader_without_answers_grows_old),
      cmocka_unit_test(reads_in_company_cost_little),
      cmocka_unit_test(nothing_overtakes_a_read_that_waits),
      cmocka_unit_test(an_upgrade_waits_its_turn),
      cmocka_unit_test(a_client_that_goes_leaves_nothing_behind),
      cmocka_unit_test(what_waits_goes_with_a_client_that_is_given_up),
      cmocka_unit_test(a_node_that_stops_answers_no_late_reads),
      cmocka_unit_test(waiting_costs_no_turns),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
