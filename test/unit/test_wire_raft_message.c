/* Goal: every message of Raft has one spelling that never changes by accident and arrives as it was sent;
 * bytes that are no message are refused, whatever they claim, with nothing read past their end, nothing
 * reserved on a claim's word, and nothing left to release. */
#include "wire/raft_message.h"

#include "base/random.h"
#include "golden.h"

#include <sys/resource.h>

enum { FROM = 11, TO = 22 };

static struct coracle_raft_entry *entry(uint64_t index, uint64_t term, enum coracle_raft_entry_type type,
                                        const char *data) {
  struct coracle_raft_entry *result = coracle_raft_entry_new(type, strlen(data));
  result->index = index;
  result->term = term;
  memcpy(result->data, data, strlen(data));
  return result;
}

/* ---- Datagrams ---- */

static struct coracle_raft_message datagram_message(uint8_t type) {
  return (struct coracle_raft_message){.type = type, .from = FROM, .to = TO, .term = 33, .round = 44};
}

/* One of each kind, and the bytes of its body. */
static const struct {
  struct coracle_raft_message message;
  const char *body_hex;
} datagram_messages[] = {
    {{.type = CORACLE_RAFT_VOTE_REQUEST,
      .vote_request = {.pre = true, .last_index = 0x0102030405060708, .last_term = UINT64_MAX}},
     "01 00 0807060504030201 ffffffffffffffff"},
    {{.type = CORACLE_RAFT_VOTE_REQUEST, .vote_request = {.transfer = true, .last_index = 1, .last_term = 2}},
     "00 01 0100000000000000 0200000000000000"},
    {{.type = CORACLE_RAFT_VOTE_REPLY, .vote_reply = {.pre = true}}, "01 00"},
    {{.type = CORACLE_RAFT_VOTE_REPLY, .vote_reply = {.granted = true}}, "00 01"},
    {{.type = CORACLE_RAFT_HEARTBEAT, .heartbeat = {.commit = 0x0102030405060708, .leader_commit = 9}},
     "0807060504030201 0900000000000000"},
    {{.type = CORACLE_RAFT_HEARTBEAT_REPLY}, ""},
};
enum { DATAGRAM_MESSAGES_N = sizeof datagram_messages / sizeof datagram_messages[0] };

static struct datagram datagram_around(uint8_t message_type, const void *body, size_t n) {
  return (struct datagram){.type = (uint8_t)(DATAGRAM_TYPE_RAFT + message_type),
                           .from = FROM,
                           .to = TO,
                           .start = 1,
                           .counter = 1,
                           .term = 33,
                           .round = 44,
                           .body = {body, n}};
}

/* Reads a message out of memory of exactly that body. */
static int from_body(uint8_t message_type, const void *body, size_t n, struct coracle_raft_message *message) {
  uint8_t *copy = exact_copy(body, n);
  struct datagram datagram = datagram_around(message_type, copy, n);
  int result = raft_message_from_datagram(&datagram, message);
  free(copy);
  return result;
}

static void assert_same_body(const struct coracle_raft_message *a, const struct coracle_raft_message *b) {
  switch (a->type) {
  case CORACLE_RAFT_VOTE_REQUEST:
    assert_int_equal(a->vote_request.pre, b->vote_request.pre);
    assert_int_equal(a->vote_request.transfer, b->vote_request.transfer);
    assert_true(a->vote_request.last_index == b->vote_request.last_index);
    assert_true(a->vote_request.last_term == b->vote_request.last_term);
    break;
  case CORACLE_RAFT_VOTE_REPLY:
    assert_int_equal(a->vote_reply.pre, b->vote_reply.pre);
    assert_int_equal(a->vote_reply.granted, b->vote_reply.granted);
    break;
  case CORACLE_RAFT_HEARTBEAT:
    assert_true(a->heartbeat.commit == b->heartbeat.commit);
    assert_true(a->heartbeat.leader_commit == b->heartbeat.leader_commit);
    break;
  }
}

