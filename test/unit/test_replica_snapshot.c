/* Goal: the log is compacted when it has outgrown both its limit and the image of the store; a replica that
 * comes late gets that image, as of one index whatever is written meanwhile, and ends with the same
 * documents; and what waited, or was established, is what it should be afterwards.
 *
 * Replicas in one process; what goes between them are the bytes that would go over the wire. Each stream is
 * open while both ends know of it. */
#include "replica/replica.h"

#include "base/queue.h"
#include "store/image.h"
#include "store_commands.h"
#include "wire/raft_message.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { REPLICAS = 3, HEARTBEAT_MS = 50, COMPACT_BYTES = 4000, CHUNK_BYTES = 300 };

struct parcel {
  uint64_t from, to;
  struct coracle_raft_message datagram; /* frame.n == 0 */
  struct bytes frame;
};

struct scene {
  uint64_t now_ms;
  struct replica *replicas[REPLICAS + 1]; /* by id */
  uint64_t unpersisted[REPLICAS + 1];
  uint64_t wakeup_ms[REPLICAS + 1];
  bool linked;
  struct queue parcels; /* of struct parcel */
  size_t chunks;        /* seen underway */
  uint64_t writes;
};

static struct replica *new_replica(uint64_t id) {
  struct replica_options options = {.raft = {.id = id,
                                             .heartbeat_ms = HEARTBEAT_MS,
                                             .election_timeout_ms = 10 * HEARTBEAT_MS,
                                             .chunk_bytes_max = CHUNK_BYTES},
                                    .compact_bytes = COMPACT_BYTES};
  memcpy(options.store_key, test_hash_key, sizeof options.store_key);
  options.store_key[0] = (uint8_t)id; /* every node has its own */
  return replica_new(&options);
}

static void carry_out(struct scene *s, uint64_t id, const struct coracle_raft_effects *effects) {
  if (effects->persist.sequence != 0) s->unpersisted[id] = effects->persist.sequence;
  s->wakeup_ms[id] = effects->wakeup_ms;
  for (size_t i = 0; i < effects->messages_n; i++) {
    const struct coracle_raft_message *message = &effects->messages[i];
    struct parcel parcel = {.from = id, .to = message->to};
    if (message->to > REPLICAS || s->replicas[message->to] == NULL) continue;
    if (raft_message_is_datagram(message)) {
      parcel.datagram = *message;
    } else {
      if (!s->linked) continue;
      s->chunks += message->type == CORACLE_RAFT_SNAPSHOT && message->snapshot.n > 0;
      raft_message_put_frame(&parcel.frame, message);
    }
    *(struct parcel *)queue_push(&s->parcels) = parcel;
  }
}

static int try_step(struct scene *s, uint64_t id, struct coracle_raft_event *event) {
  const struct coracle_raft_effects *effects;
  event->now_ms = s->now_ms;
  int error = replica_step(s->replicas[id], event, &effects);
  if (error == 0) carry_out(s, id, effects);
  return error;
}

static void step(struct scene *s, uint64_t id, struct coracle_raft_event event) {
  assert_int_equal(try_step(s, id, &event), 0);
}

static void deliver(struct scene *s) {
  struct parcel parcel = *(struct parcel *)queue_at(&s->parcels, 0);
  struct coracle_raft_message message = parcel.datagram;
  size_t consumed, needed;
  struct frame frame;
  queue_pop(&s->parcels);
  if (parcel.frame.n > 0) {
    assert_int_equal(frame_next(parcel.frame.data, parcel.frame.n, &consumed, &needed, &frame), 1);
    assert_int_equal(raft_message_from_frame(&frame, parcel.from, parcel.to, &message), 0);
  }
  step(s, parcel.to, (struct coracle_raft_event){.type = CORACLE_RAFT_RECEIVE, .message = &message});
  if (parcel.frame.n > 0) raft_message_close(&message);
  bytes_close(&parcel.frame);
}

