/* What must be true over all that has happened in a cluster.
 *
 *   - One leader per term, ever; a new leader has every entry that was committed in an earlier term.
 *   - What a node applies at an index is the same on every node, and its documents and idempotency keys after
 *     it are too, and are those that the model (world_model.c) makes of the commands.
 *   - Every acknowledged write is a committed command; with the above, every later leader has it.
 *   - Reads of the same thing from the same revision are the same bytes.
 *   - There is one cluster that anybody can count on, where the test says so. */
#include "world_record.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- What has happened ---- */

struct cluster_record *record_of(struct world *w, const uint8_t id[CLUSTER_ID_BYTES]) {
  struct cluster_record **found;
  for (size_t i = 0; (found = queue_at(&w->clusters, i)) != NULL; i++)
    if (memcmp((*found)->id, id, CLUSTER_ID_BYTES) == 0) return *found;
  struct cluster_record *record = memory_zalloc(sizeof *record);
  memcpy(record->id, id, CLUSTER_ID_BYTES);
  record->committed = QUEUE_OF(struct committed);
  record->led = QUEUE_OF(struct led);
  model_init(&record->model);
  *(struct cluster_record **)queue_push(&w->clusters) = record;
  return record;
}

void record_free(struct world *w) {
  struct cluster_record **cluster;
  for (size_t i = 0; (cluster = queue_at(&w->clusters, i)) != NULL; i++) {
    const struct committed *committed;
    for (size_t at = 0; (committed = queue_at(&(*cluster)->committed, at)) != NULL; at++)
      if (committed->entry != NULL) coracle_raft_entry_unref(committed->entry);
    model_close(&(*cluster)->model);
    queue_close(&(*cluster)->committed);
    queue_close(&(*cluster)->led);
    ledger_close(&(*cluster)->entries);
    free(*cluster);
  }
  queue_close(&w->clusters);
  ledger_close(&w->reads);
  ledger_close(&w->votes);
}

/* ---- A node ---- */

static const struct coracle_raft *raft_of(const struct world *w, int node) {
  return replica_raft(w->processes[node].node->replica);
}

/* The logs of two that agree on an entry agree on all before it, so the newest one tells of the rest. */
static void check_complete(struct world *w, int node, const struct cluster_record *cluster, uint64_t term) {
  size_t n = cluster->committed.n;
  const struct committed *committed = NULL;
  while (n > 0 && (committed = queue_at(&cluster->committed, n - 1))->in_term >= term) n--;
  if (n == 0 || n <= coracle_raft_snapshot(raft_of(w, node))->index) return;
  const struct coracle_raft_entry *entry = coracle_raft_entry_at(raft_of(w, node), n);
  if (entry == NULL || (committed->term != 0 && entry->term != committed->term))
    world_fail(w, "%c leads term %" PRIu64 " without entry %zu of term %" PRIu64 ", which is committed",
               'a' + node, term, n, committed->term);
}

void record_leader(struct world *w, int node, struct cluster_record *cluster,
                   const struct coracle_raft_status *status) {
  const uint64_t id = join_id(w->processes[node].node->join);
  const struct led *led;
  for (size_t i = cluster->led.n; i > 0; i--) {
    led = queue_at(&cluster->led, i - 1);
    if (led->term == status->term && led->id != id)
      world_fail(w, "term %" PRIu64 " has two leaders, %016" PRIx64 " and %c", status->term, led->id,
                 'a' + node);
  }
  *(struct led *)queue_push(&cluster->led) = (struct led){status->term, id};
  check_complete(w, node, cluster, status->term);
  durable_votes(w, node, status);
}

static bool establishes(const struct coracle_raft_entry *entry) {
  struct coracle_raft_configuration configuration;
  if (entry->type == CORACLE_RAFT_COMMAND) return true;
  return entry->type == CORACLE_RAFT_CONFIGURATION &&
         coracle_raft_configuration_decode(entry->data, entry->bytes, &configuration) == 0 &&
         coracle_raft_configuration_voters(&configuration) > 1;
}

/* What one node had compacted already another may tell later. */
static void bring_model_forward(struct world *w, struct cluster_record *cluster) {
  struct committed *next;
  while ((next = queue_at(&cluster->committed, cluster->model.applied)) != NULL && next->entry != NULL) {
    model_apply(w, &cluster->model, next->entry);
    coracle_raft_entry_unref(next->entry);
    next->entry = NULL;
  }
}

