/* Goal: an image is the store as bytes, the same ones whoever writes it and in whichever pieces, and what
 * comes back from it is that store, whatever pieces it is read in; and nothing else is taken for an image:
 * not one with any byte changed, cut off or added, and not one that was made to deceive. */
#include "base/codec.h"
#include "base/random.h"
#include "store_images.h"
#include "store_vectors.h"

#include <stdio.h>
#include <xxhash.h>

static void assert_refused(const struct bytes *image) {
  assert_null(decode_whole(image));
}

/* Revision 7, three documents in two collections, two keys: of a document that was put, and of a transaction
 * that was refused for its second operation. */
static struct store *small_store(void) {
  struct store *store = store_new(test_hash_key);
  put(store, 1, "notes", "b", "{\"n\":2}");
  put(store, 2, "notes", "gone", "{}");
  put(store, 3, "items", "\xc3\xa9", "{\"id\":\"\xc3\xa9\"}");
  put(store, 4, "notes", "a", "{}");
  struct command gone = delete_command("notes", "gone");
  apply(store, 5, &gone);

  const struct command_once once[] = {once_of(0x11, 0x22), once_of(0x33, 0x44)};
  struct command again = put_command("notes", "a", "{}");
  again.once = &once[0];
  assert_int_equal(outcome(store, 6, &again), STORE_REPLACED);
  const struct command operations[] = {put_command("notes", "c", "{}"), gone};
  const struct command refused = {
      .type = COMMAND_TRANSACTION, .operations = operations, .operations_n = 2, .once = &once[1]};
  assert_int_equal(outcome(store, 7, &refused), STORE_REFUSED);
  return store;
}

static struct bytes small_image(void) {
  struct store *store = small_store();
  struct bytes image = encode_store(store);
  store_free(store);
  return image;
}

/* ---- The layout ---- */

static void the_layout(void **state) {
  (void)state;
  struct bytes image = small_image();
  assert_golden(image.data, image.n, VECTOR_IMAGE);
  bytes_close(&image);

  struct store *store = store_new(test_hash_key);
  image = encode_store(store);
  assert_golden(image.data, image.n, VECTOR_EMPTY_IMAGE);
  struct store *back = decode_whole(&image);
  assert_non_null(back);
  assert_int_equal(store_documents(back), 0);
  assert_int_equal(store_revision(back), 0);
  store_free(back);
  store_free(store);
  bytes_close(&image);
}

/* ---- There and back ---- */

static void split_at_every_byte(void **state) {
  (void)state;
  struct store *store = small_store();
  struct bytes image = encode_store(store);
  size_t ones[512];
  for (size_t i = 0; i < 512; i++) ones[i] = 1;
  assert_in_range(image.n, 1, 512);
  for (size_t at = 0; at <= image.n; at++) {
    size_t pieces[] = {at, 0, image.n - at};
    struct store *back = decode_pieces(&image, pieces, 3);
    assert_non_null(back);
    assert_same_stores(store, back);
    assert_int_equal(store_revision(back), 7);
    store_free(back);
  }
  struct store *back = decode_pieces(&image, ones, image.n);
  assert_non_null(back);

  /* It is a store like any other. */
  struct store_record *record = store_get(back, slice_of("notes"), slice_of("b"));
  assert_non_null(record);
  assert_int_equal(record->revision, 1);
  assert_int_equal(store_count(back, slice_of("notes")), 2);
  put(back, 8, "notes", "b", "{}");
  put(store, 8, "notes", "b", "{}");
  assert_same_stores(store, back);
  store_free(back);
  store_free(store);
  bytes_close(&image);
}

enum { DOCUMENTS = 20000, KEYS = DOCUMENTS / 10 };

