/* Goal: a follower takes an image only as it was offered, byte after byte, and installs it exactly when it
 * brings something new: an old one truncates nothing (pitfall 40), what goes on from it is kept, any other
 * log goes (pitfall 41). Whatever else a message claims changes nothing. And a leader believes no answer to
 * what it did not ask. */
#include "raft_cluster.h"

#include <string.h>

enum { CHUNK_BYTES = 100 };

static const struct cluster_options small_chunks = {
    .seed = 1, .trailing_bytes = 1, .chunk_bytes_max = CHUNK_BYTES, .image_bytes_max = 3000};

/* The leader's newest snapshot, and a message that carries of it what the test says. */
struct image {
  struct coracle_raft_snapshot snapshot;
  struct machine_state state;
  uint8_t bytes[4096];
  struct coracle_raft_message message; /* to be delivered to `to` */
};

static struct image image_of(struct cluster *c, uint64_t leader, uint64_t to) {
  struct image image = {.snapshot = *coracle_raft_snapshot(cluster_server(c, leader)->raft),
                        .state = cluster_server(c, leader)->machine.images[0]};
  assert_true(image.snapshot.bytes <= sizeof image.bytes && image.state.index == image.snapshot.index);
  machine_image_read(&image.state, 0, image.bytes, image.snapshot.bytes);
  image.message = (struct coracle_raft_message){.type = CORACLE_RAFT_SNAPSHOT,
                                                .from = leader,
                                                .to = to,
                                                .term = status_of(c, leader)->term,
                                                .round = 1000};
  return image;
}

static void receive(struct cluster *c, struct image *image, uint64_t offset, size_t n) {
  image->message.snapshot.snapshot = &image->snapshot;
  image->message.snapshot.offset = offset;
  image->message.snapshot.data = image->bytes + offset;
  image->message.snapshot.n = n;
  assert_int_equal(cluster_receive(c, image->message.to, &image->message), 0);
}

static void receive_all(struct cluster *c, struct image *image) {
  receive(c, image, 0, 0);
  for (uint64_t at = 0; at < image->snapshot.bytes; at += CHUNK_BYTES) {
    const uint64_t left = image->snapshot.bytes - at;
    receive(c, image, at, left < CHUNK_BYTES ? left : CHUNK_BYTES);
  }
}

/* The newest answer underway says that so many bytes are there. Takes all that are underway. */
static void assert_answered(struct cluster *c, uint64_t from, uint64_t to, uint64_t offset) {
  const struct coracle_raft_message *reply;
  uint64_t last = UINT64_MAX;
  cluster_sync(c, from);
  while ((reply = cluster_find(c, from, to, CORACLE_RAFT_SNAPSHOT_REPLY)) != NULL) {
    assert_int_equal(reply->round, 1000);
    last = reply->snapshot_reply.offset;
    cluster_drop(c, from, to, CORACLE_RAFT_SNAPSHOT_REPLY);
  }
  assert_int_equal(last, offset);
}

static void deliver_all(struct cluster *c, uint64_t from, uint64_t to, enum coracle_raft_message_type type) {
  while (cluster_find(c, from, to, type) != NULL) cluster_deliver(c, from, to, type);
}

/* Three servers; server 3 has some entries less than the others, and server 1 a snapshot of some chunks.
 * Nothing goes by itself any more but what the test gives server 3. */
static struct cluster *cluster_with_laggard(void) {
  struct cluster *c = cluster_with(3, &small_chunks);
  c->links_by_hand = true;
  cluster_cut(c, 1, 3);
  cluster_tell(c, 1, 3, AT_LEADER);
  do {
    assert_int_equal(cluster_propose(c, 1, 50), 0);
    cluster_settle(c);
    cluster_sync(c, 1);
    assert_int_equal(cluster_snapshot(c, 1), 0);
  } while (coracle_raft_snapshot(cluster_server(c, 1)->raft)->bytes < 3 * CHUNK_BYTES + 1);
  cluster_sweep_streams(c);
  cluster_open(c, 1, 3);
  assert_non_null(cluster_find(c, 1, 3, CORACLE_RAFT_SNAPSHOT)); /* the leader's own: left lying */
  return c;
}