/* What one turn of its loop does. */
static void turn(struct scene *s, uint64_t id) {
  struct replica *r = s->replicas[id];
  const struct coracle_raft_effects *effects;
  if (s->wakeup_ms[id] <= s->now_ms) step(s, id, (struct coracle_raft_event){.type = CORACLE_RAFT_TIMEOUT});
  replica_begin_turn(r);
  replica_flush(r, s->now_ms, &effects);
  if (effects != NULL) carry_out(s, id, effects);
  while (s->unpersisted[id] != 0) {
    const uint64_t sequence = s->unpersisted[id];
    s->unpersisted[id] = 0;
    step(s, id, (struct coracle_raft_event){.type = CORACLE_RAFT_PERSISTED, .persisted = sequence});
  }
  while (replica_tend(r, s->now_ms, &effects), effects != NULL) carry_out(s, id, effects);
}

/* Turns for everybody, and at most so many parcels. */
static void run(struct scene *s, size_t parcels) {
  do
    for (uint64_t id = 1; id <= REPLICAS; id++)
      if (s->replicas[id] != NULL) turn(s, id);
  while (s->parcels.n > 0 && parcels-- > 0 && (deliver(s), true));
}

static void settle(struct scene *s) {
  for (size_t i = 0; i == 0 || s->parcels.n > 0; i++) {
    assert_true(i < 1000);
    run(s, 100);
  }
}

static void pass_time(struct scene *s, uint64_t ms) {
  for (; ms > 0; ms--) {
    s->now_ms++;
    settle(s);
  }
}

/* Replica 1 leads a cluster of itself. */
static struct scene *scene_new(void) {
  struct scene *s = calloc(1, sizeof *s);
  assert_non_null(s);
  s->now_ms = 1000;
  s->parcels = QUEUE_OF(struct parcel);
  s->replicas[1] = new_replica(1);
  const struct coracle_raft_configuration founding = {.members_n = 1, .members = {{.id = 1, .voter = true}}};
  step(s, 1, (struct coracle_raft_event){.type = CORACLE_RAFT_START, .start = {.founding = &founding}});
  settle(s);
  return s;
}

static void drop_parcels(struct scene *s) {
  for (; s->parcels.n > 0; queue_pop(&s->parcels))
    bytes_close(&((struct parcel *)queue_at(&s->parcels, 0))->frame);
}

static void scene_free(struct scene *s) {
  drop_parcels(s);
  queue_close(&s->parcels);
  for (uint64_t id = 1; id <= REPLICAS; id++) replica_free(s->replicas[id]);
  free(s);
}

static void link_up(struct scene *s, uint64_t leader, uint64_t follower, bool up) {
  s->linked = up;
  if (!up) drop_parcels(s);
  const enum coracle_raft_event_type type = up ? CORACLE_RAFT_LINK_UP : CORACLE_RAFT_LINK_DOWN;
  step(s, follower, (struct coracle_raft_event){.type = type, .peer = leader});
  step(s, leader, (struct coracle_raft_event){.type = type, .peer = follower});
}

/* Replica 2 comes in, with nothing, and its stream is opened. */
static void join(struct scene *s) {
  struct coracle_raft_configuration next = *coracle_raft_latest_configuration(replica_raft(s->replicas[1]));
  next.members[next.members_n++] = (struct coracle_raft_member){.id = 2};
  s->replicas[2] = new_replica(2);
  s->wakeup_ms[2] = UINT64_MAX;
  step(s, 2, (struct coracle_raft_event){.type = CORACLE_RAFT_START});
  step(s, 1, (struct coracle_raft_event){.type = CORACLE_RAFT_CONF_CHANGE, .configuration = &next});
  link_up(s, 1, 2, true);
}

static void propose(struct scene *s, uint64_t documents) {
  char id[40], body[200];
  snprintf(id, sizeof id, "document-%llu", (unsigned long long)(s->writes % documents));
  snprintf(body, sizeof body, "{\"n\":%llu,\"padding\":\"%080d\"}", (unsigned long long)s->writes, 0);
  const struct command command = put_command("notes", id, body);
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(&command));
  command_encode(&command, entry->data);
  replica_propose(s->replicas[1], entry, 0, &s->writes);
  s->writes++;
}

