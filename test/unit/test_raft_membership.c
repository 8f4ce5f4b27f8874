/* Goal: members come and go as chapter 4 of the dissertation and Ongaro's correction of 2015 allow, and no
 * change, lost, cancelled or overwritten, lets two majorities decide without each other. Consecutive
 * configurations, and commits by the one in force, are checked by the invariants of raft_history.h at every
 * step besides. */
#include "raft_cluster.h"

#include <string.h>

static const struct coracle_raft_configuration *latest(const struct cluster *c, uint64_t id) {
  return coracle_raft_latest_configuration(cluster_server(c, id)->raft);
}

static uint32_t voters(const struct cluster *c, uint64_t id) {
  return coracle_raft_configuration_voters(latest(c, id));
}

/* ---- Joining ---- */

static void a_learner_gets_the_log_and_becomes_a_voter(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (int i = 0; i < 50; i++) assert_int_equal(cluster_propose(c, 1, 100), 0);
  cluster_run(c, HEARTBEAT_MS);
  const uint64_t id = cluster_add(c);
  assert_int_equal(cluster_add_member(c, 1, id), 0);
  assert_false(cluster_is_voter(c, 1, id));
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_int_equal(voters(c, 1), 4);
  assert_int_equal(cluster_converge(c, 1), 1);
  assert_true(status_of(c, id)->voter);
  assert_int_equal(status_of(c, id)->last_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* Of three and more the voters come one at a time; several learners may wait. */
static void voters_come_one_at_a_time(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (int i = 0; i < 3; i++) {
    assert_int_equal(cluster_add_member(c, 1, cluster_add(c)), 0);
    cluster_settle(c);
  }
  for (uint32_t before = voters(c, 1); before < 6; before = voters(c, 1)) {
    cluster_run(c, 1);
    assert_true(voters(c, 1) <= before + 1);
    assert_true(c->now_ms < 60000);
  }
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* Those who come to a sole voter become voters together, two heartbeats after the last of them came: the
 * cluster of three never was one of two. */
static void who_comes_to_a_sole_voter_comes_together(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  cluster_found(c);
  cluster_run(c, 100);
  assert_int_equal(cluster_add_member(c, 1, cluster_add(c)), 0);
  cluster_run(c, HEARTBEAT_MS - 10);
  assert_int_equal(cluster_add_member(c, 1, cluster_add(c)), 0);
  const uint64_t last_came_ms = c->now_ms;
  while (voters(c, 1) == 1) {
    cluster_run(c, 1);
    assert_true(c->now_ms <= last_came_ms + 3 * HEARTBEAT_MS);
  }
  assert_true(c->now_ms >= last_came_ms + 2 * HEARTBEAT_MS);
  assert_int_equal(voters(c, 1), 3);
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* A learner that is slow or gone holds the others up for no longer than an election timeout (etcd#6420). */
static void a_learner_that_never_comes_is_not_waited_for(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  cluster_found(c);
  cluster_run(c, 1);
  struct coracle_raft_configuration next = *latest(c, 1);
  next.members[next.members_n++] = (struct coracle_raft_member){.id = cluster_add(c)};
  next.members[next.members_n++] = (struct coracle_raft_member){.id = 77}; /* mistyped */
  assert_int_equal(cluster_change(c, 1, &next), 0);
  cluster_run(c, ELECTION_TIMEOUT_MS + 2 * HEARTBEAT_MS);
  assert_int_equal(voters(c, 1), 2);
  cluster_run(c, 10 * ELECTION_TIMEOUT_MS);
  assert_int_equal(voters(c, 1), 2);
  assert_false(coracle_raft_configuration_find(latest(c, 1), 77)->voter);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* Nobody gets the configuration by which a sole voter ceases to be one before that voter can no longer forget
 * it: as a sole voter again it would lead alone, beside the majority of the others. */
static void a_sole_voter_gives_up_its_place_durably(void **state) {
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
  cluster_hold_disk(c, 1, true);
  cluster_run(c, 3 * HEARTBEAT_MS);
  assert_int_equal(voters(c, 1), 3);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  assert_int_equal(voters(c, 2), 1);
  assert_int_equal(voters(c, 3), 1);
  assert_true(status_of(c, 2)->hears_leader); /* heartbeats go on */
  cluster_hold_disk(c, 1, false);
  assert_int_equal(cluster_converge(c, 1), 1);
  assert_int_equal(voters(c, 3), 3);
  cluster_free(c);
}

/* A learner whose disk is behind answers every heartbeat, and is none the better for it: it must have the
 * newest configuration, and what was committed an election timeout ago. */
static void a_learner_that_is_behind_stays_one(void **state) {
  (void)state;
  for (int configuration = 0; configuration <= 1; configuration++) {
    struct cluster *c = cluster_of(3, 1);
    const uint64_t id = cluster_add(c);
    cluster_isolate(c, 3); /* so that it gets that far as a learner */
    cluster_run(c, HEARTBEAT_MS);
    assert_int_equal(cluster_add_member(c, 1, id), 0);
    cluster_run(c, 2 * HEARTBEAT_MS);
    cluster_hold_disk(c, id, true);
    if (configuration)
      assert_int_equal(cluster_change(c, 1, latest(c, 1)), 0);
    else
      assert_int_equal(cluster_propose(c, 1, 10), 0);
    cluster_run(c, configuration ? HEARTBEAT_MS : 2 * ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
    cluster_heal(c);
    cluster_run(c, 3 * HEARTBEAT_MS);
    assert_true(status_of(c, id)->hears_leader);
    assert_int_equal(status_of(c, 1)->blocked_by, 0); /* not by others */
    assert_false(cluster_is_voter(c, 1, id));
    cluster_hold_disk(c, id, false);
    cluster_run(c, 3 * HEARTBEAT_MS);
    assert_true(cluster_is_voter(c, 1, id));
    cluster_free(c);
  }
}

/* What its leader has not committed yet a learner does not get: it could not ask for votes with it, and would
 * refuse its own to those who can. */
static void a_learner_gets_only_what_is_committed(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_isolate(c, 3); /* out of contact, it keeps the learner one */
  const uint64_t id = cluster_add(c);
  cluster_block(c, 3, id, true);
  cluster_block(c, id, 3, true);
  assert_int_equal(cluster_add_member(c, 1, id), 0);
  cluster_run(c, HEARTBEAT_MS);
  const uint64_t committed = status_of(c, 1)->commit_index;
  assert_int_equal(status_of(c, id)->last_index, committed);
  cluster_hold_disk(c, 2, true);
  for (int i = 0; i < 10; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_int_equal(status_of(c, 2)->last_index, committed + 10);
  assert_int_equal(status_of(c, id)->last_index, committed);
  cluster_hold_disk(c, 2, false);
  cluster_run(c, HEARTBEAT_MS / 10);
  assert_int_equal(status_of(c, id)->last_index, committed + 10);
  assert_int_equal(status_of(c, id)->commit_index, committed + 10);
  cluster_free(c);
}

/* With a voter out of contact one more would make the majority larger and its loss likelier. It says for whom
 * it waits, and goes on when that one is back, or removed. */
static void promotion_waits_for_every_voter(void **state) {
  (void)state;
  for (int removed = 0; removed <= 1; removed++) {
    struct cluster *c = cluster_of(3, 1);
    cluster_isolate(c, 3);
    const uint64_t id = cluster_add(c);
    assert_int_equal(cluster_add_member(c, 1, id), 0);
    cluster_run(c, 5 * ELECTION_TIMEOUT_MS);
    assert_int_equal(voters(c, 1), 3);
    assert_int_equal(status_of(c, 1)->blocked_by, 3);
    assert_int_equal(status_of(c, id)->last_index, status_of(c, 1)->last_index);
    if (removed)
      assert_int_equal(cluster_remove_member(c, 1, 3), 0);
    else
      cluster_heal(c);
    cluster_run(c, 3 * HEARTBEAT_MS);
    assert_true(cluster_is_voter(c, 1, id));
    assert_int_equal(status_of(c, 1)->blocked_by, 0);
    assert_int_equal(voters(c, 1), removed ? 3 : 4);
    cluster_free(c);
  }
}

/* A stream that has ended is no contact, however fresh the last heartbeat's reply. */
static void promotion_asks_for_streams(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->links_by_hand = true;
  cluster_cut(c, 1, 3);
  cluster_settle(c);
  const uint64_t id = cluster_add(c);
  assert_int_equal(cluster_add_member(c, 1, id), 0);
  cluster_settle(c);
  cluster_open(c, 1, id);
  cluster_run(c, 2 * ELECTION_TIMEOUT_MS);
  assert_int_equal(status_of(c, 1)->blocked_by, 3);
  assert_int_equal(voters(c, 1), 3);
  cluster_free(c);
}

/* ---- Which changes are taken ---- */

static void impossible_changes_are_refused(void **state) {
  (void)state;
  struct cluster *c = cluster_of(4, 1);
  const struct coracle_raft_configuration four = *latest(c, 1);
  const uint64_t last = status_of(c, 1)->last_index;
  struct coracle_raft_configuration bad[11];
  size_t n = 0;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) bad[i] = four;
  bad[n++].members[4] = (struct coracle_raft_member){.id = 9, .voter = true}; /* a voter at once */
  bad[n - 1].members_n++;
  bad[n++].members_n = 2;                                                   /* two voters less */
  bad[n].members[2].voter = false;                                          /* one no voter any more, */
  bad[n++].members_n = 3;                                                   /* and one gone */
  bad[n++].members[0].voter = false;                                        /* without the leader's vote */
  bad[n].members[3] = (struct coracle_raft_member){.id = 9, .voter = true}; /* a swap */
  n++;
  bad[n].members[4] = (struct coracle_raft_member){.id = 2}; /* twice */
  bad[n++].members_n++;
  bad[n].members[4] = (struct coracle_raft_member){.id = 0}; /* nobody */
  bad[n++].members_n++;
  bad[n].members[4] = (struct coracle_raft_member){.id = 9, .data_bytes = CORACLE_RAFT_MEMBER_DATA_MAX + 1};
  bad[n++].members_n++;
  bad[n++].members_n = 0;
  bad[n++].members_n = CORACLE_RAFT_MEMBERS_MAX + 1;
  bad[n++].members_n = UINT32_MAX;
  assert_int_equal(n, sizeof bad / sizeof bad[0]);
  for (size_t i = 0; i < n; i++) assert_int_equal(cluster_change(c, 1, &bad[i]), CORACLE_RAFT_EINVALID);
  assert_int_equal(cluster_change(c, 2, &four), CORACLE_RAFT_ENOTLEADER);
  assert_int_equal(status_of(c, 1)->last_index, last);
  cluster_free(c);
}

static void one_change_at_a_time(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t id = cluster_add(c), other = cluster_add(c);
  assert_int_equal(cluster_add_member(c, 1, id), 0);
  assert_false(status_of(c, 1)->configuration_committed);
  assert_int_equal(cluster_add_member(c, 1, other), CORACLE_RAFT_EBUSY);
  assert_int_equal(cluster_remove_member(c, 1, 3), CORACLE_RAFT_EBUSY);
  cluster_settle(c);
  assert_true(status_of(c, 1)->configuration_committed);
  assert_int_equal(cluster_add_member(c, 1, other), 0);
  cluster_free(c);
}

/* Before a leader has committed an entry of its own term, an earlier leader's change may still be around that
 * it knows nothing of: of four servers the two changes could pass by each other (Ongaro, 2015). */
static void no_change_before_an_entry_of_the_own_term_is_committed(void **state) {
  (void)state;
  struct cluster *c = cluster_of(4, 1);
  const uint64_t fresh = cluster_add(c), other = cluster_add(c);
  cluster_isolate(c, 1);
  assert_int_equal(cluster_add_member(c, 1, fresh), 0); /* nobody will know */
  cluster_settle(c);
  c->links_by_hand = true;
  c->now_ms += 2 * ELECTION_TIMEOUT_MS;
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_true(leads(c, 2));
  assert_true(status_of(c, 2)->configuration_committed);
  assert_int_equal(cluster_add_member(c, 2, other), CORACLE_RAFT_EBUSY);
  assert_int_equal(cluster_remove_member(c, 2, 1), CORACLE_RAFT_EBUSY);
  c->links_by_hand = false;
  cluster_settle(c);
  assert_true(status_of(c, 2)->committed_own_term);
  assert_int_equal(cluster_remove_member(c, 2, 1), 0);
  cluster_free(c);
}

/* A member's data changes without its vote. */
static void data_changes_alone(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  struct coracle_raft_configuration next = *latest(c, 1);
  next.members[1].data_bytes = CORACLE_RAFT_MEMBER_DATA_MAX;
  memset(next.members[1].data, 'x', CORACLE_RAFT_MEMBER_DATA_MAX);
  assert_int_equal(cluster_change(c, 1, &next), 0);
  assert_int_equal(cluster_converge(c, 1), 1);
  assert_int_equal(latest(c, 3)->members[1].data[CORACLE_RAFT_MEMBER_DATA_MAX - 1], 'x');
  assert_int_equal(voters(c, 3), 3);
  cluster_free(c);
}

/* As many members as there can be: elections, heartbeats and appends to all of them fit into one step. */
static void sixteen_members_work(void **state) {
  (void)state;
  struct cluster *c = cluster_of(CORACLE_RAFT_MEMBERS_MAX, 1);
  struct coracle_raft_configuration next = *latest(c, 1);
  for (int i = 0; i < 20; i++) assert_int_equal(cluster_propose(c, 1, 100), 0);
  assert_int_equal(cluster_converge(c, 1), 1);
  assert_int_equal(cluster_change(c, 1, &next), 0); /* the same again is a change too */
  cluster_crash(c, 1);
  const uint64_t leader = cluster_converge(c, 10);
  assert_int_equal(cluster_remove_member(c, leader, 1), 0);
  cluster_converge(c, 1);
  assert_int_equal(voters(c, leader), CORACLE_RAFT_MEMBERS_MAX - 1);
  cluster_free(c);
}

/* ---- Leaving ---- */

static void a_dead_voter_is_removed(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_crash(c, 3);
  cluster_run(c, ELECTION_TIMEOUT_MS);
  assert_int_equal(cluster_remove_member(c, 1, 3), 0);
  cluster_run(c, HEARTBEAT_MS);
  assert_true(status_of(c, 1)->configuration_committed);
  assert_int_equal(voters(c, 2), 2);
  cluster_crash(c, 2); /* and the leader goes on alone, if it is quick */
  cluster_run(c, ELECTION_TIMEOUT_MS);
  assert_int_equal(cluster_remove_member(c, 1, 2), 0);
  cluster_run(c, 3 * ELECTION_TIMEOUT_MS);
  assert_true(leads(c, 1));
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* It hears no more, asks and asks, and disturbs nobody: its term stays, and so does theirs (canonical/raft
 * 806f1a4). */
static void a_removed_server_does_not_disturb(void **state) {
  (void)state;
  struct cluster *c = cluster_of(4, 1);
  cluster_hold_disk(c, 4, true); /* so that it never learns that it was removed */
  cluster_block(c, 1, 4, true);
  assert_int_equal(cluster_remove_member(c, 1, 4), 0);
  cluster_run(c, HEARTBEAT_MS);
  cluster_heal(c);
  cluster_hold_disk(c, 4, false);
  cluster_run(c, 20 * ELECTION_TIMEOUT_MS);
  assert_true(status_of(c, 4)->counters.elections > 5);
  assert_int_equal(voters(c, 4), 4);
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 1)->term, 1);
  assert_int_equal(status_of(c, 4)->term, 1);
  cluster_free(c);
}

/* The sole voter may take several at once, for then nobody is left who could act under the old configuration.
 * A leader that is not that voter may not: the voter itself is left. */
static void only_the_sole_voter_takes_several_at_once(void **state) {
  (void)state;
  struct cluster *c = cluster_of(2, 1);
  const uint64_t third = cluster_add(c);
  struct coracle_raft_configuration next = *latest(c, 1);
  c->links_by_hand = true;
  next.members[1].voter = false;
  next.members[next.members_n++] = (struct coracle_raft_member){.id = third};
  assert_int_equal(cluster_change(c, 1, &next), 0);
  cluster_open(c, 1, third);
  cluster_run(c, 5);
  assert_int_equal(status_of(c, 2)->configuration_index, status_of(c, 1)->configuration_index);
  for (uint64_t id = 1; id <= 2; id++) { /* the second does not know any more that this is committed */
    cluster_crash(c, id);
    cluster_restart(c, id);
  }
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_true(leads(c, 2));
  cluster_sweep_streams(c);
  cluster_open(c, 2, third);
  cluster_run(c, 4 * HEARTBEAT_MS); /* the learners have it all, and nobody else comes */
  assert_int_equal(voters(c, 2), 1);
  cluster_open(c, 2, 1); /* raft_history.c looks at what it does now that it can commit */
  cluster_settle(c);
  c->links_by_hand = false;
  cluster_run(c, 2 * ELECTION_TIMEOUT_MS);
  assert_int_equal(voters(c, 2), 3);
  cluster_free(c);
}

/* One that knows that it has no vote does not even ask. */
static void who_has_no_vote_is_quiet(void **state) {
  (void)state;
  struct cluster *c = cluster_of(4, 1);
  struct coracle_raft_configuration next = *latest(c, 1);
  cluster_isolate(c, 3); /* out of contact, it keeps 4 from being promoted again */
  cluster_settle(c);
  next.members[3].voter = false;
  assert_int_equal(cluster_change(c, 1, &next), 0);
  cluster_run(c, HEARTBEAT_MS);
  assert_false(status_of(c, 4)->voter);
  cluster_isolate(c, 4);
  cluster_run(c, 10 * ELECTION_TIMEOUT_MS);
  assert_int_equal(cluster_campaign(c, 4), 0);
  assert_int_equal(status_of(c, 4)->counters.elections, 0);
  assert_int_equal(status_of(c, 4)->role, CORACLE_RAFT_FOLLOWER);
  assert_int_equal(status_of(c, 4)->leader, 0);
  assert_true(cluster_server(c, 4)->wakeup_ms == UINT64_MAX);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_learner_gets_the_log_and_becomes_a_voter),
      cmocka_unit_test(voters_come_one_at_a_time),
      cmocka_unit_test(who_comes_to_a_sole_voter_comes_together),
      cmocka_unit_test(a_learner_that_never_comes_is_not_waited_for),
      cmocka_unit_test(a_sole_voter_gives_up_its_place_durably),
      cmocka_unit_test(a_learner_that_is_behind_stays_one),
      cmocka_unit_test(a_learner_gets_only_what_is_committed),
      cmocka_unit_test(promotion_waits_for_every_voter),
      cmocka_unit_test(promotion_asks_for_streams),
      cmocka_unit_test(impossible_changes_are_refused),
      cmocka_unit_test(one_change_at_a_time),
      cmocka_unit_test(no_change_before_an_entry_of_the_own_term_is_committed),
      cmocka_unit_test(data_changes_alone),
      cmocka_unit_test(sixteen_members_work),
      cmocka_unit_test(a_dead_voter_is_removed),
      cmocka_unit_test(a_removed_server_does_not_disturb),
      cmocka_unit_test(only_the_sole_voter_takes_several_at_once),
      cmocka_unit_test(who_has_no_vote_is_quiet),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
