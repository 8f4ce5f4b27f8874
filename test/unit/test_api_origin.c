/* Web pages: which Host and Origin are refused where, and what the answers tell browsers. */
#include "api_client.h"

#define ITEMS "/v1/collections/items"
#define ALLOWED "https://app.example"
#define FROM(origin) "Origin: " origin "\r\n"
#define EXPOSED                                                                                              \
  "Accept-Patch, Accept-Post, Allow, Coracle-Node, Coracle-Revision, Coracle-Role, Coracle-Staleness-Ms, "   \
  "Coracle-Term, Date, ETag, Idempotency-Replayed, Link, Location, Preference-Applied, Retry-After, "        \
  "Server, "                                                                                                 \
  "X-Total-Count"

/* Everything that a page could want to do, and the answer when it may. */
static const struct {
  const char *method, *target, *headers, *body;
  int status;
} requests[] = {
    {"GET", "/", "", NULL, 200},
    {"GET", "/livez", "", NULL, 200},
    {"GET", "/v1/cluster", "", NULL, 200},
    {"GET", "/openapi.json", "", NULL, 200},
    {"GET", "/v1/collections", "", NULL, 200},
    {"GET", ITEMS, "", NULL, 200},
    {"GET", ITEMS "?consistency=stale", "", NULL, 200},
    {"GET", ITEMS "/a", "", NULL, 404},
    {"HEAD", ITEMS, "", NULL, 200},
    {"PUT", ITEMS "/a", JSON, "{}", 201},
    {"POST", ITEMS, JSON, "{}", 201},
    {"DELETE", ITEMS "/a", "", NULL, 204},
    {"OPTIONS", ITEMS, "", NULL, 204},
    {"OPTIONS", "*", "", NULL, 204},
    {"TRACE", ITEMS, "", NULL, 405},
    {"GET", "/nothing", "", NULL, 404},
};
enum { REQUESTS_N = sizeof requests / sizeof *requests };

static void ask_number(struct client *c, size_t i, const char *more) {
  char headers[512];
  snprintf(headers, sizeof headers, "%s%s", requests[i].headers, more);
  ask(c, requests[i].method, requests[i].target, headers, requests[i].body);
}

/* HEAD has no body to look at. */
static void assert_refused(struct client *c, size_t i, const char *code) {
  assert_int_equal(c->status, 403);
  assert_false(c->was_proposed || c->was_read);
  if (strcmp(requests[i].method, "HEAD") != 0) assert_problem(c, 403, code);
}

static void open_at(struct client *c, bool loopback, const char *cors_origins) {
  client_open_with(c, LEADER,
                   (struct api_options){.loopback = loopback,
                                        .http = {.family = ADDRESS_IP4, .ip = {192, 0, 2, 7}, .port = 8001},
                                        .cors_origins = cors_origins});
}

/* ---- Host ---- */

/* A page at http://evil.example:8001, a name that was made to be 127.0.0.1 once the page was there, asks "its
 * own" server. */
static void a_loopback_port_knows_its_names(void **state) {
  (void)state;
  static const char *const own[] = {
      "localhost",  "localhost:8001", "LocalHost:1",    "a.localhost:8001",
      "127.0.0.1",  "127.0.0.1:8001", "127.255.0.9:80", "[::1]",
      "[::1]:8001", "[0:0::1]:8001",  "192.0.2.7:8001", "192.0.2.7",
  };
  static const char *const others[] = {
      "evil.example",
      "evil.example:8001",
      "localhost.evil.example",
      "notlocalhost",
      ".localhost.example",
      "192.0.2.8:8001",
      "10.0.0.1",
      "[::2]:8001",
      "127.0.0.1.evil.example",
      "127.0.0.256:8001",
      "0.0.0.0:8001",
      "[::]",
      "127.1",
      "",
  };
  struct client c;
  open_at(&c, true, NULL);
  for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
    c.host = own[i];
    ask(&c, "GET", "/v1/collections", NULL, NULL);
    if (c.status != 200) fail_msg("%s is refused", own[i]);
  }
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
    c.host = others[i];
    for (size_t r = 0; r < REQUESTS_N; r++) {
      ask_number(&c, r, "");
      assert_refused(&c, r, "host_not_allowed");
    }
  }
  c.host = NULL;
  ask(&c, "GET", "http://evil.example/v1/collections", NULL, NULL);
  assert_problem(&c, 403, "host_not_allowed");
  ask(&c, "GET", "http://localhost/v1/collections", NULL, NULL);
  assert_int_equal(c.status, 200);
  client_close(&c);
}

