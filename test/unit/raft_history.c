/* Raft's invariants: see raft_history.h. */
#include "raft_history.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TERMS_MAX = 16384 };

/* An entry as some server had it at an index. Log matching says that the term tells them apart. */
struct variant {
  struct coracle_raft_entry *entry; /* one reference */
  uint64_t previous_term;
};

struct position {
  struct variant *variants;
  size_t variants_n;
  uint64_t committed_term; /* 0: not committed yet */
};

struct read {
  uint64_t server;
  uint64_t committed; /* by anybody, when it began */
  enum read_outcome outcome;
  uint64_t index;
};

struct history {
  struct position *positions; /* [i] is index i + 1 */
  size_t positions_n;
  uint64_t committed; /* the highest index that anybody committed */
  uint64_t leader_of[TERMS_MAX];
  struct read *reads; /* [i] is number i + 1 */
  size_t reads_n, reads_capacity;
  size_t reads_settled; /* before this one none waits */
};

struct history *history_new(void) {
  struct history *history = calloc(1, sizeof *history);
  assert(history != NULL);
  return history;
}

void history_free(struct history *history) {
  for (size_t i = 0; i < history->positions_n; i++) {
    for (size_t k = 0; k < history->positions[i].variants_n; k++)
      coracle_raft_entry_unref(history->positions[i].variants[k].entry);
    free(history->positions[i].variants);
  }
  free(history->positions);
  free(history->reads);
  free(history);
}

static struct position *position_at(struct history *history, uint64_t index) {
  if (index > history->positions_n) {
    size_t n = (size_t)index * 2;
    history->positions = realloc(history->positions, n * sizeof *history->positions);
    assert(history->positions != NULL);
    memset(history->positions + history->positions_n, 0,
           (n - history->positions_n) * sizeof *history->positions);
    history->positions_n = n;
  }
  return &history->positions[index - 1];
}

uint64_t history_committed_term(const struct history *history, uint64_t index) {
  return index > 0 && index <= history->positions_n ? history->positions[index - 1].committed_term : 0;
}

/* Also of one that is not in its log any more, but in its snapshot: that has been checked. NULL: none. */
static const struct coracle_raft_entry *entry_at(const struct cluster *c, const struct server *server,
                                                 uint64_t index) {
  const struct coracle_raft_entry *entry = coracle_raft_entry_at(server->raft, index);
  if (entry != NULL || index == 0 || index > coracle_raft_snapshot(server->raft)->index) return entry;
  const struct position *position = &c->history->positions[index - 1];
  for (size_t i = 0; i < position->variants_n; i++)
    if (position->variants[i].entry->term == position->committed_term) return position->variants[i].entry;
  return NULL;
}

static uint64_t term_at(const struct cluster *c, const struct server *server, uint64_t index) {
  const struct coracle_raft_entry *entry = entry_at(c, server, index);
  return entry != NULL ? entry->term : 0;
}

/* ---- Configurations ---- */

static void decode(const struct cluster *c, const struct coracle_raft_entry *entry,
                   struct coracle_raft_configuration *configuration) {
  CLUSTER_CHECK(c, coracle_raft_configuration_decode(entry->data, entry->bytes, configuration) == 0,
                "entry %d is no configuration", (int)entry->index);
}

static bool has_voter(const struct coracle_raft_configuration *configuration, uint64_t id) {
  const struct coracle_raft_member *member = coracle_raft_configuration_find(configuration, id);
  return member != NULL && member->voter;
}

static uint32_t voters_only_in(const struct coracle_raft_configuration *a,
                               const struct coracle_raft_configuration *b) {
  uint32_t n = 0;
  for (uint32_t i = 0; i < a->members_n; i++) n += a->members[i].voter && !has_voter(b, a->members[i].id);
  return n;
}

/* Any majority of one and any majority of the other have a server in common: there are no two that avoid each
 * other by taking first those that the other configuration does not have. */
static bool quorums_meet(const struct coracle_raft_configuration *a,
                         const struct coracle_raft_configuration *b) {
  const uint32_t a_n = coracle_raft_configuration_voters(a), b_n = coracle_raft_configuration_voters(b);
  const uint32_t only_a = voters_only_in(a, b), only_b = voters_only_in(b, a), both = a_n - only_a;
  const uint32_t a_quorum = a_n / 2 + 1, b_quorum = b_n / 2 + 1;
  return (a_quorum > only_a ? a_quorum - only_a : 0) + (b_quorum > only_b ? b_quorum - only_b : 0) > both;
}

