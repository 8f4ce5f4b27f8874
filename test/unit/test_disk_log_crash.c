/* Goal: what was appended is there after any crash, a power cut between or within any two operations of the
 * disk, a crash while another one is recovered from, a failed sync; what was not, is there as a whole or not
 * at all. A full disk changes nothing, and what had no room is appended when there is some. Method: a model
 * beside the log, crashes at every operation, and random stories from seeds. */
#include "log_case.h"

#include <errno.h>

static struct log_case c;
static struct random dice;

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

/* ---- Crashes ---- */

enum ending { KILLED, LOST_ALL, LOST_NONE, LOST_SOME, ENDINGS_N };

static void end_process(enum ending ending) {
  static const enum fake_loss losses[] = {FAKE_LOSE_ALL, FAKE_LOSE_ALL, FAKE_LOSE_NONE, FAKE_RANDOM};
  log_case_close(&c);
  if (ending == KILLED)
    fake_files_kill(c.disk);
  else
    fake_files_cut_power(c.disk, losses[ending]);
}

/* The process is to end at one of the next changes: killed there, or because that one fails. */
static void doom(uint64_t changes) {
  if (random_below(&dice, 3) > 0)
    fake_files_crash_after(c.disk, random_below(&dice, changes));
  else
    fake_files_fail(c.disk, FAKE_CHANGES, random_below(&dice, changes), -EIO);
}

/* Opens what a crash left: it is as before, or as after what was under way. The model is then the one that it
 * is. Crashes come while it is opened, and a power cut right after: what was found once is durable. */
static void recover(const struct log_model *after, unsigned crashes) {
  const struct log_model before = c.model;
  for (unsigned i = 0; i < crashes; i++) {
    const uint64_t failed = fake_files_failed(c.disk);
    doom(8);
    const int error = log_case_open(&c);
    if (!fake_files_has_crashed(c.disk) && fake_files_failed(c.disk) == failed) ok(error);
    end_process((enum ending)random_below(&dice, ENDINGS_N));
  }
  const int error = log_case_open(&c);
  if (error != 0) print_error("%s\n", c.fault.text);
  ok(error);
  if (!log_case_agrees(&c, &before)) {
    assert_true(log_case_agrees(&c, after));
    c.model = *after;
  }
  if (random_below(&dice, 2) == 0) return;
  end_process(LOST_ALL);
  log_case_expect(&c);
}

/* One append, or what else a node does, drawn. *after: the model if all of it is done. */
static int do_something(struct log_model *after) {
  const uint64_t newest = after->last > after->base ? after->terms[after->last] : 1;
  const uint64_t term =
      (newest > after->snapshot_term ? newest : after->snapshot_term) + random_below(&dice, 2);
  const uint64_t n = random_below(&dice, 6);
  const uint64_t first = after->base > after->snapshot_index ? after->base : after->snapshot_index;
  switch (random_below(&dice, 10)) {
  case 0:
    return log_make_spare(c.log, &c.fault);
  case 1:
    if (after->last == first) return 0;
    const uint64_t index = first + 1 + random_below(&dice, after->last - first);
    log_model_truncate(after, index);
    log_model_add(after, n, term + 1);
    return log_case_replace(&c, index, n, term + 1);
  case 2: { /* an image of its own */
    if (after->last == first) return 0;
    const uint64_t of = first + 1 + random_below(&dice, after->last - first);
    log_case_place_snapshot(&c, of, c.model.terms[of], true);
    *after = c.model;
    const int error = log_case_snapshot(&c, true);
    return error == 0 ? log_remove(c.log, of, &c.fault) : error;
  }
  case 3: { /* a leader's, for a log that is shorter, or another one */
    if (random_below(&dice, 4) != 0) return 0;
    const uint64_t of = first + 1 + random_below(&dice, after->last - first + 20);
    log_case_place_snapshot(&c, of, term + 1, false);
    *after = c.model;
    const int error = log_case_snapshot(&c, false);
    return error == 0 ? log_remove(c.log, of, &c.fault) : error;
  }
  default:
    log_model_add(after, n + 1, term);
    return log_case_add(&c, n + 1, term);
  }
}

