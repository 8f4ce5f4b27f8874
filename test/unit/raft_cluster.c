/* The servers of a test, their disks, and letting things happen to them: see raft_cluster.h. */
#include "raft_cluster.h"

#include "raft_history.h"
#include "raft_network.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SETTLE_MAX = 200000 }; /* things that can happen while no time passes */

void cluster_fail(const struct cluster *c, const char *format, ...) {
  char text[400];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  fail_msg("seed %llu, step %llu, %llu ms: %s", (unsigned long long)c->options.seed,
           (unsigned long long)c->steps, (unsigned long long)c->now_ms, text);
  abort();
}

/* ---- Making one ---- */

struct cluster *cluster_new(const struct cluster_options *options) {
  struct cluster *c = calloc(1, sizeof *c);
  assert(c != NULL);
  c->options = *options;
  c->random.state = options->seed;
  c->now_ms = 1000;
  c->history = history_new();
  return c;
}

static void drop_write(struct disk_write *write) {
  for (size_t i = 0; i < write->entries_n; i++) coracle_raft_entry_unref(write->entries[i]);
  free(write->entries);
  free(write->snapshot);
}

static void free_volatile(struct server *server) {
  coracle_raft_free(server->raft);
  server->raft = NULL;
  for (struct disk_write *write; (write = queue_at(&server->writes, 0)) != NULL; queue_pop(&server->writes))
    drop_write(write);
  queue_close(&server->writes);
  letters_close(&server->held);
  machine_close(&server->machine);
}

void cluster_free(struct cluster *c) {
  for (size_t i = 0; i < c->servers_n; i++) {
    struct server *server = c->servers[i];
    free_volatile(server);
    for (size_t k = 0; k < server->durable_n; k++) coracle_raft_entry_unref(server->durable[k]);
    free(server->durable);
    free(server);
  }
  network_close(c);
  history_free(c->history);
  free(c->machines.hashes);
  free(c);
}

static void new_core(struct cluster *c, struct server *server) {
  server->writes = QUEUE_OF(struct disk_write);
  const struct coracle_raft_options options = {.id = server->id,
                                               .seed = random_next(&c->random),
                                               .heartbeat_ms = HEARTBEAT_MS,
                                               .election_timeout_ms = ELECTION_TIMEOUT_MS,
                                               .append_bytes_max = c->options.append_bytes_max,
                                               .inflight_bytes_max = c->options.inflight_bytes_max,
                                               .uncommitted_bytes_max = c->options.uncommitted_bytes_max,
                                               .trailing_bytes = c->options.trailing_bytes,
                                               .chunk_bytes_max = c->options.chunk_bytes_max};
  assert_int_equal(coracle_raft_new(&options, &server->raft), 0);
  machine_restart(server, &server->durable_state);
  server->snapshot_seen = server->durable_snapshot.index;
}

static uint64_t start(struct cluster *c, const struct coracle_raft_configuration *founding) {
  struct server *server = calloc(1, sizeof *server);
  assert(server != NULL && c->servers_n < SERVERS_MAX);
  server->id = c->servers_n + 1;
  server->durable_first = 1;
  new_core(c, server);
  c->servers[c->servers_n++] = server;
  struct coracle_raft_event event = {.type = CORACLE_RAFT_START, .start = {.founding = founding}};
  assert_int_equal(cluster_step(c, server->id, &event), 0);
  return server->id;
}

uint64_t cluster_add(struct cluster *c) {
  return start(c, NULL);
}

uint64_t cluster_found(struct cluster *c) {
  const struct coracle_raft_configuration founding = {.members_n = 1,
                                                      .members = {{.id = c->servers_n + 1, .voter = true}}};
  return start(c, &founding);
}

struct cluster *cluster_with(size_t servers, const struct cluster_options *options) {
  struct cluster *c = cluster_new(options);
  uint64_t leader = cluster_found(c);
  cluster_run(c, 1);
  struct coracle_raft_configuration next =
      *coracle_raft_latest_configuration(cluster_server(c, leader)->raft);
  while (next.members_n < servers)
    next.members[next.members_n++] = (struct coracle_raft_member){.id = cluster_add(c)};
  if (servers > 1) assert_int_equal(cluster_change(c, leader, &next), 0);
  cluster_run(c, 4 * HEARTBEAT_MS);
  for (uint64_t id = 1; id <= servers; id++)
    CLUSTER_CHECK(c, cluster_is_voter(c, leader, id), "server %d did not become a voter", (int)id);
  assert_int_equal(cluster_converge(c, 1), leader);
  return c;
}

