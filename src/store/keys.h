/* The idempotency keys that are remembered, with what became of their commands. Private to store/.
 *
 * They stand in log order in chunks, each in the very bytes that an image has of it, so that writing an image
 * copies them and hashing one hashes it as it stands. Chunks are counted references: a view (struct
 * keys_view) holds those that there were, in time that grows with the chunks and not with the keys, while new
 * keys go behind what it can see and old ones are dropped before it.
 *
 * They are found through a hash table with chains, keyed with SipHash, because the digest of a key is what a
 * client makes of it. The table has its full size from the first key on, in memory that costs nothing before
 * it is touched (4 MiB at the most): so it never grows, and nobody ever waits for that. With 64 bytes a key
 * in the chunks, a million of them take 65 MiB. */
#ifndef CORACLE_STORE_KEYS_H
#define CORACLE_STORE_KEYS_H

#include "store/store.h"

enum {
  KEY_BYTES = 3 * COMMAND_DIGEST_BYTES + 8 + 1 + 1 + 2, /* of one in an image */
  KEYS_PER_CHUNK = 1024,
  KEYS_CHUNKS = 1024, /* places for them: those of STORE_KEYS_MAX keys, wherever the first of them begins */
};

struct keys_chunk;
struct keys_table;

/* All zero but for the hash key: none. Keys are numbered as they come, from 0 on. */
struct keys {
  uint8_t hash_key[STORE_HASH_KEY_BYTES];
  struct keys_table *table; /* NULL until the first key comes */
  uint64_t first, end;      /* numbers of the oldest that is kept, and one past the newest */
};

/* Drops them all, in slices of about as many chunks. Returns whether that is done. */
MUST_CHECK bool keys_free_some(struct keys *, size_t chunks);

/* The bytes of a key as in an image; and back: false when no command has left such a key, by its outcome.
 * (What its revision may be, the caller knows.) */
void key_encode(const struct store_key *, uint8_t bytes[KEY_BYTES]);
MUST_CHECK bool key_decode(const uint8_t bytes[KEY_BYTES], struct store_key *);
struct state_hash key_state_hash(const uint8_t bytes[KEY_BYTES]);

/* The bytes of a key, NULL if it is not there. */
const uint8_t *keys_find(const struct keys *, const uint8_t digest[COMMAND_DIGEST_BYTES]);
/* The newest one; it must not be there yet, and there must be fewer than STORE_KEYS_MAX. */
void keys_append(struct keys *, const uint8_t bytes[KEY_BYTES]);
/* The bytes of the oldest, which must exist; to be forgotten with keys_drop_oldest(). */
const uint8_t *keys_oldest(const struct keys *);
void keys_drop_oldest(struct keys *);

/* ---- As of one moment ---- */

/* All zero: none. */
struct keys_view {
  struct keys_chunk **chunks; /* a reference to each; owned */
  size_t chunks_n;
  size_t skipped; /* keys of the first chunk that were dropped already */
  uint64_t n;     /* keys */
};

struct keys_view keys_share(const struct keys *);
/* Releases it in slices of about as many chunks. Returns whether that is done. */
MUST_CHECK bool keys_view_free_some(struct keys_view *, size_t chunks);
/* The bytes of the i-th key from the oldest. */
const uint8_t *keys_view_at(const struct keys_view *, uint64_t i);

#endif
