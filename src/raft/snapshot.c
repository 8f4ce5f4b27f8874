/* Snapshots (chapter 5): an image of the state machine takes the place of the log that led to it. The
 * application makes the image and keeps its bytes; here is what it stands for in the log, and how it gets to
 * a peer that needs entries which are gone.
 *
 * A transfer begins with an offer. The peer answers how many bytes of that very image it has already, from an
 * earlier stream or another leader, and gets the rest in chunks, a few of them ahead of their
 * acknowledgements. Each offer has a number that the answers echo: what answers an earlier one is stale. When
 * the last chunk is durable the peer has the log up to the snapshot's index, and goes on with appends. */
#include "raft/core.h"

#include <assert.h>
#include <stdlib.h>

enum { WINDOW_CHUNKS = 4 }; /* of full size, sent to one peer and not acknowledged */

/* ---- Descriptions, counted by reference ---- */

int raft_snapshot_reserve(struct coracle_raft *raft, const struct coracle_raft_event *event) {
  const bool needed = event->type == CORACLE_RAFT_SNAPSHOT_TAKEN ||
                      (event->type == CORACLE_RAFT_START && event->start.restored != NULL) ||
                      (event->type == CORACLE_RAFT_RECEIVE && event->message->type == CORACLE_RAFT_SNAPSHOT);
  if (needed && raft->spare_snapshot == NULL) raft->spare_snapshot = malloc(sizeof *raft->spare_snapshot);
  return needed && raft->spare_snapshot == NULL ? CORACLE_RAFT_ENOMEM : 0;
}

/* With one reference; the memory was reserved. */
static struct raft_snapshot *describe(struct coracle_raft *raft, const struct coracle_raft_snapshot *value) {
  struct raft_snapshot *snapshot = raft->spare_snapshot;
  assert(snapshot != NULL);
  raft->spare_snapshot = NULL;
  snapshot->references = 1;
  snapshot->value = *value;
  return snapshot;
}

/* The effects of this step may still point to it. */
static void release(struct coracle_raft *raft, struct raft_snapshot *snapshot) {
  if (snapshot == NULL || --snapshot->references > 0) return;
  snapshot->next_retired = raft->retired_snapshots;
  raft->retired_snapshots = snapshot;
}

void raft_snapshots_sweep(struct coracle_raft *raft) {
  struct raft_snapshot *snapshot;
  while ((snapshot = raft->retired_snapshots) != NULL) {
    raft->retired_snapshots = snapshot->next_retired;
    free(snapshot);
  }
}

void raft_snapshots_close(struct coracle_raft *raft) {
  for (size_t i = 0; i < raft->peers_n; i++) raft_stop_sending(raft, &raft->peers[i]);
  release(raft, raft->snapshot);
  release(raft, raft->receiving.snapshot);
  raft_snapshots_sweep(raft);
  free(raft->spare_snapshot);
}

const struct coracle_raft_snapshot *coracle_raft_snapshot(const struct coracle_raft *raft) {
  static const struct coracle_raft_snapshot none;
  return raft->snapshot != NULL ? &raft->snapshot->value : &none;
}

void raft_snapshot_replace(struct coracle_raft *raft, const struct coracle_raft_snapshot *value) {
  release(raft, raft->snapshot);
  raft->snapshot = describe(raft, value);
}

/* ---- Compaction (section 5.1) ---- */

int coracle_raft_describe_snapshot(const struct coracle_raft *raft, uint64_t index,
                                   struct coracle_raft_snapshot *snapshot) {
  if (index == 0 || index > raft->commit_index) return CORACLE_RAFT_EINVALID;
  if (index <= coracle_raft_snapshot(raft)->index || index > raft->persisted_index) return CORACLE_RAFT_EBUSY;
  const struct raft_configuration_at configuration = raft_configuration_in_force_at(raft, index);
  if (configuration.index == 0) return CORACLE_RAFT_EINVALID;
  *snapshot = (struct coracle_raft_snapshot){.index = index,
                                             .term = raft_log_term(&raft->log, index),
                                             .configuration_index = configuration.index,
                                             .configuration = configuration.value};
  return 0;
}

