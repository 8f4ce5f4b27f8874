/* The commands of the store, as they stand in log entries: final bytes and explicit conditions, so that
 * applying them asks nothing but the store. The layout is versioned by its first byte; integers are
 * little-endian.
 *
 *   offset  bytes
 *   0       1      enum command_type
 *   1       1      enum command_condition
 *   2       8      revision, for COMMAND_IF_REVISION; else 0
 *   10      1      n = length of the collection's name, 1 to 128
 *   11      n      collection
 *   11+n    2      m = length of the id, 1 to 512
 *   13+n    m      id
 *   13+n+m  rest   the document's bytes, at least one (COMMAND_PUT); nothing (COMMAND_DELETE) */
#ifndef CORACLE_STORE_COMMAND_H
#define CORACLE_STORE_COMMAND_H

#include "base/bytes.h"
#include "base/error.h"

enum { COLLECTION_BYTES_MAX = 128, DOCUMENT_ID_BYTES_MAX = 512 };

enum command_type { COMMAND_PUT = 1, COMMAND_DELETE = 2 };

enum command_condition {
  COMMAND_ALWAYS = 0,
  COMMAND_IF_ABSENT = 1,   /* If-None-Match: *; fails as PRECONDITION_FAILED */
  COMMAND_IF_PRESENT = 2,  /* If-Match: * */
  COMMAND_IF_REVISION = 3, /* If-Match: "17" */
  COMMAND_CREATE = 4,      /* a POST: like IF_ABSENT, but fails as EXISTS; COMMAND_PUT only */
};

struct command {
  enum command_type type;
  enum command_condition condition;
  uint64_t revision;       /* COMMAND_IF_REVISION */
  struct slice collection; /* not owned */
  struct slice id;         /* not owned */
  struct slice body;       /* not owned */
};

/* Bytes that command_encode() will write. */
size_t command_size(const struct command *);
/* Writes exactly command_size() bytes. Asserts that command_decode() would take it: what no node can apply
 * must never reach the log, where it would stop all of them. */
void command_encode(const struct command *, uint8_t *out);
/* Slices of *command point into `data`. CORACLE_EMALFORMED when it is no command. */
MUST_CHECK int command_decode(const void *data, size_t bytes, struct command *command);

/* The rules for names: a collection is 1 to 128 bytes of letters, digits, '-', '_' and '.', not "." or "..";
 * an id is 1 to 512 bytes of UTF-8 without control characters (below 0x20, 0x7f), and not "." or "..". */
bool collection_name_is_valid(struct slice);
bool document_id_is_valid(struct slice);

#endif
