/* Steps 4 to 7: ACCEPT, the leader's CREDENTIALS, the follower's, SAVED. Everything is resent every heartbeat
 * until it is answered, and may arrive twice; it runs again with every new leader, which so learns the
 * followers' tokens. */
#include "join/core.h"

#include <inttypes.h>
#include <stdio.h>

void handshake_reset(struct join *j) {
  j->handshake = HANDSHAKE_NONE;
  j->handshake_leader = j->handshake_term = 0;
  j->accept_announced = false;
  j->refused[0] = '\0';
}

static void send_accept(struct join *j, const struct join_situation *s, const struct address *to,
                        uint64_t id) {
  char address[ADDRESS_TEXT_MAX];
  struct join_message accept = {.type = JOIN_ACCEPT, .card = join_card(j, s)};
  join_send(j, to, id, &accept);
  if (!j->accept_announced)
    join_log(j, JOIN_LOG_INFO, "step 4: sent ACCEPT to %s", address_format(to, address));
  j->accept_announced = true;
}

/* To where a leader would be found: the election address, or across hosts everybody's. */
static void send_accept_around(struct join *j, const struct join_situation *s) {
  const struct address_list *peers = &j->options.peers;
  struct join_message accept = {.type = JOIN_ACCEPT, .card = join_card(j, s)};
  if (!join_has_peers(j)) {
    send_accept(j, s, &j->options.election, 0);
    return;
  }
  if (!j->accept_announced && peers->n > 1)
    join_log(j, JOIN_LOG_INFO, "step 4: sent ACCEPT to every other peer");
  j->accept_announced = true;
  for (size_t i = 0; i < peers->n; i++)
    if (!address_equal(&peers->at[i], &j->options.election)) join_send(j, &peers->at[i], 0, &accept);
}

static void send_credentials(struct join *j, const struct join_situation *s, const struct address *to,
                             uint64_t id, bool with_token) {
  struct join_message message = {.type = JOIN_CREDENTIALS, .card = join_card(j, s), .has_token = with_token};
  if (with_token) memcpy(message.token, j->options.token, JOIN_TOKEN_BYTES);
  join_send(j, to, id, &message);
}

static bool is_in_own_cluster(const struct join *j, const struct join_datagram *datagram) {
  return memcmp(datagram->cluster, j->cluster, JOIN_CLUSTER_BYTES) == 0;
}

/* ---- The follower's side ---- */

static void follow_new_leader(struct join *j, const struct join_situation *s) {
  if (!join_hears_leader(s)) return;
  if (j->handshake != HANDSHAKE_NONE && j->handshake_leader == s->raft.leader &&
      j->handshake_term == s->raft.term)
    return;
  handshake_reset(j);
  j->handshake = HANDSHAKE_ACCEPT;
  j->handshake_leader = s->raft.leader;
  j->handshake_term = s->raft.term;
  j->accept_next_ms = j->now_ms;
}

/* The leader was heard within an election timeout, but not with its last heartbeats. It may be stopped,
 * without holding the address; a fresh node that does must hear that there is a cluster before it founds
 * another. */
static bool leader_is_late(const struct join *j, const struct join_situation *s) {
  for (size_t i = 0; i < s->raft.peers_n; i++)
    if (s->raft.peers[i].id == s->raft.leader)
      return join_elapsed(j, s->raft.peers[i].last_contact_ms,
                          LATE_HEARTBEATS * (uint64_t)j->options.heartbeat_ms);
  return false;
}

/* Resends what is not answered, as a follower. Without a leader the ACCEPT goes to the election address:
 * whoever holds it learns where this node is, and answers if it leads. */
static void follow(struct join *j, const struct join_situation *s) {
  struct address leader;
  follow_new_leader(j, s);
  if (j->removed || j->now_ms < j->accept_next_ms) return;
  j->accept_next_ms = j->now_ms + j->options.heartbeat_ms;

  const bool hears = join_hears_leader(s);
  if (j->handshake == HANDSHAKE_ACCEPT && hears && join_find_address(j, s, j->handshake_leader, &leader))
    send_accept(j, s, &leader, j->handshake_leader);
  if (hears ? leader_is_late(j, s) : j->taken_since_ms != 0 || !join_is_fresh(j) || join_has_peers(j))
    send_accept_around(j, s);
  if (j->handshake == HANDSHAKE_CREDENTIALS)
    send_credentials(j, s, &j->handshake_address, j->handshake_leader, true);
}

