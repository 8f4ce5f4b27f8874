/* What every file of a data directory begins with: whose it is, and of which life of that directory.
 *
 *   offset  bytes
 *   0       4      which kind of file: "CRCM" meta, "CRCL" log segment, "CRCS" snapshot
 *   4       4      version of the format: 1
 *   8       8      node id
 *   16      16     cluster id; zero: none
 *   32      8      generation
 *
 * Integers are little-endian. The generation grows by one whenever the node takes another identity (it founds
 * or joins a cluster, or leaves one): the meta files name the one in force, all at once, and what is of an
 * earlier one is left over, to be removed. Checksums are XXH3-64. */
#ifndef CORACLE_DISK_STAMP_H
#define CORACLE_DISK_STAMP_H

#include "base/codec.h"
#include "base/error.h"

enum { DISK_VERSION = 1, DISK_CLUSTER_BYTES = 16, STAMP_BYTES = 40 };

struct stamp {
  uint64_t id;
  uint8_t cluster[DISK_CLUSTER_BYTES];
  uint64_t generation;
};

/* What was wrong, for people: one sentence with file, offset, and what to do. */
struct disk_fault {
  char text[1024];
};
__attribute__((format(printf, 2, 3))) void disk_fault_set(struct disk_fault *, const char *format, ...);
/* "cannot DOING NAME: " and what the negative errno value means; CORACLE_EFULL when that is a full disk
 * (files_is_full()), else CORACLE_EIO. */
MUST_CHECK int disk_fault_system(struct disk_fault *, int error, const char *doing, const char *name);

extern const char stamp_meta[4], stamp_segment[4], stamp_snapshot[4];

void stamp_put(struct bytes *, const char kind[4], const struct stamp *);
/* CORACLE_EMALFORMED when it is not of that kind; CORACLE_ELIMIT when a newer version wrote it (the fault
 * says which). The caller has verified a checksum over it, or does so before believing it. */
MUST_CHECK int stamp_get(struct reader *, const char kind[4], const char *name, struct stamp *,
                         struct disk_fault *);
bool stamp_equal(const struct stamp *, const struct stamp *);

#endif
