#include "world_directory.h"

#include "base/memory.h"
#include "world_record.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

enum {
  CRASHES_PER_START_MAX = 3,
  CHANGES_PER_BATCH = 32, /* as many does it take to write something, with a new segment and an image in it */
  AUDIT_ONE_IN = 8,       /* of the times that it is tidied */
  TRY_ONE_IN = 4,         /* of batches */
};

static struct world_directory *directory_of(struct world *w, int node) {
  return &w->processes[node].disk.directory;
}

void directory_init(struct world_directory *d) {
  *d = (struct world_directory){.fresh_ids = QUEUE_OF(uint64_t)};
}

static void close_all(struct world_directory *d) {
  trial_forget(d);
  disk_found_close(&d->found);
  disk_free(d->writer);
  batch_free(d->batch);
  d->writer = NULL;
  d->batch = NULL;
}

void directory_free(struct world_directory *d) {
  close_all(d);
  fake_files_free(d->files);
  queue_close(&d->fresh_ids);
}

/* ---- What was found, and what there must be ---- */

/* Entries that the snapshot includes may be there yet: those just before what comes after it, and no others.
 */
static const char *compare_included(struct world *w, const struct world_disk *disk,
                                    const struct disk_found *found, size_t n) {
  const struct cluster_record *cluster = record_of(w, disk->cluster);
  for (size_t i = 0; i < n; i++) {
    const struct coracle_raft_entry *entry = found->entries[i];
    const struct committed *committed = queue_at(&cluster->committed, entry->index - 1);
    if (entry->index != found->entries[0]->index + i) return "there is a gap before its snapshot";
    if (committed != NULL && committed->term != entry->term) return "an entry before its snapshot is another";
    if (entry->index == disk->snapshot.index && entry->term != disk->snapshot.term)
      return "the last entry of its snapshot is another";
  }
  if (n > 0 && n < found->entries_n && found->entries[n - 1]->index != disk->snapshot.index)
    return "there is a gap at its snapshot";
  return NULL;
}

/* Not as it must be, in a few words; NULL: it is. */
static const char *compare_entries(struct world *w, const struct world_disk *disk,
                                   const struct disk_found *found) {
  size_t n = 0;
  while (n < found->entries_n && found->entries[n]->index <= disk->snapshot.index) n++;
  if (found->entries_n - n != disk->entries_n) return "it has another number of entries";
  for (size_t i = 0; i < disk->entries_n; i++) {
    const struct coracle_raft_entry *a = found->entries[n + i], *b = disk->entries[i];
    if (a->index != b->index || a->term != b->term || a->type != b->type) return "an entry is another";
    if (a->bytes != b->bytes || memcmp(a->data, b->data, a->bytes) != 0)
      return "an entry holds something else";
  }
  return compare_included(w, disk, found, n);
}

static bool same_members(const struct coracle_raft_configuration *a,
                         const struct coracle_raft_configuration *b) {
  struct coracle_raft_entry *one = coracle_raft_configuration_entry(a),
                            *other = coracle_raft_configuration_entry(b);
  const bool same = one->bytes == other->bytes && memcmp(one->data, other->data, one->bytes) == 0;
  coracle_raft_entry_unref(one);
  coracle_raft_entry_unref(other);
  return same;
}

static bool same_image(const struct world_disk *disk, struct snapshot_reader *reader) {
  struct disk_fault fault;
  struct slice piece;
  size_t done = 0;
  bool same = true;
  snapshot_reader_rewind(reader);
  do {
    if (snapshot_reader_next(reader, &piece, &fault) != 0) return false;
    if (piece.n == 0) break;
    same = same && piece.n <= disk->image.n - done && memcmp(piece.at, disk->image.data + done, piece.n) == 0;
    done += piece.n;
  } while (same);
  snapshot_reader_rewind(reader);
  return same && done == disk->image.n;
}

