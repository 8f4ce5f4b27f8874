/* What a seed draws once. */
#include "sim.h"

#include <inttypes.h>

static bool one_in(struct random *random, unsigned n) {
  return random_below(random, n) == 0;
}

static unsigned between(struct random *random, unsigned least, unsigned most) {
  return least + (unsigned)random_below(random, most - least + 1);
}

/* Most seeds have some of the faults, each rare in some and frequent in others. */
static unsigned draw_rate(struct random *random, unsigned least_ms, unsigned most_ms) {
  if (one_in(random, 2)) return 0;
  const unsigned span = most_ms / least_ms;
  return least_ms * between(random, 1, one_in(random, 3) ? 2 : span);
}

static void draw_faults(struct plan *plan, struct random *random) {
  plan->every_ms[FAULT_KILL] = draw_rate(random, 1000, 20000);
  plan->every_ms[FAULT_POWER] = draw_rate(random, 2000, 30000);
  plan->every_ms[FAULT_TERMINATE] = draw_rate(random, 4000, 30000);
  plan->every_ms[FAULT_PAUSE] = draw_rate(random, 1500, 20000);
  plan->every_ms[FAULT_PARTITION] = draw_rate(random, 1500, 20000);
  plan->every_ms[FAULT_CUT] = draw_rate(random, 500, 10000);
  plan->every_ms[FAULT_TRANSFER] = draw_rate(random, 500, 20000);
  plan->every_ms[FAULT_WEATHER] = draw_rate(random, 1000, 20000);
  if (plan->durable) plan->every_ms[FAULT_HANG] = draw_rate(random, 5000, 40000);
  if (plan->durable) plan->every_ms[FAULT_STORM] = draw_rate(random, 10000, 60000);
  if (plan->durable && plan->nodes > 2) plan->every_ms[FAULT_REMOVE] = draw_rate(random, 2000, 30000);
  if (plan->durable && plan->nodes > 2) plan->every_ms[FAULT_WIPE] = draw_rate(random, 3000, 30000);
  if (plan->durable && plan->nodes > 2 && one_in(random, 3))
    plan->every_ms[FAULT_FOREIGN] = draw_rate(random, 5000, 40000);
}

static void draw_weather(struct plan *plan, struct random *random) {
  static const unsigned delays_us[] = {0, 0, 0, 200, 2000, 30000, 100000};
  if (one_in(random, 2)) plan->loss_percent = between(random, 0, 30);
  if (one_in(random, 2)) plan->double_percent = between(random, 0, 50);
  if (one_in(random, 2)) plan->late_percent = between(random, 0, 10);
  plan->late_ms = one_in(random, 4) ? 10 * ELECTION_TIMEOUT_MS : between(random, 1, 200);
  plan->delay_us = delays_us[random_below(random, sizeof delays_us / sizeof delays_us[0])];
}

/* A snapshot every ten to a hundred entries, of some chunks, in most seeds. */
static void draw_snapshots(struct plan *plan, struct random *random) {
  if (one_in(random, 4)) return;
  plan->compact_bytes = between(random, 100, 3000);
  plan->chunk_bytes_max = between(random, 40, 1000);
}

static void draw_disks(struct plan *plan, struct random *random) {
  static const unsigned segments_bytes[] = {2048, 4096, 16384, 65536};
  if (!plan->durable) return;
  plan->segment_bytes =
      segments_bytes[random_below(random, sizeof segments_bytes / sizeof segments_bytes[0])];
  plan->every_ms[FAULT_FULL] = draw_rate(random, 3000, 30000);
  plan->every_ms[FAULT_IO] = draw_rate(random, 2000, 30000);
  if (plan->nodes > 2) plan->every_ms[FAULT_DAMAGE] = draw_rate(random, 3000, 30000);
}

/* From dice of their own: what else is drawn for a seed does not depend on them. */
static void draw_writes(struct plan *plan) {
  static const unsigned keyed[] = {0, 0, 0, 50, 100}, transactions[] = {0, 0, 10, 40},
                        patches[] = {0, 0, 30, 70}, drops[] = {0, 0, 0, 1, 5}, applied[] = {0, 0, 0, 1, 2, 5};
  struct random random = {.state = plan->seed * 0xd1b54a32d192ed03u + 1};
  plan->keyed_percent = keyed[random_below(&random, sizeof keyed / sizeof keyed[0])];
  plan->transactions_percent =
      transactions[random_below(&random, sizeof transactions / sizeof transactions[0])];
  plan->patches_percent = patches[random_below(&random, sizeof patches / sizeof patches[0])];
  plan->drops_percent = drops[random_below(&random, sizeof drops / sizeof drops[0])];
  plan->operations_per_turn = applied[random_below(&random, sizeof applied / sizeof applied[0])];
  if (plan->keyed_percent > 0) plan->every_ms[FAULT_AGAIN] = draw_rate(&random, 200, 10000);
}

