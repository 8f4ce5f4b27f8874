/* coracle-linearize [--configurations N] FILE: reads what clients recorded and says whether it is
 * linearizable (linearize.h). Exit status: 0 it is; 1 it is not, and the output says why; 2 undecided, or
 * FILE cannot be read. FILE "-" is the standard input.
 *
 * One JSON object a line, in the order of events:
 *
 *     {"event":"invoke","op":0,"client":1,"time_us":17,"method":"put","document":"items/1","value":7}
 *     {"event":"return","op":0,"time_us":950,"outcome":"ok","revision":12}
 *
 * invoke   op counts them from 0. method: get, put, create, patch, delete, drop. value: what a put, create or
 * patch writes, a number from 1 that no other write to that document has. Optional: if_match (a revision),
 *          if_match_any, if_none_match_any (true).
 * return   of that op; at most one. outcome: ok, not_found, conflict, precondition_failed, unknown, refused.
 *          Where the answer says so: revision, value (of a get, conflict or precondition_failed), absent
 *          (true: of a precondition_failed, there is no document). */
#include "linearize.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { EXIT_LINEARIZABLE = 0, EXIT_VIOLATION = 1, EXIT_UNDECIDED = 2, OPERATIONS_MAX = 10000000 };

struct sent {
  struct client_operation operation; /* its document is not kept */
  uint64_t time_us;
  bool returned;
};

struct reader {
  const char *file;
  size_t line;
  struct client_history *history;
  struct sent *sent; /* by op */
  size_t sent_n, sent_capacity;
};

__attribute__((format(printf, 2, 3))) static bool wrong(const struct reader *r, const char *format, ...) {
  va_list list;
  fprintf(stderr, "%s:%zu: ", r->file, r->line);
  va_start(list, format);
  vfprintf(stderr, format, list);
  va_end(list);
  fputc('\n', stderr);
  return false;
}

/* A number from 0, or `otherwise` where there is none. */
static bool read_number(const struct reader *r, const json_t *line, const char *name, int64_t otherwise,
                        uint64_t *number) {
  const json_t *member = json_object_get(line, name);
  json_int_t value = member ? json_integer_value(member) : otherwise;
  if ((member && !json_is_integer(member)) || value < 0) return wrong(r, "%s must be a number from 0", name);
  *number = (uint64_t)value;
  return true;
}

static const char *text_of(const json_t *line, const char *name) {
  const char *text = json_string_value(json_object_get(line, name));
  return text ? text : "";
}

static int find_name(const char *const *names, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++) {
    if (names[i] && strcmp(names[i], name) == 0) return (int)i;
  }
  return -1;
}

static bool invoke(struct reader *r, const json_t *line, uint64_t op, uint64_t time_us) {
  static const char *const methods[] = {
      [CLIENT_GET] = "get",       [CLIENT_PUT] = "put",     [CLIENT_CREATE] = "create",
      [CLIENT_DELETE] = "delete", [CLIENT_PATCH] = "patch", [CLIENT_DROP] = "drop"};
  int method = find_name(methods, sizeof methods / sizeof *methods, text_of(line, "method"));
  if (method < 0) return wrong(r, "method must be get, put, create, patch, delete or drop");
  if (op != r->sent_n) return wrong(r, "op must be %zu: the requests are counted from 0", r->sent_n);
  if (r->sent_n == OPERATIONS_MAX) return wrong(r, "there are more than %d operations", OPERATIONS_MAX);

  struct client_operation o = {
      .method = (enum client_method)method,
      .document = text_of(line, "document"),
      .if_match_any = json_is_true(json_object_get(line, "if_match_any")),
      .if_none_match_any = json_is_true(json_object_get(line, "if_none_match_any")),
  };
  uint64_t client = 0;
  if (!read_number(r, line, "client", -1, &client) || !read_number(r, line, "value", 0, &o.value) ||
      !read_number(r, line, "if_match", 0, &o.if_match))
    return false;
  if (client_operation_wrong(&o)) return wrong(r, "%s", client_operation_wrong(&o));

  if (r->sent_n == r->sent_capacity) {
    r->sent_capacity = r->sent_capacity ? 2 * r->sent_capacity : 1024;
    struct sent *larger = realloc(r->sent, r->sent_capacity * sizeof *r->sent);
    if (larger == NULL) return wrong(r, "out of memory");
    r->sent = larger;
  }
  client_history_invoke(r->history, client, time_us, &o);
  o.document = "?";
  r->sent[r->sent_n++] = (struct sent){.operation = o, .time_us = time_us};
  return true;
}

