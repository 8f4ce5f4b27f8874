/* Goal: whatever moment a process or a machine ends at, its data directory holds a first part of what was
 * asked for, in order, and all that was told to be durable.
 *
 * A script of random items is written in batches to a directory in memory. A model keeps the state after
 * every item; what recovery finds must be one of these states. The script is cut short at every change of the
 * directory there is, by a kill or a power cut, and so is the recovery; then it goes on from what was found.
 */
#include "disk/disk.h"

#include "base/memory.h"
#include "base/random.h"
#include "fake_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <xxhash.h>

#include <cmocka.h>

enum {
  ITEMS = 40,
  SEGMENT_BYTES = 4096,
  ENTRIES_MAX = 1000,
  IMAGE_BYTES_MAX = 3000,
  CHUNK_BYTES = 700,
  FRESH_ID = 99
};

/* What is durable, or will be. Entries before the snapshot are nobody's business. */
struct model {
  uint64_t id, term, voted_for;
  uint8_t cluster[DISK_CLUSTER_BYTES];
  struct coracle_raft_snapshot snapshot;
  uint64_t image_hash;
  struct coracle_raft_entry *entries[ENTRIES_MAX]; /* after the snapshot, at first */
  size_t entries_n;
};

struct run {
  struct random random;
  struct fake_files *files;
  struct disk *disk;
  struct batch *batch;
  struct model model;
  uint64_t digests[2 * ITEMS + 2]; /* of the state after each sequence; [0]: at the start of the process */
  uint64_t sequence, durable;
  /* An image on its way. */
  struct coracle_raft_snapshot incoming;
  uint8_t image[IMAGE_BYTES_MAX];
  uint64_t sent;
  bool keep, own;
};

/* ---- The model ---- */

static void drop_entries(struct model *model, size_t from) {
  while (model->entries_n > from) coracle_raft_entry_unref(model->entries[--model->entries_n]);
}

static uint64_t last_index(const struct model *model) {
  return model->entries_n > 0 ? model->entries[model->entries_n - 1]->index : model->snapshot.index;
}

static void truncate_from(struct model *model, uint64_t index) {
  while (model->entries_n > 0 && last_index(model) >= index) drop_entries(model, model->entries_n - 1);
}

static void drop_before(struct model *model, uint64_t index) {
  size_t n = 0;
  while (n < model->entries_n && model->entries[n]->index <= index)
    coracle_raft_entry_unref(model->entries[n++]);
  model->entries_n -= n;
  memmove(model->entries, model->entries + n, model->entries_n * sizeof model->entries[0]);
}

static uint64_t mix(uint64_t hash, const void *data, size_t n) {
  return XXH3_64bits_withSeed(data, n, hash + 1);
}

static uint64_t digest_of(const struct model *model) {
  const uint64_t facts[] = {model->id,
                            model->term,
                            model->voted_for,
                            model->snapshot.index,
                            model->snapshot.term,
                            model->snapshot.bytes,
                            model->snapshot.tag,
                            model->snapshot.index > 0 ? model->image_hash : 0};
  uint64_t hash = mix(0, facts, sizeof facts);
  hash = mix(hash, model->cluster, sizeof model->cluster);
  for (size_t i = 0; i < model->entries_n; i++) {
    const struct coracle_raft_entry *entry = model->entries[i];
    const uint64_t head[] = {entry->index, entry->term, entry->type, entry->bytes};
    if (entry->index <= model->snapshot.index) continue;
    hash = mix(hash, head, sizeof head);
    hash = mix(hash, entry->data, entry->bytes);
  }
  return hash;
}

