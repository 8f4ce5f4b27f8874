/* The envelope of every datagram, sealed: who sent it, in which cluster, and how new it is.
 *
 *   offset  bytes
 *   0       4      magic "CRCL"
 *   4       1      version, 1
 *   5       1      sealing scheme: 1, XChaCha20-Poly1305 (wire/seal.h)
 *   6       2      zero
 *   8       24     nonce
 *   32      16     tag, over the first 8 bytes and all from offset 48 on
 *   48             from here on encrypted:
 *   48      1      type: 1 to 15 join's (join/message.h), 16 and up Raft's (wire/raft_message.h)
 *   49      7      zero
 *   56      16     cluster id; zero: the sender belongs to none
 *   72      8      from: the sender's node id, not zero
 *   80      8      to: the receiver's node id; zero: whoever holds the address it is sent to
 *   88      8      start: grows with every start of the sender
 *   96      8      counter: grows with every datagram of one start, from 1
 *   104     8      term
 *   112     8      round
 *   120     rest   body, up to a datagram of 1200 bytes in all
 *
 * Integers are little-endian. Opening never reads past the end and accepts exactly this. There are no
 * datagrams without a seal. */
#ifndef CORACLE_WIRE_DATAGRAM_H
#define CORACLE_WIRE_DATAGRAM_H

#include "base/codec.h"
#include "base/error.h"
#include "wire/seal.h"

enum { DATAGRAM_BYTES_MAX = 1200, DATAGRAM_HEADER_BYTES = 120, CLUSTER_ID_BYTES = 16 };

struct datagram {
  uint8_t type;
  uint8_t cluster[CLUSTER_ID_BYTES];
  uint64_t from;
  uint64_t to;
  uint64_t start;
  uint64_t counter;
  uint64_t term;
  uint64_t round;
  struct slice body; /* opened: points into what was given for the plain bytes */
};

/* Why a datagram was dropped; each has a counter. */
#define DATAGRAM_FAULTS(X)                                                                                   \
  X(NONE, "none")                                                                                            \
  X(SHORT, "short")                                                                                          \
  X(LONG, "long")                                                                                            \
  X(MAGIC, "magic")                                                                                          \
  X(VERSION, "version")                                                                                      \
  X(SEAL, "seal")                                                                                            \
  X(RESERVED, "reserved")                                                                                    \
  X(SENDER, "sender")                                                                                        \
  X(TYPE, "type")                                                                                            \
  X(CLUSTER, "cluster")                                                                                      \
  X(RECEIVER, "receiver")                                                                                    \
  X(REPLAY, "replay")                                                                                        \
  X(BODY, "body")

enum datagram_fault {
#define X(name, text) DATAGRAM_##name,
  DATAGRAM_FAULTS(X)
#undef X
      DATAGRAM_FAULTS_N
};
/* "short", "magic", ...: static. */
const char *datagram_fault_text(enum datagram_fault);

/* Replaces the contents of *out. The body must fit, from and type must not be zero (asserted). No nonce may
 * be used twice under one key. */
void datagram_seal(const struct datagram *, const uint8_t key[SEAL_KEY_BYTES],
                   const uint8_t nonce[SEAL_NONCE_BYTES], struct bytes *out);
/* DATAGRAM_NONE and *datagram filled, its body in `plain`, or SHORT, LONG, MAGIC, VERSION, SEAL, RESERVED,
 * SENDER (zero), TYPE (zero) and *datagram undefined. (The remaining faults are the node's to find.) What was
 * not sealed under the key is a fault before anything in it is looked at. */
MUST_CHECK enum datagram_fault datagram_open(const void *data, size_t n, const uint8_t key[SEAL_KEY_BYTES],
                                             uint8_t plain[DATAGRAM_BYTES_MAX], struct datagram *datagram);

#endif
