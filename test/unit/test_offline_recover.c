/* Goal: a data directory that was recovered holds all that it held, as the sole voter of a cluster that
 * nobody knows; and whatever goes wrong on the way, it holds that or what it held before.
 *
 * Recovery is cut short at every change it makes of the directory, by a kill or a power cut, and every
 * operation it makes fails once. What is there then is opened as a start would open it. */
#include "offline/recover.h"

#include "base/random.h"
#include "coracle/raft.h"
#include "offline/state.h"
#include "offline_scene.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct recovery_identity identity = {
    .id = 0x7777, .cluster = {0xee, 0xff}, .start_min = 1000, .salt_seed = 3};

enum outcome { OLD, NEW };

/* ---- What is there ---- */

static void assert_new(const struct scene *scene, const struct disk_found *found) {
  assert_int_equal(found->id, identity.id);
  assert_memory_equal(found->cluster, identity.cluster, DISK_CLUSTER_BYTES);
  assert_int_equal(found->entries_n, 0);
  assert_int_equal(found->snapshot.index, scene->last_index + 1);
  assert_int_equal(found->snapshot.configuration_index, scene->last_index + 1);
  assert_int_equal(found->snapshot.configuration.members_n, 1);
  const struct coracle_raft_member *self = &found->snapshot.configuration.members[0];
  assert_int_equal(self->id, identity.id);
  assert_true(self->voter);
  assert_int_equal(self->data_bytes, 1); /* what it said of itself before: "a" */
  assert_int_equal(self->data[0], 'a');
  assert_true(found->raft.term > scene->term && found->snapshot.term <= found->raft.term);
  assert_true(found->start > 1000);
}

static void assert_old(const struct scene *scene, const struct disk_found *found) {
  assert_int_equal(found->id, scene_id);
  assert_memory_equal(found->cluster, scene_cluster, DISK_CLUSTER_BYTES);
  assert_int_equal(found->raft.term, scene->term);
  assert_int_equal(found->raft.voted_for, 0x2222);
  const uint64_t last =
      found->entries_n > 0 ? found->entries[found->entries_n - 1]->index : found->snapshot.index;
  assert_int_equal(last, scene->last_index);
}

/* Opens it as a start does: one or the other, with every document and its revision. */
static enum outcome look(const struct scene *scene, const struct files *files) {
  const struct disk_options options = scene_options();
  struct disk *disk;
  struct disk_found found;
  struct disk_fault fault = {0};
  struct store *store;
  if (disk_open(files, &options, &disk, &found, &fault) != 0) fail_msg("%s", fault.text);
  if (found.image != NULL) snapshot_reader_rewind(found.image);
  if (state_build(&found, scene_key, &store, &fault) != 0) fail_msg("%s", fault.text);
  assert_true(state_hash_equal(store_state_hash(store), store_state_hash(scene->store)));
  assert_int_equal(store_revision(store), store_revision(scene->store));
  store_free(store);
  const enum outcome outcome = found.id == identity.id ? NEW : OLD;
  if (outcome == NEW)
    assert_new(scene, &found);
  else
    assert_old(scene, &found);
  disk_found_close(&found);
  disk_free(disk);
  return outcome;
}

static int carry_out(struct fake_files *files) {
  struct disk_fault fault = {0};
  const int error = recovery_carry_out(fake_files_table(files), &identity, scene_key, &fault);
  assert_true(error == 0 || *fault.text != '\0');
  return error;
}

/* Nothing of the old life is left. */
static void assert_tidy(const struct scene *scene, const struct fake_files *files) {
  char expected[FILES_NAME_BYTES_MAX];
  size_t n;
  char **names = fake_files_names(files, &n);
  snapshot_name(scene->last_index + 1, expected);
  for (size_t i = 0; i < n; i++) {
    assert_true(strncmp(names[i], "log/", 4) != 0);
    assert_true(strncmp(names[i], "snapshot/", 9) != 0 || strcmp(names[i], expected) == 0);
    free(names[i]);
  }
  free(names);
}

/* ---- Without a fault ---- */

