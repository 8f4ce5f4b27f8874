#include "store/table.h"

#include "base/memory.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

_Static_assert((int)STORE_HASH_KEY_BYTES == (int)crypto_shorthash_KEYBYTES, "the key of SipHash-2-4");
_Static_assert(COLLECTION_BYTES_MAX <= UINT8_MAX, "table_hash() writes the length in one byte");

static struct store_record **bucket_at(const struct table *t, size_t bucket) {
  return &t->segments[bucket / TABLE_SEGMENT_BUCKETS]->buckets[bucket % TABLE_SEGMENT_BUCKETS];
}

/* The bucket of a hash: by its low bits, one bit more where the bucket with that bit exists already. */
static struct store_record **bucket_of(const struct table *t, uint32_t hash) {
  size_t bucket = hash & (2 * t->level - 1);
  if (bucket >= t->buckets) bucket -= t->level;
  return bucket_at(t, bucket);
}

/* The pointer that points to the record in its chain. */
static struct store_record **place_of(const struct table *t, const struct store_record *record) {
  struct store_record **place = bucket_of(t, record->hash);
  while (*place != record) {
    assert(*place != NULL);
    place = &(*place)->next;
  }
  return place;
}

static void add_segment(struct table *t) {
  size_t n = t->buckets / TABLE_SEGMENT_BUCKETS;
  if (n == t->segments_max) {
    t->segments_max = n > 0 ? 2 * n : 16;
    t->segments = memory_realloc(t->segments, t->segments_max * sizeof *t->segments);
  }
  t->segments[n] = memory_zalloc(sizeof *t->segments[n]);
}

void table_init(struct table *t, const uint8_t hash_key[STORE_HASH_KEY_BYTES]) {
  *t = (struct table){0};
  memcpy(t->hash_key, hash_key, STORE_HASH_KEY_BYTES);
  add_segment(t);
  t->buckets = t->level = TABLE_BUCKETS_MIN;
}

void table_close(struct table *t) {
  for (size_t i = 0; i < t->buckets; i += TABLE_SEGMENT_BUCKETS) free(t->segments[i / TABLE_SEGMENT_BUCKETS]);
  free(t->segments);
  *t = (struct table){0};
}

uint32_t table_hash(const struct table *t, struct slice collection, struct slice id) {
  /* The length in front tells ("ab", "c") from ("a", "bc"). */
  uint8_t input[1 + COLLECTION_BYTES_MAX + DOCUMENT_ID_BYTES_MAX], hash[crypto_shorthash_BYTES];
  uint32_t low;

  assert(collection.n <= COLLECTION_BYTES_MAX && id.n <= DOCUMENT_ID_BYTES_MAX);
  input[0] = (uint8_t)collection.n;
  if (collection.n > 0) memcpy(input + 1, collection.at, collection.n);
  if (id.n > 0) memcpy(input + 1 + collection.n, id.at, id.n);
  crypto_shorthash(hash, input, 1 + collection.n + id.n, t->hash_key);
  memcpy(&low, hash, sizeof low);
  return low;
}

struct store_record *table_find(const struct table *t, uint32_t hash, struct slice collection,
                                struct slice id) {
  struct store_record *record = *bucket_of(t, hash);
  while (record != NULL && !(record->hash == hash && slice_equal(store_record_id(record), id) &&
                             slice_equal(store_record_collection(record), collection)))
    record = record->next;
  return record;
}

/* Adds one bucket: of the records in the bucket that stood for both so far, those with the deciding bit move.
 */
static void grow(struct table *t) {
  if (t->buckets % TABLE_SEGMENT_BUCKETS == 0) add_segment(t);
  if (t->buckets == 2 * t->level) t->level = t->buckets;

  struct store_record **from = bucket_at(t, t->buckets - t->level), **to = bucket_at(t, t->buckets);
  while (*from != NULL) {
    struct store_record *record = *from;
    if ((record->hash & t->level) == 0) {
      from = &record->next;
      continue;
    }
    *from = record->next;
    record->next = *to;
    *to = record;
  }
  t->buckets++;
}

/* Takes the last bucket back: grow() the other way round. */
static void shrink(struct table *t) {
  t->buckets--;
  struct store_record **last = bucket_at(t, t->buckets), **end = bucket_at(t, t->buckets - t->level);
  while (*end != NULL) end = &(*end)->next;
  *end = *last;
  *last = NULL;

  if (t->buckets == t->level && t->level > TABLE_BUCKETS_MIN) t->level /= 2;
  if (t->buckets % TABLE_SEGMENT_BUCKETS == 0) free(t->segments[t->buckets / TABLE_SEGMENT_BUCKETS]);
}

void table_reserve(struct table *t, uint64_t records) {
  while (t->buckets < records && t->buckets < TABLE_BUCKETS_MAX) grow(t);
}

void table_insert(struct table *t, struct store_record *record) {
  struct store_record **bucket = bucket_of(t, record->hash);
  record->next = *bucket;
  *bucket = record;
  t->records++;
  if (t->records > t->buckets && t->buckets < TABLE_BUCKETS_MAX) grow(t);
}

void table_replace(struct table *t, struct store_record *old, struct store_record *record) {
  struct store_record **place = place_of(t, old);
  assert(record->hash == old->hash);
  record->next = old->next;
  *place = record;
  old->next = NULL;
}

void table_remove(struct table *t, struct store_record *record) {
  struct store_record **place = place_of(t, record);
  *place = record->next;
  record->next = NULL;
  t->records--;
  /* Half of the load that grows it, so that a table at the limit does not flutter: two buckets at most. */
  while (t->records < t->buckets / 2 && t->buckets > TABLE_BUCKETS_MIN) shrink(t);
}