/* With small documents, some that are longer than the distance between checkpoints, and keys. */
static struct store *large_store(struct random *random) {
  struct store *store = store_new(test_hash_key);
  char *body = malloc(200001);
  assert_non_null(body);
  for (uint64_t index = 1; index <= DOCUMENTS; index++) {
    char id[24];
    size_t n = index % 1000 == 0 ? 200000 : 1 + random_below(random, 100);
    for (size_t i = 0; i < n; i++) body[i] = (char)('!' + (index + i) % 90);
    body[n] = '\0';
    snprintf(id, sizeof id, "%06u", (unsigned)random_below(random, 1000000));
    const struct command_once once = once_of(random_next(random), index);
    struct command command = put_command(index % 3 == 0 ? "even" : "odd", id, body);
    if (index % (DOCUMENTS / KEYS) == 0) command.once = &once;
    outcome(store, index, &command);
  }
  free(body);
  return store;
}

/* Goal: any stretch of the image, in any order, from one encoder while the store changes, is the same. */
static void any_stretch_in_any_order(void **state) {
  (void)state;
  struct random random = {.state = 7};
  struct store *store = large_store(&random);
  struct store_view *view = store_view_take(store);
  struct bytes image = encode_view(view);
  struct image_encoder *encoder = image_encoder_new(view);
  enum { STRETCH_MAX = 300000 };
  uint8_t *stretch = malloc(STRETCH_MAX);
  assert_non_null(stretch);
  assert_true(image_encoder_bytes(encoder) == image.n);
  for (int i = 0; i < 3000; i++) {
    char id[24];
    size_t offset = random_below(&random, (uint32_t)image.n + 1);
    size_t most = i % 10 == 0 ? STRETCH_MAX : 500;
    if (i % 100 == 50) offset = random_below(&random, 80);
    if (i % 10 == 5) offset = image.n - random_below(&random, 2 * KEYS * IMAGE_KEY_BYTES);
    size_t n = random_below(&random, (uint32_t)most), left = image.n - offset;
    size_t got = image_encoder_read(encoder, offset, stretch, n);
    assert_int_equal(got, n < left ? n : left);
    assert_memory_equal(stretch, image.data + offset, got);
    snprintf(id, sizeof id, "%06u", (unsigned)random_below(&random, 1000000));
    put(store, DOCUMENTS + 1 + (uint64_t)i, "odd", id, "{}");
  }
  assert_int_equal(image_encoder_read(encoder, image.n, stretch, 10), 0);
  image_encoder_free(encoder);

  /* From the beginning to the end in steady pieces, as a snapshot is sent. */
  encoder = image_encoder_new(view);
  struct image_decoder *decoder = image_decoder_new(test_hash_key);
  size_t got, offset = 0;
  while ((got = image_encoder_read(encoder, offset, stretch, 4099)) > 0) {
    assert_memory_equal(stretch, image.data + offset, got);
    assert_int_equal(image_decoder_feed(decoder, stretch, got), 0);
    offset += got;
  }
  struct store *back = NULL;
  assert_int_equal(image_decoder_finish(decoder, &back), 0);
  struct bytes again = encode_store(back);
  assert_true(slice_equal(slice_of_bytes(&image), slice_of_bytes(&again)));

  image_decoder_free(decoder);
  image_encoder_free(encoder);
  store_view_free(view);
  store_free(store);
  store_free(back);
  free(stretch);
  bytes_close(&image);
  bytes_close(&again);
}

/* Goal: equal states have one tag, though they came about in other ways, and others another. */
static void the_tag(void **state) {
  (void)state;
  struct bytes image = small_image();
  struct store *one = decode_whole(&image), *other = small_store();
  struct store_view *views[2] = {store_view_take(one), store_view_take(other)};
  struct image_encoder *encoders[2] = {image_encoder_new(views[0]), image_encoder_new(views[1])};
  uint64_t tag = image_encoder_tag(encoders[0]);
  assert_true(tag == image_encoder_tag(encoders[1]));
  assert_true(tag == XXH3_64bits(image.data, IMAGE_HEADER_BYTES - 8));
  for (int i = 0; i < 2; i++) {
    image_encoder_free(encoders[i]);
    store_view_free(views[i]);
  }
  put(one, 8, "notes", "a", "{}");
  struct store_view *view = store_view_take(one);
  struct image_encoder *encoder = image_encoder_new(view);
  assert_false(tag == image_encoder_tag(encoder));
  image_encoder_free(encoder);
  store_view_free(view);
  store_free(one);
  store_free(other);
  bytes_close(&image);
}

