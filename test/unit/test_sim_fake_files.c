/* The disk in memory, which tests of disk/ and the simulator stand on: it must lose what a real one may lose,
 * and nothing that a real one may not. */
#include "fake_files.h"

#include "base/memory.h"
#include "base/random.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { SEEDS = 300 };

static int make(const struct files *t, const char *name, const char *text) {
  const int file = t->open(t->context, name, FILES_CREATE);
  assert_true(file >= 0);
  assert_int_equal(t->write(t->context, file, 0, text, strlen(text)), 0);
  return file;
}

static void write_text(const struct files *t, int file, uint64_t offset, const char *text) {
  assert_int_equal(t->write(t->context, file, offset, text, strlen(text)), 0);
}

/* "-": there is no such file. */
static bool holds(struct fake_files *f, const char *name, const char *text) {
  struct bytes content = {0};
  const bool found = fake_files_content(f, name, &content);
  const bool equal = found ? slice_is(slice_of_bytes(&content), text) : strcmp(text, "-") == 0;
  bytes_close(&content);
  return equal;
}

static void test_table(void **state) {
  (void)state;
  struct fake_files *f = fake_files_new(1);
  const struct files *t = fake_files_table(f);
  char data[32];
  assert_int_equal(t->open(t->context, "a", FILES_READ), -ENOENT);
  assert_int_equal(t->open(t->context, "d/a", FILES_CREATE), -ENOENT);
  assert_int_equal(t->make_directory(t->context, "d"), 0);
  assert_int_equal(t->make_directory(t->context, "d"), -EEXIST);
  assert_int_equal(t->open(t->context, "d", FILES_READ), -EINVAL);
  const int file = make(t, "d/a", "abc");
  assert_int_equal(t->open(t->context, "d/a", FILES_CREATE), -EEXIST);
  write_text(t, file, 5, "xyz");
  assert_int_equal(t->size(t->context, file), 8);
  assert_int_equal(t->read(t->context, file, 1, data, sizeof data), 7);
  assert_memory_equal(data, "bc\0\0xyz", 7);
  assert_int_equal(t->read(t->context, file, 8, data, sizeof data), 0);
  assert_int_equal(t->allocate(t->context, file, 10000), 0);
  assert_int_equal(t->size(t->context, file), 10000);
  assert_int_equal(t->read(t->context, file, 9999, data, sizeof data), 1);
  assert_int_equal(data[0], 0);
  /* An open file outlives its name. */
  assert_int_equal(t->remove(t->context, "d/a"), 0);
  assert_int_equal(t->remove(t->context, "d/a"), -ENOENT);
  assert_int_equal(t->read(t->context, file, 0, data, 3), 3);
  t->close(t->context, file);
  const int other = make(t, "b", "first");
  t->close(t->context, other);
  t->close(t->context, make(t, "c", "second"));
  assert_int_equal(t->rename(t->context, "c", "b"), 0);
  assert_true(holds(f, "b", "second") && holds(f, "c", "-"));
  fake_files_free(f);
}

/* Whatever is drawn: what was synced, with the directories that it is in, is there. */
static void test_synced_stays(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct fake_files *f = fake_files_new(seed);
    const struct files *t = fake_files_table(f);
    assert_int_equal(t->make_directory(t->context, "d"), 0);
    const int file = make(t, "d/a", "kept");
    assert_int_equal(t->sync(t->context, file), 0);
    assert_false(fake_files_is_durable(f, "d/a"));
    assert_int_equal(t->sync_directory(t->context, "d"), 0);
    assert_int_equal(t->sync_directory(t->context, ""), 0);
    assert_true(fake_files_is_durable(f, "d/a"));
    write_text(t, file, 4, " or not");
    fake_files_cut_power(f, FAKE_RANDOM);
    struct bytes content = {0};
    assert_true(fake_files_content(f, "d/a", &content));
    assert_true(content.n >= 4 && memcmp(content.data, "kept", 4) == 0);
    bytes_close(&content);
    fake_files_free(f);
  }
}

/* Each of the ways in which an unsynced thing can end does happen, and no other. */
static void test_unsynced_may_go(void **state) {
  (void)state;
  int vanished = 0, renamed = 0, both = 0, neither = 0, empty = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct fake_files *f = fake_files_new(seed);
    const struct files *t = fake_files_table(f);
    t->close(t->context, make(t, "unsynced", "u"));
    const int file = make(t, "synced", "s");
    assert_int_equal(t->sync(t->context, file), 0);
    t->close(t->context, file);
    fake_files_put(f, "from", "f", 1);
    fake_files_put(f, "to", "t", 1);
    assert_int_equal(t->rename(t->context, "from", "to"), 0);
    fake_files_cut_power(f, FAKE_RANDOM);
    vanished += holds(f, "synced", "-");
    assert_true(holds(f, "synced", "-") || holds(f, "synced", "s"));
    empty += holds(f, "unsynced", "");
    const bool done = holds(f, "to", "f"), gone = holds(f, "from", "-");
    assert_true(done || holds(f, "to", "t"));
    renamed += done && gone;
    both += done && !gone;
    neither += !done && gone;
    fake_files_free(f);
  }
  assert_true(vanished > 0 && renamed > 0 && both > 0 && neither > 0 && empty > 0);
}

