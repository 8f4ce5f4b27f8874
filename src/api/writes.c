/* Changing one document: a command is proposed now, and the request answered when it has been applied. */
#include "api/writes.h"
#include "api/access.h"
#include "api/body.h"
#include "api/conditions.h"
#include "api/members.h"
#include "api/preferences.h"
#include "http/response.h"

#include <inttypes.h>

/* What api_call.kind remembers of a write. */
enum kind { KIND_POST = 1, KIND_PUT, KIND_DELETE };

/* By how much the documents grow with the command if it is applied to the store as it is now. */
static uint64_t growth_of(const struct command *command, const struct store_record *current) {
  if (command->type == COMMAND_DELETE) return 0;
  const uint64_t replaced = current != NULL ? current->body_bytes : 0;
  const uint64_t names = current != NULL ? 0 : command->collection.n + command->id.n;
  return command->body.n > replaced ? names + command->body.n - replaced : 0;
}

static void answer_store_full(const struct exchange *x) {
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

/* The leader decides when a write comes, and nobody when it is applied, where all nodes must do the same
 * whatever their limits are. What waits is counted as if all of it took effect, so the limit may be met a
 * little early; where a document that waits to be deleted is written again, a little late. */
static bool has_room(const struct exchange *x, uint64_t growth) {
  const uint64_t bytes = store_bytes(replica_store(x->replica)) + replica_pending_bytes(x->replica);
  const uint64_t limit = x->api->data_bytes_max;
  if (growth == 0 || limit == 0 || (bytes <= limit && growth <= limit - bytes)) return true;
  answer_store_full(x);
  return false;
}

static enum api_action propose(struct exchange *x, enum kind kind, struct command *command) {
  const struct store_record *current = store_get(replica_store(x->replica), command->collection, command->id);
  const uint64_t growth = growth_of(command, current);
  if (!conditions_of_write(x, current ? current->revision : 0, command)) return API_RESPONDED;
  if (!has_room(x, growth)) return API_RESPONDED;
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(command));
  if (entry == NULL) {
    answer_problem(&x->answer, PROBLEM_BUSY, "There is no memory for the write now; try again.");
    return API_RESPONDED;
  }
  command_encode(command, entry->data);
  x->call->kind = (uint8_t)kind;
  x->call->minimal = prefers_minimal(x->request);
  replica_propose(x->replica, entry, growth, x->waiter);
  return API_WAITING;
}

static void answer_too_large(const struct answer *a) {
  struct bytes body = {0};
  problem_open(&body, PROBLEM_DOCUMENT_TOO_LARGE, "A document can have %zu bytes, its id included; split it.",
               a->api->document_bytes_max);
  member_u64(&body, "limit", a->api->document_bytes_max);
  answer_begin_problem(a, PROBLEM_DOCUMENT_TOO_LARGE);
  answer_end_problem(a, &body);
}

static enum api_action propose_document(struct exchange *x, enum kind kind, const struct body *body,
                                        struct slice id) {
  struct bytes storage = {0};
  struct slice document = body_document(body, id, &storage);
  enum api_action action = API_RESPONDED;
  if (document.n > x->api->document_bytes_max) {
    answer_too_large(&x->answer);
  } else {
    struct command command = {
        .type = COMMAND_PUT,
        .condition = kind == KIND_POST ? COMMAND_CREATE : COMMAND_ALWAYS,
        .collection = x->collection,
        .id = id,
        .body = document,
    };
    action = propose(x, kind, &command);
  }
  bytes_close(&storage);
  return action;
}

enum api_action document_post(struct exchange *x) {
  struct body body;
  char made[ULID_CHARACTERS];
  struct slice id = {made, sizeof made};
  enum api_action action = API_RESPONDED;
  if (!body_read(x, &body)) return API_RESPONDED;
  if (body.has_id)
    id = slice_of_bytes(&body.id);
  else
    ulids_next(&x->api->ulids, x->view->wall_ms, made);
  if (document_id_is_valid(id))
    action = propose_document(x, KIND_POST, &body, id);
  else
    answer_invalid_id(&x->answer);
  body_close(&body);
  return action;
}