/* ---- Damage ---- */

static void every_changed_byte_is_refused(void **state) {
  (void)state;
  struct bytes image = small_image();
  for (size_t at = 0; at < image.n; at++)
    for (unsigned bit = 0; bit < 8; bit++) {
      image.data[at] ^= (uint8_t)(1u << bit);
      assert_refused(&image);
      image.data[at] ^= (uint8_t)(1u << bit);
    }
  for (size_t at = 0; at < image.n; at++) {
    uint8_t was = image.data[at];
    image.data[at] = (uint8_t)~was;
    assert_refused(&image);
    image.data[at] = 0;
    if (was != 0) assert_refused(&image);
    image.data[at] = was;
  }
  bytes_close(&image);
}

static void every_other_length_is_refused(void **state) {
  (void)state;
  struct bytes image = small_image();
  for (size_t n = 0; n < image.n; n++) {
    struct bytes cut = {.data = image.data, .n = n};
    assert_refused(&cut);
  }
  bytes_append(&image, "", 1);
  assert_refused(&image);
  bytes_close(&image);
  image = (struct bytes){0};
  assert_refused(&image);
}

/* ---- Made to deceive: all sums are right ---- */

struct forged {
  const char *collection, *id;
  uint64_t revision;
  const char *body;
};

static void append_record(struct bytes *b, const struct forged *f) {
  put_u64(b, f->revision);
  put_u32(b, (uint32_t)strlen(f->body));
  put_u16(b, (uint16_t)strlen(f->id));
  put_u8(b, (uint8_t)strlen(f->collection));
  bytes_append_string(b, f->collection);
  bytes_append_string(b, f->id);
  bytes_append_string(b, f->body);
}

/* The image of these documents under revision 9 as their sums want it, whatever they are. */
static struct bytes forge(const struct forged *documents, size_t n) {
  struct bytes records = {0}, image = {0};
  uint64_t bytes = 0, low = 0, high = 0;
  for (size_t i = 0; i < n; i++) {
    size_t at = records.n;
    append_record(&records, &documents[i]);
    size_t data_bytes = records.n - at - IMAGE_RECORD_BYTES;
    XXH128_hash_t hash = XXH3_128bits_withSeed(records.data + at + IMAGE_RECORD_BYTES, data_bytes,
                                               XXH3_64bits(records.data + at, IMAGE_RECORD_BYTES));
    bytes += data_bytes;
    low += hash.low64;
    high += hash.high64 + (low < hash.low64);
  }
  bytes_append_string(&image, "CRCI");
  put_u32(&image, IMAGE_VERSION);
  put_u64(&image, 9);
  put_u64(&image, n);
  put_u64(&image, bytes);
  put_u64(&image, low);
  put_u64(&image, high);
  put_u64(&image, 0);
  put_u64(&image, XXH3_64bits(image.data, image.n));
  bytes_append(&image, records.data, records.n);
  bytes_close(&records);
  return image;
}

static bool forged_is_taken(const struct forged *documents, size_t n) {
  struct bytes image = forge(documents, n);
  struct store *store = decode_whole(&image);
  bool taken = store != NULL;
  store_free(store);
  bytes_close(&image);
  return taken;
}

