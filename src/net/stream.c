#include "net/stream.h"

#include "base/memory.h"
#include "net/sockaddr.h"

#include <assert.h>
#include <stdlib.h>
#include <unistd.h>

enum {
  FLUSH_MS = 5000,  /* for what was written to leave, once a stream is to close */
  LINGER_MS = 2000, /* for the peer to close too, once all has left, or for more of what it still sends; */
  LINGER_LONGEST_MS = 30000, /* ... so long in all: it may read its answer only behind a whole upload */
  LINGER_STOPPING_MS = 100,  /* the same while the process ends */
  SWEEP_MS = 50,             /* how often these deadlines are looked at */
};

enum stream_state { CONNECTING, OPEN, FLUSHING, LINGERING, CLOSED };

struct stream {
  uv_tcp_t tcp;
  uv_connect_t connect;
  uv_shutdown_t shutdown;
  struct shell *shell;
  struct node_stream *node_stream;
  struct list_link link;         /* in shell->streams, or in shell->closing when FLUSHING or LINGERING */
  struct list_link drained_link; /* in shell->drained, OPEN only */
  enum stream_state state;
  bool paused;          /* NODE_PAUSE */
  bool ended;           /* the peer has closed its side */
  uint64_t deadline_ms; /* FLUSHING, LINGERING: then it is closed anyway */
  uint64_t linger_end_ms;
};

/* The part of a write that was not taken at once. How much of this a stream may have is the node's to limit:
 * it is told when all has left. */
struct queued_write {
  uv_write_t request;
  char data[];
};

static struct stream *stream_of(const struct node_stream *node_stream) {
  return node_stream_user(node_stream);
}

static void tell(struct stream *stream, enum node_event_type type, const void *data, size_t n) {
  shell_step(stream->shell,
             (struct node_event){.type = type, .stream = stream->node_stream, .data = data, .n = n});
}

static bool has_queued_writes(const struct stream *stream) {
  return uv_stream_get_write_queue_size((const uv_stream_t *)&stream->tcp) > 0;
}

/* ---- The end ---- */

static void on_closed(uv_handle_t *handle) {
  struct stream *stream = handle->data;
  tell(stream, NODE_CLOSED, NULL, 0);
  free(stream);
}

/* Makes the stream CLOSED; the node hears of it from the loop. */
static void finish(struct stream *stream) {
  if (stream->state == CLOSED) return;
  stream->state = CLOSED;
  list_remove(&stream->link);
  if (list_is_linked(&stream->drained_link)) list_remove(&stream->drained_link);
  uv_close((uv_handle_t *)&stream->tcp, on_closed);
}

static void on_sweep(uv_timer_t *timer) {
  struct shell *shell = timer->data;
  uint64_t now_ms = shell_now_ms();
  for (struct list_link *link = list_first(&shell->closing), *next; link != NULL; link = next) {
    struct stream *stream = CONTAINER_OF(link, struct stream, link);
    next = list_next(&shell->closing, link);
    if (stream->deadline_ms <= now_ms) finish(stream);
  }
  if (list_is_empty(&shell->closing)) uv_timer_stop(timer);
}

static void on_shutdown(uv_shutdown_t *request, int status) {
  struct stream *stream = request->data;
  if (stream->state != FLUSHING) return;
  if (status != 0 || stream->ended) {
    finish(stream);
    return;
  }
  stream->state = LINGERING;
  stream->deadline_ms = shell_now_ms() + (stream->shell->stopping ? LINGER_STOPPING_MS : LINGER_MS);
  stream->linger_end_ms = shell_now_ms() + LINGER_LONGEST_MS;
}

/* The peer still sends: to close on it now would reset the connection, and could lose what it was told. */
static void linger_on(struct stream *stream) {
  if (stream->shell->stopping) return;
  stream->deadline_ms = shell_now_ms() + LINGER_MS;
  if (stream->deadline_ms > stream->linger_end_ms) stream->deadline_ms = stream->linger_end_ms;
}

/* ---- Reading ---- */

static void flush(struct stream *stream);

static void on_end(struct stream *stream) {
  stream->ended = true;
  if (stream->state == OPEN)
    tell(stream, NODE_ENDED, NULL, 0);
  else if (stream->state == LINGERING)
    finish(stream);
}

static void on_read(uv_stream_t *handle, ssize_t n, const uv_buf_t *buffer) {
  struct stream *stream = handle->data;
  if (n > 0 && stream->state == OPEN)
    tell(stream, NODE_RECEIVED, buffer->base, (size_t)n);
  else if (n > 0 && stream->state == LINGERING)
    linger_on(stream);
  else if (n == UV_EOF)
    on_end(stream);
  else if (n < 0)
    finish(stream);
}

static void start_reading(struct stream *stream) {
  if (stream->ended) return;
  int error = uv_read_start((uv_stream_t *)&stream->tcp, shell_allocate, on_read);
  assert(error == 0 || error == UV_EALREADY);
  (void)error;
}

/* Closes in order: what was written leaves first, and what still comes is read and thrown away. */
static void flush(struct stream *stream) {
  struct shell *shell = stream->shell;
  stream->state = FLUSHING;
  stream->deadline_ms = shell_now_ms() + FLUSH_MS;
  list_remove(&stream->link);
  list_append(&shell->closing, &stream->link);
  if (list_is_linked(&stream->drained_link)) list_remove(&stream->drained_link);
  if (!uv_is_active((const uv_handle_t *)&shell->sweep))
    uv_timer_start(&shell->sweep, on_sweep, SWEEP_MS, SWEEP_MS);
  start_reading(stream);
  if (uv_shutdown(&stream->shutdown, (uv_stream_t *)&stream->tcp, on_shutdown) != 0) finish(stream);
}

