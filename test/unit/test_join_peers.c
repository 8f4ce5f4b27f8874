/* Goal: across hosts, where each node has an election address of its own: who founds and when (the lowest,
 * once all others have said in one round that they are fresh and have the same list, and nobody else ever),
 * how the rest find a leader, and who asks for votes when. */
#include "join_scene.h"

static const uint64_t ROUND_MS = ELECTION_TIMEOUT_MS;

static void open_peer(struct scene *s, char self, const char *nodes) {
  const struct join_options options = scene_peers_options(self, nodes);
  scene_open_with(s, &options);
}

static bool did(const struct scene *s, const char *what) {
  return s->script.n > 0 && memmem(s->script.data, s->script.n, what, strlen(what)) != NULL;
}

static void assert_reason(struct scene *s, const char *expected) {
  assert_string_equal(join_no_leader_reason(s->join, &s->situation, s->now_ms), expected);
}

/* ---- Founding ---- */

static void the_lowest_founds_when_all_others_are_fresh(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "cab"); /* the order of the list is no matter */
  scene_run(&s, 0);
  assert_logged(&s, "step 1: the election address 127.0.0.1:7001 is this node's own, one of 3");
  assert_logged(&s, "step 2: it is the lowest: asking the others whether they are fresh");
  assert_script(&s, "0 PROBE to b\n"
                    "0 PROBE to c\n"
                    "0 ACCEPT to b\n"
                    "0 ACCEPT to c\n");
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c'});
  assert_script(&s, "");
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  assert_logged(&s, "step 2: founded cluster");
  assert_script(&s, "0 found\n"
                    "0 CREDENTIALS without token to b\n"
                    "0 CREDENTIALS without token to c\n"
                    "0 open http\n");
  assert_int_equal(s.configuration.members_n, 1);
  scene_close(&s);
}

static void a_list_of_one_founds_at_once(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "a");
  scene_run(&s, 1000);
  assert_script(&s, "0 found\n"
                    "0 open http\n");
  scene_close(&s);
}

/* It may be the one that knows of a cluster. */
static void while_one_is_missing_nobody_founds(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "abc");
  scene_run(&s, 0);
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  scene_mark(&s);
  scene_run(&s, 60);
  assert_script(&s, "50 PROBE to c\n" /* b has answered in this round */
                    "50 ACCEPT to b\n"
                    "50 ACCEPT to c\n");
  for (int i = 0; i < 100; i++) {
    scene_run(&s, HEARTBEAT_MS);
    scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  }
  assert_false(did(&s, "found"));
  assert_reason(&s,
                "founding a cluster when every peer has answered that it is fresh; 127.0.0.1:7003 does not "
                "answer");
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c'});
  assert_true(did(&s, "found"));
  scene_close(&s);
}

/* b may have come to know a cluster since it answered. */
static void answers_of_different_rounds_do_not_add_up(void **state) {
  (void)state;
  struct scene s;
  uint64_t first;
  open_peer(&s, 'a', "abc");
  scene_run(&s, 0);
  first = s.round;
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  scene_run(&s, ROUND_MS + HEARTBEAT_MS);
  assert_int_not_equal(s.round, first);
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c'});
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b', .round = first}); /* late, or played back */
  assert_false(did(&s, "found"));
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  assert_true(did(&s, "found"));
  scene_close(&s);
}

/* A late answer to the round before takes nothing back. */
static void a_late_answer_is_none(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "abc");
  scene_run(&s, 0);
  const uint64_t first = s.round;
  scene_run(&s, ROUND_MS + HEARTBEAT_MS);
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b', .round = first});
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c'});
  assert_true(did(&s, "found"));
  scene_close(&s);
}

/* What let it found once tells nothing of what is now. */
static void a_founder_that_yields_asks_again(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "ab");
  scene_run(&s, 0);
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  assert_true(did(&s, "found"));
  scene_mark(&s);
  scene_hear(
      &s, JOIN_CREDENTIALS,
      (struct voice){.node = 'e', .cluster = 'y', .established = true, .leader = true, .announces = true});
  assert_true(did(&s, "yield"));
  scene_run(&s, 5 * HEARTBEAT_MS);
  assert_false(did(&s, "found"));
  assert_true(did(&s, "PROBE to b"));
  scene_close(&s);
}

