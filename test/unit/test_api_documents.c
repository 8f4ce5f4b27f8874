/* Documents on a leader: created, read, replaced, deleted and listed, with the headers that go with each
 * answer. */
#include <stdio.h>
#include <stdlib.h>

#include "api_client.h"

#define ITEMS "/v1/collections/items"

static void open_leader(struct client *c) {
  client_open(c, LEADER, API_REDIRECT);
}

static void assert_body(struct client *c, const char *body) {
  assert_string_equal(c->body, body);
}

static void put(struct client *c, const char *target, const char *body) {
  ask(c, "PUT", target, JSON, body);
  assert_in_range(c->status, 200, 201);
}

/* ---- One document ---- */

static void put_creates_then_replaces(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "PUT", ITEMS "/a", JSON, "{\"id\":\"a\",\"x\":1.10}");
  assert_int_equal(c.status, 201);
  assert_header(&c, "ETag", "\"17\"");
  assert_header(&c, "Content-Type", "application/json");
  assert_header(&c, "Location", NULL);
  assert_body(&c, "{\"id\":\"a\",\"x\":1.10}");
  ask(&c, "PUT", ITEMS "/a", JSON, "{\"x\":2}");
  assert_int_equal(c.status, 200);
  assert_header(&c, "ETag", "\"18\"");
  assert_header(&c, "Coracle-Revision", "18");
  assert_body(&c, "{\"id\":\"a\",\"x\":2}");
  client_close(&c);
}

static void reading_gives_the_bytes_and_their_revision(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  put(&c, ITEMS "/a", "{\"x\":1}");
  put(&c, ITEMS "/b", "{}");
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "ETag", "\"17\"");
  assert_header(&c, "Content-Type", "application/json");
  assert_header(&c, "Cache-Control", "no-cache");
  assert_header(&c, "Coracle-Revision", "18");
  assert_header(&c, "Coracle-Term", "7");
  assert_header(&c, "Coracle-Node", "a");
  assert_header(&c, "Coracle-Role", "leader");
  assert_header(&c, "Date", "Tue, 14 Nov 2023 22:13:20 GMT");
  assert_header(&c, "Connection", NULL);
  assert_body(&c, "{\"id\":\"a\",\"x\":1}");
  client_close(&c);
}

static void head_is_get_without_the_body(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  put(&c, ITEMS "/a", "{\"x\":1}");
  ask(&c, "HEAD", ITEMS "/a", NULL, NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "ETag", "\"17\"");
  assert_header(&c, "Content-Length", "16");
  assert_body(&c, "");
  ask(&c, "HEAD", ITEMS "/none", NULL, NULL);
  assert_int_equal(c.status, 404);
  assert_body(&c, "");
  ask(&c, "HEAD", ITEMS, NULL, NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Content-Length", "18");
  assert_body(&c, "");
  client_close(&c);
}

static void what_is_not_there_is_404(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_problem(&c, 404, "document_not_found");
  ask(&c, "DELETE", ITEMS "/a", NULL, NULL);
  assert_true(c.was_proposed);
  assert_problem(&c, 404, "document_not_found");
  client_close(&c);
}

static void delete_takes_it_away(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  put(&c, ITEMS "/a", "{}");
  ask(&c, "DELETE", ITEMS "/a", NULL, NULL);
  assert_int_equal(c.status, 204);
  assert_header(&c, "Content-Type", NULL);
  assert_header(&c, "Content-Length", NULL);
  assert_body(&c, "");
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_problem(&c, 404, "document_not_found");
  client_close(&c);
}

/* What is stored are the bytes that came, without white space around them, with "id" in front where it was
 * missing. */
static void documents_keep_their_bytes(void **state) {
  (void)state;
  static const struct {
    const char *sent, *stored;
  } rows[] = {
      {"{}", "{\"id\":\"a\"}"},
      {"{ }", "{\"id\":\"a\" }"},
      {" \t\r\n{\"x\" : 0.1}\r\n ", "{\"id\":\"a\",\"x\" : 0.1}"},
      {"{\n  \"x\": [1,  2],\n  \"n\": 1E2\n}\n", "{\"id\":\"a\",\n  \"x\": [1,  2],\n  \"n\": 1E2\n}"},
      {"{\"x\":\"\\u00e9\",\"id\":\"a\"}", "{\"x\":\"\\u00e9\",\"id\":\"a\"}"},
      {"{\"\\u0069d\" : \"\\u0061\"}", "{\"\\u0069d\" : \"\\u0061\"}"},
      {"{\"x\":{\"id\":\"other\"}}", "{\"id\":\"a\",\"x\":{\"id\":\"other\"}}"},
      {"{\"x\":\"{[:\\\"\\\\\"}", "{\"id\":\"a\",\"x\":\"{[:\\\"\\\\\"}"},
      {"{\"x\":\"\\u0000\",\"\\u0000\":1}", "{\"id\":\"a\",\"x\":\"\\u0000\",\"\\u0000\":1}"},
      {"{\"x\":[12345678901234567890123,1e400,-0,0.10]}",
       "{\"id\":\"a\",\"x\":[12345678901234567890123,1e400,-0,0.10]}"},
  };
  struct client c;
  open_leader(&c);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    put(&c, ITEMS "/a", rows[i].sent);
    assert_body(&c, rows[i].stored);
    ask(&c, "GET", ITEMS "/a", NULL, NULL);
    assert_body(&c, rows[i].stored);
  }
  client_close(&c);
}

