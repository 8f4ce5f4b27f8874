#include "http/grammar.h"

/* tchar of RFC 9110, 5.6.2. */
static const bool token_characters[256] = {
    ['!'] = true,         ['#'] = true,         ['$'] = true,         ['%'] = true, ['&'] = true,
    ['\''] = true,        ['*'] = true,         ['+'] = true,         ['-'] = true, ['.'] = true,
    ['^'] = true,         ['_'] = true,         ['`'] = true,         ['|'] = true, ['~'] = true,
    ['0' ... '9'] = true, ['A' ... 'Z'] = true, ['a' ... 'z'] = true,
};

bool http_is_token_character(char c) {
  return token_characters[(unsigned char)c];
}

bool http_is_token(struct slice s) {
  for (size_t i = 0; i < s.n; i++)
    if (!http_is_token_character(s.at[i])) return false;
  return s.n > 0;
}

int http_hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

static bool is_space(char c) {
  return c == ' ' || c == '\t';
}

struct slice http_trim(struct slice s) {
  while (s.n > 0 && is_space(s.at[0])) {
    s.at++;
    s.n--;
  }
  while (s.n > 0 && is_space(s.at[s.n - 1])) s.n--;
  return s;
}

bool http_list_next(struct slice *list, struct slice *member) {
  while (list->n > 0) {
    const char *comma = memchr(list->at, ',', list->n);
    size_t n = comma != NULL ? (size_t)(comma - list->at) : list->n;
    size_t taken = comma != NULL ? n + 1 : n;
    *member = http_trim((struct slice){list->at, n});
    list->at += taken;
    list->n -= taken;
    if (member->n > 0) return true;
  }
  return false;
}