/* An answer that waited in the socket of a stopped process tells of the past. */
static void a_stopped_process_begins_a_new_round(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "abc");
  scene_run(&s, 0);
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  s.now_ms += 10 * ROUND_MS;
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c'});
  assert_false(did(&s, "found"));
  scene_mark(&s);
  scene_run(&s, HEARTBEAT_MS);
  assert_true(did(&s, "PROBE to b"));
  scene_close(&s);
}

/* Answers count by the address they come from, and only those of the others. */
static void who_is_not_on_the_list_has_no_say(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "ab");
  scene_run(&s, 0);
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c'});
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'a'});
  assert_false(did(&s, "found"));
  scene_close(&s);
}

/* The others may start later: the one that does is asked at once, not with the next heartbeat. */
static void a_peer_that_comes_is_asked_at_once(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "ab");
  scene_run(&s, 20);
  scene_mark(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'b'});
  assert_script(&s, "0 PROBE to b\n"
                    "0 NOT_YET to b\n");
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  /* Having asked it need not ask again. */
  assert_script(&s, "0 found\n"
                    "0 CREDENTIALS without token to b\n"
                    "0 open http\n"
                    "0 CREDENTIALS to b\n");
  scene_close(&s);
}

static void only_the_lowest_founds(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'b', "abc");
  scene_run(&s, 60);
  assert_logged(&s, "step 3: only 127.0.0.1:7001, the lowest, may found a cluster; following");
  assert_logged(&s, "step 4: sent ACCEPT to every other peer");
  assert_script(&s, "0 ACCEPT to a\n"
                    "0 ACCEPT to c\n"
                    "50 ACCEPT to a\n"
                    "50 ACCEPT to c\n");
  scene_hear(&s, JOIN_PROBE, (struct voice){.node = 'a', .round = 17});
  assert_script(&s, "0 PROBED to a\n");
  assert_int_equal(s.sent.round, 17);
  assert_int_equal(s.sent.peers.n, 3);
  assert_reason(&s, "127.0.0.1:7001, which alone may found a cluster, does not answer");
  scene_hear(&s, JOIN_NOT_YET, (struct voice){.node = 'a'});
  assert_reason(&s, "127.0.0.1:7001, which alone may found a cluster, says: need 2 of 3 voters, reached 1");
  scene_run(&s, 100 * ELECTION_TIMEOUT_MS);
  assert_false(did(&s, "found"));
  scene_close(&s);
}

/* ---- Those that are not fresh ---- */

/* Consul's #8376: the lowest was wiped, or is new; the others are a cluster, led or not. */
static void beside_a_cluster_nobody_founds(void **state) {
  (void)state;
  for (int leader = 0; leader <= 1; leader++) {
    struct scene s;
    const struct voice member = {
        .node = 'c', .cluster = 'x', .term = 4, .established = true, .leader = leader == 1};
    open_peer(&s, 'a', "abc");
    for (int i = 0; i < 100; i++) {
      scene_run(&s, HEARTBEAT_MS);
      scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
      scene_hear(&s, JOIN_PROBED, member);
    }
    assert_false(did(&s, "found"));
    assert_non_null(strstr(join_no_leader_reason(s.join, &s.situation, s.now_ms),
                           leader ? "joining cluster 7878" : "not founding: cluster 7878"));
    /* It joins as soon as that cluster's leader answers. */
    scene_mark(&s);
    scene_hear(&s, JOIN_CREDENTIALS,
               (struct voice){.node = 'c', .cluster = 'x', .term = 5, .established = true, .leader = true});
    assert_script(&s, "0 adopt x\n"
                      "0 CREDENTIALS to c\n");
    scene_close(&s);
  }
}

/* Neither does it beside one that has not got anywhere: that one yields first, or is led and can be joined.
 */
static void beside_an_unestablished_cluster_nobody_founds_either(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "abc");
  for (int i = 0; i < 20; i++) {
    scene_run(&s, HEARTBEAT_MS);
    scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
    scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c', .cluster = 'x'});
  }
  assert_false(did(&s, "found"));
  assert_reason(&s,
                "founding a cluster when every peer has answered that it is fresh; c at 127.0.0.1:7003 has a "
                "cluster");
  scene_run(&s, HEARTBEAT_MS);
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c'}); /* it has yielded */
  assert_true(did(&s, "found"));
  scene_close(&s);
}

