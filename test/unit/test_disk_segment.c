/* Goal: what is read of a segment is what was written to it, and what is not one, or is another program's, is
 * told as that. Method: segments made in memory. Torn and damaged frames: test_disk_frame.c. */
#include "segment_case.h"

#include <xxhash.h>

/* ---- Whole segments ---- */

struct wanted {
  const struct log_record *records;
  size_t n, at;
};

static int compare_record(void *argument, const struct log_record *record, uint64_t offset) {
  struct wanted *wanted = argument;
  assert_true(wanted->at < wanted->n);
  const struct log_record *expected = &wanted->records[wanted->at++];
  assert_int_equal(offset, SEGMENT_FRAMES_OFFSET);
  assert_int_equal(record->type, expected->type);
  assert_int_equal(record->index, expected->index);
  assert_int_equal(record->term, expected->term);
  assert_int_equal(record->entry_type, expected->entry_type);
  assert_int_equal(record->keep, expected->keep);
  assert_true(slice_equal(record->data, expected->data));
  return wanted->at == 3 ? 77 : 0;
}

/* All fields of all records come back; reading stops when it is told to. */
static void test_records(void **state) {
  (void)state;
  const struct log_record records[] = {
      {.type = LOG_ENTRY, .index = 1, .term = 2, .entry_type = CORACLE_RAFT_NOOP},
      {.type = LOG_TRUNCATE, .index = UINT64_MAX},
      {.type = LOG_SNAPSHOT, .index = 3, .term = 4, .keep = true},
      {.type = LOG_SNAPSHOT, .index = 5, .term = 6},
  };
  struct bytes b = {0};
  for (size_t i = 0; i < 4; i++) log_record_put(&b, &records[i]);
  struct written w = begin(FILE_BYTES);
  add_frame(&w, &b);
  fake_files_put(disk, SEGMENT_NAME, w.file.data, w.file.n);
  struct wanted wanted = {records, 4, 0};
  assert_int_equal(segment_read(files, SEGMENT_NAME, compare_record, &wanted, &scan, &fault), 77);
  assert_int_equal(wanted.at, 3);
  assert_int_equal(segment_read(files, SEGMENT_NAME, NULL, NULL, &scan, &fault), 0);
  assert_int_equal(scan.ending, SEGMENT_CLEAN);
  bytes_close(&b);
  bytes_close(&w.file);
}

static void test_whole(void **state) {
  (void)state;
  struct written w = begin(FILE_BYTES);
  assert_int_equal(verdict(&w), SEGMENT_CLEAN);
  assert_int_equal(seen, 0);
  assert_true(scan.header_good && stamp_equal(&scan.header.stamp, &segment_stamp));
  assert_int_equal(scan.header.number, 3);
  assert_int_equal(scan.header.chain, 99);
  assert_int_equal(scan.header.last_index, 5);
  assert_int_equal(scan.header.last_term, 4);
  assert_int_equal(scan.header.salt, 0x5a17);
  assert_int_equal(scan.chain, w.header.checksum);
  for (size_t n = 0; n < 20; n++) add_entry(&w, n * 31, n % 3 == 0);
  assert_int_equal(verdict(&w), SEGMENT_CLEAN);
  assert_int_equal(seen, 20);
  assert_int_equal(scan.chain, w.chain);
  bytes_close(&w.file);
}

/* The last frame may end where the file does, and just before. */
static void test_full(void **state) {
  (void)state;
  for (size_t left = 0; left <= 64; left += 8) {
    struct written w = begin(4096);
    const size_t room = 4096 - SEGMENT_FRAMES_OFFSET - left;
    add_entry(&w, room - ENTRY_FRAME_BYTES, false);
    assert_int_equal(w.offsets[1], 4096 - left);
    assert_int_equal(verdict(&w), SEGMENT_CLEAN);
    assert_int_equal(seen, 1);
    if (left > 0) {
      w.file.data[4095] ^= 1; /* too near to the end to be a torn frame, or in its first sector */
      assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
    }
    bytes_close(&w.file);
  }
}

static void assert_refused(const struct bytes *records) {
  struct written w = begin(4096);
  add_frame(&w, records);
  assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
  bytes_close(&w.file);
}

