/* Requests under way, from api_request() to the last byte of the answer: results, works in slices, and
 * answers in the order of their requests.
 *
 * What takes longer than a turn (api/work.h) is worked at in slices: all such calls of the node together get
 * WORK_TURN_UNITS a turn, by turns, and while one of them can go on there is another turn at once, between
 * which the shell reads its sockets. Only the first call of a connection is worked at, and only while the
 * connection's output has room, so an answer that streams costs the memory of what its client has not taken
 * yet. */
#include "base/memory.h"
#include "node/core.h"

#include <assert.h>
#include <stdlib.h>

struct call *call_new(struct node_stream *stream) {
  struct call *call = memory_zalloc(sizeof *call);
  call->stream = stream;
  list_append(&stream->calls, &call->link);
  stream->calls_n++;
  return call;
}

/* Off its connection, and worked at no more. */
static void detach(struct call *call) {
  if (list_is_linked(&call->runnable)) list_remove(&call->runnable);
  if (call->stream == NULL) return;
  if (call->stream->receiving == call) call->stream->receiving = NULL;
  list_remove(&call->link);
  call->stream->calls_n--;
  call->stream = NULL;
}

static void call_free(struct call *call) {
  detach(call);
  api_call_close(&call->api);
  bytes_close(&call->answer);
  free(call);
}

/* ---- What is next ---- */

/* A client may send a whole streamed body before it reads what is answered meanwhile. */
static bool has_room(const struct call *call) {
  const bool takes_body = call->body_streams && call->api.body_bytes_max > 0;
  const size_t undrained_bytes_max = takes_body ? IMPORT_UNDRAINED_BYTES_MAX : UNDRAINED_BYTES_MAX;
  return call->stream->undrained_bytes + call->stream->out.n < undrained_bytes_max;
}

static bool is_runnable(const struct call *call) {
  const struct node_stream *stream = call->stream;
  if (call->state != CALL_WORKS && call->state != CALL_STARVES) return false;
  if (stream->closing || stream->close_when_flushed) return false;
  if (list_first(&stream->calls) != &call->link || !has_room(call)) return false;
  return call->state == CALL_WORKS || call->api.body_ended || call->api.body.n > call->starved_bytes;
}

void call_wake(struct node *node, struct call *call) {
  if (is_runnable(call) && !list_is_linked(&call->runnable)) list_append(&node->runnable, &call->runnable);
}

void call_done(struct call *call) {
  struct node_stream *stream = call->stream;
  call->state = CALL_IS_DONE;
  if (stream == NULL) return;
  if (!call->api.keep_alive || stream->receiving == call) stream->last_request = true;
  if (stream->receiving == call) stream->receiving = NULL; /* what is left of the body is not read */
}

void call_went_on(struct call *call, enum api_action action) {
  switch (action) {
  case API_RESPONDED:
    call_done(call);
    return;
  case API_WAITING:
    call->state = CALL_WAITS;
    return;
  case API_WORKING:
    call->state = CALL_WORKS;
    return;
  case API_STARVED: /* there has to be more to come, and room for it */
    assert(!call->api.body_ended && call->api.body.n < call->api.body_bytes_max);
    call->state = CALL_STARVES;
    call->starved_bytes = call->api.body.n;
    return;
  case API_FORWARD:
  case API_UPGRADE:
    assert(false && "only at the beginning");
  }
}

static void complete(struct node *node, struct call *call, struct replica_result *result) {
  const size_t before = call->answer.n;
  call_went_on(
      call, api_complete(node->api, node_view(node), node->replica, &call->api, call, result, &call->answer));
  turn_spend(node, call->answer.n - before);
}

bool call_stop(struct node *node, struct call *call) {
  struct node_stream *stream = call->stream;
  if (!api_cancel(node->replica, &call->api)) { /* its result is still to come */
    node_stream_close_after_flush(node, stream);
    return false;
  }
  call_done(call);
  stream->last_request = true;
  if (call->begun) return false;
  call->answer.n = 0;
  return true;
}

/* ---- Answers ---- */

static void put_out(struct node_stream *stream, struct call *call) {
  if (call->answer.n == 0) return;
  call->begun = true;
  if (stream->out.n == 0 && call->answer.n > ANSWER_KEPT_BYTES) { /* not worth a copy */
    bytes_close(&stream->out);
    stream->out = call->answer;
    call->answer = (struct bytes){0};
    return;
  }
  bytes_append(&stream->out, call->answer.data, call->answer.n);
  call->answer.n = 0;
  if (call->answer.capacity > ANSWER_KEPT_BYTES) bytes_close(&call->answer);
}

/* A read that is due is answered only when its turn has come, so that many of them, on a connection that
 * takes its time, cost the memory of one: the state becomes only newer meanwhile. */
