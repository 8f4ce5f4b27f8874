/* Goal: steps 4 to 7, both sides. Everything is answered at once, resent every heartbeat while it is not, may
 * come twice, and runs again with every new leader; a step is logged once. */
#include "join_scene.h"

/* ---- The follower's side ---- */

static const struct voice leader = {
    .node = 'b', .cluster = 'x', .term = 3, .established = true, .leader = true};

static void open_fresh_follower(struct scene *s) {
  scene_open(s);
  s->address = ADDRESS_TAKEN;
  scene_run(s, 0);
  scene_mark(s);
}

static void the_handshake_of_a_fresh_follower(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 0);
  assert_logged(&s, "step 1: trying to bind the election address 127.0.0.1:8000");
  assert_logged(&s, "step 3: 127.0.0.1:8000 is taken; following");
  assert_logged(&s, "step 4: sent ACCEPT to 127.0.0.1:8000");
  assert_script(&s, "0 bind: taken\n"
                    "0 ACCEPT to election\n");
  assert_null(join_leader_token(s.join, scene_id('b')));
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  assert_logged(&s, "step 5: CREDENTIALS from b: http 127.0.0.1:8002, term 3");
  assert_logged(&s, "step 6: sent CREDENTIALS to b: http 127.0.0.1:8001");
  assert_script(&s, "0 adopt x\n"
                    "0 CREDENTIALS to b\n");
  assert_true(s.sent.has_token);
  assert_int_equal(s.sent.token[0], 1);
  assert_non_null(join_leader_token(s.join, scene_id('b')));
  assert_int_equal(join_leader_token(s.join, scene_id('b'))[0], 2);
  assert_null(join_leader_token(s.join, scene_id('c')));
  scene_hear(&s, JOIN_SAVED, leader);
  assert_logged(&s, "step 7: b saved our credentials");
  assert_logged(&s, "step 8: HTTP open on 127.0.0.1:8001");
  assert_script(&s, "0 open http\n");
  scene_close(&s);
}

static void accept_is_resent_until_credentials_come(void **state) {
  (void)state;
  struct scene s;
  open_fresh_follower(&s);
  scene_run(&s, 20 * HEARTBEAT_MS);
  unsigned accepts = 0;
  bytes_append(&s.script, "", 1);
  for (const char *at = (const char *)s.script.data; (at = strstr(at, "ACCEPT")) != NULL; at++) accepts++;
  assert_int_equal(accepts, 20);
  assert_not_logged(&s, "step 4"); /* it was said the first time */
  scene_close(&s);
}

static void credentials_are_resent_until_saved(void **state) {
  (void)state;
  struct scene s;
  open_fresh_follower(&s);
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  scene_follow(&s, 'b', 3); /* its heartbeats arrive */
  scene_mark(&s);
  scene_run(&s, 110);
  assert_not_logged(&s, "step");
  assert_script(&s, "50 CREDENTIALS to b\n"
                    "100 CREDENTIALS to b\n");
  scene_hear(&s, JOIN_SAVED, leader);
  scene_run(&s, 2000);
  assert_script(&s, "0 open http\n");
  scene_close(&s);
}

/* Before it is a member it hears no heartbeats, so it asks on, in case the leader has forgotten it. */
static void who_is_saved_but_hears_no_leader_asks_on(void **state) {
  (void)state;
  struct scene s;
  open_fresh_follower(&s);
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  scene_hear(&s, JOIN_SAVED, leader);
  scene_mark(&s);
  scene_run(&s, 60);
  assert_script(&s, "50 ACCEPT to election\n");
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  assert_not_logged(&s, "step"); /* nothing new */
  assert_script(&s, "0 CREDENTIALS to b\n");
  scene_close(&s);
}

/* Twice the same, as datagrams may. */
static void duplicates_do_no_harm(void **state) {
  (void)state;
  struct scene s;
  open_fresh_follower(&s);
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  scene_hear(&s, JOIN_SAVED, leader);
  scene_hear(&s, JOIN_SAVED, leader);
  assert_script(&s, "0 adopt x\n"
                    "0 CREDENTIALS to b\n"
                    "0 CREDENTIALS to b\n"
                    "0 open http\n");
  scene_close(&s);
}

