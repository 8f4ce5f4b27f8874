/* Writing the log. How it is found at a start is log_recover.c's affair. */
#include "disk/log_core.h"

#include "base/memory.h"
#include "disk/io.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { NUMBER_DIGITS = 16, PAGE_BYTES = 4096 };

void log_name(uint64_t number, char name[FILES_NAME_BYTES_MAX]) {
  snprintf(name, FILES_NAME_BYTES_MAX, LOG_FOLDER "/%016" PRIx64, number);
}

uint64_t log_number(const struct log *log) {
  return log->segments_n > 0 ? log->segments[log->segments_n - 1].number : 0;
}

void log_free(struct log *log) {
  if (log == NULL) return;
  if (log->file >= 0) log->files->close(log->files->context, log->file);
  if (log->spare >= 0) log->files->close(log->files->context, log->spare);
  bytes_close(&log->frame);
  bytes_close(&log->records);
  free(log->segments);
  free(log);
}

void log_add_segment(struct log *log, const struct segment_header *header) {
  log->segments = memory_realloc(log->segments, (log->segments_n + 1) * sizeof log->segments[0]);
  log->segments[log->segments_n++] =
      (struct log_segment){header->number, header->last_index, header->last_term};
}

bool log_can_begin(uint64_t last_index, uint64_t last_term, uint64_t snapshot_index) {
  if (last_index != snapshot_index) return last_index < snapshot_index;
  return last_index == 0 || last_term != 0;
}

/* ---- The story ---- */

static const char *step_entry(struct log_place *place, const struct log_record *record) {
  if (record->index != place->last_index + 1) return "an entry does not follow the one before it";
  if (record->term < place->last_term) return "an entry is of an older term than the one before it";
  place->last_index = record->index;
  place->last_term = record->term;
  return NULL;
}

/* One after the last entry, it truncates nothing, and does no harm. */
static const char *step_truncate(struct log_place *place, const struct log_record *record) {
  if (record->index > place->last_index + 1) return "entries that are not there are truncated";
  if (record->index <= place->snapshot) return "entries that a snapshot includes are truncated";
  if (record->index == place->last_index + 1) return NULL;
  place->last_index = record->index - 1;
  place->last_term = 0;
  return NULL;
}

static const char *step_snapshot(struct log_place *place, const struct log_record *record) {
  if (record->index < place->snapshot) return "a snapshot is older than the one before it";
  if (record->keep && record->index > place->last_index)
    return "a snapshot is said to be of an entry that the log does not have";
  place->snapshot = record->index;
  if (!record->keep) place->reset = true;
  if (!record->keep || record->index == place->last_index) {
    place->last_index = record->index;
    place->last_term = record->term;
  }
  return NULL;
}

const char *log_place_step(struct log_place *place, const struct log_record *record) {
  switch (record->type) {
  case LOG_ENTRY:
    return step_entry(place, record);
  case LOG_TRUNCATE:
    return step_truncate(place, record);
  case LOG_SNAPSHOT:
    break;
  }
  return step_snapshot(place, record);
}

/* Nothing is written that could not be read again: that would be our own mistake, to be found before it is
 * durable. */
static struct log_place place_after(const struct log *log, const void *records, size_t n) {
  struct log_place place = log->place;
  struct reader r = reader_of(records, n);
  struct log_record record;
  place.reset = false;
  while (reader_left(&r) > 0) {
    const bool is_record = log_record_get(&r, &record);
    assert(is_record);
    const char *wrong = log_place_step(&place, &record);
    assert(wrong == NULL);
  }
  return place;
}

/* ---- Segments ---- */

/* A file of the spare's name is left over from an attempt that found no room. */
static int make_spare(struct log *log, uint64_t bytes, struct disk_fault *fault) {
  const struct files *files = log->files;
  int error = io_create(files, LOG_SPARE, &log->spare, fault);
  if (error != 0) {
    log->spare = -1;
    return error;
  }
  error = files->allocate(files->context, log->spare, bytes);
  if (error != 0) {
    error = disk_fault_system(fault, error, "make room for", LOG_SPARE);
  } else {
    error = io_sync(files, log->spare, LOG_SPARE, fault);
  }
  log->spare_bytes = bytes;
  if (error == 0) return 0;
  files->close(files->context, log->spare);
  log->spare = -1;
  if (error == CORACLE_EFULL && io_remove(files, LOG_SPARE, fault) != 0) return CORACLE_EIO;
  return error;
}

