/* Reading a snapshot file, whatever it holds: it never crashes, and what it accepts, to the last block, is
 * byte for byte what the writer writes of it. So there is one file for every snapshot, and every other is
 * refused. And the folder: only names that the program gives are taken for snapshots.
 *
 * A fuzzer does not get past a checksum by chance. So an input is a description of a file: the header's
 * fields and configuration, right or wrong, with the checksum made to fit; an image; and then changes of
 * bytes, with no checksum made to fit. With the first bit of the input set, it is the file as it stands, but
 * for the header's checksum. */
#include "fuzz.h"

#include "base/memory.h"
#include "disk/snapshot_layout.h"
#include "fake_files.h"

#include <string.h>
#include <xxhash.h>

enum { CHANGES_MAX = 8, NAME_MAX_BYTES = 40 };

static const struct stamp stamp = {.id = 7, .cluster = {9}, .generation = 3};

/* ---- A file ---- */

static void put_configuration(struct bytes *b, struct fuzz_input *in, uint8_t how) {
  const uint8_t members = how % 32 == 31 ? fuzz_byte(in) : 1 + how % 4;
  put_u8(b, 1);
  put_u8(b, members);
  for (uint8_t i = 0; i < members && i < 20; i++) {
    const uint8_t n = fuzz_byte(in) % 16;
    put_u64(b, how >= 224 ? fuzz_byte(in) : i + 1);
    put_u8(b, i == 0 ? 1 : fuzz_byte(in) % 2);
    put_u16(b, how >= 192 ? fuzz_byte(in) : n);
    for (uint8_t k = 0; k < n; k++) put_u8(b, fuzz_byte(in));
  }
  if (how == 191) put_u8(b, 0);
}

/* Returns the seed. `change`: a byte of it is another, and the checksum fits all the same. */
static uint64_t put_header(struct bytes *b, struct fuzz_input *in, uint64_t index, uint64_t image_bytes,
                           uint8_t change, bool *is_good) {
  struct bytes configuration = {0};
  struct coracle_raft_configuration decoded;
  put_configuration(&configuration, in, fuzz_byte(in));
  *is_good =
      change < 128 && coracle_raft_configuration_decode(configuration.data, configuration.n, &decoded) == 0;
  stamp_put(b, stamp_snapshot, &stamp);
  put_u64(b, index);
  put_u64(b, 1 + fuzz_byte(in));
  put_u64(b, image_bytes);
  put_u64(b, fuzz_byte(in));
  put_u64(b, fuzz_byte(in) % 16);
  put_u32(b, (uint32_t)configuration.n);
  bytes_append(b, configuration.data, configuration.n);
  bytes_close(&configuration);
  if (change >= 128) b->data[change % SNAPSHOT_FIXED_BYTES] ^= fuzz_byte(in);
  const uint64_t seed = XXH3_64bits(b->data, b->n);
  put_u64(b, seed);
  return seed;
}

static void put_image(struct bytes *b, uint64_t image_bytes, uint64_t seed, uint8_t content) {
  uint64_t number = 0;
  for (uint64_t at = 0; at < image_bytes; number++) {
    const size_t n =
        image_bytes - at < SNAPSHOT_BLOCK_BYTES ? (size_t)(image_bytes - at) : SNAPSHOT_BLOCK_BYTES;
    memset(bytes_reserve(b, n), content + (int)number, n);
    const uint64_t checksum = snapshot_block_checksum(b->data + b->n, n, seed, number);
    b->n += n;
    put_u64(b, checksum);
    at += n;
  }
}

/* Whether nothing was changed. */
static bool change_bytes(struct bytes *b, struct fuzz_input *in) {
  bool same = true;
  for (unsigned i = 0; in->at < in->end && b->n > 0 && i < CHANGES_MAX; i++) {
    const uint8_t what = fuzz_byte(in);
    const size_t from_end = fuzz_u16(in) % b->n, from_begin = fuzz_u16(in) % b->n;
    const uint8_t mask = fuzz_byte(in);
    same = same && mask == 0 && what < 192;
    if (what < 96)
      b->data[from_begin] ^= mask;
    else if (what < 192)
      b->data[b->n - 1 - from_end] ^= mask;
    else if (what < 224)
      b->n -= from_end;
    else
      put_u8(b, mask);
  }
  return same;
}

/* Whether it must be accepted. */
static bool describe(struct bytes *b, struct fuzz_input *in, uint64_t *index) {
  const uint8_t how = fuzz_byte(in), blocks = fuzz_byte(in), change = fuzz_byte(in);
  *index = 15 + fuzz_byte(in);
  const uint64_t image_bytes =
      (how % 2 == 0 ? 0 : fuzz_u16(in)) + (blocks < 240 ? 0 : blocks % 3) * (uint64_t)SNAPSHOT_BLOCK_BYTES;
  bool is_good;
  const uint64_t seed = put_header(b, in, *index, image_bytes, change, &is_good);
  put_image(b, image_bytes, seed, how);
  return change_bytes(b, in) && is_good;
}

static bool take_raw(struct bytes *b, struct fuzz_input *in, uint64_t *index) {
  bytes_append(b, in->at, (size_t)(in->end - in->at));
  *index = 5;
  if (b->n < SNAPSHOT_FIXED_BYTES) return false;
  struct reader r = reader_of(b->data + STAMP_BYTES, b->n - STAMP_BYTES);
  *index = get_u64(&r);
  r = reader_of(b->data + SNAPSHOT_FIXED_BYTES - 4, 4);
  const uint64_t n = SNAPSHOT_FIXED_BYTES + (uint64_t)get_u32(&r);
  if (n + SNAPSHOT_CHECKSUM_BYTES > b->n) return false;
  const uint64_t checksum = XXH3_64bits(b->data, (size_t)n);
  for (unsigned i = 0; i < SNAPSHOT_CHECKSUM_BYTES; i++) b->data[n + i] = (uint8_t)(checksum >> (8 * i));
  return false;
}

