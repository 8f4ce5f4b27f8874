/* What a process has on its disk, and on the way there. Whatever it wants made durable goes there in order,
 * some of it together; when that is done the process is told. A process that ends loses all that was under
 * way but some first part, of which it may never have been told. */
#include "base/memory.h"
#include "world_core.h"

#include <inttypes.h>
#include <stdlib.h>

enum { SLOW_FACTOR = 20, SLOW_ONE_IN = 50 };

void disk_init(struct disk *disk) {
  *disk = (struct disk){.writes = QUEUE_OF(struct disk_write)};
}

/* ---- What is there ---- */

uint64_t disk_last_index(const struct disk *disk) {
  return disk->entries_n > 0 ? disk->entries[disk->entries_n - 1]->index : disk->snapshot.index;
}

static struct coracle_raft_entry *entry_at(const struct disk *disk, uint64_t index) {
  if (disk->entries_n == 0 || index < disk->entries[0]->index || index > disk_last_index(disk)) return NULL;
  return disk->entries[index - disk->entries[0]->index];
}

uint64_t disk_term_at(const struct disk *disk, uint64_t index) {
  const struct coracle_raft_entry *entry = entry_at(disk, index);
  if (entry != NULL) return entry->term;
  return index == disk->snapshot.index ? disk->snapshot.term : 0;
}

static void cut_from(struct disk *disk, uint64_t index) {
  while (disk->entries_n > 0 && disk_last_index(disk) >= index)
    coracle_raft_entry_unref(disk->entries[--disk->entries_n]);
}

static void drop_until(struct disk *disk, uint64_t index) {
  size_t n = 0;
  while (n < disk->entries_n && disk->entries[n]->index <= index)
    coracle_raft_entry_unref(disk->entries[n++]);
  disk->entries_n -= n;
  if (n > 0) memmove(disk->entries, disk->entries + n, disk->entries_n * sizeof disk->entries[0]);
}

static void clear(struct disk *disk) {
  cut_from(disk, 0);
  disk->term = disk->voted_for = 0;
  disk->snapshot.index = disk->arriving.index = 0;
  disk->image.n = disk->arrived.n = 0;
  memset(disk->cluster, 0, sizeof disk->cluster);
}

void disk_wipe(struct disk *disk) {
  clear(disk);
  disk->id = 0;
}

/* ---- Writing ---- */

static void append(struct world *w, struct disk *disk, struct coracle_raft_entry *entry) {
  WORLD_CHECK(w, entry->index == disk_last_index(disk) + 1);
  if (disk->entries_n == disk->entries_capacity) {
    disk->entries_capacity = disk->entries_capacity > 0 ? 2 * disk->entries_capacity : 64;
    disk->entries = memory_realloc(disk->entries, disk->entries_capacity * sizeof disk->entries[0]);
  }
  disk->entries[disk->entries_n++] = coracle_raft_entry_ref(entry);
}

