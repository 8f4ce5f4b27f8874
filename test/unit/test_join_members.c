/* Goal: which nodes a leader takes in, lets go of and refuses: learners only when their credentials are kept,
 * dead members by removal first and never by a swap, nobody under a living member's name, one change at a
 * time. */
#include "join_scene.h"

#include <stdio.h>

/* a leads b and c since 600 ms, and all are in contact. */
static void open_leader(struct scene *s, bool durable) {
  scene_open(s);
  s->durable = durable;
  scene_run(s, 200);
  scene_configure(s, "abc", "");
  scene_lead(s, 3);
  scene_run(s, ELECTION_TIMEOUT_MS + 100);
  scene_configure(s, "abc", "");
  scene_mark(s);
}

/* All three steps of it. */
static void join_as(struct scene *s, struct voice voice) {
  voice.cluster = 0;
  scene_hear(s, JOIN_ACCEPT, voice);
  voice.cluster = '=';
  scene_hear(s, JOIN_CREDENTIALS, voice);
}

/* ---- In ---- */

static void a_learner_is_added_when_its_credentials_are_kept(void **state) {
  (void)state;
  struct scene s;
  struct join_member info;
  open_leader(&s, false);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd', .memory_storage = true});
  scene_run(&s, 200);
  assert_script(&s, "0 CREDENTIALS to d\n");
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'd', .cluster = '=', .memory_storage = true});
  assert_logged(&s, "step 7");
  assert_script(&s, "0 SAVED to d\n"
                    "0 change +d\n");
  const struct coracle_raft_member *member = coracle_raft_configuration_find(&s.changed, scene_id('d'));
  const struct address udp = scene_udp('d'), http = scene_http('d');
  assert_int_equal(join_member_decode(member, &info), 0);
  assert_string_equal(info.name, "d");
  assert_true(info.memory_storage);
  assert_true(address_equal(&info.udp, &udp));
  assert_true(address_equal(&info.http, &http));
  scene_close(&s);
}

static void several_that_wait_are_added_in_one_change(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  s.situation.raft.configuration_committed = false;
  join_as(&s, (struct voice){.node = 'd'});
  join_as(&s, (struct voice){.node = 'e'});
  scene_mark(&s);
  s.situation.raft.configuration_committed = true;
  scene_tick(&s);
  assert_script(&s, "0 change +d +e\n");
  scene_close(&s);
}

/* One at a time, and none before the leader has committed an entry of its own term (section 4.1, and Ongaro's
 * correction of 2015). */
static void nothing_changes_while_a_change_is_pending_or_the_term_is_new(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  s.situation.raft.configuration_committed = false;
  join_as(&s, (struct voice){.node = 'd'});
  scene_mark(&s);
  scene_tick(&s);
  assert_script(&s, "");
  s.situation.raft.configuration_committed = true;
  s.situation.raft.committed_own_term = false;
  scene_tick(&s);
  assert_script(&s, "");
  s.situation.raft.committed_own_term = true;
  scene_tick(&s);
  assert_script(&s, "0 change +d\n");
  scene_close(&s);
}

/* It would only be removed again. */
static void who_has_gone_meanwhile_is_not_added(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  s.situation.raft.configuration_committed = false;
  join_as(&s, (struct voice){.node = 'd'});
  scene_run(&s, ELECTION_TIMEOUT_MS);
  s.situation.raft.configuration_committed = true;
  scene_mark(&s);
  scene_tick(&s);
  assert_script(&s, "");
  scene_close(&s);
}

static void no_more_are_added_than_there_is_room(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  s.situation.raft.configuration_committed = false;
  for (int node = 'd'; node < 'd' + 20; node++) join_as(&s, (struct voice){.node = node});
  s.situation.raft.configuration_committed = true;
  scene_tick(&s);
  assert_int_equal(s.changed.members_n, CORACLE_RAFT_MEMBERS_MAX);
  scene_close(&s);
}

/* ---- Names ---- */

static void a_living_members_name_or_address_is_taken(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_link(&s, 'c', false); /* that alone is no death: it was heard a moment ago */
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd', .name = "b"});
  assert_string_equal(s.sent.text,
                      "name_taken: the name b or the address 127.0.0.1:8002 belongs to a member that is "
                      "not known to be dead; if it has ended, wait a moment");
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd', .http_port = 8003});
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd', .name = "a"}); /* the leader's own */
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'd', .cluster = '=', .name = "c"});
  scene_run(&s, 200);
  assert_not_logged(&s, "step");
  assert_script(&s, "0 REFUSED to d\n"
                    "0 REFUSED to d\n"
                    "0 REFUSED to d\n"
                    "0 REFUSED to d\n");
  scene_close(&s);
}

