/* Goal: with a disk, a node comes back as who it was, with all that was acknowledged; and nothing leaves a
 * node before what it rests on is durable. The world looks on at every step (test/sim/world_durable.c). */
#include "node_impostor.h"
#include "world_core.h"

enum { FORM_MS = 3000, RESTART_MS = 5000 };

static struct world *formed(uint64_t seed, int nodes) {
  struct world *w =
      world_new(&(struct world_options){.seed = seed, .nodes = nodes, .durable = true, .one_cluster = true});
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  return w;
}

static void put(struct world *w, const char *target, const char *body) {
  const int status = world_status(w, world_leader(w), "PUT", target, body);
  WORLD_CHECK(w, status == 201 || status == 200);
}

static void kill_all(struct world *w) {
  for (int i = 0; i < w->options.nodes; i++)
    if (world_is_running(w, i)) world_kill(w, i);
}

static void all_that_was_acknowledged_is_back(void **state) {
  (void)state;
  for (int nodes = 1; nodes <= 5; nodes += 2) {
    struct world *w = formed(7, nodes);
    uint64_t ids[WORLD_NODES_MAX];
    for (int i = 0; i < nodes; i++) ids[i] = world_id(w, i);
    put(w, "/v1/collections/c/x", "{\"id\":\"x\",\"n\":1}");
    kill_all(w);
    world_run(w, 100);
    world_start_all(w);
    for (int i = 0; i < nodes; i++) assert_int_equal(world_id(w, i), ids[i]);
    WORLD_UNTIL(w, world_is_formed(w), RESTART_MS);
    for (int i = 0; i < nodes; i++)
      assert_answer(w, i, "GET", "/v1/collections/c/x", NULL, 200, "{\"id\":\"x\",\"n\":1}");
    put(w, "/v1/collections/c/x", "{\"id\":\"x\",\"n\":2}");
    world_free(w);
  }
}

/* ... under the names, the addresses and the cluster of before, whatever was the leader. */
static void a_follower_misses_some_and_catches_up(void **state) {
  (void)state;
  struct world *w = formed(3, 3);
  const int follower = (world_leader(w) + 1) % 3;
  const uint64_t id = world_id(w, follower);
  world_cut_power(w, follower);
  for (int i = 0; i < 20; i++) put(w, "/v1/collections/c/x", "{\"id\":\"x\",\"n\":3}");
  world_start(w, follower);
  assert_int_equal(world_id(w, follower), id);
  WORLD_UNTIL(w, world_is_formed(w), RESTART_MS);
  assert_answer(w, follower, "GET", "/v1/collections/c/x", NULL, 200, "{\"id\":\"x\",\"n\":3}");
  world_free(w);
}

/* One whose data is gone is another, and takes the place of the former under its name. */
static void a_wiped_node_is_a_new_one(void **state) {
  (void)state;
  struct world *w = formed(5, 3);
  const int follower = (world_leader(w) + 1) % 3;
  const uint64_t id = world_id(w, follower);
  put(w, "/v1/collections/c/x", "{}");
  world_kill(w, follower);
  world_wipe(w, follower);
  world_start(w, follower);
  assert_int_not_equal(world_id(w, follower), id);
  WORLD_UNTIL(w, world_is_formed(w), RESTART_MS);
  assert_answer(w, follower, "GET", "/v1/collections/c/x", NULL, 200, NULL);
  world_free(w);
}

/* While its disk hangs, a node says nothing that rests on it: no acknowledgement counts. */
static void a_hanging_disk_acknowledges_nothing(void **state) {
  (void)state;
  struct world *w = formed(11, 3);
  const int leader = world_leader(w);
  for (int i = 0; i < 3; i++)
    if (i != leader) world_hang_disk(w, i, 300);
  struct client client;
  client_open(&client, w, leader);
  client_ask(&client, "PUT", "/v1/collections/c/x", "{}");
  world_run(w, 250);
  assert_int_equal(client_answers(&client), 0);
  WORLD_UNTIL(w, client_answers(&client) == 1, 300);
  assert_int_equal(client_answer(&client, 0)->status, 201);
  assert_int_equal(world_leader(w), leader); /* a slow disk alone deposes nobody */
  client_close(&client);
  world_free(w);
}

