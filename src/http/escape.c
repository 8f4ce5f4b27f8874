/* Text made fit for where it goes: a JSON string, a segment of a path. */
#include "http/response.h"

static const char hex_digits[] = "0123456789ABCDEF";

/* ---- JSON (RFC 8259, 7) ---- */

/* What may follow a lead byte, by Unicode's table of well-formed UTF-8 (chapter 3, table 3-7): no overlong
 * forms, no surrogates, nothing beyond U+10FFFF. */
struct utf8_sequence {
  unsigned char lead_first, lead_last;
  unsigned char second_first, second_last; /* the bytes after it are 0x80 to 0xbf */
  unsigned char bytes;
};

static const struct utf8_sequence *utf8_find(unsigned char lead) {
  static const struct utf8_sequence sequences[] = {
      {0xc2, 0xdf, 0x80, 0xbf, 2}, {0xe0, 0xe0, 0xa0, 0xbf, 3}, {0xe1, 0xec, 0x80, 0xbf, 3},
      {0xed, 0xed, 0x80, 0x9f, 3}, {0xee, 0xef, 0x80, 0xbf, 3}, {0xf0, 0xf0, 0x90, 0xbf, 4},
      {0xf1, 0xf3, 0x80, 0xbf, 4}, {0xf4, 0xf4, 0x80, 0x8f, 4},
  };
  for (size_t i = 0; i < sizeof sequences / sizeof *sequences; i++)
    if (lead >= sequences[i].lead_first && lead <= sequences[i].lead_last) return &sequences[i];
  return NULL;
}

/* How many bytes at the front of `s` belong together, and whether they are a character. Those that are not
 * are as many as could have begun one, as Unicode recommends for replacing them. */
static size_t utf8_take(struct slice s, bool *valid) {
  *valid = false;
  const struct utf8_sequence *sequence = utf8_find((unsigned char)s.at[0]);
  if (sequence == NULL) return 1;
  for (size_t i = 1; i < sequence->bytes; i++) {
    unsigned char first = i == 1 ? sequence->second_first : 0x80;
    unsigned char last = i == 1 ? sequence->second_last : 0xbf;
    if (i == s.n || (unsigned char)s.at[i] < first || (unsigned char)s.at[i] > last) return i;
  }
  *valid = true;
  return sequence->bytes;
}

static void append_escaped(struct bytes *out, unsigned char c) {
  static const char short_forms[][2] = {{'"', '"'},  {'\\', '\\'}, {'\b', 'b'}, {'\f', 'f'},
                                        {'\n', 'n'}, {'\r', 'r'},  {'\t', 't'}};
  for (size_t i = 0; i < sizeof short_forms / sizeof *short_forms; i++)
    if (c == short_forms[i][0]) {
      bytes_append(out, (char[]){'\\', short_forms[i][1]}, 2);
      return;
    }
  bytes_append(out, (char[]){'\\', 'u', '0', '0', hex_digits[c >> 4], hex_digits[c & 15]}, 6);
}

static bool goes_as_it_is(unsigned char c) {
  return c >= 0x20 && c < 0x80 && c != '"' && c != '\\';
}

void json_append_string(struct bytes *out, struct slice text) {
  bytes_append_string(out, "\"");
  while (text.n > 0) {
    unsigned char c = (unsigned char)text.at[0];
    size_t n = 0;
    while (n < text.n && goes_as_it_is((unsigned char)text.at[n])) n++;
    if (n > 0) {
      bytes_append(out, text.at, n);
    } else if (c < 0x80) {
      append_escaped(out, c);
      n = 1;
    } else {
      bool valid;
      n = utf8_take(text, &valid);
      if (valid)
        bytes_append(out, text.at, n);
      else
        bytes_append_string(out, "\xef\xbf\xbd");
    }
    text.at += n;
    text.n -= n;
  }
  bytes_append_string(out, "\"");
}

/* ---- Paths (RFC 3986, 2.1 and 2.3) ---- */

static bool is_unreserved(unsigned char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '.' ||
         c == '_' || c == '~';
}

void percent_encode(struct bytes *out, struct slice raw) {
  for (size_t i = 0; i < raw.n; i++) {
    unsigned char c = (unsigned char)raw.at[i];
    if (is_unreserved(c))
      bytes_append(out, &c, 1);
    else
      bytes_append(out, (char[]){'%', hex_digits[c >> 4], hex_digits[c & 15]}, 3);
  }
}
