/* Goal: a learner with a disk whose founder, with a disk too, is away. Its vote may be needed: by the founder
 * when it comes back, or by others who have heard more. So it starts afresh only when it has learned, all in
 * one round of probes, that the founder's disk is gone and that nobody else knows more; on one host and
 * across hosts. */
#include "join_scene.h"

#include <stdio.h>

/* a is a learner of b's cluster, as c is, and b is away. */
static void open_orphan(struct scene *s, bool peers, const char *learners) {
  struct join_options options = peers ? scene_peers_options('a', "abc") : scene_options();
  memset(options.cluster, 'x', sizeof options.cluster);
  options.memory_storage = false;
  scene_open_with(s, &options);
  scene_configure(s, "b", learners);
  scene_lose_leader(s);
  s->address = ADDRESS_TAKEN;
  for (size_t i = 0; i < s->situation.raft.peers_n; i++) s->situation.raft.peers[i].link = false;
  scene_run(s, 0);
}

static bool did(const struct scene *s, const char *what) {
  return s->script.n > 0 && memmem(s->script.data, s->script.n, what, strlen(what)) != NULL;
}

static bool is_itself(const struct scene *s) {
  return join_id(s->join) == 1;
}

static const struct voice fellow = {.node = 'c', .cluster = 'x'}; /* knows no more */

/* Nodes where the founder was: fresh, or in another cluster. */
static const struct voice instead[] = {
    {.node = 'd', .name = "b"}, {.node = 'd', .http_port = 8002}, {.node = 'd', .name = "b", .cluster = 'y'}};

static void it_waits_for_its_founder_and_asks_about(void **state) {
  (void)state;
  for (int peers = 0; peers <= 1; peers++) {
    struct scene s;
    open_orphan(&s, peers == 1, "ac");
    assert_true(did(&s, "PROBE to b") && did(&s, "PROBE to c"));
    assert_int_equal(did(&s, "PROBE to election"), peers == 0);
    scene_run(&s, 40 * ELECTION_TIMEOUT_MS);
    assert_true(is_itself(&s));
    assert_string_equal(
        join_no_leader_reason(s.join, &s.situation, s.now_ms),
        "this node is a learner and waits for b, which founded the cluster: start it again, and all "
        "others that were there");
    /* It comes back, and the node follows it. */
    scene_follow(&s, 'b', 2);
    scene_mark(&s);
    scene_run(&s, 200);
    assert_false(did(&s, "PROBE"));
    assert_true(is_itself(&s));
    scene_close(&s);
  }
}

static void alone_with_a_founder_that_is_gone_it_starts_afresh(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof instead / sizeof *instead; i++) {
    struct scene s;
    open_orphan(&s, false, "a");
    scene_hear(&s, JOIN_PROBED, instead[i]);
    assert_logged(&s, "its founder has lost it, and nobody else knows more; starting afresh");
    assert_false(is_itself(&s));
    scene_close(&s);
  }
}

static void with_others_it_waits_for_their_word_too(void **state) {
  (void)state;
  static const struct voice replaced = {.node = 'e', .name = "c"};
  const struct voice *words[] = {&fellow, &replaced};
  for (size_t i = 0; i < 2; i++) {
    for (int order = 0; order <= 1; order++) {
      struct scene s;
      open_orphan(&s, false, "ac");
      scene_hear(&s, JOIN_PROBED, order == 0 ? instead[0] : *words[i]);
      scene_run(&s, 2 * HEARTBEAT_MS);
      assert_true(is_itself(&s));
      scene_hear(&s, JOIN_PROBED, order == 0 ? *words[i] : instead[0]);
      assert_false(is_itself(&s));
      scene_close(&s);
    }
  }
}

/* Who is asked again in the same round is who has not answered. */
static void it_asks_again_whom_it_has_not_heard(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, true, "ac");
  scene_hear(&s, JOIN_PROBED, fellow);
  scene_mark(&s);
  scene_run(&s, HEARTBEAT_MS);
  assert_true(did(&s, "PROBE to b"));
  assert_false(did(&s, "PROBE to c"));
  scene_run(&s, ELECTION_TIMEOUT_MS);
  assert_true(did(&s, "PROBE to c"));
  scene_close(&s);
}

/* Found by a storm in test_node_peers.c: the founder had made all of them voters and c knows it, while a was
 * stopped. Then the founder lost its disk. Had a started afresh, c's majority would have forgotten. */
static void while_somebody_knows_more_it_keeps_its_vote(void **state) {
  (void)state;
  static const struct voice knows = {.node = 'c', .cluster = 'x', .established = true};
  static const struct voice leads = {.node = 'c', .cluster = 'x', .leader = true};
  struct scene s;
  open_orphan(&s, true, "ac");
  for (int i = 0; i < 50; i++) {
    scene_hear(&s, JOIN_PROBED, instead[0]);
    scene_hear(&s, JOIN_PROBED, i % 2 == 0 ? knows : leads);
    scene_hear(&s, JOIN_ACCEPT, fellow); /* not an answer: it may be old */
    scene_hear(&s, JOIN_ACCEPT, instead[0]);
    scene_run(&s, HEARTBEAT_MS);
    assert_true(is_itself(&s));
  }
  scene_close(&s);
}

static void what_was_said_in_different_rounds_does_not_count_together(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, true, "ac");
  const uint64_t first = s.round;
  scene_hear(&s, JOIN_PROBED, fellow);
  scene_run(&s, ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
  assert_int_not_equal(s.round, first);
  scene_hear(&s, JOIN_PROBED, instead[0]);
  struct voice late = fellow;
  late.round = first;
  scene_hear(&s, JOIN_PROBED, late);
  assert_true(is_itself(&s));
  /* Nor does it when the node was stopped in between. */
  scene_hear(&s, JOIN_PROBED, instead[0]);
  s.now_ms += ELECTION_TIMEOUT_MS;
  scene_hear(&s, JOIN_PROBED, fellow);
  assert_true(is_itself(&s));
  scene_close(&s);
}

