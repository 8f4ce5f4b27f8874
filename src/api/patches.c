/* PATCH: a document changed in part (RFC 5789), by a merge patch or a JSON patch.
 *
 * What the document comes to is calculated here, in slices, from the document of one moment, and goes into
 * the log on the condition that it is still that one then. Where it is not, all begins anew from what it has
 * become. The moment is that of a linearizable read, so what is refused without going into the log (404, 412,
 * 422) is as true as any read. */
#include <assert.h>
#include <sodium.h>
#include <stdlib.h>

#include "api/conditions.h"
#include "api/content.h"
#include "api/field.h"
#include "api/idempotency.h"
#include "api/members.h"
#include "api/patched.h"
#include "api/reads.h"
#include "api/work.h"
#include "api/writes.h"
#include "base/memory.h"

/* Of what a result is waited for. */
enum awaited { AWAITED_READ, AWAITED_OTHER, AWAITED_OUTCOME };

enum { PATCH_WAIT_MS = 200 };

struct patching {
  struct work work;
  enum json_patch_kind kind;
  struct bytes text;         /* of the request's body; owned */
  struct bytes names;        /* collection and id; owned */
  struct command command;    /* without a body; its condition is the client's, judged on the base */
  struct store_record *base; /* what is patched, while that is calculated; owned */
  struct patched patched;    /* its calculation */
  unsigned attempts;
  uint64_t deadline_ms; /* until then it waits for other patches */
  enum awaited awaited;
  struct list_link proposed; /* in its bucket of api->proposed_patches, while it is in the log */
  uint64_t base_revision;    /* then: of what it was calculated from */
};

static void forget_round(struct patching *p) {
  patched_close(&p->patched);
  store_record_unref(p->base);
  p->base = NULL;
}

/* ---- One after the other ---- */

/* Of several patches of one document that are in the log at the same time the first succeeds, and the others
 * have to be calculated again. So those that come to one leader wait for each other. */

static struct list *bucket_of(struct api *api, const struct patching *p) {
  uint8_t hash[crypto_shorthash_BYTES];
  _Static_assert(API_SECRET_BYTES == crypto_shorthash_KEYBYTES, "the secret is a key");
  crypto_shorthash(hash, p->names.data, p->names.n, api->secret);
  return &api->proposed_patches[hash[0] & (PROPOSED_BUCKETS - 1)];
}

/* Another one is in the log that was calculated from the same. (If the document has changed since, that one
 * is decided, even if it has not heard it yet.) */
static bool has_to_wait(struct exchange *x, const struct patching *p) {
  const struct list *bucket = bucket_of(x->api, p);
  for (struct list_link *link = list_first(bucket); link != NULL; link = list_next(bucket, link)) {
    const struct patching *other = CONTAINER_OF(link, struct patching, proposed);
    if (other->base_revision == p->base->revision && slice_equal(other->command.id, p->command.id) &&
        slice_equal(other->command.collection, p->command.collection)) {
      return true;
    }
  }
  return false;
}

/* For something to be applied; or for a moment, since the other one may end without it. */
static enum api_action wait_for_other(struct exchange *x, struct patching *p) {
  forget_round(p);
  if (x->view->now_ms >= p->deadline_ms) {
    answer_problem(&x->answer, PROBLEM_WRITE_CONFLICT,
                   "Other patches of the document have not let this one through, so it has not taken effect; "
                   "try again.");
    return API_RESPONDED;
  }
  p->awaited = AWAITED_OTHER;
  return work_wait(x, &p->work, PATCH_WAIT_MS);
}

/* ---- Calculating ---- */

static enum api_action refuse(struct exchange *x, struct patched_fault fault) {
  struct bytes body = {0};
  if (fault.problem == PROBLEM_DOCUMENT_TOO_LARGE) {
    writes_refuse_size(&x->answer);
    return API_RESPONDED;
  }
  problem_open(&body, fault.problem, "%s", fault.detail);
  if (fault.has_operation) member_u64(&body, "operation", fault.operation);
  answer_begin_problem(&x->answer, fault.problem);
  answer_end_problem(&x->answer, &body);
  return API_RESPONDED;
}

/* The store may be read. */
static enum api_action begin_round(struct exchange *x, struct patching *p) {
  const char *detail;
  if (idempotency_replay(x)) return API_RESPONDED;
  struct store_record *base = store_get(replica_store(x->replica), p->command.collection, p->command.id);
  if (!store_condition_holds(&p->command, base)) {
    const enum problem problem = writes_problem(STORE_PRECONDITION_FAILED, base, &detail);
    answer_conflict(&x->answer, problem, base, detail);
    return API_RESPONDED;
  }
  if (base == NULL) {
    answer_problem(&x->answer, PROBLEM_DOCUMENT_NOT_FOUND,
                   "There is no document of that id to be patched; PUT creates one.");
    return API_RESPONDED;
  }
  p->base = store_record_ref(base);
  return API_WORKING;
}

static enum api_action propose(struct exchange *x, struct patching *p) {
  struct command command = p->command;
  struct bytes storage = {0};
  struct patched_fault fault;
  enum api_action action = API_RESPONDED;
  command.condition = COMMAND_IF_BASE;
  command.revision = p->base_revision = p->base->revision;
  if (!patched_take(&p->patched, command.id, &storage, &command.body, &fault)) {
    refuse(x, fault);
  } else {
    const uint64_t growth = writes_growth(x, &command);
    if (writes_have_room(x, growth)) action = work_propose(x, &p->work, &command, growth);
  }
  bytes_close(&storage);
  forget_round(p);
  p->awaited = AWAITED_OUTCOME;
  if (action == API_WAITING) list_append(bucket_of(x->api, p), &p->proposed);
  return action;
}

