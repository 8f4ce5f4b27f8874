#include "net/udp.h"

#include "base/memory.h"
#include "net/sockaddr.h"

#include <assert.h>
#include <stdlib.h>

/* libuv hands out at most 32 datagrams before it looks at the other sockets, so a flood delays nobody for
 * long. */
static void on_datagram(uv_udp_t *udp, ssize_t n, const uv_buf_t *buffer, const struct sockaddr *from,
                        unsigned flags) {
  (void)flags;
  if (n < 0 || from == NULL) return; /* an error of one datagram is a lost datagram */
  shell_step(udp->loop->data, (struct node_event){
                                  .type = NODE_DATAGRAM,
                                  .from = sockaddr_to_address(from),
                                  .data = (const uint8_t *)buffer->base,
                                  .n = (size_t)n,
                              });
}

/* Without flags libuv sets no SO_REUSEADDR, with which Linux lets two processes bind one UDP port. It does
 * set it on a socket that sends before it is bound. */
static int bind_exclusively(uv_udp_t *udp, const struct address *address) {
  struct sockaddr_storage sockaddr;
  sockaddr_from_address(address, &sockaddr);
  return uv_udp_bind(udp, (const struct sockaddr *)&sockaddr, 0);
}

int udp_open(struct shell *shell, const struct address *election, bool election_is_own) {
  struct address own = *election;
  if (!election_is_own) own.port = 0;
  shell->election = *election;
  int error = bind_exclusively(&shell->udp, &own);
  return error != 0 ? error : uv_udp_recv_start(&shell->udp, shell_allocate, on_datagram);
}

struct address udp_address(const struct shell *shell) {
  struct sockaddr_storage sockaddr;
  int n = sizeof sockaddr;
  int error = uv_udp_getsockname(&shell->udp, (struct sockaddr *)&sockaddr, &n);
  assert(error == 0);
  (void)error;
  return sockaddr_to_address((const struct sockaddr *)&sockaddr);
}

void udp_send(struct shell *shell, const struct address *to, const void *data, size_t n) {
  struct sockaddr_storage sockaddr;
  union {
    const void *given;
    char *wanted;
  } base = {.given = data}; /* uv_buf_t is for reading too, so it has no const */
  uv_buf_t buffer = uv_buf_init(base.wanted, (unsigned)n);
  if (to->family == ADDRESS_NONE) return;
  sockaddr_from_address(to, &sockaddr);
  uv_udp_try_send(&shell->udp, &buffer, 1, (const struct sockaddr *)&sockaddr);
}

/* An address of somebody else's is what an election is about; anything else is for a person to mend. */
static void log_bind_error(struct shell *shell, int error) {
  char text[ADDRESS_TEXT_MAX], reason[REASON_BYTES];
  if (error == 0 || error == UV_EADDRINUSE || shell->bind_error_logged) return;
  shell->bind_error_logged = true;
  log_printf(&shell->log, NODE_LOG_ERROR, "cannot bind election address %s (udp): %s",
             address_format(&shell->election, text), uv_strerror_r(error, reason, sizeof reason));
}

/* A socket that could not be bound is kept for the next attempt. */
void udp_bind_election(struct shell *shell) {
  int error = 0;
  if (shell->election_socket == NULL) {
    shell->election_socket = memory_zalloc(sizeof *shell->election_socket);
    uv_udp_init(&shell->loop, shell->election_socket);
  }
  if (!shell->election_held) error = bind_exclusively(shell->election_socket, &shell->election);
  if (error == 0) error = uv_udp_recv_start(shell->election_socket, shell_allocate, on_datagram);
  shell->election_held = error == 0;
  shell->bind_report = error == 0 ? BIND_BOUND : BIND_TAKEN;
  log_bind_error(shell, error);
}

static void on_election_closed(uv_handle_t *handle) {
  free(handle);
}

void udp_release_election(struct shell *shell) {
  if (shell->bind_report == BIND_BOUND) shell->bind_report = BIND_NOTHING;
  shell->election_held = false;
  if (shell->election_socket == NULL) return;
  uv_close((uv_handle_t *)shell->election_socket, on_election_closed); /* the descriptor: here and now */
  shell->election_socket = NULL;
}
