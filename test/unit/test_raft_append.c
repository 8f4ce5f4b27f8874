/* Goal: an append carries as many entries as fit and skips none, no more is underway than the window and no
 * more uncommitted than the cap allows, and a follower takes no append that makes no sense: it is dropped,
 * counted, and everything stays as it was. The invariants of raft_history.h are checked at every step
 * besides. */
#include "raft_append.h"

#include <stdlib.h>
#include <string.h>

/* ---- Packing ---- */

enum { PACKED_BYTES_MAX = 100 };

static uint64_t bytes_at(const struct cluster *c, uint64_t id, uint64_t index) {
  return coracle_raft_entry_at(cluster_server(c, id)->raft, index)->bytes;
}

/* Two servers without a stream between them. */
static struct cluster *unlinked(const struct cluster_options *options) {
  struct cluster *c = cluster_with(2, options);
  c->links_by_hand = true;
  cluster_cut(c, 1, 2);
  cluster_settle(c);
  cluster_sweep_streams(c);
  return c;
}

/* Opens the stream, finds that the logs agree as far as the follower's goes, and returns the first append
 * after that. */
static const struct coracle_raft_message *link(struct cluster *c) {
  cluster_open(c, 1, 2);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  cluster_deliver(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
  return cluster_find(c, 1, 2, CORACLE_RAFT_APPEND);
}

static void appends_are_full_to_the_byte(void **state) {
  (void)state;
  const struct {
    size_t sizes[3];
    size_t first; /* entries of the first append */
  } cases[] = {{{50, 50, 1}, 2}, {{50, 49, 1}, 3}, {{50, 51, 1}, 1},  {{100, 0, 0}, 3},
               {{100, 1, 1}, 1}, {{101, 0, 0}, 1}, {{99, 1, 1}, 2},   {{99, 2, 1}, 1},
               {{0, 100, 0}, 3}, {{0, 101, 1}, 1}, {{5000, 1, 1}, 1}, {{1, 5000, 1}, 1}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct cluster *c = unlinked(&(struct cluster_options){.seed = 1, .append_bytes_max = PACKED_BYTES_MAX});
    for (size_t k = 0; k < 3; k++) assert_int_equal(cluster_propose(c, 1, cases[i].sizes[k]), 0);
    assert_int_equal(link(c)->append.entries_n, cases[i].first);
    assert_int_equal(cluster_converge(c, 1), 1);
    cluster_free(c);
  }
}

/* Entries of every size around the limit: each append goes on where the one before ended, fits, and is as
 * full as it could be (LogCabin#160). */
static void no_entry_is_skipped(void **state) {
  (void)state;
  const size_t sizes[] = {0, 0, 1, 2, 49, 50, 51, 98, 99, 100, 101, 102, 300};
  struct random random = {.state = 5};
  for (int run = 0; run < 50; run++) {
    struct cluster *c = unlinked(&(struct cluster_options){.seed = 1, .append_bytes_max = PACKED_BYTES_MAX});
    for (int i = 0; i < 40; i++)
      assert_int_equal(cluster_propose(c, 1, sizes[random_below(&random, sizeof sizes / sizeof sizes[0])]),
                       0);
    const uint64_t last = status_of(c, 1)->last_index;
    uint64_t next = status_of(c, 2)->last_index + 1;
    link(c);
    while (next <= last) {
      const struct coracle_raft_message *append = cluster_find(c, 1, 2, CORACLE_RAFT_APPEND);
      const size_t n = append != NULL ? append->append.entries_n : 0;
      uint64_t bytes = 0;
      assert_true(n > 0);
      assert_int_equal(append->append.previous_index, next - 1);
      for (size_t i = 0; i < n; i++, next++) bytes += append->append.entries[i]->bytes;
      assert_true(bytes <= PACKED_BYTES_MAX || n == 1);
      assert_true(next > last || bytes + bytes_at(c, 1, next) > PACKED_BYTES_MAX);
      cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
      cluster_sync(c, 2);
      cluster_deliver(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
    }
    assert_int_equal(cluster_converge(c, 1), 1);
    cluster_free(c);
  }
}

/* Entries without a byte fill no append by bytes: their number is bounded too. */
static void empty_entries_are_bounded_by_number(void **state) {
  (void)state;
  enum { ENTRIES = 40000 };
  struct cluster *c = unlinked(&(struct cluster_options){.seed = 1});
  struct coracle_raft_entry **entries = calloc(ENTRIES, sizeof(struct coracle_raft_entry *));
  for (size_t i = 0; i < ENTRIES; i++) entries[i] = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 0);
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PROPOSE, .propose = {entries, ENTRIES}};
  assert_int_equal(cluster_step(c, 1, &event), 0);
  free(entries);
  const size_t n = link(c)->append.entries_n;
  assert_true(n > 1000 && n <= 16384);
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

/* ---- Limits ---- */

/* A follower that acknowledges nothing gets the window and at most one append more; then it waits. */
static void the_window_bounds_what_is_underway(void **state) {
  (void)state;
  enum { WINDOW = 1000, APPEND = 400, ENTRY = 100, ENTRIES = 60 };
  struct cluster *c = cluster_with(
      2, &(struct cluster_options){.seed = 1, .append_bytes_max = APPEND, .inflight_bytes_max = WINDOW});
  uint64_t acknowledged = status_of(c, 2)->last_index, sent = acknowledged, underway_max = 0;
  for (int i = 0; i < ENTRIES; i++) assert_int_equal(cluster_propose(c, 1, ENTRY), 0);
  cluster_sync(c, 1);
  for (const struct stream *stream = c->streams[0];;) {
    for (size_t i = 0; i < stream->to[AT_FOLLOWER].n; i++) {
      const struct coracle_raft_message *append = &stream->to[AT_FOLLOWER].at[i]->message;
      const uint64_t end = append->append.previous_index + append->append.entries_n;
      if (end > sent) sent = end;
    }
    const uint64_t underway = (sent - acknowledged) * ENTRY;
    assert_true(underway < WINDOW + APPEND);
    if (underway > underway_max) underway_max = underway;
    if (cluster_find(c, 1, 2, CORACLE_RAFT_APPEND) == NULL) break;
    cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
    cluster_sync(c, 2);
    acknowledged = cluster_find(c, 2, 1, CORACLE_RAFT_APPEND_REPLY)->append_reply.match;
    cluster_deliver(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
  }
  assert_true(underway_max >= WINDOW);
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* The cap holds to the byte, for a batch as for one, and a refusal leaves the entries with their owner. */
static void uncommitted_bytes_are_capped(void **state) {
  (void)state;
  struct cluster *c = cluster_with(1, &(struct cluster_options){.seed = 1, .uncommitted_bytes_max = 1000});
  struct coracle_raft_entry *batch[] = {coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 500),
                                        coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 501)};
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PROPOSE, .propose = {batch, 2}};
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EBUSY);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(batch[i]->index, 0);
    assert_int_equal(batch[i]->references, 1);
    coracle_raft_entry_unref(batch[i]);
  }
  assert_int_equal(cluster_propose(c, 1, 600), 0);
  assert_int_equal(cluster_propose(c, 1, 401), CORACLE_RAFT_EBUSY);
  assert_int_equal(cluster_propose(c, 1, 400), 0);
  assert_int_equal(cluster_propose(c, 1, 1), CORACLE_RAFT_EBUSY);
  cluster_sync(c, 1);
  assert_int_equal(cluster_propose(c, 1, 1000), 0);
  cluster_free(c);
}

