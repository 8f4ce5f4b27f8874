#include "http/target.h"

#include "http/grammar.h"

#include <assert.h>

/* Printable ASCII without '#': a fragment is not sent (RFC 9112, 3.2), and all else must be percent-encoded.
 * Builds of llhttp differ here, so it is checked for all of them. */
static bool has_valid_bytes(struct slice s) {
  for (size_t i = 0; i < s.n; i++)
    if (s.at[i] <= ' ' || s.at[i] > '~' || s.at[i] == '#') return false;
  return true;
}

/* Percent-decodes into *decoded, which has room enough (see target_parse), so that it does not move. */
static enum http_fault decode(struct slice raw, struct bytes *decoded, struct slice *out) {
  *out = raw;
  if (raw.n == 0 || memchr(raw.at, '%', raw.n) == NULL) return HTTP_FAULT_NONE;
  assert(decoded->capacity - decoded->n >= raw.n);
  char *to = (char *)decoded->data + decoded->n;
  size_t n = 0;
  for (size_t i = 0; i < raw.n; i++) {
    if (raw.at[i] != '%') {
      to[n++] = raw.at[i];
      continue;
    }
    if (raw.n - i < 3) return HTTP_FAULT_TARGET_ESCAPE;
    int high = http_hex_digit(raw.at[i + 1]);
    int low = http_hex_digit(raw.at[i + 2]);
    if (high < 0 || low < 0 || (high == 0 && low == 0)) return HTTP_FAULT_TARGET_ESCAPE;
    to[n++] = (char)(unsigned char)(high * 16 + low);
    i += 2;
  }
  decoded->n += n;
  *out = (struct slice){to, n};
  return HTTP_FAULT_NONE;
}

/* Takes what stands before the next `separator` off the front of *rest, and the separator with it. */
static struct slice take_until(struct slice *rest, char separator) {
  const char *found = rest->n > 0 ? memchr(rest->at, separator, rest->n) : NULL;
  struct slice piece = {rest->at, found != NULL ? (size_t)(found - rest->at) : rest->n};
  size_t taken = found != NULL ? piece.n + 1 : piece.n;
  rest->at += taken;
  rest->n -= taken;
  return piece;
}

/* Nothing is normalised: an empty or dotted segment is refused, because whoever checked the path before us (a
 * proxy, say) may have understood another document by it. The check comes after decoding, for "%2e" is a dot,
 * while "%2F" is a '/' inside of a segment. */
static enum http_fault parse_path(struct target *t, struct bytes *decoded) {
  struct slice rest = {t->path.at + 1, t->path.n - 1};
  while (rest.n > 0) {
    struct slice segment;
    enum http_fault fault = decode(take_until(&rest, '/'), decoded, &segment);
    if (fault != HTTP_FAULT_NONE) return fault;
    if (segment.n == 0 || slice_is(segment, ".") || slice_is(segment, "..")) return HTTP_FAULT_TARGET_SEGMENT;
    if (t->segments_n == HTTP_SEGMENTS_MAX) return HTTP_FAULT_TARGET_SEGMENTS;
    t->segments[t->segments_n++] = segment;
  }
  return HTTP_FAULT_NONE;
}

static enum http_fault parse_query(struct slice query, struct target *t, struct bytes *decoded) {
  while (query.n > 0) {
    struct slice pair = take_until(&query, '&');
    if (pair.n == 0) continue;
    struct http_field parameter;
    struct slice name = take_until(&pair, '=');
    enum http_fault fault = decode(name, decoded, &parameter.name);
    if (fault == HTTP_FAULT_NONE) fault = decode(pair, decoded, &parameter.value);
    if (fault != HTTP_FAULT_NONE) return fault;
    if (t->parameters_n == HTTP_PARAMETERS_MAX) return HTTP_FAULT_TARGET_PARAMETERS;
    t->parameters[t->parameters_n++] = parameter;
  }
  return HTTP_FAULT_NONE;
}

static size_t scheme_bytes(struct slice sent) {
  for (size_t i = 0; i < 2; i++) {
    struct slice scheme = slice_of(i == 0 ? "http://" : "https://");
    if (sent.n >= scheme.n && slice_is_caseless((struct slice){sent.at, scheme.n}, scheme.at))
      return scheme.n;
  }
  return 0;
}

/* absolute-form, as for a proxy; a server has to take it too (RFC 9112, 3.2.2). */
static enum http_fault split_absolute(struct slice sent, struct target *t, struct bytes *decoded) {
  size_t at = scheme_bytes(sent);
  if (at == 0) return HTTP_FAULT_TARGET;
  size_t end = at;
  while (end < sent.n && sent.at[end] != '/' && sent.at[end] != '?') end++;
  t->authority = (struct slice){sent.at + at, end - at};
  if (!target_is_host(t->authority, false)) return HTTP_FAULT_TARGET;
  t->whole = (struct slice){sent.at + end, sent.n - end};
  if (t->whole.n == 0 || t->whole.at[0] == '?') { /* an empty path means "/" (RFC 9110, 4.2.3) */
    bytes_append_string(decoded, "/");
    bytes_append_slice(decoded, t->whole);
    t->whole = slice_of_bytes(decoded);
  }
  return HTTP_FAULT_NONE;
}

enum http_fault target_parse(struct slice sent, bool is_options, struct target *t, struct bytes *decoded) {
  t->authority = (struct slice){0};
  t->segments_n = 0;
  t->parameters_n = 0;
  t->whole = t->path = sent;
  if (is_options && slice_is(sent, "*")) return HTTP_FAULT_NONE; /* the server as a whole (RFC 9112, 3.2.4) */

  if (!has_valid_bytes(sent)) return HTTP_FAULT_TARGET_BYTE;
  decoded->n = 0;
  bytes_reserve(decoded,
                2 * sent.n + 1); /* once for the path and query of http://HOST?QUERY, once to decode them */
  if (sent.at[0] != '/') {
    enum http_fault fault = split_absolute(sent, t, decoded);
    if (fault != HTTP_FAULT_NONE) return fault;
  }
  struct slice query = t->whole;
  t->path = take_until(&query, '?');
  enum http_fault fault = parse_path(t, decoded);
  return fault == HTTP_FAULT_NONE ? parse_query(query, t, decoded) : fault;
}

/* A little wider than the RFC's grammar, as a name need not exist, but nothing that could end a host or begin
 * something else. */
bool target_is_host(struct slice host, bool may_be_empty) {
  for (size_t i = 0; i < host.n; i++) {
    char c = host.at[i];
    bool alphanumeric = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (!alphanumeric && (c == '\0' || strchr("-._~%!$&'()*+,;=:[]", c) == NULL)) return false;
  }
  return host.n > 0 ? host.at[0] != ':' : may_be_empty;
}
