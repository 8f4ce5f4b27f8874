/* Goal: a body of the streamed type is told piece by piece, without limit, and its framing is read exactly as
 * that of a body that is kept: what comes behind it is the next request and nothing else. */
#include "base/random.h"
#include "http/response.h"
#include "http_examples.h"

#include <stdio.h>

#define TYPE "application/x-ndjson"
#define STREAM(framing, body) "POST /s HTTP/1.1\r\nHost: h\r\nContent-Type: " TYPE "\r\n" framing "\r\n" body
#define CODING "Transfer-Encoding: chunked\r\n"
#define SHOWN "POST /s [s] Content-Type=" TYPE

struct stream_example {
  const char *input;
  const char *trace;
};

static void assert_streamed_in_pieces(struct slice input, size_t first, size_t piece_bytes,
                                      const char *expected) {
  struct http_trace t;
  trace_init_streaming(&t, EXAMPLE_BODY_BYTES_MAX, TYPE);
  size_t n = first < input.n ? first : input.n;
  for (size_t at = 0; at < input.n; at += n, n = piece_bytes < input.n - at ? piece_bytes : input.n - at)
    trace_feed(&t, input.at + at, n);
  assert_string_equal(trace_end(&t), expected);
  trace_close(&t);
}

static void assert_streamed(const struct stream_example *examples, size_t examples_n) {
  for (size_t i = 0; i < examples_n; i++) {
    struct slice input = slice_of(examples[i].input);
    assert_streamed_in_pieces(input, input.n, input.n, examples[i].trace);
    assert_streamed_in_pieces(input, 1, 1, examples[i].trace);
    for (size_t first = 1; first < input.n; first++)
      assert_streamed_in_pieces(input, first, input.n, examples[i].trace);
  }
}

#define ASSERT_STREAMED(...)                                                                                 \
  do {                                                                                                       \
    static const struct stream_example examples_[] = {__VA_ARGS__};                                          \
    assert_streamed(examples_, sizeof examples_ / sizeof *examples_);                                        \
  } while (0)

#define NEXT "GET /next HTTP/1.1\r\nHost: h\r\n\r\n"
#define NEXT_SHOWN "GET /next [next]\n"

static void bodies_come_whole_and_the_next_request_after_them(void **state) {
  (void)state;
  ASSERT_STREAMED({STREAM("Content-Length: 6\r\n", "{}\n{}\n") NEXT,
                   SHOWN " Content-Length=6 \"{}\\x0a{}\\x0a\"\n" NEXT_SHOWN},
                  {STREAM(CODING, "1\r\na\r\n0002;x=y\r\nbc\r\n0\r\n\r\n") NEXT,
                   SHOWN " Transfer-Encoding=chunked \"abc\"\n" NEXT_SHOWN},
                  {STREAM(CODING, "0\r\n\r\n") NEXT, SHOWN " Transfer-Encoding=chunked\n" NEXT_SHOWN},
                  {STREAM(CODING, "1\r\na\r\n0\r\nTrailer: x\r\n\r\n") NEXT,
                   SHOWN " Transfer-Encoding=chunked \"a\"\n" NEXT_SHOWN},
                  /* What looks like a request in a body is none. */
                  {STREAM("Content-Length: 31\r\n", NEXT) "GET /x HTTP/1.1\r\nHost: h\r\n\r\n",
                   SHOWN " Content-Length=31 \"GET /next HTTP/1.1\\x0d\\x0aHost: h\\x0d\\x0a\\x0d\\x0a\"\n"
                         "GET /x [x]\n"},
                  {STREAM("Connection: close\r\nContent-Length: 1\r\n", "a"),
                   SHOWN " Connection=close Content-Length=1 \"a\" close\n"},
                  {"POST /s HTTP/1.0\r\nContent-Type: " TYPE "\r\nContent-Length: 1\r\n\r\na",
                   SHOWN " Content-Length=1 \"a\" close\n"},
                  {STREAM("Content-Length: 3\r\n", "ab"), "(in body)\n"});
}

