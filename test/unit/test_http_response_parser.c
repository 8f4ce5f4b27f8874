/* Goal: a client on a connection that stays open gets each response whole, in order, with what was meant for
 * it, and takes nothing for a response that is cut off, endless or not one. Method: tables of input and
 * outcome as text, each input whole, byte by byte and in two at every place. */
#include "http/request.h"
#include "http/response.h"

#include "golden.h"

enum { BODY_BYTES_MAX = 16 };

/* One line for each response, `STATUS {head} "body" close`, CR LF in the head as '|'; then the error, or
 * "(more)". */
static void trace_response(struct bytes *out, const struct http_response *r) {
  bytes_printf(out, "%d {", r->status);
  for (size_t i = 0; i < r->head.n; i++) {
    if (r->head.data[i] == '\r') continue;
    bytes_append(out, r->head.data[i] == '\n' ? (const uint8_t *)"|" : r->head.data + i, 1);
  }
  bytes_append_string(out, "}");
  if (r->body.n > 0) bytes_printf(out, " \"%.*s\"", (int)r->body.n, (const char *)r->body.data);
  bytes_append_string(out, r->keep_alive ? "\n" : " close\n");
}

struct client {
  struct http_response_parser *parser;
  struct bytes trace;
  const char *methods; /* of the requests that were sent: 'H' for HEAD, 'G' for others; one is taken off for
                          each response */
  int result;
};

static void expect_next(struct client *c) {
  if (*c->methods == 'H') http_response_parser_expect_head(c->parser, true);
}

static void feed(struct client *c, const void *data, size_t n) {
  uint8_t *piece = exact_copy(data, n);
  size_t at = 0;
  do {
    struct http_response response;
    size_t consumed = SIZE_MAX;
    c->result = http_response_parser_execute(c->parser, piece + at, n - at, &consumed, &response);
    assert_true(consumed <= n - at);
    if (consumed > 0) memset(piece + at, '#', consumed);
    at += consumed;
    if (c->result == 1) {
      trace_response(&c->trace, &response);
      http_response_close(&response);
      if (*c->methods != '\0') c->methods++;
      expect_next(c);
    }
  } while (c->result == 1);
  if (c->result == 0) assert_int_equal(at, n);
  free(piece);
}

static void assert_in_two(struct slice input, size_t first, size_t piece_bytes, const char *methods,
                          const char *expected) {
  struct client c = {.parser = http_response_parser_new(BODY_BYTES_MAX), .methods = methods};
  expect_next(&c);
  size_t n = first < input.n ? first : input.n;
  for (size_t at = 0; at < input.n && c.result >= 0;
       at += n, n = piece_bytes < input.n - at ? piece_bytes : input.n - at)
    feed(&c, input.at + at, n);
  if (c.result < 0) bytes_append_string(&c.trace, coracle_strerror(c.result));
  bytes_append(&c.trace, "", 1);
  assert_string_equal((const char *)c.trace.data, expected);
  http_response_parser_free(c.parser);
  bytes_close(&c.trace);
}

struct example {
  struct slice input;
  const char *methods;
  const char *outcome;
};

static void assert_examples(const struct example *examples, size_t n) {
  for (size_t i = 0; i < n; i++) {
    const struct example *e = &examples[i];
    assert_in_two(e->input, e->input.n, e->input.n, e->methods, e->outcome);
    assert_in_two(e->input, 1, 1, e->methods, e->outcome);
    for (size_t first = 1; first < e->input.n; first++)
      assert_in_two(e->input, first, e->input.n, e->methods, e->outcome);
  }
}

#define ASSERT_EXAMPLES(...)                                                                                 \
  do {                                                                                                       \
    static const struct example examples[] = {__VA_ARGS__};                                                  \
    assert_examples(examples, sizeof examples / sizeof *examples);                                           \
  } while (0)
#define BYTES(literal)                                                                                       \
  { (literal), sizeof(literal) - 1 }
#define OK(headers_and_body) BYTES("HTTP/1.1 200 OK\r\n" headers_and_body)
#define BAD "malformed"
#define LIMIT "over a limit"

static void responses_are_read(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {OK("Content-Length: 3\r\nETag: \"1\"\r\n\r\nabc"), "G", "200 {ETag: \"1\"|} \"abc\"\n"},
      {OK("Content-Type: text/plain\r\nContent-Length: 0\r\n\r\n"), "G", "200 {Content-Type: text/plain|}\n"},
      {OK("Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2;x\r\nde\r\n0\r\nT: u\r\n\r\n"), "G",
       "200 {} \"abcde\"\n"},
      {BYTES("HTTP/1.1 500\r\nContent-Length: 0\r\n\r\n"), "G", "500 {}\n"},
      {BYTES("HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n"), "G", "404 {}\n"},
      {BYTES("HTTP/1.1 204 No Content\r\nA: b\r\n\r\n"), "G", "204 {A: b|}\n"},
      {BYTES("HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\nContent-Length: 5\r\n\r\n"), "G",
       "304 {ETag: \"1\"|}\n"},
      {OK("Content-Length: 0\r\nConnection: close\r\n\r\n"), "G", "200 {} close\n"},
      {BYTES("HTTP/1.0 200 OK\r\nContent-Length: 1\r\nConnection: keep-alive\r\n\r\na"), "G",
       "200 {} \"a\" close\n"},
      {OK("Content-Length: 16\r\n\r\n0123456789abcdef"), "G", "200 {} \"0123456789abcdef\"\n"},
      {OK("Content-Length: 3\r\n\r\nab"), "G", ""}, {OK("Content-Length: 3\r\n"), "G", ""},
      {BYTES(""), "G", ""});
}

