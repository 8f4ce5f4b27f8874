#include "api/work.h"

#include "api/access.h"
#include "api/reads.h"
#include "api/writes.h"

enum api_action work_begin(struct exchange *x, struct work *work, const struct work_type *type) {
  work->type = type;
  work->waits = WORK_RUNS;
  work->abandoned = false;
  x->call->work = work;
  return API_WORKING;
}

enum api_action work_read(struct exchange *x, struct work *work) {
  work->waits = WORK_READS;
  x->call->read = (struct replica_read){
      .waiter = x->waiter, .linearizable = true, .deadline_ms = x->view->now_ms + WAIT_DEFAULT_MS};
  replica_read(x->replica, &x->call->read);
  return API_WAITING;
}

enum api_action work_wait(struct exchange *x, struct work *work, uint64_t wait_ms) {
  work->waits = WORK_READS;
  x->call->read = (struct replica_read){.waiter = x->waiter,
                                        .min_revision = replica_applied(x->replica) + 1,
                                        .deadline_ms = x->view->now_ms + wait_ms};
  replica_read(x->replica, &x->call->read);
  return API_WAITING;
}

enum api_action work_refuse_read(struct exchange *x, enum replica_verdict verdict) {
  x->consistency = (struct consistency){.wait_ms = WAIT_DEFAULT_MS};
  reads_refuse(x, verdict);
  return API_RESPONDED;
}

enum api_action work_propose(struct exchange *x, struct work *work, const struct command *command,
                             uint64_t growth_bytes) {
  if (!writes_propose(x, command, growth_bytes)) return API_RESPONDED;
  work->waits = WORK_PROPOSES;
  return API_WAITING;
}

bool work_try_propose(struct exchange *x, struct work *work, const struct command *command,
                      uint64_t growth_bytes) {
  if (!writes_try_propose(x, command, growth_bytes)) return false;
  work->waits = WORK_PROPOSES;
  return true;
}

static enum api_action over_when_responded(struct exchange *x, enum api_action action) {
  if (action == API_RESPONDED) work_close(x->replica, x->call);
  return action;
}

enum api_action work_go_on(struct exchange *x, size_t *budget) {
  struct work *work = x->call->work;
  return over_when_responded(x, work->type->go_on(x, work, budget));
}

enum api_action work_result(struct exchange *x, struct replica_result *result) {
  struct work *work = x->call->work;
  work->waits = WORK_RUNS;
  return over_when_responded(x, work->abandoned ? API_RESPONDED : work->type->result(x, work, result));
}

bool work_cancel(struct replica *replica, struct api_call *call) {
  struct work *work = call->work;
  work->abandoned = true;
  if (work->waits == WORK_PROPOSES) return false;
  if (work->waits == WORK_READS) replica_cancel_read(replica, &call->read);
  work_close(replica, call);
  return true;
}

void work_close(struct replica *replica, struct api_call *call) {
  if (call->work != NULL) call->work->type->release(replica, call->work);
  call->work = NULL;
}
