#include "disk/segment.h"

#include "base/memory.h"
#include "disk/frame.h"
#include "disk/io.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <xxhash.h>

enum { CHECKSUM_BYTES = 8 };

/* ---- Records ---- */

void log_record_put(struct bytes *b, const struct log_record *record) {
  assert(record->index > 0 && (record->term > 0 || record->type == LOG_TRUNCATE));
  put_u8(b, (uint8_t)record->type);
  put_u64(b, record->index);
  if (record->type == LOG_TRUNCATE) return;
  put_u64(b, record->term);
  if (record->type == LOG_SNAPSHOT) {
    put_u8(b, record->keep);
    return;
  }
  put_u8(b, record->entry_type);
  put_u32(b, (uint32_t)record->data.n);
  bytes_append_slice(b, record->data);
}

static bool get_entry(struct reader *r, struct log_record *record) {
  record->entry_type = get_u8(r);
  const uint32_t n = get_u32(r);
  if (n > CORACLE_RAFT_ENTRY_BYTES_MAX) return false;
  const uint8_t *data = get_raw(r, n);
  record->data = (struct slice){(const char *)data, n};
  return data != NULL;
}

bool log_record_get(struct reader *r, struct log_record *record) {
  const uint8_t type = get_u8(r);
  *record = (struct log_record){.type = (enum log_record_type)type, .index = get_u64(r)};
  if (!reader_ok(r) || record->index == 0) return false;
  if (type == LOG_TRUNCATE) return true;
  record->term = get_u64(r);
  if (record->term == 0) return false;
  if (type == LOG_ENTRY) return get_entry(r, record);
  const uint8_t keep = get_u8(r);
  record->keep = keep == 1;
  return type == LOG_SNAPSHOT && reader_ok(r) && keep <= 1;
}

/* ---- The header ---- */

void segment_header_put(struct bytes *b, struct segment_header *header) {
  const size_t start = b->n;
  stamp_put(b, stamp_segment, &header->stamp);
  put_u64(b, header->number);
  put_u64(b, header->bytes);
  put_u64(b, header->chain);
  put_u64(b, header->last_index);
  put_u64(b, header->last_term);
  put_u64(b, header->salt);
  header->checksum = XXH3_64bits(b->data + start, b->n - start);
  put_u64(b, header->checksum);
  assert(b->n - start == SEGMENT_HEADER_BYTES);
}

static void set_damage(struct disk_fault *fault, const char *name, uint64_t offset, const char *wrong) {
  disk_fault_set(fault,
                 "%s is damaged at offset %" PRIu64 ": %s. What was acknowledged may be lost: " IO_REMEDY,
                 name, offset, wrong);
}

/* The checksum comes first: a damaged version is no newer version. */
static int decode_header(const uint8_t *data, size_t n, const char *name, struct segment_header *header,
                         bool *good, struct disk_fault *fault) {
  struct reader r = reader_of(data, n);
  struct reader end = reader_of(data + n - CHECKSUM_BYTES, CHECKSUM_BYTES);
  *good = false;
  header->checksum = get_u64(&end);
  if (header->checksum != XXH3_64bits(data, n - CHECKSUM_BYTES)) {
    set_damage(fault, name, 0, "the header of the segment does not match its checksum");
    return 0;
  }
  int error = stamp_get(&r, stamp_segment, name, &header->stamp, fault);
  if (error == CORACLE_ELIMIT) return error;
  header->number = get_u64(&r);
  header->bytes = get_u64(&r);
  header->chain = get_u64(&r);
  header->last_index = get_u64(&r);
  header->last_term = get_u64(&r);
  header->salt = get_u64(&r);
  *good = error == 0 && header->number > 0 && header->bytes >= SEGMENT_FRAMES_OFFSET &&
          header->bytes <= SEGMENT_BYTES_MAX && header->bytes % FILES_SECTOR_BYTES == 0;
  if (!*good) set_damage(fault, name, 0, "this is not the header of a segment");
  return 0;
}

static int read_header(const struct files *files, int file, const char *name, struct segment_header *header,
                       bool *good, struct disk_fault *fault) {
  uint8_t data[SEGMENT_HEADER_BYTES];
  size_t got;
  *header = (struct segment_header){0};
  *good = false;
  int error = io_read(files, file, name, 0, data, sizeof data, &got, fault);
  if (error != 0) return error;
  if (got == sizeof data) return decode_header(data, got, name, header, good, fault);
  set_damage(fault, name, got, "the file ends within the header of the segment");
  return 0;
}

