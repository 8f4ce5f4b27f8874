#include "json/patch.h"

#include "base/memory.h"
#include "json/merge.h"
#include "json/operations.h"

#include <stdlib.h>

enum { WORK_BYTES_MIN = 64 * 1024 }; /* small texts may take as much work as some larger ones */

struct json_patch {
  uint8_t seed[JSON_SEED_BYTES];
  enum json_patch_kind kind;
  size_t bytes_max;
  struct tree tree;
  struct operations operations; /* of a JSON_PATCH */
  struct merger merger;         /* of a JSON_MERGE_PATCH */
  bool changed;                 /* all that is in the patch has been done to the tree */
  size_t work_left;             /* units */
  struct writer writer;
  struct json_patch_fault fault;
};

struct json_patch *json_patch_new(enum json_patch_kind kind, struct slice document, struct slice patch,
                                  size_t result_bytes_max, const uint8_t seed[JSON_SEED_BYTES]) {
  struct json_patch *p = memory_zalloc(sizeof *p);
  memcpy(p->seed, seed, sizeof p->seed);
  p->kind = kind;
  p->bytes_max = result_bytes_max;
  p->work_left = JSON_PATCH_WORK_MAX * (document.n + patch.n + WORK_BYTES_MIN);
  tree_open(&p->tree, document, p->seed);
  if (kind == JSON_PATCH)
    operations_begin(&p->operations, &p->tree, patch, result_bytes_max);
  else
    merger_begin(&p->merger, &p->tree, patch);
  return p;
}

void json_patch_free(struct json_patch *p) {
  if (p == NULL) return;
  operations_close(&p->operations);
  merger_close(&p->merger);
  tree_close(&p->tree);
  free(p);
}

static enum json_patch_progress fail(struct json_patch *p, enum json_patch_fault_kind kind,
                                     const char *detail) {
  p->fault = (struct json_patch_fault){kind, 0, detail};
  return JSON_PATCH_FAILED;
}

/* What is null in the patch may make room for the rest, so only at the end it is seen how large it becomes.
 */
static enum json_patch_progress merge(struct json_patch *p, size_t *budget) {
  switch (merger_go_on(&p->merger, &p->tree, budget)) {
  case MERGED_MORE:
    return JSON_PATCH_MORE;
  case MERGED_TOO_MANY:
    return fail(p, JSON_PATCH_TOO_MANY, "An object would have too many members.");
  case MERGED_ALL:
    break;
  }
  return JSON_PATCH_DONE;
}

static enum json_patch_progress operate(struct json_patch *p, size_t *budget) {
  const enum json_patch_progress progress = operations_go_on(&p->operations, &p->tree, budget);
  if (progress == JSON_PATCH_FAILED) p->fault = p->operations.fault;
  return progress;
}

static enum json_patch_progress go_on(struct json_patch *p, size_t *budget) {
  if (!p->changed) {
    const enum json_patch_progress progress = p->kind == JSON_PATCH ? operate(p, budget) : merge(p, budget);
    if (progress != JSON_PATCH_DONE) return progress;
    if (value_bytes(&p->tree.root) > p->bytes_max)
      return fail(p, JSON_PATCH_TOO_LARGE, "The document would become too large.");
    p->changed = true;
  }
  return writer_go_on(&p->writer, &p->tree.root, &p->tree.arena, budget) ? JSON_PATCH_DONE : JSON_PATCH_MORE;
}

enum json_patch_progress json_patch_go_on(struct json_patch *p, size_t *budget) {
  const size_t before = *budget;
  const enum json_patch_progress progress = go_on(p, budget);
  budget_spend(&p->work_left, before - *budget);
  if (progress != JSON_PATCH_MORE || p->work_left > 0) return progress;
  p->fault = (struct json_patch_fault){JSON_PATCH_TOO_MUCH, p->operations.index,
                                       "The patch takes too much work; send it in parts."};
  return JSON_PATCH_FAILED;
}

struct slice json_patch_result(const struct json_patch *p) {
  return p->tree.root.text;
}

struct json_patch_fault json_patch_fault(const struct json_patch *p) {
  return p->fault;
}