/* ---- What becomes of the log ---- */

static void an_old_snapshot_changes_nothing(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  assert_int_equal(cluster_propose(c, 1, 50), 0);
  cluster_converge(c, 1);
  assert_int_equal(cluster_snapshot(c, 1), 0);
  struct image image = image_of(c, 1, 3);
  for (int i = 0; i < 5; i++) assert_int_equal(cluster_propose(c, 1, 50), 0);
  cluster_converge(c, 1);

  const struct coracle_raft_status before = *status_of(c, 3);
  assert_true(before.commit_index > image.snapshot.index);
  for (int i = 0; i < 2; i++) {
    receive_all(c, &image);
    assert_answered(c, 3, 1, image.snapshot.bytes); /* as if it had been installed long ago */
    assert_true(cluster_same_status(&before, status_of(c, 3)));
    image.snapshot.index = before.commit_index; /* and so with one that ends where the follower is */
  }
  assert_int_equal(c->installations, 0);
  assert_int_equal(status_of(c, 3)->first_index, 1);
  cluster_free(c);
}

/* The follower has the entries already, and more, but has not heard that they are committed. */
static void a_log_that_goes_on_from_it_is_kept(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  const uint64_t old = status_of(c, 3)->commit_index;
  for (int i = 0; i < 4; i++) assert_int_equal(cluster_propose(c, 1, 50), 0);
  deliver_all(c, 1, 3, CORACLE_RAFT_APPEND);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  for (uint64_t id = 1; id <= 3; id++) cluster_sync(c, id);
  deliver_all(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
  assert_int_equal(status_of(c, 1)->commit_index, old + 2);
  assert_int_equal(status_of(c, 3)->commit_index, old);
  assert_int_equal(cluster_snapshot(c, 1), 0);

  struct image image = image_of(c, 1, 3);
  receive_all(c, &image);
  assert_int_equal(c->installations, 1);
  assert_int_equal(status_of(c, 3)->commit_index, old + 2);
  assert_int_equal(status_of(c, 3)->last_index, old + 4); /* acknowledged already */
  cluster_converge(c, 1);
  assert_int_equal(c->installations, 1);
  cluster_free(c);
}

/* A configuration after it is in force on and on, committed or not. */
static void a_configuration_that_is_kept_stays_in_force(void **state) {
  (void)state;
  struct cluster *c = cluster_with(3, &small_chunks);
  const uint64_t old = status_of(c, 3)->commit_index;
  assert_int_equal(cluster_propose(c, 1, 50), 0);
  assert_int_equal(cluster_add_member(c, 1, 40), 0);
  deliver_all(c, 1, 3, CORACLE_RAFT_APPEND);
  cluster_deliver(c, 1, 2, CORACLE_RAFT_APPEND);
  for (uint64_t id = 1; id <= 3; id++) cluster_sync(c, id);
  deliver_all(c, 2, 1, CORACLE_RAFT_APPEND_REPLY);
  assert_int_equal(status_of(c, 1)->commit_index, old + 1);
  assert_int_equal(cluster_snapshot(c, 1), 0);
  struct image image = image_of(c, 1, 3);
  receive_all(c, &image);
  assert_int_equal(c->installations, 1);
  assert_int_equal(status_of(c, 3)->configuration_index, old + 2);
  assert_int_equal(coracle_raft_latest_configuration(cluster_server(c, 3)->raft)->members_n, 4);
  assert_false(status_of(c, 3)->configuration_committed);
  cluster_free(c);
}

/* A deposed leader with entries that nobody else has: more than the snapshot includes, or fewer. That those
 * were durable says nothing of what comes in their place: raft_history.c looks at what it counts. */
static void any_other_log_goes(void **state) {
  (void)state;
  for (int entries = 1; entries <= 9; entries += 4) {
    struct cluster *c = cluster_with(3, &small_chunks);
    cluster_isolate(c, 1);
    for (int i = 0; i < entries; i++) assert_int_equal(cluster_propose(c, 1, 50), 0);
    while (cluster_leader(c) == 1) cluster_run(c, 1);
    const uint64_t leader = cluster_leader(c);
    for (int i = 0; i < 4; i++) assert_int_equal(cluster_propose(c, leader, 50), 0);
    cluster_run(c, HEARTBEAT_MS);
    assert_int_equal(cluster_snapshot(c, leader), 0);
    const uint64_t index = coracle_raft_snapshot(cluster_server(c, leader)->raft)->index;
    cluster_heal(c);
    cluster_converge(c, 6);
    assert_int_equal(c->installations, 1);
    assert_int_equal(coracle_raft_snapshot(cluster_server(c, 1)->raft)->index, index);
    assert_int_equal(c->truncations, 0);

    cluster_hold_disk(c, 1, true);
    struct coracle_raft_event transfer = {.type = CORACLE_RAFT_TRANSFER, .peer = 1};
    assert_int_equal(cluster_step(c, leader, &transfer), 0);
    cluster_settle(c);
    cluster_sync(c, 1); /* the term and its own vote */
    while (cluster_find(c, 2, 1, CORACLE_RAFT_VOTE_REPLY) != NULL ||
           cluster_find(c, 3, 1, CORACLE_RAFT_VOTE_REPLY) != NULL)
      cluster_settle(c);
    cluster_settle(c);
    assert_true(leads(c, 1));
    for (int i = 0; i < 9; i++) assert_int_equal(cluster_propose(c, 1, 50), 0);
    cluster_settle(c);
    cluster_hold_disk(c, 1, false);
    cluster_converge(c, 2);
    cluster_free(c);
  }
}

/* An acknowledgement of what comes after the image rests on the image. */
static void nothing_is_acknowledged_before_the_image_is_durable(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard();
  struct image image = image_of(c, 1, 3);
  cluster_hold_disk(c, 3, true);
  receive_all(c, &image);
  assert_int_equal(c->installations, 1);
  cluster_drop(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY); /* to the offer: nothing was there */
  assert_null(cluster_find(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY));
  receive(c, &image, 0, 0); /* once more: it has it, but not durably */
  assert_null(cluster_find(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY));

  struct coracle_raft_message append = {.type = CORACLE_RAFT_APPEND,
                                        .from = 1,
                                        .to = 3,
                                        .term = status_of(c, 1)->term,
                                        .append = {.previous_index = image.snapshot.index,
                                                   .previous_term = image.snapshot.term,
                                                   .commit = image.snapshot.index}};
  assert_int_equal(cluster_receive(c, 3, &append), 0);
  assert_null(cluster_find(c, 3, 1, CORACLE_RAFT_APPEND_REPLY));
  cluster_sync(c, 3);
  assert_non_null(cluster_find(c, 3, 1, CORACLE_RAFT_APPEND_REPLY));
  assert_answered(c, 3, 1, image.snapshot.bytes);
  cluster_free(c);
}

/* ---- What is taken ---- */

static void chunks_are_taken_in_their_order_only(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard();
  const struct machine *machine = &cluster_server(c, 3)->machine;
  struct image image = image_of(c, 1, 3);
  receive(c, &image, 0, CHUNK_BYTES); /* not offered */
  assert_answered(c, 3, 1, 0);
  receive(c, &image, 0, 0);
  assert_answered(c, 3, 1, 0);
  receive(c, &image, CHUNK_BYTES, CHUNK_BYTES); /* a gap */
  assert_answered(c, 3, 1, 0);
  receive(c, &image, 0, CHUNK_BYTES);
  assert_answered(c, 3, 1, CHUNK_BYTES);
  receive(c, &image, 0, CHUNK_BYTES); /* again */
  assert_answered(c, 3, 1, CHUNK_BYTES);
  receive(c, &image, CHUNK_BYTES - 1, CHUNK_BYTES); /* overlapping */
  assert_answered(c, 3, 1, CHUNK_BYTES);
  receive(c, &image, 0, 0); /* offered again: it goes on */
  assert_answered(c, 3, 1, CHUNK_BYTES);
  assert_int_equal(machine->incoming_n, CHUNK_BYTES);

  struct image other = image;
  other.snapshot.tag++;
  receive(c, &other, CHUNK_BYTES, CHUNK_BYTES); /* of another image */
  assert_answered(c, 3, 1, 0);
  assert_int_equal(machine->incoming_n, CHUNK_BYTES);
  receive(c, &other, 0, 0); /* which is offered now: the first one is given up */
  assert_answered(c, 3, 1, 0);
  receive(c, &image, CHUNK_BYTES, CHUNK_BYTES);
  assert_answered(c, 3, 1, 0);
  receive_all(c, &image);
  assert_answered(c, 3, 1, image.snapshot.bytes);
  assert_int_equal(c->installations, 1);
  assert_int_equal(status_of(c, 3)->counters.dropped_invalid, 0);
  cluster_free(c);
}

static void drop_is_counted(struct cluster *c, const struct image *image, uint64_t offset, size_t n) {
  struct image damaged = *image;
  const struct coracle_raft_status before = *status_of(c, 3);
  receive(c, &damaged, offset, n);
  assert_int_equal(status_of(c, 3)->counters.dropped_invalid, before.counters.dropped_invalid + 1);
  assert_int_equal(status_of(c, 3)->term, before.term);
  assert_int_equal(status_of(c, 3)->commit_index, before.commit_index);
  assert_null(cluster_find(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY));
}

static void impossible_snapshots_are_dropped(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard();
  const struct image image = image_of(c, 1, 3);
  const uint64_t bytes = image.snapshot.bytes;
  struct image bad = image;
  drop_is_counted(c, &image, bytes - 1, 2);
  drop_is_counted(c, &image, 0, bytes + 1);
  drop_is_counted(c, &image, bytes + 1, 0);
  drop_is_counted(c, &image, UINT64_MAX, 2);
  drop_is_counted(c, &image, 1, 0); /* an offer in the middle */
  bad.snapshot.index = 0, drop_is_counted(c, &bad, 0, 0), bad = image;
  bad.snapshot.term = 0, drop_is_counted(c, &bad, 0, 0), bad = image;
  bad.snapshot.term = image.message.term + 1, drop_is_counted(c, &bad, 0, 0), bad = image;
  bad.snapshot.configuration_index = 0, drop_is_counted(c, &bad, 0, 0), bad = image;
  bad.snapshot.configuration_index = image.snapshot.index + 1, drop_is_counted(c, &bad, 0, 0), bad = image;
  bad.snapshot.configuration_index = 1, drop_is_counted(c, &bad, 0, 0),
  bad = image; /* it knows a newer one */
  bad.snapshot.configuration.members_n = 0, drop_is_counted(c, &bad, 0, 0), bad = image;
  bad.snapshot.configuration.members_n = 999, drop_is_counted(c, &bad, 0, 0), bad = image;
  bad.message.term = UINT64_MAX, drop_is_counted(c, &bad, 0, 0), bad = image;
  bad.message.from = 2, drop_is_counted(c, &bad, 0, 0), bad = image; /* this term has another leader */

  bad.message.snapshot.snapshot = NULL;
  const uint64_t dropped = status_of(c, 3)->counters.dropped_invalid;
  assert_int_equal(
      cluster_step(c, 3, &(struct coracle_raft_event){.type = CORACLE_RAFT_RECEIVE, .message = &bad.message}),
      0);
  assert_int_equal(status_of(c, 3)->counters.dropped_invalid, dropped + 1);
  cluster_free(c);
}

static void an_old_leaders_snapshot_is_not_taken(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard();
  struct image image = image_of(c, 1, 3);
  struct coracle_raft_message heartbeat = {
      .type = CORACLE_RAFT_HEARTBEAT, .from = 2, .to = 3, .term = status_of(c, 3)->term + 1, .round = 1};
  assert_int_equal(cluster_receive(c, 3, &heartbeat), 0);
  cluster_sync(c, 3);
  receive(c, &image, 0, 0);
  const struct coracle_raft_message *reply = cluster_find(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY);
  assert_non_null(reply);
  assert_int_equal(reply->term, image.message.term + 1);
  cluster_deliver(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY);
  assert_false(leads(c, 1)); /* it hears of the newer term by that */
  for (size_t i = 0; i < status_of(c, 1)->peers_n; i++)
    assert_int_equal(status_of(c, 1)->peers[i].snapshot_index, 0);
  assert_int_equal(status_of(c, 3)->leader, 2);
  cluster_free(c);
}

static void chunks_count_as_hearing_the_leader(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard();
  struct image image = image_of(c, 1, 3);
  struct coracle_raft_status later;
  for (uint64_t at = 0; at < 3; at++) {
    c->now_ms += ELECTION_TIMEOUT_MS - 1;
    receive(c, &image, at > 0 ? (at - 1) * CHUNK_BYTES : 0, at > 0 ? CHUNK_BYTES : 0);
    coracle_raft_status(cluster_server(c, 3)->raft, c->now_ms + ELECTION_TIMEOUT_MS - 1, &later);
    assert_true(later.hears_leader);
    assert_true(cluster_server(c, 3)->wakeup_ms >= c->now_ms + ELECTION_TIMEOUT_MS);
  }
  cluster_free(c);
}

/* Its offer is all there is of it. (The servers of raft_cluster.h have no empty images.) */
static void an_empty_image_is_installed_with_its_offer(void **state) {
  (void)state;
  const struct coracle_raft_options options = {.id = 3, .heartbeat_ms = 50, .election_timeout_ms = 500};
  const struct coracle_raft_snapshot snapshot = {
      .index = 7,
      .term = 2,
      .configuration_index = 4,
      .configuration = {.members_n = 2, .members = {{.id = 1, .voter = true}, {.id = 3, .voter = true}}}};
  const struct coracle_raft_message offer = {
      .type = CORACLE_RAFT_SNAPSHOT, .from = 1, .to = 3, .term = 3, .snapshot = {.snapshot = &snapshot}};
  struct coracle_raft_event start = {.type = CORACLE_RAFT_START};
  struct coracle_raft_event event = {.type = CORACLE_RAFT_RECEIVE, .message = &offer};
  struct coracle_raft_effects effects;
  struct coracle_raft_status status;
  struct coracle_raft *raft;
  assert_int_equal(coracle_raft_new(&options, &raft), 0);
  assert_int_equal(coracle_raft_step(raft, &start, &effects), 0);
  assert_int_equal(coracle_raft_step(raft, &event, &effects), 0);
  assert_non_null(effects.persist.chunk.snapshot);
  assert_true(effects.persist.chunk.installs && !effects.persist.chunk.keep_log);
  assert_int_equal(effects.persist.chunk.n, 0);
  assert_int_equal(effects.commit_index, 7);
  assert_int_equal(effects.messages_n, 1);
  assert_int_equal(effects.messages[0].snapshot_reply.offset, 0);
  assert_int_equal(effects.messages[0].after_sequence, effects.persist.sequence);
  assert_int_equal(coracle_raft_snapshot(raft)->index, 7);
  coracle_raft_status(raft, 0, &status);
  assert_true(status.first_index == 8 && status.last_index == 7 && status.configuration_index == 4);
  assert_true(status.voter && status.configuration_committed && status.peers_n == 2);
  coracle_raft_free(raft);
}

/* ---- What the leader believes ---- */

static void a_leader_believes_no_answer_it_did_not_ask_for(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard();
  const struct coracle_raft_message *offer = cluster_find(c, 1, 3, CORACLE_RAFT_SNAPSHOT);
  const struct coracle_raft_snapshot *snapshot = coracle_raft_snapshot(cluster_server(c, 1)->raft);
  const struct coracle_raft_message right = {
      .type = CORACLE_RAFT_SNAPSHOT_REPLY,
      .from = 3,
      .to = 1,
      .term = offer->term,
      .round = offer->round,
      .snapshot_reply = {snapshot->index, snapshot->term, snapshot->tag, CHUNK_BYTES}};
  struct coracle_raft_message wrong = right;
  struct coracle_raft_counters counters = status_of(c, 1)->counters;
  wrong.round--, assert_int_equal(cluster_receive(c, 1, &wrong), 0), wrong = right;
  assert_int_equal(status_of(c, 1)->counters.dropped_stale, ++counters.dropped_stale);
  wrong.from = 2, assert_int_equal(cluster_receive(c, 1, &wrong), 0), wrong = right;
  assert_int_equal(status_of(c, 1)->counters.dropped_stale, ++counters.dropped_stale);
  wrong.snapshot_reply.index++, assert_int_equal(cluster_receive(c, 1, &wrong), 0), wrong = right;
  wrong.snapshot_reply.term++, assert_int_equal(cluster_receive(c, 1, &wrong), 0), wrong = right;
  wrong.snapshot_reply.tag++, assert_int_equal(cluster_receive(c, 1, &wrong), 0), wrong = right;
  wrong.snapshot_reply.offset = snapshot->bytes + 1, assert_int_equal(cluster_receive(c, 1, &wrong), 0);
  assert_int_equal(status_of(c, 1)->counters.dropped_invalid, counters.dropped_invalid + 4);
  assert_false(cluster_answer_chunk(c, 1)); /* nothing was asked for */
  assert_int_equal(cluster_receive(c, 1, &right), 0);
  assert_true(cluster_answer_chunk(c, 1));
  cluster_free(c);
}

static void an_application_may_answer_late_but_not_too_much(void **state) {
  (void)state;
  struct cluster *c = cluster_with_laggard();
  static uint8_t data[CHUNK_BYTES + 1];
  cluster_deliver(c, 1, 3, CORACLE_RAFT_SNAPSHOT);
  cluster_deliver(c, 3, 1, CORACLE_RAFT_SNAPSHOT_REPLY);
  const uint64_t index = coracle_raft_snapshot(cluster_server(c, 1)->raft)->index;
  const struct coracle_raft_event right = {.type = CORACLE_RAFT_SNAPSHOT_CHUNK,
                                           .chunk = {3, index, 0, data, CHUNK_BYTES}};
  struct coracle_raft_event event = right;
  event.chunk.n++;
  assert_int_equal(cluster_step(c, 1, &event), CORACLE_RAFT_EINVALID);
  event = right, event.chunk.peer = 2, assert_int_equal(cluster_step(c, 1, &event), 0);
  event = right, event.chunk.peer = 99, assert_int_equal(cluster_step(c, 1, &event), 0);
  event = right, event.chunk.index--, assert_int_equal(cluster_step(c, 1, &event), 0);
  event = right, event.chunk.offset++, assert_int_equal(cluster_step(c, 1, &event), 0);
  assert_null(cluster_find(c, 1, 3, CORACLE_RAFT_SNAPSHOT));
  cluster_cut(c, 1, 3);
  cluster_tell(c, 1, 3, AT_LEADER);
  event = right, assert_int_equal(cluster_step(c, 1, &event), 0); /* the stream has ended meanwhile */
  assert_null(cluster_find(c, 1, 3, CORACLE_RAFT_SNAPSHOT));
  event = right, assert_int_equal(cluster_step(c, 2, &event), 0); /* no leader at all */
  cluster_free(c);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(an_old_snapshot_changes_nothing),
      cmocka_unit_test(a_log_that_goes_on_from_it_is_kept),
      cmocka_unit_test(a_configuration_that_is_kept_stays_in_force),
      cmocka_unit_test(any_other_log_goes),
      cmocka_unit_test(nothing_is_acknowledged_before_the_image_is_durable),
      cmocka_unit_test(chunks_are_taken_in_their_order_only),
      cmocka_unit_test(impossible_snapshots_are_dropped),
      cmocka_unit_test(an_old_leaders_snapshot_is_not_taken),
      cmocka_unit_test(chunks_count_as_hearing_the_leader),
      cmocka_unit_test(an_empty_image_is_installed_with_its_offer),
      cmocka_unit_test(a_leader_believes_no_answer_it_did_not_ask_for),
      cmocka_unit_test(an_application_may_answer_late_but_not_too_much),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