/* Without a quorum nothing is committed, and no more is taken in (etcd#10167, scylla#31402). */
static void a_leader_that_lost_its_followers_fills_up_to_the_cap(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &(struct cluster_options){.seed = 1, .uncommitted_bytes_max = 1000});
  cluster_isolate(c, 1);
  int error = 0, accepted = 0;
  while (accepted < 100 && (error = cluster_propose(c, 1, 90)) == 0) accepted++;
  assert_int_equal(error, CORACLE_RAFT_EBUSY);
  assert_int_equal(accepted, 11);
  cluster_free(c);
}

/* An idle follower hears of the commit over its stream, long before the next heartbeat. */
static void idle_followers_soon_hear_of_the_commit(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->no_datagrams = true;
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_settle(c);
  const uint64_t last = status_of(c, 1)->last_index;
  assert_int_equal(status_of(c, 1)->commit_index, last);
  assert_int_equal(status_of(c, 2)->commit_index, last - 1);
  assert_int_equal(cluster_propose(c, 1, 10), 0); /* carries it */
  cluster_settle(c);
  assert_int_equal(status_of(c, 2)->commit_index, last);
  cluster_run(c, HEARTBEAT_MS / 10);
  assert_int_equal(status_of(c, 2)->commit_index, last + 1);
  assert_int_equal(status_of(c, 3)->commit_index, last + 1);
  cluster_free(c);
}

