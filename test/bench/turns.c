/* What long requests cost the loop: a whole node in one process, with a million documents, and each kind of
 * request that takes much work. Prints the longest turn of each in processor time, and how much memory an
 * export takes. Fails beyond the limits.
 *
 *     coracle-bench-turns [DOCUMENTS [RUNS [-v]]]
 *
 * What does not fit is run again: on a machine that others use too, a turn may seem long for their sake. */
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host.h"
#include "http/response.h"

enum {
  IMPORTED = 200000, /* lines, at most */
  BODY_BYTES = 1000 * 1000,
  TURN_NS_MAX = 10 * 1000 * 1000,
  GROWTH_MIB_MAX = 16,
  MANY = 16, /* clients */
  FORM_TURNS_MAX = 5000,
  ANSWER_TURNS_MAX = 2 * 1000 * 1000,
  ANSWER_BYTES_MAX = 64 * 1024 * 1024,
};

#define POST_LINES(collection)                                                                               \
  "POST /v1/collections/" collection " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"        \
  "Prefer: return=minimal\r\nTransfer-Encoding: chunked\r\n\r\n"
#define EXPORT(collection)                                                                                   \
  "GET /v1/collections/" collection " HTTP/1.1\r\nHost: x\r\nAccept: application/x-ndjson\r\n\r\n"

struct bench {
  struct host host;
  struct host_end *client;
  struct bytes sent; /* what is being made of a request */
  size_t documents;
  unsigned runs;
  bool second_is_full; /* the collection "d"; the first is "c" */
  bool good;
};

/* ---- Measuring ---- */

static double resident_mib(void) {
  unsigned long size = 0, resident = 0;
  FILE *file = fopen("/proc/self/statm", "r");
  if (file == NULL || fscanf(file, "%lu %lu", &size, &resident) != 2) resident = 0;
  if (file != NULL) fclose(file);
  return (double)resident * (double)sysconf(_SC_PAGESIZE) / (1024 * 1024);
}

static void report(struct bench *b, const char *what, const struct host_turns *t) {
  const bool fits = t->longest_ns <= TURN_NS_MAX;
  printf("%-52s longest turn %7.3f ms, %8.1f ms in %6llu turns%s\n", what, (double)t->longest_ns / 1e6,
         (double)t->ns / 1e6, (unsigned long long)t->n, fits ? "" : "  TOO LONG");
  if (!fits) b->good = false;
}

/* Does it until it fits, at most so many times. */
static void measure(struct bench *b, const char *what, void (*prepare)(struct bench *),
                    void (*run)(struct bench *)) {
  struct host_turns best = {.longest_ns = UINT64_MAX};
  for (unsigned i = 0; i < b->runs && best.longest_ns > TURN_NS_MAX; i++) {
    if (prepare != NULL) prepare(b);
    host_measure(&b->host);
    run(b);
    for (int idle = 0; idle < 20; idle++) host_turn(&b->host);
    if (b->host.nodes[0].turns.longest_ns < best.longest_ns) best = b->host.nodes[0].turns;
  }
  report(b, what, &best);
}

/* ---- Asking ---- */

static void connect_anew(struct bench *b) {
  b->client = host_connect(&b->host, 0);
}

__attribute__((noreturn)) static void fail(const char *what, const struct bytes *in) {
  fprintf(stderr, "%s: %.*s\n", what, in->n < 2000 ? (int)in->n : 2000, (const char *)in->data);
  exit(1);
}

static void send_now(struct bench *b) {
  host_send(b->client, b->sent.data, b->sent.n);
  b->sent.n = 0;
}

/* The answer to the only request under way; its status must be that. */
static void take_answer(struct bench *b, int status) {
  struct http_response_parser *parser = http_response_parser_new(ANSWER_BYTES_MAX);
  struct http_response response;
  struct bytes *in = &b->client->in;
  int got = 0;
  for (int i = 0; got == 0; i++) {
    size_t consumed = 0;
    if (i == ANSWER_TURNS_MAX) fail("there is no answer", in);
    host_turn(&b->host);
    if (in->n == 0) continue;
    got = http_response_parser_execute(parser, in->data, in->n, &consumed, &response);
    if (got == 1 && response.status != status) fail("another answer", in);
    bytes_consume(in, consumed);
  }
  if (got < 0) fail("no HTTP", in);
  http_response_close(&response);
  http_response_parser_free(parser);
}

static void ask(struct bench *b, const char *head, struct slice body, int status) {
  bytes_printf(&b->sent, "%s HTTP/1.1\r\nHost: x\r\n", head);
  if (body.at != NULL)
    bytes_printf(&b->sent, "Content-Type: application/json\r\nContent-Length: %zu\r\n", body.n);
  bytes_append_string(&b->sent, "\r\n");
  bytes_append_slice(&b->sent, body);
  send_now(b);
  take_answer(b, status);
}

