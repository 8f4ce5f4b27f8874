/* Processes: their start and end, and their turns, which are as the shell in src/net/ makes them. */
#include "base/memory.h"
#include "world_core.h"

#include <inttypes.h>
#include <stdlib.h>

enum {
  START_MS = 1000000, /* of the nodes' clock */
  MILLION = 1000000,
  TURN_AFTER_US_MAX = 30,
  PORT_FREE_AFTER_US_MAX = 4000,
  PEERS_PORT = 7000, /* of node 0's election address, where each has one */
};
static const uint64_t WALL_START_MS = 1795000000000;

/* ---- A turn of a process ---- */

void process_poke(struct world *w, int node) {
  struct process *p = &w->processes[node];
  if (p->node == NULL || p->paused || p->turn_due) return;
  p->turn_due = true;
  struct world_event *event = world_schedule(w, EVENT_TURN, 1 + world_dice(w, TURN_AFTER_US_MAX));
  event->node = node;
  event->incarnation = p->incarnation;
}

/* Ahead of the world's by its drift: floor(t * (1 + drift)). */
uint64_t process_ms(const struct world *w, int node) {
  const uint64_t rate = (uint64_t)(MILLION + w->processes[node].drift_ppm);
  return START_MS + w->now_us * rate / MILLION / 1000;
}

/* When the clock of the process will say so. */
static uint64_t world_us_at(const struct process *p, uint64_t at_ms) {
  const uint64_t rate = (uint64_t)(MILLION + p->drift_ppm);
  return ((at_ms - START_MS) * 1000 * MILLION + rate - 1) / rate;
}

uint64_t world_wall_ms(const struct world *w) {
  return WALL_START_MS + world_now_ms(w);
}

void process_free(struct process *p) {
  for (struct letter **letter; (letter = queue_at(&p->inbox, 0)) != NULL; queue_pop(&p->inbox)) free(*letter);
  node_free(p->node);
  p->node = NULL;
}

void process_step(struct world *w, int node, struct node_event event) {
  event.now_ms = process_ms(w, node);
  event.wall_ms = world_wall_ms(w);
  node_step(w->processes[node].node, &event);
}

static void bind_election(struct world *w, int node) {
  struct process *p = &w->processes[node];
  WORLD_CHECK(w, !w->options.peers);
  if (w->holder == HOLDER_NOBODY) {
    w->holder = node;
    w->holder_incarnation = p->incarnation;
  }
  p->bind_report = w->holder == node ? BIND_WON : BIND_TAKEN;
}

static void wake_at(struct world *w, int node, uint64_t at_ms) {
  struct process *p = &w->processes[node];
  p->wake_ms = at_ms;
  if (at_ms == UINT64_MAX) return;
  const uint64_t at_us = at_ms > process_ms(w, node) ? world_us_at(p, at_ms) : w->now_us;
  struct world_event *event = world_schedule(w, EVENT_WAKE, at_us - w->now_us);
  event->node = node;
  event->incarnation = p->incarnation;
}

static void log_line(struct world *w, int node, const struct node_effect *effect) {
  static const char *const levels[] = {"ERROR", "WARN ", "INFO ", "DEBUG"};
  bytes_printf(&w->processes[node].log, "%s %s\n", levels[effect->level], effect->text);
  world_trace(w, node, "%s %s", levels[effect->level], effect->text);
}

