/* The commands that make things happen, and the table of all commands. */
#include "scenario.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { ADVANCE_MS_MAX = 3600 * 1000, UNDERWAY_MAX = 1024 };

/* ---- Letting disks work ---- */

static void say_letters(struct scenario *s, const struct letters *letters) {
  for (size_t i = 0; i < letters->n; i++) {
    bytes_append_string(&s->out, "  ");
    trace_message(&s->out, &letters->at[i]->message);
    bytes_append_string(&s->out, "\n");
  }
}

/* A held disk is done with its first writes, or all; tells which messages may go at last. */
static void sync_held(struct scenario *s, uint64_t id, uint64_t sequence) {
  struct server *server = cluster_server(s->cluster, id);
  struct letters leaving = {0};
  for (size_t i = 0; i < server->held.n; i++) {
    struct letter *letter = server->held.at[i];
    if (letter->message.after_sequence > sequence) continue;
    leaving.at = realloc(leaving.at, (leaving.n + 1) * sizeof(struct letter *));
    assert_non_null(leaving.at);
    leaving.at[leaving.n++] = letter;
  }
  say_letters(s, &leaving); /* before they can arrive anywhere */
  free(leaving.at);
  cluster_sync_to(s->cluster, id, sequence);
}

/* Whatever a command made them write is durable at once, on disks that are not held. */
static void sync_others(struct scenario *s) {
  struct cluster *c = s->cluster;
  for (bool again = true; again;) {
    again = false;
    for (uint64_t id = 1; c != NULL && id <= c->servers_n; id++) {
      const struct server *server = cluster_server(c, id);
      if (server->raft == NULL || server->disk_held || server->writes.n == 0) continue;
      cluster_sync(c, id);
      again = true;
    }
  }
}

static bool hold(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  cluster_hold_disk(s->cluster, id, true);
  return true;
}

static uint64_t last_write(const struct server *server) {
  const struct disk_write *write = queue_at((struct queue *)(uintptr_t)&server->writes, server->writes.n - 1);
  return write->sequence;
}

/* sync ID [one] */
static bool sync_disk(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  struct server *server = cluster_server(s->cluster, id);
  if (server->writes.n == 0) return scenario_wrong(s, "its disk has nothing to do");
  const struct disk_write *first = queue_at(&server->writes, 0);
  sync_held(s, id, word_is(words, 2, "one") ? first->sequence : last_write(server));
  return true;
}

static bool release(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  const struct server *server = cluster_server(s->cluster, id);
  if (server->writes.n > 0) sync_held(s, id, last_write(server));
  cluster_hold_disk(s->cluster, id, false);
  return true;
}

/* ---- Events ---- */

/* A refusal is something that a server says. */
static bool tell_error(struct scenario *s, uint64_t id, int error) {
  if (error != 0) bytes_printf(&s->out, "  %" PRIu64 " refuses: %s\n", id, coracle_raft_strerror(error));
  return true;
}

static bool campaign(struct scenario *s, const struct words *words) {
  uint64_t id;
  return word_running(s, words, 1, &id) && tell_error(s, id, cluster_campaign(s->cluster, id));
}

/* The time comes that it waits for; the others are not told. */
static bool timeout(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  const uint64_t wakeup_ms = cluster_server(s->cluster, id)->wakeup_ms;
  if (wakeup_ms == UINT64_MAX) return scenario_wrong(s, "server %s waits for no time", words->at[1]);
  if (wakeup_ms > s->cluster->now_ms) s->cluster->now_ms = wakeup_ms;
  return tell_error(s, id, cluster_timeout(s->cluster, id));
}

/* propose ID NAME ... */
static bool propose(struct scenario *s, const struct words *words) {
  uint64_t id;
  struct coracle_raft_entry *entries[WORDS_MAX];
  if (!word_running(s, words, 1, &id)) return false;
  const size_t n = words->n - 2;
  if (words->n < 3) return scenario_wrong(s, "what is proposed?");
  for (size_t i = 0; i < n; i++) {
    const char *name = words->at[i + 2];
    entries[i] = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, strlen(name));
    assert_non_null(entries[i]);
    memcpy(entries[i]->data, name, strlen(name));
  }
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PROPOSE, .propose = {entries, n}};
  int error = cluster_step(s->cluster, id, &event);
  for (size_t i = 0; i < n && error != 0; i++) coracle_raft_entry_unref(entries[i]);
  return tell_error(s, id, error);
}

static bool read_at(struct scenario *s, const struct words *words) {
  uint64_t id, number;
  return word_running(s, words, 1, &id) && tell_error(s, id, cluster_read(s->cluster, id, &number));
}

