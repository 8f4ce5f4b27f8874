/* Goal: the functions that the disk's code is given do on a real directory what disk/files.h says: they open
 * regular files and nothing else, write all or say why not, take space where the system cannot, sync once and
 * never again, and find their files wherever the directory is moved to.
 *
 * The system calls that are hard to make fail are wrapped by the linker, and fail when a test says so. */
#include "disk/files.h"

#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- System calls ---- */

/* What the calls are to do: 0, the error of one that fails, or -n, so many bytes; the last one stays in
 * force. */
struct calls {
  int plan[8];
  size_t plan_n, done;
};
static struct calls writes, reads, allocations, syncs, directory_syncs;

static int next(struct calls *calls) {
  const size_t i = calls->done++;
  return calls->plan_n == 0 ? 0 : calls->plan[i < calls->plan_n ? i : calls->plan_n - 1];
}

ssize_t __real_pwrite(int, const void *, size_t, off_t);
ssize_t __real_pread(int, void *, size_t, off_t);
int __real_posix_fallocate(int, off_t, off_t);
int __real_fdatasync(int);
int __real_fsync(int);
ssize_t __wrap_pwrite(int, const void *, size_t, off_t);
ssize_t __wrap_pread(int, void *, size_t, off_t);
int __wrap_posix_fallocate(int, off_t, off_t);
int __wrap_fdatasync(int);
int __wrap_fsync(int);

static int refuse(int error) {
  errno = error;
  return -1;
}

ssize_t __wrap_pwrite(int file, const void *data, size_t n, off_t offset) {
  const int what = next(&writes);
  if (what > 0) return refuse(what);
  return __real_pwrite(file, data, what < 0 && (size_t)-what < n ? (size_t)-what : n, offset);
}

ssize_t __wrap_pread(int file, void *data, size_t n, off_t offset) {
  const int what = next(&reads);
  if (what > 0) return refuse(what);
  return __real_pread(file, data, what < 0 && (size_t)-what < n ? (size_t)-what : n, offset);
}

int __wrap_posix_fallocate(int file, off_t offset, off_t n) {
  const int what = next(&allocations);
  return what > 0 ? what : __real_posix_fallocate(file, offset, n);
}

int __wrap_fdatasync(int file) {
  const int what = next(&syncs);
  return what > 0 ? refuse(what) : __real_fdatasync(file);
}

int __wrap_fsync(int file) {
  struct stat about;
  assert_return_code(fstat(file, &about), errno);
  assert_true(S_ISDIR(about.st_mode));
  const int what = next(&directory_syncs);
  return what > 0 ? refuse(what) : __real_fsync(file);
}

#define PLAN(which, ...)                                                                                     \
  do {                                                                                                       \
    const int plan[] = {__VA_ARGS__};                                                                        \
    (which) = (struct calls){.plan_n = sizeof plan / sizeof plan[0]};                                        \
    memcpy((which).plan, plan, sizeof plan);                                                                 \
  } while (0)

/* ---- The directory ---- */

static char folder[64], moved[80], path[100];
static struct files files;

static int set_up(void **state) {
  (void)state;
  writes = reads = allocations = syncs = directory_syncs = (struct calls){0};
  snprintf(folder, sizeof folder, "/tmp/coracle-test-files-XXXXXX");
  assert_non_null(mkdtemp(folder));
  snprintf(moved, sizeof moved, "%s.moved", folder);
  assert_int_equal(files_open(folder, &files), 0);
  return 0;
}

static int remove_one(const char *name, const struct stat *about, int type, struct FTW *where) {
  (void)about, (void)type, (void)where;
  return remove(name);
}

static int tear_down(void **state) {
  (void)state;
  files_close(&files);
  files_close(&files); /* harmless */
  assert_return_code(nftw(folder, remove_one, 8, FTW_DEPTH | FTW_PHYS), errno);
  return 0;
}

static const char *in(const char *name) {
  snprintf(path, sizeof path, "%s/%s", folder, name);
  return path;
}

static int open_it(const char *name, enum files_mode mode) {
  return files.open(files.context, name, mode);
}

