#include "wire/replay.h"

bool replay_window_take(struct replay_window *window, uint64_t start, uint64_t counter) {
  const bool is_empty = window->seen == 0;
  if (is_empty || start > window->start) {
    *window = (struct replay_window){.start = start, .counter = counter, .seen = 1};
    return true;
  }
  if (start < window->start) return false;
  if (counter > window->counter) {
    const uint64_t ahead = counter - window->counter;
    window->seen = ahead < REPLAY_WINDOW ? window->seen << ahead | 1 : 1;
    window->counter = counter;
    return true;
  }
  const uint64_t behind = window->counter - counter;
  if (behind >= REPLAY_WINDOW || (window->seen >> behind & 1) != 0) return false;
  window->seen |= UINT64_C(1) << behind;
  return true;
}
