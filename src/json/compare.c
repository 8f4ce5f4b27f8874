#include "json/compare.h"

#include "json/names.h"

#include <assert.h>

static bool is_object(const struct comparer_level *level) {
  return level->object.text.n > 0 || level->object.parts != NULL;
}

/* Two scalars, or the beginnings of two objects or arrays. */
static void compare(struct comparer *c, struct slice a, struct slice b) {
  const enum json_type type = json_type(a);
  if (type != json_type(b)) {
    c->different = true;
  } else if (type == JSON_NUMBER) {
    c->different = !json_numbers_equal(a, b);
  } else if (type == JSON_STRING) {
    c->different = !json_strings_equal(a, b);
  } else if (type == JSON_ARRAY || type == JSON_OBJECT) {
    assert(c->depth < JSON_DEPTH_MAX);
    struct comparer_level *level = &c->levels[c->depth++];
    *level = (struct comparer_level){.a = json_open(a), .b = json_open(b)};
    if (type == JSON_OBJECT) level->object.text = b;
  }
}

static void compare_next_element(struct comparer *c, struct comparer_level *level) {
  struct slice a, b;
  const bool more = json_next_element(&level->a, &a);
  if (more != json_next_element(&level->b, &b))
    c->different = true;
  else if (more)
    compare(c, a, b);
  else
    c->depth--;
}

/* Names are there once only, so as many members as b has, all of which b has, are all of b's. */
static void compare_next_member(struct comparer *c, struct comparer_level *level, const struct tree *tree) {
  const struct parts *parts = level->object.parts;
  struct slice name, value;
  if (!json_next_member(&level->a, &name, &value)) {
    c->different = level->members != parts->values;
    c->depth--;
    return;
  }
  level->members++;
  c->name.n = 0;
  json_decode(name, &c->name);
  const struct slice decoded = slice_of_bytes(&c->name);
  const struct part *part = parts_member(parts, decoded, name_hash_decoded(decoded, tree->seed));
  if (part == NULL)
    c->different = true;
  else
    compare(c, value, part->value.text);
}

void comparer_begin(struct comparer *c, struct slice a, struct slice b) {
  c->depth = 0;
  c->different = false;
  compare(c, a, b);
}

enum compared comparer_go_on(struct comparer *c, struct tree *tree, size_t *budget) {
  while (c->depth > 0 && !c->different) {
    struct comparer_level *level = &c->levels[c->depth - 1];
    if (is_object(level) && !value_open(tree, &level->object, budget)) return COMPARED_MORE;
    if (*budget == 0) return COMPARED_MORE;
    const size_t left = level->a.rest.n;
    if (is_object(level))
      compare_next_member(c, level, tree);
    else
      compare_next_element(c, level);
    budget_spend(budget, 16 + (left - level->a.rest.n) / 2);
  }
  return c->different ? COMPARED_DIFFERENT : COMPARED_EQUAL;
}

void comparer_close(struct comparer *c) {
  bytes_close(&c->name);
}