static void bodies_are_pinned_and_round_trip(void **state) {
  (void)state;
  for (size_t i = 0; i < DATAGRAM_MESSAGES_N; i++) {
    const struct coracle_raft_message *sent = &datagram_messages[i].message;
    struct coracle_raft_message received;
    struct bytes body = {0};
    assert_true(raft_message_is_datagram(sent));
    raft_message_put_body(&body, sent);
    assert_golden(body.data, body.n, datagram_messages[i].body_hex);
    assert_int_equal(from_body(sent->type, body.data, body.n, &received), 0);
    assert_int_equal(received.type, sent->type);
    assert_true(received.from == FROM && received.to == TO && received.term == 33 && received.round == 44);
    assert_true(received.after_sequence == 0);
    assert_same_body(sent, &received);
    bytes_close(&body);
  }
}

static void bodies_of_another_size_are_refused(void **state) {
  (void)state;
  for (size_t i = 0; i < DATAGRAM_MESSAGES_N; i++) {
    uint8_t type = datagram_messages[i].message.type;
    struct coracle_raft_message received;
    struct bytes body = {0};
    raft_message_put_body(&body, &datagram_messages[i].message);
    for (size_t n = 0; n < body.n; n++)
      assert_int_equal(from_body(type, body.data, n, &received), CORACLE_EMALFORMED);
    bytes_append(&body, "", 1);
    assert_int_equal(from_body(type, body.data, body.n, &received), CORACLE_EMALFORMED);
    bytes_close(&body);
  }
}

/* A flipped bit in a body is refused, or read as just that change: what was read is spelled with the flipped
 * bit. */
static void every_bit_of_a_body_means_something(void **state) {
  (void)state;
  for (size_t i = 0; i < DATAGRAM_MESSAGES_N; i++) {
    uint8_t type = datagram_messages[i].message.type;
    struct bytes body = {0};
    raft_message_put_body(&body, &datagram_messages[i].message);
    for (size_t bit = 0; bit < 8 * body.n; bit++) {
      struct coracle_raft_message received;
      struct bytes again = {0};
      body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
      if (from_body(type, body.data, body.n, &received) == 0) {
        raft_message_put_body(&again, &received);
        assert_int_equal(again.n, body.n);
        assert_memory_equal(again.data, body.data, body.n);
      }
      body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
      bytes_close(&again);
    }
    bytes_close(&body);
  }
}

/* No two messages' bodies may be taken for each other by their size alone, nor a type be made up. */
static void other_types_are_refused(void **state) {
  (void)state;
  static const uint8_t body[64];
  struct coracle_raft_message message;
  for (unsigned type = 0; type <= UINT8_MAX; type++) {
    struct datagram datagram = datagram_around(0, body, 0);
    datagram.type = (uint8_t)type;
    int expected = type == DATAGRAM_TYPE_RAFT + CORACLE_RAFT_HEARTBEAT_REPLY ? 0 : CORACLE_EMALFORMED;
    assert_int_equal(raft_message_from_datagram(&datagram, &message), expected);
    datagram.body.n = sizeof body;
    assert_int_equal(raft_message_from_datagram(&datagram, &message), CORACLE_EMALFORMED);
  }
  for (unsigned type = 0; type <= UINT8_MAX; type++) {
    message = datagram_message((uint8_t)type);
    assert_int_equal(raft_message_is_datagram(&message), type >= 1 && type <= 4);
  }
}

/* ---- Hello ---- */

static const struct hello hello_sample = {.protocol = HELLO_PROTOCOL,
                                          .cluster = {0xc0, 0xc1, [15] = 0xcf},
                                          .from = FROM,
                                          .to = TO,
                                          .term = 0x0102030405060708};

/* The one frame at the front of the bytes. */
static struct frame frame_of(const struct bytes *bytes) {
  size_t consumed;
  size_t needed;
  struct frame frame;
  assert_int_equal(frame_next(bytes->data, bytes->n, &consumed, &needed, &frame), 1);
  assert_int_equal(consumed, bytes->n);
  return frame;
}

