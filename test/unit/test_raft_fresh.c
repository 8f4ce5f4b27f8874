/* Goal: how old a server says that its state may be: as of the last heartbeat whose leader's commit index it
 * has, if that index means anything yet; a leader's as of the last answers of a majority. It never says that
 * it is newer than it is. */
#include "raft_cluster.h"

static uint64_t fresh_ms(const struct cluster *c, uint64_t id) {
  struct coracle_raft_status status;
  coracle_raft_status(cluster_server(c, id)->raft, c->now_ms, &status);
  assert_true(status.fresh_ms <= c->now_ms);
  return status.fresh_ms;
}

static void heartbeat(struct cluster *c, uint64_t from, uint64_t to, uint64_t term, uint64_t leader_commit) {
  const struct coracle_raft_message message = {.type = CORACLE_RAFT_HEARTBEAT,
                                               .from = from,
                                               .to = to,
                                               .term = term,
                                               .round = 1,
                                               .heartbeat = {.commit = 0, .leader_commit = leader_commit}};
  assert_int_equal(cluster_receive(c, to, &message), 0);
}

static void nothing_is_known_before_the_first_heartbeat(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  cluster_add(c);
  assert_int_equal(fresh_ms(c, 1), 0);
  cluster_free(c);
}

static void a_follower_is_as_fresh_as_the_last_heartbeat(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_run(c, 500);
  assert_in_range(fresh_ms(c, 2), c->now_ms - HEARTBEAT_MS, c->now_ms);
  cluster_isolate(c, 2);
  const uint64_t then_ms = fresh_ms(c, 2);
  cluster_run(c, 3000);
  assert_int_equal(fresh_ms(c, 2), then_ms);
  assert_in_range(fresh_ms(c, 3), c->now_ms - HEARTBEAT_MS, c->now_ms);
  cluster_free(c);
}

/* One that hears of what it has not got yet is as fresh as before, and when it has got it, as of then. */
static void what_is_missing_counts_from_when_it_was_heard_of(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_run(c, 500);
  const uint64_t commit = status_of(c, 2)->commit_index, term = status_of(c, 2)->term;
  const uint64_t before_ms = fresh_ms(c, 2);
  c->now_ms += 20;
  const uint64_t heard_ms = c->now_ms;
  heartbeat(c, 1, 2, term, commit + 1);
  assert_int_equal(fresh_ms(c, 2), before_ms);
  c->now_ms += 10;
  heartbeat(c, 1, 2, term, commit + 2);
  assert_int_equal(fresh_ms(c, 2), before_ms);

  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, 10); /* before the next heartbeat */
  assert_true(status_of(c, 2)->commit_index == commit + 1);
  assert_int_equal(fresh_ms(c, 2), heard_ms);
  c->now_ms += 10;
  heartbeat(c, 1, 2, term,
            commit + 2); /* the one that is missing now was heard of just now, for all it knows */
  assert_int_equal(fresh_ms(c, 2), heard_ms);
  c->now_ms += 10;
  heartbeat(c, 1, 2, term, commit + 1);
  assert_int_equal(fresh_ms(c, 2), c->now_ms);
  cluster_free(c);
}

/* A new leader may not know yet all that was committed before it. */
static void a_leader_counts_once_it_has_committed_in_its_term(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_run(c, 500);
  const uint64_t before_ms = fresh_ms(c, 3), commit = status_of(c, 3)->commit_index;
  c->now_ms += 600;
  heartbeat(c, 2, 3, status_of(c, 3)->term + 1, commit);
  assert_int_equal(status_of(c, 3)->leader, 2);
  assert_int_equal(fresh_ms(c, 3), before_ms);
  cluster_free(c);
}

static void a_leader_is_as_fresh_as_its_majority(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  cluster_run(c, 500);
  assert_int_equal(fresh_ms(c, 1), c->now_ms);
  c->now_ms += HEARTBEAT_MS; /* between two heartbeats */
  assert_int_equal(fresh_ms(c, 1), c->now_ms);
  cluster_isolate(c, 4);
  cluster_isolate(c, 5);
  cluster_run(c, 3000);
  assert_true(leads(c, 1));
  assert_int_equal(fresh_ms(c, 1), c->now_ms);
  cluster_isolate(c, 3);
  const uint64_t cut_ms = c->now_ms;
  cluster_run(c, 600);
  assert_true(leads(c, 1));
  assert_in_range(fresh_ms(c, 1), cut_ms - HEARTBEAT_MS, cut_ms);
  cluster_run(c, 3000);
  assert_false(leads(c, 1));
  assert_in_range(fresh_ms(c, 1), cut_ms - HEARTBEAT_MS, cut_ms); /* as when it led */
  cluster_free(c);
}

static void a_sole_voter_is_fresh(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  cluster_run(c, 5000);
  assert_int_equal(fresh_ms(c, 1), c->now_ms);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(nothing_is_known_before_the_first_heartbeat),
      cmocka_unit_test(a_follower_is_as_fresh_as_the_last_heartbeat),
      cmocka_unit_test(what_is_missing_counts_from_when_it_was_heard_of),
      cmocka_unit_test(a_leader_counts_once_it_has_committed_in_its_term),
      cmocka_unit_test(a_leader_is_as_fresh_as_its_majority),
      cmocka_unit_test(a_sole_voter_is_fresh),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
