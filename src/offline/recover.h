/* `coracle recover`: makes a node that has lost the majority of its cluster the only voter of a new cluster,
 * with all that it has.
 *
 * The new cluster's state is what the node would have if it led the next term, alone: every entry of its log
 * counts as committed, the last of them is a configuration of this one member, and all of it is in one
 * snapshot. Documents keep their revisions, and idempotency keys are remembered. Cluster and node get ids
 * that nobody has seen: of the old ones others may know, and may count on what was promised under them.
 * disk_replace() puts it in place at one stroke. */
#ifndef CORACLE_OFFLINE_RECOVER_H
#define CORACLE_OFFLINE_RECOVER_H

#include "disk/disk.h"
#include "store/store.h"

#include <stdio.h>

struct recover_options {
  const char *path;
  bool yes; /* do not ask */
  /* As struct inspect_options has it. */
  bool (*name_member)(const struct coracle_raft_member *, struct bytes *name);
};

/* Tells what there is and what will be lost, asks on the terminal, and does it. The status to exit with: 0
 * done, 1 not done. */
int recover(const struct recover_options *);

/* ---- Without a terminal ---- */

/* What a node has to go on with. */
struct recovery {
  uint64_t id;
  uint8_t cluster[DISK_CLUSTER_BYTES];
  uint64_t term;
  uint64_t last_index, snapshot_index;
  uint64_t documents, document_bytes, keys, revision;
  struct coracle_raft_configuration configuration; /* the latest in its log */
  char cut[sizeof((struct disk_found *)0)->cut];
};

/* New, and random. */
struct recovery_identity {
  uint64_t id; /* not zero */
  uint8_t cluster[DISK_CLUSTER_BYTES];
  uint64_t start_min; /* as in struct disk_options */
  uint64_t salt_seed;
};

/* Finds it out, and changes nothing. CORACLE_ENOTFOUND: there is nothing to recover, and the fault says why;
 * else as disk_open(). `key`: random bytes. */
MUST_CHECK int recovery_look(const struct files *, const uint8_t key[STORE_HASH_KEY_BYTES], struct recovery *,
                             struct disk_fault *);
/* Finds it out again and does it; opens the directory then, as a start would. If that crashes at any moment,
 * the directory holds what it held, or what it is to hold. Errors as recovery_look(), and CORACLE_EFULL:
 * nothing has changed. */
MUST_CHECK int recovery_carry_out(const struct files *, const struct recovery_identity *,
                                  const uint8_t key[STORE_HASH_KEY_BYTES], struct disk_fault *);

#endif
