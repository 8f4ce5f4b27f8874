/* Is it JSON, as RFC 8259 has it, and Unicode, and of a shape that this store takes? One pass over the bytes,
 * with the brackets that are open on a stack of its own. */
#include "json/names.h"
#include "json/scan.h"
#include "json/text.h"

struct open {
  bool is_object;
  size_t first_name; /* of an object: where its names begin */
};

struct checker {
  const char *begin, *at, *end;
  struct open open[JSON_DEPTH_MAX]; /* outermost first */
  size_t depth;
  struct names names;
  struct json_error *error;
};

/* What has been read, and what is to come. */
enum step {
  STEP_WRONG, /* it is no JSON */
  STEP_VALUE, /* a value has to come */
  STEP_AFTER, /* a value is complete */
  STEP_END,   /* all of it is */
};

static bool fail_at(struct checker *c, const char *at, enum json_fault fault, const char *detail) {
  *c->error = (struct json_error){fault, (size_t)(at - c->begin), detail};
  return false;
}

static bool fail(struct checker *c, const char *detail) {
  return fail_at(c, c->at, JSON_SYNTAX, detail);
}

static bool is_next(const struct checker *c, char wanted) {
  return c->at < c->end && *c->at == wanted;
}

static void skip_white(struct checker *c) {
  c->at = scan_white(c->at, c->end);
}

/* ---- Strings ---- */

/* Bytes of the UTF-8 sequence at `at`, which is no ASCII; 0: it is none (RFC 3629, section 4: no surrogates,
 * nothing over U+10FFFF, nothing in more bytes than it needs). */
static size_t utf8_bytes(const char *at, const char *end) {
  const uint8_t *byte = (const uint8_t *)at;
  const size_t left = (size_t)(end - at);
  const uint8_t lead = byte[0];
  uint8_t second_min = 0x80, second_max = 0xbf;
  size_t n;
  if (lead >= 0xc2 && lead <= 0xdf) {
    n = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    n = 3;
    if (lead == 0xe0) second_min = 0xa0;
    if (lead == 0xed) second_max = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    n = 4;
    if (lead == 0xf0) second_min = 0x90;
    if (lead == 0xf4) second_max = 0x8f;
  } else {
    return 0;
  }
  if (left < n || byte[1] < second_min || byte[1] > second_max) return 0;
  for (size_t i = 2; i < n; i++)
    if ((byte[i] & 0xc0) != 0x80) return 0;
  return n;
}

static int unit_at(const struct checker *c, const char *at) {
  return c->end - at >= 6 && at[0] == '\\' && at[1] == 'u' ? scan_hex4(at + 2) : -1;
}

/* \uXXXX: one of them, or two that are a pair of surrogates. */
static bool check_unit(struct checker *c) {
  const int unit = unit_at(c, c->at);
  if (unit < 0) return fail(c, "four hexadecimal digits have to follow \\u");
  if (!scan_is_surrogate(unit)) {
    c->at += 6;
    return true;
  }
  const int low = unit_at(c, c->at + 6);
  if (!scan_is_high_surrogate(unit) || !scan_is_surrogate(low) || scan_is_high_surrogate(low))
    return fail_at(c, c->at, JSON_SURROGATE, "a surrogate is there without the other one of its pair");
  c->at += 12;
  return true;
}

static bool check_escape(struct checker *c) {
  if (c->end - c->at >= 2) {
    switch (c->at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
      c->at += 2;
      return true;
    case 'u':
      return check_unit(c);
    }
  }
  return fail(c, "there is no such escape");
}

/* From the quote in front to behind the one at its end. */
static bool check_string(struct checker *c) {
  c->at++;
  for (;;) {
    c->at = scan_plain(c->at, c->end);
    if (c->at == c->end) return fail(c, "the string has no end");
    const uint8_t byte = (uint8_t)*c->at;
    if (byte == '"') {
      c->at++;
      return true;
    }
    if (byte == '\\') {
      if (!check_escape(c)) return false;
    } else if (byte < ' ') {
      return fail(c, "a control character in a string has to be escaped");
    } else {
      const size_t n = utf8_bytes(c->at, c->end);
      if (n == 0) return fail_at(c, c->at, JSON_UTF8, "this is no UTF-8");
      c->at += n;
    }
  }
}

/* ---- Numbers and words ---- */

static bool check_digits(struct checker *c) {
  const char *first = c->at;
  while (c->at < c->end && *c->at >= '0' && *c->at <= '9') c->at++;
  return c->at > first ? true : fail(c, "a digit is missing");
}

static bool check_number(struct checker *c) {
  if (*c->at == '-') c->at++;
  if (is_next(c, '0')) {
    c->at++;
    if (c->at < c->end && *c->at >= '0' && *c->at <= '9') return fail(c, "a number has no zeros in front");
  } else if (!check_digits(c)) {
    return false;
  }
  if (is_next(c, '.')) {
    c->at++;
    if (!check_digits(c)) return false;
  }
  if (is_next(c, 'e') || is_next(c, 'E')) {
    c->at++;
    if (is_next(c, '+') || is_next(c, '-')) c->at++;
    if (!check_digits(c)) return false;
  }
  return true;
}

