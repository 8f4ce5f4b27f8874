/* Goal: whatever logs a leader finds, it makes them equal to its own without losing what was acknowledged or
 * committed: the paper's figures 7 and 8 among them (3.6 and 3.7 of the dissertation), late and doubled
 * appends and replies, disks that are done late. The invariants of raft_history.h are checked at every step
 * besides. */
#include "raft_append.h"

#include <string.h>

static uint64_t match_of(const struct cluster *c, uint64_t leader, uint64_t id) {
  const struct coracle_raft_status *status = status_of(c, leader);
  for (size_t i = 0; i < status->peers_n; i++)
    if (status->peers[i].id == id) return status->peers[i].match;
  return 0;
}

static void assert_equal_logs(const struct cluster *c, uint64_t a, uint64_t b) {
  assert_int_equal(status_of(c, a)->last_index, status_of(c, b)->last_index);
  for (uint64_t index = 1; index <= status_of(c, a)->last_index; index++)
    assert_int_equal(cluster_term_at(c, a, index), cluster_term_at(c, b, index));
}

/* The streams take what they have, one way and the other, until nothing moves. */
static void pump(struct cluster *c, uint64_t leader, uint64_t follower) {
  for (;;) {
    cluster_sync(c, follower);
    if (cluster_find(c, leader, follower, CORACLE_RAFT_APPEND) != NULL)
      cluster_deliver(c, leader, follower, CORACLE_RAFT_APPEND);
    else if (cluster_find(c, follower, leader, CORACLE_RAFT_APPEND_REPLY) != NULL)
      cluster_deliver(c, follower, leader, CORACLE_RAFT_APPEND_REPLY);
    else
      return;
  }
}

/* ---- Figure 7 ---- */

enum { MADE_UP_LEADERS = 40, FIGURE_SERVERS = 7 };

/* The terms of each log in the figure; server 1 is the leader of term 8. */
static const char *const figure_7[FIGURE_SERVERS] = {"1114455666",   "111445566", "1114",       "11144556666",
                                                     "111445566677", "1114444",   "11122233333"};

static struct coracle_raft_entry *seven_voters(void) {
  struct coracle_raft_configuration configuration = {.members_n = FIGURE_SERVERS};
  for (uint64_t id = 1; id <= FIGURE_SERVERS; id++)
    configuration.members[id - 1] = (struct coracle_raft_member){.id = id, .voter = true};
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&configuration);
  entry->index = entry->term = 1;
  return entry;
}

/* One append for each run of equal terms, from the leader that term had. The first entry is the
 * configuration. */
static void give_log(struct cluster *c, uint64_t id, const char *terms) {
  for (size_t i = 0; terms[i] != '\0';) {
    const uint64_t term = (uint64_t)(terms[i] - '0');
    const size_t run = strspn(terms + i, (char[]){terms[i], '\0'});
    struct made_up_append append = {0};
    made_up_append(&append, MADE_UP_LEADERS + term, id, term, i, i > 0 ? (uint64_t)(terms[i - 1] - '0') : 0);
    made_up_entries(&append, term, run);
    if (i == 0) {
      coracle_raft_entry_unref(append.entries[0]);
      append.entries[0] = seven_voters();
    }
    assert_int_equal(cluster_receive(c, id, &append.message), 0);
    made_up_close(&append);
    i += run;
  }
  assert_int_equal(status_of(c, id)->last_index, strlen(terms));
}

