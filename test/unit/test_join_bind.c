/* Goal: who tries for the election address and when, who founds, who campaigns and who lets go of it, as the
 * design's chapters Election and Founding have it: one cluster comes of any mix of fresh nodes, and holding
 * the address is only the permission to ask first. */
#include "join_scene.h"

/* ---- Fresh nodes ---- */

static void a_fresh_winner_listens_then_founds(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 4 * HEARTBEAT_MS - 1);
  assert_script(&s, "0 bind: won\n");
  scene_run(&s, 1);
  assert_script(&s, "1 found\n"
                    "1 open http\n");
  assert_int_equal(s.configuration.members_n, 1);
  assert_int_equal(s.configuration.members[0].id, 1);
  assert_true(s.configuration.members[0].voter);
  /* A leader that holds the address has nobody to tell. */
  scene_run(&s, 1000);
  assert_script(&s, "");
  scene_close(&s);
}

static void the_address_taken_means_accept_at_once(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 120);
  assert_script(&s, "0 bind: taken\n"
                    "0 ACCEPT to election\n"
                    "50 bind: taken\n"
                    "50 ACCEPT to election\n"
                    "100 bind: taken\n"
                    "100 ACCEPT to election\n");
  scene_close(&s);
}

/* The holder may end before it founds. */
static void the_next_in_line_wins_and_founds(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 99);
  s.address = ADDRESS_FREE;
  scene_mark(&s);
  scene_run(&s, 1 + 4 * HEARTBEAT_MS);
  assert_script(&s, "1 bind: won\n"
                    "201 found\n"
                    "201 open http\n");
  scene_close(&s);
}

static void a_fresh_winner_that_hears_a_leader_joins_it(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 120);
  scene_mark(&s);
  scene_hear(&s, JOIN_CREDENTIALS,
             (struct voice){.node = 'b', .cluster = 'x', .term = 3, .leader = true, .announces = true});
  assert_logged(&s, "joining cluster 7878");
  assert_script(&s, "0 ACCEPT to b\n"
                    "0 release\n");
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'b', .cluster = 'x', .term = 3, .leader = true});
  assert_script(&s, "0 adopt x\n"
                    "0 CREDENTIALS to b\n");
  /* Its new core knows no configuration, so it is no voter and leaves the address alone. */
  scene_run(&s, 49);
  assert_script(&s, "");
  scene_close(&s);
}

/* A cluster that nobody leads just now will come back to life. */
static void a_fresh_winner_founds_nothing_beside_an_established_cluster(void **state) {
  (void)state;
  static const struct voice voter = {.node = 'b', .cluster = 'x', .established = true};
  struct scene s;
  scene_open(&s);
  scene_run(&s, 120);
  scene_mark(&s);
  scene_hear(&s, JOIN_ACCEPT, voter);
  assert_logged(&s, "not founding: cluster 7878");
  assert_script(&s, "0 NOT_YET to b\n"
                    "0 release\n");
  /* The voter has the address now, and has no leader to name. */
  s.address = ADDRESS_TAKEN;
  for (int i = 0; i < 40; i++) {
    scene_run(&s, HEARTBEAT_MS);
    scene_hear(&s, JOIN_NOT_YET, voter);
  }
  assert_not_logged(&s, "founded cluster");
  assert_int_equal(join_id(s.join), 1);
  /* It falls silent and the address comes free: there is nothing left to wait for. */
  s.address = ADDRESS_FREE;
  scene_mark(&s);
  scene_run(&s, 600);
  assert_non_null(strstr((const char *)s.script.data, "bind: won\n"));
  assert_non_null(strstr((const char *)s.script.data, "found\n"));
  scene_close(&s);
}

/* Whoever has no cluster, or one that will itself yield, keeps nobody from founding. */
static void the_unestablished_keep_nobody_from_founding(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 100);
  scene_mark(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b'});
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = 'x', .memory_storage = true});
  assert_script(&s, "0 NOT_YET to b\n"
                    "0 NOT_YET to c\n");
  scene_run(&s, 100);
  assert_script(&s, "100 found\n"
                    "100 open http\n");
  scene_close(&s);
}

/* With a disk it may be the founder, just come back, or a learner that waits for it and may have a vote by an
 * entry that it has not got. Found by the model (test/model/, WAITING_MEMBERS_GO_UNHEEDED). */
static void an_unestablished_member_with_a_disk_keeps_others_from_founding(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 100);
  scene_mark(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = 'x'});
  assert_logged(&s, "not founding");
  assert_script(&s, "0 NOT_YET to c\n"
                    "0 release\n");
  for (int i = 0; i < 20; i++) {
    scene_run(&s, 3 * HEARTBEAT_MS);
    scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = 'x'});
  }
  assert_null(strstr((const char *)s.script.data, "found\n"));
  scene_close(&s);
}

