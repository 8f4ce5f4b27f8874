/* Goal: leadership goes where it was told to, without a pause and without losing anything, or stays; and a
 * leader can take itself out of the configuration. The invariants of raft_history.h are checked at every step
 * besides. */
#include "raft_cluster.h"

static struct coracle_raft_message message(enum coracle_raft_message_type type, uint64_t from, uint64_t to,
                                           uint64_t term) {
  return (struct coracle_raft_message){
      .type = (uint8_t)type, .from = from, .to = to, .term = term, .round = 1};
}

/* ---- Transfer (section 3.10) ---- */

/* It asks for votes at once, in a new term, and everybody grants although the leader is heard. */
static void leadership_goes_where_it_is_told(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  assert_int_equal(cluster_transfer(c, 1, 4), 0);
  assert_int_equal(status_of(c, 1)->transferring_to, 4);
  assert_true(leads(c, 1)); /* until another does */
  cluster_deliver(c, 1, 4, CORACLE_RAFT_TIMEOUT_NOW);
  assert_int_equal(status_of(c, 4)->role, CORACLE_RAFT_CANDIDATE);
  assert_int_equal(status_of(c, 4)->term, 2);
  const uint64_t now_ms = c->now_ms;
  cluster_settle(c);
  assert_true(leads(c, 4) && c->now_ms == now_ms);
  assert_int_equal(cluster_converge(c, 1), 4);
  assert_int_equal(status_of(c, 1)->stepped_down, CORACLE_RAFT_NEWER_TERM);
  assert_int_equal(status_of(c, 1)->transferring_to, 0);
  assert_int_equal(c->transfers, 1);
  cluster_free(c);
}