static const char *compare_snapshot(const struct world_disk *disk, const struct disk_found *found) {
  const struct coracle_raft_snapshot *a = &found->snapshot, *b = &disk->snapshot;
  if (a->index != b->index) return "its snapshot is of another index";
  if ((found->image != NULL) != (b->index != 0)) return "its snapshot has no image";
  if (b->index == 0) return NULL;
  if (a->term != b->term || a->tag != b->tag || a->bytes != b->bytes ||
      a->configuration_index != b->configuration_index || !same_members(&a->configuration, &b->configuration))
    return "its snapshot is another";
  return same_image(disk, found->image) ? NULL : "its image holds something else";
}

const char *directory_compare(struct world *w, const struct world_disk *disk,
                              const struct disk_found *found) {
  if (disk->id != 0 && found->id != disk->id) return "its id is another";
  if (memcmp(found->cluster, disk->cluster, sizeof disk->cluster) != 0) return "its cluster is another";
  if (found->raft.term != disk->term) return "its term is another";
  if (found->raft.voted_for != disk->voted_for) return "its vote is another";
  const char *why = compare_snapshot(disk, found);
  return why != NULL ? why : compare_entries(w, disk, found);
}

static void trace_files(struct world *w, int node) {
  size_t n;
  char **names = fake_files_names(directory_of(w, node)->files, &n);
  for (size_t i = 0; i < n; i++) {
    struct bytes content = {0};
    (void)fake_files_content(directory_of(w, node)->files, names[i], &content);
    world_trace(w, node, "  %s, %zu bytes", names[i], content.n);
    bytes_close(&content);
    free(names[i]);
  }
  free(names);
}

void directory_mismatch(struct world *w, int node, const struct disk_found *found, const char *why) {
  const struct world_disk *disk = &w->processes[node].disk;
  trace_files(w, node);
  world_trace(w, node,
              "found: id %016" PRIx64 ", term %" PRIu64 ", vote %016" PRIx64 ", snapshot %" PRIu64
              ", %zu entries to %" PRIu64 "%s%s",
              found->id, found->raft.term, found->raft.voted_for, found->snapshot.index, found->entries_n,
              found->entries_n > 0 ? found->entries[found->entries_n - 1]->index : 0,
              found->cut[0] != '\0' ? "; " : "", found->cut);
  world_trace(w, node,
              "there must be: id %016" PRIx64 ", term %" PRIu64 ", vote %016" PRIx64 ", snapshot %" PRIu64
              ", %zu entries to %" PRIu64,
              disk->id, disk->term, disk->voted_for, disk->snapshot.index, disk->entries_n,
              world_disk_last_index(disk));
  world_fail(w, "%c does not find on its disk what was made durable: %s", 'a' + node, why);
}

/* What was under way is there up to some point, or not at all. */
static void match(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  const struct disk_found *found = &disk->directory.found;
  const size_t under_way = disk->writes.n;
  const char *first = directory_compare(w, disk, found), *why = first;
  while (why != NULL && world_disk_write_part(w, node)) why = directory_compare(w, disk, found);
  if (why != NULL) directory_mismatch(w, node, found, first);
  if (under_way > 0)
    world_trace(w, node, "of %zu writes under way %zu are on its disk", under_way,
                under_way - disk->writes.n);
  world_disk_forget(w, node);
}

static void check_id(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  const uint64_t id = disk->directory.found.id, *offered;
  bool known = disk->id == id;
  for (size_t i = 0; disk->id == 0 && (offered = queue_at(&disk->directory.fresh_ids, i)) != NULL; i++)
    known = known || *offered == id;
  WORLD_CHECK(w, known);
  disk->id = id;
}

/* ---- Opening ---- */

int directory_open(struct world *w, int node, struct fake_files *files, struct disk **writer,
                   struct disk_found *found, struct disk_fault *fault) {
  struct world_directory *d = directory_of(w, node);
  const struct disk_options options = {.fresh_id = random_next(&w->random) | 1,
                                       .salt_seed = random_next(&w->random),
                                       .segment_bytes = w->options.segment_bytes,
                                       /* A clock may have been put back. */
                                       .start_min = world_dice(w, 8) == 0 ? 0 : world_wall_ms(w)};
  if (w->processes[node].disk.id == 0) *(uint64_t *)queue_push(&d->fresh_ids) = options.fresh_id;
  return disk_open(fake_files_table(files), &options, writer, found, fault);
}

