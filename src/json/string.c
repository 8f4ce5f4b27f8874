#include "json/scan.h"
#include "json/text.h"

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int scan_hex4(const char *at) {
  int value = 0;
  for (int i = 0; i < 4; i++) {
    const int digit = hex_digit(at[i]);
    if (digit < 0) return -1;
    value = value * 16 + digit;
  }
  return value;
}

/* RFC 3629, section 3. */
static void append_utf8(struct bytes *out, uint32_t point) {
  uint8_t bytes[4];
  size_t n;
  if (point < 0x80) {
    n = 1;
    bytes[0] = (uint8_t)point;
  } else if (point < 0x800) {
    n = 2;
    bytes[0] = (uint8_t)(0xc0 | point >> 6);
  } else if (point < 0x10000) {
    n = 3;
    bytes[0] = (uint8_t)(0xe0 | point >> 12);
  } else {
    n = 4;
    bytes[0] = (uint8_t)(0xf0 | point >> 18);
  }
  for (size_t i = 1; i < n; i++) bytes[i] = (uint8_t)(0x80 | (point >> 6 * (n - 1 - i) & 0x3f));
  bytes_append(out, bytes, n);
}

/* What the escape at `at` says; its length. */
static size_t decode_escape(const char *at, struct bytes *out) {
  static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
  if (at[1] != 'u') {
    const char *letter = strchr(letters, at[1]);
    bytes_append(out, letter != NULL ? &meanings[letter - letters] : &at[1], 1);
    return 2;
  }
  const int unit = scan_hex4(at + 2);
  if (!scan_is_surrogate(unit)) {
    append_utf8(out, (uint32_t)unit);
    return 6;
  }
  const int low = scan_hex4(at + 8);
  append_utf8(out,
              0x10000 + ((uint32_t)(unit - SURROGATE_FIRST) << 10) + (uint32_t)(low - SURROGATE_LOW_FIRST));
  return 12;
}

void json_decode(struct slice string, struct bytes *out) {
  const char *at = string.at + 1, *end = string.at + string.n - 1;
  bytes_reserve(out, (size_t)(end - at));
  while (at < end) {
    const char *escape = memchr(at, '\\', (size_t)(end - at));
    const char *plain_end = escape != NULL ? escape : end;
    bytes_append(out, at, (size_t)(plain_end - at));
    at = escape != NULL ? escape + decode_escape(escape, out) : end;
  }
}

static bool has_escapes(struct slice string) {
  return memchr(string.at, '\\', string.n) != NULL;
}

bool json_strings_equal(struct slice a, struct slice b) {
  if (!has_escapes(a) && !has_escapes(b)) return slice_equal(a, b);
  struct bytes decoded_a = {0}, decoded_b = {0};
  json_decode(a, &decoded_a);
  json_decode(b, &decoded_b);
  const bool equal = slice_equal(slice_of_bytes(&decoded_a), slice_of_bytes(&decoded_b));
  bytes_close(&decoded_a);
  bytes_close(&decoded_b);
  return equal;
}
