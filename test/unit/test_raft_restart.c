/* Goal: a server that starts with what was durable goes on as if it had only been slow: it votes once a term,
 * loses nothing that was acknowledged and counts nothing as committed that it was not told again; and what
 * cannot have been durable is refused. The invariants of raft_history.h hold across restarts besides. */
#include "raft_append.h"
#include "raft_cluster.h"

static struct coracle_raft_message vote_request(uint64_t from, uint64_t to, uint64_t term) {
  return (struct coracle_raft_message){.type = CORACLE_RAFT_VOTE_REQUEST,
                                       .from = from,
                                       .to = to,
                                       .term = term,
                                       .round = 1,
                                       .vote_request = {.last_index = 100, .last_term = term}};
}

/* ---- In a cluster ---- */

static void a_follower_comes_back(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_crash(c, 2);
  for (int i = 0; i < 10; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, HEARTBEAT_MS);
  cluster_restart(c, 2);
  assert_int_equal(status_of(c, 2)->commit_index, 0);
  assert_true(status_of(c, 2)->voter); /* by its own log */
  assert_false(status_of(c, 2)->hears_leader);
  assert_int_equal(cluster_converge(c, 1), 1);
  assert_int_equal(status_of(c, 2)->commit_index, status_of(c, 1)->last_index);
  assert_int_equal(status_of(c, 1)->term, 1);
  cluster_free(c);
}

/* All at once, with what was acknowledged and what was not. */
static void a_whole_cluster_comes_back(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  const uint64_t committed = status_of(c, 1)->commit_index;
  assert_int_equal(cluster_propose(c, 1, 10), 0); /* this one is on nobody's disk */
  for (uint64_t id = 1; id <= 5; id++) cluster_crash(c, id);
  for (uint64_t id = 1; id <= 5; id++) cluster_restart(c, id);
  for (uint64_t id = 1; id <= 5; id++) assert_int_equal(status_of(c, id)->last_index, committed);
  const uint64_t leader = cluster_converge(c, 6);
  assert_true(status_of(c, leader)->commit_index > committed);
  assert_true(status_of(c, leader)->term > 1);
  cluster_free(c);
}

/* Alone it needs nobody, and no longer than until it may ask: nothing was lost with a power cut. */
static void a_sole_voter_comes_back(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  const uint64_t committed = status_of(c, 1)->commit_index;
  cluster_crash(c, 1);
  cluster_restart(c, 1);
  assert_int_equal(cluster_campaign(c, 1), 0);
  cluster_settle(c);
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 1)->term, 2);
  assert_int_equal(status_of(c, 1)->commit_index, committed + 1);
  cluster_free(c);
}

/* What it wrote and never reported may be there or not; it must fit in either way. */
static void a_write_that_nobody_heard_of_is_there(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_hold_disk(c, 2, true);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  const uint64_t last = status_of(c, 1)->last_index;
  cluster_crash_after(c, 2, 1);
  cluster_restart(c, 2);
  assert_int_equal(status_of(c, 2)->last_index, last);
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* The vote of a term is given once, whatever happens between. */
static void a_vote_survives(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->links_by_hand = true;
  cluster_crash(c, 1);
  cluster_settle(c);
  const struct coracle_raft_message of_2 = vote_request(2, 3, 7), of_1 = vote_request(1, 3, 7);
  assert_int_equal(cluster_receive(c, 3, &of_2), 0);
  cluster_sync(c, 3);
  cluster_crash(c, 3);
  cluster_restart(c, 3);
  assert_int_equal(status_of(c, 3)->term, 7);
  assert_int_equal(status_of(c, 3)->voted_for, 2);
  while (c->datagrams.n > 0) cluster_drop_datagram(c, 0);
  assert_int_equal(cluster_receive(c, 3, &of_1), 0);
  cluster_sync(c, 3);
  assert_false(cluster_find(c, 3, 1, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
  assert_int_equal(cluster_receive(c, 3, &of_2), 0);
  cluster_sync(c, 3);
  assert_true(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
  cluster_free(c);
}

/* A vote that was not durable was not given, and may go to another. */
static void a_vote_that_was_not_durable_is_none(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->links_by_hand = true;
  cluster_crash(c, 1);
  cluster_settle(c);
  const struct coracle_raft_message of_2 = vote_request(2, 3, 7);
  assert_int_equal(cluster_receive(c, 3, &of_2), 0);
  assert_null(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY));
  cluster_crash(c, 3);
  cluster_restart(c, 3);
  assert_int_equal(status_of(c, 3)->term, 1);
  cluster_sync(c, 3);
  assert_null(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY));
  cluster_free(c);
}

/* What is in the log counts as durable at once: a leader after a restart acknowledges its own entries. */
static void a_restored_log_is_durable(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_crash(c, 3);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_sync(c, 1); /* only here */
  const uint64_t last = status_of(c, 1)->last_index;
  cluster_crash(c, 1);
  cluster_restart(c, 1);
  cluster_settle(c);
  cluster_hold_disk(c, 1, true);
  assert_int_equal(cluster_campaign(c, 1), 0);
  cluster_settle(c);
  cluster_sync(c, 1); /* its vote */
  cluster_settle(c);
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 1)->peers[0].id, 1);
  assert_int_equal(status_of(c, 1)->peers[0].match, last);
  cluster_hold_disk(c, 1, false);
  cluster_run(c, HEARTBEAT_MS);
  assert_true(status_of(c, 2)->commit_index > last);
  cluster_free(c);
}

