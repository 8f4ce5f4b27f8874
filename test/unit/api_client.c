#include "api_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static void view_init(struct client *c, enum client_view which) {
  static const uint8_t leader_token[WRITE_TOKEN_BYTES] = {2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2,
                                                          2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2};
  c->members[0] =
      (struct api_member){.id = 0xa, .name = "a", .http = "127.0.0.1:8001", .voter = true, .self = true};
  c->members[1] = (struct api_member){.id = 0xb, .name = "b", .http = "127.0.0.1:8002", .voter = true};
  c->members[2] = (struct api_member){.id = 0xc, .name = "c", .http = "[::1]:8003"};
  c->view = (struct api_view){
      .wall_ms = UINT64_C(1700000000123),
      .uptime_ms = 42,
      .id = 0xa,
      .name = "a",
      .has_cluster = true,
      .cluster = {0xab, [15] = 0x01},
      .role = which == LEADER ? CORACLE_RAFT_LEADER : CORACLE_RAFT_FOLLOWER,
      .term = 7,
      .commit = 17,
      .members = c->members,
      .members_n = 3,
      .leader = which == LEADER     ? &c->members[0]
                : which == FOLLOWER ? &c->members[1]
                                    : NULL,
      .no_leader_reason = which == LEADERLESS ? "need 2 of 3 voters, reached 1; b silent for 4.2 s" : NULL,
      .committed_own_term = which == LEADER,
      .leader_token = which == FOLLOWER ? leader_token : NULL,
      .leader_linked = which == FOLLOWER,
      .freshness_known = true,
      .staleness_ms = which == LEADER ? 0 : 23,
  };
}

void client_open_with(struct client *c, enum client_view which, struct api_options options) {
  options.name = "a";
  options.seed = 1;
  options.document_bytes_max = CLIENT_DOCUMENT_BYTES_MAX;
  memset(options.token, 1, sizeof options.token);
  *c = (struct client){.verdict = REPLICA_APPLIED, .read_verdict = REPLICA_READABLE};
  c->api = api_new(&options);
  c->replica = fake_replica_new();
  c->parser = http_parser_new(CLIENT_DOCUMENT_BYTES_MAX, API_STREAMED_TYPE);
  view_init(c, which);
  c->view.applied = replica_applied(c->replica);
}

void client_open(struct client *c, enum client_view which, enum api_follower_writes follower_writes) {
  client_open_with(c, which, (struct api_options){.follower_writes = follower_writes});
}

void client_open_limited(struct client *c, uint64_t data_bytes_max) {
  client_open_with(c, LEADER, (struct api_options){.data_bytes_max = data_bytes_max});
}

void client_close(struct client *c) {
  api_free(c->api);
  fake_replica_free(c->replica);
  http_parser_free(c->parser);
  bytes_close(&c->sent);
  bytes_close(&c->answer);
  bytes_close(&c->piece);
}

/* Chunks (RFC 9112, 7.1), in their place. */
static void put_together(struct client *c) {
  const char *from = c->body, *end = from + c->body_bytes;
  char *to = c->body;
  for (size_t n = 1; n > 0; from += n + 2) {
    char *behind;
    n = strtoull(from, &behind, 16);
    assert_memory_equal(behind, "\r\n", 2);
    from = behind + 2;
    assert_true(from + n + 2 <= end && memcmp(from + n, "\r\n", 2) == 0);
    memmove(to, from, n);
    to += n;
  }
  assert_ptr_equal(from, end);
  *to = '\0';
  c->body_bytes = (size_t)(to - c->body);
}

void read_answer(struct client *c) {
  c->status = 0;
  c->body = NULL;
  if (c->answer.n == 0) return;
  *bytes_reserve(&c->answer, 1) = '\0';
  char *text = (char *)c->answer.data, *end = strstr(text, "\r\n\r\n");
  assert_non_null(end);
  assert_int_equal(sscanf(text, "HTTP/1.1 %d ", &c->status), 1);
  c->body = end + 4;
  c->body_bytes = c->answer.n - (size_t)(c->body - text);
  const char *coding = header(c, "Transfer-Encoding");
  if (coding != NULL) put_together(c);
}

/* By now the parser has gone on, and what the request pointed to is no longer there. */
static void forget_request(struct client *c) {
  struct http_error error;
  size_t consumed;
  const bool streams = c->request.streams;
  memset(c->sent.data, 'x', c->taken);
  memset(&c->request, 0xee, sizeof c->request);
  c->request.streams = streams;
  if (!streams) http_parser_execute(c->parser, NULL, 0, &consumed, &c->request, &error);
}

static enum api_action complete(struct client *c) {
  struct replica_result result;
  const struct replica_read *read = fake_replica_read(c->replica);
  c->was_read = read != NULL;
  c->was_proposed = !c->was_read;
  if (read != NULL) {
    c->read = *read;
    assert_true(fake_replica_finish_read(c->replica, c->read_verdict, &result));
  } else {
    assert_true(fake_replica_finish(c->replica, c->verdict, &result));
  }
  forget_request(c);
  assert_ptr_equal(result.waiter, c);
  c->view.applied = replica_applied(c->replica);
  return api_complete(c->api, &c->view, c->replica, &c->call, c, &result, &c->piece);
}

