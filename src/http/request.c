#include "http/request.h"

#include "base/memory.h"
#include "http/fault.h"
#include "http/grammar.h"
#include "http/message.h"
#include "http/target.h"

#include <stdio.h>
#include <stdlib.h>

struct http_parser {
  struct message message;
  enum http_method method;
  struct message_piece method_name;
  struct message_piece sent_target;
  int minor; /* of HTTP/1.minor */
  bool keep_alive;
  bool upgrade;
  const char *streamed_type; /* static; NULL: none */
  bool waits;                /* for 100 Continue, once it was told of a streamed body's head */
  struct target target;
  struct bytes decoded;             /* owned; what target points to where it had to be decoded */
  struct http_error body_too_large; /* with the limit in its detail */
  char body_too_large_detail[80];
};

struct http_parser *http_parser_new(size_t body_bytes_max, const char *streamed_type) {
  struct http_parser *p = memory_zalloc(sizeof *p);
  p->streamed_type = streamed_type;
  message_init(&p->message, HTTP_REQUEST, body_bytes_max);
  snprintf(p->body_too_large_detail, sizeof p->body_too_large_detail,
           "The body is over this server's limit of %zu bytes.", body_bytes_max);
  p->body_too_large = *http_fault_error(HTTP_FAULT_BODY_TOO_LARGE);
  p->body_too_large.detail = p->body_too_large_detail;
  return p;
}

void http_parser_free(struct http_parser *p) {
  if (p == NULL) return;
  message_close(&p->message);
  bytes_close(&p->decoded);
  free(p);
}

/* ---- The request line (RFC 9112, 3) ---- */

static enum http_fault read_method(struct slice name, enum http_method *method) {
  static const struct {
    const char *name;
    enum http_method method;
  } ours[] = {
      {"GET", HTTP_GET_},     {"PUT", HTTP_PUT_},   {"POST", HTTP_POST_},       {"DELETE", HTTP_DELETE_},
      {"PATCH", HTTP_PATCH_}, {"HEAD", HTTP_HEAD_}, {"OPTIONS", HTTP_OPTIONS_},
  };
  static const char *const known_to_llhttp[] = {
#define X(number, identifier, string) #string,
      HTTP_METHOD_MAP(X)
#undef X
  };
  for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
    if (slice_is(name, ours[i].name)) {
      *method = ours[i].method;
      return HTTP_FAULT_NONE;
    }
  *method = HTTP_OTHER_;
  if (slice_is(name, "CONNECT")) return HTTP_FAULT_METHOD; /* this is no proxy */
  for (size_t i = 0; i < sizeof known_to_llhttp / sizeof *known_to_llhttp; i++)
    if (slice_is(name, known_to_llhttp[i])) return HTTP_FAULT_NONE;
  return HTTP_FAULT_METHOD;
}

static enum http_fault read_version(struct slice version, int *minor) {
  if (version.n != 8 || memcmp(version.at, "HTTP/", 5) != 0 || version.at[6] != '.')
    return HTTP_FAULT_START_LINE;
  char major_digit = version.at[5];
  char minor_digit = version.at[7];
  if (major_digit < '0' || major_digit > '9' || minor_digit < '0' || minor_digit > '9')
    return HTTP_FAULT_START_LINE;
  if (major_digit != '1' || minor_digit > '1') return HTTP_FAULT_VERSION;
  *minor = minor_digit - '0';
  return HTTP_FAULT_NONE;
}

/* Exactly "METHOD SP TARGET SP VERSION": a request without version, which is HTTP/0.9, and a space too many
 * are malformed, though llhttp takes them. */
static enum http_fault read_request_line(struct http_parser *p) {
  struct slice line = message_start_line(&p->message);
  const char *first = memchr(line.at, ' ', line.n);
  if (first == NULL) return HTTP_FAULT_START_LINE;
  struct slice method = {line.at, (size_t)(first - line.at)};
  struct slice rest = {first + 1, line.n - method.n - 1};
  const char *second = rest.n > 0 ? memchr(rest.at, ' ', rest.n) : NULL;
  if (second == NULL || second == rest.at || !http_is_token(method)) return HTTP_FAULT_START_LINE;
  struct slice target = {rest.at, (size_t)(second - rest.at)};
  struct slice version = {second + 1, rest.n - target.n - 1};

