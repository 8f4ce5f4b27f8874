/* Log entries: one allocation each, released with the last reference; and the texts of the core's error
 * codes. */
#include "raft/core.h"

#include <assert.h>
#include <stdlib.h>

const char *coracle_raft_strerror(int code) {
  switch (code) {
#define X(name, value, text)                                                                                 \
  case CORACLE_RAFT_##name:                                                                                  \
    return text;
    CORACLE_RAFT_ERRORS(X)
#undef X
  default:
    return code == 0 ? "success" : "unknown error";
  }
}

struct coracle_raft_entry *coracle_raft_entry_new(enum coracle_raft_entry_type type, size_t bytes) {
  assert(bytes <= CORACLE_RAFT_ENTRY_BYTES_MAX);
  struct coracle_raft_entry *entry = malloc(sizeof *entry + bytes);
  if (entry == NULL) return NULL;
  entry->index = 0;
  entry->term = 0;
  entry->references = 1;
  entry->bytes = (uint32_t)bytes;
  entry->type = (uint8_t)type;
  return entry;
}

struct coracle_raft_entry *coracle_raft_entry_ref(struct coracle_raft_entry *entry) {
  assert(entry->references > 0 && entry->references < UINT32_MAX);
  entry->references++;
  return entry;
}

void coracle_raft_entry_unref(struct coracle_raft_entry *entry) {
  assert(entry->references > 0);
  if (--entry->references == 0) free(entry);
}

bool raft_entry_is_valid(const struct coracle_raft_entry *entry) {
  struct coracle_raft_configuration configuration;
  switch ((enum coracle_raft_entry_type)entry->type) {
  case CORACLE_RAFT_NOOP:
  case CORACLE_RAFT_COMMAND:
    return true;
  case CORACLE_RAFT_CONFIGURATION:
    return coracle_raft_configuration_decode(entry->data, entry->bytes, &configuration) == 0;
  }
  return false;
}