/* Who alone was the majority before this configuration, if its majorities need not meet the earlier one's;
 * else 0. */
static uint64_t sole_voter_before(const struct cluster *c, const struct coracle_raft_entry *entry,
                                  const struct coracle_raft_entry *previous) {
  struct coracle_raft_configuration now, before;
  decode(c, entry, &now);
  decode(c, previous, &before);
  if (quorums_meet(&before, &now)) return 0;
  CLUSTER_CHECK(c, coracle_raft_configuration_voters(&before) == 1,
                "configurations %d and %d share no quorum", (int)previous->index, (int)entry->index);
  for (uint32_t i = 0; i < before.members_n; i++)
    if (before.members[i].voter) return before.members[i].id;
  return 0;
}

static const struct coracle_raft_entry *configuration_before(const struct cluster *c,
                                                             const struct server *server, uint64_t index) {
  while (--index > 0) {
    const struct coracle_raft_entry *entry = entry_at(c, server, index);
    if (entry->type == CORACLE_RAFT_CONFIGURATION) return entry;
  }
  return NULL;
}

/* A configuration enters a log for the first time. */
static void check_configuration(const struct cluster *c, const struct server *server,
                                const struct coracle_raft_entry *entry) {
  const struct coracle_raft_entry *previous = configuration_before(c, server, entry->index);
  if (previous == NULL) return;
  const uint64_t sole = sole_voter_before(c, entry, previous);
  CLUSTER_CHECK(c, sole == 0 || sole == server->id, "a sole voter's successor came from another");
}

/* ---- Snapshots ---- */

static void check_installation(const struct cluster *c, const struct server *server,
                               const struct coracle_raft_status *before,
                               const struct coracle_raft_effects *effects) {
  const struct coracle_raft_snapshot *snapshot = effects->persist.chunk.snapshot;
  const struct coracle_raft_status *after = &server->status;
  const bool keep_log = effects->persist.chunk.keep_log;
  CLUSTER_CHECK(c, snapshot->index == coracle_raft_snapshot(server->raft)->index, "another one is installed");
  CLUSTER_CHECK(c, snapshot->index > before->commit_index && snapshot->index == after->commit_index,
                "server %d installs what it has", (int)server->id);
  CLUSTER_CHECK(c, keep_log == (server->own_term == snapshot->term),
                "server %d keeps a log it should not, or the other way round", (int)server->id);
  CLUSTER_CHECK(c,
                after->first_index == snapshot->index + 1 &&
                    after->last_index == (keep_log ? before->last_index : snapshot->index),
                "server %d has a log from %d to %d after installing %d", (int)server->id,
                (int)after->first_index, (int)after->last_index, (int)snapshot->index);
}

/* A server has a new snapshot, which it took or installed. */
static void check_snapshot(const struct history *history, const struct cluster *c,
                           const struct server *server, const struct coracle_raft_status *before,
                           const struct coracle_raft_effects *effects) {
  const struct coracle_raft_snapshot *snapshot = coracle_raft_snapshot(server->raft);
  struct coracle_raft_configuration configuration;
  if (effects->persist.chunk.installs) check_installation(c, server, before, effects);
  CLUSTER_CHECK(c, server->status.first_index <= snapshot->index + 1, "a gap between snapshot and log");
  if (snapshot->index == 0 || snapshot->index == server->snapshot_seen) return;
  CLUSTER_CHECK(c, snapshot->index > server->snapshot_seen, "the snapshot of server %d goes back",
                (int)server->id);
  CLUSTER_CHECK(c, history_committed_term(history, snapshot->index) == snapshot->term,
                "a snapshot at %d, which is not committed with term %d", (int)snapshot->index,
                (int)snapshot->term);
  const struct coracle_raft_entry *entry = configuration_before(c, server, snapshot->index + 1);
  CLUSTER_CHECK(c, entry != NULL && entry->index == snapshot->configuration_index,
                "the snapshot at %d has configuration %d", (int)snapshot->index,
                (int)snapshot->configuration_index);
  decode(c, entry, &configuration);
  CLUSTER_CHECK(c, memcmp(&configuration, &snapshot->configuration, sizeof configuration) == 0,
                "another configuration in the snapshot at %d", (int)snapshot->index);
}

