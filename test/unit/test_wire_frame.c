/* Goal: a stream is cut into the frames that were put into it, however it arrives, and a stream with anything
 * wrong in it is refused: early for its length, by its seal for all the rest, a frame left out, doubled or
 * moved included. */
#include "wire/frame.h"

#include "golden.h"

static const struct seal_stream fresh = {.key = "of one direction of one stream "};

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

static struct bytes sealed_frames(void) {
  struct bytes stream = three_frames();
  struct seal_stream seal = fresh;
  frames_seal(&seal, &stream, 0);
  assert_true(seal.frames == 3);
  return stream;
}

/* frame_open() as the first frame of a stream, in memory of exactly n bytes; only its result. */
static int open_exactly(const void *data, size_t n) {
  struct seal_stream seal = fresh;
  size_t needed;
  uint8_t *copy = exact_copy(data, n);
  int result = frame_open(&seal, copy, n, &needed);
  free(copy);
  return result;
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

static void plain_layout_is_pinned(void **state) {
  (void)state;
  struct bytes out = {0};
  put_frame(&out, FRAME_APPEND, "abc", 3);
  put_frame(&out, FRAME_APPEND_REPLY, "abc", 3);
  put_frame(&out, FRAME_HELLO, NULL, 0);
  assert_golden(out.data, out.n,
                "03000000 00000000000000000000000000000000 02 616263"
                "03000000 00000000000000000000000000000000 03 616263"
                "00000000 00000000000000000000000000000000 01");
  bytes_close(&out);
}

static void a_stream_is_cut_into_its_frames(void **state) {
  (void)state;
  static const struct {
    enum frame_type type;
    size_t payload_bytes;
  } expected[] = {{FRAME_HELLO, 42}, {FRAME_APPEND, 0}, {FRAME_APPEND_REPLY, 300}};
  struct bytes stream = sealed_frames();
  struct bytes plain = three_frames();
  struct seal_stream seal = fresh;
  size_t at = 0;
  for (size_t i = 0; i < 3; i++) {
    size_t consumed;
    size_t needed;
    struct frame frame;
    assert_int_equal(frame_open(&seal, stream.data + at, stream.n - at, &needed), 1);
    assert_int_equal(frame_next(stream.data + at, stream.n - at, &consumed, &needed, &frame), 1);
    assert_int_equal(frame.type, expected[i].type);
    assert_int_equal(frame.payload.n, expected[i].payload_bytes);
    assert_int_equal(consumed, FRAME_HEADER_BYTES + expected[i].payload_bytes);
    assert_ptr_equal(frame.payload.at, stream.data + at + FRAME_HEADER_BYTES);
    at += consumed;
  }
  assert_int_equal(at, stream.n);
  assert_memory_equal(stream.data, plain.data, plain.n);
  bytes_close(&plain);
  bytes_close(&stream);
}

/* Sealed one at a time behind what leaves as it is, they are the same bytes. */
static void frames_are_sealed_where_they_stand(void **state) {
  (void)state;
  struct bytes all = sealed_frames(), plain = three_frames(), out = {0};
  struct seal_stream seal = fresh;
  const size_t first = FRAME_HEADER_BYTES + 42;
  bytes_append_string(&out, "HTTP/1.1 101");
  frames_seal(&seal, &out, out.n);
  assert_true(seal.frames == 0);
  bytes_append(&out, plain.data, first);
  frames_seal(&seal, &out, 12);
  bytes_append(&out, plain.data + first, plain.n - first);
  frames_seal(&seal, &out, 12 + first);
  assert_memory_equal(out.data, "HTTP/1.1 101", 12);
  assert_int_equal(out.n, 12 + all.n);
  assert_memory_equal(out.data + 12, all.data, all.n);
  bytes_close(&all);
  bytes_close(&plain);
  bytes_close(&out);
}

/* Every proper beginning of a frame asks for more, and says how much. */
static void a_frame_may_come_in_pieces(void **state) {
  (void)state;
  struct seal_stream seal = fresh;
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
  frames_seal(&seal, &out, 0);
  seal = fresh;
  for (size_t n = 0; n < out.n; n++) { /* with one and the same state: asking changes nothing */
    size_t needed = 0;
    uint8_t *copy = exact_copy(out.data, n);
    assert_int_equal(frame_open(&seal, copy, n, &needed), 0);
    assert_int_equal(needed, n < 4 ? FRAME_HEADER_BYTES : FRAME_HEADER_BYTES + 10);
    free(copy);
  }
  size_t needed;
  assert_int_equal(frame_open(&seal, out.data, out.n, &needed), 1);
  bytes_close(&out);
}

/* What a stream of n bytes must give whose first length has a flipped bit. */
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
  struct bytes stream = sealed_frames();
  size_t first_bytes = FRAME_HEADER_BYTES + 42;
  for (size_t bit = 0; bit < 8 * first_bytes; bit++) {
    stream.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(open_exactly(stream.data, first_bytes), expected_of_damage(stream.data, first_bytes));
    assert_int_equal(open_exactly(stream.data, stream.n), expected_of_damage(stream.data, stream.n));
    stream.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  assert_int_equal(open_exactly(stream.data, first_bytes), 1);
  bytes_close(&stream);
}

/* A frame opens in its place and nowhere else: not twice, not earlier, not later, not the other way, not on
 * another stream. */
static void a_frame_has_its_place(void **state) {
  (void)state;
  enum { FRAMES = 5, BYTES = FRAME_HEADER_BYTES + 7 };
  struct bytes stream = {0};
  struct seal_stream seal = fresh;
  size_t needed;
  for (int i = 0; i < FRAMES; i++) put_frame(&stream, FRAME_APPEND, "payload", 7);
  frames_seal(&seal, &stream, 0);
  for (uint64_t place = 0; place < FRAMES + 2; place++) {
    for (size_t i = 0; i < FRAMES; i++) {
      uint8_t *copy = exact_copy(stream.data + i * BYTES, BYTES);
      seal = fresh;
      seal.frames = place;
      assert_int_equal(frame_open(&seal, copy, BYTES, &needed), place == i ? 1 : CORACLE_EMALFORMED);
      free(copy);
    }
  }
  for (size_t bit = 0; bit < 8 * SEAL_KEY_BYTES; bit++) {
    uint8_t *copy = exact_copy(stream.data, BYTES);
    seal = fresh;
    seal.key[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_int_equal(frame_open(&seal, copy, BYTES, &needed), CORACLE_EMALFORMED);
    free(copy);
  }
  bytes_close(&stream);
}

/* What a plain header alone shows is refused before any payload is waited for; of a sealed one only the
 * length shows. */
static void a_wrong_header_is_refused_at_once(void **state) {
  (void)state;
  enum { TYPE = 20 };
  uint8_t header[FRAME_HEADER_BYTES] = {0xff, 0xff, 0xff, 0xff, [TYPE] = FRAME_APPEND};
  assert_int_equal(next_exactly(header, sizeof header), CORACLE_ELIMIT);
  assert_int_equal(open_exactly(header, 4), CORACLE_ELIMIT);
  memcpy(header, "\x01\x00\x80\x00", 4); /* 8 MiB + 1 */
  assert_int_equal(next_exactly(header, sizeof header), CORACLE_ELIMIT);
  assert_int_equal(open_exactly(header, 4), CORACLE_ELIMIT);
  memcpy(header, "\x00\x00\x80\x00", 4); /* 8 MiB */
  assert_int_equal(next_exactly(header, sizeof header), 0);
  assert_int_equal(open_exactly(header, 4), 0);
  header[TYPE] = 0;
  assert_int_equal(next_exactly(header, sizeof header), CORACLE_EMALFORMED);
  header[TYPE] = 255;
  assert_int_equal(next_exactly(header, sizeof header), CORACLE_EMALFORMED);
  header[TYPE] = FRAME_APPEND;
  for (size_t i = 4; i < TYPE; i++) {
    header[i] = 1; /* still sealed */
    assert_int_equal(next_exactly(header, sizeof header), CORACLE_EMALFORMED);
    header[i] = 0;
  }
  assert_int_equal(next_exactly(header, sizeof header), 0);
}

static void the_largest_frame_passes(void **state) {
  (void)state;
  struct bytes out = {0};
  struct seal_stream sealing = fresh, opening = fresh;
  size_t consumed;
  size_t needed;
  struct frame frame;
  size_t frame_offset = frame_begin(&out, FRAME_APPEND);
  memset(bytes_reserve(&out, FRAME_BYTES_MAX), 'x', FRAME_BYTES_MAX);
  out.n += FRAME_BYTES_MAX;
  frame_end(&out, frame_offset);
  frames_seal(&sealing, &out, 0);
  assert_int_equal(frame_open(&opening, out.data, out.n, &needed), 1);
  assert_int_equal(frame_next(out.data, out.n, &consumed, &needed, &frame), 1);
  assert_int_equal(frame.payload.n, FRAME_BYTES_MAX);
  for (size_t i = 0; i < FRAME_BYTES_MAX; i++) assert_int_equal(frame.payload.at[i], 'x');
  bytes_close(&out);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(plain_layout_is_pinned),
      cmocka_unit_test(a_stream_is_cut_into_its_frames),
      cmocka_unit_test(frames_are_sealed_where_they_stand),
      cmocka_unit_test(a_frame_may_come_in_pieces),
      cmocka_unit_test(every_flipped_bit_is_noticed),
      cmocka_unit_test(a_frame_has_its_place),
      cmocka_unit_test(a_wrong_header_is_refused_at_once),
      cmocka_unit_test(the_largest_frame_passes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