/* An id may hold what a URL or a JSON string must escape. */
static void ids_are_escaped_where_they_must_be(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "PUT", ITEMS "/%22%5C%2F%20%C3%A9", JSON, "{}");
  assert_int_equal(c.status, 201);
  json_t *document = body_json(&c);
  assert_string_equal(json_string_value(json_object_get(document, "id")), "\"\\/ \xc3\xa9");
  json_decref(document);
  ask(&c, "POST", ITEMS, JSON, "{\"id\":\"50% <\\r\"}");
  assert_problem(&c, 400, "invalid_id");
  ask(&c, "POST", ITEMS, JSON, "{\"id\":\"50% </\\\"\"}");
  assert_int_equal(c.status, 201);
  assert_header(&c, "Location", ITEMS "/50%25%20%3C%2F%22");
  ask(&c, "GET", header(&c, "Location"), NULL, NULL);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

static void post_takes_the_id_of_the_body(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "POST", ITEMS, JSON, "{\"id\":\"a\",\"x\":1}");
  assert_int_equal(c.status, 201);
  assert_header(&c, "Location", ITEMS "/a");
  assert_header(&c, "ETag", "\"17\"");
  assert_header(&c, "Cache-Control", "no-store");
  assert_body(&c, "{\"id\":\"a\",\"x\":1}");
  ask(&c, "POST", ITEMS, JSON, "{\"id\":\"a\",\"x\":2}");
  assert_problem(&c, 409, "document_exists");
  assert_header(&c, "ETag", "\"17\"");
  json_t *problem = body_json(&c);
  assert_int_equal(json_integer_value(json_object_get(json_object_get(problem, "current"), "x")), 1);
  json_decref(problem);
  client_close(&c);
}

/* An integer is kept as it was sent, and addressed by its digits. */
static void integers_are_ids_too(void **state) {
  (void)state;
  static const struct {
    const char *body, *location;
  } rows[] = {
      {"{\"id\":7}", ITEMS "/7"},
      {"{\"id\" : -5 }", ITEMS "/-5"},
      {"{\"id\":0}", ITEMS "/0"},
      {"{\"id\":12345678901234567890123}", ITEMS "/12345678901234567890123"},
  };
  struct client c;
  open_leader(&c);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask(&c, "POST", ITEMS, JSON, rows[i].body);
    assert_int_equal(c.status, 201);
    assert_header(&c, "Location", rows[i].location);
    assert_body(&c, rows[i].body);
    ask(&c, "GET", rows[i].location, NULL, NULL);
    assert_body(&c, rows[i].body);
  }
  ask(&c, "POST", ITEMS, JSON, "{\"id\":\"7\"}");
  assert_problem(&c, 409, "document_exists");
  put(&c, ITEMS "/7", "{\"id\":7,\"x\":1}");
  put(&c, ITEMS "/7", "{\"id\":\"7\",\"x\":2}");
  ask(&c, "PUT", ITEMS "/7", JSON, "{\"id\":8}");
  assert_problem(&c, 400, "id_mismatch");
  ask(&c, "PUT", ITEMS "/7", JSON, "{\"id\":7.0}");
  assert_problem(&c, 400, "id_mismatch");
  client_close(&c);
}

static void post_makes_ids_that_sort(void **state) {
  (void)state;
  struct client c;
  char last[64] = "";
  open_leader(&c);
  for (int i = 0; i < 10; i++) {
    ask(&c, "POST", ITEMS, JSON, "{\"x\":1}");
    assert_int_equal(c.status, 201);
    assert_int_equal(c.answer.n - (size_t)(c.body - (char *)c.answer.data),
                     strlen("{\"id\":\"\",\"x\":1}") + 26);
    char location[64];
    snprintf(location, sizeof location, "%s", header(&c, "Location"));
    assert_memory_equal(c.body + strlen("{\"id\":\""), location + strlen(ITEMS "/"), 26);
    assert_true(strcmp(location, last) > 0);
    memcpy(last, location, sizeof last);
  }
  ask(&c, "GET", ITEMS, NULL, NULL);
  assert_header(&c, "X-Total-Count", "10");
  client_close(&c);
}

