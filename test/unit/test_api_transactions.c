/* Transactions: all of their operations take effect, or none, and what is wrong with one of them is said of
 * that one. */
#include <stdio.h>
#include <stdlib.h>

#include "transaction_case.h"

/* ---- Success ---- */

static void all_of_them_take_effect(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/b", "{\"x\":1}"); /* 17 */
  put(&c, ITEMS "/c", "{}");
  put(&c, ITEMS "/d", "{\"x\":0.10,\"y\":[1]}");
  transact(&c, "{\"method\":\"put\",\"path\":\"items/a\",\"body\":{\"x\" : 1.0}},"
               "{\"method\":\"put\",\"path\":\"items/b\",\"if_match\":\"17\",\"body\":{\"id\":\"b\"}},"
               "{\"method\":\"delete\",\"path\":\"items/c\"},"
               "{\"method\":\"patch\",\"path\":\"items/d\",\"body\":{\"y\":null,\"z\":1e0}},"
               "{\"method\":\"post\",\"path\":\"other\",\"body\":{\"id\":7}}");
  assert_int_equal(c.status, 200);
  assert_header(&c, "Content-Type", "application/json");
  assert_header(&c, "Cache-Control", "no-store");
  assert_header(&c, "Coracle-Revision", "20");
  assert_string_equal(
      c.body,
      "{\"results\":["
      "{\"status\":201,\"path\":\"items/a\",\"etag\":\"\\\"20\\\"\",\"body\":{\"id\":\"a\",\"x\" : 1.0}},"
      "{\"status\":200,\"path\":\"items/b\",\"etag\":\"\\\"20\\\"\",\"body\":{\"id\":\"b\"}},"
      "{\"status\":204,\"path\":\"items/c\"},"
      "{\"status\":200,\"path\":\"items/"
      "d\",\"etag\":\"\\\"20\\\"\",\"body\":{\"id\":\"d\",\"x\":0.10,\"z\":1e0}},"
      "{\"status\":201,\"path\":\"other/7\",\"etag\":\"\\\"20\\\"\",\"body\":{\"id\":7}}]}");
  assert_document(&c, ITEMS "/a", "\"20\"", "{\"id\":\"a\",\"x\" : 1.0}");
  assert_none(&c, ITEMS "/c");
  assert_document(&c, ITEMS "/d", "\"20\"", "{\"id\":\"d\",\"x\":0.10,\"z\":1e0}");
  assert_document(&c, "/v1/collections/other/7", "\"20\"", "{\"id\":7}");
  client_close(&c);
}

static void a_post_gets_an_id(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  transact(&c, "{\"method\":\"post\",\"path\":\"items\",\"body\":{}},"
               "{\"method\":\"POST\",\"path\":\"/v1/collections/items\",\"body\":{}}");
  assert_int_equal(c.status, 200);
  json_t *answer = body_json(&c), *results = json_object_get(answer, "results");
  const char *path = json_string_value(json_object_get(json_array_get(results, 0), "path"));
  const char *next = json_string_value(json_object_get(json_array_get(results, 1), "path"));
  assert_int_equal(strlen(path), strlen("items/") + 26);
  assert_true(strcmp(path, next) < 0);
  assert_int_equal(store_documents(replica_store(c.replica)), 2);
  json_decref(answer);
  client_close(&c);
}

static void minimal_is_204(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "POST", TRANSACTIONS, JSON "Prefer: return=minimal\r\n",
      "{\"operations\":[{\"method\":\"put\",\"path\":\"items/a\",\"body\":{}}]}");
  assert_int_equal(c.status, 204);
  assert_header(&c, "Preference-Applied", "return=minimal");
  assert_string_equal(c.body, "");
  assert_document(&c, ITEMS "/a", "\"17\"", "{\"id\":\"a\"}");
  client_close(&c);
}

