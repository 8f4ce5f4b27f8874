/* Walking over JSON texts, decoding strings, comparing strings and numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "json/text.h"

static void assert_slice(struct slice slice, const char *expected) {
  if (!slice_is(slice, expected)) fail_msg("%.*s, not %s", (int)slice.n, slice.at, expected);
}

/* ---- Walking ---- */

static void white_space_is_trimmed(void **state) {
  (void)state;
  assert_slice(json_trim(slice_of(" \t\r\n{ } \n")), "{ }");
  assert_slice(json_trim(slice_of("1")), "1");
  assert_slice(json_trim(slice_of(" \n ")), "");
  assert_slice(json_trim((struct slice){0}), "");
  assert_slice(json_trim(slice_of("\f1\v")), "\f1\v"); /* is none to JSON */
}

static void types_are_told_apart(void **state) {
  (void)state;
  assert_int_equal(json_type(slice_of("null")), JSON_NULL);
  assert_int_equal(json_type(slice_of("false")), JSON_FALSE);
  assert_int_equal(json_type(slice_of("true")), JSON_TRUE);
  assert_int_equal(json_type(slice_of("0")), JSON_NUMBER);
  assert_int_equal(json_type(slice_of("-1")), JSON_NUMBER);
  assert_int_equal(json_type(slice_of("\"\"")), JSON_STRING);
  assert_int_equal(json_type(slice_of("[]")), JSON_ARRAY);
  assert_int_equal(json_type(slice_of("{}")), JSON_OBJECT);
}

static void members_come_in_order(void **state) {
  (void)state;
  static const char *const expected[][2] = {
      {"\"a\"", "1"},      {"\"b\\\"}\"", "[1, {\"x\":\"]\"}, 2]"},
      {"\"\"", "{ }"},     {"\"c\"", "\"\\\\\""},
      {"\"d\"", "-1.5e3"}, {"\"e\"", "null"},
  };
  struct json_cursor cursor = json_open(slice_of(
      "{ \"a\" : 1 ,\"b\\\"}\":[1, {\"x\":\"]\"}, 2] , \"\":{ },\"c\":\"\\\\\",\"d\":-1.5e3 ,\"e\":null}"));
  struct slice name, value;
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    assert_true(json_next_member(&cursor, &name, &value));
    assert_slice(name, expected[i][0]);
    assert_slice(value, expected[i][1]);
  }
  assert_false(json_next_member(&cursor, &name, &value));
  assert_false(json_next_member(&cursor, &name, &value));
}

static void elements_come_in_order(void **state) {
  (void)state;
  static const char *const expected[] = {"1",    "\"a,]\"",      "[[2],[]]", "{\"x\":{\"y\":[]}}",
                                         "true", "\"\\\\\\\"\"", "0"};
  struct json_cursor cursor =
      json_open(slice_of("[1,\"a,]\" , [[2],[]],\n{\"x\":{\"y\":[]}},true,\"\\\\\\\"\",0 ]"));
  struct slice value;
  for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
    assert_true(json_next_element(&cursor, &value));
    assert_slice(value, expected[i]);
  }
  assert_false(json_next_element(&cursor, &value));
  cursor = json_open(slice_of("[ \n ]"));
  assert_false(json_next_element(&cursor, &value));
  cursor = json_open(slice_of("{}"));
  assert_false(json_next_member(&cursor, &value, &value));
}

static void members_are_found_by_name(void **state) {
  (void)state;
  const struct slice object =
      slice_of("{\"idx\":0,\"x\":{\"id\":1},\"\\u0069\\u0064\":2,\"na\\u006de\":[3],\"\":4}");
  struct slice value;
  assert_true(json_member(object, "id", &value));
  assert_slice(value, "2");
  assert_true(json_member(object, "name", &value));
  assert_slice(value, "[3]");
  assert_true(json_member(object, "", &value));
  assert_slice(value, "4");
  assert_true(json_member(object, "idx", &value));
  assert_slice(value, "0");
  assert_false(json_member(object, "i", &value));
  assert_false(json_member(object, "nam\\u0065", &value));
  assert_false(json_member(slice_of("{}"), "id", &value));
}

