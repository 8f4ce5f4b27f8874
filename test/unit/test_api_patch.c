/* PATCH on a leader: merge patches and JSON patches, with the conditions, refusals and retries of a write.
 * (How patches are calculated: test_json_patch, test_json_merge_patch.) */
#include <stdio.h>
#include <stdlib.h>

#include "patch_case.h"

/* ---- What it does ---- */

static void members_not_named_keep_their_bytes(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"id\": \"a\", \"price\": 0.1 , \"n\":12345678901234567890,\"u\":\"\\u0041\"}");
  ask(&c, "PATCH", A, MERGE, " {\"stock\": 7, \"u\": null} ");
  assert_int_equal(c.status, 200);
  assert_header(&c, "ETag", "\"18\"");
  assert_header(&c, "Content-Type", "application/json");
  assert_header(&c, "Cache-Control", "no-store");
  assert_header(&c, "Coracle-Revision", "18");
  assert_header(&c, "Location", NULL);
  assert_string_equal(c.body, "{\"id\": \"a\", \"price\": 0.1 , \"n\":12345678901234567890,\"stock\":7}");
  assert_document(&c, "{\"id\": \"a\", \"price\": 0.1 , \"n\":12345678901234567890,\"stock\":7}", "\"18\"");
  client_close(&c);
}

static void plain_json_is_a_merge_patch(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"tags\":[1],\"x\":{\"y\":1,\"z\":2}}");
  ask(&c, "PATCH", A, "Content-Type: Application/JSON; charset=utf-8\r\n",
      "{\"tags\":[2,3],\"x\":{\"y\":null}}");
  assert_int_equal(c.status, 200);
  assert_string_equal(c.body, "{\"id\":\"a\",\"tags\":[2,3],\"x\":{\"z\":2}}");
  client_close(&c);
}

static void operations_take_effect_together(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"tags\":[\"b\"],\"n\":1}");
  ask(&c, "PATCH", A, PATCH,
      "[{\"op\":\"test\",\"path\":\"/n\",\"value\":1.0},{\"op\":\"add\",\"path\":\"/tags/"
      "0\",\"value\":\"a\"},"
      "{\"op\":\"add\",\"path\":\"/tags/-\",\"value\":\"c\"},{\"op\":\"remove\",\"path\":\"/n\"}]");
  assert_int_equal(c.status, 200);
  assert_string_equal(c.body, "{\"id\":\"a\",\"tags\":[\"a\",\"b\",\"c\"]}");
  ask(&c, "PATCH", A, PATCH,
      "[{\"op\":\"remove\",\"path\":\"/tags\"},{\"op\":\"test\",\"path\":\"/id\",\"value\":\"b\"}]");
  assert_problem(&c, 422, "patch_test_failed");
  assert_document(&c, "{\"id\":\"a\",\"tags\":[\"a\",\"b\",\"c\"]}", "\"18\"");
  client_close(&c);
}

/* As a PUT of the same bytes is. */
static void one_that_changes_nothing_is_a_write(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"id\":\"a\",\"x\": 1}");
  ask(&c, "PATCH", A, MERGE, "{}");
  assert_int_equal(c.status, 200);
  assert_document(&c, "{\"id\":\"a\",\"x\": 1}", "\"18\"");
  ask(&c, "PATCH", A, PATCH, "[]");
  assert_int_equal(c.status, 200);
  assert_document(&c, "{\"id\":\"a\",\"x\": 1}", "\"19\"");
  client_close(&c);
}

static void minimal_is_honoured(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{}");
  ask(&c, "PATCH", A, MERGE "Prefer: return=minimal\r\n", "{\"x\":1}");
  assert_int_equal(c.status, 204);
  assert_header(&c, "ETag", "\"18\"");
  assert_header(&c, "Preference-Applied", "return=minimal");
  assert_string_equal(c.body, "");
  assert_document(&c, "{\"id\":\"a\",\"x\":1}", "\"18\"");
  client_close(&c);
}

static void names_with_escapes_are_found(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "PUT", ITEMS "/a%2Fb%20c", JSON, "{}");
  ask(&c, "PATCH", ITEMS "/a%2Fb%20c", MERGE, "{\"x\":1}");
  assert_int_equal(c.status, 200);
  assert_string_equal(c.body, "{\"id\":\"a/b c\",\"x\":1}");
  client_close(&c);
}

