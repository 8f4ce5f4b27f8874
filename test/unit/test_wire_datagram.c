/* Goal: the envelope of a datagram has one spelling that never changes by accident, and whatever arrives is
 * either exactly that or dropped for the reason that the faults' order says, without a read past its end.
 * What was not sealed under the right key, or not all of it, is nothing but a wrong seal. */
#include "wire/datagram.h"

#include "golden.h"

static const struct datagram sample = {
    .type = 0x10,
    .cluster = {0xc0, 0xc1, 0xc2, 0xc3, 0xc4, 0xc5, 0xc6, 0xc7, 0xc8, 0xc9, 0xca, 0xcb, 0xcc, 0xcd, 0xce,
                0xcf},
    .from = 1,
    .to = 0x0102030405060708,
    .start = 3,
    .counter = 0xf1f2f3f4f5f6f7f8,
    .term = 5,
    .round = 0x1000000000000006,
    .body = {"\x0a\x0b\x0c", 3},
};

static const uint8_t key[SEAL_KEY_BYTES] = "a key of thirty-two bytes, fixed";
static const uint8_t nonce[SEAL_NONCE_BYTES] = "a nonce of 24, the same";

enum { CLEAR_BYTES = 8, TAG_OFFSET = 32, SEALED_OFFSET = 48 };

/* Under the seal. */
static const char sample_hex[] = "10 00000000000000"
                                 "c0c1c2c3c4c5c6c7c8c9cacbcccdcecf"
                                 "0100000000000000"
                                 "0807060504030201"
                                 "0300000000000000"
                                 "f8f7f6f5f4f3f2f1"
                                 "0500000000000000"
                                 "0600000000000010"
                                 "0a0b0c";

static void assert_datagram_equal(const struct datagram *a, const struct datagram *b) {
  assert_int_equal(a->type, b->type);
  assert_memory_equal(a->cluster, b->cluster, CLUSTER_ID_BYTES);
  assert_true(a->from == b->from);
  assert_true(a->to == b->to);
  assert_true(a->start == b->start);
  assert_true(a->counter == b->counter);
  assert_true(a->term == b->term);
  assert_true(a->round == b->round);
  assert_true(slice_equal(a->body, b->body));
}

/* What opening memory of exactly these bytes says. */
static enum datagram_fault fault_of(const void *data, size_t n) {
  struct datagram opened;
  uint8_t plain[DATAGRAM_BYTES_MAX];
  uint8_t *copy = exact_copy(data, n);
  enum datagram_fault fault = datagram_open(copy, n, key, plain, &opened);
  if (fault == DATAGRAM_NONE) {
    assert_int_equal(opened.body.n, n - DATAGRAM_HEADER_BYTES);
    assert_ptr_equal(opened.body.at, plain + DATAGRAM_HEADER_BYTES - SEALED_OFFSET);
  }
  free(copy);
  return fault;
}

static struct bytes sealed_sample(void) {
  struct bytes out = {0};
  bytes_append_string(&out, "what was there before"); /* is replaced */
  datagram_seal(&sample, key, nonce, &out);
  return out;
}

/* Takes the seal off, where it is right. */
static void unseal(struct bytes *datagram) {
  assert_true(seal_open_in_place(key, nonce, datagram->data, CLEAR_BYTES, datagram->data + SEALED_OFFSET,
                                 datagram->n - SEALED_OFFSET, datagram->data + TAG_OFFSET));
}

/* Seals what is there, whatever it is. */
static void reseal(struct bytes *datagram) {
  memcpy(datagram->data + CLEAR_BYTES, nonce, sizeof nonce);
  seal_in_place(key, nonce, datagram->data, CLEAR_BYTES, datagram->data + SEALED_OFFSET,
                datagram->n - SEALED_OFFSET, datagram->data + TAG_OFFSET);
}

static void layout_is_pinned(void **state) {
  (void)state;
  struct bytes out = sealed_sample();
  assert_golden(out.data, CLEAR_BYTES, "4352434c 01 01 0000");
  assert_memory_equal(out.data + CLEAR_BYTES, nonce, sizeof nonce);
  unseal(&out);
  assert_golden(out.data + SEALED_OFFSET, out.n - SEALED_OFFSET, sample_hex);
  bytes_close(&out);
}

