/* Many documents at once, one a line (application/x-ndjson), answered line by line.
 *
 * Each line is a write of its own and succeeds or fails alone; they share entries of the log, a batch at a
 * time, and while one is under way the connection goes on filling call->body. The answer begins with the
 * first thing there is to say: a client that waits for 100 Continue gets that first. */
#include <stdio.h>
#include <stdlib.h>

#include "api/accept.h"
#include "api/access.h"
#include "api/body.h"
#include "api/conditions.h"
#include "api/idempotency.h"
#include "api/import_batch.h"
#include "api/ulid.h"
#include "api/work.h"
#include "api/writes.h"
#include "base/memory.h"
#include "http/response.h"
#include "json/text.h"

enum {
  IMPORTS_MAX = 16,             /* under way at a time */
  BODY_AHEAD_BYTES = 64 * 1024, /* that may wait behind a line of the greatest length */
  LINE_UNITS = 512,             /* of the budget: what a line takes besides looking at its bytes */
};

struct import {
  struct work work;
  struct api *api;
  struct bytes collection; /* owned */
  bool replaces;
  bool has_begun; /* the answer has */
  bool is_over;   /* this node does not lead any more: no further line is tried */
  uint64_t line;  /* number of the last one that was taken, or that is being skipped */
  size_t taken;   /* bytes at the front of call->body that were used */
  size_t scanned; /* bytes behind them in which no line ends */
  bool skipping;  /* the line is too long, and was said to be: up to its end nothing is kept */
  struct import_batch batch;
};

/* ---- Lines ---- */

enum found {
  FOUND_LINE,
  FOUND_LONG, /* one that is too long, whether its end is there or not */
  FOUND_PART, /* more of the body has to come */
  FOUND_END,
};

static struct slice rest_of(const struct import *i, const struct api_call *call) {
  const struct slice body = slice_of_bytes(&call->body);
  return i->taken < body.n ? (struct slice){body.at + i->taken, body.n - i->taken} : (struct slice){0};
}

static void take(struct import *i, size_t n) {
  i->taken += n;
  i->scanned = 0;
}

/* What was used is moved out of the way: not for each line, since that moves all that follows. */
static void make_room(struct import *i, struct api_call *call, bool all) {
  if (!all && i->taken <= call->body.n / 2) return;
  bytes_consume(&call->body, i->taken);
  i->taken = 0;
}

static struct slice without_return(struct slice line) {
  if (line.n > 0 && line.at[line.n - 1] == '\r') line.n--;
  return line;
}

/* The next line, without its end; *bytes: with it. Takes from the budget what was looked at. */
static enum found find_line(struct import *i, const struct api_call *call, size_t *budget, struct slice *line,
                            size_t *bytes) {
  const struct slice rest = rest_of(i, call);
  const size_t limit = i->api->document_bytes_max, unseen = rest.n - i->scanned;
  const char *end = unseen > 0 ? memchr(rest.at + i->scanned, '\n', unseen) : NULL;
  const size_t n = end != NULL ? (size_t)(end - rest.at) : rest.n, seen = (n - i->scanned) / 16;
  *budget -= seen < *budget ? seen : *budget;
  i->scanned = n;
  *line = without_return((struct slice){rest.at, n});
  *bytes = end != NULL ? n + 1 : n;
  if (line->n > limit) return FOUND_LONG;
  if (end != NULL) return FOUND_LINE;
  if (!call->body_ended) return FOUND_PART;
  return n > 0 ? FOUND_LINE : FOUND_END;
}

/* ---- What becomes of one ---- */

static void fail(struct import *i, struct slice id, enum problem problem, const char *detail) {
  import_batch_fail(&i->batch, i->line, id, &(struct import_failure){.problem = problem, .detail = detail});
}

static void fail_long(struct import *i, struct slice id) {
  char detail[96];
  snprintf(detail, sizeof detail, "A document can have %zu bytes, its id included; split it.",
           i->api->document_bytes_max);
  fail(i, id, PROBLEM_DOCUMENT_TOO_LARGE, detail);
}

static void add_put(struct exchange *x, struct import *i, struct slice id, struct slice document) {
  const struct command put = {
      .type = COMMAND_PUT, .collection = slice_of_bytes(&i->collection), .id = id, .body = document};
  const uint64_t growth = i->batch.growth_bytes + writes_growth(x, &put);
  if (writes_fit(x, growth)) {
    i->batch.growth_bytes = growth;
    import_batch_put(&i->batch, i->line, id, document);
  } else if (x->view->disk_full != NULL) {
    fail(i, id, PROBLEM_DISK_FULL, x->view->disk_full);
  } else {
    fail(i, id, PROBLEM_STORE_FULL,
         "The documents have all the bytes that they may have (--max-data-bytes); delete some of them.");
  }
}

