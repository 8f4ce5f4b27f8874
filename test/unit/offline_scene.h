/* Data directories in memory for the tests of offline/: of one of three voters, with documents. */
#ifndef CORACLE_TEST_OFFLINE_SCENE_H
#define CORACLE_TEST_OFFLINE_SCENE_H

#include "disk/disk.h"
#include "fake_files.h"
#include "store/store.h"

enum scene_shape {
  SCENE_LOG,      /* entries only */
  SCENE_SNAPSHOT, /* a snapshot, and nothing after it */
  SCENE_BOTH,     /* a snapshot, and entries after it */
  SCENE_EMPTIED,  /* SCENE_BOTH, but all documents were deleted */
  SCENE_SHAPES_N,
};

struct scene {
  struct fake_files *files;
  const struct files *table;
  struct store *store; /* what all its entries together make */
  uint64_t last_index, term;
};

extern const uint64_t scene_id;
extern const uint8_t scene_cluster[DISK_CLUSTER_BYTES];
extern const uint8_t scene_key[STORE_HASH_KEY_BYTES];

struct scene scene_new(enum scene_shape, uint64_t seed);
void scene_close(struct scene *);
/* Starts it, and writes a few entries more. */
void scene_go_on(struct scene *);
/* Starts it, and writes this one. */
void scene_write(struct scene *, const struct command *);

/* The node had these options, other than fresh_id. */
struct disk_options scene_options(void);

#endif
