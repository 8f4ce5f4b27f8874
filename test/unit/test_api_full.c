/* Goal: where there is no room for a write, it is answered with 507 and changes nothing, and reads go on. On
 * the disk: no write at all. In memory (--max-data-bytes): what makes the documents larger than they may be;
 * what makes them smaller is always taken. */
#include "api_client.h"

#include <stdio.h>

#define TARGET "/v1/collections/c/"
enum { LIMIT = 1000, NAMES = 2 }; /* a document's names: "c" and one letter */

static const char full[] = "There is no room for writes on the disk of b; make some there.";

/* A document of so many bytes, its names not counted. */
static const char *document(size_t bytes) {
  static char text[2 * LIMIT];
  const int head = snprintf(text, sizeof text, "{\"id\":\"a\",\"x\":\"");
  memset(text + head, 'x', bytes - (size_t)head - 2);
  memcpy(text + bytes - 2, "\"}", 3);
  return text;
}

static void put(struct client *c, char id, size_t bytes) {
  char target[64], body[2 * LIMIT];
  snprintf(target, sizeof target, TARGET "%c", id);
  snprintf(body, sizeof body, "%s", document(bytes));
  body[strlen("{\"id\":\"")] = id;
  ask(c, "PUT", target, JSON, body);
}

static uint64_t data_bytes(const struct client *c) {
  return store_bytes(replica_store(c->replica));
}

static void open_limited(struct client *c) {
  client_open_limited(c, LIMIT);
}

/* ---- The disk ---- */

static void no_write_is_taken_without_room_on_the_disk(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, 'a', 100);
  assert_int_equal(c.status, 201);
  c.view.disk_full = full;
  static const char *const requests[][2] = {
      {"PUT", TARGET "a"}, {"POST", "/v1/collections/c"}, {"DELETE", TARGET "a"}};
  for (size_t i = 0; i < 3; i++) {
    ask(&c, requests[i][0], requests[i][1], i < 2 ? JSON : NULL, i < 2 ? "{}" : NULL);
    assert_problem(&c, 507, "disk_full");
    assert_non_null(strstr(c.body, full));
    assert_false(c.was_proposed);
  }
  ask(&c, "GET", TARGET "a", NULL, NULL);
  assert_int_equal(c.status, 200);
  c.view.storage = API_STORAGE_FULL;
  ask(&c, "GET", "/readyz", NULL, NULL);
  assert_int_equal(c.status, 200);
  assert_string_equal(c.body, "{\"status\":\"ok\",\"storage\":\"full\"}");
  c.view.disk_full = NULL;
  ask(&c, "DELETE", TARGET "a", NULL, NULL);
  assert_int_equal(c.status, 204);
  client_close(&c);
}

/* A leader without room may never commit an entry of its own: the disk is what is to be told. */
static void the_disk_comes_before_the_term(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  c.view.disk_full = full;
  c.view.committed_own_term = false;
  put(&c, 'a', 100);
  assert_problem(&c, 507, "disk_full");
  client_close(&c);
}

/* ---- --max-data-bytes ---- */

static void the_documents_fill_their_room_to_the_byte(void **state) {
  (void)state;
  struct client c;
  open_limited(&c);
  put(&c, 'a', LIMIT - NAMES + 1);
  assert_problem(&c, 507, "store_full");
  assert_false(c.was_proposed);
  put(&c, 'a', LIMIT - NAMES);
  assert_int_equal(c.status, 201);
  assert_int_equal(data_bytes(&c), LIMIT);
  put(&c, 'b', 50);
  assert_problem(&c, 507, "store_full");
  assert_non_null(strstr(c.body, "\"data_bytes\":1000,\"data_bytes_max\":1000"));
  ask(&c, "POST", "/v1/collections/c", JSON, "{}");
  assert_problem(&c, 507, "store_full");
  ask(&c, "GET", "/v1/cluster", NULL, NULL);
  assert_non_null(strstr(c.body, "\"data_bytes\":1000,\"data_bytes_max\":1000"));
  client_close(&c);
}

