/* Goal: a read sees whatever anybody had committed when it began, at leaders, followers and learners, however
 * old the answers are that arrive meanwhile; it costs one round of heartbeats, shared by all that wait; and
 * each has one outcome, also when the leader is lost. The invariants of raft_history.h, those of reads among
 * them, are checked at every step besides. */
#include "raft_cluster.h"

enum { LEARNERS = 3, READS_LIMIT = 1024 };

static struct coracle_raft_message message(enum coracle_raft_message_type type, uint64_t from, uint64_t to,
                                           uint64_t term) {
  return (struct coracle_raft_message){.type = (uint8_t)type, .from = from, .to = to, .term = term};
}

static uint64_t begin_read(struct cluster *c, uint64_t id) {
  uint64_t read;
  assert_int_equal(cluster_read(c, id, &read), 0);
  return read;
}

static enum read_outcome outcome(const struct cluster *c, uint64_t read) {
  uint64_t index;
  return cluster_read_outcome(c, read, &index);
}

static uint64_t index_of(const struct cluster *c, uint64_t read) {
  uint64_t index;
  assert_int_equal(cluster_read_outcome(c, read, &index), READ_READY);
  return index;
}

static size_t underway(const struct cluster *c, enum coracle_raft_message_type type) {
  size_t n = 0;
  for (size_t i = 0; i < c->datagrams.n; i++) n += c->datagrams.at[i]->message.type == type;
  return n;
}

static void deliver_round(struct cluster *c, uint64_t from, uint64_t to) {
  cluster_deliver(c, from, to, CORACLE_RAFT_HEARTBEAT);
  cluster_deliver(c, to, from, CORACLE_RAFT_HEARTBEAT_REPLY);
}

/* ---- The leader ---- */

static void one_round_of_heartbeats_confirms_a_read(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t read = begin_read(c, 1);
  assert_int_equal(underway(c, CORACLE_RAFT_HEARTBEAT), 2); /* at once */
  assert_int_equal(outcome(c, read), READ_WAITING);
  deliver_round(c, 1, 3);
  assert_int_equal(index_of(c, read), status_of(c, 1)->commit_index);
  cluster_free(c);
}

/* In five, one answer is not enough. */
static void a_minority_confirms_nothing(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  const uint64_t read = begin_read(c, 1);
  deliver_round(c, 1, 2);
  assert_int_equal(outcome(c, read), READ_WAITING);
  deliver_round(c, 1, 5);
  assert_int_equal(outcome(c, read), READ_READY);
  cluster_free(c);
}

/* Those that come while a round is under way share the next one, which begins when that is confirmed. */
static void reads_share_the_next_round(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  uint64_t reads[10];
  for (size_t i = 0; i < 10; i++) reads[i] = begin_read(c, 1);
  assert_int_equal(underway(c, CORACLE_RAFT_HEARTBEAT), 2);
  deliver_round(c, 1, 2);
  assert_int_equal(outcome(c, reads[0]), READ_READY);
  for (size_t i = 1; i < 10; i++) assert_int_equal(outcome(c, reads[i]), READ_WAITING);
  assert_int_equal(underway(c, CORACLE_RAFT_HEARTBEAT), 1 + 2);
  deliver_round(c, 1, 2);
  for (size_t i = 1; i < 10; i++) assert_int_equal(outcome(c, reads[i]), READ_READY);
  assert_int_equal(cluster_reads_waiting(c), 0);
  cluster_free(c);
}

static void a_sole_voter_confirms_at_once(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  assert_int_equal(index_of(c, begin_read(c, 1)), status_of(c, 1)->commit_index);
  assert_int_equal(c->datagrams.n, 0);
  cluster_free(c);
}

/* Answers of learners count for nothing, however many they are. */
static void learners_confirm_nothing(void **state) {
  (void)state;
  struct cluster *c = cluster_of(2, 1);
  cluster_isolate(c, 2);
  struct coracle_raft_configuration next = *coracle_raft_latest_configuration(cluster_server(c, 1)->raft);
  for (size_t i = 0; i < LEARNERS; i++)
    next.members[next.members_n++] = (struct coracle_raft_member){.id = cluster_add(c)};
  assert_int_equal(cluster_change(c, 1, &next), 0);
  cluster_run(c, 2 * HEARTBEAT_MS);
  const uint64_t read = begin_read(c, 1);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_int_equal(outcome(c, read), READ_WAITING);
  cluster_heal(c);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_int_equal(outcome(c, read), READ_READY);
  cluster_free(c);
}

