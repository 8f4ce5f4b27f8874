/* Goal: servers elect as chapter 3 and section 9.6 of the dissertation say, and nothing late, doubled or lost
 * makes them elect two or none: one leader per term, no vote before it is durable, no healthy leader
 * disturbed. The invariants of raft_history.h are checked at every step besides. */
#include "raft_cluster.h"

#include <string.h>

static struct coracle_raft_message message(enum coracle_raft_message_type type, uint64_t from, uint64_t to,
                                           uint64_t term) {
  return (struct coracle_raft_message){
      .type = (uint8_t)type, .from = from, .to = to, .term = term, .round = 1};
}

static struct coracle_raft_message vote_request(uint64_t from, uint64_t to, uint64_t term, bool pre,
                                                uint64_t last_term, uint64_t last_index) {
  struct coracle_raft_message request = message(CORACLE_RAFT_VOTE_REQUEST, from, to, term);
  request.vote_request.pre = pre;
  request.vote_request.last_term = last_term;
  request.vote_request.last_index = last_index;
  return request;
}

/* The leader, server 1, is dead, and everybody has seen its stream end. */
static struct cluster *leaderless(size_t servers, uint64_t seed) {
  struct cluster *c = cluster_of(servers, seed);
  cluster_crash(c, 1);
  for (uint64_t id = 2; id <= servers; id++) cluster_tell(c, 1, id, AT_FOLLOWER);
  return c;
}

/* ---- Electing ---- */

/* A founder leads term 1 at once, but nothing is committed before its disk has it (etcd#14370). */
static void a_founder_leads_and_commits_when_durable(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  uint64_t id = cluster_found(c);
  const struct coracle_raft_status *status = status_of(c, id);
  assert_true(leads(c, id));
  assert_int_equal(status->term, 1);
  assert_int_equal(status->last_index, 2); /* the configuration and the no-op */
  assert_int_equal(cluster_propose(c, id, 8), 0);
  assert_int_equal(status->commit_index, 0);
  assert_false(status->committed_own_term);
  cluster_sync_to(c, id, 1);
  assert_int_equal(status->commit_index, 2);
  assert_true(status->configuration_committed && status->committed_own_term);
  cluster_sync(c, id);
  assert_int_equal(status->commit_index, 3);
  cluster_free(c);
}

/* Where the stream's end tells of the leader's death, its successor leads and commits before any time has
 * passed. */
static void the_end_of_the_stream_is_enough_to_elect(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (int i = 0; i < 5; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_converge(c, 1);
  const uint64_t committed = status_of(c, 1)->commit_index, died_ms = c->now_ms;
  cluster_crash(c, 1);
  cluster_settle(c);
  assert_false(status_of(c, 2)->hears_leader);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_true(leads(c, 2));
  assert_int_equal(status_of(c, 2)->term, 2);
  assert_int_equal(status_of(c, 2)->commit_index, committed + 1); /* with its no-op */
  assert_int_equal(status_of(c, 3)->leader, 2);
  assert_int_equal(c->now_ms, died_ms);
  assert_int_equal(cluster_propose(c, 2, 10), 0);
  assert_int_equal(cluster_converge(c, 1), 2);
  cluster_free(c);
}

/* A leader that falls silent without a word is missed after its election timeout, by whoever waits
 * shortest. */
static void silence_elects_too(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct cluster *c = cluster_of(3, seed);
    const uint64_t heard_ms = c->now_ms;
    for (uint64_t id = 2; id <= 3; id++) { /* datagrams only: the streams stay open */
      c->blocked[1][id] = c->blocked[id][1] = true;
    }
    while (!leads(c, 2) && !leads(c, 3) && c->now_ms < heard_ms + 3 * ELECTION_TIMEOUT_MS) cluster_run(c, 1);
    assert_true(c->now_ms >= heard_ms + ELECTION_TIMEOUT_MS - HEARTBEAT_MS);
    assert_true(leads(c, 2) || leads(c, 3));
    cluster_free(c);
  }
}

