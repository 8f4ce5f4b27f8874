/* The faults of the first phase, and their end.
 *
 * A fault is left out where the design itself says that it cannot be survived: where too few voters would
 * still have their data, and where fresh nodes that have one election address and nobody to tell them of a
 * cluster would found a second one. */
#include "sim.h"
#include "world_record.h"

uint64_t sim_dice(struct sim *s, uint64_t limit) {
  return random_below(&s->random, limit);
}

uint64_t sim_wait_ms(struct sim *s, uint64_t mean_ms) {
  const uint64_t drawn = sim_dice(s, 1000);
  return 1 + mean_ms * drawn * drawn * 3 / 1000000;
}

static bool happens(struct sim *s, unsigned percent) {
  return sim_dice(s, 100) < percent;
}

/* ---- Who may be harmed ---- */

bool sim_main(const struct sim *s, uint8_t cluster[CLUSTER_ID_BYTES]) {
  struct cluster_record **record;
  for (size_t i = 0; (record = queue_at(&s->world->clusters, i)) != NULL; i++) {
    if (!(*record)->established || (*record)->foreign) continue;
    memcpy(cluster, (*record)->id, CLUSTER_ID_BYTES);
    return true;
  }
  return false;
}

static bool has_two_voters(const struct asked_log *log) {
  for (size_t i = 0; i < log->configurations_n; i++)
    if (log->configurations[i].n > 1) return true;
  return false;
}

bool sim_in_main(const struct sim *s, int node) {
  const struct process *p = &s->world->processes[node];
  uint8_t cluster[CLUSTER_ID_BYTES];
  if (!sim_main(s, cluster) || node == s->harmed) return false;
  const uint8_t *own = p->node != NULL ? join_cluster(p->node->join) : p->disk.cluster;
  if (memcmp(own, cluster, CLUSTER_ID_BYTES) != 0) return false;
  return p->node != NULL ? replica_is_established(p->node->replica) : has_two_voters(&p->disk.asked);
}

/* Nodes of no cluster, or of another one. */
static int strangers(const struct sim *s) {
  int n = 0;
  for (int i = 0; i < s->plan.nodes; i++) n += !sim_in_main(s, i);
  return n;
}

static bool has_main(const struct sim *s) {
  uint8_t cluster[CLUSTER_ID_BYTES];
  return sim_main(s, cluster);
}

/* One stranger alone establishes nothing. Where each has an address of its own, none founds without the rest.
 */
static bool may_hide_the_cluster(const struct sim *s) {
  return s->plan.peers || !has_main(s) || strangers(s) <= 1;
}

static bool is_on_a_disk(const struct sim *s, uint64_t id, int without, unsigned away) {
  for (int i = 0; i < s->plan.nodes; i++)
    if (s->world->processes[i].disk.id == id) return i != without && i != s->harmed && (away >> i & 1) == 0;
  return false;
}

/* Of every configuration that anybody else may act under, a majority of the voters has its data, and is not
 * one of those. */
static bool can_spare(const struct sim *s, int without, unsigned away) {
  for (int i = 0; i < s->plan.nodes; i++) {
    const struct asked_log *log = &s->world->processes[i].disk.asked;
    if (i == without || !sim_in_main(s, i)) continue;
    for (size_t back = 1; back <= 2 && back <= log->configurations_n; back++) {
      const struct asked_configuration *configuration = &log->configurations[log->configurations_n - back];
      size_t there = 0;
      for (size_t v = 0; v < configuration->n; v++)
        there += is_on_a_disk(s, configuration->ids[v], without, away);
      if (there <= configuration->n / 2) return false;
    }
  }
  return true;
}

/* All are here and awake. */
static bool is_calm(const struct sim *s) {
  for (int i = 0; i < s->plan.nodes; i++)
    if (!world_is_running(s->world, i) || world_is_paused(s->world, i)) return false;
  return strangers(s) == 0;
}

static bool may_end(const struct sim *s, int node) {
  struct world *w = s->world;
  if (!world_is_running(w, node)) return false;
  if (s->plan.durable) return may_hide_the_cluster(s);
  return s->heal_ms == 0 && is_calm(s) && world_can_spare(w, node) && world_has_witness(w, node, false);
}

/* With memory storage one that sleeps and has no stream is given up, and its vote with it. Another that ends
 * or cannot be heard just then is one too many. */
