/* Connections: their beginning, the bytes of each direction, their end, and what a node's effects do to them.
 */
#include "base/memory.h"
#include "world_core.h"

#include <stdlib.h>

enum {
  FLUSH_MS = 5000, /* what src/net/stream.c gives a closing stream */
  LINGER_MS = 2000,
};

/* ---- Pipes ---- */

static struct end *other(struct end *end) {
  return &end->connection->ends[1 - end->side];
}

/* What that end reads, and what it writes. */
static struct pipe *input(const struct end *end) {
  return &end->connection->to[end->side];
}
static struct pipe *output(const struct end *end) {
  return &end->connection->to[1 - end->side];
}

static uint64_t unread(const struct pipe *pipe) {
  return pipe->written - pipe->read;
}

static void schedule_arrival(struct world *w, struct end *reader, bool fin) {
  struct pipe *pipe = input(reader);
  uint64_t at_us = w->now_us + net_latency_us(w);
  if (at_us < pipe->last_arrival_us) at_us = pipe->last_arrival_us;
  pipe->last_arrival_us = at_us;
  struct world_event *event = world_schedule(w, EVENT_ARRIVAL, at_us - w->now_us);
  event->connection = reader->connection;
  event->side = reader->side;
  event->upto = pipe->written;
  event->fin = fin;
}

/* The writer is done: after what it wrote comes the end. */
static void send_fin(struct world *w, struct end *writer) {
  if (output(writer)->fin) return;
  output(writer)->fin = true;
  schedule_arrival(w, other(writer), true);
}

/* Of what is underway some part, or all, is lost. */
static void truncate_pipe(struct world *w, struct pipe *pipe) {
  pipe->reset = world_dice(w, 2) == 0;
  if (pipe->over) return;
  pipe->written = pipe->arrived + world_dice(w, pipe->written - pipe->arrived + 1);
  pipe->data.n = unread(pipe);
}

/* The reader takes so many bytes; the writer may hear that it is drained. */
static void take(struct world *w, struct end *reader, size_t n) {
  struct pipe *pipe = input(reader);
  const bool was_full = unread(pipe) > PIPE_BYTES;
  bytes_consume(&pipe->data, n);
  pipe->read += n;
  if (!was_full || unread(pipe) > PIPE_BYTES) return;
  if (other(reader)->state == END_OPEN) other(reader)->drained = true;
  if (other(reader)->owner >= 0) process_poke(w, other(reader)->owner);
}

static void throw_away(struct world *w, struct end *reader) {
  take(w, reader, input(reader)->arrived - input(reader)->read);
}

void stream_write(struct world *w, struct end *writer, const void *data, size_t n) {
  struct pipe *pipe = output(writer);
  if (pipe->over || pipe->fin) return;
  bytes_append(&pipe->data, data, n);
  pipe->written += n;
  schedule_arrival(w, other(writer), false);
  if (unread(pipe) > PIPE_BYTES) return;
  writer->drained = true;
  if (writer->owner >= 0) process_poke(w, writer->owner);
}

/* ---- The end of a connection ---- */

static void bury_if_over(struct world *w, struct world_connection *connection) {
  if (connection->ends[0].state != END_CLOSED || connection->ends[1].state != END_CLOSED) return;
  for (int side = 0; side < 2; side++) bytes_close(&connection->to[side].data);
  list_remove(&connection->link);
  list_append(&w->ended, &connection->link);
}

static void forget(struct end *end) {
  end->state = END_CLOSED;
  end->stream = NULL;
  input(end)->over = true;
  input(end)->read = input(end)->written;
  input(end)->data.n = 0;
}

/* Nobody reads or writes at that end any more. */
static void end_is_over(struct world *w, struct end *end) {
  if (end->state == END_CLOSED) return;
  forget(end);
  send_fin(w, end);
  bury_if_over(w, end->connection);
}

static void set_deadline(struct world *w, struct end *end, uint64_t after_ms) {
  end->deadline_us = w->now_us + after_ms * 1000;
  struct world_event *event = world_schedule(w, EVENT_DEADLINE, after_ms * 1000);
  event->connection = end->connection;
  event->side = end->side;
}

void stream_deadline(struct world *w, struct world_event *event) {
  const struct end *end = &event->connection->ends[event->side];
  if (end->state == END_CLOSING) process_poke(w, end->owner);
}

/* What was written leaves first, and the owner hears of it when the other side has closed too, or does not.
 */
