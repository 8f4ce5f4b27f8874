/* Goal: nodes compare what their stores are like, at every 1024th index. As long as they are the same nothing
 * is heard of it, whatever becomes of streams, logs and leaders. One whose documents are others ends at the
 * next such index, and says at which. */
#include "replica/states.h"
#include "world_core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

enum { FORM_MS = 3000, WINDOW = 64, DOCUMENTS = 16, NEWS_MS = 2000 };

static const struct world_options three = {.nodes = 3, .one_cluster = true, .compact_bytes = 30000};

static struct world *formed(uint64_t seed, const struct world_options *like, bool durable, bool broken) {
  struct world_options options = *like;
  options.seed = seed;
  options.durable = durable;
  options.broken = broken;
  struct world *w = world_new(&options);
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  return w;
}

static const struct replica *replica_of(struct world *w, int node) {
  return world_node(w, node)->replica;
}

/* Overwrites these documents until the log is that long. */
static void write_until(struct world *w, uint64_t index) {
  struct client client;
  size_t asked = 0;
  const int leader = world_leader(w);
  client_open(&client, w, leader);
  while (replica_applied(replica_of(w, leader)) < index) {
    for (int i = 0; i < WINDOW; i++, asked++) {
      char target[60], body[100];
      snprintf(target, sizeof target, "/v1/collections/c/d%zu", asked % DOCUMENTS);
      snprintf(body, sizeof body, "{\"n\":%zu}", asked);
      client_ask(&client, "PUT", target, body);
    }
    WORLD_UNTIL(w, client_answers(&client) == asked, 2000);
  }
  client_close(&client);
}

/* It was told of the state at that index, or of a later one, and has the same. */
static bool agrees(struct world *w, int node, uint64_t index) {
  return world_is_running(w, node) && replica_agrees_at(replica_of(w, node)) >= index;
}

static bool all_followers_agree(struct world *w, uint64_t index) {
  for (int i = 0; i < w->options.nodes; i++)
    if (i != world_leader(w) && !agrees(w, i, index)) return false;
  return true;
}

/* ---- They are the same ---- */

static void equal_nodes_find_nothing(void **state) {
  (void)state;
  for (int durable = 0; durable < 2; durable++) {
    struct world *w = formed(1, &three, durable == 1, false);
    for (uint64_t index = REPLICA_STATE_EVERY; index <= 4 * REPLICA_STATE_EVERY;
         index += REPLICA_STATE_EVERY) {
      write_until(w, index + 1);
      WORLD_UNTIL(w, all_followers_agree(w, index), NEWS_MS);
    }
    for (int i = 0; i < 3; i++)
      WORLD_CHECK(w, coracle_raft_snapshot(replica_raft(replica_of(w, i)))->index > 0);
    world_free(w);
  }
}

/* It was away: it hears of the newest index when its stream opens, and compares when it has come there. */
static void who_was_away_compares_too(void **state) {
  (void)state;
  struct world *w = formed(2, &three, true, false);
  const int follower = (world_leader(w) + 1) % 3;
  write_until(w, 100);
  world_kill(w, follower);
  write_until(w, REPLICA_STATE_EVERY + 100);
  world_start(w, follower);
  WORLD_UNTIL(w, agrees(w, follower, REPLICA_STATE_EVERY), NEWS_MS);
  world_free(w);
}

static void a_new_leader_is_compared_with(void **state) {
  (void)state;
  struct world *w = formed(3, &three, true, false);
  write_until(w, REPLICA_STATE_EVERY + 100);
  WORLD_UNTIL(w, all_followers_agree(w, REPLICA_STATE_EVERY), NEWS_MS);
  world_kill(w, world_leader(w));
  WORLD_UNTIL(w, world_leader(w) >= 0, NEWS_MS);
  world_run(w, 100); /* it commits an entry of its own term first */
  write_until(w, 2 * REPLICA_STATE_EVERY + 100);
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), FORM_MS);
  WORLD_UNTIL(w, all_followers_agree(w, 2 * REPLICA_STATE_EVERY), NEWS_MS);
  world_free(w);
}

/* ---- They are not ---- */

/* A bit of a document falls over in its memory. The hash is kept up with every write, so it shows when the
 * document is written again, and not before. */
static void damage(struct world *w, int node) {
  struct store_record *record = store_get(replica_store(replica_of(w, node)), slice_of("c"), slice_of("d3"));
  WORLD_CHECK(w, record != NULL);
  record->data[record->collection_bytes + record->id_bytes + 1] ^= 1;
}

static void one_that_differs_ends(void **state) {
  (void)state;
  for (int durable = 0; durable < 2; durable++) {
    struct world *w = formed(4, &three, durable == 1, true);
    const int leader = world_leader(w), follower = (leader + 1) % 3, other = (leader + 2) % 3;
    write_until(w, REPLICA_STATE_EVERY + 100);
    WORLD_UNTIL(w, all_followers_agree(w, REPLICA_STATE_EVERY), NEWS_MS);
    damage(w, follower);
    write_until(w, 2 * REPLICA_STATE_EVERY - 2 * WINDOW);
    WORLD_CHECK(w, world_is_running(w, follower));
    write_until(w, 2 * REPLICA_STATE_EVERY + 1);
    WORLD_UNTIL(w, !world_is_running(w, follower), NEWS_MS);
    WORLD_CHECK(w, world_has_logged(w, follower, "differ from the leader's as of index 2048"));
    WORLD_CHECK(w, world_is_running(w, leader) && world_leader(w) == leader);
    WORLD_UNTIL(w, agrees(w, other, 2 * REPLICA_STATE_EVERY), NEWS_MS);
    world_free(w);
  }
}

