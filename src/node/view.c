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
    address_format(&info.http, text->http);
  }
}

static void fill_member(const struct node *node, const struct coracle_raft_status *status, size_t i,
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
                                .up_known = self || leads};
  member->last_contact_ms =
      self || peer->last_contact_ms > node->now_ms ? 0 : node->now_ms - peer->last_contact_ms;
  member->up = self || (peer->link && peer->last_contact_ms != 0 &&
                        member->last_contact_ms < node->options.election_timeout_ms);
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
