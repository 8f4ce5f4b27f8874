/* Goal: what is read of a segment is what was written to it. A frame that a power cut tore, whichever of its
 * sectors are there, is told from damage, and nothing else is taken for one: not a byte changed, a sector or
 * a page lost, a frame in another's place, a file cut short or grown. Method: segments made in memory, harmed
 * in every way, and read; the expected verdict is reckoned from what was harmed. */
#include "disk/segment.h"

#include "base/random.h"
#include "fake_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include <cmocka.h>

enum { SECTOR = FILES_SECTOR_BYTES, FRAMES_MAX = 32, FILE_BYTES = 16 * 1024 };

static const char name[] = "log/0000000000000003";
static const struct stamp stamp = {.id = 7, .cluster = {1, 2, 3}, .generation = 2};

/* A segment as it was written: frames with one record each, whose index is the frame's number from 1. */
struct written {
  struct bytes file;
  struct segment_header header;
  uint64_t offsets[FRAMES_MAX + 1]; /* of frames; and where the next would be */
  size_t bare[FRAMES_MAX];          /* bytes of each, without padding */
  uint64_t chain;
  size_t n;
};

static struct fake_files *disk;
static const struct files *files;
static struct segment_scan scan;
static struct disk_fault fault;
static uint64_t seen; /* records read, in order from 1 */

static int set_up(void **state) {
  (void)state;
  disk = fake_files_new(1);
  files = fake_files_table(disk);
  return files->make_directory(files->context, "log");
}

static int tear_down(void **state) {
  (void)state;
  assert_int_equal(fake_files_handles(disk), 0);
  fake_files_free(disk);
  return 0;
}

/* ---- Writing ---- */

