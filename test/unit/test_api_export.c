/* Goal: a collection as NDJSON is all of it, as of one revision, a document a line, byte for byte but for
 * line breaks; in slices of any size, to any client, and never much at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api_client.h"
#include "store/view.h"

#define ITEMS "/v1/collections/items"
#define NDJSON "Accept: application/x-ndjson\r\n"

/* As other clients do it: not through the client under test. */
static void change(struct client *c, enum command_type type, const char *collection, const char *id,
                   const char *body) {
  const struct command command = {
      .type = type, .collection = slice_of(collection), .id = slice_of(id), .body = slice_of(body)};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  struct replica_result result;
  command_encode(&command, entry->data);
  replica_propose(c->replica, entry, 0, c);
  assert_true(fake_replica_finish(c->replica, REPLICA_APPLIED, &result));
  store_result_close(&result.store);
  c->view.applied = replica_applied(c->replica);
}

static void put(struct client *c, const char *id, const char *body) {
  change(c, COMMAND_PUT, "items", id, body);
}

/* Documents 00000 to `count` - 1 and what their export is, which the caller closes. */
static struct bytes fill(struct client *c, int count) {
  struct bytes wanted = {0};
  for (int i = 0; i < count; i++) {
    char id[16], body[64];
    snprintf(id, sizeof id, "%05d", i);
    snprintf(body, sizeof body, "{\"id\":\"%05d\",\"x\":[%d,\"%.*s\"]}", i, i * 7, i % 20,
             "xxxxxxxxxxxxxxxxxxxx");
    put(c, id, body);
    bytes_append_string(&wanted, body);
    bytes_append_string(&wanted, "\n");
  }
  return wanted;
}

static void assert_body(const struct client *c, const struct bytes *wanted) {
  if (c->body_bytes == wanted->n && memcmp(c->body, wanted->data, wanted->n) == 0) return;
  fail_msg("%zu bytes are not the %zu wanted: %.300s", c->body_bytes, wanted->n, c->body);
}

static void a_collection_comes_line_by_line(void **state) {
  (void)state;
  for (int which = LEADER; which <= FOLLOWER; which++) {
    struct client c;
    client_open(&c, (enum client_view)which, API_REDIRECT);
    change(&c, COMMAND_PUT, "itemr", "a", "{}");
    change(&c, COMMAND_PUT, "items2", "a", "{}");
    struct bytes wanted = fill(&c, 300);
    ask(&c, "GET", ITEMS, NDJSON, NULL);
    assert_int_equal(c.status, 200);
    assert_true(c.was_read);
    assert_true(c.read.linearizable);
    assert_header(&c, "Content-Type", "application/x-ndjson");
    assert_header(&c, "Transfer-Encoding", "chunked");
    assert_header(&c, "Content-Length", NULL);
    assert_header(&c, "Connection", NULL);
    assert_header(&c, "Cache-Control", "no-store");
    assert_header(&c, "X-Total-Count", "300");
    assert_header(&c, "Coracle-Revision", "318");
    assert_header(&c, "Link", NULL);
    assert_body(&c, &wanted);
    bytes_close(&wanted);
    client_close(&c);
  }
}

static void an_unknown_one_is_empty(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "GET", ITEMS, NDJSON, NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "X-Total-Count", "0");
  assert_int_equal(c.body_bytes, 0);
  client_close(&c);
}

static void line_breaks_become_spaces(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  put(&c, "a", "{\r\n  \"id\": \"a\",\n\t\"x\": \"\\n\\r\"\r}");
  put(&c, "b", "{\"id\":\"b\"}");
  ask(&c, "GET", ITEMS, NDJSON, NULL);
  assert_string_equal(c.body, "{    \"id\": \"a\", \t\"x\": \"\\n\\r\" }\n{\"id\":\"b\"}\n");
  client_close(&c);
}