/* Its heartbeats go on, and its followers could commit without it: but it must not lead for ever. */
static void a_leader_whose_disk_hangs_gives_way(void **state) {
  (void)state;
  struct world *w = formed(23, 3);
  const int leader = world_leader(w);
  struct client client;
  world_hang_disk(w, leader, 30000);
  client_open(&client, w, leader);
  client_ask(&client, "PUT", "/v1/collections/c/x", "{}");
  WORLD_UNTIL(w, world_leader(w) >= 0 && world_leader(w) != leader, 8000);
  world_run(w, 100); /* it commits an entry of its own term first */
  put(w, "/v1/collections/c/x", "{}");
  client_close(&client);
  world_free(w);
}

/* It has left one cluster and founded another while its disk hung: what it wanted to say in between, under an
 * identity that it had for a moment, is not to be said under the next, which is not durable yet. */
static void what_an_identity_had_to_say_ends_with_it(void **state) {
  (void)state;
  struct world *w = world_new(&(struct world_options){.seed = 29, .nodes = 2, .durable = true});
  world_start(w, 0);
  WORLD_UNTIL(w, world_leader(w) == 0, 1000);
  world_run(w, 100);
  world_kill(w, 0);
  world_run(w, 10);
  world_start(w, 1);
  WORLD_UNTIL(w, world_leader(w) == 1, 1000);
  world_run(w, 100);
  world_hang_disk(w, 0, 2000);
  world_start(w, 0);
  WORLD_UNTIL(w, world_has_logged(w, 0, "leaving unestablished cluster"), 100);
  world_run(w, 60);
  world_kill(w, 1);
  WORLD_UNTIL(w, world_has_logged(w, 0, "founded cluster"), 1000);
  world_run(w, 2000);
  put(w, "/v1/collections/c/x", "{}");
  world_free(w);
}

/* A leader's message, from another cluster than the one that the node is in: that one is established. */
static struct bytes established_elsewhere(struct impostor *leader) {
  struct join_message message = {
      .type = JOIN_CREDENTIALS,
      .card = {.name = "other", .leader = true, .established = true, .http = leader->http}};
  struct bytes body = {0};
  memset(leader->cluster, 'y', sizeof leader->cluster);
  join_message_encode(&message, &body);
  struct bytes datagram = impostor_datagram(leader, 0, JOIN_CREDENTIALS, body.data, body.n);
  bytes_close(&body);
  return datagram;
}

/* In one turn it leaves a cluster, and hears from its disk that what it had joined that under is durable.
 * What waited for that was of that cluster; the identity that it has taken since is not durable yet. */
static void what_an_identity_waited_for_comes_too_late(void **state) {
  (void)state;
  enum { HANG_MS = 60, DISK_MS = 40 };
  struct world *w = world_new(&(struct world_options){.seed = 31, .nodes = 1, .durable = true});
  struct tap *election = world_tap(w, world_election());
  struct impostor joined, other;
  impostor_open(&joined, w, 1);
  impostor_open(&other, w, 2);
  memset(joined.cluster, 'x', sizeof joined.cluster);
  joined.leads = true;
  world_occupy(w, true);
  world_start(w, 0);
  WORLD_UNTIL(w, impostor_heard(&joined, election, JOIN_ACCEPT), 200);
  world_hang_disk(w, 0, HANG_MS);
  impostor_say(&joined, election->from, joined.heard_from, JOIN_CREDENTIALS);
  WORLD_UNTIL(w, world_has_logged(w, 0, "sent CREDENTIALS to"), 10);
  world_run(w, DISK_MS);
  world_pause(w, 0);
  WORLD_UNTIL(w, world_disk_is_ready(&w->processes[0].disk), HANG_MS);

  struct bytes datagram = established_elsewhere(&other);
  process_step(
      w, 0,
      (struct node_event){
          .type = NODE_DATAGRAM, .from = other.tap->address, .data = datagram.data, .n = datagram.n});
  world_disk_feed(w, 0);
  world_resume(w, 0);
  WORLD_UNTIL(w, world_has_logged(w, 0, "leaving unestablished cluster"), 10);
  world_run(w, 2 * HEARTBEAT_MS);
  assert_false(impostor_heard(&joined, joined.tap, JOIN_CREDENTIALS));
  bytes_close(&datagram);
  world_free(w);
}

