/* A write with an Idempotency-Key takes effect once, however often it is sent, and is answered each time as
 * it was the first time. */
#include <stdio.h>
#include <stdlib.h>

#include "api_client.h"

#define ITEMS "/v1/collections/items"
enum { KEY_BYTES_MAX = 255 };
#define KEY(text) "Idempotency-Key: " text "\r\n"

static void open_leader(struct client *c) {
  client_open(c, LEADER, API_REDIRECT);
}

static void assert_replayed(struct client *c, int status, const char *etag) {
  assert_false(c->was_proposed);
  assert_int_equal(c->status, status);
  assert_header(c, "Idempotency-Replayed", "true");
  assert_header(c, "ETag", etag);
}

static void assert_replayed_empty(struct client *c, int status, const char *etag) {
  assert_replayed(c, status, etag);
  assert_header(c, "Content-Type", NULL);
  assert_string_equal(c->body, "");
}

static void assert_replayed_problem(struct client *c, int status, const char *code) {
  assert_replayed(c, status, NULL);
  assert_problem(c, status, code);
  assert_null(strstr(c->body, "\"current\""));
}

/* The document is at the revision of the first time: nothing was done since. */
static void assert_etag_of(struct client *c, const char *target, const char *etag) {
  ask(c, "GET", target, NULL, NULL);
  assert_header(c, "ETag", etag);
}

/* ---- Replays of each outcome ---- */

static void a_put_takes_effect_once(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k1"), "{\"x\":1}");
  assert_int_equal(c.status, 201);
  assert_header(&c, "Idempotency-Replayed", NULL);
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k1"), "{\"x\":1}");
  assert_replayed_empty(&c, 201, "\"17\"");
  assert_header(&c, "Content-Length", "0");
  assert_header(&c, "Location", NULL);
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k2"), "{\"x\":2}");
  assert_int_equal(c.status, 200);
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k2"), "{\"x\":2}");
  assert_replayed_empty(&c, 200, "\"18\"");
  /* The older one does not come back. */
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k1"), "{\"x\":1}");
  assert_replayed_empty(&c, 201, "\"17\"");
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_string_equal(c.body, "{\"id\":\"a\",\"x\":2}");
  assert_header(&c, "ETag", "\"18\"");
  client_close(&c);
}

static void a_delete_takes_effect_once(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "PUT", ITEMS "/a", JSON, "{}");
  ask(&c, "DELETE", ITEMS "/a", KEY("k"), NULL);
  assert_int_equal(c.status, 204);
  ask(&c, "PUT", ITEMS "/a", JSON, "{}");
  ask(&c, "DELETE", ITEMS "/a", KEY("k"), NULL);
  assert_replayed_empty(&c, 204, NULL);
  assert_etag_of(&c, ITEMS "/a", "\"19\"");
  client_close(&c);
}

static void a_drop_takes_effect_once(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "PUT", ITEMS "/a", JSON, "{}");
  ask(&c, "DELETE", ITEMS, KEY("k"), NULL);
  assert_int_equal(c.status, 204);
  ask(&c, "PUT", ITEMS "/a", JSON, "{}");
  ask(&c, "DELETE", ITEMS, KEY("k"), NULL);
  assert_replayed_empty(&c, 204, NULL);
  assert_etag_of(&c, ITEMS "/a", "\"19\"");
  client_close(&c);
}

static void a_post_says_where_its_document_is(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  for (int i = 0; i < 2; i++) {
    ask(&c, "POST", ITEMS, JSON KEY("k"), "{\"id\":\"a /\"}");
    assert_int_equal(c.status, 201);
    assert_header(&c, "Location", ITEMS "/a%20%2F");
    assert_header(&c, "ETag", "\"17\"");
  }
  assert_replayed_empty(&c, 201, "\"17\"");
  client_close(&c);
}

