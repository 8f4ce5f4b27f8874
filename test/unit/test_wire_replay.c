/* Goal: each datagram of a sender is taken once, in any order within the window's reach, and what is older
 * than that, or of an older start, is not taken at all. */
#include "wire/replay.h"

#include "base/random.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void each_is_taken_once(void **state) {
  (void)state;
  struct replay_window window = {0};
  for (uint64_t counter = 1; counter <= 200; counter++) {
    assert_true(replay_window_take(&window, 7, counter));
    assert_false(replay_window_take(&window, 7, counter));
  }
}

static void the_edges_of_the_window(void **state) {
  (void)state;
  for (uint64_t behind = 1; behind <= 130; behind++) {
    struct replay_window window = {0};
    assert_true(replay_window_take(&window, 1, 1000));
    const bool reached = behind <= 63; /* the newest is one of the 64 */
    assert_int_equal(replay_window_take(&window, 1, 1000 - behind), reached);
    assert_false(replay_window_take(&window, 1, 1000 - behind));
    assert_false(replay_window_take(&window, 1, 1000));
  }
}

/* A jump ahead keeps what is still in reach, and only that. */
static void a_jump_ahead(void **state) {
  (void)state;
  static const uint64_t jumps[] = {1, 2, 62, 63, 64, 65, 1000, UINT64_MAX / 2};
  for (size_t i = 0; i < sizeof jumps / sizeof *jumps; i++) {
    struct replay_window window = {0};
    assert_true(replay_window_take(&window, 1, 100));
    assert_true(replay_window_take(&window, 1, 98));
    assert_true(replay_window_take(&window, 1, 100 + jumps[i]));
    assert_false(replay_window_take(&window, 1, 100));
    assert_false(replay_window_take(&window, 1, 98));
    assert_int_equal(replay_window_take(&window, 1, 99), jumps[i] + 1 < REPLAY_WINDOW);
    assert_false(replay_window_take(&window, 1, 100 + jumps[i]));
  }
}

static void another_start(void **state) {
  (void)state;
  struct replay_window window = {0};
  assert_true(replay_window_take(&window, 5, 1000));
  assert_false(replay_window_take(&window, 4, 1001));
  assert_false(replay_window_take(&window, 4, UINT64_MAX));
  assert_true(replay_window_take(&window, 6, 1)); /* it begins to count again */
  assert_false(replay_window_take(&window, 6, 1));
  assert_false(replay_window_take(&window, 5, 1001));
  assert_true(replay_window_take(&window, 6, 2));
}

static void the_ends_of_the_numbers(void **state) {
  (void)state;
  struct replay_window window = {0};
  assert_true(replay_window_take(&window, 0, 0));
  assert_false(replay_window_take(&window, 0, 0));
  assert_true(replay_window_take(&window, 0, UINT64_MAX));
  assert_false(replay_window_take(&window, 0, UINT64_MAX));
  assert_false(replay_window_take(&window, 0, 0));
  assert_true(replay_window_take(&window, 0, UINT64_MAX - 63));
  assert_false(replay_window_take(&window, 0, UINT64_MAX - 64));
  assert_true(replay_window_take(&window, UINT64_MAX, 0));
  assert_false(replay_window_take(&window, UINT64_MAX - 1, 5));
}

/* Against a list of all that was taken. */
static void by_lot(void **state) {
  (void)state;
  enum { COUNTERS = 2000 };
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct random random = {seed};
    struct replay_window window = {0};
    bool taken[COUNTERS] = {false};
    uint64_t highest = 0;
    for (int i = 0; i < 5000; i++) {
      const uint64_t middle = (uint64_t)i * COUNTERS / 5000;
      const uint64_t counter = (middle + random_below(&random, 160)) % COUNTERS;
      const bool expected = !taken[counter] && (counter + REPLAY_WINDOW > highest || i == 0);
      assert_int_equal(replay_window_take(&window, 1, counter), expected);
      if (!expected) continue;
      taken[counter] = true;
      if (counter > highest) highest = counter;
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_is_taken_once),
      cmocka_unit_test(the_edges_of_the_window),
      cmocka_unit_test(a_jump_ahead),
      cmocka_unit_test(another_start),
      cmocka_unit_test(the_ends_of_the_numbers),
      cmocka_unit_test(by_lot),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
