/* Goal: a node that comes after the log was compacted gets all documents all the same, whatever becomes of
 * the stream, the leader or the documents on the way; and the log of a cluster that overwrites its documents
 * stays as small as it was told to. That all nodes have the same documents at the same index, however they
 * came to them, the world checks at every turn. */
#include "world_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { FORM_MS = 3000, RESTART_MS = 6000, COMPACT_BYTES = 20000, CHUNK_BYTES = 500 };

static const struct world_options small_logs = {
    .nodes = 3, .one_cluster = true, .compact_bytes = COMPACT_BYTES, .chunk_bytes_max = CHUNK_BYTES};

static struct world *world_of(uint64_t seed, int nodes) {
  struct world_options options = small_logs;
  options.seed = seed;
  options.nodes = nodes;
  return world_new(&options);
}

static const struct coracle_raft *raft_of(struct world *w, int node) {
  return replica_raft(world_node(w, node)->replica);
}

static struct coracle_raft_status status_of(struct world *w, int node) {
  struct coracle_raft_status status;
  coracle_raft_status(raft_of(w, node), 0, &status);
  return status;
}

static uint64_t snapshot_index(struct world *w, int node) {
  return coracle_raft_snapshot(raft_of(w, node))->index;
}

/* Writes round after round to these documents, all requests of a round at once. */
static void write_rounds(struct world *w, int documents, int rounds, int *number) {
  struct client client;
  const int leader = world_leader(w);
  client_open(&client, w, leader);
  for (int i = 0; i < rounds * documents; i++) {
    char target[60], body[400];
    snprintf(target, sizeof target, "/v1/collections/c/d%d", i % documents);
    snprintf(body, sizeof body, "{\"n\":%d,\"padding\":\"%0*d\"}", ++*number, 200, 0);
    client_ask(&client, "PUT", target, body);
    if (i % documents == documents - 1) WORLD_UNTIL(w, client_answers(&client) == (size_t)i + 1, 2000);
  }
  for (int i = 0; i < rounds * documents; i++) {
    const int status = client_answer(&client, (size_t)i)->status;
    WORLD_CHECK(w, status == 200 || status == 201);
  }
  client_close(&client);
}

static void assert_has_newest(struct world *w, int node, int documents, int number) {
  for (int i = 0; i < documents; i++) {
    char target[60], has[60];
    snprintf(target, sizeof target, "/v1/collections/c/d%d?consistency=stale", i);
    snprintf(has, sizeof has, "\"n\":%d,\"padding", number - documents + 1 + i);
    assert_answer(w, node, "GET", target, NULL, 200, has);
  }
}

/* Nodes 0 and 1 have formed a cluster and compacted their logs; node 2 has not been started. */
static struct world *compacted(uint64_t seed, int documents, int *number) {
  struct world *w = world_of(seed, 3);
  world_start(w, 0);
  world_start(w, 1);
  WORLD_UNTIL(w, world_leader(w) >= 0 && world_is_formed(w), FORM_MS);
  write_rounds(w, documents, 4 * COMPACT_BYTES / 250 / documents + 2, number);
  WORLD_CHECK(w, snapshot_index(w, 0) > 100 && snapshot_index(w, 1) > 100);
  WORLD_CHECK(w, status_of(w, world_leader(w)).first_index > 100);
  return w;
}

static void a_late_node_gets_all_documents(void **state) {
  (void)state;
  int number = 0;
  struct world *w = compacted(1, 10, &number);
  world_start(w, 2);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  WORLD_CHECK(w, world_has_logged(w, 2, "installed the leader's snapshot of index "));
  WORLD_CHECK(w, snapshot_index(w, 2) > 100);
  assert_has_newest(w, 2, 10, number);
  assert_answer(w, 2, "GET", "/v1/collections", NULL, 200, "\"c\"");
  write_rounds(w, 10, 20, &number); /* it goes on like the others, and compacts its own log */
  WORLD_UNTIL(w, world_is_formed(w), 1000);
  assert_has_newest(w, 2, 10, number);
  WORLD_CHECK(w, status_of(w, 2).log_bytes <= COMPACT_BYTES + 400);
  world_free(w);
}

static uint64_t sent_to_newcomer(struct world *w) {
  const int leader = world_leader(w);
  if (leader < 0) return 0;
  const struct coracle_raft_status status = status_of(w, leader);
  for (size_t i = 0; i < status.peers_n; i++)
    if (status.peers[i].snapshot_index != 0) return status.peers[i].snapshot_bytes;
  return 0;
}

static void a_cut_stream_is_gone_on_with(void **state) {
  (void)state;
  int number = 0;
  struct world *w = compacted(2, 30, &number);
  const int leader = world_leader(w);
  const uint64_t bytes = coracle_raft_snapshot(raft_of(w, leader))->bytes;
  world_start(w, 2);
  uint64_t before = 0;
  for (int cuts = 0; cuts < 3; cuts++) {
    WORLD_UNTIL(w, sent_to_newcomer(w) >= before + 2 * CHUNK_BYTES, FORM_MS);
    WORLD_CHECK(w, sent_to_newcomer(w) < bytes);
    before = sent_to_newcomer(w);
    world_cut(w, leader, 2);
    WORLD_UNTIL(w, sent_to_newcomer(w) == 0, 100);
    WORLD_UNTIL(w, sent_to_newcomer(w) > 0, FORM_MS);
    WORLD_CHECK(w, sent_to_newcomer(w) >= before); /* nothing of it twice */
  }
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  assert_has_newest(w, 2, 30, number);
  world_free(w);
}

