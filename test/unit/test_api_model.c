/* Random writes of every kind, alone and in transactions, with conditions and with keys, while another client
 * writes too, against a model of what they have to do: a few documents, each a number. After each request the
 * answer is the one that the model expects, and so are all documents. */
#include <stdio.h>
#include <stdlib.h>

#include "api_client.h"
#include "base/random.h"

enum {
  COLLECTIONS = 2,
  IDS = 4,
  DOCUMENTS = COLLECTIONS * IDS,
  OPERATIONS_MAX = 4,
  WRITES_BETWEEN_MAX = 3, /* during one request */
  KEYS = 40,              /* few enough to come again, by chance and as retries */
  REQUESTS = 80,          /* of a seed */
  SEEDS = 500,
};

static const char *const collections[COLLECTIONS] = {"m", "n"};
static const char *const ids[IDS] = {"a", "b", "7", "-12"}; /* the latter two are sent as integers, too */

struct document {
  uint64_t revision; /* 0: it is not there */
  bool id_is_integer;
  int x;
};

enum method { PUT, POST, PATCH, DELETE, METHODS };
enum condition { NONE, IF_MATCH, IF_MATCH_ANY, IF_NONE_MATCH };

struct operation {
  enum method method;
  size_t document;
  enum condition condition;
  uint64_t revision; /* IF_MATCH */
  bool id_is_integer;
  bool has_id; /* in the body */
  bool is_json_patch;
  int x, tested; /* what it becomes; what a JSON patch wants it to be */
};

/* What a key has to give again. */
struct remembered {
  char *request; /* owned; NULL: nothing yet */
  int status, failed, failed_status;
  uint64_t revision; /* 0: no ETag */
};

/* How often what came. */
struct totals {
  unsigned statuses[600];
  unsigned replays;
};

struct model {
  struct client c;
  struct random random;
  struct document documents[DOCUMENTS];
  uint64_t applied;
  unsigned writes_between;                                /* so many more of the other client's may come */
  struct document earlier[WRITES_BETWEEN_MAX][DOCUMENTS]; /* as they were before each of those that came */
  size_t earlier_n;
  struct remembered keys[KEYS];
  struct totals *totals;
};

static unsigned choose(struct model *m, unsigned limit) {
  return (unsigned)random_below(&m->random, limit);
}

/* ---- Requests ---- */

static struct operation choose_operation(struct model *m, size_t document) {
  const struct document *d = &m->documents[document];
  const bool may_be_integer = document % IDS >= 2;
  return (struct operation){
      .method = (enum method)choose(m, METHODS),
      .document = document,
      .condition = choose(m, 2) ? NONE : (enum condition)choose(m, 4),
      .revision = choose(m, 3) ? d->revision : 17 + choose(m, 100),
      .id_is_integer = may_be_integer && choose(m, 2),
      .has_id = choose(m, 2),
      .is_json_patch = choose(m, 2),
      .x = (int)choose(m, 10),
      .tested = choose(m, 4) ? d->x : (int)choose(m, 10),
  };
}

static void write_document(struct bytes *out, size_t document, bool id_is_integer, int x) {
  bytes_printf(out, id_is_integer ? "{\"id\":%s,\"x\":%d}" : "{\"id\":\"%s\",\"x\":%d}", ids[document % IDS],
               x);
}

static void write_body(struct bytes *out, const struct operation *op) {
  if (op->method == DELETE) return;
  if (op->method == PATCH && op->is_json_patch)
    bytes_printf(out,
                 "[{\"op\":\"test\",\"path\":\"/x\",\"value\":%d.0},"
                 "{\"op\":\"replace\",\"path\":\"/x\",\"value\":%d}]",
                 op->tested, op->x);
  else if (op->method == POST || (op->method == PUT && op->has_id))
    write_document(out, op->document, op->id_is_integer, op->x);
  else
    bytes_printf(out, "{\"x\":%d}", op->x);
}

