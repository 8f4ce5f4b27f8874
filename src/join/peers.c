/* Across hosts: every node has an election address of its own, for life, and all of them have the same list
 * of these addresses. There is no bind to be won, so two things are decided in other ways.
 *
 * Who founds: the node at the lowest address, and nobody else. Before it does, every other must have answered
 * in one round of probes that it is fresh and has the same list. So nobody founds beside an established
 * cluster that is merely down, nor while a single node is missing that might belong to one. And two lists
 * that differ never found two clusters which share a node: a node answers for the one list that it has.
 *
 * Who asks for votes when the leader's stream has ended: every voter, after a random wait of up to a
 * heartbeat, so that seldom two ask at once. */
#include "join/core.h"

#include <stdio.h>

static bool is_own(const struct join *j, size_t i) {
  return address_equal(&j->options.peers.at[i], &j->options.election);
}

static bool is_lowest(const struct join *j) {
  return is_own(j, 0);
}

/* Its place in the list; j->options.peers.n: it has none. */
static size_t find(const struct join *j, const struct address *source) {
  size_t i = 0;
  while (i < j->options.peers.n && !address_equal(&j->options.peers.at[i], source)) i++;
  return i;
}

/* ---- Lists that differ ---- */

static const struct address *first_missing(const struct address_list *in, const struct address_list *of) {
  for (size_t i = 0; i < of->n; i++)
    if (!address_list_has(in, &of->at[i])) return &of->at[i];
  return NULL;
}

static bool same_list(const struct address_list *a, const struct address_list *b) {
  return first_missing(a, b) == NULL && first_missing(b, a) == NULL;
}

/* Said by name, and again now and then, until somebody mends it. */
static void note_other_list(struct join *j, const struct join_datagram *datagram) {
  const struct address_list *own = &j->options.peers, *other = &datagram->message->peers;
  const struct address *extra = first_missing(own, other), *missing = first_missing(other, own);
  char source[ADDRESS_TEXT_MAX], what[ADDRESS_TEXT_MAX];
  const char *name = datagram->message->card.name;
  const size_t at = find(j, &datagram->source);
  uint64_t *logged_ms = at < own->n ? &j->peers[at].other_list_logged_ms : &j->strangers_list_logged_ms;

  address_format(&datagram->source, source);
  if (own->n == 0)
    snprintf(j->other_list, sizeof j->other_list, "%s at %s has --peers, and this node has none", name,
             source);
  else if (other->n == 0)
    snprintf(j->other_list, sizeof j->other_list, "%s at %s has no --peers", name, source);
  else
    snprintf(j->other_list, sizeof j->other_list, "%s at %s has another --peers: %s is %s", name, source,
             address_format(extra != NULL ? extra : missing, what),
             extra != NULL ? "not in this node's" : "in this node's only");
  j->other_list_ms = j->now_ms;
  if (*logged_ms != 0 && !join_elapsed(j, *logged_ms, RIVAL_MS)) return;
  *logged_ms = j->now_ms;
  join_log(j, JOIN_LOG_WARN, "%s. The list must be the same on all nodes: no cluster is founded until it is",
           j->other_list);
}

/* ---- Probes ---- */

void peers_begin_round(struct join *j) {
  do j->probe_round = random_next(&j->random);
  while (j->probe_round == 0);
  j->probe_round_ms = j->probe_next_ms = j->now_ms;
}

/* A round is as old as an election timeout at most: an answer tells what was, not what is. */
bool peers_round_is_over(const struct join *j) {
  return j->probe_round == 0 || join_elapsed(j, j->probe_round_ms, j->options.election_timeout_ms);
}

static bool is_fresh_in_round(const struct join *j, size_t i) {
  return is_own(j, i) || (j->peers[i].answer == PEER_FRESH && j->peers[i].round == j->probe_round);
}

void peers_probe(struct join *j, const struct join_situation *s, const struct address *to) {
  struct join_message message = {
      .type = JOIN_PROBE, .card = join_card(j, s), .round = j->probe_round, .peers = j->options.peers};
  join_send(j, to, 0, &message);
}

static bool all_are_fresh(const struct join *j) {
  for (size_t i = 0; i < j->options.peers.n; i++)
    if (!is_fresh_in_round(j, i)) return false;
  return true;
}

static void probe_or_found(struct join *j, const struct join_situation *s) {
  if (peers_round_is_over(j)) peers_begin_round(j);
  if (all_are_fresh(j) && !bind_hears_foreign_cluster(j)) {
    bind_found(j);
    return;
  }
  if (j->now_ms < j->probe_next_ms) return;
  j->probe_next_ms = j->now_ms + j->options.heartbeat_ms;
  for (size_t i = 0; i < j->options.peers.n; i++)
    if (!is_fresh_in_round(j, i)) peers_probe(j, s, &j->options.peers.at[i]);
}

void peers_meet(struct join *j, const struct join_situation *s, const struct join_datagram *datagram) {
  const size_t i = find(j, &datagram->source);
  if (i == j->options.peers.n || !join_is_fresh(j) || !is_lowest(j) || peers_round_is_over(j)) return;
  if (!is_fresh_in_round(j, i)) peers_probe(j, s, &j->options.peers.at[i]);
}

