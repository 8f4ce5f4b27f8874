/* Clients: each asks one thing at a time, of any node, and notes when it asked and what it was told. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 3000 };

static const char COLLECTION[] = "c";

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

static void draw_operation(struct sim *s, struct worker *worker) {
  const int key = (int)sim_dice(s, (uint64_t)s->plan.keys);
  const uint64_t kind = sim_dice(s, 100);
  struct client_operation *asked = &worker->asked;
  snprintf(worker->document, sizeof worker->document, "%s/k%d", COLLECTION, key);
  *asked = (struct client_operation){.document = worker->document};
  if (kind < 40) {
    asked->method = CLIENT_GET;
    return;
  }
  asked->method = kind < 75 ? CLIENT_PUT : kind < 87 ? CLIENT_CREATE : CLIENT_DELETE;
  if (asked->method != CLIENT_DELETE) asked->value = ++s->values;
  if (asked->method == CLIENT_CREATE || sim_dice(s, 100) < 60) return;
  const uint64_t condition = sim_dice(s, 10);
  if (condition < 6)
    asked->if_match = s->revisions[key];
  else if (condition < 8)
    asked->if_match_any = true;
  else if (asked->method == CLIENT_PUT)
    asked->if_none_match_any = true;
}

static void send_operation(struct worker *worker) {
  const struct client_operation *asked = &worker->asked;
  const char *id = strchr(worker->document, '/') + 1;
  char target[64], body[96], condition[64] = "";
  snprintf(target, sizeof target, "/v1/collections/%s", worker->document);
  snprintf(body, sizeof body, "{\"id\":\"%s\",\"v\":%" PRIu64 "}", id, asked->value);
  if (asked->if_match != 0)
    snprintf(condition, sizeof condition, "If-Match: \"%" PRIu64 "\"\r\n", asked->if_match);
  if (asked->if_match_any) snprintf(condition, sizeof condition, "If-Match: *\r\n");
  if (asked->if_none_match_any) snprintf(condition, sizeof condition, "If-None-Match: *\r\n");
  switch (asked->method) {
  case CLIENT_GET:
    client_ask(&worker->client, "GET", target, NULL);
    return;
  case CLIENT_PUT:
    client_ask_if(&worker->client, "PUT", target, body, condition);
    return;
  case CLIENT_CREATE:
    snprintf(target, sizeof target, "/v1/collections/%s", COLLECTION);
    client_ask(&worker->client, "POST", target, body);
    return;
  case CLIENT_DELETE:
    client_ask_if(&worker->client, "DELETE", target, NULL, condition);
    return;
  }
}

static void ask(struct sim *s, struct worker *worker) {
  struct world *w = s->world;
  draw_operation(s, worker);
  send_operation(worker);
  worker->asking = true;
  worker->asked_ms = world_now_ms(w);
  worker->operation =
      client_history_invoke(s->history, (uint64_t)(worker - s->workers), w->now_us, &worker->asked);
  s->operations++;
}

/* ---- Answers ---- */

static uint64_t number_after(const char *text, const char *before) {
  const char *at = text != NULL ? strstr(text, before) : NULL;
  return at != NULL ? strtoull(at + strlen(before), NULL, 10) : 0;
}

static struct client_result result_of(const struct worker *worker, const struct answer_seen *answer) {
  const char *body = (const char *)answer->body.data;
  const struct client_operation *asked = &worker->asked;
  struct client_result result = {.outcome = CLIENT_REFUSED};
  switch (answer->status) {
  case 200:
  case 201:
    result.outcome = CLIENT_OK;
    result.revision = number_after(answer_header(answer, "ETag"), "\"");
    if (asked->method == CLIENT_GET) result.value = number_after(body, "\"v\":");
    break;
  case 204:
    result.outcome = CLIENT_OK;
    break;
  case 404:
    result.outcome = CLIENT_NOT_FOUND;
    break;
  case 409:
    result.outcome = CLIENT_CONFLICT;
    break;
  case 412:
    result.outcome = CLIENT_PRECONDITION_FAILED;
    result.value = number_after(body, "\"v\":");
    break;
  case 504:
    result.outcome = CLIENT_UNKNOWN;
    break;
  default:
    break;
  }
  return result;
}

static void finish(struct sim *s, struct worker *worker, struct client_result result) {
  const int key = worker->document[strlen(worker->document) - 1] - '0';
  client_history_return(s->history, worker->operation, s->world->now_us, &result);
  if (result.outcome == CLIENT_OK && result.revision > 0) s->revisions[key] = result.revision;
  if (result.outcome == CLIENT_OK && worker->asked.method != CLIENT_GET) s->written = true;
  s->completed += result.outcome != CLIENT_UNKNOWN && result.outcome != CLIENT_REFUSED;
  worker->asking = false;
  worker->next_ms = world_now_ms(s->world) + sim_wait_ms(s, s->plan.think_ms);
}

static void hang_up(struct worker *worker) {
  if (worker->open) client_close(&worker->client);
  worker->open = false;
}

/* A connection that ends without an answer, or too long without one, leaves it open what happened. */
static void look_for_answer(struct sim *s, struct worker *worker) {
  struct client *client = &worker->client;
  if (client_answers(client) == client->asked.n) {
    const struct answer_seen *answer = queue_at(&client->answers, client->answers.n - 1);
    const int status = answer->status;
    finish(s, worker, result_of(worker, answer));
    if (status >= 300 || client->wire->ended || sim_dice(s, 4) == 0) hang_up(worker);
    return;
  }
  if (!client->wire->ended && world_now_ms(s->world) - worker->asked_ms < PATIENCE_MS) return;
  finish(s, worker, (struct client_result){.outcome = CLIENT_UNKNOWN});
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
  ask(s, worker);
}

/* ---- Time ---- */

enum { LOOK_MS = 2 };

void workload_due(struct sim *s) {
  for (int i = 0; i < s->plan.clients; i++) {
    struct worker *worker = &s->workers[i];
    if (worker->asking)
      look_for_answer(s, worker);
    else if (!s->ending && world_now_ms(s->world) >= worker->next_ms)
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

void workload_end(struct sim *s) {
  for (int i = 0; i < s->plan.clients; i++) {
    struct worker *worker = &s->workers[i];
    if (worker->asking) finish(s, worker, (struct client_result){.outcome = CLIENT_UNKNOWN});
    hang_up(worker);
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
