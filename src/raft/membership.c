/* Configurations: what is in force is the latest in the log, committed or not (section 4.1). They change by
 * one voter at a time, and not before the leader has committed an entry of its own term (Ongaro's correction
 * of 2015).
 *
 * One step is larger: a sole voter may be joined by several learners at once. The majorities of consecutive
 * configurations must meet so that no two leaders are elected, one by each; but where the old majority is one
 * server, and that server has the new configuration durably before anybody else hears of it, nobody is left
 * who could act under the old. So a cluster that begins with three servers never passes through one of two,
 * in which the loss of either stops it. */
#include "raft/core.h"

#include <assert.h>

static bool is_self(const struct coracle_raft *raft, uint64_t id) {
  return id == raft->options.id;
}

/* The peers follow the configuration in force; what is known of those who stay is kept. */
static void set_latest(struct coracle_raft *raft, const struct raft_configuration_at *latest) {
  struct raft_peer peers[CORACLE_RAFT_MEMBERS_MAX];
  raft->latest = *latest;
  for (size_t i = 0; i < latest->value.members_n; i++) {
    const struct coracle_raft_member *member = &latest->value.members[i];
    const struct raft_peer *known = raft_peer_find(raft, member->id);
    peers[i] = known != NULL
                   ? *known
                   : (struct raft_peer){.id = member->id,
                                        .link = is_self(raft, member->id),
                                        .match = is_self(raft, member->id) ? raft->persisted_index : 0,
                                        .next = raft_log_last_index(&raft->log) + 1};
    peers[i].voter = member->voter;
  }
  for (size_t i = 0; i < raft->peers_n; i++)
    if (coracle_raft_configuration_find(&latest->value, raft->peers[i].id) == NULL)
      raft_stop_sending(raft, &raft->peers[i]);
  for (size_t i = 0; i < latest->value.members_n; i++) raft->peers[i] = peers[i];
  raft->peers_n = latest->value.members_n;
}

/* Entries were checked before they entered the log, so this cannot fail. */
static struct raft_configuration_at configuration_of(const struct coracle_raft_entry *entry) {
  struct raft_configuration_at result = {.index = entry->index};
  int error = coracle_raft_configuration_decode(entry->data, entry->bytes, &result.value);
  assert(error == 0);
  return result;
}

/* The last configuration at or before `index`, not going behind the committed one. */
static struct raft_configuration_at find_configuration(const struct coracle_raft *raft, uint64_t index) {
  for (; index > raft->committed.index && index >= raft->log.first_index; index--) {
    const struct coracle_raft_entry *entry = raft_log_at(&raft->log, index);
    if (entry != NULL && entry->type == CORACLE_RAFT_CONFIGURATION) return configuration_of(entry);
  }
  return raft->committed;
}

void raft_configuration_appended(struct coracle_raft *raft, const struct coracle_raft_entry *entry) {
  struct raft_configuration_at latest = configuration_of(entry);
  set_latest(raft, &latest);
}

void raft_configuration_truncated(struct coracle_raft *raft) {
  if (raft->latest.index <= raft_log_last_index(&raft->log)) return;
  struct raft_configuration_at latest = find_configuration(raft, raft_log_last_index(&raft->log));
  set_latest(raft, &latest);
}

static struct raft_configuration_at configuration_of_snapshot(const struct coracle_raft *raft) {
  const struct coracle_raft_snapshot *snapshot = coracle_raft_snapshot(raft);
  return (struct raft_configuration_at){.index = snapshot->configuration_index,
                                        .value = snapshot->configuration};
}

struct raft_configuration_at raft_configuration_in_force_at(const struct coracle_raft *raft, uint64_t index) {
  assert(index <= raft->commit_index);
  if (raft->committed.index <= index) return raft->committed;
  for (; index >= raft->log.first_index; index--) {
    const struct coracle_raft_entry *entry = raft_log_at(&raft->log, index);
    if (entry->type == CORACLE_RAFT_CONFIGURATION) return configuration_of(entry);
  }
  return configuration_of_snapshot(raft);
}

/* What was kept of the log may hold a later one. */
void raft_configuration_restored(struct coracle_raft *raft) {
  raft->committed = configuration_of_snapshot(raft);
  struct raft_configuration_at latest = find_configuration(raft, raft_log_last_index(&raft->log));
  set_latest(raft, &latest);
}

void raft_configuration_commit_advanced(struct coracle_raft *raft) {
  if (raft->committed.index == raft->latest.index) return;
  raft->committed = find_configuration(raft, raft->commit_index < raft->latest.index ? raft->commit_index
                                                                                     : raft->latest.index);
}

static bool change_is_possible(const struct coracle_raft *raft) {
  return raft->latest.index <= raft->commit_index && raft->commit_index >= raft->term_start_index &&
         raft->transfer_to == 0;
}

/* `entry` holds it. Appends and sends it. */
static void append_configuration(struct coracle_raft *raft, struct coracle_raft_entry *entry) {
  entry->term = raft->term;
  entry->index = raft_log_last_index(&raft->log) + 1;
  const bool sole_voter = coracle_raft_configuration_voters(&raft->latest.value) == 1;
  raft_persist_entry(raft, entry);
  if (sole_voter && coracle_raft_configuration_voters(&raft->latest.value) > 1)
    raft->sole_sequence = raft->entries_sequence;
  raft_replicate_to_all(raft);
}

static bool is_voter_in(const struct coracle_raft_configuration *configuration, uint64_t id) {
  const struct coracle_raft_member *member = coracle_raft_configuration_find(configuration, id);
  return member != NULL && member->voter;
}

/* Voters of `a` that are none in `b`. */
static uint32_t voters_missing(const struct coracle_raft_configuration *a,
                               const struct coracle_raft_configuration *b) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < a->members_n; i++) n += a->members[i].voter && !is_voter_in(b, a->members[i].id);
  return n;
}