int raft_snapshot_taken(struct coracle_raft *raft, uint64_t index, uint64_t bytes, uint64_t tag) {
  struct coracle_raft_snapshot taken;
  int error = coracle_raft_describe_snapshot(raft, index, &taken);
  if (error != 0) return error;
  taken.bytes = bytes;
  taken.tag = tag;
  raft_snapshot_replace(raft, &taken);
  const uint64_t first = raft_log_first_within(&raft->log, index, raft->options.trailing_bytes);
  raft_log_compact(&raft->log, first - 1);
  raft_replicate_to_all(raft);
  return 0;
}

/* ---- The leader ---- */

bool raft_needs_snapshot(const struct coracle_raft *raft, const struct raft_peer *peer) {
  return peer->next < raft->log.first_index ||
         (peer->next > 1 && raft_log_term(&raft->log, peer->next - 1) == 0);
}

void raft_pause_sending(struct raft_peer *peer) {
  peer->sending.under_way = peer->sending.offered = peer->sending.requested = false;
  peer->sending.gone_index = 0;
}

void raft_stop_sending(struct coracle_raft *raft, struct raft_peer *peer) {
  release(raft, peer->sending.snapshot);
  peer->sending = (struct raft_sending){0};
}

/* With this image the log goes on where it ends: another one is not needed after it. */
static bool log_goes_on_after(const struct coracle_raft *raft, const struct raft_snapshot *snapshot) {
  return raft_log_term(&raft->log, snapshot->value.index) == snapshot->value.term;
}

static struct coracle_raft_message *snapshot_message(struct coracle_raft *raft,
                                                     const struct raft_peer *peer) {
  struct coracle_raft_message *message = raft_message(raft, CORACLE_RAFT_SNAPSHOT, peer->id);
  message->round = peer->sending.round;
  message->after_sequence = raft->vote_sequence;
  message->snapshot.snapshot = &peer->sending.snapshot->value;
  return message;
}

/* The one that was on its way before, so that nothing is sent twice, as long as it leads to the log that is
 * left; else the newest. An empty image is here with its offer. */
static void offer(struct coracle_raft *raft, struct raft_peer *peer) {
  struct raft_sending *sending = &peer->sending;
  if (sending->snapshot == NULL || !log_goes_on_after(raft, sending->snapshot)) {
    assert(raft->snapshot != NULL && log_goes_on_after(raft, raft->snapshot));
    if (raft->snapshot->value.index == sending->gone_index) return; /* until there is another */
    release(raft, sending->snapshot);
    sending->snapshot = raft->snapshot;
    sending->snapshot->references++;
  }
  sending->under_way = sending->offered = true;
  sending->requested = false;
  sending->sent = sending->acknowledged = 0;
  sending->round = ++raft->offer_round;
  snapshot_message(raft, peer);
}

void raft_send_snapshot(struct coracle_raft *raft, struct raft_peer *peer) {
  peer->state = REPLICATION_SNAPSHOT;
  if (!peer->sending.under_way) offer(raft, peer);
}

/* Asks the application for the next chunk, if the window has room for it. */
static void request_chunk(struct coracle_raft *raft, struct raft_peer *peer) {
  struct raft_sending *sending = &peer->sending;
  const struct coracle_raft_snapshot *snapshot = &sending->snapshot->value;
  const uint64_t window = (uint64_t)WINDOW_CHUNKS * raft->options.chunk_bytes_max;
  const uint64_t left = snapshot->bytes - sending->sent;
  if (sending->requested || left == 0 || sending->sent - sending->acknowledged >= window) return;

  assert(raft->effects.chunk_requests_n < CORACLE_RAFT_MEMBERS_MAX);
  sending->requested = true;
  raft->chunk_requests[raft->effects.chunk_requests_n++] = (struct coracle_raft_chunk_request){
      .peer = peer->id,
      .index = snapshot->index,
      .tag = snapshot->tag,
      .offset = sending->sent,
      .bytes_max = left < raft->options.chunk_bytes_max ? left : raft->options.chunk_bytes_max};
}

