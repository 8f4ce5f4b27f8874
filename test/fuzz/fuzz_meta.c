/* Reading the meta files, whatever they hold: it never crashes, changes nothing where it refuses, and what it
 * accepts is the newest of all good records there are; after that the files can be written and read again.
 *
 * A fuzzer does not get past a checksum by chance. So an input is a life of a node, record after record, of
 * which the files hold what they would, and then changes of that: fields with the checksum made to fit,
 * records that stand in another's place, bytes of the file. With the first bit of the input set, the records
 * are the input's own bytes, and their checksums fit. */
#include "fuzz.h"

#include "disk/meta.h"
#include "fake_files.h"

#include <string.h>
#include <xxhash.h>

enum { WRITES_MAX = 8, CHANGES_MAX = 16, COPIES = 4, DATA_BYTES = META_RECORD_BYTES - 8 };

struct writing {
  struct fuzz_input in;
  struct meta life[WRITES_MAX + 1]; /* by sequence, from 1 */
  uint64_t last;                    /* sequence */
  uint8_t files[2][META_FILE_BYTES + 1];
  size_t bytes[2];
  bool exists[2], changed;
};

static uint8_t *copy_at(struct writing *w, unsigned copy) {
  return w->files[copy / 2 % 2] + copy % 2 * META_BLOCK_BYTES;
}

static void set_checksum(uint8_t *record) {
  const uint64_t checksum = XXH3_64bits(record, DATA_BYTES);
  for (unsigned i = 0; i < 8; i++) record[DATA_BYTES + i] = (uint8_t)(checksum >> (8 * i));
}

/* ---- A life ---- */

static struct meta change(struct writing *w, struct meta meta) {
  const uint8_t how = fuzz_byte(&w->in);
  meta.sequence++;
  switch (how % 8) {
  case 0:
    meta.start += how;
    break;
  case 1:
    if (meta.voted_for == 0) meta.voted_for = how;
    break;
  case 2:
    meta.segment++;
    break;
  case 3:
    meta.snapshot += how;
    break;
  case 4:
    meta.stamp.id = how;
    meta.stamp.cluster[how % DISK_CLUSTER_BYTES] ^= how;
    meta.stamp.generation++;
    meta.term = meta.voted_for = meta.segment = meta.snapshot = 0;
    break;
  default:
    meta.term += how;
    meta.voted_for = how > 128 ? how : 0;
    if (how == 0) meta.term++;
  }
  return meta;
}

static void write_life(struct writing *w) {
  w->life[1] = (struct meta){.stamp = {.id = 1, .generation = 1}, .sequence = 1};
  w->last = 1 + fuzz_byte(&w->in) % (WRITES_MAX - 1);
  for (uint64_t i = 2; i <= WRITES_MAX; i++) w->life[i] = change(w, w->life[i - 1]);
  for (unsigned copy = 0; copy < COPIES; copy++) {
    const uint64_t turn = copy / 2 == 0 ? 1 : 0; /* meta-1 has odd sequences */
    const uint64_t newest = w->last % 2 == turn || w->last == 1 ? w->last : w->last - 1;
    meta_encode(&w->life[newest], copy_at(w, copy));
  }
}

static void write_raw(struct writing *w) {
  for (unsigned copy = 0; copy < COPIES; copy++) {
    uint8_t *record = copy_at(w, copy);
    for (unsigned i = 0; i < META_RECORD_BYTES; i++) record[i] = fuzz_byte(&w->in);
    set_checksum(record);
  }
}

/* ---- Changes ---- */

static void change_files(struct writing *w) {
  for (unsigned i = 0; w->in.at < w->in.end && i < CHANGES_MAX; i++) {
    const uint8_t what = fuzz_byte(&w->in), how = fuzz_byte(&w->in);
    uint8_t *record = copy_at(w, what / 8);
    w->changed = true;
    switch (what % 8) {
    case 0: /* torn, or from another time */
      meta_encode(&w->life[1 + how % WRITES_MAX], record);
      break;
    case 1: /* a field: the checksum fits */
    case 2:
      record[how % DATA_BYTES] ^= fuzz_byte(&w->in);
      set_checksum(record);
      break;
    case 3: /* both records of a file alike */
      memcpy(copy_at(w, (what / 8) ^ 1u), record, META_RECORD_BYTES);
      break;
    case 4: /* damage */
      w->files[how % 2][fuzz_u16(&w->in) % META_FILE_BYTES] ^= fuzz_byte(&w->in);
      break;
    case 5:
      memset(record, 0, META_RECORD_BYTES);
      break;
    case 6:
      w->bytes[how % 2] = how < 128 ? META_FILE_BYTES : fuzz_u16(&w->in) % sizeof w->files[0];
      break;
    default:
      w->exists[how % 2] = how >= 64;
    }
  }
}

