/* Goal: what a snapshot file gives back is what was put into it, or it is refused, with the place; whenever
 * the process or the machine ends while one is written, the folder has the old set or the new file, complete;
 * and where the disk is full, nothing is lost but time. */
#include "disk/snapshot_file.h"

#include "base/memory.h"
#include "base/random.h"
#include "fake_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

#include <cmocka.h>

enum {
  BLOCK = SNAPSHOT_BLOCK_BYTES,
  BIG = 3 * BLOCK + 1000, /* several blocks, and a short one */
  SMALL = 700,
  HEADER = 84 + (2 + 3 * 11 + 1 + 2) + 8, /* of snapshot_of() */
};

static struct disk_fault fault;
static const struct stamp stamp = {.id = 9, .cluster = "of sixteen bytes", .generation = 2};

static struct coracle_raft_snapshot snapshot_of(uint64_t index, uint64_t bytes) {
  struct coracle_raft_snapshot s = {
      .index = index, .term = 4, .bytes = bytes, .tag = index * 7, .configuration_index = index - 1};
  s.configuration.members_n = 3;
  for (uint16_t i = 0; i < 3; i++) {
    struct coracle_raft_member *member = &s.configuration.members[i];
    *member = (struct coracle_raft_member){.id = 100u + i, .voter = i != 2, .data_bytes = i};
    memcpy(member->data, "xyz", i);
  }
  return s;
}

static uint8_t image_byte(uint64_t index, uint64_t offset) {
  return (uint8_t)(index + offset * 131 + (offset >> 8) * 7 + (offset >> 16));
}

static uint8_t *image_of(const struct coracle_raft_snapshot *s) {
  uint8_t *image = memory_alloc(s->bytes + 1);
  for (uint64_t i = 0; i < s->bytes; i++) image[i] = image_byte(s->index, i);
  return image;
}

static struct fake_files *disk_of(uint64_t seed) {
  struct fake_files *disk = fake_files_new(seed);
  const struct files *files = fake_files_table(disk);
  assert_int_equal(files->make_directory(files->context, "snapshot"), 0);
  assert_int_equal(files->sync_directory(files->context, ""), 0);
  return disk;
}

/* In pieces, until the first error. */
static int write_in_pieces(struct fake_files *disk, const struct coracle_raft_snapshot *s, size_t piece_max,
                           struct random *random) {
  struct snapshot_writer *w;
  uint8_t *image = image_of(s);
  int error = snapshot_writer_new(fake_files_table(disk), &stamp, s, &w, &fault);
  if (error == 0) {
    for (uint64_t at = 0; error == 0 && at < s->bytes;) {
      const uint64_t left = s->bytes - at;
      uint64_t n = random != NULL ? random_below(random, piece_max + 1) : piece_max;
      if (n > left) n = left;
      uint8_t *piece = memory_alloc(n + 1); /* of its own, so that nothing beside it is read */
      memcpy(piece, image + at, n);
      error = snapshot_writer_append(w, piece, n, &fault);
      free(piece);
      at += n;
      if (error == 0) assert_int_equal(snapshot_writer_offset(w), at);
    }
    if (error == 0) error = snapshot_writer_finish(w, &fault);
    snapshot_writer_free(w);
  }
  free(image);
  return error;
}

static void write_it(struct fake_files *disk, uint64_t index, uint64_t bytes) {
  const struct coracle_raft_snapshot s = snapshot_of(index, bytes);
  if (write_in_pieces(disk, &s, 1024 * 1024, NULL) != 0) fail_msg("%s", fault.text);
}