static void what_no_store_can_hold_is_refused(void **state) {
  (void)state;
  static char too_long[1000];
  memset(too_long, 'x', sizeof too_long - 1);
  const struct forged good[] = {{"a", "1", 9, "{}"}, {"a", "2", 1, "{}"}, {"b", "1", 1, "{}"}};
  assert_true(forged_is_taken(good, 3));
  assert_true(forged_is_taken(good, 0));
  assert_true(forged_is_taken(good + 1, 2));

  const struct forged bad[][2] = {
      {{"a", "2", 1, "{}"}, {"a", "1", 1, "{}"}},  /* ids out of order */
      {{"b", "1", 1, "{}"}, {"a", "2", 1, "{}"}},  /* collections out of order */
      {{"a", "1", 1, "{}"}, {"a", "1", 2, "{}"}},  /* twice the same */
      {{"a", "1", 10, "{}"}, {"a", "2", 1, "{}"}}, /* newer than the state */
      {{"a", "1", 0, "{}"}, {"a", "2", 1, "{}"}},  /* older than the log */
      {{"a", "1", 1, "{}"}, {"a", "2", 1, ""}},    /* nothing in it */
      {{"", "1", 1, "{}"}, {"a", "2", 1, "{}"}},   /* no collection */
      {{"..", "1", 1, "{}"}, {"a", "2", 1, "{}"}}, /* names that are none */
      {{"a/b", "1", 1, "{}"}, {"b", "2", 1, "{}"}},    {{"a", "", 1, "{}"}, {"a", "2", 1, "{}"}},
      {{"a", ".", 1, "{}"}, {"a", "2", 1, "{}"}},      {{"a", "\x01", 1, "{}"}, {"a", "2", 1, "{}"}},
      {{"a", "1", 1, "{}"}, {"a", "\xff", 1, "{}"}}, /* not UTF-8 */
      {{"a", "1", 1, "{}"}, {"a", too_long, 1, "{}"}},
  };
  for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) assert_false(forged_is_taken(bad[i], 2));
}

/* Goal: what a version before this one has written, or one to come, is refused, though all of it is there. */
static void other_versions_are_refused(void **state) {
  (void)state;
  static const uint32_t versions[] = {0, 1, 3, 0x2000000};
  for (size_t i = 0; i < 4; i++) {
    struct bytes image = small_image(), without_keys = {0};
    set_u32(&image, 4, versions[i]);
    const uint64_t tag = XXH3_64bits(image.data, IMAGE_HEADER_BYTES - 8);
    for (size_t at = 0; at < 8; at++) image.data[IMAGE_HEADER_BYTES - 8 + at] = (uint8_t)(tag >> (8 * at));
    assert_refused(&image);
    bytes_close(&image);

    bytes_append_string(&without_keys, "CRCI"); /* version 1 had no field for them */
    put_u32(&without_keys, versions[i]);
    for (size_t field = 0; field < 5; field++) put_u64(&without_keys, 0);
    put_u64(&without_keys, XXH3_64bits(without_keys.data, without_keys.n));
    assert_refused(&without_keys);
    bytes_close(&without_keys);
  }
}

/* Goal: a length from outside allocates nothing that is not coming, and overflows nothing. Numbers of the
 * header and of the record's head are set to extremes, each with right checksums. */
static void hostile_numbers(void **state) {
  (void)state;
  static const uint64_t extremes[] = {0, 1, UINT32_MAX, (uint64_t)1 << 63, UINT64_MAX - 1, UINT64_MAX};
  const struct forged document = {"a", "1", 9, "{}"};
  for (size_t field = 8; field < IMAGE_HEADER_BYTES - 8; field += 8)
    for (size_t i = 0; i < sizeof extremes / sizeof extremes[0]; i++) {
      struct bytes image = forge(&document, 1);
      struct reader r = reader_of(image.data + field, 8);
      bool same = get_u64(&r) == extremes[i];
      for (size_t at = 0; at < 8; at++) image.data[field + at] = (uint8_t)(extremes[i] >> (8 * at));
      uint64_t sum = XXH3_64bits(image.data, IMAGE_HEADER_BYTES - 8);
      for (size_t at = 0; at < 8; at++) image.data[IMAGE_HEADER_BYTES - 8 + at] = (uint8_t)(sum >> (8 * at));
      struct store *store = decode_whole(&image);
      bool larger_revision = field == 8 && extremes[i] >= 9; /* is no lie that can be seen */
      assert_int_equal(store != NULL, same || larger_revision);
      store_free(store);
      bytes_close(&image);
    }
  for (size_t from = IMAGE_HEADER_BYTES + 8; from < IMAGE_HEADER_BYTES + IMAGE_RECORD_BYTES; from++) {
    struct bytes image = forge(&document, 1);
    for (size_t at = from; at < IMAGE_HEADER_BYTES + IMAGE_RECORD_BYTES; at++) image.data[at] = 0xff;
    assert_refused(&image);
    bytes_close(&image);
  }
}

