/* Goal: whole nodes find each other, elect, join, are replaced and go on when one is lost, as the design's
 * chapters Election, Founding, Joining and Losing a leader have it. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <stdio.h>

enum { SEEDS = 10, FORM_MS = 3000, PORT_FREE_MS = 4, FAILOVER_MS = 10 };

static struct world *new_world(uint64_t seed, int nodes) {
  return world_new(&(struct world_options){.seed = seed, .nodes = nodes});
}

static struct world *formed(uint64_t seed, int nodes) {
  struct world *w = new_world(seed, nodes);
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  return w;
}

static void put(struct world *w, int node, int key) {
  char target[64], body[64];
  snprintf(target, sizeof target, "/v1/collections/c/k%d", key);
  snprintf(body, sizeof body, "{\"id\":\"k%d\"}", key);
  assert_answer(w, node, "PUT", target, body, 201, body);
}

/* A leader that was elected a moment ago may still have to commit something in its term. */
static void put_at_leader(struct world *w, int key) {
  char target[64];
  snprintf(target, sizeof target, "/v1/collections/c/k%d", key);
  const uint64_t end_ms = world_now_ms(w) + FAILOVER_MS;
  while (world_status(w, world_leader(w), "GET", target, NULL) == 503)
    WORLD_CHECK(w, world_now_ms(w) < end_ms);
  put(w, world_leader(w), key);
}

static void assert_has(struct world *w, int node, int key) {
  char target[64], body[64];
  snprintf(target, sizeof target, "/v1/collections/c/k%d?consistency=stale", key);
  snprintf(body, sizeof body, "{\"id\":\"k%d\"}", key);
  assert_answer(w, node, "GET", target, NULL, 200, body);
}

/* ---- Forming ---- */

static void three_nodes_form_one_cluster_and_serve(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    put(w, world_leader(w), 1);
    WORLD_UNTIL(w, world_is_formed(w), 100);
    for (int i = 0; i < 3; i++) assert_has(w, i, 1);
    assert_int_equal(world_holder(w), world_leader(w));
    world_free(w);
  }
}

/* One after the other, in any order, at any distance. */
static void they_may_start_when_they_like(void **state) {
  (void)state;
  static const int orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  static const uint64_t distances_ms[] = {1, 60, 199, 201, 260, 700, 5000};
  for (size_t i = 0; i < 6; i++) {
    for (size_t j = 0; j < sizeof distances_ms / sizeof *distances_ms; j++) {
      struct world *w = new_world(10 * i + j, 3);
      for (int k = 0; k < 3; k++) {
        world_start(w, orders[i][k]);
        world_run(w, distances_ms[j]);
      }
      WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
      assert_int_equal(world_leader(w), orders[i][0]);
      world_free(w);
    }
  }
}

/* Steps 1 to 8 are in the log, once each. */
static void the_eight_steps_are_logged(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  const int leader = world_leader(w), follower = (leader + 1) % 3;
  static const char *const leaders[] = {"step 1: trying to bind", "step 2: won",
                                        "step 2: founded",        "step 4: ACCEPT from",
                                        "step 5: sent",           "step 6: CREDENTIALS from",
                                        "step 7: saved",          "step 8: HTTP open on "};
  static const char *const followers[] = {"step 1: trying to bind", "step 3: ",     "step 4: sent ACCEPT",
                                          "step 5: CREDENTIALS",    "step 6: sent", "saved our credentials",
                                          "step 8: HTTP open on ",  "following "};
  for (size_t i = 0; i < 8; i++) {
    if (!world_has_logged(w, leader, leaders[i])) fail_msg("the leader did not log: %s", leaders[i]);
    if (!world_has_logged(w, follower, followers[i])) fail_msg("a follower did not log: %s", followers[i]);
  }
  assert_false(world_has_logged(w, follower, "WARN"));
  world_free(w);
}

static void one_node_is_a_cluster(void **state) {
  (void)state;
  struct world *w = new_world(1, 1);
  world_start_all(w);
  WORLD_UNTIL(w, world_leader(w) == 0, 210);
  put(w, 0, 1);
  assert_has(w, 0, 1);
  world_free(w);
}

