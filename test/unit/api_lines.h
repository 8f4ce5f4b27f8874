/* What tests of imports share: results as JSON, one a line. */
#ifndef TEST_API_LINES_H
#define TEST_API_LINES_H

#include "api_client.h"

#include <stdio.h>

#define ITEMS "/v1/collections/items"
#define NDJSON "Content-Type: application/x-ndjson\r\n"

static inline void import(struct client *c, const char *query, const char *headers, const char *lines) {
  char target[128], all[256];
  snprintf(target, sizeof target, ITEMS "%s", query);
  snprintf(all, sizeof all, NDJSON "%s", headers);
  ask(c, "POST", target, all, lines);
}

/* The result lines as an array, the caller's; and members of the n-th, from 0 on. */
static inline json_t *results_of(const struct client *c) {
  json_t *results = json_array();
  for (const char *at = c->body; at < c->body + c->body_bytes;) {
    const char *end = strchr(at, '\n');
    json_error_t error;
    assert_non_null(end);
    json_t *result = json_loadb(at, (size_t)(end - at), JSON_REJECT_DUPLICATES, &error);
    if (result == NULL) fail_msg("%s in %.100s", error.text, at);
    json_array_append_new(results, result);
    at = end + 1;
  }
  return results;
}

static inline int integer(json_t *results, size_t n, const char *name) {
  json_t *value = json_object_get(json_array_get(results, n), name);
  return json_is_integer(value) ? (int)json_integer_value(value) : -1;
}

static inline const char *string(json_t *results, size_t n, const char *name) {
  const char *value = json_string_value(json_object_get(json_array_get(results, n), name));
  return value ? value : "";
}

static inline const struct store_record *stored(const struct client *c, const char *id) {
  return store_get(replica_store(c->replica), slice_of("items"), slice_of(id));
}

static inline void assert_stored(const struct client *c, const char *id, const char *body) {
  const struct store_record *record = stored(c, id);
  if (record == NULL) fail_msg("%s is not there", id);
  if (!slice_is(store_record_body(record), body))
    fail_msg("%s is %.*s", id, (int)record->body_bytes, store_record_body(record).at);
}

#endif
