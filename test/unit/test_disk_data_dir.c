/* Goal: a data directory is made private, is used by one process at a time and free as soon as that process
 * is gone, and what stands in the way is told with its path. Method: a scratch directory, and further
 * processes where the claim is about them. */
#include "disk/data_dir.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

enum { PATH_BYTES = 512, NOBODY = 65534, CHILD_LIFE_S = 30 /* should its test fail */ };

static char scratch[PATH_BYTES]; /* a fresh directory for each test, open to every user */
static char path[PATH_BYTES + 64];
static char why[2 * PATH_BYTES];

static const char *under_scratch(const char *name) {
  snprintf(path, sizeof path, "%s/%s", scratch, name);
  return path;
}

static int make_scratch(void **state) {
  (void)state;
  const char *base = getenv("TMPDIR");
  snprintf(scratch, sizeof scratch, "%s/coracle-data-dir-XXXXXX", base != NULL ? base : "/tmp");
  umask(0); /* the modes asked for are the modes seen */
  return mkdtemp(scratch) != NULL ? chmod(scratch, 0755) : -1;
}

static int remove_one(const char *name, const struct stat *status, int type, struct FTW *walk) {
  (void)status;
  (void)type;
  (void)walk;
  return remove(name);
}

static int remove_scratch(void **state) {
  (void)state;
  return nftw(scratch, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static void assert_mode(const char *name, mode_t expected) {
  struct stat status;
  assert_int_equal(stat(under_scratch(name), &status), 0);
  assert_int_equal(status.st_mode & 07777, expected);
}

/* The directory must be refused with that code, in a sentence that has its path and the given words. */
static void assert_refused(const char *name, int code, const char *words) {
  memset(why, 0, sizeof why);
  assert_int_equal(data_dir_open(under_scratch(name), why, sizeof why), code);
  assert_non_null(strstr(why, path));
  assert_non_null(strstr(why, words));
}

static void open_and_close(const char *name) {
  int lock = data_dir_open(under_scratch(name), why, sizeof why);
  assert_true(lock >= 0);
  data_dir_close(lock);
}

static void missing_parents_are_made_private(void **state) {
  (void)state;
  open_and_close("one/two//three/");
  assert_mode("one", 0700);
  assert_mode("one/two", 0700);
  assert_mode("one/two/three", 0700);
  assert_mode("one/two/three/lock", 0600);
  open_and_close("one/two/three"); /* and again, now that it exists */
}

static void what_exists_is_left_as_it_is(void **state) {
  (void)state;
  assert_int_equal(mkdir(under_scratch("mine"), 0750), 0);
  int file = open(under_scratch("mine/lock"), O_WRONLY | O_CREAT, 0640);
  assert_int_equal(write(file, "kept", 4), 4);
  close(file);
  open_and_close("mine");
  assert_mode("mine", 0750);
  struct stat status;
  assert_int_equal(stat(under_scratch("mine/lock"), &status), 0);
  assert_int_equal(status.st_size, 4);
}

/* Runs a child that opens the directory and stays; returns once it has done so. */
static pid_t hold_in_child(const char *name) {
  int ready[2];
  uint8_t held = 0;
  assert_int_equal(pipe(ready), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    held = data_dir_open(under_scratch(name), why, sizeof why) >= 0;
    alarm(CHILD_LIFE_S);
    if (write(ready[1], &held, 1) == 1) pause();
    _exit(1);
  }
  assert_int_equal(read(ready[0], &held, 1), 1);
  assert_int_equal(held, 1);
  close(ready[0]);
  close(ready[1]);
  return child;
}

static void kill_child(pid_t child) {
  assert_int_equal(kill(child, SIGKILL), 0);
  assert_int_equal(waitpid(child, NULL, 0), child);
}

static void only_one_process_at_a_time(void **state) {
  (void)state;
  pid_t child = hold_in_child("data");
  assert_refused("data", CORACLE_EBUSY, "another process");
  kill_child(child);
  open_and_close("data"); /* a killed process leaves no lock behind */
}

static void a_closed_directory_is_free(void **state) {
  (void)state;
  int lock = data_dir_open(under_scratch("data"), why, sizeof why);
  assert_true(lock >= 0);
  assert_refused("data", CORACLE_EBUSY, "another process");
  data_dir_close(lock);
  kill_child(hold_in_child("data"));
}

/* A program that the holder starts and that outlives it must not keep the directory. */
static void the_lock_is_not_inherited(void **state) {
  (void)state;
  pid_t child;
  char *const arguments[] = {"sleep", "30", NULL};
  int lock = data_dir_open(under_scratch("data"), why, sizeof why);
  assert_true(lock >= 0);
  assert_int_equal(posix_spawnp(&child, "sleep", NULL, NULL, arguments, NULL), 0);
  data_dir_close(lock);
  int again = data_dir_open(under_scratch("data"), why, sizeof why);
  kill_child(child);
  assert_true(again >= 0);
  data_dir_close(again);
}

static void a_file_in_its_place_is_refused(void **state) {
  (void)state;
  close(open(under_scratch("file"), O_WRONLY | O_CREAT, 0600));
  assert_refused("file", CORACLE_EIO, strerror(ENOTDIR));
  assert_refused("file/data", CORACLE_EIO, strerror(ENOTDIR));
  assert_int_equal(mkfifo(under_scratch("pipe"), 0600),
                   0); /* one that opens only when somebody writes to it */
  assert_refused("pipe", CORACLE_EIO, strerror(ENOTDIR));
}

static void a_link_as_lock_file_is_refused(void **state) {
  (void)state;
  struct stat status;
  assert_int_equal(mkdir(under_scratch("data"), 0700), 0);
  assert_int_equal(symlink("../elsewhere", under_scratch("data/lock")), 0);
  assert_refused("data", CORACLE_EIO, strerror(ELOOP));
  assert_int_equal(stat(under_scratch("elsewhere"), &status), -1); /* nothing was made through the link */

  assert_int_equal(mkdir(under_scratch("other"), 0700), 0);
  assert_int_equal(mkdir(under_scratch("other/lock"), 0700), 0);
  assert_refused("other", CORACLE_EIO, strerror(EISDIR));
}

/* In a child, which first gives up being root if it is. */
static void an_unwritable_parent_is_refused(void **state) {
  (void)state;
  int status;
  assert_int_equal(mkdir(under_scratch("parent"), 0555), 0);
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    if (geteuid() == 0 && setuid(NOBODY) != 0) _exit(2);
    int code = data_dir_open(under_scratch("parent/data"), why, sizeof why);
    _exit(code == CORACLE_EIO && strstr(why, path) != NULL && strstr(why, strerror(EACCES)) != NULL ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_int_equal(status, 0);
}

static void impossible_paths_are_refused(void **state) {
  (void)state;
  char name[300];
  memset(name, 'x', sizeof name - 1);
  name[sizeof name - 1] = '\0';
  assert_int_equal(data_dir_open(name, why, sizeof why), CORACLE_EIO);
  assert_non_null(strstr(why, strerror(ENAMETOOLONG)));
  assert_int_equal(data_dir_open("", why, sizeof why), CORACLE_EIO);

  char small[8]; /* a reason that does not fit is cut, not overrun */
  assert_int_equal(data_dir_open(name, small, sizeof small), CORACLE_EIO);
  assert_int_equal(strlen(small), sizeof small - 1);
}

/* Whoever only asks makes nothing, and takes nothing from the next process. */
static void looking_leaves_no_trace(void **state) {
  (void)state;
  struct stat status;
  bool in_use = true;
  assert_int_equal(data_dir_look(under_scratch("nowhere"), &in_use, why, sizeof why), CORACLE_ENOTFOUND);
  assert_non_null(strstr(why, "nowhere"));
  assert_int_equal(stat(under_scratch("nowhere"), &status), -1);

  assert_int_equal(mkdir(under_scratch("data"), 0700), 0);
  assert_int_equal(data_dir_look(under_scratch("data"), &in_use, why, sizeof why), 0);
  assert_false(in_use);
  assert_int_equal(stat(under_scratch("data/lock"), &status), -1);

  int lock = data_dir_open(under_scratch("data"), why, sizeof why);
  assert_true(lock >= 0);
  assert_int_equal(data_dir_look(under_scratch("data"), &in_use, why, sizeof why), 0);
  assert_true(in_use);
  data_dir_close(lock);
  assert_int_equal(data_dir_look(under_scratch("data"), &in_use, why, sizeof why), 0);
  assert_false(in_use);
  lock = data_dir_open(under_scratch("data"), why, sizeof why);
  assert_true(lock >= 0);
  data_dir_close(lock);

  assert_int_equal(unlink(under_scratch("data/lock")), 0);
  assert_int_equal(symlink("../elsewhere", under_scratch("data/lock")), 0);
  assert_int_equal(data_dir_look(under_scratch("data"), &in_use, why, sizeof why), CORACLE_EIO);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(missing_parents_are_made_private, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(what_exists_is_left_as_it_is, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(only_one_process_at_a_time, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(a_closed_directory_is_free, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(the_lock_is_not_inherited, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(a_file_in_its_place_is_refused, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(a_link_as_lock_file_is_refused, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(an_unwritable_parent_is_refused, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(impossible_paths_are_refused, make_scratch, remove_scratch),
      cmocka_unit_test_setup_teardown(looking_leaves_no_trace, make_scratch, remove_scratch),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
