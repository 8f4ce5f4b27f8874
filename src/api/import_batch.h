/* The lines of an import that go into the log as one entry, with those among them that failed before, and
 * what is answered to each. Private to api/import.c. */
#ifndef CORACLE_API_IMPORT_BATCH_H
#define CORACLE_API_IMPORT_BATCH_H

#include "api/exchange.h"

enum { IMPORT_BATCH_BYTES = 256 * 1024 }; /* of lines; a longer line is a batch of its own */

/* Why a line has failed. */
struct import_failure {
  enum problem problem;
  const char *detail;
  bool has_offset;
  size_t offset; /* within the line */
};

/* Of its text. */
struct import_line {
  uint64_t number;
  bool is_put;     /* else `bytes` from `at` on are its result */
  size_t at;       /* of the id, behind which the document stands */
  size_t id_bytes; /* of a put */
  size_t bytes;    /* of the document, or of the result */
};

/* All zero is an empty one. */
struct import_batch {
  struct bytes text; /* owned */
  struct import_line lines[COMMAND_BATCH_MAX];
  size_t lines_n;
  size_t puts_n;         /* lines that can still succeed */
  uint64_t growth_bytes; /* of the documents, if they do */
};

/* Whether a line of that many bytes is to wait for the next one. */
bool import_batch_is_full(const struct import_batch *, size_t line_bytes);
void import_batch_put(struct import_batch *, uint64_t number, struct slice id, struct slice document);
/* `id`: empty where it is not known. */
void import_batch_fail(struct import_batch *, uint64_t number, struct slice id,
                       const struct import_failure *);
/* Fills in one command a put; they point into the batch. */
void import_batch_commands(const struct import_batch *, struct slice collection, bool replaces,
                           struct command commands[COMMAND_BATCH_MAX]);

/* Appends what became of the lines, a line each, and empties the batch. Either there are operations, one a
 * put, or `all` is why none was done (NULL: there is no put). `minimal`: those that succeeded are left out.
 */
void import_batch_results(struct import_batch *, const struct store_result *,
                          const struct import_failure *all, bool minimal, struct bytes *out);
void import_batch_close(struct import_batch *);

#endif
