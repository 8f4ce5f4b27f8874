/* Goal: under random commands of every type, with keys that come again, the store agrees with a model that is
 * too simple to be wrong: outcomes, which operations, records, what is there afterwards, and which keys; also
 * while a collection is on its way out, and also when the store was made of its own image a moment ago. */
#include "base/random.h"
#include "store_images.h"

#include <stdio.h>

enum {
  COLLECTIONS = 3,
  IDS = 12,
  DOCUMENTS = COLLECTIONS * IDS,
  KEYS = 1500,
  REQUESTS = 3, /* that may come with one key */
  COMMANDS = 20000,
  OPERATIONS_MAX = 9,
};

struct model_key {
  struct command_once once;
  uint64_t revision; /* 0: not known */
  enum store_outcome outcome, failed_outcome;
  size_t failed;
};

struct world {
  struct random random;
  struct store *store;
  uint64_t index;
  uint64_t revisions[DOCUMENTS]; /* 0: there is none. The body follows from it and the document */
  struct model_key keys[KEYS];
  size_t seen[STORE_KEY_REUSED + 1], replays; /* that everything came about */
};

static char names[COLLECTIONS][2] = {"a", "b", "c"};
static char ids[IDS][4];
static char bodies[OPERATIONS_MAX][32];

static struct slice collection_of(size_t document) {
  return slice_of(names[document / IDS]);
}
static struct slice id_of(size_t document) {
  return slice_of(ids[document % IDS]);
}

/* ---- The model ---- */

static enum store_outcome model_outcome(const struct world *w, const struct command *c, size_t document) {
  const uint64_t revision = w->revisions[document];
  const bool there = revision != 0, same = there && revision == c->revision;
  if (c->condition == COMMAND_CREATE && there) return STORE_EXISTS;
  if (c->condition == COMMAND_IF_BASE && !same) return STORE_BASE_MOVED;
  if (c->condition == COMMAND_IF_ABSENT && there) return STORE_PRECONDITION_FAILED;
  if (c->condition == COMMAND_IF_PRESENT && !there) return STORE_PRECONDITION_FAILED;
  if (c->condition == COMMAND_IF_REVISION && !same) return STORE_PRECONDITION_FAILED;
  if (c->type == COMMAND_PUT) return there ? STORE_REPLACED : STORE_CREATED;
  return there ? STORE_DELETED : STORE_NOT_FOUND;
}

static bool changes(enum store_outcome outcome) {
  return outcome == STORE_CREATED || outcome == STORE_REPLACED || outcome == STORE_DELETED;
}

static void model_change(struct world *w, const struct command *c, size_t document,
                         enum store_outcome outcome) {
  if (changes(outcome)) w->revisions[document] = c->type == COMMAND_PUT ? w->index : 0;
}

/* What is to come of the command, and the model as it is then. */
struct expected {
  enum store_outcome outcome, failed_outcome, operations[OPERATIONS_MAX];
  size_t failed;
};

static void model_transaction(struct world *w, const struct command *c, const size_t *documents,
                              struct expected *e) {
  bool moved = false;
  e->outcome = STORE_DONE;
  for (size_t i = c->operations_n; i-- > 0;) {
    const enum store_outcome outcome = model_outcome(w, &c->operations[i], documents[i]);
    e->operations[i] = outcome;
    moved = moved || outcome == STORE_BASE_MOVED;
    if (changes(outcome) || outcome == STORE_BASE_MOVED) continue;
    e->outcome = STORE_REFUSED;
    e->failed = i;
    e->failed_outcome = outcome;
  }
  if (e->outcome == STORE_DONE && moved) e->outcome = STORE_BASE_MOVED;
  for (size_t i = 0; e->outcome == STORE_DONE && i < c->operations_n; i++)
    model_change(w, &c->operations[i], documents[i], e->operations[i]);
}

static void model_batch(struct world *w, const struct command *c, const size_t *documents,
                        struct expected *e) {
  e->outcome = STORE_DONE;
  for (size_t i = 0; i < c->operations_n; i++) {
    e->operations[i] = model_outcome(w, &c->operations[i], documents[i]);
    model_change(w, &c->operations[i], documents[i], e->operations[i]);
  }
}

static void model_drop(struct world *w, const struct command *c) {
  for (size_t i = 0; i < DOCUMENTS; i++)
    if (slice_equal(collection_of(i), c->collection)) w->revisions[i] = 0;
}

