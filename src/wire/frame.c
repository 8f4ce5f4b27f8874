#include "wire/frame.h"

#include <assert.h>

enum { LENGTH_BYTES = 4, TAG_OFFSET = 4, TYPE_OFFSET = 20 };

static const uint8_t no_tag[SEAL_TAG_BYTES];

size_t frame_begin(struct bytes *out, enum frame_type type) {
  size_t frame_offset = out->n;
  put_u32(out, 0); /* the length is known at the end */
  bytes_append(out, no_tag, sizeof no_tag);
  put_u8(out, (uint8_t)type);
  return frame_offset;
}

void frame_end(struct bytes *out, size_t frame_offset) {
  assert(out->n >= frame_offset + FRAME_HEADER_BYTES);
  size_t n = out->n - frame_offset - FRAME_HEADER_BYTES;
  assert(n <= FRAME_BYTES_MAX);
  set_u32(out, frame_offset, (uint32_t)n);
}

/* ---- The seal ---- */

/* Each direction has a key of its own, so the number of the frame is a nonce: 64 bits of it, the rest zero.
 */
static void next_nonce(struct seal_stream *seal, uint8_t nonce[SEAL_NONCE_BYTES]) {
  memset(nonce, 0, SEAL_NONCE_BYTES);
  for (size_t i = 0; i < 8; i++) nonce[i] = (uint8_t)(seal->frames >> (8 * i));
  seal->frames++;
}

void frames_seal(struct seal_stream *seal, struct bytes *out, size_t from) {
  uint8_t nonce[SEAL_NONCE_BYTES];
  for (size_t at = from; at < out->n;) {
    uint8_t *frame = out->data + at;
    struct reader r = reader_of(frame, out->n - at);
    const size_t payload_bytes = get_u32(&r);
    assert(reader_ok(&r) && payload_bytes <= out->n - at - FRAME_HEADER_BYTES);
    next_nonce(seal, nonce);
    seal_in_place(seal->key, nonce, frame, LENGTH_BYTES, frame + TYPE_OFFSET, 1 + payload_bytes,
                  frame + TAG_OFFSET);
    at += FRAME_HEADER_BYTES + payload_bytes;
  }
}

int frame_open(struct seal_stream *seal, uint8_t *data, size_t n, size_t *needed) {
  uint8_t nonce[SEAL_NONCE_BYTES];
  struct reader r = reader_of(data, n);
  *needed = FRAME_HEADER_BYTES;
  if (n < LENGTH_BYTES) return 0;
  const size_t payload_bytes = get_u32(&r);
  if (payload_bytes > FRAME_BYTES_MAX) return CORACLE_ELIMIT;
  *needed = FRAME_HEADER_BYTES + payload_bytes;
  if (n < *needed) return 0;
  next_nonce(seal, nonce);
  if (!seal_open_in_place(seal->key, nonce, data, LENGTH_BYTES, data + TYPE_OFFSET, 1 + payload_bytes,
                          data + TAG_OFFSET))
    return CORACLE_EMALFORMED;
  memset(data + TAG_OFFSET, 0, SEAL_TAG_BYTES);
  return 1;
}

/* ---- Plain frames ---- */

static bool is_known(uint8_t type) {
  return type >= FRAME_HELLO && type <= FRAME_STATE;
}

int frame_next(const void *data, size_t n, size_t *consumed, size_t *needed, struct frame *frame) {
  struct reader r = reader_of(data, n);
  if (n < FRAME_HEADER_BYTES) {
    *needed = FRAME_HEADER_BYTES;
    return 0;
  }
  size_t payload_bytes = get_u32(&r);
  const uint8_t *tag = get_raw(&r, SEAL_TAG_BYTES);
  uint8_t type = get_u8(&r);
  if (payload_bytes > FRAME_BYTES_MAX) return CORACLE_ELIMIT;
  if (!is_known(type) || memcmp(tag, no_tag, sizeof no_tag) != 0) return CORACLE_EMALFORMED;
  if (reader_left(&r) < payload_bytes) {
    *needed = FRAME_HEADER_BYTES + payload_bytes;
    return 0;
  }
  *frame = (struct frame){type, {(const char *)r.at, payload_bytes}};
  *consumed = FRAME_HEADER_BYTES + payload_bytes;
  return 1;
}
