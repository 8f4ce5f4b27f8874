/* The commands of the store, as they stand in log entries: final bytes and explicit conditions, so that
 * applying them asks nothing but the store. The layout is versioned by its first byte; integers are
 * little-endian.
 *
 * To one document (COMMAND_PUT, COMMAND_DELETE):
 *
 *   offset  bytes
 *   0       1      enum command_type
 *   1       1      enum command_condition
 *   2       8      revision, for COMMAND_IF_REVISION; else 0
 *   10      1      n = length of the collection's name, 1 to 128
 *   11      n      collection
 *   11+n    2      m = length of the id, 1 to 512
 *   13+n    m      id
 *   13+n+m  rest   the document's bytes, at least one (COMMAND_PUT); nothing (COMMAND_DELETE)
 *
 * To several at once, all of them or none (COMMAND_TRANSACTION), or each for itself (COMMAND_BATCH):
 *
 *   0       1      enum command_type
 *   1       2      k = operations, 1 to COMMAND_TRANSACTION_MAX or COMMAND_BATCH_MAX
 *   3              k operations:
 *           4      b = bytes of the operation
 *           b      a PUT or a DELETE as above
 *
 * To a whole collection (COMMAND_DROP):
 *
 *   0       1      enum command_type
 *   1       rest   the collection's name
 *
 * Any of these once only, however often it is proposed (COMMAND_ONCE):
 *
 *   0       1      enum command_type
 *   1       16     digest of the client's idempotency key
 *   17      16     digest of the request
 *   33      16     note: whatever the proposer wants to be told when the same comes again
 *   49      rest   the command, of another type than this */
#ifndef CORACLE_STORE_COMMAND_H
#define CORACLE_STORE_COMMAND_H

#include "base/bytes.h"
#include "base/error.h"

enum { COLLECTION_BYTES_MAX = 128, DOCUMENT_ID_BYTES_MAX = 512 };

enum {
  COMMAND_TRANSACTION_MAX = 128, /* operations; no two of them on one document */
  COMMAND_BATCH_MAX = 256,       /* operations, in order; a document may come in several */
  COMMAND_DIGEST_BYTES = 16,
};

enum command_type {
  COMMAND_PUT = 1,
  COMMAND_DELETE = 2,
  COMMAND_TRANSACTION = 3,
  COMMAND_BATCH = 4,
  COMMAND_DROP = 5,
  COMMAND_ONCE = 6, /* on the wire only: see struct command_once */
};

enum command_condition {
  COMMAND_ALWAYS = 0,
  COMMAND_IF_ABSENT = 1,   /* If-None-Match: *; fails as PRECONDITION_FAILED */
  COMMAND_IF_PRESENT = 2,  /* If-Match: * */
  COMMAND_IF_REVISION = 3, /* If-Match: "17" */
  COMMAND_CREATE = 4,      /* a POST: like IF_ABSENT, but fails as EXISTS; COMMAND_PUT only */
  COMMAND_IF_BASE = 5,     /* the body was computed from the document at that revision: like IF_REVISION, but
                              fails     as BASE_MOVED, which is no answer to a client; COMMAND_PUT only */
};

/* A key that a client has given to a request, so that it takes effect once however often it is sent. */
struct command_once {
  uint8_t key[COMMAND_DIGEST_BYTES];     /* digest of the key */
  uint8_t request[COMMAND_DIGEST_BYTES]; /* digest of everything in the request that its effect depends on */
  uint8_t note[COMMAND_DIGEST_BYTES];    /* the proposer's, kept with the outcome */
};

struct command {
  enum command_type type;           /* not ONCE */
  enum command_condition condition; /* PUT, DELETE */
  uint64_t revision;                /* COMMAND_IF_REVISION, COMMAND_IF_BASE */
  struct slice collection;          /* not owned; PUT, DELETE, DROP */
  struct slice id;                  /* not owned; PUT, DELETE */
  struct slice body;                /* not owned; PUT */
  /* TRANSACTION, BATCH: each a PUT or a DELETE. To encode: the caller's. Decoded: NULL, and the operations
   * are read one after the other with command_next(). */
  const struct command *operations;
  size_t operations_n;
  struct slice encoded_operations; /* decoded TRANSACTION, BATCH: within the data; checked to the end */
  const struct command_once *once; /* to encode, the caller's: NULL: it has no key */
};

/* Bytes that command_encode() will write. */
size_t command_size(const struct command *);
/* Writes exactly command_size() bytes. Asserts that command_decode() would take it: what no node can apply
 * must never reach the log, where it would stop all of them. */
void command_encode(const struct command *, uint8_t *out);
/* Slices of *command point into `data`. `*has_once` says whether there is a key, which is then in *once;
 * command->once stays NULL. Everything is checked, each operation too; that no two operations of a
 * TRANSACTION are on one document is not, it is store_apply()'s. CORACLE_EMALFORMED when it is no command. */
MUST_CHECK int command_decode(const void *data, size_t bytes, struct command *command,
                              struct command_once *once, bool *has_once);
/* Takes the next operation of a decoded TRANSACTION or BATCH off the front of *encoded, a copy of its
 * encoded_operations; false at the end. */
bool command_next(struct slice *encoded, struct command *operation);

/* The rules for names: a collection is 1 to 128 bytes of letters, digits, '-', '_' and '.', not "." or "..";
 * an id is 1 to 512 bytes of UTF-8 without control characters (below 0x20, 0x7f), and not "." or "..". */
bool collection_name_is_valid(struct slice);
bool document_id_is_valid(struct slice);

#endif