static bool may_be_cut_off(const struct sim *s) {
  return s->plan.durable ? may_hide_the_cluster(s) : is_calm(s) && s->heal_ms == 0;
}

static bool may_wipe(const struct sim *s, int node) {
  return has_main(s) && strangers(s) == 0 && s->foreign < 0 && s->removed < 0 && can_spare(s, node, 0);
}

/* ---- Processes ---- */

static void restart_later(struct sim *s, int node) {
  s->restart_ms[node] = world_now_ms(s->world) + (happens(s, 40) ? sim_dice(s, 100) : sim_dice(s, 8000));
  s->resume_ms[node] = 0;
}

static void start(struct sim *s, int node) {
  if (happens(s, 12))
    world_set_port(s->world, node, (uint16_t)(9000 + sim_dice(s, 1000) * 8 + (uint64_t)node));
  s->restart_ms[node] = s->resume_ms[node] = 0;
  world_start(s->world, node);
}

static void kill_node(struct sim *s, int node, bool power) {
  (power ? world_cut_power : world_kill)(s->world, node);
  restart_later(s, node);
}

/* Some time later, when others may be gone. */
static bool may_end_soon(const struct sim *s) {
  return s->plan.durable && (s->plan.peers || (has_main(s) && may_hide_the_cluster(s)));
}

static bool kill_one(struct sim *s, int node, bool power) {
  if (!may_end(s, node)) return false;
  if (may_end_soon(s) && happens(s, 60))
    world_kill_writing(s->world, node, power);
  else
    kill_node(s, node, power);
  return true;
}

/* All nodes of a host are without power together, now and then. */
static bool cut_power(struct sim *s, int node) {
  bool any = false;
  if (!s->plan.durable || happens(s, 60)) return kill_one(s, node, true);
  for (int i = 0; i < s->plan.nodes; i++) any = kill_one(s, i, true) || any;
  return any;
}

static bool terminate(struct sim *s, int node) {
  if (!may_end(s, node) || world_is_paused(s->world, node)) return false;
  world_terminate(s->world, node);
  restart_later(s, node);
  if (s->restart_ms[node] < world_now_ms(s->world) + 1500)
    s->restart_ms[node] += 1500; /* it takes a second */
  return true;
}

static bool pause_node(struct sim *s, int node) {
  struct world *w = s->world;
  if (!world_is_running(w, node) || world_is_paused(w, node)) return false;
  if (!may_be_cut_off(s)) return false;
  world_pause(w, node);
  s->resume_ms[node] =
      world_now_ms(w) + 100 + (happens(s, 15) ? sim_dice(s, 30000) : sim_wait_ms(s, ELECTION_TIMEOUT_MS));
  return true;
}

static bool storm(struct sim *s) {
  if (!may_hide_the_cluster(s)) return false;
  for (int i = 0; i < s->plan.nodes; i++) {
    if (!world_is_running(s->world, i)) continue;
    world_kill(s->world, i);
    s->storms_left[i] = 2;
    s->restart_ms[i] = world_now_ms(s->world) + sim_dice(s, ELECTION_TIMEOUT_MS / 3);
    s->resume_ms[i] = 0;
  }
  return true;
}

static void storm_again(struct sim *s, int node) {
  s->storms_left[node]--;
  world_kill(s->world, node);
  s->restart_ms[node] = world_now_ms(s->world) + sim_dice(s, ELECTION_TIMEOUT_MS / 4);
}

static void begin_anew(struct sim *s, int node) {
  if (world_is_running(s->world, node)) world_kill(s->world, node);
  world_wipe(s->world, node);
  restart_later(s, node);
}

static bool wipe(struct sim *s, int node) {
  if (!may_wipe(s, node)) return false;
  begin_anew(s, node);
  return true;
}

/* Somebody puts the wrong disk into a machine, and notices some time later. */
static bool make_foreign(struct sim *s, int node) {
  if (s->foreign >= 0 || !may_wipe(s, node)) return false;
  if (world_is_running(s->world, node)) world_kill(s->world, node);
  world_wipe(s->world, node);
  world_make_foreign(s->world, node, 1 + (int)sim_dice(s, 3));
  s->foreign = node;
  restart_later(s, node);
  return true;
}