/* Twice the limit of bodies that are kept, in one chunk, in many, and by length. */
static void their_length_has_no_limit(void **state) {
  (void)state;
  ASSERT_STREAMED(
      {STREAM("Content-Length: 64\r\n", "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"),
       SHOWN " Content-Length=64 \"0123456789abcdef0123456789abcdef0123456789abcdef"
             "0123456789abcdef\"\n"},
      {STREAM(CODING, "20\r\n0123456789abcdef0123456789abcdef\r\n"
                      "20\r\n0123456789abcdef0123456789abcdef\r\n0\r\n\r\n"),
       SHOWN " Transfer-Encoding=chunked \"0123456789abcdef0123456789abcdef0123456789abcdef"
             "0123456789abcdef\"\n"},
      {STREAM("Content-Length: 18446744073709551615\r\n", "a"), "(in body)\n"},
      {STREAM(CODING, "ffffffffffffffff\r\na"), "(in body)\n"},
      {STREAM("Content-Length: 18446744073709551616\r\n", "a"), "400 malformed_request\n"},
      {STREAM(CODING, "10000000000000000\r\na"), "400 malformed_request\n"});
}

static void only_the_streamed_type_streams(void **state) {
  (void)state;
  struct {
    const char *type;
    bool streams;
  } types[] = {
      {TYPE, true},
      {"Application/X-NDJSON", true},
      {TYPE ";charset=utf-8", true},
      {TYPE " \t; charset=utf-8", true},
      {TYPE "s", false},
      {"application/x-ndjso", false},
      {"x;" TYPE, false},
      {"application/json", false},
      {";", false},
      {"", false},
  };
  for (size_t i = 0; i < sizeof types / sizeof *types; i++)
    for (int with_body = 0; with_body < 2; with_body++) {
      struct http_parser *parser = http_parser_new(EXAMPLE_BODY_BYTES_MAX, TYPE);
      struct http_request request;
      struct http_error error;
      char input[200];
      size_t consumed;
      int n = snprintf(input, sizeof input,
                       "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\na",
                       types[i].type, with_body);
      enum http_progress progress =
          http_parser_execute(parser, input, (size_t)n, &consumed, &request, &error);
      bool streams = types[i].streams && with_body == 1;
      assert_int_equal(progress, streams ? HTTP_HEAD_READY : HTTP_REQUEST_READY);
      assert_int_equal(request.streams, streams);
      http_parser_free(parser);
    }
}

static void hostile_framing_is_refused_as_ever(void **state) {
  (void)state;
#define REFUSED "400 malformed_request\n"
  ASSERT_STREAMED(
      {STREAM("Content-Length: 1\r\n" CODING, "0\r\n\r\n"), REFUSED},
      {STREAM("Content-Length: 1\r\nContent-Length: 1\r\n", "a"), REFUSED},
      {STREAM("Content-Length: +1\r\n", "a"), REFUSED},
      {STREAM("Transfer-Encoding: chunked, gzip\r\n", "0\r\n\r\n"), REFUSED},
      {STREAM("Transfer-Encoding: gzip, chunked\r\n", "0\r\n\r\n"), "501 not_implemented\n"},
      {STREAM(CODING, "\r\n"), REFUSED}, {STREAM(CODING, " 1\r\na\r\n0\r\n\r\n"), REFUSED},
      {STREAM(CODING, "1 \r\na\r\n0\r\n\r\n"), REFUSED}, {STREAM(CODING, "0x1\r\na\r\n0\r\n\r\n"), REFUSED},
      {STREAM(CODING, "-1\r\na\r\n0\r\n\r\n"), REFUSED}, {STREAM(CODING, "1\na\r\n0\r\n\r\n"), REFUSED},
      {STREAM(CODING, "1\r\na\n0\r\n\r\n"), REFUSED}, {STREAM(CODING, "1\r\nab\r\n0\r\n\r\n"), REFUSED},
      {STREAM(CODING, "1\r\na0\r\n\r\n"), REFUSED}, {STREAM(CODING, "1;a\nb\r\na\r\n0\r\n\r\n"), REFUSED},
      {STREAM(CODING, "1\r\na\r\n0\r\nX y\r\n\r\n"), REFUSED},
      {STREAM(CODING, "1\r\na\r\n0\r\nX: y\n\r\n"), REFUSED},
      {STREAM(CODING, "g\r\na\r\n0\r\n\r\n"), REFUSED},
      {STREAM(CODING, "2\r\nab\r\n0\r\n\r\n") "garbage\r\n",
       SHOWN " Transfer-Encoding=chunked \"ab\"\n" REFUSED},
      {"POST /s HTTP/1.0\r\nContent-Type: " TYPE "\r\n" CODING "\r\n0\r\n\r\n", REFUSED});
#undef REFUSED
}

