/* Goal: keys and nonces are derived in one way that never changes by accident; no two purposes, streams,
 * directions or calls get the same; and what was sealed opens with all of it right and with nothing else. */
#include "wire/seal.h"

#include "golden.h"

#include <string.h>

/* 32 bytes that count up from `first`. */
static const uint8_t *counting(uint8_t bytes[32], uint8_t first) {
  for (size_t i = 0; i < 32; i++) bytes[i] = (uint8_t)(first + i);
  return bytes;
}

static struct seal_keys keys_of(uint8_t first) {
  uint8_t secret[SECRET_BYTES];
  struct seal_keys keys;
  seal_keys_derive(counting(secret, first), &keys);
  return keys;
}

/* As hashlib.blake2b(data, key=..., person=..., digest_size=...) in Python has them. */
static void derived_keys_are_pinned(void **state) {
  (void)state;
  const struct seal_keys keys = keys_of(0);
  uint8_t leader[32], follower[32];
  struct seal_stream to_follower, to_leader;
  assert_golden(keys.datagrams, 32, "48fda222a5d91d19c8814278b98f0204a21ad80a411f4fe4f5ea35f74d2d8be5");
  assert_golden(keys.streams, 32, "0349649ecf67f51b36e9977eb235daeb1768baff31333c56bed28cd254b12cde");
  seal_streams_derive(&keys, counting(leader, 0x60), counting(follower, 0x80), &to_follower, &to_leader);
  assert_golden(to_follower.key, 32, "95f639c1c210f224e4c71e9b8d95ef4c5228bfcd2537ad108464066538f17088");
  assert_golden(to_leader.key, 32, "758ab146a8f6fc6ee16efecfc46f9b3ff60e6f3a0d9fafcd38bf71c164345f8c");
  assert_true(to_follower.frames == 0 && to_leader.frames == 0);
}

static void numbers_used_once_are_pinned(void **state) {
  (void)state;
  uint8_t bytes[32];
  struct seal_source source;
  seal_source_init(&source, counting(bytes, 0xe0));
  seal_source_nonce(&source, bytes);
  assert_golden(bytes, 24, "8c5cd349752e7ab6ddf5ceb3859cf027 0100000000000000");
  seal_source_random(&source, bytes);
  assert_golden(bytes, 32, "0deee61ca56aa705e9671f3466ba19b82bf299fd223e2b6be52ee5ed538f23b6");
  seal_source_nonce(&source, bytes);
  assert_golden(bytes, 24, "8c5cd349752e7ab6ddf5ceb3859cf027 0200000000000000");
  seal_source_random(&source, bytes);
  assert_golden(bytes, 32, "2773c917bb91d1786e24a8c1a507e33e04923d203bf86daf7dee9c899bd76880");
}

/* Another secret, another random number of either side, or the same two the other way round: other keys. */
static void no_two_streams_have_a_key_in_common(void **state) {
  (void)state;
  enum { STREAMS = 6 };
  struct seal_stream made[2 * STREAMS];
  uint8_t a[32], b[32], c[32];
  counting(a, 1), counting(b, 2), counting(c, 3);
  const struct {
    uint8_t secret;
    const uint8_t *leader, *follower;
  } of[STREAMS] = {{0, a, b}, {1, a, b}, {0, b, a}, {0, a, c}, {0, c, b}, {0, a, a}};
  for (size_t i = 0; i < STREAMS; i++) {
    const struct seal_keys keys = keys_of(of[i].secret);
    seal_streams_derive(&keys, of[i].leader, of[i].follower, &made[2 * i], &made[2 * i + 1]);
  }
  for (size_t i = 0; i < 2 * STREAMS; i++)
    for (size_t j = 0; j < i; j++) assert_memory_not_equal(made[i].key, made[j].key, SEAL_KEY_BYTES);
}

static void every_nonce_is_another(void **state) {
  (void)state;
  enum { SOURCES = 3, EACH = 400 };
  static uint8_t nonces[SOURCES * EACH][SEAL_NONCE_BYTES], randoms[SOURCES * EACH][SEAL_RANDOM_BYTES];
  for (size_t i = 0; i < SOURCES; i++) {
    struct seal_source source;
    uint8_t entropy[SEAL_ENTROPY_BYTES] = {[31] = (uint8_t)(1 + i)};
    seal_source_init(&source, entropy);
    for (size_t j = 0; j < EACH; j++) {
      seal_source_nonce(&source, nonces[i * EACH + j]);
      seal_source_random(&source, randoms[i * EACH + j]);
    }
  }
  for (size_t i = 0; i < SOURCES * EACH; i++) {
    for (size_t j = 0; j < i; j++) {
      if (memcmp(nonces[i], nonces[j], SEAL_NONCE_BYTES) == 0) fail_msg("nonces %zu and %zu", i, j);
      if (memcmp(randoms[i], randoms[j], SEAL_RANDOM_BYTES) == 0) fail_msg("randoms %zu and %zu", i, j);
    }
  }
}

/* One bit of anything, and nothing opens. */
static void what_was_sealed_opens_whole_or_not_at_all(void **state) {
  (void)state;
  enum { CLEAR = 5, DATA = 70 };
  struct {
    uint8_t key[SEAL_KEY_BYTES], nonce[SEAL_NONCE_BYTES], clear[CLEAR], data[DATA], tag[SEAL_TAG_BYTES];
  } sealed, given;
  uint8_t plain[DATA];
  for (size_t i = 0; i < sizeof sealed; i++) ((uint8_t *)&sealed)[i] = (uint8_t)(13 * i);
  memcpy(plain, sealed.data, DATA);
  seal_in_place(sealed.key, sealed.nonce, sealed.clear, CLEAR, sealed.data, DATA, sealed.tag);
  assert_memory_not_equal(sealed.data, plain, DATA);
  for (size_t bit = 0; bit <= 8 * sizeof sealed; bit++) {
    const bool whole = bit == 8 * sizeof sealed;
    given = sealed;
    if (!whole) ((uint8_t *)&given)[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(
        seal_open_in_place(given.key, given.nonce, given.clear, CLEAR, given.data, DATA, given.tag), whole);
    if (whole) assert_memory_equal(given.data, plain, DATA);
  }
  for (size_t n = 0; n < DATA; n++) {
    given = sealed;
    assert_false(seal_open_in_place(given.key, given.nonce, given.clear, CLEAR, given.data, n, given.tag));
  }
  given = sealed;
  assert_false(
      seal_open_in_place(given.key, given.nonce, given.clear, CLEAR - 1, given.data, DATA, given.tag));
}

/* Nothing to encrypt is sealed as well. */
static void an_empty_seal(void **state) {
  (void)state;
  uint8_t key[32], nonce[32], tag[SEAL_TAG_BYTES], data[1] = {0};
  counting(key, 9), counting(nonce, 10);
  seal_in_place(key, nonce, "clear", 5, data, 0, tag);
  assert_true(seal_open_in_place(key, nonce, "clear", 5, data, 0, tag));
  assert_false(seal_open_in_place(key, nonce, "cleer", 5, data, 0, tag));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(derived_keys_are_pinned),
      cmocka_unit_test(numbers_used_once_are_pinned),
      cmocka_unit_test(no_two_streams_have_a_key_in_common),
      cmocka_unit_test(every_nonce_is_another),
      cmocka_unit_test(what_was_sealed_opens_whole_or_not_at_all),
      cmocka_unit_test(an_empty_seal),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
