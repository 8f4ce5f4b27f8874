/* Which datagrams of one sender have come: the newest, and which of the 64 counters up to it. A copy is
 * noticed, a datagram that was overtaken by fewer than 64 others is still taken (RFC 4303, section 3.4.3 has
 * the same for IPsec). A sender's new start makes all of its older ones old. */
#ifndef CORACLE_WIRE_REPLAY_H
#define CORACLE_WIRE_REPLAY_H

#include <stdbool.h>
#include <stdint.h>

enum { REPLAY_WINDOW = 64 };

struct replay_window { /* all zero: nothing has come */
  uint64_t start;      /* the newest start number that has come */
  uint64_t counter;    /* the highest of that start */
  uint64_t seen;       /* bit i: counter - i has come */
};

/* True the first time for each (start, counter), unless it is older than the window reaches. */
bool replay_window_take(struct replay_window *, uint64_t start, uint64_t counter);

#endif
