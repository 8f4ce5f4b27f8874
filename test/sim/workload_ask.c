/* What a client asks: one document's operation, or a transaction over some, with a key or without. */
#include "workload.h"

#include <inttypes.h>
#include <stdio.h>

static const char COLLECTION[] = "c";

/* ---- Drawing ---- */

static bool is_drawn(struct sim *s, unsigned percent) {
  return percent > 0 && sim_dice(s, 100) < percent;
}

/* Of a write. */
static enum client_method draw_method(struct sim *s, uint64_t kind) {
  if (kind < 35) return is_drawn(s, s->plan.patches_percent) ? CLIENT_PATCH : CLIENT_PUT;
  return kind < 47 ? CLIENT_CREATE : CLIENT_DELETE;
}

static void draw_condition(struct sim *s, struct client_operation *asked, int document) {
  const uint64_t condition = sim_dice(s, 10);
  if (condition < 6)
    asked->if_match = s->revisions[document];
  else if (condition < 8)
    asked->if_match_any = true;
  else if (asked->method == CLIENT_PUT)
    asked->if_none_match_any = true;
}

static struct asked_part *add_part(struct worker *worker, int document, enum client_method method) {
  struct asked_part *part = &worker->parts[worker->parts_n++];
  part->document = document;
  snprintf(part->name, sizeof part->name, "%s/k%d", COLLECTION, document);
  part->operation = (struct client_operation){.method = method, .document = part->name};
  return part;
}

/* All documents that there may be. */
static void draw_drop(struct sim *s, struct worker *worker) {
  worker->is_drop = true;
  for (int i = 0; i < s->plan.keys; i++) add_part(worker, i, CLIENT_DROP);
}

static void draw_value(struct sim *s, struct asked_part *part) {
  const enum client_method method = part->operation.method;
  if (method != CLIENT_GET && method != CLIENT_DELETE) part->operation.value = ++s->values;
}

static void draw_one(struct sim *s, struct worker *worker) {
  const int document = (int)sim_dice(s, (uint64_t)s->plan.keys);
  const uint64_t kind = sim_dice(s, 100);
  struct asked_part *part = add_part(worker, document, kind < 40 ? CLIENT_GET : draw_method(s, kind - 40));
  const enum client_method method = part->operation.method;
  draw_value(s, part);
  if (method == CLIENT_GET || method == CLIENT_CREATE || sim_dice(s, 100) < 60) return;
  draw_condition(s, &part->operation, document);
}

/* Documents that stand beside each other. */
static void draw_transaction(struct sim *s, struct worker *worker) {
  const int most = s->plan.keys < TRANSACTION_MAX ? s->plan.keys : TRANSACTION_MAX;
  const int n = 2 + (int)sim_dice(s, (uint64_t)most - 1), first = (int)sim_dice(s, (uint64_t)s->plan.keys);
  worker->is_transaction = true;
  for (int i = 0; i < n; i++) {
    const bool puts = sim_dice(s, 2) == 0; /* so that most hold in all their parts */
    const enum client_method method = puts ? CLIENT_PUT : draw_method(s, sim_dice(s, 60));
    struct asked_part *part = add_part(worker, (first + i) % s->plan.keys, method);
    draw_value(s, part);
    if (!puts && method != CLIENT_CREATE && sim_dice(s, 2) == 0)
      draw_condition(s, &part->operation, part->document);
  }
}

/* ---- As HTTP ---- */

static void put_document(struct bytes *out, const struct asked_part *part) {
  if (part->operation.method == CLIENT_PATCH)
    bytes_printf(out, "{\"v\":%" PRIu64 "}", part->operation.value);
  else if (part->operation.value != 0)
    bytes_printf(out, "{\"id\":\"%s\",\"v\":%" PRIu64 "}", part->name + strlen(COLLECTION) + 1,
                 part->operation.value);
}