static void write_many(struct scene *s, size_t n, uint64_t documents) {
  struct replica_result result;
  for (size_t i = 0; i < n; i++) {
    propose(s, documents);
    settle(s);
    assert_true(replica_next_result(s->replicas[1], &result));
    assert_int_equal(result.verdict, REPLICA_APPLIED);
    store_result_close(&result.store);
  }
}

static struct coracle_raft_status status_of(const struct scene *s, uint64_t id) {
  struct coracle_raft_status status;
  coracle_raft_status(replica_raft(s->replicas[id]), s->now_ms, &status);
  return status;
}

static uint64_t snapshot_index(const struct scene *s, uint64_t id) {
  return coracle_raft_snapshot(replica_raft(s->replicas[id]))->index;
}

static void assert_same_state(const struct scene *s, uint64_t one, uint64_t other) {
  const struct store *a = replica_store(s->replicas[one]), *b = replica_store(s->replicas[other]);
  assert_int_equal(replica_applied(s->replicas[one]), replica_applied(s->replicas[other]));
  assert_int_equal(store_documents(a), store_documents(b));
  assert_int_equal(store_revision(a), store_revision(b));
  assert_true(state_hash_equal(store_state_hash(a), store_state_hash(b)));
}

/* ---- Compaction ---- */

static void a_log_of_overwritten_documents_stays_small(void **state) {
  (void)state;
  struct scene *s = scene_new();
  uint64_t most = 0;
  for (int i = 0; i < 500; i++) {
    write_many(s, 1, 3);
    const uint64_t log_bytes = status_of(s, 1).log_bytes;
    if (log_bytes > most) most = log_bytes;
  }
  assert_true(most > COMPACT_BYTES / 2 && most <= COMPACT_BYTES + 200);
  assert_true(snapshot_index(s, 1) > 400);
  assert_true(status_of(s, 1).log_bytes >= COMPACT_BYTES / 4 - 200); /* something is kept for laggards */
  scene_free(s);
}

/* Of a reader's own view; what it kept from being released goes over several turns. */
static void a_view_that_is_given_back_is_released_a_little_at_a_time(void **state) {
  (void)state;
  enum { DOCUMENTS = 6000 };
  struct scene *s = scene_new();
  struct store_record *const *records, *kept[DOCUMENTS];
  size_t kept_n = 0, held = DOCUMENTS, turns = 0;
  write_many(s, DOCUMENTS, DOCUMENTS);
  struct store_view *view = store_view_take(replica_store(s->replicas[1]));
  for (size_t n; (n = store_view_records(view, kept_n > 0 ? kept[kept_n - 1] : NULL, &records)) > 0;)
    for (size_t i = 0; i < n; i++) kept[kept_n++] = store_record_ref(records[i]);
  assert_int_equal(kept_n, DOCUMENTS);
  write_many(s, 3 * DOCUMENTS, DOCUMENTS); /* until no image has the old ones either */
  for (int i = 0; i < 10; i++) turn(s, 1);
  for (size_t i = 0; i < DOCUMENTS; i++) assert_int_equal(kept[i]->references, 2);
  for (replica_retire_view(s->replicas[1], view); held > 0; turns++) {
    const size_t before = held;
    turn(s, 1);
    for (size_t i = held = 0; i < DOCUMENTS; i++) held += kept[i]->references > 1;
    assert_true(before - held <= 4096 + 64);
    assert_true(turns < 10);
  }
  assert_true(turns > 1);
  for (size_t i = 0; i < DOCUMENTS; i++) store_record_unref(kept[i]);
  scene_free(s);
}

/* To send the log is cheaper then. */
static void a_log_that_is_smaller_than_the_image_is_kept(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 200, UINT64_MAX);
  assert_true(status_of(s, 1).log_bytes > 4 * COMPACT_BYTES);
  assert_int_equal(snapshot_index(s, 1), 0);
  write_many(s, 20, 20); /* some of them again */
  assert_true(snapshot_index(s, 1) > 200);
  scene_free(s);
}

