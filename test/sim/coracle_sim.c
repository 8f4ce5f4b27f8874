/* coracle-sim: runs seeds of the simulator (sim.h).
 *
 *     coracle-sim --seed 7                 one, with its trace; --hash: only the hash of it;
 *                                          --datagrams: each of them too
 *     coracle-sim --seeds 1..500 --jobs 2  many, in processes side by side
 *     coracle-sim --first 500              the same as --seeds 1..500
 *     coracle-sim --minutes 40             as many as there is time for, of a range not tried before
 *     --keep-going                         after a failure too, to see which others fail
 *
 * A failure is told on the standard error: the end of the trace, what was wrong, what the seed drew. Exit
 * status: 0 nothing was found, 1 something was, 2 the arguments are wrong. */
#include "sim.h"

#include "base/memory.h"

#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { JOBS_MAX = 64, EXIT_NOTHING_FOUND = 0, EXIT_FOUND = 1, EXIT_USAGE = 2 };

struct arguments {
  uint64_t first, last; /* seeds */
  bool one, hash_only, datagrams, keep_going;
  unsigned jobs, minutes;
};

/* What a process that runs seeds tells the one that gives them out. */
struct report {
  uint64_t seed;
  bool done; /* false: it begins with it */
  struct sim_result result;
};

struct job {
  pid_t pid;
  int results; /* read end */
  uint64_t next, step, running;
};

struct totals {
  uint64_t seeds, failed, events, ms;
  uint64_t counts[COUNTS_N];
  uint64_t faults[FAULTS_N];
  time_t began;
};

void world_failed(struct world *w) {
  struct bytes text = {0};
  (void)w;
  plan_print(sim_current_plan(), &text);
  bytes_printf(&text, "  again: coracle-sim --seed %" PRIu64 "\n", sim_current_plan()->seed);
  fprintf(stderr, "%.*s", (int)text.n, (const char *)text.data);
  fflush(stderr);
  _exit(EXIT_FOUND);
}

/* A node's own assertion has said what is wrong with it; here is where. Should memory itself be in disorder,
 * the alarm ends what the report hangs on. */
static void aborted(int number) {
  enum { REPORT_S_MAX = 5 };
  signal(number, SIG_DFL);
  alarm(REPORT_S_MAX);
  if (sim_current_world() != NULL) world_fail(sim_current_world(), "an assertion does not hold");
}

/* ---- Arguments ---- */

__attribute__((noreturn)) static void usage(void) {
  fprintf(stderr,
          "usage: coracle-sim --seed N [--hash | --datagrams] | --seeds A..B | --first N | --minutes M\n"
          "                   [--jobs N] [--keep-going]\n");
  exit(EXIT_USAGE);
}

static uint64_t number(const char *text, const char **end) {
  char *after;
  if (text == NULL || *text < '0' || *text > '9') usage();
  const uint64_t value = strtoull(text, &after, 10);
  if (end != NULL)
    *end = after;
  else if (*after != '\0')
    usage();
  return value;
}

static struct arguments read_arguments(char **at) {
  struct arguments a = {.jobs = 1};
  const char *end;
  while (*++at != NULL) {
    const char *name = *at;
    if (strcmp(name, "--hash") == 0) {
      a.hash_only = true;
    } else if (strcmp(name, "--datagrams") == 0) {
      a.datagrams = true;
    } else if (strcmp(name, "--keep-going") == 0) {
      a.keep_going = true;
    } else if (at[1] == NULL) {
      usage();
    } else if (strcmp(name, "--seed") == 0) {
      a.one = true;
      a.first = a.last = number(*++at, NULL);
    } else if (strcmp(name, "--first") == 0) {
      a.first = 1;
      a.last = number(*++at, NULL);
    } else if (strcmp(name, "--seeds") == 0) {
      a.first = number(*++at, &end);
      if (strncmp(end, "..", 2) != 0) usage();
      a.last = number(end + 2, NULL);
    } else if (strcmp(name, "--minutes") == 0) {
      a.minutes = (unsigned)number(*++at, NULL);
      a.first = (uint64_t)time(NULL) * 1000;
      a.last = UINT64_MAX / 2;
    } else if (strcmp(name, "--jobs") == 0) {
      a.jobs = (unsigned)number(*++at, NULL);
    } else {
      usage();
    }
  }
  if (a.last < a.first || a.last == 0 || a.jobs == 0 || a.jobs > JOBS_MAX) usage();
  return a;
}

/* ---- One seed ---- */

static void print_counts(const uint64_t counts[COUNTS_N]) {
  printf("clients: %" PRIu64 " requests, %" PRIu64 " answered, %" PRIu64 " transactions, %" PRIu64
         " patches, %" PRIu64 " drops; %" PRIu64 " keys, %" PRIu64 " sent again, %" PRIu64 " replayed\n",
         counts[COUNT_REQUESTS], counts[COUNT_ANSWERED], counts[COUNT_TRANSACTIONS], counts[COUNT_PATCHES],
         counts[COUNT_DROPS], counts[COUNT_KEYS], counts[COUNT_RESENT], counts[COUNT_REPLAYED]);
}

static int run_one(const struct arguments *a) {
  struct sim_result result;
  struct bytes text = {0};
  if (!a->hash_only) setenv("WORLD_TRACE", a->datagrams ? "2" : "1", 1);
  sim_run(a->first, &result);
  plan_print(sim_current_plan(), &text);
  if (!a->hash_only)
    printf("%.*s  %" PRIu64 " events in %" PRIu64 " ms\n", (int)text.n, (const char *)text.data,
           result.events, result.ms);
  if (!a->hash_only) print_counts(result.counts);
  printf("%016" PRIx64 "\n", result.hash);
  bytes_close(&text);
  return EXIT_NOTHING_FOUND;
}

