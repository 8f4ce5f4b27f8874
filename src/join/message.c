#include "join/message.h"

#include <assert.h>
#include <stdlib.h>

enum {
  FLAG_ESTABLISHED = 1,
  FLAG_LEADER = 2,
  FLAG_MEMORY_STORAGE = 4,
  FLAG_WAS_MEMBER = 8,
  FLAG_WAITING = 16,
};
enum {
  CARD_FLAGS = FLAG_ESTABLISHED | FLAG_LEADER | FLAG_MEMORY_STORAGE | FLAG_WAS_MEMBER,
  MEMBER_FLAGS = FLAG_MEMORY_STORAGE | FLAG_WAITING,
};
enum { MEMBER_VERSION = 1 };

static void put_string8(struct bytes *out, const char *s) {
  size_t n = strlen(s);
  assert(n <= UINT8_MAX);
  put_u8(out, (uint8_t)n);
  bytes_append(out, s, n);
}

/* Names and texts are printed in logs and answers: no control bytes. `room` counts the NUL. */
static void get_string8_into(struct reader *r, char *to, size_t room) {
  struct slice s = get_string8(r);
  if (s.n >= room) r->failed = true;
  for (size_t i = 0; i < s.n; i++)
    if ((unsigned char)s.at[i] < 0x20 || s.at[i] == 0x7f) r->failed = true;
  if (r->failed) return;
  if (s.n > 0) memcpy(to, s.at, s.n);
  to[s.n] = '\0';
}

static void put_card(struct bytes *out, const struct join_card *card) {
  put_u8(out, (uint8_t)((card->established ? FLAG_ESTABLISHED : 0) | (card->leader ? FLAG_LEADER : 0) |
                        (card->memory_storage ? FLAG_MEMORY_STORAGE : 0) |
                        (card->was_member ? FLAG_WAS_MEMBER : 0)));
  put_string8(out, card->name);
  put_address(out, &card->http);
}

static void get_card(struct reader *r, struct join_card *card) {
  uint8_t flags = get_u8(r);
  if ((flags & ~CARD_FLAGS) != 0) r->failed = true;
  card->established = (flags & FLAG_ESTABLISHED) != 0;
  card->leader = (flags & FLAG_LEADER) != 0;
  card->memory_storage = (flags & FLAG_MEMORY_STORAGE) != 0;
  card->was_member = (flags & FLAG_WAS_MEMBER) != 0;
  get_string8_into(r, card->name, sizeof card->name);
  card->http = get_address(r);
  if (card->name[0] == '\0' || card->http.family == ADDRESS_NONE || card->http.port == 0) r->failed = true;
}

static void put_addresses(struct bytes *out, const struct address_list *list) {
  put_u8(out, (uint8_t)list->n);
  for (size_t i = 0; i < list->n; i++) put_address(out, &list->at[i]);
}

/* Ascending, so that each set of addresses has one form. */
static void get_addresses(struct reader *r, struct address_list *list) {
  const uint8_t n = get_u8(r);
  if (n > ADDRESS_LIST_MAX) r->failed = true;
  for (list->n = 0; list->n < n && reader_ok(r); list->n++) {
    struct address *address = &list->at[list->n];
    *address = get_address(r);
    if (address->family == ADDRESS_NONE || address->port == 0) r->failed = true;
    if (list->n > 0 && address_compare(address - 1, address) >= 0) r->failed = true;
  }
}

void join_message_encode(const struct join_message *message, struct bytes *out) {
  switch (message->type) {
  case JOIN_ACCEPT:
    put_card(out, &message->card);
    return;
  case JOIN_CREDENTIALS:
    put_card(out, &message->card);
    put_u8(out, message->has_token);
    if (message->has_token) bytes_append(out, message->token, JOIN_TOKEN_BYTES);
    return;
  case JOIN_SAVED:
  case JOIN_REMOVED:
    return;
  case JOIN_NOT_YET:
    put_card(out, &message->card);
    put_string8(out, message->text);
    return;
  case JOIN_REFUSED:
    put_string8(out, message->text);
    return;
  case JOIN_PROBE:
  case JOIN_PROBED:
    put_card(out, &message->card);
    put_u64(out, message->round);
    put_addresses(out, &message->peers);
    return;
  }
  abort();
}

int join_message_decode(uint8_t type, const void *body, size_t n, struct join_message *message) {
  struct reader r = reader_of(body, n);
  *message = (struct join_message){.type = (enum join_message_type)type};
  switch (type) {
  case JOIN_ACCEPT:
    get_card(&r, &message->card);
    break;
  case JOIN_CREDENTIALS: {
    get_card(&r, &message->card);
    uint8_t has_token = get_u8(&r);
    if (has_token > 1) r.failed = true;
    message->has_token = has_token == 1;
    const uint8_t *token = message->has_token ? get_raw(&r, JOIN_TOKEN_BYTES) : NULL;
    if (token != NULL) memcpy(message->token, token, JOIN_TOKEN_BYTES);
    break;
  }
  case JOIN_SAVED:
  case JOIN_REMOVED:
    break;
  case JOIN_NOT_YET:
    get_card(&r, &message->card);
    get_string8_into(&r, message->text, sizeof message->text);
    break;
  case JOIN_REFUSED:
    get_string8_into(&r, message->text, sizeof message->text);
    break;
  case JOIN_PROBE:
  case JOIN_PROBED:
    get_card(&r, &message->card);
    message->round = get_u64(&r);
    get_addresses(&r, &message->peers);
    break;
  default:
    return CORACLE_EMALFORMED;
  }
  return reader_done(&r) ? 0 : CORACLE_EMALFORMED;
}

void join_member_encode(const struct join_member *info, struct coracle_raft_member *member) {
  struct bytes b = {0};
  put_u8(&b, MEMBER_VERSION);
  put_u8(&b,
         (uint8_t)((info->memory_storage ? FLAG_MEMORY_STORAGE : 0) | (info->waiting ? FLAG_WAITING : 0)));
  put_string8(&b, info->name);
  put_address(&b, &info->http);
  put_address(&b, &info->udp);
  assert(b.n <= CORACLE_RAFT_MEMBER_DATA_MAX);
  memcpy(member->data, b.data, b.n);
  member->data_bytes = (uint16_t)b.n;
  bytes_close(&b);
}

int join_member_decode(const struct coracle_raft_member *member, struct join_member *info) {
  struct reader r = reader_of(member->data, member->data_bytes);
  *info = (struct join_member){0};
  if (get_u8(&r) != MEMBER_VERSION) return CORACLE_EMALFORMED;
  const uint8_t flags = get_u8(&r);
  if ((flags & ~MEMBER_FLAGS) != 0) r.failed = true;
  info->memory_storage = (flags & FLAG_MEMORY_STORAGE) != 0;
  info->waiting = (flags & FLAG_WAITING) != 0;
  get_string8_into(&r, info->name, sizeof info->name);
  info->http = get_address(&r);
  info->udp = get_address(&r);
  return reader_done(&r) ? 0 : CORACLE_EMALFORMED;
}
