/* Tells of data directories, one after the other, what a node finds in each when it starts: for
 * test_disk_format.py, which holds another reader against it. They come on standard input, each as
 *
 *   4 bytes      number of files; then for each
 *   4 bytes + n  its name
 *   4 bytes + n  what is in it
 *
 * and are opened in memory. Prints one line for each: a word (found, new, damaged, newer), and for people the
 * fault, or for the other reader what was found. */
#include "base/bytes.h"
#include "disk/disk.h"
#include "fake_files.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>

enum { BYTES_MAX = 64 * 1024 * 1024 };

static bool read_u32(uint32_t *value) {
  uint8_t at[4];
  if (fread(at, 1, sizeof at, stdin) != sizeof at) return false;
  *value = (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
  return true;
}

/* Behind its length; a NUL is put after it. */
static void read_bytes(struct bytes *b) {
  uint32_t n = 0;
  const bool has_length = read_u32(&n);
  assert(has_length && n <= BYTES_MAX);
  b->n = 0;
  bytes_reserve(b, (size_t)n + 1);
  b->n = fread(b->data, 1, n, stdin);
  assert(b->n == n);
  b->data[n] = 0;
}

static void read_files(struct fake_files *disk, uint32_t n) {
  struct bytes name = {0}, content = {0};
  for (uint32_t i = 0; i < n; i++) {
    read_bytes(&name);
    read_bytes(&content);
    fake_files_put(disk, (const char *)name.data, content.data, content.n);
  }
  bytes_close(&name);
  bytes_close(&content);
}

static void print_hex(const void *data, size_t n) {
  const uint8_t *at = data;
  for (size_t i = 0; i < n; i++) printf("%02x", at[i]);
}

static void print_image(struct snapshot_reader *reader) {
  struct slice block;
  struct disk_fault fault;
  while (reader != NULL && snapshot_reader_next(reader, &block, &fault) == 0 && block.n > 0)
    print_hex(block.at, block.n);
}

/* The start number is the one before this start's own. */
static void print_found(struct disk_found *found) {
  const struct coracle_raft_snapshot *s = &found->snapshot;
  printf("found id %016" PRIx64 " cluster ", found->id);
  print_hex(found->cluster, sizeof found->cluster);
  printf(" start %" PRIu64 " term %" PRIu64 " vote %016" PRIx64 " bad %d torn %d", found->start - 1,
         found->raft.term, found->raft.voted_for, found->damaged_n, found->cut[0] != '\0');
  printf(" snapshot %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ", s->index, s->term, s->tag,
         s->configuration_index);
  print_image(found->image);
  for (size_t i = 0; i < found->entries_n; i++) {
    const struct coracle_raft_entry *entry = found->entries[i];
    if (entry->index <= s->index) continue;
    printf(" entry %" PRIu64 " %" PRIu64 " %d ", entry->index, entry->term, entry->type);
    print_hex(entry->data, entry->bytes);
  }
  putchar('\n');
}

static void tell(struct fake_files *disk) {
  const struct disk_options options = {.fresh_id = 1, .salt_seed = 1};
  struct disk *opened;
  struct disk_found found;
  struct disk_fault fault;
  const int error = disk_open(fake_files_table(disk), &options, &opened, &found, &fault);
  if (error != 0) {
    assert(error == CORACLE_EDAMAGED || error == CORACLE_ELIMIT);
    printf("%s %s\n", error == CORACLE_EDAMAGED ? "damaged" : "newer", fault.text);
    return;
  }
  if (found.made)
    puts("new");
  else
    print_found(&found);
  disk_found_close(&found);
  disk_free(opened);
}

int main(void) {
  uint32_t n;
  while (read_u32(&n)) {
    struct fake_files *disk = fake_files_new(1);
    const struct files *files = fake_files_table(disk);
    const int made =
        files->make_directory(files->context, "log") | files->make_directory(files->context, "snapshot");
    assert(made == 0);
    read_files(disk, n);
    tell(disk);
    fake_files_free(disk);
  }
  return 0;
}
