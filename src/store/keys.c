#include "store/keys.h"

#include "base/codec.h"
#include "base/memory.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>
#include <xxhash.h>

/* A slot is a key's number modulo SLOTS: no two keys that are kept at a time have the same. Stored with one
 * added, so that 0 is none. */
enum { SLOTS = KEYS_CHUNKS * KEYS_PER_CHUNK, BUCKETS = SLOTS };
_Static_assert(STORE_KEYS_MAX <= SLOTS - KEYS_PER_CHUNK,
               "else the first and the last chunk would share a place");
_Static_assert((BUCKETS & (BUCKETS - 1)) == 0, "a bucket is taken from the low bits");

struct entry {
  uint8_t bytes[KEY_BYTES];
  uint32_t next; /* slot + 1 of the next older one of its bucket */
};
_Static_assert(sizeof(struct entry) == 64, "one cache line, and what keys.h says of memory");

struct keys_chunk {
  uint32_t references; /* the table's, and one of each view */
  struct entry entries[KEYS_PER_CHUNK];
};

struct keys_table {
  struct keys_chunk *chunks[KEYS_CHUNKS]; /* the one of number n at n / KEYS_PER_CHUNK modulo KEYS_CHUNKS */
  uint32_t buckets[BUCKETS];              /* slot + 1 of the newest */
};

/* ---- The bytes of a key ---- */

enum {
  REQUEST_AT = COMMAND_DIGEST_BYTES,
  NOTE_AT = 2 * COMMAND_DIGEST_BYTES,
  REVISION_AT = 3 * COMMAND_DIGEST_BYTES,
  OUTCOME_AT = REVISION_AT + 8,
  FAILED_OUTCOME_AT,
  FAILED_AT,
};

void key_encode(const struct store_key *key, uint8_t bytes[KEY_BYTES]) {
  memcpy(bytes, key->once.key, COMMAND_DIGEST_BYTES);
  memcpy(bytes + REQUEST_AT, key->once.request, COMMAND_DIGEST_BYTES);
  memcpy(bytes + NOTE_AT, key->once.note, COMMAND_DIGEST_BYTES);
  write_uint(bytes + REVISION_AT, key->revision, 8);
  write_uint(bytes + OUTCOME_AT, key->outcome, 1);
  write_uint(bytes + FAILED_OUTCOME_AT, key->failed_outcome, 1);
  write_uint(bytes + FAILED_AT, key->failed, 2);
}

static bool is_failure(enum store_outcome outcome) {
  return outcome == STORE_EXISTS || outcome == STORE_NOT_FOUND || outcome == STORE_PRECONDITION_FAILED;
}

bool key_decode(const uint8_t bytes[KEY_BYTES], struct store_key *key) {
  struct reader r = reader_of(bytes + REVISION_AT, KEY_BYTES - REVISION_AT);
  memcpy(key->once.key, bytes, COMMAND_DIGEST_BYTES);
  memcpy(key->once.request, bytes + REQUEST_AT, COMMAND_DIGEST_BYTES);
  memcpy(key->once.note, bytes + NOTE_AT, COMMAND_DIGEST_BYTES);
  key->revision = get_u64(&r);
  key->outcome = get_u8(&r);
  key->failed_outcome = get_u8(&r);
  key->failed = get_u16(&r);
  if (key->outcome == STORE_REFUSED)
    return is_failure(key->failed_outcome) && key->failed < COMMAND_TRANSACTION_MAX;
  if (key->failed != 0 || (int)key->failed_outcome != 0) return false;
  return key->outcome < STORE_REFUSED && key->outcome != STORE_BASE_MOVED;
}

struct state_hash key_state_hash(const uint8_t bytes[KEY_BYTES]) {
  XXH128_hash_t hash = XXH3_128bits(bytes, KEY_BYTES);
  return (struct state_hash){.low = hash.low64, .high = hash.high64};
}

/* ---- Places ---- */

static uint32_t slot_of(uint64_t number) {
  return (uint32_t)(number % SLOTS);
}

static struct keys_chunk **chunk_place(const struct keys *keys, uint32_t slot) {
  return &keys->table->chunks[slot / KEYS_PER_CHUNK];
}

static struct entry *entry_at(const struct keys *keys, uint32_t slot) {
  return &(*chunk_place(keys, slot))->entries[slot % KEYS_PER_CHUNK];
}

static uint32_t *bucket_of(const struct keys *keys, const uint8_t digest[COMMAND_DIGEST_BYTES]) {
  uint8_t hash[crypto_shorthash_BYTES];
  uint32_t low;
  crypto_shorthash(hash, digest, COMMAND_DIGEST_BYTES, keys->hash_key);
  memcpy(&low, hash, sizeof low);
  return &keys->table->buckets[low & (BUCKETS - 1)];
}

