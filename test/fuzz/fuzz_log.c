/* Recovery of the log from whatever segments there are: it never crashes, changes nothing where it refuses,
 * and what it accepts is a log: consecutive entries, terms that never fall, and one that can be gone on with.
 *
 * A fuzzer does not get past a checksum by chance. So an input is a program that writes segments: records,
 * right or wrong; frames and headers with one field or another changed and the checksum made to fit; and then
 * bytes changed on the disk, with no checksum made to fit. With the first bit of the input set, it is a
 * segment as it stands, but for the header, which is right. */
#include "fuzz.h"

#include "disk/log.h"
#include "fake_files.h"

#include <string.h>
#include <xxhash.h>

enum { FILE_BYTES = 2048, SEGMENTS_MAX = 4, CHANGES_MAX = 64 };

static const struct stamp stamp = {.id = 7, .cluster = {9}, .generation = 3};

/* The segments being written. */
struct writing {
  struct fuzz_input in;
  struct bytes files[SEGMENTS_MAX];
  uint64_t numbers[SEGMENTS_MAX];
  size_t n;
  struct segment_header header; /* of the last one */
  uint64_t end, chain;          /* of it */
  uint64_t last_index, last_term;
  struct bytes records; /* of the frame to come */
};

/* ---- Segments and frames ---- */

static void put_checksum(uint8_t *at, size_t n, uint64_t seed) {
  const uint64_t checksum = seed == 0 ? XXH3_64bits(at, n) : XXH3_64bits_withSeed(at, n, seed);
  for (unsigned i = 0; i < 8; i++) at[n + i] = (uint8_t)(checksum >> (8 * i));
}

/* `change`: of its 88 bytes one may be another, the checksum fits all the same. */
static void begin_segment(struct writing *w, uint8_t change) {
  if (w->n == SEGMENTS_MAX) return;
  const uint64_t before = w->n > 0 ? w->numbers[w->n - 1] : fuzz_byte(&w->in) % 4;
  struct bytes *file = &w->files[w->n];
  w->header = (struct segment_header){.stamp = stamp,
                                      .number = before + 1,
                                      .bytes = FILE_BYTES,
                                      .chain = w->chain,
                                      .last_index = w->last_index,
                                      .last_term = w->last_term,
                                      .salt = w->n};
  segment_header_put(file, &w->header);
  memset(bytes_reserve(file, FILE_BYTES), 0, FILE_BYTES);
  file->n = FILE_BYTES;
  if (change != 0) {
    file->data[change % (SEGMENT_HEADER_BYTES - 8)] ^= fuzz_byte(&w->in);
    put_checksum(file->data, SEGMENT_HEADER_BYTES - 8, 0);
    w->header.checksum = XXH3_64bits(file->data, SEGMENT_HEADER_BYTES - 8);
  }
  w->numbers[w->n++] = before + 1;
  w->end = SEGMENT_FRAMES_OFFSET;
  w->chain = w->header.checksum;
}

static void end_frame(struct writing *w, uint8_t change) {
  struct bytes frame = {0};
  struct bytes *file = &w->files[w->n - 1];
  if (w->records.n == 0 || frame_bytes(w->records.n) > FILE_BYTES - w->end) return;
  w->chain = frame_put(&frame, &w->header, w->chain, w->end, w->records.data, w->records.n);
  if (change != 0) {
    frame.data[change % (FRAME_HEADER_BYTES - 8)] ^= fuzz_byte(&w->in);
    put_checksum(frame.data, FRAME_HEADER_BYTES - 8, w->header.checksum);
  }
  memcpy(file->data + w->end, frame.data, frame.n);
  w->end += frame.n;
  w->records.n = 0;
  bytes_close(&frame);
}

/* ---- Records ---- */

