#include "disk/meta.h"

#include "disk/io.h"

#include <assert.h>
#include <inttypes.h>
#include <xxhash.h>

enum { CHECKSUM_OFFSET = META_RECORD_BYTES - 8, BLOCKS_N = META_FILE_BYTES / META_BLOCK_BYTES };

static const char new_name[] = "meta-new";

const char *meta_name(int file) {
  assert(file == 0 || file == 1);
  return file == 0 ? "meta-1" : "meta-2";
}

/* ---- Records ---- */

void meta_encode(const struct meta *meta, uint8_t record[META_RECORD_BYTES]) {
  struct bytes b = {0};
  stamp_put(&b, stamp_meta, &meta->stamp);
  put_u64(&b, meta->sequence);
  put_u64(&b, meta->start);
  put_u64(&b, meta->term);
  put_u64(&b, meta->voted_for);
  put_u64(&b, meta->segment);
  put_u64(&b, meta->snapshot);
  assert(b.n == CHECKSUM_OFFSET);
  put_u64(&b, XXH3_64bits(b.data, b.n));
  memcpy(record, b.data, META_RECORD_BYTES);
  bytes_close(&b);
}

int meta_decode(const uint8_t record[META_RECORD_BYTES], const char *name, struct meta *meta,
                struct disk_fault *fault) {
  struct reader r = reader_of(record + CHECKSUM_OFFSET, 8);
  if (get_u64(&r) != XXH3_64bits(record, CHECKSUM_OFFSET)) {
    disk_fault_set(fault, "a record of %s does not have the checksum it says", name);
    return CORACLE_EMALFORMED;
  }
  r = reader_of(record, CHECKSUM_OFFSET);
  int error = stamp_get(&r, stamp_meta, name, &meta->stamp, fault);
  if (error != 0) return error;
  meta->sequence = get_u64(&r);
  meta->start = get_u64(&r);
  meta->term = get_u64(&r);
  meta->voted_for = get_u64(&r);
  meta->segment = get_u64(&r);
  meta->snapshot = get_u64(&r);
  assert(reader_done(&r));
  return 0;
}

static bool is_zero(const uint8_t *at, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (at[i] != 0) return false;
  return true;
}

static bool is_equal(const struct meta *a, const struct meta *b) {
  return stamp_equal(&a->stamp, &b->stamp) && a->sequence == b->sequence && a->start == b->start &&
         a->term == b->term && a->voted_for == b->voted_for && a->segment == b->segment &&
         a->snapshot == b->snapshot;
}

/* ---- One file ---- */

static int look_inside(const struct files *files, int handle, const char *name, struct meta_file *found,
                       struct disk_fault *fault) {
  uint8_t bytes[META_FILE_BYTES];
  size_t n;
  int error = io_size(files, handle, name, &found->bytes, fault);
  if (error == 0) error = io_read(files, handle, name, 0, bytes, sizeof bytes, &n, fault);
  if (error != 0) return error;
  for (size_t i = 0; i < BLOCKS_N && (i + 1) * META_BLOCK_BYTES <= n; i++) {
    const uint8_t *block = bytes + i * META_BLOCK_BYTES;
    error = meta_decode(block, name, &found->records[i], fault);
    if (error == CORACLE_ELIMIT) return error;
    found->good[i] = error == 0 && is_zero(block + META_RECORD_BYTES, META_BLOCK_BYTES - META_RECORD_BYTES);
  }
  return 0;
}

int meta_look(const struct files *files, int file, struct meta_file *found, struct disk_fault *fault) {
  int handle;
  *found = (struct meta_file){0};
  int error = io_open(files, meta_name(file), FILES_READ, &handle, fault);
  if (error == CORACLE_ENOTFOUND) return 0;
  if (error != 0) return error;
  found->exists = true;
  error = look_inside(files, handle, meta_name(file), found, fault);
  files->close(files->context, handle);
  return error;
}

