/* JSON Pointer (RFC 6901), and where one leads in a tree. Private to json/. */
#ifndef CORACLE_JSON_POINTER_H
#define CORACLE_JSON_POINTER_H

#include "json/tree.h"

/* Of a pointer as text, decoded from its JSON string. */
bool pointer_is_valid(struct slice pointer);
/* `within` is a part of `pointer`'s value. */
bool pointer_is_within(struct slice pointer, struct slice within);

enum found {
  FOUND_MORE,    /* to do: the budget is used up */
  FOUND_VALUE,   /* *value */
  FOUND_FREE,    /* nothing, but the innermost value of the path has a place for it */
  FOUND_NOWHERE, /* no place either */
};

/* All zero before the first use. */
struct finder {
  struct slice rest;   /* of the pointer */
  struct bytes token;  /* the last one looked for, decoded */
  struct value *value; /* that the pointer has led to so far */
  struct part *part;   /* which holds it; NULL: it is the root */
  struct path path;    /* around it, or around the place for it; all of them opened */
  const char *detail;  /* NOWHERE: a sentence */
};

/* `pointer` is valid, and stays until it has been followed to its end. */
void finder_begin(struct finder *, struct tree *, struct slice pointer);
enum found finder_go_on(struct finder *, struct tree *, size_t *budget);
void finder_close(struct finder *);

#endif
