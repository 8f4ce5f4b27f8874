/* Transactions that take their time: patches while others write, slices, clients that go, keys; and what is
 * too large, or finds no room. */
#include <stdio.h>
#include <stdlib.h>

#include "transaction_case.h"

#define KEY(text) "Idempotency-Key: " text "\r\n"

/* ---- Patches, while others write ---- */

static unsigned writes_between; /* so many of the next slices have another write before them */

/* Another client's write to items/a: {"id":"a","left":N}, with what is left of them. */
static void write_between(struct client *c) {
  struct replica_result result;
  struct bytes body = {0};
  if (writes_between == 0) return;
  bytes_printf(&body, "{\"id\":\"a\",\"left\":%u}", --writes_between);
  const struct command command = {.type = COMMAND_PUT,
                                  .collection = slice_of("items"),
                                  .id = slice_of("a"),
                                  .body = slice_of_bytes(&body)};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  command_encode(&command, entry->data);
  replica_propose(c->replica, entry, 0, c);
  assert_true(fake_replica_finish(c->replica, REPLICA_APPLIED, &result));
  store_result_close(&result.store);
  bytes_close(&body);
}

#define PATCH_A "{\"method\":\"patch\",\"path\":\"items/a\",\"body\":{\"x\":1}}"

/* A patch is for the document as it is when it takes effect: it is calculated again when that has changed. */
static void a_patch_is_calculated_again(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{}");
  c.between = write_between;
  writes_between = 5; /* one of them before the operations are read */
  transact(&c, PUT_NEW "," PATCH_A);
  assert_int_equal(writes_between, 0);
  assert_int_equal(c.status, 200);
  assert_non_null(strstr(c.body, "{\"id\":\"a\",\"left\":0,\"x\":1}"));
  client_close(&c);
}

static void not_for_ever(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{}");
  c.between = write_between;
  writes_between = 100;
  transact(&c, PUT_NEW "," PATCH_A);
  assert_problem(&c, 409, "write_conflict");
  assert_int_equal(writes_between, 100 - 17); /* before the operations were read, and each patch calculated */
  c.between = NULL;
  assert_none(&c, ITEMS "/new");
  client_close(&c);
}

/* What the client asks of the revision is asked again, too. */
static void a_condition_is_judged_again(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{}"); /* 17, then 18 before the first slice */
  c.between = write_between;
  writes_between = 2;
  transact(&c, "{\"method\":\"patch\",\"path\":\"items/a\",\"if_match\":\"18\",\"body\":{\"x\":1}}");
  assert_failed(&c, 0, 412, "precondition_failed");
  assert_non_null(strstr(c.body, "\"current\":{\"id\":\"a\",\"left\":0}"));
  client_close(&c);
}

static void slices_make_no_difference(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{\"x\":[1,2,3]}");
  c.budget = 1;
  transact(&c, PUT_NEW
           ",{\"method\":\"patch\",\"path\":\"items/a\",\"body\":"
           "[{\"op\":\"test\",\"path\":\"/x/0\",\"value\":1},{\"op\":\"add\",\"path\":\"/x/-\",\"value\":4},"
           "{\"op\":\"remove\",\"path\":\"/x/0\"}]}");
  assert_int_equal(c.status, 200);
  assert_true(c.slices > 3);
  assert_document(&c, ITEMS "/a", "\"18\"", "{\"id\":\"a\",\"x\":[2,3,4]}");
  /* Its id is put back, as a PUT would have it. */
  transact(&c, "{\"method\":\"patch\",\"path\":\"items/a\",\"body\":{\"id\":null,\"x\":null}}");
  assert_int_equal(c.status, 200);
  assert_document(&c, ITEMS "/a", "\"19\"", "{\"id\":\"a\"}");
  client_close(&c);
}

/* ---- Size ---- */

/* {"x":"0000..."} of that many bytes. */
static char *large(size_t bytes) {
  char *text = malloc(bytes + 1);
  snprintf(text, bytes + 1, "{\"x\":\"%0*d\"}", (int)(bytes - strlen("{\"x\":\"\"}")), 0);
  return text;
}

