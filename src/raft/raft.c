/* The step function: an event in, effects out; and what the rest of the core shares. */
#include "raft/core.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
  APPEND_BYTES_DEFAULT = 1024 * 1024,
  INFLIGHT_BYTES_DEFAULT = 8 * 1024 * 1024,
  UNCOMMITTED_BYTES_DEFAULT = 64 * 1024 * 1024,
  TRAILING_BYTES_DEFAULT = 16 * 1024 * 1024,
  CHUNK_BYTES_DEFAULT = 256 * 1024,
  STALL_TIMEOUT_DEFAULT_MS = 5000,
  PERSISTING_CAPACITY_MIN = 16,
};

int coracle_raft_new(const struct coracle_raft_options *options, struct coracle_raft **result) {
  if (options->id == 0 || options->heartbeat_ms == 0 || options->election_timeout_ms <= options->heartbeat_ms)
    return CORACLE_RAFT_EINVALID;
  struct coracle_raft *raft = calloc(1, sizeof *raft);
  if (raft == NULL) return CORACLE_RAFT_ENOMEM;

  raft->options = *options;
  if (raft->options.append_bytes_max == 0) raft->options.append_bytes_max = APPEND_BYTES_DEFAULT;
  if (raft->options.inflight_bytes_max == 0) raft->options.inflight_bytes_max = INFLIGHT_BYTES_DEFAULT;
  if (raft->options.uncommitted_bytes_max == 0)
    raft->options.uncommitted_bytes_max = UNCOMMITTED_BYTES_DEFAULT;
  if (raft->options.trailing_bytes == 0) raft->options.trailing_bytes = TRAILING_BYTES_DEFAULT;
  if (raft->options.chunk_bytes_max == 0) raft->options.chunk_bytes_max = CHUNK_BYTES_DEFAULT;
  if (raft->options.stall_timeout_ms == 0) raft->options.stall_timeout_ms = STALL_TIMEOUT_DEFAULT_MS;
  raft->random.state = options->seed;
  raft->round = random_next(&raft->random) >> 8; /* far from those of an earlier start */
  raft_log_init(&raft->log);
  raft->leader_heard_ms = NEVER;
  raft->read_request = random_next(&raft->random) >> 8;
  raft->election_deadline_ms = raft->heartbeat_deadline_ms = NEVER;
  raft->commit_notice_ms = raft->read_deadline_ms = raft->transfer_deadline_ms = NEVER;
  raft->behind_ms = NEVER;
  *result = raft;
  return 0;
}

void coracle_raft_free(struct coracle_raft *raft) {
  if (raft == NULL) return;
  raft_log_close(&raft->log);
  raft_snapshots_close(raft);
  if (raft->noop != NULL) coracle_raft_entry_unref(raft->noop);
  free(raft->persisting);
  free(raft);
}

/* ---- Shared by the other files ---- */

struct raft_peer *raft_peer_find(struct coracle_raft *raft, uint64_t id) {
  for (size_t i = 0; i < raft->peers_n; i++)
    if (raft->peers[i].id == id) return &raft->peers[i];
  return NULL;
}

struct raft_peer *raft_self(struct coracle_raft *raft) {
  return raft_peer_find(raft, raft->options.id);
}

bool raft_is_voter(const struct coracle_raft *raft) {
  for (size_t i = 0; i < raft->peers_n; i++)
    if (raft->peers[i].id == raft->options.id) return raft->peers[i].voter;
  return false;
}

uint32_t raft_quorum(const struct coracle_raft *raft) {
  return coracle_raft_configuration_voters(&raft->latest.value) / 2 + 1;
}

uint64_t raft_majority_has(const struct coracle_raft *raft, uint64_t *values, size_t n) {
  assert(n > 0 && raft_quorum(raft) <= n);
  for (size_t i = 1; i < n; i++) {
    const uint64_t value = values[i];
    size_t at = i;
    for (; at > 0 && values[at - 1] < value; at--) values[at] = values[at - 1];
    values[at] = value;
  }
  return values[raft_quorum(raft) - 1];
}

