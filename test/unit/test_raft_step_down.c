/* Goal: a leader that is heard and gets nothing done makes room for another, and for a while campaigns for
 * nothing; a disk that is merely slow costs no leadership. The invariants of raft_history.h are checked at
 * every step besides. */
#include "raft_cluster.h"

enum { STALL_TIMEOUT_MS = 5000, REST_MS = 10 * ELECTION_TIMEOUT_MS };

static uint64_t term_of(const struct cluster *c, uint64_t id) {
  return status_of(c, id)->term;
}

/* Runs it while something is proposed every so often; stops when it no longer leads. */
static void run_with_proposals(struct cluster *c, uint64_t leader, uint64_t ms) {
  for (uint64_t i = 0; i < ms && leads(c, leader); i++) {
    if (i % 100 == 0) assert_int_equal(cluster_propose(c, leader, 10), 0);
    cluster_run(c, 1);
  }
}

/* ---- Its own disk ---- */

/* The other disks do the work meanwhile, and its heartbeats go on: nobody else would notice. */
static void a_leader_whose_disk_hangs_steps_down(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_hold_disk(c, 1, true);
  run_with_proposals(c, 1, STALL_TIMEOUT_MS);
  assert_true(leads(c, 1));
  assert_true(status_of(c, 1)->commit_index + 2 >= status_of(c, 1)->last_index);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_false(leads(c, 1));
  assert_int_equal(status_of(c, 1)->stepped_down, CORACLE_RAFT_DISK_STALLED);
  assert_true(status_of(c, 1)->resting_until_ms > c->now_ms + REST_MS - 2 * HEARTBEAT_MS);
  cluster_run(c, 2 * ELECTION_TIMEOUT_MS);
  assert_true(leads(c, 2) || leads(c, 3));
  assert_int_equal(cluster_propose(c, cluster_leader(c), 10), 0);
  cluster_run(c, HEARTBEAT_MS);
  const struct coracle_raft_status *status = status_of(c, cluster_leader(c));
  assert_int_equal(status->commit_index, status->last_index);
  cluster_free(c);
}

/* Each write takes most of the limit: nobody campaigns, ever (etcd#7617). */
static void slow_disks_cause_no_election(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  for (uint64_t id = 1; id <= 3; id++) cluster_hold_disk(c, id, true);
  for (int round = 0; round < 10; round++) {
    assert_int_equal(cluster_propose(c, 1, 10), 0);
    cluster_run(c, STALL_TIMEOUT_MS / 2 - HEARTBEAT_MS);
    for (uint64_t id = 1; id <= 3; id++) cluster_sync(c, id);
    cluster_run(c, 1);
  }
  for (uint64_t id = 1; id <= 3; id++) {
    assert_int_equal(term_of(c, id), 1);
    assert_int_equal(status_of(c, id)->counters.elections, 0);
  }
  assert_true(leads(c, 1));
  cluster_free(c);
}

/* With one write always on its way, but each a new one, the disk does advance. */
static void a_busy_disk_is_no_hanging_disk(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_hold_disk(c, 1, true);
  for (int i = 0; i < 3 * STALL_TIMEOUT_MS / 1000; i++) {
    assert_int_equal(cluster_propose(c, 1, 10), 0);
    cluster_run(c, 1000);
    const struct disk_write *oldest = queue_at(&cluster_server(c, 1)->writes, 0);
    if (i > 0) cluster_sync_to(c, 1, oldest->sequence); /* one is left */
  }
  assert_true(leads(c, 1) && cluster_server(c, 1)->writes.n > 0);
  cluster_free(c);
}

static void a_follower_whose_disk_hangs_costs_nothing(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_hold_disk(c, 3, true);
  run_with_proposals(c, 1, 4 * STALL_TIMEOUT_MS);
  assert_true(leads(c, 1));
  assert_int_equal(term_of(c, 2), 1);
  cluster_free(c);
}

/* Nothing is pending: there is nothing to wait for, however long. */
static void an_idle_leader_stays(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_hold_disk(c, 1, true);
  cluster_run(c, 3 * STALL_TIMEOUT_MS);
  assert_true(leads(c, 1));
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, STALL_TIMEOUT_MS - HEARTBEAT_MS); /* counted from then on */
  assert_true(leads(c, 1));
  cluster_free(c);
}

