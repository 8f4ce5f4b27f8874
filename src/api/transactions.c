/* Transactions: several documents changed by one command, all of them or none.
 *
 * The operations are read in slices. If there are patches among them, the documents they are for are read as
 * of one moment, linearizably, what they come to is calculated, in slices too, and goes into the log on the
 * condition that those documents are still the same then; where one is not, all of it begins anew. */
#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "api/conditions.h"
#include "api/idempotency.h"
#include "api/members.h"
#include "api/operations.h"
#include "api/patched.h"
#include "api/work.h"
#include "api/writes.h"
#include "base/memory.h"
#include "http/response.h"

enum { OPERATION_UNITS = 1024 }; /* of the budget, beside its bytes */

struct transaction {
  struct work work;
  struct bytes text;       /* of the request's body; owned */
  struct json_cursor left; /* of the operations: still to be read */
  bool is_read;            /* all of them are */
  struct operation operations[COMMAND_TRANSACTION_MAX];
  struct store_record *bases[COMMAND_TRANSACTION_MAX]; /* of patches, while they are calculated; owned */
  size_t operations_n;
  size_t at;              /* the operation that is calculated */
  size_t patched_bytes;   /* of the documents calculated so far */
  struct patched patched; /* its patch */
  unsigned attempts;      /* to calculate them all */
  bool is_proposed;       /* no read is waited for any more */
};

/* ---- Refusals ---- */

/* In an answer about one operation, which one that is. */
static void end_with_operation(const struct answer *a, struct bytes *body, size_t operation) {
  member_u64(body, "operation", operation);
  answer_end_problem(a, body);
}

static enum api_action refuse(struct exchange *x, size_t operation, enum problem problem,
                              const char *detail) {
  struct bytes body = {0};
  problem_open(&body, problem, "%s", detail);
  answer_begin_problem(&x->answer, problem);
  end_with_operation(&x->answer, &body, operation);
  return API_RESPONDED;
}

/* What was found wrong with an operation when its turn came. */
struct failure {
  enum problem problem;
  const char *detail;
  bool has_current;
  const struct store_record *current;
  bool has_patch_operation; /* of a JSON patch */
  size_t patch_operation;
};

/* 409, with the problem that the operation alone would have been answered with. */
static enum api_action answer_failed(const struct answer *a, size_t operation,
                                     const struct failure *failure) {
  const struct store_record *current = failure->current;
  struct bytes body = {0}, inner = {0};
  problem_open(&inner, failure->problem, "%s", failure->detail);
  if (failure->has_current) {
    member_name(&inner, "current");
    bytes_append_slice(&inner, current ? store_record_body(current) : slice_of("null"));
    if (current != NULL) member_etag(&inner, current->revision);
  }
  if (failure->has_patch_operation) member_u64(&inner, "operation", failure->patch_operation);
  bytes_append_string(&inner, "}");
  problem_open(&body, PROBLEM_TRANSACTION_FAILED,
               "Operation %zu (the first is 0) failed as \"problem\" has it, so none of them took effect.",
               operation);
  member_u64(&body, "operation", operation);
  member_name(&body, "problem");
  bytes_append_slice(&body, slice_of_bytes(&inner));
  bytes_close(&inner);
  answer_begin_problem(a, PROBLEM_TRANSACTION_FAILED);
  answer_end_problem(a, &body);
  return API_RESPONDED;
}

static enum api_action answer_outcome(const struct answer *a, size_t operation, enum store_outcome outcome,
                                      const struct store_record *current) {
  struct failure failure = {.has_current = outcome != STORE_NOT_FOUND, .current = current};
  failure.problem = writes_problem(outcome, current, &failure.detail);
  return answer_failed(a, operation, &failure);
}

static enum api_action refuse_whole_size(struct exchange *x) {
  struct bytes body = {0};
  problem_open(&body, PROBLEM_TRANSACTION_TOO_LARGE,
               "The documents of one transaction can have about %d bytes together; split it.",
               CORACLE_RAFT_ENTRY_BYTES_MAX);
  member_u64(&body, "limit", CORACLE_RAFT_ENTRY_BYTES_MAX);
  answer_begin_problem(&x->answer, PROBLEM_TRANSACTION_TOO_LARGE);
  answer_end_problem(&x->answer, &body);
  return API_RESPONDED;
}

