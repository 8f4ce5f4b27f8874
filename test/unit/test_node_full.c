/* Goal: a disk without room stops writes and nothing else: they are answered with 507 wherever they come,
 * reads go on, nobody steps down, and everything goes on by itself when there is room. One that hangs stops
 * only its own node, which says so. */
#include "world_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define TARGET "/v1/collections/c/x"

enum { FORM_MS = 3000, NEWS_MS = 200, LONG_MS = 20000, STALL_MS = 5000 };

static struct world *formed_of(uint64_t seed, int nodes, int started) {
  struct world *w =
      world_new(&(struct world_options){.seed = seed, .nodes = nodes, .durable = true, .one_cluster = true});
  for (int i = 0; i < started; i++) world_start(w, i);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  return w;
}

static struct world *formed(uint64_t seed) {
  struct world *w = formed_of(seed, 3, 3);
  assert_answer(w, world_leader(w), "PUT", TARGET, "{}", 201, NULL);
  return w;
}

/* What the shell says when its disk has no room for another segment, or has again. */
static void set_full(struct world *w, int node, bool full) {
  process_step(w, node, (struct node_event){.type = NODE_STORAGE, .full = full});
  process_poke(w, node);
  world_run(w, NEWS_MS);
}

static void assert_refused(struct world *w, int leader, const char *detail) {
  assert_answer(w, leader, "PUT", TARGET, "{}", 507, "\"disk_full\"");
  assert_answer(w, leader, "PUT", TARGET, "{}", 507, detail);
  assert_answer(w, leader, "POST", "/v1/collections/c", "{}", 507, "\"disk_full\"");
  assert_answer(w, leader, "DELETE", TARGET, NULL, 507, "\"disk_full\"");
}

static void assert_taken(struct world *w, int leader) {
  assert_answer(w, leader, "PUT", TARGET, "{}", 200, NULL);
}

static void assert_readable(struct world *w) {
  for (int i = 0; i < w->options.nodes; i++)
    if (world_is_running(w, i)) assert_answer(w, i, "GET", TARGET, NULL, 200, NULL);
}

static const char *name_of(int node) {
  static const char *const names[] = {"a", "b", "c", "d", "e"};
  return names[node];
}

/* As one node shows the other. */
static void assert_shown(struct world *w, int by, int node, const char *storage) {
  char member[300];
  struct answer_seen answer = world_ask(w, by, "GET", "/v1/cluster", NULL, 100);
  snprintf(member, sizeof member, "\"name\":\"%s\"", name_of(node));
  const char *at = strstr((const char *)answer.body.data, member);
  at = at != NULL ? strstr(at, "\"storage\":") : NULL;
  if (at == NULL || strncmp(at + strlen("\"storage\":"), storage, strlen(storage)) != 0)
    world_fail(w, "%s shows %s otherwise than as %s: %s", name_of(by), name_of(node), storage,
               (const char *)answer.body.data);
  answer_close(&answer);
}

/* ---- Full ---- */

static void a_full_leader_takes_no_writes(void **state) {
  (void)state;
  struct world *w = formed(1);
  const int leader = world_leader(w), follower = (leader + 1) % 3;
  char detail[100];
  snprintf(detail, sizeof detail, "on the disk of %s; make some there", name_of(leader));
  set_full(w, leader, true);
  WORLD_CHECK(w, world_has_logged(w, leader, "storage is full"));
  assert_refused(w, leader, detail);
  assert_answer(w, follower, "PUT", TARGET, "{}", 307, NULL);
  assert_readable(w);
  assert_shown(w, leader, leader, "\"full\"");
  assert_shown(w, leader, follower, "\"ok\"");
  assert_shown(w, follower, follower, "\"ok\"");
  assert_shown(w, follower, leader, "null");
  assert_answer(w, leader, "GET", "/readyz", NULL, 200, "\"storage\":\"full\"");
  world_run(w, LONG_MS); /* nobody minds */
  assert_int_equal(world_leader(w), leader);
  assert_refused(w, leader, detail);
  assert_readable(w);
  set_full(w, leader, false);
  WORLD_CHECK(w, world_has_logged(w, leader, "storage has room again"));
  assert_taken(w, leader);
  assert_shown(w, leader, leader, "\"ok\"");
  world_free(w);
}

static uint64_t snapshot_index(struct world *w, int node) {
  return coracle_raft_snapshot(replica_raft(world_node(w, node)->replica))->index;
}

/* An image of its own for which there is no room is in nobody's way: what can be written still is, and so are
 * votes. It is taken when there is room. */
