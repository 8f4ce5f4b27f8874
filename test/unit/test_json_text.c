/* json_check(): what is JSON and what is not, with the fault and the byte; the limits; and that no shape of
 * text makes it slow. jansson (json_judge.h) has a say over texts that are changed at random. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <time.h>

#include "base/random.h"
#include "json_judge.h"
#include "json/text.h"

static const uint8_t seed[JSON_SEED_BYTES] = {1, 2, 3};

static void assert_right(struct slice text) {
  struct json_error error;
  if (!json_check(text, seed, &error))
    fail_msg("refused at %zu (%s): %.*s", error.offset, error.detail, (int)text.n, text.at);
  assert_int_equal(error.fault, JSON_FINE);
}

static void assert_wrong(struct slice text, enum json_fault fault, size_t offset) {
  struct json_error error;
  if (json_check(text, seed, &error)) fail_msg("taken: %.*s", (int)text.n, text.at);
  if (error.fault != fault || error.offset != offset)
    fail_msg("fault %d at %zu (%s), not %d at %zu: %.*s", error.fault, error.offset, error.detail, fault,
             offset, (int)text.n, text.at);
  assert_true(error.detail[0] != '\0');
}

/* ---- What is right ---- */

static void all_of_the_grammar_is_taken(void **state) {
  (void)state;
  static const char *const texts[] = {
      "null",
      "true",
      "false",
      "0",
      "-0",
      "10",
      "-1.50",
      "1e5",
      "1E+05",
      "0.1e-9",
      "\"\"",
      "[]",
      "{}",
      " [ ] ",
      "\t{\r\n}",
      "[1,2 , 3]",
      "{\"a\":1,\"b\":[{}],\"\":{\"a\":null}}",
      "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\uD83d\\uDe00\"",
      "\"\\u0000\"",
      "{\"\\u0000\":1}",
      "\"\x7f\"",
      "\"/\"",
      "\"\xc2\x80 \xdf\xbf \xe0\xa0\x80 \xed\x9f\xbf\"",
      "\"\xee\x80\x80 \xef\xbf\xbf \xf0\x90\x80\x80 \xf4\x8f\xbf\xbf\"",
      "{\"a\":1,\"A\":2,\"a \":3}",
      "123456789012345678901234567890e400",
      "-1e-999999999999999999999",
      "[\"a\",\"a\"]",
      "{\"a\":{\"a\":{\"a\":1}},\"b\":{\"a\":1}}",
      "[{\"a\":1},{\"a\":1}]",
  };
  for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) assert_right(slice_of(texts[i]));
}

/* ---- What is wrong, and where ---- */

