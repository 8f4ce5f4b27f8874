/* Importing lines made of the input. However the body is cut into pieces and the work into slices, each line
 * that is not empty has one result, in order, and becomes of it what becomes of a POST of that line alone:
 * the same status, the same problem, the same document.
 *
 * An input is a list of lines, right or wrong, chosen by its bytes, and then some bytes of the text are
 * changed. */
#include "fuzz.h"

#include <inttypes.h>
#include <string.h>

#include "api/api.h"
#include "fake_replica.h"
#include "json/text.h"

#define COLLECTION "/v1/collections/c"

enum { LINES_MAX = 32, DOCUMENT_BYTES_MAX = 200, STEPS_MAX = 100000 };

struct node {
  struct api *api;
  struct replica *replica;
  struct api_member self;
  struct api_view view;
};

/* ---- The node ---- */

static void node_open(struct node *node) {
  const struct api_options options = {.name = "a", .seed = 1, .document_bytes_max = DOCUMENT_BYTES_MAX};
  *node = (struct node){.api = api_new(&options), .replica = fake_replica_new()};
  node->self = (struct api_member){.id = 1, .name = "a", .http = "127.0.0.1:1", .voter = true, .self = true};
  node->view = (struct api_view){.wall_ms = 1700000000000,
                                 .id = 1,
                                 .name = "a",
                                 .role = CORACLE_RAFT_LEADER,
                                 .term = 1,
                                 .members = &node->self,
                                 .members_n = 1,
                                 .leader = &node->self,
                                 .committed_own_term = true};
}

static void node_close(struct node *node) {
  api_free(node->api);
  fake_replica_free(node->replica);
}

static enum api_action finish(struct node *node, struct api_call *call, struct bytes *out) {
  struct replica_result result;
  FUZZ_CHECK(fake_replica_finish(node->replica, REPLICA_APPLIED, &result));
  FUZZ_CHECK(result.waiter == call);
  return api_complete(node->api, &node->view, node->replica, call, call, &result, out);
}

/* ---- An import ---- */

/* The bytes that the connection still has. */
struct wire {
  struct http_parser *parser;
  struct bytes text;
  size_t taken;
};

/* The next piece, of about that size, or the end. */
static void receive(struct wire *wire, size_t piece_bytes, struct api_call *call) {
  struct http_request request;
  struct http_error error;
  size_t consumed = 0;
  const size_t rest = wire->text.n - wire->taken, n = rest < piece_bytes ? rest : piece_bytes;
  FUZZ_CHECK(call->body.n < call->body_bytes_max);
  switch (http_parser_execute(wire->parser, wire->text.data + wire->taken, n, &consumed, &request, &error)) {
  case HTTP_BODY_PIECE:
    bytes_append_slice(&call->body, request.body);
    break;
  case HTTP_BODY_END:
    call->body_ended = true;
    break;
  default:
    FUZZ_CHECK(rest > 0);
  }
  wire->taken += consumed;
}

static void import(struct node *node, struct slice lines, size_t piece_bytes, size_t slice_units,
                   struct bytes *out) {
  struct wire wire = {.parser = http_parser_new(DOCUMENT_BYTES_MAX, API_STREAMED_TYPE)};
  struct http_request request;
  struct http_error error;
  struct api_call call;
  bytes_printf(&wire.text,
               "POST " COLLECTION " HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Type: " API_STREAMED_TYPE
               "\r\nContent-Length: %zu\r\n\r\n",
               lines.n);
  bytes_append_slice(&wire.text, lines);
  FUZZ_CHECK(http_parser_execute(wire.parser, wire.text.data, wire.text.n, &wire.taken, &request, &error) ==
             (lines.n > 0 ? HTTP_HEAD_READY : HTTP_REQUEST_READY));
  enum api_action action = api_request(node->api, &node->view, node->replica, &request, &call, &call, out);
  for (unsigned steps = 0; action != API_RESPONDED; steps++) {
    size_t budget = slice_units;
    FUZZ_CHECK(steps < STEPS_MAX && call.streams);
    if (action == API_STARVED) receive(&wire, piece_bytes, &call);
    action = action == API_WAITING
                 ? finish(node, &call, out)
                 : api_work(node->api, &node->view, node->replica, &call, &call, &budget, out);
  }
  FUZZ_CHECK(lines.n == 0 || call.body_ended);
  api_call_close(&call);
  http_parser_free(wire.parser);
  bytes_close(&wire.text);
}

/* What came in chunks, as one text. */
static void put_together(const struct bytes *answer, struct bytes *text) {
  const char *at = memmem(answer->data, answer->n, "\r\n\r\n", 4);
  FUZZ_CHECK(at != NULL && memcmp(answer->data, "HTTP/1.1 200 ", 13) == 0);
  for (at += 4;;) {
    char *end;
    const size_t n = strtoull(at, &end, 16);
    FUZZ_CHECK(end[0] == '\r' && end[1] == '\n');
    if (n == 0) break;
    bytes_append(text, end + 2, n);
    at = end + 2 + n + 2;
  }
  bytes_append(text, "", 1);
}

/* ---- A POST ---- */

struct outcome {
  int status;
  char code[40]; /* empty: it is no problem */
};

static void read_code(const char *text, const char *end, struct outcome *outcome) {
  static const char member[] = "\"code\":\"";
  const char *at = memmem(text, (size_t)(end - text), member, sizeof member - 1);
  outcome->code[0] = '\0';
  if (at != NULL) sscanf(at + sizeof member - 1, "%39[a-z_]", outcome->code);
}

