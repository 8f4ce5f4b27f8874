/* What nodes tell each other over the replication stream beside Raft's messages: how a follower's storage
 * does, and what the leader's store was like. Nothing rests on either frame: one that does not come, comes
 * late or comes twice does no harm. */
#ifndef CORACLE_WIRE_REPORT_H
#define CORACLE_WIRE_REPORT_H

#include "wire/frame.h"

/* STORAGE: u8 condition. */
enum storage_condition {
  STORAGE_FINE = 0,
  STORAGE_FULL = 1,  /* no room for more than what is under way */
  STORAGE_HANGS = 2, /* for some seconds nothing that was given to it has become durable */
};
void storage_report_encode(enum storage_condition, struct bytes *out); /* appends a whole frame */
/* CORACLE_EMALFORMED for anything but exactly such a payload; nothing is written then. */
MUST_CHECK int storage_report_decode(const struct frame *, enum storage_condition *);

/* STATE: u64 index, u64 and u64 the two halves of the state hash (store/store.h), low first. */
struct state_report {
  uint64_t index; /* of the log entry that was applied last; not 0 */
  uint64_t low, high;
};
void state_report_encode(const struct state_report *, struct bytes *out); /* appends a whole frame */
/* As above. */
MUST_CHECK int state_report_decode(const struct frame *, struct state_report *);

#endif
