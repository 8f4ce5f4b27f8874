/* The log in memory: entries from first_index on, and how many payload bytes precede each.
 *
 * Entries lie in one array, so that a run of them can be handed out as a pointer and a count; such a pointer
 * holds until the next raft_log_reserve() or raft_log_truncate(). */
#ifndef CORACLE_RAFT_LOG_H
#define CORACLE_RAFT_LOG_H

#include "coracle/raft.h"

struct raft_log {
  struct coracle_raft_entry **entries; /* [i] has index first_index + i; one reference each */
  uint64_t *bytes_through; /* [i]: payload bytes of entries up to and with [i], since first_index */
  uint64_t first_index;    /* of entries[0]; last_index + 1 when empty */
  size_t n;                /* entries held */
  size_t capacity;         /* entries there is room for */
};

void raft_log_init(struct raft_log *);
void raft_log_close(struct raft_log *);

uint64_t raft_log_last_index(const struct raft_log *);
uint64_t raft_log_last_term(const struct raft_log *); /* 0 for an empty log */
/* The term of the entry at index; 0 for index 0 and for one that is not there. */
uint64_t raft_log_term(const struct raft_log *, uint64_t index);
/* NULL when there is none. Borrowed. */
struct coracle_raft_entry *raft_log_at(const struct raft_log *, uint64_t index);
/* The array slot of an index within the log. */
struct coracle_raft_entry **raft_log_slots(const struct raft_log *, uint64_t index);
/* Payload bytes of the entries after `index` up to and with `last`; index <= last, both within the log or
 * before it. */
uint64_t raft_log_bytes_between(const struct raft_log *, uint64_t index, uint64_t last);

/* Room for n more entries: the only thing here that can fail (CORACLE_RAFT_ENOMEM), and then nothing has
 * changed. */
CORACLE_RAFT_MUST_CHECK int raft_log_reserve(struct raft_log *, size_t n);
/* Takes over one reference. There must be room, and the entry's index must be the next (asserted). */
void raft_log_append(struct raft_log *, struct coracle_raft_entry *);
/* Drops the entries from `index` on. */
void raft_log_truncate(struct raft_log *, uint64_t index);

#endif
