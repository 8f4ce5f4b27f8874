/* The two UDP sockets: the node's own, which it keeps for life and sends from, and the election socket, which
 * only receives and which one process of a host can hold. Across hosts there is only the first: the node's
 * election address is its own. */
#ifndef CORACLE_NET_UDP_H
#define CORACLE_NET_UDP_H

#include "net/shell.h"

/* Binds the node's own socket, to the election address if that is its own, else to any port of the election
 * address's host, and starts to receive. 0 or libuv's error. */
MUST_CHECK int udp_open(struct shell *, const struct address *election, bool election_is_own);
/* The own socket's address. */
struct address udp_address(const struct shell *);
/* May drop the datagram, as the network may. */
void udp_send(struct shell *, const struct address *to, const void *data, size_t n);

void udp_bind_election(struct shell *);
/* The port is free when this returns. */
void udp_release_election(struct shell *);

#endif
