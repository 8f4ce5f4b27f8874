/* Patches of JSON documents: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7396), on texts.
 *
 * What a patch does not touch keeps its bytes: spelling of numbers, escapes, order of members, and white
 * space within values that are not touched. What it adds has the bytes that it has in the patch.
 *
 * A large patch of a large document may take seconds, so it goes in slices:
 *
 *     struct json_patch *patch = json_patch_new(JSON_PATCH, document, operations, bytes_max, seed);
 *     while (json_patch_go_on(patch, &budget) == JSON_PATCH_MORE) ...   // next turn: a new budget
 *     json_patch_result(patch) or json_patch_fault(patch)
 *
 * The document as a whole is never changed in part: there is a result when all operations have succeeded,
 * else none (RFC 6902, section 5). */
#ifndef CORACLE_JSON_PATCH_H
#define CORACLE_JSON_PATCH_H

#include "json/text.h"

enum {
  JSON_PATCH_OPERATIONS_MAX = 4096,
  JSON_PATCH_WORK_MAX = 256, /* units, for each byte of the two texts and of 64 KiB: then it is TOO_MUCH */
};

enum json_patch_kind { JSON_PATCH, JSON_MERGE_PATCH };

enum json_patch_fault_kind {
  JSON_PATCH_INVALID,     /* it is no patch: not an array, no "op", a pointer that is none, ... */
  JSON_PATCH_TEST_FAILED, /* a "test" found another value */
  JSON_PATCH_NO_TARGET,   /* a path or from leads nowhere */
  JSON_PATCH_INTO_ITSELF, /* "move" of a value into one of its own parts */
  JSON_PATCH_TOO_LARGE,   /* the result would have more than result_bytes_max */
  JSON_PATCH_TOO_DEEP,    /* over JSON_DEPTH_MAX */
  JSON_PATCH_TOO_MANY,    /* members in one object: over JSON_MEMBERS_MAX */
  JSON_PATCH_TOO_MUCH,    /* work: operations that look at all of a large document, thousands of times */
};

struct json_patch_fault {
  enum json_patch_fault_kind kind;
  size_t operation;   /* its index, of a JSON_PATCH; else 0 */
  const char *detail; /* static: a sentence */
};

enum json_patch_progress {
  JSON_PATCH_MORE,
  JSON_PATCH_DONE,
  JSON_PATCH_FAILED,
};

struct json_patch;

/* Both texts have passed json_check(), are trimmed, and are the caller's until it is freed. The document may
 * be any value. `seed` as in json_check(). Released with json_patch_free(). */
struct json_patch *json_patch_new(enum json_patch_kind, struct slice document, struct slice patch,
                                  size_t result_bytes_max, const uint8_t seed[JSON_SEED_BYTES]);
void json_patch_free(struct json_patch *); /* NULL is fine */

/* Works off about *budget units (of a byte of text looked at, or a few nanoseconds) and takes them off it. To
 * be called again while it returns MORE: any budget but 0 gets it on. A single step may overdraw the budget,
 * and leaves 0 then: by a quarter of the longer text, whose bytes are only stepped over, four of them in a
 * unit; by as much as a string or a number has bytes. */
enum json_patch_progress json_patch_go_on(struct json_patch *, size_t *budget);

/* After DONE: the text. Borrowed until it is freed. */
struct slice json_patch_result(const struct json_patch *);
/* After FAILED. */
struct json_patch_fault json_patch_fault(const struct json_patch *);

#endif
