/* Goal: leader and followers know of each other what they may: a leader that a majority no longer answers
 * steps down and no other does, whoever comes late is brought up to the present term, heartbeats commit only
 * what is known to be equal, and what makes no sense is dropped, counted and changes nothing. The invariants
 * of raft_history.h are checked at every step besides. */
#include "raft_cluster.h"

#include <string.h>

static struct coracle_raft_message message(enum coracle_raft_message_type type, uint64_t from, uint64_t to,
                                           uint64_t term) {
  return (struct coracle_raft_message){
      .type = (uint8_t)type, .from = from, .to = to, .term = term, .round = 1};
}

/* ---- Check-quorum ---- */

static void a_leader_without_a_majority_steps_down(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_isolate(c, 1);
  cluster_run(c, ELECTION_TIMEOUT_MS);
  assert_true(leads(c, 1)); /* it had its time to be heard again */
  cluster_run(c, ELECTION_TIMEOUT_MS + 2 * HEARTBEAT_MS);
  assert_false(leads(c, 1));
  assert_int_equal(status_of(c, 1)->term, 1);
  assert_int_equal(status_of(c, 1)->leader, 0);
  assert_int_equal(cluster_propose(c, 1, 1), CORACLE_RAFT_ENOTLEADER);
  cluster_free(c);
}

static void a_leader_with_a_majority_stays(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  cluster_isolate(c, 4);
  cluster_isolate(c, 5);
  cluster_run(c, 20 * ELECTION_TIMEOUT_MS);
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 1)->term, 1);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(status_of(c, 2)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* Learners that answer make no majority. */
static void learners_keep_no_leader(void **state) {
  (void)state;
  struct cluster *c = cluster_of(2, 1);
  uint64_t learners[3];
  cluster_isolate(c, 2);
  for (size_t i = 0; i < 3; i++) {
    learners[i] = cluster_add(c);
    cluster_block(c, learners[i], 2, true);
    cluster_block(c, 2, learners[i], true);
  }
  struct coracle_raft_configuration next = *coracle_raft_latest_configuration(cluster_server(c, 1)->raft);
  for (size_t i = 0; i < 3; i++)
    next.members[next.members_n++] = (struct coracle_raft_member){.id = learners[i]};
  assert_int_equal(cluster_change(c, 1, &next), 0);
  cluster_run(c, ELECTION_TIMEOUT_MS);
  assert_true(leads(c, 1) && status_of(c, learners[0])->hears_leader);
  cluster_run(c, 2 * ELECTION_TIMEOUT_MS);
  assert_false(leads(c, 1));
  cluster_free(c);
}

/* Slow disks alone cause no election: heartbeats rest on the term and vote only (etcd#7617, #7312). */
static void slow_disks_depose_nobody(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (uint64_t id = 1; id <= 3; id++) cluster_hold_disk(c, id, true);
  for (int i = 0; i < 20; i++) {
    assert_int_equal(cluster_propose(c, 1, 10), 0);
    cluster_run(c, ELECTION_TIMEOUT_MS / 2);
  }
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 2)->last_index, status_of(c, 1)->last_index);
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index - 20);
  for (uint64_t id = 1; id <= 3; id++) {
    assert_int_equal(status_of(c, id)->counters.elections, 0);
    cluster_hold_disk(c, id, false);
  }
  assert_int_equal(cluster_converge(c, 1), 1);
  assert_int_equal(status_of(c, 1)->term, 1);
  cluster_free(c);
}

/* Frames are contact too, in both directions: with all datagrams lost a busy leader stays. */
static void a_busy_stream_is_contact(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->no_datagrams = true;
  for (int i = 0; i < 50; i++) {
    assert_int_equal(cluster_propose(c, 1, 10), 0);
    cluster_run(c, ELECTION_TIMEOUT_MS / 4);
  }
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 2)->counters.elections + status_of(c, 3)->counters.elections, 0);
  cluster_free(c);
}

/* A connection that fails again and again makes its follower ask, but those who hear the leader refuse. */
static void a_flapping_stream_deposes_nobody(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (int i = 0; i < 20; i++) {
    cluster_cut(c, 1, 2);
    cluster_tell(c, 1, 2, AT_FOLLOWER);
    assert_false(status_of(c, 2)->hears_leader);
    assert_int_equal(cluster_campaign(c, 2), 0);
    cluster_run(c, HEARTBEAT_MS + HEARTBEAT_MS / 2);
    assert_true(status_of(c, 2)->hears_leader);
  }
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 1)->term, 1);
  cluster_free(c);
}