static void tell_a_story(uint64_t seed) {
  log_case_begin(&c, seed);
  dice.state = seed;
  c.data_bytes = random_below(&dice, 3) == 0 ? 700 : 0;
  ok(log_case_open(&c));
  for (int life = 0; life < 6; life++) {
    struct log_model after;
    int error;
    doom(60);
    do {
      after = c.model;
      error = do_something(&after);
    } while (error == 0 && !fake_files_has_crashed(c.disk));
    assert_int_equal(error == 0 ? CORACLE_EIO : error, CORACLE_EIO);
    end_process((enum ending)random_below(&dice, ENDINGS_N));
    recover(&after, (unsigned)random_below(&dice, 3));
  }
  log_case_end(&c);
}

/* More of them: CORACLE_STORIES in the environment. */
static void test_stories(void **state) {
  (void)state;
  const char *more = getenv("CORACLE_STORIES");
  const uint64_t stories = more != NULL ? strtoull(more, NULL, 10) : 2000;
  for (uint64_t seed = 1; seed <= stories; seed++) tell_a_story(seed);
}

/* One append that begins a segment, with a crash at every operation, and every ending. */
static void test_roll(void **state) {
  (void)state;
  bool crashed = true;
  for (uint64_t at = 0; crashed; at++) {
    for (unsigned ending = 0; ending < ENDINGS_N * 8; ending++) {
      dice.state = at * 100 + ending;
      log_case_begin(&c, dice.state);
      c.data_bytes = 1000;
      ok(log_case_open(&c));
      ok(log_case_add(&c, 3, 1));
      struct log_model after = c.model;
      log_model_add(&after, 2, 1);
      fake_files_crash_after(c.disk, at);
      const int error = log_case_add(&c, 2, 1);
      crashed = fake_files_has_crashed(c.disk);
      assert_int_equal(error, crashed ? CORACLE_EIO : 0);
      end_process((enum ending)(ending % ENDINGS_N));
      recover(&after, 0);
      ok(log_case_add(&c, 3, 2));
      end_process(LOST_ALL);
      log_case_expect(&c);
      log_case_end(&c);
    }
    assert_true(at < 20);
  }
}

/* The same after a snapshot of all there is, so that recovery removes what was before, with a crash in that
 * too: what takes its place must be there first. */
static void test_roll_after_a_snapshot(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < 3000; seed++) {
    log_case_begin(&c, seed);
    dice.state = seed;
    c.data_bytes = 900;
    ok(log_case_open(&c));
    for (int i = 0; i < 3; i++) ok(log_case_add(&c, 3, 1));
    log_case_place_snapshot(&c, 9, 1, true);
    ok(log_case_snapshot(&c, true));
    struct log_model after = c.model;
    log_model_add(&after, 3, 1);
    fake_files_crash_after(c.disk, seed % 12);
    const int error = log_case_add(&c, 3, 1);
    assert_int_equal(error, fake_files_has_crashed(c.disk) ? CORACLE_EIO : 0);
    end_process(seed % 3 == 0 ? LOST_SOME : KILLED);
    recover(&after, 2);
    log_case_end(&c);
  }
}

/* ---- Failing operations ---- */