/* The member itself, which asks again with every new leader. */
static void a_members_own_name_is_not_taken(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b', .cluster = '='});
  assert_script(&s, "0 CREDENTIALS to b\n");
  scene_close(&s);
}

/* Two newcomers under one name: the first is taken in, the second then finds the name taken. */
static void of_two_newcomers_with_one_name_one_is_added(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  s.situation.raft.configuration_committed = false;
  join_as(&s, (struct voice){.node = 'd', .name = "same"});
  join_as(&s, (struct voice){.node = 'e', .name = "same"});
  join_as(&s, (struct voice){.node = 'f', .http_port = 8004}); /* d's */
  s.situation.raft.configuration_committed = true;
  scene_mark(&s);
  scene_tick(&s);
  assert_script(&s, "0 change +d\n");
  scene_close(&s);
}

/* ---- Out ---- */

static void a_dead_memory_member_is_removed(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_link(&s, 'c', false);
  scene_run(&s, ELECTION_TIMEOUT_MS - 1);
  assert_script(&s, "");
  scene_run(&s, HEARTBEAT_MS);
  assert_logged(&s, "membership: removing c (0000000000000003): it is dead, and its memory storage with it");
  assert_non_null(memmem(s.script.data, s.script.n, "change -c\n", 10));
  scene_close(&s);
}

/* Dead is: no stream, and nothing heard. A stopped process keeps its connections; one whose stream is broken
 * still speaks. */
static void neither_silence_nor_a_broken_stream_alone_is_death(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  s.silent = "c";
  scene_run(&s, 20 * ELECTION_TIMEOUT_MS); /* its stream is open */
  assert_script(&s, "");
  s.silent = NULL;
  scene_link(&s, 'b', false);
  scene_link(&s, 'c', false);
  scene_peer(&s, 'b')->last_contact_ms = s.now_ms;
  for (int i = 0; i < 30; i++) {
    scene_hear(&s, JOIN_SAVED, (struct voice){.node = 'c', .cluster = '='}); /* any datagram */
    scene_peer(&s, 'b')->last_contact_ms = s.now_ms;                         /* or what the core heard */
    scene_run(&s, HEARTBEAT_MS);
  }
  assert_script(&s, "");
  scene_close(&s);
}

/* Who has just come to lead has heard nobody yet. */
static void a_new_leader_waits_an_election_timeout(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_link(&s, 'b', false);
  scene_lose_leader(&s);
  scene_run(&s, 10 * ELECTION_TIMEOUT_MS);
  scene_lead(&s, 9);
  scene_mark(&s);
  scene_run(&s, ELECTION_TIMEOUT_MS - 1);
  assert_null(memmem(s.script.data, s.script.n, "change", 6));
  scene_run(&s, HEARTBEAT_MS);
  assert_non_null(memmem(s.script.data, s.script.n, "change -b\n", 10));
  scene_close(&s);
}

/* It is not the others who were silent. */
static void a_leader_that_was_stopped_listens_first(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_link(&s, 'c', false);
  scene_stop(&s, 10 * ELECTION_TIMEOUT_MS);
  scene_run(&s, ELECTION_TIMEOUT_MS - HEARTBEAT_MS);
  assert_script(&s, "");
  scene_run(&s, 2 * HEARTBEAT_MS);
  assert_logged(&s, "removing c");
  scene_close(&s);
}

/* A durable member may come back any time, so it stays unless another comes in its place. */
static void a_dead_durable_member_is_removed_for_a_successor_only(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, true);
  scene_link(&s, 'c', false);
  scene_run(&s, 10 * ELECTION_TIMEOUT_MS);
  assert_script(&s, "");
  join_as(&s, (struct voice){.node = 'd'}); /* somebody else: no reason to let c go */
  assert_script(&s, "0 CREDENTIALS to d\n"
                    "0 SAVED to d\n"
                    "0 change +d\n");
  scene_configure(&s, "abc", "d");
  scene_link(&s, 'c', false);
  scene_peer(&s, 'c')->last_contact_ms = s.now_ms - ELECTION_TIMEOUT_MS;
  scene_mark(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'e', .name = "c", .http_port = 9000});
  assert_script(&s, "0 CREDENTIALS to e\n"); /* an ACCEPT alone changes nothing */
  scene_hear(&s, JOIN_CREDENTIALS,
             (struct voice){.node = 'e', .cluster = '=', .name = "c", .http_port = 9000});
  assert_logged(&s, "removing c (0000000000000003): it is dead and replaced");
  assert_script(&s, "0 SAVED to e\n"
                    "0 change -c\n"); /* removal first, never a swap */
  /* Only when that is committed does the successor come in. */
  scene_configure(&s, "ab", "d");
  s.situation.raft.configuration_committed = false;
  scene_tick(&s);
  assert_script(&s, "");
  s.situation.raft.configuration_committed = true;
  scene_tick(&s);
  assert_script(&s, "0 change +e\n");
  scene_close(&s);
}

