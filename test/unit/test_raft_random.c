/* Goal: whatever a network, disks and crashes do in whatever order, the invariants of raft_history.h hold at
 * every step, and once things are well again the cluster is whole: one leader, every server that lives a
 * voter, all logs equal.
 *
 * Each run is its seed. Servers found and join in the middle of it all; datagrams are lost, doubled and late,
 * streams cut, links blocked one way, disks slow, reads asked for anywhere, snapshots
 * taken and older images lost by anybody. Servers crash and start again with
 * what was durable, any number of them at a time. Others crash for good, as with memory storage, and are
 * removed and replaced under a new id, but nobody does who is needed for a majority: memory storage cannot
 * survive that. Some are removed alive and go on as they were. */
#include "raft_cluster.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SEEDS = 400, EVENTS = 20000, CRASHES_MAX = 6, REMOVALS_MAX = 2, HEALED_TIMEOUTS = 60 };
enum { UNDERWAY_MAX = 60 }; /* datagrams; where there are more the oldest are lost */

struct run {
  struct cluster *c;
  struct random random;
  uint64_t loss, doubling; /* per cent */
  size_t crashes, restarts, removals;
  bool removed[SERVERS_MAX + 1]; /* taken out alive: by id */
  bool down[SERVERS_MAX + 1];    /* crashed, and will start again: by id */
};

/* What all runs together must have seen, or they test nothing. */
struct totals {
  uint64_t terms, commits, truncations, crashes, restarts, removals, reads, transfers, self_removals;
  uint64_t installations;
};

static uint64_t below(struct run *r, uint64_t limit) {
  return random_below(&r->random, limit);
}

static bool per_cent(struct run *r, uint64_t n) {
  return below(r, 100) < n;
}

static struct server *any_server(struct run *r) {
  struct server *server = r->c->servers[below(r, r->c->servers_n)];
  return server->raft != NULL ? server : NULL;
}

/* ---- Who may go ---- */

static bool alive(const struct run *r, uint64_t id) {
  return cluster_server(r->c, id)->raft != NULL;
}

/* It runs, or will again with what was durable. */
static bool exists(const struct run *r, uint64_t id) {
  return alive(r, id) || r->down[id];
}

static bool any_is_down(const struct run *r) {
  for (uint64_t id = 1; id <= r->c->servers_n; id++)
    if (r->down[id]) return true;
  return false;
}

static bool majority_lives(const struct run *r, const struct coracle_raft_configuration *configuration,
                           uint64_t without) {
  uint32_t living = 0;
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    living += member->voter && member->id != without && alive(r, member->id);
  }
  return configuration->members_n == 0 || living > coracle_raft_configuration_voters(configuration) / 2;
}

/* No living server counts it in any more. */
static bool is_out(const struct run *r, uint64_t id) {
  for (uint64_t other = 1; other <= r->c->servers_n; other++)
    if (other != id && alive(r, other) && cluster_is_voter(r->c, other, id)) return false;
  return true;
}

/* Configurations that are underway, perhaps from a leader that is dead by now, will be in somebody's log
 * soon. */
static bool majorities_underway_live(const struct run *r, uint64_t without) {
  for (size_t i = 0; i < r->c->streams_n; i++) {
    const struct letters *letters = &r->c->streams[i]->to[AT_FOLLOWER];
    for (size_t k = 0; k < letters->n; k++) {
      const struct coracle_raft_message *append = &letters->at[k]->message;
      if (append->type == CORACLE_RAFT_SNAPSHOT &&
          !majority_lives(r, &append->snapshot.snapshot->configuration, without))
        return false;
      if (append->type != CORACLE_RAFT_APPEND) continue;
      for (size_t n = 0; n < append->append.entries_n; n++) {
        const struct coracle_raft_entry *entry = append->append.entries[n];
        struct coracle_raft_configuration configuration;
        if (entry->type == CORACLE_RAFT_CONFIGURATION &&
            coracle_raft_configuration_decode(entry->data, entry->bytes, &configuration) == 0 &&
            !majority_lives(r, &configuration, without))
          return false;
      }
    }
  }
  return true;
}