/* 0 if all of it is read, and is what it should be. */
static int read_blocks(struct snapshot_reader *reader) {
  const struct coracle_raft_snapshot *s = snapshot_reader_of(reader);
  struct slice block;
  for (uint64_t at = 0;; at += block.n) {
    int error = snapshot_reader_next(reader, &block, &fault);
    if (error != 0) return error;
    if (block.n == 0) {
      assert_int_equal(at, s->bytes);
      assert_int_equal(snapshot_reader_next(reader, &block, &fault), 0);
      assert_int_equal(block.n, 0);
      return 0;
    }
    for (size_t i = 0; i < block.n; i++)
      if ((uint8_t)block.at[i] != image_byte(s->index, at + i)) fail_msg("byte %u", (unsigned)(at + i));
  }
}

static int read_it(struct fake_files *disk, uint64_t index) {
  char name[FILES_NAME_BYTES_MAX];
  struct snapshot_reader *reader;
  snapshot_name(index, name);
  fault.text[0] = '\0';
  int error = snapshot_reader_open(fake_files_table(disk), name, &reader, &fault);
  if (error != 0) return error;
  assert_int_equal(snapshot_reader_of(reader)->index, index);
  error = read_blocks(reader);
  snapshot_reader_free(reader);
  assert_int_equal(fake_files_handles(disk), 0);
  return error;
}

static void assert_refused(struct fake_files *disk, uint64_t index, const char *word) {
  char name[FILES_NAME_BYTES_MAX];
  snapshot_name(index, name);
  assert_int_equal(read_it(disk, index), CORACLE_EDAMAGED);
  if (strstr(fault.text, word) == NULL) fail_msg("no word of '%s' in: %s", word, fault.text);
  assert_non_null(strstr(fault.text, name));
  assert_non_null(strstr(fault.text, "restore this directory from a copy, or empty it"));
}

/* ---- Round trips ---- */

static void what_was_written_is_read(void **state) {
  (void)state;
  const uint64_t sizes[] = {0, 1, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, BIG};
  struct random random = {1};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (int time = 0; time < 6; time++) {
      const size_t pieces[] = {sizes[i] + 1, BLOCK, BLOCK - 1, 1000, 3 * BLOCK, 100 * 1000};
      struct fake_files *disk = disk_of(1);
      const struct coracle_raft_snapshot s = snapshot_of(0xabc, sizes[i]);
      assert_int_equal(write_in_pieces(disk, &s, pieces[time], time < 3 ? NULL : &random), 0);
      assert_false(fake_files_exists(disk, "snapshot/incoming"));
      assert_true(fake_files_is_durable(disk, "snapshot/0000000000000abc"));
      if (read_it(disk, 0xabc) != 0) fail_msg("%s", fault.text);
      fake_files_free(disk);
    }
}

static void the_header_is_read(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  const struct coracle_raft_snapshot s = snapshot_of(77, SMALL);
  struct snapshot_reader *reader;
  write_it(disk, 77, SMALL);
  assert_int_equal(snapshot_reader_open(fake_files_table(disk), "snapshot/000000000000004d", &reader, &fault),
                   0);
  const struct coracle_raft_snapshot *read = snapshot_reader_of(reader);
  assert_true(read->index == 77 && read->term == s.term && read->bytes == SMALL && read->tag == s.tag &&
              read->configuration_index == s.configuration_index);
  assert_memory_equal(&read->configuration, &s.configuration, sizeof s.configuration);
  assert_true(stamp_equal(snapshot_reader_stamp(reader), &stamp));
  snapshot_reader_free(reader);
  fake_files_free(disk);
}

static void it_is_read_again_from_anywhere(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  struct snapshot_reader *reader;
  struct slice block;
  write_it(disk, 5, BIG);
  assert_int_equal(snapshot_reader_open(fake_files_table(disk), "snapshot/0000000000000005", &reader, &fault),
                   0);
  for (int blocks = 0; blocks < 5; blocks++) {
    for (int i = 0; i < blocks; i++) assert_int_equal(snapshot_reader_next(reader, &block, &fault), 0);
    snapshot_reader_rewind(reader);
    assert_int_equal(read_blocks(reader), 0);
    snapshot_reader_rewind(reader);
  }
  snapshot_reader_free(reader);
  fake_files_free(disk);
}

