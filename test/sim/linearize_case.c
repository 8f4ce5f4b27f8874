/* One document's operations, prepared for the search, and the document itself: what each does to it. */
#include "base/memory.h"
#include "linearize_core.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

enum { JOKERS = 2 };

/* ---- The document ---- */

static bool told_truly(const struct client_result *told, const struct lin_state *s) {
  if (told->absent && s->value != 0) return false;
  if (told->value != 0 && told->value != s->value) return false;
  return told->revision == 0 || (s->value != 0 && told->revision == s->revision);
}

static bool condition_holds(const struct client_operation *o, const struct lin_state *s) {
  bool exists = s->value != 0;
  if (o->if_match != 0 && !(exists && o->if_match == s->revision)) return false;
  if (o->if_match_any && !exists) return false;
  if ((o->if_none_match_any || o->method == CLIENT_CREATE) && exists) return false;
  return true;
}

/* The smallest number after that one that is not among those. */
static uint64_t next_beside(uint64_t after, const uint64_t *numbers, size_t n) {
  size_t low = 0, high = n;
  uint64_t next = after + 1;
  while (low < high) {
    size_t middle = low + (high - low) / 2;
    if (numbers[middle] < next)
      low = middle + 1;
    else
      high = middle;
  }
  for (; low < n && numbers[low] == next; low++) next++;
  return next;
}

/* The revision that a write gets, which nobody said; 0: not that one. The smaller it is, the more can follow.
 * A number that nobody named is as good as any other; a smaller one that somebody named, though nobody needs
 * it, may leave more room for those that follow. */
static uint64_t choose_revision(const struct lin_case *c, const struct lin_op *op, size_t choice,
                                uint64_t after) {
  if (lin_op_deletes(op)) return next_beside(after, c->owned, c->owned_n);
  uint64_t next = next_beside(after, c->mentioned, c->mentioned_n);
  if (choice == 0) return next;
  const struct lin_orphan *orphan = &c->orphans[choice - 1];
  return orphan->needed || orphan->revision < next ? orphan->revision : 0;
}

static bool take_effect(const struct lin_case *c, const struct lin_op *op, size_t choice,
                        struct lin_state *s) {
  uint64_t revision = op->revision != 0 ? op->revision : choose_revision(c, op, choice, s->revision);
  if (revision <= s->revision) return false;
  *s = (struct lin_state){op->value, revision};
  return true;
}

bool lin_step(const struct lin_case *c, const struct lin_op *op, size_t choice, struct lin_state *s) {
  const struct client_operation *o = &op->record->operation;
  const struct client_result *r = &op->result;
  bool holds = condition_holds(o, s);
  bool finds_nothing = (o->method == CLIENT_DELETE || o->method == CLIENT_PATCH) && s->value == 0;
  if (o->method == CLIENT_DROP && s->value == 0) return r->outcome == CLIENT_OK; /* nothing changes */
  switch (r->outcome) {
  case CLIENT_OK:
    if (o->method == CLIENT_GET) return s->value != 0 && told_truly(r, s);
    return holds && !finds_nothing && take_effect(c, op, choice, s);
  case CLIENT_UNKNOWN: /* without an effect it need not be in the order at all */
    return holds && !finds_nothing && take_effect(c, op, choice, s);
  case CLIENT_NOT_FOUND:
    return holds && s->value == 0;
  case CLIENT_CONFLICT:
  case CLIENT_PRECONDITION_FAILED:
    return !holds && told_truly(r, s);
  case CLIENT_REFUSED: /* these were left out */
    break;
  }
  abort();
}

/* ---- Preparing ---- */

static int by_number(const void *a, const void *b) {
  uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return (x > y) - (x < y);
}

/* Sorts, and leaves one of each. */
static size_t unique(uint64_t *numbers, size_t n) {
  if (n == 0) return 0;
  qsort(numbers, n, sizeof *numbers, by_number);
  size_t kept = 1;
  for (size_t i = 1; i < n; i++) {
    if (numbers[i] != numbers[kept - 1]) numbers[kept++] = numbers[i];
  }
  return kept;
}

static int by_invocation(const void *a, const void *b) {
  const struct lin_op *x = a, *y = b;
  if (x->invoked_at != y->invoked_at) return x->invoked_at < y->invoked_at ? -1 : 1;
  return (x->record > y->record) - (x->record < y->record);
}

static bool without_effect(const struct client_record *r) {
  bool reads = r->operation.method == CLIENT_GET;
  return r->result.outcome == CLIENT_REFUSED || (reads && r->result.outcome == CLIENT_UNKNOWN);
}

