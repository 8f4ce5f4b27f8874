/* What disk.c and recovery.c share. Private to disk/. */
#ifndef CORACLE_DISK_CORE_H
#define CORACLE_DISK_CORE_H

#include "disk/disk.h"
#include "disk/log.h"
#include "disk/meta.h"

struct disk {
  const struct files *files;
  struct disk_options options;
  struct meta meta; /* as durable, or as being written */
  struct log *log;
  uint64_t last_index;            /* of the log */
  struct snapshot_writer *writer; /* NULL: no image is under way */
  uint64_t refused_index;         /* of an own image there was no room for; 0: none */
  bool image_refused;             /* to be told */
  uint64_t removable; /* a snapshot of this index has made others, and segments, needless; 0: none has */
  size_t step;        /* of the batch under way: those before are durable */
};

#endif
