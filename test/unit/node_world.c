/* Time, processes and their turns. */
#include "base/memory.h"
#include "node_world_core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum {
  START_MS = 1000000, /* of the nodes' clock */
  TRACE_BYTES_MAX = 512 * 1024,
  TURN_AFTER_US_MAX = 30,
  PORT_FREE_AFTER_US_MAX = 4000,
};
static const uint64_t WALL_START_MS = 1795000000000;

static struct address local(uint16_t port) {
  return (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = port};
}

struct address world_election(void) {
  return local(8000);
}

/* ---- Making one ---- */

struct world *world_new(const struct world_options *options) {
  struct world *w = memory_zalloc(sizeof *w);
  w->options = *options;
  if (w->options.connections_max == 0) w->options.connections_max = 64;
  w->random.state = options->seed;
  w->holder = HOLDER_NOBODY;
  w->trace_at_once = getenv("WORLD_TRACE") != NULL;
  list_init(&w->connections);
  list_init(&w->ended);
  list_init(&w->listeners);
  w->taps = QUEUE_OF(struct tap *);
  w->wires = QUEUE_OF(struct wire *);
  for (int i = 0; i < options->nodes; i++) {
    w->processes[i].http = local((uint16_t)(8001 + i));
    w->processes[i].inbox = QUEUE_OF(struct letter *);
  }
  return w;
}

static void process_free(struct process *p) {
  for (struct letter **letter; (letter = queue_at(&p->inbox, 0)) != NULL; queue_pop(&p->inbox)) free(*letter);
  node_free(p->node);
  p->node = NULL;
}

void world_free(struct world *w) {
  for (int i = 0; i < w->options.nodes; i++) {
    process_free(&w->processes[i]);
    queue_close(&w->processes[i].inbox);
    bytes_close(&w->processes[i].log);
  }
  for (size_t i = 0; i < w->events_n; i++) free(w->events[i].letter);
  free(w->events);
  net_free(w);
  check_free(w);
  bytes_close(&w->trace);
  free(w);
}

/* ---- The trace ---- */

uint64_t hash_bytes(uint64_t hash, const void *data, size_t n) {
  const uint8_t *at = data;
  for (size_t i = 0; i < n; i++) hash = (hash ^ at[i]) * 0x100000001b3u; /* FNV-1a */
  return hash;
}

void world_hash(struct world *w, const void *data, size_t n) {
  w->trace_hash = hash_bytes(w->trace_hash ^ n, data, n);
}

uint64_t world_trace_hash(const struct world *w) {
  return w->trace_hash;
}

void world_trace(struct world *w, int node, const char *format, ...) {
  char text[1024];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  if (w->trace.n > TRACE_BYTES_MAX) bytes_consume(&w->trace, w->trace.n / 2);
  bytes_printf(&w->trace, "%7" PRIu64 ".%03" PRIu64 " %c %s\n", w->now_us / 1000, w->now_us % 1000,
               'a' + node, text);
  if (w->trace_at_once)
    fprintf(stderr, "%7" PRIu64 ".%03" PRIu64 " %c %s\n", w->now_us / 1000, w->now_us % 1000, 'a' + node,
            text);
}

void world_fail(struct world *w, const char *format, ...) {
  va_list args;
  enum { SHOWN_BYTES_MAX = 24 * 1024 };
  const size_t shown = w->trace.n < SHOWN_BYTES_MAX ? w->trace.n : SHOWN_BYTES_MAX;
  if (!w->trace_at_once)
    fprintf(stderr, "%.*s", (int)shown, (const char *)w->trace.data + w->trace.n - shown);
  fprintf(stderr, "seed %" PRIu64 ", at %" PRIu64 ".%03" PRIu64 " ms: ", w->options.seed, w->now_us / 1000,
          w->now_us % 1000);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, "\n");
  fail();
  abort(); /* not reached */
}

uint64_t world_dice(struct world *w, uint64_t limit) {
  return random_below(&w->random, limit);
}

/* ---- Time ---- */

uint64_t world_now_ms(const struct world *w) {
  return w->now_us / 1000;
}

uint64_t world_node_ms(const struct world *w) {
  return START_MS + w->now_us / 1000;
}

static bool is_before(const struct world_event *a, const struct world_event *b) {
  return a->at_us < b->at_us || (a->at_us == b->at_us && a->sequence < b->sequence);
}

static void swap(struct world_event *a, struct world_event *b) {
  struct world_event kept = *a;
  *a = *b;
  *b = kept;
}