/* As behind /v1/collections/ in a URL. */
static void paths_are_spelled_as_in_a_url(void **state) {
  (void)state;
  static const struct {
    const char *path, *target, *answered;
  } rows[] = {
      {"items/a%20b", ITEMS "/a%20b", "items/a%20b"},
      {"items/a b", ITEMS "/a%20b", "items/a%20b"},
      {"items/a%2Fb", ITEMS "/a%2Fb", "items/a%2Fb"},
      {"items/%c3%a9", ITEMS "/%C3%A9", "items/%C3%A9"},
      {"items/\xc3\xa9", ITEMS "/%C3%A9", "items/%C3%A9"},
      {"items/\\u00e9", ITEMS "/%C3%A9", "items/%C3%A9"},
      {"it%65ms/+", ITEMS "/+", "items/%2B"},
      {"items/100%25", ITEMS "/100%25", "items/100%25"},
      {"/v1/collections/items/7", ITEMS "/7", "items/7"},
      {"v1/collections", "/v1/collections/v1/collections", "v1/collections"},
  };
  char operation[200], answered[200];
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(operation, sizeof operation, "{\"method\":\"put\",\"path\":\"%s\",\"body\":{}}", rows[i].path);
    transact(&c, operation);
    assert_int_equal(c.status, 200);
    snprintf(answered, sizeof answered, "\"path\":\"%s\"", rows[i].answered);
    assert_non_null(strstr(c.body, answered));
    ask(&c, "DELETE", rows[i].target, NULL, NULL);
    assert_int_equal(c.status, 204);
  }
  client_close(&c);
}

/* ---- Failure ---- */

static void one_that_fails_fails_all(void **state) {
  (void)state;
  static const struct {
    const char *operation;
    int status;
    const char *code, *current;
  } rows[] = {
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_match\":\"18\",\"body\":{}}", 412,
       "precondition_failed", "\"current\":{\"id\":\"a\",\"x\":1},\"etag\":\"\\\"17\\\"\"}"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_none_match\":\"*\",\"body\":{}}", 412,
       "precondition_failed", "\"current\":{\"id\":\"a\",\"x\":1},\"etag\":\"\\\"17\\\"\"}"},
      {"{\"method\":\"put\",\"path\":\"items/b\",\"if_match\":\"*\",\"body\":{}}", 412, "precondition_failed",
       "\"current\":null}"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_match\":\"*\",\"if_none_match\":\"*\",\"body\":{}}",
       412, "precondition_failed", "\"current\":{"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_match\":\"\\\"abc\\\"\",\"body\":{}}", 412,
       "precondition_failed", "\"current\":{"},
      {"{\"method\":\"post\",\"path\":\"items\",\"body\":{\"id\":\"a\"}}", 409, "document_exists",
       "\"current\":{\"id\":\"a\",\"x\":1},\"etag\":\"\\\"17\\\"\"}"},
      {"{\"method\":\"delete\",\"path\":\"items/b\"}", 404, "document_not_found", NULL},
      {"{\"method\":\"delete\",\"path\":\"items/a\",\"if_match\":\"16\"}", 412, "precondition_failed",
       "\"current\":{"},
      {"{\"method\":\"patch\",\"path\":\"items/b\",\"body\":{}}", 404, "document_not_found", NULL},
      {"{\"method\":\"patch\",\"path\":\"items/b\",\"if_match\":\"*\",\"body\":{}}", 412,
       "precondition_failed", "\"current\":null}"},
      {"{\"method\":\"patch\",\"path\":\"items/a\",\"if_match\":\"16\",\"body\":{}}", 412,
       "precondition_failed", "\"current\":{"},
      {"{\"method\":\"patch\",\"path\":\"items/a\",\"if_none_match\":\"*\",\"body\":{}}", 412,
       "precondition_failed", "\"current\":{"},
      {"{\"method\":\"patch\",\"path\":\"items/a\",\"body\":[{\"op\":\"test\",\"path\":\"/x\",\"value\":2}]}",
       422, "patch_test_failed", NULL},
      {"{\"method\":\"patch\",\"path\":\"items/a\",\"body\":[{\"op\":\"remove\",\"path\":\"/y\"}]}", 422,
       "patch_not_applicable", NULL},
      {"{\"method\":\"patch\",\"path\":\"items/a\",\"body\":{\"id\":\"b\"}}", 422, "patch_not_applicable",
       NULL},
      {"{\"method\":\"patch\",\"path\":\"items/"
       "a\",\"body\":[{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]}",
       422, "patch_not_applicable", NULL},
  };
  struct client c;
  char operations[600];
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{\"x\":1}");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (int last = 0; last <= 1; last++) {
      snprintf(operations, sizeof operations, "%s,%s", last ? PUT_NEW : rows[i].operation,
               last ? rows[i].operation : PUT_NEW);
      transact(&c, operations);
      assert_failed(&c, last, rows[i].status, rows[i].code);
      if (rows[i].current != NULL && strstr(c.body, rows[i].current) == NULL) fail_msg("%s", c.body);
      if (rows[i].current == NULL) assert_null(strstr(c.body, "\"current\""));
      assert_none(&c, ITEMS "/new");
      assert_document(&c, ITEMS "/a", "\"17\"", "{\"id\":\"a\",\"x\":1}");
    }
  }
  client_close(&c);
}

