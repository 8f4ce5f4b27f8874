/* Finding the log at a start: which segments there are, what they tell, and mending what a crash left.
 * Nothing is changed before all of it has been understood. */
#include "disk/log_core.h"

#include "base/memory.h"
#include "disk/io.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct candidate {
  uint64_t number;
  bool good, old; /* its header is; it is of an earlier generation */
  struct segment_header header;
};

struct recovery {
  const struct files *files;
  const struct log_options *options;
  uint64_t snapshot_index, snapshot_term;
  struct disk_fault *fault;

  struct candidate *candidates; /* ascending; those of this generation, and those with a bad header */
  size_t candidates_n;
  uint64_t *old; /* numbers of those of earlier generations */
  size_t old_n;
  size_t first;         /* of the candidates, the first that is needed; those after it are too */
  uint64_t number_last; /* of all that there are */

  /* What they tell: the entries after `base`. */
  char name[FILES_NAME_BYTES_MAX]; /* of the segment that is read */
  struct log_place place;
  uint64_t base, base_term; /* term 0: not known */
  struct coracle_raft_entry **entries;
  size_t entries_n, entries_capacity;
  struct segment_scan scan; /* of the last one that was read */
};

static int damage(struct recovery *r, uint64_t offset, const char *wrong) {
  disk_fault_set(r->fault,
                 "%s is damaged at offset %" PRIu64 ": %s. What was acknowledged may be lost: " IO_REMEDY,
                 r->name, offset, wrong);
  return CORACLE_EDAMAGED;
}

static int missing(struct recovery *r, uint64_t number) {
  char name[FILES_NAME_BYTES_MAX];
  log_name(number, name);
  disk_fault_set(r->fault, "%s is missing, and what was acknowledged may be lost with it: " IO_REMEDY, name);
  return CORACLE_EDAMAGED;
}

/* ---- Which there are ---- */

static void put_id(char text[2 * DISK_CLUSTER_BYTES + 1], const uint8_t id[DISK_CLUSTER_BYTES]) {
  for (size_t i = 0; i < DISK_CLUSTER_BYTES; i++) {
    text[2 * i] = "0123456789abcdef"[id[i] >> 4];
    text[2 * i + 1] = "0123456789abcdef"[id[i] & 15];
  }
  text[2 * DISK_CLUSTER_BYTES] = '\0';
}

static int refuse_foreign(struct recovery *r, const struct stamp *theirs) {
  const struct stamp *ours = &r->options->stamp;
  char their_cluster[2 * DISK_CLUSTER_BYTES + 1], our_cluster[2 * DISK_CLUSTER_BYTES + 1];
  put_id(their_cluster, theirs->cluster);
  put_id(our_cluster, ours->cluster);
  disk_fault_set(
      r->fault,
      "%s at offset 0 says that it belongs to node %016" PRIx64 " of cluster %s, generation %" PRIu64
      ", and meta-1 and meta-2 are of node %016" PRIx64 " of cluster %s, generation %" PRIu64
      ": this directory holds files of two; put back the right ones",
      r->name, theirs->id, their_cluster, theirs->generation, ours->id, our_cluster, ours->generation);
  return CORACLE_EDAMAGED;
}

static int look_at(struct recovery *r, uint64_t number, bool is_last) {
  struct candidate candidate = {.number = number};
  const struct stamp *ours = &r->options->stamp, *theirs = &candidate.header.stamp;
  log_name(number, r->name);
  int error = segment_read_header(r->files, r->name, &candidate.header, &candidate.good, r->fault);
  if (error != 0) return error;
  if (candidate.good && theirs->generation < ours->generation) {
    r->old[r->old_n++] = number;
    return 0;
  }
  /* The last segment of all may be of an identity that was about to be taken: log_begin(). */
  const bool was_to_come = is_last && theirs->generation == ours->generation + 1;
  if (candidate.good && was_to_come) {
    r->old[r->old_n++] = number;
    r->number_last = number - 1; /* this generation goes on without a gap */
    return 0;
  }
  if (candidate.good && !stamp_equal(theirs, ours)) return refuse_foreign(r, theirs);
  if (candidate.good && candidate.header.number != number)
    return damage(r, STAMP_BYTES, "it is a copy of another segment");
  r->candidates[r->candidates_n++] = candidate;
  return 0;
}

static int look(struct recovery *r) {
  uint64_t *numbers;
  size_t n;
  int error = log_numbers(r->files, false, &numbers, &n, r->fault);
  if (error != 0) return error;
  r->candidates = memory_alloc(n * sizeof r->candidates[0]);
  r->old = memory_alloc(n * sizeof r->old[0]);
  r->number_last = n > 0 ? numbers[n - 1] : 0;
  for (size_t i = 0; error == 0 && i < n; i++) error = look_at(r, numbers[i], i + 1 == n);
  if (r->number_last < r->options->number_min) r->number_last = r->options->number_min;
  free(numbers);
  return error;
}

