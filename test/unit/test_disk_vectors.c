/* Goal: a data directory with one of everything has the bytes that disk_vectors.h gives, written by this
 * code, and is read from them. The same bytes are read by an implementation in Python, from
 * docs/disk-format.md alone. */
#include "disk_vectors.h"

#include "disk/disk.h"
#include "fake_files.h"
#include "golden.h"

static struct disk_fault fault;

static const struct disk_options options = {
    .fresh_id = 0x0102030405060708, .salt_seed = 7, .segment_bytes = 4096, .start_min = 1795000000000};
static const uint64_t id = 0x1112131415161718;
static const char first_image[] = "the image of entry 3", second_image[] = "an image that came in two pieces";

/* ---- Writing ---- */

struct script {
  struct disk *disk;
  uint64_t sequence;
};

static void make_durable(struct script *s, struct batch_item item, const struct coracle_raft_persist *raft) {
  struct batch *batch = batch_new();
  item.sequence = ++s->sequence;
  item.raft = raft;
  batch_add(batch, &item);
  if (disk_write(s->disk, batch, &fault) != 0) fail_msg("%s", fault.text);
  batch_free(batch);
}

static struct coracle_raft_configuration configuration_of(uint32_t members_n) {
  struct coracle_raft_configuration configuration = {.members_n = members_n};
  for (uint32_t i = 0; i < members_n; i++) {
    configuration.members[i] = (struct coracle_raft_member){.id = id + i, .voter = i == 0, .data_bytes = 1};
    configuration.members[i].data[0] = (uint8_t)('a' + i);
  }
  return configuration;
}

static struct coracle_raft_entry *entry_of(uint64_t index, uint64_t term, enum coracle_raft_entry_type type,
                                           const char *data, size_t n) {
  struct coracle_raft_entry *entry = coracle_raft_entry_new(type, n);
  entry->index = index;
  entry->term = term;
  if (n > 0) memcpy(entry->data, data, n);
  return entry;
}

static struct coracle_raft_entry *configuration_entry(void) {
  const struct coracle_raft_configuration configuration = configuration_of(1);
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&configuration);
  entry->index = entry->term = 1;
  return entry;
}

static void append(struct script *s, struct batch_item item, struct coracle_raft_persist raft,
                   struct coracle_raft_entry **entries, size_t n) {
  raft.entries = entries;
  raft.entries_n = n;
  make_durable(s, item, &raft);
  for (size_t i = 0; i < n; i++) coracle_raft_entry_unref(entries[i]);
}

/* It founds a cluster, with one member and five entries. */
static void found(struct script *s) {
  const struct batch_item identity = {.identity = true, .id = id, .cluster = "cluster of golds"};
  const struct coracle_raft_persist vote = {.vote_changed = true, .term = 1, .voted_for = id};
  char zeros[1200] = {0}; /* two whole sectors of a frame, or one, are all zero */
  zeros[sizeof zeros - 1] = '!';
  append(s, identity, vote, (struct coracle_raft_entry *[]){configuration_entry()}, 1);
  append(s, (struct batch_item){0}, (struct coracle_raft_persist){0},
         (struct coracle_raft_entry *[]){entry_of(2, 1, CORACLE_RAFT_NOOP, NULL, 0),
                                         entry_of(3, 1, CORACLE_RAFT_COMMAND, "three", 5)},
         2);
  append(s, (struct batch_item){0}, (struct coracle_raft_persist){0},
         (struct coracle_raft_entry *[]){entry_of(4, 1, CORACLE_RAFT_COMMAND, zeros, sizeof zeros),
                                         entry_of(5, 1, CORACLE_RAFT_COMMAND, "five", 4)},
         2);
}

/* In another term its last entry gives way to another. */
static void follow(struct script *s) {
  make_durable(s, (struct batch_item){0},
               &(struct coracle_raft_persist){.vote_changed = true, .term = 2, .voted_for = id + 1});
  append(s, (struct batch_item){0}, (struct coracle_raft_persist){.truncate_from = 5},
         (struct coracle_raft_entry *[]){entry_of(5, 2, CORACLE_RAFT_COMMAND, "another five", 12)}, 1);
}

static void put_chunk(struct script *s, const struct coracle_raft_snapshot *snapshot, bool own,
                      const char *image, size_t from, size_t to) {
  struct coracle_raft_persist raft = {.chunk = {.snapshot = snapshot,
                                                .offset = from,
                                                .data = (const uint8_t *)image + from,
                                                .n = to - from,
                                                .installs = to == snapshot->bytes,
                                                .keep_log = own}};
  make_durable(s, (struct batch_item){.own_image = own}, &raft);
}

/* A snapshot of its own, and a later one of the leader's that its log does not reach. */
static void take_snapshots(struct script *s) {
  const struct coracle_raft_snapshot own = {.index = 3,
                                            .term = 1,
                                            .bytes = sizeof first_image - 1,
                                            .tag = 0xf1f2f3f4f5f6f7f8,
                                            .configuration_index = 1,
                                            .configuration = configuration_of(1)};
  const struct coracle_raft_snapshot leaders = {.index = 20,
                                                .term = 2,
                                                .bytes = sizeof second_image - 1,
                                                .tag = 0xe1e2e3e4e5e6e7e8,
                                                .configuration_index = 6,
                                                .configuration = configuration_of(2)};
  put_chunk(s, &own, true, first_image, 0, own.bytes);
  put_chunk(s, &leaders, false, second_image, 0, 10);
  put_chunk(s, &leaders, false, second_image, 10, leaders.bytes);
}

