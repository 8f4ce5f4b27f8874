#include "json_patch_case.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const uint8_t seed[JSON_SEED_BYTES] = {2, 7, 1, 8};

static struct slice checked(struct slice text) {
  struct json_error error;
  if (!json_check(text, seed, &error))
    fail_msg("%s at %zu: %.*s", error.detail, error.offset, (int)text.n, text.at);
  return json_trim(text);
}

struct patch_case patch_case_of(enum json_patch_kind kind, struct slice document, struct slice patch,
                                size_t bytes_max, size_t slice_units) {
  struct json_patch *p = json_patch_new(kind, checked(document), checked(patch), bytes_max, seed);
  struct patch_case c = {.progress = JSON_PATCH_MORE};
  struct json_error error;
  for (; c.progress == JSON_PATCH_MORE; c.slices++) {
    size_t budget = slice_units;
    c.progress = json_patch_go_on(p, &budget);
    assert_true(budget <= slice_units && (c.progress != JSON_PATCH_MORE || budget == 0));
  }
  c.fault = json_patch_fault(p);
  if (c.progress == JSON_PATCH_DONE) {
    bytes_append_slice(&c.result, json_patch_result(p));
    assert_true(json_check(slice_of_bytes(&c.result), seed, &error));
    assert_true(c.result.n <= bytes_max);
  } else {
    assert_true(c.fault.detail[0] != '\0' && c.fault.detail[strlen(c.fault.detail) - 1] == '.');
  }
  json_patch_free(p);
  return c;
}

void patch_case_close(struct patch_case *c) {
  bytes_close(&c->result);
}

static struct patch_case in_slices_and_at_once(enum json_patch_kind kind, const char *document,
                                               const char *patch, size_t bytes_max) {
  struct patch_case at_once = patch_case_of(kind, slice_of(document), slice_of(patch), bytes_max, SIZE_MAX);
  struct patch_case sliced = patch_case_of(kind, slice_of(document), slice_of(patch), bytes_max, 1);
  assert_int_equal(at_once.slices, 1);
  assert_int_equal(at_once.progress, sliced.progress);
  assert_true(slice_equal(slice_of_bytes(&at_once.result), slice_of_bytes(&sliced.result)));
  assert_int_equal(at_once.fault.kind, sliced.fault.kind);
  assert_int_equal(at_once.fault.operation, sliced.fault.operation);
  patch_case_close(&sliced);
  return at_once;
}

void assert_patched(enum json_patch_kind kind, const char *document, const char *patch, const char *result) {
  struct patch_case c = in_slices_and_at_once(kind, document, patch, CASE_BYTES_MAX);
  if (c.progress != JSON_PATCH_DONE) fail_msg("%s by %s: %s", document, patch, c.fault.detail);
  if (!slice_is(slice_of_bytes(&c.result), result))
    fail_msg("%s by %s: %.*s, not %s", document, patch, (int)c.result.n, (char *)c.result.data, result);
  patch_case_close(&c);
}

void assert_patch_fault(enum json_patch_kind kind, const char *document, const char *patch, size_t bytes_max,
                        enum json_patch_fault_kind fault, size_t operation) {
  struct patch_case c = in_slices_and_at_once(kind, document, patch, bytes_max);
  if (c.progress == JSON_PATCH_DONE)
    fail_msg("%s by %s: %.*s", document, patch, (int)c.result.n, (char *)c.result.data);
  if (c.fault.kind != fault || c.fault.operation != operation)
    fail_msg("%s by %s: fault %d at %zu (%s), not %d at %zu", document, patch, c.fault.kind,
             c.fault.operation, c.fault.detail, fault, operation);
  patch_case_close(&c);
}

/* ---- At random ---- */

static void random_white(struct random *random, struct bytes *out) {
  static const char *const white[] = {"", "", "", "", " ", "\n  "};
  bytes_append_string(out, white[random_below(random, sizeof white / sizeof white[0])]);
}

static void random_object(struct random *random, struct bytes *out, int levels) {
  static const char *const names[] = {"a", "b", "\\u0063", "", "d/e", "~"};
  const char *comma = "";
  bytes_append_string(out, "{");
  random_white(random, out);
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    if (random_below(random, 3) != 0) continue;
    bytes_printf(out, "%s\"%s\"", comma, names[i]);
    random_white(random, out);
    bytes_append_string(out, ":");
    random_white(random, out);
    random_value(random, out, levels - 1);
    random_white(random, out);
    comma = ", ";
  }
  bytes_append_string(out, "}");
}

static void random_array(struct random *random, struct bytes *out, int levels) {
  const uint64_t n = random_below(random, 20) == 0 ? 150 : random_below(random, 4);
  bytes_append_string(out, "[");
  for (uint64_t i = 0; i < n; i++) {
    random_white(random, out);
    random_value(random, out, n > 4 ? 0 : levels - 1);
    random_white(random, out);
    if (i + 1 < n) bytes_append_string(out, ",");
  }
  bytes_append_string(out, "]");
}

void random_value(struct random *random, struct bytes *out, int levels) {
  static const char *const scalars[] = {"0",    "1",     "1.0",         "10e-1", "null",
                                        "true", "\"a\"", "\"\\u0061\"", "null",  "\"null\""};
  const uint64_t choice = levels > 0 ? random_below(random, 3) : 2;
  if (choice == 0)
    random_object(random, out, levels);
  else if (choice == 1)
    random_array(random, out, levels);
  else
    bytes_append_string(out, scalars[random_below(random, sizeof scalars / sizeof scalars[0])]);
}
