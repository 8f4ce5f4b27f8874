#include "store/view.h"

#include "base/memory.h"
#include "store/core.h"

#include <assert.h>
#include <stdlib.h>

struct store_view {
  struct index index; /* shared with the store and with other views, as far as they still agree */
  struct keys_view keys;
  struct dropping dropping; /* of that moment: its documents are still in the index */
  uint64_t revision;
  uint64_t documents;
  uint64_t bytes;
  struct state_hash state_hash;
};

struct store_view *store_view_take(const struct store *store) {
  struct store_view *view = memory_alloc(sizeof *view);
  *view = (struct store_view){.index = index_share(&store->index),
                              .keys = keys_share(&store->keys),
                              .dropping = store->dropping,
                              .revision = store->revision,
                              .documents = store->table.records,
                              .bytes = store->bytes,
                              .state_hash = store->state_hash};
  return view;
}

bool store_view_free_some(struct store_view *view, size_t records) {
  if (!keys_view_free_some(&view->keys, records / RECORDS_PER_KEYS_CHUNK + 1)) return false;
  if (!index_free_some(&view->index, records)) return false;
  free(view);
  return true;
}

void store_view_free(struct store_view *view) {
  if (view == NULL) return;
  bool done = store_view_free_some(view, SIZE_MAX);
  assert(done);
}

uint64_t store_view_revision(const struct store_view *view) {
  return view->revision;
}

uint64_t store_view_documents(const struct store_view *view) {
  return view->documents;
}

uint64_t store_view_keys(const struct store_view *view) {
  return view->keys.n;
}

uint64_t store_view_bytes(const struct store_view *view) {
  return view->bytes;
}

struct state_hash store_view_state_hash(const struct store_view *view) {
  return view->state_hash;
}

/* Of a run, what is left of it, or what comes after the collection that it begins with, if that is on its way
 * out. */
static size_t without_dropped(const struct store_view *view, size_t n, struct store_record *const **records) {
  if (n > 0 && is_dropped(&view->dropping, (*records)[0])) {
    const struct index_key key = {.collection = store_record_collection((*records)[0]),
                                  .past_collection = true};
    n = index_run_after(&view->index, &key, records);
  }
  size_t kept = 0;
  while (kept < n && !is_dropped(&view->dropping, (*records)[kept])) kept++;
  return kept;
}

size_t store_view_records(const struct store_view *view, const struct store_record *after,
                          struct store_record *const **records) {
  struct index_key key = {0}; /* before all of them */
  if (after != NULL)
    key = (struct index_key){.collection = store_record_collection(after), .id = store_record_id(after)};
  size_t n = index_run_after(&view->index, &key, records);
  return view->dropping.n > 0 ? without_dropped(view, n, records) : n;
}

const uint8_t *store_view_key(const struct store_view *view, uint64_t i) {
  return keys_view_at(&view->keys, i);
}

bool store_view_is_settled(const struct store_view *view) {
  return view->dropping.n == 0;
}

struct store_record *store_view_after(const struct store_view *view, struct slice collection,
                                      struct slice after) {
  if (is_dropping(&view->dropping, collection)) return NULL;
  return index_after_in(&view->index, collection, after);
}

uint64_t store_view_count(const struct store_view *view, struct slice collection) {
  return is_dropping(&view->dropping, collection) ? 0 : index_count(&view->index, collection);
}