static void figure_7_is_repaired(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 7});
  for (uint64_t id = 1; id <= FIGURE_SERVERS; id++) {
    cluster_add(c);
    give_log(c, id, figure_7[id - 1]);
    struct coracle_raft_message of_term_7 = {
        .type = CORACLE_RAFT_APPEND, .from = MADE_UP_LEADERS + 7, .to = id, .term = 7, .round = 1};
    assert_int_equal(cluster_receive(c, id, &of_term_7), 0);
    struct coracle_raft_event gone = {.type = CORACLE_RAFT_LINK_DOWN, .peer = MADE_UP_LEADERS + 7};
    assert_int_equal(cluster_step(c, id, &gone), 0);
  }
  cluster_isolate(c, 4); /* (c) and (d) have newer logs: they must not be asked first */
  cluster_isolate(c, 5);
  c->links_by_hand = true;
  assert_int_equal(cluster_campaign(c, 1), 0);
  cluster_settle(c);
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 1)->term, 8);

  /* How often each refuses before the leader knows where they agree: once where its log is too short, and
   * once for each term that is in the way. */
  const size_t refusals_max[] = {0, 1, 1, 1, 1, 2, 2};
  cluster_heal(c);
  for (uint64_t id = 2; id <= FIGURE_SERVERS; id++) {
    size_t refusals = 0;
    cluster_open(c, 1, id);
    for (;;) {
      cluster_deliver(c, 1, id, CORACLE_RAFT_APPEND);
      cluster_sync(c, id);
      const bool success = cluster_find(c, id, 1, CORACLE_RAFT_APPEND_REPLY)->append_reply.success;
      cluster_deliver(c, id, 1, CORACLE_RAFT_APPEND_REPLY);
      if (success) break;
      refusals++;
    }
    assert_true(refusals <= refusals_max[id - 1]);
    pump(c, 1, id);
    assert_equal_logs(c, 1, id);
  }
  c->links_by_hand = false;
  assert_int_equal(cluster_converge(c, 2), 1);
  assert_int_equal(status_of(c, 7)->last_index, 11);
  assert_int_equal(cluster_term_at(c, 7, 11), 8);
  cluster_free(c);
}

/* ---- Figure 8 ---- */

/* To (c) of the figure: server 1, leader again, has brought its entry of an older term to a majority. Appends
 * carry one entry each, so that the no-op of its new term can be held back. Returns that entry's index. */
static uint64_t figure_8_to_c(struct cluster **result) {
  struct cluster *c = *result = cluster_with(5, &(struct cluster_options){.seed = 8, .append_bytes_max = 1});
  const uint64_t base = status_of(c, 1)->last_index, at = base + 1;
  c->links_by_hand = true;

  assert_int_equal(cluster_propose(c, 1, 2), 0); /* (a) */
  cluster_sync(c, 1);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  cluster_sync(c, 2);
  cluster_isolate(c, 1);
  cluster_isolate(c, 2);
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, 5), 0); /* (b) */
  cluster_settle(c);
  assert_true(leads(c, 5));
  assert_int_equal(cluster_term_at(c, 5, at), 2);

  cluster_heal(c); /* (c) */
  cluster_isolate(c, 5);
  c->now_ms += 2 * ELECTION_TIMEOUT_MS; /* nobody hears 5; nobody's time-out fires */
  assert_int_equal(cluster_timeout(c, 1), 0);
  assert_false(leads(c, 1));
  for (int i = 0; i < 2 && !leads(c, 1); i++) { /* the first time it hears of term 2 */
    assert_int_equal(cluster_campaign(c, 1), 0);
    cluster_settle(c);
  }
  assert_int_equal(status_of(c, 1)->term, 3);
  assert_int_equal(cluster_term_at(c, 1, at), 1);
  assert_int_equal(cluster_term_at(c, 1, at + 1), 3);

  for (uint64_t id = 2; id <= 3; id++) {
    cluster_open(c, 1, id);
    while (match_of(c, 1, id) < at) {
      cluster_deliver(c, 1, id, CORACLE_RAFT_APPEND);
      cluster_sync(c, id);
      cluster_deliver(c, id, 1, CORACLE_RAFT_APPEND_REPLY);
    }
    assert_int_equal(status_of(c, id)->last_index, at);
  }
  assert_int_equal(status_of(c, 1)->commit_index, base); /* three of five have it, and that proves nothing */
  return at;
}

