#include "api/access.h"

#include <inttypes.h>

#include "api/authorization.h"
#include "api/forward.h"
#include "api/members.h"
#include "http/response.h"

/* A problem about the leader names it, as far as it is known. */
static void end_with_leader(const struct answer *a, struct bytes *body) {
  member_leader(body, a->view);
  member_u64(body, "term", a->view->term);
  answer_end_problem(a, body);
}

void access_refuse_leaderless(const struct answer *a) {
  struct bytes body = {0};
  enum problem problem = a->view->leader ? PROBLEM_NOT_LEADER : PROBLEM_NO_LEADER;
  if (a->view->leader) {
    problem_open(&body, problem,
                 "This node does not lead; send the request to http://%s, or here again in a moment.",
                 a->view->leader->http);
  } else {
    problem_open(&body, problem, "%s", a->view->no_leader_reason);
  }
  answer_begin_problem(a, problem);
  end_with_leader(a, &body);
}

/* A leader may serve once an entry of its own term is committed: until then it may not know all that was
 * acknowledged before it (dissertation, section 6.4). */
static bool leader_is_ready(struct exchange *x) {
  if (x->view->committed_own_term) return true;
  answer_problem(&x->answer, PROBLEM_NOT_READY,
                 "This node was just elected and has not committed anything in term %" PRIu64
                 " yet; try again.",
                 x->view->term);
  return false;
}

bool access_read(struct exchange *x) {
  if (x->consistency.stale || x->view->leader != NULL) return true;
  access_refuse_leaderless(&x->answer);
  return false;
}

bool access_ready(struct exchange *x) {
  if (x->consistency.stale) return true;
  if (!access_read(x)) return false;
  if (x->view->role == CORACLE_RAFT_LEADER) return leader_is_ready(x);
  if (x->view->leader_linked) return true;
  answer_problem(&x->answer, PROBLEM_NOT_READY,
                 "The leader is known, but its stream to this node is not open yet; try again.");
  return false;
}

static bool leader_takes_write(struct exchange *x) {
  if (x->view->writes_stopped != NULL) {
    answer_problem(&x->answer, PROBLEM_WRITES_STOPPED, "%s", x->view->writes_stopped);
    return false;
  }
  /* Before the other: where there is no room, an entry of its own term may not get through either. */
  if (x->view->disk_full != NULL) {
    answer_problem(&x->answer, PROBLEM_DISK_FULL, "%s", x->view->disk_full);
    return false;
  }
  return leader_is_ready(x);
}

/* RFC 9110, 15.4.8: 307 has the client send the same method and body again, at the leader. */
static void redirect(struct exchange *x) {
  struct bytes location = {0}, body = {0};
  bytes_append_string(&location, "http://");
  bytes_append_string(&location, x->view->leader->http);
  bytes_append_slice(&location, x->request->target);
  problem_open(&body, PROBLEM_NOT_LEADER_REDIRECT,
               "Writes go to the leader: follow Location (curl -L does).");
  answer_begin_problem(&x->answer, PROBLEM_NOT_LEADER_REDIRECT);
  http_response_header(x->answer.out, "Location", slice_of_bytes(&location));
  end_with_leader(&x->answer, &body);
  bytes_close(&location);
}

static void reject(struct exchange *x) {
  struct bytes body = {0};
  problem_open(&body, PROBLEM_NOT_LEADER_REFUSED,
               "This node takes no writes; send them to the leader at http://%s.", x->view->leader->http);
  answer_begin_problem(&x->answer, PROBLEM_NOT_LEADER_REFUSED);
  end_with_leader(&x->answer, &body);
}

static enum api_action follower_write(struct exchange *x) {
  switch (x->api->follower_writes) {
  case API_REDIRECT:
    redirect(x);
    return API_RESPONDED;
  case API_REJECT:
    reject(x);
    return API_RESPONDED;
  case API_FORWARD_WRITES:
    break;
  }
  if (x->view->leader_token != NULL) return API_FORWARD;
  answer_problem(&x->answer, PROBLEM_NOT_READY,
                 "The leader has not given this node its write token yet; try again.");
  return API_RESPONDED;
}

bool access_write(struct exchange *x, enum api_action *action) {
  *action = API_RESPONDED;
  if (x->view->role == CORACLE_RAFT_LEADER) return leader_takes_write(x);
  /* What was forwarded here is not sent on again: two nodes that each take the other for the leader would
   * pass it back and forth. */
  if (x->view->leader == NULL || request_is_forwarded(x->request))
    access_refuse_leaderless(&x->answer);
  else
    *action = follower_write(x);
  return false;
}