static struct expected model_apply(struct world *w, const struct command *c, const size_t *documents) {
  struct expected e = {0};
  switch (c->type) {
  case COMMAND_TRANSACTION:
    model_transaction(w, c, documents, &e);
    break;
  case COMMAND_BATCH:
    model_batch(w, c, documents, &e);
    break;
  case COMMAND_DROP:
    model_drop(w, c);
    e.outcome = STORE_DROPPED;
    break;
  default:
    e.outcome = model_outcome(w, c, documents[0]);
    model_change(w, c, documents[0], e.outcome);
  }
  return e;
}

/* ---- Random commands ---- */

static struct command random_operation(struct world *w, size_t document, size_t place) {
  struct command c = {.type = random_below(&w->random, 4) == 0 ? COMMAND_DELETE : COMMAND_PUT,
                      .collection = collection_of(document),
                      .id = id_of(document)};
  if (c.type == COMMAND_PUT) {
    snprintf(bodies[place], sizeof bodies[0], "%u of %u", (unsigned)w->index, (unsigned)document);
    c.body = slice_of(bodies[place]);
  }
  if (random_below(&w->random, 2) == 0)
    c.condition = (enum command_condition)random_below(&w->random, COMMAND_IF_BASE + 1);
  const bool for_puts = c.condition == COMMAND_CREATE || c.condition == COMMAND_IF_BASE;
  if (c.type == COMMAND_DELETE && for_puts) c.condition = COMMAND_ALWAYS;
  if (c.condition == COMMAND_IF_REVISION || c.condition == COMMAND_IF_BASE)
    c.revision = random_below(&w->random, 4) > 0 ? w->revisions[document] : w->index - 1;
  return c;
}

static bool contains(const size_t *documents, size_t n, size_t document) {
  for (size_t i = 0; i < n; i++)
    if (documents[i] == document) return true;
  return false;
}

static struct command random_command(struct world *w, struct command *operations, size_t *documents) {
  const uint64_t kind = random_below(&w->random, 100);
  documents[0] = random_below(&w->random, DOCUMENTS);
  if (kind < 1) return (struct command){.type = COMMAND_DROP, .collection = collection_of(documents[0])};
  if (kind < 50) return random_operation(w, documents[0], 0);
  const enum command_type type = kind < 80 ? COMMAND_TRANSACTION : COMMAND_BATCH;
  const size_t n = 1 + random_below(&w->random, kind % 10 == 0 ? OPERATIONS_MAX : 3);
  for (size_t i = 0; i < n; i++) {
    do documents[i] = random_below(&w->random, DOCUMENTS);
    while (type == COMMAND_TRANSACTION && contains(documents, i, documents[i]));
    operations[i] = random_operation(w, documents[i], i);
  }
  return (struct command){.type = type, .operations = operations, .operations_n = n};
}

/* ---- Comparing ---- */

static void assert_record(const struct world *w, const struct store_record *record, size_t document) {
  char body[32];
  const uint64_t revision = w->revisions[document];
  assert_int_equal(record != NULL, revision != 0);
  if (record == NULL) return;
  snprintf(body, sizeof body, "%u of %u", (unsigned)revision, (unsigned)document);
  assert_true(record->revision == revision);
  assert_true(slice_equal(store_record_collection(record), collection_of(document)));
  assert_true(slice_equal(store_record_id(record), id_of(document)));
  assert_true(slice_is(store_record_body(record), body));
}

static void compare_documents(const struct world *w) {
  struct slice listed = {0};
  uint64_t listed_count;
  for (size_t c = 0; c < COLLECTIONS; c++) {
    const struct slice name = slice_of(names[c]);
    const struct store_record *record = store_after(w->store, name, (struct slice){0});
    uint64_t count = 0;
    for (size_t i = c * IDS; i < (c + 1) * IDS; i++) {
      assert_record(w, store_get(w->store, name, id_of(i)), i);
      if (w->revisions[i] == 0) continue;
      assert_record(w, record, i);
      record = store_after(w->store, name, id_of(i));
      count++;
    }
    assert_null(record);
    assert_true(store_count(w->store, name) == count);
    if (count == 0) continue;
    assert_true(store_collection_after(w->store, listed, &listed, &listed_count));
    assert_true(slice_equal(listed, name) && listed_count == count);
  }
  assert_false(store_collection_after(w->store, listed, &listed, &listed_count));
}

static void compare_keys(const struct world *w) {
  uint64_t n = 0;
  for (size_t i = 0; i < KEYS; i++) {
    const struct command_once once = once_of(i, 0);
    struct store_key key;
    const bool known = w->keys[i].revision != 0;
    assert_int_equal(store_find_key(w->store, once.key, &key), known);
    if (!known) continue;
    n++;
    assert_true(key.revision == w->keys[i].revision && key.outcome == w->keys[i].outcome);
    assert_memory_equal(&key.once, &w->keys[i].once, sizeof key.once);
  }
  assert_true(store_keys(w->store) == n);
}

