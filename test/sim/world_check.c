/* What must be true of each node after every turn of it.
 *
 *   - A node that does not lead has no streams to followers; what waits is within its limits.
 *   - Terms, commit and applied indexes never go back; applied <= commit <= last; a leader's knowledge of its
 *     peers' logs never goes back in its term.
 *   - What it has done to the log of its cluster fits everything that was done there (world_record.c,
 *     world_durable.c). */
#include "world_core.h"

enum {
  HELD_BYTES_MAX = 96 * 1024 * 1024, /* the node's own limit, and what one more of everything may take */
};

/* Streams run from the leader to its followers, and what waits to be answered is bounded. */
static void check_streams(struct world *w, const struct node *node, bool leads) {
  const struct list *streams = &node->streams;
  for (struct list_link *at = list_first(streams); at != NULL; at = list_next(streams, at)) {
    const struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    if (stream->kind == STREAM_FOLLOWER && !stream->closing) WORLD_CHECK(w, leads);
    WORLD_CHECK(w, stream->calls_n <= PIPELINE_MAX && stream->forwarded.n <= FORWARDED_MAX);
  }
  WORLD_CHECK(w, node->storage.unstored_bytes <= HELD_BYTES_MAX);
}

static void check_peers(struct world *w, int node, const struct coracle_raft_status *status) {
  struct checked *seen = &w->processes[node].checked;
  for (size_t i = 0; i < status->peers_n; i++) {
    const struct coracle_raft_peer_status *peer = &status->peers[i];
    const bool known = seen->match_id[i] == peer->id && seen->match_term == status->term;
    const uint64_t before = known ? seen->match[i] : 0;
    if (peer->match == before && known) continue;
    WORLD_CHECK(w, peer->match >= before);
    if (peer->match > 0) durable_match(w, node, peer->id, peer->match);
    seen->match_id[i] = peer->id;
    seen->match[i] = peer->match;
  }
  for (size_t i = status->peers_n; i < CORACLE_RAFT_MEMBERS_MAX; i++) seen->match_id[i] = 0;
  seen->match_term = status->term;
}

void check_process(struct world *w, int node) {
  struct process *p = &w->processes[node];
  struct checked *seen = &p->checked;
  struct coracle_raft_status status;
  const struct coracle_raft *raft = replica_raft(p->node->replica);
  coracle_raft_status(raft, process_ms(w, node), &status);
  const bool leads = status.role == CORACLE_RAFT_LEADER;
  check_streams(w, p->node, leads);
  if (!p->node->member) return;
  if (seen->id != join_id(p->node->join)) *seen = (struct checked){.id = join_id(p->node->join)};
  const uint64_t applied = replica_applied(p->node->replica);
  durable_configuration(w, node, &status);
  WORLD_CHECK(w, status.term >= seen->term);
  WORLD_CHECK(w, status.commit_index >= seen->commit);
  WORLD_CHECK(w, applied >= seen->applied);
  WORLD_CHECK(w, applied <= status.commit_index && status.commit_index <= status.last_index);

  struct cluster_record *cluster = record_of(w, join_cluster(p->node->join));
  const bool led = leads && seen->leading_term == status.term;
  for (uint64_t index = seen->applied + 1; index <= applied; index++) record_applied(w, node, cluster, index);
  if (applied > seen->applied) record_documents(w, node, cluster, applied);
  if (leads && !led) record_leader(w, node, cluster, &status);
  if (leads) check_peers(w, node, &status);
  if (led && status.commit_index > seen->commit) durable_commit(w, node, &status);
  if (replica_is_established(p->node->replica)) record_established(w, node, cluster);
  seen->established |= coracle_raft_configuration_voters(coracle_raft_latest_configuration(raft)) > 1;
  seen->leading_term = leads ? status.term : 0;
  seen->term = status.term;
  seen->commit = status.commit_index;
  seen->applied = applied;
}
