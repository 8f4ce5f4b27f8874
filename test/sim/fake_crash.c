/* What a crash, a power cut and bad luck leave of a fake directory; and looking at it. */
#include "base/memory.h"
#include "fake_core.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Files after a power cut ---- */

/* How a random cut treats one file: a mixture of all kinds, since a rule that is wrong for one order of
 * writes only is seldom hit by tossing a coin for each sector. */
enum mixture {
  KEEP_SOME,     /* each with a probability drawn for the file */
  KEEP_FIRST,    /* up to a point */
  KEEP_LAST,     /* from a point on */
  KEEP_ALL_BUT,  /* ... one */
  KEEP_NONE_BUT, /* ... one */
  KEEP_EVERY,
  KEEP_NOTHING,
  MIXTURES_N,
};

struct cut {
  enum mixture mixture;
  bool in_blocks;
  uint64_t percent; /* SOME */
  size_t point;     /* of all that are dirty, in their order */
};

static size_t count_dirty(const struct fake_node *node, bool in_blocks) {
  size_t n = 0;
  for (size_t i = node->dirty_first; i < node->dirty_after; i++) {
    size_t here = 0;
    for (size_t s = 0; node->blocks[i] != NULL && s < SECTORS_PER_BLOCK; s++)
      here += node->blocks[i]->state[s] == SECTOR_DIRTY;
    n += in_blocks ? here > 0 : here;
  }
  return n;
}

static struct cut draw_cut(struct fake_files *f, const struct fake_node *node, enum fake_loss loss) {
  struct cut cut = {.mixture = loss == FAKE_LOSE_ALL ? KEEP_NOTHING : KEEP_EVERY};
  if (loss != FAKE_RANDOM) return cut;
  cut.mixture = (enum mixture)random_below(&f->random, MIXTURES_N);
  cut.in_blocks = random_below(&f->random, 2) == 0;
  cut.percent = random_below(&f->random, 101);
  cut.point = (size_t)random_below(&f->random, count_dirty(node, cut.in_blocks) + 1);
  return cut;
}

static bool is_kept(struct fake_files *f, const struct cut *cut, size_t i) {
  switch (cut->mixture) {
  case KEEP_SOME:
    return random_below(&f->random, 100) < cut->percent;
  case KEEP_FIRST:
    return i < cut->point;
  case KEEP_LAST:
    return i >= cut->point;
  case KEEP_ALL_BUT:
    return i != cut->point;
  case KEEP_NONE_BUT:
    return i == cut->point;
  case KEEP_EVERY:
    return true;
  case KEEP_NOTHING:
  case MIXTURES_N:
    break;
  }
  return false;
}

/* Takes back what is not kept; *end is raised to the end of what is. */
static void cut_block(struct fake_files *f, struct fake_node *node, size_t i, const struct cut *cut,
                      size_t *seen, uint64_t *end) {
  struct block *block = node->blocks[i];
  bool block_kept = false, block_seen = false;
  for (size_t s = 0; s < SECTORS_PER_BLOCK; s++) {
    const size_t at = s * FILES_SECTOR_BYTES;
    if (block->state[s] == SECTOR_DURABLE) continue;
    bool kept = false;
    if (block->state[s] == SECTOR_DIRTY) {
      if (!cut->in_blocks || !block_seen) block_kept = is_kept(f, cut, (*seen)++);
      block_seen = true;
      kept = block_kept;
    }
    if (!kept) memcpy(block->data + at, block->old + at, FILES_SECTOR_BYTES);
    const uint64_t sector_end = (uint64_t)i * FAKE_BLOCK_BYTES + at + FILES_SECTOR_BYTES;
    if (kept && sector_end > *end) *end = sector_end;
    block->state[s] = SECTOR_DURABLE;
  }
}

