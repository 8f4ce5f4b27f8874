/* Goal: commands proposed in one turn enter the log as one batch, what is committed is applied in log order,
 * and every waiter gets exactly one result: applied, in the order of the proposals; unknown where leadership
 * was lost in between; or at once, not proposed and why. A leak is found by the sanitizer: of entries,
 * records, and waiters at the end. */
#include "replica/replica.h"

#include "store_commands.h"

#include <stdio.h>
#include <stdlib.h>

enum { SELF = 1, OTHER = 2, NOW_MS = 1000, UNCOMMITTED_BYTES_MAX = 4000 };

/* ---- One replica, driven ---- */

static uint64_t unpersisted; /* the newest sequence that storage was asked for; 0: it has everything */

static struct replica *new_replica_of(uint32_t uncommitted_bytes_max) {
  unpersisted = 0;
  struct replica_options options = {.raft = {.id = SELF,
                                             .heartbeat_ms = 50,
                                             .election_timeout_ms = 500,
                                             .uncommitted_bytes_max = uncommitted_bytes_max}};
  memcpy(options.store_key, test_hash_key, sizeof options.store_key);
  return replica_new(&options);
}

static struct replica *new_replica(void) {
  return new_replica_of(UNCOMMITTED_BYTES_MAX);
}

static void note_persist(const struct coracle_raft_effects *effects) {
  if (effects != NULL && effects->persist.sequence != 0) unpersisted = effects->persist.sequence;
}

static void step(struct replica *r, struct coracle_raft_event event) {
  const struct coracle_raft_effects *effects = NULL;
  event.now_ms = NOW_MS;
  assert_int_equal(replica_step(r, &event, &effects), 0);
  assert_non_null(effects);
  note_persist(effects);
}

static void persist(struct replica *r) {
  while (unpersisted != 0) {
    const struct coracle_raft_event event = {.type = CORACLE_RAFT_PERSISTED, .persisted = unpersisted};
    unpersisted = 0;
    step(r, event);
  }
}

static void start(struct replica *r, const struct coracle_raft_configuration *founding) {
  step(r, (struct coracle_raft_event){.type = CORACLE_RAFT_START, .start = {.founding = founding}});
  persist(r);
}

/* It leads a cluster of itself. */
static struct replica *lead_alone(struct replica *r) {
  const struct coracle_raft_configuration founding = {.members_n = 1,
                                                      .members = {{.id = SELF, .voter = true}}};
  start(r, &founding);
  return r;
}

static struct replica *founder(void) {
  return lead_alone(new_replica());
}

/* The core's own limits are none. */
static struct replica *roomy_founder(void) {
  return lead_alone(new_replica_of(UINT32_MAX));
}

static struct replica *follower(void) {
  struct replica *r = new_replica();
  start(r, NULL);
  return r;
}

static void receive(struct replica *r, const struct coracle_raft_message *message) {
  step(r, (struct coracle_raft_event){.type = CORACLE_RAFT_RECEIVE, .message = message});
}

/* The leader of a newer term is heard, and its stream ends at once. */
static void depose(struct replica *r, uint64_t term) {
  const struct coracle_raft_message append = {
      .type = CORACLE_RAFT_APPEND, .from = OTHER, .to = SELF, .term = term};
  receive(r, &append);
  step(r, (struct coracle_raft_event){.type = CORACLE_RAFT_LINK_DOWN, .peer = OTHER});
}

static struct coracle_raft_entry *entry_of(const struct command *command) {
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(command));
  command_encode(command, entry->data);
  return entry;
}

static struct coracle_raft_entry *put_entry(const char *id, const char *body) {
  struct command command = put_command("notes", id, body);
  return entry_of(&command);
}

/* An append of OTHER that brings these entries (their references stay with the caller) and commits all of
 * them. */
