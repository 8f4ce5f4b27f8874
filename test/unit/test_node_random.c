/* Goal: whatever is killed, stopped, started anew, cut and lost in between, nothing acknowledged is ever
 * missing, no two nodes ever differ, and when it is over all nodes are one cluster again. Method: some
 * hundred runs, each drawn from its seed; world_check.c looks on. WORLD_SEED=7 in the environment runs
 * that one alone.
 *
 * With memory storage a voter that ends is gone for good, so a cluster whose voters are mostly gone can never
 * elect again: test_node_cluster.c has that. Here a process is killed only where the rest can go on without
 * it (world_can_spare). And writes go to the established cluster only: a node that founds another, because
 * all that told it of the first was lost, yields as soon as it hears of it, unless a client's write has made
 * it established too. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/core.h"

#include <stdio.h>
#include <stdlib.h>

enum {
  RUNS = 300,
  STORM_MS = 6000,
  CONVERGE_MS = 15000,
  WORKERS = 3,
  PIPELINED_MAX = 5,
  PATIENCE_MS = 2000, /* of a worker with its connection */
  KEYS = 8,
};

struct worker {
  struct client client;
  bool open;
  uint64_t busy_since_ms;
};

struct run {
  struct world *world;
  int nodes;
  bool has_main;
  uint8_t main[CLUSTER_ID_BYTES]; /* the established cluster */
  struct worker workers[WORKERS];
  uint64_t written;
};

static size_t answered_writes, answered_reads, refused; /* in all runs: that there were any */

static const uint8_t *cluster_of(struct run *run, int node) {
  return join_cluster(world_node(run->world, node)->join);
}

/* The first with two voters: from then on it cannot yield. */
static void find_main(struct run *run) {
  for (int i = 0; i < run->nodes && !run->has_main; i++) {
    struct join_situation s;
    if (!world_is_running(run->world, i)) continue;
    consensus_situation(world_node(run->world, i), &s);
    if (!s.member || !s.raft.configuration_committed ||
        coracle_raft_configuration_voters(s.configuration) < 2)
      continue;
    run->has_main = true;
    memcpy(run->main, cluster_of(run, i), CLUSTER_ID_BYTES);
  }
}

/* ---- Workers ---- */

static void worker_close(struct worker *worker) {
  struct answer_seen *answer;
  for (size_t i = 0; i < client_answers(&worker->client); i++) {
    answer = queue_at(&worker->client.answers, i);
    if (answer->status < 300)
      (answer_header(answer, "ETag") != NULL ? answered_writes++ : answered_reads++);
    else
      refused++;
  }
  client_close(&worker->client);
  worker->open = false;
}

static void ask_something(struct run *run, struct worker *worker) {
  struct world *w = run->world;
  const bool may_write =
      run->has_main && memcmp(cluster_of(run, worker->client.node), run->main, CLUSTER_ID_BYTES) == 0;
  char target[64], body[128];
  const unsigned key = (unsigned)world_dice(w, KEYS);
  const uint64_t what = world_dice(w, may_write ? 12 : 4);
  snprintf(target, sizeof target, "/v1/collections/c/k%u", key);
  snprintf(body, sizeof body, "{\"id\":\"k%u\",\"n\":%llu}", key, (unsigned long long)++run->written);
  if (what < 2)
    client_ask(&worker->client, "GET", target, NULL);
  else if (what == 2)
    client_ask(&worker->client, "GET", "/v1/collections/c", NULL);
  else if (what == 3)
    client_ask(&worker->client, "GET", world_dice(w, 2) == 0 ? "/v1/cluster" : "/readyz", NULL);
  else if (what < 10)
    client_ask(&worker->client, "PUT", target, body);
  else if (what == 10)
    client_ask(&worker->client, "DELETE", target, NULL);
  else
    client_ask(&worker->client, "POST", "/v1/collections/c", "{\"n\":1}");
}

static void work(struct run *run, struct worker *worker) {
  struct world *w = run->world;
  if (!worker->open) {
    const int leader = world_leader(w);
    int node = (int)world_dice(w, (uint64_t)run->nodes);
    if (leader >= 0 && world_dice(w, 3) > 0) node = leader;
    if (!world_is_running(w, node)) return;
    client_open(&worker->client, w, node);
    worker->open = true;
    worker->busy_since_ms = world_now_ms(w);
  }
  const size_t waiting = worker->client.asked.n - client_answers(&worker->client);
  if (waiting == 0) worker->busy_since_ms = world_now_ms(w);
  if (worker->client.wire->ended || !world_is_running(w, worker->client.node) || world_dice(w, 50) == 0 ||
      world_now_ms(w) - worker->busy_since_ms > PATIENCE_MS) {
    worker_close(worker);
    return;
  }
  for (uint64_t n = world_dice(w, 4); n > 0 && waiting + n <= PIPELINED_MAX; n--) ask_something(run, worker);
}

