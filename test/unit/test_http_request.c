/* Goal: requests come out of a connection's bytes as RFC 9112 has it, however the bytes arrive.
 * Method: tables of input and outcome (http_examples.h), each tried whole, byte by byte and split everywhere.
 */
#include "http/request.h"

#include "http_examples.h"

#include <stdio.h>

static void requests_are_read(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {BYTES(""), ""}, {BYTES("GET / HT"), "(in head)\n"}, {GET("/"), "GET /\n"},
      {BYTES("HEAD / HTTP/1.1\r\nHost: h\r\n\r\n"), "HEAD /\n"},
      {BYTES("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"), "OPTIONS *\n"},
      {BYTES("TRACE / HTTP/1.1\r\nHost: h\r\n\r\n"), "TRACE /\n"},
      {BYTES("M-SEARCH / HTTP/1.1\r\nHost: h\r\n\r\n"), "M-SEARCH /\n"},
      {BYTES("GET / HTTP/1.1\r\nHost: h\r\nA: 1\r\nb:\t 2 \t\r\nC:\r\nD: \r\nE: x y\r\n\r\n"),
       "GET / A=1 b=2 C= D= E=x y\n"},
      {BYTES("GET / HTTP/1.1\r\nHost: h\r\nA: \xc3\xa4 \xff\r\n\r\n"), "GET / A=\\xc3\\xa4 \\xff\n"},
      {BYTES("GET / HTTP/1.1\r\nHost:\r\n\r\n"), "GET / Host=\n"},
      {BYTES("GET / HTTP/1.1\r\nhOsT: [::1]:8001\r\n\r\n"), "GET / hOsT=[::1]:8001\n"},
      {BYTES("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n\0\r\n\n"),
       "POST / Content-Length=4 \"\\x00\\x0d\\x0a\\x0a\"\n"},
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\ncontent-LENGTH:  003 \r\n\r\nabc"),
       "PUT / content-LENGTH=003 \"abc\"\n"},
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab"), "(in body)\n"},
      {BYTES("DELETE / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"), "DELETE / Content-Length=0\n"},
      {BYTES("GET / HTTP/1.1\r\nHost: h\r\nContent-Length: 2\r\n\r\nab"), "GET / Content-Length=2 \"ab\"\n"},
      {BYTES("\r\n\r\n\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n\r\n"), "GET /\n"});
}

static void chunks_are_joined(void **state) {
  (void)state;
#define JOINED(body) "PUT / Transfer-Encoding=chunked" body "\n"
  ASSERT_EXAMPLES(
      {CHUNKED("0\r\n\r\n"), JOINED("")}, {CHUNKED("3\r\nabc\r\n0\r\n\r\n"), JOINED(" \"abc\"")},
      {CHUNKED("3\r\nabc\r\n00b\r\n0123456789a\r\n1\r\n\n\r\n000\r\n\r\n"),
       JOINED(" \"abc0123456789a\\x0a\"")},
      {CHUNKED("0A\r\n0123456789\r\n0\r\n\r\n"), JOINED(" \"0123456789\"")},
      {CHUNKED("3;a;b=c;d=\"e f\"\r\nabc\r\n0;x\r\n\r\n"), JOINED(" \"abc\"")},
      {CHUNKED("3;\t =;\xff\r\nabc\r\n0\r\n\r\n"), JOINED(" \"abc\"")},
      {CHUNKED("3\r\nabc\r\n0\r\nA: b\r\nC:\r\n\r\n"), JOINED(" \"abc\"")},  /* trailers are dropped */
      {CHUNKED("0\r\nConnection: close\r\nUpgrade: x\r\n\r\n"), JOINED("")}, /* and change nothing */
      {CHUNKED("3\r\nabc\r\n0\r\nA: b\r\n"), "(in body)\n"},
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked \r\n\r\n1\r\na\r\n0\r\n\r\n"),
       "PUT / Transfer-Encoding=Chunked \"a\"\n"},
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: , chunked\r\n\r\n1\r\na\r\n0\r\n\r\n"),
       "PUT / Transfer-Encoding=, chunked \"a\"\n"});
#undef JOINED
}

static void pipelined_requests_come_one_by_one(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {BYTES("GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
             "PUT /b HTTP/1.1\r\nHost: h\r\nX: 1\r\nContent-Length: 3\r\n\r\nGET"
             "\r\n"
             "PUT /c HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
             "GET /d HTTP/1.1\r\nHost: h\r\n\r\n"
             "GET /"),
       "GET /a [a]\nPUT /b [b] X=1 Content-Length=3 \"GET\"\nPUT /c [c] Transfer-Encoding=chunked \"x\"\n"
       "GET /d [d]\n(in head)\n"},
      {BYTES("GET /a HTTP/1.1\r\nHost: h\r\n\r\nGET b HTTP/1.1\r\nHost: h\r\n\r\n"), "GET /a [a]\n" BAD},
      /* Whether to read on after "close" is the caller's business; the parser does not mix the two up. */
      {BYTES("GET /a HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"),
       "GET /a [a] Connection=close close\nGET /b [b]\n"});
}