void calls_release(struct node *node, struct node_stream *stream) {
  bool any = false;
  for (struct list_link *first; (first = list_first(&stream->calls)) != NULL;) {
    struct call *call = CONTAINER_OF(first, struct call, link);
    if (call->state == CALL_IS_DUE && has_room(call) && !turn_is_spent(node, stream))
      complete(node, call, &(struct replica_result){.verdict = call->verdict});
    if (call->state == CALL_IS_DONE || call->api.streams) put_out(stream, call);
    if (call->state != CALL_IS_DONE) {
      call_wake(node, call);
      break;
    }
    call_free(call);
    any = true;
  }
  client_answered(node, stream, any && stream->calls_n == 0);
}

void client_complete(struct node *node, struct call *call) {
  struct node_stream *stream = call->stream;
  call_done(call);
  if (stream == NULL)
    call_free(call);
  else if (!stream->closing)
    client_continue(node, stream);
}

void client_result(struct node *node, struct call *call, struct replica_result *result) {
  struct node_stream *stream = call->stream;
  if (stream == NULL || call->is_write) {
    complete(node, call, result);
  } else {
    call->state = CALL_IS_DUE;
    call->verdict = result->verdict;
  }
  if (stream == NULL) {
    assert(call->state == CALL_IS_DONE);
    call_free(call);
  } else if (!stream->closing) {
    client_continue(node, stream);
  }
}

/* What is on its way already can only be cut off, which its client sees. */
static void give_up(struct node *node, struct call *call) {
  if (call_stop(node, call)) api_abandoned(node->api, node_view(node), &call->api, &call->answer);
}

void clients_abandon(struct node *node) {
  struct list_link *next;
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = next) {
    struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    next = list_next(&node->streams, at);
    if (stream->kind != STREAM_CLIENT || stream->closing) continue;
    for (struct list_link *link = list_first(&stream->calls); link != NULL;
         link = list_next(&stream->calls, link)) {
      struct call *call = CONTAINER_OF(link, struct call, link);
      if (call->state == CALL_IS_DUE)
        complete(node, call, &(struct replica_result){.verdict = REPLICA_NOT_LEADER});
      if (call->state == CALL_WORKS || call->state == CALL_STARVES) give_up(node, call);
    }
    calls_release(node, stream);
  }
}

void calls_close(struct node *node, struct node_stream *stream) {
  for (struct list_link *first; (first = list_first(&stream->calls)) != NULL;) {
    struct call *call = CONTAINER_OF(first, struct call, link);
    if (call->state == CALL_IS_DONE || call->state == CALL_IS_DUE || api_cancel(node->replica, &call->api))
      call_free(call);
    else
      detach(call); /* its result is still to come: released then */
  }
}

/* ---- Works ---- */

void works_begin_turn(struct node *node) {
  node->work_units = WORK_TURN_UNITS;
  node->large_bytes = LARGE_TURN_BYTES;
}

static void work_at(struct node *node, struct call *call) {
  struct node_stream *stream = call->stream;
  const size_t slice = node->work_units < WORK_SLICE_UNITS ? node->work_units : WORK_SLICE_UNITS;
  size_t left = slice;
  enum api_action action =
      api_work(node->api, node_view(node), node->replica, &call->api, call, &left, &call->answer);
  size_t used = slice - left;
  if (used < WORK_CALL_UNITS) used = WORK_CALL_UNITS;
  node->work_units -= used < node->work_units ? used : node->work_units;
  call_went_on(call, action);
  client_continue(node, stream); /* the call may be gone after it */
}

void turn_spend(struct node *node, size_t bytes) {
  if (bytes <= LARGE_BYTES) return;
  node->large_bytes -= bytes < node->large_bytes ? bytes : node->large_bytes;
  if (node->work_units > WORK_SLICE_UNITS) node->work_units = WORK_SLICE_UNITS;
}

bool turn_is_spent(struct node *node, struct node_stream *stream) {
  if (node->large_bytes > 0) return false;
  if (!list_is_linked(&stream->put_off)) list_append(&node->put_off, &stream->put_off);
  return true;
}

/* In the order in which they were. */
static bool begin_put_off(struct node *node) {
  bool any = false;
  for (struct list_link *first; node->large_bytes > 0 && (first = list_first(&node->put_off)) != NULL;) {
    list_remove(first);
    client_continue(node, CONTAINER_OF(first, struct node_stream, put_off));
    any = true;
  }
  return any;
}

bool works_tend(struct node *node) {
  bool any = begin_put_off(node);
  for (struct list_link *first; node->work_units > 0 && (first = list_first(&node->runnable)) != NULL;) {
    struct call *call = CONTAINER_OF(first, struct call, runnable);
    list_remove(first);
    if (!is_runnable(call)) continue;
    work_at(node, call);
    any = true;
  }
  return any;
}

bool works_are_left(const struct node *node) {
  return !list_is_empty(&node->runnable) || !list_is_empty(&node->put_off);
}