/* The winner is killed in its first 300 ms, with no client's write acknowledged: the others found another. */
static void the_founder_is_killed_early(void **state) {
  (void)state;
  for (uint64_t at_ms = 1; at_ms <= 301; at_ms += 3) {
    struct world *w = new_world(at_ms, 3);
    world_start_all(w);
    world_run(w, at_ms);
    const int founder = world_holder(w);
    WORLD_CHECK(w, founder >= 0);
    world_kill(w, founder);
    world_run(w, world_dice(w, 1000));
    world_start(w, founder);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    world_free(w);
  }
}

/* ---- HTTP opens ---- */

static void http_waits_for_the_handshake(void **state) {
  (void)state;
  struct world *w = new_world(1, 3);
  struct client early[3];
  world_start_all(w);
  for (int i = 0; i < 3; i++) {
    client_open(&early[i], w, i);
    client_ask(&early[i], "GET", "/livez", NULL);
  }
  world_run(w, 190);
  for (int i = 0; i < 3; i++) {
    assert_false(world_http_is_open(w, i));
    assert_true(early[i].wire->connected); /* the port is bound, so nobody else gets it */
    assert_int_equal(client_answers(&early[i]), 0);
  }
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  for (int i = 0; i < 3; i++) {
    WORLD_UNTIL(w, client_answers(&early[i]) == 1, 10);
    assert_int_equal(client_answer(&early[i], 0)->status, 200);
    client_close(&early[i]);
  }
  world_free(w);
}

/* Another program has the address, or a process that hangs: nobody will ever answer. */
static void http_opens_without_a_leader_to_say_why(void **state) {
  (void)state;
  struct world *w = new_world(1, 1);
  world_occupy(w, true);
  world_start_all(w);
  world_run(w, 2 * ELECTION_TIMEOUT_MS - HEARTBEAT_MS);
  assert_false(world_http_is_open(w, 0));
  world_run(w, 2 * HEARTBEAT_MS);
  assert_true(world_http_is_open(w, 0));
  static const char why[] = "127.0.0.1:8000 is held but its holder does not answer";
  assert_answer(w, 0, "GET", "/livez", NULL, 200, NULL);
  assert_answer(w, 0, "GET", "/readyz", NULL, 503, why);
  assert_answer(w, 0, "GET", "/readyz?consistency=stale", NULL, 200, NULL);
  assert_answer(w, 0, "GET", "/v1/collections/c", NULL, 503, why);
  assert_answer(w, 0, "GET", "/v1/collections/c?consistency=stale", NULL, 200, "[]");
  assert_answer(w, 0, "PUT", "/v1/collections/c/x", "{}", 503, why);
  world_occupy(w, false);
  WORLD_UNTIL(w, world_is_formed(w), 600);
  put(w, 0, 1);
  world_free(w);
}

/* ---- A leader is lost ---- */

static void a_killed_leader_is_followed_by_another(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 10 * SEEDS; seed++) {
    struct world *w = formed(seed, seed % 2 == 0 ? 3 : 5);
    const int leader = world_leader(w);
    for (int key = 0; key < 5; key++) put(w, leader, key);
    world_kill(w, leader);
    WORLD_UNTIL(w, world_leader(w) >= 0, FAILOVER_MS);
    const int next = world_leader(w);
    put_at_leader(w, 99);
    for (int key = 0; key < 5; key++) assert_has(w, next, key);
    world_start(w, leader);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    for (int key = 0; key < 5; key++) assert_has(w, leader, key);
    world_free(w);
  }
}

/* What it had not answered has an unknown outcome; what it had is there. Killed at any moment of a stream of
 * writes. */
static void a_leader_is_killed_while_it_writes(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 5 * SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w);
    struct client client;
    char target[64], body[64];
    client_open(&client, w, leader);
    for (int key = 0; key < 200; key++) {
      snprintf(target, sizeof target, "/v1/collections/c/k%d", key);
      snprintf(body, sizeof body, "{\"id\":\"k%d\"}", key);
      client_ask(&client, "PUT", target, body);
    }
    const uint64_t steps = world_dice(w, 200);
    for (uint64_t i = 0; i < steps; i++) world_step(w, world_now_ms(w) + 1);
    world_kill(w, leader);
    WORLD_UNTIL(w, world_leader(w) >= 0 && client.wire->ended, 100);
    world_run(w, 100);
    const size_t acknowledged = client_answers(&client);
    for (int key = 0; key < (int)acknowledged; key++)
      for (int i = 0; i < 3; i++)
        if (i != leader) assert_has(w, i, key);
    client_close(&client);
    world_free(w);
  }
}

