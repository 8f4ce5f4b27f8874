/* For tests of net/: serve() with the fake node in a child process, and clients that talk to it. */
#ifndef CORACLE_TEST_NET_HARNESS_H
#define CORACLE_TEST_NET_HARNESS_H

#include "net/serve.h"

#include <sys/types.h>

enum { NET_TIMEOUT_MS = 10000 }; /* for anything that is waited for */

struct server {
  pid_t pid;
  int stderr_fd;       /* read end, in non-blocking mode */
  struct bytes log;    /* what was read of it */
  struct address http; /* as it says itself; family NONE when it ended before it said so */
  struct address election;
  char data_dir[64], secret_file[80];
  bool keeps_data;          /* server_wait() leaves the data directory */
  unsigned descriptors_max; /* set before server_start(); 0: as they are */
};

/* A free port of 127.0.0.1. */
struct address net_free_udp_address(void);
/* Defaults for every option, but memory for storage; HTTP on any port, an election address of its own, a new
 * data directory. */
struct serve_options net_options(struct server *, const char *name);
/* Starts it and waits until it tells its addresses or has ended. */
void server_start(struct server *, const struct serve_options *);
/* Reads what is there of its stderr. */
void server_read_log(struct server *);
/* Waits for it to end and returns its exit status, or 128 + signal. Releases everything but the log,
 * and removes the data directory. */
int server_wait(struct server *);
/* SIGTERM, and it must end with status 0: no leak, no sanitizer's complaint. Releases the log too. */
void server_stop(struct server *);

/* Blocking sockets, with NET_TIMEOUT_MS on everything. */
int net_connect(const struct address *);
void net_say(int fd, const char *line); /* adds the newline */
/* Reads a line and returns it without its newline, until the next call. "" at the end of the stream. */
const char *net_hear(int fd);
void net_expect(int fd, const char *line);
void net_expect_end(int fd);
int net_udp(const struct address *bind_to); /* NULL: any port of 127.0.0.1 */
struct address net_address_of(int fd);
void net_send(int fd, const struct address *to, const void *data, size_t n);

uint64_t net_now_ms(void);
void net_sleep_ms(unsigned ms);

#endif
