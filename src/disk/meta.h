/* The meta files: identity, start number, term and vote, and how much of the rest there must be.
 *
 * `meta-1` and `meta-2` are written in turn (odd sequences to the first, even ones to the second), each
 * holding the same record twice, 4096 bytes apart, in one write and one sync. Their space is taken when they
 * are made, so a full disk is no obstacle to a vote. The newest good record counts.
 *
 * Torn or damaged. A sector is written whole or not at all, so a torn write leaves old records and new ones,
 * never a bad one: a bad one is damage. While its twin is good it does no harm: the twin is as new, or what
 * was lost had not been acknowledged. A file without a good one may have held the newest vote, and is refused
 * (protocol-aware recovery: Alagappan et al., FAST 2018). The newest and the next to newest record stand in
 * different files and one sequence apart: anything else was put together from two copies, and is refused too.
 *
 * What a process reads may be in memory only, if the one before it ended between a write and its sync, or
 * after a sync that failed. So whoever reads to go on from there first writes the newest record again, where
 * it is.
 *
 *   offset  bytes
 *   0       40     stamp ("CRCM")
 *   40      8      sequence: 1, then one more with every write
 *   48      8      start number: grows with every start of the process
 *   56      8      term
 *   64      8      id voted for in it; 0: nobody
 *   72      8      segment: the log has a segment of this number, or of a higher one; 0: none yet
 *   80      8      snapshot: there is a snapshot of this index, or of a higher one; 0: none yet
 *   88      8      checksum of the 88 bytes before
 *
 * Each record stands at the beginning of a 4096-byte block, the rest of which is zero; the files have two. */
#ifndef CORACLE_DISK_META_H
#define CORACLE_DISK_META_H

#include "disk/files.h"
#include "disk/stamp.h"

enum { META_RECORD_BYTES = 96, META_BLOCK_BYTES = 4096, META_FILE_BYTES = 2 * META_BLOCK_BYTES };

struct meta {
  struct stamp stamp;
  uint64_t sequence, start, term, voted_for, segment, snapshot;
};

/* What a meta file holds. */
struct meta_file {
  bool exists;
  uint64_t bytes; /* META_FILE_BYTES, or it is damaged */
  bool good[2];   /* its blocks: the checksum is right, and what is behind the record is zero */
  struct meta records[2];
};

void meta_encode(const struct meta *, uint8_t record[META_RECORD_BYTES]);
/* CORACLE_EMALFORMED, or CORACLE_ELIMIT for a newer version's, with the fault. */
MUST_CHECK int meta_decode(const uint8_t record[META_RECORD_BYTES], const char *name, struct meta *,
                           struct disk_fault *);

const char *meta_name(int file); /* 0, 1: "meta-1", "meta-2" */
/* Looks at one of them. 0, also when it does not exist or holds nothing good; CORACLE_EDAMAGED when it is no
 * regular file; CORACLE_EIO; CORACLE_ELIMIT (a newer version). */
MUST_CHECK int meta_look(const struct files *, int file, struct meta_file *, struct disk_fault *);
/* The newest of both that were looked at. *damaged_n: bad or outdated records that did no harm, to be told.
 * CORACLE_ENOTFOUND when there is no meta file, or only the first of a directory's first start;
 * CORACLE_EDAMAGED when the newest may be lost. */
MUST_CHECK int meta_newest(const struct meta_file looked_at[2], struct meta *, int *damaged_n,
                           struct disk_fault *);
/* The newest, to go on from: it is durable, and both its copies are good. As meta_look() and meta_newest(),
 * and CORACLE_EIO. */
MUST_CHECK int meta_read(const struct files *, struct meta *, int *damaged_n, struct disk_fault *);

/* Makes both files, durably, of sequence 1 (meta->sequence is set): meta-2 and then meta-1, each under
 * another name first. What is left of an attempt before is replaced. CORACLE_EFULL, CORACLE_EIO. */
MUST_CHECK int meta_make(const struct files *, struct meta *, struct disk_fault *);
/* Writes meta with the next sequence (which it sets) to the file whose turn it is, and syncs. CORACLE_EIO. */
MUST_CHECK int meta_write(const struct files *, struct meta *, struct disk_fault *);

#endif