/* An answer to what nobody waits for any more is not the application's fault: the stream has ended
 * meanwhile, or the leadership. */
int raft_snapshot_chunk(struct coracle_raft *raft, const struct coracle_raft_event *event) {
  struct raft_peer *peer = raft_peer_find(raft, event->chunk.peer);
  if (raft->role != CORACLE_RAFT_LEADER || peer == NULL || !peer->sending.requested) return 0;
  struct raft_sending *sending = &peer->sending;
  const struct coracle_raft_snapshot *snapshot = &sending->snapshot->value;
  if (event->chunk.index != snapshot->index || event->chunk.offset != sending->sent) return 0;
  if (event->chunk.n > raft->options.chunk_bytes_max || event->chunk.n > snapshot->bytes - sending->sent)
    return CORACLE_RAFT_EINVALID;

  if (event->chunk.n == 0) {
    raft_stop_sending(raft, peer);
    peer->sending.gone_index = event->chunk.index;
    offer(raft, peer);
    return 0;
  }
  struct coracle_raft_message *message = snapshot_message(raft, peer);
  message->snapshot.offset = sending->sent;
  message->snapshot.data = event->chunk.data;
  message->snapshot.n = event->chunk.n;
  sending->sent += event->chunk.n;
  sending->requested = false;
  request_chunk(raft, peer);
  return 0;
}

/* It has the log up to there, and the state that the log led to. */
static void installed(struct coracle_raft *raft, struct raft_peer *peer) {
  const uint64_t index = peer->sending.snapshot->value.index;
  raft_stop_sending(raft, peer);
  peer->state = REPLICATION_PIPELINE;
  peer->probing = false;
  if (index > peer->match) peer->match = index;
  peer->next = peer->match + 1;
  peer->commit_sent = 0;
  raft_advance_commit(raft);
  raft_promote_learners(raft);
  raft_replicate(raft, peer);
}

void raft_receive_snapshot_reply(struct coracle_raft *raft, const struct coracle_raft_message *reply) {
  struct raft_peer *peer = raft_hear_reply(raft, reply);
  if (peer == NULL) return;
  peer->last_contact_ms = raft->now_ms;

  struct raft_sending *sending = &peer->sending;
  const uint64_t offset = reply->snapshot_reply.offset;
  if (!sending->under_way || reply->round != sending->round) {
    raft->counters.dropped_stale++;
    return;
  }
  const struct coracle_raft_snapshot *snapshot = &sending->snapshot->value;
  if (reply->snapshot_reply.index != snapshot->index || reply->snapshot_reply.term != snapshot->term ||
      reply->snapshot_reply.tag != snapshot->tag || offset > snapshot->bytes) {
    raft->counters.dropped_invalid++;
    return;
  }
  if (offset == snapshot->bytes) {
    installed(raft, peer);
    return;
  }
  if (sending->offered) {
    sending->offered = false;
    sending->sent = sending->acknowledged = offset;
  } else if (offset > sending->acknowledged && offset <= sending->sent) {
    sending->acknowledged = offset;
  } else { /* it got a chunk that did not fit: ask again what it has */
    offer(raft, peer);
    return;
  }
  request_chunk(raft, peer);
}

/* ---- The follower ---- */

static bool is_receiving(const struct coracle_raft *raft, const struct coracle_raft_snapshot *snapshot) {
  if (raft->receiving.snapshot == NULL) return false;
  const struct coracle_raft_snapshot *own = &raft->receiving.snapshot->value;
  return own->index == snapshot->index && own->term == snapshot->term && own->bytes == snapshot->bytes &&
         own->tag == snapshot->tag;
}

