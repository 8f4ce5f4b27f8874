/* Frames as they stand in a segment: the ending rules of segment.h. Private to disk/. */
#ifndef CORACLE_DISK_FRAME_H
#define CORACLE_DISK_FRAME_H

#include "disk/segment.h"

enum frame_state {
  FRAME_GOOD,
  FRAME_NONE, /* all is zero from there on */
  FRAME_TORN,
  FRAME_DAMAGED,
};

struct frame {
  const uint8_t *records; /* GOOD; in place */
  size_t records_n;
  uint64_t checksum;   /* GOOD: of its header */
  uint64_t torn_bytes; /* TORN: those that it is known to reach over */
  const char *wrong;   /* DAMAGED: what is, a clause; static */
};

/* What stands at that offset of a segment of so many bytes. chain: what the frame's must be. */
enum frame_state frame_look(const uint8_t *segment, uint64_t segment_bytes, uint64_t seed, uint64_t chain,
                            uint64_t offset, struct frame *);

bool frame_is_zero(const uint8_t *data, size_t n);

#endif
