/* Applying commands: what is decided about them is decided here, on every node in the same way. */
#include "store/core.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>

/* ---- One document ---- */

/* A PUT or a DELETE, and what the store has to say to it. */
struct step {
  struct command command;
  uint32_t hash;                /* of (collection, id) */
  struct store_record *current; /* borrowed; NULL: there is none */
  enum store_outcome outcome;   /* what it comes to, if it is carried out now */
};

bool store_condition_holds(const struct command *c, const struct store_record *current) {
  switch (c->condition) {
  case COMMAND_ALWAYS:
    return true;
  case COMMAND_IF_ABSENT:
  case COMMAND_CREATE:
    return current == NULL;
  case COMMAND_IF_PRESENT:
    return current != NULL;
  case COMMAND_IF_REVISION:
  case COMMAND_IF_BASE:
    return current != NULL && current->revision == c->revision;
  }
  abort(); /* command_decode() lets no other through */
}

static enum store_outcome outcome_of(const struct command *c, const struct store_record *current) {
  if (!store_condition_holds(c, current)) {
    if (c->condition == COMMAND_CREATE) return STORE_EXISTS;
    return c->condition == COMMAND_IF_BASE ? STORE_BASE_MOVED : STORE_PRECONDITION_FAILED;
  }
  if (c->type == COMMAND_PUT) return current != NULL ? STORE_REPLACED : STORE_CREATED;
  return current != NULL ? STORE_DELETED : STORE_NOT_FOUND;
}

static void judge(const struct store *store, struct step *step) {
  const struct command *c = &step->command;
  step->hash = table_hash(&store->table, c->collection, c->id);
  step->current = table_find(&store->table, step->hash, c->collection, c->id);
  step->outcome = outcome_of(c, step->current);
}

/* With one reference. */
static struct store_record *record_of(const struct command *c, uint32_t hash, uint64_t revision) {
  struct store_record *r = record_new(c->collection.n, c->id.n, c->body.n);
  r->revision = revision;
  r->hash = hash;
  memcpy(r->data, c->collection.at, c->collection.n);
  memcpy(r->data + c->collection.n, c->id.at, c->id.n);
  memcpy(r->data + c->collection.n + c->id.n, c->body.at, c->body.n);
  return r;
}

/* Returns the record that the result is to have, with one reference. */
static struct store_record *carry_out(struct store *store, const struct step *step, uint64_t revision) {
  struct store_record *record;
  switch (step->outcome) {
  case STORE_CREATED:
    record = record_of(&step->command, step->hash, revision);
    store_insert(store, store_record_ref(record));
    return record;
  case STORE_REPLACED:
    record = record_of(&step->command, step->hash, revision);
    store_replace(store, step->current, store_record_ref(record));
    return record;
  case STORE_DELETED:
    store_remove(store, step->current);
    return NULL;
  case STORE_EXISTS:
  case STORE_PRECONDITION_FAILED:
    return step->current != NULL ? store_record_ref(step->current) : NULL;
  default:
    return NULL;
  }
}

/* ---- A transaction ---- */

static size_t judge_all(const struct store *store, const struct command *transaction,
                        struct step steps[COMMAND_TRANSACTION_MAX]) {
  struct slice left = transaction->encoded_operations;
  size_t n = 0;
  while (n < COMMAND_TRANSACTION_MAX && command_next(&left, &steps[n].command)) judge(store, &steps[n++]);
  return n;
}

static bool is_same_document(const struct step *a, const struct step *b) {
  return a->hash == b->hash && slice_equal(a->command.id, b->command.id) &&
         slice_equal(a->command.collection, b->command.collection);
}

static bool are_different_documents(const struct step *steps, size_t n) {
  for (size_t i = 1; i < n; i++)
    for (size_t j = 0; j < i; j++)
      if (is_same_document(&steps[i], &steps[j])) return false;
  return true;
}

static bool is_failure(enum store_outcome outcome) {
  return outcome == STORE_EXISTS || outcome == STORE_NOT_FOUND || outcome == STORE_PRECONDITION_FAILED;
}

/* The first operation that fails for good; else the first whose base has moved, because then it is worth
 * while to compute that again; n: all of them can be carried out. */
static size_t first_failure(const struct step *steps, size_t n) {
  size_t moved = n;
  for (size_t i = 0; i < n; i++) {
    if (is_failure(steps[i].outcome)) return i;
    if (steps[i].outcome == STORE_BASE_MOVED && moved == n) moved = i;
  }
  return moved;
}

