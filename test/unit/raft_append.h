/* Appends of leaders that a test made up: each entry's content follows from its index and term, so that what
 * such leaders say fits together. */
#ifndef CORACLE_TEST_RAFT_APPEND_H
#define CORACLE_TEST_RAFT_APPEND_H

#include "raft_cluster.h"

#include <assert.h>

enum { MADE_UP_ENTRIES_MAX = 32 };

struct made_up_append {
  struct coracle_raft_message message;
  struct coracle_raft_entry *entries[MADE_UP_ENTRIES_MAX]; /* one reference each */
};

static inline struct coracle_raft_entry *made_up_entry(uint64_t index, uint64_t term) {
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 2);
  assert(entry != NULL);
  entry->index = index;
  entry->term = term;
  entry->data[0] = (uint8_t)index;
  entry->data[1] = (uint8_t)term;
  return entry;
}

/* Without entries; made_up_entries() adds them. message.append.entries points into *append. */
static inline void made_up_append(struct made_up_append *append, uint64_t from, uint64_t to, uint64_t term,
                                  uint64_t previous_index, uint64_t previous_term) {
  append->message = (struct coracle_raft_message){
      .type = CORACLE_RAFT_APPEND, .from = from, .to = to, .term = term, .round = 1};
  append->message.append.previous_index = previous_index;
  append->message.append.previous_term = previous_term;
  append->message.append.entries = append->entries;
}

static inline void made_up_entries(struct made_up_append *append, uint64_t term, size_t n) {
  for (; n > 0; n--) {
    size_t *entries_n = &append->message.append.entries_n;
    assert(*entries_n < MADE_UP_ENTRIES_MAX);
    append->entries[*entries_n] = made_up_entry(append->message.append.previous_index + 1 + *entries_n, term);
    ++*entries_n;
  }
}

static inline void made_up_close(struct made_up_append *append) {
  for (size_t i = 0; i < append->message.append.entries_n; i++) coracle_raft_entry_unref(append->entries[i]);
}

#endif
