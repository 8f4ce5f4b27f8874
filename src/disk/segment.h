/* One segment of the log: a preallocated file that was all zeros, and is written from its beginning to its
 * end.
 *
 *   offset  bytes
 *   0       40     stamp ("CRCL")
 *   40      8      number: 1 for the first of a data directory, then one more for each, of any generation
 *   48      8      bytes: of the whole file
 *   56      8      chain: header checksum of the last frame before it; 0: the log begins here
 *   64      8      last index of the log before this segment; 0: the log begins here
 *   72      8      term of that entry; 0: there is none, or it is not known (after a truncation)
 *   80      8      salt: random, so that nobody can foresee checksums
 *   88      8      checksum of the 88 bytes before: the seed of all checksums in the segment
 *   96             zeros
 *   512            frames, each from a multiple of 8 on
 *
 * A later version of the format keeps these 96 bytes as they are, but for the version in the stamp.
 *
 * A frame is what was made durable by one write and one sync: there is never more than one under way.
 *
 *   0       4      "CRF" and 1
 *   4       4      n: bytes of the records
 *   8       4      offset of this frame in its segment
 *   12      4      z: how many of the sectors that lie wholly in the records are all zero, as written
 *   16      8      chain: header checksum of the frame before; the segment's checksum for the first
 *   24      8      checksum of the records, seeded with the segment's checksum
 *   32      8      header checksum: of the 32 bytes before, with the same seed
 *   40      n      records
 *   40+n    8      end mark "frameEnd", no byte of which is zero
 *                  zeros up to the next multiple of 8, which are no part of the frame
 *
 * A record is its type, one byte, and then:
 *   1 ENTRY     index 8, term 8, entry type 1, n 4, n bytes: follows the entry before it
 *   2 TRUNCATE  index 8: entries from this one on are no more
 *   3 SNAPSHOT  index 8, term 8, keep 1: the snapshot of that index is in place; if not keep, the log is
 *               empty and goes on after it
 *
 * The end. Sectors are the file's 512-byte units; of those at a frame's ends, what lies in the frame counts.
 * All after the last frame is zero, and a power cut leaves each sector of a frame under way as it was (zero)
 * or as it was to be. The magic number and the end mark are in the first and the last, so none but the z
 * sectors are zero when all was written. A frame that is not good, and after which there is no other, was
 * torn by a power cut if
 * - its header is good, more than z of its sectors are zero, and so is all after it; or
 * - its header is not, one of the sectors that the header's 40 bytes lie in is zero, what there is of the
 * header in the first of them is right, nothing lies further off than the longest frame reaches, and no
 * header of a later frame is found: at each multiple of 8, a magic number, that offset, and a good checksum.
 * A torn frame was never acknowledged: it is left out, and the log goes on in a new segment, whose chain is
 * of the frame before. Anything else is damage: what was acknowledged may be lost, so nothing is left out
 * (Alagappan et al., FAST 2018). What cannot be told from a torn frame is damage at the very end that zeroes
 * whole sectors and leaves no later header behind. */
#ifndef CORACLE_DISK_SEGMENT_H
#define CORACLE_DISK_SEGMENT_H

#include "coracle/raft.h"
#include "disk/files.h"
#include "disk/stamp.h"

enum {
  SEGMENT_HEADER_BYTES = 96,
  SEGMENT_FRAMES_OFFSET = 512,
  SEGMENT_BYTES_MAX = 1024 * 1024 * 1024,
  FRAME_HEADER_BYTES = 40,
  FRAME_END_BYTES = 8,
  FRAME_RECORDS_BYTES_MAX = 8 * 1024 * 1024, /* of one frame; an entry always fits */
};

enum log_record_type { LOG_ENTRY = 1, LOG_TRUNCATE = 2, LOG_SNAPSHOT = 3 };

struct log_record {
  enum log_record_type type;
  uint64_t index, term; /* TRUNCATE has no term */
  uint8_t entry_type;   /* ENTRY */
  struct slice data;    /* ENTRY */
  bool keep;            /* SNAPSHOT */
};

struct segment_header {
  struct stamp stamp;
  uint64_t number, bytes, chain, last_index, last_term, salt;
  uint64_t checksum; /* as read, or as written */
};

/* ---- Writing ---- */

void log_record_put(struct bytes *, const struct log_record *);
/* Sets header->checksum. */
void segment_header_put(struct bytes *, struct segment_header *);
/* Makes a frame of the records: `frame` is set to its bytes, up to the next multiple of 8. Returns its header
 * checksum: the next frame's chain. */
uint64_t frame_put(struct bytes *frame, const struct segment_header *, uint64_t chain, uint64_t offset,
                   const void *records, size_t n);
/* Bytes a frame of n bytes of records takes, padding included. */
uint64_t frame_bytes(size_t records_n);

/* ---- Reading ---- */

/* The next of a frame's records, its data in place. False: there is none, or it cannot be decoded. */
bool log_record_get(struct reader *, struct log_record *);

/* Reads only the header. *good is false, with a fault, where it is damaged. CORACLE_ENOTFOUND,
 * CORACLE_EDAMAGED (no regular file), CORACLE_EIO, CORACLE_ELIMIT (a newer version). */
MUST_CHECK int segment_read_header(const struct files *, const char *name, struct segment_header *,
                                   bool *good, struct disk_fault *);

enum segment_end {
  SEGMENT_CLEAN,
  SEGMENT_TORN,    /* the last frame is to be left out */
  SEGMENT_DAMAGED, /* and fault says where and how */
};

struct segment_scan {
  struct segment_header header;
  bool header_good;
  uint64_t file_bytes;
  uint64_t frames_n;
  uint64_t last;  /* offset of the last good frame; 0: there is none */
  uint64_t end;   /* offset of the first byte after it, a multiple of 8 */
  uint64_t chain; /* its header checksum, or the segment's */
  enum segment_end ending;
  uint64_t torn_bytes; /* TORN: so many from `end` on are not zero, or belong to the frame */
};

/* Reads a whole segment: `record` is called for each record of each good frame, in order; offset is the
 * frame's. Stops when that returns other than 0, and returns that. 0 also for TORN and DAMAGED; else as
 * segment_read_header(). A record that cannot be decoded inside a good frame is DAMAGED. `record`
 * may be NULL. */
MUST_CHECK int segment_read(const struct files *, const char *name,
                            int (*record)(void *argument, const struct log_record *, uint64_t offset),
                            void *argument, struct segment_scan *, struct disk_fault *);

#endif