/* ... or when the leader was there meanwhile: it may have changed everything. */
static void a_leader_in_between_ends_the_round(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, true, "ac");
  scene_hear(&s, JOIN_PROBED, fellow);
  scene_follow(&s, 'b', 1);
  scene_tick(&s);
  scene_lose_leader(&s);
  scene_hear(&s, JOIN_PROBED, instead[0]);
  assert_true(is_itself(&s));
  scene_close(&s);
}

/* Somebody else's word about itself, the founder's own, another member's in the founder's place. */
static void others_have_no_say(void **state) {
  (void)state;
  static const struct voice others[] = {
      {.node = 'd'},
      {.node = 'b', .cluster = 'x'},
      {.node = 'd', .cluster = 'x', .name = "b"},
  };
  struct scene s;
  open_orphan(&s, false, "ac");
  scene_hear(&s, JOIN_PROBED, fellow);
  for (size_t i = 0; i < sizeof others / sizeof *others; i++) scene_hear(&s, JOIN_PROBED, others[i]);
  assert_true(is_itself(&s));
  scene_close(&s);
}

/* What ends with a process cannot be asked for, and is not there. */
static void members_with_memory_storage_are_not_asked(void **state) {
  (void)state;
  struct scene s;
  struct join_member info;
  open_orphan(&s, false, "ac");
  assert_int_equal(join_member_decode(&s.configuration.members[2], &info), 0);
  info.memory_storage = true;
  join_member_encode(&info, &s.configuration.members[2]);
  scene_hear(&s, JOIN_PROBED, instead[0]);
  assert_false(is_itself(&s));
  scene_close(&s);
}

/* Across hosts silence may be a partition. There is nothing to be gained from starting afresh before
 * everybody can be asked: nobody could found before that. */
static void across_hosts_members_with_memory_storage_are_waited_for(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, true, "ac");
  s.durable = false;
  scene_configure(&s, "b", "ac");
  s.situation.established = false;
  for (size_t i = 0; i < s.situation.raft.peers_n; i++) s.situation.raft.peers[i].link = false;
  scene_run(&s, 20 * ELECTION_TIMEOUT_MS);
  assert_true(is_itself(&s));
  scene_hear(&s, JOIN_PROBED, instead[0]);
  assert_true(is_itself(&s));
  scene_hear(&s, JOIN_PROBED, fellow);
  assert_false(is_itself(&s));
  scene_close(&s);
}

/* It has never told the founder that it knows of the cluster, so it has no vote. */
static void who_is_not_named_has_nothing_to_wait_for(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, false, "c");
  assert_false(did(&s, "PROBE"));
  scene_run(&s, ELECTION_TIMEOUT_MS + HEARTBEAT_MS);
  assert_false(is_itself(&s));
  scene_close(&s);
}

/* Across hosts all can be asked, so nobody needs to give up its vote for another cluster. On one host it
 * gives way to an established one: nobody there can know better. */
static void it_yields_for_no_other_cluster_where_it_can_ask(void **state) {
  (void)state;
  static const struct voice established = {.node = 'e', .cluster = 'y', .established = true, .leader = true};
  static const struct voice unestablished = {.node = 'e', .cluster = 'y', .leader = true};
  for (int peers = 0; peers <= 1; peers++) {
    struct scene s;
    open_orphan(&s, peers == 1, "ac");
    scene_hear(&s, JOIN_ACCEPT, unestablished);
    assert_true(is_itself(&s));
    scene_hear(&s, JOIN_ACCEPT, established);
    assert_int_equal(is_itself(&s), peers == 1);
    scene_close(&s);
  }
}

/* ---- Being asked ---- */

static void assert_answers(struct scene *s, bool counts) {
  scene_hear(s, JOIN_PROBE, (struct voice){.node = 'c', .cluster = 'x', .round = 17});
  assert_int_equal(s->sent.type, JOIN_PROBED);
  assert_int_equal(s->sent.round, counts ? 17 : 0);
  assert_false(s->sent.card.established);
}

/* There may be bytes in the stream that it has not read: what it says could be wrong the next moment. */
static void a_learner_with_a_stream_does_not_know_what_it_knows(void **state) {
  (void)state;
  struct scene s;
  open_orphan(&s, true, "ac");
  assert_answers(&s, true);
  scene_link(&s, 'b', true);
  assert_answers(&s, false);
  scene_configure(&s, "a", "bc"); /* a voter knows */
  s.situation.established = false;
  assert_answers(&s, true);
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(it_waits_for_its_founder_and_asks_about),
      cmocka_unit_test(alone_with_a_founder_that_is_gone_it_starts_afresh),
      cmocka_unit_test(with_others_it_waits_for_their_word_too),
      cmocka_unit_test(it_asks_again_whom_it_has_not_heard),
      cmocka_unit_test(while_somebody_knows_more_it_keeps_its_vote),
      cmocka_unit_test(what_was_said_in_different_rounds_does_not_count_together),
      cmocka_unit_test(a_leader_in_between_ends_the_round),
      cmocka_unit_test(others_have_no_say),
      cmocka_unit_test(members_with_memory_storage_are_not_asked),
      cmocka_unit_test(across_hosts_members_with_memory_storage_are_waited_for),
      cmocka_unit_test(who_is_not_named_has_nothing_to_wait_for),
      cmocka_unit_test(it_yields_for_no_other_cluster_where_it_can_ask),
      cmocka_unit_test(a_learner_with_a_stream_does_not_know_what_it_knows),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