static int grow_spare(struct log *log, uint64_t bytes, struct disk_fault *fault) {
  if (log->spare < 0) return make_spare(log, bytes, fault);
  if (log->spare_bytes >= bytes) return 0;
  const int error = log->files->allocate(log->files->context, log->spare, bytes);
  if (error != 0) return disk_fault_system(fault, error, "make room for", LOG_SPARE);
  log->spare_bytes = bytes;
  return 0;
}

static uint64_t segment_bytes(const struct log *log, uint64_t frame) {
  const uint64_t bytes = log->options.segment_bytes;
  const uint64_t needed = SEGMENT_FRAMES_OFFSET + frame;
  return needed <= bytes ? bytes : (needed + PAGE_BYTES - 1) / PAGE_BYTES * PAGE_BYTES;
}

/* A segment gets its name when its header is durable, and a frame when its name is. */
static int roll(struct log *log, uint64_t frame, struct disk_fault *fault) {
  const struct files *files = log->files;
  char name[FILES_NAME_BYTES_MAX];
  int error = grow_spare(log, segment_bytes(log, frame), fault);
  if (error != 0) return error;
  struct segment_header header = {.stamp = log->options.stamp,
                                  .number = log->number_next,
                                  .bytes = log->spare_bytes,
                                  .chain = log->chain,
                                  .last_index = log->place.last_index,
                                  .last_term = log->place.last_term,
                                  .salt = random_next(&log->salts)};
  log->frame.n = 0;
  segment_header_put(&log->frame, &header);
  log_name(header.number, name);
  error = io_write(files, log->spare, LOG_SPARE, 0, log->frame.data, log->frame.n, fault);
  if (error == 0) error = io_sync(files, log->spare, LOG_SPARE, fault);
  if (error == 0) error = io_rename(files, LOG_SPARE, name, fault);
  if (error != 0) return error;
  error = io_sync_directory(files, LOG_FOLDER, fault);
  if (error != 0) return error;

  if (log->file >= 0) files->close(files->context, log->file);
  log->file = log->spare;
  log->spare = -1;
  log->header = header;
  log->end = SEGMENT_FRAMES_OFFSET;
  log->chain = header.checksum;
  log->dirty_bytes = 0;
  log->roll = false;
  memcpy(log->name, name, sizeof name);
  log_add_segment(log, &header);
  log->number_next++;
  return 0;
}

int log_make_spare(struct log *log, struct disk_fault *fault) {
  if (log->spare >= 0) return 0;
  return make_spare(log, log->options.segment_bytes, fault);
}

/* ---- Frames ---- */

/* Room was promised, but some file systems cannot keep that. What a write left that found none is zeroed
 * before anything else is written: other bytes in its place could be mixed with it by a power cut, and the
 * segment after this one will say that there is nothing. */
static int clean(struct log *log, struct disk_fault *fault) {
  if (log->dirty_bytes == 0) return 0;
  uint8_t *zeros = memory_zalloc((size_t)log->dirty_bytes);
  int error = io_write(log->files, log->file, log->name, log->end, zeros, (size_t)log->dirty_bytes, fault);
  free(zeros);
  if (error == 0) error = io_sync(log->files, log->file, log->name, fault);
  if (error == 0) log->dirty_bytes = 0;
  return error;
}

static int write_frame(struct log *log, uint64_t bytes, struct disk_fault *fault) {
  const int error =
      io_write(log->files, log->file, log->name, log->end, log->frame.data, (size_t)bytes, fault);
  if (error == CORACLE_EFULL) log->dirty_bytes = bytes;
  return error == 0 ? io_sync(log->files, log->file, log->name, fault) : error;
}

static int append_frame(struct log *log, const void *records, size_t n, struct disk_fault *fault) {
  const struct log_place place = place_after(log, records, n);
  const uint64_t bytes = frame_bytes(n);
  const bool fits = log->file >= 0 && !log->roll && log->end + bytes <= log->header.bytes;
  int error = clean(log, fault);
  if (error == 0 && !fits) error = roll(log, bytes, fault);
  if (error != 0) return error;
  const uint64_t chain = frame_put(&log->frame, &log->header, log->chain, log->end, records, n);
  error = write_frame(log, bytes, fault);
  if (error != 0) return error;
  log->end += bytes;
  log->chain = chain;
  log->place = place;
  log->roll = place.reset;
  return 0;
}

static int pay_record(struct log *log, struct disk_fault *fault) {
  if (!log->owes_record) return 0;
  log->records.n = 0;
  log_record_put(&log->records, &log->owed);
  const int error = append_frame(log, log->records.data, log->records.n, fault);
  log->owes_record = error != 0;
  return error;
}

