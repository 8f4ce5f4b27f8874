/* A write on its way from a follower to the leader (--follower-writes=forward). The leader's side recognises
 * it by Coracle-Forwarded-By together with its own write token. */
#ifndef CORACLE_API_FORWARD_H
#define CORACLE_API_FORWARD_H

#include "api/exchange.h"

#define FORWARDED_BY "Coracle-Forwarded-By"

static inline bool request_is_forwarded(const struct http_request *request) {
  return http_request_header(request, FORWARDED_BY).at != NULL;
}

/* False, and answered with 403, for a request that claims to be forwarded and has not this node's token. */
bool forwarded_is_genuine(struct exchange *);

#endif
