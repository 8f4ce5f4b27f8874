/* Bytes written out in hex, and copies in memory of exactly their size, for tests of layouts.
 *
 * A copy of exactly n bytes lets the address sanitizer see a decoder that reads past the end. */
#ifndef CORACLE_TEST_GOLDEN_H
#define CORACLE_TEST_GOLDEN_H

#include "base/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Fails unless the n bytes at data are those in hex, in which blanks are for the reader. Shows both if not.
 */
static inline void assert_golden(const void *data, size_t n, const char *hex) {
  const uint8_t *bytes = data;
  struct bytes expected = {0};
  struct bytes actual = {0};
  for (; *hex != '\0'; hex++)
    if (*hex != ' ') bytes_append(&expected, hex, 1);
  for (size_t i = 0; i < n; i++) bytes_printf(&actual, "%02x", bytes[i]);
  bytes_append(&expected, "", 1);
  bytes_append(&actual, "", 1);
  assert_string_equal((const char *)actual.data, (const char *)expected.data);
  bytes_close(&expected);
  bytes_close(&actual);
}

/* The first n bytes of data in memory of their own; to be released with free(). */
static inline uint8_t *exact_copy(const void *data, size_t n) {
  uint8_t *copy = malloc(n);
  assert_true(copy != NULL || n == 0);
  if (n > 0) memcpy(copy, data, n);
  return copy;
}

#endif