static void carry_out(struct world *w, int node, const struct node_effect *effect) {
  struct process *p = &w->processes[node];
  struct end *end;
  switch (effect->type) {
  case NODE_SEND:
    net_send(w, node, &effect->to, effect->data, effect->n);
    return;
  case NODE_BIND:
    bind_election(w, node);
    return;
  case NODE_PERSIST:
    WORLD_CHECK(w, w->options.durable);
    world_disk_persist(w, node, effect->persist);
    return;
  case NODE_RELEASE:
    WORLD_CHECK(w, w->holder == node);
    w->holder = HOLDER_NOBODY;
    return;
  case NODE_OPEN_HTTP:
    WORLD_CHECK(w, !p->http_open);
    p->http_open = true;
    return;
  case NODE_CONNECT:
    end = stream_connect(w, node, effect->to);
    end->stream = effect->stream;
    node_stream_set_user(effect->stream, end);
    return;
  case NODE_WRITE:
    WORLD_CHECK(w, effect->n > 0 && stream_end_of(effect->stream)->state == END_OPEN);
    stream_write(w, stream_end_of(effect->stream), effect->data, effect->n);
    return;
  case NODE_PAUSE:
  case NODE_RESUME:
    stream_pause(w, stream_end_of(effect->stream), effect->type == NODE_PAUSE);
    return;
  case NODE_CLOSE:
    stream_close(w, stream_end_of(effect->stream));
    return;
  case NODE_LOG:
    log_line(w, node, effect);
    return;
  case NODE_WAKE:
    wake_at(w, node, effect->at_ms);
    return;
  case NODE_EXIT:
    WORLD_CHECK(w, effect->status == 0 || w->options.broken);
    p->exited = true;
    return;
  }
}

static void hash_effect(struct world *w, int node, const struct node_effect *effect) {
  const uint64_t numbers[] = {w->now_us, (uint64_t)node, effect->type, effect->to.port, effect->at_ms};
  world_hash(w, numbers, sizeof numbers);
  if (effect->data != NULL) world_hash(w, effect->data, effect->n);
}

static void carry_out_all(struct world *w, int node) {
  struct node_effect effect;
  while (!w->processes[node].exited &&
         node_next_effect(w->processes[node].node, process_ms(w, node), &effect)) {
    hash_effect(w, node, &effect);
    carry_out(w, node, &effect);
  }
}

static size_t ready_ends(struct world *w, int node, struct end **ready, size_t limit) {
  size_t n = 0;
  for (struct list_link *at = list_first(&w->connections); at != NULL; at = list_next(&w->connections, at)) {
    struct world_connection *connection = CONTAINER_OF(at, struct world_connection, link);
    for (int side = 0; side < 2 && n < limit; side++) {
      struct end *end = &connection->ends[side];
      if (end->owner == node && stream_is_ready(w, end)) ready[n++] = end;
    }
  }
  return n;
}

static void feed_datagram(struct world *w, int node) {
  struct process *p = &w->processes[node];
  struct letter *letter = *(struct letter **)queue_at(&p->inbox, 0);
  queue_pop(&p->inbox);
  process_step(
      w, node,
      (struct node_event){.type = NODE_DATAGRAM, .from = letter->from, .data = letter->data, .n = letter->n});
  free(letter);
}

/* One of the things that are ready for a process, drawn by lot; false when there is none. */
static bool feed_one(struct world *w, int node) {
  struct process *p = &w->processes[node];
  enum { READY_MAX = 64 };
  struct end *ready[READY_MAX];
  const size_t ends_n = ready_ends(w, node, ready, READY_MAX);
  const bool is_due = p->wake_ms <= process_ms(w, node), has_mail = p->inbox.n > 0;
  const bool is_durable = world_disk_is_ready(&p->disk);
  const size_t n = ends_n + is_due + is_durable + has_mail;
  if (n == 0) return false;
  const size_t drawn = world_dice(w, n);
  if (drawn < ends_n) {
    stream_feed(w, ready[drawn]);
  } else if (drawn == ends_n && is_due) {
    p->wake_ms = UINT64_MAX;
    process_step(w, node, (struct node_event){.type = NODE_TICK});
  } else if (drawn < ends_n + is_due + is_durable) {
    world_disk_feed(w, node);
  } else {
    feed_datagram(w, node);
  }
  return true;
}

static void tell_bind(struct world *w, int node) {
  struct process *p = &w->processes[node];
  const enum bind_report report = p->bind_report;
  p->bind_report = BIND_NOTHING;
  process_step(w, node, (struct node_event){.type = report == BIND_WON ? NODE_BOUND : NODE_TAKEN});
}

