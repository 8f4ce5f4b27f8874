/* Problem details (RFC 9457): every error this room answers with, in one table.
 *
 * A problem is told apart by its "code", which is stable; the sentence in "detail" is for people and may
 * change. "type" is "about:blank" throughout: the code says all that a URI would. */
#ifndef CORACLE_API_PROBLEM_H
#define CORACLE_API_PROBLEM_H

#include "base/bytes.h"

/*  symbol               status  code                      title */
#define API_PROBLEMS(X)                                                                                      \
  X(MALFORMED_REQUEST, 400, "malformed_request", "The request is malformed")                                 \
  X(INVALID_JSON, 400, "invalid_json", "The body is not valid JSON")                                         \
  X(NOT_AN_OBJECT, 400, "not_an_object", "The body is not a JSON object")                                    \
  X(TOO_DEEP, 400, "too_deep", "The document is nested too deeply")                                          \
  X(TOO_MANY_KEYS, 400, "too_many_keys", "An object of the document has too many members")                   \
  X(INVALID_COLLECTION, 400, "invalid_collection", "The collection's name is not allowed")                   \
  X(INVALID_ID, 400, "invalid_id", "The document's id is not allowed")                                       \
  X(ID_MISMATCH, 400, "id_mismatch", "The ids in the body and in the URL differ")                            \
  X(INVALID_PARAMETER, 400, "invalid_parameter", "A query parameter is not understood")                      \
  X(INVALID_PRECONDITION, 400, "invalid_precondition", "A precondition is not understood")                   \
  X(INVALID_IDEMPOTENCY_KEY, 400, "invalid_idempotency_key", "The idempotency key is not understood")        \
  X(TOKEN_MISSING, 401, "token_missing", "A write token is needed")                                          \
  X(TOKEN_WRONG, 403, "token_wrong", "The write token is not this node's")                                   \
  X(INVALID_TRANSACTION, 400, "invalid_transaction", "The transaction is not understood")                    \
  X(DUPLICATE_OPERATION, 400, "duplicate_operation", "Two operations are on one document")                   \
  X(INVALID_PATCH, 400, "invalid_patch", "The patch is not understood")                                      \
  X(NOT_LEADER_REFUSED, 403, "not_leader", "This node is not the leader")                                    \
  X(NOT_LEADER_REDIRECT, 307, "not_leader", "This node is not the leader")                                   \
  X(NOT_LEADER, 503, "not_leader", "This node is not the leader")                                            \
  X(HOST_NOT_ALLOWED, 403, "host_not_allowed", "The request is meant for another host")                      \
  X(ORIGIN_NOT_ALLOWED, 403, "origin_not_allowed", "The web page may not use this node")                     \
  X(NOT_FOUND, 404, "not_found", "There is nothing at this path")                                            \
  X(DOCUMENT_NOT_FOUND, 404, "document_not_found", "There is no such document")                              \
  X(METHOD_NOT_ALLOWED, 405, "method_not_allowed", "The method is not allowed here")                         \
  X(NOT_ACCEPTABLE, 406, "not_acceptable", "The answer is of no type that Accept allows")                     \
  X(DOCUMENT_EXISTS, 409, "document_exists", "A document of that id exists")                                 \
  X(IDEMPOTENCY_KEY_IN_FLIGHT, 409, "idempotency_key_in_flight", "A request with this key is under way")     \
  X(WRITE_CONFLICT, 409, "write_conflict", "Other writes came in between each time")                         \
  X(TRANSACTION_FAILED, 409, "transaction_failed", "An operation failed, so none took effect")               \
  X(PRECONDITION_FAILED, 412, "precondition_failed", "The precondition does not hold")                       \
  X(DOCUMENT_TOO_LARGE, 413, "document_too_large", "The document is too large")                              \
  X(TRANSACTION_TOO_LARGE, 413, "transaction_too_large", "The transaction is too large")                     \
  X(UNSUPPORTED_MEDIA_TYPE, 415, "unsupported_media_type", "The body is not declared as JSON")               \
  X(UNSUPPORTED_CONTENT_ENCODING, 415, "unsupported_content_encoding", "The body is not sent as it is")      \
  X(PATCH_TEST_FAILED, 422, "patch_test_failed", "A test of the patch failed")                               \
  X(PATCH_NOT_APPLICABLE, 422, "patch_not_applicable", "The patch does not fit the document")                \
  X(IDEMPOTENCY_KEY_REUSED, 422, "idempotency_key_reused", "The idempotency key was another request's")       \
  X(UPGRADE_REQUIRED, 426, "upgrade_required", "Only the replication protocol is spoken here")               \
  X(NO_LEADER, 503, "no_leader", "No leader is known")                                                       \
  X(LEADER_UNREACHABLE, 503, "leader_unreachable", "The leader could not be asked")                          \
  X(TOO_STALE, 503, "too_stale", "The data here is older than the request allows")                           \
  X(REVISION_NOT_REACHED, 504, "revision_not_reached", "This node has not applied that revision")            \
  X(READ_TIMED_OUT, 504, "read_timed_out", "The leader did not confirm the read in time")                    \
  X(NOT_READY, 503, "not_ready", "This node cannot serve yet")                                               \
  X(WRITES_STOPPED, 503, "writes_stopped", "The leader takes no writes")                                     \
  X(BUSY, 503, "busy", "Too much is waiting to be committed")                                                \
  X(OUTCOME_UNKNOWN, 504, "outcome_unknown", "The outcome of the write is not known")                        \
  X(DISK_FULL, 507, "disk_full", "There is no room on the disk")                                             \
  X(STORE_FULL, 507, "store_full", "The documents have all the room that they may have")

enum problem {
#define X(symbol, status, code, title) PROBLEM_##symbol,
  API_PROBLEMS(X)
#undef X
};

int problem_status(enum problem);
const char *problem_code(enum problem);

enum { PROBLEM_DETAIL_BYTES_MAX = 1024 }; /* a longer one, from what a client sent, is cut */

/* Appends the object but for its closing brace, so that members may follow (api/members.h). The detail is a
 * sentence that tells what to do. */
__attribute__((format(printf, 3, 4))) void problem_open(struct bytes *, enum problem, const char *detail,
                                                        ...);
__attribute__((format(printf, 3, 0))) void problem_open_v(struct bytes *, enum problem, const char *detail,
                                                          va_list);
/* The same for what the http room found wrong, whose status and code are its own. */
void problem_open_http(struct bytes *, int status, const char *code, const char *detail);

#endif
