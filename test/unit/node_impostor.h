/* One that speaks the nodes' protocols, and says what the test wants: a leader that a node follows, or a
 * follower that a leader takes in, and whatever no node would ever do.
 *
 *     struct impostor b;
 *     impostor_open(&b, w, 1);
 *     impostor_lead(&b); // has the election address, and makes the only node of the world follow
 *     struct wire *wire = impostor_stream(&b, 0);
 *     impostor_hello(&b, wire, 1); // in term 1
 *     impostor_append(&b, wire, ...); */
#ifndef CORACLE_TEST_NODE_IMPOSTOR_H
#define CORACLE_TEST_NODE_IMPOSTOR_H

#include "join/message.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "wire/datagram.h"
#include "wire/raft_message.h"
#include <cmocka.h>

struct impostor {
  struct world *world;
  struct seal_keys keys;
  struct seal_source source;
  struct tap *tap; /* its own UDP socket */
  uint64_t id, term, start, counter;
  uint8_t cluster[CLUSTER_ID_BYTES];
  uint8_t token[JOIN_TOKEN_BYTES];
  struct address http;
  bool leads;
  uint64_t heard_from, heard_start; /* of the last impostor_heard() */
  struct join_message heard;
  uint8_t node_token[JOIN_TOKEN_BYTES]; /* of the node that follows it */
};

void impostor_open(struct impostor *, struct world *, int number);
/* Sends a message of the handshake, with its card and, as CREDENTIALS, its token. */
void impostor_say(struct impostor *, struct address to, uint64_t to_id, enum join_message_type);
/* Sends a datagram of that type and body. */
void impostor_send(struct impostor *, struct address to, uint64_t to_id, uint8_t type, const void *body,
                   size_t n);
void impostor_send_raft(struct impostor *, struct address to, uint64_t to_id,
                        const struct coracle_raft_message *);
/* What it sends, sealed; to be released with bytes_close(). */
struct bytes impostor_datagram(struct impostor *, uint64_t to_id, uint8_t type, const void *body, size_t n);
/* The newest datagram at that tap is such a message; then it is in b->heard. */
bool impostor_heard(struct impostor *, const struct tap *, enum join_message_type);
/* Has the election address, and goes through steps 4 to 7 as the leader of node 0; it is fresh. */
void impostor_lead(struct impostor *);
/* A connection to that node's HTTP port, upgraded to a replication stream with the token it gave; random
 * numbers were exchanged, the node's HELLO came, and frames are sealed and opened from here on. */
struct wire *impostor_stream(struct impostor *, int node);
/* Sends its random number and takes the other's: as a leader, which connects, or as a follower. */
void impostor_greet(struct impostor *, struct wire *, bool leader);
/* Seals the plain frames and sends them. */
void impostor_send_frames(struct impostor *, struct wire *, struct bytes *frames);
/* The same, but what is sent are the sealed bytes: *frames is sealed. */
void impostor_seal_frames(struct wire *, struct bytes *frames);
/* The other's HELLO must come. */
void impostor_take_hello(struct impostor *, struct wire *);
/* Its own HELLO as a follower. */
void impostor_answer_hello(struct impostor *, struct wire *);
void impostor_hello(struct impostor *, struct wire *, uint64_t term);
/* An APPEND of its term; takes over the entries' references. */
void impostor_append(struct impostor *, struct wire *, uint64_t previous_index, uint64_t previous_term,
                     uint64_t commit, struct coracle_raft_entry **entries, size_t entries_n);
/* Its configuration: itself as the voter, and node 0, as what it says. */
struct coracle_raft_entry *impostor_configuration(struct impostor *, uint64_t index, bool node_votes);
/* A client's command: PUT of collection c, document x. */
struct coracle_raft_entry *impostor_command(struct impostor *, uint64_t index);
/* Takes the first frame off wire->received, and opens it (those that tell of storage are left out); false
 * when none is whole. The payload lives until the next call.
 */
bool impostor_frame(struct wire *, struct frame *, struct bytes *storage);

#endif
