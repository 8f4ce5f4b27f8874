/* Goal: a node that comes back with what it had. It starts as the member that it was: asks for votes if it
 * may, looks for its leader otherwise, says why there is none; and where it comes back at other addresses, or
 * all do, the leader finds that out and has it logged. */
#include "join_scene.h"

#include <stdio.h>

static void open_restored(struct scene *s, const char *voters, const char *learners) {
  struct join_options options = scene_options();
  memset(options.cluster, 'x', sizeof options.cluster);
  options.memory_storage = false;
  scene_open_with(s, &options);
  scene_configure(s, voters, learners);
  for (size_t i = 0; i < s->situation.raft.peers_n; i++) {
    struct coracle_raft_peer_status *peer = &s->situation.raft.peers[i];
    if (peer->id != 1) peer->link = false, peer->last_contact_ms = 0;
  }
}

/* ---- The node itself ---- */

static void a_voter_that_wins_the_address_asks_for_votes(void **state) {
  (void)state;
  struct scene s;
  open_restored(&s, "abc", "");
  scene_run(&s, 0);
  assert_logged(&s, "step 2: won the election address 127.0.0.1:8000; asking for votes");
  assert_script(&s, "0 bind: won\n"
                    "0 campaign\n");
  scene_close(&s);
}

static void a_voter_that_does_not_win_it_looks_for_the_leader(void **state) {
  (void)state;
  static const struct voice leader = {
      .node = 'b', .cluster = 'x', .term = 3, .established = true, .leader = true};
  struct scene s;
  open_restored(&s, "abc", "");
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 0);
  assert_script(&s, "0 bind: taken\n"
                    "0 ACCEPT to election\n");
  assert_true(s.sent.card.established);
  assert_false(s.sent.card.memory_storage);
  scene_configure(&s, "abc", "");
  scene_follow(&s, 'b', 3); /* the leader knows now where it is */
  scene_tick(&s);
  assert_script(&s, "0 ACCEPT to b\n");
  scene_hear(&s, JOIN_CREDENTIALS, leader);
  scene_hear(&s, JOIN_SAVED, leader);
  assert_logged(&s, "step 7: b saved our credentials");
  assert_script(&s, "0 CREDENTIALS to b\n"
                    "0 open http\n");
  assert_int_equal(join_id(s.join), 1);
  scene_close(&s);
}

/* Only voters may ask for votes. */
static void a_learner_leaves_the_address_alone(void **state) {
  (void)state;
  struct scene s;
  open_restored(&s, "bc", "a");
  scene_run(&s, 60);
  assert_script(&s, "0 ACCEPT to election\n"
                    "50 ACCEPT to election\n");
  scene_close(&s);
}

/* Everybody has come back at new ports: the leader's heartbeats go astray, and its announcement finds this
 * node at the address alone. */
static void a_member_at_the_address_answers_its_leaders_announcement(void **state) {
  (void)state;
  static const struct voice announcement = {
      .node = 'b', .cluster = 'x', .term = 3, .established = true, .leader = true, .announces = true};
  struct scene s;
  open_restored(&s, "abc", "");
  scene_run(&s, 0);
  scene_mark(&s);
  scene_hear(&s, JOIN_CREDENTIALS, announcement);
  assert_script(&s, "0 ACCEPT to b\n");
  scene_follow(&s, 'b', 3);
  scene_tick(&s);
  scene_mark(&s);
  scene_hear(&s, JOIN_CREDENTIALS, announcement); /* it is heard: nothing more is needed */
  assert_script(&s, "");
  scene_close(&s);
}

static void without_a_leader_http_opens_all_the_same_and_says_why(void **state) {
  (void)state;
  struct scene s;
  open_restored(&s, "abc", "");
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 2 * ELECTION_TIMEOUT_MS - 1);
  assert_null(memmem(s.script.data, s.script.n, "open http", 9));
  scene_run(&s, HEARTBEAT_MS);
  assert_non_null(memmem(s.script.data, s.script.n, "open http", 9));
  assert_string_equal(join_no_leader_reason(s.join, &s.situation, s.now_ms),
                      "need 2 of 3 voters, reached 1; b silent for 1.0 s; c silent for 1.0 s. What they have "
                      "is on their disks: start them again (if the disks are lost for good, see 'coracle recover "
                      "--help')");
  scene_close(&s);
}