static void each_fault_is_found_where_it_is(void **state) {
  (void)state;
  static const struct {
    const char *text;
    enum json_fault fault;
    size_t offset;
  } cases[] = {
      {"", JSON_EMPTY, 0},
      {" \n\t", JSON_EMPTY, 3},
      {"\xef\xbb\xbf{}", JSON_MARK, 0},
      {"\xef\xbb\xbf", JSON_MARK, 0},
      {" \xef\xbb\xbf{}", JSON_SYNTAX, 1},
      /* Values. */
      {"nul", JSON_SYNTAX, 0},
      {"nulL", JSON_SYNTAX, 0},
      {"NaN", JSON_SYNTAX, 0},
      {"True", JSON_SYNTAX, 0},
      {"'a'", JSON_SYNTAX, 0},
      {"1 2", JSON_SYNTAX, 2},
      {"{}{}", JSON_SYNTAX, 2},
      {"{},", JSON_SYNTAX, 2},
      {"truefalse", JSON_SYNTAX, 4},
      {"/* */1", JSON_SYNTAX, 0},
      {"\f1", JSON_SYNTAX, 0},
      {"\xc2\xa0"
       "1",
       JSON_SYNTAX, 0},
      {"]", JSON_SYNTAX, 0},
      /* Numbers. */
      {"-", JSON_SYNTAX, 1},
      {"+1", JSON_SYNTAX, 0},
      {"01", JSON_SYNTAX, 1},
      {"-01", JSON_SYNTAX, 2},
      {"1.", JSON_SYNTAX, 2},
      {".5", JSON_SYNTAX, 0},
      {"1.e1", JSON_SYNTAX, 2},
      {"1e", JSON_SYNTAX, 2},
      {"1e+", JSON_SYNTAX, 3},
      {"0x1", JSON_SYNTAX, 1},
      {"-a", JSON_SYNTAX, 1},
      {"1e1.0", JSON_SYNTAX, 3},
      /* Arrays and objects. */
      {"[", JSON_SYNTAX, 1},
      {"[1", JSON_SYNTAX, 2},
      {"[1,", JSON_SYNTAX, 3},
      {"[1,]", JSON_SYNTAX, 3},
      {"[,1]", JSON_SYNTAX, 1},
      {"[1 2]", JSON_SYNTAX, 3},
      {"[1}", JSON_SYNTAX, 2},
      {"[}", JSON_SYNTAX, 1},
      {"{", JSON_SYNTAX, 1},
      {"{]", JSON_SYNTAX, 1},
      {"{\"a\"", JSON_SYNTAX, 4},
      {"{\"a\":", JSON_SYNTAX, 5},
      {"{\"a\":1", JSON_SYNTAX, 6},
      {"{\"a\":1]", JSON_SYNTAX, 6},
      {"{\"a\":1,}", JSON_SYNTAX, 7},
      {"{\"a\" 1}", JSON_SYNTAX, 5},
      {"{\"a\",1}", JSON_SYNTAX, 4},
      {"{a:1}", JSON_SYNTAX, 1},
      {"{1:1}", JSON_SYNTAX, 1},
      {"{\"a\":}", JSON_SYNTAX, 5},
      {"{\"a\":1 \"b\":2}", JSON_SYNTAX, 7},
      /* Strings. */
      {"\"", JSON_SYNTAX, 1},
      {"\"a", JSON_SYNTAX, 2},
      {"\"a\\\"", JSON_SYNTAX, 4},
      {"\"a\nb\"", JSON_SYNTAX, 2},
      {"\"12345678\x1f\"", JSON_SYNTAX, 9},
      {"\"\\a\"", JSON_SYNTAX, 1},
      {"\"\\", JSON_SYNTAX, 1},
      {"\"\\u12g4\"", JSON_SYNTAX, 1},
      {"\"\\u123", JSON_SYNTAX, 1},
      {"\"\\U0041\"", JSON_SYNTAX, 1},
      /* Unicode. */
      {"\"a\x80\"", JSON_UTF8, 2},
      {"\"\xc0\x80\"", JSON_UTF8, 1},
      {"\"\xc1\xbf\"", JSON_UTF8, 1},
      {"\"\xc2\"", JSON_UTF8, 1},
      {"\"\xc2", JSON_UTF8, 1},
      {"\"\xe0\x9f\xbf\"", JSON_UTF8, 1},
      {"\"\xe2\x82\"", JSON_UTF8, 1},
      {"\"\xed\xa0\x80\"", JSON_UTF8, 1},
      {"\"\xed\xbf\xbf\"", JSON_UTF8, 1},
      {"\"\xf0\x8f\xbf\xbf\"", JSON_UTF8, 1},
      {"\"\xf4\x90\x80\x80\"", JSON_UTF8, 1},
      {"\"\xf5\x80\x80\x80\"", JSON_UTF8, 1},
      {"\"\xf0\x9f\x98\"", JSON_UTF8, 1},
      {"\"\xff\"", JSON_UTF8, 1},
      {"\"\\ud800\"", JSON_SURROGATE, 1},
      {"\"a\\udc00\"", JSON_SURROGATE, 2},
      {"\"\\ud800\\ud800\"", JSON_SURROGATE, 1},
      {"\"\\ud83d\\n\"", JSON_SURROGATE, 1},
      {"\"\\ud83dude00\"", JSON_SURROGATE, 1},
      {"\"\\ude00\\ud83d\"", JSON_SURROGATE, 1},
      {"\"\\ud83d\\ude0", JSON_SURROGATE, 1},
      {"{\"\\udfff\":1}", JSON_SURROGATE, 2},
      /* Names. */
      {"{\"a\":1,\"a\":2}", JSON_NAME_TWICE, 7},
      {"{\"a\":1,\"b\":2,\"\\u0061\":2}", JSON_NAME_TWICE, 13},
      {"{\"\":1,\"\":2}", JSON_NAME_TWICE, 6},
      {"{\"\\u0000\":1,\"\\u0000\":2}", JSON_NAME_TWICE, 12},
      {"[{\"x\":{\"a\":1,\"b\":{\"a\":1},\"a\":2}}]", JSON_NAME_TWICE, 25},
      {"{\"\xc3\xa9\":1,\"\\u00e9\":2}", JSON_NAME_TWICE, 8},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_wrong(slice_of(cases[i].text), cases[i].fault, cases[i].offset);
}

static void nul_is_no_end(void **state) {
  (void)state;
  assert_wrong((struct slice){"{}\0", 3}, JSON_SYNTAX, 2);
  assert_wrong((struct slice){"\0{}", 3}, JSON_SYNTAX, 0);
  assert_wrong((struct slice){"\"\0\"", 3}, JSON_SYNTAX, 1);
  assert_wrong((struct slice){NULL, 0}, JSON_EMPTY, 0);
}

/* A text within a longer one ends where it ends. */
static void nothing_behind_the_end_is_read(void **state) {
  (void)state;
  static const char text[] = "{\"a\":[1,-2.5e+3,\"\\u00e9\\ud83d\\ude00\xf0\x9f\x98\x80\",true,null]}";
  struct json_error error;
  for (size_t n = 0; n + 1 < sizeof text; n++) {
    uint8_t *alone = test_malloc(n + 1); /* an address sanitizer sees its end */
    memcpy(alone, text, n);
    assert_false(json_check((struct slice){(char *)alone, n}, seed, &error));
    assert_true(error.offset <= n);
    test_free(alone);
  }
  assert_right(slice_of(text));
}

/* ---- Limits ---- */

static void append_times(struct bytes *text, const char *piece, size_t times) {
  for (size_t i = 0; i < times; i++) bytes_append_string(text, piece);
}

static void so_many_levels(void **state) {
  (void)state;
  static const struct {
    const char *open, *innermost, *close;
  } shapes[] = {{"[", "", "]"}, {"{\"a\":", "1", "}"}, {"[[{\"\":", "[]", "}]]"}};
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    const size_t levels = i == 2 ? 3 : 1, times = i == 2 ? (JSON_DEPTH_MAX - 1) / 3 : JSON_DEPTH_MAX;
    struct bytes text = {0};
    append_times(&text, shapes[i].open, times);
    append_times(&text, shapes[i].innermost, 1);
    append_times(&text, shapes[i].close, times);
    assert_right(slice_of_bytes(&text));
    text.n = 0;
    append_times(&text, shapes[i].open, JSON_DEPTH_MAX / levels + 1);
    append_times(&text, shapes[i].innermost, 1);
    const size_t at = i == 0 ? JSON_DEPTH_MAX : i == 1 ? 5 * JSON_DEPTH_MAX : 6 * 21 + 1;
    assert_wrong(slice_of_bytes(&text), JSON_TOO_DEEP, at);
    bytes_close(&text);
  }
}