static void test_it_holds_all_that_it_held(void **state) {
  (void)state;
  for (int shape = 0; shape < SCENE_SHAPES_N; shape++) {
    struct scene scene = scene_new((enum scene_shape)shape, 1);
    assert_int_equal(look(&scene, scene.table), OLD);
    assert_int_equal(carry_out(scene.files), 0);
    assert_tidy(&scene, scene.files);
    fake_files_cut_power(scene.files, FAKE_LOSE_ALL);
    assert_int_equal(look(&scene, scene.table), NEW);
    assert_int_equal(carry_out(scene.files), CORACLE_ENOTFOUND); /* it is the only voter now */
    assert_int_equal(look(&scene, scene.table), NEW);
    scene_close(&scene);
  }
}

static void test_looking_tells_all_and_changes_nothing(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 2);
  struct recovery recovery;
  struct disk_fault fault;
  const uint64_t changes = fake_files_count(scene.files, FAKE_CHANGES);
  assert_int_equal(recovery_look(scene.table, scene_key, &recovery, &fault), 0);
  assert_int_equal(fake_files_count(scene.files, FAKE_CHANGES), changes);
  assert_int_equal(recovery.id, scene_id);
  assert_memory_equal(recovery.cluster, scene_cluster, DISK_CLUSTER_BYTES);
  assert_int_equal(recovery.term, scene.term);
  assert_int_equal(recovery.last_index, scene.last_index);
  assert_int_equal(recovery.documents, store_documents(scene.store));
  assert_int_equal(recovery.document_bytes, store_bytes(scene.store));
  assert_int_equal(recovery.keys, store_keys(scene.store));
  assert_true(recovery.keys > 0);
  assert_int_equal(recovery.revision, store_revision(scene.store));
  assert_int_equal(recovery.configuration.members_n, 3);
  assert_int_equal(fake_files_handles(scene.files), 0);
  scene_close(&scene);
}

/* The core takes it, and leads at once: there is nobody else to ask. */
static void test_the_node_leads_alone(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 3);
  const struct disk_options options = scene_options();
  const struct coracle_raft_options raft_options = {.id = identity.id,
                                                    .seed = 1,
                                                    .heartbeat_ms = 50,
                                                    .election_timeout_ms = 500,
                                                    .uncommitted_bytes_max = 1 << 20};
  struct coracle_raft_effects effects;
  struct coracle_raft_status status;
  struct coracle_raft *raft;
  struct disk *disk;
  struct disk_found found;
  struct disk_fault fault;
  assert_int_equal(carry_out(scene.files), 0);
  assert_int_equal(disk_open(scene.table, &options, &disk, &found, &fault), 0);
  assert_int_equal(coracle_raft_new(&raft_options, &raft), 0);
  struct coracle_raft_event event = {.type = CORACLE_RAFT_START, .start = {.restored = &found.raft}};
  assert_int_equal(coracle_raft_step(raft, &event, &effects), 0);
  event = (struct coracle_raft_event){.type = CORACLE_RAFT_CAMPAIGN, .now_ms = 1};
  assert_int_equal(coracle_raft_step(raft, &event, &effects), 0);
  event = (struct coracle_raft_event){
      .type = CORACLE_RAFT_PERSISTED, .now_ms = 2, .persisted = effects.persist.sequence};
  assert_int_equal(coracle_raft_step(raft, &event, &effects), 0);
  coracle_raft_status(raft, 2, &status);
  assert_int_equal(status.role, CORACLE_RAFT_LEADER);
  assert_int_equal(status.last_index, scene.last_index + 2); /* its no-op */
  coracle_raft_free(raft);
  disk_found_close(&found);
  disk_free(disk);
  scene_close(&scene);
}

static void test_there_may_be_nothing_to_recover(void **state) {
  (void)state;
  struct fake_files *files = fake_files_new(4);
  const struct disk_options options = scene_options();
  struct disk *disk;
  struct disk_found found;
  struct disk_fault fault;
  assert_int_equal(disk_open(fake_files_table(files), &options, &disk, &found, &fault), 0);
  disk_found_close(&found);
  disk_free(disk);
  assert_int_equal(carry_out(files), CORACLE_ENOTFOUND); /* fresh */
  fake_files_free(files);
}

