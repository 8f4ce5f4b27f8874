/* What is in a data directory, as far as it can be read: every file by itself, so that damage in one does not
 * hide what is in the others, and what a start would make of it. Nothing is changed. */
#ifndef CORACLE_OFFLINE_SURVEY_H
#define CORACLE_OFFLINE_SURVEY_H

#include "disk/disk.h"
#include "disk/meta.h"
#include "disk/segment.h"
#include "store/store.h"

struct survey_segment {
  char name[FILES_NAME_BYTES_MAX];
  struct segment_scan scan;
  /* Of what its good frames hold. Entries may have been truncated again since. */
  uint64_t entries_n, first_index, last_index, first_term, last_term, truncates_n, snapshots_n;
  bool left_over; /* of a generation that is not in force */
  bool damaged;
};

struct survey_snapshot {
  char name[FILES_NAME_BYTES_MAX];
  uint64_t file_bytes;
  bool header_good; /* then: */
  struct coracle_raft_snapshot snapshot;
  bool left_over;
  bool damaged;
  bool image_good; /* then: */
  uint64_t documents, document_bytes, keys, revision;
  struct state_hash state_hash;
};

struct survey_other {
  char name[FILES_NAME_BYTES_MAX];
  uint64_t bytes;
  const char *what;
};

struct survey {
  struct meta_file metas[2];
  bool meta_known;
  struct meta meta;
  int harmless_n; /* bad copies of a meta record whose twins are good */

  struct survey_segment *segments; /* in the order of their numbers */
  size_t segments_n;
  struct survey_snapshot *snapshots; /* in the order of their indexes */
  size_t snapshots_n;
  struct survey_other *others; /* temporaries, leftovers, and what is none of ours */
  size_t others_n;
  uint64_t files_n, bytes; /* all of them */

  char **damage; /* sentences */
  size_t damage_n;

  /* What a start on it would do: what opening it says, and is found then. */
  int start_error;
  struct disk_fault start_fault;
  bool start_makes; /* it is empty: a new node's */
  char start_cut[sizeof((struct disk_found *)0)->cut];
  uint64_t start_snapshot_index;
  uint64_t start_entries_n; /* after that */
  uint64_t start_last_index;
};

/* Looks at all of it. `key`: random bytes. CORACLE_EIO, with the fault, when the directory cannot even be
 * listed. */
MUST_CHECK int survey_new(const struct files *, const uint8_t key[STORE_HASH_KEY_BYTES], struct survey **,
                          struct disk_fault *);
void survey_free(struct survey *); /* NULL is fine */

#endif
