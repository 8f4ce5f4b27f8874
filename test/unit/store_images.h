/* Stores to images and back, for tests of both. */
#ifndef CORACLE_TEST_STORE_IMAGES_H
#define CORACLE_TEST_STORE_IMAGES_H

#include "store/image.h"
#include "store_commands.h"

static inline struct bytes encode_view(const struct store_view *view) {
  struct image_encoder *encoder = image_encoder_new(view);
  struct bytes image = {0};
  size_t n = image_encoder_bytes(encoder);
  bytes_reserve(&image, n);
  assert_int_equal(image_encoder_read(encoder, 0, image.data, n + 1), n);
  image.n = n;
  image_encoder_free(encoder);
  return image;
}

static inline struct bytes encode_store(const struct store *store) {
  struct store_view *view = store_view_take(store);
  struct bytes image = encode_view(view);
  store_view_free(view);
  return image;
}

/* NULL when it is refused. Each piece in memory of exactly its size. */
static inline struct store *decode_pieces(const struct bytes *image, const size_t *pieces, size_t pieces_n) {
  struct image_decoder *decoder = image_decoder_new(test_hash_key);
  struct store *store = NULL;
  size_t at = 0;
  int error = 0;
  for (size_t i = 0; i < pieces_n && error == 0; at += pieces[i++]) {
    uint8_t *copy = exact_copy(image->data + at, pieces[i]);
    error = image_decoder_feed(decoder, copy, pieces[i]);
    free(copy);
  }
  if (error == 0) error = image_decoder_finish(decoder, &store);
  assert_int_equal(error == 0, store != NULL);
  assert_true(error == 0 || error == CORACLE_EMALFORMED);
  image_decoder_free(decoder);
  return store;
}

static inline struct store *decode_whole(const struct bytes *image) {
  return decode_pieces(image, &image->n, 1);
}

static inline void assert_same_stores(const struct store *a, const struct store *b) {
  struct bytes one = encode_store(a), other = encode_store(b);
  assert_true(slice_equal(slice_of_bytes(&one), slice_of_bytes(&other)));
  bytes_close(&one);
  bytes_close(&other);
}

#endif