static enum api_action refuse_size(struct exchange *x, size_t operation) {
  struct bytes body = {0};
  problem_open(&body, PROBLEM_DOCUMENT_TOO_LARGE, "A document can have %zu bytes, its id included; split it.",
               x->api->document_bytes_max);
  member_u64(&body, "limit", x->api->document_bytes_max);
  answer_begin_problem(&x->answer, PROBLEM_DOCUMENT_TOO_LARGE);
  end_with_operation(&x->answer, &body, operation);
  return API_RESPONDED;
}

/* ---- Success ---- */

static void append_result(struct bytes *body, const struct operation *op,
                          const struct store_operation *done) {
  struct bytes path = {0};
  const int status = done->outcome == STORE_CREATED ? 201 : done->outcome == STORE_REPLACED ? 200 : 204;
  percent_encode(&path, op->command.collection);
  bytes_append_string(&path, "/");
  percent_encode(&path, op->command.id);
  bytes_append_string(body, "{");
  member_u64(body, "status", (uint64_t)status);
  member_string(body, "path", slice_of_bytes(&path));
  if (done->record != NULL) {
    member_etag(body, done->record->revision);
    member_name(body, "body");
    bytes_append_slice(body, store_record_body(done->record));
  }
  bytes_append_string(body, "}");
  bytes_close(&path);
}

static void answer_done(struct exchange *x, const struct transaction *t, const struct store_result *result) {
  const struct answer *a = &x->answer;
  struct bytes body = {0};
  assert(result->operations_n == t->operations_n);
  if (x->call->minimal) {
    answer_begin(a, 204, CACHE_NO_STORE);
    http_response_header(a->out, "Preference-Applied", slice_of("return=minimal"));
    answer_end_empty(a);
    return;
  }
  bytes_append_string(&body, "{\"results\":[");
  for (size_t i = 0; i < result->operations_n; i++) {
    if (i > 0) bytes_append_string(&body, ",");
    append_result(&body, &t->operations[i], &result->operations[i]);
  }
  bytes_append_string(&body, "]}");
  answer_begin(a, 200, CACHE_NO_STORE);
  answer_end_json(a, &body);
}

/* ---- Proposing ---- */

static enum api_action propose(struct exchange *x, struct transaction *t) {
  struct command operations[COMMAND_TRANSACTION_MAX];
  uint64_t growth = 0;
  for (size_t i = 0; i < t->operations_n; i++) {
    operations[i] = t->operations[i].command;
    if (t->operations[i].is_patch) {
      operations[i].condition = COMMAND_IF_BASE;
      operations[i].revision = t->bases[i]->revision;
    }
    growth += writes_growth(x, &operations[i]);
  }
  const struct command command = {.type = COMMAND_TRANSACTION,
                                  .operations = operations,
                                  .operations_n = t->operations_n,
                                  .once = idempotency_once(x->call)};
  if (command_size(&command) > CORACLE_RAFT_ENTRY_BYTES_MAX) return refuse_whole_size(x);
  if (!writes_have_room(x, growth)) return API_RESPONDED;
  t->is_proposed = true;
  return work_propose(x, &t->work, &command, growth);
}

/* ---- Calculating patches ---- */

static void forget_round(struct transaction *t) {
  patched_close(&t->patched);
  for (size_t i = 0; i < t->operations_n; i++) {
    store_record_unref(t->bases[i]);
    t->bases[i] = NULL;
  }
}

static bool has_patches(const struct transaction *t) {
  for (size_t i = 0; i < t->operations_n; i++)
    if (t->operations[i].is_patch) return true;
  return false;
}

/* The store may be read: what the patches are for is taken at once, as of one revision. */
static enum api_action begin_round(struct exchange *x, struct transaction *t) {
  if (idempotency_replay(x)) return API_RESPONDED;
  for (size_t i = 0; i < t->operations_n; i++) {
    struct operation *op = &t->operations[i];
    if (!op->is_patch) continue;
    struct store_record *base = store_get(replica_store(x->replica), op->command.collection, op->command.id);
    if (!store_condition_holds(&op->command, base))
      return answer_outcome(&x->answer, i, STORE_PRECONDITION_FAILED, base);
    if (base == NULL)
      return answer_failed(&x->answer, i,
                           &(struct failure){.problem = PROBLEM_DOCUMENT_NOT_FOUND,
                                             .detail = "There is no document of that id to be patched."});
    t->bases[i] = store_record_ref(base);
  }
  t->at = 0;
  t->patched_bytes = 0;
  return API_WORKING;
}