bool raft_elapsed(const struct coracle_raft *raft, uint64_t since_ms, uint64_t span_ms) {
  return raft->now_ms >= since_ms && raft->now_ms - since_ms >= span_ms;
}

struct coracle_raft_message *raft_message(struct coracle_raft *raft, enum coracle_raft_message_type type,
                                          uint64_t to) {
  assert(raft->effects.messages_n < MESSAGES_MAX);
  struct coracle_raft_message *message = &raft->messages[raft->effects.messages_n++];
  *message = (struct coracle_raft_message){
      .type = (uint8_t)type, .from = raft->options.id, .to = to, .term = raft->term, .round = raft->round};
  return message;
}

static uint64_t step_sequence(struct coracle_raft *raft) {
  if (raft->effects.persist.sequence == 0) {
    assert(raft->persisting_n < raft->persisting_capacity);
    if (raft->persisting_n == 0) raft->disk_moved_ms = raft->now_ms;
    raft->effects.persist.sequence = ++raft->sequence;
    raft->persisting[raft->persisting_n++] = (struct raft_persisting){.sequence = raft->sequence};
  }
  return raft->effects.persist.sequence;
}

uint64_t raft_persist_vote(struct coracle_raft *raft) {
  raft->effects.persist.vote_changed = true;
  raft->vote_sequence = step_sequence(raft);
  return raft->vote_sequence;
}

void raft_persist_entry(struct coracle_raft *raft, struct coracle_raft_entry *entry) {
  raft->entries_sequence = step_sequence(raft);
  if (raft->appended_from == 0) raft->appended_from = entry->index;
  raft_log_append(&raft->log, entry);
  raft->persisting[raft->persisting_n - 1].last_index = entry->index;
  if (entry->type == CORACLE_RAFT_CONFIGURATION) raft_configuration_appended(raft, entry);
}

/* What was on its way to the disk from `from_index` on will not count as durable when it arrives: by then the
 * index may hold another entry (etcd's "async storage writes" ABA case). */
static void forget_durable(struct coracle_raft *raft, uint64_t from_index) {
  for (size_t i = 0; i < raft->persisting_n; i++)
    if (raft->persisting[i].last_index >= from_index) raft->persisting[i].last_index = from_index - 1;
  if (raft->persisted_index >= from_index) raft->persisted_index = from_index - 1;
}

void raft_persist_truncate(struct coracle_raft *raft, uint64_t from_index) {
  assert(from_index > raft->commit_index);
  assert(raft->appended_from == 0);
  raft->effects.persist.truncate_from = from_index;
  forget_durable(raft, from_index);
  raft_log_truncate(&raft->log, from_index);
  raft_configuration_truncated(raft);
}

uint64_t raft_persist_chunk(struct coracle_raft *raft, const struct coracle_raft_snapshot *snapshot,
                            const struct coracle_raft_message *message) {
  raft->effects.persist.chunk.snapshot = snapshot;
  raft->effects.persist.chunk.offset = message->snapshot.offset;
  raft->effects.persist.chunk.data = message->snapshot.data;
  raft->effects.persist.chunk.n = message->snapshot.n;
  return step_sequence(raft);
}

void raft_persist_installation(struct coracle_raft *raft, uint64_t index, bool keep_log) {
  raft->effects.persist.chunk.installs = true;
  raft->effects.persist.chunk.keep_log = keep_log;
  if (!keep_log) forget_durable(raft, raft->commit_index + 1);
  raft->entries_sequence = step_sequence(raft);
  raft->persisting[raft->persisting_n - 1].last_index = index;
}

/* ---- Events ---- */

static uint64_t uncommitted_bytes(const struct coracle_raft *raft) {
  return raft_log_bytes_between(&raft->log, raft->commit_index, raft_log_last_index(&raft->log));
}