static void slices_make_no_difference(void **state) {
  (void)state;
  static const char *const patches[][2] = {
      {MERGE, "{\"x\":{\"a\":null,\"b\":[1,2],\"c\":{\"d\":null}},\"y\":1}"},
      {PATCH, "[{\"op\":\"copy\",\"from\":\"/x\",\"path\":\"/y\"},{\"op\":\"move\",\"from\":\"/x/"
              "e\",\"path\":\"/z\"}]"},
  };
  static const char *const expected[] = {
      "{\"id\":\"a\",\"x\":{\"e\":[1,2,3],\"b\":[1,2],\"c\":{}},\"y\":1}",
      "{\"id\":\"a\",\"x\":{\"a\":1},\"y\":{\"a\":1,\"e\":[1,2,3]},\"z\":[1,2,3]}",
  };
  for (size_t i = 0; i < 2; i++) {
    struct client c;
    open_with(&c, "{\"x\":{\"a\":1,\"e\":[1,2,3]}}");
    c.budget = 1;
    ask(&c, "PATCH", A, patches[i][0], patches[i][1]);
    assert_int_equal(c.status, 200);
    assert_string_equal(c.body, expected[i]);
    assert_true(c.slices > 5);
    client_close(&c);
  }
}

/* ---- What it refuses ---- */

static void other_content_is_refused(void **state) {
  (void)state;
  static const char *const headers[] = {NULL, "Content-Type: text/plain\r\n",
                                        "Content-Type: application/json-patch\r\n", MERGE PATCH};
  struct client c;
  open_with(&c, "{}");
  for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
    ask(&c, "PATCH", A, headers[i], "{}");
    assert_problem(&c, 415, "unsupported_media_type");
    assert_header(&c, "Accept-Patch",
                  "application/merge-patch+json, application/json-patch+json, application/json");
  }
  ask(&c, "OPTIONS", A, NULL, NULL);
  assert_non_null(strstr(header(&c, "Allow"), "PATCH"));
  assert_header(&c, "Accept-Patch",
                "application/merge-patch+json, application/json-patch+json, application/json");
  client_close(&c);
}

static void assert_member(struct client *c, const char *member, json_int_t value) {
  json_t *problem = body_json(c);
  const json_t *found = json_object_get(problem, member);
  if (value < 0)
    assert_null(found);
  else
    assert_int_equal(json_integer_value(found), value);
  json_decref(problem);
}

static void what_is_no_json_is_refused(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{}");
  ask(&c, "PATCH", A, MERGE, "{\"x\":01}");
  assert_problem(&c, 400, "invalid_json");
  assert_member(&c, "offset", 6);
  ask(&c, "PATCH", A, PATCH, "");
  assert_problem(&c, 400, "invalid_json");
  client_close(&c);
}

/* Malformed (400), or right and not possible (422): RFC 5789, 2.2. */
static void what_cannot_be_done_is_refused(void **state) {
  (void)state;
  static const struct {
    const char *type, *patch;
    int status;
    const char *code;
    int operation; /* -1: it is not said */
  } cases[] = {
      {PATCH, "{}", 400, "invalid_patch", 0},
      {PATCH, "[{\"op\":\"add\",\"path\":\"/x\",\"value\":1},{\"op\":\"spam\",\"path\":\"/x\"}]", 400,
       "invalid_patch", 1},
      {PATCH, "[{\"op\":\"add\",\"path\":\"x\",\"value\":1}]", 400, "invalid_patch", 0},
      {PATCH, "[{\"op\":\"test\",\"path\":\"/n\",\"value\":1},{\"op\":\"test\",\"path\":\"/n\",\"value\":2}]",
       422, "patch_test_failed", 1},
      {PATCH, "[{\"op\":\"remove\",\"path\":\"/none\"}]", 422, "patch_not_applicable", 0},
      {PATCH, "[{\"op\":\"move\",\"from\":\"/n\",\"path\":\"/n/x\"}]", 422, "patch_not_applicable", 0},
      {PATCH, "[{\"op\":\"replace\",\"path\":\"\",\"value\":[]}]", 422, "patch_not_applicable", -1},
      {PATCH, "[{\"op\":\"replace\",\"path\":\"/id\",\"value\":\"b\"}]", 422, "patch_not_applicable", -1},
      {MERGE, "{\"id\":\"b\"}", 422, "patch_not_applicable", -1},
      {MERGE, "{\"id\":{}}", 422, "patch_not_applicable", -1},
      {MERGE, "[1]", 422, "patch_not_applicable", -1},
      {MERGE, "null", 422, "patch_not_applicable", -1},
  };
  struct client c;
  open_with(&c, "{\"id\":\"a\",\"n\":1}");
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    ask(&c, "PATCH", A, cases[i].type, cases[i].patch);
    assert_problem(&c, cases[i].status, cases[i].code);
    assert_member(&c, "operation", cases[i].operation);
  }
  assert_document(&c, "{\"id\":\"a\",\"n\":1}", "\"17\"");
  client_close(&c);
}

