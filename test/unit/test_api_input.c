/* Bad input: each kind gets its status and code, changes nothing, and leaves the connection in order. */
#include <stdio.h>
#include <stdlib.h>

#include "api_client.h"

#define ITEMS "/v1/collections/items"

/* ---- Bodies ---- */

struct row {
  const char *body;
  const char *code;
  int offset; /* as the problem says it; -1: it has none */
};

static void assert_offset(struct client *c, int offset) {
  json_t *problem = body_json(c), *member = json_object_get(problem, "offset");
  if (offset < 0 && member != NULL) fail_msg("there is an offset: %s", c->body);
  if (offset >= 0 && json_integer_value(member) != offset) fail_msg("not at %d: %s", offset, c->body);
  json_decref(problem);
}

static void assert_refused(struct client *c, const char *method, const char *target, struct slice body,
                           const struct row *row) {
  ask_bytes(c, method, target, JSON, body);
  assert_false(c->was_proposed);
  assert_problem(c, 400, row->code);
  assert_offset(c, row->offset);
  assert_header(c, "Connection", NULL);
  assert_int_equal(store_documents(replica_store(c->replica)), 0);
}

static void bodies_that_are_no_document(void **state) {
  (void)state;
  static const struct row rows[] = {
      {"", "invalid_json", 0},
      {" ", "invalid_json", 1},
      {"{", "invalid_json", 1},
      {"{\"a\":}", "invalid_json", 5},
      {"{\"a\":1,}", "invalid_json", 7},
      {"{'a':1}", "invalid_json", 1},
      {"{\"a\":1} x", "invalid_json", 8},
      {"{}{}", "invalid_json", 2},
      {"{\"a\":1,\"a\":2}", "invalid_json", 7},
      {"{\"a\":{\"b\":1,\"\\u0062\":2}}", "invalid_json", 12},
      {"{\"a\":\"\\ud800\"}", "invalid_json", 6},
      {"{\"a\":\"\xff\"}", "invalid_json", 6},
      {"{\"a\":\"\xc0\x80\"}", "invalid_json", 6},
      {"{\"a\":\"\n\"}", "invalid_json", 6},
      {"{\"a\":01}", "invalid_json", 6},
      {"{\"a\":NaN}", "invalid_json", 5},
      {"\xef\xbb\xbf{}", "invalid_json", 0},
      {"// {}", "invalid_json", 0},
      {"[]", "not_an_object", -1},
      {"[{}]", "not_an_object", -1},
      {"\"x\"", "not_an_object", -1},
      {" 1 ", "not_an_object", -1},
      {"null", "not_an_object", -1},
      {"{\"id\":\"b\"}", "id_mismatch", -1},
      {"{\"id\":1}", "id_mismatch", -1},
      {"{\"id\":null}", "id_mismatch", -1},
      {"{\"id\":[\"a\"]}", "id_mismatch", -1},
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    assert_refused(&c, "PUT", ITEMS "/a", slice_of(rows[i].body), &rows[i]);
  }
  const struct row nul = {"", "invalid_json", 2};
  assert_refused(&c, "PUT", ITEMS "/a", (struct slice){"{}\0", 3}, &nul);
  assert_refused(&c, "PUT", ITEMS "/a", (struct slice){"{ \0}", 4}, &nul);
  client_close(&c);
}

static void ids_that_are_none(void **state) {
  (void)state;
  static const char *const bodies[] = {
      "{\"id\":true}",  "{\"id\":null}",   "{\"id\":{}}",       "{\"id\":\"\"}",        "{\"id\":-0}",
      "{\"id\":1.0}",   "{\"id\":1e3}",    "{\"id\":0e0}",      "{\"id\":\"\\u0000\"}", "{\"id\":[1]}",
      "{\"id\":\".\"}", "{\"id\":\"..\"}", "{\"id\":\"a\\n\"}", "{\"id\":\"\\u007f\"}",
  };
  const struct row row = {NULL, "invalid_id", -1};
  char body[600], target[600];
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
    assert_refused(&c, "POST", ITEMS, slice_of(bodies[i]), &row);
  }
  snprintf(body, sizeof body, "{\"id\":\"%0*d\"}", DOCUMENT_ID_BYTES_MAX + 1, 0);
  assert_refused(&c, "POST", ITEMS, slice_of(body), &row);
  snprintf(body, sizeof body, "{\"id\":1%0*d}", DOCUMENT_ID_BYTES_MAX, 0);
  assert_refused(&c, "POST", ITEMS, slice_of(body), &row);
  assert_refused(&c, "PUT", ITEMS "/a%0Ab", slice_of("{}"), &row);
  assert_refused(&c, "PUT", ITEMS "/%FF", slice_of("{}"), &row);
  snprintf(target, sizeof target, ITEMS "/%0*d", DOCUMENT_ID_BYTES_MAX + 1, 0);
  assert_refused(&c, "PUT", target, slice_of("{}"), &row);
  ask(&c, "GET", target, NULL, NULL);
  assert_problem(&c, 400, "invalid_id");
  ask(&c, "DELETE", target, NULL, NULL);
  assert_problem(&c, 400, "invalid_id");

  /* One byte less is an id. */
  target[strlen(target) - 1] = '\0';
  ask(&c, "PUT", target, JSON, "{}");
  assert_int_equal(c.status, 201);
  client_close(&c);
}