/* It may have names that it does not know. */
static void any_other_port_takes_every_host(void **state) {
  (void)state;
  struct client c;
  open_at(&c, false, NULL);
  c.host = "db.example";
  for (size_t i = 0; i < REQUESTS_N; i++) {
    ask_number(&c, i, "");
    assert_int_equal(c.status, requests[i].status);
  }
  client_close(&c);
}

/* ---- Origin ---- */

static void pages_of_others_are_refused_whatever_they_ask(void **state) {
  (void)state;
  static const char *const foreign[] = {
      FROM("http://evil.example"),
      FROM("null"),
      FROM("http://127.0.0.1:8002"),
      FROM("https://127.0.0.1:8001"),
      FROM("http://127.0.0.1"),
      FROM("http://localhost:8001"),
      FROM("http://127.0.0.1:8001/"),
      FROM(""),
      FROM("http://127.0.0.1:8001.evil.example"),
      FROM("127.0.0.1:8001"),
      FROM("http://"),
      FROM("http://a@127.0.0.1:8001"),
      FROM("http://127.0.0.1:8001 http://evil.example"),
  };
  for (int loopback = 0; loopback < 2; loopback++) {
    struct client c;
    open_at(&c, loopback, NULL);
    for (size_t f = 0; f < sizeof foreign / sizeof *foreign; f++) {
      for (size_t i = 0; i < REQUESTS_N; i++) {
        ask_number(&c, i, foreign[f]);
        assert_refused(&c, i, "origin_not_allowed");
        assert_header(&c, "Access-Control-Allow-Origin", NULL);
      }
    }
    client_close(&c);
  }
}

static void a_page_of_its_own_is_served(void **state) {
  (void)state;
  static const struct {
    const char *host, *origin;
  } rows[] = {
      {"127.0.0.1:8001", FROM("http://127.0.0.1:8001")}, {"localhost:8001", FROM("http://LOCALHOST:8001")},
      {"localhost", FROM("http://localhost")},           {"localhost:80", FROM("http://localhost")},
      {"localhost", FROM("http://localhost:80")},        {"[::1]:8001", FROM("http://[::1]:8001")},
  };
  struct client c;
  open_at(&c, true, NULL);
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    c.host = rows[i].host;
    ask(&c, "GET", ITEMS, rows[i].origin, NULL);
    if (c.status != 200) fail_msg("%s at %s is refused", rows[i].origin, rows[i].host);
    assert_header(&c, "Access-Control-Allow-Origin", NULL);
    assert_header(&c, "Vary", NULL);
  }
  client_close(&c);
}

static void two_origins_are_none(void **state) {
  (void)state;
  static const char *const headers[] = {FROM(ALLOWED) FROM(ALLOWED),
                                        FROM("http://127.0.0.1:8001") FROM("null"), FROM("") FROM("")};
  static const char *const options[] = {NULL, ALLOWED, "*"};
  for (size_t o = 0; o < 3; o++) {
    struct client c;
    open_at(&c, true, options[o]);
    for (size_t h = 0; h < 3; h++) {
      ask(&c, "GET", ITEMS, headers[h], NULL);
      assert_problem(&c, 400, "malformed_request");
      assert_header(&c, "Access-Control-Allow-Origin", o == 2 ? "*" : NULL);
    }
    client_close(&c);
  }
}

/* The leader of this node, and a follower that sends a write on, come as they are. */
static void who_has_the_token_is_no_page(void **state) {
  (void)state;
  struct client c;
  open_at(&c, true, NULL);
  c.host = "evil.example";
  ask(&c, "PUT", ITEMS "/a", JSON FROM("http://evil.example") "Authorization: Bearer " TOKEN "\r\n", "{}");
  assert_int_equal(c.status, 201);
  ask(&c, "PUT", ITEMS "/a", JSON FROM("http://evil.example") "Authorization: Bearer " LEADER_TOKEN "\r\n",
      "{}");
  assert_problem(&c, 403, "host_not_allowed");
  client_close(&c);
}

/* ---- CORS ---- */

/* Answers at once and answers that were waited for, refusals too: a page that may not read a 404 sees a
 * network error. */