/* It is part of where the document is, so it stays, and a patch need not know how it was spelled. */
static void the_id_stays(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"x\":1,\"id\":\"a\"}");
  ask(&c, "PATCH", A, MERGE, "{\"id\":\"\\u0061\"}");
  assert_string_equal(c.body, "{\"x\":1,\"id\":\"\\u0061\"}");
  ask(&c, "PATCH", A, MERGE, "{\"id\":null}");
  assert_string_equal(c.body, "{\"id\":\"a\",\"x\":1}");
  ask(&c, "PATCH", A, PATCH, "[{\"op\":\"replace\",\"path\":\"\",\"value\":{\"y\":2}}]");
  assert_string_equal(c.body, "{\"id\":\"a\",\"y\":2}");
  ask(&c, "POST", ITEMS, JSON, "{\"id\":7}");
  ask(&c, "PATCH", ITEMS "/7", MERGE, "{\"x\":1}");
  assert_string_equal(c.body, "{\"id\":7,\"x\":1}");
  client_close(&c);
}

static void the_limits_hold(void **state) {
  (void)state;
  enum { BYTES = CLIENT_DOCUMENT_BYTES_MAX / 2 };
  struct client c;
  char *patch = malloc(BYTES + 64);
  assert_non_null(patch);
  open_with(&c, "{}");
  int n = sprintf(patch, "{\"x\":\"");
  memset(patch + n, 'x', BYTES);
  sprintf(patch + n + BYTES, "\"}");
  ask(&c, "PATCH", A, MERGE, patch);
  assert_int_equal(c.status, 200);
  ask(&c, "PATCH", A, PATCH, "[{\"op\":\"copy\",\"from\":\"/x\",\"path\":\"/y\"}]");
  assert_problem(&c, 413, "document_too_large");
  assert_member(&c, "limit", CLIENT_DOCUMENT_BYTES_MAX);
  free(patch);
  client_close(&c);

  client_open_limited(&c, 40);
  ask(&c, "PUT", A, JSON, "{}");
  ask(&c, "PATCH", A, MERGE, "{\"x\":\"0123456789012345678901234567890123456789\"}");
  assert_problem(&c, 507, "store_full");
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_int_equal(c.status, 200);
  client_close(&c);
}

/* ---- Conditions ---- */

static void conditions_are_judged_on_what_is_patched(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"x\":1}");
  ask(&c, "PATCH", A, MERGE "If-Match: \"17\"\r\n", "{\"x\":2}");
  assert_int_equal(c.status, 200);
  ask(&c, "PATCH", A, MERGE "If-Match: \"17\"\r\n", "{\"x\":3}");
  assert_problem(&c, 412, "precondition_failed");
  assert_header(&c, "ETag", "\"18\"");
  assert_non_null(strstr(c.body, "\"current\":{\"id\":\"a\",\"x\":2}"));
  ask(&c, "PATCH", A, MERGE "If-Match: *\r\n", "{\"x\":3}");
  assert_int_equal(c.status, 200);
  ask(&c, "PATCH", A, MERGE "If-None-Match: *\r\n", "{\"x\":4}");
  assert_problem(&c, 412, "precondition_failed");
  ask(&c, "PATCH", A, MERGE "If-None-Match: \"17\"\r\n", "{\"x\":4}");
  assert_problem(&c, 400, "invalid_precondition");
  ask(&c, "PATCH", A, MERGE "If-Match: 17\r\n", "{\"x\":4}");
  assert_problem(&c, 400, "invalid_precondition");
  assert_document(&c, "{\"id\":\"a\",\"x\":3}", "\"19\"");
  client_close(&c);
}

