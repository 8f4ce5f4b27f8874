#include "base/bytes.h"

#include "base/memory.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void bytes_close(struct bytes *b) {
  free(b->data);
  *b = (struct bytes){0};
}

uint8_t *bytes_reserve(struct bytes *b, size_t more) {
  assert(more <= SIZE_MAX / 4 && b->n <= SIZE_MAX / 4);
  if (b->capacity - b->n < more || b->capacity == 0) {
    size_t capacity = b->capacity < CAPACITY_MIN ? CAPACITY_MIN : b->capacity * 2;
    if (capacity < b->n + more) capacity = b->n + more;
    b->data = memory_realloc(b->data, capacity);
    b->capacity = capacity;
  }
  return b->data + b->n;
}

void bytes_append(struct bytes *b, const void *data, size_t n) {
  if (n == 0) return;
  memcpy(bytes_reserve(b, n), data, n);
  b->n += n;
}

void bytes_append_string(struct bytes *b, const char *s) {
  bytes_append(b, s, strlen(s));
}

void bytes_append_slice(struct bytes *b, struct slice s) {
  bytes_append(b, s.at, s.n);
}

void bytes_printf(struct bytes *b, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int n = vsnprintf(NULL, 0, format, args);
  va_end(args);
  assert(n >= 0);
  bytes_reserve(b, (size_t)n + 1);
  va_start(args, format);
  vsnprintf((char *)b->data + b->n, (size_t)n + 1, format, args);
  va_end(args);
  b->n += (size_t)n;
}

void bytes_append_u64(struct bytes *b, uint64_t value) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + value % 10);
    value /= 10;
  } while (value > 0);
  bytes_append(b, digits + at, sizeof digits - at);
}

void bytes_consume(struct bytes *b, size_t n) {
  assert(n <= b->n);
  if (n == 0) return;
  b->n -= n;
  memmove(b->data, b->data + n, b->n);
}

int slice_compare(struct slice a, struct slice b) {
  size_t n = a.n < b.n ? a.n : b.n;
  int order = n > 0 ? memcmp(a.at, b.at, n) : 0;
  if (order != 0) return order;
  return a.n < b.n ? -1 : a.n > b.n;
}

static char lower(char c) {
  return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool slice_equal_caseless(struct slice a, struct slice b) {
  if (a.n != b.n) return false;
  for (size_t i = 0; i < a.n; i++)
    if (lower(a.at[i]) != lower(b.at[i])) return false;
  return true;
}

bool slice_is_caseless(struct slice a, const char *s) {
  return slice_equal_caseless(a, slice_of(s));
}

bool slice_to_u64(struct slice s, uint64_t *value) {
  uint64_t v = 0;
  if (s.n == 0 || s.n > 20) return false;
  for (size_t i = 0; i < s.n; i++) {
    if (s.at[i] < '0' || s.at[i] > '9') return false;
    uint64_t digit = (uint64_t)(s.at[i] - '0');
    if (v > (UINT64_MAX - digit) / 10) return false;
    v = v * 10 + digit;
  }
  *value = v;
  return true;
}
