/* Goal: a frame that a power cut tore, whichever of its sectors are there, is told from damage, and nothing
 * else is taken for one: not a byte changed, a sector or a page lost, a frame in another's place, a file cut
 * short or grown. Method: segments made in memory, harmed in every way, and read; the expected verdict is
 * reckoned from what was harmed. */
#include "segment_case.h"

/* Cutting a torn frame as the log does leaves a clean segment of the frames before it. */
static void assert_torn_after(struct written *w, size_t frames) {
  assert_int_equal(verdict(w), SEGMENT_TORN);
  assert_int_equal(seen, frames);
  assert_true(scan.torn_bytes > 0 && scan.end + scan.torn_bytes <= w->file.n);
  memset(w->file.data + scan.end, 0, (size_t)scan.torn_bytes);
  assert_int_equal(verdict(w), SEGMENT_CLEAN);
  assert_int_equal(seen, frames);
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
  struct written torn = copy_of(w);
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
    struct bytes data = {0};
    const size_t n = random_below(&random, 20 * SECTOR);
    for (size_t k = 0; k < n; k++)
      put_u8(&data, i % 2 == 0 && k / 1500 % 2 == 0 ? 0 : (uint8_t)(1 + random_below(&random, 255)));
    struct written w = begin(FILE_BYTES);
    add_entry(&w, random_below(&random, 900), false);
    add_data(&w, &data);
    const uint64_t all = (UINT64_C(1) << sectors_of(&w, 1)) - 1;
    for (size_t k = 0; k < 20; k++) tear(&w, random_next(&random) & all);
    for (size_t k = 0; k < sectors_of(&w, 1); k++) {
      tear(&w, UINT64_C(1) << k);
      tear(&w, all & ~(UINT64_C(1) << k));
    }
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
      struct written harmed = copy_of(&w);
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
      struct written harmed = copy_of(&w);
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

/* A sector of zeros in a document is no sign of a torn write, wherever in the file it comes to lie. */
static void test_zeros_that_were_written(void **state) {
  (void)state;
  struct written w = begin(8192);
  add_entry(&w, 100, false);
  add_entry(&w, 2500, true);
  assert_int_equal(verdict(&w), SEGMENT_CLEAN);
  for (size_t at = w.offsets[1]; at < w.offsets[2]; at++)
    for (unsigned bit = 0; bit < 8; bit++) assert_flip_is_seen(&w, at, (uint8_t)(1u << bit));
  bytes_close(&w.file);
}

/* The second of two sectors that a header lies in is lost: what is in the first must be its beginning. */
static void test_half_a_header(void **state) {
  (void)state;
  for (size_t first_n = 8; first_n < FRAME_HEADER_BYTES; first_n += 8) {
    struct written w = begin(8192);
    add_entry(&w, 2 * SECTOR - first_n - ENTRY_FRAME_BYTES, false);
    add_entry(&w, 3 * SECTOR, false);
    assert_int_equal(w.offsets[1] % SECTOR, SECTOR - first_n);
    memset(w.file.data + w.offsets[1] + first_n, 0, SECTOR);
    assert_int_equal(verdict(&w), SEGMENT_TORN);
    for (size_t at = 0; at < first_n; at++) {
      const bool is_known =
          at < 4 || (at >= 8 && at < 12) || (at >= 16 && at < 24); /* magic, offset, chain */
      for (unsigned bit = 0; bit < 8 && is_known; bit++) {
        w.file.data[w.offsets[1] + at] ^= (uint8_t)(1u << bit);
        assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
        w.file.data[w.offsets[1] + at] ^= (uint8_t)(1u << bit);
      }
    }
    bytes_close(&w.file);
  }
}

/* Whoever stores a log in a document stores headers of frames. They are not where they say. */
static void test_headers_as_data(void **state) {
  (void)state;
  struct written w = begin(8192);
  struct bytes data = {0};
  add_entry(&w, 100, false);
  for (size_t i = 0; i < 32; i++) {
    bytes_append(&data, w.file.data + w.offsets[0], FRAME_HEADER_BYTES);
    put_u8(&data, 1); /* so that some are at multiples of 8 */
  }
  add_data(&w, &data);
  tear(&w, 1);
  tear(&w, 3);
  bytes_close(&data);
  bytes_close(&w.file);
}

/* Further than a frame reaches, or so near to the end that none could begin there. */
static void test_where_no_frame_can_be(void **state) {
  (void)state;
  struct written w = begin(FRAME_RECORDS_BYTES_MAX + 64 * 1024);
  const size_t reach = SEGMENT_FRAMES_OFFSET + FRAME_HEADER_BYTES + FRAME_RECORDS_BYTES_MAX + FRAME_END_BYTES;
  w.file.data[reach - 1] = 1;
  assert_int_equal(verdict(&w), SEGMENT_TORN);
  w.file.data[reach] = 1;
  assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
  bytes_close(&w.file);
  for (size_t left = 8; left < 128; left += 8) {
    w = begin(4096);
    add_entry(&w, 4096 - SEGMENT_FRAMES_OFFSET - left - ENTRY_FRAME_BYTES, false);
    assert_int_equal(w.offsets[1], 4096 - left);
    struct bytes frame = {0}; /* the beginning of one, as it would be */
    uint8_t records[200] = "so long that they do not fit";
    frame_put(&frame, &w.header, w.chain, w.offsets[1], records, sizeof records);
    memcpy(w.file.data + w.offsets[1], frame.data, left);
    assert_int_equal(verdict(&w), SEGMENT_DAMAGED);
    bytes_close(&frame);
    bytes_close(&w.file);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_torn, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_torn_long, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_torn_at_every_byte, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_every_bit, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_every_byte, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_zeroed, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_page_lost, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_every_length, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_misplaced_frames, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_wrong_chain, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_zeros_that_were_written, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_half_a_header, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_headers_as_data, segment_case_begin, segment_case_end),
      cmocka_unit_test_setup_teardown(test_where_no_frame_can_be, segment_case_begin, segment_case_end),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
