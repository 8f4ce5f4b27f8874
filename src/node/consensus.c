/* Drives replica/ and join/, and carries out what they want: messages to bytes, streams to open, addresses to
 * bind. Neither knows the other; what one changes, the other hears of here. */
#include "base/memory.h"
#include "node/core.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* To make and seal a mebibyte takes some milliseconds, and a turn should not take longer: of the log there
 * goes at most one append more than may be under way, of an image four chunks. */
enum {
  APPEND_BYTES_MAX = 256 * 1024,
  INFLIGHT_BYTES_MAX = 2 * APPEND_BYTES_MAX,
  CHUNK_BYTES_MAX = 128 * 1024,
};

static struct replica *new_replica(struct node *node) {
  struct replica_options options = {.raft = {.id = join_id(node->join),
                                             .seed = random_next(&node->random),
                                             .heartbeat_ms = node->options.heartbeat_ms,
                                             .election_timeout_ms = node->options.election_timeout_ms,
                                             .append_bytes_max = APPEND_BYTES_MAX,
                                             .inflight_bytes_max = INFLIGHT_BYTES_MAX,
                                             .chunk_bytes_max = CHUNK_BYTES_MAX}};
  if (node->options.chunk_bytes_max != 0) options.raft.chunk_bytes_max = node->options.chunk_bytes_max;
  options.compact_bytes = node->options.compact_bytes;
  options.operations_per_turn = node->options.operations_per_turn;
  options.durable = node->options.durable;
  memcpy(options.store_key, node->options.store_key, sizeof options.store_key);
  return replica_new(&options);
}

void consensus_start(struct node *node) {
  node->replica = new_replica(node);
  node->raft_wakeup_ms = UINT64_MAX;
}

void consensus_situation(struct node *node, struct join_situation *situation) {
  const struct coracle_raft *raft = replica_raft(node->replica);
  situation->member = node->member;
  situation->established = node->member && replica_is_established(node->replica);
  situation->configuration = coracle_raft_latest_configuration(raft);
  coracle_raft_status(raft, node->now_ms, &situation->raft);
}

/* ---- Messages ---- */

static void send_message(struct node *node, const struct coracle_raft_message *message) {
  struct held held = {.after_sequence = storage_sequence_of(node, message->after_sequence)};
  if (!storage_identity_is_current(node)) return;
  if (raft_message_is_datagram(message)) {
    struct join_situation situation;
    consensus_situation(node, &situation);
    if (!join_find_address(node->join, &situation, message->to, &held.to)) return; /* it will be heard of */
    datagram_of_raft(message, &held.datagram, &held.bytes);
  } else {
    held.peer = message->to;
    held.kind = raft_message_is_leaders(message) ? STREAM_FOLLOWER : STREAM_LEADER;
    struct node_stream *stream = link_find(node, held.peer, held.kind);
    if (stream == NULL) return; /* it ended; the core hears of it in this turn */
    if (storage_has(node, held.after_sequence)) {
      raft_message_put_frame(&stream->out,
                             message); /* straight to where it belongs: entries are many bytes */
      node_stream_touch(node, stream);
      return;
    }
    held.stream_serial = stream->serial;
    raft_message_put_frame(&held.bytes, message);
  }
  storage_send(node, &held);
}

/* ---- The core's effects ---- */

const char *consensus_member_name(struct node *node, uint64_t id, struct join_member *info) {
  const struct coracle_raft_configuration *configuration =
      coracle_raft_latest_configuration(replica_raft(node->replica));
  const struct coracle_raft_member *member = coracle_raft_configuration_find(configuration, id);
  return member != NULL && join_member_decode(member, info) == 0 ? info->name : NULL;
}

static const char *step_down_text(enum coracle_raft_step_down reason) {
  switch (reason) {
  case CORACLE_RAFT_NO_QUORUM:
    return "a majority of the voters is out of contact";
  case CORACLE_RAFT_DISK_STALLED:
    return "this node's disk hangs";
  case CORACLE_RAFT_COMMIT_STALLED:
    return "the voters answer, but acknowledge nothing";
  case CORACLE_RAFT_REMOVED:
    return "this node was removed";
  case CORACLE_RAFT_NOT_STEPPED_DOWN: /* it started afresh */
  case CORACLE_RAFT_NEWER_TERM:
    break;
  }
  return "a newer term has begun";
}

/* Every change of role is one line, however many steps it took. A leader whose name the log has not told yet
 * is named when it has. */