static void no_room_for_a_snapshot(void **state) {
  (void)state;
  enum { COMPACT_BYTES = 1000, SEGMENT_BYTES = 64 * 1024, WRITES = 100 };
  struct world *w = world_new(&(struct world_options){.seed = 5,
                                                      .nodes = 3,
                                                      .durable = true,
                                                      .one_cluster = true,
                                                      .compact_bytes = COMPACT_BYTES,
                                                      .segment_bytes = SEGMENT_BYTES});
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  const int leader = world_leader(w);
  assert_answer(w, leader, "PUT", TARGET, "{}", 201, NULL);
  world_limit_disk(w, leader, 0); /* the spare segment is there */
  const uint64_t before = snapshot_index(w, leader);
  for (int i = 0; i < WRITES; i++) assert_taken(w, leader);
  WORLD_CHECK(w, world_has_logged(w, leader, "storage has no room for a snapshot"));
  assert_int_equal(snapshot_index(w, leader), before);
  for (int i = 0; i < 3; i++)
    if (i != leader) WORLD_CHECK(w, snapshot_index(w, i) > before);
  world_limit_disk(w, leader, UINT64_MAX);
  for (int i = 0; i < WRITES; i++) assert_taken(w, leader);
  WORLD_CHECK(w, snapshot_index(w, leader) > before);
  world_free(w);
}

/* A majority has room. */
static void one_full_follower_is_no_matter(void **state) {
  (void)state;
  struct world *w = formed(2);
  const int leader = world_leader(w), follower = (leader + 1) % 3;
  set_full(w, follower, true);
  assert_taken(w, leader);
  assert_shown(w, leader, follower, "\"full\"");
  assert_shown(w, follower, follower, "\"full\"");
  WORLD_CHECK(w, world_has_logged(w, leader,
                                  follower == 0   ? "the storage of a is full"
                                  : follower == 1 ? "the storage of b is full"
                                                  : "the storage of c is full"));
  set_full(w, follower, false);
  assert_shown(w, leader, follower, "\"ok\"");
  world_free(w);
}

static void without_room_at_a_majority_nothing_is_taken(void **state) {
  (void)state;
  struct world *w = formed(3);
  const int leader = world_leader(w), first = (leader + 1) % 3, second = (leader + 2) % 3;
  set_full(w, first, true);
  set_full(w, second, true);
  struct node *node = world_node(w, leader);
  const uint64_t before = replica_applied(node->replica);
  assert_refused(w, leader, ", "); /* both are named */
  world_run(w, LONG_MS);
  assert_int_equal(world_leader(w), leader);
  assert_int_equal(replica_applied(node->replica), before); /* nothing entered the log */
  assert_readable(w);
  set_full(w, first, false);
  assert_taken(w, leader);
  world_free(w);
}

/* One voter is away, so the full one would be needed. */
static void a_voter_that_is_away_has_no_room(void **state) {
  (void)state;
  struct world *w = formed(4);
  const int leader = world_leader(w), full = (leader + 1) % 3, away = (leader + 2) % 3;
  set_full(w, full, true);
  assert_taken(w, leader);
  world_kill(w, away);
  world_run(w, NEWS_MS);
  assert_refused(w, leader, name_of(full));
  assert_readable(w);
  world_start(w, away);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  assert_taken(w, leader);
  world_free(w);
}

/* Its disk is full for longer than one leader leads: the next hears of it with the first words. */
static void a_new_leader_is_told(void **state) {
  (void)state;
  struct world *w = formed(5);
  const int leader = world_leader(w);
  for (int i = 0; i < 3; i++) set_full(w, i, true);
  assert_refused(w, leader, name_of(leader));
  WORLD_CHECK(w, world_transfer(w, leader, (leader + 1) % 3));
  WORLD_UNTIL(w, world_leader(w) >= 0 && world_leader(w) != leader, FORM_MS);
  world_run(w, NEWS_MS);
  const int next = world_leader(w);
  set_full(w, next, false);
  assert_refused(w, next, name_of(leader));
  for (int i = 0; i < 3; i++) set_full(w, i, false);
  assert_taken(w, next);
  world_free(w);
}

/* What is left of the room is for the cluster itself. */
static void members_may_change_without_room(void **state) {
  (void)state;
  struct world *w = formed_of(6, 4, 3);
  const int leader = world_leader(w);
  assert_answer(w, leader, "PUT", TARGET, "{}", 201, NULL);
  for (int i = 0; i < 3; i++) set_full(w, i, true);
  world_start(w, 3);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  assert_readable(w);
  assert_refused(w, leader, name_of(leader));
  world_free(w);
}

/* The leader's disk is full with a write on its way there: the others have it, and that is enough. */
static void a_write_under_way_is_committed_by_the_others(void **state) {
  (void)state;
  struct world *w = formed(7);
  const int leader = world_leader(w);
  struct client client;
  world_hang_disk(w, leader, 2000);
  client_open(&client, w, leader);
  client_ask(&client, "PUT", TARGET, "{\"n\":1}");
  world_run(w, 5);
  set_full(w, leader, true);
  WORLD_UNTIL(w, client_answers(&client) == 1, 500);
  assert_int_equal(client_answer(&client, 0)->status, 200);
  assert_refused(w, leader, name_of(leader));
  world_run(w, 2000);
  set_full(w, leader, false);
  assert_taken(w, leader);
  client_close(&client);
  world_free(w);
}

