/* Goal: whoever needs entries that are gone gets an image instead, whatever comes between, and nothing that
 * was acknowledged or committed is lost by it (chapter 5). That the state after an installation is the one
 * that the log leads to, that each snapshot holds the right configuration, and that nothing is acknowledged
 * before it is durable, raft_history.c and raft_machine.c check after every step. */
#include "raft_cluster.h"

#include <string.h>

enum { CHUNK_BYTES = 100, WINDOW_CHUNKS = 4 };

static const struct cluster_options small_chunks = {
    .seed = 1, .trailing_bytes = 1, .chunk_bytes_max = CHUNK_BYTES, .image_bytes_max = 3000};

static void propose(struct cluster *c, uint64_t leader, size_t n) {
  for (size_t i = 0; i < n; i++) assert_int_equal(cluster_propose(c, leader, 50), 0);
  cluster_run(c, HEARTBEAT_MS);
}

/* Takes snapshots until one has an image of so many chunks at least. */
static void snapshot_of_chunks(struct cluster *c, uint64_t id, uint64_t chunks) {
  do {
    propose(c, cluster_leader(c), 1);
    assert_int_equal(cluster_snapshot(c, id), 0);
  } while (coracle_raft_snapshot(cluster_server(c, id)->raft)->bytes <= chunks * CHUNK_BYTES);
}

static const struct coracle_raft_peer_status *peer_of(struct cluster *c, uint64_t id, uint64_t peer) {
  const struct coracle_raft_status *status = status_of(c, id);
  for (size_t i = 0; i < status->peers_n; i++)
    if (status->peers[i].id == peer) return &status->peers[i];
  fail_msg("server %d knows no peer %d", (int)id, (int)peer);
  return NULL;
}

static const struct coracle_raft_message *find(struct cluster *c, uint64_t from, uint64_t to,
                                               enum coracle_raft_message_type type) {
  return cluster_find(c, from, to, type);
}

static void sync_all(struct cluster *c) {
  for (uint64_t id = 1; id <= c->servers_n; id++)
    if (cluster_server(c, id)->raft != NULL) cluster_sync(c, id);
}

/* One chunk goes over, and its acknowledgement back. False when none is underway. */
static bool move_chunk(struct cluster *c, uint64_t leader, uint64_t follower) {
  while (cluster_answer_chunk(c, leader)) continue;
  if (find(c, leader, follower, CORACLE_RAFT_SNAPSHOT) == NULL) return false;
  cluster_deliver(c, leader, follower, CORACLE_RAFT_SNAPSHOT);
  cluster_sync(c, follower);
  cluster_deliver(c, follower, leader, CORACLE_RAFT_SNAPSHOT_REPLY);
  return true;
}

/* Server 3 was away while the others went on and compacted; its stream is open again and the leader's offer
 * is underway. From here on streams are opened by hand. */
static struct cluster *cluster_with_laggard(uint64_t chunks) {
  struct cluster *c = cluster_with(3, &small_chunks);
  cluster_isolate(c, 3);
  propose(c, 1, 20);
  snapshot_of_chunks(c, 1, chunks);
  cluster_heal(c);
  c->links_by_hand = true;
  cluster_open(c, 1, 3); /* the leader remembers what it has: there is no need to probe */
  assert_non_null(find(c, 1, 3, CORACLE_RAFT_SNAPSHOT));
  return c;
}

/* ---- Compaction ---- */

