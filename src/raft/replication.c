/* AppendEntries, both sides, and the commit index (sections 3.5 and 3.6). It travels on streams: in order
 * while one lasts, so a leader finds once where the logs agree and from then on sends without waiting. */
#include "raft/core.h"

#include <assert.h>

enum { APPEND_ENTRIES_MAX = 16384 }; /* bounds what entries of few bytes add to a frame */

/* ---- The leader ---- */

static uint64_t send_append(struct coracle_raft *raft, struct raft_peer *peer, size_t entries_n) {
  struct coracle_raft_message *append = raft_message(raft, CORACLE_RAFT_APPEND, peer->id);
  append->after_sequence =
      raft->sole_sequence > raft->vote_sequence ? raft->sole_sequence : raft->vote_sequence;
  append->append.previous_index = peer->next - 1;
  append->append.previous_term = raft_log_term(&raft->log, peer->next - 1);
  append->append.commit = raft->commit_index;
  append->append.entries = entries_n > 0 ? raft_log_slots(&raft->log, peer->next) : NULL;
  append->append.entries_n = entries_n;
  peer->commit_sent = raft->commit_index;
  peer->appends_in_step++;
  return peer->next + entries_n;
}

/* A learner gets only what is committed. It never asks for votes, but its vote may be needed, by a
 * configuration that made it a voter and has not reached it, or that was taken back: its log must not be
 * newer than that of the server which asks then. */
static uint64_t last_to_send(const struct coracle_raft *raft, const struct raft_peer *peer) {
  return peer->voter ? raft_log_last_index(&raft->log) : raft->commit_index;
}

/* How many entries from `next` to `last` go into one append: as many as fit, and at least one. */
static size_t entries_that_fit(const struct coracle_raft *raft, uint64_t next, uint64_t last) {
  uint64_t bytes = 0;
  size_t n = 0;
  while (next + n <= last && n < APPEND_ENTRIES_MAX) {
    bytes += raft_log_at(&raft->log, next + n)->bytes;
    if (n > 0 && bytes > raft->options.append_bytes_max) break;
    n++;
  }
  return n;
}

static bool window_is_open(const struct coracle_raft *raft, const struct raft_peer *peer) {
  return raft_log_bytes_between(&raft->log, peer->match, peer->next - 1) < raft->options.inflight_bytes_max;
}

void raft_replicate(struct coracle_raft *raft, struct raft_peer *peer) {
  if (raft->role != CORACLE_RAFT_LEADER || !peer->link || peer->id == raft->options.id) return;
  if (peer->state == REPLICATION_SNAPSHOT || raft_needs_snapshot(raft, peer)) {
    raft_send_snapshot(raft, peer);
    return;
  }
  if (peer->state == REPLICATION_PROBE) {
    if (!peer->probing) send_append(raft, peer, 0);
    peer->probing = true;
    return;
  }
  const uint64_t last = last_to_send(raft, peer);
  while (peer->next <= last && window_is_open(raft, peer) && peer->appends_in_step < APPENDS_PER_STEP_MAX)
    peer->next = send_append(raft, peer, entries_that_fit(raft, peer->next, last));
  if (peer->commit_sent < raft->commit_index && raft->commit_notice_ms == NEVER &&
      peer->appends_in_step < APPENDS_PER_STEP_MAX)
    send_append(raft, peer, 0);
}

void raft_replicate_to_all(struct coracle_raft *raft) {
  for (size_t i = 0; i < raft->peers_n; i++) raft_replicate(raft, &raft->peers[i]);
}

void raft_commit_to(struct coracle_raft *raft, uint64_t index) {
  if (index <= raft->commit_index) return;
  assert(index <= raft_log_last_index(&raft->log));
  raft->commit_index = index;
  raft_configuration_commit_advanced(raft);
}

uint64_t raft_majority_match(const struct coracle_raft *raft) {
  uint64_t matches[CORACLE_RAFT_MEMBERS_MAX];
  size_t n = 0;
  for (size_t i = 0; i < raft->peers_n; i++)
    if (raft->peers[i].voter) matches[n++] = raft->peers[i].match;
  return raft_majority_has(raft, matches, n);
}

