/* The commands about what is underway between servers. */
#include "scenario.h"

#include <stdlib.h>

enum { UNDERWAY_MAX = 1024 };

static bool is_between(uint64_t from, uint64_t to, const struct coracle_raft_message *message) {
  return (from == 0 || message->from == from) && (to == 0 || message->to == to);
}

/* What is underway now, in the order in which it was sent on each way; as pairs and kinds, for delivering it
 * makes more of it. */
struct underway {
  struct one {
    uint64_t from, to;
    enum coracle_raft_message_type type;
  } at[UNDERWAY_MAX];
  size_t n;
};

static void add_letters(struct underway *u, const struct letters *letters, uint64_t from, uint64_t to,
                        enum coracle_raft_message_type type) {
  for (size_t i = 0; i < letters->n && u->n < UNDERWAY_MAX; i++) {
    const struct coracle_raft_message *m = &letters->at[i]->message;
    if (!is_between(from, to, m) || (type != 0 && m->type != type)) continue;
    u->at[u->n++] = (struct one){m->from, m->to, (enum coracle_raft_message_type)m->type};
  }
}

static void find_underway(const struct cluster *c, struct underway *u, uint64_t from, uint64_t to,
                          enum coracle_raft_message_type type) {
  u->n = 0;
  add_letters(u, &c->datagrams, from, to, type);
  for (size_t i = 0; i < c->streams_n; i++) {
    add_letters(u, &c->streams[i]->to[AT_FOLLOWER], from, to, type);
    add_letters(u, &c->streams[i]->to[AT_LEADER], from, to, type);
  }
}

/* ---- Elections ---- */

/* It asks those, they answer; what it asks others is lost. */
static void ask_votes(struct scenario *s, const struct words *words, uint64_t id) {
  struct underway u;
  find_underway(s->cluster, &u, id, 0, CORACLE_RAFT_VOTE_REQUEST);
  for (size_t i = 0; i < u.n; i++) {
    bool asked = false;
    for (size_t k = 3; k < words->n; k++) asked = asked || strtoull(words->at[k], NULL, 10) == u.at[i].to;
    if (!asked) {
      cluster_drop(s->cluster, id, u.at[i].to, CORACLE_RAFT_VOTE_REQUEST);
      continue;
    }
    cluster_deliver(s->cluster, id, u.at[i].to, CORACLE_RAFT_VOTE_REQUEST);
    scenario_sync_others(s);
    while (cluster_find(s->cluster, u.at[i].to, id, CORACLE_RAFT_VOTE_REPLY) != NULL)
      cluster_deliver(s->cluster, u.at[i].to, id, CORACLE_RAFT_VOTE_REPLY);
    scenario_sync_others(s);
  }
}

/* elect ID by ID ...: an election that is not the point. */
bool scenario_elect(struct scenario *s, const struct words *words) {
  uint64_t id, voter;
  if (!word_running(s, words, 1, &id)) return false;
  for (size_t i = 3; i < words->n; i++)
    if (!word_running(s, words, i, &voter)) return false;
  if (!word_is(words, 2, "by") || words->n < 4) return scenario_wrong(s, "by whom?");
  s->brief = true;
  scenario_tell_error(s, id, cluster_campaign(s->cluster, id));
  ask_votes(s, words, id);
  ask_votes(s, words, id);
  return leads(s->cluster, id) || scenario_wrong(s, "it was not elected");
}

/* ---- Messages ---- */

/* FROM->TO KIND: the oldest of each way; FROM->TO all: all that there are now. */
static bool choose_underway(struct scenario *s, const struct words *words, struct underway *u) {
  uint64_t from, to;
  enum coracle_raft_message_type type = (enum coracle_raft_message_type)0;
  const bool all = word_is(words, 2, "all");
  if (!word_pair(s, words, 1, &from, &to) || (!all && !word_kind(s, words, 2, &type))) return false;
  find_underway(s->cluster, u, from, to, type);
  size_t kept = 0;
  for (size_t i = 0; i < u->n; i++) {
    bool first = true;
    for (size_t k = 0; k < kept; k++)
      first = first && (u->at[k].from != u->at[i].from || u->at[k].to != u->at[i].to);
    if (all || first) u->at[kept++] = u->at[i];
  }
  u->n = kept;
  return kept > 0 || scenario_wrong(s, "nothing of that is underway");
}

bool scenario_deliver(struct scenario *s, const struct words *words) {
  struct underway u;
  if (!choose_underway(s, words, &u)) return false;
  for (size_t i = 0; i < u.n; i++) {
    /* What was delivered before may have ended its stream. */
    if (cluster_find(s->cluster, u.at[i].from, u.at[i].to, u.at[i].type) == NULL) continue;
    cluster_deliver(s->cluster, u.at[i].from, u.at[i].to, u.at[i].type);
    scenario_sync_others(s);
  }
  return true;
}

/* talk A B: everything between the two arrives, and what comes of it, until they have nothing more to say. */
bool scenario_talk(struct scenario *s, const struct words *words) {
  uint64_t a, b;
  if (!word_running(s, words, 1, &a) || !word_running(s, words, 2, &b)) return false;
  s->talking[0] = a;
  s->talking[1] = b;
  for (size_t n = 0; n < UNDERWAY_MAX; n++) {
    struct underway u;
    find_underway(s->cluster, &u, a, b, (enum coracle_raft_message_type)0);
    if (u.n == 0) find_underway(s->cluster, &u, b, a, (enum coracle_raft_message_type)0);
    if (u.n == 0 && (cluster_answer_chunk(s->cluster, a) || cluster_answer_chunk(s->cluster, b))) continue;
    if (u.n == 0) return true;
    cluster_deliver(s->cluster, u.at[0].from, u.at[0].to, u.at[0].type);
    scenario_sync_others(s);
  }
  return scenario_wrong(s, "they never end");
}

