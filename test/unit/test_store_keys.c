/* Goal: a command with an idempotency key takes effect once, however often it is applied, and every later
 * time is answered with what became of the first; the newest million of keys are remembered, in log order,
 * whatever comes; they are part of the state, of its hash, of its images and views; and no bytes are taken
 * for a key that no command has left. */
#include "store_images.h"

#include "base/codec.h"

#include <malloc.h>
#include <stdio.h>
#include <xxhash.h>

/* ---- What a key does ---- */

static struct command with(struct command command, const struct command_once *once) {
  command.once = once;
  return command;
}

static void assert_replayed(struct store *store, uint64_t index, const struct command *command,
                            enum store_outcome expected, uint64_t revision) {
  const struct state_hash before = store_state_hash(store);
  struct store_result result = apply(store, index, command);
  assert_true(result.replayed);
  assert_int_equal(result.outcome, expected);
  assert_true(result.revision == revision);
  assert_memory_equal(result.note, command->once->note, COMMAND_DIGEST_BYTES);
  assert_null(result.record);
  assert_null(result.operations);
  assert_int_equal(result.operations_n, 0);
  assert_true(state_hash_equal(before, store_state_hash(store)));
  assert_true(store_revision(store) == index);
  store_result_close(&result);
}

static void the_second_time_is_told_of_the_first(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  const struct command_once once = once_of(1, 1);
  const struct command command = with(put_command("c", "d", "1"), &once);
  assert_int_equal(store_keys(store), 0);

  struct store_result result = apply(store, 5, &command);
  assert_int_equal(result.outcome, STORE_CREATED);
  assert_true(result.revision == 5 && !result.replayed && result.record->revision == 5);
  store_result_close(&result);
  assert_int_equal(store_keys(store), 1);

  put(store, 6, "c", "d", "2");
  assert_replayed(store, 7, &command, STORE_CREATED, 5);
  assert_replayed(store, 8, &command, STORE_CREATED, 5);
  assert_true(slice_is(store_record_body(store_get(store, slice_of("c"), slice_of("d"))), "2"));
  assert_int_equal(store_keys(store), 1);

  struct store_key found;
  assert_true(store_find_key(store, once.key, &found));
  assert_memory_equal(&found.once, &once, sizeof once);
  assert_true(found.revision == 5);
  assert_int_equal(found.outcome, STORE_CREATED);
  const struct command_once other = once_of(2, 1);
  assert_false(store_find_key(store, other.key, &found));
  store_free(store);
}

static void another_request_is_told_apart(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  const struct command_once first = once_of(1, 1), second = once_of(1, 2);
  struct command command = with(put_command("c", "d", "1"), &first);
  assert_int_equal(outcome(store, 1, &command), STORE_CREATED);
  const struct state_hash before = store_state_hash(store);

  command.once = &second;
  struct store_result result = apply(store, 2, &command);
  assert_int_equal(result.outcome, STORE_KEY_REUSED);
  assert_false(result.replayed);
  assert_true(result.revision == 2 && result.record == NULL);
  assert_true(state_hash_equal(before, store_state_hash(store)));
  command.once = &first; /* which stays as it was */
  assert_replayed(store, 3, &command, STORE_CREATED, 1);
  store_free(store);
}

/* One of each; a conflict is decided as a success is. */
static void every_decision_is_remembered(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  struct command create = put_command("c", "there", "1"), replace = put_command("c", "none", "1");
  create.condition = COMMAND_CREATE;
  replace.condition = COMMAND_IF_PRESENT;
  const struct command puts[] = {put_command("c", "there", "2"), create};
  const struct {
    struct command command;
    enum store_outcome outcome;
  } rows[] = {
      {put_command("c", "there", "1"), STORE_CREATED},
      {put_command("c", "there", "2"), STORE_REPLACED},
      {create, STORE_EXISTS},
      {replace, STORE_PRECONDITION_FAILED},
      {delete_command("c", "none"), STORE_NOT_FOUND},
      {{.type = COMMAND_BATCH, .operations = puts, .operations_n = 2}, STORE_DONE},
      {{.type = COMMAND_TRANSACTION, .operations = puts, .operations_n = 1}, STORE_DONE},
      {{.type = COMMAND_TRANSACTION, .operations = &create, .operations_n = 1}, STORE_REFUSED},
      {delete_command("c", "there"), STORE_DELETED},
      {drop_command("c"), STORE_DROPPED},
  };
  enum { ROWS = sizeof rows / sizeof rows[0] };
  struct command_once once[ROWS];
  for (size_t i = 0; i < ROWS; i++) {
    once[i] = once_of(i, i);
    const struct command command = with(rows[i].command, &once[i]);
    assert_int_equal(outcome(store, 1 + i, &command), rows[i].outcome);
  }
  for (size_t i = 0; i < ROWS; i++) {
    const struct command command = with(rows[i].command, &once[i]);
    assert_replayed(store, 100 + i, &command, rows[i].outcome, 1 + i);
  }
  assert_int_equal(store_keys(store), ROWS);
  store_free(store);
}