/* ---- Who comes late ---- */

/* The old leader has entries that nobody else got, the new one has others: it follows and gives its own
 * up. */
static void a_deposed_leader_follows(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 3);
  const uint64_t common = status_of(c, 1)->last_index;
  cluster_isolate(c, 1);
  for (int i = 0; i < 4; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, 3 * ELECTION_TIMEOUT_MS);
  const uint64_t leader = cluster_leader(c);
  assert_true(leader == 2 || leader == 3);
  assert_int_equal(cluster_propose(c, leader, 10), 0);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(status_of(c, 1)->last_index, common + 4);
  cluster_heal(c);
  assert_int_equal(cluster_converge(c, 2), leader);
  for (uint64_t index = common + 1; index <= status_of(c, leader)->last_index; index++)
    assert_int_equal(cluster_term_at(c, 1, index), cluster_term_at(c, leader, index));
  cluster_free(c);
}

/* A server alone in a newer term neither votes for the present leader nor follows it: its replies end that
 * term, and all meet in a newer one (etcd#8243, hashicorp/raft#605). */
static void a_server_of_a_newer_term_does_not_block(void **state) {
  (void)state;
  for (uint64_t id = 2; id <= 3; id++) {
    struct cluster *c = cluster_of(3, id);
    cluster_isolate(c, id);
    struct coracle_raft_message refusal = message(CORACLE_RAFT_VOTE_REPLY, 1, id, 9);
    assert_int_equal(cluster_receive(c, id, &refusal), 0);
    assert_int_equal(status_of(c, id)->term, 9);
    assert_int_equal(cluster_propose(c, 1, 10), 0); /* and its log is shorter, too */
    cluster_run(c, 2 * ELECTION_TIMEOUT_MS);
    assert_int_equal(status_of(c, 1)->term, 1);
    cluster_heal(c);
    cluster_run(c, 1);
    uint64_t leader = cluster_converge(c, 6);
    assert_true(status_of(c, leader)->term > 9);
    cluster_free(c);
  }
}

/* Datagrams and streams arrive and disks are done, for all but the streams of one server. */
static void settle_without(struct cluster *c, uint64_t leader, uint64_t without) {
  for (uint64_t id = 1; id <= c->servers_n; id++) {
    cluster_sync(c, leader);
    while (c->datagrams.n > 0) cluster_deliver_datagram(c, 0, false);
    if (id == leader || id == without) continue;
    while (cluster_find(c, leader, id, CORACLE_RAFT_APPEND) != NULL)
      cluster_deliver(c, leader, id, CORACLE_RAFT_APPEND);
    cluster_sync(c, id);
    while (cluster_find(c, id, leader, CORACLE_RAFT_APPEND_REPLY) != NULL)
      cluster_deliver(c, id, leader, CORACLE_RAFT_APPEND_REPLY);
  }
}

/* The same, where the leader came when the server was cut off: in that server's eyes it is no member, but it
 * must hear of the newer term all the same, for it can open no stream in an older one. */
static void a_leader_that_is_not_known_hears_of_the_newer_term(void **state) {
  (void)state;
  struct cluster *c = cluster_of(5, 1);
  c->links_by_hand = true;
  cluster_cut(c, 1, 3); /* the leader is not told: it takes 3 for in contact */
  const uint64_t id = cluster_add(c);
  assert_int_equal(cluster_add_member(c, 1, id), 0);
  cluster_open(c, 1, id);
  for (int ms = 0; ms < ELECTION_TIMEOUT_MS / 2; ms++, c->now_ms++) {
    settle_without(c, 1, 3);
    if (cluster_server(c, 1)->wakeup_ms <= c->now_ms) assert_int_equal(cluster_timeout(c, 1), 0);
  }
  assert_true(cluster_is_voter(c, 1, id) && status_of(c, 1)->configuration_committed);
  cluster_isolate(c, 3);
  cluster_crash(c, 1);
  c->links_by_hand = false;
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, id), 0);
  cluster_settle(c);
  assert_true(leads(c, id));
  assert_int_equal(status_of(c, 3)->peers_n, 5);

  struct coracle_raft_message refusal = message(CORACLE_RAFT_VOTE_REPLY, 2, 3, 9);
  assert_int_equal(cluster_receive(c, 3, &refusal), 0);
  assert_int_equal(status_of(c, 3)->term, 9);
  cluster_heal(c);
  cluster_run(c, 1);
  assert_true(status_of(c, cluster_converge(c, 6))->term > 9);
  cluster_free(c);
}