/* Or a snapshot would not say that anybody counts on the cluster. */
static void a_log_that_establishes_nothing_is_kept(void **state) {
  (void)state;
  struct scene *s = scene_new();
  struct coracle_raft_configuration next = *coracle_raft_latest_configuration(replica_raft(s->replicas[1]));
  next.members_n = 2;
  for (uint8_t i = 0; i < 40; i++) { /* a learner, known under ever other addresses */
    next.members[1] = (struct coracle_raft_member){.id = 9, .data_bytes = 300, .data = {i}};
    step(s, 1, (struct coracle_raft_event){.type = CORACLE_RAFT_CONF_CHANGE, .configuration = &next});
    settle(s);
  }
  assert_true(status_of(s, 1).log_bytes > 2 * COMPACT_BYTES);
  assert_int_equal(snapshot_index(s, 1), 0);
  assert_false(replica_is_established(s->replicas[1]));
  write_many(s, 1, 1);
  settle(s);
  assert_int_equal(snapshot_index(s, 1), replica_applied(s->replicas[1]));
  scene_free(s);
}

/* ---- Transfers ---- */

static void a_late_replica_gets_all_documents(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 300, 7);
  assert_true(status_of(s, 1).first_index > 100);
  join(s);
  settle(s);
  assert_true(s->chunks > 2);
  assert_int_equal(snapshot_index(s, 2), snapshot_index(s, 1));
  assert_true(replica_is_established(s->replicas[2]));
  assert_same_state(s, 1, 2);
  pass_time(s, 12 * HEARTBEAT_MS);
  assert_int_equal(
      coracle_raft_configuration_voters(coracle_raft_latest_configuration(replica_raft(s->replicas[2]))), 2);
  write_many(s, 100, 7); /* and both compact on their own */
  assert_true(snapshot_index(s, 2) > 300);
  pass_time(s, HEARTBEAT_MS);
  assert_same_state(s, 1, 2);
  scene_free(s);
}

/* The second replica leads, alone, and has nothing but what was installed there. */
static void what_was_installed_can_be_given_on(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 300, 7);
  join(s);
  pass_time(s, 12 * HEARTBEAT_MS); /* both are voters */
  step(s, 1, (struct coracle_raft_event){.type = CORACLE_RAFT_TRANSFER, .peer = 2});
  settle(s);
  assert_int_equal(status_of(s, 2).role, CORACLE_RAFT_LEADER);
  pass_time(s, HEARTBEAT_MS);
  link_up(s, 2, 1, true);
  settle(s);
  const uint64_t index = snapshot_index(s, 2);
  replica_free(s->replicas[1]);
  s->replicas[1] = NULL;

  const struct coracle_raft_configuration next = {.members_n = 2,
                                                  .members = {{.id = 2, .voter = true}, {.id = 3}}};
  s->replicas[3] = new_replica(3);
  s->wakeup_ms[3] = UINT64_MAX;
  step(s, 3, (struct coracle_raft_event){.type = CORACLE_RAFT_START});
  step(s, 2, (struct coracle_raft_event){.type = CORACLE_RAFT_CONF_CHANGE, .configuration = &next});
  s->chunks = 0;
  link_up(s, 2, 3, true);
  settle(s);
  assert_true(s->chunks > 2);
  assert_int_equal(snapshot_index(s, 3), index);
  assert_same_state(s, 2, 3);
  scene_free(s);
}

static void writes_do_not_change_an_image_on_its_way(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 300, 40);
  join(s);
  size_t turns = 0;
  while (replica_applied(s->replicas[2]) == 0) { /* a parcel, then a write: of documents in the image */
    assert_true(turns++ < 1000);
    propose(s, 40);
    run(s, 1);
  }
  assert_true(turns > 5);
  settle(s);
  assert_same_state(s, 1, 2);
  struct replica_result result;
  while (replica_next_result(s->replicas[1], &result)) store_result_close(&result.store);
  scene_free(s);
}

