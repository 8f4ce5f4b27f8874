/* The snapshot's format, its reader, and the folder. The writer is snapshot_writer.c. */
#include "disk/snapshot_layout.h"

#include "base/memory.h"
#include "disk/io.h"

#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

enum { DIGITS = 16, BYTES_OFFSET = 56 };

static const char folder[] = "snapshot";
const char snapshot_incoming[] = "snapshot/incoming";

void snapshot_name(uint64_t index, char name[FILES_NAME_BYTES_MAX]) {
  snprintf(name, FILES_NAME_BYTES_MAX, "snapshot/%016" PRIx64, index);
}

uint64_t snapshot_block_checksum(const void *block, size_t n, uint64_t seed, uint64_t number) {
  return XXH3_64bits_withSeed(block, n, seed + number);
}

uint64_t snapshot_file_bytes(size_t header_bytes, uint64_t image_bytes) {
  const uint64_t blocks_n = image_bytes / SNAPSHOT_BLOCK_BYTES + (image_bytes % SNAPSHOT_BLOCK_BYTES != 0);
  return header_bytes + image_bytes + blocks_n * SNAPSHOT_CHECKSUM_BYTES;
}

/* ---- Reading ---- */

struct snapshot_reader {
  const struct files *files;
  char name[FILES_NAME_BYTES_MAX];
  int file;
  struct stamp stamp;
  struct coracle_raft_snapshot snapshot;
  size_t header_bytes;
  uint64_t seed;
  uint64_t block;  /* number of the next one */
  uint8_t *buffer; /* SNAPSHOT_STRIDE_BYTES */
};

static int damaged(const struct snapshot_reader *reader, uint64_t offset, const char *what,
                   struct disk_fault *fault) {
  disk_fault_set(fault, "%s is damaged: %s at offset %" PRIu64 ": " IO_REMEDY, reader->name, what, offset);
  return CORACLE_EDAMAGED;
}

/* The bytes of the header, checked: only then can anything in it be believed. */
static int read_header(struct snapshot_reader *reader, uint8_t header[SNAPSHOT_HEADER_BYTES_MAX],
                       struct disk_fault *fault) {
  size_t got;
  int error =
      io_read(reader->files, reader->file, reader->name, 0, header, SNAPSHOT_HEADER_BYTES_MAX, &got, fault);
  if (error != 0) return error;
  if (got < SNAPSHOT_FIXED_BYTES) return damaged(reader, got, "it ends in its header,", fault);
  struct reader r = reader_of(header + SNAPSHOT_FIXED_BYTES - 4, 4);
  const uint32_t configuration_bytes = get_u32(&r);
  if (configuration_bytes > SNAPSHOT_CONFIGURATION_BYTES_MAX)
    return damaged(reader, SNAPSHOT_FIXED_BYTES - 4, "an impossible length", fault);
  const size_t n = SNAPSHOT_FIXED_BYTES + configuration_bytes;
  if (got < n + SNAPSHOT_CHECKSUM_BYTES) return damaged(reader, got, "it ends in its header,", fault);
  r = reader_of(header + n, SNAPSHOT_CHECKSUM_BYTES);
  reader->seed = get_u64(&r);
  if (reader->seed != XXH3_64bits(header, n))
    return damaged(reader, n, "its header does not have the checksum", fault);
  reader->header_bytes = n + SNAPSHOT_CHECKSUM_BYTES;
  return 0;
}

static int decode_header(struct snapshot_reader *reader, const uint8_t *header, struct disk_fault *fault) {
  struct coracle_raft_snapshot *s = &reader->snapshot;
  struct reader r = reader_of(header, reader->header_bytes - SNAPSHOT_CHECKSUM_BYTES);
  int error = stamp_get(&r, stamp_snapshot, reader->name, &reader->stamp, fault);
  if (error == CORACLE_EMALFORMED) return damaged(reader, 0, "it is not a snapshot", fault);
  if (error != 0) return error;
  s->index = get_u64(&r);
  s->term = get_u64(&r);
  s->bytes = get_u64(&r);
  s->tag = get_u64(&r);
  s->configuration_index = get_u64(&r);
  const size_t configuration_bytes = get_u32(&r);
  const uint8_t *configuration = get_raw(&r, configuration_bytes);
  assert(reader_done(&r));
  if (coracle_raft_configuration_decode(configuration, configuration_bytes, &s->configuration) != 0)
    return damaged(reader, SNAPSHOT_FIXED_BYTES, "not a configuration", fault);
  if (s->index == 0 || s->term == 0 || s->configuration_index > s->index)
    return damaged(reader, STAMP_BYTES, "an impossible index or term", fault);
  char name[FILES_NAME_BYTES_MAX];
  snapshot_name(s->index, name);
  return strcmp(name, reader->name) == 0 ? 0 : damaged(reader, STAMP_BYTES, "it has another index", fault);
}

static int check_length(struct snapshot_reader *reader, struct disk_fault *fault) {
  uint64_t bytes;
  int error = io_size(reader->files, reader->file, reader->name, &bytes, fault);
  if (error != 0) return error;
  if (reader->snapshot.bytes > SNAPSHOT_BYTES_MAX)
    return damaged(reader, BYTES_OFFSET, "an impossible length", fault);
  const uint64_t expected = snapshot_file_bytes(reader->header_bytes, reader->snapshot.bytes);
  if (bytes == expected) return 0;
  disk_fault_set(fault,
                 "%s is damaged: it has %" PRIu64 " bytes, and its header says %" PRIu64 ": " IO_REMEDY,
                 reader->name, bytes, expected);
  return CORACLE_EDAMAGED;
}