  p->method_name = (struct message_piece){0, (uint32_t)method.n};
  p->sent_target = (struct message_piece){(uint32_t)(target.at - line.at), (uint32_t)target.n};
  enum http_fault fault = read_version(version, &p->minor);
  return fault == HTTP_FAULT_NONE ? read_method(method, &p->method) : fault;
}

/* ---- The headers ---- */

/* What request.c itself asks of the headers; how the message ends is message_framing()'s. */
struct asked {
  size_t hosts_n;
  bool upgrade;      /* an Upgrade header names a protocol */
  bool continue_100; /* Expect: 100-continue */
  bool other_expect; /* an Expect for something else */
  bool invalid_host;
  bool streamed_type; /* Content-Type is the one whose bodies are streamed */
};

/* The type without its parameters (RFC 9110, 8.3.1). */
static bool is_of_type(struct slice content_type, const char *type) {
  const char *semicolon = content_type.n > 0 ? memchr(content_type.at, ';', content_type.n) : NULL;
  if (semicolon != NULL) content_type.n = (size_t)(semicolon - content_type.at);
  return type != NULL && slice_is_caseless(http_trim(content_type), type);
}

static void read_headers(const struct http_parser *p, struct asked *asked) {
  const struct message *m = &p->message;
  for (size_t i = 0; i < m->fields_n; i++) {
    struct slice name = message_slice(m, m->fields[i].name);
    struct slice value = message_slice(m, m->fields[i].value);
    if (slice_is_caseless(name, "Host")) {
      asked->hosts_n++;
      if (!target_is_host(value, true)) asked->invalid_host = true;
    } else if (slice_is_caseless(name, "Upgrade")) {
      if (value.n > 0) asked->upgrade = true;
    } else if (slice_is_caseless(name, "Content-Type")) {
      if (is_of_type(value, p->streamed_type)) asked->streamed_type = true;
    } else if (slice_is_caseless(name, "Expect")) {
      if (slice_is_caseless(value, "100-continue"))
        asked->continue_100 = true;
      else
        asked->other_expect = true;
    }
  }
}

static enum http_fault read_head(struct http_parser *p) {
  struct message_framing framing;
  enum http_fault fault = message_framing(&p->message, p->minor, &framing);
  if (fault != HTTP_FAULT_NONE) return fault;
  struct asked asked = {0};
  read_headers(p, &asked);
  if (asked.hosts_n > 1 || (asked.hosts_n == 0 && p->minor > 0) || asked.invalid_host) return HTTP_FAULT_HOST;
  fault = target_parse(message_slice(&p->message, p->sent_target), p->method == HTTP_OPTIONS_, &p->target,
                       &p->decoded);
  if (fault != HTTP_FAULT_NONE) return fault;
  if (asked.other_expect) return HTTP_FAULT_EXPECTATION;

  /* HTTP/1.0 knows neither upgrades nor 100-continue, which a server must then ignore (RFC 9110, 7.8
   * and 10.1.1). Its keep-alive extension needs an answer of its own kind, so such a connection is closed
   * instead. */
  p->keep_alive = p->minor > 0 && !framing.close;
  bool has_body = framing.body == MESSAGE_BODY_CHUNKED || framing.length > 0;
  bool streams = asked.streamed_type && has_body;
  /* Bytes after the head are the body's. A server may ignore an upgrade (RFC 9110, 7.8). */
  p->upgrade = p->minor > 0 && framing.upgrade && asked.upgrade && !streams;
  p->waits = p->minor > 0 && asked.continue_100 && has_body;
  return message_expect(&p->message, framing.body, framing.length, streams);
}

/* ---- The request ---- */

void http_parser_headers(const struct http_parser *p, struct http_request *r) {
  const struct message *m = &p->message;
  for (size_t i = 0; i < m->fields_n; i++) {
    r->headers[i].name = message_slice(m, m->fields[i].name);
    r->headers[i].value = message_slice(m, m->fields[i].value);
  }
  r->headers_n = m->fields_n;
}

static void fill_request(const struct http_parser *p, struct http_request *r) {
  const struct message *m = &p->message;
  const struct target *t = &p->target;
  r->method = p->method;
  r->method_name = message_slice(m, p->method_name);
  r->target = t->whole;
  r->path = t->path;
  memcpy(r->segments, t->segments, t->segments_n * sizeof *t->segments);
  r->segments_n = t->segments_n;
  memcpy(r->parameters, t->parameters, t->parameters_n * sizeof *t->parameters);
  r->parameters_n = t->parameters_n;
  http_parser_headers(p, r);
  for (size_t i = 0; i < r->headers_n; i++) {
    /* The host of an absolute target counts, whatever the header says (RFC 9112, 3.2.2). */
    if (t->authority.at != NULL && slice_is_caseless(r->headers[i].name, "Host"))
      r->headers[i].value = t->authority;
  }
  r->body = slice_of_bytes(&m->body);
  r->streams = m->streams;
  r->http_1_0 = p->minor == 0;
  r->keep_alive = p->keep_alive;
  r->upgrade = p->upgrade;
}

