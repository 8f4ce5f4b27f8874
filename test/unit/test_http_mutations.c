/* Goal: no input makes a parser crash, read what is not its own, or see something else for arriving in other
 * pieces. Method: valid input with random changes, thousands of them, made from one seed; each whole and in
 * random pieces. */
#include "http/response.h"

#include "base/random.h"
#include "http_trace.h"

#include <stdio.h>

enum { ROUNDS = 20 * 1000, CHANGES_MAX = 6, BODY_BYTES_MAX = 64 };

static const struct random seed = {20240607};

static const char *const requests[] = {
    "GET /v1/collections/items/a%20b?limit=10&after=x%2Fy HTTP/1.1\r\nHost: localhost:8001\r\nAccept: "
    "*/*\r\n\r\n",
    "PUT /v1/collections/items/1 HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: "
    "7\r\n"
    "If-Match: \"17\"\r\n\r\n{\"a\":1}GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /v1/collections/items HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nExpect: "
    "100-continue\r\n\r\n"
    "5;x=y\r\n{\"a\":\r\n2\r\n1}\r\n0\r\nT: u\r\n\r\nHEAD / HTTP/1.0\r\n\r\n",
    "GET /v1/replication HTTP/1.1\r\nHost: h\r\nConnection: Upgrade\r\nUpgrade: x/1\r\n\r\n\x03\x01\x02\x03",
    "OPTIONS * HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
    "GET http://h:80/a?b HTTP/1.1\r\nHost: h\r\n\r\n\r\nDELETE /a/b/ HTTP/1.1\r\nHost: [::1]\r\n\r\n",
};

static const char *const responses[] = {
    "HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: 7\r\nConnection: x\r\nx: "
    "y\r\n\r\n{\"a\":1}",
    "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: "
    "chunked\r\n\r\n3;e\r\nabc\r\n0\r\n\r\n"
    "HTTP/1.1 304 Not Modified\r\nETag: \"1\"\r\n\r\n",
};

static size_t below(struct random *random, size_t bound) {
  return (size_t)random_below(random, bound);
}

/* A byte that means something somewhere, or any. */
static uint8_t some_byte(struct random *random) {
  static const char telling[] = "\r\n \t:;,%/.?#&=0159afgHT\x00\x7f\x80\xff";
  return below(random, 4) > 0 ? (uint8_t)telling[below(random, sizeof telling - 1)]
                              : (uint8_t)below(random, 256);
}

static void change(struct random *random, struct bytes *input) {
  size_t at = below(random, input->n);
  size_t n = 1 + below(random, 8);
  if (n > input->n - at) n = input->n - at;
  struct bytes back = {0};
  bytes_append(&back, input->data + at, input->n - at);
  switch (below(random, 5)) {
  case 0: /* another byte */
    input->data[at] = some_byte(random);
    break;
  case 1: /* one more */
    bytes_reserve(input, 1)[0] = 0;
    input->n++;
    input->data[at] = some_byte(random);
    memcpy(input->data + at + 1, back.data, back.n);
    break;
  case 2: /* some fewer */
    if (input->n > n) {
      memcpy(input->data + at, back.data + n, back.n - n);
      input->n -= n;
    }
    break;
  case 3: /* some twice */
    input->n = at;
    bytes_append(input, back.data, n);
    bytes_append(input, back.data, back.n);
    break;
  default: /* cut off */
    if (below(random, 4) == 0) input->n = at + 1;
    break;
  }
  bytes_close(&back);
}

static struct bytes make_input(struct random *random, const char *const *corpus, size_t corpus_n) {
  struct bytes input = {0};
  bytes_append_string(&input, corpus[below(random, corpus_n)]);
  for (size_t i = below(random, CHANGES_MAX + 1); i > 0; i--) change(random, &input);
  return input;
}

static void requests_are_the_same_in_any_pieces(void **state) {
  (void)state;
  struct random random = seed;
  size_t refused_n = 0;
  for (int round = 0; round < ROUNDS; round++) {
    struct bytes input = make_input(&random, requests, sizeof requests / sizeof *requests);
    struct http_trace whole;
    trace_init(&whole, BODY_BYTES_MAX);
    trace_feed(&whole, input.data, input.n);
    const char *expected = trace_end(&whole);
    refused_n += whole.failed;
    assert_trace_in_pieces(slice_of_bytes(&input), BODY_BYTES_MAX, 1 + below(&random, input.n),
                           1 + below(&random, 16), expected);
    trace_close(&whole);
    bytes_close(&input);
  }
  /* Else the changes are too wild, or too tame, to reach anything. */
  assert_in_range(refused_n, ROUNDS / 4, ROUNDS * 9 / 10);
}

/* The sum of what a response parser tells about the input, given in pieces of that size. */
static uint64_t response_digest(const struct bytes *input, size_t piece_bytes) {
  struct http_response_parser *parser = http_response_parser_new(BODY_BYTES_MAX);
  uint64_t digest = 0;
  int result = 0;
  for (size_t at = 0; at < input->n && result >= 0; at += piece_bytes) {
    size_t n = piece_bytes < input->n - at ? piece_bytes : input->n - at;
    uint8_t *piece = exact_copy(input->data + at, n);
    size_t taken = 0;
    do {
      struct http_response response;
      size_t consumed = SIZE_MAX;
      result = http_response_parser_execute(parser, piece + taken, n - taken, &consumed, &response);
      assert_true(consumed <= n - taken);
      taken += consumed;
      if (result == 1) {
        digest = digest * 31 + (uint64_t)response.status + (response.body.n << 10) + (response.head.n << 20);
        http_response_close(&response);
      }
    } while (result == 1);
    free(piece);
  }
  http_response_parser_free(parser);
  return digest * 31 + (uint64_t)-result;
}

static void responses_are_the_same_in_any_pieces(void **state) {
  (void)state;
  struct random random = seed;
  for (int round = 0; round < ROUNDS; round++) {
    struct bytes input = make_input(&random, responses, sizeof responses / sizeof *responses);
    assert_int_equal(response_digest(&input, input.n), response_digest(&input, 1 + below(&random, 16)));
    bytes_close(&input);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(requests_are_the_same_in_any_pieces),
      cmocka_unit_test(responses_are_the_same_in_any_pieces),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
