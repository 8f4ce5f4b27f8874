/* The rules for the names of collections and documents. */
#include "store/command.h"

static bool is_dots(struct slice s) {
  return slice_is(s, ".") || slice_is(s, ".."); /* would be path segments with a meaning of their own */
}

bool collection_name_is_valid(struct slice name) {
  if (name.n == 0 || name.n > COLLECTION_BYTES_MAX || is_dots(name)) return false;
  for (size_t i = 0; i < name.n; i++) {
    char c = name.at[i];
    bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    bool digit = c >= '0' && c <= '9';
    if (!letter && !digit && c != '-' && c != '_' && c != '.') return false;
  }
  return true;
}

/* Bytes of the well-formed UTF-8 character at the start of s (RFC 3629, section 4), 0 when there is none:
 * truncated, overlong, a surrogate, or beyond U+10FFFF. All four show in the lead byte and the range of the
 * one after it. */
static size_t utf8_character(struct slice s) {
  const uint8_t *at = (const uint8_t *)s.at;
  uint8_t lead = at[0], second_min = 0x80, second_max = 0xbf;
  size_t n;

  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf)
    n = 2;
  else if (lead >= 0xe0 && lead <= 0xef)
    n = 3;
  else if (lead >= 0xf0 && lead <= 0xf4)
    n = 4;
  else
    return 0;
  if (lead == 0xe0) second_min = 0xa0; /* below it a shorter form exists */
  if (lead == 0xed) second_max = 0x9f; /* above it are the surrogates */
  if (lead == 0xf0) second_min = 0x90;
  if (lead == 0xf4) second_max = 0x8f; /* above it nothing is assigned, nor ever will be */

  if (s.n < n || at[1] < second_min || at[1] > second_max) return 0;
  for (size_t i = 2; i < n; i++)
    if (at[i] < 0x80 || at[i] > 0xbf) return 0;
  return n;
}

bool document_id_is_valid(struct slice id) {
  if (id.n == 0 || id.n > DOCUMENT_ID_BYTES_MAX || is_dots(id)) return false;
  while (id.n > 0) {
    uint8_t c = (uint8_t)id.at[0];
    size_t n = utf8_character(id);
    if (n == 0 || c < 0x20 || c == 0x7f) return false;
    id.at += n;
    id.n -= n;
  }
  return true;
}