struct cluster *cluster_of(size_t servers, uint64_t seed) {
  return cluster_with(servers, &(struct cluster_options){.seed = seed});
}

/* ---- Servers ---- */

struct server *cluster_server(const struct cluster *c, uint64_t id) {
  assert(id > 0 && id <= c->servers_n);
  return c->servers[id - 1];
}

static void ask_disk(struct server *server, const struct coracle_raft_effects *effects) {
  if (effects->persist.sequence == 0) return;
  struct disk_write *write = queue_push(&server->writes);
  *write = (struct disk_write){.sequence = effects->persist.sequence,
                               .vote_changed = effects->persist.vote_changed,
                               .term = effects->persist.term,
                               .voted_for = effects->persist.voted_for,
                               .truncate_from = effects->persist.truncate_from,
                               .entries_n = effects->persist.entries_n,
                               .installs = effects->persist.chunk.installs,
                               .keep_log = effects->persist.chunk.keep_log,
                               .installed = server->machine.state};
  if (effects->persist.chunk.snapshot != NULL) {
    write->snapshot = malloc(sizeof *write->snapshot);
    assert(write->snapshot != NULL);
    *write->snapshot = *effects->persist.chunk.snapshot;
    write->snapshot_bytes = effects->persist.chunk.offset + effects->persist.chunk.n;
  }
  if (write->entries_n == 0) return;
  write->entries = calloc(write->entries_n, sizeof(struct coracle_raft_entry *));
  assert(write->entries != NULL);
  for (size_t i = 0; i < write->entries_n; i++)
    write->entries[i] = coracle_raft_entry_ref(effects->persist.entries[i]);
}

bool cluster_same_status(const struct coracle_raft_status *a, const struct coracle_raft_status *b) {
  for (size_t i = 0; i < a->peers_n && i < b->peers_n; i++) {
    const struct coracle_raft_peer_status *p = &a->peers[i], *q = &b->peers[i];
    if (p->id != q->id || p->voter != q->voter || p->link != q->link || p->match != q->match ||
        p->snapshot_index != q->snapshot_index || p->snapshot_bytes != q->snapshot_bytes ||
        p->last_contact_ms != q->last_contact_ms)
      return false;
  }
  return a->role == b->role && a->voter == b->voter && a->term == b->term && a->voted_for == b->voted_for &&
         a->leader == b->leader && a->hears_leader == b->hears_leader &&
         a->leader_since_ms == b->leader_since_ms && a->first_index == b->first_index &&
         a->last_index == b->last_index && a->commit_index == b->commit_index &&
         a->leader_commit == b->leader_commit && a->configuration_index == b->configuration_index &&
         a->configuration_committed == b->configuration_committed &&
         a->committed_own_term == b->committed_own_term && a->blocked_by == b->blocked_by &&
         memcmp(&a->counters, &b->counters, sizeof a->counters) == 0 && a->peers_n == b->peers_n;
}

int cluster_step(struct cluster *c, uint64_t id, struct coracle_raft_event *event) {
  struct server *server = cluster_server(c, id);
  struct coracle_raft_effects effects;
  struct coracle_raft_status before;
  CLUSTER_CHECK(c, server->raft != NULL, "server %d is dead", (int)id);
  c->steps++;
  event->now_ms = c->now_ms;
  coracle_raft_status(server->raft, c->now_ms, &before);
  server->own_term = 0;
  if (event->type == CORACLE_RAFT_RECEIVE && event->message->type == CORACLE_RAFT_SNAPSHOT &&
      event->message->snapshot.snapshot != NULL)
    server->own_term = cluster_term_at(c, id, event->message->snapshot.snapshot->index);
  int error = coracle_raft_step(server->raft, event, &effects);
  coracle_raft_status(server->raft, c->now_ms, &server->status);
  if (error != 0) {
    CLUSTER_CHECK(c, cluster_same_status(&before, &server->status), "a step that failed changed server %d",
                  (int)id);
    return error;
  }
  const bool due = event->type == CORACLE_RAFT_TIMEOUT && server->wakeup_ms <= c->now_ms;
  server->wakeup_ms = effects.wakeup_ms;
  CLUSTER_CHECK(c, !due || server->wakeup_ms > c->now_ms, "server %d wants to be woken at once again",
                (int)id);
  c->truncations += effects.persist.truncate_from != 0;
  if (before.role != CORACLE_RAFT_LEADER && server->status.role == CORACLE_RAFT_LEADER)
    c->transfers += server->asked_to_lead;
  for (size_t i = 0; i < effects.messages_n; i++)
    if (effects.messages[i].type == CORACLE_RAFT_VOTE_REQUEST)
      server->asked_to_lead = effects.messages[i].vote_request.transfer;
  c->installations += effects.persist.chunk.installs;
  machine_step(c, server, &effects);
  for (size_t i = 0; i < effects.reads_n; i++) c->reads_ready += !effects.reads[i].failed;
  ask_disk(server, &effects);
  if (event->type == CORACLE_RAFT_START && event->start.restored != NULL)
    history_restarted(c, server, &effects);
  else
    history_stepped(c->history, c, server, &before, &effects);
  server->snapshot_seen = coracle_raft_snapshot(server->raft)->index;
  if (c->watch != NULL) c->watch(c->watcher, c, server, event, &before, &effects);
  for (size_t i = 0; i < effects.messages_n; i++) network_post(c, server, &effects.messages[i]);
  if (before.role == CORACLE_RAFT_LEADER && server->status.role != CORACLE_RAFT_LEADER) {
    c->step_downs[server->status.stepped_down]++;
    network_server_gone(c, id, false);
  }
  return 0;
}

