/* Requests, right and wrong, made of what requests are made of, and then changed byte by byte: whole or in
 * pieces, with bodies kept or streamed, the parser reads the same requests out of them, and refuses the same.
 */
#include "fuzz.h"

#include "http/request.h"

#define TYPE "application/x-ndjson"

enum { PARTS_MAX = 24, TEXT_BYTES_MAX = 8 * 1024 };

static const char *const parts[] = {
    "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "POST /a/b?c=d HTTP/1.1\r\nHost: h\r\nContent-Type: " TYPE "\r\n",
    "POST /a%20b HTTP/1.1\r\nHost: h\r\n",
    "PUT / HTTP/1.0\r\nContent-Type: " TYPE "; charset=utf-8\r\n",
    "Transfer-Encoding: chunked\r\n\r\n",
    "Transfer-Encoding: gzip, chunked\r\n",
    "Content-Length: 5\r\n\r\n",
    "Content-Length: 0\r\n\r\n",
    "Content-Length: 18446744073709551615\r\n\r\n",
    "Expect: 100-continue\r\n",
    "Connection: close\r\n",
    "Content-Type: " TYPE "\r\n",
    "\r\n",
    "abcde",
    "1\r\na\r\n",
    "005;x=\"y\"\r\nabcde\r\n",
    "A\r\n0123456789\r\n",
    "ffffffffffffffff\r\n",
    "0\r\n",
    "0\r\n\r\n",
    "X: y\r\n",
    "x y\r\n",
    "5\r\nab",
    "\n",
    " ",
};
enum { PARTS_N = sizeof parts / sizeof *parts };

static void make_text(struct fuzz_input *input, struct bytes *text) {
  for (unsigned n = fuzz_byte(input) % PARTS_MAX; n > 0 && text->n < TEXT_BYTES_MAX; n--)
    bytes_append_string(text, parts[fuzz_byte(input) % PARTS_N]);
  for (unsigned n = fuzz_byte(input) % 4; n > 0 && text->n > 0; n--) {
    const size_t at = fuzz_u16(input) % text->n;
    text->data[at] = fuzz_byte(input);
  }
  bytes_append(text, input->at, (size_t)(input->end - input->at));
}

static void note(struct bytes *seen, const struct http_request *r, struct slice body) {
  bytes_append_slice(seen, r->method_name);
  bytes_append_slice(seen, r->target);
  bytes_printf(seen, " %zu %d %d ", r->headers_n, r->keep_alive, r->http_1_0);
  bytes_append_slice(seen, body);
  bytes_append_string(seen, "\n");
}

/* What the parser makes of the text, when it comes in pieces of that size. */
static void read_all(const struct bytes *text, size_t piece_bytes, const char *streamed_type,
                     struct bytes *seen) {
  struct http_parser *parser = http_parser_new(SIZE_MAX, streamed_type);
  struct http_request request;
  struct http_error error;
  struct bytes body = {0};
  bool failed = false;
  for (size_t at = 0; at < text->n && !failed;) {
    const size_t n = piece_bytes < text->n - at ? piece_bytes : text->n - at;
    for (size_t used = 0;;) {
      size_t consumed = 0;
      const enum http_progress progress =
          http_parser_execute(parser, text->data + at + used, n - used, &consumed, &request, &error);
      FUZZ_CHECK(consumed <= n - used);
      used += consumed;
      if (progress == HTTP_REQUEST_READY) note(seen, &request, request.body);
      if (progress == HTTP_BODY_PIECE) bytes_append_slice(&body, request.body);
      if (progress == HTTP_BODY_END) note(seen, &request, slice_of_bytes(&body));
      if (progress == HTTP_BODY_END) body.n = 0;
      if (progress == HTTP_FAILED) bytes_printf(seen, "%d %s", error.status, error.code);
      failed = progress == HTTP_FAILED;
      if (progress == HTTP_NEED_MORE) FUZZ_CHECK(used == n);
      if (progress == HTTP_NEED_MORE || failed) break;
    }
    at += n;
  }
  if (!failed) bytes_printf(seen, "(%d)", (int)http_parser_waiting(parser));
  bytes_close(&body);
  http_parser_free(parser);
}

/* More chunks than memory could hold are refused only where they are to be kept. */
static bool is_too_large(const struct bytes *seen) {
  return seen->n > 3 && memmem(seen->data, seen->n, "413 ", 4) != NULL;
}

static void check_same(const struct bytes *a, const struct bytes *b) {
  FUZZ_CHECK(a->n == b->n && (a->n == 0 || memcmp(a->data, b->data, a->n) == 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct fuzz_input input = {data, data + n};
  const size_t piece_bytes = 1 + fuzz_byte(&input) % 64;
  struct bytes text = {0}, kept = {0}, streamed = {0}, in_pieces = {0};
  make_text(&input, &text);
  read_all(&text, SIZE_MAX, NULL, &kept);
  read_all(&text, SIZE_MAX, TYPE, &streamed);
  read_all(&text, piece_bytes, TYPE, &in_pieces);
  check_same(&streamed, &in_pieces);
  if (!is_too_large(&kept)) check_same(&kept, &streamed);
  bytes_close(&text);
  bytes_close(&kept);
  bytes_close(&streamed);
  bytes_close(&in_pieces);
  return 0;
}
