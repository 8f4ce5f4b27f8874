#include "fake_files.h"

#include "base/memory.h"
#include "fake_core.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

/* ---- Entries and nodes ---- */

struct fake_entry *fake_entry_find(const struct fake_entries *entries, const char *name) {
  for (size_t i = 0; i < entries->n; i++)
    if (strcmp(entries->at[i].name, name) == 0) return &entries->at[i];
  return NULL;
}

void fake_entries_add(struct fake_entries *entries, const char *name, int node) {
  if (entries->n == entries->capacity) {
    entries->capacity = entries->capacity == 0 ? 8 : 2 * entries->capacity;
    entries->at = memory_realloc(entries->at, entries->capacity * sizeof entries->at[0]);
  }
  struct fake_entry *entry = &entries->at[entries->n++];
  const size_t n = strlen(name);
  assert(n > 0 && n < sizeof entry->name);
  memset(entry, 0, sizeof *entry);
  memcpy(entry->name, name, n);
  entry->node = node;
}

void fake_entry_set(struct fake_entries *entries, const char *name, int node) {
  struct fake_entry *entry = fake_entry_find(entries, name);
  if (entry != NULL && node == NO_NODE) {
    *entry = entries->at[--entries->n];
  } else if (entry != NULL) {
    entry->node = node;
  } else if (node != NO_NODE) {
    fake_entries_add(entries, name, node);
  }
}

void fake_entries_copy(struct fake_entries *to, const struct fake_entries *from) {
  to->n = 0;
  for (size_t i = 0; i < from->n; i++) fake_entries_add(to, from->at[i].name, from->at[i].node);
}

int fake_node_new(struct fake_files *f, bool is_directory) {
  size_t i = 0;
  while (i < f->nodes_n && f->nodes[i] != NULL) i++;
  if (i == f->nodes_n) f->nodes = memory_realloc(f->nodes, ++f->nodes_n * sizeof(struct fake_node *));
  f->nodes[i] = memory_zalloc(sizeof(struct fake_node));
  f->nodes[i]->is_directory = is_directory;
  return (int)i;
}

void fake_node_free(struct fake_node *node) {
  if (node == NULL) return;
  for (size_t i = 0; i < node->blocks_n; i++) free(node->blocks[i]);
  free(node->blocks);
  free(node->entries.at);
  free(node->durable.at);
  free(node->changes.at);
  free(node->operations);
  free(node);
}

static void mark(const struct fake_files *f, int i, bool *reached) {
  if (i == NO_NODE || reached[i]) return;
  const struct fake_node *node = f->nodes[i];
  const struct fake_entries *all[] = {&node->entries, &node->durable, &node->changes};
  reached[i] = true;
  for (size_t k = 0; k < 3; k++)
    for (size_t e = 0; e < all[k]->n; e++) mark(f, all[k]->at[e].node, reached);
}

void fake_sweep(struct fake_files *f) {
  bool *reached = memory_zalloc(f->nodes_n * sizeof(bool));
  mark(f, ROOT, reached);
  for (size_t i = 0; i < f->nodes_n; i++) {
    if (f->nodes[i] == NULL || reached[i] || f->nodes[i]->handles_n > 0) continue;
    fake_node_free(f->nodes[i]);
    f->nodes[i] = NULL;
  }
  free(reached);
}

int fake_find(const struct fake_files *f, const char *name, int *directory, const char **last) {
  int at = ROOT;
  while (true) {
    const size_t n = strcspn(name, "/");
    char part[FILES_NAME_BYTES_MAX] = "";
    assert(n < sizeof part);
    memcpy(part, name, n);
    const bool is_last = name[n] == '\0';
    if (directory != NULL) *directory = at;
    if (last != NULL) *last = name;
    if (is_last && n == 0) return at; /* "": the root itself */
    if (!f->nodes[at]->is_directory) return NO_NODE;
    const struct fake_entry *entry = fake_entry_find(&f->nodes[at]->entries, part);
    if (is_last) return entry == NULL ? NO_NODE : entry->node;
    if (entry == NULL) {
      if (directory != NULL) *directory = NO_NODE;
      return NO_NODE;
    }
    at = entry->node;
    name += n + 1;
  }
}

