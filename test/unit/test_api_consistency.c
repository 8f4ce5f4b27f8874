/* Goal: how new the state is that a read is answered from: what waits, for what and how long; what is
 * answered at once; and what each way to miss it says. The replica is a fake one that tells what it was asked
 * to wait for. */
#include <inttypes.h>
#include <stdio.h>

#include "api_client.h"

#define ITEMS "/v1/collections/items"

static const char *const paths[] = {ITEMS "/a", ITEMS, "/v1/collections", ITEMS "/none"};
enum { PATHS_N = sizeof paths / sizeof *paths };

/* With items/a at revision 17, which is all that is applied. */
static void open_with_document(struct client *c, enum client_view which) {
  client_open(c, which, API_REDIRECT);
  struct api_view view = c->view;
  c->view.role = CORACLE_RAFT_LEADER;
  c->view.leader = &c->members[0];
  c->view.committed_own_term = true;
  ask(c, "PUT", ITEMS "/a", JSON, "{\"x\":1}");
  assert_int_equal(c->status, 201);
  c->view = view;
  c->view.applied = replica_applied(c->replica);
  c->view.now_ms = 1000;
}

static void get(struct client *c, const char *path, const char *query) {
  char target[256];
  snprintf(target, sizeof target, "%s?%s", path, query);
  ask(c, "GET", target, NULL, NULL);
}

/* A GET that is left waiting; to be released with api_call_close(). */
static void begin_get(struct client *c, const char *path, struct api_call *call) {
  size_t consumed;
  struct http_error error;
  c->sent.n = c->answer.n = 0;
  bytes_printf(&c->sent, "GET %s HTTP/1.1\r\nHost: a\r\n\r\n", path);
  assert_int_equal(http_parser_execute(c->parser, c->sent.data, c->sent.n, &consumed, &c->request, &error),
                   HTTP_REQUEST_READY);
  assert_int_equal(api_request(c->api, &c->view, c->replica, &c->request, call, call, &c->answer),
                   API_WAITING);
  assert_int_equal(c->answer.n, 0);
}

static const char *detail(struct client *c) {
  static char text[512];
  json_t *problem = body_json(c);
  snprintf(text, sizeof text, "%s", json_string_value(json_object_get(problem, "detail")));
  json_decref(problem);
  return text;
}

/* ---- Linearizable ---- */

static void reads_wait_to_be_confirmed_on_leader_and_follower(void **state) {
  (void)state;
  for (int which = LEADER; which <= FOLLOWER; which++) {
    struct client c;
    open_with_document(&c, (enum client_view)which);
    for (size_t i = 0; i < PATHS_N; i++) {
      ask(&c, "GET", paths[i], NULL, NULL);
      assert_true(c.was_read);
      assert_true(c.read.linearizable);
      assert_int_equal(c.read.min_revision, 0);
      assert_int_equal(c.read.deadline_ms, 1000 + 5000);
      assert_int_equal(c.status, i == 3 ? 404 : 200);
      assert_header(&c, "Coracle-Staleness-Ms", NULL);
      assert_header(&c, "Coracle-Revision", "17");
      get(&c, paths[i], "consistency=linearizable&wait_ms=0");
      assert_true(c.was_read && c.read.linearizable);
      assert_int_equal(c.read.deadline_ms, 1000);
    }
    client_close(&c);
  }
}

