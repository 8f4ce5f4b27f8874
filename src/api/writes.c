#include "api/writes.h"

#include <assert.h>
#include <inttypes.h>

#include "api/access.h"
#include "api/idempotency.h"
#include "api/members.h"
#include "http/response.h"

/* ---- Room ---- */

uint64_t writes_growth(const struct exchange *x, const struct command *command) {
  if (command->type != COMMAND_PUT) return 0;
  const struct store_record *current = store_get(replica_store(x->replica), command->collection, command->id);
  const uint64_t replaced = current != NULL ? current->body_bytes : 0;
  const uint64_t names = current != NULL ? 0 : command->collection.n + command->id.n;
  return command->body.n > replaced ? names + command->body.n - replaced : 0;
}

/* The leader decides when a write comes, and nobody when it is applied, where all nodes must do the same
 * whatever their limits are. What waits is counted as if all of it took effect, so the limit may be met a
 * little early; where a document that waits to be deleted is written again, a little late. */
static bool data_fits(const struct exchange *x, uint64_t growth_bytes) {
  const uint64_t bytes = store_bytes(replica_store(x->replica)) + replica_pending_bytes(x->replica);
  const uint64_t limit = x->api->data_bytes_max;
  return growth_bytes == 0 || limit == 0 || (bytes <= limit && growth_bytes <= limit - bytes);
}

bool writes_fit(const struct exchange *x, uint64_t growth_bytes) {
  return x->view->disk_full == NULL && data_fits(x, growth_bytes);
}

static void refuse_store_full(const struct exchange *x) {
  const uint64_t bytes = store_bytes(replica_store(x->replica)), limit = x->api->data_bytes_max;
  struct bytes body = {0};
  problem_open(&body, PROBLEM_STORE_FULL,
               "The documents have %" PRIu64 " bytes, and may have %" PRIu64
               " (--max-data-bytes); delete some of them, or replace them by smaller ones.",
               bytes, limit);
  member_u64(&body, "data_bytes", bytes);
  member_u64(&body, "data_bytes_max", limit);
  answer_begin_problem(&x->answer, PROBLEM_STORE_FULL);
  answer_end_problem(&x->answer, &body);
}

bool writes_have_room(const struct exchange *x, uint64_t growth_bytes) {
  if (writes_fit(x, growth_bytes)) return true;
  if (x->view->disk_full != NULL)
    answer_problem(&x->answer, PROBLEM_DISK_FULL, "%s", x->view->disk_full);
  else if (store_is_busy(replica_store(x->replica)))
    answer_problem(&x->answer, PROBLEM_BUSY,
                   "A collection that was dropped is still making room for others; try again.");
  else
    refuse_store_full(x);
  return false;
}

void writes_refuse_size(const struct answer *a) {
  struct bytes body = {0};
  problem_open(&body, PROBLEM_DOCUMENT_TOO_LARGE, "A document can have %zu bytes, its id included; split it.",
               a->api->document_bytes_max);
  member_u64(&body, "limit", a->api->document_bytes_max);
  answer_begin_problem(a, PROBLEM_DOCUMENT_TOO_LARGE);
  answer_end_problem(a, &body);
}

/* ---- Proposing ---- */

bool writes_try_propose(struct exchange *x, const struct command *command, uint64_t growth_bytes) {
  struct command whole = *command;
  whole.once = idempotency_once(x->call);
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&whole));
  if (entry == NULL) return false;
  command_encode(&whole, entry->data);
  replica_propose(x->replica, entry, growth_bytes, x->waiter);
  return true;
}

bool writes_propose(struct exchange *x, const struct command *command, uint64_t growth_bytes) {
  if (writes_try_propose(x, command, growth_bytes)) return true;
  answer_problem(&x->answer, PROBLEM_BUSY, "There is no memory for the write now; try again.");
  return false;
}

/* ---- Answering ---- */

void writes_answer_stored(const struct answer *a, const struct api_call *call, int status,
                          const struct store_record *record, bool located) {
  answer_begin(a, call->minimal ? 204 : status, CACHE_NO_STORE);
  answer_etag(a, record->revision);
  if (located) answer_location(a, record);
  if (call->minimal) {
    http_response_header(a->out, "Preference-Applied", slice_of("return=minimal"));
    answer_end_empty(a);
  } else {
    http_response_end(a->out, "application/json", store_record_body(record), a->keep_alive, a->head_only);
  }
}

enum problem writes_problem(enum store_outcome outcome, const struct store_record *current,
                            const char **detail) {
  switch (outcome) {
  case STORE_EXISTS:
    *detail = "POST only creates; send PUT to the document's own URL to replace it, or take another id.";
    return PROBLEM_DOCUMENT_EXISTS;
  case STORE_NOT_FOUND:
    *detail = "There is no document of that id, so none was deleted.";
    return PROBLEM_DOCUMENT_NOT_FOUND;
  default:
    assert(outcome == STORE_PRECONDITION_FAILED);
    *detail = current ? "The document is now as \"current\" has it, at the revision of ETag; start from that."
                      : "There is no such document, so If-Match cannot hold; leave it out.";
    return PROBLEM_PRECONDITION_FAILED;
  }
}

static void answer_failed(const struct answer *a, const struct store_result *result) {
  const char *detail;
  const enum problem problem = writes_problem(result->outcome, result->record, &detail);
  if (problem == PROBLEM_DOCUMENT_NOT_FOUND)
    answer_problem(a, problem, "%s", detail);
  else
    answer_conflict(a, problem, result->record, detail);
}

static void answer_applied(const struct answer *a, const struct api_call *call,
                           const struct store_result *result) {
  switch (result->outcome) {
  case STORE_CREATED:
    writes_answer_stored(a, call, 201, result->record, call->kind == WRITE_POST);
    break;
  case STORE_REPLACED:
    writes_answer_stored(a, call, 200, result->record, call->kind == WRITE_POST);
    break;
  case STORE_DELETED:
  case STORE_DROPPED:
    answer_begin(a, 204, CACHE_NO_STORE);
    answer_end_empty(a);
    break;
  case STORE_EXISTS:
  case STORE_NOT_FOUND:
  case STORE_PRECONDITION_FAILED:
    answer_failed(a, result);
    break;
  case STORE_BASE_MOVED:
  case STORE_DONE:
  case STORE_REFUSED:
  case STORE_KEY_REUSED:
    assert(false && "of no command that is made for this");
  }
}

void writes_refuse(const struct answer *a, enum replica_verdict verdict) {
  switch (verdict) {
  case REPLICA_UNKNOWN:
    answer_outcome_unknown(a);
    break;
  case REPLICA_NOT_LEADER:
    access_refuse_leaderless(a);
    break;
  case REPLICA_APPLIED:
  case REPLICA_BUSY:
  case REPLICA_READABLE:
  case REPLICA_TOO_LATE:
    answer_problem(a, PROBLEM_BUSY,
                   "Too much is waiting to be committed, so the write was not taken; try again.");
  }
}

void writes_complete(struct exchange *x, struct replica_result *result) {
  if (result->verdict != REPLICA_APPLIED)
    writes_refuse(&x->answer, result->verdict);
  else if (!idempotency_answer(&x->answer, x->call, &result->store))
    answer_applied(&x->answer, x->call, &result->store);
}
