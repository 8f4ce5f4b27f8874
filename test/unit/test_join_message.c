/* Goal: the bodies of the handshake and a member's data have one spelling that never changes by accident, and
 * whatever arrives is either exactly that or refused, without a read past its end; nothing that a log or an
 * answer prints can hold a control byte. */
#include "join/message.h"

#include "golden.h"

#define CARD_HEX                                                                                             \
  "05"                                                                                                       \
  "03 6e2d31"                                                                                                \
  "04 7f000001000000000000000000000000 411f"
#define TOKEN_HEX "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define PEERS_HEX                                                                                            \
  "02"                                                                                                       \
  "04 7f000001000000000000000000000000 411f"                                                                 \
  "06 00000000000000000000000000000001 409c"

static const struct address http = {.family = ADDRESS_IP4, .ip = {127, 0, 0, 1}, .port = 8001};
static const struct address udp = {.family = ADDRESS_IP6, .ip = {[15] = 1}, .port = 40000};

static struct join_card sample_card(void) {
  return (struct join_card){.established = true, .memory_storage = true, .name = "n-1", .http = http};
}

static struct join_message sample(enum join_message_type type) {
  struct join_message message = {.type = type};
  if (type != JOIN_SAVED && type != JOIN_REFUSED && type != JOIN_REMOVED) message.card = sample_card();
  if (type == JOIN_CREDENTIALS) {
    message.has_token = true;
    for (size_t i = 0; i < JOIN_TOKEN_BYTES; i++) message.token[i] = (uint8_t)i;
  }
  if (type == JOIN_NOT_YET || type == JOIN_REFUSED) strcpy(message.text, "why");
  if (type == JOIN_PROBE || type == JOIN_PROBED) {
    message.round = 0x0102030405060708;
    message.peers = (struct address_list){.n = 2, .at = {http, udp}};
  }
  return message;
}

/* Decodes memory of exactly these bytes. */
static int decode(uint8_t type, const void *data, size_t n, struct join_message *message) {
  uint8_t *copy = exact_copy(data, n);
  int error = join_message_decode(type, copy, n, message);
  free(copy);
  return error;
}

static void assert_layout(const struct join_message *message, const char *hex) {
  struct bytes body = {0};
  struct join_message decoded;
  join_message_encode(message, &body);
  assert_golden(body.data, body.n, hex);
  assert_int_equal(decode((uint8_t)message->type, body.data, body.n, &decoded), 0);
  assert_int_equal(decoded.type, message->type);
  assert_int_equal(decoded.card.established, message->card.established);
  assert_int_equal(decoded.card.leader, message->card.leader);
  assert_int_equal(decoded.card.memory_storage, message->card.memory_storage);
  assert_string_equal(decoded.card.name, message->card.name);
  assert_true(address_equal(&decoded.card.http, &message->card.http));
  assert_int_equal(decoded.has_token, message->has_token);
  assert_memory_equal(decoded.token, message->token, JOIN_TOKEN_BYTES);
  assert_string_equal(decoded.text, message->text);
  assert_int_equal(decoded.card.was_member, message->card.was_member);
  assert_int_equal(decoded.round, message->round);
  assert_int_equal(decoded.peers.n, message->peers.n);
  for (size_t i = 0; i < decoded.peers.n; i++)
    assert_true(address_equal(&decoded.peers.at[i], &message->peers.at[i]));
  bytes_close(&body);
}

