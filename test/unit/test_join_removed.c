/* Goal: a node that was removed from its cluster and comes back with the disk it had is told so, and stays
 * out; and nobody is told so who was merely not taken in, or whose memory was given up too soon. */
#include "join_scene.h"

#include <stdio.h>

static bool did(const struct scene *s, const char *what) {
  return s->script.n > 0 && memmem(s->script.data, s->script.n, what, strlen(what)) != NULL;
}

static void open_durable(struct scene *s, const char *voters, const char *learners) {
  struct join_options options = scene_options();
  memset(options.cluster, 'x', sizeof options.cluster);
  options.memory_storage = false;
  scene_open_with(s, &options);
  scene_configure(s, voters, learners);
}

/* ---- The leader ---- */

static void open_leader(struct scene *s) {
  open_durable(s, "abc", "");
  scene_lead(s, 3);
  scene_tick(s);
  scene_mark(s);
}

static void who_was_a_member_and_is_none_was_removed(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd', .cluster = '=', .was_member = true});
  assert_script(&s, "0 REMOVED to d\n");
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = '=', .was_member = true});
  assert_script(&s, "0 CREDENTIALS to c\n");
  scene_close(&s);
}

/* It was told of the cluster, and perhaps added, when the leader fell: no configuration that lasted had it.
 */
static void who_never_was_a_member_is_taken_in(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd', .cluster = '='});
  assert_script(&s, "0 CREDENTIALS to d\n");
  scene_close(&s);
}

/* Silent is not dead, and a log in memory is as good as any while its process lives. */
static void a_memory_member_is_taken_back(void **state) {
  (void)state;
  struct scene s;
  open_leader(&s);
  scene_hear(&s, JOIN_ACCEPT,
             (struct voice){.node = 'd', .cluster = '=', .was_member = true, .memory_storage = true});
  assert_script(&s, "0 CREDENTIALS to d\n");
  scene_close(&s);
}

/* A removal that is not committed may yet be undone, and so may what a new leader finds in its log. */
static void nobody_is_told_before_it_is_certain(void **state) {
  (void)state;
  static const struct voice removed = {.node = 'd', .cluster = '=', .was_member = true};
  struct scene s;
  open_leader(&s);
  s.situation.raft.configuration_committed = false;
  scene_hear(&s, JOIN_ACCEPT, removed);
  s.situation.raft.configuration_committed = true;
  s.situation.raft.committed_own_term = false;
  scene_hear(&s, JOIN_ACCEPT, removed);
  assert_script(&s, "");
  s.situation.raft.committed_own_term = true;
  scene_hear(&s, JOIN_ACCEPT, removed);
  assert_script(&s, "0 REMOVED to d\n");
  scene_close(&s);
}

/* ---- The node ---- */

static bool says_it_was_member(struct scene *s) {
  scene_run(s, 60);
  assert_int_equal(s->sent.type, JOIN_ACCEPT);
  return s->sent.card.was_member;
}

static void a_node_says_what_it_was(void **state) {
  (void)state;
  struct scene s;
  open_durable(&s, "abc", "");
  s.address = ADDRESS_TAKEN;
  assert_true(says_it_was_member(&s));
  scene_close(&s);
  open_durable(&s, "bc", "a");
  assert_true(says_it_was_member(&s));
  scene_close(&s);
  open_durable(&s, "bc", ""); /* adopted, and nothing more */
  assert_false(says_it_was_member(&s));
  scene_close(&s);
  open_durable(&s, "bc", ""); /* it led, and removed itself */
  s.situation.raft.voted_for = 1;
  assert_true(says_it_was_member(&s));
  scene_close(&s);
  scene_open(&s);
  s.address = ADDRESS_TAKEN;
  s.situation.raft.voted_for = 1; /* of a core that has not started */
  assert_false(says_it_was_member(&s));
  scene_close(&s);
}

static void a_removed_node_stays_out(void **state) {
  (void)state;
  struct scene s;
  open_durable(&s, "abc", "");
  scene_run(&s, 0);
  assert_true(s.holding);
  scene_mark(&s);
  scene_hear(&s, JOIN_REMOVED, (struct voice){.node = 'b', .cluster = 'x', .term = 7});
  assert_true(join_is_removed(s.join));
  assert_logged(&s,
                "this node was removed from cluster 78787878787878787878787878787878 and stays out: to join "
                "again as a new one, stop it, delete its data directory and start it");
  assert_script(&s, "0 release\n");
  scene_lose_leader(&s);
  scene_run(&s, 20 * ELECTION_TIMEOUT_MS);
  assert_false(did(&s, "bind"));
  assert_false(did(&s, "campaign"));
  assert_false(did(&s, "ACCEPT"));
  assert_true(did(&s, "open http")); /* to say why */
  assert_string_equal(
      join_no_leader_reason(s.join, &s.situation, s.now_ms),
      "this node was removed from its cluster and stays out: to join again as a new one, stop "
      "it, delete its data directory and start it");
  scene_mark(&s);
  scene_hear(&s, JOIN_REMOVED, (struct voice){.node = 'b', .cluster = 'x', .term = 7});
  assert_not_logged(&s, "removed");
  scene_close(&s);
}

/* It slept while this node was taken in. And whatever it was told, who hears a leader is a member. */
static void a_leader_of_the_past_removes_nobody(void **state) {
  (void)state;
  struct scene s;
  open_durable(&s, "abc", "");
  scene_run(&s, 0);
  s.situation.raft.term = 8;
  scene_hear(&s, JOIN_REMOVED, (struct voice){.node = 'b', .cluster = 'x', .term = 7});
  assert_false(join_is_removed(s.join));
  scene_hear(&s, JOIN_REMOVED, (struct voice){.node = 'b', .cluster = 'x', .term = 8});
  assert_true(join_is_removed(s.join));
  scene_follow(&s, 'c', 9);
  scene_tick(&s);
  assert_false(join_is_removed(s.join));
  scene_close(&s);
}

static void others_removals_are_no_affair_of_this_node(void **state) {
  (void)state;
  struct scene s;
  open_durable(&s, "abc", "");
  scene_run(&s, 0);
  scene_hear(&s, JOIN_REMOVED, (struct voice){.node = 'b', .cluster = 'y'});
  assert_false(join_is_removed(s.join));
  scene_follow(&s, 'b', 3); /* its leader would not keep it company */
  scene_hear(&s, JOIN_REMOVED, (struct voice){.node = 'c', .cluster = 'x'});
  assert_false(join_is_removed(s.join));
  scene_close(&s);
  scene_open(&s);
  scene_run(&s, 0);
  scene_hear(&s, JOIN_REMOVED, (struct voice){.node = 'b'});
  assert_false(join_is_removed(s.join));
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(who_was_a_member_and_is_none_was_removed),
      cmocka_unit_test(who_never_was_a_member_is_taken_in),
      cmocka_unit_test(a_memory_member_is_taken_back),
      cmocka_unit_test(nobody_is_told_before_it_is_certain),
      cmocka_unit_test(a_node_says_what_it_was),
      cmocka_unit_test(a_removed_node_stays_out),
      cmocka_unit_test(a_leader_of_the_past_removes_nobody),
      cmocka_unit_test(others_removals_are_no_affair_of_this_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
