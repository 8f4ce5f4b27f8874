/* The ordered index: all records by (collection, id), in byte order, in a B+-tree that counts.
 *
 * Chosen over a skip list for its memory (8 bytes a record in full leaves, 12 in random order, and nothing
 * inside the record, which can so be replaced without its neighbours noticing) and for its cache misses: four
 * levels hold a million records, and the upper ones stay in the cache. Every inner node keeps the number of
 * records below each child, so the size of a collection is the difference of two ranks and nothing has to be
 * kept up per collection.
 *
 * The index borrows the records: whoever owns the references removes a record from here before dropping its
 * own. */
#ifndef CORACLE_STORE_INDEX_H
#define CORACLE_STORE_INDEX_H

#include "store/store.h"

struct index_node;

/* All zero is an empty index. */
struct index {
  struct index_node *root; /* owned; NULL when empty */
};

/* A point in the order, which need not be a record's own. */
struct index_key {
  struct slice collection; /* not owned */
  struct slice id;         /* not owned; empty: before the first record of the collection */
  bool past_collection;    /* after its last record; `id` does not matter */
};

void index_close(struct index *);

/* The record's (collection, id) must not be in the index. */
void index_insert(struct index *, struct store_record *);
/* Puts `record` in the place of `old`, which is in the index and has the same (collection, id). */
void index_replace(struct index *, const struct store_record *old, struct store_record *record);
/* The record must be in the index. */
void index_remove(struct index *, const struct store_record *);

/* The first record after the key; NULL at the end. */
struct store_record *index_after(const struct index *, const struct index_key *);
/* The number of records at or before the key. */
uint64_t index_rank(const struct index *, const struct index_key *);

#endif