/* CORACLE_EMALFORMED, and nothing changed, when two operations are on one document. */
static int apply_transaction(struct store *store, const struct command *transaction,
                             struct store_result *result) {
  struct step steps[COMMAND_TRANSACTION_MAX];
  const size_t n = judge_all(store, transaction, steps);
  if (!are_different_documents(steps, n)) return CORACLE_EMALFORMED;
  const size_t failed = first_failure(steps, n);
  const bool is_done = failed == n;
  result->operations_n = is_done ? n : failed + 1;
  result->operations = memory_zalloc(result->operations_n * sizeof *result->operations);
  for (size_t i = 0; i < result->operations_n; i++) {
    struct store_operation *operation = &result->operations[i];
    operation->outcome = steps[i].outcome;
    if (is_done || i == failed) operation->record = carry_out(store, &steps[i], result->revision);
  }
  if (is_done) {
    result->outcome = STORE_DONE;
  } else if (steps[failed].outcome == STORE_BASE_MOVED) {
    result->outcome = STORE_BASE_MOVED;
  } else {
    result->outcome = STORE_REFUSED;
    result->failed = (uint16_t)failed;
    result->failed_outcome = steps[failed].outcome;
  }
  return 0;
}

/* ---- The others ---- */

static void apply_batch(struct store *store, const struct command *batch, struct store_result *result) {
  struct slice left = batch->encoded_operations;
  struct step step;
  result->outcome = STORE_DONE;
  result->operations = memory_zalloc(batch->operations_n * sizeof *result->operations);
  while (command_next(&left, &step.command)) {
    struct store_operation *operation = &result->operations[result->operations_n++];
    judge(store, &step);
    operation->outcome = step.outcome;
    operation->record = carry_out(store, &step, result->revision);
  }
}

static void apply_to_document(struct store *store, const struct command *command,
                              struct store_result *result) {
  struct step step = {.command = *command};
  judge(store, &step);
  result->outcome = step.outcome;
  result->record = carry_out(store, &step, result->revision);
}

/* ---- Once only ---- */

/* Whether the key is known already: that decides it. */
static bool answer_known(const struct store *store, const struct command_once *once,
                         struct store_result *result) {
  struct store_key known;
  if (!store_find_key(store, once->key, &known)) return false;
  if (memcmp(known.once.request, once->request, COMMAND_DIGEST_BYTES) != 0) {
    result->outcome = STORE_KEY_REUSED;
    return true;
  }
  result->outcome = known.outcome;
  result->revision = known.revision;
  result->replayed = true;
  memcpy(result->note, known.once.note, COMMAND_DIGEST_BYTES);
  result->failed = known.failed;
  result->failed_outcome = known.failed_outcome;
  return true;
}

/* What has decided nothing is not remembered: the same request may come again and be decided. */
static void remember(struct store *store, const struct command_once *once,
                     const struct store_result *result) {
  const struct store_key key = {.once = *once,
                                .revision = result->revision,
                                .outcome = result->outcome,
                                .failed = result->failed,
                                .failed_outcome = result->failed_outcome};
  uint8_t bytes[KEY_BYTES];
  if (result->outcome == STORE_BASE_MOVED) return;
  key_encode(&key, bytes);
  store_remember(store, bytes);
}

/* ---- All of them ---- */

static int apply_new(struct store *store, const struct command *command, struct store_result *result) {
  switch (command->type) {
  case COMMAND_PUT:
  case COMMAND_DELETE:
    apply_to_document(store, command, result);
    return 0;
  case COMMAND_TRANSACTION:
    return apply_transaction(store, command, result);
  case COMMAND_BATCH:
    apply_batch(store, command, result);
    return 0;
  case COMMAND_DROP:
    drop_begin(store, command->collection);
    result->outcome = STORE_DROPPED;
    return 0;
  case COMMAND_ONCE:
    break;
  }
  abort(); /* command_decode() has looked into it */
}

int store_apply(struct store *store, uint64_t index, const void *command, size_t bytes,
                struct store_result *result) {
  struct store_result r = {.revision = index};
  struct command c;
  struct command_once once;
  bool has_once;
  int error = command_decode(command, bytes, &c, &once, &has_once);
  if (error != 0) return error;
  assert(index > store->revision); /* each entry once, in log order */
  assert(!store_is_busy(store));

  if (!has_once || !answer_known(store, &once, &r)) {
    error = apply_new(store, &c, &r);
    if (error != 0) return error;
    if (has_once) remember(store, &once, &r);
  }
  store->revision = index;
  *result = r;
  return 0;
}

void store_result_close(struct store_result *result) {
  store_record_unref(result->record);
  for (size_t i = 0; i < result->operations_n; i++) store_record_unref(result->operations[i].record);
  free(result->operations);
  *result = (struct store_result){0};
}
