/* What has to be durable, and what waits for it. The core numbers what it wants on the disk, but a node that
 * founds, joins or leaves a cluster begins a new core, and its identity belongs on the disk as well, in the
 * same order. So everything gets a sequence of the node's own here. Whatever leaves the node names what it
 * rests on, and is held back until that is durable: a vote, an acknowledgement, a datagram under a new id.
 *
 * Memory storage goes the same way, and has everything at once. */
#include "base/memory.h"
#include "node/core.h"

#include <assert.h>
#include <stdlib.h>

enum {
  UNSTORED_BYTES_MAX =
      64 * 1024 * 1024, /* on the way to the disk, and waiting for it: more is not taken in */
};

/* ---- To the disk ---- */

/* A PERSIST effect, and all that it points to. */
struct persist_copy {
  struct node_persist persist;
  struct coracle_raft_persist raft;
  struct coracle_raft_snapshot *snapshot; /* NULL: none */
  uint8_t *chunk;
  struct coracle_raft_entry **entries;
};

static struct persist_copy *copy(const struct coracle_raft_persist *raft) {
  struct persist_copy *copy = memory_zalloc(sizeof *copy);
  if (raft == NULL) return copy;
  copy->raft = *raft;
  copy->persist.raft = &copy->raft;
  if (raft->entries_n > 0) copy->entries = memory_alloc(raft->entries_n * sizeof *copy->entries);
  for (size_t i = 0; i < raft->entries_n; i++) copy->entries[i] = coracle_raft_entry_ref(raft->entries[i]);
  copy->raft.entries = copy->entries;
  if (raft->chunk.snapshot == NULL) return copy;
  copy->snapshot = memory_alloc(sizeof *copy->snapshot);
  *copy->snapshot = *raft->chunk.snapshot;
  copy->raft.chunk.snapshot = copy->snapshot;
  copy->chunk = memory_alloc(raft->chunk.n > 0 ? raft->chunk.n : 1);
  if (raft->chunk.n > 0) memcpy(copy->chunk, raft->chunk.data, raft->chunk.n);
  copy->raft.chunk.data = copy->chunk;
  return copy;
}

void storage_copy_free(struct persist_copy *copy) {
  if (copy == NULL) return;
  for (size_t i = 0; i < copy->raft.entries_n; i++) coracle_raft_entry_unref(copy->entries[i]);
  free(copy->entries);
  free(copy->snapshot);
  free(copy->chunk);
  free(copy);
}

static size_t bytes_of(const struct coracle_raft_persist *raft) {
  size_t bytes = sizeof(struct persist_copy);
  if (raft == NULL) return bytes;
  for (size_t i = 0; i < raft->entries_n; i++) bytes += sizeof **raft->entries + raft->entries[i]->bytes;
  return bytes + raft->chunk.n;
}

static void take_identity(struct node *node) {
  node->storage.id = join_id(node->join);
  memcpy(node->storage.cluster, join_cluster(node->join), JOIN_CLUSTER_BYTES);
}

/* What the node begins with needs no disk any more. */
void storage_start(struct node *node) {
  node->held = QUEUE_OF(struct held);
  node->storage.persisting = QUEUE_OF(struct persisting);
  take_identity(node);
}

bool storage_identity_is_current(const struct node *node) {
  return node->storage.id == join_id(node->join) &&
         memcmp(node->storage.cluster, join_cluster(node->join), JOIN_CLUSTER_BYTES) == 0;
}

static void give_out(struct node *node, const struct coracle_raft_persist *raft, bool own_image) {
  struct persist_copy *persist = copy(raft);
  persist->persist.sequence = node->storage.sequence;
  persist->persist.identity = node->storage.identity_due;
  persist->persist.id = node->storage.id;
  memcpy(persist->persist.cluster, node->storage.cluster, JOIN_CLUSTER_BYTES);
  persist->persist.own_image = own_image;
  struct node_effect *effect = effect_push(node, NODE_PERSIST, NULL);
  effect->persist = &persist->persist;
  CONTAINER_OF(effect, struct queued_effect, effect)->persists = persist;
}

static void put(struct node *node, const struct coracle_raft_persist *raft, bool own_image) {
  struct storage *storage = &node->storage;
  if (storage->persisting.n == 0) storage->moved_ms = node->now_ms;
  struct persisting *persisting = queue_push(&storage->persisting);
  persisting->sequence = ++storage->sequence;
  persisting->core_sequence = raft != NULL ? raft->sequence : 0;
  persisting->bytes = bytes_of(raft);
  storage->unstored_bytes += persisting->bytes;
  if (storage->identity_due) storage->identity = storage->sequence;
  if (node->options.durable) give_out(node, raft, own_image);
  storage->identity_due = false;
}

void storage_persist(struct node *node, const struct coracle_raft_persist *raft) {
  if (raft->sequence != 0) put(node, raft, false);
}

/* The core knows nothing of it: it takes the core's sequence of what goes before it. */
uint64_t storage_persist_image(struct node *node, const struct coracle_raft_persist *chunk) {
  const struct persisting *before = queue_at(&node->storage.persisting, node->storage.persisting.n - 1);
  struct coracle_raft_persist raft = *chunk;
  raft.sequence = before != NULL ? before->core_sequence : 0;
  put(node, &raft, true);
  return node->storage.sequence;
}

static void drop_held(struct node *node) {
  for (struct held *first; (first = queue_at(&node->held, 0)) != NULL; queue_pop(&node->held)) {
    node->storage.unstored_bytes -= first->bytes.n;
    bytes_close(&first->bytes);
  }
}

/* What the core before had on its way is discarded by the new identity, and is nothing to tell the next. What
 * was to be said under the identity before is not said any more: envelopes bear that of the moment they
 * leave.
 */
