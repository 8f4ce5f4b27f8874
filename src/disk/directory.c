#include "disk/directory.h"

#include "base/memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* For the first n bytes of the path. */
static int make(const char *path, size_t n) {
  char *prefix = memory_strndup(path, n);
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

int directory_make(const char *path) {
  return make(path, strlen(path));
}

int directory_make_for(const char *file) {
  const char *slash = strrchr(file, '/');
  return slash == NULL || slash == file ? 0 : make(file, (size_t)(slash - file));
}
