/* Goal: the demo takes nodes for a cluster only when every one of them says the same, and a restarted node
 * only once it is a voter under its new id. Method: answers to GET /v1/cluster as text. */
#include "cli/demo_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

enum { NODES = 3 };

#define MEMBER(id, role)                                                                                     \
  "{\"id\":\"" id "\",\"name\":\"x\",\"http\":\"http://127.0.0.1:1\",\"role\":\"" role "\"}"
/* All is well but the length of the cluster's id. */
#define LONG_ID                                                                                              \
  "{\"cluster_id\":\"0123456789012345678901234567890123456789\",\"leader\":null,\"self\":\"a\",\"members\":" \
  "[]}"
#define ABC MEMBER("a", "voter") "," MEMBER("b", "voter") "," MEMBER("c", "voter")

static struct demo_view view_of(const char *cluster_id, const char *self, const char *leader,
                                const char *members) {
  struct demo_view view;
  char body[1024];
  snprintf(body, sizeof body, "{\"cluster_id\":%s,\"term\":3,\"leader\":%s,\"self\":\"%s\",\"members\":[%s]}",
           cluster_id, leader, self, members);
  assert_int_equal(demo_view_parse(&view, slice_of(body)), 0);
  return view;
}

static const char *const LED_BY_B = "{\"id\":\"b\",\"name\":\"b\",\"http\":\"http://127.0.0.1:1\"}";

static void all_the_same_is_a_cluster(void **state) {
  (void)state;
  struct demo_view views[NODES] = {view_of("\"1\"", "a", LED_BY_B, ABC), view_of("\"1\"", "b", LED_BY_B, ABC),
                                   view_of("\"1\"", "c", LED_BY_B, ABC)};
  assert_true(demo_views_agree(views, NODES));
  assert_false(demo_view_is_leader(&views[0]));
  assert_true(demo_view_is_leader(&views[1]));
}

/* Two nodes agree, the third says something else. */
static void assert_disagreement(struct demo_view third) {
  struct demo_view views[NODES] = {view_of("\"1\"", "a", LED_BY_B, ABC), view_of("\"1\"", "b", LED_BY_B, ABC),
                                   third};
  assert_false(demo_views_agree(views, NODES));
}

static void any_difference_is_none(void **state) {
  (void)state;
  assert_disagreement(view_of("\"2\"", "c", LED_BY_B, ABC));
  assert_disagreement(view_of("null", "c", LED_BY_B, ABC));
  assert_disagreement(view_of("\"1\"", "c", "null", ABC));
  assert_disagreement(view_of("\"1\"", "c", "{\"id\":\"a\"}", ABC));
  assert_disagreement(view_of("\"1\"", "c", LED_BY_B, MEMBER("a", "voter") "," MEMBER("b", "voter")));
  assert_disagreement(view_of("\"1\"", "c", LED_BY_B, ABC "," MEMBER("d", "voter")));
  assert_disagreement((struct demo_view){0});
}

/* A dead member still counts as a voter for a while: three voters are then not the three nodes. */
static void a_new_id_is_not_the_old_member(void **state) {
  (void)state;
  assert_disagreement(view_of("\"1\"", "new", LED_BY_B, ABC));
  assert_disagreement(view_of("\"1\"", "new", LED_BY_B, ABC "," MEMBER("new", "learner")));
}

static void what_is_no_answer_is_refused(void **state) {
  (void)state;
  const char *bodies[] = {
      "",
      "{",
      "[]",
      "{\"cluster_id\":\"1\",\"leader\":null,\"self\":\"a\"}",
      "{\"cluster_id\":\"1\",\"leader\":null,\"self\":7,\"members\":[]}",
      "{\"cluster_id\":\"1\",\"leader\":{},\"self\":\"a\",\"members\":[]}",
      "{\"cluster_id\":\"1\",\"leader\":null,\"self\":\"a\",\"members\":[{}]}",
      LONG_ID,
  };
  for (size_t i = 0; i < sizeof bodies / sizeof bodies[0]; i++) {
    struct demo_view view;
    assert_int_equal(demo_view_parse(&view, slice_of(bodies[i])), CORACLE_EMALFORMED);
    assert_false(view.known);
  }
}

static void a_view_is_told_in_words(void **state) {
  (void)state;
  struct demo_view views[] = {view_of("\"1\"", "a", LED_BY_B, ABC),
                              view_of("\"1\"", "b", LED_BY_B, MEMBER("b", "voter")),
                              view_of("null", "c", "null", ""),
                              {0}};
  const char *words[] = {"3 voters, leader b", "1 voter, leading", "0 voters, no leader", "no answer"};
  for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
    struct bytes text = {0};
    demo_view_describe(&views[i], &text);
    assert_true(slice_is(slice_of_bytes(&text), words[i]));
    bytes_close(&text);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(all_the_same_is_a_cluster),      cmocka_unit_test(any_difference_is_none),
      cmocka_unit_test(a_new_id_is_not_the_old_member), cmocka_unit_test(what_is_no_answer_is_refused),
      cmocka_unit_test(a_view_is_told_in_words),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
