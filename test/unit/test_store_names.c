/* Goal: exactly the names of the rules in command.h are valid. UTF-8 is held against a second, slower reading
 * of RFC 3629: decode the number, then ask whether this is its only and shortest form. */
#include "store/command.h"

#include "golden.h"

static bool collection_is_valid(const char *name, size_t n) {
  uint8_t *copy = exact_copy(name, n);
  bool valid = collection_name_is_valid((struct slice){(const char *)copy, n});
  free(copy);
  return valid;
}

static bool id_is_valid(const void *id, size_t n) {
  uint8_t *copy = exact_copy(id, n);
  bool valid = document_id_is_valid((struct slice){(const char *)copy, n});
  free(copy);
  return valid;
}

static void collections(void **state) {
  (void)state;
  static const char allowed[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.";
  for (int c = 0; c < 256; c++) {
    char name[2] = {'x', (char)c};
    assert_int_equal(collection_is_valid(name, 2), c != 0 && strchr(allowed, c) != NULL);
  }
  char longest[COLLECTION_BYTES_MAX + 1];
  memset(longest, 'c', sizeof longest);
  assert_true(collection_is_valid(longest, COLLECTION_BYTES_MAX));
  assert_false(collection_is_valid(longest, COLLECTION_BYTES_MAX + 1));
  assert_false(collection_is_valid("", 0));
  assert_false(collection_is_valid(".", 1));
  assert_false(collection_is_valid("..", 2));
  assert_true(collection_is_valid("...", 3));
  assert_true(collection_is_valid(".a", 2));
}

static void ids(void **state) {
  (void)state;
  for (int c = 0; c < 128; c++) {
    char id[2] = {(char)c, 'x'};
    assert_int_equal(id_is_valid(id, 2), c >= 0x20 && c != 0x7f);
  }
  char longest[DOCUMENT_ID_BYTES_MAX + 1];
  memset(longest, 'd', sizeof longest);
  assert_true(id_is_valid(longest, DOCUMENT_ID_BYTES_MAX));
  assert_false(id_is_valid(longest, DOCUMENT_ID_BYTES_MAX + 1));
  assert_false(id_is_valid("", 0));
  assert_false(id_is_valid(".", 1));
  assert_false(id_is_valid("..", 2));
  assert_true(id_is_valid("...", 3));
  assert_true(id_is_valid("../x", 4)); /* arrives percent-encoded, as one segment of a path */
  assert_true(id_is_valid("\xc2\x80", 2));
}

/* The bits of c in the shortest form that has room for them, whether c is a character or not. */
static size_t encode(uint32_t c, uint8_t out[4]) {
  if (c < 0x800) {
    out[0] = (uint8_t)(0xc0 | c >> 6);
    out[1] = (uint8_t)(0x80 | (c & 63));
    return 2;
  }
  if (c < 0x10000) {
    out[0] = (uint8_t)(0xe0 | c >> 12);
    out[1] = (uint8_t)(0x80 | (c >> 6 & 63));
    out[2] = (uint8_t)(0x80 | (c & 63));
    return 3;
  }
  out[0] = (uint8_t)(0xf0 | c >> 18);
  out[1] = (uint8_t)(0x80 | (c >> 12 & 63));
  out[2] = (uint8_t)(0x80 | (c >> 6 & 63));
  out[3] = (uint8_t)(0x80 | (c & 63));
  return 4;
}

static void every_code_point(void **state) {
  (void)state;
  for (uint32_t c = 0x80; c < 0x200000; c++) {
    uint8_t text[4];
    size_t n = encode(c, text);
    bool surrogate = c >= 0xd800 && c <= 0xdfff;
    struct slice id = {(const char *)text, n};
    if (document_id_is_valid(id) != (!surrogate && c <= 0x10ffff)) fail_msg("U+%04X", (unsigned)c);
  }
}

/* All three bytes that begin like a longer character: valid exactly as two and one, or as three in shortest
 * form. */
static void every_short_sequence(void **state) {
  (void)state;
  for (uint32_t sequence = 0; sequence < 1u << 24; sequence++) {
    uint8_t text[3] = {(uint8_t)(sequence >> 16), (uint8_t)(sequence >> 8), (uint8_t)sequence};
    if (text[0] < 0xc0) continue;
    bool two =
        text[0] >= 0xc2 && text[0] <= 0xdf && (text[1] & 0xc0) == 0x80 && text[2] >= 0x20 && text[2] < 0x7f;
    uint32_t c = (uint32_t)(text[0] & 15) << 12 | (uint32_t)(text[1] & 63) << 6 | (text[2] & 63);
    bool three = (text[0] & 0xf0) == 0xe0 && (text[1] & 0xc0) == 0x80 && (text[2] & 0xc0) == 0x80 &&
                 c >= 0x800 && (c < 0xd800 || c > 0xdfff);
    if (document_id_is_valid((struct slice){(const char *)text, 3}) != (two || three))
      fail_msg("%06x", (unsigned)sequence);
  }
}

static void broken_utf8(void **state) {
  (void)state;
  static const char *const broken[] = {
      "\x80",
      "\xbf", /* a continuation without a lead */
      "\xc3",
      "a\xc3",
      "\xe2\x82",
      "\xf0\x9f\x98", /* cut short */
      "\xc3"
      "a",
      "\xe2\x82"
      "a",
      "\xe2"
      "aa",
      "\xf0\x9f\x98"
      "a",
      "\xc0\xaf",
      "\xc1\xbf",
      "\xe0\x9f\xbf",
      "\xf0\x8f\xbf\xbf", /* overlong */
      "\xed\xa0\x80",
      "\xed\xbf\xbf", /* surrogates */
      "\xf4\x90\x80\x80",
      "\xf5\x80\x80\x80",
      "\xf8\x88\x80\x80\x80",
      "\xfe",
      "\xff",
  };
  for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
    if (id_is_valid(broken[i], strlen(broken[i]))) fail_msg("number %zu", i);
  static const char whole[] = "na\xc3\xafve \xe2\x82\xac \xf0\x9f\x98\x80";
  assert_true(id_is_valid(whole, strlen(whole)));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(collections),      cmocka_unit_test(ids),
      cmocka_unit_test(every_code_point), cmocka_unit_test(every_short_sequence),
      cmocka_unit_test(broken_utf8),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