static struct written begin(uint64_t file_bytes) {
  struct written w = {.header = {.stamp = stamp,
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

static void add_frame(struct written *w, const struct bytes *records) {
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

/* One entry of so many bytes: zeros, or text without any. */
static void add_entry(struct written *w, size_t n, bool zeros) {
  struct bytes data = {0}, records = {0};
  memset(bytes_reserve(&data, n + 1), zeros ? 0 : 'x', n + 1);
  log_record_put(&records, &(struct log_record){.type = LOG_ENTRY,
                                                .index = w->n + 1,
                                                .term = 9,
                                                .entry_type = CORACLE_RAFT_COMMAND,
                                                .data = {(const char *)data.data, n}});
  add_frame(w, &records);
  bytes_close(&data);
  bytes_close(&records);
}

/* ---- Reading ---- */

static int count_record(void *argument, const struct log_record *record, uint64_t offset) {
  const struct written *w = argument;
  assert_int_equal(record->index, seen + 1);
  assert_int_equal(offset, w->offsets[seen]);
  seen++;
  return 0;
}

/* The result of reading the content as the file; frames up to `seen` were good. */
static int read_content(struct written *w, const void *content, size_t n) {
  fake_files_put(disk, name, content, n);
  seen = 0;
  memset(&fault, 0, sizeof fault);
  return segment_read(files, name, count_record, w, &scan, &fault);
}

static enum segment_end verdict(struct written *w) {
  assert_int_equal(read_content(w, w->file.data, w->file.n), 0);
  if (scan.header_good && scan.ending != SEGMENT_DAMAGED) {
    assert_int_equal(scan.frames_n, seen);
    assert_int_equal(scan.end, w->offsets[seen]);
    assert_int_equal(scan.last, seen > 0 ? w->offsets[seen - 1] : 0);
  }
  /* Whoever is told of damage is told where, and what to do. */
  if (scan.ending == SEGMENT_DAMAGED) {
    assert_non_null(strstr(fault.text, name));
    assert_non_null(strstr(fault.text, "offset"));
    assert_non_null(strstr(fault.text, "empty it"));
  }
  return scan.ending;
}

/* Cutting a torn frame as the log does leaves a clean segment of the frames before it. */
static void assert_torn_after(struct written *w, size_t frames) {
  assert_int_equal(verdict(w), SEGMENT_TORN);
  assert_int_equal(seen, frames);
  assert_true(scan.torn_bytes > 0 && scan.end + scan.torn_bytes <= w->file.n);
  memset(w->file.data + scan.end, 0, (size_t)scan.torn_bytes);
  assert_int_equal(verdict(w), SEGMENT_CLEAN);
  assert_int_equal(seen, frames);
}

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
  fake_files_put(disk, name, w.file.data, w.file.n);
  struct wanted wanted = {records, 4, 0};
  assert_int_equal(segment_read(files, name, compare_record, &wanted, &scan, &fault), 77);
  assert_int_equal(wanted.at, 3);
  assert_int_equal(segment_read(files, name, NULL, NULL, &scan, &fault), 0);
  assert_int_equal(scan.ending, SEGMENT_CLEAN);
  bytes_close(&b);
  bytes_close(&w.file);
}

static void test_whole(void **state) {
  (void)state;
  struct written w = begin(FILE_BYTES);
  assert_int_equal(verdict(&w), SEGMENT_CLEAN);
  assert_int_equal(seen, 0);
  assert_true(scan.header_good && stamp_equal(&scan.header.stamp, &stamp));
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
    add_entry(&w, room - (FRAME_HEADER_BYTES + FRAME_END_BYTES + 22), false);
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

/* ---- Torn frames ---- */

struct loss {
  bool some, all; /* of what was not zero */
};

/* Loses the sectors of frame f that are set in the mask. */
static struct loss lose_sectors(struct written *w, size_t f, uint64_t mask) {
  const uint64_t begin_at = w->offsets[f], end = begin_at + w->bare[f];
  struct loss loss = {.all = true};
  for (uint64_t at = begin_at, i = 0; at < end; i++) {
    uint64_t next = (at / SECTOR + 1) * SECTOR;
    if (next > end) next = end;
    const bool is_lost = (mask >> i & 1) != 0;
    for (; at < next; at++) {
      if (w->file.data[at] == 0) continue;
      loss.some = loss.some || is_lost;
      loss.all = loss.all && is_lost;
      if (is_lost) w->file.data[at] = 0;
    }
  }
  return loss;
}

static size_t sectors_of(const struct written *w, size_t f) {
  const uint64_t last = w->offsets[f] + w->bare[f] - 1;
  return (size_t)(last / SECTOR - w->offsets[f] / SECTOR + 1);
}

/* Loses those sectors of the last frame: the others must be there, and the rest cut off. */
static void tear(const struct written *w, uint64_t mask) {
  struct written torn = *w;
  torn.file = (struct bytes){0};
  bytes_append(&torn.file, w->file.data, w->file.n);
  const struct loss loss = lose_sectors(&torn, w->n - 1, mask);
  if (!loss.some || loss.all) {
    assert_int_equal(verdict(&torn), SEGMENT_CLEAN);
    assert_int_equal(seen, loss.some ? w->n - 1 : w->n);
  } else {
    assert_torn_after(&torn, w->n - 1);
  }
  bytes_close(&torn.file);
}

/* Every subset of the sectors, of frames that begin and end anywhere in a sector. */
static void test_torn(void **state) {
  (void)state;
  for (size_t before = 0; before < SECTOR; before += 8) {
    for (size_t n = 0; n < 3 * SECTOR; n += 61) {
      struct written w = begin(FILE_BYTES);
      add_entry(&w, 600 + before, false);
      add_entry(&w, n, n % 2 == 0 && n > 2 * SECTOR);
      const uint64_t subsets = UINT64_C(1) << sectors_of(&w, 1);
      for (uint64_t mask = 0; mask < subsets; mask++) tear(&w, mask);
      bytes_close(&w.file);
    }
  }
}

/* Random subsets of the sectors of long frames, with stretches of zeros of their own. */
static void test_torn_long(void **state) {
  (void)state;
  struct random random = {12};
  for (size_t i = 0; i < 400; i++) {
    struct bytes records = {0}, data = {0};
    const size_t n = random_below(&random, 20 * SECTOR);
    for (size_t k = 0; k < n; k++)
      put_u8(&data, i % 2 == 0 && k / 1500 % 2 == 0 ? 0 : (uint8_t)(1 + random_below(&random, 255)));
    struct written w = begin(FILE_BYTES);
    add_entry(&w, random_below(&random, 900), false);
    log_record_put(&records, &(struct log_record){.type = LOG_ENTRY,
                                                  .index = 2,
                                                  .term = 9,
                                                  .entry_type = CORACLE_RAFT_COMMAND,
                                                  .data = slice_of_bytes(&data)});
    add_frame(&w, &records);
    const uint64_t all = (UINT64_C(1) << sectors_of(&w, 1)) - 1;
    for (size_t k = 0; k < 20; k++) tear(&w, random_next(&random) & all);
    for (size_t k = 0; k < sectors_of(&w, 1); k++) {
      tear(&w, UINT64_C(1) << k);
      tear(&w, all & ~(UINT64_C(1) << k));
    }
    bytes_close(&records);
    bytes_close(&data);
    bytes_close(&w.file);
  }
}

/* A write that ended in the middle of a sector is no power cut's doing; but whatever it is taken for, nothing
 * before it is lost, and nothing of it is believed. */
static void test_torn_at_every_byte(void **state) {
  (void)state;
  struct written w = begin(FILE_BYTES);
  for (size_t i = 0; i < 4; i++) add_entry(&w, 300 * i + 1, false);
  const uint64_t last = w.offsets[3];
  for (uint64_t at = last + w.bare[3]; at-- > last;) {
    w.file.data[at] = 0;
    const enum segment_end ending = verdict(&w);
    assert_int_equal(seen, 3);
    if (at == last) {
      assert_int_equal(ending, SEGMENT_CLEAN);
    } else if (at % SECTOR == 0) {
      assert_int_equal(ending, SEGMENT_TORN);
    } else {
      const bool later_sectors = at / SECTOR < (last + w.bare[3] - 1) / SECTOR;
      const bool header_cut = at < last + FRAME_HEADER_BYTES;
      assert_int_equal(ending, later_sectors && !header_cut ? SEGMENT_TORN : SEGMENT_DAMAGED);
    }
  }
  bytes_close(&w.file);
}

/* ---- Damage ---- */

/* Frames of many sizes and places; the one before the last is the longest. */
static struct written sample(void) {
  struct written w = begin(8192);
  const size_t sizes[] = {0, 1, 300, 700, 5, 80, 900, 40, 1200, 333};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) add_entry(&w, sizes[i], i == 6);
  return w;
}

static void assert_flip_is_seen(struct written *w, size_t at, uint8_t mask) {
  const uint64_t end = w->offsets[w->n];
  w->file.data[at] ^= mask;
  const int error = read_content(w, w->file.data, w->file.n);
  assert_int_equal(error, 0);
  if (scan.ending != SEGMENT_DAMAGED) { /* in the zeros where a torn frame might be: nothing is lost */
    assert_int_equal(scan.ending, SEGMENT_TORN);
    assert_true(at >= (end / SECTOR + 1) * SECTOR);
    assert_int_equal(seen, w->n);
    assert_true(at < scan.end + scan.torn_bytes);
  }
  w->file.data[at] ^= mask;
}

static void test_every_bit(void **state) {
  (void)state;
  struct written w = sample();
  for (size_t at = 0; at < w.file.n; at++)
    for (unsigned bit = 0; bit < 8; bit++) assert_flip_is_seen(&w, at, (uint8_t)(1u << bit));
  assert_int_equal(verdict(&w), SEGMENT_CLEAN);
  bytes_close(&w.file);
}

static void test_every_byte(void **state) {
  (void)state;
  struct written w = sample();
  struct random random = {5};
  for (size_t at = 0; at < w.file.n; at++)
    for (size_t i = 0; i < 3; i++) assert_flip_is_seen(&w, at, (uint8_t)(1 + random_below(&random, 255)));
  bytes_close(&w.file);
}

/* Zeros over any stretch are seen as long as the last frame is not touched. That one may be lost, and only if
 * a sector of it is gone entirely. */
static void test_zeroed(void **state) {
  (void)state;
  struct written w = sample();
  const size_t sizes[] = {SECTOR, 2 * SECTOR, 4096};
  const uint64_t last = w.offsets[w.n - 1];
  size_t refused = 0;
  for (size_t s = 0; s < 3; s++) {
    for (size_t at = 0; at < w.file.n; at += SECTOR) {
      struct written harmed = w;
      harmed.file = (struct bytes){0};
      bytes_append(&harmed.file, w.file.data, w.file.n);
      for (size_t k = at; k < at + sizes[s] && k < w.file.n; k++) harmed.file.data[k] = 0;
      const bool harmless = memcmp(harmed.file.data, w.file.data, w.file.n) == 0;
      const enum segment_end ending = verdict(&harmed);
      refused += ending == SEGMENT_DAMAGED;
      if (harmless)
        assert_int_equal(ending, SEGMENT_CLEAN);
      else if (at + sizes[s] <= last || at == 0)
        assert_int_equal(ending, SEGMENT_DAMAGED);
      bytes_close(&harmed.file);
    }
  }
  assert_true(refused > 15);
  bytes_close(&w.file);
}

/* A page in the middle of a long row of small frames. */
static void test_page_lost(void **state) {
  (void)state;
  struct written w = begin(FILE_BYTES);
  for (size_t i = 0; i < FRAMES_MAX; i++) add_entry(&w, 400, false);
  memset(w.file.data + 4096, 0, 4096);
  assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
  assert_non_null(strstr(fault.text, "missing"));
  bytes_close(&w.file);
}

static void test_every_length(void **state) {
  (void)state;
  struct written w = sample();
  for (size_t n = 0; n < w.file.n; n++) {
    assert_int_equal(read_content(&w, w.file.data, n), 0);
    assert_int_equal(scan.ending, SEGMENT_DAMAGED);
  }
  memset(bytes_reserve(&w.file, 4096), 0, 4096);
  for (size_t more = 1; more <= 4096; more++) {
    assert_int_equal(read_content(&w, w.file.data, w.file.n + more), 0);
    assert_int_equal(scan.ending, SEGMENT_DAMAGED);
  }
  bytes_close(&w.file);
}

/* Frames of one size, so that one can stand in another's place: copied, swapped, left out, of another
 * segment. */
static void test_misplaced_frames(void **state) {
  (void)state;
  struct written w = begin(8192);
  for (size_t i = 0; i < 6; i++) add_entry(&w, 100, false);
  const size_t n = (size_t)(w.offsets[1] - w.offsets[0]);
  for (size_t from = 0; from < 7; from++) {
    for (size_t to = 0; to < 7; to++) {
      struct written harmed = w;
      harmed.file = (struct bytes){0};
      bytes_append(&harmed.file, w.file.data, w.file.n);
      memcpy(harmed.file.data + w.offsets[to], w.file.data + w.offsets[from], n);
      const enum segment_end ending = verdict(&harmed);
      if (from == to)
        assert_int_equal(ending, SEGMENT_CLEAN);
      else if (to == 5 && from == 6)
        assert_true(ending == SEGMENT_CLEAN && seen == 5); /* all of it lost */
      else
        assert_int_equal(ending, SEGMENT_DAMAGED);
      bytes_close(&harmed.file);
    }
  }
  bytes_close(&w.file);
}

/* A frame that is right in itself, and in its place, but follows another one: of a log that went another way.
 */
static void test_wrong_chain(void **state) {
  (void)state;
  struct written w = begin(8192);
  add_entry(&w, 100, false);
  w.chain++;
  add_entry(&w, 100, false);
  assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
  assert_int_equal(seen, 1);
  bytes_close(&w.file);
}

/* Frames and checksums are good, and what is in them is not. */
static void test_bad_records(void **state) {
  (void)state;
  static const uint8_t entry[] = {1, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 3, 2, 0, 0, 0, 'a', 'b'};
  static const uint8_t snapshot[] = {3, 1, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 2};
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
  for (size_t i = 0; i <= sizeof others / sizeof others[0]; i++) {
    struct written w = begin(4096);
    struct bytes records = {0};
    if (i == 0)
      bytes_append(&records, snapshot, sizeof snapshot); /* keep is neither 0 nor 1 */
    else
      bytes_append(&records, others[i - 1], sizeof others[0]);
    add_frame(&w, &records);
    assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
    bytes_close(&records);
    bytes_close(&w.file);
  }
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
  assert_int_equal(segment_read_header(files, name, &header, &good, &fault), 0);
  assert_false(good);
  const uint64_t checksum = XXH3_64bits(w.file.data, SEGMENT_HEADER_BYTES - 8);
  set_u32(&w.file, SEGMENT_HEADER_BYTES - 8, (uint32_t)checksum);
  set_u32(&w.file, SEGMENT_HEADER_BYTES - 4, (uint32_t)(checksum >> 32));
  assert_int_equal(read_content(&w, w.file.data, w.file.n), CORACLE_ELIMIT);
  assert_int_equal(segment_read_header(files, name, &header, &good, &fault), CORACLE_ELIMIT);
  assert_non_null(strstr(fault.text, "version 2"));
  bytes_close(&w.file);
}

static void test_no_file(void **state) {
  (void)state;
  struct segment_header header;
  bool good;
  assert_int_equal(segment_read(files, name, NULL, NULL, &scan, &fault), CORACLE_ENOTFOUND);
  assert_int_equal(segment_read_header(files, name, &header, &good, &fault), CORACLE_ENOTFOUND);
  assert_int_equal(files->make_directory(files->context, name), 0);
  assert_int_equal(segment_read(files, name, NULL, NULL, &scan, &fault), CORACLE_EDAMAGED);
}

/* A disk that cannot read is no damage: nothing is said of what is on it. */
static void test_read_fails(void **state) {
  (void)state;
  struct written w = sample();
  fake_files_put(disk, name, w.file.data, w.file.n);
  for (uint64_t after = 0; after < 3; after++) {
    fake_files_fail(disk, FAKE_BIT(FAKE_READ) | FAKE_BIT(FAKE_OPEN), after, -5);
    assert_int_equal(segment_read(files, name, NULL, NULL, &scan, &fault), CORACLE_EIO);
  }
  assert_int_equal(segment_read(files, name, NULL, NULL, &scan, &fault), 0);
  assert_int_equal(scan.ending, SEGMENT_CLEAN);
  bytes_close(&w.file);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_records, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_whole, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_torn, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_torn_long, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_torn_at_every_byte, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_every_bit, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_every_byte, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_zeroed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_page_lost, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_every_length, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_misplaced_frames, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_wrong_chain, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_bad_records, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_newer_version, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_no_file, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_read_fails, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
