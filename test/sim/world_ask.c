/* Questions to all nodes. */
#include "world_core.h"

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