static void change(struct fake_files *f, int directory, const char *name, int node, size_t operation) {
  struct fake_node *in = f->nodes[directory];
  fake_entry_set(&in->entries, name, node);
  fake_entries_add(&in->changes, name, node);
  in->operations = memory_realloc(in->operations, in->changes.n * sizeof in->operations[0]);
  in->operations[in->changes.n - 1] = operation;
}

void fake_directory_settle(struct fake_node *directory) {
  fake_entries_copy(&directory->durable, &directory->entries);
  directory->changes.n = 0;
}

/* ---- Faults ---- */

enum { GO_ON = 0 };

static bool in(unsigned operations, enum fake_operation operation) {
  return (operations & FAKE_BIT(operation)) != 0;
}

/* Of so many changes each is the one that is kept with the same probability. */
static void take_picture(struct fake_files *f, enum fake_operation operation) {
  if (!f->pictures || !in(FAKE_CHANGES, operation)) return;
  f->pictured = random_below(&f->random, ++f->picturable_n) == 0;
  if (!f->pictured) return;
  fake_files_free(f->picture);
  f->picture = fake_files_copy(f, random_next(&f->random));
}

/* What is to become of an operation: GO_ON, or the error that it gives instead. */
static int begin(struct fake_files *f, enum fake_operation operation) {
  f->pictured = false;
  if (f->crashed) return -ECANCELED;
  f->counts[operation]++;
  take_picture(f, operation);
  if (in(FAKE_CHANGES, operation) && f->crash_after != UINT64_MAX && f->crash_after-- == 0) {
    f->crashed = true;
    return -ECANCELED;
  }
  if (f->once.error != 0 && in(f->once.operations, operation) && f->once.after-- == 0) {
    const int error = f->once.error;
    f->once.error = 0;
    f->failed_n++;
    return error;
  }
  if (f->randomly.error != 0 && in(f->randomly.operations, operation) &&
      random_below(&f->random, f->randomly.after) == 0) {
    f->failed_n++;
    return f->randomly.error;
  }
  return GO_ON;
}

void fake_files_crash_after(struct fake_files *f, uint64_t changes) {
  f->crash_after = changes;
}

void fake_files_picture_one(struct fake_files *f) {
  fake_files_free(fake_files_picture(f));
  f->pictures = true;
}

struct fake_files *fake_files_picture(struct fake_files *f) {
  struct fake_files *picture = f->picture;
  f->picture = NULL;
  f->pictures = false;
  f->picturable_n = 0;
  return picture;
}

bool fake_files_has_crashed(const struct fake_files *f) {
  return f->crashed;
}

void fake_files_fail(struct fake_files *f, unsigned operations, uint64_t after, int error) {
  f->once = (struct fake_fault){operations, after, error};
}

void fake_files_fail_randomly(struct fake_files *f, unsigned operations, uint64_t one_in, int error) {
  f->randomly = (struct fake_fault){operations, one_in, one_in == 0 ? 0 : error};
}

uint64_t fake_files_failed(const struct fake_files *f) {
  return f->failed_n;
}

uint64_t fake_files_count(const struct fake_files *f, unsigned operations) {
  uint64_t n = 0;
  for (int i = 0; i < FAKE_OPERATIONS_N; i++)
    if (in(operations, (enum fake_operation)i)) n += f->counts[i];
  return n;
}

/* ---- Room ---- */

static size_t blocks_taken(const struct fake_node *node) {
  size_t n = node->reserved_n;
  for (size_t i = node->reserved_n; i < node->blocks_n; i++)
    if (node->blocks[i] != NULL) n++;
  return n;
}

/* What has no name and is not open takes no room, even if a power cut would bring it back. */
static size_t blocks_below(const struct fake_files *f, int at) {
  const struct fake_node *node = f->nodes[at];
  size_t n = node->handles_n > 0 ? 0 : blocks_taken(node);
  for (size_t i = 0; i < node->entries.n; i++) n += blocks_below(f, node->entries.at[i].node);
  return n;
}

