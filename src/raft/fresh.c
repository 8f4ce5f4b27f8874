/* Since when this server is known to have everything that was committed: how old its state machine may be.
 * That is for readers who do not need the newest; no rule of Raft rests on it. (A heartbeat takes a while to
 * come, and its sender may have been deposed without knowing it.) */
#include "raft/core.h"

/* Answers from a majority come once a heartbeat; one that is late says nothing yet. */
enum { UNANSWERED_HEARTBEATS = 2 };

/* A leader's commit index says how far all that was acknowledged reaches only once an entry of its own term
 * is committed (section 6.4); where that one is committed here too, the leader's index includes it. */
static bool has_all(const struct coracle_raft *raft, uint64_t leader_commit) {
  return raft->commit_index >= leader_commit && raft_log_term(&raft->log, raft->commit_index) == raft->term;
}

void raft_note_leader_commit(struct coracle_raft *raft, uint64_t leader_commit) {
  raft->fresh_ms = raft_fresh_ms(raft, raft->now_ms);
  if (raft->behind_ms != NEVER && has_all(raft, raft->behind_commit)) raft->behind_ms = NEVER;
  if (has_all(raft, leader_commit)) {
    raft->fresh_ms = raft->now_ms;
  } else if (raft->behind_ms == NEVER) {
    raft->behind_ms = raft->now_ms;
    raft->behind_commit = leader_commit;
  }
}

/* When a majority of the voters, this leader included, was last in contact. */
static uint64_t quorum_contact_ms(const struct coracle_raft *raft, uint64_t now_ms) {
  uint64_t contacts_ms[CORACLE_RAFT_MEMBERS_MAX];
  size_t n = 0;
  for (size_t i = 0; i < raft->peers_n; i++) {
    const struct raft_peer *peer = &raft->peers[i];
    if (!peer->voter) continue;
    uint64_t contact_ms =
        peer->last_contact_ms > raft->leader_since_ms ? peer->last_contact_ms : raft->leader_since_ms;
    contacts_ms[n++] = peer->id == raft->options.id ? now_ms : contact_ms;
  }
  return raft_majority_has(raft, contacts_ms, n);
}

uint64_t raft_fresh_ms(const struct coracle_raft *raft, uint64_t now_ms) {
  uint64_t fresh_ms = raft->fresh_ms;
  if (raft->role == CORACLE_RAFT_LEADER && raft->commit_index >= raft->term_start_index) {
    fresh_ms = quorum_contact_ms(raft, now_ms);
    if (fresh_ms + UNANSWERED_HEARTBEATS * (uint64_t)raft->options.heartbeat_ms >= now_ms) fresh_ms = now_ms;
  } else if (raft->behind_ms != NEVER && has_all(raft, raft->behind_commit)) {
    fresh_ms = raft->behind_ms;
  }
  return fresh_ms > raft->fresh_ms ? fresh_ms : raft->fresh_ms;
}