/* ---- Logs ---- */

static void check_entry(struct history *history, const struct cluster *c, const struct server *server,
                        struct coracle_raft_entry *entry) {
  struct position *position = position_at(history, entry->index);
  const uint64_t previous_term = term_at(c, server, entry->index - 1);
  for (size_t i = 0; i < position->variants_n; i++) {
    const struct variant *variant = &position->variants[i];
    if (variant->entry->term != entry->term) continue;
    CLUSTER_CHECK(c,
                  variant->previous_term == previous_term && variant->entry->type == entry->type &&
                      variant->entry->bytes == entry->bytes &&
                      memcmp(variant->entry->data, entry->data, entry->bytes) == 0,
                  "two entries of index %d, term %d", (int)entry->index, (int)entry->term);
    return;
  }
  position->variants = realloc(position->variants, (position->variants_n + 1) * sizeof *position->variants);
  assert(position->variants != NULL);
  position->variants[position->variants_n++] =
      (struct variant){.entry = coracle_raft_entry_ref(entry), .previous_term = previous_term};
  if (entry->type == CORACLE_RAFT_CONFIGURATION) check_configuration(c, server, entry);
}

static void check_persist(struct history *history, const struct cluster *c, const struct server *server,
                          const struct coracle_raft_status *before,
                          const struct coracle_raft_effects *effects) {
  const struct coracle_raft_status *after = &server->status;
  const uint64_t truncate_from = effects->persist.truncate_from;
  const size_t n = effects->persist.entries_n;
  const bool vote_changed = before->term != after->term || before->voted_for != after->voted_for;
  const bool any =
      effects->persist.vote_changed || truncate_from != 0 || n > 0 || effects->persist.chunk.snapshot != NULL;

  CLUSTER_CHECK(c, effects->persist.vote_changed == vote_changed, "a vote that is not persisted");
  CLUSTER_CHECK(c, (effects->persist.sequence != 0) == any, "something to persist without a sequence");
  CLUSTER_CHECK(c,
                !vote_changed ||
                    (effects->persist.term == after->term && effects->persist.voted_for == after->voted_for),
                "another vote is persisted than was cast");
  const struct disk_write *last =
      server->writes.n > 0 ? queue_at(&server->writes, server->writes.n - 1) : NULL;
  const struct disk_write *last_but_one =
      server->writes.n > 1 ? queue_at(&server->writes, server->writes.n - 2) : NULL;
  if (any)
    CLUSTER_CHECK(c,
                  last->sequence > (last_but_one != NULL ? last_but_one->sequence : server->durable_sequence),
                  "a persist sequence that does not grow");

  if (truncate_from != 0) {
    CLUSTER_CHECK(c, after->role != CORACLE_RAFT_LEADER, "a leader truncates its log");
    CLUSTER_CHECK(c, truncate_from > before->commit_index, "a committed entry is truncated");
    CLUSTER_CHECK(c, truncate_from <= before->last_index, "there is nothing to truncate");
  }
  if (n > 0) {
    const uint64_t expected = truncate_from != 0 ? truncate_from : before->last_index + 1;
    CLUSTER_CHECK(c, effects->persist.entries[0]->index == expected && after->last_index == expected + n - 1,
                  "the entries to persist are not those appended");
  }
  for (size_t i = 0; i < n; i++) {
    struct coracle_raft_entry *entry = effects->persist.entries[i];
    CLUSTER_CHECK(c, entry->term >= term_at(c, server, entry->index - 1) && entry->term <= after->term,
                  "terms in a log go back");
    CLUSTER_CHECK(c, coracle_raft_entry_at(server->raft, entry->index) == entry,
                  "persisted what is not in the log");
    check_entry(history, c, server, entry);
  }
}

/* ---- Terms, votes, leaders ---- */

static void check_leader_of(struct history *history, const struct cluster *c, uint64_t term,
                            uint64_t leader) {
  CLUSTER_CHECK(c, term > 0 && term < TERMS_MAX, "term %llu", (unsigned long long)term);
  CLUSTER_CHECK(c, history->leader_of[term] == 0 || history->leader_of[term] == leader,
                "term %d has two leaders, %d and %d", (int)term, (int)history->leader_of[term], (int)leader);
  history->leader_of[term] = leader;
}