/* What the endpoint needs of the request is still there when its moment comes. */
static void what_was_asked_is_kept(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADER);
  ask(&c, "PUT", ITEMS "/b%2Fb", JSON, "{}");
  ask(&c, "PUT", ITEMS "/c", JSON, "{}");

  ask(&c, "GET", ITEMS "/b%2Fb", NULL, NULL);
  assert_string_equal(c.body, "{\"id\":\"b/b\"}");
  assert_header(&c, "ETag", "\"18\"");
  ask(&c, "HEAD", ITEMS "/a", NULL, NULL);
  assert_true(c.was_read);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Content-Length", "16");
  assert_string_equal(c.body, "");
  ask(&c, "GET", ITEMS "/a", "If-None-Match: \"1\"\r\nIf-None-Match: \"17\"\r\n", NULL);
  assert_int_equal(c.status, 304);
  ask(&c, "GET", ITEMS "/a", "If-Match: \"16\"\r\n", NULL);
  assert_problem(&c, 412, "precondition_failed");
  ask(&c, "GET", ITEMS "/a", "If-Match: 16\r\n", NULL);
  assert_problem(&c, 400, "invalid_precondition");
  ask(&c, "GET", ITEMS "?limit=1&after=a", "Connection: close\r\n", NULL);
  assert_string_equal(c.body, "[{\"id\":\"b/b\"}]");
  assert_header(&c, "Link", "<" ITEMS "?limit=1&after=b%2Fb>; rel=\"next\"");
  assert_header(&c, "X-Total-Count", "3");
  assert_header(&c, "Connection", "close");
  client_close(&c);
}

static void a_read_is_answered_from_the_state_of_its_moment(void **state) {
  (void)state;
  struct client c;
  struct replica_result result;
  open_with_document(&c, LEADER);
  struct api_call call;
  begin_get(&c, ITEMS "/a", &call);
  struct store_result stored;
  struct command command = {.type = COMMAND_PUT,
                            .collection = slice_of("items"),
                            .id = slice_of("a"),
                            .body = slice_of("{\"id\":\"a\",\"x\":2}")};
  uint8_t encoded[64];
  command_encode(&command, encoded);
  struct store *store = (struct store *)(uintptr_t)replica_store(c.replica);
  assert_int_equal(store_apply(store, 18, encoded, command_size(&command), &stored), 0);
  store_record_unref(stored.record);

  assert_true(fake_replica_finish_read(c.replica, REPLICA_READABLE, &result));
  assert_ptr_equal(result.waiter, &call);
  api_complete(c.api, &c.view, c.replica, &call, &call, &result, &c.answer);
  api_call_close(&call);
  read_answer(&c);
  assert_string_equal(c.body, "{\"id\":\"a\",\"x\":2}");
  client_close(&c);
}

static void a_client_that_goes_leaves_nothing_behind(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADER);
  struct api_call call;
  begin_get(&c, ITEMS "/a", &call);
  assert_true(api_cancel(c.replica, &call));
  assert_null(fake_replica_read(c.replica));
  api_call_close(&call);
  client_close(&c);
}

static void without_a_leader_there_is_nothing_to_wait_for(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADERLESS);
  for (size_t i = 0; i < PATHS_N; i++) {
    get(&c, paths[i], "wait_ms=60000");
    assert_false(c.was_read);
    assert_problem(&c, 503, "no_leader");
    assert_string_equal(detail(&c), c.view.no_leader_reason);
  }
  client_close(&c);
}

static void a_read_that_is_not_confirmed_says_why(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, FOLLOWER);
  c.read_verdict = REPLICA_TOO_LATE;
  get(&c, ITEMS "/a", "wait_ms=321");
  assert_problem(&c, 504, "read_timed_out");
  assert_non_null(strstr(detail(&c), "321 ms"));
  c.read_verdict = REPLICA_BUSY;
  get(&c, ITEMS "/a", "");
  assert_problem(&c, 503, "busy");
  c.read_verdict = REPLICA_NOT_LEADER;
  get(&c, ITEMS "/a", "");
  assert_problem(&c, 503, "not_leader");
  client_close(&c);
}

/* The leader was there when the read came, and is lost when its time is up. */
static void a_leader_lost_meanwhile_is_named_as_the_reason(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, FOLLOWER);
  struct api_call call;
  struct replica_result result;
  begin_get(&c, ITEMS "/a", &call);
  c.view.leader = NULL;
  c.view.no_leader_reason = "need 2 of 3 voters, reached 1";
  assert_true(fake_replica_finish_read(c.replica, REPLICA_TOO_LATE, &result));
  api_complete(c.api, &c.view, c.replica, &call, &call, &result, &c.answer);
  api_call_close(&call);
  read_answer(&c);
  assert_problem(&c, 503, "no_leader");
  assert_string_equal(detail(&c), c.view.no_leader_reason);
  client_close(&c);
}

/* ---- Stale ---- */

