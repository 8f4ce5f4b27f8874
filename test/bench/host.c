#include "host.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/memory.h"

enum {
  HEARTBEAT_MS = 50,
  ELECTION_TIMEOUT_MS = 500,
  ELECTION_PORT = 8000,
  HTTP_PORT = 8001,
  UDP_PORT = 9001,
  DOCUMENT_BYTES_MAX = 1024 * 1024,
};

/* 2024-01-01 */
static const uint64_t WALL_START_MS = UINT64_C(1704067200000);

struct letter {
  struct address from;
  size_t n;
  uint8_t data[];
};

static struct address local(uint16_t port) {
  return (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = port};
}

static uint64_t thread_ns(void) {
  struct timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

/* ---- Streams ---- */

static struct host_end *end_new(struct host *host, int node, struct node_stream *stream) {
  struct host_end *end = memory_zalloc(sizeof *end);
  end->node = node;
  end->stream = stream;
  list_append(&host->ends, &end->link);
  if (stream != NULL) node_stream_set_user(stream, end);
  return end;
}

static void join_ends(struct host_end *a, struct host_end *b) {
  a->peer = b;
  b->peer = a;
}

static void end_free(struct host_end *end) {
  if (end->peer != NULL) {
    end->peer->ended = true;
    end->peer->peer = NULL;
  }
  list_remove(&end->link);
  bytes_close(&end->in);
  free(end);
}

struct host_end *host_connect(struct host *host, int node) {
  struct host_end *client = end_new(host, HOST_NOBODY, NULL);
  join_ends(client, end_new(host, node, node_accept(host->nodes[node].node, host->now_ms)));
  return client;
}

void host_send(struct host_end *end, const void *data, size_t n) {
  if (end->peer != NULL) bytes_append(&end->peer->in, data, n);
}

size_t host_unread(const struct host_end *end) {
  return end->peer != NULL ? end->peer->in.n : 0;
}

void host_stop_reading(struct host_end *end) {
  end->unread = true;
}

/* As one that resets the connection. */
void host_hang_up(struct host_end *end) {
  if (end->peer != NULL) end->peer->closed = true;
  end_free(end);
}

static void connect_nodes(struct host *host, int node, const struct node_effect *effect) {
  struct host_end *end = end_new(host, node, effect->stream);
  for (int i = 0; i < HOST_NODES_MAX; i++) {
    if (host->nodes[i].node == NULL || !address_equal(&host->nodes[i].http, &effect->to)) continue;
    join_ends(end, end_new(host, i, node_accept(host->nodes[i].node, host->now_ms)));
    end->connected = true;
    return;
  }
  end->closed = true;
}

/* ---- Effects ---- */

static void post(struct host *host, int from, const struct node_effect *effect) {
  for (int i = 0; i < HOST_NODES_MAX; i++) {
    struct host_node *to = &host->nodes[i];
    if (to->node == NULL) continue;
    if (!address_equal(&to->udp, &effect->to) && !(effect->to.port == ELECTION_PORT && host->holder == i))
      continue;
    struct letter *letter = memory_alloc(sizeof *letter + effect->n);
    letter->from = host->nodes[from].udp;
    letter->n = effect->n;
    memcpy(letter->data, effect->data, effect->n);
    *(struct letter **)queue_push(&to->letters) = letter;
  }
}

static void carry_out(struct host *host, int i, const struct node_effect *effect) {
  struct host_node *node = &host->nodes[i];
  struct host_end *end = effect->stream != NULL ? node_stream_user(effect->stream) : NULL;
  switch (effect->type) {
  case NODE_SEND:
    post(host, i, effect);
    return;
  case NODE_BIND:
    if (host->holder == HOST_NOBODY) host->holder = i;
    *(host->holder == i ? &node->has_bound : &node->has_lost) = true;
    return;
  case NODE_RELEASE:
    if (host->holder == i) host->holder = HOST_NOBODY;
    return;
  case NODE_CONNECT:
    connect_nodes(host, i, effect);
    return;
  case NODE_WRITE:
    host_send(end, effect->data, effect->n);
    end->drained = end->peer == NULL || !end->peer->unread;
    return;
  case NODE_PAUSE:
  case NODE_RESUME:
    end->paused = effect->type == NODE_PAUSE;
    return;
  case NODE_CLOSE:
    end->closed = true;
    return;
  case NODE_LOG:
    if (host->verbose)
      fprintf(stderr, "%8llu %c %s\n", (unsigned long long)host->now_ms, 'a' + i, effect->text);
    return;
  case NODE_WAKE:
    node->wake_ms = effect->at_ms;
    return;
  case NODE_PERSIST:
    node->given = effect->persist->sequence;
    if (effect->persist->raft != NULL) node->image_bytes += effect->persist->raft->chunk.n;
    return;
  case NODE_EXIT:
    fprintf(stderr, "a node has ended with status %d\n", effect->status);
    exit(1);
  case NODE_OPEN_HTTP:
    return;
  }
}

/* ---- Turns ---- */

struct turn {
  struct host *host;
  int node;
  uint64_t ns;
};

static void tell(struct turn *turn, struct node_event event) {
  struct host_node *node = &turn->host->nodes[turn->node];
  event.now_ms = turn->host->now_ms;
  event.wall_ms = WALL_START_MS + turn->host->now_ms;
  const uint64_t before_ns = thread_ns();
  node_step(node->node, &event);
  turn->ns += thread_ns() - before_ns;
}

static void tell_end(struct turn *turn, struct host_end *end) {
  if (end->connected) {
    end->connected = false;
    tell(turn, (struct node_event){.type = NODE_CONNECTED, .stream = end->stream});
  }
  if (end->drained) {
    end->drained = false;
    tell(turn, (struct node_event){.type = NODE_DRAINED, .stream = end->stream});
  }
  const size_t n = end->in.n < HOST_READ_BYTES ? end->in.n : HOST_READ_BYTES;
  if (n > 0 && !end->paused) {
    tell(turn,
         (struct node_event){.type = NODE_RECEIVED, .stream = end->stream, .data = end->in.data, .n = n});
    bytes_consume(&end->in, n);
  }
  if (end->ended && end->in.n == 0) {
    end->ended = false;
    tell(turn, (struct node_event){.type = NODE_ENDED, .stream = end->stream});
  }
  if (!end->closed) return;
  tell(turn, (struct node_event){.type = NODE_CLOSED, .stream = end->stream});
  end_free(end);
}

static void tell_all(struct turn *turn) {
  struct host *host = turn->host;
  struct host_node *node = &host->nodes[turn->node];
  if (node->has_bound || node->has_lost) {
    const enum node_event_type type = node->has_bound ? NODE_BOUND : NODE_TAKEN;
    node->has_bound = node->has_lost = false;
    tell(turn, (struct node_event){.type = type});
  }
  if (node->wake_ms <= host->now_ms) {
    node->wake_ms = UINT64_MAX;
    tell(turn, (struct node_event){.type = NODE_TICK});
  }
  if (node->told < node->given) {
    node->told = node->given;
    tell(turn, (struct node_event){.type = NODE_PERSISTED, .sequence = node->told});
  }
  for (struct letter **first; (first = queue_at(&node->letters, 0)) != NULL; queue_pop(&node->letters)) {
    struct letter *letter = *first;
    tell(turn, (struct node_event){
                   .type = NODE_DATAGRAM, .from = letter->from, .data = letter->data, .n = letter->n});
    free(letter);
  }
  struct list_link *next;
  for (struct list_link *at = list_first(&host->ends); at != NULL; at = next) {
    struct host_end *end = CONTAINER_OF(at, struct host_end, link);
    next = list_next(&host->ends, at);
    if (end->node == turn->node) tell_end(turn, end);
  }
}

static void take_turn(struct host *host, int i) {
  struct turn turn = {host, i, 0};
  struct host_turns *turns = &host->nodes[i].turns;
  struct node_effect effect;
  tell_all(&turn);
  for (;;) {
    const uint64_t before_ns = thread_ns();
    const bool more = node_next_effect(host->nodes[i].node, host->now_ms, &effect);
    turn.ns += thread_ns() - before_ns;
    if (!more) break;
    carry_out(host, i, &effect);
  }
  turns->n++;
  turns->ns += turn.ns;
  turns->over_1_ms += turn.ns > 1000000;
  turns->over_5_ms += turn.ns > 5000000;
  if (turn.ns <= turns->longest_ns) return;
  turns->longest_ns = turn.ns;
  turns->longest_at_ms = host->now_ms;
}

void host_turn(struct host *host) {
  host->now_ms++;
  for (int i = 0; i < HOST_NODES_MAX; i++)
    if (host->nodes[i].node != NULL) take_turn(host, i);
}

void host_measure(struct host *host) {
  for (int i = 0; i < HOST_NODES_MAX; i++) host->nodes[i].turns = (struct host_turns){0};
}

/* ---- Life ---- */

void host_open(struct host *host) {
  *host = (struct host){.now_ms = 1000, .holder = HOST_NOBODY};
  list_init(&host->ends);
  for (int i = 0; i < HOST_NODES_MAX; i++) {
    host->nodes[i].letters = QUEUE_OF(struct letter *);
    host->nodes[i].http = local((uint16_t)(HTTP_PORT + i));
    host->nodes[i].udp = local((uint16_t)(UDP_PORT + i));
  }
}

void host_start(struct host *host, int i, uint64_t compact_bytes) {
  const char name[] = {(char)('a' + i), '\0'};
  struct node_options options = {.name = name,
                                 .id = (uint64_t)i + 1,
                                 .start = 1,
                                 .seed = (uint64_t)i + 1,
                                 .token = {(uint8_t)i},
                                 .store_key = {1, (uint8_t)i},
                                 .secret = {2},
                                 .entropy = {3, (uint8_t)i},
                                 .election = local(ELECTION_PORT),
                                 .udp = host->nodes[i].udp,
                                 .http = host->nodes[i].http,
                                 .heartbeat_ms = HEARTBEAT_MS,
                                 .election_timeout_ms = ELECTION_TIMEOUT_MS,
                                 .document_bytes_max = DOCUMENT_BYTES_MAX,
                                 .connections_max = 64,
                                 .wall_ms = WALL_START_MS + host->now_ms,
                                 .compact_bytes = compact_bytes,
                                 .durable = true};
  struct turn turn = {host, i, 0};
  host->nodes[i].node = node_new(&options, host->now_ms);
  host->nodes[i].wake_ms = UINT64_MAX;
  tell(&turn, (struct node_event){.type = NODE_START});
}

void host_close(struct host *host) {
  for (int i = 0; i < HOST_NODES_MAX; i++) {
    node_free(host->nodes[i].node);
    for (struct letter **first; (first = queue_at(&host->nodes[i].letters, 0)) != NULL;
         queue_pop(&host->nodes[i].letters))
      free(*first);
    queue_close(&host->nodes[i].letters);
  }
  for (struct list_link *first; (first = list_first(&host->ends)) != NULL;)
    end_free(CONTAINER_OF(first, struct host_end, link));
}