void plan_draw(struct plan *plan, uint64_t seed) {
  static const int sizes[] = {1, 2, 3, 3, 3, 3, 5, 5, 5, 7};
  static const unsigned disks_us[] = {100, 300, 300, 1000, 5000, 20000};
  struct random random = {.state = seed * 0x9e3779b97f4a7c15u + 1};
  *plan = (struct plan){.seed = seed};
  plan->nodes = sizes[random_below(&random, sizeof sizes / sizeof sizes[0])];
  plan->durable = !one_in(&random, 6);
  plan->peers = one_in(&random, 2);
  if (plan->peers && one_in(&random, 3)) plan->expect = between(&random, 1, (unsigned)plan->nodes);
  plan->follower_writes = (enum api_follower_writes)random_below(&random, 3);
  plan->disk_us = disks_us[random_below(&random, sizeof disks_us / sizeof disks_us[0])];
  draw_weather(plan, &random);
  draw_faults(plan, &random);
  for (int i = 0; i < plan->nodes; i++)
    plan->drift_ppm[i] = one_in(&random, 2) ? 0 : (int)between(&random, 0, 200000) - 100000;
  plan->clients = (int)between(&random, 1, CLIENTS_MAX);
  plan->keys = (int)between(&random, 1, KEYS_MAX);
  plan->think_ms = one_in(&random, 8) ? 2 : between(&random, 20, 1000);
  draw_snapshots(plan, &random);
  draw_disks(plan, &random);
  draw_writes(plan);
}

const char *fault_text(enum fault fault) {
  static const char *const texts[FAULTS_N] = {
      [FAULT_KILL] = "kill",       [FAULT_POWER] = "power cut",     [FAULT_TERMINATE] = "terminate",
      [FAULT_PAUSE] = "pause",     [FAULT_HANG] = "disk hang",      [FAULT_PARTITION] = "partition",
      [FAULT_CUT] = "cut",         [FAULT_STORM] = "storm",         [FAULT_WIPE] = "wipe",
      [FAULT_FOREIGN] = "foreign", [FAULT_WEATHER] = "weather",     [FAULT_TRANSFER] = "transfer",
      [FAULT_REMOVE] = "remove",   [FAULT_FULL] = "full disk",      [FAULT_IO] = "disk error",
      [FAULT_DAMAGE] = "damage",   [FAULT_AGAIN] = "proposal again"};
  return texts[fault];
}

void plan_print(const struct plan *plan, struct bytes *out) {
  static const char *const writes[] = {
      [API_REDIRECT] = "redirect", [API_FORWARD_WRITES] = "forward", [API_REJECT] = "reject"};
  bytes_printf(out, "seed %" PRIu64 ": %d nodes, %s, follower-writes=%s, ", plan->seed, plan->nodes,
               plan->durable ? "disks" : "memory storage", writes[plan->follower_writes]);
  if (plan->peers)
    bytes_printf(out, "peers, expect=%u\n", plan->expect);
  else
    bytes_printf(out, "one election address\n");
  if (plan->durable)
    bytes_printf(out, "  disks take %u us; segments of %u bytes\n", plan->disk_us, plan->segment_bytes);
  bytes_printf(out, "  up to %u %% lost, %u %% doubled, %u %% late by %u ms; delay %u us\n",
               plan->loss_percent, plan->double_percent, plan->late_percent, plan->late_ms, plan->delay_us);
  bytes_printf(out, "  %d clients, %d documents, a request every %u ms\n", plan->clients, plan->keys,
               plan->think_ms);
  bytes_printf(out, "  of the writes %u %% have a key; %u %% transactions, %u %% patches, %u %% drops\n",
               plan->keyed_percent, plan->transactions_percent, plan->patches_percent, plan->drops_percent);
  if (plan->operations_per_turn > 0)
    bytes_printf(out, "  %u operations are applied in a turn\n", plan->operations_per_turn);
  if (plan->compact_bytes > 0)
    bytes_printf(out, "  logs of more than %u bytes are compacted; chunks of %u bytes\n", plan->compact_bytes,
                 plan->chunk_bytes_max);
  bytes_printf(out, "  clocks:");
  for (int i = 0; i < plan->nodes; i++) bytes_printf(out, " %c %+d ppm", 'a' + i, plan->drift_ppm[i]);
  bytes_printf(out, "\n  faults:");
  for (int i = 0; i < FAULTS_N; i++)
    if (plan->every_ms[i] > 0)
      bytes_printf(out, " %s every %u ms,", fault_text((enum fault)i), plan->every_ms[i]);
  bytes_printf(out, "\n");
}
