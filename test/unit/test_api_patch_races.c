/* PATCH while others write: what is calculated again because another write came in between, patches that wait
 * for each other, and many at once. */
#include <stdio.h>

#include "patch_case.h"

/* ---- Other writes in between ---- */

static unsigned writes_between; /* so many of the next slices have another write before them */

/* Another client's write, on its way. */
static void propose_write(struct client *c) {
  char body[64];
  const uint64_t revision = store_revision(replica_store(c->replica));
  sprintf(body, "{\"id\":\"a\",\"other\":%u}", (unsigned)revision);
  const struct command command = {
      .type = COMMAND_PUT, .collection = slice_of("items"), .id = slice_of("a"), .body = slice_of(body)};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  command_encode(&command, entry->data);
  replica_propose(c->replica, entry, 0, c);
}

static void finish_write(struct client *c) {
  struct replica_result result;
  assert_true(fake_replica_finish(c->replica, REPLICA_APPLIED, &result));
  store_result_close(&result.store);
}

static void write_between(struct client *c) {
  if (writes_between == 0) return;
  writes_between--;
  propose_write(c);
  finish_write(c);
}

/* None of them is lost, and neither is the patch: it is applied to what they have left. */
static void it_is_calculated_again(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"x\":0}");
  c.between = write_between;
  writes_between = 3;
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_int_equal(c.status, 200);
  assert_int_equal(writes_between, 0);
  assert_string_equal(c.body, "{\"id\":\"a\",\"other\":19,\"x\":1}"); /* of what was written at 20 */
  assert_document(&c, "{\"id\":\"a\",\"other\":19,\"x\":1}", "\"21\"");
  client_close(&c);
}

/* It is in the log before the patch, which cannot know yet what it will leave: found out when both are
 * applied. */
static void what_is_on_its_way_comes_first(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"x\":0}");
  ask_begin(&c, "PATCH", A, MERGE, slice_of("{\"x\":1}"));
  assert_true(ask_on(&c)); /* the document is read */
  propose_write(&c);
  assert_true(ask_on(&c)); /* the patch is proposed */
  assert_int_equal(fake_replica_waiting(c.replica), 2);
  finish_write(&c);
  assert_true(ask_on(&c)); /* in vain */
  assert_int_equal(c.next, API_WORKING);
  while (ask_on(&c)) continue;
  ask_end(&c);
  assert_int_equal(c.status, 200);
  assert_document(&c, "{\"id\":\"a\",\"other\":17,\"x\":1}", "\"20\"");
  client_close(&c);
}

static void not_for_ever(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{}");
  c.between = write_between;
  writes_between = 100;
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_problem(&c, 409, "write_conflict");
  assert_int_equal(writes_between, 100 - 16);
  client_close(&c);
}

static void a_condition_is_judged_again(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{}");
  c.between = write_between;
  writes_between = 1;
  ask(&c, "PATCH", A, MERGE "If-Match: \"17\"\r\n", "{\"x\":1}");
  assert_problem(&c, 412, "precondition_failed");
  assert_header(&c, "ETag", "\"18\"");
  assert_non_null(strstr(c.body, "\"current\":{\"id\":\"a\",\"other\":17}"));
  client_close(&c);
}

static void so_is_a_test(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"other\":1}");
  c.between = write_between;
  writes_between = 1;
  ask(&c, "PATCH", A, PATCH,
      "[{\"op\":\"test\",\"path\":\"/other\",\"value\":1},{\"op\":\"add\",\"path\":\"/x\",\"value\":1}]");
  assert_problem(&c, 422, "patch_test_failed");
  assert_document(&c, "{\"id\":\"a\",\"other\":17}", "\"18\"");
  client_close(&c);
}

static void delete_between(struct client *c) {
  struct replica_result result;
  const struct command command = {
      .type = COMMAND_DELETE, .collection = slice_of("items"), .id = slice_of("a")};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  command_encode(&command, entry->data);
  replica_propose(c->replica, entry, 0, c);
  assert_true(fake_replica_finish(c->replica, REPLICA_APPLIED, &result));
  store_result_close(&result.store);
}

