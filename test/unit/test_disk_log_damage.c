/* Goal: a log with anything changed, missing, doubled or of somebody else is refused, with file, offset and
 * remedy, and never found shorter than it was; what is of an earlier generation is removed. Method: logs of
 * several segments in memory, harmed in every way; the one exception is a torn last frame (segment.h). */
#include "log_case.h"

#include <errno.h>

static struct log_case c;
static struct fake_files *whole; /* what is harmed copies of */

static int set_up(void **state) {
  (void)state;
  log_case_begin(&c, 1);
  return log_case_open(&c);
}

static int tear_down(void **state) {
  (void)state;
  log_case_end(&c);
  return 0;
}

static void make_sample(void) {
  log_case_sample(&c);
  whole = c.disk;
}

static void harm_anew(void) {
  c.disk = fake_files_copy(whole, 1);
}

static void done(void) {
  log_case_close(&c);
  fake_files_free(c.disk);
  c.disk = whole;
}

static size_t content_end(const char *name) {
  struct bytes content = {0};
  assert_true(fake_files_content(c.disk, name, &content));
  size_t end = content.n;
  while (end > 0 && content.data[end - 1] == 0) end--;
  bytes_close(&content);
  return end;
}

/* ---- Bytes ---- */

static void flip_all(uint8_t (*mask)(size_t at)) {
  const uint64_t newest = 4;
  const size_t end = content_end(log_case_segment(newest));
  for (uint64_t number = 1; number <= newest; number++) {
    for (size_t at = 0; at < LOG_CASE_SEGMENT_BYTES; at++) {
      harm_anew();
      fake_files_flip(c.disk, log_case_segment(number), at, mask(at));
      const int error = log_case_open(&c);
      if (error == 0) { /* in the zeros behind the log, where a torn frame might be: nothing is lost */
        assert_true(number == newest && at >= end && c.found.cut_bytes > 0);
        assert_true(log_case_agrees(&c, &c.model));
        ok(log_case_add(&c, 1, 1000));
        log_model_truncate(&c.model, c.model.last);
        c.options.number_min = newest;
      } else {
        assert_int_equal(error, CORACLE_EDAMAGED);
        assert_non_null(strstr(c.fault.text, "offset"));
        assert_non_null(strstr(c.fault.text, "log/000000000000000"));
      }
      done();
    }
  }
}

static uint8_t one_bit(size_t at) {
  return (uint8_t)(1u << at % 8);
}

static uint8_t all_bits(size_t at) {
  (void)at;
  return 0xff;
}

static void test_every_byte(void **state) {
  (void)state;
  make_sample();
  flip_all(one_bit);
  flip_all(all_bits);
}

static void zero(const char *name, size_t at, size_t n) {
  struct bytes content = {0};
  assert_true(fake_files_content(c.disk, name, &content));
  for (size_t i = at; i < at + n && i < content.n; i++)
    if (content.data[i] != 0) fake_files_flip(c.disk, name, i, content.data[i]);
  bytes_close(&content);
}

static void test_every_sector(void **state) {
  (void)state;
  make_sample();
  struct segment_scan newest;
  ok(segment_read(fake_files_table(whole), log_case_segment(4), NULL, NULL, &newest, &c.fault));
  size_t refused = 0;
  for (uint64_t number = 1; number <= 4; number++) {
    for (size_t n = FILES_SECTOR_BYTES; n <= 4096; n *= 2) {
      for (size_t at = 0; at + n <= LOG_CASE_SEGMENT_BYTES; at += n) {
        harm_anew();
        const size_t end = content_end(log_case_segment(number));
        zero(log_case_segment(number), at, n);
        const int error = log_case_open(&c);
        refused += error != 0;
        if (at >= end) {
          ok(error);
          assert_true(log_case_agrees(&c, &c.model));
        } else if (number < 4 || at == 0) {
          assert_int_equal(error, CORACLE_EDAMAGED);
        } else if (error ==
                   0) { /* the exception: it might be a torn frame, and of the last nothing is left to tell */
          assert_true(at + n > newest.last);
        }
        done();
      }
    }
  }
  assert_true(refused > 30);
}

static void test_every_length(void **state) {
  (void)state;
  make_sample();
  struct bytes content = {0};
  for (uint64_t number = 1; number <= 4; number++) {
    content.n = 0;
    assert_true(fake_files_content(whole, log_case_segment(number), &content));
    for (size_t n = 0; n < content.n; n += 1 + number) {
      harm_anew();
      fake_files_put(c.disk, log_case_segment(number), content.data, n);
      log_case_expect_damage(&c, log_case_segment(number));
      done();
    }
  }
  bytes_close(&content);
}

