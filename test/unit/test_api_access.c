/* Who answers: every role, each way a follower treats a write, and what becomes of a proposal. */
#include <stdio.h>

#include "api_client.h"

#define ITEMS "/v1/collections/items"
#define FORWARDED "Coracle-Forwarded-By: b\r\n"

static const struct {
  const char *method, *target, *body;
} writes[] = {
    {"POST", ITEMS, "{\"x\":1}"},
    {"PUT", ITEMS "/a", "{\"x\":1}"},
    {"DELETE", ITEMS "/a", NULL},
};
enum { WRITES_N = sizeof writes / sizeof *writes };

static const struct {
  const char *fresh, *stale;
} reads[] = {
    {ITEMS "/a", ITEMS "/a?consistency=stale"},
    {ITEMS, ITEMS "?consistency=stale"},
    {"/v1/collections", "/v1/collections?consistency=stale"},
    {"/readyz", "/readyz?consistency=stale"},
};
enum { READS_N = sizeof reads / sizeof *reads };

/* A node with one document, items/a, whatever it is. */
static void open_with_document(struct client *c, enum client_view which, enum api_follower_writes mode) {
  client_open(c, which, mode);
  struct api_view view = c->view;
  c->view.role = CORACLE_RAFT_LEADER;
  c->view.committed_own_term = true;
  ask(c, "PUT", ITEMS "/a", JSON, "{\"x\":1}");
  assert_int_equal(c->status, 201);
  c->view = view;
  c->view.applied = replica_applied(c->replica);
}

static void write_number(struct client *c, size_t i, const char *headers) {
  char all[512];
  snprintf(all, sizeof all, "%s%s", writes[i].body ? JSON : "", headers);
  ask(c, writes[i].method, writes[i].target, all, writes[i].body);
}

static void assert_reads_answered(struct client *c, bool fresh) {
  for (size_t i = 0; i < READS_N; i++) {
    ask(c, "GET", reads[i].fresh, NULL, NULL);
    assert_int_equal(c->status, fresh ? 200 : 503);
    ask(c, "HEAD", reads[i].fresh, NULL, NULL);
    assert_int_equal(c->status, fresh ? 200 : 503);
    ask(c, "GET", reads[i].stale, NULL, NULL);
    assert_int_equal(c->status, 200);
  }
  ask(c, "GET", ITEMS "/a?consistency=linearizable", NULL, NULL);
  assert_int_equal(c->status, fresh ? 200 : 503);
}

static void assert_leader_named(struct client *c) {
  json_t *problem = body_json(c), *leader = json_object_get(problem, "leader");
  assert_string_equal(json_string_value(json_object_get(leader, "id")), "000000000000000b");
  assert_string_equal(json_string_value(json_object_get(leader, "name")), "b");
  assert_string_equal(json_string_value(json_object_get(leader, "http")), "http://127.0.0.1:8002");
  assert_int_equal(json_integer_value(json_object_get(problem, "term")), 7);
  json_decref(problem);
}

static void assert_detail(struct client *c, const char *detail) {
  json_t *problem = body_json(c);
  assert_string_equal(json_string_value(json_object_get(problem, "detail")), detail);
  json_decref(problem);
}

/* ---- Roles ---- */

static void a_leader_answers_all(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADER, API_REDIRECT);
  assert_reads_answered(&c, true);
  for (size_t i = 0; i < WRITES_N; i++) {
    write_number(&c, i, "");
    assert_true(c.was_proposed);
    assert_in_range(c.status, 200, 204);
  }
  client_close(&c);
}

/* Until it has committed in its own term a leader may not know all that was acknowledged before it. Reads wait
 * for that. */
static void a_new_leader_waits_for_its_own_term(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADER, API_REDIRECT);
  c.view.committed_own_term = false;
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_true(c.was_read && c.read.linearizable);
  ask(&c, "GET", "/readyz", NULL, NULL);
  assert_problem(&c, 503, "not_ready");
  ask(&c, "GET", "/readyz?consistency=stale", NULL, NULL);
  assert_int_equal(c.status, 200);
  for (size_t i = 0; i < WRITES_N; i++) {
    write_number(&c, i, "");
    assert_false(c.was_proposed);
    assert_problem(&c, 503, "not_ready");
  }
  client_close(&c);
}

