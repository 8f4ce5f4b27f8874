#include "world_ledger.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

static struct ledger_slot *slot_of(const struct ledger *ledger, uint64_t key) {
  size_t at = (size_t)(key * 0x9e3779b97f4a7c15u >> 32) & (ledger->capacity - 1);
  while (ledger->slots[at].key != 0 && ledger->slots[at].key != key) at = (at + 1) & (ledger->capacity - 1);
  return &ledger->slots[at];
}

static void grow(struct ledger *ledger) {
  struct ledger larger = {.n = ledger->n, .capacity = ledger->capacity > 0 ? 2 * ledger->capacity : 256};
  larger.slots = memory_zalloc(larger.capacity * sizeof larger.slots[0]);
  for (size_t i = 0; i < ledger->capacity; i++)
    if (ledger->slots[i].key != 0) *slot_of(&larger, ledger->slots[i].key) = ledger->slots[i];
  free(ledger->slots);
  *ledger = larger;
}

uint64_t *ledger_get(const struct ledger *ledger, uint64_t key) {
  if (ledger->n == 0) return NULL;
  struct ledger_slot *slot = slot_of(ledger, key);
  return slot->key != 0 ? &slot->value : NULL;
}

uint64_t *ledger_put(struct ledger *ledger, uint64_t key) {
  assert(key != 0);
  if (ledger->n >= ledger->capacity / 2) grow(ledger);
  struct ledger_slot *slot = slot_of(ledger, key);
  if (slot->key == 0) {
    slot->key = key;
    ledger->n++;
  }
  return &slot->value;
}

void ledger_close(struct ledger *ledger) {
  free(ledger->slots);
  *ledger = (struct ledger){0};
}