static void which_operation_was_refused_is_remembered(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  const struct command_once once = once_of(1, 1);
  const struct command operations[] = {put_command("c", "a", "1"), delete_command("c", "none")};
  const struct command command = {
      .type = COMMAND_TRANSACTION, .operations = operations, .operations_n = 2, .once = &once};
  assert_int_equal(outcome(store, 1, &command), STORE_REFUSED);
  struct store_result result = apply(store, 2, &command);
  assert_true(result.replayed);
  assert_int_equal(result.outcome, STORE_REFUSED);
  assert_int_equal(result.failed, 1);
  assert_int_equal(result.failed_outcome, STORE_NOT_FOUND);
  assert_null(result.operations);
  store_free(store);
}

/* Nothing was decided: the same key comes again with the body that was computed anew. */
static void a_base_that_moved_is_not_remembered(void **state) {
  (void)state;
  struct store *store = store_new(test_hash_key);
  const struct command_once once = once_of(1, 1);
  struct command command = with(put_command("c", "d", "computed"), &once);
  put(store, 1, "c", "d", "1");
  command.condition = COMMAND_IF_BASE;
  assert_int_equal(outcome(store, 2, &command), STORE_BASE_MOVED);
  const struct command transaction = {.type = COMMAND_TRANSACTION,
                                      .operations = &(struct command){.type = COMMAND_PUT,
                                                                      .condition = COMMAND_IF_BASE,
                                                                      .revision = 9,
                                                                      .collection = slice_of("c"),
                                                                      .id = slice_of("d"),
                                                                      .body = slice_of("x")},
                                      .operations_n = 1,
                                      .once = &once};
  assert_int_equal(outcome(store, 3, &transaction), STORE_BASE_MOVED);
  assert_int_equal(store_keys(store), 0);
  command.revision = 1;
  assert_int_equal(outcome(store, 4, &command), STORE_REPLACED);
  assert_replayed(store, 5, &command, STORE_REPLACED, 4);
  store_free(store);
}

/* ---- Very many ---- */

/* Commands with keys n, n + 1, ... at indexes that are one more. */
static void remember(struct store *store, uint64_t from, uint64_t to) {
  for (uint64_t n = from; n < to; n++) {
    const struct command_once once = once_of(n, n);
    const struct command command = with(drop_command("none"), &once);
    assert_int_equal(outcome(store, n + 1, &command), STORE_DROPPED);
  }
}

static bool is_known(const struct store *store, uint64_t n) {
  const struct command_once once = once_of(n, n);
  struct store_key key;
  if (!store_find_key(store, once.key, &key)) return false;
  assert_true(key.revision == n + 1);
  return true;
}

static size_t allocated_bytes(void) {
  struct mallinfo2 info = mallinfo2();
  return info.uordblks +
         info.hblkhd; /* 0 where an allocator of its own is linked in, such as a sanitizer's */
}

/* The oldest is forgotten, whether or not it came again in between; what a view saw it goes on seeing; a
 * store that is made of the image is the same, and goes on in the same way. */