/* By the configuration that a server goes by, and by the one that it would go back to. */
static bool majorities_live(const struct run *r, uint64_t of, uint64_t without) {
  const struct server *server = cluster_server(r->c, of);
  const struct coracle_raft_configuration *latest = coracle_raft_latest_configuration(server->raft);
  for (uint64_t index = server->status.configuration_index;
       index > 1 && !server->status.configuration_committed;) {
    const struct coracle_raft_entry *entry = coracle_raft_entry_at(server->raft, --index);
    struct coracle_raft_configuration earlier;
    if (entry == NULL) /* it is in the snapshot */
      return majority_lives(r, &coracle_raft_snapshot(server->raft)->configuration, without) &&
             majority_lives(r, latest, without);
    if (entry->type != CORACLE_RAFT_CONFIGURATION ||
        coracle_raft_configuration_decode(entry->data, entry->bytes, &earlier) != 0)
      continue;
    if (!majority_lives(r, &earlier, without)) return false;
    if (index <= server->status.commit_index) break;
  }
  return majority_lives(r, latest, without);
}

/* In the eyes of everybody who has a part in it. */
static bool may_crash(const struct run *r, uint64_t id) {
  for (uint64_t other = 1; other <= r->c->servers_n; other++)
    if (alive(r, other) && (other == id || !is_out(r, other)) && !majorities_live(r, other, id)) return false;
  return majorities_underway_live(r, id) && cluster_server(r->c, id)->status.term > 0;
}

static void crash(struct run *r) {
  const struct server *server = any_server(r);
  if (r->crashes == CRASHES_MAX || server == NULL || any_is_down(r) || !may_crash(r, server->id)) return;
  r->crashes++;
  cluster_crash(r->c, server->id);
  cluster_add(r->c); /* its successor, under a new id */
}

/* The power fails: writes that nobody heard the end of may have been done, the first ones first. */
static void power_off(struct run *r, uint64_t id) {
  cluster_crash_after(r->c, id, below(r, cluster_server(r->c, id)->writes.n + 1));
  r->down[id] = true;
}

static void power_on(struct run *r, uint64_t id) {
  r->down[id] = false;
  r->restarts++;
  cluster_restart(r->c, id);
}

static void switch_power(struct run *r) {
  const uint64_t id = 1 + below(r, r->c->servers_n);
  if (r->down[id])
    power_on(r, id);
  else if (alive(r, id) && per_cent(r, 40) && cluster_server(r->c, id)->durable_term > 0)
    power_off(r, id); /* not before the founding is durable: nothing would be left to join */
}

/* ---- What join/ would do: the dead go, the new come in ---- */

static bool change_members(struct run *r, const struct server *leader) {
  struct coracle_raft_configuration next = *coracle_raft_latest_configuration(leader->raft);
  for (uint32_t i = 0; i < next.members_n; i++) {
    if (exists(r, next.members[i].id)) continue;
    next.members[i] = next.members[--next.members_n];
    return cluster_change(r->c, leader->id, &next) == 0;
  }
  const uint32_t members_n = next.members_n;
  for (uint64_t id = 1; id <= r->c->servers_n && next.members_n < CORACLE_RAFT_MEMBERS_MAX; id++)
    if (exists(r, id) && !r->removed[id] && coracle_raft_configuration_find(&next, id) == NULL)
      next.members[next.members_n++] = (struct coracle_raft_member){.id = id};
  return next.members_n > members_n && cluster_change(r->c, leader->id, &next) == 0;
}

static void administer(struct run *r) {
  for (size_t i = 0; i < r->c->servers_n; i++) {
    const struct server *server = r->c->servers[i];
    if (server->raft != NULL && server->status.role == CORACLE_RAFT_LEADER) change_members(r, server);
  }
}

