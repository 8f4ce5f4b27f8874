#include "transaction_case.h"

void transact(struct client *c, const char *operations) {
  struct bytes body = {0};
  bytes_printf(&body, "{\"operations\":[%s]}", operations);
  ask_bytes(c, "POST", TRANSACTIONS, JSON, slice_of_bytes(&body));
  bytes_close(&body);
}

void put(struct client *c, const char *target, const char *body) {
  ask(c, "PUT", target, JSON, body);
  assert_in_range(c->status, 200, 201);
}

void assert_document(struct client *c, const char *target, const char *etag, const char *body) {
  ask(c, "GET", target, NULL, NULL);
  assert_int_equal(c->status, 200);
  assert_header(c, "ETag", etag);
  assert_string_equal(c->body, body);
}

void assert_none(struct client *c, const char *target) {
  ask(c, "GET", target, NULL, NULL);
  assert_int_equal(c->status, 404);
}

void assert_failed(struct client *c, int operation, int status, const char *code) {
  assert_problem(c, 409, "transaction_failed");
  json_t *answer = body_json(c), *problem = json_object_get(answer, "problem");
  assert_int_equal(json_integer_value(json_object_get(answer, "operation")), operation);
  assert_int_equal(json_integer_value(json_object_get(problem, "status")), status);
  assert_string_equal(json_string_value(json_object_get(problem, "code")), code);
  assert_non_null(json_object_get(problem, "detail"));
  json_decref(answer);
}

void assert_operation(struct client *c, int operation) {
  json_t *answer = body_json(c), *member = json_object_get(answer, "operation");
  if (operation < 0 && member != NULL) fail_msg("there is an operation: %s", c->body);
  if (operation >= 0 && (member == NULL || json_integer_value(member) != operation))
    fail_msg("not of %d: %s", operation, c->body);
  json_decref(answer);
}
