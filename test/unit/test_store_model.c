/* Goal: the store agrees with a model that is too simple to be wrong, under random commands from a seed:
 * outcomes, records, order of listing, collections, counts and bytes. The number of documents goes up into
 * the thousands and back again and again, in the end to none, so that the table and the index grow, split,
 * merge and shrink in every order; records that were kept are read again after their documents have changed.
 */
#include "base/random.h"
#include "store_commands.h"

#include <stdio.h>

enum {
  COLLECTIONS = 5,
  IDS = 900, /* of each collection */
  DOCUMENTS = COLLECTIONS * IDS,
  OPERATIONS = 40000, /* of each seed */
  PHASE = 10000,      /* operations that mostly put, or mostly delete */
  KEPT = 64,          /* references held at a time */
};

struct model_document {
  uint64_t revision; /* 0: there is none */
  uint64_t body;     /* the seed that fill_body() makes it from */
  size_t body_bytes;
};

/* Both sorted, so that places in the array are the order of listing. */
static char collection_names[COLLECTIONS][8] = {"a", "a-", "aa", "ab", "b"};
static char ids[IDS][24];

struct world {
  struct random random;
  struct store *store;
  struct model_document documents[DOCUMENTS]; /* collection * IDS + id */
  struct store_record *kept[KEPT];
  struct model_document kept_as[KEPT]; /* what each must still be */
  uint64_t index;
};

static struct slice collection_of(size_t document) {
  return slice_of(collection_names[document / IDS]);
}
static struct slice id_of(size_t document) {
  return slice_of(ids[document % IDS]);
}

static int compare_ids(const void *a, const void *b) {
  return strcmp(a, b); /* as unsigned bytes (C11, 7.24.4) */
}

/* Many share long beginnings, some begin others, some are not ASCII. */
static void make_ids(void) {
  for (int i = 0; i < IDS; i++) {
    static const char *const before[] = {"item-000", "", "item-", "\xe2\x82\xac", "Z/"};
    static const char *const after[] = {"", "", "\xc3\xa9", "", " and more"};
    snprintf(ids[i], sizeof ids[i], "%s%d%s", before[i % 5], i / 3, after[i % 5]);
  }
  qsort(ids, IDS, sizeof ids[0], compare_ids);
  for (int i = 1; i < IDS; i++) assert_true(strcmp(ids[i - 1], ids[i]) < 0);
}

static void fill_body(char *body, const struct model_document *d) {
  struct random random = {.state = d->body};
  for (size_t i = 0; i < d->body_bytes; i++) body[i] = (char)random_next(&random);
}

static void assert_is(const struct store_record *record, size_t document,
                      const struct model_document *expected) {
  char body[64];
  fill_body(body, expected);
  assert_non_null(record);
  assert_true(record->revision == expected->revision);
  assert_true(slice_equal(store_record_collection(record), collection_of(document)));
  assert_true(slice_equal(store_record_id(record), id_of(document)));
  assert_true(slice_equal(store_record_body(record), (struct slice){body, expected->body_bytes}));
}

static bool holds(const struct command *c, const struct model_document *d) {
  bool present = d->revision != 0;
  return c->condition == COMMAND_ALWAYS || (c->condition == COMMAND_IF_PRESENT && present) ||
         (c->condition == COMMAND_IF_ABSENT && !present) || (c->condition == COMMAND_CREATE && !present) ||
         (c->condition == COMMAND_IF_REVISION && present && c->revision == d->revision);
}

static enum store_outcome expected_outcome(const struct command *c, const struct model_document *d) {
  bool present = d->revision != 0;
  if (!holds(c, d)) return c->condition == COMMAND_CREATE ? STORE_EXISTS : STORE_PRECONDITION_FAILED;
  if (c->type == COMMAND_PUT) return present ? STORE_REPLACED : STORE_CREATED;
  return present ? STORE_DELETED : STORE_NOT_FOUND;
}

/* Gives a record of this moment to one of the places for kept ones, after reading the one that was there. */
static void keep(struct world *w, struct store_record *record, const struct model_document *d) {
  size_t place = random_below(&w->random, KEPT);
  if (w->kept[place] != NULL) {
    char body[64];
    fill_body(body, &w->kept_as[place]);
    assert_true(w->kept[place]->revision == w->kept_as[place].revision);
    assert_true(
        slice_equal(store_record_body(w->kept[place]), (struct slice){body, w->kept_as[place].body_bytes}));
    store_record_unref(w->kept[place]);
  }
  w->kept[place] = record;
  w->kept_as[place] = *d;
}