static void collections_that_are_none(void **state) {
  (void)state;
  static const char *const names[] = {"a%20b", "a%2Fb", "%C3%A9", "a:b", "a%2B"};
  char target[256];
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
    snprintf(target, sizeof target, "/v1/collections/%s", names[i]);
    ask(&c, "GET", target, NULL, NULL);
    assert_problem(&c, 400, "invalid_collection");
    ask(&c, "POST", target, JSON, "{}");
    assert_problem(&c, 400, "invalid_collection");
    snprintf(target, sizeof target, "/v1/collections/%s/a", names[i]);
    ask(&c, "PUT", target, JSON, "{}");
    assert_problem(&c, 400, "invalid_collection");
  }
  snprintf(target, sizeof target, "/v1/collections/%0*d", COLLECTION_BYTES_MAX + 1, 0);
  ask(&c, "POST", target, JSON, "{}");
  assert_problem(&c, 400, "invalid_collection");
  target[strlen(target) - 1] = '\0';
  ask(&c, "POST", target, JSON, "{}");
  assert_int_equal(c.status, 201);
  client_close(&c);
}

/* {"a":{"a":...1...}} or {"a":[[...1...]]}, `levels` deep. */
static char *nested(int levels, bool arrays) {
  struct bytes text = {0};
  for (int i = 0; i < levels; i++) bytes_append_string(&text, arrays && i > 0 ? "[" : "{\"a\":");
  bytes_append_string(&text, "1");
  for (int i = levels; i-- > 0;) bytes_append_string(&text, arrays && i > 0 ? "]" : "}");
  bytes_append(&text, "", 1);
  return (char *)text.data;
}

static void documents_are_64_levels_deep_at_most(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (int arrays = 0; arrays <= 1; arrays++) {
    char *deep = nested(65, arrays), *deepest = nested(64, arrays), *abyss = nested(5000, arrays);
    struct row row = {NULL, "too_deep", arrays ? 5 + 63 : 5 * 64};
    assert_refused(&c, "POST", ITEMS, slice_of(deep), &row);
    assert_refused(&c, "POST", ITEMS, slice_of(abyss), &row);
    free(deep);
    free(abyss);
    ask(&c, "PUT", ITEMS "/a", JSON, deepest);
    assert_int_equal(c.status, 201);
    ask(&c, "DELETE", ITEMS "/a", NULL, NULL);
    free(deepest);
  }
  /* Brackets in strings are none, after an escaped quote too. */
  struct bytes text = {0};
  bytes_append_string(&text, "{\"x\":\"\\\"");
  for (int i = 0; i < 100; i++) bytes_append_string(&text, "[{");
  bytes_append_string(&text, "\"}");
  ask_bytes(&c, "PUT", ITEMS "/a", JSON, slice_of_bytes(&text));
  assert_int_equal(c.status, 201);
  bytes_close(&text);
  client_close(&c);
}

static void append_keys(struct bytes *text, int from, int to) {
  for (int i = from; i < to; i++) bytes_printf(text, "%s\"%d\":0", i > from ? "," : "", i);
}

static void objects_have_4096_members_at_most(void **state) {
  (void)state;
  struct client c;
  struct bytes text = {0};
  client_open(&c, LEADER, API_REDIRECT);
  bytes_append_string(&text, "{\"id\":\"a\",\"x\":{");
  append_keys(&text, 0, 4096);
  bytes_append_string(&text, "},\"y\":{");
  append_keys(&text, 0, 100);
  bytes_append_string(&text, "}}");
  ask_bytes(&c, "PUT", ITEMS "/a", JSON, slice_of_bytes(&text));
  assert_int_equal(c.status, 201);
  ask(&c, "DELETE", ITEMS "/a", NULL, NULL);
  text.n = 0;
  bytes_append_string(&text, "{\"x\":[{");
  append_keys(&text, 0, 4097);
  struct row row = {NULL, "too_many_keys", (int)(text.n - strlen("\"4096\":0"))};
  bytes_append_string(&text, "}]}");
  assert_refused(&c, "PUT", ITEMS "/a", slice_of_bytes(&text), &row);
  bytes_close(&text);
  client_close(&c);
}

