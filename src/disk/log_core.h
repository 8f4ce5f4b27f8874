/* What log.c and log_recover.c share. Private to disk/. */
#ifndef CORACLE_DISK_LOG_CORE_H
#define CORACLE_DISK_LOG_CORE_H

#include "base/random.h"
#include "disk/log.h"

#define LOG_FOLDER "log"
#define LOG_SPARE_NAME "spare" /* in it */
#define LOG_SPARE LOG_FOLDER "/" LOG_SPARE_NAME

/* Where a log's story is, record by record. */
struct log_place {
  uint64_t last_index;
  uint64_t last_term; /* of that entry; 0: there is none, or it is not known */
  uint64_t snapshot;  /* the latest that a record tells of; 0: none */
  bool reset;         /* a SNAPSHOT record without keep was the last to change what the log begins with */
};

/* Goes on by one record. NULL, or what is wrong with it, a clause; static. The place is unchanged then. */
const char *log_place_step(struct log_place *, const struct log_record *);

struct log_segment {
  uint64_t number;
  uint64_t last_index, last_term; /* of the log before it, as its header says */
};

/* Can a segment be the first, if a snapshot of that index is in place? If it includes all of the log before;
 * where that ends with the snapshot's very entry, the term must be known, to see whether it is the same one.
 */
bool log_can_begin(uint64_t last_index, uint64_t last_term, uint64_t snapshot_index);

struct log {
  const struct files *files;
  struct log_options options;
  struct random salts;
  struct log_segment *segments; /* ascending; the last is written to */
  size_t segments_n;
  uint64_t number_next; /* of the next segment */
  struct log_place place;

  /* The newest segment. */
  int file; /* -1: there is no segment */
  char name[FILES_NAME_BYTES_MAX];
  struct segment_header header;
  uint64_t end;         /* where the next frame goes */
  uint64_t chain;       /* header checksum of the frame before */
  uint64_t dirty_bytes; /* from `end` on may not be zero: a write found no room */
  bool roll;            /* the next frame goes to a new segment */

  int spare; /* -1: there is none */
  uint64_t spare_bytes;

  /* A snapshot took its place and the crash came before its record: this is it, to go before all others. */
  bool owes_record;
  struct log_record owed;

  bool failed; /* nobody knows any more what is durable */
  struct bytes frame, records;
};

void log_add_segment(struct log *, const struct segment_header *);

/* The numbers of the segments, ascending; *numbers freed with free(). Unless others_allowed, any name that is
 * neither a segment's nor the spare's is CORACLE_EDAMAGED. CORACLE_EIO. */
MUST_CHECK int log_numbers(const struct files *, bool others_allowed, uint64_t **numbers, size_t *n,
                           struct disk_fault *);

#endif