/* Before the latest configuration, which is not known to be committed. */
static bool was_voter(const struct cluster *c, const struct server *server) {
  struct coracle_raft_configuration configuration;
  const struct coracle_raft_entry *before =
      configuration_before(c, server, server->status.configuration_index);
  if (server->status.configuration_committed || before == NULL) return false;
  decode(c, before, &configuration);
  return has_voter(&configuration, server->id);
}

static void check_new_leader(const struct history *history, const struct cluster *c,
                             const struct server *server) {
  const struct coracle_raft_status *status = &server->status;
  CLUSTER_CHECK(c, status->voted_for == server->id, "a leader that did not vote for itself");
  CLUSTER_CHECK(c, status->voter || was_voter(c, server),
                "a leader that neither this configuration nor the one before it has");
  CLUSTER_CHECK(c, status->term == 1 || server->durable_term == status->term,
                "a leader whose own vote is not durable");
  for (uint64_t index = 1; index <= history->committed; index++)
    CLUSTER_CHECK(c, term_at(c, server, index) == history->positions[index - 1].committed_term,
                  "leader %d of term %d lacks committed entry %d", (int)server->id, (int)status->term,
                  (int)index);
}

static void check_term_and_vote(struct history *history, const struct cluster *c, const struct server *server,
                                const struct coracle_raft_status *before) {
  const struct coracle_raft_status *after = &server->status;
  CLUSTER_CHECK(c, after->term >= before->term, "a term goes back");
  CLUSTER_CHECK(c,
                after->term > before->term || before->voted_for == 0 || after->voted_for == before->voted_for,
                "server %d votes twice in term %d", (int)server->id, (int)after->term);
  CLUSTER_CHECK(c, (after->role == CORACLE_RAFT_LEADER) == (after->leader == server->id), "leader of itself");
  if (after->leader != 0) check_leader_of(history, c, after->term, after->leader);
  if (after->role == CORACLE_RAFT_LEADER &&
      (before->role != CORACLE_RAFT_LEADER || before->term != after->term))
    check_new_leader(history, c, server);
}

/* ---- Matches and commits ---- */

static void check_matches(const struct cluster *c, const struct server *server,
                          const struct coracle_raft_status *before) {
  const struct coracle_raft_status *after = &server->status;
  if (after->role != CORACLE_RAFT_LEADER) return;
  for (size_t i = 0; i < after->peers_n; i++) {
    const struct coracle_raft_peer_status *peer = &after->peers[i];
    if (peer->id > c->servers_n || peer->match == 0) continue;
    const struct server *other = cluster_server(c, peer->id);
    CLUSTER_CHECK(c,
                  other->durable_term > after->term ||
                      cluster_is_durable(c, other, peer->match, term_at(c, server, peer->match)),
                  "server %d counts %d on server %d, where it is not durable", (int)server->id,
                  (int)peer->match, (int)peer->id);
    for (size_t k = 0; k < before->peers_n && before->role == CORACLE_RAFT_LEADER; k++)
      CLUSTER_CHECK(c, before->peers[k].id != peer->id || before->peers[k].match <= peer->match,
                    "the match of server %d goes back", (int)peer->id);
  }
}

/* A step may append another configuration once it has committed: what was in force is the one before. */
static void check_commit_of_leader(const struct cluster *c, const struct server *server,
                                   const struct coracle_raft_status *before) {
  const uint64_t index = server->status.commit_index, term = term_at(c, server, index);
  struct coracle_raft_configuration in_force, *configuration = &in_force;
  uint32_t have = 0;
  decode(c, entry_at(c, server, before->configuration_index), configuration);
  CLUSTER_CHECK(c, term == server->status.term, "an entry of an older term is committed by counting");
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    if (member->voter && member->id <= c->servers_n)
      have += cluster_is_durable(c, cluster_server(c, member->id), index, term);
  }
  CLUSTER_CHECK(c, have > coracle_raft_configuration_voters(configuration) / 2,
                "entry %d is committed and durable on %d voters only", (int)index, (int)have);
}

