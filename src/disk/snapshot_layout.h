/* The layout of a snapshot file, for its reader and its writer. Private to disk/. */
#ifndef CORACLE_DISK_SNAPSHOT_LAYOUT_H
#define CORACLE_DISK_SNAPSHOT_LAYOUT_H

#include "disk/snapshot_file.h"

enum {
  SNAPSHOT_CHECKSUM_BYTES = 8,
  SNAPSHOT_FIXED_BYTES = 84, /* of the header: what is before the configuration */
  SNAPSHOT_CONFIGURATION_BYTES_MAX =
      2 + CORACLE_RAFT_MEMBERS_MAX * (11 + CORACLE_RAFT_MEMBER_DATA_MAX), /* raft/configuration.c */
  SNAPSHOT_HEADER_BYTES_MAX =
      SNAPSHOT_FIXED_BYTES + SNAPSHOT_CONFIGURATION_BYTES_MAX + SNAPSHOT_CHECKSUM_BYTES,
  SNAPSHOT_STRIDE_BYTES = SNAPSHOT_BLOCK_BYTES + SNAPSHOT_CHECKSUM_BYTES, /* a block with its checksum */
};
_Static_assert(SNAPSHOT_HEADER_BYTES_MAX <= SNAPSHOT_STRIDE_BYTES, "one buffer does for both");

/* No image has more: lengths beyond would overflow. */
#define SNAPSHOT_BYTES_MAX (UINT64_C(1) << 48)

extern const char snapshot_incoming[];

uint64_t snapshot_block_checksum(const void *block, size_t n, uint64_t seed, uint64_t number);
/* Of the whole file. */
uint64_t snapshot_file_bytes(size_t header_bytes, uint64_t image_bytes);

#endif
