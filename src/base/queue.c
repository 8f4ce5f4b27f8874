#include "base/queue.h"

#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY_MIN = 32 };

void queue_close(struct queue *q) {
  free(q->items);
  *q = (struct queue){.item_bytes = q->item_bytes};
}

/* Moving the items down is paid for by the pops that made the room: it happens only when half of it is free.
 */
static void make_room(struct queue *q) {
  if (q->first > q->capacity / 2) {
    memmove(q->items, q->items + q->first * q->item_bytes, q->n * q->item_bytes);
    q->first = 0;
    return;
  }
  q->capacity = q->capacity > 0 ? q->capacity * 2 : CAPACITY_MIN;
  q->items = memory_realloc(q->items, q->capacity * q->item_bytes);
}

void *queue_push(struct queue *q) {
  if (q->first + q->n == q->capacity) make_room(q);
  void *item = q->items + (q->first + q->n++) * q->item_bytes;
  memset(item, 0, q->item_bytes);
  return item;
}

void *queue_at(const struct queue *q, size_t i) {
  return i < q->n ? q->items + (q->first + i) * q->item_bytes : NULL;
}

void queue_pop(struct queue *q) {
  assert(q->n > 0);
  q->first++;
  if (--q->n == 0) q->first = 0;
}