static void test_loses_all_or_nothing(void **state) {
  (void)state;
  struct fake_files *f = fake_files_new(7);
  const struct files *t = fake_files_table(f);
  fake_files_put(f, "a", "old", 3);
  const int file = t->open(t->context, "a", FILES_UPDATE);
  write_text(t, file, 0, "NEW and longer");
  t->close(t->context, make(t, "b", "b"));
  struct fake_files *copy = fake_files_copy(f, 8);
  fake_files_cut_power(copy, FAKE_LOSE_ALL);
  assert_true(holds(copy, "a", "old") && holds(copy, "b", "-"));
  fake_files_free(copy);
  fake_files_kill(f);
  assert_true(holds(f, "a", "NEW and longer") && !fake_files_is_durable(f, "a"));
  fake_files_cut_power(f, FAKE_LOSE_NONE);
  assert_true(holds(f, "a", "NEW and longer") && holds(f, "b", "b"));
  assert_true(fake_files_is_durable(f, "a") && fake_files_is_durable(f, "b"));
  fake_files_free(f);
}

/* Sectors are old or new, each as a whole, in any combination. */
static void test_tears_at_sectors(void **state) {
  (void)state;
  enum { SECTORS = 24 };
  static char old[SECTORS * FILES_SECTOR_BYTES], fresh[sizeof old];
  int reordered = 0;
  memset(old, 'o', sizeof old);
  memset(fresh, 'n', sizeof fresh);
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct fake_files *f = fake_files_new(seed);
    const struct files *t = fake_files_table(f);
    struct bytes content = {0};
    fake_files_put(f, "a", old, sizeof old);
    assert_int_equal(t->write(t->context, t->open(t->context, "a", FILES_UPDATE), 0, fresh, sizeof fresh), 0);
    fake_files_cut_power(f, FAKE_RANDOM);
    assert_true(fake_files_content(f, "a", &content) && content.n == sizeof old);
    bool lost = false, later = false;
    for (size_t i = 0; i < SECTORS; i++) {
      const uint8_t *at = content.data + i * FILES_SECTOR_BYTES;
      for (size_t k = 1; k < FILES_SECTOR_BYTES; k++) assert_int_equal(at[k], at[0]);
      later = later || (lost && at[0] == 'n');
      lost = lost || at[0] == 'o';
    }
    reordered += later;
    bytes_close(&content);
    fake_files_free(f);
  }
  assert_true(reordered > SEEDS / 10);
}

/* A failed sync marks its pages clean: another that succeeds makes nothing of them durable, though they read
 * well. */
static void test_failed_sync_is_final(void **state) {
  (void)state;
  int lost = 0;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct fake_files *f = fake_files_new(seed);
    const struct files *t = fake_files_table(f);
    fake_files_put(f, "a", "old", 3);
    const int file = t->open(t->context, "a", FILES_UPDATE);
    write_text(t, file, 0, "new");
    fake_files_fail(f, FAKE_BIT(FAKE_SYNC), 0, -EIO);
    assert_int_equal(t->sync(t->context, file), -EIO);
    assert_int_equal(t->sync(t->context, file), 0);
    assert_true(holds(f, "a", "new"));
    fake_files_cut_power(f, FAKE_LOSE_NONE);
    lost += holds(f, "a", "old");
    fake_files_free(f);
  }
  assert_true(lost > SEEDS / 2 && lost < SEEDS);
}

/* What is written again after that is written: a sync is good for it. */
static void test_rewriting_helps(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct fake_files *f = fake_files_new(seed);
    const struct files *t = fake_files_table(f);
    const int file = make(t, "a", "new");
    fake_files_fail(f, FAKE_BIT(FAKE_SYNC), 0, -EIO);
    assert_int_equal(t->sync(t->context, file), -EIO);
    write_text(t, file, 0, "new");
    assert_int_equal(t->sync(t->context, file), 0);
    assert_int_equal(t->sync_directory(t->context, ""), 0);
    fake_files_cut_power(f, FAKE_LOSE_ALL);
    assert_true(holds(f, "a", "new"));
    fake_files_free(f);
  }
}

static void test_crash_at_each_change(void **state) {
  (void)state;
  uint64_t n = 0;
  bool ended = false;
  for (; !ended; n++) {
    struct fake_files *f = fake_files_new(n);
    const struct files *t = fake_files_table(f);
    fake_files_crash_after(f, n);
    const int file = t->open(t->context, "a", FILES_CREATE);
    if (file >= 0) {
      (void)t->write(t->context, file, 0, "text", 4);
      (void)t->sync(t->context, file);
      t->close(t->context, file);
    }
    (void)t->sync_directory(t->context, "");
    ended = !fake_files_has_crashed(f);
    if (!ended) assert_int_equal(t->open(t->context, "a", FILES_READ), -ECANCELED);
    assert_int_equal(fake_files_is_durable(f, "a"), ended);
    fake_files_kill(f);
    assert_int_equal(fake_files_exists(f, "a"), n > 0);
    fake_files_free(f);
  }
  assert_int_equal(n, 5); /* create, write, sync, sync_directory, and once without */
}

