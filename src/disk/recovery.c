/* What a data directory holds when a process starts on it: made if it is empty, believed only if it is whole.
 */
#include "disk/core.h"

#include "base/memory.h"
#include "disk/io.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const char folder_log[] = "log", folder_snapshot[] = "snapshot";

/* ---- The first start ---- */

static int make_folder(const struct files *files, const char *name, struct disk_fault *fault) {
  int error = files->make_directory(files->context, name);
  if (error == 0 || error == -EEXIST) return 0;
  disk_fault_set(fault, "cannot make %s: %s", name, strerror(-error));
  return files_is_full(error) ? CORACLE_EFULL : CORACLE_EIO;
}

/* The process before this one may have ended between a rename and the sync of its folder: what is found is
 * relied on, so it must stay. */
static int make_folders(const struct files *files, struct disk_fault *fault) {
  int error = make_folder(files, folder_log, fault);
  if (error == 0) error = make_folder(files, folder_snapshot, fault);
  if (error == 0) error = io_sync_directory(files, "", fault);
  if (error == 0) error = io_sync_directory(files, folder_log, fault);
  return error == 0 ? io_sync_directory(files, folder_snapshot, fault) : error;
}

static int found_entry(void *name_of_first, const char *name) {
  snprintf(name_of_first, FILES_NAME_BYTES_MAX, "%s", name);
  return 1;
}

/* Data without meta files is not a new node's: its term and vote are lost. */
static int expect_empty(const struct files *files, const char *folder, struct disk_fault *fault) {
  char name[FILES_NAME_BYTES_MAX];
  int error = files->list(files->context, folder, found_entry, name);
  if (error == 0) return 0;
  if (error < 0) {
    disk_fault_set(fault, "cannot list %s: %s", folder, strerror(-error));
    return CORACLE_EIO;
  }
  disk_fault_set(fault, "meta-1 and meta-2 are missing, but there is %s/%s: " IO_REMEDY, folder, name);
  return CORACLE_EDAMAGED;
}

static int make(struct disk *disk, struct disk_fault *fault) {
  int error = expect_empty(disk->files, folder_log, fault);
  if (error == 0) error = expect_empty(disk->files, folder_snapshot, fault);
  if (error != 0) return error;
  disk->meta = (struct meta){.stamp = {.id = disk->options.fresh_id, .generation = 1}};
  return meta_make(disk->files, &disk->meta, fault);
}

/* ---- Snapshots ---- */

static int refuse_foreign(const char *name, const struct stamp *stamp, struct disk_fault *fault) {
  disk_fault_set(
      fault,
      "%s is of node %016" PRIx64 " and generation %" PRIu64
      ", not of the node that meta-1 and meta-2 tell of: this directory holds files of two; put the right "
      "ones together, or empty it: then the node joins as a new one",
      name, stamp->id, stamp->generation);
  return CORACLE_EDAMAGED;
}

/* A snapshot of the generation after the one in force. */
struct unborn {
  uint64_t index; /* 0: there is none */
  struct stamp stamp;
};

/* Opens one; *reader stays NULL when it is left over from a generation before, or of the one after. */
static int open_snapshot(struct disk *disk, uint64_t index, struct snapshot_reader **reader,
                         struct unborn *unborn, struct disk_fault *fault) {
  char name[FILES_NAME_BYTES_MAX];
  snapshot_name(index, name);
  *reader = NULL;
  int error = snapshot_reader_open(disk->files, name, reader, fault);
  if (error != 0) return error;
  const struct stamp stamp = *snapshot_reader_stamp(*reader);
  if (stamp_equal(&stamp, &disk->meta.stamp)) return 0;
  snapshot_reader_free(*reader);
  *reader = NULL;
  if (stamp.generation == disk->meta.stamp.generation + 1 && unborn->index == 0) {
    *unborn = (struct unborn){index, stamp};
    return 0;
  }
  if (stamp.generation >= disk->meta.stamp.generation) return refuse_foreign(name, &stamp, fault);
  return io_remove(disk->files, name, fault);
}

/* Whoever needs the image again later can rely on it. */
static int verify(struct snapshot_reader *reader, struct disk_fault *fault) {
  struct slice block;
  int error;
  do error = snapshot_reader_next(reader, &block, fault);
  while (error == 0 && block.n > 0);
  snapshot_reader_rewind(reader);
  return error;
}

/* The newest one of this generation; the rest is removed once all is well. */
static int find_snapshot(struct disk *disk, struct disk_found *found, struct unborn *unborn,
                         struct disk_fault *fault) {
  uint64_t *indexes;
  size_t n;
  int error = snapshot_list(disk->files, &indexes, &n, fault);
  if (error != 0) return error;
  while (error == 0 && n > 0 && found->image == NULL)
    error = open_snapshot(disk, indexes[--n], &found->image, unborn, fault);
  free(indexes);
  /* A process that was killed may have left names that a power cut would still take. */
  if (error == 0) error = io_sync_directory(disk->files, folder_snapshot, fault);
  if (error == 0 && found->image != NULL) {
    found->snapshot = *snapshot_reader_of(found->image);
    error = verify(found->image, fault);
  }
  if (error != 0 || found->snapshot.index >= disk->meta.snapshot) return error;
  char name[FILES_NAME_BYTES_MAX];
  snapshot_name(disk->meta.snapshot, name);
  disk_fault_set(fault, "%s is missing: " IO_REMEDY, name);
  return CORACLE_EDAMAGED;
}

/* ---- The log ---- */

