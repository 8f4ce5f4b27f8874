/* A node for tests of net/: it implements node/node.h, and does what its TCP clients tell it, one command a
 * line.
 *
 *   echo TEXT          writes TEXT back
 *   twice TEXT         writes TEXT in two effects
 *   big N              writes N bytes in one effect: byte i is the letter 'a' + i % 23
 *   endless            writes a block of 'x', and another whenever it is told DRAINED
 *   drained            writes how often this stream was told DRAINED
 *   close              writes "bye" and closes
 *   hangup             closes
 *   pause MS           reads no more for that long, then writes "resumed"
 *   wake MS            asks to be woken; writes "tick EARLY-OR-LATE-BY-MS"
 *   bind, release      the election address; "bound", "taken" or "released" is written
 *   udp, election      writes that address
 *   send HOST:PORT T   sends a datagram
 *   listen             from now on writes "datagram FROM BYTES" for each datagram
 *   connect HOST:PORT  writes "connected", then "received BYTES" for what comes, then "ended"
 *   write TEXT         to the newest outbound stream
 *   streams            writes how many streams there are, this one included
 *   log TEXT           a line at info level
 *   persist TERM       wants that term on the disk; "persisted SEQUENCE" is written when it is there
 *   identity ID TERM   the same, under a new id
 *   restored           writes the id, and the term that was on the disk at the start, or "nothing"
 *   exit STATUS
 *
 * A node named "late" opens HTTP after 300 ms, others at once. One named "stubborn" does not end on
 * NODE_STOP; others close all streams first. */
#include "base/list.h"
#include "base/memory.h"
#include "node/node.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { LATE_MS = 300, LINE_BYTES_MAX = 256, BLOCK_BYTES = 16 * 1024 };

struct node_stream {
  struct list_link link;
  void *user;
  bool outbound;
  bool endless;
  bool closing;
  struct bytes line; /* not yet ended */
  uint64_t drained;
};

struct effect {
  struct list_link link;
  struct node_effect effect;
  struct bytes data;
  struct node_persist persist;
  struct coracle_raft_persist raft;
};

struct node {
  struct node_options options;
  struct list streams;
  struct list effects;
  struct effect *current;        /* given out last; its data must live until the next call */
  struct node_stream *listener;  /* of "listen" */
  struct node_stream *binder;    /* of "bind" */
  struct node_stream *outbound;  /* the newest */
  struct node_stream *connector; /* who asked for it */
  struct node_stream *waker;     /* of "wake" and "pause" */
  struct node_stream *persister; /* of "persist" and "identity" */
  uint64_t sequence;             /* of what was wanted on the disk last */
  bool was_restored;
  uint64_t restored_term;
  bool waker_is_paused;
  uint64_t wake_ms;
  uint64_t open_ms; /* 0: HTTP is open */
  bool stopping;
};

void *node_stream_user(const struct node_stream *stream) {
  return stream->user;
}

void node_stream_set_user(struct node_stream *stream, void *user) {
  stream->user = user;
}

static struct effect *put_effect(struct node *node, enum node_effect_type type, struct node_stream *stream) {
  struct effect *effect = memory_zalloc(sizeof *effect);
  effect->effect.type = type;
  effect->effect.stream = stream;
  list_append(&node->effects, &effect->link);
  return effect;
}

static void effect_free(struct effect *effect) {
  if (effect != NULL) bytes_close(&effect->data);
  free(effect);
}

__attribute__((format(printf, 3, 4))) static void say(struct node *node, struct node_stream *stream,
                                                      const char *format, ...) {
  char text[2 * LINE_BYTES_MAX];
  va_list args;
  if (stream == NULL) return;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  bytes_printf(&put_effect(node, NODE_WRITE, stream)->data, "%s\n", text);
}

static struct node_stream *stream_new(struct node *node, bool outbound) {
  struct node_stream *stream = memory_zalloc(sizeof *stream);
  stream->outbound = outbound;
  list_append(&node->streams, &stream->link);
  return stream;
}

static uint64_t count_streams(const struct node *node) {
  uint64_t n = 0;
  for (const struct list_link *at = list_first(&node->streams); at != NULL;
       at = list_next(&node->streams, at))
    n++;
  return n;
}

