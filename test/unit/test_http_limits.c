/* Goal: every limit on a request lets through what is exactly at it and refuses one more, before it is
 * buffered. Method: inputs made to measure, in pieces of several sizes. */
#include "http/request.h"

#include "http_examples.h"

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
  struct http_parser *parser = http_parser_new(EXAMPLE_BODY_BYTES_MAX, NULL);
  struct http_request request;
  struct http_error error;
  size_t consumed;
  assert_int_equal(http_parser_execute(parser, input, sizeof input - 1, &consumed, &request, &error),
                   HTTP_FAILED);
  assert_non_null(strstr(error.detail, "32 bytes"));
  http_parser_free(parser);
}

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
    trace_init(&t, EXAMPLE_BODY_BYTES_MAX);
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

/* Each request has the whole of it. */
static void trailers_of_one_request_do_not_count_for_the_next(void **state) {
  (void)state;
  struct http_trace t;
  trace_init(&t, EXAMPLE_BODY_BYTES_MAX);
  struct bytes input = {0};
  bytes_append_string(&input, "PUT / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nA:");
  append_repeated(&input, 'a', HTTP_TRAILER_BYTES_MAX - 6);
  bytes_append_string(&input, "\r\n\r\n");
  for (int i = 0; i < 3; i++) trace_feed(&t, input.data, input.n);
  assert_int_equal(t.requests_n, 3);
  bytes_close(&input);
  trace_close(&t);
}

/* The longest target there is, all of it to be decoded, in the two forms that it can have. */
static void long_targets_are_decoded(void **state) {
  (void)state;
  static const char *const fronts[] = {"GET /", "GET http://h?"};
  for (size_t i = 0; i < sizeof fronts / sizeof *fronts; i++) {
    struct bytes input = {0};
    bytes_append_string(&input, fronts[i]);
    while (input.n + 3 + sizeof " HTTP/1.1" - 1 <= HTTP_REQUEST_LINE_BYTES_MAX)
      bytes_append_string(&input, "%41");
    bytes_append_string(&input, " HTTP/1.1\r\nHost: h\r\n\r\n");
    assert_long_trace(&input, NULL);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bodies_over_the_limit_are_refused),
      cmocka_unit_test(the_limit_is_told),
      cmocka_unit_test(request_lines_have_a_limit),
      cmocka_unit_test(heads_have_a_limit),
      cmocka_unit_test(headers_are_counted),
      cmocka_unit_test(chunk_extensions_have_a_limit),
      cmocka_unit_test(trailers_have_a_limit),
      cmocka_unit_test(trailers_of_one_request_do_not_count_for_the_next),
      cmocka_unit_test(long_targets_are_decoded),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
