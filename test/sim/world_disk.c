/* What a process has on its disk, and on the way there. Whatever it wants made durable goes there in order,
 * some of it together; when that is done the process is told. A process that ends loses all that was under
 * way but some first part, of which it may never have been told.
 *
 * This is the model, which all that is checked of disks is checked against. The files themselves are
 * world_directory.c's; when a process starts, both must agree. */
#include "base/memory.h"
#include "world_core.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SLOW_FACTOR = 20, SLOW_ONE_IN = 50, RETRY_US = 200000 };

void world_disk_init(struct world_disk *disk) {
  *disk = (struct world_disk){.writes = QUEUE_OF(struct world_write)};
  directory_init(&disk->directory);
}

/* ---- What is there ---- */

uint64_t world_disk_last_index(const struct world_disk *disk) {
  return disk->entries_n > 0 ? disk->entries[disk->entries_n - 1]->index : disk->snapshot.index;
}

static struct coracle_raft_entry *entry_at(const struct world_disk *disk, uint64_t index) {
  if (disk->entries_n == 0 || index < disk->entries[0]->index || index > world_disk_last_index(disk))
    return NULL;
  return disk->entries[index - disk->entries[0]->index];
}

uint64_t world_disk_term_at(const struct world_disk *disk, uint64_t index) {
  const struct coracle_raft_entry *entry = entry_at(disk, index);
  if (entry != NULL) return entry->term;
  return index == disk->snapshot.index ? disk->snapshot.term : 0;
}

static void cut_from(struct world_disk *disk, uint64_t index) {
  while (disk->entries_n > 0 && world_disk_last_index(disk) >= index)
    coracle_raft_entry_unref(disk->entries[--disk->entries_n]);
}

static void drop_until(struct world_disk *disk, uint64_t index) {
  size_t n = 0;
  while (n < disk->entries_n && disk->entries[n]->index <= index)
    coracle_raft_entry_unref(disk->entries[n++]);
  disk->entries_n -= n;
  if (n > 0) memmove(disk->entries, disk->entries + n, disk->entries_n * sizeof disk->entries[0]);
}

static void clear(struct world_disk *disk) {
  cut_from(disk, 0);
  disk->term = disk->voted_for = 0;
  disk->snapshot.index = disk->arriving.index = 0;
  disk->image.n = disk->arrived.n = 0;
  memset(disk->cluster, 0, sizeof disk->cluster);
}

static void write_free(struct world_write *write) {
  for (size_t i = 0; i < write->raft.entries_n; i++) coracle_raft_entry_unref(write->entries[i]);
  free(write->entries);
  free(write->snapshot);
  free(write->chunk);
}

static void forget_writes(struct world_disk *disk) {
  for (struct world_write *write; (write = queue_at(&disk->writes, 0)) != NULL; queue_pop(&disk->writes))
    write_free(write);
  disk->arriving.index = 0;
  disk->arrived.n = 0;
}

void world_disk_wipe(struct world_disk *disk) {
  forget_writes(disk);
  clear(disk);
  disk->id = 0;
  directory_free(&disk->directory);
  directory_init(&disk->directory);
}

/* ---- Writing ---- */

static void append(struct world *w, struct world_disk *disk, struct coracle_raft_entry *entry) {
  WORLD_CHECK(w, entry->index == world_disk_last_index(disk) + 1);
  if (disk->entries_n == disk->entries_capacity) {
    disk->entries_capacity = disk->entries_capacity > 0 ? 2 * disk->entries_capacity : 64;
    disk->entries = memory_realloc(disk->entries, disk->entries_capacity * sizeof disk->entries[0]);
  }
  disk->entries[disk->entries_n++] = coracle_raft_entry_ref(entry);
}

static void write_chunk(struct world *w, struct world_disk *disk, const struct coracle_raft_persist *raft) {
  if (raft->chunk.offset == 0) {
    disk->arriving = *raft->chunk.snapshot;
    disk->arrived.n = 0;
  }
  WORLD_CHECK(w, raft->chunk.snapshot->index == disk->arriving.index);
  WORLD_CHECK(w, raft->chunk.offset == disk->arrived.n);
  bytes_append(&disk->arrived, raft->chunk.data, raft->chunk.n);
  if (!raft->chunk.installs) return;
  WORLD_CHECK(w, disk->arrived.n == disk->arriving.bytes);
  disk->directory.compacted = true;
  const struct bytes image = disk->image;
  disk->snapshot = disk->arriving;
  disk->image = disk->arrived;
  disk->arrived = image;
  disk->arrived.n = 0;
  disk->arriving.index = 0;
  if (raft->chunk.keep_log)
    drop_until(disk, disk->snapshot.index);
  else
    cut_from(disk, 0);
}