static void log_role(struct node *node) {
  struct coracle_raft_status now, *status = &now;
  struct join_member info;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, status);
  const bool led = node->logged_role == CORACLE_RAFT_LEADER, leads = status->role == CORACLE_RAFT_LEADER;
  if (leads && (!led || node->logged_term != status->term)) {
    effect_log(node, NODE_LOG_INFO, "leading term %" PRIu64, status->term);
  } else if (led && !leads) {
    effect_log(node, status->resting_until_ms > 0 ? NODE_LOG_WARN : NODE_LOG_INFO, "no longer leading: %s",
               step_down_text(status->stepped_down));
  }
  node->logged_role = status->role;
  const char *name = consensus_member_name(node, status->leader, &info);
  if (!leads && status->leader != 0 && name != NULL &&
      (status->leader != node->logged_leader || status->term != node->logged_term))
    effect_log(node, NODE_LOG_INFO, "following %s in term %" PRIu64, name, status->term);
  node->logged_term = status->term;
  node->logged_leader = name != NULL ? status->leader : 0;
}

/* Voters and learners as the newest configuration has them, each time it changes; false when it has not. */
static bool log_configuration(struct node *node) {
  const struct coracle_raft *raft = replica_raft(node->replica);
  const struct coracle_raft_configuration *configuration = coracle_raft_latest_configuration(raft);
  struct coracle_raft_status status;
  struct bytes line = {0};
  coracle_raft_status(raft, node->now_ms, &status);
  if (status.configuration_index == node->logged_configuration || configuration->members_n == 0) return false;
  node->logged_configuration = status.configuration_index;
  for (int voter = 1; voter >= 0; voter--) {
    const char *separator = voter ? "voters" : "; learners";
    for (uint32_t i = 0; i < configuration->members_n; i++) {
      struct join_member info;
      if (configuration->members[i].voter != (voter == 1)) continue;
      const char *name = consensus_member_name(node, configuration->members[i].id, &info);
      bytes_printf(&line, "%s %s", separator, name != NULL ? name : "?");
      separator = ",";
    }
  }
  effect_log(node, NODE_LOG_INFO, "membership: %.*s", (int)line.n, (const char *)line.data);
  bytes_close(&line);
  return true;
}

void consensus_role_changed(struct node *node) {
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  if (status.role != CORACLE_RAFT_LEADER) link_close_followers(node);
  forward_leader_changed(node);
}

void consensus_carry_out(struct node *node, const struct coracle_raft_effects *effects) {
  storage_persist(node, &effects->persist);
  for (size_t i = 0; i < effects->messages_n; i++) send_message(node, &effects->messages[i]);
  node->raft_wakeup_ms = effects->wakeup_ms;
  node->view_valid = false;
  snapshots_log(node, &effects->persist);
  const bool new_members = log_configuration(node);
  const bool committed = effects->commit_index >= node->logged_configuration &&
                         node->committed_configuration != node->logged_configuration;
  if (committed) node->committed_configuration = node->logged_configuration;
  if (effects->role_changed || node->logged_leader == 0) log_role(node);
  if (effects->role_changed) consensus_role_changed(node);
  if (effects->role_changed || new_members || committed) consensus_changed(node);
}

bool consensus_step(struct node *node, struct coracle_raft_event *event) {
  const struct coracle_raft_effects *effects;
  event->now_ms = node->now_ms;
  int error = replica_step(node->replica, event, &effects);
  if (error == CORACLE_RAFT_ENOMEM) {
    effect_log(node, NODE_LOG_ERROR, "out of memory in the consensus core");
    abort();
  }
  if (error != 0) return false;
  consensus_carry_out(node, effects);
  return true;
}

static void flush_proposals(struct node *node) {
  const struct coracle_raft_effects *effects;
  if (!replica_has_proposals(node->replica)) return;
  if (storage_is_behind(node)) {
    replica_refuse(node->replica);
    return;
  }
  replica_flush(node->replica, node->now_ms, &effects);
  if (effects != NULL) consensus_carry_out(node, effects);
}

void consensus_flush(struct node *node) {
  const struct coracle_raft_effects *effects;
  flush_proposals(node);
  replica_flush_reads(node->replica, node->now_ms, &effects);
  if (effects != NULL) consensus_carry_out(node, effects);
}

bool consensus_has_queued(const struct node *node) {
  return replica_has_proposals(node->replica) || replica_has_reads(node->replica, node->now_ms);
}

/* ---- What join/ wants ---- */

void consensus_changed(struct node *node) {
  struct join_situation situation;
  consensus_situation(node, &situation);
  join_tick(node->join, &situation, node->now_ms);
}

static void log_join(struct node *node, const struct join_action *action) {
  effect_log(node,
             action->level == JOIN_LOG_WARN   ? NODE_LOG_WARN
             : action->level == JOIN_LOG_INFO ? NODE_LOG_INFO
                                              : NODE_LOG_DEBUG,
             "%s", action->text);
}

