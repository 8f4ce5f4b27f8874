/* The first event of a server: founding a cluster, or going on with what was durable when it last ended. */
#include "raft/core.h"

#include <assert.h>

/* ---- Founding ---- */

static int found(struct coracle_raft *raft, const struct coracle_raft_configuration *founding) {
  if (!raft_configuration_is_valid(founding)) return CORACLE_RAFT_EINVALID;
  const struct coracle_raft_member *self = coracle_raft_configuration_find(founding, raft->options.id);
  if (self == NULL || !self->voter || coracle_raft_configuration_voters(founding) != 1)
    return CORACLE_RAFT_EINVALID;
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(founding);
  if (entry == NULL) return CORACLE_RAFT_ENOMEM;

  raft->term = 1;
  raft->voted_for = raft->options.id;
  raft_persist_vote(raft);
  entry->term = raft->term;
  entry->index = 1;
  raft_persist_entry(raft, entry);
  raft_become_leader(raft);
  return 0;
}

/* ---- Restarting ---- */

static bool snapshot_is_consistent(const struct coracle_raft_restored *restored) {
  const struct coracle_raft_snapshot *snapshot = restored->snapshot;
  return snapshot->index > 0 && snapshot->term > 0 && snapshot->term <= restored->term &&
         snapshot->configuration_index > 0 && snapshot->configuration_index <= snapshot->index &&
         raft_configuration_is_valid(&snapshot->configuration);
}

/* What the snapshot includes was not overwritten later, and what comes later is of no older term. */
static bool agrees(const struct coracle_raft_snapshot *snapshot, const struct coracle_raft_entry *entry) {
  if (entry->index == snapshot->index) return entry->term == snapshot->term;
  return entry->index < snapshot->index ? entry->term <= snapshot->term : entry->term >= snapshot->term;
}

/* Consecutive, of terms that never fall and are not beyond the server's own. */
static bool entries_are_consistent(const struct coracle_raft_restored *restored) {
  const struct coracle_raft_snapshot *snapshot = restored->snapshot;
  uint64_t term = 1;
  if (restored->entries_n == 0) return true;
  const uint64_t first = restored->entries[0]->index;
  if (first == 0 || first > (snapshot != NULL ? snapshot->index + 1 : 1)) return false;
  for (size_t i = 0; i < restored->entries_n; i++) {
    const struct coracle_raft_entry *entry = restored->entries[i];
    if (entry->index != first + i || entry->term < term || entry->term > restored->term) return false;
    if (!raft_entry_is_valid(entry) || (snapshot != NULL && !agrees(snapshot, entry))) return false;
    term = entry->term;
  }
  return true;
}

static bool is_consistent(const struct coracle_raft_restored *restored) {
  if (restored->term > TERM_MAX || (restored->term == 0 && restored->voted_for != 0)) return false;
  return (restored->snapshot == NULL || snapshot_is_consistent(restored)) && entries_are_consistent(restored);
}

/* Where the log in memory begins: where the entries do, unless they end before the snapshot (which can be
 * durable before entries that others had committed). */
static size_t entries_to_keep(const struct coracle_raft_restored *restored) {
  if (restored->entries_n == 0) return 0;
  const struct coracle_raft_entry *last = restored->entries[restored->entries_n - 1];
  const bool ends_early = restored->snapshot != NULL && last->index < restored->snapshot->index;
  return ends_early ? 0 : restored->entries_n;
}

/* What is in the log is durable; what of it was committed the server has to learn again: nothing counts
 * beyond the snapshot (section 3.8). */
static int restore(struct coracle_raft *raft, const struct coracle_raft_restored *restored) {
  if (!is_consistent(restored)) return CORACLE_RAFT_EINVALID;
  raft->term = restored->term;
  raft->voted_for = restored->voted_for;
  const size_t entries_n = entries_to_keep(restored);
  if (restored->snapshot != NULL) {
    raft_snapshot_replace(raft, restored->snapshot);
    raft->commit_index = restored->snapshot->index;
    raft_log_begin_after(&raft->log, restored->snapshot->index, restored->snapshot->term);
    raft_configuration_restored(raft);
  }
  if (entries_n > 0 && restored->entries[0]->index <= raft->commit_index)
    raft_log_begin_after(&raft->log, restored->entries[0]->index - 1, 0);
  for (size_t i = 0; i < entries_n; i++) {
    struct coracle_raft_entry *entry = restored->entries[i];
    raft_log_append(&raft->log, coracle_raft_entry_ref(entry));
    if (entry->type == CORACLE_RAFT_CONFIGURATION && entry->index > raft->commit_index)
      raft_configuration_appended(raft, entry);
  }
  raft->persisted_index = raft_log_last_index(&raft->log);
  raft_reset_election_deadline(raft);
  return 0;
}

int raft_start(struct coracle_raft *raft, const struct coracle_raft_configuration *founding,
               const struct coracle_raft_restored *restored) {
  int error = 0;
  if (raft->started || (founding != NULL && restored != NULL)) return CORACLE_RAFT_EINVALID;
  if (founding != NULL) error = found(raft, founding);
  if (restored != NULL) error = restore(raft, restored);
  raft->started = error == 0;
  return error;
}