static void entries_are_kept_by_bytes(void **state) {
  (void)state;
  struct cluster *c = cluster_with(1, &(struct cluster_options){.seed = 1, .trailing_bytes = 349});
  for (int i = 0; i < 10; i++) assert_int_equal(cluster_propose(c, 1, 100), 0);
  cluster_run(c, 1);
  const uint64_t last = status_of(c, 1)->last_index;
  const uint64_t log_bytes = status_of(c, 1)->log_bytes;
  assert_int_equal(cluster_snapshot(c, 1), 0);
  assert_int_equal(coracle_raft_snapshot(cluster_server(c, 1)->raft)->index, last);
  assert_int_equal(status_of(c, 1)->first_index, last - 2);
  assert_int_equal(status_of(c, 1)->last_index, last);
  assert_int_equal(status_of(c, 1)->log_bytes, 300);
  assert_true(log_bytes >= 1000);

  assert_int_equal(cluster_snapshot(c, 1), CORACLE_RAFT_EBUSY);
  struct coracle_raft_event event = {.type = CORACLE_RAFT_SNAPSHOT_TAKEN,
                                     .snapshot_taken = {.index = last + 1, .bytes = 1}};
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EINVALID);
  event.snapshot_taken.index = 0;
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EINVALID);

  assert_int_equal(cluster_propose(c, 1, 350), 0); /* alone more than is kept */
  cluster_run(c, 1);
  assert_int_equal(cluster_snapshot(c, 1), 0);
  assert_int_equal(status_of(c, 1)->first_index, last + 2);
  assert_int_equal(status_of(c, 1)->log_bytes, 0);
  propose(c, 1, 3);
  assert_int_equal(status_of(c, 1)->commit_index, last + 4);
  cluster_free(c);
}

/* Committed by the others, but not yet on this server's own disk. */
static void what_is_not_durable_is_not_compacted(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  cluster_hold_disk(c, 3, true);
  propose(c, 1, 3);
  assert_int_equal(status_of(c, 3)->commit_index, status_of(c, 1)->last_index);
  assert_int_equal(cluster_snapshot(c, 3), CORACLE_RAFT_EBUSY);
  cluster_hold_disk(c, 3, false);
  cluster_settle(c);
  assert_int_equal(cluster_snapshot(c, 3), 0);
  cluster_free(c);
}

/* Pitfall 33. */
static void a_snapshot_has_the_configuration_of_its_index(void **state) {
  (void)state;
  struct cluster *c = cluster_with(1, &small_chunks);
  const struct coracle_raft *raft = cluster_server(c, 1)->raft;
  propose(c, 1, 2);
  const struct machine_state before = cluster_server(c, 1)->machine.state;
  const uint64_t old_index = status_of(c, 1)->configuration_index;

  assert_int_equal(cluster_add_member(c, 1, 40), 0); /* committed at once: one voter */
  cluster_run(c, 1);
  const uint64_t new_index = status_of(c, 1)->configuration_index;
  assert_true(new_index > before.index && status_of(c, 1)->commit_index >= new_index);

  struct coracle_raft_event event = {.type = CORACLE_RAFT_SNAPSHOT_TAKEN,
                                     .snapshot_taken = {.index = before.index, .bytes = 1}};
  assert_int_equal(cluster_step(c, 1, &event), 0);
  assert_int_equal(coracle_raft_snapshot(raft)->configuration_index, old_index);
  assert_int_equal(coracle_raft_snapshot(raft)->configuration.members_n, 1);

  assert_int_equal(cluster_add_member(c, 1, 41), 0);
  cluster_run(c, 1);
  event.snapshot_taken.index = new_index - 1; /* between: what the snapshot before knows is all there is */
  if (new_index - 1 > before.index) assert_int_equal(cluster_step(c, 1, &event), 0);
  event.snapshot_taken.index = new_index;
  assert_int_equal(cluster_step(c, 1, &event), 0);
  assert_int_equal(coracle_raft_snapshot(raft)->configuration_index, new_index);
  assert_int_equal(coracle_raft_snapshot(raft)->configuration.members_n, 2);
  cluster_free(c);
}

static void an_uncommitted_configuration_is_in_no_snapshot(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  const uint64_t old_index = status_of(c, 1)->configuration_index;
  cluster_hold_disk(c, 2, true);
  cluster_hold_disk(c, 3, true);
  assert_int_equal(cluster_add_member(c, 1, 40), 0);
  cluster_settle(c);
  assert_false(status_of(c, 1)->configuration_committed);
  assert_int_equal(cluster_snapshot(c, 1), 0);
  assert_int_equal(coracle_raft_snapshot(cluster_server(c, 1)->raft)->configuration_index, old_index);
  assert_true(status_of(c, 1)->configuration_index > old_index); /* in force all the same */
  cluster_free(c);
}