static void bodies_need_a_json_content_type(void **state) {
  (void)state;
  static const char *const wrong[] = {
      "",
      "Content-Type:\r\n",
      "Content-Type: application/x-www-form-urlencoded\r\n",
      "Content-Type: text/plain\r\n",
      "Content-Type: application/json+x\r\n",
      "Content-Type: application/vnd.api+json\r\n",
      "Content-Type: application/jsonx; charset=utf-8\r\n",
      "Content-Type: text/plain; application/json\r\n",
      JSON JSON,
  };
  static const char *const right[] = {
      JSON,
      "content-type: Application/JSON;charset=utf-8\r\n",
      "Content-Type: application/json ; charset=\"UTF-8\"\r\n",
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
    ask(&c, "PUT", ITEMS "/a", wrong[i], "{}");
    assert_problem(&c, 415, "unsupported_media_type");
    assert_non_null(strstr(
        c.body, "curl -L --json '{\\\"name\\\": \\\"value\\\"}' -X PUT http://127.0.0.1:8001" ITEMS "/a"));
    ask(&c, "POST", ITEMS, wrong[i], "{}");
    assert_problem(&c, 415, "unsupported_media_type");
    assert_non_null(
        strstr(c.body, "curl -L --json '{\\\"name\\\": \\\"value\\\"}' http://127.0.0.1:8001" ITEMS));
  }
  for (size_t i = 0; i < sizeof right / sizeof *right; i++) {
    ask(&c, "PUT", ITEMS "/a", right[i], "{}");
    assert_in_range(c.status, 200, 201);
  }
  client_close(&c);
}

/* ---- Paths, methods, parameters ---- */

static void paths_that_lead_nowhere(void **state) {
  (void)state;
  static const char *const targets[] = {"/x",
                                        "/v1",
                                        "/v2/collections",
                                        "/v1/collections/a/b/c",
                                        "/V1/collections",
                                        "/livez/x",
                                        "/v1/replication/x"};
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    ask(&c, i % 2 ? "GET" : "DELETE", targets[i], NULL, NULL);
    assert_problem(&c, 404, "not_found");
  }
  ask(&c, "GET", "/v1/collections/", NULL, NULL);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

static void methods_that_are_not_there(void **state) {
  (void)state;
  static const struct {
    const char *target, *allow;
    const char *wrong[4];
  } rows[] = {
      {"/", "GET, HEAD, OPTIONS", {"POST", "PUT", "DELETE", "PATCH"}},
      {"/livez", "GET, HEAD, OPTIONS", {"POST"}},
      {"/readyz", "GET, HEAD, OPTIONS", {"POST"}},
      {"/v1/cluster", "GET, HEAD, OPTIONS", {"PUT"}},
      {"/v1/replication", "GET, HEAD, OPTIONS", {"PUT"}},
      {"/v1/collections", "GET, HEAD, OPTIONS", {"POST", "DELETE"}},
      {ITEMS, "GET, HEAD, OPTIONS, POST, DELETE", {"PUT", "PATCH", "TRACE"}},
      {ITEMS "/a", "GET, HEAD, OPTIONS, PUT, PATCH, DELETE", {"POST", "PROPFIND"}},
      {"/openapi.json", "GET, HEAD, OPTIONS", {"PUT"}},
      {"/v1/transactions", "OPTIONS, POST", {"GET", "HEAD", "PUT", "DELETE"}},
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (size_t m = 0; m < 4 && rows[i].wrong[m] != NULL; m++) {
      ask(&c, rows[i].wrong[m], rows[i].target, NULL, NULL);
      assert_int_equal(c.status, 405);
      if (strcmp(rows[i].wrong[m], "HEAD") != 0) assert_problem(&c, 405, "method_not_allowed");
      assert_header(&c, "Allow", rows[i].allow);
    }
    ask(&c, "OPTIONS", rows[i].target, NULL, NULL);
    assert_int_equal(c.status, 204);
    assert_header(&c, "Allow", rows[i].allow);
    assert_header(&c, "Content-Length", NULL);
    assert_string_equal(c.body, "");
  }
  ask(&c, "OPTIONS", "*", NULL, NULL);
  assert_int_equal(c.status, 204);
  assert_header(&c, "Allow", "GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE");
  client_close(&c);
}

