#include "disk/data_dir.h"

#include "base/memory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* mkdir(2) for the path and every missing parent; 0 or -1 with errno. What exists already is not looked at
 * here: opening the directory tells whether it is one. */
static int make_directories(const char *path) {
  char *prefix = memory_strndup(path, strlen(path));
  int result = 0;
  for (char *at = prefix; result == 0 && *at != '\0';) {
    at += strspn(at, "/");
    at += strcspn(at, "/");
    char separator = *at;
    *at = '\0';
    if (mkdir(prefix, 0700) != 0 && errno != EEXIST) result = -1;
    *at = separator;
  }
  int reason = errno;
  free(prefix);
  errno = reason;
  return result;
}

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
  if (make_directories(path) != 0) {
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
