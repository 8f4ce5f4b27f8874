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

static const struct route routes[] = {
    {"/", HTTP_GET_, ACCESS_ANY, 0, root_get},
    {"/livez", HTTP_GET_, ACCESS_ANY, 0, livez_get},
    {"/readyz", HTTP_GET_, ACCESS_ANY, PARAMETER_CONSISTENCY, readyz_get},
    {"/v1/cluster", HTTP_GET_, ACCESS_ANY, 0, cluster_get},
    {"/v1/replication", HTTP_GET_, ACCESS_ANY, 0, replication_get},
    {PATH_COLLECTIONS, HTTP_GET_, ACCESS_READ, LISTING, collections_get},
    {PATH_COLLECTION, HTTP_GET_, ACCESS_READ, LISTING, collection_get},
    {PATH_COLLECTION, HTTP_POST_, ACCESS_WRITE, 0, document_post},
    {PATH_DOCUMENT, HTTP_GET_, ACCESS_READ, READING, document_get},
    {PATH_DOCUMENT, HTTP_PUT_, ACCESS_WRITE, 0, document_put},
    {PATH_DOCUMENT, HTTP_DELETE_, ACCESS_WRITE, 0, document_delete},
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

/* The methods of one pattern, as Allow lists them (RFC 9110, 10.2.1). */
static void allowed_methods(const char *pattern, struct bytes *allow) {
  for (const struct route *route = routes; route < routes + ROUTES_N; route++) {
    if (strcmp(route->pattern, pattern) != 0) continue;
    if (route->method == HTTP_GET_) append_method(allow, "GET, HEAD, OPTIONS");
    if (route->method == HTTP_POST_) append_method(allow, "POST");
    if (route->method == HTTP_PUT_) append_method(allow, "PUT");
    if (route->method == HTTP_DELETE_) append_method(allow, "DELETE");
  }
}

static void answer_method(struct exchange *x, const char *pattern) {
  struct bytes allow = {0}, body = {0};
  allowed_methods(pattern, &allow);
  if (x->request->method == HTTP_OPTIONS_) {
    answer_begin(&x->answer, 204, CACHE_NO_STORE);
    http_response_header(x->answer.out, "Allow", slice_of_bytes(&allow));
    answer_end_empty(&x->answer);
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
