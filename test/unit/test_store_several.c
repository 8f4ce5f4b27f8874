/* Goal: a transaction is all or nothing, judged on the documents as they were before it; a batch is each
 * operation for itself, one after the other; a body that was computed from a document is stored only upon
 * that one; and what is no transaction changes nothing. */
#include "store_images.h"

static struct command several(enum command_type type, const struct command *operations, size_t n) {
  return (struct command){.type = type, .operations = operations, .operations_n = n};
}

static struct command on_condition(struct command command, enum command_condition condition,
                                   uint64_t revision) {
  command.condition = condition;
  command.revision = revision;
  return command;
}

/* "a" of revision 1, "b" of revision 2. */
static struct store *store_of_two(void) {
  struct store *store = store_new(test_hash_key);
  put(store, 1, "c", "a", "old");
  put(store, 2, "c", "b", "old");
  return store;
}

static struct store_record *get(const struct store *store, const char *id) {
  return store_get(store, slice_of("c"), slice_of(id));
}

static void assert_body(const struct store *store, const char *id, uint64_t revision, const char *body) {
  const struct store_record *record = get(store, id);
  assert_non_null(record);
  assert_true(record->revision == revision);
  assert_true(slice_is(store_record_body(record), body));
}

static void all_of_it(void **state) {
  (void)state;
  struct store *store = store_of_two();
  const struct command operations[] = {
      on_condition(put_command("c", "a", "new"), COMMAND_IF_REVISION, 1),
      put_command("d", "a", "new"), /* of the same id, in another collection */
      on_condition(put_command("c", "n", "made"), COMMAND_CREATE, 0),
      delete_command("c", "b"),
      on_condition(put_command("c", "o", "made"), COMMAND_IF_ABSENT, 0),
  };
  const struct command command = several(COMMAND_TRANSACTION, operations, 5);
  struct store_result result = apply(store, 3, &command);
  assert_int_equal(result.outcome, STORE_DONE);
  assert_null(result.record);
  assert_true(result.revision == 3 && !result.replayed);
  static const enum store_outcome expected[] = {STORE_REPLACED, STORE_CREATED, STORE_CREATED, STORE_DELETED,
                                                STORE_CREATED};
  assert_int_equal(result.operations_n, 5);
  for (size_t i = 0; i < 5; i++) {
    const struct store_operation *operation = &result.operations[i];
    assert_int_equal(operation->outcome, expected[i]);
    assert_ptr_equal(operation->record, store_get(store, operations[i].collection, operations[i].id));
    assert_int_equal(operation->record == NULL, i == 3);
  }
  assert_body(store, "a", 3, "new");
  assert_null(get(store, "b"));
  assert_body(store, "n", 3, "made");
  assert_int_equal(store_documents(store), 4);
  store_result_close(&result);
  assert_true(result.operations == NULL && result.operations_n == 0);
  store_result_close(&result); /* is nothing */
  store_free(store);
}

/* What can go wrong in the second of three operations, and what it is called. */
static void or_nothing(void **state) {
  (void)state;
  const struct {
    struct command command;
    enum store_outcome outcome;
  } rows[] = {
      {on_condition(put_command("c", "b", "x"), COMMAND_CREATE, 0), STORE_EXISTS},
      {on_condition(put_command("c", "b", "x"), COMMAND_IF_ABSENT, 0), STORE_PRECONDITION_FAILED},
      {on_condition(put_command("c", "none", "x"), COMMAND_IF_PRESENT, 0), STORE_PRECONDITION_FAILED},
      {on_condition(put_command("c", "b", "x"), COMMAND_IF_REVISION, 1), STORE_PRECONDITION_FAILED},
      {on_condition(delete_command("c", "b"), COMMAND_IF_REVISION, 1), STORE_PRECONDITION_FAILED},
      {delete_command("c", "none"), STORE_NOT_FOUND},
  };
  struct store *store = store_of_two();
  for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
    const struct state_hash before = store_state_hash(store);
    const struct command operations[] = {put_command("c", "a", "new"), rows[i].command,
                                         delete_command("c", "none too")}; /* fails as well, and later */
    const struct command command = several(COMMAND_TRANSACTION, operations, 3);
    struct store_result result = apply(store, 10 + i, &command);
    assert_int_equal(result.outcome, STORE_REFUSED);
    assert_int_equal(result.failed, 1);
    assert_int_equal(result.failed_outcome, rows[i].outcome);
    assert_int_equal(result.operations_n, 2);
    assert_null(result.operations[0].record); /* it was not made */
    assert_int_equal(result.operations[1].outcome, rows[i].outcome);
    const bool shows = rows[i].outcome != STORE_NOT_FOUND;
    assert_ptr_equal(result.operations[1].record,
                     shows ? store_get(store, rows[i].command.collection, rows[i].command.id) : NULL);
    assert_true(state_hash_equal(before, store_state_hash(store)));
    assert_true(store_revision(store) == 10 + i);
    store_result_close(&result);
  }
  assert_body(store, "a", 1, "old");
  store_free(store);
}