static void documents_that_become_too_large(void **state) {
  (void)state;
  struct client c;
  char *document = large(CLIENT_DOCUMENT_BYTES_MAX - 100);
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", document);
  transact(&c, PUT_NEW
           ",{\"method\":\"patch\",\"path\":\"items/a\",\"body\":{\"y\":"
           "\"0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567\"}}");
  assert_failed(&c, 1, 413, "document_too_large");
  assert_none(&c, ITEMS "/new");

  /* An integer id that is taken out comes back as a string, two bytes longer. */
  char *largest = malloc(CLIENT_DOCUMENT_BYTES_MAX + 1);
  snprintf(largest, CLIENT_DOCUMENT_BYTES_MAX + 1, "{\"id\":7,\"x\":\"%0*d\"}",
           (int)(CLIENT_DOCUMENT_BYTES_MAX - strlen("{\"id\":7,\"x\":\"\"}")), 0);
  put(&c, ITEMS "/7", largest);
  transact(&c, "{\"method\":\"patch\",\"path\":\"items/7\",\"body\":{\"id\":null}}");
  assert_failed(&c, 0, 413, "document_too_large");
  free(largest);

  /* As large as the request can be, and without the rest of it. */
  http_parser_free(c.parser);
  c.parser = http_parser_new(2 * CLIENT_DOCUMENT_BYTES_MAX, NULL);
  char *over = large(CLIENT_DOCUMENT_BYTES_MAX + 1);
  struct bytes operations = {0};
  bytes_printf(&operations, PUT_NEW ",{\"method\":\"put\",\"path\":\"items/b\",\"body\":%s}", over);
  bytes_append(&operations, "", 1);
  transact(&c, (char *)operations.data);
  assert_problem(&c, 413, "document_too_large");
  assert_operation(&c, 1);
  bytes_close(&operations);
  free(over);
  free(document);
  client_close(&c);
}

/* Patches can make more of it than the request has: an entry of the log holds 4 MiB. */
static void transactions_that_become_too_large(void **state) {
  (void)state;
  enum { DOCUMENTS = 70 };
  struct client c;
  struct bytes operations = {0};
  char *document = large(CLIENT_DOCUMENT_BYTES_MAX - 100), target[64];
  client_open(&c, LEADER, API_REDIRECT);
  for (int i = 0; i < DOCUMENTS; i++) {
    snprintf(target, sizeof target, ITEMS "/%d", i);
    put(&c, target, document);
    bytes_printf(&operations, "%s{\"method\":\"patch\",\"path\":\"items/%d\",\"body\":{\"y\":1}}",
                 i > 0 ? "," : "", i);
  }
  bytes_append(&operations, "", 1);
  transact(&c, (char *)operations.data);
  assert_problem(&c, 413, "transaction_too_large");
  assert_non_null(strstr(c.body, "\"limit\":4194304"));
  bytes_close(&operations);
  free(document);
  client_close(&c);
}

/* ---- No room, no leader ---- */

static void there_has_to_be_room(void **state) {
  (void)state;
  struct client c;
  client_open_limited(&c, 60);
  transact(&c, "{\"method\":\"put\",\"path\":\"items/a\",\"body\":{\"x\":1}},"
               "{\"method\":\"put\",\"path\":\"items/b\",\"body\":{\"x\":1}},"
               "{\"method\":\"put\",\"path\":\"items/c\",\"body\":{\"x\":1}}");
  assert_false(c.was_proposed);
  assert_problem(&c, 507, "store_full");
  transact(&c, "{\"method\":\"put\",\"path\":\"items/a\",\"body\":{\"x\":1}},"
               "{\"method\":\"put\",\"path\":\"items/b\",\"body\":{\"x\":1}}");
  assert_int_equal(c.status, 200);
  c.view.disk_full = "The disk has no room.";
  transact(&c, "{\"method\":\"delete\",\"path\":\"items/a\"}");
  assert_problem(&c, 507, "disk_full");
  client_close(&c);
}

static void outcomes_that_are_not_known(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{}");
  c.verdict = REPLICA_UNKNOWN;
  transact(&c, PUT_NEW);
  assert_problem(&c, 504, "outcome_unknown");
  c.verdict = REPLICA_BUSY;
  transact(&c, PUT_NEW "," PATCH_A);
  assert_problem(&c, 503, "busy");
  c.verdict = REPLICA_APPLIED;
  c.read_verdict = REPLICA_TOO_LATE;
  transact(&c, PUT_NEW "," PATCH_A);
  assert_problem(&c, 504, "read_timed_out");
  c.read_verdict = REPLICA_BUSY;
  transact(&c, PUT_NEW "," PATCH_A);
  assert_problem(&c, 503, "busy");
  assert_int_equal(store_documents(replica_store(c.replica)), 1);
  client_close(&c);
  client_open(&c, FOLLOWER, API_REDIRECT);
  transact(&c, PUT_NEW);
  assert_problem(&c, 307, "not_leader");
  client_close(&c);
}

