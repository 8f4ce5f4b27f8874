/* Goal: the hash table finds what is in it and nothing else while it grows and shrinks, does so a bucket or
 * two at a time (that is what bounds the pause of a write), spreads by its key, and gives back what it does
 * not need. */
#include "store/table.h"

#include "base/random.h"
#include "golden.h"

#include <stdio.h>

enum { RECORDS = 30000 };

static const uint8_t hash_key[STORE_HASH_KEY_BYTES] = "the table's key";

static struct store_record *new_record(const struct table *t, size_t i) {
  char id[16];
  int n = snprintf(id, sizeof id, "%zu", i);
  struct store_record *record = malloc(sizeof *record + 1 + sizeof id);
  assert_non_null(record);
  *record =
      (struct store_record){.revision = i, .references = 1, .collection_bytes = 1, .id_bytes = (uint16_t)n};
  record->data[0] = 'c';
  memcpy(record->data + 1, id, (size_t)n);
  record->hash = table_hash(t, store_record_collection(record), store_record_id(record));
  return record;
}

static struct store_record *find(const struct table *t, size_t i) {
  char id[16];
  snprintf(id, sizeof id, "%zu", i);
  return table_find(t, table_hash(t, slice_of("c"), slice_of(id)), slice_of("c"), slice_of(id));
}

/* Exactly the numbers from `first` to before `end` are in. */
static void check(const struct table *t, size_t first, size_t end) {
  for (size_t i = 0; i < RECORDS; i++) {
    struct store_record *record = find(t, i);
    if (i >= first && i < end)
      assert_true(record != NULL && record->revision == i);
    else
      assert_null(record);
  }
  assert_true(t->records == end - first);
}

/* The table only borrows the records. */
static void close_with_records(struct table *t) {
  for (size_t i = 0; i < RECORDS; i++) {
    struct store_record *record = find(t, i);
    if (record == NULL) continue;
    table_remove(t, record);
    store_record_unref(record);
  }
  assert_int_equal(t->records, 0);
  table_close(t);
}

static void grows_and_shrinks_step_by_step(void **state) {
  (void)state;
  struct table t;
  table_init(&t, hash_key);
  for (int round = 0; round < 2; round++) {
    for (size_t i = 0; i < RECORDS; i++) {
      size_t before = t.buckets;
      table_insert(&t, new_record(&t, i));
      assert_true(t.buckets >= t.records && t.buckets - before <= 1);
      if (i % 5000 == 1500) check(&t, 0, i + 1);
    }
    check(&t, 0, RECORDS);
    for (size_t i = 0; i < RECORDS; i++) {
      size_t before = t.buckets;
      struct store_record *record = find(&t, i);
      table_remove(&t, record);
      store_record_unref(record);
      assert_true(before - t.buckets <= 2);
      assert_true(t.buckets == TABLE_BUCKETS_MIN || t.buckets <= 2 * t.records + 1);
      if (i % 5000 == 1500) check(&t, i + 1, RECORDS);
    }
    check(&t, 0, 0);
    assert_int_equal(t.buckets, TABLE_BUCKETS_MIN);
  }
  close_with_records(&t);
}

/* To and fro over every size at which a bucket, a segment or a level comes or goes. */
static void flutters_nowhere(void **state) {
  (void)state;
  struct table t;
  size_t first = 0, end = 0;
  struct random random = {.state = 3};
  table_init(&t, hash_key);
  for (int i = 0; i < 60000; i++) {
    bool growing = i / 15000 % 2 == 0;
    if (end < RECORDS && random_below(&random, 10) < (growing ? 7 : 2)) {
      table_insert(&t, new_record(&t, end++));
    } else if (first < end) {
      struct store_record *record = find(&t, first++);
      table_remove(&t, record);
      store_record_unref(record);
    }
    if (i % 6000 == 0) check(&t, first, end);
  }
  check(&t, first, end);
  close_with_records(&t);
}

static void replaces_within_chains(void **state) {
  (void)state;
  struct table t;
  table_init(&t, hash_key);
  for (size_t i = 0; i < 5000; i++) table_insert(&t, new_record(&t, i));
  for (size_t i = 0; i < 5000; i++) {
    struct store_record *old = find(&t, i), *record = new_record(&t, i);
    table_replace(&t, old, record);
    store_record_unref(old);
    assert_ptr_equal(find(&t, i), record);
  }
  check(&t, 0, 5000);
  close_with_records(&t);
}

/* A load of one gives chains of a handful; the number here is what this key gives, with room. */
static void chains_are_short(void **state) {
  (void)state;
  struct table t;
  size_t longest = 0;
  table_init(&t, hash_key);
  for (size_t i = 0; i < RECORDS; i++) table_insert(&t, new_record(&t, i));
  for (size_t i = 0; i < t.buckets; i++) {
    size_t n = 0;
    const struct store_record *record =
        t.segments[i / TABLE_SEGMENT_BUCKETS]->buckets[i % TABLE_SEGMENT_BUCKETS];
    for (; record != NULL; record = record->next) n++;
    if (n > longest) longest = n;
  }
  assert_in_range(longest, 2, 12);
  close_with_records(&t);
}

static void the_hash_is_keyed_and_unambiguous(void **state) {
  (void)state;
  static const uint8_t other_key[STORE_HASH_KEY_BYTES] = "another one";
  struct table t, other;
  table_init(&t, hash_key);
  table_init(&other, other_key);
  assert_int_equal(table_hash(&t, slice_of("c"), slice_of("d")),
                   table_hash(&t, slice_of("c"), slice_of("d")));
  assert_int_not_equal(table_hash(&t, slice_of("c"), slice_of("d")),
                       table_hash(&other, slice_of("c"), slice_of("d")));
  assert_int_not_equal(table_hash(&t, slice_of("ab"), slice_of("c")),
                       table_hash(&t, slice_of("a"), slice_of("bc")));
  table_close(&t);
  table_close(&other);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(grows_and_shrinks_step_by_step),
      cmocka_unit_test(flutters_nowhere),
      cmocka_unit_test(replaces_within_chains),
      cmocka_unit_test(chains_are_short),
      cmocka_unit_test(the_hash_is_keyed_and_unambiguous),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
