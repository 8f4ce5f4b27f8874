/* Goal: a view goes on showing the store as it was when it was taken, whatever is written afterwards, however
 * many views there are and in whichever order they are released, in slices or at once, before the store or
 * after it. Random writes from a seed; each view is held against a plain copy of the contents. There are
 * enough documents for three levels of nodes, and phases of filling and emptying, so that shared nodes are
 * split, merged and dropped. The address sanitizer sees what is released too early or never. */
#include "store/view.h"

#include "base/random.h"
#include "store_commands.h"

#include <stdio.h>

enum {
  COLLECTIONS = 3,
  DOCUMENTS = 9000,
  PER_COLLECTION = DOCUMENTS / COLLECTIONS,
  OPERATIONS = 60000,
  VIEWS = 6,
  BODY_BYTES_MAX = 64,
};

/* A view and what it must show: the revision of each document, 0 where there is none. The body is made from
 * the revision. */
struct shot {
  struct store_view *view;  /* NULL: this place is free */
  bool leaving;             /* released in slices: nothing may be asked of it any more */
  uint64_t revision, bytes; /* of the store */
  uint64_t documents;
  struct state_hash hash;
  uint64_t revisions[DOCUMENTS];
};

struct world {
  struct random random;
  struct store *store;
  uint64_t index;
  uint64_t revisions[DOCUMENTS];
  struct shot shots[VIEWS];
};

static const char *const collections[COLLECTIONS] = {"a", "a-", "b"};

static struct slice collection_of(size_t document) {
  return slice_of(collections[document / PER_COLLECTION]);
}
static struct slice id_of(size_t document, char id[8]) {
  snprintf(id, 8, "%05zu", document % PER_COLLECTION);
  return slice_of(id);
}
static struct slice body_of(uint64_t revision, char body[BODY_BYTES_MAX]) {
  size_t n = 1 + revision * 7919 % BODY_BYTES_MAX;
  for (size_t i = 0; i < n; i++) body[i] = (char)('a' + (revision + i) % 26);
  return (struct slice){body, n};
}

static void assert_is(const struct store_record *record, size_t document, uint64_t revision) {
  char id[8], body[BODY_BYTES_MAX];
  assert_non_null(record);
  assert_true(record->revision == revision);
  assert_true(slice_equal(store_record_collection(record), collection_of(document)));
  assert_true(slice_equal(store_record_id(record), id_of(document, id)));
  assert_true(slice_equal(store_record_body(record), body_of(revision, body)));
}

static void write(struct world *w, unsigned deletes_percent) {
  size_t document = random_below(&w->random, DOCUMENTS);
  bool deletes = random_below(&w->random, 100) < deletes_percent;
  char id[8], body[BODY_BYTES_MAX];
  struct command c = {.type = deletes ? COMMAND_DELETE : COMMAND_PUT,
                      .collection = collection_of(document),
                      .id = id_of(document, id)};
  w->index++;
  if (!deletes) c.body = body_of(w->index, body);
  store_record_unref(apply(w->store, w->index, &c).record);
  w->revisions[document] = deletes ? 0 : w->index;
}

/* ---- Views ---- */

static void take(struct world *w, struct shot *shot) {
  shot->view = store_view_take(w->store);
  shot->leaving = false;
  shot->revision = w->index;
  shot->documents = store_documents(w->store);
  shot->bytes = store_bytes(w->store);
  shot->hash = store_state_hash(w->store);
  memcpy(shot->revisions, w->revisions, sizeof w->revisions);
}

static void compare_walk(const struct shot *shot) {
  const struct store_record *last = NULL;
  struct store_record *const *records = NULL;
  size_t n = 0, next = 0;
  uint64_t documents = 0, bytes = 0;

  for (size_t document = 0; document < DOCUMENTS; document++) {
    if (shot->revisions[document] == 0) continue;
    if (next == n) {
      n = store_view_records(shot->view, last, &records);
      next = 0;
      assert_in_range(n, 1, 64);
    }
    last = records[next++];
    assert_is(last, document, shot->revisions[document]);
    documents++;
    bytes += (uint64_t)last->collection_bytes + last->id_bytes + last->body_bytes;
  }
  assert_int_equal(next, n);
  assert_int_equal(store_view_records(shot->view, last, &records), 0);
  assert_true(documents == shot->documents && bytes == shot->bytes);
}

static void compare_counts(const struct shot *shot) {
  for (size_t c = 0; c < COLLECTIONS; c++) {
    uint64_t count = 0;
    for (size_t i = 0; i < PER_COLLECTION; i++) count += shot->revisions[c * PER_COLLECTION + i] != 0;
    assert_true(store_view_count(shot->view, slice_of(collections[c])) == count);
  }
  assert_true(store_view_count(shot->view, slice_of("no")) == 0);
}

static void compare_after(struct world *w, const struct shot *shot) {
  size_t from = random_below(&w->random, DOCUMENTS), next = from + 1;
  char id[8];
  while (next % PER_COLLECTION != 0 && shot->revisions[next] == 0) next++;
  struct store_record *record = store_view_after(shot->view, collection_of(from), id_of(from, id));
  if (next % PER_COLLECTION == 0)
    assert_null(record);
  else
    assert_is(record, next, shot->revisions[next]);
}