static void stale_reads_are_answered_at_once_and_say_how_old(void **state) {
  (void)state;
  static const char *const staleness[] = {"0", "23", "23"};
  for (int which = LEADER; which <= LEADERLESS; which++) {
    struct client c;
    open_with_document(&c, (enum client_view)which);
    for (size_t i = 0; i < PATHS_N; i++) {
      get(&c, paths[i], "consistency=stale");
      assert_false(c.was_read);
      assert_int_equal(c.status, i == 3 ? 404 : 200);
      assert_header(&c, "Coracle-Staleness-Ms", staleness[which]);
    }
    ask(&c, "GET", ITEMS "/a?consistency=stale", "If-None-Match: \"17\"\r\n", NULL);
    assert_int_equal(c.status, 304);
    assert_header(&c, "Coracle-Staleness-Ms", staleness[which]);
    get(&c, "/readyz", "consistency=stale");
    assert_int_equal(c.status, 200);
    assert_header(&c, "Coracle-Staleness-Ms", staleness[which]);
    client_close(&c);
  }
}

static void what_is_too_old_is_refused(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADERLESS);
  get(&c, ITEMS "/a", "consistency=stale&max_stale_ms=23");
  assert_int_equal(c.status, 200);
  get(&c, ITEMS "/a", "max_stale_ms=23&consistency=stale");
  assert_int_equal(c.status, 200);
  get(&c, ITEMS "/a", "consistency=stale&max_stale_ms=22");
  assert_problem(&c, 503, "too_stale");
  assert_header(&c, "Coracle-Staleness-Ms", "23");
  c.view.staleness_ms = 0;
  get(&c, ITEMS "/a", "consistency=stale&max_stale_ms=0");
  assert_int_equal(c.status, 200);

  c.view.freshness_known = false; /* nothing was heard since it started */
  get(&c, ITEMS "/a", "consistency=stale&max_stale_ms=18446744073709551615");
  assert_problem(&c, 503, "too_stale");
  get(&c, ITEMS "/a", "consistency=stale");
  assert_int_equal(c.status, 200);
  assert_header(&c, "Coracle-Staleness-Ms", NULL);
  client_close(&c);
}

/* ---- A revision ---- */

static void a_revision_is_waited_for(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADERLESS);
  get(&c, ITEMS "/a", "consistency=stale&min_revision=17");
  assert_false(c.was_read);
  assert_int_equal(c.status, 200);
  get(&c, ITEMS "/a", "consistency=stale&min_revision=18&wait_ms=60000");
  assert_true(c.was_read);
  assert_false(c.read.linearizable);
  assert_int_equal(c.read.min_revision, 18);
  assert_int_equal(c.read.deadline_ms, 1000 + 60000);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Coracle-Staleness-Ms", "23");
  c.read_verdict = REPLICA_TOO_LATE;
  get(&c, ITEMS "/a", "consistency=stale&min_revision=18&wait_ms=7");
  assert_problem(&c, 504, "revision_not_reached");
  assert_non_null(strstr(detail(&c), "has applied revision 17, not 18, and did not within 7 ms"));
  assert_header(&c, "Coracle-Revision", "17");
  client_close(&c);

  open_with_document(&c, FOLLOWER);
  get(&c, ITEMS "/a", "min_revision=3");
  assert_true(c.was_read && c.read.linearizable);
  assert_int_equal(c.read.min_revision, 3);
  c.read_verdict = REPLICA_TOO_LATE;
  get(&c, ITEMS "/a", "min_revision=999");
  assert_problem(&c, 504, "revision_not_reached");
  get(&c, ITEMS "/a", "min_revision=17");
  assert_problem(&c, 504, "read_timed_out");
  client_close(&c);
}

/* How old is too old is judged when the wait is over. */
static void a_revision_and_an_age(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, FOLLOWER);
  get(&c, ITEMS "/a", "consistency=stale&min_revision=18&max_stale_ms=22");
  assert_true(c.was_read);
  assert_problem(&c, 503, "too_stale");
  client_close(&c);
}

