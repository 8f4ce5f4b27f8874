#include "cli/free_port.h"

#include "base/random.h"

#include <arpa/inet.h>
#include <assert.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
  LOWEST = 10000,
  HIGHEST = 32767,
  ATTEMPTS_MAX = 1000, /* random ports tried before giving up */
};

/* A socket that holds the port, or -1. */
static int hold(enum free_port_protocol protocol, uint16_t port) {
  struct sockaddr_in address = {
      .sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int yes = 1, type = protocol == FREE_PORT_TCP ? SOCK_STREAM : SOCK_DGRAM;
  int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;

  /* TCP servers bind with address reuse, past old connections that linger in TIME_WAIT; then only listen(2)
   * tells whether the port is another's. */
  bool held = protocol == FREE_PORT_UDP || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0;
  held = held && bind(fd, (const struct sockaddr *)&address, sizeof address) == 0;
  held = held && (protocol == FREE_PORT_UDP || listen(fd, 1) == 0);
  if (held) return fd;
  close(fd);
  return -1;
}

int free_ports_pick(enum free_port_protocol protocol, uint16_t *ports, size_t n) {
  struct random random;
  int held[FREE_PORTS_MAX];
  size_t held_n = 0;

  assert(n <= FREE_PORTS_MAX);
  if (getrandom(&random.state, sizeof random.state, 0) != sizeof random.state) return CORACLE_EIO;
  for (int attempt = 0; attempt < ATTEMPTS_MAX && held_n < n; attempt++) {
    uint16_t port = (uint16_t)(LOWEST + random_below(&random, HIGHEST - LOWEST + 1));
    int fd = hold(protocol, port);
    if (fd < 0) continue;
    ports[held_n] = port;
    held[held_n++] = fd;
  }
  for (size_t i = 0; i < held_n; i++) close(held[i]);
  return held_n == n ? 0 : CORACLE_EIO;
}

bool free_port_is_free(enum free_port_protocol protocol, uint16_t port) {
  int fd = hold(protocol, port);
  if (fd >= 0) close(fd);
  return fd >= 0;
}
