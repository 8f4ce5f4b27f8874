#include "json/tree.h"

#include "json/names.h"
#include "json/scan.h"

#include <assert.h>

enum {
  PART_UNITS = 16, /* what making a part costs, beside its bytes */
  CHAINS_MIN = 8,
};

void tree_open(struct tree *tree, struct slice text, const uint8_t seed[JSON_SEED_BYTES]) {
  *tree = (struct tree){.seed = seed, .root.text = text};
}

void tree_close(struct tree *tree) {
  arena_close(&tree->arena);
  bytes_close(&tree->scratch);
}

static struct part *part_of(struct list_link *link) {
  return CONTAINER_OF(link, struct part, link);
}

static struct slice between(const char *first, const char *end) {
  return (struct slice){first, (size_t)(end - first)};
}

static size_t part_bytes(const struct part *part) {
  if (part->run.at != NULL) return part->run.n;
  return part->before.n + value_bytes(&part->value) + part->after.n;
}

enum json_type value_type(const struct value *value) {
  if (value->parts == NULL) return json_type(value->text);
  return value->parts->is_object ? JSON_OBJECT : JSON_ARRAY;
}

size_t value_bytes(const struct value *value) {
  const struct parts *parts = value->parts;
  if (parts == NULL) return value->text.n;
  const size_t brackets = 2, commas = parts->n > 0 ? parts->n - 1 : 0;
  return brackets + parts->bytes + commas + parts->end.n;
}

/* ---- Members by name ---- */

static struct part **chain_of(const struct parts *parts, uint64_t hash) {
  return &parts->chains[hash & (parts->chains_n - 1)];
}

static void chain(const struct parts *parts, struct part *part) {
  struct part **first = chain_of(parts, part->hash);
  part->next = *first;
  *first = part;
}

static void unchain(const struct parts *parts, const struct part *part) {
  struct part **at = chain_of(parts, part->hash);
  while (*at != part) at = &(*at)->next;
  *at = part->next;
}

/* An object has JSON_MEMBERS_MAX members, or twice that many while it is merged: a short work at any size. */
static void grow_chains(struct tree *tree, struct parts *parts) {
  parts->chains_n = parts->chains_n > 0 ? 2 * parts->chains_n : CHAINS_MIN;
  parts->chains = arena_alloc(&tree->arena, parts->chains_n * sizeof(struct part *));
  for (size_t i = 0; i < parts->chains_n; i++) parts->chains[i] = NULL;
  for (struct list_link *at = parts->list.ends.next; at != &parts->list.ends; at = at->next)
    chain(parts, part_of(at));
}

struct part *parts_member(const struct parts *parts, struct slice name_decoded, uint64_t hash) {
  for (struct part *part = *chain_of(parts, hash); part != NULL; part = part->next) {
    if (part->hash != hash) continue;
    struct bytes decoded = {0};
    json_decode(part->name, &decoded);
    const bool equal = slice_equal(slice_of_bytes(&decoded), name_decoded);
    bytes_close(&decoded);
    if (equal) return part;
  }
  return NULL;
}

/* ---- Making parts ---- */

/* With nothing but zeros in it, in front of `next`. */
static struct part *add_part(struct tree *tree, struct parts *parts, struct list_link *next) {
  struct part *part = arena_alloc(&tree->arena, sizeof *part);
  *part = (struct part){.values = 1};
  list_insert_before(next, &part->link);
  parts->n++;
  return part;
}

static void add_member(struct tree *tree, struct parts *parts, struct part *part, struct slice name,
                       uint64_t hash) {
  part->name = name;
  part->hash = hash;
  if (parts->n > parts->chains_n)
    grow_chains(tree, parts);
  else
    chain(parts, part);
}

/* ---- Opening ---- */

static bool is_closing(char c) {
  return c == '}' || c == ']';
}

/* Takes the white space at the end off a part: where it is before the bracket, it is the bracket's. */
static void give_end(struct parts *parts, struct slice *of, const char *white) {
  const char *end = of->at + of->n;
  parts->end = between(white, end);
  parts->bytes -= parts->end.n;
  of->n -= parts->end.n;
}