/* A process that was stopped while nothing was pending has not waited for anything. */
static void a_pause_is_no_stall(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  c->now_ms += 10 * STALL_TIMEOUT_MS;
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  assert_int_equal(cluster_timeout(c, 1), 0);
  assert_true(leads(c, 1));
  cluster_run(c, 1);
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* ---- The voters' ---- */

/* They answer every heartbeat and acknowledge nothing. */
static void a_leader_that_commits_nothing_steps_down(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  cluster_hold_disk(c, 2, true);
  cluster_hold_disk(c, 3, true);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, STALL_TIMEOUT_MS - HEARTBEAT_MS);
  assert_true(leads(c, 1));
  cluster_run(c, 3 * HEARTBEAT_MS);
  assert_false(leads(c, 1));
  assert_int_equal(status_of(c, 1)->stepped_down, CORACLE_RAFT_COMMIT_STALLED);
  cluster_free(c);
}

/* Without streams to the voters nothing is acknowledged either; another leader may have better ones. */
static void a_leader_without_streams_steps_down(void **state) {
  (void)state;
  struct cluster *c = cluster_of(3, 1);
  c->links_by_hand = true;
  for (uint64_t id = 2; id <= 3; id++) {
    cluster_cut(c, 1, id);
    cluster_tell(c, 1, id, AT_LEADER); /* the followers do not know */
  }
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  for (int i = 0; i < STALL_TIMEOUT_MS + 2 * HEARTBEAT_MS && leads(c, 1); i++) {
    c->now_ms++;
    for (uint64_t id = 1; id <= 3; id++)
      if (cluster_server(c, id)->wakeup_ms <= c->now_ms) assert_int_equal(cluster_timeout(c, id), 0);
    cluster_sync(c, 1);
    while (c->datagrams.n > 0) cluster_deliver_datagram(c, 0, false);
  }
  assert_false(leads(c, 1));
  assert_int_equal(status_of(c, 1)->stepped_down, CORACLE_RAFT_COMMIT_STALLED);
  cluster_free(c);
}

/* While a majority comes closer nothing can be committed, but there is no reason to go: another leader would
 * have the same to do. */
static void catching_up_is_no_stall(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &(struct cluster_options){.seed = 1, .append_bytes_max = 100});
  cluster_isolate(c, 3);
  cluster_crash(c, 2);
  cluster_settle(c);
  for (int i = 0; i < 200; i++) assert_int_equal(cluster_propose(c, 1, 60), 0);
  cluster_settle(c);
  cluster_crash(c, 1);
  cluster_restart(c, 1);
  cluster_heal(c);
  cluster_hold_disk(c, 3, true);
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, 1), 0);
  for (int i = 0; i < 10 && !leads(c, 1); i++) {
    cluster_run(c, 1);
    cluster_sync(c, 3);
  }
  assert_true(leads(c, 1));
  const uint64_t committed = status_of(c, 1)->commit_index;
  for (int i = 0; i < 3 * STALL_TIMEOUT_MS / 1000; i++) { /* a few entries a second */
    cluster_run(c, 1000);
    const struct disk_write *oldest = queue_at(&cluster_server(c, 3)->writes, 0);
    if (oldest != NULL) cluster_sync_to(c, 3, oldest->sequence);
  }
  assert_true(leads(c, 1) && status_of(c, 1)->commit_index == committed);
  cluster_hold_disk(c, 3, false);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* Nor while an image is on its way, before which nothing can come: here a chunk of it every second. */
