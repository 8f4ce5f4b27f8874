/* Goal: of what may stand in the meta files, the newest record is found, or nothing is believed: an older
 * term and vote are never taken for the newest. Damage of every byte, files of every length, files of other
 * times and of other nodes. What crashes leave is test_disk_meta_crash.c's affair. */
#include "disk/meta.h"

#include "fake_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <xxhash.h>

#include <cmocka.h>

enum { WRITES_MAX = 5 };

static struct disk_fault fault;

static struct meta meta_of(uint64_t term) {
  return (struct meta){.stamp = {.id = 0x1122334455667788, .cluster = "of sixteen bytes", .generation = 3},
                       .start = 10 + term,
                       .term = term,
                       .voted_for = 20 + term,
                       .segment = 30 + term,
                       .snapshot = 40 + term};
}

static void assert_same(const struct meta *a, const struct meta *b) {
  uint8_t records[2][META_RECORD_BYTES];
  meta_encode(a, records[0]);
  meta_encode(b, records[1]);
  assert_memory_equal(records[0], records[1], META_RECORD_BYTES);
}

/* Meta files that were made with term 1 and then written so often, with one term more each time. */
static struct fake_files *written(int writes, struct meta *meta) {
  struct fake_files *disk = fake_files_new(1);
  *meta = meta_of(1);
  assert_int_equal(meta_make(fake_files_table(disk), meta, &fault), 0);
  for (int i = 0; i < writes; i++) {
    const uint64_t sequence = meta->sequence;
    *meta = meta_of(meta->term + 1);
    meta->sequence = sequence;
    assert_int_equal(meta_write(fake_files_table(disk), meta, &fault), 0);
  }
  assert_int_equal(meta->sequence, 1 + writes);
  return disk;
}

/* What would be read, without touching anything. */
static int look(struct fake_files *disk, struct meta *meta, int *damaged_n) {
  struct meta_file found[2];
  fault.text[0] = '\0';
  for (int file = 0; file < 2; file++) {
    int error = meta_look(fake_files_table(disk), file, &found[file], &fault);
    if (error != 0) return error;
  }
  return meta_newest(found, meta, damaged_n, &fault);
}

static void assert_newest(struct fake_files *disk, const struct meta *expected, int expected_damaged_n) {
  struct meta meta;
  int damaged_n;
  if (look(disk, &meta, &damaged_n) != 0) fail_msg("%s", fault.text);
  assert_same(&meta, expected);
  assert_int_equal(damaged_n, expected_damaged_n);
}

static void assert_refused(struct fake_files *disk, const char *word) {
  struct meta meta;
  int damaged_n;
  assert_int_equal(look(disk, &meta, &damaged_n), CORACLE_EDAMAGED);
  if (strstr(fault.text, word) == NULL) fail_msg("no word of '%s' in: %s", word, fault.text);
  assert_non_null(strstr(fault.text, "restore this directory from a copy, or empty it"));
}

/* A file as it is, changed and put back. */
static void take(struct fake_files *disk, int file, struct bytes *content) {
  content->n = 0;
  assert_true(fake_files_content(disk, meta_name(file), content));
}

static void put(struct fake_files *disk, int file, const struct bytes *content) {
  fake_files_put(disk, meta_name(file), content->data, content->n);
}

/* Both records of a file. */
static void put_record(struct fake_files *disk, int file, const struct meta *meta) {
  uint8_t bytes[META_FILE_BYTES] = {0};
  meta_encode(meta, bytes);
  meta_encode(meta, bytes + META_BLOCK_BYTES);
  fake_files_put(disk, meta_name(file), bytes, sizeof bytes);
}

/* ---- Well ---- */

static void records_are_written_and_read(void **state) {
  (void)state;
  uint8_t record[META_RECORD_BYTES];
  struct meta read;
  const struct meta meta = meta_of(7);
  meta_encode(&meta, record);
  assert_memory_equal(record, "CRCM\1\0\0\0\x88\x77\x66\x55\x44\x33\x22\x11of sixteen bytes\3\0", 34);
  assert_int_equal(meta_decode(record, "meta-1", &read, &fault), 0);
  assert_same(&read, &meta);
}