static void parameters_that_are_not_understood(void **state) {
  (void)state;
  static const struct {
    const char *method, *target;
    const char *named; /* in the detail */
  } rows[] = {
      {"GET", ITEMS "?limit=0", "limit"},
      {"GET", ITEMS "?limit=1001", "limit"},
      {"GET", ITEMS "?limit=-1", "limit"},
      {"GET", ITEMS "?limit=", "limit"},
      {"GET", ITEMS "?limit=1e2", "limit"},
      {"GET", ITEMS "?limit=99999999999999999999999", "limit"},
      {"GET", ITEMS "?limit=1&limit=1", "limit"},
      {"GET", ITEMS "?consistency=eventual", "eventual"},
      {"GET", ITEMS "?consistency", "consistency"},
      {"GET", ITEMS "?Limit=1", "Limit"},
      {"GET", ITEMS "?page=2", "page"},
      {"GET", ITEMS "/a?limit=1", "limit"},
      {"GET", "/?a%22b=1", "a\\\"b"},
      {"GET", "/livez?consistency=stale", "consistency"},
      {"GET", "/readyz?after=a", "after"},
      {"PUT", ITEMS "/a?consistency=stale", "consistency"},
      {"DELETE", ITEMS "/a?force", "force"},
      {"POST", ITEMS "?x=", "x"},
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask(&c, rows[i].method, rows[i].target, JSON, "{}");
    assert_false(c.was_proposed);
    assert_problem(&c, 400, "invalid_parameter");
    assert_non_null(strstr(c.body, rows[i].named));
  }
  ask(&c, "GET", ITEMS "?limit=1000&after=&consistency=linearizable", NULL, NULL);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

/* A detail quotes what the client sent, cut short and made valid UTF-8. */
static void what_is_quoted_is_bounded(void **state) {
  (void)state;
  struct bytes target = {0};
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  bytes_append_string(&target, ITEMS "?%FF%C3=");
  for (int i = 0; i < 5000; i++) bytes_append_string(&target, "x");
  bytes_append(&target, "", 1);
  ask(&c, "GET", (char *)target.data, NULL, NULL);
  assert_problem(&c, 400, "invalid_parameter");
  target.n = strlen(ITEMS);
  bytes_append_string(&target, "?limit=");
  for (int i = 0; i < 5000; i++) bytes_append_string(&target, "9");
  bytes_append(&target, "", 1);
  ask(&c, "GET", (char *)target.data, NULL, NULL);
  assert_problem(&c, 400, "invalid_parameter");
  assert_true(c.answer.n < 2048);
  bytes_close(&target);
  client_close(&c);
}

/* What the parser refuses is answered as a problem too, and the connection closed. */
static void what_is_no_request(void **state) {
  (void)state;
  static const struct http_error rows[] = {
      {400, "malformed_request", "A header is folded; write it on one line."},
      {408, "request_timeout", "The request took too long; send it faster."},
      {413, "document_too_large", "The body is too large; split it."},
      {431, "headers_too_large", "The headers are too long; send fewer."},
  };
  struct client c;
  client_open(&c, FOLLOWER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    c.answer.n = 0;
    api_malformed(c.api, &c.view, &(struct http_request){0}, &rows[i], &c.answer);
    read_answer(&c);
    assert_problem(&c, rows[i].status, rows[i].code);
    assert_header(&c, "Connection", "close");
    assert_header(&c, "Coracle-Node", "a");
    assert_non_null(strstr(c.body, rows[i].detail));
    assert_int_equal(strstr(c.body, "\"limit\":65536") != NULL, c.status == 413);
  }
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bodies_that_are_no_document),
      cmocka_unit_test(ids_that_are_none),
      cmocka_unit_test(collections_that_are_none),
      cmocka_unit_test(documents_are_64_levels_deep_at_most),
      cmocka_unit_test(objects_have_4096_members_at_most),
      cmocka_unit_test(bodies_need_a_json_content_type),
      cmocka_unit_test(paths_that_lead_nowhere),
      cmocka_unit_test(methods_that_are_not_there),
      cmocka_unit_test(parameters_that_are_not_understood),
      cmocka_unit_test(what_is_quoted_is_bounded),
      cmocka_unit_test(what_is_no_request),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
