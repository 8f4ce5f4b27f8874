/* Requests that take longer than a turn of the loop, or more than one result of the replica: exports,
 * imports, patches, transactions. Private to api/.
 *
 * Each is a state of its own that begins with a struct work:
 *
 *     struct export { struct work work; ... };
 *     static const struct work_type type = {go_on, result, release};
 *     struct export *e = memory_zalloc(sizeof *e);
 *     return work_begin(x, &e->work, &type);        // API_WORKING
 *
 * The exchange that its functions are given is made anew each time: it has no request, collection or id; what
 * they need of these they keep themselves. What they return is the request's next state (api/api.h):
 *
 *     API_WORKING    go_on() again
 *     API_STARVED    go_on() when there is more in call->body, or call->body_ended
 *     API_WAITING    result() with what work_read() or work_propose() has asked for
 *     API_RESPONDED  the answer is complete, and the work over: it is released */
#ifndef CORACLE_API_WORK_H
#define CORACLE_API_WORK_H

#include "api/exchange.h"

struct work_type {
  /* Uses up some of *budget: see api_work(). */
  enum api_action (*go_on)(struct exchange *, struct work *, size_t *budget);
  /* `result` is closed by the caller. Not called when the client has gone. */
  enum api_action (*result)(struct exchange *, struct work *, struct replica_result *result);
  /* `replica` takes what would take long to release (replica_retire_view()); NULL: the node ends. */
  void (*release)(struct replica *replica, struct work *);
};

enum work_waits { WORK_RUNS, WORK_READS, WORK_PROPOSES };

struct work {
  const struct work_type *type;
  enum work_waits waits; /* for which result; kept up by the functions below */
  bool abandoned;        /* its client has gone; likewise */
};

/* The request becomes this work's, which is owned by the call from here on. Returns API_WORKING. */
enum api_action work_begin(struct exchange *, struct work *, const struct work_type *);
/* Asks for the moment when the store may be read for a request that came now, linearizably: the result's
 * verdict is READABLE, or why not (work_refuse_read() answers that). Returns API_WAITING. */
enum api_action work_read(struct exchange *, struct work *);
enum api_action work_refuse_read(struct exchange *, enum replica_verdict);
/* Waits until something more is applied here: READABLE; or for so long at most: TOO_LATE. Returns
 * API_WAITING. */
enum api_action work_wait(struct exchange *, struct work *, uint64_t wait_ms);
/* Proposes the command (writes.h has what is to be seen to before). The result's verdict is APPLIED, or why
 * not (writes_refuse() answers that). Returns API_WAITING, or API_RESPONDED if there is no memory for it. */
enum api_action work_propose(struct exchange *, struct work *, const struct command *, uint64_t growth_bytes);

/* The same without answering: false when there is no memory for it; else it waits. */
bool work_try_propose(struct exchange *, struct work *, const struct command *, uint64_t growth_bytes);

/* For api.c. */
enum api_action work_go_on(struct exchange *, size_t *budget);
enum api_action work_result(struct exchange *, struct replica_result *);
/* As api_cancel(). */
bool work_cancel(struct replica *, struct api_call *);
void work_close(struct replica *, struct api_call *);

#endif