/* What recovery has found, as a model. */
static void take_found(struct model *model, struct disk_found *found) {
  struct disk_fault fault;
  struct slice block;
  drop_entries(model, 0);
  model->id = found->id;
  model->term = found->raft.term;
  model->voted_for = found->raft.voted_for;
  memcpy(model->cluster, found->cluster, sizeof model->cluster);
  model->snapshot = found->snapshot;
  model->image_hash = 0;
  while (found->image != NULL) {
    assert_int_equal(snapshot_reader_next(found->image, &block, &fault), 0);
    if (block.n == 0) break;
    model->image_hash = mix(model->image_hash, block.at, block.n);
  }
  for (size_t i = 0; i < found->entries_n; i++)
    if (found->entries[i]->index > found->snapshot.index)
      model->entries[model->entries_n++] = coracle_raft_entry_ref(found->entries[i]);
}

/* ---- The script ---- */

static uint64_t dice(struct run *run, uint64_t limit) {
  return random_below(&run->random, limit);
}

static struct coracle_raft_entry *new_entry(struct run *run, uint64_t index) {
  const size_t bytes = dice(run, 8) == 0 ? dice(run, 2 * SEGMENT_BYTES) : dice(run, 300);
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, bytes);
  entry->index = index;
  entry->term = run->model.term;
  for (size_t i = 0; i < bytes; i++) entry->data[i] = (uint8_t)dice(run, 4); /* zeros are in it */
  return entry;
}

static void append(struct run *run, struct coracle_raft_persist *raft, struct coracle_raft_entry **entries) {
  raft->entries = entries;
  raft->entries_n = 1 + dice(run, 4);
  for (size_t i = 0; i < raft->entries_n; i++) {
    entries[i] = new_entry(run, last_index(&run->model) + 1);
    run->model.entries[run->model.entries_n++] = entries[i]; /* the model's reference */
  }
}

static void vote(struct run *run, struct coracle_raft_persist *raft) {
  raft->vote_changed = true;
  raft->term = run->model.term += 1 + dice(run, 2);
  raft->voted_for = run->model.voted_for = dice(run, 3);
}

static void begin_image(struct run *run) {
  const struct model *model = &run->model;
  const uint64_t last = last_index(model);
  run->own = last > model->snapshot.index && dice(run, 2) == 0;
  const uint64_t index = run->own ? model->snapshot.index + 1 + dice(run, last - model->snapshot.index)
                                  : last + 1 + dice(run, 5);
  uint64_t term = model->term;
  for (size_t i = 0; i < model->entries_n; i++)
    if (model->entries[i]->index == index) term = model->entries[i]->term;
  run->keep = run->own;
  run->incoming = (struct coracle_raft_snapshot){
      .index = index,
      .term = term,
      .bytes = 1 + dice(run, IMAGE_BYTES_MAX),
      .tag = random_next(&run->random),
      .configuration_index = 1,
      .configuration = {.members_n = 1, .members = {{.id = 7, .voter = true}}}};
  for (size_t i = 0; i < run->incoming.bytes; i++) run->image[i] = (uint8_t)dice(run, 256);
  run->sent = 0;
}

static void install(struct run *run) {
  struct model *model = &run->model;
  model->snapshot = run->incoming;
  model->image_hash = mix(0, run->image, run->incoming.bytes);
  if (run->keep)
    drop_before(model, run->incoming.index);
  else
    drop_entries(model, 0);
  run->incoming.index = 0;
}

static void send_chunk(struct run *run, struct coracle_raft_persist *raft) {
  const uint64_t left = run->incoming.bytes - run->sent;
  raft->chunk.snapshot = &run->incoming;
  raft->chunk.offset = run->sent;
  raft->chunk.data = run->image + run->sent;
  raft->chunk.n = left < CHUNK_BYTES ? left : CHUNK_BYTES;
  run->sent += raft->chunk.n;
  raft->chunk.installs = run->sent == run->incoming.bytes;
  raft->chunk.keep_log = raft->chunk.installs && run->keep;
}