/* The first failure is the last thing that this log does. */
static void test_errors(void **state) {
  (void)state;
  bool failed = true;
  for (uint64_t at = 0; failed; at++) {
    for (unsigned ending = 0; ending < ENDINGS_N * 8; ending++) {
      dice.state = at * 100 + ending;
      log_case_begin(&c, dice.state);
      c.data_bytes = 1000;
      ok(log_case_open(&c));
      ok(log_case_add(&c, 3, 1));
      struct log_model after = c.model;
      log_model_add(&after, 2, 1);
      fake_files_fail(c.disk, FAKE_CHANGES, at, -EIO);
      const int error = log_case_add(&c, 2, 1);
      failed = fake_files_failed(c.disk) > 0;
      assert_int_equal(error, failed ? CORACLE_EIO : 0);
      if (failed) {
        const uint64_t done = fake_files_count(c.disk, FAKE_CHANGES);
        assert_int_equal(log_case_add(&c, 2, 1), CORACLE_EIO);
        assert_int_equal(fake_files_count(c.disk, FAKE_CHANGES), done);
      }
      end_process((enum ending)(ending % ENDINGS_N));
      recover(&after, ending % 3);
      log_case_end(&c);
    }
    assert_true(at < 20);
  }
}

/* After a failed sync the system shows what it has not written, and would not write it with another sync.
 * Whoever starts again and finds it there makes it durable before relying on it. */
static void test_failed_sync(void **state) {
  (void)state;
  unsigned found_n = 0;
  for (uint64_t seed = 1; seed <= 50; seed++) {
    log_case_begin(&c, seed);
    c.data_bytes = 1000;
    ok(log_case_open(&c));
    ok(log_case_add(&c, 1, 1));
    struct log_model after = c.model;
    log_model_add(&after, 2, 1);
    fake_files_fail(c.disk, FAKE_BIT(FAKE_SYNC), 0, -EIO);
    assert_int_equal(log_case_add(&c, 2, 1), CORACLE_EIO);
    end_process(KILLED);
    ok(log_case_open(&c));
    if (log_case_agrees(&c, &after)) {
      c.model = after;
      found_n++;
    }
    end_process(LOST_ALL);
    log_case_expect(&c);
    log_case_end(&c);
  }
  assert_true(found_n > 0);
}

/* The same for a process that was killed between write and sync. */
static void test_killed_before_sync(void **state) {
  (void)state;
  ok(log_case_add(&c, 1, 1));
  log_model_add(&c.model, 2, 1);
  c.model.last -= 2;
  struct log_model after = c.model;
  after.last += 2;
  fake_files_crash_after(c.disk, 1);
  assert_int_equal(log_case_add(&c, 2, 1), CORACLE_EIO);
  end_process(KILLED);
  c.model = after;
  log_case_expect(&c);
  end_process(LOST_ALL);
  log_case_expect(&c);
}

/* ---- Full disks ---- */

static void fill(void) {
  fake_files_set_room(c.disk, fake_files_used(c.disk));
}

static void make_room(void) {
  fake_files_set_room(c.disk, UINT64_MAX);
}

/* What is in the newest segment's room goes in; then nothing, and nothing is changed by trying. */
static void test_full(void **state) {
  (void)state;
  ok(log_case_add(&c, 1, 1));
  fill();
  assert_int_equal(log_make_spare(c.log, &c.fault), CORACLE_EFULL);
  assert_false(fake_files_exists(c.disk, "log/spare"));
  int error;
  uint64_t appended = 0;
  while ((error = log_case_add(&c, 1, 1)) == 0) appended++;
  assert_int_equal(error, CORACLE_EFULL);
  assert_true(appended > 10);
  for (int i = 0; i < 3; i++) assert_int_equal(log_case_add(&c, 1, 1), CORACLE_EFULL);
  log_case_expect(&c); /* it can be opened while it is full */
  assert_int_equal(log_case_add(&c, 1, 1), CORACLE_EFULL);
  end_process(LOST_ALL);
  log_case_expect(&c);
  assert_int_equal(log_case_add(&c, 1, 1), CORACLE_EFULL);
  make_room();
  ok(log_case_add(&c, 1, 1));
  ok(log_make_spare(c.log, &c.fault));
  fill();
  for (uint64_t i = 0; i < appended; i++) ok(log_case_add(&c, 1, 1)); /* the spare's room is there */
  end_process(LOST_ALL);
  log_case_expect(&c);
}

