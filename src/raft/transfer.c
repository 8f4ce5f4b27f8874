/* Handing leadership over: to a voter of the application's choice (section 3.10), or by a leader that was
 * removed from the configuration to the most advanced of those that stay (section 4.2.2). The target has the
 * whole log when it is told to campaign; it asks for votes at once, without a pre-vote, and its requests say
 * that the leader wants them granted. */
#include "raft/core.h"

int raft_transfer(struct coracle_raft *raft, uint64_t target) {
  if (raft->role != CORACLE_RAFT_LEADER) return CORACLE_RAFT_ENOTLEADER;
  const struct raft_peer *peer = raft_peer_find(raft, target);
  if (target == raft->options.id || peer == NULL || !peer->voter) return CORACLE_RAFT_EINVALID;
  if (raft->transfer_to != 0) return CORACLE_RAFT_EBUSY;
  raft->transfer_to = target;
  raft->transfer_told = false;
  raft->transfer_deadline_ms = raft->now_ms + raft->options.election_timeout_ms;
  return 0;
}

void raft_give_up_transfer(struct coracle_raft *raft) {
  raft->transfer_to = 0;
  raft->transfer_deadline_ms = NEVER;
}

static void tell(struct coracle_raft *raft, uint64_t target) {
  raft_message(raft, CORACLE_RAFT_TIMEOUT_NOW, target)->after_sequence = raft->vote_sequence;
}

/* Nothing is proposed meanwhile, so the target catches up once. */
static void advance_transfer(struct coracle_raft *raft) {
  if (raft->transfer_to == 0) return;
  const struct raft_peer *peer = raft_peer_find(raft, raft->transfer_to);
  if (peer == NULL || !peer->voter || raft->now_ms >= raft->transfer_deadline_ms) {
    raft_give_up_transfer(raft);
    return;
  }
  if (!peer->link) raft->transfer_told = false; /* it may not have arrived */
  if (raft->transfer_told || !peer->link || peer->match < raft_log_last_index(&raft->log)) return;
  tell(raft, peer->id);
  raft->transfer_told = true;
}

static const struct raft_peer *most_advanced_voter(const struct coracle_raft *raft) {
  const struct raft_peer *best = NULL;
  for (size_t i = 0; i < raft->peers_n; i++) {
    const struct raft_peer *peer = &raft->peers[i];
    if (peer->voter && peer->link && (best == NULL || peer->match > best->match)) best = peer;
  }
  return best;
}

/* The configuration without this leader is committed: its work is done. */
static void leave(struct coracle_raft *raft) {
  const struct raft_peer *successor = most_advanced_voter(raft);
  if (successor != NULL) tell(raft, successor->id);
  raft_step_down(raft, CORACLE_RAFT_REMOVED);
}

void raft_advance_transfer(struct coracle_raft *raft) {
  if (raft->role != CORACLE_RAFT_LEADER) return;
  advance_transfer(raft);
  if (!raft_is_voter(raft) && raft->latest.index <= raft->commit_index) leave(raft);
}

/* Only from the leader of this term: whatever is late was overtaken by another election. */
void raft_receive_timeout_now(struct coracle_raft *raft, const struct coracle_raft_message *message) {
  if (message->term != raft->term || message->from != raft->leader || raft->role != CORACLE_RAFT_FOLLOWER) {
    raft->counters.dropped_stale++;
    return;
  }
  raft_campaign_for_transfer(raft);
}