static void compare(struct world *w, const struct shot *shot) {
  assert_true(store_view_revision(shot->view) == shot->revision);
  assert_true(store_view_documents(shot->view) == shot->documents);
  assert_true(store_view_bytes(shot->view) == shot->bytes);
  assert_true(state_hash_equal(store_view_state_hash(shot->view), shot->hash));
  compare_walk(shot);
  compare_counts(shot);
  for (int i = 0; i < 20; i++) compare_after(w, shot);
}

/* Takes, reads or releases one. */
static void use_a_view(struct world *w) {
  struct shot *shot = &w->shots[random_below(&w->random, VIEWS)];
  if (shot->view == NULL) {
    take(w, shot);
  } else if (shot->leaving) {
    if (store_view_free_some(shot->view, random_below(&w->random, 500))) shot->view = NULL;
  } else if (random_below(&w->random, 3) == 0) {
    compare(w, shot);
  } else if (random_below(&w->random, 2) == 0) {
    compare(w, shot);
    shot->leaving = !store_view_free_some(shot->view, 1);
    if (!shot->leaving) shot->view = NULL;
  } else {
    store_view_free(shot->view);
    shot->view = NULL;
  }
}

static void run(uint64_t seed) {
  static struct world world;
  struct world *w = &world;
  world = (struct world){.random = {.state = seed}, .store = store_new(test_hash_key)};

  take(w, &w->shots[0]); /* of nothing at all */
  compare_walk(&w->shots[0]);
  for (int i = 0; i < OPERATIONS; i++) {
    write(w, i / 15000 % 2 == 0 ? 10 : 90);
    if (random_below(&w->random, 200) == 0) use_a_view(w);
  }
  for (int i = 0; i < 100; i++) use_a_view(w);

  if (seed % 2 == 0) {
    store_free(w->store);
  } else {
    while (!store_free_some(w->store, 100)) continue;
  }
  for (size_t i = 0; i < VIEWS; i++) {
    struct shot *shot = &w->shots[(i + seed) % VIEWS];
    if (shot->view == NULL) continue;
    if (!shot->leaving) compare(w, shot);
    while (!store_view_free_some(shot->view, 1000)) continue;
  }
}

static void views_stay_as_they_were(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 4; seed++) {
    print_message("seed %d\n", (int)seed);
    run(seed);
  }
}

/* ---- The hash of the state ---- */

/* Goal: the hash follows from the documents alone, not from the way to them, and differs in whatever they
 * differ. */
static void the_hash_is_of_what_is_there(void **state) {
  (void)state;
  struct store *one = store_new(test_hash_key), *other = store_new(test_hash_key);
  struct state_hash empty = {0};
  assert_true(state_hash_equal(store_state_hash(one), empty));

  put(one, 1, "c", "a", "1");
  put(one, 2, "c", "b", "2");
  put(other, 1, "c", "a", "1");
  assert_false(state_hash_equal(store_state_hash(one), store_state_hash(other)));
  put(other, 2, "c", "b", "2");
  assert_true(state_hash_equal(store_state_hash(one), store_state_hash(other)));

  put(one, 3, "c", "a", "x");
  put(one, 4, "c", "gone", "y");
  put(other, 3, "c", "a", "x");
  assert_false(state_hash_equal(store_state_hash(one), store_state_hash(other)));
  struct command gone = delete_command("c", "gone");
  apply(one, 5, &gone);
  assert_true(state_hash_equal(store_state_hash(one), store_state_hash(other)));
  put(one, 6, "c", "a", "x"); /* the same bytes under another revision */
  assert_false(state_hash_equal(store_state_hash(one), store_state_hash(other)));
  store_free(one);

  one = store_new(test_hash_key);
  put(one, 2, "c", "b", "2"); /* in the other order */
  put(one, 3, "c", "a", "x");
  assert_true(state_hash_equal(store_state_hash(one), store_state_hash(other)));
  store_free(one);
  store_free(other);
}

/* Goal: where one name ends and the next begins is in the hash. */
static void the_hash_is_unambiguous(void **state) {
  (void)state;
  static const char *const splits[][3] = {{"ab", "c", "d"}, {"a", "bc", "d"}, {"a", "b", "cd"}};
  struct state_hash hashes[3];
  for (size_t i = 0; i < 3; i++) {
    struct store *store = store_new(test_hash_key);
    put(store, 1, splits[i][0], splits[i][1], splits[i][2]);
    hashes[i] = store_state_hash(store);
    store_free(store);
  }
  assert_false(state_hash_equal(hashes[0], hashes[1]));
  assert_false(state_hash_equal(hashes[1], hashes[2]));
  assert_false(state_hash_equal(hashes[0], hashes[2]));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(views_stay_as_they_were),
      cmocka_unit_test(the_hash_is_of_what_is_there),
      cmocka_unit_test(the_hash_is_unambiguous),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
