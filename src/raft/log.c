#include "raft/log.h"

#include <assert.h>
#include <stdlib.h>

enum { CAPACITY_MIN = 64 };

void raft_log_init(struct raft_log *log) {
  *log = (struct raft_log){.first_index = 1};
}

void raft_log_close(struct raft_log *log) {
  raft_log_truncate(log, log->first_index);
  free(log->entries);
  free(log->bytes_through);
}

uint64_t raft_log_last_index(const struct raft_log *log) {
  return log->first_index + log->n - 1;
}

struct coracle_raft_entry *raft_log_at(const struct raft_log *log, uint64_t index) {
  if (index < log->first_index || index - log->first_index >= log->n) return NULL;
  return log->entries[index - log->first_index];
}

uint64_t raft_log_term(const struct raft_log *log, uint64_t index) {
  const struct coracle_raft_entry *entry = raft_log_at(log, index);
  return entry != NULL ? entry->term : 0;
}

uint64_t raft_log_last_term(const struct raft_log *log) {
  return raft_log_term(log, raft_log_last_index(log));
}

struct coracle_raft_entry **raft_log_slots(const struct raft_log *log, uint64_t index) {
  assert(index >= log->first_index && index - log->first_index <= log->n);
  return log->entries + (index - log->first_index);
}

static uint64_t bytes_through(const struct raft_log *log, uint64_t index) {
  if (index < log->first_index) return 0;
  assert(index - log->first_index < log->n);
  return log->bytes_through[index - log->first_index];
}

uint64_t raft_log_bytes_between(const struct raft_log *log, uint64_t index, uint64_t last) {
  assert(index <= last);
  return bytes_through(log, last) - bytes_through(log, index);
}

int raft_log_reserve(struct raft_log *log, size_t n) {
  if (log->capacity - log->n >= n && log->capacity > 0) return 0;
  size_t capacity = log->capacity < CAPACITY_MIN ? CAPACITY_MIN : log->capacity * 2;
  if (capacity < log->n + n) capacity = log->n + n;

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
  assert(log->n < log->capacity);
  assert(entry->index == log->first_index + log->n);
  log->bytes_through[log->n] = (log->n > 0 ? log->bytes_through[log->n - 1] : 0) + entry->bytes;
  log->entries[log->n++] = entry;
}

void raft_log_truncate(struct raft_log *log, uint64_t index) {
  while (log->n > 0 && raft_log_last_index(log) >= index) coracle_raft_entry_unref(log->entries[--log->n]);
}