static void append(struct replica *r, uint64_t term, uint64_t previous_index, uint64_t previous_term,
                   struct coracle_raft_entry **entries, size_t n) {
  struct coracle_raft_message message = {
      .type = CORACLE_RAFT_APPEND, .from = OTHER, .to = SELF, .term = term};
  for (size_t i = 0; i < n; i++) {
    entries[i]->index = previous_index + 1 + i;
    entries[i]->term = term;
  }
  message.append.previous_index = previous_index;
  message.append.previous_term = previous_term;
  message.append.commit = previous_index + n;
  message.append.entries = entries;
  message.append.entries_n = n;
  receive(r, &message);
}

static const struct coracle_raft_effects *flush(struct replica *r) {
  const struct coracle_raft_effects *effects;
  replica_flush(r, NOW_MS, &effects);
  note_persist(effects);
  assert_false(replica_has_proposals(r));
  return effects;
}

/* The next result is this waiter's, with this verdict. Its record is released. */
static struct replica_result take(struct replica *r, const void *waiter, enum replica_verdict verdict) {
  struct replica_result result;
  assert_true(replica_next_result(r, &result));
  assert_ptr_equal(result.waiter, waiter);
  assert_int_equal(result.verdict, verdict);
  store_record_unref(result.store.record);
  return result;
}

static void assert_no_result(struct replica *r) {
  struct replica_result result;
  assert_false(replica_next_result(r, &result));
}

static void assert_body(const struct replica *r, const char *id, const char *body) {
  const struct store_record *record = store_get(replica_store(r), slice_of("notes"), slice_of(id));
  assert_non_null(record);
  assert_int_equal(record->body_bytes, strlen(body));
  assert_memory_equal(store_record_body(record).at, body, strlen(body));
}

static char waiters[200];

static void *waiter(size_t i) {
  return &waiters[i];
}

/* ---- Tests ---- */

/* One batch, one persist sequence; nothing is applied before it is durable; results in order, revision =
 * index. */
static void a_turn_is_one_batch(void **state) {
  (void)state;
  struct replica *r = founder();
  const uint64_t applied = replica_applied(r);
  assert_null(flush(r));
  replica_propose(r, put_entry("a", "{}"), 0, waiter(0));
  replica_propose(r, put_entry("b", "{\"n\":1}"), 0, waiter(1));
  replica_propose(r, put_entry("a", "[2]"), 0, waiter(2));
  assert_true(replica_has_proposals(r));
  assert_int_equal(replica_waiting(r), 3);
  const struct coracle_raft_effects *effects = flush(r);
  assert_non_null(effects);
  assert_int_equal(effects->persist.entries_n, 3);
  assert_int_equal(replica_waiting(r), 3);
  assert_no_result(r);
  assert_int_equal(store_documents(replica_store(r)), 0);

  persist(r);
  assert_int_equal(replica_applied(r), applied + 3);
  assert_body(r, "a", "[2]");
  assert_int_equal(store_documents(replica_store(r)), 2);
  assert_int_equal(take(r, waiter(0), REPLICA_APPLIED).index, applied + 1);
  assert_int_equal(take(r, waiter(1), REPLICA_APPLIED).store.outcome, STORE_CREATED);
  assert_int_equal(take(r, waiter(2), REPLICA_APPLIED).store.outcome, STORE_REPLACED);
  assert_no_result(r);
  assert_int_equal(replica_waiting(r), 0);
  replica_free(r);
}

/* Several batches underway, and what is decided at apply: each its own outcome, all in order. */
static void results_come_in_the_order_of_the_proposals(void **state) {
  (void)state;
  struct replica *r = founder();
  struct command create = put_command("notes", "once", "{}");
  create.condition = COMMAND_CREATE;
  struct command remove = delete_command("notes", "none");
  for (size_t i = 0; i < 200; i++) {
    replica_propose(r,
                    i % 3 == 0   ? entry_of(&create)
                    : i % 3 == 1 ? entry_of(&remove)
                                 : put_entry("x", "{}"),
                    0, waiter(i));
    if (i % 7 == 0) assert_non_null(flush(r));
    if (i % 31 == 0) persist(r);
  }
  assert_non_null(flush(r));
  persist(r);
  for (size_t i = 0, previous = 0; i < 200; i++) {
    struct replica_result result = take(r, waiter(i), REPLICA_APPLIED);
    assert_true(result.index > previous);
    previous = result.index;
    if (i % 3 == 0) assert_int_equal(result.store.outcome, i == 0 ? STORE_CREATED : STORE_EXISTS);
    if (i % 3 == 1) assert_int_equal(result.store.outcome, STORE_NOT_FOUND);
  }
  assert_no_result(r);
  replica_free(r);
}

