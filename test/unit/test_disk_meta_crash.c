/* Goal: whenever the process or the machine ends, the meta files hold the record that was acknowledged last,
 * or the one that was being written, and never say the first again once they have said the second. A first
 * start that was cut short is made good by the next one; a full disk keeps nobody from voting. */
#include "disk/meta.h"

#include "base/random.h"
#include "fake_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 200, LIVES = 400, LIFE_STEPS = 60 };

static struct disk_fault fault;

static struct meta first_meta(uint64_t id) {
  return (struct meta){.stamp = {.id = id, .generation = 1}};
}

/* What is to be written next. */
static struct meta changed(const struct meta *now) {
  struct meta next = *now;
  next.term++;
  next.voted_for = next.term % 3;
  return next;
}

static bool is_same(const struct meta *a, const struct meta *b) {
  uint8_t records[2][META_RECORD_BYTES];
  meta_encode(a, records[0]);
  meta_encode(b, records[1]);
  return memcmp(records[0], records[1], META_RECORD_BYTES) == 0;
}

static void read_it(struct fake_files *disk, struct meta *meta, int expected_damaged_n) {
  int damaged_n;
  if (meta_read(fake_files_table(disk), meta, &damaged_n, &fault) != 0) fail_msg("%s", fault.text);
  assert_int_equal(damaged_n, expected_damaged_n);
}

static struct fake_files *written(int writes, struct meta *meta, uint64_t seed) {
  struct fake_files *disk = fake_files_new(seed);
  *meta = first_meta(5);
  assert_int_equal(meta_make(fake_files_table(disk), meta, &fault), 0);
  for (int i = 0; i < writes; i++) {
    *meta = changed(meta);
    assert_int_equal(meta_write(fake_files_table(disk), meta, &fault), 0);
  }
  return disk;
}

static void end(struct fake_files *disk, uint64_t how) {
  if (how == 0)
    fake_files_kill(disk);
  else
    fake_files_cut_power(disk, how == 1 ? FAKE_LOSE_ALL : how == 2 ? FAKE_LOSE_NONE : FAKE_RANDOM);
}
enum { ENDS = 4 };

/* ---- Torn ---- */

/* Any sectors of the file may be as before, and the others new: all combinations of the two with records, and
 * some of the rest. */
static void any_sectors_may_be_old(void **state) {
  (void)state;
  enum { SECTORS = META_FILE_BYTES / FILES_SECTOR_BYTES, SECOND = META_BLOCK_BYTES / FILES_SECTOR_BYTES };
  for (int writes = 0; writes < 5; writes++)
    for (unsigned is_new = 0; is_new < 1u << SECTORS; is_new += 257) {
      struct meta before, after, found;
      struct bytes old = {0}, new = {0};
      struct fake_files *disk = written(writes, &before, 1);
      const char *name = meta_name(writes % 2 == 0 ? 1 : 0);
      assert_true(fake_files_content(disk, name, &old));
      after = changed(&before);
      assert_int_equal(meta_write(fake_files_table(disk), &after, &fault), 0);
      assert_true(fake_files_content(disk, name, &new));
      for (unsigned i = 0; i < SECTORS; i++)
        if ((is_new >> i & 1) != 0)
          memcpy(old.data + i * FILES_SECTOR_BYTES, new.data + i *FILES_SECTOR_BYTES, FILES_SECTOR_BYTES);
      fake_files_put(disk, name, old.data, old.n);
      read_it(disk, &found, 0);
      assert_true(is_same(&found, (is_new & (1u | 1u << SECOND)) != 0 ? &after : &before));
      read_it(disk, &after, 0); /* and it stays so */
      assert_true(is_same(&found, &after));
      bytes_close(&old);
      bytes_close(&new);
      fake_files_free(disk);
    }
}

