/* Frames of the replication stream: the bytes both sides speak after 101 Switching Protocols.
 *
 *   offset  bytes
 *   0       4      n: bytes of the payload, at most FRAME_BYTES_MAX
 *   4       16     tag, over the four bytes before it and all that follow; zero while the frame is plain
 *   20             from here on encrypted:
 *   20      1      enum frame_type
 *   21      n      payload
 *
 * Integers are little-endian. Before their first frame each side sends SEAL_RANDOM_BYTES as they are, from
 * which both derive the stream's keys (wire/seal.h): first the leader, then, in answer, the follower. The
 * first frame of either side is its HELLO: that it opens proves that its sender has the secret and has read
 * the other's random number. The follower's comes first, so that the leader sends nothing else before.
 *
 * Frames are made plain, one after the other in a buffer, and sealed where they stand when they leave, for
 * the order of leaving is what they are sealed in. Whoever receives opens one in place, then reads it. */
#ifndef CORACLE_WIRE_FRAME_H
#define CORACLE_WIRE_FRAME_H

#include "base/codec.h"
#include "base/error.h"
#include "wire/seal.h"

enum { FRAME_HEADER_BYTES = 21, FRAME_BYTES_MAX = 8 * 1024 * 1024 };

enum frame_type {
  FRAME_HELLO = 1,          /* either way, once, first */
  FRAME_APPEND = 2,         /* leader to follower */
  FRAME_APPEND_REPLY = 3,   /* follower to leader */
  FRAME_READ_REQUEST = 4,   /* follower to leader */
  FRAME_READ_REPLY = 5,     /* leader to follower */
  FRAME_TIMEOUT_NOW = 6,    /* leader to follower */
  FRAME_SNAPSHOT = 7,       /* leader to follower */
  FRAME_SNAPSHOT_REPLY = 8, /* follower to leader */
  FRAME_STORAGE = 9,        /* follower to leader */
  FRAME_STATE = 10,         /* leader to follower */
};

struct frame {
  uint8_t type;         /* enum frame_type */
  struct slice payload; /* points into the bytes it was read from */
};

/* Begins a plain frame at the end of *out; append the payload, then end it with the offset that this
 * returned. */
size_t frame_begin(struct bytes *out, enum frame_type type);
void frame_end(struct bytes *out, size_t frame_offset);

/* Seals the plain frames that out->data[from..n) consists of, as the next of that direction. */
void frames_seal(struct seal_stream *, struct bytes *out, size_t from);

/* Opens the sealed frame at the front of data[0..n) where it stands, as the next of that direction: 1, and it
 * is a plain one; 0 when more bytes are needed (*needed says how many there must be in all, from the same
 * front); CORACLE_ELIMIT for a length over FRAME_BYTES_MAX (told before any payload is waited for),
 * CORACLE_EMALFORMED for a seal that is not right: close the stream. */
MUST_CHECK int frame_open(struct seal_stream *, uint8_t *data, size_t n, size_t *needed);

/* Looks for a whole plain frame at the front of data[0..n): 1, *frame and its whole length in *consumed; 0
 * and *needed, or CORACLE_ELIMIT, as above; CORACLE_EMALFORMED for an unknown type or a tag that is not
 * zero. */
MUST_CHECK int frame_next(const void *data, size_t n, size_t *consumed, size_t *needed, struct frame *frame);

#endif
