/* Goal: an id is where it was last heard, and only a newer datagram moves it: what is old or comes twice
 * moves nobody and is no sign of life. The book is bounded, whatever floods it. */
#include "join_scene.h"

enum { BOOK_MAX = 64 }; /* as src/join/core.h has it */

static void hear(struct scene *s, uint64_t id, uint16_t port, uint64_t start, uint64_t counter) {
  const struct address source = {.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = port};
  join_heard(s->join, id, &source, start, counter, false, s->now_ms);
}

/* 0: not known. */
static unsigned port_of(struct scene *s, uint64_t id) {
  struct address address = {0};
  if (!join_find_address(s->join, &s->situation, id, &address)) return 0;
  assert_int_equal(address.family, ADDRESS_IP4);
  return address.port;
}

static void only_a_newer_datagram_moves_an_id(void **state) {
  (void)state;
  static const struct {
    uint64_t start, counter;
    bool moves;
  } rows[] = {
      {10, 5, true},           {10, 5, false},                  /* again */
      {10, 4, false},          {10, 6, true},  {9, 100, false}, /* of the start before */
      {9, UINT64_MAX, false},  {11, 1, true},                   /* it was started anew */
      {10, UINT64_MAX, false}, {11, 1, false}, {11, 2, true},   {UINT64_MAX, 1, true}, {0, 0, false},
  };
  struct scene s;
  scene_open(&s);
  assert_int_equal(port_of(&s, 9), 0);
  unsigned expected = 0;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    const uint16_t port = (uint16_t)(9000 + i);
    hear(&s, 9, port, rows[i].start, rows[i].counter);
    if (rows[i].moves) expected = port;
    assert_int_equal(port_of(&s, 9), expected);
  }
  scene_close(&s);
}

static void who_was_never_heard_is_where_the_configuration_says(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_adopt(&s, 'x', 'b', 3);
  scene_configure(&s, "abc", "");
  assert_int_equal(port_of(&s, scene_id('c')), 7003);
  assert_int_equal(port_of(&s, scene_id('d')), 0);
  hear(&s, scene_id('c'), 9999, 1, 1);
  assert_int_equal(port_of(&s, scene_id('c')), 9999);
  scene_close(&s);
}

/* A member that was started anew is where the leader has heard it, even for those who heard it before; until
 * they hear it again. */
static void what_is_newly_configured_is_newer_than_what_was_heard(void **state) {
  (void)state;
  struct scene s;
  struct join_member info;
  scene_open(&s);
  scene_adopt(&s, 'x', 'b', 3);
  scene_configure(&s, "abc", "");
  join_tick(s.join, &s.situation, s.now_ms);
  hear(&s, scene_id('c'), 9001, 1, 1);
  scene_configure(&s, "abc", "d"); /* of c it says what it said */
  join_tick(s.join, &s.situation, s.now_ms);
  assert_int_equal(port_of(&s, scene_id('c')), 9001);

  struct coracle_raft_member *c = &s.configuration.members[2];
  assert_int_equal(c->id, scene_id('c'));
  assert_int_equal(join_member_decode(c, &info), 0);
  info.udp.port = 9002;
  join_member_encode(&info, c);
  s.situation.raft.configuration_index++;
  join_tick(s.join, &s.situation, s.now_ms);
  assert_int_equal(port_of(&s, scene_id('c')), 9002);
  hear(&s, scene_id('c'), 9003, 2, 1);
  join_tick(s.join, &s.situation, s.now_ms);
  assert_int_equal(port_of(&s, scene_id('c')), 9003);
  hear(&s, scene_id('c'), 9001, 1, 2); /* its former self */
  assert_int_equal(port_of(&s, scene_id('c')), 9003);
  scene_close(&s);
}

/* The one silent for longest makes room. */
static void a_flood_of_ids_is_bounded(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_adopt(&s, 'x', 'b', 3);
  scene_configure(&s, "abc", "");
  for (uint64_t id = 1000; id < 2000; id++) {
    s.now_ms++;
    hear(&s, id, (uint16_t)id, 1, 1);
    if (id % 20 == 0) hear(&s, scene_id('b'), 9002, 1, id); /* b speaks now and then */
  }
  size_t known = 0;
  for (uint64_t id = 1000; id < 2000; id++) known += port_of(&s, id) != 0;
  assert_int_equal(known, BOOK_MAX - 1);
  assert_int_equal(port_of(&s, 1999), 1999);
  assert_int_equal(port_of(&s, scene_id('b')), 9002);
  assert_int_equal(port_of(&s, scene_id('c')), 7003); /* pushed out, or never in: the configuration knows */
  scene_close(&s);
}

static void a_replay_is_no_sign_of_life(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 200);
  scene_configure(&s, "abc", "");
  scene_lead(&s, 3);
  scene_link(&s, 'c', false);
  hear(&s, scene_id('c'), 7003, 1, 1);
  for (int i = 0; i < 12; i++) {
    scene_run(&s, 50);
    hear(&s, scene_id('c'), 7003, 1, 1);
  }
  assert_logged(&s, "removing c");
  scene_close(&s);
}

/* The same for an orphan, which waits while its cluster is heard. */
static void a_replay_holds_up_no_orphan(void **state) {
  (void)state;
  const struct address source = scene_udp('c');
  struct scene s;
  scene_open(&s);
  scene_adopt(&s, 'x', 'b', 1);
  scene_configure(&s, "b", "a");
  s.address = ADDRESS_TAKEN;
  for (int i = 0; i < 12; i++) {
    join_heard(s.join, scene_id('c'), &source, 1, 1, true, s.now_ms);
    scene_run(&s, 50);
  }
  assert_logged(&s, "starting afresh");
  scene_close(&s);
}

/* A copy of the handshake sent from elsewhere comes too late to give its sender's address in the
 * configuration. */
static void a_replayed_handshake_moves_nobody(void **state) {
  (void)state;
  struct join_member info;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 200);
  scene_configure(&s, "abc", "");
  s.situation.raft.configuration_committed = false;
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd'});
  scene_hear(&s, JOIN_CREDENTIALS, (struct voice){.node = 'd', .cluster = '='});

  struct join_message message = {.type = JOIN_CREDENTIALS, .has_token = true};
  struct join_datagram copy = {.source = scene_udp('z'), .from = scene_id('d'), .message = &message};
  memcpy(copy.cluster, join_cluster(s.join), sizeof copy.cluster);
  message.card = (struct join_card){.name = "d", .http = scene_http('d')};
  join_heard(s.join, copy.from, &copy.source, 1, s.counter, true, s.now_ms);
  join_receive(s.join, &s.situation, &copy, s.now_ms);
  s.situation.raft.configuration_committed = true;
  scene_tick(&s);

  const struct coracle_raft_member *member = coracle_raft_configuration_find(&s.changed, scene_id('d'));
  const struct address udp = scene_udp('d');
  assert_non_null(member);
  assert_int_equal(join_member_decode(member, &info), 0);
  assert_true(address_equal(&info.udp, &udp));
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(only_a_newer_datagram_moves_an_id),
      cmocka_unit_test(who_was_never_heard_is_where_the_configuration_says),
      cmocka_unit_test(what_is_newly_configured_is_newer_than_what_was_heard),
      cmocka_unit_test(a_flood_of_ids_is_bounded),
      cmocka_unit_test(a_replay_is_no_sign_of_life),
      cmocka_unit_test(a_replay_holds_up_no_orphan),
      cmocka_unit_test(a_replayed_handshake_moves_nobody),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