static void write_target(struct bytes *out, const struct operation *op) {
  bytes_append_string(out, collections[op->document / IDS]);
  if (op->method != POST) bytes_printf(out, "/%s", ids[op->document % IDS]);
}

static const char *const method_names[METHODS] = {"PUT", "POST", "PATCH", "DELETE"};

static void write_condition(struct bytes *out, const struct operation *op) {
  if (op->condition == IF_MATCH) bytes_printf(out, "If-Match: \"%u\"\r\n", (unsigned)op->revision);
  if (op->condition == IF_MATCH_ANY) bytes_append_string(out, "If-Match: *\r\n");
  if (op->condition == IF_NONE_MATCH) bytes_append_string(out, "If-None-Match: *\r\n");
}

static void write_operation(struct model *m, struct bytes *out, const struct operation *op) {
  bytes_printf(out, "{\"method\":\"%s\",\"path\":\"", method_names[op->method]);
  if (choose(m, 2)) bytes_append_string(out, "/v1/collections/");
  write_target(out, op);
  bytes_append_string(out, "\"");
  if (op->condition == IF_MATCH)
    bytes_printf(out, choose(m, 2) ? ",\"if_match\":\"%u\"" : ",\"if_match\":\"\\\"%u\\\"\"",
                 (unsigned)op->revision);
  if (op->condition == IF_MATCH_ANY) bytes_append_string(out, ",\"if_match\":\"*\"");
  if (op->condition == IF_NONE_MATCH) bytes_append_string(out, ",\"if_none_match\":\"*\"");
  if (op->method != DELETE) {
    bytes_append_string(out, ",\"body\":");
    write_body(out, op);
  }
  bytes_append_string(out, "}");
}

/* ---- The model ---- */

static bool holds(const struct operation *op, const struct document *d) {
  if (op->method == POST && (op->condition == IF_MATCH || op->condition == IF_MATCH_ANY)) return false;
  switch (op->condition) {
  case NONE:
    return true;
  case IF_MATCH:
    return d->revision != 0 && d->revision == op->revision;
  case IF_MATCH_ANY:
    return d->revision != 0;
  case IF_NONE_MATCH:
    return d->revision == 0;
  }
  return false;
}

/* The status that it has, alone, on the documents as they are. */
static int status_of(const struct operation *op, const struct document *d) {
  const bool exists = d->revision != 0;
  if (!holds(op, d)) return 412;
  switch (op->method) {
  case PUT:
    return exists ? 200 : 201;
  case POST:
    return exists ? 409 : 201;
  case PATCH:
    return !exists ? 404 : op->is_json_patch && op->tested != d->x ? 422 : 200;
  case DELETE:
    return exists ? 204 : 404;
  case METHODS:
    break;
  }
  return 0;
}

static void carry_out(struct model *m, const struct operation *op) {
  struct document *d = &m->documents[op->document];
  if (op->method == DELETE) {
    d->revision = 0;
    return;
  }
  if (op->method == POST || (op->method == PUT && op->has_id))
    d->id_is_integer = op->id_is_integer;
  else if (op->method == PUT)
    d->id_is_integer = false;
  d->revision = m->applied;
  d->x = op->x;
}

/* The operation that a transaction fails of, or n: patches are judged before it goes into the log. (If they
 * were by then, only what is judged there is asked for.) */
static size_t find_failed(const struct model *m, const struct operation *ops, size_t n, bool is_in_log) {
  for (int round = is_in_log ? 2 : 0; round < 3; round++) {
    for (size_t i = 0; i < n; i++) {
      const int status = status_of(&ops[i], &m->documents[ops[i].document]);
      const bool now = round == 0   ? ops[i].method == PATCH && status != 422
                       : round == 1 ? ops[i].method == PATCH
                                    : ops[i].method != PATCH;
      if (now && status >= 400) return i;
    }
  }
  return n;
}

/* ---- Answers ---- */