static void prefer_minimal_leaves_the_body_out(void **state) {
  (void)state;
  static const char *const minimal[] = {
      "Prefer: return=minimal\r\n",
      "Prefer: wait=10, Return = Minimal; x=y\r\n",
      "Prefer: respond-async\r\nPrefer: return=\"minimal\", return=representation\r\n",
  };
  static const char *const whole[] = {
      "Prefer: return=representation\r\n",
      "Prefer: minimal\r\n",
      "Prefer: return=representation, return=minimal\r\n",
      "Prefer: return\r\n",
      "Prefer:\r\n",
  };
  struct client c;
  char headers[256];
  open_leader(&c);
  for (size_t i = 0; i < sizeof minimal / sizeof *minimal; i++) {
    snprintf(headers, sizeof headers, JSON "%s", minimal[i]);
    ask(&c, "PUT", ITEMS "/a", headers, "{}");
    assert_int_equal(c.status, 204);
    assert_header(&c, "Preference-Applied", "return=minimal");
    assert_non_null(header(&c, "ETag"));
    assert_header(&c, "Location", NULL);
    assert_body(&c, "");
  }
  for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) {
    snprintf(headers, sizeof headers, JSON "%s", whole[i]);
    ask(&c, "PUT", ITEMS "/a", headers, "{}");
    assert_int_equal(c.status, 200);
    assert_header(&c, "Preference-Applied", NULL);
  }
  ask(&c, "POST", ITEMS, JSON "Prefer: return=minimal\r\n", "{\"id\":\"b\"}");
  assert_int_equal(c.status, 204);
  assert_header(&c, "Location", ITEMS "/b");
  ask(&c, "POST", ITEMS, JSON "Prefer: return=minimal\r\n", "{\"id\":\"b\"}");
  assert_problem(&c, 409, "document_exists");
  client_close(&c);
}

/* The limit counts the stored document, with the id put in front: 64 KiB here. */
static void a_document_is_measured_with_its_id(void **state) {
  (void)state;
  struct client c;
  enum { FRAME = sizeof "{\"id\":\"a\",\"x\":\"\"}" - 1 };
  char *text = malloc(CLIENT_DOCUMENT_BYTES_MAX + 1);
  open_leader(&c);
  for (int over = 0; over <= 1; over++) {
    size_t fill = (size_t)CLIENT_DOCUMENT_BYTES_MAX - FRAME + (size_t)over;
    int n = snprintf(text, CLIENT_DOCUMENT_BYTES_MAX + 1, "{\"x\":\"%0*d\"}", (int)fill, 0);
    assert_true(n < CLIENT_DOCUMENT_BYTES_MAX);
    ask(&c, "PUT", ITEMS "/a", JSON, text);
    if (!over) assert_int_equal(c.status, 201);
  }
  assert_problem(&c, 413, "document_too_large");
  json_t *problem = body_json(&c);
  assert_int_equal(json_integer_value(json_object_get(problem, "limit")), CLIENT_DOCUMENT_BYTES_MAX);
  json_decref(problem);
  free(text);
  client_close(&c);
}

/* ---- Lists ---- */

static void an_unknown_collection_is_empty(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  ask(&c, "GET", ITEMS, NULL, NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "X-Total-Count", "0");
  assert_header(&c, "Link", NULL);
  assert_header(&c, "Cache-Control", "no-store");
  assert_body(&c, "[]");
  ask(&c, "GET", "/v1/collections", NULL, NULL);
  assert_int_equal(c.status, 200);
  assert_body(&c, "[]");
  client_close(&c);
}

static void collections_are_listed_with_their_counts(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  put(&c, ITEMS "/a", "{}");
  put(&c, ITEMS "/b", "{}");
  put(&c, "/v1/collections/A.b-c_1/x", "{}");
  ask(&c, "GET", "/v1/collections", NULL, NULL);
  assert_body(&c, "[{\"name\":\"A.b-c_1\",\"count\":1},{\"name\":\"items\",\"count\":2}]");
  assert_header(&c, "Link", NULL);
  ask(&c, "GET", "/v1/collections?limit=1", NULL, NULL);
  assert_body(&c, "[{\"name\":\"A.b-c_1\",\"count\":1}]");
  assert_header(&c, "Link", "</v1/collections?limit=1&after=A.b-c_1>; rel=\"next\"");
  ask(&c, "GET", "/v1/collections?limit=1&after=A.b-c_1", NULL, NULL);
  assert_body(&c, "[{\"name\":\"items\",\"count\":2}]");
  assert_header(&c, "Link", NULL);
  client_close(&c);
}