static void put_operation(struct bytes *out, const struct asked_part *part) {
  static const char *const methods[] = {
      [CLIENT_PUT] = "put", [CLIENT_CREATE] = "post", [CLIENT_DELETE] = "delete", [CLIENT_PATCH] = "patch"};
  const struct client_operation *asked = &part->operation;
  bytes_printf(out, "{\"method\":\"%s\",\"path\":\"%s\"", methods[asked->method],
               asked->method == CLIENT_CREATE ? COLLECTION : part->name);
  if (asked->if_match != 0) bytes_printf(out, ",\"if_match\":\"%" PRIu64 "\"", asked->if_match);
  if (asked->if_match_any) bytes_append_string(out, ",\"if_match\":\"*\"");
  if (asked->if_none_match_any) bytes_append_string(out, ",\"if_none_match\":\"*\"");
  if (asked->value != 0) bytes_append_string(out, ",\"body\":");
  put_document(out, part);
  bytes_append_string(out, "}");
}

static void write_transaction(struct worker *worker) {
  worker->method = "POST";
  snprintf(worker->target, sizeof worker->target, "/v1/transactions");
  bytes_append_string(&worker->body, "{\"operations\":[");
  for (size_t i = 0; i < worker->parts_n; i++) {
    if (i > 0) bytes_append_string(&worker->body, ",");
    put_operation(&worker->body, &worker->parts[i]);
  }
  bytes_append_string(&worker->body, "]}");
}

static void write_one(struct worker *worker) {
  static const char *const methods[] = {
      [CLIENT_GET] = "GET",       [CLIENT_PUT] = "PUT",     [CLIENT_CREATE] = "POST",
      [CLIENT_DELETE] = "DELETE", [CLIENT_PATCH] = "PATCH", [CLIENT_DROP] = "DELETE"};
  const struct asked_part *part = &worker->parts[0];
  const struct client_operation *asked = &part->operation;
  worker->method = methods[asked->method];
  snprintf(worker->target, sizeof worker->target, "/v1/collections/%s",
           asked->method == CLIENT_CREATE || worker->is_drop ? COLLECTION : part->name);
  put_document(&worker->body, part);
  if (asked->if_match != 0) bytes_printf(&worker->headers, "If-Match: \"%" PRIu64 "\"\r\n", asked->if_match);
  if (asked->if_match_any) bytes_append_string(&worker->headers, "If-Match: *\r\n");
  if (asked->if_none_match_any) bytes_append_string(&worker->headers, "If-None-Match: *\r\n");
}

/* Another one each time, and not the same in the next run of the process. */
static void write_key(struct sim *s, struct worker *worker) {
  bytes_printf(&worker->headers, "Idempotency-Key: \"%" PRIx64 "-%" PRIu64 "\"\r\n", s->plan.seed,
               ++s->counts[COUNT_KEYS]);
}

/* What was asked before, if anything, was answered. */
void workload_draw(struct sim *s, struct worker *worker) {
  worker->parts_n = 0;
  worker->is_transaction = worker->is_drop = worker->in_doubt = worker->has_key = false;
  worker->headers.n = worker->body.n = 0;
  if (s->plan.keys > 1 && is_drawn(s, s->plan.transactions_percent))
    draw_transaction(s, worker);
  else if (is_drawn(s, s->plan.drops_percent))
    draw_drop(s, worker);
  else
    draw_one(s, worker);
  if (worker->is_transaction)
    write_transaction(worker);
  else
    write_one(worker);
  s->counts[COUNT_TRANSACTIONS] += worker->is_transaction;
  s->counts[COUNT_DROPS] += worker->is_drop;
  s->counts[COUNT_PATCHES] += worker->parts[0].operation.method == CLIENT_PATCH;
  const bool writes = worker->parts[0].operation.method != CLIENT_GET;
  worker->has_key = writes && is_drawn(s, s->plan.keyed_percent);
  if (worker->has_key) write_key(s, worker);
}

void workload_send(struct worker *worker) {
  bytes_append(&worker->headers, "", 1);
  bytes_append(&worker->body, "", 1);
  worker->headers.n--;
  worker->body.n--;
  client_ask_if(&worker->client, worker->method, worker->target,
                worker->body.n > 0 ? (const char *)worker->body.data : NULL,
                (const char *)worker->headers.data);
}
