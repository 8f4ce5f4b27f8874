/* Goal: a log holds what was appended, over segments, truncations, snapshots and restarts, and gives its room
 * back. What was truncated never comes back, and what a snapshot made needless does no harm, whatever of it a
 * crash left behind. Method: a model beside the log, and a disk in memory. */
#include "log_case.h"

static struct log_case c;

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

static size_t segments_n(void) {
  char **names;
  size_t n;
  ok(log_list(fake_files_table(c.disk), &names, &n, &c.fault));
  for (size_t i = 0; i < n; i++) free(names[i]);
  free(names);
  return n;
}

/* ---- Appending ---- */

static void test_empty(void **state) {
  (void)state;
  assert_int_equal(c.found.entries_n, 0);
  assert_int_equal(log_number(c.log), 0);
  assert_int_equal(fake_files_count(c.disk, FAKE_BIT(FAKE_CREATE) | FAKE_BIT(FAKE_WRITE)), 0);
  log_case_expect(&c);
}

static void test_round_trip(void **state) {
  (void)state;
  for (uint64_t i = 1; i <= 100; i++) {
    ok(log_case_add(&c, 1 + i % 5, 1 + i / 10));
    log_case_expect(&c);
  }
  assert_true(log_number(c.log) > 5);
  assert_int_equal(segments_n(), log_number(c.log));
}

/* One write and one sync for a frame, and nothing else. */
static void test_one_write_one_sync(void **state) {
  (void)state;
  ok(log_case_add(&c, 1, 1));
  const uint64_t changes = fake_files_count(c.disk, FAKE_CHANGES);
  const uint64_t writes = fake_files_count(c.disk, FAKE_BIT(FAKE_WRITE));
  const uint64_t syncs = fake_files_count(c.disk, FAKE_BIT(FAKE_SYNC));
  ok(log_case_add(&c, 10, 1));
  assert_int_equal(fake_files_count(c.disk, FAKE_BIT(FAKE_WRITE)), writes + 1);
  assert_int_equal(fake_files_count(c.disk, FAKE_BIT(FAKE_SYNC)), syncs + 1);
  assert_int_equal(fake_files_count(c.disk, FAKE_CHANGES), changes + 2);
}

/* A frame longer than segments are gets one of its own. */
static void test_long_frame(void **state) {
  (void)state;
  c.data_bytes = 1000;
  ok(log_case_add(&c, 1, 1));
  ok(log_make_spare(c.log, &c.fault)); /* too small */
  ok(log_case_add(&c, 50, 1));
  ok(log_case_add(&c, 4, 1)); /* no more than what is left of a page fits into that one */
  assert_int_equal(log_number(c.log), 3);
  log_case_expect(&c);
  ok(log_case_add(&c, 1, 2));
  log_case_expect(&c);
}

/* The spare is what the next segment is made of. */
static void test_spare(void **state) {
  (void)state;
  c.data_bytes = 900;
  ok(log_make_spare(c.log, &c.fault));
  assert_true(fake_files_exists(c.disk, "log/spare"));
  ok(log_make_spare(c.log, &c.fault));
  const uint64_t made = fake_files_count(c.disk, FAKE_BIT(FAKE_CREATE) | FAKE_BIT(FAKE_ALLOCATE));
  ok(log_case_add(&c, 3, 1));
  assert_int_equal(fake_files_count(c.disk, FAKE_BIT(FAKE_CREATE) | FAKE_BIT(FAKE_ALLOCATE)), made);
  assert_false(fake_files_exists(c.disk, "log/spare"));
  ok(log_make_spare(c.log, &c.fault));
  log_case_expect(&c); /* what is left over of it goes */
  assert_false(fake_files_exists(c.disk, "log/spare"));
}

static size_t told;
static uint64_t told_done, told_all;

static void tell(void *argument, uint64_t done, uint64_t all) {
  assert_ptr_equal(argument, &c);
  assert_true(done > told_done && done <= all);
  told++;
  told_done = done;
  told_all = all;
}

static void test_progress(void **state) {
  (void)state;
  c.data_bytes = 900;
  c.options.progress = tell;
  c.options.progress_argument = &c;
  for (int i = 0; i < 9; i++) ok(log_case_add(&c, 1, 1));
  log_case_expect(&c);
  assert_int_equal(told, 3);
  assert_int_equal(told_done, told_all);
  assert_int_equal(told_all, 3 * LOG_CASE_SEGMENT_BYTES);
}

/* ---- Truncating ---- */

static void test_truncated_stays_truncated(void **state) {
  (void)state;
  ok(log_case_add(&c, 60, 1));
  ok(log_case_replace(&c, 30, 0, 0)); /* nothing follows */
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 29);
  ok(log_case_add(&c, 1, 2));
  log_case_expect(&c);
  ok(log_case_replace(&c, 5, 3, 3)); /* across segments */
  log_case_expect(&c);
  ok(log_case_replace(&c, 1, 0, 0)); /* all of it */
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 0);
  ok(log_case_add(&c, 2, 4));
  log_case_expect(&c);
}