static int hello_exactly(uint8_t type, const void *payload, size_t n, struct hello *hello) {
  uint8_t *copy = exact_copy(payload, n);
  struct frame frame = {type, {(const char *)copy, n}};
  int result = hello_decode(&frame, hello);
  free(copy);
  return result;
}

static void hello_is_pinned_and_round_trips(void **state) {
  (void)state;
  struct bytes out = {0};
  struct hello received;
  hello_encode(&hello_sample, &out);
  struct frame frame = frame_of(&out);
  assert_golden(frame.payload.at, frame.payload.n,
                "0100 c0c100000000000000000000000000cf 0b00000000000000 1600000000000000 0807060504030201");
  assert_int_equal(hello_exactly(frame.type, frame.payload.at, frame.payload.n, &received), 0);
  assert_int_equal(received.protocol, HELLO_PROTOCOL);
  assert_memory_equal(received.cluster, hello_sample.cluster, CLUSTER_ID_BYTES);
  assert_true(received.from == FROM && received.to == TO && received.term == hello_sample.term);
  bytes_close(&out);
}

static void what_is_no_hello_is_refused(void **state) {
  (void)state;
  struct bytes out = {0};
  struct bytes payload = {0};
  struct hello hello;
  hello_encode(&hello_sample, &out);
  bytes_append_slice(&payload, frame_of(&out).payload);
  for (size_t n = 0; n < payload.n; n++)
    assert_int_equal(hello_exactly(FRAME_HELLO, payload.data, n, &hello), CORACLE_EMALFORMED);
  assert_int_equal(hello_exactly(FRAME_APPEND, payload.data, payload.n, &hello), CORACLE_EMALFORMED);
  payload.data[0] = HELLO_PROTOCOL + 1;
  assert_int_equal(hello_exactly(FRAME_HELLO, payload.data, payload.n, &hello), CORACLE_EMALFORMED);
  payload.data[0] = HELLO_PROTOCOL;
  bytes_append(&payload, "", 1);
  assert_int_equal(hello_exactly(FRAME_HELLO, payload.data, payload.n, &hello), CORACLE_EMALFORMED);
  bytes_close(&payload);
  bytes_close(&out);
}

/* ---- Appends ---- */

static const char append_hex[] = "0500000000000000"                        /* term */
                                 "0700000000000000"                        /* previous_index */
                                 "0400000000000000"                        /* previous_term */
                                 "0600000000000000"                        /* commit */
                                 "03000000"                                /* number of entries */
                                 "0400000000000000 01 00000000"            /* a no-op */
                                 "0500000000000000 03 05000000 68656c6c6f" /* a command */
                                 "0500000000000000 02 02000000 0102";      /* a configuration */

static const char append_reply_hex[] = "0500000000000000 01 0800000000000000"
                                       "0700000000000000 0807060504030201 ffffffffffffffff";

/* An APPEND of three entries, to be released with raft_message_close(). */
static struct coracle_raft_message append_sample(void) {
  struct coracle_raft_message message = {
      .type = CORACLE_RAFT_APPEND,
      .from = FROM,
      .to = TO,
      .term = 5,
      .append = {.previous_index = 7, .previous_term = 4, .commit = 6, .entries_n = 3}};
  message.append.entries = malloc(3 * sizeof(struct coracle_raft_entry *));
  message.append.entries[0] = entry(8, 4, CORACLE_RAFT_NOOP, "");
  message.append.entries[1] = entry(9, 5, CORACLE_RAFT_COMMAND, "hello");
  message.append.entries[2] = entry(10, 5, CORACLE_RAFT_CONFIGURATION, "\x01\x02");
  return message;
}

static const struct coracle_raft_message append_reply_sample = {
    .type = CORACLE_RAFT_APPEND_REPLY,
    .from = FROM,
    .to = TO,
    .term = 5,
    .append_reply = {.success = true,
                     .match = 8,
                     .previous_index = 7,
                     .conflict_index = 0x0102030405060708,
                     .conflict_term = UINT64_MAX}};

