/* Goal: a step that finds no memory says so and has changed nothing: the same step, tried again, goes on as
 * if nothing had been. One run that needs every kind of allocation is repeated, each time with another one of
 * them failing once; every run must then do, step by step, what the run without a failure did.
 *
 * The linker puts the functions below in place of malloc(3) and its kind and of coracle_raft_step() (--wrap
 * in CMakeLists.txt). */
#include "raft_cluster.h"

#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t n, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
int __real_coracle_raft_step(struct coracle_raft *, const struct coracle_raft_event *,
                             struct coracle_raft_effects *);
void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t n, size_t bytes);
void *__wrap_realloc(void *old, size_t bytes);
int __wrap_coracle_raft_step(struct coracle_raft *, const struct coracle_raft_event *,
                             struct coracle_raft_effects *);

static bool counting;          /* the core is at work */
static uint64_t allocations;   /* that it has made */
static uint64_t failing;       /* which of them fails, from 1; 0: none */
static uint64_t refused_steps; /* ENOMEM */
static uint64_t trace;         /* of all that the core wanted done */

static bool fails(void) {
  return counting && ++allocations == failing;
}

void *__wrap_malloc(size_t bytes) {
  return fails() ? NULL : __real_malloc(bytes);
}

void *__wrap_calloc(size_t n, size_t bytes) {
  return fails() ? NULL : __real_calloc(n, bytes);
}

void *__wrap_realloc(void *old, size_t bytes) {
  return fails() ? NULL : __real_realloc(old, bytes);
}

static void note(uint64_t value) {
  trace = (trace ^ value) * 0x100000001b3u; /* FNV-1a, a word at a time */
}

static void note_effects(const struct coracle_raft_effects *effects) {
  note(effects->persist.sequence);
  note(effects->persist.vote_changed);
  note(effects->persist.term);
  note(effects->persist.voted_for);
  note(effects->persist.truncate_from);
  for (size_t i = 0; i < effects->persist.entries_n; i++) {
    note(effects->persist.entries[i]->index);
    note(effects->persist.entries[i]->term);
    note(effects->persist.entries[i]->type);
  }
  for (size_t i = 0; i < effects->messages_n; i++) {
    const struct coracle_raft_message *message = &effects->messages[i];
    note(message->type);
    note(message->to);
    note(message->term);
    note(message->round);
    note(message->after_sequence);
  }
  note(effects->persist.chunk.offset);
  note(effects->persist.chunk.n);
  note(effects->persist.chunk.installs);
  for (size_t i = 0; i < effects->chunk_requests_n; i++) note(effects->chunk_requests[i].offset);
  for (size_t i = 0; i < effects->reads_n; i++) note(effects->reads[i].read);
  note(effects->commit_index);
  note(effects->wakeup_ms);
  note(effects->role_changed);
}

int __wrap_coracle_raft_step(struct coracle_raft *raft, const struct coracle_raft_event *event,
                             struct coracle_raft_effects *effects) {
  struct coracle_raft_status before, after;
  coracle_raft_status(raft, event->now_ms, &before);
  counting = true;
  int error = __real_coracle_raft_step(raft, event, effects);
  if (error == CORACLE_RAFT_ENOMEM) {
    refused_steps++;
    coracle_raft_status(raft, event->now_ms, &after);
    assert_true(cluster_same_status(&before, &after));
    if (event->type == CORACLE_RAFT_PROPOSE)
      for (size_t i = 0; i < event->propose.entries_n; i++)
        assert_int_equal(event->propose.entries[i]->index, 0);
    error = __real_coracle_raft_step(raft, event, effects);
    assert_int_not_equal(error, CORACLE_RAFT_ENOMEM);
  }
  counting = false;
  if (error == 0) note_effects(effects);
  return error;
}

/* Founding, joining, a promotion that is cancelled and one that is not, a log that grows, disks that hang for
 * many steps, elections, truncations, and a snapshot for one who comes late. */
static void run(void) {
  const struct cluster_options options = {
      .seed = 1, .trailing_bytes = 1, .chunk_bytes_max = 100, .image_bytes_max = 300};
  struct cluster *c = cluster_with(3, &options);
  for (int i = 0; i < 100; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_converge(c, 1);

  const uint64_t id = cluster_add(c);
  c->links_by_hand = true;
  assert_int_equal(cluster_add_member(c, 1, id), 0);
  cluster_settle(c);
  cluster_hold_disk(c, 2, true);
  cluster_hold_disk(c, 3, true);
  cluster_open(c, 1, id);
  for (int i = 0; i < 30; i++) {
    assert_int_equal(cluster_propose(c, 1, 10), 0);
    cluster_run(c, 2 * HEARTBEAT_MS / 10);
  }
  cluster_cut(c, 1, id);
  cluster_hold_disk(c, 2, false);
  cluster_hold_disk(c, 3, false);
  c->links_by_hand = false;
  cluster_run(c, 3 * HEARTBEAT_MS);
  assert_true(cluster_is_voter(c, 1, id));

  cluster_isolate(c, 1);
  for (int i = 0; i < 20; i++) assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, 3 * ELECTION_TIMEOUT_MS);
  assert_true(cluster_leader(c) > 1);
  cluster_heal(c);
  cluster_crash(c, 3); /* and a restart with all that */
  cluster_restart(c, 3);
  const uint64_t leader = cluster_converge(c, 6);
  assert_int_equal(cluster_remove_member(c, leader, 1), 0);
  cluster_converge(c, 2);

  assert_int_equal(cluster_snapshot(c, leader), 0);
  assert_int_equal(cluster_add_member(c, leader, cluster_add(c)), 0);
  cluster_converge(c, 2);
  assert_int_equal(c->installations, 1);
  cluster_free(c);
}

static void every_allocation_fails_once(void **state) {
  (void)state;
  uint64_t expected_trace, expected_allocations, silent = 0;
  failing = allocations = trace = 0;
  run();
  expected_trace = trace;
  expected_allocations = allocations;
  assert_true(expected_allocations > 20);

  for (failing = 1; failing <= expected_allocations; failing++) {
    allocations = trace = refused_steps = 0;
    run();
    if (refused_steps == 1)
      assert_true(trace == expected_trace);
    else
      silent++; /* it put a promotion or a cancelling off: that is allowed */
  }
  failing = 0;
  assert_true(silent >= 2);
  assert_true(silent < expected_allocations / 2);
}

static void what_needs_memory_says_so(void **state) {
  (void)state;
  const struct coracle_raft_options options = {.id = 1, .heartbeat_ms = 50, .election_timeout_ms = 500};
  const struct coracle_raft_configuration configuration = {.members_n = 1,
                                                           .members = {{.id = 1, .voter = true}}};
  struct coracle_raft *raft = NULL;
  counting = true;
  allocations = 0, failing = 1;
  assert_int_equal(coracle_raft_new(&options, &raft), CORACLE_RAFT_ENOMEM);
  assert_null(raft);
  allocations = 0;
  assert_null(coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 10));
  allocations = 0;
  assert_null(coracle_raft_configuration_entry(&configuration));
  counting = false;
  failing = 0;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_allocation_fails_once),
      cmocka_unit_test(what_needs_memory_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