static void connections_stay_or_close(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {WITH("Connection: keep-alive"), "GET / Connection=keep-alive\n"},
      {WITH("Connection: closed"), "GET / Connection=closed\n"},
      {WITH("Connection: CLOSE"), "GET / Connection=CLOSE close\n"},
      {WITH("Connection: keep-alive, a,\tclose"), "GET / Connection=keep-alive, a,\\x09close close\n"},
      {WITH("Connection: close\r\nConnection: keep-alive"),
       "GET / Connection=close Connection=keep-alive close\n"},
      {BYTES("GET / HTTP/1.0\r\n\r\n"), "GET / close\n"},
      {BYTES("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"), "GET / Connection=keep-alive close\n"});
}

static void upgrades_are_asked_for_by_two_headers(void **state) {
  (void)state;
#define UPGRADE "Connection: Upgrade\r\nUpgrade: x/1"
#define UPGRADED " Connection=Upgrade Upgrade=x/1"
  ASSERT_EXAMPLES(
      {WITH(UPGRADE), "GET /" UPGRADED " upgrade\n"}, {WITH("Upgrade: x/1"), "GET / Upgrade=x/1\n"},
      {WITH("Connection: upgrade"), "GET / Connection=upgrade\n"},
      {WITH("Connection: upgrade\r\nUpgrade:"), "GET / Connection=upgrade Upgrade=\n"},
      {WITH("Connection: a, upgrade\r\nUpgrade: y, z"), "GET / Connection=a, upgrade Upgrade=y, z upgrade\n"},
      {BYTES("GET / HTTP/1.0\r\n" UPGRADE "\r\n\r\n"), "GET /" UPGRADED " close\n"},
      /* Not granted: HTTP goes on. */
      {BYTES("GET /a HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n\r\nGET /b HTTP/1.1\r\nHost: h\r\n\r\n"),
       "GET /a [a]" UPGRADED " upgrade\nGET /b [b]\n"},
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\n" UPGRADE
             "\r\nContent-Length: 1\r\n\r\n.GET / HTTP/1.1\r\nHost: h\r\n\r\n"),
       "PUT /" UPGRADED " Content-Length=1 \".\" upgrade\nGET /\n"},
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\n" UPGRADE
             "\r\nTransfer-Encoding: chunked\r\n\r\n1\r\n.\r\n0\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"),
       "PUT /" UPGRADED " Transfer-Encoding=chunked \".\" upgrade\nGET /\n"});
}

/* Granted: the bytes behind the request are still there for whoever speaks the other protocol. */
static void nothing_behind_an_upgrade_is_taken(void **state) {
  (void)state;
  static const char head[] = "GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n\r\n";
  static const char input[] = "GET / HTTP/1.1\r\nHost: h\r\n" UPGRADE "\r\n\r\n\x03\0\0\0frame";
  struct http_parser *parser = http_parser_new(EXAMPLE_BODY_BYTES_MAX, NULL);
  struct http_request request;
  struct http_error error;
  size_t consumed;
  assert_int_equal(http_parser_execute(parser, input, sizeof input - 1, &consumed, &request, &error),
                   HTTP_REQUEST_READY);
  assert_true(request.upgrade);
  assert_int_equal(consumed, sizeof head - 1);
  assert_int_equal(http_parser_waiting(parser), HTTP_WAITING_IDLE);
  http_parser_free(parser);
#undef UPGRADE
#undef UPGRADED
}

