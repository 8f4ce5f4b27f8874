/* The commands about disks, and about servers that have nothing else left. */
#include "scenario.h"

#include <stdlib.h>

void scenario_say_letters(struct scenario *s, const struct letters *letters) {
  for (size_t i = 0; i < letters->n; i++) {
    bytes_append_string(&s->out, "  ");
    trace_message(&s->out, &letters->at[i]->message);
    bytes_append_string(&s->out, "\n");
  }
}

/* A held disk is done with its first writes, or all; tells which messages may go at last. */
static void sync_held(struct scenario *s, uint64_t id, uint64_t sequence) {
  struct server *server = cluster_server(s->cluster, id);
  struct letters leaving = {0};
  for (size_t i = 0; i < server->held.n; i++) {
    struct letter *letter = server->held.at[i];
    if (letter->message.after_sequence > sequence) continue;
    leaving.at = realloc(leaving.at, (leaving.n + 1) * sizeof(struct letter *));
    assert_non_null(leaving.at);
    leaving.at[leaving.n++] = letter;
  }
  scenario_say_letters(s, &leaving); /* before they can arrive anywhere */
  free(leaving.at);
  cluster_sync_to(s->cluster, id, sequence);
}

/* Whatever a command made them write is durable at once, on disks that are not held. */
void scenario_sync_others(struct scenario *s) {
  struct cluster *c = s->cluster;
  for (bool again = true; again;) {
    again = false;
    for (uint64_t id = 1; c != NULL && id <= c->servers_n; id++) {
      const struct server *server = cluster_server(c, id);
      if (server->raft == NULL || server->disk_held || server->writes.n == 0) continue;
      cluster_sync(c, id);
      again = true;
    }
  }
}

bool scenario_hold(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  cluster_hold_disk(s->cluster, id, true);
  return true;
}

static uint64_t last_write(const struct server *server) {
  const struct disk_write *write = queue_at((struct queue *)(uintptr_t)&server->writes, server->writes.n - 1);
  return write->sequence;
}

/* sync ID [one] */
bool scenario_sync(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  struct server *server = cluster_server(s->cluster, id);
  if (server->writes.n == 0) return scenario_wrong(s, "its disk has nothing to do");
  const struct disk_write *first = queue_at(&server->writes, 0);
  sync_held(s, id, word_is(words, 2, "one") ? first->sequence : last_write(server));
  return true;
}

bool scenario_release(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_running(s, words, 1, &id)) return false;
  const struct server *server = cluster_server(s->cluster, id);
  if (server->writes.n > 0) sync_held(s, id, last_write(server));
  cluster_hold_disk(s->cluster, id, false);
  return true;
}

/* crash ID [after WRITES] */
bool scenario_crash(struct scenario *s, const struct words *words) {
  uint64_t id, writes = 0;
  if (!word_running(s, words, 1, &id)) return false;
  if (word_is(words, 2, "after") && !word_number(s, words, 3, &writes)) return false;
  cluster_crash_after(s->cluster, id, writes);
  return true;
}

bool scenario_restart(struct scenario *s, const struct words *words) {
  uint64_t id;
  if (!word_server(s, words, 1, &id)) return false;
  if (cluster_server(s->cluster, id)->raft != NULL) return scenario_wrong(s, "it runs");
  cluster_restart(s->cluster, id);
  trace_status(s, id);
  return true;
}
