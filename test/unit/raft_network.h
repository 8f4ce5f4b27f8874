/* What raft_cluster.c and raft_network.c share. */
#ifndef CORACLE_TEST_RAFT_NETWORK_H
#define CORACLE_TEST_RAFT_NETWORK_H

#include "raft_cluster.h"

void letters_push(struct letters *, struct letter *);
struct letter *letters_take(struct letters *, size_t i);
void letters_close(struct letters *); /* with all in it */
struct letter *letter_new(const struct coracle_raft_message *);
void letter_free(struct letter *);

/* The core wants it sent: by which stream. It goes, or waits for the disk. */
void network_post(struct cluster *, struct server *from, const struct coracle_raft_message *);
/* The server's disk has come further: what waited for that goes. */
void network_release(struct cluster *, struct server *from);
/* A server ends all its streams: it crashed, or leads no longer (then only those that it led). It is not
 * told. */
void network_server_gone(struct cluster *, uint64_t id, bool crashed);
/* Leaders open the streams they can; one message arrives or one end is told. False when there was nothing to
 * do. */
bool network_move(struct cluster *);
void network_close(struct cluster *);

#endif
