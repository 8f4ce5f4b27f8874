#include "api/routes.h"

#include "http/response.h"

#define PATH_COLLECTIONS "/v1/collections"
#define PATH_COLLECTION PATH_COLLECTIONS "/{collection}"
#define PATH_DOCUMENT PATH_COLLECTION "/{id}"

/* Parameters. */
enum {
  READING = PARAMETER_CONSISTENCY | PARAMETER_MAX_STALE | PARAMETER_MIN_REVISION | PARAMETER_WAIT,
  LISTING = READING | PARAMETER_LIMIT | PARAMETER_AFTER,
};

/* What bodies can be. */
#define TYPE_JSON "application/json"
#define TYPES_POSTED TYPE_JSON ", " API_STREAMED_TYPE
#define TYPES_OF_PATCHES "application/merge-patch+json, application/json-patch+json, " TYPE_JSON

static const struct route routes[] = {
    {"/", HTTP_GET_, ACCESS_ANY, 0, MEDIA_JSON, NULL, root_get},
    {"/livez", HTTP_GET_, ACCESS_ANY, 0, MEDIA_JSON, NULL, livez_get},
    {"/readyz", HTTP_GET_, ACCESS_ANY, PARAMETER_CONSISTENCY, MEDIA_JSON, NULL, readyz_get},
    {"/openapi.json", HTTP_GET_, ACCESS_ANY, 0, MEDIA_JSON, NULL, openapi_get},
    {"/v1/cluster", HTTP_GET_, ACCESS_ANY, 0, MEDIA_JSON, NULL, cluster_get},
    {"/v1/replication", HTTP_GET_, ACCESS_ANY, 0, 0, NULL, replication_get},
    {"/v1/transactions", HTTP_POST_, ACCESS_WRITE, 0, 0, TYPE_JSON, transaction_post},
    {PATH_COLLECTIONS, HTTP_GET_, ACCESS_READ, LISTING, MEDIA_JSON, NULL, collections_get},
    {PATH_COLLECTION, HTTP_GET_, ACCESS_READ, LISTING, MEDIA_JSON | MEDIA_NDJSON, NULL, collection_get},
    {PATH_COLLECTION, HTTP_POST_, ACCESS_WRITE, PARAMETER_EXISTING, 0, TYPES_POSTED, document_post},
    {PATH_COLLECTION, HTTP_DELETE_, ACCESS_WRITE, 0, 0, NULL, collection_drop},
    {PATH_DOCUMENT, HTTP_GET_, ACCESS_READ, READING, MEDIA_JSON, NULL, document_get},
    {PATH_DOCUMENT, HTTP_PUT_, ACCESS_WRITE, 0, 0, TYPE_JSON, document_put},
    {PATH_DOCUMENT, HTTP_PATCH_, ACCESS_WRITE, 0, 0, TYPES_OF_PATCHES, document_patch},
    {PATH_DOCUMENT, HTTP_DELETE_, ACCESS_WRITE, 0, 0, NULL, document_delete},
};
enum { ROUTES_N = sizeof routes / sizeof *routes };

/* Takes the next segment off a pattern; one with at == NULL when there is none. */
static struct slice next_segment(const char **pattern) {
  if (**pattern != '/' || (*pattern)[1] == '\0') return (struct slice){0};
  const char *start = *pattern + 1;
  const char *end = strchrnul(start, '/');
  *pattern = end;
  return (struct slice){start, (size_t)(end - start)};
}

static bool matches(const char *pattern, struct exchange *x) {
  for (size_t i = 0; i < x->request->segments_n; i++) {
    struct slice wanted = next_segment(&pattern), segment = x->request->segments[i];
    if (wanted.at == NULL) return false;
    if (slice_is(wanted, "{collection}"))
      x->collection = segment;
    else if (slice_is(wanted, "{id}"))
      x->id = segment;
    else if (!slice_equal(wanted, segment))
      return false;
  }
  return next_segment(&pattern).at == NULL;
}

