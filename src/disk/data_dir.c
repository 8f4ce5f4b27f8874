#include "disk/data_dir.h"

#include "disk/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* The lock belongs to the open file, not to its name: it ends when the descriptor is closed, by us or by the
 * end of the process, and leaves no stale lock behind. O_CLOEXEC keeps it from programs that this process
 * starts. */
static int open_lock(int directory) {
  int lock = openat(directory, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock < 0) return -1;
  if (flock(lock, LOCK_EX | LOCK_NB) == 0) return lock;
  int reason = errno;
  close(lock);
  errno = reason;
  return -1;
}

int data_dir_open(const char *path, char *why, size_t why_bytes) {
  if (directory_make(path) != 0) {
    snprintf(why, why_bytes, "cannot create data directory %s: %s", path, strerror(errno));
    return CORACLE_EIO;
  }
  int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory < 0) {
    snprintf(why, why_bytes, "cannot open data directory %s: %s", path, strerror(errno));
    return CORACLE_EIO;
  }
  int lock = open_lock(directory);
  int reason = errno;
  close(directory);
  if (lock >= 0) return lock;
  if (reason == EWOULDBLOCK) {
    snprintf(why, why_bytes, "data directory %s is in use by another process", path);
    return CORACLE_EBUSY;
  }
  snprintf(why, why_bytes, "cannot lock data directory %s: %s/lock: %s", path, path, strerror(reason));
  return CORACLE_EIO;
}

void data_dir_close(int lock) {
  close(lock);
}

/* A lock that can be shared, to be read only, and let go at once. */
static int look_at_lock(int directory, bool *in_use) {
  const int lock = openat(directory, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
  *in_use = false;
  if (lock < 0) return errno == ENOENT ? 0 : -1;
  int result = flock(lock, LOCK_SH | LOCK_NB);
  int reason = errno;
  if (result != 0 && reason == EWOULDBLOCK) {
    *in_use = true;
    result = 0;
  }
  close(lock);
  errno = reason;
  return result;
}

int data_dir_look(const char *path, bool *in_use, char *why, size_t why_bytes) {
  const int directory = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  int result = directory < 0 ? -1 : look_at_lock(directory, in_use);
  const int reason = errno;
  if (result != 0)
    snprintf(why, why_bytes, "cannot %s %s: %s", directory < 0 ? "open" : "tell who uses", path,
             strerror(reason));
  if (directory >= 0) close(directory);
  if (result == 0) return 0;
  return reason == ENOENT ? CORACLE_ENOTFOUND : CORACLE_EIO;
}
