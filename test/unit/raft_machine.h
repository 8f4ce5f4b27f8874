/* The state machine of a test's servers, and its images: see raft_cluster.h.
 *
 * The state is a hash over every entry applied so far, in order. So two servers that have applied up to the
 * same index have the same state, or something went wrong; that is checked after every step, however a server
 * came to its state. An image is bytes made from the state, a different number of them each time; each is
 * checked before the image is installed. */
#ifndef CORACLE_TEST_RAFT_MACHINE_H
#define CORACLE_TEST_RAFT_MACHINE_H

#include "base/queue.h"
#include "coracle/raft.h"

struct cluster;
struct server;

struct machine_state {
  uint64_t index; /* applied up to here */
  uint64_t term;  /* of that entry */
  uint64_t hash;
};

enum { MACHINE_IMAGES_MAX = 2 }; /* kept by a server: the newest, and the one before */

struct machine {
  struct machine_state state;
  struct machine_state images[MACHINE_IMAGES_MAX]; /* newest first; index 0: none */
  uint8_t *incoming;                               /* of an image that is not complete */
  size_t incoming_n;
  struct queue requests; /* of struct coracle_raft_chunk_request: not answered yet */
};

/* What every server's state was: [i] after index i + 1; 0: nobody has applied it yet. */
struct machine_history {
  uint64_t *hashes;
  size_t n;
};

void machine_close(struct machine *);
/* A server takes a step: installs what that says, applies what is committed, notes what it is asked for. */
void machine_step(struct cluster *, struct server *, const struct coracle_raft_effects *);
/* It starts with that state, which is durable there; all zero: with nothing. */
void machine_restart(struct server *, const struct machine_state *);

uint64_t machine_image_bytes(const struct cluster *, const struct machine_state *);
uint64_t machine_image_tag(const struct machine_state *);
/* Writes n bytes of the image, from `offset` on. */
void machine_image_read(const struct machine_state *, uint64_t offset, uint8_t *out, size_t n);

#endif
