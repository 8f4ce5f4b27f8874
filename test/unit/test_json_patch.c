/* JSON Patch (RFC 6902) on texts: what each operation comes to, which bytes stay, each fault with its
 * operation, limits of what lies between too, and that nothing takes long; and at random against the simplest
 * implementation there is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "json_judge.h"
#include "json_patch_case.h"

/* 'add "/a" 1' is easier to read than its JSON. */
#define ADD(path, value) "{\"op\":\"add\",\"path\":\"" path "\",\"value\":" value "}"
#define REMOVE(path) "{\"op\":\"remove\",\"path\":\"" path "\"}"
#define REPLACE(path, value) "{\"op\":\"replace\",\"path\":\"" path "\",\"value\":" value "}"
#define MOVE(from, path) "{\"op\":\"move\",\"from\":\"" from "\",\"path\":\"" path "\"}"
#define COPY(from, path) "{\"op\":\"copy\",\"from\":\"" from "\",\"path\":\"" path "\"}"
#define TEST(path, value) "{\"op\":\"test\",\"path\":\"" path "\",\"value\":" value "}"

static void assert_done(const char *document, const char *operations, const char *result) {
  assert_patched(JSON_PATCH, document, operations, result);
}

static void assert_fault(const char *document, const char *operations, enum json_patch_fault_kind kind,
                         size_t operation) {
  assert_patch_fault(JSON_PATCH, document, operations, CASE_BYTES_MAX, kind, operation);
}

/* ---- What operations do ---- */