/* A new configuration is in force though nothing is known to be committed. */
static void the_latest_configuration_is_in_force(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_isolate(c, 3);
  cluster_settle(c);
  assert_int_equal(cluster_remove_member(c, 1, 3), 0);
  cluster_settle(c);
  cluster_crash(c, 2);
  cluster_restart(c, 2);
  assert_int_equal(status_of(c, 2)->peers_n, 2);
  assert_int_equal(status_of(c, 2)->configuration_index, status_of(c, 1)->configuration_index);
  assert_false(status_of(c, 2)->configuration_committed);
  cluster_free(c);
}

/* It hears a leader before it asks for anything. */
static void a_server_that_was_restarted_waits_its_time(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_isolate(c, 3);
  cluster_crash(c, 3);
  cluster_restart(c, 3);
  assert_true(cluster_server(c, 3)->wakeup_ms >= c->now_ms + ELECTION_TIMEOUT_MS);
  assert_true(cluster_server(c, 3)->wakeup_ms < c->now_ms + 2 * ELECTION_TIMEOUT_MS);
  cluster_free(c);
}

/* ---- What is refused ---- */

enum { LOG_N = 4 };

struct restoring {
  struct coracle_raft *raft;
  struct coracle_raft_restored restored;
  struct coracle_raft_snapshot snapshot;
  struct coracle_raft_entry *entries[LOG_N + 1];
};

static const struct coracle_raft_configuration two = {.members_n = 2,
                                                      .members = {{.id = 1, .voter = true}, {.id = 2}}};

static void put(struct restoring *r, size_t i, uint64_t index, uint64_t term) {
  if (r->entries[i] != NULL) coracle_raft_entry_unref(r->entries[i]);
  r->entries[i] = made_up_entry(index, term);
}

/* Terms 1 2 2 3, from index `first` on, at a server of term 3; and perhaps a snapshot at 7 of term 2. */
static void begin(struct restoring *r, uint64_t first, bool snapshot) {
  static const uint64_t terms[LOG_N] = {1, 2, 2, 3};
  const struct coracle_raft_options options = {.id = 1, .heartbeat_ms = 50, .election_timeout_ms = 500};
  *r = (struct restoring){0};
  assert_int_equal(coracle_raft_new(&options, &r->raft), 0);
  for (size_t i = 0; i < LOG_N; i++) put(r, i, first + i, terms[i]);
  r->snapshot = (struct coracle_raft_snapshot){
      .index = 7, .term = 2, .bytes = 10, .tag = 1, .configuration_index = 4, .configuration = two};
  r->restored = (struct coracle_raft_restored){.term = 3,
                                               .voted_for = 2,
                                               .snapshot = snapshot ? &r->snapshot : NULL,
                                               .entries = r->entries,
                                               .entries_n = LOG_N};
}

static int start(struct restoring *r, struct coracle_raft_effects *effects) {
  const struct coracle_raft_event event = {.type = CORACLE_RAFT_START, .start = {.restored = &r->restored}};
  return coracle_raft_step(r->raft, &event, effects);
}

static void end(struct restoring *r) {
  coracle_raft_free(r->raft);
  for (size_t i = 0; i <= LOG_N; i++)
    if (r->entries[i] != NULL) {
      assert_int_equal(r->entries[i]->references, 1); /* the core's were its own */
      coracle_raft_entry_unref(r->entries[i]);
    }
}

static void refused(struct restoring *r) {
  struct coracle_raft_effects effects;
  struct coracle_raft_status status;
  assert_int_equal(start(r, &effects), CORACLE_RAFT_EINVALID);
  coracle_raft_status(r->raft, 0, &status);
  assert_true(status.term == 0 && status.voted_for == 0 && status.last_index == 0);
  end(r);
}

static struct coracle_raft_status accepted(struct restoring *r, uint64_t commit_index) {
  struct coracle_raft_effects effects;
  struct coracle_raft_status status;
  assert_int_equal(start(r, &effects), 0);
  assert_int_equal(effects.commit_index, commit_index);
  assert_int_equal(effects.persist.sequence, 0);
  assert_int_equal(effects.messages_n, 0);
  coracle_raft_status(r->raft, 0, &status);
  assert_true(status.term == 3 && status.voted_for == 2 && status.commit_index == commit_index);
  return status;
}

static void what_was_durable_is_taken(void **state) {
  (void)state;
  struct restoring r;
  begin(&r, 1, false);
  struct coracle_raft_status status = accepted(&r, 0);
  assert_true(status.first_index == 1 && status.last_index == LOG_N && status.peers_n == 0);
  assert_int_equal(status.log_bytes, 2 * LOG_N);
  end(&r);

  begin(&r, 1, false); /* nothing but a vote */
  r.restored.entries_n = 0;
  status = accepted(&r, 0);
  assert_true(status.last_index == 0 && status.first_index == 1);
  end(&r);
}

