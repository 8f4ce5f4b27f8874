/* Goal: what becomes of clusters that meet, and of nodes whose cluster is gone: the unestablished yield,
 * which is to start afresh under a new id; two established clusters stay and say so; an orphan waits exactly
 * as long as somebody of its cluster may still come back. */
#include "join_scene.h"

#include <stdio.h>

/* ---- Two clusters at one address ---- */

/* A founder of one; it holds the address unless it lost it to another process. */
static void open_founder(struct scene *s, bool established, bool holding) {
  scene_open(s);
  scene_run(s, 200);
  s->situation.established = established;
  if (!holding) {
    join_free(s->join);
    bytes_close(&s->script);
    bytes_close(&s->log);
    scene_open(s);
    scene_adopt(s, 'w', 'b', 1);
    scene_configure(s, "a", "");
    s->situation.established = established;
    s->address = ADDRESS_TAKEN;
    scene_lead(s, 2);
    scene_run(s, 10);
  }
  scene_mark(s);
}

static void yields(bool established, bool holding, bool other_established, bool expected) {
  struct scene s;
  open_founder(&s, established, holding);
  scene_hear(&s, JOIN_CREDENTIALS,
             (struct voice){.node = 'c',
                            .cluster = 'x',
                            .term = 9,
                            .established = other_established,
                            .leader = true,
                            .announces = true});
  if ((join_id(s.join) != 1) != expected)
    fail_msg("established %d, holding %d, the other established %d: %.*s", established, holding,
             other_established, (int)s.script.n, (const char *)s.script.data);
  assert_int_equal(s.situation.member, !expected);
  if (expected) assert_logged(&s, "starting afresh");
  scene_close(&s);
}

static void who_yields_when_two_clusters_meet(void **state) {
  (void)state;
  yields(false, true, true, true);
  yields(false, false, true, true);
  yields(false, false, false, true);
  yields(false, true, false, false);
  yields(true, true, false, false);
  yields(true, false, false, false);
  yields(true, true, true, false);
  yields(true, false, true, false);
}

/* The holder of the address hears the other; the other hears of it by the answer. Neither goes on for long.
 */
static void the_holder_tells_a_foreign_leader_who_it_is(void **state) {
  (void)state;
  for (int established = 0; established <= 1; established++) {
    struct scene s;
    open_founder(&s, established == 1, true);
    scene_hear(&s, JOIN_CREDENTIALS,
               (struct voice){.node = 'c',
                              .cluster = 'x',
                              .term = 9,
                              .established = established == 1,
                              .leader = true,
                              .announces = true});
    assert_script(&s, "0 CREDENTIALS without token to c\n");
    scene_close(&s);
    /* Who has not got the address answers nothing to that, or they would never end. */
    open_founder(&s, true, false);
    scene_run(&s, 1);
    scene_mark(&s);
    scene_hear(&s, JOIN_CREDENTIALS,
               (struct voice){.node = 'c', .cluster = 'x', .term = 9, .leader = true, .announces = true});
    assert_script(&s, "");
    scene_close(&s);
  }
}

/* To yield is to be another node: new id, no cluster, and the address is let go of. */
static void to_yield_is_to_start_afresh(void **state) {
  (void)state;
  struct scene s;
  open_founder(&s, false, true);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = 'x', .established = true});
  assert_script(&s, "0 release\n"
                    "0 yield\n"
                    "0 bind: won\n");
  assert_true(join_id(s.join) > 1);
  assert_true(join_cluster(s.join)[0] == 0);
  scene_close(&s);
}

static void two_established_clusters_say_so_and_stay(void **state) {
  (void)state;
  static const struct voice rival = {
      .node = 'c', .cluster = 'x', .term = 9, .established = true, .leader = true, .announces = true};
  struct scene s;
  char own[2 * JOIN_CLUSTER_BYTES + 1];
  open_founder(&s, true, true);
  for (size_t i = 0; i < JOIN_CLUSTER_BYTES; i++) sprintf(own + 2 * i, "%02x", join_cluster(s.join)[i]);
  assert_null(join_writes_stopped(s.join, &s.situation));
  scene_hear(&s, JOIN_CREDENTIALS, rival);
  assert_logged(&s, "two established clusters");
  assert_logged(&s, own);
  assert_logged(&s, "78787878787878787878787878787878");
  assert_non_null(join_writes_stopped(s.join, &s.situation)); /* a sole voter's */
  scene_configure(&s, "abc", "");
  assert_null(join_writes_stopped(s.join, &s.situation));
  scene_configure(&s, "a", "");
  s.situation.established = true;

  /* It is said again, but not with every heartbeat. */
  scene_mark(&s);
  for (int i = 0; i < 150; i++) {
    scene_run(&s, HEARTBEAT_MS);
    scene_hear(&s, JOIN_CREDENTIALS, rival);
  }
  assert_not_logged(&s, "two established clusters");
  for (int i = 0; i < 100; i++) {
    scene_run(&s, HEARTBEAT_MS);
    scene_hear(&s, JOIN_CREDENTIALS, rival);
  }
  assert_logged(&s, "two established clusters");
  /* People have stopped the other one: this one serves again. */
  scene_run(&s, 20000);
  assert_null(join_writes_stopped(s.join, &s.situation));
  scene_close(&s);
}