uint64_t fake_files_used(const struct fake_files *f) {
  size_t n = blocks_below(f, ROOT);
  for (size_t i = 0; i < f->nodes_n; i++)
    if (f->nodes[i] != NULL && f->nodes[i]->handles_n > 0) n += blocks_taken(f->nodes[i]);
  return (uint64_t)n * FAKE_BLOCK_BYTES;
}

void fake_files_set_room(struct fake_files *f, uint64_t bytes) {
  f->room_bytes = bytes;
}

void fake_files_promise_nothing(struct fake_files *f) {
  f->promises_nothing = true;
}

static bool has_room(const struct fake_files *f, size_t blocks) {
  return f->room_bytes == UINT64_MAX ||
         (uint64_t)blocks * FAKE_BLOCK_BYTES + fake_files_used(f) <= f->room_bytes;
}

/* ---- Handles ---- */

static struct fake_node *node_of(const struct fake_files *f, int file, bool writes) {
  assert(file >= 0 && (size_t)file < f->handles_n && f->handles[file].node != NO_NODE);
  assert(!writes || f->handles[file].writes);
  return f->nodes[f->handles[file].node];
}

size_t fake_files_handles(const struct fake_files *f) {
  size_t n = 0;
  for (size_t i = 0; i < f->handles_n; i++) n += f->handles[i].node != NO_NODE;
  return n;
}

static int handle_new(struct fake_files *f, int node, bool writes) {
  size_t i = 0;
  while (i < f->handles_n && f->handles[i].node != NO_NODE) i++;
  if (i == f->handles_n) f->handles = memory_realloc(f->handles, ++f->handles_n * sizeof f->handles[0]);
  f->handles[i] = (struct fake_handle){node, writes};
  f->nodes[node]->handles_n++;
  return (int)i;
}

static int create(struct fake_files *f, const char *name) {
  int directory;
  const char *last;
  const int found = fake_find(f, name, &directory, &last);
  const int error = begin(f, FAKE_CREATE);
  if (error != GO_ON) return error;
  if (directory == NO_NODE) return -ENOENT;
  if (found != NO_NODE) return -EEXIST;
  if (!has_room(f, 1)) return -ENOSPC; /* the directory might need a block */
  const int node = fake_node_new(f, false);
  change(f, directory, last, node, ++f->operations_made);
  return handle_new(f, node, true);
}

static int fake_open(void *context, const char *name, enum files_mode mode) {
  struct fake_files *f = context;
  if (mode == FILES_CREATE) return create(f, name);
  const int error = begin(f, FAKE_OPEN);
  if (error != GO_ON) return error;
  const int node = fake_find(f, name, NULL, NULL);
  if (node == NO_NODE) return -ENOENT;
  if (f->nodes[node]->is_directory) return -EINVAL;
  return handle_new(f, node, mode == FILES_UPDATE);
}

static void fake_close(void *context, int file) {
  struct fake_files *f = context;
  node_of(f, file, false)->handles_n--;
  f->handles[file].node = NO_NODE;
  fake_sweep(f);
}

/* ---- Files ---- */

static int64_t fake_size(void *context, int file) {
  struct fake_files *f = context;
  if (f->crashed) return -ECANCELED;
  return (int64_t)node_of(f, file, false)->size;
}

static size_t smaller(size_t a, size_t b) {
  return a < b ? a : b;
}

static int64_t fake_read(void *context, int file, uint64_t offset, void *data, size_t n) {
  struct fake_files *f = context;
  const struct fake_node *node = node_of(f, file, false);
  const int error = begin(f, FAKE_READ);
  if (error != GO_ON) return error;
  if (offset >= node->size) return 0;
  const size_t all = smaller(n, (size_t)(node->size - offset));
  for (size_t done = 0; done < all;) {
    const size_t i = (size_t)((offset + done) / FAKE_BLOCK_BYTES);
    const size_t at = (size_t)((offset + done) % FAKE_BLOCK_BYTES);
    const size_t here = smaller(all - done, FAKE_BLOCK_BYTES - at);
    const struct block *block = i < node->blocks_n ? node->blocks[i] : NULL;
    if (block != NULL) {
      memcpy((uint8_t *)data + done, block->data + at, here);
    } else {
      memset((uint8_t *)data + done, 0, here);
    }
    done += here;
  }
  return (int64_t)all;
}

