/* What the two halves of the fake directory share. */
#ifndef CORACLE_SIM_FAKE_CORE_H
#define CORACLE_SIM_FAKE_CORE_H

#include "base/random.h"
#include "fake_files.h"

enum { SECTORS_PER_BLOCK = FAKE_BLOCK_BYTES / FILES_SECTOR_BYTES, NO_NODE = -1, ROOT = 0 };

enum sector_state {
  SECTOR_DURABLE, /* `old` is of no interest */
  SECTOR_DIRTY,   /* a sync makes it durable; `old` is what is */
  SECTOR_LOST,    /* ... a sync no longer does */
};

struct block {
  uint8_t data[FAKE_BLOCK_BYTES], old[FAKE_BLOCK_BYTES];
  uint8_t state[SECTORS_PER_BLOCK];
};

struct fake_entry {
  char name[FILES_NAME_BYTES_MAX];
  int node; /* NO_NODE: in a change, it is removed */
};

struct fake_entries {
  struct fake_entry *at;
  size_t n, capacity;
};

/* A file, or a directory. */
struct fake_node {
  bool is_directory;
  size_t handles_n;
  /* A file's: */
  uint64_t size, durable_size;
  struct block **blocks; /* NULL: zeros */
  size_t blocks_n;
  size_t reserved_n;               /* blocks that have room, whether they are there or not */
  size_t dirty_first, dirty_after; /* blocks that may have sectors that are not durable */
  /* A directory's: as they are, as they were at the last sync, and what changed in between (operation says
   * which belong together). */
  struct fake_entries entries, durable, changes;
  size_t *operations; /* of each change */
};

struct fake_handle {
  int node; /* NO_NODE: not open */
  bool writes;
};

struct fake_fault {
  unsigned operations;
  uint64_t after;
  int error; /* 0: none */
};

struct fake_files {
  struct files table;
  struct random random;
  struct fake_node **nodes;
  size_t nodes_n;
  struct fake_handle *handles;
  size_t handles_n;
  size_t operations_made;
  uint64_t counts[FAKE_OPERATIONS_N];
  uint64_t room_bytes;
  bool promises_nothing;
  uint64_t crash_after; /* UINT64_MAX: it does not */
  bool crashed;
  bool pictures;
  uint64_t picturable_n; /* changes since */
  struct fake_files *picture;
  bool pictured;                    /* just now: what is begun is done there too, in part */
  struct fake_fault once, randomly; /* randomly: one in `after` */
  uint64_t failed_n;
};

int fake_node_new(struct fake_files *, bool is_directory);
void fake_node_free(struct fake_node *);
struct fake_entry *fake_entry_find(const struct fake_entries *, const char *name);
void fake_entry_set(struct fake_entries *, const char *name, int node); /* NO_NODE: takes it away */
void fake_entries_add(struct fake_entries *, const char *name, int node);
void fake_entries_copy(struct fake_entries *to, const struct fake_entries *from);
/* The node of that name, as reads see it; *directory and *last, if not NULL, where it is or would be. */
int fake_find(const struct fake_files *, const char *name, int *directory, const char **last);
/* Frees the nodes that nothing leads to. */
void fake_sweep(struct fake_files *);
struct block *fake_block(struct fake_node *, size_t i); /* makes it */
/* Its entries are durable now. */
void fake_directory_settle(struct fake_node *);
/* Everything that was written is durable now, but for what was lost. */
void fake_file_settle(struct fake_node *);

#endif
