#include "api/operations.h"

#include <stdarg.h>
#include <stdio.h>

#include "api/conditions.h"
#include "http/grammar.h"

enum member { MEMBER_METHOD, MEMBER_PATH, MEMBER_IF_MATCH, MEMBER_IF_NONE_MATCH, MEMBER_BODY, MEMBERS_N };

static const char *const member_names[MEMBERS_N] = {"\"method\"", "\"path\"", "\"if_match\"",
                                                    "\"if_none_match\"", "\"body\""};

enum method { METHOD_PUT, METHOD_POST, METHOD_PATCH, METHOD_DELETE, METHODS_N };

static const char *const method_names[METHODS_N] = {"put", "post", "patch", "delete"};

__attribute__((format(printf, 3, 4))) static bool find(struct body_fault *fault, enum problem problem,
                                                       const char *detail, ...) {
  va_list arguments;
  *fault = (struct body_fault){.problem = problem};
  va_start(arguments, detail);
  vsnprintf(fault->detail, sizeof fault->detail, detail, arguments);
  va_end(arguments);
  return false;
}

/* ---- Members ---- */

/* MEMBERS_N: it is none of them. What is too long for any of them however it is escaped is not looked into.
 */
static size_t find_member(struct slice name) {
  enum { SPELLED_BYTES_MAX = 2 + 6 * (sizeof "if_none_match" - 1) };
  size_t i = name.n <= SPELLED_BYTES_MAX ? 0 : MEMBERS_N;
  while (i < MEMBERS_N && !json_strings_equal(name, slice_of(member_names[i]))) i++;
  return i;
}

static bool read_members(struct slice value, struct slice members[MEMBERS_N], struct body_fault *fault) {
  struct slice name, member;
  if (json_type(value) != JSON_OBJECT)
    return find(fault, PROBLEM_INVALID_TRANSACTION, "An operation is an object.");
  struct json_cursor cursor = json_open(value);
  while (json_next_member(&cursor, &name, &member)) {
    const size_t i = find_member(name);
    if (i == MEMBERS_N)
      return find(
          fault, PROBLEM_INVALID_TRANSACTION,
          "An operation has no member %.*s; it can have method, path, if_match, if_none_match and body.",
          (int)(name.n < 32 ? name.n : 32), name.at);
    members[i] = member;
  }
  return true;
}

static bool read_method(struct slice value, enum method *method, struct body_fault *fault) {
  struct bytes text = {0};
  size_t i = METHODS_N;
  if (value.at != NULL && json_type(value) == JSON_STRING) {
    json_decode(value, &text);
    for (i = 0; i < METHODS_N && !slice_is_caseless(slice_of_bytes(&text), method_names[i]);) i++;
    bytes_close(&text);
  }
  *method = (enum method)i;
  return i < METHODS_N || find(fault, PROBLEM_INVALID_TRANSACTION,
                               "An operation's method is \"put\", \"post\", \"patch\" or \"delete\".");
}

/* ---- The path ---- */

/* Of one segment; false: it holds what a path has to escape, or an escape that is none. */
static bool decode_segment(struct slice segment, struct bytes *out) {
  for (size_t i = 0; i < segment.n; i++) {
    char c = segment.at[i];
    if (c == '/' || c == '?' || c == '#') return false;
    if (c == '%') {
      const int high = i + 2 < segment.n ? http_hex_digit(segment.at[i + 1]) : -1;
      const int low = i + 2 < segment.n ? http_hex_digit(segment.at[i + 2]) : -1;
      if (high < 0 || low < 0) return false;
      c = (char)(high << 4 | low);
      i += 2;
    }
    bytes_append(out, &c, 1);
  }
  return true;
}

/* COLLECTION/ID, or COLLECTION alone, escaped as in a URL; what stands before it there may stand here too. */
static bool split_path(struct slice path, bool has_id, struct operation *op) {
  static const char prefix[] = "/v1/collections/";
  enum { PREFIX_BYTES = sizeof prefix - 1 };
  if (path.n >= PREFIX_BYTES && memcmp(path.at, prefix, PREFIX_BYTES) == 0)
    path = (struct slice){path.at + PREFIX_BYTES, path.n - PREFIX_BYTES};
  const char *slash = path.n > 0 ? memchr(path.at, '/', path.n) : NULL;
  if ((slash != NULL) != has_id) return false;
  const size_t n = slash != NULL ? (size_t)(slash - path.at) : path.n;
  if (!decode_segment((struct slice){path.at, n}, &op->names)) return false;
  const size_t collection_bytes = op->names.n;
  if (has_id && !decode_segment((struct slice){slash + 1, path.n - n - 1}, &op->names)) return false;
  op->command.collection = (struct slice){(const char *)op->names.data, collection_bytes};
  if (has_id)
    op->command.id =
        (struct slice){(const char *)op->names.data + collection_bytes, op->names.n - collection_bytes};
  return true;
}

