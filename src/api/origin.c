#include "api/origin.h"

#include <ctype.h>
#include <stdio.h>
#include <strings.h>

#include "api/authorization.h"
#include "api/exchange.h"
#include "http/response.h"

enum { PREFLIGHT_MAX_AGE_S = 7200 }; /* what browsers take at most is between this and a day */

/* ---- Host and port ---- */

/* HOST[:PORT] in two; the port is empty where there is none. */
static struct slice take_host(struct slice authority, struct slice *port) {
  size_t n = authority.n;
  while (n > 0 && isdigit((unsigned char)authority.at[n - 1])) n--;
  *port = (struct slice){0};
  if (n == 0 || authority.at[n - 1] != ':') return authority;
  *port = (struct slice){authority.at + n, authority.n - n};
  return (struct slice){authority.at, n - 1};
}

static bool ends_caseless(struct slice s, const char *end) {
  const size_t n = strlen(end);
  return s.n > n && strncasecmp(s.at + s.n - n, end, n) == 0;
}

static bool is_port(struct slice s, uint64_t *port) {
  return s.n <= 5 && slice_to_u64(s, port) && *port >= 1 && *port <= UINT16_MAX;
}

/* ---- The option ---- */

static bool is_scheme(struct slice s) {
  for (size_t i = 0; i < s.n; i++)
    if (!isalnum((unsigned char)s.at[i]) && (i == 0 || strchr("+-.", s.at[i]) == NULL)) return false;
  return s.n > 0 && isalpha((unsigned char)s.at[0]);
}

/* A name, or an address; browsers send other than ASCII names in their ASCII form. */
static bool is_host_name(struct slice s) {
  const bool in_brackets = s.n > 2 && s.at[0] == '[' && s.at[s.n - 1] == ']';
  if (in_brackets) s = (struct slice){s.at + 1, s.n - 2};
  for (size_t i = 0; i < s.n; i++)
    if (!isalnum((unsigned char)s.at[i]) && strchr(in_brackets ? ":." : "-._", s.at[i]) == NULL) return false;
  return s.n > 0;
}

/* SCHEME://HOST[:PORT] in three; NULL, or what is wrong with it. */
static const char *split_origin(struct slice origin, struct slice *scheme, struct slice *host,
                                struct slice *port) {
  static const char colon_slashes[] = "://";
  const char *behind = origin.n > 0 ? memmem(origin.at, origin.n, colon_slashes, 3) : NULL;
  if (behind == NULL) return "is not a list of origins: each is SCHEME://HOST or SCHEME://HOST:PORT";
  *scheme = (struct slice){origin.at, (size_t)(behind - origin.at)};
  const struct slice authority = {behind + 3, origin.n - scheme->n - 3};
  uint64_t number;
  if (authority.n > 0 && memchr(authority.at, '/', authority.n) != NULL)
    return "has an origin with a path: an origin ends with its host or port, without a slash";
  *host = take_host(authority, port);
  if (!is_scheme(*scheme) || !is_host_name(*host) || (port->at != NULL && !is_port(*port, &number)))
    return "is not a list of origins: each is SCHEME://HOST or SCHEME://HOST:PORT";
  return NULL;
}

/* Takes the next origin off the front of a list with commas; false at its end. */
static bool next_origin(const char **list, struct slice *origin) {
  if (*list == NULL) return false;
  const size_t n = strcspn(*list, ",");
  *origin = (struct slice){*list, n};
  *list = (*list)[n] == ',' ? *list + n + 1 : NULL;
  return true;
}

const char *api_origins_fault(const char *list) {
  struct slice origin, scheme, host, port;
  if (strcmp(list, "*") == 0) return NULL;
  while (next_origin(&list, &origin)) {
    if (slice_is(origin, "*")) return "has * beside others: * alone stands for all";
    const char *fault = split_origin(origin, &scheme, &host, &port);
    if (fault != NULL) return fault;
  }
  return NULL;
}

static void append_lower(struct bytes *out, struct slice s) {
  for (size_t i = 0; i < s.n; i++) {
    const char c = (char)tolower((unsigned char)s.at[i]);
    bytes_append(out, &c, 1);
  }
}

static bool is_default_port(struct slice scheme, uint64_t port) {
  return (port == 80 && slice_is_caseless(scheme, "http")) ||
         (port == 443 && slice_is_caseless(scheme, "https"));
}

/* As browsers send it: in lower case, and without the port that goes without saying (RFC 6454, 6.1). */
static void append_origin(struct bytes *out, struct slice origin) {
  struct slice scheme, host, port;
  uint64_t number;
  if (split_origin(origin, &scheme, &host, &port) != NULL) return;
  append_lower(out, scheme);
  bytes_append_string(out, "://");
  append_lower(out, host);
  if (port.at != NULL && is_port(port, &number) && !is_default_port(scheme, number)) {
    bytes_append_string(out, ":");
    bytes_append_u64(out, number);
  }
  bytes_append(out, "", 1);
}

void origins_init(struct origins *origins, const char *list) {
  struct slice origin;
  *origins = (struct origins){.any = list != NULL && strcmp(list, "*") == 0};
  if (list == NULL || *list == '\0' || origins->any) return;
  while (next_origin(&list, &origin)) append_origin(&origins->text, origin);
}

