/* Goal: whole nodes across hosts, where each has an election address of its own: they found one cluster,
 * once, whatever the network loses and in whatever order they start; they come back to it from their disks,
 * under other HTTP addresses and with lost ones among them; and who was removed is told so. With the node
 * whose address is the lowest, which alone may found, among those that come and go. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/core.h"
#include "world_core.h"

#include <stdio.h>
#include <stdlib.h>

enum { SEEDS = 20, FORM_MS = 3000, STORMS = 200, STORM_MS = 5000, CONVERGE_MS = 20000 };

static struct world *new_world(uint64_t seed, int nodes, bool durable) {
  return world_new(&(struct world_options){
      .seed = seed, .nodes = nodes, .peers = true, .durable = durable, .one_cluster = true});
}

static struct world *formed(uint64_t seed, int nodes, bool durable) {
  struct world *w = new_world(seed, nodes, durable);
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  return w;
}

/* Writes are taken when all that were expected are in, and that is in the log. */
static bool takes_writes(struct world *w) {
  const int leader = world_leader(w);
  if (leader < 0) return false;
  const int status = world_status(w, leader, "PUT", "/v1/collections/c/k", "{}");
  return status == 200 || status == 201;
}

static int foundings(struct world *w, int nodes) {
  int n = 0;
  for (int i = 0; i < nodes; i++) n += world_has_logged(w, i, "founded cluster");
  return n;
}

/* ---- Founding ---- */

static void they_found_one_cluster(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    const int nodes = (int)(1 + seed % 7);
    struct world *w = formed(seed, nodes, seed % 2 == 0);
    WORLD_CHECK(w, world_has_logged(w, 0, "founded cluster") && foundings(w, nodes) == 1);
    WORLD_UNTIL(w, takes_writes(w), 200);
    world_free(w);
  }
}

/* Each may be the last, with any time between; before that there is no cluster. */
static void they_start_in_any_order(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = new_world(seed, 3, seed % 2 == 0);
    const int first = (int)(seed % 3);
    for (int i = 0; i < 3; i++) {
      WORLD_CHECK(w, foundings(w, 3) == 0);
      world_start(w, (first + i) % 3);
      if (i < 2) world_run(w, world_dice(w, 3000));
    }
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    WORLD_CHECK(w, foundings(w, 3) == 1);
    world_free(w);
  }
}

static void a_bad_network_does_not_keep_them_from_it(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = new_world(seed, 5, seed % 2 == 0);
    world_set_weather(w, (struct world_weather){
                             .loss_percent = 30, .double_percent = 30, .late_percent = 30, .late_ms = 300});
    world_start_all(w);
    WORLD_UNTIL(w, world_is_formed(w), 20000);
    WORLD_CHECK(w, foundings(w, 5) == 1);
    world_free(w);
  }
}

/* ---- Coming back ---- */

static void all_come_back_from_their_disks(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = formed(seed, 3, true);
    uint8_t cluster[CLUSTER_ID_BYTES];
    memcpy(cluster, join_cluster(world_node(w, 0)->join), sizeof cluster);
    WORLD_UNTIL(w, takes_writes(w), 200);
    for (int i = 0; i < 3; i++) world_kill(w, i);
    if (seed % 2 == 0) { /* and their HTTP ports have changed hands */
      struct address http[3];
      for (int i = 0; i < 3; i++) http[i] = world_http(w, i);
      for (int i = 0; i < 3; i++) world_set_port(w, i, http[(i + 1) % 3].port);
    }
    world_start_all(w);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    WORLD_CHECK(w, memcmp(cluster, join_cluster(world_node(w, 0)->join), sizeof cluster) == 0);
    WORLD_UNTIL(w, takes_writes(w), 200);
    world_run(w, 200);
    for (int i = 0; i < 3; i++) { /* everybody knows where everybody is now */
      char expected[64];
      snprintf(expected, sizeof expected, "127.0.0.1:%u", world_http(w, i).port);
      assert_answer(w, (i + 1) % 3, "GET", "/v1/cluster", NULL, 200, expected);
    }
    world_free(w);
  }
}

/* Wiped, it is a new node under the old name: the old one is removed first, and then it comes in. */
static void a_wiped_node_takes_its_own_place(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = formed(seed, 3, true);
    const int victim = (int)(seed % 3);
    const uint64_t id = world_id(w, victim);
    WORLD_UNTIL(w, takes_writes(w), 200);
    world_kill(w, victim);
    world_wipe(w, victim);
    world_start(w, victim);
    WORLD_UNTIL(w, world_is_formed(w), 2 * FORM_MS);
    WORLD_CHECK(w, world_id(w, victim) != id);
    WORLD_CHECK(w, !world_has_logged(w, victim, "founded cluster"));
    world_free(w);
  }
}

