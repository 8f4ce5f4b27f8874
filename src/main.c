/* The subcommands of the binary, and the options of `serve`. */
#include "cli/demo.h"
#include "cli/options.h"
#include "coracle/version.h"
#include "disk/secret.h"
#include "join/message.h"
#include "net/serve.h"
#include "offline/inspect.h"
#include "offline/recover.h"

#include <inttypes.h>
#include <sodium.h>
#include <stdio.h>

/* ---- serve ---- */

/* What cannot be sent to from elsewhere, whatever a process may bind. */
static const char *refuse_odd(const void *field) {
  if (address_is_link_local6(field))
    return "is a link-local address, which means nothing on another host: give another one";
  if (address_is_mapped4(field)) return "is an IPv4 address spelled as IPv6: write the IPv4 address";
  return NULL;
}

static const char *refuse_unreachable(const void *field) {
  if (address_is_wildcard(field)) return "is a wildcard, which nobody can be sent to: give one address";
  return refuse_odd(field);
}

/* Each node has one UDP socket, which must reach all the others. */
static const char *refuse_peers(const void *field) {
  const struct address_list *peers = field;
  for (size_t i = 0; i < peers->n; i++) {
    const struct address *first = &peers->at[0], *peer = &peers->at[i];
    if (address_is_wildcard(peer)) return "has a wildcard in it, which nobody can be sent to";
    if (refuse_odd(peer) != NULL) return "has a link-local or IPv4-mapped IPv6 address in it: give others";
    if (peer->family != first->family) return "has IPv4 and IPv6 addresses: give one kind";
    if (address_is_loopback(peer) != address_is_loopback(first))
      return "has loopback addresses beside others, which they cannot reach";
  }
  return NULL;
}