/* The round that carried the read is lost: another follows after a few milliseconds, not with the next
 * heartbeat. What was under way longer counts as well: its answer says as much about the read. */
static void a_lost_round_is_repeated(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t read = begin_read(c, 1);
  while (c->datagrams.n > 0) cluster_drop_datagram(c, 0);
  assert_true(cluster_server(c, 1)->wakeup_ms <= c->now_ms + 5);
  c->now_ms += 5;
  assert_int_equal(cluster_timeout(c, 1), 0);
  const uint64_t other = begin_read(c, 1);
  c->now_ms += 5;
  assert_int_equal(cluster_timeout(c, 1), 0);
  deliver_round(c, 1, 2); /* the second round */
  assert_int_equal(outcome(c, read), READ_READY);
  assert_int_equal(outcome(c, other), READ_WAITING);
  deliver_round(c, 1, 2); /* the third */
  assert_int_equal(outcome(c, other), READ_READY);
  cluster_run(c, HEARTBEAT_MS);
  assert_true(cluster_server(c, 1)->wakeup_ms > c->now_ms + 5); /* nothing more to repeat */
  cluster_free(c);
}

/* A reply to a heartbeat that was sent before the read came says nothing about it (etcd#20418). */
static void an_older_round_confirms_nothing(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->now_ms = cluster_server(c, 1)->wakeup_ms;
  assert_int_equal(cluster_timeout(c, 1), 0);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_HEARTBEAT);
  const uint64_t read = begin_read(c, 1);
  cluster_deliver(c, 2, 1, CORACLE_RAFT_HEARTBEAT_REPLY); /* late */
  cluster_deliver(c, 1, 3, CORACLE_RAFT_HEARTBEAT);       /* the older one of two */
  cluster_deliver(c, 3, 1, CORACLE_RAFT_HEARTBEAT_REPLY);
  assert_int_equal(outcome(c, read), READ_WAITING);
  deliver_round(c, 1, 2);
  assert_int_equal(outcome(c, read), READ_READY);
  cluster_free(c);
}

/* The same in earnest: the delayed reply is from before another leader took over and committed. */
static void a_delayed_reply_makes_no_stale_read(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->now_ms = cluster_server(c, 1)->wakeup_ms;
  assert_int_equal(cluster_timeout(c, 1), 0);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_HEARTBEAT);
  const struct coracle_raft_message delayed = *cluster_find(c, 2, 1, CORACLE_RAFT_HEARTBEAT_REPLY);
  cluster_isolate(c, 1);
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_true(leads(c, 2) && leads(c, 1));
  assert_int_equal(cluster_propose(c, 2, 1), 0);
  cluster_settle(c);
  assert_true(status_of(c, 2)->commit_index > status_of(c, 1)->commit_index);

  const uint64_t read = begin_read(c, 1);
  for (int i = 0; i < 3; i++) assert_int_equal(cluster_receive(c, 1, &delayed), 0);
  assert_int_equal(outcome(c, read), READ_WAITING);
  cluster_heal(c);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_int_equal(outcome(c, read), READ_FAILED);
  cluster_free(c);
}

/* A new leader does not know yet what its predecessors committed (section 6.4). */
static void a_new_leader_waits_for_an_entry_of_its_own(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  assert_int_equal(cluster_propose(c, 1, 1), 0);
  cluster_sync(c, 1);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  cluster_sync(c, 2);
  cluster_deliver(c, 2, 1, CORACLE_RAFT_APPEND_REPLY); /* committed, and only the leader knows */
  const uint64_t committed = status_of(c, 1)->commit_index;
  cluster_crash(c, 1);
  c->links_by_hand = true;
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_true(leads(c, 2) && status_of(c, 2)->commit_index < committed);

  const uint64_t read = begin_read(c, 2);
  cluster_run(c, 3 * HEARTBEAT_MS); /* its heartbeats are answered all the time */
  assert_int_equal(outcome(c, read), READ_WAITING);
  cluster_open(c, 2, 3);
  cluster_settle(c);
  assert_true(index_of(c, read) > committed);
  cluster_free(c);
}