/* A frame torn in the newest segment is cut off; in another one it is damage, for the next one was begun
 * after. */
static void test_torn(void **state) {
  (void)state;
  c.data_bytes = 1000;
  for (int i = 0; i < 3; i++) ok(log_case_add(&c, 2, 1));
  assert_int_equal(log_number(c.log), 3);
  log_case_close(&c);
  whole = c.disk;
  for (uint64_t number = 1; number <= 3; number++) {
    harm_anew();
    zero(log_case_segment(number), 1024, 512);
    if (number < 3) {
      log_case_expect_damage(&c, "a later segment follows it");
    } else {
      ok(log_case_open(&c));
      assert_int_equal(c.found.entries_n, 4);
      assert_string_equal(c.found.cut_name, log_case_segment(3));
      assert_int_equal(c.found.cut_offset, SEGMENT_FRAMES_OFFSET);
      assert_true(c.found.cut_bytes > 2000);
      log_model_truncate(&c.model, 5);
      ok(log_case_add(&c, 1, 7));
      log_case_expect(&c);
      assert_int_equal(c.found.cut_bytes, 0);
    }
    done();
  }
}

/* ---- Segments ---- */

static void test_missing(void **state) {
  (void)state;
  make_sample();
  for (uint64_t number = 1; number <= 4; number++) {
    harm_anew();
    fake_files_take(c.disk, log_case_segment(number));
    log_case_expect_damage(&c, number == 1 ? "neither a segment nor a snapshot" : log_case_segment(number));
    done();
  }
  harm_anew(); /* all of them */
  for (uint64_t number = 1; number <= 4; number++) fake_files_take(c.disk, log_case_segment(number));
  log_case_expect_damage(&c, log_case_segment(4));
  done();
}

/* What a snapshot includes may be missing; what comes after it may not. */
static void test_missing_after_a_snapshot(void **state) {
  (void)state;
  c.data_bytes = 1000;
  for (int i = 0; i < 5; i++) ok(log_case_add(&c, 3, 1));
  log_case_place_snapshot(&c, 7, 1, true);
  ok(log_case_snapshot(&c, true));
  log_case_close(&c);
  whole = c.disk;
  for (uint64_t number = 1; number <= 5; number++) { /* 3 holds 7 to 9 */
    harm_anew();
    fake_files_take(c.disk, log_case_segment(number));
    if (number < 3)
      log_case_expect(&c);
    else
      log_case_expect_damage(&c, log_case_segment(number));
    done();
  }
  c.model.snapshot_index = 0; /* the snapshot is */
  log_case_expect_damage(&c, "snapshot");
  c.model.snapshot_index = 6; /* or is an older one */
  log_case_expect_damage(&c, "snapshot of entry 7, which is missing");
  c.model.snapshot_index = 7;
  c.model.snapshot_term = 2; /* or another one */
  log_case_expect_damage(&c, "another term");
  c.model.snapshot_term = 1;
}

static void copy(const char *from, uint64_t to) {
  struct bytes content = {0};
  assert_true(fake_files_content(c.disk, from, &content));
  fake_files_put(c.disk, log_case_segment(to), content.data, content.n);
  bytes_close(&content);
}

static void test_doubled(void **state) {
  (void)state;
  make_sample();
  for (uint64_t from = 1; from <= 4; from++) {
    for (uint64_t to = 1; to <= 6; to++) {
      char name[FILES_NAME_BYTES_MAX];
      if (to == from) continue;
      harm_anew();
      log_name(from, name);
      copy(name, to);
      log_case_expect_damage(&c, "copy of another segment");
      done();
    }
  }
}

/* Goes on for three segments with these salts, as one process would. */
static void go_on(uint64_t salt_seed) {
  c.options.salt_seed = salt_seed;
  log_case_expect(&c);
  for (int i = 0; i < 3; i++) ok(log_case_add(&c, 3, 1));
  assert_int_equal(log_number(c.log), 4);
  log_case_close(&c);
}

/* Two logs of the same node that went on from the same point, as when a directory was copied and both were
 * used: segments of one do not follow those of the other, though numbers, indexes and entries match. */
