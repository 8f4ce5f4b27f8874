/* Envelopes in and out, sealed. A bad datagram is dropped and counted, and never answered. */
#include "node/core.h"

#include <assert.h>
#include <inttypes.h>

enum { FAULTS_LOG_MS = 10000 };

void datagram_send(struct node *node, const struct address *to, struct datagram *datagram,
                   const struct bytes *body) {
  uint8_t nonce[SEAL_NONCE_BYTES];
  struct bytes out = {0};
  assert(storage_identity_is_current(node));
  datagram->from = join_id(node->join);
  datagram->start = node->options.start;
  datagram->counter = ++node->counter;
  datagram->body = slice_of_bytes(body);
  memcpy(datagram->cluster, join_cluster(node->join), CLUSTER_ID_BYTES);
  seal_source_nonce(&node->source, nonce);
  datagram_seal(datagram, node->keys.datagrams, nonce, &out);
  effect_send(node, to, &out);
  bytes_close(&out);
}

void datagram_of_raft(const struct coracle_raft_message *message, struct datagram *datagram,
                      struct bytes *body) {
  *datagram = (struct datagram){.type = (uint8_t)(DATAGRAM_TYPE_RAFT + message->type),
                                .to = message->to,
                                .term = message->term,
                                .round = message->round};
  raft_message_put_body(body, message);
}

void datagram_send_join(struct node *node, const struct address *to, uint64_t to_id,
                        const struct join_message *message) {
  struct coracle_raft_status status;
  struct held held = {.after_sequence = storage_sequence_of(node, 0), .to = *to};
  if (!storage_identity_is_current(node)) return;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  held.datagram = (struct datagram){.type = (uint8_t)message->type,
                                    .to = to_id,
                                    .term = status.term,
                                    .round = message->type == JOIN_SAVED ? message->round : 0};
  join_message_encode(message, &held.bytes);
  storage_send(node, &held);
}

/* Counts it; says so at most once in ten seconds. */
static void drop(struct node *node, const struct address *from, enum datagram_fault fault) {
  char address[ADDRESS_TEXT_MAX];
  node->faults[fault]++;
  if (node->faults_logged_ms != 0 && node->now_ms - node->faults_logged_ms < FAULTS_LOG_MS) return;
  node->faults_logged_ms = node->now_ms > 0 ? node->now_ms : 1;
  effect_log(node, NODE_LOG_WARN, "dropped a datagram from %s: bad %s (%" PRIu64 " such so far)",
             address_format(from, address), datagram_fault_text(fault), node->faults[fault]);
}

/* ACCEPT, CREDENTIALS and what answers them are read across clusters (that is how clusters meet); Raft's
 * messages within one only. */
static enum datagram_fault check(const struct node *node, const struct datagram *datagram) {
  const uint64_t self = join_id(node->join);
  if (datagram->from == self) return DATAGRAM_SENDER;
  if (datagram->to != 0 && datagram->to != self) return DATAGRAM_RECEIVER;
  if (datagram->type < DATAGRAM_TYPE_RAFT) return DATAGRAM_NONE;
  if (datagram->to == 0) return DATAGRAM_RECEIVER;
  const bool same_cluster =
      node->member && memcmp(datagram->cluster, join_cluster(node->join), CLUSTER_ID_BYTES) == 0;
  return same_cluster ? DATAGRAM_NONE : DATAGRAM_CLUSTER;
}

/* Before it is acted on, so that an answer finds its way. */
static void heard(struct node *node, const struct address *from, const struct datagram *datagram) {
  join_heard(node->join, datagram->from, from, datagram->start, datagram->counter,
             datagram->type >= DATAGRAM_TYPE_RAFT, node->now_ms);
}

static enum datagram_fault receive_raft(struct node *node, const struct address *from,
                                        const struct datagram *datagram) {
  struct coracle_raft_message message;
  struct coracle_raft_event event = {.type = CORACLE_RAFT_RECEIVE, .message = &message};
  if (raft_message_from_datagram(datagram, &message) != 0) return DATAGRAM_BODY;
  heard(node, from, datagram);
  consensus_step(node, &event);
  return DATAGRAM_NONE;
}

static enum datagram_fault receive_join(struct node *node, const struct address *from,
                                        const struct datagram *datagram) {
  struct join_message message;
  struct join_situation situation;
  struct join_datagram in = {.source = *from,
                             .from = datagram->from,
                             .start = datagram->start,
                             .term = datagram->term,
                             .message = &message};
  if (join_message_decode(datagram->type, datagram->body.at, datagram->body.n, &message) != 0)
    return DATAGRAM_BODY;
  if (message.type == JOIN_SAVED) message.round = datagram->round;
  memcpy(in.cluster, datagram->cluster, sizeof in.cluster);
  heard(node, from, datagram);
  node->view_valid = false; /* it shows what join/ knows too */
  consensus_situation(node, &situation);
  join_receive(node->join, &situation, &in, node->now_ms);
  return DATAGRAM_NONE;
}

void datagram_receive(struct node *node, const struct address *from, const uint8_t *data, size_t n) {
  uint8_t plain[DATAGRAM_BYTES_MAX];
  struct datagram datagram = {0};
  enum datagram_fault fault = datagram_open(data, n, node->keys.datagrams, plain, &datagram);
  if (fault != DATAGRAM_NONE) {
    drop(node, from, fault);
    return;
  }
  fault = check(node, &datagram);
  if (fault == DATAGRAM_NONE && !replays_take(node, &datagram)) fault = DATAGRAM_REPLAY;
  if (fault != DATAGRAM_NONE) {
    /* Nothing to worry about: a node that has started afresh hears for a moment what was meant for its former
     * self, and one that wins the election address what it has sent there; and networks double datagrams. */
    node->faults[fault]++;
    return;
  }
  fault = datagram.type >= DATAGRAM_TYPE_RAFT ? receive_raft(node, from, &datagram)
                                              : receive_join(node, from, &datagram);
  if (fault != DATAGRAM_NONE) drop(node, from, fault);
}