static void every_answer_tells_who_may_read_it(void **state) {
  (void)state;
  static const char *const foreign[] = {FROM("http://evil.example"), FROM(ALLOWED ".evil.example"),
                                        FROM(ALLOWED ":80"),         FROM("https://app.exampl"),
                                        FROM("http://app.example"),  FROM("null")};
  for (enum client_view view = LEADER; view <= LEADERLESS; view++) {
    struct client c;
    client_open_with(&c, view,
                     (struct api_options){.loopback = true, .cors_origins = "http://x.example," ALLOWED});
    for (size_t i = 0; i < REQUESTS_N; i++) {
      ask_number(&c, i, FROM(ALLOWED));
      if (view == LEADER) assert_int_equal(c.status, requests[i].status);
      assert_int_not_equal(c.status, 403);
      assert_header(&c, "Access-Control-Allow-Origin", ALLOWED);
      assert_header(&c, "Access-Control-Expose-Headers", EXPOSED);
      assert_header(&c, "Access-Control-Allow-Credentials", NULL);
      assert_header(&c, "Vary", "Origin");
      ask_number(&c, i, "");
      assert_int_not_equal(c.status, 403);
      assert_header(&c, "Access-Control-Allow-Origin", NULL);
      assert_header(&c, "Vary", "Origin");
      for (size_t f = 0; f < sizeof foreign / sizeof *foreign; f++) {
        ask_number(&c, i, foreign[f]);
        assert_refused(&c, i, "origin_not_allowed");
        assert_header(&c, "Access-Control-Allow-Origin", NULL);
        assert_header(&c, "Vary", "Origin");
      }
    }
    client_close(&c);
  }
}

static void a_star_lets_everybody_in(void **state) {
  (void)state;
  static const char *const origins[] = {FROM("http://evil.example"), FROM("null"), ""};
  struct client c;
  open_at(&c, true, "*");
  for (size_t o = 0; o < 3; o++) {
    for (size_t i = 0; i < REQUESTS_N; i++) {
      ask_number(&c, i, origins[o]);
      assert_int_not_equal(c.status, 403);
      assert_header(&c, "Access-Control-Allow-Origin", "*");
      assert_header(&c, "Vary", NULL);
    }
  }
  c.host = "evil.example"; /* under its own name the page would have it all */
  ask(&c, "GET", ITEMS, FROM("http://evil.example"), NULL);
  assert_problem(&c, 403, "host_not_allowed");
  client_close(&c);
}

static void a_preflight_is_told_what_may_be_sent(void **state) {
  (void)state;
#define PREFLIGHT                                                                                            \
  FROM(ALLOWED) "Access-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: if-match\r\n"
  struct client c;
  open_at(&c, true, ALLOWED);
  ask(&c, "OPTIONS", "/v1/cluster", PREFLIGHT, NULL);
  assert_int_equal(c.status, 204);
  assert_header(&c, "Access-Control-Allow-Origin", ALLOWED);
  assert_header(&c, "Access-Control-Allow-Methods", "GET, HEAD, OPTIONS");
  assert_header(&c, "Allow", "GET, HEAD, OPTIONS");
  assert_header(&c, "Access-Control-Allow-Headers",
                "Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer");
  assert_header(&c, "Access-Control-Max-Age", "7200");
  ask(&c, "OPTIONS", ITEMS "/a", PREFLIGHT, NULL);
  assert_non_null(strstr(header(&c, "Access-Control-Allow-Methods"), "PUT"));
  /* Not without being asked, and not for others. */
  ask(&c, "OPTIONS", ITEMS "/a", FROM(ALLOWED), NULL);
  assert_int_equal(c.status, 204);
  assert_header(&c, "Access-Control-Allow-Methods", NULL);
  ask(&c, "OPTIONS", ITEMS "/a", "Access-Control-Request-Method: PUT\r\n", NULL);
  assert_int_equal(c.status, 204);
  assert_header(&c, "Access-Control-Allow-Methods", NULL);
  ask(&c, "OPTIONS", ITEMS "/a", FROM("http://evil.example") "Access-Control-Request-Method: PUT\r\n", NULL);
  assert_problem(&c, 403, "origin_not_allowed");
  assert_header(&c, "Access-Control-Allow-Methods", NULL);
  client_close(&c);
}

static void what_is_no_request_tells_it_too(void **state) {
  (void)state;
  static const struct http_error error = {413, "document_too_large", "The body is too large; split it."};
  struct http_request head = {.headers = {{slice_of("origin"), slice_of(ALLOWED)}}, .headers_n = 1};
  struct client c;
  open_at(&c, true, ALLOWED);
  api_malformed(c.api, &c.view, &head, &error, &c.answer);
  read_answer(&c);
  assert_problem(&c, 413, "document_too_large");
  assert_header(&c, "Access-Control-Allow-Origin", ALLOWED);
  c.answer.n = 0;
  head.headers_n = 0;
  api_malformed(c.api, &c.view, &head, &error, &c.answer);
  read_answer(&c);
  assert_header(&c, "Access-Control-Allow-Origin", NULL);
  assert_header(&c, "Vary", "Origin");
  client_close(&c);
}

