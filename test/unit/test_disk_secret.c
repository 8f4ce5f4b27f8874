/* Goal: a secret file is taken exactly when it is one line of 64 hexadecimal digits in a regular file that
 * nobody else can read or write, and refused with the reason otherwise; one that is made is such a file, and
 * never in place of another; those who look for it at once all find the same. */
#include "disk/secret.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[64], path[80], why[512];

static const char line[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1eFF\n";

static int set_up(void **state) {
  (void)state;
  snprintf(folder, sizeof folder, "/tmp/coracle-test-secret-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(path, sizeof path, "%s/secret", folder);
  return 0;
}

static int tear_down(void **state) {
  (void)state;
  unlink(path);
  rmdir(path);
  assert_return_code(rmdir(folder), errno); /* no test leaves anything else */
  return 0;
}

static void write_file(const char *text, size_t n, mode_t mode) {
  int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
  assert_true(fd >= 0);
  assert_int_equal(write(fd, text, n), n);
  assert_return_code(fchmod(fd, mode), errno);
  close(fd);
}

static int read_it(uint8_t secret[SECRET_FILE_BYTES]) {
  memset(secret, 0, SECRET_FILE_BYTES);
  snprintf(why, sizeof why, "nothing");
  return secret_read(path, secret, why, sizeof why);
}

static void assert_refused(const char *what) {
  uint8_t secret[SECRET_FILE_BYTES];
  assert_int_equal(read_it(secret), CORACLE_EMALFORMED);
  if (strstr(why, what) == NULL) fail_msg("no word of '%s' in: %s", what, why);
  assert_non_null(strstr(why, path));
  assert_null(strchr(why, '\n'));
}

static void one_line_of_digits_is_read(void **state) {
  (void)state;
  uint8_t secret[SECRET_FILE_BYTES];
  write_file(line, sizeof line - 1, 0600);
  assert_int_equal(read_it(secret), 0);
  for (size_t i = 0; i < 31; i++) assert_int_equal(secret[i], i);
  assert_int_equal(secret[31], 0xff);
  write_file(line, sizeof line - 1, 0400);
  assert_int_equal(read_it(secret), 0);
}

static void anything_else_is_refused(void **state) {
  (void)state;
  char text[2 * sizeof line];
  write_file("", 0, 0600);
  assert_refused("is empty");
  for (size_t n = 1; n < sizeof line - 1; n++) {
    write_file(line, n, 0600);
    assert_refused("not one line of 64 hexadecimal digits");
  }
  memcpy(text, line, sizeof line - 1);
  memcpy(text + sizeof line - 1, "\n", 1);
  write_file(text, sizeof line, 0600);
  assert_refused("longer than one line");
  memcpy(text + sizeof line - 1, line, sizeof line - 1);
  write_file(text, 2 * (sizeof line - 1), 0600);
  assert_refused("longer than one line");
  for (size_t i = 0; i < sizeof line - 1; i++) {
    static const char wrong[] = {'g', 'G', '/', ':', '@', '`', ' ', '\0', '\r', 'x', '\x80', '\xff'};
    for (size_t j = 0; j < sizeof wrong; j++) {
      memcpy(text, line, sizeof line - 1);
      text[i] = wrong[j];
      write_file(text, sizeof line - 1, 0600);
      assert_refused("not one line");
    }
  }
}

static void what_others_may_touch_is_refused(void **state) {
  (void)state;
  for (mode_t bit = 1; bit <= 040; bit <<= 1) {
    write_file(line, sizeof line - 1, 0600 | bit);
    assert_refused("chmod 600");
  }
}

static void what_is_no_file_is_refused(void **state) {
  (void)state;
  uint8_t secret[SECRET_FILE_BYTES];
  char target[96];
  assert_int_equal(read_it(secret), CORACLE_ENOTFOUND);
  assert_non_null(strstr(why, "does not exist"));
  assert_return_code(mkdir(path, 0700), errno);
  assert_refused("not a regular file");
  assert_return_code(rmdir(path), errno);
  assert_return_code(mkfifo(path, 0600), errno);
  assert_refused("not a regular file"); /* and is not waited for */
  assert_return_code(unlink(path), errno);
  assert_return_code(symlink("/dev/zero", path), errno);
  assert_refused("not a regular file");
  assert_return_code(unlink(path), errno);

  /* A symbolic link is as good as what it leads to. */
  write_file(line, sizeof line - 1, 0600);
  snprintf(target, sizeof target, "%s-there", path);
  assert_return_code(rename(path, target), errno);
  assert_return_code(symlink(target, path), errno);
  assert_int_equal(read_it(secret), 0);
  assert_return_code(chmod(target, 0644), errno);
  assert_refused("chmod 600");
  assert_return_code(unlink(target), errno);
  assert_int_equal(read_it(secret), CORACLE_ENOTFOUND);
}

/* Only root can give a file away. */
static void another_users_is_refused(void **state) {
  (void)state;
  if (geteuid() != 0) skip();
  write_file(line, sizeof line - 1, 0600);
  assert_return_code(chown(path, 12345, (gid_t)-1), errno);
  assert_refused("belongs to user 12345");
}

static void one_that_is_made_is_private_and_whole(void **state) {
  (void)state;
  uint8_t fresh[SECRET_FILE_BYTES], secret[SECRET_FILE_BYTES];
  char text[SECRET_TEXT_BYTES + 1];
  struct stat about;
  for (size_t i = 0; i < sizeof fresh; i++) fresh[i] = (uint8_t)(37 * i + 5);
  mode_t before = umask(0);
  assert_int_equal(secret_make(path, fresh, why, sizeof why), 0);
  umask(before);
  assert_return_code(stat(path, &about), errno);
  assert_int_equal(about.st_mode, S_IFREG | 0600);
  assert_int_equal(about.st_nlink, 1);
  assert_int_equal(read_it(secret), 0);
  assert_memory_equal(secret, fresh, sizeof fresh);
  secret_format(fresh, text);
  assert_int_equal(text[SECRET_TEXT_BYTES - 1], '\n');

  fresh[0]++;
  assert_int_equal(secret_make(path, fresh, why, sizeof why), CORACLE_EBUSY);
  assert_non_null(strstr(why, "exists already"));
  assert_int_equal(read_it(secret), 0);
  assert_true(secret[0] == 5);
  assert_return_code(unlink(path), errno);
  assert_return_code(symlink("nowhere", path), errno); /* which is something too */
  assert_int_equal(secret_make(path, fresh, why, sizeof why), CORACLE_EBUSY);
}

static void folders_on_the_way_are_made(void **state) {
  (void)state;
  uint8_t fresh[SECRET_FILE_BYTES] = {1}, secret[SECRET_FILE_BYTES];
  char deep[128];
  bool made;
  struct stat about;
  snprintf(deep, sizeof deep, "%s/x/y/secret", folder);
  assert_int_equal(secret_read_or_make(deep, fresh, secret, &made, why, sizeof why), 0);
  assert_true(made);
  assert_memory_equal(secret, fresh, sizeof fresh);
  fresh[0] = 2;
  assert_int_equal(secret_read_or_make(deep, fresh, secret, &made, why, sizeof why), 0);
  assert_false(made);
  assert_true(secret[0] == 1);
  assert_return_code(chmod(deep, 0644), errno); /* what is refused is not replaced */
  assert_int_equal(secret_read_or_make(deep, fresh, secret, &made, why, sizeof why), CORACLE_EMALFORMED);
  assert_false(made);
  assert_return_code(unlink(deep), errno);
  snprintf(deep, sizeof deep, "%s/x/y", folder);
  assert_return_code(stat(deep, &about), errno);
  assert_int_equal(about.st_mode & 0777, 0700);
  assert_return_code(rmdir(deep), errno);
  snprintf(deep, sizeof deep, "%s/x", folder);
  assert_return_code(rmdir(deep), errno);
}

static void where_none_can_be_made(void **state) {
  (void)state;
  uint8_t fresh[SECRET_FILE_BYTES] = {1}, secret[SECRET_FILE_BYTES];
  char below[128];
  bool made;
  write_file(line, sizeof line - 1, 0600);
  snprintf(below, sizeof below, "%s/below", path);
  assert_int_equal(secret_make(below, fresh, why, sizeof why), CORACLE_EIO);
  assert_non_null(strstr(why, "cannot make secret file"));
  assert_int_equal(secret_read_or_make(below, fresh, secret, &made, why, sizeof why), CORACLE_EIO);
}

/* Many processes that start at the same instant, each with a secret of its own to offer. */
static void all_agree_on_one(void **state) {
  (void)state;
  enum { RACERS = 12, ROUNDS = 30 };
  for (int round = 0; round < ROUNDS; round++) {
    int gate[2], results[2];
    unsigned makers = 0;
    uint8_t first[SECRET_FILE_BYTES + 1], next[SECRET_FILE_BYTES + 1];
    assert_return_code(pipe(gate), errno);
    assert_return_code(pipe(results), errno);
    for (int i = 0; i < RACERS; i++) {
      pid_t pid = fork();
      assert_true(pid >= 0);
      if (pid != 0) continue;
      uint8_t fresh[SECRET_FILE_BYTES], said[SECRET_FILE_BYTES + 1];
      bool made = false;
      char byte;
      memset(fresh, i + 1, sizeof fresh);
      close(gate[1]);
      if (read(gate[0], &byte, 1) != 0) _exit(1);
      if (secret_read_or_make(path, fresh, said, &made, why, sizeof why) != 0) _exit(2);
      said[SECRET_FILE_BYTES] = made;
      _exit(write(results[1], said, sizeof said) == sizeof said ? 0 : 3);
    }
    close(gate[0]);
    close(gate[1]);
    for (int i = 0; i < RACERS; i++) {
      int status;
      assert_true(wait(&status) > 0);
      assert_int_equal(status, 0);
      assert_int_equal(read(results[0], i == 0 ? first : next, sizeof first), sizeof first);
      if (i > 0) assert_memory_equal(first, next, SECRET_FILE_BYTES);
      makers += (i == 0 ? first : next)[SECRET_FILE_BYTES];
    }
    assert_int_equal(makers, 1);
    close(results[0]);
    close(results[1]);
    assert_return_code(unlink(path), errno);
  }
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
  const struct CMUnitTest tests[] = {
      TEST(one_line_of_digits_is_read),
      TEST(anything_else_is_refused),
      TEST(what_others_may_touch_is_refused),
      TEST(what_is_no_file_is_refused),
      TEST(another_users_is_refused),
      TEST(one_that_is_made_is_private_and_whole),
      TEST(folders_on_the_way_are_made),
      TEST(where_none_can_be_made),
      TEST(all_agree_on_one),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
