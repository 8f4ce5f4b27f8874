#include "store/store.h"

#include "base/memory.h"
#include "store/core.h"

#include <assert.h>
#include <stdlib.h>

struct store *store_new(const uint8_t key[STORE_HASH_KEY_BYTES]) {
  struct store *store = memory_zalloc(sizeof *store);
  table_init(&store->table, key);
  memcpy(store->keys.hash_key, key, STORE_HASH_KEY_BYTES);
  return store;
}

bool store_free_some(struct store *store, size_t records) {
  if (!keys_free_some(&store->keys, records / RECORDS_PER_KEYS_CHUNK + 1)) return false;
  if (!index_free_some(&store->index, records)) return false;
  table_close(&store->table);
  free(store);
  return true;
}

void store_free(struct store *store) {
  if (store == NULL) return;
  bool done = store_free_some(store, SIZE_MAX);
  assert(done);
}

/* ---- Changing ---- */

void store_insert(struct store *store, struct store_record *record) {
  table_insert(&store->table, record);
  index_insert(&store->index, record);
  store->bytes += record_bytes(record);
  state_hash_add(&store->state_hash, record_state_hash(record));
}

void store_replace(struct store *store, struct store_record *old, struct store_record *record) {
  store->bytes += record_bytes(record) - record_bytes(old);
  state_hash_subtract(&store->state_hash, record_state_hash(old));
  state_hash_add(&store->state_hash, record_state_hash(record));
  table_replace(&store->table, old, record);
  index_replace(&store->index, old, record);
}

void store_remove(struct store *store, struct store_record *old) {
  store->bytes -= record_bytes(old);
  state_hash_subtract(&store->state_hash, record_state_hash(old));
  table_remove(&store->table, old);
  index_remove(&store->index, old);
}

void store_remember(struct store *store, const uint8_t bytes[KEY_BYTES]) {
  if (store_keys(store) == STORE_KEYS_MAX) {
    state_hash_subtract(&store->state_hash, key_state_hash(keys_oldest(&store->keys)));
    keys_drop_oldest(&store->keys);
  }
  keys_append(&store->keys, bytes);
  state_hash_add(&store->state_hash, key_state_hash(bytes));
}

/* ---- Reading ---- */

bool store_find_key(const struct store *store, const uint8_t key[COMMAND_DIGEST_BYTES],
                    struct store_key *found) {
  const uint8_t *bytes = keys_find(&store->keys, key);
  if (bytes == NULL) return false;
  bool good = key_decode(bytes, found);
  assert(good);
  (void)good;
  return true;
}

uint64_t store_keys(const struct store *store) {
  return store->keys.end - store->keys.first;
}

struct store_record *store_get(const struct store *store, struct slice collection, struct slice id) {
  if (collection.n > COLLECTION_BYTES_MAX || id.n > DOCUMENT_ID_BYTES_MAX) return NULL;
  if (is_dropping(&store->dropping, collection)) return NULL;
  return table_find(&store->table, table_hash(&store->table, collection, id), collection, id);
}

struct store_record *store_after(const struct store *store, struct slice collection, struct slice after) {
  if (is_dropping(&store->dropping, collection)) return NULL;
  return index_after_in(&store->index, collection, after);
}

uint64_t store_count(const struct store *store, struct slice collection) {
  return is_dropping(&store->dropping, collection) ? 0 : index_count(&store->index, collection);
}

bool store_collection_after(const struct store *store, struct slice after, struct slice *name,
                            uint64_t *count) {
  struct index_key key = {.collection = after, .past_collection = true};
  const struct store_record *record = index_after(&store->index, &key);
  if (record != NULL && is_dropped(&store->dropping, record)) {
    key.collection = store_record_collection(record);
    record = index_after(&store->index, &key);
  }
  if (record == NULL) return false;
  *name = store_record_collection(record);
  *count = store_count(store, *name);
  return true;
}

uint64_t store_bytes(const struct store *store) {
  return store->bytes;
}

uint64_t store_documents(const struct store *store) {
  return store->table.records;
}

uint64_t store_revision(const struct store *store) {
  return store->revision;
}

struct state_hash store_state_hash(const struct store *store) {
  return store->state_hash;
}