/* An old leader's messages are answered with the newer term. */
static void an_old_leader_hears_of_the_newer_term(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  struct coracle_raft_message refusal = message(CORACLE_RAFT_VOTE_REPLY, 1, 2, 4);
  assert_int_equal(cluster_receive(c, 2, &refusal), 0);
  cluster_sync(c, 2);
  struct coracle_raft_message late = message(CORACLE_RAFT_HEARTBEAT, 1, 2, 1);
  assert_int_equal(cluster_receive(c, 2, &late), 0);
  assert_int_equal(cluster_find(c, 2, 1, CORACLE_RAFT_HEARTBEAT_REPLY)->term, 4);
  assert_int_equal(status_of(c, 2)->leader, 0);
  cluster_deliver(c, 2, 1, CORACLE_RAFT_HEARTBEAT_REPLY);
  assert_false(leads(c, 1));
  assert_int_equal(status_of(c, 1)->term, 4);
  cluster_free(c);
}

/* Replies to heartbeats that this leadership never sent are no contact. */
static void replies_to_nothing_are_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->now_ms = cluster_server(c, 1)->wakeup_ms;
  assert_int_equal(cluster_timeout(c, 1), 0);
  const uint64_t round = cluster_find(c, 1, 2, CORACLE_RAFT_HEARTBEAT)->round;
  const uint64_t contact_ms = status_of(c, 1)->peers[1].last_contact_ms;
  assert_true(contact_ms < c->now_ms);
  const uint64_t rounds[] = {0, 1, round + 1, UINT64_MAX};
  for (size_t i = 0; i < sizeof rounds / sizeof rounds[0]; i++) {
    struct coracle_raft_message reply = message(CORACLE_RAFT_HEARTBEAT_REPLY, 2, 1, 1);
    reply.round = rounds[i];
    assert_int_equal(cluster_receive(c, 1, &reply), 0);
  }
  assert_int_equal(status_of(c, 1)->counters.dropped_stale, 4);
  assert_int_equal(status_of(c, 1)->peers[1].last_contact_ms, contact_ms);
  cluster_settle(c);
  assert_int_equal(status_of(c, 1)->peers[1].last_contact_ms, c->now_ms);
  cluster_free(c);
}

/* ---- What a heartbeat commits ---- */

/* min(match of that peer, commit): and the leader's own, to tell how old one is. */
static void a_heartbeat_commits_what_is_known_to_match(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t common = status_of(c, 1)->last_index;
  cluster_hold_disk(c, 3, true);
  for (int i = 0; i < 4; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  assert_int_equal(status_of(c, 1)->commit_index, common + 4); /* by 1 and 2 */
  c->now_ms = cluster_server(c, 1)->wakeup_ms + HEARTBEAT_MS;
  assert_int_equal(cluster_timeout(c, 1), 0);
  const struct coracle_raft_message *to_2 = cluster_find(c, 1, 2, CORACLE_RAFT_HEARTBEAT);
  const struct coracle_raft_message *to_3 = cluster_find(c, 1, 3, CORACLE_RAFT_HEARTBEAT);
  assert_int_equal(to_2->heartbeat.commit, common + 4);
  assert_int_equal(to_3->heartbeat.commit, common);
  assert_int_equal(to_3->heartbeat.leader_commit, common + 4);
  cluster_deliver(c, 1, 3, CORACLE_RAFT_HEARTBEAT);
  assert_int_equal(status_of(c, 3)->leader_commit, common + 4);
  cluster_free(c);
}

/* With the streams cut the heartbeats of a new leader reach a server whose log went another way, and commit
 * none of it (copycat#265, scylla#9965). */
static void a_heartbeat_commits_no_divergent_suffix(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t common = status_of(c, 1)->last_index;
  cluster_isolate(c, 1);
  for (int i = 0; i < 6; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, 3 * ELECTION_TIMEOUT_MS);
  const uint64_t leader = cluster_leader(c);
  assert_int_equal(cluster_propose(c, leader, 10), 0);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(status_of(c, leader)->commit_index, common + 2);
  c->links_by_hand = true;
  cluster_heal(c);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_int_equal(status_of(c, 1)->leader, leader);
  assert_int_equal(status_of(c, 1)->leader_commit, common + 2);
  assert_int_equal(status_of(c, 1)->commit_index, common);
  assert_int_equal(status_of(c, 1)->last_index, common + 6);
  c->links_by_hand = false;
  assert_int_equal(cluster_converge(c, 1), leader);
  cluster_free(c);
}

/* A commit index beyond the log makes no sense (etcd#13066, #16220): dropped, counted, and no contact. */
static void a_commit_beyond_the_log_is_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t last = status_of(c, 2)->last_index, commits[] = {last + 1, UINT64_MAX};
  for (size_t i = 0; i < 2; i++) {
    struct coracle_raft_message heartbeat = message(CORACLE_RAFT_HEARTBEAT, 1, 2, 2);
    heartbeat.heartbeat.commit = commits[i];
    assert_int_equal(cluster_receive(c, 2, &heartbeat), 0);
    assert_int_equal(status_of(c, 2)->counters.dropped_invalid, i + 1);
  }
  assert_int_equal(status_of(c, 2)->term, 1);
  assert_int_equal(status_of(c, 2)->commit_index, last);
  assert_int_equal(c->datagrams.n, 0);
  cluster_free(c);
}