/* No effect names a stream that has ended. */
static void drop_effects_of(struct node *node, const struct node_stream *stream) {
  for (struct list_link *at = list_first(&node->effects), *next; at != NULL; at = next) {
    struct effect *effect = CONTAINER_OF(at, struct effect, link);
    next = list_next(&node->effects, at);
    if (effect->effect.stream != stream) continue;
    list_remove(at);
    effect_free(effect);
  }
}

static void forget(struct node *node, struct node_stream *stream) {
  drop_effects_of(node, stream);
  if (node->listener == stream) node->listener = NULL;
  if (node->binder == stream) node->binder = NULL;
  if (node->connector == stream) node->connector = NULL;
  if (node->waker == stream) node->waker = NULL;
  if (node->persister == stream) node->persister = NULL;
  if (node->outbound == stream) node->outbound = NULL;
  list_remove(&stream->link);
  bytes_close(&stream->line);
  free(stream);
}

static void exit_if_stopped(struct node *node) {
  if (node->stopping && list_is_empty(&node->streams)) put_effect(node, NODE_EXIT, NULL);
}

/* ---- Commands ---- */

static uint64_t number(const char *text) {
  uint64_t value = 0;
  bool valid = slice_to_u64(slice_of(text), &value);
  assert(valid);
  (void)valid;
  return value;
}

static struct address address_of(const char *text) {
  struct address address = {0};
  int error = address_parse(text, &address);
  assert(error == 0);
  (void)error;
  return address;
}

static void write_block(struct node *node, struct node_stream *stream, size_t n, bool pattern) {
  struct bytes *data = &put_effect(node, NODE_WRITE, stream)->data;
  uint8_t *at = bytes_reserve(data, n);
  for (size_t i = 0; i < n; i++) at[i] = pattern ? (uint8_t)('a' + i % 23) : 'x';
  data->n += n;
}

static void wake(struct node *node, struct node_stream *stream, uint64_t at_ms, bool is_pause) {
  node->waker = stream;
  node->waker_is_paused = is_pause;
  node->wake_ms = at_ms;
  put_effect(node, NODE_WAKE, NULL)->effect.at_ms = at_ms;
}

static void command_of_streams(struct node *node, struct node_stream *stream, const char *word,
                               const char *rest) {
  if (strcmp(word, "echo") == 0) {
    say(node, stream, "%s", rest);
  } else if (strcmp(word, "twice") == 0) {
    bytes_append_string(&put_effect(node, NODE_WRITE, stream)->data, rest);
    say(node, stream, "%s", rest);
  } else if (strcmp(word, "big") == 0) {
    write_block(node, stream, number(rest), true);
  } else if (strcmp(word, "endless") == 0) {
    stream->endless = true;
    write_block(node, stream, BLOCK_BYTES, false);
  } else if (strcmp(word, "drained") == 0) {
    say(node, stream, "%" PRIu64, stream->drained);
  } else if (strcmp(word, "close") == 0) {
    say(node, stream, "bye");
    put_effect(node, NODE_CLOSE, stream);
  } else if (strcmp(word, "hangup") == 0) {
    put_effect(node, NODE_CLOSE, stream);
  } else if (strcmp(word, "streams") == 0) {
    say(node, stream, "%" PRIu64, count_streams(node));
  } else if (strcmp(word, "write") == 0 && node->outbound != NULL) {
    say(node, node->outbound, "%s", rest);
  }
}

static void command_of_addresses(struct node *node, struct node_stream *stream, const char *word,
                                 char *rest) {
  char text[ADDRESS_TEXT_MAX];
  if (strcmp(word, "bind") == 0) {
    node->binder = stream;
    put_effect(node, NODE_BIND, NULL);
  } else if (strcmp(word, "release") == 0) {
    put_effect(node, NODE_RELEASE, NULL);
    say(node, stream, "released");
  } else if (strcmp(word, "udp") == 0) {
    say(node, stream, "%s", address_format(&node->options.udp, text));
  } else if (strcmp(word, "election") == 0) {
    say(node, stream, "%s", address_format(&node->options.election, text));
  } else if (strcmp(word, "send") == 0) {
    char *data = strchr(rest, ' ');
    assert(data != NULL);
    *data++ = '\0';
    struct effect *effect = put_effect(node, NODE_SEND, NULL);
    effect->effect.to = address_of(rest);
    bytes_append_string(&effect->data, data);
  } else if (strcmp(word, "listen") == 0) {
    node->listener = stream;
    say(node, stream, "listening");
  } else if (strcmp(word, "connect") == 0) {
    node->outbound = stream_new(node, true);
    node->connector = stream;
    put_effect(node, NODE_CONNECT, node->outbound)->effect.to = address_of(rest);
  }
}

