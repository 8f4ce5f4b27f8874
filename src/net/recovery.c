#include "net/recovery.h"

#include "net/shell.h"

#include <assert.h>
#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { PROGRESS_MS = 1000, CLUSTER_TEXT_BYTES = 2 * JOIN_CLUSTER_BYTES + 1, SNAPSHOT_TEXT_BYTES = 80 };

/* ---- While it is read ---- */

static void tell_progress(struct recovery *recovery, const char *what, uint64_t done_bytes,
                          uint64_t all_bytes) {
  const uint64_t now_ms = shell_now_ms();
  if (now_ms - recovery->told_ms < PROGRESS_MS || all_bytes == 0) return;
  recovery->told_ms = now_ms;
  log_printf(recovery->log, NODE_LOG_INFO, "%s: %" PRIu64 " %% of %.1f MB", what,
             (uint64_t)((double)done_bytes * 100 / (double)all_bytes), (double)all_bytes / 1e6);
}

static void on_progress(void *argument, uint64_t done_bytes, uint64_t all_bytes) {
  tell_progress(argument, "reading the log", done_bytes, all_bytes);
}

/* All of it was read and verified a moment ago: that it cannot be read now is the disk's failure, and ends
 * the process as any does. */
static bool next_image(void *argument, struct slice *piece) {
  struct recovery *recovery = argument;
  struct disk_fault fault = {0};
  if (snapshot_reader_next(recovery->found.image, piece, &fault) != 0) {
    log_printf(recovery->log, NODE_LOG_ERROR, "ends: %s", fault.text);
    _exit(1);
  }
  recovery->loaded_bytes += piece->n;
  tell_progress(recovery, "loading the snapshot", recovery->loaded_bytes, recovery->found.snapshot.bytes);
  return true;
}

/* ---- Start and end ---- */

static void prepare_node(struct recovery *recovery) {
  static_assert((int)DISK_CLUSTER_BYTES == (int)JOIN_CLUSTER_BYTES, "one kind of cluster id");
  const struct disk_found *found = &recovery->found;
  memcpy(recovery->restored.cluster, found->cluster, JOIN_CLUSTER_BYTES);
  recovery->restored.raft = found->raft;
  if (found->image == NULL) return;
  snapshot_reader_rewind(found->image);
  recovery->restored.next_image = next_image;
  recovery->restored.image = recovery;
}

int recovery_open(struct recovery *recovery, const char *data_dir, struct log *log, char *why,
                  size_t why_bytes) {
  struct disk_options options = {
      .start_min = shell_wall_ms(), .progress = on_progress, .progress_argument = recovery};
  struct disk_fault fault = {0};
  recovery->log = log;
  recovery->started_ms = recovery->told_ms = shell_now_ms();
  do randombytes_buf(&options.fresh_id, sizeof options.fresh_id);
  while (options.fresh_id == 0);
  randombytes_buf(&options.salt_seed, sizeof options.salt_seed);

  int error = files_open(data_dir, &recovery->files);
  if (error != 0) {
    snprintf(why, why_bytes, "data directory %s: %s", data_dir, strerror(-error));
    return CORACLE_EIO;
  }
  error = disk_open(&recovery->files, &options, &recovery->disk, &recovery->found, &fault);
  if (error != 0) {
    snprintf(why, why_bytes, "data directory %s: %s", data_dir, fault.text);
    files_close(&recovery->files);
    return CORACLE_EIO;
  }
  prepare_node(recovery);
  recovery->took_ms = shell_now_ms() - recovery->started_ms;
  return 0;
}

static void log_harm(const struct recovery *recovery, struct log *log) {
  const struct disk_found *found = &recovery->found;
  if (found->cut[0] != '\0') log_printf(log, NODE_LOG_WARN, "%s", found->cut);
  if (found->damaged_n > 0)
    log_printf(log, NODE_LOG_WARN,
               "%d damaged %s in the meta files did no harm, since there is another: look at the disk",
               found->damaged_n, found->damaged_n == 1 ? "copy" : "copies");
}

void recovery_log(const struct recovery *recovery, struct log *log) {
  static const uint8_t none[DISK_CLUSTER_BYTES];
  const struct disk_found *found = &recovery->found;
  char cluster[CLUSTER_TEXT_BYTES];
  log_harm(recovery, log);
  if (found->made) {
    log_printf(log, NODE_LOG_INFO, "the data directory is new: this is node %016" PRIx64, found->id);
    return;
  }
  if (memcmp(found->cluster, none, sizeof none) == 0) {
    log_printf(log, NODE_LOG_INFO, "node %016" PRIx64 " again, of no cluster yet", found->id);
    return;
  }
  sodium_bin2hex(cluster, sizeof cluster, found->cluster, sizeof found->cluster);
  log_printf(log, NODE_LOG_INFO, "node %016" PRIx64 " of cluster %s again, in term %" PRIu64, found->id,
             cluster, found->raft.term);
  char snapshot[SNAPSHOT_TEXT_BYTES] = "no snapshot";
  if (found->snapshot.index > 0)
    snprintf(snapshot, sizeof snapshot, "a snapshot up to %" PRIu64 " (%.1f MB)", found->snapshot.index,
             (double)found->snapshot.bytes / 1e6);
  log_printf(log, NODE_LOG_INFO, "recovered in %" PRIu64 " ms: %s, and %zu entries in %.1f MB of log",
             recovery->took_ms, snapshot, found->entries_n, (double)found->log_bytes / 1e6);
}

void recovery_done(struct recovery *recovery) {
  disk_found_close(&recovery->found);
  recovery->found = (struct disk_found){0};
}

void recovery_close(struct recovery *recovery) {
  recovery_done(recovery);
  disk_free(recovery->disk);
  files_close(&recovery->files);
}
