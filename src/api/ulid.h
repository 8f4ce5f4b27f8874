/* ULIDs: 26 characters that sort by the time they were made. 48 bits of milliseconds since 1970, then 80
 * random bits, in Crockford's base 32.
 *
 * Each one is greater than the one before, within one millisecond and when the clock is set back too: then
 * the last one plus one is taken. */
#ifndef CORACLE_API_ULID_H
#define CORACLE_API_ULID_H

#include <stddef.h>
#include <stdint.h>

#include "base/random.h"

enum { ULID_CHARACTERS = 26, ULID_BYTES = 16 };

struct ulids {
  struct random random; /* of the 80 bits */
  uint64_t high;        /* the last one made: milliseconds and the first 16 random bits */
  uint64_t low;         /* and the other 64; both 0 before the first */
};

void ulids_init(struct ulids *, uint64_t seed);
/* Writes the next one, without a NUL. */
void ulids_next(struct ulids *, uint64_t wall_ms, char text[ULID_CHARACTERS]);

/* The 128 bits of one that ulids_next() wrote, big-endian, and back. */
void ulid_pack(const char text[ULID_CHARACTERS], uint8_t bytes[ULID_BYTES]);
void ulid_unpack(const uint8_t bytes[ULID_BYTES], char text[ULID_CHARACTERS]);

#endif