/* Reads do not keep an old leader from noticing that nobody answers it. */
static void a_leader_that_reads_still_steps_down(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_isolate(c, 1);
  const uint64_t read = begin_read(c, 1);
  for (int i = 0; i < 2 * ELECTION_TIMEOUT_MS + 2 * HEARTBEAT_MS && leads(c, 1); i++) {
    begin_read(c, 1);
    cluster_run(c, 1);
  }
  assert_false(leads(c, 1));
  assert_int_equal(status_of(c, 1)->stepped_down, CORACLE_RAFT_NO_QUORUM);
  assert_int_equal(outcome(c, read), READ_FAILED);
  assert_int_equal(cluster_reads_waiting(c), 0);
  cluster_free(c);
}

/* Who is left alone needs nobody's answer any more. */
static void a_change_of_members_may_confirm(void **state) {
  (void)state;
  struct cluster *c = cluster_of(2, 1);
  cluster_isolate(c, 2);
  cluster_run(c, HEARTBEAT_MS);
  const uint64_t read = begin_read(c, 1);
  assert_int_equal(cluster_remove_member(c, 1, 2), 0);
  cluster_settle(c);
  c->now_ms += 5;
  assert_int_equal(cluster_timeout(c, 1), 0);
  assert_int_equal(outcome(c, read), READ_READY);
  cluster_free(c);
}

/* ---- Followers ---- */

static void a_follower_asks_its_leader(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  assert_int_equal(cluster_propose(c, 1, 1), 0);
  cluster_settle(c); /* committed; the followers hear of it in a moment */
  assert_true(status_of(c, 2)->commit_index < status_of(c, 1)->commit_index);
  const uint64_t read = begin_read(c, 2);
  cluster_deliver(c, 2, 1, CORACLE_RAFT_READ_REQUEST);
  assert_null(cluster_find(c, 1, 2, CORACLE_RAFT_READ_REPLY)); /* not before a round */
  deliver_round(c, 1, 3);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_READ_REPLY);
  assert_int_equal(index_of(c, read), status_of(c, 1)->commit_index);
  cluster_free(c);
}

/* One request is under way at a time; the reads that come meanwhile share the next. */
static void a_followers_reads_share_requests(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  uint64_t reads[5];
  for (size_t i = 0; i < 5; i++) reads[i] = begin_read(c, 3);
  cluster_deliver(c, 3, 1, CORACLE_RAFT_READ_REQUEST);
  assert_null(cluster_find(c, 3, 1, CORACLE_RAFT_READ_REQUEST));
  deliver_round(c, 1, 3);
  cluster_deliver(c, 1, 3, CORACLE_RAFT_READ_REPLY);
  assert_int_equal(outcome(c, reads[0]), READ_READY);
  for (size_t i = 1; i < 5; i++) assert_int_equal(outcome(c, reads[i]), READ_WAITING);
  cluster_settle(c);
  for (size_t i = 1; i < 5; i++) assert_int_equal(outcome(c, reads[i]), READ_READY);
  cluster_free(c);
}

/* Also of a learner, whose leader opened the stream before it knew of any configuration. */
static void a_learner_reads(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t learner = cluster_add(c);
  cluster_block(c, 3, 1, true); /* keeps it a learner */
  cluster_run(c, 1);
  assert_int_equal(cluster_add_member(c, 1, learner), 0);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_false(cluster_is_voter(c, 1, learner));
  const uint64_t read = begin_read(c, learner);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(index_of(c, read), status_of(c, 1)->commit_index);
  cluster_free(c);
}

static void without_a_leader_there_is_nobody_to_ask(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  uint64_t read;
  c->links_by_hand = true;
  cluster_cut(c, 1, 2);
  cluster_tell(c, 1, 2, AT_FOLLOWER);
  assert_int_equal(status_of(c, 2)->leader, 1);
  assert_int_equal(cluster_read(c, 2, &read), CORACLE_RAFT_ENOTLEADER); /* no stream to ask over */
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_true(status_of(c, 2)->hears_leader);
  assert_int_equal(cluster_read(c, 2, &read), CORACLE_RAFT_ENOTLEADER);
  cluster_open(c, 1, 2);
  assert_int_equal(cluster_read(c, 2, &read), 0);
  cluster_settle(c);
  assert_int_equal(outcome(c, read), READ_READY);

  cluster_isolate(c, 2);
  cluster_run(c, 3 * ELECTION_TIMEOUT_MS);
  assert_int_equal(status_of(c, 2)->leader, 0);
  assert_int_equal(cluster_read(c, 2, &read), CORACLE_RAFT_ENOTLEADER);
  const uint64_t fresh = cluster_add(c);
  assert_int_equal(cluster_read(c, fresh, &read), CORACLE_RAFT_ENOTLEADER);
  cluster_free(c);
}

