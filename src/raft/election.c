/* Roles, time-outs, pre-votes and votes (sections 3.4 and 9.6). */
#include "raft/core.h"

#include <assert.h>

bool raft_hears_leader(const struct coracle_raft *raft) {
  if (raft->role == CORACLE_RAFT_LEADER) return true;
  return raft->leader != 0 && raft->leader_heard_ms != NEVER &&
         !raft_elapsed(raft, raft->leader_heard_ms, raft->options.election_timeout_ms);
}

/* Drawn anew each time, so that candidates that split the vote do not meet again (section 3.4). */
void raft_reset_election_deadline(struct coracle_raft *raft) {
  uint64_t timeout_ms = raft->options.election_timeout_ms;
  raft->election_deadline_ms = raft->now_ms + timeout_ms + random_below(&raft->random, timeout_ms);
}

/* The vote belongs to the term: it is cleared by a newer term only, never by a change of role (Figure
 * 3.1). */
void raft_become_follower(struct coracle_raft *raft, uint64_t term, uint64_t leader) {
  assert(term >= raft->term);
  if (term > raft->term) {
    raft->term = term;
    raft->voted_for = 0;
    raft_persist_vote(raft);
  }
  if (raft->role == CORACLE_RAFT_LEADER) {
    raft->stepped_down = CORACLE_RAFT_NEWER_TERM;
    raft->fresh_ms = raft_fresh_ms(raft, raft->now_ms);
  }
  raft->role = CORACLE_RAFT_FOLLOWER;
  raft->leader = leader;
  raft->leader_heard_ms = leader != 0 ? raft->now_ms : NEVER;
  raft->heartbeat_deadline_ms = raft->commit_notice_ms = NEVER;
  raft->blocked_by = 0;
  for (size_t i = 0; i < raft->peers_n; i++) raft_stop_sending(raft, &raft->peers[i]);
  raft_give_up_transfer(raft);
  raft_reset_election_deadline(raft);
}

void raft_step_down(struct coracle_raft *raft, enum coracle_raft_step_down reason) {
  assert(raft->role == CORACLE_RAFT_LEADER);
  raft_become_follower(raft, raft->term, 0);
  raft->stepped_down = reason;
}

static bool log_is_up_to_date(const struct coracle_raft *raft, uint64_t last_term, uint64_t last_index) {
  uint64_t own_term = raft_log_last_term(&raft->log);
  return last_term > own_term || (last_term == own_term && last_index >= raft_log_last_index(&raft->log));
}

static void ask_for_votes(struct coracle_raft *raft) {
  const bool pre = raft->role == CORACLE_RAFT_PRE_CANDIDATE;
  for (size_t i = 0; i < raft->peers_n; i++) {
    const struct raft_peer *peer = &raft->peers[i];
    if (!peer->voter || peer->id == raft->options.id || peer->vote == VOTE_GRANTED) continue;
    struct coracle_raft_message *request = raft_message(raft, CORACLE_RAFT_VOTE_REQUEST, peer->id);
    request->term = pre ? raft->term + 1 : raft->term;
    request->after_sequence = raft->vote_sequence;
    request->vote_request.pre = pre;
    request->vote_request.transfer = raft->transferring;
    request->vote_request.last_index = raft_log_last_index(&raft->log);
    request->vote_request.last_term = raft_log_last_term(&raft->log);
  }
  raft->heartbeat_deadline_ms =
      raft->now_ms + raft->options.heartbeat_ms; /* datagrams get lost: ask again then */
}

static void begin_election(struct coracle_raft *raft, enum coracle_raft_role role) {
  raft->role = role;
  raft->leader = 0;
  raft->leader_heard_ms = NEVER;
  raft->round++;
  for (size_t i = 0; i < raft->peers_n; i++) raft->peers[i].vote = VOTE_UNKNOWN;
  raft->transferring = false;
  struct raft_peer *self = raft_self(raft);
  if (self != NULL) self->vote = VOTE_GRANTED;
  raft_reset_election_deadline(raft);
}

static void become_candidate(struct coracle_raft *raft, bool transferring) {
  begin_election(raft, CORACLE_RAFT_CANDIDATE);
  raft->transferring = transferring;
  raft->term++;
  raft->voted_for = raft->options.id;
  raft_persist_vote(raft);
  ask_for_votes(raft);
}

