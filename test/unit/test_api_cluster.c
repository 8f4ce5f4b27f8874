/* What a node says of itself and of its cluster, and how its port becomes a replication stream. */
#include <stdio.h>

#include "api_client.h"

#define UPGRADE "Connection: Upgrade\r\nUpgrade: coracle-replication/1\r\n"

static void root_says_who_this_is(void **state) {
  (void)state;
  struct client c;
  client_open(&c, FOLLOWER, API_REDIRECT);
  ask(&c, "GET", "/", NULL, NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Cache-Control", "no-store");
  json_t *root = body_json(&c), *links = json_object_get(root, "links"),
         *leader = json_object_get(root, "leader");
  assert_string_equal(json_string_value(json_object_get(root, "name")), "coracle");
  assert_true(json_string_length(json_object_get(root, "version")) > 0);
  assert_string_equal(json_string_value(json_object_get(root, "node")), "a");
  assert_string_equal(json_string_value(json_object_get(root, "id")), "000000000000000a");
  assert_string_equal(json_string_value(json_object_get(root, "role")), "follower");
  assert_int_equal(json_integer_value(json_object_get(root, "term")), 7);
  assert_string_equal(json_string_value(json_object_get(leader, "id")), "000000000000000b");
  assert_string_equal(json_string_value(json_object_get(leader, "http")), "http://127.0.0.1:8002");
  assert_true(json_object_size(links) > 0);
  const char *name;
  json_t *link;
  json_object_foreach(links, name, link) {
    ask(&c, "GET", json_string_value(link), NULL, NULL);
    assert_int_equal(c.status, 200);
  }
  json_decref(root);
  client_close(&c);
}

static void root_without_a_leader(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADERLESS, API_REDIRECT);
  c.view.role = CORACLE_RAFT_PRE_CANDIDATE;
  ask(&c, "GET", "/", NULL, NULL);
  assert_int_equal(c.status, 200);
  json_t *root = body_json(&c);
  assert_true(json_is_null(json_object_get(root, "leader")));
  assert_string_equal(json_string_value(json_object_get(root, "role")), "candidate");
  json_decref(root);
  client_close(&c);
}

static void cluster_shows_the_members(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  c.view.founded_wall_ms = UINT64_C(1700000000123);
  c.members[0].match_known = true, c.members[0].match = 17;
  c.members[1].match_known = true, c.members[1].match = 16;
  c.members[1].contact_known = true, c.members[1].last_contact_ms = 12;
  c.members[1].up_known = c.members[1].up = true;
  c.members[2].up_known = true;
  c.members[0].storage = API_STORAGE_FULL, c.members[1].storage = API_STORAGE_HANGS;
  ask(&c, "GET", "/v1/cluster", NULL, NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Cache-Control", "no-store");
  assert_string_equal(
      c.body,
      "{\"cluster_id\":\"ab000000000000000000000000000001\",\"term\":7,"
      "\"leader\":{\"id\":\"000000000000000a\",\"name\":\"a\",\"http\":\"http://127.0.0.1:8001\"},"
      "\"commit\":17,\"applied\":16,\"self\":\"000000000000000a\",\"members\":["
      "{\"id\":\"000000000000000a\",\"name\":\"a\",\"http\":\"http://127.0.0.1:8001\",\"role\":\"voter\","
      "\"match\":17,\"last_contact_ms\":null,\"up\":null,\"storage\":\"full\"},"
      "{\"id\":\"000000000000000b\",\"name\":\"b\",\"http\":\"http://127.0.0.1:8002\",\"role\":\"voter\","
      "\"match\":16,\"last_contact_ms\":12,\"up\":true,\"storage\":\"hangs\"},"
      "{\"id\":\"000000000000000c\",\"name\":\"c\",\"http\":\"http://[::1]:8003\",\"role\":\"learner\","
      "\"match\":null,\"last_contact_ms\":null,\"up\":false,\"storage\":null}],"
      "\"data_bytes\":0,\"data_bytes_max\":null,\"uptime_ms\":42,\"founded\":\"2023-11-14T22:13:20.123Z\"}");
  client_close(&c);
}

static void cluster_of_a_fresh_node(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADERLESS, API_REDIRECT);
  c.view.has_cluster = false;
  c.view.members_n = 0;
  c.view.term = 0;
  ask(&c, "GET", "/v1/cluster", NULL, NULL);
  assert_string_equal(c.body, "{\"cluster_id\":null,\"term\":0,\"leader\":null,\"commit\":17,\"applied\":16,"
                              "\"self\":\"000000000000000a\",\"members\":[],"
                              "\"data_bytes\":0,\"data_bytes_max\":null,\"uptime_ms\":42,\"founded\":null}");
  client_close(&c);
}

