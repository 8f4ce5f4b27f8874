/* What disk/ needs of a file system, as a table of functions: so that the simulator's disk, which tears,
 * loses, fills up and fails, runs the very code that real nodes run.
 *
 * Names are relative to the data directory, with '/' between ("log/0000000000000001"). Functions return 0 or
 * a negative errno value unless they say otherwise. Nothing is retried here or by the callers: a sync that
 * failed must not be repeated, since the system may have marked the pages clean (fsyncgate; Rebello et al.,
 * "Can Applications Recover from fsync Failures?", ATC 2020).
 *
 * What survives a power cut: of a file, what was written before its last sync; of a directory's entries
 * (made, renamed, removed), what was so before the directory's last sync. Of the rest any part may be there
 * or not, in units of 512-byte sectors of files and of single entries of directories. */
#ifndef CORACLE_DISK_FILES_H
#define CORACLE_DISK_FILES_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FILES_NAME_BYTES_MAX = 80, FILES_SECTOR_BYTES = 512 };

enum files_mode {
  FILES_READ,   /* it exists, and is a regular file: anything else (a symbolic link, a FIFO) is -EINVAL */
  FILES_UPDATE, /* the same, to read and write */
  FILES_CREATE, /* to read and write; -EEXIST if there is something of that name. Mode 0600 */
};

struct files {
  void *context;
  /* A handle, 0 or more. */
  int (*open)(void *context, const char *name, enum files_mode);
  void (*close)(void *context, int file);
  /* Bytes, or negative. */
  int64_t (*size)(void *context, int file);
  /* So many bytes as there are, up to n: fewer only at the end of the file. Or negative. */
  int64_t (*read)(void *context, int file, uint64_t offset, void *data, size_t n);
  /* All of it, or negative; then any part may have been written. -ENOSPC, -EDQUOT: there is no room. */
  int (*write)(void *context, int file, uint64_t offset, const void *data, size_t n);
  /* Makes the file at least so long; what is new reads as zeros, and writing there will find room. */
  int (*allocate)(void *context, int file, uint64_t bytes);
  /* Data, and as much of the rest as is needed to read it, are durable (fdatasync). */
  int (*sync)(void *context, int file);
  int (*rename)(void *context, const char *from, const char *to); /* replaces `to` */
  int (*remove)(void *context, const char *name);
  int (*make_directory)(void *context, const char *name); /* -EEXIST if it is there */
  /* Its entries are durable. "": the data directory itself. */
  int (*sync_directory)(void *context, const char *name);
  /* Calls `entry` for each name in it (not for "." and ".."), in no order; stops when that returns other than
   * 0, and returns that. */
  int (*list)(void *context, const char *name, int (*entry)(void *argument, const char *name),
              void *argument);
};

/* -ENOSPC or -EDQUOT. */
bool files_is_full(int error);

/* A real directory, which must exist. `path` is copied. 0 or negative errno. */
MUST_CHECK int files_open(const char *path, struct files *);
void files_close(struct files *);

#endif
