/* Records: one document each, and their part in the hash of the state. */
#include "base/memory.h"
#include "store/core.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

struct store_record *record_new(size_t collection_bytes, size_t id_bytes, size_t body_bytes) {
  struct store_record *r =
      memory_alloc(offsetof(struct store_record, data) + collection_bytes + id_bytes + body_bytes);
  assert(collection_bytes <= COLLECTION_BYTES_MAX && id_bytes <= DOCUMENT_ID_BYTES_MAX);
  assert(body_bytes <= UINT32_MAX);
  *r = (struct store_record){.references = 1,
                             .body_bytes = (uint32_t)body_bytes,
                             .collection_bytes = (uint16_t)collection_bytes,
                             .id_bytes = (uint16_t)id_bytes};
  return r;
}

struct store_record *store_record_ref(struct store_record *r) {
  assert(r->references > 0 && r->references < UINT32_MAX);
  r->references++;
  return r;
}

void store_record_unref(struct store_record *r) {
  if (r == NULL) return;
  assert(r->references > 0);
  if (--r->references == 0) free(r);
}

uint64_t record_bytes(const struct store_record *r) {
  return (uint64_t)r->collection_bytes + r->id_bytes + r->body_bytes;
}

void record_encode_head(const struct store_record *r, uint8_t head[RECORD_HEAD_BYTES]) {
  for (size_t i = 0; i < 8; i++) head[i] = (uint8_t)(r->revision >> (8 * i));
  for (size_t i = 0; i < 4; i++) head[8 + i] = (uint8_t)(r->body_bytes >> (8 * i));
  head[12] = (uint8_t)r->id_bytes;
  head[13] = (uint8_t)(r->id_bytes >> 8);
  head[14] = (uint8_t)r->collection_bytes;
}

/* ---- The hash of the state ---- */

struct state_hash record_state_hash(const struct store_record *r) {
  uint8_t head[RECORD_HEAD_BYTES];
  record_encode_head(r, head);
  XXH128_hash_t hash = XXH3_128bits_withSeed(r->data, record_bytes(r), XXH3_64bits(head, sizeof head));
  return (struct state_hash){.low = hash.low64, .high = hash.high64};
}

void state_hash_add(struct state_hash *sum, struct state_hash part) {
  sum->low += part.low;
  sum->high += part.high + (sum->low < part.low); /* the carry */
}

void state_hash_subtract(struct state_hash *sum, struct state_hash part) {
  sum->high -= part.high + (sum->low < part.low); /* the borrow */
  sum->low -= part.low;
}
