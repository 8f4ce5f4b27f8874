/* HTTP connections. Requests are taken in order and answered in order: writes of one connection may be in the
 * log together, and reads may wait together, but a read is not begun until the writes before it are answered,
 * nor a write until the reads are, so that a client that pipelines reads what it wrote and not what it was
 * yet to write (RFC 9112, 9.3.2). Deadlines start with what they measure and are not renewed by a trickle of
 * bytes. */
#include "base/memory.h"
#include "node/core.h"

#include <assert.h>
#include <stdlib.h>

struct node_stream *node_accept(struct node *node, uint64_t now_ms) {
  if (now_ms > node->now_ms) node->now_ms = now_ms;
  if (node->clients_n >= node->options.connections_max || node->stopping) return NULL;
  struct node_stream *stream = node_stream_new(node, STREAM_CLIENT);
  stream->parser = http_parser_new(node->options.document_bytes_max, API_STREAMED_TYPE);
  stream->deadline_ms = node->now_ms + IDLE_DEADLINE_MS;
  node->clients_n++;
  return stream;
}

/* Everything that came is answered, and nothing more will be. What is kept in stream->in is still to be
 * taken. */
static bool is_finished(const struct node_stream *stream) {
  return stream->calls_n == 0 && !stream->deferred &&
         (stream->last_request || (stream->ended && stream->in.n == 0));
}

/* ---- Deadlines ---- */

static uint64_t deadline_of(enum http_waiting waiting) {
  static const uint64_t deadlines_ms[] = {[HTTP_WAITING_IDLE] = IDLE_DEADLINE_MS,
                                          [HTTP_WAITING_HEAD] = HEAD_DEADLINE_MS,
                                          [HTTP_WAITING_BODY] = BODY_DEADLINE_MS};
  return deadlines_ms[waiting];
}

/* The next request comes without being waited for: the connection is idle again. */
static void begin_waiting(struct node *node, struct node_stream *stream) {
  enum http_waiting waiting = http_parser_waiting(stream->parser);
  if (stream->receiving != NULL || (waiting == stream->waiting && !stream->request_began)) return;
  stream->waiting = waiting;
  stream->request_began = false;
  stream->deadline_ms = node->now_ms + deadline_of(waiting);
}

/* A connection that was long in answering has not been idle meanwhile. */
void client_answered(struct node *node, struct node_stream *stream, bool idle) {
  if (idle) stream->deadline_ms = node->now_ms + deadline_of(stream->waiting);
  if (is_finished(stream))
    node_stream_close_after_flush(node, stream);
  else
    node_stream_touch(node, stream);
}

/* A streamed body may take as long as it wants if enough of it comes in each piece of that time; some bytes
 * now and then are not enough. */
static void begin_progress(struct node *node, struct node_stream *stream) {
  stream->progress_bytes = 0;
  stream->deadline_ms = node->now_ms + STREAMED_DEADLINE_MS;
  stream->paused_ms = node->now_ms;
}

/* The time in which this node does not read is not its client's. */
static void pause_reading(struct node *node, struct node_stream *stream, bool paused) {
  if (stream->closing || paused == stream->paused) return;
  if (paused)
    stream->paused_ms = node->now_ms;
  else if (stream->receiving != NULL)
    stream->deadline_ms += node->now_ms - stream->paused_ms;
  node_stream_pause(node, stream, paused);
}

/* ---- Requests ---- */

static bool is_write(const struct http_request *request) {
  return request->method == HTTP_POST_ || request->method == HTTP_PUT_ || request->method == HTTP_PATCH_ ||
         request->method == HTTP_DELETE_;
}

static void handle_request(struct node *node, struct node_stream *stream) {
  struct call *call = call_new(stream);
  call->is_write = is_write(&stream->request);
  call->body_streams = stream->request.streams;
  if (call->body_streams) {
    stream->receiving = call;
    begin_progress(node, stream);
  }
  enum api_action action = api_request(node->api, node_view(node), node->replica, &stream->request,
                                       &call->api, call, &call->answer);
  turn_spend(node, stream->request.body.n);
  turn_spend(node, call->answer.n);
  if (!call->api.keep_alive && !call->body_streams) stream->last_request = true;
  switch (action) {
  case API_RESPONDED:
  case API_WAITING:
  case API_WORKING:
  case API_STARVED:
    call_went_on(call, action);
    break;
  case API_FORWARD:
    assert(!call->body_streams);
    if (forward_submit(node, call, &stream->request)) return;
    call_done(call);
    break;
  case API_UPGRADE:
    call_done(call);
    stream->last_request = false;
    calls_release(node, stream);
    link_upgraded(node, stream);
    return;
  }
  calls_release(node, stream);
}