/* Another voter is out of contact, so for now the dead one cannot be done without. Were its successor taken
 * in beside it, nobody would wait for its place any more, it would never be removed, and the successor never
 * get its vote. */
static void a_successor_comes_in_when_its_predecessor_is_out(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, true);
  scene_link(&s, 'b', false);
  scene_link(&s, 'c', false);
  scene_run(&s, 2 * ELECTION_TIMEOUT_MS);
  join_as(&s, (struct voice){.node = 'e', .name = "c"});
  assert_script(&s, "1000 CREDENTIALS to e\n"
                    "1000 SAVED to e\n");
  scene_link(&s, 'b', true);
  scene_peer(&s, 'b')->last_contact_ms = s.now_ms;
  scene_tick(&s);
  assert_script(&s, "0 change -c\n");
  scene_configure(&s, "ab", "");
  scene_tick(&s);
  assert_script(&s, "0 change +e\n");
  scene_close(&s);
}

/* A successor that has gone itself replaces nobody. */
static void a_successor_that_has_gone_replaces_nobody(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, true);
  s.situation.raft.configuration_committed = false;
  scene_link(&s, 'c', false);
  scene_run(&s, ELECTION_TIMEOUT_MS);
  join_as(&s, (struct voice){.node = 'e', .name = "c"});
  scene_run(&s, ELECTION_TIMEOUT_MS);
  s.situation.raft.configuration_committed = true;
  scene_mark(&s);
  scene_tick(&s);
  assert_script(&s, "");
  scene_close(&s);
}

/* Its last datagrams came out of order and long after it had ended. Taken in for the one that came late, it
 * would be found dead and removed, and taken in again, for as long as that is fresh in memory. */
static void a_late_datagram_of_a_dead_member_brings_nobody_back(void **state) {
  (void)state;
  static const struct voice late = {.node = 'c', .cluster = '=', .memory_storage = true};
  struct scene s;
  open_leader(&s, false);
  scene_hear(&s, JOIN_CREDENTIALS, late);
  const uint64_t counter = s.counter;
  scene_link(&s, 'c', false);
  scene_run(&s, 2 * ELECTION_TIMEOUT_MS);
  s.counter = 0;
  scene_hear(&s, JOIN_CREDENTIALS, late);
  s.counter = counter;
  scene_configure(&s, "ab", "");
  scene_mark(&s);
  scene_run(&s, ELECTION_TIMEOUT_MS);
  assert_script(&s, "");
  scene_close(&s);
}

/* The same for memory storage: the new process on the old port waits until the old one is removed. */
static void a_restart_is_a_removal_and_an_addition(void **state) {
  (void)state;
  struct scene s;
  static const struct voice again = {.node = 'd', .name = "c", .http_port = 8003, .memory_storage = true};
  open_leader(&s, false);
  scene_link(&s, 'c', false);
  for (int i = 0; i < 9; i++) {
    scene_mark(&s);
    scene_hear(&s, JOIN_ACCEPT, again);
    assert_script(&s, "0 REFUSED to d\n");
    scene_run(&s, HEARTBEAT_MS);
  }
  scene_run(&s, 2 * HEARTBEAT_MS);
  assert_non_null(memmem(s.script.data, s.script.n, "change -c\n", 10));
  scene_configure(&s, "ab", "");
  scene_mark(&s);
  join_as(&s, again);
  assert_script(&s, "0 CREDENTIALS to d\n"
                    "0 SAVED to d\n"
                    "0 change +d\n");
  scene_close(&s);
}

/* Two of three are out of contact. Were the dead one removed, the other, which may only have been stopped,
 * would be needed for every vote from then on, and the dead one's return would help nobody. */
