#include "replica/replica.h"

#include "base/memory.h"
#include "base/queue.h"
#include "replica/reads.h"
#include "replica/snapshot.h"
#include "replica/states.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* A request that waits for its entry. While it is queued its entry is still ours; once it is in the log,
 * `index` says where it will be applied if `term` still stands there. */
struct waiter {
  void *tag;                        /* the caller's */
  struct coracle_raft_entry *entry; /* queued only */
  uint64_t growth_bytes;
  uint64_t index, term; /* in the log only */
};

struct replica {
  struct coracle_raft *raft;
  struct store *store;
  struct coracle_raft_effects effects; /* of the last step */
  uint64_t applied, committed;
  size_t operations_per_turn;
  size_t work_left, bytes_left; /* that may be applied in this turn */
  uint64_t established_by;      /* index of the last entry that establishes the cluster; 0: none does */
  struct queue queued;          /* of struct waiter: not yet proposed */
  struct queue waiting;         /* of struct waiter: in the log */
  struct queue results;         /* of struct replica_result */
  uint64_t pending_bytes;       /* the growth of both */
  struct reads reads;
  struct snapshots snapshots;
  struct states states;
  struct coracle_raft_entry **batch; /* scratch of replica_flush() */
  size_t batch_capacity;
};

/* ---- Results ---- */

/* Takes over what the store has given. A result nobody waits for is dropped here. */
static void result_push(struct replica *r, struct replica_result *result) {
  if (result->waiter == NULL)
    store_result_close(&result->store);
  else
    *(struct replica_result *)queue_push(&r->results) = *result;
}

static bool next_read_result(struct replica *r, struct replica_result *result) {
  const struct replica_read *read = reads_take(&r->reads);
  if (read == NULL) return false;
  *result = (struct replica_result){.waiter = read->waiter, .verdict = read->verdict};
  return true;
}

bool replica_next_result(struct replica *r, struct replica_result *result) {
  const struct replica_result *first = queue_at(&r->results, 0);
  if (first == NULL) return next_read_result(r, result);
  *result = *first;
  queue_pop(&r->results);
  return true;
}

/* ---- Life ---- */

enum {
  TRAILING_SHARE = 4,        /* of the log, kept at a compaction for peers that are a little behind */
  OPERATIONS_PER_TURN = 512, /* unless an option says otherwise; an entry has up to COMMAND_BATCH_MAX */
  APPLIED_BYTES_PER_TURN = 4 * 1024 * 1024,
};

struct replica *replica_new(const struct replica_options *options) {
  struct replica *r = memory_zalloc(sizeof *r);
  struct coracle_raft_options raft = options->raft;
  snapshots_init(&r->snapshots, options);
  if (raft.trailing_bytes == 0 && r->snapshots.compact_bytes / TRAILING_SHARE < UINT32_MAX)
    raft.trailing_bytes = (uint32_t)(r->snapshots.compact_bytes / TRAILING_SHARE) + 1; /* 0 is no choice */
  int error = coracle_raft_new(&raft, &r->raft);
  if (error != 0) {
    fprintf(stderr, "coracle: cannot make the consensus core: %s\n", coracle_raft_strerror(error));
    abort();
  }
  r->store = store_new(options->store_key);
  r->operations_per_turn =
      options->operations_per_turn != 0 ? options->operations_per_turn : OPERATIONS_PER_TURN;
  r->work_left = r->operations_per_turn;
  r->bytes_left = APPLIED_BYTES_PER_TURN;
  r->queued = QUEUE_OF(struct waiter);
  r->waiting = QUEUE_OF(struct waiter);
  r->results = QUEUE_OF(struct replica_result);
  reads_init(&r->reads);
  return r;
}

void replica_free(struct replica *r) {
  struct replica_result result;
  if (r == NULL) return;
  reads_abandon(&r->reads);
  while (replica_next_result(r, &result)) store_result_close(&result.store);
  for (struct waiter *waiter; (waiter = queue_at(&r->queued, 0)) != NULL; queue_pop(&r->queued))
    coracle_raft_entry_unref(waiter->entry);
  coracle_raft_free(r->raft);
  snapshots_close(&r->snapshots);
  store_free(r->store);
  queue_close(&r->queued);
  queue_close(&r->waiting);
  queue_close(&r->results);
  free(r->batch);
  free(r);
}

/* ---- Steps ---- */

static void pop_waiter(struct replica *r, struct queue *waiters) {
  r->pending_bytes -= ((struct waiter *)queue_at(waiters, 0))->growth_bytes;
  queue_pop(waiters);
}

/* An entry of a term that is over stands no longer where its waiter expects it: it may come back with another
 * leader, or not. */