/* (d): server 5 is elected and overwrites the entry of term 1, which is allowed, as nobody committed it. */
static void figure_8_an_old_entry_is_not_committed_by_counting(void **state) {
  (void)state;
  struct cluster *c;
  const uint64_t at = figure_8_to_c(&c);
  cluster_heal(c);
  cluster_isolate(c, 1);
  c->now_ms += 2 * ELECTION_TIMEOUT_MS;
  assert_int_equal(cluster_timeout(c, 5), 0); /* it still leads term 2 in its own eyes */
  assert_false(leads(c, 5));
  for (int i = 0; i < 2 && !leads(c, 5); i++) { /* the first time it hears of term 3 */
    assert_int_equal(cluster_campaign(c, 5), 0);
    cluster_settle(c);
  }
  assert_true(leads(c, 5));
  c->links_by_hand = false;
  cluster_heal(c);
  const uint64_t leader = cluster_converge(c, 6);
  assert_int_equal(cluster_term_at(c, leader, at), 2);
  assert_equal_logs(c, 1, leader);
  cluster_free(c);
}

/* (e): the entry of its own term on a majority commits both, and server 5 can win no more. */
static void figure_8_an_entry_of_the_own_term_commits_all_before_it(void **state) {
  (void)state;
  struct cluster *c;
  const uint64_t at = figure_8_to_c(&c);
  pump(c, 1, 2);
  pump(c, 1, 3);
  assert_int_equal(status_of(c, 1)->commit_index, at + 1);
  cluster_crash(c, 1);
  cluster_heal(c);
  c->links_by_hand = false;
  assert_int_equal(cluster_campaign(c, 5), 0);
  const uint64_t leader = cluster_converge(c, 6);
  assert_true(leader == 2 || leader == 3);
  assert_int_equal(cluster_term_at(c, 5, at), 1);
  cluster_free(c);
}

/* ---- Late and doubled messages ---- */

/* A shorter append that comes after a longer one takes nothing back (akka-raft#66, CCF#5991). */
static void a_late_shorter_append_truncates_nothing(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  const uint64_t id = cluster_add(c);
  struct made_up_append longer = {0}, shorter = {0}, empty = {0};
  made_up_append(&longer, 9, id, 2, 0, 0);
  made_up_entries(&longer, 1, 3);
  made_up_entries(&longer, 2, 2);
  made_up_append(&shorter, 9, id, 2, 0, 0);
  made_up_entries(&shorter, 1, 2);
  made_up_append(&empty, 9, id, 2, 1, 1);
  for (int i = 0; i < 2; i++) { /* the second time, everything is there already */
    assert_int_equal(cluster_receive(c, id, &longer.message), 0);
    assert_int_equal(cluster_receive(c, id, &shorter.message), 0);
    assert_int_equal(cluster_receive(c, id, &empty.message), 0);
    assert_int_equal(status_of(c, id)->last_index, 5);
    assert_int_equal(cluster_term_at(c, id, 3), 1);
    assert_int_equal(cluster_term_at(c, id, 5), 2);
  }
  assert_int_equal(status_of(c, id)->counters.dropped_invalid, 0);
  made_up_close(&longer);
  made_up_close(&shorter);
  cluster_free(c);
}

/* An entry of another term stands in the way: from there on the old ones go, in the same write as the new
 * ones come. */
static void a_conflict_truncates_from_where_it_is(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  const uint64_t id = cluster_add(c);
  struct made_up_append old = {0}, new = {0};
  made_up_append(&old, 8, id, 2, 0, 0);
  made_up_entries(&old, 1, 2);
  made_up_entries(&old, 2, 4);
  made_up_append(&new, 9, id, 3, 1, 1);
  made_up_entries(&new, 1, 1);
  made_up_entries(&new, 2, 1);
  made_up_entries(&new, 3, 1);
  assert_int_equal(cluster_receive(c, id, &old.message), 0);
  assert_int_equal(cluster_receive(c, id, &new.message), 0);
  const struct server *server = cluster_server(c, id);
  const struct disk_write *write = queue_at(&server->writes, server->writes.n - 1);
  assert_int_equal(write->truncate_from, 4);
  assert_int_equal(write->entries_n, 1);
  assert_int_equal(server->status.last_index, 4);
  assert_int_equal(cluster_term_at(c, id, 3), 2);
  assert_int_equal(cluster_term_at(c, id, 4), 3);
  cluster_sync(c, id);
  assert_int_equal(server->durable_n, 4);
  made_up_close(&old);
  made_up_close(&new);
  cluster_free(c);
}