static void a_stopped_leader_is_followed_by_another_and_comes_back(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 3 * SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w);
    put(w, leader, 1);
    world_pause(w, leader);
    /* Its address stays taken, and its streams stay open: the silence is what counts. */
    WORLD_UNTIL(w, world_leader(w) >= 0, 4 * ELECTION_TIMEOUT_MS);
    put_at_leader(w, 2);
    world_run(w, 100 + world_dice(w, 2000));
    world_resume(w, leader);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    assert_int_not_equal(world_leader(w), leader);
    assert_has(w, leader, 2);
    /* It holds the address no longer: the leader does, in the end. */
    WORLD_UNTIL(w, world_holder(w) == world_leader(w), 1000);
    world_free(w);
  }
}

/* A short stop is nobody's business. */
static void a_hiccup_deposes_nobody(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w);
    for (int i = 0; i < 5; i++) {
      world_pause(w, leader);
      world_run(w, ELECTION_TIMEOUT_MS - 2 * HEARTBEAT_MS);
      world_resume(w, leader);
      world_run(w, 2 * HEARTBEAT_MS);
    }
    assert_int_equal(world_leader(w), leader);
    assert_false(world_has_logged(w, leader, "no longer leading"));
    world_free(w);
  }
}

/* One that flaps deposes nobody either: those who still hear the leader refuse. */
static void a_flapping_stream_deposes_nobody(void **state) {
  (void)state;
  struct world *w = formed(3, 3);
  const int leader = world_leader(w);
  for (int i = 0; i < 30; i++) {
    world_cut(w, leader, (leader + 1) % 3);
    world_run(w, world_dice(w, 120));
  }
  WORLD_UNTIL(w, world_is_formed(w), 200);
  assert_int_equal(world_leader(w), leader);
  assert_false(world_has_logged(w, leader, "no longer leading"));
  world_free(w);
}

/* Five nodes: whoever sees the leader's end first asks three that still hear it. Their refusals must not cost
 * the election half a second. */
static void five_nodes_whose_prevotes_are_all_premature(void **state) {
  (void)state;
  unsigned slow = 0;
  for (uint64_t seed = 1; seed <= 20 * SEEDS; seed++) {
    struct world *w = formed(seed, 5);
    const int leader = world_leader(w);
    world_kill(w, leader);
    const uint64_t killed_ms = world_now_ms(w);
    WORLD_UNTIL(w, world_leader(w) >= 0, 3 * ELECTION_TIMEOUT_MS);
    slow += world_now_ms(w) - killed_ms > FAILOVER_MS;
    world_free(w);
  }
  assert_int_equal(slow, 0);
}

/* ---- Restarts ---- */

/* Every start is a new id, and the old one has to go first. */
static void a_follower_is_restarted_ten_times(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w), victim = (leader + 1) % 3;
    for (int i = 0; i < 10; i++) {
      const uint64_t id = world_id(w, victim);
      if (i % 2 == 0)
        world_kill(w, victim);
      else
        world_terminate(w, victim);
      put(w, leader, 2 * i);
      WORLD_UNTIL(w, !world_is_running(w, victim), 1100);
      if (i % 3 == 2) world_set_port(w, victim, (uint16_t)(9000 + i));
      if (i % 4 == 3) world_run(w, 2000);
      world_start(w, victim);
      put(w, leader, 2 * i + 1);
      WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
      assert_int_equal(world_leader(w), leader);
      assert_int_not_equal(world_id(w, victim), id);
      assert_has(w, victim, 2 * i + 1);
    }
    world_free(w);
  }
}

/* Again at once, before it has joined or while it does. */
static void a_follower_crashes_in_a_loop(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 3 * SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w), victim = (leader + 1) % 3;
    for (int i = 0; i < 10; i++) {
      world_kill(w, victim);
      world_run(w, world_dice(w, 300));
      world_start(w, victim);
      world_run(w, world_dice(w, 900));
      put(w, leader, i);
    }
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    assert_int_equal(world_leader(w), leader);
    world_free(w);
  }
}

/* Stopped, and cut off meanwhile, it looks dead and is removed; then it goes on, under its old id. The
 * leader's new stream to it may have come up before it is a member again. */