/* The payload that put_frame() gives, without its frame; to be released with bytes_close(). */
static struct bytes payload_of(const struct coracle_raft_message *message) {
  struct bytes out = {0};
  struct bytes payload = {0};
  raft_message_put_frame(&out, message);
  bytes_append_slice(&payload, frame_of(&out).payload);
  bytes_close(&out);
  return payload;
}

static struct bytes append_payload(void) {
  struct coracle_raft_message message = append_sample();
  struct bytes payload = payload_of(&message);
  raft_message_close(&message);
  return payload;
}

/* Reads a message out of memory of exactly that payload. */
static int from_payload(uint8_t frame_type, const void *payload, size_t n,
                        struct coracle_raft_message *message) {
  uint8_t *copy = exact_copy(payload, n);
  struct frame frame = {frame_type, {(const char *)copy, n}};
  int result = raft_message_from_frame(&frame, FROM, TO, message);
  free(copy);
  return result;
}

/* Refused, and (as the leak sanitizer sees) with nothing to release. */
static void assert_refused(uint8_t frame_type, const void *payload, size_t n) {
  struct coracle_raft_message message;
  assert_int_equal(from_payload(frame_type, payload, n, &message), CORACLE_EMALFORMED);
}

/* The payload is refused, or it is the one spelling of what was read from it. */
static bool refused_or_exact(uint8_t frame_type, const struct bytes *payload) {
  struct coracle_raft_message message;
  if (from_payload(frame_type, payload->data, payload->n, &message) != 0) return true;
  struct bytes again = payload_of(&message);
  bool exact = slice_equal(slice_of_bytes(&again), slice_of_bytes(payload));
  bytes_close(&again);
  raft_message_close(&message);
  return exact;
}

static void append_is_pinned_and_round_trips(void **state) {
  (void)state;
  struct coracle_raft_message sent = append_sample();
  struct coracle_raft_message received;
  struct bytes payload = payload_of(&sent);
  assert_golden(payload.data, payload.n, append_hex);
  assert_false(raft_message_is_datagram(&sent));
  assert_int_equal(from_payload(FRAME_APPEND, payload.data, payload.n, &received), 0);
  assert_int_equal(received.type, CORACLE_RAFT_APPEND);
  assert_true(received.from == FROM && received.to == TO && received.term == 5 && received.round == 0);
  assert_true(received.append.previous_index == 7 && received.append.previous_term == 4);
  assert_true(received.append.commit == 6);
  assert_int_equal(received.append.entries_n, 3);
  for (size_t i = 0; i < 3; i++) {
    const struct coracle_raft_entry *a = sent.append.entries[i];
    const struct coracle_raft_entry *b = received.append.entries[i];
    assert_true(a->index == b->index && a->term == b->term && a->type == b->type && a->bytes == b->bytes);
    assert_memory_equal(a->data, b->data, a->bytes);
    assert_int_equal(b->references, 1);
  }
  bytes_close(&payload);
  raft_message_close(&sent);
  raft_message_close(&received);
  raft_message_close(&received); /* harmless */
}

static void append_without_entries_round_trips(void **state) {
  (void)state;
  struct coracle_raft_message sent = {
      .type = CORACLE_RAFT_APPEND, .term = 1, .append = {.previous_index = UINT64_MAX, .previous_term = 1}};
  struct coracle_raft_message received;
  struct bytes payload = payload_of(&sent);
  assert_int_equal(payload.n, 36);
  assert_int_equal(from_payload(FRAME_APPEND, payload.data, payload.n, &received), 0);
  assert_true(received.append.previous_index == UINT64_MAX);
  assert_int_equal(received.append.entries_n, 0);
  raft_message_close(&received);
  bytes_close(&payload);
}