static void add_document(struct exchange *x, struct import *i, const struct body *body) {
  char made[ULID_CHARACTERS];
  struct slice id = {made, sizeof made};
  struct bytes storage = {0};
  if (body->has_id)
    id = slice_of_bytes(&body->id);
  else
    ulids_next(&i->api->ulids, x->view->wall_ms, made);
  if (document_id_is_valid(id)) {
    const struct slice document = body_document(body, id, &storage);
    if (document.n > i->api->document_bytes_max)
      fail_long(i, id);
    else
      add_put(x, i, id, document);
  } else {
    fail(i, (struct slice){0}, PROBLEM_INVALID_ID, answer_invalid_id_detail);
  }
  bytes_close(&storage);
}

static void fail_not_led(const struct exchange *x, struct import *i) {
  if (x->view->leader != NULL)
    fail(i, (struct slice){0}, PROBLEM_NOT_LEADER,
         "This node does not lead any more, and the line was not tried; send it to the leader.");
  else
    fail(i, (struct slice){0}, PROBLEM_NO_LEADER,
         "This node does not lead any more, nor is another leader known, and the line was not tried; send it "
         "again.");
}

/* An empty line is none, but counts. */
static void take_line(struct exchange *x, struct import *i, struct slice line, size_t *budget) {
  struct body body;
  struct body_fault fault;
  i->line++;
  if (json_trim(line).n == 0) return;
  if (i->is_over) {
    fail_not_led(x, i);
    return;
  }
  *budget -= line.n < *budget ? line.n : *budget;
  if (body_judge(i->api, line, &body, &fault)) {
    add_document(x, i, &body);
    body_close(&body);
    return;
  }
  import_batch_fail(&i->batch, i->line, (struct slice){0},
                    &(struct import_failure){.problem = fault.problem,
                                             .detail = fault.detail,
                                             .has_offset = fault.has_offset,
                                             .offset = fault.offset});
}

/* ---- The answer ---- */

static void begin_answer(struct exchange *x, struct import *i) {
  if (i->has_begun) return;
  i->has_begun = true;
  answer_begin(&x->answer, 200, CACHE_NO_STORE);
  if (x->call->minimal) http_response_header(x->answer.out, "Preference-Applied", slice_of("return=minimal"));
  http_response_stream(x->answer.out, media_name(MEDIA_NDJSON), x->answer.keep_alive, x->call->http_1_0);
}

/* The batch is done with. */
static void answer_batch(struct exchange *x, struct import *i, const struct store_result *result,
                         const struct import_failure *all) {
  struct bytes text = {0};
  import_batch_results(&i->batch, result, all, x->call->minimal, &text);
  if (text.n > 0) {
    begin_answer(x, i);
    http_response_chunk(x->answer.out, slice_of_bytes(&text), x->call->http_1_0);
  }
  bytes_close(&text);
}

static enum api_action finish(struct exchange *x, struct import *i) {
  begin_answer(x, i);
  http_response_last_chunk(x->answer.out, x->call->http_1_0);
  return API_RESPONDED;
}

/* ---- The log ---- */

static enum api_action propose(struct exchange *x, struct import *i) {
  struct command commands[COMMAND_BATCH_MAX];
  struct import_failure failure = {0};
  if (!access_leads(x->view, &failure.problem, &failure.detail)) {
    i->is_over = x->view->role != CORACLE_RAFT_LEADER;
    answer_batch(x, i, NULL, &failure);
    return API_WORKING;
  }
  import_batch_commands(&i->batch, slice_of_bytes(&i->collection), i->replaces, commands);
  const struct command batch = {
      .type = COMMAND_BATCH, .operations = commands, .operations_n = i->batch.puts_n};
  if (work_try_propose(x, &i->work, &batch, i->batch.growth_bytes)) return API_WAITING;
  failure = (struct import_failure){.problem = PROBLEM_BUSY,
                                    .detail = "There is no memory for the write now; send the line again."};
  answer_batch(x, i, NULL, &failure);
  return API_WORKING;
}

