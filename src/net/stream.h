/* TCP connections, both those that were accepted and those that the node asked for.
 *
 * A stream is CONNECTING or OPEN; NODE_CLOSE makes it FLUSHING until what was written has left, then
 * LINGERING until the peer closes too, then CLOSED. Closing at once would be shorter, but a connection that
 * is closed with bytes unread is reset, and the peer's system may then throw away an answer that it had
 * already received (RFC 9112, 9.6). The node is told NODE_CLOSED when the descriptor is closed, once for each
 * stream, and may count on it to bound their number. */
#ifndef CORACLE_NET_STREAM_H
#define CORACLE_NET_STREAM_H

#include "net/shell.h"

/* Takes over the descriptor of an accepted connection. */
void stream_accept(struct shell *, int fd);

/* The effects of these names. They do nothing to a stream that is closing already. */
void stream_connect(struct shell *, struct node_stream *, const struct address *to);
void stream_write(struct node_stream *, const void *data, size_t n);
void stream_pause(struct node_stream *);
void stream_resume(struct node_stream *);
void stream_close(struct node_stream *);

/* Tells NODE_DRAINED for every stream whose writes were taken at once. */
void streams_tell_drained(struct shell *);
/* Ends all of them without ceremony. */
void streams_close(struct shell *);

#endif