/* Two candidates of one term, one vote each. They wait anew, each its own time, and one of them wins. */
static void a_split_vote_resolves(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 50; seed++) {
    struct cluster *c = leaderless(3, seed);
    assert_int_equal(cluster_campaign(c, 2), 0);
    assert_int_equal(cluster_campaign(c, 3), 0);
    cluster_settle(c);
    assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
    assert_int_equal(status_of(c, 3)->role, CORACLE_RAFT_CANDIDATE);
    assert_int_equal(status_of(c, 2)->voted_for, 2);
    assert_int_equal(status_of(c, 3)->voted_for, 3);
    cluster_converge(c, 10);
    assert_true(status_of(c, 2)->term < 6);
    cluster_free(c);
  }
}

/* Requests that got lost are sent again a heartbeat later, to those who have not granted. */
static void lost_requests_are_repeated(void **state) {
  (void)state;
  struct cluster *c = leaderless(5, 1);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_deliver(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST);
  cluster_deliver(c, 3, 2, CORACLE_RAFT_VOTE_REPLY);
  while (c->datagrams.n > 0) cluster_drop_datagram(c, 0);
  c->now_ms += HEARTBEAT_MS;
  assert_true(cluster_server(c, 2)->wakeup_ms <= c->now_ms);
  assert_int_equal(cluster_timeout(c, 2), 0);
  assert_null(cluster_find(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST));
  assert_non_null(cluster_find(c, 2, 4, CORACLE_RAFT_VOTE_REQUEST));
  cluster_settle(c);
  assert_true(leads(c, 2));
  cluster_free(c);
}

/* ---- Pre-votes ---- */

/* Ten election timeouts alone neither raise a server's term nor make it a danger to the leader when it is
 * back. */
static void pre_vote_does_not_disturb_a_healthy_leader(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 2);
  cluster_isolate(c, 3);
  cluster_run(c, 10 * ELECTION_TIMEOUT_MS);
  assert_true(status_of(c, 3)->counters.elections >= 5);
  assert_int_equal(status_of(c, 3)->term, 1);
  assert_int_equal(status_of(c, 3)->leader, 0);
  cluster_heal(c);
  assert_int_equal(cluster_converge(c, 1), 1);
  assert_int_equal(status_of(c, 1)->term, 1);
  cluster_free(c);
}

static void nobody_campaigns_while_the_leader_is_heard(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  assert_int_equal(cluster_campaign(c, 2), 0);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_FOLLOWER);
  assert_int_equal(status_of(c, 2)->counters.elections, 0);
  assert_int_equal(c->datagrams.n, 0);
  cluster_free(c);
}

/* The asker saw the dead leader's stream end a moment earlier than the asked: the refusal is taken back as
 * soon as the asked has seen it too. */
static void a_premature_pre_vote_is_answered_again(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t died_ms = c->now_ms;
  cluster_crash(c, 1);
  cluster_tell(c, 1, 2, AT_FOLLOWER);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_deliver(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST);
  assert_false(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
  cluster_deliver(c, 3, 2, CORACLE_RAFT_VOTE_REPLY);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_PRE_CANDIDATE);
  cluster_tell(c, 1, 3, AT_FOLLOWER);
  assert_true(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
  cluster_settle(c);
  assert_true(leads(c, 2));
  assert_int_equal(c->now_ms, died_ms);
  cluster_free(c);
}

/* A heartbeat later the asker has asked again or given up: old questions get no answer. */
/* Also of one who has given up meanwhile, since too many had refused. */
static void a_pre_candidate_that_gave_up_goes_on(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  c->links_by_hand = true;
  cluster_crash(c, 1);
  cluster_tell(c, 1, 2, AT_FOLLOWER);
  assert_int_equal(cluster_campaign(c, 2), 0);
  for (uint64_t id = 3; id <= 5; id++) {
    cluster_deliver(c, 2, id, CORACLE_RAFT_VOTE_REQUEST);
    cluster_deliver(c, id, 2, CORACLE_RAFT_VOTE_REPLY);
  }
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_FOLLOWER);
  cluster_tell(c, 1, 3, AT_FOLLOWER);
  cluster_deliver(c, 3, 2, CORACLE_RAFT_VOTE_REPLY);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_PRE_CANDIDATE);
  assert_true(cluster_server(c, 2)->wakeup_ms <= c->now_ms + HEARTBEAT_MS); /* it asks again */
  cluster_tell(c, 1, 4, AT_FOLLOWER);
  cluster_deliver(c, 4, 2, CORACLE_RAFT_VOTE_REPLY);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  const uint64_t now_ms = c->now_ms;
  cluster_settle(c);
  assert_true(leads(c, 2) && c->now_ms == now_ms);
  cluster_free(c);
}

