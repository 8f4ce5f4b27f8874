#include "offline_scene.h"

#include "base/memory.h"
#include "base/random.h"
#include "store/image.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

enum { BATCHES = 12, COMMANDS_PER_BATCH = 5, DOCUMENTS = 20, SEGMENT_BYTES = 4096 };

const uint64_t scene_id = 0x1111;
const uint8_t scene_cluster[DISK_CLUSTER_BYTES] = {0xc1, 2, 3};
const uint8_t scene_key[STORE_HASH_KEY_BYTES] = {1, 2, 3};

struct disk_options scene_options(void) {
  return (struct disk_options){.fresh_id = 99, .salt_seed = 7, .segment_bytes = SEGMENT_BYTES};
}

struct writing {
  struct scene *scene;
  struct random random;
  struct disk *disk;
  uint64_t sequence;
};

static void write_item(struct writing *w, const struct coracle_raft_persist *raft, bool identity) {
  struct disk_fault fault;
  struct batch *batch = batch_new();
  struct batch_item item = {.sequence = ++w->sequence, .raft = raft, .identity = identity, .id = scene_id};
  memcpy(item.cluster, scene_cluster, sizeof item.cluster);
  batch_add(batch, &item);
  assert_int_equal(disk_write(w->disk, batch, &fault), 0);
  assert_int_equal(disk_tidy(w->disk, &fault), 0);
  batch_free(batch);
}

static struct coracle_raft_entry *place(struct writing *w, struct coracle_raft_entry *entry) {
  entry->index = ++w->scene->last_index;
  entry->term = w->scene->term;
  return entry;
}

static void add_member(struct coracle_raft_configuration *configuration, uint64_t id, const char *name) {
  struct coracle_raft_member *member = &configuration->members[configuration->members_n++];
  *member = (struct coracle_raft_member){.id = id, .voter = true, .data_bytes = (uint16_t)strlen(name)};
  memcpy(member->data, name, strlen(name));
}

static struct coracle_raft_configuration configuration_of_three(void) {
  struct coracle_raft_configuration configuration = {0};
  add_member(&configuration, scene_id, "a");
  add_member(&configuration, 0x2222, "b");
  add_member(&configuration, 0x3333, "c");
  return configuration;
}

static void write_first(struct writing *w) {
  const struct coracle_raft_configuration configuration = configuration_of_three();
  struct coracle_raft_entry *entries[2] = {
      place(w, coracle_raft_configuration_entry(&configuration)),
      place(w, coracle_raft_entry_new(CORACLE_RAFT_NOOP, 0)),
  };
  write_item(w,
             &(struct coracle_raft_persist){.sequence = 1,
                                            .vote_changed = true,
                                            .term = w->scene->term,
                                            .voted_for = 0x2222,
                                            .entries = entries,
                                            .entries_n = 2},
             true);
  for (size_t i = 0; i < 2; i++) coracle_raft_entry_unref(entries[i]);
}

static struct coracle_raft_entry *entry_of(struct writing *w, const struct command *command) {
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, command_size(command));
  command_encode(command, entry->data);
  return place(w, entry);
}

static struct coracle_raft_entry *document_entry(struct writing *w, bool deletes, uint64_t number) {
  char id[32], body[200];
  const int body_n = 1 + (int)random_below(&w->random, 150);
  snprintf(id, sizeof id, "document %d", (int)number);
  snprintf(body, sizeof body, "\"%0*d\"", body_n, (int)w->scene->last_index);
  const struct command command = {.type = deletes ? COMMAND_DELETE : COMMAND_PUT,
                                  .collection = slice_of("items"),
                                  .id = slice_of(id),
                                  .body = deletes ? (struct slice){NULL, 0} : slice_of(body)};
  return entry_of(w, &command);
}

static struct coracle_raft_entry *drop_entry(struct writing *w) {
  return entry_of(w, &(struct command){.type = COMMAND_DROP, .collection = slice_of("others")});
}

/* Several at once, with a key or not; and the drop of what those have made. */
static struct coracle_raft_entry *other_entry(struct writing *w) {
  const uint64_t kind = random_below(&w->random, 4), number = random_below(&w->random, 6);
  const struct command_once once = {.key = {(uint8_t)number}, .request = {1}, .note = "a note"};
  const struct command operations[] = {
      {.type = COMMAND_PUT, .collection = slice_of("others"), .id = slice_of("x"), .body = slice_of("{}")},
      {.type = COMMAND_DELETE, .collection = slice_of("others"), .id = slice_of(kind == 0 ? "none" : "y")},
      {.type = COMMAND_PUT, .collection = slice_of("others"), .id = slice_of("z"), .body = slice_of("[1]")},
  };
  const struct command command = {.type = kind < 2 ? COMMAND_TRANSACTION : COMMAND_BATCH,
                                  .operations = operations,
                                  .operations_n = 3,
                                  .once = number < 4 ? &once : NULL};
  return kind == 3 ? drop_entry(w) : entry_of(w, &command);
}

