#include "api/body.h"

#include <stdio.h>

#include "api/content.h"
#include "api/field.h"
#include "api/members.h"
#include "json/text.h"

_Static_assert((int)API_SECRET_BYTES == (int)JSON_SEED_BYTES, "the secret is a seed");

/* ---- The content type ---- */

static bool is_json_type(struct slice content_type) {
  return slice_is_caseless(field_take(&content_type, ';'),
                           "application/json"); /* parameters change nothing */
}

/* The detail shows the request as curl would send it right: a form's content type is what `curl -d` sends
 * unasked. */
bool body_is_json(struct exchange *x) {
  const struct http_request *request = x->request;
  const struct slice host = http_request_header(request, "Host"), method = request->method_name;
  const bool is_post = request->method == HTTP_POST_; /* which --json makes it by itself */
  if (http_request_header_count(request, "Content-Type") == 1 &&
      is_json_type(http_request_header(request, "Content-Type"))) {
    return true;
  }
  content_refuse_type(x,
                      "Send Content-Type: application/json, as does: curl -L --json '{\"name\": \"value\"}' "
                      "%s%.*s%shttp://%.*s%.*s",
                      is_post ? "" : "-X ", is_post ? 0 : (int)method.n, method.at, is_post ? "" : " ",
                      (int)host.n, host.at, (int)request->path.n, request->path.at);
  return false;
}

/* ---- The text ---- */

__attribute__((format(printf, 4, 5))) static bool find(struct body_fault *fault, enum problem problem,
                                                       const struct json_error *error, const char *detail,
                                                       ...) {
  va_list arguments;
  *fault = (struct body_fault){.problem = problem, .has_offset = error != NULL};
  if (error != NULL) fault->offset = error->offset;
  va_start(arguments, detail);
  vsnprintf(fault->detail, sizeof fault->detail, detail, arguments);
  va_end(arguments);
  return false;
}

bool body_check(const struct api *api, struct slice text, struct body_fault *fault) {
  struct json_error error;
  if (json_check(text, api->secret, &error)) return true;
  switch (error.fault) {
  case JSON_EMPTY:
    return find(fault, PROBLEM_INVALID_JSON, &error, "The text is empty; send JSON.");
  case JSON_MARK:
    return find(fault, PROBLEM_INVALID_JSON, &error,
                "The JSON begins with a byte order mark; send it without one.");
  case JSON_NAME_TWICE:
    return find(fault, PROBLEM_INVALID_JSON, &error,
                "An object has two members of the same name, the second at the offset; leave one out.");
  case JSON_TOO_DEEP:
    return find(fault, PROBLEM_TOO_DEEP, &error, "A document can be %d levels deep; nest it less.",
                JSON_DEPTH_MAX);
  case JSON_TOO_MANY_MEMBERS:
    return find(fault, PROBLEM_TOO_MANY_KEYS, &error, "An object can have %d members; split it.",
                JSON_MEMBERS_MAX);
  case JSON_FINE:
  case JSON_SYNTAX:
  case JSON_UTF8:
  case JSON_SURROGATE:
    break;
  }
  return find(fault, PROBLEM_INVALID_JSON, &error, "Correct the JSON at the offset: %s.", error.detail);
}

/* An integer is addressed by its digits; -0 is refused, which most programs make 0 of. */
static void read_id(struct slice value, struct bytes *id) {
  if (json_type(value) == JSON_STRING)
    json_decode(value, id);
  else if (json_type(value) == JSON_NUMBER && json_is_integer(value) && !slice_is(value, "-0"))
    bytes_append_slice(id, value);
}

bool body_judge(const struct api *api, struct slice text, struct body *body, struct body_fault *fault) {
  return body_check(api, text, fault) && body_take(json_trim(text), body, fault);
}

bool body_take(struct slice value, struct body *body, struct body_fault *fault) {
  struct slice id;
  *body = (struct body){.object = value};
  if (json_type(body->object) != JSON_OBJECT)
    return find(fault, PROBLEM_NOT_AN_OBJECT, NULL, "A document is a JSON object; send {...}.");
  body->has_id = json_member(body->object, "id", &id);
  if (body->has_id) read_id(id, &body->id);
  return true;
}

void body_close(struct body *body) {
  bytes_close(&body->id);
}

void body_refuse(const struct answer *a, const struct body_fault *fault) {
  struct bytes body = {0};
  problem_open(&body, fault->problem, "%s", fault->detail);
  if (fault->has_offset) member_u64(&body, "offset", fault->offset);
  answer_begin_problem(a, fault->problem);
  answer_end_problem(a, &body);
}

bool body_read(struct exchange *x, struct body *body) {
  struct body_fault fault;
  if (!body_is_json(x)) return false;
  if (body_judge(x->api, x->request->body, body, &fault)) return true;
  body_refuse(&x->answer, &fault);
  return false;
}

struct slice body_document(const struct body *body, struct slice id, struct bytes *storage) {
  if (body->has_id) return body->object;
  struct slice rest = {body->object.at + 1, body->object.n - 1}; /* after the brace */
  bytes_append_string(storage, "{");
  member_string(storage, "id", id);
  if (*json_trim(rest).at != '}') bytes_append_string(storage, ",");
  bytes_append_slice(storage, rest);
  return slice_of_bytes(storage);
}
