/* Replication streams. The leader connects to a follower's HTTP port and asks for the upgrade with the
 * follower's write token. After 101 each side sends a random number, from both of which and the cluster's
 * secret come the keys of this stream, and its HELLO as its first frame (wire/frame.h): the follower first,
 * so that the leader opens its log to nobody who has not shown that it is here now, with the secret; and the
 * follower heeds no stream whose leader has not. A token admits, the seal proves, the term decides: a stream
 * of the current leader replaces the one before it. Whatever is not understood ends the stream; a new one
 * begins with where the logs agree. */
#include "node/core.h"

#include <assert.h>
#include <inttypes.h>

struct node_stream *link_find(struct node *node, uint64_t peer, enum stream_kind kind) {
  if (kind == STREAM_LEADER) {
    struct node_stream *stream = node->leader_stream;
    return stream != NULL && stream->peer == peer && !stream->closing ? stream : NULL;
  }
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = list_next(&node->streams, at)) {
    struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    if (stream->kind == kind && stream->peer == peer && stream->state == LINK_OPEN && !stream->closing)
      return stream;
  }
  return NULL;
}

static void tell_core(struct node *node, enum coracle_raft_event_type type, uint64_t peer) {
  struct coracle_raft_event event = {.type = type, .peer = peer};
  consensus_step(node, &event);
  consensus_changed(node);
}

static bool leads(const struct node *node) {
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  return node->member && status.role == CORACLE_RAFT_LEADER;
}

/* ---- To a follower ---- */

static bool is_open_or_opening(const struct node *node, uint64_t peer) {
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = list_next(&node->streams, at)) {
    const struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    if (stream->kind == STREAM_FOLLOWER && stream->peer == peer && !stream->closing) return true;
  }
  return false;
}

static bool core_has_link(struct node *node, uint64_t peer) {
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  for (size_t i = 0; i < status.peers_n; i++)
    if (status.peers[i].id == peer) return status.peers[i].link;
  return false;
}

/* A stream that came up while its peer was no member is news to the core when the peer is one again. */
void link_open(struct node *node, uint64_t peer, const struct address *http,
               const uint8_t token[WRITE_TOKEN_BYTES]) {
  if (!leads(node)) return;
  if (link_find(node, peer, STREAM_FOLLOWER) != NULL && !core_has_link(node, peer))
    tell_core(node, CORACLE_RAFT_LINK_UP, peer);
  if (is_open_or_opening(node, peer)) return;
  struct node_stream *stream = node_stream_new(node, STREAM_FOLLOWER);
  stream->peer = peer;
  stream->peer_http = *http;
  stream->deadline_ms = node->now_ms + LINK_DEADLINE_MS;
  memcpy(stream->token, token, WRITE_TOKEN_BYTES);
  effect_push(node, NODE_CONNECT, stream)->to = *http;
}

void link_connected(struct node *node, struct node_stream *stream) {
  char host[ADDRESS_TEXT_MAX];
  bytes_printf(&stream->out,
               "GET /v1/replication HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\n"
               "Upgrade: coracle-replication/1\r\nAuthorization: Bearer ",
               address_format(&stream->peer_http, host));
  for (size_t i = 0; i < WRITE_TOKEN_BYTES; i++) bytes_printf(&stream->out, "%02x", stream->token[i]);
  bytes_append_string(&stream->out, "\r\n\r\n");
  stream->state = LINK_UPGRADING;
  node_stream_touch(node, stream);
}

/* ---- The first words ---- */

/* This side's part of the keys leaves as it is. */
static void greet(struct node *node, struct node_stream *stream) {
  seal_source_random(&node->source, stream->random);
  bytes_append(&stream->out, stream->random, sizeof stream->random);
  stream->out_ready = stream->out.n;
  node_stream_touch(node, stream);
}

static void say_hello(struct node *node, struct node_stream *stream) {
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  struct hello hello = {
      .protocol = HELLO_PROTOCOL, .from = join_id(node->join), .to = stream->peer, .term = status.term};
  struct held held = {.after_sequence = storage_sequence_of(node, 0),
                      .peer = stream->peer,
                      .kind = stream->kind,
                      .stream_serial = stream->serial};
  memcpy(hello.cluster, join_cluster(node->join), CLUSTER_ID_BYTES);
  hello_encode(&hello, &held.bytes);
  storage_send(node, &held);
}

/* The follower's answer to the leader's random number. It does not know yet who that is. */
static void answer_greeting(struct node *node, struct node_stream *stream) {
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  struct hello hello = {.protocol = HELLO_PROTOCOL, .from = join_id(node->join), .term = status.term};
  memcpy(hello.cluster, join_cluster(node->join), CLUSTER_ID_BYTES);
  greet(node, stream);
  hello_encode(&hello, &stream->out);
}

