/* Goal: what a command does to a document under each condition, which record comes back, how long records
 * live, and what listings, counts and sizes say at the edges. The model test does the same at random; here
 * each rule has a name. */
#include "store_commands.h"

struct outcome_row {
  enum command_type type;
  enum command_condition condition;
  bool matches; /* COMMAND_IF_REVISION names the current revision */
  enum store_outcome if_present;
  enum store_outcome if_absent;
};

static const struct outcome_row outcomes[] = {
    {COMMAND_PUT, COMMAND_ALWAYS, false, STORE_REPLACED, STORE_CREATED},
    {COMMAND_PUT, COMMAND_IF_ABSENT, false, STORE_PRECONDITION_FAILED, STORE_CREATED},
    {COMMAND_PUT, COMMAND_CREATE, false, STORE_EXISTS, STORE_CREATED},
    {COMMAND_PUT, COMMAND_IF_PRESENT, false, STORE_REPLACED, STORE_PRECONDITION_FAILED},
    {COMMAND_PUT, COMMAND_IF_REVISION, true, STORE_REPLACED, STORE_PRECONDITION_FAILED},
    {COMMAND_PUT, COMMAND_IF_REVISION, false, STORE_PRECONDITION_FAILED, STORE_PRECONDITION_FAILED},
    {COMMAND_DELETE, COMMAND_ALWAYS, false, STORE_DELETED, STORE_NOT_FOUND},
    {COMMAND_DELETE, COMMAND_IF_ABSENT, false, STORE_PRECONDITION_FAILED, STORE_NOT_FOUND},
    {COMMAND_DELETE, COMMAND_IF_PRESENT, false, STORE_DELETED, STORE_PRECONDITION_FAILED},
    {COMMAND_DELETE, COMMAND_IF_REVISION, true, STORE_DELETED, STORE_PRECONDITION_FAILED},
    {COMMAND_DELETE, COMMAND_IF_REVISION, false, STORE_PRECONDITION_FAILED, STORE_PRECONDITION_FAILED},
};

/* The document as it must be after a command at index 8 upon a body "old" of revision 7, if there was one. */
static void assert_outcome(const struct outcome_row *row, bool present) {
  struct store *store = store_new(test_hash_key);
  enum store_outcome expected = present ? row->if_present : row->if_absent;
  struct command command = {.type = row->type,
                            .condition = row->condition,
                            .collection = slice_of("c"),
                            .id = slice_of("d"),
                            .body = slice_of(row->type == COMMAND_PUT ? "newer" : "")};
  if (row->condition == COMMAND_IF_REVISION) command.revision = row->matches ? 7 : 6;
  if (present) put(store, 7, "c", "d", "old");

  struct store_result result = apply(store, 8, &command);
  struct store_record *now = store_get(store, slice_of("c"), slice_of("d"));
  bool changed = expected == STORE_CREATED || expected == STORE_REPLACED;
  bool there = changed || (present && expected != STORE_DELETED);
  assert_int_equal(result.outcome, expected);
  assert_int_equal(now != NULL, there);
  assert_int_equal(store_documents(store), there);
  assert_int_equal(store_count(store, slice_of("c")), there);
  assert_int_equal(store_bytes(store), there ? (changed ? 7 : 5) : 0);
  assert_ptr_equal(result.record, now);
  if (there) {
    assert_true(now->revision == (changed ? 8 : 7));
    assert_true(slice_is(store_record_body(now), changed ? "newer" : "old"));
    assert_true(slice_is(store_record_collection(now), "c"));
    assert_true(slice_is(store_record_id(now), "d"));
  }
  store_record_unref(result.record);
  store_free(store);
}

static void every_condition(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof outcomes / sizeof *outcomes; i++) {
    assert_outcome(&outcomes[i], true);
    assert_outcome(&outcomes[i], false);
  }
}