static void a_write_that_was_cut_short_is_old_or_new(void **state) {
  (void)state;
  int news = 0, olds = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++)
    for (uint64_t after_n = 0; after_n < 3; after_n++) /* a write, a sync */
      for (uint64_t how = 0; how < ENDS; how++) {
        struct meta before, after, found;
        struct fake_files *disk = written((int)(seed % 5), &before, seed);
        fake_files_crash_after(disk, after_n);
        after = changed(&before);
        const int error = meta_write(fake_files_table(disk), &after, &fault);
        assert_int_equal(error, after_n < 2 ? CORACLE_EIO : 0);
        after.sequence = before.sequence + 1;
        end(disk, how);
        read_it(disk, &found, 0);
        const bool is_new = is_same(&found, &after);
        assert_true(is_new || (error != 0 && is_same(&found, &before)));
        news += is_new;
        olds += !is_new;
        fake_files_free(disk);
      }
  assert_true(news > 0 && olds > 0);
}

/* What was written and not synced, or whose sync failed, is there for the next process to read, and gone when
 * the machine loses its power: whoever acts upon it must make it durable first. */
static void what_was_read_stays(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++)
    for (int sync_fails = 0; sync_fails < 2; sync_fails++) {
      struct meta before, after, found, again;
      struct fake_files *disk = written((int)(seed % 5), &before, seed);
      if (sync_fails == 1)
        fake_files_fail(disk, FAKE_BIT(FAKE_SYNC), 0, -EIO);
      else
        fake_files_crash_after(disk, 1);
      after = changed(&before);
      assert_int_equal(meta_write(fake_files_table(disk), &after, &fault), CORACLE_EIO);
      fake_files_kill(disk);
      read_it(disk, &found, 0);
      assert_true(is_same(&found, &after));
      fake_files_cut_power(disk, FAKE_LOSE_ALL);
      read_it(disk, &again, 0);
      assert_true(is_same(&found, &again));
      fake_files_free(disk);
    }
}

/* ---- The first start ---- */

static void a_first_start_may_end_anywhere(void **state) {
  (void)state;
  for (uint64_t how = 0; how < ENDS; how++)
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
      bool made = false;
      for (uint64_t after_n = 0; !made; after_n++) {
        struct fake_files *disk = fake_files_new(seed);
        struct meta first = first_meta(1), second = first_meta(2), found;
        int damaged_n;
        fake_files_crash_after(disk, after_n);
        made = meta_make(fake_files_table(disk), &first, &fault) == 0;
        assert_int_equal(made, !fake_files_has_crashed(disk));
        assert_true(after_n < 20);
        end(disk, how);
        int error = meta_read(fake_files_table(disk), &found, &damaged_n, &fault);
        assert_int_equal(fake_files_handles(disk), 0);
        if (made || error == 0) {
          assert_int_equal(error, 0);
          assert_true(is_same(&found, &first));
        } else {
          assert_int_equal(error, CORACLE_ENOTFOUND);
          assert_int_equal(meta_make(fake_files_table(disk), &second, &fault), 0);
          fake_files_cut_power(disk, FAKE_LOSE_ALL);
          read_it(disk, &found, 0);
          assert_true(is_same(&found, &second));
        }
        fake_files_free(disk);
      }
    }
}

/* The process ends after the last rename, the next one reads both files, and then the power fails. */
static void a_first_start_that_was_seen_stays(void **state) {
  (void)state;
  int seen = 0;
  for (uint64_t after_n = 0; after_n < 12; after_n++) {
    struct fake_files *disk = fake_files_new(after_n);
    struct meta meta = first_meta(1), found;
    int damaged_n;
    fake_files_crash_after(disk, after_n);
    const int made = meta_make(fake_files_table(disk), &meta, &fault);
    fake_files_kill(disk);
    if (meta_read(fake_files_table(disk), &found, &damaged_n, &fault) == 0) {
      seen += made != 0;
      fake_files_cut_power(disk, FAKE_LOSE_ALL);
      read_it(disk, &found, 0);
      assert_true(is_same(&found, &meta));
    }
    fake_files_free(disk);
  }
  assert_true(seen > 0);
}

static void what_is_left_of_another_attempt_is_replaced(void **state) {
  (void)state;
  struct fake_files *disk = fake_files_new(1);
  struct meta meta = first_meta(3), found;
  fake_files_put(disk, "meta-new", "something that is longer than nothing", 20);
  assert_int_equal(meta_make(fake_files_table(disk), &meta, &fault), 0);
  assert_false(fake_files_exists(disk, "meta-new"));
  read_it(disk, &found, 0);
  assert_true(is_same(&found, &meta));
  fake_files_free(disk);
}

