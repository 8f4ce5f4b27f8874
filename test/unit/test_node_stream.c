/* Goal: a replication stream that does not speak exactly as a leader does, or as a follower does, is closed;
 * the log and who leads are untouched by it, and the true leader's stream goes on. */
#include "node_impostor.h"

#include "node/core.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- A node, and an impostor that leads it ---- */

/* The reply to the last append; it must come. */
static bool is_acknowledged(struct impostor *b, struct wire *wire, uint64_t match) {
  struct coracle_raft_message reply;
  struct bytes storage = {0};
  struct frame frame;
  WORLD_UNTIL(b->world, impostor_frame(wire, &frame, &storage), 50);
  assert_int_equal(raft_message_from_frame(&frame, 1, 2, &reply), 0);
  bytes_close(&storage);
  return reply.append_reply.success && reply.append_reply.match == match;
}

/* Spoken to as by a leader, the node follows: that is what all here rests on. Its log then has a
 * configuration and a client's command, so it will not leave this cluster when it hears no more of its
 * leader. */
static struct wire *open_led(struct impostor *b) {
  struct world *w = world_new(&(struct world_options){.seed = 1, .nodes = 1});
  impostor_open(b, w, 1);
  impostor_lead(b);
  struct wire *wire = impostor_stream(b, 0);
  impostor_hello(b, wire, 1);
  struct coracle_raft_entry *entries[] = {impostor_configuration(b, 1, false), impostor_command(b, 2)};
  impostor_append(b, wire, 0, 0, 2, entries, 2);
  assert_true(is_acknowledged(b, wire, 2));
  return wire;
}

static void append_command(struct impostor *b, struct wire *wire, uint64_t index) {
  struct coracle_raft_entry *entry = impostor_command(b, index);
  impostor_append(b, wire, index - 1, 1, index, &entry, 1);
}

/* Whatever happened, the node is a member of that cluster, its log is as it was, and it follows a true
 * leader. */
static void close_led(struct impostor *b, uint64_t last_index) {
  struct coracle_raft_status status;
  const struct node *node = world_node(b->world, 0);
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  assert_memory_equal(join_cluster(node->join), b->cluster, CLUSTER_ID_BYTES);
  assert_int_equal(status.last_index, last_index);
  struct wire *wire = impostor_stream(b, 0);
  impostor_hello(b, wire, b->term);
  append_command(b, wire, last_index + 1);
  assert_true(is_acknowledged(b, wire, last_index + 1));
  assert_answer(b->world, 0, "GET", "/", NULL, 200, "\"role\":\"follower\"");
  assert_answer(b->world, 0, "GET", "/v1/collections/c/x?consistency=stale", NULL, 200, "{\"id\":\"x\"}");
  world_free(b->world);
}

static void assert_closed(struct impostor *b, struct wire *wire, const char *what) {
  world_run(b->world, 50);
  if (!wire->ended) fail_msg("not closed: %s", what);
}

static void a_leaders_stream_is_followed(void **state) {
  (void)state;
  struct impostor b;
  struct wire *wire = open_led(&b);
  append_command(&b, wire, 3);
  assert_true(is_acknowledged(&b, wire, 3));
  close_led(&b, 3);
}

/* ---- Tokens ---- */

static int upgrade_status(struct impostor *b, const char *token, const char *upgrade) {
  struct wire *wire = world_connect(b->world, 0);
  char request[512];
  snprintf(request, sizeof request,
           "GET /v1/replication HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: %s\r\n%s%s%s\r\n",
           upgrade, token != NULL ? "Authorization: Bearer " : "", token != NULL ? token : "",
           token != NULL ? "\r\n" : "");
  wire_send_text(b->world, wire, request);
  WORLD_UNTIL(b->world, wire->received.n > 12, 50);
  return atoi((const char *)wire->received.data + 9);
}

