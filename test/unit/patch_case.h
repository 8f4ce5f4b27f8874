/* What the tests of PATCH share: a document to be patched, and what has become of it. */
#ifndef CORACLE_TEST_PATCH_CASE_H
#define CORACLE_TEST_PATCH_CASE_H

#include "api_client.h"

#define ITEMS "/v1/collections/items"
#define A ITEMS "/a"
#define MERGE "Content-Type: application/merge-patch+json\r\n"
#define PATCH "Content-Type: application/json-patch+json\r\n"
#define KEY "Idempotency-Key: \"k\"\r\n"

static inline void open_with(struct client *c, const char *document) {
  client_open(c, LEADER, API_REDIRECT);
  ask(c, "PUT", A, JSON, document);
  assert_int_equal(c->status, 201);
}

static inline void assert_document(struct client *c, const char *document, const char *etag) {
  ask(c, "GET", A, NULL, NULL);
  assert_int_equal(c->status, 200);
  assert_string_equal(c->body, document);
  assert_header(c, "ETag", etag);
}

#endif
