/* Goal: each read that waits gets exactly one result, when what it waits for has come or its time is up, and
 * none after it was cancelled; what fails on the way is asked for again; and there is a limit to them. The
 * events of the core are played by hand. */
#include "replica/reads.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/random.h"

struct scene {
  struct reads reads;
  struct replica_read read[8];
};

static void add(struct scene *s, size_t i, struct replica_read read, uint64_t applied) {
  s->read[i] = read;
  s->read[i].waiter = &s->read[i];
  if (s->read[i].deadline_ms == 0) s->read[i].deadline_ms = 1000;
  reads_add(&s->reads, &s->read[i], applied);
}

static void outcome(struct scene *s, uint64_t number, uint64_t index, bool failed, uint64_t applied) {
  reads_outcome(&s->reads, &(struct coracle_raft_read){.read = number, .index = index, .failed = failed},
                applied);
}

static void assert_done(struct scene *s, size_t i, enum replica_verdict verdict) {
  struct replica_read *done = reads_take(&s->reads);
  assert_ptr_equal(done, &s->read[i]);
  assert_int_equal(done->verdict, verdict);
}

static void assert_none_done(struct scene *s) {
  assert_null(reads_take(&s->reads));
}

static const struct replica_read linearizable = {.linearizable = true};

static void reads_of_one_turn_share_a_question(void **state) {
  (void)state;
  struct scene s = {0};
  reads_init(&s.reads);
  assert_false(reads_are_due(&s.reads, 0));
  add(&s, 0, linearizable, 10);
  add(&s, 1, linearizable, 10);
  assert_true(reads_are_due(&s.reads, 0));
  reads_asked(&s.reads, 1);
  assert_false(reads_are_due(&s.reads, 0));
  add(&s, 2, linearizable, 10);
  reads_asked(&s.reads, 2);
  assert_none_done(&s);
  outcome(&s, 1, 10, false, 10);
  assert_done(&s, 0, REPLICA_READABLE);
  assert_done(&s, 1, REPLICA_READABLE);
  assert_none_done(&s);
  outcome(&s, 2, 9, false, 10);
  assert_done(&s, 2, REPLICA_READABLE);
  assert_int_equal(s.reads.waiting, 0);
}

static void the_index_is_waited_for(void **state) {
  (void)state;
  struct scene s = {0};
  reads_init(&s.reads);
  for (size_t i = 0; i < 3; i++) {
    add(&s, i, linearizable, 10);
    reads_asked(&s.reads, i + 1);
  }
  outcome(&s, 1, 13, false, 10);
  outcome(&s, 2, 12, false, 10);
  outcome(&s, 3, 11, false, 10);
  assert_none_done(&s);
  reads_applied(&s.reads, 11);
  assert_done(&s, 2, REPLICA_READABLE);
  assert_none_done(&s);
  reads_applied(&s.reads, 13);
  assert_done(&s, 0, REPLICA_READABLE);
  assert_done(&s, 1, REPLICA_READABLE);
}

static void a_revision_is_waited_for_with_or_without_an_index(void **state) {
  (void)state;
  struct scene s = {0};
  reads_init(&s.reads);
  add(&s, 0, (struct replica_read){.min_revision = 10}, 10);
  assert_done(&s, 0, REPLICA_READABLE);
  add(&s, 0, (struct replica_read){.min_revision = 12}, 10);
  add(&s, 1, (struct replica_read){.linearizable = true, .min_revision = 14}, 10);
  assert_true(reads_are_due(&s.reads, 0));
  reads_asked(&s.reads, 1);
  reads_applied(&s.reads, 12);
  assert_done(&s, 0, REPLICA_READABLE);
  outcome(&s, 1, 13, false, 12);
  reads_applied(&s.reads, 13);
  assert_none_done(&s); /* that was its index, not its revision */
  reads_applied(&s.reads, 14);
  assert_done(&s, 1, REPLICA_READABLE);

  add(&s, 2, (struct replica_read){.linearizable = true, .min_revision = 15}, 14);
  reads_asked(&s.reads, 2);
  reads_applied(&s.reads, 15); /* its revision is here, but nobody has confirmed it */
  assert_none_done(&s);
  outcome(&s, 2, 15, false, 15);
  assert_done(&s, 2, REPLICA_READABLE);
}

