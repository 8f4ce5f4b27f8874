/* The target of a request (RFC 9112, 3.2): which form it has, its path in segments and its query in
 * parameters. */
#ifndef CORACLE_HTTP_TARGET_H
#define CORACLE_HTTP_TARGET_H

#include "http/fault.h"

/* As in struct http_request, whose comments tell what each is. */
struct target {
  struct slice whole;     /* path and query */
  struct slice authority; /* of http://HOST/PATH; at is NULL in the other forms */
  struct slice path;
  struct slice segments[HTTP_SEGMENTS_MAX];
  size_t segments_n;
  struct http_field parameters[HTTP_PARAMETERS_MAX];
  size_t parameters_n;
};

/* Reads `sent`, which is not empty and holds no space. The slices point into it, and into *decoded where a
 * byte had to be decoded; both must stay as they are while the target is in use. */
MUST_CHECK enum http_fault target_parse(struct slice sent, bool is_options, struct target *,
                                        struct bytes *decoded);

/* Is this the host, or host and port, of a URI (RFC 3986, 3.2.2)? No user, and not empty unless
 * `may_be_empty`. */
bool target_is_host(struct slice host, bool may_be_empty);

#endif