struct block *fake_block(struct fake_node *node, size_t i) {
  if (i >= node->blocks_n) {
    node->blocks = memory_realloc(node->blocks, (i + 1) * sizeof(struct block *));
    while (node->blocks_n <= i) node->blocks[node->blocks_n++] = NULL;
  }
  if (node->blocks[i] == NULL) node->blocks[i] = memory_zalloc(sizeof(struct block));
  return node->blocks[i];
}

static void write_block(struct fake_node *node, size_t i, size_t at, const uint8_t *data, size_t n) {
  struct block *block = fake_block(node, i);
  for (size_t s = at / FILES_SECTOR_BYTES; s <= (at + n - 1) / FILES_SECTOR_BYTES; s++) {
    const size_t from = s * FILES_SECTOR_BYTES;
    if (block->state[s] == SECTOR_DURABLE) memcpy(block->old + from, block->data + from, FILES_SECTOR_BYTES);
    block->state[s] = SECTOR_DIRTY;
  }
  memcpy(block->data + at, data, n);
  if (node->dirty_after == node->dirty_first) node->dirty_first = node->dirty_after = i;
  if (i < node->dirty_first) node->dirty_first = i;
  if (i >= node->dirty_after) node->dirty_after = i + 1;
}

/* The first n bytes, or less when there is no room. */
static int write_some(struct fake_files *f, struct fake_node *node, uint64_t offset, const uint8_t *data,
                      size_t n) {
  for (size_t done = 0; done < n;) {
    const size_t i = (size_t)((offset + done) / FAKE_BLOCK_BYTES);
    const size_t at = (size_t)((offset + done) % FAKE_BLOCK_BYTES);
    const size_t here = smaller(n - done, FAKE_BLOCK_BYTES - at);
    const bool is_new = i >= node->reserved_n && (i >= node->blocks_n || node->blocks[i] == NULL);
    if (is_new && !has_room(f, 1)) return -ENOSPC;
    write_block(node, i, at, data + done, here);
    done += here;
    if (offset + done > node->size) node->size = offset + done;
  }
  return 0;
}

/* How much of a write that does not succeed has been done: up to the end of a sector, since a system copies
 * page by page and looks for signals between them, and has room for whole blocks. */
static size_t draw_part(struct fake_files *f, uint64_t offset, size_t n) {
  const uint64_t end = offset + random_below(&f->random, n + 1);
  const uint64_t part_end = end == offset + n ? end : end / FILES_SECTOR_BYTES * FILES_SECTOR_BYTES;
  return part_end > offset ? (size_t)(part_end - offset) : 0;
}

static int fake_write(void *context, int file, uint64_t offset, const void *data, size_t n) {
  struct fake_files *f = context;
  struct fake_node *node = node_of(f, file, true);
  const bool was_there = f->crashed;
  const int error = begin(f, FAKE_WRITE);
  struct fake_node *pictured = f->pictured ? f->picture->nodes[f->handles[file].node] : NULL;
  if (pictured != NULL) (void)write_some(f->picture, pictured, offset, data, draw_part(f, offset, n));
  if (error == GO_ON) return write_some(f, node, offset, data, n);
  if (was_there) return error;
  const int result = write_some(f, node, offset, data, draw_part(f, offset, n));
  return result != 0 && !f->crashed ? result : error;
}

static int fake_allocate(void *context, int file, uint64_t bytes) {
  struct fake_files *f = context;
  struct fake_node *node = node_of(f, file, true);
  const int error = begin(f, FAKE_ALLOCATE);
  if (error != GO_ON) return error;
  const size_t wanted = (size_t)((bytes + FAKE_BLOCK_BYTES - 1) / FAKE_BLOCK_BYTES);
  size_t missing = 0;
  for (size_t i = node->reserved_n; i < wanted; i++)
    missing += i >= node->blocks_n || node->blocks[i] == NULL;
  if (!has_room(f, f->promises_nothing ? 0 : missing)) return -ENOSPC;
  if (wanted > node->reserved_n && !f->promises_nothing) node->reserved_n = wanted;
  if (bytes > node->size) node->size = bytes;
  return 0;
}