/* The highest index that a majority of voters has durably; it commits, and with it all before, if it is of
 * the leader's own term (section 3.6.2, Figure 3.7: counting copies of older entries would not do). */
void raft_advance_commit(struct coracle_raft *raft) {
  const uint64_t index = raft_majority_match(raft);
  if (index <= raft->commit_index || raft_log_term(&raft->log, index) != raft->term) return;
  raft_commit_to(raft, index);
  raft->leader_commit = index;
  if (raft->commit_notice_ms == NEVER) raft->commit_notice_ms = raft->now_ms + COMMIT_NOTICE_MS;
}

void raft_link_changed(struct coracle_raft *raft, uint64_t id, bool up) {
  struct raft_peer *peer = raft_peer_find(raft, id);
  if (!up && id == raft->leader && raft->role == CORACLE_RAFT_FOLLOWER) {
    raft->leader_heard_ms = NEVER;
    raft->lost_leader = id;
    raft->lost_ms = raft->now_ms;
    raft_answer_premature(raft);
  }
  if (up && id == raft->lost_leader) raft->lost_leader = 0;
  if (raft->role != CORACLE_RAFT_LEADER && (up || id == raft->leader_link)) {
    raft_fail_reads(raft); /* what was asked over the stream before this one will not be answered */
    raft->leader_link = up ? id : 0;
  }
  if (peer == NULL || id == raft->options.id) return;
  peer->link = up;
  if (raft->role != CORACLE_RAFT_LEADER) return;
  raft_pause_sending(peer);
  if (up) {
    peer->state = REPLICATION_PROBE;
    peer->probing = false;
    peer->next = (peer->match > 0 ? peer->match : raft_log_last_index(&raft->log)) + 1;
    raft_replicate(raft, peer);
  } else {
    raft_cancel_change_of(raft, id);
  }
}

/* Backs up by a whole term at a time (section 3.5): to the end of the follower's conflicting term in this log
 * if there is one, else to where that term begins in the follower's. Never to or below what is known to
 * match. */
static void back_up(struct coracle_raft *raft, struct raft_peer *peer,
                    const struct coracle_raft_message *reply) {
  uint64_t next = reply->append_reply.conflict_index;
  if (reply->append_reply.conflict_term != 0) {
    uint64_t index = peer->next - 1;
    while (index > 0 && raft_log_term(&raft->log, index) > reply->append_reply.conflict_term) index--;
    if (raft_log_term(&raft->log, index) == reply->append_reply.conflict_term) next = index + 1;
  }
  if (next >= peer->next)
    next = peer->next - 1; /* each probe is lower than the last, whatever the reply says */
  peer->next = next > peer->match ? next : peer->match + 1;
}

/* What it once acknowledged it cannot refuse: it has lost its log, and asking it again would go in
 * circles. */
static bool is_refusal_to_heed(const struct raft_peer *peer, uint64_t previous_index) {
  return previous_index > peer->match && peer->state != REPLICATION_SNAPSHOT &&
         (previous_index == peer->next - 1 || peer->state == REPLICATION_PIPELINE);
}

/* The logs are known to agree up to `next`. */
static void go_on(struct coracle_raft *raft, struct raft_peer *peer) {
  raft_stop_sending(raft, peer);
  peer->state = REPLICATION_PIPELINE;
  peer->probing = false;
}

void raft_receive_append_reply(struct coracle_raft *raft, const struct coracle_raft_message *reply) {
  struct raft_peer *peer = raft_hear_reply(raft, reply);
  if (peer == NULL) return;
  peer->last_contact_ms = raft->now_ms;

  if (reply->append_reply.success) {
    if (reply->append_reply.match > raft_log_last_index(&raft->log)) {
      raft->counters.dropped_invalid++;
      return;
    }
    if (reply->append_reply.match > peer->match) peer->match = reply->append_reply.match;
    if (peer->next <= peer->match) peer->next = peer->match + 1;
    if (peer->state != REPLICATION_SNAPSHOT || !raft_needs_snapshot(raft, peer)) go_on(raft, peer);
    raft_advance_commit(raft);
    raft_promote_learners(raft);
  } else if (is_refusal_to_heed(peer, reply->append_reply.previous_index)) {
    peer->state = REPLICATION_PROBE;
    peer->probing = false;
    back_up(raft, peer, reply);
  } else {
    raft->counters.dropped_stale++;
  }
  raft_replicate(raft, peer);
}

