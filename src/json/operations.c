#include "json/operations.h"

#include "json/names.h"
#include "json/scan.h"

#include <assert.h>

enum { ARENA_FACTOR = 4 }; /* the tree takes so many times the bytes of its texts, then it is compacted */

/* By enum operation_type. */
static const struct {
  const char *name;
  bool has_value, has_from;
} operation_types[] = {
    [OPERATION_ADD] = {"add", true, false},         [OPERATION_REMOVE] = {"remove", false, false},
    [OPERATION_REPLACE] = {"replace", true, false}, [OPERATION_MOVE] = {"move", false, true},
    [OPERATION_COPY] = {"copy", false, true},       [OPERATION_TEST] = {"test", true, false},
};
enum { OPERATION_TYPES = sizeof operation_types / sizeof operation_types[0] };

void operations_begin(struct operations *o, const struct tree *tree, struct slice patch, size_t bytes_max) {
  o->bytes_max = tree->root.text.n > bytes_max ? tree->root.text.n : bytes_max;
  o->arena_bytes_max = ARENA_FACTOR * (tree->root.text.n + bytes_max);
  o->is_array = json_type(patch) == JSON_ARRAY;
  if (o->is_array) o->rest = json_open(patch);
  o->phase = PHASE_NEXT;
}

void operations_close(struct operations *o) {
  bytes_close(&o->path);
  bytes_close(&o->from);
  finder_close(&o->finder);
  comparer_close(&o->comparer);
  arena_close(&o->fresh);
}

static enum json_patch_progress fail(struct operations *o, enum json_patch_fault_kind kind,
                                     const char *detail) {
  o->fault = (struct json_patch_fault){kind, o->index, detail};
  return JSON_PATCH_FAILED;
}

static enum json_patch_progress go_to(struct operations *o, enum operation_phase phase) {
  o->phase = phase;
  return JSON_PATCH_MORE;
}

static enum json_patch_progress next_operation(struct operations *o) {
  o->index++;
  return go_to(o, PHASE_NEXT);
}

/* ---- Reading ---- */

struct members {
  struct slice op, path, from, value; /* .at is NULL: it has none */
};

/* Others are ignored (RFC 6902, section 4). */
static struct members members_of(struct slice operation) {
  struct members members = {0};
  struct json_cursor cursor = json_open(operation);
  struct slice name, value;
  while (json_next_member(&cursor, &name, &value)) {
    if (scan_says(name, slice_of("op")))
      members.op = value;
    else if (scan_says(name, slice_of("path")))
      members.path = value;
    else if (scan_says(name, slice_of("from")))
      members.from = value;
    else if (scan_says(name, slice_of("value")))
      members.value = value;
  }
  return members;
}

static bool is_string(struct slice value) {
  return value.at != NULL && json_type(value) == JSON_STRING;
}

static bool read_type(struct operations *o, struct slice op) {
  for (size_t i = 0; i < OPERATION_TYPES; i++) {
    o->type = (enum operation_type)i;
    if (is_string(op) && scan_says(op, slice_of(operation_types[i].name))) return true;
  }
  return false;
}

static bool read_pointer(struct slice string, struct bytes *pointer) {
  pointer->n = 0;
  if (!is_string(string)) return false;
  json_decode(string, pointer);
  return pointer_is_valid(slice_of_bytes(pointer));
}

static enum json_patch_progress begin_operation(struct operations *o, struct tree *tree, struct slice text) {
  if (json_type(text) != JSON_OBJECT)
    return fail(o, JSON_PATCH_INVALID, "An operation is an object: {\"op\": ..., \"path\": ...}.");
  const struct members members = members_of(text);
  if (!read_type(o, members.op))
    return fail(o, JSON_PATCH_INVALID, "\"op\" has to be add, remove, replace, move, copy or test.");
  if (!read_pointer(members.path, &o->path))
    return fail(
        o, JSON_PATCH_INVALID,
        "\"path\" has to be a JSON pointer, such as \"/tags/0\"; it begins with a slash, and ~ in it is "
        "written ~0.");
  if (operation_types[o->type].has_value && members.value.at == NULL)
    return fail(o, JSON_PATCH_INVALID, "\"value\" is missing.");
  o->value = members.value;
  if (!operation_types[o->type].has_from) {
    finder_begin(&o->finder, tree, slice_of_bytes(&o->path));
    return go_to(o, PHASE_FIND_PATH);
  }
  if (!read_pointer(members.from, &o->from))
    return fail(o, JSON_PATCH_INVALID, "\"from\" has to be a JSON pointer, as \"path\" is.");
  if (o->type == OPERATION_MOVE && pointer_is_within(slice_of_bytes(&o->from), slice_of_bytes(&o->path)))
    return fail(o, JSON_PATCH_INTO_ITSELF, "A value cannot be moved into a part of itself.");
  finder_begin(&o->finder, tree, slice_of_bytes(&o->from));
  return go_to(o, PHASE_FIND_FROM);
}