bool scenario_drop(struct scenario *s, const struct words *words) {
  struct underway u;
  if (!choose_underway(s, words, &u)) return false;
  for (size_t i = 0; i < u.n; i++) cluster_drop(s->cluster, u.at[i].from, u.at[i].to, u.at[i].type);
  return true;
}

/* A datagram arrives, and is still underway. */
bool scenario_duplicate(struct scenario *s, const struct words *words) {
  uint64_t from, to;
  enum coracle_raft_message_type type;
  if (!word_pair(s, words, 1, &from, &to) || !word_kind(s, words, 2, &type)) return false;
  const struct letters *datagrams = &s->cluster->datagrams;
  for (size_t i = 0; i < datagrams->n; i++) {
    const struct coracle_raft_message *m = &datagrams->at[i]->message;
    if (m->from != from || m->to != to || m->type != type) continue;
    cluster_deliver_datagram(s->cluster, i, true);
    return true;
  }
  return scenario_wrong(s, "no such datagram is underway");
}

bool scenario_underway(struct scenario *s, const struct words *words) {
  (void)words;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  scenario_say_letters(s, &s->cluster->datagrams);
  for (size_t i = 0; i < s->cluster->streams_n; i++) {
    scenario_say_letters(s, &s->cluster->streams[i]->to[AT_FOLLOWER]);
    scenario_say_letters(s, &s->cluster->streams[i]->to[AT_LEADER]);
  }
  return true;
}

/* ---- Ways ---- */

static bool pair_of_two(struct scenario *s, const struct words *words, uint64_t *from, uint64_t *to) {
  if (!word_pair(s, words, 1, from, to)) return false;
  return (*from != 0 && *to != 0 && *from != *to) || scenario_wrong(s, "that takes two servers");
}

static bool has_stream(const struct cluster *c, uint64_t leader, uint64_t follower) {
  for (size_t i = 0; i < c->streams_n; i++)
    if (c->streams[i]->leader == leader && c->streams[i]->follower == follower) return true;
  return false;
}

bool scenario_open_stream(struct scenario *s, const struct words *words) {
  uint64_t leader, follower;
  if (!pair_of_two(s, words, &leader, &follower)) return false;
  cluster_sweep_streams(s->cluster);
  if (has_stream(s->cluster, leader, follower)) return scenario_wrong(s, "there is such a stream");
  cluster_open(s->cluster, leader, follower);
  return true;
}

bool scenario_cut(struct scenario *s, const struct words *words) {
  uint64_t leader, follower;
  if (!pair_of_two(s, words, &leader, &follower)) return false;
  if (!has_stream(s->cluster, leader, follower)) return scenario_wrong(s, "there is no such stream");
  cluster_cut(s->cluster, leader, follower);
  return true;
}

/* tell LEADER->FOLLOWER leader|follower: that side hears of the end of the stream. */
bool scenario_tell(struct scenario *s, const struct words *words) {
  uint64_t leader, follower;
  if (!pair_of_two(s, words, &leader, &follower)) return false;
  const bool to_leader = word_is(words, 2, "leader");
  if (!to_leader && !word_is(words, 2, "follower"))
    return scenario_wrong(s, "tell the leader or the follower?");
  cluster_tell(s->cluster, leader, follower, to_leader ? AT_LEADER : AT_FOLLOWER);
  return true;
}

bool scenario_block(struct scenario *s, const struct words *words) {
  uint64_t from, to;
  if (!word_pair(s, words, 1, &from, &to)) return false;
  for (uint64_t a = 1; a <= s->cluster->servers_n; a++)
    for (uint64_t b = 1; b <= s->cluster->servers_n; b++)
      if (a != b && (from == 0 || from == a) && (to == 0 || to == b)) cluster_block(s->cluster, a, b, true);
  return true;
}

bool scenario_isolate(struct scenario *s, const struct words *words) {
  for (size_t i = 1; i < words->n; i++) {
    uint64_t id;
    if (!word_server(s, words, i, &id)) return false;
    cluster_isolate(s->cluster, id);
  }
  return words->n > 1 || scenario_wrong(s, "isolate whom?");
}

bool scenario_heal(struct scenario *s, const struct words *words) {
  (void)words;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  cluster_heal(s->cluster);
  return true;
}

/* streams by-hand|by-themselves */
bool scenario_streams(struct scenario *s, const struct words *words) {
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  s->cluster->links_by_hand = word_is(words, 1, "by-hand");
  return s->cluster->links_by_hand || word_is(words, 1, "by-themselves") ||
         scenario_wrong(s, "by-hand or by-themselves?");
}

/* datagrams lost|arrive */
bool scenario_datagrams(struct scenario *s, const struct words *words) {
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  s->cluster->no_datagrams = word_is(words, 1, "lost");
  return s->cluster->no_datagrams || word_is(words, 1, "arrive") || scenario_wrong(s, "lost or arrive?");
}
