/* A counter that outlives its leader: three servers of one Raft cluster in one process, to show how
 * coracle/raft.h is embedded. docs/library.md walks through it.
 *
 *     counter [SEED]
 *
 * Messages are handed over in memory, storage is pretended, and time is a number that leaps to whatever comes
 * next, so a seed gives the same run every time. Exit status: 0 if no count was lost. */
#include <coracle/raft.h>

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { SERVERS = 3, HEARTBEAT_MS = 20, ELECTION_TIMEOUT_MS = 100, QUEUE_MAX = 256 };

struct server {
  struct coracle_raft *raft; /* NULL: it is gone */
  uint64_t wakeup_ms;        /* when it wants to be stepped next */
  uint64_t applied;          /* index of the last entry that the counter has seen */
  unsigned counter;          /* the state machine */
};

static struct server servers[SERVERS + 1]; /* by id, from 1 */
static struct coracle_raft_message queue[QUEUE_MAX];
static size_t queue_first, queue_n;
static uint64_t now_ms;

static void check(int error) {
  if (error == 0) return;
  fprintf(stderr, "counter: %s\n", coracle_raft_strerror(error));
  exit(1);
}

/* A message is the core's until its next step, and this one leaves later: keep what it points to. (Across a
 * network this is where its bytes are made. Nothing here takes snapshots, so none are sent.) */
static void post(struct coracle_raft_message message) {
  if (message.type == CORACLE_RAFT_APPEND) {
    const size_t bytes = message.append.entries_n * sizeof *message.append.entries;
    struct coracle_raft_entry **kept = malloc(bytes + 1);
    check(kept != NULL ? 0 : CORACLE_RAFT_ENOMEM);
    for (size_t i = 0; i < message.append.entries_n; i++)
      kept[i] = coracle_raft_entry_ref(message.append.entries[i]);
    message.append.entries = kept;
  }
  check(queue_n < QUEUE_MAX ? 0 : CORACLE_RAFT_EBUSY);
  queue[(queue_first + queue_n++) % QUEUE_MAX] = message;
}

/* An event goes in, and its effects are carried out. */
static void step(uint64_t id, struct coracle_raft_event event) {
  struct server *server = &servers[id];
  struct coracle_raft_effects effects;
  event.now_ms = now_ms;
  check(coracle_raft_step(server->raft, &event, &effects));

  server->wakeup_ms = effects.wakeup_ms;
  for (size_t i = 0; i < effects.messages_n; i++) post(effects.messages[i]);
  while (server->applied < effects.commit_index) { /* each server counts what is committed, in order, once */
    const struct coracle_raft_entry *entry = coracle_raft_entry_at(server->raft, ++server->applied);
    if (entry->type == CORACLE_RAFT_COMMAND) server->counter += entry->data[0];
  }
  /* Here a real server writes effects.persist to its disk, and only then says so. Nothing posted above is
   * delivered before, so what a message rests on (after_sequence) is always "durable" in time. */
  if (effects.persist.sequence == 0) return;
  step(id,
       (struct coracle_raft_event){.type = CORACLE_RAFT_PERSISTED, .persisted = effects.persist.sequence});
}

/* The id of the server that leads, and its status; 0 if there is none. */
static uint64_t leader(struct coracle_raft_status *status) {
  for (uint64_t id = 1; id <= SERVERS; id++) {
    if (servers[id].raft == NULL) continue;
    coracle_raft_status(servers[id].raft, now_ms, status);
    if (status->role == CORACLE_RAFT_LEADER) return id;
  }
  return 0;
}

/* A leader opens a stream to every member that has none; both ends are told. */
static void open_streams(void) {
  struct coracle_raft_status status;
  const uint64_t from = leader(&status);
  for (size_t i = 0; from != 0 && i < status.peers_n; i++) {
    const uint64_t to = status.peers[i].id;
    if (status.peers[i].link || servers[to].raft == NULL) continue;
    step(to, (struct coracle_raft_event){.type = CORACLE_RAFT_LINK_UP, .peer = from});
    step(from, (struct coracle_raft_event){.type = CORACLE_RAFT_LINK_UP, .peer = to});
  }
}

