/* What the demo prints: headings, the nodes' own log lines, HTTP exchanges as curl lines with their answers.
 *
 * Colours are used on a terminal only, and never with NO_COLOR set (no-color.org). Nothing here can block for
 * good: a reader who does not read holds up the demo until its user asks it to stop, and one who is gone is
 * noted in `gone`. */
#ifndef CORACLE_CLI_NARRATOR_H
#define CORACLE_CLI_NARRATOR_H

#include "cli/demo_log.h"
#include "cli/http_client.h"

enum { NARRATOR_BODY_BYTES_MAX = 400 /* of a JSON body shown in an exchange */ };

struct narrator {
  int fd;      /* written to; not owned */
  int stop_fd; /* readable when the user wants the demo to stop: that ends waiting for the reader; -1: none */
  bool hurried; /* what the reader does not take at once is dropped */
  bool colour;  /* with ANSI escape sequences */
  bool gone;    /* the reader is, so nothing is written any more */
};

void narrator_init(struct narrator *, int fd, int stop_fd);

/* A part of the tour begins. */
__attribute__((format(printf, 2, 3))) void narrator_heading(struct narrator *, const char *format, ...);
/* A step of the election and the handshake. */
__attribute__((format(printf, 2, 3))) void narrator_subheading(struct narrator *, const char *format, ...);
/* One or more whole lines of prose, indented. */
__attribute__((format(printf, 2, 3))) void narrator_say(struct narrator *, const char *format, ...);
/* The same, for what was checked and is so, and for what went wrong. */
__attribute__((format(printf, 2, 3))) void narrator_check(struct narrator *, const char *format, ...);
__attribute__((format(printf, 2, 3))) void narrator_problem(struct narrator *, const char *format, ...);
/* A log line of the node `name`. */
void narrator_node_line(struct narrator *, const char *name, const struct demo_line *);
/* The call as a line for the shell, and the reply. */
void narrator_exchange(struct narrator *, const struct http_client_call *, const struct http_client_reply *);

#endif
