#include "api/api.h"

#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "api/accept.h"
#include "api/access.h"
#include "api/authorization.h"
#include "api/content.h"
#include "api/forward.h"
#include "api/idempotency.h"
#include "api/members.h"
#include "api/parameters.h"
#include "api/preferences.h"
#include "api/reads.h"
#include "api/routes.h"
#include "api/work.h"
#include "api/writes.h"
#include "base/memory.h"
#include "http/response.h"

struct api *api_new(const struct api_options *options) {
  struct api *api = memory_zalloc(sizeof *api);
  assert(options->document_bytes_max <= API_DOCUMENT_BYTES_LIMIT);
  api->name = memory_strndup(options->name, strlen(options->name));
  api->document_bytes_max = options->document_bytes_max;
  api->data_bytes_max = options->data_bytes_max;
  api->follower_writes = options->follower_writes;
  api->http = options->http;
  api->loopback = options->loopback;
  origins_init(&api->origins, options->cors_origins);
  token_format(options->token, api->token);
  ulids_init(&api->ulids, options->seed);
  /* The seed would not do: it can be calculated from the ids that clients see. */
  crypto_generichash(api->secret, sizeof api->secret, (const uint8_t *)"api", 3, options->token,
                     sizeof options->token);
  for (size_t i = 0; i < IN_FLIGHT_BUCKETS; i++) list_init(&api->in_flight[i]);
  for (size_t i = 0; i < PROPOSED_BUCKETS; i++) list_init(&api->proposed_patches[i]);
  return api;
}

void api_free(struct api *api) {
  if (api == NULL) return;
  sodium_memzero(api->token, sizeof api->token);
  sodium_memzero(api->secret, sizeof api->secret);
  origins_close(&api->origins);
  free(api->name);
  free(api);
}

static bool names_are_valid(struct exchange *x) {
  if (x->collection.at != NULL && !collection_name_is_valid(x->collection)) {
    answer_problem(&x->answer, PROBLEM_INVALID_COLLECTION, "%s", answer_invalid_collection_detail);
    return false;
  }
  if (x->id.at != NULL && !document_id_is_valid(x->id)) {
    answer_invalid_id(&x->answer);
    return false;
  }
  return true;
}

static enum api_action answer_now_or_later(struct exchange *x, const struct route *route) {
  enum api_action action;
  switch (route->access) {
  case ACCESS_READ:
    return reads_begin(x, route->endpoint);
  case ACCESS_WRITE:
    x->call->minimal = prefers_minimal(x->request);
    return access_write(x, &action) ? route->endpoint(x) : action;
  case ACCESS_ANY:
    break;
  }
  return route->endpoint(x);
}

enum api_action api_request(struct api *api, const struct api_view *view, struct replica *replica,
                            const struct http_request *request, struct api_call *call, void *waiter,
                            struct bytes *out) {
  *call = (struct api_call){.keep_alive = request->keep_alive && !request->streams,
                            .head_only = request->method == HTTP_HEAD_,
                            .http_1_0 = request->http_1_0,
                            .origin = origins_granted(&api->origins, request)};
  struct exchange x = {
      .answer = answer_to(api, view, call, out),
      .api = api,
      .view = view,
      .replica = replica,
      .request = request,
      .call = call,
      .waiter = waiter,
  };
  if (!origin_admits(&x)) return API_RESPONDED;
  const struct route *route = x.route = route_find(&x);
  if (route == NULL || !content_is_plain(&x) || !forwarded_is_genuine(&x) ||
      !accept_choose(&x, route->produces) || !parameters_read(&x, route->parameters) ||
      !names_are_valid(&x)) {
    return API_RESPONDED;
  }
  return answer_now_or_later(&x, route);
}

/* Of a request that was begun earlier. */
static struct exchange go_on_with(struct api *api, const struct api_view *view, struct replica *replica,
                                  struct api_call *call, void *waiter, struct bytes *out) {
  return (struct exchange){
      .answer = answer_to(api, view, call, out),
      .api = api,
      .view = view,
      .replica = replica,
      .call = call,
      .waiter = waiter,
  };
}

enum api_action api_complete(struct api *api, const struct api_view *view, struct replica *replica,
                             struct api_call *call, void *waiter, struct replica_result *result,
                             struct bytes *out) {
  struct exchange x = go_on_with(api, view, replica, call, waiter, out);
  enum api_action action = API_RESPONDED;
  if (call->work != NULL)
    action = work_result(&x, result);
  else if (call->kept != NULL)
    action = reads_complete(&x, result->verdict);
  else
    writes_complete(&x, result);
  store_result_close(&result->store);
  return action;
}

enum api_action api_work(struct api *api, const struct api_view *view, struct replica *replica,
                         struct api_call *call, void *waiter, size_t *budget, struct bytes *out) {
  struct exchange x = go_on_with(api, view, replica, call, waiter, out);
  return work_go_on(&x, budget);
}

bool api_cancel(struct replica *replica, struct api_call *call) {
  if (call->work != NULL) return work_cancel(replica, call);
  if (call->kept == NULL) return false;
  replica_cancel_read(replica, &call->read);
  return true;
}

void api_abandoned(struct api *api, const struct api_view *view, const struct api_call *call,
                   struct bytes *out) {
  struct answer a = answer_to(api, view, call, out);
  a.keep_alive = false;
  access_refuse_leaderless(&a);
}

void api_call_close(struct api_call *call) {
  work_close(NULL, call);
  idempotency_end(call);
  bytes_close(&call->body);
  free(call->kept);
  call->kept = NULL;
}

void api_malformed(struct api *api, const struct api_view *view, const struct http_request *head,
                   const struct http_error *error, struct bytes *out) {
  const struct answer a = {
      .api = api, .view = view, .out = out, .origin = origins_granted(&api->origins, head)};
  struct bytes body = {0};
  problem_open_http(&body, error->status, error->code, error->detail);
  if (error->status == 413) member_u64(&body, "limit", api->document_bytes_max);
  answer_begin(&a, error->status, CACHE_NO_STORE);
  answer_end_problem(&a, &body);
}
