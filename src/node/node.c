/* The calls of node.h: events in, effects out, and the end of a turn. */
#include "base/memory.h"
#include "node/core.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void *node_stream_user(const struct node_stream *stream) {
  return stream->user;
}

void node_stream_set_user(struct node_stream *stream, void *user) {
  stream->user = user;
}

static bool was_member(const struct node_restored *restored) {
  static const uint8_t none[JOIN_CLUSTER_BYTES];
  return restored != NULL && memcmp(restored->cluster, none, sizeof none) != 0;
}

struct node *node_new(const struct node_options *options, uint64_t now_ms) {
  struct node *node = memory_zalloc(sizeof *node);
  node->options = *options;
  snprintf(node->name, sizeof node->name, "%s", options->name);
  node->options.name = node->name;
  node->options.cors_origins = NULL; /* it was the caller's */
  node->now_ms = node->started_ms = node->stepped_ms = now_ms;
  node->wall_ms = options->wall_ms;
  node->wake_ms = UINT64_MAX;
  node->random.state = options->seed;
  node->effects = QUEUE_OF(struct queued_effect);
  list_init(&node->streams);
  list_init(&node->dirty);
  list_init(&node->runnable);
  list_init(&node->put_off);
  seal_keys_derive(options->secret, &node->keys);
  seal_source_init(&node->source, options->entropy);
  seal_forget(node->options.secret, sizeof node->options.secret);
  seal_forget(node->options.entropy, sizeof node->options.entropy);

  struct api_options api = {.name = node->name,
                            .seed = random_next(&node->random),
                            .document_bytes_max = options->document_bytes_max,
                            .data_bytes_max = options->data_bytes_max,
                            .follower_writes = options->follower_writes,
                            .http = options->http,
                            .loopback = options->loopback,
                            .cors_origins = options->cors_origins};
  memcpy(api.token, options->token, sizeof api.token);
  node->api = api_new(&api);

  struct join_options join = {.name = node->name,
                              .id = options->id,
                              .start = options->start,
                              .seed = random_next(&node->random),
                              .election = options->election,
                              .peers = options->peers,
                              .expect = options->expect,
                              .udp = options->udp,
                              .http = options->http,
                              .memory_storage = !options->durable,
                              .heartbeat_ms = options->heartbeat_ms,
                              .election_timeout_ms = options->election_timeout_ms};
  memcpy(join.token, options->token, sizeof join.token);
  if (options->restored != NULL) memcpy(join.cluster, options->restored->cluster, sizeof join.cluster);
  node->join = join_new(&join, now_ms);
  storage_start(node);
  consensus_start(node);
  if (was_member(options->restored)) consensus_restore(node, options->restored);
  node->options.restored = NULL; /* it was the caller's */
  return node;
}

void node_free(struct node *node) {
  if (node == NULL) return;
  node->lent = NULL;
  node->leader_stream = NULL;
  for (struct list_link *first; (first = list_first(&node->streams)) != NULL;) {
    struct node_stream *stream = CONTAINER_OF(first, struct node_stream, link);
    forward_closed(node, stream);
    client_closed(node, stream);
    node_stream_free(node, stream);
  }
  replica_abandon(node->replica); /* calls whose clients have gone */
  for (struct replica_result result; replica_next_result(node->replica, &result);) {
    store_result_close(&result.store);
    client_complete(node, result.waiter);
  }
  storage_free(node);
  queue_close(&node->effects);
  bytes_close(&node->arena);
  replica_free(node->replica);
  join_free(node->join);
  api_free(node->api);
  seal_forget(node, sizeof *node); /* keys and tokens */
  free(node);
}

/* ---- Events ---- */

static void advance_time(struct node *node, uint64_t now_ms) {
  if (now_ms > node->now_ms) node->view_valid = false;
  if (now_ms > node->now_ms) node->now_ms = now_ms;
}

/* What the last effect pointed to is no longer needed. */
static void take_back_lent(struct node *node) {
  enum { OUT_KEPT_BYTES = 64 * 1024 };
  struct node_stream *stream = node->lent;
  storage_copy_free(node->lent_persist);
  node->lent_persist = NULL;
  if (stream == NULL) return;
  node->lent = NULL;
  stream->out.n = 0;
  if (stream->out.capacity > OUT_KEPT_BYTES) bytes_close(&stream->out);
}

static void check_deadlines(struct node *node) {
  if (node->now_ms < node->deadline_check_ms) return;
  node->deadline_check_ms = node->now_ms + DEADLINE_CHECK_MS;
  struct list_link *next;
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = next) {
    struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    next = list_next(&node->streams, at);
    if (stream->closing) continue;
    if (stream->kind == STREAM_CLIENT)
      client_deadline(node, stream);
    else if (node->now_ms >= stream->deadline_ms)
      (stream->kind == STREAM_FORWARD ? forward_end : link_end)(node, stream);
  }
}

static void received(struct node *node, struct node_stream *stream, const uint8_t *data, size_t n) {
  if (stream->closing) return;
  if (stream->kind == STREAM_CLIENT) {
    client_receive(node, stream, data, n);
    return;
  }
  bytes_append(&stream->in, data, n);
  if (stream->kind == STREAM_FORWARD)
    forward_receive(node, stream);
  else
    link_receive(node, stream);
}

/* What hangs on a stream between nodes ends with it; once is enough. */
static void end_between_nodes(struct node *node, struct node_stream *stream) {
  if (stream->kind == STREAM_FORWARD)
    forward_closed(node, stream);
  else if (!node->stopping)
    link_closed(node, stream);
}

