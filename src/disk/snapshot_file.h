/* Snapshots on disk: `snapshot/IIIIIIIIIIIIIIII` (the index, 16 hexadecimal digits), written as
 * `snapshot/incoming` and renamed when it is complete and durable.
 *
 *   offset  bytes
 *   0       40     stamp ("CRCS")
 *   40      8      index: the last log entry it includes
 *   48      8      term: of that entry
 *   56      8      bytes: of the image
 *   64      8      tag: of the image
 *   72      8      configuration index
 *   80      4      c: bytes of the configuration
 *   84      c      configuration, as a log entry holds it
 *   84+c    8      checksum of all before: the seed of those that follow
 *                  blocks: 256 KiB of the image each, the last what is left; behind each its checksum, 8
 * bytes, seeded with the seed plus the block's number from 0
 *
 * There is nothing after the last block. An empty image has no blocks. */
#ifndef CORACLE_DISK_SNAPSHOT_FILE_H
#define CORACLE_DISK_SNAPSHOT_FILE_H

#include "coracle/raft.h"
#include "disk/files.h"
#include "disk/stamp.h"

enum { SNAPSHOT_BLOCK_BYTES = 256 * 1024 };

void snapshot_name(uint64_t index, char name[FILES_NAME_BYTES_MAX]);

/* ---- Writing ---- */

struct snapshot_writer;

/* Begins `snapshot/incoming` anew, in place of one that was begun, and takes the room for all of it.
 * CORACLE_EFULL (then there is none, and nothing is begun), CORACLE_EIO. */
MUST_CHECK int snapshot_writer_new(const struct files *, const struct stamp *,
                                   const struct coracle_raft_snapshot *, struct snapshot_writer **,
                                   struct disk_fault *);
/* NULL is fine; the file stays, to be replaced or removed. */
void snapshot_writer_free(struct snapshot_writer *);
const struct coracle_raft_snapshot *snapshot_writer_of(const struct snapshot_writer *);
uint64_t snapshot_writer_offset(const struct snapshot_writer *); /* of the image: so many bytes were taken */
/* The next bytes of the image; whole blocks are written, and synced so that the last sync is not a long one.
 * CORACLE_EFULL: nothing of it was taken, and it may be called again. CORACLE_EIO. */
MUST_CHECK int snapshot_writer_append(struct snapshot_writer *, const void *data, size_t n,
                                      struct disk_fault *);
/* After the last byte: makes it durable under its name. CORACLE_EFULL (call again), CORACLE_EIO. */
MUST_CHECK int snapshot_writer_finish(struct snapshot_writer *, struct disk_fault *);

/* ---- Reading ---- */

struct snapshot_reader;

/* Opens the snapshot file of that name, and checks its header and length. CORACLE_EDAMAGED, CORACLE_ELIMIT (a
 * newer version), CORACLE_EIO. */
MUST_CHECK int snapshot_reader_open(const struct files *, const char *name, struct snapshot_reader **,
                                    struct disk_fault *);
void snapshot_reader_free(struct snapshot_reader *); /* NULL is fine */
const struct coracle_raft_snapshot *snapshot_reader_of(const struct snapshot_reader *);
const struct stamp *snapshot_reader_stamp(const struct snapshot_reader *);
/* The next block, checked; n == 0 at the end. Borrowed until the next call. CORACLE_EDAMAGED, CORACLE_EIO. */
MUST_CHECK int snapshot_reader_next(struct snapshot_reader *, struct slice *block, struct disk_fault *);
void snapshot_reader_rewind(struct snapshot_reader *);

/* ---- The folder ---- */

/* The indexes of the snapshots, ascending; *indexes freed with free(). What is in the folder and is no
 * snapshot (but for `incoming`) is a fault: CORACLE_EDAMAGED. CORACLE_EIO. */
MUST_CHECK int snapshot_list(const struct files *, uint64_t **indexes, size_t *n, struct disk_fault *);
/* Removes all of them below that index, and `incoming` if asked to. CORACLE_EIO, CORACLE_EDAMAGED as above,
 * and on file systems where removing takes room, CORACLE_EFULL. */
MUST_CHECK int snapshot_remove_before(const struct files *, uint64_t index, bool incoming,
                                      struct disk_fault *);

#endif
