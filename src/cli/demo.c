#include "cli/demo.h"

#include "cli/demo_cluster.h"
#include "cli/demo_tour.h"
#include "cli/options.h"

#include <signal.h>
#include <stdio.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { EXIT_BY_SIGNAL = 128 }; /* plus the signal's number, as shells have it */

struct demo_options {
  uint64_t nodes;
  bool once;
};

static const struct option OPTIONS[] = {
    {.name = "nodes",
     .kind = OPTION_NUMBER,
     .offset = offsetof(struct demo_options, nodes),
     .value = "N",
     .initial = "3",
     .min = DEMO_NODES_MIN,
     .max = DEMO_NODES_MAX,
     .help = "How many nodes to start."},
    {.name = "once",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct demo_options, once),
     .help = "End after the tour, with status 0, or 1 if a part of it failed."},
};

static const struct option_command COMMAND = {
    .name = "demo",
    .summary =
        "Starts a cluster on free ports of this machine, shows how it elects a leader, takes and replicates "
        "documents and survives the death of its leader, and leaves it running to be tried until Ctrl-C, "
        "which "
        "stops all of it and removes its data.",
    .options = OPTIONS,
    .options_n = sizeof OPTIONS / sizeof OPTIONS[0],
};

/* From here on a wish to stop is something to be read, so that nothing is ever interrupted half-way. -1 on
 * failure. */
static int catch_stop_signals(void) {
  struct sigaction hangup;
  sigset_t set;

  sigemptyset(&set);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGTERM);
  /* nohup(1) ignores it, and means to be obeyed. */
  if (sigaction(SIGHUP, NULL, &hangup) == 0 && hangup.sa_handler != SIG_IGN) sigaddset(&set, SIGHUP);
  if (sigprocmask(SIG_BLOCK, &set, NULL) != 0) return -1;
  signal(SIGPIPE, SIG_IGN); /* a reader who has gone is no reason to leave nodes and data behind */
  signal(SIGCHLD,
         SIG_DFL); /* whoever started us may have ignored it: then nobody's end could be waited for */
  return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

static int show(const struct demo_options *options, int stop_fd) {
  struct narrator narrator;
  struct demo_cluster cluster;
  int status = 1;

  narrator_init(&narrator, STDOUT_FILENO, stop_fd);
  bool fine =
      demo_cluster_open(&cluster, options->nodes, &narrator, stop_fd) && demo_tour(&cluster, !options->once);
  if (fine && !options->once) demo_cluster_watch(&cluster);
  if (fine)
    status = 0;
  else if (cluster.stop_signal != 0)
    status = EXIT_BY_SIGNAL + cluster.stop_signal;

  if (cluster.stop_signal != 0) narrator_say(&narrator, "Stopping ...");
  if (!demo_cluster_close(&cluster))
    status = 1;
  else if (cluster.directory[0] != '\0')
    narrator_say(&narrator, "All nodes have ended, and %s is removed.", cluster.directory);
  return status;
}

int demo(int argc, char **argv) {
  struct demo_options options = {0};
  int status = options_read(&COMMAND, argc, argv, &options);
  if (status != OPTIONS_GO_ON) return status;

  int stop_fd = catch_stop_signals();
  if (stop_fd < 0) {
    perror("coracle demo: cannot catch signals");
    return 1;
  }
  status = show(&options, stop_fd);
  close(stop_fd);
  return status;
}