static void what_fails_is_asked_again(void **state) {
  (void)state;
  struct scene s = {0};
  reads_init(&s.reads);
  add(&s, 0, linearizable, 10);
  reads_asked(&s.reads, 1);
  add(&s, 1, linearizable, 10);
  reads_asked(&s.reads, 2);
  outcome(&s, 1, 0, true, 10);
  assert_none_done(&s);
  assert_true(reads_are_due(&s.reads, 500));
  reads_refused(&s.reads, 500); /* no leader is known */
  assert_false(reads_are_due(&s.reads, 500));
  const uint64_t wakeup_ms = reads_wakeup_ms(&s.reads);
  assert_in_range(wakeup_ms, 501, 550);
  assert_true(reads_are_due(&s.reads, wakeup_ms));
  reads_asked(&s.reads, 3);
  outcome(&s, 1, 10, false, 10); /* an old number means nothing any more */
  assert_none_done(&s);
  outcome(&s, 3, 10, false, 10);
  assert_done(&s, 0, REPLICA_READABLE);
  outcome(&s, 2, 10, false, 10);
  assert_done(&s, 1, REPLICA_READABLE);
}

static void none_waits_longer_than_its_time(void **state) {
  (void)state;
  struct scene s = {0};
  reads_init(&s.reads);
  assert_int_equal(reads_wakeup_ms(&s.reads), UINT64_MAX);
  add(&s, 0, (struct replica_read){.min_revision = 99, .deadline_ms = 300}, 10); /* for a revision */
  add(&s, 1, (struct replica_read){.linearizable = true, .deadline_ms = 200}, 10);
  reads_asked(&s.reads, 1);
  outcome(&s, 1, 99, false, 10); /* for its index */
  add(&s, 2, (struct replica_read){.linearizable = true, .deadline_ms = 400}, 10);
  reads_asked(&s.reads, 2); /* for an answer */
  add(&s, 3, (struct replica_read){.linearizable = true, .deadline_ms = 500}, 10);
  reads_refused(&s.reads, 490); /* for a leader */
  static const size_t order[] = {1, 0, 2, 3};
  for (size_t i = 0; i < 4; i++) {
    const uint64_t deadline_ms = s.read[order[i]].deadline_ms;
    assert_int_equal(reads_wakeup_ms(&s.reads), deadline_ms + 1 < 500 ? deadline_ms + 1 : 500);
    reads_expire(&s.reads, deadline_ms);
    assert_none_done(&s);
    reads_expire(&s.reads, deadline_ms + 1);
    assert_done(&s, order[i], REPLICA_TOO_LATE);
    assert_none_done(&s);
  }
  assert_int_equal(reads_wakeup_ms(&s.reads), UINT64_MAX);
  outcome(&s, 2, 10, false, 10); /* comes after all: nobody waits for it */
  assert_none_done(&s);
}

static void a_cancelled_one_gets_nothing(void **state) {
  (void)state;
  struct scene s = {0};
  reads_init(&s.reads);
  add(&s, 0, linearizable, 10);
  add(&s, 1, linearizable, 10);
  reads_remove(&s.reads, &s.read[0]);
  assert_int_equal(s.reads.waiting, 1);
  reads_asked(&s.reads, 1);
  outcome(&s, 1, 10, false, 10);
  reads_remove(&s.reads, &s.read[1]); /* done, and not yet taken */
  assert_none_done(&s);
  assert_int_equal(s.reads.waiting, 0);
}

static void all_can_be_abandoned(void **state) {
  (void)state;
  struct scene s = {0};
  reads_init(&s.reads);
  add(&s, 0, (struct replica_read){.min_revision = 99}, 10);
  add(&s, 1, linearizable, 10);
  reads_asked(&s.reads, 1);
  outcome(&s, 1, 99, false, 10);
  add(&s, 2, linearizable, 10);
  reads_asked(&s.reads, 2);
  add(&s, 3, linearizable, 10);
  reads_abandon(&s.reads);
  unsigned seen = 0;
  for (struct replica_read *read; (read = reads_take(&s.reads)) != NULL;) {
    assert_int_equal(read->verdict, REPLICA_NOT_LEADER);
    seen |= 1u << (read - s.read);
  }
  assert_int_equal(seen, 0xf);
  reads_abandon(&s.reads);
  assert_none_done(&s);
}

