/* Goal: a chunk of a snapshot has one spelling that never changes by accident and arrives as it was sent;
 * bytes that are none are refused, with nothing read past their end and nothing left to release. */
#include "wire/raft_message.h"

#include "golden.h"

enum { FROM = 11, TO = 22 };

/* The payload that put_frame() gives, without its frame; to be released with bytes_close(). */
static struct bytes payload_of(const struct coracle_raft_message *message) {
  struct bytes out = {0};
  struct bytes payload = {0};
  struct frame frame;
  size_t consumed, needed;
  raft_message_put_frame(&out, message);
  assert_int_equal(frame_next(out.data, out.n, &consumed, &needed, &frame), 1);
  bytes_append_slice(&payload, frame.payload);
  bytes_close(&out);
  return payload;
}

/* Out of memory of exactly that payload. Refused, and (as the leak sanitizer sees) with nothing to release.
 */
static void assert_refused(const void *payload, size_t n) {
  struct coracle_raft_message message;
  uint8_t *copy = exact_copy(payload, n);
  const struct frame frame = {FRAME_SNAPSHOT, {(const char *)copy, n}};
  assert_int_equal(raft_message_from_frame(&frame, FROM, TO, &message), CORACLE_EMALFORMED);
  free(copy);
}

/* The payload is refused, or it is the one spelling of what was read from it. */
static bool refused_or_exact(const struct bytes *payload) {
  struct coracle_raft_message message;
  uint8_t *copy = exact_copy(payload->data, payload->n); /* a chunk stays in it */
  struct frame frame = {FRAME_SNAPSHOT, {(const char *)copy, payload->n}};
  bool exact = true;
  if (raft_message_from_frame(&frame, FROM, TO, &message) == 0) {
    struct bytes again = payload_of(&message);
    exact = slice_equal(slice_of_bytes(&again), slice_of_bytes(payload));
    bytes_close(&again);
    raft_message_close(&message);
  }
  free(copy);
  return exact;
}

static const struct coracle_raft_snapshot snapshot_sample = {
    .index = 9,
    .term = 4,
    .bytes = 0x0102030405060708,
    .tag = UINT64_MAX,
    .configuration_index = 7,
    .configuration = {.members_n = 2,
                      .members = {{.id = 11, .voter = true, .data_bytes = 2, .data = "hi"}, {.id = 12}}}};
static const struct coracle_raft_message snapshot_message_sample = {
    .type = CORACLE_RAFT_SNAPSHOT,
    .term = 5,
    .round = 6,
    .snapshot = {&snapshot_sample, .offset = 3, .data = (const uint8_t *)"chunk", .n = 5}};

static const char snapshot_hex[] = "0500000000000000"              /* term */
                                   "0600000000000000"              /* round */
                                   "0900000000000000"              /* index */
                                   "0400000000000000"              /* term of that entry */
                                   "0807060504030201"              /* bytes */
                                   "ffffffffffffffff"              /* tag */
                                   "0700000000000000"              /* configuration_index */
                                   "1a000000 01 02"                /* two members: */
                                   "0b00000000000000 01 0200 6869" /* a voter */
                                   "0c00000000000000 00 0000"      /* a learner */
                                   "0300000000000000"              /* offset */
                                   "6368756e6b";

static void snapshot_is_pinned_and_round_trips(void **state) {
  (void)state;
  struct coracle_raft_message received;
  struct bytes payload = payload_of(&snapshot_message_sample);
  assert_golden(payload.data, payload.n, snapshot_hex);
  assert_false(raft_message_is_datagram(&snapshot_message_sample));
  assert_true(raft_message_is_leaders(&snapshot_message_sample) && raft_frame_is_leaders(FRAME_SNAPSHOT));
  const struct frame frame = {FRAME_SNAPSHOT, slice_of_bytes(&payload)};
  assert_int_equal(raft_message_from_frame(&frame, FROM, TO, &received), 0);
  assert_int_equal(received.type, CORACLE_RAFT_SNAPSHOT);
  assert_true(received.from == FROM && received.to == TO && received.term == 5 && received.round == 6);
  assert_memory_equal(received.snapshot.snapshot, &snapshot_sample, sizeof snapshot_sample);
  assert_true(received.snapshot.offset == 3 && received.snapshot.n == 5);
  assert_memory_equal(received.snapshot.data, "chunk", 5);
  raft_message_close(&received);
  raft_message_close(&received); /* harmless */

  const struct frame offer = {FRAME_SNAPSHOT, {(const char *)payload.data, payload.n - 5}};
  assert_int_equal(raft_message_from_frame(&offer, FROM, TO, &received), 0);
  assert_int_equal(received.snapshot.n, 0);
  raft_message_close(&received);
  for (size_t n = 0; n < payload.n - 5; n++) assert_refused(payload.data, n);
  bytes_close(&payload);
}

static void every_bit_of_a_snapshot_means_something(void **state) {
  (void)state;
  struct bytes payload = payload_of(&snapshot_message_sample);
  for (size_t bit = 0; bit < 8 * payload.n; bit++) {
    payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    assert_true(refused_or_exact(&payload));
    payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  bytes_close(&payload);
}

static void a_snapshot_without_a_voter_is_refused(void **state) {
  (void)state;
  enum { CONFIGURATION_BYTES = 7 * 8, VOTER = CONFIGURATION_BYTES + 4 + 2 + 8 };
  static const uint32_t lengths[] = {0, 1, 25, 27, 1u << 20, UINT32_MAX};
  struct bytes payload = payload_of(&snapshot_message_sample);
  payload.data[VOTER] = 0;
  assert_refused(payload.data, payload.n);
  payload.data[VOTER] = 1;
  for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
    set_u32(&payload, CONFIGURATION_BYTES, lengths[i]);
    assert_refused(payload.data, payload.n);
  }
  bytes_close(&payload);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(snapshot_is_pinned_and_round_trips),
      cmocka_unit_test(every_bit_of_a_snapshot_means_something),
      cmocka_unit_test(a_snapshot_without_a_voter_is_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
