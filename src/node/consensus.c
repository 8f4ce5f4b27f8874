/* Drives replica/ and join/, and carries out what they want: messages to bytes, streams to open, addresses to
 * bind. Neither knows the other; what one changes, the other hears of here. */
#include "base/memory.h"
#include "node/core.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

static struct replica *new_replica(struct node *node) {
  struct replica_options options = {.raft = {.id = join_id(node->join),
                                             .seed = random_next(&node->random),
                                             .heartbeat_ms = node->options.heartbeat_ms,
                                             .election_timeout_ms = node->options.election_timeout_ms}};
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

static void send_or_hold(struct node *node, struct held *held) {
  if (held->after_sequence <= replica_persisted_sequence(node->replica)) {
    if (held->stream != NULL) {
      bytes_append(&held->stream->out, held->bytes.data, held->bytes.n);
      node_stream_touch(node, held->stream);
    } else {
      effect_send(node, &held->to, &held->bytes);
    }
    bytes_close(&held->bytes);
  } else {
    *(struct held *)queue_push(&node->held) = *held;
  }
}

static void send_message(struct node *node, const struct coracle_raft_message *message) {
  struct held held = {.after_sequence = message->after_sequence, .peer = message->to};
  if (raft_message_is_datagram(message)) {
    struct join_situation situation;
    consensus_situation(node, &situation);
    if (!join_find_address(node->join, &situation, message->to, &held.to)) return; /* it will be heard of */
    datagram_build_raft(node, message, &held.bytes);
  } else {
    held.kind = message->type == CORACLE_RAFT_APPEND ? STREAM_FOLLOWER : STREAM_LEADER;
    held.stream = link_find(node, message->to, held.kind);
    if (held.stream == NULL) return; /* it ended; the core hears of it in this turn */
    if (message->after_sequence <= replica_persisted_sequence(node->replica)) {
      raft_message_put_frame(&held.stream->out,
                             message); /* straight to where it belongs: entries are many bytes */
      node_stream_touch(node, held.stream);
      return;
    }
    raft_message_put_frame(&held.bytes, message);
  }
  send_or_hold(node, &held);
}

/* What is due may stand behind what is not: an acknowledgement waits for its entries, a vote or heartbeat
 * behind it for nothing but the term. A stream that has ended since takes its messages with it. */
static void release_held(struct node *node) {
  for (size_t n = node->held.n; n > 0; n--) {
    struct held held = *(struct held *)queue_at(&node->held, 0);
    queue_pop(&node->held);
    if (held.stream != NULL && held.stream != link_find(node, held.peer, held.kind))
      bytes_close(&held.bytes);
    else
      send_or_hold(node, &held);
  }
}

static void drop_held(struct node *node) {
  for (struct held *first; (first = queue_at(&node->held, 0)) != NULL; queue_pop(&node->held))
    bytes_close(&first->bytes);
}

/* ---- The core's effects ---- */

/* NULL when the configuration does not have it. */
static const char *member_name(struct node *node, uint64_t id, struct join_member *info) {
  const struct coracle_raft_configuration *configuration =
      coracle_raft_latest_configuration(replica_raft(node->replica));
  const struct coracle_raft_member *member = coracle_raft_configuration_find(configuration, id);
  return member != NULL && join_member_decode(member, info) == 0 ? info->name : NULL;
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
    effect_log(node, NODE_LOG_INFO, "no longer leading: %s",
               status->term > node->logged_term ? "a newer term has begun"
                                                : "a majority of the voters is out of contact");
  }
  node->logged_role = status->role;
  const char *name = member_name(node, status->leader, &info);
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
      const char *name = member_name(node, configuration->members[i].id, &info);
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

static void carry_out(struct node *node, const struct coracle_raft_effects *effects) {
  for (size_t i = 0; i < effects->messages_n; i++) send_message(node, &effects->messages[i]);
  node->raft_wakeup_ms = effects->wakeup_ms;
  node->view_valid = false;
  const bool new_members = log_configuration(node);
  if (effects->role_changed || node->logged_leader == 0) log_role(node);
  if (effects->role_changed) consensus_role_changed(node);
  if (effects->role_changed || new_members) consensus_changed(node);
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
  carry_out(node, effects);
  return true;
}

void consensus_flush(struct node *node) {
  const struct coracle_raft_effects *effects;
  if (!replica_has_proposals(node->replica)) return;
  replica_flush(node->replica, node->now_ms, &effects);
  if (effects != NULL) carry_out(node, effects);
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
  bool started = consensus_step(node, &event);
  assert(started);
  consensus_changed(node);
}

static bool answer_results(struct node *node) {
  struct replica_result result;
  bool any = false;
  while (replica_next_result(node->replica, &result)) {
    struct call *call = result.waiter;
    api_complete(node->api, node_view(node), &call->api, &result, &call->answer);
    client_complete(node, call);
    any = true;
  }
  return any;
}

/* An answer may let the next request of its connection in, which is answered in the same way. */
void consensus_abandon(struct node *node) {
  do replica_abandon(node->replica);
  while (answer_results(node));
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
  drop_held(node);
  replica_free(node->replica);
  consensus_start(node);
  node->member = false;
  node->view_valid = false;
  node->logged_role = CORACLE_RAFT_FOLLOWER;
  node->logged_term = node->logged_leader = node->logged_configuration = 0;
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
  if (node->member && node->now_ms >= node->raft_wakeup_ms) {
    struct coracle_raft_event event = {.type = CORACLE_RAFT_TIMEOUT};
    consensus_step(node, &event);
  }
  if (node->now_ms >= join_wakeup_ms(node->join)) consensus_changed(node);
}

bool consensus_settle(struct node *node) {
  struct coracle_raft_event event;
  struct join_action action;
  bool any = false;
  while (replica_persisted(node->replica, &event)) {
    any = true;
    consensus_step(node, &event);
    release_held(node);
  }
  any = answer_results(node) || any;
  while (join_next_action(node->join, &action)) {
    any = true;
    carry_out_join(node, &action);
  }
  return any;
}