static void compare_result(const struct world *w, const struct command *c, const struct store_result *result,
                           const struct expected *e, const size_t *documents) {
  assert_int_equal(result->outcome, e->outcome);
  assert_true(!result->replayed && result->revision == w->index);
  if (e->outcome == STORE_DONE) {
    assert_int_equal(result->operations_n, c->operations_n);
  } else if (e->outcome == STORE_REFUSED) {
    assert_int_equal(result->failed, e->failed);
    assert_int_equal(result->failed_outcome, e->failed_outcome);
    assert_int_equal(result->operations_n, e->failed + 1);
    const struct store_record *record = result->operations[e->failed].record;
    if (record != NULL) assert_record(w, record, documents[e->failed]);
  }
  for (size_t i = 0; i < result->operations_n; i++)
    assert_int_equal(result->operations[i].outcome, e->operations[i]);
  if (result->record != NULL) assert_record(w, result->record, documents[0]);
}

/* ---- Running ---- */

/* Whether that was it: the key is known. */
static bool compare_replay(struct world *w, const struct command *c, const struct model_key *key,
                           const struct store_result *result) {
  if (c->once == NULL || key->revision == 0) return false;
  if (memcmp(key->once.request, c->once->request, COMMAND_DIGEST_BYTES) != 0) {
    assert_int_equal(result->outcome, STORE_KEY_REUSED);
    assert_true(!result->replayed);
  } else {
    assert_true(result->replayed && result->revision == key->revision);
    assert_int_equal(result->outcome, key->outcome);
    assert_int_equal(result->failed, key->failed);
    assert_int_equal(result->failed_outcome, key->failed_outcome);
    w->replays++;
  }
  assert_true(result->record == NULL && result->operations_n == 0);
  return true;
}

static void step(struct world *w) {
  struct command operations[OPERATIONS_MAX];
  size_t documents[OPERATIONS_MAX];
  w->index += 1 + random_below(&w->random, 3);
  struct command c = random_command(w, operations, documents);
  const size_t n = random_below(&w->random, KEYS);
  const struct command_once once = once_of(n, random_below(&w->random, REQUESTS));
  struct model_key *key = &w->keys[n];
  if (random_below(&w->random, 4) == 0) c.once = &once;

  struct store_result result = apply(w->store, w->index, &c);
  w->seen[result.outcome]++;
  if (!compare_replay(w, &c, key, &result)) {
    const struct expected e = model_apply(w, &c, documents);
    compare_result(w, &c, &result, &e, documents);
    if (c.once != NULL && e.outcome != STORE_BASE_MOVED)
      *key = (struct model_key){once, w->index, e.outcome, e.failed_outcome, e.failed};
  }
  store_result_close(&result);
  while (store_is_busy(w->store)) {
    compare_documents(w);
    store_go_on(w->store, 1 + random_below(&w->random, 4));
  }
}

/* It goes on as what its image makes of it. */
static void restore(struct world *w) {
  struct bytes image = encode_store(w->store);
  struct store *back = decode_whole(&image);
  assert_non_null(back);
  assert_same_stores(back, w->store);
  bytes_close(&image);
  store_free(w->store);
  w->store = back;
}

static void run(struct world *w, uint64_t seed) {
  w->random = (struct random){.state = seed};
  w->store = store_new(test_hash_key);
  w->index = 0;
  memset(w->revisions, 0, sizeof w->revisions);
  memset(w->keys, 0, sizeof w->keys);
  for (int i = 0; i < COMMANDS; i++) {
    step(w);
    if (i % 10 == 0) compare_documents(w);
    if (i % 200 == 0) compare_keys(w);
    if (random_below(&w->random, 500) == 0) restore(w);
  }
  store_free(w->store);
}

static void agrees_with_the_model(void **state) {
  (void)state;
  static struct world world;
  for (unsigned i = 0; i < IDS; i++) snprintf(ids[i], sizeof ids[i], "%02u", i);
  for (uint64_t seed = 1; seed <= 4; seed++) {
    print_message("seed %d\n", (int)seed);
    run(&world, seed);
  }
  for (size_t i = 0; i <= STORE_KEY_REUSED; i++) assert_true(world.seen[i] > 0);
  assert_true(world.replays > 100);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(agrees_with_the_model)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
