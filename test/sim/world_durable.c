/* What must be true of disks, over all that has happened in a cluster.
 *
 *   - A vote is given once in a term, for good: over crashes too, and before the candidate counts it.
 *   - An entry is the same, with the same one before it, in whatever log it is (log matching).
 *   - No log loses a committed entry, and no disk one by which its cluster was established.
 *   - Whoever leads was voted for by a majority of disks; what it commits is, and what it believes to be in
 * the log of another is: nothing left a node before it was durable.
 *   - Consecutive configurations share a quorum, but for the first step from a sole voter, and none begins
 *     while another is pending, unless it takes that back. The newest in a log is in force, committed or
 *     not, and a snapshot has that of its index. */
#include "world_record.h"

#include "base/memory.h"

#include <inttypes.h>
#include <stdlib.h>

/* ---- What a node has asked for ---- */

static struct asked_log *asked_of(struct world *w, int node) {
  return &w->processes[node].disk.asked;
}

/* Of the entry that it has, or will have, at that index; 0: none there. */
static uint64_t asked_term_at(const struct asked_log *asked, uint64_t index) {
  if (index < asked->first || index >= asked->first + asked->n) return 0;
  return asked->terms[index - asked->first];
}

static uint64_t asked_last(const struct asked_log *asked) {
  return asked->first + asked->n - 1;
}

static void asked_push(struct asked_log *asked, uint64_t term) {
  if (asked->n == asked->capacity) {
    asked->capacity = asked->capacity > 0 ? 2 * asked->capacity : 64;
    asked->terms = memory_realloc(asked->terms, asked->capacity * sizeof asked->terms[0]);
  }
  asked->terms[asked->n++] = term;
}

static void asked_note_voters(struct asked_log *asked, const struct coracle_raft_configuration *configuration,
                              uint64_t index) {
  if (asked->configurations_n == ASKED_CONFIGURATIONS_MAX)
    memmove(asked->configurations, asked->configurations + 1,
            --asked->configurations_n * sizeof asked->configurations[0]);
  struct asked_configuration *voters = &asked->configurations[asked->configurations_n++];
  *voters = (struct asked_configuration){.index = index};
  for (uint32_t i = 0; i < configuration->members_n; i++)
    if (configuration->members[i].voter) voters->ids[voters->n++] = configuration->members[i].id;
}

/* A snapshot takes the place of all that there was up to its index, and of the rest unless that is kept. */
static void asked_install(struct asked_log *asked, const struct coracle_raft_snapshot *snapshot,
                          bool keep_log) {
  const uint64_t last = asked_last(asked);
  size_t kept = keep_log && last > snapshot->index ? last - snapshot->index : 0;
  if (kept > asked->n) kept = asked->n;
  if (kept > 0) memmove(asked->terms, asked->terms + asked->n - kept, kept * sizeof asked->terms[0]);
  asked->n = 0;
  asked->first = snapshot->index;
  if (asked->capacity < kept + 1) {
    asked->capacity = kept + 64;
    asked->terms = memory_realloc(asked->terms, asked->capacity * sizeof asked->terms[0]);
  }
  memmove(asked->terms + 1, asked->terms, kept * sizeof asked->terms[0]);
  asked->terms[0] = snapshot->term;
  asked->n = kept + 1;
  if (kept > 0) return;
  asked->configurations_n = 0;
  asked_note_voters(asked, &snapshot->configuration, snapshot->configuration_index);
}

/* What is on the disk when a process begins is what it has. */
void durable_begin(struct world *w, int node) {
  struct world_disk *disk = &w->processes[node].disk;
  struct asked_log *asked = &disk->asked;
  asked->n = asked->configurations_n = 0;
  asked->first = disk->entries_n > 0 ? disk->entries[0]->index : disk->snapshot.index + 1;
  if (disk->snapshot.index > 0)
    asked_note_voters(asked, &disk->snapshot.configuration, disk->snapshot.configuration_index);
  if (disk->snapshot.index > 0 && (disk->entries_n == 0 || disk->entries[0]->index > disk->snapshot.index)) {
    asked->first = disk->snapshot.index;
    asked_push(asked, disk->snapshot.term);
  }
  for (size_t i = 0; i < disk->entries_n; i++) {
    struct coracle_raft_configuration configuration;
    const struct coracle_raft_entry *entry = disk->entries[i];
    asked_push(asked, entry->term);
    if (entry->type == CORACLE_RAFT_CONFIGURATION && entry->index > disk->snapshot.index &&
        coracle_raft_configuration_decode(entry->data, entry->bytes, &configuration) == 0)
      asked_note_voters(asked, &configuration, entry->index);
  }
}

