/* Commands for tests of the store: encoded into memory of exactly their size and applied. */
#ifndef CORACLE_TEST_STORE_COMMANDS_H
#define CORACLE_TEST_STORE_COMMANDS_H

#include "golden.h"
#include "store/store.h"

static const uint8_t test_hash_key[STORE_HASH_KEY_BYTES] = "a key for tests";

static inline struct store_result apply(struct store *store, uint64_t index, const struct command *command) {
  size_t n = command_size(command);
  uint8_t *encoded = malloc(n);
  struct store_result result;
  assert_non_null(encoded);
  command_encode(command, encoded);
  assert_int_equal(store_apply(store, index, encoded, n, &result), 0);
  free(encoded); /* the store keeps copies */
  return result;
}

static inline struct command put_command(const char *collection, const char *id, const char *body) {
  return (struct command){
      .type = COMMAND_PUT, .collection = slice_of(collection), .id = slice_of(id), .body = slice_of(body)};
}

static inline struct command delete_command(const char *collection, const char *id) {
  return (struct command){.type = COMMAND_DELETE, .collection = slice_of(collection), .id = slice_of(id)};
}

static inline struct command drop_command(const char *collection) {
  return (struct command){.type = COMMAND_DROP, .collection = slice_of(collection)};
}

/* The n-th key of a test, for the m-th request. */
static inline struct command_once once_of(uint64_t n, uint64_t m) {
  struct command_once once = {.note = "a note"};
  for (size_t i = 0; i < 8; i++) {
    once.key[8 + i] = (uint8_t)(n >> (8 * i));
    once.request[i] = (uint8_t)(m >> (8 * i));
  }
  return once;
}

/* Applies and drops the result; returns its outcome. */
static inline enum store_outcome outcome(struct store *store, uint64_t index, const struct command *command) {
  struct store_result result = apply(store, index, command);
  const enum store_outcome of = result.outcome;
  store_result_close(&result);
  return of;
}

/* For what must succeed in setting a test up; drops the result's record. */
static inline void put(struct store *store, uint64_t index, const char *collection, const char *id,
                       const char *body) {
  struct command command = put_command(collection, id, body);
  struct store_result result = apply(store, index, &command);
  assert_true(result.outcome == STORE_CREATED || result.outcome == STORE_REPLACED);
  store_result_close(&result);
}

#endif