/* What the examples in the RFC's appendix A show, each. */
static void it_does_what_the_rfc_has(void **state) {
  (void)state;
  static const char *const cases[][3] = {
      {"{\"foo\":\"bar\"}", "[" ADD("/baz", "\"qux\"") "]", "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
      {"{\"foo\":[\"bar\",\"baz\"]}", "[" ADD("/foo/1", "\"qux\"") "]",
       "{\"foo\":[\"bar\",\"qux\",\"baz\"]}"},
      {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[" REMOVE("/baz") "]", "{\"foo\":\"bar\"}"},
      {"{\"foo\":[\"bar\",\"qux\",\"baz\"]}", "[" REMOVE("/foo/1") "]", "{\"foo\":[\"bar\",\"baz\"]}"},
      {"{\"baz\":\"qux\",\"foo\":\"bar\"}", "[" REPLACE("/baz", "\"boo\"") "]",
       "{\"baz\":\"boo\",\"foo\":\"bar\"}"},
      {"{\"foo\":{\"bar\":\"baz\",\"waldo\":\"fred\"},\"qux\":{\"corge\":\"grault\"}}",
       "[" MOVE("/foo/waldo", "/qux/thud") "]",
       "{\"foo\":{\"bar\":\"baz\"},\"qux\":{\"corge\":\"grault\",\"thud\":\"fred\"}}"},
      {"{\"foo\":[\"all\",\"grass\",\"cows\",\"eat\"]}", "[" MOVE("/foo/1", "/foo/3") "]",
       "{\"foo\":[\"all\",\"cows\",\"eat\",\"grass\"]}"},
      {"{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}", "[" TEST("/baz", "\"qux\"") "," TEST("/foo/1", "2") "]",
       "{\"baz\":\"qux\",\"foo\":[\"a\",2,\"c\"]}"},
      {"{\"foo\":\"bar\"}", "[" ADD("/child", "{\"grandchild\":{}}") "]",
       "{\"foo\":\"bar\",\"child\":{\"grandchild\":{}}}"},
      {"{\"foo\":\"bar\"}", "[{\"op\":\"add\",\"path\":\"/baz\",\"value\":\"qux\",\"xyz\":123}]",
       "{\"foo\":\"bar\",\"baz\":\"qux\"}"},
      {"{\"/\":9,\"~1\":10}", "[" TEST("/~01", "10") "]", "{\"/\":9,\"~1\":10}"},
      {"{\"foo\":[\"bar\"]}", "[" ADD("/foo/-", "[\"abc\",\"def\"]") "]",
       "{\"foo\":[\"bar\",[\"abc\",\"def\"]]}"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
    assert_done(cases[i][0], cases[i][1], cases[i][2]);
  assert_fault("{\"baz\":\"qux\"}", "[" TEST("/baz", "\"bar\"") "]", JSON_PATCH_TEST_FAILED, 0);
  assert_fault("{\"foo\":\"bar\"}", "[" ADD("/baz/bat", "\"qux\"") "]", JSON_PATCH_NO_TARGET, 0);
  assert_fault("{\"/\":9,\"~1\":10}", "[" TEST("/~01", "\"10\"") "]", JSON_PATCH_TEST_FAILED, 0);
}

static void adding_is_also_replacing(void **state) {
  (void)state;
  assert_done("{\"a\":1,\"b\":2}", "[" ADD("/a", "[3]") "]", "{\"a\":[3],\"b\":2}");
  assert_done("[1,2]", "[" ADD("/0", "0") "," ADD("/3", "3") "," ADD("/-", "4") "]", "[0,1,2,3,4]");
  assert_done("[]", "[" ADD("/0", "1") "," ADD("/-", "2") "]", "[1,2]");
  assert_done("{}", "[" ADD("/a", "{}") "," ADD("/a/b", "[]") "," ADD("/a/b/-", "1") "]",
              "{\"a\":{\"b\":[1]}}");
  assert_done("{}", "[" ADD("/-", "1") "," ADD("/0", "2") "," ADD("/01", "3") "]",
              "{\"-\":1,\"0\":2,\"01\":3}");
}

static void the_whole_document_is_a_place_too(void **state) {
  (void)state;
  assert_done("{\"a\":1}", "[" ADD("", "[1]") "]", "[1]");
  assert_done("{\"a\":1}", "[" REPLACE("", "null") "]", "null");
  assert_done("{\"a\":{\"b\":1}}", "[" COPY("/a", "") "," MOVE("/b", "") "]", "1");
  assert_done("{\"a\":1}", "[" COPY("", "/b") "," COPY("", "/b/b") "]",
              "{\"a\":1,\"b\":{\"a\":1,\"b\":{\"a\":1,\"b\":{\"a\":1}}}}");
  assert_done("{\"a\":1}", "[" MOVE("", "") "," TEST("", "{\"a\":1.0}") "]", "{\"a\":1}");
  assert_done("7", "[" ADD("", "8") "," TEST("", "8") "]", "8");
}

static void values_are_moved_and_copied(void **state) {
  (void)state;
  assert_done("{\"a\":{\"x\":1},\"b\":[]}", "[" COPY("/a", "/b/-") "," ADD("/b/0/x", "2") "]",
              "{\"a\":{\"x\":1},\"b\":[{\"x\":2}]}");
  assert_done("{\"a\":{\"x\":1}}", "[" ADD("/a/x", "2") "," COPY("/a", "/b") "," ADD("/a/x", "3") "]",
              "{\"a\":{\"x\":3},\"b\":{\"x\":2}}");
  assert_done("{\"a\":1,\"b\":2}", "[" MOVE("/a", "/b") "]", "{\"b\":1}");
  assert_done("{\"a\":1,\"b\":2}", "[" MOVE("/a", "/a") "]", "{\"a\":1,\"b\":2}");
  assert_done("[1,2,3]", "[" MOVE("/0", "/2") "," MOVE("/1", "/0") "," MOVE("/0", "/-") "]", "[2,1,3]");
  assert_done("{\"a\":{\"b\":{\"c\":1}}}", "[" MOVE("/a/b", "/a") "]", "{\"a\":{\"c\":1}}");
  assert_done("{\"a\":[[1,2],[3]]}", "[" REMOVE("/a/0/0") "," MOVE("/a/0", "/b") "," ADD("/b/-", "4") "]",
              "{\"a\":[[3]],\"b\":[2,4]}");
  assert_done("{\"ab\":1,\"a\":2}", "[" MOVE("/a", "/ab") "]", "{\"ab\":2}"); /* within it by letters only */
}

static void names_are_what_they_say(void **state) {
  (void)state;
  assert_done("{\"\\u0061\":1}", "[" REPLACE("/a", "2") "]", "{\"\\u0061\":2}");
  assert_done("{\"a\":1}", "[" REMOVE("/\\u0061") "]", "{}");
  assert_done("{\"\":{\"\":1}}", "[" TEST("//", "1") "," ADD("/", "2") "]", "{\"\":2}");
  assert_done("{}", "[" ADD("/a~1b~0c", "1") "," ADD("/\\\"\\\\\\u0000\\n\xc3\xa9", "2") "]",
              "{\"a/b~c\":1,\"\\\"\\\\\\u0000\\u000a\xc3\xa9\":2}");
  assert_done("{\"\xf0\x9f\x98\x80\":1}", "[" TEST("/\\ud83d\\ude00", "1") "]", "{\"\xf0\x9f\x98\x80\":1}");
  assert_done("{}", "[{\"\\u006fp\":\"\\u0061dd\",\"path\":\"\\/a\",\"v\\u0061lue\":1,\"OP\":2}]",
              "{\"a\":1}");
}

static void tests_compare_values(void **state) {
  (void)state;
  static const char *const same[][2] = {
      {"1", "1.0"},
      {"[1e2]", "[100]"},
      {"12345678901234567890.0", "12345678901234567890"},
      {"\"\\u00e9\"", "\"\xc3\xa9\""},
      {"{\"a\":1,\"b\":[true,null]}", "{ \"b\" : [ true, null ] , \"\\u0061\":1e0 }"},
      {"[]", "[ ]"},
      {"{\"x\":{}}", "{\"x\":{ }}"},
      {"[[[[{\"a\":[0]}]]]]", "[[[[{\"a\":[-0.0]}]]]]"},
  };
  static const char *const other[][2] = {
      {"1", "2"},
      {"1", "\"1\""},
      {"null", "false"},
      {"true", "false"},
      {"[]", "{}"},
      {"[1]", "[]"},
      {"[]", "[1]"},
      {"[1,2]", "[2,1]"},
      {"{}", "{\"a\":1}"},
      {"{\"a\":1}", "{}"},
      {"\"a\"", "\"A\""},
      {"0.1", "0.10000000000000000001"},
      {"12345678901234567890", "12345678901234567891"},
      {"{\"a\":1}", "{\"b\":1}"},
      {"{\"a\":{\"b\":1}}", "{\"a\":{\"b\":2}}"},
      {"\"\"", "\"\\u0000\""},
      {"{\"a\":null}", "{}"},
  };
  char document[256], patch[256];
  for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
    snprintf(document, sizeof document, "{\"x\":%s}", same[i][0]);
    snprintf(patch, sizeof patch, "[" TEST("/x", "%s") "," TEST("", "{\"x\":%s}") "]", same[i][1],
             same[i][1]);
    assert_done(document, patch, document);
  }
  for (size_t i = 0; i < sizeof other / sizeof other[0]; i++) {
    snprintf(document, sizeof document, "{\"x\":%s}", other[i][0]);
    snprintf(patch, sizeof patch, "[" TEST("/x", "%s") "]", other[i][1]);
    assert_fault(document, patch, JSON_PATCH_TEST_FAILED, 0);
  }
}

/* Of what the patch itself has changed before, too. */
static void operations_see_those_before_them(void **state) {
  (void)state;
  assert_done(
      "{\"a\":[1,2]}",
      "[" ADD("/a/-", "{\"b\":1}") "," TEST("/a", "[1,2,{\"b\":1}]") "," REPLACE("/a/2/b", "[]") "," TEST(
          "/a/2", "{\"b\":[]}") "," ADD("/a/2/b/0", "7") "," TEST("", "{\"a\":[1,2,{\"b\":[7]}]}") "]",
      "{\"a\":[1,2,{\"b\":[7]}]}");
  assert_fault("{\"a\":1}", "[" REMOVE("/a") "," TEST("/a", "1") "]", JSON_PATCH_NO_TARGET, 1);
}

static void what_is_not_touched_keeps_its_bytes(void **state) {
  (void)state;
  assert_done("{\"price\": 0.1 , \"n\":12345678901234567890}", "[" ADD("/x", "1.10") "]",
              "{\"price\": 0.1 , \"n\":12345678901234567890,\"x\":1.10}");
  assert_done("{\n  \"a\": [\n    1,\n    2,\n    3\n  ],\n  \"b\": { \"c\": \"\\u0041\" }\n}",
              "[" REPLACE("/a/1", "{ }") "]",
              "{\n  \"a\": [\n    1,\n    { },\n    3\n  ],\n  \"b\": { \"c\": \"\\u0041\" }\n}");
  assert_done("[ 1 , 2 , 3 ]", "[" REMOVE("/1") "]", "[ 1 , 3 ]");
  assert_done("[ 1 , 2 , 3 ]", "[" REMOVE("/2") "]", "[ 1 , 2  ]");
  assert_done("[ 1 , 2 , 3 ]", "[" ADD("/1", " [ ] ") "]", "[ 1 ,[ ], 2 , 3 ]");
  assert_done("{ \"a\" : 1 , \"b\" : { \"c\" : [ 1 , 2 ] } }",
              "[" TEST("/b/c/0", "1") "," COPY("/b", "/d") "]",
              "{ \"a\" : 1 , \"b\" : { \"c\" : [ 1 , 2 ] },\"d\":{ \"c\" : [ 1 , 2 ] } }");
}

/* ---- Faults ---- */

static void a_patch_has_a_shape(void **state) {
  (void)state;
  static const char *const first[] = {
      "[1]",
      "[null]",
      "[[]]",
      "[{}]",
      "[{\"op\":\"add\"}]",
      "[{\"path\":\"/a\",\"value\":1}]",
      "[{\"op\":\"ADD\",\"path\":\"/a\",\"value\":1}]",
      "[{\"op\":\"adds\",\"path\":\"/a\",\"value\":1}]",
      "[{\"op\":1,\"path\":\"/a\",\"value\":1}]",
      "[{\"op\":null,\"path\":\"/a\",\"value\":1}]",
      "[{\"op\":\"add\",\"path\":\"/a\"}]",
      "[{\"op\":\"replace\",\"path\":\"/a\"}]",
      "[{\"op\":\"test\",\"path\":\"/a\"}]",
      "[{\"op\":\"add\",\"path\":1,\"value\":1}]",
      "[{\"op\":\"add\",\"path\":null,\"value\":1}]",
      "[{\"op\":\"move\",\"path\":\"/b\"}]",
      "[{\"op\":\"copy\",\"path\":\"/b\"}]",
      "[{\"op\":\"copy\",\"path\":\"/b\",\"from\":1}]",
      "[" COPY("a", "/b") "]",
      "[" ADD("a", "1") "]",
      "[" ADD("/~", "1") "]",
      "[" ADD("/a~2", "1") "]",
      "[" ADD("#/a", "1") "]",
      "[" ADD("/a/~01~", "1") "]",
  };
  for (size_t i = 0; i < sizeof first / sizeof first[0]; i++)
    assert_fault("{\"a\":1}", first[i], JSON_PATCH_INVALID, 0);
  static const char *const wholes[] = {"{}", "null", "\"add\"",
                                       "{\"op\":\"add\",\"path\":\"/a\",\"value\":1}"};
  for (size_t i = 0; i < sizeof wholes / sizeof wholes[0]; i++)
    assert_fault("{\"a\":1}", wholes[i], JSON_PATCH_INVALID, 0);
  assert_fault("{\"a\":1}", "[" ADD("/b", "1") "," ADD("/c", "1") ",{\"op\":\"spam\"}," ADD("/d", "1") "]",
               JSON_PATCH_INVALID, 2);
  assert_done("{\"a\":1}", "[]", "{\"a\":1}");
}

static void places_have_to_be_there(void **state) {
  (void)state;
  static const char *const patches[] = {
      "[" REMOVE("/b") "]",
      "[" REPLACE("/b", "1") "]",
      "[" TEST("/b", "null") "]",
      "[" COPY("/b", "/c") "]",
      "[" MOVE("/b", "/c") "]",
      "[" ADD("/a/b", "1") "]",
      "[" ADD("/b/c", "1") "]",
      "[" ADD("/l/4", "1") "]",
      "[" ADD("/l/01", "1") "]",
      "[" ADD("/l/00", "1") "]",
      "[" ADD("/l/+1", "1") "]",
      "[" ADD("/l/-1", "1") "]",
      "[" ADD("/l/1e0", "1") "]",
      "[" ADD("/l/", "1") "]",
      "[" ADD("/l/x", "1") "]",
      "[" ADD("/l/--", "1") "]",
      "[" ADD("/l/18446744073709551616", "1") "]",
      "[" ADD("/l/18446744073709551615", "1") "]",
      "[" REMOVE("/l/3") "]",
      "[" REMOVE("/l/-") "]",
      "[" TEST("/l/-", "1") "]",
      "[" REPLACE("/l/3", "1") "]",
      "[" COPY("/l/-", "/b") "]",
      "[" ADD("/l/-/x", "1") "]",
      "[" ADD("/l/0/x", "1") "]",
      "[" REMOVE("/o/x/y") "]",
      "[" REMOVE("") "]",
      "[" ADD("/s/0", "1") "]",
      "[" ADD("/n/0", "1") "]",
      "[" MOVE("/o", "/l/4") "]",
  };
  for (size_t i = 0; i < sizeof patches / sizeof patches[0]; i++)
    assert_fault("{\"a\":1,\"l\":[1,2,3],\"o\":{},\"s\":\"x\",\"n\":null}", patches[i], JSON_PATCH_NO_TARGET,
                 0);
}

static void nothing_is_moved_into_itself(void **state) {
  (void)state;
  assert_fault("{\"a\":{\"b\":1}}", "[" MOVE("/a", "/a/b") "]", JSON_PATCH_INTO_ITSELF, 0);
  assert_fault("{\"a\":{\"b\":1}}", "[" MOVE("", "/a") "]", JSON_PATCH_INTO_ITSELF, 0);
  assert_fault("[[1]]", "[" TEST("", "[[1]]") "," MOVE("/0", "/0/0") "]", JSON_PATCH_INTO_ITSELF, 1);
  assert_fault("[1,[2]]", "[" MOVE("/0", "/0/0") "]", JSON_PATCH_INTO_ITSELF,
               0); /* by the letter: section 4.4 */
  assert_done("{\"a\":{\"b\":1}}", "[" COPY("/a", "/a/c") "]", "{\"a\":{\"b\":1,\"c\":{\"b\":1}}}");
}

/* ---- Limits ---- */

static void the_document_has_a_size_at_any_time(void **state) {
  (void)state;
  static const char grow[] = "[" ADD("/b", "[1,2,3]") "," REMOVE("/b") "]";
  struct patch_case c = patch_case_of(JSON_PATCH, slice_of("{\"a\":1}"), slice_of(grow), 19, SIZE_MAX);
  assert_int_equal(c.progress, JSON_PATCH_DONE);
  patch_case_close(&c);
  assert_patch_fault(JSON_PATCH, "{\"a\":1}", grow, 18, JSON_PATCH_TOO_LARGE, 0);
  assert_patch_fault(JSON_PATCH, "{\"a\":1}", "[" REPLACE("/a", "\"0123456789\"") "]", 17,
                     JSON_PATCH_TOO_LARGE, 0);
  assert_patch_fault(JSON_PATCH, "{\"a\":[1,2]}", "[" COPY("/a", "/b") "]", 20, JSON_PATCH_TOO_LARGE, 0);
  assert_patch_fault(JSON_PATCH, "{\"a\":[1,2]}", "[" ADD("", "[1,2,3,4,5]") "]", 10, JSON_PATCH_TOO_LARGE,
                     0);
  /* One that was larger all along may shrink, step by step. */
  c = patch_case_of(JSON_PATCH, slice_of("{\"a\":1,\"b\":[1,2,3]}"),
                    slice_of("[" ADD("/a", "2") "," REMOVE("/b") "]"), 8, SIZE_MAX);
  assert_int_equal(c.progress, JSON_PATCH_DONE);
  patch_case_close(&c);
  assert_patch_fault(JSON_PATCH, "{\"a\":1,\"b\":2}", "[]", 8, JSON_PATCH_TOO_LARGE, 0);
}

/* Each copy doubles it: without a limit 40 of them would make a thousand thousand million copies. */
static void a_bomb_does_not_go_off(void **state) {
  (void)state;
  struct bytes patch = {0};
  bytes_append_string(&patch, "[");
  for (int i = 0; i < 40; i++) bytes_printf(&patch, "%s" COPY("", "/c%d"), i > 0 ? "," : "", i);
  bytes_append_string(&patch, "]");
  struct patch_case c =
      patch_case_of(JSON_PATCH, slice_of("{\"a\":[1]}"), slice_of_bytes(&patch), CASE_BYTES_MAX, 64 * 1024);
  assert_int_equal(c.fault.kind, JSON_PATCH_TOO_LARGE);
  assert_in_range(c.fault.operation, 14, 17);
  assert_in_range(c.slices, 1, 20);
  patch_case_close(&c);
  bytes_close(&patch);
}

static void the_document_has_so_many_levels(void **state) {
  (void)state;
  struct bytes document = {0}, path = {0}, patch = {0};
  for (int i = 0; i < JSON_DEPTH_MAX - 2; i++) {
    bytes_append_string(&document, "{\"a\":");
    if (i > 0) bytes_append_string(&path, "/a");
  }
  bytes_append_string(&path, "/a");
  bytes_append_string(&document, "1");
  for (int i = 0; i < JSON_DEPTH_MAX - 2; i++) bytes_append_string(&document, "}");
  static const char *const values[] = {"[[]]", "{\"a\":[1,2]}", "[[[]]]", "[1,{\"a\":[]}]"};
  for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
    patch.n = 0;
    bytes_printf(&patch, "[" ADD("%.*s", "%s") "]", (int)path.n, (char *)path.data, values[i]);
    struct patch_case c = patch_case_of(JSON_PATCH, slice_of_bytes(&document), slice_of_bytes(&patch),
                                        CASE_BYTES_MAX, SIZE_MAX);
    assert_int_equal(c.progress, i < 2 ? JSON_PATCH_DONE : JSON_PATCH_FAILED);
    if (i >= 2) assert_int_equal(c.fault.kind, JSON_PATCH_TOO_DEEP);
    patch_case_close(&c);
  }
  patch.n = 0;
  bytes_printf(&patch, "[" ADD("/b", "1") "," COPY("", "%.*s") "]", (int)path.n, (char *)path.data);
  struct patch_case c =
      patch_case_of(JSON_PATCH, slice_of_bytes(&document), slice_of_bytes(&patch), CASE_BYTES_MAX, SIZE_MAX);
  assert_int_equal(c.progress, JSON_PATCH_FAILED);
  assert_int_equal(c.fault.kind, JSON_PATCH_TOO_DEEP);
  patch_case_close(&c);
  bytes_close(&document);
  bytes_close(&path);
  bytes_close(&patch);
}

static void objects_have_so_many_members(void **state) {
  (void)state;
  struct bytes document = {0};
  bytes_append_string(&document, "{");
  for (int i = 0; i < JSON_MEMBERS_MAX; i++) bytes_printf(&document, "%s\"%d\":%d", i > 0 ? "," : "", i, i);
  bytes_append_string(&document, "}");
  static const char *const patches[] = {"[" REPLACE("/7", "1") "," ADD("/4095", "2") "]",
                                        "[" REMOVE("/0") "," ADD("/x", "1") "," ADD("/4000", "[]") "]",
                                        "[" ADD("/x", "1") "]", "[" COPY("/0", "/x") "]"};
  for (size_t i = 0; i < sizeof patches / sizeof patches[0]; i++) {
    struct patch_case c =
        patch_case_of(JSON_PATCH, slice_of_bytes(&document), slice_of(patches[i]), CASE_BYTES_MAX, SIZE_MAX);
    assert_int_equal(c.progress, i < 2 ? JSON_PATCH_DONE : JSON_PATCH_FAILED);
    if (i >= 2) assert_int_equal(c.fault.kind, JSON_PATCH_TOO_MANY);
    patch_case_close(&c);
  }
  bytes_close(&document);
}

static struct bytes of_operations(size_t n, const char *operation) {
  struct bytes patch = {0};
  bytes_append_string(&patch, "[");
  for (size_t i = 0; i < n; i++) bytes_printf(&patch, "%s%s", i > 0 ? "," : "", operation);
  bytes_append_string(&patch, "]");
  return patch;
}

static void a_patch_has_so_many_operations(void **state) {
  (void)state;
  struct bytes patch = of_operations(JSON_PATCH_OPERATIONS_MAX, ADD("/a", "1"));
  struct patch_case c = patch_case_of(JSON_PATCH, slice_of("{}"), slice_of_bytes(&patch), 100, SIZE_MAX);
  assert_int_equal(c.progress, JSON_PATCH_DONE);
  patch_case_close(&c);
  bytes_close(&patch);
  patch = of_operations(JSON_PATCH_OPERATIONS_MAX + 1, ADD("/a", "1"));
  c = patch_case_of(JSON_PATCH, slice_of("{}"), slice_of_bytes(&patch), 100, SIZE_MAX);
  assert_int_equal(c.progress, JSON_PATCH_FAILED);
  assert_int_equal(c.fault.kind, JSON_PATCH_INVALID);
  assert_int_equal(c.fault.operation, JSON_PATCH_OPERATIONS_MAX);
  patch_case_close(&c);
  bytes_close(&patch);
}

/* ---- Time and memory ---- */

enum { SLICE = 64 * 1024, ELEMENTS = 200000 };

static struct bytes long_array(const char *element, const char *behind) {
  struct bytes document = {0};
  bytes_append_string(&document, "{\"l\":[");
  for (int i = 0; i < ELEMENTS; i++) bytes_printf(&document, "%s%s", i > 0 ? "," : "", element);
  bytes_printf(&document, "]%s}", behind);
  return document;
}

/* As many operations as there may be, on an array of 200,000 elements: anywhere in it they take no longer
 * than looking at a few thousand bytes each. */
static void long_arrays_take_no_longer(void **state) {
  (void)state;
  static const char *const operations[] = {
      ADD("/l/0", "2"),      ADD("/l/100000", "2"), ADD("/l/-", "2"),          REMOVE("/l/0"),
      REMOVE("/l/100001"),   MOVE("/l/0", "/l/-"),  MOVE("/l/150000", "/l/0"), REPLACE("/l/77777", "[]"),
      TEST("/l/99999", "1"),
  };
  struct bytes document = long_array("1", "");
  for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
    struct bytes patch = of_operations(JSON_PATCH_OPERATIONS_MAX, operations[i]);
    struct patch_case c =
        patch_case_of(JSON_PATCH, slice_of_bytes(&document), slice_of_bytes(&patch), CASE_BYTES_MAX, SLICE);
    assert_int_equal(c.progress, JSON_PATCH_DONE);
    if (c.slices > JSON_PATCH_OPERATIONS_MAX * 8192 / SLICE)
      fail_msg("%s: %zu slices", operations[i], c.slices);
    patch_case_close(&c);
    bytes_close(&patch);
  }
  bytes_close(&document);
}

/* What cannot be done in less than a look at all of it, again and again: it is done, slice by slice, and what
 * it leaves behind is given back (or this would be 2 GiB). */
static void large_values_are_written_and_opened_again(void **state) {
  (void)state;
  struct bytes document = long_array("[1]", ",\"x\":0");
  struct bytes patch = of_operations(300, COPY("/l", "/x") "," ADD("/x/7/0", "2"));
  struct patch_case c = patch_case_of(JSON_PATCH, slice_of_bytes(&document), slice_of_bytes(&patch),
                                      2 * CASE_BYTES_MAX, 1024 * 1024);
  assert_int_equal(c.progress, JSON_PATCH_DONE);
  assert_int_equal(c.result.n, 2 * document.n - 11);
  patch_case_close(&c);
  bytes_close(&patch);
  bytes_close(&document);
}

/* Every operation has to look at all of it, on each of its levels: that ends, long before all of them are
 * done. */
static void there_is_an_end_to_work(void **state) {
  (void)state;
  enum { LEVELS = 60, OPERATIONS = 600 };
  struct bytes document = {0}, patch = {0};
  for (int i = 0; i < LEVELS; i++) bytes_append_string(&document, "{\"a\":");
  bytes_append_string(&document, "[0");
  while (document.n < CASE_BYTES_MAX / 2) bytes_append_string(&document, ",0");
  bytes_append_string(&document, "]");
  for (int i = 0; i < LEVELS; i++) bytes_append_string(&document, "}");
  bytes_append_string(&patch, "[");
  for (int i = 0; i < OPERATIONS; i++) {
    bytes_printf(&patch, "%s{\"op\":\"replace\",\"path\":\"", i > 0 ? "," : "");
    for (int k = 0; k < LEVELS; k++) bytes_append_string(&patch, "/a");
    bytes_append_string(&patch, "/0\",\"value\":1}," COPY("", ""));
  }
  bytes_append_string(&patch, "]");
  struct patch_case c = patch_case_of(JSON_PATCH, slice_of_bytes(&document), slice_of_bytes(&patch),
                                      CASE_BYTES_MAX, CASE_BYTES_MAX);
  assert_int_equal(c.progress, JSON_PATCH_FAILED);
  assert_int_equal(c.fault.kind, JSON_PATCH_TOO_MUCH);
  assert_in_range(c.fault.operation, 1, 2 * OPERATIONS);
  assert_true(c.slices <= JSON_PATCH_WORK_MAX * (document.n + patch.n + SLICE) / CASE_BYTES_MAX + 1);
  patch_case_close(&c);
  bytes_close(&patch);
  bytes_close(&document);
}

/* The tree is made text again when it has grown much, over and over in patches like these; the second has
 * text at the root already then, in what is released. */
static void small_documents_are_compacted(void **state) {
  (void)state;
  static const char *const operations[] = {
      ADD("/a", "{\"b\":[1]}") "," ADD("/a/b/-", "{\"c\":2}") "," COPY("/a", "/d") "," TEST(
          "/d/b/1/c", "2") "," REMOVE("/d"),
      ADD("/a", "{\"b\":[1,{\"c\":1}]}") "," REPLACE("/a/b/1/c", "2") "," TEST(
          "", "{\"z\":1,\"a\":{\"b\":[1,{\"c\":2}]}}"),
  };
  for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++) {
    struct bytes patch = of_operations(800, operations[i]);
    struct patch_case c = patch_case_of(JSON_PATCH, slice_of("{\"z\": 1}"), slice_of_bytes(&patch), 60, 100);
    assert_int_equal(c.progress, JSON_PATCH_DONE);
    assert_true(slice_is(slice_of_bytes(&c.result), "{\"z\": 1,\"a\":{\"b\":[1,{\"c\":2}]}}"));
    patch_case_close(&c);
    bytes_close(&patch);
  }
}