static void lose_waiters(struct replica *r) {
  for (struct waiter *waiter; (waiter = queue_at(&r->waiting, 0)) != NULL;) {
    result_push(r, &(struct replica_result){.waiter = waiter->tag, .verdict = REPLICA_UNKNOWN});
    pop_waiter(r, &r->waiting);
  }
}

/* Goes on with a collection that is being dropped, as far as this turn goes. Returns whether the store may be
 * given something: that of the index it is at is then its whole state. */
static bool store_is_ready(struct replica *r) {
  if (!store_is_busy(r->store)) return true;
  if (r->work_left == 0) return false;
  const bool is_done = store_go_on(r->store, r->work_left);
  r->work_left = 0; /* it may have been all of that */
  if (is_done) states_note(&r->states, r->applied, r->store);
  return is_done;
}

static void apply_command(struct replica *r, const struct coracle_raft_entry *entry, struct waiter *waiter) {
  struct replica_result result = {.verdict = REPLICA_APPLIED, .index = entry->index};
  if (store_apply(r->store, entry->index, entry->data, entry->bytes, &result.store) != 0) {
    /* Another version wrote it; going on without it would make this node differ from the others for good. */
    fprintf(stderr, "coracle: log entry %llu holds a command this version does not know: upgrade this node\n",
            (unsigned long long)entry->index);
    abort();
  }
  const size_t more = result.store.operations_n > 1 ? result.store.operations_n - 1 : 0;
  r->work_left -= more < r->work_left ? more : r->work_left;
  result.waiter = waiter != NULL ? waiter->tag : NULL;
  result_push(r, &result);
}

/* A log of a million entries may become committed all at once, where all nodes were restarted: whoever
 * applied it in one go would be deaf for seconds. */
static void apply_committed(struct replica *r) {
  while (store_is_ready(r) && r->applied < r->committed && r->work_left > 0 && r->bytes_left > 0) {
    const struct coracle_raft_entry *entry = coracle_raft_entry_at(r->raft, r->applied + 1);
    struct waiter *waiter = queue_at(&r->waiting, 0);
    assert(entry != NULL);
    if (waiter != NULL && waiter->index != entry->index) waiter = NULL;
    assert(waiter == NULL || waiter->term == entry->term);
    r->work_left--;
    r->bytes_left -= entry->bytes < r->bytes_left ? entry->bytes : r->bytes_left;
    if (entry->type == CORACLE_RAFT_COMMAND) apply_command(r, entry, waiter);
    if (waiter != NULL) pop_waiter(r, &r->waiting);
    r->applied = entry->index;
    if (!store_is_busy(r->store)) states_note(&r->states, r->applied, r->store);
  }
  reads_applied(&r->reads, r->applied);
}

/* What makes a cluster established: a client's command, or a configuration of two voters or more. Somebody
 * may count on it from then on, whatever the configuration becomes later. */
static bool establishes(const struct coracle_raft_entry *entry) {
  struct coracle_raft_configuration configuration;
  if (entry->type == CORACLE_RAFT_COMMAND) return true;
  return entry->type == CORACLE_RAFT_CONFIGURATION &&
         coracle_raft_configuration_decode(entry->data, entry->bytes, &configuration) == 0 &&
         coracle_raft_configuration_voters(&configuration) >= 2;
}

static void note_established_by(struct replica *r, struct coracle_raft_entry *const *entries, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (establishes(entries[i])) r->established_by = entries[i]->index;
}

static void note_established(struct replica *r, const struct coracle_raft_effects *effects) {
  const uint64_t truncate_from = effects->persist.truncate_from;
  if (truncate_from != 0 && r->established_by >= truncate_from) {
    r->established_by = truncate_from - 1;
    const struct coracle_raft_entry *entry;
    while (r->established_by > coracle_raft_snapshot(r->raft)->index &&
           (entry = coracle_raft_entry_at(r->raft, r->established_by)) != NULL && !establishes(entry))
      r->established_by--;
  }
  note_established_by(r, effects->persist.entries, effects->persist.entries_n);
}

static void replace_store(struct replica *r, struct store *store) {
  const struct coracle_raft_snapshot *snapshot = coracle_raft_snapshot(r->raft);
  assert(snapshot->index > r->applied);
  snapshots_retire_store(&r->snapshots, r->store);
  r->store = store;
  r->applied = snapshot->index;
  r->established_by = snapshot->index; /* no other is taken */
  snapshots_keep(&r->snapshots, store, snapshot);
  states_note(&r->states, r->applied, store);
}

/* The image goes before all that is committed after it. A leader installs none, so nobody waits here any
 * more for what the image has passed over. */