/* The client goes at any moment of it: nothing is left behind. */
static void clients_go(void **state) {
  (void)state;
  struct replica_result result;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{\"x\":[1,2,3]}");
  c.budget = 1;
  for (int steps = 0;; steps++) {
    ask_begin(&c, "POST", TRANSACTIONS, JSON KEY("k"),
              slice_of("{\"operations\":[" PUT_NEW "," PATCH_A "]}"));
    for (int i = 0; i < steps && c.next != API_RESPONDED; i++) ask_on(&c);
    if (c.next == API_RESPONDED) break;
    if (!api_cancel(c.replica, &c.call)) {
      assert_int_equal(c.next, API_WAITING);
      assert_true(fake_replica_finish(c.replica, REPLICA_UNKNOWN, &result));
      assert_int_equal(api_complete(c.api, &c.view, c.replica, &c.call, &c, &result, &c.answer),
                       API_RESPONDED);
    }
    api_call_close(&c.call);
    assert_true(steps < 100);
  }
  ask_end(&c);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

/* ---- Keys ---- */

static void transact_once(struct client *c, const char *key, const char *operations) {
  struct bytes headers = {0}, body = {0};
  bytes_printf(&headers, JSON "Idempotency-Key: %s\r\n", key);
  bytes_append(&headers, "", 1);
  bytes_printf(&body, "{\"operations\":[%s]}", operations);
  ask_bytes(c, "POST", TRANSACTIONS, (char *)headers.data, slice_of_bytes(&body));
  bytes_close(&headers);
  bytes_close(&body);
}

static void a_key_makes_it_take_effect_once(void **state) {
  (void)state;
  static const char patch[] =
      "{\"method\":\"patch\",\"path\":\"items/a\",\"body\":"
      "[{\"op\":\"test\",\"path\":\"/n\",\"value\":1},{\"op\":\"replace\",\"path\":\"/n\",\"value\":2}]}";
  static const char create[] =
      "{\"method\":\"put\",\"path\":\"items/new\",\"if_none_match\":\"*\",\"body\":{}}";
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{\"n\":1}"); /* 17 */
  transact_once(&c, "create", create);
  assert_int_equal(c.status, 200);
  transact_once(&c, "create", create);
  assert_int_equal(c.status, 200);
  assert_false(c.was_proposed);
  assert_header(&c, "Idempotency-Replayed", "true");
  assert_header(&c, "ETag", NULL);
  assert_header(&c, "Coracle-Revision", "18");
  assert_string_equal(c.body, "");
  /* Its test would not hold any more. */
  transact_once(&c, "patch", patch);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", NULL);
  transact_once(&c, "patch", patch);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", "true");
  assert_document(&c, ITEMS "/a", "\"19\"", "{\"id\":\"a\",\"n\":2}");
  transact_once(&c, "patch", create);
  assert_problem(&c, 422, "idempotency_key_reused");
  client_close(&c);
}

static void a_key_remembers_what_failed(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (int i = 0; i < 2; i++) {
    transact_once(&c, "k", PUT_NEW ",{\"method\":\"delete\",\"path\":\"items/a\"}");
    assert_failed(&c, 1, 404, "document_not_found");
    assert_header(&c, "Idempotency-Replayed", i == 0 ? NULL : "true");
    if (i == 0) put(&c, ITEMS "/a", "{}");
  }
  for (int i = 0; i < 2; i++) {
    transact_once(&c, "l", "{\"method\":\"post\",\"path\":\"items\",\"body\":{\"id\":\"a\"}}");
    assert_failed(&c, 0, 409, "document_exists");
    assert_int_equal(strstr(c.body, "\"current\"") != NULL, i == 0);
    assert_header(&c, "Idempotency-Replayed", i == 0 ? NULL : "true");
  }
  client_close(&c);
}

/* What comes again to be calculated keeps its key, and decides nothing before. */
static void a_key_waits_for_the_outcome(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, ITEMS "/a", "{}");
  c.between = write_between;
  writes_between = 100;
  transact_once(&c, "k", PATCH_A);
  assert_problem(&c, 409, "write_conflict");
  writes_between = 2;
  transact_once(&c, "k", PATCH_A);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", NULL);
  transact_once(&c, "k", PATCH_A);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", "true");
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_patch_is_calculated_again),
      cmocka_unit_test(not_for_ever),
      cmocka_unit_test(a_condition_is_judged_again),
      cmocka_unit_test(slices_make_no_difference),
      cmocka_unit_test(documents_that_become_too_large),
      cmocka_unit_test(transactions_that_become_too_large),
      cmocka_unit_test(there_has_to_be_room),
      cmocka_unit_test(outcomes_that_are_not_known),
      cmocka_unit_test(clients_go),
      cmocka_unit_test(a_key_makes_it_take_effect_once),
      cmocka_unit_test(a_key_remembers_what_failed),
      cmocka_unit_test(a_key_waits_for_the_outcome),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
