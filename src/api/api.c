#include "api/api.h"

#include <assert.h>
#include <jansson.h>
#include <sodium.h>
#include <stdlib.h>

#include "api/access.h"
#include "api/authorization.h"
#include "api/forward.h"
#include "api/members.h"
#include "api/parameters.h"
#include "api/reads.h"
#include "api/routes.h"
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
  token_format(options->token, api->token);
  ulids_init(&api->ulids, options->seed);
  /* The first seed given in a process counts. Without one jansson would open /dev/urandom by itself; 0 is
   * none. */
  json_object_seed((size_t)options->seed | 1);
  return api;
}

void api_free(struct api *api) {
  if (api == NULL) return;
  sodium_memzero(api->token, sizeof api->token);
  free(api->name);
  free(api);
}

static bool names_are_valid(struct exchange *x) {
  if (x->collection.at != NULL && !collection_name_is_valid(x->collection)) {
    answer_problem(
        &x->answer, PROBLEM_INVALID_COLLECTION,
        "A collection's name is 1 to %d letters, digits, '-', '_' and '.', and not \".\" or \"..\".",
        COLLECTION_BYTES_MAX);
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
    return access_write(x, &action) ? route->endpoint(x) : action;
  case ACCESS_ANY:
    break;
  }
  return route->endpoint(x);
}

enum api_action api_request(struct api *api, const struct api_view *view, struct replica *replica,
                            const struct http_request *request, struct api_call *call, void *waiter,
                            struct bytes *out) {
  *call = (struct api_call){.keep_alive = request->keep_alive, .head_only = request->method == HTTP_HEAD_};
  struct exchange x = {
      .answer = {api, view, call->keep_alive, call->head_only, out, false},
      .api = api,
      .view = view,
      .replica = replica,
      .request = request,
      .call = call,
      .waiter = waiter,
  };
  const struct route *route = route_find(&x);
  if (route == NULL || !forwarded_is_genuine(&x) || !parameters_read(&x, route->parameters) ||
      !names_are_valid(&x)) {
    return API_RESPONDED;
  }
  return answer_now_or_later(&x, route);
}

void api_complete(struct api *api, const struct api_view *view, struct replica *replica,
                  const struct api_call *call, struct replica_result *result, struct bytes *out) {
  if (call->kept != NULL)
    reads_complete(api, view, replica, call, result->verdict, out);
  else
    writes_complete(api, view, call, result, out);
}

bool api_cancel(struct replica *replica, struct api_call *call) {
  if (call->kept == NULL) return false;
  replica_cancel_read(replica, &call->read);
  return true;
}

void api_call_close(struct api_call *call) {
  free(call->kept);
  call->kept = NULL;
}

void api_malformed(struct api *api, const struct api_view *view, const struct http_error *error,
                   struct bytes *out) {
  const struct answer a = {api, view, false, false, out, false};
  struct bytes body = {0};
  problem_open_http(&body, error->status, error->code, error->detail);
  if (error->status == 413) member_u64(&body, "limit", api->document_bytes_max);
  answer_begin(&a, error->status, CACHE_NO_STORE);
  answer_end_problem(&a, &body);
}