static void append_method(struct bytes *allow, const char *method) {
  if (allow->n > 0) bytes_append_string(allow, ", ");
  bytes_append_string(allow, method);
}

/* The methods of one pattern, as Allow lists them (RFC 9110, 10.2.1). GET, where there is one, is the first
 * of its routes. */
static void allowed_methods(const char *pattern, struct bytes *allow) {
  for (const struct route *route = routes; route < routes + ROUTES_N; route++) {
    if (strcmp(route->pattern, pattern) != 0) continue;
    if (route->method == HTTP_GET_) append_method(allow, "GET, HEAD");
    if (allow->n == 0 || route->method == HTTP_GET_) append_method(allow, "OPTIONS");
    if (route->method == HTTP_POST_) append_method(allow, "POST");
    if (route->method == HTTP_PUT_) append_method(allow, "PUT");
    if (route->method == HTTP_PATCH_) append_method(allow, "PATCH");
    if (route->method == HTTP_DELETE_) append_method(allow, "DELETE");
  }
}

void route_body_header(const struct route *route, struct bytes *out) {
  if (route->body_types == NULL) return;
  if (route->method == HTTP_PATCH_)
    http_response_header(out, "Accept-Patch", slice_of(route->body_types)); /* RFC 5789, 2.2 and 3.1 */
  else if (route->method == HTTP_POST_)
    http_response_header(out, "Accept-Post", slice_of(route->body_types)); /* Linked Data Platform, 7.1 */
  else
    http_response_header(out, "Accept", slice_of(route->body_types)); /* RFC 9110, 12.5.1 and 15.5.16 */
}

/* Of all methods that have a header of their own for it. */
static void body_headers(const char *pattern, struct bytes *out) {
  for (const struct route *route = routes; route < routes + ROUTES_N; route++)
    if (strcmp(route->pattern, pattern) == 0 && route->method != HTTP_PUT_) route_body_header(route, out);
}

static void answer_options(struct exchange *x, struct slice allow, const char *pattern) {
  answer_begin(&x->answer, 204, CACHE_NO_STORE);
  http_response_header(x->answer.out, "Allow", allow);
  if (pattern != NULL) body_headers(pattern, x->answer.out);
  origin_preflight_headers(x, allow);
  answer_end_empty(&x->answer);
}

static void answer_method(struct exchange *x, const char *pattern) {
  struct bytes allow = {0}, body = {0};
  allowed_methods(pattern, &allow);
  if (x->request->method == HTTP_OPTIONS_) {
    answer_options(x, slice_of_bytes(&allow), pattern);
  } else {
    problem_open(&body, PROBLEM_METHOD_NOT_ALLOWED, "%.*s is not allowed here; use one of %.*s.",
                 (int)x->request->method_name.n, x->request->method_name.at, (int)allow.n,
                 (char *)allow.data);
    answer_begin_problem(&x->answer, PROBLEM_METHOD_NOT_ALLOWED);
    http_response_header(x->answer.out, "Allow", slice_of_bytes(&allow));
    answer_end_problem(&x->answer, &body);
  }
  bytes_close(&allow);
}

const struct route *route_find(struct exchange *x) {
  const struct http_request *request = x->request;
  enum http_method method = request->method == HTTP_HEAD_ ? HTTP_GET_ : request->method;
  const char *pattern = NULL; /* of a path that exists */
  if (slice_is(request->path, "*")) {
    answer_options(x, slice_of("GET, HEAD, OPTIONS, POST, PUT, PATCH, DELETE"), NULL);
    return NULL;
  }
  for (const struct route *route = routes; route < routes + ROUTES_N; route++) {
    if (!matches(route->pattern, x)) continue;
    if (route->method == method) return route;
    pattern = route->pattern;
  }
  if (pattern != NULL) {
    answer_method(x, pattern);
  } else {
    answer_problem(&x->answer, PROBLEM_NOT_FOUND, "There is nothing at %.*s; GET / shows where things are.",
                   (int)request->path.n, request->path.at);
  }
  return NULL;
}
