/* The calls of join.h, and the order of things in a tick. */
#include "join/core.h"

#include "base/memory.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct join *join_new(const struct join_options *options, uint64_t now_ms) {
  struct join *j = memory_zalloc(sizeof *j);
  j->options = *options;
  snprintf(j->name, sizeof j->name, "%s", options->name);
  j->options.name = j->name;
  memcpy(j->cluster, options->cluster, sizeof j->cluster);
  address_list_sort(&j->options.peers);
  if (options->expect == 0) j->options.expect = join_has_peers(j) ? (uint32_t)options->peers.n : 1;
  j->random.state = options->seed;
  j->now_ms = j->started_ms = j->leaderless_since_ms = j->answered_ms = now_ms;
  if (!join_is_fresh(j)) peers_stream_ended(j); /* it may be that nobody leads */
  return j;
}

void join_free(struct join *j) {
  if (j == NULL) return;
  free(j->actions);
  free(j);
}

/* ---- Actions ---- */

struct join_action *join_act(struct join *j, enum join_action_type type) {
  if (j->actions_n == j->actions_capacity) {
    j->actions_capacity = j->actions_capacity > 0 ? j->actions_capacity * 2 : 8;
    j->actions = memory_realloc(j->actions, j->actions_capacity * sizeof *j->actions);
  }
  struct join_action *action = &j->actions[j->actions_n++];
  memset(action, 0, sizeof *action);
  action->type = type;
  return action;
}

bool join_next_action(struct join *j, struct join_action *action) {
  if (j->actions_next == j->actions_n) {
    j->actions_next = j->actions_n = 0;
    return false;
  }
  *action = j->actions[j->actions_next++];
  if (action->type == JOIN_DO_CAMPAIGN) j->campaign_pending = false;
  return true;
}

void join_log(struct join *j, enum join_log_level level, const char *format, ...) {
  struct join_action *action = join_act(j, JOIN_DO_LOG);
  va_list args;
  action->level = level;
  va_start(args, format);
  vsnprintf(action->text, sizeof action->text, format, args);
  va_end(args);
}

void join_send(struct join *j, const struct address *to, uint64_t to_id, const struct join_message *message) {
  struct join_action *action = join_act(j, JOIN_DO_SEND);
  action->to = *to;
  action->to_id = to_id;
  action->message = *message;
}

/* It was in a configuration that was committed: a learner gets no other entries, a voter was a learner first
 * or founded the cluster. A leader that removed itself has voted for itself once. */
static bool was_member(const struct join *j, const struct join_situation *s) {
  return s->member && (coracle_raft_configuration_find(s->configuration, j->options.id) != NULL ||
                       s->raft.voted_for == j->options.id);
}

struct join_card join_card(const struct join *j, const struct join_situation *s) {
  struct join_card card = {.established = s->member && s->established,
                           .leader = join_leads(s),
                           .memory_storage = j->options.memory_storage,
                           .was_member = was_member(j, s),
                           .http = j->options.http};
  snprintf(card.name, sizeof card.name, "%s", j->name);
  return card;
}

const char *join_hex(const uint8_t cluster[JOIN_CLUSTER_BYTES], char text[2 * JOIN_CLUSTER_BYTES + 1]) {
  for (size_t i = 0; i < JOIN_CLUSTER_BYTES; i++) sprintf(text + 2 * i, "%02x", cluster[i]);
  return text;
}

/* ---- Events ---- */

static void open_http(struct join *j, const char *note, const char *why) {
  char http[ADDRESS_TEXT_MAX];
  j->http_open = true;
  join_act(j, JOIN_DO_OPEN_HTTP);
  join_log(j, JOIN_LOG_INFO, "step 8: HTTP open on %s%s%s", address_format(&j->options.http, http), note,
           why);
}

/* Step 8: a founder serves at once, a follower when the leader has saved its credentials, and everybody after
 * two election timeouts without a leader, so that a client hears a reason instead of silence. */