static void test_room(void **state) {
  (void)state;
  struct fake_files *f = fake_files_new(1);
  const struct files *t = fake_files_table(f);
  fake_files_set_room(f, (uint64_t)3 * FAKE_BLOCK_BYTES);
  const int file = make(t, "a", "text");
  assert_int_equal(fake_files_used(f), FAKE_BLOCK_BYTES);
  assert_int_equal(t->allocate(t->context, file, 4 * FAKE_BLOCK_BYTES), -ENOSPC);
  assert_int_equal(t->size(t->context, file), 4);
  assert_int_equal(t->allocate(t->context, file, 3 * FAKE_BLOCK_BYTES), 0);
  assert_int_equal(t->open(t->context, "b", FILES_CREATE), -ENOSPC);
  write_text(t, file, 3 * FAKE_BLOCK_BYTES - 1, "x");
  static const char big[FAKE_BLOCK_BYTES];
  assert_int_equal(t->write(t->context, file, 3 * FAKE_BLOCK_BYTES, big, sizeof big), -ENOSPC);
  assert_int_equal(t->sync(t->context, file), 0);
  t->close(t->context, file);
  assert_int_equal(t->remove(t->context, "a"), 0);
  assert_int_equal(fake_files_used(f), 0);
  fake_files_cut_power(f, FAKE_LOSE_NONE);
  fake_files_free(f);
}

static void test_room_not_promised(void **state) {
  (void)state;
  struct fake_files *f = fake_files_new(1);
  const struct files *t = fake_files_table(f);
  static const char big[2 * FAKE_BLOCK_BYTES];
  fake_files_promise_nothing(f);
  fake_files_set_room(f, (uint64_t)2 * FAKE_BLOCK_BYTES);
  const int file = make(t, "a", "text");
  assert_int_equal(t->allocate(t->context, file, 4 * FAKE_BLOCK_BYTES), 0);
  assert_int_equal(t->size(t->context, file), 4 * FAKE_BLOCK_BYTES);
  write_text(t, file, 0, "TEXT");
  assert_int_equal(t->write(t->context, file, FAKE_BLOCK_BYTES, big, sizeof big), -ENOSPC);
  fake_files_kill(f);
  fake_files_free(f);
}

static void test_damage(void **state) {
  (void)state;
  char text[FAKE_BLOCK_BYTES * 2], what[160];
  memset(text, 't', sizeof text);
  for (uint64_t seed = 0; seed < SEEDS; seed++) {
    struct fake_files *f = fake_files_new(seed);
    struct bytes content = {0};
    assert_false(fake_files_damage(f, what));
    fake_files_put(f, "a", text, sizeof text);
    assert_true(fake_files_damage(f, what));
    const bool found = fake_files_content(f, "a", &content);
    assert_true(!found || content.n < sizeof text || memcmp(content.data, text, sizeof text) != 0);
    bytes_close(&content);
    fake_files_free(f);
  }
}

/* Same seed, same disk. */
static void test_repeats(void **state) {
  (void)state;
  struct bytes contents[2] = {{0}, {0}};
  for (int i = 0; i < 2; i++) {
    struct fake_files *f = fake_files_new(99);
    const struct files *t = fake_files_table(f);
    for (int k = 0; k < 20; k++) {
      char name[] = {(char)('a' + k), '\0'};
      const int file = make(t, name, "some text");
      if (k % 2 == 0) assert_int_equal(t->sync(t->context, file), 0);
      t->close(t->context, file);
      if (k % 7 == 0) assert_int_equal(t->sync_directory(t->context, ""), 0);
    }
    fake_files_cut_power(f, FAKE_RANDOM);
    size_t n;
    char **names = fake_files_names(f, &n);
    for (size_t k = 0; k < n; k++) {
      bytes_printf(&contents[i], "[%s]", names[k]);
      assert_true(fake_files_content(f, names[k], &contents[i]));
      free(names[k]);
    }
    free(names);
    fake_files_free(f);
  }
  assert_true(contents[0].n > 0 && slice_equal(slice_of_bytes(&contents[0]), slice_of_bytes(&contents[1])));
  bytes_close(&contents[0]);
  bytes_close(&contents[1]);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_table),
      cmocka_unit_test(test_synced_stays),
      cmocka_unit_test(test_unsynced_may_go),
      cmocka_unit_test(test_loses_all_or_nothing),
      cmocka_unit_test(test_tears_at_sectors),
      cmocka_unit_test(test_failed_sync_is_final),
      cmocka_unit_test(test_rewriting_helps),
      cmocka_unit_test(test_crash_at_each_change),
      cmocka_unit_test(test_room),
      cmocka_unit_test(test_room_not_promised),
      cmocka_unit_test(test_damage),
      cmocka_unit_test(test_repeats),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