/* ---- Imports ---- */

/* `n` documents of some 130 bytes, as fast as the node reads them. */
static void import(struct bench *b, const char *head, size_t n) {
  struct bytes lines = {0};
  bytes_append_string(&b->sent, head);
  for (size_t i = 0; i < n;) {
    for (lines.n = 0; i < n && lines.n < 60000; i++)
      bytes_printf(&lines,
                   "{\"id\":\"d%07zu\",\"n\":%zu,\"name\":\"A name of some length, number "
                   "%zu\",\"tags\":[\"a\",\"b\"],"
                   "\"price\":%zu.25,\"in_stock\":true}\n",
                   i, i, i, i % 1000);
    bytes_printf(&b->sent, "%zx\r\n", lines.n);
    bytes_append(&b->sent, lines.data, lines.n);
    bytes_append_string(&b->sent, "\r\n");
    send_now(b);
    host_turn(&b->host);
    while (host_unread(b->client) > 4 * HOST_READ_BYTES) host_turn(&b->host);
  }
  bytes_append_string(&b->sent, "0\r\n\r\n");
  send_now(b);
  take_answer(b, 200);
  bytes_close(&lines);
}

static size_t imported(const struct bench *b) {
  return b->documents < IMPORTED ? b->documents : IMPORTED;
}

static void empty_second(struct bench *b) {
  if (b->second_is_full) ask(b, "DELETE /v1/collections/d", (struct slice){0}, 204);
  for (int i = 0; b->second_is_full && i < 5000; i++) host_turn(&b->host);
  b->second_is_full = false;
}

static void import_second(struct bench *b) {
  import(b, POST_LINES("d"), imported(b));
  b->second_is_full = true;
}

static void fill_second(struct bench *b) {
  if (!b->second_is_full) import_second(b);
}

/* ---- Exports ---- */

/* Reads it and throws it away. */
static size_t read_export(struct bench *b, double *most_mib) {
  static const char end[] = "\r\n0\r\n\r\n";
  struct bytes *in = &b->client->in;
  size_t lines = 0;
  for (int i = 0;; i++) {
    if (i == ANSWER_TURNS_MAX) fail("there is no end", in);
    host_turn(&b->host);
    const size_t n = in->n;
    if (n == 0) continue;
    if (resident_mib() > *most_mib) *most_mib = resident_mib();
    for (const uint8_t *at = in->data; (at = memmem(at, (size_t)(in->data + n - at), "}\n", 2)) != NULL; at++)
      lines++;
    const bool ended =
        n >= sizeof end - 1 && memcmp(in->data + n - (sizeof end - 1), end, sizeof end - 1) == 0;
    bytes_consume(in, n);
    if (ended) return lines;
  }
}

static void export_all(struct bench *b) {
  const double before_mib = resident_mib();
  double most_mib = before_mib;
  host_send(b->client, EXPORT("c"), sizeof EXPORT("c") - 1);
  const size_t lines = read_export(b, &most_mib);
  if (lines != b->documents) {
    fprintf(stderr, "%zu documents were exported\n", lines);
    exit(1);
  }
  const bool fits = most_mib - before_mib <= GROWTH_MIB_MAX;
  printf("%-52s memory %.0f MiB before, %.1f MiB more at most%s\n", "an export", before_mib,
         most_mib - before_mib, fits ? "" : "  TOO MUCH");
  if (!fits) b->good = false;
}

/* Half way a reader goes, while all that it was reading has been written over. */
static void leave_an_export(struct bench *b) {
  struct host_end *writer = b->client;
  connect_anew(b);
  struct host_end *reader = b->client;
  host_send(reader, EXPORT("d"), sizeof EXPORT("d") - 1);
  for (int i = 0; i < 5; i++) host_turn(&b->host);
  host_stop_reading(reader);
  b->client = writer;
  import(
      b,
      "POST /v1/collections/d?existing=replace HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-ndjson\r\n"
      "Prefer: return=minimal\r\nTransfer-Encoding: chunked\r\n\r\n",
      imported(b));
  host_hang_up(reader);
  for (int i = 0; i < 500; i++) host_turn(&b->host);
}

static void page(struct bench *b) {
  ask(b, "GET /v1/collections/c?limit=1000", (struct slice){0}, 200);
}

/* ---- Documents that are hard to check ---- */

static void put_body(struct bench *b, struct bytes *body) {
  ask(b, "PUT /v1/collections/big/a", slice_of_bytes(body), 200);
  bytes_close(body);
}

static void repeat(struct bytes *body, const char *front, const char *text, const char *back) {
  bytes_append_string(body, front);
  bytes_append_string(body, text);
  while (body->n < BODY_BYTES) {
    bytes_append_string(body, ",");
    bytes_append_string(body, text);
  }
  bytes_append_string(body, back);
}