/* Revision 0 is no document's, and a document that was made anew is not the one of the old revision. */
static void revisions_never_come_back(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  struct command command = put_command("c", "d", "x");
  command.condition = COMMAND_IF_REVISION;
  command.revision = 0;
  assert_int_equal(apply(store, 1, &command).outcome, STORE_PRECONDITION_FAILED);

  struct command delete = delete_command("c", "d");
  put(store, 2, "c", "d", "x");
  assert_int_equal(apply(store, 3, &delete).outcome, STORE_DELETED);
  put(store, 4, "c", "d", "x");
  delete.condition = COMMAND_IF_REVISION;
  delete.revision = 2;
  struct store_result result = apply(store, 5, &delete);
  assert_int_equal(result.outcome, STORE_PRECONDITION_FAILED);
  assert_true(result.record->revision == 4);
  store_record_unref(result.record);
  store_free(store);
}

static void malformed_changes_nothing(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  put(store, 1, "c", "d", "body");
  struct store_result result = {.outcome = STORE_EXISTS};
  static const char *const malformed[] = {"", "\3", "\1\0\0\0\0\0\0\0\0\0\1c\1\0d",
                                          "\2\0\0\0\0\0\0\0\0\0\1c\1\0d!"};
  static const size_t sizes[] = {0, 1, 15, 16};
  for (size_t i = 0; i < 4; i++) {
    assert_int_equal(store_apply(store, 2, malformed[i], sizes[i], &result), CORACLE_EMALFORMED);
    assert_int_equal(result.outcome, STORE_EXISTS);
    assert_null(result.record);
    assert_int_equal(store_documents(store), 1);
    assert_int_equal(store_bytes(store), 6);
    assert_true(store_get(store, slice_of("c"), slice_of("d"))->revision == 1);
  }
  put(store, 2, "c", "d", "body"); /* the index was not used up */
  store_free(store);
}

static void a_reference_outlives_the_document(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  put(store, 1, "c", "d", "first");
  struct store_record *first = store_record_ref(store_get(store, slice_of("c"), slice_of("d")));
  put(store, 2, "c", "d", "second");
  struct store_record *second = store_record_ref(store_get(store, slice_of("c"), slice_of("d")));
  struct command delete = delete_command("c", "d");
  assert_int_equal(apply(store, 3, &delete).outcome, STORE_DELETED);
  put(store, 4, "c", "d", "third");
  struct store_record *third = store_record_ref(store_get(store, slice_of("c"), slice_of("d")));
  store_free(store);

  assert_true(slice_is(store_record_body(first), "first") && first->revision == 1);
  assert_true(slice_is(store_record_body(second), "second") && second->revision == 2);
  assert_true(slice_is(store_record_body(third), "third") && third->revision == 4);
  store_record_unref(first); /* the last ones: the leak checker counts */
  store_record_unref(second);
  store_record_unref(third);
  store_record_unref(NULL);
}

/* The ids of a collection, each followed by a blank, in the order of store_after(). */
static void assert_listing(const struct store *store, const char *collection, const char *after,
                           const char *expected) {
  struct bytes ids = {0};
  struct store_record *record = store_after(store, slice_of(collection), slice_of(after));
  for (; record != NULL; record = store_after(store, slice_of(collection), store_record_id(record))) {
    bytes_append_slice(&ids, store_record_id(record));
    bytes_append_string(&ids, " ");
  }
  bytes_append(&ids, "", 1);
  assert_string_equal((const char *)ids.data, expected);
  bytes_close(&ids);
}

/* Byte order: capitals first, a prefix before what it begins, high bytes last. A collection ends where the
 * next one begins, also where names begin alike. */