static void append_reply_is_pinned_and_round_trips(void **state) {
  (void)state;
  struct coracle_raft_message received;
  struct bytes payload = payload_of(&append_reply_sample);
  assert_golden(payload.data, payload.n, append_reply_hex);
  assert_false(raft_message_is_datagram(&append_reply_sample));
  assert_int_equal(from_payload(FRAME_APPEND_REPLY, payload.data, payload.n, &received), 0);
  assert_int_equal(received.type, CORACLE_RAFT_APPEND_REPLY);
  assert_true(received.from == FROM && received.to == TO && received.term == 5 && received.round == 0);
  assert_true(received.append_reply.success);
  assert_true(received.append_reply.match == 8 && received.append_reply.previous_index == 7);
  assert_true(received.append_reply.conflict_index == 0x0102030405060708);
  assert_true(received.append_reply.conflict_term == UINT64_MAX);
  raft_message_close(&received);
  bytes_close(&payload);
}

/* The frames that are numbers only: their messages and their payloads. */
static const struct {
  struct coracle_raft_message message;
  uint8_t frame_type;
  bool is_leaders; /* goes from the leader to the follower */
  const char *payload_hex;
} short_frames[] = {
    {{.type = CORACLE_RAFT_READ_REQUEST, .term = 5, .read_request = {.request = 0x0102030405060708}},
     FRAME_READ_REQUEST,
     false,
     "0500000000000000 0807060504030201"},
    {{.type = CORACLE_RAFT_READ_REPLY, .term = 6, .read_reply = {.request = 7, .index = UINT64_MAX}},
     FRAME_READ_REPLY,
     true,
     "0600000000000000 0700000000000000 ffffffffffffffff"},
    {{.type = CORACLE_RAFT_TIMEOUT_NOW, .term = 0x0102030405060708},
     FRAME_TIMEOUT_NOW,
     true,
     "0807060504030201"},
    {{.type = CORACLE_RAFT_SNAPSHOT_REPLY,
      .term = 6,
      .round = 3,
      .snapshot_reply = {.index = 9, .term = 4, .tag = UINT64_MAX, .offset = 0x0102030405060708}},
     FRAME_SNAPSHOT_REPLY,
     false,
     "0600000000000000 0300000000000000 0900000000000000 0400000000000000 ffffffffffffffff 0807060504030201"},
};

