/* Commands, whatever they hold: decoding never crashes, what it accepts is encoded as the same bytes again,
 * and is applied; and the state that all of them leave goes through an image unchanged. An input is a list of
 * commands, each a type and then bytes, of which some are made to be right. */
#include "fuzz.h"

#include "base/codec.h"
#include "store/image.h"

#include <string.h>

enum { COMMANDS_MAX = 64, OPERATIONS_MAX = 6 };

static const uint8_t hash_key[STORE_HASH_KEY_BYTES] = {6};

/* ---- A command ---- */

static void put_document_command(struct bytes *b, struct fuzz_input *in) {
  const uint8_t how = fuzz_byte(in);
  const uint8_t condition = how / 16 % 7;
  put_u8(b, 1 + how % 2);
  put_u8(b, condition);
  put_u64(b, condition == COMMAND_IF_REVISION || condition == COMMAND_IF_BASE ? fuzz_byte(in) : 0);
  put_u8(b, 1);
  put_u8(b, (uint8_t)('a' + how / 2 % 2));
  put_u16(b, how >= 250 ? fuzz_u16(in) : 1);
  put_u8(b, (uint8_t)('0' + how / 4 % 4));
  for (uint8_t n = how % 2 == 0 || how >= 240 ? fuzz_byte(in) % 8 + 1 : 0; n > 0; n--)
    put_u8(b, fuzz_byte(in));
}

static void put_several(struct bytes *b, struct fuzz_input *in, uint8_t type) {
  const uint8_t n = fuzz_byte(in), counted = n % OPERATIONS_MAX;
  put_u8(b, type);
  put_u16(b, n >= 240 ? fuzz_u16(in) : counted);
  for (uint8_t i = 0; i < counted; i++) {
    const size_t at = b->n;
    put_u32(b, 0);
    put_document_command(b, in);
    set_u32(b, at, (uint32_t)(b->n - at - 4) + (n >= 230 ? fuzz_byte(in) : 0));
  }
}

static void put_once(struct bytes *b, struct fuzz_input *in) {
  put_u8(b, COMMAND_ONCE);
  for (unsigned i = 0; i < 3 * COMMAND_DIGEST_BYTES; i++)
    put_u8(b, i % COMMAND_DIGEST_BYTES == 0 ? fuzz_byte(in) % 16 : 0);
}

static void put_command(struct bytes *b, struct fuzz_input *in) {
  const uint8_t how = fuzz_byte(in);
  if (how / 8 % 4 == 0) put_once(b, in);
  switch (how % 8) {
  case 0:
  case 1:
  case 2:
    put_document_command(b, in);
    break;
  case 3:
  case 4:
    put_several(b, in, COMMAND_TRANSACTION);
    break;
  case 5:
    put_several(b, in, COMMAND_BATCH);
    break;
  case 6:
    put_u8(b, COMMAND_DROP);
    put_u8(b, how >= 240 ? fuzz_byte(in) : (uint8_t)('a' + how / 64 % 2));
    break;
  default:
    for (uint8_t n = fuzz_byte(in) % 40; n > 0; n--) put_u8(b, fuzz_byte(in));
  }
  if (how >= 224 && b->n > 0) b->data[fuzz_byte(in) % b->n] ^= fuzz_byte(in);
}

/* ---- What comes of it ---- */

static void check_encoded_again(struct command *command, const struct command_once *once,
                                const struct bytes *bytes) {
  struct command operations[COMMAND_BATCH_MAX];
  struct slice left = command->encoded_operations;
  struct bytes again = {0};
  size_t n = 0;
  for (struct command operation; command_next(&left, &operation);) operations[n++] = operation;
  FUZZ_CHECK(n == command->operations_n);
  command->operations = operations;
  command->once = once;
  FUZZ_CHECK(command_size(command) == bytes->n);
  command_encode(command, bytes_reserve(&again, bytes->n));
  again.n = bytes->n;
  FUZZ_CHECK(slice_equal(slice_of_bytes(&again), slice_of_bytes(bytes)));
  bytes_close(&again);
}

static bool is_canonical(const struct bytes *bytes) {
  struct command command;
  struct command_once once;
  bool has_once;
  if (command_decode(bytes->data, bytes->n, &command, &once, &has_once) != 0) return false;
  check_encoded_again(&command, has_once ? &once : NULL, bytes);
  return true;
}

static void apply(struct store *store, uint64_t index, const struct bytes *bytes) {
  struct store_result result;
  const bool is_command = is_canonical(bytes);
  if (store_apply(store, index, bytes->data, bytes->n, &result) != 0) return;
  FUZZ_CHECK(is_command && store_revision(store) == index);
  store_result_close(&result);
  while (!store_go_on(store, 1)) FUZZ_CHECK(store_is_busy(store));
}

static void check_image(const struct store *store) {
  struct store_view *view = store_view_take(store);
  struct image_encoder *encoder = image_encoder_new(view);
  struct image_decoder *decoder = image_decoder_new(hash_key);
  struct bytes image = {0};
  struct store *back;
  const size_t n = image_encoder_bytes(encoder);
  FUZZ_CHECK(image_encoder_read(encoder, 0, bytes_reserve(&image, n), n) == n);
  FUZZ_CHECK(image_decoder_feed(decoder, image.data, n) == 0 && image_decoder_finish(decoder, &back) == 0);
  FUZZ_CHECK(store_keys(back) == store_keys(store) && store_documents(back) == store_documents(store));
  store_free(back);
  image_decoder_free(decoder);
  image_encoder_free(encoder);
  store_view_free(view);
  bytes_close(&image);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
  struct fuzz_input in = {data, data + n};
  struct store *store = store_new(hash_key);
  struct bytes command = {0};
  for (uint64_t index = 1; index <= COMMANDS_MAX && in.at < in.end; index++) {
    command.n = 0;
    put_command(&command, &in);
    apply(store, index, &command);
  }
  check_image(store);
  store_free(store);
  bytes_close(&command);
  return 0;
}
