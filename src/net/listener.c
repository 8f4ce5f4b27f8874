#include "net/listener.h"

#include "net/sockaddr.h"
#include "net/stream.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <unistd.h>

enum {
  FREE_PORT_FIRST = 8001,
  FREE_PORT_LAST = 8999,
  BACKLOG = 1024,            /* connections that wait to be accepted */
  ACCEPTS_PER_TURN_MAX = 64, /* so that a flood of connections delays no heartbeat */
  ACCEPT_PAUSE_MS = 100,     /* when there are no descriptors or no memory */
  ACCEPT_LOG_MS = 10000,     /* between two lines about that */
};

/* ---- Binding ---- */

/* A listening socket, or -1 with errno. SO_REUSEADDR lets a restarted node have its port while connections of
 * its former life are in TIME_WAIT. It also lets two sockets bind one port: only the second listen(2) fails.
 */
static int listen_on(const struct address *address) {
  struct sockaddr_storage sockaddr;
  socklen_t n = sockaddr_from_address(address, &sockaddr);
  int yes = 1, no = 0;
  int fd = socket(sockaddr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) return -1;
  /* [::] is IPv4's wildcard too, whatever the system's default (net.ipv6.bindv6only) is. */
  if (address->family == ADDRESS_IP6) (void)setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &no, sizeof no);
  if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
      bind(fd, (const struct sockaddr *)&sockaddr, n) == 0 && listen(fd, BACKLOG) == 0)
    return fd;
  int reason = errno;
  close(fd);
  errno = reason;
  return -1;
}

static int listen_on_free_port(struct address *address) {
  *address = (struct address){.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}};
  for (int port = FREE_PORT_FIRST; port <= FREE_PORT_LAST; port++) {
    address->port = (uint16_t)port;
    int fd = listen_on(address);
    if (fd >= 0 || errno != EADDRINUSE) return fd;
  }
  return -1;
}

int listener_bind(const struct address *wanted, struct address *actual, char *why, size_t why_bytes) {
  char text[ADDRESS_TEXT_MAX];
  *actual = *wanted;
  int fd = wanted->family == ADDRESS_NONE ? listen_on_free_port(actual) : listen_on(actual);
  if (fd < 0 && errno == EADDRINUSE && wanted->family == ADDRESS_NONE) {
    snprintf(why, why_bytes, "every HTTP port of 127.0.0.1 from %d to %d is taken", FREE_PORT_FIRST,
             FREE_PORT_LAST);
  } else if (fd < 0 && errno == EADDRINUSE) {
    snprintf(why, why_bytes, "HTTP address %s is taken by another process", address_format(actual, text));
  } else if (fd < 0) {
    snprintf(why, why_bytes, "cannot listen on HTTP address %s: %s", address_format(actual, text),
             strerror(errno));
  } else {
    struct sockaddr_storage sockaddr;
    socklen_t n = sizeof sockaddr;
    int error = getsockname(fd, (struct sockaddr *)&sockaddr, &n);
    assert(error == 0);
    (void)error;
    *actual = sockaddr_to_address((const struct sockaddr *)&sockaddr);
  }
  return fd;
}

/* ---- Accepting ---- */

/* Errors of the one connection, which is gone (accept(2)), and those that the next call would meet again. */
static bool is_lasting(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

static void on_acceptable(uv_poll_t *poll, int status, int events);

static void on_accept_again(uv_timer_t *timer) {
  struct shell *shell = timer->data;
  uv_poll_start(&shell->acceptable, UV_READABLE, on_acceptable);
}

/* Connections wait in the kernel meanwhile, and are accepted when others have ended. */
static void pause_accepting(struct shell *shell, int error) {
  uv_poll_stop(&shell->acceptable);
  uv_timer_start(&shell->accept_again, on_accept_again, ACCEPT_PAUSE_MS, 0);
  uint64_t now_ms = shell_now_ms();
  if (shell->accept_logged_ms != 0 && now_ms < shell->accept_logged_ms + ACCEPT_LOG_MS) return;
  shell->accept_logged_ms = now_ms;
  log_printf(&shell->log, NODE_LOG_WARN, "cannot accept HTTP connections for now: %s", strerror(error));
}

static void on_acceptable(uv_poll_t *poll, int status, int events) {
  struct shell *shell = poll->data;
  (void)status, (void)events; /* accept4() tells what is wrong */
  for (int i = 0; i < ACCEPTS_PER_TURN_MAX; i++) {
    int fd = accept4(shell->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd >= 0) {
      stream_accept(shell, fd);
    } else if (is_lasting(errno)) {
      pause_accepting(shell, errno);
      return;
    } else if (errno == EAGAIN) {
      return;
    }
  }
}

void listener_accept(struct shell *shell) {
  if (shell->listener < 0 || shell->acceptable_inited) return;
  int error = uv_poll_init(&shell->loop, &shell->acceptable, shell->listener);
  assert(error == 0);
  (void)error;
  shell->acceptable.data = shell;
  shell->acceptable_inited = true;
  uv_poll_start(&shell->acceptable, UV_READABLE, on_acceptable);
}

void listener_close(struct shell *shell) {
  if (shell->listener < 0) return;
  if (shell->acceptable_inited) uv_close((uv_handle_t *)&shell->acceptable, NULL);
  uv_timer_stop(&shell->accept_again);
  close(shell->listener);
  shell->listener = -1;
}
