/* A node is an array of records in order. In a leaf they are the records of the index; in an inner node they
 * are the first record below each child. Full nodes split. A node that a removal has left so thin that it
 * fits into one node with a neighbour, with room to spare, is merged with it; so beside a thin node stand
 * well-filled ones, and the average holds without moving single entries between neighbours. */
#include "store/index.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

enum {
  ENTRIES_MAX = 64,
  MERGED_ENTRIES_MAX = ENTRIES_MAX * 3 / 4, /* less than ENTRIES_MAX, so that a merge is not undone at once */
};

struct index_child {
  struct index_node *node; /* a reference; never empty */
  uint64_t records;        /* below it */
};

struct index_node {
  uint32_t references; /* from parents and roots; only a node that has one may change */
  uint16_t n;          /* entries */
  uint16_t height;     /* 0: a leaf, which owns a reference to each of its records */
  struct store_record *first[ENTRIES_MAX];
  struct index_child children[]; /* ENTRIES_MAX in an inner node; a leaf is allocated without them */
};

static struct index_node *node_new(uint16_t height) {
  size_t children = height > 0 ? ENTRIES_MAX : 0;
  struct index_node *node = memory_alloc(sizeof *node + children * sizeof node->children[0]);
  node->references = 1;
  node->n = 0;
  node->height = height;
  return node;
}

static struct index_node *node_ref(struct index_node *node) {
  assert(node->references > 0 && node->references < UINT32_MAX);
  node->references++;
  return node;
}

/* ---- Sharing ---- */

static struct index_node *copy_of(const struct index_node *node) {
  struct index_node *copy = node_new(node->height);
  copy->n = node->n;
  memcpy(copy->first, node->first, node->n * sizeof node->first[0]);
  if (node->height > 0) {
    memcpy(copy->children, node->children, node->n * sizeof node->children[0]);
    for (size_t i = 0; i < node->n; i++) node_ref(node->children[i].node);
  } else {
    for (size_t i = 0; i < node->n; i++) store_record_ref(node->first[i]);
  }
  return copy;
}

/* The node that a reference leads to, as one that may be changed: if another index can see it, the reference
 * is changed for one to a copy. All nodes on the way to it must be such already. */
static struct index_node *own(struct index_node **reference) {
  struct index_node *node = *reference;
  if (node->references == 1) return node;
  *reference = copy_of(node);
  node->references--;
  return *reference;
}

struct index index_share(const struct index *index) {
  return (struct index){.root = index->root != NULL ? node_ref(index->root) : NULL};
}

/* Drops a reference to a node, from the last entry on, until *records is used up. Returns whether that is
 * done; if not, it goes on at the next call. */
static bool node_unref_some(struct index_node *node, size_t *records) {
  if (node->references > 1) {
    node->references--;
    if (*records > 0) --*records;
    return true;
  }
  for (; node->n > 0; node->n--) {
    if (*records == 0) return false;
    if (node->height > 0) {
      if (!node_unref_some(node->children[node->n - 1].node, records)) return false;
    } else {
      store_record_unref(node->first[node->n - 1]);
      --*records;
    }
  }
  free(node);
  return true;
}

bool index_free_some(struct index *index, size_t records) {
  if (records == 0) records = 1;
  if (index->root != NULL && !node_unref_some(index->root, &records)) return false;
  index->root = NULL;
  return true;
}

void index_close(struct index *index) {
  bool done = index_free_some(index, SIZE_MAX);
  assert(done);
}

/* ---- Searching ---- */

static struct index_key key_of(const struct store_record *record) {
  return (struct index_key){.collection = store_record_collection(record), .id = store_record_id(record)};
}

static bool is_after(const struct store_record *record, const struct index_key *key) {
  int order = slice_compare(store_record_collection(record), key->collection);
  if (order != 0) return order > 0;
  return !key->past_collection && slice_compare(store_record_id(record), key->id) > 0;
}