/* The id that this server made the first time, although each attempt makes another. */
static void a_made_id_is_found_again(void **state) {
  (void)state;
  struct client c;
  char location[128];
  open_leader(&c);
  ask(&c, "POST", ITEMS, JSON KEY("k"), "{\"x\":1}");
  assert_int_equal(c.status, 201);
  snprintf(location, sizeof location, "%s", header(&c, "Location"));
  for (int i = 0; i < 2; i++) {
    c.view.wall_ms += 5000;
    ask(&c, "POST", ITEMS, JSON KEY("k"), "{\"x\":1}");
    assert_replayed_empty(&c, 201, "\"17\"");
    assert_header(&c, "Location", location);
  }
  assert_int_equal(store_documents(replica_store(c.replica)), 1);
  ask(&c, "GET", location, NULL, NULL);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

/* What failed when it was applied fails again, even if it would not any more. */
static void failures_are_remembered(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "POST", ITEMS, JSON, "{\"id\":\"a\"}"); /* 17 */
  ask(&c, "POST", ITEMS, JSON KEY("exists"), "{\"id\":\"a\"}");
  assert_problem(&c, 409, "document_exists");
  assert_non_null(strstr(c.body, "\"current\""));
  ask(&c, "PUT", ITEMS "/a", JSON KEY("failed") "If-Match: \"1\"\r\n", "{}");
  assert_problem(&c, 412, "precondition_failed");
  ask(&c, "DELETE", ITEMS "/a", NULL, NULL);
  ask(&c, "DELETE", ITEMS "/a", KEY("not found"), NULL);
  assert_problem(&c, 404, "document_not_found");

  ask(&c, "POST", ITEMS, JSON KEY("exists"), "{\"id\":\"a\"}");
  assert_replayed_problem(&c, 409, "document_exists");
  ask(&c, "PUT", ITEMS "/a", JSON KEY("failed") "If-Match: \"1\"\r\n", "{}");
  assert_replayed_problem(&c, 412, "precondition_failed");
  ask(&c, "PUT", ITEMS "/a", JSON, "{}");
  ask(&c, "DELETE", ITEMS "/a", KEY("not found"), NULL);
  assert_replayed_problem(&c, 404, "document_not_found");
  assert_int_equal(store_documents(replica_store(c.replica)), 1);
  client_close(&c);
}

static void minimal_is_minimal_each_time(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  for (int i = 0; i < 2; i++) {
    ask(&c, "POST", ITEMS, JSON KEY("k") "Prefer: return=minimal\r\n", "{\"id\":\"a\"}");
    assert_int_equal(c.status, 204);
    assert_header(&c, "Preference-Applied", "return=minimal");
    assert_header(&c, "Location", ITEMS "/a");
    assert_header(&c, "ETag", "\"17\"");
  }
  assert_replayed_empty(&c, 204, "\"17\"");
  /* It is no other request for being answered otherwise. */
  ask(&c, "POST", ITEMS, JSON KEY("k"), "{\"id\":\"a\"}");
  assert_replayed_empty(&c, 201, "\"17\"");
  client_close(&c);
}

/* What never came to the log is not remembered. */
static void a_refused_request_may_come_again(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{");
  assert_problem(&c, 400, "invalid_json");
  c.verdict = REPLICA_BUSY;
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{\"x\":1}");
  assert_problem(&c, 503, "busy");
  c.verdict = REPLICA_UNKNOWN;
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{\"x\":2}");
  assert_problem(&c, 504, "outcome_unknown");
  c.verdict = REPLICA_APPLIED;
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{\"x\":3}");
  assert_int_equal(c.status, 201);
  client_close(&c);
}

/* ---- Keys ---- */

static void keys_are_quoted_or_bare(void **state) {
  (void)state;
  static const struct {
    const char *first, *again;
  } rows[] = {
      {KEY("abc"), KEY("\"abc\"")},
      {KEY("\"a\\\"b\\\\c\""), KEY("a\"b\\c")},
      {KEY("  8e03978e-40d5-43dd-bc93-6894a57f9324  "),
       "idempotency-key:\"8e03978e-40d5-43dd-bc93-6894a57f9324\"\r\n"},
      {KEY("a b, c=d;~!"), KEY("\"a b, c=d;~!\"")},
  };
  char headers[256];
  struct client c;
  open_leader(&c);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(headers, sizeof headers, JSON "%s", rows[i].first);
    ask(&c, "PUT", ITEMS "/a", headers, "{}");
    assert_header(&c, "Idempotency-Replayed", NULL);
    assert_in_range(c.status, 200, 201);
    snprintf(headers, sizeof headers, JSON "%s", rows[i].again);
    ask(&c, "PUT", ITEMS "/a", headers, "{}");
    assert_header(&c, "Idempotency-Replayed", "true");
  }
  client_close(&c);
}

static void keys_that_are_none(void **state) {
  (void)state;
  static const char *const rows[] = {
      KEY(""),          KEY("\"\""),       KEY("\""),           KEY("\"abc"),
      KEY("\"abc\\\""), KEY("\"a\\bc\""),  KEY("\"abc\"x"),     KEY("\"abc\";x=1"),
      KEY("\"a\"b\""),  KEY("\xc3\xa9"),   KEY("\"\xc3\xa9\""), KEY("a\tb"),
      KEY("\"a\tb\""),  KEY("a") KEY("a"), KEY("\"a\\\\\\\""),
  };
  struct client c;
  char headers[600];
  open_leader(&c);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(headers, sizeof headers, JSON "%s", rows[i]);
    ask(&c, "PUT", ITEMS "/a", headers, "{}");
    assert_false(c.was_proposed);
    assert_problem(&c, 400, "invalid_idempotency_key");
  }
  snprintf(headers, sizeof headers, JSON KEY("%0*d"), KEY_BYTES_MAX + 1, 0);
  ask(&c, "PUT", ITEMS "/a", headers, "{}");
  assert_problem(&c, 400, "invalid_idempotency_key");
  snprintf(headers, sizeof headers, JSON KEY("%0*d"), KEY_BYTES_MAX, 0);
  ask(&c, "PUT", ITEMS "/a", headers, "{}");
  assert_int_equal(c.status, 201);
  client_close(&c);
}

