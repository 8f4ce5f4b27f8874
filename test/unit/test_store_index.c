/* Goal: the ordered index keeps its order and its counts whichever way records come and go: ascending,
 * descending, from the middle and at random, with enough of them for three levels of nodes; and that its
 * nodes stay filled, which is what bounds memory and height. What it says is held against a plain array of
 * what is in. To see the shape of the nodes, this test is compiled together with the source of the index. */
#include "store/index.c"

#include "base/random.h"
#include "golden.h"

#include <stdio.h>

enum { COLLECTIONS = 3, RECORDS = 9000 };

struct world {
  struct index index;
  struct store_record *records[RECORDS]; /* all that there can be, in order */
  bool in[RECORDS];
};

static struct store_record *new_record(size_t i) {
  char id[16];
  int n = snprintf(id, sizeof id, "%08zu", i);
  struct store_record *record = malloc(sizeof *record + 1 + sizeof id);
  assert_non_null(record);
  *record = (struct store_record){.references = 1, .collection_bytes = 1, .id_bytes = (uint16_t)n};
  record->data[0] = (char)('a' + i / (RECORDS / COLLECTIONS));
  memcpy(record->data + 1, id, (size_t)n);
  return record;
}

static int setup(void **state) {
  struct world *w = calloc(1, sizeof *w);
  if (w == NULL) return -1;
  for (size_t i = 0; i < RECORDS; i++) w->records[i] = new_record(i);
  *state = w;
  return 0;
}

static int teardown(void **state) {
  struct world *w = *state;
  index_close(&w->index);
  for (size_t i = 0; i < RECORDS; i++) store_record_unref(w->records[i]);
  free(w);
  return 0;
}

static void add(struct world *w, size_t i) {
  index_insert(&w->index, store_record_ref(w->records[i]));
  w->in[i] = true;
}

static void take(struct world *w, size_t i) {
  index_remove(&w->index, w->records[i]);
  w->in[i] = false;
}

struct shape {
  size_t leaves;
  uint64_t records;
};

static void check_node(const struct index_node *node, struct shape *shape) {
  assert_in_range(node->n, 1, ENTRIES_MAX);
  if (node->height == 0) {
    shape->leaves++;
    shape->records += node->n;
    return;
  }
  for (size_t i = 0; i < node->n; i++) {
    const struct index_node *child = node->children[i].node;
    uint64_t records_before = shape->records;
    assert_int_equal(child->height, node->height - 1);
    assert_ptr_equal(child->first[0], node->first[i]);
    check_node(child, shape);
    assert_true(shape->records - records_before == node->children[i].records);
  }
}

/* Beside a thin leaf stand filled ones: the changes made here leave them more than a quarter full on average.
 */
static struct shape check_nodes(const struct index *index) {
  struct shape shape = {0};
  if (index->root == NULL) return shape;
  check_node(index->root, &shape);
  assert_true(index->root->height == 0 || index->root->n > 1);
  assert_true(shape.leaves == 1 || shape.records >= shape.leaves * ENTRIES_MAX / 4);
  return shape;
}

/* Every place, there or not: its rank and what follows it; and the bounds of the collections. */
static void check(const struct world *w) {
  uint64_t rank = 0;
  struct store_record *next = NULL;
  struct index_key start = {.collection = slice_of("")}, end = {.collection = slice_of("z")};

  check_nodes(&w->index);
  for (size_t i = RECORDS; i-- > 0;) {
    struct index_key key = key_of(w->records[i]);
    assert_ptr_equal(index_after(&w->index, &key), next);
    if (w->in[i]) next = w->records[i];
  }
  assert_ptr_equal(index_after(&w->index, &start), next);
  assert_true(index_rank(&w->index, &start) == 0);
  for (size_t i = 0; i < RECORDS; i++) {
    struct index_key key = key_of(w->records[i]);
    struct index_key first = {.collection = key.collection};
    struct index_key past = {.collection = key.collection, .id = slice_of("00"), .past_collection = true};
    if (i % (RECORDS / COLLECTIONS) == 0) assert_true(index_rank(&w->index, &first) == rank);
    rank += w->in[i];
    assert_true(index_rank(&w->index, &key) == rank);
    if ((i + 1) % (RECORDS / COLLECTIONS) == 0) assert_true(index_rank(&w->index, &past) == rank);
  }
  assert_true(index_rank(&w->index, &end) == rank);
  assert_null(index_after(&w->index, &end));
  assert_int_equal(w->index.root == NULL, rank == 0);
}

/* The i-th record in an order: 0 ascending, 1 descending, 2 outwards from the middle, 3 scattered. */
static size_t place(int order, size_t i) {
  switch (order) {
  case 0:
    return i;
  case 1:
    return RECORDS - 1 - i;
  case 2:
    return i % 2 == 0 ? RECORDS / 2 + i / 2 : RECORDS / 2 - 1 - i / 2;
  default:
    return i * 7919 % RECORDS; /* a prime that does not divide RECORDS: each place once */
  }
}

static void in_every_order(void **state) {
  struct world *w = *state;
  for (int in = 0; in < 4; in++)
    for (int out = 0; out < 4; out++) {
      for (size_t i = 0; i < RECORDS; i++) {
        add(w, place(in, i));
        if (i % 2500 == 63) check(w);
      }
      check(w);
      for (size_t i = 0; i < RECORDS; i++) {
        if (i % 2500 == 63) check(w);
        take(w, place(out, i));
      }
      check(w);
    }
}

static void leaves_fill_up(void **state) {
  struct world *w = *state;
  for (size_t i = 0; i < RECORDS; i++) add(w, i);
  assert_int_equal(check_nodes(&w->index).leaves, (RECORDS + ENTRIES_MAX - 1) / ENTRIES_MAX);
  index_close(&w->index);
  for (size_t i = RECORDS; i-- > 0;) add(w, i);
  assert_in_range(check_nodes(&w->index).leaves, 1, RECORDS / (ENTRIES_MAX / 2) + 1);
}