static int turn(uint64_t sequence) {
  return sequence % 2 == 1 ? 0 : 1;
}

/* Of the first sequence both are made. */
static bool may_hold(int file, uint64_t sequence) {
  return sequence == 1 || (sequence > 1 && turn(sequence) == file);
}

/* The newest good record of a file, whose records are what one torn write can leave, at worst. */
static int newest_of_file(const struct meta_file *found, int file, const struct meta **newest,
                          struct disk_fault *fault) {
  const char *name = meta_name(file);
  const struct meta *const a = found->good[0] ? &found->records[0] : NULL;
  const struct meta *const b = found->good[1] ? &found->records[1] : NULL;
  if (found->bytes != META_FILE_BYTES) {
    disk_fault_set(fault, "%s has %" PRIu64 " bytes, not %d: " IO_REMEDY, name, found->bytes,
                   META_FILE_BYTES);
    return CORACLE_EDAMAGED;
  }
  if (a == NULL && b == NULL) {
    disk_fault_set(fault,
                   "%s is damaged, at offset 0 as well as at offset %d, and may have held the newest term "
                   "and vote: " IO_REMEDY,
                   name, META_BLOCK_BYTES);
    return CORACLE_EDAMAGED;
  }
  *newest = b == NULL || (a != NULL && a->sequence >= b->sequence) ? a : b;
  const struct meta *const other = *newest == a ? b : a;
  const bool one_write = other == NULL || is_equal(other, *newest) ||
                         (*newest)->sequence - other->sequence == ((*newest)->sequence == 2 ? 1 : 2);
  if (may_hold(file, (*newest)->sequence) && one_write) return 0;
  disk_fault_set(fault,
                 "%s holds records that no run of the program leaves together (sequence %" PRIu64
                 " at offset 0, %" PRIu64 " at offset %d): " IO_REMEDY,
                 name, a != NULL ? a->sequence : 0, b != NULL ? b->sequence : 0, META_BLOCK_BYTES);
  return CORACLE_EDAMAGED;
}

/* ---- Both ---- */

/* Whether a node that was `before` can have become `after` in one write. */
static bool can_follow(const struct meta *before, const struct meta *after) {
  if (after->sequence != before->sequence + 1 || after->start < before->start) return false;
  if (after->stamp.generation == before->stamp.generation + 1) return true;
  if (!stamp_equal(&after->stamp, &before->stamp) || after->term < before->term) return false;
  if (after->segment < before->segment || after->snapshot < before->snapshot) return false;
  return after->term > before->term || after->voted_for == before->voted_for || before->voted_for == 0;
}

static int missing(const struct meta_file found[2], int file, struct meta *meta, struct disk_fault *fault) {
  static const uint8_t none[DISK_CLUSTER_BYTES];
  const struct meta *newest;
  disk_fault_set(fault, "there is no meta-1, and no meta-2");
  if (!found[1 - file].exists) return CORACLE_ENOTFOUND;
  int error = newest_of_file(&found[1 - file], 1 - file, &newest, fault);
  if (error != 0) return error;
  *meta = *newest;
  disk_fault_set(fault, "%s is missing, and may have held the newest term and vote: " IO_REMEDY,
                 meta_name(file));
  /* meta-2 is made first: the first start got no further, and nobody knows of this node. */
  const bool is_first =
      file == 0 && newest->sequence == 1 && memcmp(newest->stamp.cluster, none, DISK_CLUSTER_BYTES) == 0;
  return is_first ? CORACLE_ENOTFOUND : CORACLE_EDAMAGED;
}

/* Records that should say the same as their twin, and do not. In the newest file one of the write before may
 * be left, where the write was torn. */
static int count_harmless(const struct meta_file *found, const struct meta *newest, bool may_be_torn) {
  int n = 0;
  for (int i = 0; i < BLOCKS_N; i++)
    if (!found->good[i] || (!may_be_torn && found->records[i].sequence != newest->sequence)) n++;
  return n;
}

