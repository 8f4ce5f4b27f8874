/* Goal: the intrusive list keeps its order through any removal, and an element can come back after it left.
 */
#include "base/list.h"

#include "golden.h"

enum { N = 5 };

struct element {
  int number;
  struct list_link link;
};

/* Asserts that the list holds exactly the elements with their bit set, in ascending order of numbers. */
static void assert_holds(const struct list *list, unsigned bits) {
  struct list_link *link = list_first(list);
  for (int i = 0; i < N; i++) {
    if ((bits & 1u << i) == 0) continue;
    assert_non_null(link);
    assert_int_equal(CONTAINER_OF(link, struct element, link)->number, i);
    link = list_next(list, link);
  }
  assert_null(link);
  assert_int_equal(list_is_empty(list), bits == 0);
}

static void every_subset_can_leave(void **state) {
  (void)state;
  for (unsigned leaving = 0; leaving < 1u << N; leaving++) {
    struct list list;
    struct element elements[N] = {0};
    list_init(&list);
    assert_holds(&list, 0);
    for (int i = 0; i < N; i++) {
      elements[i].number = i;
      assert_false(list_is_linked(&elements[i].link));
      list_append(&list, &elements[i].link);
      assert_true(list_is_linked(&elements[i].link));
    }
    for (int i = 0; i < N; i++)
      if ((leaving & 1u << i) != 0) list_remove(&elements[i].link);
    assert_holds(&list, ~leaving & ((1u << N) - 1));
    for (int i = 0; i < N; i++) { /* those that left come back, so that all are in order again */
      if (list_is_linked(&elements[i].link)) list_remove(&elements[i].link);
      list_append(&list, &elements[i].link);
    }
    assert_holds(&list, (1u << N) - 1);
  }
}

/* The odd ones at the end, then the even ones in front of these. */
static void an_element_can_come_in_front_of_any(void **state) {
  (void)state;
  struct list list;
  struct element elements[N] = {0};
  list_init(&list);
  for (int i = 0; i < N; i++) elements[i].number = i;
  for (int i = 1; i < N; i += 2) list_insert_before(&list.ends, &elements[i].link);
  for (int i = N - 1; i >= 0; i -= 2)
    list_insert_before(i + 1 < N ? &elements[i + 1].link : &list.ends, &elements[i].link);
  assert_holds(&list, (1u << N) - 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(every_subset_can_leave),
      cmocka_unit_test(an_element_can_come_in_front_of_any),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
