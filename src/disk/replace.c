/* Another identity and a snapshot, in place of everything: for `coracle recover`.
 *
 * A node that runs takes another identity first, and a snapshot afterwards: it gets that from others, and can
 * get it again. Here the snapshot is made of what is about to be discarded. So it is written first, stamped
 * with the generation to come, under the name that it is to have: it has an index of its own, the first that
 * is free. The meta file then makes that generation the one in force, and says that there is a snapshot of
 * this index. Without that the snapshot is none of the generation in force: whoever opens the directory
 * removes it (recovery.c).
 *
 * Nothing that is in force is ever renamed: a rename that a power cut meets may lose the file under both
 * names. */
#include "disk/core.h"

#include "base/memory.h"
#include "disk/io.h"

#include <assert.h>
#include <stdlib.h>

static int write_image(struct snapshot_writer *writer, const struct disk_replacement *with,
                       struct disk_fault *fault) {
  uint8_t *piece = memory_alloc(SNAPSHOT_BLOCK_BYTES);
  uint64_t left = with->snapshot->bytes;
  int error = 0;
  while (error == 0 && left > 0) {
    const size_t n = with->read_image(with->image, piece, SNAPSHOT_BLOCK_BYTES);
    assert(n > 0 && n <= left);
    error = snapshot_writer_append(writer, piece, n, fault);
    left -= n;
  }
  free(piece);
  return error == 0 ? snapshot_writer_finish(writer, fault) : error;
}

static int write_snapshot(struct disk *disk, const struct stamp *stamp, const struct disk_replacement *with,
                          struct disk_fault *fault) {
  struct snapshot_writer *writer;
  struct disk_fault ignored;
  int error = snapshot_writer_new(disk->files, stamp, with->snapshot, &writer, fault);
  if (error != 0) return error;
  error = write_image(writer, with, fault);
  snapshot_writer_free(writer);
  if (error == 0) return 0;
  return snapshot_remove_before(disk->files, 0, true, &ignored) == 0 ? error : CORACLE_EIO;
}

int disk_replace(struct disk *disk, const struct disk_replacement *with, struct disk_fault *fault) {
  struct meta meta = disk->meta;
  assert(disk->writer == NULL && disk->step == 0);
  assert(with->snapshot->index == disk->last_index + 1 && with->snapshot->index > meta.snapshot);
  assert(with->term >= meta.term && with->term >= with->snapshot->term);
  meta.stamp.id = with->id;
  memcpy(meta.stamp.cluster, with->cluster, sizeof meta.stamp.cluster);
  meta.stamp.generation++;
  meta.term = with->term;
  meta.voted_for = with->voted_for;
  meta.segment = 0;
  meta.snapshot = with->snapshot->index;
  int error = write_snapshot(disk, &meta.stamp, with, fault);
  if (error == 0) error = meta_write(disk->files, &meta, fault);
  if (error == 0) disk->meta = meta;
  return error;
}