/* ---- Which are needed ---- */

/* The fault is the one that its header had. */
static int refuse_header(struct recovery *r, const struct candidate *candidate) {
  struct segment_header header;
  bool good;
  log_name(candidate->number, r->name);
  int error = segment_read_header(r->files, r->name, &header, &good, r->fault);
  return error != 0 ? error : CORACLE_EDAMAGED;
}

static bool can_be_first(const struct recovery *r, const struct candidate *candidate) {
  const struct segment_header *header = &candidate->header;
  return log_can_begin(header->last_index, header->last_term, r->snapshot_index);
}

static int refuse_beginning(struct recovery *r, size_t i) {
  const struct candidate *candidate = &r->candidates[i];
  if (i > 0 && r->candidates[i - 1].number + 1 == candidate->number)
    return refuse_header(r, &r->candidates[i - 1]);
  if (i > 0 || (r->snapshot_index > 0 && candidate->number > 1)) return missing(r, candidate->number - 1);
  log_name(candidate->number, r->name);
  disk_fault_set(r->fault,
                 "%s at offset 64 says that it begins after entry %" PRIu64
                 ", and there is neither a segment nor a snapshot of what was before: " IO_REMEDY,
                 r->name, candidate->header.last_index);
  return CORACLE_EDAMAGED;
}

/* Of what is there, the newest segments without a gap count. The first is the last one before which all is in
 * the snapshot: so those that were to be removed, and of which a crash left some, are in nobody's way,
 * whatever became of them, and a gap, or a bad header, below what is needed is no damage. */
static int choose(struct recovery *r) {
  const size_t n = r->candidates_n;
  r->first = n;
  if (n > 0 && !r->candidates[n - 1].good) return refuse_header(r, &r->candidates[n - 1]);
  if (r->options->number_min > (n > 0 ? r->candidates[n - 1].number : 0))
    return missing(r, r->options->number_min);
  if (n == 0) return 0;
  size_t i = n - 1;
  while (!can_be_first(r, &r->candidates[i])) {
    const bool follows =
        i > 0 && r->candidates[i - 1].good && r->candidates[i - 1].number + 1 == r->candidates[i].number;
    if (!follows) return refuse_beginning(r, i);
    i--;
  }
  r->first = i;
  return 0;
}

/* ---- What they tell ---- */

static void drop_entries(struct recovery *r, uint64_t from) {
  while (r->entries_n > 0 && r->entries[r->entries_n - 1]->index >= from)
    coracle_raft_entry_unref(r->entries[--r->entries_n]);
}

/* 0: it is not among those that are known. */
static uint64_t term_at(const struct recovery *r, uint64_t index) {
  if (index == r->base) return r->base_term;
  if (index < r->base || index > r->base + r->entries_n) return 0;
  return r->entries[index - r->base - 1]->term;
}

static int refuse_type(struct recovery *r, const struct log_record *record, uint64_t offset) {
  disk_fault_set(
      r->fault,
      "%s at offset %" PRIu64 ": entry %" PRIu64
      " is of type %u and was written by a newer version of Coracle: start that, or one newer still",
      r->name, offset, record->index, record->entry_type);
  return CORACLE_ELIMIT;
}

static int replay_entry(struct recovery *r, const struct log_record *record, uint64_t offset) {
  if (record->entry_type < CORACLE_RAFT_NOOP || record->entry_type > CORACLE_RAFT_COMMAND)
    return refuse_type(r, record, offset);
  struct coracle_raft_entry *entry =
      coracle_raft_entry_new((enum coracle_raft_entry_type)record->entry_type, record->data.n);
  if (entry == NULL) abort(); /* as base/memory.h does */
  entry->index = record->index;
  entry->term = record->term;
  if (record->data.n > 0) memcpy(entry->data, record->data.at, record->data.n);
  if (r->entries_n == r->entries_capacity) {
    r->entries_capacity = r->entries_capacity == 0 ? 1024 : 2 * r->entries_capacity;
    r->entries = memory_realloc(r->entries, r->entries_capacity * sizeof r->entries[0]);
  }
  r->entries[r->entries_n++] = entry;
  return 0;
}

static int replay_truncate(struct recovery *r, const struct log_record *record) {
  drop_entries(r, record->index);
  if (r->place.last_index < r->base) {
    r->base = r->place.last_index;
    r->base_term = 0;
  }
  r->place.last_term = term_at(r, r->place.last_index);
  return 0;
}

