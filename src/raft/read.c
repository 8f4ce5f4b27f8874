/* Reads without writing to the log (ReadIndex, section 6.4). What a leader has committed when a read arrives
 * is what the read must see, provided that the leader was one at that moment: a majority of the voters must
 * answer a heartbeat that was sent after the read came. Every heartbeat has a round of its own, so no answer
 * to an older one can be taken for it. A follower asks its leader for the index, over the stream.
 *
 * Reads share: those that come while a round is under way wait for the next one, and those that come while a
 * follower's request is under way share its next one. */
#include "raft/core.h"

#include <assert.h>

enum {
  READ_REPEAT_MS = 5
}; /* datagrams get lost: a round that is not confirmed by then is followed by another */

static void add(struct coracle_raft *raft, uint64_t from, uint64_t number) {
  assert(raft->reads_n < sizeof raft->reads / sizeof raft->reads[0]);
  raft->reads[raft->reads_n++] = (struct raft_read){.from = from, .number = number};
}

static void tell(struct coracle_raft *raft, uint64_t number, uint64_t index, bool failed) {
  assert(raft->effects.reads_n < READS_MAX);
  raft->outcomes[raft->effects.reads_n++] =
      (struct coracle_raft_read){.read = number, .index = index, .failed = failed};
}

/* Whoever asks for others will hear of the loss by the end of the stream. */
void raft_fail_reads(struct coracle_raft *raft) {
  for (size_t i = 0; i < raft->reads_n; i++)
    if (raft->reads[i].from == 0) tell(raft, raft->reads[i].number, 0, true);
  raft->reads_n = 0;
  raft->read_round = 0;
  raft->read_deadline_ms = NEVER;
}

/* ---- The leader ---- */

/* The newest round that a majority of voters has answered; a leader that votes answers its own. */
static uint64_t confirmed_round(const struct coracle_raft *raft) {
  uint64_t rounds[CORACLE_RAFT_MEMBERS_MAX];
  size_t n = 0;
  for (size_t i = 0; i < raft->peers_n; i++) {
    const struct raft_peer *peer = &raft->peers[i];
    if (peer->voter) rounds[n++] = peer->id == raft->options.id ? raft->round : peer->round_answered;
  }
  return raft_majority_has(raft, rounds, n);
}

/* Leadership began with all that was committed before in its log, but only an entry of its own term says how
 * far that reaches (section 6.4, step 1). */
static bool knows_what_is_committed(const struct coracle_raft *raft) {
  return raft->commit_index >= raft->term_start_index;
}

/* Those that wait for a round come last. */
static bool any_waits(const struct coracle_raft *raft) {
  return raft->reads_n > 0 && raft->reads[raft->reads_n - 1].round == 0;
}

void raft_reads_join_round(struct coracle_raft *raft) {
  if (!knows_what_is_committed(raft)) return;
  for (size_t i = raft->reads_n; i > 0 && raft->reads[i - 1].round == 0; i--) {
    raft->reads[i - 1].round = raft->round;
    raft->reads[i - 1].index = raft->commit_index;
  }
  if (raft->reads_n == 0) return;
  raft->read_round = raft->round;
  raft->read_deadline_ms = raft->now_ms + READ_REPEAT_MS;
}

static void answer(struct coracle_raft *raft, const struct raft_read *read) {
  if (read->from == 0) {
    tell(raft, read->number, read->index, false);
    return;
  }
  struct coracle_raft_message *reply = raft_message(raft, CORACLE_RAFT_READ_REPLY, read->from);
  reply->after_sequence = raft->vote_sequence;
  reply->read_reply.request = read->number;
  reply->read_reply.index = read->index;
}

static void answer_confirmed(struct coracle_raft *raft) {
  const uint64_t confirmed = confirmed_round(raft);
  size_t kept = 0;
  for (size_t i = 0; i < raft->reads_n; i++) {
    const struct raft_read read = raft->reads[i];
    if (read.from != 0 && raft_peer_find(raft, read.from) == NULL) continue; /* a member no longer */
    if (read.round != 0 && read.round <= confirmed)
      answer(raft, &read);
    else
      raft->reads[kept++] = read;
  }
  raft->reads_n = kept;
  if (kept == 0 || raft->read_round <= confirmed) raft->read_round = 0;
}

void raft_advance_reads(struct coracle_raft *raft) {
  if (raft->role != CORACLE_RAFT_LEADER || raft->reads_n == 0) return;
  answer_confirmed(raft);
  if (any_waits(raft) && raft->read_round == 0 && knows_what_is_committed(raft)) {
    raft_broadcast_heartbeat(raft);
    answer_confirmed(raft); /* a sole voter needs nobody's answer */
  }
  if (raft->read_round == 0) raft->read_deadline_ms = NEVER;
}

/* A peer has one request under way: if it asks again, it has given up on the one before. */
void raft_receive_read_request(struct coracle_raft *raft, const struct coracle_raft_message *request) {
  struct raft_peer *peer = raft_hear_reply(raft, request);
  if (peer == NULL) return;
  peer->last_contact_ms = raft->now_ms;
  size_t kept = 0;
  for (size_t i = 0; i < raft->reads_n; i++)
    if (raft->reads[i].from != peer->id) raft->reads[kept++] = raft->reads[i];
  raft->reads_n = kept;
  add(raft, peer->id, request->read_request.request);
}

/* ---- The follower ---- */

static bool request_is_under_way(const struct coracle_raft *raft) {
  return raft->reads_n > 0 && raft->reads[0].round != 0;
}

static void ask_leader(struct coracle_raft *raft) {
  if (!any_waits(raft) || request_is_under_way(raft)) return;
  raft->read_request++;
  for (size_t i = 0; i < raft->reads_n; i++) raft->reads[i].round = raft->read_request;
  struct coracle_raft_message *request = raft_message(raft, CORACLE_RAFT_READ_REQUEST, raft->leader);
  request->after_sequence = raft->vote_sequence;
  request->read_request.request = raft->read_request;
}

/* Only what answers the request under way counts, and only from the leader of this term: one that does not
 * know yet that it was deposed speaks for an older one. */
void raft_receive_read_reply(struct coracle_raft *raft, const struct coracle_raft_message *reply) {
  if (reply->term != raft->term) {
    raft->counters.dropped_stale++;
    return;
  }
  if (!raft_hear_leader(raft, reply)) return;
  if (!request_is_under_way(raft) || reply->read_reply.request != raft->reads[0].round) {
    raft->counters.dropped_stale++;
    return;
  }
  size_t kept = 0;
  for (size_t i = 0; i < raft->reads_n; i++) {
    if (raft->reads[i].round != 0)
      tell(raft, raft->reads[i].number, reply->read_reply.index, false);
    else
      raft->reads[kept++] = raft->reads[i];
  }
  raft->reads_n = kept;
  ask_leader(raft);
}

/* ---- Both ---- */

int raft_read(struct coracle_raft *raft, uint64_t number) {
  const bool leads = raft->role == CORACLE_RAFT_LEADER;
  if (!leads && (raft->leader == 0 || raft->leader != raft->leader_link)) return CORACLE_RAFT_ENOTLEADER;
  if (raft->reads_n >= READS_MAX) return CORACLE_RAFT_EBUSY;
  add(raft, 0, number);
  if (!leads) ask_leader(raft);
  return 0;
}
