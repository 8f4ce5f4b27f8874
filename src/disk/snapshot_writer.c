/* Writing a snapshot. All its space is taken at the beginning: a disk that is full says so before hundreds of
 * megabytes were written, not after. */
#include "disk/snapshot_layout.h"

#include "base/memory.h"
#include "disk/io.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

struct snapshot_writer {
  const struct files *files;
  int file;
  struct coracle_raft_snapshot snapshot;
  size_t header_bytes;
  uint64_t seed;
  uint64_t offset;  /* of the image: what was taken */
  uint8_t *pending; /* what was taken and is no whole block yet: offset % SNAPSHOT_BLOCK_BYTES */
  uint8_t *block;   /* being written, with its checksum */
  bool finished;
};

/* ---- Beginning ---- */

static void put_header(struct bytes *b, const struct stamp *stamp, const struct coracle_raft_snapshot *s,
                       uint64_t *seed) {
  struct coracle_raft_entry *configuration = coracle_raft_configuration_entry(&s->configuration);
  if (configuration == NULL) abort(); /* base/memory.h */
  stamp_put(b, stamp_snapshot, stamp);
  put_u64(b, s->index);
  put_u64(b, s->term);
  put_u64(b, s->bytes);
  put_u64(b, s->tag);
  put_u64(b, s->configuration_index);
  put_u32(b, configuration->bytes);
  bytes_append(b, configuration->data, configuration->bytes);
  *seed = XXH3_64bits(b->data, b->n);
  put_u64(b, *seed);
  assert(b->n == SNAPSHOT_FIXED_BYTES + configuration->bytes + SNAPSHOT_CHECKSUM_BYTES);
  coracle_raft_entry_unref(configuration);
}

static int begin(const struct files *files, int file, const struct bytes *header, uint64_t image_bytes,
                 struct disk_fault *fault) {
  const uint64_t bytes = snapshot_file_bytes(header->n, image_bytes);
  int error = files->allocate(files->context, file, bytes);
  if (error != 0) return disk_fault_system(fault, error, "take space for", snapshot_incoming);
  return io_write(files, file, snapshot_incoming, 0, header->data, header->n, fault);
}

int snapshot_writer_new(const struct files *files, const struct stamp *stamp,
                        const struct coracle_raft_snapshot *snapshot, struct snapshot_writer **made,
                        struct disk_fault *fault) {
  struct bytes header = {0};
  struct disk_fault ignored;
  uint64_t seed;
  int file;
  assert(snapshot->index > 0 && snapshot->term > 0);
  if (snapshot->bytes > SNAPSHOT_BYTES_MAX) {
    disk_fault_set(fault, "no disk has room for the image of %llu bytes that was announced",
                   (unsigned long long)snapshot->bytes);
    return CORACLE_EFULL;
  }
  int error = io_create(files, snapshot_incoming, &file, fault);
  if (error != 0) return error;
  put_header(&header, stamp, snapshot, &seed);
  error = begin(files, file, &header, snapshot->bytes, fault);
  const size_t header_bytes = header.n;
  bytes_close(&header);
  if (error != 0) {
    files->close(files->context, file);
    if (io_remove(files, snapshot_incoming, &ignored) != 0)
      return CORACLE_EIO; /* it keeps what room there is */
    return error;
  }
  struct snapshot_writer *w = memory_zalloc(sizeof *w);
  *w = (struct snapshot_writer){.files = files,
                                .file = file,
                                .snapshot = *snapshot,
                                .header_bytes = header_bytes,
                                .seed = seed,
                                .pending = memory_alloc(SNAPSHOT_BLOCK_BYTES),
                                .block = memory_alloc(SNAPSHOT_STRIDE_BYTES)};
  *made = w;
  return 0;
}

void snapshot_writer_free(struct snapshot_writer *w) {
  if (w == NULL) return;
  w->files->close(w->files->context, w->file);
  free(w->pending);
  free(w->block);
  free(w);
}

const struct coracle_raft_snapshot *snapshot_writer_of(const struct snapshot_writer *w) {
  return &w->snapshot;
}

uint64_t snapshot_writer_offset(const struct snapshot_writer *w) {
  return w->offset;
}

/* ---- Blocks ---- */

/* w->block, of which n bytes are the image's. */
static int write_block(struct snapshot_writer *w, uint64_t number, size_t n, struct disk_fault *fault) {
  const uint64_t offset = w->header_bytes + number * SNAPSHOT_STRIDE_BYTES;
  uint64_t checksum = snapshot_block_checksum(w->block, n, w->seed, number);
  for (size_t i = 0; i < SNAPSHOT_CHECKSUM_BYTES; i++, checksum >>= 8) w->block[n + i] = (uint8_t)checksum;
  return io_write(w->files, w->file, snapshot_incoming, offset, w->block, n + SNAPSHOT_CHECKSUM_BYTES, fault);
}

/* What is pending stays so until all went well. */
int snapshot_writer_append(struct snapshot_writer *w, const void *data, size_t n, struct disk_fault *fault) {
  const uint8_t *at = data;
  size_t left = n, pending_n = w->offset % SNAPSHOT_BLOCK_BYTES;
  uint64_t number = w->offset / SNAPSHOT_BLOCK_BYTES;
  bool written = false;
  assert(!w->finished && n <= w->snapshot.bytes - w->offset);
  while (left >= SNAPSHOT_BLOCK_BYTES - pending_n) {
    const size_t taken = SNAPSHOT_BLOCK_BYTES - pending_n;
    memcpy(w->block, w->pending, pending_n);
    memcpy(w->block + pending_n, at, taken);
    int error = write_block(w, number++, SNAPSHOT_BLOCK_BYTES, fault);
    if (error != 0) return error;
    at += taken;
    left -= taken;
    pending_n = 0;
    written = true;
  }
  if (written) {
    int error = io_sync(w->files, w->file, snapshot_incoming, fault);
    if (error != 0) return error;
  }
  if (left > 0) memcpy(w->pending + pending_n, at, left);
  w->offset += n;
  return 0;
}

int snapshot_writer_finish(struct snapshot_writer *w, struct disk_fault *fault) {
  const size_t pending_n = w->offset % SNAPSHOT_BLOCK_BYTES;
  char name[FILES_NAME_BYTES_MAX];
  int error = 0;
  assert(!w->finished && w->offset == w->snapshot.bytes);
  if (pending_n > 0) {
    memcpy(w->block, w->pending, pending_n);
    error = write_block(w, w->offset / SNAPSHOT_BLOCK_BYTES, pending_n, fault);
  }
  if (error == 0) error = io_sync(w->files, w->file, snapshot_incoming, fault);
  snapshot_name(w->snapshot.index, name);
  if (error == 0) error = io_rename(w->files, snapshot_incoming, name, fault);
  if (error == 0) error = io_sync_directory(w->files, "snapshot", fault);
  w->finished = error == 0;
  return error;
}
