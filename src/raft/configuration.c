/* Configurations: who the members are, and how a log entry holds them (dissertation, chapter 4).
 *
 * The payload of a CORACLE_RAFT_CONFIGURATION entry, integers little-endian:
 *
 *   bytes
 *   1      version of this layout, 1
 *   1      number of members, 1 to CORACLE_RAFT_MEMBERS_MAX
 *   then for each member
 *   8      id, not zero, not given twice
 *   1      voter: 0 or 1
 *   2      n: bytes of data, at most CORACLE_RAFT_MEMBER_DATA_MAX
 *   n      data
 *
 * At least one member is a voter: no entry could ever be committed without. Decoding accepts exactly this, so
 * that two servers never read different members out of the same bytes. */
#include "base/codec.h"
#include "raft/core.h"

#include <assert.h>

enum { LAYOUT_VERSION = 1, HEADER_BYTES = 1 + 1, MEMBER_HEADER_BYTES = 8 + 1 + 2 };

struct coracle_raft_member *
coracle_raft_configuration_find(const struct coracle_raft_configuration *configuration, uint64_t id) {
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    /* As strchr(3) does: whoever may change the configuration may change the member found in it. */
    if (member->id == id) return (struct coracle_raft_member *)(uintptr_t)member;
  }
  return NULL;
}

uint32_t coracle_raft_configuration_voters(const struct coracle_raft_configuration *configuration) {
  uint32_t voters = 0;
  for (uint32_t i = 0; i < configuration->members_n; i++)
    if (configuration->members[i].voter) voters++;
  return voters;
}

bool raft_configuration_is_valid(const struct coracle_raft_configuration *configuration) {
  if (configuration->members_n > CORACLE_RAFT_MEMBERS_MAX) return false;
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    const struct coracle_raft_member *member = &configuration->members[i];
    if (member->id == 0 || member->data_bytes > CORACLE_RAFT_MEMBER_DATA_MAX) return false;
    if (coracle_raft_configuration_find(configuration, member->id) != member) return false; /* twice */
  }
  return coracle_raft_configuration_voters(configuration) > 0;
}

/* Reads one member; false if it is not one. */
static bool get_member(struct reader *r, struct coracle_raft_member *member) {
  member->id = get_u64(r);
  uint8_t voter = get_u8(r);
  member->voter = voter == 1;
  member->data_bytes = get_u16(r);
  if (!reader_ok(r) || member->id == 0 || voter > 1) return false;
  if (member->data_bytes > CORACLE_RAFT_MEMBER_DATA_MAX) return false;
  const uint8_t *data = get_raw(r, member->data_bytes);
  if (data == NULL) return false;
  memcpy(member->data, data, member->data_bytes);
  return true;
}

int coracle_raft_configuration_decode(const void *data, size_t bytes,
                                      struct coracle_raft_configuration *configuration) {
  struct reader r = reader_of(data, bytes);
  struct coracle_raft_configuration result = {0};

  uint8_t version = get_u8(&r);
  uint32_t members_n = get_u8(&r);
  if (!reader_ok(&r) || version != LAYOUT_VERSION) return CORACLE_RAFT_EINVALID;
  if (members_n > CORACLE_RAFT_MEMBERS_MAX) return CORACLE_RAFT_EINVALID;

  while (result.members_n < members_n) {
    struct coracle_raft_member *member = &result.members[result.members_n];
    if (!get_member(&r, member)) return CORACLE_RAFT_EINVALID;
    if (coracle_raft_configuration_find(&result, member->id) != NULL) return CORACLE_RAFT_EINVALID;
    result.members_n++;
  }
  if (!reader_done(&r) || coracle_raft_configuration_voters(&result) == 0) return CORACLE_RAFT_EINVALID;
  *configuration = result;
  return 0;
}

static uint8_t *put_integer(uint8_t *at, uint64_t value, size_t width) {
  for (size_t i = 0; i < width; i++) at[i] = (uint8_t)(value >> (8 * i));
  return at + width;
}

static uint8_t *put_member(uint8_t *at, const struct coracle_raft_member *member) {
  at = put_integer(at, member->id, 8);
  at = put_integer(at, member->voter ? 1 : 0, 1);
  at = put_integer(at, member->data_bytes, 2);
  memcpy(at, member->data, member->data_bytes);
  return at + member->data_bytes;
}

static size_t encoded_bytes(const struct coracle_raft_configuration *configuration) {
  size_t bytes = HEADER_BYTES;
  assert(configuration->members_n <= CORACLE_RAFT_MEMBERS_MAX);
  for (uint32_t i = 0; i < configuration->members_n; i++) {
    assert(configuration->members[i].data_bytes <= CORACLE_RAFT_MEMBER_DATA_MAX);
    bytes += MEMBER_HEADER_BYTES + configuration->members[i].data_bytes;
  }
  return bytes;
}

struct coracle_raft_entry *
coracle_raft_configuration_entry(const struct coracle_raft_configuration *configuration) {
  struct coracle_raft_entry *entry =
      coracle_raft_entry_new(CORACLE_RAFT_CONFIGURATION, encoded_bytes(configuration));
  if (entry == NULL) return NULL;
  uint8_t *at = put_integer(entry->data, LAYOUT_VERSION, 1);
  at = put_integer(at, configuration->members_n, 1);
  for (uint32_t i = 0; i < configuration->members_n; i++) at = put_member(at, &configuration->members[i]);
  assert(at == entry->data + entry->bytes);
  return entry;
}