static void the_end_of_the_stream_fails_what_was_asked(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t read = begin_read(c, 2), other = begin_read(c, 2);
  cluster_cut(c, 1, 2);
  cluster_tell(c, 1, 2, AT_FOLLOWER);
  assert_int_equal(outcome(c, read), READ_FAILED);
  assert_int_equal(outcome(c, other), READ_FAILED);
  cluster_settle(c);
  assert_int_equal(status_of(c, 2)->leader, 1);
  const uint64_t again = begin_read(c, 2);
  cluster_settle(c);
  assert_int_equal(outcome(c, again), READ_READY);
  cluster_free(c);
}

/* A stream that replaces another takes with it what was asked over that one. */
static void a_new_stream_fails_what_was_asked(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t read = begin_read(c, 2);
  struct coracle_raft_event up = {.type = CORACLE_RAFT_LINK_UP, .peer = 1};
  assert_int_equal(cluster_step(c, 2, &up), 0);
  assert_int_equal(outcome(c, read), READ_FAILED);
  cluster_settle(c); /* the answer to what was asked before is no answer to anything */
  assert_int_equal(status_of(c, 2)->counters.dropped_stale, 1);
  cluster_free(c);
}

static void another_leader_fails_what_was_asked(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t read = begin_read(c, 2);
  const struct coracle_raft_message newer = message(CORACLE_RAFT_HEARTBEAT, 3, 2, 5);
  assert_int_equal(cluster_receive(c, 2, &newer), 0);
  assert_int_equal(outcome(c, read), READ_FAILED);
  cluster_free(c);
}

/* A leader that does not know that it was deposed answers no follower. */
static void a_deposed_leader_answers_no_follower(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  for (uint64_t a = 1; a <= 2; a++) {
    for (uint64_t b = 3; b <= 5; b++) {
      cluster_block(c, a, b, true);
      cluster_block(c, b, a, true);
    }
  }
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, 4), 0);
  cluster_settle(c);
  assert_true(leads(c, 4) && leads(c, 1));
  assert_int_equal(cluster_propose(c, 4, 1), 0);
  cluster_settle(c);
  const uint64_t read = begin_read(c, 2);
  cluster_run(c, ELECTION_TIMEOUT_MS);
  assert_int_equal(outcome(c, read), READ_WAITING);
  cluster_run(c, 2 * ELECTION_TIMEOUT_MS);
  assert_false(leads(c, 1));
  assert_int_equal(outcome(c, read), READ_FAILED);
  cluster_free(c);
}

/* Answers of an older term, to another request, of somebody else, to nothing. */
static void what_answers_no_request_is_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_cut(c, 1, 2);
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, 3), 0); /* nobody votes: the leader is heard */
  cluster_settle(c);
  assert_true(leads(c, 1));
  const uint64_t read = begin_read(c, 2);
  const uint64_t request = cluster_find(c, 2, 1, CORACLE_RAFT_READ_REQUEST)->read_request.request;
  const uint64_t term = status_of(c, 2)->term, stale = status_of(c, 2)->counters.dropped_stale;
  struct coracle_raft_message bad[4];
  for (size_t i = 0; i < 4; i++) {
    bad[i] = message(CORACLE_RAFT_READ_REPLY, 1, 2, term);
    bad[i].read_reply.request = request;
    bad[i].read_reply.index = 1;
  }
  bad[0].term = term - 1;
  bad[1].read_reply.request = request - 1;
  bad[2].term = term + 1;
  bad[3].from = 3;
  for (size_t i = 0; i < 4; i++) assert_int_equal(cluster_receive(c, 2, &bad[i]), 0);
  assert_int_equal(outcome(c, read), READ_WAITING);
  assert_int_equal(status_of(c, 2)->term, term);
  assert_int_equal(status_of(c, 2)->counters.dropped_stale, stale + 3);
  assert_int_equal(status_of(c, 2)->counters.dropped_invalid, 1);
  cluster_settle(c);
  assert_int_equal(outcome(c, read), READ_READY);
  cluster_free(c);
}