/* Of an image for which there was no room nothing is there. */
static bool is_refused(const struct world_disk *disk, const struct world_write *write) {
  return write->persist.own_image && write->raft.chunk.snapshot->index == disk->directory.refused_image;
}

static void write_identity(struct world_disk *disk, const struct node_persist *persist) {
  clear(disk);
  disk->id = persist->id;
  memcpy(disk->cluster, persist->cluster, sizeof disk->cluster);
}

static void write_vote(struct world *w, int node, const struct coracle_raft_persist *raft) {
  struct world_disk *disk = &w->processes[node].disk;
  durable_vote(w, node, raft->term, raft->voted_for);
  disk->term = raft->term;
  disk->voted_for = raft->voted_for;
}

static void write_log(struct world *w, struct world_disk *disk, const struct coracle_raft_persist *raft) {
  if (raft->truncate_from != 0) cut_from(disk, raft->truncate_from);
  for (size_t i = 0; raft->chunk.snapshot == NULL && i < raft->entries_n; i++)
    append(w, disk, raft->entries[i]);
}

/* The parts of a write: identity, term and vote; entries, which go and come together, and come with an
 * identity; a piece of an image, in between those that go and those that come. */
bool world_disk_write_part(struct world *w, int node) {
  enum { IDENTITY, LOG, IMAGE, ENTRIES };
  struct world_disk *disk = &w->processes[node].disk;
  struct world_write *write = queue_at(&disk->writes, 0);
  if (write == NULL) return false;
  const struct coracle_raft_persist *raft = &write->raft; /* zero: there is none */
  const bool has_image = raft->chunk.snapshot != NULL;
  switch (write->parts_done++) {
  case IDENTITY:
    if (write->persist.identity) write_identity(disk, &write->persist);
    if (raft->vote_changed) write_vote(w, node, raft);
    if (write->persist.identity) write_log(w, disk, raft);
    return true;
  case LOG:
    if (!write->persist.identity) write_log(w, disk, raft);
    return true;
  case IMAGE:
    if (has_image && !is_refused(disk, write)) write_chunk(w, disk, raft);
    return true;
  default:
    for (size_t i = 0; has_image && i < raft->entries_n; i++) append(w, disk, raft->entries[i]);
    disk->done = write->persist.sequence;
    write_free(write);
    queue_pop(&disk->writes);
    return true;
  }
}

void world_disk_forget(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  forget_writes(disk);
  disk->done = 0;
}

static void finish_after(struct world *w, int node, uint64_t us) {
  struct world_event *event = world_schedule(w, EVENT_DISK, us);
  event->node = node;
  event->incarnation = w->processes[node].incarnation;
  event->upto = w->processes[node].disk.batch;
}

/* All that waits goes to the disk together. */
static void begin(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  if (disk->writing_n > 0 || disk->writes.n == 0) return;
  disk->writing_n = disk->writes.n;
  disk->batch++;
  directory_begin_batch(w, node, disk->writing_n);
  uint64_t us = w->options.disk_us / 2 + world_dice(w, w->options.disk_us);
  if (world_dice(w, SLOW_ONE_IN) == 0) us *= SLOW_FACTOR;
  if (disk->hangs_until_us > w->now_us) us += disk->hangs_until_us - w->now_us;
  finish_after(w, node, us);
}

static void set_full(struct world *w, int node, bool full) {
  struct world_disk *disk = &w->processes[node].disk;
  if (disk->full != full) world_trace(w, node, full ? "its disk is full" : "its disk has room");
  disk->full = full;
  if (full) finish_after(w, node, RETRY_US);
}

/* False: not yet, or never. */
static bool write_batch(struct world *w, int node) {
  const enum directory_result result = directory_write(w, node);
  if (result == DIRECTORY_FAILED) process_disk_failed(w, node);
  if (result != DIRECTORY_FULL) return result == DIRECTORY_DONE;
  /* What is not needed any more may be in the way. */
  if (directory_tidy(w, node) == DIRECTORY_FAILED)
    process_disk_failed(w, node);
  else
    set_full(w, node, true);
  return false;
}

static void tidy(struct world *w, int node) {
  const enum directory_result result = directory_tidy(w, node);
  if (result == DIRECTORY_FAILED)
    process_disk_failed(w, node);
  else
    set_full(w, node, result == DIRECTORY_FULL);
}

