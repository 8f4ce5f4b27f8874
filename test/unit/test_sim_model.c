/* Goal: the simulator's own model of the documents and the idempotency keys (test/sim/world_model.c) and the
 * store agree about every kind of command, also those that the simulator's clients do not send.
 *
 * Method: random commands from a seed, small ones over few documents, with few keys that come again and
 * again, through both; after each, all that changed is compared. The two were written by two hands. */
#include "store_commands.h"
#include "world_core.h"
#include "world_model.h"

#include <stdio.h>

enum { RUNS = 40, COMMANDS = 800, IDS = 6, KEYS = 40, PARTS = 4, BODY_BYTES = 32 };

static const char *const COLLECTIONS[] = {"a", "b"};
static const char *const NAMES[IDS] = {"1", "2", "3", "4", "5", "6"};

struct scene {
  struct world *world;
  struct random random;
  struct store *store;
  struct model model;
  uint64_t index, seen[STORE_KEY_REUSED + 1], replayed;
};

static uint64_t dice(struct scene *s, uint64_t limit) {
  return random_below(&s->random, limit);
}

/* ---- Drawing commands ---- */

/* Revisions that conditions name are, or were, of some document. */
static void draw_condition(struct scene *s, struct command *c) {
  const uint64_t kinds = c->type == COMMAND_PUT ? COMMAND_IF_BASE + 1 : COMMAND_CREATE;
  if (dice(s, 2) == 0) return;
  c->condition = (enum command_condition)dice(s, kinds);
  if (c->condition != COMMAND_IF_REVISION && c->condition != COMMAND_IF_BASE) return;
  const struct store_record *record = store_get(s->store, c->collection, c->id);
  c->revision = record != NULL && dice(s, 3) > 0 ? record->revision : dice(s, s->index + 1);
}

static void draw_document(struct scene *s, struct command *c, size_t id, char body[BODY_BYTES]) {
  *c = (struct command){.type = dice(s, 3) == 0 ? COMMAND_DELETE : COMMAND_PUT,
                        .collection = slice_of(COLLECTIONS[dice(s, 4) == 0]),
                        .id = slice_of(NAMES[id])};
  if (c->type == COMMAND_PUT) {
    snprintf(body, BODY_BYTES, "{\"n\":%u}", (unsigned)dice(s, 1000));
    c->body = slice_of(body);
  }
  draw_condition(s, c);
}

/* The documents of a transaction are different; a batch may have one in several operations. */
static void draw_several(struct scene *s, struct command *c, struct command parts[PARTS],
                         char bodies[PARTS][BODY_BYTES]) {
  const size_t first = (size_t)dice(s, IDS);
  *c = (struct command){.type = dice(s, 2) == 0 ? COMMAND_BATCH : COMMAND_TRANSACTION,
                        .operations = parts,
                        .operations_n = 1 + (size_t)dice(s, PARTS)};
  for (size_t i = 0; i < c->operations_n; i++) {
    const bool batch = c->type == COMMAND_BATCH;
    draw_document(s, &parts[i], batch ? (size_t)dice(s, IDS) : (first + i) % IDS, bodies[i]);
  }
}

static struct coracle_raft_entry *draw_entry(struct scene *s) {
  struct command command, parts[PARTS];
  struct command_once once;
  char bodies[PARTS][BODY_BYTES];
  const uint64_t kind = dice(s, 20);
  if (kind == 0)
    command = drop_command(COLLECTIONS[dice(s, 2)]);
  else if (kind < 8)
    draw_several(s, &command, parts, bodies);
  else
    draw_document(s, &command, (size_t)dice(s, IDS), bodies[0]);
  if (dice(s, 2) == 0) {
    once = once_of(dice(s, KEYS), dice(s, 8) == 0);
    command.once = &once;
  }
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  assert_non_null(entry);
  command_encode(&command, entry->data);
  entry->index = ++s->index;
  return entry;
}

/* ---- Through both ---- */

static void apply_to_both(struct scene *s) {
  struct coracle_raft_entry *entry = draw_entry(s);
  struct store_result result;
  assert_int_equal(store_apply(s->store, entry->index, entry->data, entry->bytes, &result), 0);
  while (!store_go_on(s->store, 1)) continue;
  s->seen[result.outcome]++;
  s->replayed += result.replayed;
  model_apply(s->world, &s->model, entry);
  model_compare(s->world, 0, &s->model, s->store);
  const bool changed = !result.replayed && (result.outcome <= STORE_DELETED);
  if (changed) assert_true(model_took_effect(&s->model, entry->index));
  if (result.replayed || result.outcome == STORE_REFUSED)
    assert_false(model_took_effect(&s->model, entry->index));
  store_result_close(&result);
  coracle_raft_entry_unref(entry);
}

static void the_store_and_the_model_agree(void **state) {
  (void)state;
  struct scene s = {.world = world_new(&(struct world_options){.seed = 1, .nodes = 1})};
  for (uint64_t seed = 1; seed <= RUNS; seed++) {
    s.random.state = seed;
    s.index = 0;
    s.store = store_new(test_hash_key);
    model_init(&s.model);
    for (int i = 0; i < COMMANDS; i++) apply_to_both(&s);
    model_close(&s.model);
    store_free(s.store);
  }
  for (size_t i = 0; i < sizeof s.seen / sizeof s.seen[0]; i++) assert_true(s.seen[i] > RUNS);
  assert_true(s.replayed > RUNS);
  world_free(s.world);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(the_store_and_the_model_agree)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