static void http_tick(struct join *j, const struct join_situation *s) {
  if (j->http_open) return;
  if (join_leads(s) || j->handshake == HANDSHAKE_SAVED) {
    open_http(j, "", "");
  } else if (join_elapsed(j, j->started_ms, 2 * (uint64_t)j->options.election_timeout_ms)) {
    open_http(j, ": no leader yet; ", join_no_leader_reason(j, s, j->now_ms));
  }
}

/* What was sent to a process that was stopped is still in its sockets. Until it has had the time to read
 * that, it takes nobody for gone. */
static void notice_sleep(struct join *j) {
  if (join_elapsed(j, j->ticked_ms, SLEPT_HEARTBEATS * (uint64_t)j->options.heartbeat_ms))
    j->awake_ms = j->now_ms;
  j->ticked_ms = j->now_ms;
}

void join_tick(struct join *j, const struct join_situation *s, uint64_t now_ms) {
  j->now_ms = now_ms;
  notice_sleep(j);
  book_read_configuration(j, s);
  if (join_hears_leader(s)) {
    j->leaderless_since_ms = now_ms;
    j->removed = false; /* one that had removed it would not keep it company */
  }
  orphan_tick(j, s);
  if (join_is_between_cores(j, s)) return;
  bind_tick(j, s);
  if (join_is_between_cores(j, s)) return;
  handshake_tick(j, s);
  http_tick(j, s); /* a founder serves before it has heard of anybody */
  members_tick(j, s);
}

uint64_t join_wakeup_ms(const struct join *j) {
  const uint64_t at_ms = j->ticked_ms + j->options.heartbeat_ms;
  if (j->ticked_ms < j->bind_eager_until_ms && !j->holding) return j->ticked_ms + BIND_EAGER_MS;
  return j->campaign_at_ms > j->ticked_ms && j->campaign_at_ms < at_ms ? j->campaign_at_ms : at_ms;
}

void join_stream_ended(struct join *j, const struct join_situation *s, uint64_t now_ms) {
  j->now_ms = now_ms;
  if (join_has_peers(j))
    peers_stream_ended(j);
  else
    j->bind_eager_until_ms = now_ms + j->options.heartbeat_ms;
  j->bind_next_ms = now_ms;
  j->rest_until_ms = 0;
  if (j->handshake == HANDSHAKE_SAVED) handshake_reset(j);
  join_tick(j, s, now_ms);
}

void join_receive(struct join *j, const struct join_situation *s, const struct join_datagram *datagram,
                  uint64_t now_ms) {
  j->now_ms = now_ms;
  handshake_receive(j, s, datagram);
  join_tick(j, s, now_ms);
}

/* ---- Questions ---- */

uint64_t join_id(const struct join *j) {
  return j->options.id;
}

const uint8_t *join_cluster(const struct join *j) {
  return j->cluster;
}

const uint8_t *join_leader_token(const struct join *j, uint64_t leader) {
  return j->handshake >= HANDSHAKE_CREDENTIALS && j->handshake_leader == leader ? j->leader_token : NULL;
}

static void info_of(const struct join_situation *s, uint64_t id, struct join_member *info) {
  const struct coracle_raft_member *member = coracle_raft_configuration_find(s->configuration, id);
  if (member == NULL || join_member_decode(member, info) != 0) *info = (struct join_member){.name = "?"};
}