/* Requests of strangers, of an older term, at a server that does not lead. */
static void requests_that_are_none_are_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  struct coracle_raft_message request = message(CORACLE_RAFT_READ_REQUEST, 9, 1, 1);
  assert_int_equal(cluster_receive(c, 1, &request), 0);
  assert_int_equal(status_of(c, 1)->counters.dropped_stranger, 1);
  request.from = 2;
  request.term = 0;
  assert_int_equal(cluster_receive(c, 1, &request), 0);
  assert_int_equal(status_of(c, 1)->counters.dropped_stale, 1);
  request.term = 1;
  request.to = 3;
  assert_int_equal(cluster_receive(c, 3, &request), 0);
  assert_int_equal(status_of(c, 3)->counters.dropped_stale, 1);
  assert_int_equal(c->datagrams.n, 0);
  request.to = 1; /* one that asks again and again has one request under way */
  for (uint64_t i = 0; i < 3 * READS_LIMIT; i++) {
    request.read_request.request = i;
    assert_int_equal(cluster_receive(c, 1, &request), 0);
  }
  assert_int_equal(underway(c, CORACLE_RAFT_HEARTBEAT), 2);
  deliver_round(c, 1, 2); /* of the first request */
  deliver_round(c, 1, 2);
  assert_int_equal(cluster_find(c, 1, 2, CORACLE_RAFT_READ_REPLY)->read_reply.request, 3 * READS_LIMIT - 1);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_READ_REPLY);
  assert_null(cluster_find(c, 1, 2, CORACLE_RAFT_READ_REPLY));
  cluster_free(c);
}

/* ---- Limits ---- */

static void too_many_reads_are_refused(void **state) {
  (void)state;
  for (uint64_t id = 1; id <= 2; id++) { /* the leader, a follower */
    struct cluster *c = cluster_of(3, 1);
    uint64_t read;
    for (size_t i = 0; i < READS_LIMIT; i++) begin_read(c, id);
    for (size_t i = 0; i < 3; i++) assert_int_equal(cluster_read(c, id, &read), CORACLE_RAFT_EBUSY);
    assert_int_equal(cluster_reads_waiting(c), READS_LIMIT);
    cluster_settle(c);
    assert_int_equal(cluster_reads_waiting(c), 0);
    assert_int_equal(c->reads_ready, READS_LIMIT);
    begin_read(c, id);
    cluster_free(c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(one_round_of_heartbeats_confirms_a_read),
      cmocka_unit_test(a_minority_confirms_nothing),
      cmocka_unit_test(reads_share_the_next_round),
      cmocka_unit_test(a_sole_voter_confirms_at_once),
      cmocka_unit_test(learners_confirm_nothing),
      cmocka_unit_test(a_lost_round_is_repeated),
      cmocka_unit_test(an_older_round_confirms_nothing),
      cmocka_unit_test(a_delayed_reply_makes_no_stale_read),
      cmocka_unit_test(a_new_leader_waits_for_an_entry_of_its_own),
      cmocka_unit_test(a_leader_that_reads_still_steps_down),
      cmocka_unit_test(a_change_of_members_may_confirm),
      cmocka_unit_test(a_follower_asks_its_leader),
      cmocka_unit_test(a_followers_reads_share_requests),
      cmocka_unit_test(a_learner_reads),
      cmocka_unit_test(without_a_leader_there_is_nobody_to_ask),
      cmocka_unit_test(the_end_of_the_stream_fails_what_was_asked),
      cmocka_unit_test(a_new_stream_fails_what_was_asked),
      cmocka_unit_test(another_leader_fails_what_was_asked),
      cmocka_unit_test(a_deposed_leader_answers_no_follower),
      cmocka_unit_test(what_answers_no_request_is_dropped),
      cmocka_unit_test(requests_that_are_none_are_dropped),
      cmocka_unit_test(too_many_reads_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
