#include "api/answer.h"

#include <time.h>

#include "api/exchange.h"
#include "api/members.h"
#include "coracle/version.h"
#include "http/response.h"

enum { RETRY_AFTER_S = 1 }; /* elections and promotions take well under a second */

static struct slice role_name(enum coracle_raft_role role) {
  switch (role) {
  case CORACLE_RAFT_LEADER:
    return slice_of("leader");
  case CORACLE_RAFT_PRE_CANDIDATE:
  case CORACLE_RAFT_CANDIDATE:
    return slice_of("candidate");
  case CORACLE_RAFT_FOLLOWER:
    break;
  }
  return slice_of("follower");
}

void member_role(struct bytes *out, const struct api_view *view) {
  member_string(out, "role", role_name(view->role));
}

/* RFC 9110, 6.6.1: an origin server with a clock sends a Date. */
static void date_header(const struct answer *a) {
  time_t now_s = (time_t)(a->view->wall_ms / 1000);
  struct tm utc;
  char text[sizeof "Sun, 06 Nov 1994 08:49:37 GMT" + 8];
  gmtime_r(&now_s, &utc);
  size_t n = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &utc);
  http_response_header(a->out, "Date", (struct slice){text, n});
}

struct answer answer_to(const struct api *api, const struct api_view *view, const struct api_call *call,
                        struct bytes *out) {
  return (struct answer){.api = api,
                         .view = view,
                         .keep_alive = call->keep_alive,
                         .head_only = call->head_only,
                         .out = out,
                         .origin = call->origin};
}

void answer_begin(const struct answer *a, int status, enum cache cache) {
  http_response_begin(a->out, status);
  http_response_header(a->out, "Server", slice_of("coracle/" CORACLE_VERSION)); /* RFC 9110, 10.2.4 */
  date_header(a);
  http_response_header(a->out, "Cache-Control", slice_of(cache == CACHE_NO_CACHE ? "no-cache" : "no-store"));
  http_response_header_u64(a->out, "Coracle-Revision", a->view->applied);
  http_response_header_u64(a->out, "Coracle-Term", a->view->term);
  http_response_header(a->out, "Coracle-Node", slice_of(a->api->name));
  http_response_header(a->out, "Coracle-Role", role_name(a->view->role));
  if (a->stale && a->view->freshness_known)
    http_response_header_u64(a->out, "Coracle-Staleness-Ms", a->view->staleness_ms);
  origin_headers(&a->api->origins, a->origin, a->out);
}

void answer_end_json(const struct answer *a, struct bytes *body) {
  http_response_end(a->out, "application/json", slice_of_bytes(body), a->keep_alive, a->head_only);
  bytes_close(body);
}

void answer_end_empty(const struct answer *a) {
  http_response_end(a->out, NULL, (struct slice){0}, a->keep_alive, a->head_only);
}

void answer_etag(const struct answer *a, uint64_t revision) {
  struct bytes tag = {0};
  bytes_append_string(&tag, "\"");
  bytes_append_u64(&tag, revision);
  bytes_append_string(&tag, "\"");
  http_response_header(a->out, "ETag", slice_of_bytes(&tag));
  bytes_close(&tag);
}

void answer_document_path(struct bytes *out, struct slice collection, struct slice id) {
  bytes_append_string(out, "/v1/collections/");
  percent_encode(out, collection);
  bytes_append_string(out, "/");
  percent_encode(out, id);
}

void answer_location(const struct answer *a, const struct store_record *record) {
  struct bytes location = {0};
  answer_document_path(&location, store_record_collection(record), store_record_id(record));
  http_response_header(a->out, "Location", slice_of_bytes(&location));
  bytes_close(&location);
}

void answer_begin_problem(const struct answer *a, enum problem problem) {
  int status = problem_status(problem);
  answer_begin(a, status, CACHE_NO_STORE);
  if (status == 503) http_response_header_u64(a->out, "Retry-After", RETRY_AFTER_S);
}

void answer_end_problem(const struct answer *a, struct bytes *body) {
  bytes_append_string(body, "}");
  http_response_end(a->out, "application/problem+json", slice_of_bytes(body), a->keep_alive, a->head_only);
  bytes_close(body);
}

void answer_problem(const struct answer *a, enum problem problem, const char *detail, ...) {
  struct bytes body = {0};
  va_list arguments;
  va_start(arguments, detail);
  problem_open_v(&body, problem, detail, arguments);
  va_end(arguments);
  answer_begin_problem(a, problem);
  answer_end_problem(a, &body);
}

_Static_assert(DOCUMENT_ID_BYTES_MAX == 512, "the sentence says so");
const char answer_invalid_id_detail[] = "An id is a string of 1 to 512 bytes of UTF-8 without control "
                                        "characters, and not \".\" or \"..\"; or an integer.";
const char answer_invalid_collection_detail[] =
    "A collection's name is 1 to 128 letters, digits, '-', '_' and '.', and not \".\" or \"..\".";
_Static_assert(DOCUMENT_ID_BYTES_MAX == 512 && COLLECTION_BYTES_MAX == 128, "as these say");

void answer_invalid_id(const struct answer *a) {
  answer_problem(a, PROBLEM_INVALID_ID, "%s", answer_invalid_id_detail);
}

void answer_conflict(const struct answer *a, enum problem problem, const struct store_record *current,
                     const char *detail) {
  struct bytes body = {0};
  problem_open(&body, problem, "%s", detail);
  member_name(&body, "current");
  bytes_append_slice(&body, current ? store_record_body(current) : slice_of("null"));
  answer_begin_problem(a, problem);
  if (current != NULL) answer_etag(a, current->revision);
  answer_end_problem(a, &body);
}

void answer_outcome_unknown(const struct answer *a) {
  struct bytes body = {0};
  problem_open(
      &body, PROBLEM_OUTCOME_UNKNOWN,
      "The leader was lost before it could say what became of the write: it may have taken effect, or may "
      "still. Read the document before you try again.");
  member_string(&body, "outcome", slice_of("unknown"));
  answer_begin_problem(a, PROBLEM_OUTCOME_UNKNOWN);
  answer_end_problem(a, &body);
}

void member_leader(struct bytes *out, const struct api_view *view) {
  const struct api_member *leader = view->leader;
  if (leader == NULL) {
    member_null(out, "leader");
    return;
  }
  member_name(out, "leader");
  bytes_append_string(out, "{");
  member_node_id(out, "id", leader->id);
  member_string(out, "name", slice_of(leader->name));
  member_url(out, "http", leader->http);
  bytes_append_string(out, "}");
}