bool directory_is_refusal(int error) {
  return error == CORACLE_EDAMAGED || error == CORACLE_ELIMIT;
}

/* Its process is gone, its handles with it. */
void directory_end(struct world *w, struct fake_files *files, bool power) {
  WORLD_CHECK(w, fake_files_handles(files) == 0);
  if (power) {
    fake_files_cut_power(files, world_dice(w, 4) == 0 ? FAKE_LOSE_ALL : FAKE_RANDOM);
  } else {
    fake_files_kill(files);
  }
}

/* A first attempt ends in the middle, or was as good as any. */
static bool try_to_open(struct world *w, int node, struct disk_fault *fault, int *error) {
  struct world_directory *d = directory_of(w, node);
  fake_files_crash_after(d->files, world_dice(w, DIRECTORY_CHANGES_PER_START));
  *error = directory_open(w, node, d->files, &d->writer, &d->found, fault);
  const bool crashed = fake_files_has_crashed(d->files);
  WORLD_CHECK(w, !crashed || *error != 0);
  if (!crashed) {
    fake_files_crash_after(d->files, UINT64_MAX);
    return true;
  }
  const bool power = world_dice(w, 2) == 0;
  world_trace(w, node, "%s while it reads its disk", power ? "loses power" : "is killed");
  d->torn = true;
  directory_end(w, d->files, power);
  return false;
}

static bool cannot_start(struct world *w, int node, int error, const struct disk_fault *fault) {
  struct world_directory *d = directory_of(w, node);
  const bool failed = fake_files_failed(d->files) > d->failed_before;
  world_trace(w, node, "cannot start: %s", fault->text);
  WORLD_CHECK(w, fault->text[0] != '\0');
  directory_end(w, d->files, false);
  if (error == CORACLE_EFULL) {
    WORLD_CHECK(w, d->limited);
  } else if (error == CORACLE_EIO && failed) {
    d->torn = true;
  } else if (directory_is_refusal(error) && d->harmed) {
    d->refused = true;
  } else {
    trace_files(w, node);
    world_fail(w, "%c is not started on a disk that is in order: %d, %s", 'a' + node, error, fault->text);
  }
  return false;
}

bool directory_start(struct world *w, int node) {
  struct world_directory *d = directory_of(w, node);
  struct disk_fault fault = {{0}};
  int error = 0;
  bool tried = false;
  if (d->files == NULL) {
    d->files = fake_files_new(random_next(&w->random));
    if (w->options.disk_faults && world_dice(w, 4) == 0) fake_files_promise_nothing(d->files);
  }
  d->failed_before = fake_files_failed(d->files);
  for (int i = 0; w->options.disk_faults && !tried && i < CRASHES_PER_START_MAX && world_dice(w, 4) == 0; i++)
    tried = try_to_open(w, node, &fault, &error);
  if (!tried) error = directory_open(w, node, d->files, &d->writer, &d->found, &fault);
  if (error != 0) return cannot_start(w, node, error, &fault);
  if (d->found.cut[0] != '\0') world_trace(w, node, "%s", d->found.cut);
  if (d->found.damaged_n > 0) world_trace(w, node, "%d bad copies did no harm", d->found.damaged_n);
  WORLD_CHECK(w, d->found.cut[0] == '\0' || d->torn || d->harmed);
  WORLD_CHECK(w, d->found.damaged_n == 0 || d->was_harmed);
  WORLD_CHECK(w, d->found.start > d->started);
  match(w, node);
  check_id(w, node);
  d->started = d->found.start;
  d->torn = d->found.cut[0] != '\0'; /* it is passed over, and there until more is written */
  d->harmed = d->refused = d->image_refused = d->compacted = false;
  d->refused_image = 0;
  return true;
}

static bool next_image(void *context, struct slice *piece) {
  struct world_directory *d = context;
  struct disk_fault fault;
  return snapshot_reader_next(d->found.image, piece, &fault) == 0;
}

bool directory_restore(struct world_directory *d, struct node_restored *restored) {
  static const uint8_t none[JOIN_CLUSTER_BYTES];
  if (memcmp(d->found.cluster, none, sizeof none) == 0) return false;
  *restored = (struct node_restored){.raft = d->found.raft};
  memcpy(restored->cluster, d->found.cluster, sizeof restored->cluster);
  if (d->found.image == NULL) return true;
  restored->next_image = next_image;
  restored->image = d;
  return true;
}