/* Pitfall 19: what comes before the first entry is not forgotten. */
static void the_entry_before_the_log_is_known(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  const uint64_t last = status_of(c, 1)->last_index;
  assert_int_equal(cluster_snapshot(c, 1), 0);
  assert_int_equal(status_of(c, 1)->first_index, last + 1);
  cluster_cut(c, 1, 3);
  cluster_run(c, 1); /* the new stream begins with a probe for what is not there any more */
  propose(c, 1, 3);
  assert_int_equal(status_of(c, 3)->commit_index, last + 3);
  assert_int_equal(c->installations, 0);
  cluster_free(c);
}

/* An append that begins before the follower's log, and one that ends before it. */
static void an_append_may_begin_before_the_log(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  propose(c, 1, 4);
  const uint64_t last = status_of(c, 3)->last_index;
  assert_int_equal(status_of(c, 3)->commit_index, last);
  struct coracle_raft_entry *entries[4];
  for (size_t i = 0; i < 4; i++)
    entries[i] = coracle_raft_entry_ref(coracle_raft_entry_at(cluster_server(c, 3)->raft, last - 3 + i));
  assert_int_equal(cluster_snapshot(c, 3), 0);
  assert_int_equal(status_of(c, 3)->first_index, last + 1);

  struct coracle_raft_message append = {.type = CORACLE_RAFT_APPEND,
                                        .from = 1,
                                        .to = 3,
                                        .term = status_of(c, 1)->term,
                                        .append = {.previous_index = last - 4,
                                                   .previous_term = status_of(c, 1)->term,
                                                   .commit = last,
                                                   .entries = entries,
                                                   .entries_n = 2}};
  for (size_t n = 2; n <= 4; n += 2) {
    append.append.entries_n = n;
    assert_int_equal(cluster_receive(c, 3, &append), 0);
    const struct coracle_raft_message *reply = find(c, 3, 1, CORACLE_RAFT_APPEND_REPLY);
    assert_non_null(reply);
    assert_true(reply->append_reply.success);
    assert_int_equal(reply->append_reply.match, last - 4 + n);
    cluster_deliver(c, 3, 1, CORACLE_RAFT_APPEND_REPLY);
  }
  assert_int_equal(status_of(c, 3)->last_index, last);

  entries[3]->term++; /* what is committed cannot be of another term, in the snapshot or not */
  append.term++;
  const uint64_t dropped = status_of(c, 3)->counters.dropped_invalid;
  assert_int_equal(cluster_receive(c, 3, &append), 0);
  assert_int_equal(status_of(c, 3)->counters.dropped_invalid, dropped + 1);
  entries[3]->term--;
  for (size_t i = 0; i < 4; i++) coracle_raft_entry_unref(entries[i]);
  cluster_free(c);
}

/* ---- Transfers ---- */

static void a_laggard_gets_a_snapshot_and_then_the_rest(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard(3);
  const uint64_t index = coracle_raft_snapshot(cluster_server(c, 1)->raft)->index;
  assert_int_equal(find(c, 1, 3, CORACLE_RAFT_SNAPSHOT)->snapshot.n, 0);
  assert_int_equal(peer_of(c, 1, 3)->snapshot_index, index);
  propose(c, 1, 5);
  assert_int_equal(c->installations, 1);
  assert_int_equal(peer_of(c, 1, 3)->snapshot_index, 0);
  assert_int_equal(status_of(c, 3)->first_index, index + 1);
  assert_int_equal(status_of(c, 3)->commit_index, index + 5);
  assert_int_equal(coracle_raft_snapshot(cluster_server(c, 3)->raft)->index, index);
  cluster_free(c);
}

static void a_learner_gets_one_and_becomes_a_voter(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  snapshot_of_chunks(c, 1, 3);
  const uint64_t id = cluster_add(c);
  assert_int_equal(cluster_add_member(c, 1, id), 0);
  cluster_run(c, 2 * ELECTION_TIMEOUT_MS);
  assert_int_equal(c->installations, 1);
  assert_true(cluster_is_voter(c, 1, id));
  cluster_free(c);
}

