/* Goal: each datagram and each frame that there is has the bytes that wire_vectors.h gives, sealed and plain,
 * and is read back from them. The same vectors are made by an implementation in Python, from
 * docs/wire-format.md alone. */
#include "wire_vectors.h"

#include "golden.h"
#include "join/message.h"
#include "wire/raft_message.h"
#include "wire/report.h"
#include "wire/seal.h"

#include <stdio.h>

static const uint64_t from = 0x0102030405060708, to = 0x1112131415161718;
enum { TERM = 3, ROUND = 9 };

/* n bytes that count up from `first`. */
static const uint8_t *counting(uint8_t *bytes, size_t n, uint8_t first) {
  for (size_t i = 0; i < n; i++) bytes[i] = (uint8_t)(first + i);
  return bytes;
}

static struct address ip4(uint8_t first, uint8_t last, uint16_t port) {
  return (struct address){.family = ADDRESS_IP4, .ip = {first, 0, 0, last}, .port = port};
}

/* ---- What is vouched for ---- */

struct vector {
  const char *name, *plain, *sealed;
};
#define VECTOR(name, plain, sealed) {#name, plain, sealed},
static const struct vector datagram_vectors[] = {DATAGRAM_VECTORS};
static const struct vector frame_vectors[] = {FRAME_VECTORS};
#undef VECTOR
#define N(array) (sizeof(array) / sizeof *(array))

static const struct vector *find(const struct vector *vectors, size_t n, const char *name) {
  for (size_t i = 0; i < n; i++)
    if (strcmp(vectors[i].name, name) == 0) return &vectors[i];
  fail_msg("no vector %s", name);
  return NULL;
}

/* ---- Datagrams ---- */

static struct seal_keys keys(void) {
  uint8_t secret[SECRET_BYTES];
  struct seal_keys keys;
  seal_keys_derive(counting(secret, sizeof secret, 0), &keys);
  return keys;
}

static void check_datagram(const char *name, uint8_t type, uint64_t round, const struct bytes *body) {
  const struct vector *vector = find(datagram_vectors, N(datagram_vectors), name);
  const struct seal_keys sealing = keys();
  struct datagram datagram = {.type = type,
                              .from = from,
                              .to = to,
                              .start = 1795000000000,
                              .counter = 7,
                              .term = TERM,
                              .round = round,
                              .body = slice_of_bytes(body)},
                  opened;
  uint8_t nonce[SEAL_NONCE_BYTES], plain[DATAGRAM_BYTES_MAX];
  struct bytes out = {0};
  counting(datagram.cluster, CLUSTER_ID_BYTES, 0xc0);
  assert_golden(body->data, body->n, vector->plain);
  datagram_seal(&datagram, sealing.datagrams, counting(nonce, sizeof nonce, 0x40), &out);
  assert_golden(out.data, out.n, vector->sealed);
  assert_int_equal(datagram_open(out.data, out.n, sealing.datagrams, plain, &opened), DATAGRAM_NONE);
  assert_int_equal(opened.type, type);
  assert_true(opened.from == from && opened.to == to && opened.term == TERM && opened.round == round);
  assert_true(slice_equal(opened.body, datagram.body));
  bytes_close(&out);
}

static struct join_message join_message(enum join_message_type type, const char *name, struct address http) {
  struct join_message message = {.type = type, .card = {.http = http}};
  snprintf(message.card.name, sizeof message.card.name, "%s", name);
  return message;
}

static void check_join(const char *name, const struct join_message *message) {
  struct bytes body = {0}, again = {0};
  struct join_message read;
  join_message_encode(message, &body);
  check_datagram(name, (uint8_t)message->type, 0, &body);
  assert_int_equal(join_message_decode((uint8_t)message->type, body.data, body.n, &read), 0);
  join_message_encode(&read, &again);
  assert_true(slice_equal(slice_of_bytes(&body), slice_of_bytes(&again)));
  bytes_close(&body);
  bytes_close(&again);
}

