/* Goal: an import is a write a line: each succeeds or fails alone and has its result line, in order, however
 * the bytes come and however the slices fall. */
#include "api_lines.h"

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
         "null}\n{\"id\":\"\\u0001\"}\n");
  json_t *results = results_of(&c);
  assert_int_equal(json_array_size(results), 8);
  assert_string_equal(string(results, 0, "id"), "17");
  assert_stored(&c, "17", "{\"id\":17,\"x\":1}");
  assert_int_equal(strlen(string(results, 1, "id")), 26);
  assert_true(strcmp(string(results, 1, "id"), string(results, 2, "id")) < 0);
  char wanted[64];
  snprintf(wanted, sizeof wanted, "{\"id\":\"%s\",\"x\":2}", string(results, 2, "id"));
  assert_stored(&c, string(results, 2, "id"), wanted);
  assert_stored(&c, "\xc3\xa9", "{\"id\":\"\\u00e9\"}");
  for (size_t i = 4; i < 8; i++) {
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
  bytes_printf(&lines, "{\"x\":\"%0*d\"} \n", CLIENT_DOCUMENT_BYTES_MAX - 8, 0); /* white space counts */
  bytes_printf(&lines, "%0*d", 2 * CLIENT_DOCUMENT_BYTES_MAX, 0);                /* whose end never comes */
  ask_bytes(&c, "POST", ITEMS, NDJSON, slice_of_bytes(&lines));
  assert_non_null(strstr(c.body, "{\"line\":1,\"status\":413,\"code\""));
  assert_non_null(strstr(c.body, "{\"line\":2,\"status\":413,\"code\""));
  bytes_close(&lines);
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
  assert_non_null(strstr(header(&c, "Accept-Post"), "application/x-ndjson"));
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
      cmocka_unit_test(what_is_for_one_document_is_refused),
      cmocka_unit_test(others_than_the_leader_send_it_there),
      cmocka_unit_test(it_is_for_collections_only),
      cmocka_unit_test(nothing_is_said_before_there_is_something),
      cmocka_unit_test(a_full_output_gets_no_more),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
