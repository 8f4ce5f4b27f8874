/* Memory that is given back all at once. Private to json/. All zero is an empty one. */
#ifndef CORACLE_JSON_ARENA_H
#define CORACLE_JSON_ARENA_H

#include <stddef.h>

struct arena {
  struct arena_chunk *newest; /* owned, with those before it */
  size_t bytes;               /* handed out */
};

/* Aligned for pointers, and uninitialised. */
void *arena_alloc(struct arena *, size_t bytes);
void arena_close(struct arena *);

#endif