static struct import_failure failure_of(const struct exchange *x, enum replica_verdict verdict) {
  switch (verdict) {
  case REPLICA_UNKNOWN:
    return (struct import_failure){.problem = PROBLEM_OUTCOME_UNKNOWN,
                                   .detail = "The leader was lost before it could say what became of the "
                                             "line: it may have taken effect, or may "
                                             "still. Read the document before you send it again."};
  case REPLICA_NOT_LEADER:
    return (struct import_failure){
        .problem = x->view->leader != NULL ? PROBLEM_NOT_LEADER : PROBLEM_NO_LEADER,
        .detail = "This node does not lead any more, and the line was not tried; send it to the leader."};
  default:
    break;
  }
  if (x->view->disk_full != NULL)
    return (struct import_failure){.problem = PROBLEM_DISK_FULL, .detail = x->view->disk_full};
  return (struct import_failure){
      .problem = PROBLEM_BUSY,
      .detail = "Too much is waiting to be committed, so the line was not taken; send it again."};
}

static enum api_action result(struct exchange *x, struct work *work, struct replica_result *of) {
  struct import *i = CONTAINER_OF(work, struct import, work);
  if (of->verdict == REPLICA_APPLIED) {
    answer_batch(x, i, &of->store, NULL);
  } else {
    const struct import_failure failure = failure_of(x, of->verdict);
    if (of->verdict == REPLICA_UNKNOWN || of->verdict == REPLICA_NOT_LEADER) i->is_over = true;
    answer_batch(x, i, NULL, &failure);
  }
  return API_WORKING;
}

/* ---- In slices ---- */

/* Looks for the end of the line that is too long. False: it is still to come. */
static bool skip(struct import *i, const struct api_call *call, size_t *budget) {
  struct slice line;
  size_t bytes;
  find_line(i, call, budget, &line, &bytes);
  i->skipping = bytes == 0 || rest_of(i, call).at[bytes - 1] != '\n';
  take(i, bytes);
  return !i->skipping;
}

/* Until the batch is to go into the log, the budget or the body is used up, or there is too much of the
 * answer. */
static enum api_action work_on(struct exchange *x, struct import *i, size_t *budget) {
  struct api_call *call = x->call;
  while (*budget > 0 && x->answer.out->n < API_STREAM_BYTES) {
    struct slice line;
    size_t bytes;
    if (i->skipping && !skip(i, call, budget) && !call->body_ended) return API_STARVED;
    const enum found found = find_line(i, call, budget, &line, &bytes);
    const bool is_line = found == FOUND_LINE || found == FOUND_LONG;
    if (i->batch.lines_n > 0 && (!is_line || import_batch_is_full(&i->batch, line.n))) {
      if (i->batch.puts_n > 0) return propose(x, i);
      answer_batch(x, i, NULL, NULL);
      continue;
    }
    if (found == FOUND_END) return finish(x, i);
    if (found == FOUND_PART) return API_STARVED;
    *budget -= LINE_UNITS < *budget ? LINE_UNITS : *budget;
    if (found == FOUND_LONG) {
      i->line++;
      fail_long(i, (struct slice){0});
      i->skipping = true;
    } else {
      take_line(x, i, line, budget);
      take(i, bytes);
    }
  }
  return API_WORKING;
}

static enum api_action go_on(struct exchange *x, struct work *work, size_t *budget) {
  struct import *i = CONTAINER_OF(work, struct import, work);
  const enum api_action action = work_on(x, i, budget);
  make_room(i, x->call, action == API_STARVED);
  return action;
}

static void release(struct replica *replica, struct work *work) {
  struct import *i = CONTAINER_OF(work, struct import, work);
  (void)replica;
  bytes_close(&i->collection);
  import_batch_close(&i->batch);
  i->api->imports_n--;
  free(i);
}

enum api_action collection_import(struct exchange *x) {
  static const struct work_type type = {go_on, result, release};
  if (!conditions_refuse(
          x, "Conditions are for one document; leave If-Match and If-None-Match out of an import.") ||
      !idempotency_refuse(
          x, "An import takes no Idempotency-Key, since it is no single write; give the documents "
             "ids, and a repeated import finds them there.")) {
    return API_RESPONDED;
  }
  if (x->api->imports_n == IMPORTS_MAX) {
    answer_problem(&x->answer, PROBLEM_BUSY,
                   "%d imports are under way here; try again when one of them is done.", IMPORTS_MAX);
    return API_RESPONDED;
  }
  struct import *i = memory_zalloc(sizeof *i);
  i->api = x->api;
  i->api->imports_n++;
  i->replaces = x->replaces;
  bytes_append_slice(&i->collection, x->collection);
  /* It is read to its end, so the next request can come behind it. */
  x->call->keep_alive = x->request->keep_alive;
  x->call->streams = true;
  x->call->body_bytes_max = x->api->document_bytes_max + BODY_AHEAD_BYTES;
  x->call->body_ended = !x->request->streams;
  return work_begin(x, &i->work, &type);
}
