/* A data directory as one thing: what a node finds in it when it starts, and the writer that makes batches
 * durable while it runs.
 *
 *   lock          one process at a time (data_dir.h)
 *   meta-1, -2    identity, start number, term and vote (meta.h)
 *   log/          the write-ahead log (log.h)
 *   snapshot/     the newest snapshot (snapshot_file.h)
 *
 * Order: a term and vote are durable before records that come after them, records before a term and vote that
 * come after them, and so on: a crash loses a tail of what was asked for and nothing before it. An identity
 * is taken by one write of a meta file, which gives it a new generation; what is left of the generation
 * before is removed afterwards, or at the next start. A snapshot takes its place by a rename, then a record
 * in the log; then the snapshot before and the segments that only it needed are removed.
 *
 * A struct disk is used by one thread at a time. */
#ifndef CORACLE_DISK_DISK_H
#define CORACLE_DISK_DISK_H

#include "disk/batch.h"
#include "disk/files.h"
#include "disk/snapshot_file.h"

struct disk;

struct disk_options {
  uint64_t fresh_id;      /* random: the node's id if the directory is empty */
  uint64_t salt_seed;     /* random */
  uint64_t segment_bytes; /* 0: 16 MiB */
  uint64_t start_min; /* the start number is at least this: the wall clock, so that a copy of an old directory
                         is newer all the same */
  /* Told while much is read. NULL: nobody. */
  void (*progress)(void *argument, uint64_t done_bytes, uint64_t all_bytes);
  void *progress_argument;
};

/* What the directory held. */
struct disk_found {
  uint64_t id;
  uint8_t cluster[DISK_CLUSTER_BYTES];   /* zero: of no cluster */
  uint64_t start;                        /* this start's number, durable already: greater than any before */
  struct coracle_raft_restored raft;     /* for START; its parts belong to this struct */
  struct coracle_raft_snapshot snapshot; /* index 0: none */
  struct snapshot_reader *image;         /* NULL: none. All of it has been checked once */
  struct coracle_raft_entry **entries;
  size_t entries_n;
  bool made;          /* the directory was empty */
  int damaged_n;      /* bad copies that did no harm: to be told */
  char cut[256];      /* a sentence about a torn frame that was cut off, or "" */
  uint64_t log_bytes; /* read */
};
void disk_found_close(struct disk_found *);

/* Opens it, makes it if it is empty, recovers, and notes the new start number. CORACLE_EDAMAGED: what was
 * acknowledged may be lost, or somebody else's files are there. CORACLE_ELIMIT: a newer version's.
 * CORACLE_EFULL, CORACLE_EIO. The fault says which file, where, and what to do. */
MUST_CHECK int disk_open(const struct files *, const struct disk_options *, struct disk **,
                         struct disk_found *, struct disk_fault *);
void disk_free(struct disk *); /* NULL is fine. Nothing is written */

/* Makes all of the batch durable. CORACLE_EFULL: there is no room; call again with the same batch, later: it
 * goes on where it stopped. CORACLE_EIO: a read, write or sync failed: the process must end, and start again.
 */
MUST_CHECK int disk_write(struct disk *, struct batch *, struct disk_fault *);
/* True once, after a batch with an own image for which there was no room: nothing of that image is on the
 * disk. */
bool disk_image_refused(struct disk *);
/* What can wait: the spare segment, and removing what is not needed. To be called after each batch, and now
 * and then while it gives CORACLE_EFULL: then the directory has no room for another segment, and the node
 * should take no more writes. CORACLE_EIO. */
MUST_CHECK int disk_tidy(struct disk *, struct disk_fault *);

/* ---- For `coracle recover` ---- */

/* What takes the place of everything: another identity, with nothing but one snapshot. */
struct disk_replacement {
  uint64_t id;
  uint8_t cluster[DISK_CLUSTER_BYTES];
  uint64_t term, voted_for;                     /* no lower than the snapshot's */
  const struct coracle_raft_snapshot *snapshot; /* of the index after the last that the disk has */
  /* Reads the next n bytes of its image, from the beginning on, or what is left of them. */
  size_t (*read_image)(void *image, uint8_t *out, size_t n);
  void *image;
};

/* Replaces all that is durable, by one write of a meta file, when the snapshot is whole and in its place. A crash
 * leaves what there was, or the replacement; what else is left over the next disk_open() removes. The disk, just opened, can only be freed afterwards. CORACLE_EFULL, and CORACLE_EIO
 * before that write: nothing has changed. CORACLE_EIO from it: who opens the directory next will see. */
MUST_CHECK int disk_replace(struct disk *, const struct disk_replacement *, struct disk_fault *);

#endif
