#include "api/forward.h"

#include <inttypes.h>

#include "api/authorization.h"
#include "api/field.h"
#include "api/members.h"
#include "http/grammar.h"
#include "http/response.h"

bool forwarded_is_genuine(struct exchange *x) {
  if (!request_is_forwarded(x->request)) return true;
  if (authorization_of(x->api, x->request) == AUTHORIZATION_RIGHT) return true;
  answer_problem(&x->answer, PROBLEM_TOKEN_WRONG,
                 FORWARDED_BY " comes with this node's write token or not at all; leave the header out.");
  return false;
}

static bool is_one_of(struct slice name, const char *const *names) {
  while (*names != NULL && !slice_is_caseless(name, *names)) names++;
  return *names != NULL;
}

/* Connection names further headers that are about this connection only (RFC 9110, 7.6.1). */
static bool connection_names(const struct http_request *request, struct slice name) {
  for (size_t i = 0; i < request->headers_n; i++) {
    struct slice list = request->headers[i].value, element;
    if (!slice_is_caseless(request->headers[i].name, "Connection")) continue;
    while (http_list_next(&list, &element)) {
      if (slice_equal_caseless(element, name)) return true;
    }
  }
  return false;
}

static bool goes_along(const struct http_request *request, struct slice name) {
  static const char *const connection_or_anew[] = {
      "Authorization",
      "Connection",
      "Content-Length",
      "Expect",
      "Host",
      FORWARDED_BY,
      "Keep-Alive",
      "Origin", /* it was looked at here */
      "Proxy-Connection",
      "TE",
      "Trailer",
      "Upgrade",
      "Transfer-Encoding",
      NULL,
  };
  return !is_one_of(name, connection_or_anew) && !connection_names(request, name);
}

static void append_line(struct bytes *out, struct slice name, struct slice value) {
  bytes_append_slice(out, name);
  bytes_append_string(out, ": ");
  bytes_append_slice(out, value);
  bytes_append_string(out, "\r\n");
}

void api_forward_request(struct api *api, const struct api_view *view, const struct http_request *request,
                         struct bytes *out) {
  char token[TOKEN_DIGITS + 1];
  token_format(view->leader_token, token);
  bytes_append_slice(out, request->method_name);
  bytes_append_string(out, " ");
  bytes_append_slice(out, request->target);
  bytes_append_string(out, " HTTP/1.1\r\n");
  append_line(out, slice_of("Host"), slice_of(view->leader->http));
  bytes_printf(out, "Authorization: Bearer %s\r\n", token);
  for (size_t i = 0; i < request->headers_n; i++) {
    struct http_field field = request->headers[i];
    if (goes_along(request, field.name)) append_line(out, field.name, field.value);
  }
  append_line(out, slice_of(FORWARDED_BY), slice_of(api->name));
  bytes_printf(out, "Via: 1.1 coracle-%016" PRIx64 "\r\n", view->id); /* RFC 9110, 7.6.3 */
  bytes_printf(out, "Content-Length: %zu\r\n\r\n", request->body.n);
  bytes_append_slice(out, request->body);
}

/* Takes the next line, without its CRLF, off the front of header lines that each end in CRLF. */
static bool take_line(struct slice *head, struct slice *line) {
  const char *end = head->n ? memchr(head->at, '\r', head->n) : NULL;
  if (end == NULL) return false;
  size_t n = (size_t)(end - head->at), taken = n + 2 < head->n ? n + 2 : head->n;
  *line = (struct slice){head->at, n};
  *head = (struct slice){head->at + taken, head->n - taken};
  return true;
}

/* The lines as they are, but for those that http_response_end() and origin_headers() write: which pages may
 * read the answer is for the node to say that they have asked. */
static void append_head(struct bytes *out, struct slice head) {
  static const char *const anew[] = {
      "Access-Control-Allow-Origin",
      "Access-Control-Expose-Headers",
      "Connection",
      "Content-Length",
      "Keep-Alive",
      "Transfer-Encoding",
      "Vary",
      NULL,
  };
  struct slice line;
  while (take_line(&head, &line)) {
    struct slice rest = line;
    if (is_one_of(field_take(&rest, ':'), anew)) continue;
    bytes_append_slice(out, line);
    bytes_append_string(out, "\r\n");
  }
}

void api_forward_response(struct api *api, const struct api_call *call, int status, struct slice head,
                          struct slice body, struct bytes *out) {
  http_response_begin(out, status);
  append_head(out, head);
  origin_headers(&api->origins, call->origin, out);
  http_response_end(out, NULL, body, call->keep_alive, call->head_only);
}

void api_forward_failed(struct api *api, const struct api_view *view, const struct api_call *call, bool sent,
                        struct bytes *out) {
  const struct answer a = answer_to(api, view, call, out);
  if (sent)
    answer_outcome_unknown(&a);
  else
    answer_problem(&a, PROBLEM_LEADER_UNREACHABLE,
                   "The write could not be sent to the leader and has not taken effect; try again.");
}