static void test_what_is_damaged_is_left_alone(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 5);
  char name[FILES_NAME_BYTES_MAX];
  size_t n;
  char **names = fake_files_names(scene.files, &n);
  for (size_t i = 0; i < n; i++) {
    if (strncmp(names[i], "snapshot/", 9) == 0) strcpy(name, names[i]);
    free(names[i]);
  }
  free(names);
  fake_files_flip(scene.files, name, 600, 1);
  assert_int_equal(carry_out(scene.files), CORACLE_EDAMAGED);
  fake_files_flip(scene.files, name, 600, 1);
  assert_int_equal(look(&scene, scene.table), OLD);
  scene_close(&scene);
}

static void put_snapshot(const struct scene *scene, uint64_t index, uint64_t generation) {
  const struct stamp stamp = {.id = identity.id, .generation = generation};
  struct coracle_raft_snapshot snapshot = {.index = index, .term = scene->term};
  struct snapshot_writer *writer;
  struct disk_fault fault;
  snapshot.configuration.members[snapshot.configuration.members_n++] =
      (struct coracle_raft_member){.id = identity.id, .voter = true};
  assert_int_equal(snapshot_writer_new(scene->table, &stamp, &snapshot, &writer, &fault), 0);
  assert_int_equal(snapshot_writer_finish(writer, &fault), 0);
  snapshot_writer_free(writer);
}

/* What a recovery that was cut short leaves is removed; a snapshot of a later life that came here in another
 * way is somebody's, and stays. */
static void test_only_what_was_cut_short_is_removed(void **state) {
  static const struct {
    int64_t after_last;
    uint64_t generation;
    bool is_removed;
  } cases[] = {{1, 3, true}, {1, 4, false}, {2, 3, false}, {0, 3, false}};
  (void)state;
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct scene scene = scene_new(SCENE_LOG, 9);
    const struct disk_options options = scene_options();
    const uint64_t index = scene.last_index + (uint64_t)cases[i].after_last;
    struct disk *disk;
    struct disk_found found;
    struct disk_fault fault;
    char name[FILES_NAME_BYTES_MAX];
    snapshot_name(index, name);
    put_snapshot(&scene, index, cases[i].generation);
    if (cases[i].is_removed) { /* for good: when the log has grown, it would look like the others */
      scene_go_on(&scene);
      fake_files_cut_power(scene.files, FAKE_LOSE_ALL);
      assert_int_equal(look(&scene, scene.table), OLD);
    } else {
      assert_int_equal(disk_open(scene.table, &options, &disk, &found, &fault), CORACLE_EDAMAGED);
      assert_non_null(strstr(fault.text, name));
      assert_int_equal(carry_out(scene.files), CORACLE_EDAMAGED);
    }
    assert_int_equal(fake_files_exists(scene.files, name), !cases[i].is_removed);
    scene_close(&scene);
  }
}

/* ---- Faults ---- */

static uint64_t changes_of_recovery(const struct scene *scene) {
  struct fake_files *files = fake_files_copy(scene->files, 1);
  const uint64_t before = fake_files_count(files, FAKE_CHANGES);
  assert_int_equal(carry_out(files), 0);
  const uint64_t changes = fake_files_count(files, FAKE_CHANGES) - before;
  fake_files_free(files);
  return changes;
}

/* 0: a kill; 1 and 2: a power cut that loses all that it can, or nothing; from 3 on: any part. */
static void end(struct fake_files *files, uint64_t how) {
  if (how == 0)
    fake_files_kill(files);
  else
    fake_files_cut_power(files, how == 1 ? FAKE_LOSE_ALL : how == 2 ? FAKE_LOSE_NONE : FAKE_RANDOM);
}