/* ---- Votes ---- */

static uint64_t vote_key(uint64_t id, uint64_t term) {
  const uint64_t vote[] = {id, term};
  return hash_bytes(1, vote, sizeof vote) | 1;
}

void durable_vote(struct world *w, int node, uint64_t term, uint64_t voted_for) {
  const struct world_disk *disk = &w->processes[node].disk;
  if (term < disk->term) world_fail(w, "%c goes back to term %" PRIu64 " on its disk", 'a' + node, term);
  if (voted_for == 0) {
    if (term == disk->term && disk->voted_for != 0)
      world_fail(w, "%c forgets its vote of term %" PRIu64, 'a' + node, term);
    return;
  }
  uint64_t *vote = ledger_put(&w->votes, vote_key(disk->id, term));
  if (*vote != 0 && *vote != voted_for) world_fail(w, "%c votes twice in term %" PRIu64, 'a' + node, term);
  *vote = voted_for;
}

void durable_given(struct world *w, int node, uint64_t term, uint64_t to) {
  const uint64_t *vote = ledger_get(&w->votes, vote_key(w->processes[node].disk.id, term));
  if (vote == NULL || *vote != to)
    world_fail(w, "%c tells of its vote in term %" PRIu64 ", which is not on its disk", 'a' + node, term);
}

/* A founder leads at once, and nothing leaves it until that is durable. */
void durable_votes(struct world *w, int node, const struct coracle_raft_status *status) {
  const struct process *p = &w->processes[node];
  const uint64_t id = join_id(p->node->join);
  uint32_t voters = 0, votes = 0;
  if (!w->options.durable) return;
  for (size_t i = 0; i < status->peers_n; i++) {
    if (!status->peers[i].voter) continue;
    const uint64_t *vote = ledger_get(&w->votes, vote_key(status->peers[i].id, status->term));
    voters++;
    votes += vote != NULL && *vote == id;
  }
  if (votes <= voters / 2 && !(voters == 1 && status->term == 1))
    world_fail(w, "%c leads term %" PRIu64 " with the votes of %u of %u disks", 'a' + node, status->term,
               votes, voters);
}

/* ---- The log ---- */

static void check_truncation(struct world *w, int node, struct cluster_record *cluster, uint64_t from) {
  struct asked_log *asked = asked_of(w, node);
  const struct committed *committed = queue_at(&cluster->committed, from - 1);
  if (committed != NULL && asked_term_at(asked, from) == committed->term)
    world_fail(w, "%c truncates entry %" PRIu64 ", which is committed", 'a' + node, from);
  while (asked->n > 0 && asked_last(asked) >= from) asked->n--;
  while (asked->configurations_n > 0 && asked->configurations[asked->configurations_n - 1].index >= from)
    asked->configurations_n--;
}

static bool has_voter(const struct asked_configuration *configuration, uint64_t id) {
  for (size_t i = 0; i < configuration->n; i++)
    if (configuration->ids[i] == id) return true;
  return false;
}

static size_t voters_not_in(const struct asked_configuration *a, const struct asked_configuration *b) {
  size_t n = 0;
  for (size_t i = 0; i < a->n; i++) n += !has_voter(b, a->ids[i]);
  return n;
}

/* One voter at a time; a sole one may be joined by any number, and no other step takes more. */
static bool share_a_quorum(const struct asked_configuration *from, const struct asked_configuration *to) {
  const size_t gone = voters_not_in(from, to), come = voters_not_in(to, from);
  return gone + come <= 1 || (from->n == 1 && gone == 0) || (to->n == 1 && come == 0);
}