static void names_are_escaped(void **state) {
  (void)state;
  struct client c;
  client_open(&c, FOLLOWER, API_REDIRECT);
  c.members[1].name = "b\"\\";
  ask(&c, "GET", "/v1/cluster", NULL, NULL);
  json_t *cluster = body_json(&c);
  assert_string_equal(json_string_value(json_object_get(json_object_get(cluster, "leader"), "name")),
                      "b\"\\");
  json_decref(cluster);
  client_close(&c);
}

static void livez_is_always_well(void **state) {
  (void)state;
  for (int which = LEADER; which <= LEADERLESS; which++) {
    struct client c;
    client_open(&c, (enum client_view)which, API_REDIRECT);
    ask(&c, "GET", "/livez", NULL, NULL);
    assert_int_equal(c.status, 200);
    assert_string_equal(c.body, "{\"status\":\"ok\"}");
    client_close(&c);
  }
}

static void readyz_says_why_not(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADERLESS, API_REDIRECT);
  ask(&c, "GET", "/readyz", NULL, NULL);
  assert_problem(&c, 503, "no_leader");
  assert_non_null(strstr(c.body, c.view.no_leader_reason));
  ask(&c, "GET", "/readyz?consistency=stale", NULL, NULL);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

/* ---- The replication stream ---- */

static void the_leader_with_the_token_gets_the_stream(void **state) {
  (void)state;
  static const char *const authorizations[] = {"Authorization: Bearer " TOKEN "\r\n",
                                               "authorization: bearer " TOKEN "\r\n"};
  for (size_t i = 0; i < 2; i++) {
    struct client c;
    char headers[256];
    client_open(&c, FOLLOWER, API_REDIRECT);
    snprintf(headers, sizeof headers, UPGRADE "%s", authorizations[i]);
    ask(&c, "GET", "/v1/replication", headers, NULL);
    assert_int_equal(c.action, API_UPGRADE);
    assert_int_equal(c.status, 101);
    assert_header(&c, "Upgrade", "coracle-replication/1");
    assert_header(&c, "Connection", "Upgrade");
    assert_header(&c, "Content-Length", NULL);
    assert_string_equal(c.body, "");
    client_close(&c);
  }
}

