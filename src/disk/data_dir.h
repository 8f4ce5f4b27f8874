/* The data directory: made if missing (mode 0700), and locked while a process uses it. */
#ifndef CORACLE_DISK_DATA_DIR_H
#define CORACLE_DISK_DATA_DIR_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>

/* Creates `path` and its missing parents, and takes an exclusive lock on a file `lock` in it, held until
 * data_dir_close() or the end of the process. Returns the lock's file descriptor (>= 0), or CORACLE_EBUSY
 * when another process holds it, CORACLE_EIO for anything else; `why` then holds one sentence naming the path
 * and the system's reason. */
MUST_CHECK int data_dir_open(const char *path, char *why, size_t why_bytes);
void data_dir_close(int lock);

/* Whether a process uses it, without making or keeping anything. CORACLE_ENOTFOUND when there is no such
 * directory, CORACLE_EIO. (For the moment of the question a process that starts on it is told that it is in
 * use.) */
MUST_CHECK int data_dir_look(const char *path, bool *in_use, char *why, size_t why_bytes);

#endif