/* Takes out a voter that lives, perhaps the leader itself, where all others live too. */
static void remove_living(struct run *r) {
  const uint64_t id = cluster_leader(r->c);
  const struct server *leader = id != 0 ? cluster_server(r->c, id) : NULL, *other = any_server(r);
  if (leader == NULL || other == NULL) return;
  const struct coracle_raft_configuration *latest = coracle_raft_latest_configuration(leader->raft);
  if (r->removals == REMOVALS_MAX || coracle_raft_configuration_voters(latest) < 3) return;
  for (uint32_t i = 0; i < latest->members_n; i++)
    if (!alive(r, latest->members[i].id)) return;
  if (!cluster_is_voter(r->c, leader->id, other->id)) return;
  if (cluster_remove_member(r->c, leader->id, other->id) != 0) return;
  r->removed[other->id] = true;
  r->removals++;
  cluster_add(r->c);
}

/* ---- One event ---- */

static void pass_time(struct run *r) {
  r->c->now_ms += 1 + below(r, per_cent(r, 10) ? 200 : 30);
  for (size_t i = 0; i < r->c->servers_n; i++) {
    const struct server *server = r->c->servers[i];
    if (server->raft != NULL && server->wakeup_ms <= r->c->now_ms && per_cent(r, 95))
      assert_int_equal(cluster_timeout(r->c, server->id), 0);
  }
}

static void move_datagram(struct run *r) {
  if (r->c->datagrams.n == 0) return;
  while (r->c->datagrams.n > UNDERWAY_MAX) cluster_drop_datagram(r->c, 0);
  size_t i = below(r, r->c->datagrams.n);
  if (per_cent(r, r->loss))
    cluster_drop_datagram(r->c, i);
  else
    cluster_deliver_datagram(r->c, i, per_cent(r, r->doubling));
}

static void move_stream(struct run *r) {
  if (r->c->streams_n == 0) return;
  struct stream *stream = r->c->streams[below(r, r->c->streams_n)];
  enum side side = per_cent(r, 50) ? AT_LEADER : AT_FOLLOWER;
  if (!stream->told[side]) return;
  if (stream->to[side].n > 0)
    cluster_deliver_stream(r->c, stream, side);
  else if (stream->cut)
    cluster_tell_end(r->c, stream, side);
}

static void cut_stream(struct run *r) {
  if (r->c->streams_n == 0) return;
  const struct stream *stream = r->c->streams[below(r, r->c->streams_n)];
  cluster_cut(r->c, stream->leader, stream->follower);
}

static void work_disk(struct run *r) {
  const struct server *server = any_server(r);
  if (server == NULL || server->writes.n == 0) return;
  const struct disk_write *write = queue_at(&server->writes, below(r, server->writes.n));
  cluster_sync_to(r->c, server->id, write->sequence);
}

static void snapshot(struct run *r) {
  const struct server *server = any_server(r);
  if (server == NULL) return;
  if (per_cent(r, 5)) {
    cluster_forget_images(r->c, server->id, 1);
    return;
  }
  int error = cluster_snapshot(r->c, server->id);
  assert_true(error == 0 || error == CORACLE_RAFT_EBUSY || error == CORACLE_RAFT_EINVALID);
}

static void propose(struct run *r) {
  const struct server *server = any_server(r);
  const bool leads = server != NULL && server->status.role == CORACLE_RAFT_LEADER; /* perhaps an old one */
  uint64_t id = leads || (per_cent(r, 10) && server != NULL) ? server->id : cluster_leader(r->c);
  if (id == 0) return;
  int error = cluster_propose(r->c, id, below(r, 300));
  assert_true(error == 0 || error == CORACLE_RAFT_ENOTLEADER || error == CORACLE_RAFT_EBUSY);
}

static void read_somewhere(struct run *r) {
  const struct server *server = any_server(r);
  uint64_t read;
  if (server == NULL) return;
  int error = cluster_read(r->c, server->id, &read);
  assert_true(error == 0 || error == CORACLE_RAFT_ENOTLEADER || error == CORACLE_RAFT_EBUSY);
}

