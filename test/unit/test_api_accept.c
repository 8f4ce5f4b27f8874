/* Goal: Accept (RFC 9110, 12.5.1) chooses among what there is, with its weights and wildcards; where nothing
 * fits the answer is 406 and says what there is; errors and writes ignore it. */
#include <stdio.h>

#include "api_client.h"

#define ITEMS "/v1/collections/items"

static void get(struct client *c, const char *path, const char *accept) {
  char headers[512];
  snprintf(headers, sizeof headers, "Accept: %s\r\n", accept);
  ask(c, "GET", path, accept ? headers : NULL, NULL);
}

static void what_is_liked_best_is_sent(void **state) {
  (void)state;
  static const struct {
    const char *accept;
    const char *type;
  } cases[] = {
      {NULL, "application/json"},
      {"", "application/json"},
      {"*/*", "application/json"},
      {"application/json", "application/json"},
      {"APPLICATION/X-NDJSON", "application/x-ndjson"},
      {"application/*", "application/json"},
      {"application/x-ndjson", "application/x-ndjson"},
      {"application/x-ndjson;charset=utf-8", "application/x-ndjson"},
      {"application/json; charset=utf-8", "application/json"},
      /* Weights. */
      {"application/json;q=0.5, application/x-ndjson", "application/x-ndjson"},
      {"application/json;q=0.501, application/x-ndjson;q=0.5", "application/json"},
      {"application/x-ndjson;q=0.001", "application/x-ndjson"},
      {"application/x-ndjson;q=0.3, */*;q=0.2", "application/x-ndjson"},
      {"application/x-ndjson;q=0.1, */*;q=0.2", "application/json"},
      {"application/x-ndjson ; q=0.9 , application/json ; Q=0.8", "application/x-ndjson"},
      {"text/html, application/x-ndjson;q=0.1", "application/x-ndjson"},
      /* The closest range decides, wherever it stands and however little it weighs. */
      {"*/*, application/json;q=0", "application/x-ndjson"},
      {"application/json;q=0, application/*", "application/x-ndjson"},
      {"*/*;q=0, application/json;q=0.1", "application/json"},
      {"application/*;q=0.1, */*;q=0.9, application/x-ndjson;q=0.2", "application/x-ndjson"},
      {"application/json;q=0.9, application/json;q=0.1, application/x-ndjson;q=0.5", "application/json"},
      /* Equal weights: what was named more closely, else what was always sent. */
      {"application/x-ndjson, */*", "application/x-ndjson"},
      {"application/x-ndjson, application/json", "application/json"},
      /* What browsers and clients send. */
      {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
       "application/json"},
      {"application/json, text/plain, */*", "application/json"},
      /* What is malformed says nothing. */
      {"nonsense", "application/json"},
      {"application/json;q=2, application/x-ndjson;q=0.1", "application/x-ndjson"},
      {"application/json;q=0.5000, application/x-ndjson;q=0.1", "application/x-ndjson"},
      {"application/json;q=1.001, application/x-ndjson;q=0.1", "application/x-ndjson"},
      {"application/json;q=-1", "application/json"},
      {"application/json;q=", "application/json"},
      {"application/json;q=1.001", "application/json"},
      {",,", "application/json"},
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    get(&c, ITEMS, cases[i].accept);
    if (c.status != 200) fail_msg("%s: %d", cases[i].accept, c.status);
    if (strcmp(header(&c, "Content-Type"), cases[i].type) != 0)
      fail_msg("%s: %s", cases[i].accept, header(&c, "Content-Type"));
  }
  ask(&c, "GET", ITEMS, "Accept: application/json;q=0.5\r\nAccept: application/x-ndjson\r\n", NULL);
  assert_header(&c, "Content-Type", "application/x-ndjson");
  client_close(&c);
}

static void what_is_not_there_is_406(void **state) {
  (void)state;
  static const char *const accepts[] = {
      "text/html",
      "application/xml, text/*;q=0.5",
      "*/*;q=0",
      "application/*;q=0.0",
      "application/jso",
      "application/json+x",
      "application/json;q=0, application/x-ndjson;q=0.000",
      "text/application/json",
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof accepts / sizeof *accepts; i++) {
    get(&c, ITEMS, accepts[i]);
    assert_problem(&c, 406, "not_acceptable");
    json_t *problem = body_json(&c), *available = json_object_get(problem, "available");
    assert_int_equal(json_array_size(available), 2);
    assert_string_equal(json_string_value(json_array_get(available, 0)), "application/json");
    assert_string_equal(json_string_value(json_array_get(available, 1)), "application/x-ndjson");
    assert_non_null(strstr(json_string_value(json_object_get(problem, "detail")),
                           "application/json, application/x-ndjson"));
    json_decref(problem);
  }
  ask(&c, "HEAD", ITEMS, "Accept: text/html\r\n", NULL);
  assert_int_equal(c.status, 406);
  assert_string_equal(c.body, "");
  client_close(&c);
}

static void only_whole_collections_come_line_by_line(void **state) {
  (void)state;
  static const char *const paths[] = {"/", "/livez", "/readyz", "/v1/cluster", "/v1/collections", ITEMS "/a"};
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "PUT", ITEMS "/a", JSON, "{}");
  for (size_t i = 0; i < sizeof paths / sizeof *paths; i++) {
    get(&c, paths[i], "application/x-ndjson");
    assert_problem(&c, 406, "not_acceptable");
    get(&c, paths[i], "application/x-ndjson, */*;q=0.1");
    assert_int_equal(c.status, 200);
    assert_header(&c, "Content-Type", "application/json");
  }
  client_close(&c);
}

static void errors_and_writes_ignore_it(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  get(&c, ITEMS "/none", "application/json");
  assert_problem(&c, 404, "document_not_found");
  get(&c, "/nowhere", "text/html");
  assert_problem(&c, 404, "not_found");
  ask(&c, "PUT", ITEMS "/a", JSON "Accept: text/html\r\n", "{}");
  assert_int_equal(c.status, 201);
  assert_header(&c, "Content-Type", "application/json");
  ask(&c, "POST", ITEMS, JSON "Accept: text/html\r\n", "{}");
  assert_int_equal(c.status, 201);
  ask(&c, "DELETE", ITEMS "/a", "Accept: text/html\r\n", NULL);
  assert_int_equal(c.status, 204);
  ask(&c, "OPTIONS", ITEMS, "Accept: text/html\r\n", NULL);
  assert_int_equal(c.status, 204);
  ask(&c, "PUT", ITEMS "/b", JSON "Accept: text/html\r\n", "{");
  assert_problem(&c, 400, "invalid_json");
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_liked_best_is_sent),
      cmocka_unit_test(what_is_not_there_is_406),
      cmocka_unit_test(only_whole_collections_come_line_by_line),
      cmocka_unit_test(errors_and_writes_ignore_it),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