static void adopt(struct join *j, const struct join_datagram *datagram) {
  bind_release(j);
  memcpy(j->cluster, datagram->cluster, JOIN_CLUSTER_BYTES);
  j->leaderless_since_ms = j->cluster_heard_ms = j->now_ms;
  struct join_action *action = join_act(j, JOIN_DO_ADOPT);
  memcpy(action->cluster, j->cluster, JOIN_CLUSTER_BYTES);
}

/* Step 5 as the follower sees it. */
static void receive_leader_credentials(struct join *j, const struct join_situation *s,
                                       const struct join_datagram *datagram) {
  char http[ADDRESS_TEXT_MAX];
  const struct join_message *message = datagram->message;
  j->answered_ms = j->now_ms;
  if (!message->has_token) { /* it announces itself: tell it that this node is here */
    if (join_is_fresh(j) || (is_in_own_cluster(j, datagram) && !join_hears_leader(s)))
      send_accept(j, s, &datagram->source, datagram->from);
    else if (join_leads(s) && j->holding && !is_in_own_cluster(j, datagram))
      send_credentials(j, s, &datagram->source, datagram->from, false);
    return;
  }
  if (join_is_fresh(j)) {
    adopt(j, datagram);
  } else if (!is_in_own_cluster(j, datagram) || join_leads(s) ||
             (s->member && datagram->term < s->raft.term) ||
             (join_hears_leader(s) && datagram->term == s->raft.term && datagram->from != s->raft.leader)) {
    return; /* another cluster's, or a leader of the past */
  }
  const bool news = j->handshake < HANDSHAKE_CREDENTIALS || j->handshake_leader != datagram->from ||
                    j->handshake_term != datagram->term;
  j->handshake_leader = datagram->from;
  j->handshake_term = datagram->term;
  j->handshake_address = datagram->source;
  snprintf(j->handshake_name, sizeof j->handshake_name, "%s", message->card.name);
  memcpy(j->leader_token, message->token, JOIN_TOKEN_BYTES);
  j->refused[0] = '\0';
  if (news) {
    j->handshake = HANDSHAKE_CREDENTIALS;
    join_log(j, JOIN_LOG_INFO, "step 5: CREDENTIALS from %s: http %s, term %" PRIu64, message->card.name,
             address_format(&message->card.http, http), datagram->term);
    join_log(j, JOIN_LOG_INFO, "step 6: sent CREDENTIALS to %s: http %s", message->card.name,
             address_format(&j->options.http, http));
  }
  j->accept_next_ms = j->now_ms + j->options.heartbeat_ms;
  send_credentials(j, s, &datagram->source, datagram->from, true);
}

/* What was saved before this node was started again was another token. */
static void receive_saved(struct join *j, const struct join_datagram *datagram) {
  if (datagram->message->round != j->options.start) return;
  if (j->handshake != HANDSHAKE_CREDENTIALS || datagram->from != j->handshake_leader) return;
  j->handshake = HANDSHAKE_SAVED;
  join_log(j, JOIN_LOG_INFO, "step 7: %s saved our credentials", j->handshake_name);
}

static void receive_refused(struct join *j, const struct join_situation *s,
                            const struct join_datagram *datagram) {
  if (join_hears_leader(s)) return; /* a leader that refuses it would not keep it company */
  j->answered_ms = j->now_ms;
  if (strcmp(j->refused, datagram->message->text) == 0) return;
  snprintf(j->refused, sizeof j->refused, "%s", datagram->message->text);
  join_log(j, JOIN_LOG_INFO, "the leader refuses this node: %s", j->refused);
}

/* A leader of the past may have slept while this node was taken in. */
static void receive_removed(struct join *j, const struct join_situation *s,
                            const struct join_datagram *datagram) {
  char cluster[2 * JOIN_CLUSTER_BYTES + 1];
  if (j->removed || join_hears_leader(s) || datagram->term < s->raft.term) return;
  j->removed = true;
  j->answered_ms = j->now_ms;
  bind_release(j);
  join_log(
      j, JOIN_LOG_WARN,
      "this node was removed from cluster %s and stays out: to join again as a new one, stop it, delete its "
      "data directory and start it",
      join_hex(j->cluster, cluster));
}

