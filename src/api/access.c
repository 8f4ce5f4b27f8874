#include "api/access.h"

#include "api/authorization.h"
#include "api/forward.h"
#include "api/idempotency.h"
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
#define JUST_ELECTED "This node was just elected and has not committed anything in its term yet; try again."

static bool leader_is_ready(struct exchange *x) {
  if (!x->view->committed_own_term) answer_problem(&x->answer, PROBLEM_NOT_READY, JUST_ELECTED);
  return x->view->committed_own_term;
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

static bool refuse(enum problem *problem, const char **detail, enum problem is, const char *because) {
  *problem = is;
  *detail = because;
  return false;
}

bool access_leads(const struct api_view *view, enum problem *problem, const char **detail) {
  if (view->role != CORACLE_RAFT_LEADER)
    return view->leader != NULL ? refuse(problem, detail, PROBLEM_NOT_LEADER,
                                         "This node does not lead any more; send the write to the leader.")
                                : refuse(problem, detail, PROBLEM_NO_LEADER, view->no_leader_reason);
  if (view->writes_stopped != NULL)
    return refuse(problem, detail, PROBLEM_WRITES_STOPPED, view->writes_stopped);
  /* Before the other: where there is no room, an entry of its own term may not get through either. */
  if (view->disk_full != NULL) return refuse(problem, detail, PROBLEM_DISK_FULL, view->disk_full);
  return view->committed_own_term || refuse(problem, detail, PROBLEM_NOT_READY, JUST_ELECTED);
}

static bool leader_takes_write(struct exchange *x) {
  enum problem problem;
  const char *detail;
  if (access_leads(x->view, &problem, &detail)) return true;
  /* A request with a key may be a retry of one that had room: writes_have_room() refuses it, after that was
   * looked up. */
  if (problem == PROBLEM_DISK_FULL && x->view->committed_own_term && idempotency_is_asked(x->request))
    return true;
  answer_problem(&x->answer, problem, "%s", detail);
  return false;
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
  if (x->request->streams) { /* what comes is not gathered here, as a request that is sent on is */
    redirect(x);
    return API_RESPONDED;
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
