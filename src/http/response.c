#include "http/response.h"

#include <assert.h>

/* RFC 9110, chapter 15, and the later ones that servers use (RFC 6585, 8297, 4918). */
#define REASONS(X)                                                                                           \
  X(100, "Continue")                                                                                         \
  X(101, "Switching Protocols")                                                                              \
  X(103, "Early Hints")                                                                                      \
  X(200, "OK")                                                                                               \
  X(201, "Created")                                                                                          \
  X(202, "Accepted")                                                                                         \
  X(203, "Non-Authoritative Information")                                                                    \
  X(204, "No Content")                                                                                       \
  X(205, "Reset Content")                                                                                    \
  X(206, "Partial Content")                                                                                  \
  X(300, "Multiple Choices")                                                                                 \
  X(301, "Moved Permanently")                                                                                \
  X(302, "Found")                                                                                            \
  X(303, "See Other")                                                                                        \
  X(304, "Not Modified")                                                                                     \
  X(305, "Use Proxy")                                                                                        \
  X(307, "Temporary Redirect")                                                                               \
  X(308, "Permanent Redirect")                                                                               \
  X(400, "Bad Request")                                                                                      \
  X(401, "Unauthorized")                                                                                     \
  X(402, "Payment Required")                                                                                 \
  X(403, "Forbidden")                                                                                        \
  X(404, "Not Found")                                                                                        \
  X(405, "Method Not Allowed")                                                                               \
  X(406, "Not Acceptable")                                                                                   \
  X(407, "Proxy Authentication Required")                                                                    \
  X(408, "Request Timeout")                                                                                  \
  X(409, "Conflict")                                                                                         \
  X(410, "Gone")                                                                                             \
  X(411, "Length Required")                                                                                  \
  X(412, "Precondition Failed")                                                                              \
  X(413, "Content Too Large")                                                                                \
  X(414, "URI Too Long")                                                                                     \
  X(415, "Unsupported Media Type")                                                                           \
  X(416, "Range Not Satisfiable")                                                                            \
  X(417, "Expectation Failed")                                                                               \
  X(421, "Misdirected Request")                                                                              \
  X(422, "Unprocessable Content")                                                                            \
  X(426, "Upgrade Required")                                                                                 \
  X(428, "Precondition Required")                                                                            \
  X(429, "Too Many Requests")                                                                                \
  X(431, "Request Header Fields Too Large")                                                                  \
  X(500, "Internal Server Error")                                                                            \
  X(501, "Not Implemented")                                                                                  \
  X(502, "Bad Gateway")                                                                                      \
  X(503, "Service Unavailable")                                                                              \
  X(504, "Gateway Timeout")                                                                                  \
  X(505, "HTTP Version Not Supported")                                                                       \
  X(507, "Insufficient Storage")

const char *http_reason(int status) {
  switch (status) {
#define X(number, reason)                                                                                    \
  case number:                                                                                               \
    return reason;
    REASONS(X)
#undef X
  default:
    return "Unknown";
  }
}

void http_response_begin(struct bytes *out, int status) {
  assert(status >= 100 && status <= 599);
  bytes_append_string(out, "HTTP/1.1 ");
  bytes_append_u64(out, (uint64_t)status);
  bytes_append_string(out, " ");
  bytes_append_string(out, http_reason(status));
  bytes_append_string(out, "\r\n");
}

static bool is_one_line(struct slice value) {
  return value.n == 0 || (memchr(value.at, '\r', value.n) == NULL &&
                          memchr(value.at, '\n', value.n) == NULL && memchr(value.at, '\0', value.n) == NULL);
}

void http_response_header(struct bytes *out, const char *name, struct slice value) {
  assert(
      is_one_line(value)); /* else a client could be made to see headers, or a response, of an attacker's */
  bytes_append_string(out, name);
  bytes_append_string(out, ": ");
  bytes_append_slice(out, value);
  bytes_append_string(out, "\r\n");
}

void http_response_header_u64(struct bytes *out, const char *name, uint64_t value) {
  bytes_append_string(out, name);
  bytes_append_string(out, ": ");
  bytes_append_u64(out, value);
  bytes_append_string(out, "\r\n");
}

/* The status of the response that `out` ends in the middle of. No header line can be taken for a status line:
 * a header's name holds no '/'. */
static int status_begun(const struct bytes *out) {
  static const char version[] = "HTTP/1.1 ";
  const size_t version_n = sizeof version - 1;
  size_t end = out->n;
  for (;;) {
    assert(end > 0); /* http_response_begin() came first */
    const uint8_t *lf = memrchr(out->data, '\n', end - 1);
    size_t start = lf != NULL ? (size_t)(lf - out->data) + 1 : 0;
    const uint8_t *line = out->data + start;
    if (end - start > version_n + 3 && memcmp(line, version, version_n) == 0)
      return (line[version_n] - '0') * 100 + (line[version_n + 1] - '0') * 10 + (line[version_n + 2] - '0');
    end = start;
  }
}

void http_response_end(struct bytes *out, const char *content_type, struct slice body, bool keep_alive,
                       bool head_only) {
  int status = status_begun(out);
  bool has_body = status >= 200 && status != 204 && status != 304; /* RFC 9110, 8.6 and 6.4.1 */
  assert(has_body || body.n == 0);
  if (content_type != NULL) http_response_header(out, "Content-Type", slice_of(content_type));
  if (has_body) http_response_header_u64(out, "Content-Length", body.n);
  if (!keep_alive) http_response_header(out, "Connection", slice_of("close"));
  bytes_append_string(out, "\r\n");
  if (!head_only) bytes_append_slice(out, body);
}

void http_response_stream(struct bytes *out, const char *content_type, bool keep_alive, bool http_1_0) {
  int status = status_begun(out);
  assert(status >= 200 && status != 204 && status != 304);
  assert(!http_1_0 || !keep_alive); /* only the end of the connection tells of the end of the body */
  if (content_type != NULL) http_response_header(out, "Content-Type", slice_of(content_type));
  if (!http_1_0) http_response_header(out, "Transfer-Encoding", slice_of("chunked"));
  if (!keep_alive) http_response_header(out, "Connection", slice_of("close"));
  bytes_append_string(out, "\r\n");
}

void http_response_chunk(struct bytes *out, struct slice piece, bool http_1_0) {
  if (piece.n == 0) return; /* an empty chunk would be the last one */
  if (!http_1_0) bytes_printf(out, "%zx\r\n", piece.n);
  bytes_append_slice(out, piece);
  if (!http_1_0) bytes_append_string(out, "\r\n");
}

void http_response_last_chunk(struct bytes *out, bool http_1_0) {
  if (!http_1_0) bytes_append_string(out, "0\r\n\r\n");
}