void directory_started(struct world_directory *d) {
  disk_found_close(&d->found);
}

/* ---- Writing ---- */

void directory_begin_batch(struct world *w, int node, size_t n) {
  struct world_disk *disk = &w->processes[node].disk;
  struct world_directory *d = &disk->directory;
  if (d->batch == NULL) d->batch = batch_new();
  batch_clear(d->batch);
  for (size_t i = 0; i < n; i++) {
    const struct world_write *write = queue_at(&disk->writes, i);
    const struct node_persist *persist = &write->persist;
    struct batch_item item = {.sequence = persist->sequence,
                              .identity = persist->identity,
                              .id = persist->id,
                              .own_image = persist->own_image,
                              .raft = persist->raft != NULL ? &write->raft : NULL};
    memcpy(item.cluster, persist->cluster, sizeof item.cluster);
    batch_add(d->batch, &item);
    if (item.raft != NULL && item.raft->chunk.snapshot != NULL && item.raft->chunk.offset == 0)
      d->refused_image = 0;
  }
}

/* Which one: the newest of its own that the batch begins. */
static void note_refused_image(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  const struct world_write *write;
  if (!disk_image_refused(disk->directory.writer)) return;
  WORLD_CHECK(w, disk->directory.limited);
  disk->directory.image_refused = true;
  for (size_t i = 0; i < disk->writing_n && (write = queue_at(&disk->writes, i)) != NULL; i++)
    if (write->persist.own_image && write->raft.chunk.offset == 0)
      disk->directory.refused_image = write->raft.chunk.snapshot->index;
  world_trace(w, node, "has no room for its image of index %" PRIu64, disk->directory.refused_image);
}

static enum directory_result result_of(struct world *w, int node, int error, const struct disk_fault *fault) {
  struct world_directory *d = directory_of(w, node);
  if (error == 0) return DIRECTORY_DONE;
  WORLD_CHECK(w, fault->text[0] != '\0');
  if (error == CORACLE_EFULL) {
    WORLD_CHECK(w, d->limited);
    return DIRECTORY_FULL;
  }
  WORLD_CHECK(w, error == CORACLE_EIO && fake_files_failed(d->files) > d->failed_before);
  world_trace(w, node, "ends: %s", fault->text);
  d->failed = true;
  return DIRECTORY_FAILED;
}

enum directory_result directory_write(struct world *w, int node) {
  struct world_directory *d = directory_of(w, node);
  struct disk_fault fault = {{0}};
  if (w->options.disk_faults && world_dice(w, TRY_ONE_IN) == 0) fake_files_picture_one(d->files);
  const int error = disk_write(d->writer, d->batch, &fault);
  note_refused_image(w, node);
  return result_of(w, node, error, &fault);
}

/* What a segment says of the log before it. */
static uint64_t begins_after(struct world *w, int node, const char *segment) {
  enum { LAST_INDEX_OFFSET = 64 };
  struct bytes content = {0};
  WORLD_CHECK(w, fake_files_content(directory_of(w, node)->files, segment, &content));
  struct reader r = reader_of(content.data + LAST_INDEX_OFFSET, sizeof(uint64_t));
  const uint64_t index = get_u64(&r);
  bytes_close(&content);
  return index;
}

/* One snapshot is enough, and so are the segments with what comes after it. (Where a crash came between a
 * snapshot and its record, what is before the record stays until the next snapshot, or start.) */
static void check_tidied(struct world *w, int node) {
  const struct world_disk *disk = &w->processes[node].disk;
  const uint64_t snapshot = disk->snapshot.index, needed = disk->directory.compacted ? snapshot : 0;
  size_t n, snapshots = 0, segments = 0;
  char **names = fake_files_names(directory_of(w, node)->files, &n);
  for (size_t i = 0; i < n; i++) {
    snapshots += strncmp(names[i], "snapshot/", 9) == 0 && strcmp(names[i], "snapshot/incoming") != 0;
    if (strncmp(names[i], "log/", 4) == 0 && strcmp(names[i], "log/spare") != 0 && segments++ > 0)
      WORLD_CHECK(w, begins_after(w, node, names[i]) >= needed);
    free(names[i]);
  }
  free(names);
  WORLD_CHECK(w, snapshots == (snapshot > 0));
}

