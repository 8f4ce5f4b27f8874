/* HTTP/1.1 responses to bytes.
 *
 *     http_response_begin(out, 200);
 *     http_response_header(out, "ETag", slice_of("\"17\""));
 *     http_response_end(out, "application/json", body, keep_alive, head_only);
 *
 * Everything is appended to `out` at once, so that a whole answer leaves in one write. */
#ifndef CORACLE_HTTP_RESPONSE_H
#define CORACLE_HTTP_RESPONSE_H

#include "base/bytes.h"
#include "base/error.h"

/* Static; "Unknown" for a status that no server here would send. */
const char *http_reason(int status);

void http_response_begin(struct bytes *out, int status);
/* `value` must hold no CR, LF or NUL (asserted). */
void http_response_header(struct bytes *out, const char *name, struct slice value);
void http_response_header_u64(struct bytes *out, const char *name, uint64_t value);
/* Content-Type (NULL: none), Content-Length (none for 1xx, 204 and 304, whose body must be empty),
 * "Connection: close" when not keep_alive, the blank line, and the body, which a response to HEAD leaves out
 * while its length stands. */
void http_response_end(struct bytes *out, const char *content_type, struct slice body, bool keep_alive,
                       bool head_only);

/* Instead of http_response_end(), for a body whose length is not known yet: Content-Type, "Transfer-Encoding:
 * chunked" (RFC 9112, 7.1; not for a client that speaks HTTP/1.0, whose body ends with the connection, which
 * must then not be kept alive), "Connection: close" when not keep_alive, and the blank line. The body follows
 * in any number of http_response_chunk(), and http_response_last_chunk(). */
void http_response_stream(struct bytes *out, const char *content_type, bool keep_alive, bool http_1_0);
/* Some of the body; nothing is written for none. */
void http_response_chunk(struct bytes *out, struct slice piece, bool http_1_0);
void http_response_last_chunk(struct bytes *out, bool http_1_0);

/* Appends `text` as a JSON string with its quotes; bytes that are not UTF-8 become U+FFFD. */
void json_append_string(struct bytes *out, struct slice text);
/* Appends `raw` percent-encoded for one path segment (RFC 3986: unreserved characters stay). */
void percent_encode(struct bytes *out, struct slice raw);

/* A response read by a client (a follower that forwards), one at a time, with llhttp. */
struct http_response {
  int status;
  struct bytes head; /* header lines ending in CRLF, without Content-Length and hop-by-hop ones; owned */
  struct bytes body; /* owned */
  bool keep_alive;
};
void http_response_close(struct http_response *);

struct http_response_parser;
struct http_response_parser *http_response_parser_new(size_t body_bytes_max);
void http_response_parser_free(struct http_response_parser *); /* NULL is fine */
/* Says that the next response, of which no byte was given yet, answers a HEAD request: it has no body
 * whatever its Content-Length. Each response has to be told of anew. */
void http_response_parser_expect_head(struct http_response_parser *, bool head);
/* 1 and a response that the caller closes, 0 when more bytes are needed, CORACLE_EMALFORMED or
 * CORACLE_ELIMIT, after which it must not be called again. 1xx responses are skipped, but for 101. A body
 * that would end with the connection is EMALFORMED. */
MUST_CHECK int http_response_parser_execute(struct http_response_parser *, const void *data, size_t n,
                                            size_t *consumed, struct http_response *response);

#endif
