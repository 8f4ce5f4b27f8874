/* The write-ahead log: segments `log/NNNNNNNNNNNNNNNN` (their number, 16 hexadecimal digits), the newest of
 * which is written to, and `log/spare`, a segment made in advance.
 *
 * A segment gets its name when its header is durable, so one with a bad header is damaged. The segment before
 * was synced with every frame, so it is complete. When there is no room for the spare, the log is about to be
 * full: what is left of the newest segment is for what is under way. */
#ifndef CORACLE_DISK_LOG_H
#define CORACLE_DISK_LOG_H

#include "disk/segment.h"

enum { LOG_SEGMENT_BYTES = 16 * 1024 * 1024 };

struct log;

struct log_options {
  struct stamp stamp;
  uint64_t segment_bytes; /* a multiple of 512; 0: LOG_SEGMENT_BYTES */
  uint64_t salt_seed;     /* random: of the salts */
  uint64_t number_min; /* meta's: a segment of this number or a higher one must be there; 0: none need be */
  /* Told while a long log is read: bytes done, of all. NULL: nobody. */
  void (*progress)(void *argument, uint64_t done_bytes, uint64_t all_bytes);
  void *progress_argument;
};

/* What a log held: the entries after the snapshot's index, and where it ends. */
struct log_found {
  struct coracle_raft_entry **entries; /* owned, with a reference to each: log_found_close() */
  size_t entries_n;
  uint64_t cut_bytes; /* a torn frame of so many bytes was left out; 0: none was */
  char cut_name[FILES_NAME_BYTES_MAX];
  uint64_t cut_offset;
  uint64_t bytes; /* that were written of the segments read */
};
void log_found_close(struct log_found *);

/* Reads what there is, after a snapshot of that index and term (0: without one), removes what is left over
 * (segments of earlier generations, the spare), and leaves out a torn frame. Where the snapshot is not the
 * end of the log's story (a crash between its rename and its record) the rule of Figure 5.3 of the
 * dissertation applies: the log is kept if it has the snapshot's last entry, else all of it goes; with the
 * SNAPSHOT record it is as that says.
 *
 * CORACLE_EDAMAGED: damage, a gap, a segment missing or of another node, cluster or later generation, entries
 * that do not follow: the fault names file, offset and remedy. CORACLE_EIO, CORACLE_ELIMIT.
 *
 * What it found is durable then: the last frame is written again, since the process that wrote it may have
 * ended before it was synced, or because it could not be. Nothing is allocated on the disk before the first
 * append. */
MUST_CHECK int log_open(const struct files *, const struct log_options *, uint64_t snapshot_index,
                        uint64_t snapshot_term, struct log **, struct log_found *, struct disk_fault *);
/* An empty log of another generation beside that one, whose segments stay until log_clear() (and whose spare
 * is its no more): its own are numbered after them. Nothing is on the disk before its first append; and if
 * that generation never comes into force, its one segment is left over, and removed by the next log_open().
 */
struct log *log_begin(struct log *, const struct stamp *);
void log_free(struct log *); /* NULL is fine; closes its files */

/* Makes the records durable: one frame, one write, one sync; with a new segment first, if it does not fit.
 * At most FRAME_RECORDS_BYTES_MAX of them. CORACLE_EFULL: there is no room, and nothing has changed: it may
 * be called again. CORACLE_EIO: the log must not be used any more.
 *
 * last_index: of the log after these records, as who made them has it; that they say so is asserted. */
struct log_append {
  const void *records;
  size_t n;
  uint64_t last_index;
};
MUST_CHECK int log_append(struct log *, const struct log_append *, struct disk_fault *);
/* The number of the newest segment; 0: there is none. Whoever keeps the meta files notes it there when it has
 * changed, before what was appended is acknowledged. */
uint64_t log_number(const struct log *);

/* Removes segments that a snapshot of that index, which is in place, makes needless; never the newest. */
MUST_CHECK int log_remove(struct log *, uint64_t index, struct disk_fault *);
/* Makes the spare if there is none. CORACLE_EFULL when there is no room; CORACLE_EIO. */
MUST_CHECK int log_make_spare(struct log *, struct disk_fault *);

/* The names of segments, in order: "log/..." of each, *n of them; freed with free() each and all.
 * CORACLE_EIO. */
MUST_CHECK int log_list(const struct files *, char ***names, size_t *n, struct disk_fault *);
void log_name(uint64_t number, char name[FILES_NAME_BYTES_MAX]);
/* Removes all segments and the spare that are not of this generation. */
MUST_CHECK int log_clear(const struct files *, uint64_t generation_kept, struct disk_fault *);

#endif
