/* The writer: batches to files, in order. What is found at the start is recovery.c's affair. */
#include "disk/core.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

void disk_free(struct disk *disk) {
  if (disk == NULL) return;
  snapshot_writer_free(disk->writer);
  log_free(disk->log);
  free(disk);
}

/* ---- The log ---- */

/* A segment that the meta files know of cannot go missing unnoticed. */
static int note_segment(struct disk *disk, struct disk_fault *fault) {
  if (disk->meta.segment == log_number(disk->log)) return 0;
  disk->meta.segment = log_number(disk->log);
  return meta_write(disk->files, &disk->meta, fault);
}

static int append(struct disk *disk, const struct log_append *what, struct disk_fault *fault) {
  int error = log_append(disk->log, what, fault);
  if (error != 0) return error;
  disk->last_index = what->last_index;
  return note_segment(disk, fault);
}

static struct log_append append_of(const struct batch_step *step) {
  return (struct log_append){
      .records = step->records.at, .n = step->records.n, .last_index = step->last_index};
}

static int write_log(struct disk *disk, const struct batch_step *step, struct disk_fault *fault) {
  const struct log_append what = append_of(step);
  return append(disk, &what, fault);
}

/* ---- Term, vote, identity ---- */

/* What comes with an identity, a founder's first entry, must not be missing from it: so its segment is there
 * before the meta file names its generation, which then brings all of it into force at once. The segment is
 * the only one: there is nothing yet to tell of a second. */
static int prepare_log(struct disk *disk, const struct stamp *stamp, const struct batch_step *first,
                       struct log **prepared, struct disk_fault *fault) {
  struct log *log = log_begin(disk->log, stamp);
  int error = 0;
  if (first != NULL) {
    const struct log_append what = append_of(first);
    error = log_append(log, &what, fault);
  }
  if (error == 0)
    *prepared = log;
  else
    log_free(log);
  return error;
}

/* What was durable before means nothing any more. */
static int drop_generation_before(struct disk *disk, struct log *log, struct disk_fault *fault) {
  snapshot_writer_free(disk->writer);
  disk->writer = NULL;
  log_free(disk->log);
  disk->log = log;
  disk->refused_index = disk->removable = 0;
  int error = snapshot_remove_before(disk->files, UINT64_MAX, true, fault);
  return error == 0 ? log_clear(disk->files, disk->meta.stamp.generation, fault) : error;
}

static int take_identity(struct disk *disk, const struct batch_step *step, const struct batch_step *first,
                         struct disk_fault *fault) {
  struct meta meta = {.stamp = {.id = step->id, .generation = disk->meta.stamp.generation + 1},
                      .sequence = disk->meta.sequence,
                      .start = disk->meta.start,
                      .term = step->term,
                      .voted_for = step->voted_for};
  struct log *log;
  memcpy(meta.stamp.cluster, step->cluster, sizeof meta.stamp.cluster);
  int error = prepare_log(disk, &meta.stamp, first, &log, fault);
  if (error != 0) return error;
  meta.segment = log_number(log);
  error = meta_write(disk->files, &meta, fault);
  if (error != 0) {
    log_free(log);
    return error;
  }
  disk->meta = meta;
  disk->last_index = first != NULL ? first->last_index : 0;
  return drop_generation_before(disk, log, fault);
}

static int write_meta(struct disk *disk, const struct batch_step *step, struct disk_fault *fault) {
  disk->meta.term = step->term;
  disk->meta.voted_for = step->voted_for;
  return meta_write(disk->files, &disk->meta, fault);
}

/* ---- Images ---- */

static bool is_same(const struct coracle_raft_snapshot *a, const struct coracle_raft_snapshot *b) {
  return a->index == b->index && a->term == b->term && a->bytes == b->bytes && a->tag == b->tag;
}

/* An image for which there was no room: what comes of it is passed over. */
static bool is_refused(const struct disk *disk, const struct batch_step *step) {
  return step->own_image && disk->refused_index != 0 && step->snapshot->index == disk->refused_index;
}

