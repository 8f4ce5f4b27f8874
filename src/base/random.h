/* splitmix64: the pure rooms' only randomness, all of it from a seed, so that a run can be repeated.
 * For time-outs and ids in simulation; never for secrets. */
#ifndef CORACLE_BASE_RANDOM_H
#define CORACLE_BASE_RANDOM_H

#include <stdint.h>

struct random {
  uint64_t state; /* any value is a seed */
};

static inline uint64_t random_next(struct random *r) {
  uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

/* Uniform enough in [0, limit); limit > 0. */
static inline uint64_t random_below(struct random *r, uint64_t limit) {
  return random_next(r) % limit;
}

#endif