void world_disk_is_done(struct world *w, int node, uint64_t batch) {
  struct world_disk *disk = &w->processes[node].disk;
  if (disk->batch != batch) return;
  process_poke(w, node);
  if (disk->writing_n == 0) {
    if (disk->full) tidy(w, node);
    return;
  }
  if (disk->ends != ENDS_NOT) {
    (disk->ends == ENDS_KILLED ? world_kill : world_cut_power)(w, node);
    return;
  }
  if (!write_batch(w, node)) return;
  const uint64_t last =
      ((const struct world_write *)queue_at(&disk->writes, disk->writing_n - 1))->persist.sequence;
  trial_begin(w, node);
  while (disk->done < last) {
    WORLD_CHECK(w, world_disk_write_part(w, node));
    trial_compare(w, node);
  }
  trial_end(w, node);
  disk->writing_n = 0;
  tidy(w, node);
  if (world_is_running(w, node)) begin(w, node);
}

void world_heal_disks(struct world *w) {
  for (int i = 0; i < w->options.nodes; i++) {
    w->processes[i].disk.hangs_until_us = 0;
    w->processes[i].disk.ends = ENDS_NOT;
    directory_heal(&w->processes[i].disk.directory);
    if (w->processes[i].disk.writing_n > 0) finish_after(w, i, w->options.disk_us);
  }
}

void world_disk_persist(struct world *w, int node, const struct node_persist *persist) {
  struct world_disk *disk = &w->processes[node].disk;
  struct world_write *write = queue_push(&disk->writes);
  WORLD_CHECK(w, persist->sequence > disk->done);
  write->persist = *persist;
  if (persist->raft != NULL) {
    const struct coracle_raft_persist *raft = persist->raft;
    write->raft = *raft;
    if (raft->entries_n > 0) write->entries = memory_alloc(raft->entries_n * sizeof write->entries[0]);
    for (size_t i = 0; i < raft->entries_n; i++) write->entries[i] = coracle_raft_entry_ref(raft->entries[i]);
    write->raft.entries = write->entries;
    if (raft->chunk.snapshot != NULL) {
      write->snapshot = memory_alloc(sizeof *write->snapshot);
      *write->snapshot = *raft->chunk.snapshot;
      write->raft.chunk.snapshot = write->snapshot;
      write->chunk = memory_alloc(raft->chunk.n + 1);
      if (raft->chunk.n > 0) memcpy(write->chunk, raft->chunk.data, raft->chunk.n);
      write->raft.chunk.data = write->chunk;
    }
  }
  durable_write(w, node, persist);
  begin(w, node);
}

/* ---- A process begins and ends ---- */

bool world_disk_start(struct world *w, int node) {
  return directory_start(w, node);
}

static void keep_first(struct world_disk *disk, size_t kept) {
  for (size_t i = 0, n = disk->writes.n; i < n; i++) {
    struct world_write write = *(struct world_write *)queue_at(&disk->writes, 0);
    queue_pop(&disk->writes);
    if (i < kept)
      *(struct world_write *)queue_push(&disk->writes) = write;
    else
      write_free(&write);
  }
}

void world_disk_crash(struct world *w, int node, bool power) {
  struct world_disk *disk = &w->processes[node].disk;
  if (!w->options.durable) {
    world_disk_wipe(disk);
    return;
  }
  directory_crash(w, node, power);
  keep_first(disk, disk->writing_n); /* how much of that is there the next start will tell */
  disk->writing_n = 0;
  disk->done = disk->told = 0;
  disk->full = disk->full_told = false;
  disk->ends = ENDS_NOT;
}

bool world_disk_is_ready(const struct world_disk *disk) {
  return disk->told < disk->done || disk->full != disk->full_told;
}

void world_disk_feed(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  if (disk->full != disk->full_told) {
    disk->full_told = disk->full;
    process_step(w, node, (struct node_event){.type = NODE_STORAGE, .full = disk->full});
    return;
  }
  disk->told = disk->done;
  const bool image_refused = disk->directory.image_refused;
  disk->directory.image_refused = false;
  process_step(
      w, node,
      (struct node_event){.type = NODE_PERSISTED, .sequence = disk->told, .image_refused = image_refused});
}

void world_disk_free(struct world_disk *disk) {
  forget_writes(disk);
  queue_close(&disk->writes);
  clear(disk);
  directory_free(&disk->directory);
  free(disk->entries);
  bytes_close(&disk->image);
  bytes_close(&disk->arrived);
  free(disk->asked.terms);
}
