/* Goal: a configuration entry has one spelling that never changes by accident, every configuration survives
 * the way through it, and bytes that are not one are refused without a read past their end. Entries count
 * their references. */
#include "coracle/raft.h"

#include "base/bytes.h"
#include "golden.h"

static struct coracle_raft_member member(uint64_t id, bool voter, const char *data) {
  struct coracle_raft_member result = {.id = id, .voter = voter, .data_bytes = (uint16_t)strlen(data)};
  memcpy(result.data, data, strlen(data));
  return result;
}

static struct coracle_raft_configuration three_members(void) {
  return (struct coracle_raft_configuration){.members_n = 3,
                                             .members = {member(0x1122334455667788, true, "ab"),
                                                         member(2, true, ""),
                                                         member(UINT64_MAX, false, "xyz")}};
}

static const char three_members_hex[] = "01 03"
                                        "8877665544332211 01 0200 6162"
                                        "0200000000000000 01 0000"
                                        "ffffffffffffffff 00 0300 78797a";

static void assert_configuration_equal(const struct coracle_raft_configuration *a,
                                       const struct coracle_raft_configuration *b) {
  assert_int_equal(a->members_n, b->members_n);
  for (uint32_t i = 0; i < a->members_n; i++) {
    assert_true(a->members[i].id == b->members[i].id);
    assert_int_equal(a->members[i].voter, b->members[i].voter);
    assert_int_equal(a->members[i].data_bytes, b->members[i].data_bytes);
    assert_memory_equal(a->members[i].data, b->members[i].data, a->members[i].data_bytes);
  }
}

/* Decodes from memory of exactly n bytes. */
static int decode_exactly(const void *data, size_t n, struct coracle_raft_configuration *configuration) {
  uint8_t *copy = exact_copy(data, n);
  int result = coracle_raft_configuration_decode(copy, n, configuration);
  free(copy);
  return result;
}

static void assert_refused(const void *data, size_t n) {
  struct coracle_raft_configuration configuration = {.members_n = 7};
  assert_int_equal(decode_exactly(data, n, &configuration), CORACLE_RAFT_EINVALID);
  assert_int_equal(configuration.members_n, 7); /* left alone */
}

/* The encoded entry with one byte changed must be refused. */
static void assert_refused_with(const struct coracle_raft_configuration *configuration, size_t offset,
                                uint8_t value) {
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(configuration);
  assert_true(offset < entry->bytes && entry->data[offset] != value);
  entry->data[offset] = value;
  assert_refused(entry->data, entry->bytes);
  coracle_raft_entry_unref(entry);
}

static void layout_is_pinned(void **state) {
  (void)state;
  struct coracle_raft_configuration configuration = three_members();
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&configuration);
  assert_int_equal(entry->type, CORACLE_RAFT_CONFIGURATION);
  assert_golden(entry->data, entry->bytes, three_members_hex);
  coracle_raft_entry_unref(entry);
}

static void round_trips(void **state) {
  (void)state;
  for (uint32_t members_n = 1; members_n <= CORACLE_RAFT_MEMBERS_MAX; members_n++) {
    struct coracle_raft_configuration configuration = {.members_n = members_n};
    struct coracle_raft_configuration decoded;
    for (uint32_t i = 0; i < members_n; i++) {
      struct coracle_raft_member *m = &configuration.members[i];
      *m = (struct coracle_raft_member){.id = UINT64_MAX - i, .voter = i % 3 == 0};
      m->data_bytes = (uint16_t)(i * CORACLE_RAFT_MEMBER_DATA_MAX / (CORACLE_RAFT_MEMBERS_MAX - 1));
      memset(m->data, (int)(i + 1), m->data_bytes);
    }
    struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&configuration);
    assert_int_equal(decode_exactly(entry->data, entry->bytes, &decoded), 0);
    assert_configuration_equal(&configuration, &decoded);
    coracle_raft_entry_unref(entry);
  }
}

static void every_truncation_and_trailing_byte_is_refused(void **state) {
  (void)state;
  struct coracle_raft_configuration configuration = three_members();
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&configuration);
  for (size_t n = 0; n < entry->bytes; n++) assert_refused(entry->data, n);
  struct bytes longer = {0};
  bytes_append(&longer, entry->data, entry->bytes);
  bytes_append(&longer, "", 1);
  assert_refused(longer.data, longer.n);
  assert_refused(NULL, 0);
  bytes_close(&longer);
  coracle_raft_entry_unref(entry);
}

/* A changed bit is refused, or read as just that change: encoding what was read gives the changed bytes
 * again. */
static void every_bit_means_something(void **state) {
  (void)state;
  struct coracle_raft_configuration configuration = three_members();
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&configuration);
  for (size_t bit = 0; bit < 8 * (size_t)entry->bytes; bit++) {
    struct coracle_raft_configuration decoded;
    entry->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
    if (decode_exactly(entry->data, entry->bytes, &decoded) == 0) {
      struct coracle_raft_entry *again = coracle_raft_configuration_entry(&decoded);
      assert_int_equal(again->bytes, entry->bytes);
      assert_memory_equal(again->data, entry->data, entry->bytes);
      coracle_raft_entry_unref(again);
    }
    entry->data[bit / 8] ^= (uint8_t)(1u << bit % 8);
  }
  coracle_raft_entry_unref(entry);
}

