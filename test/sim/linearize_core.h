/* What the linearizability checker's sources share: the history as it was recorded, and one document's part
 * of it, prepared for the search. */
#ifndef CORACLE_SIM_LINEARIZE_CORE_H
#define CORACLE_SIM_LINEARIZE_CORE_H

#include "base/bytes.h"
#include "linearize.h"

/* Positions count the events of a history, from 1. */
enum { LIN_BEFORE_ALL = 0 };
#define LIN_NEVER UINT64_MAX
#define LIN_NONE SIZE_MAX
#define LIN_HIDDEN UINT64_MAX /* stands for every value that nobody ever saw: they are all alike */

/* An operation as it was recorded. */
struct client_record {
  struct client_operation operation; /* its document is owned by the history */
  struct client_result result;       /* unknown until it returned */
  uint64_t client;
  uint64_t invoked_us, returned_us;
  uint64_t invoked_at, returned_at; /* positions; LIN_NEVER */
  size_t document;                  /* in client_history.documents */
};

struct client_history {
  struct client_record *records;
  size_t records_n, records_capacity;
  char **documents; /* names; owned */
  size_t documents_n, documents_capacity;
  uint64_t positions; /* given so far */
};

/* ---- One document ---- */

/* An operation as the search sees it. */
struct lin_op {
  const struct client_record *record;
  struct client_result result; /* unknown when it is forgotten (linearize_explain.c) */
  uint64_t invoked_at, returned_at;
  uint64_t value;    /* what a write writes; LIN_HIDDEN if it is optional */
  uint64_t revision; /* of a write that took effect, by its own answer or somebody's; 0: nobody said */
  size_t rank;       /* of that revision among the document's; LIN_NONE without one */
  size_t twin;       /* optional: the one before it that is just like it; LIN_NONE */
  bool seen;         /* a write with an unknown outcome whose value was seen: it took effect */
  bool optional;     /* a write with an unknown outcome that nobody saw */
  bool forgotten;
  bool
      joker; /* stands for any number of forgotten writes that nobody saw: it may happen at any time, again */
};

/* Along an order of operations. A revision that nobody ever named is the smallest it can be. */
struct lin_state {
  uint64_t value;    /* 0: absent */
  uint64_t revision; /* of the document, or of its deletion */
};

struct lin_orphan {
  uint64_t revision;
  bool needed; /* some answer says, or may come from it, that the document had this revision */
};

struct lin_case {
  struct lin_op *ops;
  size_t ops_n;
  uint64_t *mentioned; /* all revisions that somebody named, ascending */
  size_t mentioned_n;
  uint64_t *owned; /* those of them of which it is known which write got them, ascending */
  size_t owned_n;
  struct lin_orphan *orphans; /* the others, ascending: a write whose revision nobody said may have got it */
  size_t orphans_n;
  struct bytes wrong; /* not empty: it cannot be, whatever the order, and why */
};

/* `forgotten`, by record, or NULL: a write that is forgotten may take effect at any time, or never, and if
 * nobody saw it then any number of writes may, whose effect nobody saw; whatever else is forgotten was never
 * asked. If the history was linearizable, it still is. */
void lin_case_open(struct lin_case *, const struct client_history *, size_t document, const bool *forgotten);
void lin_case_close(struct lin_case *);

static inline bool lin_op_writes(const struct lin_op *op) {
  return op->record->operation.method != CLIENT_GET &&
         (op->result.outcome == CLIENT_OK || op->result.outcome == CLIENT_UNKNOWN);
}

/* Nobody ever sees the revision that it gives. */
static inline bool lin_op_deletes(const struct lin_op *op) {
  return op->record->operation.method == CLIENT_DELETE || op->record->operation.method == CLIENT_DROP;
}

/* How many revisions this operation might get: the next that nobody named, or one of the orphans. Of
 * deletions nobody ever sees it. */
static inline size_t lin_op_choices(const struct lin_case *c, const struct lin_op *op) {
  bool free = lin_op_writes(op) && op->revision == 0 && !lin_op_deletes(op);
  return free ? 1 + c->orphans_n : 1;
}

/* Whether the operation, taking effect now, is answered as it was; *state is then the state after it. */
bool lin_step(const struct lin_case *, const struct lin_op *, size_t choice, struct lin_state *state);

/* Adds what it explored to *configurations. */
enum client_verdict lin_search(const struct lin_case *, uint64_t configurations_max,
                               uint64_t *configurations);

/* Both of the above. */
enum client_verdict lin_check(const struct client_history *, size_t document, const bool *forgotten,
                              uint64_t configurations_max, uint64_t *configurations);

/* Why the document's part is not linearizable: client_report.text. */
char *lin_explain(const struct client_history *, size_t document);
void lin_describe(struct bytes *, const struct client_record *); /* one line */

#endif
