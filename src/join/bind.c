/* Who holds the election address, who founds, and who yields.
 *
 * The kernel lets one process bind the address. Fresh nodes and voters without a leader try; the leader tries
 * too, so that newcomers find it there. Holding it is only the permission to ask first: a fresh node listens
 * before it founds, a voter must still win Raft's vote. Whoever comes to follow a leader lets go. */
#include "join/core.h"

#include <assert.h>
#include <stdio.h>

bool bind_hears_foreign_cluster(const struct join *j) {
  return j->foreign_heard_ms != 0 &&
         !join_elapsed(j, j->foreign_heard_ms, LISTEN_HEARTBEATS * (uint64_t)j->options.heartbeat_ms);
}

static bool is_asking(const struct join_situation *s) {
  return s->member && (s->raft.role == CORACLE_RAFT_PRE_CANDIDATE || s->raft.role == CORACLE_RAFT_CANDIDATE);
}

static bool wants_address(const struct join *j, const struct join_situation *s) {
  if (join_is_fresh(j)) return !bind_hears_foreign_cluster(j);
  if (join_leads(s)) return true;
  return s->raft.voter && !j->removed && !join_hears_leader(s) && j->now_ms >= j->rest_until_ms;
}

/* Where all have come back elsewhere, only the holder hears where they are. One that has asked them for so
 * long without winning never will: its log is not new enough, perhaps, so another is to be heard. */
static bool may_keep_address(const struct join *j, const struct join_situation *s) {
  if (join_is_fresh(j)) return !bind_hears_foreign_cluster(j);
  if (join_leads(s)) return true;
  return (is_asking(s) || j->campaign_pending) && !join_hears_leader(s) &&
         !join_elapsed(j, j->holding_since_ms, j->options.election_timeout_ms);
}

void bind_release(struct join *j) {
  if (!j->holding) return;
  j->holding = false;
  join_act(j, JOIN_DO_RELEASE);
}

void bind_found(struct join *j) {
  char cluster[2 * JOIN_CLUSTER_BYTES + 1];
  for (size_t i = 0; i < JOIN_CLUSTER_BYTES; i++) j->cluster[i] = (uint8_t)random_next(&j->random);
  if (join_is_fresh(j)) j->cluster[0] = 1;

  struct join_member self = {.memory_storage = j->options.memory_storage,
                             .waiting = j->options.expect > 1,
                             .http = j->options.http,
                             .udp = j->options.udp};
  snprintf(self.name, sizeof self.name, "%s", j->name);
  join_log(j, JOIN_LOG_INFO, "step 2: founded cluster %s in term 1; leading", join_hex(j->cluster, cluster));
  struct join_action *action = join_act(j, JOIN_DO_FOUND);
  memcpy(action->cluster, j->cluster, JOIN_CLUSTER_BYTES);
  action->configuration.members_n = 1;
  action->configuration.members[0] = (struct coracle_raft_member){.id = j->options.id, .voter = true};
  join_member_encode(&self, &action->configuration.members[0]);
}

static bool has_listened(const struct join *j) {
  const uint64_t since_ms = j->holding_since_ms > j->awake_ms ? j->holding_since_ms : j->awake_ms;
  return join_elapsed(j, since_ms, LISTEN_HEARTBEATS * (uint64_t)j->options.heartbeat_ms);
}

static void try_to_bind(struct join *j, const struct join_situation *s) {
  char address[ADDRESS_TEXT_MAX];
  if (j->bind_pending || j->now_ms < j->bind_next_ms) return;
  if (!j->bind_announced && !join_leads(s))
    join_log(j, JOIN_LOG_INFO, "step 1: trying to bind the election address %s",
             address_format(&j->options.election, address));
  j->bind_announced = true;
  j->bind_pending = true;
  j->bind_next_ms =
      j->now_ms + (j->now_ms < j->bind_eager_until_ms ? (uint32_t)BIND_EAGER_MS : j->options.heartbeat_ms);
  join_act(j, JOIN_DO_BIND);
}

void bind_tick(struct join *j, const struct join_situation *s) {
  if (join_has_peers(j)) {
    peers_tick(j, s);
    return;
  }
  if (!join_is_fresh(j) && join_hears_leader(s)) {
    j->bind_announced = join_leads(s) && j->bind_announced;
    j->taken_announced = false;
    j->bind_eager_until_ms = 0;
  }
  if (j->holding) {
    if (!may_keep_address(j, s)) {
      /* A candidate that could not win: another may do better, so leave it the address for a while. */
      if (!join_is_fresh(j) && !join_hears_leader(s))
        j->rest_until_ms = j->now_ms + j->options.election_timeout_ms +
                           random_below(&j->random, j->options.election_timeout_ms);
      bind_release(j);
    } else if (join_is_fresh(j) && has_listened(j)) {
      bind_found(j);
    }
  } else if (wants_address(j, s)) {
    try_to_bind(j, s);
  }
}

void join_bound(struct join *j, const struct join_situation *s, uint64_t now_ms) {
  char address[ADDRESS_TEXT_MAX];
  j->now_ms = now_ms;
  assert(j->bind_pending && !j->holding);
  j->bind_pending = false;
  j->holding = true;
  j->holding_since_ms = now_ms;
  j->taken_since_ms = 0;
  j->answered_ms = now_ms;
  address_format(&j->options.election, address);
  if (!wants_address(j, s)) {
    bind_release(j);
  } else if (join_is_fresh(j)) {
    join_log(j, JOIN_LOG_INFO, "step 2: won the election address %s; listening for a cluster for %u ms",
             address, (unsigned)(LISTEN_HEARTBEATS * j->options.heartbeat_ms));
  } else if (join_leads(s)) {
    join_log(j, JOIN_LOG_INFO, "step 2: holding the election address %s as the leader", address);
  } else if (!is_asking(s)) {
    join_log(j, JOIN_LOG_INFO, "step 2: won the election address %s; asking for votes", address);
    join_act(j, JOIN_DO_CAMPAIGN);
    j->campaign_pending = true;
  }
}