static void nobody_is_removed_whom_the_rest_cannot_do_without(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_link(&s, 'b', false);
  scene_link(&s, 'c', false);
  scene_run(&s, 10 * ELECTION_TIMEOUT_MS);
  assert_script(&s, "");
  scene_configure(&s, "abcde", ""); /* the same with three of five */
  for (char node = 'c'; node <= 'e'; node++) scene_link(&s, node, false);
  scene_run(&s, 10 * ELECTION_TIMEOUT_MS);
  assert_script(&s, "");
  scene_link(&s, 'd', true); /* d is back */
  scene_run(&s, HEARTBEAT_MS);
  assert_non_null(memmem(s.script.data, s.script.n, "change -c\n", 10));
  /* A learner has no vote, and a leader of two is a majority of what is left. */
  scene_configure(&s, "abcd", "e");
  s.silent = "bcd";
  scene_link(&s, 'e', false);
  scene_run(&s, 2 * ELECTION_TIMEOUT_MS);
  assert_non_null(memmem(s.script.data, s.script.n, "change -e\n", 10));
  scene_mark(&s);
  scene_configure(&s, "ab", "");
  scene_link(&s, 'b', false);
  scene_run(&s, 2 * ELECTION_TIMEOUT_MS);
  assert_non_null(memmem(s.script.data, s.script.n, "change -b\n", 10));
  scene_close(&s);
}

static void one_dead_member_goes_at_a_time(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_configure(&s, "abcde", "");
  scene_link(&s, 'd', false);
  scene_link(&s, 'e', false);
  scene_run(&s, ELECTION_TIMEOUT_MS - 1);
  scene_mark(&s);
  scene_run(&s, HEARTBEAT_MS);
  assert_non_null(memmem(s.script.data, s.script.n, "change -d\n", 10));
  assert_null(memmem(s.script.data, s.script.n, "-e", 2));
  scene_close(&s);
}

/* To a dead member no stream is opened, to a living one again and again. */
static void streams_are_opened_to_the_living(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, true);
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'b', .cluster = '='});
  scene_link(&s, 'b', false);
  scene_mark(&s);
  scene_run(&s, 120);
  assert_non_null(memmem(s.script.data, s.script.n, "link b at 8002\n", 15));
  scene_run(&s, ELECTION_TIMEOUT_MS);
  scene_mark(&s);
  scene_run(&s, 200);
  assert_script(&s, "");
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b', .cluster = '='});
  assert_script(&s, "0 CREDENTIALS to b\n"
                    "0 link b at 8002\n");
  scene_close(&s);
}

static void a_blocked_promotion_is_named_once(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_configure(&s, "abc", "d");
  s.situation.raft.blocked_by = scene_id('c');
  scene_tick(&s);
  assert_logged(&s, "a learner waits for its vote until c is in contact or removed");
  scene_mark(&s);
  scene_run(&s, 200);
  assert_not_logged(&s, "waits");
  s.situation.raft.blocked_by = 0;
  scene_tick(&s);
  s.situation.raft.blocked_by = scene_id('c');
  scene_tick(&s);
  assert_logged(&s, "waits");
  scene_close(&s);
}

static void who_does_not_lead_changes_nothing(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s, false);
  scene_link(&s, 'c', false);
  scene_follow(&s, 'b', 4);
  scene_run(&s, 10 * ELECTION_TIMEOUT_MS);
  assert_null(memmem(s.script.data, s.script.n, "change", 6));
  assert_null(memmem(s.script.data, s.script.n, "link", 4));
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_learner_is_added_when_its_credentials_are_kept),
      cmocka_unit_test(several_that_wait_are_added_in_one_change),
      cmocka_unit_test(nothing_changes_while_a_change_is_pending_or_the_term_is_new),
      cmocka_unit_test(who_has_gone_meanwhile_is_not_added),
      cmocka_unit_test(no_more_are_added_than_there_is_room),
      cmocka_unit_test(a_living_members_name_or_address_is_taken),
      cmocka_unit_test(a_members_own_name_is_not_taken),
      cmocka_unit_test(of_two_newcomers_with_one_name_one_is_added),
      cmocka_unit_test(a_dead_memory_member_is_removed),
      cmocka_unit_test(neither_silence_nor_a_broken_stream_alone_is_death),
      cmocka_unit_test(a_new_leader_waits_an_election_timeout),
      cmocka_unit_test(a_leader_that_was_stopped_listens_first),
      cmocka_unit_test(a_dead_durable_member_is_removed_for_a_successor_only),
      cmocka_unit_test(a_successor_comes_in_when_its_predecessor_is_out),
      cmocka_unit_test(a_successor_that_has_gone_replaces_nobody),
      cmocka_unit_test(a_late_datagram_of_a_dead_member_brings_nobody_back),
      cmocka_unit_test(a_restart_is_a_removal_and_an_addition),
      cmocka_unit_test(nobody_is_removed_whom_the_rest_cannot_do_without),
      cmocka_unit_test(one_dead_member_goes_at_a_time),
      cmocka_unit_test(streams_are_opened_to_the_living),
      cmocka_unit_test(a_blocked_promotion_is_named_once),
      cmocka_unit_test(who_does_not_lead_changes_nothing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
