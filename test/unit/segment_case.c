#include "segment_case.h"

const struct stamp segment_stamp = {.id = 7, .cluster = {1, 2, 3}, .generation = 2};

struct fake_files *disk;
const struct files *files;
struct segment_scan scan;
struct disk_fault fault;
uint64_t seen;

int segment_case_begin(void **state) {
  (void)state;
  disk = fake_files_new(1);
  files = fake_files_table(disk);
  return files->make_directory(files->context, "log");
}

int segment_case_end(void **state) {
  (void)state;
  assert_int_equal(fake_files_handles(disk), 0);
  fake_files_free(disk);
  return 0;
}

/* ---- Writing ---- */

struct written begin(uint64_t file_bytes) {
  struct written w = {.header = {.stamp = segment_stamp,
                                 .number = 3,
                                 .bytes = file_bytes,
                                 .chain = 99,
                                 .last_index = 5,
                                 .last_term = 4,
                                 .salt = 0x5a17}};
  segment_header_put(&w.file, &w.header);
  memset(bytes_reserve(&w.file, (size_t)file_bytes), 0, (size_t)file_bytes);
  w.file.n = (size_t)file_bytes;
  w.offsets[0] = SEGMENT_FRAMES_OFFSET;
  w.chain = w.header.checksum;
  return w;
}

void add_frame(struct written *w, const struct bytes *records) {
  struct bytes frame = {0};
  const uint64_t at = w->offsets[w->n];
  assert_true(w->n < FRAMES_MAX);
  w->chain = frame_put(&frame, &w->header, w->chain, at, records->data, records->n);
  assert_int_equal(frame.n, frame_bytes(records->n));
  assert_true(at + frame.n <= w->file.n);
  memcpy(w->file.data + at, frame.data, frame.n);
  w->bare[w->n] = FRAME_HEADER_BYTES + records->n + FRAME_END_BYTES;
  w->offsets[++w->n] = at + frame.n;
  bytes_close(&frame);
}

void add_data(struct written *w, const struct bytes *data) {
  struct bytes records = {0};
  log_record_put(&records, &(struct log_record){.type = LOG_ENTRY,
                                                .index = w->n + 1,
                                                .term = 9,
                                                .entry_type = CORACLE_RAFT_COMMAND,
                                                .data = slice_of_bytes(data)});
  add_frame(w, &records);
  bytes_close(&records);
}

void add_entry(struct written *w, size_t n, bool zeros) {
  struct bytes data = {0};
  memset(bytes_reserve(&data, n + 1), zeros ? 0 : 'x', n + 1);
  data.n = n;
  add_data(w, &data);
  bytes_close(&data);
}

struct written copy_of(const struct written *w) {
  struct written copy = *w;
  copy.file = (struct bytes){0};
  bytes_append(&copy.file, w->file.data, w->file.n);
  return copy;
}

struct written sample(void) {
  struct written w = begin(8192);
  const size_t sizes[] = {0, 1, 300, 700, 5, 80, 900, 40, 1200, 333};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) add_entry(&w, sizes[i], i == 6);
  return w;
}

/* ---- Reading ---- */

static int count_record(void *argument, const struct log_record *record, uint64_t offset) {
  const struct written *w = argument;
  assert_int_equal(record->index, seen + 1);
  assert_int_equal(offset, w->offsets[seen]);
  seen++;
  return 0;
}

int read_content(struct written *w, const void *content, size_t n) {
  fake_files_put(disk, SEGMENT_NAME, content, n);
  seen = 0;
  memset(&fault, 0, sizeof fault);
  return segment_read(files, SEGMENT_NAME, count_record, w, &scan, &fault);
}

enum segment_end verdict(struct written *w) {
  assert_int_equal(read_content(w, w->file.data, w->file.n), 0);
  if (scan.header_good && scan.ending != SEGMENT_DAMAGED) {
    assert_int_equal(scan.frames_n, seen);
    assert_int_equal(scan.end, w->offsets[seen]);
    assert_int_equal(scan.last, seen > 0 ? w->offsets[seen - 1] : 0);
  }
  /* Whoever is told of damage is told where, and what to do. */
  if (scan.ending == SEGMENT_DAMAGED) {
    assert_non_null(strstr(fault.text, SEGMENT_NAME));
    assert_non_null(strstr(fault.text, "offset"));
    assert_non_null(strstr(fault.text, "empty it"));
  }
  return scan.ending;
}