/* ---- The follower ---- */

/* Everything is checked before anything changes. */
bool raft_append_is_valid(const struct coracle_raft *raft, const struct coracle_raft_message *append) {
  uint64_t previous = append->append.previous_index, term = append->append.previous_term;
  if ((previous == 0) != (term == 0) || term > append->term) return false;
  for (size_t i = 0; i < append->append.entries_n; i++) {
    const struct coracle_raft_entry *entry = append->append.entries[i];
    const uint64_t own_term = raft_log_term(&raft->log, entry->index);
    if (entry->index != previous + 1 + i || entry->term == 0) return false;
    if (entry->term < term || entry->term > append->term) return false;
    if (entry->index <= raft->commit_index && own_term != 0 && own_term != entry->term) return false;
    if (!raft_entry_is_valid(entry)) return false;
    term = entry->term;
  }
  return true;
}

static struct coracle_raft_message *append_reply(struct coracle_raft *raft,
                                                 const struct coracle_raft_message *append, bool success) {
  struct coracle_raft_message *reply = raft_message(raft, CORACLE_RAFT_APPEND_REPLY, append->from);
  reply->round = append->round;
  reply->after_sequence = raft->vote_sequence;
  reply->append_reply.success = success;
  reply->append_reply.previous_index = append->append.previous_index;
  return reply;
}

/* Where the leader should try next: past the end of a short log, or at the first entry of the conflicting
 * term. */
static void refuse(struct coracle_raft *raft, const struct coracle_raft_message *append) {
  struct coracle_raft_message *reply = append_reply(raft, append, false);
  uint64_t index = append->append.previous_index;
  if (index > raft_log_last_index(&raft->log)) {
    reply->append_reply.conflict_index = raft_log_last_index(&raft->log) + 1;
    return;
  }
  uint64_t term = raft_log_term(&raft->log, index);
  while (index > raft->commit_index + 1 && raft_log_term(&raft->log, index - 1) == term) index--;
  reply->append_reply.conflict_index = index;
  reply->append_reply.conflict_term = term;
}

/* Truncates only where an entry of another term stands in the way: a shorter append that comes late must not
 * shorten what was acknowledged since (Figure 3.1, AppendEntries rule 3). */
static void store_entries(struct coracle_raft *raft, const struct coracle_raft_message *append) {
  for (size_t i = 0; i < append->append.entries_n; i++) {
    struct coracle_raft_entry *entry = append->append.entries[i];
    const struct coracle_raft_entry *own = raft_log_at(&raft->log, entry->index);
    if (entry->index < raft->log.first_index || (own != NULL && own->term == entry->term)) continue;
    if (own != NULL) raft_persist_truncate(raft, entry->index);
    raft_persist_entry(raft, coracle_raft_entry_ref(entry));
  }
}

void raft_receive_append(struct coracle_raft *raft, const struct coracle_raft_message *append) {
  if (append->term < raft->term) {
    append_reply(raft, append, false); /* an old leader hears of the newer term by this */
    return;
  }
  if (!raft_append_is_valid(raft, append)) {
    raft->counters.dropped_invalid++;
    return;
  }
  if (!raft_hear_leader(raft, append)) return;
  if (append->append.previous_index > raft_log_last_index(&raft->log) ||
      (append->append.previous_index >= raft->log.first_index &&
       raft_log_term(&raft->log, append->append.previous_index) != append->append.previous_term)) {
    refuse(raft, append);
    return;
  }

  store_entries(raft, append);
  uint64_t match = append->append.previous_index + append->append.entries_n;
  if (append->append.commit > raft->leader_commit) raft->leader_commit = append->append.commit;
  raft_commit_to(raft, append->append.commit < match ? append->append.commit : match);

  struct coracle_raft_message *reply = append_reply(raft, append, true);
  if (raft->entries_sequence > reply->after_sequence) reply->after_sequence = raft->entries_sequence;
  reply->append_reply.match = match;
}
