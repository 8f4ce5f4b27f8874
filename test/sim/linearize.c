#include "linearize.h"

#include "base/memory.h"
#include "linearize_core.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct client_history *client_history_new(void) {
  return memory_zalloc(sizeof(struct client_history));
}

void client_history_free(struct client_history *h) {
  if (h == NULL) return;
  for (size_t i = 0; i < h->documents_n; i++) free(h->documents[i]);
  free(h->documents);
  free(h->records);
  free(h);
}

static size_t grown(size_t capacity) {
  return capacity == 0 ? 64 : 2 * capacity;
}

static size_t document_named(struct client_history *h, const char *name) {
  /* The newest first: clients come back to what they have just touched. */
  for (size_t i = h->documents_n; i > 0; i--) {
    if (strcmp(h->documents[i - 1], name) == 0) return i - 1;
  }
  if (h->documents_n == h->documents_capacity) {
    h->documents_capacity = grown(h->documents_capacity);
    h->documents = memory_realloc(h->documents, h->documents_capacity * sizeof *h->documents);
  }
  h->documents[h->documents_n] = memory_strndup(name, strlen(name));
  return h->documents_n++;
}

static bool is_conditional(const struct client_operation *o) {
  return o->if_match != 0 || o->if_match_any || o->if_none_match_any;
}

const char *client_operation_wrong(const struct client_operation *o) {
  bool has_value = o->value != 0 && o->value != LIN_HIDDEN;
  size_t n = strlen(o->document);
  if (n == 0 || n > CLIENT_DOCUMENT_NAME_MAX) return "the document's name is empty or too long";
  switch (o->method) {
  case CLIENT_PUT:
    return has_value ? NULL : "a PUT needs a value";
  case CLIENT_CREATE:
    if (is_conditional(o)) return "a CREATE has no other conditions";
    return has_value ? NULL : "a CREATE needs a value";
  case CLIENT_GET:
    if (is_conditional(o)) return "a GET has no conditions";
    return o->value == 0 ? NULL : "a GET has no value";
  case CLIENT_DELETE:
    return o->value == 0 ? NULL : "a DELETE has no value";
  case CLIENT_DROP:
    if (is_conditional(o)) return "a DROP has no conditions";
    return o->value == 0 ? NULL : "a DROP has no value";
  case CLIENT_PATCH:
    if (o->if_none_match_any) return "a PATCH of what must not be there";
    return has_value ? NULL : "a PATCH needs a value";
  }
  return "there is no such method";
}

const char *client_result_wrong(const struct client_operation *o, const struct client_result *r) {
  bool tells = r->revision != 0 || r->value != 0 || r->absent;
  switch (r->outcome) {
  case CLIENT_UNKNOWN:
  case CLIENT_REFUSED:
    return tells ? "that outcome tells nothing of the document" : NULL;
  case CLIENT_OK:
    if (r->absent) return "ok, and there is no document";
    if (o->method == CLIENT_DROP && r->revision != 0) return "a DROP tells no revision of a document";
    if (o->method == CLIENT_GET) return r->value != 0 ? NULL : "a GET that is ok needs a value";
    return r->value == 0 ? NULL : "only a GET that is ok has a value";
  case CLIENT_NOT_FOUND:
    if (tells) return "not_found tells nothing else";
    if (o->method == CLIENT_GET || o->method == CLIENT_PATCH || o->method == CLIENT_DELETE) return NULL;
    return "not_found of a write";
  case CLIENT_CONFLICT:
    if (r->absent) return "a conflict, and there is no document";
    return o->method == CLIENT_CREATE ? NULL : "only a CREATE can have a conflict";
  case CLIENT_PRECONDITION_FAILED:
    if (r->absent && (r->revision != 0 || r->value != 0)) return "there is no document, and it has a value";
    return is_conditional(o) ? NULL : "precondition_failed without a condition";
  }
  return "there is no such outcome";
}

size_t client_history_invoke(struct client_history *h, uint64_t client, uint64_t time_us,
                             const struct client_operation *operation) {
  assert(client_operation_wrong(operation) == NULL);
  if (h->records_n == h->records_capacity) {
    h->records_capacity = grown(h->records_capacity);
    h->records = memory_realloc(h->records, h->records_capacity * sizeof *h->records);
  }
  struct client_record *r = &h->records[h->records_n];
  *r = (struct client_record){
      .operation = *operation,
      .result = {.outcome = CLIENT_UNKNOWN},
      .client = client,
      .invoked_us = time_us,
      .invoked_at = ++h->positions,
      .returned_at = LIN_NEVER,
      .document = document_named(h, operation->document),
  };
  r->operation.document = h->documents[r->document];
  return h->records_n++;
}

