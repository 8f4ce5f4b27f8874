/* Responses from bytes, for a follower that sends a write on to its leader. */
#include "base/memory.h"
#include "http/grammar.h"
#include "http/message.h"
#include "http/response.h"

#include <stdlib.h>

struct http_response_parser {
  struct message message;
  bool head; /* the next response answers a HEAD request */
  int status;
  int minor; /* of HTTP/1.minor */
  bool keep_alive;
};

void http_response_close(struct http_response *r) {
  bytes_close(&r->head);
  bytes_close(&r->body);
}

struct http_response_parser *http_response_parser_new(size_t body_bytes_max) {
  struct http_response_parser *p = memory_zalloc(sizeof *p);
  message_init(&p->message, HTTP_RESPONSE, body_bytes_max);
  return p;
}

void http_response_parser_free(struct http_response_parser *p) {
  if (p == NULL) return;
  message_close(&p->message);
  free(p);
}

void http_response_parser_expect_head(struct http_response_parser *p, bool head) {
  p->head = head;
}

/* "HTTP/1.1 200 OK" (RFC 9112, 4). The reason, and the space before it if there is none, may be missing. */
static bool read_status_line(struct http_response_parser *p) {
  struct slice line = message_start_line(&p->message);
  if (line.n < 12 || memcmp(line.at, "HTTP/1.", 7) != 0 || line.at[8] != ' ') return false;
  if (line.n > 12 && line.at[12] != ' ') return false;
  p->minor = line.at[7] - '0';
  uint64_t status;
  if (!slice_to_u64((struct slice){line.at + 9, 3}, &status) || status < 100 || status > 599) return false;
  p->status = (int)status;
  return p->minor == 0 || p->minor == 1;
}

static bool is_interim(int status) {
  return status < 200;
}

/* Which body follows (RFC 9112, 6.3). One that ends with the connection is not accepted: it cannot be told
 * from one that was cut off. */
static enum http_fault read_head(struct http_response_parser *p) {
  struct message_framing framing;
  enum http_fault fault = message_framing(&p->message, p->minor, &framing);
  if (fault != HTTP_FAULT_NONE) return fault;
  if (p->status == 101) return HTTP_FAULT_FRAMING; /* nobody asked for another protocol */
  p->keep_alive = p->minor > 0 && !framing.close;
  if (p->head || is_interim(p->status) || p->status == 204 || p->status == 304)
    return message_expect(&p->message, MESSAGE_BODY_SKIPPED, 0, false);
  if (framing.body == MESSAGE_BODY_NONE) return HTTP_FAULT_FRAMING;
  return message_expect(&p->message, framing.body, framing.length, false);
}

static bool is_named_by_connection(const struct message *m, struct slice name) {
  for (size_t i = 0; i < m->fields_n; i++) {
    if (!slice_is_caseless(message_slice(m, m->fields[i].name), "Connection")) continue;
    struct slice options = message_slice(m, m->fields[i].value);
    struct slice option;
    while (http_list_next(&options, &option))
      if (option.n == name.n && strncasecmp(option.at, name.at, name.n) == 0) return true;
  }
  return false;
}

/* Headers that are for this connection only (RFC 9110, 7.6.1), and Content-Length, which whoever writes the
 * response anew sets from the body. */
static bool is_hop_by_hop(const struct message *m, struct slice name) {
  static const char *const names[] = {"Connection", "Content-Length", "Keep-Alive",       "TE",
                                      "Trailer",    "Upgrade",        "Transfer-Encoding"};
  static const char proxy[] = "Proxy-";
  for (size_t i = 0; i < sizeof names / sizeof *names; i++)
    if (slice_is_caseless(name, names[i])) return true;
  if (name.n >= sizeof proxy - 1 && slice_is_caseless((struct slice){name.at, sizeof proxy - 1}, proxy))
    return true;
  return is_named_by_connection(m, name);
}

static void fill_response(struct http_response_parser *p, struct http_response *r) {
  struct message *m = &p->message;
  *r = (struct http_response){.status = p->status, .keep_alive = p->keep_alive};
  for (size_t i = 0; i < m->fields_n; i++) {
    struct slice name = message_slice(m, m->fields[i].name);
    if (is_hop_by_hop(m, name)) continue;
    bytes_append_slice(&r->head, name);
    bytes_append_string(&r->head, ": ");
    bytes_append_slice(&r->head, message_slice(m, m->fields[i].value));
    bytes_append_string(&r->head, "\r\n");
  }
  r->body = m->body; /* handed over */
  m->body = (struct bytes){0};
  p->head = false;
}

static int error_of(enum http_fault fault) {
  switch (fault) {
  case HTTP_FAULT_HEAD_TOO_LARGE:
  case HTTP_FAULT_HEADERS_TOO_MANY:
  case HTTP_FAULT_TRAILERS_TOO_LARGE:
  case HTTP_FAULT_URI_TOO_LONG: /* the start line, here the status line */
  case HTTP_FAULT_BODY_TOO_LARGE:
    return CORACLE_ELIMIT;
  default:
    return CORACLE_EMALFORMED;
  }
}

static int execute(struct http_response_parser *p, struct slice *in, struct http_response *response) {
  for (;;) {
    enum http_fault fault = HTTP_FAULT_NONE;
    switch (message_execute(&p->message, in)) {
    case MESSAGE_START_LINE:
      if (!read_status_line(p)) fault = HTTP_FAULT_START_LINE;
      break;
    case MESSAGE_HEAD:
      fault = read_head(p);
      break;
    case MESSAGE_WHOLE:
      if (is_interim(p->status)) break;
      fill_response(p, response);
      return 1;
    case MESSAGE_FAILED:
      fault = p->message.fault;
      break;
    case MESSAGE_NEED_MORE:
    case MESSAGE_GO_ON:
    case MESSAGE_PIECE: /* of bodies that stream only, and none does here */
      return 0;
    }
    if (fault != HTTP_FAULT_NONE) {
      p->message.fault = fault; /* so that a further call is caught */
      return error_of(fault);
    }
  }
}

int http_response_parser_execute(struct http_response_parser *p, const void *data, size_t n, size_t *consumed,
                                 struct http_response *response) {
  struct slice in = {data, n};
  int result = execute(p, &in, response);
  *consumed = n - in.n;
  return result;
}
