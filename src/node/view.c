/* What the endpoints show of the node: made once a turn, when a request asks. */
#include "node/core.h"

#include <stdio.h>

/* The members' names and addresses as text, as long as the configuration is the same. */
static void refresh_texts(struct node *node, const struct coracle_raft_status *status,
                          const struct coracle_raft_configuration *configuration) {
  const struct coracle_raft_entry *entry =
      coracle_raft_entry_at(replica_raft(node->replica), status->configuration_index);
  const uint64_t term = entry != NULL ? entry->term : 0;
  if (status->configuration_index == node->texts_index && term == node->texts_term) return;
  node->texts_index = status->configuration_index;
  node->texts_term = term;
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    struct member_text *text = &node->texts[i];
    struct join_member info = {.name = "?"};
    text->id = configuration->members[i].id;
    int error = join_member_decode(&configuration->members[i], &info);
    snprintf(text->name, sizeof text->name, "%s", error == 0 ? info.name : "?");
    text->memory_storage = info.memory_storage;
    address_format(&info.http, text->http);
  }
}

static enum api_storage storage_shown(enum storage_condition condition) {
  switch (condition) {
  case STORAGE_FULL:
    return API_STORAGE_FULL;
  case STORAGE_HANGS:
    return API_STORAGE_HANGS;
  case STORAGE_FINE:
    break;
  }
  return API_STORAGE_FINE;
}

static enum api_storage own_storage(const struct node *node) {
  return node->options.durable ? storage_shown(storage_condition(node)) : API_STORAGE_MEMORY;
}

static enum api_storage member_storage(struct node *node, size_t i, uint64_t id) {
  enum storage_condition condition;
  if (node->texts[i].memory_storage) return API_STORAGE_MEMORY;
  return reports_storage_of(node, id, &condition) ? storage_shown(condition) : API_STORAGE_UNKNOWN;
}

static void fill_member(struct node *node, const struct coracle_raft_status *status, size_t i,
                        struct api_member *member) {
  const struct coracle_raft_peer_status *peer = &status->peers[i];
  const bool leads = status->role == CORACLE_RAFT_LEADER;
  const bool self = peer->id == join_id(node->join);
  *member = (struct api_member){.id = peer->id,
                                .name = node->texts[i].name,
                                .http = node->texts[i].http,
                                .voter = peer->voter,
                                .self = self,
                                .match_known = leads,
                                .match = peer->match,
                                .contact_known = self || peer->last_contact_ms != 0,
                                .up_known = self || leads,
                                .storage = self ? own_storage(node) : member_storage(node, i, peer->id)};
  member->last_contact_ms =
      self || peer->last_contact_ms > node->now_ms ? 0 : node->now_ms - peer->last_contact_ms;
  member->up = self || (peer->link && peer->last_contact_ms != 0 &&
                        member->last_contact_ms < node->options.election_timeout_ms);
}

/* NULL while writes have where to go: this leader's storage, and that of a majority of the voters. One that
 * is out of contact counts for none once another is full: what was taken could not be committed. */
static const char *disk_full(struct node *node, const struct coracle_raft_status *status) {
  size_t voters = 0, roomy = 0, full = 0, n = 0;
  bool self_full = false;
  node->disk_full[0] = '\0';
  for (size_t i = 0; i < status->peers_n; i++) {
    const struct api_member *member = &node->members[i];
    const bool is_full = member->storage == API_STORAGE_FULL;
    if (member->self && is_full) self_full = true;
    if (!member->voter) continue;
    voters++;
    if (!is_full && (member->self || status->peers[i].link)) roomy++;
    if (!is_full) continue;
    n += (size_t)snprintf(node->disk_full + n, sizeof node->disk_full - n, "%s%s",
                          full++ == 0 ? "There is no room for writes on the disk of " : ", ", member->name);
  }
  if (full == 0 || (!self_full && roomy > voters / 2)) return NULL;
  snprintf(node->disk_full + n, sizeof node->disk_full - n,
           "; make some there. Reads go on, and so do writes by themselves when there is room.");
  return node->disk_full;
}

static void fill_view(struct node *node, struct api_view *view) {
  struct join_situation situation;
  consensus_situation(node, &situation);
  refresh_texts(node, &situation.raft, situation.configuration);
  *view = (struct api_view){.now_ms = node->now_ms,
                            .wall_ms = node->wall_ms,
                            .uptime_ms = node->now_ms - node->started_ms,
                            .founded_wall_ms = node->founded_wall_ms,
                            .id = join_id(node->join),
                            .name = node->name,
                            .has_cluster = node->member,
                            .role = situation.raft.role,
                            .term = situation.raft.term,
                            .commit = situation.raft.commit_index,
                            .applied = replica_applied(node->replica),
                            .members = node->members,
                            .members_n = situation.raft.peers_n,
                            .storage = own_storage(node),
                            .committed_own_term = situation.raft.committed_own_term,
                            .freshness_known = situation.raft.fresh_ms != 0};
  if (view->freshness_known && view->now_ms > situation.raft.fresh_ms)
    view->staleness_ms = view->now_ms - situation.raft.fresh_ms;
  memcpy(view->cluster, join_cluster(node->join), sizeof view->cluster);
  for (size_t i = 0; i < situation.raft.peers_n; i++) {
    fill_member(node, &situation.raft, i, &node->members[i]);
    if (situation.raft.hears_leader && node->members[i].id == situation.raft.leader && !node->stopping) {
      view->leader = &node->members[i];
      view->leader_linked = node->leader_stream != NULL && node->leader_stream->peer == node->members[i].id;
    }
  }
  if (situation.raft.role == CORACLE_RAFT_LEADER)
    view->writes_stopped = join_writes_stopped(node->join, &situation);
  if (situation.raft.role == CORACLE_RAFT_LEADER) view->disk_full = disk_full(node, &situation.raft);
  if (view->leader != NULL)
    view->leader_token = join_leader_token(node->join, view->leader->id);
  else
    view->no_leader_reason = node->stopping ? "this node is stopping; ask another one"
                                            : join_no_leader_reason(node->join, &situation, node->now_ms);
}

const struct api_view *node_view(struct node *node) {
  if (!node->view_valid) fill_view(node, &node->view);
  node->view_valid = true;
  return &node->view;
}