/* The last sync is for one block, whatever the size of the image. */
static void blocks_are_synced_on_the_way(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  const struct coracle_raft_snapshot s = snapshot_of(5, BIG);
  struct snapshot_writer *w;
  uint8_t *image = image_of(&s);
  assert_int_equal(snapshot_writer_new(fake_files_table(disk), &stamp, &s, &w, &fault), 0);
  assert_int_equal(snapshot_writer_append(w, image, BLOCK - 1, &fault), 0);
  assert_int_equal(fake_files_count(disk, FAKE_BIT(FAKE_SYNC)), 0);
  for (uint64_t i = 1; i <= 2; i++) {
    assert_int_equal(snapshot_writer_append(w, image + i * BLOCK - 1, BLOCK, &fault), 0);
    assert_int_equal(fake_files_count(disk, FAKE_BIT(FAKE_SYNC)), i);
  }
  snapshot_writer_free(w);
  free(image);
  fake_files_free(disk);
}

/* ---- Damage ---- */

static void every_byte_of_the_header_counts(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  write_it(disk, 5, SMALL);
  for (uint64_t offset = 0; offset < HEADER; offset++)
    for (unsigned bit = 0; bit < 8; bit++) {
      fake_files_flip(disk, "snapshot/0000000000000005", offset, (uint8_t)(1u << bit));
      assert_refused(disk, 5, "is damaged");
      fake_files_flip(disk, "snapshot/0000000000000005", offset, (uint8_t)(1u << bit));
    }
  fake_files_flip(disk, "snapshot/0000000000000005", 81, 0x40); /* a configuration that would not end */
  assert_refused(disk, 5, "impossible length at offset 80");
  fake_files_flip(disk, "snapshot/0000000000000005", 81, 0x40);
  assert_int_equal(read_it(disk, 5), 0);
  fake_files_free(disk);
}

static void every_byte_of_a_small_image_counts(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  write_it(disk, 5, SMALL);
  for (uint64_t offset = HEADER; offset < HEADER + SMALL + 8; offset++) {
    fake_files_flip(disk, "snapshot/0000000000000005", offset, 0x20);
    assert_refused(disk, 5, "a block does not have its checksum, at offset 130");
    fake_files_flip(disk, "snapshot/0000000000000005", offset, 0x20);
  }
  fake_files_free(disk);
}

static void every_block_counts(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  struct random random = {1};
  write_it(disk, 5, BIG);
  for (uint64_t block = 0; block < 4; block++)
    for (int i = 0; i < 12; i++) {
      const uint64_t at = HEADER + block * (BLOCK + 8);
      const uint64_t n = (block < 3 ? BLOCK : 1000) + 8;
      const uint64_t offset = i == 0 ? 0 : i == 1 ? n - 1 : i == 2 ? n - 8 : random_below(&random, n);
      char where[40];
      snprintf(where, sizeof where, "at offset %u", (unsigned)at);
      fake_files_flip(disk, "snapshot/0000000000000005", at + offset, 1);
      assert_refused(disk, 5, where);
      fake_files_flip(disk, "snapshot/0000000000000005", at + offset, 1);
    }
  fake_files_free(disk);
}

/* Blocks that are whole, but not where they were written. */
static void blocks_cannot_change_places(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  struct bytes content = {0};
  write_it(disk, 5, 2 * BLOCK);
  assert_true(fake_files_content(disk, "snapshot/0000000000000005", &content));
  uint8_t *first = memory_alloc(BLOCK + 8), *second = memory_alloc(BLOCK + 8);
  memcpy(first, content.data + HEADER, BLOCK + 8);
  memcpy(second, content.data + HEADER + BLOCK + 8, BLOCK + 8);
  memcpy(content.data + HEADER, second, BLOCK + 8);
  memcpy(content.data + HEADER + BLOCK + 8, first, BLOCK + 8);
  fake_files_put(disk, "snapshot/0000000000000005", content.data, content.n);
  assert_refused(disk, 5, "checksum");
  free(first);
  free(second);
  bytes_close(&content);
  fake_files_free(disk);
}

