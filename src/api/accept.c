#include "api/accept.h"

#include <strings.h>

#include "api/field.h"
#include "api/members.h"
#include "http/grammar.h"
#include "http/response.h"

static const struct {
  enum media media;
  const char *name;
} types[] = {
    {MEDIA_JSON, "application/json"},
    {MEDIA_NDJSON, API_STREAMED_TYPE},
};
enum { TYPES_N = sizeof types / sizeof *types };

const char *media_name(enum media media) {
  size_t i = 0;
  while (types[i].media != media) i++;
  return types[i].name;
}

bool media_is_sent(const struct http_request *request, enum media media) {
  struct slice value = http_request_header(request, "Content-Type");
  return http_request_header_count(request, "Content-Type") == 1 &&
         slice_is_caseless(field_take(&value, ';'), media_name(media));
}

/* How closely a media range names a type; the closest that the header has decides about it. */
enum match { MATCH_NONE, MATCH_ANY, MATCH_TYPE, MATCH_EXACT };

enum { QUALITY_MAX = 1000 }; /* q=1, in thousandths: section 12.4.2 has three decimals */

struct preference {
  enum match match;
  int quality;
};

static enum match match_of(struct slice range, const char *name) {
  const size_t type_n = (size_t)(strchr(name, '/') - name) + 1; /* with the slash */
  if (slice_is(range, "*/*")) return MATCH_ANY;
  if (slice_is_caseless(range, name)) return MATCH_EXACT;
  const bool whole_type = range.n == type_n + 1 && range.at[type_n] == '*';
  return whole_type && strncasecmp(range.at, name, type_n) == 0 ? MATCH_TYPE : MATCH_NONE;
}

/* In thousandths; -1: it is malformed. */
static int quality_of(struct slice value) {
  if (value.n == 0 || value.n > 5 || (value.at[0] != '0' && value.at[0] != '1')) return -1;
  if (value.n > 1 && value.at[1] != '.') return -1;
  int quality = (value.at[0] - '0') * QUALITY_MAX, unit = QUALITY_MAX / 10;
  for (size_t i = 2; i < value.n; i++, unit /= 10) {
    if (value.at[i] < '0' || value.at[i] > '9') return -1;
    quality += (value.at[i] - '0') * unit;
  }
  return quality <= QUALITY_MAX ? quality : -1;
}

/* The q of "RANGE;charset=utf-8;q=0.5": other parameters change nothing, since no type here has any. */
static int read_quality(struct slice parameters) {
  int quality = QUALITY_MAX;
  while (parameters.n > 0) {
    struct slice value = field_take(&parameters, ';');
    if (slice_is_caseless(field_take(&value, '='), "q")) quality = quality_of(http_trim(value));
  }
  return quality;
}

static void judge(struct slice range, int quality, struct preference preferences[TYPES_N]) {
  for (size_t i = 0; i < TYPES_N; i++) {
    const enum match match = match_of(range, types[i].name);
    struct preference *known = &preferences[i];
    if (match == MATCH_NONE || match < known->match) continue;
    if (match > known->match || quality > known->quality) *known = (struct preference){match, quality};
  }
}

/* False: the request says nothing about it. What is malformed says nothing. */
static bool read_accept(const struct http_request *request, struct preference preferences[TYPES_N]) {
  bool any = false;
  for (size_t i = 0; i < request->headers_n; i++) {
    struct slice list = request->headers[i].value, member;
    if (!slice_is_caseless(request->headers[i].name, "Accept")) continue;
    while (http_list_next(&list, &member)) {
      const struct slice range = field_take(&member, ';');
      const int quality = read_quality(member);
      if (quality < 0 || memchr(range.at, '/', range.n) == NULL) continue;
      judge(range, quality, preferences);
      any = true;
    }
  }
  return any;
}

static void append_names(struct bytes *out, unsigned produced, const char *quote) {
  const char *separator = "";
  for (size_t i = 0; i < TYPES_N; i++) {
    if (!(produced & types[i].media)) continue;
    bytes_printf(out, "%s%s%s%s", separator, quote, types[i].name, quote);
    separator = ", ";
  }
}

static void answer_not_acceptable(struct exchange *x, unsigned produced) {
  struct bytes body = {0}, names = {0};
  append_names(&names, produced, "");
  bytes_append(&names, "", 1);
  problem_open(&body, PROBLEM_NOT_ACCEPTABLE,
               "Accept allows nothing that there is here; it can be had as: %s.", (const char *)names.data);
  member_name(&body, "available");
  bytes_append_string(&body, "[");
  append_names(&body, produced, "\"");
  bytes_append_string(&body, "]");
  answer_begin_problem(&x->answer, PROBLEM_NOT_ACCEPTABLE);
  answer_end_problem(&x->answer, &body);
  bytes_close(&names);
}

static bool is_better(struct preference a, struct preference b) {
  return a.quality != b.quality ? a.quality > b.quality : a.quality > 0 && a.match > b.match;
}

bool accept_choose(struct exchange *x, unsigned produced) {
  struct preference preferences[TYPES_N] = {{0}}, best = {0};
  const bool said = read_accept(x->request, preferences);
  x->media = (enum media)0;
  for (size_t i = 0; i < TYPES_N; i++) {
    if (!(produced & types[i].media)) continue;
    const struct preference preference = said ? preferences[i] : (struct preference){MATCH_ANY, QUALITY_MAX};
    if (!is_better(preference, best)) continue;
    best = preference;
    x->media = types[i].media;
  }
  if (best.quality > 0 || produced == 0) return true;
  answer_not_acceptable(x, produced);
  return false;
}