static void an_old_premature_pre_vote_is_forgotten(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_crash(c, 1);
  cluster_tell(c, 1, 2, AT_FOLLOWER);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_deliver(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST);
  cluster_deliver(c, 3, 2, CORACLE_RAFT_VOTE_REPLY);
  c->now_ms += HEARTBEAT_MS;
  cluster_tell(c, 1, 3, AT_FOLLOWER);
  assert_null(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY));
  cluster_free(c);
}

/* Server 3 may ask first, but server 2 has an entry that it lacks: refusing, 2 asks itself, and leads at
 * once. */
static void a_voter_with_the_newer_log_campaigns_itself(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  const uint64_t newest = status_of(c, 2)->last_index;
  cluster_crash(c, 1);
  cluster_tell(c, 1, 2, AT_FOLLOWER);
  cluster_cut(c, 1, 3); /* with the append that was underway */
  cluster_tell(c, 1, 3, AT_FOLLOWER);
  assert_int_equal(status_of(c, 3)->last_index, newest - 1);
  assert_int_equal(cluster_campaign(c, 3), 0);
  cluster_settle(c);
  assert_true(leads(c, 2));
  assert_int_equal(cluster_converge(c, 1), 2);
  assert_int_equal(cluster_term_at(c, 3, newest), 1);
  cluster_free(c);
}

/* It is no promise: the term, the vote and the time-out stay as they were, and others are granted too
 * (hashicorp/raft#609, canonical/raft 98d8f51). */
static void granting_a_pre_vote_changes_nothing(void **state) {
  (void)state;
  struct cluster *c = leaderless(3, 1);
  const uint64_t wakeup_ms = cluster_server(c, 3)->wakeup_ms, last = status_of(c, 3)->last_index;
  c->now_ms += 10;
  for (uint64_t from = 1; from <= 2; from++) {
    struct coracle_raft_message request = vote_request(from, 3, 2, true, 1, last);
    assert_int_equal(cluster_receive(c, 3, &request), 0);
    assert_true(cluster_find(c, 3, from, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
  }
  assert_int_equal(status_of(c, 3)->term, 1);
  assert_int_equal(status_of(c, 3)->voted_for, 0);
  assert_int_equal(status_of(c, 3)->role, CORACLE_RAFT_FOLLOWER);
  assert_int_equal(cluster_server(c, 3)->wakeup_ms, wakeup_ms);
  cluster_free(c);
}

/* A candidate cut off right after its pre-vote was won has raised its term once; it asks for pre-votes again,
 * and goes no further however long it is alone (canonical/raft#196). */
static void a_lonely_candidate_keeps_its_term(void **state) {
  (void)state;
  struct cluster *c = leaderless(3, 1);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_deliver(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST);
  cluster_deliver(c, 3, 2, CORACLE_RAFT_VOTE_REPLY);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  assert_int_equal(status_of(c, 2)->term, 2);
  cluster_isolate(c, 2);
  cluster_run(c, 20 * ELECTION_TIMEOUT_MS);
  assert_int_equal(status_of(c, 2)->term, 2);
  cluster_heal(c);
  cluster_converge(c, 6);
  cluster_free(c);
}

/* A majority that refuses ends the asking at once: the election address is for somebody else. */
static void who_cannot_win_stops_asking(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  cluster_block(c, 1, 2, true); /* the others hear their leader */
  cluster_tell(c, 1, 2, AT_FOLLOWER);
  assert_int_equal(cluster_campaign(c, 2), 0);
  for (uint64_t id = 3; id <= 4; id++) {
    cluster_deliver(c, 2, id, CORACLE_RAFT_VOTE_REQUEST);
    cluster_deliver(c, id, 2, CORACLE_RAFT_VOTE_REPLY);
  }
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_PRE_CANDIDATE); /* 2, 1 and 5 may still agree */
  cluster_deliver(c, 2, 5, CORACLE_RAFT_VOTE_REQUEST);
  cluster_deliver(c, 5, 2, CORACLE_RAFT_VOTE_REPLY);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_FOLLOWER);
  assert_true(cluster_server(c, 2)->wakeup_ms >= c->now_ms + ELECTION_TIMEOUT_MS);
  assert_int_equal(status_of(c, 2)->term, 1);
  cluster_free(c);
}