/* ---- Strings ---- */

static void assert_decoded(const char *string, const char *expected, size_t n) {
  struct bytes out = {0};
  bytes_append_string(&out, "+");
  json_decode(slice_of(string), &out);
  assert_int_equal(out.n, 1 + n);
  assert_memory_equal(out.data + 1, expected, n);
  bytes_close(&out);
}

static void strings_are_decoded(void **state) {
  (void)state;
  assert_decoded("\"\"", "", 0);
  assert_decoded("\"a\xc3\xa9z\"", "a\xc3\xa9z", 4);
  assert_decoded("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"", "\"\\/\b\f\n\r\t", 8);
  assert_decoded("\"a\\u0000b\"", "a\0b", 3);
  assert_decoded("\"\\u007f\\u0080\\u07FF\"", "\x7f\xc2\x80\xdf\xbf", 5);
  assert_decoded("\"\\u0800\\ud7ff\\ue000\\uffff\"", "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf", 12);
  assert_decoded("\"\\ud800\\udc00\\uDBFF\\uDFFF.\"", "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf.", 9);
}

static bool strings_equal(const char *a, const char *b) {
  const bool equal = json_strings_equal(slice_of(a), slice_of(b));
  assert_true(equal == json_strings_equal(slice_of(b), slice_of(a)));
  return equal;
}

static void strings_are_compared_by_what_they_say(void **state) {
  (void)state;
  assert_true(strings_equal("\"a\"", "\"\\u0061\""));
  assert_true(strings_equal("\"/\"", "\"\\/\""));
  assert_true(strings_equal("\"\\ud83d\\ude00\"", "\"\xf0\x9f\x98\x80\""));
  assert_true(strings_equal("\"\"", "\"\""));
  assert_false(strings_equal("\"\"", "\"\\u0000\""));
  assert_false(strings_equal("\"a\"", "\"A\""));
  assert_false(strings_equal("\"a\\n\"", "\"a\\\\n\""));
  assert_false(strings_equal("\"e\xcc\x81\"", "\"\xc3\xa9\"")); /* no normal forms: RFC 8259, 8.3 */
}

/* ---- Numbers ---- */

static void integers_are_known_by_their_spelling(void **state) {
  (void)state;
  static const char *const integers[] = {"0", "-0", "7", "-12", "123456789012345678901234567890"};
  static const char *const others[] = {"1.0", "1e2", "-0.5", "1E2", "\"1\"", "null", "[1]", "-"};
  for (size_t i = 0; i < sizeof integers / sizeof integers[0]; i++)
    assert_true(json_is_integer(slice_of(integers[i])));
  for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
    assert_false(json_is_integer(slice_of(others[i])));
}

static void assert_numbers(const char *a, const char *b, bool equal) {
  if (json_numbers_equal(slice_of(a), slice_of(b)) != equal ||
      json_numbers_equal(slice_of(b), slice_of(a)) != equal)
    fail_msg("%s and %s", a, b);
}