/* The next of the body that is streamed. */
static void feed(struct client *c) {
  struct http_error error;
  struct http_request request = {0};
  size_t piece_bytes = c->piece_bytes > 0 ? c->piece_bytes : SIZE_MAX;
  assert_true(c->call.body.n < c->call.body_bytes_max);
  while (piece_bytes > 0 && !c->call.body_ended) {
    const size_t rest = c->sent.n - c->taken, n = rest < piece_bytes ? rest : piece_bytes;
    size_t consumed = 0;
    switch (http_parser_execute(c->parser, c->sent.data + c->taken, n, &consumed, &request, &error)) {
    case HTTP_BODY_PIECE:
      bytes_append_slice(&c->call.body, request.body);
      piece_bytes -= request.body.n < piece_bytes ? request.body.n : piece_bytes;
      break;
    case HTTP_BODY_END:
      c->call.body_ended = true;
      break;
    case HTTP_FAILED:
      fail_msg("the parser refused the body: %s", error.detail);
      break;
    default:
      if (rest == 0) fail_msg("it wants more of the body than there is");
    }
    c->taken += consumed;
  }
}

void ask_begin(struct client *c, const char *method, const char *target, const char *headers,
               struct slice body) {
  struct http_error error;
  c->sent.n = c->answer.n = c->taken = c->slices = 0;
  c->was_proposed = c->was_read = false;
  bytes_printf(&c->sent, "%s %s HTTP/1.1\r\nHost: %s\r\n%s", method, target,
               c->host ? c->host : "127.0.0.1:8001", headers ? headers : "");
  if (body.at != NULL) bytes_printf(&c->sent, "Content-Length: %zu\r\n", body.n);
  bytes_append_string(&c->sent, "\r\n");
  bytes_append_slice(&c->sent, body);
  enum http_progress progress =
      http_parser_execute(c->parser, c->sent.data, c->sent.n, &c->taken, &c->request, &error);
  if (progress == HTTP_FAILED) fail_msg("the parser refused %s %s: %s", method, target, error.detail);
  assert_int_equal(progress, c->request.streams ? HTTP_HEAD_READY : HTTP_REQUEST_READY);
  if (!c->request.streams) assert_int_equal(c->taken, c->sent.n);
  c->action = api_request(c->api, &c->view, c->replica, &c->request, &c->call, c, &c->answer);
  c->next = c->action;
}

bool ask_on(struct client *c) {
  size_t budget = c->budget > 0 ? c->budget : 1024 * 1024;
  c->piece.n = 0;
  switch (c->next) {
  case API_WAITING:
    c->next = complete(c);
    break;
  case API_STARVED:
    feed(c);
    /* fall through */
  case API_WORKING:
    if (c->between != NULL) c->between(c);
    c->slices++;
    c->next = api_work(c->api, &c->view, c->replica, &c->call, c, &budget, &c->piece);
    break;
  default:
    return false;
  }
  bytes_append(&c->answer, c->piece.data, c->piece.n);
  return true;
}

void ask_end(struct client *c) {
  assert_int_equal(fake_replica_waiting(c->replica), 0);
  assert_null(fake_replica_read(c->replica));
  if (c->request.streams) { /* its connection was closed, or has all of it */
    http_parser_free(c->parser);
    c->parser = http_parser_new(CLIENT_DOCUMENT_BYTES_MAX, API_STREAMED_TYPE);
  }
  api_call_close(&c->call);
  read_answer(c);
}

void ask_bytes(struct client *c, const char *method, const char *target, const char *headers,
               struct slice body) {
  ask_begin(c, method, target, headers, body);
  while (ask_on(c)) continue;
  ask_end(c);
}

void ask(struct client *c, const char *method, const char *target, const char *headers, const char *body) {
  ask_bytes(c, method, target, headers, body ? slice_of(body) : (struct slice){0});
}

const char *header(struct client *c, const char *name) {
  static char value[1024];
  size_t name_n = strlen(name);
  for (const char *line = strstr((char *)c->answer.data, "\r\n") + 2; line < c->body - 2;
       line = strstr(line, "\r\n") + 2) {
    if (strncasecmp(line, name, name_n) != 0 || line[name_n] != ':') continue;
    size_t n = (size_t)(strstr(line, "\r\n") - line) - name_n - 2;
    assert_true(n < sizeof value);
    memcpy(value, line + name_n + 2, n);
    value[n] = '\0';
    return value;
  }
  return NULL;
}

void assert_header(struct client *c, const char *name, const char *wanted) {
  const char *value = header(c, name);
  if (wanted == NULL && value != NULL) fail_msg("there is a header %s: %s", name, value);
  if (wanted == NULL) return;
  if (value == NULL) fail_msg("there is no header %s in %s", name, (char *)c->answer.data);
  assert_string_equal(value, wanted);
}

json_t *body_json(struct client *c) {
  json_error_t error;
  json_t *json = json_loads(c->body, JSON_REJECT_DUPLICATES, &error);
  if (json == NULL) fail_msg("%s in %s", error.text, c->body);
  return json;
}

void assert_problem(struct client *c, int status, const char *code) {
  if (c->status != status) fail_msg("%d, not %d: %s", c->status, status, (char *)c->answer.data);
  assert_header(c, "Content-Type", "application/problem+json");
  assert_header(c, "Cache-Control", "no-store");
  json_t *problem = body_json(c);
  const char *detail = json_string_value(json_object_get(problem, "detail"));
  assert_string_equal(json_string_value(json_object_get(problem, "type")), "about:blank");
  assert_true(strlen(json_string_value(json_object_get(problem, "title"))) > 0);
  assert_int_equal(json_integer_value(json_object_get(problem, "status")), status);
  assert_string_equal(json_string_value(json_object_get(problem, "code")), code);
  assert_non_null(strchr(detail, ' '));
  if (status == 503) assert_header(c, "Retry-After", "1");
  json_decref(problem);
}