/* All that are unanswered are of one kind; an upgrade ends them. */
static bool may_begin(const struct node_stream *stream) {
  struct list_link *first = list_first(&stream->calls);
  if (first == NULL) return true;
  const struct call *call = CONTAINER_OF(first, struct call, link);
  return !stream->request.upgrade && call->is_write == is_write(&stream->request);
}

/* What a deferred one points to is the parser's, which rests until then. */
static void take_request(struct node *node, struct node_stream *stream) {
  stream->deferred = !may_begin(stream) || turn_is_spent(node, stream);
  if (!stream->deferred) handle_request(node, stream);
}

static void answer_malformed(struct node *node, struct node_stream *stream, const struct http_error *error) {
  struct call *call = stream->receiving;
  if (call == NULL)
    call = call_new(stream);
  else if (!call_stop(node, call))
    call = NULL; /* of an answer of which some has left, or may come: there is the connection's end to tell of
                    it */
  if (call != NULL) {
    http_parser_headers(stream->parser, &stream->request);
    api_malformed(node->api, node_view(node), &stream->request, error, &call->answer);
    call_done(call);
  }
  stream->last_request = true;
  calls_release(node, stream);
}

/* Behind a request that takes long nothing is read: that request may have a large body, and one is enough. */
static bool is_held_up(const struct node_stream *stream) {
  if (stream->calls_n == 0) return false;
  const struct call *last = CONTAINER_OF(list_last(&stream->calls), struct call, link);
  return last->api.work != NULL || stream->calls_n >= PIPELINE_MAX;
}

static bool has_room(const struct node_stream *stream) {
  return stream->undrained_bytes + stream->out.n < UNDRAINED_BYTES_MAX;
}

static bool may_take_more(const struct node_stream *stream) {
  if (stream->closing || stream->close_when_flushed || stream->last_request || stream->deferred) return false;
  const struct call *receiving = stream->receiving;
  if (receiving != NULL) return receiving->api.body.n < receiving->api.body_bytes_max;
  return !is_held_up(stream) && has_room(stream);
}

/* Where something before it is unanswered, or its own answer has begun, it would be read as another answer.
 */
static bool may_continue(const struct node_stream *stream) {
  return stream->receiving != NULL ? stream->calls_n == 1 && !stream->receiving->begun : stream->calls_n == 0;
}

static void take_piece(struct node *node, struct node_stream *stream) {
  struct call *call = stream->receiving;
  bytes_append_slice(&call->api.body, stream->request.body);
  stream->progress_bytes += stream->request.body.n;
  if (stream->progress_bytes >= STREAMED_PROGRESS_BYTES) begin_progress(node, stream);
  call_wake(node, call);
}

static void take_end(struct node *node, struct node_stream *stream) {
  struct call *call = stream->receiving;
  call->api.body_ended = true;
  stream->receiving = NULL;
  stream->request_began = true;
  call_wake(node, call);
}

/* Takes what it can of data[0..n) and says how much that was. A body that is streamed may have something to
 * tell without another byte. */
static size_t parse(struct node *node, struct node_stream *stream, const uint8_t *data, size_t n) {
  size_t used = 0;
  while (stream->kind == STREAM_CLIENT && may_take_more(stream) && (used < n || stream->receiving != NULL)) {
    struct http_error error;
    size_t consumed = 0, given = n - used;
    if (stream->receiving != NULL && given > STREAMED_PIECE_BYTES) given = STREAMED_PIECE_BYTES;
    enum http_progress progress = http_parser_execute(stream->parser, given > 0 ? data + used : NULL, given,
                                                      &consumed, &stream->request, &error);
    used += consumed;
    switch (progress) {
    case HTTP_NEED_MORE:
      if (used == n) return used;
      break;
    case HTTP_CONTINUE:
      if (!may_continue(stream)) break;
      bytes_append_string(&stream->out, "HTTP/1.1 100 Continue\r\n\r\n");
      node_stream_touch(node, stream);
      break;
    case HTTP_REQUEST_READY:
    case HTTP_HEAD_READY:
      stream->request_began = true;
      take_request(node, stream);
      break;
    case HTTP_BODY_PIECE:
      take_piece(node, stream);
      break;
    case HTTP_BODY_END:
      take_end(node, stream);
      break;
    case HTTP_FAILED:
      answer_malformed(node, stream, &error);
      return n;
    }
  }
  return used;
}

