/* Goal: whatever RFC 9112 lets a server refuse, and whatever has been used to smuggle a request past
 * somebody, is refused with the status that it deserves, however the bytes arrive. Method: tables of input
 * and outcome (http_examples.h), each tried whole, byte by byte and split everywhere. */
#include "http/request.h"

#include "http_examples.h"

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
      {LINE("GET / HTTP/1.1"), "GET /\n"}, {LINE("GET /"), BAD}, {LINE("GET"), BAD}, {LINE("GET "), BAD},
      {LINE("GET  "), BAD}, {LINE(" GET / HTTP/1.1"), BAD}, {LINE("GET  / HTTP/1.1"), BAD},
      {LINE("GET  HTTP/1.1"), BAD}, {LINE("GET /  HTTP/1.1"), BAD}, {LINE("GET / HTTP/1.1 "), BAD},
      {LINE("GET\t/ HTTP/1.1"), BAD}, {LINE("GET /\tHTTP/1.1"), BAD}, {LINE("GET HTTP/1.1"), BAD},
      {LINE("GET / / HTTP/1.1"), BAD}, {LINE("G(T / HTTP/1.1"), BAD}, {LINE("G\0T / HTTP/1.1"), BAD},
      {LINE("GET / http/1.1"), BAD}, {LINE("GET / HTTP/1"), BAD}, {LINE("GET / HTTP/1.10"), BAD},
      {LINE("GET / HTTP/1,1"), BAD}, {LINE("GET / HTTP/x.1"), BAD}, {LINE("GET / HTTP/1.x"), BAD},
      {LINE("GET / ICE/1.0"), BAD}, {LINE("GET / RTSP/1.0"), BAD}, {LINE("GET / HTTP /1.1"), BAD},
      {BYTES("\x16\x03\x01\x02"), BAD}, {BYTES("\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), BAD},
      {BYTES("\r\n\r\n\r\n\r\n\r\n"), BAD}, {BYTES("\r\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), BAD},
      {BYTES("HTTP/1.1 200 OK\r\n"), BAD}, {LINE("get / HTTP/1.1"), UNKNOWN},
      {LINE("GETS / HTTP/1.1"), UNKNOWN}, {LINE("GE / HTTP/1.1"), UNKNOWN},
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
      bytes_printf(&input, "GET / HTTP/1.1\r\n%s%s", fronts[i][0] == 'H' ? "" : "Host: h\r\n", fronts[i]);
      bytes_append(&input, (char[]){(char)c}, 1);
      bytes_append_string(&input, "x\r\n\r\n");
      assert_trace(slice_of_bytes(&input), EXAMPLE_BODY_BYTES_MAX, BAD);
      bytes_close(&input);
    }
}

static void hosts_are_checked(void **state) {
  (void)state;
#define HOST(headers) BYTES("GET / HTTP/1.1\r\n" headers "\r\n\r\n")
  ASSERT_EXAMPLES({HOST("Host: h"), "GET /\n"}, {BYTES("GET / HTTP/1.1\r\n\r\n"), BAD}, {HOST("A: b"), BAD},
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

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bad_targets_are_refused),
      cmocka_unit_test(bad_request_lines_are_refused),
      cmocka_unit_test(bad_line_ends_are_refused),
      cmocka_unit_test(bad_headers_are_refused),
      cmocka_unit_test(control_characters_are_refused_in_every_header),
      cmocka_unit_test(hosts_are_checked),
      cmocka_unit_test(bodies_of_uncertain_length_are_refused),
      cmocka_unit_test(bad_chunks_are_refused),
      cmocka_unit_test(other_expectations_fail),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
