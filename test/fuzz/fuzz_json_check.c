/* Checking and walking over JSON, whatever the bytes: jansson is the judge. What one of the two takes the
 * other takes too, but for what is documented: here an object has so many members and so many levels at most,
 * and there numbers end where 64 bits do and names hold no \u0000. And the text made of what the walk has
 * found is the same value to the judge.
 *
 * With the first bit of the input set, its bytes are not the text but choose its pieces: a fuzzer without
 * much time then writes deep and long texts too. */
#include "fuzz.h"

#include "json_judge.h"
#include "json/text.h"

static const uint8_t seed[JSON_SEED_BYTES] = {7, 1, 5};

/* ---- The text again, of what is found in it ---- */

static void rebuild(struct slice value, struct bytes *out);

static void rebuild_string(struct slice string, struct bytes *out) {
  struct bytes decoded = {0};
  json_decode(string, &decoded);
  bytes_append_string(out, "\"");
  for (size_t i = 0; i < decoded.n; i++) {
    const uint8_t byte = decoded.data[i];
    if (byte < ' ' || byte == '"' || byte == '\\')
      bytes_printf(out, "\\u%04x", byte);
    else
      bytes_append(out, &byte, 1);
  }
  bytes_append_string(out, "\"");
  bytes_close(&decoded);
}

static void rebuild_object(struct slice object, struct bytes *out) {
  struct json_cursor cursor = json_open(object);
  struct slice name, value, found;
  const char *comma = "";
  bytes_append_string(out, "{");
  for (; json_next_member(&cursor, &name, &value); comma = ",") {
    bytes_append_string(out, comma);
    const size_t begin = out->n;
    rebuild_string(name, out);
    FUZZ_CHECK(json_strings_equal(name, (struct slice){(char *)out->data + begin, out->n - begin}));
    bytes_append_string(out, ":");
    rebuild(value, out);
    if (slice_is(name, "\"a\"") || slice_is(name, "\"\\u0061\""))
      FUZZ_CHECK(json_member(object, "a", &found) && found.at == value.at && found.n == value.n);
  }
  bytes_append_string(out, "}");
}

static void rebuild_array(struct slice array, struct bytes *out) {
  struct json_cursor cursor = json_open(array);
  struct slice value;
  const char *comma = "";
  bytes_append_string(out, "[");
  for (; json_next_element(&cursor, &value); comma = ",") {
    bytes_append_string(out, comma);
    rebuild(value, out);
  }
  bytes_append_string(out, "]");
}

static void rebuild(struct slice value, struct bytes *out) {
  switch (json_type(value)) {
  case JSON_OBJECT:
    rebuild_object(value, out);
    break;
  case JSON_ARRAY:
    rebuild_array(value, out);
    break;
  case JSON_STRING:
    rebuild_string(value, out);
    break;
  case JSON_NUMBER:
    FUZZ_CHECK(json_numbers_equal(value, value));
    bytes_append_slice(out, value);
    break;
  case JSON_NULL:
  case JSON_FALSE:
  case JSON_TRUE:
    bytes_append_slice(out, value);
  }
}

/* ---- The two verdicts ---- */

static void check_value(struct slice text, enum judgement judged) {
  const struct slice value = json_trim(text);
  struct bytes again = {0};
  struct json_error error;
  rebuild(value, &again);
  const struct slice rebuilt = slice_of_bytes(&again);
  FUZZ_CHECK(json_check(rebuilt, seed, &error));
  if (judged == JUDGED_RIGHT) FUZZ_CHECK(judge_same(text, rebuilt));
  bytes_close(&again);
}

static void check_text(struct slice text) {
  struct json_error error;
  const bool fine = json_check(text, seed, &error);
  const enum judgement judged = judge_text(text);
  FUZZ_CHECK(fine == (error.fault == JSON_FINE));
  FUZZ_CHECK(error.offset <= text.n && (fine || error.detail[0] != '\0'));
  if (fine) {
    FUZZ_CHECK(judged != JUDGED_WRONG);
    check_value(text, judged);
  } else {
    FUZZ_CHECK(judged != JUDGED_RIGHT || error.fault == JSON_TOO_DEEP ||
               error.fault == JSON_TOO_MANY_MEMBERS);
  }
}

/* ---- Texts in pieces ---- */

static void write_pieces(struct fuzz_input *in, struct bytes *text) {
  static const char *const pieces[] = {
      "{",
      "}",
      "[",
      "]",
      ",",
      ":",
      "\"a\"",
      "\"\\u0061\"",
      "\"\"",
      "\"b\":",
      "1",
      "-0",
      "0.1e+9",
      "1E5",
      "true",
      "null",
      " ",
      "\n",
      "[[[[",
      "]]]]",
      "{\"a\":",
      "\"\\ud83d\\ude00\"",
      "\"\xc3\xa9\"",
      "\"\\ud800\"",
      "[1,2,3]",
      "{\"a\":1,\"b\":[]}",
      "\"",
      "\\",
      "\xed\xa0\x80",
      "1e",
      "\"\\n\"",
      "12345678901234567890",
  };
  enum { PIECES = sizeof pieces / sizeof pieces[0] };
  while (in->at < in->end) {
    const uint8_t choice = fuzz_byte(in);
    const unsigned times = choice >= 240 ? 20 : 1;
    for (unsigned i = 0; i < times; i++) bytes_append_string(text, pieces[choice % PIECES]);
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct fuzz_input in = {data, data + n};
  struct bytes text = {0};
  if (fuzz_byte(&in) % 2 == 1)
    write_pieces(&in, &text);
  else
    bytes_append(&text, in.at, (size_t)(in.end - in.at));
  check_text(slice_of_bytes(&text));
  bytes_close(&text);
  return 0;
}