static void its_length_must_be_right(void **state) {
  (void)state;
  const uint64_t sizes[] = {0, 1, SMALL, BLOCK, BLOCK + 1};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    struct fake_files *disk = disk_of(1);
    struct bytes content = {0};
    write_it(disk, 5, sizes[i]);
    assert_true(fake_files_content(disk, "snapshot/0000000000000005", &content));
    const size_t whole = content.n;
    for (size_t n = 0; n < whole; n += n < 2000 || n + 2000 > whole ? 1 : 997) {
      fake_files_put(disk, "snapshot/0000000000000005", content.data, n);
      assert_refused(disk, 5, "is damaged");
    }
    bytes_append(&content, "", 1);
    fake_files_put(disk, "snapshot/0000000000000005", content.data, content.n);
    assert_refused(disk, 5, "is damaged");
    bytes_close(&content);
    fake_files_free(disk);
  }
}

/* A header that is whole, and says what cannot be: its checksum is set after the change. */
static void an_impossible_header_is_refused(void **state) {
  (void)state;
  static const struct {
    size_t offset, n;
    const char *bytes, *word;
  } cases[] = {
      {0, 4, "CRCL", "not a snapshot"},
      {4, 4, "\0\0\0\0", "not a snapshot"},
      {40, 8, "\6\0\0\0\0\0\0\0", "another index"},
      {40, 8, "\0\0\0\0\0\0\0\0", "impossible index"},
      {48, 8, "\0\0\0\0\0\0\0\0", "impossible index or term"},
      {56, 8, "\377\377\377\377\377\377\377\377", "impossible length"},
      {56, 8, "\377\377\377\377\377\377\377\177", "impossible length"},
      {56, 8, "\0\0\0\0\0\0\1\0", "its header says"},
      {72, 8, "\6\0\0\0\0\0\0\0", "impossible index"},
      {84, 1, "\2", "not a configuration"},
      {85, 1, "\4", "not a configuration"},
  };
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct fake_files *disk = disk_of(1);
    struct bytes content = {0};
    write_it(disk, 5, 0);
    assert_true(fake_files_content(disk, "snapshot/0000000000000005", &content));
    assert_int_equal(content.n, HEADER);
    memcpy(content.data + cases[i].offset, cases[i].bytes, cases[i].n);
    content.n -= 8;
    put_u64(&content, XXH3_64bits(content.data, content.n));
    fake_files_put(disk, "snapshot/0000000000000005", content.data, content.n);
    assert_refused(disk, 5, cases[i].word);
    content.data[4] = 2; /* of a newer version: then nothing else is asked */
    memcpy(content.data, "CRCS", 4);
    content.n -= 8;
    put_u64(&content, XXH3_64bits(content.data, content.n));
    fake_files_put(disk, "snapshot/0000000000000005", content.data, content.n);
    assert_int_equal(read_it(disk, 5), CORACLE_ELIMIT);
    assert_non_null(strstr(fault.text, "version 2"));
    bytes_close(&content);
    fake_files_free(disk);
  }
}

static void what_is_no_snapshot_is_refused(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  const struct files *files = fake_files_table(disk);
  assert_refused(disk, 5, "is missing");
  assert_int_equal(files->make_directory(files->context, "snapshot/0000000000000005"), 0);
  assert_refused(disk, 5, "is no regular file");
  fake_files_free(disk);
}

/* ---- The folder ---- */

