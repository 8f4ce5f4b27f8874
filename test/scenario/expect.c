/* What a script insists on, whatever is written down as the servers' words: rewriting these cannot hide that
 * it no longer holds. */
#include "scenario.h"

#include <inttypes.h>

static bool expect_number(struct scenario *s, const struct words *words, const char *what, uint64_t is) {
  uint64_t expected;
  if (!word_number(s, words, 3, &expected)) return false;
  return is == expected || scenario_wrong(s, "the %s of %s is %" PRIu64, what, words->at[1], is);
}

static bool expect_role(struct scenario *s, const struct words *words,
                        const struct coracle_raft_status *status, enum coracle_raft_role role) {
  return status->role == role || scenario_wrong(s, "%s is none", words->at[1]);
}

/* expect ID has|lacks INDEX.TERM */
static bool expect_entry(struct scenario *s, const struct words *words, uint64_t id, bool expected) {
  uint64_t index, term;
  if (!word_position(s, words, 3, &index, &term)) return false;
  const bool has = term != 0 && cluster_term_at(s->cluster, id, index) == term;
  return has == expected || scenario_wrong(s, "%s %s it", words->at[1], has ? "has" : "lacks");
}

/* expect ID members {1 2 +3} */
static bool expect_members(struct scenario *s, const struct words *words, const struct server *server) {
  struct bytes is = {0}, expected = {0};
  write_members(&is, coracle_raft_latest_configuration(server->raft));
  for (size_t i = 3; i < words->n; i++) bytes_printf(&expected, "%s%s", i > 3 ? " " : "", words->at[i]);
  bool ok = slice_equal(slice_of_bytes(&is), slice_of_bytes(&expected)) ||
            scenario_wrong(s, "they are %.*s", (int)is.n, (const char *)is.data);
  bytes_close(&is);
  bytes_close(&expected);
  return ok;
}

static bool expect_server(struct scenario *s, const struct words *words) {
  uint64_t id, other;
  if (!word_running(s, words, 1, &id)) return false;
  const struct server *server = cluster_server(s->cluster, id);
  const struct coracle_raft_status *status = &server->status;
  if (word_is(words, 2, "leads")) return expect_role(s, words, status, CORACLE_RAFT_LEADER);
  if (word_is(words, 2, "candidate")) return expect_role(s, words, status, CORACLE_RAFT_CANDIDATE);
  if (word_is(words, 2, "pre-candidate")) return expect_role(s, words, status, CORACLE_RAFT_PRE_CANDIDATE);
  if (word_is(words, 2, "follower")) return expect_role(s, words, status, CORACLE_RAFT_FOLLOWER);
  if (word_is(words, 2, "follows")) {
    if (!word_number(s, words, 3, &other)) return false;
    return status->leader == other || scenario_wrong(s, "it follows %" PRIu64, status->leader);
  }
  if (word_is(words, 2, "term")) return expect_number(s, words, "term", status->term);
  if (word_is(words, 2, "vote")) return expect_number(s, words, "vote", status->voted_for);
  if (word_is(words, 2, "commit")) return expect_number(s, words, "commit index", status->commit_index);
  if (word_is(words, 2, "last")) return expect_number(s, words, "last index", status->last_index);
  if (word_is(words, 2, "durable"))
    return expect_number(s, words, "last durable index", cluster_durable_last(server));
  if (word_is(words, 2, "has")) return expect_entry(s, words, id, true);
  if (word_is(words, 2, "lacks")) return expect_entry(s, words, id, false);
  if (word_is(words, 2, "members")) return expect_members(s, words, server);
  return scenario_wrong(s, "expect what of %s?", words->at[1]);
}

static bool expect_read(struct scenario *s, const struct words *words) {
  static const char *const names[] = {[READ_WAITING] = "waits",
                                      [READ_READY] = "answered",
                                      [READ_FAILED] = "failed",
                                      [READ_FORGOTTEN] = "forgotten"};
  uint64_t number, index;
  if (!word_number(s, words, 2, &number)) return false;
  const char *name = names[cluster_read_outcome(s->cluster, number, &index)];
  return word_is(words, 3, name) || scenario_wrong(s, "read %s: %s", words->at[2], name);
}

static bool expect_none_leads(struct scenario *s) {
  for (uint64_t id = 1; id <= s->cluster->servers_n; id++)
    if (cluster_server(s->cluster, id)->raft != NULL && leads(s->cluster, id))
      return scenario_wrong(s, "%" PRIu64 " leads", id);
  return true;
}

/* expect none underway FROM->TO KIND, expect underway FROM->TO KIND */
static bool expect_underway(struct scenario *s, const struct words *words, size_t i, bool expected) {
  uint64_t from, to;
  enum coracle_raft_message_type type;
  if (!word_pair(s, words, i, &from, &to) || !word_kind(s, words, i + 1, &type)) return false;
  const bool is = cluster_find(s->cluster, from, to, type) != NULL;
  return is == expected || scenario_wrong(s, is ? "there is one" : "there is none");
}

bool scenario_expect(struct scenario *s, const struct words *words) {
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  if (word_is(words, 1, "read")) return expect_read(s, words);
  if (word_is(words, 1, "underway")) return expect_underway(s, words, 2, true);
  if (word_is(words, 1, "none") && word_is(words, 2, "underway")) return expect_underway(s, words, 3, false);
  if (word_is(words, 1, "none") && word_is(words, 2, "leads")) return expect_none_leads(s);
  return expect_server(s, words);
}