static void only_the_exact_token_admits(void **state) {
  (void)state;
  struct impostor b;
  char token[2 * JOIN_TOKEN_BYTES + 2] = "";
  open_led(&b);
  for (size_t i = 0; i < JOIN_TOKEN_BYTES; i++) sprintf(token + 2 * i, "%02x", b.node_token[i]);
  assert_int_equal(upgrade_status(&b, token, "coracle-replication/1"), 101);
  assert_int_equal(upgrade_status(&b, token, "coracle-replication/2"), 426);
  assert_int_equal(upgrade_status(&b, NULL, "coracle-replication/1"), 401);
  token[63] = token[63] == '0' ? '1' : '0';
  assert_int_equal(upgrade_status(&b, token, "coracle-replication/1"), 403);
  token[63] = '\0';
  assert_int_equal(upgrade_status(&b, token, "coracle-replication/1"), 403);
  assert_int_equal(upgrade_status(&b, "", "coracle-replication/1"), 401);
  close_led(&b, 2);
}

/* ---- The first words ---- */

static void a_hello_must_be_true(void **state) {
  (void)state;
  struct impostor b, lie;
  open_led(&b);
  struct wire *wire = impostor_stream(&b, 0);
  impostor_hello(&b, wire, 5);
  b.term = 5;
  impostor_append(&b, wire, 2, 1, 2, NULL, 0);
  assert_true(is_acknowledged(&b, wire, 2));

  lie = b;
  struct wire *liar = impostor_stream(&b, 0);
  impostor_hello(&lie, liar, 4);
  assert_closed(&b, liar, "an old term");
  lie.cluster[3] ^= 1;
  liar = impostor_stream(&b, 0);
  impostor_hello(&lie, liar, 5);
  assert_closed(&b, liar, "another cluster");
  lie = b;
  lie.id = world_id(b.world, 0);
  liar = impostor_stream(&b, 0);
  impostor_hello(&lie, liar, 5);
  assert_closed(&b, liar, "the node itself");
  liar = impostor_stream(&b, 0);
  append_command(&b, liar, 3);
  assert_closed(&b, liar, "an append before the hello");
  assert_false(wire->ended); /* none of them replaced it */
  wire_close(b.world, wire); /* nor do they when there is none */
  world_run(b.world, 10);
  lie = b;
  liar = impostor_stream(&b, 0);
  impostor_hello(&lie, liar, 4);
  assert_closed(&b, liar, "an old term");
  liar = impostor_stream(&b, 0);
  impostor_hello(&b, liar, 5);
  impostor_hello(&b, liar, 5);
  assert_closed(&b, liar, "a second hello");
  close_led(&b, 2);
}

/* A new stream of the leader replaces its old one, which the node closes; the log goes on where it was. */
static void a_second_stream_replaces_the_first(void **state) {
  (void)state;
  struct impostor b;
  struct wire *first = open_led(&b);
  struct wire *second = impostor_stream(&b, 0);
  impostor_hello(&b, second, 1);
  WORLD_UNTIL(b.world, first->ended, 50);
  assert_false(world_has_logged(b.world, 0, "stream has ended"));
  append_command(&b, second, 3);
  assert_true(is_acknowledged(&b, second, 3));
  close_led(&b, 3);
}

/* One that was upgraded and says nothing does not stay. */
static void silence_ends_a_stream(void **state) {
  (void)state;
  struct impostor b;
  open_led(&b);
  struct wire *wire = impostor_stream(&b, 0);
  world_run(b.world, LINK_DEADLINE_MS - 1000);
  assert_false(wire->ended);
  world_run(b.world, 2000);
  assert_true(wire->ended);
  close_led(&b, 2);
}

