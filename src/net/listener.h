/* The HTTP port: bound and listening from the start, so that nobody else gets it, while connections wait in
 * the kernel until the node opens it. */
#ifndef CORACLE_NET_LISTENER_H
#define CORACLE_NET_LISTENER_H

#include "net/shell.h"

/* Binds and listens; family NONE is the first free port of 127.0.0.1 from 8001, port 0 any free one. Returns
 * the socket and the address it got, or -1, and one sentence in `why`. */
MUST_CHECK int listener_bind(const struct address *, struct address *actual, char *why, size_t why_bytes);

/* From now on connections are accepted. */
void listener_accept(struct shell *);
/* Gives up the port; again does nothing. */
void listener_close(struct shell *);

#endif
