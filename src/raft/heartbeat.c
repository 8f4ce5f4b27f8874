/* Who is in contact with whom. Heartbeats go by datagram, so that no amount of log on the streams delays
 * them; a leader that a majority of voters no longer answers steps down (check-quorum, section 6.2). */
#include "raft/core.h"

void raft_broadcast_heartbeat(struct coracle_raft *raft) {
  raft->round++;
  raft_reads_join_round(raft);
  for (size_t i = 0; i < raft->peers_n; i++) {
    const struct raft_peer *peer = &raft->peers[i];
    if (peer->id == raft->options.id) continue;
    struct coracle_raft_message *heartbeat = raft_message(raft, CORACLE_RAFT_HEARTBEAT, peer->id);
    heartbeat->after_sequence = raft->vote_sequence;
    /* Never beyond what that log is known to share with this one: an index alone says nothing about a
     * divergent suffix. */
    heartbeat->heartbeat.commit = peer->match < raft->commit_index ? peer->match : raft->commit_index;
    heartbeat->heartbeat.leader_commit = raft->commit_index;
  }
}

/* Answered within an election timeout, over a stream that is open: what promoting a learner asks of every
 * voter. */
bool raft_voter_in_contact(const struct coracle_raft *raft, const struct raft_peer *peer) {
  if (peer->id == raft->options.id) return true;
  return peer->link && !raft_elapsed(raft, peer->last_contact_ms, raft->options.election_timeout_ms);
}

/* The longest that a follower waits before it campaigns: by then the majority may have another leader. It is
 * longer than what makes a member dead to the application, so that a leader may still remove one of two
 * voters. */
enum { QUORUM_TIMEOUTS = 2 };

static bool quorum_in_contact(const struct coracle_raft *raft) {
  uint32_t heard = 0;
  for (size_t i = 0; i < raft->peers_n; i++) {
    const struct raft_peer *peer = &raft->peers[i];
    uint64_t since_ms =
        peer->last_contact_ms > raft->leader_since_ms ? peer->last_contact_ms : raft->leader_since_ms;
    if (!peer->voter) continue;
    heard += peer->id == raft->options.id ||
             !raft_elapsed(raft, since_ms, QUORUM_TIMEOUTS * (uint64_t)raft->options.election_timeout_ms);
  }
  return heard >= raft_quorum(raft);
}

/* Learners are held to a commit index that has had an election timeout to reach them. */
static void sample_commit(struct coracle_raft *raft) {
  if (!raft_elapsed(raft, raft->commit_sampled_ms, raft->options.election_timeout_ms)) return;
  raft->commit_aged = raft->commit_sampled;
  raft->commit_sampled = raft->commit_index;
  raft->commit_sampled_ms = raft->now_ms;
}

void raft_leader_timeout(struct coracle_raft *raft) {
  if (raft->now_ms >= raft->heartbeat_deadline_ms) {
    if (!quorum_in_contact(raft)) {
      raft_step_down(raft, CORACLE_RAFT_NO_QUORUM);
      return;
    }
    if (raft_has_stalled(raft)) return;
    sample_commit(raft);
    raft->heartbeat_deadline_ms = raft->now_ms + raft->options.heartbeat_ms;
    raft_broadcast_heartbeat(raft);
    raft_promote_learners(raft);
  } else if (raft->now_ms >= raft->read_deadline_ms) {
    raft_broadcast_heartbeat(raft);
  }
  if (raft->now_ms >= raft->commit_notice_ms) {
    raft->commit_notice_ms = NEVER;
    raft_replicate_to_all(raft);
  }
}

bool raft_hear_leader(struct coracle_raft *raft, const struct coracle_raft_message *message) {
  const bool same_term = message->term == raft->term;
  if (message->term == 0 || (same_term && raft->role == CORACLE_RAFT_LEADER) ||
      (same_term && raft->leader != 0 && raft->leader != message->from)) {
    raft->counters.dropped_invalid++; /* a term has one leader (section 3.4): this is no message of ours */
    return false;
  }
  if (!same_term || raft->role != CORACLE_RAFT_FOLLOWER || raft->leader == 0)
    raft_become_follower(raft, message->term, message->from);
  raft->leader_heard_ms = raft->now_ms;
  raft_reset_election_deadline(raft);
  return true;
}

/* A heartbeat that was on its way when the leader's process ended says nothing of its life. If it does live,
 * the next one will tell. */
static bool was_sent_before_the_end(const struct coracle_raft *raft,
                                    const struct coracle_raft_message *heartbeat) {
  return heartbeat->term == raft->term && heartbeat->from == raft->lost_leader &&
         !raft_elapsed(raft, raft->lost_ms, raft->options.heartbeat_ms);
}

static bool may_be_heard(struct coracle_raft *raft, const struct coracle_raft_message *heartbeat) {
  if (heartbeat->term < raft->term || raft_peer_find(raft, heartbeat->from) != NULL) return true;
  return heartbeat->term == raft->term && heartbeat->from == raft->leader;
}

/* A leader that is no member here may lead a later configuration than the one in this log. Its appends will
 * bring that one, over a stream that it could only open with this server's credentials; a datagram of a
 * stranger is not enough, unless it is followed already: it has taken itself out. An old leader is answered
 * all the same: in its own term it can open no stream. */
void raft_receive_heartbeat(struct coracle_raft *raft, const struct coracle_raft_message *heartbeat) {
  if (!may_be_heard(raft, heartbeat)) {
    raft->counters.dropped_stranger++;
    return;
  }
  if (heartbeat->heartbeat.commit > raft_log_last_index(&raft->log)) {
    raft->counters.dropped_invalid++;
    return;
  }
  if (was_sent_before_the_end(raft, heartbeat)) {
    raft->counters.dropped_stale++;
    return;
  }
  if (heartbeat->term >= raft->term) {
    if (!raft_hear_leader(raft, heartbeat)) return;
    if (heartbeat->heartbeat.leader_commit > raft->leader_commit)
      raft->leader_commit = heartbeat->heartbeat.leader_commit;
    raft_commit_to(raft, heartbeat->heartbeat.commit);
    raft_note_leader_commit(raft, heartbeat->heartbeat.leader_commit);
  }
  /* An old leader hears of the newer term by this. */
  struct coracle_raft_message *reply = raft_message(raft, CORACLE_RAFT_HEARTBEAT_REPLY, heartbeat->from);
  reply->round = heartbeat->round;
  reply->after_sequence = raft->vote_sequence;
}

struct raft_peer *raft_hear_reply(struct coracle_raft *raft, const struct coracle_raft_message *reply) {
  struct raft_peer *peer = raft_peer_find(raft, reply->from);
  if (peer == NULL) { /* only members were asked anything */
    raft->counters.dropped_stranger++;
    return NULL;
  }
  if (reply->term > raft->term) {
    raft_become_follower(raft, reply->term, 0);
    return NULL;
  }
  if (raft->role != CORACLE_RAFT_LEADER || reply->term != raft->term) {
    raft->counters.dropped_stale++;
    return NULL;
  }
  return peer;
}

void raft_receive_heartbeat_reply(struct coracle_raft *raft, const struct coracle_raft_message *reply) {
  struct raft_peer *peer = raft_hear_reply(raft, reply);
  if (peer == NULL) return;
  if (reply->round < raft->leader_first_round || reply->round > raft->round) {
    raft->counters.dropped_stale++;
    return;
  }
  peer->last_contact_ms = raft->now_ms;
  if (reply->round > peer->round_answered) peer->round_answered = reply->round;
}