static void the_files_are_written_in_turn(void **state) {
  (void)state;
  struct bytes before[2] = {{0}, {0}}, after[2] = {{0}, {0}};
  for (int writes = 1; writes <= WRITES_MAX; writes++) {
    struct meta meta;
    struct fake_files *disk = written(writes - 1, &meta);
    const int turn = writes % 2 == 1 ? 1 : 0; /* sequence 2 is for meta-2 */
    for (int file = 0; file < 2; file++) take(disk, file, &before[file]);
    assert_int_equal(meta_write(fake_files_table(disk), &meta, &fault), 0);
    for (int file = 0; file < 2; file++) take(disk, file, &after[file]);
    assert_true(slice_equal(slice_of_bytes(&before[1 - turn]), slice_of_bytes(&after[1 - turn])));
    assert_false(slice_equal(slice_of_bytes(&before[turn]), slice_of_bytes(&after[turn])));
    assert_memory_equal(after[turn].data, after[turn].data + META_BLOCK_BYTES, META_BLOCK_BYTES);
    assert_true(fake_files_is_durable(disk, meta_name(turn)));
    assert_newest(disk, &meta, 0);
    fake_files_free(disk);
  }
  for (int file = 0; file < 2; file++) {
    bytes_close(&before[file]);
    bytes_close(&after[file]);
  }
}

static void reading_changes_nothing_that_is_well(void **state) {
  (void)state;
  for (int writes = 0; writes <= WRITES_MAX; writes++) {
    struct meta meta, read;
    struct bytes before = {0}, after = {0};
    int damaged_n;
    struct fake_files *disk = written(writes, &meta);
    for (int file = 0; file < 2; file++) {
      assert_true(fake_files_content(disk, meta_name(file), &before));
      assert_int_equal(meta_read(fake_files_table(disk), &read, &damaged_n, &fault), 0);
      assert_same(&read, &meta);
      assert_int_equal(damaged_n, 0);
      assert_true(fake_files_content(disk, meta_name(file), &after));
      assert_true(slice_equal(slice_of_bytes(&before), slice_of_bytes(&after)));
    }
    bytes_close(&before);
    bytes_close(&after);
    fake_files_free(disk);
  }
}

/* ---- Damage ---- */

/* One byte is in one record, or behind it, and its twin is good. */
static void any_byte_may_be_damaged(void **state) {
  (void)state;
  const uint8_t masks[] = {0x01, 0x80, 0xff};
  for (int writes = 0; writes <= WRITES_MAX; writes++) {
    struct meta meta;
    struct fake_files *disk = written(writes, &meta);
    for (int file = 0; file < 2; file++)
      for (uint64_t offset = 0; offset < META_FILE_BYTES; offset++) {
        const uint8_t mask = masks[offset % 3];
        fake_files_flip(disk, meta_name(file), offset, mask);
        assert_newest(disk, &meta, 1);
        fake_files_flip(disk, meta_name(file), offset, mask);
      }
    assert_newest(disk, &meta, 0);
    fake_files_free(disk);
  }
}

/* Every byte of one copy with one of the other: there may have been a newer record. */
static void a_file_without_a_good_record_is_refused(void **state) {
  (void)state;
  for (int writes = 0; writes <= WRITES_MAX; writes++) {
    struct meta meta;
    struct fake_files *disk = written(writes, &meta);
    for (int file = 0; file < 2; file++)
      for (uint64_t offset = 0; offset < META_BLOCK_BYTES; offset++) {
        const uint64_t other = META_BLOCK_BYTES + (offset * 31 + 17) % META_BLOCK_BYTES;
        fake_files_flip(disk, meta_name(file), offset, 0x10);
        fake_files_flip(disk, meta_name(file), other, 0x10);
        assert_refused(disk, meta_name(file));
        assert_non_null(strstr(fault.text, "offset 4096"));
        fake_files_flip(disk, meta_name(file), offset, 0x10);
        fake_files_flip(disk, meta_name(file), other, 0x10);
      }
    fake_files_free(disk);
  }
}

/* Which of the four copies are bad decides, and nothing else. */
static void any_copies_may_be_damaged(void **state) {
  (void)state;
  for (int writes = 0; writes <= WRITES_MAX; writes++)
    for (unsigned bad = 0; bad < 16; bad++) {
      struct meta meta;
      int n = 0;
      struct fake_files *disk = written(writes, &meta);
      for (unsigned copy = 0; copy < 4; copy++)
        if ((bad >> copy & 1) != 0) {
          fake_files_flip(disk, meta_name((int)copy / 2), copy % 2 * META_BLOCK_BYTES + 60, 0x40);
          n++;
        }
      if ((bad & 3) == 3 || (bad & 12) == 12)
        assert_refused(disk, "is damaged");
      else
        assert_newest(disk, &meta, n);
      fake_files_free(disk);
    }
}

