/* The lines that the demo's nodes write: cut out of their pipes, kept for a while, and put in order.
 *
 * A node's line is "2026-11-23T06:10:39.123Z INFO  a: step 4: sent ACCEPT to 127.0.0.1:8000". What a user of
 * the demo wants to see (news) waits here for a moment, because pipes have no order between them: lines are
 * handed out by their time, and within a millisecond by their step, so that a cause stands before its effect.
 */
#ifndef CORACLE_CLI_DEMO_LOG_H
#define CORACLE_CLI_DEMO_LOG_H

#include "base/bytes.h"

enum {
  DEMO_NODES_MIN = 3,
  DEMO_NODES_MAX = 7,
  DEMO_STEPS = 8,             /* from the race for the election address to the open HTTP port */
  DEMO_LINE_BYTES_MAX = 2048, /* longer lines are cut */
  DEMO_NEWS_MAX = 1024,       /* lines waiting to be shown; beyond, the oldest are dropped */
  DEMO_NEWS_HOLD_MS = 20,     /* how long a line waits for an earlier one */
  DEMO_TAIL_LINES = 10,       /* last lines of each node, shown when something goes wrong */
};

struct demo_line {
  size_t node;          /* index of the node that wrote it */
  int step;             /* 1 to DEMO_STEPS, or 0 */
  bool alarming;        /* logged as a warning or an error */
  uint64_t received_ms; /* monotonic */
  char time[25];        /* "2026-11-23T06:10:39.123Z", or empty */
  char *text;           /* owned: what follows the node's name */
};

struct demo_log {
  struct demo_line *news[DEMO_NEWS_MAX]; /* owned; in the order in which they are to be shown */
  size_t news_n;                         /* entries in use */
  uint64_t dropped;                      /* news that found no room; whoever tells of them sets it to 0 */
  char *tails[DEMO_NODES_MAX][DEMO_TAIL_LINES]; /* owned, rings; NULL where there is no line yet */
  size_t tails_next[DEMO_NODES_MAX];            /* ring slot of the next line, below DEMO_TAIL_LINES */
  struct bytes partial[DEMO_NODES_MAX];         /* a line whose end has not come yet */
  bool cutting[DEMO_NODES_MAX];                 /* the rest of an over-long line is being skipped */
};

/* All zero is an empty log. */
void demo_log_close(struct demo_log *);

/* Takes in bytes that a node wrote. `name` is the node's. */
void demo_log_feed(struct demo_log *, size_t node, const char *name, const char *data, size_t n,
                   uint64_t now_ms);

/* The next line to be shown, NULL when none has waited long enough. Owned by the caller: demo_line_free(). */
struct demo_line *demo_log_next(struct demo_log *, uint64_t now_ms);
/* How long until demo_log_next() will have a line; -1 when none is waiting. */
int demo_log_wait_ms(const struct demo_log *, uint64_t now_ms);
/* The next line of this step, however short it waited; 0 takes those of no step. NULL when there is none. */
struct demo_line *demo_log_take_step(struct demo_log *, int step);
void demo_line_free(struct demo_line *); /* NULL is fine */

/* The i-th of a node's last lines, oldest first; NULL beyond them. */
const char *demo_log_tail(const struct demo_log *, size_t node, size_t i);

#endif