static bool check_word(struct checker *c, const char *word) {
  const size_t n = strlen(word);
  if ((size_t)(c->end - c->at) < n || memcmp(c->at, word, n) != 0)
    return fail(c, "no value begins like this");
  c->at += n;
  return true;
}

/* ---- Objects and arrays ---- */

/* The name, the colon, and the white space around them. */
static bool check_name(struct checker *c) {
  const size_t members = c->names.n - c->open[c->depth - 1].first_name;
  skip_white(c);
  if (!is_next(c, '"')) return fail(c, "the name of a member, in double quotes, is missing");
  const char *first = c->at;
  if (members == JSON_MEMBERS_MAX)
    return fail_at(c, first, JSON_TOO_MANY_MEMBERS, "the object has more members than it can have");
  if (!check_string(c)) return false;
  names_push(&c->names, (struct slice){first, (size_t)(c->at - first)});
  skip_white(c);
  if (!is_next(c, ':')) return fail(c, "a colon is missing");
  c->at++;
  return true;
}

static enum step open_container(struct checker *c, bool is_object) {
  if (c->depth == JSON_DEPTH_MAX) {
    fail_at(c, c->at, JSON_TOO_DEEP, "objects and arrays are nested deeper than they can be");
    return STEP_WRONG;
  }
  c->open[c->depth++] = (struct open){is_object, c->names.n};
  c->at++;
  skip_white(c);
  if (is_next(c, is_object ? '}' : ']')) {
    c->depth--;
    c->at++;
    return STEP_AFTER;
  }
  return !is_object || check_name(c) ? STEP_VALUE : STEP_WRONG;
}

static enum step close_container(struct checker *c) {
  const struct open *open = &c->open[--c->depth];
  struct slice twice;
  c->at++;
  if (open->is_object && !names_pop(&c->names, open->first_name, &twice)) {
    fail_at(c, twice.at, JSON_NAME_TWICE, "the object has a member of this name already");
    return STEP_WRONG;
  }
  return STEP_AFTER;
}

/* A whole value, or the beginning of an object or array that is not empty. */
static enum step begin_value(struct checker *c) {
  bool fine = false;
  skip_white(c);
  if (c->at == c->end) {
    fail(c, "a value is missing");
    return STEP_WRONG;
  }
  switch (*c->at) {
  case '{':
    return open_container(c, true);
  case '[':
    return open_container(c, false);
  case '"':
    fine = check_string(c);
    break;
  case 't':
    fine = check_word(c, "true");
    break;
  case 'f':
    fine = check_word(c, "false");
    break;
  case 'n':
    fine = check_word(c, "null");
    break;
  default:
    if (*c->at == '-' || (*c->at >= '0' && *c->at <= '9'))
      fine = check_number(c);
    else
      fail(c, "no value begins like this");
  }
  return fine ? STEP_AFTER : STEP_WRONG;
}

static enum step end_text(struct checker *c) {
  if (c->at == c->end) return STEP_END;
  fail(c, "something follows the end of the value");
  return STEP_WRONG;
}

static enum step after_value(struct checker *c) {
  skip_white(c);
  if (c->depth == 0) return end_text(c);
  const bool is_object = c->open[c->depth - 1].is_object;
  if (is_next(c, ',')) {
    c->at++;
    return !is_object || check_name(c) ? STEP_VALUE : STEP_WRONG;
  }
  if (is_next(c, is_object ? '}' : ']')) return close_container(c);
  fail(c, is_object ? "a comma or } is missing" : "a comma or ] is missing");
  return STEP_WRONG;
}

static bool check_beginning(struct checker *c) {
  if (c->end - c->at >= 3 && memcmp(c->at, "\xef\xbb\xbf", 3) == 0)
    return fail_at(c, c->at, JSON_MARK, "a byte order mark is in front of the value");
  skip_white(c);
  if (c->at == c->end) return fail_at(c, c->at, JSON_EMPTY, "there is no value");
  return true;
}

bool json_check(struct slice text, const uint8_t seed[JSON_SEED_BYTES], struct json_error *error) {
  static const char nothing[1] = "";
  const char *begin = text.n > 0 ? text.at : nothing;
  struct checker c;
  c.begin = c.at = begin;
  c.end = begin + text.n;
  c.depth = 0;
  c.error = error;
  *error = (struct json_error){JSON_FINE, 0, ""};
  names_open(&c.names, seed);
  enum step step = check_beginning(&c) ? STEP_VALUE : STEP_WRONG;
  while (step == STEP_VALUE || step == STEP_AFTER)
    step = step == STEP_VALUE ? begin_value(&c) : after_value(&c);
  names_close(&c.names);
  return step == STEP_END;
}