/* ---- Many ---- */

static void tell(int results, const struct report *report) {
  if (write(results, report, sizeof *report) != (ssize_t)sizeof *report) _exit(EXIT_USAGE);
}

__attribute__((noreturn)) static void run_seeds(const struct job *job, int results, uint64_t last) {
  for (uint64_t seed = job->next; seed <= last; seed += job->step) {
    struct report report = {.seed = seed};
    tell(results, &report);
    sim_run(seed, &report.result);
    report.done = true;
    tell(results, &report);
  }
  _exit(EXIT_NOTHING_FOUND);
}

static void start_job(struct job *job, uint64_t last) {
  int ends[2];
  if (pipe(ends) != 0) abort();
  fflush(NULL);
  job->pid = fork();
  if (job->pid < 0) abort();
  if (job->pid == 0) {
    close(ends[0]);
    run_seeds(job, ends[1], last);
  }
  close(ends[1]);
  job->results = ends[0];
}

static void show(const struct totals *t) {
  const time_t seconds = time(NULL) - t->began;
  if (!isatty(STDERR_FILENO)) return;
  fprintf(stderr, "\r%" PRIu64 " seeds, %" PRIu64 " failed, %.1f a second ", t->seeds, t->failed,
          (double)t->seeds / (double)(seconds > 0 ? seconds : 1));
}

static void count(struct totals *t, const struct sim_result *result) {
  t->seeds++;
  t->events += result->events;
  t->ms += result->ms;
  for (int i = 0; i < COUNTS_N; i++) t->counts[i] += result->counts[i];
  for (int i = 0; i < FAULTS_N; i++) t->faults[i] += result->faults_n[i];
  if (t->seeds % 10 == 0) show(t);
}

/* False when the job is over. */
static bool hear(struct job *job, struct totals *t) {
  struct report report;
  if (read(job->results, &report, sizeof report) != (ssize_t)sizeof report) return false;
  job->running = report.seed;
  job->next = report.seed + job->step;
  if (report.done) count(t, &report.result);
  return true;
}

/* Its process has ended: with a failure, or with all its seeds done. True if there is more to do for it. */
static bool job_ended(struct job *job, const struct arguments *a, struct totals *t) {
  int status;
  close(job->results);
  waitpid(job->pid, &status, 0);
  job->pid = 0;
  if (WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOTHING_FOUND) return false;
  if (WIFSIGNALED(status))
    fprintf(stderr, "seed %" PRIu64 " ended its process with signal %d\n", job->running, WTERMSIG(status));
  fprintf(stderr, "FAILED: seed %" PRIu64 "\n\n", job->running);
  t->failed++;
  t->seeds++;
  return a->keep_going && job->next <= a->last;
}

static bool is_time_over(const struct arguments *a, const struct totals *t) {
  return a->minutes > 0 && time(NULL) - t->began >= (time_t)a->minutes * 60;
}

static void stop_all(struct job *jobs, unsigned n) {
  for (unsigned i = 0; i < n; i++) {
    if (jobs[i].pid == 0) continue;
    kill(jobs[i].pid, SIGKILL);
    waitpid(jobs[i].pid, NULL, 0);
    close(jobs[i].results);
    jobs[i].pid = 0;
  }
}

static struct job *wait_for_one(struct job *jobs, unsigned n) {
  struct pollfd fds[JOBS_MAX];
  for (unsigned i = 0; i < n; i++)
    fds[i] = (struct pollfd){.fd = jobs[i].pid != 0 ? jobs[i].results : -1, .events = POLLIN};
  if (poll(fds, n, 1000) <= 0) return NULL;
  for (unsigned i = 0; i < n; i++)
    if (fds[i].revents != 0) return &jobs[i];
  return NULL;
}

static void summarize(const struct arguments *a, const struct totals *t) {
  printf("%s%" PRIu64 " seeds from %" PRIu64 " on, %" PRIu64 " failed; %" PRIu64 " s in the world, %" PRIu64
         " events in %ld s\n",
         isatty(STDERR_FILENO) ? "\n" : "", t->seeds, a->first, t->failed, t->ms / 1000, t->events,
         (long)(time(NULL) - t->began));
  print_counts(t->counts);
  printf("faults:");
  for (int i = 0; i < FAULTS_N; i++)
    printf("%s %" PRIu64 " %s", i > 0 ? "," : "", t->faults[i], fault_text((enum fault)i));
  printf("\n");
}

static int run_many(const struct arguments *a) {
  struct job jobs[JOBS_MAX] = {0};
  struct totals t = {.began = time(NULL)};
  unsigned running = a->jobs;
  for (unsigned i = 0; i < a->jobs; i++) {
    jobs[i].next = a->first + i;
    jobs[i].step = a->jobs;
    start_job(&jobs[i], a->last);
  }
  while (running > 0 && !is_time_over(a, &t) && (t.failed == 0 || a->keep_going)) {
    struct job *job = wait_for_one(jobs, a->jobs);
    if (job == NULL || hear(job, &t)) continue;
    if (job_ended(job, a, &t))
      start_job(job, a->last);
    else
      running--;
  }
  stop_all(jobs, a->jobs);
  summarize(a, &t);
  return t.failed > 0 ? EXIT_FOUND : EXIT_NOTHING_FOUND;
}

int main(int argc, char **argv) {
  (void)argc;
  const struct arguments a = read_arguments(argv);
  signal(SIGABRT, aborted);
  return a.one ? run_one(&a) : run_many(&a);
}
