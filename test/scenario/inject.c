/* Messages that nobody sent, or that were sent long ago and by ways that the harness does not have. */
#include "scenario.h"

/* The number after that word. */
static bool named_number(struct scenario *s, const struct words *words, size_t i, const char *name,
                         uint64_t *number) {
  if (!word_is(words, i, name)) return scenario_wrong(s, "%s is missing", name);
  return word_number(s, words, i + 1, number);
}

/* commit COMMIT */
static bool heartbeat(struct scenario *s, const struct words *words, struct coracle_raft_message *m) {
  if (!named_number(s, words, 5, "commit", &m->heartbeat.commit)) return false;
  m->heartbeat.leader_commit = m->heartbeat.commit;
  return true;
}

/* after INDEX.TERM commit COMMIT [ENTRIES]. The entries are the caller's. */
static bool append(struct scenario *s, const struct words *words, struct coracle_raft_message *m,
                   struct coracle_raft_entry **entries) {
  if (!word_is(words, 5, "after")) return scenario_wrong(s, "after is missing");
  m->append.entries = entries;
  return word_position(s, words, 6, &m->append.previous_index, &m->append.previous_term) &&
         named_number(s, words, 7, "commit", &m->append.commit) &&
         words_entries(s, words, 9, entries, &m->append.entries_n);
}

/* has INDEX */
static bool append_reply(struct scenario *s, const struct words *words, struct coracle_raft_message *m) {
  m->append_reply.success = true;
  return named_number(s, words, 5, "has", &m->append_reply.match);
}

static bool complete(struct scenario *s, const struct words *words, struct coracle_raft_message *m,
                     struct coracle_raft_entry **entries) {
  if (m->type == CORACLE_RAFT_HEARTBEAT) return heartbeat(s, words, m);
  if (m->type == CORACLE_RAFT_APPEND) return append(s, words, m, entries);
  if (m->type == CORACLE_RAFT_APPEND_REPLY) return append_reply(s, words, m);
  return scenario_wrong(s, "only a heartbeat, an append or an append-reply");
}

/* inject FROM->TO KIND term TERM ... */
bool scenario_inject(struct scenario *s, const struct words *words) {
  struct coracle_raft_message m = {0};
  struct coracle_raft_entry *entries[WORDS_MAX];
  enum coracle_raft_message_type type;
  if (!word_pair(s, words, 1, &m.from, &m.to) || !word_kind(s, words, 2, &type)) return false;
  if (m.from == 0 || m.to == 0) return scenario_wrong(s, "that takes two servers");
  m.type = (uint8_t)type;
  bool ok = named_number(s, words, 3, "term", &m.term) && complete(s, words, &m, entries);
  if (ok) assert_int_equal(cluster_receive(s->cluster, m.to, &m), 0);
  if (m.type == CORACLE_RAFT_APPEND)
    for (size_t i = 0; i < m.append.entries_n; i++) coracle_raft_entry_unref(entries[i]);
  return ok;
}
