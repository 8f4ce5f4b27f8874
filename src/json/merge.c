#include "json/merge.h"

#include "json/names.h"

#include <assert.h>

/* What has no such letters has no nulls to leave out. */
static bool may_have_nulls(struct slice object) {
  return memmem(object.at, object.n, "null", 4) != NULL;
}

static void descend(struct merger *m, struct value *object, struct slice patch) {
  assert(m->path.depth < JSON_DEPTH_MAX);
  m->members[m->path.depth] = json_open(patch);
  m->path.values[m->path.depth++] = object;
}

/* `value` is, or has just become, the patch's own text. An object of it is merged with itself, which takes
 * out the members that are null and leaves the rest as it is spelled. (RFC 7396, section 2, merges it into an
 * empty one.) */
static void clear_nulls(struct merger *m, struct value *value, struct slice patch) {
  if (json_type(patch) == JSON_OBJECT && may_have_nulls(patch)) descend(m, value, patch);
}

void merger_begin(struct merger *m, struct tree *tree, struct slice patch) {
  m->path.depth = 0;
  if (json_type(patch) == JSON_OBJECT && json_type(tree->root.text) == JSON_OBJECT) {
    descend(m, &tree->root, patch);
  } else {
    tree->root = (struct value){.text = patch};
    clear_nulls(m, &tree->root, patch);
  }
}

void merger_close(struct merger *m) {
  bytes_close(&m->name);
}

static void merge_member(struct merger *m, struct tree *tree, struct slice name, struct slice patch) {
  const size_t depth = m->path.depth;
  const struct value *object = m->path.values[depth - 1];
  const size_t bytes_before = value_bytes(object);
  struct parts *parts = object->parts;
  m->name.n = 0;
  json_decode(name, &m->name);
  const struct slice decoded = slice_of_bytes(&m->name);
  const uint64_t hash = name_hash_decoded(decoded, tree->seed);
  struct part *part = parts_member(parts, decoded, hash);

  if (json_type(patch) == JSON_NULL) {
    if (part != NULL) parts_remove(parts, part);
  } else if (part == NULL) {
    part = parts_append_member(tree, parts, name, hash, patch);
    clear_nulls(m, &part->value, patch);
  } else if (part->value.parts == NULL && part->value.text.at == patch.at) {
    clear_nulls(m, &part->value, patch);
  } else if (json_type(patch) == JSON_OBJECT && value_type(&part->value) == JSON_OBJECT) {
    descend(m, &part->value, patch);
  } else {
    parts_replace(parts, part, patch);
    clear_nulls(m, &part->value, patch);
  }
  path_resized(&m->path, depth, bytes_before);
}

enum merged merger_go_on(struct merger *m, struct tree *tree, size_t *budget) {
  while (m->path.depth > 0) {
    struct value *object = m->path.values[m->path.depth - 1];
    struct json_cursor *members = &m->members[m->path.depth - 1];
    const size_t left = members->rest.n;
    struct slice name, patch;
    if (!value_open(tree, object, budget)) return MERGED_MORE;
    if (*budget == 0) return MERGED_MORE;
    if (json_next_member(members, &name, &patch)) {
      merge_member(m, tree, name, patch);
    } else {
      if (object->parts->values > JSON_MEMBERS_MAX) return MERGED_TOO_MANY;
      m->path.depth--;
    }
    budget_spend(budget, 16 + (left - members->rest.n) / 2);
  }
  return MERGED_ALL;
}
