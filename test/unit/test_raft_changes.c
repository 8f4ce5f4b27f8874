/* Goal: a change of members that is not committed yet is in force while it stands in a log, and goes with its
 * entry; one whose node vanishes is taken back where that is safe and leads anywhere, and nowhere else.
 * Consecutive configurations, and commits by the one in force, are checked by the invariants of
 * raft_history.h at every step besides. */
#include "raft_append.h"

static const struct coracle_raft_configuration *latest(const struct cluster *c, uint64_t id) {
  return coracle_raft_latest_configuration(cluster_server(c, id)->raft);
}

static uint32_t voters(const struct cluster *c, uint64_t id) {
  return coracle_raft_configuration_voters(latest(c, id));
}

/* ---- Cancelling ---- */

/* Three voters and learner 4, which is promoted while the disks of 2 and 3 hang: the change cannot be
 * committed. */
static struct cluster *promoting(void) {
  struct cluster *c = cluster_of(3, 1);
  c->links_by_hand = true;
  assert_int_equal(cluster_add_member(c, 1, cluster_add(c)), 0);
  cluster_settle(c);
  assert_true(status_of(c, 1)->configuration_committed);
  cluster_hold_disk(c, 2, true);
  cluster_hold_disk(c, 3, true);
  cluster_open(c, 1, 4);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_true(cluster_is_voter(c, 1, 4));
  assert_false(status_of(c, 1)->configuration_committed);
  return c;
}