static void finish_turn(struct world *w, int node) {
  struct process *p = &w->processes[node];
  carry_out_all(w, node);
  while (!p->exited && p->bind_report != BIND_NOTHING) {
    tell_bind(w, node);
    carry_out_all(w, node);
  }
  check_process(w, node);
  if (!p->exited) return;
  world_trace(w, node, "has ended");
  stream_process_ended(w, node, false);
  if (w->holder == node) w->holder = HOLDER_NOBODY;
  world_disk_crash(w, node, false);
  process_free(p);
}

void process_turn(struct world *w, int node) {
  struct process *p = &w->processes[node];
  const uint64_t wanted = 1 + world_dice(w, INPUTS_PER_TURN_MAX);
  uint64_t fed = 0;
  p->turn_due = false;
  if (p->paused) return;
  while (fed < wanted && feed_one(w, node)) fed++;
  if (fed > 0) finish_turn(w, node);
  if (fed == wanted) process_poke(w, node); /* there may be more */
}

/* ---- Processes ---- */

static void fill_random(struct world *w, uint8_t *at, size_t n) {
  for (size_t i = 0; i < n; i++) at[i] = (uint8_t)random_next(&w->random);
}

/* With a disk, who was here before, if anybody was; else somebody new. */
static bool find_identity(struct world *w, int node) {
  struct process *p = &w->processes[node];
  if (w->options.durable && !world_disk_start(w, node)) return false;
  if (!w->options.durable) p->disk.id = random_next(&w->random) | 1;
  p->id = p->disk.id;
  return true;
}

/* Its election address, where each has one. */
static struct address peer_address(int node) {
  return world_local((uint16_t)(PEERS_PORT + node));
}

static void fill_options(struct world *w, int node, struct node_options *options) {
  struct process *p = &w->processes[node];
  *options = (struct node_options){.id = p->id,
                                   .start = w->options.durable ? p->disk.directory.started : p->incarnation,
                                   .seed = random_next(&w->random),
                                   .election = world_election(),
                                   .udp = p->udp,
                                   .http = p->http,
                                   .heartbeat_ms = HEARTBEAT_MS,
                                   .election_timeout_ms = ELECTION_TIMEOUT_MS,
                                   .document_bytes_max = DOCUMENT_BYTES_MAX,
                                   .connections_max = w->options.connections_max,
                                   .follower_writes = w->options.follower_writes,
                                   .compact_bytes = w->options.compact_bytes,
                                   .chunk_bytes_max = w->options.chunk_bytes_max,
                                   .operations_per_turn = w->options.operations_per_turn,
                                   .wall_ms = world_wall_ms(w),
                                   .durable = w->options.durable};
  options->expect = w->options.expect;
  if (w->options.peers) {
    options->election = p->udp;
    options->peers.n = (size_t)w->options.nodes;
    for (int i = 0; i < w->options.nodes; i++) options->peers.at[i] = peer_address(i);
  }
  memcpy(options->token, p->token, sizeof options->token);
  fill_random(w, options->store_key, sizeof options->store_key);
  fill_random(w, options->entropy, sizeof options->entropy);
  memcpy(options->secret, world_secret(), sizeof options->secret);
}

static void reset(struct world *w, int node) {
  struct process *p = &w->processes[node];
  p->incarnation = ++w->processes_made;
  p->udp = w->options.peers ? peer_address(node) : world_local((uint16_t)(20000 + p->incarnation % 40000));
  fill_random(w, p->token, sizeof p->token);
  p->paused = p->stopping = p->http_open = p->turn_due = p->exited = p->powerless = false;
  p->wake_ms = UINT64_MAX;
  p->bind_report = BIND_NOTHING;
  p->log.n = 0;
  p->checked = (struct checked){0};
}

void world_start(struct world *w, int node) {
  struct process *p = &w->processes[node];
  struct node_options options;
  struct node_restored restored;
  char name[] = {(char)('a' + node), '\0'};
  WORLD_CHECK(w, p->node == NULL);
  reset(w, node);
  if (!find_identity(w, node)) return;
  fill_options(w, node, &options);
  options.name = name;
  if (w->options.durable && directory_restore(&p->disk.directory, &restored)) options.restored = &restored;
  durable_begin(w, node);
  p->node = node_new(&options, process_ms(w, node));
  directory_started(&p->disk.directory);
  world_trace(w, node, "is started with id %016" PRIx64 "%s", p->id,
              options.restored != NULL ? ", and what was on its disk" : "");
  stream_process_is_back(w, node);
  process_step(w, node, (struct node_event){.type = NODE_START});
  finish_turn(w, node);
}

