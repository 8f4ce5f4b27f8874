#include "disk/batch.h"

#include "base/memory.h"
#include "base/queue.h"
#include "disk/segment.h"

#include <assert.h>
#include <stdlib.h>

/* Where the bytes of a step stand in the arena; the step's own slices are made when it is asked for. */
struct stored_step {
  struct batch_step step;
  size_t at, n;
  struct coracle_raft_snapshot *snapshot; /* owned */
};

struct batch {
  struct queue steps; /* of struct stored_step */
  struct bytes arena;
  uint64_t sequence;
};

struct batch *batch_new(void) {
  struct batch *batch = memory_zalloc(sizeof *batch);
  batch->steps = QUEUE_OF(struct stored_step);
  return batch;
}

void batch_clear(struct batch *batch) {
  enum { KEPT_BYTES = 1024 * 1024 };
  for (struct stored_step *first; (first = queue_at(&batch->steps, 0)) != NULL; queue_pop(&batch->steps))
    free(first->snapshot);
  batch->sequence = 0;
  batch->arena.n = 0;
  if (batch->arena.capacity > KEPT_BYTES) bytes_close(&batch->arena);
}

void batch_free(struct batch *batch) {
  if (batch == NULL) return;
  batch_clear(batch);
  queue_close(&batch->steps);
  bytes_close(&batch->arena);
  free(batch);
}

bool batch_is_empty(const struct batch *batch) {
  return batch->steps.n == 0 && batch->sequence == 0;
}

uint64_t batch_sequence(const struct batch *batch) {
  return batch->sequence;
}

size_t batch_bytes(const struct batch *batch) {
  return batch->arena.n + batch->steps.n * sizeof(struct stored_step);
}

/* ---- Adding ---- */

static struct stored_step *last_step(struct batch *batch) {
  return batch->steps.n > 0 ? queue_at(&batch->steps, batch->steps.n - 1) : NULL;
}

static struct stored_step *push(struct batch *batch, enum batch_step_type type) {
  struct stored_step *stored = queue_push(&batch->steps);
  *stored = (struct stored_step){.step = {.type = type}, .at = batch->arena.n};
  return stored;
}

/* Of two terms in a row only the later one was ever to be told of. */
static void add_meta(struct batch *batch, const struct batch_item *item) {
  struct stored_step *stored = last_step(batch);
  if (stored == NULL || stored->step.type != BATCH_META || item->identity) stored = push(batch, BATCH_META);
  if (item->identity) {
    stored->step.identity = true;
    stored->step.id = item->id;
    memcpy(stored->step.cluster, item->cluster, sizeof stored->step.cluster);
  }
  if (item->raft == NULL || !item->raft->vote_changed) return;
  stored->step.term = item->raft->term;
  stored->step.voted_for = item->raft->voted_for;
}

enum { RECORD_HEAD_BYTES_MAX = 32 }; /* of a record, beside an entry's data */

static void add_record(struct batch *batch, const struct log_record *record) {
  struct stored_step *stored = last_step(batch);
  const size_t most = RECORD_HEAD_BYTES_MAX + record->data.n;
  if (stored == NULL || stored->step.type != BATCH_LOG || stored->n + most > FRAME_RECORDS_BYTES_MAX)
    stored = push(batch, BATCH_LOG);
  log_record_put(&batch->arena, record);
  stored->n = batch->arena.n - stored->at;
  assert(stored->n <= FRAME_RECORDS_BYTES_MAX);
  if (record->type == LOG_ENTRY) {
    stored->step.last_index = record->index;
  } else {
    stored->step.last_index = record->index - 1;
  }
}

static struct coracle_raft_snapshot *copy_of(const struct coracle_raft_snapshot *snapshot) {
  struct coracle_raft_snapshot *copy = memory_alloc(sizeof *copy);
  *copy = *snapshot;
  return copy;
}

static void add_chunk(struct batch *batch, const struct batch_item *item) {
  const struct coracle_raft_persist *raft = item->raft;
  struct stored_step *stored = push(batch, BATCH_CHUNK);
  bytes_append(&batch->arena, raft->chunk.data, raft->chunk.n);
  stored->n = raft->chunk.n;
  stored->snapshot = copy_of(raft->chunk.snapshot);
  stored->step.offset = raft->chunk.offset;
  stored->step.own_image = item->own_image;
  if (!raft->chunk.installs) return;
  stored = push(batch, BATCH_INSTALL);
  stored->snapshot = copy_of(raft->chunk.snapshot);
  stored->step.own_image = item->own_image;
  stored->step.keep_log = raft->chunk.keep_log;
}

void batch_add(struct batch *batch, const struct batch_item *item) {
  const struct coracle_raft_persist *raft = item->raft;
  assert(item->sequence > batch->sequence);
  batch->sequence = item->sequence;
  if (item->identity || (raft != NULL && raft->vote_changed)) add_meta(batch, item);
  if (raft == NULL) return;
  if (raft->truncate_from != 0)
    add_record(batch, &(struct log_record){.type = LOG_TRUNCATE, .index = raft->truncate_from});
  if (raft->chunk.snapshot != NULL) add_chunk(batch, item);
  for (size_t i = 0; i < raft->entries_n; i++) {
    const struct coracle_raft_entry *entry = raft->entries[i];
    add_record(batch, &(struct log_record){.type = LOG_ENTRY,
                                           .index = entry->index,
                                           .term = entry->term,
                                           .entry_type = entry->type,
                                           .data = {(const char *)entry->data, entry->bytes}});
  }
}

/* ---- Reading ---- */

size_t batch_steps(const struct batch *batch) {
  return batch->steps.n;
}

struct batch_step batch_step(const struct batch *batch, size_t i) {
  const struct stored_step *stored = queue_at(&batch->steps, i);
  struct batch_step step = stored->step;
  const struct slice bytes = {stored->n > 0 ? (const char *)batch->arena.data + stored->at : "", stored->n};
  if (step.type == BATCH_LOG) step.records = bytes;
  if (step.type == BATCH_CHUNK) step.data = bytes;
  step.snapshot = stored->snapshot;
  return step;
}