/* The node that the page has asked says who may read the answer, and says it once. */
static void a_forwarded_write_is_judged_where_it_came(void **state) {
  (void)state;
  struct client c;
  struct bytes forwarded = {0};
  client_open_with(&c, FOLLOWER,
                   (struct api_options){.follower_writes = API_FORWARD_WRITES, .cors_origins = ALLOWED});
  ask(&c, "PUT", ITEMS "/a", JSON FROM("http://evil.example"), "{}");
  assert_problem(&c, 403, "origin_not_allowed");
  ask(&c, "PUT", ITEMS "/a", JSON FROM(ALLOWED), "{}");
  assert_int_equal(c.action, API_FORWARD);
  api_forward_request(c.api, &c.view, &c.request, &forwarded);
  bytes_append(&forwarded, "", 1);
  assert_null(strstr((char *)forwarded.data, "Origin"));
  struct slice head = slice_of("ETag: \"17\"\r\nVary: Origin\r\nAccess-Control-Allow-Origin: *\r\n"
                               "access-control-expose-headers: ETag\r\n");
  api_forward_response(c.api, &c.call, 200, head, slice_of("{}"), &c.answer);
  read_answer(&c);
  assert_header(&c, "ETag", "\"17\"");
  assert_header(&c, "Access-Control-Allow-Origin", ALLOWED);
  assert_header(&c, "Access-Control-Expose-Headers", EXPOSED);
  char *first = strstr((char *)c.answer.data, "Access-Control-Allow-Origin");
  assert_null(strstr(first + 1, "Access-Control-Allow-Origin"));
  assert_null(strstr((char *)c.answer.data, "access-control"));
  bytes_close(&forwarded);
  client_close(&c);
}

/* ---- The option ---- */

static void origins_are_taken_as_browsers_send_them(void **state) {
  (void)state;
  static const struct {
    const char *option, *sent;
  } rows[] = {
      {"HTTPS://App.Example:443", "https://app.example"},
      {"http://app.example:80", "http://app.example"},
      {"https://app.example:80", "https://app.example:80"},
      {"http://[::1]:3000", "http://[::1]:3000"},
      {"http://localhost:3000", "http://localhost:3000"},
      {"chrome-extension://abcdefghijklmnop", "chrome-extension://abcdefghijklmnop"},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    char headers[128];
    struct client c;
    assert_null(api_origins_fault(rows[i].option));
    open_at(&c, true, rows[i].option);
    snprintf(headers, sizeof headers, "Origin: %s\r\n", rows[i].sent);
    ask(&c, "GET", ITEMS, headers, NULL);
    assert_int_equal(c.status, 200);
    assert_header(&c, "Access-Control-Allow-Origin", rows[i].sent);
    client_close(&c);
  }
}

static void a_list_of_origins_is_checked(void **state) {
  (void)state;
  static const char *const good[] = {"*", "http://a.example", "http://a.example,https://b.example:8443",
                                     "http://a_b.example"};
  static const char *const bad[] = {
      "",
      "a.example",
      "http:/a.example",
      "http://",
      "http://:80",
      "://a.example",
      "1http://a.example",
      "http://a.example/",
      "http://a.example/path",
      "http://a.example?x",
      "http://a.example:0",
      "http://a.example:65536",
      "http://a.example:",
      "http://a.example:x",
      "http://u@a.example",
      "http://a.example,",
      ",http://a.example",
      "http://a.example,,http://b.example",
      "http://a.example, http://b.example",
      "http://a.example,*",
      "*,*",
      "null",
      "http://*.example",
      "http://\xc3\xbc.example",
      "http://a.example\r\nX: y",
      "http://[::1",
      "http://::1",
  };
  for (size_t i = 0; i < sizeof good / sizeof *good; i++) assert_null(api_origins_fault(good[i]));
  for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
    if (api_origins_fault(bad[i]) == NULL) fail_msg("'%s' is taken", bad[i]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_loopback_port_knows_its_names),
      cmocka_unit_test(any_other_port_takes_every_host),
      cmocka_unit_test(pages_of_others_are_refused_whatever_they_ask),
      cmocka_unit_test(a_page_of_its_own_is_served),
      cmocka_unit_test(two_origins_are_none),
      cmocka_unit_test(who_has_the_token_is_no_page),
      cmocka_unit_test(every_answer_tells_who_may_read_it),
      cmocka_unit_test(a_star_lets_everybody_in),
      cmocka_unit_test(a_preflight_is_told_what_may_be_sent),
      cmocka_unit_test(what_is_no_request_tells_it_too),
      cmocka_unit_test(a_forwarded_write_is_judged_where_it_came),
      cmocka_unit_test(origins_are_taken_as_browsers_send_them),
      cmocka_unit_test(a_list_of_origins_is_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
