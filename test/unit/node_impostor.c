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
  uint8_t entropy[SEAL_ENTROPY_BYTES] = {(uint8_t)number};
  seal_keys_derive(world_secret(), &b->keys);
  seal_source_init(&b->source, entropy);
  memset(b->token, 0xb0 + number, sizeof b->token);
}

static struct bytes seal(struct impostor *b, struct datagram *datagram) {
  struct bytes out = {0};
  uint8_t nonce[SEAL_NONCE_BYTES];
  datagram->from = b->id;
  datagram->start = b->start;
  datagram->counter = ++b->counter;
  memcpy(datagram->cluster, b->cluster, sizeof b->cluster);
  seal_source_nonce(&b->source, nonce);
  datagram_seal(datagram, b->keys.datagrams, nonce, &out);
  return out;
}

struct bytes impostor_datagram(struct impostor *b, uint64_t to_id, uint8_t type, const void *body, size_t n) {
  return seal(b, &(struct datagram){.type = type,
                                    .to = to_id,
                                    .term = b->term,
                                    .round = type == JOIN_SAVED ? b->heard_start : 0,
                                    .body = {body, n}});
}

void impostor_send(struct impostor *b, struct address to, uint64_t to_id, uint8_t type, const void *body,
                   size_t n) {
  struct bytes out = impostor_datagram(b, to_id, type, body, n);
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
                              .to = to_id,
                              .term = message->term,
                              .round = message->round};
  struct bytes body = {0};
  raft_message_put_body(&body, message);
  datagram.body = slice_of_bytes(&body);
  struct bytes out = seal(b, &datagram);
  world_send(b->world, b->tap->address, to, out.data, out.n);
  bytes_close(&body);
  bytes_close(&out);
}

bool impostor_heard(struct impostor *b, const struct tap *tap, enum join_message_type type) {
  uint8_t plain[DATAGRAM_BYTES_MAX];
  struct datagram datagram;
  if (tap->received_n == 0) return false;
  if (datagram_open(tap->last.data, tap->last.n, b->keys.datagrams, plain, &datagram) != DATAGRAM_NONE)
    return false;
  if (datagram.type != type) return false;
  b->heard_from = datagram.from;
  b->heard_start = datagram.start;
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

/* What a wire is sealed with, in wire->user. */
struct seals {
  struct seal_stream out, in;
};

/* At the front of what was received, perhaps behind an answer to an upgrade, which is then taken off. */
static bool greeting_has_come(struct wire *wire) {
  struct bytes *in = &wire->received;
  if (in->n >= 5 && memcmp(in->data, "HTTP/", 5) == 0) {
    const uint8_t *end = memmem(in->data, in->n, "\r\n\r\n", 4);
    if (end == NULL) return false;
    bytes_consume(in, (size_t)(end - in->data) + 4);
  }
  return in->n >= SEAL_RANDOM_BYTES;
}

void impostor_greet(struct impostor *b, struct wire *wire, bool leader) {
  uint8_t mine[SEAL_RANDOM_BYTES];
  struct seals *seals = calloc(1, sizeof *seals);
  assert_non_null(seals);
  free(wire->user);
  wire->user = seals;
  seal_source_random(&b->source, mine);
  wire_send(b->world, wire, mine, sizeof mine);
  WORLD_UNTIL(b->world, greeting_has_come(wire), 50);
  if (leader)
    seal_streams_derive(&b->keys, mine, wire->received.data, &seals->out, &seals->in);
  else
    seal_streams_derive(&b->keys, wire->received.data, mine, &seals->in, &seals->out);
  bytes_consume(&wire->received, SEAL_RANDOM_BYTES);
}

void impostor_seal_frames(struct wire *wire, struct bytes *frames) {
  struct seals *seals = wire->user;
  frames_seal(&seals->out, frames, 0);
}

void impostor_send_frames(struct impostor *b, struct wire *wire, struct bytes *frames) {
  impostor_seal_frames(wire, frames);
  wire_send(b->world, wire, frames->data, frames->n);
}

void impostor_take_hello(struct impostor *b, struct wire *wire) {
  struct frame frame;
  struct hello hello;
  struct bytes storage = {0};
  WORLD_UNTIL(b->world, impostor_frame(wire, &frame, &storage), 50);
  assert_int_equal(hello_decode(&frame, &hello), 0);
  bytes_close(&storage);
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
  impostor_greet(b, wire, true);
  impostor_take_hello(b, wire);
  return wire;
}

void impostor_hello(struct impostor *b, struct wire *wire, uint64_t term) {
  struct hello hello = {.protocol = HELLO_PROTOCOL, .from = b->id, .to = world_id(b->world, 0), .term = term};
  struct bytes out = {0};
  memcpy(hello.cluster, b->cluster, sizeof hello.cluster);
  hello_encode(&hello, &out);
  impostor_send_frames(b, wire, &out);
  bytes_close(&out);
}

void impostor_answer_hello(struct impostor *b, struct wire *wire) {
  struct hello hello = {.protocol = HELLO_PROTOCOL, .from = b->id, .term = b->term};
  struct bytes out = {0};
  memcpy(hello.cluster, b->cluster, sizeof hello.cluster);
  hello_encode(&hello, &out);
  impostor_send_frames(b, wire, &out);
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
  impostor_send_frames(b, wire, &out);
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

static bool next_frame(struct wire *wire, struct frame *frame, struct bytes *storage) {
  struct seals *seals = wire->user;
  size_t consumed = 0, needed;
  storage->n = 0;
  bytes_append(storage, wire->received.data, wire->received.n);
  if (frame_open(&seals->in, storage->data, storage->n, &needed) != 1) return false;
  if (frame_next(storage->data, storage->n, &consumed, &needed, frame) != 1) return false;
  bytes_consume(&wire->received, consumed);
  return true;
}

bool impostor_frame(struct wire *wire, struct frame *frame, struct bytes *storage) {
  while (next_frame(wire, frame, storage))
    if (frame->type != FRAME_STORAGE) return true;
  return false;
}