/* Each thinned leaf has a thin neighbour on the side that the removals come from: on either one they must
 * merge. */
static void thinned_from_either_end(void **state) {
  struct world *w = *state;
  for (int descending = 0; descending <= 1; descending++) {
    for (size_t i = 0; i < RECORDS; i++)
      if (!w->in[i]) add(w, i);
    for (size_t i = 0; i < RECORDS; i++) {
      size_t at = descending ? RECORDS - 1 - i : i;
      if (at % 12 != 0) take(w, at);
    }
    check(w);
  }
}

/* Downwards into the gap behind full leaves, and upwards and downwards where others follow. */
static void runs_between_others(void **state) {
  struct world *w = *state;
  for (size_t i = 0; i < 1024; i++) add(w, i); /* all full: a multiple of ENTRIES_MAX */
  for (size_t i = 3000; i-- > 1024;) {
    add(w, i);
    if (i % 97 == 0) check_nodes(&w->index);
  }
  check(w);
  for (size_t i = 3000; i < RECORDS; i += 3) add(w, i);
  for (size_t i = 4000; i < 5000; i++)
    if (!w->in[i]) add(w, i);
  check(w);
  for (size_t i = 3999; i > 3000; i--)
    if (!w->in[i]) add(w, i);
  check(w);
  for (size_t i = 1000; i < 8000; i++)
    if (w->in[i]) take(w, i);
  check(w);
}

static void come_and_go_at_random(void **state) {
  struct world *w = *state;
  struct random random = {.state = 42};
  for (int i = 0; i < 200000; i++) {
    bool filling = i / 25000 % 2 == 0;
    size_t at = random_below(&random, RECORDS);
    if (w->in[at] && (!filling || random_below(&random, 4) == 0))
      take(w, at);
    else if (!w->in[at] && (filling || random_below(&random, 4) == 0))
      add(w, at);
    if (i % 10000 == 9999) check(w);
  }
}

/* A replaced record must be gone from the inner nodes too: it is freed here, so a use would be seen. */
static void replaced_everywhere(void **state) {
  struct world *w = *state;
  for (size_t i = 0; i < RECORDS; i++) add(w, i);
  for (size_t i = 0; i < RECORDS; i++) {
    struct store_record *old = w->records[i];
    w->records[i] = new_record(i);
    index_replace(&w->index, old, store_record_ref(w->records[i]));
    store_record_unref(old);
  }
  check(w);
  for (size_t i = 0; i < RECORDS; i += 2) { /* what was removed must be too */
    take(w, i);
    store_record_unref(w->records[i]);
    w->records[i] = new_record(i);
  }
  check(w);
}

/* ---- Sharing ---- */

/* The nodes that an index does not share. */
static size_t own_nodes(const struct index_node *node) {
  size_t n = 1;
  if (node->references > 1) return 0;
  for (size_t i = 0; node->height > 0 && i < node->n; i++) n += own_nodes(node->children[i].node);
  return n;
}

/* Goal: what a change costs while the index is shared: one node a level, and none for the next change to the
 * same place. */
static void copies_the_path_once(void **state) {
  struct world *w = *state;
  for (size_t i = 0; i < RECORDS; i += 2) add(w, i);
  size_t levels = w->index.root->height + 1u;
  assert_int_equal(levels, 3);

  struct index shared = index_share(&w->index);
  assert_int_equal(own_nodes(w->index.root), 0);
  take(w, 4000);
  assert_int_equal(own_nodes(w->index.root), levels);
  assert_int_equal(own_nodes(shared.root), levels);
  add(w, 4001);
  take(w, 4001);
  index_replace(&w->index, w->records[4002], store_record_ref(w->records[4002]));
  assert_int_equal(own_nodes(w->index.root), levels);
  take(w, 8900); /* elsewhere: only the root is its own already */
  assert_int_equal(own_nodes(w->index.root), 2 * levels - 1);
  index_close(&shared);
  check(w);
}

/* Goal: slices of the size asked for, whatever is shared. */
static void closes_in_slices(void **state) {
  struct world *w = *state;
  for (size_t i = 0; i < RECORDS; i++) add(w, i);
  struct index shared = index_share(&w->index);
  assert_true(index_free_some(&shared, 1)); /* it holds nothing alone */
  check(w);

  shared = index_share(&w->index);
  for (size_t i = 0; i < RECORDS; i += 3) take(w, i);
  size_t slices = 1, expected = 0;
  for (size_t i = 0; i < RECORDS; i++) expected += w->records[i]->references - 1u;
  assert_in_range(expected, RECORDS, 2 * RECORDS);
  while (!index_free_some(&shared, 100)) slices++;
  assert_in_range(slices, RECORDS / 100, RECORDS / 100 + 1);
  for (size_t i = 0; i < RECORDS; i++) assert_int_equal(w->records[i]->references, 1 + w->in[i]);
  check(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(in_every_order, setup, teardown),
      cmocka_unit_test_setup_teardown(leaves_fill_up, setup, teardown),
      cmocka_unit_test_setup_teardown(thinned_from_either_end, setup, teardown),
      cmocka_unit_test_setup_teardown(runs_between_others, setup, teardown),
      cmocka_unit_test_setup_teardown(come_and_go_at_random, setup, teardown),
      cmocka_unit_test_setup_teardown(replaced_everywhere, setup, teardown),
      cmocka_unit_test_setup_teardown(copies_the_path_once, setup, teardown),
      cmocka_unit_test_setup_teardown(closes_in_slices, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