void world_start_all(struct world *w) {
  for (int i = 0; i < w->options.nodes; i++)
    if (w->processes[i].node == NULL) world_start(w, i);
}

static void end_process(struct world *w, int node, bool power) {
  struct process *p = &w->processes[node];
  if (w->holder == node) {
    w->holder = HOLDER_DYING;
    w->holder_incarnation = p->incarnation;
    world_schedule(w, EVENT_PORT_FREE, world_dice(w, PORT_FREE_AFTER_US_MAX))->incarnation = p->incarnation;
  }
  world_disk_crash(w, node, power);
  process_free(p);
}

void process_disk_failed(struct world *w, int node) {
  stream_process_ended(w, node, true);
  end_process(w, node, world_dice(w, 3) == 0);
}

void world_kill(struct world *w, int node) {
  WORLD_CHECK(w, world_is_running(w, node));
  world_trace(w, node, "is killed");
  stream_process_ended(w, node, true);
  end_process(w, node, false);
}

void world_cut_power(struct world *w, int node) {
  WORLD_CHECK(w, world_is_running(w, node));
  world_trace(w, node, "has no power");
  stream_process_vanished(w, node);
  w->processes[node].powerless = true;
  end_process(w, node, true);
}

void world_kill_writing(struct world *w, int node, bool power) {
  WORLD_CHECK(w, world_is_running(w, node));
  w->processes[node].disk.ends = power ? ENDS_WITHOUT_POWER : ENDS_KILLED;
}

void world_wipe(struct world *w, int node) {
  WORLD_CHECK(w, !world_is_running(w, node));
  world_trace(w, node, "its data is gone");
  world_disk_wipe(&w->processes[node].disk);
}

void world_hang_disk(struct world *w, int node, uint64_t ms) {
  world_trace(w, node, "its disk hangs for %" PRIu64 " ms", ms);
  w->processes[node].disk.hangs_until_us = w->now_us + ms * 1000;
}

void world_limit_disk(struct world *w, int node, uint64_t bytes) {
  if (bytes == UINT64_MAX)
    world_trace(w, node, "its disk has all room");
  else
    world_trace(w, node, "its disk has room for %" PRIu64 " bytes more", bytes);
  directory_set_room(&w->processes[node].disk.directory, bytes);
}

void world_fail_disk(struct world *w, int node) {
  world_trace(w, node, "its disk is about to fail");
  directory_fail(w, node);
}

bool world_harm_disk(struct world *w, int node) {
  WORLD_CHECK(w, !world_is_running(w, node));
  return directory_harm(w, node);
}

bool world_is_refused(const struct world *w, int node) {
  return w->processes[node].disk.directory.refused;
}

void world_set_drift(struct world *w, int node, int ppm) {
  WORLD_CHECK(w, w->now_us == 0);
  w->processes[node].drift_ppm = ppm;
}

void world_terminate(struct world *w, int node) {
  WORLD_CHECK(w, world_is_running(w, node));
  world_trace(w, node, "is told to stop");
  w->processes[node].stopping = true;
  stream_stop_listening(w, node);
  process_step(w, node, (struct node_event){.type = NODE_STOP});
  finish_turn(w, node);
}

void world_pause(struct world *w, int node) {
  WORLD_CHECK(w, world_is_running(w, node));
  world_trace(w, node, "is stopped");
  w->processes[node].paused = true;
}

void world_resume(struct world *w, int node) {
  WORLD_CHECK(w, world_is_paused(w, node));
  world_trace(w, node, "goes on");
  w->processes[node].paused = false;
  process_poke(w, node);
}