static void test_mixed(void **state) {
  (void)state;
  c.data_bytes = 1000;
  ok(log_case_add(&c, 3, 1));
  log_case_close(&c);
  struct fake_files *other = fake_files_copy(c.disk, 7);
  const struct log_model before = c.model;
  go_on(100);
  whole = c.disk;
  c.disk = other;
  c.model = before;
  c.options.number_min = 1;
  go_on(200);
  for (uint64_t number = 2; number <= 4; number++) {
    struct bytes content = {0};
    harm_anew();
    assert_true(fake_files_content(other, log_case_segment(number), &content));
    fake_files_put(c.disk, log_case_segment(number), content.data, content.n);
    log_case_expect_damage(&c, "does not follow the segment before it");
    bytes_close(&content);
    done();
  }
  fake_files_free(other);
}

/* ---- What is right in itself ---- */

/* Entries of a type that this program does not know: not damage, but another program's. */
static void test_unknown_entry_type(void **state) {
  (void)state;
  struct bytes records = {0};
  log_record_put(&records, &(struct log_record){.type = LOG_ENTRY, .index = 1, .term = 1, .entry_type = 4});
  const struct log_append what = {records.data, records.n, 1};
  ok(log_append(c.log, &what, &c.fault));
  bytes_close(&records);
  assert_int_equal(log_case_open(&c), CORACLE_ELIMIT);
  assert_non_null(strstr(c.fault.text, "newer version"));
}

/* A segment with one frame of those records, checksums and all. */
static void put_segment(uint64_t number, uint64_t chain, uint64_t last_index, uint64_t last_term,
                        const struct log_record *records, size_t n) {
  struct segment_header header = {.stamp = c.options.stamp,
                                  .number = number,
                                  .bytes = LOG_CASE_SEGMENT_BYTES,
                                  .chain = chain,
                                  .last_index = last_index,
                                  .last_term = last_term};
  struct bytes file = {0}, frame = {0}, body = {0};
  segment_header_put(&file, &header);
  memset(bytes_reserve(&file, LOG_CASE_SEGMENT_BYTES), 0, LOG_CASE_SEGMENT_BYTES);
  file.n = LOG_CASE_SEGMENT_BYTES;
  for (size_t i = 0; i < n; i++) log_record_put(&body, &records[i]);
  frame_put(&frame, &header, header.checksum, SEGMENT_FRAMES_OFFSET, body.data, body.n);
  memcpy(file.data + SEGMENT_FRAMES_OFFSET, frame.data, frame.n);
  fake_files_put(c.disk, log_case_segment(number), file.data, file.n);
  bytes_close(&file);
  bytes_close(&frame);
  bytes_close(&body);
}

#define ENTRY(i, t)                                                                                          \
  { .type = LOG_ENTRY, .index = (i), .term = (t), .entry_type = CORACLE_RAFT_NOOP }
#define TRUNCATE(i)                                                                                          \
  { .type = LOG_TRUNCATE, .index = (i) }
#define SNAPSHOT(i, t, k)                                                                                    \
  { .type = LOG_SNAPSHOT, .index = (i), .term = (t), .keep = (k) }

/* Records that do not follow. Each after the log's entry 10 of term 3, with a snapshot of entry 12 of term 5.
 */
