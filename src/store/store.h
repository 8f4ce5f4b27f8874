/* The replicated state machine: collections of JSON documents, in memory.
 *
 * A document is an immutable, reference-counted record that holds the client's own bytes: reading one copies
 * bytes and parses nothing. Records are found through one hash table, keyed with SipHash (libsodium's
 * crypto_shorthash, so that clients cannot choose collisions), and in the order of (collection, id) through
 * one ordered index that counts: a collection is a stretch of that index, so it exists while it holds a
 * document and needs no object of its own. The index also gives views (store/view.h): the whole store as of
 * one revision, for reads that take longer than a turn of the loop.
 *
 * store_apply() is deterministic: the same commands at the same log indexes leave the same documents on every
 * node. It runs at commit, in log order; what it decides (409, 412) is decided there and nowhere else. */
#ifndef CORACLE_STORE_STORE_H
#define CORACLE_STORE_STORE_H

#include "base/bytes.h"
#include "base/error.h"
#include "store/command.h"

enum { STORE_HASH_KEY_BYTES = 16 };

struct store_record {
  uint64_t revision;         /* log index of the entry that last changed the document */
  struct store_record *next; /* the store's own: the next record of its bucket */
  uint32_t hash;             /* the store's own: of (collection, id) under the store's key */
  uint32_t references;       /* use the functions below */
  uint32_t body_bytes;       /* of the document */
  uint16_t collection_bytes;
  uint16_t id_bytes;
  char data[]; /* collection, id, body: use the accessors */
};

static inline struct slice store_record_collection(const struct store_record *r) {
  return (struct slice){r->data, r->collection_bytes};
}
static inline struct slice store_record_id(const struct store_record *r) {
  return (struct slice){r->data + r->collection_bytes, r->id_bytes};
}
static inline struct slice store_record_body(const struct store_record *r) {
  return (struct slice){r->data + r->collection_bytes + r->id_bytes, r->body_bytes};
}
struct store_record *store_record_ref(struct store_record *);
void store_record_unref(struct store_record *); /* NULL is fine */

enum store_outcome {
  STORE_CREATED,
  STORE_REPLACED,
  STORE_DELETED,
  STORE_EXISTS,              /* a create found the id taken */
  STORE_NOT_FOUND,           /* a delete found nothing, and asked for no revision */
  STORE_PRECONDITION_FAILED, /* the condition does not hold */
  STORE_BASE_MOVED, /* the document is no longer what a PUT's body was computed from: compute it again. Of a
                       transaction: one of its operations found that, and nothing was changed */
  STORE_DROPPED,    /* the collection has no documents any more */
  STORE_DONE,    /* a transaction took effect, or a batch, whose operations may have failed each by itself */
  STORE_REFUSED, /* operation `failed` of a transaction failed, so nothing was changed */
  STORE_KEY_REUSED, /* the idempotency key was another request's */
};

/* Of one operation of a transaction or batch. */
struct store_operation {
  enum store_outcome outcome;  /* up to BASE_MOVED */
  struct store_record *record; /* as in struct store_result */
};

struct store_result {
  enum store_outcome outcome;
  /* CREATED, REPLACED: the new record. EXISTS, PRECONDITION_FAILED: the current one, NULL if there is none.
   * Everything else: NULL. */
  struct store_record *record;
  uint64_t revision; /* log index of the command; of a replay: of the first one */
  bool replayed; /* nothing was done: the outcome is that of the first command with the same key and request.
                    No records, and no operations but `failed` */
  uint8_t note[COMMAND_DIGEST_BYTES]; /* replayed: the first one's */
  /* REFUSED: the first operation that failed, and its outcome; also of a replay. */
  uint16_t failed;
  enum store_outcome failed_outcome;
  /* In order. DONE, unless replayed: all of them. REFUSED, unless replayed, and a transaction's BASE_MOVED:
   * those up to the one that it is for, of which none was carried out. Else none. Owned. */
  struct store_operation *operations;
  size_t operations_n;
};
/* Drops the references to the records and frees the operations. All zero is fine, and is what is left. */
void store_result_close(struct store_result *);

