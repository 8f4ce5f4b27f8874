#include "fake_replica.h"

#include <assert.h>
#include <stdlib.h>

#include "base/memory.h"

enum { PROPOSALS_MAX = 16, FIRST_INDEX = 17 };

struct replica {
  struct store *store;
  uint64_t applied;
  struct {
    struct coracle_raft_entry *entry; /* owned */
    void *waiter;
  } proposals[PROPOSALS_MAX]; /* oldest first */
  size_t proposals_n;
  uint64_t pending_bytes; /* of all that were proposed since nothing waited */
  struct list reads;
};

struct replica *fake_replica_new(void) {
  static const uint8_t key[STORE_HASH_KEY_BYTES] = {7};
  struct replica *replica = memory_zalloc(sizeof *replica);
  replica->store = store_new(key);
  replica->applied = FIRST_INDEX - 1;
  list_init(&replica->reads);
  return replica;
}

void fake_replica_free(struct replica *replica) {
  for (size_t i = 0; i < replica->proposals_n; i++) coracle_raft_entry_unref(replica->proposals[i].entry);
  store_free(replica->store);
  free(replica);
}

bool fake_replica_finish(struct replica *replica, enum replica_verdict verdict,
                         struct replica_result *result) {
  if (replica->proposals_n == 0) return false;
  struct coracle_raft_entry *entry = replica->proposals[0].entry;
  *result = (struct replica_result){.waiter = replica->proposals[0].waiter, .verdict = verdict};
  if (--replica->proposals_n == 0) replica->pending_bytes = 0;
  memmove(replica->proposals, replica->proposals + 1, replica->proposals_n * sizeof *replica->proposals);
  if (verdict == REPLICA_APPLIED) {
    result->index = ++replica->applied;
    int error = store_apply(replica->store, result->index, entry->data, entry->bytes, &result->store);
    assert(error == 0);
    while (store_is_busy(replica->store)) store_go_on(replica->store, 1);
  }
  coracle_raft_entry_unref(entry);
  return true;
}

size_t fake_replica_waiting(const struct replica *replica) {
  return replica->proposals_n;
}

void fake_replica_burden(struct replica *replica, uint64_t growth_bytes) {
  replica->pending_bytes += growth_bytes;
}

const struct replica_read *fake_replica_read(const struct replica *replica) {
  struct list_link *first = list_first(&replica->reads);
  return first != NULL ? CONTAINER_OF(first, struct replica_read, link) : NULL;
}

bool fake_replica_finish_read(struct replica *replica, enum replica_verdict verdict,
                              struct replica_result *result) {
  struct list_link *first = list_first(&replica->reads);
  if (first == NULL) return false;
  list_remove(first);
  *result = (struct replica_result){.waiter = CONTAINER_OF(first, struct replica_read, link)->waiter,
                                    .verdict = verdict};
  return true;
}

void fake_replica_advance(struct replica *replica, uint64_t entries) {
  replica->applied += entries;
}

void replica_read(struct replica *replica, struct replica_read *read) {
  assert(read->waiter != NULL);
  list_append(&replica->reads, &read->link);
}

void replica_cancel_read(struct replica *replica, struct replica_read *read) {
  (void)replica;
  list_remove(&read->link);
}

void replica_propose(struct replica *replica, struct coracle_raft_entry *entry, uint64_t growth_bytes,
                     void *waiter) {
  replica->pending_bytes += growth_bytes;
  assert(replica->proposals_n < PROPOSALS_MAX && waiter != NULL);
  replica->proposals[replica->proposals_n].entry = entry;
  replica->proposals[replica->proposals_n++].waiter = waiter;
}

uint64_t replica_pending_bytes(const struct replica *replica) {
  return replica->pending_bytes;
}

void replica_retire_view(struct replica *replica, struct store_view *view) {
  (void)replica;
  store_view_free(view);
}

const struct store *replica_store(const struct replica *replica) {
  return replica->store;
}

uint64_t replica_applied(const struct replica *replica) {
  return replica->applied;
}