static bool two_servers(struct scenario *s, const struct words *words, uint64_t *id, uint64_t *other) {
  return word_running(s, words, 1, id) && word_number(s, words, 2, other);
}

static bool learner(struct scenario *s, const struct words *words) {
  uint64_t id, other;
  return two_servers(s, words, &id, &other) && tell_error(s, id, cluster_add_member(s->cluster, id, other));
}

static bool remove_member(struct scenario *s, const struct words *words) {
  uint64_t id, other;
  return two_servers(s, words, &id, &other) &&
         tell_error(s, id, cluster_remove_member(s->cluster, id, other));
}

static bool transfer(struct scenario *s, const struct words *words) {
  uint64_t id, other;
  return two_servers(s, words, &id, &other) && tell_error(s, id, cluster_transfer(s->cluster, id, other));
}

static bool snapshot(struct scenario *s, const struct words *words) {
  uint64_t id;
  return word_running(s, words, 1, &id) && tell_error(s, id, cluster_snapshot(s->cluster, id));
}

/* A leader's core has asked for bytes of an image. */
static bool chunk(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  return cluster_answer_chunk(s->cluster, id) || scenario_wrong(s, "it has asked for no bytes");
}

/* crash ID [after WRITES] */
static bool crash(struct scenario *s, const struct words *words) {
  uint64_t id, writes = 0;
  if (!word_running(s, words, 1, &id)) return false;
  if (word_is(words, 2, "after") && !word_number(s, words, 3, &writes)) return false;
  cluster_crash_after(s->cluster, id, writes);
  return true;
}

static bool restart(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_server(s, words, 1, &id)) return false;
  if (cluster_server(s->cluster, id)->raft != NULL) return scenario_wrong(s, "it runs");
  cluster_restart(s->cluster, id);
  trace_status(s, id);
  return true;
}

/* ---- Time ---- */

static bool milliseconds(struct scenario *s, const struct words *words, uint64_t *ms) {
  if (!word_number(s, words, 1, ms)) return false;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  return *ms <= ADVANCE_MS_MAX || scenario_wrong(s, "that is too long");
}

static bool advance(struct scenario *s, const struct words *words) {
  uint64_t ms;
  if (!milliseconds(s, words, &ms)) return false;
  s->cluster->now_ms += ms;
  return true;
}

static bool run(struct scenario *s, const struct words *words) {
  uint64_t ms;
  if (!milliseconds(s, words, &ms)) return false;
  s->brief = true;
  cluster_run(s->cluster, ms);
  return true;
}

static bool stabilise(struct scenario *s, const struct words *words) {
  (void)words;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  s->brief = true;
  cluster_settle(s->cluster);
  return true;
}

/* ---- The network ---- */

static bool is_between(uint64_t from, uint64_t to, const struct coracle_raft_message *message) {
  return (from == 0 || message->from == from) && (to == 0 || message->to == to);
}

/* What is underway now, in the order in which it was sent on each way; as pairs and kinds, for delivering it
 * makes more of it. */
struct underway {
  struct one {
    uint64_t from, to;
    enum coracle_raft_message_type type;
  } at[UNDERWAY_MAX];
  size_t n;
};

static void add_letters(struct underway *u, const struct letters *letters, uint64_t from, uint64_t to,
                        enum coracle_raft_message_type type) {
  for (size_t i = 0; i < letters->n && u->n < UNDERWAY_MAX; i++) {
    const struct coracle_raft_message *m = &letters->at[i]->message;
    if (!is_between(from, to, m) || (type != 0 && m->type != type)) continue;
    u->at[u->n++] = (struct one){m->from, m->to, (enum coracle_raft_message_type)m->type};
  }
}

static void find_underway(const struct cluster *c, struct underway *u, uint64_t from, uint64_t to,
                          enum coracle_raft_message_type type) {
  u->n = 0;
  add_letters(u, &c->datagrams, from, to, type);
  for (size_t i = 0; i < c->streams_n; i++) {
    add_letters(u, &c->streams[i]->to[AT_FOLLOWER], from, to, type);
    add_letters(u, &c->streams[i]->to[AT_LEADER], from, to, type);
  }
}

/* FROM->TO KIND: the oldest of each way; FROM->TO all: all that there are now. */
static bool choose_underway(struct scenario *s, const struct words *words, struct underway *u) {
  uint64_t from, to;
  enum coracle_raft_message_type type = (enum coracle_raft_message_type)0;
  const bool all = word_is(words, 2, "all");
  if (!word_pair(s, words, 1, &from, &to) || (!all && !word_kind(s, words, 2, &type))) return false;
  find_underway(s->cluster, u, from, to, type);
  size_t kept = 0;
  for (size_t i = 0; i < u->n; i++) {
    bool first = true;
    for (size_t k = 0; k < kept; k++)
      first = first && (u->at[k].from != u->at[i].from || u->at[k].to != u->at[i].to);
    if (all || first) u->at[kept++] = u->at[i];
  }
  u->n = kept;
  return kept > 0 || scenario_wrong(s, "nothing of that is underway");
}

