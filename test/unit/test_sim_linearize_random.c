/* Goal: the linearizability checker is right where no list of examples leads.
 * Method: random histories. Those recorded from one real copy of a document, with operations that overlap,
 * must pass. Small ones, as they were or with something changed, get the verdict that trying all orders
 * gives; the tried orders know nothing of the checker's short cuts: unknown revisions are tried one by one.
 */
#include "base/random.h"
#include "linearize.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { OPS_MAX = 600, SMALL_OPS_MAX = 7, NEVER = 1 << 30 };

/* An operation with the times of its ends and, in the run that made it, of its effect. */
struct op {
  struct client_operation asked;
  struct client_result told;
  int sent, effect, answered; /* NEVER */
};

struct run {
  struct op ops[OPS_MAX];
  size_t n;
};

/* ---- A real copy of a document ---- */

struct copy {
  uint64_t value, revision; /* value 0: absent */
  uint64_t index;           /* of the log */
};

static bool chance(struct random *random, uint64_t percent) {
  return random_below(random, 100) < percent;
}

/* It finds nothing where there is no document. */
static bool needs_one(const struct client_operation *o) {
  return o->method == CLIENT_DELETE || o->method == CLIENT_PATCH;
}

static bool holds(const struct client_operation *o, uint64_t value, uint64_t revision) {
  bool exists = value != 0;
  return !(o->if_match && (!exists || revision != o->if_match)) && !(o->if_match_any && !exists) &&
         !((o->if_none_match_any || o->method == CLIENT_CREATE) && exists);
}

static void tell_current(struct random *random, const struct copy *copy, struct client_result *told) {
  if (chance(random, 30)) return;
  if (chance(random, 80)) told->revision = copy->value ? copy->revision : 0;
  if (chance(random, 80)) told->value = copy->value;
}

/* Only now is it known what a client could have asked: conditions name revisions that are, or were. */
static void take_effect(struct random *random, struct copy *copy, struct op *op) {
  struct client_operation *o = &op->asked;
  struct client_result *told = &op->told;
  *told = (struct client_result){.outcome = CLIENT_OK};
  copy->index += 1 + random_below(random, 2);
  if (o->method == CLIENT_GET) {
    if (copy->value == 0) {
      told->outcome = CLIENT_NOT_FOUND;
    } else {
      told->value = copy->value;
      told->revision = chance(random, 90) ? copy->revision : 0;
    }
    return;
  }
  if ((o->method == CLIENT_PUT || needs_one(o)) && chance(random, 40)) {
    o->if_match = chance(random, 75) ? copy->revision : 1 + random_below(random, copy->index + 3);
    o->if_match_any = chance(random, 10);
  } else if (o->method == CLIENT_PUT || o->method == CLIENT_DELETE) {
    o->if_none_match_any = chance(random, 20);
  }
  if (o->method == CLIENT_DROP) {
    if (copy->value != 0) *copy = (struct copy){.revision = copy->index, .index = copy->index};
    return;
  }
  if (!holds(o, copy->value, copy->revision)) {
    told->outcome = o->method == CLIENT_CREATE ? CLIENT_CONFLICT : CLIENT_PRECONDITION_FAILED;
    tell_current(random, copy, told);
    if (copy->value == 0) told->absent = chance(random, 50);
  } else if (needs_one(o) && copy->value == 0) {
    told->outcome = CLIENT_NOT_FOUND;
  } else {
    copy->value = o->value;
    copy->revision = copy->index;
    if (chance(random, 85)) told->revision = copy->revision;
  }
}

static int by_effect(const void *a, const void *b) {
  const struct op *x = a, *y = b;
  return x->effect - y->effect;
}

