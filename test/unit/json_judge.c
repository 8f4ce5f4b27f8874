#include "json_judge.h"

#include "base/memory.h"

#include <jansson.h>
#include <stdlib.h>

static json_t *load(struct slice text, json_error_t *error) {
  return json_loadb(text.at, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, error);
}

enum judgement judge_text(struct slice text) {
  json_error_t error;
  if (text.n == 0 || memchr(text.at, '\0', text.n) != NULL)
    return JUDGED_WRONG; /* one behind a value it overlooks */
  json_t *value = load(text, &error);
  if (value != NULL) {
    json_decref(value);
    return JUDGED_RIGHT;
  }
  const enum json_error_code code = json_error_code(&error);
  return code == json_error_numeric_overflow || code == json_error_null_byte_in_key ? NOT_JUDGED
                                                                                    : JUDGED_WRONG;
}

static bool is_same(const json_t *a, const json_t *b);

static bool is_same_object(const json_t *a, const json_t *b) {
  void *at = json_object_iter((json_t *)(uintptr_t)a);
  if (json_object_size(a) != json_object_size(b)) return false;
  for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)a, at)) {
    const json_t *other = json_object_getn(b, json_object_iter_key(at), json_object_iter_key_len(at));
    if (other == NULL || !is_same(json_object_iter_value(at), other)) return false;
  }
  return true;
}

static bool is_same_array(const json_t *a, const json_t *b) {
  if (json_array_size(a) != json_array_size(b)) return false;
  for (size_t i = 0; i < json_array_size(a); i++)
    if (!is_same(json_array_get(a, i), json_array_get(b, i))) return false;
  return true;
}

static bool is_same(const json_t *a, const json_t *b) {
  if (json_is_number(a) && json_is_number(b)) {
    const double x = json_number_value(a), y = json_number_value(b);
    return x >= y && x <= y;
  }
  if (json_is_object(a) && json_is_object(b)) return is_same_object(a, b);
  if (json_is_array(a) && json_is_array(b)) return is_same_array(a, b);
  return json_equal(a, b);
}

bool judge_same(struct slice a, struct slice b) {
  json_t *x = load(a, NULL), *y = load(b, NULL);
  const bool same = x != NULL && y != NULL && is_same(x, y);
  json_decref(x);
  json_decref(y);
  return same;
}

static void dump(const json_t *value, struct bytes *result) {
  char *text = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
  result->n = 0;
  bytes_append_string(result, text);
  free(text);
}

/* ---- Pointers ---- */

/* The next token of a pointer; owned. NULL: there is none, or it is no pointer (*wrong is set). */
static char *next_token(const char **at, bool *wrong) {
  if (**at == '\0') return NULL;
  if (**at != '/') {
    *wrong = true;
    return NULL;
  }
  (*at)++;
  const size_t n = strcspn(*at, "/");
  char *token = memory_strndup(*at, n), *to = token;
  for (const char *from = token; *from != '\0'; from++) {
    if (*from != '~') {
      *to++ = *from;
    } else if (from[1] == '0' || from[1] == '1') {
      *to++ = *++from == '0' ? '~' : '/';
    } else {
      *wrong = true;
    }
  }
  *to = '\0';
  *at += n;
  return token;
}

/* SIZE_MAX: it is no index. */
static size_t index_of(const char *token) {
  const size_t n = strlen(token);
  if (n == 0 || n > 9 || strspn(token, "0123456789") != n || (token[0] == '0' && n > 1)) return SIZE_MAX;
  return (size_t)strtoul(token, NULL, 10);
}

static json_t *child(const json_t *value, const char *token) {
  if (json_is_object(value)) return json_object_get(value, token);
  return json_is_array(value) ? json_array_get(value, index_of(token)) : NULL;
}

/* The value that holds the pointer's place, and the last token (owned; NULL: the place is the root). NULL:
 * nowhere. */
static json_t *parent_of(json_t *root, const char *pointer, char **last) {
  bool wrong = false;
  json_t *at = root;
  char *token = *last = next_token(&pointer, &wrong);
  if (wrong) return NULL;
  while (token != NULL) {
    *last = token;
    token = next_token(&pointer, &wrong);
    if (wrong) break;
    if (token == NULL) return at;
    at = at != NULL ? child(at, *last) : NULL;
    free(*last);
    *last = NULL;
  }
  if (token == NULL && !wrong) return root;
  free(*last);
  free(token);
  *last = NULL;
  return NULL;
}

static json_t *find(json_t *root, const char *pointer) {
  char *last;
  json_t *parent = parent_of(root, pointer, &last);
  json_t *found = parent == NULL ? NULL : last == NULL ? root : child(parent, last);
  free(last);
  return found;
}

/* ---- RFC 6902, section 4 ---- */

