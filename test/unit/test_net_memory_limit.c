/* Goal: what a process may use is the lowest limit of its control groups, of either version, in a container
 * too. Method: folders that look like the file systems of control groups. */
#include "net/memory_limit.h"

#include "base/bytes.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 256 };

static char root[64];

static int begin(void **state) {
  (void)state;
  snprintf(root, sizeof root, "/tmp/coracle-test-memory-XXXXXX");
  return mkdtemp(root) != NULL ? 0 : -1;
}

static int end(void **state) {
  char command[PATH_BYTES];
  (void)state;
  snprintf(command, sizeof command, "rm -r '%s'", root);
  return system(command);
}

/* With the folders on the way to it. */
static void put(const char *name, const char *text) {
  char path[PATH_BYTES];
  snprintf(path, sizeof path, "%s/%s", root, name);
  for (char *at = path + strlen(root); (at = strchr(at + 1, '/')) != NULL;) {
    *at = '\0';
    assert_true(mkdir(path, 0700) == 0 || errno == EEXIST);
    *at = '/';
  }
  FILE *file = fopen(path, "w");
  assert_non_null(file);
  fputs(text, file);
  fclose(file);
}

static uint64_t limit(const char *membership) {
  char path[PATH_BYTES];
  put("membership", membership);
  snprintf(path, sizeof path, "%s/membership", root);
  return memory_limit_of_groups(path, root);
}

static void test_no_groups(void **state) {
  (void)state;
  assert_true(memory_limit_of_groups("/nonexistent/cgroup", root) == UINT64_MAX);
  assert_true(limit("") == UINT64_MAX);
  assert_true(limit("nonsense\n::\n0:\n") == UINT64_MAX);
  assert_true(limit("0::/gone\n7:memory:/gone\n") == UINT64_MAX);
}

static void test_version_2(void **state) {
  (void)state;
  put("user/a/memory.max", "max\n");
  assert_true(limit("0::/user/a\n") == UINT64_MAX);
  put("user/memory.max", "2000000\n"); /* of the one above it */
  assert_int_equal(limit("0::/user/a\n"), 2000000);
  put("user/a/memory.max", "3000000\n");
  assert_int_equal(limit("0::/user/a\n"), 2000000);
  put("user/a/memory.max", "1000000\n");
  assert_int_equal(limit("0::/user/a\n"), 1000000);
  put("user/ab/memory.max", "5\n"); /* of another */
  assert_int_equal(limit("0::/user/a\n"), 1000000);
}

static void test_version_1(void **state) {
  (void)state;
  put("memory/jobs/b/memory.limit_in_bytes", "9223372036854771712\n");
  assert_int_equal(limit("4:cpu,memory:/jobs/b\n"), 9223372036854771712ull);
  put("memory/jobs/memory.limit_in_bytes", "4096\n");
  assert_int_equal(limit("5:cpu:/\n4:cpu,memory:/jobs/b\n0::/\n"), 4096);
  assert_true(limit("5:cpu:/jobs/b\n4:memoryless:/jobs/b\n") == UINT64_MAX);
}

/* The path is one of the host's; what is seen here as the root is the container's own group. */
static void test_in_a_container(void **state) {
  (void)state;
  put("memory.max", "7777\n");
  assert_int_equal(limit("0::/\n"), 7777);
  assert_int_equal(limit("0::/somewhere/on/the/host\n"), 7777);
  put("memory/memory.limit_in_bytes", "6666\n");
  assert_int_equal(limit("4:memory:/docker/abc\n"), 6666);
}

static void test_this_process(void **state) {
  (void)state;
  const uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
  assert_in_range(memory_limit_bytes(), 1024 * 1024, physical);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_no_groups, begin, end),
      cmocka_unit_test_setup_teardown(test_version_2, begin, end),
      cmocka_unit_test_setup_teardown(test_version_1, begin, end),
      cmocka_unit_test_setup_teardown(test_in_a_container, begin, end),
      cmocka_unit_test(test_this_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
