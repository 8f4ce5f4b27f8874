/* DELETE of a whole collection: all of its documents are gone at once, and those of others are not. */
#include "api_client.h"

#define ITEMS "/v1/collections/items"

static void put(struct client *c, const char *target) {
  ask(c, "PUT", target, JSON, "{}");
  assert_int_equal(c->status, 201);
}

static void all_of_it_goes(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a");
  put(&c, ITEMS "/b");
  put(&c, "/v1/collections/item/a");
  put(&c, "/v1/collections/items2/a");
  ask(&c, "DELETE", ITEMS, NULL, NULL);
  assert_true(c.was_proposed);
  assert_int_equal(c.status, 204);
  assert_header(&c, "Content-Type", NULL);
  assert_header(&c, "Coracle-Revision", "21");
  assert_string_equal(c.body, "");
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_problem(&c, 404, "document_not_found");
  ask(&c, "GET", "/v1/collections", NULL, NULL);
  assert_string_equal(c.body, "[{\"name\":\"item\",\"count\":1},{\"name\":\"items2\",\"count\":1}]");
  put(&c, ITEMS "/a");
  client_close(&c);
}

static void nothing_is_gone_too(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "DELETE", ITEMS, NULL, NULL);
  assert_int_equal(c.status, 204);
  ask(&c, "DELETE", "/v1/collections/a%20b", NULL, NULL);
  assert_problem(&c, 400, "invalid_collection");
  client_close(&c);
}

/* A condition that could not be kept is not passed over. */
static void it_takes_no_conditions(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a");
  static const char *const headers[] = {"If-Match: \"17\"\r\n", "If-Match: *\r\n", "If-None-Match: *\r\n"};
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    ask(&c, "DELETE", ITEMS, headers[i], NULL);
    assert_false(c.was_proposed);
    assert_problem(&c, 400, "invalid_precondition");
  }
  ask(&c, "DELETE", ITEMS "?force=1", NULL, NULL);
  assert_problem(&c, 400, "invalid_parameter");
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

static void it_is_a_write(void **state) {
  (void)state;
  struct client c;
  client_open(&c, FOLLOWER, API_REDIRECT);
  ask(&c, "DELETE", ITEMS, NULL, NULL);
  assert_problem(&c, 307, "not_leader");
  client_close(&c);
  client_open(&c, LEADERLESS, API_REDIRECT);
  ask(&c, "DELETE", ITEMS, NULL, NULL);
  assert_problem(&c, 503, "no_leader");
  client_close(&c);
  client_open(&c, LEADER, API_REDIRECT);
  c.verdict = REPLICA_UNKNOWN;
  ask(&c, "DELETE", ITEMS, NULL, NULL);
  assert_problem(&c, 504, "outcome_unknown");
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_of_it_goes),
      cmocka_unit_test(nothing_is_gone_too),
      cmocka_unit_test(it_takes_no_conditions),
      cmocka_unit_test(it_is_a_write),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