static int replay_snapshot(struct recovery *r, const struct log_record *record, uint64_t offset) {
  if (record->index > r->snapshot_index) {
    disk_fault_set(r->fault,
                   "%s at offset %" PRIu64 " tells of a snapshot of entry %" PRIu64
                   ", which is missing: " IO_REMEDY,
                   r->name, offset, record->index);
    return CORACLE_EDAMAGED;
  }
  const uint64_t term = record->index == r->snapshot_index ? r->snapshot_term : record->term;
  const uint64_t own = record->keep ? term_at(r, record->index) : 0;
  if (record->term != term || (own != 0 && own != term))
    return damage(r, offset, "a snapshot is said to be of another term than it is");
  if (record->keep) return 0;
  drop_entries(r, 0);
  r->base = record->index;
  r->base_term = record->term;
  return 0;
}

static int replay_record(void *argument, const struct log_record *record, uint64_t offset) {
  struct recovery *r = argument;
  const char *wrong = log_place_step(&r->place, record);
  if (wrong != NULL) return damage(r, offset, wrong);
  switch (record->type) {
  case LOG_ENTRY:
    return replay_entry(r, record, offset);
  case LOG_TRUNCATE:
    return replay_truncate(r, record);
  case LOG_SNAPSHOT:
    break;
  }
  return replay_snapshot(r, record, offset);
}

/* Does it go on where the one before it ended? A torn frame at the end of that one was never acknowledged if
 * the next one's chain is of the frame before: whoever began the next one had left it out. */
static int check_link(struct recovery *r, const struct candidate *before,
                      const struct segment_header *header) {
  const bool is_term_known = header->last_term != 0 && r->place.last_term != 0;
  if (header->chain != r->scan.chain) {
    if (r->scan.ending != SEGMENT_TORN) return damage(r, 56, "it does not follow the segment before it");
    log_name(before->number, r->name);
    return damage(r, r->scan.end, "a frame is in part missing, and a later segment follows it");
  }
  if (header->last_index != r->place.last_index || (is_term_known && header->last_term != r->place.last_term))
    return damage(r, 64, "the segment before it ends with another entry");
  return 0;
}

static int replay_segment(struct recovery *r, size_t i) {
  const struct candidate *candidate = &r->candidates[i];
  log_name(candidate->number, r->name);
  if (i == r->first) {
    r->base = r->place.last_index = candidate->header.last_index;
    r->base_term = r->place.last_term = candidate->header.last_term;
  } else {
    int error = check_link(r, candidate - 1, &candidate->header);
    if (error != 0) return error;
  }
  r->place.reset = false;
  int error = segment_read(r->files, r->name, replay_record, r, &r->scan, r->fault);
  if (error != 0) return error;
  return r->scan.ending == SEGMENT_DAMAGED ? CORACLE_EDAMAGED : 0;
}

static int replay(struct recovery *r, uint64_t *bytes) {
  uint64_t done = 0, all = 0;
  for (size_t i = r->first; i < r->candidates_n; i++) all += r->candidates[i].header.bytes;
  for (size_t i = r->first; i < r->candidates_n; i++) {
    int error = replay_segment(r, i);
    if (error != 0) return error;
    done += r->candidates[i].header.bytes;
    *bytes += r->scan.end;
    if (r->options->progress != NULL) r->options->progress(r->options->progress_argument, done, all);
  }
  return 0;
}

/* ---- The snapshot ---- */

/* Does the log have the snapshot's last entry? Always, unless a crash came between the snapshot's rename and
 * its record: then Figure 5.3 says what becomes of the log. That it was dropped must be known to whoever
 * reads on after the next append, so its record goes before that. */
static void settle(struct recovery *r, struct log *log) {
  if (r->snapshot_index == 0) return;
  if (term_at(r, r->snapshot_index) == r->snapshot_term) return;
  drop_entries(r, 0);
  log->owes_record = true;
  log->owed = (struct log_record){
      .type = LOG_SNAPSHOT, .index = r->snapshot_index, .term = r->snapshot_term, .keep = false};
}

/* ---- Mending ---- */

/* Writes the last frame again. The process that wrote it may have ended before it was synced, or because a
 * sync failed, after which the system may take what it has for written when it is not: in both cases what was
 * read here is not durable, and is about to be relied on. */
static int write_again(struct log *log, uint64_t offset, struct disk_fault *fault) {
  const size_t n = (size_t)(log->end - offset);
  uint8_t *frame = memory_alloc(n);
  size_t got;
  int error = io_read(log->files, log->file, log->name, offset, frame, n, &got, fault);
  if (error == 0) error = io_write(log->files, log->file, log->name, offset, frame, got, fault);
  free(frame);
  return error == 0 ? io_sync(log->files, log->file, log->name, fault) : error;
}

/* A torn frame stays where it is, and the log goes on in a new segment. Zeroing it would take a sync, and one
 * that fails can hide from all who read later that it comes back with the next power cut. */
