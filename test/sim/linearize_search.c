/* The search for an order: depth first over configurations, from nothing having taken effect.
 *
 * Operations that must be in the order lie, with their ends, in a list of events; whatever stands before the
 * first end in it may take effect next, and what takes effect leaves the list. When all that stand before an
 * end fail, or lead to nothing, the last one taken is put back.
 *
 * Writes that nobody saw need not be in the order. They are tried last, and count only if the operation after
 * them could not have been answered as it was without them: else leaving them out serves as well. Of those
 * that are alike the oldest goes first. So a hundred lost writes cost little. Writes of known revisions take
 * effect in the order of these, whichever others are possible. */
#include "base/memory.h"
#include "base/random.h"
#include "linearize_core.h"

#include <assert.h>
#include <stdlib.h>

/* A set of operations, or a configuration, by a fingerprint of 128 bits: that two of some millions have the
 * same is less likely than that the memory fails. */
struct fingerprint {
  uint64_t a, b;
};

struct seen {
  struct fingerprint *at; /* all zero: free */
  size_t n, capacity;     /* a power of two, at least twice n */
};

struct event {
  uint64_t position;
  size_t op;
  bool ends;
  size_t previous, next; /* in its list */
};

struct taken {
  size_t event, choice; /* what took effect */
  struct lin_state state, plain;
};

struct search {
  const struct lin_case *c;
  struct event *events; /* [0] is the head of the list of what must be, [1] of what is optional */
  size_t events_n;
  size_t *end_of;           /* by operation: the event of its end; 0: none */
  struct fingerprint *keys; /* by operation */
  bool *done;               /* by operation */
  struct taken *stack;
  size_t depth, depth_max; /* as much as there is room for */

  size_t ends_left; /* ends in the list */
  size_t next_rank;
  struct fingerprint set;
  struct lin_state state;
  struct lin_state plain; /* the state without the optional writes since the last other operation */
  struct seen seen;
};

enum { MUST = 0, OPTIONAL = 1, HEADS };

/* ---- Configurations seen ---- */

static bool seen_insert(struct seen *seen, struct fingerprint f) {
  size_t i = (size_t)f.a & (seen->capacity - 1);
  while (seen->at[i].a != 0 || seen->at[i].b != 0) {
    if (seen->at[i].a == f.a && seen->at[i].b == f.b) return false;
    i = (i + 1) & (seen->capacity - 1);
  }
  seen->at[i] = f;
  seen->n++;
  return true;
}

static void seen_grow(struct seen *seen) {
  if (2 * (seen->n + 1) <= seen->capacity) return;
  struct seen larger = {.capacity = seen->capacity == 0 ? 256 : 2 * seen->capacity};
  larger.at = memory_zalloc(larger.capacity * sizeof *larger.at);
  for (size_t i = 0; i < seen->capacity; i++) {
    if (seen->at[i].a != 0 || seen->at[i].b != 0) seen_insert(&larger, seen->at[i]);
  }
  free(seen->at);
  *seen = larger;
}

static struct fingerprint fingerprint_of(struct fingerprint set, const struct lin_state *state) {
  struct random value = {state->value}, revision = {~state->revision};
  struct fingerprint f = set;
  f.a ^= random_next(&value) + random_next(&revision);
  f.b ^= random_next(&value) + 3 * random_next(&revision);
  return f;
}

/* False: it was there before. */
static bool enter(struct search *s, struct fingerprint set, const struct lin_state *state) {
  seen_grow(&s->seen);
  return seen_insert(&s->seen, fingerprint_of(set, state));
}

/* ---- The lists ---- */

static void append_event(struct search *s, size_t head, size_t event) {
  s->events[event].previous = s->events[head].previous;
  s->events[event].next = head;
  s->events[s->events[head].previous].next = event;
  s->events[head].previous = event;
}

static void take_out(struct search *s, size_t event) {
  s->events[s->events[event].previous].next = s->events[event].next;
  s->events[s->events[event].next].previous = s->events[event].previous;
}

static void put_back(struct search *s, size_t event) {
  s->events[s->events[event].previous].next = event;
  s->events[s->events[event].next].previous = event;
}

static int by_position(const void *a, const void *b) {
  const struct event *x = a, *y = b;
  if (x->position != y->position) return x->position < y->position ? -1 : 1;
  return (x->op > y->op) - (x->op < y->op);
}

static void fill_lists(struct search *s) {
  s->events_n = HEADS;
  for (size_t i = 0; i < s->c->ops_n; i++) {
    const struct lin_op *op = &s->c->ops[i];
    s->events[s->events_n++] = (struct event){.position = op->invoked_at, .op = i};
    if (op->returned_at == LIN_NEVER) continue;
    s->events[s->events_n++] = (struct event){.position = op->returned_at, .op = i, .ends = true};
    s->ends_left++;
  }
  qsort(s->events + HEADS, s->events_n - HEADS, sizeof *s->events, by_position);
  s->events[MUST] = (struct event){.previous = MUST, .next = MUST};
  s->events[OPTIONAL] = (struct event){.previous = OPTIONAL, .next = OPTIONAL};
  for (size_t e = HEADS; e < s->events_n; e++) {
    append_event(s, s->c->ops[s->events[e].op].optional ? OPTIONAL : MUST, e);
    if (s->events[e].ends) s->end_of[s->events[e].op] = e;
  }
}