static void a_member_removed_in_its_sleep_comes_back(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 3 * SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w), victim = (leader + 1) % 3;
    const uint64_t id = world_id(w, victim);
    world_pause(w, victim);
    world_run(w, world_dice(w, 100));
    world_cut(w, leader, victim);
    WORLD_UNTIL(w, world_has_logged(w, leader, "membership: removing"), 2 * ELECTION_TIMEOUT_MS);
    world_run(w, world_dice(w, 7000));
    world_resume(w, victim);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    assert_true(world_id(w, victim) == id);
    assert_int_equal(world_leader(w), leader);
    world_free(w);
  }
}

/* Each starts where all the others are stopped, or finds the founder stopped in the middle of founding:
 * whoever was stopped reads its mail first, and nobody takes it for gone, or itself for alone, too soon. */
static void stops_while_a_cluster_forms(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20 * SEEDS; seed++) {
    struct world *w = new_world(seed, 3);
    world_start_all(w);
    for (int i = 0; i < 8; i++) {
      const int node = (int)world_dice(w, 3);
      world_run(w, world_dice(w, 120));
      world_pause(w, node);
      world_run(w, world_dice(w, 1200));
      world_resume(w, node);
    }
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    world_free(w);
  }
}

/* A leader of two removes the dead one and goes on alone; when that comes back it is a learner first. */
static void of_two_the_follower_dies(void **state) {
  (void)state;
  struct world *w = formed(1, 2);
  const int leader = world_leader(w);
  world_kill(w, 1 - leader);
  world_run(w, 3 * ELECTION_TIMEOUT_MS);
  put(w, leader, 1);
  world_start(w, 1 - leader);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  assert_has(w, 1 - leader, 1);
  world_free(w);
}

/* ---- A majority is lost ---- */

static void the_last_of_three_says_what_it_lacks(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w), survivor = (leader + 1) % 3, other = (leader + 2) % 3;
    char cluster[40];
    put(w, leader, 1);
    WORLD_UNTIL(w, world_is_formed(w), 100);
    world_kill(w, leader);
    world_kill(w, other);
    world_run(w, 3 * ELECTION_TIMEOUT_MS);
    assert_answer(w, survivor, "PUT", "/v1/collections/c/x", "{}", 503, "need 2 of 3 voters, reached 1; ");
    assert_answer(w, survivor, "GET", "/v1/collections/c/k1", NULL, 503, "restart this node too");
    assert_has(w, survivor, 1);

    /* The restarted found nothing beside it, and say why. */
    world_start(w, leader);
    world_start(w, other);
    world_run(w, 10 * ELECTION_TIMEOUT_MS);
    for (int i = 0; i < 3; i++) {
      WORLD_CHECK(w, world_leader(w) < 0);
      assert_answer(w, i, "PUT", "/v1/collections/c/x", "{}", 503, NULL);
      if (i != survivor)
        assert_answer(w, i, "PUT", "/v1/collections/c/x", "{}", 503, "exists but has no leader");
    }
    assert_has(w, survivor, 1);
    snprintf(cluster, sizeof cluster, "which %c belongs to", 'a' + survivor);
    assert_answer(w, other, "GET", "/readyz", NULL, 503, cluster);

    /* The way out: the third is started anew as well, and they are one new, empty cluster. */
    world_kill(w, survivor);
    world_start(w, survivor);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    assert_answer(w, survivor, "GET", "/v1/collections/c", NULL, 200, "[]");
    put(w, world_leader(w), 2);
    world_free(w);
  }
}

static void a_majority_that_only_sleeps_is_not_lost(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = formed(seed, 3);
    const int leader = world_leader(w), third = (leader + 2) % 3;
    put(w, leader, 1);
    world_pause(w, leader);
    world_pause(w, (leader + 1) % 3);
    world_run(w, 10000);
    assert_answer(w, third, "PUT", "/v1/collections/c/x", "{}", 503, "reached 1");
    world_resume(w, leader);
    world_resume(w, (leader + 1) % 3);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    for (int i = 0; i < 3; i++) assert_has(w, i, 1);
    world_free(w);
  }
}

static void all_are_killed_and_started_anew(void **state) {
  (void)state;
  struct world *w = formed(1, 3);
  put(w, world_leader(w), 1);
  for (int i = 0; i < 3; i++) world_kill(w, i);
  world_run(w, 100);
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  for (int i = 0; i < 3; i++) assert_answer(w, i, "GET", "/v1/collections/c", NULL, 200, "[]");
  world_free(w);
}

