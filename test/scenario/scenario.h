/* Scenarios: conversations with a cluster of consensus cores (test/unit/raft_cluster.h), written down with
 * what the servers said. README.md describes the language.
 *
 * script.c reads a file and compares; commands.c has the table of the commands, which setting.c, events.c,
 * disks.c, network.c and inject.c carry out; expect.c checks what a script insists on, trace.c puts into
 * words what the servers do, words.c reads and writes entries, ids and messages. */
#ifndef CORACLE_SCENARIO_H
#define CORACLE_SCENARIO_H

#include "base/bytes.h"
#include "raft_cluster.h"

enum { WORDS_MAX = 64 };

struct scenario {
  struct cluster_options options; /* for the cluster, until there is one */
  struct cluster *cluster;        /* NULL: no server was added yet */
  struct bytes out;               /* what the current command has to tell */
  bool brief;                     /* much happens at once: only what matters is told */
  uint64_t talking[2];            /* what these send each other is told when it arrives; 0: nobody */
  char wrong[256];                /* why the current command cannot be carried out; empty: it can */
};

/* A command, taken apart at its spaces. */
struct words {
  char *at[WORDS_MAX];
  size_t n;
};

void scenario_open(struct scenario *);
void scenario_close(struct scenario *);
/* Carries out one command; what it has to tell is in `out` then. False: it cannot, `wrong` says why. */
bool scenario_command(struct scenario *, const char *line);
/* Sets `wrong`, unless it is set, and returns false. */
__attribute__((format(printf, 2, 3))) bool scenario_wrong(struct scenario *, const char *format, ...);

/* The handlers of the commands, which a table in commands.c lists. The first word is the command. False: see
 * above. */
typedef bool scenario_handler(struct scenario *, const struct words *);
/* setting.c */
scenario_handler scenario_with, scenario_found, scenario_add, scenario_cluster, scenario_given;
/* events.c */
scenario_handler scenario_campaign, scenario_timeout, scenario_tick, scenario_propose, scenario_read,
    scenario_learner, scenario_remove, scenario_change, scenario_transfer, scenario_snapshot, scenario_chunk,
    scenario_advance, scenario_run, scenario_stabilise, scenario_converge;
/* disks.c */
scenario_handler scenario_crash, scenario_restart, scenario_hold, scenario_sync, scenario_release;
/* network.c, inject.c */
scenario_handler scenario_elect, scenario_deliver, scenario_talk, scenario_duplicate, scenario_drop,
    scenario_underway, scenario_open_stream, scenario_cut, scenario_tell, scenario_block, scenario_isolate,
    scenario_heal, scenario_streams, scenario_datagrams, scenario_inject;
/* expect.c, commands.c */
scenario_handler scenario_expect, scenario_status, scenario_log;

/* A refusal is something that a server says. True. */
bool scenario_tell_error(struct scenario *, uint64_t id, int error);
/* Whatever a command made them write is durable at once, on disks that are not held. */
void scenario_sync_others(struct scenario *);
void scenario_say_letters(struct scenario *, const struct letters *);

/* trace.c: told of every step (cluster.watch). */
void trace_step(void *scenario, const struct cluster *, const struct server *,
                const struct coracle_raft_event *, const struct coracle_raft_status *before,
                const struct coracle_raft_effects *);
void trace_status(struct scenario *, uint64_t id);
void trace_log(struct scenario *, uint64_t id);
void trace_message(struct bytes *, const struct coracle_raft_message *); /* without a newline */

/* words.c */
bool word_is(const struct words *, size_t i, const char *word);
bool word_number(struct scenario *, const struct words *, size_t i, uint64_t *number);
/* A server that there is; and one that runs. */
bool word_server(struct scenario *, const struct words *, size_t i, uint64_t *id);
bool word_running(struct scenario *, const struct words *, size_t i, uint64_t *id);
/* FROM->TO; 0 stands for `*`, all. */
bool word_pair(struct scenario *, const struct words *, size_t i, uint64_t *from, uint64_t *to);
bool word_kind(struct scenario *, const struct words *, size_t i, enum coracle_raft_message_type *);
/* INDEX.TERM */
bool word_position(struct scenario *, const struct words *, size_t i, uint64_t *index, uint64_t *term);
/* Entries from the i-th word to the end, such as `1.1 {1 2 3}, 2.1 noop, 3.2 x`. Owned by the caller, also
 * when it is false. */
bool words_entries(struct scenario *, const struct words *, size_t i, struct coracle_raft_entry **entries,
                   size_t *n);
bool words_members(struct scenario *, const struct words *, size_t i, struct coracle_raft_configuration *);
void write_entry(struct bytes *, const struct coracle_raft_entry *);
void write_members(struct bytes *, const struct coracle_raft_configuration *);

/* script.c: runs a file. With `update` it writes down what the servers say now; else false when that differs.
 * Prints to stderr what is wrong, with file and line. */
bool script_run(const char *path, bool update);
/* Where the script is, for a failure that leaves it halfway; NULL: nowhere. */
const char *script_place(void);

#endif