static void found_cluster(struct run *run, struct batch_item *item, struct coracle_raft_persist *raft) {
  struct model *model = &run->model;
  drop_entries(model, 0);
  model->snapshot = (struct coracle_raft_snapshot){0};
  model->term = model->voted_for = 0;
  run->incoming.index = 0;
  item->identity = true;
  item->id = model->id = 1 + dice(run, 1000);
  for (size_t i = 0; i < sizeof item->cluster; i++)
    item->cluster[i] = model->cluster[i] = (uint8_t)dice(run, 256);
  if (dice(run, 4) > 0) vote(run, raft);
}

static bool is_member(const struct run *run) {
  return run->model.term > 0;
}

static void add_item(struct run *run) {
  struct coracle_raft_entry *entries[8];
  struct coracle_raft_persist raft = {0};
  struct coracle_raft_snapshot snapshot;
  struct batch_item item = {.sequence = ++run->sequence, .raft = &raft};
  const uint64_t what = dice(run, 20);
  bool installs = false;
  if (!is_member(run) || what == 0) {
    found_cluster(run, &item, &raft);
  } else if (run->incoming.index != 0 && (what < 12 || !run->own)) {
    send_chunk(run, &raft);
    item.own_image = run->own;
    installs = raft.chunk.installs;
    snapshot = run->incoming;
    raft.chunk.snapshot = &snapshot;
  } else if (what < 3 && run->incoming.index == 0) {
    begin_image(run);
    item.raft = NULL;
  } else if (what < 6) {
    vote(run, &raft);
  } else if (what < 8 && run->incoming.index == 0 && last_index(&run->model) > run->model.snapshot.index) {
    raft.truncate_from = last_index(&run->model);
    truncate_from(&run->model, raft.truncate_from);
    if (what == 6) append(run, &raft, entries);
  } else {
    append(run, &raft, entries);
  }
  batch_add(run->batch, &item);
  if (installs) install(run);
  run->digests[run->sequence] = digest_of(&run->model);
}

/* ---- Processes ---- */

static int open_disk(struct run *run, struct disk_found *found, struct disk_fault *fault) {
  const struct disk_options options = {.fresh_id = FRESH_ID,
                                       .salt_seed = random_next(&run->random),
                                       .segment_bytes = SEGMENT_BYTES,
                                       .start_min = 5};
  run->disk = NULL;
  return disk_open(fake_files_table(run->files), &options, &run->disk, found, fault);
}

static void end_machine(struct run *run) {
  static const enum fake_loss losses[] = {FAKE_LOSE_ALL, FAKE_LOSE_NONE, FAKE_RANDOM, FAKE_RANDOM};
  disk_free(run->disk);
  run->disk = NULL;
  if (dice(run, 4) == 0)
    fake_files_kill(run->files);
  else
    fake_files_cut_power(run->files, losses[dice(run, 4)]);
}

/* Recovery that is cut short itself, now and then. */
static void start(struct run *run, struct disk_found *found) {
  struct disk_fault fault = {{0}};
  while (dice(run, 3) == 0) {
    fake_files_crash_after(run->files, dice(run, 12));
    if (open_disk(run, found, &fault) == 0) disk_found_close(found);
    end_machine(run);
  }
  fake_files_crash_after(run->files, UINT64_MAX);
  if (open_disk(run, found, &fault) != 0) fail_msg("recovery refuses: %s", fault.text);
}

/* The state found is one that there was, and none that lacks what was durable. */
static void check_found(struct run *run, struct disk_found *found) {
  struct model was = {0};
  take_found(&was, found);
  const uint64_t digest = digest_of(&was);
  uint64_t sequence = run->durable;
  while (sequence <= run->sequence && run->digests[sequence] != digest) sequence++;
  if (sequence > run->sequence)
    fail_msg("what is found is no state between %d, which was durable, and %d: term %d, snapshot %d, entries "
             "to %d",
             (int)run->durable, (int)run->sequence, (int)was.term, (int)was.snapshot.index,
             (int)last_index(&was));
  drop_entries(&run->model, 0);
  run->model = was;
  run->incoming.index = 0;
}

