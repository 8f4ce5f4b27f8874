/* Time: one thing after the other, and the trace of it. */
#include "base/memory.h"
#include "world_core.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { TRACE_BYTES_MAX = 512 * 1024 };

struct address world_local(uint16_t port) {
  return (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = port};
}

const uint8_t *world_secret(void) {
  static const uint8_t secret[NODE_SECRET_BYTES] = "the secret of all of this world";
  return secret;
}

struct address world_election(void) {
  return world_local(8000);
}

/* ---- Making one ---- */

struct world *world_new(const struct world_options *options) {
  struct world *w = memory_zalloc(sizeof *w);
  w->options = *options;
  if (w->options.connections_max == 0) w->options.connections_max = 64;
  if (w->options.disk_us == 0) w->options.disk_us = 300;
  if (w->options.segment_bytes == 0) w->options.segment_bytes = 32 * 1024;
  w->random.state = options->seed;
  w->holder = HOLDER_NOBODY;
  w->trace_at_once = getenv("WORLD_TRACE") != NULL;
  w->spells = w->trace_at_once && strcmp(getenv("WORLD_TRACE"), "2") == 0;
  list_init(&w->connections);
  list_init(&w->ended);
  list_init(&w->listeners);
  w->clusters = QUEUE_OF(struct cluster_record *);
  w->taps = QUEUE_OF(struct tap *);
  w->wires = QUEUE_OF(struct wire *);
  for (int i = 0; i < options->nodes; i++) {
    w->processes[i].http = world_local((uint16_t)(8001 + i));
    w->processes[i].inbox = QUEUE_OF(struct letter *);
    world_disk_init(&w->processes[i].disk);
  }
  return w;
}

void world_free(struct world *w) {
  for (int i = 0; i < w->options.nodes; i++) {
    process_free(&w->processes[i]);
    queue_close(&w->processes[i].inbox);
    bytes_close(&w->processes[i].log);
    world_disk_free(&w->processes[i].disk);
  }
  for (size_t i = 0; i < w->events_n; i++) free(w->events[i].letter);
  free(w->events);
  stream_free(w);
  net_free(w);
  record_free(w);
  bytes_close(&w->trace);
  free(w);
}

/* ---- The trace ---- */

uint64_t hash_bytes(uint64_t hash, const void *data, size_t n) {
  const uint8_t *at = data;
  uint64_t word;
  for (; n >= sizeof word; n -= sizeof word, at += sizeof word) { /* FNV-1a by words, mixed */
    memcpy(&word, at, sizeof word);
    hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
    hash ^= hash >> 29;
  }
  for (; n > 0; n--, at++) hash = (hash ^ *at) * 0x100000001b3u;
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
  fprintf(stderr,
          "seed %" PRIu64 ", after %" PRIu64 " events, at %" PRIu64 ".%03" PRIu64 " ms: ", w->options.seed,
          w->happened, w->now_us / 1000, w->now_us % 1000);
  va_start(args, format);
  vfprintf(stderr, format, args);
  va_end(args);
  fprintf(stderr, "\n");
  world_failed(w);
}

uint64_t world_dice(struct world *w, uint64_t limit) {
  return random_below(&w->random, limit);
}

/* ---- Time ---- */

uint64_t world_now_ms(const struct world *w) {
  return w->now_us / 1000;
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

/* ---- Steps ---- */

static bool is_of_now(const struct world *w, const struct world_event *event) {
  const struct process *p = &w->processes[event->node];
  return p->node != NULL && p->incarnation == event->incarnation;
}

static void happen(struct world *w, struct world_event *event) {
  switch (event->type) {
  case EVENT_TURN:
    if (is_of_now(w, event)) process_turn(w, event->node);
    return;
  case EVENT_WAKE:
    if (is_of_now(w, event)) process_poke(w, event->node);
    return;
  case EVENT_DATAGRAM:
    net_datagram_arrives(w, event->letter);
    return;
  case EVENT_CONNECT:
    stream_connection_arrives(w, event);
    return;
  case EVENT_ARRIVAL:
    stream_bytes_arrive(w, event);
    return;
  case EVENT_DEADLINE:
    stream_deadline(w, event);
    return;
  case EVENT_PORT_FREE:
    if (w->holder == HOLDER_DYING && w->holder_incarnation == event->incarnation) w->holder = HOLDER_NOBODY;
    return;
  case EVENT_DISK:
    if (is_of_now(w, event)) world_disk_is_done(w, event->node, event->upto);
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
  w->happened += event.type != EVENT_TURN && event.type != EVENT_WAKE;
  happen(w, &event);
  return true;
}

void world_run(struct world *w, uint64_t ms) {
  const uint64_t end_ms = world_now_ms(w) + ms;
  while (world_step(w, end_ms)) continue;
}