static void listing_order(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  static const char *const documents[][2] = {{"b", "z"},  {"b", "\xc3\xa9"}, {"b", "a"},  {"b", "ab"},
                                             {"b", "Z"},  {"b", "10"},       {"b", "9"},  {"a", "z"},
                                             {"b-", "0"}, {"bb", "0"},       {"B", "zz"}, {"b.", "1"}};
  uint64_t index = 0;
  for (size_t i = 0; i < sizeof documents / sizeof *documents; i++)
    put(store, ++index, documents[i][0], documents[i][1], "{}");

  assert_listing(store, "b", "", "10 9 Z a ab z \xc3\xa9 ");
  assert_listing(store, "b", "Z", "a ab z \xc3\xa9 ");
  assert_listing(store, "b", "aa", "ab z \xc3\xa9 "); /* need not be there */
  assert_listing(store, "b", "\xc3\xa9", "");
  assert_listing(store, "B", "", "zz ");
  assert_listing(store, "bb", "", "0 ");
  assert_listing(store, "ba", "", "");
  assert_listing(store, "c", "", "");
  assert_int_equal(store_count(store, slice_of("b")), 7);
  assert_int_equal(store_count(store, slice_of("b-")), 1);
  assert_int_equal(store_count(store, slice_of("ba")), 0);
  assert_int_equal(store_count(store, slice_of("")), 0);
  store_free(store);
}

static void assert_collections(const struct store *store, const char *expected) {
  struct bytes all = {0};
  struct slice name = {0};
  uint64_t count;
  while (store_collection_after(store, name, &name, &count))
    bytes_printf(&all, "%.*s:%d ", (int)name.n, name.at, (int)count);
  bytes_append(&all, "", 1);
  assert_string_equal((const char *)all.data, expected);
  bytes_close(&all);
}

static void collections_exist_while_they_hold_a_document(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  assert_collections(store, "");
  put(store, 1, "b", "1", "x");
  put(store, 2, "bb", "1", "x");
  put(store, 3, "a", "1", "x");
  put(store, 4, "b-", "1", "x");
  put(store, 5, "b", "2", "x");
  put(store, 6, "b", "2", "y");
  assert_collections(store, "a:1 b:2 b-:1 bb:1 ");

  struct slice name;
  uint64_t count;
  assert_true(store_collection_after(store, slice_of("aa"), &name, &count)); /* need not be there */
  assert_true(slice_is(name, "b"));

  struct command one = delete_command("b", "1"), two = delete_command("b", "2");
  apply(store, 7, &one);
  assert_collections(store, "a:1 b:1 b-:1 bb:1 ");
  apply(store, 8, &two);
  assert_collections(store, "a:1 b-:1 bb:1 ");
  store_free(store);
}

/* Where the collection ends and the id begins must not be guessed. */
static void names_are_not_run_together(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  put(store, 1, "ab", "c", "1");
  assert_null(store_get(store, slice_of("a"), slice_of("bc")));
  put(store, 2, "a", "bc", "2");
  assert_int_equal(store_documents(store), 2);
  assert_true(slice_is(store_record_body(store_get(store, slice_of("ab"), slice_of("c"))), "1"));
  store_free(store);
}

/* A path of any length may be looked up. */
static void odd_names_are_not_found(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  static char longest[2000];
  memset(longest, 'x', sizeof longest);
  struct slice names[] = {{NULL, 0}, {longest, 1}, {longest, 129}, {longest, 513}, {longest, sizeof longest}};
  put(store, 1, "x", "x", "1");
  for (size_t i = 0; i < 5; i++)
    for (size_t j = 0; j < 5; j++) {
      assert_int_equal(store_get(store, names[i], names[j]) != NULL, i == 1 && j == 1);
      assert_int_equal(store_after(store, names[i], names[j]) != NULL, i == 1 && j == 0);
    }
  store_free(store);
  store_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_condition),
      cmocka_unit_test(revisions_never_come_back),
      cmocka_unit_test(malformed_changes_nothing),
      cmocka_unit_test(a_reference_outlives_the_document),
      cmocka_unit_test(listing_order),
      cmocka_unit_test(collections_exist_while_they_hold_a_document),
      cmocka_unit_test(names_are_not_run_together),
      cmocka_unit_test(odd_names_are_not_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