/* The rest of the body that is being received will not come. */
static void settle_end(struct node *node, struct node_stream *stream) {
  if (stream->ended && stream->receiving != NULL && stream->in.n == 0) {
    call_stop(node, stream->receiving);
    calls_release(node, stream);
  }
  if (is_finished(stream)) node_stream_close_after_flush(node, stream);
}

/* After parsing: what the connection waits for now. What could not be taken stays in stream->in, and the
 * shell reads no more until it could. */
static void settle_input(struct node *node, struct node_stream *stream) {
  if (stream->closing) return;
  if (stream->kind != STREAM_CLIENT) {
    link_receive(node, stream);
    return;
  }
  begin_waiting(node, stream);
  settle_end(node, stream);
  pause_reading(node, stream, !may_take_more(stream) && !stream->last_request);
  if (stream->in.n > 0 || stream->deferred) return;
  /* An idle connection keeps no large buffers: neither its input's nor, when asked for nothing, its parser's.
   */
  if (stream->in.capacity > UNDRAINED_BYTES_MAX) bytes_close(&stream->in);
  if (stream->waiting == HTTP_WAITING_IDLE && stream->receiving == NULL &&
      stream->request.body.n > UNDRAINED_BYTES_MAX && !stream->last_request) {
    struct http_error error;
    size_t consumed;
    stream->request.body.n = 0;
    http_parser_execute(stream->parser, NULL, 0, &consumed, &stream->request, &error);
  }
}

static void take_kept_input(struct node *node, struct node_stream *stream) {
  bytes_consume(&stream->in, parse(node, stream, stream->in.data, stream->in.n));
  settle_input(node, stream);
}

void client_receive(struct node *node, struct node_stream *stream, const uint8_t *data, size_t n) {
  if (stream->last_request || stream->close_when_flushed) return; /* after the last request nothing is one */
  if (stream->in.n > 0) {
    bytes_append(&stream->in, data, n);
    take_kept_input(node, stream);
    return;
  }
  size_t used = parse(node, stream, data, n);
  bytes_append(&stream->in, data + used, n - used);
  settle_input(node, stream);
}

void client_continue(struct node *node, struct node_stream *stream) {
  if (stream->closing || stream->kind != STREAM_CLIENT) return;
  calls_release(node, stream);
  if (stream->deferred) take_request(node, stream);
  if (!stream->last_request && may_take_more(stream)) take_kept_input(node, stream);
}

void client_ended(struct node *node, struct node_stream *stream) {
  stream->ended = true;
  settle_end(node, stream);
}

void client_closed(struct node *node, struct node_stream *stream) {
  calls_close(node, stream);
  if (stream->kind == STREAM_CLIENT) node->clients_n--;
}

/* Who still sends a streamed body, and is read, need not read what is answered meanwhile. */
static bool is_to_drain(const struct node_stream *stream) {
  return stream->undrained_bytes > 0 && (stream->receiving == NULL || stream->paused);
}

void client_deadline(struct node *node, struct node_stream *stream) {
  static const struct http_error timeout = {
      408, "request_timeout",
      "The request did not arrive in time; send its head within 10 s and its body within 30 s."};
  static const struct http_error too_slow = {
      408, "request_timeout", "Less than 64 KiB of the body came within 30 s; send it faster."};
  if (!is_to_drain(stream)) stream->undrained_since_ms = node->now_ms;
  const bool is_late = node->now_ms >= stream->deadline_ms;
  if (node->now_ms - stream->undrained_since_ms >= DRAIN_DEADLINE_MS) {
    node_stream_close(node, stream);
  } else if (stream->receiving != NULL) {
    if (is_late && !stream->paused) answer_malformed(node, stream, &too_slow);
  } else if (is_late && stream->calls_n == 0 && !stream->deferred) {
    if (stream->waiting == HTTP_WAITING_IDLE)
      node_stream_close(node, stream);
    else
      answer_malformed(node, stream, &timeout);
  }
}