static void open_member(struct tree *tree, struct parts *parts, const char *end) {
  const char *first = tree->at;
  const char *name = scan_white(first, end), *name_end = scan_value(name, end);
  const char *value = scan_white(scan_white(name_end, end) + 1, end), *value_end = scan_value(value, end);
  const char *next = scan_white(value_end, end);
  struct part *part = add_part(tree, parts, &parts->list.ends);
  part->before = between(first, value);
  part->value.text = between(value, value_end);
  part->after = between(value_end, next);
  parts->bytes += (size_t)(next - first);
  const struct slice text = between(name, name_end);
  add_member(tree, parts, part, text, name_hash(text, tree->seed, &tree->scratch));
  if (is_closing(*next)) give_end(parts, &part->after, value_end);
  tree->at = next;
}

static void open_element(struct tree *tree, struct parts *parts, const char *end) {
  const char *first = tree->at;
  const char *value_end = scan_value(scan_white(first, end), end), *next = scan_white(value_end, end);
  struct part *run = parts->n > 0 ? part_of(parts->list.ends.previous) : NULL;
  if (run == NULL || run->values == RUN_VALUES) {
    run = add_part(tree, parts, &parts->list.ends);
    run->run = between(first, next);
    parts->bytes += run->run.n;
  } else {
    run->values++;
    parts->bytes += (size_t)(next - run->run.at) - run->run.n;
    run->run = between(run->run.at, next);
  }
  if (is_closing(*next)) give_end(parts, &run->run, value_end);
  tree->at = next;
}

static void begin_opening(struct tree *tree, struct slice text) {
  struct parts *parts = arena_alloc(&tree->arena, sizeof *parts);
  *parts = (struct parts){.is_object = text.at[0] == '{'};
  list_init(&parts->list);
  if (parts->is_object) grow_chains(tree, parts);
  tree->opening = parts;
  tree->at = text.at + 1;
  const char *first = scan_white(tree->at, text.at + text.n);
  if (!is_closing(*first)) return;
  parts->end = between(tree->at, first);
  tree->at = first;
}

bool value_open(struct tree *tree, struct value *value, size_t *budget) {
  if (value->parts != NULL) return true;
  const char *end = value->text.at + value->text.n;
  if (tree->opening == NULL) begin_opening(tree, value->text);
  struct parts *parts = tree->opening;
  while (!is_closing(*tree->at)) {
    if (*budget == 0) return false;
    const char *from = tree->at;
    if (parts->values > 0) tree->at++; /* the comma */
    if (parts->is_object)
      open_member(tree, parts, end);
    else
      open_element(tree, parts, end);
    parts->values++;
    budget_spend(budget, (parts->is_object ? PART_UNITS : 1) + (size_t)(tree->at - from) / 4);
  }
  value->parts = parts;
  tree->opening = NULL;
  return true;
}

/* ---- Elements by index ---- */

/* Cuts the first so many elements off the front of a run, as a part before it. */
static struct part *cut_run(struct tree *tree, struct parts *parts, struct part *run, size_t values) {
  const char *end = run->run.at + run->run.n, *at = run->run.at;
  for (size_t i = 0; i < values; i++) {
    if (i > 0) at++; /* the comma */
    at = scan_white(scan_value(scan_white(at, end), end), end);
  }
  struct part *front = add_part(tree, parts, &run->link);
  front->values = values;
  front->run = between(run->run.at, at);
  run->values -= values;
  run->run = between(at + 1, end);
  parts->bytes--; /* the comma between them is no longer of a part */
  return front;
}

/* A run of one becomes what it is made of. */
static void resolve_run(struct part *part) {
  const char *first = part->run.at, *end = first + part->run.n;
  const char *value = scan_white(first, end), *value_end = scan_value(value, end);
  part->before = between(first, value);
  part->value.text = between(value, value_end);
  part->after = between(value_end, end);
  part->run = (struct slice){0};
}

struct part *parts_element(struct tree *tree, struct parts *parts, size_t index, size_t *budget) {
  struct list_link *at = parts->list.ends.next;
  size_t passed = 0;
  assert(index < parts->values);
  while (index >= part_of(at)->values) {
    index -= part_of(at)->values;
    at = at->next;
    passed++;
  }
  struct part *part = part_of(at);
  budget_spend(budget, passed + PART_UNITS + part->run.n / 2);
  if (index > 0) cut_run(tree, parts, part, index);
  if (part->values > 1) part = cut_run(tree, parts, part, 1);
  if (part->run.at != NULL) resolve_run(part);
  return part;
}