static void short_frames_are_pinned_and_round_trip(void **state) {
  (void)state;
  for (size_t i = 0; i < sizeof short_frames / sizeof short_frames[0]; i++) {
    const uint8_t type = short_frames[i].frame_type;
    struct coracle_raft_message received;
    struct bytes payload = payload_of(&short_frames[i].message);
    assert_golden(payload.data, payload.n, short_frames[i].payload_hex);
    assert_false(raft_message_is_datagram(&short_frames[i].message));
    assert_int_equal(raft_message_is_leaders(&short_frames[i].message), short_frames[i].is_leaders);
    assert_int_equal(raft_frame_is_leaders(type), short_frames[i].is_leaders);
    assert_int_equal(from_payload(type, payload.data, payload.n, &received), 0);
    assert_int_equal(received.type, short_frames[i].message.type);
    assert_true(received.from == FROM && received.to == TO);
    assert_true(received.round == short_frames[i].message.round);
    for (size_t bit = 0; bit < 8 * payload.n; bit++) {
      payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
      assert_true(refused_or_exact(type, &payload));
      payload.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    for (size_t n = 0; n < payload.n; n++) assert_refused(type, payload.data, n);
    bytes_append(&payload, "", 1);
    assert_refused(type, payload.data, payload.n);
    bytes_close(&payload);
  }
  assert_true(raft_frame_is_leaders(FRAME_APPEND) && !raft_frame_is_leaders(FRAME_APPEND_REPLY));
}

static void the_largest_entry_round_trips_and_one_byte_more_does_not(void **state) {
  (void)state;
  struct coracle_raft_entry *largest =
      coracle_raft_entry_new(CORACLE_RAFT_COMMAND, CORACLE_RAFT_ENTRY_BYTES_MAX);
  struct coracle_raft_message sent = {.type = CORACLE_RAFT_APPEND,
                                      .append = {.entries = &largest, .entries_n = 1}};
  struct coracle_raft_message received;
  largest->index = 1;
  largest->term = 1;
  memset(largest->data, 'x', largest->bytes);
  struct bytes payload = payload_of(&sent);
  assert_int_equal(from_payload(FRAME_APPEND, payload.data, payload.n, &received), 0);
  assert_memory_equal(received.append.entries[0]->data, largest->data, largest->bytes);
  raft_message_close(&received);

  set_u32(&payload, 36 + 9, CORACLE_RAFT_ENTRY_BYTES_MAX + 1);
  bytes_append(&payload, "x", 1);
  assert_refused(FRAME_APPEND, payload.data, payload.n);
  bytes_close(&payload);
  coracle_raft_entry_unref(largest);
}

static void every_truncation_and_trailing_byte_is_refused(void **state) {
  (void)state;
  struct bytes append = append_payload();
  struct bytes reply = payload_of(&append_reply_sample);
  for (size_t n = 0; n < append.n; n++) assert_refused(FRAME_APPEND, append.data, n);
  for (size_t n = 0; n < reply.n; n++) assert_refused(FRAME_APPEND_REPLY, reply.data, n);
  bytes_append(&append, "", 1);
  bytes_append(&reply, "", 1);
  assert_refused(FRAME_APPEND, append.data, append.n);
  assert_refused(FRAME_APPEND_REPLY, reply.data, reply.n);
  bytes_close(&append);
  bytes_close(&reply);
}

static void every_bit_of_a_payload_means_something(void **state) {
  (void)state;
  struct bytes payloads[] = {append_payload(), payload_of(&append_reply_sample)};
  static const uint8_t types[] = {FRAME_APPEND, FRAME_APPEND_REPLY};
  for (size_t i = 0; i < 2; i++) {
    for (size_t bit = 0; bit < 8 * payloads[i].n; bit++) {
      payloads[i].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
      assert_true(refused_or_exact(types[i], &payloads[i]));
      payloads[i].data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    bytes_close(&payloads[i]);
  }
}

/* The same for damage of many kinds at once: random bytes over a valid payload, cut at a random length. */
static void random_damage_is_refused_or_exact(void **state) {
  (void)state;
  struct random random = {20140808};
  struct bytes append = append_payload();
  for (int run = 0; run < 50000; run++) {
    struct bytes payload = {0};
    size_t n = append.n - (random_below(&random, 4) == 0 ? random_below(&random, append.n) : 0);
    bytes_append(&payload, append.data, n);
    for (uint64_t hits = random_below(&random, 4); hits > 0 && n > 0; hits--) {
      size_t at = random_below(&random, 2) == 0 && n > 32 ? 32 + random_below(&random, n - 32)
                                                          : random_below(&random, n);
      payload.data[at] = (uint8_t)random_below(&random, 6);
    }
    assert_true(refused_or_exact(FRAME_APPEND, &payload));
    assert_true(refused_or_exact(FRAME_APPEND_REPLY, &payload));
    bytes_close(&payload);
  }
  bytes_close(&append);
}

/* A payload of `claimed` entries that in truth holds `held` empty no-ops. */
static struct bytes claiming(uint32_t claimed, uint32_t held) {
  struct bytes payload = {0};
  for (int i = 0; i < 4; i++) put_u64(&payload, 1);
  put_u32(&payload, claimed);
  for (uint32_t i = 0; i < held; i++) {
    put_u64(&payload, 1);
    put_u8(&payload, CORACLE_RAFT_NOOP);
    put_u32(&payload, 0);
  }
  return payload;
}

/* With the address space closed to anything large, so that reserving on the claim's word ends the process. */
static void a_claimed_number_reserves_nothing(void **state) {
  (void)state;
  enum { ROOM_BYTES = 64 * 1024 };
  static const uint32_t claims[] = {101, 102, 1u << 16, 1u << 27, 1u << 31, UINT32_MAX};
  struct rlimit before;
  assert_int_equal(getrlimit(RLIMIT_AS, &before), 0);
  for (size_t i = 0; i < sizeof claims / sizeof claims[0]; i++) {
    struct bytes payload = claiming(claims[i], 100);
    struct rlimit closed = {ROOM_BYTES, before.rlim_max};
    struct frame frame = {FRAME_APPEND, slice_of_bytes(&payload)};
    struct coracle_raft_message message;
    assert_int_equal(setrlimit(RLIMIT_AS, &closed), 0);
    int result = raft_message_from_frame(&frame, FROM, TO, &message);
    assert_int_equal(setrlimit(RLIMIT_AS, &before), 0);
    assert_int_equal(result, CORACLE_EMALFORMED);
    bytes_close(&payload);
  }
  struct bytes fewer = claiming(99, 100); /* the hundredth is then trailing bytes */
  assert_refused(FRAME_APPEND, fewer.data, fewer.n);
  bytes_close(&fewer);
}

static void an_index_that_overflows_is_refused(void **state) {
  (void)state;
  enum { PREVIOUS_INDEX = 8 };
  struct bytes payload = append_payload(); /* three entries */
  struct coracle_raft_message message;
  memset(payload.data + PREVIOUS_INDEX, 0xff, 8);
  assert_refused(FRAME_APPEND, payload.data, payload.n);
  payload.data[PREVIOUS_INDEX] = 0xfd;
  assert_refused(FRAME_APPEND, payload.data, payload.n);
  payload.data[PREVIOUS_INDEX] = 0xfc;
  assert_int_equal(from_payload(FRAME_APPEND, payload.data, payload.n, &message), 0);
  assert_true(message.append.entries[2]->index == UINT64_MAX);
  raft_message_close(&message);
  bytes_close(&payload);
}

static void impossible_entries_are_refused(void **state) {
  (void)state;
  enum { LAST_TYPE = 36 + 13 + 18 + 8, LAST_BYTES = LAST_TYPE + 1, SUCCESS = 8 };
  static const uint8_t types[] = {0, 4, 5, 0x80, 255};
  struct bytes payload = append_payload();
  for (size_t i = 0; i < sizeof types; i++) {
    payload.data[LAST_TYPE] = types[i];
    assert_refused(FRAME_APPEND, payload.data, payload.n);
  }
  payload.data[LAST_TYPE] = CORACLE_RAFT_COMMAND;
  static const uint32_t sizes[] = {0, 1, 3, CORACLE_RAFT_ENTRY_BYTES_MAX, UINT32_MAX - 1, UINT32_MAX};
  for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
    set_u32(&payload, LAST_BYTES, sizes[i]);
    assert_refused(FRAME_APPEND, payload.data, payload.n);
  }
  set_u32(&payload, LAST_BYTES, 2);
  assert_refused(FRAME_HELLO, payload.data, payload.n);
  assert_refused(FRAME_APPEND_REPLY, payload.data, payload.n);
  assert_refused(0, payload.data, payload.n);
  bytes_close(&payload);

  struct bytes reply = payload_of(&append_reply_sample);
  reply.data[SUCCESS] = 2;
  assert_refused(FRAME_APPEND_REPLY, reply.data, reply.n);
  bytes_close(&reply);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(bodies_are_pinned_and_round_trip),
      cmocka_unit_test(bodies_of_another_size_are_refused),
      cmocka_unit_test(every_bit_of_a_body_means_something),
      cmocka_unit_test(other_types_are_refused),
      cmocka_unit_test(hello_is_pinned_and_round_trips),
      cmocka_unit_test(what_is_no_hello_is_refused),
      cmocka_unit_test(append_is_pinned_and_round_trips),
      cmocka_unit_test(append_without_entries_round_trips),
      cmocka_unit_test(append_reply_is_pinned_and_round_trips),
      cmocka_unit_test(short_frames_are_pinned_and_round_trip),
      cmocka_unit_test(the_largest_entry_round_trips_and_one_byte_more_does_not),
      cmocka_unit_test(every_truncation_and_trailing_byte_is_refused),
      cmocka_unit_test(every_bit_of_a_payload_means_something),
      cmocka_unit_test(random_damage_is_refused_or_exact),
      cmocka_unit_test(a_claimed_number_reserves_nothing),
      cmocka_unit_test(an_index_that_overflows_is_refused),
      cmocka_unit_test(impossible_entries_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