/* ---- What makes no sense ---- */

/* A term that no cluster reaches by elections would be the last one for ever: never taken over from
 * anybody. */
static void terms_near_the_end_are_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t terms[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2 + 1};
  uint64_t dropped = 0;
  for (uint64_t id = 1; id <= 2; id++, dropped = 0) {
    for (size_t i = 0; i < 3; i++) {
      for (int type = CORACLE_RAFT_VOTE_REQUEST; type <= CORACLE_RAFT_APPEND_REPLY; type++) {
        struct coracle_raft_message m = message((enum coracle_raft_message_type)type, 3, id, terms[i]);
        assert_int_equal(cluster_receive(c, id, &m), 0);
        assert_int_equal(status_of(c, id)->counters.dropped_invalid, ++dropped);
      }
    }
    assert_int_equal(status_of(c, id)->term, 1);
    assert_int_equal(status_of(c, id)->leader, 1);
  }
  assert_int_equal(c->datagrams.n, 0);
  cluster_free(c);
}

static void messages_of_strangers_are_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (int type = CORACLE_RAFT_VOTE_REQUEST; type <= CORACLE_RAFT_APPEND_REPLY; type++) {
    const uint64_t before = status_of(c, 1)->counters.dropped_stranger;
    struct coracle_raft_message to_other = message((enum coracle_raft_message_type)type, 2, 3, 9);
    struct coracle_raft_message from_itself = message((enum coracle_raft_message_type)type, 1, 1, 9);
    struct coracle_raft_message from_nobody = message((enum coracle_raft_message_type)type, 0, 1, 9);
    assert_int_equal(cluster_receive(c, 1, &to_other), 0);
    assert_int_equal(cluster_receive(c, 1, &from_itself), 0);
    assert_int_equal(cluster_receive(c, 1, &from_nobody), 0);
    assert_int_equal(status_of(c, 1)->counters.dropped_stranger, before + 3);
  }
  struct coracle_raft_message of_no_member = message(CORACLE_RAFT_HEARTBEAT_REPLY, 9, 1, 1);
  assert_int_equal(cluster_receive(c, 1, &of_no_member), 0);
  of_no_member.type = CORACLE_RAFT_APPEND_REPLY;
  assert_int_equal(cluster_receive(c, 1, &of_no_member), 0);
  assert_int_equal(status_of(c, 1)->counters.dropped_stranger, 3 * 6 + 2);
  assert_int_equal(status_of(c, 1)->term, 1);
  assert_true(leads(c, 1));
  assert_int_equal(c->datagrams.n, 0);
  cluster_free(c);
}

static void unknown_messages_are_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(2, 1);
  const uint8_t types[] = {0, CORACLE_RAFT_SNAPSHOT_REPLY + 1, UINT8_MAX};
  for (size_t i = 0; i < sizeof types; i++) {
    struct coracle_raft_message m = {.type = types[i], .from = 1, .to = 2, .term = 9};
    assert_int_equal(cluster_receive(c, 2, &m), 0);
    assert_int_equal(status_of(c, 2)->counters.dropped_invalid, i + 1);
  }
  assert_int_equal(status_of(c, 2)->term, 1);
  cluster_free(c);
}

/* A heartbeat still on its way when the leader's process ended says nothing of its life: the followers go on.
 * One that comes a heartbeat later does, and so does a new stream. */
