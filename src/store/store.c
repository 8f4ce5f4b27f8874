#include "store/store.h"

#include "base/memory.h"
#include "store/index.h"
#include "store/table.h"

#include <assert.h>
#include <stdlib.h>

struct store {
  struct table table;
  struct index index; /* of the same records */
  uint64_t applied;   /* log index of the last command */
  uint64_t bytes;     /* of all documents */
};

/* ---- Records ---- */

/* With one reference. */
static struct store_record *record_new(const struct command *c, uint32_t hash, uint64_t revision) {
  size_t data_bytes = c->collection.n + c->id.n + c->body.n;
  struct store_record *r = memory_alloc(offsetof(struct store_record, data) + data_bytes);
  r->revision = revision;
  r->next = NULL;
  r->hash = hash;
  r->references = 1;
  r->body_bytes = (uint32_t)c->body.n;
  r->collection_bytes = (uint16_t)c->collection.n;
  r->id_bytes = (uint16_t)c->id.n;
  memcpy(r->data, c->collection.at, c->collection.n);
  memcpy(r->data + c->collection.n, c->id.at, c->id.n);
  memcpy(r->data + c->collection.n + c->id.n, c->body.at, c->body.n);
  return r;
}

static uint64_t record_bytes(const struct store_record *r) {
  return (uint64_t)r->collection_bytes + r->id_bytes + r->body_bytes;
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

/* ---- The store ---- */

struct store *store_new(const uint8_t key[STORE_HASH_KEY_BYTES]) {
  struct store *store = memory_zalloc(sizeof *store);
  table_init(&store->table, key);
  return store;
}

void store_free(struct store *store) {
  if (store == NULL) return;
  index_close(&store->index);
  table_close(&store->table);
  free(store);
}

static void put_document(struct store *store, struct store_record *old, struct store_record *record) {
  if (old != NULL) {
    store->bytes -= record_bytes(old);
    index_replace(&store->index, old, record);
    table_replace(&store->table, old, record);
    store_record_unref(old);
  } else {
    index_insert(&store->index, record);
    table_insert(&store->table, record);
  }
  store->bytes += record_bytes(record);
}

static void remove_document(struct store *store, struct store_record *old) {
  store->bytes -= record_bytes(old);
  index_remove(&store->index, old);
  table_remove(&store->table, old);
  store_record_unref(old);
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
  assert(index > store->applied); /* each entry once, in log order */
  store->applied = index;

  uint32_t hash = table_hash(&store->table, c.collection, c.id);
  struct store_record *current = table_find(&store->table, hash, c.collection, c.id);
  *result = (struct store_result){0};
  if (!condition_holds(&c, current)) {
    result->outcome = c.condition == COMMAND_CREATE ? STORE_EXISTS : STORE_PRECONDITION_FAILED;
    result->record = current != NULL ? store_record_ref(current) : NULL;
  } else if (c.type == COMMAND_PUT) {
    struct store_record *record = record_new(&c, hash, index);
    result->outcome = current != NULL ? STORE_REPLACED : STORE_CREATED;
    result->record = store_record_ref(record);
    put_document(store, current, record);
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
  struct index_key key = {.collection = collection, .id = after};
  struct store_record *record = index_after(&store->index, &key);
  return record != NULL && slice_equal(store_record_collection(record), collection) ? record : NULL;
}

uint64_t store_count(const struct store *store, struct slice collection) {
  struct index_key first = {.collection = collection};
  struct index_key last = {.collection = collection, .past_collection = true};
  return index_rank(&store->index, &last) - index_rank(&store->index, &first);
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