/* It has the whole log before it is told; and nothing comes on top meanwhile. */
static void the_target_catches_up_first(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_hold_disk(c, 3, true);
  for (int i = 0; i < 5; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  const struct coracle_raft_configuration same =
      *coracle_raft_latest_configuration(cluster_server(c, 1)->raft);
  assert_int_equal(cluster_transfer(c, 1, 3), 0);
  cluster_settle(c);
  assert_int_equal(status_of(c, 3)->role, CORACLE_RAFT_FOLLOWER);
  assert_int_equal(cluster_propose(c, 1, 1), CORACLE_RAFT_EBUSY);
  assert_int_equal(cluster_change(c, 1, &same), CORACLE_RAFT_EBUSY);
  assert_int_equal(cluster_transfer(c, 1, 2), CORACLE_RAFT_EBUSY);
  assert_true(leads(c, 1));
  cluster_hold_disk(c, 3, false);
  cluster_settle(c);
  assert_true(leads(c, 3));
  assert_int_equal(status_of(c, 3)->last_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

static void a_transfer_that_fails_is_given_up(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_isolate(c, 3);
  cluster_settle(c);
  assert_int_equal(cluster_propose(c, 1, 1), 0);
  assert_int_equal(cluster_transfer(c, 1, 3), 0);
  cluster_run(c, ELECTION_TIMEOUT_MS - 1);
  assert_int_equal(cluster_propose(c, 1, 1), CORACLE_RAFT_EBUSY);
  cluster_run(c, 1);
  assert_int_equal(status_of(c, 1)->transferring_to, 0);
  assert_true(leads(c, 1));
  assert_int_equal(cluster_propose(c, 1, 1), 0);
  assert_int_equal(cluster_transfer(c, 1, 2), 0);
  cluster_settle(c);
  assert_true(leads(c, 2));
  cluster_free(c);
}

/* Told over a stream that ended, it is told again over the next one. */
static void a_new_stream_carries_it_again(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  assert_int_equal(cluster_transfer(c, 1, 2), 0);
  cluster_cut(c, 1, 2);
  cluster_settle(c);
  assert_true(leads(c, 2));
  cluster_free(c);
}

/* One is taken out of the configuration meanwhile, by a change that was under way. */
static void a_target_that_is_no_voter_any_more(void **state) {
  (void)state;
  struct cluster *c = cluster_of(4, 1);
  cluster_hold_disk(c, 4, true);
  assert_int_equal(cluster_propose(c, 1, 1), 0);
  cluster_settle(c);
  assert_int_equal(cluster_remove_member(c, 1, 4), 0);
  assert_int_equal(cluster_transfer(c, 1, 4), CORACLE_RAFT_EINVALID);
  cluster_free(c);
}

static void impossible_transfers_are_refused(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t learner = cluster_add(c);
  cluster_isolate(c, 3);
  cluster_run(c, 1);
  assert_int_equal(cluster_add_member(c, 1, learner), 0);
  cluster_settle(c);
  assert_int_equal(cluster_transfer(c, 1, learner), CORACLE_RAFT_EINVALID);
  assert_int_equal(cluster_transfer(c, 1, 1), CORACLE_RAFT_EINVALID);
  assert_int_equal(cluster_transfer(c, 1, 99), CORACLE_RAFT_EINVALID);
  assert_int_equal(cluster_transfer(c, 1, 0), CORACLE_RAFT_EINVALID);
  assert_int_equal(cluster_transfer(c, 2, 1), CORACLE_RAFT_ENOTLEADER);
  cluster_free(c);
}

/* Late, of another term, from somebody else, at a leader: nobody campaigns for that. */
static void only_the_leader_makes_one_campaign(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const struct coracle_raft_message bad[] = {
      message(CORACLE_RAFT_TIMEOUT_NOW, 3, 2, 1), message(CORACLE_RAFT_TIMEOUT_NOW, 1, 2, 0),
      message(CORACLE_RAFT_TIMEOUT_NOW, 1, 2, 2), message(CORACLE_RAFT_TIMEOUT_NOW, 9, 2, 1)};
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_int_equal(cluster_receive(c, 2, &bad[i]), 0);
  assert_int_equal(status_of(c, 2)->counters.dropped_stale, 4);
  const struct coracle_raft_message to_leader = message(CORACLE_RAFT_TIMEOUT_NOW, 2, 1, 1);
  assert_int_equal(cluster_receive(c, 1, &to_leader), 0);
  assert_true(leads(c, 1) && status_of(c, 2)->role == CORACLE_RAFT_FOLLOWER);
  assert_int_equal(status_of(c, 2)->term, 1);
  cluster_free(c);
}

/* A request for votes that does not say that the leader wants it gets no answer, as ever (section 4.2.3). */
static void others_are_not_voted_for(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  struct coracle_raft_message request = message(CORACLE_RAFT_VOTE_REQUEST, 3, 2, 2);
  request.vote_request.last_index = 100;
  request.vote_request.last_term = 1;
  assert_int_equal(cluster_receive(c, 2, &request), 0);
  assert_int_equal(status_of(c, 2)->term, 1);
  request.vote_request.transfer = true;
  assert_int_equal(cluster_receive(c, 2, &request), 0);
  assert_int_equal(status_of(c, 2)->term, 2);
  assert_int_equal(status_of(c, 2)->voted_for, 3);
  cluster_free(c);
}

/* The requests are lost: it asks again, still for the leader's sake. A second election of its own accord is
 * none for the leader's sake. */
static void it_asks_again_for_the_leaders_sake(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  assert_int_equal(cluster_transfer(c, 1, 2), 0);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_TIMEOUT_NOW);
  cluster_sync(c, 2);
  while (c->datagrams.n > 0) cluster_drop_datagram(c, 0);
  c->now_ms += HEARTBEAT_MS;
  assert_int_equal(cluster_timeout(c, 2), 0);
  assert_true(cluster_find(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST)->vote_request.transfer);
  while (c->datagrams.n > 0) cluster_drop_datagram(c, 0);
  c->now_ms += 2 * ELECTION_TIMEOUT_MS;
  assert_int_equal(cluster_timeout(c, 2), 0);
  assert_false(cluster_find(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST)->vote_request.transfer);
  cluster_free(c);
}

/* Reads go on until another leads: their rounds are confirmed as ever. */
static void reads_go_on_meanwhile(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  uint64_t read, index;
  cluster_isolate(c, 3);
  cluster_settle(c);
  assert_int_equal(cluster_propose(c, 1, 1), 0);
  assert_int_equal(cluster_transfer(c, 1, 3), 0);
  assert_int_equal(cluster_read(c, 1, &read), 0);
  cluster_settle(c);
  assert_int_equal(cluster_read_outcome(c, read, &index), READ_READY);
  cluster_free(c);
}

/* The node that is being added goes while a transfer is under way: its change is taken back all the same. */
static void a_change_is_cancelled_meanwhile(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t id = cluster_add(c);
  c->links_by_hand = true;
  assert_int_equal(cluster_add_member(c, 1, id), 0);
  cluster_settle(c);
  cluster_open(c, 1, id);
  cluster_hold_disk(c, 2, true);
  cluster_hold_disk(c, 3, true);
  while (!cluster_is_voter(c, 1, id)) cluster_run(c, 1);
  assert_int_equal(cluster_transfer(c, 1, 2), 0);
  cluster_settle(c);
  cluster_cut(c, 1, id);
  cluster_tell(c, 1, id, AT_LEADER);
  assert_false(cluster_is_voter(c, 1, id));
  assert_int_equal(status_of(c, 1)->transferring_to, 0);
  cluster_free(c);
}

/* ---- A leader that removes itself (section 4.2.2) ---- */

/* It leads on until that is committed, and then tells the most advanced of those that stay. */
static void a_leader_removes_itself(void **state) {
  (void)state;
  struct cluster *c = cluster_of(4, 1);
  cluster_hold_disk(c, 2, true);
  assert_int_equal(cluster_remove_member(c, 1, 1), 0);
  assert_true(leads(c, 1) && !status_of(c, 1)->voter);
  assert_int_equal(cluster_propose(c, 1, 1), 0); /* it takes what comes */
  const uint64_t last = status_of(c, 1)->last_index, now_ms = c->now_ms;
  cluster_settle(c);
  assert_int_equal(c->now_ms, now_ms);
  assert_false(leads(c, 1));
  assert_int_equal(status_of(c, 1)->stepped_down, CORACLE_RAFT_REMOVED);
  assert_true(leads(c, 3) || leads(c, 4));
  assert_true(status_of(c, 1)->commit_index >= last - 1);
  cluster_hold_disk(c, 2, false);
  const uint64_t leader = cluster_converge(c, 2);
  assert_true(status_of(c, leader)->commit_index > last);
  assert_int_equal(status_of(c, leader)->peers_n, 3);
  cluster_run(c, 20 * ELECTION_TIMEOUT_MS); /* the removed one keeps quiet */
  assert_int_equal(status_of(c, 1)->role, CORACLE_RAFT_FOLLOWER);
  assert_int_equal(cluster_server(c, 1)->wakeup_ms, UINT64_MAX);
  assert_int_equal(cluster_leader(c), leader);
  cluster_free(c);
}

/* Its own copy counts for nothing: two of the three that stay must have it. */
static void it_does_not_count_itself(void **state) {
  (void)state;
  struct cluster *c = cluster_of(4, 1);
  cluster_hold_disk(c, 3, true);
  cluster_hold_disk(c, 4, true);
  assert_int_equal(cluster_remove_member(c, 1, 1), 0);
  cluster_run(c, HEARTBEAT_MS);
  assert_true(leads(c, 1) && !status_of(c, 1)->configuration_committed);
  cluster_hold_disk(c, 4, false);
  cluster_run(c, HEARTBEAT_MS);
  assert_false(leads(c, 1));
  cluster_free(c);
}

/* Nor does its contact with itself: in contact with one of two others it steps down. */
static void its_own_contact_does_not_count(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_isolate(c, 3);
  cluster_settle(c);
  assert_int_equal(cluster_remove_member(c, 1, 1), 0);
  cluster_run(c, 2 * ELECTION_TIMEOUT_MS + 2 * HEARTBEAT_MS);
  assert_false(leads(c, 1));
  assert_int_equal(status_of(c, 1)->stepped_down, CORACLE_RAFT_NO_QUORUM);
  cluster_heal(c);
  const uint64_t leader = cluster_converge(c, 10);
  assert_int_not_equal(leader, 1);
  assert_int_equal(status_of(c, leader)->peers_n, 2);
  cluster_free(c);
}

/* Its followers go on hearing it by its heartbeats, though it is no member any more. */
static void it_is_heard_until_it_goes(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  uint64_t read, index;
  cluster_hold_disk(c, 3, true);
  assert_int_equal(cluster_remove_member(c, 1, 1), 0);
  cluster_run(c, 4 * ELECTION_TIMEOUT_MS);
  assert_true(leads(c, 1) && !status_of(c, 1)->configuration_committed);
  assert_true(status_of(c, 2)->hears_leader && status_of(c, 3)->hears_leader);
  assert_int_equal(cluster_read(c, 2, &read), 0);
  cluster_settle(c);
  assert_int_equal(cluster_read_outcome(c, read, &index), READ_READY);
  cluster_hold_disk(c, 3, false);
  cluster_settle(c);
  assert_true(leads(c, 2) || leads(c, 3));
  cluster_free(c);
}

/* Of two, with the one that stays not having heard of it yet: nobody but the removed one can lead, so it
 * campaigns, brings its removal to the other, and goes. */
static void a_removed_leader_is_needed_once_more(void **state) {
  (void)state;
  struct cluster *c = cluster_of(2, 1);
  c->links_by_hand = true;
  cluster_cut(c, 1, 2);
  cluster_settle(c);
  assert_int_equal(cluster_remove_member(c, 1, 1), 0);
  cluster_settle(c);
  cluster_crash(c, 1);
  cluster_restart(c, 1);
  assert_false(status_of(c, 1)->voter);
  c->links_by_hand = false;
  assert_int_equal(cluster_converge(c, 10), 2);
  assert_int_equal(status_of(c, 2)->peers_n, 1);
  assert_int_equal(status_of(c, 1)->role, CORACLE_RAFT_FOLLOWER);
  assert_int_equal(c->step_downs[CORACLE_RAFT_REMOVED], 1);
  cluster_free(c);
}

/* The last one cannot go; nor can a leader be made a learner. */
static void somebody_must_stay(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  assert_int_equal(cluster_remove_member(c, 1, 1), CORACLE_RAFT_EINVALID);
  cluster_free(c);
  c = cluster_of(3, 1);
  struct coracle_raft_configuration next = *coracle_raft_latest_configuration(cluster_server(c, 1)->raft);
  coracle_raft_configuration_find(&next, 1)->voter = false;
  assert_int_equal(cluster_change(c, 1, &next), CORACLE_RAFT_EINVALID);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(leadership_goes_where_it_is_told),
      cmocka_unit_test(the_target_catches_up_first),
      cmocka_unit_test(a_transfer_that_fails_is_given_up),
      cmocka_unit_test(a_new_stream_carries_it_again),
      cmocka_unit_test(a_target_that_is_no_voter_any_more),
      cmocka_unit_test(impossible_transfers_are_refused),
      cmocka_unit_test(only_the_leader_makes_one_campaign),
      cmocka_unit_test(others_are_not_voted_for),
      cmocka_unit_test(it_asks_again_for_the_leaders_sake),
      cmocka_unit_test(reads_go_on_meanwhile),
      cmocka_unit_test(a_change_is_cancelled_meanwhile),
      cmocka_unit_test(a_leader_removes_itself),
      cmocka_unit_test(it_does_not_count_itself),
      cmocka_unit_test(its_own_contact_does_not_count),
      cmocka_unit_test(it_is_heard_until_it_goes),
      cmocka_unit_test(a_removed_leader_is_needed_once_more),
      cmocka_unit_test(somebody_must_stay),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
