/* Which web pages may use this node (docs/api.md, "Browsers").
 *
 * A browser sends what any page asks of it, with the reach of whoever sits before it. What gives a page away
 * is in two headers that no script can set. Host: a page whose own name was made to resolve to 127.0.0.1 (DNS
 * rebinding) counts as one of this node's, but comes with that name. Origin: a page of another name says
 * which. What such a page may do all the same is CORS (the Fetch standard, 3.2), for the origins of
 * --cors-origin. */
#ifndef CORACLE_API_ORIGIN_H
#define CORACLE_API_ORIGIN_H

#include "base/address.h"
#include "base/bytes.h"
#include "http/request.h"

struct exchange;

/* The origins of --cors-origin. */
struct origins {
  struct bytes text; /* owned; each origin as browsers spell it, with a NUL behind */
  bool any;          /* "*" */
};

/* `list` is valid (api_origins_fault() has nothing against it); NULL and "": none. */
void origins_init(struct origins *, const char *list);
void origins_close(struct origins *);

/* Whose scripts may read the answer to a request, for api_call.origin. Only the request's headers are looked
 * at, and fewer than it had will do. */
const char *origins_granted(const struct origins *, const struct http_request *);

/* False: the request comes from a page that may not use this node, and is answered with 403 (or 400, when the
 * page it comes from cannot be told). Whoever shows this node's write token is no page. */
bool origin_admits(struct exchange *);

/* The headers that tell browsers that the page may read the answer; `granted` is api_call.origin. */
void origin_headers(const struct origins *, const char *granted, struct bytes *out);
/* Those of the answer to OPTIONS in which a browser looks up what the page may send; none for any other
 * OPTIONS. `methods` is as Allow has them. */
void origin_preflight_headers(const struct exchange *, struct slice methods);

#endif
