/* Patching, with documents and patches made of the input: a simple implementation on jansson's trees is the
 * judge. In slices of any size the result is the same, byte for byte, and a JSON text within all limits. What
 * no operation has touched has its bytes.
 *
 * An input is a document, then a patch of either kind, both written from a grammar that its bytes choose
 * from, with few names and small numbers, so that pointers lead somewhere. */
#include "fuzz.h"

#include "json_judge.h"
#include "json/patch.h"

enum { LEVELS_MAX = 6, VALUES_MAX = 5, OPERATIONS_MAX = 12, RESULT_BYTES_MAX = 400 };

static const uint8_t seed[JSON_SEED_BYTES] = {3, 1, 4};
static const char *const names[] = {"a", "b", "c",        "",     "a/b", "m~n",
                                    "0", "-", "\xc3\xa9", "\\\"", "10",  "x y"};
static const char *const spelled_names[] = {
    "a", "\\u0062", "c", "", "a/b", "m~n", "\\u0030", "-", "\\u00e9", "\\u005c\\\"", "\\u00310", "x\\u0020y"};
static const char *const pointer_tokens[] = {"a",        "b",        "c",  "",    "a~1b", "m~0n", "0",  "-",
                                             "\xc3\xa9", "\\\\\\\"", "10", "x y", "1",    "2",    "01", "~2"};
enum { NAMES = sizeof names / sizeof names[0], TOKENS = sizeof pointer_tokens / sizeof pointer_tokens[0] };

static void write_white(struct fuzz_input *in, struct bytes *out) {
  static const char *const white[] = {"", "", "", " ", "\n  ", "\t", "", ""};
  bytes_append_string(out, white[fuzz_byte(in) % 8]);
}

static void write_value(struct fuzz_input *in, struct bytes *out, unsigned levels);

static void write_object(struct fuzz_input *in, struct bytes *out, unsigned levels) {
  const unsigned mask = fuzz_u16(in), first = fuzz_byte(in) % NAMES;
  const char *comma = "";
  unsigned n = 0;
  bytes_append_string(out, "{");
  write_white(in, out);
  for (unsigned i = 0; i < NAMES && n < VALUES_MAX; i++) { /* each name once */
    const unsigned name = (first + i) % NAMES;
    if ((mask >> i & 1) == 0) continue;
    bytes_append_string(out, comma);
    write_white(in, out);
    bytes_printf(out, "\"%s\"",
                 mask >> 12 == 1 || strchr("\\", names[name][0]) ? spelled_names[name] : names[name]);
    write_white(in, out);
    bytes_append_string(out, ":");
    write_white(in, out);
    write_value(in, out, levels - 1);
    write_white(in, out);
    comma = ",";
    n++;
  }
  bytes_append_string(out, "}");
}

static void write_array(struct fuzz_input *in, struct bytes *out, unsigned levels) {
  const uint8_t choice = fuzz_byte(in);
  const unsigned n = choice >= 250 ? 150 : choice % (VALUES_MAX + 1); /* more than stand in one run, too */
  bytes_append_string(out, "[");
  for (unsigned i = 0; i < n; i++) {
    if (i > 0) bytes_append_string(out, ",");
    if (n > VALUES_MAX) {
      bytes_printf(out, "%u", i % 10);
      continue;
    }
    write_white(in, out);
    write_value(in, out, levels - 1);
    write_white(in, out);
  }
  bytes_append_string(out, "]");
}

static void write_value(struct fuzz_input *in, struct bytes *out, unsigned levels) {
  static const char *const scalars[] = {"0",     "1",     "1.0",         "10e-1", "-0",  "null",     "true",
                                        "false", "\"a\"", "\"\\u0061\"", "\"\"",  "0.5", "\"null\"", "null"};
  enum { SCALARS = sizeof scalars / sizeof scalars[0] };
  const uint8_t choice = fuzz_byte(in);
  if (levels > 0 && choice % 3 == 0)
    write_object(in, out, levels);
  else if (levels > 0 && choice % 3 == 1)
    write_array(in, out, levels);
  else
    bytes_append_string(out, scalars[choice / 3 % SCALARS]);
}

static void write_pointer(struct fuzz_input *in, struct bytes *out, const char *member) {
  const uint8_t choice = fuzz_byte(in);
  if (choice == 255) return; /* it is missing */
  bytes_printf(out, ",\"%s\":\"", member);
  for (unsigned i = choice % 4; i > 0; i--) bytes_printf(out, "/%s", pointer_tokens[fuzz_byte(in) % TOKENS]);
  bytes_append_string(out, choice == 254 ? "a\"" : "\"");
}

static void write_operations(struct fuzz_input *in, struct bytes *out) {
  static const char *const types[] = {"add", "add", "remove", "replace", "move", "copy", "test", "add"};
  const unsigned n = fuzz_byte(in) % (OPERATIONS_MAX + 1);
  bytes_append_string(out, "[");
  for (unsigned i = 0; i < n; i++) {
    const uint8_t choice = fuzz_byte(in);
    if (i > 0) bytes_append_string(out, ",");
    bytes_printf(out, "{\"op\":\"%s\"", choice == 255 ? "spam" : types[choice % 8]);
    write_pointer(in, out, "path");
    if (choice % 8 == 4 || choice % 8 == 5) write_pointer(in, out, "from");
    if (choice % 64 != 63) {
      bytes_append_string(out, ",\"value\":");
      write_value(in, out, LEVELS_MAX / 2);
    }
    bytes_append_string(out, "}");
  }
  bytes_append_string(out, "]");
}