static void slices_of_any_size_give_the_same(void **state) {
  (void)state;
  static const size_t budgets[] = {1, 2, 100, 257, 1000, 5000, 1024 * 1024};
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  struct bytes wanted = fill(&c, 500);
  for (size_t i = 0; i < sizeof budgets / sizeof *budgets; i++) {
    c.budget = budgets[i];
    ask(&c, "GET", ITEMS, NDJSON, NULL);
    assert_body(&c, &wanted);
    if (i == 0) assert_true(c.slices >= 500);
  }
  assert_int_equal(c.slices, 1);
  bytes_close(&wanted);
  client_close(&c);
}

/* Each slice a document is replaced, one deleted and one added, before and behind where the export is. */
static void write_behind(struct client *c) {
  char id[16];
  const int n = (int)c->slices;
  snprintf(id, sizeof id, "%05d", n * 37 % 400);
  put(c, id, "{\"new\":true}");
  snprintf(id, sizeof id, "%05d", n * 41 % 400);
  change(c, COMMAND_DELETE, "items", id, "");
  snprintf(id, sizeof id, "%05dx", n * 43 % 400);
  put(c, id, "{\"new\":true}");
}

static void it_is_as_of_one_revision(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  struct bytes wanted = fill(&c, 400);
  c.budget = 1;
  c.between = write_behind;
  ask(&c, "GET", ITEMS, NDJSON, NULL);
  assert_true(c.slices >= 400);
  assert_header(&c, "X-Total-Count", "400");
  assert_header(&c, "Coracle-Revision", "416");
  assert_body(&c, &wanted);
  bytes_close(&wanted);
  client_close(&c);
}

static void the_collection_may_be_dropped_meanwhile(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  struct bytes wanted = fill(&c, 100);
  c.budget = 1;
  ask_begin(&c, "GET", ITEMS, NDJSON, (struct slice){0});
  for (int i = 0; i < 5; i++) assert_true(ask_on(&c));
  const struct command drop = {.type = COMMAND_DROP, .collection = slice_of("items")};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&drop));
  struct replica_result result;
  command_encode(&drop, entry->data);
  replica_propose(c.replica, entry, 0, &c);
  assert_true(fake_replica_finish(c.replica, REPLICA_APPLIED, &result));
  store_result_close(&result.store);
  while (ask_on(&c)) continue;
  ask_end(&c);
  assert_body(&c, &wanted);
  ask(&c, "GET", ITEMS, NDJSON, NULL);
  assert_header(&c, "X-Total-Count", "0");
  assert_int_equal(c.body_bytes, 0);
  bytes_close(&wanted);
  client_close(&c);
}

static void limit_and_after_bound_it(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  struct bytes wanted = fill(&c, 2000);
  for (size_t budget = 1; budget < 10000000; budget *= 9999999) {
    c.budget = budget;
    ask(&c, "GET", ITEMS "?limit=1500", NDJSON, NULL); /* more than a page may have */
    assert_header(&c, "X-Total-Count", "2000");
    assert_header(&c, "Link", NULL);
    assert_true(memcmp(c.body, wanted.data, c.body_bytes) == 0);
    assert_non_null(strstr(c.body, "\"01499\""));
    assert_null(strstr(c.body, "\"01500\""));
    const size_t first = c.body_bytes;
    ask(&c, "GET", ITEMS "?after=01499&consistency=stale", NDJSON, NULL);
    assert_false(c.was_read);
    assert_header(&c, "X-Total-Count", "2000");
    assert_int_equal(first + c.body_bytes, wanted.n);
    assert_true(memcmp(c.body, wanted.data + first, c.body_bytes) == 0);
    ask(&c, "GET", ITEMS "?limit=1&after=01998x", NDJSON, NULL);
    assert_non_null(strstr(c.body, "\"01999\""));
    ask(&c, "GET", ITEMS "?after=01999", NDJSON, NULL);
    assert_int_equal(c.body_bytes, 0);
  }
  ask(&c, "GET", ITEMS "?limit=0", NDJSON, NULL);
  assert_problem(&c, 400, "invalid_parameter");
  ask(&c, "GET", ITEMS "?limit=1001", "Accept: application/json\r\n", NULL);
  assert_problem(&c, 400, "invalid_parameter");
  bytes_close(&wanted);
  client_close(&c);
}