static void check_commit(struct history *history, const struct cluster *c, const struct server *server,
                         const struct coracle_raft_status *before,
                         const struct coracle_raft_effects *effects) {
  const struct coracle_raft_status *after = &server->status;
  CLUSTER_CHECK(c, effects->commit_index == after->commit_index, "the commit index told is another");
  CLUSTER_CHECK(c, after->commit_index >= before->commit_index && after->commit_index <= after->last_index,
                "the commit index goes back or beyond the log");
  for (uint64_t index = before->commit_index + 1; index <= after->commit_index; index++) {
    struct position *position = position_at(history, index);
    const uint64_t term = term_at(c, server, index);
    CLUSTER_CHECK(c, position->committed_term == 0 || position->committed_term == term,
                  "two entries are committed at index %d", (int)index);
    position->committed_term = term;
    if (index > history->committed) history->committed = index;
  }
  if (after->commit_index > before->commit_index && after->role == CORACLE_RAFT_LEADER)
    check_commit_of_leader(c, server, before);
}

/* ---- Reads ---- */

uint64_t history_read_begins(struct history *history, uint64_t server) {
  if (history->reads_n == history->reads_capacity) {
    history->reads_capacity = history->reads_capacity > 0 ? history->reads_capacity * 2 : 64;
    history->reads = realloc(history->reads, history->reads_capacity * sizeof *history->reads);
    assert(history->reads != NULL);
  }
  history->reads[history->reads_n++] = (struct read){.server = server, .committed = history->committed};
  return history->reads_n;
}

void history_read_refused(struct history *history, uint64_t read) {
  assert(read == history->reads_n && history->reads[read - 1].outcome == READ_WAITING);
  history->reads_n--;
}

enum read_outcome history_read_outcome(const struct history *history, uint64_t read, uint64_t *index) {
  assert(read > 0 && read <= history->reads_n);
  *index = history->reads[read - 1].index;
  return history->reads[read - 1].outcome;
}

size_t history_reads_waiting(const struct history *history) {
  size_t n = 0;
  for (size_t i = history->reads_settled; i < history->reads_n; i++)
    n += history->reads[i].outcome == READ_WAITING;
  return n;
}

void history_crashed(struct history *history, uint64_t server) {
  for (size_t i = history->reads_settled; i < history->reads_n; i++)
    if (history->reads[i].server == server && history->reads[i].outcome == READ_WAITING)
      history->reads[i].outcome = READ_FORGOTTEN;
}

static void check_reads(struct history *history, const struct cluster *c, const struct server *server,
                        const struct coracle_raft_effects *effects) {
  for (size_t i = 0; i < effects->reads_n; i++) {
    const struct coracle_raft_read *done = &effects->reads[i];
    CLUSTER_CHECK(c, done->read > 0 && done->read <= history->reads_n, "a read that nobody began");
    struct read *read = &history->reads[done->read - 1];
    CLUSTER_CHECK(c, read->server == server->id && read->outcome == READ_WAITING,
                  "an outcome of read %d that nobody waits for", (int)done->read);
    CLUSTER_CHECK(c, done->failed || (done->index >= read->committed && done->index <= history->committed),
                  "read %d began when %d was committed and is ready at %d", (int)done->read,
                  (int)read->committed, (int)done->index);
    read->outcome = done->failed ? READ_FAILED : READ_READY;
    read->index = done->index;
  }
  for (size_t i = history->reads_settled; i < history->reads_n && effects->role_changed; i++)
    CLUSTER_CHECK(c, history->reads[i].server != server->id || history->reads[i].outcome != READ_WAITING,
                  "read %d waits for a leadership that is over", (int)i + 1);
  while (history->reads_settled < history->reads_n &&
         history->reads[history->reads_settled].outcome != READ_WAITING)
    history->reads_settled++;
}

/* ---- Steps ---- */

/* It is what was durable, and nothing of it counts as committed but the snapshot. */
void history_restarted(const struct cluster *c, const struct server *server,
                       const struct coracle_raft_effects *effects) {
  const struct coracle_raft_status *status = &server->status;
  CLUSTER_CHECK(c, status->term == server->durable_term && status->voted_for == server->durable_vote,
                "server %d restarts with another vote", (int)server->id);
  CLUSTER_CHECK(c,
                status->role == CORACLE_RAFT_FOLLOWER && status->leader == 0 &&
                    status->commit_index == server->durable_snapshot.index,
                "server %d restarts in the middle of something", (int)server->id);
  CLUSTER_CHECK(c, status->last_index == cluster_durable_last(server), "server %d restarts with another log",
                (int)server->id);
  for (uint64_t index = status->first_index; index <= status->last_index; index++)
    CLUSTER_CHECK(
        c, coracle_raft_entry_at(server->raft, index) == server->durable[index - server->durable_first],
        "server %d restarts with another entry %d", (int)server->id, (int)index);
  CLUSTER_CHECK(c, effects->persist.sequence == 0 && effects->messages_n == 0, "a restart writes nothing");
}

