/* Sealing: what leaves a node can be read, and made, only by who has the cluster's secret. XChaCha20-Poly1305
 * (libsodium's IETF variant) under keys derived from the secret with BLAKE2b; docs/wire-format.md has every
 * byte.
 *
 *   - All datagrams of a cluster are sealed under one key, each with a nonce of its own. A copy of one is
 *     noticed by its start and counter (wire/replay.h).
 *   - Each direction of each replication stream has a key of its own, made of a fresh random number of either
 *     end; the nonce is the number of the frame. So a recorded stream opens nothing later, no frame can be
 *     left out, doubled or moved, and whose first frame opens was there, with the secret, just now.
 *
 * Nothing here draws random numbers: they grow from the 256 random bits of a seal_source, which must never
 * have been used before (in a simulator: by another node of the run). */
#ifndef CORACLE_WIRE_SEAL_H
#define CORACLE_WIRE_SEAL_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
  SECRET_BYTES = 32,
  SEAL_KEY_BYTES = 32,
  SEAL_NONCE_BYTES = 24,
  SEAL_TAG_BYTES = 16,
  SEAL_RANDOM_BYTES = 32,  /* what each end brings to a stream's keys */
  SEAL_ENTROPY_BYTES = 32, /* what a seal_source grows from */
};

/* What a node keeps of the secret. */
struct seal_keys {
  uint8_t datagrams[SEAL_KEY_BYTES];
  uint8_t streams[SEAL_KEY_BYTES]; /* the keys of every stream are derived from it */
};
void seal_keys_derive(const uint8_t secret[SECRET_BYTES], struct seal_keys *);

/* One direction of a replication stream. */
struct seal_stream {
  uint8_t key[SEAL_KEY_BYTES];
  uint64_t frames; /* sealed, or opened, so far: the nonce of the next */
};
void seal_streams_derive(const struct seal_keys *, const uint8_t leader_random[SEAL_RANDOM_BYTES],
                         const uint8_t follower_random[SEAL_RANDOM_BYTES], struct seal_stream *to_follower,
                         struct seal_stream *to_leader);

/* Numbers that are each used once: a nonce is 128 bits that belong to this source and a counter, a random
 * number is BLAKE2b of a counter under the source's bits, which must not all be zero (asserted). */
struct seal_source {
  uint8_t entropy[SEAL_ENTROPY_BYTES];
  uint8_t prefix[SEAL_NONCE_BYTES - 8];
  uint64_t nonces, randoms; /* given out */
};
void seal_source_init(struct seal_source *, const uint8_t entropy[SEAL_ENTROPY_BYTES]);
void seal_source_nonce(struct seal_source *, uint8_t nonce[SEAL_NONCE_BYTES]);
void seal_source_random(struct seal_source *, uint8_t random[SEAL_RANDOM_BYTES]);

/* Encrypts data[0..n) where it stands; the tag is over it and over clear[0..clear_n), which is left as it is.
 */
void seal_in_place(const uint8_t key[SEAL_KEY_BYTES], const uint8_t nonce[SEAL_NONCE_BYTES],
                   const void *clear, size_t clear_n, uint8_t *data, size_t n, uint8_t tag[SEAL_TAG_BYTES]);
/* The way back. False when any bit of data, clear, tag or nonce is another, or the key: data is then of no
 * use. */
MUST_CHECK bool seal_open_in_place(const uint8_t key[SEAL_KEY_BYTES], const uint8_t nonce[SEAL_NONCE_BYTES],
                                   const void *clear, size_t clear_n, uint8_t *data, size_t n,
                                   const uint8_t tag[SEAL_TAG_BYTES]);

/* Overwrites keys and tokens that are no longer needed, where a compiler would leave memset() out. */
void seal_forget(void *data, size_t n);

#endif