/* ---- Taking one, and putting it back ---- */

static bool may_be_next(const struct search *s, size_t i) {
  const struct lin_op *op = &s->c->ops[i];
  if (op->rank != LIN_NONE && op->rank != s->next_rank) return false;
  return !op->optional || op->twin == LIN_NONE || s->done[op->twin];
}

/* Some optional writes came just before the operation, which left `after`. They came for nothing if without
 * them it could have been answered likewise, and left the same value (its revision is then no greater, and
 * the smaller it is, the more can follow); or if it is one of them, and there is no document now as there was
 * none before them. */
static bool optional_for_nothing(const struct search *s, const struct lin_op *op, size_t choice,
                                 const struct lin_state *after) {
  struct lin_state without = s->plain;
  if (without.revision == s->state.revision) return false; /* there are none */
  if (op->optional && after->value == 0 && without.value == 0) return true;
  return lin_step(s->c, op, choice, &without) && without.value == after->value;
}

static struct fingerprint with(const struct search *s, size_t i) {
  return (struct fingerprint){s->set.a ^ s->keys[i].a, s->set.b ^ s->keys[i].b};
}

static bool take(struct search *s, size_t event, size_t choice) {
  size_t i = s->events[event].op;
  const struct lin_op *op = &s->c->ops[i];
  struct lin_state after = s->state;
  if (!may_be_next(s, i) || !lin_step(s->c, op, choice, &after)) return false;
  if (optional_for_nothing(s, op, choice, &after)) return false;
  struct fingerprint set = op->joker ? s->set : with(s, i);
  if (!enter(s, set, &after)) return false;
  if (s->depth == s->depth_max) {
    s->depth_max = 2 * s->depth_max + 64;
    s->stack = memory_realloc(s->stack, s->depth_max * sizeof *s->stack);
  }
  s->stack[s->depth++] = (struct taken){event, choice, s->state, s->plain};
  s->state = after;
  if (!op->optional) s->plain = after;
  if (op->joker) return true;
  s->set = set;
  s->done[i] = true;
  if (op->rank != LIN_NONE) s->next_rank++;
  take_out(s, event);
  if (s->end_of[i] != 0) {
    take_out(s, s->end_of[i]);
    s->ends_left--;
  }
  return true;
}

static struct taken undo(struct search *s) {
  struct taken last = s->stack[--s->depth];
  size_t i = s->events[last.event].op;
  s->state = last.state;
  s->plain = last.plain;
  if (s->c->ops[i].joker) return last;
  if (s->end_of[i] != 0) {
    put_back(s, s->end_of[i]);
    s->ends_left++;
  }
  put_back(s, last.event);
  if (s->c->ops[i].rank != LIN_NONE) s->next_rank--;
  s->done[i] = false;
  s->set = with(s, i); /* which takes it out again */
  return last;
}

/* The position of the first end in the list: what begins after it cannot be next. */
static uint64_t first_end(const struct search *s) {
  size_t e = s->events[MUST].next;
  while (!s->events[e].ends) e = s->events[e].next;
  return s->events[e].position;
}

/* From that event on, with that choice first, takes the first that can be taken. */
static bool take_next(struct search *s, size_t event, size_t choice) {
  uint64_t end = first_end(s);
  for (;;) {
    while (event >= HEADS && s->events[event].position < end) {
      const struct lin_op *op = &s->c->ops[s->events[event].op];
      for (; choice < lin_op_choices(s->c, op); choice++) {
        if (take(s, event, choice)) return true;
      }
      choice = 0;
      event = s->events[event].next;
    }
    choice = 0;
    if (event == OPTIONAL || (event >= HEADS && s->c->ops[s->events[event].op].optional)) return false;
    event = s->events[OPTIONAL].next;
  }
}

static enum client_verdict explore(struct search *s, uint64_t configurations_max) {
  size_t event = s->events[MUST].next, choice = 0;
  while (s->ends_left > 0) {
    if (s->seen.n >= configurations_max) return CLIENT_UNDECIDED;
    if (take_next(s, event, choice)) {
      event = s->events[MUST].next;
      choice = 0;
    } else if (s->depth > 0) {
      struct taken last = undo(s);
      event = last.event;
      choice = last.choice + 1;
    } else {
      return CLIENT_VIOLATION;
    }
  }
  return CLIENT_LINEARIZABLE;
}

enum client_verdict lin_search(const struct lin_case *c, uint64_t configurations_max,
                               uint64_t *configurations) {
  struct random random = {1};
  struct search s = {.c = c};
  s.events = memory_alloc((HEADS + 2 * c->ops_n) * sizeof *s.events);
  s.end_of = memory_zalloc((c->ops_n + 1) * sizeof *s.end_of);
  s.keys = memory_alloc((c->ops_n + 1) * sizeof *s.keys);
  s.done = memory_zalloc(c->ops_n + 1);
  for (size_t i = 0; i < c->ops_n; i++) {
    s.keys[i].a = random_next(&random);
    s.keys[i].b = random_next(&random);
  }
  fill_lists(&s);
  enum client_verdict verdict = explore(&s, configurations_max);
  *configurations += s.seen.n;
  free(s.events);
  free(s.end_of);
  free(s.keys);
  free(s.done);
  free(s.stack);
  free(s.seen.at);
  return verdict;
}