static void append_object(struct bytes *text, size_t members) {
  bytes_append_string(text, "{");
  for (size_t i = 0; i < members; i++) bytes_printf(text, "%s\"%zx\":%zu", i > 0 ? "," : "", i, i);
  bytes_append_string(text, "}");
}

static void so_many_members_of_one_object(void **state) {
  (void)state;
  struct bytes text = {0};
  bytes_append_string(&text, "[");
  append_object(&text, JSON_MEMBERS_MAX);
  bytes_append_string(&text, ",");
  append_object(&text, JSON_MEMBERS_MAX);
  bytes_append_string(&text, "]");
  assert_right(slice_of_bytes(&text));
  text.n = 0;
  append_object(&text, JSON_MEMBERS_MAX + 1);
  const char *last = strstr((char *)text.data, "\"1000\"");
  assert_wrong(slice_of_bytes(&text), JSON_TOO_MANY_MEMBERS, (size_t)(last - (char *)text.data));
  /* The last of as many as there may be is the first again. */
  text.n = 0;
  append_object(&text, JSON_MEMBERS_MAX - 1);
  const size_t at = text.n;
  memcpy(&text.data[text.n - 1], ",", 1);
  bytes_append_string(&text, "\"\\u0030\":1}");
  assert_wrong(slice_of_bytes(&text), JSON_NAME_TWICE, at);
  bytes_close(&text);
}

/* ---- At random, with a judge ---- */

static void write_value(struct random *random, struct bytes *out, int levels) {
  static const char *const scalars[] = {"0",    "-1.5e3", "true", "null", "\"a\"", "\"\\u00e9\xc3\xa9\"",
                                        "\"\"", "12"};
  const uint64_t n = random_below(random, 4);
  switch (levels > 0 ? random_below(random, 3) : 2) {
  case 0:
    bytes_append_string(out, "{");
    for (uint64_t i = 0; i < n; i++) {
      bytes_printf(out, "%s\"%c\" :", i > 0 ? "," : "", (int)('a' + i));
      write_value(random, out, levels - 1);
    }
    bytes_append_string(out, "}");
    break;
  case 1:
    bytes_append_string(out, "[");
    for (uint64_t i = 0; i < n; i++) {
      if (i > 0) bytes_append_string(out, ", ");
      write_value(random, out, levels - 1);
    }
    bytes_append_string(out, "]");
    break;
  default:
    bytes_append_string(out, scalars[random_below(random, sizeof scalars / sizeof scalars[0])]);
  }
}