/* ---- The leader's side ---- */

static bool has_link_to(const struct join *j, const struct join_situation *s, const struct address *udp) {
  struct address address;
  for (size_t i = 0; i < s->raft.peers_n; i++)
    if (s->raft.peers[i].link && join_find_address(j, s, s->raft.peers[i].id, &address) &&
        address_equal(&address, udp))
      return true;
  return false;
}

/* A leader that has not got the election address says there, whoever holds it, that it exists. Across hosts
 * it does so at every address from which no member is with it. */
static void announce(struct join *j, const struct join_situation *s) {
  const struct address_list *peers = &j->options.peers;
  if (j->now_ms < j->announce_next_ms) return;
  j->announce_next_ms = j->now_ms + j->options.heartbeat_ms;
  if (!join_has_peers(j)) send_credentials(j, s, &j->options.election, 0, false);
  for (size_t i = 0; i < peers->n; i++)
    if (!address_equal(&peers->at[i], &j->options.election) && !has_link_to(j, s, &peers->at[i]))
      send_credentials(j, s, &peers->at[i], 0, false);
}

/* The holder of the address has nobody to send to; and while a bind is being tried, that may be this node. */
void handshake_tick(struct join *j, const struct join_situation *s) {
  if (j->holding || j->bind_pending || join_is_between_cores(j, s)) return;
  if (join_leads(s))
    announce(j, s);
  else
    follow(j, s);
}

static bool is_from_fresh(const struct join_datagram *datagram) {
  static const uint8_t none[JOIN_CLUSTER_BYTES];
  return memcmp(datagram->cluster, none, sizeof none) == 0;
}

/* Its log tells it that it is a member; the log that counts tells otherwise, and will not change its mind:
 * none of its majorities ever asks for that node again. A node that was being added when a leader fell, and
 * was not added after all, is no such node: its log has never named it. One with memory storage was given up
 * because it was silent, and may come back as it is. */
static bool was_removed(const struct join_situation *s, const struct join_datagram *datagram) {
  const struct join_card *card = &datagram->message->card;
  return card->was_member && !card->memory_storage &&
         coracle_raft_configuration_find(s->configuration, datagram->from) == NULL;
}

static void say_removed(struct join *j, const struct join_situation *s,
                        const struct join_datagram *datagram) {
  struct join_message removed = {.type = JOIN_REMOVED};
  if (!s->raft.configuration_committed || !s->raft.committed_own_term) return; /* it may yet be undone */
  join_send(j, &datagram->source, datagram->from, &removed);
}

static void refuse(struct join *j, const struct join_datagram *datagram, const struct join_member *holder) {
  char http[ADDRESS_TEXT_MAX];
  struct join_message refusal = {.type = JOIN_REFUSED};
  snprintf(
      refusal.text, sizeof refusal.text,
      "name_taken: the name %.64s or the address %s belongs to a member that is not known to be dead; if it "
      "has ended, wait a moment",
      holder->name, address_format(&holder->http, http));
  join_send(j, &datagram->source, datagram->from, &refusal);
}

static void lead_accept(struct join *j, const struct join_situation *s,
                        const struct join_datagram *datagram) {
  char address[ADDRESS_TEXT_MAX];
  const struct join_card *card = &datagram->message->card;
  struct join_member holder;
  if (!is_in_own_cluster(j, datagram) && !is_from_fresh(datagram)) {
    send_credentials(j, s, &datagram->source, datagram->from, false); /* so that it hears of this cluster */
    return;
  }
  if (is_in_own_cluster(j, datagram) && was_removed(s, datagram)) {
    say_removed(j, s, datagram);
    return;
  }
  if (members_taken(j, s, datagram->from, card, &holder)) {
    refuse(j, datagram, &holder);
    return;
  }
  if (members_meet(j, s, datagram)) {
    join_log(j, JOIN_LOG_INFO, "step 4: ACCEPT from %s (%016" PRIx64 ")", card->name, datagram->from);
    join_log(j, JOIN_LOG_INFO, "step 5: sent CREDENTIALS to %s: http %s, term %" PRIu64, card->name,
             address_format(&j->options.http, address), s->raft.term);
  }
  send_credentials(j, s, &datagram->source, datagram->from, true);
}