int raft_configuration_change(struct coracle_raft *raft, const struct coracle_raft_configuration *next) {
  const struct coracle_raft_configuration *current = &raft->latest.value;
  if (raft->role != CORACLE_RAFT_LEADER) return CORACLE_RAFT_ENOTLEADER;
  if (!raft_configuration_is_valid(next)) return CORACLE_RAFT_EINVALID;
  if (!is_voter_in(next, raft->options.id) && coracle_raft_configuration_find(next, raft->options.id) != NULL)
    return CORACLE_RAFT_EINVALID; /* it leads, or it goes */
  if (voters_missing(next, current) > 0 || voters_missing(current, next) > 1) return CORACLE_RAFT_EINVALID;
  if (!change_is_possible(raft)) return CORACLE_RAFT_EBUSY;

  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(next);
  if (entry == NULL) return CORACLE_RAFT_ENOMEM;
  for (uint32_t i = 0; i < next->members_n; i++)
    if (coracle_raft_configuration_find(current, next->members[i].id) == NULL)
      raft->learner_added_ms = raft->now_ms;
  append_configuration(raft, entry);
  return 0;
}

/* A voter, and also one that the latest configuration takes out while that is not known to be committed: its
 * log may be the only one that has it, and then nobody else can be elected (section 4.2.2). */
bool raft_is_electable(const struct coracle_raft *raft) {
  if (is_voter_in(&raft->latest.value, raft->options.id)) return true;
  if (raft->latest.index <= raft->commit_index) return false;
  const struct raft_configuration_at before = find_configuration(raft, raft->latest.index - 1);
  return is_voter_in(&before.value, raft->options.id);
}

/* A learner that has the configuration which names it, and what was committed an election timeout ago, keeps
 * up. */
static bool learner_keeps_up(const struct coracle_raft *raft, const struct raft_peer *peer) {
  return !peer->voter && raft_voter_in_contact(raft, peer) && peer->match >= raft->latest.index &&
         peer->match >= raft->commit_aged;
}

/* How long a sole voter waits for more to come after the newest learner did: whoever looks for a leader makes
 * itself heard every heartbeat. */
enum { GATHERING_HEARTBEATS = 2 };

/* Those who come together become voters together (see the top of this file): the sole voter waits a little
 * for others to come, and up to an election timeout for all of them to keep up. */
static bool gathering(const struct coracle_raft *raft) {
  bool all = true;
  if (!raft_elapsed(raft, raft->learner_added_ms,
                    GATHERING_HEARTBEATS * (uint64_t)raft->options.heartbeat_ms))
    return true;
  for (size_t i = 0; i < raft->peers_n; i++)
    all = all && (raft->peers[i].voter || learner_keeps_up(raft, &raft->peers[i]));
  return !all && !raft_elapsed(raft, raft->learner_added_ms, raft->options.election_timeout_ms);
}

static uint64_t voter_out_of_contact(const struct coracle_raft *raft) {
  for (size_t i = 0; i < raft->peers_n; i++)
    if (raft->peers[i].voter && !raft_voter_in_contact(raft, &raft->peers[i])) return raft->peers[i].id;
  return 0;
}

/* A learner becomes a voter only while every voter is in contact: a majority that counts one more while
 * another is missing is one failure away from none. */
void raft_promote_learners(struct coracle_raft *raft) {
  /* This server itself: a leader that its own configuration leaves out may not take several at once. */
  const bool sole_voter = coracle_raft_configuration_voters(&raft->latest.value) == 1 && raft_is_voter(raft);
  struct coracle_raft_configuration next;
  uint32_t promoted = 0;

  raft->blocked_by = 0;
  if (raft->role != CORACLE_RAFT_LEADER || !change_is_possible(raft)) return;
  if (sole_voter && gathering(raft)) return;

  next = raft->latest.value;
  for (size_t i = 0; i < raft->peers_n; i++) {
    if (!learner_keeps_up(raft, &raft->peers[i])) continue;
    next.members[i].voter = true;
    promoted++;
    if (!sole_voter) break;
  }
  if (promoted == 0) return;
  raft->blocked_by = voter_out_of_contact(raft);
  if (raft->blocked_by != 0) return;
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&next);
  if (entry != NULL) append_configuration(raft, entry); /* without memory: at the next heartbeat */
}

/* Without a majority of it in contact a configuration is no place to go back to. */
static bool majority_in_contact(struct coracle_raft *raft,
                                const struct coracle_raft_configuration *configuration) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct raft_peer *peer = raft_peer_find(raft, configuration->members[i].id);
    n += configuration->members[i].voter && peer != NULL && raft_voter_in_contact(raft, peer);
  }
  return n > coracle_raft_configuration_voters(configuration) / 2;
}

/* The node being added as a voter has gone before its configuration was committed: take the change back, by
 * appending the committed configuration again. Only in the term that appended it, so that no other leader can
 * have it, and only where one voter was added, so that the majorities of both meet. */
void raft_cancel_change_of(struct coracle_raft *raft, uint64_t id) {
  const struct coracle_raft_configuration *committed = &raft->committed.value;
  if (raft->latest.index <= raft->commit_index || raft_log_term(&raft->log, raft->latest.index) != raft->term)
    return;
  if (!is_voter_in(&raft->latest.value, id) || is_voter_in(committed, id)) return;
  if (voters_missing(&raft->latest.value, committed) != 1 ||
      voters_missing(committed, &raft->latest.value) != 0 || !majority_in_contact(raft, committed))
    return;
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(committed);
  if (entry == NULL) return; /* without memory the change stays as it is */
  raft_give_up_transfer(raft);
  append_configuration(raft, entry);
}