/* ---- Reading ---- */

/* What the writer makes of it, in pieces of its blocks, is the file that was read. */
static void check_written(const struct snapshot_reader *reader, const struct bytes *image,
                          const struct bytes *file) {
  struct fake_files *disk = fake_files_new(1);
  const struct files *files = fake_files_table(disk);
  struct snapshot_writer *w;
  struct disk_fault fault;
  struct bytes written = {0};
  char name[FILES_NAME_BYTES_MAX];
  snapshot_name(snapshot_reader_of(reader)->index, name);
  FUZZ_CHECK(files->make_directory(files->context, "snapshot") == 0);
  FUZZ_CHECK(
      snapshot_writer_new(files, snapshot_reader_stamp(reader), snapshot_reader_of(reader), &w, &fault) == 0);
  for (size_t at = 0; at < image->n;) {
    const size_t piece = image->n - at < 100000 ? image->n - at : 100000;
    FUZZ_CHECK(snapshot_writer_append(w, image->data + at, piece, &fault) == 0);
    at += piece;
  }
  FUZZ_CHECK(snapshot_writer_finish(w, &fault) == 0);
  snapshot_writer_free(w);
  FUZZ_CHECK(fake_files_content(disk, name, &written));
  FUZZ_CHECK(slice_equal(slice_of_bytes(&written), slice_of_bytes(file)));
  bytes_close(&written);
  fake_files_free(disk);
}

static int read_blocks(struct snapshot_reader *reader, struct bytes *image, struct disk_fault *fault) {
  struct slice block;
  image->n = 0;
  while (true) {
    const int error = snapshot_reader_next(reader, &block, fault);
    if (error != 0 || block.n == 0) return error;
    bytes_append_slice(image, block);
  }
}

static int check_error(int error, const struct disk_fault *fault) {
  if (error == 0) return 0;
  FUZZ_CHECK(error == CORACLE_EDAMAGED || error == CORACLE_ELIMIT);
  FUZZ_CHECK(strncmp(fault->text, "snapshot/", 9) == 0 && strchr(fault->text, '\n') == NULL);
  return error;
}

static int read_file(struct fake_files *disk, const char *name, const struct bytes *file) {
  struct snapshot_reader *reader = NULL;
  struct disk_fault fault = {""};
  struct bytes image = {0};
  int error = check_error(snapshot_reader_open(fake_files_table(disk), name, &reader, &fault), &fault);
  FUZZ_CHECK((error == 0) == (reader != NULL));
  for (int time = 0; error == 0 && time < 2; time++) {
    error = check_error(read_blocks(reader, &image, &fault), &fault);
    if (error != 0) break;
    FUZZ_CHECK(image.n == snapshot_reader_of(reader)->bytes);
    snapshot_reader_rewind(reader);
  }
  if (error == 0) check_written(reader, &image, file);
  bytes_close(&image);
  snapshot_reader_free(reader);
  FUZZ_CHECK(fake_files_handles(disk) == 0);
  return error;
}

/* ---- The folder ---- */

static void list_names(struct fuzz_input *in) {
  struct fake_files *disk = fake_files_new(1);
  const struct files *files = fake_files_table(disk);
  struct disk_fault fault = {""};
  char name[FILES_NAME_BYTES_MAX] = "snapshot/", again[FILES_NAME_BYTES_MAX] = "";
  uint64_t *indexes;
  size_t n = strlen(name), listed_n;
  FUZZ_CHECK(files->make_directory(files->context, "snapshot") == 0);
  while (in->at < in->end && n < NAME_MAX_BYTES) {
    const uint8_t next = fuzz_byte(in);
    name[n++] = next == '\0' || next == '/' ? '0' : (char)next;
  }
  const char *last = name + strlen("snapshot/");
  if (*last != '\0' && strcmp(last, ".") != 0 && strcmp(last, "..") != 0) fake_files_put(disk, name, "", 0);
  const int error = check_error(snapshot_list(files, &indexes, &listed_n, &fault), &fault);
  if (error == 0 && listed_n > 0) {
    snapshot_name(indexes[0], again);
    FUZZ_CHECK(listed_n == 1 && strcmp(name, again) == 0);
  }
  if (error == 0) free(indexes);
  fake_files_free(disk);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct fuzz_input in = {data, data + n};
  struct bytes file = {0};
  uint64_t index;
  char name[FILES_NAME_BYTES_MAX];
  const uint8_t first = fuzz_byte(&in);
  if (first >= 250) {
    list_names(&in);
    return 0;
  }
  const bool is_good = first % 2 == 1 ? take_raw(&file, &in, &index) : describe(&file, &in, &index);
  snapshot_name(index, name);
  struct fake_files *disk = fake_files_new(1);
  const struct files *files = fake_files_table(disk);
  FUZZ_CHECK(files->make_directory(files->context, "snapshot") == 0);
  fake_files_put(disk, name, file.data, file.n);
  const int error = read_file(disk, name, &file);
  FUZZ_CHECK(!is_good || error == 0);
  fake_files_free(disk);
  bytes_close(&file);
  return 0;
}
