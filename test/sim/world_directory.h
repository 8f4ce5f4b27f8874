/* The data directory of a process, on a disk in memory, written and read by the code that real nodes run
 * (disk/). What it gives back is held against the model of world_disk.c: all that was told to be durable, and
 * of what was under way some first part. */
#ifndef CORACLE_SIM_WORLD_DIRECTORY_H
#define CORACLE_SIM_WORLD_DIRECTORY_H

#include "base/queue.h"
#include "disk/disk.h"
#include "fake_files.h"
#include "node/node.h"

struct world;
struct world_disk;

enum { DIRECTORY_CHANGES_PER_START = 24 }; /* about as many does it take to open one */

struct world_directory {
  struct fake_files *files; /* NULL: nothing was ever started there */
  struct disk *writer;      /* NULL: no process is at work */
  struct batch *batch;      /* on its way */
  struct disk_found found;  /* while a process starts */
  struct disk_found tried; /* as it would have been found, had the process ended in the middle of the batch */
  struct fake_files *tried_files;
  bool tries, as_it_was;   /* there is that; it was so at some time during the batch */
  uint64_t started;        /* the newest start number */
  struct queue fresh_ids;  /* of uint64_t: that were offered while the directory was empty */
  uint64_t refused_image;  /* index of the own image that there was no room for; 0: none */
  bool image_refused;      /* and the process is yet to be told */
  uint64_t failed_before;  /* so many faults had its disk when this process began */
  bool compacted;          /* by this process: a snapshot has taken its place */
  bool limited;            /* it has not all the room in the world */
  bool failed;             /* the process ends since an operation did */
  bool torn;               /* a crash came while something was being written */
  bool harmed, was_harmed; /* at rest: since the last start, ever */
  bool refused;            /* what was found does not do */
};

enum directory_result { DIRECTORY_DONE, DIRECTORY_FULL, DIRECTORY_FAILED };

void directory_init(struct world_directory *);
void directory_free(struct world_directory *);
/* A process starts on it: its files are read, and compared, and what was under way when the one before ended
 * is decided. False: it cannot start, and its log says why. */
bool directory_start(struct world *, int node);
/* What the node is to begin with; false: nothing. */
bool directory_restore(struct world_directory *, struct node_restored *);
/* It has begun. */
void directory_started(struct world_directory *);

/* The first n of what waits goes to the disk together. */
void directory_begin_batch(struct world *, int node, size_t n);
enum directory_result directory_write(struct world *, int node);
enum directory_result directory_tidy(struct world *, int node);
/* The process ends, in the middle of that perhaps; and the power with it. */
void directory_crash(struct world *, int node, bool power);
/* So many bytes beyond what it takes now; UINT64_MAX: as many as it likes. */
void directory_set_room(struct world_directory *, uint64_t bytes);
/* One of its next operations fails. */
void directory_fail(struct world *, int node);
/* It has all room, and nothing is about to fail. */
void directory_heal(struct world_directory *);
/* Something in it is not what was written. False: there is nothing. No process may be at work. */
bool directory_harm(struct world *, int node);
/* It holds what the model holds, and nothing ran on it. */
void directory_make(struct world *, int node);

/* For world_trial.c. */
int directory_open(struct world *, int node, struct fake_files *, struct disk **, struct disk_found *,
                   struct disk_fault *);
void directory_end(struct world *, struct fake_files *, bool power); /* of a process: no handle may be open */
/* Not as the model has it, in a few words; NULL: it is. */
const char *directory_compare(struct world *, const struct world_disk *, const struct disk_found *);
__attribute__((noreturn)) void directory_mismatch(struct world *, int node, const struct disk_found *,
                                                  const char *why);
bool directory_is_refusal(int error);

/* ---- world_trial.c ---- */

/* A batch is done, and its parts are about to be in the model; or one of them is; or all are. Had the process
 * ended while it was written, one of these must be what the next had found. */
void trial_begin(struct world *, int node);
void trial_compare(struct world *, int node);
void trial_end(struct world *, int node);
void trial_forget(struct world_directory *);
/* All that was told is durable: as a crash now would show. */
void trial_audit(struct world *, int node);

#endif