static void another_leader_takes_over_in_mid_transfer(void **state) {
  (void)state;
  int number = 0;
  struct world *w = world_of(3, 4);
  for (int i = 0; i < 3; i++) world_start(w, i);
  WORLD_UNTIL(w, world_leader(w) >= 0 && world_is_formed(w), FORM_MS);
  write_rounds(w, 30, 20, &number);
  world_start(w, 3);
  WORLD_UNTIL(w, sent_to_newcomer(w) > 0, FORM_MS);
  world_kill(w, world_leader(w));
  WORLD_UNTIL(w, world_leader(w) >= 0 && world_is_formed(w), RESTART_MS);
  WORLD_CHECK(w, world_has_logged(w, 3, "installed the leader's snapshot of index "));
  assert_has_newest(w, 3, 30, number);
  world_free(w);
}

/* A write to a document that is on its way changes neither the image nor the document there in the end. */
static void writes_go_on_meanwhile(void **state) {
  (void)state;
  int number = 0;
  struct world *w = compacted(4, 30, &number);
  world_start(w, 2);
  WORLD_UNTIL(w, sent_to_newcomer(w) > 0, FORM_MS);
  write_rounds(w, 30, 30, &number);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  assert_has_newest(w, 2, 30, number);
  world_free(w);
}

/* A follower that was away too long is brought back by a snapshot, whatever it has. */
static void one_that_was_away_is_brought_back(void **state) {
  (void)state;
  int number = 0;
  struct world *w = world_of(5, 3);
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  write_rounds(w, 10, 2, &number);
  const int follower = (world_leader(w) + 1) % 3;
  for (int other = 0; other < 3; other++) {
    if (other == follower) continue;
    world_block(w, follower, other, true, true);
    world_block(w, other, follower, true, true);
    world_cut(w, follower, other);
  }
  write_rounds(w, 10, 40, &number);
  world_unblock_all(w);
  WORLD_UNTIL(w, world_is_formed(w), RESTART_MS);
  WORLD_CHECK(w, world_has_logged(w, follower, "installed the leader's snapshot of index "));
  assert_has_newest(w, follower, 10, number);
  world_free(w);
}

/* With disks: the image goes there first, in chunks, and a crash may come between any two of them. */
static void a_restart_begins_with_an_image(void **state) {
  (void)state;
  struct world_options options = small_logs;
  options.durable = true;
  for (options.seed = 7; options.seed < 17; options.seed++) {
    int number = 0;
    struct world *w = world_new(&options);
    world_start_all(w);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    for (int crashes = 0; crashes < 3; crashes++) {
      write_rounds(w, 10, 10 + (int)world_dice(w, 30), &number);
      for (int i = 0; i < 3; i++) world_cut_power(w, i);
      world_run(w, 10);
      world_start_all(w);
      WORLD_UNTIL(w, world_is_formed(w), RESTART_MS);
    }
    for (int i = 0; i < 3; i++) {
      WORLD_CHECK(w, w->processes[i].disk.snapshot.index > 100);
      /* It may have yet to hear that the image is there. */
      WORLD_UNTIL(w, snapshot_index(w, i) == w->processes[i].disk.snapshot.index, 100);
      assert_has_newest(w, i, 10, number);
    }
    world_free(w);
  }
}

static void one_that_was_wiped_gets_an_image_to_its_disk(void **state) {
  (void)state;
  struct world_options options = small_logs;
  options.durable = true;
  options.seed = 8;
  int number = 0;
  struct world *w = world_new(&options);
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  write_rounds(w, 10, 30, &number);
  const int follower = (world_leader(w) + 1) % 3;
  world_kill(w, follower);
  world_wipe(w, follower);
  world_start(w, follower);
  WORLD_UNTIL(w, world_is_formed(w), RESTART_MS);
  WORLD_CHECK(w, world_has_logged(w, follower, "installed the leader's snapshot of index "));
  world_cut_power(w, follower);
  world_start(w, follower);
  WORLD_UNTIL(w, world_is_formed(w), RESTART_MS);
  assert_has_newest(w, follower, 10, number);
  world_free(w);
}

static void the_same_seed_is_the_same_run(void **state) {
  (void)state;
  uint64_t hashes[2];
  for (int i = 0; i < 2; i++) {
    int number = 0;
    struct world *w = compacted(6, 10, &number);
    world_start(w, 2);
    WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
    hashes[i] = world_trace_hash(w);
    world_free(w);
  }
  assert_true(hashes[0] == hashes[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_late_node_gets_all_documents),
      cmocka_unit_test(a_cut_stream_is_gone_on_with),
      cmocka_unit_test(another_leader_takes_over_in_mid_transfer),
      cmocka_unit_test(writes_go_on_meanwhile),
      cmocka_unit_test(one_that_was_away_is_brought_back),
      cmocka_unit_test(a_restart_begins_with_an_image),
      cmocka_unit_test(one_that_was_wiped_gets_an_image_to_its_disk),
      cmocka_unit_test(the_same_seed_is_the_same_run),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
