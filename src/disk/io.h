/* File operations that say what went wrong: they give CORACLE_... codes, and a fault that names the file.
 * Private to disk/.
 *
 * Room is missing (CORACLE_EFULL) only where a write, a rename or an allocation says so. A sync that says so
 * is a failed sync, CORACLE_EIO: nobody knows what it left behind. */
#ifndef CORACLE_DISK_IO_H
#define CORACLE_DISK_IO_H

#include "disk/files.h"
#include "disk/stamp.h"

/* What to do about damage: the end of a fault. */
#define IO_REMEDY                                                                                            \
  "restore this directory from a copy, or empty it: then the node joins as a new one and gets everything "   \
  "from the others"

/* *file: a handle to read. CORACLE_ENOTFOUND; CORACLE_EDAMAGED when it is no regular file. */
MUST_CHECK int io_open(const struct files *, const char *name, enum files_mode, int *file,
                       struct disk_fault *);
/* A new file, in place of any other of that name. CORACLE_EFULL. */
MUST_CHECK int io_create(const struct files *, const char *name, int *file, struct disk_fault *);
MUST_CHECK int io_size(const struct files *, int file, const char *name, uint64_t *bytes,
                       struct disk_fault *);
/* *got: fewer than n only at the end of the file. */
MUST_CHECK int io_read(const struct files *, int file, const char *name, uint64_t offset, void *data,
                       size_t n, size_t *got, struct disk_fault *);
MUST_CHECK int io_write(const struct files *, int file, const char *name, uint64_t offset, const void *data,
                        size_t n, struct disk_fault *);
MUST_CHECK int io_sync(const struct files *, int file, const char *name, struct disk_fault *);
MUST_CHECK int io_rename(const struct files *, const char *from, const char *to, struct disk_fault *);
/* One that does not exist is removed already. */
MUST_CHECK int io_remove(const struct files *, const char *name, struct disk_fault *);
MUST_CHECK int io_sync_directory(const struct files *, const char *name, struct disk_fault *);

#endif