/* The pieces are the input's own bytes, and the parser keeps none: it would be felt with a large body. */
static void pieces_are_those_that_came(void **state) {
  (void)state;
  struct http_parser *parser = http_parser_new(EXAMPLE_BODY_BYTES_MAX, TYPE);
  struct http_request request;
  struct http_error error;
  size_t consumed;
  static const char head[] = STREAM("Content-Length: 1000000000\r\n", "");
  static char piece[100000];
  assert_int_equal(http_parser_execute(parser, head, sizeof head - 1, &consumed, &request, &error),
                   HTTP_HEAD_READY);
  assert_int_equal(consumed, sizeof head - 1);
  assert_int_equal(http_parser_waiting(parser), HTTP_WAITING_BODY);
  for (size_t i = 0; i < 10000; i++) {
    assert_int_equal(http_parser_execute(parser, piece, sizeof piece, &consumed, &request, &error),
                     HTTP_BODY_PIECE);
    assert_ptr_equal(request.body.at, piece);
    assert_int_equal(request.body.n, sizeof piece);
    assert_int_equal(consumed, sizeof piece);
    assert_true(slice_is(request.path, "/s"));
  }
  assert_int_equal(http_parser_execute(parser, NULL, 0, &consumed, &request, &error), HTTP_BODY_END);
  assert_int_equal(request.body.n, 0);
  assert_true(slice_is(http_request_header(&request, "Host"), "h"));
  assert_int_equal(http_parser_waiting(parser), HTTP_WAITING_IDLE);
  assert_int_equal(http_parser_execute(parser, NULL, 0, &consumed, &request, &error), HTTP_NEED_MORE);
  http_parser_free(parser);
}

/* HTTP_CONTINUE comes after the head was told, so that a caller may refuse the request instead. */
static void those_who_wait_are_told_after_the_head(void **state) {
  (void)state;
#define WAITS "Expect: 100-continue\r\nContent-Length: 1\r\n"
  struct http_request request;
  struct http_error error;
  size_t consumed;
  for (size_t with = 0; with < 2; with++) {
    struct http_parser *parser = http_parser_new(EXAMPLE_BODY_BYTES_MAX, TYPE);
    static const char input[] = STREAM(WAITS, "a");
    size_t n = sizeof input - 2;
    assert_int_equal(http_parser_execute(parser, input, n + with, &consumed, &request, &error),
                     HTTP_HEAD_READY);
    assert_int_equal(consumed, n);
    if (with == 0)
      assert_int_equal(http_parser_execute(parser, NULL, 0, &consumed, &request, &error), HTTP_CONTINUE);
    if (with == 0)
      assert_int_equal(http_parser_execute(parser, NULL, 0, &consumed, &request, &error), HTTP_NEED_MORE);
    assert_int_equal(http_parser_execute(parser, input + n, 1, &consumed, &request, &error), HTTP_BODY_PIECE);
    assert_int_equal(http_parser_execute(parser, NULL, 0, &consumed, &request, &error), HTTP_BODY_END);
    assert_int_equal(http_parser_execute(parser, NULL, 0, &consumed, &request, &error), HTTP_NEED_MORE);
    http_parser_free(parser);
  }
#undef WAITS
}

static void none_is_an_upgrade(void **state) {
  (void)state;
  ASSERT_STREAMED({STREAM("Connection: upgrade\r\nUpgrade: x\r\nContent-Length: 1\r\n", "a") NEXT,
                   SHOWN " Connection=upgrade Upgrade=x Content-Length=1 \"a\"\n" NEXT_SHOWN},
                  {STREAM("Connection: upgrade\r\nUpgrade: x\r\n" CODING, "1\r\na\r\n0\r\n\r\n") NEXT,
                   SHOWN " Connection=upgrade Upgrade=x Transfer-Encoding=chunked \"a\"\n" NEXT_SHOWN});
}

/* Whatever bytes come, in whatever pieces: a parser that streams and one that keeps bodies read the same
 * requests out of them, and refuse the same. */
