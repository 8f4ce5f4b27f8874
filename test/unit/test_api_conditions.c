/* If-Match and If-None-Match on every method, as RFC 9110, section 13, has them. Each test starts with one
 * document, items/a, at revision 17. */
#include <stdio.h>

#include "api_client.h"

#define ITEMS "/v1/collections/items"

static void open_with_document(struct client *c) {
  client_open(c, LEADER, API_REDIRECT);
  ask(c, "PUT", ITEMS "/a", JSON, "{\"x\":1}");
  assert_header(c, "ETag", "\"17\"");
}

/* Asks anew each time, so that one row's write is not another's document. */
static void ask_once(struct client *c, const char *method, const char *target, const char *condition,
                     const char *body) {
  char headers[512];
  open_with_document(c);
  snprintf(headers, sizeof headers, "%s%s\r\n", body ? JSON : "", condition);
  ask(c, method, target, headers, body);
}

static void assert_row(struct client *c, const char *condition, int status) {
  if (c->status != status) fail_msg("%s: %d, not %d: %s", condition, c->status, status, c->body);
}

static void reads(void **state) {
  (void)state;
  static const struct {
    const char *condition;
    int status;
  } rows[] = {
      {"If-None-Match: \"17\"", 304},
      {"If-None-Match: W/\"17\"", 304}, /* weak comparison */
      {"If-None-Match: *", 304},
      {"If-None-Match: \"16\", \"17\"", 304},
      {"If-None-Match: , \"a,b\" ,,W/\"17\",", 304},
      {"If-None-Match: \"16\"\r\nIf-None-Match: \"17\"", 304},
      {"If-None-Match: \"16\"", 200},
      {"If-None-Match: \"017\"", 200},
      {"If-None-Match: \"\"", 200},
      {"If-None-Match: \"99999999999999999999999999\"", 200},
      {"If-None-Match:", 200},
      {"If-Match: \"17\"", 200},
      {"If-Match: *", 200},
      {"If-Match: \"16\"", 412},
      {"If-Match: W/\"17\"", 412}, /* strong comparison */
      {"If-Match: \"17\"\r\nIf-None-Match: \"17\"", 304},
      {"If-Match: \"16\"\r\nIf-None-Match: \"17\"", 412},        /* If-Match first: section 13.2.2 */
      {"If-Modified-Since: Tue, 14 Nov 2023 22:13:20 GMT", 200}, /* there is no date to compare with */
      {"If-None-Match: 17", 400},
      {"If-None-Match: \"17", 400},
      {"If-None-Match: \"16\" \"17\"", 400},
      {"If-None-Match: w/\"17\"", 400},
      {"If-None-Match: *, \"17\"", 400},
      {"If-Match: *\r\nIf-Match: \"17\"", 400},
  };
  static const char *const methods[] = {"GET", "HEAD"};
  for (size_t i = 0; i < 2 * sizeof rows / sizeof *rows; i++) {
    struct client c;
    ask_once(&c, methods[i % 2], ITEMS "/a", rows[i / 2].condition, NULL);
    assert_row(&c, rows[i / 2].condition, rows[i / 2].status);
    if (c.status != 400) assert_header(&c, "ETag", "\"17\"");
    if (c.status == 304) assert_header(&c, "Cache-Control", "no-cache");
    if (c.status == 304) assert_string_equal(c.body, "");
    client_close(&c);
  }
}

/* A precondition is ignored where the answer would not be 2xx without it (section 13.2.1). */
static void reads_of_nothing_are_404(void **state) {
  (void)state;
  struct client c;
  ask_once(&c, "GET", ITEMS "/b", "If-Match: *", NULL);
  assert_problem(&c, 404, "document_not_found");
  client_close(&c);
}

static void writes(void **state) {
  (void)state;
  static const struct {
    const char *condition;
    int put, put_new, delete; /* status of PUT items/a, PUT items/new, DELETE items/a */
  } rows[] = {
      {"If-Match: \"17\"", 200, 412, 204},
      {"If-Match: \"16\"", 412, 412, 412},
      {"If-Match: \"16\", \"17\", \"18\"", 200, 412, 204},
      {"If-Match: W/\"17\"", 412, 412, 412},
      {"If-Match: W/\"17\", \"17\"", 200, 412, 204},
      {"If-Match: \"017\"", 412, 412, 412},
      {"If-Match: \"0\"", 412, 412, 412},
      {"If-Match: \"x\"", 412, 412, 412},
      {"If-Match:", 412, 412, 412},
      {"If-Match: *", 200, 412, 204},
      {"If-None-Match: *", 412, 201, 412},
      {"If-Match: *\r\nIf-None-Match: *", 412, 412, 412},
      {"If-Match: \"17\"\r\nIf-None-Match: *", 412, 412, 412},
      {"If-None-Match: \"17\"", 400, 400, 400}, /* no command can carry it */
      {"If-Match: 17", 400, 400, 400},
      {"If-Unmodified-Since: Tue, 14 Nov 2000 22:13:20 GMT", 200, 201, 204},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct client c;
    ask_once(&c, "PUT", ITEMS "/a", rows[i].condition, "{\"x\":2}");
    assert_row(&c, rows[i].condition, rows[i].put);
    assert_int_equal(c.was_proposed, c.status != 400);
    client_close(&c);
    ask_once(&c, "PUT", ITEMS "/new", rows[i].condition, "{\"x\":2}");
    assert_row(&c, rows[i].condition, rows[i].put_new);
    client_close(&c);
    ask_once(&c, "DELETE", ITEMS "/a", rows[i].condition, NULL);
    assert_row(&c, rows[i].condition, rows[i].delete);
    client_close(&c);
  }
}

