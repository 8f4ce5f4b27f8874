/* Who answers: whether this node, in its role, may serve a read or take a write, and where it goes if not. */
#ifndef CORACLE_API_ACCESS_H
#define CORACLE_API_ACCESS_H

#include "api/exchange.h"

/* False: no leader is known to ask, and it is answered with why not, and Retry-After. */
bool access_read(struct exchange *);
/* Likewise for /readyz: whether a read that came now would be answered soon. */
bool access_ready(struct exchange *);

/* True: this node leads and takes writes. False: *action says what became of the request (answered, or to be
 * forwarded). */
bool access_write(struct exchange *, enum api_action *action);

/* The same of a node alone, without a request: false and why not. `*detail` lives as long as the view. */
bool access_leads(const struct api_view *, enum problem *, const char **detail);

/* For a write that found no leader here after all. */
void access_refuse_leaderless(const struct answer *);

#endif