static void responses_to_head_have_no_body(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {OK("Content-Length: 99\r\n\r\n"), "H", "200 {}\n"}, {OK("\r\n"), "H", "200 {}\n"},
      {OK("Transfer-Encoding: chunked\r\n\r\n"), "H", "200 {}\n"},
      {OK("Content-Length: 3\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"), "HG",
       "200 {}\n200 {} \"abc\"\n"},
      {OK("Content-Length: 3\r\n\r\nabcHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), "GH",
       "200 {} \"abc\"\n200 {}\n"},
      {BYTES("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n"), "H", "200 {}\n"});
}

static void pipelined_responses_come_in_order(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {BYTES("HTTP/1.1 201 Created\r\nContent-Length: 1\r\n\r\na"
             "HTTP/1.1 204 No Content\r\n\r\n"
             "HTTP/1.1 412 Precondition Failed\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nb\r\n0\r\n\r\n"
             "HTTP/1.1 100 Continue\r\nA: b\r\n\r\n"
             "HTTP/1.1 103 Early Hints\r\n\r\n"
             "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\ncd"
             "HTTP/1.1 2"),
       "GGGG", "201 {} \"a\"\n204 {}\n412 {} \"b\"\n200 {} \"cd\"\n"});
}

static void hop_by_hop_headers_stay_behind(void **state) {
  (void)state;
  ASSERT_EXAMPLES({OK("Connection: X-One, keep-alive ,x-two\r\nA:  b \r\nX-One: 1\r\nx-TWO: 2\r\nX-Three: "
                      "3\r\nKeep-Alive: timeout=5\r\n"
                      "TE: trailers\r\nTrailer: T\r\nUpgrade: x\r\nProxy-Authenticate: "
                      "p\r\nproxy-connection: p\r\nProxied: q\r\n"
                      "CONTENT-LENGTH: 0\r\nContent-Type: t\r\n\r\n"),
                   "G", "200 {A: b|X-Three: 3|Proxied: q|Content-Type: t|}\n"});
}

static void what_is_no_response_is_refused(void **state) {
  (void)state;
  ASSERT_EXAMPLES(
      {OK("\r\n"), "G", BAD},
      {OK("A: b\r\n\r\nuntil the end"), "G", BAD}, /* a body that ends with the connection */
      {OK("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"), "G", BAD},
      {OK("Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), "G", BAD},
      {OK("Content-Length: x\r\n\r\n"), "G", BAD}, {OK("Content-Length: -1\r\n\r\n"), "G", BAD},
      {OK("Transfer-Encoding: gzip\r\n\r\n"), "G", BAD},
      {OK("Transfer-Encoding: gzip, chunked\r\n\r\n"), "G", BAD}, {OK("A: b\r\n c\r\n\r\n"), "G", BAD},
      {OK("A: b\rc\r\n\r\n"), "G", BAD}, {OK("A: b\n\r\n"), "G", BAD}, {OK("A : b\r\n\r\n"), "G", BAD},
      {OK("A: \0\r\n\r\n"), "G", BAD}, {OK("Transfer-Encoding: chunked\r\n\r\nx\r\n"), "G", BAD},
      {OK("Transfer-Encoding: chunked\r\n\r\n1\r\nab\r\n"), "G", BAD},
      {BYTES("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/2.0 200 OK\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.2 200 OK\r\nContent-Length: 0\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.1 99 OK\r\nContent-Length: 0\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.1 099 OK\r\nContent-Length: 0\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.1 600 OK\r\nContent-Length: 0\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.1 2000 OK\r\nContent-Length: 0\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.1  200 OK\r\nContent-Length: 0\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.1 200\tOK\r\nContent-Length: 0\r\n\r\n"), "G", BAD},
      {BYTES("HTTP/1.1\r\nContent-Length: 0\r\n\r\n"), "G", BAD}, {BYTES("ICY 200 OK\r\n\r\n"), "G", BAD},
      {BYTES("GET / HTTP/1.1\r\nHost: h\r\n\r\n"), "G", BAD}, {BYTES("\x03\0\0\0"), "G", BAD},
      {BYTES("HTTP/1.1 200 OK\nContent-Length: 0\n\n"), "G", BAD});
}

static void limits_hold(void **state) {
  (void)state;
  ASSERT_EXAMPLES({OK("Content-Length: 17\r\n\r\n"), "G", LIMIT},
                  {OK("Transfer-Encoding: chunked\r\n\r\n11\r\n"), "G", LIMIT},
                  {OK("Transfer-Encoding: chunked\r\n\r\n1\r\na\r\nffffffffffffffff\r\n"), "G", LIMIT});
  struct bytes input = {0};
  bytes_append_string(&input, "HTTP/1.1 200 OK\r\n");
  for (size_t i = 0; i <= HTTP_HEADERS_MAX; i++) bytes_append_string(&input, "A: b\r\n");
  assert_in_two(slice_of_bytes(&input), input.n, input.n, "G", LIMIT);
  input.n = 0;
  bytes_append_string(&input, "HTTP/1.1 200 OK\r\nA: ");
  while (input.n <= HTTP_HEAD_BYTES_MAX) bytes_append_string(&input, "bbbbbbbb");
  assert_in_two(slice_of_bytes(&input), 1000, 1000, "G", LIMIT);
  bytes_close(&input);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(responses_are_read),
      cmocka_unit_test(responses_to_head_have_no_body),
      cmocka_unit_test(pipelined_responses_come_in_order),
      cmocka_unit_test(hop_by_hop_headers_stay_behind),
      cmocka_unit_test(what_is_no_response_is_refused),
      cmocka_unit_test(limits_hold),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
