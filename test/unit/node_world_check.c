/* What must be true after every turn of a node, over all that has happened, and questions to all nodes.
 *
 *   - One leader per term of a cluster, ever; a new leader has every entry committed in an earlier term.
 *   - What a node applies at an index is the same on every node, and its documents after it are too.
 *   - A node that does not lead has no streams to followers; requests that wait are within their limits.
 *   - Of one node: terms, commit and applied indexes never go back; applied <= commit <= last.
 *   - Every acknowledged write is a committed command; with the above, every later leader has it.
 *   - Reads of the same thing from the same revision are the same bytes. */
#include "base/memory.h"
#include "node_world_core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

struct committed {
  uint64_t term, hash;
  uint8_t type;
  bool has_digest;
  uint64_t digest; /* of all documents after it */
};

struct led {
  uint64_t term, id;
};

struct cluster_record {
  uint8_t id[CLUSTER_ID_BYTES];
  struct queue committed; /* of struct committed: index 1 first */
  struct queue led;       /* of struct led */
};

struct read_record {
  uint64_t key; /* of cluster, revision and target */
  uint64_t answer;
  struct bytes text; /* for people */
};

/* ---- What has happened ---- */

static struct cluster_record *find_cluster(struct world *w, const uint8_t id[CLUSTER_ID_BYTES]) {
  struct cluster_record *record;
  if (w->clusters.item_bytes == 0) w->clusters = QUEUE_OF(struct cluster_record);
  for (size_t i = 0; (record = queue_at(&w->clusters, i)) != NULL; i++)
    if (memcmp(record->id, id, CLUSTER_ID_BYTES) == 0) return record;
  record = queue_push(&w->clusters);
  memcpy(record->id, id, CLUSTER_ID_BYTES);
  record->committed = QUEUE_OF(struct committed);
  record->led = QUEUE_OF(struct led);
  return record;
}

void check_free(struct world *w) {
  struct cluster_record *cluster;
  struct read_record *read;
  for (size_t i = 0; (cluster = queue_at(&w->clusters, i)) != NULL; i++) {
    queue_close(&cluster->committed);
    queue_close(&cluster->led);
  }
  for (size_t i = 0; (read = queue_at(&w->reads, i)) != NULL; i++) bytes_close(&read->text);
  queue_close(&w->clusters);
  queue_close(&w->reads);
}

/* ---- A node ---- */

static void check_leader(struct world *w, int node, struct cluster_record *cluster,
                         const struct coracle_raft_status *status) {
  struct process *p = &w->processes[node];
  const uint64_t id = join_id(p->node->join);
  const struct led *led;
  const struct committed *committed;
  if (status->role != CORACLE_RAFT_LEADER || p->checked.leading_term == status->term) return;
  p->checked.leading_term = status->term;
  for (size_t i = 0; (led = queue_at(&cluster->led, i)) != NULL; i++)
    if (led->term == status->term && led->id != id)
      world_fail(w, "term %" PRIu64 " has two leaders, %016" PRIx64 " and %c", status->term, led->id,
                 'a' + node);
  *(struct led *)queue_push(&cluster->led) = (struct led){status->term, id};
  for (size_t i = 0; (committed = queue_at(&cluster->committed, i)) != NULL; i++) {
    const struct coracle_raft_entry *entry = coracle_raft_entry_at(replica_raft(p->node->replica), i + 1);
    if (committed->term < status->term && (entry == NULL || entry->term != committed->term))
      world_fail(w, "%c leads term %" PRIu64 " without entry %zu of term %" PRIu64 ", which is committed",
                 'a' + node, status->term, i + 1, committed->term);
  }
}

static void check_applied(struct world *w, int node, struct cluster_record *cluster, uint64_t index) {
  const struct coracle_raft_entry *entry =
      coracle_raft_entry_at(replica_raft(w->processes[node].node->replica), index);
  WORLD_CHECK(w, entry != NULL && entry->index == index);
  const uint64_t hash = hash_bytes(entry->type, entry->data, entry->bytes);
  struct committed *committed = queue_at(&cluster->committed, index - 1);
  if (committed == NULL) {
    WORLD_CHECK(w, cluster->committed.n == index - 1);
    committed = queue_push(&cluster->committed);
    *committed = (struct committed){.term = entry->term, .hash = hash, .type = entry->type};
  }
  if (committed->term != entry->term || committed->hash != hash)
    world_fail(w, "%c applied another entry at %" PRIu64 " than was committed there", 'a' + node, index);
}