static int propose(struct coracle_raft *raft, struct coracle_raft_entry **entries, size_t n) {
  uint64_t bytes = 0;
  if (raft->role != CORACLE_RAFT_LEADER) return CORACLE_RAFT_ENOTLEADER;
  if (n == 0) return CORACLE_RAFT_EINVALID;
  if (raft->transfer_to != 0) return CORACLE_RAFT_EBUSY;
  for (size_t i = 0; i < n; i++) {
    if (entries[i]->type != CORACLE_RAFT_COMMAND) return CORACLE_RAFT_EINVALID;
    bytes += entries[i]->bytes;
  }
  if (uncommitted_bytes(raft) + bytes > raft->options.uncommitted_bytes_max) return CORACLE_RAFT_EBUSY;

  for (size_t i = 0; i < n; i++) {
    entries[i]->term = raft->term;
    entries[i]->index = raft_log_last_index(&raft->log) + 1;
    raft_persist_entry(raft, entries[i]);
  }
  raft_replicate_to_all(raft);
  return 0;
}

static void persisted(struct coracle_raft *raft, uint64_t sequence) {
  size_t done = 0;
  while (done < raft->persisting_n && raft->persisting[done].sequence <= sequence) {
    if (raft->persisting[done].last_index > raft->persisted_index)
      raft->persisted_index = raft->persisting[done].last_index;
    done++;
  }
  raft->persisting_n -= done;
  memmove(raft->persisting, raft->persisting + done, raft->persisting_n * sizeof *raft->persisting);
  raft->persisted_sequence = sequence;
  raft->disk_moved_ms = raft->now_ms;

  struct raft_peer *self = raft_self(raft);
  if (raft->role == CORACLE_RAFT_LEADER && self != NULL) {
    self->match = raft->persisted_index;
    raft_advance_commit(raft);
    raft_promote_learners(raft);
  } else {
    raft_election_persisted(raft);
  }
}

static void receive(struct coracle_raft *raft, const struct coracle_raft_message *message) {
  if (message->to != raft->options.id || message->from == 0 || message->from == raft->options.id) {
    raft->counters.dropped_stranger++;
    return;
  }
  if (message->term > TERM_MAX) {
    raft->counters.dropped_invalid++;
    return;
  }
  /* A leader counts only answers to its own messages as contact: being heard by others is what keeps it
   * leader. */
  struct raft_peer *peer = raft_peer_find(raft, message->from);
  if (peer != NULL && raft->role != CORACLE_RAFT_LEADER) peer->last_contact_ms = raft->now_ms;

  switch ((enum coracle_raft_message_type)message->type) {
  case CORACLE_RAFT_VOTE_REQUEST:
    raft_receive_vote_request(raft, message);
    return;
  case CORACLE_RAFT_VOTE_REPLY:
    raft_receive_vote_reply(raft, message);
    return;
  case CORACLE_RAFT_HEARTBEAT:
    raft_receive_heartbeat(raft, message);
    return;
  case CORACLE_RAFT_HEARTBEAT_REPLY:
    raft_receive_heartbeat_reply(raft, message);
    return;
  case CORACLE_RAFT_APPEND:
    raft_receive_append(raft, message);
    return;
  case CORACLE_RAFT_APPEND_REPLY:
    raft_receive_append_reply(raft, message);
    return;
  case CORACLE_RAFT_READ_REQUEST:
    raft_receive_read_request(raft, message);
    return;
  case CORACLE_RAFT_READ_REPLY:
    raft_receive_read_reply(raft, message);
    return;
  case CORACLE_RAFT_TIMEOUT_NOW:
    raft_receive_timeout_now(raft, message);
    return;
  case CORACLE_RAFT_SNAPSHOT:
    raft_receive_snapshot(raft, message);
    return;
  case CORACLE_RAFT_SNAPSHOT_REPLY:
    raft_receive_snapshot_reply(raft, message);
    return;
  }
  raft->counters.dropped_invalid++;
}