enum directory_result directory_tidy(struct world *w, int node) {
  const struct world_disk *disk = &w->processes[node].disk;
  struct disk_fault fault = {{0}};
  const int error = disk_tidy(disk->directory.writer, &fault);
  if (error == 0 && disk->writing_n == 0) {
    check_tidied(w, node);
    if (w->options.disk_faults && world_dice(w, AUDIT_ONE_IN) == 0) trial_audit(w, node);
  }
  return result_of(w, node, error, &fault);
}

/* ---- The end of a process ---- */

void directory_crash(struct world *w, int node, bool power) {
  struct world_disk *disk = &w->processes[node].disk;
  struct world_directory *d = &disk->directory;
  struct disk_fault fault = {{0}};
  if (d->writer == NULL) return;
  if (disk->writing_n > 0) d->torn = true;
  if (disk->writing_n > 0 && !d->failed && world_dice(w, 4) != 0) {
    fake_files_crash_after(d->files, world_dice(w, world_dice(w, 2) == 0 ? 4 : CHANGES_PER_BATCH));
    const int error = disk_write(d->writer, d->batch, &fault);
    note_refused_image(w, node);
    if (error == 0) (void)!disk_tidy(d->writer, &fault);
  }
  d->torn = d->torn || d->failed;
  d->failed = false;
  close_all(d);
  directory_end(w, d->files, power);
}

/* ---- Faults ---- */

void directory_set_room(struct world_directory *d, uint64_t bytes) {
  if (d->files == NULL) return;
  d->limited = bytes != UINT64_MAX;
  fake_files_set_room(d->files, d->limited ? fake_files_used(d->files) + bytes : UINT64_MAX);
}

void directory_fail(struct world *w, int node) {
  static const unsigned operations[] = {FAKE_BIT(FAKE_SYNC),  FAKE_BIT(FAKE_SYNC),
                                        FAKE_BIT(FAKE_WRITE), FAKE_BIT(FAKE_SYNC_DIRECTORY),
                                        FAKE_CHANGES,         FAKE_ALL};
  struct world_directory *d = directory_of(w, node);
  if (d->files == NULL) return;
  fake_files_fail(d->files, operations[world_dice(w, sizeof operations / sizeof operations[0])],
                  world_dice(w, 6), -EIO);
}

void directory_heal(struct world_directory *d) {
  if (d->files == NULL) return;
  directory_set_room(d, UINT64_MAX);
  fake_files_fail(d->files, 0, 0, 0);
}

bool directory_harm(struct world *w, int node) {
  struct world_directory *d = directory_of(w, node);
  char what[160];
  if (d->files == NULL || !fake_files_damage(d->files, what)) return false;
  WORLD_CHECK(w, d->writer == NULL);
  world_trace(w, node, "damage at rest: %s", what);
  d->harmed = d->was_harmed = true;
  return true;
}

/* ---- A directory from elsewhere ---- */

void directory_make(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  struct world_directory *d = &disk->directory;
  struct disk_fault fault = {{0}};
  const struct coracle_raft_persist raft = {.vote_changed = true,
                                            .term = disk->term,
                                            .voted_for = disk->voted_for,
                                            .entries = disk->entries,
                                            .entries_n = disk->entries_n};
  struct batch_item item = {.sequence = 1, .identity = true, .id = disk->id, .raft = &raft};
  memcpy(item.cluster, disk->cluster, sizeof item.cluster);
  WORLD_CHECK(w, d->files == NULL && disk->snapshot.index == 0);
  d->files = fake_files_new(random_next(&w->random));
  d->batch = batch_new();
  batch_add(d->batch, &item);
  WORLD_CHECK(w, directory_open(w, node, d->files, &d->writer, &d->found, &fault) == 0);
  WORLD_CHECK(w, disk_write(d->writer, d->batch, &fault) == 0);
  close_all(d);
  directory_end(w, d->files, true);
}
