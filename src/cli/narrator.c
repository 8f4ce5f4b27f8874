#include "cli/narrator.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define BOLD "1"
#define DIM "2"
#define RED "31"
#define GREEN "32"
#define BLUE "1;34"

void narrator_init(struct narrator *narrator, int fd, int stop_fd) {
  const char *no_colour = getenv("NO_COLOR");
  *narrator = (struct narrator){
      .fd = fd,
      .stop_fd = stop_fd,
      .colour = isatty(fd) && (no_colour == NULL || *no_colour == '\0'),
  };
}

/* Waits until `fd` can be written to. False when it cannot and the user wants to stop. */
static bool wait_writable(const struct narrator *narrator) {
  struct pollfd fds[] = {{.fd = narrator->fd, .events = POLLOUT},
                         {.fd = narrator->stop_fd, .events = POLLIN}};
  while (poll(fds, 2, narrator->hurried ? 0 : -1) < 0)
    if (errno != EINTR) return false;
  return fds[0].revents != 0;
}

static void write_all(struct narrator *narrator, const struct bytes *text) {
  size_t at = 0;
  while (at < text->n && !narrator->gone) {
    if (!wait_writable(narrator)) return;
    /* A pipe that polls writable takes this many bytes without blocking (pipe(7)). */
    size_t n = text->n - at < PIPE_BUF ? text->n - at : PIPE_BUF;
    ssize_t written = write(narrator->fd, text->data + at, n);
    if (written > 0) at += (size_t)written;
    if (written < 0 && errno != EINTR && errno != EAGAIN) narrator->gone = true;
  }
}

static void append_coloured(struct bytes *out, const struct narrator *narrator, const char *colour,
                            struct slice text) {
  if (narrator->colour) bytes_printf(out, "\033[%sm", colour);
  bytes_append_slice(out, text);
  if (narrator->colour) bytes_append_string(out, "\033[0m");
}

/* Every line of the text behind `prefix`, in a colour unless that is NULL. */
__attribute__((format(printf, 4, 0))) static void write_lines(struct narrator *narrator, const char *prefix,
                                                              const char *colour, const char *format,
                                                              va_list arguments) {
  struct bytes out = {0};
  char *text;
  if (vasprintf(&text, format, arguments) < 0) return;
  for (const char *line = text; line != NULL;) {
    size_t n = strcspn(line, "\n");
    bytes_append_string(&out, prefix);
    if (colour != NULL)
      append_coloured(&out, narrator, colour, (struct slice){line, n});
    else
      bytes_append(&out, line, n);
    bytes_append_string(&out, "\n");
    line = line[n] == '\n' ? line + n + 1 : NULL;
  }
  write_all(narrator, &out);
  free(text);
  bytes_close(&out);
}

#define WRITE_LINES(narrator, prefix, colour, format)                                                        \
  do {                                                                                                       \
    va_list arguments_;                                                                                      \
    va_start(arguments_, format);                                                                            \
    write_lines((narrator), (prefix), (colour), (format), arguments_);                                       \
    va_end(arguments_);                                                                                      \
  } while (0)

static void blank_line(struct narrator *narrator) {
  struct bytes newline = {0};
  bytes_append_string(&newline, "\n");
  write_all(narrator, &newline);
  bytes_close(&newline);
}

void narrator_heading(struct narrator *narrator, const char *format, ...) {
  blank_line(narrator);
  WRITE_LINES(narrator, "== ", BLUE, format);
}

void narrator_subheading(struct narrator *narrator, const char *format, ...) {
  WRITE_LINES(narrator, "  -- ", BOLD, format);
}

void narrator_say(struct narrator *narrator, const char *format, ...) {
  WRITE_LINES(narrator, "  ", NULL, format);
}

void narrator_check(struct narrator *narrator, const char *format, ...) {
  WRITE_LINES(narrator, "  ok: ", GREEN, format);
}

void narrator_problem(struct narrator *narrator, const char *format, ...) {
  WRITE_LINES(narrator, "  !! ", RED, format);
}

/* "2026-11-23T06:10:39.123Z": a demo does not run past midnight often enough for the day to matter. */
static struct slice time_of_day(const struct demo_line *line) {
  return line->time[0] != '\0' ? (struct slice){line->time + 11, 12} : slice_of("            ");
}

void narrator_node_line(struct narrator *narrator, const char *name, const struct demo_line *line) {
  struct bytes out = {0};
  bytes_append_string(&out, "     ");
  append_coloured(&out, narrator, DIM, time_of_day(line));
  bytes_append_string(&out, "  ");
  append_coloured(&out, narrator, BOLD, slice_of(name));
  bytes_append_string(&out, ": ");
  if (line->alarming)
    append_coloured(&out, narrator, RED, slice_of(line->text));
  else
    bytes_append_string(&out, line->text);
  bytes_append_string(&out, "\n");
  write_all(narrator, &out);
  bytes_close(&out);
}

/* As somebody would type it. The demo's own bodies and URLs have no single quote in them. */
static void append_curl(struct bytes *out, const struct http_client_call *call) {
  bool obvious = strcmp(call->method, call->json != NULL ? "POST" : "GET") == 0;
  bytes_append_string(out, "curl");
  if (!obvious) bytes_printf(out, " -X %s", call->method);
  if (call->json != NULL) bytes_printf(out, " --json '%s'", call->json);
  bool quoted = strpbrk(call->url, "?&") != NULL; /* these mean something to a shell */
  bytes_printf(out, quoted ? " '%s'" : " %s", call->url);
}

static void append_body(struct bytes *out, const struct bytes *body) {
  size_t n = body->n < NARRATOR_BODY_BYTES_MAX ? body->n : NARRATOR_BODY_BYTES_MAX;
  bytes_append_string(out, "       ");
  for (size_t i = 0; i < n; i++) {
    bool control = body->data[i] < ' ' || body->data[i] == 127;
    bytes_append(out, control ? " " : (const char *)&body->data[i], 1);
  }
  if (n < body->n) bytes_printf(out, " ... (%zu bytes)", body->n);
  bytes_append_string(out, "\n");
}

void narrator_exchange(struct narrator *narrator, const struct http_client_call *call,
                       const struct http_client_reply *reply) {
  struct bytes curl = {0}, out = {0};
  append_curl(&curl, call);
  bytes_append_string(&out, "  $ ");
  append_coloured(&out, narrator, BOLD, slice_of_bytes(&curl));
  if (reply->status == 0)
    bytes_printf(&out, "\n     no answer: %s\n", reply->error);
  else
    bytes_printf(&out, "\n     %d %s", reply->status, reply->reason);
  if (reply->location[0] != '\0') bytes_printf(&out, "   Location: %s", reply->location);
  if (reply->etag[0] != '\0') bytes_printf(&out, "   ETag: %s", reply->etag);
  if (reply->status != 0) bytes_append_string(&out, "\n");
  if (reply->body.n > 0) append_body(&out, &reply->body);
  write_all(narrator, &out);
  bytes_close(&curl);
  bytes_close(&out);
}