/* Everything that handling an event may need memory for: after this it cannot fail halfway. */
static int reserve(struct coracle_raft *raft, const struct coracle_raft_event *event) {
  size_t entries = OWN_ENTRIES_PER_STEP_MAX;
  if (event->type == CORACLE_RAFT_START && event->start.restored != NULL)
    entries += event->start.restored->entries_n;
  if (event->type == CORACLE_RAFT_PROPOSE) entries += event->propose.entries_n;
  if (event->type == CORACLE_RAFT_RECEIVE && event->message->type == CORACLE_RAFT_APPEND)
    entries += event->message->append.entries_n;
  int error = raft_log_reserve(&raft->log, entries);
  if (error == 0) error = raft_snapshot_reserve(raft, event);
  if (error != 0) return error;

  if (raft->persisting_n == raft->persisting_capacity) {
    size_t capacity = raft->persisting_capacity > 0 ? raft->persisting_capacity * 2 : PERSISTING_CAPACITY_MIN;
    struct raft_persisting *persisting = realloc(raft->persisting, capacity * sizeof *persisting);
    if (persisting == NULL) return CORACLE_RAFT_ENOMEM;
    raft->persisting = persisting;
    raft->persisting_capacity = capacity;
  }
  if (raft->noop == NULL) raft->noop = coracle_raft_entry_new(CORACLE_RAFT_NOOP, 0);
  return raft->noop != NULL ? 0 : CORACLE_RAFT_ENOMEM;
}

static int handle(struct coracle_raft *raft, const struct coracle_raft_event *event) {
  if (!raft->started && event->type != CORACLE_RAFT_START) return CORACLE_RAFT_EINVALID;
  switch (event->type) {
  case CORACLE_RAFT_START:
    return raft_start(raft, event->start.founding, event->start.restored);
  case CORACLE_RAFT_TIMEOUT:
    if (raft->role == CORACLE_RAFT_LEADER)
      raft_leader_timeout(raft);
    else
      raft_election_timeout(raft);
    return 0;
  case CORACLE_RAFT_RECEIVE:
    receive(raft, event->message);
    return 0;
  case CORACLE_RAFT_PROPOSE:
    return propose(raft, event->propose.entries, event->propose.entries_n);
  case CORACLE_RAFT_PERSISTED:
    if (event->persisted > raft->sequence) return CORACLE_RAFT_EINVALID;
    if (event->persisted > raft->persisted_sequence) persisted(raft, event->persisted);
    return 0;
  case CORACLE_RAFT_CONF_CHANGE:
    return raft_configuration_change(raft, event->configuration);
  case CORACLE_RAFT_LINK_UP:
    raft_link_changed(raft, event->peer, true);
    return 0;
  case CORACLE_RAFT_LINK_DOWN:
    raft_link_changed(raft, event->peer, false);
    return 0;
  case CORACLE_RAFT_READ:
    return raft_read(raft, event->read);
  case CORACLE_RAFT_TRANSFER:
    return raft_transfer(raft, event->peer);
  case CORACLE_RAFT_SNAPSHOT_TAKEN:
    return raft_snapshot_taken(raft, event->snapshot_taken.index, event->snapshot_taken.bytes,
                               event->snapshot_taken.tag);
  case CORACLE_RAFT_SNAPSHOT_CHUNK:
    return raft_snapshot_chunk(raft, event);
  case CORACLE_RAFT_CAMPAIGN:
    if (raft->role == CORACLE_RAFT_FOLLOWER && !raft_hears_leader(raft)) raft_campaign(raft);
    return 0;
  }
  return CORACLE_RAFT_EINVALID;
}

static uint64_t earlier(uint64_t a_ms, uint64_t b_ms) {
  return a_ms < b_ms ? a_ms : b_ms;
}

static uint64_t next_wakeup(struct coracle_raft *raft) {
  switch (raft->role) {
  case CORACLE_RAFT_LEADER:
    return earlier(earlier(raft->heartbeat_deadline_ms, raft->commit_notice_ms),
                   earlier(raft->read_deadline_ms, raft->transfer_deadline_ms));
  case CORACLE_RAFT_PRE_CANDIDATE:
  case CORACLE_RAFT_CANDIDATE:
    return earlier(raft->heartbeat_deadline_ms, raft->election_deadline_ms);
  case CORACLE_RAFT_FOLLOWER:
    break;
  }
  return raft_is_electable(raft) || raft->leader != 0 ? raft->election_deadline_ms : NEVER;
}

