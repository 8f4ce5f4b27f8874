/* What servers do, in words. */
#include "scenario.h"

#include <inttypes.h>
#include <stdio.h>

/* ---- Messages ---- */

static void write_vote_request(struct bytes *out, const struct coracle_raft_message *m) {
  bytes_printf(out, "%s? term %" PRIu64 ", log to %" PRIu64 ".%" PRIu64 "%s",
               m->vote_request.pre ? "pre-vote" : "vote", m->term, m->vote_request.last_index,
               m->vote_request.last_term, m->vote_request.transfer ? ", the leader wants it" : "");
}

static void write_append(struct bytes *out, const struct coracle_raft_message *m) {
  bytes_printf(out, "append term %" PRIu64 " after %" PRIu64 ".%" PRIu64 ":", m->term,
               m->append.previous_index, m->append.previous_term);
  for (size_t i = 0; i < m->append.entries_n; i++) {
    bytes_append_string(out, i > 0 ? ", " : " ");
    write_entry(out, m->append.entries[i]);
  }
  if (m->append.entries_n == 0) bytes_append_string(out, " nothing");
  bytes_printf(out, "; commit %" PRIu64, m->append.commit);
}

static void write_append_reply(struct bytes *out, const struct coracle_raft_message *m) {
  bytes_printf(out, "append-reply term %" PRIu64 ": ", m->term);
  if (m->append_reply.success)
    bytes_printf(out, "has %" PRIu64, m->append_reply.match);
  else if (m->append_reply.conflict_index == 0)
    bytes_append_string(out, "no");
  else if (m->append_reply.conflict_term == 0)
    bytes_printf(out, "no %" PRIu64 ", it ends before %" PRIu64, m->append_reply.previous_index,
                 m->append_reply.conflict_index);
  else
    bytes_printf(out, "not that %" PRIu64 ", term %" PRIu64 " begins at %" PRIu64,
                 m->append_reply.previous_index, m->append_reply.conflict_term,
                 m->append_reply.conflict_index);
}

static void write_snapshot(struct bytes *out, const struct coracle_raft_message *m) {
  const struct coracle_raft_snapshot *snapshot = m->snapshot.snapshot;
  bytes_printf(out, "snapshot to %" PRIu64 ".%" PRIu64 " ", snapshot->index, snapshot->term);
  write_members(out, &snapshot->configuration);
  if (m->snapshot.n == 0)
    bytes_printf(out, ", %" PRIu64 " bytes: offered", snapshot->bytes);
  else
    bytes_printf(out, ", bytes %" PRIu64 " to %" PRIu64 " of %" PRIu64, m->snapshot.offset,
                 m->snapshot.offset + m->snapshot.n, snapshot->bytes);
}

void trace_message(struct bytes *out, const struct coracle_raft_message *m) {
  bytes_printf(out, "%" PRIu64 "->%" PRIu64 " ", m->from, m->to);
  switch ((enum coracle_raft_message_type)m->type) {
  case CORACLE_RAFT_VOTE_REQUEST:
    write_vote_request(out, m);
    break;
  case CORACLE_RAFT_VOTE_REPLY:
    bytes_printf(out, "%s: %s, term %" PRIu64, m->vote_reply.pre ? "pre-vote" : "vote",
                 m->vote_reply.granted ? "yes" : "no", m->term);
    break;
  case CORACLE_RAFT_HEARTBEAT:
    bytes_printf(out, "heartbeat term %" PRIu64 ", commit %" PRIu64, m->term, m->heartbeat.commit);
    break;
  case CORACLE_RAFT_HEARTBEAT_REPLY:
    bytes_printf(out, "heartbeat-reply term %" PRIu64, m->term);
    break;
  case CORACLE_RAFT_APPEND:
    write_append(out, m);
    break;
  case CORACLE_RAFT_APPEND_REPLY:
    write_append_reply(out, m);
    break;
  case CORACLE_RAFT_READ_REQUEST:
    bytes_printf(out, "read? term %" PRIu64, m->term);
    break;
  case CORACLE_RAFT_READ_REPLY:
    bytes_printf(out, "read: from %" PRIu64 " on, term %" PRIu64, m->read_reply.index, m->term);
    break;
  case CORACLE_RAFT_TIMEOUT_NOW:
    bytes_printf(out, "timeout-now term %" PRIu64, m->term);
    break;
  case CORACLE_RAFT_SNAPSHOT:
    write_snapshot(out, m);
    break;
  case CORACLE_RAFT_SNAPSHOT_REPLY:
    bytes_printf(out, "snapshot-reply to %" PRIu64 ".%" PRIu64 ": has %" PRIu64 " bytes",
                 m->snapshot_reply.index, m->snapshot_reply.term, m->snapshot_reply.offset);
    break;
  }
}

/* ---- A step ---- */

