/* Goal: integers have one spelling in bytes and come back from it; a reader never goes past its end, says so,
 * and stays failed. */
#include "base/codec.h"

#include "golden.h"

static void layout_is_pinned(void **state) {
  (void)state;
  struct bytes b = {0};
  put_u8(&b, 0xfe);
  put_u16(&b, 0x1122);
  put_u32(&b, 0x33445566);
  put_u64(&b, 0x778899aabbccddeeu);
  put_uint(&b, 0x010203, 3);
  set_u32(&b, 1, 0xa1a2a3a4);
  assert_golden(b.data, b.n, "fe a4a3a2a1 4433 eeddccbbaa998877 030201");
  bytes_close(&b);
}

/* Writing takes place in memory that is grown for it, byte by byte of the capacity. */
static void writing_grows_the_buffer(void **state) {
  (void)state;
  struct bytes b = {0};
  for (uint64_t i = 0; i < 1000; i++) put_uint(&b, i, i % 9);
  struct reader r = reader_of(b.data, b.n);
  for (uint64_t i = 0; i < 1000; i++) {
    size_t width = i % 9;
    uint64_t expected = width == 0 ? 0 : width == 1 ? i & 0xff : i;
    assert_true(get_uint(&r, width) == expected);
  }
  assert_true(reader_done(&r));
  bytes_close(&b);
}

static void values_come_back(void **state) {
  (void)state;
  static const uint64_t values[] = {0,      1,      0x7f,       0x80,       0xff,
                                    0x7fff, 0xffff, 0x80000000, UINT32_MAX, UINT64_MAX};
  for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
    struct bytes b = {0};
    put_u8(&b, (uint8_t)values[i]);
    put_u16(&b, (uint16_t)values[i]);
    put_u32(&b, (uint32_t)values[i]);
    put_u64(&b, values[i]);
    uint8_t *copy = exact_copy(b.data, b.n);
    struct reader r = reader_of(copy, b.n);
    assert_int_equal(get_u8(&r), (uint8_t)values[i]);
    assert_int_equal(get_u16(&r), (uint16_t)values[i]);
    assert_false(reader_done(&r)); /* there is more */
    assert_true(get_u32(&r) == (uint32_t)values[i]);
    assert_true(get_u64(&r) == values[i]);
    assert_true(reader_done(&r) && reader_ok(&r));
    free(copy);
    bytes_close(&b);
  }
}

/* From n bytes a read of each width: all there, or zero and failed from then on. */
static void nothing_is_read_past_the_end(void **state) {
  (void)state;
  static const uint8_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};
  for (size_t n = 0; n < sizeof ones; n++)
    for (size_t width = 1; width <= 8; width++) {
      uint8_t *copy = exact_copy(ones, n);
      struct reader r = reader_of(copy, n);
      size_t there = n / width;
      for (size_t i = 0; i < there; i++) assert_true(get_uint(&r, width) != 0);
      assert_true(reader_ok(&r));
      assert_int_equal(reader_left(&r), n % width);
      assert_true(get_uint(&r, width) == 0);
      assert_false(reader_ok(&r));
      assert_int_equal(get_u8(&r), 0); /* though a byte may be left */
      assert_null(get_raw(&r, 0));
      assert_false(reader_done(&r));
      free(copy);
    }
}

static void an_empty_reader(void **state) {
  (void)state;
  struct reader r = reader_of(NULL, 0);
  assert_int_equal(reader_left(&r), 0);
  assert_true(reader_done(&r));
  assert_int_equal(get_u8(&r), 0);
  assert_false(reader_ok(&r));
}

static void raw_bytes_stay_in_place(void **state) {
  (void)state;
  uint8_t data[5] = {1, 2, 3, 4, 5};
  struct reader r = reader_of(data, sizeof data);
  assert_ptr_equal(get_raw(&r, 2), data);
  assert_ptr_equal(get_raw(&r, 0), data + 2);
  assert_null(get_raw(&r, SIZE_MAX));
  assert_null(get_raw(&r, 1));
}

static void strings_behind_their_length(void **state) {
  (void)state;
  uint8_t longest[1 + 255 + 1] = {255};
  struct reader r = reader_of("\2ab\0\1c", 6);
  assert_true(slice_is(get_string8(&r), "ab"));
  assert_true(slice_is(get_string8(&r), ""));
  assert_true(slice_is(get_string8(&r), "c"));
  assert_true(reader_done(&r));

  r = reader_of(longest, sizeof longest);
  assert_int_equal(get_string8(&r).n, 255);
  assert_int_equal(reader_left(&r), 1);

  for (size_t n = 0; n < 256; n++) { /* cut short anywhere */
    uint8_t *copy = exact_copy(longest, n);
    r = reader_of(copy, n);
    struct slice s = get_string8(&r);
    assert_true(!reader_ok(&r) && s.n == 0 && s.at == NULL);
    free(copy);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layout_is_pinned),
      cmocka_unit_test(writing_grows_the_buffer),
      cmocka_unit_test(values_come_back),
      cmocka_unit_test(nothing_is_read_past_the_end),
      cmocka_unit_test(an_empty_reader),
      cmocka_unit_test(raw_bytes_stay_in_place),
      cmocka_unit_test(strings_behind_their_length),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