/* Nor does half a frame, even if it trickles. A stream between two frames does. */
static void half_a_frame_ends_a_stream(void **state) {
  (void)state;
  static const char half[] = "\1\0\0\0\2\0\0\0\0\0\0\0\0\0\0";
  struct impostor b;
  struct wire *wire = open_led(&b);
  world_run(b.world, 10 * BODY_DEADLINE_MS);
  assert_false(wire->ended);
  for (size_t i = 0; i < 12 && !wire->ended; i++) {
    wire_send(b.world, wire, half + i, 1);
    world_run(b.world, BODY_DEADLINE_MS / 8);
  }
  assert_true(wire->ended);
  close_led(&b, 2);
}

/* ---- Frames ---- */

static void a_frame_of_one_byte_at_a_time_is_a_frame(void **state) {
  (void)state;
  struct impostor b;
  struct wire *wire = open_led(&b);
  struct coracle_raft_entry *entry = impostor_command(&b, 3);
  struct coracle_raft_message message = {
      .type = CORACLE_RAFT_APPEND, .term = 1, .append = {2, 1, 3, &entry, 1}};
  struct bytes out = {0};
  struct bytes storage = {0};
  struct frame frame;
  world_run(b.world, 1);
  assert_false(impostor_frame(wire, &frame, &storage)); /* nothing is on its way any more */
  bytes_close(&storage);
  raft_message_put_frame(&out, &message);
  impostor_seal_frames(wire, &out);
  for (size_t i = 0; i < out.n; i++) {
    assert_int_equal(wire->received.n, 0);
    wire_send(b.world, wire, out.data + i, 1);
    world_run(b.world, 1);
  }
  assert_true(is_acknowledged(&b, wire, 3));
  bytes_close(&out);
  coracle_raft_entry_unref(entry);
  close_led(&b, 3);
}

/* Bits of an append, flipped: the seal, or the length that stands before it, ends the stream. */
static void a_damaged_frame_ends_the_stream(void **state) {
  (void)state;
  struct impostor b;
  open_led(&b);
  struct coracle_raft_entry *entry = impostor_command(&b, 3);
  struct coracle_raft_message message = {
      .type = CORACLE_RAFT_APPEND, .term = 1, .append = {2, 1, 3, &entry, 1}};
  struct bytes plain = {0}, out = {0};
  raft_message_put_frame(&plain, &message);
  for (size_t bit = 0; bit < 8 * plain.n; bit += 1 + bit / 150) {
    struct wire *wire = impostor_stream(&b, 0);
    impostor_hello(&b, wire, 1);
    out.n = 0;
    bytes_append(&out, plain.data, plain.n);
    impostor_seal_frames(wire, &out);
    out.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    wire_send(b.world, wire, out.data, out.n);
    if (bit / 8 < 3) world_run(b.world, BODY_DEADLINE_MS + 1000); /* it may be longer: not for ever */
    assert_closed(&b, wire, "a flipped bit");
  }
  bytes_close(&plain);
  bytes_close(&out);
  coracle_raft_entry_unref(entry);
  close_led(&b, 2);
}

/* Drawn by lot, after a true hello. */
static void garbage_ends_the_stream(void **state) {
  (void)state;
  struct impostor b;
  open_led(&b);
  for (int i = 0; i < 200; i++) {
    uint8_t garbage[200];
    struct wire *wire = impostor_stream(&b, 0);
    impostor_hello(&b, wire, 1);
    for (size_t j = 0; j < sizeof garbage; j++) garbage[j] = (uint8_t)world_dice(b.world, 256);
    garbage[3] |= 1; /* a length over the limit, or it might be waited for */
    wire_send(b.world, wire, garbage, 16 + world_dice(b.world, sizeof garbage - 16));
    assert_closed(&b, wire, "garbage");
  }
  assert_int_equal(world_node(b.world, 0)->clients_n, 0);
  close_led(&b, 2);
}