static void layouts_are_pinned(void **state) {
  (void)state;
  struct join_message message = sample(JOIN_ACCEPT);
  assert_layout(&message, CARD_HEX);
  message.card.established = message.card.memory_storage = false;
  message.card.leader = true;
  assert_layout(&message, "02 03 6e2d31 04 7f000001000000000000000000000000 411f");
  message.card.leader = false;
  message.card.was_member = true;
  assert_layout(&message, "08 03 6e2d31 04 7f000001000000000000000000000000 411f");
  message = sample(JOIN_CREDENTIALS);
  assert_layout(&message, CARD_HEX "01" TOKEN_HEX);
  message.has_token = false;
  memset(message.token, 0, sizeof message.token);
  assert_layout(&message, CARD_HEX "00");
  message = sample(JOIN_SAVED);
  assert_layout(&message, "");
  message = sample(JOIN_NOT_YET);
  assert_layout(&message, CARD_HEX "03 776879");
  message = sample(JOIN_REFUSED);
  assert_layout(&message, "03 776879");
  message = sample(JOIN_PROBE);
  assert_layout(&message, CARD_HEX "0807060504030201" PEERS_HEX);
  message = sample(JOIN_PROBED);
  assert_layout(&message, CARD_HEX "0807060504030201" PEERS_HEX);
  message.peers.n = 0;
  assert_layout(&message, CARD_HEX "0807060504030201 00");
  message = sample(JOIN_REMOVED);
  assert_layout(&message, "");
}

static void members_layout_is_pinned(void **state) {
  (void)state;
  struct join_member member = {.memory_storage = true, .name = "n-1", .http = http, .udp = udp}, decoded;
  struct coracle_raft_member data = {.id = 7};
  join_member_encode(&member, &data);
  assert_golden(data.data, data.data_bytes,
                "01 04 03 6e2d31 04 7f000001000000000000000000000000 411f"
                "06 00000000000000000000000000000001 409c");
  assert_int_equal(join_member_decode(&data, &decoded), 0);
  assert_true(decoded.memory_storage);
  assert_string_equal(decoded.name, "n-1");
  assert_true(address_equal(&decoded.http, &http));
  assert_true(address_equal(&decoded.udp, &udp));
}

/* The longest name and text there are fit, in a body and in a member's data. */
static void the_longest_fits(void **state) {
  (void)state;
  struct join_message message = sample(JOIN_NOT_YET), decoded;
  struct join_member member = {.http = http, .udp = udp}, member_decoded;
  struct coracle_raft_member data = {.id = 7};
  struct bytes body = {0};
  memset(message.card.name, 'n', JOIN_NAME_BYTES_MAX);
  memset(message.text, 't', JOIN_TEXT_BYTES_MAX);
  join_message_encode(&message, &body);
  assert_int_equal(decode(JOIN_NOT_YET, body.data, body.n, &decoded), 0);
  assert_string_equal(decoded.card.name, message.card.name);
  assert_string_equal(decoded.text, message.text);
  bytes_close(&body);

  memset(member.name, 'n', JOIN_NAME_BYTES_MAX);
  join_member_encode(&member, &data);
  assert_int_equal(join_member_decode(&data, &member_decoded), 0);
  assert_string_equal(member_decoded.name, member.name);
}

/* A body that ends early or goes on too long is none, wherever that is. */
static void every_other_length_is_refused(void **state) {
  (void)state;
  for (uint8_t type = JOIN_ACCEPT; type <= JOIN_REMOVED; type++) {
    struct join_message message = sample((enum join_message_type)type), decoded;
    struct bytes body = {0};
    join_message_encode(&message, &body);
    for (size_t n = 0; n < body.n; n++)
      assert_int_equal(decode(type, body.data, n, &decoded), CORACLE_EMALFORMED);
    put_u8(&body, 0);
    assert_int_equal(decode(type, body.data, body.n, &decoded), CORACLE_EMALFORMED);
    bytes_close(&body);
  }
}

/* Each changed bit is refused, or read as just that change: encoding what was read gives the changed bytes
 * again. */
