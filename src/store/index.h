/* The ordered index: all records by (collection, id), in byte order, in a B+-tree that counts.
 *
 * Chosen over a skip list for its memory (8 bytes a record in full leaves, 12 in random order, and nothing
 * inside the record, which can so be replaced without its neighbours noticing) and for its cache misses: four
 * levels hold a million records, and the upper ones stay in the cache. Every inner node keeps the number of
 * records below each child, so the size of a collection is the difference of two ranks and nothing has to be
 * kept up per collection.
 *
 * Nodes are counted references, so that an index can be shared in constant time: index_share() gives another
 * index with the same records, and from then on a change to either copies the nodes on its path that the
 * other can see too, once each ("path copying": Driscoll, Sarnak, Sleator and Tarjan, "Making data structures
 * persistent", JCSS 38(1), 1989). While nothing is shared, nothing is copied.
 *
 * The index owns a reference to each record: one for every leaf that it is in. */
#ifndef CORACLE_STORE_INDEX_H
#define CORACLE_STORE_INDEX_H

#include "store/store.h"

struct index_node;

/* All zero is an empty index. */
struct index {
  struct index_node *root; /* a reference; NULL when empty */
};

/* A point in the order, which need not be a record's own. */
struct index_key {
  struct slice collection; /* not owned */
  struct slice id;         /* not owned; empty: before the first record of the collection */
  bool past_collection;    /* after its last record; `id` does not matter */
};

void index_close(struct index *);
/* Closes it in slices of about `records` records or shared nodes each, and at least one. Returns whether it
 * is closed; until then nothing else may be done with it. */
MUST_CHECK bool index_free_some(struct index *, size_t records);

/* Another index with the same records, to be closed by itself. Constant time. */
struct index index_share(const struct index *);

/* Takes over a reference to a record whose (collection, id) is not in the index. */
void index_insert(struct index *, struct store_record *);
/* Puts `record` in the place of `old`, which is in the index and has the same (collection, id). Takes over a
 * reference to the new one and drops that to the old one. */
void index_replace(struct index *, struct store_record *old, struct store_record *record);
/* The record must be in the index, which drops its reference. */
void index_remove(struct index *, struct store_record *);

/* The first record after the key; NULL at the end. */
struct store_record *index_after(const struct index *, const struct index_key *);
/* The records after the key that stand in one leaf, and their number, at least one; 0 at the end. The array
 * holds until the index is changed or closed. */
size_t index_run_after(const struct index *, const struct index_key *, struct store_record *const **records);
/* The number of records at or before the key. */
uint64_t index_rank(const struct index *, const struct index_key *);

/* The first record of a collection after the id; NULL when there is none. */
struct store_record *index_after_in(const struct index *, struct slice collection, struct slice after);
/* The records of a collection. Two searches, no walk. */
uint64_t index_count(const struct index *, struct slice collection);

#endif