static void begin_process(struct run *run) {
  run->sequence = run->durable = 0;
  run->digests[0] = digest_of(&run->model);
  batch_clear(run->batch);
}

/* False when the process ended on the way. */
static bool write_items(struct run *run, int items) {
  struct disk_fault fault;
  while (items > 0) {
    const int n = 1 + (int)dice(run, 5);
    for (int i = 0; i < n; i++) add_item(run);
    items -= n;
    int error = disk_write(run->disk, run->batch, &fault);
    if (error == 0) run->durable = batch_sequence(run->batch);
    if (error == 0) error = disk_tidy(run->disk, &fault);
    if (error != 0) {
      assert_true(fake_files_has_crashed(run->files));
      return false;
    }
    batch_clear(run->batch);
  }
  return true;
}

/* ---- Lives ---- */

static struct run *run_new(uint64_t seed) {
  struct run *run = memory_zalloc(sizeof *run);
  run->random.state = seed;
  run->files = fake_files_new(seed);
  run->batch = batch_new();
  return run;
}

static void run_free(struct run *run) {
  end_machine(run);
  drop_entries(&run->model, 0);
  batch_free(run->batch);
  fake_files_free(run->files);
  free(run);
}

/* The first process, on an empty directory; false when it crashed in opening it. */
static bool begin_first(struct run *run) {
  struct disk_found found;
  struct disk_fault fault = {{0}};
  const bool opened = open_disk(run, &found, &fault) == 0;
  run->model.id = FRESH_ID;
  begin_process(run);
  if (!opened) {
    assert_true(fake_files_has_crashed(run->files));
    return false;
  }
  assert_true(found.made);
  assert_int_equal(found.id, FRESH_ID);
  disk_found_close(&found);
  return true;
}

/* One life that ends after so many changes, and another one that goes on. Returns false when the first one
 * came to its end before. */
static bool try_crash(uint64_t seed, uint64_t changes) {
  struct run *run = run_new(seed);
  struct disk_found found;
  fake_files_crash_after(run->files, changes);
  const bool crashed = !begin_first(run) || !write_items(run, ITEMS);
  for (int life = 0; life < 3; life++) {
    end_machine(run);
    start(run, &found);
    check_found(run, &found);
    disk_found_close(&found);
    begin_process(run);
    assert_true(write_items(run, ITEMS / 4));
  }
  run_free(run);
  return crashed;
}

static void crashes_at_every_change_lose_nothing_durable(void **state) {
  (void)state;
  const char *given = getenv("DISK_SEEDS");
  const uint64_t seeds = given != NULL ? strtoull(given, NULL, 10) : 12;
  for (uint64_t seed = 1; seed <= seeds; seed++)
    for (uint64_t changes = 0; try_crash(seed, changes); changes++)
      ;
}

/* ---- No room ---- */

static void a_full_disk_delays_what_is_asked_for_and_loses_none_of_it(void **state) {
  (void)state;
  int full = 0;
  for (uint64_t seed = 1; seed <= 200; seed++) {
    struct run *run = run_new(seed);
    struct disk_found found;
    struct disk_fault fault = {{0}};
    assert_true(begin_first(run));
    for (int i = 0; i < 6; i++) {
      add_item(run);
      while (run->incoming.index != 0 && run->own) add_item(run); /* an own image may be refused: see below */
      fake_files_set_room(run->files, fake_files_used(run->files) + dice(run, 3) * FAKE_BLOCK_BYTES);
      int error = disk_write(run->disk, run->batch, &fault);
      for (int tries = 0; error == CORACLE_EFULL && tries < 20; tries++) {
        full++;
        fake_files_set_room(run->files, fake_files_used(run->files) + (uint64_t)tries * FAKE_BLOCK_BYTES);
        error = disk_write(run->disk, run->batch, &fault);
      }
      assert_int_equal(error, 0);
      if (disk_image_refused(run->disk)) break; /* the model knows nothing of that */
      run->durable = batch_sequence(run->batch);
      batch_clear(run->batch);
      error = disk_tidy(run->disk, &fault);
      assert_true(error == 0 || error == CORACLE_EFULL);
      if (i < 5) continue;
      fake_files_set_room(run->files, UINT64_MAX);
      end_machine(run);
      start(run, &found);
      check_found(run, &found);
      disk_found_close(&found);
    }
    run_free(run);
  }
  assert_true(full > 0);
}