/* Well formed, and not what a leader sends. */
static void frames_that_do_not_belong_there(void **state) {
  (void)state;
  struct impostor b;
  struct bytes out = {0};
  struct wire *wire = open_led(&b);
  struct coracle_raft_message reply = {.type = CORACLE_RAFT_APPEND_REPLY, .term = 1};
  raft_message_put_frame(&out, &reply);
  impostor_send_frames(&b, wire, &out);
  assert_closed(&b, wire, "a reply from the leader");

  wire = impostor_stream(&b, 0);
  impostor_hello(&b, wire, 1);
  out.n = 0;
  frame_end(&out, frame_begin(&out, FRAME_APPEND));
  impostor_send_frames(&b, wire, &out);
  assert_closed(&b, wire, "an empty append");

  wire = impostor_stream(&b, 0);
  impostor_hello(&b, wire, 1);
  out.n = 0;
  storage_report_encode(STORAGE_FULL, &out);
  impostor_send_frames(&b, wire, &out);
  assert_closed(&b, wire, "a follower's storage from the leader");

  wire = impostor_stream(&b, 0);
  impostor_hello(&b, wire, 1);
  out.n = 0;
  frame_end(&out, frame_begin(&out, FRAME_STATE));
  impostor_send_frames(&b, wire, &out);
  assert_closed(&b, wire, "a state without an index");
  bytes_close(&out);
  close_led(&b, 2);
}

/* Whether entries fit is the core's to judge: it drops what does not, and the stream goes on. */
static void appends_that_do_not_fit(void **state) {
  (void)state;
  struct impostor b;
  struct wire *wire = open_led(&b);
  struct coracle_raft_entry *broken = coracle_raft_entry_new(CORACLE_RAFT_CONFIGURATION, 5);
  memset(broken->data, 0xff, 5);
  broken->index = 3;
  broken->term = 1;
  impostor_append(&b, wire, 2, 1, 3, &broken, 1);
  append_command(&b, wire, 9);
  impostor_append(&b, wire, 2, 1, 1000, NULL, 0); /* a commit beyond the log */
  struct impostor late = b;
  late.term = UINT64_MAX;
  append_command(&late, wire, 3);
  world_run(b.world, 20);
  assert_false(wire->ended);
  close_led(&b, 2);
}

/* What comes right behind the request for the upgrade belongs to the stream already. */
static void a_greeting_right_behind_the_upgrade(void **state) {
  (void)state;
  struct impostor b;
  struct wire *first = open_led(&b), *wire = world_connect(b.world, 0);
  struct bytes out = {0};
  bytes_append_string(&out, "GET /v1/replication HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
                            "Upgrade: coracle-replication/1\r\nAuthorization: Bearer ");
  for (size_t i = 0; i < sizeof b.node_token; i++) bytes_printf(&out, "%02x", b.node_token[i]);
  bytes_append_string(&out, "\r\n\r\n");
  wire_send(b.world, wire, out.data, out.n);
  impostor_greet(&b, wire, true);
  impostor_take_hello(&b, wire);
  impostor_hello(&b, wire, 1);
  world_run(b.world, 20);
  assert_true(first->ended);
  assert_false(wire->ended);
  bytes_close(&out);
  close_led(&b, 2);
}

/* ---- A leader, and an impostor that it takes for a follower ---- */

/* It goes through the handshake as a fresh node; the leader then connects to it. */
static struct wire *open_following(struct impostor *b, uint64_t seed) {
  struct world *w = world_new(&(struct world_options){.seed = seed, .nodes = 1});
  impostor_open(b, w, 1);
  world_listen(w, b->http);
  world_start_all(w);
  WORLD_UNTIL(w, world_is_formed(w), 300);
  impostor_say(b, world_election(), 0, JOIN_ACCEPT);
  WORLD_UNTIL(w, impostor_heard(b, b->tap, JOIN_CREDENTIALS), 50);
  memcpy(b->cluster, join_cluster(world_node(w, 0)->join), sizeof b->cluster);
  impostor_say(b, b->tap->from, b->heard_from, JOIN_CREDENTIALS);
  struct wire *wire;
  WORLD_UNTIL(w, (wire = world_accept(w, b->http)) != NULL, 50);
  WORLD_UNTIL(w, wire_has(wire, "\r\n\r\n"), 50);
  return wire;
}