/* ---- At random ---- */

static void random_pointer(struct random *random, struct bytes *out) {
  static const char *const tokens[] = {"a", "b", "c", "", "d~1e", "~0", "0", "1", "2", "-", "70"};
  for (uint64_t n = random_below(random, 4); n > 0; n--)
    bytes_printf(out, "/%s", tokens[random_below(random, sizeof tokens / sizeof tokens[0])]);
}

static void random_operation(struct random *random, struct bytes *out) {
  static const char *const types[] = {"add", "add", "add", "remove", "replace", "move", "copy", "test"};
  bytes_printf(out, "{\"op\":\"%s\",\"path\":\"", types[random_below(random, 8)]);
  random_pointer(random, out);
  bytes_append_string(out, "\",\"from\":\"");
  random_pointer(random, out);
  bytes_append_string(out, "\",\"value\":");
  random_value(random, out, 2);
  bytes_append_string(out, "}");
}

/* As long as they succeed, the same document is patched on. */
static void another_implementation_agrees(void **state) {
  (void)state;
  struct random random = {4};
  size_t done = 0;
  for (int i = 0; i < 3000; i++) {
    struct bytes document = {0};
    random_value(&random, &document, 4);
    for (int k = 0; k < 10; k++) {
      struct bytes patch = {0}, expected = {0};
      bytes_append_string(&patch, "[");
      random_operation(&random, &patch);
      for (; random_below(&random, 3) > 0;) {
        bytes_append_string(&patch, ",");
        random_operation(&random, &patch);
      }
      bytes_append_string(&patch, "]");
      const struct slice a = slice_of_bytes(&document), b = slice_of_bytes(&patch);
      const enum judgement judged = judge_patch(a, b, &expected);
      struct patch_case c =
          patch_case_of(JSON_PATCH, a, b, CASE_BYTES_MAX, 1 + (size_t)random_below(&random, 200));
      if ((c.progress == JSON_PATCH_DONE) != (judged == JUDGED_RIGHT) ||
          (judged == JUDGED_RIGHT && !judge_same(slice_of_bytes(&c.result), slice_of_bytes(&expected))))
        fail_msg("%.*s by %.*s: %.*s", (int)a.n, a.at, (int)b.n, b.at, (int)c.result.n,
                 (char *)c.result.data);
      if (c.progress == JSON_PATCH_DONE && c.result.n < 4096) {
        bytes_close(&document);
        document = c.result;
        c.result = (struct bytes){0};
        done++;
      }
      patch_case_close(&c);
      bytes_close(&patch);
      bytes_close(&expected);
    }
    bytes_close(&document);
  }
  assert_true(done > 2000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_does_what_the_rfc_has),
      cmocka_unit_test(adding_is_also_replacing),
      cmocka_unit_test(the_whole_document_is_a_place_too),
      cmocka_unit_test(values_are_moved_and_copied),
      cmocka_unit_test(names_are_what_they_say),
      cmocka_unit_test(tests_compare_values),
      cmocka_unit_test(operations_see_those_before_them),
      cmocka_unit_test(what_is_not_touched_keeps_its_bytes),
      cmocka_unit_test(a_patch_has_a_shape),
      cmocka_unit_test(places_have_to_be_there),
      cmocka_unit_test(nothing_is_moved_into_itself),
      cmocka_unit_test(the_document_has_a_size_at_any_time),
      cmocka_unit_test(a_bomb_does_not_go_off),
      cmocka_unit_test(the_document_has_so_many_levels),
      cmocka_unit_test(objects_have_so_many_members),
      cmocka_unit_test(a_patch_has_so_many_operations),
      cmocka_unit_test(long_arrays_take_no_longer),
      cmocka_unit_test(large_values_are_written_and_opened_again),
      cmocka_unit_test(there_is_an_end_to_work),
      cmocka_unit_test(small_documents_are_compacted),
      cmocka_unit_test(another_implementation_agrees),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
