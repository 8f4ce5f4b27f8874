/* What a request parser made of some bytes, as text, so that tests compare and tables show whole outcomes.
 *
 * One line for each request:  METHOD PATH [segment] ?name=value Name=value "body" close upgrade
 * (of the headers, a Host of "h" is not shown; a connection that stays and one without body show nothing)
 * then "STATUS code" if the parser failed, or "(in head)" or "(in body)" if the bytes ended there.
 * A request whose body is streamed is shown in the same way, when its body has come whole.
 *
 * The parser gets each piece in memory of exactly its size, and what it says it has consumed is overwritten
 * before the request is looked at: a slice that still points into the input shows. */
#ifndef CORACLE_TEST_HTTP_TRACE_H
#define CORACLE_TEST_HTTP_TRACE_H

#include "http/request.h"

#include "golden.h"

struct http_trace {
  struct http_parser *parser;
  struct bytes text;
  size_t requests_n;
  size_t continues_n;
  bool failed;
  struct http_request request; /* while its body is streamed ... */
  struct bytes body;           /* ... to here */
  size_t pieces_n;
};

static inline void trace_slice(struct bytes *out, struct slice s) {
  for (size_t i = 0; i < s.n; i++) {
    unsigned char c = (unsigned char)s.at[i];
    if (c < ' ' || c > '~')
      bytes_printf(out, "\\x%02x", c);
    else
      bytes_append(out, &c, 1);
  }
}

static inline void trace_field(struct bytes *out, const char *before, const struct http_field *field) {
  bytes_append_string(out, before);
  trace_slice(out, field->name);
  bytes_append_string(out, "=");
  trace_slice(out, field->value);
}

static inline void trace_request(struct bytes *out, const struct http_request *r) {
  trace_slice(out, r->method_name);
  bytes_append_string(out, " ");
  trace_slice(out, r->path);
  for (size_t i = 0; i < r->segments_n; i++) {
    bytes_append_string(out, i == 0 ? " [" : "[");
    trace_slice(out, r->segments[i]);
    bytes_append_string(out, "]");
  }
  for (size_t i = 0; i < r->parameters_n; i++) trace_field(out, i == 0 ? " ?" : "&", &r->parameters[i]);
  for (size_t i = 0; i < r->headers_n; i++)
    if (!slice_is(r->headers[i].name, "Host") || !slice_is(r->headers[i].value, "h"))
      trace_field(out, " ", &r->headers[i]);
  if (r->body.n > 0) {
    bytes_append_string(out, " \"");
    trace_slice(out, r->body);
    bytes_append_string(out, "\"");
  }
  if (!r->keep_alive) bytes_append_string(out, " close");
  if (r->upgrade) bytes_append_string(out, " upgrade");
  bytes_append_string(out, "\n");
}

static inline void trace_init_streaming(struct http_trace *t, size_t body_bytes_max, const char *type) {
  *t = (struct http_trace){.parser = http_parser_new(body_bytes_max, type)};
}

static inline void trace_init(struct http_trace *t, size_t body_bytes_max) {
  trace_init_streaming(t, body_bytes_max, NULL);
}

/* All that was said at the head must still be there at the end of the body. */
static inline void trace_streamed(struct http_trace *t) {
  assert_true(t->request.streams);
  assert_int_equal(t->request.body.n, 0);
  t->request.body = slice_of_bytes(&t->body);
  t->requests_n++;
  trace_request(&t->text, &t->request);
  t->body.n = 0;
}

/* One piece of the connection's bytes. */
static inline void trace_feed(struct http_trace *t, const void *data, size_t n) {
  uint8_t *piece = exact_copy(data, n);
  size_t at = 0;
  bool goes_on = !t->failed;
  while (goes_on) {
    struct http_error error;
    size_t consumed = SIZE_MAX;
    enum http_progress progress =
        http_parser_execute(t->parser, piece + at, n - at, &consumed, &t->request, &error);
    if (progress == HTTP_BODY_PIECE) {
      assert_true(t->request.body.n > 0);
      bytes_append_slice(&t->body, t->request.body);
      t->pieces_n++;
    }
    assert_true(consumed <= n - at);
    if (consumed > 0) memset(piece + at, '#', consumed);
    at += consumed;
    switch (progress) {
    case HTTP_NEED_MORE:
      assert_int_equal(at, n);
      goes_on = false;
      break;
    case HTTP_REQUEST_READY:
      assert_false(t->request.streams);
      t->requests_n++;
      trace_request(&t->text, &t->request);
      break;
    case HTTP_HEAD_READY:
      assert_int_equal(t->request.body.n, 0);
      break;
    case HTTP_BODY_PIECE:
      break;
    case HTTP_BODY_END:
      trace_streamed(t);
      break;
    case HTTP_CONTINUE:
      assert_int_equal(at, n);
      t->continues_n++;
      break;
    case HTTP_FAILED:
      assert_true(strlen(error.detail) > 0);
      bytes_printf(&t->text, "%d %s\n", error.status, error.code);
      t->failed = true;
      goes_on = false;
      break;
    }
  }
  free(piece);
}

/* The whole outcome; to be called once, after the last piece. Lives until trace_close(). */
static inline const char *trace_end(struct http_trace *t) {
  enum http_waiting waiting = http_parser_waiting(t->parser);
  if (!t->failed && waiting == HTTP_WAITING_HEAD) bytes_append_string(&t->text, "(in head)\n");
  if (!t->failed && waiting == HTTP_WAITING_BODY) bytes_append_string(&t->text, "(in body)\n");
  bytes_append(&t->text, "", 1);
  return (const char *)t->text.data;
}

static inline void trace_close(struct http_trace *t) {
  http_parser_free(t->parser);
  bytes_close(&t->text);
  bytes_close(&t->body);
}

/* Fails unless these bytes make this trace when they come in pieces of `piece_bytes`, after a first one of
 * `first`. */
static inline void assert_trace_in_pieces(struct slice input, size_t body_bytes_max, size_t first,
                                          size_t piece_bytes, const char *expected) {
  struct http_trace t;
  trace_init(&t, body_bytes_max);
  size_t n = first < input.n ? first : input.n;
  for (size_t at = 0; at < input.n; at += n, n = piece_bytes < input.n - at ? piece_bytes : input.n - at)
    trace_feed(&t, input.at + at, n);
  assert_string_equal(trace_end(&t), expected);
  trace_close(&t);
}

/* ... when they come whole, one by one, and in two at every place. */
static inline void assert_trace(struct slice input, size_t body_bytes_max, const char *expected) {
  assert_trace_in_pieces(input, body_bytes_max, input.n, input.n, expected);
  assert_trace_in_pieces(input, body_bytes_max, 1, 1, expected);
  for (size_t first = 1; first < input.n; first++)
    assert_trace_in_pieces(input, body_bytes_max, first, input.n, expected);
}

#endif