static void documents_are_listed_in_the_order_of_ids(void **state) {
  (void)state;
  struct client c;
  open_leader(&c);
  put(&c, ITEMS "/b", "{}");
  put(&c, ITEMS "/a%20%2F", "{}");
  put(&c, ITEMS "/c", "{}");
  put(&c, "/v1/collections/jtems/d", "{}");
  ask(&c, "GET", ITEMS, NULL, NULL);
  assert_header(&c, "X-Total-Count", "3");
  assert_header(&c, "Link", NULL);
  assert_body(&c, "[{\"id\":\"a /\"},{\"id\":\"b\"},{\"id\":\"c\"}]");
  ask(&c, "GET", ITEMS "?limit=1&consistency=stale", NULL, NULL);
  assert_body(&c, "[{\"id\":\"a /\"}]");
  assert_header(&c, "X-Total-Count", "3");
  assert_header(&c, "Link", "<" ITEMS "?limit=1&consistency=stale&after=a%20%2F>; rel=\"next\"");
  ask(&c, "GET", ITEMS "?limit=2&after=a%20%2F", NULL, NULL);
  assert_body(&c, "[{\"id\":\"b\"},{\"id\":\"c\"}]");
  assert_header(&c, "Link", NULL);
  ask(&c, "GET", ITEMS "?after=c", NULL, NULL);
  assert_body(&c, "[]");
  client_close(&c);
}

/* Following Link from page to page gives each document once; 100 to a page unless asked. */
static void pages_follow_on_each_other(void **state) {
  (void)state;
  struct client c;
  char target[256];
  open_leader(&c);
  for (int i = 0; i < 250; i++) {
    snprintf(target, sizeof target, ITEMS "/%03d", i);
    put(&c, target, "{}");
  }
  snprintf(target, sizeof target, ITEMS);
  for (int next = 0; next < 250;) {
    ask(&c, "GET", target, NULL, NULL);
    assert_header(&c, "X-Total-Count", "250");
    json_t *page = body_json(&c);
    assert_int_equal(json_array_size(page), next < 200 ? 100 : 50);
    for (size_t i = 0; i < json_array_size(page); i++, next++) {
      assert_int_equal(atoi(json_string_value(json_object_get(json_array_get(page, i), "id"))), next);
    }
    json_decref(page);
    const char *link = header(&c, "Link");
    assert_int_equal(link != NULL, next < 250);
    if (link != NULL) assert_int_equal(sscanf(link, "<%255[^>]>; rel=\"next\"", target), 1);
  }
  client_close(&c);
}

/* A page ends early rather than grow beyond 2 MiB and a document. */
static void pages_are_bounded_in_bytes(void **state) {
  (void)state;
  struct client c;
  char target[256];
  char *text = malloc(CLIENT_DOCUMENT_BYTES_MAX);
  snprintf(text, CLIENT_DOCUMENT_BYTES_MAX, "{\"x\":\"%0*d\"}", CLIENT_DOCUMENT_BYTES_MAX - 64, 0);
  open_leader(&c);
  for (int i = 0; i < 80; i++) {
    snprintf(target, sizeof target, ITEMS "/%03d", i);
    put(&c, target, text);
  }
  ask(&c, "GET", ITEMS "?limit=1000", NULL, NULL);
  assert_in_range(c.answer.n, 2 * 1024 * 1024, 2 * 1024 * 1024 + 2 * CLIENT_DOCUMENT_BYTES_MAX);
  assert_header(&c, "Link", "<" ITEMS "?limit=1000&after=032>; rel=\"next\"");
  free(text);
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(put_creates_then_replaces),
      cmocka_unit_test(reading_gives_the_bytes_and_their_revision),
      cmocka_unit_test(head_is_get_without_the_body),
      cmocka_unit_test(what_is_not_there_is_404),
      cmocka_unit_test(delete_takes_it_away),
      cmocka_unit_test(documents_keep_their_bytes),
      cmocka_unit_test(ids_are_escaped_where_they_must_be),
      cmocka_unit_test(post_takes_the_id_of_the_body),
      cmocka_unit_test(integers_are_ids_too),
      cmocka_unit_test(post_makes_ids_that_sort),
      cmocka_unit_test(prefer_minimal_leaves_the_body_out),
      cmocka_unit_test(a_document_is_measured_with_its_id),
      cmocka_unit_test(an_unknown_collection_is_empty),
      cmocka_unit_test(collections_are_listed_with_their_counts),
      cmocka_unit_test(documents_are_listed_in_the_order_of_ids),
      cmocka_unit_test(pages_follow_on_each_other),
      cmocka_unit_test(pages_are_bounded_in_bytes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