/* One line about a server. */
__attribute__((format(printf, 3, 4))) static void say(struct scenario *s, uint64_t id, const char *format,
                                                      ...) {
  char text[200];
  va_list list;
  va_start(list, format);
  vsnprintf(text, sizeof text, format, list);
  va_end(list);
  bytes_printf(&s->out, "  %" PRIu64 " %s\n", id, text);
}

static const char *reason_of(enum coracle_raft_step_down reason) {
  switch (reason) {
  case CORACLE_RAFT_NO_QUORUM:
    return "a majority does not answer";
  case CORACLE_RAFT_DISK_STALLED:
    return "its disk hangs";
  case CORACLE_RAFT_COMMIT_STALLED:
    return "nothing is acknowledged";
  case CORACLE_RAFT_REMOVED:
    return "it is removed";
  case CORACLE_RAFT_NEWER_TERM:
  case CORACLE_RAFT_NOT_STEPPED_DOWN:
    break;
  }
  return "a newer term";
}

static void say_follower(struct scenario *s, uint64_t id, const struct coracle_raft_status *before,
                         const struct coracle_raft_status *after) {
  if (before->role == CORACLE_RAFT_LEADER)
    say(s, id, "steps down in term %" PRIu64 ": %s", after->term, reason_of(after->stepped_down));
  else if (before->role != CORACLE_RAFT_FOLLOWER && after->leader == 0 &&
           after->voted_for == before->voted_for)
    say(s, id, "gives up, in term %" PRIu64, after->term);
  else if (after->term != before->term && after->leader == 0)
    say(s, id, "is in term %" PRIu64, after->term);
  if (after->leader != 0 && (after->leader != before->leader || after->term != before->term))
    say(s, id, "follows %" PRIu64 " in term %" PRIu64, after->leader, after->term);
}

static void say_role(struct scenario *s, uint64_t id, const struct coracle_raft_status *before,
                     const struct coracle_raft_status *after) {
  const bool changed = before->role != after->role || before->term != after->term;
  switch (after->role) {
  case CORACLE_RAFT_FOLLOWER:
    say_follower(s, id, before, after);
    break;
  case CORACLE_RAFT_PRE_CANDIDATE:
    if (changed) say(s, id, "asks whether it could win term %" PRIu64, after->term + 1);
    break;
  case CORACLE_RAFT_CANDIDATE:
    if (changed) say(s, id, "is a candidate in term %" PRIu64, after->term);
    break;
  case CORACLE_RAFT_LEADER:
    if (changed) say(s, id, "leads term %" PRIu64, after->term);
    break;
  }
  if (!s->brief && after->voted_for != 0 && after->voted_for != id &&
      (after->voted_for != before->voted_for || after->term != before->term))
    say(s, id, "votes for %" PRIu64 " in term %" PRIu64, after->voted_for, after->term);
}

static void say_log(struct scenario *s, uint64_t id, const struct coracle_raft_persist *persist) {
  if (persist->truncate_from != 0) say(s, id, "truncates from %" PRIu64, persist->truncate_from);
  struct bytes text = {0};
  for (size_t i = 0; i < persist->entries_n; i++) {
    if (s->brief && persist->entries[i]->type != CORACLE_RAFT_CONFIGURATION) continue;
    bytes_append_string(&text, text.n > 0 ? ", " : "");
    write_entry(&text, persist->entries[i]);
  }
  if (text.n > 0) say(s, id, "appends %.*s", (int)text.n, (const char *)text.data);
  bytes_close(&text);
  if (persist->chunk.snapshot == NULL) return;
  const uint64_t index = persist->chunk.snapshot->index;
  if (!s->brief)
    say(s, id, "stores bytes %" PRIu64 " to %" PRIu64 " of the image to %" PRIu64, persist->chunk.offset,
        persist->chunk.offset + persist->chunk.n, index);
  if (persist->chunk.installs)
    say(s, id, "installs the image to %" PRIu64 ", and %s its log after it", index,
        persist->chunk.keep_log ? "keeps" : "drops");
}

static void say_rest(struct scenario *s, uint64_t id, const struct coracle_raft_status *before,
                     const struct coracle_raft_status *after, const struct coracle_raft_effects *effects) {
  if (after->commit_index > before->commit_index) say(s, id, "commits %" PRIu64, after->commit_index);
  for (size_t i = 0; i < effects->reads_n; i++) {
    const struct coracle_raft_read *read = &effects->reads[i];
    if (read->failed)
      say(s, id, "fails read %" PRIu64, read->read);
    else
      say(s, id, "answers read %" PRIu64 ", as of %" PRIu64, read->read, read->index);
  }
  if (after->blocked_by != 0 && after->blocked_by != before->blocked_by)
    say(s, id, "promotes nobody while %" PRIu64 " is out of contact", after->blocked_by);
  if (s->brief) return;
  for (size_t i = 0; i < effects->chunk_requests_n; i++)
    say(s, id, "reads its image to %" PRIu64 " from byte %" PRIu64 " on", effects->chunk_requests[i].index,
        effects->chunk_requests[i].offset);
  if (after->counters.dropped_stale > before->counters.dropped_stale) say(s, id, "drops it: stale");
  if (after->counters.dropped_invalid > before->counters.dropped_invalid) say(s, id, "drops it: invalid");
  if (after->counters.dropped_stranger > before->counters.dropped_stranger)
    say(s, id, "drops it: from a stranger");
}

