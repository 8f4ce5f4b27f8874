/* JSON texts (RFC 8259) as they are: checked once, then walked over. Nothing is converted, so nothing is
 * lost: a number stays spelled as it was sent, whatever its size, and so does everything else.
 *
 *     struct json_error error;
 *     if (!json_check(text, seed, &error)) ...
 *     struct slice object = json_trim(text), price;
 *     if (json_type(object) == JSON_OBJECT && json_member(object, "price", &price)) ...
 *
 * All functions but json_check() and json_trim() take values out of a text that json_check() has found right,
 * without white space around them, and borrow them: what they give out points into the text. */
#ifndef CORACLE_JSON_TEXT_H
#define CORACLE_JSON_TEXT_H

#include "base/bytes.h"

enum {
  JSON_DEPTH_MAX = 64,     /* objects and arrays within each other */
  JSON_MEMBERS_MAX = 4096, /* of any one object */
  JSON_SEED_BYTES = 16,
};

enum json_fault {
  JSON_FINE,
  JSON_EMPTY,            /* nothing, or white space only */
  JSON_MARK,             /* a byte order mark in front */
  JSON_SYNTAX,           /* anything that the grammar does not have, NUL bytes and bytes after the end too */
  JSON_UTF8,             /* RFC 3629 */
  JSON_SURROGATE,        /* \uD800 to \uDFFF that are no pair: no Unicode text (RFC 8259, 8.2) */
  JSON_TOO_DEEP,         /* over JSON_DEPTH_MAX */
  JSON_TOO_MANY_MEMBERS, /* over JSON_MEMBERS_MAX */
  JSON_NAME_TWICE,       /* of a member, in one object, once decoded (RFC 7493, 2.3) */
};

struct json_error {
  enum json_fault fault;
  size_t offset;      /* of the byte that is wrong; of the text's end where something is missing there */
  const char *detail; /* static: what is wrong there, as the rest of a sentence: "a comma or } is missing" */
};

/* One value with white space around it. Without recursion, in time linear in the text whatever is in it
 * (names are compared by a hash that `seed`, secret random bytes, keeps clients from choosing). False: *error
 * says what. */
bool json_check(struct slice text, const uint8_t seed[JSON_SEED_BYTES], struct json_error *error);

/* Without white space around it (RFC 8259, section 2). Of any text. */
struct slice json_trim(struct slice text);

enum json_type { JSON_NULL, JSON_FALSE, JSON_TRUE, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT };
enum json_type json_type(struct slice value);

/* Walks over an object or array; constant time per step but for the bytes stepped over. */
struct json_cursor {
  struct slice rest;
};
struct json_cursor json_open(struct slice container);
/* False at the end. `name` is as it stands in the text, with its quotes. */
bool json_next_member(struct json_cursor *, struct slice *name, struct slice *value);
bool json_next_element(struct json_cursor *, struct slice *value);

/* The member of that name (plain ASCII without escapes; the text's may be escaped); false: there is none.
 * Walks over the object. */
bool json_member(struct slice object, const char *name, struct slice *value);

/* What a string in quotes says, appended: escapes decoded, UTF-8. May hold NUL. */
void json_decode(struct slice string, struct bytes *out);
/* Two strings in quotes say the same. */
bool json_strings_equal(struct slice a, struct slice b);
/* A number that is an integer as JSON spells it: no fraction, no exponent. Of any length. */
bool json_is_integer(struct slice value);
/* The same number, however spelled: 1, 1.0 and 10e-1 are. Exact; an exponent of any length. */
bool json_numbers_equal(struct slice a, struct slice b);

#endif