static int create(const char *name) {
  const int file = open_it(name, FILES_CREATE);
  assert_true(file >= 0);
  return file;
}

static void assert_content(int file, const char *expected) {
  char content[64] = "";
  assert_int_equal(files.read(files.context, file, 0, content, sizeof content), strlen(expected));
  assert_string_equal(content, expected);
}

/* ---- Opening ---- */

static void a_file_is_made_written_and_read(void **state) {
  (void)state;
  const mode_t before = umask(0);
  const int file = create("a");
  umask(before);
  struct stat about;
  assert_return_code(fstat(file, &about), errno);
  assert_int_equal(about.st_mode & 07777, 0600);
  assert_int_equal(fcntl(file, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  assert_int_equal(files.write(files.context, file, 0, "boat", 4), 0);
  assert_int_equal(files.write(files.context, file, 2, "dy of water", 11), 0);
  assert_int_equal(files.size(files.context, file), 13);
  files.close(files.context, file);
  assert_int_equal(open_it("a", FILES_CREATE), -EEXIST);

  const int again = open_it("a", FILES_READ);
  assert_true(again >= 0);
  assert_int_equal(fcntl(again, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  assert_content(again, "body of water");
  assert_int_equal(files.write(files.context, again, 0, "x", 1), -EBADF);
  files.close(files.context, again);
  const int update = open_it("a", FILES_UPDATE);
  assert_int_equal(files.write(files.context, update, 0, "B", 1), 0);
  assert_content(update, "Body of water");
  files.close(files.context, update);
}

/* A FIFO that nobody writes to would keep us waiting; whoever can put a symbolic link there would have us
 * write to any file of the user's. */
static void what_is_no_regular_file_is_refused(void **state) {
  (void)state;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  files.close(files.context, create("file"));
  assert_return_code(symlink("file", in("link")), errno);
  assert_return_code(symlink("nothing", in("dangling")), errno);
  assert_return_code(mkfifo(in("fifo"), 0600), errno);
  assert_return_code(mkdir(in("folder"), 0700), errno);
  snprintf(address.sun_path, sizeof address.sun_path, "%s", in("socket"));
  assert_return_code(bind(listener, (struct sockaddr *)&address, sizeof address), errno);

  static const char *const names[] = {"link", "dangling", "fifo", "folder", "socket"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    assert_int_equal(open_it(names[i], FILES_READ), -EINVAL);
    assert_int_equal(open_it(names[i], FILES_UPDATE), -EINVAL);
    assert_int_equal(open_it(names[i], FILES_CREATE), -EEXIST);
  }
  assert_int_equal(access(in("nothing"), F_OK), -1);
  assert_int_equal(open_it("missing", FILES_READ), -ENOENT);
  assert_int_equal(open_it("missing", FILES_UPDATE), -ENOENT);
  assert_int_equal(open_it("no/folder", FILES_CREATE), -ENOENT);
  close(listener);
}

static void only_a_directory_is_opened(void **state) {
  (void)state;
  struct files other;
  files.close(files.context, create("file"));
  assert_int_equal(files_open(in("file"), &other), -ENOTDIR);
  assert_int_equal(files_open(in("missing"), &other), -ENOENT);
}

static void the_directory_may_be_moved(void **state) {
  (void)state;
  assert_return_code(rename(folder, moved), errno);
  const int file = create("a");
  files.close(files.context, file);
  assert_return_code(rename(moved, folder), errno);
  assert_return_code(access(in("a"), F_OK), errno);
}

/* ---- Reading and writing ---- */

static void a_read_ends_with_the_file(void **state) {
  (void)state;
  char content[8];
  const int file = create("a");
  assert_int_equal(files.write(files.context, file, 0, "0123456789", 10), 0);
  PLAN(reads, EINTR, -1, -2, EINTR, 0);
  assert_int_equal(files.read(files.context, file, 1, content, 8), 8);
  assert_memory_equal(content, "12345678", 8);
  assert_int_equal(files.read(files.context, file, 7, content, 8), 3);
  assert_int_equal(files.read(files.context, file, 10, content, 8), 0);
  assert_int_equal(files.read(files.context, file, 100, content, 8), 0);
  PLAN(reads, -2, EIO);
  assert_int_equal(files.read(files.context, file, 0, content, 8), -EIO);
  files.close(files.context, file);
}

static void a_write_goes_on_until_all_is_written(void **state) {
  (void)state;
  const int file = create("a");
  PLAN(writes, EINTR, -1, -3, EINTR, -2, 0);
  assert_int_equal(files.write(files.context, file, 0, "0123456789", 10), 0);
  assert_content(file, "0123456789");
  assert_int_equal(writes.done, 6);
  files.close(files.context, file);
}

static void a_write_that_runs_out_of_room_says_so(void **state) {
  (void)state;
  const int file = create("a");
  PLAN(writes, -4, ENOSPC);
  assert_int_equal(files.write(files.context, file, 0, "0123456789", 10), -ENOSPC);
  assert_int_equal(writes.done, 2);
  PLAN(writes, EDQUOT);
  assert_int_equal(files.write(files.context, file, 0, "0123456789", 10), -EDQUOT);
  PLAN(writes, -4, EIO);
  assert_int_equal(files.write(files.context, file, 0, "0123456789", 10), -EIO);
  files.close(files.context, file);
  assert_true(files_is_full(-ENOSPC) && files_is_full(-EDQUOT));
  assert_false(files_is_full(-EIO) || files_is_full(0) || files_is_full(ENOSPC));
}

/* ---- Allocating ---- */

static void assert_allocated(int file, uint64_t bytes) {
  struct stat about;
  char *content = malloc(bytes);
  assert_int_equal(files.size(files.context, file), bytes);
  assert_int_equal(files.sync(files.context, file), 0);
  assert_return_code(fstat(file, &about), errno);
  assert_true((uint64_t)about.st_blocks * 512 >= bytes); /* no holes */
  assert_int_equal(files.read(files.context, file, 0, content, bytes), bytes);
  assert_memory_equal(content, "head", 4);
  for (size_t i = 4; i < bytes; i++) assert_int_equal(content[i], 0);
  free(content);
}

static void space_is_taken(void **state) {
  (void)state;
  const int unsupported[] = {0, EOPNOTSUPP, EINVAL};
  for (size_t i = 0; i < 3; i++) {
    const int file = create("a");
    assert_int_equal(files.write(files.context, file, 0, "head", 4), 0);
    PLAN(allocations, EINTR, unsupported[i]);
    assert_int_equal(files.allocate(files.context, file, 200001), 0);
    assert_allocated(file, 200001);
    assert_int_equal(files.allocate(files.context, file, 100), 0); /* never shorter */
    assert_int_equal(files.allocate(files.context, file, 0), 0);
    assert_allocated(file, 200001);
    files.close(files.context, file);
    assert_int_equal(files.remove(files.context, "a"), 0);
  }
}

static void space_that_is_not_there_is_not_taken(void **state) {
  (void)state;
  const int file = create("a");
  PLAN(allocations, ENOSPC);
  assert_int_equal(files.allocate(files.context, file, 100000), -ENOSPC);
  PLAN(allocations, EOPNOTSUPP);
  PLAN(writes, -5000, ENOSPC);
  assert_int_equal(files.allocate(files.context, file, 100000), -ENOSPC);
  PLAN(allocations, EIO);
  assert_int_equal(files.allocate(files.context, file, 100000), -EIO);
  files.close(files.context, file);
}

/* ---- Syncing ---- */

/* Also not after an interruption: nobody knows what became of the pages. */
static void a_sync_that_failed_is_not_tried_again(void **state) {
  (void)state;
  const int file = create("a");
  assert_int_equal(files.sync(files.context, file), 0);
  assert_int_equal(syncs.done, 1);
  const int errors[] = {EIO, EINTR, ENOSPC};
  for (size_t i = 0; i < 3; i++) {
    PLAN(syncs, errors[i], 0);
    assert_int_equal(files.sync(files.context, file), -errors[i]);
    assert_int_equal(syncs.done, 1);
    PLAN(directory_syncs, errors[i], 0);
    assert_int_equal(files.sync_directory(files.context, ""), -errors[i]);
    assert_int_equal(directory_syncs.done, 1);
  }
  files.close(files.context, file);
}

static void directories_are_synced(void **state) {
  (void)state;
  assert_int_equal(files.make_directory(files.context, "log"), 0);
  assert_int_equal(files.sync_directory(files.context, "log"), 0);
  assert_int_equal(files.sync_directory(files.context, ""), 0);
  assert_int_equal(directory_syncs.done, 2);
  assert_int_equal(files.sync_directory(files.context, "missing"), -ENOENT);
  files.close(files.context, create("file"));
  assert_int_equal(files.sync_directory(files.context, "file"), -ENOTDIR);
}

/* ---- Names ---- */

static void names_change(void **state) {
  (void)state;
  struct stat about;
  const mode_t before = umask(0);
  assert_int_equal(files.make_directory(files.context, "log"), 0);
  umask(before);
  assert_return_code(stat(in("log"), &about), errno);
  assert_int_equal(about.st_mode & 07777, 0700);
  assert_int_equal(files.make_directory(files.context, "log"), -EEXIST);

  int file = create("log/new");
  assert_int_equal(files.write(files.context, file, 0, "new", 3), 0);
  files.close(files.context, file);
  files.close(files.context, create("log/old"));
  assert_int_equal(files.rename(files.context, "log/new", "log/old"), 0);
  assert_int_equal(open_it("log/new", FILES_READ), -ENOENT);
  file = open_it("log/old", FILES_READ);
  assert_content(file, "new");
  files.close(files.context, file);
  assert_int_equal(files.rename(files.context, "log/new", "log/old"), -ENOENT);
  assert_int_equal(files.remove(files.context, "log/old"), 0);
  assert_int_equal(files.remove(files.context, "log/old"), -ENOENT);
}

static int collect(void *argument, const char *name) {
  struct bytes *all = argument;
  bytes_append_string(all, name);
  bytes_append_string(all, " ");
  return 0;
}

static int stop_at_second(void *argument, const char *name) {
  (void)name;
  int *n = argument;
  return ++*n == 2 ? 42 : 0;
}

static void names_are_listed(void **state) {
  (void)state;
  struct bytes all = {0};
  int n = 0;
  assert_int_equal(files.list(files.context, "", collect, &all), 0);
  assert_int_equal(all.n, 0);
  static const char *const names[] = {"a", ".b", "..c"};
  for (size_t i = 0; i < 3; i++) files.close(files.context, create(names[i]));
  for (int time = 0; time < 2; time++) { /* the second one sees them too */
    all.n = 0;
    assert_int_equal(files.list(files.context, "", collect, &all), 0);
    bytes_append(&all, "", 1);
    assert_int_equal(all.n, strlen("a .b ..c ") + 1);
    assert_non_null(strstr((char *)all.data, ".b "));
    assert_non_null(strstr((char *)all.data, "..c "));
  }
  assert_int_equal(files.list(files.context, "", stop_at_second, &n), 42);
  assert_int_equal(n, 2);
  assert_int_equal(files.list(files.context, "missing", collect, &all), -ENOENT);
  assert_int_equal(files.list(files.context, "a", collect, &all), -ENOTDIR);
  bytes_close(&all);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(a_file_is_made_written_and_read),
      TEST(what_is_no_regular_file_is_refused),
      TEST(only_a_directory_is_opened),
      TEST(the_directory_may_be_moved),
      TEST(a_read_ends_with_the_file),
      TEST(a_write_goes_on_until_all_is_written),
      TEST(a_write_that_runs_out_of_room_says_so),
      TEST(space_is_taken),
      TEST(space_that_is_not_there_is_not_taken),
      TEST(a_sync_that_failed_is_not_tried_again),
      TEST(directories_are_synced),
      TEST(names_change),
      TEST(names_are_listed),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