/* ---- Snapshots ---- */

/* Takes one of what the log holds, as a node does: image, record, removal. */
static void take_snapshot(uint64_t index) {
  log_case_place_snapshot(&c, index, c.model.terms[index], true);
  ok(log_case_snapshot(&c, true));
}

static void test_compaction(void **state) {
  (void)state;
  for (int i = 0; i < 50; i++) ok(log_case_add(&c, 5, 1));
  const size_t before = segments_n();
  take_snapshot(200);
  ok(log_remove(c.log, 200, &c.fault));
  assert_true(segments_n() < before && segments_n() > 1);
  log_case_expect(&c);
  ok(log_case_add(&c, 5, 2));
  take_snapshot(255);
  ok(log_remove(c.log, 255, &c.fault));
  log_case_expect(&c);
  assert_true(log_number(c.log) > 0 && segments_n() >= 1); /* the newest stays */
  ok(log_case_add(&c, 5, 2));
  log_case_expect(&c);
}

/* A segment goes when all before the next one is in the snapshot, though some of its own entries have higher
 * indexes: they were truncated. And it stays while the log before the next one goes further. */
static void test_compaction_of_truncated(void **state) {
  (void)state;
  c.data_bytes = 1000;
  ok(log_case_add(&c, 3, 1));        /* a segment of its own */
  ok(log_case_add(&c, 3, 1));        /* 2: up to 6 */
  ok(log_case_replace(&c, 3, 3, 2)); /* 3: 3 to 5 */
  ok(log_case_add(&c, 3, 2));        /* 4 */
  assert_int_equal(log_number(c.log), 4);
  take_snapshot(4);
  ok(log_remove(c.log, 4, &c.fault));
  assert_false(fake_files_exists(c.disk, log_case_segment(1)));
  assert_true(fake_files_exists(c.disk, log_case_segment(2)));
  log_case_expect(&c);
  take_snapshot(5);
  ok(log_remove(c.log, 5, &c.fault));
  assert_false(fake_files_exists(c.disk, log_case_segment(3)));
  assert_true(fake_files_exists(c.disk, log_case_segment(4)));
  log_case_expect(&c);
}

/* The first segment that is left begins with truncating what was in those before it. */
static void test_truncation_of_what_was_removed(void **state) {
  (void)state;
  c.data_bytes = 1000;
  ok(log_case_add(&c, 3, 1));
  ok(log_case_replace(&c, 2, 3, 2)); /* 2: 2 to 4 */
  ok(log_case_add(&c, 3, 2));        /* 3 */
  take_snapshot(3);
  ok(log_remove(c.log, 3, &c.fault));
  assert_int_equal(segments_n(), 2);
  log_case_expect(&c);
  ok(log_case_replace(&c, 5, 1, 3));
  log_case_expect(&c);
}

/* A leader's image takes the place of a log that is too short, or another one. */
static void install(uint64_t index, uint64_t term) {
  log_case_place_snapshot(&c, index, term, false);
  ok(log_case_snapshot(&c, false));
}

static void test_reset(void **state) {
  (void)state;
  c.data_bytes = 1000;
  ok(log_case_add(&c, 3, 1));
  ok(log_case_add(&c, 1, 1));
  install(100, 5);
  log_case_expect(&c);
  ok(log_case_add(&c, 1, 5)); /* rolls: nothing before is needed any more */
  assert_int_equal(log_number(c.log), 3);
  log_case_expect(&c);
  ok(log_case_add(&c, 1, 5)); /* once */
  assert_int_equal(log_number(c.log), 3);
  ok(log_remove(c.log, 100, &c.fault));
  assert_int_equal(segments_n(), 1);
  log_case_expect(&c);
  /* Another one in the middle of the log, which holds other entries there and after it. */
  ok(log_case_add(&c, 9, 5));
  install(105, 6);
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 0);
  ok(log_case_add(&c, 2, 6));
  log_case_expect(&c);
}

/* Without a segment, the first one begins after the snapshot. */
static void test_reset_of_nothing(void **state) {
  (void)state;
  log_case_place_snapshot(&c, 100, 5, false);
  log_case_expect(&c);
  ok(log_case_add(&c, 3, 5));
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 3);
}

/* ---- A crash between a snapshot's rename and its record ---- */

static void test_unrecorded_and_kept(void **state) {
  (void)state;
  ok(log_case_add(&c, 60, 3));
  log_case_place_snapshot(&c, 50, 3, true);
  log_case_expect(&c);
  assert_true(c.found.entries_n >= 10);
  ok(log_case_add(&c, 5, 3));
  log_case_expect(&c);
}

