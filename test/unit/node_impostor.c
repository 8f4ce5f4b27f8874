#include "node_impostor.h"

#include "node/core.h"
#include "store/command.h"

#include <stdio.h>
#include <stdlib.h>

static struct address local(uint16_t port) {
  return (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = port};
}

void impostor_open(struct impostor *b, struct world *w, int number) {
  *b = (struct impostor){.world = w,
                         .tap = world_tap(w, local((uint16_t)(15000 + number))),
                         .id = 0xb000 + (uint64_t)number,
                         .term = 1,
                         .start = 1,
                         .http = local((uint16_t)(16000 + number))};
  memset(b->token, 0xb0 + number, sizeof b->token);
}

void impostor_send(struct impostor *b, struct address to, uint64_t to_id, uint8_t type, const void *body,
                   size_t n) {
  struct datagram datagram = {.type = type,
                              .from = b->id,
                              .to = to_id,
                              .start = b->start,
                              .counter = ++b->counter,
                              .term = b->term,
                              .body = {body, n}};
  struct bytes out = {0};
  memcpy(datagram.cluster, b->cluster, sizeof b->cluster);
  datagram_encode(&datagram, &out);
  world_send(b->world, b->tap->address, to, out.data, out.n);
  bytes_close(&out);
}

void impostor_say(struct impostor *b, struct address to, uint64_t to_id, enum join_message_type type) {
  struct join_message message = {
      .type = type, .has_token = true, .card = {.leader = b->leads, .memory_storage = true, .http = b->http}};
  struct bytes body = {0};
  snprintf(message.card.name, sizeof message.card.name, "impostor-%04x", (unsigned)b->id);
  memcpy(message.token, b->token, sizeof message.token);
  join_message_encode(&message, &body);
  impostor_send(b, to, to_id, (uint8_t)type, body.data, body.n);
  bytes_close(&body);
}

void impostor_send_raft(struct impostor *b, struct address to, uint64_t to_id,
                        const struct coracle_raft_message *message) {
  struct datagram datagram = {.type = (uint8_t)(DATAGRAM_TYPE_RAFT + message->type),
                              .from = b->id,
                              .to = to_id,
                              .start = b->start,
                              .counter = ++b->counter,
                              .term = message->term,
                              .round = message->round};
  struct bytes body = {0}, out = {0};
  raft_message_put_body(&body, message);
  datagram.body = slice_of_bytes(&body);
  memcpy(datagram.cluster, b->cluster, sizeof b->cluster);
  datagram_encode(&datagram, &out);
  world_send(b->world, b->tap->address, to, out.data, out.n);
  bytes_close(&body);
  bytes_close(&out);
}

bool impostor_heard(struct impostor *b, const struct tap *tap, enum join_message_type type) {
  struct datagram datagram;
  if (tap->received_n == 0 || datagram_decode(tap->last.data, tap->last.n, &datagram) != DATAGRAM_NONE)
    return false;
  if (datagram.type != type) return false;
  b->heard_from = datagram.from;
  return join_message_decode(datagram.type, datagram.body.at, datagram.body.n, &b->heard) == 0;
}

void impostor_lead(struct impostor *b) {
  struct world *w = b->world;
  struct tap *election = world_tap(w, world_election());
  b->leads = true;
  memset(b->cluster, 'x', sizeof b->cluster);
  world_occupy(w, true);
  if (!world_is_running(w, 0)) world_start(w, 0);
  WORLD_UNTIL(w, impostor_heard(b, election, JOIN_ACCEPT), 200);
  impostor_say(b, election->from, b->heard_from, JOIN_CREDENTIALS);
  WORLD_UNTIL(w, impostor_heard(b, b->tap, JOIN_CREDENTIALS), 200);
  memcpy(b->node_token, b->heard.token, sizeof b->node_token);
  impostor_say(b, b->tap->from, b->heard_from, JOIN_SAVED);
  WORLD_UNTIL(w, world_http_is_open(w, 0), 200);
}

struct wire *impostor_stream(struct impostor *b, int node) {
  struct wire *wire = world_connect(b->world, node);
  struct bytes request = {0};
  bytes_append_string(&request, "GET /v1/replication HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                                "Upgrade: coracle-replication/1\r\nAuthorization: Bearer ");
  for (size_t i = 0; i < sizeof b->node_token; i++) bytes_printf(&request, "%02x", b->node_token[i]);
  bytes_append_string(&request, "\r\n\r\n");
  wire_send(b->world, wire, request.data, request.n);
  bytes_close(&request);
  WORLD_UNTIL(b->world, wire_has(wire, "\r\n\r\n"), 200);
  assert_memory_equal(wire->received.data, "HTTP/1.1 101 ", 13);
  wire->received.n = 0;
  return wire;
}

void impostor_hello(struct impostor *b, struct wire *wire, uint64_t term) {
  struct hello hello = {.protocol = HELLO_PROTOCOL, .from = b->id, .to = world_id(b->world, 0), .term = term};
  struct bytes out = {0};
  memcpy(hello.cluster, b->cluster, sizeof hello.cluster);
  hello_encode(&hello, &out);
  wire_send(b->world, wire, out.data, out.n);
  bytes_close(&out);
}

void impostor_append(struct impostor *b, struct wire *wire, uint64_t previous_index, uint64_t previous_term,
                     uint64_t commit, struct coracle_raft_entry **entries, size_t entries_n) {
  struct coracle_raft_message message = {
      .type = CORACLE_RAFT_APPEND,
      .from = b->id,
      .to = world_id(b->world, 0),
      .term = b->term,
      .append = {previous_index, previous_term, commit, entries, entries_n}};
  struct bytes out = {0};
  raft_message_put_frame(&out, &message);
  wire_send(b->world, wire, out.data, out.n);
  bytes_close(&out);
  for (size_t i = 0; i < entries_n; i++) coracle_raft_entry_unref(entries[i]);
}

struct coracle_raft_entry *impostor_configuration(struct impostor *b, uint64_t index, bool node_votes) {
  struct coracle_raft_configuration configuration = {.members_n = 2};
  struct join_member self = {.name = "impostor", .http = b->http, .udp = b->tap->address};
  struct join_member node = {.name = "a", .http = world_http(b->world, 0), .udp = world_udp(b->world, 0)};
  configuration.members[0] = (struct coracle_raft_member){.id = b->id, .voter = true};
  configuration.members[1] = (struct coracle_raft_member){.id = world_id(b->world, 0), .voter = node_votes};
  join_member_encode(&self, &configuration.members[0]);
  join_member_encode(&node, &configuration.members[1]);
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&configuration);
  assert_non_null(entry);
  entry->index = index;
  entry->term = b->term;
  return entry;
}

struct coracle_raft_entry *impostor_command(struct impostor *b, uint64_t index) {
  struct command command = {.type = COMMAND_PUT,
                            .collection = slice_of("c"),
                            .id = slice_of("x"),
                            .body = slice_of("{\"id\":\"x\"}")};
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  assert_non_null(entry);
  command_encode(&command, entry->data);
  entry->index = index;
  entry->term = b->term;
  return entry;
}

bool impostor_frame(struct wire *wire, struct frame *frame, struct bytes *storage) {
  size_t consumed = 0, needed;
  storage->n = 0;
  bytes_append(storage, wire->received.data, wire->received.n);
  if (frame_next(storage->data, storage->n, &consumed, &needed, frame) != 1) return false;
  bytes_consume(&wire->received, consumed);
  return true;
}