void peers_receive_probe(struct join *j, const struct join_situation *s,
                         const struct join_datagram *datagram) {
  struct join_message answer = {.type = JOIN_PROBED,
                                .card = join_card(j, s),
                                .round = datagram->message->round,
                                .peers = j->options.peers};
  if (orphan_may_yet_learn(s, j->options.id)) answer.round = 0;
  join_send(j, &datagram->source, datagram->from, &answer);
  if (!same_list(&datagram->message->peers, &j->options.peers)) note_other_list(j, datagram);
}

void peers_receive_probed(struct join *j, const struct join_situation *s,
                          const struct join_datagram *datagram) {
  static const uint8_t none[JOIN_CLUSTER_BYTES];
  const struct join_message *message = datagram->message;
  const size_t i = find(j, &datagram->source);
  if (i == j->options.peers.n || !join_is_fresh(j)) return;
  if (peers_round_is_over(j) || message->round != j->probe_round) return;
  struct peer *peer = &j->peers[i];
  peer->round = message->round;
  peer->answered_ms = j->now_ms;
  memcpy(peer->name, message->card.name, sizeof peer->name);
  if (memcmp(datagram->cluster, none, sizeof none) != 0) {
    peer->answer = PEER_MEMBER;
    bind_hear_card(j, s, datagram, &message->card);
  } else if (!same_list(&message->peers, &j->options.peers)) {
    peer->answer = PEER_OTHER_LIST;
    note_other_list(j, datagram);
  } else {
    peer->answer = PEER_FRESH;
  }
}

void peers_receive_not_yet(struct join *j, const struct join_datagram *datagram) {
  if (!join_has_peers(j) || find(j, &datagram->source) != 0) return;
  j->lowest_said_ms = j->now_ms;
  memcpy(j->lowest_said, datagram->message->text, sizeof j->lowest_said);
}

/* ---- Turns ---- */

static void announce_first_step(struct join *j) {
  char own[ADDRESS_TEXT_MAX], lowest[ADDRESS_TEXT_MAX];
  if (j->peers_announced) return;
  j->peers_announced = true;
  join_log(j, JOIN_LOG_INFO, "step 1: the election address %s is this node's own, one of %zu",
           address_format(&j->options.election, own), j->options.peers.n);
  if (!join_is_fresh(j)) return;
  if (is_lowest(j))
    join_log(j, JOIN_LOG_INFO, "step 2: it is the lowest: asking the others whether they are fresh");
  else
    join_log(j, JOIN_LOG_INFO, "step 3: only %s, the lowest, may found a cluster; following",
             address_format(&j->options.peers.at[0], lowest));
}

static void campaign_if_due(struct join *j, const struct join_situation *s) {
  if (j->campaign_at_ms == 0 || j->now_ms < j->campaign_at_ms) return;
  j->campaign_at_ms = 0;
  if (join_hears_leader(s) || !s->raft.voter || s->raft.role != CORACLE_RAFT_FOLLOWER || j->removed) return;
  join_log(j, JOIN_LOG_INFO, "step 2: asking for votes");
  join_act(j, JOIN_DO_CAMPAIGN);
}

void peers_tick(struct join *j, const struct join_situation *s) {
  announce_first_step(j);
  if (!join_is_fresh(j))
    campaign_if_due(j, s);
  else if (is_lowest(j))
    probe_or_found(j, s);
}

void peers_stream_ended(struct join *j) {
  if (!join_has_peers(j)) return;
  j->campaign_at_ms = j->now_ms + random_below(&j->random, (uint64_t)j->options.heartbeat_ms + 1);
}

/* ---- Reasons ---- */

/* What keeps the one that may found from it: "waiting for every peer to be there: b at ... has a cluster". */
static void founders_reason(struct join *j) {
  struct bytes text = {0};
  const uint64_t recent_ms = 2 * (uint64_t)j->options.election_timeout_ms;
  bytes_append_string(&text, "founding a cluster when every peer has answered that it is fresh");
  for (size_t i = 0; i < j->options.peers.n; i++) {
    const struct peer *peer = &j->peers[i];
    char address[ADDRESS_TEXT_MAX];
    if (is_fresh_in_round(j, i)) continue;
    address_format(&j->options.peers.at[i], address);
    if (peer->answered_ms == 0 || join_elapsed(j, peer->answered_ms, recent_ms))
      bytes_printf(&text, "; %s does not answer", address);
    else if (peer->answer != PEER_FRESH)
      bytes_printf(&text, "; %s at %s %s", peer->name, address,
                   peer->answer == PEER_MEMBER ? "has a cluster" : "has another --peers");
  }
  bytes_append(&text, "", 1);
  snprintf(j->reason, sizeof j->reason, "%s", (const char *)text.data);
  bytes_close(&text);
}

void peers_reason(struct join *j) {
  char lowest[ADDRESS_TEXT_MAX];
  const uint64_t recent_ms = 2 * (uint64_t)j->options.election_timeout_ms;
  address_format(&j->options.peers.at[0], lowest);
  if (is_lowest(j))
    founders_reason(j);
  else if (j->other_list_ms != 0 && !join_elapsed(j, j->other_list_ms, recent_ms))
    snprintf(j->reason, sizeof j->reason, "%s", j->other_list);
  else if (j->lowest_said_ms == 0 || join_elapsed(j, j->lowest_said_ms, recent_ms))
    snprintf(j->reason, sizeof j->reason, "%s, which alone may found a cluster, does not answer", lowest);
  else
    snprintf(j->reason, sizeof j->reason, "%s, which alone may found a cluster, says: %s", lowest,
             j->lowest_said);
}