static void chunk_unref(struct keys_chunk *chunk) {
  assert(chunk->references > 0);
  if (--chunk->references == 0) free(chunk);
}

/* ---- Finding, appending, dropping ---- */

const uint8_t *keys_find(const struct keys *keys, const uint8_t digest[COMMAND_DIGEST_BYTES]) {
  if (keys->table == NULL) return NULL;
  for (uint32_t at = *bucket_of(keys, digest); at != 0;) {
    const struct entry *entry = entry_at(keys, at - 1);
    if (memcmp(entry->bytes, digest, COMMAND_DIGEST_BYTES) == 0) return entry->bytes;
    at = entry->next;
  }
  return NULL;
}

void keys_append(struct keys *keys, const uint8_t bytes[KEY_BYTES]) {
  const uint32_t slot = slot_of(keys->end);
  assert(keys->end - keys->first < STORE_KEYS_MAX);
  if (keys->table == NULL) keys->table = memory_zalloc(sizeof *keys->table);
  if (slot % KEYS_PER_CHUNK == 0) {
    struct keys_chunk *chunk = memory_alloc(sizeof *chunk);
    chunk->references = 1;
    *chunk_place(keys, slot) = chunk;
  }
  struct entry *entry = entry_at(keys, slot);
  uint32_t *bucket = bucket_of(keys, bytes);
  memcpy(entry->bytes, bytes, KEY_BYTES);
  entry->next = *bucket;
  *bucket = slot + 1;
  keys->end++;
}

const uint8_t *keys_oldest(const struct keys *keys) {
  assert(keys->first < keys->end);
  return entry_at(keys, slot_of(keys->first))->bytes;
}

/* It is the last one of its chain, because new ones come in front. */
void keys_drop_oldest(struct keys *keys) {
  const uint32_t slot = slot_of(keys->first);
  uint32_t *place = bucket_of(keys, keys_oldest(keys));
  while (*place != slot + 1) {
    assert(*place != 0);
    place = &entry_at(keys, *place - 1)->next;
  }
  *place = 0;
  keys->first++;
  if (keys->first % KEYS_PER_CHUNK == 0) chunk_unref(*chunk_place(keys, slot));
}

/* The chunks that there are, counted since number 0: [*from, *to). */
static void range_of(const struct keys *keys, uint64_t *from, uint64_t *to) {
  *from = keys->first / KEYS_PER_CHUNK;
  *to = (keys->end + KEYS_PER_CHUNK - 1) / KEYS_PER_CHUNK;
}

bool keys_free_some(struct keys *keys, size_t chunks) {
  uint64_t from, to;
  if (keys->table == NULL) return true;
  for (range_of(keys, &from, &to); from < to; from++) {
    if (chunks-- == 0) return false;
    chunk_unref(keys->table->chunks[from % KEYS_CHUNKS]);
    keys->first = (from + 1) * KEYS_PER_CHUNK;
  }
  free(keys->table);
  keys->table = NULL;
  keys->first = keys->end = 0;
  return true;
}

/* ---- As of one moment ---- */

struct keys_view keys_share(const struct keys *keys) {
  struct keys_view view = {0};
  uint64_t from, to;
  if (keys->first == keys->end) return view;
  range_of(keys, &from, &to);
  view.chunks = memory_alloc((size_t)(to - from) * sizeof(struct keys_chunk *));
  for (; from < to; from++) {
    struct keys_chunk *chunk = keys->table->chunks[from % KEYS_CHUNKS];
    assert(chunk->references > 0 && chunk->references < UINT32_MAX);
    chunk->references++;
    view.chunks[view.chunks_n++] = chunk;
  }
  view.skipped = (size_t)(keys->first % KEYS_PER_CHUNK);
  view.n = keys->end - keys->first;
  return view;
}

bool keys_view_free_some(struct keys_view *view, size_t chunks) {
  while (view->chunks_n > 0) {
    if (chunks-- == 0) return false;
    chunk_unref(view->chunks[--view->chunks_n]);
  }
  free(view->chunks);
  *view = (struct keys_view){0};
  return true;
}

const uint8_t *keys_view_at(const struct keys_view *view, uint64_t i) {
  assert(i < view->n);
  const size_t at = view->skipped + (size_t)i;
  return view->chunks[at / KEYS_PER_CHUNK]->entries[at % KEYS_PER_CHUNK].bytes;
}
