/* Where nodes were last heard, or where the log has since put them. Bounded: the one silent for longest makes
 * room. A replayed datagram moves nobody: only a newer (start, counter) does. */
#include "join/core.h"

static struct book_entry *find(struct join *j, uint64_t id) {
  struct book_entry *oldest = &j->book[0];
  for (size_t i = 0; i < BOOK_MAX; i++) {
    if (j->book[i].id == id) return &j->book[i];
    if (j->book[i].heard_ms < oldest->heard_ms) oldest = &j->book[i];
  }
  *oldest = (struct book_entry){.id = id};
  return oldest;
}

static void move(struct join *j, uint64_t id, const struct address *to) {
  for (size_t i = 0; i < BOOK_MAX; i++)
    if (j->book[i].id == id) j->book[i].source = *to;
}

void join_heard(struct join *j, uint64_t id, const struct address *source, uint64_t start, uint64_t counter,
                bool raft, uint64_t now_ms) {
  struct book_entry *entry = find(j, id);
  if (now_ms > j->now_ms) j->now_ms = now_ms;
  if (start < entry->start || (start == entry->start && counter <= entry->counter)) return;
  entry->source = *source;
  entry->start = start;
  entry->counter = counter;
  entry->heard_ms = now_ms;
  if (raft) j->cluster_heard_ms = now_ms;
}

/* The leader has heard a member at another address, which it had in the log: that is news even to who heard
 * the member itself, before. A member that was started anew speaks with its leader only, and its former
 * address is nobody's, or another's. */
void book_read_configuration(struct join *j, const struct join_situation *s) {
  struct configured before[CORACLE_RAFT_MEMBERS_MAX];
  struct join_member info;
  if (!s->member || s->raft.configuration_index == j->configured_index) return;
  memcpy(before, j->configured, sizeof before);
  memset(j->configured, 0, sizeof j->configured);
  j->configured_index = s->raft.configuration_index;
  for (uint32_t i = 0; i < s->configuration->members_n; i++) {
    const struct coracle_raft_member *member = &s->configuration->members[i];
    if (join_member_decode(member, &info) != 0) continue;
    j->configured[i] = (struct configured){.id = member->id, .udp = info.udp};
    for (size_t k = 0; k < CORACLE_RAFT_MEMBERS_MAX; k++)
      if (before[k].id == member->id && !address_equal(&before[k].udp, &info.udp))
        move(j, member->id, &info.udp);
  }
}

static const struct book_entry *look_up(const struct join *j, uint64_t id) {
  for (size_t i = 0; i < BOOK_MAX; i++)
    if (j->book[i].id == id) return &j->book[i];
  return NULL;
}

uint64_t book_heard_ms(const struct join *j, uint64_t id) {
  const struct book_entry *entry = look_up(j, id);
  return entry != NULL ? entry->heard_ms : 0;
}

const struct address *book_address(const struct join *j, uint64_t id) {
  const struct book_entry *entry = look_up(j, id);
  return entry != NULL ? &entry->source : NULL;
}

bool join_find_address(const struct join *j, const struct join_situation *s, uint64_t id,
                       struct address *address) {
  const struct book_entry *entry = look_up(j, id);
  struct join_member info;
  if (entry != NULL) {
    *address = entry->source;
    return true;
  }
  const struct coracle_raft_member *member =
      s->member ? coracle_raft_configuration_find(s->configuration, id) : NULL;
  if (member == NULL || join_member_decode(member, &info) != 0) return false;
  *address = info.udp;
  return true;
}