static void messages_of_the_handshake(void **state) {
  (void)state;
  const struct address ip6 = {.family = ADDRESS_IP6, .ip = {[15] = 1}, .port = 8002};
  struct join_message message = join_message(JOIN_ACCEPT, "b", ip4(127, 1, 8001));
  message.card.memory_storage = true;
  check_join("ACCEPT", &message);

  message = join_message(JOIN_CREDENTIALS, "a-node", ip6);
  message.card.established = message.card.leader = message.has_token = true;
  counting(message.token, sizeof message.token, 0xa0);
  check_join("CREDENTIALS", &message);

  message = join_message(JOIN_CREDENTIALS, "a", ip4(127, 1, 8001));
  message.card.leader = message.card.memory_storage = true;
  check_join("CREDENTIALS_ANNOUNCED", &message);

  message = (struct join_message){.type = JOIN_SAVED};
  check_join("SAVED", &message);

  message = join_message(JOIN_NOT_YET, "c", ip4(127, 1, 8001));
  message.card.was_member = true;
  snprintf(message.text, sizeof message.text, "listening");
  check_join("NOT_YET", &message);

  message = (struct join_message){.type = JOIN_REFUSED, .text = "name_taken: b"};
  check_join("REFUSED", &message);

  message = join_message(JOIN_PROBE, "d", ip4(127, 1, 8001));
  message.round = 5;
  message.peers.n = 2;
  message.peers.at[0] = ip4(10, 1, 8000);
  message.peers.at[1] = ip4(10, 2, 8000);
  check_join("PROBE", &message);

  message = join_message(JOIN_PROBED, "e", ip4(127, 1, 8001));
  message.round = 5;
  check_join("PROBED", &message);

  message = (struct join_message){.type = JOIN_REMOVED};
  check_join("REMOVED", &message);
}

static void check_raft_datagram(const char *name, const struct coracle_raft_message *message) {
  struct bytes body = {0};
  raft_message_put_body(&body, message);
  check_datagram(name, (uint8_t)(DATAGRAM_TYPE_RAFT + message->type), ROUND, &body);
  bytes_close(&body);
}

static void rafts_datagrams(void **state) {
  (void)state;
  struct coracle_raft_message message = {.type = CORACLE_RAFT_VOTE_REQUEST};
  message.vote_request.pre = true;
  message.vote_request.last_index = 12;
  message.vote_request.last_term = 2;
  check_raft_datagram("VOTE_REQUEST", &message);

  message = (struct coracle_raft_message){.type = CORACLE_RAFT_VOTE_REPLY};
  message.vote_reply.granted = true;
  check_raft_datagram("VOTE_REPLY", &message);

  message = (struct coracle_raft_message){.type = CORACLE_RAFT_HEARTBEAT};
  message.heartbeat.commit = 10;
  message.heartbeat.leader_commit = 11;
  check_raft_datagram("HEARTBEAT", &message);

  message = (struct coracle_raft_message){.type = CORACLE_RAFT_HEARTBEAT_REPLY};
  check_raft_datagram("HEARTBEAT_REPLY", &message);
}

/* ---- Frames ---- */

/* One stream: each frame is the next of its direction. */
struct stream {
  struct seal_stream to_follower, to_leader;
};

static struct stream stream(void) {
  uint8_t leader[SEAL_RANDOM_BYTES], follower[SEAL_RANDOM_BYTES];
  const struct seal_keys sealing = keys();
  struct stream stream;
  seal_streams_derive(&sealing, counting(leader, sizeof leader, 0x60),
                      counting(follower, sizeof follower, 0x80), &stream.to_follower, &stream.to_leader);
  return stream;
}

static void check_frame(const char *name, struct seal_stream *seal, struct bytes *out) {
  const struct vector *vector = find(frame_vectors, N(frame_vectors), name);
  struct seal_stream opening = *seal;
  struct frame frame;
  size_t consumed, needed;
  assert_int_equal(frame_next(out->data, out->n, &consumed, &needed, &frame), 1);
  assert_golden(frame.payload.at, frame.payload.n, vector->plain);
  frames_seal(seal, out, 0);
  assert_golden(out->data, out->n, vector->sealed);
  assert_int_equal(frame_open(&opening, out->data, out->n, &needed), 1);
  assert_int_equal(frame_next(out->data, out->n, &consumed, &needed, &frame), 1);
  assert_golden(frame.payload.at, frame.payload.n, vector->plain);
  out->n = 0;
}

static struct coracle_raft_configuration configuration(void) {
  struct coracle_raft_configuration configuration = {.members_n = 1};
  struct join_member member = {
      .memory_storage = true, .name = "a", .http = ip4(127, 1, 8001), .udp = ip4(127, 1, 9001)};
  configuration.members[0] = (struct coracle_raft_member){.id = from, .voter = true};
  join_member_encode(&member, &configuration.members[0]);
  return configuration;
}

