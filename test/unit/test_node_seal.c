/* Goal: who does not have the cluster's secret has no part in what nodes say to each other, whatever he
 * recorded, knows or holds: copies of datagrams are not answered and move nobody, a recorded stream opens
 * nothing, a token without the secret admits to nothing, and nothing of the log leaves before the other side
 * has shown that it has the secret now. */
#include "node_impostor.h"

#include "node/core.h"

#include <stdio.h>

static struct world *led_world(uint64_t seed, int nodes) {
  struct world *w = world_new(&(struct world_options){.seed = seed, .nodes = nodes});
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 3000);
  return w;
}

static uint64_t faults(struct world *w, int node, enum datagram_fault fault) {
  return world_node(w, node)->faults[fault];
}

static struct tap *eavesdropper(struct world *w) {
  return world_tap(w, (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = 15999});
}

static struct bytes sealed_accept(struct impostor *b) {
  struct join_message accept = {.type = JOIN_ACCEPT, .card = {.memory_storage = true, .http = b->http}};
  struct bytes body = {0};
  snprintf(accept.card.name, sizeof accept.card.name, "impostor");
  join_message_encode(&accept, &body);
  struct bytes datagram = impostor_datagram(b, 0, JOIN_ACCEPT, body.data, body.n);
  bytes_close(&body);
  return datagram;
}

/* ---- Datagrams ---- */

/* The leader answers an ACCEPT with its token, where it came from: once. */
static void a_copied_accept_is_not_answered(void **state) {
  (void)state;
  struct world *w = led_world(1, 1);
  struct tap *other = eavesdropper(w);
  struct impostor b;
  impostor_open(&b, w, 1);
  struct bytes accept = sealed_accept(&b);
  world_send(w, b.tap->address, world_election(), accept.data, accept.n);
  WORLD_UNTIL(w, impostor_heard(&b, b.tap, JOIN_CREDENTIALS), 50);
  assert_true(b.heard.has_token);
  for (int i = 0; i < 5; i++) {
    world_send(w, other->address, world_election(), accept.data, accept.n);
    world_send(w, b.tap->address, world_election(), accept.data, accept.n);
    world_send(w, other->address, world_udp(w, 0), accept.data, accept.n);
    world_run(w, 20);
  }
  assert_int_equal(other->received_n, 0);
  assert_int_equal(b.tap->received_n, 1);
  assert_int_equal(faults(w, 0, DATAGRAM_REPLAY), 15);
  impostor_say(&b, world_election(), 0, JOIN_ACCEPT); /* the next one is */
  world_run(w, 20);
  assert_int_equal(b.tap->received_n, 2);
  bytes_close(&accept);
  world_free(w);
}

/* What was said before a newer start of the same node is as old as what was said before. */
static void an_older_start_is_not_answered(void **state) {
  (void)state;
  struct world *w = led_world(1, 1);
  struct impostor b;
  impostor_open(&b, w, 1);
  b.start = 5;
  struct bytes unsent = sealed_accept(&b);
  b.start = 6;
  b.counter = 0;
  impostor_say(&b, world_election(), 0, JOIN_ACCEPT);
  world_run(w, 20);
  assert_int_equal(b.tap->received_n, 1);
  world_send(w, b.tap->address, world_election(), unsent.data, unsent.n);
  world_run(w, 20);
  assert_int_equal(b.tap->received_n, 1);
  assert_int_equal(faults(w, 0, DATAGRAM_REPLAY), 1);
  bytes_close(&unsent);
  world_free(w);
}

/* As far as the window reaches, order does not matter; beyond, it is too late. */
static void overtaken_datagrams(void **state) {
  (void)state;
  struct world *w = led_world(1, 1);
  struct impostor b;
  impostor_open(&b, w, 1);
  struct bytes late[3];
  for (int i = 0; i < 3; i++) late[i] = sealed_accept(&b); /* counters 1 to 3 */
  b.counter = 65;                                          /* the next is 66, which reaches back to 3 */
  impostor_say(&b, world_election(), 0, JOIN_ACCEPT);
  world_run(w, 20);
  for (int i = 0; i < 3; i++) {
    const size_t before = b.tap->received_n;
    world_send(w, b.tap->address, world_election(), late[i].data, late[i].n);
    world_run(w, 20);
    assert_int_equal(b.tap->received_n - before, i == 2);
    bytes_close(&late[i]);
  }
  world_free(w);
}