/* A disk that was thought lost, and was replaced, turns up again. */
static void a_removed_node_is_told_so_and_stays_out(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct world *w = formed(seed, 3, true);
    WORLD_UNTIL(w, takes_writes(w), 200);
    world_kill(w, 2);
    const struct world_disk lost = w->processes[2].disk;
    world_disk_init(&w->processes[2].disk);
    world_start(w, 2);
    WORLD_UNTIL(w, world_is_formed(w), 2 * FORM_MS);

    world_kill(w, 2);
    world_disk_free(&w->processes[2].disk);
    w->processes[2].disk = lost;
    const int leader = world_leader(w) != 2 ? world_leader(w) : -1;
    world_start(w, 2);
    WORLD_UNTIL(w, world_has_logged(w, 2, "was removed from cluster"), FORM_MS);
    world_run(w, 5000);
    WORLD_CHECK(w, leader < 0 || world_leader(w) == leader); /* it disturbs nobody */
    WORLD_CHECK(w, takes_writes(w));
    assert_answer(w, 2, "GET", "/readyz", NULL, 503, "delete its data directory");
    world_free(w);
  }
}

/* ---- Storms ---- */

static void heal(struct world *w, int nodes) {
  world_set_weather(w, (struct world_weather){0});
  world_unblock_all(w);
  for (int i = 0; i < nodes; i++) {
    if (world_is_paused(w, i)) world_resume(w, i);
    if (!world_is_running(w, i)) world_start(w, i);
  }
}

/* With memory storage to be killed is to be wiped. Those that are down have disks with configurations too,
 * which nobody can ask just now. And the founder that loses its disk before anybody else has the
 * configuration of several voters takes the cluster with it. And across a partition a leader does not see a
 * learner's end, and may make it a voter after that. */
static bool may_be_wiped(struct world *w, int nodes, int node) {
  struct join_situation s;
  for (int i = 0; i < nodes; i++) {
    if (!world_is_running(w, i) || w->blocked_udp[i] != 0 || w->blocked_tcp[i] != 0) return false;
    consensus_situation(world_node(w, i), &s);
    if (s.established && !s.raft.configuration_committed) return false;
  }
  return world_can_spare(w, node);
}

static void one_fault(struct world *w, int nodes, bool durable) {
  const int node = (int)world_dice(w, (uint64_t)nodes), other = (int)world_dice(w, (uint64_t)nodes);
  switch (world_dice(w, 10)) {
  case 0:
  case 1:
    if (world_is_running(w, node) && (durable || may_be_wiped(w, nodes, node))) world_kill(w, node);
    return;
  case 2:
    if (!durable || !may_be_wiped(w, nodes, node)) return;
    world_kill(w, node);
    world_wipe(w, node);
    return;
  case 3:
  case 4:
  case 5:
    if (!world_is_running(w, node)) world_start(w, node);
    return;
  case 6:
    if (world_is_paused(w, node))
      world_resume(w, node);
    else if (world_is_running(w, node))
      world_pause(w, node);
    return;
  case 7:
    if (node != other) world_block(w, node, other, world_dice(w, 2) == 0, world_dice(w, 2) == 0);
    return;
  case 8:
    world_unblock_all(w);
    return;
  default:
    world_set_weather(w, (struct world_weather){.loss_percent = (unsigned)world_dice(w, 31),
                                                .double_percent = (unsigned)world_dice(w, 31),
                                                .late_percent = (unsigned)world_dice(w, 11),
                                                .late_ms = 500});
  }
}

/* What has once been acknowledged is there to the end, which the world checks; and the end comes. A cluster
 * that was founded for nothing may have been followed by another; one with two voters never is. */
static void storm(uint64_t seed) {
  const int nodes = seed % 5 == 0 ? 5 : 3;
  const bool durable = seed % 2 == 0;
  struct world *w = new_world(seed, nodes, durable);
  if (world_dice(w, 2) == 0) world_start_all(w);
  while (world_now_ms(w) < STORM_MS) {
    world_run(w, 1 + world_dice(w, 100));
    one_fault(w, nodes, durable);
  }
  heal(w, nodes);
  WORLD_UNTIL(w, world_is_formed(w), CONVERGE_MS);
  WORLD_UNTIL(w, takes_writes(w), 1000);
  world_free(w);
}

static void after_every_storm_they_are_one_cluster(void **state) {
  (void)state;
  const char *only = getenv("WORLD_SEED");
  if (only != NULL) {
    storm(strtoull(only, NULL, 10));
    return;
  }
  for (uint64_t seed = 1; seed <= STORMS; seed++) storm(seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(they_found_one_cluster),
      cmocka_unit_test(they_start_in_any_order),
      cmocka_unit_test(a_bad_network_does_not_keep_them_from_it),
      cmocka_unit_test(all_come_back_from_their_disks),
      cmocka_unit_test(a_wiped_node_takes_its_own_place),
      cmocka_unit_test(a_removed_node_is_told_so_and_stays_out),
      cmocka_unit_test(after_every_storm_they_are_one_cluster),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