static void put_numbers(struct bench *b) {
  struct bytes body = {0};
  repeat(&body, "{\"a\":[", "0", "]}");
  put_body(b, &body);
}

static void put_strings(struct bench *b) {
  struct bytes body = {0};
  repeat(&body, "{\"a\":[", "\"\\u00e9\\n\xc3\xa9\\ud83d\\ude00\"", "]}");
  put_body(b, &body);
}

static void put_members(struct bench *b) {
  struct bytes body = {0};
  bytes_append_string(&body, "{\"a\":[{");
  for (size_t i = 0; body.n < BODY_BYTES; i++)
    bytes_printf(&body, "%s\"%zx\":0", i % 4096 == 0 ? i == 0 ? "" : "},{" : ",", i);
  bytes_append_string(&body, "}]}");
  put_body(b, &body);
}

static void put_nested(struct bench *b) {
  struct bytes body = {0}, one = {0};
  for (int i = 0; i < 60; i++) bytes_append_string(&one, "{\"a\":");
  bytes_append_string(&one, "0");
  for (int i = 0; i < 60; i++) bytes_append_string(&one, "}");
  bytes_append(&one, "", 1);
  repeat(&body, "{\"a\":[", (const char *)one.data, "]}");
  bytes_close(&one);
  put_body(b, &body);
}

/* From several clients at once. */
static void put_many(struct bench *b) {
  struct host_end *ends[MANY], *first = b->client;
  struct bytes body = {0};
  repeat(&body, "{\"a\":[", "0", "]}");
  for (unsigned i = 0; i < MANY; i++) {
    connect_anew(b);
    ends[i] = b->client;
    bytes_printf(&b->sent,
                 "PUT /v1/collections/many/%u HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
                 "Prefer: return=minimal\r\nContent-Length: %zu\r\n\r\n",
                 i, body.n);
    bytes_append(&b->sent, body.data, body.n);
    send_now(b);
  }
  for (unsigned i = 0; i < MANY; i++) {
    b->client = ends[i];
    take_answer(b, 204);
    host_hang_up(ends[i]);
  }
  b->client = first;
  bytes_close(&body);
}

static void page_of_large(struct bench *b) {
  ask(b, "GET /v1/collections/many?limit=1000", (struct slice){0}, 200);
}

static void many_pages(struct bench *b) {
  static const char request[] = "GET /v1/collections/many?limit=1000 HTTP/1.1\r\nHost: x\r\n\r\n";
  struct host_end *ends[MANY], *first = b->client;
  for (unsigned i = 0; i < MANY; i++) {
    connect_anew(b);
    ends[i] = b->client;
    host_send(b->client, request, sizeof request - 1);
  }
  for (unsigned i = 0; i < MANY; i++) {
    b->client = ends[i];
    take_answer(b, 200);
    host_hang_up(ends[i]);
  }
  b->client = first;
}

/* ---- Patches ---- */

static void patch(struct bench *b, const char *type, const struct bytes *operations, int status) {
  bytes_printf(
      &b->sent,
      "PATCH /v1/collections/big/a HTTP/1.1\r\nHost: x\r\nContent-Type: %s\r\nContent-Length: %zu\r\n\r\n",
      type, operations->n);
  bytes_append(&b->sent, operations->data, operations->n);
  send_now(b);
  take_answer(b, status);
}

/* Each operation is `first` or `second`, in turn; together they fill a body. */
static void patch_with(struct bench *b, const char *first, const char *second, int status) {
  struct bytes operations = {0};
  char padding[256];
  memset(padding, 'x', sizeof padding);
  for (size_t i = 0; i < 4096; i++) {
    const size_t before = operations.n;
    bytes_printf(&operations, "%c%s", i == 0 ? '[' : ',', i % 2 == 0 ? first : second);
    const size_t n = operations.n - before, room = BODY_BYTES / 4096 - 1;
    operations.n -= 1; /* over the brace */
    bytes_printf(&operations, ",\"x\":\"%.*s\"}", n + 8 < room ? (int)(room - n - 8) : 0, padding);
  }
  bytes_append_string(&operations, "]");
  patch(b, "application/json-patch+json", &operations, status);
  bytes_close(&operations);
}

static void patch_front(struct bench *b) {
  put_numbers(b);
  patch_with(b, "{\"op\":\"add\",\"path\":\"/a/0\",\"value\":1}", "{\"op\":\"remove\",\"path\":\"/a/0\"}",
             200);
}

static void patch_end(struct bench *b) {
  put_numbers(b);
  patch_with(b, "{\"op\":\"replace\",\"path\":\"/a/499000\",\"value\":[1,{\"a\":2}]}",
             "{\"op\":\"test\",\"path\":\"/a/499000\",\"value\":[1,{\"a\":2}]}", 200);
}

