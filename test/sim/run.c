/* The two phases of a seed. */
#include "sim.h"

#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  CONVERGE_MS = 30000,
  ACCEPT_MS = 5000,
  ANSWER_MS = 30000,
};

static struct plan current;
static struct world *current_world;

const struct plan *sim_current_plan(void) {
  return &current;
}

struct world *sim_current_world(void) {
  return current_world;
}

static void begin(struct sim *s, uint64_t seed) {
  *s = (struct sim){.random.state = seed ^ 0x5bd1e9955bd1e995u};
  plan_draw(&s->plan, seed);
  current = s->plan;
  s->world = world_new(&(struct world_options){.seed = seed,
                                               .nodes = s->plan.nodes,
                                               .follower_writes = s->plan.follower_writes,
                                               .durable = s->plan.durable,
                                               .disk_faults = true,
                                               .segment_bytes = s->plan.segment_bytes,
                                               .peers = s->plan.peers,
                                               .expect = s->plan.expect,
                                               .one_cluster = true,
                                               .values_once = true,
                                               .disk_us = s->plan.disk_us,
                                               .compact_bytes = s->plan.compact_bytes,
                                               .chunk_bytes_max = s->plan.chunk_bytes_max,
                                               .operations_per_turn = s->plan.operations_per_turn});
  current_world = s->world;
  for (int i = 0; i < s->plan.nodes; i++) world_set_drift(s->world, i, s->plan.drift_ppm[i]);
  s->history = client_history_new();
}

static void run_until(struct sim *s, uint64_t ms) {
  while (world_step(s->world, ms)) continue;
}

static void storm_phase(struct sim *s) {
  faults_begin(s);
  while (world_now_ms(s->world) < SIM_MS && s->world->happened < SIM_EVENTS) {
    uint64_t next_ms = faults_next_ms(s);
    if (workload_next_ms(s) < next_ms) next_ms = workload_next_ms(s);
    run_until(s, next_ms < SIM_MS ? next_ms : SIM_MS);
    faults_due(s);
    workload_due(s);
  }
}

/* ---- The second phase ---- */

/* All that run follow one leader, and have applied all that it has. */
static bool is_converged(const struct sim *s) {
  struct world *w = s->world;
  const int leader = world_leader(w);
  struct join_situation led, follows;
  if (leader < 0) return false;
  consensus_situation(world_node(w, leader), &led);
  for (int i = 0; i < s->plan.nodes; i++) {
    if (!world_is_running(w, i)) {
      if (s->restart_ms[i] != 0) return false;
      continue;
    }
    const struct node *node = world_node(w, i);
    consensus_situation(world_node(w, i), &follows);
    if (node->stopping || !follows.member || follows.raft.leader != world_id(w, leader) ||
        !follows.raft.hears_leader || (!follows.raft.voter && s->away == 0) ||
        follows.raft.term != led.raft.term || follows.raft.commit_index != led.raft.last_index ||
        replica_applied(node->replica) != led.raft.last_index)
      return false;
    if (memcmp(join_cluster(node->join), join_cluster(world_node(w, leader)->join), CLUSTER_ID_BYTES) != 0)
      return false;
  }
  return true;
}

static void converge(struct sim *s) {
  const uint64_t end_ms = world_now_ms(s->world) + CONVERGE_MS;
  uint8_t cluster[CLUSTER_ID_BYTES];
  while (!is_converged(s)) {
    if (world_now_ms(s->world) >= end_ms)
      world_fail(s->world, "%d ms after all was healed there is not one cluster that all have joined",
                 CONVERGE_MS);
    run_until(s, world_now_ms(s->world) + 10);
    faults_due(s);
    workload_due(s);
  }
  if (sim_main(s, cluster))
    WORLD_CHECK(s->world, memcmp(cluster, join_cluster(world_node(s->world, world_leader(s->world))->join),
                                 sizeof cluster) == 0);
}

static bool is_accepted(struct sim *s, bool last) {
  struct world *w = s->world;
  struct answer_seen answer =
      world_ask(w, world_leader(w), "PUT", "/v1/collections/c/last", "{\"last\":1}", ACCEPT_MS);
  const bool accepted = answer.status == 200 || answer.status == 201;
  if (!accepted && (last || (answer.status != 503 && answer.status != 504 && answer.status != 507)))
    world_fail(w, "the leader answers a write with %d: %s", answer.status, (const char *)answer.body.data);
  answer_close(&answer);
  return accepted;
}

/* An election that began before all was healed, or a transfer, may come in between, and a disk that was full
 * is tried again only now and then. */
static void accept_a_write(struct sim *s) {
  const uint64_t end_ms = world_now_ms(s->world) + ACCEPT_MS;
  while (!is_accepted(s, world_now_ms(s->world) >= end_ms)) {
    run_until(s, world_now_ms(s->world) + 50);
    converge(s);
  }
}

/* Who asks until he is told is told, now that there is a leader. */
static void answer_all(struct sim *s) {
  const uint64_t end_ms = world_now_ms(s->world) + ANSWER_MS;
  while (workload_owes(s)) {
    if (world_now_ms(s->world) >= end_ms)
      world_fail(s->world, "%d ms after all was healed a write with a key has no answer", ANSWER_MS);
    run_until(s, world_now_ms(s->world) + 10);
    faults_due(s);
    workload_due(s);
  }
}

static void end(struct sim *s, struct sim_result *result) {
  *result = (struct sim_result){
      .hash = world_trace_hash(s->world), .events = s->world->happened, .ms = world_now_ms(s->world)};
  memcpy(result->counts, s->counts, sizeof result->counts);
  memcpy(result->faults_n, s->faults_n, sizeof result->faults_n);
  client_history_free(s->history);
  current_world = NULL;
  world_free(s->world);
  free(s);
}

void sim_run(uint64_t seed, struct sim_result *result) {
  struct sim *s = memory_alloc(sizeof *s);
  begin(s, seed);
  storm_phase(s);
  faults_end(s);
  converge(s);
  accept_a_write(s);
  answer_all(s);
  converge(s);
  workload_end(s);
  workload_check(s);
  end(s, result);
}
