/* A growable byte buffer, and a view of bytes owned by somebody else.
 *
 * `struct bytes` all zero is an empty buffer; bytes_close() releases it and makes it empty again. Growing
 * ends the process when memory runs out (base/memory.h), so appending cannot fail. */
#ifndef CORACLE_BASE_BYTES_H
#define CORACLE_BASE_BYTES_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct bytes {
  uint8_t *data;   /* owned; NULL while capacity is 0 */
  size_t n;        /* bytes in use, n <= capacity */
  size_t capacity; /* bytes allocated */
};

/* Bytes that live elsewhere; not NUL-terminated. */
struct slice {
  const char *at; /* not owned; may be NULL when n is 0 */
  size_t n;       /* bytes */
};

void bytes_close(struct bytes *);
/* Makes room for `more` further bytes and returns where they go; they count once bytes.n is raised. */
uint8_t *bytes_reserve(struct bytes *, size_t more);
void bytes_append(struct bytes *, const void *data, size_t n);
void bytes_append_string(struct bytes *, const char *s);
void bytes_append_slice(struct bytes *, struct slice);
__attribute__((format(printf, 2, 3))) void bytes_printf(struct bytes *, const char *format, ...);
/* Appends `n` in decimal; what bytes_printf("%" PRIu64) does, without parsing a format. */
void bytes_append_u64(struct bytes *, uint64_t n);
/* Drops the first n bytes (n <= bytes.n) by moving the rest down. */
void bytes_consume(struct bytes *, size_t n);

static inline struct slice slice_of(const char *s) {
  return (struct slice){s, strlen(s)};
}

static inline struct slice slice_of_bytes(const struct bytes *b) {
  return (struct slice){(const char *)b->data, b->n};
}

static inline bool slice_equal(struct slice a, struct slice b) {
  return a.n == b.n && (a.n == 0 || memcmp(a.at, b.at, a.n) == 0);
}

static inline bool slice_is(struct slice a, const char *s) {
  return slice_equal(a, slice_of(s));
}

/* Byte order of unsigned bytes, shorter first when one is a prefix of the other: <0, 0, >0. */
int slice_compare(struct slice a, struct slice b);
/* ASCII case-insensitive equality. */
bool slice_equal_caseless(struct slice a, struct slice b);
bool slice_is_caseless(struct slice a, const char *s);
/* Parses a decimal of digits only (no sign, no space, 1 to 20 digits, no overflow). */
bool slice_to_u64(struct slice, uint64_t *value);

#endif