bool world_remove(struct world *w, int leader, int node) {
  if (leader < 0 || w->processes[leader].paused || w->processes[leader].node->stopping) return false;
  struct node *leads = w->processes[leader].node;
  struct coracle_raft_configuration next = *coracle_raft_latest_configuration(replica_raft(leads->replica));
  struct coracle_raft_event event = {.type = CORACLE_RAFT_CONF_CHANGE, .configuration = &next};
  struct coracle_raft_member *member = coracle_raft_configuration_find(&next, w->processes[node].disk.id);
  if (member == NULL) return false;
  *member = next.members[--next.members_n];
  if (!consensus_step(leads, &event)) return false;
  world_trace(w, leader, "is to take %c out of the cluster", 'a' + node);
  finish_turn(w, leader);
  return true;
}

bool world_transfer(struct world *w, int from, int to) {
  if (from < 0 || from == to || !world_is_running(w, from) || w->processes[from].paused) return false;
  if (!world_is_running(w, to)) return false;
  struct node *node = w->processes[from].node;
  struct coracle_raft_event event = {.type = CORACLE_RAFT_TRANSFER, .peer = world_id(w, to)};
  if (!node->member || node->stopping || !consensus_step(node, &event)) return false;
  world_trace(w, from, "is to hand leadership to %c", 'a' + to);
  finish_turn(w, from);
  return true;
}

/* Of its log; NULL: it has none. */
static struct coracle_raft_entry *draw_keyed_command(struct world *w, int node) {
  const struct coracle_raft *raft = replica_raft(w->processes[node].node->replica);
  const uint64_t first = coracle_raft_snapshot(raft)->index + 1;
  struct coracle_raft_status status;
  coracle_raft_status(raft, process_ms(w, node), &status);
  if (status.last_index < first) return NULL;
  struct coracle_raft_entry *entry =
      coracle_raft_entry_at(raft, first + world_dice(w, status.last_index - first + 1));
  if (entry == NULL || entry->type != CORACLE_RAFT_COMMAND) return NULL;
  return entry->data[0] == COMMAND_ONCE ? entry : NULL;
}

bool world_propose_again(struct world *w, int leader) {
  if (leader < 0 || w->processes[leader].paused || w->processes[leader].node->stopping) return false;
  struct node *node = w->processes[leader].node;
  struct coracle_raft_entry *entry = draw_keyed_command(w, leader);
  if (node->storage.full || entry == NULL) return false;
  struct coracle_raft_entry *copy = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, entry->bytes);
  WORLD_CHECK(w, copy != NULL);
  memcpy(copy->data, entry->data, entry->bytes);
  world_trace(w, leader, "is to propose entry %" PRIu64 " again", entry->index);
  replica_propose(node->replica, copy, 0, NULL);
  finish_turn(w, leader);
  return true;
}

bool world_is_running(const struct world *w, int node) {
  return w->processes[node].node != NULL;
}

bool world_is_paused(const struct world *w, int node) {
  return world_is_running(w, node) && w->processes[node].paused;
}

void world_set_port(struct world *w, int node, uint16_t port) {
  WORLD_CHECK(w, !world_is_running(w, node));
  w->processes[node].http = world_local(port);
}

struct node *world_node(struct world *w, int node) {
  WORLD_CHECK(w, world_is_running(w, node));
  return w->processes[node].node;
}

const uint8_t *world_token(struct world *w, int node) {
  return w->processes[node].token;
}

uint64_t world_id(struct world *w, int node) {
  return join_id(world_node(w, node)->join);
}

struct address world_http(struct world *w, int node) {
  return w->processes[node].http;
}

struct address world_udp(struct world *w, int node) {
  return w->processes[node].udp;
}

int world_holder(const struct world *w) {
  return w->holder < 0 ? -1 : w->holder;
}

void world_occupy(struct world *w, bool occupy) {
  WORLD_CHECK(w, w->holder == (occupy ? HOLDER_NOBODY : HOLDER_OTHER));
  w->holder = occupy ? HOLDER_OTHER : HOLDER_NOBODY;
}

bool world_http_is_open(const struct world *w, int node) {
  return world_is_running(w, node) && w->processes[node].http_open;
}

bool world_has_logged(const struct world *w, int node, const char *text) {
  const struct bytes *log = &w->processes[node].log;
  return log->n > 0 && memmem(log->data, log->n, text, strlen(text)) != NULL;
}