/* What was deleted is not brought back. */
static void a_deletion_is_seen(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{}");
  c.between = delete_between;
  ask(&c, "PATCH", A, MERGE, "{\"x\":1}");
  assert_problem(&c, 404, "document_not_found");
  client_close(&c);
}

static void a_key_comes_along_to_each_attempt(void **state) {
  (void)state;
  struct client c;
  open_with(&c, "{\"x\":0}");
  c.between = write_between;
  writes_between = 2;
  ask(&c, "PATCH", A, MERGE KEY, "{\"x\":1}");
  assert_int_equal(c.status, 200);
  ask(&c, "PATCH", A, MERGE KEY, "{\"x\":1}");
  assert_int_equal(c.status, 200);
  assert_header(&c, "Idempotency-Replayed", "true");
  client_close(&c);
}

/* ---- Many at once ---- */

enum { CALLS = 20, PLACES = 16 };

/* Another client of the same node. */
static void open_another(struct client *other, const struct client *c) {
  *other = *c;
  other->sent = other->answer = other->piece = (struct bytes){0};
  other->call = (struct api_call){0};
}

static void close_another(struct client *other) {
  api_call_close(&other->call);
  bytes_close(&other->sent);
  bytes_close(&other->answer);
  bytes_close(&other->piece);
}

/* Of another document than `a` has begun to patch, or of the same. */
static void begin_both(struct client *a, struct client *b, const char *target) {
  ask_begin(a, "PATCH", A, MERGE, slice_of("{\"x\":1}"));
  ask_begin(b, "PATCH", target, MERGE, slice_of("{\"y\":2}"));
  assert_true(ask_on(a) && ask_on(b)); /* the document is read ... */
  assert_true(ask_on(a) && ask_on(b)); /* ... and patched, by `a` at least */
}

/* Its proposal is applied, and it is told. */
static void finish(struct client *c) {
  struct replica_result result;
  assert_true(fake_replica_finish(c->replica, REPLICA_APPLIED, &result));
  assert_int_equal(api_complete(c->api, &c->view, c->replica, &c->call, c, &result, &c->answer),
                   API_RESPONDED);
  api_call_close(&c->call);
}

/* A patch that waits for another to be applied asks for nothing but that, and does not come into the log in
 * vain. */
static void patches_wait_for_each_other(void **state) {
  (void)state;
  struct client a, b;
  open_with(&a, "{}");
  open_another(&b, &a);
  begin_both(&a, &b, A);
  assert_int_equal(fake_replica_waiting(a.replica), 1);
  assert_int_equal(b.next, API_WAITING);
  const struct replica_read *read = fake_replica_read(b.replica);
  assert_non_null(read);
  assert_false(read->linearizable);
  assert_int_equal(read->min_revision, replica_applied(b.replica) + 1);
  finish(&a);
  while (ask_on(&b)) continue;
  ask_end(&b);
  assert_int_equal(b.status, 200);
  assert_document(&b, "{\"id\":\"a\",\"x\":1,\"y\":2}", "\"19\"");
  close_another(&b);
  client_close(&a);
}

/* The one that waits is told first: what it waits for is there all the same. */
static void the_order_of_results_does_not_matter(void **state) {
  (void)state;
  struct client a, b;
  struct replica_result result;
  open_with(&a, "{}");
  open_another(&b, &a);
  begin_both(&a, &b, A);
  assert_true(fake_replica_finish(a.replica, REPLICA_APPLIED, &result)); /* not handed over yet */
  assert_true(ask_on(&b));                                               /* it may read ... */
  assert_true(ask_on(&b));                                               /* ... and patches at once */
  assert_int_equal(fake_replica_waiting(b.replica), 1);
  a.next = api_complete(a.api, &a.view, a.replica, &a.call, &a, &result, &a.answer);
  assert_int_equal(a.next, API_RESPONDED);
  while (ask_on(&b)) continue;
  ask_end(&b);
  assert_int_equal(b.status, 200);
  assert_document(&b, "{\"id\":\"a\",\"x\":1,\"y\":2}", "\"19\"");
  api_call_close(&a.call);
  close_another(&b);
  client_close(&a);
}