static void a_leader_may_be_stopped_from_writing(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, LEADER, API_REDIRECT);
  c.view.writes_stopped = "Two clusters met; end one of them.";
  assert_reads_answered(&c, true);
  for (size_t i = 0; i < WRITES_N; i++) {
    write_number(&c, i, "");
    assert_false(c.was_proposed);
    assert_problem(&c, 503, "writes_stopped");
    assert_detail(&c, c.view.writes_stopped);
  }
  client_close(&c);
}

static void a_follower_reads_and_redirects_writes(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, FOLLOWER, API_REDIRECT);
  assert_reads_answered(&c, true);
  ask(&c, "GET", ITEMS "/a", NULL, NULL);
  assert_header(&c, "Coracle-Role", "follower");
  for (size_t i = 0; i < WRITES_N; i++) {
    char location[128];
    snprintf(location, sizeof location, "http://127.0.0.1:8002%s", writes[i].target);
    write_number(&c, i, "");
    assert_int_equal(c.action, API_RESPONDED);
    assert_problem(&c, 307, "not_leader");
    assert_header(&c, "Location", location);
    assert_leader_named(&c);
  }
  client_close(&c);
}

/* The client comes to the leader with what it asked for here, byte for byte. */
static void a_redirect_keeps_the_target_as_sent(void **state) {
  (void)state;
  struct client c;
  client_open(&c, FOLLOWER, API_REDIRECT);
  ask(&c, "PUT", ITEMS "/%2f%C3%a9%20x", JSON, "{}");
  assert_header(&c, "Location", "http://127.0.0.1:8002" ITEMS "/%2f%C3%a9%20x");
  ask(&c, "DELETE", "http://elsewhere" ITEMS "/a", NULL, NULL);
  assert_header(&c, "Location", "http://127.0.0.1:8002" ITEMS "/a");
  client_close(&c);
}

static void a_follower_may_reject_writes(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, FOLLOWER, API_REJECT);
  assert_reads_answered(&c, true);
  for (size_t i = 0; i < WRITES_N; i++) {
    write_number(&c, i, "");
    assert_problem(&c, 403, "not_leader");
    assert_header(&c, "Location", NULL);
    assert_leader_named(&c);
  }
  client_close(&c);
}

static void a_follower_may_forward_writes(void **state) {
  (void)state;
  struct client c;
  open_with_document(&c, FOLLOWER, API_FORWARD_WRITES);
  assert_reads_answered(&c, true);
  for (size_t i = 0; i < WRITES_N; i++) {
    write_number(&c, i, "");
    assert_int_equal(c.action, API_FORWARD);
    assert_int_equal(c.answer.n, 0);
  }
  c.view.leader_token = NULL;
  write_number(&c, 0, "");
  assert_problem(&c, 503, "not_ready");
  client_close(&c);
}

static void without_a_leader_only_stale_reads_are_answered(void **state) {
  (void)state;
  static const enum coracle_raft_role roles[] = {CORACLE_RAFT_FOLLOWER, CORACLE_RAFT_PRE_CANDIDATE,
                                                 CORACLE_RAFT_CANDIDATE};
  for (int mode = API_REDIRECT; mode <= API_FORWARD_WRITES; mode++) {
    struct client c;
    open_with_document(&c, LEADERLESS, (enum api_follower_writes)mode);
    c.view.role = roles[mode];
    assert_reads_answered(&c, false);
    ask(&c, "GET", ITEMS "/a", NULL, NULL);
    assert_problem(&c, 503, "no_leader");
    assert_detail(&c, c.view.no_leader_reason);
    assert_header(&c, "Coracle-Role", mode == 0 ? "follower" : "candidate");
    for (size_t i = 0; i < WRITES_N; i++) {
      write_number(&c, i, "");
      assert_int_equal(c.action, API_RESPONDED);
      assert_problem(&c, 503, "no_leader");
      assert_detail(&c, c.view.no_leader_reason);
      assert_non_null(strstr(c.body, "\"leader\":null"));
    }
    client_close(&c);
  }
}

/* What needs no leader is answered without one. */
static void the_rest_is_always_answered(void **state) {
  (void)state;
  static const char *const targets[] = {"/", "/livez", "/v1/cluster"};
  struct client c;
  client_open(&c, LEADERLESS, API_REDIRECT);
  for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
    ask(&c, "GET", targets[i], NULL, NULL);
    assert_int_equal(c.status, 200);
  }
  ask(&c, "OPTIONS", ITEMS "/a", NULL, NULL);
  assert_int_equal(c.status, 204);
  client_close(&c);
}