static int begin_image(struct disk *disk, const struct batch_step *step, struct disk_fault *fault) {
  snapshot_writer_free(disk->writer);
  disk->writer = NULL;
  disk->refused_index = 0;
  int error = snapshot_writer_new(disk->files, &disk->meta.stamp, step->snapshot, &disk->writer, fault);
  if (error != CORACLE_EFULL || !step->own_image) return error;
  disk->refused_index = step->snapshot->index;
  disk->image_refused = true;
  return 0;
}

static int write_chunk(struct disk *disk, const struct batch_step *step, struct disk_fault *fault) {
  int error = step->offset == 0 ? begin_image(disk, step, fault) : 0;
  if (error != 0 || is_refused(disk, step)) return error;
  assert(disk->writer != NULL && is_same(snapshot_writer_of(disk->writer), step->snapshot));
  assert(snapshot_writer_offset(disk->writer) == step->offset);
  return snapshot_writer_append(disk->writer, step->data.at, step->data.n, fault);
}

/* The record says what becomes of the log. Without it, after a crash, Figure 5.3's rule does. */
static int record_snapshot(struct disk *disk, const struct batch_step *step, struct disk_fault *fault) {
  const struct log_record record = {.type = LOG_SNAPSHOT,
                                    .index = step->snapshot->index,
                                    .term = step->snapshot->term,
                                    .keep = step->keep_log};
  struct bytes bytes = {0};
  log_record_put(&bytes, &record);
  const struct log_append what = {
      .records = bytes.data, .n = bytes.n, .last_index = step->keep_log ? disk->last_index : record.index};
  int error = append(disk, &what, fault);
  bytes_close(&bytes);
  return error;
}

static int install(struct disk *disk, const struct batch_step *step, struct disk_fault *fault) {
  if (is_refused(disk, step)) return 0;
  if (disk->writer != NULL) { /* NULL: this was done, and then there was no room for the record */
    int error = snapshot_writer_finish(disk->writer, fault);
    if (error != 0) return error;
    snapshot_writer_free(disk->writer);
    disk->writer = NULL;
    disk->meta.snapshot = step->snapshot->index;
    error = meta_write(disk->files, &disk->meta, fault);
    if (error != 0) return error;
  }
  int error = record_snapshot(disk, step, fault);
  if (error == 0) disk->removable = step->snapshot->index;
  return error;
}

/* ---- Batches ---- */

static int write_step(struct disk *disk, const struct batch_step *step, struct disk_fault *fault) {
  switch (step->type) {
  case BATCH_META:
    return write_meta(disk, step, fault);
  case BATCH_LOG:
    return write_log(disk, step, fault);
  case BATCH_CHUNK:
    return write_chunk(disk, step, fault);
  case BATCH_INSTALL:
    break;
  }
  return install(disk, step, fault);
}

/* An identity comes with the records after it. *steps: so many are done then. */
static int write_next(struct disk *disk, const struct batch *batch, size_t *steps, struct disk_fault *fault) {
  const struct batch_step step = batch_step(batch, disk->step);
  *steps = 1;
  if (!step.identity) return write_step(disk, &step, fault);
  if (disk->step + 1 == batch_steps(batch)) return take_identity(disk, &step, NULL, fault);
  const struct batch_step next = batch_step(batch, disk->step + 1);
  if (next.type != BATCH_LOG) return take_identity(disk, &step, NULL, fault);
  *steps = 2;
  return take_identity(disk, &step, &next, fault);
}

int disk_write(struct disk *disk, struct batch *batch, struct disk_fault *fault) {
  while (disk->step < batch_steps(batch)) {
    size_t steps;
    int error = write_next(disk, batch, &steps, fault);
    if (error != 0) return error;
    disk->step += steps;
  }
  disk->step = 0;
  return 0;
}

bool disk_image_refused(struct disk *disk) {
  const bool refused = disk->image_refused;
  disk->image_refused = false;
  return refused;
}

int disk_tidy(struct disk *disk, struct disk_fault *fault) {
  int error = 0;
  if (disk->removable > 0) {
    error = snapshot_remove_before(disk->files, disk->removable, false, fault);
    if (error == 0) error = log_remove(disk->log, disk->removable, fault);
    if (error != 0) return error;
    disk->removable = 0;
  }
  return log_number(disk->log) > 0 ? log_make_spare(disk->log, fault) : 0;
}
