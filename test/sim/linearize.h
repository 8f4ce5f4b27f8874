/* Were the answers that clients got those of one copy of each document, changed by one operation at a time,
 * each between its request and its answer? (Herlihy and Wing, "Linearizability", 1990.)
 *
 *     struct client_history *h = client_history_new();
 *     size_t op = client_history_invoke(h, client, now_us, &(struct client_operation){...});
 *     client_history_return(h, op, now_us, &(struct client_result){...});
 *     ...
 *     struct client_report report;
 *     client_history_check(h, CLIENT_CONFIGURATIONS_MAX, &report);
 *     if (report.verdict == CLIENT_VIOLATION) fputs(report.text, stderr);
 *     client_report_close(&report);
 *     client_history_free(h);
 *
 * The order of the calls is the order of events: what returned before another was invoked came before it.
 * Times are for the reader only. Each document is a register of its own, because linearizability is local: a
 * history is linearizable when that of every document is. A document is absent, or has a value under a
 * revision. What makes the check strong, and fast, is that revisions are positions in one log: along the
 * order that is looked for they grow, and every answer that names one must name the one in force.
 *
 * A write whose outcome is unknown may take effect at any later time, or never. Its revision is whatever the
 * first who sees it says. A read whose outcome is unknown says nothing.
 *
 * Beyond what is local: revisions count the changes of all documents, so a write that began after somebody
 * had seen revision N, of any document, has a greater one.
 *
 * The search is Wing and Gong's ("Testing and Verifying Concurrent Objects", 1993) with what Lowe added
 * ("Testing for Linearizability", 2017): a configuration, which is the set of operations that took effect and
 * the state that they left, is explored once. It is bounded: beyond the limit the verdict is undecided, which
 * is no pass. Operations are kept until the history is released. */
#ifndef CORACLE_SIM_LINEARIZE_H
#define CORACLE_SIM_LINEARIZE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct client_history; /* opaque */

enum {
  CLIENT_DOCUMENT_NAME_MAX = 700,      /* bytes, without the NUL */
  CLIENT_CONFIGURATIONS_MAX = 2000000, /* explored for one document; takes at most 64 MiB */
};

enum client_method {
  CLIENT_GET = 1, /* linearizable; a read with consistency=stale has no place in a history */
  CLIENT_PUT,
  CLIENT_CREATE, /* POST: a put if there is none, else 409 */
  CLIENT_DELETE,
  CLIENT_PATCH, /* a put if there is one, else 404 */
  CLIENT_DROP,  /* of the collection: a deletion if there is one, ok too if not; tells no revision */
};

struct client_operation {
  enum client_method method;
  const char *document;   /* which one, such as "items/1"; copied */
  uint64_t value;         /* PUT, CREATE, PATCH: what is written, non-zero, never twice in one document */
  uint64_t if_match;      /* PUT, PATCH, DELETE: If-Match with this revision; 0: no such condition */
  bool if_match_any;      /* PUT, PATCH, DELETE: If-Match: * */
  bool if_none_match_any; /* PUT, DELETE: If-None-Match: * */
};

enum client_outcome {
  CLIENT_UNKNOWN,             /* it may have taken effect, or may yet: 504, a lost connection, no answer */
  CLIENT_OK,                  /* 200, 201, 204 */
  CLIENT_NOT_FOUND,           /* 404: of a GET, a PATCH or a DELETE */
  CLIENT_CONFLICT,            /* 409: of a CREATE; there is a document */
  CLIENT_PRECONDITION_FAILED, /* 412 */
  CLIENT_REFUSED,             /* certainly no effect, and nothing said of the document: 503, 403, 429, ... */
};

struct client_result {
  enum client_outcome outcome;
  /* OK: the revision read or written; of a DELETE that of the deletion. CONFLICT, PRECONDITION_FAILED: that
   * of the document as it is. 0: the answer did not say. */
  uint64_t revision;
  /* GET that is OK, CONFLICT, PRECONDITION_FAILED: the value that the document has; 0: the answer did not say
   * (a GET must). */
  uint64_t value;
  /* CONFLICT, PRECONDITION_FAILED: the answer said that there is no document. */
  bool absent;
};

struct client_history *client_history_new(void);
void client_history_free(struct client_history *); /* NULL is fine */

/* Why it cannot be, in words, or NULL. */
const char *client_operation_wrong(const struct client_operation *);
const char *client_result_wrong(const struct client_operation *, const struct client_result *);

/* A client sends a request; the result names it to the call below. What cannot be is asserted. */
size_t client_history_invoke(struct client_history *, uint64_t client, uint64_t time_us,
                             const struct client_operation *);
/* Its answer came, or it gave up waiting. At most once; what never returned is unknown. */
void client_history_return(struct client_history *, size_t operation, uint64_t time_us,
                           const struct client_result *);

enum client_verdict {
  CLIENT_LINEARIZABLE,
  CLIENT_VIOLATION,
  CLIENT_UNDECIDED, /* the limit was reached with no violation found */
};

struct client_report {
  enum client_verdict verdict;
  size_t operations;           /* in the history */
  size_t unknown;              /* of these: writes with an unknown outcome */
  size_t documents, undecided; /* documents, and those of them that were not decided */
  uint64_t configurations;     /* explored, all in all */
  char *document;              /* VIOLATION, UNDECIDED: the first one that is; else NULL. Owned */
  /* VIOLATION: what is wrong, then the fewest operations that show it, one a line. An operation that is left
   * out can be put anywhere, or have any answer, and it is still wrong. UNDECIDED: which limit. Else NULL.
   * Owned. */
  char *text;
};

/* May be called at any time, also again. configurations_max is for each document. */
void client_history_check(const struct client_history *, uint64_t configurations_max, struct client_report *);
void client_report_close(struct client_report *);

#endif