static struct coracle_raft_entry *random_entry(struct writing *w) {
  if (random_below(&w->random, 8) == 0) return other_entry(w);
  return document_entry(w, random_below(&w->random, 5) == 0, random_below(&w->random, DOCUMENTS));
}

static void write_entries(struct writing *w, struct coracle_raft_entry **entries, size_t n) {
  struct store *store = w->scene->store;
  struct store_result result;
  for (size_t i = 0; i < n; i++) {
    assert_int_equal(store_apply(store, entries[i]->index, entries[i]->data, entries[i]->bytes, &result), 0);
    store_result_close(&result);
    while (store_is_busy(store)) store_go_on(store, 1);
  }
  write_item(w, &(struct coracle_raft_persist){.sequence = 1, .entries = entries, .entries_n = n}, false);
  for (size_t i = 0; i < n; i++) coracle_raft_entry_unref(entries[i]);
}

static void write_commands(struct writing *w) {
  struct coracle_raft_entry *entries[COMMANDS_PER_BATCH];
  for (size_t i = 0; i < COMMANDS_PER_BATCH; i++) entries[i] = random_entry(w);
  write_entries(w, entries, COMMANDS_PER_BATCH);
}

static void write_end_of_all(struct writing *w) {
  struct coracle_raft_entry *drop = drop_entry(w);
  write_entries(w, &drop, 1);
  for (uint64_t i = 0; i < DOCUMENTS; i++) {
    struct coracle_raft_entry *entry = document_entry(w, true, i);
    write_entries(w, &entry, 1);
  }
}

static void write_snapshot(struct writing *w) {
  struct store_view *view = store_view_take(w->scene->store);
  struct image_encoder *encoder = image_encoder_new(view);
  struct coracle_raft_snapshot snapshot = {.index = w->scene->last_index,
                                           .term = w->scene->term,
                                           .bytes = image_encoder_bytes(encoder),
                                           .tag = image_encoder_tag(encoder),
                                           .configuration_index = 1,
                                           .configuration = configuration_of_three()};
  uint8_t *image = memory_alloc((size_t)snapshot.bytes);
  assert_int_equal(image_encoder_read(encoder, 0, image, (size_t)snapshot.bytes), snapshot.bytes);
  struct coracle_raft_persist persist = {.sequence = 1};
  persist.chunk.snapshot = &snapshot;
  persist.chunk.data = image;
  persist.chunk.n = (size_t)snapshot.bytes;
  persist.chunk.installs = persist.chunk.keep_log = true;
  write_item(w, &persist, false);
  free(image);
  image_encoder_free(encoder);
  store_view_free(view);
}

struct scene scene_new(enum scene_shape shape, uint64_t seed) {
  struct scene scene = {.files = fake_files_new(seed), .store = store_new(scene_key), .term = 5};
  scene.table = fake_files_table(scene.files);
  struct writing w = {.scene = &scene, .random = {seed}};
  const struct disk_options options = scene_options();
  struct disk_found found;
  struct disk_fault fault;
  assert_int_equal(disk_open(scene.table, &options, &w.disk, &found, &fault), 0);
  disk_found_close(&found);
  write_first(&w);
  for (int i = 0; i < BATCHES; i++) {
    const bool has_snapshot = shape == SCENE_BOTH || shape == SCENE_EMPTIED;
    write_commands(&w);
    if (has_snapshot && i == BATCHES / 2) write_snapshot(&w);
  }
  if (shape == SCENE_SNAPSHOT) write_snapshot(&w);
  if (shape == SCENE_EMPTIED) write_end_of_all(&w);
  disk_free(w.disk);
  return scene;
}

static struct writing start(struct scene *scene) {
  struct writing w = {.scene = scene, .random = {scene->last_index}};
  const struct disk_options options = scene_options();
  struct disk_found found;
  struct disk_fault fault = {0};
  if (disk_open(scene->table, &options, &w.disk, &found, &fault) != 0) fail_msg("%s", fault.text);
  disk_found_close(&found);
  return w;
}

void scene_go_on(struct scene *scene) {
  struct writing w = start(scene);
  write_commands(&w);
  disk_free(w.disk);
}

void scene_write(struct scene *scene, const struct command *command) {
  struct writing w = start(scene);
  struct coracle_raft_entry *entry = entry_of(&w, command);
  write_entries(&w, &entry, 1);
  disk_free(w.disk);
}

void scene_close(struct scene *scene) {
  fake_files_free(scene->files);
  store_free(scene->store);
}