void stream_close(struct world *w, struct end *end) {
  WORLD_CHECK(w, end->state == END_OPEN || end->state == END_CONNECTING);
  const bool connecting = end->state == END_CONNECTING;
  end->state = END_CLOSING;
  set_deadline(w, end, connecting ? 0 : unread(output(end)) > PIPE_BYTES ? FLUSH_MS : LINGER_MS);
  throw_away(w, end);
  send_fin(w, end);
  process_poke(w, end->owner);
}

void stream_process_ended(struct world *w, int node, bool killed) {
  struct list_link *next;
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = next) {
    struct world_connection *connection = CONTAINER_OF(at, struct world_connection, link);
    next = list_next(&w->connections, at);
    for (int side = 0; side < 2; side++) {
      struct end *end = &connection->ends[side];
      if (end->owner != node || end->state == END_CLOSED) continue;
      if (killed) truncate_pipe(w, output(end));
      end_is_over(w, end);
    }
  }
}

void stream_process_vanished(struct world *w, int node) {
  struct list_link *next;
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = next) {
    struct world_connection *connection = CONTAINER_OF(at, struct world_connection, link);
    next = list_next(&w->connections, at);
    for (int side = 0; side < 2; side++) {
      struct end *end = &connection->ends[side];
      if (end->owner != node || end->state == END_CLOSED) continue;
      forget(end);
      end->vanished = true;
      bury_if_over(w, connection);
    }
  }
}

/* Who sends it anything is told that it knows of no such connection. */
void stream_process_is_back(struct world *w, int node) {
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = list_next(&w->connections, at)) {
    struct world_connection *connection = CONTAINER_OF(at, struct world_connection, link);
    for (int side = 0; side < 2; side++) {
      struct end *end = &connection->ends[side];
      if (end->owner != node || !end->vanished) continue;
      end->vanished = false;
      output(end)->reset = true;
      send_fin(w, end);
    }
  }
}

void stream_stop_listening(struct world *w, int node) {
  struct list_link *next;
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = next) {
    struct end *end = &CONTAINER_OF(at, struct world_connection, link)->ends[1];
    next = list_next(&w->connections, at);
    if (end->owner == node && end->state == END_BACKLOG) end_is_over(w, end);
  }
}

static bool joins(const struct world_connection *connection, int a, int b) {
  const int from = connection->ends[0].owner, to = connection->ends[1].owner;
  return (from == a && to == b) || (from == b && to == a);
}

void world_cut(struct world *w, int a, int b) {
  world_trace(w, a, "its streams with %c are cut", 'a' + b);
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = list_next(&w->connections, at)) {
    struct world_connection *connection = CONTAINER_OF(at, struct world_connection, link);
    if (!joins(connection, a, b)) continue;
    for (int side = 0; side < 2; side++) {
      truncate_pipe(w, &connection->to[side]);
      send_fin(w, &connection->ends[1 - side]);
    }
  }
}

/* ---- The beginning of a connection ---- */

struct end *stream_end_of(const struct node_stream *stream) {
  return node_stream_user(stream);
}

static void try_to_connect(struct world *w, struct world_connection *connection) {
  struct world_event *event = world_schedule(w, EVENT_CONNECT, net_latency_us(w));
  event->connection = connection;
  event->side = 1;
}

struct end *stream_connect(struct world *w, int owner, struct address to) {
  struct world_connection *connection = memory_zalloc(sizeof *connection);
  connection->address = to;
  for (int side = 0; side < 2; side++)
    connection->ends[side] = (struct end){.connection = connection,
                                          .side = side,
                                          .owner = OWNER_TEST,
                                          .state = side == 0 ? END_CONNECTING : END_CLOSED};
  connection->ends[0].owner = owner;
  list_append(&w->connections, &connection->link);
  try_to_connect(w, connection);
  return &connection->ends[0];
}

/* Nothing gets there, or comes back, for now. */
static bool is_out_of_reach(const struct world *w, const struct world_connection *connection) {
  const int from = connection->ends[0].owner;
  for (int i = 0; i < w->options.nodes; i++) {
    const struct process *p = &w->processes[i];
    if (!address_equal(&p->http, &connection->address)) continue;
    return p->powerless || net_is_blocked(w, from, i, true) || net_is_blocked(w, i, from, true);
  }
  return false;
}

/* A process that listens there takes it into its backlog, or the test does; nobody: false. */
static bool is_taken(struct world *w, struct world_connection *connection) {
  struct end *end = &connection->ends[1];
  for (int i = 0; i < w->options.nodes; i++) {
    const struct process *p = &w->processes[i];
    if (p->node == NULL || p->stopping || !address_equal(&p->http, &connection->address)) continue;
    if (connection->incarnation != 0 && connection->incarnation != p->incarnation) continue;
    end->owner = i;
    end->state = END_BACKLOG;
    process_poke(w, i);
    return true;
  }
  for (struct list_link *at = list_first(&w->listeners); at != NULL; at = list_next(&w->listeners, at)) {
    if (!address_equal(&CONTAINER_OF(at, struct listener, link)->address, &connection->address)) continue;
    end->state = END_BACKLOG;
    return true;
  }
  return false;
}

