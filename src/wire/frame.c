#include "wire/frame.h"

#include <assert.h>
#include <xxhash.h>

enum { TYPE_OFFSET = 4, CHECKSUM_OFFSET = 8 };

static uint64_t checksum(uint8_t type, const uint8_t *payload, size_t n) {
  return XXH3_64bits_withSeed(payload, n, type);
}

size_t frame_begin(struct bytes *out, enum frame_type type) {
  size_t frame_offset = out->n;
  put_u32(out, 0); /* length and checksum are known at the end */
  put_u8(out, (uint8_t)type);
  put_uint(out, 0, 3);
  put_u64(out, 0);
  return frame_offset;
}

void frame_end(struct bytes *out, size_t frame_offset) {
  assert(out->n >= frame_offset + FRAME_HEADER_BYTES);
  const uint8_t *frame = out->data + frame_offset;
  size_t n = out->n - frame_offset - FRAME_HEADER_BYTES;
  assert(n <= FRAME_BYTES_MAX);
  uint64_t sum = checksum(frame[TYPE_OFFSET], frame + FRAME_HEADER_BYTES, n);
  set_u32(out, frame_offset, (uint32_t)n);
  set_u32(out, frame_offset + CHECKSUM_OFFSET, (uint32_t)sum);
  set_u32(out, frame_offset + CHECKSUM_OFFSET + 4, (uint32_t)(sum >> 32));
}

static bool is_known(uint8_t type) {
  return type == FRAME_HELLO || type == FRAME_APPEND || type == FRAME_APPEND_REPLY;
}

int frame_next(const void *data, size_t n, size_t *consumed, size_t *needed, struct frame *frame) {
  struct reader r = reader_of(data, n);
  if (n < FRAME_HEADER_BYTES) {
    *needed = FRAME_HEADER_BYTES;
    return 0;
  }
  size_t payload_bytes = get_u32(&r);
  uint8_t type = get_u8(&r);
  uint64_t reserved = get_uint(&r, 3);
  uint64_t sum = get_u64(&r);
  if (payload_bytes > FRAME_BYTES_MAX) return CORACLE_ELIMIT;
  if (!is_known(type) || reserved != 0) return CORACLE_EMALFORMED;
  if (reader_left(&r) < payload_bytes) {
    *needed = FRAME_HEADER_BYTES + payload_bytes;
    return 0;
  }
  if (checksum(type, r.at, payload_bytes) != sum) return CORACLE_EMALFORMED;
  *frame = (struct frame){type, {(const char *)r.at, payload_bytes}};
  *consumed = FRAME_HEADER_BYTES + payload_bytes;
  return 1;
}
