/* HTTP from outside. */
#include "base/memory.h"
#include "world_core.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { ANSWER_BYTES_MAX = 64 * 1024 * 1024 };

struct asked {
  bool head, read;
  uint64_t incarnation;
  uint8_t cluster[CLUSTER_ID_BYTES]; /* of the node then */
  struct bytes target, body;         /* with a NUL */
};

void client_open(struct client *client, struct world *w, int node) {
  *client = (struct client){.world = w,
                            .wire = world_connect(w, node),
                            .node = node,
                            .parser = http_response_parser_new(ANSWER_BYTES_MAX),
                            .asked = QUEUE_OF(struct asked),
                            .answers = QUEUE_OF(struct answer_seen)};
}

void answer_close(struct answer_seen *answer) {
  bytes_close(&answer->head);
  bytes_close(&answer->body);
}

void client_close(struct client *client) {
  struct answer_seen *answer;
  struct asked *asked;
  wire_close(client->world, client->wire);
  http_response_parser_free(client->parser);
  for (size_t i = 0; (answer = queue_at(&client->answers, i)) != NULL; i++) answer_close(answer);
  for (size_t i = 0; (asked = queue_at(&client->asked, i)) != NULL; i++) {
    bytes_close(&asked->target);
    bytes_close(&asked->body);
  }
  queue_close(&client->answers);
  queue_close(&client->asked);
}

void client_ask(struct client *client, const char *method, const char *target, const char *body) {
  client_ask_if(client, method, target, body, "");
}

void client_ask_if(struct client *client, const char *method, const char *target, const char *body,
                   const char *headers) {
  struct world *w = client->world;
  const struct process *p = &w->processes[client->node];
  struct asked *asked = queue_push(&client->asked);
  struct bytes text = {0};
  asked->head = strcmp(method, "HEAD") == 0;
  asked->read = strcmp(method, "GET") == 0;
  asked->incarnation = p->incarnation;
  if (p->node != NULL) memcpy(asked->cluster, join_cluster(p->node->join), CLUSTER_ID_BYTES);
  bytes_append(&asked->target, target, strlen(target) + 1);
  if (body != NULL) bytes_append(&asked->body, body, strlen(body) + 1);

  bytes_printf(&text, "%s %s HTTP/1.1\r\nHost: x\r\n%s", method, target, headers);
  if (body != NULL)
    bytes_printf(&text, "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
  bytes_append_string(&text, "\r\n");
  if (body != NULL) bytes_append_string(&text, body);
  wire_send(w, client->wire, text.data, text.n);
  bytes_close(&text);
}

const char *answer_header(const struct answer_seen *answer, const char *name) {
  static char value[512];
  const size_t name_n = strlen(name);
  const char *at = (const char *)answer->head.data, *end = at + answer->head.n;
  while (at != NULL && at < end) {
    const char *line_end = memchr(at, '\r', (size_t)(end - at));
    if (line_end == NULL) return NULL;
    if ((size_t)(line_end - at) > name_n + 1 && strncasecmp(at, name, name_n) == 0 && at[name_n] == ':') {
      at += name_n + 1;
      while (*at == ' ') at++;
      snprintf(value, sizeof value, "%.*s", (int)(line_end - at), at);
      return value;
    }
    at = line_end + 2;
  }
  return NULL;
}

/* What it says must fit the request in whose place it came, and all that was said before. */
static void check(struct client *client, const struct asked *asked, const struct answer_seen *answer) {
  struct world *w = client->world;
  const struct process *p = &w->processes[client->node];
  const char *body = (const char *)asked->body.data, *tag = answer_header(answer, "ETag");
  const char *target = (const char *)asked->target.data;
  if (p->node == NULL || p->incarnation != asked->incarnation ||
      memcmp(join_cluster(p->node->join), asked->cluster, CLUSTER_ID_BYTES) != 0)
    return;
  if (asked->read && strncmp(target, "/v1/collections", 15) == 0 && strchr(target, '?') == NULL &&
      (answer->status == 200 || answer->status == 404))
    check_read(w, asked->cluster, target, answer);
  if (asked->read || answer->status < 200 || answer->status > 201) return;
  if (strcmp(target, "/v1/transactions") == 0) return; /* names none, or several times the same */
  WORLD_CHECK(w, tag != NULL && tag[0] == '"');
  check_acknowledged(w, asked->cluster, strtoull(tag + 1, NULL, 10));
  if (answer_header(answer, "Idempotency-Replayed") != NULL) return; /* it says what, and no more */
  if (body != NULL && memcmp(body, "{\"id\"", 5) == 0)               /* what it echoes is what was sent */
    WORLD_CHECK(w, strcmp(body, (const char *)answer->body.data) == 0);
}

static void keep(struct client *client, struct http_response *response) {
  struct answer_seen *answer = queue_push(&client->answers);
  *answer = (struct answer_seen){.status = response->status, .head = response->head, .body = response->body};
  bytes_append(&answer->body, "", 1);
  answer->body.n--;
  check(client, queue_at(&client->asked, client->answers.n - 1), answer);
}

size_t client_answers(struct client *client) {
  const struct bytes *received = &client->wire->received;
  while (client->parsed < received->n) {
    struct http_response response;
    size_t consumed = 0;
    const struct asked *next = queue_at(&client->asked, client->answers.n);
    if (next == NULL) world_fail(client->world, "an answer that nobody asked for");
    http_response_parser_expect_head(client->parser, next->head);
    const int got = http_response_parser_execute(client->parser, received->data + client->parsed,
                                                 received->n - client->parsed, &consumed, &response);
    if (got < 0)
      world_fail(client->world, "no HTTP: %.*s", (int)(received->n - client->parsed),
                 (const char *)received->data + client->parsed);
    client->parsed += consumed;
    if (got == 0) break;
    keep(client, &response);
  }
  return client->answers.n;
}

const struct answer_seen *client_answer(struct client *client, size_t i) {
  WORLD_CHECK(client->world, i < client_answers(client));
  return queue_at(&client->answers, i);
}

struct answer_seen world_ask(struct world *w, int node, const char *method, const char *target,
                             const char *body, uint64_t limit_ms) {
  struct client client;
  struct answer_seen copy = {0};
  client_open(&client, w, node);
  client_ask(&client, method, target, body);
  WORLD_UNTIL(w, client_answers(&client) == 1, limit_ms);
  const struct answer_seen *answer = client_answer(&client, 0);
  copy.status = answer->status;
  bytes_append(&copy.head, answer->head.data, answer->head.n);
  bytes_append(&copy.body, answer->body.data, answer->body.n + 1);
  copy.body.n--;
  client_close(&client);
  return copy;
}

int world_status(struct world *w, int node, const char *method, const char *target, const char *body) {
  struct answer_seen answer = world_ask(w, node, method, target, body, 1000);
  answer_close(&answer);
  return answer.status;
}

void assert_answer(struct world *w, int node, const char *method, const char *target, const char *body,
                   int status, const char *has) {
  struct answer_seen answer = world_ask(w, node, method, target, body, 1000);
  if (answer.status != status || (has != NULL && strstr((const char *)answer.body.data, has) == NULL))
    world_fail(w, "%s %s at %c: %d %s", method, target, 'a' + node, answer.status,
               (const char *)answer.body.data);
  answer_close(&answer);
}
