/* Goal: a new cluster takes writes from when as many voters have come as it expects, and for good: that is in
 * the log, where voters that go and leaders that come change nothing about it. */
#include "join_scene.h"

static bool did(const struct scene *s, const char *what) {
  return s->script.n > 0 && memmem(s->script.data, s->script.n, what, strlen(what)) != NULL;
}

static void open_peer(struct scene *s, char self, const char *nodes) {
  const struct join_options options = scene_peers_options(self, nodes);
  scene_open_with(s, &options);
}

static void open_member(struct scene *s) {
  struct join_options options = scene_peers_options('a', "abc");
  memset(options.cluster, 'x', sizeof options.cluster);
  options.memory_storage = false;
  scene_open_with(s, &options);
  scene_configure(s, "abc", "");
}

static struct join_member first_member(const struct coracle_raft_configuration *configuration) {
  struct join_member info;
  assert_int_equal(join_member_decode(&configuration->members[0], &info), 0);
  return info;
}

static void commit(struct scene *s) {
  s->configuration = s->changed;
  s->situation.raft.configuration_index++;
  scene_mark(s);
}

static void a_founder_waits_for_as_many_voters_as_peers(void **state) {
  (void)state;
  static const struct voice newcomer = {.node = 'b', .memory_storage = true};
  struct scene s;
  open_peer(&s, 'a', "abc");
  scene_run(&s, 0);
  for (char node = 'b'; node <= 'c'; node++) scene_hear(&s, JOIN_PROBED, (struct voice){.node = node});
  assert_true(first_member(&s.configuration).waiting);
  assert_string_equal(
      join_writes_stopped(s.join, &s.situation),
      "1 of the 3 voters that this cluster begins with are here: start the others, or this node "
      "with a smaller --expect");
  scene_hear(&s, JOIN_ACCEPT, newcomer);
  scene_mark(&s);
  struct voice credentials = newcomer;
  credentials.cluster = '=';
  scene_hear(&s, JOIN_CREDENTIALS, credentials);
  assert_script(&s, "0 SAVED to b\n"
                    "0 change +b\n");
  for (uint32_t i = 0; i < s.changed.members_n; i++) { /* each has it, so it outlives any of them */
    struct join_member info;
    assert_int_equal(join_member_decode(&s.changed.members[i], &info), 0);
    assert_true(info.waiting);
  }
  scene_close(&s);
}

/* It is in the log then: a voter that goes, or a new leader, changes nothing any more. */
static void once_they_have_come_writes_are_taken_for_good(void **state) {
  (void)state;
  struct scene s;
  struct join_member info;
  open_member(&s);
  for (uint32_t i = 0; i < 3; i++) {
    assert_int_equal(join_member_decode(&s.configuration.members[i], &info), 0);
    info.waiting = true;
    s.configuration.members[i].voter = i < 2;
    join_member_encode(&info, &s.configuration.members[i]);
  }
  scene_lead(&s, 3);
  scene_run(&s, 0);
  assert_false(did(&s, "change"));
  assert_non_null(join_writes_stopped(s.join, &s.situation));
  s.configuration.members[2].voter = true;
  s.situation.raft.configuration_committed = false;
  scene_tick(&s);
  assert_false(did(&s, "change")); /* they are not in before that is committed */
  s.situation.raft.configuration_committed = true;
  scene_tick(&s);
  assert_logged(&s, "3 voters are in, 3 were waited for: taking writes");
  assert_true(did(&s, "change\n"));
  commit(&s);
  assert_null(join_writes_stopped(s.join, &s.situation));
  s.configuration.members_n = 2;
  scene_tick(&s);
  assert_null(join_writes_stopped(s.join, &s.situation));
  scene_close(&s);
}

static void another_number_may_be_expected(void **state) {
  (void)state;
  for (uint32_t expect = 1; expect <= 2; expect++) {
    struct join_options options = scene_peers_options('a', "ab");
    struct scene s;
    options.expect = expect;
    scene_open_with(&s, &options);
    scene_run(&s, 0);
    scene_hear(&s, JOIN_PROBED, (struct voice){.node = 'b'});
    assert_int_equal(first_member(&s.configuration).waiting, expect == 2);
    scene_close(&s);
  }
  /* On one host, where nobody says how many there are to be, the first one will do. */
  struct scene s;
  scene_open(&s);
  scene_run(&s, 200);
  assert_false(first_member(&s.configuration).waiting);
  assert_null(join_writes_stopped(s.join, &s.situation));
  scene_close(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_founder_waits_for_as_many_voters_as_peers),
      cmocka_unit_test(once_they_have_come_writes_are_taken_for_good),
      cmocka_unit_test(another_number_may_be_expected),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
