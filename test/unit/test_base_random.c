/* Goal: a seed gives the same numbers for ever, those of splitmix64: runs are kept by their seeds. */
#include "base/random.h"

#include "golden.h"

static void a_seed_is_a_run(void **state) {
  (void)state;
  struct random zero = {.state = 0}, other = {.state = 1234567};
  assert_true(random_next(&zero) == 0xe220a8397b1dcdafu);
  assert_true(random_next(&zero) == 0x6e789e6aa1b965f4u);
  assert_true(random_next(&other) == 6457827717110365317u);
  assert_true(random_next(&other) == 3203168211198807973u);
}

static void below_a_limit(void **state) {
  (void)state;
  struct random random = {.state = 5};
  unsigned seen[7] = {0};
  for (int i = 0; i < 7000; i++) seen[random_below(&random, 7)]++;
  for (int i = 0; i < 7; i++) assert_in_range(seen[i], 800, 1200);
  for (int i = 0; i < 100; i++) assert_true(random_below(&random, 1) == 0);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(a_seed_is_a_run), cmocka_unit_test(below_a_limit)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