static void saved_by_somebody_else_is_not_saved(void **state) {
  (void)state;
  struct scene s;
  open_fresh_follower(&s);
  scene_hear(&s, JOIN_SAVED, leader); /* before any credentials */
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  scene_hear(&s, JOIN_SAVED, (struct voice){.node = 'c', .cluster = 'x', .term = 3});
  scene_hear(&s, JOIN_SAVED, (struct voice){.node = 'b', .cluster = 'y', .term = 3});
  assert_not_logged(&s, "step 7");
  scene_hear(&s, JOIN_SAVED, leader);
  assert_logged(&s, "step 7");
  scene_close(&s);
}

/* It was started again with its disk, under its old id, while the answers to its former self were still on
 * their way: they are no answers to what it says now, with another token. Found by a storm in
 * test_node_peers.c. */
static void what_was_saved_of_an_earlier_start_is_not_saved(void **state) {
  (void)state;
  struct scene s;
  struct voice late = leader;
  open_fresh_follower(&s);
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  late.round = 2;
  scene_hear(&s, JOIN_SAVED, late);
  assert_not_logged(&s, "step 7");
  scene_follow(&s, 'b', 3);
  scene_mark(&s);
  scene_run(&s, HEARTBEAT_MS);
  assert_script(&s, "50 CREDENTIALS to b\n");
  scene_hear(&s, JOIN_SAVED, leader);
  assert_logged(&s, "step 7");
  scene_close(&s);
}

static void open_member(struct scene *s) {
  open_fresh_follower(s);
  scene_hear(s, JOIN_CREDENTIALS, leader);
  scene_configure(s, "abc", "");
  scene_follow(s, 'b', 3);
  scene_hear(s, JOIN_SAVED, leader);
  scene_mark(s);
}

static void it_runs_again_with_every_new_leader(void **state) {
  (void)state;
  static const struct voice new_leader = {
      .node = 'c', .cluster = 'x', .term = 4, .established = true, .leader = true};
  struct scene s;
  open_member(&s);
  scene_lose_leader(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms);
  scene_tick(&s);
  scene_follow(&s, 'c', 4);
  scene_mark(&s);
  scene_tick(&s);
  assert_script(&s, "0 ACCEPT to c\n"); /* straight there: its heartbeat has told where it is */
  assert_null(join_leader_token(s.join, scene_id('b')));
  scene_run(&s, 50);
  assert_script(&s, "50 ACCEPT to c\n");
  scene_hear(&s, JOIN_CREDENTIALS, new_leader);
  scene_hear(&s, JOIN_SAVED, new_leader);
  assert_logged(&s, "step 7: c saved our credentials");
  assert_script(&s, "0 CREDENTIALS to c\n");
  assert_int_equal(join_leader_token(s.join, scene_id('c'))[0], 3);
  scene_close(&s);
}

/* The same leader, elected again. */
static void it_runs_again_with_a_new_term(void **state) {
  (void)state;
  struct scene s;
  open_member(&s);
  scene_follow(&s, 'b', 5);
  scene_tick(&s);
  assert_script(&s, "0 ACCEPT to b\n");
  scene_close(&s);
}

/* A stream that was cut, and a leader that lives on: it may have lost the token with the stream. */
static void it_runs_again_after_the_stream_ended(void **state) {
  (void)state;
  struct scene s;
  open_member(&s);
  join_stream_ended(s.join, &s.situation, s.now_ms); /* and a heartbeat came right after */
  scene_tick(&s);
  assert_script(&s, "0 ACCEPT to b\n");
  scene_close(&s);
}

static void leaders_of_the_past_and_of_other_clusters_are_no_leaders(void **state) {
  (void)state;
  struct scene s;
  open_member(&s);
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = 'x', .term = 2, .leader = true});
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = 'x', .term = 3, .leader = true});
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = 'y', .term = 9, .leader = true});
  assert_script(&s, "");
  assert_null(join_leader_token(s.join, scene_id('c')));
  assert_int_equal(join_leader_token(s.join, scene_id('b'))[0], 2);
  scene_close(&s);
}

