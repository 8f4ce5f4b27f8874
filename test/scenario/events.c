/* The commands that tell a server something, and those that let time pass. */
#include "scenario.h"

#include <inttypes.h>

enum { ADVANCE_MS_MAX = 3600 * 1000 };

/* A refusal is something that a server says. */
bool scenario_tell_error(struct scenario *s, uint64_t id, int error) {
  if (error != 0) bytes_printf(&s->out, "  %" PRIu64 " refuses: %s\n", id, coracle_raft_strerror(error));
  return true;
}

bool scenario_campaign(struct scenario *s, const struct words *words) {
  uint64_t id;
  return word_running(s, words, 1, &id) && scenario_tell_error(s, id, cluster_campaign(s->cluster, id));
}

/* The time comes that it waits for; the others are not told. */
bool scenario_timeout(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  const uint64_t wakeup_ms = cluster_server(s->cluster, id)->wakeup_ms;
  if (wakeup_ms == UINT64_MAX) return scenario_wrong(s, "server %s waits for no time", words->at[1]);
  if (wakeup_ms > s->cluster->now_ms) s->cluster->now_ms = wakeup_ms;
  return scenario_tell_error(s, id, cluster_timeout(s->cluster, id));
}

/* It is asked what is due now, which may be nothing. */
bool scenario_tick(struct scenario *s, const struct words *words) {
  uint64_t id;
  return word_running(s, words, 1, &id) && scenario_tell_error(s, id, cluster_timeout(s->cluster, id));
}

/* propose ID NAME ... */
bool scenario_propose(struct scenario *s, const struct words *words) {
  uint64_t id;
  struct coracle_raft_entry *entries[WORDS_MAX];
  if (!word_running(s, words, 1, &id)) return false;
  const size_t n = words->n - 2;
  if (words->n < 3) return scenario_wrong(s, "what is proposed?");
  for (size_t i = 0; i < n; i++) {
    const char *name = words->at[i + 2];
    entries[i] = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, strlen(name));
    assert_non_null(entries[i]);
    memcpy(entries[i]->data, name, strlen(name));
  }
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PROPOSE, .propose = {entries, n}};
  int error = cluster_step(s->cluster, id, &event);
  for (size_t i = 0; i < n && error != 0; i++) coracle_raft_entry_unref(entries[i]);
  return scenario_tell_error(s, id, error);
}

bool scenario_read(struct scenario *s, const struct words *words) {
  uint64_t id, number;
  return word_running(s, words, 1, &id) && scenario_tell_error(s, id, cluster_read(s->cluster, id, &number));
}

static bool two_servers(struct scenario *s, const struct words *words, uint64_t *id, uint64_t *other) {
  return word_running(s, words, 1, id) && word_number(s, words, 2, other);
}

bool scenario_learner(struct scenario *s, const struct words *words) {
  uint64_t id, other;
  return two_servers(s, words, &id, &other) &&
         scenario_tell_error(s, id, cluster_add_member(s->cluster, id, other));
}

bool scenario_remove(struct scenario *s, const struct words *words) {
  uint64_t id, other;
  return two_servers(s, words, &id, &other) &&
         scenario_tell_error(s, id, cluster_remove_member(s->cluster, id, other));
}

/* change ID {MEMBERS} */
bool scenario_change(struct scenario *s, const struct words *words) {
  uint64_t id;
  struct coracle_raft_configuration next;
  return word_running(s, words, 1, &id) && words_members(s, words, 2, &next) &&
         scenario_tell_error(s, id, cluster_change(s->cluster, id, &next));
}

bool scenario_transfer(struct scenario *s, const struct words *words) {
  uint64_t id, other;
  return two_servers(s, words, &id, &other) &&
         scenario_tell_error(s, id, cluster_transfer(s->cluster, id, other));
}

bool scenario_snapshot(struct scenario *s, const struct words *words) {
  uint64_t id;
  return word_running(s, words, 1, &id) && scenario_tell_error(s, id, cluster_snapshot(s->cluster, id));
}

/* A leader's core has asked for bytes of an image. */
bool scenario_chunk(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  return cluster_answer_chunk(s->cluster, id) || scenario_wrong(s, "it has asked for no bytes");
}

/* ---- Time ---- */

static bool milliseconds(struct scenario *s, const struct words *words, uint64_t *ms) {
  if (!word_number(s, words, 1, ms)) return false;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  return *ms <= ADVANCE_MS_MAX || scenario_wrong(s, "that is too long");
}

bool scenario_advance(struct scenario *s, const struct words *words) {
  uint64_t ms;
  if (!milliseconds(s, words, &ms)) return false;
  s->cluster->now_ms += ms;
  return true;
}

bool scenario_run(struct scenario *s, const struct words *words) {
  uint64_t ms;
  if (!milliseconds(s, words, &ms)) return false;
  s->brief = true;
  cluster_run(s->cluster, ms);
  return true;
}

/* converge TIMEOUTS: so many election timeouts at most until one leads and all have its log. */
bool scenario_converge(struct scenario *s, const struct words *words) {
  uint64_t timeouts;
  if (!word_number(s, words, 1, &timeouts)) return false;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  s->brief = true;
  cluster_converge(s->cluster, timeouts);
  return true;
}

bool scenario_stabilise(struct scenario *s, const struct words *words) {
  (void)words;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  s->brief = true;
  cluster_settle(s->cluster);
  return true;
}