static void a_newer_snapshot_leaves_the_one_on_its_way_alone(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 300, 30);
  const uint64_t older = snapshot_index(s, 1);
  join(s);
  for (int i = 0; i < 6; i++) run(s, 1);
  assert_int_equal(status_of(s, 1).peers[1].snapshot_index, older);
  for (int i = 0; i < 120; i++) { /* without its acknowledgements nothing more is sent to it */
    propose(s, 30);
    turn(s, 1);
  }
  assert_true(snapshot_index(s, 1) > older);
  assert_int_equal(status_of(s, 1).peers[1].snapshot_index, older);
  while (snapshot_index(s, 2) == 0) run(s, 1);
  assert_int_equal(snapshot_index(s, 2), older);
  settle(s);
  assert_same_state(s, 1, 2);
  struct replica_result result;
  while (replica_next_result(s->replicas[1], &result)) store_result_close(&result.store);
  scene_free(s);
}

static void a_broken_stream_is_gone_on_with(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 300, 40);
  const uint64_t bytes = coracle_raft_snapshot(replica_raft(s->replicas[1]))->bytes;
  join(s);
  while (status_of(s, 1).peers[1].snapshot_bytes < bytes / 2) run(s, 1);
  const uint64_t acknowledged = status_of(s, 1).peers[1].snapshot_bytes;
  link_up(s, 1, 2, false);
  s->chunks = 0;
  link_up(s, 1, 2, true);
  settle(s);
  assert_same_state(s, 1, 2);
  assert_true(s->chunks <= (bytes - acknowledged) / CHUNK_BYTES + 1);
  assert_true(s->chunks > 0);
  scene_free(s);
}

/* ---- What else depends on it ---- */

/* A leader that was deposed, with proposals that it never hears of again. */
static void waiters_are_not_passed_over(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 300, 7);
  join(s);
  pass_time(s, 12 * HEARTBEAT_MS);
  link_up(s, 1, 2, false);
  for (int i = 0; i < 3; i++) propose(s, 7);
  turn(s, 1); /* in the log, and nowhere else */
  assert_int_equal(replica_waiting(s->replicas[1]), 3);

  struct coracle_raft_snapshot snapshot = *coracle_raft_snapshot(replica_raft(s->replicas[2]));
  struct store_view *view = store_view_take(replica_store(s->replicas[2]));
  struct image_encoder *encoder = image_encoder_new(view);
  uint8_t image[8000];
  snapshot.index = status_of(s, 1).last_index + 5;
  snapshot.term = status_of(s, 1).term + 1;
  snapshot.configuration_index = status_of(s, 1).configuration_index;
  snapshot.configuration = *coracle_raft_latest_configuration(replica_raft(s->replicas[1]));
  snapshot.bytes = image_encoder_read(encoder, 0, image, sizeof image);
  snapshot.tag = image_encoder_tag(encoder);
  struct coracle_raft_message message = {.type = CORACLE_RAFT_SNAPSHOT,
                                         .from = 2,
                                         .to = 1,
                                         .term = snapshot.term,
                                         .snapshot = {.snapshot = &snapshot}};
  for (int i = 0; i < 2; i++) { /* the offer, and all of it in one chunk */
    step(s, 1, (struct coracle_raft_event){.type = CORACLE_RAFT_RECEIVE, .message = &message});
    message.snapshot.data = image;
    message.snapshot.n = snapshot.bytes;
  }
  assert_int_equal(replica_applied(s->replicas[1]), snapshot.index);
  for (int i = 0; i < 3; i++) {
    struct replica_result result;
    assert_true(replica_next_result(s->replicas[1], &result));
    assert_int_equal(result.verdict, REPLICA_UNKNOWN);
  }
  assert_int_equal(replica_waiting(s->replicas[1]), 0);
  image_encoder_free(encoder);
  store_view_free(view);
  scene_free(s);
}

static void a_read_waits_for_what_an_image_brings(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 300, 7);
  struct replica_read read = {.waiter = &read, .min_revision = 250, .deadline_ms = UINT64_MAX};
  struct replica_result result;
  join(s);
  replica_read(s->replicas[2], &read);
  assert_false(replica_next_result(s->replicas[2], &result));
  settle(s);
  assert_true(replica_next_result(s->replicas[2], &result));
  assert_ptr_equal(result.waiter, &read);
  assert_int_equal(result.verdict, REPLICA_READABLE);
  scene_free(s);
}