static void targets_are_taken_apart(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {GET("/v1/collections/items/a%20b"), "GET /v1/collections/items/a%20b [v1][collections][items][a b]\n"},
      {GET("/a/"), "GET /a/ [a]\n"}, {GET("/%2f%2F/x"), "GET /%2f%2F/x [//][x]\n"},
      {GET("/a.b/..c/..."), "GET /a.b/..c/... [a.b][..c][...]\n"},
      {GET("/%61%ff%01"), "GET /%61%ff%01 [a\\xff\\x01]\n"},
      {GET("/a+b:@!$&'()*,;=~"), "GET /a+b:@!$&'()*,;=~ [a+b:@!$&'()*,;=~]\n"},
      {GET("/1/2/3/4/5/6/7/8"), "GET /1/2/3/4/5/6/7/8 [1][2][3][4][5][6][7][8]\n"}, {GET("/?"), "GET /\n"},
      {GET("/?a"), "GET / ?a=\n"}, {GET("/?a=&&b=c%3d+%26=d&"), "GET / ?a=&b=c=+&=d\n"},
      {GET("/a?/..//?x=/./"), "GET /a [a] ?/..//?x=/./\n"},
      {GET("/?1&2&3&4&5&6&7&8&9&a&b&c&d&e&f&g"), "GET / ?1=&2=&3=&4=&5=&6=&7=&8=&9=&a=&b=&c=&d=&e=&f=&g=\n"},
      /* As a proxy gets it: the host of the target counts. */
      {GET("http://other:81/a%2f?b"), "GET /a%2f [a/] ?b= Host=other:81\n"}, {GET("HTTPS://h"), "GET /\n"},
      {GET("http://h?a=%41"), "GET / ?a=A\n"});
}

static size_t continues_of(const char *first_piece, const char *second_piece) {
  struct http_trace t;
  trace_init(&t, EXAMPLE_BODY_BYTES_MAX);
  trace_feed(&t, first_piece, strlen(first_piece));
  size_t continues_n = t.continues_n;
  trace_feed(&t, second_piece, strlen(second_piece));
  assert_int_equal(t.continues_n, continues_n); /* once at most */
  assert_int_equal(t.requests_n, 1);
  trace_close(&t);
  return continues_n;
}

static void clients_that_wait_are_told_to_continue(void **state) {
  (void)state;
#define PUT "PUT / HTTP/1.1\r\nHost: h\r\n"
  assert_int_equal(continues_of(PUT "Expect: 100-continue\r\nContent-Length: 2\r\n\r\n", "ab"), 1);
  assert_int_equal(
      continues_of(PUT "Expect: 100-Continue\r\nTransfer-Encoding: chunked\r\n\r\n", "0\r\n\r\n"), 1);
  assert_int_equal(continues_of(PUT "Expect: 100-continue\r\nContent-Length: 2\r\n\r\na", "b"),
                   0); /* it did not wait */
  assert_int_equal(continues_of(PUT "Expect: 100-continue\r\nContent-Length: 0\r\n\r\n", ""), 0);
  assert_int_equal(continues_of(PUT "Expect: 100-continue\r\n\r\n", ""), 0);
  assert_int_equal(continues_of(PUT "Content-Length: 2\r\n\r\n", "ab"), 0);
  assert_int_equal(continues_of("PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n", "ab"),
                   0);
#undef PUT
}

static void it_is_known_what_is_waited_for(void **state) {
  (void)state;
  static const struct {
    const char *piece;
    enum http_waiting waiting;
  } steps[] = {
      {"", HTTP_WAITING_IDLE},
      {"\r\n", HTTP_WAITING_IDLE},
      {"G", HTTP_WAITING_HEAD},
      {"ET / HTTP/1.1\r\n", HTTP_WAITING_HEAD},
      {"Host: h\r\n", HTTP_WAITING_HEAD},
      {"\r", HTTP_WAITING_HEAD},
      {"\n", HTTP_WAITING_IDLE},
      {"PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\n", HTTP_WAITING_HEAD},
      {"Content-Length: 2\r\n", HTTP_WAITING_HEAD},
      {"\r\n", HTTP_WAITING_BODY},
      {"a", HTTP_WAITING_BODY},
      {"b", HTTP_WAITING_IDLE},
      {"PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n", HTTP_WAITING_BODY},
      {"1\r\n", HTTP_WAITING_BODY},
      {"a", HTTP_WAITING_BODY},
      {"\r\n0\r\nA: b\r\n", HTTP_WAITING_BODY},
      {"\r\n", HTTP_WAITING_IDLE},
  };
  struct http_trace t;
  trace_init(&t, EXAMPLE_BODY_BYTES_MAX);
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    trace_feed(&t, steps[i].piece, strlen(steps[i].piece));
    assert_int_equal(http_parser_waiting(t.parser), steps[i].waiting);
  }
  assert_int_equal(t.requests_n, 3);
  trace_close(&t);
}