static void collect(struct lin_case *c, const struct client_history *h, size_t document,
                    const bool *forgotten) {
  size_t n = 0;
  for (size_t i = 0; i < h->records_n; i++) n += h->records[i].document == document;
  c->ops = memory_zalloc((n + JOKERS) * sizeof *c->ops);
  for (size_t i = 0; i < h->records_n; i++) {
    const struct client_record *r = &h->records[i];
    if (r->document != document || without_effect(r)) continue;
    struct lin_op op = {
        .record = r,
        .result = r->result,
        .invoked_at = r->invoked_at,
        .returned_at = r->result.outcome == CLIENT_UNKNOWN ? LIN_NEVER : r->returned_at,
        .value = r->operation.value,
        .rank = LIN_NONE,
        .twin = LIN_NONE,
    };
    if (forgotten && forgotten[i]) {
      if (!lin_op_writes(&op)) continue;
      op.result = (struct client_result){.outcome = CLIENT_UNKNOWN};
      op.invoked_at = LIN_BEFORE_ALL;
      op.returned_at = LIN_NEVER;
      op.forgotten = true;
    }
    if (lin_op_writes(&op)) op.revision = op.result.revision;
    c->ops[c->ops_n++] = op;
  }
  qsort(c->ops, c->ops_n, sizeof *c->ops, by_invocation);
}

struct writer {
  uint64_t value;
  struct lin_op *op;
};

static int by_value(const void *a, const void *b) {
  const struct writer *x = a, *y = b;
  return (x->value > y->value) - (x->value < y->value);
}

static bool was_refused(const struct client_history *h, size_t document, uint64_t value) {
  for (size_t i = 0; i < h->records_n; i++) {
    const struct client_record *r = &h->records[i];
    if (r->document == document && r->operation.value == value) return true;
  }
  return false;
}

/* What one answer says of the write whose value it names. */
static void learn(struct lin_case *c, const struct client_history *h, const struct lin_op *reader,
                  struct lin_op *op) {
  uint64_t value = reader->result.value, revision = reader->result.revision;
  if (op == NULL) {
    bool refused = was_refused(h, reader->record->document, value);
    bytes_printf(&c->wrong,
                 refused ? "Value %" PRIu64 " was read, and its write was answered as one without effect"
                         : "Value %" PRIu64 " was read, and nobody wrote it",
                 value);
    return;
  }
  op->seen = true;
  if (revision == 0) return;
  if (op->revision != 0 && op->revision != revision) {
    bytes_printf(&c->wrong, "Value %" PRIu64 " has two revisions, %" PRIu64 " and %" PRIu64, value,
                 op->revision, revision);
    return;
  }
  op->revision = revision;
}

/* Values are written once, so an answer that names one tells of one write: that it took effect, and with
 * which revision. */
static void learn_from_answers(struct lin_case *c, const struct client_history *h) {
  struct writer *writers = memory_alloc((c->ops_n + 1) * sizeof *writers);
  size_t writers_n = 0;
  for (size_t i = 0; i < c->ops_n; i++) {
    if (lin_op_writes(&c->ops[i]) && c->ops[i].value != 0)
      writers[writers_n++] = (struct writer){c->ops[i].value, &c->ops[i]};
  }
  qsort(writers, writers_n, sizeof *writers, by_value);
  for (size_t i = 1; i < writers_n && c->wrong.n == 0; i++) {
    if (writers[i].value == writers[i - 1].value)
      bytes_printf(&c->wrong, "Value %" PRIu64 " was to be written twice: it cannot be checked",
                   writers[i].value);
  }
  for (size_t i = 0; i < c->ops_n && c->wrong.n == 0; i++) {
    struct writer sought = {.value = c->ops[i].result.value};
    if (sought.value == 0) continue;
    struct writer *found = bsearch(&sought, writers, writers_n, sizeof *writers, by_value);
    learn(c, h, &c->ops[i], found ? found->op : NULL);
  }
  free(writers);
}

/* The forgotten writes that nobody saw, by the two things that all of them together can do. */
static void put_jokers(struct lin_case *c) {
  static const struct client_record records[JOKERS] = {
      {.operation = {.method = CLIENT_PUT, .value = LIN_HIDDEN}},
      {.operation = {.method = CLIENT_DELETE}},
  };
  size_t kept = 0;
  for (size_t i = 0; i < c->ops_n; i++) {
    if (!c->ops[i].forgotten || c->ops[i].seen) c->ops[kept++] = c->ops[i];
  }
  if (kept == c->ops_n) return;
  c->ops_n = kept;
  for (size_t i = 0; i < JOKERS; i++) {
    c->ops[c->ops_n++] = (struct lin_op){
        .record = &records[i],
        .result = {.outcome = CLIENT_UNKNOWN},
        .invoked_at = LIN_BEFORE_ALL,
        .returned_at = LIN_NEVER,
        .value = records[i].operation.value,
        .rank = LIN_NONE,
        .twin = LIN_NONE,
        .joker = true,
    };
  }
}