/* The number of entries that begin at or before the key. */
static size_t entries_until(const struct index_node *node, const struct index_key *key) {
  size_t low = 0, high = node->n;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (is_after(node->first[middle], key))
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

/* The child of an inner node that has the place of the key: the last that begins no later, else the first. */
static size_t child_for(const struct index_node *node, const struct index_key *key) {
  size_t n = entries_until(node, key);
  return n > 0 ? n - 1 : 0;
}

size_t index_run_after(const struct index *index, const struct index_key *key,
                       struct store_record *const **records) {
  const struct index_node *node = index->root;
  const struct index_node *next = NULL; /* the subtree to the right of the path */

  if (node == NULL) return 0;
  while (node->height > 0) {
    size_t i = child_for(node, key);
    if (i + 1 < node->n) next = node->children[i + 1].node;
    node = node->children[i].node;
  }
  size_t i = entries_until(node, key);
  if (i == node->n) {
    if (next == NULL) return 0;
    for (node = next, i = 0; node->height > 0;) node = node->children[0].node;
  }
  *records = node->first + i;
  return node->n - i;
}

struct store_record *index_after(const struct index *index, const struct index_key *key) {
  struct store_record *const *records;
  return index_run_after(index, key, &records) > 0 ? records[0] : NULL;
}

uint64_t index_rank(const struct index *index, const struct index_key *key) {
  const struct index_node *node = index->root;
  uint64_t rank = 0;

  if (node == NULL) return 0;
  while (node->height > 0) {
    size_t i = child_for(node, key);
    for (size_t left = 0; left < i; left++) rank += node->children[left].records;
    node = node->children[i].node;
  }
  return rank + entries_until(node, key);
}

struct store_record *index_after_in(const struct index *index, struct slice collection, struct slice after) {
  struct index_key key = {.collection = collection, .id = after};
  struct store_record *record = index_after(index, &key);
  return record != NULL && slice_equal(store_record_collection(record), collection) ? record : NULL;
}

uint64_t index_count(const struct index *index, struct slice collection) {
  struct index_key first = {.collection = collection};
  struct index_key last = {.collection = collection, .past_collection = true};
  return index_rank(index, &last) - index_rank(index, &first);
}

/* ---- Changing one node ---- */

static uint64_t records_in(const struct index_node *node) {
  uint64_t records = 0;
  if (node->height == 0) return node->n;
  for (size_t i = 0; i < node->n; i++) records += node->children[i].records;
  return records;
}

/* Moves n entries, within one node or between two of one height; node.n is the caller's part. */
static void move_entries(struct index_node *to, size_t to_at, struct index_node *from, size_t from_at,
                         size_t n) {
  memmove(to->first + to_at, from->first + from_at, n * sizeof to->first[0]);
  if (to->height > 0) memmove(to->children + to_at, from->children + from_at, n * sizeof to->children[0]);
}

/* Moves the entries from `at` on to a new node to the right. */
static struct index_node *split(struct index_node *node, size_t at) {
  struct index_node *right = node_new(node->height);
  right->n = (uint16_t)(node->n - at);
  move_entries(right, 0, node, at, right->n);
  node->n = (uint16_t)at;
  return right;
}

/* Opens a place for one entry at `at` and points *node and *at to it. Returns the node that was split off to
 * the right when there was no room, else NULL. `last`: the node is the last of its height. */
static struct index_node *open_entry(struct index_node **node, size_t *at, bool last) {
  struct index_node *right = NULL;

  if ((*node)->n == ENTRIES_MAX) {
    /* Ids are often made in ascending order, so what is full at the end of the index stays full. Anywhere
     * else this would make a new node for every record of a descending run. */
    size_t keep = last && *at == ENTRIES_MAX ? ENTRIES_MAX : ENTRIES_MAX / 2;
    right = split(*node, keep);
    if (*at > keep || keep == ENTRIES_MAX) {
      *node = right;
      *at -= keep;
    }
  }
  move_entries(*node, *at + 1, *node, *at, (*node)->n - *at);
  (*node)->n++;
  return right;
}

static void close_entry(struct index_node *node, size_t at) {
  node->n--;
  move_entries(node, at, node, at + 1, node->n - at);
}

static void set_child(struct index_node *node, size_t at, struct index_node *child) {
  node->first[at] = child->first[0];
  node->children[at] = (struct index_child){child, records_in(child)};
}

/* ---- Inserting and replacing ---- */

/* Returns the node that was split off to the right of this one, or NULL. `last` as in open_entry(). The node
 * is one that may be changed, here and below. */
static struct index_node *insert(struct index_node *node, struct store_record *record,
                                 const struct index_key *key, bool last) {
  if (node->height == 0) {
    size_t at = entries_until(node, key);
    struct index_node *right = open_entry(&node, &at, last);
    node->first[at] = record;
    return right;
  }

  size_t i = child_for(node, key);
  struct index_node *child = own(&node->children[i].node);
  struct index_node *split_off = insert(child, record, key, last && i + 1 == node->n);
  set_child(node, i, child);
  if (split_off == NULL) return NULL;

  size_t at = i + 1;
  struct index_node *right = open_entry(&node, &at, last);
  set_child(node, at, split_off);
  return right;
}

void index_insert(struct index *index, struct store_record *record) {
  struct index_key key = key_of(record);

  if (index->root == NULL) index->root = node_new(0);
  struct index_node *left = own(&index->root), *right = insert(left, record, &key, true);
  if (right != NULL) {
    index->root = node_new((uint16_t)(left->height + 1));
    index->root->n = 2;
    set_child(index->root, 0, left);
    set_child(index->root, 1, right);
  }
}

void index_replace(struct index *index, struct store_record *old, struct store_record *record) {
  struct index_key key = key_of(old);
  struct index_node **reference = &index->root;

  assert(index->root != NULL);
  for (;;) {
    struct index_node *node = own(reference);
    size_t i = child_for(node, &key);
    if (node->first[i] == old) node->first[i] = record;
    if (node->height == 0) {
      assert(node->first[i] == record);
      store_record_unref(old);
      return;
    }
    reference = &node->children[i].node;
  }
}

/* ---- Removing ---- */

/* Merges child i + 1 into child i, if there are both and they fit. */
static void merge(struct index_node *node, size_t i) {
  if (i + 1 >= node->n) return;
  if (node->children[i].node->n + node->children[i + 1].node->n > MERGED_ENTRIES_MAX) return;

  struct index_node *left = own(&node->children[i].node), *right = own(&node->children[i + 1].node);
  move_entries(left, left->n, right, 0, right->n);
  left->n = (uint16_t)(left->n + right->n);
  free(right);
  close_entry(node, i + 1);
  set_child(node, i, left);
}

/* May leave the node itself empty. */
static void remove_record(struct index_node *node, struct store_record *record, const struct index_key *key) {
  size_t i = child_for(node, key);
  if (node->height == 0) {
    assert(i < node->n && node->first[i] == record);
    close_entry(node, i);
    store_record_unref(record);
    return;
  }

  struct index_node *child = own(&node->children[i].node);
  remove_record(child, record, key);
  if (child->n == 0) {
    free(child);
    close_entry(node, i);
  } else {
    set_child(node, i, child);
  }
  merge(node, i);
  if (i > 0) merge(node, i - 1);
}

void index_remove(struct index *index, struct store_record *record) {
  struct index_key key = key_of(record);

  assert(index->root != NULL);
  remove_record(own(&index->root), record, &key);
  while (index->root->height > 0 && index->root->n == 1) {
    struct index_node *root = index->root;
    index->root = root->children[0].node;
    free(root);
  }
  if (index->root->n == 0) index_close(index);
}
