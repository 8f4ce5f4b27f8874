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
  stream->parser = http_parser_new(node->options.document_bytes_max);
  stream->deadline_ms = node->now_ms + IDLE_DEADLINE_MS;
  node->clients_n++;
  return stream;
}

/* ---- Answers ---- */

static struct call *call_new(struct node_stream *stream) {
  struct call *call = memory_zalloc(sizeof *call);
  call->stream = stream;
  list_append(&stream->calls, &call->link);
  stream->calls_n++;
  return call;
}

static void call_free(struct call *call) {
  if (call->stream != NULL) {
    list_remove(&call->link);
    call->stream->calls_n--;
  }
  api_call_close(&call->api);
  bytes_close(&call->answer);
  free(call);
}

/* Everything that came is answered, and nothing more will be. What is kept in stream->in is still to be
 * taken. */
static bool is_finished(const struct node_stream *stream) {
  return stream->calls_n == 0 && !stream->deferred &&
         (stream->last_request || (stream->ended && stream->in.n == 0));
}

static bool has_room(const struct node_stream *stream) {
  return stream->undrained_bytes + stream->out.n < UNDRAINED_BYTES_MAX;
}

static void complete(struct node *node, struct call *call, struct replica_result *result) {
  api_complete(node->api, node_view(node), node->replica, &call->api, result, &call->answer);
  call->done = true;
  if (call->stream != NULL && !call->api.keep_alive) call->stream->last_request = true;
}

/* Moves the answers that are ready, in order, to the connection's output. A read that is due is answered only
 * now, so that many of them, on a connection that takes its time, cost the memory of one: the state becomes
 * only newer meanwhile. */
static void release_answers(struct node *node, struct node_stream *stream) {
  for (struct list_link *first; (first = list_first(&stream->calls)) != NULL;) {
    struct call *call = CONTAINER_OF(first, struct call, link);
    if (call->is_due && !call->done && has_room(stream))
      complete(node, call, &(struct replica_result){.verdict = call->verdict});
    if (!call->done) break;
    bytes_append(&stream->out, call->answer.data, call->answer.n);
    call_free(call);
  }
  if (is_finished(stream))
    node_stream_close_after_flush(node, stream);
  else
    node_stream_touch(node, stream);
}

/* The next request comes without being waited for: the connection is idle again. */
static void begin_waiting(struct node *node, struct node_stream *stream) {
  static const uint64_t deadlines_ms[] = {[HTTP_WAITING_IDLE] = IDLE_DEADLINE_MS,
                                          [HTTP_WAITING_HEAD] = HEAD_DEADLINE_MS,
                                          [HTTP_WAITING_BODY] = BODY_DEADLINE_MS};
  enum http_waiting waiting = http_parser_waiting(stream->parser);
  if (waiting == stream->waiting && !stream->request_began) return;
  stream->waiting = waiting;
  stream->request_began = false;
  stream->deadline_ms = node->now_ms + deadlines_ms[waiting];
}

void client_complete(struct node *node, struct call *call) {
  struct node_stream *stream = call->stream;
  call->done = true;
  if (stream == NULL) {
    call_free(call);
    return;
  }
  if (stream->closing) return;
  if (!call->api.keep_alive) stream->last_request = true;
  release_answers(node, stream);
  client_continue(node, stream);
}

void client_result(struct node *node, struct call *call, struct replica_result *result) {
  struct node_stream *stream = call->stream;
  if (stream == NULL || call->is_write) {
    complete(node, call, result);
    client_complete(node, call);
    return;
  }
  call->is_due = true;
  call->verdict = result->verdict;
  if (stream->closing) return;
  release_answers(node, stream);
  client_continue(node, stream);
}

/* The state that they were to be answered from is given up. */
void clients_abandon(struct node *node) {
  struct list_link *next;
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = next) {
    struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    next = list_next(&node->streams, at);
    if (stream->kind != STREAM_CLIENT || stream->closing) continue;
    for (struct list_link *link = list_first(&stream->calls); link != NULL;
         link = list_next(&stream->calls, link)) {
      struct call *call = CONTAINER_OF(link, struct call, link);
      if (call->is_due && !call->done)
        complete(node, call, &(struct replica_result){.verdict = REPLICA_NOT_LEADER});
    }
    release_answers(node, stream);
  }
}

/* ---- Requests ---- */

static bool is_write(const struct http_request *request) {
  return request->method == HTTP_POST_ || request->method == HTTP_PUT_ || request->method == HTTP_PATCH_ ||
         request->method == HTTP_DELETE_;
}

