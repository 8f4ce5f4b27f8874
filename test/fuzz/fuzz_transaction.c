/* POST /v1/transactions, with bodies made of the input. In slices of any size the answer is the same, byte
 * for byte, as at once. What is refused has changed nothing; what succeeds has changed every document that it
 * says, and nothing once more when it is sent again with its key.
 *
 * An input is a list of operations, written from a grammar that its bytes choose from, right or wrong, on a
 * few documents; and then some bytes of the text are changed. */
#include "fuzz.h"

#include <inttypes.h>
#include <string.h>

#include "api/api.h"
#include "fake_replica.h"

enum { OPERATIONS_MAX = 8, DOCUMENT_BYTES_MAX = 300, STEPS_MAX = 100000 };

struct node {
  struct api *api;
  struct replica *replica;
  struct api_member self;
  struct api_view view;
};

/* ---- The node ---- */

static void store(struct replica *replica, const char *id, const char *body) {
  const struct command command = {
      .type = COMMAND_PUT, .collection = slice_of("c"), .id = slice_of(id), .body = slice_of(body)};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  struct replica_result result;
  command_encode(&command, entry->data);
  replica_propose(replica, entry, 0, replica);
  FUZZ_CHECK(fake_replica_finish(replica, REPLICA_APPLIED, &result));
  store_result_close(&result.store);
}

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
  store(node->replica, "a", "{\"id\":\"a\",\"x\":1,\"y\":[1,{\"z\":\"\\u0000\"}]}"); /* 17 */
  store(node->replica, "7", "{\"id\" : 7}");
}

static void node_close(struct node *node) {
  api_free(node->api);
  fake_replica_free(node->replica);
}

static struct state_hash hash_of(const struct node *node) {
  return store_state_hash(replica_store(node->replica));
}

static enum api_action finish(struct node *node, struct api_call *call, struct bytes *out) {
  struct replica_result result;
  if (fake_replica_read(node->replica) != NULL)
    FUZZ_CHECK(fake_replica_finish_read(node->replica, REPLICA_READABLE, &result));
  else
    FUZZ_CHECK(fake_replica_finish(node->replica, REPLICA_APPLIED, &result));
  FUZZ_CHECK(result.waiter == call);
  return api_complete(node->api, &node->view, node->replica, call, call, &result, out);
}

/* Returns the status. */
static int send(struct node *node, struct slice body, size_t slice_units, struct bytes *out) {
  struct http_parser *parser = http_parser_new(1 << 20, NULL);
  struct bytes text = {0};
  struct http_request request;
  struct http_error error;
  struct api_call call;
  size_t consumed;
  int status = 0;
  bytes_printf(&text,
               "POST /v1/transactions HTTP/1.1\r\nHost: 127.0.0.1:1\r\nContent-Type: application/json\r\n"
               "Idempotency-Key: k\r\nContent-Length: %zu\r\n\r\n",
               body.n);
  bytes_append_slice(&text, body);
  FUZZ_CHECK(http_parser_execute(parser, text.data, text.n, &consumed, &request, &error) ==
             HTTP_REQUEST_READY);
  enum api_action action = api_request(node->api, &node->view, node->replica, &request, &call, &call, out);
  memset(text.data, 'x', text.n); /* the parser has gone on */
  http_parser_free(parser);
  for (unsigned steps = 0; action != API_RESPONDED; steps++) {
    size_t budget = slice_units;
    FUZZ_CHECK(steps < STEPS_MAX && (action == API_WAITING || action == API_WORKING));
    action = action == API_WAITING
                 ? finish(node, &call, out)
                 : api_work(node->api, &node->view, node->replica, &call, &call, &budget, out);
  }
  api_call_close(&call);
  bytes_close(&text);
  bytes_append(out, "", 1);
  FUZZ_CHECK(sscanf((char *)out->data, "HTTP/1.1 %d ", &status) == 1);
  return status;
}

/* ---- The text ---- */

/* Mostly one of the right ones. */
static const char *choose(struct fuzz_input *in, const char *const *right, size_t right_n,
                          const char *const *wrong, size_t wrong_n) {
  const uint8_t choice = fuzz_byte(in);
  return choice < 245 ? right[choice % right_n] : wrong[choice % wrong_n];
}
#define N(texts) (sizeof(texts) / sizeof *(texts))

static const char *choose_path(struct fuzz_input *in, bool is_post) {
  static const char *const right[] = {"c/a", "c/7", "/v1/collections/c/a", "c/b", "c/d", "c/%64e",
                                      "d/a", "c/ "};
  static const char *const collections[] = {"c", "d", "/v1/collections/c"};
  static const char *const wrong[] = {"c", "c/", "", "c/%", "c/\\u0000", "c/..", "c/a/b", "d d/a", "d d"};
  return is_post ? choose(in, collections, N(collections), wrong, N(wrong))
                 : choose(in, right, N(right), wrong, N(wrong));
}

static const char *choose_document(struct fuzz_input *in) {
  static const char *const right[] = {"{}", "{\"x\":1e999}", "{\"id\":\"a\"}", "{\"id\":7}",
                                      "{\"x\":{\"id\":null}}"};
  static const char *const wrong[] = {"{\"id\":-0}", "{\"id\":\"\"}", "[]", "1"};
  return choose(in, right, N(right), wrong, N(wrong));
}