static void round_trips_with_every_size_of_body(void **state) {
  (void)state;
  struct bytes out = {0};
  char body[DATAGRAM_BYTES_MAX];
  for (size_t i = 0; i < sizeof body; i++) body[i] = (char)i;
  for (size_t n = 0; n <= DATAGRAM_BYTES_MAX - DATAGRAM_HEADER_BYTES; n++) {
    struct datagram sent = sample;
    struct datagram received;
    uint8_t plain[DATAGRAM_BYTES_MAX];
    sent.body = (struct slice){body, n};
    datagram_seal(&sent, key, nonce, &out);
    assert_int_equal(out.n, DATAGRAM_HEADER_BYTES + n);
    assert_int_equal(datagram_open(out.data, out.n, key, plain, &received), DATAGRAM_NONE);
    assert_datagram_equal(&sent, &received);
  }
  bytes_close(&out);
}

static void too_short_and_too_long_are_dropped(void **state) {
  (void)state;
  struct bytes out = sealed_sample();
  assert_int_equal(fault_of(NULL, 0), DATAGRAM_SHORT);
  for (size_t n = 0; n < DATAGRAM_HEADER_BYTES; n++) assert_int_equal(fault_of(out.data, n), DATAGRAM_SHORT);
  for (size_t n = DATAGRAM_HEADER_BYTES; n < out.n; n++)
    assert_int_equal(fault_of(out.data, n), DATAGRAM_SEAL);
  assert_int_equal(fault_of(out.data, out.n), DATAGRAM_NONE);

  size_t n = out.n, room = DATAGRAM_BYTES_MAX + 1 - out.n;
  memset(bytes_reserve(&out, room), 0, room);
  while (++n <= DATAGRAM_BYTES_MAX) assert_int_equal(fault_of(out.data, n), DATAGRAM_SEAL);
  assert_int_equal(fault_of(out.data, DATAGRAM_BYTES_MAX + 1), DATAGRAM_LONG);
  bytes_close(&out);
}

/* Any bit of it: nothing is believed of a datagram that is not all there as it was sealed. */
static void every_flipped_bit_breaks_the_seal(void **state) {
  (void)state;
  struct bytes sent = sealed_sample();
  for (size_t bit = 0; bit < 8 * sent.n; bit++) {
    size_t offset = bit / 8;
    sent.data[offset] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(fault_of(sent.data, sent.n), offset < 4    ? DATAGRAM_MAGIC
                                                  : offset == 4 ? DATAGRAM_VERSION
                                                                : DATAGRAM_SEAL);
    sent.data[offset] ^= (uint8_t)(1u << bit % 8);
  }
  assert_int_equal(fault_of(sent.data, sent.n), DATAGRAM_NONE);
  bytes_close(&sent);
}

