/* Goal: a node without a leader says why in one sentence that tells people what to do, whatever state it is
 * in; and HTTP opens in time to say it. */
#include "join_scene.h"

#include <stdio.h>

static const char *reason(struct scene *s) {
  return join_no_leader_reason(s->join, &s->situation, s->now_ms);
}

static void assert_reason(struct scene *s, const char *expected) {
  assert_string_equal(reason(s), expected);
}

static void assert_reason_has(struct scene *s, const char *expected) {
  if (strstr(reason(s), expected) == NULL) fail_msg("\"%s\" is not in \"%s\"", expected, reason(s));
}

/* ---- Fresh ---- */

static void the_holder_that_listens(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  scene_run(&s, 100);
  assert_reason(&s, "this node holds 127.0.0.1:8000 and listens for a cluster before it founds one");
  scene_close(&s);
}

static void the_address_is_held_but_silent(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 2 * ELECTION_TIMEOUT_MS - 1);
  assert_reason(&s, "waiting for an answer from 127.0.0.1:8000");
  scene_run(&s, 1);
  assert_reason(&s, "127.0.0.1:8000 is held but its holder does not answer: a hung process, another secret, "
                    "or another program");
  scene_hear(&s, JOIN_NOT_YET, (struct voice){.node = 'b'});
  assert_reason(&s, "waiting for an answer from 127.0.0.1:8000");
  scene_close(&s);
}

static void a_cluster_without_a_leader_is_waited_for(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 100);
  scene_hear(&s, JOIN_NOT_YET, (struct voice){.node = 'b', .cluster = 'x', .established = true});
  assert_reason(
      &s, "not founding: cluster 78787878787878787878787878787878, which b belongs to, exists but has no "
          "leader");
  scene_close(&s);
}

static void the_refused(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 100);
  scene_hear(&s, JOIN_REFUSED, (struct voice){.node = 'b', .cluster = 'x'});
  assert_reason(&s, "the leader refuses this node: name_taken: it is");
  scene_close(&s);
}

/* ---- Members ---- */

static void open_member(struct scene *s, const char *voters, const char *learners) {
  scene_open(s);
  scene_adopt(s, 'x', 'b', 3);
  scene_configure(s, voters, learners);
  scene_follow(s, 'b', 3);
  s->address = ADDRESS_TAKEN;
  scene_run(s, 10);
  scene_lose_leader(s);
}

static void a_voter_counts_whom_it_reaches(void **state) {
  (void)state;
  struct scene s;
  open_member(&s, "abc", "");
  scene_run(&s, 100);
  assert_reason(&s, "need 2 of 3 voters, reached 3; an election is under way");
  scene_run(&s, 1000);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'c', .cluster = 'x'});
  assert_reason(&s, "need 2 of 3 voters, reached 2; b silent for 1.1 s; an election is under way");
  scene_run(&s, 3100);
  assert_reason(
      &s, "need 2 of 3 voters, reached 1; b silent for 4.2 s; c silent for 3.1 s. Processes that ended took "
          "their memory storage with them: read what is here with ?consistency=stale, then restart this "
          "node too, to begin again with an empty cluster");
  scene_peer(&s, 'b')->last_contact_ms = s.now_ms - 100; /* the core has heard it */
  assert_reason_has(&s, "reached 2; c silent for 3.1 s");
  scene_close(&s);
}

/* A node that has just been started has not heard for that long, whatever the clock says. */
static void nobody_is_silent_for_longer_than_this_node_lives(void **state) {
  (void)state;
  struct scene s;
  open_member(&s, "abc", "");
  scene_peer(&s, 'b')->last_contact_ms = scene_peer(&s, 'c')->last_contact_ms = 0;
  scene_run(&s, 1990);
  assert_reason_has(&s, "c silent for 2.0 s");
  scene_close(&s);
}

/* Learners do not count. */
static void a_learner_says_it_is_one(void **state) {
  (void)state;
  struct scene s;
  open_member(&s, "bc", "a");
  scene_run(&s, 100);
  assert_reason(&s, "joining cluster 78787878787878787878787878787878, which b leads");
  scene_run(&s, 1000);
  assert_reason(&s, "this node is a learner and has not heard the leader for a while");
  scene_configure(&s, "ab", "cdef");
  assert_reason_has(&s, "need 2 of 2 voters");
  scene_close(&s);
}

/* Long names do not push out the remedy. */
static void the_remedy_is_there_with_long_names_too(void **state) {
  (void)state;
  struct scene s;
  open_member(&s, "abcdefghijklmnop", "");
  for (uint32_t i = 0; i < s.configuration.members_n; i++) {
    struct join_member info = {.memory_storage = true, .http = scene_http('b'), .udp = scene_udp('b')};
    memset(info.name, 'n', JOIN_NAME_BYTES_MAX);
    join_member_encode(&info, &s.configuration.members[i]);
  }
  scene_run(&s, 100000);
  assert_reason_has(&s, "need 9 of 16 voters, reached 1; nnnn");
  assert_reason_has(&s, "to begin again with an empty cluster");
  /* Nor does it fit in one datagram: what does is sent. */
  s.address = ADDRESS_FREE;
  scene_run(&s, 2000);
  assert_true(s.holding);
  scene_hear(&s, JOIN_ACCEPT, (struct voice){.node = 'z'});
  assert_int_equal(s.sent.type, JOIN_NOT_YET);
  assert_memory_equal(s.sent.text, "need 9 of 16 voters", 19);
  scene_close(&s);
}

/* ---- Step 8 ---- */

static void http_opens_after_two_election_timeouts(void **state) {
  (void)state;
  struct scene s;
  scene_open(&s);
  s.address = ADDRESS_TAKEN;
  scene_run(&s, 2 * ELECTION_TIMEOUT_MS - 1);
  assert_null(memmem(s.script.data, s.script.n, "open http", 9));
  scene_run(&s, HEARTBEAT_MS);
  assert_logged(&s, "step 8: HTTP open on 127.0.0.1:8001: no leader yet");
  scene_mark(&s);
  scene_run(&s, 5000); /* once */
  assert_null(memmem(s.script.data, s.script.n, "open http", 9));
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_holder_that_listens),
      cmocka_unit_test(the_address_is_held_but_silent),
      cmocka_unit_test(a_cluster_without_a_leader_is_waited_for),
      cmocka_unit_test(the_refused),
      cmocka_unit_test(a_voter_counts_whom_it_reaches),
      cmocka_unit_test(nobody_is_silent_for_longer_than_this_node_lives),
      cmocka_unit_test(a_learner_says_it_is_one),
      cmocka_unit_test(the_remedy_is_there_with_long_names_too),
      cmocka_unit_test(http_opens_after_two_election_timeouts),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