/* ---- What a follower takes ---- */

/* Terms 1 1 2 2, of which two are committed, in term 3. */
static struct cluster *follower_of_9(void) {
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  struct made_up_append append = {0};
  made_up_append(&append, 9, cluster_add(c), 3, 0, 0);
  made_up_entries(&append, 1, 2);
  made_up_entries(&append, 2, 2);
  append.message.append.commit = 2;
  assert_int_equal(cluster_receive(c, 1, &append.message), 0);
  made_up_close(&append);
  return c;
}

/* Dropped and counted; closes the append. */
static void assert_dropped(struct cluster *c, struct made_up_append *append) {
  const struct coracle_raft_status *status = status_of(c, 1);
  const uint64_t dropped = status->counters.dropped_invalid;
  assert_int_equal(cluster_receive(c, 1, &append->message), 0);
  assert_int_equal(status->counters.dropped_invalid, dropped + 1);
  assert_int_equal(status->term, 3);
  assert_int_equal(status->leader, 9);
  assert_int_equal(status->last_index, 4);
  assert_int_equal(status->commit_index, 2);
  for (uint64_t index = 1; index <= 4; index++)
    assert_int_equal(cluster_term_at(c, 1, index), index <= 2 ? 1 : 2);
  made_up_close(append);
}

static void impossible_previous_entries_are_dropped(void **state) {
  (void)state;
  const struct {
    uint64_t index, term;
  } cases[] = {{0, 1}, {1, 0}, {4, 0}, {4, 5}, {UINT64_MAX, 0}, {2, UINT64_MAX}};
  struct cluster *c = follower_of_9();
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct made_up_append append = {0};
    made_up_append(&append, 9, 1, 4, cases[i].index,
                   cases[i].term); /* in a term that it must not take over */
    assert_dropped(c, &append);
  }
  cluster_free(c);
}

static void impossible_entries_are_dropped(void **state) {
  (void)state;
  struct cluster *c = follower_of_9();
  const struct {
    uint64_t index, term;
  } third[] = {{4, 3}, {6, 3}, {0, 3}, {UINT64_MAX, 3}, {5, 1}, {5, 0}, {5, 5}, {5, UINT64_MAX}};
  for (size_t i = 0; i < sizeof third / sizeof third[0]; i++) { /* the first two are well */
    struct made_up_append append = {0};
    made_up_append(&append, 9, 1, 4, 2, 1);
    made_up_entries(&append, 3, 3);
    append.entries[2]->index = third[i].index;
    append.entries[2]->term = third[i].term;
    assert_dropped(c, &append);
  }
  struct made_up_append of_no_term = {0};
  made_up_append(&of_no_term, 9, 1, 4, 0, 0);
  made_up_entries(&of_no_term, 0, 1);
  assert_dropped(c, &of_no_term);
  cluster_free(c);

  c = cluster_new(&(struct cluster_options){.seed = 1}); /* nor as the first entry of all */
  made_up_append(&of_no_term, 9, cluster_add(c), 4, 0, 0);
  of_no_term.message.append.entries_n = 0;
  made_up_entries(&of_no_term, 0, 1);
  assert_int_equal(cluster_receive(c, 1, &of_no_term.message), 0);
  assert_int_equal(status_of(c, 1)->counters.dropped_invalid, 1);
  assert_int_equal(status_of(c, 1)->last_index, 0);
  made_up_close(&of_no_term);
  cluster_free(c);
}