void stream_pause(struct node_stream *node_stream) {
  struct stream *stream = stream_of(node_stream);
  stream->paused = true;
  if (stream->state == OPEN) uv_read_stop((uv_stream_t *)&stream->tcp);
}

void stream_resume(struct node_stream *node_stream) {
  struct stream *stream = stream_of(node_stream);
  stream->paused = false;
  if (stream->state == OPEN) start_reading(stream);
}

/* ---- Writing ---- */

static void on_written(uv_write_t *request, int status) {
  struct stream *stream = request->data;
  free(CONTAINER_OF(request, struct queued_write, request));
  if (status != 0)
    finish(stream);
  else if (stream->state == OPEN && !has_queued_writes(stream))
    tell(stream, NODE_DRAINED, NULL, 0);
}

static void queue_write(struct stream *stream, const char *data, size_t n) {
  struct queued_write *write = memory_alloc(sizeof *write + n);
  memcpy(write->data, data, n);
  write->request.data = stream;
  uv_buf_t buffer = uv_buf_init(write->data, (unsigned)n);
  if (uv_write(&write->request, (uv_stream_t *)&stream->tcp, &buffer, 1, on_written) == 0) return;
  free(write);
  finish(stream);
}

void stream_write(struct node_stream *node_stream, const void *data, size_t n) {
  struct stream *stream = stream_of(node_stream);
  if (stream->state != OPEN && stream->state != CONNECTING) return;
  union {
    const void *given;
    char *wanted;
  } base = {.given = data}; /* uv_buf_t is for reading too, so it has no const */
  uv_buf_t buffer = uv_buf_init(base.wanted, (unsigned)n);

  int taken =
      n == 0 ? 0 : uv_try_write((uv_stream_t *)&stream->tcp, &buffer, 1); /* EAGAIN behind queued ones */
  if (taken == UV_EAGAIN) taken = 0;
  if (taken < 0)
    finish(stream);
  else if ((size_t)taken < n)
    queue_write(stream, base.wanted + taken, n - (size_t)taken);
  else if (!has_queued_writes(stream) && !list_is_linked(&stream->drained_link))
    list_append(&stream->shell->drained, &stream->drained_link);
}

/* The list is emptied first: what the node is told may drain a stream again. */
void streams_tell_drained(struct shell *shell) {
  struct list_link *link;
  while ((link = list_first(&shell->drained)) != NULL) {
    struct stream *stream = CONTAINER_OF(link, struct stream, drained_link);
    list_remove(link);
    if (!has_queued_writes(stream)) tell(stream, NODE_DRAINED, NULL, 0);
  }
}

/* ---- The beginning ---- */

static struct stream *stream_new(struct shell *shell, struct node_stream *node_stream,
                                 enum stream_state state) {
  struct stream *stream = memory_zalloc(sizeof *stream);
  stream->shell = shell;
  stream->node_stream = node_stream;
  stream->state = state;
  uv_tcp_init(&shell->loop, &stream->tcp);
  uv_tcp_nodelay(&stream->tcp, 1); /* noted, and set when there is a socket */
  stream->tcp.data = stream->connect.data = stream->shutdown.data = stream;
  list_append(&shell->streams, &stream->link);
  node_stream_set_user(node_stream, stream);
  return stream;
}

void stream_accept(struct shell *shell, int fd) {
  struct node_stream *node_stream = node_accept(shell->node, shell_now_ms());
  shell->stepped = true;
  if (node_stream == NULL) {
    close(fd);
    return;
  }
  struct stream *stream = stream_new(shell, node_stream, OPEN);
  if (uv_tcp_open(&stream->tcp, fd) != 0) {
    close(fd);
    finish(stream);
    return;
  }
  start_reading(stream);
}

static void on_connect(uv_connect_t *request, int status) {
  struct stream *stream = request->data;
  if (stream->state != CONNECTING) return;
  if (status != 0) {
    finish(stream);
    return;
  }
  stream->state = OPEN;
  if (!stream->paused) start_reading(stream);
  tell(stream, NODE_CONNECTED, NULL, 0);
}

void stream_connect(struct shell *shell, struct node_stream *node_stream, const struct address *to) {
  struct sockaddr_storage sockaddr;
  struct stream *stream = stream_new(shell, node_stream, CONNECTING);
  sockaddr_from_address(to, &sockaddr);
  if (uv_tcp_connect(&stream->connect, &stream->tcp, (const struct sockaddr *)&sockaddr, on_connect) != 0)
    finish(stream);
}

void stream_close(struct node_stream *node_stream) {
  struct stream *stream = stream_of(node_stream);
  if (stream->state == OPEN)
    flush(stream);
  else if (stream->state == CONNECTING)
    finish(stream);
}

void streams_close(struct shell *shell) {
  struct list_link *link;
  while ((link = list_first(&shell->streams)) != NULL) finish(CONTAINER_OF(link, struct stream, link));
  while ((link = list_first(&shell->closing)) != NULL) finish(CONTAINER_OF(link, struct stream, link));
}
