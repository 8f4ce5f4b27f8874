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
#include "api/routes.h"
#include "base/memory.h"
#include "http/response.h"

struct api *api_new(const struct api_options *options) {
  struct api *api = memory_zalloc(sizeof *api);
  assert(options->document_bytes_max <= API_DOCUMENT_BYTES_LIMIT);
  api->name = memory_strndup(options->name, strlen(options->name));
  api->document_bytes_max = options->document_bytes_max;
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

static bool may_answer(struct exchange *x, enum access access, enum api_action *action) {
  *action = API_RESPONDED;
  switch (access) {
  case ACCESS_READ:
    return access_read(x);
  case ACCESS_WRITE:
    return access_write(x, action);
  case ACCESS_ANY:
    break;
  }
  return true;
}

enum api_action api_request(struct api *api, const struct api_view *view, struct replica *replica,
                            const struct http_request *request, struct api_call *call, void *waiter,
                            struct bytes *out) {
  *call = (struct api_call){.keep_alive = request->keep_alive, .head_only = request->method == HTTP_HEAD_};
  struct exchange x = {
      .answer = {api, view, call->keep_alive, call->head_only, out},
      .api = api,
      .view = view,
      .replica = replica,
      .request = request,
      .call = call,
      .waiter = waiter,
  };
  enum api_action action = API_RESPONDED;
  const struct route *route = route_find(&x);
  if (route == NULL || !forwarded_is_genuine(&x) || !parameters_read(&x, route->parameters) ||
      !names_are_valid(&x) || !may_answer(&x, route->access, &action)) {
    return action;
  }
  return route->endpoint(&x);
}

void api_malformed(struct api *api, const struct api_view *view, const struct http_error *error,
                   struct bytes *out) {
  const struct answer a = {api, view, false, false, out};
  struct bytes body = {0};
  problem_open_http(&body, error->status, error->code, error->detail);
  if (error->status == 413) member_u64(&body, "limit", api->document_bytes_max);
  answer_begin(&a, error->status, CACHE_NO_STORE);
  answer_end_problem(&a, &body);
}
