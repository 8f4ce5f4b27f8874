/* The whole store as of one revision, while writes go on.
 *
 * Taking a view costs next to nothing: it is a reference to the root of the ordered index, and one for every
 * 1024 idempotency keys (0.1 ms for a million of them). From then on a write copies the nodes on its path
 * that the view can still see (at most one per level, once each), and leaves the old ones to the view. So a
 * view costs memory only as documents are written while it lives: each such write keeps the document that was
 * there before, and some copied nodes.
 *
 * A view does not depend on its store any more: it may outlive it. Several may live at once, and be released
 * in any order. */
#ifndef CORACLE_STORE_VIEW_H
#define CORACLE_STORE_VIEW_H

#include "store/store.h"

struct store_view;

/* Released with store_view_free() or store_view_free_some(). Never NULL. */
struct store_view *store_view_take(const struct store *);
/* Frees what only this view still held; what that is grew with every write while it lived. NULL is fine. */
void store_view_free(struct store_view *);
/* The same in slices: frees about `records` of them (and at least one) and returns whether it is done: the
 * view is gone then. After the first call nothing else may be asked of the view. */
MUST_CHECK bool store_view_free_some(struct store_view *, size_t records);

/* As of when it was taken, what store_revision(), store_documents(), store_keys(), store_bytes(),
 * store_state_hash() say.
 */
uint64_t store_view_revision(const struct store_view *);
uint64_t store_view_documents(const struct store_view *);
uint64_t store_view_keys(const struct store_view *);
uint64_t store_view_bytes(const struct store_view *);
struct state_hash store_view_state_hash(const struct store_view *);

/* The documents in the order of (collection, id), several at a time: sets *records to an array of those that
 * follow `after`, NULL for the first ones, and returns how many there are in it, 0 at the end. (They are the
 * rest of one node of the index, at most 64.) Array and records are borrowed and hold while the view lives.
 */
size_t store_view_records(const struct store_view *, const struct store_record *after,
                          struct store_record *const **records);

/* As store_after() and store_count(); records are borrowed while the view lives. */
struct store_record *store_view_after(const struct store_view *, struct slice collection, struct slice after);
uint64_t store_view_count(const struct store_view *, struct slice collection);

#endif
