#include "wire/datagram.h"

#include <assert.h>

enum {
  VERSION = 1,
  SCHEME_XCHACHA20_POLY1305 = 1,
  SCHEME_OFFSET = 5,
  CLEAR_BYTES = 8, /* stay readable, and are under the seal all the same */
  NONCE_OFFSET = 8,
  TAG_OFFSET = 32,
  SEALED_OFFSET = 48,
};

static const uint8_t magic[4] = {'C', 'R', 'C', 'L'};
static const uint8_t zeros[SEAL_TAG_BYTES];

const char *datagram_fault_text(enum datagram_fault fault) {
  static const char *const texts[] = {
#define X(name, text) [DATAGRAM_##name] = text,
      DATAGRAM_FAULTS(X)
#undef X
  };
  assert((unsigned)fault < DATAGRAM_FAULTS_N);
  return texts[fault];
}

void datagram_seal(const struct datagram *datagram, const uint8_t key[SEAL_KEY_BYTES],
                   const uint8_t nonce[SEAL_NONCE_BYTES], struct bytes *out) {
  assert(datagram->from != 0 && datagram->type != 0);
  assert(datagram->body.n <= DATAGRAM_BYTES_MAX - DATAGRAM_HEADER_BYTES);
  out->n = 0;
  bytes_append(out, magic, sizeof magic);
  put_u8(out, VERSION);
  put_u8(out, SCHEME_XCHACHA20_POLY1305);
  bytes_append(out, zeros, 2);
  bytes_append(out, nonce, SEAL_NONCE_BYTES);
  bytes_append(out, zeros, SEAL_TAG_BYTES); /* comes last */
  assert(out->n == SEALED_OFFSET);
  put_u8(out, datagram->type);
  bytes_append(out, zeros, 7);
  bytes_append(out, datagram->cluster, CLUSTER_ID_BYTES);
  put_u64(out, datagram->from);
  put_u64(out, datagram->to);
  put_u64(out, datagram->start);
  put_u64(out, datagram->counter);
  put_u64(out, datagram->term);
  put_u64(out, datagram->round);
  assert(out->n == DATAGRAM_HEADER_BYTES);
  bytes_append_slice(out, datagram->body);
  seal_in_place(key, nonce, out->data, CLEAR_BYTES, out->data + SEALED_OFFSET, out->n - SEALED_OFFSET,
                out->data + TAG_OFFSET);
}

/* Whether the next n bytes are these. */
static bool get_expected(struct reader *r, const uint8_t *expected, size_t n) {
  const uint8_t *at = get_raw(r, n);
  return at != NULL && memcmp(at, expected, n) == 0;
}

/* What the seal has vouched for, from SEALED_OFFSET on. */
static enum datagram_fault read_sealed(struct reader *r, struct datagram *datagram) {
  datagram->type = get_u8(r);
  if (!get_expected(r, zeros, 7)) return DATAGRAM_RESERVED;
  memcpy(datagram->cluster, get_raw(r, CLUSTER_ID_BYTES), CLUSTER_ID_BYTES);
  datagram->from = get_u64(r);
  datagram->to = get_u64(r);
  datagram->start = get_u64(r);
  datagram->counter = get_u64(r);
  datagram->term = get_u64(r);
  datagram->round = get_u64(r);
  assert(reader_ok(r));
  datagram->body = (struct slice){(const char *)r->at, reader_left(r)};

  if (datagram->from == 0) return DATAGRAM_SENDER;
  if (datagram->type == 0) return DATAGRAM_TYPE;
  return DATAGRAM_NONE;
}

enum datagram_fault datagram_open(const void *data, size_t n, const uint8_t key[SEAL_KEY_BYTES],
                                  uint8_t plain[DATAGRAM_BYTES_MAX], struct datagram *datagram) {
  const uint8_t *at = data;
  struct reader r = reader_of(data, n);
  if (n < DATAGRAM_HEADER_BYTES) return DATAGRAM_SHORT;
  if (n > DATAGRAM_BYTES_MAX) return DATAGRAM_LONG;
  if (!get_expected(&r, magic, sizeof magic)) return DATAGRAM_MAGIC;
  if (get_u8(&r) != VERSION) return DATAGRAM_VERSION;
  if (at[SCHEME_OFFSET] != SCHEME_XCHACHA20_POLY1305) return DATAGRAM_SEAL;

  const size_t sealed_n = n - SEALED_OFFSET;
  memcpy(plain, at + SEALED_OFFSET, sealed_n);
  if (!seal_open_in_place(key, at + NONCE_OFFSET, at, CLEAR_BYTES, plain, sealed_n, at + TAG_OFFSET))
    return DATAGRAM_SEAL;
  if (memcmp(at + SCHEME_OFFSET + 1, zeros, 2) != 0) return DATAGRAM_RESERVED;
  r = reader_of(plain, sealed_n);
  return read_sealed(&r, datagram);
}