static int mend(struct recovery *r, struct log *log, struct log_found *found) {
  if (r->first == r->candidates_n) return 0;
  for (size_t i = r->first; i < r->candidates_n; i++) log_add_segment(log, &r->candidates[i].header);
  memcpy(log->name, r->name, sizeof log->name);
  log->header = r->scan.header;
  log->end = r->scan.end;
  log->chain = r->scan.chain;
  log->roll = r->place.reset;
  int error = io_open(r->files, log->name, FILES_UPDATE, &log->file, r->fault);
  if (error != 0) {
    log->file = -1;
    return error;
  }
  if (r->scan.ending == SEGMENT_TORN) {
    found->cut_bytes = r->scan.torn_bytes;
    found->cut_offset = log->end;
    memcpy(found->cut_name, log->name, sizeof found->cut_name);
    log->roll = true;
  }
  return r->scan.frames_n > 0 ? write_again(log, r->scan.last, r->fault)
                              : io_sync(r->files, log->file, log->name, r->fault);
}

static int remove_segment(struct recovery *r, uint64_t number) {
  log_name(number, r->name);
  return io_remove(r->files, r->name, r->fault);
}

/* The segments that stay have durable names before others lose theirs: a process that was killed may not have
 * got to make the newest one's so. And those that go do not come back: one of another identity, and of the
 * same generation as one that will be, would be fatal. */
static int remove_needless(struct recovery *r) {
  int error = io_sync_directory(r->files, LOG_FOLDER, r->fault);
  if (error == 0) error = io_remove(r->files, LOG_SPARE, r->fault);
  for (size_t i = 0; error == 0 && i < r->old_n; i++) error = remove_segment(r, r->old[i]);
  for (size_t i = 0; error == 0 && i < r->first; i++) error = remove_segment(r, r->candidates[i].number);
  if (error != 0 || r->old_n + r->first == 0) return error;
  return io_sync_directory(r->files, LOG_FOLDER, r->fault);
}

/* ---- Opening ---- */

static struct log *log_new(const struct files *files, const struct log_options *options) {
  struct log *log = memory_zalloc(sizeof *log);
  log->files = files;
  log->options = *options;
  if (log->options.segment_bytes == 0) log->options.segment_bytes = LOG_SEGMENT_BYTES;
  const uint64_t bytes = log->options.segment_bytes;
  assert(bytes > SEGMENT_FRAMES_OFFSET && bytes <= SEGMENT_BYTES_MAX && bytes % FILES_SECTOR_BYTES == 0);
  log->salts.state = options->salt_seed;
  log->file = log->spare = -1;
  return log;
}

/* Two logs cannot have a spare each: they have one name. */
struct log *log_begin(struct log *before, const struct stamp *stamp) {
  struct log_options options = before->options;
  if (before->spare >= 0) before->files->close(before->files->context, before->spare);
  before->spare = -1;
  options.stamp = *stamp;
  options.salt_seed = before->salts.state ^ stamp->generation;
  struct log *log = log_new(before->files, &options);
  log->number_next = before->number_next;
  return log;
}

static int recover(struct recovery *r, struct log *log, struct log_found *found) {
  int error = look(r);
  if (error == 0) error = choose(r);
  if (error != 0) return error;
  r->place = (struct log_place){.last_index = r->snapshot_index, .last_term = r->snapshot_term};
  error = replay(r, &found->bytes);
  if (error != 0) return error;
  settle(r, log);
  error = mend(r, log, found);
  if (error == 0) error = remove_needless(r);
  if (error != 0) return error;
  log->place = r->place;
  log->place.snapshot = r->snapshot_index;
  log->number_next = (log->segments_n > 0 ? log_number(log) : r->number_last) + 1;
  found->entries = r->entries;
  found->entries_n = r->entries_n;
  r->entries = NULL;
  r->entries_n = 0;
  return 0;
}

int log_open(const struct files *files, const struct log_options *options, uint64_t snapshot_index,
             uint64_t snapshot_term, struct log **opened, struct log_found *found, struct disk_fault *fault) {
  struct recovery r = {.files = files,
                       .options = options,
                       .snapshot_index = snapshot_index,
                       .snapshot_term = snapshot_term,
                       .fault = fault};
  struct log *log = log_new(files, options);
  *found = (struct log_found){0};
  int error = recover(&r, log, found);
  drop_entries(&r, 0);
  free(r.entries);
  free(r.candidates);
  free(r.old);
  if (error != 0) {
    log_free(log);
    return error;
  }
  *opened = log;
  return 0;
}

void log_found_close(struct log_found *found) {
  for (size_t i = 0; i < found->entries_n; i++) coracle_raft_entry_unref(found->entries[i]);
  free(found->entries);
  *found = (struct log_found){0};
}