/* ---- Ours and theirs ---- */

struct outcome {
  enum json_patch_progress progress;
  struct json_patch_fault fault;
  struct bytes result;
};

static struct outcome apply(enum json_patch_kind kind, struct slice document, struct slice patch,
                            size_t slice_units) {
  struct json_patch *p = json_patch_new(kind, document, patch, RESULT_BYTES_MAX, seed);
  struct outcome outcome = {.progress = JSON_PATCH_MORE};
  while (outcome.progress == JSON_PATCH_MORE) {
    size_t budget = slice_units;
    outcome.progress = json_patch_go_on(p, &budget);
    FUZZ_CHECK(outcome.progress != JSON_PATCH_MORE || budget == 0);
  }
  outcome.fault = json_patch_fault(p);
  if (outcome.progress == JSON_PATCH_DONE) bytes_append_slice(&outcome.result, json_patch_result(p));
  json_patch_free(p);
  return outcome;
}

static void check_outcome(const struct outcome *outcome, enum judgement judged, struct slice expected) {
  const struct slice result = slice_of_bytes(&outcome->result);
  struct json_error error;
  if (outcome->progress == JSON_PATCH_DONE) {
    FUZZ_CHECK(judged == JUDGED_RIGHT);
    FUZZ_CHECK(result.n <= RESULT_BYTES_MAX && json_check(result, seed, &error));
    FUZZ_CHECK(judge_same(result, expected));
  } else {
    FUZZ_CHECK(judged == JUDGED_WRONG || outcome->fault.kind == JSON_PATCH_TOO_LARGE);
    FUZZ_CHECK(outcome->fault.detail != NULL);
  }
}

static void check_patch(enum json_patch_kind kind, struct slice document, struct slice patch,
                        uint8_t slice_units) {
  struct bytes expected = {0};
  const enum judgement judged = kind == JSON_PATCH ? judge_patch(document, patch, &expected)
                                                   : judge_merge_patch(document, patch, &expected);
  struct outcome at_once = apply(kind, document, patch, SIZE_MAX);
  struct outcome sliced = apply(kind, document, patch, 1u + slice_units % 64);
  check_outcome(&at_once, judged, slice_of_bytes(&expected));
  FUZZ_CHECK(at_once.progress == sliced.progress);
  FUZZ_CHECK(slice_equal(slice_of_bytes(&at_once.result), slice_of_bytes(&sliced.result)));
  if (at_once.progress == JSON_PATCH_FAILED)
    FUZZ_CHECK(at_once.fault.kind == sliced.fault.kind && at_once.fault.operation == sliced.fault.operation);
  bytes_close(&at_once.result);
  bytes_close(&sliced.result);
  bytes_close(&expected);
}

/* A patch that does nothing to the document but look at its parts leaves every byte where it is. */
static void check_untouched(struct slice document, struct slice value) {
  struct bytes patch = {0};
  bytes_append_string(&patch, "[{\"op\":\"add\",\"path\":\"\",\"value\":[");
  bytes_append_slice(&patch, document);
  bytes_append_string(&patch, ",");
  bytes_append_slice(&patch, value);
  bytes_append_string(&patch, "]},{\"op\":\"copy\",\"from\":\"/0\",\"path\":\"/-\"},"
                              "{\"op\":\"move\",\"from\":\"/1\",\"path\":\"/2\"},"
                              "{\"op\":\"move\",\"from\":\"/0\",\"path\":\"\"}]");
  struct outcome outcome = apply(JSON_PATCH, document, slice_of_bytes(&patch), 7);
  FUZZ_CHECK(outcome.progress == JSON_PATCH_DONE || outcome.fault.kind == JSON_PATCH_TOO_LARGE);
  if (outcome.progress == JSON_PATCH_DONE) FUZZ_CHECK(slice_equal(slice_of_bytes(&outcome.result), document));
  bytes_close(&outcome.result);
  bytes_close(&patch);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct fuzz_input in = {data, data + n};
  struct bytes document = {0}, patch = {0};
  struct json_error error;
  const uint8_t choice = fuzz_byte(&in), slice_units = fuzz_byte(&in);
  const enum json_patch_kind kind = choice % 2 == 0 ? JSON_PATCH : JSON_MERGE_PATCH;
  write_value(&in, &document, LEVELS_MAX);
  if (kind == JSON_PATCH)
    write_operations(&in, &patch);
  else
    write_value(&in, &patch, LEVELS_MAX);
  const struct slice texts[] = {json_trim(slice_of_bytes(&document)), json_trim(slice_of_bytes(&patch))};
  FUZZ_CHECK(json_check(texts[0], seed, &error) && json_check(texts[1], seed, &error));
  check_patch(kind, texts[0], texts[1], slice_units);
  check_untouched(texts[0], texts[1]);
  bytes_close(&document);
  bytes_close(&patch);
  return 0;
}