/* What is behind the end reads as zeros if the file grows again. */
static void cut_size(struct fake_node *node, uint64_t size) {
  const size_t blocks = (size_t)((size + FAKE_BLOCK_BYTES - 1) / FAKE_BLOCK_BYTES);
  while (node->blocks_n > blocks) free(node->blocks[--node->blocks_n]);
  if (size % FAKE_BLOCK_BYTES != 0 && node->blocks_n == blocks && node->blocks[blocks - 1] != NULL) {
    const size_t at = (size_t)(size % FAKE_BLOCK_BYTES);
    memset(node->blocks[blocks - 1]->data + at, 0, FAKE_BLOCK_BYTES - at);
  }
  if (node->reserved_n > blocks) node->reserved_n = blocks;
  if (node->dirty_after > node->blocks_n) node->dirty_after = node->blocks_n;
  if (node->dirty_first > node->dirty_after) node->dirty_first = node->dirty_after;
  node->size = node->durable_size = size;
}

static void cut_file(struct fake_files *f, struct fake_node *node, enum fake_loss loss) {
  const struct cut cut = draw_cut(f, node, loss);
  uint64_t end = 0;
  size_t seen = 0;
  for (size_t i = node->dirty_first; i < node->dirty_after; i++)
    if (node->blocks[i] != NULL) cut_block(f, node, i, &cut, &seen, &end);
  node->dirty_first = node->dirty_after = 0;
  uint64_t size = node->durable_size;
  if (loss == FAKE_LOSE_NONE || (loss == FAKE_RANDOM && random_below(&f->random, 2) == 0)) size = node->size;
  if (end > node->size) end = node->size;
  cut_size(node, end > size ? end : size);
}

/* ---- Directories after a power cut ---- */

/* The first so many operations were in the journal. */
static void keep_first(struct fake_node *directory, size_t operations) {
  size_t done = 0, last = 0;
  for (size_t i = 0; i < directory->changes.n; i++) {
    if (directory->operations[i] != last && done++ == operations) break;
    last = directory->operations[i];
    fake_entry_set(&directory->durable, directory->changes.at[i].name, directory->changes.at[i].node);
  }
}

/* Each name leads to anything that it has led to since the last sync. */
static void keep_any(struct fake_files *f, struct fake_node *directory) {
  const struct fake_entries *changes = &directory->changes;
  for (size_t i = 0; i < changes->n; i++) {
    size_t states = 1, drawn;
    bool is_first = true;
    for (size_t k = 0; k < changes->n; k++) {
      if (strcmp(changes->at[k].name, changes->at[i].name) != 0) continue;
      is_first = is_first && k >= i;
      states++;
    }
    if (!is_first || (drawn = (size_t)random_below(&f->random, states)) == 0) continue;
    for (size_t k = 0; k < changes->n; k++)
      if (strcmp(changes->at[k].name, changes->at[i].name) == 0 && --drawn == 0)
        fake_entry_set(&directory->durable, changes->at[k].name, changes->at[k].node);
  }
}

static void cut_directory(struct fake_files *f, struct fake_node *directory, enum fake_loss loss) {
  const size_t all = directory->changes.n;
  if (loss == FAKE_LOSE_NONE) keep_first(directory, all);
  if (loss == FAKE_RANDOM && random_below(&f->random, 2) == 0) {
    keep_any(f, directory);
  } else if (loss == FAKE_RANDOM) {
    keep_first(directory, (size_t)random_below(&f->random, all + 1));
  }
  fake_entries_copy(&directory->entries, &directory->durable);
  directory->changes.n = 0;
}

/* ---- Ends ---- */

void fake_files_kill(struct fake_files *f) {
  for (size_t i = 0; i < f->handles_n; i++) {
    if (f->handles[i].node == NO_NODE) continue;
    f->nodes[f->handles[i].node]->handles_n--;
    f->handles[i].node = NO_NODE;
  }
  f->crashed = false;
  f->crash_after = UINT64_MAX;
  fake_files_free(fake_files_picture(f));
  f->once = f->randomly = (struct fake_fault){0};
  fake_sweep(f);
}

void fake_files_cut_power(struct fake_files *f, enum fake_loss loss) {
  fake_files_kill(f);
  for (size_t i = 0; i < f->nodes_n; i++) {
    struct fake_node *node = f->nodes[i];
    if (node != NULL && node->is_directory) {
      cut_directory(f, node, loss);
    } else if (node != NULL) {
      cut_file(f, node, loss);
    }
  }
  fake_sweep(f);
}

/* ---- Looking ---- */

bool fake_files_exists(const struct fake_files *f, const char *name) {
  return fake_find(f, name, NULL, NULL) != NO_NODE;
}