/* Goal: a document longer than all of them together is refused by its head, before there is memory for it. */
static void too_long_a_document_is_refused_early(void **state) {
  (void)state;
  const struct forged documents[] = {{"a", "1", 9, "{}"}, {"a", "2", 9, "{}"}};
  struct bytes image = forge(documents, 2);
  struct image_decoder *decoder = image_decoder_new(test_hash_key);
  size_t second = IMAGE_HEADER_BYTES + IMAGE_RECORD_BYTES + 4;
  image.data[second + 8] = 3; /* one byte more than the header leaves for it */
  assert_int_equal(image_decoder_feed(decoder, image.data, second + IMAGE_RECORD_BYTES - 1), 0);
  assert_int_equal(image_decoder_feed(decoder, image.data + second + IMAGE_RECORD_BYTES - 1, 1),
                   CORACLE_EMALFORMED);
  image_decoder_free(decoder);
  bytes_close(&image);
}

/* Goal: no bytes at all make it crash. Random changes of a good image, in random pieces. */
static void random_damage(void **state) {
  (void)state;
  struct random random = {.state = 11};
  struct bytes image = small_image();
  for (int i = 0; i < 20000; i++) {
    struct bytes damaged = {0};
    bytes_append(&damaged, image.data, image.n);
    for (size_t k = 1 + random_below(&random, 4); k > 0; k--) {
      size_t at = random_below(&random, (uint32_t)damaged.n);
      if (random_below(&random, 3) > 0)
        damaged.data[at] = (uint8_t)random_next(&random);
      else
        bytes_append(&damaged, image.data, random_below(&random, image.n));
    }
    size_t pieces[3] = {random_below(&random, (uint32_t)damaged.n + 1)};
    pieces[1] = random_below(&random, (uint32_t)(damaged.n - pieces[0]) + 1);
    pieces[2] = damaged.n - pieces[0] - pieces[1];
    struct store *store = decode_pieces(&damaged, pieces, 3);
    if (!slice_equal(slice_of_bytes(&damaged), slice_of_bytes(&image))) assert_null(store);
    store_free(store);
    bytes_close(&damaged);
  }
  bytes_close(&image);
}

/* Goal: one that will not be gone on with is given back, to be released a little at a time; nothing is lost.
 */
static void abandoned_at_every_byte(void **state) {
  (void)state;
  struct bytes image = small_image();
  for (size_t n = 0; n <= image.n; n++) {
    struct image_decoder *decoder = image_decoder_new(test_hash_key);
    assert_int_equal(image_decoder_feed(decoder, image.data, n), 0);
    struct store *store = image_decoder_abandon(decoder);
    assert_non_null(store);
    for (uint64_t left = store_documents(store); !store_free_some(store, 1);) assert_true(left-- > 0);
  }
  bytes_close(&image);
  assert_null(image_decoder_abandon(NULL));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(the_layout),
      cmocka_unit_test(split_at_every_byte),
      cmocka_unit_test(any_stretch_in_any_order),
      cmocka_unit_test(the_tag),
      cmocka_unit_test(every_changed_byte_is_refused),
      cmocka_unit_test(every_other_length_is_refused),
      cmocka_unit_test(what_no_store_can_hold_is_refused),
      cmocka_unit_test(other_versions_are_refused),
      cmocka_unit_test(hostile_numbers),
      cmocka_unit_test(too_long_a_document_is_refused_early),
      cmocka_unit_test(random_damage),
      cmocka_unit_test(abandoned_at_every_byte),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