static bool is_in_foreign(const struct sim *s, int node) {
  const struct process *p = &s->world->processes[node];
  const uint8_t *own = p->node != NULL ? join_cluster(p->node->join) : p->disk.cluster;
  struct cluster_record **record;
  for (size_t i = 0; (record = queue_at(&s->world->clusters, i)) != NULL; i++)
    if ((*record)->foreign && memcmp((*record)->id, own, CLUSTER_ID_BYTES) == 0) return true;
  return false;
}

/* It may have taken others in: who had nothing yet of the cluster that it was to belong to joins the one that
 * it hears. */
static void end_foreign(struct sim *s) {
  const int node = s->foreign;
  if (node < 0) return;
  s->foreign = -1;
  begin_anew(s, node);
  for (int i = 0; i < s->plan.nodes; i++)
    if (is_in_foreign(s, i)) begin_anew(s, i);
}

/* Somebody takes a node out of the cluster, the leader perhaps. It stays out until its data is deleted. */
static bool remove_one(struct sim *s, int node) {
  if (!may_wipe(s, node) || !world_remove(s->world, world_leader(s->world), node)) return false;
  s->removed = node;
  s->rejoin_ms = world_now_ms(s->world) + 500 + sim_wait_ms(s, 3000);
  return true;
}

/* The change may have been lost with its leader: then the node is a member as before. Where it cannot be
 * spared just now it is tried again later: it may stay out for good otherwise. */
static void end_removed(struct sim *s) {
  const int node = s->removed;
  s->rejoin_ms = world_now_ms(s->world) + 500;
  if (strangers(s) > 0 || !can_spare(s, node, 0)) return;
  s->removed = -1;
  s->rejoin_ms = 0;
  if (world_is_running(s->world, node)) world_kill(s->world, node);
  world_wipe(s->world, node);
  restart_later(s, node);
}

/* ---- Disks ---- */

static bool fill_disk(struct sim *s, int node) {
  if (s->room_ms[node] != 0) return false;
  world_limit_disk(s->world, node, happens(s, 30) ? 0 : sim_dice(s, 32768));
  s->room_ms[node] =
      world_now_ms(s->world) + 100 + (happens(s, 25) ? sim_dice(s, 30000) : sim_wait_ms(s, 6000));
  return true;
}

static void make_room(struct sim *s, int node) {
  s->room_ms[node] = 0;
  world_limit_disk(s->world, node, UINT64_MAX);
}

/* Its process ends itself soon. */
static bool fail_disk(struct sim *s, int node) {
  if (!may_end_soon(s)) return false;
  world_fail_disk(s->world, node);
  return true;
}

/* It may have to be started with an empty disk, so it must be one that can be spared. */
static bool damage(struct sim *s, int node) {
  if (!may_wipe(s, node)) return false;
  if (world_is_running(s->world, node)) kill_node(s, node, happens(s, 50));
  if (!world_harm_disk(s->world, node)) return false;
  s->harmed = node;
  return true;
}

/* A damaged disk is emptied by whoever looks after it; anything else passes. */
static void start_failed(struct sim *s, int node) {
  if (world_is_refused(s->world, node)) {
    world_wipe(s->world, node);
    s->harmed = -1;
  }
  restart_later(s, node);
}

/* ---- The network ---- */

static void set_weather(struct sim *s) {
  const struct plan *plan = &s->plan;
  const bool fair = happens(s, 30);
  world_set_weather(
      s->world,
      (struct world_weather){.loss_percent = fair ? 0 : (unsigned)sim_dice(s, plan->loss_percent + 1),
                             .double_percent = fair ? 0 : (unsigned)sim_dice(s, plan->double_percent + 1),
                             .late_percent = fair ? 0 : (unsigned)sim_dice(s, plan->late_percent + 1),
                             .late_ms = plan->late_ms,
                             .delay_us = fair ? 0 : (unsigned)sim_dice(s, plan->delay_us + 1)});
}

struct partition {
  bool udp, tcp;
};

static void block(struct sim *s, int from, int to, struct partition what) {
  if (from != to) world_block(s->world, from, to, what.udp, what.tcp);
}

static void split(struct sim *s, unsigned side, bool one_way, struct partition what) {
  for (int a = 0; a < s->plan.nodes; a++)
    for (int b = 0; b < s->plan.nodes; b++)
      if ((side >> a & 1) != (side >> b & 1) && (!one_way || (side >> a & 1) != 0)) block(s, a, b, what);
}