/* ---- Errors ---- */

static void a_failed_sync_ends_the_process_and_what_it_left_is_not_believed(void **state) {
  (void)state;
  for (uint64_t seed = 1; seed <= 300; seed++) {
    struct run *run = run_new(seed);
    struct disk_found found;
    struct disk_fault fault = {{0}};
    assert_true(begin_first(run));
    fake_files_fail(run->files, FAKE_BIT(FAKE_SYNC) | FAKE_BIT(FAKE_SYNC_DIRECTORY), dice(run, 40), -EIO);
    int error = 0;
    for (int i = 0; i < 30 && error == 0; i++) {
      add_item(run);
      const uint64_t failed = fake_files_failed(run->files);
      error = disk_write(run->disk, run->batch, &fault);
      if (error == 0) run->durable = batch_sequence(run->batch);
      if (error == 0) error = disk_tidy(run->disk, &fault);
      if (fake_files_failed(run->files) > failed) assert_int_equal(error, CORACLE_EIO);
      if (error == 0) batch_clear(run->batch);
    }
    end_machine(run);
    fake_files_cut_power(run->files, FAKE_LOSE_ALL);
    start(run, &found);
    check_found(run, &found);
    disk_found_close(&found);
    run_free(run);
  }
}

/* ---- Other starts ---- */

static void every_start_has_a_greater_number_and_the_same_id(void **state) {
  (void)state;
  struct run run = {.random = {1}, .files = fake_files_new(1)};
  struct disk_found found;
  struct disk_fault fault;
  uint64_t last = 0;
  for (int i = 0; i < 5; i++) {
    assert_int_equal(open_disk(&run, &found, &fault), 0);
    assert_int_equal(found.id, FRESH_ID);
    assert_true(found.start > last && found.start >= 5);
    last = found.start;
    disk_found_close(&found);
    disk_free(run.disk);
    fake_files_cut_power(run.files, FAKE_LOSE_ALL);
  }
  fake_files_free(run.files);
}

static void refused(struct fake_files *files, const char *text) {
  struct run run = {.random = {1}, .files = files};
  struct disk_found found;
  struct disk_fault fault = {{0}};
  assert_int_equal(open_disk(&run, &found, &fault), CORACLE_EDAMAGED);
  if (strstr(fault.text, text) == NULL) fail_msg("\"%s\" is not in \"%s\"", text, fault.text);
}

static void data_without_its_meta_files_is_no_new_node(void **state) {
  (void)state;
  struct run *run = run_new(4);
  assert_true(begin_first(run) && write_items(run, ITEMS));
  struct fake_files *copy = fake_files_copy(run->files, 1);
  fake_files_take(copy, "meta-1");
  refused(copy, "meta-1");
  fake_files_take(copy, "meta-2");
  refused(copy, "meta-1 and meta-2 are missing");
  fake_files_free(copy);
  run_free(run);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(crashes_at_every_change_lose_nothing_durable),
      cmocka_unit_test(a_full_disk_delays_what_is_asked_for_and_loses_none_of_it),
      cmocka_unit_test(a_failed_sync_ends_the_process_and_what_it_left_is_not_believed),
      cmocka_unit_test(every_start_has_a_greater_number_and_the_same_id),
      cmocka_unit_test(data_without_its_meta_files_is_no_new_node),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