/* However they are spelled. */
static void members_may_be_escaped(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  transact(&c,
           "{\"\\u006d\\u0065\\u0074\\u0068\\u006f\\u0064\":\"\\u0070ut\",\"path\":\"items/a\",\"body\":{},"
           "\"\\u0069\\u0066\\u005f\\u006e\\u006f\\u006e\\u0065\\u005f\\u006d\\u0061\\u0074\\u0063\\u0068\":"
           "\"\\u002a\"}");
  assert_int_equal(c.status, 200);
  assert_document(&c, ITEMS "/a", "\"17\"", "{\"id\":\"a\"}");
  client_close(&c);
}

/* Each is judged on the documents as they were before the transaction. */
static void conditions_that_hold(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{}");
  put(&c, ITEMS "/b", "{}");
  transact(&c, "{\"method\":\"delete\",\"path\":\"items/a\",\"if_match\":\"\\\"17\\\"\"},"
               "{\"method\":\"put\",\"path\":\"items/b\",\"if_match\":\"*\",\"body\":{}},"
               "{\"method\":\"put\",\"path\":\"items/c\",\"if_none_match\":\"*\",\"body\":{}}");
  assert_int_equal(c.status, 200);
  transact(&c, "{\"method\":\"patch\",\"path\":\"items/b\",\"if_match\":\"19\",\"body\":{\"x\":1}}");
  assert_int_equal(c.status, 200);
  client_close(&c);
}

/* ---- What is no transaction ---- */

static void bodies_that_are_none(void **state) {
  (void)state;
  static const struct {
    const char *body, *code;
  } rows[] = {
      {"", "invalid_json"},
      {"{\"operations\":[}", "invalid_json"},
      {"{\"operations\":[{\"method\":\"put\",\"method\":\"put\"}]}", "invalid_json"},
      {"[]", "invalid_transaction"},
      {"7", "invalid_transaction"},
      {"{}", "invalid_transaction"},
      {"{\"operations\":{}}", "invalid_transaction"},
      {"{\"operations\":[]}", "invalid_transaction"},
      {"{\"operation\":[]}", "invalid_transaction"},
      {"{\"operations\":[{\"method\":\"delete\",\"path\":\"a/b\"}],\"x\":1}", "invalid_transaction"},
      {"{\"x\":1,\"operations\":[{\"method\":\"delete\",\"path\":\"a/b\"}]}", "invalid_transaction"},
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask(&c, "POST", TRANSACTIONS, JSON, rows[i].body);
    assert_false(c.was_proposed);
    assert_problem(&c, 400, rows[i].code);
    assert_operation(&c, -1);
  }
  ask(&c, "POST", TRANSACTIONS, "Content-Type: text/plain\r\n", "{}");
  assert_problem(&c, 415, "unsupported_media_type");
  ask(&c, "POST", TRANSACTIONS, JSON "If-Match: *\r\n", "{}");
  assert_problem(&c, 400, "invalid_precondition");
  ask(&c, "GET", TRANSACTIONS, NULL, NULL);
  assert_problem(&c, 405, "method_not_allowed");
  client_close(&c);
}