/* Frames and checksums are good, and what is in them is not. */
static void test_bad_records(void **state) {
  (void)state;
  static const uint8_t entry[] = {1, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 'a', 'b'};
  static const uint8_t snapshot[] = /* keep is neither 0 nor 1 */
      {3, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2};
  static const uint8_t others[][9] = {{0, 1}, {4, 1}, {2, 0}, {3, 1}, {255, 255, 255}};
  for (size_t n = 1; n <= sizeof entry + 1; n++) { /* cut short, whole, and with a byte too many */
    struct written w = begin(4096);
    struct bytes records = {0};
    uint8_t longer[sizeof entry + 1] = {0};
    memcpy(longer, entry, sizeof entry);
    bytes_append(&records, longer, n);
    add_frame(&w, &records);
    assert_int_equal(verdict(&w), n == sizeof entry ? SEGMENT_CLEAN : SEGMENT_DAMAGED);
    bytes_close(&records);
    bytes_close(&w.file);
  }
  struct bytes of_no_term = {0};
  bytes_append(&of_no_term, entry, sizeof entry);
  of_no_term.data[9] = 0;
  assert_refused(&of_no_term);
  bytes_close(&of_no_term);
  assert_refused(&(struct bytes){.data = (uint8_t *)(uintptr_t)snapshot, .n = sizeof snapshot});
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    assert_refused(&(struct bytes){.data = (uint8_t *)(uintptr_t)others[i], .n = sizeof others[i]});
}

/* ---- Headers ---- */

/* A version that was changed by damage is no newer one: only a header with a good checksum is. */
static void test_newer_version(void **state) {
  (void)state;
  struct written w = begin(4096);
  struct segment_header header;
  bool good;
  set_u32(&w.file, 4, DISK_VERSION + 1);
  assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
  assert_false(scan.header_good);
  assert_int_equal(segment_read_header(files, SEGMENT_NAME, &header, &good, &fault), 0);
  assert_false(good);
  const uint64_t checksum = XXH3_64bits(w.file.data, SEGMENT_HEADER_BYTES - 8);
  set_u32(&w.file, SEGMENT_HEADER_BYTES - 8, (uint32_t)checksum);
  set_u32(&w.file, SEGMENT_HEADER_BYTES - 4, (uint32_t)(checksum >> 32));
  assert_int_equal(read_content(&w, w.file.data, w.file.n), CORACLE_ELIMIT);
  assert_int_equal(segment_read_header(files, SEGMENT_NAME, &header, &good, &fault), CORACLE_ELIMIT);
  assert_non_null(strstr(fault.text, "version 2"));
  bytes_close(&w.file);
}

/* A file's length is in whole sectors. One that a header calls its own, and is not, was never made. */
static void test_odd_length(void **state) {
  (void)state;
  for (uint64_t n = SEGMENT_FRAMES_OFFSET - 8; n < 1200; n += 8) {
    struct written w = begin(n);
    assert_int_equal(verdict(&w), n % SECTOR == 0 ? SEGMENT_CLEAN : SEGMENT_DAMAGED);
    bytes_close(&w.file);
  }
}

static void test_no_file(void **state) {
  (void)state;
  struct segment_header header;
  bool good;
  assert_int_equal(segment_read(files, SEGMENT_NAME, NULL, NULL, &scan, &fault), CORACLE_ENOTFOUND);
  assert_int_equal(segment_read_header(files, SEGMENT_NAME, &header, &good, &fault), CORACLE_ENOTFOUND);
  assert_int_equal(files->make_directory(files->context, SEGMENT_NAME), 0);
  assert_int_equal(segment_read(files, SEGMENT_NAME, NULL, NULL, &scan, &fault), CORACLE_EDAMAGED);
}

/* A disk that cannot read is no damage: nothing is said of what is on it. */
static void test_read_fails(void **state) {
  (void)state;
  struct written w = sample();
  fake_files_put(disk, SEGMENT_NAME, w.file.data, w.file.n);
  for (uint64_t after = 0; after < 3; after++) {
    fake_files_fail(disk, FAKE_BIT(FAKE_READ) | FAKE_BIT(FAKE_OPEN), after, -5);
    assert_int_equal(segment_read(files, SEGMENT_NAME, NULL, NULL, &scan, &fault), CORACLE_EIO);
  }
  assert_int_equal(segment_read(files, SEGMENT_NAME, NULL, NULL, &scan, &fault), 0);
  assert_int_equal(scan.ending, SEGMENT_CLEAN);
  bytes_close(&w.file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_records, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_whole, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_full, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_bad_records, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_newer_version, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_odd_length, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_no_file, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_read_fails, segment_case_begin, segment_case_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
