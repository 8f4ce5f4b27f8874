/* Goal: a stream is cut into the frames that were put into it, however it arrives, and a stream with anything
 * wrong in it is refused: early for its header, by its checksum for the rest. */
#include "wire/frame.h"

#include "golden.h"

static void put_frame(struct bytes *out, enum frame_type type, const void *payload, size_t n) {
  size_t frame_offset = frame_begin(out, type);
  bytes_append(out, payload, n);
  frame_end(out, frame_offset);
}

/* A stream of three frames: 42 bytes, none, 300 bytes. */
static struct bytes three_frames(void) {
  struct bytes stream = {0};
  uint8_t payload[300];
  for (size_t i = 0; i < sizeof payload; i++) payload[i] = (uint8_t)(7 * i);
  put_frame(&stream, FRAME_HELLO, payload, 42);
  put_frame(&stream, FRAME_APPEND, NULL, 0);
  put_frame(&stream, FRAME_APPEND_REPLY, payload, sizeof payload);
  return stream;
}

/* frame_next() on memory of exactly n bytes; only its result. */
static int next_exactly(const void *data, size_t n) {
  size_t consumed;
  size_t needed;
  struct frame frame;
  uint8_t *copy = exact_copy(data, n);
  int result = frame_next(copy, n, &consumed, &needed, &frame);
  free(copy);
  return result;
}

static void layout_is_pinned(void **state) {
  (void)state;
  struct bytes out = {0};
  put_frame(&out, FRAME_APPEND, "abc", 3);
  put_frame(&out, FRAME_APPEND_REPLY, "abc", 3);
  put_frame(&out, FRAME_HELLO, NULL, 0);
  assert_golden(out.data, out.n,
                "03000000 02 000000 ec6f30daba69afe2 616263"
                "03000000 03 000000 a0efcc6b08c398c0 616263"
                "00000000 01 000000 03676f82ccb0c54d");
  bytes_close(&out);
}

static void a_stream_is_cut_into_its_frames(void **state) {
  (void)state;
  static const struct {
    enum frame_type type;
    size_t payload_bytes;
  } expected[] = {{FRAME_HELLO, 42}, {FRAME_APPEND, 0}, {FRAME_APPEND_REPLY, 300}};
  struct bytes stream = three_frames();
  size_t at = 0;
  for (size_t i = 0; i < 3; i++) {
    size_t consumed;
    size_t needed;
    struct frame frame;
    assert_int_equal(frame_next(stream.data + at, stream.n - at, &consumed, &needed, &frame), 1);
    assert_int_equal(frame.type, expected[i].type);
    assert_int_equal(frame.payload.n, expected[i].payload_bytes);
    assert_int_equal(consumed, FRAME_HEADER_BYTES + expected[i].payload_bytes);
    assert_ptr_equal(frame.payload.at, stream.data + at + FRAME_HEADER_BYTES);
    at += consumed;
  }
  assert_int_equal(at, stream.n);
  bytes_close(&stream);
}

/* Every proper beginning of a frame asks for more, and says how much. */
static void a_frame_may_come_in_pieces(void **state) {
  (void)state;
  struct bytes out = {0};
  put_frame(&out, FRAME_APPEND, "0123456789", 10);
  for (size_t n = 0; n < out.n; n++) {
    size_t consumed = 0;
    size_t needed = 0;
    struct frame frame;
    uint8_t *copy = exact_copy(out.data, n);
    assert_int_equal(frame_next(copy, n, &consumed, &needed, &frame), 0);
    assert_int_equal(needed, n < FRAME_HEADER_BYTES ? FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + 10);
    free(copy);
  }
  assert_int_equal(next_exactly(out.data, out.n), 1);
  bytes_close(&out);
}

/* What a stream of n bytes must give whose first header has a flipped bit, from the length that header then
 * claims. */
