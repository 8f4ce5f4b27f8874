/* Which datagrams have come already: of the nodes heard lately, a window of each. Whoever records a datagram
 * and sends it again is not answered, and moves nobody.
 *
 * Only who has the cluster's secret can take a place here. When there is no free one, the sender that was
 * silent for longest makes room, a member last of all. */
#include "node/core.h"

#include <assert.h>

static bool is_member(const struct coracle_raft_configuration *configuration, const struct sender *sender) {
  for (uint32_t i = 0; i < configuration->members_n; i++)
    if (configuration->members[i].id == sender->id) return true;
  return false;
}

/* A free place, or else the one to be had first. There are more places than members. */
static struct sender *make_room(struct node *node) {
  const struct coracle_raft_configuration *configuration =
      coracle_raft_latest_configuration(replica_raft(node->replica));
  struct sender *oldest = NULL;
  static_assert((int)SENDERS_MAX > (int)CORACLE_RAFT_MEMBERS_MAX, "or members would have to make room");
  for (size_t i = 0; i < SENDERS_MAX; i++) {
    struct sender *sender = &node->senders[i];
    if (sender->id == 0) return sender;
    if (is_member(configuration, sender)) continue;
    if (oldest == NULL || sender->heard_ms < oldest->heard_ms) oldest = sender;
  }
  return oldest;
}

static struct sender *find(struct node *node, uint64_t id) {
  for (size_t i = 0; i < SENDERS_MAX; i++)
    if (node->senders[i].id == id) return &node->senders[i];
  struct sender *sender = make_room(node);
  *sender = (struct sender){.id = id};
  return sender;
}

bool replays_take(struct node *node, const struct datagram *datagram) {
  struct sender *sender = find(node, datagram->from);
  if (!replay_window_take(&sender->window, datagram->start, datagram->counter)) return false;
  sender->heard_ms = node->now_ms;
  return true;
}