/* What it missed is still in its socket. */
static void a_stopped_process_has_not_listened(void **state) {
  (void)state;
  for (uint64_t before = 0; before < 4 * HEARTBEAT_MS; before += 10) {
    struct scene s;
    scene_open(&s);
    scene_run(&s, before);
    scene_mark(&s);
    scene_stop(&s, 3 * HEARTBEAT_MS);
    scene_stop(&s, 400);
    assert_script(&s, "");
    scene_run(&s, 4 * HEARTBEAT_MS - 1);
    assert_script(&s, "");
    scene_run(&s, 1);
    assert_script(&s, "1 found\n"
                      "1 open http\n");
    scene_close(&s);
  }
}

static void clusters_and_new_ids_come_from_the_seed(void **state) {
  (void)state;
  struct scene s;
  uint8_t cluster[JOIN_CLUSTER_BYTES];
  scene_open(&s);
  scene_run(&s, 200);
  memcpy(cluster, join_cluster(s.join), sizeof cluster);
  scene_close(&s);
  scene_open(&s);
  scene_run(&s, 200);
  assert_memory_equal(cluster, join_cluster(s.join), sizeof cluster);
  scene_hear(&s, JOIN_CREDENTIALS,
             (struct voice){.node = 'b', .cluster = 'x', .leader = true, .established = true});
  assert_int_not_equal(join_id(s.join), 1);
  scene_run(&s, 1000);
  assert_memory_not_equal(cluster, join_cluster(s.join), sizeof cluster);
  scene_close(&s);
}

/* ---- Voters ---- */

static void open_voter(struct scene *s) {
  scene_open(s);
  scene_adopt(s, 'x', 'b', 3);
  scene_configure(s, "abc", "");
  scene_follow(s, 'b', 3);
  scene_run(s, 0);
  scene_hear(s, JOIN_SAVED, (struct voice){.node = 'b', .cluster = 'x', .term = 3});
  scene_mark(s);
}

static void who_follows_leaves_the_address_alone(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_run(&s, 2000);
  assert_script(&s, "");
  scene_close(&s);
}

/* A leader that is stopped just when it has not got the address: a fresh node that has it must not take the
 * silence for an empty house. */
static void who_follows_a_late_leader_lets_the_address_know(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_run(&s, 1000);
  s.silent = "b";
  scene_mark(&s);
  scene_run(&s, 160);
  assert_script(&s, "100 ACCEPT to election\n"
                    "150 ACCEPT to election\n");
  assert_true(s.sent.card.established);
  s.silent = NULL;
  scene_run(&s, 500);
  assert_script(&s, "");
  scene_close(&s);
}

static void a_learner_never_binds(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_configure(&s, "bc", "a");
  scene_lose_leader(&s);
  scene_mark(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms);
  scene_run(&s, 110);
  assert_script(&s, "50 ACCEPT to election\n"
                    "100 ACCEPT to election\n");
  scene_close(&s);
}

/* A dying process may free its port a little after its connections. */
static void the_end_of_the_stream_makes_eager(void **state) {
  (void)state;
  struct scene s;
  unsigned attempts = 0;
  open_voter(&s);
  s.address = ADDRESS_TAKEN;
  scene_lose_leader(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms);
  scene_run(&s, 49);
  for (const char *at = (const char *)s.script.data; (at = strstr(at, "bind: taken")) != NULL; at++)
    attempts++;
  assert_int_equal(attempts, 50);
  scene_mark(&s);
  scene_run(&s, 201);
  attempts = 0;
  bytes_append(&s.script, "", 1);
  for (const char *at = (const char *)s.script.data; (at = strstr(at, "bind: taken")) != NULL; at++)
    attempts++;
  assert_in_range(attempts, 4, 5);
  scene_close(&s);
}

static void the_address_won_means_campaign(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_lose_leader(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms);
  scene_tick(&s);
  assert_logged(&s, "asking for votes");
  assert_script(&s, "0 bind: won\n"
                    "0 campaign\n");
  /* It keeps the address as long as it asks, and says so to whom it may concern. */
  scene_run(&s, 300);
  assert_script(&s, "");
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd'});
  assert_script(&s, "0 NOT_YET to d\n");
  assert_non_null(strstr(s.sent.text, "need 2 of 3 voters"));
  scene_close(&s);
}