/* A learner that hears its leader leaves it to that one, which may just have made it a voter, in an entry
 * that it has not got. Found by the model (test/model/, LED_LEARNERS_YIELD). */
static void a_learner_that_is_led_yields_for_nobody(void **state) {
  (void)state;
  for (int led = 0; led <= 1; led++) {
    struct scene s;
    scene_open(&s);
    scene_adopt(&s, 'x', 'b', 1);
    scene_configure(&s, "b", "ac");
    s.situation.established = false;
    scene_follow(&s, 'b', 1);
    scene_run(&s, 0);
    if (!led) scene_lose_leader(&s);
    scene_hear(&s, JOIN_CREDENTIALS,
               (struct voice){.node = 'd', .cluster = 'y', .term = 9, .established = true, .leader = true});
    assert_int_equal(join_id(s.join) == 1, led);
    scene_close(&s);
  }
}

/* ---- Orphans ---- */

static void open_orphan(struct scene *s, bool established) {
  scene_open(s);
  scene_adopt(s, 'x', 'b', 1);
  scene_configure(s, "b", "ac");
  s->situation.established = established;
  scene_follow(s, 'b', 1);
  scene_run(s, 0);
  s->address = ADDRESS_TAKEN;
  scene_lose_leader(s);
  join_stream_ended(s->join, &s->situation, s->now_ms);
  scene_mark(s);
}

static void an_orphan_starts_afresh(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, false);
  scene_run(&s, ELECTION_TIMEOUT_MS - 1);
  assert_int_equal(join_id(s.join), 1);
  scene_run(&s, HEARTBEAT_MS + 1);
  assert_logged(&s, "its leader vanished");
  assert_int_not_equal(join_id(s.join), 1);
  scene_close(&s);
}

static void an_orphan_of_an_established_cluster_waits(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, true);
  scene_run(&s, 20 * ELECTION_TIMEOUT_MS);
  assert_int_equal(join_id(s.join), 1);
  scene_close(&s);
}

/* Somebody of its cluster is alive, and may come to lead it. */
static void an_orphan_waits_while_its_cluster_is_heard(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, false);
  for (int i = 0; i < 20; i++) {
    scene_run(&s, ELECTION_TIMEOUT_MS - HEARTBEAT_MS);
    if (i % 2 == 0) {
      scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = 'x', .established = true});
    } else { /* it asks for votes, for instance */
      const struct address c = scene_udp('c');
      join_heard(s.join, scene_id('c'), &c, 1, ++s.counter, true, s.now_ms);
    }
    assert_int_equal(join_id(s.join), 1);
  }
  scene_run(&s, ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
  assert_int_not_equal(join_id(s.join), 1);
  scene_close(&s);
}

/* Two learners who ask each other for their leader would otherwise wait for it for ever. */
static void orphans_do_not_wait_for_each_other(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, false);
  for (int i = 0; i < 11; i++) {
    scene_run(&s, HEARTBEAT_MS);
    scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = 'x'});
    scene_hear(&s, JOIN_NOT_YET, (struct voice){.node = 'c', .cluster = 'x'});
  }
  assert_int_not_equal(join_id(s.join), 1);
  scene_close(&s);
}

/* The leader may have spoken all the time. */
static void an_orphan_that_was_stopped_listens_first(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, false);
  scene_run(&s, 100);
  for (int i = 0; i < 5; i++) {
    scene_stop(&s, 10 * ELECTION_TIMEOUT_MS);
    scene_run(&s, ELECTION_TIMEOUT_MS - HEARTBEAT_MS);
    assert_int_equal(join_id(s.join), 1);
  }
  scene_run(&s, 2 * HEARTBEAT_MS);
  assert_int_not_equal(join_id(s.join), 1);
  scene_close(&s);
}

/* A foreign cluster's chatter is no sign of life. */
static void an_orphan_does_not_wait_for_strangers(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, false);
  for (int i = 0; i < 11; i++) {
    scene_run(&s, HEARTBEAT_MS);
    scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = 'y'});
  }
  assert_int_not_equal(join_id(s.join), 1);
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_yields_when_two_clusters_meet),
      cmocka_unit_test(the_holder_tells_a_foreign_leader_who_it_is),
      cmocka_unit_test(to_yield_is_to_start_afresh),
      cmocka_unit_test(two_established_clusters_say_so_and_stay),
      cmocka_unit_test(a_learner_that_is_led_yields_for_nobody),
      cmocka_unit_test(an_orphan_starts_afresh),
      cmocka_unit_test(an_orphan_of_an_established_cluster_waits),
      cmocka_unit_test(an_orphan_waits_while_its_cluster_is_heard),
      cmocka_unit_test(orphans_do_not_wait_for_each_other),
      cmocka_unit_test(an_orphan_that_was_stopped_listens_first),
      cmocka_unit_test(an_orphan_does_not_wait_for_strangers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
