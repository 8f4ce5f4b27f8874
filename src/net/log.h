/* Lines on stderr: "2026-11-23T06:10:39.123Z INFO  NAME: text", in UTC.
 *
 * A log must never hold up the loop: a line that stderr does not take at once (a stopped terminal, a pipe
 * that nobody reads) is dropped and counted, and the count is told before the next line that gets through. */
#ifndef CORACLE_NET_LOG_H
#define CORACLE_NET_LOG_H

#include "node/node.h"

/* With the newline; within PIPE_BUF, so a pipe takes a line whole or not at all. */
enum { LOG_LINE_BYTES_MAX = 1024 };

struct log {
  int fd;
  bool owned; /* fd is ours to close */
  bool is_socket;
  enum node_log_level level; /* lines above it are not printed */
  const char *name;          /* of the node; borrowed */
  uint64_t dropped;          /* lines since the last that got through */
};

void log_init(struct log *, enum node_log_level, const char *name);
void log_close(struct log *);
/* One line; control characters in it are printed as '?'. */
__attribute__((format(printf, 3, 4))) void log_printf(struct log *, enum node_log_level, const char *, ...);

#endif