/* False: what the patch has made cannot be stored. */
static bool take_patched(struct operation *op, const struct patched *patched, struct patched_fault *fault) {
  struct slice document;
  op->document.n = 0;
  if (!patched_take(patched, op->command.id, &op->document, &document, fault)) return false;
  if (op->document.n == 0) bytes_append_slice(&op->document, document); /* which is the patch's */
  op->command.body = slice_of_bytes(&op->document);
  return true;
}

static enum api_action answer_patch_fault(struct exchange *x, size_t operation, struct patched_fault fault) {
  if (problem_status(fault.problem) == 400) return refuse(x, operation, fault.problem, fault.detail);
  const struct failure failure = {.problem = fault.problem,
                                  .detail = fault.detail,
                                  .has_patch_operation = fault.has_operation,
                                  .patch_operation = fault.operation};
  return answer_failed(&x->answer, operation, &failure);
}

static enum api_action calculate(struct exchange *x, struct transaction *t, size_t *budget) {
  struct patched_fault fault;
  for (; t->at < t->operations_n; t->at++) {
    struct operation *op = &t->operations[t->at];
    if (!op->is_patch) continue;
    if (!patched_is_open(&t->patched) &&
        !patched_open(&t->patched, x->api, op->kind, store_record_body(t->bases[t->at]), op->patch, budget)) {
      return API_WORKING;
    }
    switch (patched_go_on(&t->patched, budget, &fault)) {
    case JSON_PATCH_MORE:
      return API_WORKING;
    case JSON_PATCH_FAILED:
      return answer_patch_fault(x, t->at, fault);
    case JSON_PATCH_DONE:
      break;
    }
    if (!take_patched(op, &t->patched, &fault)) return answer_patch_fault(x, t->at, fault);
    patched_close(&t->patched);
    t->patched_bytes += op->command.body.n; /* no more of them are kept than an entry can have */
    if (t->patched_bytes > CORACLE_RAFT_ENTRY_BYTES_MAX) return refuse_whole_size(x);
  }
  return propose(x, t);
}

/* ---- Reading the operations ---- */

static enum api_action refuse_fault(struct exchange *x, size_t operation, const struct body_fault *fault) {
  return refuse(x, operation, fault->problem, fault->detail);
}

static bool is_alone(const struct transaction *t, size_t operation, struct body_fault *fault) {
  for (size_t i = 0; i < operation; i++) {
    if (!operation_is_on(&t->operations[i], &t->operations[operation])) continue;
    *fault = (struct body_fault){.problem = PROBLEM_DUPLICATE_OPERATION};
    snprintf(fault->detail, sizeof fault->detail,
             "Operation %zu (the first is 0) is on the same document; make one operation of both.", i);
    return false;
  }
  return true;
}

static enum api_action refuse_count(struct exchange *x) {
  answer_problem(&x->answer, PROBLEM_INVALID_TRANSACTION, "A transaction has 1 to %d operations.",
                 COMMAND_TRANSACTION_MAX);
  return API_RESPONDED;
}

static enum api_action read_operations(struct exchange *x, struct transaction *t, size_t *budget) {
  struct slice value;
  struct body_fault fault;
  while (json_next_element(&t->left, &value)) {
    if (t->operations_n == COMMAND_TRANSACTION_MAX) return refuse_count(x);
    const size_t i = t->operations_n++;
    struct operation *op = &t->operations[i];
    if (!operation_read(x, value, op, &fault) || !is_alone(t, i, &fault)) return refuse_fault(x, i, &fault);
    if (op->command.body.n > x->api->document_bytes_max) return refuse_size(x, i);
    const size_t used = OPERATION_UNITS + value.n;
    *budget -= used < *budget ? used : *budget;
    if (*budget == 0) return API_WORKING;
  }
  if (t->operations_n == 0) return refuse_count(x);
  t->is_read = true;
  if (has_patches(t)) return work_read(x, &t->work);
  return idempotency_replay(x) ? API_RESPONDED : propose(x, t);
}

