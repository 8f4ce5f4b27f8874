/* What nodes tell each other beside Raft's messages (wire/report.h). A follower tells its leader how its
 * storage does, so that the leader takes no writes that could not be committed; a leader tells its followers
 * what its store was like at certain indexes, and a follower whose own was another ends. */
#include "node/core.h"

#include <inttypes.h>

/* ---- Storage ---- */

static const char *condition_text(enum storage_condition condition) {
  switch (condition) {
  case STORAGE_FULL:
    return "is full";
  case STORAGE_HANGS:
    return "hangs";
  case STORAGE_FINE:
    break;
  }
  return "is fine again";
}

static struct peer_storage *find(struct node *node, uint64_t peer) {
  for (size_t i = 0; i < node->peers_storage_n; i++)
    if (node->peers_storage[i].id == peer) return &node->peers_storage[i];
  return NULL;
}

bool reports_storage_of(struct node *node, uint64_t peer, enum storage_condition *condition) {
  const struct peer_storage *storage = find(node, peer);
  if (storage != NULL) *condition = storage->condition;
  return storage != NULL;
}

void reports_forget(struct node *node, uint64_t peer) {
  struct peer_storage *storage = find(node, peer);
  if (storage == NULL) return;
  *storage = node->peers_storage[--node->peers_storage_n];
  node->view_valid = false;
}

static void note_storage(struct node *node, uint64_t peer, enum storage_condition condition) {
  struct peer_storage *storage = find(node, peer);
  const enum storage_condition before = storage != NULL ? storage->condition : STORAGE_FINE;
  struct join_member info;
  if (storage == NULL) {
    if (node->peers_storage_n == CORACLE_RAFT_MEMBERS_MAX) return;
    storage = &node->peers_storage[node->peers_storage_n++];
  }
  *storage = (struct peer_storage){peer, condition};
  node->view_valid = false;
  const char *name = consensus_member_name(node, peer, &info);
  if (condition != before)
    effect_log(node, condition == STORAGE_FINE ? NODE_LOG_INFO : NODE_LOG_WARN, "the storage of %s %s",
               name != NULL ? name : "?", condition_text(condition));
}

static void log_own_storage(struct node *node, enum storage_condition condition) {
  switch (condition) {
  case STORAGE_FULL:
    effect_log(node, NODE_LOG_WARN,
               "storage is full: a leader takes no writes until there is room; reads go on");
    return;
  case STORAGE_HANGS:
    effect_log(node, NODE_LOG_WARN, "storage hangs: nothing has become durable for %d ms", STORAGE_HANGS_MS);
    return;
  case STORAGE_FINE:
    effect_log(node, NODE_LOG_INFO, "storage %s",
               node->storage_logged == STORAGE_FULL ? "has room again" : "goes on");
  }
}

/* ---- Sending ---- */

static void send(struct node *node, const struct node_stream *stream, const struct bytes *frame) {
  struct held held = {.after_sequence = storage_sequence_of(node, 0),
                      .peer = stream->peer,
                      .kind = stream->kind,
                      .stream_serial = stream->serial,
                      .bytes = *frame};
  storage_send(node, &held);
}

static bool tell_storage(struct node *node) {
  const enum storage_condition condition = storage_condition(node);
  struct node_stream *stream = node->leader_stream;
  struct bytes frame = {0};
  const bool changed = condition != node->storage_logged;
  if (changed) {
    log_own_storage(node, condition);
    node->storage_logged = condition;
    node->view_valid = false;
  }
  if (stream == NULL || stream->closing) return changed;
  if (stream->told_storage && stream->storage_told == condition) return changed;
  stream->told_storage = true;
  stream->storage_told = condition;
  storage_report_encode(condition, &frame);
  send(node, stream, &frame);
  return true;
}

static void tell_states_after(struct node *node, const struct node_stream *stream, uint64_t index) {
  struct replica_state state;
  while (replica_state_after(node->replica, index, &state)) {
    struct bytes frame = {0};
    const struct state_report report = {state.index, state.hash.low, state.hash.high};
    state_report_encode(&report, &frame);
    send(node, stream, &frame);
    index = state.index;
  }
}

static bool tell_states(struct node *node) {
  const uint64_t newest = replica_newest_state(node->replica);
  if (newest == node->states_told) return false;
  for (struct list_link *at = list_first(&node->streams); at != NULL; at = list_next(&node->streams, at)) {
    const struct node_stream *stream = CONTAINER_OF(at, struct node_stream, link);
    if (stream->kind == STREAM_FOLLOWER && stream->state == LINK_OPEN && !stream->closing)
      tell_states_after(node, stream, node->states_told);
  }
  node->states_told = newest;
  return true;
}

/* The newest, for who has been away: those before it are as good as compared with it. */
void reports_stream_opened(struct node *node, const struct node_stream *stream) {
  if (node->states_told > 0) tell_states_after(node, stream, node->states_told - 1);
}

/* ---- Receiving ---- */

bool reports_receive(struct node *node, const struct node_stream *stream, const struct frame *frame) {
  enum storage_condition condition;
  struct state_report report;
  if (frame->type == FRAME_STORAGE) {
    if (storage_report_decode(frame, &condition) != 0) return false;
    note_storage(node, stream->peer, condition);
    return true;
  }
  if (state_report_decode(frame, &report) != 0) return false;
  replica_expect_state(node->replica, &(struct replica_state){report.index, {report.low, report.high}});
  return true;
}

/* The two cannot both be right, and to go on would be to answer with what may be wrong. Which of them is, is
 * for people to find out. */
static bool end_if_different(struct node *node) {
  const uint64_t index = replica_differs_at(node->replica);
  if (index == 0 || node->exited) return false;
  effect_log(node, NODE_LOG_ERROR,
             "the documents of this node differ from the leader's as of index %" PRIu64
             ": it ends. Keep its data directory for an inquiry, and start it with an empty one: it will get "
             "all documents from the leader",
             index);
  effect_push(node, NODE_EXIT, NULL)->status = EXIT_STATUS_DIFFERENT;
  node->exited = true;
  return true;
}

bool reports_tend(struct node *node) {
  if (end_if_different(node)) return false;
  bool any = tell_storage(node);
  return tell_states(node) || any;
}