int coracle_raft_step(struct coracle_raft *raft, const struct coracle_raft_event *event,
                      struct coracle_raft_effects *effects) {
  const enum coracle_raft_role role = raft->role;
  const uint64_t term = raft->term, leader = raft->leader;

  int error = reserve(raft, event);
  if (error != 0) return error;
  if (event->now_ms > raft->now_ms) raft->now_ms = event->now_ms;
  raft->effects = (struct coracle_raft_effects){.messages = raft->messages, .reads = raft->outcomes};
  raft->effects.chunk_requests = raft->chunk_requests;
  raft->appended_from = 0;
  raft_snapshots_sweep(raft);
  for (size_t i = 0; i < raft->peers_n; i++) raft->peers[i].appends_in_step = 0;
  error = handle(raft, event);
  if (error != 0) return error;
  raft_note_movement(raft);
  raft_advance_transfer(raft);
  raft->effects.role_changed = role != raft->role || term != raft->term || leader != raft->leader;
  if (raft->effects.role_changed) raft_fail_reads(raft);
  raft_advance_reads(raft);

  assert(raft->commit_index <= raft_log_last_index(&raft->log));
  if (raft->appended_from != 0) {
    raft->effects.persist.entries = raft_log_slots(&raft->log, raft->appended_from);
    raft->effects.persist.entries_n = raft_log_last_index(&raft->log) - raft->appended_from + 1;
  }
  raft->effects.persist.term = raft->term;
  raft->effects.persist.voted_for = raft->voted_for;
  raft->effects.commit_index = raft->commit_index;
  raft->effects.wakeup_ms = next_wakeup(raft);
  *effects = raft->effects;
  return 0;
}

/* ---- Questions ---- */

struct coracle_raft_entry *coracle_raft_entry_at(const struct coracle_raft *raft, uint64_t index) {
  return raft_log_at(&raft->log, index);
}

const struct coracle_raft_configuration *coracle_raft_latest_configuration(const struct coracle_raft *raft) {
  return &raft->latest.value;
}

void coracle_raft_status(const struct coracle_raft *raft, uint64_t now_ms,
                         struct coracle_raft_status *status) {
  const bool leads = raft->role == CORACLE_RAFT_LEADER;
  *status = (struct coracle_raft_status){
      .role = raft->role,
      .term = raft->term,
      .voted_for = raft->voted_for,
      .leader = raft->leader,
      .leader_since_ms = leads ? raft->leader_since_ms : 0,
      .first_index = raft->log.first_index,
      .last_index = raft_log_last_index(&raft->log),
      .commit_index = raft->commit_index,
      .leader_commit = leads ? raft->commit_index : raft->leader_commit,
      .fresh_ms = raft_fresh_ms(raft, now_ms),
      .configuration_index = raft->latest.index,
      .configuration_committed = raft->latest.index <= raft->commit_index,
      .committed_own_term = leads && raft->commit_index >= raft->term_start_index,
      .blocked_by = leads ? raft->blocked_by : 0,
      .transferring_to = leads ? raft->transfer_to : 0,
      .stepped_down = raft->stepped_down,
      .resting_until_ms = now_ms < raft->resting_until_ms ? raft->resting_until_ms : 0,
      .uncommitted_bytes = uncommitted_bytes(raft),
      .log_bytes = raft_log_bytes(&raft->log),
      .counters = raft->counters,
      .peers_n = raft->peers_n,
  };
  status->hears_leader = leads || (raft->leader != 0 && raft->leader_heard_ms != NEVER &&
                                   (now_ms < raft->leader_heard_ms ||
                                    now_ms - raft->leader_heard_ms < raft->options.election_timeout_ms));
  for (size_t i = 0; i < raft->peers_n; i++) {
    const struct raft_peer *peer = &raft->peers[i];
    const struct raft_snapshot *snapshot = peer->sending.under_way ? peer->sending.snapshot : NULL;
    const bool self = peer->id == raft->options.id;
    if (self) status->voter = peer->voter;
    status->peers[i] =
        (struct coracle_raft_peer_status){.id = peer->id,
                                          .voter = peer->voter,
                                          .link = self || peer->link,
                                          .match = leads ? peer->match : 0,
                                          .snapshot_index = snapshot != NULL ? snapshot->value.index : 0,
                                          .snapshot_bytes = peer->sending.acknowledged,
                                          .last_contact_ms = self ? now_ms : peer->last_contact_ms};
  }
}