static enum json_patch_progress read_next(struct operations *o, struct tree *tree, size_t *budget) {
  const size_t left = o->rest.rest.n;
  struct slice text;
  if (!o->is_array) return fail(o, JSON_PATCH_INVALID, "A JSON patch is an array of operations.");
  if (tree->arena.bytes > o->arena_bytes_max) return go_to(o, PHASE_COMPACT);
  if (!json_next_element(&o->rest, &text)) return JSON_PATCH_DONE;
  budget_spend(budget, 16 + (left - o->rest.rest.n) / 2);
  if (o->index == JSON_PATCH_OPERATIONS_MAX)
    return fail(o, JSON_PATCH_INVALID, "A patch can have 4096 operations; send several.");
  return begin_operation(o, tree, text);
}

/* ---- Memory ---- */

static enum json_patch_progress compact(struct operations *o, struct tree *tree, size_t *budget) {
  struct value *root = &tree->root;
  if (root->parts == NULL) { /* perhaps a text in what is released */
    char *copy = arena_alloc(&o->fresh, root->text.n);
    memcpy(copy, root->text.at, root->text.n);
    budget_spend(budget, root->text.n / 8);
    root->text.at = copy;
  } else if (!writer_go_on(&o->writer, root, &o->fresh, budget)) {
    return JSON_PATCH_MORE;
  }
  arena_close(&tree->arena);
  tree->arena = o->fresh;
  o->fresh = (struct arena){0};
  return go_to(o, PHASE_NEXT);
}

/* ---- Changes ---- */

static bool is_root(const struct finder *f) {
  return f->part == NULL && f->path.depth == 0;
}

static void remove_found(struct finder *f) {
  struct value *around = f->path.values[f->path.depth - 1];
  const size_t bytes_before = value_bytes(around);
  parts_remove(around->parts, f->part);
  path_resized(&f->path, f->path.depth, bytes_before);
}

static void append_member(struct finder *f, struct tree *tree, struct parts *parts, struct slice value) {
  const struct slice name = slice_of_bytes(&f->token);
  tree->scratch.n = 0;
  name_quote(name, &tree->scratch);
  parts_append_member(tree, parts, slice_of_bytes(&tree->scratch), name_hash_decoded(name, tree->seed),
                      value);
}

/* The value comes to where the finder is: instead of what is there, or of an array's elements in front of it.
 */
static void put_found(struct operations *o, struct tree *tree, bool replace) {
  struct finder *f = &o->finder;
  if (is_root(f)) {
    tree->root = (struct value){.text = o->value};
    return;
  }
  struct value *around = f->path.values[f->path.depth - 1];
  const size_t bytes_before = value_bytes(around);
  if (!around->parts->is_object && !replace)
    parts_insert_element(tree, around->parts, f->part, o->value);
  else if (f->part != NULL)
    parts_replace(around->parts, f->part, o->value);
  else
    append_member(f, tree, around->parts, o->value);
  path_resized(&f->path, f->path.depth, bytes_before);
}

static enum json_patch_progress put(struct operations *o, struct tree *tree, size_t *budget) {
  const struct finder *f = &o->finder;
  budget_spend(budget, o->value.n / 4);
  if (f->path.depth + scan_levels(o->value) > JSON_DEPTH_MAX)
    return fail(o, JSON_PATCH_TOO_DEEP, "The document would be nested too deeply.");
  put_found(o, tree, o->type == OPERATION_REPLACE);
  if (value_bytes(&tree->root) > o->bytes_max)
    return fail(o, JSON_PATCH_TOO_LARGE, "The document would become too large.");
  if (f->path.depth > 0) {
    const struct parts *parts = f->path.values[f->path.depth - 1]->parts;
    if (parts->is_object && parts->values > JSON_MEMBERS_MAX)
      return fail(o, JSON_PATCH_TOO_MANY, "An object would have too many members.");
  }
  return next_operation(o);
}