/* Each reaches the two beside it. */
static void ring(struct sim *s, struct partition what) {
  const int n = s->plan.nodes;
  for (int a = 0; a < n; a++)
    for (int b = 0; b < n; b++)
      if ((a + 1) % n != b && (b + 1) % n != a) block(s, a, b, what);
}

/* Two sides, and one in between that reaches both. */
static void bridge(struct sim *s, int middle, struct partition what) {
  const unsigned side = (unsigned)sim_dice(s, 1u << s->plan.nodes);
  for (int a = 0; a < s->plan.nodes; a++)
    for (int b = 0; b < s->plan.nodes; b++)
      if (a != middle && b != middle && (side >> a & 1) != (side >> b & 1)) block(s, a, b, what);
}

static bool part(struct sim *s, int node) {
  static const char *const kinds[] = {"split", "one-way split", "isolation", "one-way isolation",
                                      "ring",  "bridge"};
  const uint64_t kind = sim_dice(s, sizeof kinds / sizeof kinds[0]), which = sim_dice(s, 4);
  const struct partition what = {.udp = which != 0, .tcp = which != 1};
  if (s->plan.nodes < 2 || s->heal_ms != 0 || !has_main(s) || !may_be_cut_off(s)) return false;
  world_trace(s->world, node, "partition: %s%s", kinds[kind],
              which == 0   ? ", of streams only"
              : which == 1 ? ", of datagrams only"
                           : "");
  s->heal_ms = world_now_ms(s->world) + 50 +
               (happens(s, 20) ? sim_dice(s, 15000) : sim_wait_ms(s, 2 * ELECTION_TIMEOUT_MS));
  if (kind < 2) split(s, (unsigned)sim_dice(s, 1u << s->plan.nodes), kind == 1, what);
  if (kind == 2 || kind == 3) split(s, happens(s, 50) ? 1u << node : ~(1u << node), kind == 3, what);
  if (kind == 4) ring(s, what);
  if (kind == 5) bridge(s, node, what);
  return true;
}

static void heal_partition(struct sim *s) {
  s->heal_ms = 0;
  world_trace(s->world, 0, "the partition is over");
  world_unblock_all(s->world);
}

/* ---- One fault ---- */

static bool do_fault(struct sim *s, enum fault fault) {
  struct world *w = s->world;
  const int node = (int)sim_dice(s, (uint64_t)s->plan.nodes),
            other = (int)sim_dice(s, (uint64_t)s->plan.nodes);
  switch (fault) {
  case FAULT_KILL:
    return kill_one(s, happens(s, 40) && world_leader(w) >= 0 ? world_leader(w) : node, false);
  case FAULT_POWER:
    return cut_power(s, node);
  case FAULT_TERMINATE:
    return terminate(s, node);
  case FAULT_PAUSE:
    return pause_node(s, happens(s, 30) && world_leader(w) >= 0 ? world_leader(w) : node);
  case FAULT_HANG:
    world_hang_disk(w, node, happens(s, 20) ? sim_dice(s, 30000) : sim_dice(s, 3000));
    return true;
  case FAULT_PARTITION:
    return part(s, node);
  case FAULT_CUT:
    if (node == other || (!s->plan.durable && !may_be_cut_off(s))) return false;
    world_cut(w, node, other);
    return true;
  case FAULT_STORM:
    return storm(s);
  case FAULT_WIPE:
    return wipe(s, node);
  case FAULT_FOREIGN:
    if (s->foreign < 0) return make_foreign(s, node);
    end_foreign(s);
    return true;
  case FAULT_WEATHER:
    set_weather(s);
    return true;
  case FAULT_TRANSFER:
    return world_transfer(w, world_leader(w), node);
  case FAULT_REMOVE:
    return remove_one(s, happens(s, 30) && world_leader(w) >= 0 ? world_leader(w) : node);
  case FAULT_FULL:
    return fill_disk(s, node);
  case FAULT_IO:
    return fail_disk(s, node);
  case FAULT_DAMAGE:
    return damage(s, node);
  case FAULT_AGAIN:
    return world_propose_again(w, world_leader(w));
  case FAULTS_N:
    break;
  }
  return false;
}

/* ---- Time ---- */

void faults_begin(struct sim *s) {
  s->foreign = s->removed = s->harmed = -1;
  set_weather(s);
  for (int i = 0; i < FAULTS_N; i++)
    s->fault_ms[i] = s->plan.every_ms[i] > 0 ? sim_wait_ms(s, s->plan.every_ms[i]) : 0;
  for (int i = 0; i < s->plan.nodes; i++) s->restart_ms[i] = 1 + (happens(s, 60) ? 0 : sim_dice(s, 2000));
}