static void what_does_not_grow_them_is_taken(void **state) {
  (void)state;
  struct client c;
  open_limited(&c);
  put(&c, 'a', LIMIT - NAMES);
  put(&c, 'a', LIMIT - NAMES); /* the same again */
  assert_int_equal(c.status, 200);
  put(&c, 'a', 100);
  assert_int_equal(c.status, 200);
  put(&c, 'b', LIMIT - 100 - 2 * NAMES);
  assert_int_equal(c.status, 201);
  put(&c, 'a', 101);
  assert_problem(&c, 507, "store_full");
  ask(&c, "DELETE", TARGET "b", NULL, NULL);
  assert_int_equal(c.status, 204);
  put(&c, 'a', 101);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

/* A smaller limit than what is there already, after a restart with another option. */
static void beyond_the_limit_there_is_a_way_back(void **state) {
  (void)state;
  struct client c;
  client_open_limited(&c, LIMIT / 2);
  struct store_result result;
  struct bytes command = {0};
  const struct command too_large = {.type = COMMAND_PUT,
                                    .collection = slice_of("c"),
                                    .id = slice_of("a"),
                                    .body = slice_of(document(LIMIT - NAMES))};
  command_encode(&too_large, bytes_reserve(&command, command_size(&too_large)));
  struct store *store = (struct store *)(uintptr_t)replica_store(c.replica);
  assert_int_equal(store_apply(store, 1, command.data, command_size(&too_large), &result), 0);
  store_record_unref(result.record);
  put(&c, 'b', 50);
  assert_problem(&c, 507, "store_full");
  put(&c, 'a', LIMIT - NAMES + 1);
  assert_problem(&c, 507, "store_full");
  put(&c, 'a', LIMIT - 50);
  assert_int_equal(c.status, 200);
  ask(&c, "DELETE", TARGET "a", NULL, NULL);
  assert_int_equal(c.status, 204);
  put(&c, 'b', 50);
  assert_int_equal(c.status, 201);
  bytes_close(&command);
  client_close(&c);
}

/* Who has dropped a collection to make room was told that it is gone, and need not know that it goes bit by
 * bit. */
static void room_that_is_still_being_made_is_waited_for(void **state) {
  (void)state;
  struct client c;
  open_limited(&c);
  put(&c, 'a', LIMIT - NAMES);
  struct store *store = (struct store *)(uintptr_t)replica_store(c.replica);
  struct store_result result;
  static const char drop[] = "\5c";
  fake_replica_advance(c.replica, 1);
  assert_int_equal(store_apply(store, replica_applied(c.replica), drop, sizeof drop - 1, &result), 0);
  store_result_close(&result);
  assert_true(store_is_busy(store));
  ask(&c, "PUT", "/v1/collections/d/a", JSON, document(LIMIT / 2));
  assert_problem(&c, 503, "busy");
  while (!store_go_on(store, 1)) continue;
  ask(&c, "PUT", "/v1/collections/d/a", JSON, document(LIMIT / 2));
  assert_int_equal(c.status, 201);
  client_close(&c);
}

/* ... for one that is committed later takes its room all the same. */
static void what_is_not_applied_yet_counts(void **state) {
  (void)state;
  struct client c;
  open_limited(&c);
  fake_replica_burden(c.replica, LIMIT - 100);
  put(&c, 'a', 100 - NAMES + 1);
  assert_problem(&c, 507, "store_full");
  put(&c, 'a', 100 - NAMES);
  assert_int_equal(c.status, 201);
  client_close(&c);
}

static void without_a_limit_nothing_is_refused(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  fake_replica_burden(c.replica, UINT64_MAX / 2);
  put(&c, 'a', LIMIT);
  assert_int_equal(c.status, 201);
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_write_is_taken_without_room_on_the_disk),
      cmocka_unit_test(the_disk_comes_before_the_term),
      cmocka_unit_test(the_documents_fill_their_room_to_the_byte),
      cmocka_unit_test(what_does_not_grow_them_is_taken),
      cmocka_unit_test(beyond_the_limit_there_is_a_way_back),
      cmocka_unit_test(room_that_is_still_being_made_is_waited_for),
      cmocka_unit_test(what_is_not_applied_yet_counts),
      cmocka_unit_test(without_a_limit_nothing_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
