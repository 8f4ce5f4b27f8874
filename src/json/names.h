/* Names of members that must not be there twice: of the object that is being read, and of all around it.
 * Private to json/. */
#ifndef CORACLE_JSON_NAMES_H
#define CORACLE_JSON_NAMES_H

#include "json/text.h"

/* Of the decoded name, SipHash under a secret key: nobody can choose names that meet in one slot. `name` is
 * in quotes. `scratch` is room for decoding. */
uint64_t name_hash(struct slice name, const uint8_t seed[JSON_SEED_BYTES], struct bytes *scratch);
/* Of a name that is decoded already. */
uint64_t name_hash_decoded(struct slice name, const uint8_t seed[JSON_SEED_BYTES]);

/* As a JSON string, quotes and all, appended. */
void name_quote(struct slice decoded, struct bytes *out);

struct name {
  struct slice text; /* in quotes; not owned */
  uint64_t hash;
};

enum { NAME_SLOTS = 2 * JSON_MEMBERS_MAX }; /* a power of two: at most half of them are taken */

struct names {
  const uint8_t *seed; /* not owned */
  struct name *all;    /* of the objects that are open, innermost last; owned */
  size_t n, capacity;
  uint16_t slots[NAME_SLOTS]; /* for names_find_twice(): 1 + index among the object's names; 0: free */
  struct bytes scratch;
};

void names_open(struct names *, const uint8_t seed[JSON_SEED_BYTES]); /* the seed is not copied */
void names_close(struct names *);
void names_push(struct names *, struct slice name);
/* Of the names from `first` on (at most JSON_MEMBERS_MAX), takes them off; false: two are the same, of which
 * *twice is the second. */
bool names_pop(struct names *, size_t first, struct slice *twice);

#endif
