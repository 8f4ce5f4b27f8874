/* Dropping a collection. What takes time is taking every document out of the table and the index and out of
 * the hash of the state, and that is done a slice at a time; meanwhile readers look past the whole collection
 * (is_dropping() in core.h). */
#include "store/core.h"

#include <assert.h>

/* A long document takes longer than others: it is hashed once more. */
enum { BYTES_LIKE_ONE_DOCUMENT = 4096 };

void drop_begin(struct store *store, struct slice collection) {
  assert(!store_is_busy(store));
  if (index_after_in(&store->index, collection, (struct slice){0}) == NULL) return;
  memcpy(store->dropping.name, collection.at, collection.n);
  store->dropping.n = collection.n;
}

bool store_is_busy(const struct store *store) {
  return store->dropping.n > 0;
}

bool store_go_on(struct store *store, size_t documents) {
  struct dropping *dropping = &store->dropping;
  const struct slice collection = {dropping->name, dropping->n};
  size_t done = 0;
  if (dropping->n == 0) return true;
  do {
    struct store_record *record = index_after_in(&store->index, collection, (struct slice){0});
    if (record == NULL) {
      dropping->n = 0;
      return true;
    }
    done += 1 + record_bytes(record) / BYTES_LIKE_ONE_DOCUMENT;
    store_remove(store, record);
  } while (done < documents);
  return false;
}
