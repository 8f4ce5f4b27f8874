#include "api/reads.h"

#include <inttypes.h>
#include <stdlib.h>

#include "api/access.h"
#include "base/memory.h"

/* What is kept of a request that waits, in one allocation: the text that the slices point to comes behind. */
struct kept_read {
  endpoint *endpoint;
  struct slice path, collection, id, after;
  struct consistency consistency;
  enum media media;
  uint64_t limit;
  size_t headers_n;
  struct http_field headers[]; /* the headers that endpoints of reads look at */
};

static bool is_looked_at(const struct http_field *header) {
  return slice_is_caseless(header->name, "If-Match") || slice_is_caseless(header->name, "If-None-Match");
}

static struct slice keep_slice(char **at, struct slice s) {
  struct slice kept = {*at, s.n};
  if (s.n > 0) memcpy(*at, s.at, s.n);
  *at += s.n;
  return s.at != NULL ? kept : s;
}

static struct kept_read *keep(const struct exchange *x, endpoint *reader) {
  const struct http_request *request = x->request;
  size_t headers_n = 0, text_bytes = request->path.n + x->collection.n + x->id.n + x->after.n;
  for (size_t i = 0; i < request->headers_n; i++) {
    if (!is_looked_at(&request->headers[i])) continue;
    text_bytes += request->headers[i].name.n + request->headers[i].value.n;
    headers_n++;
  }
  struct kept_read *kept =
      memory_alloc(sizeof *kept + headers_n * sizeof kept->headers[0] + text_bytes);
  char *text = (char *)&kept->headers[headers_n];
  kept->endpoint = reader;
  kept->path = keep_slice(&text, request->path);
  kept->collection = keep_slice(&text, x->collection);
  kept->id = keep_slice(&text, x->id);
  kept->after = keep_slice(&text, x->after);
  kept->consistency = x->consistency;
  kept->media = x->media;
  kept->limit = x->limit;
  kept->headers_n = 0;
  for (size_t i = 0; i < request->headers_n; i++) {
    if (!is_looked_at(&request->headers[i])) continue;
    struct http_field *condition = &kept->headers[kept->headers_n++];
    condition->name = keep_slice(&text, request->headers[i].name);
    condition->value = keep_slice(&text, request->headers[i].value);
  }
  return kept;
}

/* ---- Answering ---- */

static void answer_too_stale(const struct exchange *x) {
  const struct api_view *view = x->view;
  if (view->freshness_known)
    answer_problem(&x->answer, PROBLEM_TOO_STALE,
                   "The data here may be %" PRIu64 " ms old; ask another node, or allow more than %" PRIu64
                   " ms with max_stale_ms.",
                   view->staleness_ms, x->consistency.stale_ms_max);
  else
    answer_problem(&x->answer, PROBLEM_TOO_STALE,
                   "This node has not heard yet how old its data is; ask another node, or leave out "
                   "max_stale_ms.");
}

static enum api_action answer_read(struct exchange *x, endpoint *reader) {
  x->answer.stale = x->consistency.stale;
  if (x->consistency.stale && x->consistency.bounded &&
      (!x->view->freshness_known || x->view->staleness_ms > x->consistency.stale_ms_max)) {
    answer_too_stale(x);
    return API_RESPONDED;
  }
  return reader(x);
}

enum api_action reads_begin(struct exchange *x, endpoint *reader) {
  const struct consistency *wanted = &x->consistency;
  if (wanted->stale && wanted->min_revision <= replica_applied(x->replica)) return answer_read(x, reader);
  if (!access_read(x)) return API_RESPONDED;
  x->call->kept = keep(x, reader);
  x->call->read = (struct replica_read){.waiter = x->waiter,
                                        .linearizable = !wanted->stale,
                                        .min_revision = wanted->min_revision,
                                        .deadline_ms = x->view->now_ms + wanted->wait_ms};
  replica_read(x->replica, &x->call->read);
  return API_WAITING;
}

static void answer_too_late(const struct exchange *x) {
  const struct consistency *wanted = &x->consistency;
  if (!wanted->stale && x->view->leader == NULL)
    access_refuse_leaderless(&x->answer);
  else if (wanted->min_revision > x->view->applied)
    answer_problem(&x->answer, PROBLEM_REVISION_NOT_REACHED,
                   "This node has applied revision %" PRIu64 ", not %" PRIu64 ", and did not within %" PRIu64
                   " ms; try again, wait longer with wait_ms, or ask the leader.",
                   x->view->applied, wanted->min_revision, wanted->wait_ms);
  else
    answer_problem(&x->answer, PROBLEM_READ_TIMED_OUT,
                   "The leader did not confirm the read within %" PRIu64
                   " ms; try again, or read with consistency=stale.",
                   wanted->wait_ms);
}

void reads_refuse(const struct exchange *x, enum replica_verdict verdict) {
  switch (verdict) {
  case REPLICA_TOO_LATE:
    answer_too_late(x);
    return;
  case REPLICA_BUSY:
    answer_problem(&x->answer, PROBLEM_BUSY, "Too many reads are waiting here; try again.");
    return;
  case REPLICA_READABLE:
  case REPLICA_NOT_LEADER:
  case REPLICA_UNKNOWN:
  case REPLICA_APPLIED:
    access_refuse_leaderless(&x->answer);
  }
}

enum api_action reads_complete(struct exchange *x, enum replica_verdict verdict) {
  const struct kept_read *kept = x->call->kept;
  struct http_request request = {.path = kept->path, .headers_n = kept->headers_n};
  memcpy(request.headers, kept->headers, kept->headers_n * sizeof kept->headers[0]);
  x->answer.stale = kept->consistency.stale;
  x->request = &request;
  x->collection = kept->collection;
  x->id = kept->id;
  x->after = kept->after;
  x->consistency = kept->consistency;
  x->media = kept->media;
  x->limit = kept->limit;
  enum api_action action = API_RESPONDED;
  if (verdict == REPLICA_READABLE)
    action = answer_read(x, kept->endpoint);
  else
    reads_refuse(x, verdict);
  x->request = NULL;
  return action;
}