/* One that would fail in any case is told of, though the first of them might come out otherwise. */
static void bases(void **state) {
  (void)state;
  struct store *store = store_of_two();
  const struct command moved = on_condition(put_command("c", "a", "x"), COMMAND_IF_BASE, 9);
  const struct command fits = on_condition(put_command("c", "b", "x"), COMMAND_IF_BASE, 2);
  const struct command gone = on_condition(put_command("c", "none", "x"), COMMAND_IF_BASE, 1);
  const struct command fails = delete_command("c", "none too");
  assert_int_equal(outcome(store, 3, &moved), STORE_BASE_MOVED);
  assert_int_equal(outcome(store, 4, &gone), STORE_BASE_MOVED);

  struct command operations[] = {fits, moved, put_command("c", "n", "x")};
  const struct command transaction = several(COMMAND_TRANSACTION, operations, 3);
  const struct state_hash before = store_state_hash(store);
  struct store_result result = apply(store, 5, &transaction);
  assert_int_equal(result.outcome, STORE_BASE_MOVED);
  assert_null(result.record);
  assert_int_equal(result.operations_n, 2);
  assert_int_equal(result.operations[1].outcome, STORE_BASE_MOVED);
  assert_true(result.operations[0].record == NULL && result.operations[1].record == NULL);
  assert_true(state_hash_equal(before, store_state_hash(store)));
  store_result_close(&result);

  operations[2] = fails;
  result = apply(store, 6, &transaction);
  assert_int_equal(result.outcome, STORE_REFUSED);
  assert_int_equal(result.failed, 2);
  assert_int_equal(result.failed_outcome, STORE_NOT_FOUND);
  store_result_close(&result);
  assert_true(state_hash_equal(before, store_state_hash(store)));

  assert_int_equal(outcome(store, 7, &fits), STORE_REPLACED);
  assert_body(store, "b", 7, "x");
  store_free(store);
}

static void each_for_itself(void **state) {
  (void)state;
  struct store *store = store_of_two();
  const struct command operations[] = {
      on_condition(put_command("c", "a", "x"), COMMAND_CREATE, 0), /* fails, and nobody else minds */
      put_command("c", "n", "1"),
      on_condition(put_command("c", "n", "2"), COMMAND_CREATE, 0), /* it is there by now */
      put_command("c", "n", "3"),
      delete_command("c", "b"),
      delete_command("c", "b"),
      on_condition(put_command("c", "b", "again"), COMMAND_CREATE, 0),
  };
  static const enum store_outcome expected[] = {STORE_EXISTS,  STORE_CREATED,   STORE_EXISTS, STORE_REPLACED,
                                                STORE_DELETED, STORE_NOT_FOUND, STORE_CREATED};
  const struct command command = several(COMMAND_BATCH, operations, 7);
  struct store_result result = apply(store, 3, &command);
  assert_int_equal(result.outcome, STORE_DONE);
  assert_int_equal(result.operations_n, 7);
  for (size_t i = 0; i < 7; i++) assert_int_equal(result.operations[i].outcome, expected[i]);
  assert_true(slice_is(store_record_body(result.operations[1].record), "1")); /* what was there at the time */
  assert_true(slice_is(store_record_body(result.operations[2].record), "1"));
  assert_true(slice_is(store_record_body(result.operations[3].record), "3"));
  assert_null(result.operations[4].record);
  store_result_close(&result);
  assert_body(store, "a", 1, "old");
  assert_body(store, "n", 3, "3");
  assert_body(store, "b", 3, "again");
  assert_int_equal(store_documents(store), 3);
  store_free(store);
}

/* Two operations on one document: neither is before the other. */
static void twice_the_same_document(void **state) {
  (void)state;
  struct store *store = store_of_two();
  static const char *const ids[] = {"a", "none"}; /* of a document that is there, and of one that is not */
  for (size_t i = 0; i < 2; i++) {
    const struct command operations[] = {put_command("c", ids[i], "x"), put_command("d", ids[i], "x"),
                                         delete_command("c", ids[i])};
    const struct command command = several(COMMAND_TRANSACTION, operations, 3);
    const struct state_hash before = store_state_hash(store);
    struct store_result result = {.outcome = STORE_EXISTS};
    uint8_t encoded[200];
    assert_in_range(command_size(&command), 1, sizeof encoded);
    command_encode(&command, encoded);
    assert_int_equal(store_apply(store, 3, encoded, command_size(&command), &result), CORACLE_EMALFORMED);
    assert_int_equal(result.outcome, STORE_EXISTS);
    assert_true(state_hash_equal(before, store_state_hash(store)));
    assert_true(store_revision(store) == 2);
  }
  store_free(store);
}

static void as_many_as_there_may_be(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  static struct command operations[COMMAND_BATCH_MAX];
  static char ids[COMMAND_BATCH_MAX][4];
  for (size_t i = 0; i < COMMAND_BATCH_MAX; i++) {
    for (size_t k = 0; k < 3; k++) ids[i][k] = (char)('0' + (i >> (3 * (2 - k))) % 8);
    operations[i] = put_command("c", ids[i], "{}");
  }
  const struct command transaction = several(COMMAND_TRANSACTION, operations, COMMAND_TRANSACTION_MAX);
  assert_int_equal(outcome(store, 1, &transaction), STORE_DONE);
  assert_int_equal(store_documents(store), COMMAND_TRANSACTION_MAX);
  const struct command batch = several(COMMAND_BATCH, operations, COMMAND_BATCH_MAX);
  assert_int_equal(outcome(store, 2, &batch), STORE_DONE);
  assert_int_equal(store_documents(store), COMMAND_BATCH_MAX);

  /* One after the other comes to the same. */
  struct store *other = store_new(test_hash_key);
  for (size_t i = 0; i < COMMAND_BATCH_MAX; i++) {
    struct command one = several(COMMAND_BATCH, &operations[i], 1);
    assert_int_equal(outcome(other, i + 1, &one), STORE_DONE);
  }
  assert_int_equal(store_documents(other), COMMAND_BATCH_MAX);
  assert_true(store_bytes(other) == store_bytes(store));
  store_free(other);
  store_free(store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_of_it),
      cmocka_unit_test(or_nothing),
      cmocka_unit_test(bases),
      cmocka_unit_test(each_for_itself),
      cmocka_unit_test(twice_the_same_document),
      cmocka_unit_test(as_many_as_there_may_be),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
