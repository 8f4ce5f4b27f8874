#include "api/ulid.h"

enum { ULID_TIME_BITS = 48, ULID_HIGH_RANDOM_BITS = 16 };

void ulids_init(struct ulids *ulids, uint64_t seed) {
  *ulids = (struct ulids){.random = {seed}};
}

void ulids_next(struct ulids *ulids, uint64_t wall_ms, char text[ULID_CHARACTERS]) {
  static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
  uint64_t time_ms = wall_ms & ((UINT64_C(1) << ULID_TIME_BITS) - 1);
  if (time_ms > ulids->high >> ULID_HIGH_RANDOM_BITS) {
    ulids->high = time_ms << ULID_HIGH_RANDOM_BITS | random_next(&ulids->random) >> ULID_TIME_BITS;
    ulids->low = random_next(&ulids->random);
  } else {
    ulids->low++;
    if (ulids->low == 0) ulids->high++; /* it may carry into the milliseconds, which keeps the order */
  }
  uint64_t high = ulids->high, low = ulids->low;
  for (size_t i = ULID_CHARACTERS; i-- > 0;) { /* 130 bits for 128: the first digit has two zeroes in front */
    text[i] = digits[low & 31];
    low = low >> 5 | high << 59;
    high >>= 5;
  }
}