/* ---- The work ---- */

static enum api_action go_on(struct exchange *x, struct work *work, size_t *budget) {
  struct transaction *t = CONTAINER_OF(work, struct transaction, work);
  return t->is_read ? calculate(x, t, budget) : read_operations(x, t, budget);
}

/* The store is as it is with that other write applied, which came later than this request: no read is needed.
 */
static enum api_action try_again(struct exchange *x, struct transaction *t) {
  forget_round(t);
  if (++t->attempts < PATCH_ATTEMPTS_MAX) return begin_round(x, t);
  answer_problem(
      &x->answer, PROBLEM_WRITE_CONFLICT,
      "Other writes changed what is to be patched %d times while it was calculated, and nothing took "
      "effect; try again.",
      PATCH_ATTEMPTS_MAX);
  return API_RESPONDED;
}

static enum api_action answer_applied(struct exchange *x, struct transaction *t,
                                      const struct store_result *result) {
  if (idempotency_answer(&x->answer, x->call, result)) return API_RESPONDED;
  switch (result->outcome) {
  case STORE_DONE:
    answer_done(x, t, result);
    return API_RESPONDED;
  case STORE_BASE_MOVED:
    return try_again(x, t);
  default:
    assert(result->outcome == STORE_REFUSED);
    return answer_outcome(&x->answer, result->failed, result->failed_outcome,
                          result->operations[result->failed].record);
  }
}

static enum api_action result(struct exchange *x, struct work *work, struct replica_result *result) {
  struct transaction *t = CONTAINER_OF(work, struct transaction, work);
  switch (result->verdict) {
  case REPLICA_READABLE:
    return begin_round(x, t);
  case REPLICA_APPLIED:
    return answer_applied(x, t, &result->store);
  default:
    break;
  }
  if (t->is_proposed)
    writes_refuse(&x->answer, result->verdict);
  else
    work_refuse_read(x, result->verdict);
  return API_RESPONDED;
}

static void transaction_free(struct transaction *t) {
  forget_round(t);
  for (size_t i = 0; i < t->operations_n; i++) operation_close(&t->operations[i]);
  bytes_close(&t->text);
  free(t);
}

static void release(struct replica *replica, struct work *work) {
  (void)replica;
  transaction_free(CONTAINER_OF(work, struct transaction, work));
}

/* ---- The endpoint ---- */

/* The array of operations, within the text; false: answered. */
static bool find_operations(struct exchange *x, struct slice text, struct slice *operations) {
  const struct slice value = json_trim(text);
  struct slice name, other;
  if (json_type(value) == JSON_OBJECT) {
    struct json_cursor cursor = json_open(value);
    if (json_next_member(&cursor, &name, operations) &&
        json_strings_equal(name, slice_of("\"operations\"")) && json_type(*operations) == JSON_ARRAY &&
        !json_next_member(&cursor, &name, &other)) {
      return true;
    }
  }
  answer_problem(&x->answer, PROBLEM_INVALID_TRANSACTION,
                 "A transaction is {\"operations\": [...]}, and nothing else beside.");
  return false;
}

enum api_action transaction_post(struct exchange *x) {
  static const struct work_type type = {go_on, result, release};
  struct slice operations;
  struct body_fault fault;
  if (!body_is_json(x) ||
      !conditions_refuse(x, "A transaction's conditions are if_match and if_none_match in its operations.")) {
    return API_RESPONDED;
  }
  if (!body_check(x->api, x->request->body, &fault)) {
    body_refuse(&x->answer, &fault);
    return API_RESPONDED;
  }
  struct transaction *t = memory_zalloc(sizeof *t);
  bytes_append_slice(&t->text, x->request->body);
  if (!find_operations(x, slice_of_bytes(&t->text), &operations) || !idempotency_begin(x)) {
    transaction_free(t);
    return API_RESPONDED;
  }
  t->left = json_open(operations);
  return work_begin(x, &t->work, &type);
}