static void handle_request(struct node *node, struct node_stream *stream) {
  struct call *call = call_new(stream);
  call->is_write = is_write(&stream->request);
  enum api_action action = api_request(node->api, node_view(node), node->replica, &stream->request,
                                       &call->api, call, &call->answer);
  if (!call->api.keep_alive) stream->last_request = true;
  switch (action) {
  case API_RESPONDED:
    call->done = true;
    release_answers(node, stream);
    return;
  case API_WAITING:
    return;
  case API_FORWARD:
    if (!forward_submit(node, call, &stream->request)) {
      call->done = true;
      release_answers(node, stream);
    }
    return;
  case API_UPGRADE:
    call->done = true;
    stream->last_request = false;
    release_answers(node, stream);
    link_upgraded(node, stream);
    return;
  }
}

/* All that are unanswered are of one kind; an upgrade ends them. */
static bool may_begin(const struct node_stream *stream) {
  struct list_link *first = list_first(&stream->calls);
  if (first == NULL) return true;
  const struct call *call = CONTAINER_OF(first, struct call, link);
  return !stream->request.upgrade && call->is_write == is_write(&stream->request);
}

static void take_request(struct node *node, struct node_stream *stream) {
  if (!may_begin(stream))
    stream->deferred = true; /* what it points to is the parser's, which rests until then */
  else
    handle_request(node, stream);
}

static void answer_malformed(struct node *node, struct node_stream *stream, const struct http_error *error) {
  struct call *call = call_new(stream);
  api_malformed(node->api, node_view(node), error, &call->answer);
  call->done = true;
  stream->last_request = true;
  release_answers(node, stream);
}

static bool may_take_more(const struct node_stream *stream) {
  return !stream->closing && !stream->close_when_flushed && !stream->last_request && !stream->deferred &&
         stream->calls_n < PIPELINE_MAX && has_room(stream);
}

/* Takes what it can of data[0..n) and says how much that was. */
static size_t parse(struct node *node, struct node_stream *stream, const uint8_t *data, size_t n) {
  size_t used = 0;
  while (used < n && stream->kind == STREAM_CLIENT && may_take_more(stream)) {
    struct http_error error;
    size_t consumed = 0;
    switch (http_parser_execute(stream->parser, data + used, n - used, &consumed, &stream->request, &error)) {
    case HTTP_NEED_MORE:
      break;
    case HTTP_CONTINUE:
      /* Only with nothing before it that is unanswered would it be read as the answer to this request. */
      if (stream->calls_n == 0) {
        bytes_append_string(&stream->out, "HTTP/1.1 100 Continue\r\n\r\n");
        node_stream_touch(node, stream);
      }
      break;
    case HTTP_REQUEST_READY:
      stream->request_began = true;
      take_request(node, stream);
      break;
    case HTTP_FAILED:
      answer_malformed(node, stream, &error);
      return n;
    }
    used += consumed;
  }
  return used;
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
  if (is_finished(stream)) node_stream_close_after_flush(node, stream);
  node_stream_pause(node, stream, !may_take_more(stream) && !stream->last_request);
  if (stream->in.n > 0 || stream->deferred) return;
  /* An idle connection keeps no large buffers: neither its input's nor, when asked for nothing, its parser's.
   */
  if (stream->in.capacity > UNDRAINED_BYTES_MAX) bytes_close(&stream->in);
  if (stream->waiting == HTTP_WAITING_IDLE && stream->request.body.n > UNDRAINED_BYTES_MAX &&
      !stream->last_request) {
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
  release_answers(node, stream);
  if (stream->deferred && stream->calls_n == 0) {
    stream->deferred = false;
    handle_request(node, stream);
  }
  if (!stream->last_request && may_take_more(stream)) take_kept_input(node, stream);
}

void client_ended(struct node *node, struct node_stream *stream) {
  stream->ended = true;
  if (is_finished(stream)) node_stream_close_after_flush(node, stream);
}

void client_closed(struct node *node, struct node_stream *stream) {
  for (struct list_link *first; (first = list_first(&stream->calls)) != NULL;) {
    struct call *call = CONTAINER_OF(first, struct call, link);
    if (call->done || call->is_due || api_cancel(node->replica, &call->api)) {
      call_free(call);
      continue;
    }
    list_remove(&call->link); /* its answer is still to come: released then */
    call->stream = NULL;
    stream->calls_n--;
  }
  if (stream->kind == STREAM_CLIENT) node->clients_n--;
}

void client_deadline(struct node *node, struct node_stream *stream) {
  static const struct http_error timeout = {
      408, "request_timeout",
      "The request did not arrive in time; send its head within 10 s and its body within 30 s."};
  if (stream->undrained_bytes > 0 && node->now_ms - stream->undrained_since_ms >= DRAIN_DEADLINE_MS) {
    node_stream_close(node, stream);
  } else if (node->now_ms >= stream->deadline_ms && stream->calls_n == 0 && !stream->deferred) {
    if (stream->waiting == HTTP_WAITING_IDLE)
      node_stream_close(node, stream);
    else
      answer_malformed(node, stream, &timeout);
  }
}