static bool deliver(struct scenario *s, const struct words *words) {
  struct underway u;
  if (!choose_underway(s, words, &u)) return false;
  for (size_t i = 0; i < u.n; i++) {
    /* What was delivered before may have ended its stream. */
    if (cluster_find(s->cluster, u.at[i].from, u.at[i].to, u.at[i].type) == NULL) continue;
    cluster_deliver(s->cluster, u.at[i].from, u.at[i].to, u.at[i].type);
    sync_others(s);
  }
  return true;
}

static bool drop(struct scenario *s, const struct words *words) {
  struct underway u;
  if (!choose_underway(s, words, &u)) return false;
  for (size_t i = 0; i < u.n; i++) cluster_drop(s->cluster, u.at[i].from, u.at[i].to, u.at[i].type);
  return true;
}

/* A datagram arrives, and is still underway. */
static bool duplicate(struct scenario *s, const struct words *words) {
  uint64_t from, to;
  enum coracle_raft_message_type type;
  if (!word_pair(s, words, 1, &from, &to) || !word_kind(s, words, 2, &type)) return false;
  const struct letters *datagrams = &s->cluster->datagrams;
  for (size_t i = 0; i < datagrams->n; i++) {
    const struct coracle_raft_message *m = &datagrams->at[i]->message;
    if (m->from != from || m->to != to || m->type != type) continue;
    cluster_deliver_datagram(s->cluster, i, true);
    return true;
  }
  return scenario_wrong(s, "no such datagram is underway");
}

static bool underway(struct scenario *s, const struct words *words) {
  (void)words;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  say_letters(s, &s->cluster->datagrams);
  for (size_t i = 0; i < s->cluster->streams_n; i++) {
    say_letters(s, &s->cluster->streams[i]->to[AT_FOLLOWER]);
    say_letters(s, &s->cluster->streams[i]->to[AT_LEADER]);
  }
  return true;
}

static bool pair_of_two(struct scenario *s, const struct words *words, uint64_t *from, uint64_t *to) {
  if (!word_pair(s, words, 1, from, to)) return false;
  return (*from != 0 && *to != 0 && *from != *to) || scenario_wrong(s, "that takes two servers");
}

static bool has_stream(const struct cluster *c, uint64_t leader, uint64_t follower) {
  for (size_t i = 0; i < c->streams_n; i++)
    if (c->streams[i]->leader == leader && c->streams[i]->follower == follower) return true;
  return false;
}

static bool open_stream(struct scenario *s, const struct words *words) {
  uint64_t leader, follower;
  if (!pair_of_two(s, words, &leader, &follower)) return false;
  cluster_sweep_streams(s->cluster);
  if (has_stream(s->cluster, leader, follower)) return scenario_wrong(s, "there is such a stream");
  cluster_open(s->cluster, leader, follower);
  return true;
}

static bool cut(struct scenario *s, const struct words *words) {
  uint64_t leader, follower;
  if (!pair_of_two(s, words, &leader, &follower)) return false;
  if (!has_stream(s->cluster, leader, follower)) return scenario_wrong(s, "there is no such stream");
  cluster_cut(s->cluster, leader, follower);
  return true;
}

/* tell LEADER->FOLLOWER leader|follower: that side hears of the end of the stream. */
static bool tell(struct scenario *s, const struct words *words) {
  uint64_t leader, follower;
  if (!pair_of_two(s, words, &leader, &follower)) return false;
  const bool to_leader = word_is(words, 2, "leader");
  if (!to_leader && !word_is(words, 2, "follower"))
    return scenario_wrong(s, "tell the leader or the follower?");
  cluster_tell(s->cluster, leader, follower, to_leader ? AT_LEADER : AT_FOLLOWER);
  return true;
}

static bool block(struct scenario *s, const struct words *words) {
  uint64_t from, to;
  if (!word_pair(s, words, 1, &from, &to)) return false;
  for (uint64_t a = 1; a <= s->cluster->servers_n; a++)
    for (uint64_t b = 1; b <= s->cluster->servers_n; b++)
      if (a != b && (from == 0 || from == a) && (to == 0 || to == b)) cluster_block(s->cluster, a, b, true);
  return true;
}