/* The answer to a request that failed may depend on what was read of it, and on nothing of the one before. */
static void headers_of_what_failed_are_known(void **state) {
  (void)state;
#define FIRST "GET / HTTP/1.1\r\nHost: h\r\nOrigin: http://first\r\n\r\n"
  static const struct {
    const char *input;
    size_t headers_n;
    const char *origin;
  } rows[] = {
      {FIRST "PUT / HTTP/1.1\r\nOrigin: http://o\r\nHost: h\r\nContent-Length: 33\r\n\r\n", 3, "http://o"},
      {FIRST "PUT / HTTP/1.1\r\nOrigin: http://o\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 3,
       "http://o"},
      {FIRST "PUT / HTTP/1.1\r\nOrigin: http://o\r\nBad Header: x\r\n", 1, "http://o"},
      {FIRST "PUT / HTTP/1.1\r\nHost: h\r\n\tfolded\r\nOrigin: http://o\r\n", 1, NULL},
      {FIRST "PUT / HTTP/2.0\r\n", 0, NULL},
      {FIRST "\x16\x03", 0, NULL},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    struct http_parser *parser = http_parser_new(EXAMPLE_BODY_BYTES_MAX, NULL);
    struct http_request r;
    struct http_error error;
    size_t n = strlen(rows[i].input), consumed;
    assert_int_equal(http_parser_execute(parser, rows[i].input, n, &consumed, &r, &error),
                     HTTP_REQUEST_READY);
    assert_int_equal(
        http_parser_execute(parser, rows[i].input + consumed, n - consumed, &consumed, &r, &error),
        HTTP_FAILED);
    http_parser_headers(parser, &r);
    assert_int_equal(r.headers_n, rows[i].headers_n);
    struct slice origin = http_request_header(&r, "Origin");
    assert_true(rows[i].origin == NULL ? origin.at == NULL : slice_is(origin, rows[i].origin));
    http_parser_free(parser);
  }
#undef FIRST
}

static void look_ups_find_the_first(void **state) {
  (void)state;
  static const char input[] = "GET /?a=1&a=2&b HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-oNE: 2\r\nEmpty:\r\n\r\n";
  struct http_parser *parser = http_parser_new(EXAMPLE_BODY_BYTES_MAX, NULL);
  struct http_request r;
  struct http_error error;
  size_t consumed;
  assert_int_equal(http_parser_execute(parser, input, sizeof input - 1, &consumed, &r, &error),
                   HTTP_REQUEST_READY);
  assert_int_equal(r.method, HTTP_GET_);
  assert_true(slice_is(r.target, "/?a=1&a=2&b"));
  assert_true(slice_is(http_request_header(&r, "x-one"), "1"));
  assert_int_equal(http_request_header_count(&r, "X-ONE"), 2);
  assert_int_equal(http_request_header_count(&r, "X-On"), 0);
  assert_null(http_request_header(&r, "X-Two").at);
  assert_non_null(http_request_header(&r, "Empty").at);
  assert_true(slice_is(http_request_parameter(&r, "a"), "1"));
  assert_null(http_request_parameter(&r, "A").at);
  assert_non_null(http_request_parameter(&r, "b").at);
  assert_int_equal(http_request_parameter(&r, "b").n, 0);
  http_parser_free(parser);
}

static void methods_are_told_apart(void **state) {
  (void)state;
  static const struct {
    const char *name;
    enum http_method method;
  } methods[] = {{"GET", HTTP_GET_},         {"HEAD", HTTP_HEAD_},   {"POST", HTTP_POST_},
                 {"PUT", HTTP_PUT_},         {"PATCH", HTTP_PATCH_}, {"DELETE", HTTP_DELETE_},
                 {"OPTIONS", HTTP_OPTIONS_}, {"TRACE", HTTP_OTHER_}, {"LINK", HTTP_OTHER_}};
  struct http_parser *parser = http_parser_new(EXAMPLE_BODY_BYTES_MAX, NULL);
  for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
    char input[64];
    size_t consumed;
    struct http_request request;
    struct http_error error;
    int n = snprintf(input, sizeof input, "%s / HTTP/1.1\r\nHost: h\r\n\r\n", methods[i].name);
    assert_int_equal(http_parser_execute(parser, input, (size_t)n, &consumed, &request, &error),
                     HTTP_REQUEST_READY);
    assert_int_equal(request.method, methods[i].method);
    assert_true(slice_is(request.method_name, methods[i].name));
  }
  http_parser_free(parser);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_are_read),
      cmocka_unit_test(chunks_are_joined),
      cmocka_unit_test(pipelined_requests_come_one_by_one),
      cmocka_unit_test(connections_stay_or_close),
      cmocka_unit_test(upgrades_are_asked_for_by_two_headers),
      cmocka_unit_test(nothing_behind_an_upgrade_is_taken),
      cmocka_unit_test(targets_are_taken_apart),
      cmocka_unit_test(clients_that_wait_are_told_to_continue),
      cmocka_unit_test(it_is_known_what_is_waited_for),
      cmocka_unit_test(headers_of_what_failed_are_known),
      cmocka_unit_test(look_ups_find_the_first),
      cmocka_unit_test(methods_are_told_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