/* Step 3. The ACCEPT that follows tells the holder where this node is, whatever the holder may be. */
void join_taken(struct join *j, const struct join_situation *s, uint64_t now_ms) {
  char address[ADDRESS_TEXT_MAX];
  j->now_ms = now_ms;
  assert(j->bind_pending && !j->holding);
  j->bind_pending = false;
  if (j->taken_since_ms == 0) j->taken_since_ms = now_ms;
  if (!j->taken_announced && !join_leads(s) && !join_hears_leader(s)) {
    j->taken_announced = true;
    join_log(j, JOIN_LOG_INFO, "step 3: %s is taken; following",
             address_format(&j->options.election, address));
    j->accept_next_ms = now_ms;
  }
  handshake_tick(j, s);
}

/* To yield is to drop the log, take a new id and start fresh: under the old id nothing is promised any more.
 */
void bind_yield(struct join *j, const char *why) {
  char cluster[2 * JOIN_CLUSTER_BYTES + 1];
  join_log(j, JOIN_LOG_WARN, "leaving unestablished cluster %s: %s; starting afresh",
           join_hex(j->cluster, cluster), why);
  bind_release(j);
  memset(j->cluster, 0, sizeof j->cluster);
  do j->options.id = random_next(&j->random);
  while (j->options.id == 0);
  j->leading_term = 0;
  memset(j->table, 0, sizeof j->table);
  j->rest_until_ms = 0;
  j->campaign_pending = false;
  j->bind_announced = j->taken_announced = j->peers_announced = false;
  j->bind_next_ms = j->now_ms;
  j->accept_next_ms = j->now_ms;
  j->removed = false;
  handshake_reset(j);
  join_act(j, JOIN_DO_YIELD);
}

static void hear_cluster_while_fresh(struct join *j, const struct join_datagram *datagram,
                                     const struct join_card *card) {
  char cluster[2 * JOIN_CLUSTER_BYTES + 1];
  /* Such a node will itself yield, unless it has a disk: then it may be the founder, who is about to lead
   * again, or wait for it. (Across hosts nobody founds beside it anyway, see peers.c.) */
  if (!card->established && !card->leader && (card->memory_storage || join_has_peers(j))) return;
  const bool news = !bind_hears_foreign_cluster(j);
  j->foreign_heard_ms = j->now_ms;
  snprintf(j->foreign, sizeof j->foreign,
           card->leader ? "joining cluster %s, which %s leads"
                        : "not founding: cluster %s, which %s belongs to, exists but has no leader",
           join_hex(datagram->cluster, cluster), card->name);
  if (news) join_log(j, JOIN_LOG_INFO, "%s", j->foreign);
}

/* Of two unestablished clusters the one that does not hold the address yields. Across hosts each leader holds
 * one: there the one at the higher address does, and who does not lead leaves it to its leader. */
static bool gives_way(const struct join *j, const struct join_situation *s,
                      const struct join_datagram *datagram) {
  if (!join_has_peers(j)) return !j->holding;
  return join_leads(s) && address_compare(&datagram->source, &j->options.election) < 0;
}

/* A learner that hears its leader yields for nobody: its leader does, and may just have made it a voter.
 * Without one it finds out, across hosts, where every node can be asked, whether its vote is needed
 * (orphan.c). */
static bool leaves_it_to_others(const struct join *j, const struct join_situation *s) {
  if (!s->member || s->raft.voter) return false;
  return join_hears_leader(s) || (join_has_peers(j) && orphan_waits(j, s));
}

/* Two clusters have met. The unestablished one yields. Two established ones never merge: that is for people
 * to decide. */
void bind_hear_card(struct join *j, const struct join_situation *s, const struct join_datagram *datagram,
                    const struct join_card *card) {
  static const uint8_t none[JOIN_CLUSTER_BYTES];
  char own[2 * JOIN_CLUSTER_BYTES + 1], other[2 * JOIN_CLUSTER_BYTES + 1];
  if (memcmp(datagram->cluster, none, sizeof none) == 0) return;
  if (join_is_fresh(j)) {
    hear_cluster_while_fresh(j, datagram, card);
    return;
  }
  if (memcmp(datagram->cluster, j->cluster, JOIN_CLUSTER_BYTES) == 0) return;
  if (!s->established) {
    if (leaves_it_to_others(j, s)) return;
    if (card->established)
      bind_yield(j, "an established cluster was met");
    else if (card->leader && gives_way(j, s, datagram) && !orphan_waits(j, s))
      bind_yield(j, "another has the election address, or a lower one");
  } else if (card->established) {
    j->rival_heard_ms = j->now_ms;
    if (j->rival_logged_ms != 0 && !join_elapsed(j, j->rival_logged_ms, RIVAL_MS)) return;
    j->rival_logged_ms = j->now_ms;
    join_log(j, JOIN_LOG_WARN,
             "two established clusters at one election address: %s here, %s at %s. They never merge: stop "
             "the nodes "
             "of one, or give it another --election",
             join_hex(j->cluster, own), join_hex(datagram->cluster, other), card->name);
  }
}