static void write_chunk(struct world *w, struct disk *disk, const struct coracle_raft_persist *raft) {
  if (raft->chunk.offset == 0) {
    disk->arriving = *raft->chunk.snapshot;
    disk->arrived.n = 0;
  }
  WORLD_CHECK(w, raft->chunk.snapshot->index == disk->arriving.index);
  WORLD_CHECK(w, raft->chunk.offset == disk->arrived.n);
  bytes_append(&disk->arrived, raft->chunk.data, raft->chunk.n);
  if (!raft->chunk.installs) return;
  WORLD_CHECK(w, disk->arrived.n == disk->arriving.bytes);
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

static void write_raft(struct world *w, int node, const struct coracle_raft_persist *raft) {
  struct disk *disk = &w->processes[node].disk;
  if (raft->vote_changed) {
    durable_vote(w, node, raft->term, raft->voted_for);
    disk->term = raft->term;
    disk->voted_for = raft->voted_for;
  }
  if (raft->truncate_from != 0) cut_from(disk, raft->truncate_from);
  if (raft->chunk.snapshot != NULL) write_chunk(w, disk, raft);
  for (size_t i = 0; i < raft->entries_n; i++) append(w, disk, raft->entries[i]);
}

static void write_free(struct disk_write *write) {
  for (size_t i = 0; i < write->raft.entries_n; i++) coracle_raft_entry_unref(write->entries[i]);
  free(write->entries);
  free(write->snapshot);
  free(write->chunk);
}

/* The oldest one gets there. */
static void write_one(struct world *w, int node) {
  struct disk *disk = &w->processes[node].disk;
  struct disk_write *write = queue_at(&disk->writes, 0);
  const struct node_persist *persist = &write->persist;
  if (persist->identity) {
    clear(disk);
    disk->id = persist->id;
    memcpy(disk->cluster, persist->cluster, sizeof disk->cluster);
  }
  if (persist->raft != NULL) write_raft(w, node, &write->raft);
  disk->done = persist->sequence;
  write_free(write);
  queue_pop(&disk->writes);
}

static void finish_after(struct world *w, int node, uint64_t us) {
  struct world_event *event = world_schedule(w, EVENT_DISK, us);
  event->node = node;
  event->incarnation = w->processes[node].incarnation;
  event->upto = w->processes[node].disk.batch;
}

/* All that waits goes to the disk together. */
static void begin(struct world *w, int node) {
  struct disk *disk = &w->processes[node].disk;
  if (disk->writing_n > 0 || disk->writes.n == 0) return;
  disk->writing_n = disk->writes.n;
  disk->batch++;
  uint64_t us = w->options.disk_us / 2 + world_dice(w, w->options.disk_us);
  if (world_dice(w, SLOW_ONE_IN) == 0) us *= SLOW_FACTOR;
  if (disk->hangs_until_us > w->now_us) us += disk->hangs_until_us - w->now_us;
  finish_after(w, node, us);
}

void disk_is_done(struct world *w, int node, uint64_t batch) {
  struct disk *disk = &w->processes[node].disk;
  if (disk->batch != batch || disk->writing_n == 0) return;
  for (; disk->writing_n > 0; disk->writing_n--) write_one(w, node);
  process_poke(w, node);
  begin(w, node);
}

void world_heal_disks(struct world *w) {
  for (int i = 0; i < w->options.nodes; i++) {
    w->processes[i].disk.hangs_until_us = 0;
    if (w->processes[i].disk.writing_n > 0) finish_after(w, i, w->options.disk_us);
  }
}

void disk_persist(struct world *w, int node, const struct node_persist *persist) {
  struct disk *disk = &w->processes[node].disk;
  struct disk_write *write = queue_push(&disk->writes);
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

void disk_crash(struct world *w, int node) {
  struct disk *disk = &w->processes[node].disk;
  if (!w->options.durable) {
    disk_wipe(disk);
    return;
  }
  uint64_t kept = world_dice(w, 3) == 0 ? disk->writes.n : world_dice(w, disk->writes.n + 1);
  if (disk->writes.n > 0)
    world_trace(w, node, "of %zu writes under way %" PRIu64 " are on its disk", disk->writes.n, kept);
  for (; kept > 0; kept--) write_one(w, node);
  for (struct disk_write *write; (write = queue_at(&disk->writes, 0)) != NULL; queue_pop(&disk->writes))
    write_free(write);
  disk->writing_n = 0;
  disk->done = disk->told = 0;
  disk->arriving.index = 0;
  disk->arrived.n = 0;
}

bool disk_is_ready(const struct disk *disk) {
  return disk->told < disk->done;
}

void disk_feed(struct world *w, int node) {
  struct disk *disk = &w->processes[node].disk;
  disk->told = disk->done;
  process_step(w, node, (struct node_event){.type = NODE_PERSISTED, .sequence = disk->told});
}

bool disk_restore(const struct disk *disk, struct node_restored *restored) {
  static const uint8_t none[JOIN_CLUSTER_BYTES];
  if (memcmp(disk->cluster, none, sizeof none) == 0) return false;
  *restored = (struct node_restored){.raft = {.term = disk->term,
                                              .voted_for = disk->voted_for,
                                              .snapshot = disk->snapshot.index > 0 ? &disk->snapshot : NULL,
                                              .entries = disk->entries,
                                              .entries_n = disk->entries_n},
                                     .image = slice_of_bytes(&disk->image)};
  memcpy(restored->cluster, disk->cluster, sizeof restored->cluster);
  return true;
}

void disk_free(struct disk *disk) {
  for (struct disk_write *write; (write = queue_at(&disk->writes, 0)) != NULL; queue_pop(&disk->writes))
    write_free(write);
  queue_close(&disk->writes);
  clear(disk);
  free(disk->entries);
  bytes_close(&disk->image);
  bytes_close(&disk->arrived);
  free(disk->asked.terms);
}
