#include "wire/datagram.h"

#include <assert.h>

enum { VERSION = 1, SCHEME_NONE = 0, SEAL_BYTES = 40 };

static const uint8_t magic[4] = {'C', 'R', 'C', 'L'};
static const uint8_t zeros[SEAL_BYTES];

const char *datagram_fault_text(enum datagram_fault fault) {
  static const char *const texts[] = {
#define X(name, text) [DATAGRAM_##name] = text,
      DATAGRAM_FAULTS(X)
#undef X
  };
  assert((unsigned)fault < DATAGRAM_FAULTS_N);
  return texts[fault];
}

void datagram_encode(const struct datagram *datagram, struct bytes *out) {
  assert(datagram->from != 0 && datagram->type != 0);
  assert(datagram->body.n <= DATAGRAM_BYTES_MAX - DATAGRAM_HEADER_BYTES);
  out->n = 0;
  bytes_append(out, magic, sizeof magic);
  put_u8(out, VERSION);
  put_u8(out, SCHEME_NONE);
  bytes_append(out, zeros, 2);
  bytes_append(out, zeros, SEAL_BYTES);
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
}

/* Whether the next n bytes are these. */
static bool get_expected(struct reader *r, const uint8_t *expected, size_t n) {
  const uint8_t *at = get_raw(r, n);
  return at != NULL && memcmp(at, expected, n) == 0;
}

enum datagram_fault datagram_decode(const void *data, size_t n, struct datagram *datagram) {
  struct reader r = reader_of(data, n);
  if (n < DATAGRAM_HEADER_BYTES) return DATAGRAM_SHORT;
  if (n > DATAGRAM_BYTES_MAX) return DATAGRAM_LONG;
  if (!get_expected(&r, magic, sizeof magic)) return DATAGRAM_MAGIC;
  if (get_u8(&r) != VERSION) return DATAGRAM_VERSION;

  bool sealed = get_u8(&r) != SCHEME_NONE;
  bool reserved_zero = get_expected(&r, zeros, 2);
  if (sealed || !get_expected(&r, zeros, SEAL_BYTES)) return DATAGRAM_SEAL;
  datagram->type = get_u8(&r);
  if (!get_expected(&r, zeros, 7) || !reserved_zero) return DATAGRAM_RESERVED;

  memcpy(datagram->cluster, get_raw(&r, CLUSTER_ID_BYTES), CLUSTER_ID_BYTES);
  datagram->from = get_u64(&r);
  datagram->to = get_u64(&r);
  datagram->start = get_u64(&r);
  datagram->counter = get_u64(&r);
  datagram->term = get_u64(&r);
  datagram->round = get_u64(&r);
  assert(reader_ok(&r));
  datagram->body = (struct slice){(const char *)r.at, reader_left(&r)};

  if (datagram->from == 0) return DATAGRAM_SENDER;
  if (datagram->type == 0) return DATAGRAM_TYPE;
  return DATAGRAM_NONE;
}