/* `overlap` is how long an operation takes, in the time between two of them. */
static void run_really(struct run *run, struct random *random, size_t n, int overlap,
                       uint64_t unknown_percent) {
  struct copy copy = {0};
  *run = (struct run){.n = n};
  for (size_t i = 0; i < n; i++) {
    struct op *op = &run->ops[i];
    uint64_t kind = random_below(random, 10);
    op->asked.document = "d";
    op->asked.method = kind < 4   ? CLIENT_GET
                       : kind < 6 ? CLIENT_PUT
                       : kind < 7 ? CLIENT_PATCH
                       : kind < 8 ? CLIENT_CREATE
                                  : CLIENT_DELETE;
    if (op->asked.method == CLIENT_DELETE && chance(random, 30)) op->asked.method = CLIENT_DROP;
    if (kind >= 4 && kind < 8) op->asked.value = i + 1;
    op->effect = (int)(10 * i);
    op->sent = op->effect - 1 - (int)random_below(random, (uint64_t)(10 * overlap));
    op->answered = op->effect + 1 + (int)random_below(random, (uint64_t)(10 * overlap));
    if (!chance(random, unknown_percent)) continue;
    if (chance(random, 30)) op->answered = NEVER;
    if (chance(random, 30)) op->effect = NEVER; /* it never happens */
    /* Or long after the client gave up. */
    else if (chance(random, 50) && op->answered != NEVER)
      op->answered = op->sent + 1;
    op->told.outcome = CLIENT_UNKNOWN;
  }
  for (size_t i = 0; i < n; i++) {
    struct op *op = &run->ops[i];
    bool unknown = op->answered == NEVER || op->effect == NEVER || op->answered < op->effect;
    if (op->effect != NEVER) take_effect(random, &copy, op);
    if (unknown) op->told = (struct client_result){.outcome = CLIENT_UNKNOWN};
  }
  qsort(run->ops, run->n, sizeof *run->ops, by_effect);
}

/* ---- Asking the checker ---- */

struct moment {
  int at;
  bool answer; /* of two at one time the request comes first: they overlap */
  size_t op;
};

static int by_time(const void *a, const void *b) {
  const struct moment *x = a, *y = b;
  if (x->at != y->at) return x->at < y->at ? -1 : 1;
  if (x->answer != y->answer) return x->answer - y->answer;
  return (x->op > y->op) - (x->op < y->op);
}

static struct client_history *recorded(const struct run *run) {
  static struct moment moments[2 * OPS_MAX];
  size_t handles[OPS_MAX], n = 0;
  struct client_history *h = client_history_new();
  for (size_t i = 0; i < run->n; i++) {
    moments[n++] = (struct moment){run->ops[i].sent, false, i};
    if (run->ops[i].answered != NEVER) moments[n++] = (struct moment){run->ops[i].answered, true, i};
  }
  qsort(moments, n, sizeof *moments, by_time);
  for (size_t m = 0; m < n; m++) {
    const struct op *op = &run->ops[moments[m].op];
    if (!moments[m].answer)
      handles[moments[m].op] = client_history_invoke(h, moments[m].op, m, &op->asked);
    else
      client_history_return(h, handles[moments[m].op], m, &op->told);
  }
  return h;
}

static enum client_verdict verdict_of(const struct run *run) {
  struct client_report report;
  struct client_history *h = recorded(run);
  client_history_check(h, CLIENT_CONFIGURATIONS_MAX, &report);
  enum client_verdict verdict = report.verdict;
  client_report_close(&report);
  client_history_free(h);
  return verdict;
}

/* ---- Trying all orders ---- */

struct orders {
  const struct run *run;
  uint64_t revision_max; /* no greater one needs to be tried */
};

static bool told_is(const struct client_result *told, uint64_t value, uint64_t revision) {
  if (told->absent && value != 0) return false;
  if (told->value != 0 && told->value != value) return false;
  return told->revision == 0 || (value != 0 && told->revision == revision);
}

static bool is_pending(const struct op *op) {
  return op->answered == NEVER || op->told.outcome == CLIENT_UNKNOWN;
}

static bool some_order(const struct orders *x, unsigned done, uint64_t value, uint64_t revision);

