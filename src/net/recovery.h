/* What serve() finds in its data directory, in the form that a new node takes. */
#ifndef CORACLE_NET_RECOVERY_H
#define CORACLE_NET_RECOVERY_H

#include "disk/disk.h"
#include "net/log.h"
#include "node/node.h"

struct recovery {
  struct log *log; /* gets the progress, where it takes long */
  struct files files;
  struct disk *disk;
  struct disk_found found;
  struct node_restored restored; /* for struct node_options */
  uint64_t started_ms, told_ms, took_ms;
  uint64_t loaded_bytes; /* of the snapshot, by the node */
};

/* Opens the directory, which is this process's alone; its fields are zero before. 0, or CORACLE_EIO after one
 * sentence in `why`: then nothing is open. */
MUST_CHECK int recovery_open(struct recovery *, const char *data_dir, struct log *, char *why,
                             size_t why_bytes);
/* Tells what was found. */
void recovery_log(const struct recovery *, struct log *);
/* When the node has it: what was read goes. */
void recovery_done(struct recovery *);
/* At the very end. Nothing is written. */
void recovery_close(struct recovery *);

#endif
