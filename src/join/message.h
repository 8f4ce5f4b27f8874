/* The bodies of the datagrams of the handshake, and of a member's data in the configuration.
 *
 *   ACCEPT       card                        step 4: "I accept whoever leads; this is me"
 *   CREDENTIALS  card, u8 1 and token, or 0  steps 5 and 6; without a token: a leader that announces itself
 *   SAVED        (empty)                     step 7: the leader keeps the credentials of this start
 *   NOT_YET      card, string                the holder of the election address leads nothing yet, and why
 *   REFUSED      string                      the leader will not have this node, and why
 *   PROBE        card, u64 round, addresses  "are you fresh, and have you the same list of peers?"
 *   PROBED       card, u64 round, addresses  the answer: the envelope's cluster id tells whether it is fresh
 *   REMOVED      (empty)                     "you were a member once, and were removed: stay out"
 *
 *   card         u8 flags, string8 name, address of its HTTP port
 *   member data  u8 version (1), u8 flags, string8 name, HTTP address, UDP address
 *   addresses    u8 count, as many addresses, in ascending order
 *
 * A string8 is a length of one byte and as many bytes; addresses are those of base/address.h. */
#ifndef CORACLE_JOIN_MESSAGE_H
#define CORACLE_JOIN_MESSAGE_H

#include "base/address.h"
#include "coracle/raft.h"

enum join_message_type {
  JOIN_ACCEPT = 1,
  JOIN_CREDENTIALS = 2,
  JOIN_SAVED = 3,
  JOIN_NOT_YET = 4,
  JOIN_REFUSED = 5,
  JOIN_PROBE = 6,
  JOIN_PROBED = 7,
  JOIN_REMOVED = 8,
};

enum { JOIN_NAME_BYTES_MAX = 64, JOIN_TEXT_BYTES_MAX = 255, JOIN_TOKEN_BYTES = 32, JOIN_CLUSTER_BYTES = 16 };

/* Who a node says it is. */
struct join_card {
  bool established;    /* its log holds a client's command or a configuration of two voters or more */
  bool leader;         /* it leads its cluster */
  bool memory_storage; /* it cannot come back under this id once it has ended */
  bool was_member;     /* a configuration in its log names it, or did */
  char name[JOIN_NAME_BYTES_MAX + 1];
  struct address http;
};

struct join_message {
  enum join_message_type type;
  struct join_card card;
  bool has_token;
  uint8_t token[JOIN_TOKEN_BYTES];
  char text[JOIN_TEXT_BYTES_MAX + 1];
  uint64_t round; /* PROBE, PROBED: fresh for every round of probes. SAVED: the start of the node whose
                     credentials are kept; this one is not in the body but the round of the envelope */
  struct address_list peers; /* PROBE, PROBED: the sender's, in ascending order; empty: it has none */
};

void join_message_encode(const struct join_message *, struct bytes *out);
/* CORACLE_EMALFORMED for anything but exactly one of the layouts. */
MUST_CHECK int join_message_decode(uint8_t type, const void *body, size_t n, struct join_message *);

/* What the configuration says of a member. */
struct join_member {
  bool memory_storage;
  bool waiting; /* the cluster has never had as many voters as it expects. On all members or none */
  char name[JOIN_NAME_BYTES_MAX + 1];
  struct address http;
  struct address udp; /* of its own socket */
};

/* Sets member->data. */
void join_member_encode(const struct join_member *, struct coracle_raft_member *member);
MUST_CHECK int join_member_decode(const struct coracle_raft_member *, struct join_member *);

#endif
