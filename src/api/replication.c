/* GET /v1/replication: the leader turns a connection to this node's HTTP port into its replication stream. */
#include "api/authorization.h"
#include "api/exchange.h"
#include "http/response.h"

#define PROTOCOL "coracle-replication/1"

static bool asks_for_protocol(const struct http_request *request) {
  return request->method == HTTP_GET_ && request->upgrade &&
         http_request_header_count(request, "Upgrade") == 1 &&
         slice_is(http_request_header(request, "Upgrade"), PROTOCOL);
}

/* RFC 9110, 15.5.22: 426 names the protocol in Upgrade. */
static void require_upgrade(const struct answer *a) {
  struct bytes body = {0};
  problem_open(&body, PROBLEM_UPGRADE_REQUIRED,
               "This path is for a leader, which sends GET with Connection: Upgrade and Upgrade: " PROTOCOL
               ".");
  answer_begin_problem(a, PROBLEM_UPGRADE_REQUIRED);
  http_response_header(a->out, "Upgrade", slice_of(PROTOCOL));
  http_response_header(a->out, "Connection", slice_of("Upgrade"));
  answer_end_problem(a, &body);
}

static void require_token(const struct answer *a) {
  struct bytes body = {0};
  problem_open(&body, PROBLEM_TOKEN_MISSING, "Send this node's write token: Authorization: Bearer TOKEN.");
  answer_begin_problem(a, PROBLEM_TOKEN_MISSING);
  http_response_header(a->out, "WWW-Authenticate", slice_of("Bearer"));
  answer_end_problem(a, &body);
}

enum api_action replication_get(struct exchange *x) {
  if (!asks_for_protocol(x->request)) {
    require_upgrade(&x->answer);
    return API_RESPONDED;
  }
  switch (authorization_of(x->api, x->request)) {
  case AUTHORIZATION_MISSING:
    require_token(&x->answer);
    return API_RESPONDED;
  case AUTHORIZATION_WRONG:
    answer_problem(
        &x->answer, PROBLEM_TOKEN_WRONG,
        "The token is not this node's, which makes a new one at every start; ask for its credentials again.");
    return API_RESPONDED;
  case AUTHORIZATION_RIGHT:
    break;
  }
  if (x->request->body.n > 0) {
    answer_problem(&x->answer, PROBLEM_MALFORMED_REQUEST,
                   "A request to upgrade has no body here; send none.");
    return API_RESPONDED;
  }
  answer_begin(&x->answer, 101, CACHE_NO_STORE);
  http_response_header(x->answer.out, "Upgrade", slice_of(PROTOCOL));
  http_response_header(x->answer.out, "Connection", slice_of("Upgrade"));
  http_response_end(x->answer.out, NULL, (struct slice){0}, true, false);
  return API_UPGRADE;
}
