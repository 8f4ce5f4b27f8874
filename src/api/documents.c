/* One document. To read it, its bytes are copied, nothing of it is parsed. To change it, a command is
 * proposed now, and the request answered when it has been applied. */
#include "api/accept.h"
#include "api/body.h"
#include "api/conditions.h"
#include "api/idempotency.h"
#include "api/writes.h"
#include "http/response.h"

enum api_action document_get(struct exchange *x) {
  const struct answer *a = &x->answer;
  const struct store_record *record = store_get(replica_store(x->replica), x->collection, x->id);
  if (record == NULL) {
    answer_problem(a, PROBLEM_DOCUMENT_NOT_FOUND,
                   "There is no document of that id here; list the collection to see what there is.");
    return API_RESPONDED;
  }
  switch (conditions_of_read(x, record->revision)) {
  case CONDITIONS_ANSWERED:
    break;
  case CONDITIONS_FAILED:
    answer_conflict(a, PROBLEM_PRECONDITION_FAILED, record,
                    "The document is not at a revision that If-Match names.");
    break;
  case CONDITIONS_NOT_MODIFIED:
    answer_begin(a, 304, CACHE_NO_CACHE);
    answer_etag(a, record->revision);
    answer_end_empty(a);
    break;
  case CONDITIONS_HOLD:
    answer_begin(a, 200, CACHE_NO_CACHE);
    answer_etag(a, record->revision);
    http_response_end(a->out, "application/json", store_record_body(record), a->keep_alive, a->head_only);
  }
  return API_RESPONDED;
}

/* ---- Changing ---- */

/* The request has been found right. */
static enum api_action propose(struct exchange *x, enum write_kind kind, const struct command *command) {
  const uint64_t growth = writes_growth(x, command);
  if (idempotency_replay(x) || !writes_have_room(x, growth)) return API_RESPONDED;
  x->call->kind = (uint8_t)kind;
  return writes_propose(x, command, growth) ? API_WAITING : API_RESPONDED;
}

static bool read_conditions(struct exchange *x, struct command *command) {
  const struct store_record *current = store_get(replica_store(x->replica), command->collection, command->id);
  return conditions_of_write(x, current ? current->revision : 0, command);
}

static enum api_action store_document(struct exchange *x, enum write_kind kind, const struct body *body,
                                      struct slice id) {
  struct bytes storage = {0};
  enum api_action action = API_RESPONDED;
  struct command command = {
      .type = COMMAND_PUT,
      .condition = kind == WRITE_POST ? COMMAND_CREATE : COMMAND_ALWAYS,
      .collection = x->collection,
      .id = id,
      .body = body_document(body, id, &storage),
  };
  if (command.body.n > x->api->document_bytes_max) {
    writes_refuse_size(&x->answer);
  } else if (read_conditions(x, &command) && idempotency_begin(x)) {
    if (kind == WRITE_POST) idempotency_locate(x, id, !body->has_id);
    action = propose(x, kind, &command);
  }
  bytes_close(&storage);
  return action;
}

enum api_action document_post(struct exchange *x) {
  if (media_is_sent(x->request, MEDIA_NDJSON)) return collection_import(x);
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
    action = store_document(x, WRITE_POST, &body, id);
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
    action = store_document(x, WRITE_PUT, &body, x->id);
  } else {
    answer_problem(&x->answer, PROBLEM_ID_MISMATCH,
                   "\"id\" in the body must be the id in the URL, as a string or an integer; change one, or "
                   "leave it out.");
  }
  body_close(&body);
  return action;
}

enum api_action document_delete(struct exchange *x) {
  struct command command = {
      .type = COMMAND_DELETE, .condition = COMMAND_ALWAYS, .collection = x->collection, .id = x->id};
  if (!read_conditions(x, &command) || !idempotency_begin(x)) return API_RESPONDED;
  return propose(x, WRITE_DELETE, &command);
}

/* All of its documents, whatever they are: there is no revision of a collection that could be asked for. */
enum api_action collection_drop(struct exchange *x) {
  const struct command command = {.type = COMMAND_DROP, .collection = x->collection};
  if (!conditions_refuse(
          x, "A collection has no ETag; leave If-Match and If-None-Match out, or delete documents one "
             "by one.") ||
      !idempotency_begin(x)) {
    return API_RESPONDED;
  }
  return propose(x, WRITE_DROP, &command);
}