/* False while it has not come. */
static bool receive_greeting(struct node *node, struct node_stream *stream) {
  if (stream->in.n < SEAL_RANDOM_BYTES) return false;
  if (stream->kind == STREAM_LEADER) {
    answer_greeting(node, stream);
    seal_streams_derive(&node->keys, stream->in.data, stream->random, &stream->seal_in, &stream->seal_out);
  } else {
    seal_streams_derive(&node->keys, stream->random, stream->in.data, &stream->seal_out, &stream->seal_in);
  }
  bytes_consume(&stream->in, SEAL_RANDOM_BYTES);
  stream->state = LINK_PROVING;
  return true;
}

void link_seal(struct node_stream *stream) {
  if (stream->state >= LINK_PROVING) frames_seal(&stream->seal_out, &stream->out, stream->out_ready);
  stream->out_ready = 0;
}

/* The stream is over: the core must not count on it. Idempotent. A stream that lasted is opened anew at once,
 * one that did not, a heartbeat later at the latest, with join/'s next tick: who has heard of a newer leader
 * closes every stream of this one, until this one has heard of it too. */
static void end_follower_link(struct node *node, struct node_stream *stream) {
  struct coracle_raft_event down = {.type = CORACLE_RAFT_LINK_DOWN, .peer = stream->peer};
  const bool was_open = stream->state == LINK_OPEN;
  const bool lasted = was_open && node->now_ms - stream->opened_ms >= node->options.heartbeat_ms;
  stream->state = LINK_CONNECTING;
  if (was_open) reports_forget(node, stream->peer);
  node_stream_close(node, stream);
  if (was_open && leads(node)) consensus_step(node, &down);
  if (lasted && leads(node)) consensus_changed(node);
}

/* The answer to the upgrade: 101, or why not. */
static void receive_upgrade_answer(struct node *node, struct node_stream *stream) {
  static const char granted[] = "HTTP/1.1 101 ";
  const uint8_t *end = memmem(stream->in.data, stream->in.n, "\r\n\r\n", 4);
  if (end == NULL) {
    if (stream->in.n > UPGRADE_ANSWER_BYTES_MAX) end_follower_link(node, stream);
    return;
  }
  if (stream->in.n < sizeof granted - 1 || memcmp(stream->in.data, granted, sizeof granted - 1) != 0) {
    effect_log(node, NODE_LOG_WARN, "a follower refused the replication stream: %.*s",
               (int)strcspn((const char *)stream->in.data, "\r"), (const char *)stream->in.data);
    join_token_refused(node->join, stream->peer, stream->token);
    end_follower_link(node, stream);
    return;
  }
  bytes_consume(&stream->in, (size_t)(end - stream->in.data) + 4);
  stream->state = LINK_GREETING;
  greet(node, stream);
}

/* It is the member it was taken for, and in this cluster. */
static bool receive_follower_hello(struct node *node, struct node_stream *stream, const struct frame *frame) {
  struct hello hello;
  if (hello_decode(frame, &hello) != 0 || hello.from != stream->peer || hello.to != 0) return false;
  if (memcmp(hello.cluster, join_cluster(node->join), CLUSTER_ID_BYTES) != 0) return false;
  stream->state = LINK_OPEN;
  stream->opened_ms = node->now_ms;
  say_hello(node, stream);
  reports_stream_opened(node, stream);
  tell_core(node, CORACLE_RAFT_LINK_UP, stream->peer);
  return true;
}

void link_close_followers(struct node *node) {
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = list_next(&node->streams, at)) {
    struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    if (stream->kind != STREAM_FOLLOWER) continue;
    const bool last_words = stream->state == LINK_OPEN && stream->out.n > 0;
    if (last_words) link_seal(stream);
    reports_forget(node, stream->peer);
    stream->state = LINK_CONNECTING; /* the core is no longer leader and asks for no report */
    if (last_words) /* whoever is to lead next is told in the step that ends this leadership */
      node_stream_close_after_flush(node, stream);
    else
      node_stream_close(node, stream);
  }
}

/* ---- From the leader ---- */

void link_upgraded(struct node *node, struct node_stream *stream) {
  http_parser_free(stream->parser);
  stream->parser = NULL;
  stream->kind = STREAM_LEADER;
  stream->state = LINK_GREETING;
  stream->deadline_ms = node->now_ms + LINK_DEADLINE_MS;
  node->clients_n--;
}

/* Step three of section 3.4 in the shape of a stream: an older term than ours has no leader. */
static bool receive_hello(struct node *node, struct node_stream *stream, const struct frame *frame) {
  struct coracle_raft_status status;
  struct hello hello;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  if (hello_decode(frame, &hello) != 0) return false;
  if (!node->member || memcmp(hello.cluster, join_cluster(node->join), CLUSTER_ID_BYTES) != 0) return false;
  if (hello.to != join_id(node->join) || hello.from == hello.to || hello.from == 0) return false;
  if (hello.term < status.term || status.role == CORACLE_RAFT_LEADER) return false;

  struct node_stream *older = node->leader_stream;
  if (older != NULL && older->peer_term > hello.term) return false;
  node->leader_stream = stream;
  if (older != NULL) node_stream_close(node, older);
  stream->state = LINK_OPEN;
  stream->peer = hello.from;
  stream->peer_term = hello.term;
  tell_core(node, CORACLE_RAFT_LINK_UP, stream->peer);
  return true;
}