/* Nothing was written between, so nothing was compared: a new leader's first word does. */
static void one_that_differs_from_the_next_leader_ends(void **state) {
  (void)state;
  struct world *w = formed(5, &three, true, true);
  const int leader = world_leader(w), follower = (leader + 1) % 3;
  write_until(w, REPLICA_STATE_EVERY - 2 * WINDOW);
  damage(w, follower);
  world_block(w, leader, follower, true, true);
  write_until(w, REPLICA_STATE_EVERY + 1);
  WORLD_CHECK(w, world_is_running(w, follower));
  world_unblock_all(w);
  WORLD_UNTIL(w, !world_is_running(w, follower), NEWS_MS);
  WORLD_CHECK(w, world_has_logged(w, follower, "as of index 1024"));
  world_free(w);
}

/* What is on its disk is well: it is well again, and compares. */
static void its_log_makes_it_well_again(void **state) {
  (void)state;
  struct world_options options = three;
  options.compact_bytes = 0; /* no image is made of what is damaged */
  struct world *w = formed(6, &options, true, true);
  const int leader = world_leader(w), follower = (leader + 1) % 3;
  write_until(w, 100);
  damage(w, follower);
  write_until(w, REPLICA_STATE_EVERY + 1);
  WORLD_UNTIL(w, !world_is_running(w, follower), NEWS_MS);
  world_start(w, follower);
  WORLD_UNTIL(w, agrees(w, follower, REPLICA_STATE_EVERY), NEWS_MS);
  write_until(w, 2 * REPLICA_STATE_EVERY + 1);
  WORLD_UNTIL(w, all_followers_agree(w, 2 * REPLICA_STATE_EVERY), NEWS_MS);
  world_free(w);
}

/* ---- The replica's part ---- */

static void what_is_kept_is_bounded(void **state) {
  (void)state;
  struct states s = {0};
  struct replica_state got;
  struct store *store = store_new((const uint8_t[STORE_HASH_KEY_BYTES]){1});
  const struct state_hash empty = {0};
  assert_false(states_after(&s, 0, &got));
  for (uint64_t i = 1; i <= 3 * STATES_KEPT * REPLICA_STATE_EVERY; i++) states_note(&s, i, store);
  /* The oldest that is kept, and those after it. */
  size_t n = 0;
  for (uint64_t at = 0; states_after(&s, at, &got); at = got.index) {
    if (n++ == 0) assert_int_equal(got.index, (2 * STATES_KEPT + 1) * REPLICA_STATE_EVERY);
    assert_true(state_hash_equal(got.hash, empty));
  }
  assert_int_equal(n, STATES_KEPT);
  /* One that is not kept any more, and one between: neither is compared. */
  states_expect(&s, &(struct replica_state){REPLICA_STATE_EVERY, {1, 1}});
  states_expect(&s, &(struct replica_state){3 * STATES_KEPT * REPLICA_STATE_EVERY - 1, {1, 1}});
  assert_int_equal(s.differs_at, 0);
  assert_int_equal(s.agrees_at, 0);
  states_expect(&s, &(struct replica_state){s.newest, {0, 0}});
  assert_int_equal(s.agrees_at, s.newest);
  /* Of those that are still to come, the newest are kept, ... */
  for (uint64_t i = 1; i <= 2 * STATES_KEPT; i++)
    states_expect(&s, &(struct replica_state){s.newest + i * REPLICA_STATE_EVERY, {1, i}});
  const uint64_t last = s.newest + 2 * STATES_KEPT * REPLICA_STATE_EVERY, newest = s.newest;
  /* ... and an older one takes no place from a newer. */
  states_expect(&s, &(struct replica_state){newest + REPLICA_STATE_EVERY, {1, 1}});
  for (uint64_t i = newest + 1; i <= newest + STATES_KEPT * REPLICA_STATE_EVERY; i++)
    states_note(&s, i, store);
  assert_int_equal(s.differs_at, 0);
  for (uint64_t i = s.newest + 1; i <= last; i++) states_note(&s, i, store);
  assert_int_equal(s.differs_at, newest + (STATES_KEPT + 1) * REPLICA_STATE_EVERY); /* the first */
  store_free(store);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(equal_nodes_find_nothing),
      cmocka_unit_test(who_was_away_compares_too),
      cmocka_unit_test(a_new_leader_is_compared_with),
      cmocka_unit_test(one_that_differs_ends),
      cmocka_unit_test(one_that_differs_from_the_next_leader_ends),
      cmocka_unit_test(its_log_makes_it_well_again),
      cmocka_unit_test(what_is_kept_is_bounded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
