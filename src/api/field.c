#include "api/field.h"

#include "http/grammar.h"

struct slice field_take(struct slice *rest, char separator) {
  const char *end = rest->n > 0 ? memchr(rest->at, separator, rest->n) : NULL;
  size_t n = end != NULL ? (size_t)(end - rest->at) : rest->n;
  size_t taken = end != NULL ? n + 1 : n;
  struct slice part = http_trim((struct slice){rest->at, n});
  *rest = (struct slice){rest->at + taken, rest->n - taken};
  return part;
}