/* A spare that has room for a part of it only would take that from others. */
static void test_full_for_a_spare(void **state) {
  (void)state;
  c.options.segment_bytes = (uint64_t)3 * FAKE_BLOCK_BYTES;
  ok(log_case_open(&c));
  fake_files_set_room(c.disk, fake_files_used(c.disk) + FAKE_BLOCK_BYTES);
  assert_int_equal(log_make_spare(c.log, &c.fault), CORACLE_EFULL);
  assert_false(fake_files_exists(c.disk, "log/spare"));
  assert_int_equal(log_case_add(&c, 1, 1), CORACLE_EFULL);
  assert_false(fake_files_exists(c.disk, "log/spare"));
  make_room();
  ok(log_case_add(&c, 1, 1));
}

/* Whatever it is that finds no room. */
static void test_full_anywhere(void **state) {
  (void)state;
  const unsigned can =
      FAKE_BIT(FAKE_CREATE) | FAKE_BIT(FAKE_WRITE) | FAKE_BIT(FAKE_ALLOCATE) | FAKE_BIT(FAKE_RENAME);
  unsigned failures[7] = {0};
  for (unsigned at = 0; at < 7; at++) {
    for (unsigned ending = 0; ending < ENDINGS_N * 64; ending++) {
      dice.state = at * 100 + ending;
      log_case_begin(&c, dice.state);
      c.data_bytes = 1000;
      ok(log_case_open(&c));
      ok(log_case_add(&c, 2, 1));
      const uint64_t n =
          ending % 3 == 0 ? 1 : 5; /* with and without a segment of its own, too long for a spare */
      if (ending % 5 == 0) ok(log_make_spare(c.log, &c.fault));
      fake_files_fail(c.disk, can, at, ending % 2 == 0 ? -ENOSPC : -EDQUOT);
      const int error = log_case_add(&c, n, 1);
      const bool failed = fake_files_failed(c.disk) > 0;
      assert_int_equal(error, failed ? CORACLE_EFULL : 0);
      failures[at] += failed;
      struct log_model after = c.model;
      if (failed && ending % 7 < 4) { /* others than were refused */
        log_model_add(&after, 1 + ending % 7, 9);
        fake_files_crash_after(c.disk, random_below(&dice, 8));
        if (log_case_add(&c, 1 + ending % 7, 9) == 0) after = c.model;
      }
      end_process((enum ending)(ending % ENDINGS_N));
      recover(&after, 0);
      ok(log_case_add(&c, 1, 9));
      log_case_expect(&c);
      log_case_end(&c);
    }
  }
  /* Making the spare, its room, its header, its name, the frame. */
  for (unsigned at = 0; at < 5; at++) assert_true(failures[at] > 0);
  assert_int_equal(failures[6], 0);
}

/* The record that a crash kept from being written waits for room, too. */
static void test_full_with_a_record_owed(void **state) {
  (void)state;
  while (log_number(c.log) < 2) ok(log_case_add(&c, 1, 1));
  log_case_place_snapshot(&c, 200, 2, false);
  ok(log_case_open(&c));
  fill();
  assert_int_equal(log_case_add(&c, 1, 2), CORACLE_EFULL);
  log_case_expect(&c);
  assert_int_equal(log_case_add(&c, 1, 2), CORACLE_EFULL);
  ok(log_remove(c.log, 200, &c.fault));
  make_room();
  ok(log_case_add(&c, 1, 2));
  end_process(LOST_ALL);
  log_case_expect(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_stories),
      cmocka_unit_test(test_roll),
      cmocka_unit_test(test_roll_after_a_snapshot),
      cmocka_unit_test(test_errors),
      cmocka_unit_test(test_failed_sync),
      cmocka_unit_test_setup_teardown(test_killed_before_sync, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_full, set_up, tear_down),
      cmocka_unit_test_setup_teardown(test_full_for_a_spare, set_up, tear_down),
      cmocka_unit_test(test_full_anywhere),
      cmocka_unit_test_setup_teardown(test_full_with_a_record_owed, set_up, tear_down),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