static bool isolate(struct scenario *s, const struct words *words) {
  for (size_t i = 1; i < words->n; i++) {
    uint64_t id;
    if (!word_server(s, words, i, &id)) return false;
    cluster_isolate(s->cluster, id);
  }
  return words->n > 1 || scenario_wrong(s, "isolate whom?");
}

static bool heal(struct scenario *s, const struct words *words) {
  (void)words;
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  cluster_heal(s->cluster);
  return true;
}

/* streams by-hand|by-themselves */
static bool streams(struct scenario *s, const struct words *words) {
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  s->cluster->links_by_hand = word_is(words, 1, "by-hand");
  return s->cluster->links_by_hand || word_is(words, 1, "by-themselves") ||
         scenario_wrong(s, "by-hand or by-themselves?");
}

/* datagrams lost|arrive */
static bool datagrams(struct scenario *s, const struct words *words) {
  if (s->cluster == NULL) return scenario_wrong(s, "there are no servers yet");
  s->cluster->no_datagrams = word_is(words, 1, "lost");
  return s->cluster->no_datagrams || word_is(words, 1, "arrive") || scenario_wrong(s, "lost or arrive?");
}

/* inject FROM->TO heartbeat term T commit C
 * inject FROM->TO append term T after INDEX.TERM commit C [ENTRIES]
 * A message that nobody sent, or that was sent long ago. */
static bool inject(struct scenario *s, const struct words *words) {
  struct coracle_raft_message m = {0};
  struct coracle_raft_entry *entries[WORDS_MAX];
  enum coracle_raft_message_type type;
  uint64_t commit, index = 0, term = 0;
  size_t i = 5, n = 0;
  if (!pair_of_two(s, words, &m.from, &m.to) || !word_kind(s, words, 2, &type)) return false;
  m.type = (uint8_t)type;
  if (type != CORACLE_RAFT_HEARTBEAT && type != CORACLE_RAFT_APPEND)
    return scenario_wrong(s, "only heartbeats and appends");
  if (!word_is(words, 3, "term") || !word_number(s, words, 4, &m.term))
    return scenario_wrong(s, "term TERM is missing");
  if (type == CORACLE_RAFT_APPEND) {
    if (!word_is(words, 5, "after") || !word_position(s, words, 6, &index, &term))
      return scenario_wrong(s, "after INDEX.TERM is missing");
    i = 7;
  }
  if (!word_is(words, i, "commit") || !word_number(s, words, i + 1, &commit))
    return scenario_wrong(s, "commit COMMIT is missing");
  bool ok = words_entries(s, words, i + 2, entries, &n);
  if (type == CORACLE_RAFT_HEARTBEAT) {
    m.heartbeat.commit = m.heartbeat.leader_commit = commit;
  } else {
    m.append.previous_index = index;
    m.append.previous_term = term;
    m.append.commit = commit;
    m.append.entries = entries;
    m.append.entries_n = n;
  }
  if (ok) tell_error(s, m.to, cluster_receive(s->cluster, m.to, &m));
  while (n > 0) coracle_raft_entry_unref(entries[--n]);
  return ok;
}

/* ---- Questions ---- */

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

static bool status(struct scenario *s, const struct words *words) {
  return each(s, words, trace_status, false);
}

static bool show_log(struct scenario *s, const struct words *words) {
  return each(s, words, trace_log, true);
}

/* ---- All ---- */

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
    {"campaign", campaign, true},
    {"timeout", timeout, true},
    {"propose", propose, true},
    {"read", read_at, true},
    {"learner", learner, true},
    {"remove", remove_member, true},
    {"transfer", transfer, true},
    {"snapshot", snapshot, true},
    {"chunk", chunk, true},
    {"crash", crash, false},
    {"restart", restart, true},
    {"hold", hold, false},
    {"sync", sync_disk, true},
    {"release", release, true},
    {"advance", advance, false},
    {"run", run, false},
    {"stabilise", stabilise, false},
    {"deliver", deliver, true},
    {"duplicate", duplicate, true},
    {"drop", drop, false},
    {"inject", inject, true},
    {"underway", underway, false},
    {"open", open_stream, true},
    {"cut", cut, false},
    {"tell", tell, true},
    {"block", block, false},
    {"isolate", isolate, false},
    {"heal", heal, false},
    {"streams", streams, false},
    {"datagrams", datagrams, false},
    {"status", status, false},
    {"log", show_log, false},
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
    if (commands[i].by_hand) sync_others(s);
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
  bool ok = words.n > 0 ? dispatch(s, &words) : scenario_wrong(s, "an empty command");
  free(copy);
  return ok;
}
