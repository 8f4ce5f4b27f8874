#include "api/ulid.h"

#include <string.h>

enum { ULID_TIME_BITS = 48, ULID_HIGH_RANDOM_BITS = 16 };

static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

void ulids_init(struct ulids *ulids, uint64_t seed) {
  *ulids = (struct ulids){.random = {seed}};
}

static void write_text(uint64_t high, uint64_t low, char text[ULID_CHARACTERS]) {
  for (size_t i = ULID_CHARACTERS; i-- > 0;) { /* 130 bits for 128: the first digit has two zeroes in front */
    text[i] = digits[low & 31];
    low = low >> 5 | high << 59;
    high >>= 5;
  }
}

void ulids_next(struct ulids *ulids, uint64_t wall_ms, char text[ULID_CHARACTERS]) {
  uint64_t time_ms = wall_ms & ((UINT64_C(1) << ULID_TIME_BITS) - 1);
  if (time_ms > ulids->high >> ULID_HIGH_RANDOM_BITS) {
    ulids->high = time_ms << ULID_HIGH_RANDOM_BITS | random_next(&ulids->random) >> ULID_TIME_BITS;
    ulids->low = random_next(&ulids->random);
  } else {
    ulids->low++;
    if (ulids->low == 0) ulids->high++; /* it may carry into the milliseconds, which keeps the order */
  }
  write_text(ulids->high, ulids->low, text);
}

void ulid_pack(const char text[ULID_CHARACTERS], uint8_t bytes[ULID_BYTES]) {
  uint64_t high = 0, low = 0;
  for (size_t i = 0; i < ULID_CHARACTERS; i++) {
    high = high << 5 | low >> 59;
    low = low << 5 | (uint64_t)(strchr(digits, text[i]) - digits);
  }
  for (size_t i = ULID_BYTES; i-- > 0;) {
    bytes[i] = (uint8_t)low;
    low = low >> 8 | high << 56;
    high >>= 8;
  }
}

void ulid_unpack(const uint8_t bytes[ULID_BYTES], char text[ULID_CHARACTERS]) {
  uint64_t high = 0, low = 0;
  for (size_t i = 0; i < ULID_BYTES; i++) {
    high = high << 8 | low >> 56;
    low = low << 8 | bytes[i];
  }
  write_text(high, low, text);
}