static bool receive_message(struct node *node, struct node_stream *stream, const struct frame *frame) {
  struct coracle_raft_message message;
  struct coracle_raft_event event = {.type = CORACLE_RAFT_RECEIVE, .message = &message};
  if (raft_message_from_frame(frame, stream->peer, join_id(node->join), &message) != 0) return false;
  consensus_step(node, &event);
  raft_message_close(&message);
  return true;
}

static bool receive_frame(struct node *node, struct node_stream *stream, const struct frame *frame) {
  if (stream->state == LINK_PROVING)
    return stream->kind == STREAM_FOLLOWER ? receive_follower_hello(node, stream, frame)
                                           : receive_hello(node, stream, frame);
  if (raft_frame_is_leaders(frame->type) != (stream->kind == STREAM_LEADER)) return false;
  if (stream->kind == STREAM_LEADER && stream != node->leader_stream) return false;
  if (frame->type == FRAME_STORAGE || frame->type == FRAME_STATE) return reports_receive(node, stream, frame);
  return receive_message(node, stream, frame);
}

/* ---- Both ---- */

void link_end(struct node *node, struct node_stream *stream) {
  if (stream->kind == STREAM_FOLLOWER)
    end_follower_link(node, stream);
  else
    node_stream_close(node, stream); /* what hangs on a leader's stream is done when it is closed */
}

/* What a leader sends goes to the disk, where there is room. */
static bool is_to_wait(const struct node *node, const struct node_stream *stream) {
  return stream->kind == STREAM_LEADER && storage_is_behind(node);
}

/* Opens the next frame: 1, or 0 while it is not whole, or negative. */
static int next_frame(struct node_stream *stream, size_t at, size_t *consumed, struct frame *frame) {
  uint8_t *data = stream->in.data + at;
  const size_t n = stream->in.n - at;
  size_t needed;
  int found = frame_open(&stream->seal_in, data, n, &needed);
  if (found == 0 && stream->state == LINK_PROVING && needed > FIRST_FRAME_BYTES_MAX) return CORACLE_ELIMIT;
  return found == 1 ? frame_next(data, n, consumed, &needed, frame) : found;
}

static void refuse_frame(struct node *node, struct node_stream *stream, const char *what) {
  effect_log(node, NODE_LOG_WARN, "closing a replication stream: %s", what);
  link_end(node, stream);
}

void link_receive(struct node *node, struct node_stream *stream) {
  size_t used = 0, consumed;
  struct frame frame;
  if (stream->state == LINK_UPGRADING) receive_upgrade_answer(node, stream);
  if (stream->state == LINK_GREETING && !receive_greeting(node, stream)) return;
  if (stream->state < LINK_PROVING) return;
  while (!stream->closing && !is_to_wait(node, stream)) {
    int found = next_frame(stream, used, &consumed, &frame);
    if (found == 0) break;
    if (found < 0 || !receive_frame(node, stream, &frame)) {
      refuse_frame(node, stream,
                   found < 0 ? "a frame with a wrong seal (another secret?)"
                             : "a frame that does not belong there");
      return;
    }
    used += consumed;
  }
  if (stream->closing) return;
  bytes_consume(&stream->in, used);
  node_stream_pause(node, stream, is_to_wait(node, stream));
  /* Half a frame does not wait for ever; a stream between two frames does. */
  if ((stream->in.n == 0 || stream->paused) && stream->state == LINK_OPEN)
    stream->deadline_ms = UINT64_MAX;
  else if (stream->deadline_ms == UINT64_MAX)
    stream->deadline_ms = node->now_ms + BODY_DEADLINE_MS;
}

void link_continue(struct node *node) {
  struct list_link *next;
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = next) {
    struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    next = list_next(&node->streams, at);
    if (stream->kind == STREAM_LEADER && stream->paused) link_receive(node, stream);
  }
}

void link_closed(struct node *node, struct node_stream *stream) {
  struct join_situation situation;
  if (stream->kind == STREAM_FOLLOWER) {
    end_follower_link(node, stream);
    return;
  }
  if (stream != node->leader_stream) return;
  node->leader_stream = NULL;
  if (leads(node)) return; /* it is the stream of a leader before this one */
  consensus_situation(node, &situation);
  const bool was_leaders = situation.raft.leader == stream->peer;
  tell_core(node, CORACLE_RAFT_LINK_DOWN, stream->peer);
  if (!was_leaders) return;
  effect_log(node, NODE_LOG_INFO, "the leader's stream has ended");
  consensus_situation(node, &situation);
  join_stream_ended(node->join, &situation, node->now_ms);
}