/* A client that has closed its side is owed its answers; a stream between nodes is over with either side. */
static void ended(struct node *node, struct node_stream *stream) {
  if (stream->closing) return;
  if (stream->kind == STREAM_CLIENT) {
    client_ended(node, stream);
    return;
  }
  end_between_nodes(node, stream);
  node_stream_close(node, stream);
}

static void closed(struct node *node, struct node_stream *stream) {
  if (stream->kind == STREAM_CLIENT)
    client_closed(node, stream);
  else
    end_between_nodes(node, stream);
  node_stream_free(node, stream);
}

/* SIGTERM is a restart, not a leaving: nothing is said to the cluster, which sees the streams end. */
static void stop(struct node *node) {
  if (node->stopping) return;
  effect_log(node, NODE_LOG_INFO, "stopping");
  node->stopping = true;
  node->view_valid = false;
  node->stop_deadline_ms = node->now_ms + STOP_MS;
  consensus_abandon(node);
  if (node->forward_stream != NULL) forward_end(node, node->forward_stream);
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = list_next(&node->streams, at))
    node_stream_close_after_flush(node, CONTAINER_OF(at, struct node_stream, link));
}

/* A process that was stopped finds its timers due and its sockets full. It reads those first: whom it has not
 * heard of meanwhile may have spoken all the time. */
static bool has_mail_to_read(struct node *node) {
  if (node->now_ms - node->stepped_ms > SLEPT_HEARTBEATS * (uint64_t)node->options.heartbeat_ms)
    node->reading_until_ms = node->now_ms + READING_MS;
  node->stepped_ms = node->now_ms;
  return node->now_ms < node->reading_until_ms;
}

static void begin_turn(struct node *node) {
  snapshots_begin_turn(node);
  works_begin_turn(node);
}

void node_step(struct node *node, const struct node_event *event) {
  struct join_situation situation;
  if (!node->in_turn) begin_turn(node);
  node->in_turn = true;
  take_back_lent(node);
  advance_time(node, event->now_ms);
  if (event->wall_ms != 0) node->wall_ms = event->wall_ms;
  switch (event->type) {
  case NODE_START:
    assert(!node->started);
    node->started = true;
    consensus_changed(node);
    break;
  case NODE_TICK:
    node->wake_ms = UINT64_MAX; /* used up, even where it came early */
    break;
  case NODE_DATAGRAM:
    if (!node->stopping) datagram_receive(node, &event->from, event->data, event->n);
    break;
  case NODE_BOUND:
  case NODE_TAKEN:
    consensus_situation(node, &situation);
    (event->type == NODE_BOUND ? join_bound : join_taken)(node->join, &situation, node->now_ms);
    break;
  case NODE_CONNECTED:
    if (event->stream->closing) break;
    if (event->stream->kind == STREAM_FORWARD)
      forward_connected(node, event->stream);
    else
      link_connected(node, event->stream);
    break;
  case NODE_RECEIVED:
    received(node, event->stream, event->data, event->n);
    break;
  case NODE_DRAINED:
    event->stream->undrained_bytes = 0;
    client_continue(node, event->stream);
    break;
  case NODE_ENDED:
    ended(node, event->stream);
    break;
  case NODE_CLOSED:
    closed(node, event->stream);
    break;
  case NODE_PERSISTED:
    if (event->image_refused) snapshots_refused(node);
    storage_persisted(node, event->sequence);
    break;
  case NODE_STORAGE:
    storage_has_room(node, !event->full);
    break;
  case NODE_STOP:
    stop(node);
    break;
  }
  if (!node->started || node->stopping || has_mail_to_read(node)) return;
  consensus_tick(node);
  check_deadlines(node);
}

/* ---- The end of a turn ---- */

static void set_wake(struct node *node) {
  uint64_t at_ms = node->raft_wakeup_ms;
  if (join_wakeup_ms(node->join) < at_ms) at_ms = join_wakeup_ms(node->join);
  if (replica_reads_wakeup_ms(node->replica) < at_ms) at_ms = replica_reads_wakeup_ms(node->replica);
  if (replica_is_behind(node->replica) || works_are_left(node)) at_ms = node->now_ms;
  if (storage_wakeup_ms(node) < at_ms) at_ms = storage_wakeup_ms(node);
  if (!list_is_empty(&node->streams) && node->deadline_check_ms < at_ms) at_ms = node->deadline_check_ms;
  if (at_ms < node->reading_until_ms) at_ms = node->reading_until_ms;
  if (node->stopping) at_ms = node->stop_deadline_ms;
  if (at_ms == node->wake_ms) return;
  node->wake_ms = at_ms;
  effect_push(node, NODE_WAKE, NULL)->at_ms = at_ms;
}

static void finish_stopping(struct node *node) {
  if (!node->stopping || node->exited) return;
  if (!list_is_empty(&node->streams) && node->now_ms < node->stop_deadline_ms) return;
  node->exited = true;
  effect_push(node, NODE_EXIT, NULL)->status = 0;
}

bool node_next_effect(struct node *node, uint64_t now_ms, struct node_effect *effect) {
  take_back_lent(node);
  advance_time(node, now_ms);
  if (effect_pop(node, effect)) return true;
  if (node->exited || !node->started) return false;
  if (!node->stopping) {
    do consensus_flush(node);
    while (consensus_settle(node) || consensus_has_queued(node));
  }
  set_wake(node);
  finish_stopping(node);
  node->in_turn = effect_pop(node, effect);
  return node->in_turn;
}
