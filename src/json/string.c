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

/* RFC 3629, section 3; how many bytes that is. */
static size_t put_utf8(uint8_t *out, uint32_t point) {
  size_t n;
  if (point < 0x80) {
    n = 1;
    out[0] = (uint8_t)point;
  } else if (point < 0x800) {
    n = 2;
    out[0] = (uint8_t)(0xc0 | point >> 6);
  } else if (point < 0x10000) {
    n = 3;
    out[0] = (uint8_t)(0xe0 | point >> 12);
  } else {
    n = 4;
    out[0] = (uint8_t)(0xf0 | point >> 18);
  }
  for (size_t i = 1; i < n; i++) out[i] = (uint8_t)(0x80 | (point >> 6 * (n - 1 - i) & 0x3f));
  return n;
}

/* Takes the escape off the front of *at; how many bytes it says. */
static size_t put_escape(uint8_t *out, const char **at) {
  static const char letters[] = "bfnrt", meanings[] = "\b\f\n\r\t";
  const char *escape = *at;
  if (escape[1] != 'u') {
    const char *letter = strchr(letters, escape[1]);
    *out = (uint8_t)(letter != NULL ? meanings[letter - letters] : escape[1]);
    *at += 2;
    return 1;
  }
  const int unit = scan_hex4(escape + 2);
  *at += 6;
  if (!scan_is_surrogate(unit)) return put_utf8(out, (uint32_t)unit);
  const int low = scan_hex4(escape + 8);
  *at += 6;
  return put_utf8(out, 0x10000 + ((uint32_t)(unit - SURROGATE_FIRST) << 10) +
                           (uint32_t)(low - SURROGATE_LOW_FIRST));
}

/* Nothing becomes longer by it. */
void json_decode(struct slice string, struct bytes *out) {
  const char *at = string.at + 1, *end = string.at + string.n - 1;
  uint8_t *to = bytes_reserve(out, (size_t)(end - at)), *begin = to;
  while (at < end) {
    if (*at == '\\') {
      to += put_escape(to, &at);
      continue;
    }
    const char *escape = memchr(at, '\\', (size_t)(end - at));
    const size_t n = (size_t)((escape != NULL ? escape : end) - at);
    memcpy(to, at, n);
    to += n;
    at += n;
  }
  out->n += (size_t)(to - begin);
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