static bool same_voters(const struct asked_configuration *a, const struct asked_configuration *b) {
  return voters_not_in(a, b) == 0 && voters_not_in(b, a) == 0;
}

/* A change of members, seen for the first time: its leader has just appended it. */
static void check_change(struct world *w, int node, struct cluster_record *cluster) {
  const struct asked_log *asked = asked_of(w, node);
  struct coracle_raft_status status;
  if (asked->configurations_n < 2) return;
  const struct asked_configuration *to = &asked->configurations[asked->configurations_n - 1], *from = to - 1;
  if (!share_a_quorum(from, to)) world_fail(w, "%c changes more than one voter at a time", 'a' + node);
  coracle_raft_status(replica_raft(w->processes[node].node->replica), process_ms(w, node), &status);
  if (from->index <= status.commit_index || from->index <= cluster->committed.n) return;
  const bool takes_back = asked->configurations_n > 2 && same_voters(to, from - 1);
  if (!takes_back && !same_voters(from, to))
    world_fail(w, "%c changes the voters while a change is pending", 'a' + node);
}

/* Whatever becomes of that log: it is truncated, it begins after a snapshot, it is read again after a crash.
 */
void durable_configuration(struct world *w, int node, const struct coracle_raft_status *status) {
  const struct asked_log *asked = asked_of(w, node);
  if (!w->options.durable || asked->configurations_n == 0) return;
  const uint64_t newest = asked->configurations[asked->configurations_n - 1].index;
  if (status->configuration_index != newest)
    world_fail(w, "%c acts by the configuration of index %" PRIu64 ", and has one of index %" PRIu64,
               'a' + node, status->configuration_index, newest);
}

static void check_image(struct world *w, int node, const struct cluster_record *cluster,
                        const struct coracle_raft_snapshot *snapshot) {
  const struct committed *committed;
  uint64_t index = snapshot->index;
  if (index > cluster->committed.n) return; /* nobody was seen to have applied it yet */
  while ((committed = queue_at(&cluster->committed, index - 1)) != NULL &&
         committed->type != CORACLE_RAFT_CONFIGURATION) {
    if (committed->type == 0) return; /* nobody has told what it was */
    index--;
  }
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&snapshot->configuration);
  WORLD_CHECK(w, entry != NULL && committed != NULL);
  if (snapshot->configuration_index != index ||
      hash_bytes(entry->type, entry->data, entry->bytes) != committed->hash)
    world_fail(w, "%c has a snapshot of index %" PRIu64 " with other members than it had", 'a' + node,
               snapshot->index);
  coracle_raft_entry_unref(entry);
}

static void check_entry(struct world *w, int node, struct cluster_record *cluster,
                        const struct coracle_raft_entry *entry) {
  struct asked_log *asked = asked_of(w, node);
  struct coracle_raft_configuration configuration;
  WORLD_CHECK(w, entry->index == asked_last(asked) + 1);
  const uint64_t previous = asked_term_at(asked, entry->index - 1);
  WORLD_CHECK(w, entry->term >= previous && entry->term > 0);
  const uint64_t place[] = {entry->index, entry->term};
  uint64_t *known = ledger_put(&cluster->entries, hash_bytes(1, place, sizeof place) | 1);
  const uint64_t hash = (hash_bytes(entry->type, entry->data, entry->bytes) ^ previous << 1) | 1;
  const bool news = *known == 0;
  if (!news && *known != hash)
    world_fail(w, "%c has another entry %" PRIu64 " of term %" PRIu64 ", or another before it, than others",
               'a' + node, entry->index, entry->term);
  *known = hash;
  asked_push(asked, entry->term);
  if (entry->type != CORACLE_RAFT_CONFIGURATION) return;
  WORLD_CHECK(w, coracle_raft_configuration_decode(entry->data, entry->bytes, &configuration) == 0);
  asked_note_voters(asked, &configuration, entry->index);
  if (news) check_change(w, node, cluster);
}

