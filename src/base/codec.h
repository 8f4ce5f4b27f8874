/* Little-endian integers to bytes and back, nothing read past the end.
 *
 * A reader carries its own failure: after the first read past the end every read yields zero and reader_ok()
 * is false, so a decoder reads all its fields and asks once. */
#ifndef CORACLE_BASE_CODEC_H
#define CORACLE_BASE_CODEC_H

#include "base/bytes.h"

/* To where there is room for it; returns what is behind it. */
static inline uint8_t *write_uint(uint8_t *at, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++) *at++ = (uint8_t)(value >> (8 * i));
  return at;
}

static inline void put_uint(struct bytes *b, uint64_t value, size_t width) {
  write_uint(bytes_reserve(b, width), value, width);
  b->n += width;
}

static inline void put_u8(struct bytes *b, uint8_t value) {
  put_uint(b, value, 1);
}
static inline void put_u16(struct bytes *b, uint16_t value) {
  put_uint(b, value, 2);
}
static inline void put_u32(struct bytes *b, uint32_t value) {
  put_uint(b, value, 4);
}
static inline void put_u64(struct bytes *b, uint64_t value) {
  put_uint(b, value, 8);
}

/* Overwrites a u32 written earlier at `offset`: a length that is known only at the end. */
static inline void set_u32(struct bytes *b, size_t offset, uint32_t value) {
  for (size_t i = 0; i < 4; i++) b->data[offset + i] = (uint8_t)(value >> (8 * i));
}

struct reader {
  const uint8_t *at;  /* next byte */
  const uint8_t *end; /* one past the last */
  bool failed;        /* something was read past the end */
};

static inline struct reader reader_of(const void *data, size_t n) {
  const uint8_t *at = data != NULL ? (const uint8_t *)data : (const uint8_t *)""; /* no arithmetic on NULL */
  return (struct reader){at, at + (data != NULL ? n : 0), false};
}

static inline size_t reader_left(const struct reader *r) {
  return (size_t)(r->end - r->at);
}

/* The next n bytes in place, or NULL when fewer are left. */
static inline const uint8_t *get_raw(struct reader *r, size_t n) {
  if (r->failed || reader_left(r) < n) {
    r->failed = true;
    return NULL;
  }
  const uint8_t *at = r->at;
  r->at += n;
  return at;
}

static inline uint64_t get_uint(struct reader *r, size_t width) {
  const uint8_t *at = get_raw(r, width);
  uint64_t value = 0;
  if (at == NULL) return 0;
  for (size_t i = 0; i < width; i++) value |= (uint64_t)at[i] << (8 * i);
  return value;
}

static inline uint8_t get_u8(struct reader *r) {
  return (uint8_t)get_uint(r, 1);
}
static inline uint16_t get_u16(struct reader *r) {
  return (uint16_t)get_uint(r, 2);
}
static inline uint32_t get_u32(struct reader *r) {
  return (uint32_t)get_uint(r, 4);
}
static inline uint64_t get_u64(struct reader *r) {
  return get_uint(r, 8);
}

/* A byte string behind a length of one byte. In place. */
static inline struct slice get_string8(struct reader *r) {
  size_t n = get_u8(r);
  const uint8_t *at = get_raw(r, n);
  return at ? (struct slice){(const char *)at, n} : (struct slice){NULL, 0};
}

/* Everything asked for was there, and nothing is left over. */
static inline bool reader_done(const struct reader *r) {
  return !r->failed && r->at == r->end;
}
static inline bool reader_ok(const struct reader *r) {
  return !r->failed;
}

#endif
