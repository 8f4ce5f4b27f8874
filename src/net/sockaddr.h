/* Between our addresses and the system's. */
#ifndef CORACLE_NET_SOCKADDR_H
#define CORACLE_NET_SOCKADDR_H

#include "base/address.h"

#include <sys/socket.h>

/* Fills *out and returns its length. The address must not be of family NONE. */
socklen_t sockaddr_from_address(const struct address *, struct sockaddr_storage *out);
/* Family NONE for what is neither IPv4 nor IPv6. */
struct address sockaddr_to_address(const struct sockaddr *);

#endif