static void consistency_is_as_for_other_reads(void **state) {
  (void)state;
  struct client c;
  client_open(&c, FOLLOWER, API_REDIRECT);
  struct bytes wanted = fill(&c, 3);
  ask(&c, "GET", ITEMS "?consistency=stale&max_stale_ms=100", NDJSON, NULL);
  assert_header(&c, "Coracle-Staleness-Ms", "23");
  assert_body(&c, &wanted);
  ask(&c, "GET", ITEMS "?consistency=stale&max_stale_ms=10", NDJSON, NULL);
  assert_problem(&c, 503, "too_stale");
  ask(&c, "GET", ITEMS "?min_revision=19", NDJSON, NULL);
  assert_int_equal(c.read.min_revision, 19);
  assert_body(&c, &wanted);
  c.read_verdict = REPLICA_TOO_LATE;
  ask(&c, "GET", ITEMS, NDJSON, NULL);
  assert_problem(&c, 504, "read_timed_out");
  bytes_close(&wanted);
  client_close(&c);
}

static void head_has_the_headers_alone(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  struct bytes wanted = fill(&c, 3);
  ask_begin(&c, "HEAD", ITEMS, NDJSON, (struct slice){0});
  while (ask_on(&c)) continue;
  const struct slice answer = slice_of_bytes(&c.answer);
  assert_memory_equal(answer.at + answer.n - 4, "\r\n\r\n", 4);
  assert_int_equal(c.slices, 0);
  *bytes_reserve(&c.answer, 1) = '\0';
  c.body = (char *)c.answer.data + c.answer.n;
  assert_header(&c, "X-Total-Count", "3");
  assert_header(&c, "Content-Type", "application/x-ndjson");
  assert_header(&c, "Transfer-Encoding", "chunked");
  api_call_close(&c.call);
  bytes_close(&wanted);
  client_close(&c);
}

static void one_that_knows_no_chunks_gets_none(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  struct bytes wanted = fill(&c, 300);
  struct http_error error;
  c.budget = 1000;
  c.sent.n = 0;
  bytes_append_string(&c.sent, "GET " ITEMS " HTTP/1.0\r\nHost: 127.0.0.1:8001\r\n" NDJSON "\r\n");
  assert_int_equal(http_parser_execute(c.parser, c.sent.data, c.sent.n, &c.taken, &c.request, &error),
                   HTTP_REQUEST_READY);
  c.next = api_request(c.api, &c.view, c.replica, &c.request, &c.call, &c, &c.answer);
  while (ask_on(&c)) continue;
  ask_end(&c);
  assert_header(&c, "Transfer-Encoding", NULL);
  assert_header(&c, "Connection", "close");
  assert_body(&c, &wanted);
  bytes_close(&wanted);
  client_close(&c);
}

/* Ten documents of 60,000 bytes: what a slice gives is what may be ahead, and little more than that in all.
 */
static void never_much_at_a_time(void **state) {
  (void)state;
  struct client c;
  struct bytes body = {0}, wanted = {0};
  client_open(&c, LEADER, API_REDIRECT);
  bytes_append_string(&body, "{\"x\":\"");
  for (int i = 0; i < 60000; i++) bytes_append_string(&body, "y");
  bytes_append_string(&body, "\"}");
  bytes_append(&body, "", 1);
  for (char id[] = "0"; *id <= '9'; ++*id) {
    put(&c, id, (const char *)body.data);
    bytes_append(&wanted, body.data, body.n - 1);
    bytes_append_string(&wanted, "\n");
  }
  ask_begin(&c, "GET", ITEMS, NDJSON, (struct slice){0});
  while (ask_on(&c)) assert_true(c.piece.n <= API_STREAM_BYTES + 64);
  assert_true(c.call.streams); /* so that each piece leaves at once */
  assert_true(c.slices > 9 && c.slices < 20);
  ask_end(&c);
  assert_body(&c, &wanted);
  bytes_close(&body);
  bytes_close(&wanted);
  client_close(&c);
}