static void assert_answer(struct model *m, const struct remembered *expected, bool is_minimal, bool is_replay,
                          const char *request) {
  struct client *c = &m->c;
  const bool is_success = expected->status < 300;
  const int status = is_success && is_minimal ? 204 : expected->status;
  char etag[32];
  if (c->status != status)
    fail_msg("%s is %d, not %d: %s", request, c->status, status, (char *)c->answer.data);
  m->totals->statuses[c->status]++;
  assert_header(c, "Idempotency-Replayed", is_replay ? "true" : NULL);
  if (is_success && expected->revision != 0) {
    snprintf(etag, sizeof etag, "\"%u\"", (unsigned)expected->revision);
    assert_header(c, "ETag", etag);
  }
  if (is_success && is_replay) assert_string_equal(c->body, "");
  if (expected->failed_status == 0) return;
  json_t *body = body_json(c), *problem = json_object_get(body, "problem");
  assert_int_equal(json_integer_value(json_object_get(body, "operation")), expected->failed);
  assert_int_equal(json_integer_value(json_object_get(problem, "status")), expected->failed_status);
  json_decref(body);
}

static void assert_documents(struct model *m, const char *request) {
  const struct store *store = replica_store(m->c.replica);
  uint64_t n = 0;
  for (size_t i = 0; i < DOCUMENTS; i++) {
    const struct document *d = &m->documents[i];
    const struct store_record *record =
        store_get(store, slice_of(collections[i / IDS]), slice_of(ids[i % IDS]));
    struct bytes body = {0};
    assert_int_equal(record != NULL, d->revision != 0);
    if (record == NULL) continue;
    n++;
    assert_int_equal(record->revision, d->revision);
    write_document(&body, i, d->id_is_integer, d->x);
    if (!slice_equal(store_record_body(record), slice_of_bytes(&body)))
      fail_msg("after %s: %.*s", request, (int)store_record_body(record).n, store_record_body(record).at);
    bytes_close(&body);
  }
  assert_int_equal(store_documents(store), n);
}

/* ---- One request ---- */

struct request {
  const char *method;
  struct bytes target, headers, body; /* each with a NUL */
  struct remembered expected;         /* if it is not a replay */
  bool is_logged;                     /* it comes to the log, so its key is remembered */
  struct operation operations[OPERATIONS_MAX];
  size_t operations_n;
  bool is_transaction;
  bool is_drop;
  size_t dropped; /* the collection */
};

static void choose_single(struct model *m, struct request *r) {
  struct operation *op = &r->operations[0];
  *op = choose_operation(m, choose(m, DOCUMENTS));
  r->operations_n = 1;
  r->method = method_names[op->method];
  bytes_append_string(&r->target, "/v1/collections/");
  write_target(&r->target, op);
  if (op->method != DELETE)
    bytes_printf(&r->headers, "Content-Type: application/%s\r\n",
                 op->method == PATCH && op->is_json_patch ? "json-patch+json" : "json");
  write_condition(&r->headers, op);
  write_body(&r->body, op);
}

static void choose_transaction(struct model *m, struct request *r) {
  const size_t first = choose(m, DOCUMENTS);
  r->method = "POST";
  bytes_append_string(&r->target, "/v1/transactions");
  bytes_append_string(&r->headers, JSON);
  bytes_append_string(&r->body, "{\"operations\":[");
  r->operations_n = 1 + choose(m, OPERATIONS_MAX);
  for (size_t i = 0; i < r->operations_n; i++) {
    r->operations[i] = choose_operation(m, (first + 3 * i) % DOCUMENTS);
    if (i > 0) bytes_append_string(&r->body, ",");
    write_operation(m, &r->body, &r->operations[i]);
  }
  bytes_append_string(&r->body, "]}");
  r->is_transaction = true;
}

static void choose_drop(struct model *m, struct request *r) {
  r->is_drop = true;
  r->dropped = choose(m, COLLECTIONS);
  r->method = "DELETE";
  bytes_printf(&r->target, "/v1/collections/%s", collections[r->dropped]);
}