/* ---- Votes ---- */

/* The request waits for the candidate's own vote, and the grant for the voter's (robustmq#2039). */
static void no_vote_leaves_before_it_is_durable(void **state) {
  (void)state;
  struct cluster *c = leaderless(3, 1);
  cluster_hold_disk(c, 2, true);
  cluster_hold_disk(c, 3, true);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  assert_int_equal(status_of(c, 3)->term, 1); /* was not asked */
  cluster_sync(c, 2);
  assert_non_null(cluster_find(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST));
  cluster_settle(c);
  assert_int_equal(status_of(c, 3)->voted_for, 2);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE); /* got no answer */
  cluster_sync(c, 3);
  assert_true(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
  cluster_settle(c);
  assert_true(leads(c, 2));
  cluster_free(c);
}

/* Should grants come all the same, from an earlier life of the request, the own vote is no part of the
 * majority yet. */
static void the_own_vote_counts_when_it_is_durable(void **state) {
  (void)state;
  struct cluster *c = leaderless(3, 1);
  cluster_hold_disk(c, 2, true);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  struct coracle_raft_message grant = message(CORACLE_RAFT_VOTE_REPLY, 3, 2, 2);
  grant.round = cluster_server(c, 2)->held.at[0]->message.round;
  grant.vote_reply.granted = true;
  assert_int_equal(cluster_receive(c, 2, &grant), 0);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  cluster_sync(c, 2);
  assert_true(leads(c, 2));
  cluster_free(c);
}

/* A sole voter needs nobody else, but its disk. */
static void a_sole_voter_leads_when_its_vote_is_durable(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  struct coracle_raft_message newer = message(CORACLE_RAFT_APPEND, 9, 1, 7);
  assert_int_equal(cluster_receive(c, 1, &newer), 0);
  assert_int_equal(status_of(c, 1)->role, CORACLE_RAFT_FOLLOWER);
  assert_int_equal(status_of(c, 1)->term, 7);
  cluster_hold_disk(c, 1, true);
  cluster_run(c, 5 * ELECTION_TIMEOUT_MS);
  assert_false(leads(c, 1));
  assert_int_equal(cluster_propose(c, 1, 1), CORACLE_RAFT_ENOTLEADER);
  cluster_sync(c, 1);
  assert_true(leads(c, 1));
  cluster_free(c);
}