void storage_begin_identity(struct node *node) {
  struct persisting *persisting;
  for (size_t i = 0; (persisting = queue_at(&node->storage.persisting, i)) != NULL; i++)
    persisting->core_sequence = 0;
  drop_held(node);
  node->storage.persisted_core = 0;
  node->storage.identity_due = true;
  take_identity(node);
}

void storage_end_identity(struct node *node) {
  if (node->storage.identity_due) put(node, NULL, false);
}

bool storage_is_behind(const struct node *node) {
  return node->storage.unstored_bytes >= UNSTORED_BYTES_MAX;
}

/* ---- What waits for it ---- */

uint64_t storage_sequence_of(const struct node *node, uint64_t core_sequence) {
  const struct storage *storage = &node->storage;
  uint64_t sequence = storage->identity;
  const struct persisting *persisting;
  if (core_sequence <= storage->persisted_core)
    return sequence; /* a vote does not wait for a log behind it */
  for (size_t i = storage->persisting.n; i-- > 0;) {
    persisting = queue_at(&storage->persisting, i);
    if (persisting->core_sequence < core_sequence) break;
    sequence = persisting->sequence;
  }
  return sequence;
}

bool storage_has(const struct node *node, uint64_t sequence) {
  return sequence <= node->storage.persisted;
}

static bool is_gone(struct node *node, const struct held *held) {
  if (held->peer == 0) return false;
  const struct node_stream *stream = link_find(node, held->peer, held->kind);
  return stream == NULL || stream->serial != held->stream_serial;
}

static void send(struct node *node, struct held *held) {
  if (held->peer == 0) {
    datagram_send(node, &held->to, &held->datagram, &held->bytes);
    return;
  }
  struct node_stream *stream = link_find(node, held->peer, held->kind);
  bytes_append(&stream->out, held->bytes.data, held->bytes.n);
  node_stream_touch(node, stream);
}

/* A datagram more or less is no matter where there are too many. Of frames there are no more than what was
 * taken in causes. */
void storage_send(struct node *node, struct held *held) {
  const bool has = storage_has(node, held->after_sequence);
  if (!has && (held->peer != 0 || !storage_is_behind(node))) {
    node->storage.unstored_bytes += held->bytes.n;
    *(struct held *)queue_push(&node->held) = *held;
    return;
  }
  if (has) send(node, held);
  bytes_close(&held->bytes);
}

/* What is due may stand behind what is not: an acknowledgement waits for its entries, a vote or heartbeat
 * behind it for nothing but the term. A stream that has ended since takes its messages with it, and so does
 * an identity that join/ has left earlier in this turn: nothing leaves any more, before
 * storage_begin_identity() drops it all. */
static void release_held(struct node *node) {
  if (!storage_identity_is_current(node)) return;
  for (size_t n = node->held.n; n > 0; n--) {
    struct held held = *(struct held *)queue_at(&node->held, 0);
    queue_pop(&node->held);
    node->storage.unstored_bytes -= held.bytes.n;
    if (is_gone(node, &held))
      bytes_close(&held.bytes);
    else
      storage_send(node, &held);
  }
}

/* ---- Done ---- */

void storage_persisted(struct node *node, uint64_t sequence) {
  struct storage *storage = &node->storage;
  const bool was_full = storage_is_behind(node);
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PERSISTED};
  assert(sequence <= storage->sequence);
  if (sequence <= storage->persisted) return;
  storage->persisted = sequence;
  storage->moved_ms = node->now_ms;
  for (const struct persisting *first;
       (first = queue_at(&storage->persisting, 0)) != NULL && first->sequence <= sequence;) {
    if (first->core_sequence != 0) event.persisted = storage->persisted_core = first->core_sequence;
    storage->unstored_bytes -= first->bytes;
    queue_pop(&storage->persisting);
  }
  if (event.persisted != 0) consensus_step(node, &event);
  release_held(node);
  if (was_full && !storage_is_behind(node)) link_continue(node);
}

void storage_has_room(struct node *node, bool room) {
  if (node->storage.full == !room) return;
  node->storage.full = !room;
  node->storage.moved_ms = node->now_ms; /* what waits has begun to wait for another thing */
  node->view_valid = false;
  if (room && node->member) replica_storage_has_room(node->replica);
}

static uint64_t hangs_from_ms(const struct node *node) {
  const bool waits = node->storage.persisting.n > 0 && !node->storage.full;
  return waits ? node->storage.moved_ms + STORAGE_HANGS_MS : UINT64_MAX;
}

/* A process that was stopped has yet to read that all is done. */
enum storage_condition storage_condition(const struct node *node) {
  if (node->storage.full) return STORAGE_FULL;
  if (node->now_ms < node->reading_until_ms) return node->storage_logged;
  return node->now_ms >= hangs_from_ms(node) ? STORAGE_HANGS : STORAGE_FINE;
}

uint64_t storage_wakeup_ms(const struct node *node) {
  const uint64_t at_ms = hangs_from_ms(node);
  return at_ms > node->now_ms ? at_ms : UINT64_MAX;
}

bool storage_settle(struct node *node) {
  if (node->options.durable || storage_has(node, node->storage.sequence)) return false;
  storage_persisted(node, node->storage.sequence);
  return true;
}

void storage_free(struct node *node) {
  struct queued_effect *queued;
  for (size_t i = 0; (queued = queue_at(&node->effects, i)) != NULL; i++) storage_copy_free(queued->persists);
  storage_copy_free(node->lent_persist);
  drop_held(node);
  queue_close(&node->held);
  queue_close(&node->storage.persisting);
}
