/* Goal: the envelope of a datagram has one spelling that never changes by accident, and whatever arrives is
 * either exactly that or dropped for the reason that the faults' order says, without a read past its end. */
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

static const char sample_hex[] =
    "4352434c 01 00 0000"
    "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
    "10 00000000000000"
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

/* What decoding memory of exactly these bytes says. */
static enum datagram_fault fault_of(const void *data, size_t n) {
  struct datagram decoded;
  uint8_t *copy = exact_copy(data, n);
  enum datagram_fault fault = datagram_decode(copy, n, &decoded);
  if (fault == DATAGRAM_NONE) {
    assert_int_equal(decoded.body.n, n - DATAGRAM_HEADER_BYTES);
    assert_ptr_equal(decoded.body.at, copy + DATAGRAM_HEADER_BYTES);
  }
  free(copy);
  return fault;
}

static void layout_is_pinned(void **state) {
  (void)state;
  struct bytes out = {0};
  bytes_append_string(&out, "what was there before"); /* is replaced */
  datagram_encode(&sample, &out);
  assert_golden(out.data, out.n, sample_hex);
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
    sent.body = (struct slice){body, n};
    datagram_encode(&sent, &out);
    assert_int_equal(out.n, DATAGRAM_HEADER_BYTES + n);
    assert_int_equal(datagram_decode(out.data, out.n, &received), DATAGRAM_NONE);
    assert_datagram_equal(&sent, &received);
  }
  bytes_close(&out);
}

static void too_short_and_too_long_are_dropped(void **state) {
  (void)state;
  struct bytes out = {0};
  datagram_encode(&sample, &out);
  assert_int_equal(fault_of(NULL, 0), DATAGRAM_SHORT);
  for (size_t n = 0; n < DATAGRAM_HEADER_BYTES; n++) assert_int_equal(fault_of(out.data, n), DATAGRAM_SHORT);
  for (size_t n = DATAGRAM_HEADER_BYTES; n <= out.n; n++)
    assert_int_equal(fault_of(out.data, n),
                     DATAGRAM_NONE); /* a shorter body is the reader of bodies' to judge */

  size_t room = DATAGRAM_BYTES_MAX + 1 - out.n;
  memset(bytes_reserve(&out, room), 0, room);
  assert_int_equal(fault_of(out.data, DATAGRAM_BYTES_MAX), DATAGRAM_NONE);
  assert_int_equal(fault_of(out.data, DATAGRAM_BYTES_MAX + 1), DATAGRAM_LONG);
  bytes_close(&out);
}

/* The fault for a wrong byte at that offset; NONE where every value but zero is free. */
static enum datagram_fault fault_at(size_t offset) {
  if (offset < 4) return DATAGRAM_MAGIC;
  if (offset == 4) return DATAGRAM_VERSION;
  if (offset == 5) return DATAGRAM_SEAL;
  if (offset < 8) return DATAGRAM_RESERVED;
  if (offset < 48) return DATAGRAM_SEAL;
  if (offset > 48 && offset < 56) return DATAGRAM_RESERVED;
  return DATAGRAM_NONE;
}

/* Each bit is refused, or read as just that change: encoding what was read gives the changed bytes again. */
static void every_bit_means_something(void **state) {
  (void)state;
  struct bytes sent = {0};
  struct bytes again = {0};
  datagram_encode(&sample, &sent);
  for (size_t bit = 0; bit < 8 * sent.n; bit++) {
    size_t offset = bit / 8;
    struct datagram decoded;
    sent.data[offset] ^= (uint8_t)(1u << bit % 8);
    enum datagram_fault expected = fault_at(offset);
    if (offset == 48 && sent.data[offset] == 0) expected = DATAGRAM_TYPE; /* 0x10 without its one bit */
    if (offset == 72 && sent.data[offset] == 0) expected = DATAGRAM_SENDER;
    assert_int_equal(fault_of(sent.data, sent.n), expected);
    if (expected == DATAGRAM_NONE) {
      assert_int_equal(datagram_decode(sent.data, sent.n, &decoded), DATAGRAM_NONE);
      datagram_encode(&decoded, &again);
      assert_int_equal(again.n, sent.n);
      assert_memory_equal(again.data, sent.data, sent.n);
    }
    sent.data[offset] ^= (uint8_t)(1u << bit % 8);
  }
  bytes_close(&sent);
  bytes_close(&again);
}

/* With everything wrong at once and one thing after the other put right, the faults come in the order of the
 * list. */
static void the_first_fault_in_the_list_is_told(void **state) {
  (void)state;
  uint8_t data[DATAGRAM_BYTES_MAX + 1];
  memset(data, 0xff, sizeof data);
  data[48] = 0;            /* type */
  memset(data + 72, 0, 8); /* from */
  assert_int_equal(fault_of(data, 3), DATAGRAM_SHORT);
  assert_int_equal(fault_of(data, sizeof data), DATAGRAM_LONG);
  assert_int_equal(fault_of(data, 200), DATAGRAM_MAGIC);
  memcpy(data, "CRCL", 4);
  assert_int_equal(fault_of(data, 200), DATAGRAM_VERSION);
  data[4] = 1;
  assert_int_equal(fault_of(data, 200), DATAGRAM_SEAL);
  data[5] = 0;
  assert_int_equal(fault_of(data, 200), DATAGRAM_SEAL);
  memset(data + 8, 0, 40);
  assert_int_equal(fault_of(data, 200), DATAGRAM_RESERVED);
  memset(data + 6, 0, 2);
  assert_int_equal(fault_of(data, 200), DATAGRAM_RESERVED);
  memset(data + 49, 0, 7);
  assert_int_equal(fault_of(data, 200), DATAGRAM_SENDER);
  data[79] = 1;
  assert_int_equal(fault_of(data, 200), DATAGRAM_TYPE);
  data[48] = 255;
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
      cmocka_unit_test(every_bit_means_something),
      cmocka_unit_test(the_first_fault_in_the_list_is_told),
      cmocka_unit_test(every_fault_has_its_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