void origins_close(struct origins *origins) {
  bytes_close(&origins->text);
}

/* ---- The request ---- */

const char *origins_granted(const struct origins *origins, const struct http_request *request) {
  if (origins->any) return "*";
  if (http_request_header_count(request, "Origin") != 1) return NULL;
  const struct slice origin = http_request_header(request, "Origin");
  const char *at = (const char *)origins->text.data, *end = at + origins->text.n;
  for (; at < end; at += strlen(at) + 1)
    if (slice_is(origin, at)) return at;
  return NULL;
}

/* A name that none but this host's own resolver answers for (RFC 6761, 6.3), a loopback address, or what the
 * node says it is reached at. */
static bool is_name_of_this_host(const struct api *api, struct slice authority) {
  struct slice port, host = take_host(authority, &port);
  struct address address;
  char text[ADDRESS_TEXT_MAX];
  if (slice_is_caseless(host, "localhost") || ends_caseless(host, ".localhost")) return true;
  if (host.n + sizeof ":0" > sizeof text) return false;
  snprintf(text, sizeof text, "%.*s:0", (int)host.n, host.at);
  if (address_parse(text, &address) != 0) return false;
  return address_is_loopback(&address) ||
         (address.family == api->http.family && memcmp(address.ip, api->http.ip, sizeof address.ip) == 0);
}

/* A browser always sends Host; HTTP/1.0 need not. */
static bool host_is_allowed(const struct exchange *x) {
  if (!x->api->loopback || http_request_header_count(x->request, "Host") == 0) return true;
  return is_name_of_this_host(x->api, http_request_header(x->request, "Host"));
}

/* A page that this very port has served, if it served any: http://, and what Host has. */
static bool is_own_origin(const struct exchange *x, struct slice origin) {
  static const char scheme[] = "http://";
  const size_t n = sizeof scheme - 1;
  if (origin.n <= n || strncasecmp(origin.at, scheme, n) != 0) return false;
  struct slice ports[2];
  struct slice of_page = take_host((struct slice){origin.at + n, origin.n - n}, &ports[0]);
  struct slice of_node = take_host(http_request_header(x->request, "Host"), &ports[1]);
  for (size_t i = 0; i < 2; i++)
    if (ports[i].n == 0) ports[i] = slice_of("80");
  return slice_equal_caseless(of_page, of_node) && slice_equal(ports[0], ports[1]);
}

bool origin_admits(struct exchange *x) {
  const struct http_request *request = x->request;
  const size_t origins_n = http_request_header_count(request, "Origin");
  const struct slice origin = http_request_header(request, "Origin");
  const bool host_is_fine = host_is_allowed(x);
  const bool origin_is_fine =
      origins_n == 0 || (origins_n == 1 && (x->call->origin != NULL || is_own_origin(x, origin)));
  if ((host_is_fine && origin_is_fine) || authorization_of(x->api, request) == AUTHORIZATION_RIGHT)
    return true;
  if (origins_n > 1) {
    answer_problem(&x->answer, PROBLEM_MALFORMED_REQUEST,
                   "Origin is there twice; send it once or not at all.");
  } else if (!host_is_fine) {
    const struct slice host = http_request_header(request, "Host");
    answer_problem(
        &x->answer, PROBLEM_HOST_NOT_ALLOWED,
        "This port is for programs on its own host, and \"%.*s\" is none of that host's names; send "
        "localhost or the address itself as Host.",
        (int)host.n, host.at);
  } else {
    answer_problem(&x->answer, PROBLEM_ORIGIN_NOT_ALLOWED,
                   "Web pages of \"%.*s\" may not use this node; --cors-origin names those that may.",
                   (int)origin.n, origin.at);
  }
  return false;
}

/* ---- The answer ---- */

void origin_headers(const struct origins *origins, const char *granted, struct bytes *out) {
  /* Whoever keeps the answer must not show it to a page of another origin as it is. */
  if (origins->text.n > 0) http_response_header(out, "Vary", slice_of("Origin"));
  if (granted == NULL) return;
  http_response_header(out, "Access-Control-Allow-Origin", slice_of(granted));
  http_response_header(
      out, "Access-Control-Expose-Headers",
      slice_of("Accept-Patch, Accept-Post, Allow, Coracle-Node, Coracle-Revision, Coracle-Role, "
               "Coracle-Staleness-Ms, Coracle-Term, Date, ETag, Idempotency-Replayed, Link, "
               "Location, Preference-Applied, Retry-After, Server, X-Total-Count"));
}

void origin_preflight_headers(const struct exchange *x, struct slice methods) {
  if (x->call->origin == NULL || http_request_header(x->request, "Access-Control-Request-Method").at == NULL)
    return;
  http_response_header(x->answer.out, "Access-Control-Allow-Methods", methods);
  http_response_header(
      x->answer.out, "Access-Control-Allow-Headers",
      slice_of("Accept, Authorization, Content-Type, Idempotency-Key, If-Match, If-None-Match, Prefer"));
  http_response_header_u64(x->answer.out, "Access-Control-Max-Age", PREFLIGHT_MAX_AGE_S);
}