static const char *choose_patch(struct fuzz_input *in) {
  static const char *const right[] = {
      "{\"x\":{\"y\":null}}",
      "{\"id\":null}",
      "{\"x\":null,\"id\":\"a\"}",
      "[{\"op\":\"test\",\"path\":\"/x\",\"value\":1.0},{\"op\":\"remove\",\"path\":\"/y/0\"}]",
      ("[{\"op\":\"copy\",\"from\":\"\",\"path\":\"/z\"},{\"op\":\"copy\",\"from\":\"\",\"path\":\"/z\"},"
       "{\"op\":\"copy\",\"from\":\"\",\"path\":\"/z\"},{\"op\":\"copy\",\"from\":\"\",\"path\":\"/z\"}]"),
      "[]",
      "[{\"op\":\"add\",\"path\":\"/x\",\"value\":2}]",
  };
  static const char *const wrong[] = {"[{\"op\":\"replace\",\"path\":\"\",\"value\":1}]",
                                      "[{\"op\":\"nothing\"}]", "{\"id\":\"b\"}", "1"};
  return choose(in, right, N(right), wrong, N(wrong));
}

static void write_operation(struct fuzz_input *in, struct bytes *out) {
  static const char *const methods[] = {"put", "patch", "post",       "delete",
                                        "PUT", "patch", "\\u0050ost", "Delete"};
  static const char *const wrong_methods[] = {"", "get", "\\ud83d\\ude00"};
  static const char *const conditions[] = {"",
                                           "",
                                           "",
                                           "",
                                           "",
                                           ",\"if_match\":\"17\"",
                                           ",\"if_match\":\"*\"",
                                           ",\"if_match\":\"\\\"18\\\"\"",
                                           ",\"if_none_match\":\"*\""};
  static const char *const wrong_conditions[] = {",\"if_none_match\":\"17\"", ",\"if_match\":\"\\\"\"",
                                                 ",\"if\":1", ",\"body\":{}"};
  const char *method = choose(in, methods, N(methods), wrong_methods, N(wrong_methods));
  const bool is_post = strstr(method, "ost") != NULL, is_patch = strcmp(method, "patch") == 0;
  const bool is_delete = strstr(method, "elete") != NULL;
  bytes_printf(out, "{\"method\":\"%s\",\"path\":\"%s\"", method, choose_path(in, is_post));
  bytes_append_string(out, choose(in, conditions, N(conditions), wrong_conditions, N(wrong_conditions)));
  if (is_delete == (fuzz_byte(in) > 250))
    bytes_printf(out, ",\"body\":%s", is_patch ? choose_patch(in) : choose_document(in));
  bytes_append_string(out, "}");
}

static void write_body(struct fuzz_input *in, struct bytes *out) {
  const unsigned n = fuzz_byte(in) % OPERATIONS_MAX;
  const unsigned changes = fuzz_byte(in);
  bytes_append_string(out, "{\"operations\":[");
  for (unsigned i = 0; i <= n; i++) {
    if (i > 0) bytes_append_string(out, ",");
    write_operation(in, out);
  }
  bytes_append_string(out, "]}");
  for (unsigned i = 0; changes >= 224 && i < changes % 4; i++)
    out->data[fuzz_u16(in) % out->n] = (uint8_t) "\"\\{}[],:/%a7 \xff"[fuzz_byte(in) % 14];
}

/* ---- What is to hold ---- */

static uint64_t revision_of(const struct node *node, const char *id) {
  const struct store_record *record = store_get(replica_store(node->replica), slice_of("c"), slice_of(id));
  return record != NULL ? record->revision : 0;
}

static bool is_as_before(const struct node *node) {
  return store_documents(replica_store(node->replica)) == 2 && revision_of(node, "a") == 17 &&
         revision_of(node, "7") == 18;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct fuzz_input in = {data, data + n};
  const size_t slice_units = 1u + fuzz_byte(&in) * 8u;
  struct bytes body = {0}, at_once = {0}, sliced = {0}, again = {0};
  struct node one, other;
  node_open(&one);
  node_open(&other);
  write_body(&in, &body);
  const struct state_hash before = hash_of(&one);
  const int status = send(&one, slice_of_bytes(&body), SIZE_MAX, &at_once);
  const struct state_hash after = hash_of(&one);
  FUZZ_CHECK(status == 200 || status == 400 || status == 409);
  FUZZ_CHECK((strstr((char *)at_once.data, "\"transaction_failed\"") != NULL) == (status == 409));
  FUZZ_CHECK((status == 200) != is_as_before(&one));
  if (status == 400) FUZZ_CHECK(state_hash_equal(before, after)); /* no key is remembered */

  FUZZ_CHECK(send(&other, slice_of_bytes(&body), slice_units, &sliced) == status);
  FUZZ_CHECK(slice_equal(slice_of_bytes(&at_once), slice_of_bytes(&sliced)));
  FUZZ_CHECK(state_hash_equal(hash_of(&other), after));

  /* Remembered, or refused for what has not changed since. */
  FUZZ_CHECK(send(&one, slice_of_bytes(&body), slice_units, &again) == status);
  FUZZ_CHECK(state_hash_equal(hash_of(&one), after));
  if (status == 200) FUZZ_CHECK(strstr((char *)again.data, "Idempotency-Replayed: true") != NULL);

  node_close(&one);
  node_close(&other);
  bytes_close(&body);
  bytes_close(&at_once);
  bytes_close(&sliced);
  bytes_close(&again);
  return 0;
}
