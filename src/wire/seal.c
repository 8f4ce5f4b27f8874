#include "wire/seal.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

static_assert(SEAL_KEY_BYTES == crypto_aead_xchacha20poly1305_ietf_KEYBYTES, "of the cipher");
static_assert(SEAL_NONCE_BYTES == crypto_aead_xchacha20poly1305_ietf_NPUBBYTES, "of the cipher");
static_assert(SEAL_TAG_BYTES == crypto_aead_xchacha20poly1305_ietf_ABYTES, "of the cipher");

/* BLAKE2b's personalisation keeps what is derived for one purpose apart from what is for another. */
enum { PURPOSE_BYTES = crypto_generichash_blake2b_PERSONALBYTES };
static const char for_datagrams[] = "coracle-datagram", for_streams[] = "coracle-streams",
                  for_one_stream[] = "coracle-stream", for_nonces[] = "coracle-nonces",
                  for_randoms[] = "coracle-randoms";

static void derive(const uint8_t key[32], const char *purpose, const void *data, size_t data_n, uint8_t *out,
                   size_t n) {
  uint8_t personal[PURPOSE_BYTES] = {0};
  assert(strlen(purpose) <= sizeof personal);
  memcpy(personal, purpose, strlen(purpose));
  int error = crypto_generichash_blake2b_salt_personal(out, n, data, data_n, key, 32, NULL, personal);
  assert(error == 0);
  (void)error;
}

static void put_number(uint8_t at[8], uint64_t number) {
  for (size_t i = 0; i < 8; i++) at[i] = (uint8_t)(number >> (8 * i));
}

void seal_keys_derive(const uint8_t secret[SECRET_BYTES], struct seal_keys *keys) {
  derive(secret, for_datagrams, NULL, 0, keys->datagrams, sizeof keys->datagrams);
  derive(secret, for_streams, NULL, 0, keys->streams, sizeof keys->streams);
}

void seal_streams_derive(const struct seal_keys *keys, const uint8_t leader_random[SEAL_RANDOM_BYTES],
                         const uint8_t follower_random[SEAL_RANDOM_BYTES], struct seal_stream *to_follower,
                         struct seal_stream *to_leader) {
  uint8_t randoms[2 * SEAL_RANDOM_BYTES], both[2 * SEAL_KEY_BYTES];
  memcpy(randoms, leader_random, SEAL_RANDOM_BYTES);
  memcpy(randoms + SEAL_RANDOM_BYTES, follower_random, SEAL_RANDOM_BYTES);
  derive(keys->streams, for_one_stream, randoms, sizeof randoms, both, sizeof both);
  *to_follower = (struct seal_stream){.frames = 0};
  *to_leader = (struct seal_stream){.frames = 0};
  memcpy(to_follower->key, both, SEAL_KEY_BYTES);
  memcpy(to_leader->key, both + SEAL_KEY_BYTES, SEAL_KEY_BYTES);
  seal_forget(both, sizeof both);
}

/* ---- Numbers used once ---- */

void seal_source_init(struct seal_source *source, const uint8_t entropy[SEAL_ENTROPY_BYTES]) {
  assert(!sodium_is_zero(entropy, SEAL_ENTROPY_BYTES)); /* nobody has filled it in */
  *source = (struct seal_source){.nonces = 0};
  memcpy(source->entropy, entropy, sizeof source->entropy);
  derive(entropy, for_nonces, NULL, 0, source->prefix, sizeof source->prefix);
}

void seal_source_nonce(struct seal_source *source, uint8_t nonce[SEAL_NONCE_BYTES]) {
  memcpy(nonce, source->prefix, sizeof source->prefix);
  put_number(nonce + sizeof source->prefix, ++source->nonces);
}

void seal_source_random(struct seal_source *source, uint8_t random[SEAL_RANDOM_BYTES]) {
  uint8_t number[8];
  put_number(number, ++source->randoms);
  derive(source->entropy, for_randoms, number, sizeof number, random, SEAL_RANDOM_BYTES);
}

/* ---- The seal ---- */

void seal_in_place(const uint8_t key[SEAL_KEY_BYTES], const uint8_t nonce[SEAL_NONCE_BYTES],
                   const void *clear, size_t clear_n, uint8_t *data, size_t n, uint8_t tag[SEAL_TAG_BYTES]) {
  crypto_aead_xchacha20poly1305_ietf_encrypt_detached(data, tag, NULL, data, n, clear, clear_n, NULL, nonce,
                                                      key);
}

bool seal_open_in_place(const uint8_t key[SEAL_KEY_BYTES], const uint8_t nonce[SEAL_NONCE_BYTES],
                        const void *clear, size_t clear_n, uint8_t *data, size_t n,
                        const uint8_t tag[SEAL_TAG_BYTES]) {
  return crypto_aead_xchacha20poly1305_ietf_decrypt_detached(data, NULL, data, n, tag, clear, clear_n, nonce,
                                                             key) == 0;
}

void seal_forget(void *data, size_t n) {
  sodium_memzero(data, n);
}