/* ---- The phases ---- */

static enum json_patch_progress find_from(struct operations *o, struct tree *tree, size_t *budget) {
  switch (finder_go_on(&o->finder, tree, budget)) {
  case FOUND_MORE:
    return JSON_PATCH_MORE;
  case FOUND_VALUE:
    return go_to(o, PHASE_TAKE);
  case FOUND_FREE:
    return fail(o, JSON_PATCH_NO_TARGET, "There is nothing where \"from\" leads to.");
  case FOUND_NOWHERE:
    break;
  }
  return fail(o, JSON_PATCH_NO_TARGET, o->finder.detail);
}

static enum json_patch_progress take(struct operations *o, struct tree *tree, size_t *budget) {
  if (!writer_go_on(&o->writer, o->finder.value, &tree->arena, budget)) return JSON_PATCH_MORE;
  o->value = o->finder.value->text;
  if (o->type == OPERATION_MOVE) {
    if (slice_equal(slice_of_bytes(&o->from), slice_of_bytes(&o->path))) return next_operation(o);
    remove_found(&o->finder); /* no root: all paths are within it */
  }
  finder_begin(&o->finder, tree, slice_of_bytes(&o->path));
  return go_to(o, PHASE_FIND_PATH);
}

static enum json_patch_progress apply(struct operations *o, struct tree *tree, bool found, size_t *budget) {
  const bool makes_place = o->type == OPERATION_ADD || operation_types[o->type].has_from;
  if (!found && !makes_place)
    return fail(o, JSON_PATCH_NO_TARGET, "There is nothing where \"path\" leads to.");
  switch (o->type) {
  case OPERATION_TEST:
    return go_to(o, PHASE_TAKE_TESTED);
  case OPERATION_REMOVE:
    if (is_root(&o->finder))
      return fail(o, JSON_PATCH_NO_TARGET, "The document as a whole cannot be removed by a patch.");
    remove_found(&o->finder);
    return next_operation(o);
  case OPERATION_ADD:
  case OPERATION_REPLACE:
  case OPERATION_MOVE:
  case OPERATION_COPY:
    break;
  }
  return put(o, tree, budget);
}

static enum json_patch_progress find_path(struct operations *o, struct tree *tree, size_t *budget) {
  const enum found found = finder_go_on(&o->finder, tree, budget);
  if (found == FOUND_MORE) return JSON_PATCH_MORE;
  if (found == FOUND_NOWHERE) return fail(o, JSON_PATCH_NO_TARGET, o->finder.detail);
  return apply(o, tree, found == FOUND_VALUE, budget);
}

static enum json_patch_progress take_tested(struct operations *o, struct tree *tree, size_t *budget) {
  if (!writer_go_on(&o->writer, o->finder.value, &tree->arena, budget)) return JSON_PATCH_MORE;
  const struct slice text = o->finder.value->text;
  budget_spend(budget, (text.n < o->value.n ? text.n : o->value.n) / 2);
  comparer_begin(&o->comparer, text, o->value);
  return go_to(o, PHASE_TEST);
}

static enum json_patch_progress test(struct operations *o, struct tree *tree, size_t *budget) {
  switch (comparer_go_on(&o->comparer, tree, budget)) {
  case COMPARED_MORE:
    return JSON_PATCH_MORE;
  case COMPARED_EQUAL:
    return next_operation(o);
  case COMPARED_DIFFERENT:
    break;
  }
  return fail(o, JSON_PATCH_TEST_FAILED, "The document has another value there.");
}

enum json_patch_progress operations_go_on(struct operations *o, struct tree *tree, size_t *budget) {
  typedef enum json_patch_progress phase(struct operations *, struct tree *, size_t *);
  static phase *const phases[] = {
      [PHASE_NEXT] = read_next, [PHASE_COMPACT] = compact,     [PHASE_FIND_FROM] = find_from,
      [PHASE_TAKE] = take,      [PHASE_FIND_PATH] = find_path, [PHASE_TAKE_TESTED] = take_tested,
      [PHASE_TEST] = test,
  };
  enum json_patch_progress progress = JSON_PATCH_MORE;
  while (progress == JSON_PATCH_MORE && *budget > 0) {
    progress = phases[o->phase](o, tree, budget); /* any budget gets it on */
    budget_spend(budget, 1);
  }
  return progress;
}
