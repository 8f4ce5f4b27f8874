#include "json/scan.h"
#include "json/text.h"

#include <assert.h>

struct slice json_trim(struct slice text) {
  while (text.n > 0 && scan_is_white(text.at[0])) text = (struct slice){text.at + 1, text.n - 1};
  while (text.n > 0 && scan_is_white(text.at[text.n - 1])) text.n--;
  return text;
}

enum json_type json_type(struct slice value) {
  assert(value.n > 0);
  switch (value.at[0]) {
  case 'n':
    return JSON_NULL;
  case 'f':
    return JSON_FALSE;
  case 't':
    return JSON_TRUE;
  case '"':
    return JSON_STRING;
  case '[':
    return JSON_ARRAY;
  case '{':
    return JSON_OBJECT;
  default:
    return JSON_NUMBER;
  }
}

/* ---- Over a value ---- */

/* The closing quote is the first one that no escape ends with. Escapes may be dense, or there may be none at
 * all. */
static const char *scan_string(const char *at, const char *end) {
  at++;
  while (*at != '"') {
    if (*at == '\\')
      at += 2;
    else
      at = scan_unescaped(at + 1, end);
  }
  return at + 1;
}

/* Past the bracket that closes the one at `at`; *levels_max is raised to how many are open at once. */
static const char *scan_container(const char *at, const char *end, size_t *levels_max) {
  size_t levels = 0;
  do {
    switch (*at) {
    case '"':
      at = scan_string(at, end);
      continue;
    case '{':
    case '[':
      if (++levels > *levels_max) *levels_max = levels;
      break;
    case '}':
    case ']':
      levels--;
    }
    at++;
  } while (levels > 0);
  return at;
}

size_t scan_levels(struct slice value) {
  size_t levels = 0;
  if (value.at[0] == '{' || value.at[0] == '[') scan_container(value.at, value.at + value.n, &levels);
  return levels;
}

const char *scan_value(const char *at, const char *end) {
  size_t levels = 0;
  switch (*at) {
  case '{':
  case '[':
    return scan_container(at, end, &levels);
  case '"':
    return scan_string(at, end);
  }
  while (at < end && *at != ',' && *at != ']' && *at != '}' && !scan_is_white(*at)) at++;
  return at;
}

/* ---- Over the members and elements ---- */

struct json_cursor json_open(struct slice container) {
  assert(container.n >= 2 && (container.at[0] == '{' || container.at[0] == '['));
  const char *end = container.at + container.n - 1, *at = scan_white(container.at + 1, end);
  return (struct json_cursor){{at, (size_t)(end - at)}};
}

/* The value at `at`; the cursor then stands behind the comma after it. */
static struct slice take_value(struct json_cursor *cursor, const char *at, const char *end) {
  const char *value_end = scan_value(at, end), *next = scan_white(value_end, end);
  if (next < end) next = scan_white(next + 1, end);
  cursor->rest = (struct slice){next, (size_t)(end - next)};
  return (struct slice){at, (size_t)(value_end - at)};
}

bool json_next_element(struct json_cursor *cursor, struct slice *value) {
  const char *at = cursor->rest.at;
  if (cursor->rest.n == 0) return false;
  *value = take_value(cursor, at, at + cursor->rest.n);
  return true;
}

bool json_next_member(struct json_cursor *cursor, struct slice *name, struct slice *value) {
  const char *at = cursor->rest.at, *end = at + cursor->rest.n;
  if (cursor->rest.n == 0) return false;
  const char *name_end = scan_string(at, end);
  const char *colon = scan_white(name_end, end);
  *name = (struct slice){at, (size_t)(name_end - at)};
  *value = take_value(cursor, scan_white(colon + 1, end), end);
  return true;
}

/* ---- By name ---- */

/* Decodes only what might be it: nothing is escaped in more than six bytes. */
bool scan_says(struct slice name, struct slice wanted) {
  struct slice inner = {name.at + 1, name.n - 2};
  if (inner.n == wanted.n) return memcmp(inner.at, wanted.at, wanted.n) == 0;
  if (inner.n < wanted.n || inner.n / 6 > wanted.n || memchr(inner.at, '\\', inner.n) == NULL) return false;
  struct bytes decoded = {0};
  json_decode(name, &decoded);
  const bool equal = slice_equal(slice_of_bytes(&decoded), wanted);
  bytes_close(&decoded);
  return equal;
}

bool json_member(struct slice object, const char *name, struct slice *value) {
  struct json_cursor cursor = json_open(object);
  const struct slice wanted = slice_of(name);
  struct slice found;
  while (json_next_member(&cursor, &found, value))
    if (scan_says(found, wanted)) return true;
  return false;
}
