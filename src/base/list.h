/* An intrusive doubly linked list. The link lives inside the element; CONTAINER_OF finds the way back.
 * A link is either all zero (not in a list) or in exactly one list: both are asserted. */
#ifndef CORACLE_BASE_LIST_H
#define CORACLE_BASE_LIST_H

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>

#define CONTAINER_OF(pointer, type, field) ((type *)(void *)((char *)(pointer)-offsetof(type, field)))

struct list_link {
  struct list_link *previous, *next; /* both NULL: not linked */
};

struct list {
  struct list_link ends; /* ends.next is the first, ends.previous the last; itself when empty */
};

static inline void list_init(struct list *list) {
  list->ends.previous = list->ends.next = &list->ends;
}
static inline bool list_is_linked(const struct list_link *link) {
  return link->next != NULL;
}
static inline bool list_is_empty(const struct list *list) {
  return list->ends.next == &list->ends;
}

/* `place`: a link of the list, or its `ends`. */
static inline void list_insert_before(struct list_link *place, struct list_link *link) {
  assert(!list_is_linked(link));
  link->previous = place->previous;
  link->next = place;
  link->previous->next = link;
  place->previous = link;
}

static inline void list_append(struct list *list, struct list_link *link) {
  list_insert_before(&list->ends, link);
}

static inline void list_remove(struct list_link *link) {
  assert(list_is_linked(link));
  link->previous->next = link->next;
  link->next->previous = link->previous;
  link->previous = link->next = NULL;
}

/* NULL when the list is empty. */
static inline struct list_link *list_first(const struct list *list) {
  return list_is_empty(list) ? NULL : list->ends.next;
}

/* NULL when the list is empty. */
static inline struct list_link *list_last(const struct list *list) {
  return list_is_empty(list) ? NULL : list->ends.previous;
}

/* NULL after the last. */
static inline struct list_link *list_next(const struct list *list, const struct list_link *link) {
  return link->next == &list->ends ? NULL : link->next;
}

#endif
