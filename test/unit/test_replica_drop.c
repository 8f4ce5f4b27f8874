/* Goal: a large collection is dropped over several turns, each of which stays short: who waits for it hears
 * at once, and reads nothing of it any more; meanwhile nothing else is applied, no image is taken and no
 * state is noted, and afterwards all of that goes on, with the state of exactly that index. Batches, too, are
 * counted by what is in them. */
#include "replica/replica.h"

#include "store_commands.h"

#include <stdio.h>

enum { SELF = 1, NOW_MS = 1000, PER_TURN = 512, BATCH = 200, TURNS_MAX = 1000 };

struct scene {
  struct replica *replica;
  size_t results;   /* taken */
  uint64_t applied; /* index of the last one */
};

static void persist(struct replica *r, const struct coracle_raft_effects *effects) {
  while (effects != NULL && effects->persist.sequence != 0) {
    const struct coracle_raft_event event = {
        .type = CORACLE_RAFT_PERSISTED, .now_ms = NOW_MS, .persisted = effects->persist.sequence};
    assert_int_equal(replica_step(r, &event, &effects), 0);
  }
}

/* It leads a cluster of itself. */
static struct scene scene_new(void) {
  struct replica_options options = {.raft = {.id = SELF,
                                             .heartbeat_ms = 50,
                                             .election_timeout_ms = 500,
                                             .uncommitted_bytes_max = UINT32_MAX},
                                    .compact_bytes = 64 * 1024};
  const struct coracle_raft_configuration founding = {.members_n = 1,
                                                      .members = {{.id = SELF, .voter = true}}};
  const struct coracle_raft_event event = {
      .type = CORACLE_RAFT_START, .now_ms = NOW_MS, .start = {.founding = &founding}};
  const struct coracle_raft_effects *effects;
  memcpy(options.store_key, test_hash_key, sizeof options.store_key);
  struct scene s = {.replica = replica_new(&options)};
  assert_int_equal(replica_step(s.replica, &event, &effects), 0);
  persist(s.replica, effects);
  return s;
}

static void propose(struct scene *s, const struct command *command) {
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(command));
  command_encode(command, entry->data);
  replica_propose(s->replica, entry, 0, s);
}

/* All that was proposed is committed, and applied as far as the turn goes. */
static void commit(struct scene *s) {
  const struct coracle_raft_effects *effects;
  replica_flush(s->replica, NOW_MS, &effects);
  persist(s->replica, effects);
}

static void take_results(struct scene *s) {
  for (struct replica_result result; replica_next_result(s->replica, &result); s->results++) {
    assert_ptr_equal(result.waiter, s);
    assert_int_equal(result.verdict, REPLICA_APPLIED);
    assert_true(result.index > s->applied && result.index == result.store.revision);
    s->applied = result.index;
    store_result_close(&result.store);
  }
}

static void turn(struct scene *s) {
  const struct coracle_raft_effects *effects;
  replica_begin_turn(s->replica);
  do replica_tend(s->replica, NOW_MS, &effects);
  while (effects != NULL);
  take_results(s);
}

static void settle(struct scene *s) {
  for (size_t turns = 0; replica_is_behind(s->replica); turns++) {
    assert_in_range(turns, 0, TURNS_MAX);
    turn(s);
  }
}

/* Documents in the log up to this index, which is the last one. */
static void fill(struct scene *s, uint64_t index) {
  char id[24];
  for (uint64_t at = replica_applied(s->replica); at < index; at++) {
    snprintf(id, sizeof id, "%08u", (unsigned)at);
    const struct command command = put_command("notes", id, "{}");
    propose(s, &command);
  }
  commit(s);
  settle(s);
  assert_true(replica_applied(s->replica) == index);
}

static uint64_t snapshot_index(const struct scene *s) {
  return coracle_raft_snapshot(replica_raft(s->replica))->index;
}

