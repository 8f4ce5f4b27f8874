/* The shell around one node: what its files share. serve.c starts and ends it, shell.c runs the turns, udp.c,
 * listener.c, stream.c and durable.c carry out the effects.
 *
 * Callbacks of libuv tell the node what happened with shell_step(). What the node wants done is carried out
 * once per turn of the loop: before the loop sleeps, and again after it woke. What an effect causes there and
 * then (a bind that succeeded, a write that left at once) is noted and told to the node when all effects are
 * carried out, never from inside. */
#ifndef CORACLE_NET_SHELL_H
#define CORACLE_NET_SHELL_H

#include "base/list.h"
#include "net/log.h"
#include "node/node.h"

#include <uv.h>

enum {
  READ_BUFFER_BYTES = 64 * 1024, /* one for the whole loop: the node takes bytes before node_step() returns */
  ROUNDS_PER_TURN_MAX = 16,      /* of effects, and then of what they caused */
  REASON_BYTES = 64,             /* for uv_strerror_r(); uv_strerror() leaks for an error it does not know */
};

enum bind_report { BIND_NOTHING, BIND_BOUND, BIND_TAKEN };

struct shell {
  uv_loop_t loop;
  struct node *node; /* owned */
  struct log log;

  uv_prepare_t before_sleep;
  uv_check_t after_sleep;
  uv_idle_t again;  /* keeps the loop from sleeping while a turn is not done */
  uv_timer_t wake;  /* NODE_WAKE */
  uint64_t wake_ms; /* its time */
  uv_signal_t sigterm, sigint;
  bool stepped;  /* the node was told something since its effects were carried out */
  bool stopping; /* a signal came */
  bool exiting;  /* NODE_EXIT came: the node is told nothing more */
  int exit_status;

  /* udp.c */
  uv_udp_t udp;                 /* the node's own socket; across hosts there is no other */
  struct address election;      /* the well-known address */
  uv_udp_t *election_socket;    /* NULL: none is open; owned, freed in its close callback */
  bool election_held;           /* it is bound */
  enum bind_report bind_report; /* to be told */
  bool bind_error_logged;

  /* listener.c */
  int listener;              /* the listening socket; -1: closed */
  uv_poll_t acceptable;      /* active while connections are accepted */
  bool acceptable_inited;    /* NODE_OPEN_HTTP came */
  uv_timer_t accept_again;   /* runs while accepting is paused for want of descriptors */
  uint64_t accept_logged_ms; /* when that was last logged; 0: never */

  /* stream.c */
  struct list streams; /* struct stream, open or connecting */
  struct list closing; /* struct stream, after NODE_CLOSE: its deadlines run */
  struct list drained; /* struct stream, NODE_DRAINED to be told */
  uv_timer_t sweep;    /* runs while `closing` is not empty */

  /* durable.c */
  struct disk_thread *disk_thread; /* NULL: storage is memory */
  uint64_t persist_asked;          /* the newest sequence that was given to it */
  uint64_t persisted;              /* the newest that the node was told of */
  bool disk_full;                  /* as the node was told */
  uv_timer_t disk_deadline;        /* runs when only the disk is waited for */

  char read_buffer[READ_BUFFER_BYTES];
};

/* The loop and what its turns need, all zero before. 0 or libuv's error: then nothing is open. */
MUST_CHECK int shell_open(struct shell *, enum node_log_level, const char *name);
/* Runs the node until NODE_EXIT. Returns the exit status. */
int shell_run(struct shell *);
/* Closes every socket and handle, and releases the node. */
void shell_close(struct shell *);

uint64_t shell_now_ms(void);  /* monotonic, and fresh: uv_now() is as of the last turn's start */
uint64_t shell_wall_ms(void); /* since 1970, UTC */

/* Tells the node; the event's times are filled in. Never while effects are carried out. */
void shell_step(struct shell *, struct node_event);

/* The loop's read buffer, as a uv_alloc_cb of handles whose `loop->data` is the shell. */
void shell_allocate(uv_handle_t *, size_t suggested, uv_buf_t *);

#endif