/* ---- Changes ---- */

/* White space that nothing but the brackets was around means nothing beside a value. */
static void forget_end(struct parts *parts) {
  if (parts->values == 0) parts->end = (struct slice){0};
}

struct part *parts_append_member(struct tree *tree, struct parts *parts, struct slice name, uint64_t hash,
                                 struct slice value) {
  char *before = arena_alloc(&tree->arena, name.n + 1);
  memcpy(before, name.at, name.n);
  before[name.n] = ':';
  forget_end(parts);
  struct part *part = add_part(tree, parts, &parts->list.ends);
  part->before = (struct slice){before, name.n + 1};
  part->value.text = value;
  parts->values++;
  parts->bytes += part_bytes(part);
  add_member(tree, parts, part, (struct slice){before, name.n}, hash);
  return part;
}

void parts_insert_element(struct tree *tree, struct parts *parts, struct part *next, struct slice value) {
  forget_end(parts);
  struct part *part = add_part(tree, parts, next != NULL ? &next->link : &parts->list.ends);
  part->value.text = value;
  parts->values++;
  parts->bytes += value.n;
}

void parts_replace(struct parts *parts, struct part *part, struct slice value) {
  parts->bytes -= value_bytes(&part->value);
  parts->bytes += value.n;
  part->value = (struct value){.text = value};
}

void parts_remove(struct parts *parts, struct part *part) {
  parts->bytes -= part_bytes(part);
  parts->values--;
  parts->n--;
  list_remove(&part->link);
  if (parts->is_object) unchain(parts, part);
}

void path_resized(const struct path *path, size_t depth, size_t bytes_before) {
  for (size_t i = depth; i > 1; i--) {
    const struct value *within = path->values[i - 1], *around = path->values[i - 2];
    const size_t around_before = value_bytes(around);
    around->parts->bytes += value_bytes(within) - bytes_before;
    bytes_before = around_before;
  }
}

/* ---- Back to text ---- */

static void put(struct writer *w, struct slice text) {
  if (text.n > 0) memcpy(w->end, text.at, text.n);
  w->end += text.n;
}

static void put_byte(struct writer *w, char byte) {
  *w->end++ = byte;
}

static void descend(struct writer *w, struct parts *parts) {
  assert(w->depth < JSON_DEPTH_MAX);
  w->levels[w->depth++] = (struct writer_level){parts, parts->list.ends.next};
  put_byte(w, parts->is_object ? '{' : '[');
}

static void ascend(struct writer *w) {
  const struct parts *parts = w->levels[--w->depth].parts;
  put(w, parts->end);
  put_byte(w, parts->is_object ? '}' : ']');
  if (w->depth == 0) return;
  struct writer_level *around = &w->levels[w->depth - 1];
  put(w, part_of(around->at)->after);
  around->at = around->at->next;
}

static void write_part(struct writer *w, struct writer_level *level) {
  const struct part *part = part_of(level->at);
  if (level->at != level->parts->list.ends.next) put_byte(w, ',');
  if (part->run.at != NULL) {
    put(w, part->run);
  } else {
    put(w, part->before);
    if (part->value.parts != NULL) {
      descend(w, part->value.parts);
      return;
    }
    put(w, part->value.text);
    put(w, part->after);
  }
  level->at = level->at->next;
}

bool writer_go_on(struct writer *w, struct value *value, struct arena *arena, size_t *budget) {
  if (value->parts == NULL) return true;
  if (w->text == NULL) {
    w->text = w->end = arena_alloc(arena, value_bytes(value));
    descend(w, value->parts);
  }
  while (w->depth > 0) {
    if (*budget == 0) return false;
    struct writer_level *level = &w->levels[w->depth - 1];
    const char *from = w->end;
    if (level->at == &level->parts->list.ends)
      ascend(w);
    else
      write_part(w, level);
    budget_spend(budget, PART_UNITS + (size_t)(w->end - from) / 8);
  }
  assert((size_t)(w->end - w->text) == value_bytes(value));
  *value = (struct value){.text = {w->text, (size_t)(w->end - w->text)}};
  w->text = w->end = NULL;
  return true;
}
