/* Goal: an overlay behaves as the directory beneath it would, and leaves that as it is.
 *
 * The same random operations are made on an overlay and on a copy of the directory; everything that they
 * answer, and all that can be read afterwards, must be equal. */
#include "offline/overlay.h"

#include "base/memory.h"
#include "base/random.h"
#include "fake_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { NAMES = 6, HANDLES = 4, SEEDS = 300, OPERATIONS = 200, FILE_BYTES_MAX = 3000 };

static const char *const names[NAMES] = {"meta-1", "log/1", "log/2", "log/spare", "snapshot/1", "new/1"};
static const char *const folders[] = {"", "log", "snapshot", "new"};

struct pair {
  const struct files *overlay, *copy;
  struct random random;
  int open[HANDLES][2]; /* of both; -1: closed */
  bool writes[HANDLES];
};

static uint64_t dice(struct pair *pair, uint64_t limit) {
  return random_below(&pair->random, limit);
}

static const char *any_name(struct pair *pair) {
  return names[dice(pair, NAMES)];
}

static struct fake_files *some_files(uint64_t seed) {
  struct fake_files *files = fake_files_new(seed);
  const struct files *table = fake_files_table(files);
  struct random random = {seed};
  uint8_t data[FILE_BYTES_MAX];
  assert_int_equal(table->make_directory(table->context, "log"), 0);
  assert_int_equal(table->make_directory(table->context, "snapshot"), 0);
  for (size_t i = 0; i < sizeof data; i++) data[i] = (uint8_t)random_next(&random);
  for (size_t i = 0; i + 1 < NAMES; i++)
    if (random_below(&random, 2) == 0)
      fake_files_put(files, names[i], data, random_below(&random, FILE_BYTES_MAX));
  return files;
}

/* ---- One operation on both ---- */

static void open_one(struct pair *pair, size_t i) {
  const char *name = any_name(pair);
  const enum files_mode mode = (enum files_mode)dice(pair, 3);
  pair->open[i][0] = pair->overlay->open(pair->overlay->context, name, mode);
  pair->open[i][1] = pair->copy->open(pair->copy->context, name, mode);
  pair->writes[i] = mode != FILES_READ;
  if (pair->open[i][1] < 0) assert_int_equal(pair->open[i][0], pair->open[i][1]);
  if (pair->open[i][0] < 0) assert_int_equal(pair->open[i][0], pair->open[i][1]);
}

static void close_one(struct pair *pair, size_t i) {
  pair->overlay->close(pair->overlay->context, pair->open[i][0]);
  pair->copy->close(pair->copy->context, pair->open[i][1]);
  pair->open[i][0] = pair->open[i][1] = -1;
}

static void read_one(const struct pair *pair, size_t i, uint64_t offset, size_t n) {
  uint8_t *data[2];
  int64_t got[2];
  data[0] = memory_zalloc(n + 1);
  data[1] = memory_zalloc(n + 1);
  got[0] = pair->overlay->read(pair->overlay->context, pair->open[i][0], offset, data[0], n);
  got[1] = pair->copy->read(pair->copy->context, pair->open[i][1], offset, data[1], n);
  assert_int_equal(got[0], got[1]);
  if (got[0] > 0) assert_memory_equal(data[0], data[1], (size_t)got[0]);
  assert_int_equal(pair->overlay->size(pair->overlay->context, pair->open[i][0]),
                   pair->copy->size(pair->copy->context, pair->open[i][1]));
  free(data[0]);
  free(data[1]);
}

static void write_one(struct pair *pair, size_t i) {
  uint8_t data[FILE_BYTES_MAX];
  const uint64_t offset = dice(pair, FILE_BYTES_MAX);
  const size_t n = (size_t)dice(pair, 700);
  memset(data, (int)dice(pair, 256), n);
  assert_int_equal(pair->overlay->write(pair->overlay->context, pair->open[i][0], offset, data, n),
                   pair->copy->write(pair->copy->context, pair->open[i][1], offset, data, n));
}

static void use_one(struct pair *pair, size_t i) {
  const uint64_t bytes = dice(pair, 2 * FILE_BYTES_MAX);
  switch (dice(pair, 5)) {
  case 0:
    close_one(pair, i);
    break;
  case 1:
    if (!pair->writes[i]) break;
    assert_int_equal(pair->overlay->allocate(pair->overlay->context, pair->open[i][0], bytes),
                     pair->copy->allocate(pair->copy->context, pair->open[i][1], bytes));
    break;
  case 2:
    assert_int_equal(pair->overlay->sync(pair->overlay->context, pair->open[i][0]), 0);
    break;
  case 3:
    if (pair->writes[i]) write_one(pair, i);
    break;
  default:
    read_one(pair, i, dice(pair, FILE_BYTES_MAX), (size_t)dice(pair, FILE_BYTES_MAX));
  }
}