/* The datagram may come thrice, it is one server's vote (xraft#27); of five, three are needed. */
static void a_doubled_reply_counts_once(void **state) {
  (void)state;
  struct cluster *c = leaderless(5, 1);
  struct coracle_raft_message reply;
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_deliver(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST);
  reply = *cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY);
  for (int i = 0; i < 3; i++) assert_int_equal(cluster_receive(c, 2, &reply), 0);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_PRE_CANDIDATE);
  cluster_deliver(c, 2, 4, CORACLE_RAFT_VOTE_REQUEST);
  cluster_deliver(c, 4, 2, CORACLE_RAFT_VOTE_REPLY);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  while (c->datagrams.n > 0) cluster_drop_datagram(c, 0);

  cluster_sync(c, 2);
  cluster_deliver(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST);
  cluster_sync(c, 3);
  reply = *cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY);
  for (int i = 0; i < 3; i++) assert_int_equal(cluster_receive(c, 2, &reply), 0);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  cluster_settle(c);
  assert_true(leads(c, 2));
  cluster_free(c);
}

/* Grants of the pre-vote that come when the vote is underway, of an earlier round, or refusals turned about:
 * none of them is a vote (canonical/raft 0ed4553). */
static void a_late_pre_vote_grant_is_no_vote(void **state) {
  (void)state;
  struct cluster *c = leaderless(5, 1);
  assert_int_equal(cluster_campaign(c, 2), 0);
  for (uint64_t id = 3; id <= 5; id++) cluster_deliver(c, 2, id, CORACLE_RAFT_VOTE_REQUEST);
  cluster_deliver(c, 3, 2, CORACLE_RAFT_VOTE_REPLY);
  cluster_deliver(c, 4, 2, CORACLE_RAFT_VOTE_REPLY);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  cluster_sync(c, 2);
  cluster_deliver(c, 5, 2, CORACLE_RAFT_VOTE_REPLY); /* of the pre-vote */
  assert_int_equal(status_of(c, 2)->counters.dropped_stale, 1);

  const uint64_t round = cluster_find(c, 2, 3, CORACLE_RAFT_VOTE_REQUEST)->round;
  for (uint64_t id = 3; id <= 5; id++) {
    struct coracle_raft_message pre = message(CORACLE_RAFT_VOTE_REPLY, id, 2, 2);
    pre.round = round;
    pre.vote_reply.pre = pre.vote_reply.granted = true;
    assert_int_equal(cluster_receive(c, 2, &pre), 0);
    struct coracle_raft_message old = message(CORACLE_RAFT_VOTE_REPLY, id, 2, 2);
    old.round = round - 1;
    old.vote_reply.granted = true;
    assert_int_equal(cluster_receive(c, 2, &old), 0);
  }
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_CANDIDATE);
  assert_int_equal(status_of(c, 2)->counters.dropped_stale, 7);
  cluster_settle(c);
  assert_true(leads(c, 2));
  cluster_free(c);
}

/* A learner's vote may be given, and is not counted. */
static void a_learners_vote_does_not_count(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t learner = cluster_add(c);
  cluster_isolate(c, 3); /* so that the learner stays one */
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(cluster_add_member(c, 1, learner), 0);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(status_of(c, learner)->last_index, status_of(c, 1)->last_index);
  cluster_isolate(c, 1);
  cluster_run(c, 5 * ELECTION_TIMEOUT_MS); /* 2 can ask only the learner */
  assert_int_equal(cluster_leader(c), 0);
  assert_int_equal(status_of(c, 2)->term, 1);
  assert_false(leads(c, 2));
  struct coracle_raft_message request = vote_request(2, learner, 2, false, 1, status_of(c, 2)->last_index);
  assert_int_equal(cluster_receive(c, learner, &request), 0);
  assert_int_equal(status_of(c, learner)->voted_for, 2); /* section 4.2.1 */

  /* And should it be counted, two of four servers would elect. */
  struct coracle_raft_message grant = message(CORACLE_RAFT_VOTE_REPLY, learner, 2, 2);
  grant.vote_reply.pre = grant.vote_reply.granted = true;
  while (c->datagrams.n > 0) cluster_drop_datagram(c, 0);
  assert_int_equal(cluster_timeout(c, 2), 0);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_PRE_CANDIDATE);
  c->now_ms += HEARTBEAT_MS;
  assert_int_equal(cluster_timeout(c, 2), 0);
  grant.round = c->datagrams.at[0]->message.round;
  assert_int_equal(cluster_receive(c, 2, &grant), 0);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_PRE_CANDIDATE);
  assert_true(status_of(c, 2)->counters.dropped_stranger > 0);
  cluster_free(c);
}

