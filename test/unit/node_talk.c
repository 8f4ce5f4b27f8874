#include "node_talk.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "node/core.h"

#include <stdio.h>

struct world *formed(uint64_t seed, int nodes) {
  struct world *w = world_new(&(struct world_options){.seed = seed, .nodes = nodes});
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 3000);
  return w;
}

/* ---- Talking to a node in raw bytes ---- */

void talk_open(struct talk *t, struct world *w, int node) {
  *t = (struct talk){
      .world = w, .wire = world_connect(w, node), .parser = http_response_parser_new(256 * 1024 * 1024)};
}

void say(struct talk *t, const char *text) {
  wire_send_text(t->world, t->wire, text);
}

void say_chunk(struct talk *t, const char *text, size_t n) {
  char line[32];
  snprintf(line, sizeof line, "%zx\r\n", n);
  say(t, line);
  wire_send(t->world, t->wire, text, n);
  say(t, "\r\n");
}

size_t heard(struct talk *t) {
  const struct bytes *in = &t->wire->received;
  while (t->parsed < in->n) {
    struct http_response response;
    size_t consumed = 0;
    const int got = http_response_parser_execute(t->parser, in->data + t->parsed, in->n - t->parsed,
                                                 &consumed, &response);
    t->parsed += consumed;
    WORLD_CHECK(t->world, got >= 0);
    if (got == 0) break;
    if (t->answers_n++ > 0) http_response_close(&t->last);
    t->last = response;
  }
  return t->answers_n;
}

void talk_close(struct talk *t) {
  wire_close(t->world, t->wire);
  http_response_parser_free(t->parser);
  if (t->answers_n > 0) http_response_close(&t->last);
}

size_t lines_of(const struct bytes *text) {
  size_t n = 0;
  for (size_t i = 0; i < text->n; i++) n += text->data[i] == '\n';
  return n;
}

/* ---- What a node has in memory for its clients ---- */

struct costs costs_of(struct world *w, int node) {
  struct costs most = {0};
  const struct list *streams = &world_node(w, node)->streams;
  for (struct list_link *at = list_first(streams); at != NULL; at = list_next(streams, at)) {
    const struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    if (stream->kind != STREAM_CLIENT) continue;
    size_t out = stream->undrained_bytes + stream->out.n, in = stream->in.n, body = 0;
    for (struct list_link *link = list_first(&stream->calls); link != NULL;
         link = list_next(&stream->calls, link)) {
      const struct call *call = CONTAINER_OF(link, struct call, link);
      out += call->answer.capacity;
      body += call->api.body.n;
    }
    if (out > most.out) most.out = out;
    if (in + body > most.in) most.in = in + body;
    if (body > most.body) most.body = body;
  }
  return most;
}

void note_costs(struct world *w, int node, struct costs *most) {
  const struct costs now = costs_of(w, node);
  if (now.out > most->out) most->out = now.out;
  if (now.in > most->in) most->in = now.in;
  if (now.body > most->body) most->body = now.body;
}

void import(struct world *w, int documents, int bytes) {
  struct talk t;
  struct bytes text = {0};
  char padding[4096];
  assert_true(bytes < (int)sizeof padding);
  memset(padding, 'x', sizeof padding);
  talk_open(&t, w, world_leader(w));
  say(&t, IMPORT(CODING));
  for (int i = 0; i < documents; i++) {
    bytes_printf(&text, "{\"id\":\"d%06d\",\"x\":\"%.*s\"}\n", i, bytes, padding);
    if (text.n < 60000 && i + 1 < documents) continue;
    say_chunk(&t, (const char *)text.data, text.n);
    text.n = 0;
  }
  say(&t, LAST_CHUNK);
  WORLD_UNTIL(w, heard(&t) == 1, 60000);
  assert_int_equal(t.last.status, 200);
  assert_int_equal(lines_of(&t.last.body), documents);
  assert_null(memmem(t.last.body.data, t.last.body.n, "error", 5));
  bytes_close(&text);
  talk_close(&t);
}