/* What it has to be answered, if it is no replay, on the documents as they are without it. */
static void expect(const struct model *m, struct request *r, bool is_in_log) {
  const struct operation *op = &r->operations[0];
  r->is_logged = true;
  if (r->is_drop) {
    r->expected.status = 204;
  } else if (r->is_transaction) {
    const size_t failed = find_failed(m, r->operations, r->operations_n, is_in_log);
    r->expected.status = 200;
    if (failed == r->operations_n) return;
    op = &r->operations[failed];
    r->is_logged = op->method != PATCH;
    r->expected.status = 409;
    r->expected.failed = (int)failed;
    r->expected.failed_status = status_of(op, &m->documents[op->document]);
  } else {
    r->expected.status = status_of(op, &m->documents[op->document]);
    r->is_logged = op->method != PATCH || r->expected.status == 200;
    if (r->expected.status == 200 || r->expected.status == 201) r->expected.revision = m->applied;
  }
}

static void apply(struct model *m, const struct request *r) {
  if (r->expected.status >= 300) return;
  for (size_t i = 0; i < r->operations_n; i++) carry_out(m, &r->operations[i]);
  for (size_t i = 0; r->is_drop && i < IDS; i++) m->documents[r->dropped * IDS + i].revision = 0;
}

/* Before a slice of a request's work: another client's PUT. What is calculated has to be calculated again, so
 * it is as if that had come first. */
static void write_between(struct client *c) {
  struct model *m = CONTAINER_OF(c, struct model, c);
  struct bytes body = {0};
  struct replica_result result;
  if (m->writes_between == 0 || choose(m, 2)) return;
  m->writes_between--;
  const struct operation op = {
      .method = PUT, .document = choose(m, DOCUMENTS), .has_id = true, .x = (int)choose(m, 10)};
  write_document(&body, op.document, false, op.x);
  const struct command command = {.type = COMMAND_PUT,
                                  .collection = slice_of(collections[op.document / IDS]),
                                  .id = slice_of(ids[op.document % IDS]),
                                  .body = slice_of_bytes(&body)};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  command_encode(&command, entry->data);
  replica_propose(c->replica, entry, 0, c);
  assert_true(fake_replica_finish(c->replica, REPLICA_APPLIED, &result));
  store_result_close(&result.store);
  bytes_close(&body);
  m->applied = replica_applied(c->replica);
  memcpy(m->earlier[m->earlier_n++], m->documents, sizeof m->documents);
  carry_out(m, &op);
}

static void request_close(struct request *r) {
  bytes_close(&r->target);
  bytes_close(&r->headers);
  bytes_close(&r->body);
}

static void end_with_nul(struct bytes *text) {
  bytes_append(text, "", 1);
}

static bool is_answered(struct client *c, const struct remembered *expected) {
  if (c->status != expected->status) return false;
  if (expected->failed_status == 0) return true;
  json_t *body = body_json(c), *problem = json_object_get(body, "problem");
  const bool is_it = json_integer_value(json_object_get(body, "operation")) == expected->failed &&
                     json_integer_value(json_object_get(problem, "status")) == expected->failed_status;
  json_decref(body);
  return is_it;
}

/* What was refused without the log was so when it was read, which may have been before the other's writes.
 * What is in the log comes behind them: a transaction fails there of what is wrong then, also if its patches
 * would have to be calculated again. */
static void expect_answer(struct model *m, struct request *r) {
  struct document now[DOCUMENTS];
  memcpy(now, m->documents, sizeof now);
  for (size_t i = 0; i < m->earlier_n; i++) {
    r->expected = (struct remembered){0};
    memcpy(m->documents, m->earlier[i], sizeof now);
    expect(m, r, false);
    memcpy(m->documents, now, sizeof now);
    if (!r->is_logged && is_answered(&m->c, &r->expected)) return;
  }
  r->expected = (struct remembered){0};
  expect(m, r, false);
  if (r->is_logged || m->earlier_n == 0 || is_answered(&m->c, &r->expected)) return;
  r->expected = (struct remembered){0};
  expect(m, r, true);
}

