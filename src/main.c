/* The subcommands of the binary, and the options of `serve`. */
#include "cli/demo.h"
#include "cli/options.h"
#include "coracle/version.h"
#include "net/serve.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- serve ---- */

static const char *refuse_remote_election(const void *field) {
  const struct address *address = field;
  if (address_is_loopback(address)) return NULL;
  return "is not a loopback address: clusters across hosts come with the next release";
}

static const char *refuse_wildcard(const void *field) {
  const struct address *address = field;
  if (!address_is_wildcard(address)) return NULL;
  return "is a wildcard, which nobody can be sent to: give one address of this host "
         "(wildcards come with --advertise, in a later release)";
}

#define FIELD(name) offsetof(struct serve_options, name)

static const struct option serve_table[] = {
    {
        .name = "election",
        .kind = OPTION_ADDRESS,
        .offset = FIELD(election),
        .value = "HOST:PORT",
        .initial = "127.0.0.1:8000",
        .min = 1,
        .max = UINT16_MAX,
        .refuse = refuse_remote_election,
        .help =
            "The UDP address that every node of the cluster tries to bind: whoever has it may ask to lead. "
            "The same on all nodes.",
    },
    {
        .name = "http",
        .kind = OPTION_ADDRESS,
        .offset = FIELD(http),
        .value = "HOST:PORT",
        .initial_help = "127.0.0.1 and the first free port from 8001",
        .max = UINT16_MAX,
        .refuse = refuse_wildcard,
        .help = "The TCP address for clients and for the leader's replication stream. Port 0: any free port.",
    },
    {
        .name = "name",
        .kind = OPTION_NAME,
        .offset = FIELD(name),
        .value = "NAME",
        .initial_help = "HOSTNAME-PORT, of the HTTP port",
        .min = 1,
        .max = NODE_NAME_BYTES_MAX,
        .help =
            "What this node is called in answers and in the log. No two nodes of a cluster have the same.",
    },
    {
        .name = "data-dir",
        .kind = OPTION_TEXT,
        .offset = FIELD(data_dir),
        .value = "PATH",
        .initial_help = "$XDG_DATA_HOME/coracle/NAME, or ~/.local/share/coracle/NAME",
        .min = 1,
        .max = 4000,
        .help = "The node's folder, made if it is missing. One process at a time can use it.",
    },
    {
        .name = "heartbeat-ms",
        .kind = OPTION_NUMBER,
        .offset = FIELD(heartbeat_ms),
        .value = "MS",
        .initial = "50",
        .min = 1,
        .max = 10000,
        .help = "How often the leader tells the others that it lives, in milliseconds.",
    },
    {
        .name = "election-timeout-ms",
        .kind = OPTION_NUMBER,
        .offset = FIELD(election_timeout_ms),
        .value = "MS",
        .initial = "500",
        .min = 10,
        .max = 600000,
        .help = "How long a silent leader is waited for, in milliseconds; above --heartbeat-ms. Each wait is "
                "drawn anew from this to twice this.",
    },
    {
        .name = "max-document-bytes",
        .kind = OPTION_NUMBER,
        .offset = FIELD(document_bytes_max),
        .value = "BYTES",
        .initial = "1048576",
        .min = 1024,
        .max = 4000000, /* with its collection, id and conditions it must fit CORACLE_RAFT_ENTRY_BYTES_MAX */
        .help = "The largest document that is taken. The same on all nodes.",
    },
    {
        .name = "max-connections",
        .kind = OPTION_NUMBER,
        .offset = FIELD(connections_max),
        .value = "N",
        .initial = "4096",
        .min = 1,
        .max = 100000,
        .help = "How many connections the HTTP port holds at a time; one beyond them is closed at once.",
    },
    {
        .name = "follower-writes",
        .kind = OPTION_CHOICE,
        .offset = FIELD(follower_writes),
        .choices = "redirect|reject|forward", /* as enum api_follower_writes counts */
        .initial = "redirect",
        .help = "What a follower does with a write: answers 307 with the leader's address, answers 403, or "
                "sends it on to the leader.",
    },
    {
        .name = "log-level",
        .kind = OPTION_CHOICE,
        .offset = FIELD(log_level),
        .choices = "error|warn|info|debug", /* as enum node_log_level counts */
        .initial = "info",
        .help = "How much is written to stderr.",
    },
};