static void persist(struct node *node, struct node_stream *stream, bool identity, uint64_t id,
                    uint64_t term) {
  struct effect *effect = put_effect(node, NODE_PERSIST, NULL);
  effect->raft = (struct coracle_raft_persist){.vote_changed = true, .term = term};
  effect->persist = (struct node_persist){.sequence = ++node->sequence,
                                          .identity = identity,
                                          .id = id,
                                          .cluster = "a cluster of one",
                                          .raft = &effect->raft};
  effect->effect.persist = &effect->persist;
  node->persister = stream;
}

static void command_of_storage(struct node *node, struct node_stream *stream, const char *word, char *rest) {
  if (strcmp(word, "persist") == 0) {
    persist(node, stream, false, 0, number(rest));
  } else if (strcmp(word, "identity") == 0) {
    char *term = strchr(rest, ' ');
    assert(term != NULL);
    *term++ = '\0';
    persist(node, stream, true, number(rest), number(term));
  } else if (strcmp(word, "restored") == 0 && node->was_restored) {
    say(node, stream, "%" PRIu64 " %" PRIu64, node->options.id, node->restored_term);
  } else if (strcmp(word, "restored") == 0) {
    say(node, stream, "nothing");
  }
}

static void run_command(struct node *node, struct node_stream *stream, char *line, uint64_t now_ms) {
  char *rest = strchr(line, ' ');
  if (rest != NULL)
    *rest++ = '\0';
  else
    rest = line + strlen(line);
  if (strcmp(line, "pause") == 0) {
    put_effect(node, NODE_PAUSE, stream);
    wake(node, stream, now_ms + number(rest), true);
  } else if (strcmp(line, "wake") == 0) {
    wake(node, stream, now_ms + number(rest), false);
  } else if (strcmp(line, "log") == 0) {
    struct effect *effect = put_effect(node, NODE_LOG, NULL);
    bytes_append(&effect->data, rest, strlen(rest) + 1);
    effect->effect.level = NODE_LOG_INFO;
  } else if (strcmp(line, "exit") == 0) {
    put_effect(node, NODE_EXIT, NULL)->effect.status = (int)number(rest);
  }
  command_of_streams(node, stream, line, rest);
  command_of_addresses(node, stream, line, rest);
  command_of_storage(node, stream, line, rest);
}

/* ---- Events ---- */

static void received(struct node *node, const struct node_event *event) {
  struct node_stream *stream = event->stream;
  assert(!stream->closing);
  if (stream->outbound) {
    size_t n = event->n - (event->data[event->n - 1] == '\n');
    say(node, node->connector, "received %.*s", (int)n, (const char *)event->data);
    return;
  }
  for (size_t i = 0; i < event->n; i++) {
    char c = (char)event->data[i];
    if (c != '\n') {
      if (stream->line.n < LINE_BYTES_MAX) bytes_append(&stream->line, &c, 1);
      continue;
    }
    bytes_append(&stream->line, "", 1);
    run_command(node, stream, (char *)stream->line.data, event->now_ms);
    stream->line.n = 0;
  }
}

static void tick(struct node *node, uint64_t now_ms) {
  if (node->open_ms != 0 && now_ms >= node->open_ms) {
    node->open_ms = 0;
    put_effect(node, NODE_OPEN_HTTP, NULL);
  }
  if (node->waker == NULL) return;
  if (node->waker_is_paused) put_effect(node, NODE_RESUME, node->waker);
  if (node->waker_is_paused)
    say(node, node->waker, "resumed");
  else
    say(node, node->waker, "tick %" PRId64, (int64_t)(now_ms - node->wake_ms));
  node->waker = NULL;
}

