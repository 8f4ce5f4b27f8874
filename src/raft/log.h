/* The log in memory: entries from first_index on, and how many payload bytes precede each.
 *
 * Entries lie in one array, so that a run of them can be handed out as a pointer and a count; such a pointer
 * holds until the next raft_log_reserve() or raft_log_truncate().
 *
 * Dropping entries from the front takes no time, however many they are: they are out of the log at once, and
 * are released a few at a time whenever there is room to be made for others. */
#ifndef CORACLE_RAFT_LOG_H
#define CORACLE_RAFT_LOG_H

#include "coracle/raft.h"

struct raft_log {
  /* [swept] to [begin - 1] are out of the log and wait to be released, [begin + i] has index first_index + i;
   * one reference each. */
  struct coracle_raft_entry **entries;
  uint64_t *bytes_through; /* [i]: payload bytes of all entries there ever were, up to and with [i] */
  uint64_t bytes_before;   /* of all before first_index */
  size_t swept, begin;     /* swept <= begin */
  uint64_t first_index;    /* of entries[begin]; last_index + 1 when empty */
  uint64_t before_term;    /* of the entry before first_index; 0: there is none, or it is not known */
  size_t n;                /* entries held */
  size_t capacity;         /* entries there is room for */
};

void raft_log_init(struct raft_log *);
void raft_log_close(struct raft_log *);

uint64_t raft_log_last_index(const struct raft_log *);
uint64_t raft_log_last_term(const struct raft_log *); /* 0 for an empty log with nothing before it */
/* The term of the entry at index; 0 for index 0 and for one that is not known. Of the entry before the first
 * the term may be known, where a snapshot ends there. */
uint64_t raft_log_term(const struct raft_log *, uint64_t index);
/* NULL when there is none. Borrowed. */
struct coracle_raft_entry *raft_log_at(const struct raft_log *, uint64_t index);
/* The array slot of an index within the log. */
struct coracle_raft_entry **raft_log_slots(const struct raft_log *, uint64_t index);
/* Payload bytes of the entries after `index` up to and with `last`; index <= last, both within the log or
 * before it. */
uint64_t raft_log_bytes_between(const struct raft_log *, uint64_t index, uint64_t last);

/* Payload bytes of all entries in the log. */
uint64_t raft_log_bytes(const struct raft_log *);
/* The first of the entries up to and with `index` that together have at most so many payload bytes; index + 1
 * when it alone has more. The log must hold `index`. */
uint64_t raft_log_first_within(const struct raft_log *, uint64_t index, uint64_t bytes);

/* Drops the entries up to and with `index`, which is in the log or the one before it. */
void raft_log_compact(struct raft_log *, uint64_t index);
/* Drops all entries; the log will go on after that one; term 0: not known. */
void raft_log_begin_after(struct raft_log *, uint64_t index, uint64_t term);
/* Room for n more entries: the only thing here that can fail (CORACLE_RAFT_ENOMEM), and then nothing has
 * changed. */
CORACLE_RAFT_MUST_CHECK int raft_log_reserve(struct raft_log *, size_t n);
/* Takes over one reference. There must be room, and the entry's index must be the next (asserted). */
void raft_log_append(struct raft_log *, struct coracle_raft_entry *);
/* Drops the entries from `index` on. */
void raft_log_truncate(struct raft_log *, uint64_t index);

#endif
