/* Reading an image, whatever it holds, in pieces of any size: it never crashes, and what it accepts is byte
 * for byte what the writer makes of it. So there is one image for every state, and everything else is
 * refused.
 *
 * A fuzzer does not get past sums by chance. So an input is a description of an image: documents and keys,
 * right or wrong and in any order, with the sums made to fit; and then changes of bytes, with only the
 * header's made to fit, or none. */
#include "fuzz.h"

#include "base/codec.h"
#include "store/image.h"

#include <string.h>
#include <xxhash.h>

enum { PARTS_MAX = 40, CHANGES_MAX = 8 };

static const uint8_t hash_key[STORE_HASH_KEY_BYTES] = {5};

/* ---- An image ---- */

struct made {
  struct bytes parts;
  uint64_t documents, bytes, keys, low, high;
};

static void add_hash(struct made *m, XXH128_hash_t hash) {
  m->low += hash.low64;
  m->high += hash.high64 + (m->low < hash.low64);
}

static void put_name(struct bytes *b, struct fuzz_input *in, size_t n) {
  for (size_t i = 0; i < n; i++) put_u8(b, i % 3 == 2 ? fuzz_byte(in) : (uint8_t)('a' + fuzz_byte(in) % 3));
}

static void put_document(struct made *m, struct fuzz_input *in) {
  struct bytes head = {0}, data = {0};
  const uint8_t lengths = fuzz_byte(in);
  const size_t collection_n = lengths % 4, id_n = lengths / 4 % 4, body_n = lengths / 16;
  put_name(&data, in, collection_n);
  put_name(&data, in, id_n);
  for (size_t i = 0; i < body_n; i++) put_u8(&data, fuzz_byte(in));
  put_u64(&head, fuzz_byte(in));
  put_u32(&head, (uint32_t)body_n);
  put_u16(&head, (uint16_t)id_n);
  put_u8(&head, (uint8_t)collection_n);
  add_hash(m, XXH3_128bits_withSeed(data.data, data.n, XXH3_64bits(head.data, head.n)));
  bytes_append(&m->parts, head.data, head.n);
  bytes_append(&m->parts, data.data, data.n);
  m->documents++;
  m->bytes += data.n;
  bytes_close(&head);
  bytes_close(&data);
}

static void put_key(struct made *m, struct fuzz_input *in) {
  const size_t at = m->parts.n;
  for (unsigned i = 0; i < 3 * COMMAND_DIGEST_BYTES; i++) put_u8(&m->parts, i % 16 == 0 ? fuzz_byte(in) : 0);
  put_u64(&m->parts, fuzz_byte(in));
  const uint8_t outcome = fuzz_byte(in) % 12;
  put_u8(&m->parts, outcome);
  put_u8(&m->parts, outcome == STORE_REFUSED ? fuzz_byte(in) % 8 : 0);
  put_u16(&m->parts, outcome == STORE_REFUSED ? fuzz_byte(in) : 0);
  add_hash(m, XXH3_128bits(m->parts.data + at, m->parts.n - at));
  m->keys++;
}

static void fit_header(struct bytes *image) {
  if (image->n < IMAGE_HEADER_BYTES) return;
  const uint64_t tag = XXH3_64bits(image->data, IMAGE_HEADER_BYTES - 8);
  for (unsigned i = 0; i < 8; i++) image->data[IMAGE_HEADER_BYTES - 8 + i] = (uint8_t)(tag >> (8 * i));
}

static void put_image(struct bytes *image, const struct made *m, uint8_t revision) {
  bytes_append_string(image, "CRCI");
  put_u32(image, IMAGE_VERSION);
  put_u64(image, revision);
  put_u64(image, m->documents);
  put_u64(image, m->bytes);
  put_u64(image, m->low);
  put_u64(image, m->high);
  put_u64(image, m->keys);
  put_u64(image, 0);
  fit_header(image);
  bytes_append_slice(image, slice_of_bytes(&m->parts));
}

static void change_bytes(struct bytes *b, struct fuzz_input *in) {
  for (unsigned i = 0; in->at < in->end && b->n > 0 && i < CHANGES_MAX; i++) {
    const uint8_t what = fuzz_byte(in), mask = fuzz_byte(in);
    const size_t at = fuzz_u16(in) % b->n;
    if (what < 192)
      b->data[at] ^= mask;
    else if (what < 224)
      b->n = at;
    else
      put_u8(b, mask);
    if (what % 2 == 0) fit_header(b);
  }
}

static void describe(struct bytes *image, struct fuzz_input *in) {
  struct made m = {0};
  const uint8_t revision = fuzz_byte(in), documents = fuzz_byte(in) % PARTS_MAX,
                keys = fuzz_byte(in) % PARTS_MAX;
  for (uint8_t i = 0; i < documents && in->at < in->end; i++) put_document(&m, in);
  for (uint8_t i = 0; i < keys && in->at < in->end; i++) put_key(&m, in);
  put_image(image, &m, revision);
  bytes_close(&m.parts);
}

/* ---- Reading ---- */

static struct store *read_image(const struct bytes *image, size_t piece) {
  struct image_decoder *decoder = image_decoder_new(hash_key);
  struct store *store = NULL;
  int error = 0;
  for (size_t at = 0; error == 0 && at < image->n; at += piece)
    error = image_decoder_feed(decoder, image->data + at, image->n - at < piece ? image->n - at : piece);
  if (error == 0) error = image_decoder_finish(decoder, &store);
  FUZZ_CHECK(error == 0 || error == CORACLE_EMALFORMED);
  FUZZ_CHECK((error == 0) == (store != NULL));
  image_decoder_free(decoder);
  return store;
}

static void check_written(const struct store *store, const struct bytes *image, size_t piece) {
  struct store_view *view = store_view_take(store);
  struct image_encoder *encoder = image_encoder_new(view);
  struct bytes written = {0};
  FUZZ_CHECK(image_encoder_bytes(encoder) == image->n);
  while (written.n < image->n) {
    const size_t n = image_encoder_read(encoder, written.n, bytes_reserve(&written, piece), piece);
    FUZZ_CHECK(n > 0);
    written.n += n;
  }
  FUZZ_CHECK(slice_equal(slice_of_bytes(&written), slice_of_bytes(image)));
  bytes_close(&written);
  image_encoder_free(encoder);
  store_view_free(view);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct fuzz_input in = {data, data + n};
  struct bytes image = {0};
  const uint8_t how = fuzz_byte(&in);
  const size_t piece = 1 + fuzz_byte(&in);
  if (how < 16) {
    bytes_append(&image, in.at, (size_t)(in.end - in.at));
    if (image.n >= 8) memcpy(image.data, "CRCI\2\0\0", 8);
    fit_header(&image);
  } else {
    describe(&image, &in);
    if (how % 2 == 0) change_bytes(&image, &in);
  }
  struct store *store = read_image(&image, piece);
  if (store != NULL) check_written(store, &image, piece);
  store_free(store);
  bytes_close(&image);
  return 0;
}
