#include "disk/frame.h"

#include <assert.h>
#include <xxhash.h>

static const uint8_t magic[4] = {'C', 'R', 'F', 1};
static const uint8_t end_mark[FRAME_END_BYTES] = {'f', 'r', 'a', 'm', 'e', 'E', 'n', 'd'};

enum { ALIGNMENT = 8, SECTOR = FILES_SECTOR_BYTES };

/* memcmp() looks at many bytes at once: if each byte is as the one before it, all are as the first. */
bool frame_is_zero(const uint8_t *data, size_t n) {
  return n == 0 || (data[0] == 0 && memcmp(data, data + 1, n - 1) == 0);
}

static uint64_t smaller(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/* The end of the sector that the offset is in. */
static uint64_t sector_end(uint64_t offset) {
  return (offset / SECTOR + 1) * SECTOR;
}

/* Without the padding. */
static uint64_t bare_bytes(size_t records_n) {
  return FRAME_HEADER_BYTES + records_n + FRAME_END_BYTES;
}

uint64_t frame_bytes(size_t records_n) {
  return (bare_bytes(records_n) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* ---- Writing ---- */

/* Of the sectors that lie wholly in the records. */
static uint32_t count_zero_sectors(const uint8_t *records, size_t n, uint64_t offset) {
  uint32_t zeros = 0;
  size_t at = (size_t)((SECTOR - offset % SECTOR) % SECTOR);
  for (; at + SECTOR <= n; at += SECTOR) zeros += frame_is_zero(records + at, SECTOR);
  return zeros;
}

uint64_t frame_put(struct bytes *frame, const struct segment_header *header, uint64_t chain, uint64_t offset,
                   const void *records, size_t n) {
  const size_t bytes = (size_t)frame_bytes(n);
  assert(n > 0 && n <= FRAME_RECORDS_BYTES_MAX);
  assert(offset % ALIGNMENT == 0 && offset + bytes <= SEGMENT_BYTES_MAX);
  frame->n = 0;
  bytes_reserve(frame, bytes);
  bytes_append(frame, magic, sizeof magic);
  put_u32(frame, (uint32_t)n);
  put_u32(frame, (uint32_t)offset);
  put_u32(frame, count_zero_sectors(records, n, offset + FRAME_HEADER_BYTES));
  put_u64(frame, chain);
  put_u64(frame, XXH3_64bits_withSeed(records, n, header->checksum));
  const uint64_t checksum = XXH3_64bits_withSeed(frame->data, frame->n, header->checksum);
  put_u64(frame, checksum);
  bytes_append(frame, records, n);
  bytes_append(frame, end_mark, sizeof end_mark);
  while (frame->n < bytes) put_u8(frame, 0);
  return checksum;
}

/* ---- Reading ---- */

struct frame_header {
  uint32_t n, zero_sectors;
  uint64_t records_checksum, checksum;
};

struct look {
  const uint8_t *segment;
  uint64_t segment_bytes, seed, chain, offset;
};

/* Is there a header that says that it stands here, whatever comes before it? */
static bool is_header(const struct look *look, uint64_t offset, uint64_t *chain,
                      struct frame_header *header) {
  if (look->segment_bytes - offset < FRAME_HEADER_BYTES) return false;
  const uint8_t *at = look->segment + offset;
  if (memcmp(at, magic, sizeof magic) != 0) return false;
  struct reader r = reader_of(at + sizeof magic, FRAME_HEADER_BYTES - sizeof magic);
  header->n = get_u32(&r);
  const uint64_t own_offset = get_u32(&r);
  header->zero_sectors = get_u32(&r);
  *chain = get_u64(&r);
  header->records_checksum = get_u64(&r);
  header->checksum = get_u64(&r);
  return own_offset == offset &&
         header->checksum == XXH3_64bits_withSeed(at, FRAME_HEADER_BYTES - 8, look->seed);
}

/* One past the last byte that is not zero, or `from`. */
static uint64_t content_end(const struct look *look, uint64_t from) {
  uint64_t end = look->segment_bytes;
  while (end > from) {
    const uint64_t start = end - from > SECTOR ? end - SECTOR : from;
    if (!frame_is_zero(look->segment + start, (size_t)(end - start))) break;
    end = start;
  }
  while (end > from && look->segment[end - 1] == 0) end--;
  return end;
}

static bool has_later_header(const struct look *look) {
  struct frame_header header;
  uint64_t chain;
  for (uint64_t at = look->offset + ALIGNMENT; at < look->segment_bytes; at += ALIGNMENT)
    if (is_header(look, at, &chain, &header)) return true;
  return false;
}

/* Sectors, or parts of them, of the bytes from the offset on that are all zero. */
static uint64_t zero_sectors(const struct look *look, uint64_t bytes) {
  uint64_t zeros = 0;
  for (uint64_t at = look->offset, end = at + bytes; at < end;) {
    const uint64_t next = smaller(sector_end(at), end);
    zeros += frame_is_zero(look->segment + at, (size_t)(next - at));
    at = next;
  }
  return zeros;
}

/* The beginning of a header, in the first of the two sectors that it lies in. */
static bool is_right_so_far(const struct look *look, size_t n) {
  const uint8_t *at = look->segment + look->offset;
  struct reader r = reader_of(at + sizeof magic, n - sizeof magic);
  const uint32_t records_n = get_u32(&r);
  if (memcmp(at, magic, sizeof magic) != 0 || records_n == 0 || records_n > FRAME_RECORDS_BYTES_MAX)
    return false;
  if (n >= 16 && get_u32(&r) != look->offset) return false;
  if (n >= 24 && (get_u32(&r) > records_n / SECTOR || get_u64(&r) != look->chain)) return false;
  return true;
}

/* Was a sector with a part of the header never written? */
static bool header_is_lost(const struct look *look) {
  const uint64_t first_end = sector_end(look->offset);
  const size_t first_n = (size_t)(first_end - look->offset);
  if (frame_is_zero(look->segment + look->offset, first_n)) return true;
  return first_n < FRAME_HEADER_BYTES && is_right_so_far(look, first_n) &&
         frame_is_zero(look->segment + first_end,
                       (size_t)(smaller(first_end + SECTOR, look->segment_bytes) - first_end));
}

static enum frame_state damaged(struct frame *frame, const char *wrong) {
  frame->wrong = wrong;
  return FRAME_DAMAGED;
}

static enum frame_state look_without_header(const struct look *look, struct frame *frame) {
  const uint64_t end = content_end(look, look->offset);
  if (end == look->offset) return FRAME_NONE;
  if (look->segment_bytes - look->offset < frame_bytes(1))
    return damaged(frame, "there is something after the last frame");
  if (!header_is_lost(look)) return damaged(frame, "the header of a frame is wrong");
  if (end - look->offset > bare_bytes(FRAME_RECORDS_BYTES_MAX))
    return damaged(frame, "there is something far behind the last frame");
  if (has_later_header(look)) return damaged(frame, "a frame is missing before others");
  frame->torn_bytes = (end - look->offset + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
  return FRAME_TORN;
}

static bool body_is_good(const struct look *look, const struct frame_header *header) {
  const uint8_t *records = look->segment + look->offset + FRAME_HEADER_BYTES;
  const uint64_t padding = frame_bytes(header->n) - bare_bytes(header->n);
  return memcmp(records + header->n, end_mark, sizeof end_mark) == 0 &&
         frame_is_zero(records + header->n + sizeof end_mark, (size_t)padding) &&
         header->records_checksum == XXH3_64bits_withSeed(records, header->n, look->seed);
}

static enum frame_state look_at_body(const struct look *look, const struct frame_header *header,
                                     struct frame *frame) {
  const uint64_t bytes = frame_bytes(header->n), bare = bare_bytes(header->n);
  if (bytes > look->segment_bytes - look->offset) return damaged(frame, "a frame is longer than the file");
  if (body_is_good(look, header)) {
    frame->records = look->segment + look->offset + FRAME_HEADER_BYTES;
    frame->records_n = header->n;
    frame->checksum = header->checksum;
    return FRAME_GOOD;
  }
  if (zero_sectors(look, bare) <= header->zero_sectors)
    return damaged(frame, "what a frame holds does not match its checksum");
  if (content_end(look, look->offset + bare) > look->offset + bare)
    return damaged(frame, "what a frame holds is in part missing, and there is more after it");
  frame->torn_bytes = bytes;
  return FRAME_TORN;
}

enum frame_state frame_look(const uint8_t *segment, uint64_t segment_bytes, uint64_t seed, uint64_t chain,
                            uint64_t offset, struct frame *frame) {
  const struct look look = {segment, segment_bytes, seed, chain, offset};
  struct frame_header header;
  uint64_t own_chain;
  assert(offset <= segment_bytes);
  *frame = (struct frame){0};
  if (!is_header(&look, offset, &own_chain, &header)) return look_without_header(&look, frame);
  if (own_chain != chain) return damaged(frame, "a frame follows another one than the one before it");
  if (header.n == 0 || header.n > FRAME_RECORDS_BYTES_MAX)
    return damaged(frame, "a frame has an impossible length");
  return look_at_body(&look, &header, frame);
}