/* The log ends before the snapshot: what is appended next is found after each further start. */
static void test_unrecorded_and_short(void **state) {
  (void)state;
  ok(log_case_add(&c, 50, 3));
  log_case_place_snapshot(&c, 100, 4, false);
  log_case_expect(&c);
  log_case_expect(&c); /* nothing was written yet */
  assert_int_equal(c.found.entries_n, 0);
  ok(log_case_add(&c, 1, 4));
  log_case_expect(&c);
  ok(log_case_add(&c, 1, 4));
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 2);
}

static void test_unrecorded_and_divergent(void **state) {
  (void)state;
  ok(log_case_add(&c, 150, 3));
  log_case_place_snapshot(&c, 100, 4, false);
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 0);
  ok(log_case_add(&c, 1, 4));
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 1);
  ok(log_remove(c.log, 100, &c.fault));
  log_case_expect(&c);
}

/* The snapshot's index is where a segment begins: only the term that its header tells says that the log
 * before was another one. */
static void test_unrecorded_at_a_segments_beginning(void **state) {
  (void)state;
  c.data_bytes = 1000;
  ok(log_case_add(&c, 3, 1));
  ok(log_case_add(&c, 3, 1));
  assert_int_equal(log_number(c.log), 2);
  struct log_model other = c.model;
  log_case_place_snapshot(&c, 3, 2, false);
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 0);
  c.model = other;
  log_case_place_snapshot(&c, 3, 1, true);
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 3);
}

/* The same where the term is not in the header, since a truncation came last before it: what was before is
 * needed to know, and stays until the snapshot after. */
static void test_unrecorded_after_a_truncation(void **state) {
  (void)state;
  c.data_bytes = 1000;
  ok(log_case_add(&c, 2, 1));
  ok(log_case_add(&c, 1, 1));
  ok(log_case_replace(&c, 3, 0, 0)); /* ends at 2, in segment 1 */
  ok(log_case_add(&c, 3, 2));
  assert_int_equal(log_number(c.log), 2);
  struct log_model other = c.model;
  log_case_place_snapshot(&c, 2, 2, false);
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 0);
  c.model = other;
  log_case_place_snapshot(&c, 2, 1, true);
  log_case_expect(&c);
  ok(log_case_snapshot(&c, true));
  ok(log_remove(c.log, 2, &c.fault));
  assert_int_equal(segments_n(), 2);
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 5);
  take_snapshot(3);
  ok(log_remove(c.log, 3, &c.fault));
  assert_int_equal(segments_n(), 1);
  log_case_expect(&c);
}

/* Unless a snapshot's record tells the term. */
static void test_snapshot_after_a_truncation(void **state) {
  (void)state;
  c.data_bytes = 1000;
  ok(log_case_add(&c, 3, 1));
  ok(log_case_replace(&c, 3, 0, 0));
  take_snapshot(2);
  ok(log_case_add(&c, 3, 2));
  assert_int_equal(log_number(c.log), 2);
  ok(log_remove(c.log, 2, &c.fault));
  assert_int_equal(segments_n(), 1);
  log_case_expect(&c);
  assert_int_equal(c.found.entries_n, 3);
}

/* ---- What removal leaves ---- */

/* Any of the segments that were to be removed may be there after a power cut, whole or not. */
static void test_leftovers(void **state) {
  (void)state;
  c.data_bytes = 1000;
  for (int i = 0; i < 6; i++) ok(log_case_add(&c, 3, 1));
  assert_int_equal(log_number(c.log), 6);
  take_snapshot(13); /* needed: 5 and 6 (12 is before 5) */
  log_case_close(&c);
  const struct log_case before = c;
  for (unsigned gone = 0; gone < 16; gone++) {
    for (unsigned harm = 0; harm < 3; harm++) {
      c.disk = fake_files_copy(before.disk, gone);
      for (unsigned i = 0; i < 4; i++) {
        if ((gone >> i & 1) != 0)
          fake_files_take(c.disk, log_case_segment(i + 1));
        else if (harm > 0)
          fake_files_flip(c.disk, log_case_segment(i + 1), harm == 1 ? 50 : 1000, 4);
      }
      log_case_expect(&c);
      assert_int_equal(segments_n(), 2);
      ok(log_case_add(&c, 3, 1));
      log_case_expect(&c);
      log_case_close(&c);
      fake_files_free(c.disk);
      c = before;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_empty, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_one_write_one_sync, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_long_frame, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_spare, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_progress, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_truncated_stays_truncated, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_compaction, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_compaction_of_truncated, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_truncation_of_what_was_removed, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_reset, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_reset_of_nothing, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unrecorded_and_kept, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unrecorded_and_short, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unrecorded_and_divergent, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unrecorded_at_a_segments_beginning, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_unrecorded_after_a_truncation, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_snapshot_after_a_truncation, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_leftovers, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
