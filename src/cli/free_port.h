/* Ports of 127.0.0.1 that nobody uses at the moment of asking.
 *
 * They are taken from below the range that Linux gives to outgoing connections (ip_local_port_range, from
 * 32768), so that no client's connection can sit on the port of a server that is down for a moment. */
#ifndef CORACLE_CLI_FREE_PORT_H
#define CORACLE_CLI_FREE_PORT_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum free_port_protocol { FREE_PORT_TCP, FREE_PORT_UDP };

enum { FREE_PORTS_MAX = 16 }; /* picked at once */

/* `n` different ones. CORACLE_EIO when none can be found. */
MUST_CHECK int free_ports_pick(enum free_port_protocol, uint16_t *ports, size_t n);

bool free_port_is_free(enum free_port_protocol, uint16_t port);

#endif