static bool give_back(struct reader *r, const json_t *line, uint64_t op, uint64_t time_us) {
  static const char *const outcomes[] = {[CLIENT_UNKNOWN] = "unknown",
                                         [CLIENT_OK] = "ok",
                                         [CLIENT_NOT_FOUND] = "not_found",
                                         [CLIENT_CONFLICT] = "conflict",
                                         [CLIENT_PRECONDITION_FAILED] = "precondition_failed",
                                         [CLIENT_REFUSED] = "refused"};
  int outcome = find_name(outcomes, sizeof outcomes / sizeof *outcomes, text_of(line, "outcome"));
  if (outcome < 0) return wrong(r, "there is no such outcome");
  if (op >= r->sent_n || r->sent[op].returned) return wrong(r, "no op %" PRIu64 " waits for an answer", op);
  if (time_us < r->sent[op].time_us) return wrong(r, "op %" PRIu64 " was answered before it was sent", op);
  struct client_result result = {
      .outcome = (enum client_outcome)outcome,
      .absent = json_is_true(json_object_get(line, "absent")),
  };
  if (!read_number(r, line, "revision", 0, &result.revision) ||
      !read_number(r, line, "value", 0, &result.value))
    return false;
  const char *reason = client_result_wrong(&r->sent[op].operation, &result);
  if (reason) return wrong(r, "%s", reason);
  r->sent[op].returned = true;
  client_history_return(r->history, (size_t)op, time_us, &result);
  return true;
}

static bool read_line(struct reader *r, const json_t *line) {
  const char *event = text_of(line, "event");
  uint64_t op = 0, time_us = 0;
  if (!read_number(r, line, "op", -1, &op) || !read_number(r, line, "time_us", -1, &time_us)) return false;
  if (strcmp(event, "invoke") == 0) return invoke(r, line, op, time_us);
  if (strcmp(event, "return") == 0) return give_back(r, line, op, time_us);
  return wrong(r, "event must be invoke or return");
}

static bool read_file(struct reader *r, FILE *file) {
  char *text = NULL;
  size_t capacity = 0;
  ssize_t n;
  bool ok = true;
  while (ok && (n = getline(&text, &capacity, file)) >= 0) {
    json_error_t error;
    r->line++;
    json_t *line = json_loadb(text, (size_t)n, JSON_REJECT_DUPLICATES, &error);
    ok = json_is_object(line) ? read_line(r, line) : wrong(r, "not a JSON object");
    json_decref(line);
  }
  if (ferror(file)) ok = wrong(r, "cannot be read further");
  free(text);
  return ok;
}

static int check(const struct client_history *history, uint64_t configurations_max) {
  struct client_report report;
  int status = EXIT_LINEARIZABLE;
  client_history_check(history, configurations_max, &report);
  printf("%zu operations, %zu of them unknown, on %zu documents; %" PRIu64 " configurations\n",
         report.operations, report.unknown, report.documents, report.configurations);
  switch (report.verdict) {
  case CLIENT_LINEARIZABLE:
    printf("linearizable\n");
    break;
  case CLIENT_VIOLATION:
    printf("NOT linearizable: %s\n%s", report.document, report.text);
    status = EXIT_VIOLATION;
    break;
  case CLIENT_UNDECIDED:
    printf("undecided: %s and %zu more. %s", report.document, report.undecided - 1, report.text);
    status = EXIT_UNDECIDED;
    break;
  }
  client_report_close(&report);
  return status;
}

static int usage(void) {
  fprintf(stderr, "usage: coracle-linearize [--configurations N] FILE\n");
  return EXIT_UNDECIDED;
}

int main(int argc, char **argv) {
  uint64_t configurations_max = CLIENT_CONFIGURATIONS_MAX;
  if (argc == 4 && strcmp(argv[1], "--configurations") == 0) {
    char *end;
    unsigned long long limit = strtoull(argv[2], &end, 10);
    if (*end != '\0' || limit == 0 || limit > CLIENT_CONFIGURATIONS_MAX) return usage();
    configurations_max = limit;
  } else if (argc != 2) {
    return usage();
  }
  struct reader r = {.file = argv[argc - 1]};
  bool piped = strcmp(r.file, "-") == 0;
  FILE *file = piped ? stdin : fopen(r.file, "r");
  if (file == NULL) {
    perror(r.file);
    return EXIT_UNDECIDED;
  }
  r.history = client_history_new();
  int status = read_file(&r, file) ? check(r.history, configurations_max) : EXIT_UNDECIDED;
  if (!piped) fclose(file);
  client_history_free(r.history);
  free(r.sent);
  return status;
}