void fake_file_settle(struct fake_node *node) {
  size_t lost_first = node->dirty_after, lost_after = node->dirty_after;
  for (size_t i = node->dirty_first; i < node->dirty_after; i++) {
    struct block *block = node->blocks[i];
    for (size_t s = 0; block != NULL && s < SECTORS_PER_BLOCK; s++) {
      if (block->state[s] == SECTOR_DIRTY) block->state[s] = SECTOR_DURABLE;
      if (block->state[s] != SECTOR_LOST) continue;
      if (lost_first == lost_after) lost_first = i;
      lost_after = i + 1;
    }
  }
  node->dirty_first = lost_first;
  node->dirty_after = lost_first == lost_after ? lost_first : lost_after;
  node->durable_size = node->size;
}

/* Of what was to be written some sectors were, and the others never will be. */
static void lose_some(struct fake_files *f, struct fake_node *node) {
  for (size_t i = node->dirty_first; i < node->dirty_after; i++) {
    struct block *block = node->blocks[i];
    for (size_t s = 0; block != NULL && s < SECTORS_PER_BLOCK; s++)
      if (block->state[s] == SECTOR_DIRTY && random_below(&f->random, 4) != 0) block->state[s] = SECTOR_LOST;
  }
  fake_file_settle(node);
}

static int fake_sync(void *context, int file) {
  struct fake_files *f = context;
  struct fake_node *node = node_of(f, file, false);
  const bool was_there = f->crashed;
  const int error = begin(f, FAKE_SYNC);
  if (error == GO_ON) fake_file_settle(node);
  if (error != GO_ON && !was_there && !f->crashed) lose_some(f, node);
  return error;
}

/* ---- Directories ---- */

static int fake_rename(void *context, const char *from, const char *to) {
  struct fake_files *f = context;
  int from_directory, to_directory;
  const char *from_last, *to_last;
  const int error = begin(f, FAKE_RENAME);
  if (error != GO_ON) return error;
  const int node = fake_find(f, from, &from_directory, &from_last);
  const int replaced = fake_find(f, to, &to_directory, &to_last);
  if (node == NO_NODE || to_directory == NO_NODE) return -ENOENT;
  if (f->nodes[node]->is_directory || (replaced != NO_NODE && f->nodes[replaced]->is_directory))
    return -EISDIR;
  if (node == replaced) return 0; /* two names of one file: rename(2) leaves both */
  const size_t operation = ++f->operations_made;
  change(f, to_directory, to_last, node, operation);
  change(f, from_directory, from_last, NO_NODE, operation);
  fake_sweep(f);
  return 0;
}

static int fake_remove(void *context, const char *name) {
  struct fake_files *f = context;
  int directory;
  const char *last;
  const int error = begin(f, FAKE_REMOVE);
  if (error != GO_ON) return error;
  const int node = fake_find(f, name, &directory, &last);
  if (node == NO_NODE) return -ENOENT;
  if (f->nodes[node]->is_directory) return -EISDIR;
  change(f, directory, last, NO_NODE, ++f->operations_made);
  return 0;
}

static int fake_make_directory(void *context, const char *name) {
  struct fake_files *f = context;
  int directory;
  const char *last;
  const int error = begin(f, FAKE_MAKE_DIRECTORY);
  if (error != GO_ON) return error;
  if (fake_find(f, name, &directory, &last) != NO_NODE) return -EEXIST;
  if (directory == NO_NODE) return -ENOENT;
  if (!has_room(f, 1)) return -ENOSPC;
  change(f, directory, last, fake_node_new(f, true), ++f->operations_made);
  return 0;
}