static const char *refuse_origins(const void *field) {
  return api_origins_fault(*(const char *const *)field);
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
        .refuse = refuse_unreachable,
        .help =
            "The UDP address that every node of the cluster tries to bind: whoever has it may ask to lead. "
            "The same on all nodes, unless --peers is given: then this node's own.",
    },
    {
        .name = "peers",
        .kind = OPTION_ADDRESSES,
        .offset = FIELD(peers),
        .value = "HOST:PORT,...",
        .initial_help = "none, and all nodes run on one host",
        .min = 1,
        .max = UINT16_MAX,
        .refuse = refuse_peers,
        .help =
            "The election addresses of all nodes, this one's --election among them: each node has its own "
            "then, and they may run on different hosts. The same on all nodes.",
    },
    {
        .name = "expect",
        .kind = OPTION_NUMBER,
        .offset = FIELD(expect),
        .value = "N",
        .initial_help = "as many as --peers has addresses, or 1",
        .min = 1,
        .max = CORACLE_RAFT_MEMBERS_MAX,
        .help = "A new cluster takes no writes before so many voters are in. The same on all nodes.",
    },
    {
        .name = "http",
        .kind = OPTION_ADDRESS,
        .offset = FIELD(http),
        .value = "HOST:PORT",
        .initial_help = "127.0.0.1 and the first free port from 8001",
        .max = UINT16_MAX,
        .refuse = refuse_odd,
        .help = "The TCP address for clients and for the leader's replication stream. Port 0: any free port. "
                "A wildcard (0.0.0.0, or [::] for both kinds) needs --advertise.",
    },
    {
        .name = "advertise",
        .kind = OPTION_HOST,
        .offset = FIELD(advertise),
        .value = "HOST[:PORT]",
        .initial_help = "that of --http",
        .max = UINT16_MAX,
        .refuse = refuse_unreachable,
        .help = "Where clients and other nodes reach this node's HTTP port.",
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
        .name = "storage",
        .kind = OPTION_CHOICE,
        .offset = FIELD(storage),
        .choices = "disk|memory", /* as enum serve_storage counts */
        .initial = "disk",
        .help =
            "Where the node keeps what it has acknowledged. With memory it begins anew at every start, as "
            "another member, and what a majority of the nodes forgets at once is lost.",
    },
    {
        .name = "secret-file",
        .kind = OPTION_TEXT,
        .offset = FIELD(secret_file),
        .value = "PATH",
        .initial_help = "$XDG_CONFIG_HOME/coracle/secret, or ~/.config/coracle/secret, made if it is missing",
        .min = 1,
        .max = 4000,
        .help =
            "The file with the cluster's secret, which seals all that nodes say to each other: the same on "
            "all of them, mode 0600. 'coracle secret generate PATH' makes one.",
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
        .help = "The largest document that is taken. The same on all nodes. What is sent is checked in one "
                "go, which holds up everything else on the node for up to 5 ms a MiB.",
    },
    {
        .name = "max-data-bytes",
        .kind = OPTION_NUMBER,
        .offset = FIELD(data_bytes_max),
        .value = "BYTES",
        .initial_help = "0, which means three quarters of the memory that the process may use",
        .max = 1ull << 50,
        .help = "How large all documents together may get, with their collections and ids, before the leader "
                "takes "
                "only what makes them smaller.",
    },
    {
        .name = "compact-bytes",
        .kind = OPTION_NUMBER,
        .offset = FIELD(compact_bytes),
        .value = "BYTES",
        .initial = "67108864",
        .min = 4096,
        .max = 1ull << 40,
        .help = "A snapshot takes the place of the log when the log has this many bytes, and more than the "
                "snapshot would have.",
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
        .name = "cors-origin",
        .kind = OPTION_TEXT,
        .offset = FIELD(cors_origins),
        .value = "ORIGIN,...",
        .initial_help = "none",
        .min = 1,
        .max = 4000,
        .allowed = "origins such as https://app.example or http://localhost:3000, or * for every page",
        .refuse = refuse_origins,
        .help =
            "The web pages that may use this node from a browser, by where they come from. The same on all "
            "nodes.",
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

static bool is_remote(const struct address *address) {
  return address->family != ADDRESS_NONE && !address_is_loopback(address);
}

/* What must hold between options: NULL, or what is wrong. */
static const char *fault_of_addresses(const struct serve_options *options) {
  const bool remote = is_remote(&options->election);
  const struct address *reached =
      options->advertise.family != ADDRESS_NONE ? &options->advertise : &options->http;
  if (remote && options->secret_file == NULL)
    return "--election is not a loopback address, so hosts are to share a secret: pass --secret-file, the "
           "same "
           "file on each (see 'coracle secret generate')";
  if (options->peers.n > 0 && !address_list_has(&options->peers, &options->election))
    return "--peers lacks this node's own --election";
  if (address_is_wildcard(&options->http) && options->http.family != ADDRESS_NONE &&
      options->advertise.family == ADDRESS_NONE)
    return "--http is a wildcard, which nobody can be sent to: pass --advertise HOST too";
  if (remote && options->peers.n > 1 && !is_remote(reached))
    return "--http is a loopback address, which the other hosts of --peers cannot reach: give another, or "
           "pass "
           "--advertise";
  return NULL;
}

static bool check_serve(const void *values, struct bytes *why) {
  const struct serve_options *options = values;
  const char *fault = fault_of_addresses(options);
  if (fault != NULL) {
    bytes_append_string(why, fault);
  } else if (options->heartbeat_ms >= options->election_timeout_ms) {
    bytes_printf(why, "--heartbeat-ms %" PRIu64 " is not below --election-timeout-ms %" PRIu64,
                 options->heartbeat_ms, options->election_timeout_ms);
  } else {
    return true;
  }
  return false;
}

static int serve_command(int argc, char **argv) {
  static const struct option_command command = {
      .name = "serve",
      .summary =
          "Runs one node until SIGTERM or SIGINT. Nodes with the same election address are one cluster: "
          "started three times on one host, without options, they are three nodes that agree. Nodes on "
          "several hosts are one cluster by the same --peers and the same --secret-file.",
      .options = serve_table,
      .options_n = sizeof serve_table / sizeof serve_table[0],
      .check = check_serve,
  };
  struct serve_options options = {0};
  int status = options_read(&command, argc, argv, &options);
  return status == OPTIONS_GO_ON ? serve(&options) : status;
}

/* ---- secret ---- */

/* The only way to see a secret that was just made is to have asked for it on standard output. */
static int generate_secret(const char *path) {
  uint8_t secret[SECRET_FILE_BYTES];
  char text[SECRET_TEXT_BYTES], why[8 * 1024];
  int error = 0;
  if (sodium_init() < 0) {
    fprintf(stderr, "coracle secret: cannot start libsodium\n");
    return 1;
  }
  randombytes_buf(secret, sizeof secret);
  if (path != NULL) {
    error = secret_make(path, secret, why, sizeof why);
    if (error != 0) fprintf(stderr, "coracle secret: %s\n", why);
  } else {
    secret_format(secret, text);
    if (fwrite(text, sizeof text, 1, stdout) != 1 || fflush(stdout) != 0) {
      perror("coracle secret: cannot write the secret");
      error = CORACLE_EIO;
    }
  }
  sodium_memzero(secret, sizeof secret);
  sodium_memzero(text, sizeof text);
  return error == 0 ? 0 : 1;
}

static int secret_command(int argc, char **argv) {
  static const char usage[] = "usage: coracle secret generate [PATH]\n";
  if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
    printf("%s\nMakes a new cluster secret: in a file, with mode 0600, that must not exist yet; without PATH "
           "on\nstandard output. Give each node of a cluster the same one with --secret-file.\n",
           usage);
    return 0;
  }
  const bool is_path = argc == 3 && argv[2][0] != '-' && argv[2][0] != '\0';
  if (argc < 2 || strcmp(argv[1], "generate") != 0 || (argc != 2 && !is_path)) {
    fputs(usage, stderr);
    return 2;
  }
  return generate_secret(argc == 3 ? argv[2] : NULL);
}