int log_append(struct log *log, const struct log_append *what, struct disk_fault *fault) {
  if (log->failed) {
    disk_fault_set(fault, "the log failed before");
    return CORACLE_EIO;
  }
  int error = pay_record(log, fault);
  if (error == 0) error = append_frame(log, what->records, what->n, fault);
  log->failed = error != 0 && error != CORACLE_EFULL;
  assert(error != 0 || log->place.last_index == what->last_index);
  return error;
}

/* ---- Removing ---- */

/* What a crash leaves of those removed is told from a gap by the same rule as they are removed by. */
int log_remove(struct log *log, uint64_t index, struct disk_fault *fault) {
  size_t n = 0;
  for (size_t i = 1; i < log->segments_n; i++)
    if (log_can_begin(log->segments[i].last_index, log->segments[i].last_term, index)) n = i;
  for (size_t i = 0; i < n; i++) {
    char name[FILES_NAME_BYTES_MAX];
    log_name(log->segments[i].number, name);
    const int error = io_remove(log->files, name, fault);
    if (error != 0) return error;
  }
  log->segments_n -= n;
  memmove(log->segments, log->segments + n, log->segments_n * sizeof log->segments[0]);
  return 0;
}

int log_clear(const struct files *files, uint64_t generation_kept, struct disk_fault *fault) {
  uint64_t *numbers;
  size_t n;
  int error = log_numbers(files, true, &numbers, &n, fault);
  if (error != 0) return error;
  for (size_t i = 0; error == 0 && i < n; i++) {
    struct segment_header header;
    char name[FILES_NAME_BYTES_MAX];
    bool good;
    log_name(numbers[i], name);
    error = segment_read_header(files, name, &header, &good, fault);
    if (error == 0 && good && header.stamp.generation != generation_kept)
      error = io_remove(files, name, fault);
  }
  free(numbers);
  return error == 0 ? io_remove(files, LOG_SPARE, fault) : error;
}

/* ---- Names ---- */

struct listing {
  bool others_allowed;
  uint64_t *numbers;
  size_t n;
  struct disk_fault *fault;
};

/* As log_name() makes it. */
static bool to_number(const char *name, uint64_t *number) {
  *number = 0;
  if (strlen(name) != NUMBER_DIGITS) return false;
  for (; *name != '\0'; name++) {
    const bool is_digit = *name >= '0' && *name <= '9';
    if (!is_digit && (*name < 'a' || *name > 'f')) return false;
    *number = *number << 4 | (uint64_t)(is_digit ? *name - '0' : *name - 'a' + 10);
  }
  return *number > 0;
}

static int list_entry(void *argument, const char *name) {
  struct listing *listing = argument;
  uint64_t number;
  if (to_number(name, &number)) {
    listing->numbers = memory_realloc(listing->numbers, (listing->n + 1) * sizeof number);
    listing->numbers[listing->n++] = number;
    return 0;
  }
  if (listing->others_allowed || strcmp(name, LOG_SPARE_NAME) == 0) return 0;
  disk_fault_set(listing->fault,
                 LOG_FOLDER "/%.64s is no segment of a log: take what is not the node's out of its directory",
                 name);
  return 1;
}

static int by_number(const void *a, const void *b) {
  const uint64_t first = *(const uint64_t *)a, second = *(const uint64_t *)b;
  return (first > second) - (first < second);
}

int log_numbers(const struct files *files, bool others_allowed, uint64_t **numbers, size_t *n,
                struct disk_fault *fault) {
  struct listing listing = {.others_allowed = others_allowed, .fault = fault};
  const int result = files->list(files->context, LOG_FOLDER, list_entry, &listing);
  *numbers = listing.numbers;
  *n = listing.n;
  if (listing.n > 0) qsort(listing.numbers, listing.n, sizeof listing.numbers[0], by_number);
  if (result == 0) return 0;
  free(listing.numbers);
  *numbers = NULL;
  *n = 0;
  return result > 0 ? CORACLE_EDAMAGED : disk_fault_system(fault, result, "list", LOG_FOLDER);
}

int log_list(const struct files *files, char ***names, size_t *n, struct disk_fault *fault) {
  uint64_t *numbers;
  int error = log_numbers(files, true, &numbers, n, fault);
  if (error != 0) return error;
  *names = memory_alloc(*n * sizeof **names);
  for (size_t i = 0; i < *n; i++) {
    (*names)[i] = memory_alloc(FILES_NAME_BYTES_MAX);
    log_name(numbers[i], (*names)[i]);
  }
  free(numbers);
  return 0;
}