static void nobody_else_gets_it(void **state) {
  (void)state;
  static const struct {
    const char *method, *headers;
    int status;
    const char *code;
  } rows[] = {
      {"GET", NULL, 426, "upgrade_required"},
      {"GET", "Authorization: Bearer " TOKEN "\r\n", 426, "upgrade_required"},
      {"GET", "Upgrade: coracle-replication/1\r\nAuthorization: Bearer " TOKEN "\r\n", 426,
       "upgrade_required"},
      {"GET", "Connection: Upgrade\r\nAuthorization: Bearer " TOKEN "\r\n", 426, "upgrade_required"},
      {"GET", "Connection: Upgrade\r\nUpgrade: coracle-replication/2\r\nAuthorization: Bearer " TOKEN "\r\n",
       426, "upgrade_required"},
      {"GET",
       "Connection: Upgrade\r\nUpgrade: websocket, coracle-replication/1\r\nAuthorization: Bearer " TOKEN
       "\r\n",
       426, "upgrade_required"},
      {"GET", UPGRADE "Upgrade: websocket\r\nAuthorization: Bearer " TOKEN "\r\n", 426, "upgrade_required"},
      {"GET", UPGRADE, 401, "token_missing"},
      {"GET", UPGRADE "Authorization: Basic " TOKEN "\r\n", 401, "token_missing"},
      {"GET", UPGRADE "Authorization: Bearer\r\n", 401, "token_missing"},
      {"GET", UPGRADE "Authorization: Bearer " LEADER_TOKEN "\r\n", 403, "token_wrong"},
      {"GET", UPGRADE "Authorization: Bearer 01\r\n", 403, "token_wrong"},
      {"GET", UPGRADE "Authorization: Bearer  " TOKEN "\r\n", 403, "token_wrong"},
      {"GET", UPGRADE "Authorization: Bearer " TOKEN "\r\nAuthorization: Bearer " TOKEN "\r\n", 403,
       "token_wrong"},
      {"POST", UPGRADE "Authorization: Bearer " TOKEN "\r\n", 405, "method_not_allowed"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct client c;
    client_open(&c, FOLLOWER, API_REDIRECT);
    ask(&c, rows[i].method, "/v1/replication", rows[i].headers, NULL);
    assert_int_equal(c.action, API_RESPONDED);
    assert_problem(&c, rows[i].status, rows[i].code);
    if (c.status == 426) assert_header(&c, "Upgrade", "coracle-replication/1");
    if (c.status == 426) assert_header(&c, "Connection", "Upgrade");
    if (c.status == 401) assert_header(&c, "WWW-Authenticate", "Bearer");
    assert_null(strstr((char *)c.answer.data, TOKEN));
    client_close(&c);
  }
}

static void the_token_is_compared_as_written(void **state) {
  (void)state;
  struct api_options options = {.name = "a", .seed = 1, .document_bytes_max = 1024};
  struct client c;
  client_open(&c, FOLLOWER, API_REDIRECT);
  memset(options.token, 0xab, sizeof options.token);
  api_free(c.api);
  c.api = api_new(&options);
  char right[65], upper[65], headers[256];
  for (int i = 0; i < 32; i++) {
    memcpy(right + 2 * i, "ab", 3);
    memcpy(upper + 2 * i, "AB", 3);
  }
  snprintf(headers, sizeof headers, UPGRADE "Authorization: Bearer %s\r\n", upper);
  ask(&c, "GET", "/v1/replication", headers, NULL);
  assert_problem(&c, 403, "token_wrong");
  snprintf(headers, sizeof headers, UPGRADE "Authorization: Bearer %s\r\n", right);
  ask(&c, "GET", "/v1/replication", headers, NULL);
  assert_int_equal(c.action, API_UPGRADE);
  client_close(&c);
}

static void a_stream_does_not_begin_with_a_body(void **state) {
  (void)state;
  struct client c;
  client_open(&c, FOLLOWER, API_REDIRECT);
  ask(&c, "GET", "/v1/replication", UPGRADE "Authorization: Bearer " TOKEN "\r\n", "x");
  assert_problem(&c, 400, "malformed_request");
  ask(&c, "HEAD", "/v1/replication", UPGRADE "Authorization: Bearer " TOKEN "\r\n", NULL);
  assert_int_equal(c.action, API_RESPONDED);
  assert_int_equal(c.status, 426);
  client_close(&c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(root_says_who_this_is),
      cmocka_unit_test(root_without_a_leader),
      cmocka_unit_test(cluster_shows_the_members),
      cmocka_unit_test(cluster_of_a_fresh_node),
      cmocka_unit_test(names_are_escaped),
      cmocka_unit_test(livez_is_always_well),
      cmocka_unit_test(readyz_says_why_not),
      cmocka_unit_test(the_leader_with_the_token_gets_the_stream),
      cmocka_unit_test(nobody_else_gets_it),
      cmocka_unit_test(the_token_is_compared_as_written),
      cmocka_unit_test(a_stream_does_not_begin_with_a_body),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
