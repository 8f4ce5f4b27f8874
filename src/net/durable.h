/* The loop's side of durable storage: what the node wants on the disk goes to the disk thread, and what the
 * thread tells goes to the node. */
#ifndef CORACLE_NET_DURABLE_H
#define CORACLE_NET_DURABLE_H

#include "disk/disk.h"
#include "net/shell.h"

/* 0, or CORACLE_EIO when the system has no thread to give. */
MUST_CHECK int durable_start(struct shell *, struct disk *);
/* NODE_PERSIST. */
void durable_persist(struct shell *, const struct node_persist *);
/* The node has no more effects for now. */
void durable_hand_over(struct shell *);
/* NODE_EXIT came: stops the loop when everything that was asked for is durable. When the disk does not get
 * there in a few seconds, the process ends with status 1. */
void durable_end(struct shell *);
/* After the loop was stopped. */
void durable_close(struct shell *);

#endif
