/* Goal: a step that is refused says why, leaves what it was given with its owner, and changes nothing. (That
 * the status is the same before and after is checked in cluster_step() for every refusal of every test.) */
#include "raft_cluster.h"

#include <string.h>

static struct coracle_raft_options good_options(void) {
  return (struct coracle_raft_options){.id = 1, .heartbeat_ms = 50, .election_timeout_ms = 500};
}

static struct coracle_raft *new_core(void) {
  const struct coracle_raft_options options = good_options();
  struct coracle_raft *raft;
  assert_int_equal(coracle_raft_new(&options, &raft), 0);
  return raft;
}

static int step(struct coracle_raft *raft, struct coracle_raft_event event) {
  struct coracle_raft_effects effects;
  return coracle_raft_step(raft, &event, &effects);
}

static void impossible_options_are_refused(void **state) {
  (void)state;
  struct coracle_raft_options bad[4];
  for (size_t i = 0; i < 4; i++) bad[i] = good_options();
  bad[0].id = 0;
  bad[1].heartbeat_ms = 0;
  bad[2].election_timeout_ms = bad[2].heartbeat_ms;
  bad[3].election_timeout_ms = 0;
  for (size_t i = 0; i < 4; i++) {
    struct coracle_raft *raft = NULL;
    assert_int_equal(coracle_raft_new(&bad[i], &raft), CORACLE_RAFT_EINVALID);
    assert_null(raft);
  }
  coracle_raft_free(NULL);
}

/* Nothing before START, and START once. */
static void a_server_starts_once(void **state) {
  (void)state;
  struct coracle_raft *raft = new_core();
  struct coracle_raft_message message = {.type = CORACLE_RAFT_HEARTBEAT, .from = 2, .to = 1, .term = 1};
  const struct coracle_raft_event early[] = {
      {.type = CORACLE_RAFT_TIMEOUT},
      {.type = CORACLE_RAFT_RECEIVE, .message = &message},
      {.type = CORACLE_RAFT_PERSISTED},
      {.type = CORACLE_RAFT_LINK_UP, .peer = 2},
      {.type = CORACLE_RAFT_CAMPAIGN},
      {.type = (enum coracle_raft_event_type)0},
      {.type = (enum coracle_raft_event_type)99},
  };
  for (size_t i = 0; i < sizeof early / sizeof early[0]; i++)
    assert_int_equal(step(raft, early[i]), CORACLE_RAFT_EINVALID);
  assert_int_equal(step(raft, (struct coracle_raft_event){.type = CORACLE_RAFT_START}), 0);
  assert_int_equal(step(raft, (struct coracle_raft_event){.type = CORACLE_RAFT_START}),
                   CORACLE_RAFT_EINVALID);
  assert_int_equal(step(raft, early[6]), CORACLE_RAFT_EINVALID);
  assert_int_equal(step(raft, early[1]), 0);
  coracle_raft_free(raft);
}

/* One founds alone; a refused founding may be followed by a better one. */
static void impossible_foundings_are_refused(void **state) {
  (void)state;
  struct coracle_raft *raft = new_core();
  const struct coracle_raft_configuration good = {.members_n = 2,
                                                  .members = {{.id = 1, .voter = true}, {.id = 2}}};
  struct coracle_raft_configuration bad[9];
  size_t n = 0;
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) bad[i] = good;
  bad[n++].members_n = 0;
  bad[n++].members_n = CORACLE_RAFT_MEMBERS_MAX + 1;
  bad[n++].members_n = UINT32_MAX;
  bad[n++].members[0].voter = false; /* nobody votes */
  bad[n++].members[1].voter = true;  /* another votes too */
  bad[n++].members[0].id = 3;        /* another votes */
  bad[n++].members[1].id = 1;        /* twice */
  bad[n++].members[1].id = 0;
  bad[n++].members[1].data_bytes = CORACLE_RAFT_MEMBER_DATA_MAX + 1;
  assert_int_equal(n, sizeof bad / sizeof bad[0]);
  for (size_t i = 0; i < n; i++) {
    const struct coracle_raft_event founding = {.type = CORACLE_RAFT_START, .start = {.founding = &bad[i]}};
    assert_int_equal(step(raft, founding), CORACLE_RAFT_EINVALID);
  }
  assert_int_equal(step(raft, (struct coracle_raft_event){.type = CORACLE_RAFT_START, .start = {.founding = &good}}), 0);
  coracle_raft_free(raft);
}