static void put_entry(struct writing *w, uint8_t how) {
  uint8_t data[64];
  const size_t n = how % sizeof data;
  memset(data, how, sizeof data);
  w->last_index += how % 16 == 15 ? fuzz_byte(&w->in) : 1;
  w->last_term += how % 8 == 7 ? fuzz_byte(&w->in) : how % 8 == 6;
  if (w->last_index == 0 || w->last_term == 0) w->last_index = w->last_term = 1;
  log_record_put(&w->records,
                 &(struct log_record){.type = LOG_ENTRY,
                                      .index = w->last_index,
                                      .term = w->last_term,
                                      .entry_type = (uint8_t)(how % 32 == 31 ? how : how % 3 + 1),
                                      .data = {(const char *)data, n}});
}

static void put_truncation(struct writing *w, uint8_t back) {
  if (back >= w->last_index) return;
  w->last_index -= back % 32;
  log_record_put(&w->records, &(struct log_record){.type = LOG_TRUNCATE, .index = w->last_index + 1});
}

static void put_snapshot(struct writing *w, uint8_t how) {
  const bool keep = how % 2 == 0;
  const uint64_t index = fuzz_byte(&w->in), term = how % 4 < 2 ? w->last_term : fuzz_byte(&w->in);
  if (index == 0 || term == 0) return;
  log_record_put(&w->records,
                 &(struct log_record){.type = LOG_SNAPSHOT, .index = index, .term = term, .keep = keep});
  if (keep) return;
  w->last_index = index;
  w->last_term = term;
}

static void put_anything(struct writing *w, uint8_t n) {
  for (uint8_t i = 0; i < n % 32; i++) put_u8(&w->records, fuzz_byte(&w->in));
}

/* ---- On the disk ---- */

static void change_bytes(struct writing *w, uint8_t how) {
  struct bytes *file = &w->files[how % w->n];
  const size_t at = fuzz_u16(&w->in) % FILE_BYTES;
  const size_t sector = at / FILES_SECTOR_BYTES * FILES_SECTOR_BYTES;
  if (how < 128)
    file->data[at] ^= fuzz_byte(&w->in);
  else if (how < 192)
    memset(file->data + sector, 0, FILES_SECTOR_BYTES);
  else if (how < 224)
    memset(file->data + at, 0, FILE_BYTES - at);
  else
    file->n = at;
}

static void write_program(struct writing *w) {
  begin_segment(w, 0);
  for (unsigned i = 0; w->in.at < w->in.end && i < CHANGES_MAX; i++) {
    const uint8_t what = fuzz_byte(&w->in), how = fuzz_byte(&w->in);
    switch (what % 16) {
    case 0:
    case 1:
    case 2:
    case 3:
      put_entry(w, how);
      break;
    case 4:
      put_truncation(w, how);
      break;
    case 5:
      put_snapshot(w, how);
      break;
    case 6:
      put_anything(w, how);
      break;
    case 7:
    case 8:
    case 9:
    case 10:
      end_frame(w, what < 224 ? 0 : how);
      break;
    case 11:
    case 12:
      end_frame(w, 0);
      begin_segment(w, what < 192 ? 0 : how);
      break;
    case 13:
      w->end += how % 4 * 8; /* a gap, which frames do not know of */
      if (w->end > FILE_BYTES) w->end = FILE_BYTES;
      break;
    default:
      if (what < 128)
        end_frame(w, 0);
      else
        change_bytes(w, how);
    }
  }
}

static void write_raw(struct writing *w) {
  begin_segment(w, 0);
  for (size_t at = SEGMENT_HEADER_BYTES; at < FILE_BYTES; at++) w->files[0].data[at] = fuzz_byte(&w->in);
}

/* ---- Recovery ---- */

static struct disk_fault fault; /* the latest */

static struct log *open_log(struct fake_files *disk, uint64_t index, uint64_t term, struct log_found *found,
                            int *error) {
  const struct log_options options = {.stamp = stamp, .segment_bytes = FILE_BYTES, .salt_seed = 5};
  struct log *log = NULL;
  memset(&fault, 0, sizeof fault);
  *error = log_open(fake_files_table(disk), &options, index, term, &log, found, &fault);
  FUZZ_CHECK(*error == 0 || *error == CORACLE_EDAMAGED || *error == CORACLE_ELIMIT);
  FUZZ_CHECK((*error == 0) == (log != NULL));
  FUZZ_CHECK(*error == 0 || fault.text[0] != '\0');
  return log;
}