/* Another may do better where a candidate could not win: it lets go at once, for a while drawn anew. */
static void a_candidate_that_cannot_win_rests(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_lose_leader(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms);
  scene_tick(&s);
  scene_mark(&s);
  scene_lose_leader(&s); /* refused by a majority */
  scene_tick(&s);
  assert_script(&s, "0 release\n");
  for (int i = 0; i < 3; i++) {
    scene_mark(&s);
    scene_run(&s, ELECTION_TIMEOUT_MS - 1);
    assert_null(memmem(s.script.data, s.script.n, "bind", 4));
    scene_run(&s, ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
    assert_non_null(memmem(s.script.data, s.script.n, "bind: won", 9));
    assert_true(s.holding);
    scene_lose_leader(&s);
    scene_tick(&s);
    assert_false(s.holding);
  }
  scene_close(&s);
}

/* It asks and asks, and its log is not new enough. Where all have come back at other addresses only the
 * holder of this one hears where they are, so it must be another's turn. */
static void a_candidate_that_asks_for_long_lets_another_ask(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_lose_leader(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms);
  scene_tick(&s);
  scene_ask(&s, 3);
  scene_mark(&s);
  scene_run(&s, ELECTION_TIMEOUT_MS - HEARTBEAT_MS);
  assert_true(s.holding);
  scene_run(&s, HEARTBEAT_MS);
  assert_false(s.holding);
  scene_run(&s, ELECTION_TIMEOUT_MS - HEARTBEAT_MS);
  assert_false(s.holding);
  scene_run(&s, ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
  assert_true(s.holding);
  scene_close(&s);
}

/* The end of another stream is news: there is no reason left to rest. */
static void a_new_end_of_stream_wakes_the_resting(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_lose_leader(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms);
  scene_tick(&s);
  scene_lose_leader(&s);
  scene_run(&s, 100);
  scene_follow(&s, 'c', 4);
  scene_run(&s, 100);
  scene_lose_leader(&s);
  scene_mark(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms);
  scene_tick(&s);
  assert_non_null(memmem(s.script.data, s.script.n, "0 bind: won\n0 campaign\n", 23));
  scene_close(&s);
}

/* It was asking already, without the address: there is nothing to begin. */
static void the_address_won_while_asking(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_ask(&s, 3);
  scene_run(&s, 60);
  assert_non_null(memmem(s.script.data, s.script.n, "bind: won", 9));
  assert_null(memmem(s.script.data, s.script.n, "campaign", 8));
  assert_true(s.holding);
  scene_close(&s);
}

static void who_comes_to_follow_lets_go(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  scene_ask(&s, 3);
  scene_run(&s, 60);
  scene_mark(&s);
  scene_follow(&s, 'c', 4);
  scene_tick(&s);
  assert_script(&s, "0 release\n"
                    "0 ACCEPT to c\n");
  scene_close(&s);
}

/* ---- Leaders ---- */

static void a_leader_without_the_address_announces_itself(void **state) {
  (void)state;
  struct scene s;
  open_voter(&s);
  s.address = ADDRESS_TAKEN;
  scene_lead(&s, 4);
  scene_run(&s, 110);
  assert_script(&s, "0 bind: taken\n"
                    "0 CREDENTIALS without token to election\n"
                    "50 bind: taken\n"
                    "50 CREDENTIALS without token to election\n"
                    "100 bind: taken\n"
                    "100 CREDENTIALS without token to election\n");
  s.address = ADDRESS_FREE;
  scene_run(&s, 1000);
  assert_script(&s, "40 bind: won\n");
  scene_close(&s);
}

static void a_leader_that_steps_down_lets_go(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 200);
  scene_configure(&s, "abc", "");
  scene_lead(&s, 1);
  scene_lose_leader(&s);
  scene_mark(&s);
  scene_tick(&s);
  assert_script(&s, "0 release\n"
                    "0 ACCEPT to election\n");
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_fresh_winner_listens_then_founds),
      cmocka_unit_test(the_address_taken_means_accept_at_once),
      cmocka_unit_test(the_next_in_line_wins_and_founds),
      cmocka_unit_test(a_fresh_winner_that_hears_a_leader_joins_it),
      cmocka_unit_test(a_fresh_winner_founds_nothing_beside_an_established_cluster),
      cmocka_unit_test(the_unestablished_keep_nobody_from_founding),
      cmocka_unit_test(an_unestablished_member_with_a_disk_keeps_others_from_founding),
      cmocka_unit_test(a_stopped_process_has_not_listened),
      cmocka_unit_test(clusters_and_new_ids_come_from_the_seed),
      cmocka_unit_test(who_follows_leaves_the_address_alone),
      cmocka_unit_test(who_follows_a_late_leader_lets_the_address_know),
      cmocka_unit_test(a_learner_never_binds),
      cmocka_unit_test(the_end_of_the_stream_makes_eager),
      cmocka_unit_test(the_address_won_means_campaign),
      cmocka_unit_test(a_candidate_that_cannot_win_rests),
      cmocka_unit_test(a_candidate_that_asks_for_long_lets_another_ask),
      cmocka_unit_test(a_new_end_of_stream_wakes_the_resting),
      cmocka_unit_test(the_address_won_while_asking),
      cmocka_unit_test(who_comes_to_follow_lets_go),
      cmocka_unit_test(a_leader_without_the_address_announces_itself),
      cmocka_unit_test(a_leader_that_steps_down_lets_go),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