static void another_secret_is_not_answered(void **state) {
  (void)state;
  struct world *w = led_world(1, 1);
  struct impostor b;
  uint8_t secret[SECRET_BYTES];
  impostor_open(&b, w, 1);
  for (size_t bit = 0; bit < 8 * SECRET_BYTES; bit += 7) {
    memcpy(secret, world_secret(), sizeof secret);
    secret[bit / 8] ^= (uint8_t)(1u << bit % 8);
    seal_keys_derive(secret, &b.keys);
    impostor_say(&b, world_election(), 0, JOIN_ACCEPT);
    world_run(w, 5);
  }
  assert_int_equal(b.tap->received_n, 0);
  assert_int_equal(faults(w, 0, DATAGRAM_SEAL), 37);
  assert_int_equal(world_leader(w), 0);
  world_free(w);
}

static bool remembers(struct world *w, int node, uint64_t id) {
  for (size_t i = 0; i < SENDERS_MAX; i++)
    if (world_node(w, node)->senders[i].id == id) return true;
  return false;
}

/* More senders than there is room for: those that are no members make room, so that no copy of a member's
 * datagram is ever new. */
static void a_crowd_makes_nobody_forget_the_members(void **state) {
  (void)state;
  struct world *w = led_world(1, 3);
  const int silent = (world_leader(w) + 1) % 3;
  struct impostor crowd;
  bool known[3][3];
  impostor_open(&crowd, w, 1);
  for (int node = 0; node < 3; node++)
    for (int member = 0; member < 3; member++) known[node][member] = remembers(w, node, world_id(w, member));
  assert_true(known[world_leader(w)][silent]); /* followers say little to each other */
  world_pause(w, silent);                      /* it was heard before all of the crowd */
  for (unsigned i = 0; i < 3 * SENDERS_MAX; i++) {
    crowd.id = 0x10000 + i;
    for (int node = 0; node < 3; node++)
      if (node != silent) impostor_say(&crowd, world_udp(w, node), 0, JOIN_NOT_YET);
    world_run(w, 1);
  }
  for (int node = 0; node < 3; node++) {
    if (node == silent) continue;
    for (int member = 0; member < 3; member++)
      if (known[node][member]) assert_true(remembers(w, node, world_id(w, member)));
    assert_true(remembers(w, node, crowd.id));
    assert_false(remembers(w, node, 0x10000));
  }
  world_free(w);
}

/* ---- Streams ---- */

/* A node that an impostor leads, over one stream, which goes on. */
static struct wire *open_led(struct impostor *b) {
  struct world *w = world_new(&(struct world_options){.seed = 1, .nodes = 1});
  impostor_open(b, w, 1);
  impostor_lead(b);
  struct wire *wire = impostor_stream(b, 0);
  impostor_hello(b, wire, 1);
  struct coracle_raft_entry *entries[] = {impostor_configuration(b, 1, false), impostor_command(b, 2)};
  impostor_append(b, wire, 0, 0, 2, entries, 2);
  world_run(w, 20);
  return wire;
}

static uint64_t last_index(struct impostor *b) {
  struct coracle_raft_status status;
  const struct node *node = world_node(b->world, 0);
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  return status.last_index;
}

/* The true stream is as it was, and takes the next command. */
static void close_led(struct impostor *b, struct wire *wire) {
  assert_false(wire->ended);
  assert_int_equal(last_index(b), 2);
  struct coracle_raft_entry *entry = impostor_command(b, 3);
  impostor_append(b, wire, 2, 1, 3, &entry, 1);
  world_run(b->world, 20);
  assert_int_equal(last_index(b), 3);
  world_free(b->world);
}