int snapshot_reader_open(const struct files *files, const char *name, struct snapshot_reader **opened,
                         struct disk_fault *fault) {
  int file;
  int error = io_open(files, name, FILES_READ, &file, fault);
  if (error == CORACLE_ENOTFOUND) {
    disk_fault_set(fault, "%s is missing: " IO_REMEDY, name);
    return CORACLE_EDAMAGED;
  }
  if (error != 0) return error;
  struct snapshot_reader *reader = memory_zalloc(sizeof *reader);
  reader->files = files;
  reader->file = file;
  snprintf(reader->name, sizeof reader->name, "%s", name);
  reader->buffer = memory_alloc(SNAPSHOT_STRIDE_BYTES);
  error = read_header(reader, reader->buffer, fault);
  if (error == 0) error = decode_header(reader, reader->buffer, fault);
  if (error == 0) error = check_length(reader, fault);
  if (error == 0)
    *opened = reader;
  else
    snapshot_reader_free(reader);
  return error;
}

void snapshot_reader_free(struct snapshot_reader *reader) {
  if (reader == NULL) return;
  reader->files->close(reader->files->context, reader->file);
  free(reader->buffer);
  free(reader);
}

const struct coracle_raft_snapshot *snapshot_reader_of(const struct snapshot_reader *reader) {
  return &reader->snapshot;
}

const struct stamp *snapshot_reader_stamp(const struct snapshot_reader *reader) {
  return &reader->stamp;
}

int snapshot_reader_next(struct snapshot_reader *reader, struct slice *block, struct disk_fault *fault) {
  const uint64_t at = reader->block * SNAPSHOT_BLOCK_BYTES; /* in the image */
  *block = (struct slice){NULL, 0};
  if (at >= reader->snapshot.bytes) return 0;
  const uint64_t left = reader->snapshot.bytes - at;
  const size_t n = left < SNAPSHOT_BLOCK_BYTES ? (size_t)left : SNAPSHOT_BLOCK_BYTES;
  const uint64_t offset = reader->header_bytes + reader->block * SNAPSHOT_STRIDE_BYTES;
  size_t got;
  int error = io_read(reader->files, reader->file, reader->name, offset, reader->buffer,
                      n + SNAPSHOT_CHECKSUM_BYTES, &got, fault);
  if (error != 0) return error;
  if (got < n + SNAPSHOT_CHECKSUM_BYTES) return damaged(reader, offset + got, "it ends", fault);
  struct reader r = reader_of(reader->buffer + n, SNAPSHOT_CHECKSUM_BYTES);
  if (get_u64(&r) != snapshot_block_checksum(reader->buffer, n, reader->seed, reader->block))
    return damaged(reader, offset, "a block does not have its checksum,", fault);
  reader->block++;
  *block = (struct slice){(const char *)reader->buffer, n};
  return 0;
}

void snapshot_reader_rewind(struct snapshot_reader *reader) {
  reader->block = 0;
}

/* ---- The folder ---- */

struct listing {
  uint64_t *indexes;
  size_t n, capacity;
  struct disk_fault *fault;
};

/* Exactly what snapshot_name() makes of an index. */
static bool parse_index(const char *name, uint64_t *index) {
  *index = 0;
  if (strlen(name) != DIGITS || strspn(name, "0123456789abcdef") != DIGITS) return false;
  *index = strtoull(name, NULL, 16);
  return *index != 0;
}

static int list_entry(void *argument, const char *name) {
  struct listing *list = argument;
  uint64_t index;
  if (strcmp(name, strrchr(snapshot_incoming, '/') + 1) == 0) return 0;
  if (!parse_index(name, &index)) {
    disk_fault_set(list->fault, "snapshot/%s is no snapshot, nor anything else of ours: take it away", name);
    return 1;
  }
  if (list->n == list->capacity) {
    list->capacity = list->capacity == 0 ? 4 : 2 * list->capacity;
    list->indexes = memory_realloc(list->indexes, list->capacity * sizeof *list->indexes);
  }
  list->indexes[list->n++] = index;
  return 0;
}

static int compare_indexes(const void *a, const void *b) {
  const uint64_t *left = a, *right = b;
  return (*left > *right) - (*left < *right);
}

int snapshot_list(const struct files *files, uint64_t **indexes, size_t *n, struct disk_fault *fault) {
  struct listing list = {.fault = fault};
  const int result = files->list(files->context, folder, list_entry, &list);
  if (result == 0) {
    if (list.n > 0) qsort(list.indexes, list.n, sizeof *list.indexes, compare_indexes);
    *indexes = list.indexes;
    *n = list.n;
    return 0;
  }
  free(list.indexes);
  return result > 0 ? CORACLE_EDAMAGED : disk_fault_system(fault, result, "list", folder);
}

int snapshot_remove_before(const struct files *files, uint64_t index, bool incoming,
                           struct disk_fault *fault) {
  uint64_t *indexes;
  size_t n;
  int error = snapshot_list(files, &indexes, &n, fault);
  if (error != 0) return error;
  for (size_t i = 0; error == 0 && i < n && indexes[i] < index; i++) {
    char name[FILES_NAME_BYTES_MAX];
    snapshot_name(indexes[i], name);
    error = io_remove(files, name, fault);
  }
  free(indexes);
  return error == 0 && incoming ? io_remove(files, snapshot_incoming, fault) : error;
}
