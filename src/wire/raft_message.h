/* Raft's messages to bytes and back: votes and heartbeats as datagrams, appends, reads and snapshots as
 * frames. */
#ifndef CORACLE_WIRE_RAFT_MESSAGE_H
#define CORACLE_WIRE_RAFT_MESSAGE_H

#include "coracle/raft.h"
#include "wire/datagram.h"
#include "wire/frame.h"

enum { DATAGRAM_TYPE_RAFT = 16 }; /* datagram type = this + enum coracle_raft_message_type */

bool raft_message_is_datagram(const struct coracle_raft_message *);

/* Body layouts (little-endian; a bool is one byte, 0 or 1):
 *   VOTE_REQUEST    pre, transfer, last_index, last_term
 *   VOTE_REPLY      pre, granted
 *   HEARTBEAT       commit, leader_commit
 *   HEARTBEAT_REPLY (empty)
 * from, to, term and round are the datagram's own. */
void raft_message_put_body(struct bytes *out, const struct coracle_raft_message *);
/* Fills *message from a decoded datagram (all of from, to, term, round, body). CORACLE_EMALFORMED for
 * anything but exactly one of the layouts; *message is then undefined. Nothing to release. */
MUST_CHECK int raft_message_from_datagram(const struct datagram *, struct coracle_raft_message *message);

/* HELLO: u16 protocol, cluster id, from, to (a follower's: 0, it does not know yet), term. */
struct hello {
  uint16_t protocol; /* HELLO_PROTOCOL */
  uint8_t cluster[CLUSTER_ID_BYTES];
  uint64_t from;
  uint64_t to;
  uint64_t term;
};
enum { HELLO_PROTOCOL = 1 };
void hello_encode(const struct hello *, struct bytes *out); /* appends a whole frame */
/* CORACLE_EMALFORMED for anything but exactly such a payload of this protocol; *hello is then undefined. */
MUST_CHECK int hello_decode(const struct frame *, struct hello *);

/* APPEND: term, previous_index, previous_term, commit, u32 number of entries, then per entry term, u8 type,
 *         u32 bytes, data. Entry i has index previous_index + 1 + i.
 * APPEND_REPLY: term, success, match, previous_index, conflict_index, conflict_term.
 * READ_REQUEST: term, request.
 * READ_REPLY: term, request, index.
 * TIMEOUT_NOW: term.
 * SNAPSHOT: term, round, index, the snapshot's term, bytes, tag, configuration_index, u32 n and n bytes of
 *           configuration (as in a log entry), offset; the rest is the chunk.
 * SNAPSHOT_REPLY: term, round, index, the snapshot's term, tag, offset.
 * Appends a whole frame to *out. Entries must be numbered like that and fit in FRAME_BYTES_MAX (asserted), as
 * must a chunk. */
void raft_message_put_frame(struct bytes *out, const struct coracle_raft_message *);

/* Fills *message from one of these frames between these two nodes. The entries of an APPEND and their array,
 * and the snapshot of a SNAPSHOT, are owned by *message: release them with raft_message_close(). A chunk
 * stays in the frame. CORACLE_EMALFORMED, with nothing to release, for anything that is not exactly such a
 * payload: an unknown entry type, a number of entries that cannot fit, an index that overflows, an entry over
 * CORACLE_RAFT_ENTRY_BYTES_MAX, what is no configuration, trailing bytes. */
MUST_CHECK int raft_message_from_frame(const struct frame *, uint64_t from, uint64_t to,
                                       struct coracle_raft_message *message);
/* Which way a message, or a frame of any type, goes on a stream: true from the leader to the follower. */
bool raft_message_is_leaders(const struct coracle_raft_message *);
bool raft_frame_is_leaders(uint8_t frame_type);
/* Leaves *message empty; harmless for a message of any type and for one closed already. */
void raft_message_close(struct coracle_raft_message *);

#endif
