/* What the sources of the store share among themselves. */
#ifndef CORACLE_STORE_CORE_H
#define CORACLE_STORE_CORE_H

#include "store/index.h"
#include "store/keys.h"
#include "store/store.h"
#include "store/table.h"
#include "store/view.h"

/* A collection whose documents are on their way out: for readers they are gone. */
struct dropping {
  size_t n; /* bytes of the name; 0: none */
  char name[COLLECTION_BYTES_MAX];
};

/* Whether a collection is the one. Costs nothing when there is none. */
static inline bool is_dropping(const struct dropping *d, struct slice collection) {
  return d->n > 0 && slice_equal((struct slice){d->name, d->n}, collection);
}
static inline bool is_dropped(const struct dropping *d, const struct store_record *record) {
  return d->n > 0 && is_dropping(d, store_record_collection(record));
}

struct store {
  struct table table;
  struct index index;           /* of the same records */
  struct keys keys;             /* idempotency keys */
  uint64_t revision;            /* log index of the last command */
  uint64_t bytes;               /* of all documents */
  struct state_hash state_hash; /* of all documents and keys */
  struct dropping dropping;
};

/* ---- Records ---- */

enum { RECORD_HEAD_BYTES = 8 + 4 + 2 + 1 };

/* With one reference, which is the caller's; its revision, hash and data are for the caller to fill in. */
struct store_record *record_new(size_t collection_bytes, size_t id_bytes, size_t body_bytes);
/* Of its data: collection + id + body. */
uint64_t record_bytes(const struct store_record *);
/* What stands before the data of a record in an image, and seeds its hash: revision, length of the body, of
 * the id and of the collection, little-endian. */
void record_encode_head(const struct store_record *, uint8_t head[RECORD_HEAD_BYTES]);

struct state_hash record_state_hash(const struct store_record *);

/* A sum modulo 2^128, so that it does not depend on the order in which its parts came. */
void state_hash_add(struct state_hash *, struct state_hash part);
void state_hash_subtract(struct state_hash *, struct state_hash part);

/* ---- Documents and keys ---- */

/* Adds a record whose (collection, id) is not there yet, and whose hash is set; takes over the reference. */
void store_insert(struct store *, struct store_record *);
/* Puts a record in the place of one of the same (collection, id); takes over the reference. */
void store_replace(struct store *, struct store_record *old, struct store_record *record);
void store_remove(struct store *, struct store_record *);

/* Remembers a key that is not there yet, and forgets the oldest if that makes one too many. */
void store_remember(struct store *, const uint8_t bytes[KEY_BYTES]);

enum { RECORDS_PER_KEYS_CHUNK = 16 }; /* that take as long to release */

/* ---- Views ---- */

/* The bytes of the i-th key from the oldest. */
const uint8_t *store_view_key(const struct store_view *, uint64_t i);
/* Nothing was on its way out when it was taken: it is as its state hash has it. */
bool store_view_is_settled(const struct store_view *);

/* ---- Dropping ---- */

/* From now on the store is busy with it, if there is a document in it. */
void drop_begin(struct store *, struct slice collection);

#endif