/* Replies of an earlier time, late or doubled: match never goes back, and in the end all is equal. */
static void stale_replies_move_nothing_back(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  struct coracle_raft_message early;
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  cluster_sync(c, 2);
  early = *cluster_find(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
  for (int i = 0; i < 5; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  const uint64_t last = status_of(c, 1)->last_index;
  assert_int_equal(early.append_reply.match, last - 5);
  assert_int_equal(match_of(c, 1, 2), last);

  struct coracle_raft_message refusal = early;
  refusal.append_reply.success = false;
  refusal.append_reply.conflict_index = 1;
  for (uint64_t previous = 0; previous <= last + 1; previous++) {
    refusal.append_reply.previous_index = previous;
    assert_int_equal(cluster_receive(c, 1, &early), 0);
    assert_int_equal(cluster_receive(c, 1, &refusal), 0);
    assert_int_equal(match_of(c, 1, 2), last);
    const struct coracle_raft_message *append = cluster_find(c, 1, 2, CORACLE_RAFT_APPEND);
    assert_true(append == NULL || append->append.previous_index >= last);
    cluster_settle(c);
  }
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* A follower that refuses what it acknowledged has lost its log under its old id. It must not keep the leader
 * busy. */
static void a_follower_that_lost_its_log_is_not_asked_in_circles(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t last = status_of(c, 1)->last_index;
  struct coracle_raft_message refusal = {
      .type = CORACLE_RAFT_APPEND_REPLY, .from = 2, .to = 1, .term = 1, .round = 1};
  refusal.append_reply.previous_index = last;
  refusal.append_reply.conflict_index = 1;
  for (int i = 0; i < 3; i++) {
    assert_int_equal(cluster_receive(c, 1, &refusal), 0);
    assert_null(cluster_find(c, 1, 2, CORACLE_RAFT_APPEND));
  }
  assert_int_equal(status_of(c, 1)->counters.dropped_stale, 3);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* It can have no more than the leader has. */
static void a_match_beyond_the_log_is_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t last = status_of(c, 1)->last_index, matches[] = {last + 1, UINT64_MAX};
  for (size_t i = 0; i < 2; i++) {
    struct coracle_raft_message reply = {
        .type = CORACLE_RAFT_APPEND_REPLY, .from = 2, .to = 1, .term = 1, .round = 1};
    reply.append_reply.success = true;
    reply.append_reply.match = matches[i];
    assert_int_equal(cluster_receive(c, 1, &reply), 0);
    assert_int_equal(status_of(c, 1)->counters.dropped_invalid, i + 1);
    assert_int_equal(match_of(c, 1, 2), last);
  }
  cluster_free(c);
}

/* A stream that replaces another takes up where the other was, whatever got lost with it. */
static void a_new_stream_goes_on_from_the_match(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (int i = 0; i < 10; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  cluster_sync(c, 2);
  cluster_deliver(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
  const uint64_t match = match_of(c, 1, 2);
  cluster_cut(c, 1, 2);
  cluster_tell(c, 1, 2, AT_LEADER);
  cluster_tell(c, 1, 2, AT_FOLLOWER);
  cluster_sweep_streams(c);
  cluster_open(c, 1, 2);
  assert_int_equal(cluster_find(c, 1, 2, CORACLE_RAFT_APPEND)->append.previous_index, match);
  assert_int_equal(cluster_converge(c, 1), 1);

  for (int i = 0; i < 3; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  while (cluster_find(c, 1, 2, CORACLE_RAFT_APPEND) != NULL) cluster_drop(c, 1, 2, CORACLE_RAFT_APPEND);
  struct coracle_raft_event again = {.type = CORACLE_RAFT_LINK_UP, .peer = 2}; /* no end was told */
  assert_int_equal(cluster_step(c, 1, &again), 0);
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* ---- Disks that are late ---- */

/* Entries on their way to the disk are overwritten before they get there. What the disk reports then is
 * durable counts for nothing: the index has another entry now (etcd's
 * async_storage_writes_append_aba_race). */
static void an_index_persisted_before_a_truncation_is_not_durable(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t base = status_of(c, 3)->last_index;
  const struct server *server = cluster_server(c, 3);
  struct made_up_append longer = {0}, shorter = {0};
  cluster_crash(c, 1);
  cluster_settle(c);
  cluster_hold_disk(c, 3, true);
  made_up_append(&longer, MADE_UP_LEADERS, 3, 2, base, 1);
  made_up_entries(&longer, 2, 3);
  made_up_append(&shorter, MADE_UP_LEADERS + 1, 3, 3, base, 1);
  made_up_entries(&shorter, 3, 1);
  assert_int_equal(cluster_receive(c, 3, &longer.message), 0);
  assert_int_equal(cluster_receive(c, 3, &shorter.message), 0);
  const uint64_t first = ((struct disk_write *)queue_at(&server->writes, 0))->sequence;
  const uint64_t second = ((struct disk_write *)queue_at(&server->writes, 1))->sequence;
  struct coracle_raft_event gone = {.type = CORACLE_RAFT_LINK_DOWN, .peer = MADE_UP_LEADERS + 1};
  assert_int_equal(cluster_step(c, 3, &gone), 0);
  cluster_sync_to(c, 3, first);
  assert_int_equal(server->durable_n, base + 3);

  assert_int_equal(cluster_campaign(c, 3), 0);
  cluster_sync_to(c, 3, second); /* its pre-vote rests on the term */
  cluster_settle(c);
  assert_int_equal(server->status.role, CORACLE_RAFT_CANDIDATE);
  cluster_sync(c, 3);
  cluster_settle(c);
  assert_true(leads(c, 3)); /* with a no-op at base + 2, which is not durable here, but on server 2 */
  assert_int_equal(cluster_term_at(c, 3, base + 2), 4);
  assert_int_equal(match_of(c, 3, 2), base + 2);
  assert_int_equal(match_of(c, 3, 3), base + 1);
  assert_int_equal(server->status.commit_index, base);
  cluster_sync(c, 3);
  assert_int_equal(server->status.commit_index, base + 2);
  made_up_close(&longer);
  made_up_close(&shorter);
  cluster_free(c);
}

/* The same, where the disk completes both at once. */
static void the_newest_sequence_completes_all_before_it(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (uint64_t id = 1; id <= 3; id++) cluster_hold_disk(c, id, true);
  for (int i = 0; i < 40; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  const uint64_t last = status_of(c, 1)->last_index;
  assert_int_equal(match_of(c, 1, 1), last - 40);
  cluster_sync(c, 1);
  assert_int_equal(match_of(c, 1, 1), last);
  cluster_sync(c, 2);
  cluster_settle(c);
  assert_int_equal(status_of(c, 1)->commit_index, last);
  cluster_free(c);
}

/* A follower acknowledges what its disk has, not what it has heard. */
static void no_acknowledgement_leaves_before_the_disk_is_done(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_hold_disk(c, 2, true);
  cluster_hold_disk(c, 3, true);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  const uint64_t last = status_of(c, 1)->last_index;
  assert_int_equal(status_of(c, 2)->last_index, last);
  assert_int_equal(status_of(c, 1)->commit_index, last - 1);
  cluster_sync(c, 2);
  assert_int_equal(cluster_find(c, 2, 1, CORACLE_RAFT_APPEND_REPLY)->append_reply.match, last);
  cluster_settle(c);
  assert_int_equal(status_of(c, 1)->commit_index, last);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(figure_7_is_repaired),
      cmocka_unit_test(figure_8_an_old_entry_is_not_committed_by_counting),
      cmocka_unit_test(figure_8_an_entry_of_the_own_term_commits_all_before_it),
      cmocka_unit_test(a_late_shorter_append_truncates_nothing),
      cmocka_unit_test(a_conflict_truncates_from_where_it_is),
      cmocka_unit_test(stale_replies_move_nothing_back),
      cmocka_unit_test(a_follower_that_lost_its_log_is_not_asked_in_circles),
      cmocka_unit_test(a_match_beyond_the_log_is_dropped),
      cmocka_unit_test(a_new_stream_goes_on_from_the_match),
      cmocka_unit_test(an_index_persisted_before_a_truncation_is_not_durable),
      cmocka_unit_test(the_newest_sequence_completes_all_before_it),
      cmocka_unit_test(no_acknowledgement_leaves_before_the_disk_is_done),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