static void few_chunks_are_underway_at_a_time(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard(WINDOW_CHUNKS + 2);
  cluster_deliver(c, 1, 3, CORACLE_RAFT_SNAPSHOT);
  cluster_deliver(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY);
  while (cluster_answer_chunk(c, 1)) continue;
  for (size_t i = 0; i < WINDOW_CHUNKS; i++) {
    assert_int_equal(find(c, 1, 3, CORACLE_RAFT_SNAPSHOT)->snapshot.offset, i * CHUNK_BYTES);
    cluster_deliver(c, 1, 3, CORACLE_RAFT_SNAPSHOT);
  }
  assert_null(find(c, 1, 3, CORACLE_RAFT_SNAPSHOT));
  assert_null(find(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY)); /* the disk has not got them */
  cluster_sync(c, 3);
  cluster_deliver(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY);
  assert_int_equal(peer_of(c, 1, 3)->snapshot_bytes, CHUNK_BYTES);
  while (cluster_answer_chunk(c, 1)) continue;
  assert_int_equal(find(c, 1, 3, CORACLE_RAFT_SNAPSHOT)->snapshot.offset, WINDOW_CHUNKS * CHUNK_BYTES);
  cluster_free(c);
}

static void a_transfer_goes_on_where_its_stream_ended(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard(3);
  for (int i = 0; i < 3; i++) assert_true(move_chunk(c, 1, 3)); /* the offer, two chunks */
  cluster_cut(c, 1, 3);
  cluster_tell(c, 1, 3, AT_LEADER);
  cluster_tell(c, 1, 3, AT_FOLLOWER);
  assert_int_equal(peer_of(c, 1, 3)->snapshot_index, 0);
  cluster_sweep_streams(c);
  cluster_open(c, 1, 3);
  assert_int_equal(find(c, 1, 3, CORACLE_RAFT_SNAPSHOT)->snapshot.n, 0);
  assert_true(move_chunk(c, 1, 3));
  while (cluster_answer_chunk(c, 1)) continue;
  assert_int_equal(find(c, 1, 3, CORACLE_RAFT_SNAPSHOT)->snapshot.offset, 2 * CHUNK_BYTES);
  while (move_chunk(c, 1, 3)) continue;
  assert_int_equal(c->installations, 1);
  cluster_free(c);
}

/* Pitfall 43: what a crash leaves of an image is of no use. */
static void a_restart_in_mid_transfer_begins_anew(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard(3);
  for (int i = 0; i < 3; i++) assert_true(move_chunk(c, 1, 3));
  cluster_crash(c, 3);
  c->links_by_hand = false;
  cluster_settle(c);
  cluster_restart(c, 3);
  cluster_run(c, 2 * HEARTBEAT_MS);
  assert_int_equal(c->installations, 1);
  assert_int_equal(cluster_converge(c, 3), cluster_leader(c));
  cluster_free(c);
}

static void a_crash_after_the_last_chunk_restarts_from_the_image(void **state) {
  (void)state;
  for (size_t writes = 0; writes <= 1; writes++) {
    struct cluster *c = cluster_with_laggard(3);
    const uint64_t index = coracle_raft_snapshot(cluster_server(c, 1)->raft)->index;
    while (c->installations == 0) {
      while (cluster_answer_chunk(c, 1)) continue;
      cluster_deliver(c, 1, 3, CORACLE_RAFT_SNAPSHOT);
      if (c->installations > 0) break;
      cluster_sync(c, 3);
      cluster_deliver(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY);
    }
    cluster_crash_after(c, 3, writes);
    cluster_settle(c);
    cluster_restart(c, 3);
    if (writes == 1)
      assert_int_equal(status_of(c, 3)->commit_index, index);
    else
      assert_true(status_of(c, 3)->commit_index < index);
    c->links_by_hand = false;
    cluster_converge(c, 6);
    assert_int_equal(c->installations, 2 - writes);
    cluster_free(c);
  }
}

