/* A ledger from 64-bit keys (hashes: a collision would be a miracle) to 64-bit values. */
#ifndef CORACLE_SIM_WORLD_LEDGER_H
#define CORACLE_SIM_WORLD_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct ledger_slot {
  uint64_t key, value; /* key 0: free */
};

/* All zero is an empty one. */
struct ledger {
  struct ledger_slot *slots;
  size_t n, capacity; /* capacity: a power of two, or 0 */
};

/* The value under that key (not 0), or NULL. Until the next ledger_put(). */
uint64_t *ledger_get(const struct ledger *, uint64_t key);
/* The same; a new one is 0. */
uint64_t *ledger_put(struct ledger *, uint64_t key);
void ledger_close(struct ledger *);

#endif