/* A proposal may stand behind entries that nobody waits for. */
static void a_waiter_waits_for_its_own_entry(void **state) {
  (void)state;
  struct replica *r = new_replica();
  const struct coracle_raft_configuration founding = {.members_n = 1,
                                                      .members = {{.id = SELF, .voter = true}}};
  step(r, (struct coracle_raft_event){.type = CORACLE_RAFT_START, .start = {.founding = &founding}});
  replica_propose(r, put_entry("a", "1"), 0, waiter(0));
  assert_non_null(flush(r));
  persist(r); /* the configuration, the no-op and the command */
  assert_int_equal(take(r, waiter(0), REPLICA_APPLIED).index, 3);
  assert_no_result(r);
  replica_free(r);
}

/* A follower applies what its leader committed, and has nobody to tell. */
static void a_follower_applies_what_is_committed(void **state) {
  (void)state;
  struct replica *r = follower();
  struct coracle_raft_entry *entries[] = {put_entry("a", "1"), put_entry("b", "2")};
  append(r, 1, 0, 0, entries, 2);
  assert_int_equal(replica_applied(r), 2);
  assert_body(r, "b", "2");
  assert_no_result(r);
  for (size_t i = 0; i < 2; i++) {
    assert_int_equal(entries[i]->references, 2); /* the log's and ours */
    coracle_raft_entry_unref(entries[i]);
  }
  replica_free(r);
}

static void a_follower_takes_no_proposals(void **state) {
  (void)state;
  struct replica *r = follower();
  replica_propose(r, put_entry("a", "1"), 0, waiter(0));
  replica_propose(r, put_entry("a", "2"), 0, waiter(1));
  assert_null(flush(r));
  take(r, waiter(0), REPLICA_NOT_LEADER);
  take(r, waiter(1), REPLICA_NOT_LEADER);
  assert_no_result(r);
  assert_int_equal(replica_waiting(r), 0);
  replica_free(r);
}

/* Too much is uncommitted: the batch is refused as a whole, what was taken before goes on, and later there is
 * room. */
static void too_much_is_busy(void **state) {
  (void)state;
  struct replica *r = founder();
  char body[UNCOMMITTED_BYTES_MAX / 2 + 1];
  memset(body, '1', sizeof body);
  body[sizeof body - 1] = '\0';
  replica_propose(r, put_entry("a", body), 0, waiter(0));
  assert_non_null(flush(r));
  replica_propose(r, put_entry("b", "1"), 0, waiter(1));
  replica_propose(r, put_entry("c", body), 0, waiter(2));
  assert_null(flush(r));
  take(r, waiter(1), REPLICA_BUSY);
  take(r, waiter(2), REPLICA_BUSY);
  assert_no_result(r);
  persist(r);
  take(r, waiter(0), REPLICA_APPLIED);
  replica_propose(r, put_entry("c", body), 0, waiter(3));
  assert_non_null(flush(r));
  persist(r);
  take(r, waiter(3), REPLICA_APPLIED);
  assert_int_equal(store_documents(replica_store(r)), 2);
  replica_free(r);
}

/* What was in the log when leadership ended may take effect or not: unknown. What was still queued was not
 * proposed. */
