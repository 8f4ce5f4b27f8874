#include "base/memory.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *checked(void *p, size_t bytes) {
  if (p == NULL) {
    fprintf(stderr, "coracle: out of memory allocating %zu bytes\n", bytes);
    abort();
  }
  return p;
}

void *memory_alloc(size_t bytes) {
  return checked(malloc(bytes > 0 ? bytes : 1), bytes);
}

void *memory_zalloc(size_t bytes) {
  return checked(calloc(1, bytes > 0 ? bytes : 1), bytes);
}

void *memory_realloc(void *old, size_t bytes) {
  return checked(realloc(old, bytes > 0 ? bytes : 1), bytes);
}

char *memory_strndup(const char *s, size_t n) {
  char *copy = memory_alloc(n + 1);
  memcpy(copy, s, n);
  copy[n] = '\0';
  return copy;
}