static bool serves(struct world *w) {
  return world_status(w, 0, "PUT", "/v1/collections/c/x", "{}") / 100 == 2;
}

static void the_leader_asks_with_the_followers_token(void **state) {
  (void)state;
  struct impostor b;
  struct frame frame;
  struct hello hello;
  struct bytes storage = {0};
  struct wire *wire = open_following(&b, 1);
  bytes_append(&wire->received, "", 1);
  assert_string_equal((const char *)wire->received.data,
                      "GET /v1/replication HTTP/1.1\r\nHost: 127.0.0.1:16001\r\nConnection: Upgrade\r\n"
                      "Upgrade: coracle-replication/1\r\nAuthorization: Bearer "
                      "b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1b1\r\n\r\n");
  wire->received.n = 0;
  world_run(b.world, 50);
  assert_int_equal(wire->received.n, 0); /* no frame before 101 */
  wire_send_text(b.world, wire,
                 "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\n"
                 "Upgrade: coracle-replication/1\r\n\r\n");
  world_run(b.world, 50);
  assert_int_equal(wire->received.n,
                   SEAL_RANDOM_BYTES); /* and nothing else before the other has the secret */
  impostor_greet(&b, wire, false);
  world_run(b.world, 50);
  assert_int_equal(wire->received.n, 0);
  impostor_answer_hello(&b, wire);
  WORLD_UNTIL(b.world, impostor_frame(wire, &frame, &storage), 50);
  assert_int_equal(hello_decode(&frame, &hello), 0);
  assert_true(hello.from == world_id(b.world, 0) && hello.to == b.id && hello.term == 1);
  WORLD_UNTIL(b.world, impostor_frame(wire, &frame, &storage), 50);
  assert_int_equal(frame.type, FRAME_APPEND);
  bytes_close(&storage);
  world_free(b.world);
}

/* The leader tries again as long as the member is not dead, and serves its clients all the time. */
static void what_is_no_upgrade_is_tried_again(void **state) {
  (void)state;
  static const char *const answers[] = {
      "",
      "HTTP/1.1 200 OK\r\n\r\n",
      "HTTP/1.1 401 Unauthorized\r\n\r\n",
      "HTTP/1.1 101 \r\n\r\ngarbage in place of a random number, and then in place of frames",
      "SSH-2.0-OpenSSH_9.2\r\n\r\n",
      "\x1b[31mred\nline\r\n\r\n",
      "\r\n\r\n",
  };
  for (size_t i = 0; i < sizeof answers / sizeof *answers; i++) {
    struct impostor b;
    struct wire *wire = open_following(&b, 1 + i);
    wire_send_text(b.world, wire, answers[i]);
    world_run(b.world, 20);
    if (i == 0) wire_close(b.world, wire);
    world_run(b.world, 50);
    if (i > 0 && !wire->ended) fail_msg("not closed after: %s", answers[i]);
    assert_true(serves(b.world));
    world_free(b.world);
  }
}

