/* A child process that dies with its parent, and whose words can be read.
 *
 *     process_start(&child, argv, environment);
 *     ... poll child.output and process_read() it; process_signal(&child, SIGTERM) ...
 *     if (process_reap(&child)) process_describe_end(&child, text, sizeof text);
 *     process_close(&child);
 *
 * Whatever way the parent ends, SIGKILL included, the kernel then kills the child (PR_SET_PDEATHSIG). The
 * child is in a process group of its own, so that Ctrl-C reaches the parent alone, which ends it in order. */
#ifndef CORACLE_CLI_PROCESS_H
#define CORACLE_CLI_PROCESS_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct process {
  pid_t pid;    /* 0: never started */
  int output;   /* read end of its standard output and error, non-blocking; -1 after their end */
  bool running; /* started and not yet reaped */
  int status;   /* once reaped: as waitpid(2) gives it */
};

enum { PROCESS_END_TEXT_MAX = 80 }; /* bytes, with the NUL */

/* Starts argv[0] (a path) with nothing but standard input (empty), output and error open. CORACLE_EIO when
 * the system has no room for another process or pipe. A program that cannot be run says so on its output and
 * exits with 127. */
MUST_CHECK int process_start(struct process *, const char *const argv[], char *const environment[]);

/* Reads what the child has said: the number of bytes, 0 when there is nothing now or ever again. */
size_t process_read(struct process *, char *into, size_t n);

/* Does nothing once the child was reaped, so the signal never reaches a stranger with its number. */
void process_signal(const struct process *, int signal);

/* True once the child has ended. Does not wait. */
bool process_reap(struct process *);

/* Kills the child if it runs, waits for its end, and closes the pipe. */
void process_close(struct process *);

/* How it ended: "exited with status 1", "killed by signal 9 (Killed)". Returns `text`. */
const char *process_describe_end(const struct process *, char *text, size_t n);

#endif
