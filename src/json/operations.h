/* JSON Patch (RFC 6902) on a tree: one operation after the other. Private to json/. */
#ifndef CORACLE_JSON_OPERATIONS_H
#define CORACLE_JSON_OPERATIONS_H

#include "json/compare.h"
#include "json/patch.h"
#include "json/pointer.h"

enum operation_type {
  OPERATION_ADD,
  OPERATION_REMOVE,
  OPERATION_REPLACE,
  OPERATION_MOVE,
  OPERATION_COPY,
  OPERATION_TEST,
};

/* What is being done; each has a function of its name in operations.c. */
enum operation_phase {
  PHASE_NEXT,        /* the next operation is read */
  PHASE_COMPACT,     /* before that: the tree is made text, and what it has left behind released */
  PHASE_FIND_FROM,   /* where move or copy takes from */
  PHASE_TAKE,        /* the value there is made text */
  PHASE_FIND_PATH,   /* where the operation takes place; then it does, but for a test */
  PHASE_TAKE_TESTED, /* the value there is made text */
  PHASE_TEST,        /* and compared */
};

/* All zero before it begins. */
struct operations {
  bool is_array;           /* the patch */
  struct json_cursor rest; /* of it */
  size_t bytes_max;        /* of the document at any time: the limit, or what it has had before */
  size_t arena_bytes_max;
  enum operation_phase phase;

  /* The operation. */
  size_t index;
  enum operation_type type;
  struct bytes path, from; /* decoded */
  struct slice value;

  struct finder finder;
  struct writer writer;
  struct comparer comparer;
  struct arena fresh; /* while the tree is compacted */
  struct json_patch_fault fault;
};

void operations_begin(struct operations *, const struct tree *, struct slice patch, size_t bytes_max);
enum json_patch_progress operations_go_on(struct operations *, struct tree *, size_t *budget);
void operations_close(struct operations *);

#endif