static void transfer(struct run *r) {
  const uint64_t leader = cluster_leader(r->c), target = 1 + below(r, r->c->servers_n);
  if (leader == 0) return;
  int error = cluster_transfer(r->c, leader, target);
  assert_true(error == 0 || error == CORACLE_RAFT_EINVALID || error == CORACLE_RAFT_EBUSY);
}

static void change_network(struct run *r) {
  const uint64_t leader = cluster_leader(r->c);
  if (per_cent(r, 40)) {
    cluster_heal(r->c);
  } else if (per_cent(r, 50) && leader != 0) {
    cluster_isolate(r->c, leader);
  } else {
    uint64_t a = 1 + below(r, r->c->servers_n), b = 1 + below(r, r->c->servers_n);
    if (a == b)
      cluster_isolate(r->c, a);
    else
      cluster_block(r->c, a, b, true);
  }
}

static void event(struct run *r) {
  const struct server *server = any_server(r);
  uint64_t dice = below(r, 1000);
  cluster_sweep_streams(r->c);
  if (dice < 450) {
    move_datagram(r);
  } else if (dice < 680) {
    move_stream(r);
  } else if (dice < 798) {
    work_disk(r);
  } else if (dice < 818) {
    if (server != NULL) cluster_answer_chunk(r->c, server->id);
  } else if (dice < 820) {
    snapshot(r);
  } else if (dice < 920) {
    pass_time(r);
  } else if (dice < 935) {
    propose(r);
  } else if (dice < 945) {
    read_somewhere(r);
  } else if (dice < 965) {
    cluster_open_any(r->c);
  } else if (dice < 977) {
    administer(r);
  } else if (dice < 980) {
    cut_stream(r);
  } else if (dice < 981) {
    transfer(r);
  } else if (dice < 989) {
    if (server != NULL) assert_int_equal(cluster_campaign(r->c, server->id), 0);
  } else if (dice < 992) {
    if (server != NULL) assert_int_equal(cluster_timeout(r->c, server->id), 0); /* too early */
  } else if (dice < 995) {
    change_network(r);
  } else if (dice < 997) {
    switch_power(r);
  } else if (dice < 998) {
    crash(r);
  } else {
    remove_living(r);
  }
}

/* ---- Whole runs ---- */

static bool is_whole(struct run *r, uint64_t leader) {
  if (leader == 0) return false;
  for (uint64_t id = 1; id <= r->c->servers_n; id++)
    if (cluster_is_voter(r->c, leader, id)) r->removed[id] = false; /* the removal was lost with its leader */
  for (uint64_t id = 1; id <= r->c->servers_n; id++)
    if (cluster_is_voter(r->c, leader, id) != (alive(r, id) && !r->removed[id])) return false;
  return true;
}

/* All is well again: the cluster becomes whole, agrees, and then stays as it is. */
static void heal(struct run *r) {
  const uint64_t deadline_ms = r->c->now_ms + HEALED_TIMEOUTS * ELECTION_TIMEOUT_MS;
  cluster_heal(r->c);
  for (uint64_t id = 1; id <= r->c->servers_n; id++)
    if (r->down[id]) power_on(r, id);
  while (!is_whole(r, cluster_leader(r->c))) {
    CLUSTER_CHECK(r->c, r->c->now_ms < deadline_ms, "not whole again: server %d leads",
                  (int)cluster_leader(r->c));
    administer(r);
    cluster_run(r->c, 10);
  }
  uint64_t leader = cluster_converge(r->c, 10), term = cluster_server(r->c, leader)->status.term;
  assert_int_equal(cluster_propose(r->c, leader, 100), 0);
  cluster_run(r->c, 5 * ELECTION_TIMEOUT_MS);
  CLUSTER_CHECK(r->c,
                cluster_converge(r->c, 1) == leader && cluster_server(r->c, leader)->status.term == term,
                "the leader changes for no reason");
  CLUSTER_CHECK(r->c, cluster_reads_waiting(r->c) == 0, "a read has no outcome");
}