static struct fake_node *file_of(const struct fake_files *f, const char *name) {
  const int i = fake_find(f, name, NULL, NULL);
  return i == NO_NODE || f->nodes[i]->is_directory ? NULL : f->nodes[i];
}

bool fake_files_content(const struct fake_files *f, const char *name, struct bytes *content) {
  const struct fake_node *node = file_of(f, name);
  if (node == NULL) return false;
  uint8_t *at = bytes_reserve(content, (size_t)node->size + 1);
  memset(at, 0, (size_t)node->size);
  for (size_t i = 0; i < node->blocks_n; i++) {
    const uint64_t from = (uint64_t)i * FAKE_BLOCK_BYTES;
    if (node->blocks[i] == NULL || from >= node->size) continue;
    const uint64_t left = node->size - from;
    memcpy(at + from, node->blocks[i]->data, left < FAKE_BLOCK_BYTES ? (size_t)left : FAKE_BLOCK_BYTES);
  }
  content->n += (size_t)node->size;
  return true;
}

bool fake_files_is_durable(const struct fake_files *f, const char *name) {
  int directory, at = ROOT;
  const char *last;
  const int i = fake_find(f, name, &directory, &last);
  if (i == NO_NODE) return false;
  /* All the way down. */
  for (const char *part = name; *part != '\0';) {
    const size_t n = strcspn(part, "/");
    char entry_name[FILES_NAME_BYTES_MAX] = "";
    memcpy(entry_name, part, n);
    const struct fake_entry *now = fake_entry_find(&f->nodes[at]->entries, entry_name);
    const struct fake_entry *durable = fake_entry_find(&f->nodes[at]->durable, entry_name);
    if (durable == NULL || durable->node != now->node) return false;
    at = now->node;
    part += n + (part[n] == '/');
  }
  const struct fake_node *node = f->nodes[i];
  if (node->size != node->durable_size) return false;
  for (size_t b = node->dirty_first; b < node->dirty_after; b++)
    for (size_t s = 0; node->blocks[b] != NULL && s < SECTORS_PER_BLOCK; s++)
      if (node->blocks[b]->state[s] != SECTOR_DURABLE) return false;
  return true;
}