/* Reading, to go on from there, makes the newest file whole again; writing does it to the other one. */
static void damage_is_repaired(void **state) {
  (void)state;
  for (int writes = 0; writes <= WRITES_MAX; writes++)
    for (uint64_t copy = 0; copy < 4; copy++) {
      struct meta meta, read;
      int damaged_n;
      struct fake_files *disk = written(writes, &meta);
      fake_files_flip(disk, meta_name((int)copy / 2), copy % 2 * META_BLOCK_BYTES + 60, 0x40);
      assert_int_equal(meta_read(fake_files_table(disk), &read, &damaged_n, &fault), 0);
      assert_int_equal(damaged_n, 1);
      assert_same(&read, &meta);
      assert_int_equal(meta_write(fake_files_table(disk), &read, &fault), 0);
      assert_int_equal(meta_write(fake_files_table(disk), &read, &fault), 0);
      assert_newest(disk, &read, 0);
      fake_files_free(disk);
    }
}

static void a_file_of_another_length_is_refused(void **state) {
  (void)state;
  for (int writes = 0; writes <= 2; writes++)
    for (int file = 0; file < 2; file++) {
      struct meta meta;
      struct bytes content = {0};
      struct fake_files *disk = written(writes, &meta);
      take(disk, file, &content);
      bytes_append(&content, "", 1);
      put(disk, file, &content);
      assert_refused(disk, "has 8193 bytes, not 8192");
      for (content.n = 0; content.n < META_FILE_BYTES; content.n++) {
        put(disk, file, &content);
        assert_refused(disk, meta_name(file));
      }
      bytes_close(&content);
      fake_files_free(disk);
    }
}

static void a_missing_file_is_refused(void **state) {
  (void)state;
  for (int writes = 0; writes <= WRITES_MAX; writes++)
    for (int file = 0; file < 2; file++) {
      struct meta meta;
      struct fake_files *disk = written(writes, &meta);
      fake_files_take(disk, meta_name(file));
      assert_refused(disk, "is missing");
      assert_non_null(strstr(fault.text, meta_name(file)));
      fake_files_free(disk);
    }
}

/* meta-2 alone, of no cluster, is a first start that got no further; anything more is not. */
static void only_a_beginning_is_no_directory(void **state) {
  (void)state;
  struct fake_files *disk = fake_files_new(1);
  struct meta meta = {.stamp = {.id = 5, .generation = 1}, .sequence = 1};
  int damaged_n;
  assert_int_equal(look(disk, &meta, &damaged_n), CORACLE_ENOTFOUND);
  put_record(disk, 1, &meta);
  assert_int_equal(look(disk, &meta, &damaged_n), CORACLE_ENOTFOUND);
  meta.sequence = 2;
  put_record(disk, 1, &meta);
  assert_refused(disk, "meta-1 is missing");
  meta.sequence = 1;
  meta.stamp.cluster[15] = 1;
  put_record(disk, 1, &meta);
  assert_refused(disk, "meta-1 is missing");
  meta.stamp.cluster[15] = 0;
  fake_files_take(disk, "meta-2");
  put_record(disk, 0, &meta);
  assert_refused(disk, "meta-2 is missing");
  fake_files_free(disk);
}

static void what_is_no_file_is_refused(void **state) {
  (void)state;
  struct meta meta;
  int damaged_n;
  struct fake_files *disk = written(3, &meta);
  const struct files *files = fake_files_table(disk);
  fake_files_take(disk, "meta-1");
  assert_int_equal(files->make_directory(files->context, "meta-1"), 0);
  assert_int_equal(look(disk, &meta, &damaged_n), CORACLE_EDAMAGED);
  assert_non_null(strstr(fault.text, "meta-1 is no regular file"));
  fake_files_free(disk);
}

/* ---- Files of other times, and of others ---- */

static struct bytes content_after(int writes, int file, struct meta *meta) {
  struct fake_files *disk = written(writes, meta);
  struct bytes content = {0};
  take(disk, file, &content);
  fake_files_free(disk);
  return content;
}

/* Somebody put one of the two back from a copy. (Of the newest file, the copy just before leaves what was
 * there before the last write: that is what a directory put back as a whole looks like, too.) */
static void an_older_file_is_refused(void **state) {
  (void)state;
  for (int now = 1; now <= WRITES_MAX; now++)
    for (int then = 0; then < now; then++)
      for (int file = 0; file < 2; file++) {
        struct meta meta, previous, older;
        struct bytes is = content_after(now, file, &meta), was = content_after(then, file, &older),
                     before = content_after(now - 1, file, &previous);
        struct fake_files *disk = written(now, &meta);
        put(disk, file, &was);
        if (slice_equal(slice_of_bytes(&was), slice_of_bytes(&is)))
          assert_newest(disk, &meta, 0); /* it was not written since */
        else if (slice_equal(slice_of_bytes(&was), slice_of_bytes(&before)))
          assert_newest(disk, &previous, 0);
        else
          assert_refused(disk, "do not belong together");
        bytes_close(&is);
        bytes_close(&was);
        bytes_close(&before);
        fake_files_free(disk);
      }
}

