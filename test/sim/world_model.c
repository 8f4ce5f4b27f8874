/* What a cluster's documents and idempotency keys must be: a second store, small and slow, that shares
 * nothing with the first (src/store) but the layout of commands. That all nodes have the same documents is no
 * proof that they are right: all run the same code.
 *
 *   - Documents are what the committed commands make of them, in log order. A transaction's change together,
 * under one revision, or none of them does.
 *   - A command with an idempotency key that is remembered changes nothing, and what is remembered is the
 * first.
 *   - Where the test says that its clients never write a value twice, none takes effect twice: whatever was
 * sent again, forwarded, proposed twice or replayed. */
#include "world_model.h"

#include "base/memory.h"
#include "world_core.h"

#include <inttypes.h>
#include <stdlib.h>

struct model_document {
  struct bytes collection, id, body;
  uint64_t revision; /* 0: it does not exist */
};

void model_init(struct model *m) {
  *m = (struct model){.documents = QUEUE_OF(struct model_document),
                      .keys = QUEUE_OF(struct store_key),
                      .touched = QUEUE_OF(size_t)};
}

void model_close(struct model *m) {
  struct model_document *document;
  for (size_t i = 0; (document = queue_at(&m->documents, i)) != NULL; i++) {
    bytes_close(&document->collection);
    bytes_close(&document->id);
    bytes_close(&document->body);
  }
  queue_close(&m->documents);
  queue_close(&m->keys);
  queue_close(&m->touched);
  ledger_close(&m->places);
  ledger_close(&m->key_places);
  ledger_close(&m->values);
  ledger_close(&m->effects);
}

/* ---- Documents ---- */

static uint64_t name_hash(struct slice collection, struct slice id) {
  return hash_bytes(hash_bytes(1 + collection.n, collection.at, collection.n), id.at, id.n) | 1;
}

/* NULL: there never was one. */
static struct model_document *find(const struct model *m, const struct command *c) {
  const uint64_t *place = ledger_get(&m->places, name_hash(c->collection, c->id));
  return place != NULL ? queue_at(&m->documents, (size_t)*place - 1) : NULL;
}

static struct model_document *find_or_make(struct model *m, const struct command *c, size_t *at) {
  uint64_t *place = ledger_put(&m->places, name_hash(c->collection, c->id));
  if (*place == 0) {
    struct model_document *made = queue_push(&m->documents);
    *place = m->documents.n;
    bytes_append(&made->collection, c->collection.at, c->collection.n);
    bytes_append(&made->id, c->id.at, c->id.n);
  }
  *at = (size_t)*place - 1;
  return queue_at(&m->documents, *at);
}

static void touch(struct model *m, size_t at) {
  *(size_t *)queue_push(&m->touched) = at;
}

static bool exists(const struct model_document *document) {
  return document != NULL && document->revision != 0;
}

/* ---- One operation ---- */

static bool changes(enum store_outcome outcome) {
  return outcome == STORE_CREATED || outcome == STORE_REPLACED || outcome == STORE_DELETED;
}

static bool holds(const struct command *c, const struct model_document *document) {
  switch (c->condition) {
  case COMMAND_ALWAYS:
    return true;
  case COMMAND_IF_PRESENT:
    return exists(document);
  case COMMAND_IF_ABSENT:
  case COMMAND_CREATE:
    return !exists(document);
  case COMMAND_IF_REVISION:
  case COMMAND_IF_BASE:
    return exists(document) && document->revision == c->revision;
  }
  return false;
}

static enum store_outcome judge(const struct model *m, const struct command *c) {
  const struct model_document *document = find(m, c);
  if (!holds(c, document)) {
    if (c->condition == COMMAND_CREATE) return STORE_EXISTS;
    return c->condition == COMMAND_IF_BASE ? STORE_BASE_MOVED : STORE_PRECONDITION_FAILED;
  }
  if (c->type == COMMAND_PUT) return exists(document) ? STORE_REPLACED : STORE_CREATED;
  return exists(document) ? STORE_DELETED : STORE_NOT_FOUND;
}