static void the_newest_million(void **state) {
  (void)state;
  const size_t before = allocated_bytes();
  struct store *store = store_new(test_hash_key);
  remember(store, 0, STORE_KEYS_MAX);
  const size_t per_key = (allocated_bytes() - before) / STORE_KEYS_MAX;
  print_message("%zu bytes a key\n", per_key);
  assert_true(per_key <= 80);
  assert_int_equal(store_keys(store), STORE_KEYS_MAX);
  assert_true(is_known(store, 0));

  uint64_t n = STORE_KEYS_MAX;
  const struct command_once oldest = once_of(0, 0);
  const struct command again = with(drop_command("none"), &oldest);
  assert_replayed(store, ++n, &again, STORE_DROPPED, 1);
  struct store_view *view = store_view_take(store);
  struct bytes image = encode_view(view);
  assert_true(store_view_keys(view) == STORE_KEYS_MAX);

  remember(store, n, n + 1);
  n++;
  assert_int_equal(store_keys(store), STORE_KEYS_MAX);
  assert_false(is_known(store, 0));
  assert_true(is_known(store, 1) && is_known(store, n - 1));

  remember(store, n, n + 100000); /* their numbers begin anew in between */
  n += 100000;
  assert_int_equal(store_keys(store), STORE_KEYS_MAX);
  assert_false(is_known(store, n - STORE_KEYS_MAX - 2)); /* one number was the replay's */
  assert_true(is_known(store, n - STORE_KEYS_MAX) && is_known(store, n - 1));
  struct bytes same = encode_view(view);
  assert_true(slice_equal(slice_of_bytes(&same), slice_of_bytes(&image)));
  bytes_close(&same);

  struct store *back = decode_whole(&image);
  assert_non_null(back);
  bytes_close(&image);
  assert_true(is_known(back, 0));
  remember(back, STORE_KEYS_MAX + 1, n);
  assert_true(state_hash_equal(store_state_hash(store), store_state_hash(back)));
  assert_same_stores(store, back);

  image = encode_store(store); /* whose state hash is of those that are left, or it would be refused */
  struct store *decoded = decode_whole(&image);
  assert_non_null(decoded);
  store_free(decoded);
  bytes_close(&image);

  store_free(store);
  assert_true(store_view_keys(view) == STORE_KEYS_MAX);
  while (!store_view_free_some(view, 100)) continue;
  while (!store_free_some(back, 100)) continue;
}

/* Views of every moment around the end of a chunk, released in another order. */
static void views_between_chunks(void **state) {
  (void)state;
  enum { KEYS = 3000, VIEWS = 30, EVERY = KEYS / VIEWS };
  struct store *store = store_new(test_hash_key);
  struct store_view *views[VIEWS];
  struct bytes images[VIEWS];
  for (size_t i = 0; i < VIEWS; i++) {
    remember(store, i * EVERY, (i + 1) * EVERY);
    views[i] = store_view_take(store);
    images[i] = encode_view(views[i]);
    assert_int_equal(images[i].n, IMAGE_HEADER_BYTES + (i + 1) * EVERY * IMAGE_KEY_BYTES);
  }
  store_free(store);
  for (size_t k = 0; k < VIEWS; k++) {
    const size_t i = k * 7 % VIEWS;
    struct bytes same = encode_view(views[i]);
    assert_true(slice_equal(slice_of_bytes(&same), slice_of_bytes(&images[i])));
    bytes_close(&same);
    bytes_close(&images[i]);
    store_view_free(views[i]);
  }
}

/* ---- Images made to deceive: all sums are right ---- */

struct forged {
  uint64_t key, revision;
  uint8_t outcome, failed_outcome;
  uint16_t failed;
};

/* An image under revision 9, without a document. */
static bool is_taken(const struct forged *keys, size_t n) {
  struct bytes records = {0}, image = {0};
  uint64_t low = 0, high = 0;
  for (size_t i = 0; i < n; i++) {
    const size_t at = records.n;
    const struct command_once once = once_of(keys[i].key, 1);
    bytes_append(&records, &once, sizeof once);
    put_u64(&records, keys[i].revision);
    put_u8(&records, keys[i].outcome);
    put_u8(&records, keys[i].failed_outcome);
    put_u16(&records, keys[i].failed);
    assert_int_equal(records.n - at, IMAGE_KEY_BYTES);
    XXH128_hash_t hash = XXH3_128bits(records.data + at, IMAGE_KEY_BYTES);
    low += hash.low64;
    high += hash.high64 + (low < hash.low64);
  }
  bytes_append_string(&image, "CRCI");
  put_u32(&image, IMAGE_VERSION);
  put_u64(&image, 9);
  put_u64(&image, 0);
  put_u64(&image, 0);
  put_u64(&image, low);
  put_u64(&image, high);
  put_u64(&image, n);
  put_u64(&image, XXH3_64bits(image.data, image.n));
  bytes_append(&image, records.data, records.n);
  struct store *store = decode_whole(&image);
  const bool taken = store != NULL;
  if (taken) assert_int_equal(store_keys(store), n);
  store_free(store);
  bytes_close(&records);
  bytes_close(&image);
  return taken;
}