/* Again, from the document as it is now. Where it was found in the log that another write came first, the
 * store is as that has left it: no read is needed. */
static enum api_action try_again(struct exchange *x, struct patching *p) {
  forget_round(p);
  if (++p->attempts < PATCH_ATTEMPTS_MAX) return begin_round(x, p);
  answer_problem(
      &x->answer, PROBLEM_WRITE_CONFLICT,
      "Other writes changed the document %d times while the patch was calculated, so it has not taken "
      "effect; try again.",
      PATCH_ATTEMPTS_MAX);
  return API_RESPONDED;
}

static bool has_moved(struct exchange *x, const struct patching *p) {
  const struct store_record *current =
      store_get(replica_store(x->replica), p->command.collection, p->command.id);
  return current == NULL || current->revision != p->base->revision;
}

static enum api_action go_on(struct exchange *x, struct work *work, size_t *budget) {
  struct patching *p = CONTAINER_OF(work, struct patching, work);
  struct patched_fault fault;
  if (has_moved(x, p)) return try_again(x, p);
  if (has_to_wait(x, p)) return wait_for_other(x, p);
  if (!patched_is_open(&p->patched) && !patched_open(&p->patched, x->api, p->kind, store_record_body(p->base),
                                                     slice_of_bytes(&p->text), budget)) {
    return API_WORKING;
  }
  switch (patched_go_on(&p->patched, budget, &fault)) {
  case JSON_PATCH_MORE:
    return API_WORKING;
  case JSON_PATCH_FAILED:
    return refuse(x, fault);
  case JSON_PATCH_DONE:
    break;
  }
  return propose(x, p);
}

/* ---- Results ---- */

static enum api_action answer_applied(struct exchange *x, struct patching *p,
                                      const struct store_result *result) {
  if (idempotency_answer(&x->answer, x->call, result)) return API_RESPONDED;
  if (result->outcome == STORE_BASE_MOVED) return try_again(x, p);
  assert(result->outcome == STORE_REPLACED);
  writes_answer_stored(&x->answer, x->call, 200, result->record, false);
  return API_RESPONDED;
}

static enum api_action result(struct exchange *x, struct work *work, struct replica_result *result) {
  struct patching *p = CONTAINER_OF(work, struct patching, work);
  const enum replica_verdict verdict = result->verdict;
  switch (p->awaited) {
  case AWAITED_READ:
    return verdict == REPLICA_READABLE ? begin_round(x, p) : work_refuse_read(x, verdict);
  case AWAITED_OTHER:
    if (verdict == REPLICA_READABLE || verdict == REPLICA_TOO_LATE) return begin_round(x, p);
    return work_refuse_read(x, verdict);
  case AWAITED_OUTCOME:
    break;
  }
  list_remove(&p->proposed);
  if (verdict == REPLICA_APPLIED) return answer_applied(x, p, &result->store);
  writes_refuse(&x->answer, verdict);
  return API_RESPONDED;
}

static void patching_free(struct patching *p) {
  if (list_is_linked(&p->proposed)) list_remove(&p->proposed);
  forget_round(p);
  bytes_close(&p->text);
  bytes_close(&p->names);
  free(p);
}

static void release(struct replica *replica, struct work *work) {
  (void)replica;
  patching_free(CONTAINER_OF(work, struct patching, work));
}

/* ---- The endpoint ---- */

/* False: answered with 415 and Accept-Patch (RFC 5789, 2.2). */
static bool read_kind(struct exchange *x, enum json_patch_kind *kind) {
  struct slice list = http_request_header(x->request, "Content-Type");
  const struct slice type = field_take(&list, ';'); /* parameters change nothing */
  *kind = slice_is_caseless(type, "application/json-patch+json") ? JSON_PATCH : JSON_MERGE_PATCH;
  if (http_request_header_count(x->request, "Content-Type") == 1 &&
      (*kind == JSON_PATCH || slice_is_caseless(type, "application/merge-patch+json") ||
       slice_is_caseless(type, "application/json"))) {
    return true;
  }
  content_refuse_type(x, "Send the members to change with Content-Type: application/merge-patch+json (or "
                         "application/json), or a list of operations with application/json-patch+json.");
  return false;
}

static bool read_conditions(struct exchange *x, struct command *command) {
  const struct store_record *current = store_get(replica_store(x->replica), x->collection, x->id);
  return conditions_of_write(x, current ? current->revision : 0, command);
}

static void keep_names(struct exchange *x, struct patching *p) {
  bytes_append_slice(&p->names, x->collection);
  bytes_append_slice(&p->names, x->id);
  const char *names = (const char *)p->names.data;
  p->command.collection = (struct slice){names, x->collection.n};
  p->command.id = (struct slice){names + x->collection.n, x->id.n};
}

enum api_action document_patch(struct exchange *x) {
  static const struct work_type type = {go_on, result, release};
  struct command command = {.type = COMMAND_PUT, .condition = COMMAND_ALWAYS};
  struct body_fault fault;
  enum json_patch_kind kind;
  if (!read_kind(x, &kind)) return API_RESPONDED;
  if (!body_check(x->api, x->request->body, &fault)) {
    body_refuse(&x->answer, &fault);
    return API_RESPONDED;
  }
  if (!read_conditions(x, &command) || !idempotency_begin(x)) return API_RESPONDED;
  struct patching *p = memory_zalloc(sizeof *p);
  p->kind = kind;
  p->command = command;
  p->deadline_ms = x->view->now_ms + WAIT_DEFAULT_MS;
  bytes_append_slice(&p->text, json_trim(x->request->body));
  keep_names(x, p);
  work_begin(x, &p->work, &type);
  return work_read(x, &p->work);
}