static void the_next_page_is_read_in_the_same_way(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADER);
  ask(&c, "PUT", ITEMS "/b", JSON, "{}");
  get(&c, ITEMS, "limit=1&consistency=stale&max_stale_ms=100&min_revision=18&wait_ms=200");
  assert_header(&c, "Link",
                "<" ITEMS "?limit=1&consistency=stale&max_stale_ms=100&min_revision=18&wait_ms=200&after=a>; "
                "rel=\"next\"");
  get(&c, ITEMS, "limit=1&consistency=linearizable");
  assert_header(&c, "Link", "<" ITEMS "?limit=1&after=a>; rel=\"next\"");
  client_close(&c);
}

/* ---- What is not understood ---- */

static void bad_values_are_refused(void **state) {
  (void)state;
  static const struct {
    const char *query, *name;
  } rows[] = {
      {"consistency=Stale", "consistency"},
      {"max_stale_ms=10", "max_stale_ms"},
      {"max_stale_ms=10&consistency=linearizable", "max_stale_ms"},
      {"consistency=stale&max_stale_ms=", "max_stale_ms"},
      {"consistency=stale&max_stale_ms=-1", "max_stale_ms"},
      {"consistency=stale&max_stale_ms=1s", "max_stale_ms"},
      {"min_revision=", "min_revision"},
      {"min_revision=%2217%22", "min_revision"},
      {"min_revision=18446744073709551616", "min_revision"},
      {"wait_ms=60001", "wait_ms"},
      {"wait_ms=-1", "wait_ms"},
      {"wait_ms=1.5", "wait_ms"},
      {"wait_ms=1&wait_ms=1", "wait_ms"},
      {"staleness=1", "staleness"},
  };
  struct client c;
  open_with_document(&c, LEADER);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    for (size_t p = 0; p < PATHS_N; p++) {
      get(&c, paths[p], rows[i].query);
      assert_false(c.was_read);
      assert_problem(&c, 400, "invalid_parameter");
      assert_non_null(strstr(detail(&c), rows[i].name));
    }
  get(&c, "/readyz", "min_revision=1");
  assert_problem(&c, 400, "invalid_parameter");
  ask(&c, "PUT", ITEMS "/a?min_revision=1", JSON, "{}");
  assert_problem(&c, 400, "invalid_parameter");
  client_close(&c);
}

/* ---- Ready ---- */

static void ready_is_who_would_answer_soon(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "GET", "/readyz", NULL, NULL);
  assert_int_equal(c.status, 200);
  c.view.committed_own_term = false;
  ask(&c, "GET", "/readyz", NULL, NULL);
  assert_problem(&c, 503, "not_ready");
  client_close(&c);
  client_open(&c, FOLLOWER, API_REDIRECT);
  ask(&c, "GET", "/readyz", NULL, NULL);
  assert_int_equal(c.status, 200);
  c.view.leader_linked = false;
  ask(&c, "GET", "/readyz", NULL, NULL);
  assert_problem(&c, 503, "not_ready");
  client_close(&c);
  client_open(&c, LEADERLESS, API_REDIRECT);
  ask(&c, "GET", "/readyz", NULL, NULL);
  assert_problem(&c, 503, "no_leader");
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_wait_to_be_confirmed_on_leader_and_follower),
      cmocka_unit_test(what_was_asked_is_kept),
      cmocka_unit_test(a_read_is_answered_from_the_state_of_its_moment),
      cmocka_unit_test(a_client_that_goes_leaves_nothing_behind),
      cmocka_unit_test(without_a_leader_there_is_nothing_to_wait_for),
      cmocka_unit_test(a_read_that_is_not_confirmed_says_why),
      cmocka_unit_test(a_leader_lost_meanwhile_is_named_as_the_reason),
      cmocka_unit_test(stale_reads_are_answered_at_once_and_say_how_old),
      cmocka_unit_test(what_is_too_old_is_refused),
      cmocka_unit_test(a_revision_is_waited_for),
      cmocka_unit_test(a_revision_and_an_age),
      cmocka_unit_test(the_next_page_is_read_in_the_same_way),
      cmocka_unit_test(bad_values_are_refused),
      cmocka_unit_test(ready_is_who_would_answer_soon),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