static void change_names(struct pair *pair) {
  const char *name = any_name(pair), *to = any_name(pair);
  switch (dice(pair, 4)) {
  case 0:
    assert_int_equal(pair->overlay->remove(pair->overlay->context, name),
                     pair->copy->remove(pair->copy->context, name));
    break;
  case 1:
    if (strcmp(name, to) == 0) break;
    assert_int_equal(pair->overlay->rename(pair->overlay->context, name, to),
                     pair->copy->rename(pair->copy->context, name, to));
    break;
  case 2:
    assert_int_equal(pair->overlay->make_directory(pair->overlay->context, "log"),
                     pair->copy->make_directory(pair->copy->context, "log"));
    break;
  default:
    assert_int_equal(pair->overlay->sync_directory(pair->overlay->context, "log"), 0);
  }
}

/* ---- All that can be seen ---- */

static int add_name(void *argument, const char *name) {
  unsigned *sum = argument;
  for (size_t i = 0; i < NAMES; i++) {
    const char *slash = strchr(names[i], '/');
    if (strcmp(slash == NULL ? names[i] : slash + 1, name) == 0) *sum += 1u << (4 * i);
  }
  return 0;
}

static void assert_same_names(const struct pair *pair) {
  for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
    unsigned sums[2] = {0};
    assert_int_equal(pair->overlay->list(pair->overlay->context, folders[i], add_name, &sums[0]),
                     pair->copy->list(pair->copy->context, folders[i], add_name, &sums[1]));
    assert_int_equal(sums[0], sums[1]);
  }
}

static void assert_same_contents(struct pair *pair) {
  for (size_t i = 0; i < NAMES; i++) {
    pair->open[0][0] = pair->overlay->open(pair->overlay->context, names[i], FILES_READ);
    pair->open[0][1] = pair->copy->open(pair->copy->context, names[i], FILES_READ);
    if (pair->open[0][1] < 0) {
      assert_int_equal(pair->open[0][0], pair->open[0][1]);
      continue;
    }
    assert_true(pair->open[0][0] >= 0);
    read_one(pair, 0, 0, 4 * FILE_BYTES_MAX);
    close_one(pair, 0);
  }
}

static void run(uint64_t seed) {
  struct fake_files *real = some_files(seed), *copy = fake_files_copy(real, seed);
  struct overlay *overlay = overlay_new(fake_files_table(real));
  struct pair pair = {.overlay = overlay_files(overlay), .copy = fake_files_table(copy), .random = {seed}};
  const uint64_t changes = fake_files_count(real, FAKE_CHANGES);
  memset(pair.open, -1, sizeof pair.open);
  assert_int_equal(pair.overlay->make_directory(pair.overlay->context, "new"), 0);
  assert_int_equal(pair.copy->make_directory(pair.copy->context, "new"), 0);
  for (int i = 0; i < OPERATIONS; i++) {
    const size_t at = (size_t)dice(&pair, HANDLES);
    if (dice(&pair, 5) == 0)
      change_names(&pair);
    else if (pair.open[at][0] >= 0)
      use_one(&pair, at);
    else
      open_one(&pair, at);
  }
  for (size_t i = 0; i < HANDLES; i++)
    if (pair.open[i][0] >= 0) close_one(&pair, i);
  assert_same_names(&pair);
  assert_same_contents(&pair);
  assert_int_equal(fake_files_count(real, FAKE_CHANGES), changes);
  overlay_free(overlay);
  assert_int_equal(fake_files_handles(real), 0);
  fake_files_free(real);
  fake_files_free(copy);
}

static void test_it_behaves_as_the_directory_would(void **state) {
  (void)state;
  for (uint64_t seed = 0; seed < SEEDS; seed++) run(seed);
}

/* What the directory refuses, the overlay does not hide. */
static void test_errors_come_through(void **state) {
  (void)state;
  struct fake_files *real = some_files(1);
  struct overlay *overlay = overlay_new(fake_files_table(real));
  const struct files *files = overlay_files(overlay);
  unsigned sum = 0;
  fake_files_put(real, "log/1", "abc", 3);
  fake_files_fail(real, FAKE_BIT(FAKE_LIST), 0, -EIO);
  assert_int_equal(files->list(files->context, "log", add_name, &sum), -EIO);
  const int file = files->open(files->context, "log/1", FILES_UPDATE);
  assert_true(file >= 0);
  uint8_t data[3];
  fake_files_fail(real, FAKE_BIT(FAKE_READ), 0, -EIO);
  assert_int_equal(files->read(files->context, file, 0, data, 3), -EIO);
  assert_int_equal(files->read(files->context, file, 0, data, 3), 3);
  files->close(files->context, file);
  overlay_free(overlay);
  fake_files_free(real);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_it_behaves_as_the_directory_would),
      cmocka_unit_test(test_errors_come_through),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
