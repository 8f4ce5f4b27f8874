/* Snapshots, as far as they are the node's: images to storage, chunks of them to followers, and what is said
 * of them. What is in them is replica/'s affair, and the store's. */
#include "node/core.h"

#include <inttypes.h>

/* What was done in the turn before has left by now: here nobody waits. */
void snapshots_begin_turn(struct node *node) {
  const uint64_t applied = replica_applied(node->replica);
  if (!node->member) return;
  replica_begin_turn(node->replica);
  if (replica_applied(node->replica) > applied) node->view_valid = false; /* answers say how far it has come */
}

/* One chunk is on its way to the disk at a time, so that it is in nobody's way there. */
static bool store_image(struct node *node) {
  struct coracle_raft_persist persist;
  if (!storage_has(node, node->image_sequence) || storage_is_behind(node)) return false;
  if (!replica_store_image(node->replica, &persist)) return false;
  node->image_sequence = storage_persist_image(node, &persist);
  return true;
}

bool snapshots_tend(struct node *node) {
  const struct coracle_raft_effects *effects;
  if (!node->member) return false;
  replica_tend(node->replica, node->now_ms, &effects);
  if (effects != NULL) consensus_carry_out(node, effects);
  return store_image(node) || effects != NULL;
}

/* It may have been given up for one of the leader's in the meantime. */
void snapshots_refused(struct node *node) {
  if (!node->member || !replica_image_refused(node->replica)) return;
  effect_log(node, NODE_LOG_WARN,
             "storage has no room for a snapshot: the log stays as long as it is for now");
}

void snapshots_log(struct node *node, const struct coracle_raft_persist *persist) {
  if (persist->chunk.snapshot == NULL || !persist->chunk.installs) return;
  effect_log(node, NODE_LOG_INFO, "installed the leader's snapshot of index %" PRIu64 ": %" PRIu64 " bytes",
             persist->chunk.snapshot->index, persist->chunk.snapshot->bytes);
}