static void only_a_successor_is_believed(void **state) {
  (void)state;
  struct meta before = meta_of(5), after;
  struct fake_files *disk = fake_files_new(1);
  before.sequence = 7;
#define CASE(is_good, ...)                                                                                   \
  do {                                                                                                       \
    after = before;                                                                                          \
    after.sequence = 8;                                                                                      \
    __VA_ARGS__;                                                                                             \
    put_record(disk, 0, &before);                                                                            \
    put_record(disk, 1, &after);                                                                             \
    if (is_good)                                                                                             \
      assert_newest(disk, &after, 0);                                                                        \
    else                                                                                                     \
      assert_refused(disk, "do not belong together");                                                        \
  } while (0)
  CASE(true, (void)0);
  CASE(true, after.start++);
  CASE(true, after.term++; after.voted_for = 0);
  CASE(true, after.term++; after.voted_for++);
  CASE(true, after.segment++; after.snapshot++);
  CASE(true, after.stamp = (struct stamp){.id = 9, .generation = 4}; after.term = after.voted_for = 0;
       after.segment = after.snapshot = 0);
  CASE(false, after.sequence = 10);
  CASE(false, after.sequence = 4);
  CASE(false, after.start--);
  CASE(false, after.term--);
  CASE(false, after.voted_for++);
  CASE(false, after.voted_for = 0);
  CASE(false, after.segment--);
  CASE(false, after.snapshot--);
  CASE(false, after.stamp.id++);
  CASE(false, after.stamp.cluster[3] ^= 1);
  CASE(false, after.stamp.generation--);
  CASE(false, after.stamp.generation += 2);
  CASE(false, after.stamp.generation++; after.start--);
  before.voted_for = 0;
  CASE(true, after.voted_for = 6);
#undef CASE
  fake_files_free(disk);
}

/* Records in one file that no write leaves together; and sequences whose turn it is not. */
static void impossible_records_are_refused(void **state) {
  (void)state;
  struct meta meta;
  for (uint64_t a = 0; a < 8; a++)
    for (uint64_t b = 0; b < 8; b++) {
      struct fake_files *disk = written(4, &meta); /* 5 in meta-1, 4 in meta-2 */
      struct meta first = meta_of(a), second = meta_of(b);
      uint8_t bytes[META_FILE_BYTES] = {0};
      first.sequence = a;
      second.sequence = b;
      meta_encode(&first, bytes);
      meta_encode(&second, bytes + META_BLOCK_BYTES);
      fake_files_put(disk, "meta-2", bytes, sizeof bytes);
      struct meta found;
      int damaged_n;
      const int error = look(disk, &found, &damaged_n);
      const bool torn_by_6 = (a == 6 && b == 4) || (a == 4 && b == 6);
      const bool written_whole = a == b && (a == 4 || a == 6);
      const bool stale_by_4 = (a == 4 && b == 2) || (a == 2 && b == 4);
      assert_int_equal(error, torn_by_6 || written_whole || stale_by_4 ? 0 : CORACLE_EDAMAGED);
      if (error == 0) {
        assert_int_equal(found.sequence, a == 6 || b == 6 ? 6 : 5);
        assert_int_equal(damaged_n, stale_by_4 ? 1 : 0);
      }
      fake_files_free(disk);
    }
}

/* Each under the other's name: the next write would go over the newest. */
static void the_files_cannot_change_names(void **state) {
  (void)state;
  for (int writes = 1; writes <= WRITES_MAX; writes++) {
    struct meta meta;
    struct bytes contents[2] = {{0}, {0}};
    struct fake_files *disk = written(writes, &meta);
    for (int file = 0; file < 2; file++) take(disk, file, &contents[file]);
    for (int file = 0; file < 2; file++) put(disk, file, &contents[1 - file]);
    assert_refused(disk, "that no run of the program leaves");
    for (int file = 0; file < 2; file++) bytes_close(&contents[file]);
    fake_files_free(disk);
  }
}

static void twins_of_one_sequence_are_the_same(void **state) {
  (void)state;
  struct meta meta;
  uint8_t bytes[META_FILE_BYTES] = {0};
  struct fake_files *disk = written(4, &meta);
  meta_encode(&meta, bytes);
  meta.term++;
  meta_encode(&meta, bytes + META_BLOCK_BYTES);
  fake_files_put(disk, "meta-1", bytes, sizeof bytes);
  assert_refused(disk, "meta-1");
  fake_files_free(disk);
  disk = written(0, &meta);
  meta.term++;
  put_record(disk, 0, &meta);
  assert_refused(disk, "do not belong together");
  fake_files_free(disk);
}