/* For POST the conditions are about the document that it would create. */
static void posts(void **state) {
  (void)state;
  static const struct {
    const char *condition, *body;
    int status;
  } rows[] = {
      {"If-None-Match: *", "{\"id\":\"new\"}", 201}, {"If-None-Match: *", "{}", 201},
      {"If-None-Match: *", "{\"id\":\"a\"}", 412},   {"If-Match: *", "{\"id\":\"a\"}", 412},
      {"If-Match: \"17\"", "{\"id\":\"a\"}", 412},   {"If-Match: *", "{}", 412},
      {"If-None-Match: \"17\"", "{}", 400},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct client c;
    ask_once(&c, "POST", ITEMS, rows[i].condition, rows[i].body);
    assert_row(&c, rows[i].condition, rows[i].status);
    client_close(&c);
  }
}

/* 412 carries the document as it is, and its ETag: all that the next attempt needs. */
static void a_failed_precondition_shows_the_document(void **state) {
  (void)state;
  struct client c;
  ask_once(&c, "PUT", ITEMS "/a", "If-Match: \"3\"", "{\"x\":2}");
  assert_problem(&c, 412, "precondition_failed");
  assert_header(&c, "ETag", "\"17\"");
  assert_non_null(strstr(c.body, "\"current\":{\"id\":\"a\",\"x\":1}"));
  ask(&c, "GET", ITEMS "/a", "If-Match: \"3\"\r\n", NULL);
  assert_problem(&c, 412, "precondition_failed");
  assert_non_null(strstr(c.body, "\"current\":{\"id\":\"a\",\"x\":1}"));
  ask(&c, "PUT", ITEMS "/new", JSON "If-Match: *\r\n", "{\"x\":2}");
  assert_problem(&c, 412, "precondition_failed");
  assert_header(&c, "ETag", NULL);
  assert_non_null(strstr(c.body, "\"current\":null"));
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_string_equal(c.body, "{\"id\":\"a\",\"x\":1}");
  client_close(&c);
}

/* Of two writes on the same revision that are on their way together, the log lets one through: the condition
 * is in the command. */
static void conditions_are_judged_when_applied(void **state) {
  (void)state;
  struct client c;
  struct replica_result result;
  struct api_call calls[2];
  open_with_document(&c);
  for (int i = 0; i < 2; i++) {
    size_t consumed;
    struct http_error error;
    c.sent.n = 0;
    bytes_append_string(&c.sent, "PUT " ITEMS "/a HTTP/1.1\r\nHost: a\r\n" JSON
                                 "If-Match: \"17\"\r\nContent-Length: 2\r\n\r\n{}");
    assert_int_equal(http_parser_execute(c.parser, c.sent.data, c.sent.n, &consumed, &c.request, &error),
                     HTTP_REQUEST_READY);
    assert_int_equal(api_request(c.api, &c.view, c.replica, &c.request, &calls[i], &calls[i], &c.answer),
                     API_WAITING);
  }
  for (int i = 0; i < 2; i++) {
    c.answer.n = 0;
    assert_true(fake_replica_finish(c.replica, REPLICA_APPLIED, &result));
    assert_ptr_equal(result.waiter, &calls[i]);
    api_complete(c.api, &c.view, c.replica, &calls[i], &calls[i], &result, &c.answer);
    read_answer(&c);
    assert_int_equal(c.status, i == 0 ? 200 : 412);
    assert_header(&c, "ETag", "\"18\"");
  }
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads),
      cmocka_unit_test(reads_of_nothing_are_404),
      cmocka_unit_test(writes),
      cmocka_unit_test(posts),
      cmocka_unit_test(a_failed_precondition_shows_the_document),
      cmocka_unit_test(conditions_are_judged_when_applied),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