static void put_append(struct bytes *out) {
  const struct coracle_raft_configuration members = configuration();
  struct coracle_raft_entry *entries[] = {coracle_raft_entry_new(CORACLE_RAFT_NOOP, 0),
                                          coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 5),
                                          coracle_raft_configuration_entry(&members)};
  struct coracle_raft_message message = {
      .type = CORACLE_RAFT_APPEND, .term = TERM, .append = {8, 2, 7, entries, 3}};
  memcpy(entries[1]->data, "hello", 5);
  for (size_t i = 0; i < 3; i++) {
    entries[i]->index = 9 + i;
    entries[i]->term = TERM;
  }
  raft_message_put_frame(out, &message);
  for (size_t i = 0; i < 3; i++) coracle_raft_entry_unref(entries[i]);
}

static void put_snapshot(struct bytes *out) {
  const struct coracle_raft_snapshot snapshot = {.index = 6,
                                                 .term = 2,
                                                 .bytes = 1000,
                                                 .tag = 0xdeadbeef,
                                                 .configuration_index = 4,
                                                 .configuration = configuration()};
  struct coracle_raft_message message = {.type = CORACLE_RAFT_SNAPSHOT, .term = TERM, .round = ROUND};
  message.snapshot.snapshot = &snapshot;
  message.snapshot.offset = 500;
  message.snapshot.data = (const uint8_t *)"the chunk";
  message.snapshot.n = 9;
  raft_message_put_frame(out, &message);
}

static void frames_of_a_stream(void **state) {
  (void)state;
  struct stream s = stream();
  struct bytes out = {0};
  struct hello hello = {.protocol = HELLO_PROTOCOL, .from = to, .term = 2};
  counting(hello.cluster, sizeof hello.cluster, 0xc0);
  hello_encode(&hello, &out);
  check_frame("HELLO_OF_FOLLOWER", &s.to_leader, &out);
  hello.from = from;
  hello.to = to;
  hello.term = TERM;
  hello_encode(&hello, &out);
  check_frame("HELLO_OF_LEADER", &s.to_follower, &out);

  put_append(&out);
  check_frame("APPEND", &s.to_follower, &out);
  struct coracle_raft_message message = {.type = CORACLE_RAFT_APPEND_REPLY, .term = TERM};
  message.append_reply.previous_index = 8;
  message.append_reply.conflict_index = 5;
  message.append_reply.conflict_term = 1;
  raft_message_put_frame(&out, &message);
  check_frame("APPEND_REPLY", &s.to_leader, &out);

  message = (struct coracle_raft_message){.type = CORACLE_RAFT_READ_REQUEST, .term = TERM};
  message.read_request.request = 77;
  raft_message_put_frame(&out, &message);
  check_frame("READ_REQUEST", &s.to_leader, &out);
  message = (struct coracle_raft_message){.type = CORACLE_RAFT_READ_REPLY, .term = TERM};
  message.read_reply.request = 77;
  message.read_reply.index = 11;
  raft_message_put_frame(&out, &message);
  check_frame("READ_REPLY", &s.to_follower, &out);
  message = (struct coracle_raft_message){.type = CORACLE_RAFT_TIMEOUT_NOW, .term = TERM};
  raft_message_put_frame(&out, &message);
  check_frame("TIMEOUT_NOW", &s.to_follower, &out);

  put_snapshot(&out);
  check_frame("SNAPSHOT", &s.to_follower, &out);
  message = (struct coracle_raft_message){.type = CORACLE_RAFT_SNAPSHOT_REPLY, .term = TERM, .round = ROUND};
  message.snapshot_reply.index = 6;
  message.snapshot_reply.term = 2;
  message.snapshot_reply.tag = 0xdeadbeef;
  message.snapshot_reply.offset = 509;
  raft_message_put_frame(&out, &message);
  check_frame("SNAPSHOT_REPLY", &s.to_leader, &out);

  storage_report_encode(STORAGE_FULL, &out);
  check_frame("STORAGE", &s.to_leader, &out);
  state_report_encode(&(struct state_report){2048, 0x1122334455667788, 0x99aabbccddeeff00}, &out);
  check_frame("STATE", &s.to_follower, &out);
  bytes_close(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(messages_of_the_handshake),
      cmocka_unit_test(rafts_datagrams),
      cmocka_unit_test(frames_of_a_stream),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