static void a_refusal_is_logged_once_and_asked_again(void **state) {
  (void)state;
  struct scene s;
  open_fresh_follower(&s);
  scene_hear(&s, JOIN_REFUSED, leader);
  assert_logged(&s, "the leader refuses this node: name_taken");
  scene_mark(&s);
  scene_run(&s, 50);
  scene_hear(&s, JOIN_REFUSED, leader);
  assert_not_logged(&s, "refuses");
  assert_script(&s, "50 bind: taken\n"
                    "50 ACCEPT to election\n");
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  assert_script(&s, "0 adopt x\n"
                    "0 CREDENTIALS to b\n");
  scene_close(&s);
}

/* ---- The leader's side ---- */

static const struct voice newcomer = {.node = 'd', .memory_storage = true};
static const struct voice follower = {.node = 'd', .cluster = '=', .term = 1, .memory_storage = true};

static void open_leader(struct scene *s) {
  scene_open(s);
  scene_run(s, 200);
  scene_configure(s, "abc", "");
  scene_lead(s, 3);
  scene_tick(s);
  scene_mark(s);
}

static void the_handshake_of_a_leader(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_ACCEPT, newcomer);
  assert_logged(&s, "step 4: ACCEPT from d (0000000000000004)");
  assert_logged(&s, "step 5: sent CREDENTIALS to d: http 127.0.0.1:8001, term 3");
  assert_script(&s, "0 CREDENTIALS to d\n");
  assert_true(s.sent.card.leader);
  assert_int_equal(s.sent.token[0], 1);
  scene_hear(&s, JOIN_CREDENTIALS, follower);
  assert_logged(&s, "step 6: CREDENTIALS from d: http 127.0.0.1:8004");
  assert_logged(&s, "step 7: saved d's credentials");
  assert_script(&s, "0 SAVED to d\n"
                    "0 change +d\n");
  assert_int_equal(s.sent.round, 3); /* of which start */
  scene_close(&s);
}

/* What was lost is sent again: the leader answers each time, and logs it once. */
static void every_copy_is_answered(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  s.situation.raft.configuration_committed = false; /* no change meanwhile */
  for (int i = 0; i < 3; i++) {
    scene_hear(&s, JOIN_ACCEPT, newcomer);
    assert_script(&s, "0 CREDENTIALS to d\n");
  }
  for (int i = 0; i < 3; i++) {
    scene_hear(&s, JOIN_CREDENTIALS, follower);
    if (i > 0) assert_not_logged(&s, "step");
    assert_script(&s, "0 SAVED to d\n");
  }
  scene_close(&s);
}

/* Step 7: the token that a member gave opens the stream to it, and only one stream. */
static void a_members_token_opens_its_stream(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_link(&s, 'c', false);
  scene_tick(&s);
  assert_script(&s, ""); /* without its token there is nothing to show */
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = '='});
  assert_script(&s, "0 CREDENTIALS to c\n");
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = '='});
  assert_script(&s, "0 SAVED to c\n"
                    "0 link c at 8003\n");
  scene_link(&s, 'c', true);
  scene_run(&s, 200);
  assert_script(&s, "");
  scene_link(&s, 'c', false);
  scene_tick(&s);
  assert_script(&s, "0 link c at 8003\n");
  scene_close(&s);
}

static void a_refused_token_is_not_shown_again(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_link(&s, 'c', false);
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = '='});
  scene_mark(&s);
  uint8_t token[JOIN_TOKEN_BYTES];
  memset(token, (int)scene_id('c'), sizeof token);
  join_token_refused(s.join, scene_id('c'), token);
  scene_run(&s, 200);
  assert_script(&s, "");
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = '='});
  assert_script(&s, "0 SAVED to c\n"
                    "0 link c at 8003\n");
  scene_close(&s);
}

/* The stream was asked for with the token of the process before; this one's has come meanwhile. */
static void a_new_token_is_not_refused_with_the_old_one(void **state) {
  (void)state;
  struct scene s;
  const uint8_t old[JOIN_TOKEN_BYTES] = {7};
  open_leader(&s);
  scene_link(&s, 'c', false);
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = '='});
  scene_mark(&s);
  join_token_refused(s.join, scene_id('c'), old);
  scene_tick(&s);
  assert_script(&s, "0 link c at 8003\n");
  scene_close(&s);
}

