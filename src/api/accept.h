/* Accept (RFC 9110, 12.5.1): in which of the media types that an endpoint produces its answer is.
 *
 * Errors ignore it, and so do the answers to writes: these have taken effect whatever the client can read. */
#ifndef CORACLE_API_ACCEPT_H
#define CORACLE_API_ACCEPT_H

#include "api/exchange.h"

/* "application/json"; static. */
const char *media_name(enum media);
/* The request's Content-Type is that one, whatever its parameters. */
bool media_is_sent(const struct http_request *, enum media);

/* Sets x->media to the one that the request likes best of those `produced` (enum media bits; 0: there is
 * nothing to choose). False: it takes none of them, and 406 is answered with the list. Without Accept, or
 * with one that says nothing, it is the first. */
bool accept_choose(struct exchange *, unsigned produced);

#endif