static bool is_due(const struct sim *s, uint64_t at_ms) {
  return at_ms != 0 && at_ms <= world_now_ms(s->world);
}

static void processes_due(struct sim *s) {
  for (int i = 0; i < s->plan.nodes; i++) {
    if (is_due(s, s->resume_ms[i])) {
      s->resume_ms[i] = 0;
      if (world_is_paused(s->world, i)) world_resume(s->world, i);
    }
    /* Its disk has failed, or its end came while that was written. */
    if (!world_is_running(s->world, i) && s->restart_ms[i] == 0 && (s->away >> i & 1) == 0)
      restart_later(s, i);
    if (is_due(s, s->room_ms[i])) make_room(s, i);
    if (!is_due(s, s->restart_ms[i])) continue;
    if (world_is_running(s->world, i)) { /* it is still ending */
      s->restart_ms[i] += 100;
      continue;
    }
    start(s, i);
    if (!world_is_running(s->world, i)) {
      start_failed(s, i);
      continue;
    }
    if (s->harmed == i) s->harmed = -1;
    if (s->storms_left[i] > 0 && may_hide_the_cluster(s)) storm_again(s, i);
  }
}

void faults_due(struct sim *s) {
  processes_due(s);
  if (is_due(s, s->heal_ms)) heal_partition(s);
  if (is_due(s, s->rejoin_ms)) end_removed(s);
  for (int i = 0; i < FAULTS_N; i++) {
    if (!is_due(s, s->fault_ms[i])) continue;
    s->faults_n[i] += do_fault(s, (enum fault)i);
    s->fault_ms[i] = world_now_ms(s->world) + sim_wait_ms(s, s->plan.every_ms[i]);
  }
}

static void earlier(uint64_t *next_ms, uint64_t at_ms) {
  if (at_ms != 0 && at_ms < *next_ms) *next_ms = at_ms;
}

uint64_t faults_next_ms(const struct sim *s) {
  uint64_t next_ms = UINT64_MAX;
  earlier(&next_ms, s->heal_ms);
  earlier(&next_ms, s->rejoin_ms);
  for (int i = 0; i < FAULTS_N; i++) earlier(&next_ms, s->fault_ms[i]);
  for (int i = 0; i < s->plan.nodes; i++) {
    earlier(&next_ms, s->restart_ms[i]);
    earlier(&next_ms, s->resume_ms[i]);
    earlier(&next_ms, s->room_ms[i]);
  }
  return next_ms;
}

/* ---- The end ---- */

/* Some stay away, as many as the cluster can do without; often all begin anew. */
static unsigned draw_away(struct sim *s) {
  unsigned away = 0;
  if (!s->plan.durable || !has_main(s) || strangers(s) > 0 || s->removed >= 0 || happens(s, 40)) return 0;
  if (s->plan.peers && !s->written) return 0; /* it may not have begun: no writes before all were in */
  for (int tries = 0; tries < s->plan.nodes; tries++) {
    const unsigned more = away | 1u << sim_dice(s, (uint64_t)s->plan.nodes);
    if (can_spare(s, -1, more)) away = more;
  }
  return away;
}

void faults_end(struct sim *s) {
  struct world *w = s->world;
  world_trace(w, 0, "all is healed");
  s->ending = true;
  if (s->foreign >= 0) end_foreign(s);
  if (s->removed >= 0) end_removed(s);
  world_unblock_all(w);
  world_set_weather(w, (struct world_weather){0});
  world_heal_disks(w);
  const unsigned away = s->away = draw_away(s);
  const bool restart = s->plan.durable && happens(s, 50);
  for (int i = 0; i < s->plan.nodes; i++) {
    s->storms_left[i] = 0;
    if (world_is_paused(w, i)) world_resume(w, i);
    if (world_is_running(w, i) && !w->processes[i].stopping && (restart || (away >> i & 1) != 0))
      world_kill(w, i);
    s->restart_ms[i] = (away >> i & 1) != 0 ? 0 : world_now_ms(w) + 1 + sim_dice(s, 100);
    if (world_is_running(w, i) && !w->processes[i].stopping) s->restart_ms[i] = 0;
  }
  memset(s->fault_ms, 0, sizeof s->fault_ms);
  s->heal_ms = 0;
}
