#include "disk/files.h"

#include "base/memory.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ZEROS_BYTES = 64 * 1024 };

/* The directory is held open: whoever renames or replaces its path while we run does not lead us elsewhere.
 */
struct real {
  int directory;
};

static int directory_of(void *context) {
  const struct real *real = context;
  return real->directory;
}

bool files_is_full(int error) {
  return error == -ENOSPC || error == -EDQUOT;
}

/* ---- Files ---- */

/* What open(2) says of a name that is no regular file: a symbolic link, a directory, a socket. */
static int open_error(int error) {
  return error == ELOOP || error == EISDIR || error == ENXIO ? -EINVAL : -error;
}

/* O_NONBLOCK: a FIFO without a writer would keep a blocking open(2) waiting. */
static int real_open(void *context, const char *name, enum files_mode mode) {
  const int common = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  const int flags = mode == FILES_READ ? O_RDONLY : mode == FILES_UPDATE ? O_RDWR : O_RDWR | O_CREAT | O_EXCL;
  const int file = openat(directory_of(context), name, common | flags, 0600);
  if (file < 0) return open_error(errno);
  struct stat about;
  int error = fstat(file, &about) != 0 ? -errno : S_ISREG(about.st_mode) ? 0 : -EINVAL;
  if (error == 0) return file;
  close(file);
  return error;
}

static void real_close(void *context, int file) {
  (void)context;
  close(file);
}

static int64_t real_size(void *context, int file) {
  (void)context;
  struct stat about;
  return fstat(file, &about) == 0 ? (int64_t)about.st_size : -errno;
}

static int64_t real_read(void *context, int file, uint64_t offset, void *data, size_t n) {
  (void)context;
  assert(offset <= INT64_MAX && n <= INT64_MAX - offset);
  size_t have = 0;
  while (have < n) {
    const ssize_t got = pread(file, (char *)data + have, n - have, (off_t)(offset + have));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return -errno;
    if (got == 0) break;
    have += (size_t)got;
  }
  return (int64_t)have;
}

/* A short write is no error yet: the next one tells why. */
static int real_write(void *context, int file, uint64_t offset, const void *data, size_t n) {
  (void)context;
  assert(offset <= INT64_MAX && n <= INT64_MAX - offset);
  for (size_t done = 0; done < n;) {
    const ssize_t put = pwrite(file, (const char *)data + done, n - done, (off_t)(offset + done));
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) return -errno;
    if (put == 0) return -EIO;
    done += (size_t)put;
  }
  return 0;
}

/* For file systems that cannot allocate. Space below the file's end was taken when that was written. */
static int write_zeros(void *context, int file, uint64_t bytes) {
  const int64_t size = real_size(context, file);
  if (size < 0) return (int)size;
  char *zeros = memory_zalloc(ZEROS_BYTES);
  int error = 0;
  for (uint64_t at = (uint64_t)size; error == 0 && at < bytes;) {
    const uint64_t n = bytes - at < ZEROS_BYTES ? bytes - at : ZEROS_BYTES;
    error = real_write(context, file, at, zeros, (size_t)n);
    at += n;
  }
  free(zeros);
  return error;
}

static int real_allocate(void *context, int file, uint64_t bytes) {
  assert(bytes <= INT64_MAX);
  if (bytes == 0) return 0;
  int error;
  do {
    error = posix_fallocate(file, 0, (off_t)bytes);
  } while (error == EINTR);
  if (error == EINVAL || error == EOPNOTSUPP) return write_zeros(context, file, bytes);
  return -error;
}

static int real_sync(void *context, int file) {
  (void)context;
  return fdatasync(file) == 0 ? 0 : -errno;
}

/* ---- Names ---- */

static int real_rename(void *context, const char *from, const char *to) {
  return renameat(directory_of(context), from, directory_of(context), to) == 0 ? 0 : -errno;
}

static int real_remove(void *context, const char *name) {
  return unlinkat(directory_of(context), name, 0) == 0 ? 0 : -errno;
}

static int real_make_directory(void *context, const char *name) {
  return mkdirat(directory_of(context), name, 0700) == 0 ? 0 : -errno;
}

/* A descriptor of its own each time: reading a directory moves a place that all its duplicates share. */
static int open_directory(void *context, const char *name) {
  const int file =
      openat(directory_of(context), *name == '\0' ? "." : name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return file < 0 ? -errno : file;
}

static int real_sync_directory(void *context, const char *name) {
  const int file = open_directory(context, name);
  if (file < 0) return file;
  const int error = fsync(file) == 0 ? 0 : -errno;
  close(file);
  return error;
}

static bool is_itself_or_parent(const char *name) {
  return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static int real_list(void *context, const char *name, int (*entry)(void *, const char *), void *argument) {
  const int file = open_directory(context, name);
  if (file < 0) return file;
  DIR *directory = fdopendir(file);
  if (directory == NULL) {
    const int error = -errno;
    close(file);
    return error;
  }
  int result = 0;
  while (result == 0) {
    errno = 0;
    const struct dirent *next = readdir(directory);
    if (next == NULL) {
      result = -errno;
      break;
    }
    if (!is_itself_or_parent(next->d_name)) result = entry(argument, next->d_name);
  }
  closedir(directory);
  return result;
}

/* ---- The directory ---- */

int files_open(const char *path, struct files *files) {
  const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) return -errno;
  struct real *real = memory_alloc(sizeof *real);
  real->directory = directory;
  *files = (struct files){
      .context = real,
      .open = real_open,
      .close = real_close,
      .size = real_size,
      .read = real_read,
      .write = real_write,
      .allocate = real_allocate,
      .sync = real_sync,
      .rename = real_rename,
      .remove = real_remove,
      .make_directory = real_make_directory,
      .sync_directory = real_sync_directory,
      .list = real_list,
  };
  return 0;
}

void files_close(struct files *files) {
  struct real *real = files->context;
  if (real != NULL) close(real->directory);
  free(real);
  *files = (struct files){0};
}