static void write_all(struct fake_files *files) {
  struct script s = {0};
  struct disk_found nothing;
  if (disk_open(fake_files_table(files), &options, &s.disk, &nothing, &fault) != 0)
    fail_msg("%s", fault.text);
  assert_true(nothing.made);
  disk_found_close(&nothing);
  found(&s);
  follow(&s);
  take_snapshots(&s);
  append(&s, (struct batch_item){0}, (struct coracle_raft_persist){0},
         (struct coracle_raft_entry *[]){entry_of(21, 2, CORACLE_RAFT_COMMAND, "twenty-one", 10)}, 1);
  disk_free(s.disk);
}

/* ---- The vectors ---- */

struct run {
  const char *name;
  size_t offset; /* of these bytes in the file; what no run gives is zero */
  const char *hex;
};
#define FILE_OF(name, bytes) {name, bytes},
#define RUN(name, offset, hex) {name, offset, hex},
static const struct {
  const char *name;
  size_t bytes;
} vectors[] = {DISK_FILES(FILE_OF)};
static const struct run runs[] = {DISK_RUNS(RUN)};
#undef FILE_OF
#undef RUN
enum { VECTORS = sizeof vectors / sizeof vectors[0], RUNS = sizeof runs / sizeof runs[0] };

static uint8_t digit(char c) {
  return (uint8_t)(c <= '9' ? c - '0' : c - 'a' + 10);
}

/* One of the files, from its runs. */
static void put_vector(struct bytes *b, size_t i) {
  b->n = 0;
  memset(bytes_reserve(b, vectors[i].bytes), 0, vectors[i].bytes);
  b->n = vectors[i].bytes;
  for (size_t r = 0; r < RUNS; r++) {
    if (strcmp(runs[r].name, vectors[i].name) != 0) continue;
    const size_t n = strlen(runs[r].hex) / 2;
    assert_true(runs[r].offset + n <= b->n);
    for (size_t k = 0; k < n; k++)
      b->data[runs[r].offset + k] = (uint8_t)(digit(runs[r].hex[2 * k]) << 4 | digit(runs[r].hex[2 * k + 1]));
  }
}

static void what_is_written_has_these_bytes(void **state) {
  (void)state;
  struct fake_files *files = fake_files_new(1);
  struct bytes expected = {0}, content = {0};
  size_t n;
  write_all(files);
  char **names = fake_files_names(files, &n);
  for (size_t i = 0; i < n; i++) free(names[i]);
  free(names);
  assert_int_equal(n, VECTORS);
  for (size_t i = 0; i < VECTORS; i++) {
    content.n = 0;
    assert_true(fake_files_content(files, vectors[i].name, &content));
    put_vector(&expected, i);
    assert_int_equal(content.n, expected.n);
    for (size_t k = 0; k < content.n; k++)
      if (content.data[k] != expected.data[k])
        fail_msg("%s at offset %zu: %02x, not %02x", vectors[i].name, k, content.data[k], expected.data[k]);
  }
  bytes_close(&expected);
  bytes_close(&content);
  fake_files_free(files);
}

static void these_bytes_are_read(void **state) {
  (void)state;
  struct fake_files *files = fake_files_new(1);
  const struct files *table = fake_files_table(files);
  const struct coracle_raft_configuration members = configuration_of(2);
  struct bytes content = {0};
  struct disk *disk;
  struct disk_found found;
  struct slice block;
  assert_int_equal(table->make_directory(table->context, "log"), 0);
  assert_int_equal(table->make_directory(table->context, "snapshot"), 0);
  for (size_t i = 0; i < VECTORS; i++) {
    put_vector(&content, i);
    fake_files_put(files, vectors[i].name, content.data, content.n);
  }
  if (disk_open(table, &options, &disk, &found, &fault) != 0) fail_msg("%s", fault.text);
  assert_int_equal(found.id, id);
  assert_memory_equal(found.cluster, "cluster of golds", DISK_CLUSTER_BYTES);
  assert_int_equal(found.start, options.start_min + 1);
  assert_int_equal(found.damaged_n, 0);
  assert_string_equal(found.cut, "");
  assert_int_equal(found.raft.term, 2);
  assert_int_equal(found.raft.voted_for, id + 1);
  assert_int_equal(found.snapshot.index, 20);
  assert_int_equal(found.snapshot.term, 2);
  assert_int_equal(found.snapshot.tag, 0xe1e2e3e4e5e6e7e8);
  assert_int_equal(found.snapshot.configuration_index, 6);
  assert_memory_equal(&found.snapshot.configuration, &members, sizeof members);
  assert_int_equal(snapshot_reader_next(found.image, &block, &fault), 0);
  assert_true(slice_is(block, second_image));
  assert_int_equal(found.entries_n, 1);
  assert_int_equal(found.entries[0]->index, 21);
  assert_int_equal(found.entries[0]->term, 2);
  assert_int_equal(found.entries[0]->type, CORACLE_RAFT_COMMAND);
  assert_int_equal(found.entries[0]->bytes, 10);
  assert_memory_equal(found.entries[0]->data, "twenty-one", 10);
  assert_false(fake_files_exists(files, "snapshot/0000000000000003")); /* needless */
  disk_found_close(&found);
  disk_free(disk);
  bytes_close(&content);
  fake_files_free(files);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_is_written_has_these_bytes),
      cmocka_unit_test(these_bytes_are_read),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