/* A majority ends the asking; so does a majority that is out of reach, at once: another may do better (design
 * of the election address: whoever cannot win lets go of it). A candidate's own vote counts when it is
 * durable. */
static void count_votes(struct coracle_raft *raft) {
  uint32_t granted = 0, refused = 0, voters = coracle_raft_configuration_voters(&raft->latest.value);
  for (size_t i = 0; i < raft->peers_n; i++) {
    const struct raft_peer *peer = &raft->peers[i];
    if (!peer->voter) continue;
    if (peer->id == raft->options.id && raft->role == CORACLE_RAFT_CANDIDATE &&
        raft->persisted_sequence < raft->vote_sequence)
      continue;
    granted += peer->vote == VOTE_GRANTED;
    refused += peer->vote == VOTE_REFUSED;
  }
  if (granted >= raft_quorum(raft)) {
    if (raft->role == CORACLE_RAFT_PRE_CANDIDATE)
      become_candidate(raft, false);
    else
      raft_become_leader(raft);
  } else if (voters - refused < raft_quorum(raft)) {
    raft_become_follower(raft, raft->term, 0);
  }
}

/* Asks first whether an election could be won, in a term that nobody enters for being asked (section 9.6). */
void raft_campaign(struct coracle_raft *raft) {
  if (!raft_is_electable(raft) || raft_is_resting(raft)) return;
  raft->counters.elections++;
  begin_election(raft, CORACLE_RAFT_PRE_CANDIDATE);
  ask_for_votes(raft);
  count_votes(raft); /* a sole voter needs nobody else */
}

void raft_campaign_for_transfer(struct coracle_raft *raft) {
  if (!raft_is_electable(raft) || raft_is_resting(raft)) return;
  raft->counters.elections++;
  become_candidate(raft, true);
}

void raft_election_timeout(struct coracle_raft *raft) {
  if (raft->now_ms >= raft->election_deadline_ms) {
    if (raft_is_electable(raft) && !raft_is_resting(raft))
      raft_campaign(raft);
    else
      raft_become_follower(raft, raft->term, 0);
  } else if (raft->role != CORACLE_RAFT_FOLLOWER && raft->now_ms >= raft->heartbeat_deadline_ms) {
    ask_for_votes(raft);
  }
}

void raft_election_persisted(struct coracle_raft *raft) {
  if (raft->role == CORACLE_RAFT_CANDIDATE) count_votes(raft);
}

/* The no-op lets the new leader commit what its predecessors left (section 3.6.2, and 6.4 for reads). Its
 * first heartbeats tell everybody at once. */
void raft_become_leader(struct coracle_raft *raft) {
  raft->role = CORACLE_RAFT_LEADER;
  raft->leader = raft->options.id;
  raft->leader_since_ms = raft->now_ms;
  raft->election_deadline_ms = NEVER;
  raft->term_start_index = raft_log_last_index(&raft->log) + 1;
  raft->commit_sampled = raft->commit_aged = raft->commit_index;
  raft->commit_sampled_ms = raft->now_ms;
  raft->learner_added_ms = raft->now_ms;
  raft->was_pending = false;
  raft->leader_first_round = raft->round + 1;
  raft->leader_link = 0;
  for (size_t i = 0; i < raft->peers_n; i++) {
    struct raft_peer *peer = &raft->peers[i];
    peer->match = peer->id == raft->options.id ? raft->persisted_index : 0;
    peer->next = raft->term_start_index;
    peer->state = REPLICATION_PROBE;
    peer->probing = false;
    peer->commit_sent = 0;
    peer->round_answered = 0;
    peer->link = peer->id == raft->options.id; /* streams run from leader to follower: these are new ones */
  }

  struct coracle_raft_entry *noop = raft->noop;
  raft->noop = NULL;
  noop->term = raft->term;
  noop->index = raft->term_start_index;
  raft_persist_entry(raft, noop);
  raft->heartbeat_deadline_ms = raft->now_ms + raft->options.heartbeat_ms;
  raft_broadcast_heartbeat(raft);
}

