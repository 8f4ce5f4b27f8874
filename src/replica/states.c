#include "replica/states.h"

static struct replica_state *place(struct replica_state *states, uint64_t index) {
  return &states[index / REPLICA_STATE_EVERY % STATES_KEPT];
}

static bool is_due(uint64_t index) {
  return index > 0 && index % REPLICA_STATE_EVERY == 0;
}

/* The first difference is the one to look into. */
static void compare(struct states *s, uint64_t index) {
  const struct replica_state *here = place(s->noted, index), *there = place(s->expected, index);
  if (here->index != index || there->index != index || s->differs_at != 0) return;
  if (state_hash_equal(here->hash, there->hash))
    s->agrees_at = index;
  else
    s->differs_at = index;
}

void states_note(struct states *s, uint64_t index, const struct store *store) {
  if (!is_due(index)) return;
  *place(s->noted, index) = (struct replica_state){index, store_state_hash(store)};
  s->newest = index;
  compare(s, index);
}

void states_expect(struct states *s, const struct replica_state *state) {
  if (!is_due(state->index) || place(s->expected, state->index)->index > state->index) return;
  *place(s->expected, state->index) = *state;
  compare(s, state->index);
}

bool states_after(const struct states *s, uint64_t index, struct replica_state *state) {
  const uint64_t kept = (uint64_t)REPLICA_STATE_EVERY * STATES_KEPT;
  uint64_t at = index / REPLICA_STATE_EVERY * REPLICA_STATE_EVERY + REPLICA_STATE_EVERY;
  if (s->newest >= kept && at <= s->newest - kept) at = s->newest - kept + REPLICA_STATE_EVERY;
  for (; at <= s->newest; at += REPLICA_STATE_EVERY) {
    *state = s->noted[at / REPLICA_STATE_EVERY % STATES_KEPT];
    if (state->index == at) return true; /* an image that was installed leaves some out */
  }
  return false;
}