enum api_action document_put(struct exchange *x) {
  struct body body;
  enum api_action action = API_RESPONDED;
  if (!body_read(x, &body)) return API_RESPONDED;
  if (!body.has_id || slice_equal(slice_of_bytes(&body.id), x->id)) {
    action = propose_document(x, KIND_PUT, &body, x->id);
  } else {
    answer_problem(
        &x->answer, PROBLEM_ID_MISMATCH,
        "\"id\" in the body must be a string equal to the id in the URL; change one, or leave it out.");
  }
  body_close(&body);
  return action;
}

enum api_action document_delete(struct exchange *x) {
  struct command command = {
      .type = COMMAND_DELETE, .condition = COMMAND_ALWAYS, .collection = x->collection, .id = x->id};
  return propose(x, KIND_DELETE, &command);
}

static void answer_location(const struct answer *a, const struct store_record *record) {
  struct bytes location = {0};
  bytes_append_string(&location, "/v1/collections/");
  percent_encode(&location, store_record_collection(record));
  bytes_append_string(&location, "/");
  percent_encode(&location, store_record_id(record));
  http_response_header(a->out, "Location", slice_of_bytes(&location));
  bytes_close(&location);
}

static void answer_stored(const struct answer *a, const struct api_call *call, int status,
                          const struct store_record *record) {
  answer_begin(a, call->minimal ? 204 : status, CACHE_NO_STORE);
  answer_etag(a, record->revision);
  if (call->kind == KIND_POST) answer_location(a, record);
  if (call->minimal) {
    http_response_header(a->out, "Preference-Applied", slice_of("return=minimal"));
    answer_end_empty(a);
  } else {
    http_response_end(a->out, "application/json", store_record_body(record), a->keep_alive, a->head_only);
  }
}

static void answer_applied(const struct answer *a, const struct api_call *call,
                           const struct store_result *result) {
  switch (result->outcome) {
  case STORE_CREATED:
    answer_stored(a, call, 201, result->record);
    break;
  case STORE_REPLACED:
    answer_stored(a, call, 200, result->record);
    break;
  case STORE_DELETED:
    answer_begin(a, 204, CACHE_NO_STORE);
    answer_end_empty(a);
    break;
  case STORE_EXISTS:
    answer_conflict(
        a, PROBLEM_DOCUMENT_EXISTS, result->record,
        "POST only creates; send PUT to the document's own URL to replace it, or take another id.");
    break;
  case STORE_NOT_FOUND:
    answer_problem(a, PROBLEM_DOCUMENT_NOT_FOUND, "There is no document of that id, so none was deleted.");
    break;
  case STORE_PRECONDITION_FAILED:
    answer_conflict(
        a, PROBLEM_PRECONDITION_FAILED, result->record,
        result->record
            ? "The document is now as \"current\" has it, at the revision of ETag; start from that."
            : "There is no such document, so If-Match cannot hold; leave it out.");
  }
}

void writes_complete(struct api *api, const struct api_view *view, const struct api_call *call,
                     struct replica_result *result, struct bytes *out) {
  struct answer a = {api, view, call->keep_alive, call->head_only, out, false};
  switch (result->verdict) {
  case REPLICA_APPLIED:
    answer_applied(&a, call, &result->store);
    store_record_unref(result->store.record);
    result->store.record = NULL;
    break;
  case REPLICA_UNKNOWN:
    answer_outcome_unknown(&a);
    break;
  case REPLICA_NOT_LEADER:
    access_refuse_leaderless(&a);
    break;
  case REPLICA_BUSY:
  case REPLICA_READABLE:
  case REPLICA_TOO_LATE:
    answer_problem(&a, PROBLEM_BUSY,
                   "Too much is waiting to be committed, so the write was not taken; try again.");
  }
}
