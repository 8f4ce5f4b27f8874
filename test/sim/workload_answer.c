/* What an answer says of each part of what was asked. */
#include "workload.h"

#include <inttypes.h>
#include <stdlib.h>

static uint64_t number_after(const char *text, const char *before) {
  const char *at = text != NULL ? strstr(text, before) : NULL;
  return at != NULL ? strtoull(at + strlen(before), NULL, 10) : 0;
}

static bool has_code(const struct answer_seen *answer, const char *code) {
  const char *body = (const char *)answer->body.data, *at = strstr(body, "\"code\":\"");
  return at != NULL && strncmp(at + strlen("\"code\":\""), code, strlen(code)) == 0;
}

/* ---- One document ---- */

static void read_one(const struct worker *worker, const struct answer_seen *answer,
                     struct client_result *result) {
  const char *body = (const char *)answer->body.data;
  switch (answer->status) {
  case 200:
  case 201:
    result->outcome = CLIENT_OK;
    result->revision = number_after(answer_header(answer, "ETag"), "\"");
    if (worker->parts[0].operation.method == CLIENT_GET) result->value = number_after(body, "\"v\":");
    break;
  case 204:
    result->outcome = CLIENT_OK;
    break;
  case 404:
    result->outcome = CLIENT_NOT_FOUND;
    break;
  case 409:
    result->outcome = CLIENT_CONFLICT;
    break;
  default: /* 412 */
    result->outcome = CLIENT_PRECONDITION_FAILED;
    result->value = number_after(body, "\"v\":");
    break;
  }
}

static void read_dropped(struct sim *s, const struct worker *worker, const struct answer_seen *answer,
                         struct client_result results[PARTS_MAX]) {
  WORLD_CHECK(s->world, answer->status == 204);
  for (size_t i = 0; i < worker->parts_n; i++) results[i].outcome = CLIENT_OK;
}

/* ---- A transaction ---- */

/* All of it took effect, as one entry of the log. The answer names that with each document that there is
 * then; a replay names none. */
static void read_done(const struct worker *worker, const struct answer_seen *answer,
                      struct client_result results[PARTS_MAX]) {
  const uint64_t revision = number_after((const char *)answer->body.data, "\"etag\":\"\\\"");
  for (size_t i = 0; i < worker->parts_n; i++)
    results[i] = (struct client_result){.outcome = CLIENT_OK, .revision = revision};
}

static enum client_outcome outcome_of(const char *problem) {
  if (strstr(problem, "\"precondition_failed\"") != NULL) return CLIENT_PRECONDITION_FAILED;
  if (strstr(problem, "\"document_not_found\"") != NULL) return CLIENT_NOT_FOUND;
  return strstr(problem, "\"document_exists\"") != NULL ? CLIENT_CONFLICT : CLIENT_REFUSED;
}

/* Nothing took effect, because of one of them. Of the others that is all that is known. */
static void read_failed(struct sim *s, const struct worker *worker, const struct answer_seen *answer,
                        struct client_result results[PARTS_MAX]) {
  const char *body = (const char *)answer->body.data;
  const size_t failed = (size_t)number_after(body, "\"operation\":");
  WORLD_CHECK(s->world, has_code(answer, "transaction_failed") && failed < worker->parts_n);
  for (size_t i = 0; i < worker->parts_n; i++) results[i] = (struct client_result){.outcome = CLIENT_REFUSED};
  results[failed].outcome = outcome_of(body);
  WORLD_CHECK(s->world, results[failed].outcome != CLIENT_REFUSED);
  if (results[failed].outcome != CLIENT_NOT_FOUND) results[failed].value = number_after(body, "\"v\":");
}

/* ---- Any ---- */

static enum workload_verdict judge(struct sim *s, const struct worker *worker,
                                   const struct answer_seen *answer) {
  switch (answer->status) {
  case 200:
  case 201:
  case 204:
  case 404:
  case 412:
    return WORKLOAD_DECIDED;
  case 409:
    if (has_code(answer, "write_conflict")) return WORKLOAD_REFUSED;
    /* Under way is what was asked for and not waited for. */
    return has_code(answer, "idempotency_key_in_flight") ? WORKLOAD_UNKNOWN : WORKLOAD_DECIDED;
  case 504:
    return WORKLOAD_UNKNOWN;
  case 307:
  case 403:
  case 503:
  case 507:
    return WORKLOAD_REFUSED;
  default: /* what is asked is well formed, and each key is another request's */
    world_fail(s->world, "%s %s is answered with %d: %s", worker->method, worker->target, answer->status,
               (const char *)answer->body.data);
  }
}

enum workload_verdict workload_read(struct sim *s, const struct worker *worker,
                                    const struct answer_seen *answer,
                                    struct client_result results[PARTS_MAX]) {
  const enum workload_verdict verdict = judge(s, worker, answer);
  const bool is_replay = answer_header(answer, "Idempotency-Replayed") != NULL;
  WORLD_CHECK(s->world, !is_replay || (worker->has_key && verdict == WORKLOAD_DECIDED));
  s->counts[COUNT_REPLAYED] += is_replay;
  for (size_t i = 0; i < PARTS_MAX; i++)
    results[i] =
        (struct client_result){.outcome = verdict == WORKLOAD_REFUSED ? CLIENT_REFUSED : CLIENT_UNKNOWN};
  if (verdict != WORKLOAD_DECIDED) return verdict;
  if (worker->is_drop)
    read_dropped(s, worker, answer, results);
  else if (!worker->is_transaction)
    read_one(worker, answer, &results[0]);
  else if (answer->status == 200)
    read_done(worker, answer, results);
  else
    read_failed(s, worker, answer, results);
  return verdict;
}