/* The node that was being added is gone, and with it perhaps the majority of four: back to three. */
static void a_change_is_cancelled_when_its_node_vanishes(void **state) {
  (void)state;
  struct cluster *c = promoting();
  const uint64_t index = status_of(c, 1)->configuration_index;
  cluster_cut(c, 1, 4);
  cluster_tell(c, 1, 4, AT_LEADER);
  assert_int_equal(status_of(c, 1)->configuration_index, index + 1);
  assert_int_equal(voters(c, 1), 3);
  assert_non_null(coracle_raft_configuration_find(latest(c, 1), 4)); /* a learner again */
  cluster_settle(c);
  cluster_hold_disk(c, 2, false);
  cluster_settle(c);
  assert_true(status_of(c, 1)->configuration_committed); /* by 1 and 2 */
  cluster_hold_disk(c, 3, false);
  cluster_sweep_streams(c);
  cluster_open(c, 1, 4);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_true(cluster_is_voter(c, 1, 4)); /* it is back */
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* The node is back before the cancelling is committed, and the leader dies: what only that node and the
 * leader could have known must not make its log the newest, while the others still need its vote. */
static void a_cancelled_voter_does_not_stand_in_the_way(void **state) {
  (void)state;
  struct cluster *c = promoting();
  cluster_cut(c, 1, 2); /* the leader is not told */
  cluster_cut(c, 1, 3);
  cluster_cut(c, 1, 4);
  cluster_tell(c, 1, 4, AT_LEADER);
  cluster_tell(c, 1, 4, AT_FOLLOWER);
  assert_false(cluster_is_voter(c, 1, 4));
  cluster_sweep_streams(c);
  cluster_open(c, 1, 4);
  while (cluster_find(c, 1, 4, CORACLE_RAFT_APPEND) != NULL) {
    cluster_deliver(c, 1, 4, CORACLE_RAFT_APPEND);
    cluster_sync(c, 4);
    cluster_deliver(c, 4, 1, CORACLE_RAFT_APPEND_REPLY);
  }
  cluster_crash(c, 1);
  cluster_hold_disk(c, 2, false);
  cluster_hold_disk(c, 3, false);
  c->links_by_hand = false;
  const uint64_t leader = cluster_converge(c, 6);
  assert_int_equal(voters(c, leader), 4);
  cluster_free(c);
}

/* Where the old configuration has no majority in contact, there is no way back to it: but with the new one
 * the node may come back. */
static void a_change_is_not_cancelled_into_a_lost_majority(void **state) {
  (void)state;
  for (int lost = 0; lost <= 1; lost++) {
    struct cluster *c = cluster_of(2, 1);
    c->links_by_hand = true;
    assert_int_equal(cluster_add_member(c, 1, cluster_add(c)), 0);
    cluster_settle(c);
    cluster_hold_disk(c, 1, true);
    cluster_hold_disk(c, 2, true);
    cluster_open(c, 1, 3);
    cluster_run(c, 2 * HEARTBEAT_MS);
    assert_true(cluster_is_voter(c, 1, 3));
    const uint64_t index = status_of(c, 1)->configuration_index;
    if (lost) {
      cluster_isolate(c, 2);
      cluster_tell(c, 1, 2, AT_LEADER);
    }
    cluster_cut(c, 1, 3);
    cluster_tell(c, 1, 3, AT_LEADER);
    assert_int_equal(status_of(c, 1)->configuration_index, lost ? index : index + 1);
    cluster_hold_disk(c, 1, false);
    cluster_hold_disk(c, 2, false);
    c->links_by_hand = false;
    cluster_run(c, HEARTBEAT_MS);
    assert_true(cluster_is_voter(c, 1, 3));
    assert_true(status_of(c, 1)->configuration_committed);
    cluster_free(c);
  }
}

/* Committed is committed; and somebody else's stream is not a reason. */
static void no_other_end_of_a_stream_cancels(void **state) {
  (void)state;
  struct cluster *c = promoting();
  const uint64_t index = status_of(c, 1)->configuration_index;
  cluster_cut(c, 1, 3);
  cluster_tell(c, 1, 3, AT_LEADER);
  assert_int_equal(status_of(c, 1)->configuration_index, index);
  cluster_hold_disk(c, 2, false);
  cluster_settle(c);
  assert_true(status_of(c, 1)->configuration_committed);
  cluster_cut(c, 1, 4);
  cluster_tell(c, 1, 4, AT_LEADER);
  assert_int_equal(status_of(c, 1)->configuration_index, index);
  assert_true(cluster_is_voter(c, 1, 4));
  cluster_free(c);
}

/* Where a sole voter took in two, its old majority and the new one need not meet: no way back but forward. */
static void a_change_that_added_two_is_not_cancelled(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  cluster_found(c);
  cluster_add(c);
  cluster_add(c);
  cluster_run(c, 1);
  struct coracle_raft_configuration next = *latest(c, 1);
  for (uint64_t id = 2; id <= 3; id++)
    next.members[next.members_n++] = (struct coracle_raft_member){.id = id};
  assert_int_equal(cluster_change(c, 1, &next), 0);
  cluster_settle(c);
  cluster_hold_disk(c, 2, true);
  cluster_hold_disk(c, 3, true);
  cluster_run(c, 3 * HEARTBEAT_MS);
  assert_int_equal(voters(c, 1), 3);
  const uint64_t index = status_of(c, 1)->configuration_index;
  assert_false(status_of(c, 1)->configuration_committed);
  for (uint64_t id = 2; id <= 3; id++) {
    cluster_cut(c, 1, id);
    cluster_tell(c, 1, id, AT_LEADER);
  }
  assert_int_equal(status_of(c, 1)->configuration_index, index);
  cluster_hold_disk(c, 2, false);
  cluster_hold_disk(c, 3, false);
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* Another leader's change is not this one's to take back: it may be committed already for all it knows. */
static void only_the_leader_that_appended_a_change_cancels_it(void **state) {
  (void)state;
  struct cluster *c = promoting();
  cluster_hold_disk(c, 2, false);
  cluster_settle(c); /* committed by 1, 2 and 4; 2 has not heard of that, nor has 3 the change */
  cluster_hold_disk(c, 3, false);
  cluster_crash(c, 1);
  cluster_settle(c);
  const uint64_t index = status_of(c, 2)->configuration_index;
  assert_true(cluster_is_voter(c, 2, 4));
  assert_false(status_of(c, 2)->configuration_committed);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_true(leads(c, 2));
  cluster_hold_disk(c, 3, true); /* in contact, and yet nothing is committed */
  cluster_open(c, 2, 3);
  cluster_settle(c);
  cluster_open(c, 2, 4);
  cluster_cut(c, 2, 4);
  cluster_tell(c, 2, 4, AT_LEADER);
  assert_int_equal(status_of(c, 2)->configuration_index, index);
  cluster_hold_disk(c, 3, false);
  c->links_by_hand = false;
  cluster_converge(c, 2);
  assert_true(cluster_is_voter(c, 2, 4));
  cluster_free(c);
}

/* ---- In force when appended, and only while it is in the log ---- */

/* A change counts from the moment it is in the log (etcd#11284): 1 and 2 are no majority of four. */
static void a_configuration_is_in_force_when_appended(void **state) {
  (void)state;
  struct cluster *c = promoting();
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  cluster_cut(c, 1, 4); /* what 4 has not acknowledged yet is lost, and the leader not told */
  const uint64_t index = status_of(c, 1)->configuration_index;
  assert_true(status_of(c, 1)->commit_index < index); /* 1 and 4 */
  cluster_sync(c, 2);
  cluster_deliver(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
  assert_true(status_of(c, 1)->commit_index >= index); /* 1, 2 and 4 */
  cluster_free(c);
}

/* An isolated leader's change is overwritten by the next leader's log: whoever had it goes back to the
 * configuration before (canonical/raft#250, #323). */
static void a_configuration_goes_with_its_entry(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  const uint64_t before = status_of(c, 1)->configuration_index;
  cluster_isolate(c, 1);
  cluster_isolate(c, 2);
  cluster_block(c, 1, 2, false);
  cluster_block(c, 2, 1, false);
  assert_int_equal(cluster_remove_member(c, 1, 5), 0);
  cluster_settle(c);
  assert_int_equal(voters(c, 1), 4);
  assert_int_equal(voters(c, 2), 4);
  assert_false(status_of(c, 2)->configuration_committed);
  cluster_run(c, 4 * ELECTION_TIMEOUT_MS);
  assert_true(cluster_leader(c) >= 3);
  cluster_heal(c);
  cluster_converge(c, 4);
  for (uint64_t id = 1; id <= 5; id++) {
    assert_int_equal(voters(c, id), 5);
    assert_int_equal(status_of(c, id)->configuration_index, before);
    assert_true(status_of(c, id)->configuration_committed);
  }
  cluster_free(c);
}

/* Even the only configuration that a server had: it is nobody's member again. */
static void the_first_configuration_goes_too(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  const uint64_t id = cluster_add(c);
  struct coracle_raft_configuration configuration = {.members_n = 1, .members = {{.id = id, .voter = true}}};
  struct made_up_append append = {0}, other = {0};
  made_up_append(&append, 8, id, 1, 0, 0);
  made_up_entries(&append, 1, 2);
  coracle_raft_entry_unref(append.entries[1]);
  append.entries[1] = coracle_raft_configuration_entry(&configuration);
  append.entries[1]->index = 2;
  append.entries[1]->term = 1;
  assert_int_equal(cluster_receive(c, id, &append.message), 0);
  assert_true(status_of(c, id)->voter);
  made_up_append(&other, 9, id, 2, 1, 1);
  made_up_entries(&other, 2, 1);
  assert_int_equal(cluster_receive(c, id, &other.message), 0);
  assert_false(status_of(c, id)->voter);
  assert_int_equal(status_of(c, id)->configuration_index, 0);
  assert_int_equal(latest(c, id)->members_n, 0);
  made_up_close(&append);
  made_up_close(&other);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_change_is_cancelled_when_its_node_vanishes),
      cmocka_unit_test(a_cancelled_voter_does_not_stand_in_the_way),
      cmocka_unit_test(a_change_is_not_cancelled_into_a_lost_majority),
      cmocka_unit_test(no_other_end_of_a_stream_cancels),
      cmocka_unit_test(a_change_that_added_two_is_not_cancelled),
      cmocka_unit_test(only_the_leader_that_appended_a_change_cancels_it),
      cmocka_unit_test(a_configuration_is_in_force_when_appended),
      cmocka_unit_test(a_configuration_goes_with_its_entry),
      cmocka_unit_test(the_first_configuration_goes_too),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