/* The event is to be completed before the next is made: its place in the heap is its time's, and stays. */
struct world_event *world_schedule(struct world *w, enum event_type type, uint64_t after_us) {
  if (w->events_n == w->events_capacity) {
    w->events_capacity = w->events_capacity > 0 ? 2 * w->events_capacity : 64;
    w->events = memory_realloc(w->events, w->events_capacity * sizeof *w->events);
  }
  size_t i = w->events_n++;
  w->events[i] =
      (struct world_event){.at_us = w->now_us + after_us, .sequence = ++w->events_made, .type = type};
  for (; i > 0 && is_before(&w->events[i], &w->events[(i - 1) / 2]); i = (i - 1) / 2)
    swap(&w->events[i], &w->events[(i - 1) / 2]);
  return &w->events[i];
}

static struct world_event take_first(struct world *w) {
  struct world_event first = w->events[0];
  w->events[0] = w->events[--w->events_n];
  for (size_t i = 0, child; (child = 2 * i + 1) < w->events_n; i = child) {
    if (child + 1 < w->events_n && is_before(&w->events[child + 1], &w->events[child])) child++;
    if (!is_before(&w->events[child], &w->events[i])) break;
    swap(&w->events[child], &w->events[i]);
  }
  return first;
}

/* ---- A turn of a process ---- */

void process_poke(struct world *w, int node) {
  struct process *p = &w->processes[node];
  if (p->node == NULL || p->paused || p->turn_due) return;
  p->turn_due = true;
  struct world_event *event = world_schedule(w, EVENT_TURN, 1 + world_dice(w, TURN_AFTER_US_MAX));
  event->node = node;
  event->incarnation = p->incarnation;
}

void process_step(struct world *w, int node, struct node_event event) {
  event.now_ms = world_node_ms(w);
  event.wall_ms = WALL_START_MS + world_now_ms(w);
  node_step(w->processes[node].node, &event);
}

static void bind_election(struct world *w, int node) {
  struct process *p = &w->processes[node];
  if (w->holder == HOLDER_NOBODY) {
    w->holder = node;
    w->holder_incarnation = p->incarnation;
  }
  p->bind_report = w->holder == node ? BIND_WON : BIND_TAKEN;
}

static void wake_at(struct world *w, int node, uint64_t at_ms) {
  struct process *p = &w->processes[node];
  const uint64_t now_ms = world_node_ms(w);
  p->wake_ms = at_ms;
  if (at_ms == UINT64_MAX) return;
  const uint64_t at_us = at_ms > now_ms ? (at_ms - START_MS) * 1000 : w->now_us;
  struct world_event *event = world_schedule(w, EVENT_WAKE, at_us - w->now_us);
  event->node = node;
  event->incarnation = p->incarnation;
}

static void log_line(struct world *w, int node, const struct node_effect *effect) {
  static const char *const levels[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
  bytes_printf(&w->processes[node].log, "%s %s\n", levels[effect->level], effect->text);
  world_trace(w, node, "%s %s", levels[effect->level], effect->text);
}

static void carry_out(struct world *w, int node, const struct node_effect *effect) {
  struct process *p = &w->processes[node];
  struct end *end;
  switch (effect->type) {
  case NODE_SEND:
    net_send(w, p->udp, effect->to, effect->data, effect->n);
    return;
  case NODE_BIND:
    bind_election(w, node);
    return;
  case NODE_PERSIST:
    world_fail(w, "a node with memory storage asks for a disk");
  case NODE_RELEASE:
    WORLD_CHECK(w, w->holder == node);
    w->holder = HOLDER_NOBODY;
    return;
  case NODE_OPEN_HTTP:
    WORLD_CHECK(w, !p->http_open);
    p->http_open = true;
    return;
  case NODE_CONNECT:
    end = net_connect(w, node, effect->to);
    end->stream = effect->stream;
    node_stream_set_user(effect->stream, end);
    return;
  case NODE_WRITE:
    WORLD_CHECK(w, effect->n > 0 && net_end_of(effect->stream)->state == END_OPEN);
    net_write(w, net_end_of(effect->stream), effect->data, effect->n);
    return;
  case NODE_PAUSE:
  case NODE_RESUME:
    net_pause(w, net_end_of(effect->stream), effect->type == NODE_PAUSE);
    return;
  case NODE_CLOSE:
    net_close(w, net_end_of(effect->stream));
    return;
  case NODE_LOG:
    log_line(w, node, effect);
    return;
  case NODE_WAKE:
    wake_at(w, node, effect->at_ms);
    return;
  case NODE_EXIT:
    p->exited = true;
    return;
  }
}

static void hash_effect(struct world *w, int node, const struct node_effect *effect) {
  const uint64_t numbers[] = {w->now_us, (uint64_t)node, effect->type, effect->to.port, effect->at_ms};
  world_hash(w, numbers, sizeof numbers);
  if (effect->data != NULL) world_hash(w, effect->data, effect->n);
}

static void carry_out_all(struct world *w, int node) {
  struct node_effect effect;
  while (!w->processes[node].exited && node_next_effect(w->processes[node].node, world_node_ms(w), &effect)) {
    hash_effect(w, node, &effect);
    carry_out(w, node, &effect);
  }
}

static size_t ready_ends(struct world *w, int node, struct end **ready, size_t limit) {
  size_t n = 0;
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = list_next(&w->connections, at)) {
    struct world_connection *connection = CONTAINER_OF(at, struct world_connection, link);
    for (int side = 0; side < 2 && n < limit; side++) {
      struct end *end = &connection->ends[side];
      if (end->owner == node && net_end_is_ready(w, end)) ready[n++] = end;
    }
  }
  return n;
}

