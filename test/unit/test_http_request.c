/* Goal: requests come out of a connection's bytes as RFC 9112 has it, however the bytes arrive; whatever has
 * been used to smuggle requests is refused with the status that it deserves; every limit holds exactly.
 * Method: tables of input and outcome (see http_trace.h), each tried whole, byte by byte and split
 * everywhere. */
#include "http/request.h"

#include "http_trace.h"

#include <stdio.h>

enum { BODY_BYTES_MAX = 32 };

#define BYTES(literal)                                                                                       \
  { literal, sizeof(literal) - 1 }
#define BAD "400 malformed_request\n"

struct example {
  struct slice input;
  const char *outcome;
};

static void assert_examples(const struct example *examples, size_t n) {
  for (size_t i = 0; i < n; i++) assert_trace(examples[i].input, BODY_BYTES_MAX, examples[i].outcome);
}

#define ASSERT_EXAMPLES(...)                                                                                 \
  do {                                                                                                       \
    static const struct example examples[] = {__VA_ARGS__};                                                  \
    assert_examples(examples, sizeof examples / sizeof *examples);                                           \
  } while (0)

/* Inputs that share a front and a back. */
#define GET(target) BYTES("GET " target " HTTP/1.1\r\nHost: h\r\n\r\n")
#define WITH(headers) BYTES("GET / HTTP/1.1\r\nHost: h\r\n" headers "\r\n\r\n")
#define CHUNKED(body) BYTES("PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" body)

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
  struct http_parser *parser = http_parser_new(BODY_BYTES_MAX);
  struct http_request request;
  struct http_error error;
  size_t consumed;
  assert_int_equal(http_parser_execute(parser, input, sizeof input - 1, &consumed, &request, &error),
                   HTTP_REQUEST_READY);
  assert_true(request.upgrade);
  assert_int_equal(consumed, sizeof head - 1);
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

static void bad_targets_are_refused(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {GET("//"), BAD}, {GET("//a"), BAD}, {GET("/a//b"), BAD}, {GET("/a//"), BAD}, {GET("/."), BAD},
      {GET("/.."), BAD}, {GET("/a/../b"), BAD}, {GET("/a/./b"), BAD}, {GET("/a/.."), BAD}, {GET("/%2e"), BAD},
      {GET("/%2E%2e/a"), BAD}, {GET("/.%2e/a"), BAD}, {GET("/%00"), BAD}, {GET("/a%00b"), BAD},
      {GET("/?a=%00"), BAD}, {GET("/%"), BAD}, {GET("/%4"), BAD}, {GET("/%4g"), BAD}, {GET("/%g4"), BAD},
      {GET("/%%41"), BAD}, {GET("/%4/1"), BAD}, {GET("/?%"), BAD}, {GET("/?a=%1"), BAD},
      {GET("/?a%4=1"), BAD}, {GET("/a#b"), BAD}, {GET("/#"), BAD}, {GET("/?#"), BAD}, {GET("/\xc3\xa4"), BAD},
      {GET("/?\xff"), BAD}, {GET("/a\tb"), BAD},
      {GET("/a\x0c"
           "b"),
       BAD},
      {GET("/a\0b"), BAD}, {GET("/a\x7f"), BAD}, {GET("/a\x01"), BAD}, {GET("/a b"), BAD}, {GET("a"), BAD},
      {GET("h:80"), BAD}, {GET("*"), BAD}, {GET("**"), BAD}, {GET("?a"), BAD}, {GET("\\a"), BAD},
      {GET("http:/a"), BAD}, {GET("http://"), BAD}, {GET("http:///a"), BAD}, {GET("http://u@h/a"), BAD},
      {GET("http://:80/a"), BAD}, {GET("ftp://h/a"), BAD}, {GET("httpx://h/a"), BAD},
      {GET("http://h/../a"), BAD}, {GET("http://h\\/a"), BAD}, {GET("http://h#a"), BAD},
      {GET("/1/2/3/4/5/6/7/8/9"), BAD}, {GET("/?1&2&3&4&5&6&7&8&9&a&b&c&d&e&f&g&h"), BAD},
      {BYTES("OPTIONS ** HTTP/1.1\r\nHost: h\r\n\r\n"), BAD});
}