/* Tokens belong to the term whose handshake brought them. */
static void a_new_term_begins_with_no_tokens(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = '='});
  scene_run(&s, 2 * HEARTBEAT_MS);
  scene_lead(&s, 4);
  scene_link(&s, 'c', false);
  scene_mark(&s);
  scene_run(&s, 100);
  assert_script(&s, "");
  scene_close(&s);
}

/* Who was told "not yet" need not ask again: all who wait for a founder join it at the same moment. */
static void who_asked_before_there_was_a_leader_is_answered_now(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 100);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c'}); /* and not again: it has gone */
  scene_run(&s, 95);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b'});
  scene_hear(&s, JOIN_ACCEPT, /* another cluster's */
             (struct voice){.node = 'd', .cluster = 'x', .memory_storage = true});
  scene_mark(&s);
  scene_run(&s, 50);
  assert_logged(&s, "step 4: ACCEPT from b");
  assert_script(&s, "50 found\n"
                    "50 open http\n"
                    "50 CREDENTIALS to b\n");
  /* The same for one that had to win votes first. */
  scene_configure(&s, "abc", "");
  scene_ask(&s, 1);
  scene_tick(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'e'});
  assert_int_equal(s.sent.type, JOIN_NOT_YET);
  scene_mark(&s);
  scene_lead(&s, 2);
  scene_tick(&s);
  assert_script(&s, "0 CREDENTIALS to b\n"
                    "0 CREDENTIALS to e\n");
  scene_close(&s);
}

/* A node of another cluster gets no token, but hears that this one exists. */
static void an_accept_from_another_cluster_is_told_of_this_one(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd', .cluster = 'x'});
  assert_false(s.sent.has_token);
  assert_script(&s, "0 CREDENTIALS without token to d\n");
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'd', .cluster = 'x'});
  scene_hear(&s, JOIN_CREDENTIALS, newcomer);
  assert_script(&s, "");
  scene_close(&s);
}

static void who_does_not_lead_saves_nothing(void **state) {
  (void)state;
  struct scene s;
  open_member(&s);
  scene_hear(&s, JOIN_ACCEPT, newcomer);
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'd', .cluster = 'x'});
  assert_script(&s, "");
  scene_close(&s);
}

/* A flood of strangers' ACCEPTs must not push out the members' tokens: they do not send them again. */
static void a_flood_of_strangers_costs_no_member_its_token(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'b', .cluster = '='});
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'c', .cluster = '='});
  scene_run(&s, 100);
  for (int node = 'd'; node < 'd' + 100; node++) scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = node});
  scene_link(&s, 'b', false);
  scene_link(&s, 'c', false);
  scene_mark(&s);
  scene_tick(&s);
  assert_script(&s, "0 link b at 8002\n"
                    "0 link c at 8003\n");
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_handshake_of_a_fresh_follower),
      cmocka_unit_test(accept_is_resent_until_credentials_come),
      cmocka_unit_test(credentials_are_resent_until_saved),
      cmocka_unit_test(who_is_saved_but_hears_no_leader_asks_on),
      cmocka_unit_test(duplicates_do_no_harm),
      cmocka_unit_test(saved_by_somebody_else_is_not_saved),
      cmocka_unit_test(what_was_saved_of_an_earlier_start_is_not_saved),
      cmocka_unit_test(it_runs_again_with_every_new_leader),
      cmocka_unit_test(it_runs_again_with_a_new_term),
      cmocka_unit_test(it_runs_again_after_the_stream_ended),
      cmocka_unit_test(leaders_of_the_past_and_of_other_clusters_are_no_leaders),
      cmocka_unit_test(a_refusal_is_logged_once_and_asked_again),
      cmocka_unit_test(the_handshake_of_a_leader),
      cmocka_unit_test(every_copy_is_answered),
      cmocka_unit_test(a_members_token_opens_its_stream),
      cmocka_unit_test(a_refused_token_is_not_shown_again),
      cmocka_unit_test(a_new_token_is_not_refused_with_the_old_one),
      cmocka_unit_test(a_new_term_begins_with_no_tokens),
      cmocka_unit_test(who_asked_before_there_was_a_leader_is_answered_now),
      cmocka_unit_test(an_accept_from_another_cluster_is_told_of_this_one),
      cmocka_unit_test(who_does_not_lead_saves_nothing),
      cmocka_unit_test(a_flood_of_strangers_costs_no_member_its_token),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