/* It had founded a cluster that nobody joined, and meanwhile there is another. */
static void a_founder_that_was_left_alone_yields_to_an_established_cluster(void **state) {
  (void)state;
  struct scene s;
  open_restored(&s, "a", "");
  scene_run(&s, 0);
  scene_lead(&s, 2);
  scene_tick(&s);
  scene_mark(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b', .cluster = 'y', .established = true});
  assert_logged(&s, "starting afresh");
  assert_int_not_equal(join_id(s.join), 1);
  assert_int_equal(join_cluster(s.join)[0], 0);
  scene_close(&s);
}

/* ---- Its leader ---- */

/* a leads b and c, all durable, and in contact. */
static void open_leader(struct scene *s) {
  open_restored(s, "abc", "");
  scene_run(s, 0);
  scene_configure(s, "abc", "");
  scene_lead(s, 3);
  scene_run(s, ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
  scene_configure(s, "abc", "");
  scene_mark(s);
}

static struct join_member member(const struct scene *s, char node) {
  struct join_member info;
  const struct coracle_raft_member *found = coracle_raft_configuration_find(&s->changed, scene_id(node));
  assert_non_null(found);
  assert_true(found->voter);
  assert_int_equal(join_member_decode(found, &info), 0);
  return info;
}

/* What was changed is what is in force now. */
static void commit(struct scene *s) {
  s->configuration = s->changed;
  s->situation.raft.configuration_index++;
  scene_mark(s);
  scene_tick(s);
}

static void a_members_new_http_address_is_logged(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b', .cluster = '=', .http_port = 8102});
  assert_logged(&s, "membership: b is b now, http 127.0.0.1:8102, udp 127.0.0.1:7002");
  assert_script(&s, "0 CREDENTIALS to b\n"
                    "0 change\n"); /* nobody comes or goes */
  assert_int_equal(s.changed.members_n, 3);
  assert_int_equal(member(&s, 'b').http.port, 8102);
  assert_false(member(&s, 'b').memory_storage);
  assert_int_equal(member(&s, 'c').http.port, 8003);
  commit(&s);
  scene_run(&s, 1000);
  assert_script(&s, "");
  scene_close(&s);
}

/* Any datagram tells where its sender is, and the newest counts. */
static void a_members_new_udp_address_is_logged(void **state) {
  (void)state;
  struct scene s;
  const struct address moved = scene_udp('m');
  struct address found;
  open_leader(&s);
  join_heard(s.join, scene_id('c'), &moved, 2, 1, true, s.now_ms);
  assert_true(join_find_address(s.join, &s.situation, scene_id('c'), &found));
  assert_true(address_equal(&found, &moved)); /* at once; the log follows */
  scene_tick(&s);
  assert_script(&s, "0 change\n");
  const struct join_member c = member(&s, 'c');
  assert_true(address_equal(&c.udp, &moved));
  commit(&s);
  assert_script(&s, "");
  scene_close(&s);
}

static void a_leader_logs_where_it_is_itself(void **state) {
  (void)state;
  struct scene s;
  struct join_options options = scene_options();
  memset(options.cluster, 'x', sizeof options.cluster);
  options.memory_storage = false;
  options.http.port = 8111;
  options.udp.port = 7011;
  options.name = "new";
  scene_open_with(&s, &options);
  scene_configure(&s, "abc", "");
  scene_lead(&s, 3);
  scene_tick(&s);
  assert_logged(&s, "membership: a is new now, http 127.0.0.1:8111, udp 127.0.0.1:7011");
  assert_string_equal(member(&s, 'a').name, "new");
  scene_close(&s);
}

/* Before it has committed an entry of its term, and while another change is pending, it waits. */
static void a_move_waits_its_turn(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  s.situation.raft.committed_own_term = false;
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b', .cluster = '=', .http_port = 8102});
  assert_script(&s, "0 CREDENTIALS to b\n");
  s.situation.raft.committed_own_term = true;
  s.situation.raft.configuration_committed = false;
  scene_tick(&s);
  assert_script(&s, "");
  s.situation.raft.configuration_committed = true;
  scene_tick(&s);
  assert_script(&s, "0 change\n");
  scene_close(&s);
}

/* All three were started again without options, and the race for the ports went another way this time. Each
 * is where the log has another: were they refused for that, nobody would ever be let in. */
static void members_that_changed_places_are_let_in(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b', .cluster = '=', .name = "c", .http_port = 8003});
  assert_script(&s, "0 CREDENTIALS to b\n"
                    "0 change\n");
  assert_string_equal(member(&s, 'b').name, "b"); /* for all that is known c is still called c */
  assert_int_equal(member(&s, 'b').http.port, 8003);
  commit(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = '=', .name = "b", .http_port = 8002});
  assert_script(&s, "0 CREDENTIALS to c\n"
                    "0 change\n");
  assert_string_equal(member(&s, 'b').name, "c");
  assert_string_equal(member(&s, 'c').name, "b");
  assert_int_equal(member(&s, 'c').http.port, 8002);
  commit(&s);
  assert_script(&s, "");
  scene_close(&s);
}

/* It keeps the name that the log has for it, for good. */
static void a_member_cannot_take_anothers_name(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  for (int i = 0; i < 3; i++)
    scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b', .cluster = '=', .name = "a"});
  assert_script(&s, "0 CREDENTIALS to b\n"
                    "0 CREDENTIALS to b\n"
                    "0 CREDENTIALS to b\n");
  scene_close(&s);
}

/* The stream goes where the newest handshake says. */
static void the_stream_goes_to_the_new_address(void **state) {
  (void)state;
  static const struct voice moved = {.node = 'b', .cluster = '=', .http_port = 8102};
  struct scene s;
  open_leader(&s);
  s.situation.raft.configuration_committed = false;
  scene_link(&s, 'b', false);
  scene_hear(&s, JOIN_ACCEPT, moved);
  scene_hear(&s, JOIN_CREDENTIALS, moved);
  assert_script(&s, "0 CREDENTIALS to b\n"
                    "0 SAVED to b\n"
                    "0 link b at 8102\n");
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_voter_that_wins_the_address_asks_for_votes),
      cmocka_unit_test(a_voter_that_does_not_win_it_looks_for_the_leader),
      cmocka_unit_test(a_learner_leaves_the_address_alone),
      cmocka_unit_test(a_member_at_the_address_answers_its_leaders_announcement),
      cmocka_unit_test(without_a_leader_http_opens_all_the_same_and_says_why),
      cmocka_unit_test(a_founder_that_was_left_alone_yields_to_an_established_cluster),
      cmocka_unit_test(a_members_new_http_address_is_logged),
      cmocka_unit_test(a_members_new_udp_address_is_logged),
      cmocka_unit_test(a_leader_logs_where_it_is_itself),
      cmocka_unit_test(a_move_waits_its_turn),
      cmocka_unit_test(members_that_changed_places_are_let_in),
      cmocka_unit_test(a_member_cannot_take_anothers_name),
      cmocka_unit_test(the_stream_goes_to_the_new_address),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