/* Two nodes with the same documents and idempotency keys have the same hash, and with others as good as
 * never: the sum modulo 2^128 of the hashes of all of them. That of a document is XXH3-128 of its collection,
 * id and bytes, seeded with XXH3-64 of its revision and their lengths, laid out as in an image
 * (store/image.h); that of a key is XXH3-128 of what an image has of it. It guards against our own mistakes
 * and broken machines, not against malice. */
struct state_hash {
  uint64_t low, high;
};
static inline bool state_hash_equal(struct state_hash a, struct state_hash b) {
  return a.low == b.low && a.high == b.high;
}

struct store;

/* `key` is STORE_HASH_KEY_BYTES random bytes, copied. Released with store_free(). */
struct store *store_new(const uint8_t key[STORE_HASH_KEY_BYTES]);
void store_free(struct store *); /* NULL is fine */
/* The same in slices: frees about `records` of them (and at least one) and returns whether it is done: the
 * store is gone then. After the first call nothing else may be asked of it. */
MUST_CHECK bool store_free_some(struct store *, size_t records);

/* Does the condition of a PUT or DELETE hold on that document; NULL: there is none? */
bool store_condition_holds(const struct command *, const struct store_record *current);

/* Applies the encoded command of the log entry at `index` (which becomes the revision), greater than the one
 * before. CORACLE_EMALFORMED, and nothing changed, when the bytes are no command this version knows: the
 * caller must stop the node. `*result` is then unchanged too; otherwise it is to be closed. The store must
 * not be busy.
 *
 * A transaction's conditions are all judged before anything is changed, on the documents as they were before
 * it. (Two operations on one document are EMALFORMED: no proposer makes them.) */
MUST_CHECK int store_apply(struct store *, uint64_t index, const void *command, size_t bytes,
                           struct store_result *);

/* Dropping a large collection takes longer than a turn of the loop. For whoever reads the store all of it is
 * gone at once; what it held is taken out and released by store_go_on(), about `documents` at a time (at
 * least one), which returns whether it is done. As long as the store is busy nothing may be applied, no view
 * be taken for an image, and store_documents(), store_bytes() and store_state_hash() are on their way. */
bool store_is_busy(const struct store *);
bool store_go_on(struct store *, size_t documents);

/* ---- Idempotency keys ---- */

/* The newest commands with a key, by log order: part of the replicated state, of its hash and of its image.
 * When one more comes than STORE_KEYS_MAX, the oldest is forgotten. No clock is asked. Outcomes BASE_MOVED
 * and KEY_REUSED are not remembered (nothing was decided), nor are replays (the first stays where it is). */
enum { STORE_KEYS_MAX = 1000000 };

struct store_key {
  struct command_once once;
  uint64_t revision;                 /* log index of the command */
  enum store_outcome outcome;        /* of it */
  uint16_t failed;                   /* as in struct store_result */
  enum store_outcome failed_outcome; /* likewise */
};
/* False: it is not remembered. */
bool store_find_key(const struct store *, const uint8_t key[COMMAND_DIGEST_BYTES], struct store_key *);
uint64_t store_keys(const struct store *);

/* The document, or NULL. Borrowed until the next store_apply() unless a reference is taken. */
struct store_record *store_get(const struct store *, struct slice collection, struct slice id);

/* The first document of a collection, in byte order of ids, with an id greater than `after` (an empty
 * `after`: the first of all). NULL at the end or when there is no such collection. Borrowed like
 * store_get()'s. */
struct store_record *store_after(const struct store *, struct slice collection, struct slice after);

/* Documents in one collection; 0 when there is none of that name. Two searches of the index, no walk. */
uint64_t store_count(const struct store *, struct slice collection);

/* The first collection, in byte order of names, with a name greater than `after`; false at the end.
 * Collections exist while they hold a document. `*name` is borrowed until the next store_apply(). */
bool store_collection_after(const struct store *, struct slice after, struct slice *name, uint64_t *count);

/* All documents' bytes (collection + id + body), and their number. */
uint64_t store_bytes(const struct store *);
uint64_t store_documents(const struct store *);
/* The log index of the last command that was applied; 0: none was. */
uint64_t store_revision(const struct store *);
/* Kept up with every command, so this costs nothing. */
struct state_hash store_state_hash(const struct store *);

#endif