void handshake_answer_late(struct join *j, const struct join_situation *s, const struct table_entry *asked) {
  struct join_message accept = {.type = JOIN_ACCEPT, .card = asked->card};
  struct join_datagram datagram = {.from = asked->id, .message = &accept};
  memcpy(datagram.cluster, j->cluster, JOIN_CLUSTER_BYTES);
  if (join_find_address(j, s, asked->id, &datagram.source)) lead_accept(j, s, &datagram);
}

static void receive_accept(struct join *j, const struct join_situation *s,
                           const struct join_datagram *datagram) {
  if (join_leads(s)) {
    lead_accept(j, s, datagram);
  } else if (j->holding || join_has_peers(j)) { /* only asking, or listening, or following */
    if (is_in_own_cluster(j, datagram) || is_from_fresh(datagram)) members_meet(j, s, datagram);
    peers_meet(j, s, datagram);
    if (join_has_peers(j) && join_hears_leader(s)) return; /* who has been asked too */
    struct join_message answer = {.type = JOIN_NOT_YET, .card = join_card(j, s)};
    snprintf(answer.text, sizeof answer.text, "%.250s", join_no_leader_reason(j, s, j->now_ms));
    join_send(j, &datagram->source, datagram->from, &answer);
  }
}

static void receive_follower_credentials(struct join *j, const struct join_situation *s,
                                         const struct join_datagram *datagram) {
  struct join_message saved = {.type = JOIN_SAVED, .round = datagram->start};
  struct join_member holder;
  if (!join_leads(s) || !is_in_own_cluster(j, datagram) || !datagram->message->has_token) return;
  if (members_taken(j, s, datagram->from, &datagram->message->card, &holder)) {
    refuse(j, datagram, &holder);
    return;
  }
  members_save(j, s, datagram);
  join_send(j, &datagram->source, datagram->from, &saved);
}

/* Learners who lost the same leader hear each other, and that is no sign of life. */
static bool is_sign_of_life(const struct join *j, const struct join_datagram *datagram) {
  const struct join_message *message = datagram->message;
  return is_in_own_cluster(j, datagram) && (message->card.leader || message->card.established);
}

void handshake_receive(struct join *j, const struct join_situation *s, const struct join_datagram *datagram) {
  const struct join_message *message = datagram->message;
  const bool was_fresh = join_is_fresh(j);
  if (is_sign_of_life(j, datagram)) j->cluster_heard_ms = j->now_ms;
  switch (message->type) {
  case JOIN_ACCEPT:
    bind_hear_card(j, s, datagram, &message->card);
    if (join_is_fresh(j) == was_fresh) receive_accept(j, s, datagram);
    return;
  case JOIN_CREDENTIALS:
    bind_hear_card(j, s, datagram, &message->card);
    if (join_is_fresh(j) != was_fresh) return; /* it has just yielded; the next ACCEPT asks again */
    if (message->card.leader)
      receive_leader_credentials(j, s, datagram);
    else
      receive_follower_credentials(j, s, datagram);
    return;
  case JOIN_NOT_YET:
    j->answered_ms = j->now_ms;
    peers_receive_not_yet(j, datagram);
    if (join_is_fresh(j)) bind_hear_card(j, s, datagram, &message->card);
    return;
  case JOIN_SAVED:
    if (is_in_own_cluster(j, datagram)) receive_saved(j, datagram);
    return;
  case JOIN_REFUSED:
    if (is_in_own_cluster(j, datagram) || was_fresh) receive_refused(j, s, datagram);
    return;
  case JOIN_PROBE:
    peers_receive_probe(j, s, datagram);
    return;
  case JOIN_PROBED:
    peers_receive_probed(j, s, datagram);
    orphan_receive_probed(j, s, datagram);
    return;
  case JOIN_REMOVED:
    if (is_in_own_cluster(j, datagram) && !was_fresh) receive_removed(j, s, datagram);
    return;
  }
}