static void another_key_opens_nothing(void **state) {
  (void)state;
  struct bytes sent = sealed_sample();
  struct datagram opened;
  uint8_t plain[DATAGRAM_BYTES_MAX], other[SEAL_KEY_BYTES];
  for (size_t bit = 0; bit < 8 * sizeof other; bit++) {
    memcpy(other, key, sizeof other);
    other[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(datagram_open(sent.data, sent.n, other, plain, &opened), DATAGRAM_SEAL);
  }
  bytes_close(&sent);
}

/* Not even one whose bytes are all right but for the seal, as versions before had them. */
static void nothing_goes_without_a_seal(void **state) {
  (void)state;
  struct bytes sent = sealed_sample();
  unseal(&sent);
  assert_int_equal(fault_of(sent.data, sent.n), DATAGRAM_SEAL);
  memset(sent.data + CLEAR_BYTES, 0, SEALED_OFFSET - CLEAR_BYTES);
  assert_int_equal(fault_of(sent.data, sent.n), DATAGRAM_SEAL);
  sent.data[5] = 0;
  assert_int_equal(fault_of(sent.data, sent.n), DATAGRAM_SEAL);
  reseal(&sent); /* and a right seal under another scheme is none */
  assert_int_equal(fault_of(sent.data, sent.n), DATAGRAM_SEAL);
  bytes_close(&sent);
}

/* The fault for a wrong byte at that offset that the seal vouches for; NONE where every value but zero is
 * free. */
static enum datagram_fault fault_at(size_t offset) {
  if (offset < 4) return DATAGRAM_MAGIC;
  if (offset == 4) return DATAGRAM_VERSION;
  if (offset == 5) return DATAGRAM_SEAL;
  if (offset < 8) return DATAGRAM_RESERVED;
  if (offset > 48 && offset < 56) return DATAGRAM_RESERVED;
  return DATAGRAM_NONE;
}

/* Each bit that is sealed is refused, or read as just that change: sealing what was read gives the changed
 * bytes again. */
static void every_bit_means_something(void **state) {
  (void)state;
  struct bytes again = {0};
  for (size_t bit = 0; bit < 8 * (DATAGRAM_HEADER_BYTES + 3); bit++) {
    size_t offset = bit / 8;
    struct datagram opened;
    uint8_t plain[DATAGRAM_BYTES_MAX];
    if (offset >= CLEAR_BYTES && offset < SEALED_OFFSET) continue; /* the seal itself */
    struct bytes sent = sealed_sample();
    unseal(&sent);
    sent.data[offset] ^= (uint8_t)(1u << bit % 8);
    enum datagram_fault expected = fault_at(offset);
    if (offset == 48 && sent.data[offset] == 0) expected = DATAGRAM_TYPE; /* 0x10 without its one bit */
    if (offset == 72 && sent.data[offset] == 0) expected = DATAGRAM_SENDER;
    reseal(&sent);
    assert_int_equal(fault_of(sent.data, sent.n), expected);
    if (expected == DATAGRAM_NONE) {
      assert_int_equal(datagram_open(sent.data, sent.n, key, plain, &opened), DATAGRAM_NONE);
      datagram_seal(&opened, key, nonce, &again);
      assert_int_equal(again.n, sent.n);
      assert_memory_equal(again.data, sent.data, sent.n);
    }
    bytes_close(&sent);
  }
  bytes_close(&again);
}

/* With everything wrong at once and one thing after the other put right, the faults come in the order of the
 * list. */
static void the_first_fault_in_the_list_is_told(void **state) {
  (void)state;
  uint8_t data[DATAGRAM_BYTES_MAX + 1];
  struct bytes sealed = {.data = data, .n = 200};
  memset(data, 0xff, sizeof data);
  assert_int_equal(fault_of(data, 3), DATAGRAM_SHORT);
  assert_int_equal(fault_of(data, sizeof data), DATAGRAM_LONG);
  assert_int_equal(fault_of(data, 200), DATAGRAM_MAGIC);
  memcpy(data, "CRCL", 4);
  assert_int_equal(fault_of(data, 200), DATAGRAM_VERSION);
  data[4] = 1;
  assert_int_equal(fault_of(data, 200), DATAGRAM_SEAL);
  data[5] = 1;
  assert_int_equal(fault_of(data, 200), DATAGRAM_SEAL);
  memset(data + 48, 0xff, sizeof data - 48);
  data[48] = 0;            /* type */
  memset(data + 72, 0, 8); /* from */
  reseal(&sealed);
  assert_int_equal(fault_of(data, 200), DATAGRAM_RESERVED);
  unseal(&sealed);
  memset(data + 6, 0, 2);
  reseal(&sealed);
  assert_int_equal(fault_of(data, 200), DATAGRAM_RESERVED);
  unseal(&sealed);
  memset(data + 49, 0, 7);
  reseal(&sealed);
  assert_int_equal(fault_of(data, 200), DATAGRAM_SENDER);
  unseal(&sealed);
  data[79] = 1;
  reseal(&sealed);
  assert_int_equal(fault_of(data, 200), DATAGRAM_TYPE);
  unseal(&sealed);
  data[48] = 255;
  reseal(&sealed);
  assert_int_equal(fault_of(data, 200), DATAGRAM_NONE);
}

static void every_fault_has_its_text(void **state) {
  (void)state;
  assert_string_equal(datagram_fault_text(DATAGRAM_NONE), "none");
  assert_string_equal(datagram_fault_text(DATAGRAM_BODY), "body");
  for (int fault = 0; fault < DATAGRAM_FAULTS_N; fault++)
    assert_non_null(datagram_fault_text((enum datagram_fault)fault));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layout_is_pinned),
      cmocka_unit_test(round_trips_with_every_size_of_body),
      cmocka_unit_test(too_short_and_too_long_are_dropped),
      cmocka_unit_test(every_flipped_bit_breaks_the_seal),
      cmocka_unit_test(another_key_opens_nothing),
      cmocka_unit_test(nothing_goes_without_a_seal),
      cmocka_unit_test(every_bit_means_something),
      cmocka_unit_test(the_first_fault_in_the_list_is_told),
      cmocka_unit_test(every_fault_has_its_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