static void feed_datagram(struct world *w, int node) {
  struct process *p = &w->processes[node];
  struct letter *letter = *(struct letter **)queue_at(&p->inbox, 0);
  queue_pop(&p->inbox);
  process_step(
      w, node,
      (struct node_event){.type = NODE_DATAGRAM, .from = letter->from, .data = letter->data, .n = letter->n});
  free(letter);
}

/* One of the things that are ready for a process, drawn by lot; false when there is none. */
static bool feed_one(struct world *w, int node) {
  struct process *p = &w->processes[node];
  enum { READY_MAX = 64 };
  struct end *ready[READY_MAX];
  const size_t ends_n = ready_ends(w, node, ready, READY_MAX);
  const bool is_due = p->wake_ms <= world_node_ms(w), has_mail = p->inbox.n > 0;
  const size_t n = ends_n + is_due + has_mail;
  if (n == 0) return false;
  const size_t drawn = world_dice(w, n);
  if (drawn < ends_n) {
    net_end_feed(w, ready[drawn]);
  } else if (drawn == ends_n && is_due) {
    p->wake_ms = UINT64_MAX;
    process_step(w, node, (struct node_event){.type = NODE_TICK});
  } else {
    feed_datagram(w, node);
  }
  return true;
}

static void tell_bind(struct world *w, int node) {
  struct process *p = &w->processes[node];
  const enum bind_report report = p->bind_report;
  p->bind_report = BIND_NOTHING;
  process_step(w, node, (struct node_event){.type = report == BIND_WON ? NODE_BOUND : NODE_TAKEN});
}

static void finish_turn(struct world *w, int node) {
  struct process *p = &w->processes[node];
  carry_out_all(w, node);
  while (!p->exited && p->bind_report != BIND_NOTHING) {
    tell_bind(w, node);
    carry_out_all(w, node);
  }
  check_process(w, node);
  if (!p->exited) return;
  world_trace(w, node, "has ended");
  net_process_ended(w, node, false);
  if (w->holder == node) w->holder = HOLDER_NOBODY;
  process_free(p);
}

static void turn(struct world *w, int node) {
  struct process *p = &w->processes[node];
  const uint64_t wanted = 1 + world_dice(w, INPUTS_PER_TURN_MAX);
  uint64_t fed = 0;
  p->turn_due = false;
  if (p->paused) return;
  while (fed < wanted && feed_one(w, node)) fed++;
  if (fed > 0) finish_turn(w, node);
  if (fed == wanted) process_poke(w, node); /* there may be more */
}

/* ---- Steps ---- */

static bool is_of_now(const struct world *w, const struct world_event *event) {
  const struct process *p = &w->processes[event->node];
  return p->node != NULL && p->incarnation == event->incarnation;
}

static void happen(struct world *w, struct world_event *event) {
  switch (event->type) {
  case EVENT_TURN:
    if (is_of_now(w, event)) turn(w, event->node);
    return;
  case EVENT_WAKE:
    if (is_of_now(w, event)) process_poke(w, event->node);
    return;
  case EVENT_DATAGRAM:
    net_datagram_arrives(w, event->letter);
    return;
  case EVENT_CONNECT:
    net_connection_arrives(w, event);
    return;
  case EVENT_ARRIVAL:
    net_bytes_arrive(w, event);
    return;
  case EVENT_DEADLINE:
    net_deadline(w, event);
    return;
  case EVENT_PORT_FREE:
    if (w->holder == HOLDER_DYING && w->holder_incarnation == event->incarnation) w->holder = HOLDER_NOBODY;
    return;
  }
}

bool world_step(struct world *w, uint64_t limit_ms) {
  if (w->events_n == 0 || w->events[0].at_us > limit_ms * 1000) {
    if (w->now_us < limit_ms * 1000) w->now_us = limit_ms * 1000;
    return false;
  }
  struct world_event event = take_first(w);
  w->now_us = event.at_us;
  happen(w, &event);
  return true;
}

void world_run(struct world *w, uint64_t ms) {
  const uint64_t end_ms = world_now_ms(w) + ms;
  while (world_step(w, end_ms)) continue;
}

/* ---- Processes ---- */

