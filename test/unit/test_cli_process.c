/* Goal: a child's words and end are noticed, it inherits nothing by accident, and it never outlives its
 * parent. Method: real children, /bin/sh; a parent that is killed is a child of this test. */
#include "cli/process.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DEADLINE_MS = 20000, OUTPUT_MAX = 4096 };

static void start(struct process *process, const char *script) {
  const char *argv[] = {"/bin/sh", "-c", script, NULL};
  assert_int_equal(process_start(process, argv, environ), 0);
}

/* Everything that the child says until it closes its output. */
static const char *output_of(struct process *process, char text[OUTPUT_MAX]) {
  size_t n = 0;
  while (process->output >= 0 && n < OUTPUT_MAX - 1) {
    struct pollfd fd = {.fd = process->output, .events = POLLIN};
    assert_int_equal(poll(&fd, 1, DEADLINE_MS), 1);
    n += process_read(process, text + n, OUTPUT_MAX - 1 - n);
  }
  text[n] = '\0';
  return text;
}

static void wait_for_end(struct process *process) {
  struct timespec pause = {.tv_nsec = 1000000};
  for (int i = 0; i < DEADLINE_MS; i++) {
    if (process_reap(process)) return;
    nanosleep(&pause, NULL);
  }
  fail_msg("the child did not end");
}

static void assert_end(struct process *process, const char *expected) {
  char text[PROCESS_END_TEXT_MAX];
  wait_for_end(process);
  assert_false(process->running);
  assert_string_equal(process_describe_end(process, text, sizeof text), expected);
  process_close(process);
}

static void words_and_status_arrive(void **state) {
  (void)state;
  struct process process;
  char text[OUTPUT_MAX];
  start(&process, "echo out; echo err >&2; read -r line || echo 'no input'; exit 3");
  assert_string_equal(output_of(&process, text), "out\nerr\nno input\n");
  assert_end(&process, "exited with status 3");
}

static void a_signal_is_told(void **state) {
  (void)state;
  struct process process;
  start(&process, "exec sleep 60");
  process_signal(&process, SIGKILL);
  assert_end(&process, "killed by signal 9 (Killed)");
  process_signal(&process, SIGKILL); /* to nobody */
}

static void close_ends_it(void **state) {
  (void)state;
  struct process process;
  start(&process, "trap '' TERM; echo ready; while :; do sleep 1; done");
  pid_t pid = process.pid;
  process_signal(&process, SIGTERM);
  process_close(&process);
  assert_int_equal(kill(pid, 0), -1);
  assert_int_equal(process.output, -1);
}

static void a_missing_program_says_so(void **state) {
  (void)state;
  struct process process;
  char text[OUTPUT_MAX];
  const char *argv[] = {"/nowhere/program", NULL};
  assert_int_equal(process_start(&process, argv, environ), 0);
  assert_string_equal(output_of(&process, text), "cannot run /nowhere/program: No such file or directory\n");
  assert_end(&process, "exited with status 127");
}

static void nothing_is_inherited(void **state) {
  (void)state;
  struct process process;
  char text[OUTPUT_MAX];
  sigset_t set;
  int leaky = open("/dev/null", O_RDONLY); /* without O_CLOEXEC */
  assert_true(leaky > STDERR_FILENO);
  signal(SIGPIPE, SIG_IGN);
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigprocmask(SIG_BLOCK, &set, NULL);

  /* The shell adds no descriptor of its own below 10, blocks nothing, and can only report what it was given.
   */
  start(&process, "exec cat /proc/self/status");
  output_of(&process, text);
  assert_non_null(strstr(text, "SigBlk:\t0000000000000000\n"));
  /* Signals 32 and 33 are glibc's own: a program cannot reset them, and GNU make leaves them ignored. */
  const char *ignored = strstr(text, "SigIgn:\t");
  assert_non_null(ignored);
  assert_int_equal(strtoull(ignored + strlen("SigIgn:\t"), NULL, 16) & ~(UINT64_C(3) << 31), 0);
  assert_end(&process, "exited with status 0");
  start(&process, "for fd in 3 4 5 6 7 8 9; do [ -e /proc/$$/fd/$fd ] && echo $fd; done; exit 0");
  assert_string_equal(output_of(&process, text), "");
  assert_end(&process, "exited with status 0");

  sigprocmask(SIG_UNBLOCK, &set, NULL);
  signal(SIGPIPE, SIG_DFL);
  close(leaky);
}

/* The parent of the process under test: starts it, tells its number once it runs, and waits to be killed. */
static _Noreturn void short_lived_parent(int tell) {
  struct process process;
  const char *argv[] = {"/bin/sh", "-c", "echo ready; exec sleep 60", NULL};
  if (process_start(&process, argv, environ) != 0) _exit(1);
  struct pollfd fd = {.fd = process.output, .events = POLLIN};
  if (poll(&fd, 1, DEADLINE_MS) != 1) _exit(1);
  if (write(tell, &process.pid, sizeof process.pid) != sizeof process.pid) _exit(1);
  for (;;) pause();
}

static void it_dies_with_its_parent(void **state) {
  (void)state;
  int ends[2], status;
  pid_t child, parent;
  assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0); /* the orphan becomes ours to wait for */
  assert_int_equal(pipe(ends), 0);
  parent = fork();
  assert_true(parent >= 0);
  if (parent == 0) short_lived_parent(ends[1]);
  assert_int_equal(read(ends[0], &child, sizeof child), sizeof child);

  kill(parent, SIGKILL);
  assert_int_equal(waitpid(parent, &status, 0), parent);
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
  close(ends[0]);
  close(ends[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(words_and_status_arrive), cmocka_unit_test(a_signal_is_told),
      cmocka_unit_test(close_ends_it),           cmocka_unit_test(a_missing_program_says_so),
      cmocka_unit_test(nothing_is_inherited),    cmocka_unit_test(it_dies_with_its_parent),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
