/* HTTP/1.1 requests from bytes (RFC 9112), with llhttp, pulled one at a time.
 *
 * The connection's bytes go in, in any pieces; each call hands out at most one request. What a request points
 * to is the parser's and lives until the next http_parser_execute(). Anything that RFC 9112 lets a server
 * refuse and that has been used for request smuggling is refused (see http_parser_execute). */
#ifndef CORACLE_HTTP_REQUEST_H
#define CORACLE_HTTP_REQUEST_H

#include "base/bytes.h"
#include "base/error.h"

enum {
  HTTP_HEAD_BYTES_MAX = 16 * 1024,        /* request line and headers, with the empty line after them */
  HTTP_REQUEST_LINE_BYTES_MAX = 8 * 1024, /* without its CR LF */
  HTTP_HEADERS_MAX = 100,
  HTTP_TRAILER_BYTES_MAX = 4 * 1024, /* with the empty line after them */
  HTTP_SEGMENTS_MAX = 8,
  HTTP_PARAMETERS_MAX = 16,
};

enum http_method {
  HTTP_GET_,
  HTTP_HEAD_,
  HTTP_POST_,
  HTTP_PUT_,
  HTTP_PATCH_,
  HTTP_DELETE_,
  HTTP_OPTIONS_,
  HTTP_OTHER_, /* known to llhttp, not to us */
};

struct http_field {
  struct slice name;  /* as sent; compare without case */
  struct slice value; /* without white space around it */
};

struct http_request {
  enum http_method method;
  struct slice method_name; /* "GET" */
  /* Path and query as sent. Of a target http://HOST/PATH the part from the path on; its HOST then takes the
   * place of the Host header's value in `headers` (RFC 9112, 3.2.2). */
  struct slice target;
  struct slice path; /* as sent, without the query; "*" for OPTIONS * */
  /* The path's segments, percent-decoded: /v1/a%20b is {"v1", "a b"}; "/" has none. A trailing slash adds
   * none. */
  struct slice segments[HTTP_SEGMENTS_MAX];
  size_t segments_n;
  struct http_field parameters[HTTP_PARAMETERS_MAX]; /* of the query, percent-decoded, '+' kept */
  size_t parameters_n;
  struct http_field headers[HTTP_HEADERS_MAX];
  size_t headers_n;
  struct slice body;
  bool streams;    /* its body comes after it, piece by piece: `body` is empty at HTTP_HEAD_READY */
  bool http_1_0;   /* the client knows no chunks: a body of unknown length ends with the connection */
  bool keep_alive; /* the client would go on using the connection; false for HTTP/1.0 */
  bool upgrade; /* it asks for Connection: upgrade; bytes after the request are another protocol's if granted
                 */
};

/* The first header of that name (ASCII case-insensitive), or one with at == NULL. */
struct slice http_request_header(const struct http_request *, const char *name);
/* How many headers of that name there are. */
size_t http_request_header_count(const struct http_request *, const char *name);
/* The query parameter of that name, or one with at == NULL. */
struct slice http_request_parameter(const struct http_request *, const char *name);

/* What is wrong with a request that cannot be served. The strings are static or the parser's. */
struct http_error {
  int status;         /* 400, 408, 413, 414, 417, 431, 501, 505 */
  const char *code;   /* stable: "malformed_request", "document_too_large", ... */
  const char *detail; /* one sentence */
};

enum http_progress {
  HTTP_NEED_MORE, /* all bytes were taken; no request is whole */
  HTTP_REQUEST_READY,
  HTTP_HEAD_READY, /* the head of a request whose body is streamed; HTTP_BODY_PIECE and HTTP_BODY_END follow
                    */
  HTTP_BODY_PIECE, /* the next bytes of it are request->body, until the next call; not empty */
  HTTP_BODY_END,   /* there were all of them; the next call goes on with the next request */
  HTTP_CONTINUE,   /* the client waits for 100 Continue (RFC 9110, 10.1.1) and may have it; then call again */
  HTTP_FAILED,     /* answer with the error and close: the connection's framing is lost */
};

struct http_parser;

/* `body_bytes_max` bounds one request's body. A request whose Content-Type is `streamed_type`
 * ("TYPE/SUBTYPE", without case, whatever its parameters; NULL: none is) and which has a body, of whatever
 * length, is given out before it: HTTP_HEAD_READY, then HTTP_CONTINUE if the client waits for that (a caller
 * who refuses the request just stops calling), then the body in pieces as they come, of which the parser
 * keeps nothing. What *request points to, but for `body`, holds until the call after HTTP_BODY_END. From
 * HTTP_HEAD_READY on call until it is HTTP_NEED_MORE, with no bytes left too: HTTP_CONTINUE and HTTP_BODY_END
 * take none. Such a request is never an upgrade. `streamed_type` is static. Released with http_parser_free().
 */
struct http_parser *http_parser_new(size_t body_bytes_max, const char *streamed_type);
void http_parser_free(struct http_parser *); /* NULL is fine */

/* Takes bytes from the front of data[0..n) and says in *consumed how many; `data` may be reused right after
 * the call. REQUEST_READY fills *request (a later call goes on with the next one, from the first byte not
 * consumed), FAILED fills *error and must not be followed by another call. Whether an upgrade is granted is
 * the caller's to say: if not, the next call goes on with HTTP/1.1. A call with n == 0 is fine; after a
 * request it gives a large body's memory back, which otherwise waits for the next byte.
 *
 * Refused:
 * - 400 malformed_request for framing: both Transfer-Encoding and Content-Length; a repeated, signed or
 *   overflowing Content-Length; a Transfer-Encoding that is repeated, does not end in chunked or comes with
 *   HTTP/1.0; bad chunks, endless chunk extensions or trailers;
 * - 400 malformed_request in the head: a bare CR or LF, control characters, white space before a colon,
 *   folded headers; a missing (HTTP/1.1), repeated or invalid Host; no HTTP version;
 * - 400 malformed_request for a target that is neither /PATH nor http://HOST/PATH nor, for OPTIONS, "*"; and
 *   in it "%00", bad escapes, bytes that must be escaped, '#'; in its path ".", ".." and "//"; more segments
 *   or parameters than above;
 * - 413 document_too_large as soon as the body's length is known, or passed in chunks;
 * - 414 uri_too_long; 431 headers_too_large for bytes or count;
 * - 417 expectation_failed for an Expect other than 100-continue;
 * - 501 not_implemented for an unknown method, CONNECT, and a transfer coding other than chunked;
 * - 505 http_version_not_supported for any but HTTP/1.1 and HTTP/1.0.
 *
 * HTTP_CONTINUE is given only when no body byte has come yet, and never for a body over the limit. */
enum http_progress http_parser_execute(struct http_parser *, const void *data, size_t n, size_t *consumed,
                                       struct http_request *request, struct http_error *error);

/* The headers of the request that is under way, as many as were read: what the answer to one that failed, or
 * that did not come to its end, may want to know. Nothing else of *request is changed. */
void http_parser_headers(const struct http_parser *, struct http_request *request);

/* Where the connection stands, for deadlines. */
enum http_waiting { HTTP_WAITING_IDLE, HTTP_WAITING_HEAD, HTTP_WAITING_BODY };
enum http_waiting http_parser_waiting(const struct http_parser *);

#endif