static void patch_copies(struct bench *b) {
  put_numbers(b);
  patch_with(b, "{\"op\":\"copy\",\"from\":\"/a\",\"path\":\"/b\"}", "{\"op\":\"remove\",\"path\":\"/b\"}",
             413);
}

static void patch_moves(struct bench *b) {
  put_members(b);
  patch_with(b, "{\"op\":\"move\",\"from\":\"/a\",\"path\":\"/b\"}",
             "{\"op\":\"move\",\"from\":\"/b\",\"path\":\"/a\"}", 200);
}

/* Objects of 4000 members, each removed or set. */
static void patch_merges(struct bench *b) {
  struct bytes body = {0};
  put_members(b);
  bytes_append_string(&body, "{\"a\":null,\"o\":{");
  for (size_t i = 0; body.n < BODY_BYTES; i++) {
    if (i > 0) bytes_printf(&body, i % 4000 == 0 ? "},\"o%zx\":{" : ",", i);
    bytes_printf(&body, "\"%zx\":%s", i, i % 2 == 0 ? "null" : "1");
  }
  bytes_append_string(&body, "}}");
  patch(b, "application/merge-patch+json", &body, 200);
  bytes_close(&body);
}

/* ---- Transactions ---- */

static void transact(struct bench *b) {
  struct bytes body = {0};
  char padding[7400];
  memset(padding, 'x', sizeof padding);
  bytes_append_string(&body, "{\"operations\":[");
  for (int i = 0; i < 128; i++)
    bytes_printf(&body, "%s{\"method\":\"put\",\"path\":\"t/%d\",\"body\":{\"x\":\"%.*s\"}}",
                 i == 0 ? "" : ",", i, (int)sizeof padding, padding);
  bytes_append_string(&body, "]}");
  ask(b, "POST /v1/transactions", slice_of_bytes(&body), 200);
  bytes_close(&body);
}

/* ---- Drops ---- */

static void drop_all(struct bench *b) {
  host_measure(&b->host);
  ask(b, "DELETE /v1/collections/c", (struct slice){0}, 204);
  for (int i = 0; i < 5000; i++) host_turn(&b->host);
  report(b, "dropping the first collection", &b->host.nodes[0].turns);
}

int main(int argc, char **argv) {
  struct bench b = {.documents = argc > 1 ? strtoul(argv[1], NULL, 10) : 1000000,
                    .runs = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 3,
                    .good = true};
  if (b.documents < 1000 || b.runs == 0) {
    fprintf(stderr, "usage: coracle-bench-turns [DOCUMENTS [RUNS [-v]]]\n");
    return 2;
  }
  setvbuf(stdout, NULL, _IOLBF, 0);
  host_open(&b.host);
  b.host.verbose = argc > 3;
  host_start(&b.host, 0, 0);
  for (int i = 0; i < FORM_TURNS_MAX; i++) host_turn(&b.host);
  connect_anew(&b);
  host_measure(&b.host);
  import(&b, POST_LINES("c"), b.documents);
  report(&b, "importing all documents, once", &b.host.nodes[0].turns);
  struct bytes empty = {0};
  bytes_append_string(&empty, "{}");
  ask(&b, "PUT /v1/collections/big/a", slice_of_bytes(&empty), 201);
  bytes_close(&empty);
  measure(&b, "a page of 1000 documents", NULL, page);
  measure(&b, "an export", NULL, export_all);
  measure(&b, "an import of up to 200,000 lines", empty_second, import_second);
  measure(&b, "an export broken off, all of it written over", fill_second, leave_an_export);
  measure(&b, "a document of 500,000 numbers", NULL, put_numbers);
  measure(&b, "a document of escaped strings", NULL, put_strings);
  measure(&b, "a document of objects with 4096 members", NULL, put_members);
  measure(&b, "a document of deep objects", NULL, put_nested);
  measure(&b, "16 documents of 500,000 numbers at once", NULL, put_many);
  measure(&b, "a page of those", put_many, page_of_large);
  measure(&b, "16 pages of those at once", put_many, many_pages);
  measure(&b, "a JSON patch of 4096 at the front of an array", NULL, patch_front);
  measure(&b, "a JSON patch of 4096 at the end of an array", NULL, patch_end);
  measure(&b, "a JSON patch of 4096 that copies all", NULL, patch_copies);
  measure(&b, "a JSON patch of 4096 that moves all", NULL, patch_moves);
  measure(&b, "a merge patch of a megabyte", NULL, patch_merges);
  measure(&b, "a transaction of 128 operations, a megabyte", NULL, transact);
  measure(&b, "dropping up to 200,000 documents", fill_second, empty_second);
  drop_all(&b);
  bytes_close(&b.sent);
  host_close(&b.host);
  return b.good ? 0 : 1;
}