/* As a follower does that has heard of a newer leader, when an older one has not. */
static void what_ends_at_once_is_not_opened_at_once(void **state) {
  (void)state;
  enum { ROUNDS = 5 };
  struct impostor b;
  struct wire *wire = open_following(&b, 1);
  const struct node *node = world_node(b.world, 0);
  const uint64_t start_ms = node->now_ms;
  for (int i = 0; i < ROUNDS; i++) {
    wire->received.n = 0;
    wire_send_text(b.world, wire, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    impostor_greet(&b, wire, false);
    impostor_answer_hello(&b, wire);
    WORLD_UNTIL(b.world, wire->received.n > 0, 50);
    wire_close(b.world, wire);
    WORLD_UNTIL(b.world, (wire = world_accept(b.world, b.http)) != NULL, 200);
    WORLD_UNTIL(b.world, wire_has(wire, "\r\n\r\n"), 50);
  }
  assert_in_range(node->now_ms - start_ms, (ROUNDS - 1) * node->options.heartbeat_ms / 2, 1000);
  assert_true(serves(b.world));
  world_free(b.world);
}

/* An answer without end, and none at all. */
static void an_endless_answer_is_not_waited_for(void **state) {
  (void)state;
  struct impostor b;
  struct wire *wire = open_following(&b, 1);
  for (int i = 0; i < 10 && !wire->ended; i++) {
    for (int j = 0; j < 10; j++)
      wire_send_text(b.world, wire, "X-Filler: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx\r\n");
    world_run(b.world, 10);
  }
  assert_true(wire->ended);
  world_free(b.world);

  wire = open_following(&b, 2);
  for (int i = 0; i < 7; i++) {
    impostor_say(&b, world_udp(b.world, 0), 0, JOIN_ACCEPT); /* it lives, so the leader has no other reason */
    world_run(b.world, 1000);
  }
  assert_true(wire->ended);
  assert_true(serves(b.world));
  world_free(b.world);
}

/* Replies that no follower sends: the core drops what is impossible, the stream ends at what is no reply. */
static void a_followers_lies(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 5; seed++) {
    struct impostor b;
    struct bytes out = {0};
    struct wire *wire = open_following(&b, seed);
    wire->received.n = 0;
    wire_send_text(b.world, wire, "HTTP/1.1 101 Switching Protocols\r\n\r\n");
    impostor_greet(&b, wire, false);
    impostor_answer_hello(&b, wire);
    struct coracle_raft_message reply = {.type = CORACLE_RAFT_APPEND_REPLY, .term = 1};
    reply.append_reply.success = true;
    reply.append_reply.match = UINT64_MAX; /* beyond the log */
    raft_message_put_frame(&out, &reply);
    reply.append_reply.match = 1000;
    raft_message_put_frame(&out, &reply);
    reply.append_reply.success = false;
    reply.append_reply.conflict_index = UINT64_MAX;
    reply.append_reply.conflict_term = UINT64_MAX;
    raft_message_put_frame(&out, &reply);
    reply.term = UINT64_MAX; /* no term that a cluster comes to */
    raft_message_put_frame(&out, &reply);
    impostor_send_frames(&b, wire, &out);
    world_run(b.world, 50);
    assert_false(wire->ended);
    assert_int_equal(world_leader(b.world), 0);
    assert_true(serves(b.world));
    impostor_hello(&b, wire, 1); /* only a leader says that */
    world_run(b.world, 50);
    assert_true(wire->ended);
    assert_true(serves(b.world));
    bytes_close(&out);
    world_free(b.world);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_leaders_stream_is_followed),
      cmocka_unit_test(only_the_exact_token_admits),
      cmocka_unit_test(a_hello_must_be_true),
      cmocka_unit_test(a_second_stream_replaces_the_first),
      cmocka_unit_test(silence_ends_a_stream),
      cmocka_unit_test(half_a_frame_ends_a_stream),
      cmocka_unit_test(a_frame_of_one_byte_at_a_time_is_a_frame),
      cmocka_unit_test(a_damaged_frame_ends_the_stream),
      cmocka_unit_test(garbage_ends_the_stream),
      cmocka_unit_test(frames_that_do_not_belong_there),
      cmocka_unit_test(appends_that_do_not_fit),
      cmocka_unit_test(a_greeting_right_behind_the_upgrade),
      cmocka_unit_test(the_leader_asks_with_the_followers_token),
      cmocka_unit_test(what_is_no_upgrade_is_tried_again),
      cmocka_unit_test(what_ends_at_once_is_not_opened_at_once),
      cmocka_unit_test(an_endless_answer_is_not_waited_for),
      cmocka_unit_test(a_followers_lies),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