/* What is thrown away with the old identity nobody may count on. */
static void check_yield(struct world *w, int node) {
  const struct world_disk *disk = &w->processes[node].disk;
  const struct cluster_record *old = record_of(w, disk->cluster);
  const struct committed *committed = queue_at(&old->committed, old->established_by - 1);
  if (old->established_by == 0 || committed == NULL) return;
  if (world_disk_term_at(disk, old->established_by) == committed->term ||
      disk->snapshot.index >= old->established_by)
    world_fail(w, "%c leaves a cluster whose entry %" PRIu64 " it has, by which that was established",
               'a' + node, old->established_by);
}

void durable_write(struct world *w, int node, const struct node_persist *persist) {
  struct asked_log *asked = asked_of(w, node);
  struct cluster_record *cluster = record_of(w, persist->cluster);
  if (persist->identity) {
    check_yield(w, node);
    asked->n = asked->configurations_n = 0;
    asked->first = 1;
  }
  if (persist->raft == NULL) return;
  if (!persist->identity) cluster = record_of(w, join_cluster(w->processes[node].node->join));
  if (persist->raft->truncate_from != 0) check_truncation(w, node, cluster, persist->raft->truncate_from);
  if (persist->raft->chunk.snapshot != NULL && persist->raft->chunk.installs) {
    check_image(w, node, cluster, persist->raft->chunk.snapshot);
    asked_install(asked, persist->raft->chunk.snapshot, persist->raft->chunk.keep_log);
  }
  for (size_t i = 0; i < persist->raft->entries_n; i++)
    check_entry(w, node, cluster, persist->raft->entries[i]);
}

/* ---- What leaders believe ---- */

static const struct world_disk *disk_of(const struct world *w, uint64_t id) {
  for (int i = 0; i < w->options.nodes; i++)
    if (w->processes[i].disk.id == id) return &w->processes[i].disk;
  return NULL;
}

/* A disk that has heard of a newer term may have been truncated since. */
void durable_match(struct world *w, int leader, uint64_t id, uint64_t match) {
  const struct coracle_raft *raft = replica_raft(w->processes[leader].node->replica);
  const struct coracle_raft_entry *entry = coracle_raft_entry_at(raft, match);
  const struct world_disk *disk = disk_of(w, id);
  struct coracle_raft_status status;
  coracle_raft_status(raft, process_ms(w, leader), &status);
  if (!w->options.durable || disk == NULL || entry == NULL || disk->term > status.term) return;
  if (world_disk_term_at(disk, match) != entry->term && disk->snapshot.index < match)
    world_fail(w, "%c believes entry %" PRIu64 " to be on the disk of %016" PRIx64 ", where it is not",
               'a' + leader, match, id);
}

static bool has(const struct world *w, uint64_t id, const struct coracle_raft_entry *entry) {
  const struct world_disk *disk = disk_of(w, id);
  if (disk == NULL) return true; /* it was there when it was acknowledged */
  return disk->snapshot.index >= entry->index || world_disk_term_at(disk, entry->index) == entry->term;
}

static bool is_on_a_quorum(const struct world *w, const struct asked_configuration *configuration,
                           const struct coracle_raft_entry *entry) {
  size_t n = 0;
  for (size_t i = 0; i < configuration->n; i++) n += has(w, configuration->ids[i], entry);
  return n > configuration->n / 2;
}

/* The configuration in force was the newest in its log then; since then it may have appended one more. */
void durable_commit(struct world *w, int leader, const struct coracle_raft_status *status) {
  const struct coracle_raft *raft = replica_raft(w->processes[leader].node->replica);
  const struct coracle_raft_entry *entry = coracle_raft_entry_at(raft, status->commit_index);
  const struct asked_log *asked = asked_of(w, leader);
  if (!w->options.durable || entry == NULL) return;
  if (entry->term != status->term)
    world_fail(w, "%c commits entry %" PRIu64 " of term %" PRIu64 " by counting", 'a' + leader, entry->index,
               entry->term);
  for (size_t back = 1; back <= 2 && back <= asked->configurations_n; back++)
    if (is_on_a_quorum(w, &asked->configurations[asked->configurations_n - back], entry)) return;
  world_fail(w, "%c commits entry %" PRIu64 ", which is not on the disks of a majority", 'a' + leader,
             entry->index);
}
