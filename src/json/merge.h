/* JSON Merge Patch (RFC 7396) on a tree. Private to json/. */
#ifndef CORACLE_JSON_MERGE_H
#define CORACLE_JSON_MERGE_H

#include "json/tree.h"

struct merger {
  struct path path;                           /* the objects that are being merged into, outermost first */
  struct json_cursor members[JSON_DEPTH_MAX]; /* of the patch, for each of them */
  struct bytes name;
};

enum merged { MERGED_MORE, MERGED_ALL, MERGED_TOO_MANY /* members in an object */ };

void merger_begin(struct merger *, struct tree *, struct slice patch);
enum merged merger_go_on(struct merger *, struct tree *, size_t *budget);
void merger_close(struct merger *);

#endif