/* A connection with the right token, upgraded; nothing more was said. */
static struct wire *upgraded(struct impostor *b) {
  struct wire *wire = world_connect(b->world, 0);
  struct bytes request = {0};
  bytes_append_string(&request, "GET /v1/replication HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                                "Upgrade: coracle-replication/1\r\nAuthorization: Bearer ");
  for (size_t i = 0; i < sizeof b->node_token; i++) bytes_printf(&request, "%02x", b->node_token[i]);
  bytes_append_string(&request, "\r\n\r\n");
  wire_send(b->world, wire, request.data, request.n);
  bytes_close(&request);
  WORLD_UNTIL(b->world, wire_has(wire, "\r\n\r\n"), 200);
  wire->received.n = 0;
  return wire;
}

/* All that a leader once sent, from its random number on, sent again word for word. */
static void a_recorded_stream_opens_nothing(void **state) {
  (void)state;
  struct impostor b, before;
  struct wire *wire = open_led(&b);
  before = b; /* its source will give the same random number again */
  struct bytes recorded = {0}, frames = {0};
  struct wire *once = upgraded(&b);
  impostor_greet(&b, once, true);
  struct hello hello = {.protocol = HELLO_PROTOCOL, .from = b.id, .to = world_id(b.world, 0), .term = 9};
  memcpy(hello.cluster, b.cluster, sizeof hello.cluster);
  hello_encode(&hello, &frames);
  impostor_seal_frames(once, &frames);
  wire_close(b.world, once); /* it was recorded, and never arrived */
  world_run(b.world, 10);

  uint8_t random[SEAL_RANDOM_BYTES];
  seal_source_random(&before.source, random);
  bytes_append(&recorded, random, sizeof random);
  bytes_append(&recorded, frames.data, frames.n);
  for (int i = 0; i < 3; i++) {
    struct wire *again = upgraded(&b);
    wire_send(b.world, again, recorded.data, recorded.n);
    world_run(b.world, 50);
    assert_true(again->ended);
  }
  bytes_close(&recorded);
  bytes_close(&frames);
  close_led(&b, wire);
}

/* The token was read off a screen; the secret was not. */
static void a_token_without_the_secret(void **state) {
  (void)state;
  struct impostor b, thief;
  struct wire *wire = open_led(&b);
  thief = b;
  thief.keys.streams[0] ^= 1;
  struct wire *stolen = upgraded(&thief);
  impostor_greet(&thief, stolen, true);
  impostor_hello(&thief, stolen, 9);
  world_run(b.world, 50);
  assert_true(stolen->ended);
  assert_true(world_has_logged(b.world, 0, "a wrong seal"));

  stolen = upgraded(&thief); /* nor does it stay when it says nothing that could be wrong */
  impostor_greet(&thief, stolen, true);
  world_run(b.world, LINK_DEADLINE_MS + 1000);
  assert_true(stolen->ended);
  close_led(&b, wire);
}

/* Until a stream's first frame has opened, it may be anybody's: no memory for a large one. */
static void a_large_first_frame_is_not_waited_for(void **state) {
  (void)state;
  struct impostor b;
  static const uint8_t length[] = {0, 0, 1, 0}; /* 64 KiB: any later frame may be of that size */
  struct wire *wire = open_led(&b);
  struct wire *other = upgraded(&b);
  impostor_greet(&b, other, true);
  wire_send(b.world, other, length, sizeof length);
  world_run(b.world, 50);
  assert_true(other->ended);
  close_led(&b, wire);
}

/* Frames left out, doubled, moved, or of the other direction: each ends the stream, none is taken. */
static void frames_out_of_their_order(void **state) {
  (void)state;
  struct impostor b;
  struct wire *wire = open_led(&b);
  for (int which = 0; which < 4; which++) {
    struct wire *other = upgraded(&b);
    struct bytes frames[3] = {{0}};
    impostor_greet(&b, other, true);
    WORLD_UNTIL(b.world, other->received.n > SEAL_RANDOM_BYTES, 50); /* the follower's HELLO */
    struct bytes reflected = {0};
    bytes_append(&reflected, other->received.data, other->received.n);
    impostor_hello(&b, other, 1);
    world_run(b.world, 20);
    for (int i = 0; i < 3; i++) {
      struct coracle_raft_message message = {
          .type = CORACLE_RAFT_APPEND, .term = 1, .append = {2, 1, 2, NULL, 0}};
      raft_message_put_frame(&frames[i], &message);
      impostor_seal_frames(other, &frames[i]);
    }
    static const int orders[][2] = {{1, 2}, {0, 0}, {0, 2}};
    for (int i = 0; i < 2 && which < 3; i++) {
      const struct bytes *frame = &frames[orders[which][i]];
      wire_send(b.world, other, frame->data, frame->n);
    }
    if (which == 3) wire_send(b.world, other, reflected.data, reflected.n);
    world_run(b.world, 20);
    if (!other->ended) fail_msg("order %d", which);
    for (int i = 0; i < 3; i++) bytes_close(&frames[i]);
    bytes_close(&reflected);
    assert_true(wire->ended); /* each was the leader's stream, for a moment */
    wire = impostor_stream(&b, 0);
    impostor_hello(&b, wire, 1);
    world_run(b.world, 20);
  }
  close_led(&b, wire);
}

/* It goes through the handshake as a fresh node, and the leader connects to it. */
static struct wire *open_following(struct impostor *b) {
  struct world *w = led_world(1, 1);
  struct wire *wire;
  impostor_open(b, w, 1);
  world_listen(w, b->http);
  impostor_say(b, world_election(), 0, JOIN_ACCEPT);
  WORLD_UNTIL(w, impostor_heard(b, b->tap, JOIN_CREDENTIALS), 50);
  memcpy(b->cluster, join_cluster(world_node(w, 0)->join), sizeof b->cluster);
  impostor_say(b, b->tap->from, b->heard_from, JOIN_CREDENTIALS);
  WORLD_UNTIL(w, (wire = world_accept(w, b->http)) != NULL, 50);
  WORLD_UNTIL(w, wire_has(wire, "\r\n\r\n"), 50);
  wire->received.n = 0;
  wire_send_text(w, wire, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
  return wire;
}

/* Whoever sits on a member's HTTP port gets a random number of the leader's, and nothing else. */
static void the_leader_tells_nothing_to_who_has_not_the_secret(void **state) {
  (void)state;
  for (int which = 0; which < 3; which++) {
    struct impostor b;
    struct wire *wire = open_following(&b);
    struct impostor thief = b;
    if (which != 1) thief.keys.streams[31] ^= 0x80;
    impostor_greet(&thief, wire, false);
    thief.id = which == 1 ? 0x1234 : b.id; /* with the secret, but another than who was asked for */
    if (which < 2) impostor_answer_hello(&thief, wire);
    world_run(b.world, 50);
    assert_int_equal(wire->ended, which < 2);
    world_run(b.world, LINK_DEADLINE_MS + 1000);
    assert_true(wire->ended);
    assert_int_equal(wire->received.n, 0);
    assert_int_equal(world_status(b.world, 0, "PUT", "/v1/collections/c/x", "{}"), 201);
    world_free(b.world);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_copied_accept_is_not_answered),
      cmocka_unit_test(an_older_start_is_not_answered),
      cmocka_unit_test(overtaken_datagrams),
      cmocka_unit_test(another_secret_is_not_answered),
      cmocka_unit_test(a_crowd_makes_nobody_forget_the_members),
      cmocka_unit_test(a_recorded_stream_opens_nothing),
      cmocka_unit_test(a_token_without_the_secret),
      cmocka_unit_test(a_large_first_frame_is_not_waited_for),
      cmocka_unit_test(frames_out_of_their_order),
      cmocka_unit_test(the_leader_tells_nothing_to_who_has_not_the_secret),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