static struct outcome post(struct node *node, struct slice line) {
  struct http_parser *parser = http_parser_new(DOCUMENT_BYTES_MAX, NULL);
  struct bytes text = {0}, out = {0};
  struct http_request request;
  struct http_error error;
  struct api_call call;
  struct outcome outcome = {.status = 413, .code = "document_too_large"};
  size_t consumed;
  bytes_printf(&text,
               "POST " COLLECTION " HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Type: application/json\r\n"
               "Content-Length: %zu\r\n\r\n",
               line.n);
  bytes_append_slice(&text, line);
  if (http_parser_execute(parser, text.data, text.n, &consumed, &request, &error) == HTTP_REQUEST_READY) {
    if (api_request(node->api, &node->view, node->replica, &request, &call, &call, &out) == API_WAITING)
      FUZZ_CHECK(finish(node, &call, &out) == API_RESPONDED);
    api_call_close(&call);
    bytes_append(&out, "", 1);
    FUZZ_CHECK(sscanf((char *)out.data, "HTTP/1.1 %d ", &outcome.status) == 1);
    read_code((char *)out.data, (char *)out.data + out.n, &outcome);
    if (outcome.status < 300) outcome.code[0] = '\0'; /* the document may have such a member */
  }
  http_parser_free(parser);
  bytes_close(&text);
  bytes_close(&out);
  return outcome;
}

/* ---- The text ---- */

static void write_line(struct fuzz_input *in, struct bytes *out) {
  static const char *const lines[] = {"{}",
                                      "{\"x\":1e999}",
                                      "{\"id\":\"a\"}",
                                      " {\"id\":7 } ",
                                      "{\"id\":\"\\u0062\"}",
                                      "{\"id\":null}",
                                      "{\"id\":\"\"}",
                                      "{\"id\":\"c\",\"id\":\"d\"}",
                                      "",
                                      " \t",
                                      "\r",
                                      "[]",
                                      "{",
                                      "{\"x\":\"\r\"}",
                                      "\xef\xbb\xbf{}",
                                      "\"\xff\""};
  const unsigned which = fuzz_byte(in);
  if (which < 160)
    bytes_append_string(out, lines[which % (sizeof lines / sizeof *lines)]);
  else if (which < 208)
    bytes_printf(out, "{\"id\":%u,\"x\":\"%0*d\"}", which, fuzz_byte(in), 0); /* about the limit */
  else if (which < 232)
    bytes_printf(out, "{\"x\":\"%0*d\"}", fuzz_byte(in), 0);
  else
    bytes_printf(out, "{\"x\":\"%0*d\"}", fuzz_u16(in) % 2000, 0);
  bytes_append_string(out, fuzz_byte(in) % 4 == 0 ? "\r\n" : "\n");
}

static void write_lines(struct fuzz_input *in, struct bytes *out) {
  const unsigned n = fuzz_byte(in) % LINES_MAX, changes = fuzz_byte(in);
  for (unsigned i = 0; i < n; i++) write_line(in, out);
  if (out->n > 0 && changes % 3 == 0) out->n--;
  for (unsigned i = 0; out->n > 0 && changes >= 192 && i < changes % 4; i++)
    out->data[fuzz_u16(in) % out->n] = (uint8_t) "\"\\{}[],:\n\r7 \xff\0"[fuzz_byte(in) % 14];
}

/* ---- What is to hold ---- */

/* Posts each line, and finds its result next in *results. */
static void check_lines(struct node *node, struct slice lines, const char *results) {
  for (uint64_t number = 1; lines.n > 0; number++) {
    const char *end = memchr(lines.at, '\n', lines.n);
    const size_t taken = end != NULL ? (size_t)(end - lines.at) + 1 : lines.n;
    struct slice line = {lines.at, end != NULL ? taken - 1 : taken};
    lines = (struct slice){lines.at + taken, lines.n - taken};
    if (line.n > 0 && line.at[line.n - 1] == '\r') line.n--;
    if (json_trim(line).n == 0 && line.n <= DOCUMENT_BYTES_MAX) continue;
    const struct outcome wanted = post(node, line);
    struct outcome found;
    uint64_t found_number;
    FUZZ_CHECK(sscanf(results, "{\"line\":%" SCNu64 ",\"status\":%d", &found_number, &found.status) == 2);
    end = strchr(results, '\n');
    FUZZ_CHECK(end != NULL);
    read_code(results, end, &found);
    FUZZ_CHECK(found_number == number && found.status == wanted.status &&
               strcmp(found.code, wanted.code) == 0);
    results = end + 1;
  }
  FUZZ_CHECK(*results == '\0');
}

static void check_documents(const struct node *one, const struct node *other) {
  const struct store *stores[2] = {replica_store(one->replica), replica_store(other->replica)};
  const struct slice collection = slice_of("c");
  struct slice last = {0};
  FUZZ_CHECK(store_documents(stores[0]) == store_documents(stores[1]));
  for (struct store_record *a; (a = store_after(stores[0], collection, last)) != NULL;
       last = store_record_id(a)) {
    const struct store_record *b = store_get(stores[1], collection, store_record_id(a));
    FUZZ_CHECK(b != NULL && slice_equal(store_record_body(a), store_record_body(b)));
  }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct fuzz_input in = {data, data + n};
  const size_t slice_units = 1u + fuzz_byte(&in) * 32u, piece_bytes = 1u + fuzz_byte(&in) * 4u;
  struct bytes lines = {0}, answer = {0}, results = {0};
  struct node one, other;
  node_open(&one);
  node_open(&other);
  write_lines(&in, &lines);
  import(&one, slice_of_bytes(&lines), piece_bytes, slice_units, &answer);
  put_together(&answer, &results);
  check_lines(&other, slice_of_bytes(&lines), (const char *)results.data);
  check_documents(&one, &other);
  node_close(&one);
  node_close(&other);
  bytes_close(&lines);
  bytes_close(&answer);
  bytes_close(&results);
  return 0;
}