/* "need 2 of 3 voters, reached 1; b silent for 4.2 s" */
static void voters_reason(struct join *j, const struct join_situation *s) {
  const uint64_t timeout_ms = 2 * (uint64_t)j->options.election_timeout_ms;
  unsigned voters = 0, reached = 0;
  bool long_silent = false, memory_storage = false;
  struct bytes silent = {0};
  for (size_t i = 0; i < s->raft.peers_n; i++) {
    const struct coracle_raft_peer_status *peer = &s->raft.peers[i];
    uint64_t heard_ms = book_heard_ms(j, peer->id);
    struct join_member info;
    if (!peer->voter) continue;
    voters++;
    if (peer->last_contact_ms > heard_ms) heard_ms = peer->last_contact_ms;
    if (heard_ms < j->started_ms) heard_ms = j->started_ms;
    uint64_t silent_ms = j->now_ms > heard_ms ? j->now_ms - heard_ms : 0;
    if (peer->id == j->options.id || silent_ms < timeout_ms) {
      reached++;
      continue;
    }
    info_of(s, peer->id, &info);
    memory_storage = memory_storage || info.memory_storage;
    bytes_printf(&silent, "; %s silent for %u.%u s", info.name, (unsigned)(silent_ms / 1000),
                 (unsigned)(silent_ms % 1000 / 100));
    long_silent = true;
  }
  bytes_append(&silent, "", 1);
  snprintf(j->reason, sizeof j->reason, "need %u of %u voters, reached %u%s%s", voters / 2 + 1, voters,
           reached, (const char *)silent.data,
           reached >= voters / 2 + 1        ? "; an election is under way"
           : long_silent && !memory_storage ? ". What they have is on their disks: start them again (if the "
                                              "disks are lost for good, see 'coracle recover --help')"
           : long_silent
               ? ". Processes that ended took their memory storage with them: read what is here with "
                 "?consistency=stale, then restart this node too, to begin again with an empty cluster"
               : "");
  bytes_close(&silent);
}

const char *join_no_leader_reason(struct join *j, const struct join_situation *s, uint64_t now_ms) {
  char address[ADDRESS_TEXT_MAX];
  const uint64_t timeout_ms = 2 * (uint64_t)j->options.election_timeout_ms;
  address_format(&j->options.election, address);
  j->now_ms = now_ms > j->now_ms ? now_ms : j->now_ms;
  if (j->removed) {
    snprintf(
        j->reason, sizeof j->reason,
        "this node was removed from its cluster and stays out: to join again as a new one, stop it, delete "
        "its data directory and start it");
  } else if (!join_is_fresh(j) && s->member && s->raft.voter) {
    voters_reason(j, s);
  } else if (j->refused[0] != '\0') {
    snprintf(j->reason, sizeof j->reason, "the leader refuses this node: %.200s", j->refused);
  } else if (j->foreign_heard_ms != 0 && !join_elapsed(j, j->foreign_heard_ms, timeout_ms)) {
    snprintf(j->reason, sizeof j->reason, "%s", j->foreign);
  } else if (orphan_waits(j, s)) {
    orphan_reason(j, s);
  } else if (!join_is_fresh(j)) {
    snprintf(j->reason, sizeof j->reason, "this node is a learner and has not heard the leader for a while");
  } else if (join_has_peers(j)) {
    peers_reason(j);
  } else if (j->holding) {
    snprintf(j->reason, sizeof j->reason, "this node holds %s and listens for a cluster before it founds one",
             address);
  } else if (join_elapsed(j, j->answered_ms, timeout_ms)) {
    snprintf(j->reason, sizeof j->reason,
             "%s is held but its holder does not answer: a hung process, another secret, or another program",
             address);
  } else {
    snprintf(j->reason, sizeof j->reason, "waiting for an answer from %s", address);
  }
  return j->reason;
}

bool join_is_waiting(const struct join_situation *s) {
  struct join_member info;
  for (uint32_t i = 0; i < s->configuration->members_n; i++)
    if (join_member_decode(&s->configuration->members[i], &info) == 0 && info.waiting) return true;
  return false;
}

const char *join_writes_stopped(struct join *j, const struct join_situation *s) {
  if (!s->member) return NULL;
  const uint32_t voters = coracle_raft_configuration_voters(s->configuration);
  if (join_is_waiting(s)) {
    snprintf(
        j->writes_stopped, sizeof j->writes_stopped,
        "%u of the %u voters that this cluster begins with are here: start the others, or this node with a "
        "smaller --expect",
        (unsigned)voters, (unsigned)j->options.expect);
    return j->writes_stopped;
  }
  if (j->rival_heard_ms == 0 || join_elapsed(j, j->rival_heard_ms, RIVAL_MS) || voters != 1) return NULL;
  return "another established cluster uses the same election address, and two never merge: stop one of them";
}

bool join_is_removed(const struct join *j) {
  return j->removed;
}