int cluster_timeout(struct cluster *c, uint64_t id) {
  return cluster_step(c, id, &(struct coracle_raft_event){.type = CORACLE_RAFT_TIMEOUT});
}

int cluster_campaign(struct cluster *c, uint64_t id) {
  return cluster_step(c, id, &(struct coracle_raft_event){.type = CORACLE_RAFT_CAMPAIGN});
}

int cluster_receive(struct cluster *c, uint64_t id, const struct coracle_raft_message *message) {
  return cluster_step(c, id, &(struct coracle_raft_event){.type = CORACLE_RAFT_RECEIVE, .message = message});
}

int cluster_propose(struct cluster *c, uint64_t id, size_t bytes) {
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, bytes);
  assert(entry != NULL);
  for (size_t i = 0; i < bytes; i++) entry->data[i] = (uint8_t)(c->steps >> (8 * (i % 8)));
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PROPOSE, .propose = {&entry, 1}};
  int error = cluster_step(c, id, &event);
  if (error != 0) coracle_raft_entry_unref(entry);
  return error;
}

int cluster_change(struct cluster *c, uint64_t id, const struct coracle_raft_configuration *configuration) {
  struct coracle_raft_event event = {.type = CORACLE_RAFT_CONF_CHANGE, .configuration = configuration};
  return cluster_step(c, id, &event);
}

int cluster_transfer(struct cluster *c, uint64_t id, uint64_t target) {
  return cluster_step(c, id, &(struct coracle_raft_event){.type = CORACLE_RAFT_TRANSFER, .peer = target});
}

int cluster_read(struct cluster *c, uint64_t id, uint64_t *read) {
  *read = history_read_begins(c->history, id);
  struct coracle_raft_event event = {.type = CORACLE_RAFT_READ, .read = *read};
  int error = cluster_step(c, id, &event);
  if (error != 0) history_read_refused(c->history, *read);
  return error;
}

enum read_outcome cluster_read_outcome(const struct cluster *c, uint64_t read, uint64_t *index) {
  return history_read_outcome(c->history, read, index);
}

size_t cluster_reads_waiting(const struct cluster *c) {
  return history_reads_waiting(c->history);
}

int cluster_add_member(struct cluster *c, uint64_t leader, uint64_t id) {
  struct coracle_raft_configuration next =
      *coracle_raft_latest_configuration(cluster_server(c, leader)->raft);
  assert(next.members_n < CORACLE_RAFT_MEMBERS_MAX);
  next.members[next.members_n++] = (struct coracle_raft_member){.id = id};
  return cluster_change(c, leader, &next);
}

int cluster_remove_member(struct cluster *c, uint64_t leader, uint64_t id) {
  struct coracle_raft_configuration next =
      *coracle_raft_latest_configuration(cluster_server(c, leader)->raft);
  struct coracle_raft_member *member = coracle_raft_configuration_find(&next, id);
  assert_non_null(member);
  *member = next.members[--next.members_n];
  return cluster_change(c, leader, &next);
}

void cluster_crash(struct cluster *c, uint64_t id) {
  network_server_gone(c, id, true);
  free_volatile(cluster_server(c, id));
  history_crashed(c->history, id);
}