static void patches_of_other_documents_do_not_wait(void **state) {
  (void)state;
  struct client a, b;
  open_with(&a, "{}");
  ask(&a, "PUT", ITEMS "/b", JSON, "{}");
  open_another(&b, &a);
  begin_both(&a, &b, ITEMS "/b");
  assert_int_equal(fake_replica_waiting(a.replica), 2);
  while (ask_on(&a)) continue;
  while (ask_on(&b)) continue;
  ask_end(&a);
  ask_end(&b);
  assert_int_equal(a.status, 200);
  assert_int_equal(b.status, 200);
  close_another(&b);
  client_close(&a);
}

/* Nothing is applied any more: it tries from time to time, and gives up after some seconds. */
static void they_do_not_wait_for_ever(void **state) {
  (void)state;
  struct client a, b;
  unsigned waits = 0;
  open_with(&a, "{}");
  open_another(&b, &a);
  begin_both(&a, &b, A);
  b.read_verdict = REPLICA_TOO_LATE;
  while (b.next != API_RESPONDED) {
    b.view.now_ms += 200;
    waits += b.next == API_WAITING;
    assert_true(ask_on(&b));
  }
  assert_in_range(waits, 12, 26);
  read_answer(&b);
  assert_problem(&b, 409, "write_conflict");
  while (ask_on(&a)) continue;
  ask_end(&a);
  assert_int_equal(a.status, 200);
  close_another(&b);
  client_close(&a);
}

/* Each takes a place while it is calculated, and gives it back however it ends. */
static void a_few_are_calculated_at_a_time(void **state) {
  (void)state;
  struct client c[CALLS];
  open_with(&c[0], "{\"x\":[1,2,3]}");
  for (size_t i = 1; i < CALLS; i++) open_another(&c[i], &c[0]);
  for (size_t i = 0; i < CALLS; i++) {
    c[i].budget = 40; /* it takes several slices */
    ask_begin(&c[i], "PATCH", A, PATCH, slice_of("[{\"op\":\"add\",\"path\":\"/x/0\",\"value\":[0]}]"));
    assert_true(ask_on(&c[i])); /* the document is read */
    assert_true(ask_on(&c[i])); /* the patch begins, if there is a place */
    assert_int_equal(c[i].next, API_WORKING);
  }
  for (size_t i = PLACES; i < CALLS; i++) {
    for (int k = 0; k < 50; k++) assert_true(ask_on(&c[i]));
    assert_int_equal(c[i].next, API_WORKING);
  }
  for (size_t i = 0; i < PLACES; i++) assert_true(api_cancel(c[i].replica, &c[i].call));
  for (size_t i = PLACES; i < CALLS; i++) {
    while (ask_on(&c[i])) continue;
    ask_end(&c[i]);
    assert_int_equal(c[i].status, 200);
  }
  for (size_t i = 1; i < CALLS; i++) close_another(&c[i]);
  assert_document(&c[0], "{\"id\":\"a\",\"x\":[[0],[0],[0],[0],1,2,3]}", "\"21\"");
  client_close(&c[0]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_is_calculated_again),
      cmocka_unit_test(what_is_on_its_way_comes_first),
      cmocka_unit_test(not_for_ever),
      cmocka_unit_test(a_condition_is_judged_again),
      cmocka_unit_test(so_is_a_test),
      cmocka_unit_test(a_deletion_is_seen),
      cmocka_unit_test(a_key_comes_along_to_each_attempt),
      cmocka_unit_test(patches_wait_for_each_other),
      cmocka_unit_test(the_order_of_results_does_not_matter),
      cmocka_unit_test(patches_of_other_documents_do_not_wait),
      cmocka_unit_test(they_do_not_wait_for_ever),
      cmocka_unit_test(a_few_are_calculated_at_a_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
