#include "api/conditions.h"

#include "http/grammar.h"

/* What one header, which is a list over all its lines, says of a revision. */
struct tags {
  bool present;
  bool any;          /* "*" */
  bool weak_match;   /* some tag names the revision, with "W/" in front or not */
  bool strong_match; /* some tag without "W/" does */
  uint64_t newest;   /* the greatest revision named by a tag without "W/"; 0: none is */
};

static bool is_tag_character(unsigned char c) {
  return c == 0x21 || (c >= 0x23 && c != 0x7f);
}

/* The revision that a tag names; 0 for a tag that none of ours can be, such as "017" or "abc". */
static uint64_t revision_of(struct slice opaque) {
  uint64_t revision;
  bool ours = opaque.n > 0 && opaque.at[0] != '0' && slice_to_u64(opaque, &revision);
  return ours ? revision : 0;
}

/* Takes one entity-tag from the front of `text` (RFC 9110, 8.8.3). */
static bool take_tag(struct slice *text, uint64_t revision, struct tags *tags) {
  const char *at = text->at, *end = text->at + text->n;
  bool weak = text->n >= 2 && at[0] == 'W' && at[1] == '/';
  if (weak) at += 2;
  if (at == end || *at++ != '"') return false;
  const char *opaque = at;
  while (at < end && is_tag_character((unsigned char)*at)) at++;
  if (at == end || *at != '"') return false;
  uint64_t named = revision_of((struct slice){opaque, (size_t)(at - opaque)});
  if (named != 0 && named == revision) {
    tags->weak_match = true;
    if (!weak) tags->strong_match = true;
  }
  if (!weak && named > tags->newest) tags->newest = named;
  at++;
  *text = (struct slice){at, (size_t)(end - at)};
  return true;
}

/* A list of tags; empty elements are let through (RFC 9110, 5.6.1.2). */
static bool read_line(struct slice text, uint64_t revision, struct tags *tags) {
  for (;;) {
    text = http_trim(text);
    if (text.n > 0 && *text.at != ',' && !take_tag(&text, revision, tags)) return false;
    text = http_trim(text);
    if (text.n == 0) return true;
    if (*text.at != ',') return false;
    text = (struct slice){text.at + 1, text.n - 1};
  }
}

/* False: it is malformed, and answered. */
static bool read_header(struct exchange *x, const char *name, uint64_t revision, struct tags *tags) {
  bool ok = true;
  *tags = (struct tags){0};
  size_t lines = http_request_header_count(x->request, name);
  if (lines == 0) return true;
  tags->present = true;
  if (lines == 1 && slice_is(http_request_header(x->request, name), "*")) {
    tags->any = tags->weak_match = tags->strong_match = true;
    return true;
  }
  for (size_t i = 0; i < x->request->headers_n && ok; i++) {
    if (!slice_is_caseless(x->request->headers[i].name, name)) continue;
    ok = read_line(x->request->headers[i].value, revision, tags);
  }
  if (!ok) {
    answer_problem(&x->answer, PROBLEM_INVALID_PRECONDITION,
                   "%s takes * or ETags with their quotes, such as %s: \"17\".", name, name);
  }
  return ok;
}

static bool read_headers(struct exchange *x, uint64_t revision, struct tags *match, struct tags *none_match) {
  return read_header(x, "If-Match", revision, match) && read_header(x, "If-None-Match", revision, none_match);
}

/* In the order of RFC 9110, 13.2.2. */
enum conditions conditions_of_read(struct exchange *x, uint64_t revision) {
  struct tags match, none_match;
  if (!read_headers(x, revision, &match, &none_match)) return CONDITIONS_ANSWERED;
  if (match.present && !match.strong_match) return CONDITIONS_FAILED;
  if (none_match.present && none_match.weak_match) return CONDITIONS_NOT_MODIFIED;
  return CONDITIONS_HOLD;
}

/* A condition that never holds: no document has revision 0. It is left to be judged when the command is
 * applied, like any other, because the 412 is to carry the document as it is then. */
static void never(struct command *command) {
  command->condition = COMMAND_IF_REVISION;
  command->revision = 0;
}

/* What both come to together. */
static void set_condition(struct command *command, uint64_t revision, const struct tags *match,
                          const struct tags *none_match) {
  const bool creates = command->condition == COMMAND_CREATE;
  if (match->present && (none_match->present || creates)) {
    never(command);
  } else if (none_match->present) {
    command->condition = COMMAND_IF_ABSENT;
  } else if (match->any) {
    command->condition = COMMAND_IF_PRESENT;
  } else if (match->present) {
    /* Of a list, the one that holds now; else the newest, which a client can name only after it was applied
     * here. */
    command->condition = COMMAND_IF_REVISION;
    command->revision = match->strong_match ? revision : match->newest;
  }
}

bool conditions_of_write(struct exchange *x, uint64_t revision, struct command *command) {
  struct tags match, none_match;
  if (!read_headers(x, revision, &match, &none_match)) return false;
  if (none_match.present && !none_match.any) {
    answer_problem(&x->answer, PROBLEM_INVALID_PRECONDITION,
                   "On a write If-None-Match can only be *; to replace what you have read, send If-Match "
                   "with its ETag.");
    return false;
  }
  set_condition(command, revision, &match, &none_match);
  return true;
}

/* "*", or what is in an entity-tag's quotes, with them or without. */
static bool read_tag_or_any(struct slice text, struct tags *tags) {
  const bool is_quoted = text.n >= 2 && text.at[0] == '"' && text.at[text.n - 1] == '"';
  const struct slice opaque = is_quoted ? (struct slice){text.at + 1, text.n - 2} : text;
  *tags = (struct tags){.present = true, .any = slice_is(text, "*"), .newest = revision_of(opaque)};
  for (size_t i = 0; i < opaque.n; i++) {
    if (!is_tag_character((unsigned char)opaque.at[i])) return false;
  }
  return opaque.n > 0 || is_quoted;
}

const char *conditions_of_operation(struct slice if_match, struct slice if_none_match,
                                    struct command *command) {
  struct tags match = {0}, none_match = {0};
  if (if_match.at != NULL && !read_tag_or_any(if_match, &match))
    return "if_match is \"*\" or one ETag, with its quotes or without, such as \"17\".";
  if (if_none_match.at != NULL && (!read_tag_or_any(if_none_match, &none_match) || !none_match.any))
    return "if_none_match can only be \"*\"; to replace what you have read, give its ETag in if_match.";
  set_condition(command, 0, &match, &none_match);
  return NULL;
}

bool conditions_refuse(struct exchange *x, const char *detail) {
  if (http_request_header_count(x->request, "If-Match") == 0 &&
      http_request_header_count(x->request, "If-None-Match") == 0) {
    return true;
  }
  answer_problem(&x->answer, PROBLEM_INVALID_PRECONDITION, "%s", detail);
  return false;
}