/* ---- Forwarding ---- */

static void a_leader_takes_what_was_forwarded_with_its_token(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  write_number(&c, 1, FORWARDED "Authorization: Bearer " TOKEN "\r\n");
  assert_int_equal(c.status, 201);
  client_close(&c);
}

static void a_forwarded_write_is_not_sent_on_again(void **state) {
  (void)state;
  for (int mode = API_REDIRECT; mode <= API_FORWARD_WRITES; mode++) {
    struct client c;
    client_open(&c, FOLLOWER, (enum api_follower_writes)mode);
    write_number(&c, 1, FORWARDED "Authorization: Bearer " TOKEN "\r\n");
    assert_int_equal(c.action, API_RESPONDED);
    assert_problem(&c, 503, "not_leader");
    assert_leader_named(&c);
    client_close(&c);
  }
}

static void nobody_else_may_say_forwarded(void **state) {
  (void)state;
  static const char *const headers[] = {
      FORWARDED,
      FORWARDED "Authorization: Bearer " LEADER_TOKEN "\r\n",
      FORWARDED "Authorization: Basic " TOKEN "\r\n",
      FORWARDED "Authorization: Bearer " TOKEN "0\r\n",
      FORWARDED "Authorization: Bearer " TOKEN "\r\nAuthorization: Bearer " TOKEN "\r\n",
  };
  for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
    struct client c;
    client_open(&c, i % 2 ? LEADER : FOLLOWER, API_FORWARD_WRITES);
    write_number(&c, 1, headers[i]);
    assert_false(c.was_proposed);
    assert_problem(&c, 403, "token_wrong");
    client_close(&c);
  }
}

static void a_forwarded_request_is_the_same_but_for_the_connection(void **state) {
  (void)state;
  struct client c;
  client_open(&c, FOLLOWER, API_FORWARD_WRITES);
  ask(&c, "PUT", ITEMS "/%61",
      "content-type: application/json; charset=utf-8\r\nIf-Match: \"1\", \"2\"\r\nPrefer: return=minimal\r\n"
      "Authorization: Bearer mine\r\nConnection: keep-alive, X-Hop\r\nX-Hop: 1\r\nX-End: 2\r\nTE: "
      "trailers\r\n"
      "Keep-Alive: 5\r\nVia: 1.1 proxy\r\n",
      "{\"x\":1}");
  assert_int_equal(c.action, API_FORWARD);
  api_forward_request(c.api, &c.view, &c.request, &c.answer);
  bytes_append(&c.answer, "", 1);
  assert_string_equal((char *)c.answer.data, "PUT " ITEMS "/%61 HTTP/1.1\r\n"
                                             "Host: 127.0.0.1:8002\r\n"
                                             "Authorization: Bearer " LEADER_TOKEN "\r\n"
                                             "content-type: application/json; charset=utf-8\r\n"
                                             "If-Match: \"1\", \"2\"\r\n"
                                             "Prefer: return=minimal\r\n"
                                             "X-End: 2\r\n"
                                             "Via: 1.1 proxy\r\n"
                                             "Coracle-Forwarded-By: a\r\n"
                                             "Via: 1.1 coracle-000000000000000a\r\n"
                                             "Content-Length: 7\r\n"
                                             "\r\n"
                                             "{\"x\":1}");
  client_close(&c);
}

static void a_forwarded_answer_comes_back_as_it_was(void **state) {
  (void)state;
  struct client c;
  client_open(&c, FOLLOWER, API_FORWARD_WRITES);
  struct api_call call = {.keep_alive = true};
  struct slice head = slice_of("ETag: \"17\"\r\ncontent-length: 999\r\nConnection: close\r\n"
                               "Coracle-Node: b\r\nContent-Type: application/json\r\n");
  api_forward_response(c.api, &call, 201, head, slice_of("{}"), &c.answer);
  read_answer(&c);
  assert_int_equal(c.status, 201);
  assert_header(&c, "ETag", "\"17\"");
  assert_header(&c, "Coracle-Node", "b");
  assert_header(&c, "Content-Type", "application/json");
  assert_header(&c, "Content-Length", "2");
  assert_header(&c, "Connection", NULL);
  assert_string_equal(c.body, "{}");

  c.answer.n = 0;
  call.keep_alive = false;
  api_forward_response(c.api, &call, 204, slice_of(""), (struct slice){0}, &c.answer);
  read_answer(&c);
  assert_int_equal(c.status, 204);
  assert_header(&c, "Connection", "close");
  client_close(&c);
}

