/* The ids that POST makes sort in the order in which they were made, whatever the clock does. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "api/ulid.h"

struct text {
  char at[ULID_CHARACTERS + 1];
};

static struct text next(struct ulids *ulids, uint64_t wall_ms) {
  struct text text = {{0}};
  ulids_next(ulids, wall_ms, text.at);
  assert_int_equal(strlen(text.at), ULID_CHARACTERS);
  return text;
}

static void assert_greater(struct text later, struct text earlier) {
  if (strcmp(later.at, earlier.at) <= 0) fail_msg("%s comes after %s", later.at, earlier.at);
}

/* The first ten digits are the milliseconds. These are those of 2016-07-30T23:54:10.259Z in the ULID
 * specification. */
static void time_comes_first(void **state) {
  (void)state;
  struct ulids ulids;
  ulids_init(&ulids, 1);
  struct text text = next(&ulids, UINT64_C(1469922850259));
  assert_memory_equal(text.at, "01ARZ3NDEK", 10);
}

static void greater_in_one_millisecond(void **state) {
  (void)state;
  struct ulids ulids;
  ulids_init(&ulids, 2);
  struct text last = next(&ulids, 5000);
  for (int i = 0; i < 10000; i++) {
    struct text text = next(&ulids, 5000);
    assert_greater(text, last);
    assert_memory_equal(text.at, last.at, 10);
    last = text;
  }
}

static void greater_when_the_clock_goes_back(void **state) {
  (void)state;
  struct ulids ulids;
  ulids_init(&ulids, 3);
  struct text first = next(&ulids, 9000), second = next(&ulids, 10), third = next(&ulids, 8999);
  assert_greater(second, first);
  assert_greater(third, second);
  assert_greater(next(&ulids, 9001), third);
}

/* The 80 random bits carry into the milliseconds rather than wrap. */
static void greater_when_the_random_bits_are_used_up(void **state) {
  (void)state;
  struct ulids ulids;
  ulids_init(&ulids, 4);
  next(&ulids, 7000);
  ulids.high |= 0xffff;
  ulids.low = UINT64_MAX - 1;
  struct text last = next(&ulids, 7000);
  assert_string_equal(last.at + 10, "ZZZZZZZZZZZZZZZZ");
  struct text text = next(&ulids, 7000);
  assert_greater(text, last);
  assert_string_equal(text.at + 10, "0000000000000000");
  assert_greater(next(&ulids, 7002), text);
}

static void seeds_differ(void **state) {
  (void)state;
  struct ulids one, other;
  ulids_init(&one, 5);
  ulids_init(&other, 6);
  assert_string_not_equal(next(&one, 100).at, next(&other, 100).at);
}

/* In 16 bytes, most significant first: "01ARZ3NDEKTSV4RRFFQ69G5FAV" is the example of the ULID specification.
 */
static void packed_into_16_bytes_and_back(void **state) {
  (void)state;
  static const struct {
    const char *text;
    uint8_t bytes[ULID_BYTES];
  } rows[] = {
      {"00000000000000000000000000", {0}},
      {"00000000000000000000000001", {[15] = 1}},
      {"00000000000080000000000000", {[7] = 0x10}},
      {"01ARZ3NDEKTSV4RRFFQ69G5FAV",
       {0x01, 0x56, 0x3e, 0x3a, 0xb5, 0xd3, 0xd6, 0x76, 0x4c, 0x61, 0xef, 0xb9, 0x93, 0x02, 0xbd, 0x5b}},
      {"7ZZZZZZZZZZZZZZZZZZZZZZZZZ",
       {255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255, 255}},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    uint8_t bytes[ULID_BYTES];
    struct text text = {""};
    ulid_pack(rows[i].text, bytes);
    assert_memory_equal(bytes, rows[i].bytes, ULID_BYTES);
    ulid_unpack(bytes, text.at);
    assert_string_equal(text.at, rows[i].text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(time_comes_first),
      cmocka_unit_test(greater_in_one_millisecond),
      cmocka_unit_test(greater_when_the_clock_goes_back),
      cmocka_unit_test(greater_when_the_random_bits_are_used_up),
      cmocka_unit_test(seeds_differ),
      cmocka_unit_test(packed_into_16_bytes_and_back),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