void history_stepped(struct history *history, const struct cluster *c, const struct server *server,
                     const struct coracle_raft_status *before, const struct coracle_raft_effects *effects) {
  const struct coracle_raft_status *after = &server->status;
  check_snapshot(history, c, server, before, effects);
  check_persist(history, c, server, before, effects);
  check_commit(history, c, server, before, effects);
  check_term_and_vote(history, c, server, before);
  check_matches(c, server, before);
  check_reads(history, c, server, effects);
  CLUSTER_CHECK(c,
                effects->role_changed == (before->role != after->role || before->term != after->term ||
                                          before->leader != after->leader),
                "a change of role that is not told");
}

/* ---- What leaves ---- */

static void check_configuration_leaves(const struct cluster *c, const struct server *server,
                                       const struct coracle_raft_entry *entry) {
  const struct coracle_raft_entry *previous = configuration_before(c, server, entry->index);
  const uint64_t sole = previous != NULL ? sole_voter_before(c, entry, previous) : 0;
  CLUSTER_CHECK(c, sole == 0 || cluster_is_durable(c, cluster_server(c, sole), entry->index, entry->term),
                "others get a configuration that the sole voter before them may still lose");
}

void history_leaves(const struct cluster *c, const struct server *server, const struct letter *letter) {
  const struct coracle_raft_message *message = &letter->message;
  const bool pre = (message->type == CORACLE_RAFT_VOTE_REQUEST && message->vote_request.pre) ||
                   (message->type == CORACLE_RAFT_VOTE_REPLY && message->vote_reply.pre);
  CLUSTER_CHECK(c, pre || server->durable_term >= message->term, "a message of a term that may be forgotten");
  switch ((enum coracle_raft_message_type)message->type) {
  case CORACLE_RAFT_VOTE_REQUEST:
    CLUSTER_CHECK(c, pre || server->durable_term > message->term || server->durable_vote == server->id,
                  "a candidate whose own vote is not durable asks for more");
    break;
  case CORACLE_RAFT_VOTE_REPLY:
    CLUSTER_CHECK(c,
                  pre || !message->vote_reply.granted || server->durable_term > message->term ||
                      server->durable_vote == message->to,
                  "a vote leaves before it is durable");
    break;
  case CORACLE_RAFT_APPEND_REPLY:
    CLUSTER_CHECK(c,
                  !message->append_reply.success || server->durable_term > message->term ||
                      message->append_reply.match <= cluster_durable_last(server),
                  "an acknowledgement leaves before what it acknowledges is durable");
    break;
  case CORACLE_RAFT_SNAPSHOT_REPLY:
    CLUSTER_CHECK(c,
                  message->snapshot_reply.offset == 0 || server->durable_term > message->term ||
                      message->snapshot_reply.index <= cluster_durable_last(server) ||
                      (server->incoming_index != 0 && /* another one may have begun since */
                       message->snapshot_reply.index != server->incoming_index) ||
                      message->snapshot_reply.offset <= server->incoming_bytes,
                  "chunks are acknowledged before they are durable");
    break;
  case CORACLE_RAFT_APPEND:
    for (size_t i = 0; i < message->append.entries_n; i++)
      if (message->append.entries[i]->type == CORACLE_RAFT_CONFIGURATION &&
          term_at(c, server, message->append.entries[i]->index) == message->append.entries[i]->term)
        check_configuration_leaves(c, server, message->append.entries[i]);
    break;
  case CORACLE_RAFT_HEARTBEAT:
  case CORACLE_RAFT_HEARTBEAT_REPLY:
  case CORACLE_RAFT_READ_REQUEST:
  case CORACLE_RAFT_READ_REPLY:
  case CORACLE_RAFT_TIMEOUT_NOW:
  case CORACLE_RAFT_SNAPSHOT:
    break;
  }
}