/* A key belongs to one request: what differs in its effect is another. */
static void a_key_is_for_one_request(void **state) {
  (void)state;
  static const struct {
    const char *method, *target, *headers, *body;
  } rows[] = {
      {"PUT", ITEMS "/a", JSON, "{\"x\":2}"},
      {"PUT", ITEMS "/a", JSON, "{\"x\":1} "},
      {"PUT", ITEMS "/b", JSON, "{\"x\":1}"},
      {"PUT", "/v1/collections/other/a", JSON, "{\"x\":1}"},
      {"PUT", ITEMS "/a", JSON "If-Match: \"17\"\r\n", "{\"x\":1}"},
      {"PUT", ITEMS "/a", JSON "If-None-Match: *\r\n", "{\"x\":1}"},
      {"PUT", ITEMS "/a", "Content-Type: application/json; a=b\r\n", "{\"x\":1}"},
      {"POST", ITEMS, JSON, "{\"x\":1}"},
      {"DELETE", ITEMS "/a", NULL, NULL},
      {"DELETE", ITEMS "/a", JSON, "{\"x\":1}"},
      {"DELETE", ITEMS, NULL, NULL},
  };
  struct client c;
  char headers[256];
  open_leader(&c);
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{\"x\":1}");
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    snprintf(headers, sizeof headers, KEY("k") "%s", rows[i].headers ? rows[i].headers : "");
    ask(&c, rows[i].method, rows[i].target, headers, rows[i].body);
    assert_false(c.was_proposed);
    assert_problem(&c, 422, "idempotency_key_reused");
    assert_header(&c, "Idempotency-Replayed", NULL);
  }
  assert_etag_of(&c, ITEMS "/a", "\"17\"");
  client_close(&c);
}

static void nothing_moves_from_one_part_to_the_next(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "DELETE", "/v1/collections/ab/c", KEY("k"), NULL);
  assert_problem(&c, 404, "document_not_found");
  ask(&c, "DELETE", "/v1/collections/a/bc", KEY("k"), NULL);
  assert_problem(&c, 422, "idempotency_key_reused");
  client_close(&c);
}