static struct command random_command(struct world *w, size_t document, unsigned deletes_percent) {
  struct command c = {.type = random_below(&w->random, 100) < deletes_percent ? COMMAND_DELETE : COMMAND_PUT,
                      .collection = collection_of(document),
                      .id = id_of(document)};
  if (random_below(&w->random, 2) == 0) {
    unsigned conditions = c.type == COMMAND_DELETE ? COMMAND_CREATE : COMMAND_CREATE + 1;
    c.condition = (enum command_condition)random_below(&w->random, conditions);
  }
  if (c.condition == COMMAND_IF_REVISION)
    c.revision = random_below(&w->random, 3) > 0 ? w->documents[document].revision : w->index;
  return c;
}

static void step(struct world *w, unsigned deletes_percent) {
  size_t document = random_below(&w->random, DOCUMENTS);
  struct model_document *d = &w->documents[document];
  struct command c = random_command(w, document, deletes_percent);
  struct model_document next = {.revision =
                                    w->index + 1 + random_below(&w->random, 3), /* other entries between */
                                .body = random_next(&w->random),
                                .body_bytes = 1 + random_below(&w->random, 60)};
  char body[64];
  if (c.type == COMMAND_PUT) {
    fill_body(body, &next);
    c.body = (struct slice){body, next.body_bytes};
  }

  enum store_outcome expected = expected_outcome(&c, d);
  struct store_result result = apply(w->store, w->index = next.revision, &c);
  assert_int_equal(result.outcome, expected);
  if (expected == STORE_CREATED || expected == STORE_REPLACED) *d = next;
  if (expected == STORE_DELETED) *d = (struct model_document){0};
  if (expected == STORE_DELETED || d->revision == 0) {
    assert_null(result.record);
    assert_null(store_get(w->store, c.collection, c.id));
  } else {
    assert_is(result.record, document, d);
    assert_ptr_equal(store_get(w->store, c.collection, c.id), result.record);
    keep(w, result.record, d);
  }
}

/* Everything that can be read, against the model. */
static void compare(const struct world *w) {
  uint64_t documents = 0, bytes = 0, listed;
  struct slice collection = {0}, listed_name = {0};

  for (size_t c = 0; c < COLLECTIONS; c++) {
    struct slice after = {0};
    uint64_t count = 0;
    collection = slice_of(collection_names[c]);
    for (size_t i = 0; i < IDS; i++) {
      size_t document = c * IDS + i;
      const struct model_document *d = &w->documents[document];
      if (d->revision == 0) continue;
      struct store_record *record = store_after(w->store, collection, after);
      assert_is(record, document, d);
      after = store_record_id(record);
      bytes += collection.n + after.n + d->body_bytes;
      count++;
    }
    assert_null(store_after(w->store, collection, after));
    assert_true(store_count(w->store, collection) == count);
    if (count > 0) {
      assert_true(store_collection_after(w->store, listed_name, &listed_name, &listed));
      assert_true(slice_equal(listed_name, collection));
      assert_true(listed == count);
    }
    documents += count;
  }
  assert_false(store_collection_after(w->store, listed_name, &listed_name, &listed));
  assert_true(store_documents(w->store) == documents);
  assert_true(store_bytes(w->store) == bytes);
}

/* From any id, there or not, the listing goes on with the next one that is. */
static void compare_after(struct world *w) {
  size_t from = random_below(&w->random, DOCUMENTS), next = from + 1;
  while (next % IDS != 0 && w->documents[next].revision == 0) next++;
  struct store_record *record = store_after(w->store, collection_of(from), id_of(from));
  if (next % IDS == 0)
    assert_null(record);
  else
    assert_is(record, next, &w->documents[next]);
}

static void run(uint64_t seed) {
  static struct world world;
  struct world *w = &world;
  world = (struct world){.random = {.state = seed}, .store = store_new(test_hash_key)};
  unsigned deletes_percent = 10;

  for (int i = 0; i < OPERATIONS; i++) {
    if (i % PHASE == 0) deletes_percent = i / PHASE % 2 == 0 ? 10 : 90;
    step(w, deletes_percent);
    compare_after(w);
    if (i % 1000 == 999) compare(w);
  }
  for (size_t document = 0; document < DOCUMENTS; document++) { /* in the end to nothing */
    struct command delete = {
        .type = COMMAND_DELETE, .collection = collection_of(document), .id = id_of(document)};
    apply(w->store, ++w->index, &delete);
    w->documents[document] = (struct model_document){0};
    if (document % 500 == 0) compare(w);
  }
  compare(w);
  assert_int_equal(store_documents(w->store), 0);
  assert_int_equal(store_bytes(w->store), 0);
  store_free(w->store);
  for (size_t i = 0; i < KEPT; i++) store_record_unref(w->kept[i]);
}

static void agrees_with_the_model(void **state) {
  (void)state;
  make_ids();
  for (uint64_t seed = 1; seed <= 4; seed++) {
    print_message("seed %d\n", (int)seed);
    run(seed);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_model)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