static int fake_sync_directory(void *context, const char *name) {
  struct fake_files *f = context;
  const int error = begin(f, FAKE_SYNC_DIRECTORY);
  if (error != GO_ON) return error;
  const int node = fake_find(f, name, NULL, NULL);
  if (node == NO_NODE) return -ENOENT;
  if (!f->nodes[node]->is_directory) return -ENOTDIR;
  fake_directory_settle(f->nodes[node]);
  fake_sweep(f);
  return 0;
}

static int fake_list(void *context, const char *name, int (*entry)(void *argument, const char *name),
                     void *argument) {
  struct fake_files *f = context;
  const int error = begin(f, FAKE_LIST);
  if (error != GO_ON) return error;
  const int node = fake_find(f, name, NULL, NULL);
  if (node == NO_NODE) return -ENOENT;
  if (!f->nodes[node]->is_directory) return -ENOTDIR;
  /* A copy: whoever is told may change what is there. */
  struct fake_entries all = {0};
  int result = 0;
  fake_entries_copy(&all, &f->nodes[node]->entries);
  for (size_t i = 0; i < all.n && result == 0; i++) result = entry(argument, all.at[i].name);
  free(all.at);
  return result;
}

/* ---- Life ---- */

static struct fake_files *new_empty(uint64_t seed) {
  struct fake_files *f = memory_zalloc(sizeof *f);
  *f = (struct fake_files){.random = {seed}, .room_bytes = UINT64_MAX, .crash_after = UINT64_MAX};
  f->table = (struct files){.context = f,
                            .open = fake_open,
                            .close = fake_close,
                            .size = fake_size,
                            .read = fake_read,
                            .write = fake_write,
                            .allocate = fake_allocate,
                            .sync = fake_sync,
                            .rename = fake_rename,
                            .remove = fake_remove,
                            .make_directory = fake_make_directory,
                            .sync_directory = fake_sync_directory,
                            .list = fake_list};
  return f;
}

struct fake_files *fake_files_new(uint64_t seed) {
  struct fake_files *f = new_empty(seed);
  (void)fake_node_new(f, true);
  return f;
}

void fake_files_free(struct fake_files *f) {
  if (f == NULL) return;
  assert(fake_files_handles(f) == 0);
  fake_files_free(f->picture);
  for (size_t i = 0; i < f->nodes_n; i++) fake_node_free(f->nodes[i]);
  free(f->nodes);
  free(f->handles);
  free(f);
}

static struct fake_node *node_copy(const struct fake_node *from) {
  struct fake_node *to = memory_zalloc(sizeof *to);
  *to = *from;
  to->handles_n = 0;
  to->blocks = memory_alloc((from->blocks_n + 1) * sizeof(struct block *));
  for (size_t i = 0; i < from->blocks_n; i++) {
    to->blocks[i] = from->blocks[i] == NULL ? NULL : memory_alloc(sizeof(struct block));
    if (to->blocks[i] != NULL) *to->blocks[i] = *from->blocks[i];
  }
  to->entries = to->durable = to->changes = (struct fake_entries){0};
  fake_entries_copy(&to->entries, &from->entries);
  fake_entries_copy(&to->durable, &from->durable);
  fake_entries_copy(&to->changes, &from->changes);
  to->operations = memory_alloc((from->changes.n + 1) * sizeof to->operations[0]);
  for (size_t i = 0; i < from->changes.n; i++) to->operations[i] = from->operations[i];
  return to;
}

struct fake_files *fake_files_copy(const struct fake_files *from, uint64_t seed) {
  struct fake_files *f = new_empty(seed);
  f->nodes_n = from->nodes_n;
  f->nodes = memory_alloc(f->nodes_n * sizeof(struct fake_node *));
  for (size_t i = 0; i < f->nodes_n; i++)
    f->nodes[i] = from->nodes[i] == NULL ? NULL : node_copy(from->nodes[i]);
  f->operations_made = from->operations_made;
  f->room_bytes = from->room_bytes;
  f->promises_nothing = from->promises_nothing;
  fake_sweep(f);
  return f;
}

const struct files *fake_files_table(struct fake_files *f) {
  return &f->table;
}