/* ---- Full ---- */

static void a_full_disk_is_told_and_waited_for(void **state) {
  (void)state;
  for (uint64_t blocks = 0; blocks < 4; blocks++) {
    struct fake_files *disk = fake_files_new(1);
    struct meta meta = first_meta(1), found;
    int damaged_n;
    fake_files_set_room(disk, blocks * FAKE_BLOCK_BYTES);
    assert_int_equal(meta_make(fake_files_table(disk), &meta, &fault), CORACLE_EFULL);
    assert_false(fake_files_exists(disk, "meta-new")); /* it gives back what it took */
    assert_int_equal(fake_files_handles(disk), 0);
    assert_int_equal(meta_read(fake_files_table(disk), &found, &damaged_n, &fault), CORACLE_ENOTFOUND);
    fake_files_set_room(disk, 4 * FAKE_BLOCK_BYTES + fake_files_used(disk));
    meta = first_meta(2);
    assert_int_equal(meta_make(fake_files_table(disk), &meta, &fault), 0);
    read_it(disk, &found, 0);
    assert_true(is_same(&found, &meta));
    fake_files_free(disk);
  }
}

static void a_full_disk_keeps_nobody_from_voting(void **state) {
  (void)state;
  struct meta meta, found;
  struct fake_files *disk = written(0, &meta, 1);
  fake_files_set_room(disk, 0);
  for (int i = 0; i < 10; i++) {
    meta = changed(&meta);
    assert_int_equal(meta_write(fake_files_table(disk), &meta, &fault), 0);
    read_it(disk, &found, 0);
    assert_true(is_same(&found, &meta));
  }
  fake_files_free(disk);
}

/* ---- Whole lives ---- */

/* Starts and writes, each of which may be cut short, and power cuts between: what is read is what was
 * acknowledged last, or what was being written. */
static void live(uint64_t seed) {
  struct random random = {seed};
  struct fake_files *disk = fake_files_new(seed);
  struct meta acknowledged = first_meta(7), attempted, now;
  int damaged_n;
  assert_int_equal(meta_make(fake_files_table(disk), &acknowledged, &fault), 0);
  attempted = acknowledged;
  for (int i = 0; i < LIFE_STEPS; i++) {
    end(disk, random_below(&random, ENDS));
    if (random_below(&random, 2) == 0) fake_files_crash_after(disk, random_below(&random, 12));
    if (random_below(&random, 8) == 0)
      fake_files_fail(disk, FAKE_BIT(FAKE_SYNC), random_below(&random, 6), -EIO);
    if (meta_read(fake_files_table(disk), &now, &damaged_n, &fault) != 0) {
      assert_true(fake_files_has_crashed(disk) || fake_files_failed(disk) > 0);
      if (strstr(fault.text, "restore") != NULL) fail_msg("seed %u: %s", (unsigned)seed, fault.text);
      continue;
    }
    assert_int_equal(damaged_n, 0);
    if (!is_same(&now, &acknowledged) && !is_same(&now, &attempted)) fail_msg("seed %u", (unsigned)seed);
    acknowledged = attempted = now;
    for (uint64_t writes = random_below(&random, 5); writes > 0; writes--) {
      now = attempted = changed(&now);
      attempted.sequence++;
      if (meta_write(fake_files_table(disk), &now, &fault) != 0) break;
      acknowledged = now;
    }
  }
  end(disk, ENDS - 1);
  fake_files_free(disk);
}

static void nothing_acknowledged_is_lost(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < LIVES; seed++) live(seed);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(any_sectors_may_be_old),
      cmocka_unit_test(a_write_that_was_cut_short_is_old_or_new),
      cmocka_unit_test(what_was_read_stays),
      cmocka_unit_test(a_first_start_may_end_anywhere),
      cmocka_unit_test(a_first_start_that_was_seen_stays),
      cmocka_unit_test(what_is_left_of_another_attempt_is_replaced),
      cmocka_unit_test(a_full_disk_is_told_and_waited_for),
      cmocka_unit_test(a_full_disk_keeps_nobody_from_voting),
      cmocka_unit_test(nothing_acknowledged_is_lost),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
