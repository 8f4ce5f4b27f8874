/* Goal: the queue gives back what was put in, oldest first, through growing and moving down, in step with a
 * plain count of what went in and out; and its memory follows what it holds at a time, not what has passed
 * through. */
#include "base/queue.h"

#include "base/random.h"
#include "golden.h"

struct item {
  uint64_t number;
  uint8_t rest[9]; /* an odd size */
};

/* Item k, counted from the first one ever pushed, holds k. */
static void check(const struct queue *q, uint64_t popped, uint64_t pushed) {
  assert_true(q->n == pushed - popped);
  for (uint64_t k = popped; k < pushed; k++) {
    const struct item *item = queue_at(q, k - popped);
    assert_non_null(item);
    assert_true(item->number == k && item->rest[8] == (uint8_t)k);
  }
  assert_null(queue_at(q, q->n));
  assert_null(queue_at(q, SIZE_MAX));
}

static void push(struct queue *q, uint64_t number) {
  static const struct item zero;
  struct item *item = queue_push(q);
  assert_true(item->number == 0);
  assert_memory_equal(item->rest, zero.rest, sizeof zero.rest);
  item->number = number;
  item->rest[8] = (uint8_t)number;
}

static void first_in_first_out(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct queue q = QUEUE_OF(struct item);
    struct random random = {.state = seed};
    uint64_t pushed = 0, popped = 0;
    check(&q, 0, 0);
    for (int i = 0; i < 2000; i++) {
      bool filling = i / 250 % 2 == 0;
      if (popped == pushed || random_below(&random, 4) < (filling ? 3 : 1)) {
        push(&q, pushed++);
      } else {
        queue_pop(&q);
        popped++;
      }
      if (i % 10 == 0) check(&q, popped, pushed);
    }
    check(&q, popped, pushed);
    queue_close(&q);
    check(&q, 0, 0);
    push(&q, 0); /* may be used again */
    check(&q, 0, 1);
    queue_close(&q);
  }
}

static void never_empty_and_never_growing(void **state) {
  (void)state;
  struct queue q = QUEUE_OF(struct item);
  uint64_t pushed = 0, popped = 0;
  while (pushed < 10) push(&q, pushed++);
  for (int i = 0; i < 100000; i++) {
    push(&q, pushed++);
    queue_pop(&q);
    popped++;
  }
  check(&q, popped, pushed);
  assert_in_range(q.capacity, 11, 64);
  queue_close(&q);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(first_in_first_out),
      cmocka_unit_test(never_empty_and_never_growing),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