static void streaming_changes_nothing_about_framing(void **state) {
  (void)state;
  static const char *const seeds[] = {
      STREAM(CODING, "1\r\na\r\n2;x\r\nbc\r\n0\r\nT: x\r\n\r\n") NEXT,
      STREAM("Content-Length: 5\r\n", "abcde") NEXT,
      STREAM("Expect: 100-continue\r\n" CODING, "3\r\nabc\r\n0\r\n\r\n") STREAM(CODING, "0\r\n\r\n"),
  };
  static const char alphabet[] = "\r\n\r\n0123456789abcdef;: \tchunkedContent-Length,GETPOST/\x00\x7f\xff";
  struct random random = {.state = 20261123};
  for (size_t round = 0; round < 30000; round++) {
    char input[512];
    const char *seed = seeds[random_next(&random) % (sizeof seeds / sizeof *seeds)];
    size_t n = strlen(seed);
    memcpy(input, seed, n);
    for (size_t mutations = random_next(&random) % 4; mutations > 0; mutations--) {
      size_t at = random_next(&random) % n;
      if (random_next(&random) % 3 == 0) {
        memmove(input + at, input + at + 1, n - at - 1);
        n--;
      } else if (random_next(&random) % 2 == 0 && n < sizeof input) {
        memmove(input + at + 1, input + at, n - at);
        n++;
        input[at] = alphabet[random_next(&random) % (sizeof alphabet - 1)];
      } else {
        input[at] = alphabet[random_next(&random) % (sizeof alphabet - 1)];
      }
    }
    struct http_trace kept, streamed;
    trace_init(&kept, SIZE_MAX);
    trace_init_streaming(&streamed, SIZE_MAX, TYPE);
    size_t piece = 1 + random_next(&random) % n;
    for (size_t at = 0; at < n; at += piece) {
      size_t piece_n = piece < n - at ? piece : n - at;
      trace_feed(&kept, input + at, piece_n);
      trace_feed(&streamed, input + at, piece_n);
    }
    assert_int_equal(kept.continues_n, streamed.continues_n);
    const char *one = trace_end(&kept), *other = trace_end(&streamed);
    if (strstr(one, "413") == NULL) assert_string_equal(other, one); /* more chunks than memory could hold */
    trace_close(&kept);
    trace_close(&streamed);
  }
}

/* ---- Answers ---- */

static void answers_are_written_in_chunks(void **state) {
  (void)state;
  struct bytes out = {0};
  http_response_begin(&out, 200);
  http_response_stream(&out, TYPE, true, false);
  http_response_chunk(&out, slice_of("0123456789abcdef"), false);
  http_response_chunk(&out, (struct slice){0}, false);
  http_response_chunk(&out, slice_of("x"), false);
  http_response_last_chunk(&out, false);
  bytes_append(&out, "", 1);
  assert_string_equal((char *)out.data,
                      "HTTP/1.1 200 OK\r\nContent-Type: " TYPE "\r\nTransfer-Encoding: chunked\r\n\r\n"
                      "10\r\n0123456789abcdef\r\n1\r\nx\r\n0\r\n\r\n");
  out.n--;

  struct http_response_parser *parser = http_response_parser_new(100);
  struct http_response response;
  size_t consumed;
  assert_int_equal(http_response_parser_execute(parser, out.data, out.n, &consumed, &response), 1);
  assert_int_equal(consumed, out.n);
  assert_true(slice_is(slice_of_bytes(&response.body), "0123456789abcdefx"));
  http_response_close(&response);
  http_response_parser_free(parser);
  bytes_close(&out);
}

static void answers_to_http_1_0_end_with_the_connection(void **state) {
  (void)state;
  struct bytes out = {0};
  http_response_begin(&out, 200);
  http_response_stream(&out, TYPE, false, true);
  http_response_chunk(&out, slice_of("a"), true);
  http_response_chunk(&out, slice_of("b"), true);
  http_response_last_chunk(&out, true);
  bytes_append(&out, "", 1);
  assert_string_equal((char *)out.data,
                      "HTTP/1.1 200 OK\r\nContent-Type: " TYPE "\r\nConnection: close\r\n\r\nab");
  bytes_close(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bodies_come_whole_and_the_next_request_after_them),
      cmocka_unit_test(their_length_has_no_limit),
      cmocka_unit_test(only_the_streamed_type_streams),
      cmocka_unit_test(hostile_framing_is_refused_as_ever),
      cmocka_unit_test(pieces_are_those_that_came),
      cmocka_unit_test(those_who_wait_are_told_after_the_head),
      cmocka_unit_test(none_is_an_upgrade),
      cmocka_unit_test(streaming_changes_nothing_about_framing),
      cmocka_unit_test(answers_are_written_in_chunks),
      cmocka_unit_test(answers_to_http_1_0_end_with_the_connection),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