static void numbers_are_compared_by_value(void **state) {
  (void)state;
  static const char *const same[][2] = {
      {"1", "1.0"},
      {"1", "10e-1"},
      {"1", "0.1e1"},
      {"1", "1e0"},
      {"1", "1E+00"},
      {"100", "1e2"},
      {"0.001", "1e-3"},
      {"-1.50", "-15e-1"},
      {"0", "-0"},
      {"0", "0e99999999999999999999"},
      {"0.0", "-0.00e-5"},
      {"1200", "12.0e2"},
      {"12345678901234567890123", "1234567890.1234567890123e13"},
      {"1e99999999999999999999999", "10e99999999999999999999998"},
      {"1e100000000000000000000", "10.0e99999999999999999999"},
      {"1e-100000000000000000000", "0.1e-99999999999999999999"},
      {"1e+5", "1e5"},
      {"0.1e-0", "1e-01"},
      {"10e-1", "0.01e2"},
      {"1e9", "0.000000001e18"},
      {"1e-9", "1000000000e-18"},
      {"101e1", "10.1e2"},
      {"1e000000000000000000000000000002", "100"},
  };
  static const char *const other[][2] = {
      {"1", "-1"},
      {"1", "2"},
      {"1", "10"},
      {"1", "1.01"},
      {"1", "11"},
      {"101", "11"},
      {"0", "1e-400"},
      {"0.1", "0.10000000000000000001"},
      {"9007199254740992", "9007199254740993"},
      {"12345678901234567890", "12345678901234567891"},
      {"1e400", "1e401"},
      {"1e400", "1e-400"},
      {"1e99999999999999999999999", "1e99999999999999999999998"},
      {"1e1", "1e-1"},
      {"1.2", "12"},
      {"10.1", "1.01"},
      {"1e18446744073709551617", "1e1"},
      {"0", "5"},
      {"1e5", "1e15"},
  };
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) assert_numbers(same[i][0], same[i][1], true);
  for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) assert_numbers(other[i][0], other[i][1], false);
}

/* d.ddd * 10^e, with the point anywhere in it, zeros around it, and an exponent that makes up for it. */
static void spell(struct random *random, struct bytes *out, const char *digits, int exponent) {
  const int n = (int)strlen(digits), point = (int)random_below(random, (uint64_t)n) + 1;
  out->n = 0;
  bytes_append(out, digits, (size_t)point);
  if (point < n || random_below(random, 2) == 0) {
    bytes_printf(out, ".%s", digits + point);
    if (point == n) bytes_append_string(out, "0");
    for (uint64_t zeros = random_below(random, 3); zeros > 0; zeros--) bytes_append_string(out, "0");
  }
  bytes_printf(out, "e%s%d", exponent + n - point >= 0 && random_below(random, 2) == 0 ? "+" : "",
               exponent + n - point);
}

static void every_spelling_is_the_same_number(void **state) {
  (void)state;
  struct random random = {3};
  for (int i = 0; i < 20000; i++) {
    struct bytes a = {0}, b = {0};
    char digits[24], others[24];
    const size_t n = 1 + (size_t)random_below(&random, sizeof digits - 2);
    for (size_t k = 0; k < n; k++)
      digits[k] = (char)('0' + random_below(&random, k == 0 ? 9 : 10) + (k == 0));
    digits[n] = '\0';
    const int exponent = (int)random_below(&random, 2000) - 1000;
    spell(&random, &a, digits, exponent);
    spell(&random, &b, digits, exponent);
    assert_true(json_numbers_equal(slice_of_bytes(&a), slice_of_bytes(&b)));
    memcpy(others, digits, sizeof others);
    others[random_below(&random, n)] ^= 1;
    if (others[0] != '0') {
      spell(&random, &b, others, exponent);
      assert_false(json_numbers_equal(slice_of_bytes(&a), slice_of_bytes(&b)));
    }
    spell(&random, &b, digits, exponent + 1 + (int)random_below(&random, 30));
    assert_false(json_numbers_equal(slice_of_bytes(&a), slice_of_bytes(&b)));
    bytes_close(&a);
    bytes_close(&b);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(white_space_is_trimmed),
      cmocka_unit_test(types_are_told_apart),
      cmocka_unit_test(members_come_in_order),
      cmocka_unit_test(elements_come_in_order),
      cmocka_unit_test(members_are_found_by_name),
      cmocka_unit_test(strings_are_decoded),
      cmocka_unit_test(strings_are_compared_by_what_they_say),
      cmocka_unit_test(integers_are_known_by_their_spelling),
      cmocka_unit_test(numbers_are_compared_by_value),
      cmocka_unit_test(every_spelling_is_the_same_number),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