/* Sends it with or without a key, and says whether the answer is right. */
static void send(struct model *m, struct request *r, struct remembered *key, const char *text) {
  const bool is_minimal = choose(m, 4) == 0;
  struct bytes headers = {0};
  bytes_append_string(&headers, (char *)r->headers.data);
  if (key != NULL) bytes_printf(&headers, "Idempotency-Key: key %u\r\n", (unsigned)(key - m->keys));
  if (is_minimal) bytes_append_string(&headers, "Prefer: return=minimal\r\n");
  end_with_nul(&headers);
  m->writes_between = choose(m, WRITES_BETWEEN_MAX + 1);
  m->earlier_n = 0;
  m->c.budget = choose(m, 2) ? 0 : 1 + choose(m, 64);
  ask(&m->c, r->method, (char *)r->target.data, (char *)headers.data,
      r->body.n > 1 ? (char *)r->body.data : NULL);
  bytes_close(&headers);
  m->applied = replica_applied(m->c.replica);
  if (key != NULL && key->request != NULL) {
    if (strcmp(key->request, text) == 0) {
      assert_answer(m, key, is_minimal, true, text);
      m->totals->replays++;
    } else {
      assert_problem(&m->c, 422, "idempotency_key_reused");
      m->totals->statuses[422]++;
    }
    return;
  }
  expect_answer(m, r);
  if (r->is_logged) apply(m, r);
  assert_answer(m, &r->expected, is_minimal, false, text);
  if (key == NULL || !r->is_logged) return;
  *key = r->expected;
  key->request = strdup(text);
}

static void one_request(struct model *m) {
  struct request r = {0};
  struct bytes text = {0};
  struct remembered *key = choose(m, 3) ? NULL : &m->keys[choose(m, KEYS)];
  const unsigned kind = choose(m, 100);
  if (kind < 2)
    choose_drop(m, &r);
  else if (kind < 50)
    choose_transaction(m, &r);
  else
    choose_single(m, &r);
  end_with_nul(&r.target);
  end_with_nul(&r.headers);
  end_with_nul(&r.body);
  bytes_printf(&text, "%s %s %s %s", r.method, (char *)r.target.data, (char *)r.headers.data,
               (char *)r.body.data);
  end_with_nul(&text);
  send(m, &r, key, (char *)text.data);
  assert_documents(m, (char *)text.data);
  /* A retry, of a client that does not know. */
  if (key != NULL && key->request != NULL && strcmp(key->request, (char *)text.data) == 0) {
    send(m, &r, key, (char *)text.data);
    assert_documents(m, (char *)text.data);
  }
  request_close(&r);
  bytes_close(&text);
}

static void model_open(struct model *m, uint64_t seed, struct totals *totals) {
  *m = (struct model){.random = {seed}, .totals = totals};
  client_open(&m->c, LEADER, API_REDIRECT);
  m->applied = replica_applied(m->c.replica);
  m->c.between = write_between;
}

static void model_close(struct model *m) {
  for (size_t i = 0; i < KEYS; i++) free(m->keys[i].request);
  client_close(&m->c);
}

static void random_writes_do_what_they_say(void **state) {
  (void)state;
  static const int statuses[] = {200, 201, 204, 404, 409, 412, 422};
  struct totals totals = {0};
  for (uint64_t seed = 1; seed <= SEEDS; seed++) {
    struct model m;
    model_open(&m, seed, &totals);
    for (int i = 0; i < REQUESTS; i++) one_request(&m);
    model_close(&m);
  }
  /* All of it was met. */
  for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++)
    assert_true(totals.statuses[statuses[i]] >= SEEDS);
  assert_true(totals.replays >= SEEDS);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_writes_do_what_they_say),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