static void lost_leadership_leaves_the_outcome_unknown(void **state) {
  (void)state;
  struct replica *r = founder();
  const uint64_t base = replica_applied(r);
  replica_propose(r, put_entry("a", "1"), 0, waiter(0));
  replica_propose(r, put_entry("b", "1"), 0, waiter(1));
  assert_non_null(flush(r));
  replica_propose(r, put_entry("c", "1"), 0, waiter(2));
  depose(r, 5);
  take(r, waiter(0), REPLICA_UNKNOWN);
  take(r, waiter(1), REPLICA_UNKNOWN);
  assert_no_result(r);
  assert_null(flush(r));
  take(r, waiter(2), REPLICA_NOT_LEADER);
  assert_int_equal(replica_waiting(r), 0);

  /* The next leader kept the first and replaced the second: nobody is told again. */
  struct coracle_raft_entry *other = put_entry("z", "2");
  append(r, 6, base + 1, 1, &other, 1);
  coracle_raft_entry_unref(other);
  assert_int_equal(replica_applied(r), base + 2);
  assert_body(r, "a", "1");
  assert_body(r, "z", "2");
  assert_null(store_get(replica_store(r), slice_of("notes"), slice_of("b")));
  assert_no_result(r);
  replica_free(r);
}

/* Deposed and elected again, it has only the waiters of its new term. */
static void a_waiter_does_not_outlive_its_term(void **state) {
  (void)state;
  struct replica *r = founder();
  replica_propose(r, put_entry("a", "1"), 0, waiter(0));
  assert_non_null(flush(r));
  depose(r, 5);
  persist(r);
  step(r, (struct coracle_raft_event){.type = CORACLE_RAFT_CAMPAIGN}); /* the sole voter wins at once */
  persist(r);
  replica_propose(r, put_entry("b", "1"), 0, waiter(1));
  assert_non_null(flush(r));
  persist(r);
  take(r, waiter(0), REPLICA_UNKNOWN);
  assert_int_equal(take(r, waiter(1), REPLICA_APPLIED).index, replica_applied(r));
  assert_no_result(r);
  assert_body(r, "a", "1"); /* it took effect after all */
  replica_free(r);
}

/* The node stops: whoever waits is told now, and only once. */
static void abandoned_waiters_get_their_results(void **state) {
  (void)state;
  struct replica *r = founder();
  replica_propose(r, put_entry("a", "1"), 0, waiter(0));
  assert_non_null(flush(r));
  persist(r);
  replica_propose(r, put_entry("b", "1"), 0, waiter(1));
  assert_non_null(flush(r));
  replica_propose(r, put_entry("c", "1"), 0, waiter(2));
  assert_int_equal(replica_waiting(r), 3);
  replica_abandon(r);
  assert_false(replica_has_proposals(r));
  take(r, waiter(0), REPLICA_APPLIED);
  take(r, waiter(1), REPLICA_UNKNOWN);
  take(r, waiter(2), REPLICA_NOT_LEADER);
  assert_no_result(r);
  persist(r); /* it is applied all the same */
  assert_body(r, "b", "1");
  assert_no_result(r);
  replica_free(r);
}

/* Released with proposals queued, in the log, and with results nobody took. */
static void it_can_be_released_at_any_time(void **state) {
  (void)state;
  struct replica *r = founder();
  replica_propose(r, put_entry("a", "1"), 0, waiter(0));
  assert_non_null(flush(r));
  persist(r);
  replica_propose(r, put_entry("b", "1"), 0, waiter(1));
  assert_non_null(flush(r));
  replica_propose(r, put_entry("c", "1"), 0, waiter(2));
  replica_free(r);
  replica_free(new_replica());
  replica_free(NULL);
}

/* A record handed out outlives its document. */
static void a_results_record_is_the_receivers(void **state) {
  (void)state;
  struct replica *r = founder();
  struct command remove = delete_command("notes", "a");
  struct replica_result result;
  replica_propose(r, put_entry("a", "[1]"), 0, waiter(0));
  replica_propose(r, entry_of(&remove), 0, waiter(1));
  assert_non_null(flush(r));
  persist(r);
  assert_true(replica_next_result(r, &result));
  take(r, waiter(1), REPLICA_APPLIED);
  replica_free(r);
  assert_memory_equal(store_record_body(result.store.record).at, "[1]", 3);
  store_result_close(&result.store);
}

static void a_refused_step_is_told(void **state) {
  (void)state;
  struct replica *r = founder();
  const struct coracle_raft_effects *effects = NULL;
  const struct coracle_raft_event again = {.type = CORACLE_RAFT_START, .now_ms = NOW_MS};
  assert_int_equal(replica_step(r, &again, &effects), CORACLE_RAFT_EINVALID);
  assert_int_equal(replica_applied(r), 2);
  replica_free(r);
}