/* ... and here no disk has room for what is under way: it is answered when it is clear that nobody knows. */
static void a_write_under_way_everywhere_is_unknown(void **state) {
  (void)state;
  struct world *w = formed(8);
  const int leader = world_leader(w);
  struct client client;
  for (int i = 0; i < 3; i++) world_hang_disk(w, i, 2 * STALL_MS);
  client_open(&client, w, leader);
  client_ask(&client, "PUT", TARGET, "{\"n\":1}");
  world_run(w, 5);
  for (int i = 0; i < 3; i++) set_full(w, i, true);
  WORLD_UNTIL(w, client_answers(&client) == 1, STALL_MS + 1000);
  assert_int_equal(client_answer(&client, 0)->status, 504);
  for (int i = 0; i < 3; i++) assert_answer(w, i, "GET", TARGET "?consistency=stale", NULL, 200, NULL);
  world_run(w, 2 * STALL_MS);
  for (int i = 0; i < 3; i++) set_full(w, i, false);
  WORLD_UNTIL(w, world_is_formed(w), 2 * STALL_MS); /* who stepped down rests first */
  world_run(w, NEWS_MS);
  assert_taken(w, world_leader(w));
  assert_readable(w);
  client_close(&client);
  world_free(w);
}

/* ---- Hangs ---- */

static void a_hung_leader_gives_way_and_says_why(void **state) {
  (void)state;
  struct world *w = formed(9);
  const int hung = world_leader(w);
  struct client client;
  world_hang_disk(w, hung, LONG_MS);
  client_open(&client, w, hung);
  client_ask(&client, "PUT", TARGET, "{\"n\":1}");
  WORLD_UNTIL(w, world_leader(w) >= 0 && world_leader(w) != hung, 2 * STALL_MS);
  WORLD_CHECK(w, world_has_logged(w, hung, "no longer leading: this node's disk hangs"));
  world_run(w, NEWS_MS);
  const int leader = world_leader(w);
  assert_taken(w, leader);
  assert_answer(w, hung, "GET", TARGET "?consistency=stale", NULL, 200, NULL);
  WORLD_CHECK(w, world_has_logged(w, hung, "storage hangs"));
  assert_shown(w, hung, hung, "\"hangs\"");
  assert_shown(w, leader, hung, "\"hangs\"");
  WORLD_CHECK(w, client_answers(&client) == 1);
  world_run(w, LONG_MS);
  assert_taken(w, world_leader(w));
  assert_shown(w, hung, hung, "\"ok\"");
  assert_shown(w, world_leader(w), hung, "\"ok\"");
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  client_close(&client);
  world_free(w);
}

/* A disk that is merely slow does not hang. */
static void a_slow_disk_does_not_hang(void **state) {
  (void)state;
  struct world *w = formed(10);
  const int follower = (world_leader(w) + 1) % 3;
  for (int i = 0; i < 4; i++) {
    world_hang_disk(w, follower, 3000);
    assert_taken(w, world_leader(w));
    world_run(w, 3500);
  }
  WORLD_CHECK(w, !world_has_logged(w, follower, "storage hangs"));
  assert_shown(w, world_leader(w), follower, "\"ok\"");
  world_free(w);
}

/* A stopped process finds that all is done when it goes on. */
static void a_process_that_was_stopped_has_no_hung_disk(void **state) {
  (void)state;
  struct world *w = formed(11);
  const int follower = (world_leader(w) + 1) % 3;
  world_hang_disk(w, follower, 100);
  assert_taken(w, world_leader(w));
  world_pause(w, follower);
  world_run(w, 2 * STALL_MS);
  world_resume(w, follower);
  world_run(w, NEWS_MS);
  WORLD_CHECK(w, !world_has_logged(w, follower, "storage hangs"));
  world_free(w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_full_leader_takes_no_writes),
      cmocka_unit_test(no_room_for_a_snapshot),
      cmocka_unit_test(one_full_follower_is_no_matter),
      cmocka_unit_test(without_room_at_a_majority_nothing_is_taken),
      cmocka_unit_test(a_voter_that_is_away_has_no_room),
      cmocka_unit_test(a_new_leader_is_told),
      cmocka_unit_test(members_may_change_without_room),
      cmocka_unit_test(a_write_under_way_is_committed_by_the_others),
      cmocka_unit_test(a_write_under_way_everywhere_is_unknown),
      cmocka_unit_test(a_hung_leader_gives_way_and_says_why),
      cmocka_unit_test(a_slow_disk_does_not_hang),
      cmocka_unit_test(a_process_that_was_stopped_has_no_hung_disk),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