static bool read_path(struct slice value, bool has_id, struct operation *op, struct body_fault *fault) {
  struct bytes path = {0};
  if (value.at != NULL && json_type(value) == JSON_STRING) json_decode(value, &path);
  const bool is_path = path.n > 0 && split_path(slice_of_bytes(&path), has_id, op);
  bytes_close(&path);
  if (!is_path)
    return find(fault, PROBLEM_INVALID_TRANSACTION, "%s",
                has_id
                    ? "The path of this operation is COLLECTION/ID, escaped as in a URL, such as \"items/1\"."
                    : "The path of a post is the collection alone, such as \"items\".");
  if (!collection_name_is_valid(op->command.collection))
    return find(fault, PROBLEM_INVALID_COLLECTION, "%s", answer_invalid_collection_detail);
  if (has_id && !document_id_is_valid(op->command.id))
    return find(fault, PROBLEM_INVALID_ID, "%s", answer_invalid_id_detail);
  return true;
}

/* ---- Conditions ---- */

static bool read_conditions(const struct slice members[MEMBERS_N], struct command *command,
                            struct body_fault *fault) {
  static const enum member asked[] = {MEMBER_IF_MATCH, MEMBER_IF_NONE_MATCH};
  struct bytes texts[2] = {{0}, {0}};
  struct slice values[2] = {{0}, {0}};
  const char *wrong = NULL;
  for (size_t i = 0; i < 2; i++) {
    const struct slice member = members[asked[i]];
    if (member.at == NULL) continue;
    bytes_reserve(&texts[i], 1); /* so that an empty one is somewhere, too */
    if (json_type(member) == JSON_STRING) json_decode(member, &texts[i]);
    values[i] = slice_of_bytes(&texts[i]);
  }
  wrong = conditions_of_operation(values[0], values[1], command);
  for (size_t i = 0; i < 2; i++) bytes_close(&texts[i]);
  return wrong == NULL || find(fault, PROBLEM_INVALID_PRECONDITION, "%s", wrong);
}

/* ---- Bodies ---- */

/* The id of a post, which its body has or this server makes. */
static bool set_id(struct exchange *x, const struct body *body, struct operation *op,
                   struct body_fault *fault) {
  const size_t collection_bytes = op->command.collection.n;
  char made[ULID_CHARACTERS];
  if (body->has_id) {
    bytes_append_slice(&op->names, slice_of_bytes(&body->id));
  } else {
    ulids_next(&x->api->ulids, x->view->wall_ms, made);
    bytes_append(&op->names, made, sizeof made);
  }
  const char *names = (const char *)op->names.data; /* which may have moved */
  op->command.collection = (struct slice){names, collection_bytes};
  op->command.id = (struct slice){names + collection_bytes, op->names.n - collection_bytes};
  return document_id_is_valid(op->command.id) ||
         find(fault, PROBLEM_INVALID_ID, "%s", answer_invalid_id_detail);
}

static bool read_document(struct exchange *x, struct slice value, bool is_post, struct operation *op,
                          struct body_fault *fault) {
  struct body body;
  bool is_right;
  if (!body_take(value, &body, fault)) return false;
  if (is_post)
    is_right = set_id(x, &body, op, fault);
  else
    is_right =
        !body.has_id || slice_equal(slice_of_bytes(&body.id), op->command.id) ||
        find(fault, PROBLEM_ID_MISMATCH, "\"id\" in the body must be the id in the path; leave one out.");
  if (is_right) op->command.body = body_document(&body, op->command.id, &op->document);
  body_close(&body);
  return is_right;
}

static bool read_patch(struct slice value, struct operation *op, struct body_fault *fault) {
  op->is_patch = true;
  op->patch = value;
  op->kind = json_type(value) == JSON_ARRAY ? JSON_PATCH : JSON_MERGE_PATCH;
  if (json_type(value) == JSON_ARRAY || json_type(value) == JSON_OBJECT) return true;
  return find(fault, PROBLEM_INVALID_TRANSACTION,
              "The body of a patch is an object (a merge patch) or an array (a JSON patch).");
}

static bool read_body(struct exchange *x, struct slice value, enum method method, struct operation *op,
                      struct body_fault *fault) {
  if (method == METHOD_DELETE)
    return value.at == NULL ||
           find(fault, PROBLEM_INVALID_TRANSACTION, "A delete has no body; leave it out.");
  if (value.at == NULL)
    return find(fault, PROBLEM_INVALID_TRANSACTION, "A %s needs a body.", method_names[method]);
  if (method == METHOD_PATCH) return read_patch(value, op, fault);
  return read_document(x, value, method == METHOD_POST, op, fault);
}

bool operation_read(struct exchange *x, struct slice value, struct operation *op, struct body_fault *fault) {
  struct slice members[MEMBERS_N] = {{0}};
  enum method method;
  *op = (struct operation){0};
  if (!read_members(value, members, fault) || !read_method(members[MEMBER_METHOD], &method, fault) ||
      !read_path(members[MEMBER_PATH], method != METHOD_POST, op, fault)) {
    return false;
  }
  op->command.type = method == METHOD_DELETE ? COMMAND_DELETE : COMMAND_PUT;
  op->command.condition = method == METHOD_POST ? COMMAND_CREATE : COMMAND_ALWAYS;
  return read_conditions(members, &op->command, fault) &&
         read_body(x, members[MEMBER_BODY], method, op, fault);
}

void operation_close(struct operation *op) {
  bytes_close(&op->names);
  bytes_close(&op->document);
}

bool operation_is_on(const struct operation *a, const struct operation *b) {
  return slice_equal(a->command.id, b->command.id) &&
         slice_equal(a->command.collection, b->command.collection);
}
