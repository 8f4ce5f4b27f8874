#include "api/problem.h"

#include <stdio.h>

#include "api/members.h"
#include "http/response.h"

static const struct {
  int status;
  const char *code;
  const char *title;
} problems[] = {
#define X(symbol, status, code, title) {(status), (code), (title)},
    API_PROBLEMS(X)
#undef X
};

int problem_status(enum problem problem) {
  return problems[problem].status;
}

const char *problem_code(enum problem problem) {
  return problems[problem].code;
}

static void append(struct bytes *out, int status, const char *code, const char *title, const char *detail) {
  bytes_append_string(out, "{");
  member_string(out, "type", slice_of("about:blank"));
  member_string(out, "title", slice_of(title));
  member_u64(out, "status", (uint64_t)status);
  member_string(out, "detail", slice_of(detail));
  member_string(out, "code", slice_of(code));
}

void problem_open_v(struct bytes *out, enum problem problem, const char *detail, va_list arguments) {
  char text[PROBLEM_DETAIL_BYTES_MAX + 1];
  vsnprintf(text, sizeof text, detail, arguments);
  append(out, problems[problem].status, problems[problem].code, problems[problem].title, text);
}

void problem_open(struct bytes *out, enum problem problem, const char *detail, ...) {
  va_list arguments;
  va_start(arguments, detail);
  problem_open_v(out, problem, detail, arguments);
  va_end(arguments);
}

void problem_open_http(struct bytes *out, int status, const char *code, const char *detail) {
  append(out, status, code, http_reason(status), detail);
}