static int open_log(struct disk *disk, const struct coracle_raft_snapshot *snapshot, struct log_found *found,
                    struct disk_fault *fault) {
  const struct log_options options = {.stamp = disk->meta.stamp,
                                      .segment_bytes = disk->options.segment_bytes,
                                      .salt_seed = disk->options.salt_seed,
                                      .number_min = disk->meta.segment,
                                      .progress = disk->options.progress,
                                      .progress_argument = disk->options.progress_argument};
  return log_open(disk->files, &options, snapshot->index, snapshot->term, &disk->log, found, fault);
}

/* What the meta files, the log and the snapshot say of the term cannot contradict each other. */
static int check_terms(const struct disk *disk, const struct disk_found *found, struct disk_fault *fault) {
  uint64_t newest = found->snapshot.term;
  if (found->entries_n > 0 && found->entries[found->entries_n - 1]->term > newest)
    newest = found->entries[found->entries_n - 1]->term;
  if (newest <= disk->meta.term) return 0;
  disk_fault_set(fault,
                 "the log or the snapshot is of term %" PRIu64
                 ", and meta-1 and meta-2 know of none after %" PRIu64 ": they are older copies; " IO_REMEDY,
                 newest, disk->meta.term);
  return CORACLE_EDAMAGED;
}

static int find_log(struct disk *disk, struct disk_found *found, struct disk_fault *fault) {
  struct log_found log;
  int error = open_log(disk, &found->snapshot, &log, fault);
  if (error != 0) return error;
  found->entries = log.entries; /* they are ours now */
  found->entries_n = log.entries_n;
  found->log_bytes = log.bytes;
  if (log.cut_bytes > 0)
    snprintf(found->cut, sizeof found->cut,
             "%s: a torn write of %" PRIu64 " bytes at offset %" PRIu64
             " was cut off; it was never acknowledged",
             log.cut_name, log.cut_bytes, log.cut_offset);
  disk->last_index = found->snapshot.index;
  if (log.entries_n > 0 && log.entries[log.entries_n - 1]->index > disk->last_index)
    disk->last_index = log.entries[log.entries_n - 1]->index;
  return check_terms(disk, found, fault);
}

/* disk_replace() was cut short before its generation came into force: then the snapshot it made is of the
 * entry after the last, and what it was to replace is whole. Its name must be gone for good before the log
 * grows, or it would look like somebody else's. */
static int remove_unborn(struct disk *disk, const struct unborn *unborn, struct disk_fault *fault) {
  char name[FILES_NAME_BYTES_MAX];
  if (unborn->index == 0) return 0;
  snapshot_name(unborn->index, name);
  if (unborn->index != disk->last_index + 1) return refuse_foreign(name, &unborn->stamp, fault);
  int error = io_remove(disk->files, name, fault);
  return error == 0 ? io_sync_directory(disk->files, folder_snapshot, fault) : error;
}

/* ---- Opening ---- */

static int recover(struct disk *disk, struct disk_found *found, struct disk_fault *fault) {
  int error = make_folders(disk->files, fault);
  if (error == 0) error = meta_read(disk->files, &disk->meta, &found->damaged_n, fault);
  if (error == CORACLE_ENOTFOUND) {
    found->made = true;
    error = make(disk, fault);
  }
  struct unborn unborn = {0};
  if (error == 0) error = find_snapshot(disk, found, &unborn, fault);
  if (error == 0) error = find_log(disk, found, fault);
  if (error == 0) error = remove_unborn(disk, &unborn, fault);
  if (error == 0) error = snapshot_remove_before(disk->files, found->snapshot.index, true, fault);
  return error;
}

/* Others take what bears a greater start number for newer. The clock helps where the directory is a copy that
 * was put back: its numbers were used already. And what was found is relied on from now on, so it must not go
 * missing unnoticed: a crash may have come before the meta files knew of it. */
static int begin_start(struct disk *disk, uint64_t snapshot, struct disk_fault *fault) {
  struct meta *meta = &disk->meta;
  meta->start++;
  if (meta->start < disk->options.start_min) meta->start = disk->options.start_min;
  if (meta->snapshot < snapshot) meta->snapshot = snapshot;
  if (meta->segment < log_number(disk->log)) meta->segment = log_number(disk->log);
  return meta_write(disk->files, &disk->meta, fault);
}

static void tell(const struct disk *disk, struct disk_found *found) {
  const struct meta *meta = &disk->meta;
  found->id = meta->stamp.id;
  memcpy(found->cluster, meta->stamp.cluster, sizeof found->cluster);
  found->start = meta->start;
  found->raft =
      (struct coracle_raft_restored){.term = meta->term,
                                     .voted_for = meta->voted_for,
                                     .snapshot = found->snapshot.index > 0 ? &found->snapshot : NULL,
                                     .entries = found->entries,
                                     .entries_n = found->entries_n};
}

int disk_open(const struct files *files, const struct disk_options *options, struct disk **opened,
              struct disk_found *found, struct disk_fault *fault) {
  struct disk *disk = memory_zalloc(sizeof *disk);
  disk->files = files;
  disk->options = *options;
  *found = (struct disk_found){0};
  int error = recover(disk, found, fault);
  if (error == 0) error = begin_start(disk, found->snapshot.index, fault);
  if (error != 0) {
    disk_found_close(found);
    disk_free(disk);
    return error;
  }
  tell(disk, found);
  *opened = disk;
  return 0;
}

void disk_found_close(struct disk_found *found) {
  for (size_t i = 0; i < found->entries_n; i++) coracle_raft_entry_unref(found->entries[i]);
  free(found->entries);
  snapshot_reader_free(found->image);
  *found = (struct disk_found){0};
}