static void an_image_on_its_way_is_no_stall(void **state) {
  (void)state;
  const struct cluster_options options = {
      .seed = 1, .trailing_bytes = 1, .chunk_bytes_max = 4, .image_bytes_max = 300};
  struct cluster *c = cluster_with(3, &options);
  cluster_isolate(c, 3);
  do { /* until one is large enough */
    assert_int_equal(cluster_propose(c, 1, 10), 0);
    cluster_run(c, HEARTBEAT_MS);
    assert_int_equal(cluster_snapshot(c, 1), 0);
  } while (coracle_raft_snapshot(cluster_server(c, 1)->raft)->bytes < 100);
  cluster_crash(c, 2);
  cluster_hold_disk(c, 3, true);
  cluster_heal(c);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  const uint64_t committed = status_of(c, 1)->commit_index;
  for (int i = 0; i < 2 * STALL_TIMEOUT_MS / 1000; i++) {
    cluster_run(c, 1000);
    assert_int_equal(status_of(c, 1)->commit_index, committed);
    assert_true(status_of(c, 3)->commit_index < committed);
    const struct disk_write *oldest = queue_at(&cluster_server(c, 3)->writes, 0);
    assert_non_null(oldest);
    cluster_sync_to(c, 3, oldest->sequence);
  }
  assert_true(leads(c, 1));
  cluster_hold_disk(c, 3, false);
  cluster_run(c, HEARTBEAT_MS);
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

/* ---- Resting ---- */

/* A sole voter that is alone with a disk that hangs: it leads again when its rest is over, not before. */
static void whoever_rests_does_not_campaign(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  cluster_hold_disk(c, 1, true);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, STALL_TIMEOUT_MS + 2 * HEARTBEAT_MS);
  assert_false(leads(c, 1));
  cluster_hold_disk(c, 1, false);
  cluster_settle(c);
  const uint64_t until_ms = status_of(c, 1)->resting_until_ms;
  while (c->now_ms < until_ms - 1) {
    cluster_run(c, 1);
    assert_int_equal(cluster_campaign(c, 1), 0);
    assert_int_equal(status_of(c, 1)->role, CORACLE_RAFT_FOLLOWER);
  }
  assert_int_equal(term_of(c, 1), 1);
  cluster_run(c, 1);
  assert_int_equal(cluster_campaign(c, 1), 0);
  assert_int_equal(status_of(c, 1)->resting_until_ms, 0);
  cluster_settle(c);
  assert_true(leads(c, 1));
  assert_int_equal(status_of(c, 1)->commit_index, status_of(c, 1)->last_index);
  cluster_free(c);
}

static void it_campaigns_by_itself_when_it_has_rested(void **state) {
  (void)state;
  struct cluster *c = cluster_of(1, 1);
  cluster_hold_disk(c, 1, true);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, STALL_TIMEOUT_MS + 2 * HEARTBEAT_MS);
  cluster_hold_disk(c, 1, false);
  cluster_run(c, REST_MS - 2 * HEARTBEAT_MS);
  assert_false(leads(c, 1));
  cluster_run(c, 2 * ELECTION_TIMEOUT_MS + 2 * HEARTBEAT_MS);
  assert_true(leads(c, 1));
  cluster_free(c);
}

/* It votes for others, also when they ask it to lead, or for pre-votes that it could win itself. */
static void whoever_rests_votes(void **state) {
  (void)state;
  struct cluster *c = cluster_of(2, 1);
  cluster_hold_disk(c, 2, true);
  assert_int_equal(cluster_propose(c, 1, 10), 0);
  cluster_run(c, STALL_TIMEOUT_MS + 2 * HEARTBEAT_MS);
  assert_int_equal(status_of(c, 1)->stepped_down, CORACLE_RAFT_COMMIT_STALLED);
  assert_int_equal(cluster_campaign(c, 2), 0); /* its log is the older one until its disk is done */
  cluster_settle(c);
  assert_int_equal(status_of(c, 1)->role, CORACLE_RAFT_FOLLOWER);
  cluster_hold_disk(c, 2, false);
  cluster_settle(c);
  assert_int_equal(cluster_campaign(c, 2), 0);
  cluster_settle(c);
  assert_true(leads(c, 2));
  assert_int_equal(status_of(c, 1)->voted_for, 2);
  assert_true(status_of(c, 1)->resting_until_ms > c->now_ms);
  assert_int_equal(cluster_transfer(c, 2, 1), 0); /* not now */
  cluster_settle(c);
  assert_true(leads(c, 2));
  assert_int_equal(term_of(c, 1), term_of(c, 2));
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_leader_whose_disk_hangs_steps_down),
      cmocka_unit_test(slow_disks_cause_no_election),
      cmocka_unit_test(a_busy_disk_is_no_hanging_disk),
      cmocka_unit_test(a_follower_whose_disk_hangs_costs_nothing),
      cmocka_unit_test(an_idle_leader_stays),
      cmocka_unit_test(a_pause_is_no_stall),
      cmocka_unit_test(a_leader_that_commits_nothing_steps_down),
      cmocka_unit_test(a_leader_without_streams_steps_down),
      cmocka_unit_test(catching_up_is_no_stall),
      cmocka_unit_test(an_image_on_its_way_is_no_stall),
      cmocka_unit_test(whoever_rests_does_not_campaign),
      cmocka_unit_test(it_campaigns_by_itself_when_it_has_rested),
      cmocka_unit_test(whoever_rests_votes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