/* The order of documents does not count. */
static uint64_t digest_of(const struct store *store) {
  struct bytes collection = {0}, id = {0};
  struct slice name;
  uint64_t digest = 0, count;
  while (store_collection_after(store, slice_of_bytes(&collection), &name, &count)) {
    const struct store_record *record;
    collection.n = id.n = 0;
    bytes_append_slice(&collection, name);
    while ((record = store_after(store, slice_of_bytes(&collection), slice_of_bytes(&id))) != NULL) {
      id.n = 0;
      bytes_append_slice(&id, store_record_id(record));
      digest += hash_bytes(record->revision, record->data,
                           (size_t)record->collection_bytes + record->id_bytes + record->body_bytes);
    }
  }
  bytes_close(&collection);
  bytes_close(&id);
  return digest;
}

static void check_documents(struct world *w, int node, struct cluster_record *cluster, uint64_t applied) {
  struct committed *committed = queue_at(&cluster->committed, applied - 1);
  const uint64_t digest = digest_of(replica_store(w->processes[node].node->replica));
  if (committed->has_digest && committed->digest != digest)
    world_fail(w, "%c has other documents at %" PRIu64 " than another node had", 'a' + node, applied);
  committed->has_digest = true;
  committed->digest = digest;
}

/* Streams run from the leader to its followers, and what waits to be answered is bounded. */
static void check_streams(struct world *w, int node) {
  const struct list *streams = &w->processes[node].node->streams;
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(w->processes[node].node->replica), world_node_ms(w), &status);
  for (struct list_link *at = list_first(streams); at != NULL; at = list_next(streams, at)) {
    const struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    if (stream->kind == STREAM_FOLLOWER && !stream->closing)
      WORLD_CHECK(w, status.role == CORACLE_RAFT_LEADER);
    WORLD_CHECK(w, stream->calls_n <= PIPELINE_MAX && stream->forwarded.n <= FORWARDED_MAX);
  }
}

void check_process(struct world *w, int node) {
  struct process *p = &w->processes[node];
  struct checked *seen = &p->checked;
  struct coracle_raft_status status;
  check_streams(w, node);
  if (!p->node->member) return;
  if (seen->id != join_id(p->node->join)) *seen = (struct checked){.id = join_id(p->node->join)};
  const struct coracle_raft *raft = replica_raft(p->node->replica);
  coracle_raft_status(raft, world_node_ms(w), &status);
  const uint64_t applied = replica_applied(p->node->replica);
  WORLD_CHECK(w, status.term >= seen->term);
  WORLD_CHECK(w, status.commit_index >= seen->commit);
  WORLD_CHECK(w, applied >= seen->applied);
  WORLD_CHECK(w, applied <= status.commit_index && status.commit_index <= status.last_index);

  struct cluster_record *cluster = find_cluster(w, join_cluster(p->node->join));
  for (uint64_t index = seen->applied + 1; index <= applied; index++) check_applied(w, node, cluster, index);
  if (applied > seen->applied) check_documents(w, node, cluster, applied);
  check_leader(w, node, cluster, &status);
  seen->established |= coracle_raft_configuration_voters(coracle_raft_latest_configuration(raft)) > 1;
  seen->term = status.term;
  seen->commit = status.commit_index;
  seen->applied = applied;
}

/* ---- Answers ---- */

void check_read(struct world *w, const uint8_t cluster[CLUSTER_ID_BYTES], const char *target,
                const struct answer_seen *answer) {
  const char *revision = answer_header(answer, "Coracle-Revision");
  struct read_record *record;
  WORLD_CHECK(w, revision != NULL);
  uint64_t key = hash_bytes(1, cluster, CLUSTER_ID_BYTES), hash = hash_bytes((uint64_t)answer->status, "", 0);
  key = hash_bytes(hash_bytes(key, revision, strlen(revision)), target, strlen(target));
  hash = hash_bytes(hash, answer->body.data, answer->body.n);
  if (w->reads.item_bytes == 0) w->reads = QUEUE_OF(struct read_record);
  for (size_t i = 0; (record = queue_at(&w->reads, i)) != NULL; i++) {
    if (record->key != key) continue;
    if (record->answer != hash)
      world_fail(w, "%s from revision %s is %.*s, and was %.*s", target, revision, (int)answer->body.n,
                 (const char *)answer->body.data, (int)record->text.n, (const char *)record->text.data);
    return;
  }
  record = queue_push(&w->reads);
  *record = (struct read_record){.key = key, .answer = hash};
  bytes_append(&record->text, answer->body.data, answer->body.n);
}