/* ---- Established ---- */

static void a_command_establishes(void **state) {
  (void)state;
  struct replica *r = founder();
  assert_false(replica_is_established(r));
  replica_propose(r, put_entry("a", "1"), 0, waiter(0));
  assert_false(replica_is_established(r)); /* it may yet be refused */
  assert_non_null(flush(r));
  assert_true(replica_is_established(r)); /* from the moment it is in the log */
  replica_free(r);

  r = follower();
  struct coracle_raft_entry *entry = put_entry("a", "1");
  append(r, 1, 0, 0, &entry, 1);
  coracle_raft_entry_unref(entry);
  assert_true(replica_is_established(r));
  replica_free(r);
}

static struct coracle_raft_entry *configuration_entry(bool second_votes) {
  const struct coracle_raft_configuration configuration = {
      .members_n = 2, .members = {{.id = OTHER, .voter = true}, {.id = SELF, .voter = second_votes}}};
  return coracle_raft_configuration_entry(&configuration);
}

static void two_voters_establish_and_a_learner_does_not(void **state) {
  (void)state;
  struct replica *r = follower();
  assert_false(replica_is_established(r));
  for (uint64_t previous = 0; previous < 2; previous++) {
    struct coracle_raft_entry *entry = configuration_entry(previous == 1);
    append(r, 1, previous, previous, &entry, 1);
    coracle_raft_entry_unref(entry);
    assert_int_equal(replica_is_established(r), previous == 1);
  }
  /* A leader that goes on alone leads no new cluster: somebody may still count on the old one. */
  struct coracle_raft_entry *alone = configuration_entry(false);
  append(r, 1, 2, 1, &alone, 1);
  coracle_raft_entry_unref(alone);
  assert_true(replica_is_established(r));
  replica_free(r);
}

/* A command that another leader's log truncated away was never there; one before it still is. */
static void a_truncated_command_establishes_no_more(void **state) {
  (void)state;
  for (int kept = 0; kept <= 1; kept++) {
    struct replica *r = follower();
    struct coracle_raft_entry *entries[] = {kept ? put_entry("k", "1") : configuration_entry(false),
                                            configuration_entry(false), put_entry("a", "1")};
    struct coracle_raft_message lost = {.type = CORACLE_RAFT_APPEND, .from = OTHER, .to = SELF, .term = 1};
    for (size_t i = 0; i < 3; i++) {
      entries[i]->index = i + 1;
      entries[i]->term = 1;
    }
    lost.append.entries = entries;
    lost.append.entries_n = 3;
    receive(r, &lost);
    assert_true(replica_is_established(r));
    struct coracle_raft_entry *other = configuration_entry(false);
    append(r, 2, 2, 1, &other, 1);
    assert_int_equal(replica_is_established(r), kept);
    coracle_raft_entry_unref(other);
    for (size_t i = 0; i < 3; i++) coracle_raft_entry_unref(entries[i]);
    replica_free(r);
  }
}

/* ---- Much at once ---- */

/* What is committed in one step is applied over several turns: in order, each once, each with its result. */
static void a_turn_applies_no_more_than_it_may(void **state) {
  (void)state;
  enum { COMMANDS = 3000, TURNS_MAX = 100 };
  struct replica *r = roomy_founder();
  struct replica_result result;
  const uint64_t before = replica_applied(r);
  for (size_t i = 0; i < COMMANDS; i++) {
    char id[20], body[20];
    snprintf(id, sizeof id, "d%zu", i % 7);
    snprintf(body, sizeof body, "{\"n\":%zu}", i);
    replica_propose(r, put_entry(id, body), 2, waiter(i % 200));
  }
  assert_int_equal(replica_pending_bytes(r), 2 * COMMANDS);
  assert_non_null(flush(r));
  replica_begin_turn(r);
  persist(r);
  size_t turns = 0, results = 0;
  uint64_t applied = replica_applied(r);
  assert_true(replica_is_behind(r));
  for (; replica_is_behind(r); turns++) {
    assert_in_range(turns, 0, TURNS_MAX);
    replica_begin_turn(r);
    assert_in_range(replica_applied(r) - applied, 1, 600);
    applied = replica_applied(r);
    while (replica_next_result(r, &result)) {
      assert_ptr_equal(result.waiter, waiter(results++ % 200));
      assert_int_equal(result.verdict, REPLICA_APPLIED);
      store_result_close(&result.store);
    }
    assert_int_equal(replica_pending_bytes(r), 2 * (COMMANDS - results));
  }
  assert_int_equal(results, COMMANDS);
  assert_in_range(turns, 4, 10);
  assert_int_equal(applied, before + COMMANDS);
  assert_body(r, "d3", "{\"n\":2999}");
  replica_free(r);
}

