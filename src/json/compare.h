/* Are two values the same (RFC 6902, 4.6)? Numbers as numbers, strings by what they say, objects whatever the
 * order of their members is. Private to json/. */
#ifndef CORACLE_JSON_COMPARE_H
#define CORACLE_JSON_COMPARE_H

#include "json/tree.h"

enum compared { COMPARED_MORE, COMPARED_EQUAL, COMPARED_DIFFERENT };

struct comparer_level {
  struct json_cursor a, b; /* b's of an array */
  struct value object;     /* b's of an object */
  size_t members;          /* of a that were looked at */
};

struct comparer {
  struct comparer_level levels[JSON_DEPTH_MAX];
  size_t depth;
  bool different;
  struct bytes name;
};

void comparer_begin(struct comparer *, struct slice a, struct slice b);
/* Makes parts in the tree's arena. */
enum compared comparer_go_on(struct comparer *, struct tree *, size_t *budget);
void comparer_close(struct comparer *);

#endif