void check_acknowledged(struct world *w, const uint8_t cluster[CLUSTER_ID_BYTES], uint64_t revision) {
  const struct committed *committed =
      revision > 0 ? queue_at(&find_cluster(w, cluster)->committed, revision - 1) : NULL;
  if (committed == NULL || committed->type != CORACLE_RAFT_COMMAND)
    world_fail(w, "a write was acknowledged at revision %" PRIu64 ", where none is committed", revision);
}

/* ---- Questions ---- */

/* Established is for good: a configuration of two voters that was taken back, or shrank, may have reached
 * others. */
static bool situation_of(struct world *w, int node, struct join_situation *situation) {
  struct process *p = &w->processes[node];
  if (p->node == NULL) return false;
  consensus_situation(p->node, situation);
  if (p->checked.established && p->checked.id == join_id(p->node->join)) situation->established = true;
  return situation->member;
}

int world_leader(struct world *w) {
  struct join_situation s;
  int leader = -1;
  bool established = false;
  uint64_t term = 0;
  for (int i = 0; i < w->options.nodes; i++) {
    if (!situation_of(w, i, &s) || s.raft.role != CORACLE_RAFT_LEADER || w->processes[i].paused) continue;
    if (s.established < established || (s.established == established && s.raft.term <= term)) continue;
    leader = i;
    established = s.established;
    term = s.raft.term;
  }
  return leader;
}

static bool is_in_order(struct world *w, int node, int leader) {
  struct join_situation s, led;
  if (!situation_of(w, leader, &led) || !situation_of(w, node, &s)) return false;
  const struct node *a = w->processes[leader].node, *b = w->processes[node].node;
  return memcmp(join_cluster(a->join), join_cluster(b->join), CLUSTER_ID_BYTES) == 0 && s.raft.voter &&
         s.raft.leader == join_id(a->join) && s.raft.hears_leader && s.raft.term == led.raft.term &&
         s.raft.last_index == led.raft.last_index && replica_applied(b->replica) == led.raft.last_index;
}

bool world_is_formed(struct world *w) {
  const int leader = world_leader(w);
  uint32_t running = 0;
  if (leader < 0) return false;
  for (int i = 0; i < w->options.nodes; i++) {
    if (w->processes[i].node == NULL) continue;
    running++;
    if (w->processes[i].paused || !is_in_order(w, i, leader)) return false;
  }
  struct join_situation led;
  situation_of(w, leader, &led);
  return led.configuration->members_n == running;
}

/* Stopped, and without a stream: its leader may take it for dead any moment, and remove it. */
static bool seems_dead(struct world *w, int node) {
  const int leader = world_leader(w);
  struct join_situation s;
  if (!w->processes[node].paused || leader < 0 || !situation_of(w, leader, &s)) return false;
  for (size_t i = 0; i < s.raft.peers_n; i++)
    if (s.raft.peers[i].id == join_id(w->processes[node].node->join)) return !s.raft.peers[i].link;
  return false;
}

static bool is_alive(struct world *w, uint64_t id, int without) {
  for (int i = 0; i < w->options.nodes; i++) {
    const struct process *p = &w->processes[i];
    if (p->node != NULL && join_id(p->node->join) == id)
      return i != without && !p->stopping && !seems_dead(w, i);
  }
  return false;
}

static bool can_spare(struct world *w, const struct join_situation *s, int without) {
  uint32_t alive = 0;
  for (uint32_t i = 0; i < s->configuration->members_n; i++)
    alive += s->configuration->members[i].voter && is_alive(w, s->configuration->members[i].id, without);
  return alive > coracle_raft_configuration_voters(s->configuration) / 2;
}

static bool is_established(struct world *w, int node) {
  struct join_situation s;
  return situation_of(w, node, &s) && s.established;
}

bool world_has_witness(struct world *w, int without, bool stopped) {
  const int holder = w->holder;
  bool established = false;
  if (holder >= 0 && (holder != without || stopped) && !w->processes[holder].stopping &&
      is_established(w, holder))
    return true;
  for (int i = 0; i < w->options.nodes; i++) {
    if (!is_established(w, i)) continue;
    established = true;
    if (i != without && !w->processes[i].paused && !w->processes[i].stopping) return true;
  }
  return !established;
}

/* The victim counts as well: what it has told the others of its configuration may be underway. */
bool world_can_spare(struct world *w, int node) {
  struct join_situation s;
  for (int i = 0; i < w->options.nodes; i++)
    if (situation_of(w, i, &s) && s.established && !can_spare(w, &s, node)) return false;
  return true;
}