/* A cluster that is not on the list, which has this node on its own. */
static void a_cluster_from_elsewhere_is_no_reason_to_found_either(void **state) {
  (void)state;
  struct scene s;
  open_peer(&s, 'a', "ab");
  scene_run(&s, 0);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'e', .cluster = 'x', .established = true});
  assert_logged(&s, "not founding: cluster 7878");
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
  assert_false(did(&s, "found"));
  scene_run(&s, 5 * HEARTBEAT_MS); /* it is not heard any more */
  assert_true(did(&s, "found"));
  scene_close(&s);
}

/* ---- Lists that differ ---- */

static void lists_that_differ_found_nothing_and_say_so(void **state) {
  (void)state;
  struct address_list other = {.n = 3, .at = {scene_udp('a'), scene_udp('c'), scene_udp('e')}};
  struct scene s;
  open_peer(&s, 'a', "abc");
  scene_run(&s, 0);
  for (int i = 0; i < 50; i++) {
    scene_mark(&s);
    scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
    scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'c', .peers = &other});
    if (i == 0)
      assert_logged(&s, "c at 127.0.0.1:7003 has another --peers: 127.0.0.1:7005 is not in this node's. The "
                        "list must be the same on all nodes");
    else
      assert_not_logged(&s, "--peers"); /* once in ten seconds */
    assert_false(did(&s, "found"));
    scene_run(&s, HEARTBEAT_MS);
  }
  assert_reason(&s,
                "founding a cluster when every peer has answered that it is fresh; c at 127.0.0.1:7003 has "
                "another --peers");
  scene_close(&s);
}

/* Whoever is asked with another list finds out as well, on the list or not, with a list or without. */
static void who_is_probed_with_another_list_says_so(void **state) {
  (void)state;
  struct address_list other = {.n = 2, .at = {scene_udp('a'), scene_udp('c')}}, none = {0};
  struct scene s;
  open_peer(&s, 'b', "abc");
  scene_run(&s, 0);
  scene_hear(&s, JOIN_PROBE, (struct voice){.node = 'a', .peers = &other});
  assert_logged(&s, "a at 127.0.0.1:7001 has another --peers: 127.0.0.1:7002 is in this node's only");
  assert_reason(&s, "a at 127.0.0.1:7001 has another --peers: 127.0.0.1:7002 is in this node's only");
  scene_mark(&s);
  scene_hear(&s, JOIN_PROBE, (struct voice){.node = 'f', .name = "far", .peers = &other});
  assert_logged(&s, "far at 127.0.0.1:7006 has another --peers: 127.0.0.1:7002 is in this node's only");
  scene_mark(&s);
  scene_hear(&s, JOIN_PROBE, (struct voice){.node = 'f', .peers = &other});
  scene_hear(&s, JOIN_PROBE, (struct voice){.node = 'a', .peers = &other});
  assert_not_logged(&s, "--peers");
  assert_int_equal(s.sent.type, JOIN_PROBED); /* and answers, so that the other knows too */
  scene_close(&s);

  open_peer(&s, 'a', "ab");
  scene_run(&s, 0);
  scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b', .peers = &none});
  assert_logged(&s, "b at 127.0.0.1:7002 has no --peers");
  assert_false(did(&s, "found"));
  scene_close(&s);

  scene_open(&s);
  scene_run(&s, 0);
  scene_hear(&s, JOIN_PROBE, (struct voice){.node = 'b', .peers = &other});
  assert_logged(&s, "b at 127.0.0.1:7002 has --peers, and this node has none");
  scene_close(&s);
}

/* ---- Members ---- */

static void open_member(struct scene *s, char self, uint64_t seed) {
  struct join_options options = scene_peers_options(self, "abc");
  memset(options.cluster, 'x', sizeof options.cluster);
  options.seed = seed;
  options.memory_storage = false;
  scene_open_with(s, &options);
  scene_configure(s, "abc", "");
}

