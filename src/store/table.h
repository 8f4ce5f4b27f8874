/* The hash table from (collection, id) to the record: linear hashing with chains (Litwin 1980; in memory as
 * in Larson, "Dynamic hash tables", CACM 31(4), 1988).
 *
 * The table grows and shrinks by one bucket at a time: adding a bucket splits one other, whose records are
 * told apart by one more bit of their hash. So there is never a second table, and never a stall, however many
 * documents there are. The longest pause that a change can meet is: one split (about one record, the longest
 * chain at worst, which a keyed hash keeps near ten for a million records), a fresh segment of 8 KiB to clear
 * once in 1024 growths, and at each doubling of the segment directory its copy (8 KiB for a million records).
 *
 * The table borrows the records: the index (index.h) owns a reference to each. Whoever removes a record
 * removes it from here first. */
#ifndef CORACLE_STORE_TABLE_H
#define CORACLE_STORE_TABLE_H

#include "store/store.h"

enum {
  TABLE_SEGMENT_BUCKETS = 1024,
  TABLE_BUCKETS_MIN = TABLE_SEGMENT_BUCKETS, /* a power of two */
};
/* No more buckets than the 32 bits of hash in a record can tell apart; beyond it chains grow longer. */
static const size_t TABLE_BUCKETS_MAX = (size_t)1 << 31;

struct table_segment {
  struct store_record *buckets[TABLE_SEGMENT_BUCKETS]; /* heads of chains through store_record.next */
};

struct table {
  uint8_t hash_key[STORE_HASH_KEY_BYTES];
  struct table_segment **segments; /* the buckets in order; owned */
  size_t segments_max;             /* places in `segments` */
  size_t buckets;                  /* in use */
  size_t level; /* a power of two; level <= buckets <= 2 * level: bucket b + level was split off b */
  uint64_t records;
};

void table_init(struct table *, const uint8_t hash_key[STORE_HASH_KEY_BYTES]);
/* Constant time but for one step in 1024 records: it touches none of them. */
void table_close(struct table *);

/* The hash that the functions below want, in `hash` and in store_record.hash. Lengths as command.h limits
 * them. */
uint32_t table_hash(const struct table *, struct slice collection, struct slice id);
/* NULL when there is none. */
struct store_record *table_find(const struct table *, uint32_t hash, struct slice collection,
                                struct slice id);
/* Grows it for so many records; the fewer there are already, the less is to be moved. */
void table_reserve(struct table *, uint64_t records);
/* The record's (collection, id) must not be in the table. */
void table_insert(struct table *, struct store_record *);
/* Puts a record in the place of one of the same (collection, id). */
void table_replace(struct table *, struct store_record *old, struct store_record *record);
/* The record must be in the table. */
void table_remove(struct table *, struct store_record *);

#endif
