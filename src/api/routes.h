/* The table of endpoints. What 404, 405 and OPTIONS say comes out of it. */
#ifndef CORACLE_API_ROUTES_H
#define CORACLE_API_ROUTES_H

#include "api/exchange.h"

/* Who may answer: see api/access.h. */
enum access {
  ACCESS_ANY,   /* every node, always */
  ACCESS_READ,  /* a read of documents */
  ACCESS_WRITE, /* a write */
};

struct route {
  const char *pattern; /* of the path; {collection} and {id} stand for one segment each */
  enum http_method method;
  enum access access;
  unsigned parameters;    /* enum parameter bits */
  unsigned produces;      /* enum media bits; 0: what it answers does not depend on Accept */
  const char *body_types; /* media types of the bodies that it takes, with commas; NULL: it looks at none */
  endpoint *endpoint;
};

/* The route of the request, with the exchange's collection and id filled in; HEAD takes GET's. NULL when the
 * request has been answered: no such path (404), no such method there (405), or it was OPTIONS. */
const struct route *route_find(struct exchange *);

/* The response header that names the types of bodies that the route takes, if it takes any: Accept-Patch, Accept-Post
 * or, for PUT, Accept. */
void route_body_header(const struct route *, struct bytes *out);

#endif
