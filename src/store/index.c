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
  struct index_node *node; /* owned, never empty */
  uint64_t records;        /* below it */
};

struct index_node {
  uint16_t n;      /* entries */
  uint16_t height; /* 0: a leaf */
  struct store_record *first[ENTRIES_MAX];
  struct index_child children[]; /* ENTRIES_MAX in an inner node; a leaf is allocated without them */
};

static struct index_node *node_new(uint16_t height) {
  size_t children = height > 0 ? ENTRIES_MAX : 0;
  struct index_node *node = memory_alloc(sizeof *node + children * sizeof node->children[0]);
  node->n = 0;
  node->height = height;
  return node;
}

static void node_free(struct index_node *node) {
  if (node->height > 0)
    for (size_t i = 0; i < node->n; i++) node_free(node->children[i].node);
  free(node);
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

struct store_record *index_after(const struct index *index, const struct index_key *key) {
  const struct index_node *node = index->root;
  struct store_record *next = NULL; /* the first record of the subtree to the right of the path */

  if (node == NULL) return NULL;
  while (node->height > 0) {
    size_t i = child_for(node, key);
    if (i + 1 < node->n) next = node->first[i + 1];
    node = node->children[i].node;
  }
  size_t i = entries_until(node, key);
  return i < node->n ? node->first[i] : next;
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

/* Returns the node that was split off to the right of this one, or NULL. `last` as in open_entry(). */
static struct index_node *insert(struct index_node *node, struct store_record *record,
                                 const struct index_key *key, bool last) {
  if (node->height == 0) {
    size_t at = entries_until(node, key);
    struct index_node *right = open_entry(&node, &at, last);
    node->first[at] = record;
    return right;
  }

  size_t i = child_for(node, key);
  struct index_node *child = node->children[i].node;
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
  struct index_node *left = index->root, *right = insert(left, record, &key, true);
  if (right != NULL) {
    index->root = node_new((uint16_t)(left->height + 1));
    index->root->n = 2;
    set_child(index->root, 0, left);
    set_child(index->root, 1, right);
  }
}

void index_replace(struct index *index, const struct store_record *old, struct store_record *record) {
  struct index_key key = key_of(old);
  struct index_node *node = index->root;

  assert(node != NULL);
  for (;;) {
    size_t i = child_for(node, &key);
    if (node->first[i] == old) node->first[i] = record;
    if (node->height == 0) {
      assert(node->first[i] == record);
      return;
    }
    node = node->children[i].node;
  }
}

/* ---- Removing ---- */

/* Merges child i + 1 into child i, if there are both and they fit. */
static void merge(struct index_node *node, size_t i) {
  if (i + 1 >= node->n) return;
  struct index_node *left = node->children[i].node, *right = node->children[i + 1].node;
  if (left->n + right->n > MERGED_ENTRIES_MAX) return;

  move_entries(left, left->n, right, 0, right->n);
  left->n = (uint16_t)(left->n + right->n);
  free(right);
  close_entry(node, i + 1);
  set_child(node, i, left);
}

/* May leave the node itself empty. */
static void remove_record(struct index_node *node, const struct store_record *record,
                          const struct index_key *key) {
  size_t i = child_for(node, key);
  if (node->height == 0) {
    assert(i < node->n && node->first[i] == record);
    close_entry(node, i);
    return;
  }

  struct index_node *child = node->children[i].node;
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

void index_remove(struct index *index, const struct store_record *record) {
  struct index_key key = key_of(record);

  assert(index->root != NULL);
  remove_record(index->root, record, &key);
  while (index->root->height > 0 && index->root->n == 1) {
    struct index_node *root = index->root;
    index->root = root->children[0].node;
    free(root);
  }
  if (index->root->n == 0) index_close(index);
}

void index_close(struct index *index) {
  if (index->root != NULL) node_free(index->root);
  *index = (struct index){0};
}