/* A sole node, too, answers only what is durable. */
static void a_sole_node_waits_for_its_disk(void **state) {
  (void)state;
  struct world *w = formed(13, 1);
  struct client client;
  world_hang_disk(w, 0, 200);
  client_open(&client, w, 0);
  client_ask(&client, "PUT", "/v1/collections/c/x", "{}");
  world_run(w, 150);
  assert_int_equal(client_answers(&client), 0);
  WORLD_UNTIL(w, client_answers(&client) == 1, 300);
  client_close(&client);
  world_free(w);
}

/* As if so much were on its way to the disk already. */
static void burden(struct world *w, int node, size_t bytes) {
  world_node(w, node)->storage.unstored_bytes += bytes;
}

static void unburden(struct world *w, int node, size_t bytes) {
  world_node(w, node)->storage.unstored_bytes -= bytes;
}

enum { LIMIT_BYTES = 64 * 1024 * 1024 };

/* A leader whose disk is far behind takes no writes, and says so; reads go on. */
static void a_leader_whose_disk_is_full_takes_no_writes(void **state) {
  (void)state;
  struct world *w = formed(17, 3);
  const int leader = world_leader(w);
  put(w, "/v1/collections/c/x", "{}");
  world_run(w, 50);
  burden(w, leader, LIMIT_BYTES);
  assert_answer(w, leader, "PUT", "/v1/collections/c/x", "{}", 503, "\"busy\"");
  assert_answer(w, leader, "GET", "/v1/collections/c/x", NULL, 200, NULL);
  unburden(w, leader, LIMIT_BYTES);
  put(w, "/v1/collections/c/x", "{}");
  world_free(w);
}

/* A follower reads no more of its leader's stream, and goes on when there is room again. The others do
 * without it. */
static void a_follower_whose_disk_is_full_reads_no_more(void **state) {
  (void)state;
  struct world *w = formed(19, 3);
  const int leader = world_leader(w), follower = (leader + 1) % 3;
  struct node *node = world_node(w, follower);
  world_run(w, 50);
  world_hang_disk(w, follower, 400);
  burden(w, follower, LIMIT_BYTES - 1);
  put(w, "/v1/collections/c/x", "{\"n\":1}");
  WORLD_UNTIL(w, node->leader_stream != NULL && node->leader_stream->paused, 50);
  const uint64_t applied = replica_applied(node->replica);
  for (int i = 0; i < 5; i++) put(w, "/v1/collections/c/x", "{\"n\":2}");
  world_run(w, 100);
  assert_int_equal(replica_applied(node->replica), applied);
  WORLD_UNTIL(w, !node->leader_stream->paused, 500);
  unburden(w, follower, LIMIT_BYTES - 1);
  WORLD_UNTIL(w, world_is_formed(w), 500);
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_that_was_acknowledged_is_back),
      cmocka_unit_test(a_follower_misses_some_and_catches_up),
      cmocka_unit_test(a_wiped_node_is_a_new_one),
      cmocka_unit_test(a_hanging_disk_acknowledges_nothing),
      cmocka_unit_test(a_leader_whose_disk_hangs_gives_way),
      cmocka_unit_test(what_an_identity_had_to_say_ends_with_it),
      cmocka_unit_test(what_an_identity_waited_for_comes_too_late),
      cmocka_unit_test(a_sole_node_waits_for_its_disk),
      cmocka_unit_test(a_leader_whose_disk_is_full_takes_no_writes),
      cmocka_unit_test(a_follower_whose_disk_is_full_reads_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
