#include "api/body.h"

#include <jansson.h>

#include "api/field.h"
#include "api/members.h"

static bool is_json_type(struct slice content_type) {
  return slice_is_caseless(field_take(&content_type, ';'),
                           "application/json"); /* parameters change nothing */
}

/* The detail shows the request as curl would send it right: a form's content type is what `curl -d` sends
 * unasked. */
static bool check_content_type(struct exchange *x) {
  const struct http_request *request = x->request;
  struct slice host = http_request_header(request, "Host");
  if (http_request_header_count(request, "Content-Type") == 1 &&
      is_json_type(http_request_header(request, "Content-Type"))) {
    return true;
  }
  answer_problem(&x->answer, PROBLEM_UNSUPPORTED_MEDIA_TYPE,
                 "Send Content-Type: application/json, as does: curl -L --json '{\"name\": \"value\"}' "
                 "%shttp://%.*s%.*s",
                 request->method == HTTP_PUT_ ? "-X PUT " : "", (int)host.n, host.at, (int)request->path.n,
                 request->path.at);
  return false;
}

__attribute__((format(printf, 4, 5))) static void answer_at(struct exchange *x, enum problem problem,
                                                            size_t offset, const char *detail, ...) {
  struct bytes body = {0};
  va_list arguments;
  va_start(arguments, detail);
  problem_open_v(&body, problem, detail, arguments);
  va_end(arguments);
  member_u64(&body, "offset", offset);
  answer_begin_problem(&x->answer, problem);
  answer_end_problem(&x->answer, &body);
}

/* Walks over the brackets and colons outside of strings, so that the parser, which recurses and hashes keys,
 * is never given a text that would cost it much. Up to the first mistake in the text both see the same
 * structure. */
static bool check_shape(struct exchange *x, struct slice text) {
  size_t keys[DOCUMENT_DEPTH_MAX + 1] = {0}; /* by depth, of the object or array that is open there */
  size_t depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.n; i++) {
    char c = text.at[i];
    if (in_string) {
      if (c == '\\')
        i++;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (depth == DOCUMENT_DEPTH_MAX) {
        answer_at(x, PROBLEM_TOO_DEEP, i, "A document can be %d levels deep; nest it less.",
                  DOCUMENT_DEPTH_MAX);
        return false;
      }
      keys[++depth] = 0;
    } else if (c == '}' || c == ']') {
      if (depth > 0) depth--;
    } else if (c == ':' && ++keys[depth] > DOCUMENT_KEYS_MAX) {
      answer_at(x, PROBLEM_TOO_MANY_KEYS, i, "An object can have %d members; split it.", DOCUMENT_KEYS_MAX);
      return false;
    }
  }
  return true;
}

static bool check_bytes(struct exchange *x, struct slice text) {
  const char *nul = text.n ? memchr(text.at, '\0', text.n) : NULL;
  if (text.n == 0) {
    answer_at(x, PROBLEM_INVALID_JSON, 0, "The body is empty; send a JSON object.");
  } else if (nul != NULL) {
    answer_at(x, PROBLEM_INVALID_JSON, (size_t)(nul - text.at),
              "There is a NUL byte in the body; take it out.");
  } else if (text.n >= 3 && memcmp(text.at, "\xef\xbb\xbf", 3) == 0) {
    answer_at(x, PROBLEM_INVALID_JSON, 0, "The body begins with a byte order mark; send JSON without one.");
  } else {
    return check_shape(x, text);
  }
  return false;
}

/* The offset is how far the parser had read: the mistake is there or just before. */
static void answer_json_error(struct exchange *x, const json_error_t *error) {
  size_t offset = error->position > 0 ? (size_t)error->position : 0;
  switch (json_error_code(error)) {
  case json_error_null_character:
  case json_error_null_byte_in_key:
    answer_at(x, PROBLEM_INVALID_JSON, offset, "Strings cannot hold \\u0000 here; leave it out.");
    break;
  case json_error_numeric_overflow:
    answer_at(x, PROBLEM_INVALID_JSON, offset, "A number does not fit 64 bits; send it as a string.");
    break;
  default:
    answer_at(x, PROBLEM_INVALID_JSON, offset, "Correct the body at or just before the offset: %s.",
              error->text);
  }
}

/* RFC 8259, section 2. */
static bool is_white(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct slice trim(struct slice text) {
  while (text.n > 0 && is_white(text.at[0])) text = (struct slice){text.at + 1, text.n - 1};
  while (text.n > 0 && is_white(text.at[text.n - 1])) text.n--;
  return text;
}

static void read_id(const json_t *root, struct body *body) {
  const json_t *id = json_object_get(root, "id");
  body->has_id = id != NULL;
  if (json_is_string(id)) bytes_append(&body->id, json_string_value(id), json_string_length(id));
}

bool body_read(struct exchange *x, struct body *body) {
  struct slice text = x->request->body;
  json_error_t error;
  *body = (struct body){.object = trim(text)};
  if (!check_content_type(x) || !check_bytes(x, text)) return false;
  json_t *root = json_loadb(text.at, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
  if (root == NULL) {
    answer_json_error(x, &error);
    return false;
  }
  bool is_object = json_is_object(root);
  if (is_object)
    read_id(root, body);
  else
    answer_problem(&x->answer, PROBLEM_NOT_AN_OBJECT, "A document is a JSON object; send {...}.");
  json_decref(root);
  return is_object;
}

void body_close(struct body *body) {
  bytes_close(&body->id);
}

struct slice body_document(const struct body *body, struct slice id, struct bytes *storage) {
  if (body->has_id) return body->object;
  struct slice rest = {body->object.at + 1, body->object.n - 1}; /* after the brace */
  bytes_append_string(storage, "{");
  member_string(storage, "id", id);
  if (*trim(rest).at != '}') bytes_append_string(storage, ",");
  bytes_append_slice(storage, rest);
  return slice_of_bytes(storage);
}
