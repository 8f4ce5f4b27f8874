/* Goal: an import is a write a line: each succeeds or fails alone and has its result line, in order, however
 * the bytes come and however the slices fall; and what the log does to a batch is said of each of its lines.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api_client.h"

#define ITEMS "/v1/collections/items"
#define NDJSON "Content-Type: application/x-ndjson\r\n"

static void import(struct client *c, const char *query, const char *headers, const char *lines) {
  char target[128], all[256];
  snprintf(target, sizeof target, ITEMS "%s", query);
  snprintf(all, sizeof all, NDJSON "%s", headers);
  ask(c, "POST", target, all, lines);
}

/* The result of the n-th result line, from 0 on; borrowed from *results. */
static json_t *results_of(const struct client *c) {
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

static int integer(json_t *results, size_t n, const char *name) {
  json_t *value = json_object_get(json_array_get(results, n), name);
  return json_is_integer(value) ? (int)json_integer_value(value) : -1;
}

static const char *string(json_t *results, size_t n, const char *name) {
  const char *value = json_string_value(json_object_get(json_array_get(results, n), name));
  return value ? value : "";
}

static const struct store_record *stored(const struct client *c, const char *id) {
  return store_get(replica_store(c->replica), slice_of("items"), slice_of(id));
}

static void assert_stored(const struct client *c, const char *id, const char *body) {
  const struct store_record *record = stored(c, id);
  if (record == NULL) fail_msg("%s is not there", id);
  if (!slice_is(store_record_body(record), body))
    fail_msg("%s is %.*s", id, (int)record->body_bytes, store_record_body(record).at);
}

/* ---- Lines ---- */

static void each_line_has_its_result(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  import(&c, "", "", "{\"id\":\"a\",\"x\":1.10}\n { \"id\" : \"b\" } \n{\"id\":\"a\"}\n{\"id\":\"c\"}\n");
  assert_int_equal(c.status, 200);
  assert_true(c.was_proposed);
  assert_header(&c, "Content-Type", "application/x-ndjson");
  assert_header(&c, "Transfer-Encoding", "chunked");
  assert_header(&c, "Connection", NULL);
  assert_header(&c, "Cache-Control", "no-store");
  assert_string_equal(
      c.body,
      "{\"line\":1,\"status\":201,\"id\":\"a\",\"revision\":17}\n"
      "{\"line\":2,\"status\":201,\"id\":\"b\",\"revision\":17}\n"
      "{\"line\":3,\"status\":409,\"id\":\"a\",\"code\":\"document_exists\",\"detail\":\"The document is "
      "left as it is; import with existing=replace to replace it.\"}\n"
      "{\"line\":4,\"status\":201,\"id\":\"c\",\"revision\":17}\n");
  assert_stored(&c, "a", "{\"id\":\"a\",\"x\":1.10}");
  assert_stored(&c, "b", "{ \"id\" : \"b\" }");
  client_close(&c);
}

static void existing_documents_are_replaced_on_demand(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  import(&c, "?existing=fail", "", "{\"id\":\"a\",\"x\":1}\n");
  import(&c, "?existing=replace", "", "{\"id\":\"a\",\"x\":2}\n{\"id\":\"b\"}\n{\"id\":\"a\",\"x\":3}");
  assert_string_equal(c.body, "{\"line\":1,\"status\":200,\"id\":\"a\",\"revision\":18}\n"
                              "{\"line\":2,\"status\":201,\"id\":\"b\",\"revision\":18}\n"
                              "{\"line\":3,\"status\":200,\"id\":\"a\",\"revision\":18}\n");
  assert_stored(&c, "a", "{\"id\":\"a\",\"x\":3}");
  import(&c, "?existing=maybe", "", "{}\n");
  assert_problem(&c, 400, "invalid_parameter");
  assert_header(&c, "Connection", "close");
  ask(&c, "POST", ITEMS "?existing=replace", JSON, "{}");
  assert_problem(&c, 400, "invalid_parameter");
  client_close(&c);
}

static void ids_come_from_the_line_or_are_made(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  import(&c, "", "",
         "{\"id\":17,\"x\":1}\n{}\n{\"x\":2}\n{\"id\":\"\\u00e9\"}\n{\"id\":1.5}\n{\"id\":\"\"}\n{\"id\":"
         "null}\n");
  json_t *results = results_of(&c);
  assert_int_equal(json_array_size(results), 7);
  assert_string_equal(string(results, 0, "id"), "17");
  assert_stored(&c, "17", "{\"id\":17,\"x\":1}");
  assert_int_equal(strlen(string(results, 1, "id")), 26);
  assert_true(strcmp(string(results, 1, "id"), string(results, 2, "id")) < 0);
  char wanted[64];
  snprintf(wanted, sizeof wanted, "{\"id\":\"%s\",\"x\":2}", string(results, 2, "id"));
  assert_stored(&c, string(results, 2, "id"), wanted);
  assert_stored(&c, "\xc3\xa9", "{\"id\":\"\\u00e9\"}");
  for (size_t i = 4; i < 7; i++) {
    assert_int_equal(integer(results, i, "status"), 400);
    assert_string_equal(string(results, i, "code"), "invalid_id");
  }
  json_decref(results);
  client_close(&c);
}

static void a_bad_line_fails_alone(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  import(&c, "", "",
         "{\"id\":\"a\"}\n{\"x\":}\nnull\n{\"x\":1,\"x\":2}\n{\"id\":\"b\"} "
         "{}\n\xef\xbb\xbf{}\n{\"id\":\"c\"}\n");
  static const struct {
    int status;
    const char *code;
    int offset;
  } wanted[] = {{201, "", -1},
                {400, "invalid_json", 5},
                {400, "not_an_object", -1},
                {400, "invalid_json", 7},
                {400, "invalid_json", 11},
                {400, "invalid_json", 0},
                {201, "", -1}};
  json_t *results = results_of(&c);
  assert_int_equal(json_array_size(results), 7);
  for (size_t i = 0; i < 7; i++) {
    assert_int_equal(integer(results, i, "line"), i + 1);
    assert_int_equal(integer(results, i, "status"), wanted[i].status);
    assert_string_equal(string(results, i, "code"), wanted[i].code);
    assert_int_equal(integer(results, i, "offset"), wanted[i].offset);
    if (wanted[i].status == 400) assert_non_null(strchr(string(results, i, "detail"), ' '));
  }
  json_decref(results);
  assert_non_null(stored(&c, "c"));
  client_close(&c);
}

static void empty_lines_count_and_say_nothing(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  import(&c, "", "", "\n\r\n{\"id\":\"a\"}\r\n \t\n\n{\"id\":\"b\"}");
  assert_string_equal(c.body, "{\"line\":3,\"status\":201,\"id\":\"a\",\"revision\":17}\n"
                              "{\"line\":6,\"status\":201,\"id\":\"b\",\"revision\":17}\n");
  import(&c, "", "", "\n\n\n");
  assert_int_equal(c.status, 200);
  assert_int_equal(c.body_bytes, 0);
  assert_false(c.was_proposed);
  import(&c, "", "", "");
  assert_int_equal(c.status, 200);
  assert_header(&c, "Content-Type", "application/x-ndjson");
  assert_int_equal(c.body_bytes, 0);
  client_close(&c);
}

static void minimal_says_only_what_failed(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  import(&c, "", "Prefer: return=minimal\r\n", "{\"id\":\"a\"}\n{\n{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
  assert_header(&c, "Preference-Applied", "return=minimal");
  json_t *results = results_of(&c);
  assert_int_equal(json_array_size(results), 2);
  assert_int_equal(integer(results, 0, "line"), 2);
  assert_int_equal(integer(results, 1, "line"), 3);
  assert_int_equal(integer(results, 1, "status"), 409);
  json_decref(results);
  import(&c, "", "Prefer: return=minimal\r\n", "{\"id\":\"c\"}\n");
  assert_int_equal(c.status, 200);
  assert_int_equal(c.body_bytes, 0);
  assert_non_null(stored(&c, "c"));
  client_close(&c);
}

/* ---- Pieces and slices ---- */

/* What depends on how the lines fall into batches. */
static void append_without_revisions(struct bytes *out, const char *text) {
  for (const char *at; (at = strstr(text, "\"revision\":")) != NULL; text = at + strcspn(at, "}"))
    bytes_append(out, text, (size_t)(at - text));
  bytes_append_string(out, text);
}

/* Also that of what is stored. */
static void pieces_and_slices_of_any_size_give_the_same(void **state) {
  (void)state;
  static const size_t sizes[] = {1, 2, 3, 7, 64, 1000, 100000};
  struct bytes lines = {0}, first = {0}, text = {0};
  struct state_hash hash = {0};
  for (int i = 0; i < 700; i++) {
    bytes_printf(&lines, "{\"id\":\"%03d\",\"x\":\"%.*s\"}%s\n", i % 650, i % 30,
                 "------------------------------", i % 5 == 0 ? "\r" : "");
    if (i % 50 == 0) bytes_append_string(&lines, "\n{\"x\":tru}\n");
    if (i % 350 == 77) bytes_printf(&lines, "{\"x\":\"%0*d\"}\r\n", CLIENT_DOCUMENT_BYTES_MAX + i, 0);
  }
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
    for (int budgets = 0; budgets < 2; budgets++) {
      struct client c;
      client_open(&c, LEADER, API_REDIRECT);
      c.piece_bytes = sizes[i];
      c.budget = budgets == 0 ? 1 : 0;
      ask_bytes(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
      assert_int_equal(c.status, 200);
      text.n = 0;
      append_without_revisions(&text, c.body);
      if (first.n == 0) bytes_append_slice(&first, slice_of_bytes(&text));
      assert_true(slice_equal(slice_of_bytes(&first), slice_of_bytes(&text)));
      assert_int_equal(store_documents(replica_store(c.replica)), 650);
      if (i > 0 && sizes[i] == 100000) { /* the same batches, so the same revisions */
        if (budgets == 0) hash = store_state_hash(replica_store(c.replica));
        assert_true(state_hash_equal(hash, store_state_hash(replica_store(c.replica))));
      }
      client_close(&c);
    }
  }
  bytes_close(&lines);
  bytes_close(&first);
  bytes_close(&text);
}

/* A thousand lines that come at once are four entries; long ones are batched by their bytes. */
static void lines_share_entries_of_the_log(void **state) {
  (void)state;
  struct client c;
  struct bytes lines = {0};
  client_open(&c, LEADER, API_REDIRECT);
  for (int i = 0; i < 1000; i++) bytes_printf(&lines, "{\"id\":\"%d\"}\n", i);
  ask_bytes(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
  assert_int_equal(replica_applied(c.replica), 16 + 4);
  lines.n = 0;
  for (int i = 0; i < 10; i++) bytes_printf(&lines, "{\"id\":\"a%d\",\"x\":\"%060000d\"}\n", i, i);
  ask_bytes(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
  assert_int_equal(replica_applied(c.replica), 20 + 3); /* four in a quarter of a mebibyte */
  assert_int_equal(store_documents(replica_store(c.replica)), 1010);
  bytes_close(&lines);
  client_close(&c);
}

/* A line of the limit is stored, one of a byte more is not, and of one that is much longer nothing is kept.
 */
static void too_long_a_line_fails_alone(void **state) {
  (void)state;
  static const char *const ends[] = {"\n", "\r\n"};
  for (int i = 0; i < 2; i++) {
    for (size_t piece = 1000; piece <= 100000; piece *= 100) {
      struct client c;
      struct bytes lines = {0};
      const int room = CLIENT_DOCUMENT_BYTES_MAX - (int)strlen("{\"id\":\"a\",\"x\":\"\"}");
      client_open(&c, LEADER, API_REDIRECT);
      c.piece_bytes = piece;
      bytes_printf(&lines, "{\"id\":\"a\",\"x\":\"%0*d\"}%s", room, 0, ends[i]);
      bytes_printf(&lines, "{\"id\":\"b\",\"x\":\"%0*d\"}%s", room + 1, 0, ends[i]);
      bytes_printf(&lines, "{\"id\":\"c\",\"x\":\"%0*d\"}%s", 50 * CLIENT_DOCUMENT_BYTES_MAX, 0, ends[i]);
      bytes_printf(&lines, "{\"x\":\"%0*d\"}%s", room, 0, ends[i]); /* with its id it would be */
      bytes_printf(&lines, "{\"id\":\"d\",\"x\":\"%0*d\"}", room, 0);
      ask_begin(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
      while (ask_on(&c)) assert_true(c.call.body.capacity <= 2 * (c.call.body_bytes_max + piece));
      ask_end(&c);
      json_t *results = results_of(&c);
      assert_int_equal(json_array_size(results), 5);
      for (size_t n = 0; n < 5; n++) {
        const bool fits = n == 0 || n == 4;
        assert_int_equal(integer(results, n, "line"), n + 1);
        assert_int_equal(integer(results, n, "status"), fits ? 201 : 413);
        if (!fits) assert_string_equal(string(results, n, "code"), "document_too_large");
        if (!fits) assert_non_null(strstr(string(results, n, "detail"), "65536"));
      }
      json_decref(results);
      bytes_close(&lines);
      client_close(&c);
    }
  }
  struct client c;
  struct bytes lines = {0};
  client_open(&c, LEADER, API_REDIRECT);
  bytes_printf(&lines, "%0*d", 2 * CLIENT_DOCUMENT_BYTES_MAX, 0); /* whose end never comes */
  ask_bytes(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
  assert_non_null(strstr(c.body, "{\"line\":1,\"status\":413,"));
  bytes_close(&lines);
  client_close(&c);
}

/* ---- The log ---- */

static struct bytes many_lines(int count) {
  struct bytes lines = {0};
  for (int i = 0; i < count; i++) bytes_printf(&lines, "{\"id\":\"%04d\"}\n", i);
  return lines;
}

/* Of those from `first` on. */
static void assert_results(const struct client *c, size_t first, size_t n, int status, const char *code) {
  json_t *results = results_of(c);
  assert_true(first + n <= json_array_size(results));
  for (size_t i = first; i < first + n; i++) {
    assert_int_equal(integer(results, i, "line"), i + 1);
    if (integer(results, i, "status") != status || strcmp(string(results, i, "code"), code) != 0)
      fail_msg("line %zu: %d %s", i + 1, integer(results, i, "status"), string(results, i, "code"));
  }
  json_decref(results);
}

/* The second batch of 256 lines has another verdict. */
static void import_with_verdict(struct client *c, enum replica_verdict verdict) {
  struct bytes lines = many_lines(1000);
  client_open(c, LEADER, API_REDIRECT);
  ask_begin(c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
  for (int batches = 0; c->next != API_RESPONDED;) {
    c->verdict = batches == 1 ? verdict : REPLICA_APPLIED;
    if (c->next == API_WAITING) batches++;
    assert_true(ask_on(c));
  }
  ask_end(c);
  assert_int_equal(c->status, 200);
  bytes_close(&lines);
}

static void a_batch_of_unknown_outcome_ends_it(void **state) {
  (void)state;
  struct client c;
  import_with_verdict(&c, REPLICA_UNKNOWN);
  assert_results(&c, 0, 256, 201, "");
  assert_results(&c, 256, 256, 504, "outcome_unknown");
  assert_results(&c, 512, 488, 503, "not_leader");
  assert_int_equal(store_documents(replica_store(c.replica)), 256);
  client_close(&c);
}

static void without_the_lead_no_more_is_tried(void **state) {
  (void)state;
  struct client c;
  import_with_verdict(&c, REPLICA_NOT_LEADER);
  assert_results(&c, 0, 256, 201, "");
  assert_results(&c, 256, 744, 503, "not_leader");
  assert_int_equal(store_documents(replica_store(c.replica)), 256);
  client_close(&c);
}

static void what_was_too_much_may_be_sent_again(void **state) {
  (void)state;
  struct client c;
  import_with_verdict(&c, REPLICA_BUSY);
  assert_results(&c, 0, 256, 201, "");
  assert_results(&c, 256, 256, 503, "busy");
  assert_results(&c, 512, 488, 201, "");
  client_close(&c);
}

static void depose(struct client *c) {
  if (c->slices < 2) return; /* in the first there is nothing yet */
  c->view.role = CORACLE_RAFT_FOLLOWER;
  c->view.leader = NULL;
  c->view.no_leader_reason = "need 2 of 3 voters, reached 1";
}

static void stop_writes(struct client *c) {
  c->view.writes_stopped = c->slices == 2 ? "The leader is giving up its place." : NULL;
}

static void fill_disk(struct client *c) {
  c->view.disk_full = c->slices == 2 ? "There is no room on the disk of b." : NULL;
}

static void elect_anew(struct client *c) {
  c->view.committed_own_term = c->slices != 2;
}

/* What is known before anything is proposed. */
static void a_leader_that_takes_none_says_so(void **state) {
  (void)state;
  static const struct {
    void (*between)(struct client *);
    int status;
    const char *code;
    bool for_good;
  } cases[] = {{depose, 503, "no_leader", true},
               {stop_writes, 503, "writes_stopped", false},
               {fill_disk, 507, "disk_full", false},
               {elect_anew, 503, "not_ready", false}};
  for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
    struct client c;
    struct bytes lines = many_lines(768);
    client_open(&c, LEADER, API_REDIRECT);
    c.between = cases[i].between; /* each slice ends with a batch */
    ask_bytes(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
    assert_results(&c, 0, 256, 201, "");
    assert_results(&c, 256, 256, cases[i].status, cases[i].code);
    if (cases[i].for_good) assert_results(&c, 512, 256, cases[i].status, cases[i].code);
    bytes_close(&lines);
    client_close(&c);
  }
}

static void each_line_needs_room(void **state) {
  (void)state;
  struct client c;
  client_open_limited(&c, 150);
  import(&c, "", "",
         "{\"id\":\"a\",\"x\":\"--------------------------------------------------\"}\n"
         "{\"id\":\"b\",\"x\":\"--------------------------------------------------"
         "--------------------------------------------------\"}\n"
         "{\"id\":\"c\"}\n");
  assert_results(&c, 0, 1, 201, "");
  assert_results(&c, 1, 1, 507, "store_full");
  assert_results(&c, 2, 1, 201, "");
  assert_null(stored(&c, "b"));
  client_close(&c);
}

/* ---- The head ---- */

static void what_is_for_one_document_is_refused(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  import(&c, "", "If-None-Match: *\r\n", "{}\n");
  assert_problem(&c, 400, "invalid_precondition");
  assert_header(&c, "Connection", "close");
  import(&c, "", "If-Match: \"17\"\r\n", "{}\n");
  assert_problem(&c, 400, "invalid_precondition");
  import(&c, "", "Idempotency-Key: k\r\n", "{}\n");
  assert_problem(&c, 400, "invalid_idempotency_key");
  assert_header(&c, "Connection", "close");
  assert_int_equal(store_documents(replica_store(c.replica)), 0);
  client_close(&c);
}

static void others_than_the_leader_send_it_there(void **state) {
  (void)state;
  for (int writes = API_REDIRECT; writes <= API_FORWARD_WRITES; writes++) {
    struct client c;
    client_open(&c, FOLLOWER, (enum api_follower_writes)writes);
    import(&c, "?existing=replace", "", "{}\n");
    assert_problem(&c, writes == API_REJECT ? 403 : 307, "not_leader");
    if (writes != API_REJECT)
      assert_header(&c, "Location", "http://127.0.0.1:8002" ITEMS "?existing=replace");
    assert_header(&c, "Connection", "close");
    client_close(&c);
  }
  struct client c;
  client_open(&c, LEADERLESS, API_FORWARD_WRITES);
  import(&c, "", "", "{}\n");
  assert_problem(&c, 503, "no_leader");
  assert_header(&c, "Connection", "close");
  client_close(&c);
}

static void it_is_for_collections_only(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "PUT", ITEMS "/a", NDJSON, "{}\n");
  assert_problem(&c, 415, "unsupported_media_type");
  assert_header(&c, "Connection", "close");
  ask(&c, "POST", ITEMS "/a", NDJSON, "{}\n");
  assert_problem(&c, 405, "method_not_allowed");
  assert_header(&c, "Connection", "close");
  ask(&c, "POST", ITEMS, "Content-Type: application/ndjson\r\n", "{}\n");
  assert_problem(&c, 415, "unsupported_media_type");
  ask(&c, "POST", ITEMS, NDJSON NDJSON, "{}\n");
  assert_problem(&c, 415, "unsupported_media_type");
  client_close(&c);
}

/* A client that waits for 100 Continue gets that before anything else. */
static void nothing_is_said_before_there_is_something(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  c.piece_bytes = 1;
  ask_begin(&c, "POST", ITEMS, NDJSON, slice_of("{\"id\":\"a\"}\n{\"id\":\"b\"}\n"));
  while (!c.was_proposed) {
    assert_int_equal(c.answer.n, 0);
    assert_true(ask_on(&c));
  }
  assert_true(c.answer.n > 0);
  assert_true(c.call.streams);
  assert_false(c.call.body_ended);
  while (ask_on(&c)) continue;
  ask_end(&c);
  client_close(&c);
}

static void a_full_output_gets_no_more(void **state) {
  (void)state;
  struct client c;
  struct bytes out = {0};
  size_t budget = 1000;
  client_open(&c, LEADER, API_REDIRECT);
  ask_begin(&c, "POST", ITEMS, NDJSON, slice_of("{\"id\":\"a\"}\n"));
  bytes_reserve(&out, API_STREAM_BYTES);
  memset(out.data, 'x', API_STREAM_BYTES);
  out.n = API_STREAM_BYTES;
  assert_int_equal(api_work(c.api, &c.view, c.replica, &c.call, &c, &budget, &out), API_WORKING);
  assert_int_equal(out.n, API_STREAM_BYTES);
  while (ask_on(&c)) continue;
  ask_end(&c);
  assert_int_equal(c.status, 200);
  bytes_close(&out);
  client_close(&c);
}

/* ---- The client goes ---- */

static void a_client_that_goes_ends_it(void **state) {
  (void)state;
  struct client c;
  struct replica_result result;
  struct bytes nobody = {0};
  client_open(&c, LEADER, API_REDIRECT);
  c.piece_bytes = 20;
  ask_begin(&c, "POST", ITEMS, NDJSON, slice_of("{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n"));
  while (c.next != API_WAITING) assert_true(ask_on(&c));
  assert_false(api_cancel(c.replica, &c.call)); /* it is in the log */
  assert_true(fake_replica_finish(c.replica, REPLICA_APPLIED, &result));
  assert_int_equal(api_complete(c.api, &c.view, c.replica, &c.call, &c, &result, &nobody), API_RESPONDED);
  assert_int_equal(nobody.n, 0);
  ask_end(&c);
  assert_non_null(stored(&c, "a"));
  ask_begin(&c, "POST", ITEMS, NDJSON, slice_of("{\"id\":\"d\"}\n{\"id\":\"e\"}\n{\"id\":\"f\"}\n"));
  assert_true(ask_on(&c));
  assert_int_equal(c.next, API_STARVED);
  assert_true(api_cancel(c.replica, &c.call));
  c.answer.n = 0;
  ask_end(&c);
  assert_null(stored(&c, "d"));
  bytes_close(&nobody);
  client_close(&c);
}

static void only_so_many_at_a_time(void **state) {
  (void)state;
  enum { IMPORTS_MAX = 16 };
  struct client c;
  struct api_call calls[IMPORTS_MAX];
  client_open(&c, LEADER, API_REDIRECT);
  for (int i = 0; i < IMPORTS_MAX; i++) {
    ask_begin(&c, "POST", ITEMS, NDJSON, slice_of("{}\n"));
    assert_int_equal(c.next, API_WORKING);
    calls[i] = c.call;
    c.call = (struct api_call){0};
    ask_end(&c);
  }
  import(&c, "", "", "{}\n");
  assert_problem(&c, 503, "busy");
  assert_header(&c, "Connection", "close");
  for (int i = 0; i < IMPORTS_MAX; i++) {
    assert_true(api_cancel(c.replica, &calls[i]));
    api_call_close(&calls[i]);
    import(&c, "", "", "{}\n");
    assert_int_equal(c.status, 200);
  }
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(each_line_has_its_result),
      cmocka_unit_test(existing_documents_are_replaced_on_demand),
      cmocka_unit_test(ids_come_from_the_line_or_are_made),
      cmocka_unit_test(a_bad_line_fails_alone),
      cmocka_unit_test(empty_lines_count_and_say_nothing),
      cmocka_unit_test(minimal_says_only_what_failed),
      cmocka_unit_test(pieces_and_slices_of_any_size_give_the_same),
      cmocka_unit_test(lines_share_entries_of_the_log),
      cmocka_unit_test(too_long_a_line_fails_alone),
      cmocka_unit_test(a_batch_of_unknown_outcome_ends_it),
      cmocka_unit_test(without_the_lead_no_more_is_tried),
      cmocka_unit_test(what_was_too_much_may_be_sent_again),
      cmocka_unit_test(a_leader_that_takes_none_says_so),
      cmocka_unit_test(each_line_needs_room),
      cmocka_unit_test(what_is_for_one_document_is_refused),
      cmocka_unit_test(others_than_the_leader_send_it_there),
      cmocka_unit_test(it_is_for_collections_only),
      cmocka_unit_test(nothing_is_said_before_there_is_something),
      cmocka_unit_test(a_full_output_gets_no_more),
      cmocka_unit_test(a_client_that_goes_ends_it),
      cmocka_unit_test(only_so_many_at_a_time),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