enum { PIECE_BYTES = 100 };

static bool next_image(void *context, struct slice *piece) {
  struct slice *unread = context;
  if (unread->at == NULL) return false; /* it cannot be read */
  *piece = *unread;
  if (piece->n > PIECE_BYTES) piece->n = PIECE_BYTES;
  unread->at += piece->n;
  unread->n -= piece->n;
  return true;
}

static void a_restart_begins_with_the_image(void **state) {
  (void)state;
  struct scene *s = scene_new();
  write_many(s, 300, 7);
  while (snapshot_index(s, 1) != replica_applied(s->replicas[1])) {
    write_many(s, 1, 7);
    settle(s); /* it is taken when a turn begins */
  }
  const struct coracle_raft_snapshot *snapshot = coracle_raft_snapshot(replica_raft(s->replicas[1]));
  struct store_view *view = store_view_take(replica_store(s->replicas[1]));
  struct image_encoder *encoder = image_encoder_new(view);
  struct bytes image = {0};
  bytes_reserve(&image, snapshot->bytes);
  image.n = image_encoder_read(encoder, 0, image.data, snapshot->bytes);

  const struct coracle_raft_effects *effects;
  const struct coracle_raft_restored restored = {.term = 3, .voted_for = 1, .snapshot = snapshot};
  struct slice unread = slice_of_bytes(&image);
  const struct replica_image source = {next_image, &unread};
  s->replicas[2] = new_replica(1);
  assert_int_equal(replica_restore(s->replicas[2], &restored, &source, s->now_ms, &effects), 0);
  assert_true(replica_is_established(s->replicas[2]));
  assert_same_state(s, 1, 2);
  bytes_close(&image);
  image_encoder_free(encoder);
  store_view_free(view);
  scene_free(s);
}

static void assert_ends_the_process(struct slice unread) {
  const struct coracle_raft_snapshot snapshot = {
      .index = 7,
      .term = 1,
      .bytes = 100,
      .configuration_index = 1,
      .configuration = {.members_n = 1, .members = {{.id = 1, .voter = true}}}};
  const struct coracle_raft_restored restored = {.term = 1, .snapshot = &snapshot};
  int status;
  pid_t child = fork();
  assert_true(child >= 0);
  if (child == 0) {
    const struct coracle_raft_effects *effects;
    dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
    signal(SIGABRT, SIG_DFL);
    const struct replica_image source = {next_image, &unread};
    int error = replica_restore(new_replica(1), &restored, &source, 1, &effects);
    _exit(error == 0 ? 0 : 1);
  }
  assert_int_equal(waitpid(child, &status, 0), child);
  assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void an_unknown_image_ends_the_process(void **state) {
  (void)state;
  static const char unknown[100] = "CRCI\x02";
  assert_ends_the_process((struct slice){unknown, sizeof unknown});
}

static void an_image_that_cannot_be_read_ends_the_process(void **state) {
  (void)state;
  assert_ends_the_process((struct slice){NULL, 100});
  assert_ends_the_process(slice_of("")); /* it ends at once */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(a_log_of_overwritten_documents_stays_small),
      cmocka_unit_test(a_view_that_is_given_back_is_released_a_little_at_a_time),
      cmocka_unit_test(a_log_that_is_smaller_than_the_image_is_kept),
      cmocka_unit_test(a_log_that_establishes_nothing_is_kept),
      cmocka_unit_test(a_late_replica_gets_all_documents),
      cmocka_unit_test(what_was_installed_can_be_given_on),
      cmocka_unit_test(writes_do_not_change_an_image_on_its_way),
      cmocka_unit_test(a_newer_snapshot_leaves_the_one_on_its_way_alone),
      cmocka_unit_test(a_broken_stream_is_gone_on_with),
      cmocka_unit_test(waiters_are_not_passed_over),
      cmocka_unit_test(a_read_waits_for_what_an_image_brings),
      cmocka_unit_test(a_restart_begins_with_the_image),
      cmocka_unit_test(an_unknown_image_ends_the_process),
      cmocka_unit_test(an_image_that_cannot_be_read_ends_the_process),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