static void test_story(void **state) {
  (void)state;
  static const struct {
    struct log_record records[4];
    size_t n;
    int64_t entries_n; /* -1: refused */
  } stories[] = {
      {{ENTRY(11, 3), ENTRY(12, 5), ENTRY(13, 5)}, 3, 3},
      {{ENTRY(11, 3), ENTRY(12, 5), ENTRY(13, 5), ENTRY(15, 5)}, 4, -1},
      {{ENTRY(11, 3), ENTRY(12, 5), ENTRY(12, 5)}, 3, -1},
      {{ENTRY(10, 3)}, 1, -1},
      {{ENTRY(12, 3)}, 1, -1},
      {{ENTRY(11, 2)}, 1, -1},
      {{ENTRY(11, 5), ENTRY(12, 4)}, 2, -1},
      {{ENTRY(11, 3), ENTRY(12, 6)}, 2, 0}, /* Figure 5.3: another log */
      {{ENTRY(11, 3)}, 1, 0},
      {{TRUNCATE(10)}, 1, 0},
      {{TRUNCATE(12)}, 1, -1},
      {{TRUNCATE(11), ENTRY(11, 5), ENTRY(12, 5)}, 3, 2},
      {{TRUNCATE(5), ENTRY(5, 4), ENTRY(6, 4)}, 3, 0},
      {{ENTRY(11, 5), TRUNCATE(11), ENTRY(11, 2)}, 3, -1},
      {{ENTRY(11, 5), ENTRY(12, 6), TRUNCATE(12), ENTRY(12, 5)}, 4, 2},
      {{ENTRY(11, 5), ENTRY(12, 6), TRUNCATE(12), ENTRY(12, 4)}, 4, -1},
      {{SNAPSHOT(12, 5, true)}, 1, -1}, /* of what the log has not */
      {{SNAPSHOT(12, 5, false)}, 1, 0},
      {{SNAPSHOT(12, 5, false), ENTRY(13, 5)}, 2, 1},
      {{SNAPSHOT(12, 5, false), ENTRY(13, 4)}, 2, -1},
      {{SNAPSHOT(12, 5, false), TRUNCATE(12)}, 2, -1},
      {{SNAPSHOT(12, 4, false)}, 1, -1},
      {{SNAPSHOT(13, 5, false)}, 1, -1},
      {{ENTRY(11, 3), ENTRY(12, 5), SNAPSHOT(12, 5, true), TRUNCATE(12)}, 4, -1},
      {{ENTRY(11, 3), ENTRY(12, 5), SNAPSHOT(12, 5, true), TRUNCATE(13)}, 4, 2},
      {{ENTRY(11, 3), SNAPSHOT(11, 3, true), ENTRY(12, 5)}, 3, 2},
      {{ENTRY(11, 3), SNAPSHOT(11, 4, true), ENTRY(12, 5)}, 3, -1},
      {{SNAPSHOT(12, 5, false), SNAPSHOT(11, 5, false)}, 2, -1},
  };
  for (size_t i = 0; i < sizeof stories / sizeof stories[0]; i++) {
    log_case_close(&c);
    c.model.snapshot_index = 12;
    c.model.snapshot_term = 5;
    put_segment(1, 0, 10, 3, stories[i].records, stories[i].n);
    const int error = log_case_open(&c);
    if (stories[i].entries_n < 0) {
      assert_int_equal(error, CORACLE_EDAMAGED);
      assert_non_null(strstr(c.fault.text, "0000000000000001 is damaged at offset 512") != NULL
                          ? c.fault.text
                          : strstr(c.fault.text, "0000000000000001 at offset 512"));
    } else {
      assert_int_equal(error, 0);
      assert_int_equal(c.found.entries_n, stories[i].entries_n);
    }
  }
}

/* What a segment's header says of the log before it must be so, even where the chain is right. */
static void test_link(void **state) {
  (void)state;
  static const struct log_record first[] = {ENTRY(1, 2), ENTRY(2, 3)};
  static const struct log_record cut[] = {ENTRY(1, 2), ENTRY(2, 3), TRUNCATE(2)};
  static const struct log_record next[] = {ENTRY(3, 5)}, other[] = {ENTRY(2, 5)};
  struct segment_scan scan;
  put_segment(1, 0, 0, 0, first, 2);
  ok(segment_read(fake_files_table(c.disk), log_case_segment(1), NULL, NULL, &scan, &c.fault));
  put_segment(2, scan.chain, 2, 3, next, 1);
  ok(log_case_open(&c));
  assert_int_equal(c.found.entries_n, 3);
  put_segment(2, scan.chain, 2, 0, next, 1); /* not known: as good */
  ok(log_case_open(&c));
  put_segment(2, scan.chain, 2, 4, next, 1);
  log_case_expect_damage(&c, "ends with another entry");
  put_segment(2, scan.chain, 1, 3, other, 1);
  log_case_expect_damage(&c, "ends with another entry");
  put_segment(2, scan.chain + 1, 2, 3, next, 1);
  log_case_expect_damage(&c, "does not follow");
  put_segment(1, 0, 0, 0, cut, 3);
  ok(segment_read(fake_files_table(c.disk), log_case_segment(1), NULL, NULL, &scan, &c.fault));
  put_segment(2, scan.chain, 1, 2, other, 1);
  ok(log_case_open(&c));
  put_segment(2, scan.chain, 1, 3, other, 1);
  log_case_expect_damage(&c, "ends with another entry");
}

/* ---- Sick disks ---- */

static void test_unreadable(void **state) {
  (void)state;
  make_sample();
  for (uint64_t after = 0;; after++) {
    harm_anew();
    fake_files_fail(c.disk, FAKE_ALL, after, -EIO);
    const int error = log_case_open(&c);
    const bool failed = fake_files_failed(c.disk) > 0;
    assert_int_equal(error, failed ? CORACLE_EIO : 0);
    done();
    if (!failed) break;
    assert_true(after < 100);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_every_byte, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_every_sector, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_every_length, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_torn, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_missing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_missing_after_a_snapshot, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_doubled, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_mixed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unknown_entry_type, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_story, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_link, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unreadable, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