/* Only the leader appends, only commands, and at least one. */
static void impossible_proposals_are_refused(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  struct coracle_raft_entry *entries[] = {coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 1),
                                          coracle_raft_entry_new(CORACLE_RAFT_NOOP, 1)};
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PROPOSE, .propose = {entries, 1}};
  assert_int_equal(cluster_step(c, 2, &event), CORACLE_RAFT_ENOTLEADER);
  event.propose.entries_n = 2;
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EINVALID);
  entries[1]->type = CORACLE_RAFT_CONFIGURATION;
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EINVALID);
  event.propose.entries_n = 0;
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EINVALID);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(entries[i]->references, 1);
    assert_int_equal(entries[i]->index + entries[i]->term, 0);
    coracle_raft_entry_unref(entries[i]);
  }
  cluster_free(c);
}

/* What was proposed gets its places in the order given, and the caller's references with it. */
static void a_batch_enters_the_log_in_order(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t last = status_of(c, 1)->last_index;
  struct coracle_raft_entry *entries[5];
  for (size_t i = 0; i < 5; i++) entries[i] = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 0);
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PROPOSE, .propose = {entries, 5}};
  assert_int_equal(cluster_step(c, 1, &event), 0);
  for (uint64_t i = 0; i < 5; i++) {
    assert_ptr_equal(coracle_raft_entry_at(cluster_server(c, 1)->raft, last + 1 + i), entries[i]);
    assert_int_equal(entries[i]->index, last + 1 + i);
    assert_int_equal(entries[i]->term, 1);
  }
  assert_int_equal(cluster_find(c, 1, 2, CORACLE_RAFT_APPEND)->append.entries_n, 5); /* one frame */
  assert_null(coracle_raft_entry_at(cluster_server(c, 1)->raft, last + 6));
  assert_null(coracle_raft_entry_at(cluster_server(c, 1)->raft, 0));
  cluster_free(c);
}

/* A disk can be done with no more than it was given; with less, or again, is harmless. */
static void a_sequence_never_given_is_refused(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  const uint64_t sequence = cluster_server(c, 1)->durable_sequence;
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PERSISTED, .persisted = sequence + 1};
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EINVALID);
  event.persisted = UINT64_MAX;
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EINVALID);
  for (event.persisted = 0; event.persisted <= sequence; event.persisted++)
    assert_int_equal(cluster_step(c, 1, &event), 0);
  assert_int_equal(cluster_propose(c, 1, 1), 0);
  cluster_sync(c, 1);
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* Streams of those who are no members, and one's own, are nothing to the core. */
static void other_streams_do_not_matter(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t peers[] = {0, 1, 77};
  for (uint64_t id = 1; id <= 2; id++) {
    for (size_t i = 0; i < 3; i++) {
      struct coracle_raft_event up = {.type = CORACLE_RAFT_LINK_UP, .peer = peers[i]};
      struct coracle_raft_event down = {.type = CORACLE_RAFT_LINK_DOWN, .peer = peers[i]};
      if (peers[i] == 1 && id == 2) continue; /* its leader's */
      assert_int_equal(cluster_step(c, id, &up), 0);
      assert_int_equal(cluster_step(c, id, &down), 0);
    }
    assert_int_equal(status_of(c, id)->leader, 1);
    assert_true(status_of(c, id)->hears_leader);
  }
  cluster_free(c);
}

/* The clock of an event that went back is taken for the last one's. */
static void time_does_not_go_back(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  const uint64_t now_ms = c->now_ms;
  c->now_ms = 1;
  assert_int_equal(cluster_timeout(c, 1), 0);
  assert_int_equal(cluster_timeout(c, 2), 0);
  assert_true(cluster_server(c, 1)->wakeup_ms >= now_ms);
  assert_int_equal(status_of(c, 2)->role, CORACLE_RAFT_FOLLOWER);
  c->now_ms = now_ms;
  assert_int_equal(cluster_converge(c, 1), 1);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(impossible_options_are_refused),   cmocka_unit_test(a_server_starts_once),
      cmocka_unit_test(impossible_foundings_are_refused), cmocka_unit_test(impossible_proposals_are_refused),
      cmocka_unit_test(a_batch_enters_the_log_in_order),  cmocka_unit_test(a_sequence_never_given_is_refused),
      cmocka_unit_test(other_streams_do_not_matter),      cmocka_unit_test(time_does_not_go_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