/* The restriction of section 3.6.1, spelled out: the last terms decide, then the lengths. */
static void votes_go_to_logs_as_up_to_date(void **state) {
  (void)state;
  struct cluster *c = leaderless(3, 1);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  cluster_crash(c, 2);
  cluster_tell(c, 2, 3, AT_FOLLOWER);
  const uint64_t last = status_of(c, 3)->last_index;
  const struct {
    uint64_t term, index;
    bool granted;
  } cases[] = {
      {1, last + 100, false}, {2, last - 1, false}, {2, last, true}, {2, last + 1, true}, {3, 1, true}};
  assert_int_equal(cluster_term_at(c, 3, last), 2);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    for (int pre = 1; pre >= 0; pre--) {
      struct coracle_raft_message request =
          vote_request(2, 3, 3 + i, pre == 1, cases[i].term, cases[i].index);
      assert_int_equal(cluster_receive(c, 3, &request), 0);
      cluster_sync(c, 3);
      assert_int_equal(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted, cases[i].granted);
      while (c->datagrams.n > 0) cluster_drop_datagram(c, 0);
      if (status_of(c, 3)->role != CORACLE_RAFT_FOLLOWER) { /* it asks itself when it refuses */
        struct coracle_raft_message newer = message(CORACLE_RAFT_VOTE_REPLY, 2, 3, 3 + i);
        assert_int_equal(cluster_receive(c, 3, &newer), 0);
        if (pre == 1) continue;
      }
    }
  }
  cluster_free(c);
}

/* One vote per term: not a second for another, the same again for a doubled request, and the vote outlives
 * the leadership it was cast for (CCF#8094, akka-raft#56). */