static void snapshots_are_listed_in_order(void **state) {
  (void)state;
  struct fake_files *disk = disk_of(1);
  uint64_t *indexes;
  size_t n;
  assert_int_equal(snapshot_list(fake_files_table(disk), &indexes, &n, &fault), 0);
  assert_int_equal(n, 0);
  const uint64_t some[] = {300, 2, UINT64_MAX, 77, 1000000, 5, UINT64_C(1) << 63};
  const uint64_t sorted[] = {2, 5, 77, 300, 1000000, UINT64_C(1) << 63, UINT64_MAX};
  for (size_t i = 0; i < 7; i++) {
    char name[FILES_NAME_BYTES_MAX];
    snapshot_name(some[i], name);
    fake_files_put(disk, name, "", 0);
  }
  fake_files_put(disk, "snapshot/incoming", "", 0);
  assert_int_equal(snapshot_list(fake_files_table(disk), &indexes, &n, &fault), 0);
  assert_int_equal(n, 7);
  assert_memory_equal(indexes, sorted, sizeof sorted);
  free(indexes);

  assert_int_equal(snapshot_remove_before(fake_files_table(disk), 300, false, &fault), 0);
  assert_true(fake_files_exists(disk, "snapshot/incoming"));
  assert_false(fake_files_exists(disk, "snapshot/000000000000004d"));
  assert_true(fake_files_exists(disk, "snapshot/000000000000012c"));
  assert_int_equal(snapshot_remove_before(fake_files_table(disk), UINT64_MAX, true, &fault), 0);
  assert_int_equal(snapshot_list(fake_files_table(disk), &indexes, &n, &fault), 0);
  assert_int_equal(n, 1);
  assert_int_equal(indexes[0], UINT64_MAX);
  free(indexes);
  assert_false(fake_files_exists(disk, "snapshot/incoming"));
  assert_int_equal(snapshot_remove_before(fake_files_table(disk), UINT64_MAX, true, &fault), 0);
  fake_files_free(disk);
}

static void strangers_are_refused(void **state) {
  (void)state;
  static const char *const names[] = {
      "0000000000000000", "000000000000004D", "00000000000004d",  "00000000000000004d", "incoming2",
      " 00000000000004d", "+00000000000004d", "0x0000000000004d", "notes.txt",          "\033[2J\n"};
  for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
    struct fake_files *disk = disk_of(1);
    char name[FILES_NAME_BYTES_MAX];
    uint64_t *indexes;
    size_t n;
    snprintf(name, sizeof name, "snapshot/%s", names[i]);
    fake_files_put(disk, "snapshot/0000000000000001", "", 0);
    fake_files_put(disk, name, "", 0);
    assert_int_equal(snapshot_list(fake_files_table(disk), &indexes, &n, &fault), CORACLE_EDAMAGED);
    assert_int_equal(snapshot_remove_before(fake_files_table(disk), 9, true, &fault), CORACLE_EDAMAGED);
    if (i + 1 < sizeof names / sizeof names[0]) assert_non_null(strstr(fault.text, name));
    for (const char *at = fault.text; *at != '\0'; at++) assert_true(*at >= ' '); /* safe to print */
    assert_true(fake_files_exists(disk, name));
    fake_files_free(disk);
  }
}

/* ---- Full, failing ---- */

static void where_there_is_no_room_nothing_is_begun(void **state) {
  (void)state;
  const struct coracle_raft_snapshot s = snapshot_of(5, BIG);
  struct snapshot_writer *w;
  struct fake_files *disk = disk_of(1);
  const uint64_t used = fake_files_used(disk), needed = BIG / FAKE_BLOCK_BYTES + 2;
  for (uint64_t blocks = 0; blocks < needed - 1; blocks += 1 + blocks / 2) {
    fake_files_set_room(disk, used + blocks * FAKE_BLOCK_BYTES);
    assert_int_equal(snapshot_writer_new(fake_files_table(disk), &stamp, &s, &w, &fault), CORACLE_EFULL);
    assert_false(fake_files_exists(disk, "snapshot/incoming"));
    assert_int_equal(fake_files_handles(disk), 0);
    assert_int_equal(fake_files_used(disk), used);
  }
  fake_files_set_room(disk, used + needed * FAKE_BLOCK_BYTES);
  write_it(disk, 5, BIG); /* and then it is not run out of */
  assert_int_equal(read_it(disk, 5), 0);
  fake_files_free(disk);
}

