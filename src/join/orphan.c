/* Orphans: learners of an unestablished cluster that is not led. Nobody there had a vote but the founder, as
 * far as they know.
 *
 * The founder may have made them voters, in an entry that has not reached them. Then it can do nothing
 * without them, nor can those whom that entry has reached. So an orphan waits, and starts afresh only when it
 * knows that there is no such entry left anywhere: when it has learned, in one round of probes, that what the
 * founder had is gone (another node is in its place) and that every other member knows no more than it does
 * itself, or is gone likewise. Whom the founder made voters were members of the configuration that the orphan
 * has, or it would itself have the newer one: who is made a voter has acknowledged the newest configuration.
 *
 * On one host, where nobody can tell a process that has ended from one that is stopped, and where another may
 * found, those with memory storage are not waited for: what they had has most likely gone with them, and a
 * while of silence is enough. */
#include "join/core.h"

#include <stdio.h>

static bool is_orphan(const struct join *j, const struct join_situation *s) {
  return !join_is_fresh(j) && s->member && !join_hears_leader(s) && !s->established && !s->raft.voter;
}

/* As far as the orphan knows it. */
static bool find_founder(const struct join_situation *s, struct join_member *info) {
  for (uint32_t i = 0; i < s->configuration->members_n; i++)
    if (s->configuration->members[i].voter)
      return join_member_decode(&s->configuration->members[i], info) == 0;
  return false;
}

bool orphan_waits(const struct join *j, const struct join_situation *s) {
  struct join_member founder;
  return is_orphan(j, s) && coracle_raft_configuration_find(s->configuration, j->options.id) != NULL &&
         find_founder(s, &founder) && (join_has_peers(j) || !founder.memory_storage);
}

/* ---- What the others know ---- */

static bool is_witnessed(const struct join *j, uint32_t member) {
  return j->witnessed[member] != 0 && j->witnessed[member] == j->probe_round;
}

/* Of these it must have heard. */
static bool counts(const struct join *j, const struct coracle_raft_member *member) {
  struct join_member info;
  if (member->id == j->options.id) return false;
  return join_has_peers(j) || join_member_decode(member, &info) != 0 || !info.memory_storage;
}

static bool nothing_is_left(const struct join *j, const struct join_situation *s) {
  for (uint32_t i = 0; i < s->configuration->members_n; i++)
    if (counts(j, &s->configuration->members[i]) && !is_witnessed(j, i)) return false;
  return true;
}

static void ask(struct join *j, const struct join_situation *s) {
  struct address address;
  if (peers_round_is_over(j)) peers_begin_round(j);
  if (j->now_ms < j->probe_next_ms) return;
  j->probe_next_ms = j->now_ms + j->options.heartbeat_ms;
  for (uint32_t i = 0; i < s->configuration->members_n; i++) {
    const struct coracle_raft_member *member = &s->configuration->members[i];
    if (counts(j, member) && !is_witnessed(j, i) && join_find_address(j, s, member->id, &address))
      peers_probe(j, s, &address);
  }
  /* On one host who comes back has another address, and where it holds the election address can be found. */
  if (!join_has_peers(j)) peers_probe(j, s, &j->options.election);
}

/* Another node is in its place, and not of this cluster: that member is gone. */
static bool tells_it_is_gone(const struct join *j, const struct coracle_raft_member *member,
                             const struct join_datagram *datagram) {
  struct join_member info;
  return datagram->from != member->id && memcmp(datagram->cluster, j->cluster, JOIN_CLUSTER_BYTES) != 0 &&
         join_member_decode(member, &info) == 0 &&
         members_is_same_node(j, &info, datagram->from, &datagram->message->card);
}

static bool tells_it_knows_no_more(const struct join *j, const struct coracle_raft_member *member,
                                   const struct join_datagram *datagram) {
  const struct join_card *card = &datagram->message->card;
  return datagram->from == member->id && !member->voter &&
         memcmp(datagram->cluster, j->cluster, JOIN_CLUSTER_BYTES) == 0 && !card->established &&
         !card->leader;
}

void orphan_receive_probed(struct join *j, const struct join_situation *s,
                           const struct join_datagram *datagram) {
  if (!orphan_waits(j, s) || peers_round_is_over(j) || datagram->message->round != j->probe_round) return;
  for (uint32_t i = 0; i < s->configuration->members_n; i++) {
    const struct coracle_raft_member *member = &s->configuration->members[i];
    if (tells_it_is_gone(j, member, datagram) || tells_it_knows_no_more(j, member, datagram))
      j->witnessed[i] = j->probe_round;
  }
}

/* Bytes of the founder's stream that it has not read yet may tell it more. */
bool orphan_may_yet_learn(const struct join_situation *s, uint64_t self) {
  if (!s->member || s->raft.voter) return false;
  for (size_t i = 0; i < s->raft.peers_n; i++)
    if (s->raft.peers[i].id != self && s->raft.peers[i].link) return true;
  return false;
}

/* ---- Turns ---- */

static void start_afresh_when_silent(struct join *j) {
  uint64_t since_ms =
      j->cluster_heard_ms > j->leaderless_since_ms ? j->cluster_heard_ms : j->leaderless_since_ms;
  if (j->awake_ms > since_ms) since_ms = j->awake_ms;
  if (join_elapsed(j, since_ms, j->options.election_timeout_ms))
    bind_yield(j, "its leader vanished before it had any followers");
}

void orphan_tick(struct join *j, const struct join_situation *s) {
  if (join_is_fresh(j)) return;
  if (!orphan_waits(j, s)) {
    j->probe_round = 0;
    if (is_orphan(j, s)) start_afresh_when_silent(j);
    return;
  }
  if (!peers_round_is_over(j) && nothing_is_left(j, s))
    bind_yield(j, "its founder has lost it, and nobody else knows more");
  else
    ask(j, s);
}

void orphan_reason(struct join *j, const struct join_situation *s) {
  struct join_member founder = {.name = "?"};
  (void)find_founder(s, &founder);
  snprintf(
      j->reason, sizeof j->reason,
      "this node is a learner and waits for %s, which founded the cluster: start it again, and all others "
      "that were there",
      founder.name);
}