/* Each voter after a random part of a heartbeat, so that seldom two ask at once; a learner never. */
static void after_the_streams_end_every_voter_asks_for_votes(void **state) {
  (void)state;
  uint64_t least = UINT64_MAX, most = 0;
  for (uint64_t seed = 1; seed <= 100; seed++) {
    struct scene s;
    open_member(&s, 'b', seed);
    scene_follow(&s, 'c', 3);
    scene_run(&s, 1000);
    assert_false(did(&s, "campaign"));
    scene_lose_leader(&s);
    join_stream_ended(s.join, &s.situation, s.now_ms);
    const uint64_t ended_ms = s.now_ms;
    for (scene_mark(&s); !did(&s, "campaign"); scene_run(&s, 1))
      assert_in_range(s.now_ms - ended_ms, 0, HEARTBEAT_MS + 1);
    least = s.now_ms - ended_ms < least ? s.now_ms - ended_ms : least;
    most = s.now_ms - ended_ms > most ? s.now_ms - ended_ms : most;
    scene_mark(&s);
    scene_lose_leader(&s); /* in vain: the core tries again, in its own time */
    scene_run(&s, 10 * ELECTION_TIMEOUT_MS);
    assert_false(did(&s, "campaign"));
    assert_false(did(&s, "bind"));
    scene_close(&s);
  }
  assert_true(least < 5 && most > HEARTBEAT_MS - 5);
}

static void who_hears_a_leader_by_then_or_has_no_vote_does_not(void **state) {
  (void)state;
  for (int vote = 0; vote <= 1; vote++) {
    struct scene s;
    open_member(&s, 'b', 7);
    if (vote == 0) scene_configure(&s, "ac", "b");
    scene_follow(&s, 'c', 3);
    scene_run(&s, 1000);
    scene_lose_leader(&s);
    join_stream_ended(s.join, &s.situation, s.now_ms);
    scene_tick(&s);
    scene_mark(&s);
    if (vote == 1) scene_follow(&s, 'a', 4);
    scene_run(&s, 5 * HEARTBEAT_MS);
    assert_false(did(&s, "campaign"));
    scene_close(&s);
  }
}

/* There may be no leader that could tell it so by ending a stream. */
static void a_voter_that_starts_again_asks_for_votes(void **state) {
  (void)state;
  struct scene s;
  open_member(&s, 'b', 7);
  scene_run(&s, HEARTBEAT_MS);
  assert_logged(&s, "step 2: asking for votes");
  assert_true(did(&s, "ACCEPT to a\n0 ACCEPT to c\n"));
  assert_true(did(&s, "campaign"));
  scene_close(&s);
}

/* Its leader has been asked as well. Without one it says why there is none. */
static void a_follower_leaves_the_answer_to_its_leader(void **state) {
  (void)state;
  struct scene s;
  open_member(&s, 'b', 7);
  scene_follow(&s, 'c', 3);
  scene_run(&s, 60);
  scene_mark(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd'});
  assert_script(&s, "");
  scene_lose_leader(&s);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'd'});
  assert_true(did(&s, "NOT_YET to d"));
  scene_close(&s);
}

/* At every address from which no member is with it there may be one that does not know it. */
static void a_leader_announces_itself_where_nobody_is_with_it(void **state) {
  (void)state;
  struct scene s;
  open_member(&s, 'b', 7);
  scene_lead(&s, 3);
  scene_link(&s, 'c', false);
  scene_run(&s, 0);
  assert_true(did(&s, "CREDENTIALS without token to c"));
  assert_false(did(&s, "CREDENTIALS without token to a"));
  scene_close(&s);
}

/* Of two clusters that have got nowhere the one with the higher leader yields, and that is the end of it. */
static void of_two_unestablished_leaders_the_higher_yields(void **state) {
  (void)state;
  for (char self = 'a'; self <= 'c'; self = (char)(self + 2)) {
    const struct voice other = {.node = 'b', .cluster = 'y', .term = 9, .leader = true, .announces = true};
    struct scene s;
    open_member(&s, self, 7);
    scene_configure(&s, (char[]){self, '\0'}, "");
    scene_lead(&s, 3);
    scene_run(&s, 60);
    scene_mark(&s);
    scene_hear(&s, JOIN_CREDENTIALS, other);
    assert_int_equal(did(&s, "yield"), self == 'c');
    if (self == 'a') assert_script(&s, ""); /* b hears of this one by its own announcement */
    scene_close(&s);
  }
}