static int by_revision(const void *a, const void *b) {
  const struct lin_op *x = *(struct lin_op *const *)a, *y = *(struct lin_op *const *)b;
  return (x->revision > y->revision) - (x->revision < y->revision);
}

static void rank(struct lin_case *c) {
  struct lin_op **known = memory_alloc((c->ops_n + 1) * sizeof *known);
  size_t known_n = 0;
  for (size_t i = 0; i < c->ops_n; i++) {
    if (c->ops[i].revision != 0) known[known_n++] = &c->ops[i];
  }
  qsort(known, known_n, sizeof(struct lin_op *), by_revision);
  for (size_t i = 0; i < known_n; i++) {
    known[i]->rank = i;
    if (i == 0 || known[i]->revision != known[i - 1]->revision || c->wrong.n > 0) continue;
    bytes_printf(&c->wrong, "Two writes have revision %" PRIu64, known[i]->revision);
  }
  free(known);
}

/* An operation that took effect, or may have, only if the document had that revision; 0: none. */
static uint64_t revision_needed(const struct lin_op *op) {
  const struct client_operation *o = &op->record->operation;
  if (lin_op_writes(op)) return o->if_match;
  return op->result.value == 0 ? op->result.revision : 0;
}

static bool is_among(const uint64_t *numbers, size_t n, uint64_t number) {
  return bsearch(&number, numbers, n, sizeof number, by_number) != NULL;
}

static void find_mentioned(struct lin_case *c) {
  size_t room = 2 * c->ops_n + 1, needed_n = 0;
  uint64_t *needed = memory_alloc(room * sizeof *needed);
  c->mentioned = memory_alloc(room * sizeof *c->mentioned);
  c->owned = memory_alloc(room * sizeof *c->owned);
  c->orphans = memory_alloc(room * sizeof *c->orphans);
  for (size_t i = 0; i < c->ops_n; i++) {
    const struct lin_op *op = &c->ops[i];
    if (op->record->operation.if_match != 0) c->mentioned[c->mentioned_n++] = op->record->operation.if_match;
    if (op->result.revision != 0) c->mentioned[c->mentioned_n++] = op->result.revision;
    if (op->revision != 0) c->owned[c->owned_n++] = op->revision;
    if (revision_needed(op) != 0) needed[needed_n++] = revision_needed(op);
  }
  c->mentioned_n = unique(c->mentioned, c->mentioned_n);
  c->owned_n = unique(c->owned, c->owned_n);
  needed_n = unique(needed, needed_n);
  for (size_t i = 0; i < c->mentioned_n; i++) {
    uint64_t revision = c->mentioned[i];
    if (is_among(c->owned, c->owned_n, revision)) continue;
    c->orphans[c->orphans_n++] = (struct lin_orphan){revision, is_among(needed, needed_n, revision)};
  }
  free(needed);
}

static bool alike(const struct client_operation *a, const struct client_operation *b) {
  return a->method == b->method && a->if_match == b->if_match && a->if_match_any == b->if_match_any &&
         a->if_none_match_any == b->if_none_match_any;
}

/* Writes that nobody saw and that can be told apart by nothing but when they began: of these the oldest may
 * always go first. */
static void find_twins(struct lin_case *c) {
  for (size_t i = 0; i < c->ops_n; i++) {
    struct lin_op *op = &c->ops[i];
    op->optional = op->result.outcome == CLIENT_UNKNOWN && !op->seen;
    if (!op->optional || op->joker) continue;
    if (op->value != 0) op->value = LIN_HIDDEN;
    for (size_t j = i; j > 0 && op->twin == LIN_NONE; j--) {
      const struct lin_op *other = &c->ops[j - 1];
      if (other->optional && !other->joker && alike(&other->record->operation, &op->record->operation))
        op->twin = j - 1;
    }
  }
}

void lin_case_open(struct lin_case *c, const struct client_history *h, size_t document,
                   const bool *forgotten) {
  *c = (struct lin_case){0};
  collect(c, h, document, forgotten);
  learn_from_answers(c, h);
  put_jokers(c);
  rank(c);
  find_mentioned(c);
  find_twins(c);
}

void lin_case_close(struct lin_case *c) {
  free(c->ops);
  free(c->mentioned);
  free(c->owned);
  free(c->orphans);
  bytes_close(&c->wrong);
}
