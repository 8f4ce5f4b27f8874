/* A log on a disk in memory, beside what it must hold: for tests of disk/log.h.
 *
 * The data of an entry follows from its index and term, so that what comes back can be judged by these. */
#ifndef CORACLE_TEST_LOG_CASE_H
#define CORACLE_TEST_LOG_CASE_H

#include "base/random.h"
#include "disk/log.h"
#include "fake_files.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { LOG_CASE_ENTRIES_MAX = 4096, LOG_CASE_SEGMENT_BYTES = 4096 };

/* The log as it must be: entries after `base`, each with its term. */
struct log_model {
  uint64_t base, last;
  uint64_t terms[LOG_CASE_ENTRIES_MAX];   /* by index */
  uint64_t snapshot_index, snapshot_term; /* the newest snapshot that is in place */
};

struct log_case {
  struct fake_files *disk;
  struct log_options options;
  struct log *log; /* NULL while it is not open */
  struct log_found found;
  struct disk_fault fault;
  struct log_model model;
  size_t data_bytes; /* of an entry, about; 0: as its index says */
};

/* A directory with an empty folder log/, nothing open. */
void log_case_begin(struct log_case *, uint64_t seed);
void log_case_end(struct log_case *);

/* Closes it if it is open, and opens it; found is new. */
int log_case_open(struct log_case *);
void log_case_close(struct log_case *);
/* Does what was found agree with the model? Entries that the snapshot includes may be missing. */
bool log_case_agrees(const struct log_case *, const struct log_model *);
/* Opens it: it must be what the model says. */
void log_case_expect(struct log_case *);
/* Opens it: it must be refused as damaged, and the fault must hold those words. */
void log_case_expect_damage(struct log_case *, const char *words);

/* Each is one log_append(); when it succeeds the model goes on too, and options.number_min, as a node's meta
 * files would. */
int log_case_add(struct log_case *, uint64_t entries_n, uint64_t term);
/* Entries from `index` on are no more, and so many of that term follow. */
int log_case_replace(struct log_case *, uint64_t index, uint64_t entries_n, uint64_t term);
/* The record that follows a snapshot's taking its place: the model's is set before. */
int log_case_snapshot(struct log_case *, bool keep);
/* The snapshot takes its place, as far as the model is concerned. */
void log_case_place_snapshot(struct log_case *, uint64_t index, uint64_t term, bool keep);
/* What the model would be after them. */
void log_model_add(struct log_model *, uint64_t entries_n, uint64_t term);
void log_model_truncate(struct log_model *, uint64_t index);

/* Segments 1 to 4, with truncations, of which the last has some frames and ends in zeros. Closed. */
void log_case_sample(struct log_case *);
const char *log_case_segment(uint64_t number); /* its name, until the next call */

/* For what must succeed. */
#define ok(call) assert_int_equal((call), 0)

#endif