static void impossible_configurations_are_refused(void **state) {
  (void)state;
  enum { VERSION = 0, COUNT = 1, ID = 2, VOTER = 10, DATA_BYTES = 11, SECOND_ID = 13 };
  struct coracle_raft_configuration two = {.members_n = 2,
                                           .members = {member(1, true, ""), member(2, true, "")}};
  assert_refused_with(&two, VERSION, 0);
  assert_refused_with(&two, VERSION, 2);
  assert_refused_with(&two, COUNT, 0);
  assert_refused_with(&two, COUNT, 1);
  assert_refused_with(&two, COUNT, 3);
  assert_refused_with(&two, COUNT, CORACLE_RAFT_MEMBERS_MAX + 1);
  assert_refused_with(&two, COUNT, 255);
  assert_refused_with(&two, ID, 0);
  assert_refused_with(&two, SECOND_ID, 1); /* twice the same */
  assert_refused_with(&two, VOTER, 2);
  assert_refused_with(&two, VOTER, 255);
  assert_refused_with(&two, DATA_BYTES, 1);
  assert_refused_with(&two, DATA_BYTES + 1, 255);

  struct coracle_raft_configuration no_voter = {.members_n = 1, .members = {member(1, false, "")}};
  struct coracle_raft_entry *entry = coracle_raft_configuration_entry(&no_voter);
  assert_refused(entry->data, entry->bytes);
  coracle_raft_entry_unref(entry);
  assert_refused("\x01\x00", 2); /* nobody at all */
}

/* All the bytes are there, but there is one member or one byte of data more than a configuration can hold. */
static void more_than_the_limits_is_refused(void **state) {
  (void)state;
  struct bytes crowd = {0};
  bytes_append(&crowd, "\x01\x11", 2);
  for (uint8_t id = 1; id <= CORACLE_RAFT_MEMBERS_MAX + 1; id++) {
    uint8_t m[11] = {id, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0};
    bytes_append(&crowd, m, sizeof m);
  }
  assert_refused(crowd.data, crowd.n);
  bytes_close(&crowd);

  uint16_t bytes = CORACLE_RAFT_MEMBER_DATA_MAX;
  uint8_t large[2 + 11 + CORACLE_RAFT_MEMBER_DATA_MAX + 1] = {1, 1, 9, [10] = 1};
  large[11] = (uint8_t)bytes;
  large[12] = (uint8_t)(bytes >> 8);
  struct coracle_raft_configuration configuration;
  assert_int_equal(decode_exactly(large, sizeof large - 1, &configuration), 0);
  large[11] = (uint8_t)(bytes + 1);
  large[12] = (uint8_t)((bytes + 1) >> 8);
  assert_refused(large, sizeof large);
}

static void members_are_found_and_voters_counted(void **state) {
  (void)state;
  struct coracle_raft_configuration configuration = three_members();
  assert_ptr_equal(coracle_raft_configuration_find(&configuration, 2), &configuration.members[1]);
  assert_ptr_equal(coracle_raft_configuration_find(&configuration, UINT64_MAX), &configuration.members[2]);
  assert_null(coracle_raft_configuration_find(&configuration, 3));
  assert_int_equal(coracle_raft_configuration_voters(&configuration), 2);
  configuration.members_n = 0;
  assert_null(coracle_raft_configuration_find(&configuration, 2));
  assert_int_equal(coracle_raft_configuration_voters(&configuration), 0);
}

/* The leak and address sanitizers see a reference too few or too many. */
static void an_entry_lives_as_long_as_its_references(void **state) {
  (void)state;
  struct coracle_raft_entry *entry = coracle_raft_entry_new(CORACLE_RAFT_COMMAND, 5);
  memcpy(entry->data, "hello", 5);
  assert_int_equal(entry->type, CORACLE_RAFT_COMMAND);
  assert_int_equal(entry->bytes, 5);
  assert_int_equal(entry->references, 1);
  assert_ptr_equal(coracle_raft_entry_ref(entry), entry);
  assert_int_equal(entry->references, 2);
  coracle_raft_entry_unref(entry);
  assert_memory_equal(entry->data, "hello", 5);
  coracle_raft_entry_unref(entry);

  struct coracle_raft_entry *largest =
      coracle_raft_entry_new(CORACLE_RAFT_COMMAND, CORACLE_RAFT_ENTRY_BYTES_MAX);
  largest->data[CORACLE_RAFT_ENTRY_BYTES_MAX - 1] = 1;
  assert_int_equal(largest->bytes, CORACLE_RAFT_ENTRY_BYTES_MAX);
  coracle_raft_entry_unref(largest);
}

static void every_code_has_its_text(void **state) {
  (void)state;
  assert_string_equal(coracle_raft_strerror(0), "success");
  assert_string_equal(coracle_raft_strerror(CORACLE_RAFT_ENOTLEADER), "not the leader");
  assert_string_equal(coracle_raft_strerror(CORACLE_RAFT_ENOMEM), "out of memory");
  assert_string_equal(coracle_raft_strerror(-1000), "unknown error");
  assert_string_equal(coracle_raft_strerror(1), "unknown error");
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(layout_is_pinned),
      cmocka_unit_test(round_trips),
      cmocka_unit_test(every_truncation_and_trailing_byte_is_refused),
      cmocka_unit_test(every_bit_means_something),
      cmocka_unit_test(impossible_configurations_are_refused),
      cmocka_unit_test(more_than_the_limits_is_refused),
      cmocka_unit_test(members_are_found_and_voters_counted),
      cmocka_unit_test(an_entry_lives_as_long_as_its_references),
      cmocka_unit_test(every_code_has_its_text),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
