/* What the sources of the store share among themselves. */
#ifndef CORACLE_STORE_CORE_H
#define CORACLE_STORE_CORE_H

#include "store/index.h"
#include "store/store.h"
#include "store/table.h"

struct store {
  struct table table;
  struct index index;           /* of the same records */
  uint64_t revision;            /* log index of the last command */
  uint64_t bytes;               /* of all documents */
  struct state_hash state_hash; /* of all documents */
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

/* A sum modulo 2^128, so that it does not depend on the order in which the documents came. */
void state_hash_add(struct state_hash *, const struct store_record *);
void state_hash_subtract(struct state_hash *, const struct store_record *);

/* ---- Documents ---- */

/* Adds a record whose (collection, id) is not there yet, and whose hash is set; takes over the reference. */
void store_insert(struct store *, struct store_record *);

#endif