int segment_read_header(const struct files *files, const char *name, struct segment_header *header,
                        bool *good, struct disk_fault *fault) {
  int file;
  int error = io_open(files, name, FILES_READ, &file, fault);
  if (error != 0) return error;
  error = read_header(files, file, name, header, good, fault);
  files->close(files->context, file);
  return error;
}

/* ---- The whole ---- */

struct reading {
  const char *name;
  int (*record)(void *argument, const struct log_record *, uint64_t offset);
  void *argument;
  struct segment_scan *scan;
  struct disk_fault *fault;
};

static int end_damaged(const struct reading *reading, uint64_t offset, const char *wrong) {
  reading->scan->ending = SEGMENT_DAMAGED;
  set_damage(reading->fault, reading->name, offset, wrong);
  return 0;
}

/* *more: there may be another frame after this one. */
static int read_frame(const struct reading *reading, const struct frame *frame, bool *more) {
  struct segment_scan *scan = reading->scan;
  struct reader r = reader_of(frame->records, frame->records_n);
  struct log_record record;
  *more = false;
  while (reader_left(&r) > 0) {
    if (!log_record_get(&r, &record)) return end_damaged(reading, scan->end, "a frame holds no records");
    const int error = reading->record == NULL ? 0 : reading->record(reading->argument, &record, scan->end);
    if (error != 0) return error;
  }
  scan->frames_n++;
  scan->last = scan->end;
  scan->end += frame_bytes(frame->records_n);
  scan->chain = frame->checksum;
  *more = true;
  return 0;
}

static int read_frames(const struct reading *reading, const uint8_t *data) {
  struct segment_scan *scan = reading->scan;
  if (!frame_is_zero(data + SEGMENT_HEADER_BYTES, SEGMENT_FRAMES_OFFSET - SEGMENT_HEADER_BYTES))
    return end_damaged(reading, SEGMENT_HEADER_BYTES,
                       "there is something between the header and the first frame");
  scan->end = SEGMENT_FRAMES_OFFSET;
  scan->chain = scan->header.checksum;
  bool more = true;
  while (more) {
    struct frame frame;
    switch (frame_look(data, scan->file_bytes, scan->header.checksum, scan->chain, scan->end, &frame)) {
    case FRAME_GOOD: {
      const int error = read_frame(reading, &frame, &more);
      if (error != 0) return error;
      break;
    }
    case FRAME_TORN:
      scan->ending = SEGMENT_TORN;
      scan->torn_bytes = frame.torn_bytes;
      return 0;
    case FRAME_DAMAGED:
      return end_damaged(reading, scan->end, frame.wrong);
    case FRAME_NONE:
      more = false;
    }
  }
  return 0;
}

static int read_file(const struct files *files, int file, const struct reading *reading) {
  struct segment_scan *scan = reading->scan;
  int error = io_size(files, file, reading->name, &scan->file_bytes, reading->fault);
  if (error == 0)
    error = read_header(files, file, reading->name, &scan->header, &scan->header_good, reading->fault);
  if (error != 0) return error;
  if (!scan->header_good) {
    scan->ending = SEGMENT_DAMAGED;
    return 0;
  }
  if (scan->header.bytes != scan->file_bytes)
    return end_damaged(reading, scan->file_bytes, "the file has not the length that its header says");
  uint8_t *data = memory_alloc((size_t)scan->file_bytes);
  size_t got;
  error = io_read(files, file, reading->name, 0, data, (size_t)scan->file_bytes, &got, reading->fault);
  if (error == 0 && got == scan->file_bytes)
    error = read_frames(reading, data);
  else if (error == 0)
    error = end_damaged(reading, got, "the file becomes shorter while it is read");
  free(data);
  return error;
}

int segment_read(const struct files *files, const char *name,
                 int (*record)(void *argument, const struct log_record *, uint64_t offset), void *argument,
                 struct segment_scan *scan, struct disk_fault *fault) {
  const struct reading reading = {name, record, argument, scan, fault};
  int file;
  *scan = (struct segment_scan){.ending = SEGMENT_CLEAN};
  int error = io_open(files, name, FILES_READ, &file, fault);
  if (error != 0) return error;
  error = read_file(files, file, &reading);
  files->close(files->context, file);
  return error;
}