uint64_t cluster_leader(const struct cluster *c) {
  const struct server *leader = NULL;
  for (size_t i = 0; i < c->servers_n; i++) {
    const struct server *server = c->servers[i];
    if (server->raft != NULL && server->status.role == CORACLE_RAFT_LEADER &&
        (leader == NULL || server->status.term > leader->status.term))
      leader = server;
  }
  return leader != NULL ? leader->id : 0;
}

uint64_t cluster_term_at(const struct cluster *c, uint64_t id, uint64_t index) {
  const struct coracle_raft_entry *entry = coracle_raft_entry_at(cluster_server(c, id)->raft, index);
  return entry != NULL ? entry->term : 0;
}

bool cluster_is_voter(const struct cluster *c, uint64_t id, uint64_t member) {
  const struct coracle_raft_configuration *configuration =
      coracle_raft_latest_configuration(cluster_server(c, id)->raft);
  const struct coracle_raft_member *found = coracle_raft_configuration_find(configuration, member);
  return found != NULL && found->voter;
}

/* ---- Disks ---- */

uint64_t cluster_durable_last(const struct server *server) {
  const uint64_t last = server->durable_first + server->durable_n - 1;
  return last > server->durable_snapshot.index ? last : server->durable_snapshot.index;
}

bool cluster_is_durable(const struct cluster *c, const struct server *server, uint64_t index, uint64_t term) {
  if (index > 0 && index <= server->durable_snapshot.index)
    return history_committed_term(c->history, index) == term;
  if (index < server->durable_first || index - server->durable_first >= server->durable_n) return false;
  return server->durable[index - server->durable_first]->term == term;
}

static void drop_durable_to(struct server *server, uint64_t index) {
  size_t n = 0;
  while (n < server->durable_n && server->durable_first + n <= index)
    coracle_raft_entry_unref(server->durable[n++]);
  server->durable_n -= n;
  if (n > 0) memmove(server->durable, server->durable + n, server->durable_n * sizeof *server->durable);
  server->durable_first += n;
}

void cluster_snapshot_durable(struct cluster *c, struct server *server,
                              const struct coracle_raft_snapshot *snapshot,
                              const struct machine_state *state) {
  CLUSTER_CHECK(c, cluster_is_durable(c, server, snapshot->index, snapshot->term),
                "server %d took a snapshot of what is not durable", (int)server->id);
  server->durable_snapshot = *snapshot;
  server->durable_state = *state;
  drop_durable_to(server, server->status.first_index - 1);
}

static void make_chunk_durable(struct server *server, const struct disk_write *write) {
  server->incoming_index = write->snapshot->index;
  server->incoming_bytes = write->snapshot_bytes;
  if (!write->installs) return;
  drop_durable_to(server, write->keep_log ? write->snapshot->index : UINT64_MAX);
  server->durable_first = write->snapshot->index + 1;
  server->durable_snapshot = *write->snapshot;
  server->durable_state = write->installed;
}

static void make_durable(struct cluster *c, struct server *server, struct disk_write *write) {
  if (write->vote_changed) {
    CLUSTER_CHECK(c,
                  write->term > server->durable_term ||
                      (write->term == server->durable_term &&
                       (server->durable_vote == 0 || write->voted_for == server->durable_vote)),
                  "server %d writes another vote of term %d", (int)server->id, (int)write->term);
    server->durable_term = write->term;
    server->durable_vote = write->voted_for;
  }
  while (write->truncate_from != 0 && server->durable_n > 0 &&
         server->durable_first + server->durable_n > write->truncate_from)
    coracle_raft_entry_unref(server->durable[--server->durable_n]);
  if (write->snapshot != NULL) make_chunk_durable(server, write);
  for (size_t i = 0; i < write->entries_n; i++) {
    CLUSTER_CHECK(c, write->entries[i]->index == server->durable_first + server->durable_n,
                  "a gap in the log on server %d's disk", (int)server->id);
    if (server->durable_n == server->durable_capacity) {
      server->durable_capacity = server->durable_capacity > 0 ? server->durable_capacity * 2 : 64;
      server->durable =
          realloc(server->durable, server->durable_capacity * sizeof(struct coracle_raft_entry *));
      assert(server->durable != NULL);
    }
    server->durable[server->durable_n++] = coracle_raft_entry_ref(write->entries[i]);
  }
  server->durable_sequence = write->sequence;
}

