/* The smallest steps over JSON text. Private to json/. */
#ifndef CORACLE_JSON_SCAN_H
#define CORACLE_JSON_SCAN_H

#include "base/bytes.h"

/* RFC 8259, section 2. */
static inline bool scan_is_white(char c) {
  return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static inline const char *scan_white(const char *at, const char *end) {
  while (at < end && scan_is_white(*at)) at++;
  return at;
}

static const uint64_t SCAN_ONES = 0x0101010101010101, SCAN_HIGHS = 0x8080808080808080;

/* All of them are ASCII that stands for itself in a string. A subtraction borrows only out of a byte that is
 * none, so nothing is found where nothing is. */
static inline bool scan_is_plain(uint64_t eight) {
  const uint64_t quotes = eight ^ SCAN_ONES * '"', backslashes = eight ^ SCAN_ONES * '\\';
  return ((eight | (eight - SCAN_ONES * ' ') | (quotes - SCAN_ONES) | (backslashes - SCAN_ONES)) &
          SCAN_HIGHS) == 0;
}

/* Over ASCII that stands for itself in a string, eight bytes at a time: to the first byte that may be other.
 */
static inline const char *scan_plain(const char *at, const char *end) {
  uint64_t eight;
  while ((size_t)(end - at) >= sizeof eight) {
    memcpy(&eight, at, sizeof eight);
    if (!scan_is_plain(eight)) break;
    at += sizeof eight;
  }
  while (at < end && (uint8_t)*at >= ' ' && (uint8_t)*at < 0x80 && *at != '"' && *at != '\\') at++;
  return at;
}

/* None of them is a quote or a backslash: no byte is zero once they are made so. */
static inline bool scan_is_unescaped(uint64_t eight) {
  const uint64_t quotes = eight ^ SCAN_ONES * '"', backslashes = eight ^ SCAN_ONES * '\\';
  return ((((quotes - SCAN_ONES) & ~quotes) | ((backslashes - SCAN_ONES) & ~backslashes)) & SCAN_HIGHS) == 0;
}

/* To the first quote or backslash. */
static inline const char *scan_unescaped(const char *at, const char *end) {
  uint64_t eight;
  while ((size_t)(end - at) >= sizeof eight) {
    memcpy(&eight, at, sizeof eight);
    if (!scan_is_unescaped(eight)) break;
    at += sizeof eight;
  }
  while (at < end && *at != '"' && *at != '\\') at++;
  return at;
}

/* Past the value that begins at `at`, in a text that json_check() has found right. */
const char *scan_value(const char *at, const char *end);

/* How many objects and arrays are within each other in a value: 0 for a scalar, 1 for []. */
size_t scan_levels(struct slice value);
/* A name in quotes says `wanted`, which is plain ASCII. */
bool scan_says(struct slice name, struct slice wanted);

/* The value of four hexadecimal digits, or -1. */
int scan_hex4(const char *at);

enum { SURROGATE_FIRST = 0xd800, SURROGATE_LOW_FIRST = 0xdc00, SURROGATE_LAST = 0xdfff };
static inline bool scan_is_surrogate(int unit) {
  return unit >= SURROGATE_FIRST && unit <= SURROGATE_LAST;
}
static inline bool scan_is_high_surrogate(int unit) {
  return unit >= SURROGATE_FIRST && unit < SURROGATE_LOW_FIRST;
}

#endif