/* The i-th is next. */
static bool some_order_with(const struct orders *x, size_t i, unsigned done, uint64_t value,
                            uint64_t revision) {
  const struct op *op = &x->run->ops[i];
  const struct client_operation *o = &op->asked;
  const struct client_result *told = &op->told;
  bool reads = o->method == CLIENT_GET, condition = holds(o, value, revision);
  bool nothing_there = (reads || needs_one(o)) && value == 0;
  done |= 1u << i;
  if (o->method == CLIENT_DROP && value == 0)
    return !is_pending(op) && told->outcome == CLIENT_OK && some_order(x, done, value, revision);
  if (reads || !condition || nothing_there) {
    if (is_pending(op)) return false;
    enum client_outcome outcome = nothing_there && condition   ? CLIENT_NOT_FOUND
                                  : reads                      ? CLIENT_OK
                                  : o->method == CLIENT_CREATE ? CLIENT_CONFLICT
                                                               : CLIENT_PRECONDITION_FAILED;
    if (told->outcome != outcome) return false;
    if (outcome != CLIENT_NOT_FOUND && !told_is(told, value, revision)) return false;
    return some_order(x, done, value, revision);
  }
  if (!is_pending(op) && told->outcome != CLIENT_OK) return false;
  if (!is_pending(op) && told->revision != 0)
    return told->revision > revision && some_order(x, done, o->value, told->revision);
  for (uint64_t r = revision + 1; r <= x->revision_max; r++) {
    if (some_order(x, done, o->value, r)) return true;
  }
  return false;
}

static bool some_order(const struct orders *x, unsigned done, uint64_t value, uint64_t revision) {
  int first_answer = NEVER;
  bool finished = true;
  for (size_t i = 0; i < x->run->n; i++) {
    const struct op *op = &x->run->ops[i];
    if (done & (1u << i) || is_pending(op) || op->told.outcome == CLIENT_REFUSED) continue;
    finished = false;
    if (op->answered < first_answer) first_answer = op->answered;
  }
  if (finished) return true;
  for (size_t i = 0; i < x->run->n; i++) {
    const struct op *op = &x->run->ops[i];
    if (done & (1u << i) || op->told.outcome == CLIENT_REFUSED || op->sent > first_answer) continue;
    if (some_order_with(x, i, done, value, revision)) return true;
  }
  return false;
}

/* A later write got a smaller revision than somebody had seen: true of all documents together, and so beyond
 * orders. */
static bool revisions_go_back(const struct run *run) {
  for (size_t i = 0; i < run->n; i++) {
    const struct op *seen = &run->ops[i];
    for (size_t j = 0; j < run->n; j++) {
      const struct op *write = &run->ops[j];
      bool wrote =
          write->asked.method != CLIENT_GET && !is_pending(write) && write->told.outcome == CLIENT_OK;
      if (wrote && write->told.revision != 0 && seen->answered < write->sent &&
          seen->told.revision >= write->told.revision)
        return true;
    }
  }
  return false;
}

static bool all_orders_say(const struct run *run) {
  struct orders x = {.run = run};
  for (size_t i = 0; i < run->n; i++) {
    const struct op *op = &run->ops[i];
    if (op->told.revision > x.revision_max) x.revision_max = op->told.revision;
    if (op->asked.if_match > x.revision_max) x.revision_max = op->asked.if_match;
  }
  x.revision_max += run->n;
  return !revisions_go_back(run) && some_order(&x, 0, 0, 0);
}

/* ---- Changing something ---- */

/* Makes it what a client could record again, however wrong. */
static bool can_be(const struct op *op) {
  return client_operation_wrong(&op->asked) == NULL && client_result_wrong(&op->asked, &op->told) == NULL &&
         op->sent < op->answered && (op->answered != NEVER || op->told.outcome == CLIENT_UNKNOWN);
}

static void change_once(struct run *run, struct random *random) {
  for (;;) {
    struct op *op = &run->ops[random_below(random, run->n)], before = *op;
    const struct op *other = &run->ops[random_below(random, run->n)];
    switch (random_below(random, 8)) {
    case 0:
      if (op->told.value) op->told.value = 1 + random_below(random, run->n + 1);
      break;
    case 1:
      if (op->told.revision) op->told.revision = 1 + random_below(random, op->told.revision + 3);
      break;
    case 2:
      op->told = other->told;
      break;
    case 3:
      op->told.outcome = (enum client_outcome)random_below(random, CLIENT_REFUSED + 1);
      break;
    case 4:
      op->told =
          (struct client_result){.outcome = (enum client_outcome)random_below(random, CLIENT_REFUSED + 1)};
      break;
    case 5: /* at another time */
      op->sent = other->sent + 1;
      op->answered = op->sent + 1 + (int)random_below(random, 20);
      break;
    case 6:
      if (op->asked.if_match) op->asked.if_match = other->told.revision;
      break;
    case 7:
      op->answered = op->sent + 1;
      break;
    }
    if (can_be(op) && memcmp(op, &before, sizeof before) != 0) return;
    *op = before;
  }
}

