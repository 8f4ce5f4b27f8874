#include "net/log.h"

#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* Whether a write may block is a property of the open file, and stderr's is shared with whoever started us:
 * so a pipe or a terminal is opened once more, for ourselves. Where that is not allowed, poll(2) before the
 * write does. */
void log_init(struct log *log, enum node_log_level level, const char *name) {
  struct stat status;
  *log = (struct log){.fd = STDERR_FILENO, .level = level, .name = name};
  if (fstat(STDERR_FILENO, &status) != 0) return;
  log->is_socket = S_ISSOCK(status.st_mode);
  if (!S_ISFIFO(status.st_mode) && !S_ISCHR(status.st_mode)) return;
  int fd = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (fd < 0) return;
  log->fd = fd;
  log->owned = true;
}

void log_close(struct log *log) {
  if (log->owned) close(log->fd);
  log->owned = false;
}

static bool put(const struct log *log, const char *line, size_t n) {
  if (log->is_socket) return send(log->fd, line, n, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)n;
  struct pollfd ready = {.fd = log->fd, .events = POLLOUT};
  return poll(&ready, 1, 0) == 1 && (ready.revents & POLLOUT) != 0 && write(log->fd, line, n) == (ssize_t)n;
}

__attribute__((format(printf, 3, 0))) static bool put_line(const struct log *log, enum node_log_level level,
                                                           const char *format, va_list args) {
  static const char *const words[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
  char line[LOG_LINE_BYTES_MAX];
  struct timespec now;
  struct tm utc;

  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  size_t n = strftime(line, sizeof line, "%Y-%m-%dT%H:%M:%S", &utc);
  n += (size_t)snprintf(line + n, sizeof line - n, ".%03dZ %s %s: ", (int)(now.tv_nsec / 1000000),
                        words[level], log->name);
  int text_n = vsnprintf(line + n, sizeof line - n, format, args);
  size_t room = sizeof line - 1 - n; /* for the text; the newline takes the place of the NUL */
  n += text_n < 0 ? 0 : (size_t)text_n < room ? (size_t)text_n : room;
  for (size_t i = 0; i < n; i++)
    if ((unsigned char)line[i] < ' ' || line[i] == 0x7f) line[i] = '?';
  line[n++] = '\n';
  return put(log, line, n);
}

__attribute__((format(printf, 3, 4))) static bool
put_own_line(const struct log *log, enum node_log_level level, const char *format, ...) {
  va_list args;
  va_start(args, format);
  bool through = put_line(log, level, format, args);
  va_end(args);
  return through;
}

void log_printf(struct log *log, enum node_log_level level, const char *format, ...) {
  if (level > log->level) return;
  if (log->dropped > 0 &&
      put_own_line(log, NODE_LOG_WARN, "%" PRIu64 " log lines dropped: nobody read them", log->dropped))
    log->dropped = 0;
  va_list args;
  va_start(args, format);
  if (log->dropped > 0 || !put_line(log, level, format, args)) log->dropped++;
  va_end(args);
}
