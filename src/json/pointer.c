#include "json/pointer.h"

#include "json/names.h"

#include <assert.h>

bool pointer_is_valid(struct slice pointer) {
  if (pointer.n == 0) return true;
  if (pointer.at[0] != '/') return false;
  for (size_t i = 0; i < pointer.n; i++)
    if (pointer.at[i] == '~' &&
        (i + 1 == pointer.n || (pointer.at[i + 1] != '0' && pointer.at[i + 1] != '1')))
      return false;
  return true;
}

/* No two pointers spell the same place: indexes have no zeros in front, and there is one escape for each of /
 * and ~.
 */
bool pointer_is_within(struct slice pointer, struct slice within) {
  return within.n > pointer.n && within.at[pointer.n] == '/' &&
         slice_equal(pointer, (struct slice){within.at, pointer.n});
}

/* Takes the next token off the front, decoded (RFC 6901, section 4). */
static void next_token(struct slice *rest, struct bytes *token) {
  const char *at = rest->at + 1, *end = rest->at + rest->n;
  token->n = 0;
  for (; at < end && *at != '/'; at++) {
    char c = *at;
    if (c == '~') c = *++at == '0' ? '~' : '/';
    bytes_append(token, &c, 1);
  }
  *rest = (struct slice){at, (size_t)(end - at)};
}

static bool token_index(struct slice token, size_t *index) {
  uint64_t value;
  if (!slice_to_u64(token, &value) || value > SIZE_MAX) return false;
  *index = (size_t)value;
  return token.n == 1 || token.at[0] != '0';
}

void finder_begin(struct finder *f, struct tree *tree, struct slice pointer) {
  f->rest = pointer;
  f->value = &tree->root;
  f->part = NULL;
  f->path.depth = 0;
}

void finder_close(struct finder *f) {
  bytes_close(&f->token);
}

static enum found nowhere(struct finder *f, const char *detail) {
  f->detail = detail;
  return FOUND_NOWHERE;
}

static enum found find_member(struct finder *f, const struct tree *tree, const struct parts *parts) {
  const struct slice name = slice_of_bytes(&f->token);
  f->part = parts_member(parts, name, name_hash_decoded(name, tree->seed));
  return f->part != NULL ? FOUND_VALUE : FOUND_FREE;
}

static enum found find_element(struct finder *f, struct tree *tree, struct parts *parts, size_t *budget) {
  const struct slice token = slice_of_bytes(&f->token);
  size_t index;
  f->part = NULL;
  if (slice_is(token, "-")) return FOUND_FREE;
  if (!token_index(token, &index))
    return nowhere(f, "An element of an array is meant by its index: 0, or digits without a zero in front.");
  if (index > parts->values) return nowhere(f, "The array ends before that index.");
  if (index == parts->values) return FOUND_FREE;
  f->part = parts_element(tree, parts, index, budget);
  return FOUND_VALUE;
}

enum found finder_go_on(struct finder *f, struct tree *tree, size_t *budget) {
  while (f->rest.n > 0) {
    const enum json_type type = value_type(f->value);
    if (type != JSON_OBJECT && type != JSON_ARRAY)
      return nowhere(f, "It leads into a value that is neither an object nor an array.");
    if (!value_open(tree, f->value, budget)) return FOUND_MORE;
    assert(f->path.depth < JSON_DEPTH_MAX);
    f->path.values[f->path.depth++] = f->value;
    next_token(&f->rest, &f->token);
    budget_spend(budget, 1 + f->token.n);
    struct parts *parts = f->value->parts;
    const enum found found =
        parts->is_object ? find_member(f, tree, parts) : find_element(f, tree, parts, budget);
    if (found == FOUND_FREE && f->rest.n > 0)
      return nowhere(f, "It leads through a member or element that does not exist.");
    if (found != FOUND_VALUE) return found;
    f->value = &f->part->value;
  }
  return FOUND_VALUE;
}