static void check_logs_are_equal(const struct run *r) {
  uint64_t leader = cluster_leader(r->c);
  const struct coracle_raft_status *status = &cluster_server(r->c, leader)->status;
  for (uint64_t id = 1; id <= r->c->servers_n; id++) {
    if (!alive(r, id) || r->removed[id]) continue;
    const struct coracle_raft_status *own = &cluster_server(r->c, id)->status;
    const uint64_t first = own->first_index > status->first_index ? own->first_index : status->first_index;
    for (uint64_t index = first; index <= status->last_index; index++)
      CLUSTER_CHECK(r->c, cluster_term_at(r->c, id, index) == cluster_term_at(r->c, leader, index),
                    "server %d differs at index %d", (int)id, (int)index);
  }
}

static void run_seed(uint64_t seed, size_t servers, struct totals *totals) {
  struct run run = {.random.state = ~seed}, *r = &run;
  r->loss = below(r, 31);
  r->doubling = below(r, 51);
  const struct cluster_options options = {.seed = seed,
                                          .append_bytes_max = 400,
                                          .inflight_bytes_max = 1000,
                                          .uncommitted_bytes_max = 20000,
                                          .trailing_bytes = seed % 3 == 0 ? 1 : 800,
                                          .chunk_bytes_max = 100,
                                          .image_bytes_max = 1000};
  if (seed % 4 != 0) {
    r->c = cluster_with(servers, &options);
  } else { /* they have yet to come together */
    r->c = cluster_new(&options);
    cluster_found(r->c);
    while (r->c->servers_n < servers) cluster_add(r->c);
  }
  for (size_t i = 0; i < EVENTS; i++) event(r);
  heal(r);
  check_logs_are_equal(r);

  const struct coracle_raft_status *status = &cluster_server(r->c, cluster_leader(r->c))->status;
  totals->terms += status->term;
  totals->commits += status->commit_index;
  totals->truncations += r->c->truncations;
  totals->installations += r->c->installations;
  totals->crashes += r->crashes;
  totals->restarts += r->restarts;
  totals->removals += r->removals;
  totals->reads += r->c->reads_ready;
  totals->transfers += r->c->transfers;
  totals->self_removals += r->c->step_downs[CORACLE_RAFT_REMOVED];
  cluster_free(r->c);
}

static void run_seeds(size_t servers) {
  struct totals totals = {0};
  const char *only = getenv("CORACLE_TEST_SEED"); /* one run again, with a debugger */
  if (only != NULL) {
    run_seed(strtoull(only, NULL, 10), servers, &totals);
    return;
  }
  for (uint64_t seed = 1; seed <= SEEDS; seed++) run_seed(seed, servers, &totals);
  print_message("%d terms, %d entries, %d truncations, %d crashes, %d restarts, %d removed alive, %d of them "
                "leaders, %d reads, %d transfers, %d installations\n",
                (int)totals.terms, (int)totals.commits, (int)totals.truncations, (int)totals.crashes,
                (int)totals.restarts, (int)totals.removals, (int)totals.self_removals, (int)totals.reads,
                (int)totals.transfers, (int)totals.installations);
  assert_true(totals.terms > 3 * SEEDS);
  assert_true(totals.commits > 30 * SEEDS);
  assert_true(totals.truncations > SEEDS / 4);
  assert_true(totals.installations > SEEDS);
  assert_true(totals.crashes > SEEDS / 2);
  assert_true(totals.restarts > 5 * SEEDS);
  assert_true(totals.removals > SEEDS / 10);
  assert_true(totals.self_removals > SEEDS / 20);
  assert_true(totals.reads > 20 * SEEDS);
  assert_true(totals.transfers > SEEDS / 2);
}

static void three_servers(void **state) {
  (void)state;
  run_seeds(3);
}

static void five_servers(void **state) {
  (void)state;
  run_seeds(5);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(three_servers),
      cmocka_unit_test(five_servers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
