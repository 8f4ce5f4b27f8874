/* How bodies are declared, and what answers say of that: Content-Encoding, the types that a path takes, and
 * HEAD. */
#include "api_client.h"
#include "coracle/version.h"

#define ITEMS "/v1/collections/items"
#define POSTED "application/json, application/x-ndjson"
#define PATCHES "application/merge-patch+json, application/json-patch+json, application/json"
#define FORM "Content-Type: application/x-www-form-urlencoded\r\n"

static const struct {
  const char *method, *target, *type;
} writes[] = {
    {"POST", ITEMS, "application/json"},
    {"PUT", ITEMS "/a", "application/json"},
    {"PATCH", ITEMS "/a", "application/json"},
    {"PATCH", ITEMS "/a", "application/merge-patch+json"},
    {"PATCH", ITEMS "/a", "application/json-patch+json"},
    {"POST", "/v1/transactions", "application/json"},
};
enum { WRITES_N = sizeof writes / sizeof *writes };

/* ---- Codings ---- */

static void a_compressed_body_is_refused(void **state) {
  (void)state;
  static const char *const codings[] = {
      "Content-Encoding: gzip\r\n",         "content-encoding: GZIP\r\n",
      "Content-Encoding: identity, br\r\n", "Content-Encoding: identity\r\nContent-Encoding: zstd\r\n",
      "Content-Encoding: , x\r\n",          "Content-Encoding: gzip, identity\r\n",
  };
  struct client c;
  char headers[256];
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < WRITES_N; i++) {
    for (size_t k = 0; k < sizeof codings / sizeof *codings; k++) {
      snprintf(headers, sizeof headers, "Content-Type: %s\r\n%s", writes[i].type, codings[k]);
      ask(&c, writes[i].method, writes[i].target, headers, "{}");
      assert_problem(&c, 415, "unsupported_content_encoding");
      assert_header(&c, "Accept-Encoding", "identity");
      assert_false(c.was_proposed || c.was_read);
    }
  }
  client_close(&c);
}

static void identity_and_no_body_are_fine(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  ask(&c, "PUT", ITEMS "/a", JSON "Content-Encoding: Identity\r\n", "{}");
  assert_int_equal(c.status, 201);
  ask(&c, "PUT", ITEMS "/a", JSON "Content-Encoding: ,\r\n", "{}");
  assert_int_equal(c.status, 200);
  ask(&c, "GET", ITEMS "/a", "Content-Encoding: gzip\r\nAccept-Encoding: gzip, br\r\n", NULL);
  assert_int_equal(c.status, 200);
  assert_header(&c, "Content-Encoding", NULL);
  client_close(&c);
}

/* ---- Types ---- */

static void other_types_are_told_which_are_taken(void **state) {
  (void)state;
  static const struct {
    const char *method, *target, *header, *types;
  } rows[] = {
      {"POST", ITEMS, "Accept-Post", POSTED},
      {"PUT", ITEMS "/a", "Accept", "application/json"},
      {"PATCH", ITEMS "/a", "Accept-Patch", PATCHES},
      {"POST", "/v1/transactions", "Accept-Post", "application/json"},
  };
  struct client c;
  client_open(&c, LEADER, API_REDIRECT);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    ask(&c, rows[i].method, rows[i].target, FORM, "a=b");
    assert_problem(&c, 415, "unsupported_media_type");
    assert_header(&c, rows[i].header, rows[i].types);
    ask(&c, rows[i].method, rows[i].target, NULL, "{}");
    assert_problem(&c, 415, "unsupported_media_type");
    assert_header(&c, rows[i].header, rows[i].types);
  }
  client_close(&c);
}

static void options_tells_them_too(void **state) {
  (void)state;
  struct client c;
  client_open(&c, LEADERLESS, API_REDIRECT);
  ask(&c, "OPTIONS", ITEMS, NULL, NULL);
  assert_header(&c, "Accept-Post", POSTED);
  assert_header(&c, "Accept-Patch", NULL);
  ask(&c, "OPTIONS", ITEMS "/a", NULL, NULL);
  assert_header(&c, "Accept-Patch", PATCHES);
  assert_header(&c, "Accept-Post", NULL);
  assert_header(&c, "Accept", NULL);
  ask(&c, "OPTIONS", "/v1/transactions", NULL, NULL);
  assert_header(&c, "Accept-Post", "application/json");
  ask(&c, "OPTIONS", "/v1/cluster", NULL, NULL);
  assert_header(&c, "Accept-Post", NULL);
  client_close(&c);
}

/* ---- HEAD ---- */

static void keep(char copy[1024], const char *value) {
  snprintf(copy, 1024, "%s", value != NULL ? value : "(none)");
}

/* RFC 9110, 9.3.2: the same as GET but for the body, its length included. */
static void head_is_get_without_a_body(void **state) {
  (void)state;
  static const char *const targets[] = {
      "/",
      "/livez",
      "/readyz",
      "/openapi.json",
      "/v1/cluster",
      "/v1/replication",
      "/v1/collections",
      ITEMS,
      ITEMS "?limit=1",
      ITEMS "?limit=0",
      ITEMS "/a",
      ITEMS "/b?consistency=stale",
      "/nothing",
      "/v1/collections/no%20name",
  };
  static const char *const names[] = {
      "Content-Type", "Content-Length", "Cache-Control", "ETag",         "Link",
      "Server",       "X-Total-Count",  "Coracle-Role",  "Retry-After",  "Coracle-Staleness-Ms",
      "Upgrade",      "Connection",     "Date",          "Coracle-Term", "Coracle-Revision",
  };
  enum { NAMES_N = sizeof names / sizeof *names };
  for (enum client_view view = LEADER; view <= LEADERLESS; view++) {
    struct client c;
    client_open(&c, LEADER, API_REDIRECT);
    ask(&c, "PUT", ITEMS "/a", JSON, "{}");
    ask(&c, "PUT", ITEMS "/a2", JSON, "{}");
    if (view != LEADER) c.view.role = CORACLE_RAFT_FOLLOWER;
    if (view == LEADERLESS) c.view.leader = NULL;
    if (view == LEADERLESS) c.view.no_leader_reason = "nobody was heard";
    for (size_t i = 0; i < sizeof targets / sizeof *targets; i++) {
      char of_get[NAMES_N][1024];
      ask(&c, "GET", targets[i], NULL, NULL);
      const int status = c.status;
      for (size_t n = 0; n < NAMES_N; n++) keep(of_get[n], header(&c, names[n]));
      ask(&c, "HEAD", targets[i], NULL, NULL);
      assert_int_equal(c.status, status);
      assert_string_equal(c.body, "");
      for (size_t n = 0; n < NAMES_N; n++) {
        char of_head[1024];
        keep(of_head, header(&c, names[n]));
        if (strcmp(of_get[n], of_head) != 0)
          fail_msg("%s: %s is '%s', and '%s' of HEAD", targets[i], names[n], of_get[n], of_head);
      }
    }
    client_close(&c);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_compressed_body_is_refused),         cmocka_unit_test(identity_and_no_body_are_fine),
      cmocka_unit_test(other_types_are_told_which_are_taken), cmocka_unit_test(options_tells_them_too),
      cmocka_unit_test(head_is_get_without_a_body),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
