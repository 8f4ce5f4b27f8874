/* From a history that is not linearizable to the few operations that show it, in words. */
#include "base/memory.h"
#include "linearize_core.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
  /* What may be explored to see whether some operations can be done without, and while looking for all such;
   * then what is left is shown. */
  CONFIGURATIONS_TO_FORGET_MAX = 20000,
  CONFIGURATIONS_TO_EXPLAIN_MAX = 5000000,
  LINES_MAX = 60,
};

/* ---- One operation ---- */

static const char *method_name(enum client_method method) {
  switch (method) {
  case CLIENT_GET:
    return "GET";
  case CLIENT_PUT:
    return "PUT";
  case CLIENT_CREATE:
    return "CREATE";
  case CLIENT_PATCH:
    return "PATCH";
  case CLIENT_DROP:
    return "DROP";
  case CLIENT_DELETE:
    break;
  }
  return "DELETE";
}

static void describe_told(struct bytes *out, const struct client_result *r) {
  if (r->absent) bytes_append_string(out, ", there is none");
  if (r->value != 0) bytes_printf(out, ", value %" PRIu64, r->value);
  if (r->revision != 0) bytes_printf(out, ", revision %" PRIu64, r->revision);
}

static const char *outcome_name(const struct client_operation *o, const struct client_result *r) {
  switch (r->outcome) {
  case CLIENT_OK:
    return "ok";
  case CLIENT_NOT_FOUND:
    return o->method == CLIENT_DELETE ? "404, nothing to delete" : "404";
  case CLIENT_CONFLICT:
    return "409";
  case CLIENT_PRECONDITION_FAILED:
    return "412";
  case CLIENT_REFUSED:
    return "refused";
  case CLIENT_UNKNOWN:
    break;
  }
  return "unknown";
}

static void describe_seconds(struct bytes *out, uint64_t us) {
  bytes_printf(out, "%" PRIu64 ".%06" PRIu64, us / 1000000, us % 1000000);
}

void lin_describe(struct bytes *out, const struct client_record *r) {
  const struct client_operation *o = &r->operation;
  bytes_append_string(out, "  ");
  describe_seconds(out, r->invoked_us);
  bytes_append_string(out, " to ");
  if (r->returned_at == LIN_NEVER)
    bytes_append_string(out, "the end");
  else
    describe_seconds(out, r->returned_us);
  bytes_printf(out, " s, client %" PRIu64 ": %s %s", r->client, method_name(o->method), o->document);
  if (o->value != 0) bytes_printf(out, " value %" PRIu64, o->value);
  if (o->if_match != 0) bytes_printf(out, " if-match %" PRIu64, o->if_match);
  if (o->if_match_any) bytes_append_string(out, " if-match *");
  if (o->if_none_match_any) bytes_append_string(out, " if-none-match *");
  bytes_printf(out, " -> %s", outcome_name(o, &r->result));
  describe_told(out, &r->result);
  bytes_append_string(out, "\n");
}

/* ---- The few ---- */

struct explanation {
  const struct client_history *h;
  size_t document;
  uint64_t configurations; /* explored so far */
  bool *forgotten;         /* by record */
  size_t *left;            /* records not forgotten */
  size_t left_n;
};

/* Tries to do without `n` of those left, from the i-th on. */
static bool forget(struct explanation *x, size_t i, size_t n) {
  for (size_t k = i; k < i + n; k++) x->forgotten[x->left[k]] = true;
  enum client_verdict verdict =
      lin_check(x->h, x->document, x->forgotten, CONFIGURATIONS_TO_FORGET_MAX, &x->configurations);
  if (verdict == CLIENT_VIOLATION) {
    memmove(x->left + i, x->left + i + n, (x->left_n - i - n) * sizeof *x->left);
    x->left_n -= n;
    return true;
  }
  for (size_t k = i; k < i + n; k++) x->forgotten[x->left[k]] = false;
  return false;
}

/* From the newest to the oldest, in pieces of that size. False: nothing more could be left out. */
static bool forget_pieces(struct explanation *x, size_t size) {
  bool any = false;
  size_t end = x->left_n;
  while (end > 0 && x->configurations < CONFIGURATIONS_TO_EXPLAIN_MAX) {
    size_t n = end < size ? end : size;
    end -= n;
    if (forget(x, end, n)) any = true;
  }
  return any;
}

static void forget_all_possible(struct explanation *x) {
  size_t size = x->left_n;
  while (size > 1) {
    size = (size + 1) / 2;
    forget_pieces(x, size);
    if (size > x->left_n) size = x->left_n;
  }
  while (forget_pieces(x, 1)) continue;
}

static void describe_reason(struct explanation *x, struct bytes *text) {
  struct lin_case c;
  lin_case_open(&c, x->h, x->document, x->forgotten);
  if (c.wrong.n > 0)
    bytes_append(text, c.wrong.data, c.wrong.n);
  else
    bytes_append_string(text, "No order of the operations explains their answers");
  bytes_append_string(text, ":\n");
  lin_case_close(&c);
}

char *lin_explain(const struct client_history *h, size_t document) {
  struct explanation x = {.h = h, .document = document};
  x.forgotten = memory_zalloc(h->records_n + 1);
  x.left = memory_alloc((h->records_n + 1) * sizeof *x.left);
  for (size_t i = 0; i < h->records_n; i++) {
    if (h->records[i].document == document) x.left[x.left_n++] = i;
  }
  forget_all_possible(&x);

  struct bytes text = {0};
  describe_reason(&x, &text);
  size_t shown = x.left_n < LINES_MAX ? x.left_n : LINES_MAX;
  if (shown < x.left_n) bytes_printf(&text, "  (%zu earlier operations are left out)\n", x.left_n - shown);
  for (size_t i = x.left_n - shown; i < x.left_n; i++) lin_describe(&text, &h->records[x.left[i]]);
  bytes_append(&text, "", 1);
  free(x.forgotten);
  free(x.left);
  return (char *)text.data;
}
