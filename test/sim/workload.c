/* Clients: each asks one thing at a time, of any node, and notes when it asked and what it was told. A write
 * with an idempotency key whose outcome it does not know it asks for again, of any node, until it is told:
 * that is one operation, from when it was asked for first. */
#include "workload.h"

enum {
  PATIENCE_MS = 3000,
  IMPATIENCE_MS = 200, /* of some who have a key: what they asked for is under way yet when they ask again */
};

/* ---- Asking ---- */

/* A sole node is established by the first write; else nobody writes before there is a cluster that cannot
 * yield any more. */
static bool may_be_asked(struct sim *s, int node) {
  struct join_situation situation;
  if (!world_is_running(s->world, node) || world_is_paused(s->world, node)) return false;
  if (s->plan.nodes > 1) return sim_in_main(s, node);
  consensus_situation(world_node(s->world, node), &situation);
  return situation.raft.role == CORACLE_RAFT_LEADER;
}

/* Whatever the node, and however often. */
static void send(struct sim *s, struct worker *worker) {
  workload_send(worker);
  s->counts[COUNT_RESENT] += worker->again;
  worker->asking = true;
  worker->again = false;
  worker->asked_ms = world_now_ms(s->world);
  worker->patience_ms = PATIENCE_MS;
  if (worker->has_key && sim_dice(s, 4) == 0) worker->patience_ms = sim_dice(s, IMPATIENCE_MS);
}

static void ask(struct sim *s, struct worker *worker) {
  workload_draw(s, worker);
  send(s, worker);
  for (size_t i = 0; i < worker->parts_n; i++)
    worker->parts[i].recorded = client_history_invoke(s->history, (uint64_t)(worker - s->workers),
                                                      s->world->now_us, &worker->parts[i].operation);
  s->counts[COUNT_REQUESTS]++;
}

/* ---- Answers ---- */

static void finish_part(struct sim *s, const struct asked_part *part, const struct client_result *result) {
  client_history_return(s->history, part->recorded, s->world->now_us, result);
  if (result->outcome != CLIENT_OK) return;
  if (result->revision > 0) s->revisions[part->document] = result->revision;
  if (part->operation.method != CLIENT_GET) s->written = true;
}

static void finish(struct sim *s, struct worker *worker, enum workload_verdict verdict,
                   const struct client_result results[PARTS_MAX]) {
  for (size_t i = 0; i < worker->parts_n; i++) finish_part(s, &worker->parts[i], &results[i]);
  s->counts[COUNT_ANSWERED] += verdict == WORKLOAD_DECIDED;
  worker->asking = worker->again = false;
  worker->next_ms = world_now_ms(s->world) + sim_wait_ms(s, s->plan.think_ms);
}

/* One that is in doubt is asked for again until it is decided; one that was refused perhaps. */
static void finish_or_retry(struct sim *s, struct worker *worker, enum workload_verdict verdict,
                            const struct client_result results[PARTS_MAX]) {
  enum { RETRY_MS = 50 };
  worker->in_doubt |= verdict == WORKLOAD_UNKNOWN;
  if (!worker->has_key || verdict == WORKLOAD_DECIDED || (!worker->in_doubt && sim_dice(s, 2) == 0)) {
    finish(s, worker, verdict, results);
    return;
  }
  worker->asking = false;
  worker->again = true;
  worker->next_ms = world_now_ms(s->world) + sim_wait_ms(s, RETRY_MS);
}

static void give_up(struct sim *s, struct worker *worker) {
  static const struct client_result unknown[PARTS_MAX];
  finish(s, worker, WORKLOAD_UNKNOWN, unknown);
}

static void hang_up(struct worker *worker) {
  if (worker->open) client_close(&worker->client);
  worker->open = false;
}

/* A connection that ends without an answer, or too long without one, leaves it open what happened. */
static void look_for_answer(struct sim *s, struct worker *worker) {
  static const struct client_result unknown[PARTS_MAX];
  struct client_result results[PARTS_MAX];
  struct client *client = &worker->client;
  if (client_answers(client) == client->asked.n) {
    const struct answer_seen *answer = queue_at(&client->answers, client->answers.n - 1);
    const int status = answer->status;
    const enum workload_verdict verdict = workload_read(s, worker, answer, results);
    finish_or_retry(s, worker, verdict, results);
    if (status >= 300 || client->wire->ended || sim_dice(s, 4) == 0) hang_up(worker);
    return;
  }
  if (!client->wire->ended && world_now_ms(s->world) - worker->asked_ms < worker->patience_ms) return;
  finish_or_retry(s, worker, WORKLOAD_UNKNOWN, unknown);
  hang_up(worker);
}

static void begin(struct sim *s, struct worker *worker) {
  const int leader = world_leader(s->world);
  int node = (int)sim_dice(s, (uint64_t)s->plan.nodes);
  worker->next_ms = world_now_ms(s->world) + sim_wait_ms(s, s->plan.think_ms);
  if (leader >= 0 && sim_dice(s, 2) == 0) node = leader;
  if (worker->open && (worker->client.wire->ended || !may_be_asked(s, worker->client.node))) hang_up(worker);
  if (!worker->open) {
    if (!may_be_asked(s, node)) return;
    client_open(&worker->client, s->world, node);
    /* Who is there by then, if it is another one, may found a cluster of its own: a write would be lost
     * there. */
    worker->client.wire->end->connection->incarnation = s->world->processes[node].incarnation;
    worker->open = true;
  }
  if (worker->again)
    send(s, worker);
  else
    ask(s, worker);
}

/* ---- Time ---- */

enum { LOOK_MS = 2 };

void workload_due(struct sim *s) {
  for (int i = 0; i < s->plan.clients; i++) {
    struct worker *worker = &s->workers[i];
    if (worker->asking)
      look_for_answer(s, worker);
    else if ((worker->again || !s->ending) && world_now_ms(s->world) >= worker->next_ms)
      begin(s, worker);
  }
}

uint64_t workload_next_ms(const struct sim *s) {
  uint64_t next_ms = UINT64_MAX;
  for (int i = 0; i < s->plan.clients; i++) {
    const struct worker *worker = &s->workers[i];
    const uint64_t at_ms = worker->asking ? world_now_ms(s->world) + LOOK_MS : worker->next_ms;
    if (at_ms < next_ms) next_ms = at_ms;
  }
  return next_ms;
}

bool workload_owes(const struct sim *s) {
  for (int i = 0; i < s->plan.clients; i++)
    if (s->workers[i].again || (s->workers[i].asking && s->workers[i].has_key)) return true;
  return false;
}

void workload_end(struct sim *s) {
  for (int i = 0; i < s->plan.clients; i++) {
    struct worker *worker = &s->workers[i];
    if (worker->asking || worker->again) give_up(s, worker);
    hang_up(worker);
    bytes_close(&worker->headers);
    bytes_close(&worker->body);
  }
}

void workload_check(struct sim *s) {
  struct client_report report;
  client_history_check(s->history, CLIENT_CONFIGURATIONS_MAX, &report);
  if (report.verdict != CLIENT_LINEARIZABLE)
    world_fail(s->world, "%s:\n%s",
               report.verdict == CLIENT_VIOLATION
                   ? "what clients saw is not linearizable"
                   : "it cannot be decided whether what clients saw is linearizable",
               report.text);
  client_report_close(&report);
}
