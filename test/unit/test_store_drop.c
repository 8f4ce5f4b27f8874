/* Goal: a collection that is dropped is gone at once for whoever reads, in every way there is to read, while
 * its documents are taken out a few at a time; and in the end the store is the one that never had them. */
#include "store_images.h"

#include <stdio.h>

enum { LARGE = 100000, SMALL = 3 };

/* The collections "a", "b" (LARGE documents), "b-" and "c", or those without "b". `index` goes on in any
 * case. */
static struct store *store_of_four(bool with_b, uint64_t *index) {
  struct store *store = store_new(test_hash_key);
  static const char *const small[] = {"a", "b-", "c"};
  char id[16];
  *index = 0;
  for (size_t c = 0; c < 3; c++)
    for (unsigned i = 0; i < SMALL; i++) {
      snprintf(id, sizeof id, "%u", i);
      put(store, ++*index, small[c], id, "{}");
    }
  for (unsigned i = 0; i < LARGE; i++) {
    snprintf(id, sizeof id, "%08u", i);
    ++*index;
    if (with_b) put(store, *index, "b", id, "{\"n\":1}");
  }
  return store;
}

static void drop(struct store *store, uint64_t index, const char *collection) {
  const struct command command = drop_command(collection);
  struct store_result result = apply(store, index, &command);
  assert_int_equal(result.outcome, STORE_DROPPED);
  assert_true(result.record == NULL && result.operations_n == 0 && result.revision == index);
  assert_true(store_revision(store) == index);
}

static void assert_readers_see_none(const struct store *store) {
  const struct slice b = slice_of("b");
  struct slice name = {0};
  uint64_t count;
  char names[32] = "";
  assert_null(store_get(store, b, slice_of("00000000")));
  assert_null(store_get(store, b, slice_of("00099999")));
  assert_null(store_after(store, b, (struct slice){0}));
  assert_null(store_after(store, b, slice_of("00050000")));
  assert_int_equal(store_count(store, b), 0);
  while (store_collection_after(store, name, &name, &count)) {
    assert_int_equal(count, SMALL);
    strncat(names, name.at, name.n);
    strcat(names, " ");
  }
  assert_string_equal(names, "a b- c ");
  assert_non_null(store_get(store, slice_of("b-"), slice_of("0")));
  assert_non_null(store_after(store, slice_of("a"), slice_of("0")));
  assert_int_equal(store_count(store, slice_of("c")), SMALL);
}

static void assert_view_sees_none(const struct store_view *view) {
  struct store_record *const *records;
  const struct store_record *last = NULL;
  size_t seen = 0;
  assert_null(store_view_after(view, slice_of("b"), (struct slice){0}));
  assert_int_equal(store_view_count(view, slice_of("b")), 0);
  assert_int_equal(store_view_count(view, slice_of("b-")), SMALL);
  assert_non_null(store_view_after(view, slice_of("b-"), (struct slice){0}));
  for (size_t n; (n = store_view_records(view, last, &records)) > 0; seen += n) {
    for (size_t i = 0; i < n; i++) assert_false(slice_is(store_record_collection(records[i]), "b"));
    last = records[n - 1];
  }
  assert_int_equal(seen, 3 * SMALL);
}

static void gone_at_once_and_out_in_slices(void **state) {
  (void)state;
  uint64_t index, same;
  struct store *store = store_of_four(true, &index), *without = store_of_four(false, &same);
  struct store_view *before = store_view_take(store);
  assert_false(store_is_busy(store));
  drop(store, ++index, "b");
  assert_true(store_is_busy(store));

  struct store_view *early = store_view_take(store), *late = NULL;
  size_t slices = 1;
  assert_readers_see_none(store);
  for (; !store_go_on(store, 512); slices++) {
    assert_true(store_is_busy(store));
    if (slices % 50 == 1) assert_readers_see_none(store);
    if (slices == 100) late = store_view_take(store);
  }
  assert_in_range(slices, LARGE / 512, LARGE / 512 + 2);
  assert_false(store_is_busy(store));
  assert_true(store_go_on(store, 512)); /* there is nothing to do */
  assert_readers_see_none(store);
  assert_view_sees_none(early);
  assert_view_sees_none(late);

  drop(without, index, "b"); /* there is none */
  assert_false(store_is_busy(without));
  assert_same_stores(store, without);
  assert_int_equal(store_view_count(before, slice_of("b")), LARGE);
  assert_true(store_view_documents(before) == LARGE + 3 * SMALL);

  put(store, ++index, "b", "00000001", "new"); /* the name is free */
  assert_int_equal(store_count(store, slice_of("b")), 1);
  assert_int_equal(store_view_count(early, slice_of("b")), 0);
  store_view_free(before);
  store_view_free(early);
  store_free(store);
  store_free(without);
  assert_view_sees_none(late);
  while (!store_view_free_some(late, 100)) continue;
}

/* However few are asked for, each call gets further; and long documents are fewer at a time. */
static void slices_of_any_size(void **state) {
  (void)state;
  static char body[40001];
  memset(body, 'x', sizeof body - 1);
  struct store *store = store_new(test_hash_key);
  for (uint64_t i = 1; i <= 20; i++)
    put(store, i, "c", (char[]){(char)('a' + i), '\0'}, i <= 10 ? body : "{}");
  drop(store, 21, "c");
  size_t slices = 0;
  for (uint64_t left = store_documents(store); !store_go_on(store, 0); slices++) {
    assert_true(store_documents(store) == left - 1);
    left = store_documents(store);
  }
  assert_int_equal(slices, 20);
  for (uint64_t i = 1; i <= 20; i++)
    put(store, 21 + i, "c", (char[]){(char)('a' + i), '\0'}, i <= 10 ? body : "{}");
  drop(store, 42, "c");
  assert_false(store_go_on(store, 20));
  assert_in_range(store_documents(store), 15, 19);
  while (!store_go_on(store, 20)) continue;
  assert_int_equal(store_documents(store), 0);
  assert_int_equal(store_bytes(store), 0);
  const struct state_hash none = {0};
  assert_true(state_hash_equal(store_state_hash(store), none));
  store_free(store);
}

/* The whole index is one collection: there is nothing before or after it. */
static void the_only_collection(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  struct slice name;
  uint64_t count;
  put(store, 1, "c", "1", "{}");
  put(store, 2, "c", "2", "{}");
  drop(store, 3, "c");
  assert_false(store_collection_after(store, (struct slice){0}, &name, &count));
  struct store_view *view = store_view_take(store);
  struct store_record *const *records;
  assert_int_equal(store_view_records(view, NULL, &records), 0);
  store_view_free(view);
  while (!store_go_on(store, 1)) continue;
  assert_int_equal(store_documents(store), 0);
  store_free(store);
}

/* A store that is still busy may be released, all at once or in slices. */
static void released_while_busy(void **state) {
  (void)state;
  for (int in_slices = 0; in_slices < 2; in_slices++) {
    uint64_t index;
    struct store *store = store_of_four(true, &index);
    drop(store, index + 1, "b");
    assert_false(store_go_on(store, 1000));
    if (in_slices == 0) store_free(store);
    while (in_slices == 1 && !store_free_some(store, 1000)) continue;
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(gone_at_once_and_out_in_slices),
      cmocka_unit_test(slices_of_any_size),
      cmocka_unit_test(the_only_collection),
      cmocka_unit_test(released_while_busy),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
