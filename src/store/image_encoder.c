/* Writes an image. Among the documents the position is a record of the view and how far into it the next byte
 * is; checkpoints are earlier positions at the beginning of a record. The keys behind them are all of one
 * length, so each is found by calculation. */
#include "store/core.h"
#include "store/image.h"

#include "base/codec.h"
#include "base/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <xxhash.h>

_Static_assert((int)IMAGE_RECORD_BYTES == (int)RECORD_HEAD_BYTES, "the head of a record is in its hash");
_Static_assert((int)IMAGE_KEY_BYTES == (int)KEY_BYTES, "keys are kept as they stand in an image");

/* The beginning of a record in the image. */
struct place {
  uint64_t offset;                   /* of its head */
  const struct store_record *before; /* the record in front of it; NULL: it is the first */
};

struct image_encoder {
  const struct store_view *view; /* borrowed */
  uint8_t header[IMAGE_HEADER_BYTES];
  uint64_t keys_offset; /* of the first key */
  uint64_t bytes, tag;
  struct place
      *checkpoints; /* ascending, at least IMAGE_CHECKPOINT_BYTES apart; the first is the first record */
  size_t checkpoints_n, checkpoints_max;
  struct place at;                     /* of the next record to be looked at */
  struct store_record *const *records; /* that record and those that follow it in its node of the index */
  size_t records_n;
};

static void encode_header(struct image_encoder *e) {
  struct state_hash hash = store_view_state_hash(e->view);
  struct bytes b = {0};
  bytes_append(&b, "CRCI", 4);
  put_u32(&b, IMAGE_VERSION);
  put_u64(&b, store_view_revision(e->view));
  put_u64(&b, store_view_documents(e->view));
  put_u64(&b, store_view_bytes(e->view));
  put_u64(&b, hash.low);
  put_u64(&b, hash.high);
  put_u64(&b, store_view_keys(e->view));
  e->tag = XXH3_64bits(b.data, b.n);
  put_u64(&b, e->tag);
  assert(b.n == sizeof e->header);
  memcpy(e->header, b.data, b.n);
  bytes_close(&b);
}

static uint64_t image_bytes(const struct store_record *record) {
  return RECORD_HEAD_BYTES + record_bytes(record);
}

/* ---- The position ---- */

static void go_to(struct image_encoder *e, struct place place) {
  e->at = place;
  e->records_n = store_view_records(e->view, place.before, &e->records);
}

/* Past the record at the position. */
static void advance(struct image_encoder *e) {
  e->at.offset += image_bytes(e->records[0]);
  e->at.before = e->records[0];
  e->records++;
  if (--e->records_n == 0) go_to(e, e->at);

  const struct place *last = &e->checkpoints[e->checkpoints_n - 1];
  if (e->at.offset < last->offset + IMAGE_CHECKPOINT_BYTES) return;
  if (e->checkpoints_n == e->checkpoints_max) {
    e->checkpoints_max *= 2;
    e->checkpoints = memory_realloc(e->checkpoints, e->checkpoints_max * sizeof *e->checkpoints);
  }
  e->checkpoints[e->checkpoints_n++] = e->at;
}

/* The last checkpoint at or before the offset. */
static struct place checkpoint_before(const struct image_encoder *e, uint64_t offset) {
  size_t low = 0, high = e->checkpoints_n;
  while (high - low > 1) {
    size_t middle = low + (high - low) / 2;
    if (e->checkpoints[middle].offset <= offset)
      low = middle;
    else
      high = middle;
  }
  return e->checkpoints[low];
}

/* To the record in which the offset is, or to the end. */
static void seek(struct image_encoder *e, uint64_t offset) {
  struct place checkpoint = checkpoint_before(e, offset);
  if (e->at.offset > offset || e->at.offset < checkpoint.offset) go_to(e, checkpoint);
  while (e->records_n > 0 && e->at.offset + image_bytes(e->records[0]) <= offset) advance(e);
}

/* ---- Life ---- */

struct image_encoder *image_encoder_new(const struct store_view *view) {
  struct image_encoder *e = memory_zalloc(sizeof *e);
  e->view = view;
  assert(store_view_is_settled(view));
  e->keys_offset =
      IMAGE_HEADER_BYTES + RECORD_HEAD_BYTES * store_view_documents(view) + store_view_bytes(view);
  e->bytes = e->keys_offset + KEY_BYTES * store_view_keys(view);
  encode_header(e);
  e->checkpoints_max = 16;
  e->checkpoints = memory_alloc(e->checkpoints_max * sizeof *e->checkpoints);
  e->checkpoints[e->checkpoints_n++] = (struct place){.offset = IMAGE_HEADER_BYTES};
  go_to(e, e->checkpoints[0]);
  return e;
}

void image_encoder_free(struct image_encoder *e) {
  if (e == NULL) return;
  free(e->checkpoints);
  free(e);
}

uint64_t image_encoder_bytes(const struct image_encoder *e) {
  return e->bytes;
}

uint64_t image_encoder_tag(const struct image_encoder *e) {
  return e->tag;
}

/* ---- Reading ---- */

/* Of `part_bytes` that stand at `part_offset` of the image, those that fall into the n bytes from `offset`
 * on.
 */
static void copy_overlap(uint8_t *out, uint64_t offset, size_t n, const void *part, uint64_t part_offset,
                         size_t part_bytes) {
  uint64_t from = part_offset > offset ? part_offset : offset;
  uint64_t to = part_offset + part_bytes < offset + n ? part_offset + part_bytes : offset + n;
  if (from < to) memcpy(out + (from - offset), (const uint8_t *)part + (from - part_offset), to - from);
}

/* The documents' part of the n bytes from `offset` on, which end with the documents at the latest. */
static void read_documents(struct image_encoder *e, uint64_t offset, uint8_t *out, size_t n) {
  seek(e, offset);
  while (e->at.offset < offset + n) {
    const struct store_record *record = e->records[0];
    uint8_t head[RECORD_HEAD_BYTES];
    assert(e->records_n > 0);
    record_encode_head(record, head);
    copy_overlap(out, offset, n, head, e->at.offset, sizeof head);
    copy_overlap(out, offset, n, record->data, e->at.offset + sizeof head, record_bytes(record));
    if (e->at.offset + image_bytes(record) > offset + n) break; /* the next call goes on within it */
    advance(e);
  }
}

static void read_keys(const struct image_encoder *e, uint64_t offset, uint8_t *out, size_t n) {
  uint64_t i = offset > e->keys_offset ? (offset - e->keys_offset) / KEY_BYTES : 0;
  for (uint64_t at; (at = e->keys_offset + i * KEY_BYTES) < offset + n; i++)
    copy_overlap(out, offset, n, store_view_key(e->view, i), at, KEY_BYTES);
}

size_t image_encoder_read(struct image_encoder *e, uint64_t offset, uint8_t *out, size_t n) {
  assert(offset <= e->bytes);
  if (n > e->bytes - offset) n = (size_t)(e->bytes - offset);
  if (n == 0) return 0;

  copy_overlap(out, offset, n, e->header, 0, sizeof e->header);
  if (offset < e->keys_offset) {
    const uint64_t left = e->keys_offset - offset;
    read_documents(e, offset, out, n < left ? n : (size_t)left);
  }
  read_keys(e, offset, out, n);
  return n;
}