/* What comes after the committed entries is of no older term, and no older configuration. */
static bool is_valid(const struct coracle_raft *raft, const struct coracle_raft_message *message) {
  const struct coracle_raft_snapshot *snapshot = message->snapshot.snapshot;
  if (snapshot == NULL || snapshot->index == 0 || snapshot->term == 0 || snapshot->term > message->term)
    return false;
  if (snapshot->configuration_index == 0 || snapshot->configuration_index > snapshot->index ||
      !raft_configuration_is_valid(&snapshot->configuration))
    return false;
  if (message->snapshot.offset > snapshot->bytes ||
      message->snapshot.n > snapshot->bytes - message->snapshot.offset ||
      (message->snapshot.n == 0 && message->snapshot.offset > 0))
    return false;
  return snapshot->index <= raft->commit_index ||
         (snapshot->configuration_index >= raft->committed.index &&
          snapshot->term >= raft_log_term(&raft->log, raft->commit_index));
}

/* Tells the leader how many bytes there are, durable with the sequence; all of them: it is installed. */
static void reply(struct coracle_raft *raft, const struct coracle_raft_message *message, uint64_t offset,
                  uint64_t sequence) {
  const struct coracle_raft_snapshot *snapshot = message->snapshot.snapshot;
  struct coracle_raft_message *reply = raft_message(raft, CORACLE_RAFT_SNAPSHOT_REPLY, message->from);
  reply->round = message->round;
  reply->after_sequence = sequence > raft->vote_sequence ? sequence : raft->vote_sequence;
  reply->snapshot_reply.index = snapshot->index;
  reply->snapshot_reply.term = snapshot->term;
  reply->snapshot_reply.tag = snapshot->tag;
  reply->snapshot_reply.offset = offset;
}

/* The image and its index are the state now. The log stays where it is known to go on from there: with its
 * last entry it shares all before (section 3.5), and what comes after may have been acknowledged; any other
 * log is not that of the leader. */
static void install(struct coracle_raft *raft) {
  const struct coracle_raft_snapshot *snapshot = &raft->receiving.snapshot->value;
  const bool keep_log = raft_log_term(&raft->log, snapshot->index) == snapshot->term;
  raft_persist_installation(raft, snapshot->index, keep_log);
  if (keep_log)
    raft_log_compact(&raft->log, snapshot->index);
  else
    raft_log_begin_after(&raft->log, snapshot->index, snapshot->term);
  raft->commit_index = snapshot->index;
  release(raft, raft->snapshot);
  raft->snapshot = raft->receiving.snapshot;
  raft->snapshot->references++;
  raft_configuration_restored(raft);
}

static void store_chunk(struct coracle_raft *raft, const struct coracle_raft_message *message) {
  struct raft_receiving *receiving = &raft->receiving;
  receiving->sequence = raft_persist_chunk(raft, &receiving->snapshot->value, message);
  receiving->bytes += message->snapshot.n;
  if (receiving->bytes == receiving->snapshot->value.bytes) install(raft);
}

void raft_receive_snapshot(struct coracle_raft *raft, const struct coracle_raft_message *message) {
  const struct coracle_raft_snapshot *snapshot = message->snapshot.snapshot;
  struct raft_receiving *receiving = &raft->receiving;
  if (!is_valid(raft, message)) {
    raft->counters.dropped_invalid++;
    return;
  }
  if (message->term < raft->term) {
    reply(raft, message, 0, 0); /* an old leader hears of the newer term by this */
    return;
  }
  if (!raft_hear_leader(raft, message)) return;
  if (snapshot->index > raft->leader_commit) raft->leader_commit = snapshot->index;
  if (snapshot->index <= raft->commit_index) {
    reply(raft, message, snapshot->bytes, raft->entries_sequence);
    return;
  }

  const bool offered = message->snapshot.n == 0;
  if (offered && !is_receiving(raft, snapshot)) {
    release(raft, receiving->snapshot);
    *receiving = (struct raft_receiving){.snapshot = describe(raft, snapshot)};
  }
  if (!is_receiving(raft, snapshot)) {
    reply(raft, message, 0, 0); /* it offers it, then */
    return;
  }
  if (message->snapshot.offset == receiving->bytes && (!offered || snapshot->bytes == 0))
    store_chunk(raft, message);
  reply(raft, message, receiving->bytes, receiving->sequence);
}