static void tell_connected(struct world *w, struct end *end) {
  if (end->state != END_CONNECTING) return;
  end->state = END_OPEN;
  if (end->owner == OWNER_TEST) {
    end->wire->connected = true;
    return;
  }
  end->connected = true;
  process_poke(w, end->owner);
}

/* First at the address, then, as news, at who connects. A refusal is the end, in both. */
void stream_connection_arrives(struct world *w, struct world_event *event) {
  struct world_connection *connection = event->connection;
  struct end *from = &connection->ends[0];
  if (event->side == 0) {
    tell_connected(w, from);
    return;
  }
  if (from->state != END_CONNECTING) { /* given up meanwhile */
    bury_if_over(w, connection);
    return;
  }
  if (is_out_of_reach(w, connection)) {
    connection->stalled = true;
    return;
  }
  if (!is_taken(w, connection)) {
    send_fin(w, &connection->ends[1]);
    return;
  }
  struct world_event *news = world_schedule(w, EVENT_CONNECT, net_latency_us(w));
  news->connection = connection;
  news->side = 0;
}

/* ---- What the owner of an end is told ---- */

bool stream_is_ready(const struct world *w, const struct end *end) {
  const struct pipe *in = input(end);
  switch (end->state) {
  case END_CONNECTING:
    return in->fin_arrived;
  case END_BACKLOG:
    return w->processes[end->owner].http_open;
  case END_OPEN:
    return end->connected || end->drained ||
           (!end->paused && (in->arrived > in->read || (in->fin_arrived && !end->ended)));
  case END_CLOSING:
    return (in->fin_arrived && unread(output(end)) <= PIPE_BYTES) || w->now_us >= end->deadline_us;
  case END_CLOSED:
    break;
  }
  return false;
}

static void accept_at(struct world *w, struct end *end) {
  struct node_stream *stream = node_accept(w->processes[end->owner].node, process_ms(w, end->owner));
  if (stream == NULL) {
    end_is_over(w, end);
    return;
  }
  end->state = END_OPEN;
  end->stream = stream;
  node_stream_set_user(stream, end);
}

static void tell_closed(struct world *w, struct end *end) {
  struct node_stream *stream = end->stream;
  const int node = end->owner;
  end_is_over(w, end);
  process_step(w, node, (struct node_event){.type = NODE_CLOSED, .stream = stream});
}

/* In pieces of any size, in memory of exactly theirs. */
static void tell_received(struct world *w, struct end *end) {
  const struct pipe *in = input(end);
  uint64_t n = in->arrived - in->read;
  const uint64_t least = n / 8; /* so that a large document takes no thousand turns */
  if (n > READ_BYTES) n = READ_BYTES;
  if (world_dice(w, 2) == 0) n = 1 + world_dice(w, n);
  if (world_dice(w, 4) == 0 && n > 16) n = 1 + world_dice(w, 16);
  if (n < least && least <= READ_BYTES) n = least;
  uint8_t *data = memory_alloc(n);
  memcpy(data, in->data.data, n);
  take(w, end, n);
  process_step(w, end->owner,
               (struct node_event){.type = NODE_RECEIVED, .stream = end->stream, .data = data, .n = n});
  free(data);
}

void stream_feed(struct world *w, struct end *end) {
  const struct pipe *in = input(end);
  if (end->state == END_BACKLOG) {
    accept_at(w, end);
  } else if (end->state != END_OPEN) {
    tell_closed(w, end);
  } else if (end->connected) {
    end->connected = false;
    process_step(w, end->owner, (struct node_event){.type = NODE_CONNECTED, .stream = end->stream});
  } else if (end->drained) {
    end->drained = false;
    process_step(w, end->owner, (struct node_event){.type = NODE_DRAINED, .stream = end->stream});
  } else if (in->arrived > in->read) {
    tell_received(w, end);
  } else if (in->reset) {
    tell_closed(w, end);
  } else {
    end->ended = true;
    process_step(w, end->owner, (struct node_event){.type = NODE_ENDED, .stream = end->stream});
  }
}

void stream_pause(struct world *w, struct end *end, bool pause) {
  WORLD_CHECK(w, end->paused != pause);
  end->paused = pause;
  if (!pause) process_poke(w, end->owner);
}

