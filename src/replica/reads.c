#include "replica/reads.h"

#include <assert.h>

enum { RETRY_MS = 10 }; /* until a leader is known again */

static struct replica_read *read_of(struct list_link *link) {
  return CONTAINER_OF(link, struct replica_read, link);
}

void reads_init(struct reads *reads) {
  *reads = (struct reads){.deadline_min_ms = UINT64_MAX};
  list_init(&reads->unasked);
  list_init(&reads->asked);
  list_init(&reads->index.list);
  list_init(&reads->revision.list);
  list_init(&reads->done);
  reads->index.index_min = reads->revision.index_min = UINT64_MAX;
}

/* ---- From one list to the next ---- */

static void finish(struct reads *reads, struct replica_read *read, enum replica_verdict verdict) {
  if (list_is_linked(&read->link)) list_remove(&read->link);
  read->verdict = verdict;
  read->is_done = true;
  reads->waiting--;
  list_append(&reads->done, &read->link);
}

static void wait_until(struct reads_until *until, struct replica_read *read, uint64_t index) {
  read->index = index;
  if (index < until->index_min) until->index_min = index;
  list_append(&until->list, &read->link);
}

/* Nothing but its min_revision may still be missing. */
static void wait_for_revision(struct reads *reads, struct replica_read *read, uint64_t applied) {
  if (read->min_revision <= applied)
    finish(reads, read, REPLICA_READABLE);
  else
    wait_until(&reads->revision, read, read->min_revision);
}

void reads_add(struct reads *reads, struct replica_read *read, uint64_t applied) {
  assert(!list_is_linked(&read->link) && !read->is_done);
  reads->waiting++;
  if (reads->waiting > REPLICA_READS_MAX) {
    finish(reads, read, REPLICA_BUSY);
    return;
  }
  if (read->deadline_ms < reads->deadline_min_ms) reads->deadline_min_ms = read->deadline_ms;
  if (read->linearizable)
    list_append(&reads->unasked, &read->link);
  else
    wait_for_revision(reads, read, applied);
}

void reads_remove(struct reads *reads, struct replica_read *read) {
  assert(list_is_linked(&read->link));
  list_remove(&read->link);
  if (!read->is_done) reads->waiting--;
}

/* ---- The index ---- */

bool reads_are_due(const struct reads *reads, uint64_t now_ms) {
  return !list_is_empty(&reads->unasked) && now_ms >= reads->retry_ms;
}

void reads_asked(struct reads *reads, uint64_t number) {
  assert(number == reads->number + 1);
  reads->number = number;
  for (struct list_link *link; (link = list_first(&reads->unasked)) != NULL;) {
    list_remove(link);
    read_of(link)->number = number;
    list_append(&reads->asked, link);
  }
}

void reads_refused(struct reads *reads, uint64_t now_ms) {
  reads->retry_ms = now_ms + RETRY_MS;
}

void reads_outcome(struct reads *reads, const struct coracle_raft_read *outcome, uint64_t applied) {
  struct list_link *next;
  for (struct list_link *at = list_first(&reads->asked); at != NULL; at = next) {
    struct replica_read *read = read_of(at);
    next = list_next(&reads->asked, at);
    if (read->number > outcome->read) break;
    if (read->number < outcome->read) continue;
    list_remove(at);
    if (outcome->failed)
      list_append(&reads->unasked, at);
    else if (outcome->index > applied)
      wait_until(&reads->index, read, outcome->index);
    else
      wait_for_revision(reads, read, applied);
  }
}

/* ---- What is applied ---- */

/* Takes those out of the list that wait no longer. */
static void until_applied(struct reads *reads, struct reads_until *until, uint64_t applied) {
  struct list_link *next;
  if (applied < until->index_min) return;
  until->index_min = UINT64_MAX;
  for (struct list_link *at = list_first(&until->list); at != NULL; at = next) {
    struct replica_read *read = read_of(at);
    next = list_next(&until->list, at);
    if (read->index <= applied) {
      list_remove(at);
      wait_for_revision(reads, read, applied);
    } else if (read->index < until->index_min) {
      until->index_min = read->index;
    }
  }
}

void reads_applied(struct reads *reads, uint64_t applied) {
  until_applied(reads, &reads->index, applied);
  until_applied(reads, &reads->revision, applied);
}

/* ---- The end ---- */

static void expire(struct reads *reads, struct list *list, uint64_t now_ms) {
  struct list_link *next;
  for (struct list_link *at = list_first(list); at != NULL; at = next) {
    struct replica_read *read = read_of(at);
    next = list_next(list, at);
    if (read->deadline_ms < now_ms)
      finish(reads, read, REPLICA_TOO_LATE);
    else if (read->deadline_ms < reads->deadline_min_ms)
      reads->deadline_min_ms = read->deadline_ms;
  }
}

void reads_expire(struct reads *reads, uint64_t now_ms) {
  if (now_ms <= reads->deadline_min_ms) return;
  reads->deadline_min_ms = UINT64_MAX;
  expire(reads, &reads->unasked, now_ms);
  expire(reads, &reads->asked, now_ms);
  expire(reads, &reads->index.list, now_ms);
  expire(reads, &reads->revision.list, now_ms);
}

static void abandon(struct reads *reads, struct list *list) {
  for (struct list_link *link; (link = list_first(list)) != NULL;)
    finish(reads, read_of(link), REPLICA_NOT_LEADER);
}

void reads_abandon(struct reads *reads) {
  abandon(reads, &reads->unasked);
  abandon(reads, &reads->asked);
  abandon(reads, &reads->index.list);
  abandon(reads, &reads->revision.list);
  assert(reads->waiting == 0);
}

uint64_t reads_wakeup_ms(const struct reads *reads) {
  if (reads->waiting == 0) return UINT64_MAX;
  uint64_t at_ms = reads->deadline_min_ms < UINT64_MAX ? reads->deadline_min_ms + 1 : UINT64_MAX;
  if (!list_is_empty(&reads->unasked) && reads->retry_ms < at_ms) at_ms = reads->retry_ms;
  return at_ms;
}

struct replica_read *reads_take(struct reads *reads) {
  struct list_link *link = list_first(&reads->done);
  if (link == NULL) return NULL;
  list_remove(link);
  return read_of(link);
}