static int expected_of_damage(const uint8_t *stream, size_t n) {
  size_t claimed =
      (size_t)stream[0] | (size_t)stream[1] << 8 | (size_t)stream[2] << 16 | (size_t)stream[3] << 24;
  if (claimed > FRAME_BYTES_MAX) return CORACLE_ELIMIT;
  if (claimed > n - FRAME_HEADER_BYTES) return 0; /* waits, and is refused with the last byte it waits for */
  return CORACLE_EMALFORMED;
}

/* No single flipped bit leaves a frame, neither alone nor with more of the stream behind it, which a greater
 * length takes in. */
static void every_flipped_bit_is_noticed(void **state) {
  (void)state;
  struct bytes stream = three_frames();
  size_t first_bytes = FRAME_HEADER_BYTES + 42;
  for (size_t bit = 0; bit < 8 * first_bytes; bit++) {
    stream.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(next_exactly(stream.data, first_bytes), expected_of_damage(stream.data, first_bytes));
    assert_int_equal(next_exactly(stream.data, stream.n), expected_of_damage(stream.data, stream.n));
    stream.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  assert_int_equal(next_exactly(stream.data, first_bytes), 1);
  bytes_close(&stream);
}

/* A frame with nothing but another known type must be told from the one that was sent. */
static void the_type_is_part_of_the_checksum(void **state) {
  (void)state;
  for (uint8_t sent = FRAME_HELLO; sent <= FRAME_APPEND_REPLY; sent++) {
    struct bytes out = {0};
    put_frame(&out, (enum frame_type)sent, "payload", 7);
    for (uint8_t type = FRAME_HELLO; type <= FRAME_APPEND_REPLY; type++) {
      out.data[4] = type;
      assert_int_equal(next_exactly(out.data, out.n), type == sent ? 1 : CORACLE_EMALFORMED);
    }
    bytes_close(&out);
  }
}

/* What a header alone shows is refused before any payload is waited for. */
static void a_wrong_header_is_refused_at_once(void **state) {
  (void)state;
  uint8_t header[FRAME_HEADER_BYTES] = {0xff, 0xff, 0xff, 0xff, FRAME_APPEND};
  assert_int_equal(next_exactly(header, sizeof header), CORACLE_ELIMIT);
  memcpy(header, "\x01\x00\x80\x00", 4); /* 8 MiB + 1 */
  assert_int_equal(next_exactly(header, sizeof header), CORACLE_ELIMIT);
  memcpy(header, "\x00\x00\x80\x00", 4); /* 8 MiB */
  assert_int_equal(next_exactly(header, sizeof header), 0);
  header[4] = 0;
  assert_int_equal(next_exactly(header, sizeof header), CORACLE_EMALFORMED);
  header[4] = FRAME_APPEND_REPLY + 1;
  assert_int_equal(next_exactly(header, sizeof header), CORACLE_EMALFORMED);
  header[4] = FRAME_APPEND;
  for (size_t i = 5; i < 8; i++) {
    header[i] = 1;
    assert_int_equal(next_exactly(header, sizeof header), CORACLE_EMALFORMED);
    header[i] = 0;
  }
  assert_int_equal(next_exactly(header, sizeof header), 0);
}

static void the_largest_frame_passes(void **state) {
  (void)state;
  struct bytes out = {0};
  size_t consumed;
  size_t needed;
  struct frame frame;
  size_t frame_offset = frame_begin(&out, FRAME_APPEND);
  memset(bytes_reserve(&out, FRAME_BYTES_MAX), 'x', FRAME_BYTES_MAX);
  out.n += FRAME_BYTES_MAX;
  frame_end(&out, frame_offset);
  assert_int_equal(frame_next(out.data, out.n, &consumed, &needed, &frame), 1);
  assert_int_equal(frame.payload.n, FRAME_BYTES_MAX);
  bytes_close(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layout_is_pinned),
      cmocka_unit_test(a_stream_is_cut_into_its_frames),
      cmocka_unit_test(a_frame_may_come_in_pieces),
      cmocka_unit_test(every_flipped_bit_is_noticed),
      cmocka_unit_test(the_type_is_part_of_the_checksum),
      cmocka_unit_test(a_wrong_header_is_refused_at_once),
      cmocka_unit_test(the_largest_frame_passes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
