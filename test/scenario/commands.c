/* The table of all commands, and the questions among them. */
#include "scenario.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

static bool each(struct scenario *s, const struct words *words, void (*tell_of)(struct scenario *, uint64_t),
                 bool running) {
  for (size_t i = 1; i < words->n; i++) {
    uint64_t id;
    if (!(running ? word_running : word_server)(s, words, i, &id)) return false;
    tell_of(s, id);
  }
  if (words->n > 1) return true;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  for (uint64_t id = 1; id <= s->cluster->servers_n; id++)
    if (!running || cluster_server(s->cluster, id)->raft != NULL) tell_of(s, id);
  return true;
}

bool scenario_status(struct scenario *s, const struct words *words) {
  return each(s, words, trace_status, false);
}

bool scenario_log(struct scenario *s, const struct words *words) {
  return each(s, words, trace_log, true);
}

static const struct {
  const char *name;
  scenario_handler *handler;
  bool by_hand; /* disks that are not held are done before the next command */
} commands[] = {
    {"with", scenario_with, false},
    {"found", scenario_found, true},
    {"add", scenario_add, true},
    {"cluster", scenario_cluster, false},
    {"given", scenario_given, false},
    {"campaign", scenario_campaign, true},
    {"elect", scenario_elect, true},
    {"timeout", scenario_timeout, true},
    {"tick", scenario_tick, true},
    {"propose", scenario_propose, true},
    {"read", scenario_read, true},
    {"learner", scenario_learner, true},
    {"remove", scenario_remove, true},
    {"change", scenario_change, true},
    {"transfer", scenario_transfer, true},
    {"snapshot", scenario_snapshot, true},
    {"chunk", scenario_chunk, true},
    {"crash", scenario_crash, false},
    {"restart", scenario_restart, true},
    {"hold", scenario_hold, false},
    {"sync", scenario_sync, true},
    {"release", scenario_release, true},
    {"advance", scenario_advance, false},
    {"run", scenario_run, false},
    {"stabilise", scenario_stabilise, false},
    {"converge", scenario_converge, false},
    {"deliver", scenario_deliver, true},
    {"talk", scenario_talk, true},
    {"duplicate", scenario_duplicate, true},
    {"drop", scenario_drop, false},
    {"inject", scenario_inject, true},
    {"underway", scenario_underway, false},
    {"open", scenario_open_stream, true},
    {"cut", scenario_cut, false},
    {"tell", scenario_tell, true},
    {"block", scenario_block, false},
    {"isolate", scenario_isolate, false},
    {"heal", scenario_heal, false},
    {"streams", scenario_streams, false},
    {"datagrams", scenario_datagrams, false},
    {"status", scenario_status, false},
    {"log", scenario_log, false},
    {"expect", scenario_expect, false},
};

bool scenario_wrong(struct scenario *s, const char *format, ...) {
  va_list list;
  if (s->wrong[0] != '\0') return false;
  va_start(list, format);
  vsnprintf(s->wrong, sizeof s->wrong, format, list);
  va_end(list);
  return false;
}

void scenario_open(struct scenario *s) {
  *s = (struct scenario){.options = {.seed = 1}};
}

void scenario_close(struct scenario *s) {
  if (s->cluster != NULL) cluster_free(s->cluster);
  bytes_close(&s->out);
}

static bool dispatch(struct scenario *s, const struct words *words) {
  for (size_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
    if (!word_is(words, 0, commands[i].name)) continue;
    if (!commands[i].handler(s, words)) return false;
    if (commands[i].by_hand) scenario_sync_others(s);
    return true;
  }
  return scenario_wrong(s, "there is no command %s", words->at[0]);
}

bool scenario_command(struct scenario *s, const char *line) {
  struct words words = {0};
  char *copy = strdup(line), *rest;
  assert_non_null(copy);
  for (char *word = strtok_r(copy, " ", &rest); word && words.n < WORDS_MAX;
       word = strtok_r(NULL, " ", &rest))
    words.at[words.n++] = word;
  s->out.n = 0;
  s->wrong[0] = '\0';
  s->brief = false;
  s->talking[0] = s->talking[1] = 0;
  bool ok = words.n > 0 ? dispatch(s, &words) : scenario_wrong(s, "an empty command");
  free(copy);
  return ok;
}