/* ---- Reading ---- */

static bool is_same(const struct meta *a, const struct meta *b) {
  uint8_t records[2][META_RECORD_BYTES];
  meta_encode(a, records[0]);
  meta_encode(b, records[1]);
  return memcmp(records[0], records[1], META_RECORD_BYTES) == 0;
}

/* None is newer, and some is it. */
static void check_newest(struct writing *w, const struct meta *newest) {
  bool found = false;
  for (unsigned copy = 0; copy < COPIES; copy++) {
    struct meta meta;
    struct disk_fault fault;
    FUZZ_CHECK(w->exists[copy / 2] && w->bytes[copy / 2] == META_FILE_BYTES);
    if (meta_decode(copy_at(w, copy), "meta", &meta, &fault) != 0) continue;
    if (!is_same(&meta, newest)) {
      bool is_zero = true; /* what is behind the record */
      for (unsigned i = META_RECORD_BYTES; i < META_BLOCK_BYTES; i++)
        if (copy_at(w, copy)[i] != 0) is_zero = false;
      FUZZ_CHECK(!is_zero || meta.sequence < newest->sequence);
    } else {
      found = true;
    }
  }
  FUZZ_CHECK(found);
}

static int read_meta(struct fake_files *disk, struct meta *meta, int *damaged_n) {
  struct disk_fault fault = {""};
  const int error = meta_read(fake_files_table(disk), meta, damaged_n, &fault);
  FUZZ_CHECK(fake_files_handles(disk) == 0);
  FUZZ_CHECK(error == 0 || error == CORACLE_ENOTFOUND || error == CORACLE_EDAMAGED ||
             error == CORACLE_ELIMIT);
  if (error == 0) return 0;
  FUZZ_CHECK(fault.text[0] != '\0' && strchr(fault.text, '\n') == NULL);
  FUZZ_CHECK(fake_files_count(disk, FAKE_CHANGES) == 0);
  return error;
}

static void go_on(struct fake_files *disk, struct meta *meta, int damaged_before) {
  struct meta again;
  struct disk_fault fault;
  int damaged_n;
  fake_files_cut_power(disk, FAKE_LOSE_ALL);
  FUZZ_CHECK(read_meta(disk, &again, &damaged_n) == 0 && is_same(&again, meta));
  FUZZ_CHECK(damaged_n <= damaged_before);
  if (meta->sequence > UINT64_MAX / 2) return; /* no node lives so long */
  for (int i = 0; i < 2; i++) {
    meta->start++;
    FUZZ_CHECK(meta_write(fake_files_table(disk), meta, &fault) == 0);
    FUZZ_CHECK(read_meta(disk, &again, &damaged_n) == 0 && is_same(&again, meta));
  }
  FUZZ_CHECK(damaged_n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  static struct writing w;
  struct meta meta;
  int damaged_n;
  memset(&w, 0, sizeof w);
  w.in = (struct fuzz_input){data, data + n};
  w.exists[0] = w.exists[1] = true;
  w.bytes[0] = w.bytes[1] = META_FILE_BYTES;
  const bool is_raw = fuzz_byte(&w.in) % 2 == 1;
  write_life(&w);
  if (is_raw) write_raw(&w);
  change_files(&w);

  struct fake_files *made = fake_files_new(1);
  for (int file = 0; file < 2; file++)
    if (w.exists[file]) fake_files_put(made, meta_name(file), w.files[file], w.bytes[file]);
  struct fake_files *disk = fake_files_copy(made, 2); /* changes are counted from here on */
  fake_files_free(made);
  const int error = read_meta(disk, &meta, &damaged_n);
  if (!is_raw && !w.changed) FUZZ_CHECK(error == 0 && damaged_n == 0 && is_same(&meta, &w.life[w.last]));
  if (error == 0) {
    check_newest(&w, &meta);
    if (meta.start < UINT64_MAX / 2) go_on(disk, &meta, damaged_n);
  }
  fake_files_free(disk);
  return 0;
}