/* ---- Versions, kinds, errors ---- */

static void set_checksum(uint8_t record[META_RECORD_BYTES]) {
  uint64_t checksum = XXH3_64bits(record, META_RECORD_BYTES - 8);
  for (int i = 0; i < 8; i++) record[META_RECORD_BYTES - 8 + i] = (uint8_t)(checksum >> (8 * i));
}

static void a_newer_version_is_told(void **state) {
  (void)state;
  for (int file = 0; file < 2; file++)
    for (int version = 0; version < 4; version++) {
      struct meta meta;
      struct bytes content = {0};
      int damaged_n;
      struct fake_files *disk = written(4, &meta);
      take(disk, file, &content);
      for (int block = 0; block < 2; block++) {
        content.data[block * META_BLOCK_BYTES + 4] = (uint8_t)version;
        set_checksum(content.data + block * META_BLOCK_BYTES);
      }
      put(disk, file, &content);
      const int expected = version == 0 ? CORACLE_EDAMAGED : version == 1 ? 0 : CORACLE_ELIMIT;
      assert_int_equal(look(disk, &meta, &damaged_n), expected);
      if (expected == CORACLE_ELIMIT) {
        assert_non_null(strstr(fault.text, meta_name(file)));
        assert_non_null(strstr(fault.text, version == 2 ? "version 2" : "version 3"));
      }
      bytes_close(&content);
      fake_files_free(disk);
    }
}

static void another_kind_of_file_is_refused(void **state) {
  (void)state;
  struct meta meta;
  struct bytes content = {0};
  struct fake_files *disk = written(4, &meta);
  take(disk, 0, &content);
  for (int block = 0; block < 2; block++) {
    memcpy(content.data + block * META_BLOCK_BYTES, "CRCS", 4);
    set_checksum(content.data + block * META_BLOCK_BYTES);
  }
  put(disk, 0, &content);
  assert_refused(disk, "meta-1");
  bytes_close(&content);
  fake_files_free(disk);
}

static void errors_are_told(void **state) {
  (void)state;
  static const struct {
    unsigned operations;
    bool of_reading, of_writing;
  } cases[] = {{FAKE_BIT(FAKE_OPEN), true, true},
               {FAKE_BIT(FAKE_READ), true, false},
               {FAKE_BIT(FAKE_WRITE), true, true},
               {FAKE_BIT(FAKE_SYNC), true, true},
               {FAKE_BIT(FAKE_SYNC_DIRECTORY), true, false}};
  for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
    struct meta meta, read;
    int damaged_n;
    struct fake_files *disk = written(4, &meta);
    fake_files_fail(disk, cases[i].operations, 0, -EIO);
    assert_int_equal(meta_read(fake_files_table(disk), &read, &damaged_n, &fault),
                     cases[i].of_reading ? CORACLE_EIO : 0);
    fake_files_kill(disk);
    fake_files_fail(disk, cases[i].operations, 0, -EIO);
    assert_int_equal(meta_write(fake_files_table(disk), &meta, &fault),
                     cases[i].of_writing ? CORACLE_EIO : 0);
    assert_int_equal(fake_files_handles(disk), 0);
    fake_files_free(disk);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(records_are_written_and_read),
      cmocka_unit_test(the_files_are_written_in_turn),
      cmocka_unit_test(reading_changes_nothing_that_is_well),
      cmocka_unit_test(any_byte_may_be_damaged),
      cmocka_unit_test(a_file_without_a_good_record_is_refused),
      cmocka_unit_test(any_copies_may_be_damaged),
      cmocka_unit_test(damage_is_repaired),
      cmocka_unit_test(a_file_of_another_length_is_refused),
      cmocka_unit_test(a_missing_file_is_refused),
      cmocka_unit_test(only_a_beginning_is_no_directory),
      cmocka_unit_test(what_is_no_file_is_refused),
      cmocka_unit_test(an_older_file_is_refused),
      cmocka_unit_test(only_a_successor_is_believed),
      cmocka_unit_test(impossible_records_are_refused),
      cmocka_unit_test(the_files_cannot_change_names),
      cmocka_unit_test(twins_of_one_sequence_are_the_same),
      cmocka_unit_test(a_newer_version_is_told),
      cmocka_unit_test(another_kind_of_file_is_refused),
      cmocka_unit_test(errors_are_told),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