void client_history_return(struct client_history *h, size_t operation, uint64_t time_us,
                           const struct client_result *result) {
  assert(operation < h->records_n);
  struct client_record *r = &h->records[operation];
  assert(r->returned_at == LIN_NEVER);
  assert(time_us >= r->invoked_us);
  assert(client_result_wrong(&r->operation, result) == NULL);
  r->result = *result;
  r->returned_us = time_us;
  r->returned_at = ++h->positions;
}

/* ---- Checking ---- */

static void report_wrong(struct client_report *report, enum client_verdict verdict, const char *document,
                         char *text) {
  free(report->document);
  free(report->text);
  report->verdict = verdict;
  report->document = memory_strndup(document, strlen(document));
  report->text = text;
}

/* Which revision an answer names, of any kind; 0: none. */
static uint64_t revision_named(const struct client_record *r) {
  return r->returned_at == LIN_NEVER ? 0 : r->result.revision;
}

static void report_order(struct client_report *report, const struct client_record *seen,
                         const struct client_record *write) {
  struct bytes text = {0};
  bytes_printf(
      &text, "Revision %" PRIu64 " had been seen before this write began, which got revision %" PRIu64 ":\n",
      revision_named(seen), write->result.revision);
  lin_describe(&text, seen);
  lin_describe(&text, write);
  bytes_append(&text, "", 1);
  report_wrong(report, CLIENT_VIOLATION, write->operation.document, (char *)text.data);
}

/* Revisions are positions in one log, whichever document they are of: a write that begins after somebody has
 * seen one gets a greater one. */
static void check_order(const struct client_history *h, struct client_report *report) {
  size_t events_n = (size_t)h->positions;
  const struct client_record **returning = memory_zalloc((events_n + 1) * sizeof *returning);
  for (size_t i = 0; i < h->records_n; i++) {
    const struct client_record *r = &h->records[i];
    if (revision_named(r) != 0) returning[r->returned_at] = r;
  }
  const struct client_record *newest = NULL;
  size_t position = 0;
  /* The records lie in the order in which they were invoked. */
  for (size_t i = 0; i < h->records_n && report->verdict != CLIENT_VIOLATION; i++) {
    const struct client_record *r = &h->records[i];
    for (; position < r->invoked_at; position++) {
      const struct client_record *seen = returning[position];
      if (seen && (newest == NULL || revision_named(seen) > revision_named(newest))) newest = seen;
    }
    bool wrote = r->operation.method != CLIENT_GET && r->result.outcome == CLIENT_OK;
    if (wrote && newest && revision_named(r) != 0 && revision_named(r) <= revision_named(newest))
      report_order(report, newest, r);
  }
  free(returning);
}

enum client_verdict lin_check(const struct client_history *h, size_t document, const bool *forgotten,
                              uint64_t configurations_max, uint64_t *configurations) {
  struct lin_case c;
  lin_case_open(&c, h, document, forgotten);
  enum client_verdict verdict = CLIENT_VIOLATION;
  if (c.wrong.n == 0) verdict = lin_search(&c, configurations_max, configurations);
  lin_case_close(&c);
  return verdict;
}

static char *undecided_text(uint64_t configurations_max) {
  struct bytes text = {0};
  bytes_printf(&text, "Undecided after %" PRIu64 " configurations.\n", configurations_max);
  bytes_append(&text, "", 1);
  return (char *)text.data;
}

void client_history_check(const struct client_history *h, uint64_t configurations_max,
                          struct client_report *report) {
  *report = (struct client_report){.operations = h->records_n, .documents = h->documents_n};
  for (size_t i = 0; i < h->records_n; i++) {
    const struct client_record *r = &h->records[i];
    if (r->operation.method != CLIENT_GET && r->result.outcome == CLIENT_UNKNOWN) report->unknown++;
  }
  for (size_t d = 0; d < h->documents_n; d++) {
    enum client_verdict verdict = lin_check(h, d, NULL, configurations_max, &report->configurations);
    if (verdict == CLIENT_UNDECIDED) {
      if (report->undecided++ == 0 && report->verdict == CLIENT_LINEARIZABLE)
        report_wrong(report, verdict, h->documents[d], undecided_text(configurations_max));
    } else if (verdict == CLIENT_VIOLATION && report->verdict != CLIENT_VIOLATION) {
      report_wrong(report, verdict, h->documents[d], lin_explain(h, d));
    }
  }
  if (report->verdict != CLIENT_VIOLATION) check_order(h, report);
}

void client_report_close(struct client_report *report) {
  free(report->document);
  free(report->text);
  *report = (struct client_report){0};
}