/* What is in `out` already counts. */
static void a_full_output_gets_no_more(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  struct bytes wanted = fill(&c, 10), out = {0};
  size_t budget = 1000;
  ask_begin(&c, "GET", ITEMS, NDJSON, (struct slice){0});
  assert_true(ask_on(&c)); /* the read */
  bytes_reserve(&out, API_STREAM_BYTES);
  memset(out.data, 'x', API_STREAM_BYTES);
  out.n = API_STREAM_BYTES;
  assert_int_equal(api_work(c.api, &c.view, c.replica, &c.call, &c, &budget, &out), API_WORKING);
  assert_int_equal(out.n, API_STREAM_BYTES);
  assert_int_equal(budget, 1000);
  while (ask_on(&c)) continue;
  ask_end(&c);
  assert_body(&c, &wanted);
  bytes_close(&out);
  bytes_close(&wanted);
  client_close(&c);
}

/* Whose clients go, at any moment, they leave nothing behind (the sanitizers would see it), and make room. */
static void clients_that_go_make_room_for_others(void **state) {
  (void)state;
  enum { EXPORTS_MAX = 32 };
  static struct client several[EXPORTS_MAX];
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  struct bytes wanted = fill(&c, 20);
  struct api_call calls[EXPORTS_MAX];
  struct bytes out = {0};
  c.budget = 1;
  for (int i = 0; i < EXPORTS_MAX; i++) {
    struct http_error error;
    size_t budget = 1;
    c.sent.n = 0;
    bytes_append_string(&c.sent,
                        "GET " ITEMS "?consistency=stale HTTP/1.1\r\nHost: 127.0.0.1:8001\r\n" NDJSON "\r\n");
    assert_int_equal(http_parser_execute(c.parser, c.sent.data, c.sent.n, &c.taken, &c.request, &error),
                     HTTP_REQUEST_READY);
    assert_int_equal(api_request(c.api, &c.view, c.replica, &c.request, &calls[i], &several[i], &out),
                     API_WORKING);
    for (int slice = 0; slice < i % 20; slice++)
      assert_int_equal(api_work(c.api, &c.view, c.replica, &calls[i], &several[i], &budget, &out),
                       API_WORKING);
  }
  ask(&c, "GET", ITEMS, NDJSON, NULL);
  assert_problem(&c, 503, "busy");
  ask(&c, "GET", ITEMS, NULL, NULL);
  assert_int_equal(c.status, 200);
  for (int i = 0; i < EXPORTS_MAX; i++) {
    change(&c, COMMAND_DELETE, "items", "00007", "");
    put(&c, "00007", "{\"id\":\"00007\",\"x\":[49,\"xxxxxxx\"]}");
    if (i % 2 == 0) assert_true(api_cancel(c.replica, &calls[i]));
    api_call_close(&calls[i]);
    ask(&c, "GET", ITEMS, NDJSON, NULL);
    assert_body(&c, &wanted);
  }
  bytes_close(&out);
  bytes_close(&wanted);
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_collection_comes_line_by_line),
      cmocka_unit_test(an_unknown_one_is_empty),
      cmocka_unit_test(line_breaks_become_spaces),
      cmocka_unit_test(slices_of_any_size_give_the_same),
      cmocka_unit_test(it_is_as_of_one_revision),
      cmocka_unit_test(the_collection_may_be_dropped_meanwhile),
      cmocka_unit_test(limit_and_after_bound_it),
      cmocka_unit_test(consistency_is_as_for_other_reads),
      cmocka_unit_test(head_has_the_headers_alone),
      cmocka_unit_test(one_that_knows_no_chunks_gets_none),
      cmocka_unit_test(never_much_at_a_time),
      cmocka_unit_test(a_full_output_gets_no_more),
      cmocka_unit_test(clients_that_go_make_room_for_others),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