/* ... and whoever only follows leaves that to its leader. */
static void a_learner_does_not_yield_for_a_rival_of_its_leader(void **state) {
  (void)state;
  static const struct voice rival = {.node = 'a', .cluster = 'y', .term = 9, .leader = true};
  struct scene s;
  open_member(&s, 'c', 7);
  scene_configure(&s, "b", "c");
  scene_follow(&s, 'b', 3);
  scene_run(&s, 60);
  scene_hear(&s, JOIN_ACCEPT, rival);
  assert_false(did(&s, "yield"));
  scene_close(&s);
}

/* ---- Replacing ---- */

/* a leads, c is dead and durable. Who takes its place? */
static bool replaces(const struct voice *voice, struct address udp) {
  struct scene s;
  open_member(&s, 'a', 7);
  scene_lead(&s, 3);
  scene_link(&s, 'c', false);
  scene_run(&s, 3 * ELECTION_TIMEOUT_MS);
  scene_mark(&s);
  struct voice accept = *voice;
  accept.cluster = 0;
  scene_hear(&s, JOIN_ACCEPT, accept);
  join_heard(s.join, scene_id(voice->node), &udp, 2, 1, false, s.now_ms);
  scene_hear(&s, JOIN_CREDENTIALS, *voice);
  const bool replaced = did(&s, "change -c");
  assert_true(replaced || did(&s, "change +d"));
  scene_close(&s);
  return replaced;
}

/* Every host has 127.0.0.1:8003, so that says nothing across hosts; the election address says it all. */
static void a_loopback_address_is_nobodys_across_hosts(void **state) {
  (void)state;
  const struct voice same_http = {.node = 'd', .cluster = '=', .http_port = 8003};
  const struct voice same_name = {.node = 'd', .cluster = '=', .name = "c"};
  const struct voice another = {.node = 'd', .cluster = '='};
  assert_false(replaces(&same_http, scene_udp('d')));
  assert_false(replaces(&another, scene_udp('d')));
  assert_true(replaces(&same_name, scene_udp('d')));
  assert_true(replaces(&another, scene_udp('c')));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_lowest_founds_when_all_others_are_fresh),
      cmocka_unit_test(a_list_of_one_founds_at_once),
      cmocka_unit_test(while_one_is_missing_nobody_founds),
      cmocka_unit_test(answers_of_different_rounds_do_not_add_up),
      cmocka_unit_test(a_late_answer_is_none),
      cmocka_unit_test(a_founder_that_yields_asks_again),
      cmocka_unit_test(a_stopped_process_begins_a_new_round),
      cmocka_unit_test(who_is_not_on_the_list_has_no_say),
      cmocka_unit_test(a_peer_that_comes_is_asked_at_once),
      cmocka_unit_test(only_the_lowest_founds),
      cmocka_unit_test(beside_a_cluster_nobody_founds),
      cmocka_unit_test(beside_an_unestablished_cluster_nobody_founds_either),
      cmocka_unit_test(a_cluster_from_elsewhere_is_no_reason_to_found_either),
      cmocka_unit_test(lists_that_differ_found_nothing_and_say_so),
      cmocka_unit_test(who_is_probed_with_another_list_says_so),
      cmocka_unit_test(after_the_streams_end_every_voter_asks_for_votes),
      cmocka_unit_test(who_hears_a_leader_by_then_or_has_no_vote_does_not),
      cmocka_unit_test(a_voter_that_starts_again_asks_for_votes),
      cmocka_unit_test(a_follower_leaves_the_answer_to_its_leader),
      cmocka_unit_test(a_leader_announces_itself_where_nobody_is_with_it),
      cmocka_unit_test(of_two_unestablished_leaders_the_higher_yields),
      cmocka_unit_test(a_learner_does_not_yield_for_a_rival_of_its_leader),
      cmocka_unit_test(a_loopback_address_is_nobodys_across_hosts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
