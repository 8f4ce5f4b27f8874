/* Goal: the byte buffer keeps what was put into it while it grows, slices compare as bytes do, and decimals
 * are read up to the last that fits and not one further. */
#include "base/bytes.h"

#include "base/error.h"
#include "base/memory.h"
#include "golden.h"

#include <inttypes.h>
#include <stdio.h>

static void all_zero_is_empty(void **state) {
  (void)state;
  struct bytes b = {0};
  bytes_append(&b, NULL, 0);
  bytes_append_slice(&b, (struct slice){NULL, 0});
  bytes_append_string(&b, "");
  bytes_consume(&b, 0);
  assert_null(b.data);
  assert_true(slice_is(slice_of_bytes(&b), ""));
  bytes_close(&b);
  bytes_close(&b);
  assert_int_equal(b.n + b.capacity, 0);
}

/* Appended in pieces of every size: each byte is a known function of its place. */
static void grows(void **state) {
  (void)state;
  struct bytes b = {0};
  uint8_t piece[300];
  for (size_t n = 0; n < sizeof piece; n++) {
    for (size_t i = 0; i < n; i++) piece[i] = (uint8_t)((b.n + i) * 31 >> 3);
    uint8_t *copy = exact_copy(piece, n);
    bytes_append(&b, copy, n);
    free(copy);
    assert_true(b.n <= b.capacity);
  }
  assert_int_equal(b.n, sizeof piece * (sizeof piece - 1) / 2);
  for (size_t i = 0; i < b.n; i++) assert_int_equal(b.data[i], (uint8_t)(i * 31 >> 3));
  bytes_close(&b);
}

static void reserved_bytes_count_once_raised(void **state) {
  (void)state;
  struct bytes b = {0};
  bytes_append_string(&b, "ab");
  uint8_t *at = bytes_reserve(&b, 1000);
  memset(at, 'x', 1000); /* all of it is ours */
  assert_int_equal(b.n, 2);
  memcpy(bytes_reserve(&b, 2), "cd", 2);
  b.n += 2;
  assert_true(slice_is(slice_of_bytes(&b), "abcd"));
  bytes_close(&b);
}

static void consumes_from_the_front(void **state) {
  (void)state;
  struct bytes b = {0};
  bytes_append_string(&b, "0123456789");
  bytes_consume(&b, 3);
  assert_true(slice_is(slice_of_bytes(&b), "3456789"));
  bytes_consume(&b, 0);
  bytes_append_string(&b, "a");
  assert_true(slice_is(slice_of_bytes(&b), "3456789a"));
  bytes_consume(&b, b.n);
  assert_true(slice_is(slice_of_bytes(&b), ""));
  bytes_close(&b);
}

static void prints(void **state) {
  (void)state;
  struct bytes b = {0};
  char expected[400];
  for (int width = 1; width < 140; width++) { /* over the first two capacities, with nothing to spare */
    bytes_append_string(&b, "<");
    bytes_printf(&b, "%*d%s", width, width, ">");
    snprintf(expected, sizeof expected, "<%*d>", width, width);
    assert_true(slice_is(slice_of_bytes(&b), expected));
    bytes_close(&b);
  }
  bytes_printf(&b, "%s", "");
  assert_int_equal(b.n, 0);
  bytes_close(&b);
}

static void prints_numbers(void **state) {
  (void)state;
  static const uint64_t numbers[] = {0, 1, 9, 10, 99, 100, 12345678901234567890u, UINT64_MAX - 1, UINT64_MAX};
  for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
    struct bytes b = {0};
    char expected[24];
    uint64_t back;
    bytes_append_u64(&b, numbers[i]);
    snprintf(expected, sizeof expected, "%" PRIu64, numbers[i]);
    assert_true(slice_is(slice_of_bytes(&b), expected));
    assert_true(slice_to_u64(slice_of_bytes(&b), &back) && back == numbers[i]);
    bytes_close(&b);
  }
}