/* ---- Faults ---- */

static void start_one(struct run *run, int node) {
  if (world_dice(run->world, 5) == 0)
    world_set_port(run->world, node, (uint16_t)(9000 + world_dice(run->world, 10000) * 4 + (uint64_t)node));
  world_start(run->world, node);
}

static bool may_end(struct world *w, int node) {
  return world_is_running(w, node) && world_can_spare(w, node) && world_has_witness(w, node, false);
}

static void one_fault(struct run *run) {
  struct world *w = run->world;
  const int node = (int)world_dice(w, (uint64_t)run->nodes), other = (int)world_dice(w, (uint64_t)run->nodes);
  switch (world_dice(w, 12)) {
  case 0:
  case 1:
    if (may_end(w, node)) world_kill(w, node);
    return;
  case 2:
    if (may_end(w, node) && !world_is_paused(w, node)) world_terminate(w, node);
    return;
  case 3:
  case 4:
  case 5:
    if (!world_is_running(w, node)) start_one(run, node);
    return;
  case 6:
    if (world_is_running(w, node) && !world_is_paused(w, node) && world_has_witness(w, node, true))
      world_pause(w, node);
    return;
  case 7:
  case 8:
  case 9:
    if (world_is_paused(w, node)) world_resume(w, node);
    return;
  case 10:
    if (node != other) world_cut(w, node, other);
    return;
  default:
    world_set_weather(w, (struct world_weather){.loss_percent = (unsigned)world_dice(w, 31),
                                                .double_percent = (unsigned)world_dice(w, 21),
                                                .late_percent = (unsigned)world_dice(w, 6)});
    return;
  }
}

static void heal(struct run *run) {
  struct world *w = run->world;
  world_set_weather(w, (struct world_weather){0});
  for (int i = 0; i < run->nodes; i++) {
    if (world_is_paused(w, i)) world_resume(w, i);
    if (!world_is_running(w, i)) world_start(w, i);
  }
}

static void restart_what_has_ended(struct run *run) {
  for (int i = 0; i < run->nodes; i++)
    if (!world_is_running(run->world, i)) world_start(run->world, i);
}

static void one_run(uint64_t seed) {
  struct run run = {.nodes = seed % 4 == 0 ? 5 : seed % 7 == 0 ? 4 : 3};
  struct world *w = run.world = world_new(&(struct world_options){
      .seed = seed, .nodes = run.nodes, .follower_writes = (enum api_follower_writes)(seed % 3)});
  if (world_dice(w, 2) == 0) world_start_all(w);
  while (world_now_ms(w) < STORM_MS) {
    world_run(w, 1 + world_dice(w, 30));
    find_main(&run);
    for (int i = 0; i < WORKERS; i++) work(&run, &run.workers[i]);
    if (world_dice(w, 3) == 0) one_fault(&run);
  }
  heal(&run);
  world_run(w, 2000); /* what was told to stop has */
  restart_what_has_ended(&run);
  WORLD_UNTIL(w, world_is_formed(w), CONVERGE_MS);
  for (int i = 0; i < WORKERS; i++)
    if (run.workers[i].open) worker_close(&run.workers[i]);
  if (run.has_main) WORLD_CHECK(w, memcmp(cluster_of(&run, 0), run.main, CLUSTER_ID_BYTES) == 0);
  const int status = world_status(w, world_leader(w), "PUT", "/v1/collections/c/last", "{}");
  WORLD_CHECK(w, status == 201 || status == 200);
  WORLD_UNTIL(w, world_is_formed(w), 200);
  for (int i = 0; i < run.nodes; i++) /* and check_read compares them */
    WORLD_CHECK(w, world_status(w, i, "GET", "/v1/collections/c?limit=1000", NULL) == 200);
  world_free(w);
}

static void every_run_ends_in_one_cluster(void **state) {
  (void)state;
  const char *only = getenv("WORLD_SEED");
  if (only != NULL) {
    one_run(strtoull(only, NULL, 10));
    return;
  }
  for (uint64_t seed = 1; seed <= RUNS; seed++) one_run(seed);
  assert_true(answered_writes > 10 * RUNS && answered_reads > 10 * RUNS && refused > RUNS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_run_ends_in_one_cluster),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