static void print_run(const struct run *run) {
  for (size_t i = 0; i < run->n; i++) {
    const struct op *op = &run->ops[i];
    print_message("%d..%d method %d value %d if %d%s%s -> outcome %d value %d revision %d%s\n", op->sent,
                  op->answered, (int)op->asked.method, (int)op->asked.value, (int)op->asked.if_match,
                  op->asked.if_match_any ? " *" : "", op->asked.if_none_match_any ? " none" : "",
                  (int)op->told.outcome, (int)op->told.value, (int)op->told.revision,
                  op->told.absent ? " absent" : "");
  }
}

/* ---- The tests ---- */

static void test_real_runs_pass(void **state) {
  (void)state;
  static struct run run;
  for (uint64_t seed = 1; seed <= 300; seed++) {
    struct random random = {seed};
    size_t n = 1 + random_below(&random, OPS_MAX);
    run_really(&run, &random, n, 1 + (int)random_below(&random, 8), random_below(&random, 30));
    enum client_verdict verdict = verdict_of(&run);
    if (verdict != CLIENT_LINEARIZABLE)
      fail_msg("seed %d, %zu operations: verdict %d", (int)seed, n, verdict);
  }
}

static void test_small_runs_get_the_verdict_of_all_orders(void **state) {
  (void)state;
  enum { RUNS = 20000 };
  static struct run run;
  size_t bad = 0;
  for (uint64_t seed = 1; seed <= RUNS; seed++) {
    struct random random = {seed};
    size_t n = 1 + random_below(&random, SMALL_OPS_MAX);
    run_really(&run, &random, n, 1 + (int)random_below(&random, 4), random_below(&random, 50));
    for (uint64_t changes = random_below(&random, 8); changes > 0; changes--) change_once(&run, &random);
    bool good = all_orders_say(&run);
    enum client_verdict verdict = verdict_of(&run);
    if (verdict != (good ? CLIENT_LINEARIZABLE : CLIENT_VIOLATION)) {
      print_run(&run);
      fail_msg("seed %d: verdict %d; of all orders %s", (int)seed, verdict, good ? "one does" : "none does");
    }
    bad += !good;
  }
  /* Both kinds are well represented. */
  assert_in_range(bad, RUNS / 4, RUNS * 3 / 4);
}

/* One answer of a long run is exchanged for one that cannot be, so it must be found among hundreds. */
static void test_one_wrong_answer_among_hundreds_is_found(void **state) {
  (void)state;
  static struct run run;
  size_t found = 0;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    struct random random = {seed};
    run_really(&run, &random, 300, 3, 5);
    /* A read gets the answer of one that had ended before an acknowledged write of a known revision began,
     * which itself had ended before this read began. */
    size_t old = NEVER, write = NEVER;
    for (size_t i = 0; i < run.n; i++) {
      struct op *op = &run.ops[i];
      bool tells = op->told.outcome == CLIENT_OK && op->told.revision != 0;
      if (op->asked.method == CLIENT_GET && tells && old == NEVER) {
        old = i;
      } else if (op->asked.method == CLIENT_PUT && tells && old != NEVER && write == NEVER &&
                 run.ops[old].answered < op->sent) {
        write = i;
      } else if (op->asked.method == CLIENT_GET && op->told.outcome == CLIENT_OK && write != NEVER &&
                 run.ops[write].answered < op->sent) {
        op->told = run.ops[old].told;
        if (verdict_of(&run) != CLIENT_VIOLATION) fail_msg("seed %d: operation %zu", (int)seed, i);
        found++;
        break;
      }
    }
  }
  assert_true(found > 150);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_real_runs_pass),
      cmocka_unit_test(test_small_runs_get_the_verdict_of_all_orders),
      cmocka_unit_test(test_one_wrong_answer_among_hundreds_is_found),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