static void start(struct node *node, uint64_t now_ms) {
  bool late = strcmp(node->options.name, "late") == 0;
  node->open_ms = late ? now_ms + LATE_MS : 0;
  if (late)
    put_effect(node, NODE_WAKE, NULL)->effect.at_ms = node->open_ms;
  else
    put_effect(node, NODE_OPEN_HTTP, NULL);
}

static void stop(struct node *node) {
  if (strcmp(node->options.name, "stubborn") == 0) return;
  node->stopping = true;
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = list_next(&node->streams, at))
    put_effect(node, NODE_CLOSE, CONTAINER_OF(at, struct node_stream, link));
  exit_if_stopped(node);
}

void node_step(struct node *node, const struct node_event *event) {
  char text[ADDRESS_TEXT_MAX];
  switch (event->type) {
  case NODE_START:
    start(node, event->now_ms);
    break;
  case NODE_TICK:
    tick(node, event->now_ms);
    break;
  case NODE_PERSISTED:
    say(node, node->persister, "persisted %" PRIu64, event->sequence);
    break;
  case NODE_STORAGE:
    break;
  case NODE_DATAGRAM:
    say(node, node->listener, "datagram %s %.*s", address_format(&event->from, text), (int)event->n,
        (const char *)event->data);
    break;
  case NODE_BOUND:
    say(node, node->binder, "bound");
    break;
  case NODE_TAKEN:
    say(node, node->binder, "taken");
    break;
  case NODE_CONNECTED:
    say(node, node->connector, "connected");
    break;
  case NODE_RECEIVED:
    received(node, event);
    break;
  case NODE_DRAINED:
    event->stream->drained++;
    if (event->stream->endless) write_block(node, event->stream, BLOCK_BYTES, false);
    break;
  case NODE_ENDED:
    if (!event->stream->closing) put_effect(node, NODE_CLOSE, event->stream);
    break;
  case NODE_CLOSED:
    if (event->stream->outbound) say(node, node->connector, "ended");
    forget(node, event->stream);
    exit_if_stopped(node);
    break;
  case NODE_STOP:
    stop(node);
    break;
  }
}

bool node_next_effect(struct node *node, uint64_t now_ms, struct node_effect *effect) {
  struct list_link *link = list_first(&node->effects);
  (void)now_ms;
  effect_free(node->current);
  node->current = NULL;
  if (link == NULL) return false;
  node->current = CONTAINER_OF(link, struct effect, link);
  list_remove(link);
  *effect = node->current->effect;
  effect->data = node->current->data.data;
  effect->n = node->current->data.n;
  effect->text = (const char *)node->current->data.data;
  if (effect->type == NODE_CLOSE) effect->stream->closing = true;
  return true;
}

struct node_stream *node_accept(struct node *node, uint64_t now_ms) {
  (void)now_ms;
  return count_streams(node) < node->options.connections_max ? stream_new(node, false) : NULL;
}

struct node *node_new(const struct node_options *options, uint64_t now_ms) {
  static const uint8_t zero[WRITE_TOKEN_BYTES];
  struct node *node = memory_zalloc(sizeof *node);
  (void)now_ms;
  assert(options->id != 0 && options->seed != 0 && memcmp(options->token, zero, sizeof zero) != 0);
  node->options = *options;
  assert(options->durable == (options->restored != NULL) && options->data_bytes_max > 0);
  if (options->restored != NULL) {
    node->was_restored = memcmp(options->restored->cluster, zero, JOIN_CLUSTER_BYTES) != 0;
    node->restored_term = options->restored->raft.term;
  }
  list_init(&node->streams);
  list_init(&node->effects);
  return node;
}

void node_free(struct node *node) {
  struct list_link *link;
  if (node == NULL) return;
  while ((link = list_first(&node->streams)) != NULL)
    forget(node, CONTAINER_OF(link, struct node_stream, link));
  while ((link = list_first(&node->effects)) != NULL) {
    list_remove(link);
    effect_free(CONTAINER_OF(link, struct effect, link));
  }
  effect_free(node->current);
  free(node);
}