static void a_drop_takes_turns(void **state) {
  (void)state;
  enum { DROPPED_AT = 20 * REPLICA_STATE_EVERY, TURNS = DROPPED_AT / PER_TURN };
  struct scene s = scene_new();
  struct replica *r = s.replica;
  const struct command drop = drop_command("notes"), after = put_command("notes", "after", "{}");
  struct replica_read read = {.waiter = &s, .min_revision = DROPPED_AT, .deadline_ms = NOW_MS};
  struct replica_result result;
  fill(&s, DROPPED_AT - 1);
  const uint64_t snapshot = snapshot_index(&s);
  const size_t results = s.results;
  replica_read(r, &read);
  assert_false(replica_next_result(r, &result));

  propose(&s, &drop);
  propose(&s, &after);
  turn(&s);
  commit(&s);
  assert_true(replica_next_result(r, &result));
  assert_int_equal(result.store.outcome, STORE_DROPPED);
  store_result_close(&result.store);
  assert_true(replica_next_result(r, &result)); /* it may read */
  assert_int_equal(result.verdict, REPLICA_READABLE);
  assert_int_equal(store_count(replica_store(r), slice_of("notes")), 0);

  size_t turns = 0;
  for (; store_is_busy(replica_store(r)); turns++) {
    assert_true(replica_is_behind(r));
    assert_true(replica_applied(r) == DROPPED_AT);
    assert_int_equal(s.results, results);
    assert_true(replica_newest_state(r) < DROPPED_AT);
    assert_true(snapshot_index(&s) == snapshot);
    const uint64_t documents = store_documents(replica_store(r));
    turn(&s);
    assert_in_range(documents - store_documents(replica_store(r)), 1, PER_TURN);
  }
  assert_in_range(turns, TURNS - 2, TURNS + 1);
  assert_true(replica_newest_state(r) == DROPPED_AT);
  struct replica_state noted;
  assert_true(replica_state_after(r, DROPPED_AT - 1, &noted));
  const struct state_hash none = {0};
  assert_true(state_hash_equal(noted.hash, none));

  settle(&s);
  assert_int_equal(s.results, results + 1);
  assert_true(replica_applied(r) == DROPPED_AT + 1);
  assert_int_equal(store_documents(replica_store(r)), 1);
  turn(&s);
  assert_true(snapshot_index(&s) > snapshot);
  replica_free(r);
}

/* What is under way when the node goes is released all the same. */
static void it_can_be_released_while_it_drops(void **state) {
  (void)state;
  struct scene s = scene_new();
  const struct command drop = drop_command("notes");
  fill(&s, 3000);
  propose(&s, &drop);
  commit(&s);
  turn(&s);
  assert_true(store_is_busy(replica_store(s.replica)));
  assert_true(replica_is_behind(s.replica)); /* though everything is applied */
  replica_free(s.replica);
}

/* Twice the same, one after the other, and one that finds nothing. */
static void one_drop_after_the_other(void **state) {
  (void)state;
  struct scene s = scene_new();
  const struct command drop = drop_command("notes"), other = drop_command("none");
  fill(&s, 3000);
  for (int i = 0; i < 2; i++) {
    propose(&s, &drop);
    propose(&s, &other);
  }
  commit(&s);
  settle(&s);
  assert_true(replica_applied(s.replica) == 3004);
  assert_int_equal(store_documents(replica_store(s.replica)), 0);
  replica_free(s.replica);
}

static void batches_are_counted_by_their_operations(void **state) {
  (void)state;
  enum { BATCHES = 100 };
  struct scene s = scene_new();
  static struct command operations[BATCH];
  static char ids[BATCH][8];
  for (size_t i = 0; i < BATCH; i++) {
    snprintf(ids[i], sizeof ids[i], "%zu", i);
    operations[i] = put_command("notes", ids[i], "{}");
  }
  const struct command batch = {.type = COMMAND_BATCH, .operations = operations, .operations_n = BATCH};
  const uint64_t before = replica_applied(s.replica);
  for (int i = 0; i < BATCHES; i++) propose(&s, &batch);
  turn(&s);
  commit(&s);
  for (uint64_t applied = before; replica_is_behind(s.replica); applied = replica_applied(s.replica)) {
    turn(&s);
    assert_in_range(replica_applied(s.replica) - applied, 1, 2 * (PER_TURN / BATCH + 1));
  }
  assert_int_equal(s.results, BATCHES);
  assert_int_equal(store_documents(replica_store(s.replica)), BATCH);
  replica_free(s.replica);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_drop_takes_turns),
      cmocka_unit_test(it_can_be_released_while_it_drops),
      cmocka_unit_test(one_drop_after_the_other),
      cmocka_unit_test(batches_are_counted_by_their_operations),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