static void say_messages(struct scenario *s, const struct server *server,
                         const struct coracle_raft_effects *effects) {
  for (size_t i = 0; i < effects->messages_n; i++) {
    const struct coracle_raft_message *message = &effects->messages[i];
    const bool told_later = (message->from == s->talking[0] && message->to == s->talking[1]) ||
                            (message->from == s->talking[1] && message->to == s->talking[0]);
    if (told_later) continue;
    bytes_append_string(&s->out, "  ");
    trace_message(&s->out, message);
    if (server->disk_held && message->after_sequence > server->durable_sequence)
      bytes_append_string(&s->out, " (when it is durable)");
    bytes_append_string(&s->out, "\n");
  }
}

void trace_step(void *scenario, const struct cluster *c, const struct server *server,
                const struct coracle_raft_event *event, const struct coracle_raft_status *before,
                const struct coracle_raft_effects *effects) {
  struct scenario *s = scenario;
  (void)c;
  if (event->type == CORACLE_RAFT_START && event->start.restored != NULL) return; /* it is as it was */
  if (!s->brief && event->type == CORACLE_RAFT_RECEIVE) {
    trace_message(&s->out, event->message);
    bytes_append_string(&s->out, "\n");
  }
  size_t before_n = s->out.n;
  say_role(s, server->id, before, &server->status);
  say_log(s, server->id, &effects->persist);
  say_rest(s, server->id, before, &server->status, effects);
  if (!s->brief) say_messages(s, server, effects);
  if (!s->brief && event->type == CORACLE_RAFT_RECEIVE && s->out.n == before_n && effects->messages_n == 0)
    bytes_append_string(&s->out, "  nothing comes of it\n");
}

/* ---- On demand ---- */

static const char *role_name(enum coracle_raft_role role) {
  switch (role) {
  case CORACLE_RAFT_PRE_CANDIDATE:
    return "pre-candidate";
  case CORACLE_RAFT_CANDIDATE:
    return "candidate";
  case CORACLE_RAFT_LEADER:
    return "leader";
  case CORACLE_RAFT_FOLLOWER:
    break;
  }
  return "follower";
}

static uint64_t last_term(const struct scenario *s, const struct server *server) {
  const struct coracle_raft_snapshot *snapshot = coracle_raft_snapshot(server->raft);
  if (server->status.last_index == snapshot->index) return snapshot->term;
  return cluster_term_at(s->cluster, server->id, server->status.last_index);
}

void trace_status(struct scenario *s, uint64_t id) {
  const struct server *server = cluster_server(s->cluster, id);
  const struct coracle_raft_status *status = &server->status;
  if (server->raft == NULL) {
    say(s, id, "is down; on its disk: term %" PRIu64 ", vote %" PRIu64 ", log to %" PRIu64,
        server->durable_term, server->durable_vote, cluster_durable_last(server));
    return;
  }
  bytes_printf(&s->out, "  %" PRIu64 " %s", id, role_name(status->role));
  if (status->role == CORACLE_RAFT_FOLLOWER && status->leader != 0)
    bytes_printf(&s->out, " of %" PRIu64, status->leader);
  bytes_printf(
      &s->out, ", term %" PRIu64 ", vote %" PRIu64 ", log to %" PRIu64 ".%" PRIu64 ", commit %" PRIu64 ", ",
      status->term, status->voted_for, status->last_index, last_term(s, server), status->commit_index);
  write_members(&s->out, coracle_raft_latest_configuration(server->raft));
  bytes_append_string(&s->out, "\n");
}

void trace_log(struct scenario *s, uint64_t id) {
  const struct server *server = cluster_server(s->cluster, id);
  const struct coracle_raft_snapshot *snapshot = coracle_raft_snapshot(server->raft);
  bool first = true;
  bytes_printf(&s->out, "  %" PRIu64 " has ", id);
  if (snapshot->index > 0) {
    bytes_printf(&s->out, "image to %" PRIu64 ".%" PRIu64 " ", snapshot->index, snapshot->term);
    write_members(&s->out, &snapshot->configuration);
    first = false;
  }
  for (uint64_t i = server->status.first_index; i <= server->status.last_index; i++) {
    bytes_append_string(&s->out, first ? "" : ", ");
    write_entry(&s->out, coracle_raft_entry_at(server->raft, i));
    first = false;
  }
  bytes_append_string(&s->out, first ? "nothing\n" : "\n");
}