/* Large ones are fewer. */
static void a_turn_applies_at_least_one(void **state) {
  (void)state;
  enum { BODY_BYTES = 3 * 1024 * 1024, COMMANDS = 6 };
  struct replica *r = roomy_founder();
  char *body = malloc(BODY_BYTES + 1);
  memset(body, 'x', BODY_BYTES);
  body[BODY_BYTES] = '\0';
  for (size_t i = 0; i < COMMANDS; i++) replica_propose(r, put_entry("a", body), BODY_BYTES, waiter(i));
  assert_non_null(flush(r));
  replica_begin_turn(r);
  persist(r);
  size_t turns = 0;
  for (; replica_is_behind(r); turns++) {
    const uint64_t applied = replica_applied(r);
    replica_begin_turn(r);
    assert_in_range(replica_applied(r) - applied, 1, 2);
  }
  assert_in_range(turns, 2, COMMANDS);
  free(body);
  replica_free(r);
}

/* A leader that loses its place has not applied all that is committed: whoever waits for that hears what is
 * true, that it is not known. */
static void what_is_not_applied_yet_is_unknown_to_who_leads_no_more(void **state) {
  (void)state;
  enum { COMMANDS = 2000 };
  struct replica *r = roomy_founder();
  for (size_t i = 0; i < COMMANDS; i++) replica_propose(r, put_entry("a", "{}"), 0, waiter(i % 200));
  assert_non_null(flush(r));
  replica_begin_turn(r);
  persist(r);
  assert_true(replica_is_behind(r));
  replica_abandon(r);
  size_t applied = 0, unknown = 0;
  for (struct replica_result result; replica_next_result(r, &result);) {
    if (result.verdict == REPLICA_APPLIED) applied++;
    if (result.verdict == REPLICA_UNKNOWN) unknown++;
    store_result_close(&result.store);
  }
  assert_true(applied > 0 && unknown > 0);
  assert_int_equal(applied + unknown, COMMANDS);
  assert_int_equal(replica_pending_bytes(r), 0);
  while (replica_is_behind(r)) replica_begin_turn(r);
  assert_no_result(r);
  replica_free(r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_turn_is_one_batch),
      cmocka_unit_test(results_come_in_the_order_of_the_proposals),
      cmocka_unit_test(a_waiter_waits_for_its_own_entry),
      cmocka_unit_test(a_follower_applies_what_is_committed),
      cmocka_unit_test(a_follower_takes_no_proposals),
      cmocka_unit_test(too_much_is_busy),
      cmocka_unit_test(lost_leadership_leaves_the_outcome_unknown),
      cmocka_unit_test(a_waiter_does_not_outlive_its_term),
      cmocka_unit_test(abandoned_waiters_get_their_results),
      cmocka_unit_test(it_can_be_released_at_any_time),
      cmocka_unit_test(a_results_record_is_the_receivers),
      cmocka_unit_test(a_refused_step_is_told),
      cmocka_unit_test(a_command_establishes),
      cmocka_unit_test(two_voters_establish_and_a_learner_does_not),
      cmocka_unit_test(a_truncated_command_establishes_no_more),
      cmocka_unit_test(a_turn_applies_no_more_than_it_may),
      cmocka_unit_test(a_turn_applies_at_least_one),
      cmocka_unit_test(what_is_not_applied_yet_is_unknown_to_who_leads_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
