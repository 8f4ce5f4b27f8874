/* Query parameters: each is known, given once, and within its range, or the request is refused. */
#ifndef CORACLE_API_PARAMETERS_H
#define CORACLE_API_PARAMETERS_H

#include "api/exchange.h"

enum { LIST_LIMIT_DEFAULT = 100, LIST_LIMIT_MAX = 1000 };

/* Fills in consistency, limit, after and replaces; x->media is known. `known`: the route's enum parameter
 * bits. False: answered with 400. */
bool parameters_read(struct exchange *, unsigned known);

#endif
