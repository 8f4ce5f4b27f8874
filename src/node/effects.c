/* The queue of effects, and each stream's output. What effects point to lies in one arena that is emptied
 * when the queue is. */
#include "base/memory.h"
#include "node/core.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum { ARENA_KEPT_BYTES = 256 * 1024, LOG_LINE_BYTES_MAX = 512, OUT_KEPT_BYTES = 64 * 1024 };

struct node_effect *effect_push(struct node *node, enum node_effect_type type, struct node_stream *stream) {
  struct queued_effect *queued = queue_push(&node->effects);
  queued->effect.type = type;
  queued->effect.stream = stream;
  return &queued->effect;
}

static void push_bytes(struct node *node, struct node_effect *effect, const void *data, size_t n) {
  struct queued_effect *queued = CONTAINER_OF(effect, struct queued_effect, effect);
  queued->arena_at = node->arena.n;
  queued->has_bytes = true;
  queued->effect.n = n;
  bytes_append(&node->arena, data, n);
}

void effect_send(struct node *node, const struct address *to, const struct bytes *datagram) {
  struct node_effect *effect = effect_push(node, NODE_SEND, NULL);
  effect->to = *to;
  push_bytes(node, effect, datagram->data, datagram->n);
}

void effect_log(struct node *node, enum node_log_level level, const char *format, ...) {
  char line[LOG_LINE_BYTES_MAX];
  va_list args;
  va_start(args, format);
  vsnprintf(line, sizeof line, format, args);
  va_end(args);
  struct node_effect *effect = effect_push(node, NODE_LOG, NULL);
  effect->level = level;
  push_bytes(node, effect, line, strlen(line) + 1);
}

/* The end of a turn: each stream's output leaves in one write. */
static bool pop_write(struct node *node, struct node_effect *effect) {
  struct list_link *link = list_first(&node->dirty);
  if (link == NULL) return false;
  struct node_stream *stream = CONTAINER_OF(link, struct node_stream, dirty);
  list_remove(link);
  if (stream->out.n == 0) { /* only the closing is left */
    assert(stream->close_when_flushed);
    node_stream_close(node, stream);
    return effect_pop(node, effect);
  }
  link_seal(stream);
  if (stream->undrained_bytes == 0) stream->undrained_since_ms = node->now_ms;
  stream->undrained_bytes += stream->out.n;
  *effect = (struct node_effect){
      .type = NODE_WRITE, .stream = stream, .data = stream->out.data, .n = stream->out.n};
  node->lent = stream;
  if (stream->close_when_flushed) node_stream_close(node, stream);
  return true;
}

bool effect_pop(struct node *node, struct node_effect *effect) {
  struct queued_effect *queued;
  while ((queued = queue_at(&node->effects, 0)) != NULL && queued->dropped) queue_pop(&node->effects);
  if (queued == NULL) {
    if (node->arena.capacity > ARENA_KEPT_BYTES) bytes_close(&node->arena);
    node->arena.n = 0;
    return pop_write(node, effect);
  }
  *effect = queued->effect;
  if (queued->has_bytes) effect->data = node->arena.data + queued->arena_at;
  if (effect->type == NODE_LOG) effect->text = (const char *)effect->data;
  node->lent_persist = queued->persists;
  queue_pop(&node->effects);
  return true;
}

void node_stream_touch(struct node *node, struct node_stream *stream) {
  if (stream->closing || list_is_linked(&stream->dirty)) return;
  if (stream->out.n > 0 || stream->close_when_flushed) list_append(&node->dirty, &stream->dirty);
}

void node_stream_close(struct node *node, struct node_stream *stream) {
  if (stream->closing) return;
  stream->closing = true;
  if (list_is_linked(&stream->dirty)) list_remove(&stream->dirty);
  effect_push(node, NODE_CLOSE, stream);
}

void node_stream_close_after_flush(struct node *node, struct node_stream *stream) {
  stream->close_when_flushed = true;
  node_stream_touch(node, stream);
}

void node_stream_pause(struct node *node, struct node_stream *stream, bool pause) {
  if (stream->closing || stream->paused == pause) return;
  stream->paused = pause;
  effect_push(node, pause ? NODE_PAUSE : NODE_RESUME, stream);
}

struct node_stream *node_stream_new(struct node *node, enum stream_kind kind) {
  struct node_stream *stream = memory_zalloc(sizeof *stream);
  stream->serial = ++node->streams_made;
  stream->kind = kind;
  stream->deadline_ms = UINT64_MAX;
  stream->forwarded = QUEUE_OF(struct call *);
  list_init(&stream->calls);
  list_append(&node->streams, &stream->link);
  return stream;
}

/* What was to be done with a stream that has ended need not be done any more. */
static void drop_effects_of(struct node *node, const struct node_stream *stream) {
  struct queued_effect *queued;
  for (size_t i = 0; (queued = queue_at(&node->effects, i)) != NULL; i++)
    if (queued->effect.stream == stream) queued->dropped = true;
}

void node_stream_free(struct node *node, struct node_stream *stream) {
  drop_effects_of(node, stream);
  if (node->lent == stream) node->lent = NULL;
  if (node->leader_stream == stream) node->leader_stream = NULL; /* of a node that is stopping */
  if (list_is_linked(&stream->dirty)) list_remove(&stream->dirty);
  if (list_is_linked(&stream->put_off)) list_remove(&stream->put_off);
  list_remove(&stream->link);
  http_parser_free(stream->parser);
  http_response_parser_free(stream->responses);
  queue_close(&stream->forwarded);
  bytes_close(&stream->in);
  bytes_close(&stream->out);
  seal_forget(stream, sizeof *stream); /* keys, and a token */
  free(stream);
}
