/* --follower-writes=forward: one connection from this follower to the leader, over which clients' writes go
 * on, one behind the other, and their answers come back in that order. When it ends, what had been sent has
 * an unknown outcome. */
#include "base/memory.h"
#include "node/core.h"

#include <assert.h>

static void fail(struct node *node, struct call *call, bool sent) {
  api_forward_failed(node->api, node_view(node), &call->api, sent, &call->answer);
}

static struct node_stream *open_stream(struct node *node, const struct api_view *view) {
  struct address http;
  if (address_parse(view->leader->http, &http) != 0) return NULL;
  struct node_stream *stream = node_stream_new(node, STREAM_FORWARD);
  stream->peer = view->leader->id;
  stream->peer_http = http;
  stream->deadline_ms = node->now_ms + LINK_DEADLINE_MS; /* to be connected */
  stream->responses = http_response_parser_new(node->options.document_bytes_max * 2);
  effect_push(node, NODE_CONNECT, stream)->to = http;
  node->forward_stream = stream;
  return stream;
}

bool forward_submit(struct node *node, struct call *call, const struct http_request *request) {
  const struct api_view *view = node_view(node);
  struct node_stream *stream = node->forward_stream;
  if (view->leader == NULL || view->leader_token == NULL || node->stopping) {
    fail(node, call, false);
    return false;
  }
  if (stream == NULL) stream = open_stream(node, view);
  if (stream == NULL || stream->forwarded.n >= FORWARDED_MAX) {
    fail(node, call, false);
    return false;
  }
  if (stream->connected && stream->forwarded.n == 0) stream->deadline_ms = node->now_ms + BODY_DEADLINE_MS;
  *(struct call **)queue_push(&stream->forwarded) = call;
  api_forward_request(node->api, view, request, &stream->out);
  if (stream->connected) node_stream_touch(node, stream);
  return true;
}

void forward_connected(struct node *node, struct node_stream *stream) {
  stream->connected = true;
  stream->deadline_ms = node->now_ms + BODY_DEADLINE_MS;
  node_stream_touch(node, stream);
}

static void answer(struct node *node, struct call *call, struct http_response *response) {
  api_forward_response(node->api, &call->api, response->status, slice_of_bytes(&response->head),
                       slice_of_bytes(&response->body), &call->answer);
  client_complete(node, call);
}

void forward_receive(struct node *node, struct node_stream *stream) {
  size_t used = 0;
  while (used < stream->in.n && !stream->closing) {
    struct http_response response;
    size_t consumed = 0;
    int got = http_response_parser_execute(stream->responses, stream->in.data + used, stream->in.n - used,
                                           &consumed, &response);
    used += consumed;
    if (got == 0) break;
    struct call **first = got > 0 ? queue_at(&stream->forwarded, 0) : NULL;
    if (first == NULL) { /* no response, or one that nobody asked for */
      if (got > 0) http_response_close(&response);
      forward_end(node, stream);
      return;
    }
    struct call *call = *first;
    queue_pop(&stream->forwarded);
    stream->deadline_ms = stream->forwarded.n > 0 ? node->now_ms + BODY_DEADLINE_MS : UINT64_MAX;
    const bool keep_alive = response.keep_alive;
    answer(node, call, &response);
    http_response_close(&response);
    if (!keep_alive) forward_end(node, stream);
  }
  bytes_consume(&stream->in, used);
}

/* What was forwarded has no answer to come. Over a connection that was never made nothing was sent. */
static void fail_all(struct node *node, struct node_stream *stream) {
  if (node->forward_stream == stream) node->forward_stream = NULL;
  for (struct call **first; (first = queue_at(&stream->forwarded, 0)) != NULL;) {
    struct call *call = *first;
    queue_pop(&stream->forwarded);
    fail(node, call, stream->connected);
    client_complete(node, call);
  }
}

void forward_end(struct node *node, struct node_stream *stream) {
  node_stream_close(node, stream);
  fail_all(node, stream);
}

void forward_closed(struct node *node, struct node_stream *stream) {
  fail_all(node, stream);
}

void forward_leader_changed(struct node *node) {
  struct coracle_raft_status status;
  struct node_stream *stream = node->forward_stream;
  if (stream == NULL) return;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  if (status.leader != stream->peer) forward_end(node, stream);
}
