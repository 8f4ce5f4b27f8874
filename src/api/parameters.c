#include "api/parameters.h"

#include "api/accept.h"
#include "api/reads.h"

static bool read_consistency(struct exchange *x, struct slice value) {
  x->consistency.stale = slice_is(value, "stale");
  if (x->consistency.stale || slice_is(value, "linearizable")) return true;
  answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER,
                 "consistency is \"%.*s\"; it can be linearizable (the default) or stale.", (int)value.n,
                 value.at);
  return false;
}

static bool read_limit(struct exchange *x, struct slice value) {
  const bool is_page = x->media != MEDIA_NDJSON; /* which is not gathered before it is sent */
  if (slice_to_u64(value, &x->limit) && x->limit >= 1 && (!is_page || x->limit <= LIST_LIMIT_MAX))
    return true;
  if (!is_page) {
    answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER, "limit is \"%.*s\"; it can be a number from 1 on.",
                   (int)value.n, value.at);
    return false;
  }
  answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER, "limit is \"%.*s\"; it can be a number from 1 to %d.",
                 (int)value.n, value.at, LIST_LIMIT_MAX);
  return false;
}

static bool read_after(struct exchange *x, struct slice value) {
  x->after = value;
  return true;
}

static bool read_max_stale(struct exchange *x, struct slice value) {
  x->consistency.bounded = true;
  if (slice_to_u64(value, &x->consistency.stale_ms_max)) return true;
  answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER,
                 "max_stale_ms is \"%.*s\"; it can be a number of milliseconds.", (int)value.n, value.at);
  return false;
}

static bool read_min_revision(struct exchange *x, struct slice value) {
  if (slice_to_u64(value, &x->consistency.min_revision)) return true;
  answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER,
                 "min_revision is \"%.*s\"; it can be a number, such as that of an ETag without its quotes.",
                 (int)value.n, value.at);
  return false;
}

static bool read_wait(struct exchange *x, struct slice value) {
  if (slice_to_u64(value, &x->consistency.wait_ms) && x->consistency.wait_ms <= WAIT_MAX_MS) return true;
  answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER,
                 "wait_ms is \"%.*s\"; it can be a number of milliseconds from 0 to %d.", (int)value.n,
                 value.at, WAIT_MAX_MS);
  return false;
}

static bool read_existing(struct exchange *x, struct slice value) {
  x->replaces = slice_is(value, "replace");
  if (!media_is_sent(x->request, MEDIA_NDJSON)) {
    answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER,
                   "existing comes with an import only (Content-Type: %s); to replace a document, PUT it.",
                   media_name(MEDIA_NDJSON));
    return false;
  }
  if (x->replaces || slice_is(value, "fail")) return true;
  answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER,
                 "existing is \"%.*s\"; it can be fail (the default) or replace.", (int)value.n, value.at);
  return false;
}

static const struct {
  const char *name;
  enum parameter bit;
  bool (*read)(struct exchange *, struct slice value);
} parameters[] = {
    {"consistency", PARAMETER_CONSISTENCY, read_consistency},
    {"limit", PARAMETER_LIMIT, read_limit},
    {"after", PARAMETER_AFTER, read_after},
    {"max_stale_ms", PARAMETER_MAX_STALE, read_max_stale},
    {"min_revision", PARAMETER_MIN_REVISION, read_min_revision},
    {"wait_ms", PARAMETER_WAIT, read_wait},
    {"existing", PARAMETER_EXISTING, read_existing},
};
enum { PARAMETERS_N = sizeof parameters / sizeof *parameters };

bool parameters_read(struct exchange *x, unsigned known) {
  unsigned seen = 0;
  x->limit = x->media == MEDIA_NDJSON ? UINT64_MAX : LIST_LIMIT_DEFAULT;
  x->consistency.wait_ms = WAIT_DEFAULT_MS;
  for (size_t i = 0; i < x->request->parameters_n; i++) {
    struct slice name = x->request->parameters[i].name;
    size_t p = 0;
    while (p < PARAMETERS_N && !(known & parameters[p].bit && slice_is(name, parameters[p].name))) p++;
    if (p == PARAMETERS_N) {
      answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER,
                     "%.*s is not a parameter of this request; leave it out.", (int)name.n, name.at);
      return false;
    }
    if (seen & parameters[p].bit) {
      answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER, "%s is given twice; give it once.",
                     parameters[p].name);
      return false;
    }
    seen |= parameters[p].bit;
    if (!parameters[p].read(x, x->request->parameters[i].value)) return false;
  }
  if (!x->consistency.bounded || x->consistency.stale) return true;
  answer_problem(&x->answer, PROBLEM_INVALID_PARAMETER,
                 "max_stale_ms comes with consistency=stale only: no other read is stale at all.");
  return false;
}
