/* Everything that can be wrong with a message's bytes: one line each, with the status, code and sentence that
 * a server answers. http_fault_error() turns a fault into the public struct http_error. */
#ifndef CORACLE_HTTP_FAULT_H
#define CORACLE_HTTP_FAULT_H

#include "http/request.h"

/* X(NAME, status, code, detail); a detail that names a limit repeats a constant of request.h or message.h. */
#define HTTP_FAULTS(X)                                                                                       \
  X(LINE_END, 400, "malformed_request", "Lines end in CR LF, and neither of the two stands elsewhere.")      \
  X(START_LINE, 400, "malformed_request", "The request line is not METHOD SP TARGET SP HTTP/1.1.")           \
  X(EMPTY_LINES, 400, "malformed_request", "Too many empty lines stand before the request line.")            \
  X(METHOD, 501, "not_implemented", "This server does not know the request's method.")                       \
  X(VERSION, 505, "http_version_not_supported", "This server speaks HTTP/1.1 and HTTP/1.0 only.")            \
  X(URI_TOO_LONG, 414, "uri_too_long", "The request line is longer than 8192 bytes.")                        \
  X(HEAD_TOO_LARGE, 431, "headers_too_large", "The request line and headers are longer than 16384 bytes.")   \
  X(HEADERS_TOO_MANY, 431, "headers_too_large", "There are more than 100 headers.")                          \
  X(HEADER, 400, "malformed_request", "A header is not NAME: VALUE, or holds bytes that none may hold.")     \
  X(HEADER_FOLDED, 400, "malformed_request", "A header goes on in a second line, which is obsolete.")        \
  X(HOST, 400, "malformed_request", "An HTTP/1.1 request needs one Host header, and a valid one.")           \
  X(LENGTH, 400, "malformed_request",                                                                        \
    "Content-Length must be given once, as a plain number, and not beside Transfer-Encoding.")               \
  X(CODING, 400, "malformed_request",                                                                        \
    "Transfer-Encoding must be given once, end in chunked, and come with HTTP/1.1.")                         \
  X(CODING_UNKNOWN, 501, "not_implemented", "This server knows no transfer coding but chunked.")             \
  X(EXPECTATION, 417, "expectation_failed", "This server meets no expectation but 100-continue.")            \
  X(CHUNK, 400, "malformed_request", "The chunks of the body are not as RFC 9112 lays them out.")            \
  X(TRAILERS_TOO_LARGE, 400, "malformed_request", "The trailers are longer than 4096 bytes.")                \
  X(BODY_TOO_LARGE, 413, "document_too_large", "The body is over this server's limit.")                      \
  X(TARGET, 400, "malformed_request", "The target is neither /PATH nor http://HOST/PATH.")                   \
  X(TARGET_BYTE, 400, "malformed_request", "The target holds a byte that must be percent-encoded.")          \
  X(TARGET_ESCAPE, 400, "malformed_request",                                                                 \
    "A '%' in the target must be followed by two hexadecimal digits other than 00.")                         \
  X(TARGET_SEGMENT, 400, "malformed_request", "The path holds an empty segment, \".\" or \"..\".")           \
  X(TARGET_SEGMENTS, 400, "malformed_request", "The path has more than 8 segments.")                         \
  X(TARGET_PARAMETERS, 400, "malformed_request", "The query has more than 16 parameters.")                   \
  X(FRAMING, 400, "malformed_request", "Where the message ends can be read in two ways.")

enum http_fault {
  HTTP_FAULT_NONE,
#define X(name, status, code, detail) HTTP_FAULT_##name,
  HTTP_FAULTS(X)
#undef X
};

/* What a server answers to it; static, never NULL. `fault` is not NONE. */
const struct http_error *http_fault_error(enum http_fault fault);

#endif
