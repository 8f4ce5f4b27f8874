#include "raft/log.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 64, RELEASED_MIN = 1024 };

/* Some of what was dropped from the front. */
static void release(struct raft_log *log, size_t n) {
  for (; n > 0 && log->swept < log->begin; n--) coracle_raft_entry_unref(log->entries[log->swept++]);
}

void raft_log_init(struct raft_log *log) {
  *log = (struct raft_log){.first_index = 1};
}

void raft_log_close(struct raft_log *log) {
  raft_log_truncate(log, log->first_index);
  release(log, log->begin);
  free(log->entries);
  free(log->bytes_through);
}

uint64_t raft_log_last_index(const struct raft_log *log) {
  return log->first_index + log->n - 1;
}

struct coracle_raft_entry *raft_log_at(const struct raft_log *log, uint64_t index) {
  if (index < log->first_index || index - log->first_index >= log->n) return NULL;
  return log->entries[log->begin + (index - log->first_index)];
}

uint64_t raft_log_term(const struct raft_log *log, uint64_t index) {
  const struct coracle_raft_entry *entry = raft_log_at(log, index);
  if (entry != NULL) return entry->term;
  return index + 1 == log->first_index ? log->before_term : 0;
}

uint64_t raft_log_last_term(const struct raft_log *log) {
  return raft_log_term(log, raft_log_last_index(log));
}

struct coracle_raft_entry **raft_log_slots(const struct raft_log *log, uint64_t index) {
  assert(index >= log->first_index && index - log->first_index <= log->n);
  return log->entries + log->begin + (index - log->first_index);
}

static uint64_t bytes_through(const struct raft_log *log, uint64_t index) {
  if (index < log->first_index) return log->bytes_before;
  assert(index - log->first_index < log->n);
  return log->bytes_through[log->begin + (index - log->first_index)];
}

uint64_t raft_log_bytes_between(const struct raft_log *log, uint64_t index, uint64_t last) {
  assert(index <= last);
  return bytes_through(log, last) - bytes_through(log, index);
}

uint64_t raft_log_bytes(const struct raft_log *log) {
  return bytes_through(log, raft_log_last_index(log)) - log->bytes_before;
}

uint64_t raft_log_first_within(const struct raft_log *log, uint64_t index, uint64_t bytes) {
  uint64_t low = log->first_index, high = index + 1; /* the answer is one of them, or between */
  assert(raft_log_at(log, index) != NULL);
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    if (raft_log_bytes_between(log, middle - 1, index) <= bytes)
      high = middle;
    else
      low = middle + 1;
  }
  return low;
}

void raft_log_compact(struct raft_log *log, uint64_t index) {
  assert(index + 1 >= log->first_index && index <= raft_log_last_index(log));
  const size_t dropped = (size_t)(index + 1 - log->first_index);
  log->before_term = raft_log_term(log, index);
  log->bytes_before = bytes_through(log, index);
  log->first_index = index + 1;
  log->begin += dropped;
  log->n -= dropped;
}

void raft_log_begin_after(struct raft_log *log, uint64_t index, uint64_t term) {
  raft_log_compact(log, raft_log_last_index(log));
  log->first_index = index + 1;
  log->before_term = term;
}

/* Only where at least half of the array is free at its front: then each entry is moved once at most for one
 * that was dropped. */
static void move_to_front(struct raft_log *log) {
  const size_t used = log->begin + log->n - log->swept;
  if (log->swept < used || log->swept == 0) return;
  memmove(log->entries, log->entries + log->swept, used * sizeof(struct coracle_raft_entry *));
  memmove(log->bytes_through, log->bytes_through + log->swept, used * sizeof *log->bytes_through);
  log->begin -= log->swept;
  log->swept = 0;
}

int raft_log_reserve(struct raft_log *log, size_t n) {
  release(log, RELEASED_MIN + 2 * n); /* faster than new ones come */
  if (log->capacity - (log->begin + log->n) < n) move_to_front(log);
  const size_t used = log->begin + log->n;
  if (log->capacity - used >= n && log->capacity > 0) return 0;
  size_t capacity = log->capacity < CAPACITY_MIN ? CAPACITY_MIN : log->capacity * 2;
  if (capacity < used + n) capacity = used + n;

  struct coracle_raft_entry **entries = realloc(log->entries, capacity * sizeof(struct coracle_raft_entry *));
  if (entries == NULL) return CORACLE_RAFT_ENOMEM;
  log->entries = entries;
  uint64_t *bytes = realloc(log->bytes_through, capacity * sizeof *bytes);
  if (bytes == NULL) return CORACLE_RAFT_ENOMEM;
  log->bytes_through = bytes;
  log->capacity = capacity;
  return 0;
}

void raft_log_append(struct raft_log *log, struct coracle_raft_entry *entry) {
  const size_t at = log->begin + log->n;
  assert(at < log->capacity);
  assert(entry->index == log->first_index + log->n);
  log->bytes_through[at] = (log->n > 0 ? log->bytes_through[at - 1] : log->bytes_before) + entry->bytes;
  log->entries[at] = entry;
  log->n++;
}

void raft_log_truncate(struct raft_log *log, uint64_t index) {
  while (log->n > 0 && raft_log_last_index(log) >= index)
    coracle_raft_entry_unref(log->entries[log->begin + --log->n]);
}