static void what_no_command_leaves_is_refused(void **state) {
  (void)state;
  const struct forged good[] = {{1, 1, 0, 0, 0}, {2, 5, 9, 4, 127}, {3, 9, 8, 0, 0}};
  assert_true(is_taken(good, 3));
  assert_true(is_taken(good + 1, 2));

  const struct forged bad[][2] = {
      {{1, 2, 0, 0, 0}, {2, 1, 0, 0, 0}},  /* out of order */
      {{1, 2, 0, 0, 0}, {2, 2, 0, 0, 0}},  /* two of one entry */
      {{1, 1, 0, 0, 0}, {1, 2, 0, 0, 0}},  /* one twice */
      {{1, 0, 0, 0, 0}, {2, 1, 0, 0, 0}},  /* before the log */
      {{1, 1, 0, 0, 0}, {2, 10, 0, 0, 0}}, /* after the state */
      {{1, 1, 6, 0, 0}, {2, 2, 0, 0, 0}},  /* BASE_MOVED is not remembered */
      {{1, 1, 10, 0, 0}, {2, 2, 0, 0, 0}}, /* nor KEY_REUSED */
      {{1, 1, 11, 0, 0}, {2, 2, 0, 0, 0}}, /* an outcome to come */
      {{1, 1, 255, 0, 0}, {2, 2, 0, 0, 0}},
      {{1, 1, 0, 3, 0}, {2, 2, 0, 0, 0}}, /* a failure of what was not refused */
      {{1, 1, 8, 0, 1}, {2, 2, 0, 0, 0}},
      {{1, 1, 9, 0, 0}, {2, 2, 0, 0, 0}}, /* refused for what is no failure */
      {{1, 1, 9, 6, 0}, {2, 2, 0, 0, 0}},
      {{1, 1, 9, 7, 0}, {2, 2, 0, 0, 0}},
      {{1, 1, 9, 4, 128}, {2, 2, 0, 0, 0}}, /* for an operation that no transaction has */
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(is_taken(bad[i], 2));
  for (uint8_t outcome_byte = 0; outcome_byte <= 8; outcome_byte++) /* every other one is taken */
    assert_int_equal(is_taken(&(struct forged){1, 1, outcome_byte, 0, 0}, 1),
                     outcome_byte != STORE_BASE_MOVED);
  for (uint8_t failure = 3; failure <= 5; failure++)
    assert_true(is_taken(&(struct forged){1, 1, STORE_REFUSED, failure, 0}, 1));
}

/* By its header already: there is no waiting for 60 MB of them. */
static void more_than_there_may_be_are_refused(void **state) {
  (void)state;
  for (uint64_t over = 0; over <= 1; over++) {
    struct bytes header = {0};
    struct image_decoder *decoder = image_decoder_new(test_hash_key);
    bytes_append_string(&header, "CRCI");
    put_u32(&header, IMAGE_VERSION);
    put_u64(&header, UINT64_MAX);
    for (size_t field = 0; field < 4; field++) put_u64(&header, 0);
    put_u64(&header, STORE_KEYS_MAX + over);
    put_u64(&header, XXH3_64bits(header.data, header.n));
    assert_int_equal(header.n, IMAGE_HEADER_BYTES);
    assert_int_equal(image_decoder_feed(decoder, header.data, header.n), over == 1 ? CORACLE_EMALFORMED : 0);
    image_decoder_free(decoder);
    bytes_close(&header);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_second_time_is_told_of_the_first),
      cmocka_unit_test(another_request_is_told_apart),
      cmocka_unit_test(every_decision_is_remembered),
      cmocka_unit_test(which_operation_was_refused_is_remembered),
      cmocka_unit_test(a_base_that_moved_is_not_remembered),
      cmocka_unit_test(the_newest_million),
      cmocka_unit_test(views_between_chunks),
      cmocka_unit_test(what_no_command_leaves_is_refused),
      cmocka_unit_test(more_than_there_may_be_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