static int by_name(const void *a, const void *b) {
  return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_names(const struct fake_files *f, int directory, const char *before, char ***names,
                      size_t *n) {
  const struct fake_entries *entries = &f->nodes[directory]->entries;
  for (size_t i = 0; i < entries->n; i++) {
    char name[2 * FILES_NAME_BYTES_MAX];
    snprintf(name, sizeof name, "%s%s", before, entries->at[i].name);
    if (f->nodes[entries->at[i].node]->is_directory) {
      char within[2 * FILES_NAME_BYTES_MAX + 1];
      snprintf(within, sizeof within, "%s/", name);
      add_names(f, entries->at[i].node, within, names, n);
      continue;
    }
    *names = memory_realloc(*names, (*n + 1) * sizeof(char *));
    (*names)[(*n)++] = memory_strndup(name, strlen(name));
  }
}

char **fake_files_names(const struct fake_files *f, size_t *n) {
  char **names = memory_alloc(sizeof(char *));
  *n = 0;
  add_names(f, ROOT, "", &names, n);
  qsort(names, *n, sizeof(char *), by_name);
  return names;
}

/* ---- Damage ---- */

void fake_files_take(struct fake_files *f, const char *name) {
  int directory;
  const char *last;
  if (fake_find(f, name, &directory, &last) == NO_NODE) return;
  fake_entry_set(&f->nodes[directory]->entries, last, NO_NODE);
  fake_entry_set(&f->nodes[directory]->durable, last, NO_NODE);
  fake_sweep(f);
}

void fake_files_put(struct fake_files *f, const char *name, const void *data, size_t n) {
  int directory;
  const char *last;
  fake_files_take(f, name);
  (void)fake_find(f, name, &directory, &last);
  assert(directory != NO_NODE);
  const int i = fake_node_new(f, false);
  struct fake_node *node = f->nodes[i];
  for (size_t done = 0; done < n; done += FAKE_BLOCK_BYTES)
    memcpy(fake_block(node, done / FAKE_BLOCK_BYTES)->data, (const uint8_t *)data + done,
           n - done < FAKE_BLOCK_BYTES ? n - done : FAKE_BLOCK_BYTES);
  node->size = node->durable_size = n;
  fake_entry_set(&f->nodes[directory]->entries, last, i);
  fake_entry_set(&f->nodes[directory]->durable, last, i);
}

static void flip(struct fake_node *node, uint64_t offset, uint8_t mask) {
  assert(offset < node->size);
  struct block *block = fake_block(node, (size_t)(offset / FAKE_BLOCK_BYTES));
  block->data[offset % FAKE_BLOCK_BYTES] ^= mask;
  block->old[offset % FAKE_BLOCK_BYTES] ^= mask;
}

void fake_files_flip(struct fake_files *f, const char *name, uint64_t offset, uint8_t mask) {
  struct fake_node *node = file_of(f, name);
  assert(node != NULL);
  flip(node, offset, mask);
}

static uint8_t byte_at(const struct fake_node *node, uint64_t offset) {
  const size_t i = (size_t)(offset / FAKE_BLOCK_BYTES);
  return i < node->blocks_n && node->blocks[i] != NULL ? node->blocks[i]->data[offset % FAKE_BLOCK_BYTES] : 0;
}

enum kind { BIT, SOME_BYTES, ZEROS, NOISE, CUT_SHORT, GONE, KINDS_N };

/* Most of a segment is zeros: damage is to be where something is, as often as not. */
static uint64_t draw_offset(struct fake_files *f, const struct fake_node *node) {
  uint64_t written = node->size;
  while (written > 0 && byte_at(node, written - 1) == 0) written--;
  const bool anywhere = written == 0 || random_below(&f->random, 4) == 0;
  return random_below(&f->random, anywhere ? node->size : written);
}

/* A log whose last sectors are zeros is one that was torn: nothing that is written into it could tell. So
 * there the zeros are too few to be all of what a sector has of a frame. */
static size_t draw_bytes(struct fake_files *f, enum kind kind, const char *name) {
  static const size_t most[KINDS_N] = {1, 16, FAKE_BLOCK_BYTES, FAKE_BLOCK_BYTES, 1, 1};
  enum { LOG_ZEROS_MAX = 3 };
  const bool is_log = strncmp(name, "log/", 4) == 0;
  return 1 + (size_t)random_below(&f->random, kind == ZEROS && is_log ? LOG_ZEROS_MAX : most[kind]);
}

static void change_bytes(struct fake_files *f, struct fake_node *node, enum kind kind, uint64_t offset,
                         size_t bytes) {
  for (size_t i = 0; i < bytes; i++) {
    uint8_t mask = (uint8_t)random_next(&f->random);
    if (kind == BIT) mask = (uint8_t)(1u << (mask % 8));
    if (kind == ZEROS) mask = byte_at(node, offset + i);
    flip(node, offset + i, mask);
  }
}

static void damage(struct fake_files *f, const char *name, char what[160]) {
  static const char *const kinds[KINDS_N] = {
      "a bit is flipped", "some bytes are others", "zeros", "noise", "it ends there", "it is gone"};
  struct fake_node *node = file_of(f, name);
  const enum kind kind = (enum kind)random_below(&f->random, KINDS_N);
  const uint64_t offset = draw_offset(f, node);
  size_t bytes = draw_bytes(f, kind, name);
  if (bytes > node->size - offset) bytes = (size_t)(node->size - offset);
  if (kind == CUT_SHORT) {
    cut_size(node, offset);
  } else if (kind == GONE) {
    fake_files_take(f, name);
  } else {
    change_bytes(f, node, kind, offset, bytes);
  }
  snprintf(what, 160, "%s, %zu bytes at %llu: %s", name, bytes, (unsigned long long)offset, kinds[kind]);
}

bool fake_files_damage(struct fake_files *f, char what[160]) {
  size_t n;
  char **names = fake_files_names(f, &n);
  const char *name = n == 0 ? NULL : names[random_below(&f->random, n)];
  const bool any = name != NULL && file_of(f, name)->size > 0;
  if (any) damage(f, name, what);
  for (size_t i = 0; i < n; i++) free(names[i]);
  free(names);
  return any;
}
