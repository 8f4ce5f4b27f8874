/* JSON Merge Patch (RFC 7396) on texts: what it comes to, which bytes stay, in slices, within limits; and at
 * random against the simplest implementation there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "json_judge.h"
#include "json_patch_case.h"

static void assert_merged(const char *document, const char *patch, const char *result) {
  assert_patched(JSON_MERGE_PATCH, document, patch, result);
}

/* The cases of the RFC's appendix A. */
static void it_does_what_the_rfc_has(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
      {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
      {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
      {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
      {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
      {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
      {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}", "{\"a\":{\"b\":\"d\"}}"},
      {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
      {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
      {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
      {"{\"a\":\"foo\"}", "null", "null"},
      {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
      {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
      {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
      {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_merged(cases[i][0], cases[i][1], cases[i][2]);
}

static void what_is_not_named_keeps_its_bytes(void **state) {
  (void)state;
  assert_merged("{\"price\": 0.1 , \"n\":12345678901234567890}", "{\"n\":1e400}",
                "{\"price\": 0.1 , \"n\":1e400}");
  assert_merged("{\n  \"a\": 1,\n  \"b\": {\n    \"c\" : \"\\u0041\"\n  }\n}", "{\"a\":2,\"z\":[ 1 ]}",
                "{\n  \"a\": 2,\n  \"b\": {\n    \"c\" : \"\\u0041\"\n  },\"z\":[ 1 ]\n}");
  assert_merged("{\n  \"a\": 1,\n  \"b\": 2\n}", "{\"b\":null}", "{\n  \"a\": 1\n}");
  assert_merged("{\n  \"a\": 1,\n  \"b\": 2\n}", "{\"a\":null}", "{\n  \"b\": 2\n}");
  assert_merged("{ \"a\" : { \"b\" :1, \"c\" : 2 } }", "{\"a\":{\"b\":3}}",
                "{ \"a\" : { \"b\" :3, \"c\" : 2 } }");
  assert_merged("{ \"a\" : [ 1 ] }", "{}", "{ \"a\" : [ 1 ] }");
  assert_merged("{ }", "{\"a\": 1}", "{\"a\":1}");
  assert_merged("{ }", "{}", "{ }");
}

static void members_stay_in_order(void **state) {
  (void)state;
  assert_merged("{\"c\":1,\"a\":2,\"b\":3}", "{\"z\":9,\"b\":4,\"x\":8,\"c\":5}",
                "{\"c\":5,\"a\":2,\"b\":4,\"z\":9,\"x\":8}");
  assert_merged("{\"a\":1,\"b\":2}", "{\"a\":null,\"c\":3}", "{\"b\":2,\"c\":3}");
}

static void names_are_what_they_say(void **state) {
  (void)state;
  assert_merged("{\"\\u0061\":1}", "{\"a\":2}", "{\"\\u0061\":2}");
  assert_merged("{\"a\":1}", "{\"\\u0061\":null}", "{}");
  assert_merged("{\"\":1,\"\\u0000\":2}", "{\"\\u0000\":null,\"\":3}", "{\"\":3}");
  assert_merged("{}", "{\"\\u0061\":1}", "{\"\\u0061\":1}");
}

/* An object that comes new is as the patch has it, but for its nulls. */
static void new_objects_come_without_nulls(void **state) {
  (void)state;
  assert_merged("{}", "{\"a\":{ \"b\" : { \"c\":1 , \"d\":\"null\" } }}",
                "{\"a\":{ \"b\" : { \"c\":1 , \"d\":\"null\" } }}");
  assert_merged("{\"a\":[]}", "{\"a\":{ \"b\":null, \"c\" : [null, {\"d\":null}] }}",
                "{\"a\":{ \"c\" : [null, {\"d\":null}] }}");
  assert_merged("1", "{\"a\":{\"b\":{\"c\":null,\"d\":{\"e\":null}}}}", "{\"a\":{\"b\":{\"d\":{}}}}");
  assert_merged("{\"a\":{\"b\":1}}", "{\"a\":{\"b\":{\"x\":{\"y\":null,\"z\":1}}}}",
                "{\"a\":{\"b\":{\"x\":{\"z\":1}}}}");
}

/* ---- Limits ---- */

static void append_members(struct bytes *out, char letter, size_t n, const char *value) {
  bytes_append_string(out, "{");
  for (size_t i = 0; i < n; i++) bytes_printf(out, "%s\"%c%zu\":%s", i > 0 ? "," : "", letter, i, value);
  bytes_append_string(out, "}");
}

static void assert_case(struct slice document, struct slice patch, size_t bytes_max,
                        enum json_patch_progress progress, enum json_patch_fault_kind fault) {
  struct patch_case c = patch_case_of(JSON_MERGE_PATCH, document, patch, bytes_max, SIZE_MAX);
  assert_int_equal(c.progress, progress);
  if (progress == JSON_PATCH_FAILED) assert_int_equal(c.fault.kind, fault);
  patch_case_close(&c);
}

static void the_result_has_limits(void **state) {
  (void)state;
  struct bytes document = {0}, patch = {0};
  const struct slice small = slice_of("{\"a\":1}"), more = slice_of("{\"b\":2}"),
                     swap = slice_of("{\"b\":2,\"a\":null}");
  assert_case(small, more, 13, JSON_PATCH_DONE, 0);
  assert_case(small, more, 12, JSON_PATCH_FAILED, JSON_PATCH_TOO_LARGE);
  assert_case(small, swap, 7, JSON_PATCH_DONE, 0); /* what goes makes room for what comes */
  assert_case(small, slice_of("{}"), 6, JSON_PATCH_FAILED, JSON_PATCH_TOO_LARGE);
  append_members(&document, 'a', JSON_MEMBERS_MAX, "1");
  assert_case(slice_of_bytes(&document), slice_of("{\"a7\":2}"), CASE_BYTES_MAX, JSON_PATCH_DONE, 0);
  assert_case(slice_of_bytes(&document), slice_of("{\"b\":2,\"a7\":null}"), CASE_BYTES_MAX, JSON_PATCH_DONE,
              0);
  assert_case(slice_of_bytes(&document), slice_of("{\"b\":2}"), CASE_BYTES_MAX, JSON_PATCH_FAILED,
              JSON_PATCH_TOO_MANY);
  append_members(&patch, 'b', JSON_MEMBERS_MAX, "2");
  assert_case(slice_of_bytes(&document), slice_of_bytes(&patch), CASE_BYTES_MAX, JSON_PATCH_FAILED,
              JSON_PATCH_TOO_MANY);
  bytes_close(&document);
  bytes_close(&patch);
}

/* Deep, wide and empty: no more slices than what is linear in both texts takes. */
static void no_shape_takes_long(void **state) {
  (void)state;
  enum { SLICE = 64 * 1024, BYTES = 512 * 1024 };
  static const struct {
    const char *open, *close, *innermost;
    size_t levels;
  } shapes[] = {
      {"", "", "\"a\":1", 0},
      {"\"a\":{", "}", "\"a\":1", 60},
      {"\"\":{", "}", "\"b\":null", 60},
      {"", "", "\"x\":[{},[]]", 0},
  };
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    struct bytes text = {0};
    bytes_append_string(&text, "{");
    for (size_t object = 0; text.n < BYTES && object < JSON_MEMBERS_MAX; object++) {
      bytes_printf(&text, "%s\"%zu\":{", object > 0 ? "," : "", object);
      for (size_t k = 0; k < shapes[i].levels; k++) bytes_append_string(&text, shapes[i].open);
      bytes_append_string(&text, shapes[i].innermost);
      for (size_t k = 0; k < shapes[i].levels; k++) bytes_append_string(&text, shapes[i].close);
      bytes_append_string(&text, "}");
    }
    bytes_append_string(&text, "}");
    struct patch_case c =
        patch_case_of(JSON_MERGE_PATCH, slice_of_bytes(&text), slice_of_bytes(&text), 2 * BYTES, SLICE);
    assert_int_equal(c.progress, JSON_PATCH_DONE);
    assert_true(c.slices <= 2 * JSON_DEPTH_MAX * text.n / SLICE + 1);
    patch_case_close(&c);
    bytes_close(&text);
  }
}

/* ---- At random ---- */

static void another_implementation_agrees(void **state) {
  (void)state;
  struct random random = {9};
  for (int i = 0; i < 10000; i++) {
    struct bytes document = {0}, patch = {0}, expected = {0};
    random_value(&random, &document, 5);
    random_value(&random, &patch, 5);
    const struct slice a = slice_of_bytes(&document), b = slice_of_bytes(&patch);
    assert_int_equal(judge_merge_patch(a, b, &expected), JUDGED_RIGHT);
    struct patch_case c =
        patch_case_of(JSON_MERGE_PATCH, a, b, CASE_BYTES_MAX, 1 + (size_t)random_below(&random, 100));
    if (c.progress != JSON_PATCH_DONE || !judge_same(slice_of_bytes(&c.result), slice_of_bytes(&expected)))
      fail_msg("%.*s by %.*s: %.*s", (int)a.n, a.at, (int)b.n, b.at, (int)c.result.n, (char *)c.result.data);
    patch_case_close(&c);
    bytes_close(&document);
    bytes_close(&patch);
    bytes_close(&expected);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_does_what_the_rfc_has),
      cmocka_unit_test(what_is_not_named_keeps_its_bytes),
      cmocka_unit_test(members_stay_in_order),
      cmocka_unit_test(names_are_what_they_say),
      cmocka_unit_test(new_objects_come_without_nulls),
      cmocka_unit_test(the_result_has_limits),
      cmocka_unit_test(no_shape_takes_long),
      cmocka_unit_test(another_implementation_agrees),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
