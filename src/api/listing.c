/* Lists, a page at a time: the collections, and the documents of one. */
#include <inttypes.h>

#include "api/exchange.h"
#include "api/members.h"
#include "api/reads.h"
#include "http/response.h"

/* A page ends early when it holds this much, so that no answer holds a thousand documents of a mebibyte each.
 */
enum { PAGE_BYTES_MAX = 2 * 1024 * 1024 };

/* A page that waited for a revision is followed by pages that do. */
static void link_consistency(struct bytes *link, const struct consistency *wanted) {
  if (wanted->stale) bytes_append_string(link, "&consistency=stale");
  if (wanted->bounded) bytes_printf(link, "&max_stale_ms=%" PRIu64, wanted->stale_ms_max);
  if (wanted->min_revision > 0) bytes_printf(link, "&min_revision=%" PRIu64, wanted->min_revision);
  if (wanted->wait_ms != WAIT_DEFAULT_MS) bytes_printf(link, "&wait_ms=%" PRIu64, wanted->wait_ms);
}

/* Link (RFC 8288) to the page after this one, with the same parameters. */
static void answer_next(struct exchange *x, struct slice last) {
  struct bytes link = {0};
  bytes_append_string(&link, "<");
  bytes_append_slice(&link, x->request->path);
  bytes_append_string(&link, "?limit=");
  bytes_append_u64(&link, x->limit);
  link_consistency(&link, &x->consistency);
  bytes_append_string(&link, "&after=");
  percent_encode(&link, last);
  bytes_append_string(&link, ">; rel=\"next\"");
  http_response_header(x->answer.out, "Link", slice_of_bytes(&link));
  bytes_close(&link);
}

enum api_action collection_get(struct exchange *x) {
  if (x->media == MEDIA_NDJSON) return collection_export(x);
  const struct store *store = replica_store(x->replica);
  const struct store_record *record = store_after(store, x->collection, x->after);
  struct bytes body = {0};
  struct slice last = {0};
  bytes_append_string(&body, "[");
  for (uint64_t n = 0; record != NULL && n < x->limit && body.n < PAGE_BYTES_MAX; n++) {
    if (n > 0) bytes_append_string(&body, ",");
    bytes_append_slice(&body, store_record_body(record));
    last = store_record_id(record);
    record = store_after(store, x->collection, last);
  }
  bytes_append_string(&body, "]");
  answer_begin(&x->answer, 200, CACHE_NO_STORE);
  http_response_header_u64(x->answer.out, "X-Total-Count", store_count(store, x->collection));
  if (record != NULL) answer_next(x, last);
  answer_end_json(&x->answer, &body);
  return API_RESPONDED;
}

enum api_action collections_get(struct exchange *x) {
  const struct store *store = replica_store(x->replica);
  struct bytes body = {0};
  struct slice name, last = {0};
  uint64_t count;
  bool more = store_collection_after(store, x->after, &name, &count);
  bytes_append_string(&body, "[");
  for (uint64_t n = 0; more && n < x->limit; n++) {
    if (n > 0) bytes_append_string(&body, ",");
    bytes_append_string(&body, "{");
    member_string(&body, "name", name);
    member_u64(&body, "count", count);
    bytes_append_string(&body, "}");
    last = name;
    more = store_collection_after(store, last, &name, &count);
  }
  bytes_append_string(&body, "]");
  answer_begin(&x->answer, 200, CACHE_NO_STORE);
  if (more) answer_next(x, last);
  answer_end_json(&x->answer, &body);
  return API_RESPONDED;
}