/* Whoever says that another entry stands where one is committed is no leader. */
static void committed_entries_are_never_replaced(void **state) {
  (void)state;
  struct cluster *c = follower_of_9();
  for (uint64_t previous = 0; previous <= 1; previous++) {
    struct made_up_append append = {0};
    made_up_append(&append, 10, 1, 4, previous, previous);
    made_up_entries(&append, 1, 1 - previous);
    made_up_entries(&append, 4, 3);
    assert_dropped(c, &append);
  }
  cluster_free(c);
}

static void entries_that_hold_no_configuration_are_dropped(void **state) {
  (void)state;
  struct cluster *c = follower_of_9();
  for (size_t bytes = 0; bytes <= 12; bytes += 4) {
    struct made_up_append append = {0};
    made_up_append(&append, 9, 1, 3, 4, 2);
    made_up_entries(&append, 3, 2);
    coracle_raft_entry_unref(append.entries[1]);
    append.entries[1] = coracle_raft_entry_new(CORACLE_RAFT_CONFIGURATION, bytes);
    append.entries[1]->index = 6;
    append.entries[1]->term = 3;
    memset(append.entries[1]->data, 1, bytes);
    assert_dropped(c, &append);
  }
  cluster_free(c);
}

/* A leader that does not know where the logs agree is told where to look: past the end of a log too short,
 * else where the term in the way begins, but not in what is committed. Here the log is 1 1 1 1 2 2, with two
 * committed. */
static void a_refusal_says_where_to_look(void **state) {
  (void)state;
  struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1});
  const uint64_t id = cluster_add(c), leader = cluster_add(c);
  const struct {
    uint64_t index, term, conflict_index, conflict_term;
  } cases[] = {{7, 3, 7, 0}, {UINT64_MAX - 1, 3, 7, 0}, {6, 3, 5, 2}, {5, 3, 5, 2}, {5, 1, 5, 2},
               {4, 3, 3, 1}};
  struct made_up_append append = {0};
  made_up_append(&append, leader, id, 3, 0, 0);
  made_up_entries(&append, 1, 4);
  made_up_entries(&append, 2, 2);
  append.message.append.commit = 2;
  cluster_open(c, leader, id);
  assert_int_equal(cluster_receive(c, id, &append.message), 0);
  cluster_sync(c, id);
  cluster_drop(c, id, leader, CORACLE_RAFT_APPEND_REPLY);
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct made_up_append ask = {0};
    made_up_append(&ask, leader, id, 3, cases[i].index, cases[i].term);
    assert_int_equal(cluster_receive(c, id, &ask.message), 0);
    const struct coracle_raft_message *reply = cluster_find(c, id, leader, CORACLE_RAFT_APPEND_REPLY);
    assert_false(reply->append_reply.success);
    assert_int_equal(reply->append_reply.previous_index, cases[i].index);
    assert_int_equal(reply->append_reply.conflict_index, cases[i].conflict_index);
    assert_int_equal(reply->append_reply.conflict_term, cases[i].conflict_term);
    cluster_drop(c, id, leader, CORACLE_RAFT_APPEND_REPLY);
  }
  assert_int_equal(status_of(c, id)->last_index, 6);
  made_up_close(&append);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(appends_are_full_to_the_byte),
      cmocka_unit_test(no_entry_is_skipped),
      cmocka_unit_test(empty_entries_are_bounded_by_number),
      cmocka_unit_test(the_window_bounds_what_is_underway),
      cmocka_unit_test(uncommitted_bytes_are_capped),
      cmocka_unit_test(a_leader_that_lost_its_followers_fills_up_to_the_cap),
      cmocka_unit_test(idle_followers_soon_hear_of_the_commit),
      cmocka_unit_test(impossible_previous_entries_are_dropped),
      cmocka_unit_test(impossible_entries_are_dropped),
      cmocka_unit_test(committed_entries_are_never_replaced),
      cmocka_unit_test(entries_that_hold_no_configuration_are_dropped),
      cmocka_unit_test(a_refusal_says_where_to_look),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