static void a_newer_snapshot_does_not_stop_a_transfer(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard(3);
  const uint64_t older = coracle_raft_snapshot(cluster_server(c, 1)->raft)->index;
  assert_true(move_chunk(c, 1, 3));
  assert_true(move_chunk(c, 1, 3));
  assert_int_equal(cluster_propose(c, 1, 50), 0);
  c->links_by_hand = true;
  sync_all(c);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  cluster_sync(c, 2);
  cluster_deliver(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
  assert_int_equal(cluster_snapshot(c, 1), 0);
  const uint64_t newer = coracle_raft_snapshot(cluster_server(c, 1)->raft)->index;
  assert_true(newer > older);
  assert_int_equal(peer_of(c, 1, 3)->snapshot_index, older);
  while (status_of(c, 3)->commit_index < older) assert_true(move_chunk(c, 1, 3));
  assert_int_equal(status_of(c, 3)->commit_index, older);
  assert_int_equal(peer_of(c, 1, 3)->snapshot_index, newer); /* nothing else leads on from the older one */
  while (move_chunk(c, 1, 3)) continue;
  assert_int_equal(status_of(c, 3)->commit_index, newer);
  assert_int_equal(c->installations, 2);
  cluster_free(c);
}

/* ... but after a broken stream there is no use in one from which the log does not go on. */
static void a_new_stream_brings_the_newer_snapshot(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard(3);
  assert_true(move_chunk(c, 1, 3));
  assert_true(move_chunk(c, 1, 3));
  cluster_cut(c, 1, 3);
  cluster_settle(c);
  snapshot_of_chunks(c, 1, 3);
  const uint64_t newer = coracle_raft_snapshot(cluster_server(c, 1)->raft)->index;
  cluster_sweep_streams(c);
  cluster_open(c, 1, 3);
  cluster_settle(c);
  assert_int_equal(status_of(c, 3)->commit_index, newer);
  assert_int_equal(c->installations, 1);
  cluster_free(c);
}

static void an_image_that_is_gone_is_replaced_by_the_newest(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard(3);
  assert_true(move_chunk(c, 1, 3));
  assert_true(move_chunk(c, 1, 3));
  cluster_drop(c, 1, 3, CORACLE_RAFT_SNAPSHOT);
  cluster_forget_images(c, 1, 0);
  while (cluster_answer_chunk(c, 1)) continue;
  cluster_settle(c);
  assert_int_equal(c->installations, 0);
  assert_int_equal(peer_of(c, 1, 3)->snapshot_index, 0); /* the newest is that one: it waits */
  snapshot_of_chunks(c, 1, 1);
  cluster_settle(c);
  assert_true(c->installations > 0);
  cluster_converge(c, 1);
  cluster_free(c);
}

/* The last chunks were lost by nobody's fault (a step that found no memory, for instance). */
static void a_gap_is_found_and_filled(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard(WINDOW_CHUNKS + 1);
  assert_true(move_chunk(c, 1, 3));
  while (cluster_answer_chunk(c, 1)) continue;
  cluster_drop(c, 1, 3, CORACLE_RAFT_SNAPSHOT);
  cluster_settle(c);
  assert_int_equal(c->installations, 1);
  cluster_free(c);
}

/* It was sent some entries before those after them were dropped. What it says of them is no news of the
 * image. */
static void late_acknowledgements_do_not_disturb_a_transfer(void **state) {
  (void)state;
  struct cluster_options options = small_chunks;
  options.inflight_bytes_max = 100;
  struct cluster *c = cluster_with(3, &options);
  c->links_by_hand = true;
  cluster_hold_disk(c, 3, true);
  for (int i = 0; i < 10; i++) assert_int_equal(cluster_propose(c, 1, 50), 0);
  cluster_settle(c);
  cluster_sync(c, 1);
  assert_int_equal(cluster_snapshot(c, 1), 0);
  cluster_settle(c);
  assert_int_equal(peer_of(c, 1, 3)->snapshot_index, status_of(c, 1)->last_index);
  cluster_hold_disk(c, 3, false);
  for (struct disk_write *first; (first = queue_at(&cluster_server(c, 3)->writes, 0)) != NULL;)
    cluster_sync_to(c, 3, first->sequence);
  size_t late = 0;
  for (; find(c, 3, 1, CORACLE_RAFT_APPEND_REPLY) != NULL; late++)
    cluster_deliver(c, 3, 1, CORACLE_RAFT_APPEND_REPLY);
  assert_true(late > 0);
  const struct coracle_raft_message *chunk = find(c, 1, 3, CORACLE_RAFT_SNAPSHOT);
  assert_true(chunk == NULL || chunk->snapshot.n > 0); /* it is not offered again */
  cluster_settle(c);
  assert_int_equal(c->installations, 1);
  assert_int_equal(status_of(c, 1)->counters.dropped_stale, 0);
  cluster_free(c);
}

static void another_leader_goes_on_with_the_same_image(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  cluster_isolate(c, 3);
  propose(c, 1, 5);
  do {
    propose(c, 1, 1);
    cluster_run(c, HEARTBEAT_MS);
    assert_int_equal(cluster_snapshot(c, 1), 0);
    assert_int_equal(cluster_snapshot(c, 2), 0);
  } while (coracle_raft_snapshot(cluster_server(c, 1)->raft)->bytes < 8 * CHUNK_BYTES);
  const uint64_t index = coracle_raft_snapshot(cluster_server(c, 2)->raft)->index;
  assert_int_equal(coracle_raft_snapshot(cluster_server(c, 1)->raft)->index, index);
  cluster_heal(c);
  c->links_by_hand = true;
  cluster_open(c, 1, 3);
  while (find(c, 1, 3, CORACLE_RAFT_SNAPSHOT) == NULL) {
    cluster_deliver(c, 1, 3, CORACLE_RAFT_APPEND);
    cluster_sync(c, 3);
    cluster_deliver(c, 3, 1, CORACLE_RAFT_APPEND_REPLY);
  }
  for (int i = 0; i < 3; i++) assert_true(move_chunk(c, 1, 3));
  cluster_crash(c, 1);
  while (cluster_leader(c) == 0) cluster_run(c, 1);
  assert_int_equal(cluster_leader(c), 2);
  cluster_open(c, 2, 3);
  while (find(c, 2, 3, CORACLE_RAFT_SNAPSHOT) == NULL) {
    cluster_deliver(c, 2, 3, CORACLE_RAFT_APPEND);
    cluster_sync(c, 3);
    cluster_deliver(c, 3, 2, CORACLE_RAFT_APPEND_REPLY);
  }
  assert_true(move_chunk(c, 2, 3));
  while (cluster_answer_chunk(c, 2)) continue;
  const uint64_t offset = find(c, 2, 3, CORACLE_RAFT_SNAPSHOT)->snapshot.offset;
  assert_true(offset >= 2 * CHUNK_BYTES && offset == cluster_server(c, 3)->machine.incoming_n);
  cluster_settle(c);
  assert_int_equal(c->installations, 1);
  assert_int_equal(coracle_raft_snapshot(cluster_server(c, 3)->raft)->index, index);
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(entries_are_kept_by_bytes),
      cmocka_unit_test(what_is_not_durable_is_not_compacted),
      cmocka_unit_test(a_snapshot_has_the_configuration_of_its_index),
      cmocka_unit_test(an_uncommitted_configuration_is_in_no_snapshot),
      cmocka_unit_test(the_entry_before_the_log_is_known),
      cmocka_unit_test(an_append_may_begin_before_the_log),
      cmocka_unit_test(a_laggard_gets_a_snapshot_and_then_the_rest),
      cmocka_unit_test(a_learner_gets_one_and_becomes_a_voter),
      cmocka_unit_test(few_chunks_are_underway_at_a_time),
      cmocka_unit_test(a_transfer_goes_on_where_its_stream_ended),
      cmocka_unit_test(a_restart_in_mid_transfer_begins_anew),
      cmocka_unit_test(a_crash_after_the_last_chunk_restarts_from_the_image),
      cmocka_unit_test(a_newer_snapshot_does_not_stop_a_transfer),
      cmocka_unit_test(a_new_stream_brings_the_newer_snapshot),
      cmocka_unit_test(an_image_that_is_gone_is_replaced_by_the_newest),
      cmocka_unit_test(a_gap_is_found_and_filled),
      cmocka_unit_test(late_acknowledgements_do_not_disturb_a_transfer),
      cmocka_unit_test(another_leader_goes_on_with_the_same_image),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
