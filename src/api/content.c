#include "api/content.h"

#include "api/routes.h"
#include "http/grammar.h"
#include "http/response.h"

static bool has_body(const struct http_request *request) {
  return request->body.n > 0 || request->streams;
}

bool content_is_plain(struct exchange *x) {
  const struct http_request *request = x->request;
  struct bytes body = {0};
  bool plain = true;
  for (size_t i = 0; i < request->headers_n; i++) {
    struct slice list = request->headers[i].value, coding;
    if (!slice_is_caseless(request->headers[i].name, "Content-Encoding")) continue;
    while (http_list_next(&list, &coding)) plain = plain && slice_is_caseless(coding, "identity");
  }
  if (plain || !has_body(request)) return true;
  problem_open(&body, PROBLEM_UNSUPPORTED_CONTENT_ENCODING,
               "Bodies are taken as they are; send it without Content-Encoding.");
  answer_begin_problem(&x->answer, PROBLEM_UNSUPPORTED_CONTENT_ENCODING);
  http_response_header(x->answer.out, "Accept-Encoding", slice_of("identity")); /* RFC 9110, 12.5.3 */
  answer_end_problem(&x->answer, &body);
  return false;
}

void content_refuse_type(struct exchange *x, const char *detail, ...) {
  struct bytes body = {0};
  va_list arguments;
  va_start(arguments, detail);
  problem_open_v(&body, PROBLEM_UNSUPPORTED_MEDIA_TYPE, detail, arguments);
  va_end(arguments);
  answer_begin_problem(&x->answer, PROBLEM_UNSUPPORTED_MEDIA_TYPE);
  route_body_header(x->route, x->answer.out);
  answer_end_problem(&x->answer, &body);
}