static void begin(struct node *node, const struct coracle_raft_configuration *founding) {
  struct coracle_raft_event event = {.type = CORACLE_RAFT_START, .start = {.founding = founding}};
  node->member = true;
  node->founded_wall_ms = founding != NULL ? node->wall_ms : 0;
  storage_begin_identity(node);
  bool started = consensus_step(node, &event);
  assert(started);
  storage_end_identity(node);
  consensus_changed(node);
}

void consensus_restore(struct node *node, const struct node_restored *restored) {
  const struct coracle_raft_effects *effects;
  const struct replica_image image = {.next = restored->next_image, .context = restored->image};
  int error = replica_restore(node->replica, &restored->raft, &image, node->now_ms, &effects);
  if (error != 0) {
    fprintf(stderr, "coracle: what storage holds does not fit together: %s\n", coracle_raft_strerror(error));
    abort();
  }
  node->member = true;
  node->raft_wakeup_ms = effects->wakeup_ms;
  log_configuration(node);
}

static bool answer_results(struct node *node) {
  struct replica_result result;
  bool any = false;
  while (replica_next_result(node->replica, &result)) {
    client_result(node, result.waiter, &result);
    any = true;
  }
  return any;
}

/* An answer may let the next request of its connection in, which is answered in the same way. */
void consensus_abandon(struct node *node) {
  do {
    replica_abandon(node->replica);
    clients_abandon(node);
  } while (answer_results(node));
}

/* Everything that was of the old identity goes: streams, log, documents. Requests that waited get their
 * answer. */
static void start_afresh(struct node *node) {
  link_close_followers(node);
  if (node->leader_stream != NULL) {
    node_stream_close(node, node->leader_stream);
    node->leader_stream = NULL;
  }
  consensus_abandon(node);
  storage_begin_identity(node);
  storage_end_identity(node);
  replica_free(node->replica);
  consensus_start(node);
  node->member = false;
  node->view_valid = false;
  node->states_told = 0;
  node->logged_role = CORACLE_RAFT_FOLLOWER;
  node->logged_term = node->logged_leader = node->logged_configuration = node->committed_configuration = 0;
  node->texts_index = node->texts_term = 0;
  consensus_changed(node);
}

/* Where something came between, nothing is changed, and the next tick judges anew. */
static void change_configuration(struct node *node, const struct join_action *action) {
  struct coracle_raft_event event = {.type = CORACLE_RAFT_CONF_CHANGE,
                                     .configuration = &action->configuration};
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(node->replica), node->now_ms, &status);
  if (!status.configuration_committed || !status.committed_own_term) return;
  if (status.configuration_index != action->base_index) return;
  log_join(node, action);
  consensus_step(node, &event);
}

static void carry_out_join(struct node *node, struct join_action *action) {
  struct coracle_raft_event event = {0};
  switch (action->type) {
  case JOIN_DO_SEND:
    datagram_send_join(node, &action->to, action->to_id, &action->message);
    return;
  case JOIN_DO_BIND:
    effect_push(node, NODE_BIND, NULL);
    return;
  case JOIN_DO_RELEASE:
    effect_push(node, NODE_RELEASE, NULL);
    return;
  case JOIN_DO_FOUND:
    begin(node, &action->configuration);
    return;
  case JOIN_DO_ADOPT:
    begin(node, NULL);
    return;
  case JOIN_DO_YIELD:
    start_afresh(node);
    return;
  case JOIN_DO_CAMPAIGN:
    event.type = CORACLE_RAFT_CAMPAIGN;
    consensus_step(node, &event);
    return;
  case JOIN_DO_CHANGE:
    change_configuration(node, action);
    return;
  case JOIN_DO_LINK:
    link_open(node, action->to_id, &action->to, action->token);
    return;
  case JOIN_DO_OPEN_HTTP:
    node->http_open = true;
    effect_push(node, NODE_OPEN_HTTP, NULL);
    return;
  case JOIN_DO_LOG:
    log_join(node, action);
    return;
  }
}

void consensus_tick(struct node *node) {
  if (join_is_removed(node->join)) node->raft_wakeup_ms = UINT64_MAX; /* it is to campaign no more */
  if (node->member && node->now_ms >= node->raft_wakeup_ms) {
    struct coracle_raft_event event = {.type = CORACLE_RAFT_TIMEOUT};
    consensus_step(node, &event);
  }
  replica_expire_reads(node->replica, node->now_ms);
  if (node->now_ms >= join_wakeup_ms(node->join)) consensus_changed(node);
}

bool consensus_settle(struct node *node) {
  struct join_action action;
  bool any = false;
  while (storage_settle(node)) any = true;
  while (snapshots_tend(node)) any = true;
  any = reports_tend(node) || any;
  any = answer_results(node) || any;
  any = works_tend(node) || any;
  while (join_next_action(node->join, &action)) {
    any = true;
    carry_out_join(node, &action);
  }
  return any;
}
