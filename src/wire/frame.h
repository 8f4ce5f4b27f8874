/* Frames of the replication stream: the bytes both sides speak after 101 Switching Protocols.
 *
 *   offset  bytes
 *   0       4      n: bytes of the payload, at most FRAME_BYTES_MAX
 *   4       1      enum frame_type
 *   5       3      zero
 *   8       8      XXH3-64 of the payload, seeded with the type
 *   16      n      payload
 *
 * Integers are little-endian. The first frame of a stream is a HELLO from the leader. */
#ifndef CORACLE_WIRE_FRAME_H
#define CORACLE_WIRE_FRAME_H

#include "base/codec.h"
#include "base/error.h"

enum { FRAME_HEADER_BYTES = 16, FRAME_BYTES_MAX = 8 * 1024 * 1024 };

enum frame_type {
  FRAME_HELLO = 1,        /* leader to follower, once, first */
  FRAME_APPEND = 2,       /* leader to follower */
  FRAME_APPEND_REPLY = 3, /* follower to leader */
};

struct frame {
  uint8_t type;         /* enum frame_type */
  struct slice payload; /* points into the bytes it was read from */
};

/* Opens a frame at the end of *out; append the payload, then close it with the offset that this returned. */
size_t frame_begin(struct bytes *out, enum frame_type type);
void frame_end(struct bytes *out, size_t frame_offset);

/* Looks for a whole frame at the front of data[0..n): 1, *frame and its whole length in *consumed; 0 when
 * more bytes are needed (*needed says how many there must be in all, from the same front); CORACLE_ELIMIT for
 * a length over FRAME_BYTES_MAX (told before any payload is waited for), CORACLE_EMALFORMED for an unknown
 * type, a bad checksum or a reserved byte that is not zero: close the stream. */
MUST_CHECK int frame_next(const void *data, size_t n, size_t *consumed, size_t *needed, struct frame *frame);

#endif
