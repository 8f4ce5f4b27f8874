/* The thread that makes things durable: writes and syncs wait here, and the loop never does. It is a thread
 * of its own and not of libuv's pool, whose threads may all be busy with something else.
 *
 * One batch is on its way to the disk at a time, with one sync for all that is in it. What the loop adds
 * meanwhile is the next batch (group commit), which the thread takes by itself when it is done.
 *
 * A read, write or sync that failed ends the process right there, on this thread, with one line and status 1:
 * nothing more may be said by a node that does not know what is on its disk, and the pages of a failed sync
 * may be marked clean, so another would succeed and mean nothing (Rebello et al., ATC 2020). */
#ifndef CORACLE_NET_DISK_THREAD_H
#define CORACLE_NET_DISK_THREAD_H

#include "disk/disk.h"
#include "net/log.h"

#include <uv.h>

struct disk_thread;

/* How things stand; any of it may have changed since the last time. */
struct disk_news {
  uint64_t persisted; /* everything up to this sequence is durable; 0: nothing yet */
  bool image_refused; /* in it was an image of the node's own that had no room; told once */
  bool full;          /* there is no room for more than what is under way, if for that */
  const char *why;    /* full: what had no room; borrowed during the call */
  bool ended;         /* after disk_thread_end(), and the last news */
};
typedef void disk_news_cb(void *argument, const struct disk_news *);

/* Starts it: from now on the disk is this thread's until it has ended. The callback is called on the loop.
 * NULL when the system has no thread to give. The log's name must live as long as the thread. */
struct disk_thread *disk_thread_start(uv_loop_t *, struct disk *, const struct log *, disk_news_cb *,
                                      void *argument);
/* To be made durable after all that was added before. The item is copied. */
void disk_thread_add(struct disk_thread *, const struct batch_item *);
/* All that the loop's turn had was added: the thread may begin. */
void disk_thread_hand_over(struct disk_thread *);
/* Finishes all that was added, and ends; what the disk has no room for is given up. The news tells when. */
void disk_thread_end(struct disk_thread *);
/* After the news that it has ended: releases it, in a later turn of the loop. The disk is the caller's again.
 */
void disk_thread_close(struct disk_thread *);

#endif