/* ---- inspect, recover ---- */

static bool name_member(const struct coracle_raft_member *member, struct bytes *name) {
  struct join_member info;
  if (join_member_decode(member, &info) != 0) return false;
  bytes_append_string(name, info.name);
  return true;
}

static bool check_inspect(const void *values, struct bytes *why) {
  const struct inspect_options *options = values;
  if (options->from <= options->to) return true;
  bytes_printf(why, "--from %" PRIu64 " is after --to %" PRIu64, options->from, options->to);
  return false;
}

static int inspect_command(int argc, char **argv) {
  static const struct option table[] = {
      {
          .name = "json",
          .kind = OPTION_FLAG,
          .offset = offsetof(struct inspect_options, json),
          .help = "One JSON object; with --log one for each entry, on a line.",
      },
      {
          .name = "log",
          .kind = OPTION_FLAG,
          .offset = offsetof(struct inspect_options, log),
          .help = "Prints the log instead, an entry a line.",
      },
      {
          .name = "from",
          .kind = OPTION_NUMBER,
          .offset = offsetof(struct inspect_options, from),
          .value = "INDEX",
          .initial = "0",
          .max = UINT64_MAX,
          .help = "The first entry that --log prints.",
      },
      {
          .name = "to",
          .kind = OPTION_NUMBER,
          .offset = offsetof(struct inspect_options, to),
          .value = "INDEX",
          .initial_help = "the last one",
          .max = UINT64_MAX,
          .help = "The last entry that --log prints.",
      },
  };
  static const struct option_command command = {
      .name = "inspect",
      .summary =
          "Tells what is in a node's data directory, all damage that can be found in it, and what a start "
          "would do. It changes nothing, and may be used while a node runs. Exit status: 0 sound, 1 "
          "damaged, 2 it could not be looked at.",
      .options = table,
      .options_n = sizeof table / sizeof table[0],
      .argument = "DATA",
      .argument_offset = offsetof(struct inspect_options, path),
      .check = check_inspect,
  };
  struct inspect_options options = {.to = UINT64_MAX, .name_member = name_member};
  int status = options_read(&command, argc, argv, &options);
  return status == OPTIONS_GO_ON ? (int)inspect(&options) : status;
}

static int recover_command(int argc, char **argv) {
  static const struct option table[] = {
      {
          .name = "yes",
          .kind = OPTION_FLAG,
          .offset = offsetof(struct recover_options, yes),
          .help = "Do not ask.",
      },
  };
  static const struct option_command command = {
      .name = "recover",
      .summary =
          "For a node whose cluster has lost its majority for good: makes it the only voter of a new "
          "cluster, with all documents that it has. The node must not be running. Tells what there is and "
          "what will be lost, and asks first. Exit status: 0 done, 1 not done.",
      .options = table,
      .options_n = sizeof table / sizeof table[0],
      .argument = "DATA",
      .argument_offset = offsetof(struct recover_options, path),
  };
  struct recover_options options = {.name_member = name_member};
  int status = options_read(&command, argc, argv, &options);
  return status == OPTIONS_GO_ON ? recover(&options) : status;
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
    {"secret", secret_command, "make a cluster secret"},
    {"inspect", inspect_command, "tell what is in a data directory, and whether it is sound"},
    {"recover", recover_command, "make the survivor of a lost majority a cluster of its own"},
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
  fputs("\n'coracle COMMAND --help' tells the options of a command.\n", out);
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