/* ---- Two clusters ---- */

/* Nobody of the first was awake to tell the second, which then took a node in. They never merge; both say so;
 * one is stopped by people, and its nodes join the other. */
static void two_established_clusters_wait_for_people(void **state) {
  (void)state;
  struct world *w = new_world(5, 5);
  for (int i = 0; i < 3; i++) world_start(w, i);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  const int leader = world_leader(w), b = (leader + 1) % 3, c = (leader + 2) % 3;
  put(w, leader, 1);
  WORLD_UNTIL(w, world_is_formed(w), 100);
  world_pause(w, b);
  world_pause(w, c);
  world_kill(w, leader);
  world_run(w, 10);
  world_start(w, 3);
  world_start(w, 4);
  WORLD_UNTIL(w, world_leader(w) >= 3, FORM_MS);
  world_run(w, 500);
  const int second = world_leader(w);
  put(w, second, 2);
  world_resume(w, b);
  world_resume(w, c);
  world_run(w, 5000);
  const int first = world_has_logged(w, b, "leading term") ? b : c;
  assert_true(world_has_logged(w, first, "two established clusters at one election address"));
  assert_true(world_has_logged(w, second, "two established clusters at one election address"));
  assert_has(w, first, 1);
  assert_has(w, second, 2);
  put(w, first, 3); /* of two voters each, so they go on taking writes */
  put(w, second, 4);

  /* Alone it takes none: people might stop the other, not knowing what is here only. It still reads. */
  world_kill(w, 7 - second);
  world_run(w, 3 * ELECTION_TIMEOUT_MS);
  assert_answer(w, second, "PUT", "/v1/collections/c/x", "{}", 503, "another established cluster");
  assert_has(w, second, 4);
  world_kill(w, second);
  for (int i = 0; i < 5; i++)
    if (!world_is_running(w, i)) world_start(w, i);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  for (int i = 0; i < 5; i++) assert_has(w, i, 3);
  world_free(w);
}

/* ---- The world itself ---- */

static uint64_t hash_of_a_run(uint64_t seed) {
  struct world *w = formed(seed, 3);
  world_set_weather(w, (struct world_weather){.loss_percent = 10, .double_percent = 10, .late_percent = 5});
  put(w, world_leader(w), 1);
  world_kill(w, world_leader(w));
  world_run(w, 3000);
  const uint64_t hash = world_trace_hash(w);
  world_free(w);
  return hash;
}

static void the_same_seed_is_the_same_run(void **state) {
  (void)state;
  assert_true(hash_of_a_run(7) == hash_of_a_run(7));
  assert_true(hash_of_a_run(7) != hash_of_a_run(8));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(three_nodes_form_one_cluster_and_serve),
      cmocka_unit_test(they_may_start_when_they_like),
      cmocka_unit_test(the_eight_steps_are_logged),
      cmocka_unit_test(one_node_is_a_cluster),
      cmocka_unit_test(the_founder_is_killed_early),
      cmocka_unit_test(http_waits_for_the_handshake),
      cmocka_unit_test(http_opens_without_a_leader_to_say_why),
      cmocka_unit_test(a_killed_leader_is_followed_by_another),
      cmocka_unit_test(a_leader_is_killed_while_it_writes),
      cmocka_unit_test(a_stopped_leader_is_followed_by_another_and_comes_back),
      cmocka_unit_test(a_hiccup_deposes_nobody),
      cmocka_unit_test(a_flapping_stream_deposes_nobody),
      cmocka_unit_test(five_nodes_whose_prevotes_are_all_premature),
      cmocka_unit_test(a_follower_is_restarted_ten_times),
      cmocka_unit_test(a_follower_crashes_in_a_loop),
      cmocka_unit_test(a_member_removed_in_its_sleep_comes_back),
      cmocka_unit_test(stops_while_a_cluster_forms),
      cmocka_unit_test(of_two_the_follower_dies),
      cmocka_unit_test(the_last_of_three_says_what_it_lacks),
      cmocka_unit_test(a_majority_that_only_sleeps_is_not_lost),
      cmocka_unit_test(all_are_killed_and_started_anew),
      cmocka_unit_test(two_established_clusters_wait_for_people),
      cmocka_unit_test(the_same_seed_is_the_same_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