static void fill_random(struct world *w, uint8_t *at, size_t n) {
  for (size_t i = 0; i < n; i++) at[i] = (uint8_t)random_next(&w->random);
}

void world_start(struct world *w, int node) {
  struct process *p = &w->processes[node];
  char name[] = {(char)('a' + node), '\0'};
  WORLD_CHECK(w, p->node == NULL);
  p->incarnation = ++w->processes_made;
  p->id = random_next(&w->random) | 1;
  p->udp = local((uint16_t)(20000 + p->incarnation % 40000));
  fill_random(w, p->token, sizeof p->token);
  p->paused = p->stopping = p->http_open = p->turn_due = p->exited = false;
  p->wake_ms = UINT64_MAX;
  p->bind_report = BIND_NOTHING;
  p->log.n = 0;
  p->checked = (struct checked){0};

  struct node_options options = {.name = name,
                                 .id = p->id,
                                 .start = WALL_START_MS + world_now_ms(w),
                                 .seed = random_next(&w->random),
                                 .election = world_election(),
                                 .udp = p->udp,
                                 .http = p->http,
                                 .heartbeat_ms = HEARTBEAT_MS,
                                 .election_timeout_ms = ELECTION_TIMEOUT_MS,
                                 .document_bytes_max = DOCUMENT_BYTES_MAX,
                                 .connections_max = w->options.connections_max,
                                 .follower_writes = w->options.follower_writes,
                                 .wall_ms = WALL_START_MS + world_now_ms(w)};
  memcpy(options.token, p->token, sizeof options.token);
  fill_random(w, options.store_key, sizeof options.store_key);
  p->node = node_new(&options, world_node_ms(w));
  world_trace(w, node, "is started with id %016" PRIx64, p->id);
  process_step(w, node, (struct node_event){.type = NODE_START});
  finish_turn(w, node);
}

void world_start_all(struct world *w) {
  for (int i = 0; i < w->options.nodes; i++)
    if (w->processes[i].node == NULL) world_start(w, i);
}

void world_kill(struct world *w, int node) {
  struct process *p = &w->processes[node];
  WORLD_CHECK(w, p->node != NULL);
  world_trace(w, node, "is killed");
  net_process_ended(w, node, true);
  if (w->holder == node) {
    w->holder = HOLDER_DYING;
    world_schedule(w, EVENT_PORT_FREE, world_dice(w, PORT_FREE_AFTER_US_MAX))->incarnation = p->incarnation;
  }
  process_free(p);
}

void world_terminate(struct world *w, int node) {
  WORLD_CHECK(w, world_is_running(w, node));
  world_trace(w, node, "is told to stop");
  w->processes[node].stopping = true;
  net_stop_listening(w, node);
  process_step(w, node, (struct node_event){.type = NODE_STOP});
  finish_turn(w, node);
}

void world_pause(struct world *w, int node) {
  WORLD_CHECK(w, world_is_running(w, node));
  world_trace(w, node, "is stopped");
  w->processes[node].paused = true;
}

void world_resume(struct world *w, int node) {
  WORLD_CHECK(w, world_is_paused(w, node));
  world_trace(w, node, "goes on");
  w->processes[node].paused = false;
  process_poke(w, node);
}

bool world_is_running(const struct world *w, int node) {
  return w->processes[node].node != NULL;
}

bool world_is_paused(const struct world *w, int node) {
  return world_is_running(w, node) && w->processes[node].paused;
}

void world_set_port(struct world *w, int node, uint16_t port) {
  WORLD_CHECK(w, !world_is_running(w, node));
  w->processes[node].http = local(port);
}

struct node *world_node(struct world *w, int node) {
  WORLD_CHECK(w, world_is_running(w, node));
  return w->processes[node].node;
}

const uint8_t *world_token(struct world *w, int node) {
  return w->processes[node].token;
}

uint64_t world_id(struct world *w, int node) {
  return join_id(world_node(w, node)->join);
}

struct address world_http(struct world *w, int node) {
  return w->processes[node].http;
}

struct address world_udp(struct world *w, int node) {
  return w->processes[node].udp;
}

int world_holder(const struct world *w) {
  return w->holder < 0 ? -1 : w->holder;
}

void world_occupy(struct world *w, bool occupy) {
  WORLD_CHECK(w, w->holder == (occupy ? HOLDER_NOBODY : HOLDER_OTHER));
  w->holder = occupy ? HOLDER_OTHER : HOLDER_NOBODY;
}

bool world_http_is_open(const struct world *w, int node) {
  return world_is_running(w, node) && w->processes[node].http_open;
}

bool world_has_logged(const struct world *w, int node, const char *text) {
  const struct bytes *log = &w->processes[node].log;
  return log->n > 0 && memmem(log->data, log->n, text, strlen(text)) != NULL;
}