/* Right texts stay right only sometimes when a byte or two are changed. */
static void another_parser_agrees(void **state) {
  (void)state;
  static const char bytes[] = "{}[]:,\"\\0123456789.eE+-tfn u\x01\x80\xc3\xed\xa0";
  struct random random = {5};
  size_t right = 0, wrong = 0;
  for (int i = 0; i < 20000; i++) {
    struct bytes text = {0};
    struct json_error error;
    write_value(&random, &text, 4);
    for (uint64_t changes = random_below(&random, 3); changes > 0 && text.n > 0; changes--) {
      const size_t at = (size_t)random_below(&random, text.n);
      if (random_below(&random, 2) == 0)
        text.data[at] = (uint8_t)bytes[random_below(&random, sizeof bytes - 1)];
      else
        text.n = random_below(&random, 2) == 0 ? at : text.n;
    }
    const struct slice slice = slice_of_bytes(&text);
    const enum judgement judged = judge_text(slice);
    const bool fine = json_check(slice, seed, &error);
    if (judged != NOT_JUDGED && fine != (judged == JUDGED_RIGHT)) fail_msg("%.*s", (int)slice.n, slice.at);
    right += fine;
    wrong += !fine;
    bytes_close(&text);
  }
  assert_true(right > 2000 && wrong > 2000);
}

/* ---- Time ---- */

static double cpu_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* The shortest of some: the machine has other things to do, too. */
static double check_ms(struct slice text) {
  struct json_error error;
  double shortest = 1e9;
  for (int i = 0; i < 3; i++) {
    const double begin = cpu_ms();
    json_check(text, seed, &error);
    const double took = cpu_ms() - begin;
    if (took < shortest) shortest = took;
  }
  return shortest;
}

static struct bytes of_many(const char *open, const char *piece, const char *close, size_t bytes) {
  struct bytes text = {0};
  bytes_append_string(&text, open);
  while (text.n + strlen(piece) + strlen(close) < bytes) bytes_append_string(&text, piece);
  bytes_append_string(&text, close);
  return text;
}

/* Twice the text takes twice the time, about: with eight times of it a square would be 64 times as long. */
static void no_shape_is_slow(void **state) {
  (void)state;
  enum { SMALL = 64 * 1024, TIMES = 8 };
  static const char *const shapes[][3] = {
      {"\"", "\\\\", "\""},
      {"\"", "\\\"", "\""},
      {"\"", "\\u00e9", "\""},
      {"\"", "\xe4\xb8\xad", "\""},
      {"[", "{},", "0]"},
      {"[", "[[[[[[]]]]]],", "0]"},
      {"", "1", ""},
      {"1e", "1", ""},
      {"", " ", "1"},
      {"[", "{\"a\":1,\"b\":2},", "0]"},
      {"[", "\"\",", "0]"},
      {"[", "{\"\\u0061\":{\"\\u0061\":{\"\\u0061\":1}}},", "0]"},
      {"[", "{\"a\":1,\"a\"", "}"},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    struct bytes small = of_many(shapes[i][0], shapes[i][1], shapes[i][2], SMALL);
    struct bytes large = of_many(shapes[i][0], shapes[i][1], shapes[i][2], SMALL * TIMES);
    const double small_ms = check_ms(slice_of_bytes(&small)), large_ms = check_ms(slice_of_bytes(&large));
    if (large_ms > 4 * TIMES * (small_ms + 0.05))
      fail_msg("%s: %g ms and %g ms", shapes[i][1], small_ms, large_ms);
    bytes_close(&small);
    bytes_close(&large);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_of_the_grammar_is_taken),
      cmocka_unit_test(each_fault_is_found_where_it_is),
      cmocka_unit_test(nul_is_no_end),
      cmocka_unit_test(nothing_behind_the_end_is_read),
      cmocka_unit_test(so_many_levels),
      cmocka_unit_test(so_many_members_of_one_object),
      cmocka_unit_test(another_parser_agrees),
      cmocka_unit_test(no_shape_is_slow),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
