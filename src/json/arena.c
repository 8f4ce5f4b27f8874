#include "json/arena.h"

#include "base/memory.h"

#include <stdint.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 32 * 1024 };

struct arena_chunk {
  struct arena_chunk *before;
  size_t used, bytes; /* of data */
  max_align_t data[];
};

static struct arena_chunk *new_chunk(size_t bytes) {
  struct arena_chunk *chunk = memory_alloc(sizeof *chunk + bytes);
  *chunk = (struct arena_chunk){.bytes = bytes};
  return chunk;
}

void *arena_alloc(struct arena *arena, size_t bytes) {
  const size_t align = sizeof(void *), wanted = (bytes + align - 1) / align * align;
  struct arena_chunk *chunk = arena->newest;
  arena->bytes += wanted;
  if (wanted > CHUNK_BYTES / 4) { /* one of its own, behind the one that has room for more */
    struct arena_chunk *own = new_chunk(wanted);
    own->used = wanted;
    if (chunk != NULL) {
      own->before = chunk->before;
      chunk->before = own;
    } else {
      arena->newest = own;
    }
    return own->data;
  }
  if (chunk == NULL || chunk->bytes - chunk->used < wanted) {
    chunk = new_chunk(CHUNK_BYTES);
    chunk->before = arena->newest;
    arena->newest = chunk;
  }
  void *place = (uint8_t *)chunk->data + chunk->used;
  chunk->used += wanted;
  return place;
}

void arena_close(struct arena *arena) {
  while (arena->newest != NULL) {
    struct arena_chunk *chunk = arena->newest;
    arena->newest = chunk->before;
    free(chunk);
  }
  arena->bytes = 0;
}