/* A second crash while what the first left is opened. */
static void crash_again(struct fake_files *files, struct random *random) {
  const struct disk_options options = scene_options();
  struct disk *disk = NULL;
  struct disk_found found;
  struct disk_fault fault;
  fake_files_crash_after(files, random_below(random, 12));
  if (disk_open(fake_files_table(files), &options, &disk, &found, &fault) == 0) {
    disk_found_close(&found);
    disk_free(disk);
  }
  end(files, random_below(random, 5));
}

static void crash_at(const struct scene *scene, uint64_t change, uint64_t how, uint64_t *outcomes) {
  struct fake_files *files = fake_files_copy(scene->files, 1000 * change + how);
  struct random random = {1000 * change + how};
  fake_files_crash_after(files, change);
  assert_int_not_equal(carry_out(files), 0);
  assert_true(fake_files_has_crashed(files));
  end(files, how);
  if (how % 2 == 1) crash_again(files, &random);
  const enum outcome outcome = look(scene, fake_files_table(files));
  outcomes[outcome]++;
  assert_int_equal(carry_out(files), outcome == OLD ? 0 : CORACLE_ENOTFOUND);
  assert_int_equal(look(scene, fake_files_table(files)), NEW);
  assert_tidy(scene, files);
  fake_files_free(files);
}

static void test_a_crash_leaves_one_or_the_other(void **state) {
  enum { WAYS = 30 };
  (void)state;
  for (int shape = 0; shape < SCENE_SHAPES_N; shape++) {
    struct scene scene = scene_new((enum scene_shape)shape, 6);
    const uint64_t changes = changes_of_recovery(&scene);
    uint64_t outcomes[2] = {0};
    for (uint64_t change = 0; change < changes; change++)
      for (uint64_t how = 0; how < WAYS; how++) crash_at(&scene, change, how, outcomes);
    assert_true(outcomes[OLD] > 0 && outcomes[NEW] > 0);
    scene_close(&scene);
  }
}

static void test_an_error_leaves_one_or_the_other(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_BOTH, 7);
  uint64_t failed = 0;
  for (uint64_t at = 0;; at++) {
    struct fake_files *files = fake_files_copy(scene.files, at);
    fake_files_fail(files, FAKE_ALL, at, -EIO);
    const int error = carry_out(files);
    const bool was_reached = fake_files_failed(files) > 0;
    fake_files_cut_power(files, FAKE_RANDOM);
    const enum outcome outcome = look(&scene, fake_files_table(files));
    if (error == 0) assert_int_equal(outcome, NEW);
    failed += error != 0;
    fake_files_free(files);
    if (!was_reached) break;
  }
  assert_true(failed > 20);
  scene_close(&scene);
}

static void test_a_full_disk_leaves_it_as_it_was(void **state) {
  (void)state;
  struct scene scene = scene_new(SCENE_SNAPSHOT, 8);
  uint64_t full = 0;
  for (uint64_t room = 0, error = 1; error != 0; room += FAKE_BLOCK_BYTES) {
    struct fake_files *files = fake_files_copy(scene.files, room);
    fake_files_set_room(files, room);
    const int result = carry_out(files);
    assert_true(result == 0 || result == CORACLE_EFULL);
    error = result != 0;
    full += error;
    assert_false(fake_files_exists(files, "snapshot/incoming")); /* which would keep it full */
    fake_files_set_room(files, UINT64_MAX);
    assert_int_equal(look(&scene, fake_files_table(files)), error == 0 ? NEW : OLD);
    if (error != 0) assert_int_equal(carry_out(files), 0);
    fake_files_free(files);
  }
  assert_true(full > 5);
  scene_close(&scene);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_it_holds_all_that_it_held),
      cmocka_unit_test(test_looking_tells_all_and_changes_nothing),
      cmocka_unit_test(test_the_node_leads_alone),
      cmocka_unit_test(test_there_may_be_nothing_to_recover),
      cmocka_unit_test(test_what_is_damaged_is_left_alone),
      cmocka_unit_test(test_only_what_was_cut_short_is_removed),
      cmocka_unit_test(test_a_crash_leaves_one_or_the_other),
      cmocka_unit_test(test_an_error_leaves_one_or_the_other),
      cmocka_unit_test(test_a_full_disk_leaves_it_as_it_was),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