static void complete_write(struct cluster *c, struct server *server) {
  struct disk_write *write = queue_at(&server->writes, 0);
  make_durable(c, server, write);
  drop_write(write);
  queue_pop(&server->writes);
}

void cluster_sync_to(struct cluster *c, uint64_t id, uint64_t sequence) {
  struct server *server = cluster_server(c, id);
  for (const struct disk_write *write;
       (write = queue_at(&server->writes, 0)) != NULL && write->sequence <= sequence;)
    complete_write(c, server);
  struct coracle_raft_event event = {.type = CORACLE_RAFT_PERSISTED, .persisted = server->durable_sequence};
  assert_int_equal(cluster_step(c, id, &event), 0);
  network_release(c, server);
}

void cluster_sync(struct cluster *c, uint64_t id) {
  const struct server *server = cluster_server(c, id);
  if (server->writes.n > 0)
    cluster_sync_to(c, id, ((struct disk_write *)queue_at(&server->writes, server->writes.n - 1))->sequence);
}

void cluster_crash_after(struct cluster *c, uint64_t id, size_t writes) {
  struct server *server = cluster_server(c, id);
  while (writes-- > 0 && server->writes.n > 0) complete_write(c, server);
  cluster_crash(c, id);
}

void cluster_restart(struct cluster *c, uint64_t id) {
  struct server *server = cluster_server(c, id);
  assert(server->raft == NULL);
  const struct coracle_raft_restored restored = {
      .term = server->durable_term,
      .voted_for = server->durable_vote,
      .snapshot = server->durable_snapshot.index > 0 ? &server->durable_snapshot : NULL,
      .entries = server->durable,
      .entries_n = server->durable_n};
  struct coracle_raft_event event = {.type = CORACLE_RAFT_START, .start = {.restored = &restored}};
  new_core(c, server);
  server->durable_sequence = 0;
  server->disk_held = false;
  assert_int_equal(cluster_step(c, id, &event), 0);
}

void cluster_hold_disk(struct cluster *c, uint64_t id, bool hold) {
  cluster_server(c, id)->disk_held = hold;
}

static bool sync_one(struct cluster *c) {
  for (size_t i = 0; i < c->servers_n; i++) {
    const struct server *server = c->servers[i];
    if (server->raft == NULL || server->disk_held || server->writes.n == 0) continue;
    cluster_sync(c, server->id);
    return true;
  }
  return false;
}

/* ---- Letting things happen ---- */

static bool answer_one(struct cluster *c) {
  for (size_t i = 0; i < c->servers_n; i++)
    if (cluster_answer_chunk(c, c->servers[i]->id)) return true;
  return false;
}

void cluster_settle(struct cluster *c) {
  for (size_t n = 0; sync_one(c) || answer_one(c) || network_move(c); n++)
    CLUSTER_CHECK(c, n < SETTLE_MAX, "the messages never end");
}

static void fire_timeouts(struct cluster *c) {
  for (size_t i = 0; i < c->servers_n; i++) {
    const struct server *server = c->servers[i];
    if (server->raft == NULL || server->wakeup_ms > c->now_ms) continue;
    assert_int_equal(cluster_timeout(c, server->id), 0);
  }
}

void cluster_run(struct cluster *c, uint64_t ms) {
  cluster_settle(c);
  while (ms-- > 0) {
    c->now_ms++;
    fire_timeouts(c);
    cluster_settle(c);
  }
}

static bool is_converged(const struct cluster *c, uint64_t leader) {
  if (leader == 0) return false;
  const struct coracle_raft_status *leads = &cluster_server(c, leader)->status;
  if (leads->commit_index != leads->last_index || !leads->committed_own_term) return false;
  for (size_t i = 0; i < leads->peers_n; i++) {
    const struct server *server = cluster_server(c, leads->peers[i].id);
    if (server->raft == NULL) continue;
    if (server->status.term != leads->term || server->status.leader != leader ||
        server->status.last_index != leads->last_index || server->status.commit_index != leads->last_index)
      return false;
  }
  return true;
}

uint64_t cluster_converge(struct cluster *c, uint64_t election_timeouts) {
  const uint64_t deadline_ms = c->now_ms + election_timeouts * ELECTION_TIMEOUT_MS;
  cluster_settle(c);
  while (!is_converged(c, cluster_leader(c))) {
    CLUSTER_CHECK(c, c->now_ms < deadline_ms, "no convergence: server %d leads", (int)cluster_leader(c));
    cluster_run(c, 1);
  }
  return cluster_leader(c);
}
