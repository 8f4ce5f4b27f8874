#include "disk/stamp.h"

#include "disk/files.h"

#include <stdio.h>

const char stamp_meta[4] = {'C', 'R', 'C', 'M'};
const char stamp_segment[4] = {'C', 'R', 'C', 'L'};
const char stamp_snapshot[4] = {'C', 'R', 'C', 'S'};

void disk_fault_set(struct disk_fault *fault, const char *format, ...) {
  va_list args;
  va_start(args, format);
  vsnprintf(fault->text, sizeof fault->text, format, args);
  va_end(args);
  for (char *at = fault->text; *at != '\0'; at++) /* of names that others made */
    if ((unsigned char)*at < ' ' || *at == 127) *at = '?';
}

int disk_fault_system(struct disk_fault *fault, int error, const char *doing, const char *name) {
  disk_fault_set(fault, "cannot %s %s: %s", doing, name, strerror(-error));
  return files_is_full(error) ? CORACLE_EFULL : CORACLE_EIO;
}

void stamp_put(struct bytes *b, const char kind[4], const struct stamp *stamp) {
  bytes_append(b, kind, 4);
  put_u32(b, DISK_VERSION);
  put_u64(b, stamp->id);
  bytes_append(b, stamp->cluster, DISK_CLUSTER_BYTES);
  put_u64(b, stamp->generation);
}

int stamp_get(struct reader *r, const char kind[4], const char *name, struct stamp *stamp,
              struct disk_fault *fault) {
  const uint8_t *magic = get_raw(r, 4);
  const uint32_t version = get_u32(r);
  stamp->id = get_u64(r);
  const uint8_t *cluster = get_raw(r, DISK_CLUSTER_BYTES);
  stamp->generation = get_u64(r);
  if (!reader_ok(r) || memcmp(magic, kind, 4) != 0 || version == 0) {
    disk_fault_set(fault, "%s begins with something else than \"%.4s\" and a version", name, kind);
    return CORACLE_EMALFORMED;
  }
  memcpy(stamp->cluster, cluster, DISK_CLUSTER_BYTES);
  if (version <= DISK_VERSION) return 0;
  disk_fault_set(fault,
                 "%s is of version %u of the format, and this program reads no later one than %d: start the "
                 "newer program that wrote it, or one newer still",
                 name, (unsigned)version, DISK_VERSION);
  return CORACLE_ELIMIT;
}

bool stamp_equal(const struct stamp *a, const struct stamp *b) {
  return a->id == b->id && a->generation == b->generation &&
         memcmp(a->cluster, b->cluster, DISK_CLUSTER_BYTES) == 0;
}