static void receive_image(struct replica *r, const struct coracle_raft_persist *persist) {
  if (persist->chunk.snapshot == NULL) return;
  struct store *store = snapshots_receive(&r->snapshots, persist);
  if (store == NULL) return;
  assert(r->waiting.n == 0);
  replace_store(r, store);
}

static void carry_out(struct replica *r) {
  const struct coracle_raft_effects *effects = &r->effects;
  struct coracle_raft_status status;
  note_established(r, effects);
  if (effects->role_changed) {
    coracle_raft_status(r->raft, 0, &status);
    if (status.role != CORACLE_RAFT_LEADER) lose_waiters(r);
  }
  receive_image(r, &effects->persist);
  snapshots_request(&r->snapshots, effects);
  r->committed = effects->commit_index;
  apply_committed(r);
  for (size_t i = 0; i < effects->reads_n; i++) reads_outcome(&r->reads, &effects->reads[i], r->applied);
}

int replica_step(struct replica *r, const struct coracle_raft_event *event,
                 const struct coracle_raft_effects **effects) {
  int error = coracle_raft_step(r->raft, event, &r->effects);
  if (error != 0) return error;
  carry_out(r);
  *effects = &r->effects;
  return 0;
}

int replica_restore(struct replica *r, const struct coracle_raft_restored *restored,
                    const struct replica_image *image, uint64_t now_ms,
                    const struct coracle_raft_effects **effects) {
  const struct coracle_raft_event event = {
      .type = CORACLE_RAFT_START, .now_ms = now_ms, .start = {.restored = restored}};
  int error = coracle_raft_step(r->raft, &event, &r->effects);
  if (error != 0) return error;
  if (restored->snapshot != NULL)
    replace_store(r, snapshots_restore(&r->snapshots, restored->snapshot, image));
  note_established_by(r, restored->entries, restored->entries_n);
  carry_out(r);
  *effects = &r->effects;
  return 0;
}

/* ---- Snapshots ---- */

static bool step_is_taken(struct replica *r, struct coracle_raft_event *event, uint64_t now_ms) {
  event->now_ms = now_ms;
  if (coracle_raft_step(r->raft, event, &r->effects) != 0) return false;
  carry_out(r);
  return true;
}

/* The core refuses while what was applied is not durable in the log here: it will be, and then there is
 * another image to be taken. */
void replica_tend(struct replica *r, uint64_t now_ms, const struct coracle_raft_effects **effects) {
  struct coracle_raft_event event;
  bool taken = false;
  if (snapshots_next_chunk(&r->snapshots, &event)) {
    taken = step_is_taken(r, &event, now_ms);
    assert(taken);
  } else if (snapshots_next_taken(&r->snapshots, &event)) {
    taken = step_is_taken(r, &event, now_ms);
    if (!taken) snapshots_drop_newest(&r->snapshots);
  }
  *effects = taken ? &r->effects : NULL;
}

bool replica_store_image(struct replica *r, struct coracle_raft_persist *persist) {
  return snapshots_next_stored(&r->snapshots, r->raft, persist);
}

bool replica_image_refused(struct replica *r) {
  return snapshots_refused_image(&r->snapshots, r->raft);
}

void replica_storage_has_room(struct replica *r) {
  r->snapshots.refused_log_bytes = 0;
}

/* By what is applied: so that whoever has a snapshot knows without the log that its cluster is established.
 */
static bool is_established_for_good(const struct replica *r) {
  return store_revision(r->store) > 0 || (r->established_by > 0 && r->established_by <= r->applied);
}

void replica_begin_turn(struct replica *r) {
  r->work_left = r->operations_per_turn;
  r->bytes_left = APPLIED_BYTES_PER_TURN;
  apply_committed(r);
  snapshots_tidy(&r->snapshots, r->raft, r->applied);
  if (store_is_busy(r->store)) return; /* there is no image of that */
  if (is_established_for_good(r) && snapshots_are_due(&r->snapshots, r->raft, r->store, r->applied))
    snapshots_take(&r->snapshots, r->store, r->applied);
}

/* ---- Proposals ---- */

void replica_propose(struct replica *r, struct coracle_raft_entry *entry, uint64_t growth_bytes, void *tag) {
  *(struct waiter *)queue_push(&r->queued) =
      (struct waiter){.tag = tag, .entry = entry, .growth_bytes = growth_bytes};
  r->pending_bytes += growth_bytes;
}

uint64_t replica_pending_bytes(const struct replica *r) {
  return r->pending_bytes;
}

bool replica_has_proposals(const struct replica *r) {
  return r->queued.n > 0;
}