static enum http_progress fail(struct http_parser *p, enum http_fault fault, struct http_error *error) {
  p->message.fault = fault; /* so that a further call is caught */
  *error = fault == HTTP_FAULT_BODY_TOO_LARGE ? p->body_too_large : *http_fault_error(fault);
  return HTTP_FAILED;
}

/* The client waits for 100 Continue before it sends the body (RFC 9110, 10.1.1), and has sent none. */
static bool is_to_continue(struct http_parser *p, const struct slice *in) {
  bool waits = p->waits;
  p->waits = false;
  return waits && in->n == 0;
}

static enum http_progress execute(struct http_parser *p, struct slice *in, struct http_request *request,
                                  struct http_error *error) {
  if (is_to_continue(p, in)) return HTTP_CONTINUE;
  for (;;) {
    enum http_fault fault = HTTP_FAULT_NONE;
    switch (message_execute(&p->message, in)) {
    case MESSAGE_START_LINE:
      fault = read_request_line(p);
      break;
    case MESSAGE_HEAD:
      fault = read_head(p);
      if (fault != HTTP_FAULT_NONE || !p->message.streams) break;
      fill_request(p, request);
      return HTTP_HEAD_READY;
    case MESSAGE_PIECE:
      request->body = p->message.piece;
      return HTTP_BODY_PIECE;
    case MESSAGE_WHOLE:
      if (p->message.streams) {
        request->body = (struct slice){0};
        return HTTP_BODY_END;
      }
      fill_request(p, request);
      return HTTP_REQUEST_READY;
    case MESSAGE_FAILED:
      fault = p->message.fault;
      break;
    case MESSAGE_NEED_MORE:
    case MESSAGE_GO_ON:
      return HTTP_NEED_MORE;
    }
    if (fault != HTTP_FAULT_NONE) return fail(p, fault, error);
    if (is_to_continue(p, in)) return HTTP_CONTINUE;
  }
}

enum http_progress http_parser_execute(struct http_parser *p, const void *data, size_t n, size_t *consumed,
                                       struct http_request *request, struct http_error *error) {
  struct slice in = {data, n};
  enum http_progress progress = execute(p, &in, request, error);
  *consumed = n - in.n;
  return progress;
}

enum http_waiting http_parser_waiting(const struct http_parser *p) {
  switch (p->message.state) {
  case MESSAGE_IN_START_LINE:
    return p->message.head.n > 0 ? HTTP_WAITING_HEAD : HTTP_WAITING_IDLE;
  case MESSAGE_DONE:
    return HTTP_WAITING_IDLE;
  case MESSAGE_AFTER_START_LINE:
  case MESSAGE_IN_HEADERS:
    return HTTP_WAITING_HEAD;
  case MESSAGE_AFTER_HEAD: /* after HTTP_CONTINUE */
  case MESSAGE_IN_BODY:
  case MESSAGE_IN_CHUNK_SIZE:
  case MESSAGE_IN_CHUNK:
  case MESSAGE_IN_CHUNK_END:
  case MESSAGE_IN_TRAILERS:
    break;
  }
  return HTTP_WAITING_BODY;
}

/* ---- Look-ups ---- */

struct slice http_request_header(const struct http_request *r, const char *name) {
  for (size_t i = 0; i < r->headers_n; i++)
    if (slice_is_caseless(r->headers[i].name, name)) return r->headers[i].value;
  return (struct slice){0};
}

size_t http_request_header_count(const struct http_request *r, const char *name) {
  size_t n = 0;
  for (size_t i = 0; i < r->headers_n; i++)
    if (slice_is_caseless(r->headers[i].name, name)) n++;
  return n;
}

struct slice http_request_parameter(const struct http_request *r, const char *name) {
  for (size_t i = 0; i < r->parameters_n; i++)
    if (slice_is(r->parameters[i].name, name)) return r->parameters[i].value;
  return (struct slice){0};
}