void record_applied(struct world *w, int node, struct cluster_record *cluster, uint64_t index) {
  struct coracle_raft_entry *entry = coracle_raft_entry_at(raft_of(w, node), index);
  struct committed *committed = queue_at(&cluster->committed, index - 1);
  struct coracle_raft_status status;
  const bool compacted = entry == NULL && index <= coracle_raft_snapshot(raft_of(w, node))->index;
  WORLD_CHECK(w, compacted || (entry != NULL && entry->index == index));
  if (committed == NULL) {
    WORLD_CHECK(w, cluster->committed.n == index - 1);
    coracle_raft_status(raft_of(w, node), process_ms(w, node), &status);
    committed = queue_push(&cluster->committed);
    committed->in_term = status.term;
  }
  /* It came in a snapshot, or was compacted in the turn that applied it: another will tell what it was. */
  if (compacted) return;
  const uint64_t hash = hash_bytes(entry->type, entry->data, entry->bytes);
  if (committed->term == 0) {
    committed->term = entry->term;
    committed->hash = hash;
    committed->type = entry->type;
    committed->entry = coracle_raft_entry_ref(entry);
    if (cluster->established_by == 0 && establishes(entry)) cluster->established_by = index;
  }
  if (committed->term != entry->term || committed->hash != hash)
    world_fail(w, "%c applied another entry at %" PRIu64 " than was committed there", 'a' + node, index);
  bring_model_forward(w, cluster);
}

void record_documents(struct world *w, int node, struct cluster_record *cluster, uint64_t applied) {
  struct committed *committed = queue_at(&cluster->committed, applied - 1);
  const struct store *store = replica_store(w->processes[node].node->replica);
  if (w->options.broken || store_is_busy(store)) return;
  const struct state_hash state = store_state_hash(store);
  if (committed->has_state && !state_hash_equal(committed->state, state))
    world_fail(w, "%c has other documents at %" PRIu64 " than another node had", 'a' + node, applied);
  if (committed->has_state && committed->keys != store_keys(store))
    world_fail(w, "%c remembers %" PRIu64 " idempotency keys at %" PRIu64 ", and another node %" PRIu64,
               'a' + node, store_keys(store), applied, committed->keys);
  committed->has_state = true;
  committed->state = state;
  committed->keys = store_keys(store);
  if (cluster->model.applied == applied) model_compare(w, node, &cluster->model, store);
}

void record_established(struct world *w, int node, struct cluster_record *cluster) {
  struct cluster_record **other;
  if (cluster->established || cluster->foreign) return;
  cluster->established = true;
  world_trace(w, node, "its cluster is established");
  if (!w->options.one_cluster) return;
  for (size_t i = 0; (other = queue_at(&w->clusters, i)) != NULL; i++)
    if (*other != cluster && (*other)->established)
      world_fail(w, "%c belongs to a second cluster that somebody may count on", 'a' + node);
}

/* ---- Answers ---- */

void check_read(struct world *w, const uint8_t cluster[CLUSTER_ID_BYTES], const char *target,
                const struct answer_seen *answer) {
  const char *revision = answer_header(answer, "Coracle-Revision");
  WORLD_CHECK(w, revision != NULL);
  uint64_t key = hash_bytes(1, cluster, CLUSTER_ID_BYTES), hash = hash_bytes((uint64_t)answer->status, "", 0);
  key = hash_bytes(hash_bytes(key, revision, strlen(revision)), target, strlen(target)) | 1;
  hash = hash_bytes(hash, answer->body.data, answer->body.n) | 1;
  uint64_t *seen = ledger_put(&w->reads, key);
  if (*seen != 0 && *seen != hash)
    world_fail(w, "%s from revision %s is %.*s, and was something else", target, revision,
               (int)answer->body.n, (const char *)answer->body.data);
  *seen = hash;
}

void check_acknowledged(struct world *w, const uint8_t cluster[CLUSTER_ID_BYTES], uint64_t revision) {
  const struct cluster_record *record = record_of(w, cluster);
  const struct committed *committed = revision > 0 ? queue_at(&record->committed, revision - 1) : NULL;
  if (committed == NULL || committed->type != CORACLE_RAFT_COMMAND)
    world_fail(w, "a write was acknowledged at revision %" PRIu64 ", where none is committed", revision);
  if (record->model.applied >= revision && !model_took_effect(&record->model, revision))
    world_fail(w, "a write was acknowledged at revision %" PRIu64 ", where nothing was written", revision);
}