static void slices_compare_as_unsigned_bytes(void **state) {
  (void)state;
  static const struct slice ascending[] = {{NULL, 0},   {"\0", 1},   {"\0\0", 2}, {"A", 1},       {"Z", 1},
                                           {"a", 1},    {"a\0b", 3}, {"ab", 2},   {"ab\0", 3},    {"b", 1},
                                           {"\x7f", 1}, {"\x80", 1}, {"\xff", 1}, {"\xff\xff", 2}};
  enum { N = sizeof ascending / sizeof *ascending };
  for (size_t i = 0; i < N; i++)
    for (size_t j = 0; j < N; j++) {
      int order = slice_compare(ascending[i], ascending[j]);
      assert_int_equal((order > 0) - (order < 0), (i > j) - (i < j));
      assert_int_equal(slice_equal(ascending[i], ascending[j]), i == j);
    }
  assert_true(slice_equal((struct slice){NULL, 0}, slice_of("")));
  assert_false(slice_is((struct slice){"ab", 1}, "ab"));
}

static void caseless(void **state) {
  (void)state;
  assert_true(slice_is_caseless(slice_of("Content-LENGTH"), "content-length"));
  assert_true(slice_is_caseless((struct slice){NULL, 0}, ""));
  assert_false(slice_is_caseless(slice_of("content-lengt"), "content-length"));
  assert_false(slice_is_caseless(slice_of("content-length "), "content-length"));
  assert_false(slice_is_caseless(slice_of("@"), "`")); /* 32 apart, as letters are */
  assert_false(slice_is_caseless(slice_of("["), "{"));
  assert_false(slice_is_caseless(slice_of("\xc3\x84"), "\xc3\xa4")); /* ASCII only */
}

static void decimals(void **state) {
  (void)state;
  static const char *const bad[] = {"",
                                    "-1",
                                    "+1",
                                    " 1",
                                    "1 ",
                                    "1a",
                                    "0x1",
                                    "1.0",
                                    "/",
                                    ":",
                                    "18446744073709551616", /* 2 to the 64 */
                                    "18446744073709551620",
                                    "18446744073709551999",
                                    "20000000000000000000",
                                    "99999999999999999999",
                                    "000000000000000000001",
                                    "184467440737095516150"};
  uint64_t value;
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
    value = 77;
    if (slice_to_u64(slice_of(bad[i]), &value)) fail_msg("\"%s\" was taken", bad[i]);
    assert_true(value == 77);
  }
  assert_false(slice_to_u64((struct slice){"1\0", 2}, &value));
  assert_false(slice_to_u64((struct slice){NULL, 0}, &value));
  assert_true(slice_to_u64(slice_of("18446744073709551615"), &value) && value == UINT64_MAX);
  assert_true(slice_to_u64(slice_of("18446744073709551609"), &value) && value == UINT64_MAX - 6);
  assert_true(slice_to_u64(slice_of("00000000000000000001"), &value) && value == 1);
  assert_true(slice_to_u64((struct slice){"123", 2}, &value) && value == 12);
}

static void copies_of_strings(void **state) {
  (void)state;
  char *copy = memory_strndup("abc", 2);
  assert_string_equal(copy, "ab");
  free(copy);
  copy = memory_strndup("", 0);
  assert_string_equal(copy, "");
  free(copy);
  uint8_t *zero = memory_zalloc(100);
  for (size_t i = 0; i < 100; i++) assert_int_equal(zero[i], 0);
  free(zero);
  free(memory_alloc(0)); /* not NULL: the compiler was told so */
}

static void every_error_has_a_text(void **state) {
  (void)state;
  assert_string_equal(coracle_strerror(0), "success");
  assert_string_equal(coracle_strerror(CORACLE_EMALFORMED), "malformed");
  assert_string_equal(coracle_strerror(-1000), "unknown error");
  assert_string_equal(coracle_strerror(1), "unknown error");
#define X(name, code, text) assert_string_equal(coracle_strerror(CORACLE_##name), text);
  CORACLE_ERRORS(X)
#undef X
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_zero_is_empty),
      cmocka_unit_test(grows),
      cmocka_unit_test(reserved_bytes_count_once_raised),
      cmocka_unit_test(consumes_from_the_front),
      cmocka_unit_test(prints),
      cmocka_unit_test(prints_numbers),
      cmocka_unit_test(slices_compare_as_unsigned_bytes),
      cmocka_unit_test(caseless),
      cmocka_unit_test(decimals),
      cmocka_unit_test(copies_of_strings),
      cmocka_unit_test(every_error_has_a_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