/* Of a body as the simulator's clients write it; 0: it has none. */
static uint64_t value_of(struct slice body) {
  static const char before[] = "\"v\":";
  const char *at = memmem(body.at, body.n, before, strlen(before)), *end = body.at + body.n;
  uint64_t value = 0;
  if (at == NULL) return 0;
  for (at += strlen(before); at < end && *at >= '0' && *at <= '9'; at++)
    value = 10 * value + (uint64_t)(*at - '0');
  return value;
}

static void note_value(struct world *w, struct model *m, uint64_t index, const struct command *c) {
  const uint64_t value = value_of(c->body), written[] = {name_hash(c->collection, c->id), value};
  if (!w->options.values_once || value == 0) return;
  uint64_t *first = ledger_put(&m->values, hash_bytes(1, written, sizeof written) | 1);
  if (*first != 0)
    world_fail(w, "value %" PRIu64 " of %.*s was written at %" PRIu64 ", and again at %" PRIu64, value,
               (int)c->id.n, c->id.at, *first, index);
  *first = index;
}

static void carry_out(struct world *w, struct model *m, uint64_t index, const struct command *c) {
  size_t at;
  struct model_document *document = find_or_make(m, c, &at);
  m->documents_n += !exists(document);
  document->revision = index;
  document->body.n = 0;
  if (c->type == COMMAND_PUT) {
    bytes_append(&document->body, c->body.at, c->body.n);
    note_value(w, m, index, c);
  } else {
    document->revision = 0;
    m->documents_n--;
  }
  touch(m, at);
  *ledger_put(&m->effects, index) = 1;
}

/* ---- Commands ---- */

static enum store_outcome apply_one(struct world *w, struct model *m, uint64_t index,
                                    const struct command *c) {
  const enum store_outcome outcome = judge(m, c);
  if (changes(outcome)) carry_out(w, m, index, c);
  return outcome;
}

static enum store_outcome apply_batch(struct world *w, struct model *m, uint64_t index,
                                      const struct command *c) {
  struct slice left = c->encoded_operations;
  for (struct command operation; command_next(&left, &operation);) apply_one(w, m, index, &operation);
  return STORE_DONE;
}

/* All conditions first. What fails for good is told even where computing another operation again would not.
 */
static enum store_outcome apply_transaction(struct world *w, struct model *m, uint64_t index,
                                            const struct command *c, struct store_key *key) {
  struct slice left = c->encoded_operations;
  struct command operation;
  bool moved = false;
  for (uint16_t i = 0; command_next(&left, &operation); i++) {
    const enum store_outcome outcome = judge(m, &operation);
    if (outcome == STORE_BASE_MOVED) moved = true;
    if (changes(outcome) || outcome == STORE_BASE_MOVED) continue;
    key->failed = i;
    key->failed_outcome = outcome;
    return STORE_REFUSED;
  }
  return moved ? STORE_BASE_MOVED : apply_batch(w, m, index, c);
}

static enum store_outcome apply_drop(struct model *m, uint64_t index, const struct command *c) {
  struct model_document *document;
  for (size_t i = 0; (document = queue_at(&m->documents, i)) != NULL; i++) {
    if (!exists(document) || !slice_equal(slice_of_bytes(&document->collection), c->collection)) continue;
    document->revision = 0;
    document->body.n = 0;
    m->documents_n--;
    touch(m, i);
    *ledger_put(&m->effects, index) = 1;
  }
  return STORE_DROPPED;
}

static enum store_outcome apply(struct world *w, struct model *m, uint64_t index, const struct command *c,
                                struct store_key *key) {
  switch (c->type) {
  case COMMAND_PUT:
  case COMMAND_DELETE:
    return apply_one(w, m, index, c);
  case COMMAND_TRANSACTION:
    return apply_transaction(w, m, index, c, key);
  case COMMAND_BATCH:
    return apply_batch(w, m, index, c);
  case COMMAND_DROP:
    return apply_drop(m, index, c);
  case COMMAND_ONCE: /* the command that it stands before is given out instead */
    break;
  }
  world_fail(w, "the command at %" PRIu64 " is of a type that there is not", index);
}

/* ---- Idempotency keys ---- */