static void refuse_queued(struct replica *r, enum replica_verdict verdict) {
  for (struct waiter *waiter; (waiter = queue_at(&r->queued, 0)) != NULL;) {
    coracle_raft_entry_unref(waiter->entry);
    result_push(r, &(struct replica_result){.waiter = waiter->tag, .verdict = verdict});
    pop_waiter(r, &r->queued);
  }
}

void replica_flush(struct replica *r, uint64_t now_ms, const struct coracle_raft_effects **effects) {
  const size_t n = r->queued.n;
  *effects = NULL;
  if (n == 0) return;
  if (r->batch_capacity < n) {
    r->batch_capacity = n * 2;
    r->batch = memory_realloc(r->batch, r->batch_capacity * sizeof(struct coracle_raft_entry *));
  }
  for (size_t i = 0; i < n; i++) r->batch[i] = ((struct waiter *)queue_at(&r->queued, i))->entry;

  const struct coracle_raft_event event = {
      .type = CORACLE_RAFT_PROPOSE, .now_ms = now_ms, .propose = {r->batch, n}};
  int error = coracle_raft_step(r->raft, &event, &r->effects);
  if (error != 0) {
    refuse_queued(r, error == CORACLE_RAFT_ENOTLEADER ? REPLICA_NOT_LEADER : REPLICA_BUSY);
    return;
  }
  for (struct waiter *waiter; (waiter = queue_at(&r->queued, 0)) != NULL; queue_pop(&r->queued)) {
    struct waiter *waits = queue_push(&r->waiting);
    *waits = (struct waiter){.tag = waiter->tag,
                             .growth_bytes = waiter->growth_bytes,
                             .index = waiter->entry->index,
                             .term = waiter->entry->term};
  }
  carry_out(r);
  *effects = &r->effects;
}

void replica_refuse(struct replica *r) {
  refuse_queued(r, REPLICA_BUSY);
}

/* ---- Reads ---- */

void replica_read(struct replica *r, struct replica_read *read) {
  reads_add(&r->reads, read, r->applied);
}

void replica_cancel_read(struct replica *r, struct replica_read *read) {
  reads_remove(&r->reads, read);
}

bool replica_has_reads(const struct replica *r, uint64_t now_ms) {
  return reads_are_due(&r->reads, now_ms);
}

void replica_flush_reads(struct replica *r, uint64_t now_ms, const struct coracle_raft_effects **effects) {
  *effects = NULL;
  if (!reads_are_due(&r->reads, now_ms)) return;
  const uint64_t number = r->reads.number + 1;
  const struct coracle_raft_event event = {.type = CORACLE_RAFT_READ, .now_ms = now_ms, .read = number};
  if (coracle_raft_step(r->raft, &event, &r->effects) != 0) {
    reads_refused(&r->reads, now_ms);
    return;
  }
  reads_asked(&r->reads, number);
  carry_out(r);
  *effects = &r->effects;
}

void replica_expire_reads(struct replica *r, uint64_t now_ms) {
  reads_expire(&r->reads, now_ms);
}

uint64_t replica_reads_wakeup_ms(const struct replica *r) {
  return reads_wakeup_ms(&r->reads);
}

void replica_abandon(struct replica *r) {
  reads_abandon(&r->reads);
  lose_waiters(r);
  refuse_queued(r, REPLICA_NOT_LEADER);
}

/* ---- Questions ---- */

size_t replica_waiting(const struct replica *r) {
  return r->queued.n + r->waiting.n + r->results.n + r->reads.waiting;
}

void replica_retire_view(struct replica *r, struct store_view *view) {
  snapshots_retire_view(&r->snapshots, view);
}

const struct store *replica_store(const struct replica *r) {
  return r->store;
}

const struct coracle_raft *replica_raft(const struct replica *r) {
  return r->raft;
}

bool replica_is_behind(const struct replica *r) {
  return r->applied < r->committed || store_is_busy(r->store);
}

uint64_t replica_applied(const struct replica *r) {
  return r->applied;
}

bool replica_state_after(const struct replica *r, uint64_t index, struct replica_state *state) {
  return states_after(&r->states, index, state);
}

uint64_t replica_newest_state(const struct replica *r) {
  return r->states.newest;
}

void replica_expect_state(struct replica *r, const struct replica_state *state) {
  states_expect(&r->states, state);
}

uint64_t replica_differs_at(const struct replica *r) {
  return r->states.differs_at;
}

uint64_t replica_agrees_at(const struct replica *r) {
  return r->states.agrees_at;
}

bool replica_is_established(const struct replica *r) {
  return r->established_by > 0;
}