static void every_bit_means_something(void **state) {
  (void)state;
  size_t read = 0, refused = 0;
  for (uint8_t type = JOIN_ACCEPT; type <= JOIN_REMOVED; type++) {
    struct join_message message = sample((enum join_message_type)type), decoded;
    struct bytes body = {0}, again = {0};
    join_message_encode(&message, &body);
    for (size_t bit = 0; bit < 8 * body.n; bit++) {
      body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
      if (decode(type, body.data, body.n, &decoded) == 0) {
        again.n = 0;
        join_message_encode(&decoded, &again);
        assert_int_equal(again.n, body.n);
        assert_memory_equal(again.data, body.data, body.n);
        read++;
      } else {
        refused++;
      }
      body.data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    bytes_close(&body);
    bytes_close(&again);
  }
  assert_true(read > 0 && refused > 0);
}

static void unknown_types_are_refused(void **state) {
  (void)state;
  static const uint8_t bytes[64];
  struct join_message decoded;
  for (unsigned type = 0; type <= UINT8_MAX; type++) {
    if (type >= JOIN_ACCEPT && type <= JOIN_REMOVED) continue;
    assert_int_equal(decode((uint8_t)type, bytes, 0, &decoded), CORACLE_EMALFORMED);
    assert_int_equal(decode((uint8_t)type, bytes, sizeof bytes, &decoded), CORACLE_EMALFORMED);
  }
}

/* Names and texts end up in logs and answers: a line of its own, or an escape sequence, would be believed. */
static void control_bytes_are_refused(void **state) {
  (void)state;
  for (unsigned c = 0; c <= UINT8_MAX; c++) {
    const bool control = c < 0x20 || c == 0x7f;
    struct join_message message = sample(JOIN_NOT_YET), decoded;
    struct join_member member = {.name = "n-1", .http = http, .udp = udp}, member_decoded;
    struct coracle_raft_member data = {.id = 7};
    struct bytes body = {0};
    join_message_encode(&message, &body);
    body.data[3] = (uint8_t)c; /* in the name */
    assert_int_equal(decode(JOIN_NOT_YET, body.data, body.n, &decoded), control ? CORACLE_EMALFORMED : 0);
    body.data[3] = '-';
    body.data[body.n - 1] = (uint8_t)c; /* in the text */
    assert_int_equal(decode(JOIN_NOT_YET, body.data, body.n, &decoded), control ? CORACLE_EMALFORMED : 0);
    bytes_close(&body);

    join_member_encode(&member, &data);
    data.data[4] = (uint8_t)c;
    assert_int_equal(join_member_decode(&data, &member_decoded), control ? CORACLE_EMALFORMED : 0);
  }
}

/* What no node says of itself: no name, one too long, no address, flags of no meaning, half a token. */
static void impossible_values_are_refused(void **state) {
  (void)state;
  static const struct {
    uint8_t type;
    const char *bytes;
    size_t n;
  } rows[] = {
      {JOIN_ACCEPT, "\0\0\x04\x7f\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x41\x1f", 21},    /* an empty name */
      {JOIN_ACCEPT, "\x10\1n\x04\x7f\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x41\x1f", 22}, /* an unknown flag */
      {JOIN_ACCEPT, "\0\1n\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22},           /* no address */
      {JOIN_ACCEPT, "\0\1n\x05\x7f\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x41\x1f", 22},   /* an unknown family */
      {JOIN_ACCEPT, "\0\1n\x04\x7f\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 22},       /* port 0 */
      {JOIN_CREDENTIALS, "\0\1n\x04\x7f\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x41\x1f\2", 23},
      {JOIN_CREDENTIALS, "\0\1n\x04\x7f\0\0\1\0\0\0\0\0\0\0\0\0\0\0\0\x41\x1f\1token", 28},
  };
  struct join_message decoded;
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
    assert_int_equal(decode(rows[i].type, rows[i].bytes, rows[i].n, &decoded), CORACLE_EMALFORMED);

  struct bytes long_name = {0};
  put_u8(&long_name, 0);
  put_u8(&long_name, JOIN_NAME_BYTES_MAX + 1);
  for (int i = 0; i <= JOIN_NAME_BYTES_MAX; i++) put_u8(&long_name, 'n');
  put_address(&long_name, &http);
  assert_int_equal(decode(JOIN_ACCEPT, long_name.data, long_name.n, &decoded), CORACLE_EMALFORMED);
  bytes_close(&long_name);
}

/* A list of peers has one form: in ascending order, each once, and only what can be sent to. */
static void impossible_lists_are_refused(void **state) {
  (void)state;
  struct join_message message = sample(JOIN_PROBE), decoded;
  struct address_list longest = {.n = ADDRESS_LIST_MAX};
  struct address no_port = http, no_host = {.port = 8000};
  struct bytes body = {0};
  no_port.port = 0;
  for (size_t i = 0; i < longest.n; i++) {
    longest.at[i] = udp;
    longest.at[i].port = (uint16_t)(8000 + i);
  }
  const struct {
    struct address_list list;
    int error;
  } rows[] = {
      {longest, 0},
      {{.n = 2, .at = {udp, http}}, CORACLE_EMALFORMED},
      {{.n = 2, .at = {http, http}}, CORACLE_EMALFORMED},
      {{.n = 1, .at = {no_port}}, CORACLE_EMALFORMED},
      {{.n = 1, .at = {no_host}}, CORACLE_EMALFORMED},
  };
  for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
    message.peers = rows[i].list;
    body.n = 0;
    join_message_encode(&message, &body);
    assert_int_equal(decode(JOIN_PROBE, body.data, body.n, &decoded), rows[i].error);
  }
  /* One too many, as bytes. */
  message.peers = longest;
  body.n = 0;
  join_message_encode(&message, &body);
  body.data[body.n - ADDRESS_LIST_MAX * 19 - 1] = ADDRESS_LIST_MAX + 1;
  longest.at[0].port = 9000;
  put_address(&body, &longest.at[0]);
  assert_int_equal(decode(JOIN_PROBE, body.data, body.n, &decoded), CORACLE_EMALFORMED);
  bytes_close(&body);
}

/* A member's data is as strict: another version's is not guessed at. */
static void member_data_is_exact(void **state) {
  (void)state;
  struct join_member member = {.memory_storage = true, .name = "n-1", .http = http, .udp = udp}, decoded;
  struct coracle_raft_member data = {.id = 7};
  join_member_encode(&member, &data);
  const uint16_t n = data.data_bytes;
  for (data.data_bytes = 0; data.data_bytes < n; data.data_bytes++)
    assert_int_equal(join_member_decode(&data, &decoded), CORACLE_EMALFORMED);
  data.data_bytes = (uint16_t)(n + 1);
  assert_int_equal(join_member_decode(&data, &decoded), CORACLE_EMALFORMED);
  data.data_bytes = n;
  data.data[0] = 2; /* version */
  assert_int_equal(join_member_decode(&data, &decoded), CORACLE_EMALFORMED);
  data.data[0] = 1;
  for (unsigned flags = 0; flags <= UINT8_MAX; flags++) {
    data.data[1] = (uint8_t)flags;
    const bool known = (flags & ~(4u | 16u)) == 0; /* memory storage, waiting for voters */
    assert_int_equal(join_member_decode(&data, &decoded), known ? 0 : CORACLE_EMALFORMED);
    if (!known) continue;
    assert_int_equal(decoded.memory_storage, (flags & 4u) != 0);
    assert_int_equal(decoded.waiting, (flags & 16u) != 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layouts_are_pinned),        cmocka_unit_test(members_layout_is_pinned),
      cmocka_unit_test(the_longest_fits),          cmocka_unit_test(every_other_length_is_refused),
      cmocka_unit_test(every_bit_means_something), cmocka_unit_test(unknown_types_are_refused),
      cmocka_unit_test(control_bytes_are_refused), cmocka_unit_test(impossible_values_are_refused),
      cmocka_unit_test(member_data_is_exact),      cmocka_unit_test(impossible_lists_are_refused),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
