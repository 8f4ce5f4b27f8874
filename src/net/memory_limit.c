#include "net/memory_limit.h"

#include "base/bytes.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

enum { GROUP_LINE_BYTES_MAX = 4096, NUMBER_BYTES_MAX = 32 };

static uint64_t read_number(const char *path) {
  char text[NUMBER_BYTES_MAX];
  uint64_t number = UINT64_MAX;
  FILE *file = fopen(path, "re");
  if (file == NULL) return UINT64_MAX;
  if (fgets(text, sizeof text, file) != NULL) {
    text[strcspn(text, "\n")] = '\0';
    if (!slice_to_u64(slice_of(text), &number)) number = UINT64_MAX; /* "max" */
  }
  fclose(file);
  return number;
}

/* A group has at most what those above it have. Inside a container the path may be one of the host's that
 * cannot be seen from here; then its own group is what is mounted as the root. */
static uint64_t lowest_limit(const char *mount, char *group, const char *name) {
  uint64_t lowest = UINT64_MAX;
  for (;;) {
    struct bytes path = {0};
    bytes_printf(&path, "%s%s/%s", mount, group, name);
    bytes_append(&path, "", 1);
    const uint64_t limit = read_number((const char *)path.data);
    bytes_close(&path);
    if (limit < lowest) lowest = limit;
    char *last = strrchr(group, '/');
    if (last == NULL) return lowest;
    *last = '\0';
  }
}

static bool names_memory(const char *controllers) {
  for (const char *at = controllers;; at++) {
    const size_t n = strcspn(at, ",");
    if (slice_is((struct slice){at, n}, "memory")) return true;
    at += n;
    if (*at == '\0') return false;
  }
}

/* A line is "0::/path" for version 2, and "7:memory,cpu:/path" for version 1. */
static uint64_t limit_of_line(char *line, const char *root) {
  struct bytes mount = {0};
  char *controllers = strchr(line, ':');
  char *group = controllers != NULL ? strchr(++controllers, ':') : NULL;
  if (group == NULL) return UINT64_MAX;
  *group++ = '\0';
  group[strcspn(group, "\n")] = '\0';

  const bool unified = controllers[0] == '\0';
  if (!unified && !names_memory(controllers)) return UINT64_MAX;
  bytes_printf(&mount, "%s%s", root, unified ? "" : "/memory");
  bytes_append(&mount, "", 1);
  const uint64_t limit =
      lowest_limit((const char *)mount.data, group, unified ? "memory.max" : "memory.limit_in_bytes");
  bytes_close(&mount);
  return limit;
}

uint64_t memory_limit_of_groups(const char *membership, const char *root) {
  char line[GROUP_LINE_BYTES_MAX];
  uint64_t lowest = UINT64_MAX;
  FILE *file = fopen(membership, "re");
  if (file == NULL) return UINT64_MAX;
  while (fgets(line, sizeof line, file) != NULL) {
    const uint64_t limit = limit_of_line(line, root);
    if (limit < lowest) lowest = limit;
  }
  fclose(file);
  return lowest;
}

uint64_t memory_limit_bytes(void) {
  const uint64_t physical = (uint64_t)sysconf(_SC_PHYS_PAGES) * (uint64_t)sysconf(_SC_PAGESIZE);
  const uint64_t groups = memory_limit_of_groups("/proc/self/cgroup", "/sys/fs/cgroup");
  return groups < physical ? groups : physical;
}
