/* `coracle inspect`: tells what is in a data directory, and what is wrong with it. It only reads, so it may
 * be used on one that a node is using; what that node is writing at the moment may then look like damage. */
#ifndef CORACLE_OFFLINE_INSPECT_H
#define CORACLE_OFFLINE_INSPECT_H

#include "base/bytes.h"
#include "coracle/raft.h"
#include "disk/files.h"
#include "store/store.h"

#include <stdio.h>

struct inspect_options {
  const char *path;
  bool json;
  bool log;          /* the entries of the log, one a line, instead of all the rest */
  uint64_t from, to; /* of these, those of such indexes */
  /* Appends what a member is called, to which its data belongs. False: nobody can say. NULL: the same. */
  bool (*name_member)(const struct coracle_raft_member *, struct bytes *name);
};

enum inspect_status { INSPECT_SOUND = 0, INSPECT_DAMAGED = 1, INSPECT_IMPOSSIBLE = 2 };

/* To standard output; why it is impossible, or the log's damage, to standard error. */
enum inspect_status inspect(const struct inspect_options *);

/* The same, of an open directory and to any file. `in_use`: a process is using it. */
enum inspect_status inspect_files(const struct files *, const struct inspect_options *, bool in_use,
                                  const uint8_t key[STORE_HASH_KEY_BYTES], FILE *out, FILE *err);

#endif
