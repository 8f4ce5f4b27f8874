/* What is to be made durable together: gathered, as bytes, where the log lives, and written elsewhere (on the
 * disk thread). A batch shares nothing with what it was made from. */
#ifndef CORACLE_DISK_BATCH_H
#define CORACLE_DISK_BATCH_H

#include "base/bytes.h"
#include "coracle/raft.h"
#include "disk/stamp.h"

struct batch;

/* One thing to be made durable, after all that were added before: see struct node_persist. */
struct batch_item {
  uint64_t sequence; /* the caller's, rising: batch_sequence() */
  /* The node takes another identity: all that is durable of before is discarded, in one with what this item
   * has of term and vote (none: zero). */
  bool identity;
  uint64_t id;
  uint8_t cluster[DISK_CLUSTER_BYTES];
  /* The image is the node's own: if there is no room for it, it is left out (disk_image_refused()), and is in
   * nobody's way. For any other image the writer waits until there is room. */
  bool own_image;
  const struct coracle_raft_persist *raft; /* NULL: nothing. Read during the call only */
};

struct batch *batch_new(void);
void batch_free(struct batch *); /* NULL is fine */
void batch_add(struct batch *, const struct batch_item *);
bool batch_is_empty(const struct batch *);
uint64_t batch_sequence(const struct batch *); /* of the last item; 0: none */
size_t batch_bytes(const struct batch *);      /* about what is in it */
void batch_clear(struct batch *);              /* empty again; keeps its memory */

/* ---- For disk.c ---- */

enum batch_step_type {
  BATCH_META,    /* term and vote; with identity, that too */
  BATCH_LOG,     /* records: one frame, or several */
  BATCH_CHUNK,   /* of an image */
  BATCH_INSTALL, /* the image is complete: it takes its place, and a record in the log says so */
};

struct batch_step {
  enum batch_step_type type;
  bool identity;
  uint64_t id;
  uint8_t cluster[DISK_CLUSTER_BYTES];
  uint64_t term, voted_for;
  struct slice records;                         /* LOG: at most FRAME_RECORDS_BYTES_MAX */
  uint64_t last_index;                          /* LOG: as in struct log_append */
  const struct coracle_raft_snapshot *snapshot; /* CHUNK, INSTALL */
  uint64_t offset;                              /* CHUNK */
  struct slice data;                            /* CHUNK */
  bool own_image;                               /* CHUNK, INSTALL */
  bool keep_log;                                /* INSTALL */
};

size_t batch_steps(const struct batch *);
/* Borrowed until the batch changes. Consecutive records are one LOG step, as long as they fit in a frame. */
struct batch_step batch_step(const struct batch *, size_t i);

#endif