static void an_image_beyond_all_measure_has_no_room(void **state) {
  (void)state;
  const struct coracle_raft_snapshot s = snapshot_of(5, UINT64_MAX);
  struct snapshot_writer *w;
  struct fake_files *disk = disk_of(1);
  assert_int_equal(snapshot_writer_new(fake_files_table(disk), &stamp, &s, &w, &fault), CORACLE_EFULL);
  fake_files_free(disk);
}

/* On file systems that copy what is written, room can be missing all the same: each call may be made again.
 */
static void each_step_may_be_repeated_when_there_is_room_again(void **state) {
  (void)state;
  const struct coracle_raft_snapshot s = snapshot_of(5, BIG);
  const size_t pieces[] = {BLOCK / 2 + 1000, 2 * BLOCK + 1000};
  uint8_t *image = image_of(&s);
  for (uint64_t failing = 1; failing < 6; failing++)
    for (int i = 0; i < 4; i++) {
      const bool of_rename = i >= 2;
      const size_t piece = pieces[i % 2];
      struct fake_files *disk = disk_of(failing);
      struct snapshot_writer *w;
      int full_n = 0;
      fake_files_fail(disk, FAKE_BIT(of_rename ? FAKE_RENAME : FAKE_WRITE), of_rename ? 0 : failing,
                      of_rename ? -EDQUOT : -ENOSPC);
      int error = snapshot_writer_new(fake_files_table(disk), &stamp, &s, &w, &fault);
      assert_int_equal(error, 0);
      while (snapshot_writer_offset(w) < BIG) {
        const uint64_t at = snapshot_writer_offset(w);
        const size_t left = BIG - at;
        const size_t n = at == 0 ? 1000 : piece < left ? piece : left;
        error = snapshot_writer_append(w, image + at, n, &fault);
        assert_true(error == 0 || error == CORACLE_EFULL);
        if (error != 0) assert_int_equal(snapshot_writer_offset(w), at);
        full_n += error != 0;
      }
      while ((error = snapshot_writer_finish(w, &fault)) == CORACLE_EFULL) full_n++;
      assert_int_equal(error, 0);
      assert_int_equal(full_n, of_rename || failing < 5 ? 1 : 0); /* header, 4 blocks */
      snapshot_writer_free(w);
      assert_int_equal(read_it(disk, 5), 0);
      fake_files_free(disk);
    }
  free(image);
}

/* A sync that says there is no room is a sync that failed. */
static void errors_end_it(void **state) {
  (void)state;
  const unsigned operations[] = {FAKE_CREATE, FAKE_WRITE,  FAKE_ALLOCATE,
                                 FAKE_SYNC,   FAKE_RENAME, FAKE_SYNC_DIRECTORY};
  const int errors[] = {-EIO, -ENOSPC};
  for (size_t i = 0; i < sizeof operations / sizeof operations[0]; i++)
    for (size_t e = 0; e < 2; e++) {
      bool failed = true;
      const bool is_sync = operations[i] == FAKE_SYNC || operations[i] == FAKE_SYNC_DIRECTORY;
      for (uint64_t after = 0; failed; after++) {
        struct fake_files *disk = disk_of(1);
        const struct coracle_raft_snapshot s = snapshot_of(5, BIG);
        fake_files_fail(disk, FAKE_BIT(operations[i]), after, errors[e]);
        const int error = write_in_pieces(disk, &s, BLOCK, NULL);
        failed = fake_files_failed(disk) > 0;
        assert_int_equal(error, !failed ? 0 : e == 0 || is_sync ? CORACLE_EIO : CORACLE_EFULL);
        assert_int_equal(fake_files_handles(disk), 0);
        fake_files_free(disk);
        assert_true(after < 10);
      }
    }
}