static void deliver(void) {
  struct coracle_raft_message message = queue[queue_first];
  queue_first = (queue_first + 1) % QUEUE_MAX;
  queue_n--;
  if (servers[message.to].raft != NULL)
    step(message.to, (struct coracle_raft_event){.type = CORACLE_RAFT_RECEIVE, .message = &message});
  if (message.type != CORACLE_RAFT_APPEND) return;
  for (size_t i = 0; i < message.append.entries_n; i++) coracle_raft_entry_unref(message.append.entries[i]);
  free(message.append.entries);
}

/* The loop that an application has anyway: messages as they come, timers when it is time. */
static void run_for(uint64_t duration_ms) {
  const uint64_t end_ms = now_ms + duration_ms;
  for (uint64_t next = 1; next != 0;) {
    for (open_streams(); queue_n > 0; open_streams()) deliver();
    next = 0;
    uint64_t at_ms = end_ms;
    for (uint64_t id = 1; id <= SERVERS; id++)
      if (servers[id].raft != NULL && servers[id].wakeup_ms < at_ms) at_ms = servers[next = id].wakeup_ms;
    if (at_ms > now_ms) now_ms = at_ms;
    if (next != 0) step(next, (struct coracle_raft_event){.type = CORACLE_RAFT_TIMEOUT});
  }
}

/* Proposes some commands to the leader, and shows what has become of them. */
static void count(uint8_t from, uint8_t to) {
  struct coracle_raft_status status;
  const uint64_t id = leader(&status);
  check(id != 0 ? 0 : CORACLE_RAFT_ENOTLEADER);
  printf("%4" PRIu64 " ms: server %" PRIu64 " leads term %" PRIu64 " since %" PRIu64 " ms: add %u to %u\n",
         now_ms, id, status.term, status.leader_since_ms, from, to);
  for (uint8_t n = from; n <= to; n++) {
    struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 1);
    check(entry != NULL ? 0 : CORACLE_RAFT_ENOMEM);
    entry->data[0] = n;
    step(id, (struct coracle_raft_event){.type = CORACLE_RAFT_PROPOSE, .propose = {&entry, 1}});
  } /* the references are the core's now */
  run_for(50);
  printf("%4" PRIu64 " ms: the counters are", now_ms);
  for (uint64_t i = 1; i <= SERVERS; i++)
    if (servers[i].raft != NULL) printf(" %u", servers[i].counter);
  printf("\n");
}

int main(int argc, char **argv) {
  const uint64_t seed = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
  /* Server 1 founds the cluster alone; the others begin empty, and are added. */
  const struct coracle_raft_configuration one = {1, {{.id = 1, .voter = true}}};
  const struct coracle_raft_configuration all = {SERVERS, {{.id = 1, .voter = true}, {.id = 2}, {.id = 3}}};
  for (uint64_t id = 1; id <= SERVERS; id++) {
    const struct coracle_raft_options options = {.id = id,
                                                 .seed = seed * SERVERS + id,
                                                 .heartbeat_ms = HEARTBEAT_MS,
                                                 .election_timeout_ms = ELECTION_TIMEOUT_MS};
    check(coracle_raft_new(&options, &servers[id].raft));
    step(id, (struct coracle_raft_event){.type = CORACLE_RAFT_START, .start = {id == 1 ? &one : NULL, NULL}});
  }
  step(1, (struct coracle_raft_event){.type = CORACLE_RAFT_CONF_CHANGE, .configuration = &all});
  run_for(200);
  printf("%4" PRIu64 " ms: %" PRIu32 " servers vote\n", now_ms,
         coracle_raft_configuration_voters(coracle_raft_latest_configuration(servers[1].raft)));
  count(1, 4);

  printf("%4" PRIu64 " ms: server 1 is gone\n", now_ms);
  coracle_raft_free(servers[1].raft);
  servers[1].raft = NULL;
  for (uint64_t id = 2; id <= SERVERS; id++) /* whoever was connected to it notices */
    step(id, (struct coracle_raft_event){.type = CORACLE_RAFT_LINK_DOWN, .peer = 1});
  run_for(1000);
  count(5, 8);

  const bool kept = servers[2].counter == 36 && servers[3].counter == 36; /* 1 + 2 + ... + 8 */
  for (uint64_t id = 1; id <= SERVERS; id++) coracle_raft_free(servers[id].raft);
  return kept ? 0 : 1;
}
