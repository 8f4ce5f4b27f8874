/* Applies commands to a store, and tells what comes of them: for test_state_format.py, which holds another
 * reader of the same page against it. They come on standard input, each as
 *
 *   8 bytes      index; 0: begin anew
 *   4 bytes + n  the command
 *
 * Prints a line for each: its outcome, and 1 if it is a replay's; or "unknown"; and for index 0, and at the
 * end, the image of the store, which is then read again. */
#include "base/bytes.h"
#include "store/image.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

enum { COMMAND_BYTES_MAX = 1024 * 1024 };

static const uint8_t hash_key[STORE_HASH_KEY_BYTES] = "a key";

static bool read_uint(uint64_t *value, size_t width) {
  uint8_t at[8];
  if (fread(at, 1, width, stdin) != width) return false;
  *value = 0;
  for (size_t i = 0; i < width; i++) *value |= (uint64_t)at[i] << (8 * i);
  return true;
}

static void check_read_again(const uint8_t *image, size_t n, const struct store *store) {
  struct image_decoder *decoder = image_decoder_new(hash_key);
  struct store *back = NULL;
  int error = image_decoder_feed(decoder, image, n);
  if (error == 0) error = image_decoder_finish(decoder, &back);
  assert(error == 0 && state_hash_equal(store_state_hash(store), store_state_hash(back)));
  image_decoder_free(decoder);
  store_free(back);
}

static void print_image(const struct store *store) {
  struct store_view *view = store_view_take(store);
  struct image_encoder *encoder = image_encoder_new(view);
  struct bytes image = {0};
  const size_t n = image_encoder_bytes(encoder);
  const size_t got = image_encoder_read(encoder, 0, bytes_reserve(&image, n), n);
  assert(got == n);
  for (size_t i = 0; i < n; i++) printf("%02x", image.data[i]);
  putchar('\n');
  check_read_again(image.data, n, store);
  bytes_close(&image);
  image_encoder_free(encoder);
  store_view_free(view);
}

static void apply(struct store *store, uint64_t index, const struct bytes *command) {
  struct store_result result;
  if (store_apply(store, index, command->data, command->n, &result) != 0) {
    puts("unknown");
    return;
  }
  printf("%d %d\n", result.outcome, result.replayed);
  store_result_close(&result);
  while (!store_go_on(store, 1)) continue;
}

int main(void) {
  struct store *store = store_new(hash_key);
  struct bytes command = {0};
  for (uint64_t index, n; read_uint(&index, 8);) {
    const bool has_length = read_uint(&n, 4);
    assert(has_length && n <= COMMAND_BYTES_MAX);
    command.n = 0;
    bytes_reserve(&command, n + 1);
    command.n = fread(command.data, 1, n, stdin);
    assert(command.n == n);
    if (index > 0) {
      apply(store, index, &command);
      continue;
    }
    print_image(store);
    store_free(store);
    store = store_new(hash_key);
  }
  print_image(store);
  store_free(store);
  bytes_close(&command);
  return 0;
}