static void a_vote_is_cast_once(void **state) {
  (void)state;
  struct cluster *c = leaderless(3, 1);
  const uint64_t last = status_of(c, 3)->last_index;
  for (int i = 0; i < 2; i++) {
    struct coracle_raft_message mine = vote_request(2, 3, 2, false, 1, last);
    struct coracle_raft_message other = vote_request(1, 3, 2, false, 1, last + 5);
    assert_int_equal(cluster_receive(c, 3, &mine), 0);
    assert_int_equal(cluster_receive(c, 3, &other), 0);
    cluster_sync(c, 3);
    assert_true(cluster_find(c, 3, 2, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
    assert_false(cluster_find(c, 3, 1, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
    assert_int_equal(status_of(c, 3)->voted_for, 2);
  }
  cluster_free(c);

  c = cluster_of(3, 1);
  cluster_isolate(c, 1);
  cluster_hold_disk(c, 2, true); /* no other leader meanwhile */
  cluster_hold_disk(c, 3, true);
  cluster_run(c, 4 * ELECTION_TIMEOUT_MS);
  assert_int_equal(status_of(c, 1)->role == CORACLE_RAFT_LEADER, false);
  assert_int_equal(status_of(c, 1)->term, 1);
  assert_int_equal(status_of(c, 1)->voted_for, 1);
  struct coracle_raft_message request = vote_request(2, 1, 1, false, 9, 99);
  assert_int_equal(cluster_receive(c, 1, &request), 0);
  assert_false(cluster_find(c, 1, 2, CORACLE_RAFT_VOTE_REPLY)->vote_reply.granted);
  cluster_free(c);
}

/* Whoever has voted gives the candidate its time (jgroups-raft#45). */
static void granting_a_vote_renews_the_timeout(void **state) {
  (void)state;
  struct cluster *c = leaderless(3, 1);
  const uint64_t last = status_of(c, 3)->last_index;
  struct coracle_raft_message shorter = vote_request(1, 3, 2, false, 1, last - 1);
  assert_int_equal(cluster_receive(c, 3, &shorter),
                   0); /* the newer term itself renews it too: not in question here */
  assert_int_equal(status_of(c, 3)->term, 2);
  c->now_ms = cluster_server(c, 3)->wakeup_ms - 1;
  assert_int_equal(cluster_receive(c, 3, &shorter), 0);
  assert_true(cluster_server(c, 3)->wakeup_ms == c->now_ms + 1); /* a refusal does not */
  struct coracle_raft_message request = vote_request(2, 3, 2, false, 1, last);
  assert_int_equal(cluster_receive(c, 3, &request), 0);
  assert_int_equal(status_of(c, 3)->voted_for, 2);
  assert_true(cluster_server(c, 3)->wakeup_ms >= c->now_ms + ELECTION_TIMEOUT_MS);
  assert_true(cluster_server(c, 3)->wakeup_ms < c->now_ms + 2 * ELECTION_TIMEOUT_MS);
  cluster_free(c);
}

/* Section 4.2.3: a rival's term and request leave a follower and a leader cold while the leader is heard; but
 * one of an older term is told so. */
static void rivals_of_a_leader_that_is_heard_get_no_answer(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (uint64_t id = 1; id <= 2; id++) {
    struct coracle_raft_message request = vote_request(3, id, 5, false, 9, 99);
    assert_int_equal(cluster_receive(c, id, &request), 0);
    assert_int_equal(status_of(c, id)->term, 1);
    assert_null(cluster_find(c, id, 3, CORACLE_RAFT_VOTE_REPLY));
  }
  assert_true(leads(c, 1));
  cluster_crash(c, 1);
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  struct coracle_raft_message request = vote_request(3, 2, 1, false, 9, 99);
  assert_int_equal(cluster_receive(c, 2, &request), 0);
  const struct coracle_raft_message *reply = cluster_find(c, 2, 3, CORACLE_RAFT_VOTE_REPLY);
  assert_false(reply->vote_reply.granted);
  assert_int_equal(reply->term, 2);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_founder_leads_and_commits_when_durable),
      cmocka_unit_test(the_end_of_the_stream_is_enough_to_elect),
      cmocka_unit_test(silence_elects_too),
      cmocka_unit_test(a_split_vote_resolves),
      cmocka_unit_test(lost_requests_are_repeated),
      cmocka_unit_test(pre_vote_does_not_disturb_a_healthy_leader),
      cmocka_unit_test(nobody_campaigns_while_the_leader_is_heard),
      cmocka_unit_test(a_premature_pre_vote_is_answered_again),
      cmocka_unit_test(a_pre_candidate_that_gave_up_goes_on),
      cmocka_unit_test(an_old_premature_pre_vote_is_forgotten),
      cmocka_unit_test(a_voter_with_the_newer_log_campaigns_itself),
      cmocka_unit_test(granting_a_pre_vote_changes_nothing),
      cmocka_unit_test(a_lonely_candidate_keeps_its_term),
      cmocka_unit_test(who_cannot_win_stops_asking),
      cmocka_unit_test(no_vote_leaves_before_it_is_durable),
      cmocka_unit_test(the_own_vote_counts_when_it_is_durable),
      cmocka_unit_test(a_sole_voter_leads_when_its_vote_is_durable),
      cmocka_unit_test(a_doubled_reply_counts_once),
      cmocka_unit_test(a_late_pre_vote_grant_is_no_vote),
      cmocka_unit_test(a_learners_vote_does_not_count),
      cmocka_unit_test(votes_go_to_logs_as_up_to_date),
      cmocka_unit_test(a_vote_is_cast_once),
      cmocka_unit_test(granting_a_vote_renews_the_timeout),
      cmocka_unit_test(rivals_of_a_leader_that_is_heard_get_no_answer),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