int meta_newest(const struct meta_file found[2], struct meta *meta, int *damaged_n,
                struct disk_fault *fault) {
  const struct meta *of[2];
  *damaged_n = 0;
  for (int file = 0; file < 2; file++)
    if (!found[file].exists) return missing(found, file, meta, fault);
  for (int file = 0; file < 2; file++) {
    int error = newest_of_file(&found[file], file, &of[file], fault);
    if (error != 0) return error;
  }
  const int newest = of[1]->sequence > of[0]->sequence ? 1 : 0;
  const struct meta *const before = of[1 - newest], *const after = of[newest];
  const bool made = after->sequence == 1 && is_equal(before, after);
  if (!made && !can_follow(before, after)) {
    disk_fault_set(fault,
                   "meta-1 (sequence %" PRIu64 ", term %" PRIu64 ") and meta-2 (sequence %" PRIu64
                   ", term %" PRIu64
                   ") do not belong together, so the newest term and vote may be missing: " IO_REMEDY,
                   of[0]->sequence, of[0]->term, of[1]->sequence, of[1]->term);
    return CORACLE_EDAMAGED;
  }
  *damaged_n =
      count_harmless(&found[newest], after, true) + count_harmless(&found[1 - newest], before, false);
  *meta = *after;
  return 0;
}

static void fill(const struct meta *meta, uint8_t bytes[META_FILE_BYTES]) {
  memset(bytes, 0, META_FILE_BYTES);
  for (int i = 0; i < BLOCKS_N; i++) meta_encode(meta, bytes + i * META_BLOCK_BYTES);
}

/* Space was taken when the file was made, so a disk that is full is an error like any other. */
static int put(const struct files *files, const struct meta *meta, struct disk_fault *fault) {
  const char *name = meta_name(turn(meta->sequence));
  uint8_t bytes[META_FILE_BYTES];
  int handle;
  fill(meta, bytes);
  int error = io_open(files, name, FILES_UPDATE, &handle, fault);
  if (error != 0) return CORACLE_EIO;
  error = io_write(files, handle, name, 0, bytes, sizeof bytes, fault);
  if (error == 0) error = io_sync(files, handle, name, fault);
  files->close(files->context, handle);
  return error == 0 ? 0 : CORACLE_EIO;
}

int meta_read(const struct files *files, struct meta *meta, int *damaged_n, struct disk_fault *fault) {
  struct meta_file found[2];
  int error = meta_look(files, 0, &found[0], fault);
  if (error == 0) error = meta_look(files, 1, &found[1], fault);
  if (error == 0) error = meta_newest(found, meta, damaged_n, fault);
  if (error == 0) error = put(files, meta, fault);
  return error == 0 ? io_sync_directory(files, "", fault) : error;
}

/* ---- Writing ---- */

static int make(const struct files *files, int file, const uint8_t bytes[META_FILE_BYTES],
                struct disk_fault *fault) {
  int handle;
  struct disk_fault ignored;
  int error = io_create(files, new_name, &handle, fault);
  if (error != 0) return error;
  error = io_write(files, handle, new_name, 0, bytes, META_FILE_BYTES, fault);
  if (error == 0) error = io_sync(files, handle, new_name, fault);
  files->close(files->context, handle);
  if (error == 0) error = io_rename(files, new_name, meta_name(file), fault);
  if (error == 0) return io_sync_directory(files, "", fault);
  if (io_remove(files, new_name, &ignored) != 0) return error; /* the next attempt will, or tell why not */
  return error;
}

int meta_make(const struct files *files, struct meta *meta, struct disk_fault *fault) {
  uint8_t bytes[META_FILE_BYTES];
  meta->sequence = 1;
  fill(meta, bytes);
  int error = make(files, 1, bytes, fault);
  return error == 0 ? make(files, 0, bytes, fault) : error;
}

int meta_write(const struct files *files, struct meta *meta, struct disk_fault *fault) {
  meta->sequence++;
  return put(files, meta, fault);
}