static void reply_to_vote_request(struct coracle_raft *raft, const struct coracle_raft_message *request,
                                  bool granted) {
  struct coracle_raft_message *reply = raft_message(raft, CORACLE_RAFT_VOTE_REPLY, request->from);
  reply->term = granted ? request->term : raft->term;
  reply->round = request->round;
  reply->after_sequence = raft->vote_sequence;
  reply->vote_reply.pre = request->vote_request.pre;
  reply->vote_reply.granted = granted;
}

/* Granting a pre-vote is no promise and renews nothing. A voter that must refuse because its own log is newer
 * would win where the asker cannot, so it asks itself. */
static void receive_pre_vote_request(struct coracle_raft *raft, const struct coracle_raft_message *request) {
  const bool up_to_date =
      log_is_up_to_date(raft, request->vote_request.last_term, request->vote_request.last_index);
  const bool hears_leader = raft_hears_leader(raft);
  reply_to_vote_request(raft, request, request->term > raft->term && up_to_date && !hears_leader);
  if (hears_leader) {
    raft->premature = *request;
    raft->premature_ms = raft->now_ms;
  } else if (!up_to_date && raft->role == CORACLE_RAFT_FOLLOWER) {
    raft_campaign(raft);
  }
}

void raft_answer_premature(struct coracle_raft *raft) {
  struct coracle_raft_message request = raft->premature;
  raft->premature.from = 0;
  if (request.from != 0 && !raft_elapsed(raft, raft->premature_ms, raft->options.heartbeat_ms))
    receive_pre_vote_request(raft, &request);
}

/* Section 3.4; a learner votes too when asked: the asker may know a configuration in which it is a voter
 * (section 4.2.1). While the leader is heard its rivals get no answer (section 4.2.3), but for the one that
 * it wants to lead. */
void raft_receive_vote_request(struct coracle_raft *raft, const struct coracle_raft_message *request) {
  if (request->term == 0) {
    raft->counters.dropped_invalid++;
    return;
  }
  if (request->vote_request.pre) {
    receive_pre_vote_request(raft, request);
    return;
  }
  if (raft_hears_leader(raft) && !request->vote_request.transfer && request->term >= raft->term) return;
  if (request->term > raft->term) raft_become_follower(raft, request->term, 0);

  const bool granted =
      request->term == raft->term && (raft->voted_for == 0 || raft->voted_for == request->from) &&
      log_is_up_to_date(raft, request->vote_request.last_term, request->vote_request.last_index);
  if (granted) {
    if (raft->voted_for == 0) {
      raft->voted_for = request->from;
      raft_persist_vote(raft);
    }
    raft_become_follower(raft, raft->term, 0);
  }
  reply_to_vote_request(raft, request, granted);
}

/* Voters that still heard the leader refused, and take it back when its stream ends there too, a moment after
 * it did here: what was given up for that goes on. */
static void resume_pre_candidacy(struct coracle_raft *raft, const struct raft_peer *peer,
                                 const struct coracle_raft_message *grant) {
  if (raft->role != CORACLE_RAFT_FOLLOWER || raft->leader != 0 || peer->vote != VOTE_REFUSED ||
      grant->round != raft->round || grant->term != raft->term + 1)
    return;
  raft->role = CORACLE_RAFT_PRE_CANDIDATE;
  raft->heartbeat_deadline_ms = raft->now_ms + raft->options.heartbeat_ms;
}

void raft_receive_vote_reply(struct coracle_raft *raft, const struct coracle_raft_message *reply) {
  struct raft_peer *peer = raft_peer_find(raft, reply->from);
  const bool pre = reply->vote_reply.pre, granted = reply->vote_reply.granted;
  if (peer == NULL || !peer->voter) { /* only voters were asked */
    raft->counters.dropped_stranger++;
    return;
  }
  if (reply->term > raft->term && !(pre && granted)) {
    raft_become_follower(raft, reply->term, 0);
    return;
  }
  if (pre && granted) resume_pre_candidacy(raft, peer, reply);
  const enum coracle_raft_role asking = pre ? CORACLE_RAFT_PRE_CANDIDATE : CORACLE_RAFT_CANDIDATE;
  if (raft->role != asking || reply->round != raft->round) {
    raft->counters.dropped_stale++;
    return;
  }
  peer->vote = granted ? VOTE_GRANTED : VOTE_REFUSED;
  count_votes(raft);
}