static void a_late_heartbeat_brings_no_leader_back(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  struct coracle_raft_message late = message(CORACLE_RAFT_HEARTBEAT, 1, 2, 1);
  struct coracle_raft_event ended = {.type = CORACLE_RAFT_LINK_DOWN, .peer = 1};
  assert_true(status_of(c, 2)->hears_leader);
  assert_int_equal(cluster_step(c, 2, &ended), 0);
  assert_int_equal(cluster_receive(c, 2, &late), 0);
  assert_false(status_of(c, 2)->hears_leader);
  assert_int_equal(status_of(c, 2)->counters.dropped_stale, 1);
  cluster_block(c, 1, 2, true);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(cluster_receive(c, 2, &late), 0);
  assert_true(status_of(c, 2)->hears_leader);
  cluster_free(c);
}

/* Datagrams of no member raise nobody's term, whatever they claim: replies, because only members are asked;
 * heartbeats, because a leader not known here comes by stream. */
static void a_strangers_datagrams_raise_no_term(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const enum coracle_raft_message_type types[] = {CORACLE_RAFT_HEARTBEAT, CORACLE_RAFT_HEARTBEAT_REPLY,
                                                  CORACLE_RAFT_VOTE_REPLY, CORACLE_RAFT_APPEND_REPLY};
  for (uint64_t id = 1; id <= 2; id++) {
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
      struct coracle_raft_message stranger = message(types[i], 9, id, 1000);
      assert_int_equal(cluster_receive(c, id, &stranger), 0);
      assert_int_equal(status_of(c, id)->counters.dropped_stranger, i + 1);
    }
    assert_int_equal(status_of(c, id)->term, 1);
    assert_int_equal(status_of(c, id)->leader, 1);
  }
  cluster_free(c);
}

/* A term has one leader: another's messages in it, or any in term 0, are nobody's. */
static void a_second_leader_of_a_term_is_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (uint64_t id = 1; id <= 2; id++) {
    struct coracle_raft_message heartbeat = message(CORACLE_RAFT_HEARTBEAT, 3, id, 1);
    struct coracle_raft_message append = message(CORACLE_RAFT_APPEND, 3, id, 1);
    assert_int_equal(cluster_receive(c, id, &heartbeat), 0);
    assert_int_equal(cluster_receive(c, id, &append), 0);
    assert_int_equal(status_of(c, id)->counters.dropped_invalid, 2);
    assert_int_equal(status_of(c, id)->leader, 1);
  }
  const uint64_t fresh = cluster_add(c);
  struct coracle_raft_message of_no_term = message(CORACLE_RAFT_APPEND, 1, fresh, 0);
  assert_int_equal(cluster_receive(c, fresh, &of_no_term), 0);
  of_no_term.type = CORACLE_RAFT_VOTE_REQUEST;
  assert_int_equal(cluster_receive(c, fresh, &of_no_term), 0);
  assert_int_equal(status_of(c, fresh)->counters.dropped_invalid, 2);
  assert_int_equal(status_of(c, fresh)->leader, 0);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_leader_without_a_majority_steps_down),
      cmocka_unit_test(a_leader_with_a_majority_stays),
      cmocka_unit_test(learners_keep_no_leader),
      cmocka_unit_test(slow_disks_depose_nobody),
      cmocka_unit_test(a_busy_stream_is_contact),
      cmocka_unit_test(a_flapping_stream_deposes_nobody),
      cmocka_unit_test(a_deposed_leader_follows),
      cmocka_unit_test(a_server_of_a_newer_term_does_not_block),
      cmocka_unit_test(a_leader_that_is_not_known_hears_of_the_newer_term),
      cmocka_unit_test(an_old_leader_hears_of_the_newer_term),
      cmocka_unit_test(replies_to_nothing_are_dropped),
      cmocka_unit_test(a_heartbeat_commits_what_is_known_to_match),
      cmocka_unit_test(a_heartbeat_commits_no_divergent_suffix),
      cmocka_unit_test(a_commit_beyond_the_log_is_dropped),
      cmocka_unit_test(terms_near_the_end_are_dropped),
      cmocka_unit_test(messages_of_strangers_are_dropped),
      cmocka_unit_test(unknown_messages_are_dropped),
      cmocka_unit_test(a_second_leader_of_a_term_is_dropped),
      cmocka_unit_test(a_strangers_datagrams_raise_no_term),
      cmocka_unit_test(a_late_heartbeat_brings_no_leader_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