void stream_bytes_arrive(struct world *w, struct world_event *event) {
  struct end *end = &event->connection->ends[event->side];
  struct pipe *pipe = input(end);
  if (pipe->stalled || net_is_blocked(w, other(end)->owner, end->owner, true)) {
    pipe->stalled = true;
    return;
  }
  const uint64_t upto = event->upto < pipe->written ? event->upto : pipe->written;
  if (upto > pipe->arrived) pipe->arrived = upto;
  if (event->fin) pipe->fin_arrived = true;
  if (end->state == END_CLOSED) return;
  if (end->state == END_CLOSING) throw_away(w, end);
  if (end->owner >= 0)
    process_poke(w, end->owner);
  else if (end->wire != NULL)
    stream_wire_readable(w, end->wire);
}

void stream_go_on(struct world *w) {
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = list_next(&w->connections, at)) {
    struct world_connection *connection = CONTAINER_OF(at, struct world_connection, link);
    if (connection->stalled) try_to_connect(w, connection);
    connection->stalled = false;
    for (int side = 0; side < 2; side++) {
      struct end *reader = &connection->ends[side];
      if (input(reader)->stalled) schedule_arrival(w, reader, input(reader)->fin);
      input(reader)->stalled = false;
    }
  }
}

/* ---- The test's ends ---- */

static struct wire *wire_new(struct world *w, struct end *end) {
  struct wire *wire = memory_zalloc(sizeof *wire);
  wire->end = end;
  wire->reading = true;
  end->wire = wire;
  *(struct wire **)queue_push(&w->wires) = wire;
  return wire;
}

void stream_wire_readable(struct world *w, struct wire *wire) {
  struct end *end = wire->end;
  const struct pipe *in = input(end);
  if (!wire->reading || end->state == END_CLOSED) return;
  bytes_append(&wire->received, in->data.data, in->arrived - in->read);
  throw_away(w, end);
  if (!in->fin_arrived) return;
  wire->ended = true;
  end_is_over(w, end);
}

struct wire *world_connect(struct world *w, int node) {
  return wire_new(w, stream_connect(w, OWNER_TEST, w->processes[node].http));
}

/* What is sent before the connection is made waits for it, as in a socket. */
void wire_send(struct world *w, struct wire *wire, const void *data, size_t n) {
  if (wire->end->state != END_CLOSED) stream_write(w, wire->end, data, n);
}

void wire_send_text(struct world *w, struct wire *wire, const char *text) {
  wire_send(w, wire, text, strlen(text));
}

void wire_read(struct world *w, struct wire *wire, bool on) {
  wire->reading = on;
  if (on) stream_wire_readable(w, wire);
}

void wire_end(struct world *w, struct wire *wire) {
  send_fin(w, wire->end);
}

bool wire_has(const struct wire *wire, const char *text) {
  return wire->received.n > 0 && memmem(wire->received.data, wire->received.n, text, strlen(text)) != NULL;
}

void wire_close(struct world *w, struct wire *wire) {
  end_is_over(w, wire->end);
}

void world_listen(struct world *w, struct address address) {
  struct listener *listener = memory_zalloc(sizeof *listener);
  listener->address = address;
  list_append(&w->listeners, &listener->link);
}

struct wire *world_accept(struct world *w, struct address address) {
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = list_next(&w->connections, at)) {
    struct end *end = &CONTAINER_OF(at, struct world_connection, link)->ends[1];
    if (end->owner != OWNER_TEST || end->state != END_BACKLOG ||
        !address_equal(&end->connection->address, &address))
      continue;
    end->state = END_OPEN;
    struct wire *wire = wire_new(w, end);
    wire->connected = true;
    stream_wire_readable(w, wire);
    return wire;
  }
  return NULL;
}

/* ---- Clearing up ---- */

static void free_connections(struct list *list) {
  for (struct list_link *first; (first = list_first(list)) != NULL;) {
    struct world_connection *connection = CONTAINER_OF(first, struct world_connection, link);
    list_remove(first);
    for (int side = 0; side < 2; side++) bytes_close(&connection->to[side].data);
    free(connection);
  }
}

void stream_free(struct world *w) {
  free_connections(&w->connections);
  free_connections(&w->ended);
  for (struct list_link *first; (first = list_first(&w->listeners)) != NULL;) {
    list_remove(first);
    free(CONTAINER_OF(first, struct listener, link));
  }
  for (struct wire **wire; (wire = queue_at(&w->wires, 0)) != NULL; queue_pop(&w->wires)) {
    bytes_close(&(*wire)->received);
    free((*wire)->user);
    free(*wire);
  }
  queue_close(&w->wires);
}