static void reads_take_no_notice(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{}");
  ask(&c, "GET", ITEMS "/a", KEY("k"), NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", NULL);
  client_close(&c);
}

/* ---- Several at a time ---- */

/* Gives the request to a node and leaves it there. */
static enum api_action begin(struct client *c, struct api *api, const char *text, struct api_call *call) {
  size_t consumed;
  struct http_error error;
  c->sent.n = c->answer.n = 0;
  bytes_append_string(&c->sent, text);
  assert_int_equal(http_parser_execute(c->parser, c->sent.data, c->sent.n, &consumed, &c->request, &error),
                   HTTP_REQUEST_READY);
  enum api_action action = api_request(api, &c->view, c->replica, &c->request, call, call, &c->answer);
  read_answer(c);
  return action;
}

/* Ends the oldest that waits. */
static void finish(struct client *c, struct api *api, struct api_call *call) {
  struct replica_result result;
  assert_true(fake_replica_finish(c->replica, REPLICA_APPLIED, &result));
  assert_ptr_equal(result.waiter, call);
  c->answer.n = 0;
  assert_int_equal(api_complete(api, &c->view, c->replica, call, call, &result, &c->answer), API_RESPONDED);
  api_call_close(call);
  read_answer(c);
}

#define POST_TEXT(key)                                                                                       \
  "POST " ITEMS " HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n" JSON KEY(key) "Content-Length: 2\r\n\r\n{}"

static void two_at_a_time_are_one(void **state) {
  (void)state;
  struct client c;
  struct api_call first, second, other;
  open_leader(&c);
  assert_int_equal(begin(&c, c.api, POST_TEXT("k"), &first), API_WAITING);
  assert_int_equal(begin(&c, c.api, POST_TEXT("\"k\""), &second), API_RESPONDED);
  assert_problem(&c, 409, "idempotency_key_in_flight");
  assert_header(&c, "Retry-After", "1");
  api_call_close(&second); /* which must not end the first one's turn */
  assert_int_equal(begin(&c, c.api, POST_TEXT("k"), &second), API_RESPONDED);
  assert_problem(&c, 409, "idempotency_key_in_flight");
  api_call_close(&second);
  assert_int_equal(begin(&c, c.api, POST_TEXT("l"), &other), API_WAITING);
  finish(&c, c.api, &first);
  assert_int_equal(c.status, 201);
  finish(&c, c.api, &other);
  assert_int_equal(c.status, 201);
  assert_int_equal(begin(&c, c.api, POST_TEXT("k"), &second), API_RESPONDED);
  assert_replayed_empty(&c, 201, "\"17\"");
  api_call_close(&second);
  client_close(&c);
}

/* The client has gone, but its request is in the log. */
static void who_has_gone_is_still_under_way(void **state) {
  (void)state;
  struct client c;
  struct api_call first, second;
  open_leader(&c);
  assert_int_equal(begin(&c, c.api, POST_TEXT("k"), &first), API_WAITING);
  assert_false(api_cancel(c.replica, &first));
  assert_int_equal(begin(&c, c.api, POST_TEXT("k"), &second), API_RESPONDED);
  assert_problem(&c, 409, "idempotency_key_in_flight");
  api_call_close(&second);
  finish(&c, c.api, &first);
  assert_int_equal(begin(&c, c.api, POST_TEXT("k"), &second), API_RESPONDED);
  assert_replayed_empty(&c, 201, "\"17\"");
  api_call_close(&second);
  client_close(&c);
}

/* The first was proposed by an earlier leader, and is not applied yet when the retry comes to the next one:
 * the log decides. */
static void the_log_decides(void **state) {
  (void)state;
  static const char other_body[] =
      "PUT " ITEMS "/a HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n" JSON KEY("k") "Content-Length: 2\r\n\r\n{}";
  struct client c;
  char location[128];
  struct api_call first, second, third;
  struct api_options options = {.name = "b", .seed = 2, .document_bytes_max = CLIENT_DOCUMENT_BYTES_MAX};
  struct api *next = api_new(&options);
  struct api *third_node = api_new(&options);
  open_leader(&c);
  assert_int_equal(begin(&c, c.api, POST_TEXT("k"), &first), API_WAITING);
  assert_int_equal(begin(&c, next, POST_TEXT("k"), &second), API_WAITING);
  assert_int_equal(begin(&c, third_node, other_body, &third), API_WAITING);
  finish(&c, c.api, &first);
  assert_int_equal(c.status, 201);
  snprintf(location, sizeof location, "%s", header(&c, "Location"));
  finish(&c, next, &second);
  assert_replayed_empty(&c, 201, "\"17\"");
  assert_header(&c, "Location", location);
  finish(&c, third_node, &third);
  assert_problem(&c, 422, "idempotency_key_reused");
  assert_int_equal(store_documents(replica_store(c.replica)), 1);
  api_free(next);
  api_free(third_node);
  client_close(&c);
}

/* ---- No room ---- */

static void a_retry_needs_no_room(void **state) {
  (void)state;
  struct client c;
  client_open_limited(&c, 40);
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{\"x\":1234567890}");
  assert_int_equal(c.status, 201);
  ask(&c, "PUT", ITEMS "/b", JSON KEY("l"), "{\"x\":1234567890}");
  assert_problem(&c, 507, "store_full");
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{\"x\":1234567890}");
  assert_replayed_empty(&c, 201, "\"17\"");

  c.view.disk_full = "The disk has no room.";
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{\"x\":1234567890}");
  assert_replayed_empty(&c, 201, "\"17\"");
  ask(&c, "DELETE", ITEMS "/a", KEY("m"), NULL);
  assert_problem(&c, 507, "disk_full");
  ask(&c, "DELETE", ITEMS "/a", NULL, NULL);
  assert_problem(&c, 507, "disk_full");
  /* Before its first commit a leader does not know what has taken effect. */
  c.view.committed_own_term = false;
  ask(&c, "PUT", ITEMS "/a", JSON KEY("k"), "{\"x\":1234567890}");
  assert_problem(&c, 507, "disk_full");
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_put_takes_effect_once),
      cmocka_unit_test(a_delete_takes_effect_once),
      cmocka_unit_test(a_drop_takes_effect_once),
      cmocka_unit_test(a_post_says_where_its_document_is),
      cmocka_unit_test(a_made_id_is_found_again),
      cmocka_unit_test(failures_are_remembered),
      cmocka_unit_test(minimal_is_minimal_each_time),
      cmocka_unit_test(a_refused_request_may_come_again),
      cmocka_unit_test(keys_are_quoted_or_bare),
      cmocka_unit_test(keys_that_are_none),
      cmocka_unit_test(a_key_is_for_one_request),
      cmocka_unit_test(nothing_moves_from_one_part_to_the_next),
      cmocka_unit_test(reads_take_no_notice),
      cmocka_unit_test(two_at_a_time_are_one),
      cmocka_unit_test(who_has_gone_is_still_under_way),
      cmocka_unit_test(the_log_decides),
      cmocka_unit_test(a_retry_needs_no_room),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