/* Takes over `value`. */
static bool add(json_t **root, const char *pointer, json_t *value) {
  char *last;
  json_t *parent = parent_of(*root, pointer, &last);
  bool done = false;
  if (parent == NULL) {
    json_decref(value);
  } else if (last == NULL) {
    json_decref(*root);
    *root = value;
    done = true;
  } else if (json_is_object(parent)) {
    done = json_object_set_new(parent, last, value) == 0;
  } else if (json_is_array(parent)) {
    const size_t n = json_array_size(parent), index = strcmp(last, "-") == 0 ? n : index_of(last);
    done = index <= n && json_array_insert_new(parent, index, value) == 0;
    if (index > n) json_decref(value);
  } else {
    json_decref(value);
  }
  free(last);
  return done;
}

static bool remove_at(json_t *root, const char *pointer) {
  char *last;
  json_t *parent = parent_of(root, pointer, &last);
  bool done = false;
  if (parent != NULL && last != NULL && child(parent, last) != NULL)
    done = json_is_object(parent) ? json_object_del(parent, last) == 0
                                  : json_array_remove(parent, index_of(last)) == 0;
  free(last);
  return done;
}

static bool replace(json_t **root, const char *pointer, const json_t *value) {
  if (find(*root, pointer) == NULL) return false;
  if (pointer[0] != '\0' && !remove_at(*root, pointer)) return false;
  return add(root, pointer, json_deep_copy(value));
}

static bool move(json_t **root, const char *from, const char *path) {
  const size_t n = strlen(from);
  json_t *value = find(*root, from);
  if (value == NULL || (strncmp(from, path, n) == 0 && path[n] == '/')) return false;
  if (strcmp(from, path) == 0) return true;
  json_incref(value);
  if (remove_at(*root, from)) return add(root, path, value);
  json_decref(value);
  return false;
}

static bool operate(json_t **root, const json_t *operation) {
  const char *op = json_string_value(json_object_get(operation, "op"));
  const char *path = json_string_value(json_object_get(operation, "path"));
  const char *from = json_string_value(json_object_get(operation, "from"));
  const json_t *value = json_object_get(operation, "value");
  if (op == NULL || path == NULL) return false;
  if (strcmp(op, "remove") == 0) return remove_at(*root, path);
  if (strcmp(op, "move") == 0) return from != NULL && move(root, from, path);
  if (strcmp(op, "copy") == 0) {
    const json_t *copied = from != NULL ? find(*root, from) : NULL;
    return copied != NULL && add(root, path, json_deep_copy(copied));
  }
  if (value == NULL) return false;
  if (strcmp(op, "add") == 0) return add(root, path, json_deep_copy(value));
  if (strcmp(op, "replace") == 0) return replace(root, path, value);
  if (strcmp(op, "test") != 0) return false;
  const json_t *tested = find(*root, path);
  return tested != NULL && is_same(tested, value);
}

enum judgement judge_patch(struct slice document, struct slice patch, struct bytes *result) {
  json_t *root = load(document, NULL), *operations = load(patch, NULL);
  bool fine = json_is_array(operations);
  if (root == NULL || operations == NULL) {
    json_decref(root);
    json_decref(operations);
    return NOT_JUDGED;
  }
  for (size_t i = 0; fine && i < json_array_size(operations); i++)
    fine = operate(&root, json_array_get(operations, i));
  if (fine) dump(root, result);
  json_decref(root);
  json_decref(operations);
  return fine ? JUDGED_RIGHT : JUDGED_WRONG;
}

/* ---- RFC 7396, section 2 ---- */

/* Takes over `target` (NULL: there is none), returns what it becomes. */
static json_t *merge(json_t *target, const json_t *patch) {
  if (!json_is_object(patch)) {
    json_decref(target);
    return json_deep_copy(patch);
  }
  if (!json_is_object(target)) {
    json_decref(target);
    target = json_object();
  }
  void *at = json_object_iter((json_t *)(uintptr_t)patch);
  for (; at != NULL; at = json_object_iter_next((json_t *)(uintptr_t)patch, at)) {
    const char *key = json_object_iter_key(at);
    const size_t n = json_object_iter_key_len(at);
    const json_t *value = json_object_iter_value(at);
    if (json_is_null(value))
      json_object_deln(target, key, n);
    else
      json_object_setn_new(target, key, n, merge(json_incref(json_object_getn(target, key, n)), value));
  }
  return target;
}

enum judgement judge_merge_patch(struct slice document, struct slice patch, struct bytes *result) {
  json_t *target = load(document, NULL), *changes = load(patch, NULL);
  if (target == NULL || changes == NULL) {
    json_decref(target);
    json_decref(changes);
    return NOT_JUDGED;
  }
  target = merge(target, changes);
  dump(target, result);
  json_decref(target);
  json_decref(changes);
  return JUDGED_RIGHT;
}
