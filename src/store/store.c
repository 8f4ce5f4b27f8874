#include "store/store.h"

#include "base/memory.h"
#include "store/core.h"

#include <assert.h>
#include <stdlib.h>

struct store *store_new(const uint8_t key[STORE_HASH_KEY_BYTES]) {
  struct store *store = memory_zalloc(sizeof *store);
  table_init(&store->table, key);
  return store;
}

bool store_free_some(struct store *store, size_t records) {
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

/* With one reference. */
static struct store_record *record_of(const struct command *c, uint32_t hash, uint64_t revision) {
  struct store_record *r = record_new(c->collection.n, c->id.n, c->body.n);
  r->revision = revision;
  r->hash = hash;
  memcpy(r->data, c->collection.at, c->collection.n);
  memcpy(r->data + c->collection.n, c->id.at, c->id.n);
  memcpy(r->data + c->collection.n + c->id.n, c->body.at, c->body.n);
  return r;
}

void store_insert(struct store *store, struct store_record *record) {
  table_insert(&store->table, record);
  index_insert(&store->index, record);
  store->bytes += record_bytes(record);
  state_hash_add(&store->state_hash, record);
}

/* Takes over the reference to `record`. */
static void replace_document(struct store *store, struct store_record *old, struct store_record *record) {
  store->bytes += record_bytes(record) - record_bytes(old);
  state_hash_subtract(&store->state_hash, old);
  state_hash_add(&store->state_hash, record);
  table_replace(&store->table, old, record);
  index_replace(&store->index, old, record);
}

static void remove_document(struct store *store, struct store_record *old) {
  store->bytes -= record_bytes(old);
  state_hash_subtract(&store->state_hash, old);
  table_remove(&store->table, old);
  index_remove(&store->index, old);
}

static bool condition_holds(const struct command *c, const struct store_record *current) {
  switch (c->condition) {
  case COMMAND_ALWAYS:
    return true;
  case COMMAND_IF_ABSENT:
  case COMMAND_CREATE:
    return current == NULL;
  case COMMAND_IF_PRESENT:
    return current != NULL;
  case COMMAND_IF_REVISION:
    return current != NULL && current->revision == c->revision;
  }
  abort(); /* command_decode() lets no other through */
}

int store_apply(struct store *store, uint64_t index, const void *command, size_t bytes,
                struct store_result *result) {
  struct command c;
  int error = command_decode(command, bytes, &c);
  if (error != 0) return error;
  assert(index > store->revision); /* each entry once, in log order */
  store->revision = index;

  uint32_t hash = table_hash(&store->table, c.collection, c.id);
  struct store_record *current = table_find(&store->table, hash, c.collection, c.id);
  *result = (struct store_result){0};
  if (!condition_holds(&c, current)) {
    result->outcome = c.condition == COMMAND_CREATE ? STORE_EXISTS : STORE_PRECONDITION_FAILED;
    result->record = current != NULL ? store_record_ref(current) : NULL;
  } else if (c.type == COMMAND_PUT) {
    struct store_record *record = record_of(&c, hash, index);
    result->outcome = current != NULL ? STORE_REPLACED : STORE_CREATED;
    result->record = store_record_ref(record);
    if (current != NULL)
      replace_document(store, current, record);
    else
      store_insert(store, record);
  } else if (current != NULL) {
    result->outcome = STORE_DELETED;
    remove_document(store, current);
  } else {
    result->outcome = STORE_NOT_FOUND;
  }
  return 0;
}

struct store_record *store_get(const struct store *store, struct slice collection, struct slice id) {
  if (collection.n > COLLECTION_BYTES_MAX || id.n > DOCUMENT_ID_BYTES_MAX) return NULL;
  return table_find(&store->table, table_hash(&store->table, collection, id), collection, id);
}

struct store_record *store_after(const struct store *store, struct slice collection, struct slice after) {
  return index_after_in(&store->index, collection, after);
}

uint64_t store_count(const struct store *store, struct slice collection) {
  return index_count(&store->index, collection);
}

bool store_collection_after(const struct store *store, struct slice after, struct slice *name,
                            uint64_t *count) {
  struct index_key key = {.collection = after, .past_collection = true};
  const struct store_record *record = index_after(&store->index, &key);
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