static void there_has_to_be_a_document(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{}");
  ask(&c, "PATCH", ITEMS "/b", MERGE, "{\"x\":1}");
  assert_problem(&c, 404, "document_not_found");
  assert_true(c.was_read);
  assert_false(c.was_proposed);
  ask(&c, "PATCH", ITEMS "/b", MERGE "If-None-Match: *\r\n", "{\"x\":1}");
  assert_problem(&c, 404, "document_not_found");
  ask(&c, "PATCH", ITEMS "/b", MERGE "If-Match: *\r\n", "{\"x\":1}");
  assert_problem(&c, 412, "precondition_failed");
  client_close(&c);
}

/* ---- Retries ---- */

static void a_key_makes_it_take_effect_once(void **state) {
  (void)state;
  static const char once[] =
      "[{\"op\":\"test\",\"path\":\"/n\",\"value\":1},{\"op\":\"replace\",\"path\":\"/n\",\"value\":2}]";
  struct client c;
  open_with(&c, "{\"n\":1}");
  ask(&c, "PATCH", A, PATCH KEY, once);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", NULL);
  ask(&c, "PATCH", A, PATCH KEY, once); /* whose test does not hold any more */
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", "true");
  assert_header(&c, "ETag", "\"18\"");
  assert_string_equal(c.body, "");
  assert_document(&c, "{\"id\":\"a\",\"n\":2}", "\"18\"");
  ask(&c, "PATCH", A, MERGE KEY, "{\"n\":3}");
  assert_problem(&c, 422, "idempotency_key_reused");
  client_close(&c);
}

/* What was refused here has left no trace: the same key may be tried again. */
static void a_key_is_free_after_a_refusal(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{}");
  ask(&c, "PATCH", ITEMS "/b", MERGE KEY, "{\"x\":1}");
  assert_problem(&c, 404, "document_not_found");
  ask(&c, "PUT", ITEMS "/b", JSON, "{}");
  ask(&c, "PATCH", ITEMS "/b", MERGE KEY, "{\"x\":1}");
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", NULL);
  client_close(&c);
}

/* ---- A leader that is lost ---- */

static void without_a_leader_it_is_refused(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{}");
  c.read_verdict = REPLICA_NOT_LEADER;
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_int_equal(c.status, 503);
  c.read_verdict = REPLICA_TOO_LATE;
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_problem(&c, 504, "read_timed_out");
  c.read_verdict = REPLICA_READABLE;
  c.verdict = REPLICA_UNKNOWN;
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_problem(&c, 504, "outcome_unknown");
  c.verdict = REPLICA_BUSY;
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_problem(&c, 503, "busy");
  c.verdict = REPLICA_APPLIED;
  assert_document(&c, "{\"id\":\"a\"}", "\"17\"");
  client_close(&c);
  client_open(&c, FOLLOWER, API_REDIRECT);
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_problem(&c, 307, "not_leader");
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(members_not_named_keep_their_bytes),
      cmocka_unit_test(plain_json_is_a_merge_patch),
      cmocka_unit_test(operations_take_effect_together),
      cmocka_unit_test(one_that_changes_nothing_is_a_write),
      cmocka_unit_test(minimal_is_honoured),
      cmocka_unit_test(names_with_escapes_are_found),
      cmocka_unit_test(slices_make_no_difference),
      cmocka_unit_test(other_content_is_refused),
      cmocka_unit_test(what_is_no_json_is_refused),
      cmocka_unit_test(what_cannot_be_done_is_refused),
      cmocka_unit_test(the_id_stays),
      cmocka_unit_test(the_limits_hold),
      cmocka_unit_test(conditions_are_judged_on_what_is_patched),
      cmocka_unit_test(there_has_to_be_a_document),
      cmocka_unit_test(a_key_makes_it_take_effect_once),
      cmocka_unit_test(a_key_is_free_after_a_refusal),
      cmocka_unit_test(without_a_leader_it_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