static void bad_request_lines_are_refused(void **state) {
  (void)state;
#define LINE(line) BYTES(line "\r\nHost: h\r\n\r\n")
#define UNKNOWN "501 not_implemented\n"
#define VERSION "505 http_version_not_supported\n"
  ASSERT_EXAMPLES(
      {LINE("GET /"), BAD}, {LINE("GET"), BAD}, {LINE("GET "), BAD}, {LINE("GET  "), BAD},
      {LINE(" GET / HTTP/1.1"), BAD}, {LINE("GET  / HTTP/1.1"), BAD}, {LINE("GET /  HTTP/1.1"), BAD},
      {LINE("GET / HTTP/1.1 "), BAD}, {LINE("GET\t/ HTTP/1.1"), BAD}, {LINE("GET /\tHTTP/1.1"), BAD},
      {LINE("GET HTTP/1.1"), BAD}, {LINE("GET / / HTTP/1.1"), BAD}, {LINE("G(T / HTTP/1.1"), BAD},
      {LINE("G\0T / HTTP/1.1"), BAD}, {LINE("GET / http/1.1"), BAD}, {LINE("GET / HTTP/1"), BAD},
      {LINE("GET / HTTP/1.10"), BAD}, {LINE("GET / HTTP/1,1"), BAD}, {LINE("GET / HTTP/x.1"), BAD},
      {LINE("GET / HTTP/1.x"), BAD}, {LINE("GET / ICE/1.0"), BAD}, {LINE("GET / RTSP/1.0"), BAD},
      {LINE("GET / HTTP /1.1"), BAD}, {BYTES("\x16\x03\x01\x02"), BAD},
      {BYTES("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), BAD}, {BYTES("\r\n\r\n\r\n\r\n\r\n"), BAD},
      {BYTES("\r\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), BAD}, {BYTES("HTTP/1.1 200 OK\r\n"), BAD},
      {LINE("get / HTTP/1.1"), UNKNOWN}, {LINE("GETS / HTTP/1.1"), UNKNOWN}, {LINE("GE / HTTP/1.1"), UNKNOWN},
      {LINE("BREW / HTTP/1.1"), UNKNOWN}, {LINE("SETUP / HTTP/1.1"), UNKNOWN},
      {LINE("PRI * HTTP/1.1"), UNKNOWN}, {LINE("CONNECT h:80 HTTP/1.1"), UNKNOWN},
      {LINE("CONNECT / HTTP/1.1"), UNKNOWN}, {LINE("GET / HTTP/0.9"), VERSION},
      {LINE("GET / HTTP/1.2"), VERSION}, {LINE("GET / HTTP/2.0"), VERSION}, {LINE("GET / HTTP/9.1"), VERSION},
      {BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), VERSION});
#undef LINE
#undef UNKNOWN
#undef VERSION
}

static void bad_line_ends_are_refused(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {BYTES("GET / HTTP/1.1\nHost: h\r\n\r\n"), BAD}, {BYTES("GET / HTTP/1.1\r\nHost: h\n\r\n"), BAD},
      {BYTES("GET / HTTP/1.1\r\nHost: h\r\n\n"), BAD}, {BYTES("GET / HTTP/1.1\n\n"), BAD},
      {BYTES("GET / HTTP/1.1\rHost: h\r\n\r\n"), BAD}, {BYTES("GET / HTTP/1.1\r\r\nHost: h\r\n\r\n"), BAD},
      {WITH("A: b\rc"), BAD}, {WITH("A: b\rC: d"), BAD}, {WITH("A: b\r"), BAD}, {WITH("\rA: b"), BAD},
      {WITH("A\r: b"), BAD}, {WITH("A: b\n\r"), BAD}, {WITH("A: b\nC: d"), BAD}, {WITH("A:\rb"), BAD},
      {BYTES("GET / HTTP/1.1\r\nHost: h\r\n\r\r\n"), BAD},
      {BYTES("GET / HTTP/1.1\r\nHost: h\r\n\rX\r\n\r\n"), BAD});
}

static void bad_headers_are_refused(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {WITH("A : b"), BAD}, {WITH("A\t: b"), BAD}, {WITH("A b: c"), BAD}, {WITH(": b"), BAD},
      {WITH(":"), BAD}, {WITH("A"), BAD}, {WITH("A b"), BAD}, {WITH("A;: b"), BAD}, {WITH("A(: b"), BAD},
      {WITH("A@b: c"), BAD}, {WITH("A/b: c"), BAD}, {WITH("\xc3\xa4: b"), BAD}, {WITH("A\0: b"), BAD},
      {WITH("A\x01: b"), BAD}, {WITH("A\x7f: b"), BAD}, {WITH("\"A\": b"), BAD}, {WITH(" A: b"), BAD},
      {WITH("\tA: b"), BAD}, {WITH("A: b\r\n c"), BAD}, {WITH("A: b\r\n\tc"), BAD}, {WITH("A: b\r\n "), BAD},
      {WITH("A:\r\n b"), BAD}, {WITH("Content-Length: 0\r\n 1"), BAD},
      {WITH("Transfer-Encoding:\r\n chunked"), BAD}, {BYTES("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), BAD});
}

/* Every control character, in a value that nobody looks at and in those that decide about the message's end.
 */
static void control_characters_are_refused_in_every_header(void **state) {
  (void)state;
  static const char *const fronts[] = {"A: b",
                                       "A: ",
                                       "Connection: ",
                                       "Connection: close",
                                       "Upgrade: x",
                                       "Upgrade:",
                                       "Content-Length: 0",
                                       "Content-Length:",
                                       "Transfer-Encoding: chunked",
                                       "Transfer-Encoding: ",
                                       "Host: h",
                                       "Expect: ",
                                       "Proxy-Connection: keep-alive"};
  for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++)
    for (int c = 0; c <= 0x7f; c++) {
      if ((c >= ' ' && c < 0x7f) || c == '\t') continue;
      struct bytes input = {0};
      bytes_printf(&input, "GET / HTTP/1.1\r\n%s%s", i == 10 ? "" : "Host: h\r\n", fronts[i]);
      bytes_append(&input, (char[]){(char)c}, 1);
      bytes_append_string(&input, "x\r\n\r\n");
      assert_trace(slice_of_bytes(&input), BODY_BYTES_MAX, BAD);
      bytes_close(&input);
    }
}

static void hosts_are_checked(void **state) {
  (void)state;
#define HOST(headers) BYTES("GET / HTTP/1.1\r\n" headers "\r\n\r\n")
  ASSERT_EXAMPLES({BYTES("GET / HTTP/1.1\r\n\r\n"), BAD}, {HOST("A: b"), BAD},
                  {HOST("Host: h\r\nHost: h"), BAD}, {HOST("Host: h\r\nA: b\r\nhost: i"), BAD},
                  {HOST("Host: h, i"), BAD}, {HOST("Host: h i"), BAD}, {HOST("Host: u@h"), BAD},
                  {HOST("Host: h/a"), BAD}, {HOST("Host: http://h"), BAD}, {HOST("Host: h?a"), BAD},
                  {HOST("Host: h#"), BAD}, {HOST("Host: :80"), BAD}, {HOST("Host: h\xff"), BAD},
                  {HOST("Host: h\\"), BAD}, {BYTES("GET / HTTP/1.0\r\nHost: h\r\nHost: h\r\n\r\n"), BAD},
                  {BYTES("GET http://h/ HTTP/1.1\r\n\r\n"), BAD});
#undef HOST
}

static void bodies_of_uncertain_length_are_refused(void **state) {
  (void)state;
#define UNKNOWN "501 not_implemented\n"
  ASSERT_EXAMPLES(
      {WITH("Content-Length: 1\r\nTransfer-Encoding: chunked"), BAD},
      {WITH("Transfer-Encoding: chunked\r\nContent-Length: 1"), BAD},
      {WITH("Content-Length: 0\r\nTransfer-Encoding: chunked"), BAD},
      {WITH("Transfer-Encoding: chunked\r\nA: b\r\nContent-Length: 0"), BAD},
      {WITH("Content-Length: 0\r\nTransfer-Encoding: identity"), BAD},
      {WITH("Content-Length: 1\r\nContent-Length: 2"), BAD},
      {WITH("Content-Length: 1\r\nContent-Length: 1"), BAD},
      {WITH("Content-Length: 0\r\nContent-Length: 0"), BAD}, {WITH("Content-Length: 1, 1"), BAD},
      {WITH("Content-Length: 1 1"), BAD}, {WITH("Content-Length: +1"), BAD},
      {WITH("Content-Length: -1"), BAD}, {WITH("Content-Length: -0"), BAD},
      {WITH("Content-Length: 0x1"), BAD}, {WITH("Content-Length: 1a"), BAD},
      {WITH("Content-Length: 1."), BAD}, {WITH("Content-Length: 1;"), BAD}, {WITH("Content-Length:"), BAD},
      {WITH("Content-Length: "), BAD}, {WITH("Content-Length: a"), BAD}, {WITH("Content-Length: \"1\""), BAD},
      {WITH("Content-Length: 18446744073709551616"), BAD},
      {WITH("Content-Length: 99999999999999999999"), BAD},
      {WITH("Content-Length: 340282366920938463463374607431768211457"), BAD},
      {WITH("Content-Length: 000000000000000000001"), BAD}, /* 21 digits: more than any length needs */
      {WITH("Content-Length : 1"), BAD}, {WITH("Transfer-Encoding : chunked"), BAD},
      {WITH("Transfer-Encoding:"), BAD}, {WITH("Transfer-Encoding: ,"), BAD},
      {WITH("Transfer-Encoding: identity"), BAD}, {WITH("Transfer-Encoding: gzip"), BAD},
      {WITH("Transfer-Encoding: xchunked"), BAD}, {WITH("Transfer-Encoding: chunkedx"), BAD},
      {WITH("Transfer-Encoding: chunked;a=b"), BAD}, {WITH("Transfer-Encoding: \"chunked\""), BAD},
      {WITH("Transfer-Encoding: chunked chunked"), BAD}, {WITH("Transfer-Encoding: chunked, gzip"), BAD},
      {WITH("Transfer-Encoding: chunked, identity"), BAD}, {WITH("Transfer-Encoding: chunked, chunked"), BAD},
      {WITH("Transfer-Encoding: chunked,"), BAD},
      {WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked"), BAD},
      {WITH("Transfer-Encoding: chunked\r\nTransfer-Encoding: identity"), BAD},
      {WITH("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked"), BAD},
      {WITH("Transfer-Encoding: gzip, chunked"), UNKNOWN},
      {WITH("Transfer-Encoding: gzip,deflate , chunked"), UNKNOWN},
      {BYTES("GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), BAD},
      {BYTES("GET / HTTP/1.0\r\nTransfer-Encoding: gzip\r\n\r\n"), BAD});
#undef UNKNOWN
}

static void bad_chunks_are_refused(void **state) {
  (void)state;
  ASSERT_EXAMPLES({CHUNKED("\r\n"), BAD}, {CHUNKED("g\r\n"), BAD}, {CHUNKED("-1\r\n"), BAD},
                  {CHUNKED("+1\r\n"), BAD}, {CHUNKED("0x1\r\n"), BAD}, {CHUNKED(" 1\r\na\r\n0\r\n\r\n"), BAD},
                  {CHUNKED("1 \r\na\r\n0\r\n\r\n"), BAD}, {CHUNKED("1\t;a\r\na\r\n0\r\n\r\n"), BAD},
                  {CHUNKED("1_\r\na\r\n"), BAD}, {CHUNKED(";a\r\na\r\n"), BAD},
                  {CHUNKED("1,2\r\na\r\n"), BAD}, {CHUNKED("1\na\r\n0\r\n\r\n"), BAD},
                  {CHUNKED("1\ra\r\n0\r\n\r\n"), BAD}, {CHUNKED("1\r\r\na\r\n0\r\n\r\n"), BAD},
                  {CHUNKED("1\r\na\n0\r\n\r\n"), BAD}, {CHUNKED("1\r\na\r0\r\n\r\n"), BAD},
                  {CHUNKED("1\r\naXX0\r\n\r\n"), BAD}, {CHUNKED("1\r\na0\r\n\r\n"), BAD},
                  {CHUNKED("1\r\nab\r\n0\r\n\r\n"), BAD}, {CHUNKED("1\r\na\r\n0\n\r\n"), BAD},
                  {CHUNKED("1\r\na\r\n0\r\n\n"), BAD}, {CHUNKED("1\r\na\r\n0\r\n\rX\r\n"), BAD},
                  {CHUNKED("1;a\rb\r\na\r\n0\r\n\r\n"), BAD}, {CHUNKED("1;a\nb\r\na\r\n0\r\n\r\n"), BAD},
                  {CHUNKED("1;\0\r\na\r\n0\r\n\r\n"), BAD}, {CHUNKED("1;\x7f\r\na\r\n0\r\n\r\n"), BAD},
                  {CHUNKED("10000000000000000\r\n"), BAD}, {CHUNKED("fffffffffffffffff\r\n"), BAD},
                  {CHUNKED("0\r\nA : b\r\n\r\n"), BAD}, {CHUNKED("0\r\nA\r\n\r\n"), BAD},
                  {CHUNKED("0\r\n: b\r\n\r\n"), BAD}, {CHUNKED("0\r\n A: b\r\n\r\n"), BAD},
                  {CHUNKED("0\r\nA: b\r\n c\r\n\r\n"), BAD}, {CHUNKED("0\r\nA: b\rc\r\n\r\n"), BAD},
                  {CHUNKED("0\r\nA: \x01\r\n\r\n"), BAD}, {CHUNKED("0\r\nA\0: b\r\n\r\n"), BAD},
                  {CHUNKED("0\r\nTransfer-Encoding: gzip\r\n\r\n"), BAD},
                  {CHUNKED("0\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), BAD});
}

static void bodies_over_the_limit_are_refused(void **state) {
  (void)state;
#define LARGE "413 document_too_large\n"
#define TEXT_32 "0123456789abcdef0123456789abcdef"
  ASSERT_EXAMPLES(
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 32\r\n\r\n" TEXT_32),
       "PUT / Content-Length=32 \"" TEXT_32 "\"\n"},
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 33\r\n\r\n"), LARGE}, /* before any of it */
      {BYTES("PUT / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 33\r\n\r\n"), LARGE},
      {WITH("Content-Length: 18446744073709551615"), LARGE},
      {CHUNKED("20\r\n" TEXT_32 "\r\n0\r\n\r\n"), "PUT / Transfer-Encoding=chunked \"" TEXT_32 "\"\n"},
      {CHUNKED("21\r\n"), LARGE}, {CHUNKED("ffffffffffffffff\r\n"), LARGE},
      {CHUNKED("1f\r\n" TEXT_32 "\r\n2\r\n"), BAD},
      {CHUNKED("1\r\na\r\nffffffffffffffff\r\n"), LARGE}, /* no overflow in the sum */
      {CHUNKED("20\r\n" TEXT_32 "\r\n1\r\n"), LARGE});
}

static void the_limit_is_told(void **state) {
  (void)state;
  static const char input[] = "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 33\r\n\r\n";
  struct http_parser *parser = http_parser_new(BODY_BYTES_MAX);
  struct http_request request;
  struct http_error error;
  size_t consumed;
  assert_int_equal(http_parser_execute(parser, input, sizeof input - 1, &consumed, &request, &error),
                   HTTP_FAILED);
  assert_non_null(strstr(error.detail, "32 bytes"));
  http_parser_free(parser);
}

static void other_expectations_fail(void **state) {
  (void)state;
#define FAILS "417 expectation_failed\n"
  ASSERT_EXAMPLES({WITH("Expect: 200-ok"), FAILS}, {WITH("Expect:"), FAILS},
                  {WITH("Expect: 100-continue, x"), FAILS},
                  {WITH("Expect: 100-continue\r\nExpect: x"), FAILS},
                  {BYTES("GET / HTTP/1.0\r\nExpect: x\r\n\r\n"), FAILS},
                  {WITH("Expect: 100-continue"), "GET / Expect=100-continue\n"});
#undef FAILS
}

static size_t continues_of(const char *first_piece, const char *second_piece) {
  struct http_trace t;
  trace_init(&t, BODY_BYTES_MAX);
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
  trace_init(&t, BODY_BYTES_MAX);
  for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
    trace_feed(&t, steps[i].piece, strlen(steps[i].piece));
    assert_int_equal(http_parser_waiting(t.parser), steps[i].waiting);
  }
  assert_int_equal(t.requests_n, 3);
  trace_close(&t);
}

/* ---- Limits, at exactly the limit and one beyond ---- */

static void append_repeated(struct bytes *out, char c, size_t n) {
  memset(bytes_reserve(out, n), c, n);
  out->n += n;
}

/* Too long to be split everywhere. */
static void assert_long_trace(struct bytes *input, const char *status) {
  struct slice whole = slice_of_bytes(input);
  static const size_t pieces[] = {1, 2, 1000, 4096, 8191, 8193, SIZE_MAX};
  for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
    struct http_trace t;
    trace_init(&t, BODY_BYTES_MAX);
    for (size_t at = 0, n; at < whole.n; at += n) {
      n = pieces[i] < whole.n - at ? pieces[i] : whole.n - at;
      trace_feed(&t, whole.at + at, n);
    }
    assert_int_equal(t.requests_n, status == NULL ? 1 : 0);
    if (status != NULL) assert_string_equal(trace_end(&t), status);
    trace_close(&t);
  }
  bytes_close(input);
}

static void request_lines_have_a_limit(void **state) {
  (void)state;
  enum { FIXED_BYTES = sizeof "GET / HTTP/1.1" - 1 };
  for (size_t beyond = 0; beyond <= 1; beyond++) {
    struct bytes input = {0};
    bytes_append_string(&input, "GET /");
    append_repeated(&input, 'a', HTTP_REQUEST_LINE_BYTES_MAX - FIXED_BYTES + beyond);
    bytes_append_string(&input, " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_long_trace(&input, beyond ? "414 uri_too_long\n" : NULL);
  }
  struct bytes endless = {0};
  append_repeated(&endless, 'a', 100 * 1000);
  assert_long_trace(&endless, "414 uri_too_long\n");
}

static void heads_have_a_limit(void **state) {
  (void)state;
  enum { FIXED_BYTES = sizeof "GET / HTTP/1.1\r\nHost: h\r\nA: \r\n\r\n" - 1 };
  for (size_t beyond = 0; beyond <= 1; beyond++) {
    struct bytes input = {0};
    bytes_append_string(&input, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
    append_repeated(&input, 'a', HTTP_HEAD_BYTES_MAX - FIXED_BYTES + beyond);
    bytes_append_string(&input, "\r\n\r\n");
    assert_long_trace(&input, beyond ? "431 headers_too_large\n" : NULL);
  }
  struct bytes endless = {0};
  bytes_append_string(&endless, "GET / HTTP/1.1\r\nHost: h\r\nA: ");
  append_repeated(&endless, 'a', 100 * 1000);
  assert_long_trace(&endless, "431 headers_too_large\n");
}

static void headers_are_counted(void **state) {
  (void)state;
  for (size_t beyond = 0; beyond <= 1; beyond++) {
    struct bytes input = {0};
    bytes_append_string(&input, "GET / HTTP/1.1\r\nHost: h\r\n");
    for (size_t i = 1; i < HTTP_HEADERS_MAX + beyond; i++) bytes_append_string(&input, "A:\r\n");
    bytes_append_string(&input, "\r\n");
    assert_long_trace(&input, beyond ? "431 headers_too_large\n" : NULL);
  }
}

static void chunk_extensions_have_a_limit(void **state) {
  (void)state;
  for (size_t beyond = 0; beyond <= 1; beyond++) {
    struct bytes input = {0};
    bytes_append_string(&input, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n1;");
    append_repeated(&input, 'a', 256 - 4 + beyond);
    bytes_append_string(&input, "\r\na\r\n0\r\n\r\n");
    assert_long_trace(&input, beyond ? BAD : NULL);
  }
}

static void trailers_have_a_limit(void **state) {
  (void)state;
  for (size_t beyond = 0; beyond <= 1; beyond++) {
    struct bytes input = {0};
    bytes_append_string(&input, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n");
    for (size_t n = 0; n < HTTP_TRAILER_BYTES_MAX - 16; n += 16)
      bytes_append_string(&input, "A: 0123456789a\r\n");
    append_repeated(&input, 'A', 16 - 5 + beyond);
    bytes_append_string(&input, ":\r\n\r\n");
    assert_long_trace(&input, beyond ? BAD : NULL);
  }
}

/* ---- The rest ---- */

static void look_ups_find_the_first(void **state) {
  (void)state;
  static const char input[] = "GET /?a=1&a=2&b HTTP/1.1\r\nHost: h\r\nX-One: 1\r\nx-oNE: 2\r\nEmpty:\r\n\r\n";
  struct http_parser *parser = http_parser_new(BODY_BYTES_MAX);
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
  struct http_parser *parser = http_parser_new(BODY_BYTES_MAX);
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
      cmocka_unit_test(bad_targets_are_refused),
      cmocka_unit_test(bad_request_lines_are_refused),
      cmocka_unit_test(bad_line_ends_are_refused),
      cmocka_unit_test(bad_headers_are_refused),
      cmocka_unit_test(control_characters_are_refused_in_every_header),
      cmocka_unit_test(hosts_are_checked),
      cmocka_unit_test(bodies_of_uncertain_length_are_refused),
      cmocka_unit_test(bad_chunks_are_refused),
      cmocka_unit_test(bodies_over_the_limit_are_refused),
      cmocka_unit_test(the_limit_is_told),
      cmocka_unit_test(other_expectations_fail),
      cmocka_unit_test(clients_that_wait_are_told_to_continue),
      cmocka_unit_test(it_is_known_what_is_waited_for),
      cmocka_unit_test(request_lines_have_a_limit),
      cmocka_unit_test(heads_have_a_limit),
      cmocka_unit_test(headers_are_counted),
      cmocka_unit_test(chunk_extensions_have_a_limit),
      cmocka_unit_test(trailers_have_a_limit),
      cmocka_unit_test(look_ups_find_the_first),
      cmocka_unit_test(methods_are_told_apart),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
