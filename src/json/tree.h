/* A JSON value that is being changed: text, until something within it is looked for; then what it consists
 * of. Private to json/.
 *
 *     {"a": 1, "b": [1,2,3]}                      one value, its text
 *     { ["a": 1] [ "b": [1,2,3]] }                opened: a part for each of its members
 *     { ["a": 1] [ "b": [ [1,2,3] ] ] }           "b" opened: up to RUN_VALUES elements share a part
 *     { ["a": 1] [ "b": [ [1] [2] [3] ] ] }       its second element found
 *
 * Parts know the white space around them, so what is written of a value that was opened, and not changed, is
 * its text again. Everything lives in the tree's arena, or in texts of the caller's. Work that may be long is
 * done in slices: such functions take a budget (see patch.h), and return false while there is more to do. */
#ifndef CORACLE_JSON_TREE_H
#define CORACLE_JSON_TREE_H

#include "base/list.h"
#include "json/arena.h"
#include "json/text.h"

enum { RUN_VALUES = 64 };

struct value {
  struct slice text;   /* unless it is opened */
  struct parts *parts; /* NULL: it is not */
};

struct part {
  struct list_link link; /* in parts->list */
  size_t values;         /* that it stands for */
  struct slice run;      /* of more than one, or of one that nobody has looked for: as they stand in the text,
                            commas between them. Else (run.at is NULL) it is made of: */
  struct slice before;   /* white space; of a member its name and colon too */
  struct slice name;     /* of a member: in quotes */
  struct value value;
  struct slice after; /* white space */
  uint64_t hash;      /* of the name */
  struct part *next;  /* in its chain of parts->chains */
};

struct parts {
  bool is_object;
  struct list list;
  size_t n;             /* parts */
  size_t values;        /* elements or members */
  size_t bytes;         /* of all parts as text, without the commas between them */
  struct slice end;     /* white space in front of the bracket at the end */
  struct part **chains; /* of an object: parts by hash of their names */
  size_t chains_n;      /* a power of two */
};

struct tree {
  const uint8_t *seed; /* not owned */
  struct arena arena;
  struct value root;
  struct bytes scratch;
  /* The value that is being opened, if any. */
  struct parts *opening;
  const char *at;
};

void tree_open(struct tree *, struct slice text, const uint8_t seed[JSON_SEED_BYTES]); /* seed: not copied */
void tree_close(struct tree *);

static inline void budget_spend(size_t *budget, size_t units) {
  *budget -= units < *budget ? units : *budget;
}

/* ---- Values ---- */

enum json_type value_type(const struct value *);
size_t value_bytes(const struct value *); /* of its text, as it would be now */

/* Opens an object or array, unless it is; one at a time. */
bool value_open(struct tree *, struct value *, size_t *budget);

/* ---- Parts of an opened value ---- */

/* NULL: there is none of that name. */
struct part *parts_member(const struct parts *, struct slice name_decoded, uint64_t hash);
/* The part of element `index`, which there must be: it stands for that one alone afterwards. */
struct part *parts_element(struct tree *, struct parts *, size_t index, size_t *budget);

/* A new member, at the end; `name` in quotes. There must be none of that name. */
struct part *parts_append_member(struct tree *, struct parts *, struct slice name, uint64_t hash,
                                 struct slice value);
/* A new element in front of `next`; NULL: at the end. */
void parts_insert_element(struct tree *, struct parts *, struct part *next, struct slice value);
void parts_replace(struct parts *, struct part *, struct slice value);
void parts_remove(struct parts *, struct part *);

/* The values that are opened around a place, outermost first. */
struct path {
  struct value *values[JSON_DEPTH_MAX];
  size_t depth;
};
/* The one at that depth has come to have another size than `bytes_before`: makes it known to those around it.
 */
void path_resized(const struct path *, size_t depth, size_t bytes_before);

/* ---- Back to text ---- */

struct writer_level {
  struct parts *parts;
  struct list_link *at; /* of the part to come, or the list's end */
};

/* All zero before and after. */
struct writer {
  char *text, *end; /* NULL: it has not begun; where the next byte goes */
  struct writer_level levels[JSON_DEPTH_MAX];
  size_t depth;
};

/* Makes a value text again, in that arena. */
bool writer_go_on(struct writer *, struct value *, struct arena *, size_t *budget);

#endif