/* The log begins at the snapshot, before it, or ends before it: what it misses then was committed without. */
static void a_log_and_its_snapshot(void **state) {
  (void)state;
  static const uint64_t terms_at_7[] = {3, 3, 3, 3, 2, 2, 1, 1}; /* or that could be there */
  for (uint64_t first = 1; first <= 8; first++) {
    struct restoring r;
    begin(&r, first, true);
    r.snapshot.term = terms_at_7[first - 1];
    const struct coracle_raft_status status = accepted(&r, 7);
    const bool ends_early = first + LOG_N - 1 < 7;
    assert_int_equal(status.first_index, ends_early ? 8 : first);
    assert_int_equal(status.last_index, ends_early ? 7 : first + LOG_N - 1);
    assert_int_equal(status.configuration_index, 4);
    assert_true(status.configuration_committed && status.voter && status.peers_n == 2);
    assert_int_equal(coracle_raft_snapshot(r.raft)->index, 7);
    assert_int_equal(coracle_raft_snapshot(r.raft)->tag, 1);
    end(&r);
  }
}

static void a_log_that_cannot_be_is_refused(void **state) {
  (void)state;
  struct restoring r;
  begin(&r, 1, false), put(&r, 2, 4, 2), refused(&r);       /* a gap */
  begin(&r, 1, false), put(&r, 2, 2, 2), refused(&r);       /* twice */
  begin(&r, 1, false), put(&r, 2, 3, 1), refused(&r);       /* terms fall */
  begin(&r, 1, false), put(&r, 0, 1, 0), refused(&r);       /* no term */
  begin(&r, 1, false), r.restored.term = 2, refused(&r);    /* of a term to come */
  begin(&r, 0, false), refused(&r);                         /* from 0 */
  begin(&r, 2, false), refused(&r);                         /* its beginning is missing */
  begin(&r, 1, false), r.entries[3]->type = 4, refused(&r); /* of a later version */
  begin(&r, 1, false), r.entries[3]->type = CORACLE_RAFT_CONFIGURATION, refused(&r);
  begin(&r, 1, false), r.restored.term = UINT64_MAX, refused(&r);
  begin(&r, 1, false), r.restored.entries_n = 0, r.restored.term = 0, refused(&r); /* a vote without a term */
}

static void a_snapshot_that_cannot_be_is_refused(void **state) {
  (void)state;
  struct restoring r;
  begin(&r, 9, true), refused(&r);                      /* a gap after it */
  begin(&r, 8, true), r.snapshot.term = 2, refused(&r); /* an older term after it */
  begin(&r, 7, true), refused(&r);                      /* another entry there */
  begin(&r, 6, true), r.snapshot.term = 1, refused(&r); /* a newer one before it */
  begin(&r, 6, true), r.snapshot.term = 4, refused(&r); /* of a term to come */
  begin(&r, 6, true), r.snapshot.term = 0, refused(&r);
  begin(&r, 6, true), r.snapshot.index = 0, refused(&r);
  begin(&r, 6, true), r.snapshot.configuration_index = 0, refused(&r);
  begin(&r, 6, true), r.snapshot.configuration_index = 8, refused(&r);
  begin(&r, 6, true), r.snapshot.configuration.members_n = 0, refused(&r);
  begin(&r, 6, true), r.snapshot.configuration.members[1].id = 1, refused(&r);
}

/* One founds or goes on, not both; a refused start may be followed by a better one, and then by none. */
static void a_start_is_one_thing(void **state) {
  (void)state;
  struct restoring r;
  struct coracle_raft_effects effects;
  begin(&r, 1, false);
  const struct coracle_raft_event both = {.type = CORACLE_RAFT_START, .start = {&two, &r.restored}};
  assert_int_equal(coracle_raft_step(r.raft, &both, &effects), CORACLE_RAFT_EINVALID);
  accepted(&r, 0);
  assert_int_equal(start(&r, &effects), CORACLE_RAFT_EINVALID);
  end(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_follower_comes_back),
      cmocka_unit_test(a_whole_cluster_comes_back),
      cmocka_unit_test(a_sole_voter_comes_back),
      cmocka_unit_test(a_write_that_nobody_heard_of_is_there),
      cmocka_unit_test(a_vote_survives),
      cmocka_unit_test(a_vote_that_was_not_durable_is_none),
      cmocka_unit_test(a_restored_log_is_durable),
      cmocka_unit_test(the_latest_configuration_is_in_force),
      cmocka_unit_test(a_server_that_was_restarted_waits_its_time),
      cmocka_unit_test(what_was_durable_is_taken),
      cmocka_unit_test(a_log_and_its_snapshot),
      cmocka_unit_test(a_log_that_cannot_be_is_refused),
      cmocka_unit_test(a_snapshot_that_cannot_be_is_refused),
      cmocka_unit_test(a_start_is_one_thing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