static bool check_serve(const void *values, struct bytes *why) {
  const struct serve_options *options = values;
  if (options->heartbeat_ms < options->election_timeout_ms) return true;
  bytes_printf(why, "--heartbeat-ms %" PRIu64 " is not below --election-timeout-ms %" PRIu64,
               options->heartbeat_ms, options->election_timeout_ms);
  return false;
}

static int serve_command(int argc, char **argv) {
  static const struct option_command command = {
      .name = "serve",
      .summary =
          "Runs one node until SIGTERM or SIGINT. Nodes with the same election address are one cluster: "
          "started three times on one host, without options, they are three nodes that agree.",
      .options = serve_table,
      .options_n = sizeof serve_table / sizeof serve_table[0],
      .check = check_serve,
  };
  struct serve_options options = {0};
  int status = options_read(&command, argc, argv, &options);
  return status == OPTIONS_GO_ON ? serve(&options) : status;
}

/* ---- The other subcommands ---- */

static int version_command(int argc, char **argv) {
  (void)argc, (void)argv;
  printf("coracle %s\n", CORACLE_VERSION);
  return 0;
}

static int help_command(int argc, char **argv);

static const struct subcommand {
  const char *name;
  int (*run)(int argc, char **argv);
  const char *help;
} subcommands[] = {
    {"serve", serve_command, "run one node"},
    {"demo", demo, "start three nodes on this host and show what they do"},
    {"version", version_command, "print the version"},
    {"help", help_command, "print this text"},
};

enum { SUBCOMMANDS_N = sizeof subcommands / sizeof subcommands[0] };

static void print_usage(FILE *out) {
  fputs("usage: coracle COMMAND [--OPTION VALUE]...\n\n"
        "A small replicated store of JSON documents, behind plain HTTP.\n\n",
        out);
  for (size_t i = 0; i < SUBCOMMANDS_N; i++)
    fprintf(out, "  %-8s  %s\n", subcommands[i].name, subcommands[i].help);
  fputs("\n'coracle COMMAND --help' tells the options of serve and demo.\n", out);
}

static int help_command(int argc, char **argv) {
  (void)argc, (void)argv;
  print_usage(stdout);
  return 0;
}

static const struct subcommand *find_subcommand(const char *name) {
  if (strcmp(name, "--version") == 0) name = "version";
  if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) name = "help";
  for (size_t i = 0; i < SUBCOMMANDS_N; i++)
    if (strcmp(name, subcommands[i].name) == 0) return &subcommands[i];
  return NULL;
}

int main(int argc, char **argv) {
  if (argc < 2) {
    print_usage(stderr);
    return 2;
  }
  const struct subcommand *subcommand = find_subcommand(argv[1]);
  if (subcommand != NULL) return subcommand->run(argc - 1, argv + 1);

  const char *names[SUBCOMMANDS_N];
  struct bytes error = {0};
  for (size_t i = 0; i < SUBCOMMANDS_N; i++) names[i] = subcommands[i].name;
  const char *nearest = options_nearest(argv[1], names, SUBCOMMANDS_N);
  options_show(argv[1], &error);
  if (nearest != NULL)
    bytes_printf(&error, "; did you mean %s?", nearest);
  else
    bytes_append_string(&error, "; see 'coracle help'");
  fprintf(stderr, "coracle: unknown command %.*s\n", (int)error.n, (const char *)error.data);
  bytes_close(&error);
  return 2;
}