/* The last entry, or the snapshot's index. */
static uint64_t check_entries(const struct log_found *found, uint64_t index, uint64_t term) {
  if (found->entries_n == 0) return index;
  const uint64_t first = found->entries[0]->index;
  FUZZ_CHECK(first > 0 && first <= index + 1);
  for (size_t i = 0; i < found->entries_n; i++) {
    const struct coracle_raft_entry *entry = found->entries[i];
    FUZZ_CHECK(entry->index == first + i && entry->term > 0);
    FUZZ_CHECK(i == 0 || entry->term >= found->entries[i - 1]->term);
    FUZZ_CHECK(entry->index != index || entry->term == term);
  }
  const uint64_t last = first + found->entries_n - 1;
  FUZZ_CHECK(last >= index);
  return last;
}

static void go_on(struct log *log, uint64_t last, uint64_t term) {
  struct bytes records = {0};
  log_record_put(&records,
                 &(struct log_record){
                     .type = LOG_ENTRY, .index = last + 1, .term = term, .entry_type = CORACLE_RAFT_NOOP});
  const struct log_append what = {records.data, records.n, last + 1};
  FUZZ_CHECK(log_append(log, &what, &fault) == 0);
  bytes_close(&records);
}

static void recover(struct fake_files *disk, uint64_t index, uint64_t term) {
  struct log_found found;
  int error;
  const uint64_t changes = fake_files_count(disk, FAKE_CHANGES);
  struct log *log = open_log(disk, index, term, &found, &error);
  if (error != 0) {
    FUZZ_CHECK(fake_files_count(disk, FAKE_CHANGES) == changes && fake_files_handles(disk) == 0);
    return;
  }
  const uint64_t last = check_entries(&found, index, term);
  if (last == UINT64_MAX) { /* nothing can follow that one */
    log_found_close(&found);
    log_free(log);
    return;
  }
  go_on(log, last, UINT64_MAX);
  log_found_close(&found);
  log_free(log);
  fake_files_cut_power(disk, FAKE_LOSE_ALL);
  log = open_log(disk, index, term, &found, &error);
  if (error != 0) fprintf(stderr, "%s\n", fault.text);
  FUZZ_CHECK(error == 0 && found.cut_bytes == 0);
  FUZZ_CHECK(check_entries(&found, index, term) == last + 1);
  FUZZ_CHECK(found.entries_n > 0 && found.entries[found.entries_n - 1]->term == UINT64_MAX);
  log_found_close(&found);
  log_free(log);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct writing w = {.in = {data, data + n}};
  struct fake_files *disk = fake_files_new(1);
  const struct files *files = fake_files_table(disk);
  const uint8_t first = fuzz_byte(&w.in);
  const uint64_t index = fuzz_byte(&w.in) % 32, term = index == 0 ? 0 : fuzz_byte(&w.in) % 4 + 1;
  FUZZ_CHECK(files->make_directory(files->context, "log") == 0 &&
             files->sync_directory(files->context, "") == 0);
  if (first % 2 == 0 && first >= 128) { /* the log begins later */
    w.last_index = fuzz_byte(&w.in) % 32;
    w.last_term = w.last_index == 0 ? 0 : fuzz_byte(&w.in) % 4;
  }
  if (first % 2 != 0)
    write_raw(&w);
  else
    write_program(&w);
  for (size_t i = 0; i < w.n; i++) {
    char name[FILES_NAME_BYTES_MAX];
    log_name(w.numbers[i], name);
    fake_files_put(disk, name, w.files[i].data, w.files[i].n);
    bytes_close(&w.files[i]);
  }
  bytes_close(&w.records);
  recover(disk, index, term);
  fake_files_free(disk);
  return 0;
}
