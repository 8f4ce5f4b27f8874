#include "cli/process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_CANNOT_RUN = 127 }; /* what a shell answers, too */

/* Between fork and exec only async-signal-safe calls are allowed, so no printf(3). */
static _Noreturn void cannot_run(const char *path) {
  const char *parts[] = {"cannot run ", path, ": ", strerrordesc_np(errno), "\n"};
  for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
    if (write(STDERR_FILENO, parts[i], strlen(parts[i])) < 0) break;
  _exit(EXIT_CANNOT_RUN);
}

static _Noreturn void child_main(const char *const argv[], char *const environment[], int output,
                                 pid_t parent) {
  static const int reset[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD};
  sigset_t none;

  /* The parent may have died before prctl() was called: then nobody would ever send the signal. */
  if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || getppid() != parent) _exit(EXIT_CANNOT_RUN);
  setpgid(0, 0);

  int null = open("/dev/null", O_RDONLY);
  if (null < 0 || dup2(null, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
      dup2(output, STDERR_FILENO) < 0)
    _exit(EXIT_CANNOT_RUN);
  /* Sockets of libraries and whatever the parent itself inherited. A kernel before 5.9 cannot, and leaks
   * them. */
  close_range(STDERR_FILENO + 1, ~0u, 0);

  for (size_t i = 0; i < sizeof reset / sizeof reset[0]; i++) signal(reset[i], SIG_DFL);
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, NULL);

  execve(argv[0], (char *const *)(const void *)argv, environment);
  cannot_run(argv[0]);
}

int process_start(struct process *process, const char *const argv[], char *const environment[]) {
  int ends[2];
  pid_t parent = getpid();

  *process = (struct process){.output = -1};
  if (pipe2(ends, O_CLOEXEC) != 0) return CORACLE_EIO;
  /* The reading end alone: a child whose standard error does not block would lose lines. */
  if (fcntl(ends[0], F_SETFL, O_NONBLOCK) != 0) goto failed;

  pid_t pid = fork();
  if (pid < 0) goto failed;
  if (pid == 0) child_main(argv, environment, ends[1], parent);

  close(ends[1]);
  *process = (struct process){.pid = pid, .output = ends[0], .running = true};
  return 0;

failed:
  close(ends[0]);
  close(ends[1]);
  return CORACLE_EIO;
}

static void close_output(struct process *process) {
  if (process->output >= 0) close(process->output);
  process->output = -1;
}

size_t process_read(struct process *process, char *into, size_t n) {
  if (process->output < 0) return 0;
  ssize_t got = read(process->output, into, n);
  if (got > 0) return (size_t)got;
  if (got == 0 || (errno != EAGAIN && errno != EINTR)) close_output(process);
  return 0;
}

void process_signal(const struct process *process, int signal) {
  if (process->running) kill(process->pid, signal);
}

static bool reap(struct process *process, int options) {
  pid_t got;
  if (!process->running) return process->pid != 0;
  do got = waitpid(process->pid, &process->status, options);
  while (got < 0 && errno == EINTR);
  if (got == process->pid) process->running = false;
  return !process->running;
}

bool process_reap(struct process *process) {
  return reap(process, WNOHANG);
}

void process_close(struct process *process) {
  process_signal(process, SIGKILL);
  if (process->running) (void)reap(process, 0);
  close_output(process);
}

const char *process_describe_end(const struct process *process, char *text, size_t n) {
  if (WIFSIGNALED(process->status))
    snprintf(text, n, "killed by signal %d (%s)", WTERMSIG(process->status),
             strsignal(WTERMSIG(process->status)));
  else
    snprintf(text, n, "exited with status %d", WEXITSTATUS(process->status));
  return text;
}