static uint64_t digest_hash(const uint8_t digest[COMMAND_DIGEST_BYTES]) {
  return hash_bytes(1, digest, COMMAND_DIGEST_BYTES) | 1;
}

static void remember(struct world *w, struct model *m, const struct store_key *key) {
  WORLD_CHECK(w, m->keys.n < STORE_KEYS_MAX); /* no test comes so far: nothing is ever forgotten */
  *(struct store_key *)queue_push(&m->keys) = *key;
  *ledger_put(&m->key_places, digest_hash(key->once.key)) = m->keys.n;
}

void model_apply(struct world *w, struct model *m, const struct coracle_raft_entry *entry) {
  struct command command;
  struct store_key key = {.revision = entry->index};
  bool has_key;
  WORLD_CHECK(w, entry->index == m->applied + 1);
  m->applied = entry->index;
  if (entry->type != CORACLE_RAFT_COMMAND) return;
  if (command_decode(entry->data, entry->bytes, &command, &key.once, &has_key) != 0)
    world_fail(w, "what was committed at %" PRIu64 " is no command", entry->index);
  if (has_key && ledger_get(&m->key_places, digest_hash(key.once.key)) != NULL) return;
  key.outcome = apply(w, m, entry->index, &command, &key);
  if (has_key && key.outcome != STORE_BASE_MOVED) remember(w, m, &key);
}

bool model_took_effect(const struct model *m, uint64_t index) {
  return ledger_get(&m->effects, index) != NULL;
}

/* ---- Comparing ---- */

static void compare_document(struct world *w, int node, const struct model *m,
                             const struct model_document *document, const struct store *store) {
  const struct slice collection = slice_of_bytes(&document->collection), id = slice_of_bytes(&document->id);
  const struct store_record *record = store_get(store, collection, id);
  const uint64_t revision = record != NULL ? record->revision : 0;
  if (revision != document->revision)
    world_fail(w, "%c has %.*s/%.*s of revision %" PRIu64 " at %" PRIu64 ", and it must be of %" PRIu64,
               'a' + node, (int)collection.n, collection.at, (int)id.n, id.at, revision, m->applied,
               document->revision);
  if (record != NULL && !slice_equal(store_record_body(record), slice_of_bytes(&document->body)))
    world_fail(w, "%c has another document %.*s/%.*s at %" PRIu64 " than was written", 'a' + node,
               (int)collection.n, collection.at, (int)id.n, id.at, m->applied);
}

static void compare_key(struct world *w, int node, const struct model *m, const struct store_key *key,
                        const struct store *store) {
  struct store_key found;
  if (!store_find_key(store, key->once.key, &found))
    world_fail(w, "%c does not remember at %" PRIu64 " the idempotency key of %" PRIu64, 'a' + node,
               m->applied, key->revision);
  if (found.revision != key->revision || found.outcome != key->outcome || found.failed != key->failed ||
      found.failed_outcome != key->failed_outcome ||
      memcmp(found.once.request, key->once.request, COMMAND_DIGEST_BYTES) != 0)
    world_fail(w, "%c remembers at %" PRIu64 " another outcome of the idempotency key of %" PRIu64,
               'a' + node, m->applied, key->revision);
}

void model_compare(struct world *w, int node, struct model *m, const struct store *store) {
  for (const size_t *at; (at = queue_at(&m->touched, 0)) != NULL; queue_pop(&m->touched))
    compare_document(w, node, m, queue_at(&m->documents, *at), store);
  for (; m->compared_keys_n < m->keys.n; m->compared_keys_n++)
    compare_key(w, node, m, queue_at(&m->keys, m->compared_keys_n), store);
  if (store_documents(store) != m->documents_n)
    world_fail(w, "%c has %" PRIu64 " documents at %" PRIu64 ", and there must be %" PRIu64, 'a' + node,
               store_documents(store), m->applied, m->documents_n);
  if (store_keys(store) != m->keys.n)
    world_fail(w, "%c remembers %" PRIu64 " idempotency keys at %" PRIu64 ", and there must be %zu",
               'a' + node, store_keys(store), m->applied, m->keys.n);
}
