/* A whole collection as of one revision, a document a line (application/x-ndjson), in slices: from a view of
 * the store, which costs nothing to take and keeps what is written over meanwhile (store/view.h). */
#include <assert.h>
#include <stdlib.h>

#include "api/accept.h"
#include "api/work.h"
#include "base/memory.h"
#include "http/response.h"

enum {
  EXPORTS_MAX = 32,     /* under way at a time */
  DOCUMENT_UNITS = 256, /* of the budget: what it takes to find the next document */
};

struct export {
  struct work work;
  struct api *api;
  struct store_view *view;           /* owned */
  const struct store_record *record; /* the one whose turn it is; the view's; NULL: that was all */
  size_t offset;                     /* so much of it was written */
  uint64_t left;                     /* documents that may still come, this one included */
};

static void next_document(struct export *e) {
  e->offset = 0;
  e->record = --e->left > 0
                  ? store_view_after(e->view, store_record_collection(e->record), store_record_id(e->record))
                  : NULL;
}

/* A line break can stand in JSON only where white space can (RFC 8259, section 2), so another kind of it says
 * the same, and the document stays on its line. */
static void append_on_one_line(struct bytes *out, const char *at, size_t n) {
  uint8_t *to = bytes_reserve(out, n);
  for (size_t i = 0; i < n; i++) to[i] = at[i] == '\n' || at[i] == '\r' ? ' ' : (uint8_t)at[i];
  out->n += n;
}

/* At most `room` bytes of the document, and its end. */
static void append_some(struct export *e, size_t room, struct bytes *out) {
  const struct slice body = store_record_body(e->record);
  const size_t rest = body.n - e->offset, n = rest < room ? rest : room;
  append_on_one_line(out, body.at + e->offset, n);
  e->offset += n;
  if (e->offset < body.n) return;
  bytes_append_string(out, "\n");
  next_document(e);
}

static enum api_action go_on(struct exchange *x, struct work *work, size_t *budget) {
  struct export *e = CONTAINER_OF(work, struct export, work);
  struct bytes *out = x->answer.out, text = {0};
  while (e->record != NULL && *budget > 0 && out->n + text.n < API_STREAM_BYTES) {
    const size_t before = text.n;
    append_some(e, API_STREAM_BYTES - out->n - text.n, &text);
    const size_t used = DOCUMENT_UNITS + text.n - before;
    *budget -= used < *budget ? used : *budget;
  }
  http_response_chunk(out, slice_of_bytes(&text), x->call->http_1_0);
  bytes_close(&text);
  if (e->record != NULL) return API_WORKING;
  http_response_last_chunk(out, x->call->http_1_0);
  return API_RESPONDED;
}

static enum api_action result(struct exchange *x, struct work *work, struct replica_result *of) {
  (void)x, (void)work, (void)of;
  assert(false && "an export waits for nothing");
  return API_RESPONDED;
}

static void release(struct replica *replica, struct work *work) {
  struct export *e = CONTAINER_OF(work, struct export, work);
  if (replica != NULL)
    replica_retire_view(replica, e->view);
  else
    store_view_free(e->view);
  e->api->exports_n--;
  free(e);
}

static enum api_action begin(struct exchange *x) {
  static const struct work_type type = {go_on, result, release};
  struct export *e = memory_zalloc(sizeof *e);
  e->api = x->api;
  e->api->exports_n++;
  e->view = store_view_take(replica_store(x->replica));
  e->left = x->limit;
  e->record = store_view_after(e->view, x->collection, x->after);
  x->call->streams = true;
  return work_begin(x, &e->work, &type);
}

enum api_action collection_export(struct exchange *x) {
  const struct answer *a = &x->answer;
  if (x->api->exports_n == EXPORTS_MAX && !a->head_only) {
    answer_problem(a, PROBLEM_BUSY, "%d exports are under way here; try again when one of them is done.",
                   EXPORTS_MAX);
    return API_RESPONDED;
  }
  answer_begin(a, 200, CACHE_NO_STORE);
  http_response_header_u64(a->out, "X-Total-Count", store_count(replica_store(x->replica), x->collection));
  http_response_stream(a->out, media_name(MEDIA_NDJSON), a->keep_alive, x->call->http_1_0);
  return a->head_only ? API_RESPONDED : begin(x);
}