static void reading_errors_are_told(void **state) {
  (void)state;
  for (uint64_t after = 0; after < 6; after++) {
    struct fake_files *disk = disk_of(1);
    write_it(disk, 5, BIG);
    fake_files_fail(disk, FAKE_BIT(FAKE_OPEN) | FAKE_BIT(FAKE_READ), after, -EIO);
    assert_int_equal(read_it(disk, 5), CORACLE_EIO);
    fake_files_free(disk);
  }
}

/* ---- Crashes ---- */

/* Of what is there after a crash, all is whole; the newest is `after`, or `before` if that was not finished.
 */
static void assert_set(struct fake_files *disk, uint64_t before, uint64_t after, bool finished) {
  uint64_t *indexes;
  size_t n;
  assert_int_equal(snapshot_remove_before(fake_files_table(disk), 0, true, &fault), 0);
  assert_int_equal(snapshot_list(fake_files_table(disk), &indexes, &n, &fault), 0);
  assert_true(n == 1 || n == 2);
  assert_true(indexes[n - 1] == after || (!finished && indexes[n - 1] == before));
  for (size_t i = 0; i < n; i++)
    if (read_it(disk, indexes[i]) != 0) fail_msg("%s", fault.text);
  free(indexes);
}

static void a_crash_leaves_the_old_set_or_the_new_file(void **state) {
  (void)state;
  const uint64_t sizes[] = {0, SMALL, 2 * BLOCK, 2 * BLOCK + 5};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
    for (int how = 0; how < 3; how++)
      for (uint64_t seed = 0; seed < 8; seed++) {
        bool finished = false;
        for (uint64_t after_n = 0; !finished; after_n++) {
          struct fake_files *disk = disk_of(seed);
          const struct coracle_raft_snapshot s = snapshot_of(5, sizes[i]);
          write_it(disk, 3, SMALL);
          if (seed % 2 == 1) fake_files_put(disk, "snapshot/incoming", "left over", 9);
          fake_files_crash_after(disk, after_n);
          finished = write_in_pieces(disk, &s, BLOCK, NULL) == 0;
          assert_int_equal(finished, !fake_files_has_crashed(disk));
          if (how == 0)
            fake_files_kill(disk);
          else
            fake_files_cut_power(disk, how == 1 ? FAKE_LOSE_ALL : FAKE_RANDOM);
          assert_set(disk, 3, 5, finished);
          write_it(disk, 5, sizes[i]); /* again */
          assert_int_equal(read_it(disk, 5), 0);
          fake_files_free(disk);
          assert_true(after_n < 40);
        }
      }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(what_was_written_is_read),
      cmocka_unit_test(the_header_is_read),
      cmocka_unit_test(it_is_read_again_from_anywhere),
      cmocka_unit_test(blocks_are_synced_on_the_way),
      cmocka_unit_test(every_byte_of_the_header_counts),
      cmocka_unit_test(every_byte_of_a_small_image_counts),
      cmocka_unit_test(every_block_counts),
      cmocka_unit_test(blocks_cannot_change_places),
      cmocka_unit_test(its_length_must_be_right),
      cmocka_unit_test(an_impossible_header_is_refused),
      cmocka_unit_test(what_is_no_snapshot_is_refused),
      cmocka_unit_test(snapshots_are_listed_in_order),
      cmocka_unit_test(strangers_are_refused),
      cmocka_unit_test(where_there_is_no_room_nothing_is_begun),
      cmocka_unit_test(an_image_beyond_all_measure_has_no_room),
      cmocka_unit_test(each_step_may_be_repeated_when_there_is_room_again),
      cmocka_unit_test(errors_end_it),
      cmocka_unit_test(reading_errors_are_told),
      cmocka_unit_test(a_crash_leaves_the_old_set_or_the_new_file),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