static void operations_that_are_none(void **state) {
  (void)state;
  static const struct {
    const char *operation, *code;
  } rows[] = {
      {"7", "invalid_transaction"},
      {"[]", "invalid_transaction"},
      {"{}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"body\":{},\"x\":1}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"If-Match\":\"*\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"get\",\"path\":\"items/a\"}", "invalid_transaction"},
      {"{\"method\":7,\"path\":\"items/a\"}", "invalid_transaction"},
      {"{\"path\":\"items/a\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":7,\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/a/b\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/a?x=1\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/a#b\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/a%2\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/a%zz\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/%\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"post\",\"path\":\"items/a\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"post\",\"path\":\"items/\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"/a\",\"body\":{}}", "invalid_collection"},
      {"{\"method\":\"put\",\"path\":\"a%20b/a\",\"body\":{}}", "invalid_collection"},
      {"{\"method\":\"put\",\"path\":\"%2e%2e/a\",\"body\":{}}", "invalid_collection"},
      {"{\"method\":\"put\",\"path\":\"items/\",\"body\":{}}", "invalid_id"},
      {"{\"method\":\"put\",\"path\":\"items/..\",\"body\":{}}", "invalid_id"},
      {"{\"method\":\"put\",\"path\":\"items/a%00\",\"body\":{}}", "invalid_id"},
      {"{\"method\":\"put\",\"path\":\"items/a\\u0000\",\"body\":{}}", "invalid_id"},
      {"{\"method\":\"put\",\"path\":\"items/%ff\",\"body\":{}}", "invalid_id"},
      {"{\"method\":\"post\",\"path\":\"items\",\"body\":{\"id\":1.5}}", "invalid_id"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"body\":{\"id\":\"b\"}}", "id_mismatch"},
      {"{\"method\":\"put\",\"path\":\"items/a\"}", "invalid_transaction"},
      {"{\"method\":\"patch\",\"path\":\"items/a\"}", "invalid_transaction"},
      {"{\"method\":\"patch\",\"path\":\"items/a\",\"body\":7}", "invalid_transaction"},
      {"{\"method\":\"delete\",\"path\":\"items/a\",\"body\":{}}", "invalid_transaction"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"body\":[]}", "not_an_object"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_match\":17,\"body\":{}}", "invalid_precondition"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_match\":\"\",\"body\":{}}", "invalid_precondition"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_match\":\"W/\\\"17\\\"\",\"body\":{}}",
       "invalid_precondition"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_match\":\"\\\"1\\\", \\\"2\\\"\",\"body\":{}}",
       "invalid_precondition"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_match\":null,\"body\":{}}", "invalid_precondition"},
      {"{\"method\":\"put\",\"path\":\"items/a\",\"if_none_match\":\"17\",\"body\":{}}",
       "invalid_precondition"},
      {"{\"method\":\"put\",\"path\":\"items/\\u006eew\",\"body\":{}}", "duplicate_operation"},
      {"{\"method\":\"delete\",\"path\":\"/v1/collections/items/ne%77\"}", "duplicate_operation"},
      {"{\"method\":\"post\",\"path\":\"items\",\"body\":{\"id\":\"new\"}}", "duplicate_operation"},
  };
  struct client c;
  char operations[600];
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(operations, sizeof operations, "%s,%s", PUT_NEW, rows[i].operation);
    transact(&c, operations);
    assert_false(c.was_proposed);
    if (c.status != 400) fail_msg("%s: %s", rows[i].operation, c.body);
    assert_problem(&c, 400, rows[i].code);
    assert_operation(&c, 1);
  }
  assert_int_equal(store_documents(replica_store(c.replica)), 0);
  client_close(&c);
}

/* It is a mistake in the request whatever the document is. */
static void a_patch_that_is_none(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{}");
  transact(&c,
           PUT_NEW ",{\"method\":\"patch\",\"path\":\"items/a\",\"body\":[{\"op\":\"mend\",\"path\":\"\"}]}");
  assert_problem(&c, 400, "invalid_patch");
  assert_operation(&c, 1);
  assert_none(&c, ITEMS "/new");
  client_close(&c);
}

static void transact_many(struct client *c, int n) {
  struct bytes operations = {0};
  for (int i = 0; i < n; i++)
    bytes_printf(&operations, "%s{\"method\":\"put\",\"path\":\"items/%d\",\"body\":{}}", i > 0 ? "," : "",
                 i);
  bytes_append(&operations, "", 1);
  transact(c, (char *)operations.data);
  bytes_close(&operations);
}

static void there_are_128_operations_at_most(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  transact_many(&c, 129);
  assert_problem(&c, 400, "invalid_transaction");
  assert_int_equal(store_documents(replica_store(c.replica)), 0);
  transact_many(&c, 128);
  assert_int_equal(c.status, 200);
  assert_int_equal(store_documents(replica_store(c.replica)), 128);
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_of_them_take_effect),
      cmocka_unit_test(a_post_gets_an_id),
      cmocka_unit_test(minimal_is_204),
      cmocka_unit_test(paths_are_spelled_as_in_a_url),
      cmocka_unit_test(one_that_fails_fails_all),
      cmocka_unit_test(members_may_be_escaped),
      cmocka_unit_test(conditions_that_hold),
      cmocka_unit_test(bodies_that_are_none),
      cmocka_unit_test(operations_that_are_none),
      cmocka_unit_test(a_patch_that_is_none),
      cmocka_unit_test(there_are_128_operations_at_most),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