static void there_is_a_limit(void **state) {
  (void)state;
  static struct replica_read many[REPLICA_READS_MAX + 2];
  struct reads reads;
  reads_init(&reads);
  for (size_t i = 0; i < REPLICA_READS_MAX; i++) {
    many[i] = (struct replica_read){.linearizable = i % 2 == 0, .min_revision = 99, .deadline_ms = 1000};
    reads_add(&reads, &many[i], 10);
  }
  assert_null(reads_take(&reads));
  for (size_t i = REPLICA_READS_MAX; i < REPLICA_READS_MAX + 2; i++) {
    many[i] = many[0];
    many[i].link = (struct list_link){0};
    reads_add(&reads, &many[i], 10);
    assert_ptr_equal(reads_take(&reads), &many[i]);
    assert_int_equal(many[i].verdict, REPLICA_BUSY);
  }
  reads_remove(&reads, &many[5]);
  many[REPLICA_READS_MAX] = (struct replica_read){.linearizable = true, .deadline_ms = 1000};
  reads_add(&reads, &many[REPLICA_READS_MAX], 10);
  assert_null(reads_take(&reads));
  assert_int_equal(reads.waiting, REPLICA_READS_MAX);
}

/* Everything at random, from seeds: each one result, of the right kind. */
static void at_random(void **state) {
  (void)state;
  enum { READS = 3000 };
  static struct replica_read reads_of_all[READS];
  for (uint64_t seed = 1; seed <= 20; seed++) {
    struct random random = {.state = seed};
    struct reads reads;
    uint64_t now_ms = 1, applied = 1, index = 1, number = 0, oldest = 1, results = 0, cancelled = 0,
             added = 0;
    reads_init(&reads);
    while (added < READS || reads.waiting > 0) {
      switch (random_below(&random, 6)) {
      case 0:
        if (added == READS) break;
        reads_of_all[added] = (struct replica_read){
            .waiter = &reads_of_all[added],
            .linearizable = random_below(&random, 2) == 0,
            .min_revision = random_below(&random, 2) == 0 ? applied + random_below(&random, 10) : 0,
            .deadline_ms = now_ms + random_below(&random, 100),
        };
        reads_add(&reads, &reads_of_all[added++], applied);
        break;
      case 1:
        if (!reads_are_due(&reads, now_ms)) break;
        if (random_below(&random, 3) == 0)
          reads_refused(&reads, now_ms);
        else
          reads_asked(&reads, ++number);
        break;
      case 2:
        if (oldest > number) break;
        reads_outcome(&reads,
                      &(struct coracle_raft_read){
                          .read = oldest++, .index = index, .failed = random_below(&random, 3) == 0},
                      applied);
        break;
      case 3:
        now_ms += random_below(&random, 5);
        reads_expire(&reads, now_ms);
        break;
      case 4:
        index += random_below(&random, 3);
        if (applied < index) applied++;
        reads_applied(&reads, applied);
        break;
      case 5:
        if (added == 0 || random_below(&random, 10) != 0) break;
        struct replica_read *victim = &reads_of_all[random_below(&random, added)];
        if (!list_is_linked(&victim->link)) break;
        reads_remove(&reads, victim);
        cancelled++;
        break;
      }
      for (struct replica_read *read; (read = reads_take(&reads)) != NULL; results++) {
        assert_true(read->waiter != NULL);
        read->waiter = NULL; /* once */
        if (read->verdict == REPLICA_READABLE)
          assert_true(applied >= read->min_revision && (!read->linearizable || read->number > 0));
        else
          assert_true(read->verdict == REPLICA_TOO_LATE && read->deadline_ms < now_ms);
      }
    }
    assert_int_equal(results + cancelled, READS);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(reads_of_one_turn_share_a_question),
      cmocka_unit_test(the_index_is_waited_for),
      cmocka_unit_test(a_revision_is_waited_for_with_or_without_an_index),
      cmocka_unit_test(what_fails_is_asked_again),
      cmocka_unit_test(none_waits_longer_than_its_time),
      cmocka_unit_test(a_cancelled_one_gets_nothing),
      cmocka_unit_test(all_can_be_abandoned),
      cmocka_unit_test(there_is_a_limit),
      cmocka_unit_test(at_random),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
