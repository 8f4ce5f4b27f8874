/* A first-in first-out queue of items of one size, growing as needed. Pointers to items hold until the next
 * push. */
#ifndef CORACLE_BASE_QUEUE_H
#define CORACLE_BASE_QUEUE_H

#include <stddef.h>
#include <stdint.h>

struct queue {
  uint8_t *items;    /* owned; NULL while capacity is 0 */
  size_t item_bytes; /* of one item */
  size_t first;      /* where the oldest item is: first + n <= capacity */
  size_t n;          /* items queued */
  size_t capacity;   /* items there is room for */
};

#define QUEUE_OF(type) ((struct queue){.item_bytes = sizeof(type)})

void queue_close(struct queue *);
/* A new last item, zero-filled. */
void *queue_push(struct queue *);
/* The i-th item from the oldest, or NULL when there are not that many. */
void *queue_at(const struct queue *, size_t i);
/* Drops the oldest; there must be one (asserted). */
void queue_pop(struct queue *);

#endif