/* What was never sent can be tried again; what was sent may have happened. */
static void a_forward_that_failed_says_whether_it_was_sent(void **state) {
  (void)state;
  struct client c;
  struct api_call call = {.keep_alive = true};
  client_open(&c, FOLLOWER, API_FORWARD_WRITES);
  api_forward_failed(c.api, &c.view, &call, false, &c.answer);
  read_answer(&c);
  assert_problem(&c, 503, "leader_unreachable");
  c.answer.n = 0;
  api_forward_failed(c.api, &c.view, &call, true, &c.answer);
  read_answer(&c);
  assert_problem(&c, 504, "outcome_unknown");
  assert_non_null(strstr(c.body, "\"outcome\":\"unknown\""));
  client_close(&c);
}

/* ---- Verdicts ---- */

static void a_proposal_can_end_without_being_applied(void **state) {
  (void)state;
  static const struct {
    enum replica_verdict verdict;
    int status;
    const char *code;
  } rows[] = {
      {REPLICA_UNKNOWN, 504, "outcome_unknown"},
      {REPLICA_NOT_LEADER, 503, "not_leader"},
      {REPLICA_BUSY, 503, "busy"},
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    for (size_t w = 0; w < WRITES_N; w++) {
      c.verdict = rows[i].verdict;
      write_number(&c, w, "");
      assert_problem(&c, rows[i].status, rows[i].code);
      assert_int_equal(strstr(c.body, "\"outcome\":\"unknown\"") != NULL, c.status == 504);
    }
  }
  client_close(&c);
}

/* Leadership was lost between the proposal and the result, and nobody has taken over yet. */
static void a_refused_proposal_tells_of_the_missing_leader(void **state) {
  (void)state;
  struct client c;
  struct replica_result result = {.verdict = REPLICA_NOT_LEADER};
  struct api_call call = {.keep_alive = true};
  client_open(&c, LEADERLESS, API_REDIRECT);
  api_complete(c.api, &c.view, c.replica, &call, &call, &result, &c.answer);
  read_answer(&c);
  assert_problem(&c, 503, "no_leader");
  assert_detail(&c, c.view.no_leader_reason);
  client_close(&c);
}

static void the_connection_closes_when_the_client_says_so(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "PUT", ITEMS "/a", JSON "Connection: close\r\n", "{}");
  assert_int_equal(c.status, 201);
  assert_header(&c, "Connection", "close");
  ask(&c, "GET", ITEMS "/a", "Connection: close\r\n", NULL);
  assert_header(&c, "Connection", "close");
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_leader_answers_all),
      cmocka_unit_test(a_new_leader_waits_for_its_own_term),
      cmocka_unit_test(a_leader_may_be_stopped_from_writing),
      cmocka_unit_test(a_follower_reads_and_redirects_writes),
      cmocka_unit_test(a_redirect_keeps_the_target_as_sent),
      cmocka_unit_test(a_follower_may_reject_writes),
      cmocka_unit_test(a_follower_may_forward_writes),
      cmocka_unit_test(without_a_leader_only_stale_reads_are_answered),
      cmocka_unit_test(the_rest_is_always_answered),
      cmocka_unit_test(a_leader_takes_what_was_forwarded_with_its_token),
      cmocka_unit_test(a_forwarded_write_is_not_sent_on_again),
      cmocka_unit_test(nobody_else_may_say_forwarded),
      cmocka_unit_test(a_forwarded_request_is_the_same_but_for_the_connection),
      cmocka_unit_test(a_forwarded_answer_comes_back_as_it_was),
      cmocka_unit_test(a_forward_that_failed_says_whether_it_was_sent),
      cmocka_unit_test(a_proposal_can_end_without_being_applied),
      cmocka_unit_test(a_refused_proposal_tells_of_the_missing_leader),
      cmocka_unit_test(the_connection_closes_when_the_client_says_so),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
